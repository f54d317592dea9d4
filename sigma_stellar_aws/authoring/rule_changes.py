"""Change what a rule asks for, one thing at a time, to see whether its sample events would notice.

A value or a field less, another modifier, a selection less or negated: each is a slip that an author could make, and
that a case should fail for.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetections

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.reference import aws_events

_SHOWN_VALUE = 60
_OTHER_MODIFIERS: Mapping[str, str] = {
    "contains": "",
    "startswith": "contains",
    "endswith": "contains",
    "all": "",
    "cased": "",
    "gt": "gte",
    "gte": "gt",
    "lt": "lte",
    "lte": "lt",
    "neq": "",
}
"""What stands in place of a modifier; nothing where it is left out."""
_ADDED = "contains"
"""The modifier of a text that had none."""
_WORDS = frozenset({"true", "false", "yes", "no", "success", "failure"})
"""Texts of fields that have only these."""


class RuleChange(NamedTuple):
    """A rule's detection with one thing changed."""

    at: YamlPath
    """Where in the document of the rule."""
    change: str
    """What is changed, such as "eventName without 'StopLogging'"."""
    detection: JsonObject


def rule_changes(detection: JsonObject) -> Iterator[RuleChange]:
    """Yield a rule's detection with each of its conditions changed, one at a time; the detection stays as it is.

    >>> detection = {"selection": {"eventName": ["A", "B"]}, "condition": "selection"}
    >>> for change in rule_changes(detection):
    ...     print(change.change)
    eventName without 'A'
    eventName without 'B'
    eventName|contains for eventName
    not selection for selection
    """
    for name, selection in detection.items():
        if name not in ("condition", "timeframe"):
            yield from _in_selection(detection, selection, ("detection", name))
    conditions = detection.get("condition")
    listed = conditions if isinstance(conditions, list) else [conditions]
    for number, condition in enumerate(listed):
        at: YamlPath = ("detection", "condition")
        at = (*at, number) if isinstance(conditions, list) else at
        for changed, change in _in_condition(str(condition), detection):
            yield RuleChange(at, change, _with(detection, at, changed))
        if len(listed) > 1:
            yield RuleChange(at, f"without the condition {condition!r}", _without(detection, at))


def _in_selection(detection: JsonObject, part: Json, at: YamlPath) -> Iterator[RuleChange]:
    if isinstance(part, dict):
        for key, value in part.items():
            if len(part) > 1:
                yield RuleChange((*at, key), f"without {key}", _without(detection, (*at, key)))
            yield from _in_values(detection, key, value, (*at, key))
            for other in _other_keys(key, value):
                renamed = {other if name == key else name: kept for name, kept in part.items()}
                if len(renamed) == len(part):
                    yield RuleChange((*at, key), f"{other} for {key}", _with(detection, at, renamed))
    elif isinstance(part, list):
        for number, element in enumerate(part):
            if len(part) > 1:
                what = _shown(element) if not isinstance(element, dict) else f"its part {number + 1}"
                yield RuleChange((*at, number), f"{at[-1]} without {what}", _without(detection, (*at, number)))
            if isinstance(element, dict):
                yield from _in_selection(detection, element, (*at, number))


def _in_values(detection: JsonObject, key: str, value: Json, at: YamlPath) -> Iterator[RuleChange]:
    for number, one in enumerate(value if isinstance(value, list) and len(value) > 1 else []):
        yield RuleChange((*at, number), f"{key} without {_shown(one)}", _without(detection, (*at, number)))


def _other_keys(key: str, value: Json) -> Iterator[str]:
    """Yield a field with other modifiers, where events may exist that tell them apart."""
    field, *modifiers = key.split("|")
    values = value if isinstance(value, list) else [value]
    texts = [one for one in values if isinstance(one, str) and one and "*" not in one]
    is_open = len(texts) == len(values) and _may_be_within(field, texts)
    for number, modifier in enumerate(modifiers):
        other = _OTHER_MODIFIERS.get(modifier)
        if other is not None and (other != _ADDED or is_open):
            yield "|".join(filter(None, [field, *modifiers[:number], other, *modifiers[number + 1 :]]))
    if field and not modifiers and is_open:
        yield f"{field}|{_ADDED}"


