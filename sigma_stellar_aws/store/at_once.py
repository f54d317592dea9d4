"""Make several requests at once."""

from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from threading import Event
from typing import TypeVar

from sigma_stellar_aws.base.daemon_threads import DaemonThreads

T = TypeVar("T")


def at_once(requests: Sequence[Callable[[], T]], most: int, stopped: Event) -> list[T]:
    """Return what each request returns, in their order.

    >>> at_once([lambda: 1, lambda: 2], 3, Event())
    [1, 2]

    Args:
        requests: each makes one.
        most: how many to make at once.
        stopped: set when one fails, so that those waiting to be retried give up.

    Raises:
        Exception: whatever the first of them that fails raises.
    """
    if len(requests) == 1:
        return [requests[0]()]
    with DaemonThreads(min(most, len(requests))) as threads:
        # The context knows how long the run may take.
        answers = [threads.submit(partial(copy_context().run, request)) for request in requests]
        try:
            return [each.result() for each in answers]
        except BaseException:
            stopped.set()
            raise
