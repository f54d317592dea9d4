"""Find what pySigma would misread or refuse in the words of a condition."""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from sigma_stellar_aws.base.text import nearest

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PATTERN = re.compile(r"[A-Za-z0-9_*]+")
_OPERATORS = ("not", "and", "or")
_QUANTIFIERS = ("1", "any", "all")


# Many rules have the same condition on selections of the same names.
@lru_cache(maxsize=256)
def condition_faults(condition: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what pySigma would misread or refuse in a condition, each with the cure.

    Args:
        condition: the condition.
        names: the selections that it may name.

    >>> condition_faults("selection and notmfa", ("selection", "notmfa"))
    ("pySigma reads 'notmfa' as 'not mfa'; rename the selection",)
    """
    # pySigma explains what has become of aggregations.
    return () if "|" in condition else tuple(_faults(condition, dict.fromkeys(names)))


def _faults(condition: str, names: Collection[str]) -> Iterator[str]:
    tokens = re.findall(r"[()]|[^\s()]+", condition)
    at = 0
    # Of each open parenthesis, whether it is negated.
    negated: list[bool] = []
    while at < len(tokens):
        token, before = tokens[at], tokens[max(at - 2, 0) : at]
        if token == "(":
            negated.append(before[-1:] == ["not"])
        elif token == ")" and negated:
            negated.pop()
        if at + 2 < len(tokens) and tokens[at + 1].lower() == "of":
            # A negation that changes nothing is all of a condition, or one of the parts that have to hold.
            holds = before in (["not"], ["and", "not"], ["(", "not"]) and tokens[at + 3 : at + 4] != ["or"]
            is_idle = holds and not any(negated)
            yield from _selector_faults(token, tokens[at + 1], tokens[at + 2], is_idle, names)
            at += 3
        else:
            yield from _word_faults(token, names)
            at += 1


def _selector_faults(quantifier: str, of: str, pattern: str, is_idle: bool, names: Collection[str]) -> Iterator[str]:
    written = f"{quantifier} {of} {pattern}"
    if quantifier not in _QUANTIFIERS or of != "of":
        yield f"Sigma knows '1 of', 'any of' and 'all of', in small letters, not '{quantifier} {of}'"
        return
    if pattern == "(":
        yield f"write '{quantifier} of PATTERN' without parentheses"
        return
    if not _PATTERN.fullmatch(pattern):
        yield f"the pattern {pattern!r} may hold letters, digits, _ and * only; rename the selections"
        return
    expression = re.compile(".*" if pattern == "them" else re.escape(pattern).replace(r"\*", ".*"))
    if any(expression.fullmatch(name) for name in names if pattern.startswith("_") or not name.startswith("_")):
        return
    if close := [name for name in names if re.fullmatch(expression.pattern, name, re.IGNORECASE)]:
        yield f"{written!r} selects nothing, since case counts in names; did you mean {close[0]!r}?"
        return
    # Nothing excluded is what such a negation means where a rule has no filters.
    if is_idle and quantifier != "all":
        return
    yield f"{written!r} selects nothing, since no selection is named so; Sigma would drop it; remove it, or rename"


def _word_faults(token: str, names: Collection[str]) -> Iterator[str]:
    if token in ("(", ")", *_OPERATORS):
        return
    if token.lower() in _OPERATORS:
        yield f"write {token.lower()!r} in small letters, not {token!r}"
    elif not _NAME.fullmatch(token):
        yield f"the name {token!r} may hold letters, digits, _ and - only; rename the selection"
    elif token.startswith("not"):
        meant = f"'not {token[3:].lstrip('-_') or token[3:]}'"
        if token in names:
            yield f"pySigma reads {token!r} as 'not {token[3:]}'; rename the selection"
        else:
            yield f"there is no selection {token!r}; for a negation write {meant}"
    elif token not in names:
        close = nearest(token, names)
        hint = f"; did you mean {close!r}?" if close else ""
        yield f"there is no selection {token!r}{hint}"
