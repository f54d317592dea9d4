"""Regular expressions of Sigma rules (PCRE), parsed by Python into the few nodes that Lucene can express.

What Lucene does not have, such as look-around, is refused here, with the reason.
"""

import re
import sys
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

if sys.version_info >= (3, 11):
    from re import _constants as sre  # type: ignore[attr-defined]
    from re import _parser as sre_parse  # type: ignore[attr-defined]
else:
    import sre_constants as sre
    import sre_parse


class UnsupportedRegexError(ValueError):
    """The regular expression has no exact equal in Lucene; the message completes "the regular expression ..."."""


Ranges: TypeAlias = "list[tuple[int, int]]"
_Cases: TypeAlias = Callable[[Ranges], Ranges]
"""Adds to ranges of characters the other cases of their letters."""


@dataclass(frozen=True)
class Characters:
    """One character out of ranges of code points."""

    ranges: Ranges


@dataclass(frozen=True)
class Repeat:
    """A sequence, several times."""

    nodes: "Sequence"
    least: int
    most: int | None


@dataclass(frozen=True)
class Group:
    """Sequences of which one matches."""

    alternatives: "list[Sequence]"


@dataclass(frozen=True)
class Anchor:
    """An anchor, as what may stand between it and the end of the value that it looks at."""

    at_start: bool
    between: str


_Tree: TypeAlias = Iterable[tuple[object, Any]]
"""What Python's parser makes of a pattern: operations, each with an argument of a type of its own."""
Node: TypeAlias = Characters | Repeat | Group | Anchor
Sequence: TypeAlias = "list[Node]"

LAST_CHARACTER = 0x10FFFF
"""The highest code point."""

_LAST_OF_TWO_CASES = 0x1FFFF
# Ranges of fewer characters are looked at one by one.
_FEW = 1000
_NEWLINE: Ranges = [(10, 10)]
_UPPER, _LOWER = (65, 90), (97, 122)
_CATEGORIES: dict[object, Ranges] = {
    sre.CATEGORY_DIGIT: [(48, 57)],
    sre.CATEGORY_WORD: [(48, 57), (65, 90), (95, 95), (97, 122)],
    sre.CATEGORY_SPACE: [(9, 13), (32, 32)],
}
_OF_CHARACTERS = (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)
_NEGATED_CATEGORIES: dict[object, object] = {
    sre.CATEGORY_NOT_DIGIT: sre.CATEGORY_DIGIT,
    sre.CATEGORY_NOT_WORD: sre.CATEGORY_WORD,
    sre.CATEGORY_NOT_SPACE: sre.CATEGORY_SPACE,
}
# The second value is for the m flag. A $ without it also looks at a newline that ends the value.
_ANCHORS: dict[object, tuple[Anchor, Anchor]] = {
    sre.AT_BEGINNING_STRING: (Anchor(True, ""), Anchor(True, "")),
    sre.AT_BEGINNING: (Anchor(True, ""), Anchor(True, "(.*\n)?")),
    sre.AT_END: (Anchor(False, "\n?"), Anchor(False, "(\n.*)?")),
}
_REFUSED_ANCHORS: dict[object, str] = {
    sre.AT_BOUNDARY: "a word boundary (\\b)",
    sre.AT_NON_BOUNDARY: "a word boundary (\\B)",
    sre.AT_END_STRING: "\\Z (write $)",
}
_REFUSED: dict[str, str] = {
    "ASSERT": "look-ahead or look-behind",
    "ASSERT_NOT": "negative look-ahead or look-behind",
    "ATOMIC_GROUP": "an atomic group",
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a conditional group",
    "POSSESSIVE_REPEAT": "a possessive quantifier",
}
_POSIX_CLASS = re.compile(r"\[[:.=]\^?\w+[:.=]\]")
_CASE_SWITCHED_OFF = re.compile(r"\(\?[a-zA-Z]*-[a-zA-Z]*i")


class ParsedRegex(NamedTuple):
    """A regular expression as nodes, with all its flags resolved."""

    nodes: Sequence
    whole_ignores_case: bool
    """Whether ASCII case is to be ignored in all of it, and letters are as written."""


