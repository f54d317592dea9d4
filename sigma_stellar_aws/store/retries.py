"""Requests to a data store that are made again when what went wrong may pass: each try later than the last."""

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from opensearchpy import exceptions
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

T = TypeVar("T")

TRIES = 7
FIRST_WAIT = 1.0
"""The longest first pause, in seconds. It doubles with each try; how much of it is waited is left to chance."""
LONGEST_WAIT = 30.0

# 500 among them: so a store answers when one of its nodes does not answer another.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


class NotWholeError(Exception):
    """An answer for a part of the data only."""


class GaveUpError(Exception):
    """A request failed each time."""

    def __init__(self, error: Exception, tries: int, seconds: float) -> None:
        """Keep the last error."""
        super().__init__(f"{error}; tried {tries} times in {seconds:.0f} s")
        self.error = error
        self.tries = tries
        self.seconds = seconds


def may_pass(error: BaseException) -> bool:
    """Whether the same request may be answered later: the store is busy or the connection was lost."""
    # A certificate that is not trusted is a lost connection, too, for the client.
    if isinstance(error, exceptions.ConnectionError):
        return not isinstance(error, exceptions.SSLError)
    if isinstance(error, exceptions.TransportError):
        return error.status_code in _PASSING
    return isinstance(error, NotWholeError)


def answered(
    request: Callable[[], T],
    *,
    stopped: Event | None = None,
    may_pass: Callable[[BaseException], bool] = may_pass,
) -> T:
    """What a request gives, made up to ``TRIES`` times.

    Args:
        request: makes it; to be made again must do no harm.
        stopped: when it is set, there are no further tries.
        may_pass: whether it is worth to try again after an error.

    Raises:
        GaveUpError: it failed each time.
        Exception: what the request raises, if it will not pass.
    """
    stopped = stopped or Event()
    start = time.monotonic()
    retrying = Retrying(
        stop=stop_after_attempt(TRIES) | stop_when_event_set(stopped),
        wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        retry=retry_if_exception(may_pass),
        sleep=sleep_using_event(stopped),
    )
    try:
        return retrying(request)
    except RetryError as error:
        last = error.last_attempt
        cause = last.exception()
        assert isinstance(cause, Exception)
        raise GaveUpError(cause, last.attempt_number, time.monotonic() - start) from cause
