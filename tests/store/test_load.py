"""Loading events into a data store, on real engines, also where requests and answers get lost."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.alerts import alert_index
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import document_id, flatten
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.store import client as store_client
from sigma_stellar_aws.store import load as loading
from sigma_stellar_aws.store import retries
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import Rejected, analysed_fields, create_index, load_documents
from tests.support import proxy
from tests.support.proxy import Answer, Asked, Fault, Forward
from tests.support.records import cases, record
from tests.support.rogue import Request, answer, rogue


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small requests, and short pauses before one is made again."""
    monkeypatch.setattr(loading, "_BATCH_EVENTS", 50)
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(retries, "TRIES", 4)


@pytest.fixture
def index(engine_url: str) -> Iterator[str]:
    """The name of an index that is removed at the end."""
    name = f"load-{uuid.uuid4().hex}"
    yield name
    connect(engine_url, None, {}).indices.delete(index=name, ignore=404)


def events(count: int) -> Iterator[Document]:
    """Different events."""
    return ({"eventID": str(uuid.UUID(int=number)), "eventName": f"Any{number}"} for number in range(count))


def held(url: str, index: str) -> dict[str, Document]:
    """The events of an index by their ids."""
    hits = connect(url, None, {}).search(index=index, body={"size": 10000})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def is_bulk(asked: Asked) -> bool:
    """Whether a request loads events."""
    return asked.path.partition("?")[0].endswith("/_bulk")


BUSY: JsonObject = {"type": "es_rejected_execution_exception", "reason": "the queue is full"}
LATE: JsonObject = {
    "type": "mapper_exception",
    "reason": "timed out while waiting for a dynamic mapping update",
}


def half_refused(status: int, error: JsonObject) -> Fault:
    """Every second event of a request is not taken."""

    def fault(asked: Asked, forward: Forward) -> Answer:
        lines = asked.body.split(b"\n")[:-1]
        pairs = [lines[at : at + 2] for at in range(0, len(lines), 2)]
        answer = forward(b"\n".join([line for pair in pairs[::2] for line in pair] + [b""]))
        taken = iter(json.loads(answer.body)["items"])
        items = [{"create": {"status": status, "error": error}} if at % 2 else next(taken) for at in range(len(pairs))]
        return answer._replace(body=json.dumps({"items": items}).encode())

    return fault


FAULTS: dict[str, Fault] = {
    "busy shards": half_refused(429, BUSY),
    "429": proxy.status(429),
    "503": proxy.status(503),
    "lost": proxy.lost,
    "refused": proxy.refused,
    "cut": proxy.cut,
    "slow": proxy.slow,
}


