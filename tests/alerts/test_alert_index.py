"""Alerts in a data store: none lost and none doubled, however often runs are repeated, overlap or are killed."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import cast

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.alert import Alert, Raised
from sigma_stellar_aws.alerts.alert_index import begin_of_count, prepare_alert_index, store_alerts, store_batch
from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.alerts.pack import PackRule
from sigma_stellar_aws.alerts.suppress import raise_alerts
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.query.index_template import IGNORE_ABOVE, index_mappings
from sigma_stellar_aws.rule_files.stellar_block import Suppression
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import ALERTS_OF, OWN
from tests.support.killer import Moment, killer

HOUR = timedelta(hours=1)
START = datetime(2026, 10, 1, tzinfo=timezone.utc)
RULE = PackRule("r", "A rule", 50, "An Author", Suppression(24 * HOUR, ("actor",)), ("impact",), ("T1485",))
RULE_FILE = """\
title: A test rule
id: 00000000-0000-4000-8000-000000000001
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: DeleteAlarms}, condition: selection}
stellar: {suppression: {window: 24h, fields: [userIdentity.arn]}}
"""


@pytest.fixture
def client(engine_url: str) -> Iterator[OpenSearch]:
    """A data store, from which what was made is removed."""
    with connected(engine_url) as connection:
        clean(connection)
        yield connection
        clean(connection)


def connected(url: str) -> OpenSearch:
    """A client for a data store."""
    return connect(url, None, {})


def clean(client: OpenSearch) -> None:
    """Remove the indices of this module."""
    for name in client.indices.get(index="of-alerts*,of-events*"):
        client.indices.delete(index=name)


def hit(time: datetime, key: str = "alice", number: int = 0) -> Hit:
    """A hit at a time."""
    name = f"{time}-{key}-{number}"
    return Hit(millis(time), name, name, "s", "e", "", key, "", "", "", "logs", (("r", (key,)),))


def run(
    client: OpenSearch, hits: Sequence[Hit], since: datetime | None = None, problems: list[str] | None = None
) -> list[str]:
    """Raise the alerts of hits, and store them; what became of each."""
    prepare_alert_index(client, "of-alerts", "logs")

    begin = begin_of_count(client, "of-alerts", since)
    stored = store_alerts(
        client,
        "of-alerts",
        {"r": RULE},
        sorted(h for h in hits if begin is None or h.time is None or h.time >= millis(begin)),
        since=begin,
        report=(problems if problems is not None else []).append,
    )
    return sorted(outcome for _, outcome in stored)


def stored(client: OpenSearch, index: str = "of-alerts") -> dict[str, JsonObject]:
    """All alerts of an index."""
    client.indices.refresh(index=index)
    hits = client.search(index=index, body={"size": 10_000})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_an_alert_is_stored_under_its_id(client: OpenSearch) -> None:
    """An alert is a document with its own id, which can be searched by rule, severity, time and actor."""
    assert run(client, [hit(START), hit(START + HOUR)]) == ["created"]
    [(name, document)] = stored(client).items()
    assert document["id"] == name
    assert document["event_count"] == 2
    wanted = [
        {"term": {"rule.title": "A rule"}},
        {"range": {"severity": {"gte": 50}}},
        {"range": {"first_time": {"gte": "2026-10-01", "lt": "2026-10-02"}}},
        {"term": {"actors": "alice"}},
        {"term": {"techniques.id": "T1485"}},
        {"term": {"events.id": hit(START).event_id}},
    ]
    found = client.search(index="of-alerts", body={"query": {"bool": {"filter": wanted}}})
    assert found["hits"]["total"]["value"] == 1


def test_an_index_of_an_earlier_version_goes_on(client: OpenSearch) -> None:
    """An index from before alerts had their first event gets the fields that it lacks, and its alerts stay."""
    old: JsonObject = {
        "_meta": {OWN: {ALERTS_OF: "logs"}, "team": "blue"},
        "date_detection": False,
        "properties": {
            **{name: {"type": "keyword"} for name in ("id", "actors")},
            "rule": {"properties": {"id": {"type": "keyword", "ignore_above": IGNORE_ABOVE}}},
            "suppression": {"properties": {name: {"type": "date"} for name in ("start", "end", "first", "last")}},
        },
    }
    client.indices.create(index="of-alerts", body={"mappings": old})
    client.index(index="of-alerts", id="old", body={"id": "old", "actors": ["bob"]}, params={"refresh": "true"})
    assert run(client, [hit(START)]) == ["created"]
    [mapping] = (each["mappings"] for each in client.indices.get_mapping(index="of-alerts").values())
    assert mapping["_meta"] == {OWN: {ALERTS_OF: "logs", "version": 4}, "team": "blue"}
    assert mapping["properties"]["first_event"]["properties"]["record"]["enabled"] is False
    assert mapping["properties"]["rule"]["properties"]["triage"] == {"type": "text"}
    assert mapping["properties"]["failed_count"] == {"type": "long"}
    assert mapping["properties"]["source_locations"]["properties"]["asn"] == {"type": "long"}
    assert mapping["properties"]["suppression"]["properties"]["failed"] == {"type": "long"}
    assert stored(client)["old"] == {"id": "old", "actors": ["bob"]}
    assert run(client, [hit(START)]) == ["unchanged"]


def test_a_repeated_run_changes_nothing(client: OpenSearch) -> None:
    """The same events make the same alerts, whose documents are not even written again."""
    hits = [hit(START + n * HOUR, key) for n in range(60) for key in ("alice", "bob")]
    assert run(client, hits) == ["created"] * 6
    versions = client.search(index="of-alerts", body={"version": True, "size": 10, "sort": ["id"]})["hits"]["hits"]
    assert run(client, hits) == ["unchanged"] * 6
    assert run(client, hits, START + 50 * HOUR) == ["unchanged"] * 2
    again = client.search(index="of-alerts", body={"version": True, "size": 10, "sort": ["id"]})["hits"]["hits"]
    assert again == versions


def test_an_open_window_is_updated(client: OpenSearch) -> None:
    """Later events count into the alert whose window is open, and what people wrote into it stays."""
    run(client, [hit(START)])
    [name] = stored(client)
    client.update(index="of-alerts", id=name, body={"doc": {"status": "in work", "severity": 90}})
    later = [hit(START), hit(START + HOUR), hit(START + 25 * HOUR)]
    assert run(client, later, START + HOUR) == ["created", "updated"]
    documents = stored(client)
    assert {d["event_count"] for d in documents.values()} == {1, 2}
    assert (documents[name]["event_count"], documents[name]["last_time"]) == (2, "2026-10-01T01:00:00Z")
    assert (documents[name]["status"], documents[name]["severity"]) == ("in work", 90)


def test_events_that_are_gone_stay_counted(client: OpenSearch) -> None:
    """Where the store has deleted the first events of an alert, its number does not fall and its sample stays."""
    run(client, [hit(START, number=n) for n in range(5)])
    [before] = stored(client).values()
    assert run(client, [hit(START + HOUR)], START + HOUR) == ["updated"]
    [after] = stored(client).values()
    end = START + HOUR
    suppression = {**cast(JsonObject, before["suppression"]), "last": millis(end)}
    assert after == {**before, "last_time": "2026-10-01T01:00:00Z", "suppression": suppression}


def test_failed_events_are_counted_over_runs(client: OpenSearch) -> None:
    """A call that fails and later succeeds is told so, whichever of both the store has deleted meanwhile."""
    failed = hit(START)._replace(error_code="AccessDenied")
    later = [hit(START + HOUR, number=n) for n in range(3)]
    assert run(client, [failed]) == ["created"]
    [document] = stored(client).values()
    assert (document["event_count"], document["failed_count"], document["error_codes"]) == (1, 1, ["AccessDenied"])
    for hits, outcome in (([failed, *later], "updated"), (later, "unchanged"), ([failed], "unchanged")):
        assert run(client, hits, START + HOUR if failed not in hits else START) == [outcome]
        [document] = stored(client).values()
        assert (document["event_count"], document["failed_count"], document["error_codes"]) == (4, 1, ["AccessDenied"])


def test_failed_events_of_an_alert_of_an_earlier_version(client: OpenSearch) -> None:
    """An alert that was raised without its failed events gets them with the next run, while its window is open."""
    hits = [hit(START)._replace(error_code="AccessDenied"), hit(START + HOUR)]
    run(client, hits)
    [(name, document)] = stored(client).items()
    counters = cast(JsonObject, document["suppression"])
    for part, lacking in ((document, ("failed_count", "error_codes")), (counters, ("failed", "error_codes"))):
        for field in lacking:
            del part[field]
    client.index(index="of-alerts", id=name, body=document, params={"refresh": "true"})
    assert run(client, hits, START + HOUR) == ["updated"]
    document = stored(client)[name]
    assert (document["event_count"], document["failed_count"], document["error_codes"]) == (2, 1, ["AccessDenied"])
    assert run(client, hits, START + HOUR) == ["unchanged"]


def test_a_late_event_makes_no_second_alert(client: OpenSearch) -> None:
    """An event from before the start of an alert that arrives after it was raised counts into it."""
    run(client, [hit(START + HOUR)])
    assert run(client, [hit(START), hit(START + HOUR)], START - HOUR) == ["updated"]
    [document] = stored(client).values()
    assert (document["first_time"], document["event_count"]) == ("2026-10-01T00:00:00Z", 2)


def test_two_runs_at_once_make_one_alert(client: OpenSearch) -> None:
    """An alert that another run created meanwhile is updated, not doubled, and its number does not fall."""
    prepare_alert_index(client, "of-alerts", "logs")

    def alerts(*hits: Hit) -> list[Alert]:
        return list(raise_alerts(hits, {"r": RULE}))

    first = hit(START)
    assert [w.outcome for w in store_batch(client, "of-alerts", alerts(first))] == ["created"]
    assert [w.outcome for w in store_batch(client, "of-alerts", alerts(first, hit(START + HOUR)))] == ["updated"]
    [(alert, outcome)] = store_batch(client, "of-alerts", alerts(first))
    assert (alert.events, outcome) == (2, "unchanged")
    [document] = stored(client).values()
    assert document["event_count"] == 2


def test_events_without_a_time(client: OpenSearch) -> None:
    """The alert of events without a time is stored once, too."""
    timeless = [hit(START, number=n)._replace(time=None) for n in range(2)]
    assert run(client, timeless[:1]) == ["created"]
    assert run(client, timeless) == ["updated"]
    [document] = stored(client).values()
    assert (document["first_time"], document["event_count"]) == (None, 2)


def test_many_alerts(client: OpenSearch) -> None:
    """More alerts than one request takes are all written, and all found again."""
    hits = [hit(START + timedelta(seconds=n), f"actor-{n}") for n in range(1200)]
    assert run(client, hits) == ["created"] * 1200
    assert len(stored(client)) == 1200
    more = [*hits, *(hit(START + HOUR, f"actor-{n}") for n in range(1200))]
    assert run(client, more, START + HOUR) == ["updated"] * 1200
    assert {document["event_count"] for document in stored(client).values()} == {2}


def test_an_index_of_something_else_is_refused(client: OpenSearch) -> None:
    """Into an index that was not made for alerts nothing is written."""
    client.indices.create(index="of-events")
    with pytest.raises(StoreError, match="'of-events' was not made for alerts"):
        prepare_alert_index(client, "of-events", "logs")
    assert client.count(index="of-events")["count"] == 0


def test_alerts_of_one_search_are_not_mixed_with_others(client: OpenSearch) -> None:
    """An index of alerts holds those of one search: counts of two would replace each other."""
    prepare_alert_index(client, "of-alerts", "logs")
    with pytest.raises(StoreError, match=r"has the alerts of 'logs', not of 'other'"):
        prepare_alert_index(client, "of-alerts", "other")


def test_an_alias_stands_for_one_index(client: OpenSearch) -> None:
    """An alias of an index of alerts will do, one of two is refused, since an alert could be in either."""
    run(client, [hit(START)])
    client.indices.put_alias(index="of-alerts", name="of-alerts-now")
    prepare_alert_index(client, "of-alerts-now", "logs")
    prepare_alert_index(client, "of-alerts-2", "logs")
    client.indices.put_alias(index="of-alerts-2", name="of-alerts-now")
    with pytest.raises(StoreError, match="stands for 2 indices"):
        prepare_alert_index(client, "of-alerts-now", "logs")


@pytest.mark.parametrize("name", ["", "A", "a*", "a,b", "_a", "-a", "a b"])
def test_names_of_indices(client: OpenSearch, name: str) -> None:
    """What cannot be the name of an index is refused."""
    with pytest.raises(StoreError, match="is not a name of an index"):
        prepare_alert_index(client, name, "logs")


def test_what_people_write_stops_nothing(client: OpenSearch) -> None:
    """Whatever becomes of the parts that are for people, a later run counts as if nothing were."""
    run(client, [hit(START), hit(START + HOUR)])
    [name] = stored(client)
    changes: JsonObject = {"event_count": 7, "first_time": "2020-01-01", "last_time": None, "id": None, "events": []}
    client.indices.put_mapping(index="of-alerts", body={"properties": {"status": {"type": "keyword"}}})
    client.update(index="of-alerts", id=name, body={"doc": changes})
    problems: list[str] = []
    hits = [hit(START), hit(START + HOUR), hit(START + 2 * HOUR)]
    assert run(client, hits, START + 2 * HOUR, problems) == ["updated"]
    assert problems == []
    [document] = stored(client).values()
    assert (document["event_count"], document["first_time"]) == (3, "2026-10-01T00:00:00Z")


def test_an_alert_that_lost_its_counters_is_put_right(client: OpenSearch) -> None:
    """An alert without what its events are counted by is told, and raised anew under its id."""
    run(client, [hit(START), hit(START + HOUR), hit(START, "bob")])
    lost = next(name for name, document in stored(client).items() if document["actors"] == ["alice"])
    client.update(index="of-alerts", id=lost, body={"doc": {"suppression": {"events": None}}})
    problems: list[str] = []
    hits = [hit(START), hit(START, "bob"), hit(START + HOUR), hit(START + 2 * HOUR)]
    assert run(client, hits, START + 2 * HOUR, problems) == ["unchanged", "updated"]
    assert [lost in problem for problem in problems] == [True]
    documents = stored(client)
    assert len(documents) == 2
    assert documents[lost]["event_count"] == 3
    assert cast(JsonObject, documents[lost]["suppression"])["events"] == 3


def test_an_alert_that_is_deleted_meanwhile(client: OpenSearch) -> None:
    """Where somebody deletes an alert while a run counts into it, the run goes on."""
    run(client, [hit(START)])
    [name] = stored(client)
    alerts = list(raise_alerts([hit(START), hit(START + HOUR)], {"r": RULE}))
    changed = [alert._replace(raised=Raised(name, alert.key_id, 0, 0, 0, 0, 1)) for alert in alerts]
    client.delete(index="of-alerts", id=name, params={"refresh": "true"})
    store_batch(client, "of-alerts", changed)
    assert stored(client) == {}


@pytest.mark.parametrize("text", ["\ud800x", "a\0b", "\U0001f600", "x" * 40_000])
def test_odd_texts(client: OpenSearch, text: str) -> None:
    """Whatever a record holds, its alert is stored, and found by a later run."""
    assert run(client, [hit(START, text)]) == ["created"]
    assert run(client, [hit(START, text), hit(START + HOUR, text)]) == ["updated"]


def test_an_alert_that_the_store_refuses_is_told(client: OpenSearch) -> None:
    """A document that is not taken ends the run with the reason."""
    prepare_alert_index(client, "of-alerts", "logs")
    client.indices.put_mapping(index="of-alerts", body={"dynamic": "strict"})
    with pytest.raises(StoreError, match=r"could not be stored: .*strict"):
        run(client, [hit(START)])


# --- killed runs ---


def event(time: datetime, arn: str, number: int) -> JsonObject:
    """A flattened event that the test rule finds."""
    return {
        "timestamp": millis(time),
        "eventName": "DeleteAlarms",
        "userIdentity_arn": arn,
        "eventID": f"00000000-0000-4000-8000-{number:012}",
    }


def add(client: OpenSearch, events: Iterable[JsonObject]) -> None:
    """Add events to the index of events."""
    lines = [line for body in events for line in ({"create": {"_id": body["eventID"]}}, body)]
    answer = client.bulk(index="of-events", body=lines, refresh=True)
    assert not answer["errors"]


END = START + 100 * HOUR


def first_events() -> list[JsonObject]:
    """Many keys, each with a window that is over and some with one that is open at the end."""
    return [event(START + n * HOUR / 2, f"arn-{n % 100}", n) for n in range(200)]


def later_events() -> list[JsonObject]:
    """Events that arrive between two runs: new ones, and late ones in windows that are open, and before their start."""
    within = [event(END - HOUR / 4, f"arn-{60 + n}", 5000 + n) for n in range(39)]
    before = [event(END - HOUR / 2 - HOUR / 10, "arn-99", 6000)]
    new = [event(END + timedelta(minutes=n), f"arn-{n}", 7000 + n) for n in range(60)]
    return [*within, *before, *new]


class Place:
    """Where one sequence of runs keeps its alerts and its checkpoint."""

    def __init__(self, name: str, folder: Path) -> None:
        """Name both."""
        self.index = f"of-alerts-{name}"
        self.checkpoint = folder / f"{name}.checkpoint"
        self.rule = folder / "rule.yml"
        self.rule.write_text(RULE_FILE, encoding="utf-8")

    def command(self, url: str) -> list[str]:
        """The command of a run."""
        options = ["--index", "of-events", "--write", self.index, "--checkpoint", self.checkpoint, "--rules", self.rule]
        options += ["--overlap", "60m", "--json"]
        program = "from sigma_stellar_aws.cli import main; main()"
        return [sys.executable, "-c", program, "alerts", "--url", url, *map(str, options)]

    def rewind(self, to: bytes) -> None:
        """Put the checkpoint back, as after the first run."""
        self.checkpoint.write_bytes(to)


@pytest.mark.parametrize("engine", ["opensearch", "elasticsearch"])
def test_a_killed_run_loses_and_doubles_nothing(
    engine: str, url_of_engine: Callable[[str], str], tmp_path: Path
) -> None:
    """Killed at any request that matters, and run again: the alerts of undisturbed runs."""
    url = url_of_engine(engine)
    client = connected(url)
    clean(client)
    client.indices.create(index="of-events", body={"mappings": index_mappings(["userIdentity_arn", "eventName"])})
    try:
        with killer(url) as proxy:
            add(client, first_events())
            calm = Place("calm", tmp_path)
            proxy.run(calm.command(proxy.url))
            # Times of events are not those of the clock: the next run is to begin at the end of the events.
            held = json.loads(calm.checkpoint.read_bytes())
            held["through"] = END.isoformat()
            between = stored(client, calm.index)
            add(client, later_events())
            checkpoint = json.dumps(held).encode()
            calm.rewind(checkpoint)
            proxy.run(calm.command(proxy.url))
            count = len(proxy.requests)
            expected = stored(client, calm.index)
            # Of the 60 that are new, the windows of 6 are open: they were opened 24 h minus less than an hour before.
            assert (len(between), len(expected)) == (200, 254)
            assert sum(int(str(document["event_count"])) for document in expected.values()) == 300
            writes = [n for n, name in enumerate(proxy.requests, 1) if "_bulk" in name]
            assert len(writes) == 2
            # Before the first that writes, nothing has changed; one of those stands for all.
            moments: list[tuple[int, Moment]] = [(n, "after") for n in (1, *range(writes[0], count + 1))]
            moments += [(n, "before") for n in writes]
            if engine == "elasticsearch":
                moments = [(writes[0], "after")]
            for number, moment in moments:
                place = Place(f"{number}-{moment}", tmp_path)
                restore(client, place.index, between)
                place.rewind(checkpoint.replace(calm.index.encode(), place.index.encode()))
                assert proxy.run(place.command(proxy.url), number, moment) < 0
                assert proxy.run(place.command(proxy.url)) == 0
                assert stored(client, place.index) == expected, (number, moment, proxy.requests)
                client.indices.delete(index=place.index)
    finally:
        clean(client)


def test_a_killed_first_run(opensearch_url: str, tmp_path: Path) -> None:
    """A first run of several requests that write, killed at each of them and run again, raises the same alerts."""
    client = connected(opensearch_url)
    clean(client)
    client.indices.create(index="of-events", body={"mappings": index_mappings(["userIdentity_arn", "eventName"])})
    try:
        with killer(opensearch_url) as proxy:
            add(client, [event(START + timedelta(seconds=n), f"arn-{n}", n) for n in range(1200)])
            calm = Place("calm", tmp_path)
            proxy.run(calm.command(proxy.url))
            expected = stored(client, calm.index)
            assert len(expected) == 1200
            writes = [n for n, name in enumerate(proxy.requests, 1) if "_bulk" in name]
            assert len(writes) == 3
            for number in writes:
                place = Place(f"{number}-first", tmp_path)
                assert proxy.run(place.command(proxy.url), number, "after") < 0
                assert not place.checkpoint.exists()
                assert proxy.run(place.command(proxy.url)) == 0
                assert stored(client, place.index) == expected
    finally:
        clean(client)


def restore(client: OpenSearch, index: str, alerts: dict[str, JsonObject]) -> None:
    """An index with the alerts of the first run."""
    prepare_alert_index(client, index, "of-events")
    lines = [line for name, body in alerts.items() for line in ({"create": {"_id": name}}, body)]
    assert not client.bulk(index=index, body=lines, refresh=True)["errors"]
