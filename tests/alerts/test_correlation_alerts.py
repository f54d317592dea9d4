"""Alerts of correlations: out of files, out of data stores, and in an index of alerts."""

import gzip
import itertools
import json
import random
import subprocess
import sys
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator
from opensearchpy import OpenSearch
from sigma.collection import SigmaCollection

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.alert_json import alert_json
from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.alerts.run import AlertOptions, AlertSearch, alerts_of_files
from sigma_stellar_aws.alerts.run_store import alerts_of_store, update_alert_index
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.rule_files.choose import choose_rules
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.client import connect
from tests.support import correlation_oracle as oracle
from tests.support.correlation_oracle import Event
from tests.support.killer import killer
from tests.support.random_correlations import BASES, random_blocks, random_events
from tests.support.s3_server import BUCKET, ENVIRONMENT, S3Server, s3_server
from tests.support.settings import RANDOM_CASES, RANDOM_SEED

SCHEMA = Path(__file__).parents[1] / "schemas/alert.schema.json"
START = datetime(2026, 10, 1, tzinfo=timezone.utc)
WINDOW = timedelta(minutes=5)
# What the random correlations call seconds are minutes here.
SLOWER = 60
ALL_TOGETHER = "AWS Several Kinds of Malicious Activity by One Caller"
CHAIN = """\
title: Chain
id: 22222222-8f0e-4a3f-9a53-0d3a4a0c9f01
name: chain
author: An Author
level: high
tags: [attack.persistence, attack.t1098]
correlation:
    type: temporal_ordered
    rules: [a, b]
    group-by: [requestParameters.u]
    timespan: 2m
stellar: {severity: 80, suppression: {window: 5m}}
"""


def base(name: str) -> str:
    """A rule for the events with its letter in their name."""
    return (
        f"title: Rule {name}\nname: {name}\nlogsource: {{product: aws, service: cloudtrail}}\n"
        f"detection: {{selection: {{eventName|contains: {name}}}, condition: selection}}\n"
    )


def rules_of(folder: Path, *texts: str) -> SigmaCollection:
    """The rules a to d with others."""
    folder.mkdir(exist_ok=True)
    (folder / "rules.yml").write_text("\n---\n".join([*map(base, BASES), *texts]), encoding="utf-8")
    return load_rules(folder)


def event(minutes: float, letters: str, **fields: Any) -> Event:
    """An event that matches rules, with request parameters."""
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{minutes} {letters} {fields}"))
    return Event(round(minutes * 60_000), name, frozenset(letters), fields)


def record(event: Event) -> JsonObject:
    """The record of an event."""
    return {
        "eventID": str(uuid.uuid5(uuid.NAMESPACE_URL, event.name)),
        "eventTime": (START + timedelta(milliseconds=event.time)).isoformat().replace("+00:00", "Z"),
        "eventSource": "test.amazonaws.com",
        "eventName": "".join(sorted(event.rules)),
        "userIdentity": {"arn": f"arn:aws:iam::111122223333:user/{event.fields.get('u')}"},
        "sourceIPAddress": "198.51.100.7",
        "requestParameters": dict(event.fields),
    }


def search(folder: Path, rules: SigmaCollection, events: Iterable[Event], **options: Any) -> AlertSearch:
    """The alerts of events in a few files, some of them in two."""
    records = [json.dumps(record(each)) for each in events]
    folder.mkdir(exist_ok=True)
    for number in range(3):
        lines = [line for place, line in enumerate(records) if place % 3 == number or place % 5 == number]
        (folder / f"{number}.ndjson").write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    return alerts_of_files([folder], rules, **options)


def of_correlations(alerts: Iterable[Alert]) -> set[tuple[str, tuple[str | None, ...], int]]:
    """Name, key and start of each alert of a correlation."""
    return {
        (alert.rule.id, alert.key, alert.start - round(START.timestamp() * 1000))
        for alert in alerts
        if alert.rule.correlation and alert.start is not None
    }


