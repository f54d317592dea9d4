"""Hits that are read from the text of a record in part: the same events count, and alerts say the same of them."""

import json
import random
import uuid
from pathlib import Path
from typing import Any

import pytest

from sigma_stellar_aws.alerts.alert_json import alert_json
from sigma_stellar_aws.alerts.brief_hits import ToldHits
from sigma_stellar_aws.alerts.file_search import FileSearch, SearchTask
from sigma_stellar_aws.alerts.hit_rows import HitRowReader
from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.alerts.pack_rule import Override, Pack
from sigma_stellar_aws.alerts.run import DEFAULT_OPTIONS, Messages, alerts_of_files, hits_of_portions, raised
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.kept_texts import KeptTexts, new_writer
from sigma_stellar_aws.logs.portions import Portion
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.settings import RANDOM_CASES, RANDOM_SEED

RULES = """\
title: Read
name: read
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: GetItem}, condition: selection}
---
title: Denied
name: denied
logsource: {product: aws, service: cloudtrail}
detection:
    selection: {eventSource: a.amazonaws.com, eventName: [GetItem, PutItem]}
    failed: {errorCode|startswith: Access}
    odd: {requestParameters.a.b|contains: x}
    condition: selection and (failed or odd)
---
title: Many
name: many
correlation:
    type: value_count
    rules: [read, denied]
    group-by: [userIdentity.arn, who]
    aliases: {who: {read: requestParameters.list.items.id, denied: sourceIPAddress}}
    timespan: 1h
    condition: {gte: 2, field: eventID}
"""


KEY = ("requestParameters.list.items.id", "sourceIPAddress")
# Which of the rules alert by themselves.
ALERTING = {
    "none": RULES,
    "all": RULES.partition("---\ntitle: Many")[0],
    "one": RULES.replace("    rules: [read, denied]", "    rules: [read]").replace(", denied: sourceIPAddress", ""),
    "counted, too": RULES.replace("correlation:\n", "correlation:\n    generate: true\n"),
}


