"""Tell quickly that a file of rules has nothing that could be misread, without parsing it.

Most rules keep to a small part of YAML: one entry or item a line, with its value on the same line, quoted or a word. A
file with anything else is one for a closer look, even if that finds nothing.
"""

import re

# Tabs and the other line breaks of YAML; also whatever may stand at the very beginning.
# Or what looks like a value, and is a comment.
_UNUSUAL = re.compile("[\t\r\x85\u2028\u2029\ufeff]|[:-] +#[^\\s#]")
_REST = r"(?:[^:\#\n]|:(?=[^ ])|(?<=[^ ])\#)*?"
_LINE = re.compile(
    # A key, after a dash or not, or the dash of an item.
    r"(?: (?P<before>\ *(?P<dash>-\ +)?) (?P<key>[A-Za-z_][\w.|-]*|'[\w.|-]+') :(?=\ |$)"
    r"| (?P<item>\ *)-(?=\ ) )"
    # Quoted; a word, which by its first character is no number, date or collection; another plain value; or a block.
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

    def is_plain(self, line: str) -> bool:
        """Take the next line, and tell whether nothing in it can be misread."""
        if _NOTHING.fullmatch(line) or (self._is_in_block and line[0] == " "):
            return True
        self._is_in_block = False
        found = _LINE.fullmatch(line)
        if found is None:
            return False
        if found["key"]:
            is_empty = self.needs_items or (self.needs_part and len(found["before"]) <= self._column)
            return not is_empty and self._is_plain_entry(found)
        is_of_key = not self._has_value and len(found["item"]) >= self._column
        self.needs_items = self.needs_part = False
        return is_of_key and not found["block"] and self._is_certain(found)

    def _is_plain_entry(self, found: re.Match[str]) -> bool:
        """Take a key, and its value if that is on its line."""
        key, column, begins_map = found["key"].strip("'"), len(found["before"]), bool(found["dash"])
        while self._maps and self._maps[-1][0] >= column + (not begins_map):
            self._maps.pop()
        if not self._maps or self._maps[-1][0] < column:
            self._maps.append((column, set()))
        depth, keys = len(self._maps), self._maps[-1][1]
        if depth > _MOST_MAPS or self._maps[0][0] or key in keys or key.lower() in _NO_TEXTS:
            return False
        keys.add(key)
        if depth == 1:
            self._section = key
        self._key, self._column, self._has_value = key, column, found.lastgroup not in ("key", "dash", "before")
        self._is_in_block = bool(found["block"])
        self.needs_items = "|" in key and not self._has_value
        self.needs_part = depth == _SELECTION and self._section in _SECTIONS and not self._has_value
        return depth == 1 if found["block"] else not self._has_value or self._is_certain(found)

    def _is_certain(self, found: re.Match[str]) -> bool:
        """Tell whether YAML reads a value as it is written, and it goes with the modifiers of its key."""
        if self._section not in _SECTIONS or found["quoted"]:
            return True
        if len(self._maps) == 2 and (self._key == "condition" or (self._key == "timeframe" and found["key"])):
            return True
        word, modifiers = found["word"], self._key.partition("|")[2]
        if word == "null" and len(self._maps) == _SELECTION:
            return False
        if word in ("true", "false", "null"):
            return not modifiers or (modifiers == "exists" and word != "null")
        if word:
            return word.lower() not in _NO_TEXTS
        return not modifiers and _WHOLE.fullmatch(found["plain"] or "") is not None
