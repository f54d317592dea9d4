r"""Regular expressions of Sigma rules (PCRE) as Lucene regular expressions, exactly or not at all.

Lucene's syntax is anchored at both ends, ``.`` matches every character, and classes such as ``\d`` are known only to
newer versions (see "Regular expression syntax" in the Elasticsearch reference). So a pattern is parsed with Python's
own parser and written anew: open ends become ``.*``, ``.`` becomes ``[^\n]`` unless the s flag is set, ``$`` allows a
final newline, classes are spelled out in ASCII. What Lucene cannot express is refused.
"""

import itertools
import re
from typing import NamedTuple

from sigma_stellar_aws.base.regex_tree import (
    LAST_CHARACTER,
    Anchor,
    Characters,
    Group,
    Node,
    Ranges,
    Repeat,
    Sequence,
    UnsupportedRegexError,
    both_cases,
    complement,
    merged_ranges,
    nodes_of_lucene,
    parse_regex,
    width,
)

MAX_LENGTH = 1000
"""Longest pattern that a server accepts by default (setting ``index.max_regex_length``), in characters."""

MOST_POSITIONS = 10_000
"""How many characters a pattern may have once its repetitions are written out; no automaton has room for more."""


class LuceneRegex(NamedTuple):
    """A pattern in Lucene's syntax (flags NONE) and whether ASCII case is to be ignored in it."""

    pattern: str
    case_insensitive: bool


# In a class or not: taking a hyphen between two classes for one refuses too much, never too little.
_RANGE = re.compile(r"\\?(.)-\\?(.)", re.DOTALL)
_RESERVED = frozenset('.?+*|{}[]()"\\#@&<>~^$-')


def translate(
    pattern: str, *, ignore_case: bool = False, multiline: bool = False, dot_all: bool = False
) -> LuceneRegex:
    """Translate a regular expression that is searched for anywhere in a value.

    >>> translate("^Delete(Rule|Key)$", ignore_case=True)
    LuceneRegex(pattern='Delete(Rule|Key)\\n?', case_insensitive=True)

    Raises:
        UnsupportedRegexError: it uses what Lucene lacks (look-around, back-references, word boundaries, possessive or
            atomic groups, anchors in the middle), is not valid, or is too long or repeats too much for a server.
    """
    parsed = parse_regex(pattern, ignore_case=ignore_case, multiline=multiline, dot_all=dot_all)
    if _positions(parsed.nodes) > MOST_POSITIONS:
        raise UnsupportedRegexError(
            f"stands for more than {MOST_POSITIONS:,} characters once its repetitions are written out; repeat less"
        )
    text = _searched(parsed.nodes)
    if len(text) > MAX_LENGTH:
        raise UnsupportedRegexError(f"is {len(text)} characters long in Lucene's syntax; servers accept {MAX_LENGTH}")
    return LuceneRegex(text, parsed.whole_ignores_case)


def lengths(pattern: str) -> tuple[int, int | None]:
    """Return the least and the most characters of a value that a pattern in Lucene's syntax matches; None for no limit.

    >>> lengths("ab?"), lengths("a+")
    ((1, 2), (1, None))
    """
    return width(pattern)


def is_case_sensitive(pattern: str) -> bool:
    """Return whether some character of a pattern in Lucene's syntax is there in one of its cases only.

    >>> is_case_sensitive("Delete.*"), is_case_sensitive("[Dd][Ee][Ll].*")
    (True, False)
    """
    return any(map(_is_case_sensitive, nodes_of_lucene(pattern)))


def _is_case_sensitive(node: Node) -> bool:
    if isinstance(node, Characters):
        return both_cases(node.ranges) != merged_ranges(node.ranges)
    if isinstance(node, Repeat):
        return any(map(_is_case_sensitive, node.nodes))
    return isinstance(node, Group) and any(_is_case_sensitive(each) for nodes in node.alternatives for each in nodes)


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
    return "".join(escape(c) if c.isascii() else _class(both_cases([(ord(c), ord(c))])) for c in text)


def has_case_beyond_ascii(text: str) -> bool:
    """Return whether the text has a letter of two cases that ``case_insensitive`` does not cover."""
    others = () if text.isascii() else {ord(c) for c in text if not c.isascii()}
    return any(both_cases([(point, point)]) != [(point, point)] for point in others)


