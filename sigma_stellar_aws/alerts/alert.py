"""An alert, its ids, and how it is written as JSON."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec

from sigma_stellar_aws.alerts.first_event import actor_name, first_event_json, first_event_text
from sigma_stellar_aws.alerts.hits import Key
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.alerts.source_location import SourceLocation
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.kept_texts import NOT_KEPT
from sigma_stellar_aws.base.times import duration_text, time_text
from sigma_stellar_aws.reference.attack import Attack, attack, tactic_name
from sigma_stellar_aws.rule_files.counted import Correlation
from sigma_stellar_aws.rule_files.suppression import ALERT_NAME, ALERT_TITLE

_ATTACK = "https://attack.mitre.org"

SAMPLE = 10
"""How many events, and how many values of a kind, an alert lists at most: the first ones."""


class Raised(NamedTuple):
    """An alert that an earlier run raised. Times are milliseconds since 1970-01-01 UTC."""

    id: str
    key_id: str
    start: int
    end: int
    first: int
    """Before the start, where an event arrived late."""
    last: int
    events: int
    failed: int | None = None
    """How many of them have an error code; None where an earlier version raised it, which did not count them."""
    error_codes: tuple[str, ...] = ()


class ChainEvent(NamedTuple):
    """An event of a correlation; texts are empty where it does not have them."""

    time: int | None
    rules: tuple[tuple[str, str], ...]
    """Ids and titles of the rules that it matches, of those that the correlation counts."""
    event: str
    event_id: str
    origin: str
    actor: str
    source_address: str
    error_code: str = ""
    resource: str = ""
    """What it acted on, as far as the event is to be had."""
    place: int = NOT_KEPT
    """Where a search keeps the event, or where that can be read, until the resource is known."""


class Alert(NamedTuple):
    """The events of one rule with one key in one window. Times are milliseconds since 1970-01-01 UTC."""

    id: str
    """Made of the rule, the key and the start of the window: the same alert has the same id in every run."""
    key_id: str
    """Made of the rule and the key."""
    rule: PackRule
    key: Key
    start: int | None
    """When the window opened; None for the events that have no time."""
    end: int | None
    first: int | None
    """Time of the first event, or at which a correlation is first complete: before the start where an event arrived
    late, when the alert was raised already."""
    last: int | None
    events: int
    counted: int
    """How many events this run counted: fewer where some of an earlier run are gone."""
    sample: tuple[tuple[str, str], ...]
    """eventID and origin (file or index) of the first events."""
    event_names: tuple[str, ...]
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    actors: tuple[str, ...]
    source_addresses: tuple[str, ...]
    failed: int = 0
    """How many events have an error code: what they asked for was not done."""
    error_codes: tuple[str, ...] = ()
    """Those of the events."""
    raised: Raised | None = None
    """What an earlier run raised, if it did."""
    since: int | None = None
    """Time of the first event that makes a correlation complete."""
    chain: tuple[ChainEvent, ...] = ()
    """Events of a correlation, in order of time: the first and last of those that make it complete, then others."""
    place: int = NOT_KEPT
    """Where a search keeps the first event, or where that can be read."""
    event: bytes = b""
    """The first event, flattened, as JSON; nothing where it is not to be had."""
    source_locations: tuple[SourceLocation, ...] = ()
    """Where those of the source addresses are that databases know, if any were asked."""


class AlertList(Protocol):
    """Alerts that can be counted, such as a list or those of a search."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Alert]:
        """Read them."""


def alert_id(key_id: str, start: int | None) -> str:
    """Return the id of the alert whose window starts at a time (milliseconds since 1970-01-01 UTC)."""
    return hashed_id([key_id, start])


def id_of_event(key_id: str, time: int | None, event: str) -> str:
    """Return the id of the alert of a single event, at a time (milliseconds since 1970-01-01 UTC)."""
    # Almost all event ids have nothing that JSON escapes, and encoding one takes longer than hashing it.
    if event.isascii() and event.replace("-", "").isalnum():
        return _hashed(f'["{key_id}", {"null" if time is None else time}, "{event}"]')
    return hashed_id([key_id, time, event])


def key_id(rule: PackRule, key: Key) -> str:
    """Hash a rule and the values of the fields that it suppresses by."""
    return _key_id(rule.id, rule.suppression.fields, key)


@lru_cache(maxsize=10_000)
def _key_id(rule: str, fields: tuple[str, ...], key: Key) -> str:
    return hashed_id([rule, list(fields), list(key)])


def failure_text(alert: Alert) -> str:
    """Say how many events failed, and how; nothing where none did.

    Of a single event, that is its error code.
    """
    codes = ", ".join(alert.error_codes)
    if not alert.failed or alert.events == 1:
        return codes
    return f"{alert.failed:,} of {alert.events:,} failed: {codes}"


