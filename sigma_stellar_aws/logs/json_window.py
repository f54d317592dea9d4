"""Find JSON values in a text of any length while only a window of it is in memory.

What is found must not depend on where a window happens to end. So a value is judged only once the whole of it was seen,
or its damage, or more bytes than a value may have.
"""

import json
import re
from collections.abc import Iterator

BLOCK = 1 << 17
"""The least number of bytes that a window grows by: few enough to stay in the processor's cache."""

LONGEST_RECORD = 8 << 20
"""Length of the longest value, in bytes. A CloudTrail record has at most 256 KB, and a wrapper of several 6 MB."""

TOO_DEEP = "it is nested too deeply"
"""The reason given for a value that is nested deeper than the decoder can follow: many hundreds of levels."""

_BLANKS = re.compile(rb"[ \t\r\n]*")
# Longer than any number, word or escape: an error farther from the end than this is not due to what comes next.
_TOKEN = 32
# Longer than any match of a pattern passed to resync.
_OVERLAP = 512
# Numbers stay strings, for which none is too long; an object becomes its length, which keeps little of it.
_end_of_value = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=len).raw_decode


class Window:
    """A part of a text, a position in it, and the line of the position."""

    def __init__(self, chunks: Iterator[bytes], block: int, longest: int) -> None:
        """Start at the beginning of the text that the chunks make up."""
        self.data = b""
        self.at = 0
        self.line = 1
        self.ended = False
        """Whether the window reaches the end of the text."""
        self.longest = longest
        self._before = 0
        self._chunks = chunks
        self._block = block
        self._latin: str | None = None
        self._on_one_line = True

    @property
    def offset(self) -> int:
        """The position, in bytes from the beginning of the text."""
        return self._before + self.at

    def extend(self) -> None:
        """Read more of the text into the window, and drop what lies before the position."""
        parts = [self.data[self.at :]]
        # Double what is held, or a long value would be looked at time and again.
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
        """Hold at least that many bytes from the position on, or all that there are."""
        while len(self.data) - self.at < size and not self.ended:
            self.extend()

    def move(self, to: int, lines: int | None = None) -> None:
        """Move on to a position in the window.

        Args:
            to: the position.
            lines: how many line breaks lie before it, if that is known.
        """
        # Counting line breaks is far slower than looking for one, and logs as AWS delivers them have none.
        if not self._on_one_line:
            self.line += self.data.count(b"\n", self.at, to) if lines is None else lines
        self.at = to

    def hold_line(self) -> None:
        """Hold more of a line that the window cuts in two, to read it with those that follow."""
        if self.data.find(b"\n", self.at) < 0:
            self.hold(len(self.data) - self.at + 1)

    def line_starts(self, end: int) -> list[int]:
        """Return where the lines from this position up to another one begin."""
        starts = [self.at]
        find = self.data.find
        while at := find(b"\n", starts[-1], end) + 1:
            starts.append(at)
        return starts

    def skip_blanks(self) -> bytes:
        """Move on past blanks, and return the next byte; empty at the end of the text."""
        while True:
            match = _BLANKS.match(self.data, self.at)
            self.move(match.end() if match else self.at)
            if self.at < len(self.data) or self.ended:
                return self.data[self.at : self.at + 1]
            self.extend()

    def value_end(self, longest: int | None = None) -> int | str:
        """Return where the JSON value that begins here ends in the window, or what is wrong with it.

        Args:
            longest: length of the longest value to accept, in bytes; by default that of the window.
        """
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
                # A number may continue after the window, even where the window holds no more than its decimal point.
                if self.data[end - 1] in b'}]"' or end < len(self.data) - _TOKEN or self.ended:
                    return end if end - self.at <= longest else _too_long(longest)
            self.extend()

    def resync(self, pattern: re.Pattern[bytes]) -> int:
        """Move on to the next match of a pattern after this position, or to the end.

        Return how many bytes were skipped.

        Args:
            pattern: its matches begin with a brace or a line break.
        """
        start = self.offset
        self.hold(1)
        self.move(self.at + 1)
        while True:
            self.hold(_OVERLAP)
            sure = len(self.data) if self.ended else len(self.data) - _OVERLAP
            match = pattern.search(self.data, self._next_opening())
            if match and match.start() <= sure:
                self.move(match.start())
                return self.offset - start
            if self.ended:
                self.move(len(self.data))
                return self.offset - start
            self.move(max(self.at, sure + 1))
            self.extend()

    def _next_opening(self) -> int:
        """Return where the next brace or line break is, or the end of the window: far quicker than any pattern."""
        line_break = self.data.find(b"\n", self.at)
        end = line_break if line_break >= 0 else len(self.data)
        brace = self.data.find(b"{", self.at, end)
        return brace if brace >= 0 else end

    def _text(self) -> str:
        # In this encoding every byte is one character.
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
