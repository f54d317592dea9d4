"""A JSON schema of rules, for editors that know YAML: made from the tables by which rules are read and checked."""

import re
from collections.abc import Mapping

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.reference.aws_events import COMMON_SOURCES, IDENTITY_TYPES
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.reference.field_meanings import MEANINGS
from sigma_stellar_aws.rule_files.rule_keys import (
    COMMON_KEYS,
    CORRELATION_CONDITION_KEYS,
    CORRELATION_KEYS,
    LOGSOURCE_KEYS,
    MODIFIERS,
    PUBLISHED_KEYS,
    RELATED_KEYS,
    RULE_KEYS,
    STELLAR_KEYS,
    SUPPRESSION_KEYS,
    KeyKind,
    RuleKey,
)

_SCALAR: JsonObject = {"type": ["string", "number", "boolean", "null"]}
_TEXTS: JsonObject = {"type": "array", "items": {"type": "string"}}
# A loader of YAML 1.2 leaves a date a text; SigmaHQ's rules once had slashes.
_KINDS: Mapping[KeyKind, JsonObject] = {
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "pattern": r"^[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}$"},
    "map": {"type": "object"},
    "maps": {"type": "array", "items": {"type": "object"}},
    "text": {"type": "string"},
    "texts": _TEXTS,
    "time span": {"type": "string", "pattern": "^[1-9][0-9]{0,8}[smhd]$"},
    "uuid": {"type": "string", "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
    "whole number": {"type": "integer"},
}


def rule_schema() -> JsonObject:
    """Return the schema of a document of a rule file: a rule, a correlation, a filter, or a template of pySigma."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Sigma rule for AWS CloudTrail",
        "type": "object",
        "definitions": {"selection": _selection()},
        "properties": _properties(_TOP, {"stellar": _stellar()}),
        "if": {"required": ["action"]},
        "then": {"properties": {"action": {"enum": ["global", "repeat", "reset"]}}},
        "else": {
            "if": {"required": ["correlation"]},
            "then": {"required": ["title"], "properties": {"correlation": _correlation()}},
            "else": {
                "if": {"required": ["filter"]},
                "then": {"required": ["title", "logsource"], "properties": {"filter": _filter()}},
                "else": {"required": ["title", "logsource", "detection"], "properties": {"detection": _detection()}},
            },
        },
    }


_TOP: Mapping[str, RuleKey] = {**COMMON_KEYS, **RULE_KEYS}


def _properties(keys: Mapping[str, RuleKey], special: Mapping[str, JsonObject]) -> JsonObject:
    """Return the properties that a table of keys stands for, with what is known beyond the kinds of some."""
    return {
        name: {"description": key.meaning, **special.get(name, _OF_KEY.get(name, _kind(key)))}
        for name, key in keys.items()
    }


def _kind(key: RuleKey) -> JsonObject:
    if key.values:
        return {"enum": [*key.values]}
    # What is usual is proposed; anything else is as good.
    return {**_KINDS[key.kind], **({"examples": [*key.usual]} if key.usual else {})}


def _closed(keys: Mapping[str, RuleKey], special: Mapping[str, JsonObject] | None = None) -> JsonObject:
    return {"type": "object", "properties": _properties(keys, special or {}), "additionalProperties": False}


_OF_KEY: Mapping[str, JsonObject] = {
    "tags": {"type": "array", "items": {"type": "string", "pattern": r"^[a-z0-9_-]+\.[A-Za-z0-9._-]+$"}},
    "logsource": {
        "type": "object",
        "properties": {name: {"description": key.meaning, **_kind(key)} for name, key in LOGSOURCE_KEYS.items()},
        "anyOf": [{"required": [name]} for name in ("category", "product", "service")],
    },
    "related": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["id", "type"],
            "properties": {name: {"description": key.meaning, **_kind(key)} for name, key in RELATED_KEYS.items()},
        },
    },
    "severity": {"type": "integer", "minimum": 0, "maximum": 100},
    "window": {"type": "string", "pattern": "^[1-9][0-9]{0,8}[mhd]$"},
    "triage": {**_TEXTS, "minItems": 1},
}


def _stellar() -> JsonObject:
    published: JsonObject = {
        **_closed(PUBLISHED_KEYS, {"detection": _detection()}),
        "required": ["detection", "reason"],
    }
    return _closed(STELLAR_KEYS, {"suppression": _closed(SUPPRESSION_KEYS), "published": published})


def _detection() -> JsonObject:
    return {
        "type": "object",
        "required": ["condition"],
        "properties": {"condition": _condition(), "timeframe": {"type": "string"}},
        "additionalProperties": {"$ref": "#/definitions/selection"},
        "minProperties": 2,
    }


def _filter() -> JsonObject:
    rules: JsonObject = {"anyOf": [{"const": "any"}, {**_TEXTS, "minItems": 1}, {"type": "string"}]}
    return {
        "type": "object",
        "required": ["rules", "condition"],
        "properties": {"rules": rules, "condition": _condition()},
        "additionalProperties": {"$ref": "#/definitions/selection"},
    }


def _condition() -> JsonObject:
    return {"anyOf": [{"type": "string", "minLength": 1}, {**_TEXTS, "minItems": 1}]}


def _selection() -> JsonObject:
    """Return what a selection can be: a map of fields, a list of such maps or of words, or a word."""
    modifiers = "|".join(map(re.escape, MODIFIERS))
    values: JsonObject = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}
    fields: JsonObject = {
        "type": "object",
        "minProperties": 1,
        "properties": {
            name: {"description": MEANINGS[name], **_values(name, values)}
            for name, field in FIELDS.items()
            if field.kind not in ("object", "open object")
        },
        "patternProperties": {rf"^[^|]*(\|({modifiers}))*$": values},
        "additionalProperties": False,
    }
    listed: JsonObject = {"type": "array", "minItems": 1, "items": {"anyOf": [fields, _SCALAR]}}
    return {"anyOf": [fields, listed, {"type": ["string", "number"]}]}


def _values(field: str, values: JsonObject) -> JsonObject:
    """Return the values of a field, with those to propose."""
    known: Mapping[str, list[Json]] = {
        "eventSource": [*sorted(COMMON_SOURCES)],
        "userIdentity.type": [*sorted(IDENTITY_TYPES)],
    }
    return {**values, "examples": known[field]} if field in known else values


def _correlation() -> JsonObject:
    rules: JsonObject = {"anyOf": [{**_TEXTS, "minItems": 1}, {"type": "string"}]}
    texts: JsonObject = {"anyOf": [_TEXTS, {"type": "string"}]}
    condition: JsonObject = {
        "anyOf": [{"type": "string"}, _closed(CORRELATION_CONDITION_KEYS, {"field": texts, **_NUMBERS})]
    }
    special = {"rules": rules, "group-by": texts, "condition": condition}
    return {**_closed(CORRELATION_KEYS, special), "required": ["type", "timespan"]}


_NUMBERS: Mapping[str, JsonObject] = {name: {"type": "number"} for name in ("gt", "gte", "lt", "lte", "eq", "neq")}