def parse_regex(
    pattern: str, *, ignore_case: bool = False, multiline: bool = False, dot_all: bool = False
) -> ParsedRegex:
    """Parse a regular expression.

    Raises:
        UnsupportedRegexError: it uses what Lucene lacks (look-around, back-references, word boundaries, possessive or
            atomic groups), or is not valid.
    """
    if _POSIX_CLASS.search(pattern):
        raise UnsupportedRegexError("uses a POSIX class such as [:alpha:]; spell the characters out")
    flags = (re.IGNORECASE if ignore_case else 0) | (re.MULTILINE if multiline else 0) | (re.DOTALL if dot_all else 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = sre_parse.parse(pattern, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnsupportedRegexError(f"is not valid: {error}") from None
    flags = tree.state.flags
    # The server's option is for the whole pattern, so a part that regards case needs all others spelled out.
    whole_ignores_case = bool(flags & re.IGNORECASE) and not _CASE_SWITCHED_OFF.search(pattern)
    return ParsedRegex(
        list(_nodes(tree.data, flags, whole_ignores_case=whole_ignores_case, cases=both_cases)), whole_ignores_case
    )


def nodes_of_lucene(pattern: str, *, ignore_ascii_case: bool = False) -> Sequence:
    """Return the nodes of a pattern in Lucene's syntax, as :mod:`sigma_stellar_aws.query.lucene_regex` writes it."""
    flags = int(re.DOTALL | (re.IGNORECASE if ignore_ascii_case else 0))
    tree = sre_parse.parse(pattern, re.DOTALL).data
    return list(_nodes(tree, flags, whole_ignores_case=False, cases=_both_ascii_cases))


def width(pattern: str) -> tuple[int, int | None]:
    """Return the least and the most characters of a value that a whole pattern matches; None for no limit."""
    least, most = sre_parse.parse(pattern).getwidth()
    return least, None if most >= sre.MAXREPEAT - 1 else most


def _nodes(tree: _Tree, flags: int, *, whole_ignores_case: bool, cases: _Cases) -> Iterator[Node]:
    """Yield our own nodes of a tree of Python's parser, with all flags resolved."""

    def inner(subtree: _Tree, inner_flags: int = flags) -> Sequence:
        return list(_nodes(subtree, inner_flags, whole_ignores_case=whole_ignores_case, cases=cases))

    for operation, argument in tree:
        if operation in _OF_CHARACTERS:
            yield Characters(_ranges(operation, argument, flags, whole_ignores_case, cases))
        elif operation is sre.BRANCH:
            _, branches = argument
            yield Group([inner(branch) for branch in branches])
        elif operation is sre.SUBPATTERN:
            _, added, removed, subtree = argument
            yield Group([inner(subtree, (flags | added) & ~removed)])
        elif operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, subtree = argument
            yield Repeat(inner(subtree), least, None if most == sre.MAXREPEAT else most)
        elif operation is sre.AT and argument in _ANCHORS:
            yield _ANCHORS[argument][bool(flags & re.MULTILINE)]
        else:
            what = _REFUSED_ANCHORS[argument] if operation is sre.AT else _REFUSED.get(str(operation), str(operation))
            raise UnsupportedRegexError(f"uses {what}, which Lucene does not have")


def _ranges(operation: object, argument: Any, flags: int, whole_ignores_case: bool, cases: _Cases) -> Ranges:
    """Return the characters that an operation of Python's parser stands for."""
    ignore_case = bool(flags & re.IGNORECASE)
    if operation is sre.ANY:
        return [(0, LAST_CHARACTER)] if flags & re.DOTALL else complement(_NEWLINE)
    if operation is sre.IN:
        return _set(argument, cases if ignore_case else merged_ranges)
    written: Ranges = [(argument, argument)]
    is_negated = operation is sre.NOT_LITERAL
    covered = whole_ignores_case and argument < 128 and not is_negated
    ranges = cases(written) if ignore_case and not covered else written
    return complement(ranges) if is_negated else ranges


def _set(items: list[tuple[object, Any]], cases: _Cases) -> Ranges:
    negated = items[0][0] is sre.NEGATE
    written: Ranges = []
    categories: Ranges = []
    for operation, argument in items[negated:]:
        if operation is sre.LITERAL:
            written.append((argument, argument))
        elif operation is sre.RANGE:
            written.append(argument)
        elif argument in _CATEGORIES:
            categories += _CATEGORIES[argument]
        else:
            categories += complement(_CATEGORIES[_NEGATED_CATEGORIES[argument]])
    # Every category has both cases of its letters already.
    ranges = merged_ranges([*cases(written), *categories])
    return complement(ranges) if negated else ranges


def both_cases(ranges: Ranges) -> Ranges:
    """Return ranges of characters with the other case of each letter.

    >>> both_cases([(97, 97)])
    [(65, 65), (97, 97)]
    """
    points = (point for first, last in ranges for point in _with_cases(first, last))
    variants = {v for p in points for v in (chr(p).lower(), chr(p).upper()) if len(v) == 1}
    return merged_ranges([*ranges, *((ord(v), ord(v)) for v in variants)])


def _both_ascii_cases(ranges: Ranges) -> Ranges:
    others: Ranges = []
    for first, last in ranges:
        for letters, other in ((_UPPER, 32), (_LOWER, -32)):
            if (start := max(first, letters[0])) <= (end := min(last, letters[1])):
                others.append((start + other, end + other))
    return merged_ranges([*ranges, *others])


def _with_cases(first: int, last: int) -> Iterable[int]:
    """Return at least those characters of a range that have another case."""
    if last - first < _FEW:
        return range(first, min(last, _LAST_OF_TWO_CASES) + 1)
    points = _all_with_cases()
    return points[bisect_left(points, first) : bisect_right(points, last)]


@cache
def _all_with_cases() -> list[int]:
    # Of a thousandth of all characters: `.` and negated classes would take most of a second each without this list.
    return [
        point for point in range(_LAST_OF_TWO_CASES + 1) if {chr(point).lower(), chr(point).upper()} != {chr(point)}
    ]


def merged_ranges(ranges: Ranges) -> Ranges:
    """Return the same characters in as few ranges as possible, sorted.

    >>> merged_ranges([(98, 99), (97, 97)])
    [(97, 99)]
    """
    result: Ranges = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def complement(ranges: Ranges) -> Ranges:
    """Return all other characters.

    >>> complement([(0, 31), (33, 0x10FFFF)])
    [(32, 32)]
    """
    result: Ranges = []
    start = 0
    for first, last in merged_ranges(ranges):
        if start < first:
            result.append((start, first - 1))
        start = last + 1
    return [*result, (start, LAST_CHARACTER)] if start <= LAST_CHARACTER else result
