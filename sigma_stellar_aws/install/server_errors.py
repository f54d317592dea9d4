"""What talking to Kibana and to OpenSearch has in common: errors for people, and what to do after one."""

import time
from collections.abc import Callable
from typing import TypeVar

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.run_limit import seconds_left
from sigma_stellar_aws.store.connection_errors import connection_problem
from sigma_stellar_aws.store.retries import GaveUpError, answered

T = TypeVar("T")

WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts."""

MISSING = 404
"""Status of what is not there."""

_PASSING = (None, 429, 502, 503, 504)
_LATE = (None, 502, 504)
_UNKNOWN_USER = 401
_CHANGED = 409
_FIRST_SERVER_ERROR = 500
_FIRST_NO_SUCCESS = 300


class ServerError(StoreError):
    """A server refused a request, or could not be asked; the message is for people."""

    def __init__(self, status: int | None, reason: str, *, hopeless: bool = False) -> None:
        """Keep the HTTP status, None where there was no answer.

        Args:
            status: of the answer.
            reason: for people.
            hopeless: whether there is no sense in waiting: no connection was made, and none before, or the server
                answers without end.
        """
        super().__init__(reason)
        self.status = status
        self.hopeless = hopeless

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return self.status in _PASSING and not self.hopeless

    @property
    def of_all(self) -> bool:
        """Whether all other requests will fail the same way."""
        return self.status == _UNKNOWN_USER

    @property
    def lasting(self) -> bool:
        """Whether the same request would fail again at any time."""
        return not self.passing and self.status != _CHANGED and not self.uncertain and not self.hopeless

    @property
    def uncertain(self) -> bool:
        """Whether the server may have done all the same what it was asked."""
        # A success that says nothing we know may be another server's, such as a login page.
        return self.status is None or not _FIRST_NO_SUCCESS <= self.status < _FIRST_SERVER_ERROR


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, ServerError) and error.passing


def ask(read: Callable[[], T], may_pass: Callable[[BaseException], bool] = _is_passing) -> T:
    """Return the result of a request that changes nothing, which is repeated where that may help.

    Args:
        read: does it once.
        may_pass: whether it helps to repeat it after an error.

    Raises:
        ServerError: it failed, or failed too often.
    """
    try:
        return answered(read, may_pass=may_pass, pauses_seconds=WAITS)
    except GaveUpError as gave_up:
        raise gave_up.error from gave_up.error.__cause__


def if_there(read: Callable[[], T]) -> T | None:
    """As :func:`ask`, and None where the server says that there is no such thing.

    Raises:
        ServerError: it failed otherwise, or failed too often.
    """
    try:
        return ask(read)
    except ServerError as error:
        if error.status == MISSING:
            return None
        raise


def no_answer(server: str, url: str, error: Exception, *, known: bool) -> StoreError:
    """Return the error to raise where a request got no answer.

    Args:
        server: what it is.
        url: where it was looked for.
        error: of the client; its own text is not shown, since it holds the whole address.
        known: whether the server has answered before; one that was never there is not waited for.
    """
    problem = connection_problem(server, error, url=url)
    if problem.is_lasting and not problem.was_made:
        return StoreError(problem.message)
    if problem.is_lasting:
        return ServerError(None, problem.message, hopeless=True)
    return ServerError(None, problem.message, hopeless=not (known or problem.was_made))


def order(write: Callable[[], T], done: Callable[[], T | None], *, twice: bool = False) -> T:
    """The result of a request that changes something. It is repeated only after a look that it was not done.

    Args:
        write: does it once.
        done: looks whether it is done; the result if so. It raises if there is no sense in doing it again.
        twice: whether it would be there twice if it were done twice, so that it is not repeated while a server that is
            only slow may still do it.

    Raises:
        ServerError: it was not done; or, as the message says, nobody knows.
    """
    for wait in (*WAITS, None):
        try:
            return write()
        except ServerError as error:
            if error.uncertain:
                try:
                    result = done()
                except ServerError as second:
                    unknown = f"{error}; it may be done all the same, which cannot be seen now ({second}); run it again"
                    raise ServerError(error.status, unknown) from second
                if result is not None:
                    return result
                if twice and error.status in _LATE:
                    raise ServerError(error.status, f"{error}; it may still be done; run it again") from error
            if not error.passing or wait is None:
                raise
            time.sleep(min(wait, seconds_left()))
    raise AssertionError("the last attempt returns or raises")
