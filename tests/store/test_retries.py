"""Trying again."""

import threading
import time
from collections.abc import Callable

import pytest
from opensearchpy import exceptions

from sigma_stellar_aws.store import retries
from sigma_stellar_aws.store.retries import GaveUpError, NotWholeError, answered


def failing(times: int, error: Exception) -> Callable[[], int]:
    """Fails some times, and then says how often it was asked."""
    asked = 0

    def request() -> int:
        nonlocal asked
        asked += 1
        if asked <= times:
            raise error
        return asked

    return request


PASSING = [
    exceptions.TransportError(429, "busy", {}),
    exceptions.TransportError(500, "node", {}),
    exceptions.TransportError(503, "away", {}),
    exceptions.ConnectionError("N/A", "lost", OSError()),
    exceptions.ConnectionTimeout("TIMEOUT", "slow", OSError()),
    NotWholeError("half"),
]
TOO_MANY = {"error": {"root_cause": [{"type": "too_many_nested_clauses"}], "type": "search_phase_execution_exception"}}
LASTING = [
    # As OpenSearch says it.
    exceptions.TransportError(500, "search_phase_execution_exception", TOO_MANY),
    exceptions.RequestError(400, "wrong", {}),
    exceptions.AuthenticationException(401, "who", {}),
    exceptions.NotFoundError(404, "where", {}),
    exceptions.SSLError("N/A", "not trusted", OSError()),
    KeyError("hits"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A request is made again until it is answered or was made often enough."""
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.001)
    assert answered(failing(retries.TRIES - 1, error)) == retries.TRIES
    with pytest.raises(GaveUpError, match=f"; tried {retries.TRIES} times in 0 s") as raised:
        answered(failing(retries.TRIES, error))
    assert raised.value.error is error


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_lasts_is_not_tried_again(error: Exception) -> None:
    """An error that says that the request, the index or the certificate is wrong stands at once."""
    with pytest.raises(type(error)) as raised:
        answered(failing(1, error))
    assert raised.value is error


def test_pauses_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pause may be twice as long as the last up to a limit, and clients that failed together do not meet again."""
    pauses: list[list[float]] = []

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            pauses[-1].append(timeout)
            return False

    for _ in range(200):
        pauses.append([])
        with pytest.raises(GaveUpError):
            answered(failing(retries.TRIES, PASSING[0]), stopped=Clock())
    longest = [max(nth) for nth in zip(*pauses, strict=True)]
    limits = [
        min(retries.FIRST_WAIT_SECONDS * 2**number, retries.LONGEST_WAIT_SECONDS) for number in range(retries.TRIES - 1)
    ]
    assert all(limit * 0.9 < pause <= limit for pause, limit in zip(longest, limits, strict=True))
    assert len({pause[0] for pause in pauses}) > 150


def test_nobody_waits_for_what_is_not_wanted_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause ends when the answer is of no use, and after it there is one more try at most."""
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 1000.0)
    monkeypatch.setattr(retries, "LONGEST_WAIT_SECONDS", 1000.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"nothing ends these {seconds} seconds"))
    stopped = threading.Event()
    threading.Timer(0.05, stopped.set).start()
    with pytest.raises(GaveUpError) as raised:
        answered(failing(retries.TRIES, PASSING[0]), stopped=stopped)
    assert raised.value.tries <= 2
