"""Alerts out of log files."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from sigma_stellar_aws import dsl
from sigma_stellar_aws.alerts import Alert, distinct, scan_files, to_alerts, within
from sigma_stellar_aws.flatten import TIME_FIELD, flatten
from sigma_stellar_aws.index_template import EVENT_FIELDS
from sigma_stellar_aws.jsontypes import Json, JsonObject
from sigma_stellar_aws.pack import Pack, PackRule, convert_pack
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.reader import Problem
from sigma_stellar_aws.rulepack import load_rules
from tests.records import cases, record

DELETED: dict[str, Json] = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms"}
RULES = {"r": PackRule("r", "Rule", 50, "An Author")}


@pytest.fixture(scope="module")
def pack() -> Pack:
    """The 29 rules."""
    return convert_pack(load_rules(), stellar_aws())


def write(path: Path, records: Iterable[JsonObject]) -> Path:
    """A file with one record a line."""
    path.write_text("".join(json.dumps(entry) + "\n" for entry in records), encoding="utf-8")
    return path


def scan(
    pack: Pack, *files: Path, since: datetime | None = None, until: datetime | None = None
) -> tuple[list[list[Alert]], list[Problem]]:
    """The alerts of every record, and what could not be read."""
    problems: list[Problem] = []
    return list(scan_files(files, pack, problems.append, since, until)), problems


def time(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize("published", [False, True])
def test_every_case_of_the_rules(tmp_path: Path, published: bool) -> None:
    """In a file with the events of all rules, each rule finds the ones that it should, and no other of its own."""
    converted = convert_pack(load_rules(), (stellar_aws_published if published else stellar_aws)())
    events = cases()
    found, problems = scan(converted, write(tmp_path / "a.json", [case.record for case in events]))
    assert problems == []
    assert [case.name for case, alerts in zip(events, found, strict=True)
            if (case.rule in {alert.rule_title for alert in alerts}) != (case.published if published else case.expected)
            ] == []  # fmt: skip


def test_an_alert_tells_of_its_event(pack: Pack, tmp_path: Path) -> None:
    """An alert has severity and name of the rule, and when, what, who, where from and where of the event."""
    event = record({**DELETED, "identity": "iam_user", "errorCode": "AccessDenied"})
    file = write(tmp_path / "a.json", [event])
    [[alert]], _ = scan(pack, file)
    assert alert == Alert(
        time=str(event["eventTime"]),
        severity=50,
        rule_id=alert.rule_id,
        rule_title="AWS CloudWatch Alarm Deletion",
        rule_author="sigma-stellar-aws",
        event_id=str(event["eventID"]),
        event_source="monitoring.amazonaws.com",
        event_name="DeleteAlarms",
        error_code="AccessDenied",
        actor="arn:aws:iam::123456789012:user/alice",
        source_address="198.51.100.23",
        account="123456789012",
        region="eu-central-1",
        place=str(file),
    )
    assert pack.rules[alert.rule_id].title == alert.rule_title


def test_every_record_is_counted(pack: Pack, tmp_path: Path) -> None:
    """Every record of every file has its place in the result, also those that match nothing; damage stops nothing."""
    other = record({"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets"})
    first = write(tmp_path / "a.json", [record(DELETED), other, record({**DELETED, "eventName": "DeleteAlarmsX"})])
    first.write_text(f"{first.read_text(encoding='utf-8')}damage\n", encoding="utf-8")
    second = write(tmp_path / "b.json", [other, record(DELETED)])
    found, problems = scan(pack, first, tmp_path / "gone.json", second)
    assert [[alert.place for alert in alerts] for alerts in found] == [[str(first)], [], [], [], [str(second)]]
    assert [problem[:2] for problem in problems] == [(first, 4), (tmp_path / "gone.json", 1)]


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        (None, None, [1, 2, 3]),
        ("2026-11-24T02:00:00", None, [2, 3]),
        (None, "2026-11-24T02:00:00", [1]),
        ("2026-11-24T02:00:00", "2026-11-24T03:00:00", [2]),
        ("2026-11-24T02:00:00.001", "2026-11-24T02:59:59.999", []),
        ("2026-11-24T03:00:00", "2026-11-24T02:00:00", []),
        ("0001-01-01", "9999-12-31", [1, 2, 3]),
    ],
)
def test_bounds_of_time(pack: Pack, tmp_path: Path, since: str | None, until: str | None, hours: list[int]) -> None:
    """Events at the first bound are found, those at the second are not."""
    events = [record({**DELETED, "eventTime": f"2026-11-24T0{hour}:00:00Z"}) for hour in (1, 2, 3)]
    found, problems = scan(
        pack,
        write(tmp_path / "a.json", events),
        since=time(since) if since else None,
        until=time(until) if until else None,
    )
    assert [int(alert.time[11:13]) for alerts in found for alert in alerts] == hours
    assert (len(found), problems) == (3, [])


def test_an_event_without_time_is_told(pack: Pack, tmp_path: Path) -> None:
    """A matching event whose time cannot be read is told with its line if a time is asked for, and else found."""
    other = record({"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "eventTime": ""})
    file = write(tmp_path / "a.json", [other, record({**DELETED, "eventTime": "yesterday"})])
    assert [len(alerts) for alerts in scan(pack, file)[0]] == [0, 1]
    found, problems = scan(pack, file, since=time("2026-11-24"))
    assert found == [[], []]
    assert [problem[:2] for problem in problems] == [(file, 2)]


def test_within() -> None:
    """A query without bounds is the same query, one with bounds asks for the time too, in milliseconds."""
    query = dsl.term("a", "b")
    assert within(query, TIME_FIELD, None, None) == query
    bounded = within(query, "at", time("1970-01-01T00:00:01"), time("1970-01-01T00:00:02"))
    assert list(dsl.leaves(bounded)) == [
        *dsl.leaves(query),
        ("range", "at", {"gte": "1000", "lt": "2000", "format": "epoch_millis"}),
    ]


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"type": "IAMUser", "arn": "arn", "userName": "name", "principalId": "id"}, "arn"),
        ({"type": "IAMUser", "userName": "name", "principalId": "id"}, "name"),
        ({"type": "AWSAccount", "principalId": "id"}, "id"),
        ({"type": "AWSService", "invokedBy": "service"}, "service"),
        ({"type": "Unknown", "arn": "", "userName": None}, "Unknown"),
        ({}, ""),
        (None, ""),
    ],
)
def test_actor(identity: Json, actor: str) -> None:
    """The actor is the most telling of what the record says about the caller."""
    [alert] = to_alerts(flatten({"userIdentity": identity}), ["r"], RULES, "a.json")
    assert alert.actor == actor


def test_alerts_of_odd_events() -> None:
    """Values of any type are told as text, missing ones are empty, and each rule has an alert of its own."""
    document = flatten({"eventID": 7, "eventName": ["A", True], "eventTime": None})
    rules = {**RULES, "s": PackRule("s", "Other", 75, "")}
    alerts = to_alerts(document, ["r", "s"], rules, "a.json")
    assert Counter((alert.rule_title, alert.severity) for alert in alerts) == Counter([("Rule", 50), ("Other", 75)])
    assert {(alert.event_id, alert.event_name, alert.time, alert.account) for alert in alerts} == {
        ("7", "A, True", "", "")
    }


def test_an_event_that_stands_twice_is_told_once(pack: Pack, tmp_path: Path) -> None:
    """Of an event in two files the first is told, for each of its rules; events without an id are all told."""
    saml = record({"eventSource": "sts.amazonaws.com", "eventName": "AssumeRoleWithSAML"})
    without = {key: value for key, value in saml.items() if key != "eventID"}
    first = write(tmp_path / "a.json", [saml, without])
    second = write(tmp_path / "b.json", [saml, without])
    found, _ = scan(pack, first, second)
    told = distinct(alert for alerts in found for alert in alerts)
    assert Counter((alert.event_id, alert.place) for alert in told) == Counter(
        {(str(saml["eventID"]), str(first)): 2, ("", str(first)): 2, ("", str(second)): 2}
    )
    assert len({alert.rule_id for alert in told}) == 2


def test_different_events_of_one_id_are_all_told(pack: Pack, tmp_path: Path) -> None:
    """Where ids were redacted, only what is alike in everything that is told counts as one event."""
    events = [{**record(DELETED, number=number), "eventID": "REDACTED"} for number in (1, 900, 1)]
    found, _ = scan(pack, write(tmp_path / "a.json", events))
    assert [alert.time for alert in distinct(a for alerts in found for a in alerts)] == [
        events[0]["eventTime"],
        events[1]["eventTime"],
    ]


def test_an_alert_needs_its_source_fields_only(pack: Pack) -> None:
    """The fields that are fetched from a data store are all that alerts are made of."""
    for case in cases():
        document = flatten(case.record)
        fetched = {field: document[field] for field in EVENT_FIELDS if field in document}
        assert to_alerts(fetched, pack.rules, pack.rules, "") == to_alerts(document, pack.rules, pack.rules, "")
