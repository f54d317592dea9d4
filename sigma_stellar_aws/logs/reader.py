"""Reads CloudTrail records out of files, in any form that they are kept in, a part at a time.

Files may be plain or gzip; hold ``{"Records": [...]}`` as AWS delivers it, lists, one record a line, records one after
the other, or CSV of CloudTrail Lake; and the records may be wrapped (see :mod:`sigma_stellar_aws.logs.envelopes`).

Nothing is lost in silence: what cannot be read is reported with file and line, and reading goes on behind it.
"""

import csv
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple, TypeAlias, cast

import msgspec
from zlib_ng import zlib_ng

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.logs.beginnings import OPENING, STAMP, TABLE, UTF8_MARK, UTF16_MARKS, bare_name
from sigma_stellar_aws.logs.envelopes import KEYS, LISTS, NOTICES, Unwrapped, mend, unwrap
from sigma_stellar_aws.logs.json_window import BLOCK, LONGEST, TOO_DEEP, Window
from sigma_stellar_aws.logs.problem import OnProblem, Problem

Screen: TypeAlias = Callable[[object, object], bool]
"""Says of ``eventSource`` and ``eventName`` of a record whether it has to be looked at."""


class Part(NamedTuple):
    """What was read of a file at one go."""

    records: int
    passing: list[tuple[int, JsonObject]]
    """Those records that the screen lets pass, with their lines, in their order."""
    done_bytes: int
    """How many bytes of the file it took, as it is stored."""


def everything(source: object, name: object) -> bool:
    """The screen that lets every record pass."""
    return True


class _Screened(msgspec.Struct, gc=False):
    # Only texts, so that they can be looked up; others go the long way.
    eventSource: str | None = None  # noqa: N815
    eventName: str | None = None  # noqa: N815
    # Where the whole record stands beside fields of it: whatever has these goes the long way, too.
    raw: None = msgspec.field(default=None, name="_raw")
    at_message: None = msgspec.field(default=None, name="@message")
    CloudTrailEvent: None = None
    eventjson: None = None
    eventJson: None = None  # noqa: N815
    original: None = None
    message: None = None


