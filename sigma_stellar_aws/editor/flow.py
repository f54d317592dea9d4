"""The keys and values of maps and lists on one line, such as ``{eventSource: x, eventName: [y, z]}``."""

import re
from collections.abc import Iterator
from functools import lru_cache

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.editor.outline import DEEPEST, Entry, document_at, read_outline, unquoted
from sigma_stellar_aws.editor.text_positions import line_end, line_of_offset, line_starts

_QUOTED = r"""'(?:[^']|'')*'?|"(?:[^"\\]|\\.)*"?"""
# A plain text may hold quotes, and colons and # that nothing sets apart.
_PLAIN = r"""[^\s,\[\]{}'"#](?:[^\s,\[\]{}:#]|:(?![\s,\[\]{}]|$)|(?<=\S)\#|[ \t]+(?=[^\s,\[\]{}:#]))*"""
_TOKEN = re.compile(rf"""[ \t]*(?P<part>[\[\]{{}},]|{_QUOTED}|{_PLAIN})(?P<colon>[ \t]*:[ \t]*)?""")
_VALUE = re.compile(rf"{_QUOTED}|{_PLAIN}|(?=[,\]}}])")


@lru_cache(maxsize=16)
def entries_with_flow(text: str) -> tuple[Entry, ...]:
    """Return the keys and elements of a text, and behind each those of the map or list that stands on its line."""
    found: list[Entry] = [entry for whole in _whole_documents(text) for entry in _inner(text, whole)]
    for entry in read_outline(text):
        found.append(entry)
        found += _inner(text, entry) if entry.value[:1] in ("{", "[") else ()
    return tuple(found)


def _whole_documents(text: str) -> Iterator[Entry]:
    """Yield the documents that are a map between braces, as JSON is."""
    for number, start in enumerate(line_starts(text)):
        if text.startswith("{", start):
            yield Entry(
                document_at(text, number), (), number, 0, None, start, text[start : line_end(text, number)], start
            )


def entry_at(text: str, offset: int) -> Entry | None:
    """Return the key or element at an offset, or else the last on its line."""
    number = line_of_offset(text, offset)
    on_line = [entry for entry in entries_with_flow(text) if entry.line == number]
    block = {entry.key_start for entry in read_outline(text) if entry.line == number}
    return next((each for each in reversed(on_line) if each.key_start in block or each.key_start <= offset), None)


def _inner(text: str, outer: Entry) -> Iterator[Entry]:
    """Yield what is in a map or list, as far as it is written; of a map or list within, the value is its brace."""
    first = line_starts(text)[outer.line]
    end = line_end(text, outer.line)

    def entry(path: YamlPath, key: str | None, start: int, value_start: int) -> Entry:
        value = _VALUE.match(text, value_start, end)
        # Of a map or list only its brace is of use, and the rest of a long line would be copied for each key.
        shown = value[0] if value else text[value_start : min(end, value_start + 1)].rstrip()
        return Entry(outer.document, path, outer.line, start - first, key, start, shown, value_start)

    # Where each map and list is that is open, and the number of the next element; None in a map.
    opened: list[tuple[YamlPath, int | None]] = []
    path: YamlPath = outer.path
    at = outer.value_start
    while (token := _TOKEN.match(text, at, end)) is not None:
        at = token.end()
        start = token.start("part")
        part = token["part"]
        if part in ("{", "["):
            if opened and opened[-1][1] is not None and path[-1] == opened[-1][1]:
                yield entry(path, None, start, start)
            opened.append((path, 0 if part == "[" else None))
        elif part in ("}", "]"):
            path, _ = opened.pop()
        elif part == ",":
            owner, number = opened[-1]
            opened[-1] = (owner, None if number is None else number + 1)
        elif token["colon"]:
            key = unquoted(part)
            path = (*path, key)
            yield entry(path, key, start, at)
            continue
        elif opened[-1][1] is not None and path[-1] == opened[-1][1]:
            yield entry(path, None, start, start)
        if not 0 < len(opened) <= DEEPEST:
            return
        if part in ("{", "[", ","):
            owner, number = opened[-1]
            path = owner if number is None else (*owner, number)
