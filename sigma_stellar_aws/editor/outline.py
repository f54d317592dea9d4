"""The keys and values of YAML that is being written, by its indentation: no parser reads it before it is whole."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.editor.text_positions import line_end, line_starts

_LEAD = re.compile(r"[ \t]*")
_DASH = re.compile(r"-(?:[ \t]+|$)")
_KEY = re.compile(
    r"""(?P<key>'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^\s'"\[\]{}#,&*!>%@`](?:[^\s:#]|:(?=\S)|[ \t]+(?=[^\s:#])|(?<=\S)\#)*)
        [ \t]*:(?=\s|$)[ \t]*""",
    re.VERBOSE,
)
_SCALAR = re.compile(r"""'(?:[^']|'')*'?|"(?:[^"\\]|\\.)*"?|(?:[^\s#]|(?<=\S)\#|[ \t]+(?=[^\s#]))*""")
_BLOCK = re.compile(r"[|>][-+0-9]*$")

DEEPEST = 50
"""How deeply maps and lists on one line are looked into; no rule needs more than a few."""


class Entry(NamedTuple):
    """A key with what stands beside it on its line, or an element of a list."""

    document: int
    """Number of the YAML document, from 0."""
    path: YamlPath
    line: int
    """From 0."""
    indent: int
    """Column of the key, or of the dash of an element."""
    key: str | None
    """None for an element of a list."""
    key_start: int
    """Offset of the key, or of the dash."""
    value: str
    """The value on the same line as it is written, with quotes but without a comment; may be empty."""
    value_start: int
    """Its offset."""


class Line(NamedTuple):
    """The parts of a line."""

    dashes: tuple[int, ...]
    """Offsets of the dashes that begin elements of lists."""
    start: int
    """Offset of what follows them."""
    key: str | None
    value: str
    value_start: int


def read_line(text: str, start: int, end: int) -> Line:
    """Take a line apart.

    >>> read_line("  - a|all: 'x' # why", 0, 20)
    Line(dashes=(2,), start=4, key='a|all', value="'x'", value_start=11)
    """
    lead = _LEAD.match(text, start, end)
    at = lead.end() if lead else start
    dashes: list[int] = []
    while len(dashes) < DEEPEST and (dash := _DASH.match(text, at, end)):
        dashes.append(at)
        at = dash.end()
    named = _KEY.match(text, at, end)
    value_start = named.end() if named else at
    value = _SCALAR.match(text, value_start, end)
    # Flow collections end where their line does: nothing that is asked of them goes further.
    shown = text[value_start:end].rstrip() if text[value_start:end][:1] in ("[", "{") else value[0] if value else ""
    return Line(tuple(dashes), at, unquoted(named["key"]) if named else None, shown.rstrip(), value_start)


@lru_cache(maxsize=16)
def read_outline(text: str) -> tuple[Entry, ...]:
    """Return the keys and elements of a text in their order, without those in maps and lists on one line."""
    entries: list[Entry] = []
    document = 0
    has_content = False
    block: int | None = None
    for number, start in enumerate(line_starts(text)):
        end = line_end(text, number)
        body = text[start:end]
        if body[:3] in ("---", "...") and body[3:4] in ("", " ", "\t"):
            document += has_content
            has_content, block = False, None
            continue
        lead = len(body) - len(body.lstrip(" \t"))
        if not body.strip() or (block is not None and lead > block) or body.lstrip().startswith("#"):
            continue
        has_content = True
        line = read_line(text, start, end)
        entries += _entries_of_line(line, document, number, start, entries)
        block = lead if _BLOCK.match(line.value) else None
    return tuple(entries)


def document_at(text: str, line: int) -> int:
    """Return the number of the document that a line is in, or would be in if it held something."""
    entries = [entry for entry in read_outline(text) if entry.line <= line]
    last = entries[-1] if entries else None
    starts = line_starts(text)
    between = range(last.line + 1 if last else 0, line)
    separated = last is not None and any(text.startswith("---", starts[number]) for number in between)
    return (last.document if last else 0) + separated


def new_path(entries: Sequence[Entry], document: int, column: int, *, is_item: bool) -> YamlPath:
    """Return what a key that is added at a column belongs to, or where an element whose dash is there stands.

    Args:
        entries: all that stands before it.
        document: the number of the document.
        column: of the key or of the dash.
        is_item: whether it is an element of a list.
    """
    for entry in reversed(entries):
        if entry.document != document:
            break
        if entry.indent == column and is_item and entry.key is None:
            return (*entry.path[:-1], int(entry.path[-1]) + 1)
        if entry.indent == column and not is_item and entry.key is not None:
            return entry.path[:-1]
        # The elements of a list may be no deeper than its key.
        if entry.indent < column or (is_item and entry.indent == column):
            return (*entry.path, 0) if is_item else entry.path
    return (0,) if is_item else ()


def unquoted(text: str) -> str:
    """Return the text that a plain or quoted scalar stands for, as far as it is written."""
    if text[:1] == "'":
        return text[1:].removesuffix("'").replace("''", "'")
    if text[:1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:].removesuffix('"'))
    return text


def _entries_of_line(line: Line, document: int, number: int, start: int, before: Sequence[Entry]) -> Iterator[Entry]:
    known = before
    for dash in line.dashes:
        is_last = dash == line.dashes[-1] and line.key is None
        path = new_path(known, document, dash - start, is_item=True)
        value, at = (line.value, line.value_start) if is_last else ("", line.start)
        known = [Entry(document, path, number, dash - start, None, dash, value, at)]
        yield known[0]
    if line.key is not None:
        column = line.start - start
        path = (*new_path(known, document, column, is_item=False), line.key)
        yield Entry(document, path, number, column, line.key, line.start, line.value, line.value_start)