@pytest.mark.parametrize("fault", [*FAULTS, "late mapping"])
@pytest.mark.usefixtures("quick")
def test_what_passes_is_waited_for(engine_url: str, index: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If every third request fails, whatever happens to it, each event is there once, and answered for."""
    # Of several at once, one may be the third several times in turn.
    monkeypatch.setattr(retries, "TRIES", 12)
    if fault == "slow":
        monkeypatch.setattr(store_client, "TIMEOUT_SECONDS", proxy.PATIENCE)
    faults = {**FAULTS, "late mapping": half_refused(500, LATE)}
    faulty = proxy.every(3 if fault != "slow" else 9, faults[fault], is_bulk)
    with proxy.proxy(engine_url, faulty) as between:
        client = connect(between.url, None, {})
        assert create_index(client, index, [])
        created, present, rejected = load_documents(client, index, events(600))
    assert created + present == 600
    assert rejected == 0
    # Of what was written before an answer got lost, nobody knows who wrote it.
    assert (present > 0) == (fault in ("lost", "cut", "slow"))
    assert held(engine_url, index) == {document_id(document): document for document in events(600)}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("quick")
def test_what_does_not_pass_is_told(engine_url: str, index: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If requests fail from some time on, the run fails: with what, and how often it was tried."""
    if fault == "slow":
        monkeypatch.setattr(store_client, "TIMEOUT_SECONDS", proxy.PATIENCE)
    requests = 0

    def faulty(asked: Asked) -> Fault | None:
        nonlocal requests
        requests += is_bulk(asked)
        return FAULTS[fault] if is_bulk(asked) and requests > 3 else None

    told = {
        "busy shards": r"events not taken: the queue is full",
        "429": "on purpose",
        "503": "on purpose",
        "slow": rf"did not answer within {proxy.PATIENCE:g} seconds",
    }
    with proxy.proxy(engine_url, faulty) as between:
        client = connect(between.url, None, {})
        create_index(client, index, [])
        with pytest.raises(
            StoreError, match=rf"{told.get(fault, 'cannot be reached')}.*; tried 4 times in \d+ seconds"
        ):
            load_documents(client, index, events(2000))
    # What is behind the failure is not sent.
    assert requests <= 3 + 4 * (loading.THREADS + 1)


@pytest.mark.usefixtures("quick")
def test_an_event_that_breaks_the_store_keeps_no_other() -> None:
    """What is answered by an error of the store again and again is told as not taken; the rest is loaded."""
    asked: list[int] = []

    def breaks(request: Request, write: Callable[[bytes], None]) -> None:
        if "_bulk" in request.line:
            ids = [json.loads(line)["create"]["_id"] for line in request.body.split(b"\n")[:-1:2]]
            asked.append(len(ids))
            broken = document_id(next(iter(events(1))))
            items = [{"create": {"status": 500, "error": LATE} if i == broken else {"status": 201}} for i in ids]
            write(answer(json.dumps({"items": items}).encode()))
        else:
            write(answer(b"{}"))

    told: list[Rejected] = []
    with rogue(breaks) as url, connect(url, None, {}) as client:
        assert load_documents(client, "logs", events(10), on_rejected=told.append) == (9, 0, 1)
    assert asked == [10, 1, 1, 1]
    assert "dynamic mapping update" in told[0].reason


@pytest.mark.parametrize("fault", ["lost", "refused", "cut", "503"])
@pytest.mark.usefixtures("quick")
def test_an_index_is_made_whatever_happens_to_the_request(engine_url: str, index: str, fault: str) -> None:
    """The request for an index is made again, and an index that it has made already is no error."""
    faulty = iter([FAULTS[fault]] * 2)
    with proxy.proxy(engine_url, lambda asked: next(faulty, None) if asked.method == "PUT" else None) as between:
        made = create_index(connect(between.url, None, {}), index, ["eventName"])
        assert len(between.paths("PUT")) == 3
    # Of an index whose answer got lost, nobody knows who made it.
    assert made == (fault in ("refused", "503"))
    [mapping] = connect(engine_url, None, {}).indices.get_mapping(index=index).values()
    assert mapping["mappings"]["properties"]["eventName"]["type"] == "keyword"


def test_what_is_wrong_with_an_index_is_told(engine_url: str, index: str) -> None:
    """A field that no index can have is an error, and not tried again."""
    with pytest.raises(StoreError, match="the store answered"):
        create_index(connect(engine_url, None, {}), index, ["a..b"])


def limited(most: int) -> Callable[[Asked], Fault | None]:
    """A store that takes requests up to a size."""
    return lambda asked: proxy.status(413) if is_bulk(asked) and len(asked.body) > most else None


@pytest.mark.usefixtures("quick")
def test_requests_that_are_too_large_are_halved(engine_url: str, index: str) -> None:
    """Where a store takes small requests only, every event that fits into one is loaded, and the others are named."""
    client = connect(engine_url, None, {})
    create_index(client, index, [])
    large: Document = {"eventID": str(uuid.UUID(int=1000)), "eventName": "x" * 2000}
    rejected: list[Rejected] = []
    with proxy.proxy(engine_url, limited(1000)) as between:
        [*some], [*others] = events(70), ({**each, "eventID": str(uuid.UUID(int=2000))} for each in events(1))
        sent = [*some, large, *some[:5], *others]
        loaded = load_documents(connect(between.url, None, {}), index, sent, on_rejected=rejected.append)
    assert loaded == (71, 5, 1)
    [(event_id, reason)] = rejected
    assert event_id == large["eventID"]
    assert reason == f"the store takes no request of its size, {len(json.dumps(large, separators=(',', ':'))):,} bytes"
    assert held(engine_url, index).keys() == {document_id(each) for each in [*some, *others]}


def test_no_event_is_loaded_among_alerts(engine_url: str, index: str, tmp_path: Path) -> None:
    """An index that was made for alerts is refused, and stays as it was."""
    alert_index.prepare_alert_index(connect(engine_url, None, {}), index, "any")
    file = tmp_path / "event.json"
    file.write_text(json.dumps(record({"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"})))
    result = CliRunner().invoke(main, ["load", str(file), "--url", engine_url, "--index", index])
    assert result.exit_code == 1
    assert f"Error: '{index}' was made for alerts, so no events are loaded into it; name another index" in result.stderr
    assert held(engine_url, index) == {}


@pytest.mark.usefixtures("quick")
def test_events_are_read_as_they_are_sent(engine_url: str, index: str) -> None:
    """However many events there are, only those of a few requests are in memory."""
    client = connect(engine_url, None, {})
    create_index(client, index, [])
    read, ahead = 0, 0

    def fault_of(asked: Asked) -> Fault | None:
        nonlocal ahead
        ahead = max(ahead, read - 50 * sum(map(is_bulk, between.asked)))
        return None

    def counted() -> Iterator[Document]:
        nonlocal read
        for document in events(2000):
            read += 1
            yield document

    with proxy.proxy(engine_url, fault_of) as between:
        assert load_documents(connect(between.url, None, {}), index, counted()).created == 2000
    assert 0 < ahead <= 50 * (loading.THREADS + 3)


@pytest.mark.usefixtures("quick")
def test_rejected_events_are_told_as_they_come(engine_url: str, index: str) -> None:
    """However many events are not taken, each is told soon after it was sent, and none is kept."""
    client = connect(engine_url, None, {})
    client.indices.create(index=index, body={"mappings": {"properties": {"sourceIPAddress": {"type": "ip"}}}})
    read, ahead = 0, 0
    told: list[str] = []

    def refused() -> Iterator[Document]:
        nonlocal read, ahead
        for document in events(1000):
            read += 1
            ahead = max(ahead, read - len(told))
            yield {**document, "sourceIPAddress": "none"}

    loaded = load_documents(client, index, refused(), on_rejected=lambda rejected: told.append(rejected.event_id))
    assert loaded == (0, 0, 1000)
    assert told == [str(document["eventID"]) for document in events(1000)]
    assert ahead <= 50 * (loading.THREADS + 3)


def test_each_outcome_is_counted(engine_url: str, index: str) -> None:
    """Events that are new, that the index holds, and that it does not take, are told apart, whatever they contain."""
    client = connect(engine_url, None, {})
    mappings = index_mappings()
    cast(JsonObject, mappings["properties"])["sourceIPAddress"] = {"type": "ip"}
    client.indices.create(index=index, body={"mappings": mappings})
    assert not create_index(client, index, [])
    odd: list[Document] = [
        {"eventID": 'with "quotes", \\ and \N{SNOWMAN}', "eventName": "A\nB"},
        {"eventName": "half a character: \ud83d"},
        {"eventName": "a number", "requestParameters_n": 2**70},
        {"eventName": "long" * 2_000_000},
    ]
    refused: Document = {"eventID": str(uuid.UUID(int=7)), "sourceIPAddress": "none"}
    rejected: list[Rejected] = []
    assert load_documents(client, index, [*odd, refused, *events(5)], on_rejected=rejected.append) == (
        len(odd) + 5,
        0,
        1,
    )
    [(event_id, reason)] = rejected
    assert event_id == refused["eventID"]
    assert "'none' is not an IP string literal" in reason
    assert load_documents(client, index, [*events(7), refused]) == (2, 5, 1)


def test_document_ids_tell_events_apart() -> None:
    """Copies of an event have the same id, whatever the order of their fields; no other event does, by any eventID."""
    documents = [flatten(case.record) for case in cases()]
    ids = [document_id(document) for document in documents]
    assert all(own.startswith(f"{event['eventID']}-") for own, event in zip(ids, documents, strict=True))
    for event_id in (None, "REDACTED", "00000000-0000-0000-0000-000000000000", documents[0]["eventID"]):
        event: Document = {**documents[0], "eventID": event_id} if event_id else {**documents[0], "eventID": ""}
        other: Document = {**event, "userIdentity_arn": "another"}
        assert document_id(event) == document_id(dict(reversed(event.items())))
        assert document_id(event) != document_id(other)


TEXTS_ARE_KEYWORDS: JsonObject = {"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}


@pytest.mark.parametrize(
    ("mappings", "expected"),
    [
        ({}, ["eventName", "userAgent"]),
        ({"properties": {"eventName": {"type": "keyword"}}}, ["userAgent"]),
        ({"dynamic_templates": [TEXTS_ARE_KEYWORDS]}, []),
        ({"dynamic_templates": [TEXTS_ARE_KEYWORDS], "properties": {"userAgent": {"type": "text"}}}, ["userAgent"]),
        (
            {"dynamic_templates": [{"some": {"match": "event*", "mapping": {"type": "keyword"}}}, TEXTS_ARE_KEYWORDS]},
            [],
        ),
        (
            {"dynamic_templates": [{"some": {"match": "event*", "mapping": {"type": "keyword"}}}]},
            ["eventName", "userAgent"],
        ),
    ],
    ids=str,
)
def test_fields_that_are_analysed_fields_are_known(
    engine_url: str, index: str, mappings: JsonObject, expected: list[str]
) -> None:
    """Of an index that was made otherwise it is known which texts it analyses, or would as soon as they come."""
    client = connect(engine_url, None, {})
    client.indices.create(index=index, body={"mappings": mappings})
    assert analysed_fields(client, index, ["userAgent", "eventName"]) == expected


def test_an_index_that_was_made_otherwise_is_told(engine_url: str, index: str, tmp_path: Path) -> None:
    """Events are loaded into an index of other mappings, with a warning and exit code 3; into our own without."""
    file = tmp_path / "event.json"
    file.write_text(json.dumps(record({"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"})))
    command = ["load", str(file), "--url", engine_url, "--index", index]
    client = connect(engine_url, None, {})
    client.indices.create(index=index)
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 3
    assert f"warning: {index} was there before, and takes the texts of " in told.stderr
    assert f"1 event loaded into {index}" in told.stderr
    client.indices.delete(index=index)
    for _ in range(2):
        result = CliRunner().invoke(main, command)
        assert (result.exit_code, "warning" in result.stderr) == (0, False)