def alert_json(alert: Alert) -> JsonObject:
    """Write an alert as a JSON object."""
    event = first_event_json(alert.event, alert.rule)
    return {"id": alert.id, **_json_of_rule(alert.rule), **_json_of_events(alert), "first_event": event}


def alert_lines(alerts: Iterable[Alert]) -> Iterator[str]:
    """Write each alert as a line of JSON, in ASCII: what terminals take for commands is escaped."""
    encode = msgspec.json.Encoder().encode
    # By their places in memory, and with the rules, so that no other gets the same place.
    known: dict[int, tuple[PackRule, bytes]] = {}
    for alert in alerts:
        rule = known.get(id(alert.rule))
        if rule is None:
            rule = known[id(alert.rule)] = alert.rule, encode(_json_of_rule(alert.rule))[1:-1]
        try:
            event = first_event_text(alert.event, alert.rule)
            events = encode(_json_of_events(alert))[1:-1]
            line = b'{"id":%b,%b,%b,"first_event":%b}\n' % (encode(alert.id), rule[1], events, event)
            yield line.decode("ascii")
        except (UnicodeError, OverflowError):
            # Half a character, or a number of more than 64 bits: JSON can hold both.
            yield json.dumps(alert_json(alert), separators=(",", ":")) + "\n"


def _json_of_rule(rule: PackRule) -> JsonObject:
    known = attack()
    return {
        "name": ALERT_NAME,
        "display_name": ALERT_TITLE,
        "severity": rule.severity,
        "rule": {
            "id": rule.id,
            "title": rule.title,
            "author": rule.author,
            "description": rule.guide.description,
            "false_positives": [*rule.guide.false_positives],
            "references": [*rule.guide.references],
            "triage": [*rule.guide.triage],
        },
        "tactics": [_tactic_json(tactic, known) for tactic in rule.tactics],
        "techniques": [_technique_json(technique, known) for technique in rule.techniques],
    }


def _tactic_json(tactic: str, known: Attack) -> JsonObject:
    stated = known.tactics.get(tactic)
    return {
        "id": stated.id if stated else None,
        "name": tactic_name(tactic),
        "url": f"{_ATTACK}/tactics/{stated.id}/" if stated else None,
    }


def _technique_json(technique: str, known: Attack) -> JsonObject:
    stated = known.techniques.get(technique)
    return {
        "id": technique,
        "name": stated.name if stated else None,
        "url": f"{_ATTACK}/techniques/{technique.replace('.', '/')}/" if stated else None,
    }


def _json_of_events(alert: Alert) -> JsonObject:
    written: JsonObject = {
        "first_time": _time_text(alert.first),
        "last_time": _time_text(alert.last),
        "event_count": alert.events,
        "failed_count": alert.failed,
        "error_codes": [*alert.error_codes],
        "suppression": suppression_json(alert),
        "events": [{"id": event_id, "place": origin} for event_id, origin in alert.sample],
        "event_names": [*alert.event_names],
        "accounts": [*alert.accounts],
        "regions": [*alert.regions],
        "actors": [*alert.actors],
        "actor_names": [actor_name(actor) for actor in alert.actors],
        "source_addresses": [*alert.source_addresses],
    }
    if alert.source_locations:
        written["source_locations"] = [location.as_json() for location in alert.source_locations]
    if alert.rule.correlation is not None:
        written["correlation"] = _correlation_json(alert, alert.rule.correlation)
    return written


def _correlation_json(alert: Alert, correlation: Correlation) -> JsonObject:
    return {
        "type": correlation.kind,
        "timespan": _duration_text(correlation.timespan),
        "since": time_text(alert.since),
        "chain": [
            {
                "time": time_text(step.time),
                "rules": [{"id": name, "title": title} for name, title in step.rules],
                "event": step.event,
                "id": step.event_id,
                "place": step.origin,
                "actor": step.actor,
                "source_address": step.source_address,
                "resource": step.resource,
                "error_code": step.error_code,
            }
            for step in alert.chain
        ],
    }


# Alerts come in order of time, and most rules have one of a few windows.
_time_text = lru_cache(maxsize=1000)(time_text)
_duration_text = lru_cache(maxsize=1000)(duration_text)


def suppression_json(alert: Alert) -> JsonObject:
    """Write the window and the key of an alert as a JSON object."""
    suppression = alert.rule.suppression
    return {
        "window": _duration_text(suppression.window),
        "key": dict(zip(suppression.fields, alert.key, strict=True)),
    }


def hashed_id(parts: list[Json]) -> str:
    """Hash JSON values into a short id that is the same in every run."""
    return _hashed(json.dumps(parts))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
