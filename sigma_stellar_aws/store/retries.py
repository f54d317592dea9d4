"""Make a request again when what went wrong may pass, after longer and longer pauses."""

import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import TypeVar

from opensearchpy import exceptions
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    stop_when_event_set,
    wait_chain,
    wait_fixed,
    wait_none,
    wait_random_exponential,
)
from tenacity.nap import sleep, sleep_using_event
from tenacity.wait import wait_base

from sigma_stellar_aws.base.run_limit import seconds_left
from sigma_stellar_aws.store.connection_errors import connection_problem
from sigma_stellar_aws.store.refusals import refuses_query

T = TypeVar("T")

TRIES = 7
FIRST_WAIT_SECONDS = 1.0
"""The longest first pause. It doubles with each try; how much of it is waited is left to chance."""
LONGEST_WAIT_SECONDS = 30.0
LONGEST_SECONDS = 600.0
"""After so long, there is no further try."""

# 500 among them: so a store answers when one of its nodes does not answer another.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


class NotWholeError(Exception):
    """An answer is for a part of the data only."""


class GaveUpError(Exception):
    """A request failed each time."""

    def __init__(self, error: Exception, tries: int, seconds: float) -> None:
        """Keep the last error."""
        super().__init__(f"{error}; tried {tries} times in {seconds:.0f} s")
        self.error = error
        self.tries = tries
        self.seconds = seconds


def may_pass(error: BaseException) -> bool:
    """Return whether the same request may be answered later: the store is busy, or the connection was lost."""
    if isinstance(error, exceptions.ConnectionError):
        return not (isinstance(error, exceptions.SSLError) or connection_problem("the store", error).is_lasting)
    if isinstance(error, exceptions.TransportError):
        return error.status_code in _PASSING and not refuses_query(error)
    return isinstance(error, NotWholeError)


def may_pass_at_first(error: BaseException) -> bool:
    """Return the same for the first request: a store that is not there from the beginning is not waited for."""
    return may_pass(error) and not isinstance(error, exceptions.ConnectionError)


def answered(
    request: Callable[[], T],
    *,
    stopped: Event | None = None,
    may_pass: Callable[[BaseException], bool] = may_pass,
    pauses_seconds: Sequence[float] | None = None,
) -> T:
    """Return what a request returns, which is made again until it succeeds or has failed too often.

    Args:
        request: makes it; it must do no harm to make it again.
        stopped: when it is set, there are no further tries.
        may_pass: whether it is worth trying again after an error.
        pauses_seconds: the pauses between tries; by default, for up to ``TRIES`` tries, they are partly left to chance,
            so that clients which failed together do not meet again.

    Raises:
        GaveUpError: it failed each time.
        Exception: whatever the request raises, if it will not pass.
    """
    start = time.monotonic()
    tries = TRIES if pauses_seconds is None else len(pauses_seconds) + 1
    last_try = stop_after_attempt(tries) | stop_after_delay(LONGEST_SECONDS)
    waits = _waits(pauses_seconds)
    retrying = Retrying(
        stop=last_try if stopped is None else last_try | stop_when_event_set(stopped),
        wait=lambda state: min(waits(state), seconds_left()),
        retry=retry_if_exception(may_pass),
        sleep=sleep if stopped is None else sleep_using_event(stopped),
    )
    try:
        return retrying(request)
    except RetryError as error:
        last = error.last_attempt
        cause = last.exception()
        assert isinstance(cause, Exception)
        raise GaveUpError(cause, last.attempt_number, time.monotonic() - start) from cause


def _waits(pauses_seconds: Sequence[float] | None) -> wait_base:
    if pauses_seconds is None:
        return wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS)
    return wait_chain(*map(wait_fixed, pauses_seconds)) if pauses_seconds else wait_none()
