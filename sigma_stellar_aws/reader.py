"""Reads CloudTrail files: ``{"Records": [...]}`` as AWS delivers them, lists, or one record a line; plain or gzip.

Nothing is lost in silence: what cannot be read is reported with file and line, and reading goes on behind it.
"""

import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias, cast

import msgspec
from zlib_ng import zlib_ng

from sigma_stellar_aws.errors import NotFoundError
from sigma_stellar_aws.jsontypes import JsonObject
from sigma_stellar_aws.screen import Screen

SUFFIXES = (".json", ".jsonl", ".ndjson", ".log")
"""Endings of the files that are read in a folder, each also with ``.gz``; a file that is named is always read."""


class Problem(NamedTuple):
    """Something that could not be read, and why."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        """The problem as ``file:line: reason``."""
        return f"{self.file}:{self.line}: {self.reason}"


Report: TypeAlias = Callable[[Problem], None]


class _File(msgspec.Struct):
    Records: list[msgspec.Raw]


class _Head(msgspec.Struct):
    eventSource: object = None  # noqa: N815
    eventName: object = None  # noqa: N815
    digestStartTime: object = None  # noqa: N815
    Records: object = None


_CHUNK = 1 << 16
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_file = msgspec.json.Decoder(_File).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_record = msgspec.json.Decoder(dict[str, object]).decode
_FILE = re.compile(rb'\s*\{\s*"Records"\s*:\s*\[')
_LIST = re.compile(rb"\s*\[")
_SPREAD_RECORD = re.compile(rb"\s*\{\s*\n")
_NEXT_FILE = re.compile(rb'\}\s*(?=\{\s*"Records"\s*:\s*\[)')
_FIRST_KEY = re.compile(r'[\s,]*\{\s*("[^"]*")')
_BETWEEN = re.compile(r"[\s,]*")


def find_files(paths: Iterable[Path], report: Report) -> list[Path]:
    """The files themselves, and the CloudTrail files in and below the folders, each once, in order of their paths."""

    def refused(error: OSError) -> None:
        report(Problem(Path(error.filename), 1, f"cannot be looked into: {error.strerror}"))

    files: dict[Path, None] = {}
    for path in paths:
        found = (Path(folder, name) for folder, _, names in os.walk(path, onerror=refused) for name in names)
        files.update(dict.fromkeys(sorted(filter(_is_log, found)) if path.is_dir() else [path]))
    return list(files)


def read_records(file: Path, report: Report, passes: Screen) -> Iterator[tuple[int, JsonObject | None]]:
    """Every record of a file in its order, with its line; None for those that the screen does not let pass."""
    for line, raw in _raw_records(file, report):
        yield from _record(file, line, raw, report, passes)


def read_event(file: Path, event_id: str | None, number: int | None, report: Report) -> JsonObject:
    """One event of a file of CloudTrail records: the only one, or the one that is asked for.

    Args:
        file: any file that :func:`read_records` reads, or ``-`` for standard input.
        event_id: eventID of the event.
        number: its place among the events of the file, from 1 on.
        report: is told of what cannot be read.

    Raises:
        NotFoundError: the file has no such event, or has several and none is asked for.
    """
    with _as_file(file) as (path, name):
        events = [
            record
            for _, record in read_records(
                path, lambda problem: report(problem._replace(file=name)), lambda source, event_name: True
            )
            if record is not None
        ]
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


def _record(
    file: Path, line: int, raw: bytes | msgspec.Raw, report: Report, passes: Screen
) -> Iterator[tuple[int, JsonObject | None]]:
    try:
        head = _decode_head(raw)
        if head.eventSource is not None or head.eventName is not None:
            yield line, cast(JsonObject, _decode_record(raw)) if passes(head.eventSource, head.eventName) else None
        elif isinstance(head.Records, list):
            for element in _decode_file(raw).Records:
                yield from _record(file, line, element, report, passes)
        elif head.digestStartTime is None:
            report(Problem(file, line, "not a CloudTrail record: it has neither eventSource nor eventName"))
    except _BROKEN as error:
        report(Problem(file, line, f"damaged record: {error}"))


def _is_log(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(SUFFIXES) and path.is_file()


def _raw_records(file: Path, report: Report) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
    """The JSON text of every record, with the line it stands on."""
    damage: list[str] = []
    chunks = _chunks(file, damage)
    start = next(chunks, b"").removeprefix(b"\xef\xbb\xbf")
    if _FILE.match(start) or _LIST.match(start):
        yield from _elements(file, 1, b"".join([start, *chunks]), report)
    elif _SPREAD_RECORD.match(start):
        spread = b"".join([start, *chunks]).decode("utf-8", "replace")
        yield from _whole_elements(1, spread, 0, lambda line, reason: report(Problem(file, line, reason)))
    else:
        for line, text in _lines(start, chunks):
            yield from _elements(file, line, text, report) if _FILE.match(text) else [(line, text)]
    for reason in damage:
        report(Problem(file, 1, reason))


def _chunks(file: Path, damage: list[str]) -> Iterator[bytes]:
    """The bytes of a file, decompressed; where they break off, the reason goes to damage."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_CHUNK)
            if not data and file.suffix == ".gz":
                damage.append("empty, which compressed data never is")
            if not data.startswith(b"\x1f\x8b"):
                while data:
                    yield data
                    data = stream.read(_CHUNK)
                return
            while data:
                member = zlib_ng.decompressobj(wbits=31)
                while data and not member.eof:
                    yield member.decompress(data)
                    data = member.unused_data if member.eof else stream.read(_CHUNK)
                if not member.eof:
                    damage.append("the compressed data ends too early; the file is not whole")
                data = data.lstrip(b"\0") or stream.read(_CHUNK)
    except zlib_ng.error as error:  # type: ignore[misc]  # its stub has no base class
        damage.append(f"damaged compressed data: {error}")
    except OSError as error:
        damage.append(f"cannot be read: {error.strerror}")


