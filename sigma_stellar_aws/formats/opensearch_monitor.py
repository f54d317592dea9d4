"""Monitors of OpenSearch Alerting, as the bodies that create them.

The server drops keys that it does not know; only ``ui_metadata`` keeps what is our own, under ``sigma_stellar_aws``: by
its ``rule_id`` a monitor is found again.

There are three kinds:

- ``query`` runs the native query of one rule, and alerts while it has hits.
- ``bucket`` runs it too, and alerts once for each group of events, which is nearest to the platform.
- ``document`` makes a finding of every event that arrives after the monitor was made (``formats.document_monitor``).

Groups of a ``bucket`` monitor: a field that an event lacks counts as ``(none)``, as in our own alerts.
``missing_bucket`` would make the key null, on which Alerting fails up to 3.8, for all groups and without an alert.
``multi_terms`` has a value for what is missing, but only from 2.11 on, and no pages. A script as the source of a
composite aggregation works from 2.0 on and keeps the pages; a cluster that forbids scripts cannot run Alerting's
triggers either. The script is the same for every field, since OpenSearch compiles only 75 scripts in five minutes.

Messages: Alerting holds a message back by what it keeps in the alert, and the alert ends as soon as a run finds
nothing. So ``query`` and ``bucket`` look back as far as alerts are suppressed, which keeps the alert open, and hold
their messages back as long; no event is reported twice. This is not quite the platform's suppression:

- ``query`` does not know actors. While its alert is open, what others do is reported only when the time is over; what
  happens or arrives within minutes of a message perhaps not at all, as the next one no longer looks back so far.
- ``bucket`` has one alert, and one message, for the same values of the suppression fields. The alert stays open as
  long as such events come at least once in the window. Messages do not repeat open alerts: above 50 of them Alerting
  sends one message for all at every run, and does not hold it back. A message without a new group is empty, and
  Alerting does not send it.
- ``document`` has a new alert for every event, so its messages are hardly ever held back.
- No monitor holds messages back for more than 24 hours, or looks back for less than 30 minutes.

An error of the monitor is reported as one. ``query`` holds it back like other messages; ``bucket`` reports it at every
run, which Alerting does not hold back; ``document`` keeps it in an alert and sends nothing.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from sigma.rule import SigmaLevel

from sigma_stellar_aws import __version__
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import LeftOutWarning
from sigma_stellar_aws.formats.converted_rule import MARK, ConvertedRule, group_fields, tell
from sigma_stellar_aws.query import dsl

MonitorKind = Literal["query", "bucket", "document"]

TRIGGER_PRIORITY: Mapping[SigmaLevel, str] = MappingProxyType(
    {
        SigmaLevel.CRITICAL: "1",
        SigmaLevel.HIGH: "2",
        SigmaLevel.MEDIUM: "3",
        SigmaLevel.LOW: "4",
        SigmaLevel.INFORMATIONAL: "5",
    }
)
"""What a trigger calls its severity, 1 being the highest, by the level of a rule's severity: 100, 75, 50, 25, less."""

ALL_RULES = "aws_malicious_activity"
"""How the ``rule_id`` of a document-level monitor begins: the platform's name of the alert type."""

INTERVAL_MINUTES = 5
LEAST_LOOK_BACK = 30
"""Minutes. CloudTrail delivers within 15 minutes as a rule."""

SAMPLES = 5
"""How many events the message of a query-level monitor shows; Alerting chooses up to 10 for a group."""

SHOWN = ("eventTime", "eventName", "userIdentity.arn", "sourceIPAddress", "recipientAccountId", "eventID")
"""CloudTrail fields that a message shows of an event."""

MOST_THROTTLE = 1440
"""Minutes for which an action can be held back, by default of the server."""

NONE = "(none)"
"""What stands for the value of a field that an event lacks, as in our own alerts."""

GROUPS = 1000
"""How many groups a run asks for at a time."""

AGGREGATION = "composite_agg"
"""Alerting looks for the events of a group, which a message shows, only in an aggregation of this name."""

