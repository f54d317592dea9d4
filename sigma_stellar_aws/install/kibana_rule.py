"""What Kibana and its rule editor make of a detection rule, and how two of its versions are compared."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.formats.elastic_rule import Stack
from sigma_stellar_aws.install.merge import Change, Fields, Path

TAG = "sigma-stellar-aws"
"""Says of a rule that this project made it."""

# What an artefact may say of a rule; all else that a rule has is made by Kibana or by who works there.
OWNED = (
    "name",
    "description",
    "severity",
    "risk_score",
    "type",
    "language",
    "query",
    "filters",
    "threshold",
    "event_category_override",
    "tiebreaker_field",
    "timestamp_field",
    "index",
    "interval",
    "from",
    "to",
    "timestamp_override",
    "timestamp_override_fallback_disabled",
    "max_signals",
    "alert_suppression",
    "threat",
    "tags",
    "references",
    "false_positives",
    "author",
    "license",
    "note",
    "setup",
    "investigation_fields",
    "related_integrations",
    "required_fields",
    "building_block_type",
)
_SETS = ("tags", "references", "false_positives")
"""Lists to which somebody may add an entry of their own."""
THEIRS = (
    "enabled",
    "actions",
    "exceptions_list",
    "throttle",
    "response_actions",
    "data_view_id",
    "severity_mapping",
    "risk_score_mapping",
    "rule_name_override",
    "timeline_id",
    "timeline_title",
    "output_index",
    "namespace",
)
SERVER_MADE = (
    "id",
    "immutable",
    "revision",
    "version",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "rule_source",
    "outcome",
    "alias_target_id",
    "alias_purpose",
    "execution_summary",
    # 7.17, of the last run.
    "status",
    "status_date",
    "last_success_at",
    "last_success_message",
    "last_failure_at",
    "last_failure_message",
    "uuid",
)
RULE_DEFAULTS: Mapping[str, Json] = {
    "language": "kuery",
    "query": "",
    "filters": [],
    "index": [],
    "interval": "5m",
    "from": "now-6m",
    "to": "now",
    "max_signals": 100,
    # Written by the rule editor at every save.
    "timestamp_override_fallback_disabled": False,
    "threat": [],
    "tags": [],
    "references": [],
    "false_positives": [],
    "author": [],
    "license": "",
    "note": "",
    "setup": "",
    "related_integrations": [],
    "required_fields": [],
    "actions": [],
    "exceptions_list": [],
    "response_actions": [],
    "severity_mapping": [],
    "risk_score_mapping": [],
    "throttle": "no_actions",
    "output_index": "",
    "namespace": "",
}
"""What Kibana fills in; a key that is not among them can only be taken away by replacing the rule."""
_TIMES = ("from", "to", "interval")
"""Durations, which Kibana's editor writes in seconds."""
_DURATION = re.compile(r"(now-)?(\d{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TEXTS = ("query", "description", "note", "setup")
"""Texts whose last line break does not survive every way into Kibana."""
_WRITABLE_SINCE: Mapping[str, Stack] = {
    "setup": Stack(8, 12),
    "related_integrations": Stack(8, 15),
    "required_fields": Stack(8, 15),
}
"""Keys that answers had before requests could have them; up to 8.11 a request with one of them is refused."""
_SIGNALS = re.compile(r"\.siem-signals-.+")
"""The index that Kibana 7.17 fills in as ``output_index``."""
_OF_FILTER_BAR = ("meta", "$state")
"""What the rule editor writes anew in a filter at every save, but for ``negate`` and ``disabled`` in ``meta``."""


def fields_of(body: JsonObject) -> Fields:
    """Return the fields of a rule that are compared, without what is as Kibana fills it in."""
    found: dict[Path, Json] = {}
    for key in (*OWNED, *THEIRS):
        value = _normal(key, body.get(key))
        if value is None or value == _normal(key, RULE_DEFAULTS.get(key)):
            continue
        if key in _SETS:
            found.update({(key, str(entry)): True for entry in cast("list[Json]", value)})
        else:
            found[key,] = value
    return found


def outline_of(body: JsonObject) -> str:
    """Return where a rule looks, and how severe it is."""
    index = body.get("index")
    where = ", ".join(map(str, index)) if isinstance(index, list) else "(Kibana's default)"
    return f"index {where}; severity {body.get('severity')} ({body.get('risk_score')})"


def writable(body: JsonObject, stack: Stack | None) -> JsonObject:
    """Return what of a live rule a request may have: nothing that Kibana makes, or takes from prebuilt rules only."""
    return {
        key: value
        for key, value in body.items()
        if key not in SERVER_MADE and (stack is None or stack >= _WRITABLE_SINCE.get(key, stack))
    }


def raised_version(wanted: JsonObject, live: JsonObject) -> JsonObject:
    """Return the version that a rule gets with a change: a greater one than before, and ours where that is greater."""
    said, before = wanted.get("version"), live.get("version")
    if "revision" not in live or not isinstance(before, int):
        return {} if said is None else {"version": said}
    return {"version": max(said, before + 1) if isinstance(said, int) else before + 1}


def changed_keys(live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
    """Return the keys of a rule that changes concern, with their new values.

    A value is None where only replacing the whole rule takes the key away.
    """
    changed: JsonObject = {}
    for (key, *entry), _, wanted in changes:
        if entry:
            entries = cast("list[Json]", changed.get(key, live.get(key)) or [])
            changed[key] = [one for one in entries if one != entry[0]] + ([entry[0]] if wanted else [])
        else:
            # As the rule has it, not as it is compared.
            as_written = like.get(key) if _normal(key, like.get(key)) == wanted else wanted
            changed[key] = RULE_DEFAULTS.get(key) if wanted is None else as_written
    return changed


def _normal(key: str, value: Json) -> Json:
    """Return a value without what Kibana may add or take away by itself."""
    if key in _TEXTS and isinstance(value, str):
        return value.rstrip("\n")
    if key in _TIMES and isinstance(value, str) and (duration := _DURATION.fullmatch(value)):
        seconds = timedelta(**{_UNITS[duration[3]]: int(duration[2])}).total_seconds()
        return f"{duration[1] or ''}{seconds:.0f}s"
    if key == "required_fields" and isinstance(value, list):
        return [{name: part for name, part in cast(JsonObject, field).items() if name != "ecs"} for field in value]
    if key == "alert_suppression" and isinstance(value, dict):
        return {"missing_fields_strategy": "suppress", **value}
    if key == "filters" and isinstance(value, list):
        return [_filter(cast(JsonObject, one)) for one in value]
    if key == "output_index" and isinstance(value, str) and _SIGNALS.fullmatch(value):
        return ""
    if key == "threat":
        return _without_empty_lists(value)
    return value


def _without_empty_lists(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_empty_lists(part) for key, part in value.items() if part != []}
    return [_without_empty_lists(part) for part in value] if isinstance(value, list) else value


def _filter(given: JsonObject) -> JsonObject:
    """Return what a filter asks for, without what the rule editor's filter bar adds."""
    meta = given.get("meta")
    shown = meta if isinstance(meta, dict) else {}
    asked = {key: value for key, value in given.items() if key not in _OF_FILTER_BAR}
    return {**asked, **{flag: shown.get(flag) is True for flag in ("negate", "disabled")}}


def rule_digest(rule: JsonObject) -> str:
    """Return a text that is another one whenever somebody has changed a rule; running it changes nothing."""
    content = {key: value for key, value in rule.items() if key not in SERVER_MADE}
    return hashlib.sha256(json.dumps([rule.get("id"), content], sort_keys=True).encode()).hexdigest()
