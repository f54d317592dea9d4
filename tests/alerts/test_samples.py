"""The test events of the rules and the sample files made of them."""

import gzip
import json
import re
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tests.support.records
from sigma_stellar_aws.alerts.run import alerts_of_files
from sigma_stellar_aws.base.json_types import as_object
from tests.samples.make import EXPORT, HERE, LOG_FILES, compact, export, log_files
from tests.support.records import ACCOUNTS, CASES, FIELDS, IDENTITIES, cases, record
from tests.support.yaml_files import read_yaml

RULES = Path(__file__).parents[2] / "rules"
ALWAYS = {
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "requestParameters",
    "responseElements",
    "eventID",
    "eventType",
    "recipientAccountId",
    "readOnly",
    "managementEvent",
    "eventCategory",
}
MINIMAL = {"eventSource": "sts.amazonaws.com", "eventName": "GetCallerIdentity"}


def committed() -> list[dict[str, Any]]:
    """Every record of the sample files, log files first."""
    found: list[dict[str, Any]] = []
    for path in sorted((HERE / LOG_FILES).rglob("*.json.gz")):
        found += json.loads(gzip.decompress(path.read_bytes()))["Records"]
    found += [json.loads(line) for line in (HERE / EXPORT).read_text(encoding="utf-8").splitlines()]
    return found


def test_log_files_are_those_that_the_builder_makes() -> None:
    """The committed log files hold what make.py makes, file by file; only the compression may differ."""
    made = {path: compact({"Records": [*records]}) for path, records in log_files().items()}
    paths = sorted((HERE / LOG_FILES).rglob("*.json.gz"))
    assert {path.relative_to(HERE).as_posix(): gzip.decompress(path.read_bytes()).decode() for path in paths} == made


def test_export_is_the_one_that_the_builder_makes() -> None:
    """The committed export holds what make.py makes, one record a line."""
    text = (HERE / EXPORT).read_text(encoding="utf-8")
    assert text == "".join(f"{compact(entry)}\n" for entry in export())


def test_log_files_hold_every_case() -> None:
    """Each hit and each miss of each rule is in the log files, as the very record that cases() gives."""
    found = {entry["eventID"]: entry for entry in committed()}
    assert [case.name for case in cases() if found.get(case.record["eventID"]) != case.record] == []


def test_each_rule_has_its_case_file() -> None:
    """Rule files and case files have the same names and titles."""
    titles = {path.name: read_yaml(path)["title"] for path in RULES.glob("*.yml")}
    named = {path.name: read_yaml(path)["rule"] for path in CASES.glob("*.yml")}
    assert len(titles) == 29
    assert named == titles


def test_each_rule_has_a_hit_and_two_misses() -> None:
    """No rule has fewer than one event to match and two not to match, and no name is used twice."""
    counts = Counter((case.rule, case.expected) for case in cases())
    rules = {case.rule for case in cases()}
    assert {rule for rule in rules if counts[rule, True] < 1 or counts[rule, False] < 2} == set()
    assert max(Counter((case.rule, case.name) for case in cases()).values()) == 1


def test_published_queries_differ_only_where_there_is_an_erratum() -> None:
    """A case expects another result from the published query exactly for the eight rules with an erratum."""
    rules = [read_yaml(path) for path in RULES.glob("*.yml")]
    errata = {rule["title"] for rule in rules if "published" in rule["stellar"]}
    assert {case.rule for case in cases() if case.expected != case.published} == errata


def test_records_have_the_fields_of_every_record() -> None:
    """No sample record lacks a field that CloudTrail always writes, or has one that it never writes."""
    for entry in committed():
        assert set(entry) >= ALWAYS
        assert set(entry) <= set(FIELDS)
        assert list(entry) == [field for field in FIELDS if field in entry]


def test_records_are_of_the_example_accounts_in_november() -> None:
    """Sample records lie in November 2026, belong to the example accounts and are stored in their own folder."""
    for entry in committed():
        assert re.fullmatch(r"2026-11-\d\dT\d\d:\d\d:\d\dZ", entry["eventTime"])
        assert entry["recipientAccountId"] in ACCOUNTS
    for path, entries in log_files().items():
        places = {f"{LOG_FILES}/{entry['recipientAccountId']}/CloudTrail/{entry['awsRegion']}/" for entry in entries}
        assert len(places) == 1
        assert path.startswith(places.pop())


