"""Monitors of OpenSearch Alerting, as the bodies that create them.

Facts: the plugin and its common library, and what a real Alerting of the 3.x line did. The server drops keys that it
does not know; only ``ui_metadata`` keeps what is our own, under ``sigma_stellar_aws``: by its ``rule_id`` a monitor is
found again.

There are three kinds. ``query`` asks the native query of one rule and alerts while it has hits; ``bucket`` asks it too
and alerts once for each group of events, which is the nearest to the platform; ``document`` is one monitor for all
rules, which makes a finding of every event that arrives after it was made. The last takes Lucene text only, and drops
in silence a query that names a field which the index does not map, or a sub-field. So it refuses what the text does not
say exactly, and a field that the store profile does not have. Whether a field has a value it sees since OpenSearch 2.13
(opensearch-project/alerting#1425).

How often somebody is told: Alerting holds a message back by what it keeps in the alert, and the alert is over as soon
as a run finds nothing. So ``query`` and ``bucket`` look back as far as alerts are suppressed, which keeps the alert
open, and hold its messages back as long, so that no event is told of twice. This is not quite the platform's
suppression:

- ``query`` knows no actors. While its alert is open, what others do is told of only when the time is over; what happens
  or arrives within minutes of a message perhaps not at all, as the next one no longer looks back so far.
- ``bucket`` has an alert for the same values of the suppression fields. It stays open, and is told of again each time
  the suppression is over, as long as such events come.
- ``document`` has a new alert for every event, so that its messages are hardly ever held back.
- No monitor holds messages back for more than 24 hours, nor looks back for less than 30 minutes.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from sigma.rule import SigmaLevel

from sigma_stellar_aws import __version__
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning, LeftOutWarning
from sigma_stellar_aws.formats.converted_rule import MARK, ConvertedRule, group_fields, tell
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.rule_files.stellar_block import ALERT_TITLE, suppression

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
"""The ``rule_id`` of the document-level monitor for all rules: the platform's name of the alert type."""

INTERVAL = 5
LEAST_LOOK_BACK = 30
"""Minutes. CloudTrail delivers within 15 minutes as a rule."""

SAMPLES = 5
"""How many events the message of a query-level monitor shows."""

SHOWN = ("eventTime", "eventName", "userIdentity.arn", "sourceIPAddress", "recipientAccountId", "eventID")
"""CloudTrail fields that a message shows of an event."""

MOST_THROTTLE = 1440
"""Minutes for which an action can be held back, by default of the server."""

_GROUPS = 1000
_LONGEST_NAME = 256
_EXISTS_SINCE = (2, 13)
# Mustache takes these for its own wherever they stand in a search body.
_MUSTACHE = "{{"
_NOT_IN_NAMES = re.compile(r"[*?<>|#^]|\.\.|[\x00-\x1f\x7f]")
_NOT_IN_TAGS = re.compile(r"[ \[\]{}()\x00-\x1f\x7f]")


def query_monitor(converted: ConvertedRule, channel: str, *, enabled: bool) -> JsonObject:
    """A query-level monitor of one rule.

    Args:
        converted: the rule.
        channel: id of the notification channel that is told; empty for none.
        enabled: whether the monitor runs once it is made.

    Raises:
        UnsupportedRuleError: the rule cannot be such a monitor; the message says why.
    """
    minutes = _minutes(converted)
    message = (
        f"{{{{ctx.results.0.hits.total.value}}}} event(s) in the {minutes} minutes before {{{{ctx.periodEnd}}}}:\n"
        f"{{{{#ctx.results.0.hits.hits}}}}- {_event(converted)}\n{{{{/ctx.results.0.hits.hits}}}}"
    )
    trigger: JsonObject = {
        **_trigger(converted.title, TRIGGER_PRIORITY[converted.level]),
        "condition": _script("ctx.results[0].hits.total.value > 0"),
        "actions": [*_actions(channel, minutes, message)],
    }
    body: JsonObject = {"size": SAMPLES, "track_total_hits": True, "query": _in_window(converted, minutes)}
    return _search_monitor(converted, "query_level_monitor", body, {"query_level_trigger": trigger}, enabled)


