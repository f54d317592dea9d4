"""Read the records in a text of JSON lists, lines and values, one after the other, past any damage."""

import re
from collections.abc import Iterator

import msgspec

from sigma_stellar_aws.logs.beginnings import OPENING, STAMP, UTF8_MARK
from sigma_stellar_aws.logs.collector import Collector
from sigma_stellar_aws.logs.envelopes import KEYS, Unwrapped, unwrap
from sigma_stellar_aws.logs.json_parts import is_whole_object, key_name, lines_of, move_to_mention
from sigma_stellar_aws.logs.json_patterns import (
    AFTER_OBJECT,
    BEFORE_OBJECT,
    BETWEEN,
    COMMA,
    FIRST_KEY,
    JOINED,
    LATE,
    LATE_LIST,
    LINE_END,
    LIST,
    NEST,
    NEXT_LIST,
    OBJECT_WITH_LIST,
    OF_COMMAND_LINE,
    RECORD_KEYS,
    SPREAD,
    USUAL_KEY,
    with_blanks,
)
from sigma_stellar_aws.logs.json_repair import BROKEN
from sigma_stellar_aws.logs.json_window import TOO_DEEP, Window
from sigma_stellar_aws.logs.screening import decode_all_screened, decode_screened
from sigma_stellar_aws.logs.split_messages import container_part