def _searched(nodes: Sequence) -> str:
    """Return the pattern of whole values in which the sequence is found."""
    for index, around in ((0, slice(1, None)), (-1, slice(None, -1))):
        edge = nodes[index] if nodes else None
        if isinstance(edge, Group) and _has_anchor(edge):
            rest = nodes[around]
            joined = [alt + rest if index == 0 else rest + alt for alt in edge.alternatives]
            return "|".join(dict.fromkeys(map(_searched, joined)))
    starts = list(itertools.takewhile(lambda node: isinstance(node, Anchor) and node.at_start, nodes))
    nodes = nodes[len(starts) :]
    ends = list(itertools.takewhile(lambda node: isinstance(node, Anchor) and not node.at_start, reversed(nodes)))
    nodes = nodes[: len(nodes) - len(ends)]
    start, end = _strictest(starts), _strictest(ends)
    if not nodes and ".*" in (start, end):
        # Every value has a start and an end, so one anchor alone, or none at all, excludes nothing.
        return ".*"
    body = _pattern(nodes, alone=not (start or end))
    return start + body + end


def _positions(nodes: Sequence) -> int:
    """Count the characters that nodes stand for, with their repetitions written out."""
    count = 0
    for node in nodes:
        if isinstance(node, Repeat):
            count += _positions(node.nodes) * max(1, node.least, node.most or 1)
        else:
            count += sum(map(_positions, node.alternatives)) if isinstance(node, Group) else 1
    return count


def _strictest(anchors: Sequence) -> str:
    """Give what may stand between anchors and their end of the value: anything without one, else what all allow."""
    # An anchor that allows less is written shorter: "", "\n?" and "(\n.*)?".
    return min((anchor.between for anchor in anchors if isinstance(anchor, Anchor)), key=len, default=".*")


def _has_anchor(node: Node) -> bool:
    if isinstance(node, Group):
        return any(_has_anchor(child) for alternative in node.alternatives for child in alternative)
    if isinstance(node, Repeat):
        return any(_has_anchor(child) for child in node.nodes)
    return isinstance(node, Anchor)


def _pattern(nodes: Sequence, *, alone: bool = False) -> str:
    """Return a sequence in Lucene's syntax; if not alone, one that may stand beside others."""
    if len(nodes) == 1 and isinstance(group := nodes[0], Group):
        union = "|".join(_pattern(alternative, alone=True) or "()" for alternative in group.alternatives)
        return union if alone or not _is_union(group) else f"({union})"
    return "".join(_atom(node) for node in nodes)


def _is_union(group: Group) -> bool:
    if len(group.alternatives) != 1:
        return True
    inner = group.alternatives[0]
    return len(inner) == 1 and isinstance(inner[0], Group) and _is_union(inner[0])


def _atom(node: Node) -> str:
    if isinstance(node, Characters):
        return _class(node.ranges)
    if isinstance(node, Group):
        return _pattern([node])
    if isinstance(node, Repeat):
        single = len(node.nodes) == 1 and isinstance(node.nodes[0], Characters)
        repeated = _pattern(node.nodes, alone=True)
        return (repeated if single else f"({repeated})") + _quantifier(node.least, node.most)
    raise UnsupportedRegexError("has an anchor (^ or $) in the middle, which Lucene does not have")


def _quantifier(least: int, most: int | None) -> str:
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    if (least, most) in short:
        return short[least, most]
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _class(ranges: Ranges) -> str:
    """Write a class for one character of the ranges, in Lucene's syntax."""
    if not ranges:
        raise UnsupportedRegexError("has a character class that matches no character")
    if ranges == [(0, LAST_CHARACTER)]:
        return "."
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return escape(chr(ranges[0][0]))
    if ranges[0][0] == 0 and ranges[-1][1] == LAST_CHARACTER:
        return f"[^{_members(complement(ranges))}]"
    return f"[{_members(ranges)}]"


def _members(ranges: Ranges) -> str:
    texts = []
    for first, last in ranges:
        # In OpenSearch 3 (Lucene 10) a range that starts with an escaped character is not read as a range.
        while last - first >= 2 and chr(first) in _RESERVED:
            texts.append(escape(chr(first)))
            first += 1
        points = range(first, last + 1) if last - first < 2 else (first, last)
        texts.append(("" if last - first < 2 else "-").join(escape(chr(point)) for point in points))
    return "".join(texts)
