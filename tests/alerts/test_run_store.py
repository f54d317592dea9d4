"""Alerts of a data store, with any number of rules: on real engines, compared with the alerts of files."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from opensearchpy import OpenSearch
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from sigma_stellar_aws.alerts.alert_json import alert_json
from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.alerts.run import AlertOptions, AlertSearch, alerts_of_files
from sigma_stellar_aws.alerts.run_store import alerts_of_store, update_alert_index
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.times import millis, time_text
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents
from sigma_stellar_aws.store.mapping import describe_store
from tests.support import proxy
from tests.support.records import cases

INDEX = "run-store-events"
RULES = 1500
TOO_COMPLEX = "a.{20}b"


class Filled(NamedTuple):
    """The same events in a data store and in a file."""

    url: str
    client: OpenSearch
    file: Path


@pytest.fixture(scope="module")
def filled(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """The events of all rules, in each engine in turn."""
    client = connect(engine_url, None, {})
    records = [case.record for case in cases()]
    file = tmp_path_factory.mktemp("events") / "events.ndjson"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    create_index(client, INDEX, [*pack_fields(), "userAgent"])
    documents = [flatten(record) for record in records]
    assert not load_documents(client, INDEX, documents).rejected
    yield Filled(engine_url, client, file)
    client.indices.delete(index=INDEX)


def rule(number: int, selection: dict[str, Any], *, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """A rule that alerts for each caller."""
    detection: dict[str, Any] = {"selection": selection, "condition": "selection"}
    if more is not None:
        detection |= {"more": more, "condition": "selection and not more"}
    return {
        "title": f"Rule {number}",
        "id": f"00000000-0000-4000-8000-{number:012}",
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": detection,
        "stellar": {"suppression": {"window": "24h", "fields": ["userIdentity.arn"]}},
    }


def rules(*added: dict[str, Any], count: int = RULES) -> SigmaCollection:
    """Many rules: for one event name, for several, for parts of other fields; and some more."""
    names = sorted({str(case.record["eventName"]) for case in cases()})
    made: list[dict[str, Any]] = []
    for number in range(count):
        name = names[number % len(names)]
        other = names[number * 7 % len(names)]
        made.append(
            [
                rule(number, {"eventName": name}),
                rule(number, {"eventName": [name, other], "userIdentity.type|startswith": "A"}),
                rule(number, {"eventName": name}, more={"userAgent|contains": f"{number % 10}.{number % 7}"}),
                rule(number, {"eventName|cased": [name, other], "awsRegion|endswith": f"-{number % 3}"}),
            ][number % 4]
        )
    return SigmaCollection.from_dicts([*made, *added])


def alerts(search: AlertSearch) -> dict[str, dict[str, Any]]:
    """What alerts say, by their ids, but for where events are kept."""
    return {
        alert.id: {**alert_json(alert), "events": sorted(event for event, _ in alert.sample)} for alert in search.alerts
    }


def test_as_many_rules_as_one_likes(filled: Filled) -> None:
    """1,500 rules, far more than one query takes, raise the alerts that they raise from files, at one point in time."""
    with proxy.proxy(filled.url, lambda asked: None) as between:
        found = alerts_of_store(connect(between.url, None, {}), INDEX, rules())
        opened = [asked for asked in between.asked if asked.method == "POST" and "keep_alive" in asked.path]
    of_files = alerts_of_files([filled.file], rules())
    assert (len(found.rules), found.problems, found.events) == (RULES, [], of_files.events)
    assert alerts(found) == alerts(of_files)
    assert len(found.alerts) > RULES
    assert len(opened) == 1


def test_their_alerts_are_kept_in_an_index(filled: Filled) -> None:
    """An index of alerts gets the same ones, also where the rules need several queries."""
    try:
        update = update_alert_index(filled.client, "run-store-alerts", INDEX, rules(count=600))
        assert update.created == len(alerts_of_files([filled.file], rules(count=600)).alerts)
        again = update_alert_index(filled.client, "run-store-alerts", INDEX, rules(count=600))
        assert (again.created, again.updated, again.unchanged) == (0, 0, update.created)
    finally:
        filled.client.indices.delete(index="run-store-alerts")


@pytest.mark.parametrize(
    ("time_field", "reason"), [("eventTime", "is not a date (keyword)"), ("@timestamp", "does not exist")]
)
def test_events_without_a_usable_time(filled: Filled, time_field: str, reason: str) -> None:
    """Where the store has no date to sort by, each event comes once, too, with the time that it tells itself."""
    found = alerts_of_store(filled.client, INDEX, rules(count=600), time_field=time_field)
    assert alerts(found) == alerts(alerts_of_files([filled.file], rules(count=600)))
    assert [note for note in found.notes if "time field" in note] == [
        f"the time field '{time_field}' {reason} in {INDEX}; name the one of this store: --time-field NAME; "
        "without one, events have the times that they tell themselves"
    ]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"userAgent|re": TOO_COMPLEX}, "the store refuses its query: "),
    ({"userAgent|startswith": [f"{number}" for number in range(9_000)]}, "it has 9,000 conditions, and the store"),
]


@pytest.mark.parametrize(("selection", "reason"), BAD, ids=["too complex", "too large"])
def test_a_rule_that_is_refused_is_left_out(filled: Filled, selection: dict[str, Any], reason: str) -> None:
    """Only the rule that the store refuses is left out, by name; nothing is asked again, and the others go on."""
    bad = rule(9999, selection)
    with proxy.proxy(filled.url, lambda asked: None) as between:
        found = alerts_of_store(connect(between.url, None, {}), INDEX, rules(bad, count=40))
    asked = [each.body for each in between.asked if each.body]
    assert len(asked) == len(set(asked))
    assert found.problems == [found.problems[0]]
    assert found.problems[0].startswith(f"this rule is left out: Rule 'Rule 9999': {reason}")
    assert "00000000-0000-4000-8000-000000009999" not in found.rules
    assert alerts(found) == alerts(alerts_of_files([filled.file], rules(count=40)))
    with pytest.raises(SigmaError, match="Rule 9999"):
        alerts_of_store(filled.client, INDEX, rules(bad, count=40), options=AlertOptions(strict=True))
    with pytest.raises(SigmaError, match="Rule 9999"):
        alerts_of_store(filled.client, INDEX, SigmaCollection.from_dicts([bad]))


@pytest.mark.parametrize(("selection", "reason"), BAD, ids=["too complex", "too large"])
def test_doctor_says_the_same(filled: Filled, tmp_path: Path, selection: dict[str, Any], reason: str) -> None:
    """A rule that the store refuses cannot match, for the reason that a search tells."""
    for number, each in enumerate([rule(1, {"eventName": "CreateUser"}), rule(2, selection)]):
        (tmp_path / f"{number}.yml").write_text(json.dumps(each))
    result = CliRunner().invoke(main, ["doctor", str(tmp_path), "--url", filled.url, "--index", INDEX, "--json"])
    told = json.loads(result.stdout)
    assert [each["verdict"] for each in told["rules"]] == ["can match", "cannot match"]
    assert told["rules"][1]["reasons"][0].startswith(reason)


@pytest.mark.parametrize("conditions", [1016, 1020, 1024])
def test_a_rule_that_fills_a_query_takes_nobody_down(filled: Filled, conditions: int) -> None:
    """Bounds of time need room, too: a rule that leaves none is left out, and all others go on."""
    large = rule(9999, {"userAgent|startswith": [f"{number}-" for number in range(conditions)]})
    first = min(datetime.fromisoformat(str(case.record["eventTime"]).replace("Z", "+00:00")) for case in cases())
    # Bounds that all events are within would cost nothing.
    begin = first + timedelta(seconds=1)
    found = alerts_of_store(filled.client, INDEX, rules(large, count=40), since=begin)
    assert alerts(found) == alerts(alerts_of_files([filled.file], rules(count=40), since=begin))
    # Elasticsearch takes more where it has the memory.
    refused = conditions > 1016 and describe_store(filled.client, INDEX)["engine"] == "opensearch"
    assert len(found.problems) == refused
    assert all("it has 1,02" in problem for problem in found.problems)


@pytest.fixture
def thrifty(filled: Filled) -> Iterator[None]:
    """A store whose administrator has forbidden queries that cost much."""
    settings = filled.client.cluster.put_settings
    settings(body={"transient": {"search.allow_expensive_queries": False}})
    yield
    settings(body={"transient": {"search.allow_expensive_queries": None}})


@pytest.mark.usefixtures("thrifty")
def test_a_store_that_forbids_some_queries(filled: Filled) -> None:
    """Of the pack, only the rules that ask such queries are left out, each by name; the command says the same."""
    found = alerts_of_store(filled.client, INDEX)
    assert (len(found.rules), len(found.problems)) == (26, 3)
    for problem in found.problems:
        assert "the store refuses its query: [" in problem
        assert "] queries cannot be executed when 'search.allow_expensive_queries' is set to false." in problem
    expected = {alert.id for alert in alerts_of_files([filled.file]).alerts if alert.rule.id in found.rules}
    assert {alert.id for alert in found.alerts} == expected
    result = CliRunner().invoke(
        main, ["doctor", "--url", filled.url, "--index", INDEX, "--since", "2020-01-01", "--json"]
    )
    verdicts = [each["verdict"] for each in json.loads(result.stdout)["rules"]]
    assert (verdicts.count("cannot match"), verdicts.count("can match")) == (3, 26)


def test_undated_events_are_counted_once(filled: Filled) -> None:
    """An event without a time that is found by rules of several queries is one event."""
    document: JsonObject = {"eventName": "DeleteAlarms", "userAgent": "undated"}
    filled.client.index(index=INDEX, id="undated", body=document, params={"refresh": "true"})
    try:
        everything = rules(
            *(rule(5000 + n, {"userAgent": ["undated", *map(str, range(400))]}) for n in range(6)), count=40
        )
        found = alerts_of_store(filled.client, INDEX, everything, since=datetime(2020, 1, 1, tzinfo=timezone.utc))
        assert found.problems == [f"1 event of {INDEX} without timestamp, so not compared with the times asked for"]
    finally:
        filled.client.delete(index=INDEX, id="undated", params={"refresh": "true"})


def test_nothing_is_found_and_why(filled: Filled) -> None:
    """Where nothing matches from a time on, it is said how old the newest events are, and those that match."""
    times = [datetime.fromisoformat(str(case.record["eventTime"]).replace("Z", "+00:00")) for case in cases()]
    after = max(times) + timedelta(days=1)
    newest = time_text(millis(max(times)))
    hits = alerts_of_store(filled.client, INDEX)
    matching = time_text(max(alert.last or 0 for alert in hits.alerts))
    late = alerts_of_store(filled.client, INDEX, since=after)
    assert (late.events, late.problems) == (0, [])
    assert late.notes[-1] == (
        f"the newest event of {INDEX} that a rule matches is of {matching}: too old; the newest of all is of {newest}"
    )
    none = SigmaCollection.from_dicts([rule(1, {"eventName": "NoSuchEvent"})])
    nothing = alerts_of_store(filled.client, INDEX, none, since=min(times))
    assert nothing.notes[-1] == f"no event of {INDEX} matches a rule, whatever its time; the newest is of {newest}"
    assert not any("newest" in note for note in hits.notes)