# One text for all fields and rules; a field that is not mapped counts as missing, in one index of several too.
_VALUE_OR_NONE = "!doc.containsKey(params.field) || doc[params.field].size() == 0 ? params.none : doc[params.field]"
# Mustache takes these for its own wherever they stand in a search body.
_MUSTACHE = "{{"
PERIOD_END = "{{period_end}}"
"""Alerting fills the time of a run in, ..."""
PERIOD_FORMAT = "epoch_millis"
"""... in this format."""


def query_monitor(converted: ConvertedRule, channel: str, *, enabled: bool) -> JsonObject:
    """Return a query-level monitor of one rule.

    Args:
        converted: the rule.
        channel: id of the notification channel for alerts; empty for none.
        enabled: whether the monitor runs once it is made.

    Raises:
        UnsupportedRuleError: the rule cannot be such a monitor; the message says why.
    """
    minutes = minutes_of(converted)
    message = (
        "{{ctx.monitor.name}}: "
        f"{{{{ctx.results.0.hits.total.value}}}} event(s) in the {minutes} minutes before {{{{ctx.periodEnd}}}}:\n"
        f"{{{{#ctx.results.0.hits.hits}}}}- {event_line(converted)}\n{{{{/ctx.results.0.hits.hits}}}}"
    )
    trigger: JsonObject = {
        "name": converted.title,
        "severity": TRIGGER_PRIORITY[converted.level],
        "condition": script("ctx.results[0].hits.total.value > 0"),
        "actions": [*actions(channel, minutes, message)],
    }
    body: JsonObject = {"size": SAMPLES, "track_total_hits": True, "query": in_window(converted, f"{minutes}m")}
    return search_monitor(converted, "query_level_monitor", body, {"query_level_trigger": trigger}, enabled)


def bucket_monitor(converted: ConvertedRule, channel: str, *, enabled: bool) -> JsonObject:
    """Return a bucket-level monitor of one rule, with one alert for the same values of its suppression fields.

    Arguments and errors are those of :func:`query_monitor`.
    """
    minutes = minutes_of(converted)
    suppressed_by = converted.suppression.fields
    fields = group_fields(converted, suppressed_by)
    # Keys come in an order that nobody chose, so the events name the fields. Empty if there is no new group.
    # Few fields: with six, Alerting needs a minute and a gigabyte to write a message of 2,500 groups.
    shown = fields_line(converted.names.all(["eventName", *suppressed_by]))
    message = (
        "{{#ctx.newAlerts}}{{ctx.monitor.name}}: "
        f"events in the {minutes} minutes before {{{{ctx.periodEnd}}}} with the same {', '.join(fields)} (values in no "
        "particular order: {{bucket_keys}}), such as:\n"
        f"{{{{#sample_documents}}}}- {shown}\n{{{{/sample_documents}}}}"
        "{{/ctx.newAlerts}}"
    )
    trigger = bucket_trigger(converted, "_count", "params._count > 0", actions(channel, minutes, message))
    sources: list[JsonObject] = [{name: {"terms": _value_or_none(name)}} for name in fields]
    body: JsonObject = {
        "size": 0,
        "query": in_window(converted, f"{minutes}m"),
        "aggregations": {AGGREGATION: {"composite": {"size": GROUPS, "sources": [*sources]}}},
    }
    return search_monitor(converted, "bucket_level_monitor", body, {"bucket_level_trigger": trigger}, enabled)


def bucket_trigger(converted: ConvertedRule, path: str, condition: str, notify: Sequence[JsonObject]) -> JsonObject:
    """Return a trigger that alerts for each group of a composite aggregation.

    Args:
        converted: the rule.
        path: of a number in the bucket of a group, which is the parameter of this name.
        condition: when a group alerts, in Painless.
        notify: what is sent of each group when it is new.
    """
    return {
        "name": converted.title,
        "severity": TRIGGER_PRIORITY[converted.level],
        "condition": {"buckets_path": {path: path}, "parent_bucket_path": AGGREGATION, **script(condition)},
        "actions": [{**action, "action_execution_policy": _FOR_EACH_NEW_ALERT} for action in notify],
    }


