"""The search body of a monitor in one form, however it was written.

Alerting parses the body and keeps what it understood, with defaults filled in and other spellings. The spellings are
those of OpenSearch 3.8, as its search slow log and the descriptions of its tasks print parsed bodies.
"""

from collections.abc import Mapping

from sigma_stellar_aws.base.json_types import Json, JsonObject

_DEFAULTS: Mapping[str, tuple[Json, ...]] = {
    "boost": (1.0,),
    "adjust_pure_negative": (True,),
    "case_insensitive": (False,),
    "value_type": ("default",),
    "flags_value": (255,),
    "max_determinized_states": (10000,),
    "missing_order": ("default",),
    "missing_bucket": (False,),
    # Of a composite aggregation, and of one of terms.
    "order": ("asc", [{"_count": "desc"}, {"_key": "asc"}]),
    "gap_policy": ("skip",),
    "keyed": (False,),
    "min_doc_count": (1,),
    "shard_min_doc_count": (0,),
    "show_term_doc_count_error": (False,),
    "other_bucket": (False,),
    "other_bucket_key": ("_other_",),
}
"""What is filled in; none of these is the name of a container, so that no field is meant."""

_ALL_HITS = {True: 2147483647, False: -1}
_FLAGS = {"NONE": 0, "ALL": 255}
_ENDS = (("from", "include_lower", "gte", "gt"), ("to", "include_upper", "lte", "lt"))


def canonical_json(value: Json) -> Json:
    """A search body, or a part of it, in the one form."""
    if isinstance(value, list):
        return [canonical_json(part) for part in value]
    if not isinstance(value, dict):
        return value
    parts = dict(_spelled(key, canonical_json(part)) for key, part in _with_limits(value).items())
    return {key: part for key, part in parts.items() if part not in (None, [], *_DEFAULTS.get(key, ()))}


def _with_limits(part: JsonObject) -> JsonObject:
    """A range with the limits as they are written."""
    if "include_lower" not in part or "include_upper" not in part:
        return part
    limits = {key: value for key, value in part.items() if key not in ("from", "to", "include_lower", "include_upper")}
    for end, inclusion, inclusive, exclusive in _ENDS:
        limits[inclusive if part[inclusion] else exclusive] = part.get(end)
    return limits


def _spelled(key: str, value: Json) -> tuple[str, Json]:
    if key == "aggs":
        return "aggregations", value
    if key == "wildcard" and isinstance(value, str):
        return "value", value
    if key == "flags" and value in _FLAGS:
        return "flags_value", _FLAGS[str(value)]
    if key == "buckets_path" and isinstance(value, list) and len(value) == 1:
        return key, value[0]
    if key == "minimum_should_match":
        return key, str(value)
    if key == "track_total_hits" and isinstance(value, bool):
        return key, _ALL_HITS[value]
    return key, value
