"""Alerts as Detection Findings of OCSF."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from sigma_stellar_aws.alerts.ocsf import detection_finding, ocsf_lines
from sigma_stellar_aws.alerts.run import alerts_of_files

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "tests/schemas/ocsf-detection-finding.schema.json"


def test_each_alert_is_a_detection_finding() -> None:
    """Alerts of all rules have what the class demands, each with its own id, in ASCII."""
    alerts = list(alerts_of_files([ROOT / "tests/samples"]).alerts)
    validator = Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    lines = list(ocsf_lines(alerts))
    assert all(line.isascii() for line in lines)
    for line in lines:
        validator.validate(json.loads(line))
    assert len({json.loads(line)["finding_info"]["uid"] for line in lines}) == len(alerts) > 100


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
    Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(finding)


def test_an_event_without_a_time(tmp_path: Path) -> None:
    """A finding needs a time, and has 0 where the event tells none."""
    event = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms", "sourceIPAddress": "AWS Internal"}
    (tmp_path / "a.json").write_text(json.dumps({"Records": [event]}), encoding="utf-8")
    [alert] = alerts_of_files([tmp_path / "a.json"]).alerts
    finding: Any = detection_finding(alert)
    assert finding["time"] == 0
    assert "first_seen_time" not in finding["finding_info"]
    assert finding["evidences"][0]["src_endpoint"] == {"name": "AWS Internal"}
