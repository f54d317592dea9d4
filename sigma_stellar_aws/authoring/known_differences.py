"""Tell whether two detections can judge any known event of AWS differently.

Where each eventName that a rule asks for is of one eventSource alone, the source changes nothing, and no author could
write an event that shows a difference. The same goes for names whose requests lack a parameter that is asked for.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import product

from sigma.rule import SigmaDetections

from sigma_stellar_aws.reference.aws_events import canonical_event_name, sources, sources_of, spellings
from sigma_stellar_aws.reference.aws_parameters import REQUEST, EventKind, has_parameters, parameter
from sigma_stellar_aws.validators.condition_tree import AllOf, FieldComparison, Not, Tree, conditions, parts_of
from sigma_stellar_aws.validators.sigma_values import is_missing, matcher, text

_OTHER: EventKind = ("", "")
"""Stands for every event whose source and name are not asked for."""
_ANSWERS = {True: "true", False: "false"}


def may_differ(one: SigmaDetections, other: SigmaDetections) -> bool:
    """Tell whether some known event may match one detection and not the other.

    What cannot be decided counts as a difference. An eventSource or eventName that is not in the table of AWS events
    may occur with any name or source.

    >>> both = {"eventSource": "kms.amazonaws.com", "eventName": "DisableKey"}
    >>> named = SigmaDetections.from_dict({"s": both, "condition": "s"})
    >>> may_differ(named, SigmaDetections.from_dict({"s": {"eventName": "DisableKey"}, "condition": "s"}))
    False
    """
    before, after = (conditions(each, ("detection",)) for each in (one, other))
    leaves = [part for tree in (*before, *after) for part in parts_of(tree) if isinstance(part, FieldComparison)]
    kinds = _kinds_asked(leaves)
    return kinds is None or any(_rests(before, kind) != _rests(after, kind) for kind in kinds)


def _kinds_asked(leaves: Iterable[FieldComparison]) -> set[EventKind] | None:
    """Return the events that some comparisons can tell from others; None where that is not known."""
    exact: dict[str, set[str]] = {"eventSource": {""}, "eventName": {""}}
    kinds = {_OTHER}
    for leaf in leaves:
        for value in leaf.values if leaf.field in exact else ():
            plain = text(value.value)
            if plain is not None:
                exact[str(leaf.field)].add(plain)
            elif (test := matcher(value.value)) is not None:
                kinds |= {kind for kind in _every_kind() if test(kind[leaf.field == "eventName"])}
            elif not is_missing(value.value):
                return None
    for name in exact["eventName"]:
        spelt = canonical_event_name(name) or name
        kinds |= set(product(sources_of(spelt) or exact["eventSource"], [spelt]))
    for source in map(str.lower, exact["eventSource"] - {""}):
        kinds |= set(product([source], spellings(source) if source in sources() else exact["eventName"]))
    return kinds


@cache
def _every_kind() -> tuple[EventKind, ...]:
    return tuple((source, name) for source in sources() for name in spellings(source))


def _rests(trees: Iterable[Tree], kind: EventKind) -> list[str]:
    return [_rest(tree, kind) for tree in trees]


def _rest(tree: Tree, kind: EventKind) -> str:
    """Return what is left to be asked of an event whose source and name are known: equal texts ask the same."""
    if isinstance(tree, FieldComparison):
        known = _answer(tree, kind)
        return _said(tree) if known is None else _ANSWERS[known]
    if isinstance(tree, Not):
        inner = _rest(tree.part, kind)
        return {"true": "false", "false": "true"}.get(inner, f"not {inner}")
    decisive, idle, word = ("false", "true", " and ") if isinstance(tree, AllOf) else ("true", "false", " or ")
    parts = sorted({_rest(part, kind) for part in tree.parts} - {idle})
    if decisive in parts or not parts:
        return decisive if parts else idle
    return parts[0] if len(parts) == 1 else f"({word.join(parts)})"


def _answer(leaf: FieldComparison, kind: EventKind) -> bool | None:
    """Tell whether a comparison holds for events of a kind; None where that depends on the event."""
    if leaf.field in ("eventSource", "eventName"):
        actual = kind[leaf.field == "eventName"]
        tests = (matcher(value.value) for value in leaf.values)
        return any(test is not None and test(actual) for test in tests)
    if leaf.field is not None and leaf.field.startswith(f"{REQUEST}.") and _lacks(leaf.field, kind):
        return any(is_missing(value.value) for value in leaf.values)
    return None


def _said(leaf: FieldComparison) -> str:
    values = (f"{type(one.value).__name__} {'' if is_missing(one.value) else one.value!r}" for one in leaf.values)
    return f"{leaf.field} {sorted(values)}"


@lru_cache(maxsize=1024)
def _lacks(field: str, kind: EventKind) -> bool:
    return has_parameters(kind) and parameter(field, [kind]) is None
