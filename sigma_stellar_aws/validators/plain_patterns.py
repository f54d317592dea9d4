"""Regular expressions that are written as plain values, and so are looked for letter by letter."""

import re
from collections.abc import Iterable, Iterator

from sigma.types import SigmaRegularExpression, SigmaString, SigmaType

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.validators.condition_tree import FieldComparison
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import PlainPatternIssue
from sigma_stellar_aws.validators.sigma_values import shown

# What nobody writes but for a regular expression: names and texts of AWS have no such signs side by side.
_EXPRESSION = re.compile(
    r"\^\w.*|\^?\.\*.+|.*\S(\.[*+]|\\[dws][*+]?|\[[^\]]+\][*+]?)\$|.*\(\w+(\|\w+)+\).*|.*\\[dws][*+].*"
)


# An expression as other languages mark it. A path has further slashes, or none of the signs and flags below.
_DELIMITED = re.compile(r"/(?P<inner>(?:[^/\\]|\\.)+)/(?P<flags>[gimsux]*)", re.DOTALL)
_SIGNS = re.compile(r"[\^$*+?()\[\]|\\]")
_IGNORES_CASE = frozenset({"i", "gi", "ig"})


def plain_patterns(comparisons: Iterable[FieldComparison]) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield values that were meant to be regular expressions."""
    for comparison in comparisons:
        for value in comparison.values:
            if not isinstance(value.value, SigmaRegularExpression | SigmaString):
                continue
            written = shown(value.value)
            written = written.strip("*") if _is_within(comparison.at) else written
            if meant := _inside_slashes(value.value, written):
                problem = (
                    f"The slashes around {written!r} count as characters; write {comparison.field}{meant} without them."
                )
                yield Fault(PlainPatternIssue, problem), value.at
            elif _is_plain(value.value) and _EXPRESSION.fullmatch(written):
                problem = (
                    f"{shown(value.value)!r} looks like a regular expression; write {comparison.field}|re for one."
                )
                yield Fault(PlainPatternIssue, problem), value.at


def _is_plain(value: SigmaType) -> bool:
    return isinstance(value, SigmaString) and not value.contains_placeholder()


def _inside_slashes(value: SigmaType, written: str) -> str | None:
    """Return the modifiers that an expression between slashes needs instead; None for any other value."""
    found = _DELIMITED.fullmatch(written)
    if found is None:
        return None
    inner, flags = found["inner"], found["flags"]
    is_expression = isinstance(value, SigmaRegularExpression)
    # Nothing stands before a beginning or behind an end, so such an expression never matches beside slashes.
    is_meant = inner.startswith("^") or inner.endswith("$")
    is_meant |= not is_expression and (inner.startswith(".*") or inner.endswith(".*"))
    is_meant |= bool(flags) and _SIGNS.search(inner) is not None
    is_meant |= is_expression and flags in _IGNORES_CASE
    return f"|re{'|i' if 'i' in flags else ''}" if is_meant else None


def _is_within(at: YamlPath) -> bool:
    """Tell whether a modifier has put stars around the values at a place."""
    return any("|" in str(part) for part in at)
