"""Leave out the faulty parts of a document, so that one fault does not hide what else is wrong."""

import copy
from collections.abc import Collection
from typing import NamedTuple

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.yaml_positions import YamlPath

# What is found in a stand-in is not the rule's, and is not told.
_STAND_INS: JsonObject = {
    "title": "Untitled",
    "logsource": {"product": "aws", "service": "cloudtrail"},
    "detection": {"selection": {"eventSource|exists": True}, "condition": "selection"},
}
_OF_FILTERS: JsonObject = {"rules": "any", "selection": {"eventSource|exists": True}, "condition": "not selection"}
_DETECTIONS = ("detection", "filter")
_NO_SELECTIONS = ("condition", "rules")
_CLOUDTRAIL_FIELDS = ("eventName", "eventSource")


class Remainder(NamedTuple):
    """A document without its faulty parts."""

    document: JsonObject
    left_out: frozenset[str]
    """Keys at the top that are left out, or have a stand-in: whatever is said of them is not to be told."""
    asks_less: bool
    """Whether some of what the document asks for is left out."""


def without_parts(document: JsonObject, faults: Collection[YamlPath]) -> Remainder | None:
    """Leave out the parts at some paths; None if nothing that can be judged would be left.

    Of a selection, only the field is left out; of a condition, the detection as a whole.

    >>> without_parts({"title": "A", "level": "hihg"}, [("level",)])
    Remainder(document={'title': 'A'}, left_out=frozenset({'level'}), asks_less=False)
    """
    rest = copy.deepcopy(document)
    left_out: set[str] = set()
    for path in faults:
        top = str(path[0]) if path else ""
        if (top not in document and top not in _STAND_INS) or top == "correlation":
            return None
        if top in _DETECTIONS and _remove_field(rest.get(top), path[1:]):
            continue
        left_out.add(top)
        rest.pop(top, None)
    for key in left_out & {*_STAND_INS, "filter"}:
        rest[key] = copy.deepcopy(_OF_FILTERS if key == "filter" else _STAND_INS[key])
    if "logsource" in left_out and not _is_about_cloudtrail(document):
        rest["logsource"] = {"product": "unknown"}
    asks_less = any(path[0] in (*_DETECTIONS, "logsource", "stellar") for path in faults)
    return Remainder(rest, frozenset(left_out), asks_less)


def _remove_field(detection: Json, path: YamlPath) -> bool:
    """Remove the field that a path within a detection is in; False if it is in none, or nothing would be left."""
    if not isinstance(detection, dict) or not path or path[0] in _NO_SELECTIONS:
        return False
    parent: Json = detection.get(str(path[0]))
    for step in path[1:]:
        if isinstance(parent, dict):
            return len(parent) > 1 and parent.pop(str(step), parent) is not parent
        if not isinstance(parent, list) or not isinstance(step, int) or step >= len(parent):
            return False
        parent = parent[step]
    return False


def _is_about_cloudtrail(document: JsonObject) -> bool:
    return all(field in str(document.get("detection")) for field in _CLOUDTRAIL_FIELDS)