def slower(block: Mapping[str, Any]) -> dict[str, Any]:
    """A correlation whose timespan is in minutes, and whose fields are request parameters."""
    text = json.dumps({**block, "timespan": block["timespan"].replace("s", "m")})
    for field in ("u", "v", "w"):
        text = text.replace(f'"{field}"', f'"requestParameters.{field}"')
    known: dict[str, Any] = json.loads(text)
    return known


def expected(
    blocks: Mapping[str, Mapping[str, Any]], events: Sequence[Event]
) -> dict[str, set[tuple[tuple[str, ...], int]]]:
    """When each correlation is complete, by brute force."""
    known = [
        each._replace(fields={f"requestParameters.{name}": value for name, value in each.fields.items()})
        for each in events
    ]
    return {name: oracle.completions(block, blocks, known) for name, block in blocks.items()}


def drawn(case: object, folder: Path) -> tuple[SigmaCollection, dict[str, dict[str, Any]], list[Event]]:
    """Random correlations that all alert, and events."""
    draw = random.Random(f"{RANDOM_SEED} alerts {case}")
    blocks = {name: slower(block) for name, block in random_blocks(draw).items()}
    stellar = {"suppression": {"window": "5m"}}
    documents = [
        {"title": name, "name": name, "generate": True, "correlation": block, "stellar": stellar}
        for name, block in blocks.items()
    ]
    events = [each._replace(time=each.time * SLOWER) for each in random_events(draw, 30)]
    draw.shuffle(events)
    return rules_of(folder, *map(json.dumps, documents)), blocks, events


def agree(alerts: Iterable[Alert], blocks: Mapping[str, Mapping[str, Any]], events: Sequence[Event]) -> None:
    """Find that alerts are those of brute force."""
    window = round(WINDOW.total_seconds() * 1000)
    complete = expected(blocks, events)
    starts = {(name, *start) for name in blocks for start in oracle.alert_starts(complete[name], window)}
    assert of_correlations(alerts) == starts, f"SIGMA_STELLAR_AWS_SEED={RANDOM_SEED}: {blocks}"