def bucket_monitor(converted: ConvertedRule, channel: str, *, enabled: bool) -> JsonObject:
    """A bucket-level monitor of one rule, with one alert for the same values of its suppression fields.

    Arguments and errors are those of :func:`query_monitor`.
    """
    minutes = _minutes(converted)
    fields = group_fields(converted, suppression(converted.rule).fields)
    message = (
        f"Events in the {minutes} minutes before {{{{ctx.periodEnd}}}} with these values of {', '.join(fields)}:\n"
        "{{#ctx.newAlerts}}- {{bucket_keys}}\n{{/ctx.newAlerts}}"
        "{{#ctx.dedupedAlerts}}- {{bucket_keys}} (goes on)\n{{/ctx.dedupedAlerts}}"
    )
    sources: list[JsonObject] = [{name: {"terms": {"field": name, "missing_bucket": True}}} for name in fields]
    trigger: JsonObject = {
        **_trigger(converted.title, TRIGGER_PRIORITY[converted.level]),
        "condition": {
            "buckets_path": {"_count": "_count"},
            "parent_bucket_path": "groups",
            **_script("params._count > 0"),
        },
        "actions": [
            {**action, "action_execution_policy": _FOR_EACH_ALERT} for action in _actions(channel, minutes, message)
        ],
    }
    body: JsonObject = {
        "size": 0,
        "query": _in_window(converted, minutes),
        "aggregations": {"groups": {"composite": {"size": _GROUPS, "sources": [*sources]}}},
    }
    return _search_monitor(converted, "bucket_level_monitor", body, {"bucket_level_trigger": trigger}, enabled)


def document_query(converted: ConvertedRule) -> JsonObject:
    """The query of one rule in a document-level monitor; names are made to be what the server takes.

    Raises:
        UnsupportedRuleError: the rule cannot be one; the message says why.
    """
    refuse_what_text_cannot_say(converted, "a document-level monitor")
    tags = [_severity_tag(TRIGGER_PRIORITY[converted.level]), *(_NOT_IN_TAGS.sub("_", tag) for tag in converted.tags)]
    return {
        "id": converted.id,
        "name": allowed_name(converted.title, converted.id),
        "query": converted.lucene.text,
        "tags": [*tags],
        "fields": [],
    }


def refuse_what_text_cannot_say(converted: ConvertedRule, target: str) -> None:
    """Check that a target made of document-level monitors finds the same by the Lucene text of a rule.

    Raises:
        UnsupportedRuleError: it does not; the message names the target, and says why.
    """
    converted.refuse_other_engine("opensearch")
    if converted.lucene.obstacle:
        converted.refuse(f"{converted.lucene.obstacle}; {target} takes nothing but Lucene text")
    store = converted.store
    if store is None:
        return
    for kind, field, _ in dsl.leaves(converted.clause):
        if any(mapping.inside for mapping in store.mappings(field)):
            converted.refuse(
                f"field {field!r}: it is inside an object without a mapping of its own, which {target} drops"
            )
        if kind == "exists" and _version(store.version) < _EXISTS_SINCE:
            converted.refuse(
                f"field {field!r}: before OpenSearch {'.'.join(map(str, _EXISTS_SINCE))} (this is {store.version}) "
                f"{target} does not see whether a field has a value"
            )


def tell_what_must_be_mapped(rules: Sequence[ConvertedRule], target: str, output_format: str) -> None:
    """Tell (:class:`AssumptionWarning`) which fields such a target needs in the mapping, where no store is known."""
    unchecked = [converted.clause for converted in rules if converted.store is None]
    if fields := sorted({field for clause in unchecked for field in dsl.fields(clause)}):
        text = (
            f"{target} finds nothing by a rule with a field that its index does not map, and says nothing of it. "
            f"See to it that these are mapped, or name a store profile (store=FILE): {', '.join(fields)}"
        )
        tell(AssumptionWarning(text), output_format)


def refuse_other_indices(converted: ConvertedRule, indices: tuple[str, ...]) -> None:
    """Check that a rule searches the indices of the document-level monitor that it would be part of.

    Raises:
        UnsupportedRuleError: it searches others.
    """
    if converted.indices != indices:
        converted.refuse(f"it searches {', '.join(converted.indices)}, others {', '.join(indices)}")


def document_monitor(parts: Sequence[tuple[ConvertedRule, JsonObject]], channel: str, *, enabled: bool) -> JsonObject:
    """Return the document-level monitor for rules, with a trigger for each severity.

    Other arguments are those of :func:`query_monitor`.

    Args:
        parts: the rules, at least one, all of the same indices, each with its :func:`document_query`.
        channel: id of the notification channel.
        enabled: whether the monitor runs.
    """
    rules = [converted for converted, _ in parts]
    first, queries = rules[0], [_apart(*part, parts) for part in parts]
    tell_what_must_be_mapped(rules, "A document-level monitor", "opensearch_monitor")
    message = (
        "{{#ctx.alerts}}"
        "- {{#associated_queries}}{{name}}; {{/associated_queries}}documents {{related_doc_ids}}\n"
        f"{{{{#sample_documents}}}}  {_event(first)}\n{{{{/sample_documents}}}}"
        "{{/ctx.alerts}}"
    )
    minutes = min(map(_minutes, rules))
    triggers: list[JsonObject] = [
        {
            "document_level_trigger": {
                **_trigger(f"severity {severity}", severity),
                "condition": _script(f"query[tag={_severity_tag(severity)}]"),
                "actions": [*_actions(channel, minutes, message)],
            }
        }
        for severity in sorted({TRIGGER_PRIORITY[converted.level] for converted in rules})
    ]
    inputs: JsonObject = {"description": "", "indices": [*first.indices], "queries": [*queries]}
    return {
        **_head(ALERT_TITLE, "doc_level_monitor", ALL_RULES, enabled),
        "inputs": [{"doc_level_input": inputs}],
        "triggers": [*triggers],
    }


