"""Text for people: counted, listed, corrected, and safe to print or to put into a cell of a spreadsheet."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

_FORMULA = re.compile(r"(^|[;\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a spreadsheet may see the start of a formula, full-width forms included.

Where semicolons separate cells, as in much of Europe, a quote within a cell does not keep them, nor line ends, from
starting another.
"""

ALIKE = 0.8
"""How like a name the one that was probably meant is at least, from 0 to 1, as difflib measures it."""

LOOSELY_ALIKE = 0.6
"""The same for titles and the like: few to choose from, and people type them from memory."""


def printable(text: str) -> str:
    r"""Replace what could steer a terminal: log records hold what attackers typed.

    >>> printable("a\x1b[2Jb")
    'a\ufffd[2Jb'
    """
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def cell(text: str) -> str:
    """Make a text safe as a cell of CSV: printable, and not a formula to a spreadsheet.

    >>> cell("=1+1"), cell("x;=1+1"), cell("a=b; c")
    ("'=1+1", "x;'=1+1", 'a=b; c')
    """
    return _FORMULA.sub(r"\1'", printable(text))


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Write a number of things.

    >>> plural(1, "rule"), plural(2000, "rule"), plural(0, "index", "indices")
    ('1 rule', '2,000 rules', '0 indices')
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def first_of(names: Sequence[str], most: int = 5) -> str:
    """List names, and count those after the first few.

    >>> first_of(["a", "b", "c"]), first_of(["a", "b", "c"], most=2)
    ('a, b, c', 'a, b and 1 more')
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def not_read(files: Sequence[object]) -> str:
    """Say how many files were passed over because of their names, and which.

    >>> not_read(["notes.txt", "a.png"])
    'not read, by their names: 2 files, notes.txt, a.png'
    """
    return f"not read, by their names: {plural(len(files), 'file')}, {first_of(list(map(str, files)))}"


def did_you_mean(name: str | None) -> str:
    """Ask for a name that was probably meant, to end a message with; return "" if there is none.

    A name with blanks is quoted, so that it can be pasted as one word.

    >>> did_you_mean("eventName"), did_you_mean("KMS Key"), did_you_mean(None)
    ('; did you mean eventName?', "; did you mean 'KMS Key'?", '')
    """
    if not name:
        return ""
    return f"; did you mean {repr(name) if ' ' in name else name}?"


def nearest(word: str, choices: Iterable[str], alike: float = ALIKE) -> str | None:
    """Return the choice that somebody probably meant by a word, or None if nothing is close.

    One that differs only in case, blanks and punctuation comes first, then one with two letters swapped, which makes
    much of a short word; otherwise the most alike, as difflib measures it. Keep large sets of choices as a frozenset:
    what is made of them is then made once.

    >>> nearest("event_name", ["eventName", "eventTime"]), nearest("eventNmae", ["eventName", "eventTime"])
    ('eventName', 'eventName')
    >>> nearest("requestID", ["eventName", "eventTime"])
    >>> nearest("anr", ["arn", "type"])
    'arn'
    """
    known = _known(frozenset(choices))
    plain = _plain(word)
    if not plain:
        return None
    # A swap leaves the length as it is, and there are many of a long word.
    swapped = _swapped(plain) if len(plain) in known.letters else ()
    for spelling in (plain, *swapped):
        if spelling in known.choices:
            return known.choices[spelling]
    # Letters in common, whatever their order, are the most that can be alike. That is counted in a moment, and leaves
    # few to compare letter by letter, the most promising first.
    letters = _letters(plain, known.bits)
    promising = [
        (2 * (letters & others).bit_count() / (len(plain) + length), choice)
        for length, choices_of_length in known.letters.items()
        if 2 * min(len(plain), length) >= (both := alike * (len(plain) + length))
        for choice, others in choices_of_length
        if 2 * (letters & others).bit_count() >= both
    ]
    matcher = SequenceMatcher(None, b=plain)
    best: tuple[float, str | None] = (alike, None)
    for at_most, choice in sorted(promising, key=lambda p: (-p[0], p[1])):
        if best[1] is not None and at_most <= best[0]:
            break
        matcher.set_seq1(choice)
        ratio = matcher.ratio()
        if ratio > best[0] or (best[1] is None and ratio == alike):
            best = (ratio, choice)
    return None if best[1] is None else known.choices[best[1]]


def _swapped(word: str) -> Iterator[str]:
    """Yield a word with each two letters beside each other swapped; nothing for words of two letters."""
    for at in range(len(word) - 1) if len(word) > 2 else ():
        yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


class _Known(NamedTuple):
    """Choices, prepared to be searched."""

    choices: dict[str, str]
    """By their plain forms."""
    letters: dict[int, list[tuple[str, int]]]
    """Plain forms by their length, with a bit for each letter, another for a second one of its kind, and so on."""
    bits: dict[tuple[str, int], int]
    """The bits, by letter and how often it came before."""


@lru_cache(maxsize=512)
def _known(choices: frozenset[str]) -> _Known:
    # Backwards, for the first of the alphabet to stay: it has the capital letters.
    by_plain = {_plain(choice): choice for choice in sorted(choices, reverse=True)}
    bits: dict[tuple[str, int], int] = {
        each: 1 << number for number, each in enumerate({each for plain in by_plain for each in _counted(plain)})
    }
    by_length: dict[int, list[tuple[str, int]]] = {}
    for plain in by_plain:
        by_length.setdefault(len(plain), []).append((plain, _letters(plain, bits)))
    return _Known(by_plain, by_length, bits)


def _letters(plain: str, bits: dict[tuple[str, int], int]) -> int:
    return sum(bits.get(each, 0) for each in _counted(plain))


def _counted(plain: str) -> list[tuple[str, int]]:
    """Return each letter of a word with how often it came before."""
    counts: dict[str, int] = {}
    found: list[tuple[str, int]] = []
    for letter in plain:
        counts[letter] = number = counts.get(letter, -1) + 1
        found.append((letter, number))
    return found


def _plain(word: str) -> str:
    return re.sub(r"[\W_]", "", word).casefold()
