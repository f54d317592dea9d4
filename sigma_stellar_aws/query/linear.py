"""Match wildcards in time proportional to the length of the text.

Values of events are typed by whoever makes the call. A matcher that goes back and tries again, as that of Python's
regular expressions does, can be kept busy for hours by 40 letters.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

TextTest: TypeAlias = Callable[[str], bool]
"""Says whether a text matches."""

_Part: TypeAlias = "list[str | None]"
"""What stands between two stars: characters, None for any one."""
_Find: TypeAlias = Callable[[str, int, int], int]
"""Finds a part in a text between two places, and returns the place after it, or -1."""

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def ascii_lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case; they are all that ``case_insensitive`` covers.

    >>> ascii_lower("Été")
    'Été'
    """
    # Ten times as fast as the table, and the same where there are no other letters.
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def wildcard_test(pattern: str) -> TextTest:
    r"""Return a test of whole texts for a pattern of ``*``, ``?`` and literals, in which ``\`` escapes.

    Each part between two stars is looked for at the first place after the part before it. If the rest of the pattern
    fits anywhere, it fits from there.

    >>> matches = wildcard_test("a*b?d")
    >>> matches("a--bcd"), matches("abc")
    (True, False)
    """
    parts = _parts(pattern)
    if len(parts) == 1:
        return _equals(parts[0])
    first, *middle, last = parts
    if not first and not last and len(middle) == 1 and None not in middle[0]:
        wanted = _text(middle[0])
        return lambda text: wanted in text
    starts, ends = _equals(first), _equals(last)
    finds = [_find(part) for part in middle if part]
    before, after = len(first), len(last)

    def matches(text: str) -> bool:
        at, stop = before, len(text) - after
        if at > stop or not starts(text[:at]) or not ends(text[stop:]):
            return False
        for find in finds:
            at = find(text, at, stop)
            if at < 0:
                return False
        return True

    return matches


def _parts(pattern: str) -> list[_Part]:
    parts: list[_Part] = [[]]
    for token in re.findall(r"\\.|.", pattern, re.DOTALL):
        if token == "*":
            parts.append([])
        else:
            parts[-1].append(None if token == "?" else token[-1])
    return parts


def _text(part: _Part) -> str:
    return "".join(character or "" for character in part)


def _equals(part: _Part) -> TextTest:
    if None not in part:
        return _text(part).__eq__
    matches = _fixed_length(part).fullmatch
    return lambda text: matches(text) is not None


def _find(part: _Part) -> _Find:
    if None not in part:
        wanted = _text(part)

        def find(text: str, start: int, stop: int) -> int:
            at = text.find(wanted, start, stop)
            return at if at < 0 else at + len(wanted)

        return find
    search = _fixed_length(part).search

    def find_with_gaps(text: str, start: int, stop: int) -> int:
        match = search(text, start, stop)
        return match.end() if match else -1

    return find_with_gaps


def _fixed_length(part: _Part) -> re.Pattern[str]:
    """Compile a part with gaps; without any repetition, there is nothing to try again."""
    return re.compile("".join("." if each is None else re.escape(each) for each in part), re.DOTALL)
