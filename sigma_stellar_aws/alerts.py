"""Events that match rules: found in files or in a data store, and told in the same words."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sigma_stellar_aws import dsl
from sigma_stellar_aws.dsl import Clause
from sigma_stellar_aws.flatten import TIME_FIELD, flatten
from sigma_stellar_aws.jsontypes import Scalar
from sigma_stellar_aws.matcher import matched_queries
from sigma_stellar_aws.pack import Pack, PackRule
from sigma_stellar_aws.reader import Problem, Report, read_records
from sigma_stellar_aws.screen import screen

# Who acted, from the most to the least telling.
_ACTOR_FIELDS = (
    "userIdentity_arn",
    "userIdentity_userName",
    "userIdentity_principalId",
    "userIdentity_invokedBy",
    "userIdentity_type",
)


class Alert(NamedTuple):
    """One event that matches one rule. Texts are empty where the record does not have them."""

    time: str
    """As in the record: ISO 8601, UTC."""
    severity: int
    rule_id: str
    rule_title: str
    rule_author: str
    """The Detection Rule License asks that it is shown wherever matches are."""
    event_id: str
    event_source: str
    event_name: str
    error_code: str
    actor: str
    source_address: str
    account: str
    region: str
    place: str
    """The file or the index that the event stands in."""


def within(query: Clause, time_field: str, since: datetime | None, until: datetime | None) -> Clause:
    """The query, of events not before ``since`` and before ``until`` (both aware of their time zone)."""
    limits: dict[str, Scalar] = {
        name: str(round(time.timestamp() * 1000)) for name, time in (("gte", since), ("lt", until)) if time is not None
    }
    return dsl.all_of([query, dsl.bounds(time_field, **limits, format="epoch_millis")]) if limits else query


def scan_files(
    files: Iterable[Path], pack: Pack, report: Report, since: datetime | None = None, until: datetime | None = None
) -> Iterator[list[Alert]]:
    """Look for matching events in CloudTrail files; yields the alerts of every record, none where no rule matches."""
    passes = screen(pack.query)
    matches = matched_queries(pack.query)
    in_time = matched_queries(within(pack.query, TIME_FIELD, since, until))
    for file in files:
        for line, record in read_records(file, report, passes):
            if record is None:
                yield []
                continue
            document = flatten(record)
            names = in_time(document)
            if (since or until) and TIME_FIELD not in document and matches(document):
                event_id = document.get("eventID")
                report(Problem(file, line, f"event {event_id!r} matches, but has no eventTime to compare"))
            yield to_alerts(document, names, pack.rules, str(file))


def distinct(alerts: Iterable[Alert]) -> list[Alert]:
    """The alerts without those of an event that was told before: CloudTrail delivers some events more than once."""
    first: dict[object, Alert] = {}
    for number, alert in enumerate(alerts):
        first.setdefault(alert._replace(place="") if alert.event_id else number, alert)
    return list(first.values())


def event_of(alert: Alert) -> Alert:
    """What an alert tells of its event, without the rule: equal for the alerts of one event."""
    return alert._replace(severity=0, rule_id="", rule_title="", rule_author="")


def to_alerts(
    document: Mapping[str, object], names: Iterable[str], rules: Mapping[str, PackRule], place: str
) -> list[Alert]:
    """The alerts of an event, one for each rule that it matches."""

    def text(*fields: str) -> str:
        return next((t for t in (_text(document.get(field)) for field in fields) if t), "")

    return [
        Alert(
            time=text("eventTime"),
            severity=rules[name].severity,
            rule_id=rules[name].id,
            rule_title=rules[name].title,
            rule_author=rules[name].author,
            event_id=text("eventID"),
            event_source=text("eventSource"),
            event_name=text("eventName"),
            error_code=text("errorCode"),
            actor=text(*_ACTOR_FIELDS),
            source_address=text("sourceIPAddress"),
            account=text("recipientAccountId"),
            region=text("awsRegion"),
            place=place,
        )
        for name in names
    ]


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "" if value is None else str(value)
