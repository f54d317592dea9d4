"""How an alert is written as JSON."""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.first_event import actor_name, first_event_json, first_event_text
from sigma_stellar_aws.alerts.hits import LONGEST_REMEMBERED
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.times import duration_text, time_text
from sigma_stellar_aws.reference.attack import Attack, attack, tactic_name
from sigma_stellar_aws.rule_files.counted import Correlation
from sigma_stellar_aws.rule_files.suppression import ALERT_NAME, ALERT_TITLE

_ATTACK = "https://attack.mitre.org"
_REMEMBERED = 5_000
"""Parts of alerts that are remembered."""
_FIRST_SAID, _LAST_SAID = Alert._fields.index("event_names"), Alert._fields.index("error_codes") + 1
_encode = msgspec.json.Encoder().encode


class _Said(NamedTuple):
    """What an alert says of its events, as JSON, but for their number, their times and which they are."""

    outcome: bytes
    actors: bytes


def alert_json(alert: Alert) -> JsonObject:
    """Write an alert as a JSON object."""
    return {
        "id": alert.id,
        **_json_of_rule(alert.rule),
        **_json_of_times(alert),
        **_json_of_outcome(alert),
        **_json_of_sample(alert),
        **_json_of_actors(alert),
        "first_event": first_event_json(alert.event, alert.rule),
    }


def alert_lines(alerts: Iterable[Alert]) -> Iterator[str]:
    """Write each alert as a line of JSON, in ASCII: what terminals take for commands is escaped."""
    # By their places in memory, and with the rules, so that no other gets the same place.
    rules: dict[int, tuple[PackRule, bytes]] = {}
    known: dict[tuple[object, ...], _Said] = {}
    for alert in alerts:
        rule = rules.get(id(alert.rule))
        if rule is None:
            rule = rules[id(alert.rule)] = alert.rule, _members(_json_of_rule(alert.rule))
        try:
            yield _line(alert, rule[1], known).decode("ascii")
        except (UnicodeError, OverflowError):
            # Half a character, or a number of more than 64 bits: JSON can hold both.
            yield json.dumps(alert_json(alert), separators=(",", ":")) + "\n"


def _line(alert: Alert, rule: bytes, known: dict[tuple[object, ...], _Said]) -> bytes:
    """Write an alert.

    Args:
        alert: the alert.
        rule: what it says of its rule.
        known: what alerts say of their events, which many have in common.
    """
    if alert.source_locations or alert.rule.correlation is not None:
        said = _say(alert)
    else:
        key = (id(alert.rule), alert.key, *alert[_FIRST_SAID:_LAST_SAID])
        if (found := known.get(key)) is None:
            found = _say(alert)
            if sum(map(len, found)) <= LONGEST_REMEMBERED:
                if len(known) >= _REMEMBERED:
                    known.clear()
                known[key] = found
        said = found
    return b'{"id":%b,%b,%b,%b,%b,%b,"first_event":%b}\n' % (
        _encode(alert.id),
        rule,
        _members(_json_of_times(alert)),
        said.outcome,
        _members(_json_of_sample(alert)),
        said.actors,
        first_event_text(alert.event, alert.rule),
    )


def _say(alert: Alert) -> _Said:
    return _Said(_members(_json_of_outcome(alert)), _members(_json_of_actors(alert)))


def _members(value: JsonObject) -> bytes:
    return _encode(value)[1:-1]


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


def _json_of_times(alert: Alert) -> JsonObject:
    return {
        "first_time": _time_text(alert.first),
        "last_time": _time_text(alert.last),
        "event_count": alert.events,
    }


def _json_of_outcome(alert: Alert) -> JsonObject:
    return {
        "failed_count": alert.failed,
        "error_codes": [*alert.error_codes],
        "suppression": suppression_json(alert),
    }


def _json_of_sample(alert: Alert) -> JsonObject:
    return {"events": [{"id": event_id, "place": origin} for event_id, origin in alert.sample]}


def _json_of_actors(alert: Alert) -> JsonObject:
    written: JsonObject = {
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
