"""The mappings of an index of alerts. They have a version; indices with an older one get the fields that they lack."""

from collections.abc import Mapping

from sigma_stellar_aws.base.json_types import Json, JsonObject, as_object
from sigma_stellar_aws.query.index_template import IGNORE_ABOVE
from sigma_stellar_aws.store.load import ALERTS_OF, OWN

_KEYWORD: JsonObject = {"type": "keyword", "ignore_above": IGNORE_ABOVE}
_TIME: JsonObject = {"type": "date", "format": "strict_date_optional_time", "ignore_malformed": True}
_MILLIS: JsonObject = {"type": "date", "format": "epoch_millis"}


def _all(names: tuple[str, ...], mapping: JsonObject) -> JsonObject:
    return dict.fromkeys(names, mapping)


def _texts(*names: str) -> JsonObject:
    return {"properties": _all(names, _KEYWORD)}


_VERSION = "version"
_LATEST = 4
"""Of the mappings. Indices of version 1 say none."""
_ADDED = (
    "rule",
    "tactics",
    "techniques",
    "actor_names",
    "first_event",
    "failed_count",
    "error_codes",
    "source_locations",
)
"""What indices of version 1 lack; those of version 2 lack the last three, those of version 3 the last one."""
_UNSEARCHED: JsonObject = {"type": "object", "enabled": False}

ALERT_MAPPINGS: JsonObject = {
    "date_detection": False,
    "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
    "properties": {
        **_all(("id", "name", "display_name"), _KEYWORD),
        "severity": {"type": "integer"},
        "rule": {
            "properties": {
                **_all(("id", "title", "author", "references"), _KEYWORD),
                # Sentences, which are looked for by their words.
                **_all(("description", "false_positives", "triage"), {"type": "text"}),
            }
        },
        "tactics": _texts("id", "name", "url"),
        "techniques": _texts("id", "name", "url"),
        "first_time": _TIME,
        "last_time": _TIME,
        **_all(("event_count", "failed_count"), {"type": "long"}),
        "error_codes": _KEYWORD,
        "suppression": {
            "properties": {
                "window": _KEYWORD,
                # Its keys are names of fields, with dots in them.
                "key": {"type": "object", "enabled": False},
                "key_id": _KEYWORD,
                **_all(("start", "end", "first", "last"), _MILLIS),
                **_all(("events", "failed"), {"type": "long"}),
                "error_codes": _KEYWORD,
            }
        },
        "events": _texts("id", "place"),
        "actor_names": _KEYWORD,
        "source_locations": {
            "properties": {
                **_all(("address", "country", "country_name", "city", "network", "organization"), _KEYWORD),
                "asn": {"type": "long"},
            }
        },
        "first_event": {
            "properties": {
                "time": _TIME,
                **_all(("source", "name", "error_code", "error_message", "user_agent", "resource"), _KEYWORD),
                # Values of any type, of any fields.
                **_all(("parameters", "matched", "record"), _UNSEARCHED),
            }
        },
        "correlation": {
            "properties": {
                **_all(("type", "timespan"), _KEYWORD),
                "since": _TIME,
                "chain": {"properties": {"time": _TIME, "rules": _texts("id", "title")}},
            }
        },
    },
}


def mappings_meta(search: str) -> JsonObject:
    """Return what an index says of itself, whose alerts are those of a search."""
    return {OWN: {ALERTS_OF: search, _VERSION: _LATEST}}


def added_properties() -> JsonObject:
    """Return what earlier versions lack; to add what they have changes nothing."""
    properties = as_object(ALERT_MAPPINGS["properties"])
    counters = as_object(as_object(properties["suppression"])["properties"])
    added: JsonObject = {name: properties[name] for name in _ADDED}
    return {**added, "suppression": {"properties": {name: counters[name] for name in ("failed", "error_codes")}}}


def is_older(purpose: Mapping[str, Json]) -> bool:
    """Tell whether the mappings of an index are of an earlier version, by what it says of itself."""
    version = purpose.get(_VERSION, 1)
    return isinstance(version, int) and version < _LATEST
