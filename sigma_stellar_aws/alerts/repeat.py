"""Runs that follow each other: each begins before the end of the last, since CloudTrail delivers events late."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import TracebackType
from typing import NamedTuple

from sigma_stellar_aws.alerts.checkpoint import Checkpoint, later, read_checkpoint, write_checkpoint
from sigma_stellar_aws.base import times
from sigma_stellar_aws.base.errors import S3Error, StoreError

OVERLAP = timedelta(hours=6)
"""How late an event may arrive: CloudTrail needs up to 15 minutes, but what fills the store may stand still longer."""


class RunSpan(NamedTuple):
    """What a run is to look at."""

    since: datetime | None
    """None for the first event."""
    until: datetime
    floor: datetime | None
    """Events before this time are never asked for."""
    resumed: bool
    """Whether it goes on where another run ended."""


class Run:
    """One of the runs: do the work in a ``with`` block, which gets the span to work on.

    Where runs follow each other, one that fails because of the store, or of S3, ends in silence, with its error in
    ``error``; the next one does its work, too.
    """

    def __init__(self, span: RunSpan, *, is_only: bool) -> None:
        """Begin a run, of several or the only one."""
        self._span = span
        self._is_only = is_only
        self.through = span.until
        """Up to when all is done, if it is."""
        self.done = False
        self.error: StoreError | S3Error | None = None

    def __enter__(self) -> RunSpan:
        """Return what to look at."""
        return self._span

    def reached(self, time: datetime) -> None:
        """Note that all is done only up to this time."""
        self.through = min(self.through, time)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """Note how it went; suppress an error of the store or of S3 where there are further runs."""
        self.done = error is None
        if isinstance(error, StoreError | S3Error) and not self._is_only:
            self.error = error
        return self.error is not None


def repeat(
    *,
    since: datetime | None,
    until: datetime | None = None,
    checkpoint: Checkpoint | None = None,
    overlap: timedelta = OVERLAP,
    interval: timedelta | None = None,
    wait: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: times.now(),
) -> Iterator[Run]:
    """Yield one run, or one after the other.

    ::

        for run in repeat(since=None, interval=timedelta(minutes=5)):
            with run as span:
                ...

    Args:
        since: where the first run begins; None for the first event.
        until: where the run ends; None for now.
        checkpoint: where to begin instead, if there is one, and where to keep how far the runs went.
        overlap: how far a run goes back before the end of the last.
        interval: pause between runs; None for a single run.
        wait: sleeps, for so many seconds.
        now: the time.

    Raises:
        CheckpointError: the file is not a checkpoint, or that of another search, or cannot be written.
        OSError: the file cannot be read or written.
    """
    through, floor = None, since
    if checkpoint is not None:
        through, floor = read_checkpoint(checkpoint, since)
    while True:
        end = until or now()
        # A clock that was set back must not open a gap.
        begin = since if through is None else later(min(through, end) - overlap, floor)
        run = Run(RunSpan(begin, end, floor, through is not None), is_only=interval is None)
        yield run
        if run.done:
            through = run.through
            if checkpoint is not None:
                write_checkpoint(checkpoint, through, floor)
        if interval is None:
            return
        wait(interval.total_seconds())
