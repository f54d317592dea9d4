"""Tell quickly that a file of rules has nothing that could be misread, without parsing it.

Most rules keep to a small part of YAML: one entry or item a line, with its value on the same line, quoted or a word. A
file with anything else is one for a closer look, even if that finds nothing.
"""

import re
from functools import lru_cache
from typing import NamedTuple

# Tabs and the other line breaks of YAML; also whatever may stand at the very beginning.
# Or what looks like a value, and is a comment.
_UNUSUAL = re.compile("[\t\r\x85\u2028\u2029\ufeff]|[:-] +#[^\\s#]")
_REST = r"(?:[^:\#\n]|:(?=[^ ])|(?<=[^ ])\#)*?"
_LINE = re.compile(
    # A key, after a dash or not, or the dash of an item.
    r"(?: (?P<before>\ *(?P<dash>-\ +)?) (?P<key>[A-Za-z_][\w.|-]*|'[\w.|-]+') :(?=\ |$)"
    r"| (?P<item>\ *)-(?=\ ) )"
    # Quoted; a word, which by its first character is not a number, date or collection; another plain value; or a block.
    r"(?: \ + (?: (?P<quoted>'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\")"
    rf"| (?P<word>(?:[A-Za-z/\\_$(;^]|:(?=[^ ])|\.(?=[A-Za-z])){_REST})"
    rf"| (?P<plain>(?:[^\ '\"&*!|>%@`\[\]{{}}\#,?:-]|-(?=[^\ ])){_REST})"
    r"| (?P<block>[|>][-+]?) ) )?"
    r"\ * (?:(?<=\ )\#.*)?",
    re.VERBOSE,
)
_NOTHING = re.compile(r" *(?:#.*)?")
# What YAML 1.1 takes for a truth value, for nothing or for a number, in small letters.
_NO_TEXTS = frozenset({"yes", "no", "on", "off", "true", "false", "null", ".inf", ".nan"})
_WHOLE = re.compile(r"0|[1-9][0-9]*")
_SECTIONS = ("detection", "filter", "stellar")
_SELECTION = 2
_MOST_MAPS = 3
"""A file, its detection, and a selection: a map further down would be the value of a field."""


def is_plainly_written(text: str) -> bool:
    """Tell whether certainly nothing in the detections of a text is misread, and no key is twice in a map.

    Conditions are not looked at.

    >>> is_plainly_written("detection:\\n  s:\\n    mfaUsed: 'No'\\n  condition: s\\n")
    True
    >>> is_plainly_written("detection:\\n  s:\\n    mfaUsed: No\\n  condition: s\\n")
    False
    """
    if _UNUSUAL.search(text):
        return False
    lines = _Lines()
    return all(map(lines.is_plain, text.split("\n"))) and not lines.needs_items and not lines.needs_part


class _Line(NamedTuple):
    """A line of a file by itself."""

    column: int
    """Of its key, or of the dash of its item."""
    key: str
    """Empty in the line of an item."""
    has_dash: bool
    value: str
    kind: str
    """Of its value: ``quoted``, ``word``, ``plain`` or ``block``; empty where there is no value."""


_BLANK = _Line(0, "", False, "", "")


# Rules have most of their lines in common.
@lru_cache(maxsize=512)
def _line(text: str) -> _Line | None:
    """Take a line apart; None for one that is unusual."""
    if _NOTHING.fullmatch(text):
        return _BLANK
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    kind = next((kind for kind in ("quoted", "word", "plain", "block") if found[kind]), "")
    value = found[kind] if kind else ""
    if found["key"]:
        return _Line(len(found["before"]), found["key"].strip("'"), bool(found["dash"]), value, kind)
    return _Line(len(found["item"]), "", True, value, kind)


class _Lines:
    """What is known after some lines of a file."""

    def __init__(self) -> None:
        self.needs_items = False
        """Whether the last key has no value as yet, and must have one."""
        self.needs_part = False
        """Whether the last key is a selection without anything in it as yet."""
        self._maps: list[tuple[int, set[str]]] = []
        """The column and the keys of each map around the last key."""
        self._section = self._key = ""
        self._column = 0
        self._has_value = self._is_in_block = False

    def is_plain(self, text: str) -> bool:
        """Take the next line, and tell whether nothing in it can be misread."""
        if self._is_in_block and text[:1] in ("", " "):
            return True
        line = _line(text)
        if line is None or line is _BLANK:
            return line is _BLANK
        self._is_in_block = False
        if line.key:
            is_empty = self.needs_items or (self.needs_part and line.column <= self._column)
            return not is_empty and self._is_plain_entry(line)
        is_of_key = not self._has_value and line.column >= self._column
        self.needs_items = self.needs_part = False
        return is_of_key and line.kind != "block" and self._is_certain(line)

    def _is_plain_entry(self, line: _Line) -> bool:
        """Take a key, and its value if that is on its line."""
        column, key = line.column, line.key
        while self._maps and self._maps[-1][0] >= column + (not line.has_dash):
            self._maps.pop()
        if not self._maps or self._maps[-1][0] < column:
            self._maps.append((column, set()))
        depth, keys = len(self._maps), self._maps[-1][1]
        if depth > _MOST_MAPS or self._maps[0][0] or key in keys or key.lower() in _NO_TEXTS:
            return False
        keys.add(key)
        if depth == 1:
            self._section = key
        self._key, self._column, self._has_value = key, column, bool(line.kind)
        self._is_in_block = line.kind == "block"
        self.needs_items = "|" in key and not line.kind
        self.needs_part = depth == _SELECTION and self._section in _SECTIONS and not line.kind
        return depth == 1 if line.kind == "block" else not line.kind or self._is_certain(line)

    def _is_certain(self, line: _Line) -> bool:
        """Tell whether YAML reads a value as it is written, and it goes with the modifiers of its key."""
        if self._section not in _SECTIONS or line.kind == "quoted":
            return True
        if len(self._maps) == _SELECTION and (self._key == "condition" or (self._key == "timeframe" and line.key)):
            return True
        modifiers = self._key.partition("|")[2]
        if line.kind != "word":
            return not modifiers and _WHOLE.fullmatch(line.value) is not None
        if line.value == "null" and len(self._maps) == _SELECTION:
            return False
        if line.value in ("true", "false", "null"):
            return not modifiers or (modifiers == "exists" and line.value != "null")
        return line.value.lower() not in _NO_TEXTS
