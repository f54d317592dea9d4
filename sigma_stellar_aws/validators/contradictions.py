"""Values that a field never has, and comparisons that exclude each other."""

from typing import NamedTuple

from sigma.types import SigmaCIDRExpression, SigmaType

from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.reference.aws_events import IDENTITY_TYPES
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.validators.condition_tree import FieldComparison, Value, Way
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import ImpossibleConditionIssue, UnknownIdentityTypeIssue
from sigma_stellar_aws.validators.sigma_values import (
    any_matches,
    covers,
    excludes,
    is_comparable,
    is_missing,
    shown,
    text,
)

_SUCCESS = {"none", "null", "ok", "success", "successful", "succeeded"}
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
    if field == "errorCode" and exact is not None and exact.lower() in _SUCCESS:
        problem = f"errorCode is never {exact!r}, for a call that worked has no errorCode; write errorCode: null."
        return Fault(ImpossibleConditionIssue, problem)
    if field == "userIdentity.type" and not is_missing(value) and not any_matches(value, IDENTITY_TYPES):
        written = shown(value)
        close = nearest(written, IDENTITY_TYPES)
        hint = f"did you mean {close}?" if close else f"it is one of {', '.join(sorted(IDENTITY_TYPES))}."
        return Fault(UnknownIdentityTypeIssue, f"userIdentity.type has no value {written!r}; {hint}")
    kind = FIELDS[field].kind if field is not None and field in FIELDS else None
    if kind == "boolean" and exact is not None and exact.lower() not in ("true", "false"):
        return Fault(ImpossibleConditionIssue, f"{field} is true or false, never {exact!r}.")
    return None


def contradiction(value: Value, comparison: FieldComparison, way: Way) -> Contradiction | None:
    """Find what makes it impossible that a field has a value, among all that has to hold beside it."""
    for other in way:
        if other is comparison or other.field != comparison.field or other.field is None:
            continue
        if other.negated and any(covers(one.value, value.value) for one in other.values):
            problem = f"{_said(value.value, comparison)}, but the condition excludes just that."
            return Contradiction(other.at, problem)
        if not other.negated and all(_exclude(value.value, one.value, other.field) for one in other.values):
            beside = _said(other.values[0].value, other)
            hint = "; to ask for either, write a list" if text(value.value) and text(other.values[0].value) else ""
            return Contradiction(other.at, f"{_said(value.value, comparison)}, and has to hold beside: {beside}{hint}.")
    return None


def _exclude(one: SigmaType, other: SigmaType, field: str) -> bool:
    has_one_value = field in FIELDS and not field.startswith(_LISTS)
    return (has_one_value or is_missing(one) or is_missing(other)) and excludes(one, other)


def _said(value: SigmaType, comparison: FieldComparison) -> str:
    if is_missing(value):
        return f"{comparison.field} is missing"
    plain = is_comparable(value) or isinstance(value, SigmaCIDRExpression)
    return f"{comparison.field} is {shown(value)!r}" if plain else f"{comparison.field} is as asked for"
