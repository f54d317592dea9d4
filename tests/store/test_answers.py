"""What a server answers: what cannot be read is told to people, and our own mistakes are not told as a server's."""

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.store import mapping
from sigma_stellar_aws.store.answers import AnswerError, SearchAnswer, as_store_errors, read_whole, server_error_text
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import count_each, describe_store
from sigma_stellar_aws.store.retries import NotWholeError
from tests.support.answering import answering
from tests.support.proxy import Asked, proxy

GOOD: JsonObject = {
    "/": {"version": {"distribution": "opensearch", "number": "3.8.0"}},
    "/any/_mapping": {"any": {"mappings": {"properties": {"f": {"type": "keyword"}}}}},
    "/any/_settings": {"any": {"settings": {"index": {}}}},
    "/any/_field_caps": {"fields": {"f": {"keyword": {"searchable": True}}}},
}


def test_a_mistake_of_ours_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is no server's is not told as one, so that it is found and not taken for a wrong URL."""

    def broken(indices: object) -> None:
        raise TypeError("a mistake of ours")

    with answering(200, {}) as (url, handler), connect(url, None, {}) as client:
        handler.bodies = GOOD
        assert describe_store(client, "any")["fields"] == {"f": {"type": "keyword"}}
        monkeypatch.setattr(mapping, "described_fields", broken)
        with pytest.raises(TypeError, match="a mistake of ours"):
            describe_store(client, "any")


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError(), AttributeError(), ValueError(), RecursionError()], ids=repr
)
def test_only_errors_of_servers_are_told_as_such(error: Exception) -> None:
    """What the code around a request raises stays what it is."""
    with pytest.raises(type(error)) as raised, as_store_errors("any"):
        raise error
    assert raised.value is error


def _deep(depth: int) -> Json:
    value: Json = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, b"[]"),
        (400, b'"no"'),
        (404, b"[" * 100_000 + b"]" * 100_000),
        (200, b"[" * 100_000 + b"]" * 100_000),
        (200, b"no JSON"),
        (200, b"\xff\xfe"),
        (200, b""),
        (200, b"[]"),
        (200, b"null"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_answers_of_any_form_are_told(status: int, text: bytes, proxied: bool) -> None:
    """Whatever a server sends becomes an error for people, through a proxy too."""
    with answering(status, {}) as (url, handler):
        handler.text = text
        environment = {"HTTP_PROXY": url} if proxied else {}
        with (
            connect("http://store.example.com:9200" if proxied else url, None, environment) as client,
            pytest.raises(StoreError),
        ):
            count_each(client, "any", {})


def test_a_part_is_known_before_what_is_missing() -> None:
    """Of an answer for a part of the data it is told that it is one, whatever else it lacks; it may be asked again."""

    class Answer(SearchAnswer, kw_only=True):
        hits: list[str]

    failure = {"reason": {"reason": "why", "caused_by": {"type": "a", "reason": "b"}}}
    with pytest.raises(NotWholeError, match=r"1 of 2 shards failed \(why \(a: b\)\); "):
        read_whole(Answer, {"_shards": {"total": 2, "failed": 1, "failures": [failure]}})
    for part, told in (
        ({"_shards": {"total": 3, "successful": 2, "failed": 0}}, "only 2 of 3 shards answered"),
        ({"_clusters": {"total": 2, "successful": 1, "skipped": 1}}, "only 1 of 2 clusters answered, 1 were skipped"),
        ({"timed_out": True}, "the search timed out"),
    ):
        with pytest.raises(NotWholeError, match=told):
            read_whole(Answer, {"hits": ["a"], **part})
    with pytest.raises(AnswerError, match="`hits`"):
        read_whole(Answer, {"_shards": {"total": 2, "failed": 0}})
    assert read_whole(Answer, {"hits": ["a"]}).hits == ["a"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("plain", "plain"),
        ({"type": "x", "reason": "why"}, "why (x: why)"),
        ({"reason": "all", "root_cause": [{"type": "x", "reason": "why"}]}, "all (x: why)"),
        ({"reason": "all", "root_cause": [None], "caused_by": {"type": "x", "reason": "why"}}, "all (x: why)"),
    ],
)
def test_reasons(error: object, text: str) -> None:
    """The root cause of an error is told, where there is one."""
    assert server_error_text(error) == text


@pytest.mark.parametrize("password", ["hunter2hunter2", 'hunter"2\\'])
def test_reasons_within_an_answer_hold_no_credentials(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer may succeed as a whole, so that the client raises nothing, and repeat for a shard what it was sent."""
    monkeypatch.setenv("SIGMA_STELLAR_AWS_USER", "alice")
    monkeypatch.setenv("SIGMA_STELLAR_AWS_PASSWORD", password)
    basic = base64.b64encode(f"alice:{password}".encode()).decode()
    failure = {"reason": {"type": "odd", "reason": f"Basic {basic} is {password}"}}
    with pytest.raises(NotWholeError) as told:
        read_whole(SearchAnswer, {"_shards": {"total": 1, "failed": 1, "failures": [failure]}})
    assert "(odd: Basic *** is ***)" in str(told.value)
    monkeypatch.delenv("SIGMA_STELLAR_AWS_PASSWORD")
    assert "odd: hunter" in server_error_text({"type": "odd", "reason": "hunter"})


EVENT = {"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup", "eventID": "1"}


@pytest.mark.parametrize("command", ["alerts", "doctor", "load", "profile"])
@pytest.mark.parametrize("found", [True, False])
def test_connections_are_closed(engine_url: str, command: str, found: bool, tmp_path: Path) -> None:
    """Every command closes its connections to the store, whether it succeeds or fails."""
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    index = "answers-closing"

    def asked(asked: Asked) -> None:
        return None

    with connect(engine_url, None, {}) as client:
        if found:
            client.indices.create(index=index)
        try:
            with proxy(engine_url, asked) as between:
                arguments = [str(tmp_path / "event.json")] if command == "load" else []
                name = index if found or command != "load" else "Not-A-Name"
                # The result holds the error, and with it all that its frames hold.
                result = CliRunner().invoke(main, [command, *arguments, "--url", between.url, "--index", name])
                assert isinstance(result.exception, SystemExit | None), result.exception
                assert between.asked or not found
                assert between.wait_until_closed(10)
        finally:
            client.indices.delete(index=index, ignore=404)
