"""What the versions of Kibana know, fill in and take, each with the fact that it rests on.

The facts are those of the contract of Elastic's detection rules, "Read in Kibana's sources since", by their numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import datetime, timezone
from typing import cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.contract.server import schema

API_VERSION = "2023-10-31"
MAX_IMPORTED_RULES = 10_000
MAX_IMPORTED_BYTES = 10_485_760

LINE = schema("elastic-detection-rule")
REQUIRED = cast("list[str]", LINE["required"])
_TEXT: JsonObject = {"type": "string"}
_COUNT: JsonObject = {"type": "integer", "minimum": 1}


def _object(required: list[Json], **properties: Json) -> JsonObject:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


# The keys of other types of rules that differ from those of a query, and those that must be there beside. The contract
# is silent about them; read in Kibana's sources: rule_schemas.schema.yaml, threshold_attributes.schema.yaml.
_SUPPRESSION = cast(JsonObject, cast(JsonObject, LINE["properties"])["alert_suppression"])
_OF_TYPES: dict[str, tuple[JsonObject, list[str]]] = {
    "eql": (
        {
            "language": {"enum": ["eql"]},
            "event_category_override": _TEXT,
            "tiebreaker_field": _TEXT,
            "timestamp_field": _TEXT,
        },
        ["query", "language"],
    ),
    "threshold": (
        {
            "threshold": _object(
                ["field", "value"],
                field={"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]},
                value=_COUNT,
                cardinality={
                    "type": "array",
                    "items": _object(["field", "value"], field=_TEXT, value={"type": "integer", "minimum": 0}),
                },
            ),
            "alert_suppression": _object(
                ["duration"], duration=cast(JsonObject, _SUPPRESSION["properties"])["duration"]
            ),
        },
        ["query", "threshold"],
    ),
}
# The version from which on such a rule takes alert_suppression; EQL queries that are no sequences since 8.14. The
# contract page of correlations.
SUPPRESSED_SINCE = {"eql": (8, 18), "threshold": (8, 12)}


def line_of(kind: str, required: Collection[str]) -> JsonObject:
    """The schema of the import line of a type of rule, in which some keys must be."""
    own, more = _OF_TYPES.get(kind, ({}, []))
    properties: JsonObject = {**cast(JsonObject, LINE["properties"]), **own, "type": {"enum": [kind]}}
    if kind == "eql":
        del properties["saved_id"]
    # A PATCH has what changes alone.
    whole: list[Json] = [*required, *(more if "type" in required else [])]
    return {**LINE, "properties": properties, "required": whole}


SPACE = r"(?:/s/(?P<space>[^/]+))?"
RULES = rf"{SPACE}/api/detection_engine/rules"

# What Kibana fills in where a body says nothing (trap 9 of the contract).
DEFAULTS: JsonObject = {
    "actions": [],
    "author": [],
    "enabled": True,
    "exceptions_list": [],
    "false_positives": [],
    "from": "now-6m",
    "interval": "5m",
    "language": "kuery",
    "max_signals": 100,
    "output_index": "",
    "query": "",
    "references": [],
    "related_integrations": [],
    "required_fields": [],
    "risk_score_mapping": [],
    "setup": "",
    "severity_mapping": [],
    "tags": [],
    "threat": [],
    "to": "now",
    "version": 1,
}
# The version from which on a request may have a key; a dot leads into an object. Facts 7 and 11; related_integrations
# and required_fields: elastic/kibana#173595.
SINCE = {
    "data_view_id": (8, 3),
    # Read in typeSpecificSnakeToCamel of those versions.
    "timestamp_field": (8, 0),
    "tiebreaker_field": (8, 0),
    "response_actions": (8, 5),
    "alert_suppression": (8, 6),
    "alert_suppression.duration": (8, 7),
    "investigation_fields": (8, 11),
    "setup": (8, 12),
    "alert_suppression.missing_fields_strategy": (8, 13),
    "related_integrations": (8, 15),
    "required_fields": (8, 15),
}
# The version from which on answers have a key that Kibana fills in; before requests could have it.
ANSWERED_SINCE = {"related_integrations": (8, 3), "required_fields": (8, 3), "setup": (8, 3)}
# Fact 11.
REVISION_SINCE = (8, 8)
# Fact 7: unknown keys are refused before this version, and dropped from it on.
DROPS_UNKNOWN_SINCE = (8, 12)
# Fact 2: these put max_signals back to 100 if a PATCH does not have it.
FORGETS_MAX_SIGNALS = ((9, 4), (9, 5))
# Fact 5: before this version an API key is refused for rules that run, or ran.
TAKES_API_KEYS_SINCE = (8, 8)
# Fact 1.
FREE_PREVIEW_SINCE = (8, 4)
FIXED_PREVIEWS = (12, 20, 24, 30, 168)
PREVIEWS_AT_ONCE = 10
NO_PREVIEW_RIGHTS = (
    "Missing read privileges on the indices .preview.alerts-security.alerts-{space}, "
    ".internal.preview.alerts-security.alerts-{space}-*"
)
# Fact 8.
MOST_NAMES = 20
SERVER_MADE = {
    "id",
    "immutable",
    "revision",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "rule_source",
    "outcome",
    "alias_target_id",
    "alias_purpose",
}
# What 7.17 tells of the last run of a rule, in the rule itself.
LAST_RUN: JsonObject = {
    "status": "succeeded",
    "status_date": "2026-11-24T12:00:00.000Z",
    "last_success_at": "2026-11-24T12:00:00.000Z",
    "last_success_message": "succeeded",
}
# Kibana raises the revision for a change of anything but these (elastic/kibana, fieldsToExcludeFromRevisionUpdates).
NO_REVISION = {"enabled", "revision", "updated_at", "updated_by"}
CUT_TEXTS = ("query", "note")
FOUND_BY = {
    "alert.attributes.name": "name",
    "alert.attributes.params.ruleId": "rule_id",
    "alert.attributes.tags": "tags",
}
SORTED_BY = {
    "created_at": "created_at",
    "createdAt": "created_at",
    "enabled": "enabled",
    "name": "name",
    "risk_score": "risk_score",
    "severity": "severity",
    "updated_at": "updated_at",
    "updatedAt": "updated_at",
}
FLAGS = ("overwrite", "overwrite_exceptions", "overwrite_action_connectors", "as_new_list", "dry_run")
REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 413: "Payload Too Large"} | {
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


def in_seconds(since: str) -> str:
    """A look-back as the rule editor saves it."""
    found = re.fullmatch(r"now-(\d+)([smhd])", since)
    return f"now-{int(found[1]) * {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[found[2]]}s" if found else since


def now() -> str:
    """The time as Kibana writes it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_edited(given: JsonObject) -> JsonObject:
    """A filter as the rule editor saves it (fact 6)."""
    meta = {**cast(JsonObject, given.get("meta", {})), "type": "custom", "key": "query", "field": "query"}
    return {**given, "$state": {"store": "appState"}, "meta": {**meta, "value": json.dumps(given.get("query"))}}