def head(name: str, kind: str, rule_id: str, enabled: bool) -> JsonObject:
    """Return what every monitor begins with."""
    return {
        "type": "monitor",
        "name": name,
        "monitor_type": kind,
        "enabled": enabled,
        "schedule": {"period": {"interval": INTERVAL_MINUTES, "unit": "MINUTES"}},
        "ui_metadata": {MARK.replace("-", "_"): {"rule_id": rule_id, "version": __version__}},
    }


def minutes_of(converted: ConvertedRule) -> int:
    """Return how long a monitor looks back, and holds messages back: as long as the rule suppresses, if it can."""
    stated = converted.suppression.window // timedelta(minutes=1)
    minutes = min(max(stated, LEAST_LOOK_BACK), MOST_THROTTLE)
    if minutes != stated:
        reason = f"alerts are suppressed for {minutes} minutes, not for {stated}, which a monitor cannot do"
        tell(LeftOutWarning(f"Rule {converted.title!r}: {reason}"), "opensearch_monitor")
    return minutes


def script(source: str, **parameters: Json) -> JsonObject:
    """Return a Painless script as Alerting and searches take it."""
    return {"script": {"source": source, "lang": "painless", **({"params": parameters} if parameters else {})}}


def event_line(converted: ConvertedRule) -> str:
    """Return the part of a message that shows an event, each value with the name of its field."""
    return fields_line(converted.names.all(SHOWN))


def fields_line(names: Sequence[str]) -> str:
    """Return the part of a message that shows these fields of an event."""
    return ", ".join(f"{name}: {{{{_source.{name}}}}}" for name in names)


def actions(channel: str, minutes: int, message: str) -> Sequence[JsonObject]:
    """Return the action that sends a message to a channel, at most once in so many minutes; none without a channel.

    An error of the monitor is an action too, and there are no results to show then.
    """
    if not channel:
        return []
    failed = "The monitor {{ctx.monitor.name}} failed, so nobody knows whether its rule matches: {{ctx.error}}"
    action: JsonObject = {
        "name": "notify",
        "destination_id": channel,
        "subject_template": _template(
            "{{#ctx.error}}Monitor failed: {{/ctx.error}}{{ctx.trigger.name}} (severity {{ctx.trigger.severity}})"
        ),
        "message_template": _template(
            f"{{{{#ctx.error}}}}{failed}{{{{/ctx.error}}}}{{{{^ctx.error}}}}{message}{{{{/ctx.error}}}}"
        ),
        "throttle_enabled": True,
        "throttle": {"value": minutes, "unit": "MINUTES"},
    }
    return [action]


def search_monitor(
    converted: ConvertedRule, kind: str, body: JsonObject, trigger: JsonObject, enabled: bool
) -> JsonObject:
    """Return a monitor that searches, with one trigger."""
    return {
        **head(converted.title, kind, converted.id, enabled),
        "inputs": [{"search": {"indices": [*converted.indices], "query": body}}],
        "triggers": [trigger],
    }


def _value_or_none(field: str) -> JsonObject:
    return script(_VALUE_OR_NONE, field=field, none=NONE)


def before_run(duration: str) -> str:
    """Return the time so long before a run, as a search of a monitor has it."""
    return f"{PERIOD_END}||-{duration}"


def in_window(converted: ConvertedRule, look_back: str) -> JsonObject:
    """Return the native query of a rule, limited to what a run looks back.

    Raises:
        UnsupportedRuleError: the rule cannot be asked so; the message says why.
    """
    converted.refuse_other_engine("opensearch")
    converted.refuse_without_time()
    if _MUSTACHE in json.dumps(converted.query):
        converted.refuse(f"a value has {_MUSTACHE!r} in it, which a monitor takes for a place to fill in")
    window = dsl.bounds(converted.time_field, gte=before_run(look_back), lt=PERIOD_END, format=PERIOD_FORMAT)
    return dsl.all_of([window, converted.query])


_FOR_EACH_NEW_ALERT: JsonObject = {"action_execution_scope": {"per_alert": {"actionable_alerts": ["NEW"]}}}


def _template(source: str) -> JsonObject:
    return {"source": source, "lang": "mustache"}
