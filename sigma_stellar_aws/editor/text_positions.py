"""Positions in a text: as YAML counts them, as the Language Server Protocol does, and as offsets of characters."""

import re
from bisect import bisect_right
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from sigma_stellar_aws.base.yaml_positions import Span

Encoding: TypeAlias = Literal["utf-8", "utf-16", "utf-32"]
"""In which units a client counts the characters of a line; UTF-16 unless it agrees to another."""

# PositionEncodingKind and "Text Documents" in the protocol's specification, 3.17: three line ends, and no others.
_PROTOCOL_BREAK = re.compile("\r\n|\n|\r")
# As libyaml counts lines (YAML 1.1).
_YAML_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class Place(NamedTuple):
    """A part of a text, by the offsets of its first character and of the one after it."""

    start: int
    end: int


@lru_cache(maxsize=16)
def line_starts(text: str) -> tuple[int, ...]:
    """Return the offsets at which the lines of a text begin, as the protocol counts lines."""
    return (0, *(found.end() for found in _PROTOCOL_BREAK.finditer(text)))


@lru_cache(maxsize=16)
def _yaml_starts(text: str) -> tuple[int, ...]:
    return (0, *(found.end() for found in _YAML_BREAK.finditer(text)))


def line_end(text: str, line: int) -> int:
    """Return the offset at which a line ends, its line break left out."""
    starts = line_starts(text)
    end = starts[line + 1] if line + 1 < len(starts) else len(text)
    return starts[line] + len(text[starts[line] : end].rstrip("\r\n"))


def offset_of(text: str, line: int, character: int, encoding: Encoding = "utf-16") -> int:
    """Return the offset of a position of the protocol; one beyond a line's end is its end, as the protocol says.

    >>> offset_of("a: \U0001f600b", 0, 5)
    4
    """
    starts = line_starts(text)
    if line >= len(starts):
        return len(text)
    start, end = starts[line], line_end(text, line)
    taken = 0
    for offset in range(start, end):
        if taken >= character:
            return offset
        taken += _units(text[offset], encoding)
    return end


def position_of(text: str, offset: int, encoding: Encoding = "utf-16") -> tuple[int, int]:
    """Return the line and the character, as the protocol counts them, of an offset.

    >>> position_of("a: \U0001f600b", 4)
    (0, 5)
    """
    line = line_of_offset(text, offset)
    return line, sum(_units(character, encoding) for character in text[line_starts(text)[line] : offset])


def line_of_offset(text: str, offset: int) -> int:
    """Return the number of the line, from 0, that an offset is in."""
    return bisect_right(line_starts(text), offset) - 1


def place_of_span(text: str, span: Span) -> Place:
    """Return the part of a text that a finding marks, at least one character where there is one."""
    starts = _yaml_starts(text)
    start = starts[min(span.line, len(starts)) - 1]
    end = starts[span.line] if span.line < len(starts) else len(text)
    end = start + len(_YAML_BREAK.sub("", text[start:end]))
    first = min(start + span.column - 1, end)
    return Place(first, min(max(start + span.end_column - 1, first), end))


def _units(character: str, encoding: Encoding) -> int:
    if encoding == "utf-32" or character < "\x80":
        return 1
    if encoding == "utf-16":
        return 2 if character > "\uffff" else 1
    return len(character.encode(errors="replace")) if character < "\ud800" or character > "\udfff" else 3