def bulk_edit(rule: JsonObject, edit: JsonObject) -> None:
    """Change a rule by one edit of a bulk action; the edits that a client can tell apart."""
    value = edit["value"]
    if edit["type"] == "add_tags":
        rule["tags"] = [*cast("list[Json]", rule["tags"]), *cast("list[Json]", value)]
    elif edit["type"] == "set_schedule":
        schedule = cast(JsonObject, value)
        rule |= {"interval": schedule["interval"], "from": f"now-{schedule['lookback']}"}
    elif edit["type"] == "set_timeline":
        rule |= cast(JsonObject, value)
    elif edit["type"] == "add_rule_actions":
        rule["actions"] = [
            *cast("list[Json]", rule["actions"]),
            *cast("list[Json]", cast(JsonObject, value)["actions"]),
        ]
    else:
        raise AssertionError(f"the contract server has no bulk edit {edit['type']!r}")


def depth(value: Json) -> int:
    """How many names are inside each other, as Elasticsearch counts them in a flattened field; lists add none."""
    if isinstance(value, dict):
        return max((1 + depth(part) for part in value.values()), default=0)
    return max(map(depth, value), default=0) if isinstance(value, list) else 0


def is_time(text: Json) -> bool:
    """Whether a value is an ISO time."""
    try:
        return isinstance(text, str) and bool(datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError:
        return False


def line(text: str) -> Json:
    """A line of an import; a text where it is no JSON."""
    try:
        return cast(Json, json.loads(text))
    except ValueError:
        return text


def is_summary(line: Json) -> bool:
    """Whether a line of an import is the last one of an export, or empty."""
    return line == "" or (isinstance(line, dict) and "exported_count" in line)


def list_ids(rule: JsonObject) -> set[str]:
    """The exception lists that a rule names."""
    return {str(entry["list_id"]) for entry in cast("list[JsonObject]", rule.get("exceptions_list", []))}


def has(rule: JsonObject, key: str, value: str) -> bool:
    """Whether a rule has a value, or an entry of that value."""
    held = rule[key]
    return value in held if isinstance(held, list) else held == value


def holds(body: JsonObject, path: str) -> bool:
    """Whether a body has the key at a path."""
    key, _, rest = path.partition(".")
    inner = body.get(key)
    return key in body and (not rest or (isinstance(inner, dict) and holds(inner, rest)))


def take_out(body: JsonObject, path: str) -> None:
    """Take the key at a path out, if it is still there."""
    key, _, rest = path.partition(".")
    inner = body.get(key)
    if rest and isinstance(inner, dict):
        take_out(inner, rest)
    elif not rest:
        body.pop(key, None)