# Bytes decoded at once: few enough records that often none of them is needed.
_MOST_AT_ONCE = 1 << 15
# Larger than any record: a longer value may be a wrapper whose list is not its first member.
_LARGER_THAN_A_RECORD = 1 << 20
_PATIENCE = 100
_JSON_OPENINGS = (b"{", b"[", b'"')
_LONGEST_HEADER = 1 << 13
_LEAST_SLOW = 1 << 10
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class JsonReader:
    """The position in a text, and what has been learnt about how its records are written."""

    def __init__(self, window: Window, collector: Collector, block_size: int) -> None:
        """Start at the beginning of a window's text."""
        self._window = window
        self._collector = collector
        self._block_size = block_size
        # A tool writes all records alike: with the same first key, and the same text between two in a list.
        self._first_key = ""
        self._between = b'},{"eventVersion"'
        # Up to this offset, records cannot be read many at a time.
        self._slow_until = 0
        self._too_deep = False
        # After so many problems without any record, look for the next mention of one.
        self._patience = _PATIENCE

    def read(self) -> Iterator[None]:
        """Read all values up to the end of the text, pausing after each part."""
        window = self._window
        at_line = True
        while window.skip_blanks():
            window.hold(OPENING)
            if window.data.startswith(UTF8_MARK, window.at):
                # Left from a file that was joined to another one.
                window.move(window.at + len(UTF8_MARK))
                continue
            if self._is_hopeless():
                self._skim()
                continue
            if at_line and (stamp := STAMP.match(window.data, window.at)):
                window.move(stamp.end())
            elif at_line and self._skip_header():
                continue
            if opening := LIST.match(window.data, window.at):
                yield from self._read_list(opening)
            elif not (at_line and self._read_lines()):
                yield from self._read_value()
                at_line = LINE_END.match(window.data, window.at) is not None
            yield

    def _skip_header(self) -> bool:
        """Read past what stands before the object on a line. Return False if the line begins as JSON."""
        window = self._window
        if window.data[window.at : window.at + 1] in _JSON_OPENINGS:
            return False
        window.hold(_LONGEST_HEADER)
        if found := container_part(window, self._collector.holds_part):
            self._collector.add_part(window.line, found[0])
            window.move(found[1])
            return True
        if line := OF_COMMAND_LINE.match(window.data, window.at):
            window.move(line.end())
            return True
        header = BEFORE_OBJECT.match(window.data, window.at)
        if header is None:
            self._skip_damage("it is not JSON", rf"\n|{self._record_start()}|{OBJECT_WITH_LIST}")
            return True
        window.move(header.end())
        end = window.value_end()
        if isinstance(end, int):
            self._collector.add(window.line, window.data[window.at : end])
            window.move(end)
            window.hold(_LONGEST_HEADER)
            if rest := AFTER_OBJECT.match(window.data, window.at):
                window.move(rest.end())
        return True

    def _is_hopeless(self) -> bool:
        collector = self._collector
        return collector.problems >= self._patience and not (collector.records or collector.found_any)

    def _skim(self) -> None:
        """Skip to the next line that mentions an eventName, or to the end: this does not look like a log."""
        window = self._window
        line = window.line
        self._patience = self._collector.problems + _PATIENCE
        move_to_mention(window)
        self._collector.tell(line, f"no record up to here; skipped to line {window.line} without reading")

    def _read_lines(self) -> bool:
        """Read the lines in the window that are an object each, up to one that is not.

        Return False if not even the first one is.
        """
        window = self._window
        start = window.offset
        self._learn_first_key()
        while self._read_many_lines() or self._read_line_by_line():
            pass
        if moved := window.offset > start:
            window.hold_line()
        return moved

    def _read_many_lines(self) -> bool:
        """Read many lines in one go. Return False if they are not a record each, as AWS writes it."""
        window, collector = self._window, self._collector
        end = window.data.rfind(b"\n", window.at, window.at + min(window.longest, _MOST_AT_ONCE))
        if end < 0:
            return False
        try:
            # A line break is no part of a text in JSON, so that here it can only stand between records.
            screened = decode_all_screened(b"[%b]" % window.data[window.at : end].replace(b"\n", b","))
        except BROKEN:
            return False
        starts = window.line_starts(end)
        # A record that is spread over lines, with a comma missing where one ends, is for the closer look.
        if len(screened) != len(starts):
            return False
        is_needed = collector.needs
        needed = [number for number, each in enumerate(screened) if is_needed(each.eventSource, each.eventName)]
        collector.records += len(screened) - len(needed)
        starts.append(end + 1)
        for number in needed:
            line = window.data[starts[number] : starts[number + 1] - 1]
            collector.add_screened(window.line + number, line, screened[number])
        window.move(end + 1, len(screened))
        return True

    def _read_line_by_line(self) -> bool:
        """Read some lines. Return whether all of them are an object each, and there may be more."""
        window, collector = self._window, self._collector
        data, at, number = window.data, window.at, window.line
        enough = at + _MOST_AT_ONCE
        is_needed = collector.needs
        while at < enough and (end := data.find(b"\n", at)) >= 0:
            line = data[at:end]
            if line and not line.isspace():
                if len(line) > window.longest:
                    break
                try:
                    screened = decode_screened(line)
                except BROKEN:
                    if not is_whole_object(line):
                        break
                    collector.add(number, line)
                else:
                    if is_needed(screened.eventSource, screened.eventName):
                        collector.add_screened(number, line, screened)
                    else:
                        collector.records += 1
            at = end + 1
            number += 1
        window.move(at)
        return at >= enough

    def _read_value(self) -> Iterator[None]:
        """Read one value, wherever it ends."""
        window = self._window
        self._learn_first_key()
        end = window.value_end(_LARGER_THAN_A_RECORD)
        if isinstance(end, str):
            window.hold(LATE)
            if opening := LATE_LIST.match(window.data, window.at, window.at + LATE):
                yield from self._read_list(opening)
                return
            end = window.value_end()
        if isinstance(end, int):
            self._collector.add(window.line, window.data[window.at : end])
            window.move(end)
            window.hold(OPENING)
            if comma := COMMA.match(window.data, window.at):
                window.move(comma.end())
            return
        start = f"{self._record_start()}|{OBJECT_WITH_LIST}"
        # A record on one line ends with the line.
        spread = SPREAD.match(window.data, window.at)
        self._skip_damage(end, start if spread else rf"\n|{start}")

    def _read_list(self, opening: re.Match[bytes]) -> Iterator[None]:
        """Read a list, and on to the end of the objects around it."""
        window, tell = self._window, self._collector.tell
        first_line = window.line
        braces = sum(group is not None for group in opening.groups())
        self._read_members_before(opening)
        window.move(opening.end())
        window.skip_blanks()
        self._learn_first_key()
        before = ""
        while character := window.skip_blanks():
            if character in b"],":
                if before == "comma" or (before == "" and character == b","):
                    tell(window.line, "damaged list: a comma without a record")
                window.move(window.at + 1)
                before = "comma"
                if character == b"]":
                    braces = self._skip_to_wrapper_end(braces)
                    if not braces:
                        return
                    before = ""
                continue
            if before != "value" and window.offset >= self._slow_until and self._read_blocks():
                before = "value"
            else:
                before = self._read_element(before)
            yield
        tell(first_line, "damaged list: it has no end")

    def _read_blocks(self) -> bool:
        """Read records of a list, many at a time, and stop after one. Return False if none could be read."""
        window = self._window
        window.hold(self._block_size)
        data, start = window.data, window.at
        while True:
            at, most = window.at, window.at + min(window.longest, _MOST_AT_ONCE)
            last = window.ended and len(data) <= most
            end = data.rfind(b"]", at) if last else data.rfind(self._between, at, most) + 1
            if not self._read_block(end):
                break
            if last or data[end : end + 2] != b",{":
                return True
            window.move(end + 1)
        if at > start:
            # Back to the comma.
            window.at -= 1
            return True
        # To try at each element would be to look at the same bytes time and again.
        self._slow_until = window.offset + max(_LEAST_SLOW, end - at)
        # Looked for only now, because it takes as long as decompressing.
        joined = data.find(JOINED, at, end)
        return joined >= 0 and self._read_block(data.rfind(b"]", at, joined))

    def _read_block(self, end: int) -> bool:
        """Read the records of a list up to a position in the window. Return False if these are not whole records."""
        window, collector = self._window, self._collector
        if end <= window.at:
            return False
        block = b"".join((b"[", memoryview(window.data)[window.at : end], b"]"))
        try:
            screened = decode_all_screened(block)
        except msgspec.ValidationError:
            return self._read_unscreened(block, end)
        except BROKEN:
            return False
        is_needed = collector.needs
        needed = [number for number, each in enumerate(screened) if is_needed(each.eventSource, each.eventName)]
        collector.records += len(screened) - len(needed)
        if needed:
            raws = _decode_list(block)
            for number, line in zip(needed, lines_of(block, raws, needed, window.line), strict=True):
                collector.add_screened(line, raws[number], screened[number])
        window.move(end)
        return True

    def _read_unscreened(self, block: bytes, end: int) -> bool:
        """Read a list up to a position in the window; not all elements are records as AWS writes them."""
        try:
            raws = _decode_list(block)
        except BROKEN:
            return False
        for raw, line in zip(raws, lines_of(block, raws, range(len(raws)), self._window.line), strict=True):
            self._collector.add(line, raw)
        self._window.move(end)
        return True

    def _read_element(self, before: str) -> str:
        """Read one element of a list, and return "value", or "" where it is damaged."""
        window = self._window
        end = window.value_end()
        if isinstance(end, str):
            self._skip_damage(end, self._record_start())
            return ""
        if before == "value":
            self._collector.tell(window.line, "damaged list: no comma before this record")
        self._collector.add(window.line, window.data[window.at : end])
        window.move(end)
        window.hold(OPENING)
        if between := BETWEEN.match(window.data, window.at):
            self._between = b"}" + between[0]
        return "value"

    def _skip_to_wrapper_end(self, braces: int) -> int:
        """Skip to the end of the objects around a list, or to another list in them.

        Return how many braces are still open there: 0 at the end.
        """
        window = self._window
        while braces:
            character = window.skip_blanks()
            window.hold(OPENING)
            if character == b"}":
                window.move(window.at + 1)
                braces -= 1
            elif opening := NEXT_LIST.match(window.data, window.at):
                window.move(opening.end())
                return braces
            elif character != b"," or not self._read_member():
                self._collector.tell(window.line, "damaged after the list: the object around it has no end")
                return 0
        return 0

    def _read_member(self) -> bool:
        """Read a comma, a key, a colon and a value, for the records in the value. Return False if this is not one."""
        window = self._window
        window.move(window.at + 1)
        parts: list[bytes] = []
        line = window.line
        for expected in (b'"', b":", b""):
            character = window.skip_blanks()
            if expected and character != expected:
                return False
            line = window.line
            end = window.at + 1 if expected == b":" else window.value_end()
            if isinstance(end, str):
                return False
            parts.append(window.data[window.at : end])
            window.move(end)
        key, _, value = parts
        name = key_name(key)
        if name in RECORD_KEYS:
            self._collector.tell(
                line, f"{key.decode()} after a list: what is around the list may be a record, and was not read"
            )
            return True
        items = list(unwrap(b"{%b:%b}" % (key, value)))
        # A plain string beside the list is a message for people, and so not a problem.
        is_wrapper = name in KEYS and value.startswith((b"{", b"["))
        if is_wrapper or any(isinstance(item, Unwrapped) for item in items):
            self._collector.add_unwrapped(line, items)
        return True

    def _read_members_before(self, opening: re.Match[bytes]) -> None:
        """Read the records in the members of an object before its list, which are few and short."""
        start = opening[0]
        if b"eventName" not in start and b"\\u00" not in start:
            return
        braces = sum(group is not None for group in opening.groups())
        items = unwrap(b"%b]%b" % (start, b"}" * braces))
        self._collector.add_unwrapped(self._window.line, (item for item in items if isinstance(item, Unwrapped)))

    def _learn_first_key(self) -> None:
        self._window.hold(OPENING)
        if not self._first_key and (match := FIRST_KEY.match(self._window.data, self._window.at)):
            self._first_key = re.escape(match[1].decode())

    def _record_start(self) -> str:
        """Return the source of a pattern for the beginning of a record."""
        return rf"\{{ (?:{self._first_key or USUAL_KEY}|{USUAL_KEY})"

    def _skip_damage(self, reason: str, start: str) -> None:
        """Report a damaged value, and move on to where another one may begin."""
        window = self._window
        line, offset = window.line, window.offset
        self._too_deep = self._too_deep or reason == TOO_DEEP
        # Such a value is damaged at each of its levels. Without this, each level would be looked at and reported.
        if self._too_deep:
            window.hold(LATE)
            if nest := NEST.match(window.data, window.at, window.at + LATE):
                window.move(max(window.at, nest.end() - 1))
        window.resync(with_blanks(start))
        self._collector.tell(line, f"damaged record: {reason}; {window.offset - offset:,} bytes were left out")