@pytest.fixture(scope="module", params=ALERTING)
def pack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Two rules, of which some alert by themselves, and a correlation counts some."""
    file = tmp_path_factory.mktemp("rules") / "rules.yml"
    file.write_text(ALERTING[request.param], encoding="utf-8")
    return convert_pack(load_rules(file), stellar_aws(), override=Override(fields=KEY))


def found(pack: Pack, file: Path, *, brief: bool) -> tuple[list[Hit], KeptTexts, list[str]]:
    """The hits of a file, what is kept of their events, and what could not be read."""
    only_counted = pack.only_counted() if brief else frozenset[str]()
    suppressing = pack.suppressing() if brief else frozenset[str]()
    task = SearchTask(pack.query, pack.keys(), None, None, pack.correlated(), only_counted, suppressing, new_writer())
    hits: list[Hit] = []
    kept = KeptTexts()
    problems: list[str] = []
    reader = HitRowReader(kept)
    for batch in FileSearch(task).batches([file]):
        kept.extend(batch.events)
        hits += map(reader.hit, batch.hits)
        problems += map(str, batch.problems)
    return hits, kept, problems


def told(pack: Pack, file: Path, *, brief: bool) -> list[dict[str, Any]]:
    """What counts of each event, and what an alert would say of it."""
    hits, kept, _ = found(pack, file, brief=brief)
    texts = ToldHits(kept)
    listed = []
    for hit in hits:
        full, identity = (texts.told(hit), texts.identity(hit)) if hit.is_brief else (hit, hit.identity)
        matches = [(name, key if name in pack.alerting() else ()) for name, key in hit.matches]
        counted = {"time": hit.time, "identity": identity, "matches": matches}
        said = {name: getattr(full, name) for name in Hit._fields[2:11]}
        if any(name in pack.alerting() for name, _ in hit.matches):
            assert said == {name: getattr(hit, name) for name in said}
        event = json.loads(kept.text(full.event))
        listed.append({**counted, **said, "values": dict(hit.values), "event": event})
    return sorted(listed, key=lambda each: json.dumps(each, sort_keys=True))


def record(**changes: Any) -> dict[str, Any]:
    """A record as AWS writes it, with changes."""
    made = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"},
        "eventTime": "2026-11-09T06:12:07Z",
        "eventSource": "a.amazonaws.com",
        "eventName": "GetItem",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7",
        "requestParameters": {"list": {"items": [{"id": "1"}, {"id": "2"}]}, "a": {"b": "xy"}},
        "eventID": str(uuid.UUID(int=random.Random(json.dumps(changes)).getrandbits(128))),
        "recipientAccountId": "111122223333",
    }
    return {name: value for name, value in {**made, **changes}.items() if value != "<none>"}


ODD: dict[str, dict[str, Any]] = {
    "as AWS writes it": {},
    "another field of the same flattened name": {"userIdentity_arn": "other"},
    "with a dot": {"userIdentity.arn": "other"},
    "parts in one key": {"requestParameters": {"list.items": [{"id": "3"}], "list": {"items": {"id": "4"}}}},
    "all parts in one key": {"requestParameters_list_items_id": "5"},
    "escaped": {"requestParameters": {"a": {"b": "é x"}, "list": {"items": [{"id": "ü"}]}}},
    "a number": {"requestParameters": {"list": {"items": [{"id": 5}]}}},
    "null": {"userIdentity": {"arn": None}},
    "no identity": {"userIdentity": {}},
    "empty text": {"userIdentity": {"arn": ""}},
    "an object for a text": {"userIdentity": {"arn": {"x": "y"}}},
    "a list for a text": {"sourceIPAddress": ["1", "2", "1"], "eventName": "PutItem", "errorCode": "AccessDenied"},
    "an empty list": {"requestParameters": {"list": {"items": []}}},
    "a list of lists": {"requestParameters": {"list": {"items": [[{"id": "1"}], [{"id": "2"}]]}}},
    "a list at the top": {"requestParameters": [{"list": {"items": {"id": "1"}}}, {"a": {"b": "x"}}]},
    "the text of an object": {"requestParameters": '{"list": {"items": [{"id": "7"}]}}'},
    "the text of the identity": {"userIdentity": '{"arn": "text"}'},
    "no rule but one matches": {"eventName": "PutItem", "errorCode": "AccessDenied", "requestParameters": None},
    "no rule matches": {"eventName": "PutItem", "requestParameters": None},
    "another case": {"eventName": "getitem", "eventSource": "A.amazonaws.com"},
    "no UUID": {"eventID": "1"},
    "the id of a test": {"eventID": "00000000-0000-0000-0000-000000000000"},
    "no time": {"eventTime": "<none>"},
    "no time that can be read": {"eventTime": "yesterday"},
    "a time with a fraction": {"eventTime": "2026-11-09T06:12:07.250Z"},
    "a time as a number": {"eventTime": 1767607200},
    "long": {"requestParameters": {"a": {"b": "x" * 70_000}}},
    "no version": {"eventVersion": "<none>"},
    "nested": {"responseElements": {"a": [{"b": [{"c": [1, None, True, 2.5]}]}]}},
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("form", ["list", "lines", "pretty"])
def test_odd_records_are_read_as_all_others_are(pack: Pack, tmp_path: Path, name: str, form: str) -> None:
    """Whatever a record looks like, brief hits count what others count, and an alert says the same of the event."""
    records = [record(), record(**ODD[name]), record(eventSource="b.amazonaws.com")]
    file = tmp_path / "a.json"
    texts = {
        "list": json.dumps({"Records": records}),
        "lines": "\n".join(map(json.dumps, records)) + "\n",
        "pretty": json.dumps({"Records": records}, indent=2, ensure_ascii=False),
    }
    file.write_text(texts[form], encoding="utf-8")
    assert told(pack, file, brief=True) == told(pack, file, brief=False)
    hits, _, _ = found(pack, file, brief=True)
    assert sum(hit.is_brief for hit in hits) >= 2


@pytest.mark.parametrize(
    "text",
    [
        b'"x": "\xff"',
        b'"x": 1e999',
        b'"x": 1234567890123456789012345678901234567890',
        b'"x": "\\ud800"',
        b'"x": {"\xff": 1}',
        b'"userIdentity": {"arn": "twice"}',
        b'"userIdentit\\u0079": {"arn": "escaped"}',
        b'"userIdentity\\u005farn": "escaped"',
        b'"x": NaN',
    ],
)
def test_damaged_records_are_read_as_all_others_are(pack: Pack, tmp_path: Path, text: bytes) -> None:
    """A field that nobody asks for may be damaged, too."""
    file = tmp_path / "a.json"
    lines = [json.dumps(record(awsRegion=region)).encode() for region in ("1", "2", "3")]
    file.write_bytes(b'{"Records": [' + b",".join([lines[0], lines[1][:-1] + b", " + text + b"}", lines[2]]) + b"]}")
    assert told(pack, file, brief=True) == told(pack, file, brief=False)
    assert found(pack, file, brief=True)[2] == found(pack, file, brief=False)[2]


def test_random_records_are_read_as_all_others_are(pack: Pack, tmp_path: Path) -> None:
    """Random records with random changes to some of their values."""
    values: list[Any] = [
        None,
        "",
        "x",
        "Access",
        5,
        True,
        [],
        ["x", "y"],
        [None],
        {},
        {"b": "x"},
        {"id": "1"},
        {"arn": "z"},
    ]
    values += [{"items": [{"id": "1"}, {"id": "1"}]}, {"list": {"items": {"id": ["1", "2"]}}}, {"a": {"b": ["x", "y"]}}]
    for case in range(max(20, RANDOM_CASES // 10)):
        draw = random.Random(f"{RANDOM_SEED} brief {case}")
        records = []
        for _ in range(draw.randint(1, 8)):
            keys = draw.sample(["userIdentity", "sourceIPAddress", "requestParameters", "errorCode", "a.b", "x_y"], 2)
            names = {"eventName": draw.choice(["GetItem", "PutItem", "getItem"])}
            records.append(record(**names, **{key: draw.choice(values) for key in keys}))
        file = tmp_path / f"{case}.json"
        file.write_text(json.dumps({"Records": records}, indent=draw.choice([None, 1])), encoding="utf-8")
        assert told(pack, file, brief=True) == told(pack, file, brief=False), f"seed {RANDOM_SEED}, case {case}"


def test_copies_count_once_and_others_with_their_id_count_too(tmp_path: Path) -> None:
    """The copy of an event, however it is written, is the same; what only shares its eventID and time is not."""
    (tmp_path / "rules.yml").write_text(
        RULES.partition("title: Many")[0]
        + "title: Three\nname: three\ncorrelation:\n    {type: event_count, rules: [read], timespan: 1h, "
        "group-by: [userIdentity.arn], condition: {gte: 3}}\n"
    )
    shared = str(uuid.uuid4())
    copy = record(eventID=shared)
    other = record(eventID=shared, awsRegion="eu-west-2")
    later = record(eventTime="2026-11-09T06:12:08Z")

    def events(*files: str) -> list[int]:
        for number, text in enumerate(files):
            (tmp_path / f"{number}.json").write_text(text, encoding="utf-8")
        logs = [tmp_path / f"{number}.json" for number in range(len(files))]
        alerts = alerts_of_files(logs, load_rules(tmp_path / "rules.yml")).alerts
        return [alert.events for alert in alerts if alert.rule.title == "Three"]

    pretty = json.dumps(dict(reversed(copy.items())), indent=2)
    # As tables have it; such a record is not read in part.
    table = json.dumps({**copy, "userIdentity": json.dumps(copy["userIdentity"])})
    assert events(json.dumps(copy), pretty, json.dumps(later)) == []
    assert events(json.dumps(copy), table, json.dumps(later)) == []
    assert events(table, table, json.dumps(other)) == []
    assert events(table, json.dumps(other), json.dumps(copy), json.dumps(later)) == [3]
    assert events(json.dumps(copy), json.dumps(other), json.dumps(later)) == [3]
    assert events(json.dumps(copy), pretty, json.dumps([other, other, later])) == [3]


def test_alerts_say_the_same(pack: Pack, tmp_path: Path) -> None:
    """What is told of an alert, of its first event and of each step does not depend on how its events were read."""
    file = tmp_path / "a.json"
    denied = {"eventName": "PutItem", "errorCode": "AccessDenied"}
    table = {"ARN": "arn:aws:dynamodb:eu-west-1:111122223333:table/x"}
    changes: list[dict[str, Any]] = [
        {"sourceIPAddress": "1"},
        {**denied, "sourceIPAddress": "1", "requestParameters": {"tableName": "orders"}},
        {"eventTime": "2026-11-09T06:20:00Z", "resources": [table]},
    ]
    file.write_text(json.dumps({"Records": [record(**each) for each in changes]}, indent=1), encoding="utf-8")

    def alerts(*, brief: bool) -> list[JsonObject]:
        messages = Messages()
        found = hits_of_portions([Portion([file], {})], pack, None, None, messages, brief=brief)
        assert any(hit.is_brief for hit in found.hits) == brief
        search = raised(found.hits, pack, DEFAULT_OPTIONS, messages, None, found.records, found.kept)
        return [alert_json(alert) for alert in search.alerts]

    in_part = alerts(brief=True)
    assert in_part != []
    assert in_part == alerts(brief=False)
