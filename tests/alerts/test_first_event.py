"""What an alert says of its rule and its first event: why, and what."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.alert_json import alert_json, alert_lines
from sigma_stellar_aws.alerts.first_event import (
    LONGEST_VALUE,
    MOST_LISTED,
    MOST_TOLD,
    actor_name,
    first_event,
    first_event_text,
)
from sigma_stellar_aws.alerts.kept_event import LONGEST_EVENT
from sigma_stellar_aws.alerts.run import alerts_of_files
from sigma_stellar_aws.base.kept_texts import KeptTexts, TextChunks, new_writer
from sigma_stellar_aws.logs.flatten import document_text
from sigma_stellar_aws.query.matched import matched_values
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.records import cases, record

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "tests/schemas/alert.schema.json").read_text(encoding="utf-8"))
FIELDS = ROOT / "sigma_stellar_aws/alerts/README.md"
RULE = """\
title: Test
id: 00000000-0000-4000-8000-000000000001
description: Why.
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName|startswith: Delete, requestParameters.names: [one, two]}
  other: {userIdentity.type: Root}
  none: {eventSource: sts.amazonaws.com}
  condition: (selection or other) and not none
falsepositives: [Nothing]
references: [https://example.com/a]
stellar: {triage: [Look., Act.]}
"""


EVENT: dict[str, Any] = {
    "eventSource": "test.amazonaws.com",
    "eventName": "DeleteThing",
    "requestParameters": {"names": "two"},
}


def alerts_of(tmp_path: Path, *records: dict[str, Any], rule: str = RULE) -> list[Alert]:
    """The alerts of records, by the rule of a text."""
    (tmp_path / "rule.yml").write_text(rule, encoding="utf-8")
    (tmp_path / "log.ndjson").write_text("".join(f"{json.dumps(each)}\n" for each in records), encoding="utf-8")
    return list(alerts_of_files([tmp_path / "log.ndjson"], load_rules(tmp_path / "rule.yml")).alerts)


def told(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    """The first event of the alert of one record."""
    [alert] = alerts_of(tmp_path, record(EVENT | changes))
    found = alert_json(alert)["first_event"]
    assert isinstance(found, dict)
    return found


def test_why_and_what(tmp_path: Path) -> None:
    """An alert says what its rule says, and what its first event is, which need not be the first in the file."""
    late, early = (
        record(
            {
                **EVENT,
                "eventTime": f"2026-11-09T0{hour}:00:00Z",
                "errorCode": code,
                "userAgent": "aws-cli",
                "requestParameters": {"names": ["one", "three"], "other": 1},
            }
        )
        for hour, code in ((2, "AccessDenied"), (1, "Throttled"))
    )
    [alert] = alerts_of(tmp_path, late, early)
    written: Any = alert_json(alert)
    assert written["rule"]["description"] == "Why."
    assert written["rule"]["false_positives"] == ["Nothing"]
    assert written["rule"]["references"] == ["https://example.com/a"]
    assert written["rule"]["triage"] == ["Look.", "Act."]
    event = written["first_event"]
    assert (written["event_count"], event["time"], event["error_code"]) == (2, "2026-11-09T01:00:00Z", "Throttled")
    assert (event["name"], event["user_agent"], event["resource"]) == ("DeleteThing", "aws-cli", "one")
    assert event["matched"] == [
        {"field": "eventName", "values": ["DeleteThing"]},
        {"field": "requestParameters.names", "values": ["one"]},
    ]
    assert event["parameters"] == [{"field": "names", "values": ["one", "three"]}, {"field": "other", "values": [1]}]
    assert event["record"]["requestParameters_names"] == ["one", "three"]


def test_only_the_alternative_that_holds_is_told(tmp_path: Path) -> None:
    """Of alternatives, those that do not hold are not why."""
    found = told(tmp_path, eventName="GetThing", userIdentity={"type": "Root"})
    assert found["matched"] == [{"field": "userIdentity.type", "values": ["Root"]}]


@pytest.mark.parametrize(
    ("parameters", "resource"),
    [
        ({"name": "shop", "roleArn": "arn:aws:iam::111122223333:role/eks"}, "shop"),
        ({"eventBusName": "default", "name": "nightly"}, "nightly"),
        (
            {"roleArn": "arn:aws:iam::111122223333:role/Admin", "roleSessionName": "x"},
            "arn:aws:iam::111122223333:role/Admin",
        ),
        ({"containers": [{"name": "web"}], "family": "shop"}, "shop"),
        ({"detectorId": "6ab6"}, "6ab6"),
        ({"token": "x"}, ""),
    ],
)
def test_what_was_acted_on(tmp_path: Path, parameters: dict[str, Any], resource: str) -> None:
    """The resource is what the request names best."""
    assert told(tmp_path, requestParameters={"names": "one"} | parameters)["resource"] in (resource, "one")
    found = told(tmp_path, userIdentity={"type": "Root"}, requestParameters=parameters)
    assert found["resource"] == resource


def test_the_resources_of_the_event_come_first(tmp_path: Path) -> None:
    """CloudTrail's own list of resources is better than any guess."""
    assert told(tmp_path, resources=[{"ARN": "arn:aws:s3:::logs"}])["resource"] == "arn:aws:s3:::logs"


def test_an_event_is_bounded(tmp_path: Path) -> None:
    """What somebody made long does not make the alert long."""
    parameters = {"names": "one", "long": "x" * 3 * LONGEST_EVENT, "many": [*range(5000)]}
    many = {f"field{number:04}": "y" * 100 for number in range(900)}
    record_of = told(tmp_path, requestParameters=parameters | {"z": many})["record"]
    assert len(record_of) == MOST_TOLD
    assert len(record_of["requestParameters_many"]) == MOST_LISTED
    assert len(record_of["requestParameters_long"]) <= LONGEST_VALUE + 1


def test_odd_values_are_told(tmp_path: Path) -> None:
    """Half characters and numbers beyond 64 bits get through, as text and as JSON lines."""
    [plain] = alerts_of(tmp_path, record(EVENT))
    odd = {"eventName": "DeleteThing", "userAgent": "a\ud800", "n": 2**70}
    alert = plain._replace(event=document_text(odd))
    [line] = alert_lines([alert])
    assert json.loads(line) == alert_json(alert)
    event = json.loads(line)["first_event"]
    assert (event["user_agent"], event["record"]["n"]) == ("a\ud800", 2**70)
    assert line.isascii()


@pytest.mark.parametrize(
    ("actor", "name"),
    [
        ("arn:aws:iam::111122223333:user/alice", "alice"),
        ("arn:aws-us-gov:sts::111122223333:assumed-role/Deploy/ci-4711", "Deploy/ci-4711"),
        ("arn:aws:sts::111122223333:federated-user/bob", "bob"),
        ("arn:aws:iam::111122223333:root", "root of 111122223333"),
        ("ec2.amazonaws.com", "ec2.amazonaws.com"),
        ("arn:broken", "arn:broken"),
        ("arn:aws:iam::111122223333:user", "user"),
    ],
)
def test_actors_have_readable_names(actor: str, name: str) -> None:
    """Who acted, without what is the same for everybody."""
    assert actor_name(actor) == name


def test_values_that_match() -> None:
    """Each kind of condition says which values fulfil it; what is excluded says nothing."""
    query: Any = {
        "bool": {
            "filter": [{"prefix": {"a": {"value": "x"}}}, {"exists": {"field": "b"}}],
            "must_not": [{"term": {"c": {"value": "1"}}}],
            "should": [{"term": {"d_*": {"value": "1"}}}, {"term": {"a": {"value": "y"}}}],
            "minimum_should_match": 1,
        }
    }
    document: Any = {"a": ["xy", "z", "xx"], "b": 2, "c": 3, "d_e": [1, 2], "d_f": 3}
    assert matched_values(query)(document) == {"a": ["xy", "xx"], "b": [2], "d_e": [1]}


def test_kept_texts() -> None:
    """Texts are found again by their places, however many there are, and of whichever writer."""
    writers = [TextChunks(new_writer()) for _ in range(3)]
    texts = [b"%d " % number * (number % 700) for number in range(3000)]
    kept = KeptTexts()
    places = []
    for number, text in enumerate(texts):
        places.append(writers[number % 3].add(text))
        if number % 500 == 499:
            for writer in writers:
                kept.extend(writer.taken())
    assert len(set(places)) == len(places)
    assert [kept.text(place) for place in reversed(places)] == texts[::-1]


def schema_fields(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The names of all fields of a schema."""
    for name, part in schema["properties"].items():
        yield f"{prefix}{name}"
        inner = part.get("items", part)
        if "properties" in inner and "field" not in inner["properties"]:
            yield from schema_fields(inner, f"{prefix}{name}.")


def test_alerts_follow_their_schema(tmp_path: Path) -> None:
    """Each alert of each rule has the fields that are documented, with their types."""
    (tmp_path / "log.ndjson").write_text("".join(f"{json.dumps(case.record)}\n" for case in cases()), encoding="utf-8")
    alerts = list(alerts_of_files([tmp_path / "log.ndjson"]).alerts)
    assert len({alert.rule.id for alert in alerts}) == 29
    validator = Draft7Validator(SCHEMA)
    for alert in alerts:
        written: Any = alert_json(alert)
        validator.validate(written)
        assert written["rule"]["triage"]
        assert written["first_event"]["matched"]


def test_every_field_is_documented() -> None:
    """The table of fields has those of the schema, in their order."""
    rows = re.findall(r"^\| `([^`]+)` \|", FIELDS.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == list(schema_fields(SCHEMA))


ODD_VALUES: tuple[Any, ...] = (
    "",
    "x",
    'a "quote", and a \\',
    "ü\x7f\u2028",
    "\x00",
    5,
    -0.5,
    2**63,
    True,
    [""],
    ["", "x"],
    [1, "x"],
    ["a,b", "c"],
    [*range(MOST_LISTED)],
    [*range(MOST_LISTED + 1)],
    ["x" * 30] * MOST_LISTED,
    ["x" * LONGEST_VALUE],
    "x" * LONGEST_VALUE,
    "x" * (LONGEST_VALUE + 1),
    "ü" * LONGEST_VALUE,
)


@pytest.mark.parametrize("rule", [RULE, RULE.replace("userIdentity.type: Root", "requestParameters.*: x")])
def test_what_is_written_is_what_is_read(tmp_path: Path, rule: str) -> None:
    """The event of a line of JSON is taken from the text of the event, and says what reading that text says."""
    [alert] = alerts_of(tmp_path, record(EVENT), rule=rule)
    names = ("userAgent", "eventName", "requestParameters_names", "requestParameters_arn", "resources_ARN", "errorCode")
    plain = {"eventName": "DeleteThing", "eventTime": "2026-11-09T01:00:00Z", "requestParameters_z_id": "7"}
    events = [plain, *({**plain, name: value} for name in names for value in ODD_VALUES)]
    events.append(plain | {f"field{number:04}": "y" for number in range(MOST_TOLD + 1)})
    for event in events:
        text = document_text(event)
        read = first_event(text, alert.rule)
        assert read is not None
        written = json.loads(first_event_text(text, alert.rule))
        told_fields = {name: written.pop(name) for name in ("parameters", "matched")}
        told_record = written.pop("record")
        assert written == {name: value for name, value in read._asdict().items() if name not in told_fields}, event
        assert told_fields == {
            name: [{"field": field, "values": values} for field, values in getattr(read, name).items()]
            for name in told_fields
        }, event
        if len(text) <= LONGEST_VALUE:
            assert told_record == json.loads(text)
        else:
            listed = [value if isinstance(value, list) else [value] for value in told_record.values()]
            assert all(len(str(each)) <= LONGEST_VALUE + 1 for values in listed for each in values)
            assert all(len(values) <= MOST_LISTED for values in listed)
            assert len(told_record) <= MOST_TOLD