_CHUNK = 1 << 16
# Few enough records that often none of them is needed.
_MOST_AT_ONCE = 1 << 15
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode_screened = msgspec.json.Decoder(_Screened).decode
_decode_all_screened = msgspec.json.Decoder(list[_Screened]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_record = msgspec.json.Decoder(dict[str, object]).decode


def _pattern(text: str) -> re.Pattern[bytes]:
    """A pattern in which a blank stands for any blanks; not for too many, as a match has to lie within a window."""
    return re.compile(text.encode().replace(b" ", rb"[ \t\r\n]{0,200}"))


_TEXT = r'"(?:[^"\\]|\\.)*"'
_LIST_KEY = f'"(?:{"|".join(LISTS)})"'
_OBJECT_WITH_LIST = rf"(\{{) {_LIST_KEY} : \["
_LIST = _pattern(rf"\[|{_OBJECT_WITH_LIST}")
_NEXT_LIST = _pattern(rf", {_LIST_KEY} : \[")
# Flat members, which are none of a record.
_MEMBERS = (
    rf'(?:(?!"event(?:Source|Name)"){_TEXT} : (?:{_TEXT}|\{{(?:[^{{}}"]|{_TEXT})*\}}|[^\s"{{}}\[\],]+|\[ \]) , )*'
)
_LATE_LIST = _pattern(rf'(\{{) {_MEMBERS}(?:"hits" : (\{{) {_MEMBERS})?{_LIST_KEY} : \[')
_HEADS = (b'"eventSource"', b'"eventName"')
_WRAPPERS = frozenset(f'"{key}"'.encode() for key in KEYS)
_JOINED = b'{"Records":['
_SPREAD = re.compile(rb"\{[ \t\r]*\n")
_LINE = re.compile(rb"\n")
_LINE_END = re.compile(rb"[ \t\r]*\n")
_FIRST_KEY = _pattern(r'\{ ("[\w.:@-]{1,100}")')
_USUAL_KEY = '"eventVersion"'
_BETWEEN = _pattern(r', \{ "[^"\\]{1,100}"')
# Objects and lists that only open others, none of which is a record.
_NEST = _pattern(r'(?:\[ |\{ "(?!eventVersion")[^"\\]{0,100}" : ){0,500}')
_SEPARATOR = re.compile(rb"[ \t\r\n,]*")
# As much as the patterns above may match, and the late one.
_LATE = 1 << 16
# More bytes than a record has: what is longer may be a wrapper whose list is not the first in it.
_NO_RECORD = 1 << 20
_COMMA = re.compile(rb"[ \t\r\n]{0,200},(?=[ \t\r\n]{0,200}\{|[ \t\r]{0,200}\n[ \t\r\n]{0,200}\Z)")
_RECORD_COLUMN = "eventjson"
_DELIMITERS = ",;\t"
_NO_RECORD_COLUMN = (
    "this table has no column eventjson, and so only parts of the records; in CloudTrail Lake, query "
    "SELECT eventJson FROM the event data store, and in the event history, download JSON"
)


def read_records(file: Path, report: OnProblem, passes: Screen = everything) -> Iterator[tuple[int, JsonObject]]:
    """The records of a file that the screen lets pass, in their order, with their lines."""
    for part in read_parts(file, report, passes):
        yield from part.passing


def read_parts(
    file: Path, report: OnProblem, passes: Screen, *, block: int = BLOCK, longest: int = LONGEST
) -> Iterator[Part]:
    """What a file holds, a part at a time.

    Args:
        file: the file, in any of the forms above.
        report: is told of what cannot be read.
        passes: says which records are wanted; the others are only counted.
        block: about as many bytes of text are read at one go; the records are the same for any number.
        longest: bytes of the longest record that is read.
    """
    reading = _Reading(file, report, passes, block, longest)
    for _ in reading.run():
        yield reading.take()
    yield reading.take()


def read_event(file: Path, event_id: str | None, number: int | None, report: OnProblem) -> JsonObject:
    """One event of a file of CloudTrail records: the only one, or the one that is asked for.

    Args:
        file: any file that :func:`read_records` reads, or ``-`` for standard input.
        event_id: eventID of the event.
        number: its place among the events of the file, from 1 on.
        report: is told of what cannot be read.

    Raises:
        NotFoundError: the file has no such event, or has several and none is asked for.
    """
    # It is an error of Sigma's, and Sigma takes longer to load than most files to read.
    from sigma_stellar_aws.base.errors import NotFoundError

    with _as_file(file) as (path, name):
        events = [record for _, record in read_records(path, lambda problem: report(problem._replace(file=name)))]
    if event_id is not None:
        events = [event for event in events if event.get("eventID") == event_id]
        if not events:
            raise NotFoundError(f"{name}: no event has the eventID {event_id!r}")
        # AWS delivers some events twice.
        return events[0]
    if number is not None:
        if not 1 <= number <= len(events):
            raise NotFoundError(f"{name}: there is no event number {number}; it has {len(events)} events")
        return events[number - 1]
    if len(events) != 1:
        raise NotFoundError(
            f"{name}: it has {len(events)} events; choose one by its eventID or its number from 1 on"
            if events
            else f"{name}: it has no event"
        )
    return events[0]


@contextmanager
def _as_file(file: Path) -> Iterator[tuple[Path, Path]]:
    """A file and what to call it; standard input as a file of its own."""
    if str(file) != "-":
        yield file, file
        return
    with TemporaryDirectory() as folder:
        copied = Path(folder) / "events.json"
        copied.write_bytes(sys.stdin.buffer.read())
        yield copied, Path("standard input")


class _Reading:
    """A file that is being read."""

    def __init__(self, file: Path, report: OnProblem, passes: Screen, block: int, longest: int) -> None:
        self._file = file
        self._report = report
        self._passes = passes
        self._needed = lru_cache(65536)(
            lambda source, name: source is None or name is None or source.startswith(NOTICES) or passes(source, name)
        )
        self._damage: list[str] = []
        self._window = Window(self._chunks(), block, longest)
        self._block_size = block
        # The first key of a record, and what lies between two of a list: a tool writes them alike for all.
        self._first_key = ""
        self._between = b'},{"eventVersion"'
        # Where records could not be read many at a time, up to this place.
        self._slow_until = 0
        self._too_deep = False
        self._records = 0
        self._passing: list[tuple[int, JsonObject]] = []
        self._done_bytes = 0

    def take(self) -> Part:
        """What was read since the last time."""
        part = Part(self._records, self._passing, self._done_bytes)
        self._records, self._passing, self._done_bytes = 0, [], 0
        return part

    def run(self) -> Iterator[None]:
        """Read the file, pausing after every part."""
        window = self._window
        window.hold(OPENING)
        if window.data.startswith(UTF16_MARKS):
            self._tell(1, "this is UTF-16; nothing of it was read, write it as UTF-8")
            return
        if window.data.startswith(UTF8_MARK):
            window.move(len(UTF8_MARK))
        is_table = bare_name(self._file).endswith(".csv") and window.skip_blanks() not in (b"{", b"[")
        if is_table or TABLE.match(window.data, window.at):
            yield from self._rows()
        else:
            yield from self._values()
        for reason in self._damage:
            self._tell(1, reason)

    def _values(self) -> Iterator[None]:
        """Read lists and other values, one after the other, with line ends between them or not."""
        window = self._window
        at_line = True
        while window.skip_blanks():
            window.hold(OPENING)
            if window.data.startswith(UTF8_MARK, window.at):
                # Of a file that was joined to another.
                window.move(window.at + len(UTF8_MARK))
                continue
            if at_line and (stamp := STAMP.match(window.data, window.at)):
                window.move(stamp.end())
            if opening := _LIST.match(window.data, window.at):
                yield from self._list(opening)
            elif not (at_line and self._lines()):
                yield from self._value()
                at_line = _LINE_END.match(window.data, window.at) is not None
            yield

    def _lines(self) -> bool:
        """Read the lines in the window that are an object each, up to one that is not; False if the first is not."""
        window = self._window
        self._learn_first_key()
        data, at, number = window.data, window.at, window.line
        while (end := data.find(b"\n", at)) >= 0:
            line = data[at:end]
            if line and not line.isspace():
                try:
                    screened = _decode_screened(line)
                except _BROKEN:
                    break
                if len(line) > window.longest:
                    break
                if self._needed(screened.eventSource, screened.eventName):
                    self._read_screened(number, line, screened)
                else:
                    self._records += 1
            at = end + 1
            number += 1
        moved = at > window.at
        window.move(at)
        return moved

    def _value(self) -> Iterator[None]:
        """Read one value, wherever it ends."""
        window = self._window
        self._learn_first_key()
        end = window.value_end(_NO_RECORD)
        if isinstance(end, str):
            window.hold(_LATE)
            if opening := _LATE_LIST.match(window.data, window.at, window.at + _LATE):
                yield from self._list(opening)
                return
            end = window.value_end()
        if isinstance(end, int):
            self._read(window.line, window.data[window.at : end])
            window.move(end)
            window.hold(OPENING)
            if comma := _COMMA.match(window.data, window.at):
                window.move(comma.end())
            return
        start = f"{self._record_start()}|{_OBJECT_WITH_LIST}"
        # A record on one line ends with it.
        spread = _SPREAD.match(window.data, window.at)
        self._skip_damage(end, start if spread else rf"\n|{start}")

    def _list(self, opening: re.Match[bytes]) -> Iterator[None]:
        """Read a list, and on to the end of what wraps it."""
        window = self._window
        began = window.line
        braces = sum(group is not None for group in opening.groups())
        window.move(opening.end())
        window.skip_blanks()
        self._learn_first_key()
        before = ""
        while character := window.skip_blanks():
            if character in b"],":
                if before == "comma" or (before == "" and character == b","):
                    self._tell(window.line, "damaged list: a comma without a record")
                window.move(window.at + 1)
                before = "comma"
                if character == b"]":
                    braces = self._wrapper_end(braces)
                    if not braces:
                        return
                    before = ""
                continue
            if before != "value" and window.place >= self._slow_until and self._blocks():
                before = "value"
            else:
                before = self._element(before)
            yield
        self._tell(began, "damaged list: it has no end")

    def _blocks(self) -> bool:
        """Read records of a list, many at a time, and stop behind one; False if none could be read."""
        window = self._window
        window.hold(self._block_size)
        data, start = window.data, window.at
        while True:
            at, most = window.at, window.at + min(window.longest, _MOST_AT_ONCE)
            last = window.ended and len(data) <= most
            end = data.rfind(b"]", at) if last else data.rfind(self._between, at, most) + 1
            if not self._block(end):
                break
            if last or data[end : end + 2] != b",{":
                return True
            window.move(end + 1)
        if at > start:
            # Back to the comma.
            window.at -= 1
            return True
        self._slow_until = window.place + max(0, end - at)
        # Looked for only now, as that takes as long as to decompress.
        joined = data.find(_JOINED, at, end)
        return joined >= 0 and self._block(data.rfind(b"]", at, joined))

    def _block(self, end: int) -> bool:
        """Read the records of a list up to a place in the window; False if these are not whole records."""
        window = self._window
        if end <= window.at:
            return False
        block = b"".join((b"[", memoryview(window.data)[window.at : end], b"]"))
        try:
            screened = _decode_all_screened(block)
        except _BROKEN:
            return False
        is_needed = self._needed
        needed = [number for number, each in enumerate(screened) if is_needed(each.eventSource, each.eventName)]
        self._records += len(screened) - len(needed)
        if needed:
            raws = _decode_list(block)
            for number, line in zip(needed, _lines_of(block, raws, needed, window.line), strict=True):
                self._read_screened(line, raws[number], screened[number])
        window.move(end)
        return True

    def _element(self, before: str) -> str:
        """Read one element of a list; what it is to what follows."""
        window = self._window
        end = window.value_end()
        if isinstance(end, str):
            self._skip_damage(end, self._record_start())
            return ""
        if before == "value":
            self._tell(window.line, "damaged list: no comma before this record")
        self._read(window.line, window.data[window.at : end])
        window.move(end)
        window.hold(OPENING)
        if between := _BETWEEN.match(window.data, window.at):
            self._between = b"}" + between[0]
        return "value"

    def _wrapper_end(self, braces: int) -> int:
        """Read on to the end of what wraps a list; if another list begins before it, to that, and give the braces."""
        window = self._window
        while braces:
            character = window.skip_blanks()
            window.hold(OPENING)
            if character == b"}":
                window.move(window.at + 1)
                braces -= 1
            elif opening := _NEXT_LIST.match(window.data, window.at):
                window.move(opening.end())
                return braces
            elif character != b"," or not self._member():
                self._tell(window.line, "damaged behind the list: the object around it has no end")
                return 0
        return 0

    def _member(self) -> bool:
        """Read a comma, a key, a colon and a value, for what the value may hold; False if there is none."""
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
        if key in _HEADS:
            self._tell(line, f"{key.decode()} behind a list: what is around the list may be a record, and was not read")
        elif key in _WRAPPERS:
            found = unwrap(b"{%b:%b}" % (key, value))
            # A word beside the list is meant for people.
            told = value.startswith((b"{", b"["))
            self._take_found(line, (each for each in found if told or isinstance(each, Unwrapped)))
        return True

    def _rows(self) -> Iterator[None]:
        """Read a table (CSV) with a column of records."""
        window = self._window
        # The limit is one of the process, and smaller than a record.
        csv.field_size_limit(max(csv.field_size_limit(), window.longest))
        window.hold(OPENING)
        header = window.data[window.at : window.at + OPENING].partition(b"\n")[0].decode("latin-1")
        delimiter = max(_DELIMITERS, key=header.count)
        rows = csv.reader(self._text_lines(), strict=True, delimiter=delimiter, skipinitialspace=True)
        columns: list[str] = []
        while True:
            line = window.line
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                self._tell(line, f"damaged row: {error}")
                continue
            if not columns:
                columns = [name.strip().lower() for name in row]
                if row and _RECORD_COLUMN not in columns:
                    self._tell(line, _NO_RECORD_COLUMN)
                    return
            elif row and len(row) != len(columns):
                self._tell(line, f"damaged row: it has {len(row)} columns, the first row has {len(columns)}")
            elif row:
                self._read(line, row[columns.index(_RECORD_COLUMN)].encode("utf-8", "surrogateescape"))
            yield

    def _text_lines(self) -> Iterator[str]:
        """The lines, with their ends; bytes that are no UTF-8 stay what they are."""
        window = self._window
        while True:
            window.hold(1)
            end = window.data.find(b"\n", window.at) + 1
            if not end and not window.ended and len(window.data) - window.at <= window.longest:
                window.extend()
                continue
            end = end or len(window.data)
            if end - window.at > window.longest:
                line = window.line
                skipped = window.resync(_LINE)
                self._tell(line, f"damaged row: it is longer than {window.longest:,} bytes; {skipped:,} were left out")
            elif end == window.at:
                return
            else:
                text = window.data[window.at : end].decode("utf-8", "surrogateescape")
                window.move(end)
                yield text

    def _read_screened(self, line: int, value: bytes | msgspec.Raw, screened: _Screened) -> None:
        """Take a value that passes the screen, and that most probably is a record."""
        if screened.eventSource is None or screened.eventName is None or screened.eventSource.startswith(NOTICES):
            self._read(line, value)
        else:
            self._take(line, value)

    def _read(self, line: int, value: bytes | msgspec.Raw) -> None:
        """Take those records of a value that pass the screen, and tell of what is none."""
        self._take_found(line, unwrap(value))

    def _take_found(self, line: int, several: Iterable[Unwrapped | str]) -> None:
        for found in several:
            if isinstance(found, str):
                self._tell(line, found)
                continue
            source, name = found.head.eventSource, found.head.eventName
            texts = isinstance(source, str) and isinstance(name, str)
            if self._needed(source, name) if texts else self._passes(source, name):
                self._take(line, found.text)
            else:
                self._records += 1

    def _take(self, line: int, text: bytes | msgspec.Raw) -> None:
        try:
            self._passing.append((line, _record(text)))
        except _BROKEN as error:
            self._tell(line, f"damaged record: {error}")
        else:
            self._records += 1

    def _learn_first_key(self) -> None:
        if not self._first_key:
            self._window.hold(OPENING)
            match = _FIRST_KEY.match(self._window.data, self._window.at)
            self._first_key = re.escape(match[1].decode()) if match else ""

    def _record_start(self) -> str:
        """What a record begins with, as a pattern."""
        return rf"\{{ (?:{self._first_key or _USUAL_KEY}|{_USUAL_KEY})"

    def _skip_damage(self, reason: str, start: str) -> None:
        """Tell of a damaged value, and move on to where another may begin."""
        window = self._window
        line, place = window.line, window.place
        self._too_deep = self._too_deep or reason == TOO_DEEP
        # It is damaged at each of its levels; without this, each would be looked at and told.
        if self._too_deep:
            window.hold(_LATE)
            if nest := _NEST.match(window.data, window.at, window.at + _LATE):
                window.move(max(window.at, nest.end() - 1))
        window.resync(_pattern(start))
        self._tell(line, f"damaged record: {reason}; {window.place - place:,} bytes were left out")

    def _tell(self, line: int, reason: str) -> None:
        self._report(Problem(self._file, line, reason))

    def _chunks(self) -> Iterator[bytes]:
        """The bytes of the file, decompressed; where they break off, the reason goes to damage."""
        try:
            with self._file.open("rb") as stream:
                data = self._stored(stream)
                if not data and self._file.suffix == ".gz":
                    self._damage.append("empty, which compressed data never is")
                if not data.startswith(b"\x1f\x8b"):
                    while data:
                        yield data
                        data = self._stored(stream)
                    return
                while data:
                    member = zlib_ng.decompressobj(wbits=31)
                    while data and not member.eof:
                        yield from _decompressed(member, data, self._block_size)
                        data = member.unused_data if member.eof else self._stored(stream)
                    if not member.eof:
                        self._damage.append("the compressed data ends too early; the file is not whole")
                    data = data.lstrip(b"\0") or self._stored(stream)
        except zlib_ng.error as error:  # type: ignore[misc]  # its stub has no base class
            self._damage.append(f"damaged compressed data: {error}")
        except OSError as error:
            self._damage.append(f"cannot be read: {error.strerror}")

    def _stored(self, stream: BinaryIO) -> bytes:
        data = stream.read(max(2, min(_CHUNK, self._block_size)))
        self._done_bytes += len(data)
        return data


def _record(text: bytes | msgspec.Raw) -> JsonObject:
    try:
        return cast(JsonObject, _decode_record(text))
    except _BROKEN:
        mended = mend(text)
        if mended is None:
            raise
        return cast(JsonObject, _decode_record(mended))


def _decompressed(member: zlib_ng._Decompress, data: bytes, most: int) -> Iterator[bytes]:
    """The text of compressed data, in pieces of so many bytes, as a few may stand for a great many."""
    while True:
        text = member.decompress(data, most)
        yield text
        if len(text) < most or member.eof:
            return
        data = member.unconsumed_tail


def _lines_of(block: bytes, raws: list[msgspec.Raw], needed: list[int], line: int) -> Iterator[int]:
    """The lines of those elements of a list that are needed, when the list begins in a line."""
    if b"\n" not in block:
        yield from itertools.repeat(line, len(needed))
        return
    wanted = set(needed)
    at = 1
    for number, raw in enumerate(raws[: needed[-1] + 1]):
        start = cast("re.Match[bytes]", _SEPARATOR.match(block, at)).end()
        line += block.count(b"\n", at, start)
        if number in wanted:
            yield line
        at = start + len(memoryview(raw))
        line += block.count(b"\n", start, at)
