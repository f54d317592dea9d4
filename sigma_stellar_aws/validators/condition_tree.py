"""The condition of a rule as a tree of comparisons, each with its place, and the ways in which it can be met."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeAlias

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
from sigma.filters import SigmaFilter
from sigma.modifiers import reverse_modifier_mapping
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaRule
from sigma.types import SigmaExpansion, SigmaNull, SigmaType

from sigma_stellar_aws.base.yaml_positions import YamlPath

MOST_WAYS = 256
"""Ways to meet a condition beyond which what stands together in each of them is not looked at."""


class Value(NamedTuple):
    """A value that a field is compared with."""

    value: SigmaType
    at: YamlPath


class FieldComparison(NamedTuple):
    """A field (None: any field) that has to have one of the values, or none of them if negated."""

    field: str | None
    values: tuple[Value, ...]
    at: YamlPath
    negated: bool = False


class Not(NamedTuple):
    """What must not hold."""

    part: "Tree"


class AllOf(NamedTuple):
    """Parts that have to hold together."""

    parts: "tuple[Tree, ...]"


class AnyOf(NamedTuple):
    """Parts of which one has to hold."""

    parts: "tuple[Tree, ...]"


Tree: TypeAlias = FieldComparison | Not | AllOf | AnyOf
Way: TypeAlias = tuple[FieldComparison, ...]
"""Comparisons that all have to hold."""


class _Kept(NamedTuple):
    """What was read of rules that do not change, by the ids of the objects read, which are kept beside it."""

    comparisons: dict[tuple[int, YamlPath], tuple[SigmaDetections, list[FieldComparison]]]
    conditions: dict[tuple[int, YamlPath], tuple[SigmaDetections, list[Tree]]]
    ways: dict[int, tuple[Tree, list[Way]]]


_KEPT: ContextVar[_Kept | None] = ContextVar("_KEPT", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Read each rule once in this context, in which none must change.

    Every validator looks at all of a rule, which is most of the work where it has thousands of values.
    """
    token = _KEPT.set(_Kept({}, {}, {}))
    try:
        yield
    finally:
        _KEPT.reset(token)


def detections_of(rule: SigmaRule | SigmaFilter) -> tuple[SigmaDetections, YamlPath]:
    """Return what a rule or filter asks for, and where that stands in its document."""
    return (rule.filter, ("filter",)) if isinstance(rule, SigmaFilter) else (rule.detection, ("detection",))


def comparisons(detections: SigmaDetections, at: YamlPath) -> list[FieldComparison]:
    """Return every comparison of a detection, with those that the condition does not name.

    Args:
        detections: of a rule or a filter.
        at: where they stand in it.
    """
    kept = _KEPT.get()
    if kept and (id(detections), at) in kept.comparisons:
        return kept.comparisons[id(detections), at][1]
    parts = [_of_detection(detection, (*at, name)) for name, detection in detections.detections.items()]
    found = [comparison for part in parts for comparison in _leaves(part)]
    if kept:
        kept.comparisons[id(detections), at] = detections, found
    return found


def conditions(detections: SigmaDetections, at: YamlPath) -> list[Tree]:
    """Return the conditions of a detection, without those that pySigma cannot read, which are for its own checks."""
    kept = _KEPT.get()
    if kept and (id(detections), at) in kept.conditions:
        return kept.conditions[id(detections), at][1]
    found = _conditions(detections, at)
    if kept:
        kept.conditions[id(detections), at] = detections, found
    return found


def _conditions(detections: SigmaDetections, at: YamlPath) -> list[Tree]:
    trees = []
    for text in detections.condition:
        try:
            parsed = SigmaCondition(text, detections).parse(postprocess=False)
            trees.append(_of_condition(parsed, detections, at))
        except (SigmaError, KeyError, TypeError, RecursionError):
            continue
    return trees


def statements(tree: Tree) -> Iterator[Tree]:
    """Yield a condition and what it negates: each says something that is meant to hold for some event."""
    yield tree
    for part in parts_of(tree):
        if isinstance(part, Not):
            yield part.part