def _apart(
    converted: ConvertedRule, query: JsonObject, parts: Sequence[tuple[ConvertedRule, JsonObject]]
) -> JsonObject:
    """The query of a rule, with the rule's id in its name where other rules have the same name."""
    if [other["name"] for _, other in parts].count(query["name"]) == 1:
        return query
    room = _LONGEST_NAME - len(f" {converted.id}")
    return {**query, "name": f"{allowed_name(converted.title, converted.id)[:room].rstrip()} {converted.id}"}


def allowed_name(title: str, otherwise: str) -> str:
    """A title as the name of a query or rule: without what the server does not take, and of 256 characters at most.

    Args:
        title: the title.
        otherwise: the name if nothing is left of the title.
    """
    cleaned = " ".join(_NOT_IN_NAMES.sub(" ", title).split()).lstrip("_+- ")
    return cleaned[:_LONGEST_NAME].rstrip() or otherwise


def _search_monitor(
    converted: ConvertedRule, kind: str, body: JsonObject, trigger: JsonObject, enabled: bool
) -> JsonObject:
    return {
        **_head(converted.title, kind, converted.id, enabled),
        "inputs": [{"search": {"indices": [*converted.indices], "query": body}}],
        "triggers": [trigger],
    }


def _head(name: str, kind: str, rule_id: str, enabled: bool) -> JsonObject:
    return {
        "type": "monitor",
        "name": name,
        "monitor_type": kind,
        "enabled": enabled,
        "schedule": {"period": {"interval": INTERVAL, "unit": "MINUTES"}},
        "ui_metadata": {MARK.replace("-", "_"): {"rule_id": rule_id, "version": __version__}},
    }


def _minutes(converted: ConvertedRule) -> int:
    """How long a monitor of a rule looks back, and holds messages back: as long as the rule suppresses, if it can."""
    stated = suppression(converted.rule).window // timedelta(minutes=1)
    minutes = min(max(stated, LEAST_LOOK_BACK), MOST_THROTTLE)
    if minutes != stated:
        told = f"alerts are suppressed for {minutes} minutes, not for {stated}, as a monitor can do no other"
        tell(LeftOutWarning(f"Rule {converted.title!r}: {told}"), "opensearch_monitor")
    return minutes


def _in_window(converted: ConvertedRule, minutes: int) -> JsonObject:
    """The native query of a rule, of the minutes that a run looks back."""
    converted.refuse_other_engine("opensearch")
    converted.refuse_without_time()
    if _MUSTACHE in json.dumps(converted.query):
        converted.refuse(f"a value has {_MUSTACHE!r} in it, which a monitor takes for a place to fill in")
    window = dsl.bounds(
        converted.time_field, gte=f"{{{{period_end}}}}||-{minutes}m", lt="{{period_end}}", format="epoch_millis"
    )
    return dsl.all_of([window, converted.query])


def _trigger(name: str, severity: str) -> JsonObject:
    return {"name": name, "severity": severity}


def _script(source: str) -> JsonObject:
    return {"script": {"source": source, "lang": "painless"}}


_FOR_EACH_ALERT: JsonObject = {"action_execution_scope": {"per_alert": {"actionable_alerts": ["NEW", "DEDUPED"]}}}


def _event(converted: ConvertedRule) -> str:
    """The part of a message that shows an event."""
    return ", ".join(f"{name}: {{{{_source.{name}}}}}" for name in converted.names.all(SHOWN))


def _actions(channel: str, minutes: int, message: str) -> Sequence[JsonObject]:
    """The action that tells a channel, once in so many minutes; none without a channel."""
    if not channel:
        return []
    action: JsonObject = {
        "name": "notify",
        "destination_id": channel,
        "subject_template": _template("{{ctx.trigger.name}} (severity {{ctx.trigger.severity}})"),
        "message_template": _template(f"{{{{ctx.monitor.name}}}}\n{message}"),
        "throttle_enabled": True,
        "throttle": {"value": minutes, "unit": "MINUTES"},
    }
    return [action]


def _template(source: str) -> JsonObject:
    return {"source": source, "lang": "mustache"}


def _severity_tag(severity: str) -> str:
    return f"severity-{severity}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
