"""A text of any length, of which only a window is held.

What is found in a text must not depend on where a window happens to end: a value is judged when it was seen whole, or
its damage, or more of it than any value may have.
"""

import json
import re
from collections.abc import Iterator

BLOCK = 1 << 17
"""Bytes that a window grows by at least: few enough to stay in the processor's cache."""

LONGEST = 8 << 20
"""Bytes of the longest value; a record of CloudTrail has at most 256 KB, and what wraps several at most 6 MB."""

TOO_DEEP = "it is nested too deeply"
"""What is wrong with a value in which there are more values in one another than can be followed: many hundreds."""

_BLANKS = re.compile(rb"[ \t\r\n]*")
# Longer than any number, word or escape: an error so far before the end is none of what is yet to come.
_TOKEN = 32
# More than a pattern of resync may match.
_OVERLAP = 512
# Numbers as texts: no number is too long. Objects as their lengths: nothing of a long value is kept.
_end_of_value = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=len).raw_decode


class Window:
    """A part of a text, a position in it, and its line."""

    def __init__(self, chunks: Iterator[bytes], block: int, longest: int) -> None:
        """At the beginning of the text that the chunks make up."""
        self.data = b""
        self.at = 0
        self.line = 1
        self.ended = False
        """Whether the window reaches to the end of the text."""
        self.longest = longest
        self._before = 0
        self._chunks = chunks
        self._block = block
        self._latin: str | None = None
        self._on_one_line = True

    @property
    def place(self) -> int:
        """The position, counted from the beginning of the text."""
        return self._before + self.at

    def extend(self) -> None:
        """Hold more of the text, and nothing of what lies before the position."""
        parts = [self.data[self.at :]]
        # As much again as is held, so that a long value is not looked at time and again.
        wanted = max(self._block, len(parts[0]))
        for chunk in self._chunks:
            parts.append(chunk)
            wanted -= len(chunk)
            if wanted <= 0:
                break
        else:
            self.ended = True
        self._before += self.at
        self.data, self.at, self._latin = b"".join(parts), 0, None
        self._on_one_line = b"\n" not in self.data

    def hold(self, size: int) -> None:
        """Hold that many bytes from the position on, or all that there are."""
        while len(self.data) - self.at < size and not self.ended:
            self.extend()

    def move(self, to: int) -> None:
        """Move on to a position in the window."""
        # Looking for one is far quicker than counting, and logs as AWS delivers them have none.
        if not self._on_one_line:
            self.line += self.data.count(b"\n", self.at, to)
        self.at = to

    def skip_blanks(self) -> bytes:
        """Move on to what is not blank; its first byte, none at the end of the text."""
        while True:
            match = _BLANKS.match(self.data, self.at)
            self.move(match.end() if match else self.at)
            if self.at < len(self.data) or self.ended:
                return self.data[self.at : self.at + 1]
            self.extend()

    def value_end(self, longest: int | None = None) -> int | str:
        """Where the JSON value ends that begins here, or what is wrong with it; being too long is, too."""
        longest = min(longest or self.longest, self.longest)
        while True:
            try:
                _, end = _end_of_value(self._text(), self.at)
            except json.JSONDecodeError as error:
                in_view = error.pos < len(self.data) - _TOKEN and self.data[error.pos : error.pos + 1] != b'"'
                if in_view or self.ended or self._holds_more(longest):
                    return self._reason(error, longest)
            except RecursionError:
                return TOO_DEEP
            else:
                # A number may go on behind the window, also with no more than the point of it in here.
                if self.data[end - 1] in b'}]"' or end < len(self.data) - _TOKEN or self.ended:
                    return end if end - self.at <= longest else _too_long(longest)
            self.extend()

    def resync(self, pattern: re.Pattern[bytes]) -> int:
        """Move on to the next match of a pattern behind this position, or to the end; how many bytes were left out."""
        start = self.place
        self.hold(1)
        self.move(self.at + 1)
        while True:
            self.hold(_OVERLAP)
            sure = len(self.data) if self.ended else len(self.data) - _OVERLAP
            match = pattern.search(self.data, self.at)
            if match and match.start() <= sure:
                self.move(match.start())
                return self.place - start
            if self.ended:
                self.move(len(self.data))
                return self.place - start
            self.move(max(self.at, sure + 1))
            self.extend()

    def _text(self) -> str:
        # One character a byte, and no byte that is none.
        if self._latin is None:
            self._latin = self.data.decode("latin-1")
        return self._latin

    def _holds_more(self, longest: int) -> bool:
        return len(self.data) - self.at > longest + _TOKEN

    def _reason(self, error: json.JSONDecodeError, longest: int) -> str:
        character = error.pos - self.at
        if character >= longest or (error.msg.startswith("Unterminated") and self._holds_more(longest)):
            return _too_long(longest)
        return f"{error.msg} (its byte {character + 1})"


def _too_long(longest: int) -> str:
    return f"it has no end within {longest:,} bytes"
