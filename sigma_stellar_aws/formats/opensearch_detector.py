"""Custom rules of OpenSearch Security Analytics, as the Sigma texts that it takes, and a detector of them.

``POST /_plugins/_security_analytics/rules?category=cloudtrail`` takes one rule; a detector of the log type cloudtrail
then names it by the id that the server gave it. The plugin makes Lucene text of a rule and runs it in a document-level
monitor, so that all limits of such monitors are limits here (``formats.opensearch_monitor``).

Facts: how the plugin reads rules (``SigmaRule``, ``SigmaModifierFacade``) and converts them (``OSQueryBackend``). It
demands a title of its own form, id, status, level, description and author. It knows no modifier ``exists``, asks under
``not`` that the field has a value, which Sigma does not, and takes numbers, networks and regular expressions otherwise.
So a rule is made from the native query, out of what the plugin does exactly: whole texts, beginnings and wildcards,
joined by and and or. Any other rule is refused.

Fields have their names of the store. The plugin reads names that its log type knows, such as eventName, as aliases
(aws.cloudtrail.event_name) which the field mapping of the detector has to point to the field.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import yaml

from sigma_stellar_aws.base.json_types import Json, JsonObject, as_object
from sigma_stellar_aws.formats.converted_rule import ConvertedRule
from sigma_stellar_aws.formats.document_monitor import (
    allowed_name,
    findings_message,
    refuse_what_text_cannot_say,
    warn_of_unmapped_fields,
)
from sigma_stellar_aws.formats.opensearch_monitor import (
    ALL_RULES,
    INTERVAL_MINUTES,
    MOST_THROTTLE,
    TRIGGER_PRIORITY,
    actions,
    fields_line,
)
from sigma_stellar_aws.query.dsl import Clause, clauses_of
from sigma_stellar_aws.rule_files.stellar_block import ALERT_TITLE

DETECTOR = ALL_RULES
"""What stands for the detector among the ids of its rules."""

DETECTOR_TRIGGER = "sigma-stellar-aws-detector"
"""The id of the trigger by which the detector is recognized again."""

RULE_MARK = "sigma_stellar_aws"
"""The key of a custom rule that says that this project made it."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        field: f"aws.cloudtrail.{alias}"
        for field, alias in (
            ("apiVersion", "api_version"),
            ("awsRegion", "aws_region"),
            ("errorCode", "error_code"),
            ("errorMessage", "error_message"),
            ("eventCategory", "event_category"),
            ("eventID", "event_id"),
            ("eventName", "event_name"),
            ("eventSource", "event_source"),
            ("eventType", "event_type"),
            ("eventVersion", "event_version"),
            ("requestID", "request_id"),
            ("sourceIPAddress", "source_ip_address"),
            ("userAgent", "user_agent"),
            ("vpcEndpointId", "vpc_endpoint_id"),
            ("requestParameters.arn", "request_parameters.arn"),
            ("requestParameters.attribute", "request_parameters.attribute"),
            ("requestParameters.roleArn", "request_parameters.roleArn"),
            ("requestParameters.roleSessionName", "request_parameters.roleSessionName"),
            ("requestParameters.userName", "request_parameters.username"),
            ("userIdentity.accessKeyId", "user_identity.accessKeyId"),
            ("userIdentity.accountId", "user_identity.accountId"),
            ("userIdentity.arn", "user_identity.arn"),
            ("userIdentity.identityProvider", "user_identity.identityProvider"),
            ("userIdentity.invokedBy", "user_identity.invokedBy"),
            ("userIdentity.principalId", "user_identity.principalId"),
            ("userIdentity.type", "user_identity.type"),
            ("userIdentity.userName", "user_identity.userName"),
        )
    }
)
"""What the plugin renames in a rule: fields that its log type knows, and the alias that it asks instead.

From ``OSMapping/cloudtrail_logtype.json`` of 3.8, without what our names never are.
"""

_TARGET = "Security Analytics"


