"""Requests that go wrong: what is asked again, and what is looked at first."""

from collections.abc import Iterator

import pytest

from sigma_stellar_aws.install import server_errors
from sigma_stellar_aws.install.server_errors import ServerError, ask, order

OK = 200


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


class Server:
    """Answers with the given statuses one after the other, 201 standing for success of another server, OK for ours."""

    def __init__(self, *statuses: int | None) -> None:
        """Begin with the first."""
        self._statuses: Iterator[int | None] = iter(statuses)
        self.asked = 0

    def __call__(self) -> str:
        """The next answer."""
        self.asked += 1
        status = next(self._statuses)
        if status != OK:
            raise ServerError(status, f"status {status}")
        return "answer"


def test_what_passes_is_asked_again(waited: list[float]) -> None:
    """Too many requests, a gateway without a server, a cut connection: asked again, after longer and longer waits."""
    assert ask(Server(429, None, 503, 502, OK)) == "answer"
    assert waited == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_what_does_not_pass_is_not_asked_again(status: int) -> None:
    """The same question would get the same answer."""
    server = Server(status)
    with pytest.raises(ServerError, match=f"status {status}"):
        ask(server)
    assert server.asked == 1


def test_asking_ends() -> None:
    """A server that stays away is an error in the end."""
    server = Server(*[None] * 9)
    with pytest.raises(ServerError):
        ask(server)
    assert server.asked == len(server_errors.WAITS) + 1


@pytest.mark.parametrize("status", [None, 201, 500, 502, 503, 504])
def test_what_may_be_done_is_looked_at(status: int | None) -> None:
    """After an error that leaves open whether it was done, nothing is written again if it was."""
    server = Server(status)
    assert order(server, lambda: "found") == "found"
    assert server.asked == 1


def test_what_was_not_done_is_done_again() -> None:
    """A cut connection before anything happened: the look says so, and the second attempt does it."""
    server = Server(None, 429, OK)
    looks: list[int] = []
    assert order(server, lambda: looks.append(1)) == "answer"
    assert len(looks) == 1, "a refusal for too many requests leaves nothing open"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_what_was_refused_is_not_done_again(status: int) -> None:
    """Neither a refusal nor an error of the server is answered by insisting."""
    server = Server(status)
    with pytest.raises(ServerError, match=f"status {status}"):
        order(server, lambda: None)
    assert server.asked == 1


def test_what_cannot_be_looked_at_is_not_done_again() -> None:
    """If nobody can tell whether it was done, then that is the error."""
    server = Server(None)
    with pytest.raises(ServerError, match="it may be done all the same, which cannot be seen now"):
        order(server, Server(None))
    assert server.asked == 1


@pytest.mark.parametrize(
    ("status", "of_all", "lasting"),
    [
        (None, False, False),
        (401, True, True),
        (403, False, True),
        (503, False, False),
        (400, False, True),
        (409, False, False),
        (500, False, False),
    ],
)
def test_errors_that_last(status: int | None, of_all: bool, lasting: bool) -> None:
    """Who is not let in is not let in anywhere; what is refused is refused again; a server that is gone may come."""
    assert (ServerError(status, "").of_all, ServerError(status, "").lasting) == (of_all, lasting)


@pytest.mark.parametrize("status", [None, 502, 504])
def test_what_would_be_there_twice_is_not_done_again(status: int | None) -> None:
    """A server that is only slow may still do it; one that was not reached (503) or has too much to do does not."""
    server = Server(status, OK)
    with pytest.raises(ServerError, match="it may still be done; run it again"):
        order(server, lambda: None, twice=True)
    assert server.asked == 1
    assert order(Server(status), lambda: "found", twice=True) == "found"
    assert order(Server(503, 429, OK), lambda: None, twice=True) == "answer"