def test_event_ids_are_unique() -> None:
    """No two sample records share an eventID, and each is a UUID."""
    ids = [entry["eventID"] for entry in committed()]
    assert len(set(ids)) == len(ids) > 300
    assert all(str(uuid.UUID(identifier)) == identifier for identifier in ids)


def test_no_placeholder_is_left() -> None:
    """Every placeholder that the README of the cases names is filled in."""
    text = json.dumps(committed())
    assert re.findall(r"<(?:account|other account|region|n|time|hour|expiry|command)>", text) == []


def test_the_event_wins_over_the_defaults() -> None:
    """A field of the event replaces the default whole, and identity picks the caller."""
    made = record({**MINIMAL, "identity": "root", "userAgent": "test", "requestParameters": {"a": "<account> <other>"}})
    assert made["userAgent"] == "test"
    assert made["requestParameters"] == {"a": f"{made['recipientAccountId']} <other>"}
    assert isinstance(made["userIdentity"], dict)
    assert made["userIdentity"]["type"] == "Root"
    assert made["eventSource"] == "sts.amazonaws.com"


@pytest.mark.parametrize("identity", sorted(IDENTITIES))
def test_every_identity_makes_a_record(identity: str) -> None:
    """Each named caller gives the same whole record every time, and another one under another number."""
    made = record({**MINIMAL, "identity": identity}, number=7)
    assert set(made) >= ALWAYS
    assert made == record({**MINIMAL, "identity": identity}, number=7)
    assert made["eventID"] != record({**MINIMAL, "identity": identity}, number=8)["eventID"]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({**MINIMAL, "identity": "nobody"}, "unknown identity 'nobody'"),
        ({**MINIMAL, "eventname": "x"}, "not a field of a CloudTrail record: eventname"),
        ({"eventName": "GetCallerIdentity"}, "needs eventSource and eventName"),
    ],
)
def test_bad_events_are_refused(event: dict[str, Any], message: str) -> None:
    """An event that cannot become a record is an error that says why."""
    with pytest.raises(ValueError, match=message):
        record(event)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hits: []", "bad.yml: needs a key rule"),
        ("rule: A\nhit: []", "bad.yml: unknown key hit"),
        ("rule: A\nhits: [{name: a}]", "bad.yml: every entry of hits needs name and event"),
        ("rule: A\nhits: [{name: a, event: {}}]\nmisses: [{name: a, event: {}}]", "bad.yml: names used twice: a"),
        ("rule: A\nhits: [{name: a, event: {}}]\npublished_hits: [b]", "bad.yml: published_hits must list names"),
        ("rule: A\nhits: [{name: a, event: {}}]", "bad.yml, 'a': an event needs eventSource"),
    ],
)
def test_bad_case_files_are_refused(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case file that is not as its README says is an error that names the file and the reason."""
    (tmp_path / "bad.yml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(tests.support.records, "CASES", tmp_path)
    with pytest.raises(ValueError, match=message):
        cases()


def test_two_people_who_sign_in_by_saml_from_one_address(tmp_path: Path) -> None:
    """Their calls have no ARN, and still each of them has an alert of their own, one for all calls of a day."""
    [call] = [case.record for case in cases() if case.name == "a user of an outside provider"]
    identity = as_object(call["userIdentity"])
    people = [
        {**call, "eventID": name, "userIdentity": {**identity, "principalId": f"q:{person}", "userName": person}}
        for name, person in (("1", "dave@example.com"), ("2", "erin@example.com"), ("3", "dave@example.com"))
    ]
    (tmp_path / "a.json").write_text(json.dumps({"Records": people}), encoding="utf-8")
    alerts = [*alerts_of_files([tmp_path / "a.json"]).alerts]
    for title in ("AWS SAML Access by Provider User and Principal", "AWS SAML Activity"):
        of_rule = [alert for alert in alerts if alert.rule.title == title]
        assert sorted((alert.key[1], alert.events) for alert in of_rule) == [
            ("q:dave@example.com", 2),
            ("q:erin@example.com", 1),
        ]
