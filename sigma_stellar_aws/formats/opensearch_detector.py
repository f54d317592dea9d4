"""Custom rules of OpenSearch Security Analytics, as the Sigma texts that it takes.

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

from collections.abc import Mapping, Sequence
from typing import cast

import yaml

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.formats.converted_rule import ConvertedRule
from sigma_stellar_aws.formats.opensearch_monitor import (
    allowed_name,
    refuse_what_text_cannot_say,
    tell_what_must_be_mapped,
)
from sigma_stellar_aws.query.dsl import Clause

_TARGET = "Security Analytics"


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
    tell_what_must_be_mapped(rules, _TARGET, "opensearch_detector")


def _condition(converted: ConvertedRule, clause: Clause, selections: dict[str, Json]) -> str:
    """The condition of a clause; its selections are added to those that there are."""
    [(kind, body)] = cast("Mapping[str, JsonObject]", clause).items()
    if kind != "bool":
        return _selected(*_item(converted, kind, body), selections)
    if "must_not" in body:
        converted.refuse("it has a not, under which Security Analytics finds no event that lacks the field")
    parts = [(key, word) for key, word in (("filter", "and"), ("should", "or")) if key in body]
    joined = [_joined(converted, cast("list[Clause]", body[key]), word, selections) for key, word in parts]
    return " and ".join(joined)


def _joined(converted: ConvertedRule, clauses: list[Clause], word: str, selections: dict[str, Json]) -> str:
    kinds = {kind for clause in clauses for kind in clause}
    if word == "or" and kinds == {"term"}:
        items = [_item(converted, "term", cast(JsonObject, clause["term"])) for clause in clauses]
        if len({field for field, _ in items}) == 1:
            return _selected(items[0][0], [value for _, value in items], selections)
    conditions = [_condition(converted, clause, selections) for clause in clauses]
    return f"({f' {word} '.join(conditions)})"


def _selected(key: str, value: Json, selections: dict[str, Json]) -> str:
    name = f"selection{len(selections) + 1}"
    selections[name] = {key: value}
    return name


def _item(converted: ConvertedRule, kind: str, body: JsonObject) -> tuple[str, Json]:
    """The field, with a modifier, and the value of a condition."""
    [(field, options)] = body.items()
    if kind == "terms":
        return field, options
    if kind == "exists":
        converted.refuse(f"field {options!r}: Security Analytics cannot ask whether a field has a value")
    key = f"{field}|startswith" if kind == "prefix" else field
    return key, cast(JsonObject, options)["value"]