def _may_be_within(field: str, texts: Sequence[str]) -> bool:
    """Tell whether a field may have a value that contains one of some texts without being equal to it."""
    if field == "eventSource" or any(one.lower() in _WORDS for one in texts):
        return False
    types = map(str.lower, aws_events.IDENTITY_TYPES)
    lower = {one.lower() for one in texts}
    return field != "userIdentity.type" or any(one in name for name in set(types) - lower for one in lower)


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}..."


def _with(detection: JsonObject, at: YamlPath, value: Json) -> JsonObject:
    """Copy a detection with another value at a path."""
    copied: JsonObject = {"detection": copy.deepcopy(detection)}
    parent: Json = copied
    for step in at[:-1]:
        parent = _child(parent, step)
    if isinstance(parent, dict):
        parent[str(at[-1])] = value
    elif isinstance(parent, list) and isinstance(at[-1], int):
        parent[at[-1]] = value
    changed = copied["detection"]
    assert isinstance(changed, dict)
    return changed


def _without(detection: JsonObject, at: YamlPath) -> JsonObject:
    """Copy a detection without what is at a path."""
    parent: Json = {"detection": detection}
    for step in at[:-1]:
        parent = _child(parent, step)
    if isinstance(parent, dict):
        return _with(detection, at[:-1], {key: value for key, value in parent.items() if key != at[-1]})
    assert isinstance(parent, list)
    return _with(detection, at[:-1], [value for number, value in enumerate(parent) if number != at[-1]])


def _child(part: Json, step: str | int) -> Json:
    if isinstance(part, dict):
        return part[str(step)]
    assert isinstance(part, list)
    assert isinstance(step, int)
    return part[step]


_Kind: TypeAlias = Literal["and", "or", "not", "name"]


class _Term(NamedTuple):
    """A part of a condition; a name is a selection, or several by a pattern."""

    kind: _Kind
    parts: tuple["_Term", ...] = ()
    name: str = ""

    def __str__(self) -> str:
        if self.kind == "name":
            return self.name
        parts = [str(part) if part.kind in ("name", "not") else f"({part})" for part in self.parts]
        return f"not {parts[0]}" if self.kind == "not" else f" {self.kind} ".join(parts)


def _in_condition(condition: str, detection: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield a condition with each part changed, and what the change is."""
    names = [name for name in detection if name != "condition"]
    try:
        known = {name: {"x": "y"} for name in names}
        detections = SigmaDetections.from_dict({**known, "condition": condition})
        root = SigmaCondition(condition, detections).parse(postprocess=False)
        if isinstance(root, ConditionItem):
            yield from ((str(changed), change) for changed, change in _edits(_term(root), detections))
    except SigmaError:
        return


def _term(node: object) -> _Term:
    if isinstance(node, ConditionIdentifier):
        return _Term("name", name=str(node.identifier))
    if isinstance(node, ConditionSelector):
        return _Term("name", name=" of ".join(map(str, node.args)))
    assert isinstance(node, ConditionItem)
    kind: _Kind = "not" if isinstance(node, ConditionNOT) else "and" if isinstance(node, ConditionAND) else "or"
    assert kind != "or" or isinstance(node, ConditionOR)
    return _Term(kind, tuple(map(_term, node.args)))


def _edits(term: _Term, detections: SigmaDetections) -> Iterator[tuple[_Term, str]]:
    if term.kind == "name":
        yield _Term("not", (term,)), f"not {term} for {term}"
        quantifier, of, pattern = term.name.partition(" of ")
        selected = ConditionSelector([quantifier, pattern]).resolve_referenced_detections(detections) if of else []
        if len(selected) > 1:
            other = "all" if quantifier != "all" else "1"
            yield term._replace(name=f"{other} of {pattern}"), f"{other} of {pattern} for {term}"
        return
    if term.kind == "not":
        yield term.parts[0], f"{term.parts[0]} for {term}"
    else:
        for number, part in enumerate(term.parts):
            rest = (*term.parts[:number], *term.parts[number + 1 :])
            yield rest[0] if len(rest) == 1 else term._replace(parts=rest), f"without {part}"
        swapped: _Kind = "or" if term.kind == "and" else "and"
        yield term._replace(kind=swapped), f"{swapped} for {term.kind} in {term}"
    for number, part in enumerate(term.parts):
        # The negation of what is negated is the part itself, which is above.
        for changed, change in _edits(part, detections) if term.kind != "not" or part.kind != "name" else ():
            yield term._replace(parts=(*term.parts[:number], changed, *term.parts[number + 1 :])), change
