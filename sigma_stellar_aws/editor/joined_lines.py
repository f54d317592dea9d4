"""Put each map or list in braces or brackets on one line, as the other modules expect it."""

import re
from functools import lru_cache

from sigma_stellar_aws.editor.outline import read_line
from sigma_stellar_aws.editor.text_positions import line_end, line_starts

# A quote begins a text only where one may begin, so not in: it's.
_TOKEN = re.compile(
    r"""(?<![^\s,\[\]{}:])(?:'(?:[^']|'')*'?|"(?:[^"\\]|\\.)*"?)|(?P<comment>(?<!\S)\#.*)|(?P<brace>[\[\]{}])""",
    re.DOTALL,
)
# Nobody writes a longer rule by hand, and every keystroke has to be answered at once.
_MOST_JOINED = 200_000
_DOCUMENT_END = ("---", "...")


@lru_cache(maxsize=4)
def with_joined_lines(text: str) -> str:
    """Return a text of the same length, with blanks for the line breaks and comments inside of braces.

    What is not closed yet ends, as in YAML, before a line that is no deeper than the key that it belongs to. A text of
    more than 200,000 characters stays as it is.

    >>> with_joined_lines("tags: [a,\\n  b]\\nlevel: low\\n")
    'tags: [a,   b]\\nlevel: low\\n'
    """
    if len(text) > _MOST_JOINED:
        return text
    starts = (*line_starts(text), len(text))
    joined: list[str] = []
    number = 0
    while number < len(starts) - 1:
        last = _last_line(text, number)
        part = text[starts[number] : starts[last + 1]]
        joined.append(part if last == number else _on_one_line(part, text[starts[number] : line_end(text, last)]))
        number = last + 1
    return "".join(joined)


def _last_line(text: str, number: int) -> int:
    """Return the last line of the map or list that opens in the value of a line; the line itself where none does."""
    starts = line_starts(text)
    line = read_line(text, starts[number], line_end(text, number))
    if text[line.value_start : line.value_start + 1] not in ("{", "["):
        return number
    has_owner = line.key is not None or bool(line.dashes)
    column = min((*line.dashes, line.start)) - starts[number] if has_owner else -1
    depth = _depth(text[line.value_start : line_end(text, number)])
    last = number
    while depth > 0 and last + 1 < len(starts):
        following = text[starts[last + 1] : line_end(text, last + 1)]
        bare = following.lstrip(" \t")
        is_within = len(following) - len(bare) > column or not bare or bare.startswith(("]", "}"))
        if not is_within or following.startswith(_DOCUMENT_END):
            break
        last += 1
        depth += _depth(following)
    return last


def _depth(line: str) -> int:
    braces = [found["brace"] for found in _TOKEN.finditer(line) if found["brace"]]
    return sum(1 if brace in "[{" else -1 for brace in braces)


def _on_one_line(part: str, content: str) -> str:
    """Blank what separates the lines of a part, except the break behind its content."""
    blanked = []
    for line in re.split(r"(\r\n|\n|\r)", content):
        if line[:1] in ("\r", "\n"):
            blanked.append(" " * len(line))
        else:
            blanked.append(_TOKEN.sub(lambda found: " " * len(found[0]) if found["comment"] else found[0], line))
    return "".join(blanked) + part[len(content) :]
