"""What is being written at a place of a rule: where in the rule, and the word."""

import re
from typing import NamedTuple

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.editor.outline import (
    DEEPEST,
    Entry,
    Line,
    document_at,
    new_path,
    read_line,
    read_outline,
    unquoted,
)
from sigma_stellar_aws.editor.text_positions import Place, line_end, line_of_offset, line_starts

_WORD = re.compile(r"[^\s'\"\[\](){},|:#]")
_COMMENT = re.compile(r"(?:^|\s)#")


class Cursor(NamedTuple):
    """What is being written at an offset."""

    document: int
    """Number of the YAML document, from 0."""
    path: YamlPath
    """Of the value that is being written, or of the map that gets a key."""
    is_key: bool
    """Whether a key may stand here; of an element of a list it is not known whether it becomes a map."""
    is_value: bool
    before: str
    """All of the key or value that stands before the cursor, such as ``eventName|star``, without its quote."""
    word: Place
    """The word at the cursor, without quotes, up to its end."""
    ends_line: bool
    """Whether nothing stands behind the word."""


def cursor_at(text: str, offset: int) -> Cursor | None:
    """Return what is being written at an offset; None within a comment or a text of several lines."""
    number = line_of_offset(text, offset)
    start, end = line_starts(text)[number], line_end(text, number)
    outline = read_outline(text)
    before = [entry for entry in outline if entry.line < number]
    line = read_line(text, start, end)
    if _is_comment(text, start, offset, line) or _in_block(text, before, number):
        return None
    document = document_at(text, number)
    around = _path_of_line(before, document, line, start, offset)
    if line.key is not None and offset >= line.value_start:
        return _in_value(text, offset, document, (*around, line.key), line.value_start, end)
    if text[line.start : line.start + 1] in ("[", "{") and offset > line.start:
        return _in_value(text, offset, document, around, line.start, end)
    is_item = bool(line.dashes) and offset > line.dashes[-1]
    first = min(line.start, offset)
    written = text[first:offset]
    return Cursor(
        document,
        around,
        True,
        is_item,
        written.lstrip("'\""),
        _word(text, offset, first, end),
        not text[_word(text, offset, first, end).end : end].strip("'\" \t"),
    )


def _path_of_line(before: list[Entry], document: int, line: Line, start: int, offset: int) -> YamlPath:
    known = before
    for dash in line.dashes:
        if offset <= dash:
            break
        path = new_path(known, document, dash - start, is_item=True)
        known = [Entry(document, path, 0, dash - start, None, dash, "", dash)]
    if known is not before and (line.key is None or offset <= line.start):
        return known[0].path
    column = min(line.start, offset) - start if not line.dashes else line.start - start
    return new_path(known, document, column, is_item=False)


def _is_comment(text: str, start: int, offset: int, line: Line) -> bool:
    # A # within quotes begins no comment; a value as it is read ends before its comment.
    from_value = line.value_start + len(line.value) if offset > line.value_start else start
    return _COMMENT.search(text, min(from_value, offset), offset) is not None


def _in_block(text: str, before: list[Entry], number: int) -> bool:
    """Tell whether a line is within a text of several lines, which begins with | or >."""
    if not before or not re.fullmatch(r"[|>][-+0-9]*", before[-1].value):
        return False
    starts = line_starts(text)
    first = text[starts[before[-1].line] : line_end(text, before[-1].line)]
    own = text[starts[number] : line_end(text, number)]
    return not own.strip() or len(own) - len(own.lstrip()) > len(first) - len(first.lstrip())


def _in_value(text: str, offset: int, document: int, path: YamlPath, start: int, end: int) -> Cursor | None:
    """Return what is written in a value, which may be a list or a map on one line."""
    at = start
    is_key = False
    opened: list[str] = []
    quote = ""
    for current in range(start, offset):
        character = text[current]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and not text[at:current].strip():
            quote = character
        elif character in "[{" and not text[at:current].strip():
            opened.append(character)
            path = (*path, 0) if character == "[" else path
            at, is_key = current + 1, character == "{"
            if len(opened) > DEEPEST:
                return None
        elif character in "]}" and opened:
            closed = opened.pop()
            path = path[:-1] if closed == "[" or not is_key else path
            at, is_key = current + 1, False
        elif character == "," and opened:
            path = _next_element(path) if opened[-1] == "[" else path if is_key else path[:-1]
            at, is_key = current + 1, opened[-1] == "{"
        elif (
            character == ":" and is_key and (text[current + 1 : current + 2] in (" ", "") or text[current - 1] in "'\"")
        ):
            path = (*path, unquoted(text[at:current].strip()))
            at, is_key = current + 1, False
    at += len(text[at:offset]) - len(text[at:offset].lstrip())
    word = _word(text, offset, at, end)
    return Cursor(
        document,
        path,
        is_key,
        not is_key,
        text[at:offset].lstrip("'\""),
        word,
        not text[word.end : end].strip("'\" \t"),
    )


def _next_element(path: YamlPath) -> YamlPath:
    return (*path[:-1], int(path[-1]) + 1)


def _word(text: str, offset: int, first: int, end: int) -> Place:
    start = offset
    while start > first and _WORD.match(text, start - 1):
        start -= 1
    stop = offset
    while stop < end and _WORD.match(text, stop):
        stop += 1
    return Place(start, stop)
