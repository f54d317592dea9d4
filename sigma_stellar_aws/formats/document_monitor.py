"""Document-level monitors of OpenSearch Alerting: a finding for every event that arrives after the monitor was made.

There is one monitor for the rules of each severity. Alerting makes a finding for each trigger of a monitor, whichever
trigger matches; with a trigger for each severity in one monitor, every event would have four findings.

Such monitors take Lucene text only, and silently drop a query with a field that the index does not map, or with a
sub-field. So a rule that Lucene text cannot express exactly is refused, and so is a field that the store profile does
not have. They see whether a field has a value since OpenSearch 2.13 (opensearch-project/alerting#1425).

They search an index or an alias. Index patterns are refused here, since OpenSearch 2.19 and later 3.x refuse them, and
what an earlier version was given would stop working with an upgrade. An alias keeps working across rollovers.
"""

import re
from collections.abc import Sequence

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning
from sigma_stellar_aws.formats.converted_rule import ConvertedRule, tell
from sigma_stellar_aws.formats.opensearch_monitor import (
    ALL_RULES,
    TRIGGER_PRIORITY,
    actions,
    event_line,
    head,
    minutes_of,
    script,
)
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.rule_files.stellar_block import ALERT_TITLE

_TARGET = "a document-level monitor"
_LONGEST_NAME = 256
_EXISTS_SINCE = (2, 13)
_NOT_IN_NAMES = re.compile(r"[*?<>|#^]|\.\.|[\x00-\x1f\x7f]")
_NOT_IN_TAGS = re.compile(r"[ \[\]{}()\x00-\x1f\x7f]")
_PATTERN = re.compile(r"[*?]")
_ALL_RULES_KEY = re.compile(rf"{ALL_RULES}(-severity-\d)?")


def document_query(converted: ConvertedRule) -> JsonObject:
    """Return the query of one rule in a document-level monitor; its name is made to be what the server takes.

    Raises:
        UnsupportedRuleError: the rule cannot be one; the message says why.
    """
    if reason := pattern_refusal(converted.indices, _TARGET):
        converted.refuse(reason)
    refuse_what_text_cannot_say(converted, _TARGET)
    tags = [_severity_tag(TRIGGER_PRIORITY[converted.level]), *(_NOT_IN_TAGS.sub("_", tag) for tag in converted.tags)]
    return {
        "id": converted.id,
        "name": allowed_name(converted.title, converted.id),
        "query": converted.lucene.text,
        "tags": [*tags],
        "fields": [],
    }


def refuse_other_indices(converted: ConvertedRule, indices: tuple[str, ...]) -> None:
    """Check that a rule searches the indices of the document-level monitors that it would be part of.

    Raises:
        UnsupportedRuleError: it searches others.
    """
    if converted.indices != indices:
        converted.refuse(f"it searches {', '.join(converted.indices)}, others {', '.join(indices)}")


def document_monitors(
    parts: Sequence[tuple[ConvertedRule, JsonObject]], channel: str, *, enabled: bool
) -> list[JsonObject]:
    """Return the document-level monitors for rules, one for each severity, the highest first.

    Args:
        parts: the rules, all of the same indices, each with its :func:`document_query`.
        channel: id of the notification channel for alerts; empty for none.
        enabled: whether the monitors run once they are made.
    """
    warn_of_unmapped_fields([converted for converted, _ in parts], "A document-level monitor", "opensearch_monitor")
    by_severity: dict[str, list[tuple[ConvertedRule, JsonObject]]] = {}
    for converted, query in parts:
        named = _with_own_name(converted, query, parts)
        by_severity.setdefault(TRIGGER_PRIORITY[converted.level], []).append((converted, named))
    return [_monitor(severity, by_severity[severity], channel, enabled=enabled) for severity in sorted(by_severity)]


def is_for_all_rules(key: str) -> bool:
    """Return whether the key of a monitor (its ``rule_id``) is that of a document-level monitor, not of one rule."""
    return _ALL_RULES_KEY.fullmatch(key) is not None


