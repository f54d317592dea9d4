"""Alerts as Detection Findings of OCSF."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sigma_stellar_aws.alerts.ocsf import detection_finding, ocsf_lines
from sigma_stellar_aws.alerts.run import alerts_of_files
from sigma_stellar_aws.alerts.source_location import SourceLocation
from sigma_stellar_aws.base.json_types import Json, JsonObject

ROOT = Path(__file__).parents[2]
FACTS: dict[str, Any] = json.loads((ROOT / "tests/schemas/ocsf-1.5-facts.json").read_text(encoding="utf-8"))
PROFILES = {"cloud"}
TYPES: JsonObject = {
    "boolean_t": "boolean",
    "float_t": "number",
    "integer_t": "integer",
    "json_t": ["object", "array", "string", "number", "boolean", "null"],
    "long_t": "integer",
    "object": "object",
    "string_t": "string",
}


def schema_of(name: str) -> JsonObject:
    """What OCSF says of a class or an object, as JSON schema: no other attribute, nor a deprecated one, is there."""
    facts = FACTS[name]
    usable = {key: fact for key, fact in facts["attributes"].items() if fact.get("profile") in (None, *PROFILES)}
    made: JsonObject = {
        "type": "object",
        "properties": {key: schema_of_attribute(fact) for key, fact in usable.items() if not fact.get("deprecated")},
        "required": [key for key, fact in usable.items() if fact.get("required")],
        "additionalProperties": False,
    }
    if one_of := facts["constraints"].get("at_least_one"):
        made["anyOf"] = [{"required": [key]} for key in one_of]
    return made


def schema_of_attribute(fact: Mapping[str, Any]) -> JsonObject:
    """The type of an attribute, its values if they are numbered, and the attributes of an object."""
    made: JsonObject = {"type": TYPES[fact["type"]]} if fact["type"] in TYPES else {"$ref": f"#/$defs/{fact['type']}"}
    if "enum" in fact and fact["type"] in ("integer_t", "long_t"):
        made["enum"] = [int(number) for number in fact["enum"]]
    return {"type": "array", "items": made} if fact.get("list") else made


def whole_schema() -> JsonObject:
    """The schema of a finding; objects that are not recorded are never written, and refused."""
    named = {fact["type"] for of_name in FACTS.values() for fact in of_name["attributes"].values()} - set(TYPES)
    definitions: JsonObject = {name: schema_of(name) if name in FACTS else False for name in sorted(named)}
    return {**schema_of("detection_finding"), "$defs": definitions}


VALIDATOR = Draft202012Validator(whole_schema())


def captions(value: Json, kind: str) -> Iterator[tuple[str, str, str]]:
    """For each numbered value with its caption beside it: where it is, the caption, and as OCSF has it."""
    if isinstance(value, list):
        for each in value:
            yield from captions(each, kind)
        return
    assert isinstance(value, dict)
    for key, fact in FACTS[kind]["attributes"].items():
        if key not in value:
            continue
        if fact["type"] in FACTS:
            yield from captions(value[key], fact["type"])
        if "sibling" in fact and fact["sibling"] in value:
            yield f"{kind}.{key}", str(value[fact["sibling"]]), fact["enum"][str(value[key])]


def test_each_alert_is_a_detection_finding() -> None:
    """Alerts of all rules have what the class demands and nothing that it does not know, each with its own id."""
    alerts = list(alerts_of_files([ROOT / "tests/samples"]).alerts)
    lines = list(ocsf_lines(alerts))
    assert all(line.isascii() for line in lines)
    for line in lines:
        VALIDATOR.validate(json.loads(line))
    assert len({json.loads(line)["finding_info"]["uid"] for line in lines}) == len(alerts) > 100


def test_numbers_are_as_their_captions_say() -> None:
    """Class, category, activity, severity, status, and the kinds of accounts and rules are named as OCSF names them."""
    findings = [detection_finding(alert) for alert in alerts_of_files([ROOT / "tests/samples"]).alerts]
    found = {pair for finding in findings for pair in captions(finding, "detection_finding")}
    assert [pair for pair in found if pair[1] != pair[2]] == []
    assert {where.rpartition(".")[2] for where, _, _ in found} == {
        "activity_id",
        "category_uid",
        "class_uid",
        "severity_id",
        "status_id",
        "type_id",
    }
    for finding in findings:
        written: Any = finding
        assert written["type_uid"] == 100 * written["class_uid"] + written["activity_id"]
        assert set(written["metadata"]["profiles"]) == PROFILES
        assert written["metadata"]["version"] == "1.5.0"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["severity_id"], 7),
        (["class_uid"], 2001),
        (["osint"], []),
        (["invented"], "x"),
        (["finding_info", "analytic", "type_id"], 8.5),
        (["finding_info", "analytic", "related_analytics"], []),
        (["finding_info", "uid"], None),
        (["cloud", "account"], {"type_id": 10}),
        (["evidences"], {}),
    ],
    ids=str,
)
def test_the_schema_is_strict(path: list[str], value: Json) -> None:
    """A value that OCSF does not know, an attribute of another profile or a deprecated one, and a lack are found."""
    alerts = alerts_of_files([ROOT / "tests/samples/export.ndjson"]).alerts
    finding: Any = detection_finding(next(iter(alerts)))
    VALIDATOR.validate(finding)
    inside = finding
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    assert not VALIDATOR.is_valid(finding)


def test_what_a_finding_says() -> None:
    """Severity, times, who, where from, what, why and what to do stand where OCSF has them."""
    alerts = alerts_of_files([ROOT / "tests/samples/export.ndjson"]).alerts
    [alert] = (each for each in alerts if each.rule.title == "AWS CloudWatch Alarm Deletion")
    finding: Any = detection_finding(alert)
    assert (finding["severity_id"], finding["severity"], finding["type_uid"]) == (3, "Medium", 200401)
    assert finding["time"] == finding["finding_info"]["first_seen_time"] == alert.first
    [evidence] = finding["evidences"]
    assert evidence["actor"] == {"user": {"name": "alice", "uid": "arn:aws:iam::123456789012:user/alice"}}
    assert evidence["api"] == {"operation": "DeleteAlarms", "service": {"name": "monitoring.amazonaws.com"}}
    assert evidence["src_endpoint"] == {"ip": "198.51.100.23"}
    assert finding["resources"] == [{"uid": "root-login"}]
    assert finding["cloud"]["account"]["uid"] == "123456789012"
    assert finding["finding_info"]["attacks"] == [
        {
            "version": finding["finding_info"]["attacks"][0]["version"],
            "technique": {"uid": "T1685", "name": "Disable or Modify Tools"},
            "tactic": {"uid": "TA0112", "name": "Defense Impairment"},
        }
    ]
    assert finding["remediation"]["desc"].startswith("Somebody is no longer warned")
    assert json.loads(finding["raw_data"])["eventName"] == "DeleteAlarms"


def test_failed_events_are_counted(tmp_path: Path) -> None:
    """How many events failed, and how, stands where OCSF has what it has no attribute for."""
    event = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms"}
    records = [{**event, "eventID": "1", "errorCode": "AccessDenied"}, {**event, "eventID": "2"}]
    (tmp_path / "a.json").write_text(json.dumps({"Records": records}), encoding="utf-8")
    [alert] = alerts_of_files([tmp_path / "a.json"]).alerts
    finding: Any = detection_finding(alert)
    assert (finding["count"], finding["unmapped"]) == (2, {"failed_count": 1, "error_codes": ["AccessDenied"]})
    VALIDATOR.validate(finding)


def test_an_event_without_a_time(tmp_path: Path) -> None:
    """A finding needs a time, and has 0 where the event tells none."""
    event = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms", "sourceIPAddress": "AWS Internal"}
    (tmp_path / "a.json").write_text(json.dumps({"Records": [event]}), encoding="utf-8")
    [alert] = alerts_of_files([tmp_path / "a.json"]).alerts
    finding: Any = detection_finding(alert)
    assert finding["time"] == 0
    assert "first_seen_time" not in finding["finding_info"]
    assert finding["evidences"][0]["src_endpoint"] == {"name": "AWS Internal"}
    VALIDATOR.validate(finding)


def test_where_addresses_are() -> None:
    """The place and the network of an address stand where OCSF has them."""
    alert = next(iter(alerts_of_files([ROOT / "tests/samples/export.ndjson"]).alerts))
    for known, place in (
        (SourceLocation("198.51.100.23", "DE", "Germany", "Berlin", "198.51.100.0/24", 64500, "Example"), True),
        (SourceLocation("198.51.100.23", asn=64500), False),
    ):
        finding: Any = detection_finding(alert._replace(source_addresses=("198.51.100.23",), source_locations=(known,)))
        VALIDATOR.validate(finding)
        endpoint = finding["evidences"][0]["src_endpoint"]
        assert endpoint["autonomous_system"]["number"] == 64500
        assert ("location" in endpoint) == place
