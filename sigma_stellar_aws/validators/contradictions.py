"""Values that a field never has, and comparisons that exclude each other."""

import re
from typing import Literal, NamedTuple, TypeAlias

from sigma.types import SigmaCIDRExpression, SigmaExists, SigmaRegularExpression, SigmaString, SigmaType

from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.reference.event_data import VALUES, malformed
from sigma_stellar_aws.validators.condition_tree import FieldComparison, Value, Way
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import ImpossibleConditionIssue, ParameterKindIssue, UnknownValueIssue
from sigma_stellar_aws.validators.sigma_values import (
    any_matches,
    covers,
    excludes,
    is_comparable,
    is_missing,
    shown,
    text,
    wrong_comparison,
)

_SUCCESS = frozenset(
    {"", "-", "0", "200", "false", "n/a", "no error", "noerror", "none", "null", "ok"}
    | {"success", "successful", "succeeded"}
)
_OF_SUCCESS = re.compile(r"(?<!un)succ(?:e|\*|$)", re.IGNORECASE)
OUTCOMES = ("errorCode", "errorMessage")
"""Fields that only failed calls have."""
_LISTS = ("addendum.", "resources.")
"""Where the fields begin that can have several values in one record."""


class Contradiction(NamedTuple):
    """A comparison that cannot hold beside another one."""

    other: YamlPath
    """Where the other one stands."""
    problem: str


def value_fault(field: str | None, value: SigmaType) -> Fault | None:
    """Return why a field never has a value, whatever is asked beside it."""
    exact = text(value)
    if field in OUTCOMES and _asks_for_success(field, value):
        verb = "is never" if exact is not None else "never matches"
        problem = f"{field} {verb} {shown(value)!r}, for a call that worked has no {field}; write {field}: null."
        return Fault(ImpossibleConditionIssue, problem)
    known = VALUES.get(field or "", frozenset())
    if known and is_comparable(value) and not is_missing(value) and not any_matches(value, known):
        written = shown(value)
        close = nearest(written.strip("*"), known)
        hint = f"did you mean {close}?" if close else f"it is one of {', '.join(sorted(known))}."
        return Fault(UnknownValueIssue, f"{field} has no value {written!r}; {hint}")
    if exact is not None and (reason := malformed(field or "", exact)):
        return Fault(UnknownValueIssue, reason)
    kind = FIELDS[field].kind if field is not None and field in FIELDS else None
    if kind == "boolean" and exact is not None and exact.lower() not in ("true", "false"):
        return Fault(ImpossibleConditionIssue, f"{field} is true or false, never {exact!r}; write one of these.")
    if field is not None and kind is not None and (reason := wrong_comparison(field, kind, value)):
        return Fault(ParameterKindIssue, reason)
    return None


def _asks_for_success(field: str, value: SigmaType) -> bool:
    """Tell whether a value is what people expect in a field of errors where there was none."""
    exact = text(value)
    if exact is not None:
        return exact.strip().lower() in _SUCCESS
    # Messages may well speak of success.
    is_pattern = isinstance(value, SigmaString | SigmaRegularExpression)
    return field == "errorCode" and is_pattern and _OF_SUCCESS.search(shown(value)) is not None


class Beside:
    """What has to hold together in one way to meet a rule, by what each of it can contradict."""

    def __init__(self, way: Way) -> None:
        """Take all comparisons of a way."""
        self._by_field: dict[str | None, list[FieldComparison]] = {}
        for comparison in way:
            self._by_field.setdefault(comparison.field, []).append(comparison)
        self._relevant: dict[tuple[str, _Kind], list[FieldComparison]] = {}

    def contradiction(self, value: Value, comparison: FieldComparison) -> Contradiction | None:
        """Find what makes it impossible that a field has a value, among all that has to hold beside it."""
        field = comparison.field
        for other in () if field is None else self._others(field, _kind(value.value)):
            if other is comparison:
                continue
            if other.negated and any(covers(one.value, value.value) for one in other.values):
                problem = f"{_said(value.value, comparison)}, but the condition excludes just that; exclude less."
                return Contradiction(other.at, problem)
            if not other.negated and all(_exclude(value.value, one.value, field or "") for one in other.values):
                beside = _said(other.values[0].value, other)
                hint = "; to ask for either, write a list" if text(value.value) and text(other.values[0].value) else ""
                problem = f"{_said(value.value, comparison)}, and has to hold beside: {beside}{hint}."
                return Contradiction(other.at, problem)
        return None

    def _others(self, field: str, kind: "_Kind") -> list[FieldComparison]:
        """Return the comparisons of a field that can contradict a value of a kind.

        Of thousands of patterns that a value has to contain, none can exclude another, and each need not be asked.
        """
        if (field, kind) not in self._relevant:
            kinds = _CONTRADICTED[kind, _has_one_value(field)]
            self._relevant[field, kind] = [
                other
                for other in self._by_field.get(field, ())
                if other.negated or all(_kind(one.value) in kinds for one in other.values)
            ]
        return self._relevant[field, kind]


_Kind: TypeAlias = Literal["missing", "exact", "open"]
_ALL: tuple[_Kind, ...] = ("missing", "exact", "open")
# What can exclude a value of a kind, by whether the field has one value only.
_CONTRADICTED: dict[tuple[_Kind, bool], tuple[_Kind, ...]] = {
    ("missing", True): _ALL,
    ("missing", False): _ALL,
    ("exact", True): _ALL,
    ("exact", False): ("missing",),
    ("open", True): ("missing", "exact"),
    ("open", False): ("missing",),
}


def _kind(value: SigmaType) -> _Kind:
    if is_missing(value):
        return "missing"
    return "open" if text(value) is None else "exact"


def _has_one_value(field: str) -> bool:
    return field in FIELDS and not field.startswith(_LISTS)


def _exclude(one: SigmaType, other: SigmaType, field: str) -> bool:
    return (_has_one_value(field) or is_missing(one) or is_missing(other)) and excludes(one, other)


def _said(value: SigmaType, comparison: FieldComparison) -> str:
    if is_missing(value):
        return f"{comparison.field} is missing"
    if isinstance(value, SigmaExists):
        return f"{comparison.field} is there"
    plain = is_comparable(value) or isinstance(value, SigmaCIDRExpression)
    return f"{comparison.field} is {shown(value)!r}" if plain else f"{comparison.field} is as asked for"