def pattern_refusal(indices: Sequence[str], target: str) -> str:
    """Say why a target that is made of document-level monitors cannot search these indices; empty if it can.

    >>> pattern_refusal(["cloudtrail"], "a document-level monitor")
    ''
    """
    pattern = next(filter(_PATTERN.search, indices), "")
    if not pattern:
        return ""
    return (
        f"{target} searches an index or an alias, and {pattern} is a pattern, which OpenSearch refuses there; give the "
        "indices an alias (POST _aliases), let new ones join it by their index template, and name it: --index ALIAS, "
        "or index in the state of a pipeline"
    )


def refuse_what_text_cannot_say(converted: ConvertedRule, target: str) -> None:
    """Check that a target that is made of document-level monitors finds the same by the Lucene text of a rule.

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


def warn_of_unmapped_fields(rules: Sequence[ConvertedRule], target: str, output_format: str) -> None:
    """Warn (:class:`AssumptionWarning`) which fields such a target needs in the mapping, where no store is known."""
    unchecked = [converted.clause for converted in rules if converted.store is None]
    if fields := sorted({field for clause in unchecked for field in dsl.fields(clause)}):
        text = (
            f"{target} finds nothing by a rule with a field that its index does not map, and does not report it. "
            f"Make sure that these are mapped, or name a store profile (store=FILE): {', '.join(fields)}"
        )
        tell(AssumptionWarning(text), output_format)


def findings_message(event: str) -> str:
    """Return the message of findings, each with its rules and its event."""
    return (
        "{{ctx.monitor.name}}:\n\n{{#ctx.alerts}}"
        "- {{#associated_queries}}{{name}}; {{/associated_queries}}documents {{related_doc_ids}}\n"
        f"{{{{#sample_documents}}}}  {event}\n{{{{/sample_documents}}}}"
        "{{/ctx.alerts}}"
    )


def allowed_name(title: str, otherwise: str) -> str:
    """Return a title as the name of a query or rule: without what the server does not take, 256 characters at most.

    >>> allowed_name("From *any* account?", "1234")
    'From any account'

    Args:
        title: the title.
        otherwise: the name if nothing is left of the title.
    """
    cleaned = " ".join(_NOT_IN_NAMES.sub(" ", title).split()).lstrip("_+- ")
    return cleaned[:_LONGEST_NAME].rstrip() or otherwise


def _with_own_name(
    converted: ConvertedRule, query: JsonObject, parts: Sequence[tuple[ConvertedRule, JsonObject]]
) -> JsonObject:
    """Return the query of a rule, with the rule's id in its name where other rules have the same name."""
    if [other["name"] for _, other in parts].count(query["name"]) == 1:
        return query
    room = _LONGEST_NAME - len(f" {converted.id}")
    return {**query, "name": f"{allowed_name(converted.title, converted.id)[:room].rstrip()} {converted.id}"}


def _monitor(
    severity: str, members: Sequence[tuple[ConvertedRule, JsonObject]], channel: str, *, enabled: bool
) -> JsonObject:
    rules = [converted for converted, _ in members]
    message = findings_message(event_line(rules[0]))
    trigger: JsonObject = {
        "name": f"severity {severity}",
        "severity": severity,
        "condition": script(f"query[tag={_severity_tag(severity)}]"),
        "actions": [*actions(channel, min(map(minutes_of, rules)), message)],
    }
    inputs: JsonObject = {
        "description": "",
        "indices": [*rules[0].indices],
        "queries": [query for _, query in members],
    }
    key = f"{ALL_RULES}-severity-{severity}"
    return {
        **head(f"{ALERT_TITLE} (severity {severity})", "doc_level_monitor", key, enabled),
        "inputs": [{"doc_level_input": inputs}],
        "triggers": [{"document_level_trigger": trigger}],
    }


def _severity_tag(severity: str) -> str:
    return f"severity-{severity}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
