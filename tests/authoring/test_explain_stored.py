"""Explanations of events that are in a data store, on real engines."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import document_id, flatten
from sigma_stellar_aws.store.answers import answered_engine
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents
from tests.support.ecs_store import ecs_mappings, ingested, nested
from tests.support.records import record

RULE = "aws_cloudwatch_alarm_deleted.yml"
EVENT = record({"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms"}, number=1)
OTHER = record({"eventSource": "monitoring.amazonaws.com", "eventName": "PutMetricAlarm"}, number=2)
_OBJECTS = {"opensearch": "flat_object", "elasticsearch": "flattened"}
STORES = ("explained-flat", "explained-dotted", "explained-ecs")


@pytest.fixture(scope="module")
def stores(engine_url: str) -> Iterator[str]:
    """URL of each engine, with two events in an index of each layout; one has a mapping that came by itself."""
    client = connect(engine_url, None, {})
    flat, dotted, ecs = STORES
    create_index(client, flat, [])
    assert not load_documents(client, flat, map(flatten, (EVENT, OTHER))).rejected
    client.indices.create(index=ecs, body={"mappings": ecs_mappings(_OBJECTS[answered_engine(client)[0]])})
    for number, event in enumerate((EVENT, OTHER), 1):
        client.index(index=dotted, id=f"d{number}", body=event)
        client.index(index=ecs, id=f"e{number}", body=nested(ingested(event, newer=True)))
    client.indices.refresh(index=",".join(STORES))
    yield engine_url
    client.indices.delete(index=",".join(STORES))


def run(*arguments: str) -> Result:
    """Run the command; an exception that would be a traceback is one."""
    result = CliRunner().invoke(main, ["explain", RULE, *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def explained(url: str, index: str, identity: str) -> dict[str, Any]:
    """What is said of an event, as JSON."""
    result = run("--url", url, "--index", index, "--id", identity, "--json")
    assert result.exit_code == 0, result.stderr
    explanation: dict[str, Any] = json.loads(result.stdout)
    return explanation


def first_id(index: str, event: JsonObject, number: int) -> str:
    """The id of an event's document."""
    return document_id(flatten(event)) if index == STORES[0] else f"{'d' if index == STORES[1] else 'e'}{number}"


@pytest.mark.parametrize("index", STORES)
def test_an_event_is_found_by_the_id_of_its_document(stores: str, index: str) -> None:
    """However the store keeps it, the explanation is that of the record, in CloudTrail's names."""
    hit = explained(stores, index, first_id(index, EVENT, 1))
    assert (hit["matches"], hit["eventID"]) == (True, EVENT["eventID"])
    miss = explained(stores, index, first_id(index, OTHER, 2))
    assert (miss["matches"], miss["eventID"]) == (False, OTHER["eventID"])
    assert "eventName" in json.dumps(miss)
    assert "PutMetricAlarm" in json.dumps(miss)


@pytest.mark.parametrize("index", STORES)
def test_an_event_is_found_by_its_event_id(stores: str, index: str) -> None:
    """Alerts name events so."""
    assert explained(stores, index, str(OTHER["eventID"]))["eventID"] == OTHER["eventID"]


def test_what_is_not_there_is_said(stores: str) -> None:
    """Neither a document nor an event: an error with both, and with the index."""
    result = run("--url", stores, "--index", STORES[1], "--id", "nothing")
    assert result.exit_code == 2
    assert f"{STORES[1]} has no document with the id, and no event with the eventID, 'nothing'" in result.stderr
    assert run("--url", stores, "--index", "no-such-index", "--id", "x").exit_code == 1
    # An eventID is not found by a part of it.
    assert run("--url", stores, "--index", STORES[1], "--id", str(EVENT["eventID"])[:8]).exit_code == 2


def test_one_id_in_two_indices_is_said(stores: str) -> None:
    """The first index is shown, and the other one named."""
    client = connect(stores, None, {})
    client.index(index="explained-other", id="d1", body=OTHER, params={"refresh": "true"})
    try:
        result = run("--url", stores, "--index", "explained-dotted,explained-other", "--id", "d1", "--json")
    finally:
        client.indices.delete(index="explained-other")
    assert json.loads(result.stdout)["matches"] is True
    assert "d1 is also in explained-other; shown is that of explained-dotted" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--url", "http://127.0.0.1:9"],
        ["--id", "x"],
        ["--url", "http://127.0.0.1:9", "--id", "x", "--number", "1"],
        ["tests/samples/export.ndjson", "--url", "http://127.0.0.1:9", "--id", "x"],
        ["tests/samples/export.ndjson", "--id", "x"],
    ],
)
def test_either_a_file_or_a_store_is_named(arguments: list[str]) -> None:
    """What belongs to the other is misuse."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert "name either a file of events or a data store: --url URL --id ID" in result.stderr