def _lines(start: bytes, chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers."""
    done = 0
    rest = b""
    for chunk in itertools.chain([start], chunks):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from ((done + number, line) for number, line in enumerate(whole, 1) if line.strip())
        done += len(whole)
    if rest.strip():
        yield done + 1, rest


def _elements(file: Path, line: int, data: bytes, report: Report) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
    """The elements of a list or of ``Records``; of a damaged one, those that are whole."""
    try:
        elements = _decode_list(data) if _LIST.match(data) else _decode_file(data).Records
    except _BROKEN as error:
        starts = [match.end() for match in _NEXT_FILE.finditer(data)]
        if starts:
            # Log files that were simply joined.
            for start, end in zip([0, *starts], [*starts, len(data)], strict=True):
                yield from _elements(file, line, data[start:end], report)
                line += data.count(b"\n", start, end)
            return
        report(Problem(file, line, f"damaged file: {error}; the records that are whole were read"))
        text = data.decode("utf-8", "replace")
        yield from _whole_elements(line, text, text.index("[") + 1, lambda line, reason: None)
    else:
        yield from ((line, element) for element in elements)


def _whole_elements(line: int, text: str, end: int, damaged: Callable[[int, str], None]) -> Iterator[tuple[int, bytes]]:
    """The JSON values from a position on that are whole; of others the line and the reason are told."""
    decode = json.JSONDecoder().raw_decode
    # Behind damage a record is known by its first key, which is the same in all records that a tool has written.
    first_key = _FIRST_KEY.match(text, end)
    record = re.compile(r"\{\s*" + re.escape(first_key[1] if first_key else '"eventVersion"'))
    position = 0
    while True:
        start = cast("re.Match[str]", _BETWEEN.match(text, end)).end()
        line += text.count("\n", position, start)
        position = start
        try:
            _, end = decode(text, position)
        except (ValueError, RecursionError) as error:
            if position < len(text):
                damaged(line, f"damaged record: {error}")
            following = record.search(text, position + 1)
            if following is None:
                return
            end = following.start()
        else:
            yield line, text[position:end].encode("utf-8", "surrogatepass")
