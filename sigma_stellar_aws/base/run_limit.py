"""How long a run may take: what waits for somebody else asks here whether to go on waiting."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from sigma_stellar_aws.base.times import duration_text


class RunOverError(OSError):
    """A run has taken as long as it may; the message goes on after the name of whoever is waited for."""


@dataclass
class _Run:
    span: timedelta
    ends: float


_run: ContextVar[_Run | None] = ContextVar("run", default=None)


@contextmanager
def run_within(span: timedelta | None) -> Iterator[None]:
    """Let no server be asked, or waited for, when a run has taken so long; what was begun ends with an error.

    Args:
        span: None for no limit.
    """
    token = _run.set(None if span is None else _Run(span, time.monotonic() + span.total_seconds()))
    try:
        yield
    finally:
        _run.reset(token)


def begin_anew() -> None:
    """Give another run, of several that follow each other, the whole time."""
    if (run := _run.get()) is not None:
        run.ends = time.monotonic() + run.span.total_seconds()


def seconds_left() -> float:
    """Return how long the run may still take, infinite without a limit."""
    run = _run.get()
    return math.inf if run is None else max(0.0, run.ends - time.monotonic())


def check_run() -> float:
    """Return how long the run may still take.

    Raises:
        RunOverError: not any longer.
    """
    run = _run.get()
    if run is not None and not seconds_left():
        raise RunOverError(f"was asked for as long as this run may take, {duration_text(run.span)} (--timeout)")
    return seconds_left()
