r"""Regular expressions of Sigma rules (PCRE) as Lucene regular expressions, exactly or not at all.

Lucene's syntax is anchored at both ends, ``.`` matches every character, and classes such as ``\d`` are known only to
newer versions (see "Regular expression syntax" in the Elasticsearch reference). So a pattern is parsed with Python's
own parser and written anew: open ends become ``.*``, ``.`` becomes ``[^\n]`` unless the s flag is set, ``$`` allows a
final newline, classes are spelled out in ASCII. What Lucene cannot express is refused.
"""

import itertools
import re
import sys
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

if sys.version_info >= (3, 11):
    from re import _constants as sre  # type: ignore[attr-defined]
    from re import _parser as sre_parse  # type: ignore[attr-defined]
else:
    import sre_constants as sre
    import sre_parse

MAX_LENGTH = 1000
"""Longest pattern that a server accepts by default (setting ``index.max_regex_length``), in characters."""


class UnsupportedRegexError(ValueError):
    """The regular expression has no exact equal in Lucene; the message completes "the regular expression ..."."""


class LuceneRegex(NamedTuple):
    """A pattern in Lucene's syntax (flags NONE) and whether ASCII case is to be ignored in it."""

    pattern: str
    case_insensitive: bool


Ranges: TypeAlias = "list[tuple[int, int]]"


@dataclass(frozen=True)
class _Characters:
    """One character out of ranges of code points."""

    ranges: Ranges


@dataclass(frozen=True)
class _Repeat:
    nodes: "Sequence"
    least: int
    most: int | None


@dataclass(frozen=True)
class _Group:
    alternatives: "list[Sequence]"


@dataclass(frozen=True)
class _Anchor:
    """An anchor, as what may stand between it and the end of the value that it looks at."""

    at_start: bool
    between: str


_Tree: TypeAlias = Iterable[tuple[object, Any]]
"""What Python's parser makes of a pattern: operations, each with an argument of a type of its own."""
Node: TypeAlias = _Characters | _Repeat | _Group | _Anchor
Sequence: TypeAlias = "list[Node]"