@pytest.mark.parametrize("case", range(max(4, RANDOM_CASES // 40)))
def test_random_files_agree_with_brute_force(case: int, tmp_path: Path) -> None:
    """In files in any order, with copies, correlations alert when they should, each once in its window."""
    rules, blocks, events = drawn(case, tmp_path / "rules")
    agree(search(tmp_path / "logs", rules, events).alerts, blocks, events)


def test_an_alert_of_a_correlation(tmp_path: Path) -> None:
    """An alert has what the correlation says, who acted, and its events, each with its rule."""
    rules = rules_of(tmp_path, CHAIN)
    events = [event(0, "a", u="1"), event(1, "b", u="1"), event(3, "b", u="1"), event(3, "b", u="2")]
    found = search(tmp_path / "logs", rules, events)
    [alert] = found.alerts
    assert (alert.rule.title, alert.rule.severity, alert.rule.author) == ("Chain", 80, "An Author")
    assert (alert.key, alert.events) == (("1",), 3)
    written = alert_json(alert)
    assert written["first_time"] == "2026-10-01T00:01:00Z"
    assert written["last_time"] == "2026-10-01T00:03:00Z"
    assert written["actors"] == ["arn:aws:iam::111122223333:user/1"]
    assert written["techniques"] == [
        {"id": "T1098", "name": "Account Manipulation", "url": "https://attack.mitre.org/techniques/T1098/"}
    ]
    assert written["suppression"] == {"window": "5m", "key": {"requestParameters.u": "1"}}
    correlation = written["correlation"]
    assert isinstance(correlation, dict)
    assert correlation["since"] == "2026-10-01T00:00:00Z"
    chain = correlation.pop("chain")
    assert correlation == {"type": "temporal_ordered", "timespan": "2m", "since": "2026-10-01T00:00:00Z"}
    assert isinstance(chain, list)
    assert [(each["time"], each["rules"][0]["title"], each["event"]) for each in chain] == [  # type: ignore[index,call-overload]
        ("2026-10-01T00:00:00Z", "Rule a", "test.amazonaws.com a"),
        ("2026-10-01T00:01:00Z", "Rule b", "test.amazonaws.com b"),
        ("2026-10-01T00:03:00Z", "Rule b", "test.amazonaws.com b"),
    ]
    assert [rule.title for rule in found.rules.values()] == ["Rule c", "Rule d", "Chain"]


def chain_of(alerts: Iterable[Alert]) -> list[tuple[str, str]]:
    """What each event of the only alert acted on, and how it failed; the alert follows the schema of alerts."""
    [alert] = alerts
    written = alert_json(alert)
    Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(written)
    correlation = written["correlation"]
    assert isinstance(correlation, dict)
    chain = correlation["chain"]
    assert isinstance(chain, list)
    return [(str(each["resource"]), str(each["error_code"])) for each in chain if isinstance(each, dict)]


def test_each_event_of_a_chain_says_to_what_and_how_it_failed(client: OpenSearch, tmp_path: Path) -> None:
    """Out of files and a store, a step has the resource and the error code of its own event."""
    rules = rules_of(tmp_path, CHAIN)
    records = [record(event(number, "ab"[number], u="1", name=f"thing-{number}")) for number in range(2)]
    records[0]["errorCode"] = "AccessDenied"
    (tmp_path / "a.json").write_text(json.dumps({"Records": records}), encoding="utf-8")
    client.indices.create(index="corr-steps", body={"mappings": index_mappings()})
    for number, each in enumerate(records):
        client.index(index="corr-steps", id=str(number), body=flatten(each), params={"refresh": "true"})
    told = [("thing-0", "AccessDenied"), ("thing-1", "")]
    assert chain_of(alerts_of_files([tmp_path / "a.json"], rules).alerts) == told
    assert chain_of(alerts_of_store(client, "corr-steps", rules).alerts) == told
    assert chain_of(update_alert_index(client, "corr-step-alerts", "corr-steps", rules).alerts) == told


def test_a_long_chain_shows_its_beginning_and_its_end(tmp_path: Path) -> None:
    """Of many events the first and the last are shown, since the last one is what it was all about."""
    many = "title: Many\nname: many\ncorrelation: {type: event_count, rules: [a], timespan: 2m, condition: {gte: 15}}\n"
    outer = "title: Outer\nname: o\ncorrelation: {type: temporal_ordered, rules: [many, b], timespan: 2m}\n"
    events = [event(number / 60, "a", n=number) for number in range(15)]
    [alert] = search(tmp_path / "logs", rules_of(tmp_path, many, outer), [*events, event(1, "b")]).alerts
    assert (alert.rule.title, alert.events) == ("Outer", 16)
    assert [step.event[-1] for step in alert.chain] == ["a"] * 9 + ["b"]


@pytest.mark.parametrize("own", [False, True])
def test_what_a_filter_leaves_out_does_not_count(tmp_path: Path, own: bool) -> None:
    """A filter of a rule that is counted, beside the rules or given apart, is one of its correlation as well."""
    text = (
        "title: Known\nlogsource: {product: aws, service: cloudtrail}\n"
        "filter: {rules: [a], selection: {requestParameters.x: known}, condition: not selection}\n"
    )
    rules_of(tmp_path / "rules", CHAIN)
    file = tmp_path / ("rules/filter.yml" if own else "filter.yml")
    file.write_text(text, encoding="utf-8")
    rules = load_rules(tmp_path / "rules", filters=() if own else [file])
    events = [
        *(event(0, "a", u="1", x="known"), event(1, "b", u="1", x="known")),
        *(event(0, "a", u="2", x="other"), event(1, "b", u="2", x="known")),
    ]
    found = search(tmp_path / "logs", rules, events)
    assert [(alert.rule.title, alert.key, alert.events) for alert in found.alerts] == [("Chain", ("2",), 2)]


@pytest.mark.parametrize("generate", [False, True])
def test_rules_that_are_counted_alert_where_it_says_so(tmp_path: Path, generate: bool) -> None:
    """What a correlation counts alerts by itself only with generate: true, at the top as well as in the block."""
    text = CHAIN.replace("correlation:", f"generate: {str(generate).lower()}\ncorrelation:")
    found = search(tmp_path / "logs", rules_of(tmp_path, text), [event(0, "a", u="1"), event(1, "b", u="1")])
    titles = [alert.rule.title for alert in found.alerts]
    assert sorted(titles) == (["Chain", "Rule a", "Rule b"] if generate else ["Chain"])


def test_only_a_correlation(tmp_path: Path) -> None:
    """A correlation that is chosen brings what it counts, which does not alert by itself for that."""
    rules = choose_rules(rules_of(tmp_path, CHAIN.replace("correlation:", "generate: true\ncorrelation:")), ["Chain"])
    found = search(tmp_path / "logs", rules, [event(0, "a", u="1"), event(1, "b", u="1"), event(1, "c", u="1")])
    assert [alert.rule.title for alert in found.alerts] == ["Chain"]
    assert (found.problems, found.events) == ([], 2)


def test_bounds_are_for_when_it_is_complete(tmp_path: Path) -> None:
    """Events before the first time count for what is complete after it, and raise nothing themselves."""
    events = [event(0, "a", u="1"), event(0, "c"), event(1, "b", u="1"), event(2, "c")]
    rules = rules_of(tmp_path, CHAIN)
    found = search(tmp_path / "logs", rules, events, since=START + timedelta(minutes=1))
    assert sorted((alert.rule.title, alert.events) for alert in found.alerts) == [("Chain", 2), ("Rule c", 1)]
    assert found.events == 2
    later = search(tmp_path / "logs", rules, events, since=START + timedelta(minutes=1, seconds=1))
    assert [alert.rule.title for alert in later.alerts] == ["Rule c"]


def test_each_time_is_an_alert_without_suppression(tmp_path: Path) -> None:
    """Without suppression each time at which a correlation is complete is an alert of its own, with its own id."""
    events = [event(0, "a", u="1"), event(1, "b", u="1"), event(2, "b", u="1")]
    options = AlertOptions(window=timedelta(0))
    found = [*search(tmp_path / "logs", rules_of(tmp_path, CHAIN), events, options=options).alerts]
    assert [alert.events for alert in found] == [2, 2]
    assert len({alert.id for alert in found}) == 2


def test_what_is_refused_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    """A correlation that cannot be exact, or counts a rule that cannot be converted, is left out with the reason."""
    less = (
        CHAIN.replace("timespan", "condition: {lt: 2}\n    timespan")
        .replace("Chain", "Less")
        .replace("name: chain", "")
    )
    other = base("e").replace("service: cloudtrail", "service: guardduty")
    of_other = CHAIN.replace("[a, b]", "[a, e]").replace("Chain", "Other").replace("name: chain\n", "name: o\n")
    texts = [CHAIN, less.replace("22222222", "33333333"), of_other.replace("22222222", "44444444")]
    rules = rules_of(tmp_path, other, *texts)
    found = search(tmp_path / "logs", rules, [event(0, "a", u="1"), event(1, "b", u="1")])
    assert [alert.rule.title for alert in found.alerts] == ["Chain"]
    told = "\n".join(found.problems)
    assert "Rule 'Less': lt is not supported" in told
    assert "Rule 'Other': the rule 'Rule e' is left out: " in told


def test_why_a_rule_is_left_out_is_said_without_its_title_and_file_again(tmp_path: Path) -> None:
    """In what is told of a correlation that counts it, in alerts and in conversions."""
    wrong = base("d") + "stellar: {suppression: {window: 1y}}\n"
    text = "\n---\n".join([base("a"), wrong, CHAIN.replace("[a, b]", "[a, d]")])
    (tmp_path / "rules.yml").write_text(text, encoding="utf-8")
    reason = "is left out: stellar: suppression.window must be a number with m, h or d, such as 24h, not '1y'"
    place = f"in {(tmp_path / 'rules.yml').resolve()}"
    told = search(tmp_path / "logs", load_rules(tmp_path), [event(0, "a", u="1")]).problems
    assert f"Rule 'Chain': the rule 'Rule d' {reason} {place}:22" in "\n".join(told)
    backend = StellarAwsBackend(stellar_aws(), collect_errors=True)
    backend.convert(load_rules(tmp_path), "elastic_rule")
    assert f"Rule 'Chain': the rule 'Rule d', which it counts, {reason} {place}" in [str(e) for _, e in backend.errors]


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("timespan: ", "timespan: a", "timespan must be"),
        ("type: temporal", "type: temporary", "type must be"),
        ("    rules:", "    field: u\n    rules:", "a correlation has no key 'field'"),
        ("timespan", "condition: {lt: 2}\n    timespan", "lt is not supported"),
    ],
)
@pytest.mark.parametrize("generate", [False, True])
def test_a_faulty_correlation_does_not_let_its_rules_loose(
    tmp_path: Path, right: str, wrong: str, reason: str, generate: bool
) -> None:
    """It is left out and told, and they alert as if it were right; all else goes on."""
    text = CHAIN.replace(right, wrong).replace("correlation:", f"correlation:\n    generate: {str(generate).lower()}")
    assert text.count(wrong) == 1
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yml").write_text("\n---\n".join([*map(base, "abc"), text]), encoding="utf-8")
    logs = tmp_path / "logs"
    search(logs, load_rules(tmp_path / "rules", collect_errors=True), [event(0, "a", u="1"), event(1, "bc", u="1")])
    command = ["alerts", str(logs), "--json", "--rules", str(tmp_path / "rules")]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    titles = {json.loads(line)["rule"]["title"] for line in result.stdout.splitlines()}
    assert titles == ({"Rule a", "Rule b", "Rule c"} if generate else {"Rule c"})
    assert f"Rule 'Chain': {reason}" in result.stderr
    result = CliRunner().invoke(main, [*command, "--only", "Rule a"], catch_exceptions=False)
    assert [json.loads(line)["rule"]["title"] for line in result.stdout.splitlines()] == ["Rule a"]


def test_events_that_take_no_part_are_told(tmp_path: Path) -> None:
    """Events without a field that is grouped by are told of once, with their number."""
    found = search(tmp_path / "logs", rules_of(tmp_path, CHAIN), [event(0, "a"), event(1, "a"), event(1, "b", u="1")])
    note = "2 events without requestParameters.u took no part in the correlation 'Chain'"
    assert note in found.notes


@pytest.fixture
def client(engine_url: str) -> Iterator[OpenSearch]:
    """A data store, from which what was made is removed."""
    with connect(engine_url, None, {}) as connection:
        yield connection
        for name in connection.indices.get(index="corr-*"):
            connection.indices.delete(index=name)


def fill(client: OpenSearch, index: str, events: Iterable[Event]) -> None:
    """Add events to an index of flattened records."""
    if not client.indices.exists(index=index):
        client.indices.create(index=index, body={"mappings": index_mappings()})
    lines: list[Any] = []
    for each in events:
        lines += [{"index": {"_id": each.name}}, flatten(record(each))]
    client.bulk(index=index, body=lines, params={"refresh": "true"})


def test_a_store_and_files_agree_with_brute_force(client: OpenSearch, tmp_path: Path) -> None:
    """Out of a data store come the alerts of brute force, under the ids that files give them."""
    for case in range(max(3, RANDOM_CASES // 100)):
        rules, blocks, events = drawn(f"store {case}", tmp_path / "rules")
        fill(client, f"corr-{case}", events)
        found = alerts_of_store(client, f"corr-{case}", rules).alerts
        agree(found, blocks, events)
        of_files = search(tmp_path / "logs", rules, events).alerts
        assert {alert.id for alert in found} == {alert.id for alert in of_files}
        assert {(a.id, a.events, a.since) for a in found} == {(a.id, a.events, a.since) for a in of_files}


def test_late_events_in_an_index_of_alerts(client: OpenSearch, tmp_path: Path) -> None:
    """However late events arrive: no alert without cause, none missed, and no two in one window."""
    for case in range(max(3, RANDOM_CASES // 100)):
        rules, blocks, events = drawn(f"late {case}", tmp_path / "rules")
        for number in range(3):
            fill(client, f"corr-late-{case}", events[number::3])
            for since in (None, START + timedelta(minutes=2)):
                update_alert_index(client, f"corr-alerts-{case}", f"corr-late-{case}", rules, since=since)
        again = update_alert_index(client, f"corr-alerts-{case}", f"corr-late-{case}", rules)
        assert (again.created, again.updated) == (0, 0)
        hits = client.search(index=f"corr-alerts-{case}", body={"size": 10_000})["hits"]["hits"]
        begin = round(START.timestamp() * 1000)
        raised: defaultdict[tuple[str, tuple[str, ...]], list[tuple[int, int, int]]] = defaultdict(list)
        for source in (hit["_source"] for hit in hits):
            if "correlation" in source:
                held = source["suppression"]
                span = tuple(held[name] - begin for name in ("start", "first", "end"))
                raised[source["rule"]["id"], tuple(held["key"].values())].append(span)
        complete = expected(blocks, events)
        keys = {(name, key) for name in blocks for key, _ in complete[name]}
        assert set(raised) == keys
        for (name, key), spans in raised.items():
            times = {time for known, time in complete[name] if known == key}
            assert {start for start, _, _ in spans} <= times
            assert all(any(first <= time < end for _, first, end in spans) for time in times)
            ordered = sorted(spans)
            assert all(b[0] >= a[2] for a, b in itertools.pairwise(ordered)), f"seed {RANDOM_SEED}, case {case}"


def test_a_pack_without_a_rule_lacks_its_correlations(tmp_path: Path) -> None:
    """Where a store refuses a rule, the correlations that count it are left out, and those that count these."""
    outer = "title: Outer\nname: o\ncorrelation: {type: temporal, rules: [chain, c], timespan: 2m}\n"
    other = CHAIN.replace("22222222", "33333333").replace("[a, b]", "[b, c]").replace("name: chain\n", "")
    pack = convert_pack(rules_of(tmp_path, CHAIN, outer, other), stellar_aws())
    assert len(pack.correlations) == 3
    left = pack.without(["a"])
    assert [each.name for each in left.correlations] == ["33333333-8f0e-4a3f-9a53-0d3a4a0c9f01"]
    assert left.rules.keys() == {"b", "c", "d", left.correlations[0].name}


def test_a_killed_run_and_two_at_once(opensearch_url: str, tmp_path: Path) -> None:
    """Killed after the first alerts and run again, or run twice at once: the alerts of a run that is left alone."""
    rules_of(tmp_path / "rules", CHAIN.replace("correlation:", "generate: true\ncorrelation:"))
    events = [event(each / 60 + late, "ab"[late], u=str(each)) for each in range(200) for late in (0, 1)]

    def command(url: str, place: str) -> list[str]:
        options = f"alerts --url {url} --index corr-events --write corr-{place} --json --since 2026-09-01T00:00:00Z"
        files = ["--rules", str(tmp_path / "rules"), "--checkpoint", str(tmp_path / place)]
        return [sys.executable, "-m", "sigma_stellar_aws", *options.split(), *files]

    def stored(place: str) -> dict[str, Any]:
        store.indices.refresh(index=f"corr-{place}")
        found = store.search(index=f"corr-{place}", body={"size": 10_000})["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in found}

    with connect(opensearch_url, None, {}) as store, killer(opensearch_url) as proxy:
        try:
            fill(store, "corr-events", events)
            assert proxy.run(command(proxy.url, "calm")) == 0
            writes = [number for number, name in enumerate(proxy.requests, 1) if "_bulk" in name]
            expected = stored("calm")
            assert sum("correlation" in each for each in expected.values()) == 200
            assert proxy.run(command(proxy.url, "killed"), writes[0], "after") < 0
            assert proxy.run(command(proxy.url, "killed")) == 0
            assert stored("killed") == expected
            two = [subprocess.Popen(command(opensearch_url, "two"), stdout=subprocess.DEVNULL) for _ in range(2)]
            assert [each.wait(timeout=120) for each in two] == [0, 0]
            assert stored("two") == expected
        finally:
            for name in store.indices.get(index="corr-*"):
                store.indices.delete(index=name)


def test_ours_on_the_command_line() -> None:
    """--correlations adds those of this project to the 29, also where the rules were converted before."""
    logs = Path(__file__).parents[1] / "samples" / "AWSLogs"
    ours = {ALL_TOGETHER, "AWS Access Key Tried Out"}
    for options, titles in (([], set()), (["--correlations"], ours), (["--correlations"], ours)):
        result = CliRunner().invoke(main, ["alerts", str(logs), "--json", *options], catch_exceptions=False)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert {line["rule"]["title"] for line in lines if "correlation" in line} == titles


def test_without_a_correlation_its_rules_do_not_alert(tmp_path: Path) -> None:
    """What only an excluded correlation counts is left out with it; what another counts as well is not."""
    other = CHAIN.replace("22222222", "33333333").replace("[a, b]", "[b, c]")
    other = other.replace("Chain", "Other").replace("name: chain\n", "")
    rules = choose_rules(rules_of(tmp_path, CHAIN, other), exclude=["Chain"])
    assert {rule.title for rule in rules.rules} == {"Other", "Rule b", "Rule c", "Rule d"}
    found = search(tmp_path / "logs", rules, [event(0, "b", u="1"), event(1, "ac", u="1"), event(1, "d", u="1")])
    assert sorted(alert.rule.title for alert in found.alerts) == ["Other", "Rule d"]


def test_a_chosen_rule_of_a_faulty_correlation_is_there_once(tmp_path: Path) -> None:
    """Also where a correlation that is chosen with it counts it."""
    faulty = CHAIN.replace("22222222", "33333333").replace("name: chain\n", "").replace("timespan: ", "timespan: a")
    (tmp_path / "rules.yml").write_text("\n---\n".join([*map(base, "ab"), CHAIN, faulty]), encoding="utf-8")
    rules = choose_rules(load_rules(tmp_path, collect_errors=True), only=["Rule a", "Chain"])
    assert sorted(rule.title for rule in rules.rules) == ["Chain", "Rule a", "Rule b"]


def test_the_second_event_is_in_a_later_file(opensearch_url: str, tmp_path: Path) -> None:
    """Of logs in S3 that are read run by run, what an earlier run read still counts for a correlation."""
    rules_of(tmp_path / "rules", CHAIN)
    # What is older than any window by the clock is not kept.
    now = datetime.now(timezone.utc).replace(microsecond=0)
    folder = f"AWSLogs/111122223333/CloudTrail/eu-west-1/{now:%Y/%m/%d}"

    def found(server: S3Server, name: str, *events: Event) -> list[Any]:
        times = [now - timedelta(hours=3) + timedelta(milliseconds=each.time) for each in events]
        records = [
            {**record(each), "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}"}
            for each, time in zip(events, times, strict=True)
        ]
        file = f"111122223333_CloudTrail_eu-west-1_{now:%Y%m%dT%H%MZ}_{name}.json.gz"
        server.put(f"{folder}/{file}", body=gzip.compress(json.dumps({"Records": records}).encode()))
        words = ["alerts", f"s3://{BUCKET}/AWSLogs/", "--endpoint-url", server.url, "--url", opensearch_url, "--json"]
        words += ["--write", "corr-files", "--checkpoint", str(tmp_path / "c"), "--rules", str(tmp_path / "rules")]
        result = CliRunner().invoke(main, words, catch_exceptions=False, env=ENVIRONMENT)
        assert result.exit_code == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    with connect(opensearch_url, None, {}) as store, s3_server() as server:
        try:
            assert found(server, "0123456789abcde1", event(10, "a", u="1"), event(10, "b", u="2")) == []
            [alert] = found(server, "0123456789abcde2", event(12, "b", u="1"))
            assert (alert["rule"]["title"], alert["event_count"]) == ("Chain", 2)
            [late] = found(server, "0123456789abcde3", event(9, "a", u="2"))
            assert late["suppression"]["key"] == {"requestParameters.u": "2"}
        finally:
            for name in store.indices.get(index="corr-*"):
                store.indices.delete(index=name)
