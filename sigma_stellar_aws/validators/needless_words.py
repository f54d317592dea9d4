"""Words of a condition that change nothing: a part that stands twice, one that another makes needless, ``not not``.

Only the words of the condition are looked at; what the selections ask for is compared in ``needless``.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionItem,
    ConditionNOT,
    ConditionSelector,
    SigmaCondition,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetections

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import NeedlessPartIssue

_Kind: TypeAlias = Literal["name", "not", "and", "or"]
_OTHER: dict[_Kind, _Kind] = {"and": "or", "or": "and"}
# Longer conditions have too many pairs of parts to compare.
_MOST_COMPARED = 200


class _Term(NamedTuple):
    """A part of a condition. Two are equal if they ask for the same selections in the same way."""

    kind: _Kind
    parts: "frozenset[_Term]" = frozenset()
    name: str = ""


class _Written(NamedTuple):
    """A part as it is written."""

    term: _Term
    text: str
    kind: _Kind
    parts: "tuple[_Written, ...]" = ()
    """In their order; none of a name or a pattern of names."""


def needless_words(detections: SigmaDetections, at: YamlPath) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield the first needless part of each condition.

    Args:
        detections: of a rule or filter.
        at: where its condition stands.
    """
    for number, text in enumerate(detections.condition):
        try:
            parsed = SigmaCondition(text, detections).parse(postprocess=False)
            written = _written(parsed, detections)
        except (SigmaError, KeyError, TypeError, RecursionError):
            continue
        for problem in _problems(written):
            yield Fault(NeedlessPartIssue, problem), (*at, number) if len(detections.condition) > 1 else at
            break


def _problems(written: _Written) -> Iterator[str]:
    kind = written.kind
    if kind == "not" and written.parts[0].kind == "not":
        inner = written.parts[0].parts[0].text
        yield f"'not not' asks for {inner} itself; leave out both words."
    elif kind in _OTHER and len(written.parts) <= _MOST_COMPARED:
        yield from _needless_parts(kind, written.parts)
    for part in written.parts:
        yield from _problems(part)


def _needless_parts(kind: _Kind, parts: tuple[_Written, ...]) -> Iterator[str]:
    for number, part in enumerate(parts):
        for other in parts[:number]:
            if part.term == other.term:
                same = "" if part.text == other.text else f", which is {other.text}"
                yield f"{part.text} is asked for twice{same}; once is enough, so leave the second out."
        for other in parts:
            if part.kind == "name" and part.term.kind == kind and _terms(other.term, kind) < part.term.parts:
                yield f"{part.text} asks for {other.text} already; leave out {other.text}."
            if part.term.kind == _OTHER[kind] and _terms(other.term, _OTHER[kind]) < part.term.parts:
                yield f"{other.text} {kind} ({part.text}) asks for the same as {other.text} alone; leave out the rest."


def _terms(term: _Term, kind: _Kind) -> frozenset[_Term]:
    return term.parts if term.kind == kind else frozenset({term})


def _written(node: object, detections: SigmaDetections) -> _Written:
    if isinstance(node, ConditionIdentifier):
        return _Written(_Term("name", name=str(node.identifier)), str(node.identifier), "name")
    if isinstance(node, ConditionSelector):
        kind: _Kind = "and" if node.cond_class is ConditionAND else "or"
        named = tuple(_written(name, detections) for name in node.resolve_referenced_detections(detections))
        # Its parts cannot be needless beside each other.
        return _Written(_joined(kind, named), " of ".join(map(str, node.args)), "name")
    if not isinstance(node, ConditionItem):
        raise TypeError(f"a condition has no {type(node).__name__}")
    parts = tuple(_written(part, detections) for part in node.args)
    if isinstance(node, ConditionNOT):
        return _Written(_Term("not", frozenset({parts[0].term})), f"not {_within(parts[0])}", "not", parts)
    kind = "and" if isinstance(node, ConditionAND) else "or"
    return _Written(_joined(kind, parts), f" {kind} ".join(map(_within, parts)), kind, _flat(kind, parts))


def _joined(kind: _Kind, parts: tuple[_Written, ...]) -> _Term:
    terms = frozenset(term for part in parts for term in _terms(part.term, kind))
    return next(iter(terms)) if len(terms) == 1 else _Term(kind, terms)


def _flat(kind: _Kind, parts: tuple[_Written, ...]) -> tuple[_Written, ...]:
    """Return parts, and in place of each that is joined by the same word its own: ``a and (b and a)`` has a twice."""
    return tuple(inner for part in parts for inner in (part.parts if part.kind == kind else (part,)))


def _within(part: _Written) -> str:
    return f"({part.text})" if part.kind in _OTHER else part.text
