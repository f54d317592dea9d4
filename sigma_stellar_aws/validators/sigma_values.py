"""What values of Sigma rules match, as far as that can be told without an event."""

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from sigma.types import (
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaType,
    SpecialChars,
)

Matcher: TypeAlias = Callable[[str], object]
"""Tests whether a string matches."""

# Two "any text" in one expression, and none of a group, keep the time that a match takes short.
_SLOW = re.compile(r"\)[*+]|\{|(?:[*+].*){3}", re.DOTALL)

# Of the last name of a field that may hold a network address. Keys and values of free maps may be anything.
_ADDRESS = re.compile(r"ip|cidr|addr|host|net|range|source|dest|dns|endpoint|target|prefix|value|key|location", re.I)


def text(value: SigmaType) -> str | None:
    """Return the one string that a value stands for; None if it has wildcards or is not a string, number or boolean."""
    if isinstance(value, SigmaString):
        return "".join(map(str, value.s)) if all(isinstance(part, str) for part in value.s) else None
    if isinstance(value, SigmaBool):
        return str(value).lower()
    return str(value) if type(value) is SigmaNumber else None


def case_matters(value: SigmaType) -> bool:
    """Return whether a string in another case does not match."""
    if isinstance(value, SigmaRegularExpression):
        return SigmaRegularExpressionFlag.IGNORECASE not in value.flags and "(?i" not in str(value.regexp)
    return isinstance(value, SigmaCasedString)


def is_missing(value: SigmaType) -> bool:
    """Return whether a value says that the field is missing."""
    return isinstance(value, SigmaNull) or (isinstance(value, SigmaExists) and not value.exists)


def shown(value: SigmaType) -> str:
    """Return a value as a rule writes it, wildcards included."""
    if isinstance(value, SigmaString):
        return value.convert(escape_char="") if not value.contains_placeholder() else str(value)
    return str(value.regexp) if isinstance(value, SigmaRegularExpression) else str(value)


def matcher(value: SigmaType, *, ignore_case: bool = False) -> Matcher | None:
    """Return a test whether a string matches a value; None where there is no such test, or it could take long.

    Args:
        value: of a rule.
        ignore_case: ignore case even if the value regards it.
    """
    flags = re.IGNORECASE if ignore_case or not case_matters(value) else 0
    if isinstance(value, SigmaRegularExpression):
        pattern = str(value.regexp)
        return None if _SLOW.search(pattern) else re.compile(pattern, flags).search
    if isinstance(value, SigmaString) and text(value) is None:
        if sum(part is SpecialChars.WILDCARD_MULTI for part in value.s) > 3 or value.contains_placeholder():
            return None
        return re.compile("".join(map(_part, value.s)), flags | re.DOTALL).fullmatch
    exact = text(value)
    if exact is None:
        return None
    return (lambda other: other.lower() == exact.lower()) if flags else exact.__eq__


def wrong_comparison(field: str, kind: str, value: SigmaType) -> str | None:
    """Return why a field of a kind cannot be compared in this way, as a sentence; None if it can.

    Args:
        field: its name.
        kind: what it holds: a "text", or a "boolean"; of any other kind nothing is known to be wrong.
        value: with what its modifiers have made of it.
    """
    if isinstance(value, SigmaCompareExpression) and kind in ("text", "boolean"):
        what = "a text" if kind == "text" else "true or false"
        return f"{field} holds {what}, which is neither less nor greater than a number."
    if kind == "boolean" and (is_pattern(value) or isinstance(value, SigmaCIDRExpression)):
        return f"{field} is true or false, and no text to look into; write {field}: true, or false."
    if kind == "text" and isinstance(value, SigmaCIDRExpression) and not _ADDRESS.search(field.rpartition(".")[2]):
        return f"{field} holds no network address, by its name; |cidr is for those, such as sourceIPAddress."
    return None


def is_pattern(value: SigmaType) -> bool:
    """Return whether a value asks for a part of a text: an expression, or wildcards beside other characters."""
    if isinstance(value, SigmaRegularExpression):
        return True
    return isinstance(value, SigmaString) and text(value) is None and any(isinstance(part, str) for part in value.s)


def any_matches(value: SigmaType, texts: Iterable[str]) -> bool:
    """Return whether a value matches one of the strings, or may do so."""
    matches = matcher(value)
    return matches is None or any(map(matches, texts))


def excludes(one: SigmaType, other: SigmaType) -> bool:
    """Return whether no single string can match both values."""
    if is_missing(one) or is_missing(other):
        return is_missing(one) != is_missing(other) and _tells_of_field(one) and _tells_of_field(other)
    exact, pattern = (one, other) if text(one) is not None else (other, one)
    known = text(exact)
    if known is None:
        return False
    # Letters of an exact value that ignores case may stand for others.
    matches = matcher(pattern, ignore_case=not case_matters(exact))
    return matches is not None and not matches(known)


def covers(one: SigmaType, other: SigmaType) -> bool:
    """Return whether whatever matches the other value, which is an exact one or the same, matches this one."""
    if _same(one, other):
        return True
    if is_missing(one) or is_missing(other):
        return is_missing(one) and is_missing(other)
    known = text(other)
    matches = matcher(one) if not case_matters(one) or case_matters(other) else None
    return known is not None and matches is not None and bool(matches(known))


def _same(one: SigmaType, other: SigmaType) -> bool:
    # Some of pySigma's own comparisons raise errors, or regard only a part of what a value is.
    if isinstance(one, SigmaString) and isinstance(other, SigmaString):
        return case_matters(one) == case_matters(other) and one.s == other.s
    if isinstance(one, SigmaRegularExpression) and isinstance(other, SigmaRegularExpression):
        return str(one.regexp) == str(other.regexp) and one.flags == other.flags
    return one is other


def is_comparable(value: SigmaType) -> bool:
    """Return whether a value is compared with what is in the field itself."""
    return is_missing(value) or isinstance(value, SigmaString | SigmaBool | SigmaNumber | SigmaRegularExpression)


def _tells_of_field(value: SigmaType) -> bool:
    return is_comparable(value) or isinstance(value, SigmaExists)


def _part(part: str | SpecialChars | Placeholder) -> str:
    wildcards = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
    return re.escape(part) if isinstance(part, str) else wildcards[part]  # type: ignore[index]