def ways(tree: Tree) -> list[Way]:
    """Return all ways in which a condition can be met; if there are more than MOST_WAYS, each comparison by itself."""
    kept = _KEPT.get()
    if kept and id(tree) in kept.ways:
        return kept.ways[id(tree)][1]
    try:
        found = _ways(tree, negated=False)
    except _TooManyError:
        found = [(comparison,) for comparison in _leaves(tree)]
    if kept:
        kept.ways[id(tree)] = tree, found
    return found


class _TooManyError(Exception):
    pass


def _ways(tree: Tree, *, negated: bool) -> list[Way]:
    if isinstance(tree, FieldComparison):
        return [(tree if tree.negated == negated else tree._replace(negated=negated),)]
    if isinstance(tree, Not):
        return _ways(tree.part, negated=not negated)
    parts = [_ways(part, negated=negated) for part in tree.parts]
    if isinstance(tree, AllOf) == negated:
        found = [way for part in parts for way in part]
    else:
        found = [()]
        for part in parts:
            if len(found) * len(part) > MOST_WAYS:
                raise _TooManyError
            found = [(*way, *more) for way, more in itertools.product(found, part)]
    if len(found) > MOST_WAYS:
        raise _TooManyError
    return found


def parts_of(tree: Tree) -> Iterator[Tree]:
    """Yield a condition and all parts of it."""
    yield tree
    below = (tree.part,) if isinstance(tree, Not) else () if isinstance(tree, FieldComparison) else tree.parts
    for part in below:
        yield from parts_of(part)


def _leaves(tree: Tree) -> Iterator[FieldComparison]:
    return (part for part in parts_of(tree) if isinstance(part, FieldComparison))


def _of_condition(node: object, detections: SigmaDetections, at: YamlPath) -> Tree:
    if isinstance(node, ConditionIdentifier):
        return _of_detection(detections.detections[node.identifier], (*at, node.identifier))
    if isinstance(node, ConditionSelector):
        named = tuple(_of_condition(name, detections, at) for name in node.resolve_referenced_detections(detections))
        return AllOf(named) if node.cond_class is ConditionAND else AnyOf(named)
    if not isinstance(node, ConditionItem):
        raise TypeError(f"a condition has no {type(node).__name__}")
    parts = tuple(_of_condition(part, detections, at) for part in node.args)
    if isinstance(node, ConditionNOT):
        return Not(parts[0])
    return AnyOf(parts) if isinstance(node, ConditionOR) else AllOf(parts)


def _of_detection(detection: SigmaDetection, at: YamlPath) -> Tree:
    parts = tuple(
        _of_item(item, at) if isinstance(item, SigmaDetectionItem) else _of_detection(item, (*at, number))
        for number, item in enumerate(detection.detection_items)
    )
    return AnyOf(parts) if detection.item_linking is ConditionOR else AllOf(parts)


def _of_item(item: SigmaDetectionItem, at: YamlPath) -> Tree:
    if item.field is not None or item.modifiers:
        names = (reverse_modifier_mapping.get(modifier.__name__, "") for modifier in item.modifiers)
        at = (*at, "|".join([item.field or "", *names]))
    values = item.value or [SigmaNull()]
    values_at = [(*at, number) for number in range(len(values))] if len(values) > 1 else [at]
    each = [
        FieldComparison(item.field, _each(value, place), at) for value, place in zip(values, values_at, strict=True)
    ]
    if item.value_linking is ConditionAND:
        tree: Tree = AllOf(tuple(each))
    else:
        tree = FieldComparison(item.field, tuple(value for one in each for value in one.values), at)
    return Not(tree) if item.negated else tree


def _each(value: SigmaType, at: YamlPath) -> tuple[Value, ...]:
    """Return a value, or each of those that a modifier made of it."""
    if isinstance(value, SigmaExpansion):
        return tuple(one for part in value.values for one in _each(part, at))
    return (Value(value, at),)