def detector_artefacts(
    texts: Iterable[str], index: str, channel: str, shown: Sequence[str], *, enabled: bool
) -> dict[str, JsonObject]:
    """Return what Security Analytics shall have: each rule by its id, then the detector that runs them.

    Their form is that of ``install.opensearch_detector``. The detector has one trigger: Alerting makes a finding for
    each trigger of it that there is.

    Args:
        texts: the custom rules.
        index: index or alias that the detector searches.
        channel: id of the notification channel for alerts; empty for none.
        shown: fields of an event that a message shows.
        enabled: whether the detector runs once it is made.
    """
    rules: dict[str, JsonObject] = {}
    for text in texts:
        document = as_object(yaml.safe_load(text))
        rest = {key: value for key, value in document.items() if key != "title"}
        rules[str(document["id"])] = {"kind": "rule", "name": document["title"], "enabled": True, "rule": rest}
    documents = [as_object(rule["rule"]) for rule in rules.values()]
    levels = {str(document["level"]) for document in documents}
    severity = min(priority for level, priority in TRIGGER_PRIORITY.items() if level.name.lower() in levels)
    tested = sorted({name for document in documents for name in _tested_fields(document)})
    trigger: JsonObject = {
        "id": DETECTOR_TRIGGER,
        "severity": severity,
        "actions": [*actions(channel, MOST_THROTTLE, findings_message(fields_line(shown)))],
    }
    detector: JsonObject = {
        "kind": "detector",
        "name": ALERT_TITLE,
        "enabled": enabled,
        "schedule": {"period": {"interval": INTERVAL_MINUTES, "unit": "MINUTES"}},
        "indices": [index],
        "rules": dict.fromkeys(rules, True),
        "aliases": {ALIASES[name]: name for name in tested if name in ALIASES},
        "triggers": {"any rule": trigger},
    }
    return {**rules, DETECTOR: detector}


def _tested_fields(document: JsonObject) -> list[str]:
    """Return the fields that a custom rule tests."""
    selections = as_object(document["detection"]).values()
    return [key.partition("|")[0] for selection in selections if isinstance(selection, dict) for key in selection]


def detector_rule(converted: ConvertedRule) -> str:
    """Return a rule as the YAML text of a custom rule, which begins with ``---`` so that a file can hold several.

    Raises:
        UnsupportedRuleError: Security Analytics would not find the same by a rule; the message says why.
    """
    refuse_what_text_cannot_say(converted, _TARGET)
    rule = converted.rule
    selections: dict[str, Json] = {}
    condition = _condition(converted, converted.clause, selections)
    day = rule.date
    document = {
        "title": allowed_name(converted.title, converted.id),
        "id": converted.id,
        "status": str(rule.status).lower() if rule.status else "experimental",
        "description": rule.description or converted.title,
        "references": rule.references,
        "author": rule.author or "unknown",
        # Its older versions read no other form.
        **({"date": f"{day:%Y/%m/%d}"} if day else {}),
        "tags": [str(tag) for tag in rule.tags],
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": {**selections, "condition": condition},
        "falsepositives": rule.falsepositives,
        "level": converted.level.name.lower(),
    }
    return "---\n" + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def tell_of_mapped_fields(rules: Sequence[ConvertedRule]) -> None:
    """Warn (:class:`AssumptionWarning`) which fields the index of a detector has to map, where no store is known."""
    warn_of_unmapped_fields(rules, _TARGET, "opensearch_detector")


def _condition(converted: ConvertedRule, clause: Clause, selections: dict[str, Json]) -> str:
    """Return the condition of a clause, and add its selections to those given."""
    [(kind, options)] = clause.items()
    body = as_object(options)
    if kind != "bool":
        return _selected(*_item(converted, kind, body), selections)
    if "must_not" in body:
        converted.refuse("it has a not, under which Security Analytics finds no event that lacks the field")
    parts = [(key, word) for key, word in (("filter", "and"), ("should", "or")) if key in body]
    joined = [_joined(converted, clauses_of(body, key), word, selections) for key, word in parts]
    return " and ".join(joined)


def _joined(converted: ConvertedRule, clauses: list[Clause], word: str, selections: dict[str, Json]) -> str:
    kinds = {kind for clause in clauses for kind in clause}
    if word == "or" and kinds == {"term"}:
        items = [_item(converted, "term", as_object(clause["term"])) for clause in clauses]
        if len({field for field, _ in items}) == 1:
            return _selected(items[0][0], [value for _, value in items], selections)
    conditions = [_condition(converted, clause, selections) for clause in clauses]
    return f"({f' {word} '.join(conditions)})"


def _selected(key: str, value: Json, selections: dict[str, Json]) -> str:
    name = f"selection{len(selections) + 1}"
    selections[name] = {key: value}
    return name


def _item(converted: ConvertedRule, kind: str, body: JsonObject) -> tuple[str, Json]:
    """Return the field of a condition, with its modifier, and the value."""
    [(field, options)] = body.items()
    if kind == "terms":
        return field, options
    if kind == "exists":
        converted.refuse(f"field {options!r}: Security Analytics cannot ask whether a field has a value")
    key = f"{field}|startswith" if kind == "prefix" else field
    return key, as_object(options)["value"]
