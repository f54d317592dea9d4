"""Servers that cannot be asked are told alike, whichever library asks them."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from opensearchpy import exceptions

from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.connection_errors import ConnectionProblem, connection_problem
from tests.support.answering import answering, self_signed

Ask = Callable[[str, dict[str, str]], ConnectionProblem]


def _by_opensearch(url: str, environment: dict[str, str]) -> ConnectionProblem:
    with connect(url, None, environment) as client, pytest.raises(exceptions.ConnectionError) as raised:
        client.transport.perform_request("GET", "/", params={"request_timeout": 0.3})
    return connection_problem("the server", raised.value, url=url, timeout_seconds=0.3)


def _by_requests(url: str, environment: dict[str, str]) -> ConnectionProblem:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {scheme: proxy for scheme in ("http", "https") if (proxy := environment.get("ALL_PROXY"))}
        with pytest.raises(requests.RequestException) as raised:
            session.get(url, timeout=0.3)
    return connection_problem("the server", raised.value, url=url, timeout_seconds=0.3)


both = pytest.mark.parametrize("ask", [_by_opensearch, _by_requests], ids=["opensearch-py", "requests"])


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where somebody listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@both
def test_nobody_listens(ask: Ask) -> None:
    """It is told where, and why, and that nothing was sent."""
    assert ask("http://127.0.0.1:9", {}) == (
        "the server cannot be reached at 127.0.0.1:9: Connection refused",
        False,
        False,
    )


@both
def test_a_name_that_does_not_exist(ask: Ask) -> None:
    """The system's reason is told, and the default port."""
    problem = ask("https://nobody.invalid", {})
    assert problem.message.startswith("the server cannot be reached at nobody.invalid:443: ")
    assert (problem.is_lasting, problem.was_made) == (False, False)


@both
def test_a_server_without_tls(ask: Ask) -> None:
    """An https URL of a server that speaks plain HTTP is told as such, and not tried again."""
    with answering(200, {}) as (url, _):
        assert ask(url.replace("http:", "https:"), {}) == (
            "the server does not speak TLS there; is its URL http:// ?",
            True,
            False,
        )


@both
def test_a_certificate_that_nobody_trusts(ask: Ask, tmp_path: Path) -> None:
    """The reason is told, and the option that names its CA."""
    with answering(200, {}, self_signed(tmp_path)) as (url, _):
        problem = ask(url, {})
    assert problem.message.startswith("the server's certificate is not trusted (self")
    assert problem.message.endswith("); name its CA: --ca-file")
    assert problem.is_lasting


@both
def test_a_proxy_that_does_not_answer(ask: Ask) -> None:
    """It is the proxy that is named, without its password."""
    proxy = "http://someone:pass-5d1f@127.0.0.1:9"
    assert ask("http://search.example.com:9200", {"ALL_PROXY": proxy}) == (
        "the proxy does not answer, or does not let us through",
        False,
        True,
    )


@both
def test_a_server_that_is_silent(ask: Ask, silent: int) -> None:
    """It is told how long was waited; it may have got the request."""
    assert ask(f"http://127.0.0.1:{silent}", {}) == ("the server did not answer within 0.3 seconds", False, True)


@both
def test_a_connection_that_is_lost(ask: Ask) -> None:
    """A server that hangs up may have got the request."""
    with answering(200, {}) as (url, handler):
        handler.hangs_up = True
        problem = ask(url, {})
    assert problem.message.startswith(f"the server cannot be reached at {url.removeprefix('http://')}: ")
    assert (problem.is_lasting, problem.was_made) == (False, True)