_LAST = 0x10FFFF
_LAST_OF_TWO_CASES = 0x1FFFF
# Ranges of fewer characters are looked at one by one.
_FEW = 1000
_NEWLINE: Ranges = [(10, 10)]
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
_ANCHORS: dict[object, tuple[_Anchor, _Anchor]] = {
    sre.AT_BEGINNING_STRING: (_Anchor(True, ""), _Anchor(True, "")),
    sre.AT_BEGINNING: (_Anchor(True, ""), _Anchor(True, "(.*\n)?")),
    sre.AT_END: (_Anchor(False, "\n?"), _Anchor(False, "(\n.*)?")),
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
# In a class or not: taking a hyphen between two classes for one refuses too much, never too little.
_RANGE = re.compile(r"\\?(.)-\\?(.)", re.DOTALL)
_CASE_SWITCHED_OFF = re.compile(r"\(\?[a-zA-Z]*-[a-zA-Z]*i")
_RESERVED = frozenset('.?+*|{}[]()"\\#@&<>~^$-')


def translate(
    pattern: str, *, ignore_case: bool = False, multiline: bool = False, dot_all: bool = False
) -> LuceneRegex:
    """Translate a regular expression that is searched for anywhere in a value.

    >>> translate("^Delete(Rule|Key)$", ignore_case=True)
    LuceneRegex(pattern='Delete(Rule|Key)\\n?', case_insensitive=True)

    Raises:
        UnsupportedRegexError: it uses what Lucene lacks (look-around, back-references, word boundaries, possessive or
            atomic groups, anchors in the middle), is not valid, or is too long for a server.
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
    text = _searched(list(_nodes(tree.data, flags, whole_ignores_case=whole_ignores_case)))
    if len(text) > MAX_LENGTH:
        raise UnsupportedRegexError(f"is {len(text)} characters long in Lucene's syntax; servers accept {MAX_LENGTH}")
    return LuceneRegex(text, whole_ignores_case)


def lengths(pattern: str) -> tuple[int, int | None]:
    """Return the least and the most characters of a value that a pattern in Lucene's syntax matches; None for no limit.

    >>> lengths("ab?"), lengths("a+")
    ((1, 2), (1, None))
    """
    least, most = sre_parse.parse(pattern).getwidth()
    return least, None if most >= sre.MAXREPEAT - 1 else most


def is_case_sensitive(pattern: str) -> bool:
    """Return whether some character of a pattern in Lucene's syntax is there in one of its cases only.

    >>> is_case_sensitive("Delete.*"), is_case_sensitive("[Dd][Ee][Ll].*")
    (True, False)
    """
    items = sre_parse.parse(pattern, re.DOTALL).data
    return any(map(_is_case_sensitive, _nodes(items, int(re.DOTALL), whole_ignores_case=False)))


def _is_case_sensitive(node: Node) -> bool:
    if isinstance(node, _Characters):
        return _both_cases(node.ranges) != _merged(node.ranges)
    if isinstance(node, _Repeat):
        return any(map(_is_case_sensitive, node.nodes))
    return isinstance(node, _Group) and any(_is_case_sensitive(each) for nodes in node.alternatives for each in nodes)


def can_be_lowered(pattern: str) -> bool:
    """Return whether a pattern that ignores case means the same in lower case.

    For fields whose normalizer also makes patterns lower case: ``[A-Z]`` may become ``[a-z]``, ``[Z-a]`` may not.
    """
    ends = _RANGE.findall(pattern)
    return all(first + last == (first + last).lower() or _is_upper_ascii(first + last) for first, last in ends)


def _is_upper_ascii(text: str) -> bool:
    return text.isascii() and text.isalpha() and text.isupper()


def escape(text: str) -> str:
    """Return the text as a literal part of a pattern.

    >>> escape("a.b")
    'a\\\\.b'
    """
    return "".join(f"\\{c}" if c in _RESERVED else c for c in text)


def folded(text: str) -> str:
    """Return a pattern of the text in which letters beyond ASCII stand for both their cases.

    For use with ``case_insensitive``, which covers ASCII letters only.
    """
    return "".join(escape(c) if c.isascii() else _class(_both_cases([(ord(c), ord(c))])) for c in text)


def has_case_beyond_ascii(text: str) -> bool:
    """Return whether the text has a letter of two cases that ``case_insensitive`` does not cover."""
    return any(not c.isascii() and _both_cases([(ord(c), ord(c))]) != [(ord(c), ord(c))] for c in text)


def _nodes(tree: _Tree, flags: int, *, whole_ignores_case: bool) -> Iterator[Node]:
    """Yield our own nodes of a tree of Python's parser, with all flags resolved."""

    def inner(subtree: _Tree, inner_flags: int = flags) -> Sequence:
        return list(_nodes(subtree, inner_flags, whole_ignores_case=whole_ignores_case))

    for operation, argument in tree:
        if operation in _OF_CHARACTERS:
            yield _Characters(_ranges(operation, argument, flags, whole_ignores_case))
        elif operation is sre.BRANCH:
            _, branches = argument
            yield _Group([inner(branch) for branch in branches])
        elif operation is sre.SUBPATTERN:
            _, added, removed, subtree = argument
            yield _Group([inner(subtree, (flags | added) & ~removed)])
        elif operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, subtree = argument
            yield _Repeat(inner(subtree), least, None if most == sre.MAXREPEAT else most)
        elif operation is sre.AT and argument in _ANCHORS:
            yield _ANCHORS[argument][bool(flags & re.MULTILINE)]
        else:
            what = _REFUSED_ANCHORS[argument] if operation is sre.AT else _REFUSED.get(str(operation), str(operation))
            raise UnsupportedRegexError(f"uses {what}, which Lucene does not have")


def _ranges(operation: object, argument: Any, flags: int, whole_ignores_case: bool) -> Ranges:
    """Return the characters that an operation of Python's parser stands for."""
    ignore_case = bool(flags & re.IGNORECASE)
    if operation is sre.ANY:
        return [(0, _LAST)] if flags & re.DOTALL else _complement(_NEWLINE)
    if operation is sre.IN:
        return _set(argument, ignore_case)
    written: Ranges = [(argument, argument)]
    is_negated = operation is sre.NOT_LITERAL
    covered = whole_ignores_case and argument < 128 and not is_negated
    ranges = _both_cases(written) if ignore_case and not covered else written
    return _complement(ranges) if is_negated else ranges


def _searched(nodes: Sequence) -> str:
    """Return the pattern of whole values in which the sequence is found."""
    for index, around in ((0, slice(1, None)), (-1, slice(None, -1))):
        edge = nodes[index] if nodes else None
        if isinstance(edge, _Group) and _has_anchor(edge):
            rest = nodes[around]
            joined = [alt + rest if index == 0 else rest + alt for alt in edge.alternatives]
            return "|".join(dict.fromkeys(map(_searched, joined)))
    starts = list(itertools.takewhile(lambda node: isinstance(node, _Anchor) and node.at_start, nodes))
    nodes = nodes[len(starts) :]
    ends = list(itertools.takewhile(lambda node: isinstance(node, _Anchor) and not node.at_start, reversed(nodes)))
    nodes = nodes[: len(nodes) - len(ends)]
    start, end = _strictest(starts), _strictest(ends)
    if not nodes and ".*" in (start, end):
        # Every value has a start and an end, so one anchor alone, or none at all, excludes nothing.
        return ".*"
    body = _pattern(nodes, alone=not (start or end))
    return start + body + end


def _strictest(anchors: Sequence) -> str:
    """Give what may stand between anchors and their end of the value: anything without one, else what all allow."""
    # An anchor that allows less is written shorter: "", "\n?" and "(\n.*)?".
    return min((anchor.between for anchor in anchors if isinstance(anchor, _Anchor)), key=len, default=".*")


def _has_anchor(node: Node) -> bool:
    if isinstance(node, _Group):
        return any(_has_anchor(child) for alternative in node.alternatives for child in alternative)
    if isinstance(node, _Repeat):
        return any(_has_anchor(child) for child in node.nodes)
    return isinstance(node, _Anchor)


def _pattern(nodes: Sequence, *, alone: bool = False) -> str:
    """Return a sequence in Lucene's syntax; if not alone, one that may stand beside others."""
    if len(nodes) == 1 and isinstance(group := nodes[0], _Group):
        union = "|".join(_pattern(alternative, alone=True) or "()" for alternative in group.alternatives)
        return union if alone or not _is_union(group) else f"({union})"
    return "".join(_atom(node) for node in nodes)


def _is_union(group: _Group) -> bool:
    if len(group.alternatives) != 1:
        return True
    inner = group.alternatives[0]
    return len(inner) == 1 and isinstance(inner[0], _Group) and _is_union(inner[0])


def _atom(node: Node) -> str:
    if isinstance(node, _Characters):
        return _class(node.ranges)
    if isinstance(node, _Group):
        return _pattern([node])
    if isinstance(node, _Repeat):
        single = len(node.nodes) == 1 and isinstance(node.nodes[0], _Characters)
        repeated = _pattern(node.nodes, alone=True)
        return (repeated if single else f"({repeated})") + _quantifier(node.least, node.most)
    raise UnsupportedRegexError("has an anchor (^ or $) in the middle, which Lucene does not have")


def _quantifier(least: int, most: int | None) -> str:
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    if (least, most) in short:
        return short[least, most]
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _set(items: list[tuple[object, Any]], ignore_case: bool) -> Ranges:
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
            categories += _complement(_CATEGORIES[_NEGATED_CATEGORIES[argument]])
    # Every category has both cases of its letters already.
    ranges = _merged([*(_both_cases(written) if ignore_case else written), *categories])
    return _complement(ranges) if negated else ranges


def _both_cases(ranges: Ranges) -> Ranges:
    points = (point for first, last in ranges for point in _with_cases(first, last))
    variants = {v for p in points for v in (chr(p).lower(), chr(p).upper()) if len(v) == 1}
    return _merged([*ranges, *((ord(v), ord(v)) for v in variants)])


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


def _merged(ranges: Ranges) -> Ranges:
    result: Ranges = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def _complement(ranges: Ranges) -> Ranges:
    result: Ranges = []
    start = 0
    for first, last in _merged(ranges):
        if start < first:
            result.append((start, first - 1))
        start = last + 1
    return [*result, (start, _LAST)] if start <= _LAST else result


def _class(ranges: Ranges) -> str:
    """One character of the ranges, in Lucene's syntax."""
    if not ranges:
        raise UnsupportedRegexError("has a character class that matches no character")
    if ranges == [(0, _LAST)]:
        return "."
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return escape(chr(ranges[0][0]))
    if ranges[0][0] == 0 and ranges[-1][1] == _LAST:
        return f"[^{_members(_complement(ranges))}]"
    return f"[{_members(ranges)}]"


def _members(ranges: Ranges) -> str:
    texts = []
    for first, last in ranges:
        # In OpenSearch 3 (Lucene 10) a range that starts with an escaped character is none.
        while last - first >= 2 and chr(first) in _RESERVED:
            texts.append(escape(chr(first)))
            first += 1
        points = range(first, last + 1) if last - first < 2 else (first, last)
        texts.append(("" if last - first < 2 else "-").join(escape(chr(point)) for point in points))
    return "".join(texts)
