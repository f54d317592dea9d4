"""Read CloudTrail records from files, in any form that they are kept in, a part at a time.

Files may be plain, compressed (gzip, bzip2, xz, zstd) or archives (zip, tar); hold ``{"Records": [...]}`` as AWS
delivers it, lists, one record a line, records one after the other, or CSV; and the records may be wrapped (see
:mod:`sigma_stellar_aws.logs.envelopes`).

Nothing is lost in silence: what cannot be read is reported with file and line, and reading continues after it.
"""

from collections.abc import Iterator
from pathlib import Path

from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.logs.beginnings import (
    EVENT_NAME,
    OPENING,
    PARQUET_MARK,
    UTF8_MARK,
    bare_name,
    is_archive,
)
from sigma_stellar_aws.logs.collector import Collector, FilePart, TakeText
from sigma_stellar_aws.logs.csv_rows import is_table, record_cells
from sigma_stellar_aws.logs.decompress import decompressed, decompressed_chunks
from sigma_stellar_aws.logs.encodings import as_utf8
from sigma_stellar_aws.logs.find import SUFFIXES, looks_like_log, stored_size
from sigma_stellar_aws.logs.json_reader import JsonReader
from sigma_stellar_aws.logs.json_window import BLOCK, LONGEST_RECORD, Window
from sigma_stellar_aws.logs.other_forms import reason_by_beginning
from sigma_stellar_aws.logs.parquet_rows import parquet_rows
from sigma_stellar_aws.logs.portions import with_standard_input
from sigma_stellar_aws.logs.problem import OnProblem
from sigma_stellar_aws.logs.screening import Screen, everything

_WORKBOOK = "workbook.xml"
_SPREADSHEET = "this is a spreadsheet, which is not read; save it as CSV"
_NO_LOGS = "no file in this archive is a log, and so nothing of it was read"


def read_records(file: Path, report: OnProblem, passes: Screen = everything) -> Iterator[tuple[int, JsonObject]]:
    """Yield the records of a file that pass the screen, in order, each with its line."""
    for part in read_parts(file, report, passes):
        yield from part.passing


def read_parts(
    file: Path,
    report: OnProblem,
    passes: Screen,
    *,
    take: TakeText | None = None,
    block: int = BLOCK,
    longest: int = LONGEST_RECORD,
) -> Iterator[FilePart]:
    """Read a file, a part at a time.

    Args:
        file: the file, in any of the forms above.
        report: called with each problem: what could not be read, and where.
        passes: tells which records are wanted; the others are only counted.
        take: is offered each record that passes, before it is decoded.
        block: about how many bytes of text are read in one go; the records are the same for any number.
        longest: length of the longest record that is read, in bytes.
    """
    collector = Collector(file, report, passes, take)
    for _ in _read(file, collector, block, longest):
        yield collector.take()
    collector.finish()
    yield collector.take()


def read_event(file: Path, event_id: str | None, number: int | None, report: OnProblem) -> JsonObject:
    """Return one event of a file of CloudTrail records: the only one, or the one that is asked for.

    Args:
        file: any file that :func:`read_records` reads, or ``-`` for standard input.
        event_id: eventID of the event.
        number: number of the event in the file, counted from 1.
        report: called with each problem.

    Raises:
        NotFoundError: the file has no such event, or has several and none is asked for.
    """
    with with_standard_input([file]) as portion:
        [path] = portion.files
        name = portion.name_of(path)
        events = [record for _, record in read_records(path, lambda problem: report(portion.told(problem)))]
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


def _read(file: Path, collector: Collector, block: int, longest: int) -> Iterator[None]:
    """Read a file, pausing after each part."""
    damage: list[str] = []
    chunks = decompressed_chunks(file, block, collector.count_bytes, damage.append)
    window = Window(as_utf8(chunks, damage.append), block, longest)
    window.hold(OPENING)
    if is_archive(window.data):
        collector.count_bytes(stored_size(file) - collector.done_bytes)
        yield from _read_archive(file, collector, block, longest)
        return
    yield from _read_text(file, window, collector, block)
    for reason in damage:
        collector.tell(1, reason)


def _read_archive(file: Path, collector: Collector, block: int, longest: int) -> Iterator[None]:
    """Read those files in an archive that would be read in a folder, pausing after each part."""
    # It loads what unpacks archives, which few logs are kept in.
    from sigma_stellar_aws.logs.archives import archived_files, whole_chunks

    has_logs = is_spreadsheet = False
    for path, stream in archived_files(file, collector.report):
        damage: list[str] = []
        chunks = whole_chunks(decompressed(stream, path, block, lambda size: None, damage.append), damage.append)
        window = Window(as_utf8(chunks, damage.append), block, longest)
        window.hold(OPENING)
        collector.begin_file(path)
        is_spreadsheet = is_spreadsheet or path.name == _WORKBOOK
        if is_archive(window.data):
            has_logs = True
            collector.tell(1, "an archive in an archive; unpack it")
        elif bare_name(path).endswith(SUFFIXES) or looks_like_log(window.data[:OPENING]):
            has_logs = True
            yield from _read_text(path, window, collector, block)
            for reason in damage:
                collector.tell(1, reason)
    collector.begin_file(file)
    if not has_logs:
        collector.tell(1, _SPREADSHEET if is_spreadsheet else _NO_LOGS)


def _read_text(file: Path, window: Window, collector: Collector, block: int) -> Iterator[None]:
    """Read the text of a file, pausing after each part."""
    if reason := reason_by_beginning(window.data[:OPENING].removeprefix(UTF8_MARK)):
        collector.tell(1, reason)
        collector.count_bytes(max(0, stored_size(file) - collector.done_bytes))
        return
    if window.data.startswith(PARQUET_MARK):
        collector.count_bytes(stored_size(file) - collector.done_bytes)
        for number, text in parquet_rows(file, collector.tell):
            collector.add(number, text)
            yield
        return
    if window.data.startswith(UTF8_MARK):
        window.move(len(UTF8_MARK))
    if is_table(bare_name(file), window):
        for line, text in record_cells(window, collector.tell, collector.note):
            collector.add(line, text)
            yield
    else:
        collector.seems_log = looks_like_log(window.data[:OPENING]) or EVENT_NAME.search(window.data) is not None
        yield from JsonReader(window, collector, block).read()
        collector.end_text()
