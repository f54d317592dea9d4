"""Read the records in a table (CSV): in a column of whole records, or one in each row."""

import csv
import json
import re
from collections.abc import Callable, Iterator

from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.logs.beginnings import OPENING, TABLE
from sigma_stellar_aws.logs.json_window import Window
from sigma_stellar_aws.logs.other_forms import ATHENA, CONSOLE, OCSF, reason_by_columns
from sigma_stellar_aws.logs.sentinel_rows import is_row

_RECORD_COLUMN = "eventjson"
_WHOLE_COLUMNS = frozenset(("raw_data", "event.original", "_source", "_raw", "@message", "message"))
_DELIMITERS = ",;\t|"
_MENTIONS = ("eventName", "eventVersion", "\\u00")
"""What a cell with a record has, unless more than one of its keys is damaged; each key may be written with escapes."""
# Columns that tell where a table of parts comes from.
_PRODUCTS = (
    (("event name", "event time"), CONSOLE),
    (("eventversion", "useridentity"), ATHENA),
    (("class_uid", "activity_id"), OCSF),
)
_NO_RECORDS = (
    "this table has no column of whole records, such as eventJson, @message or _raw, and so nothing of it was read; in "
    "CloudTrail Lake, SELECT eventJson FROM the event data store"
)
_TRIED_ROWS = 100
"""Rows after which a table without any record is given up."""
_BACKSLASHES = rb'(?:^|[,;\t|\n]) ?"[{\[] ?\\"'
"""How a cell with JSON begins where a backslash stands before each quote in it, as Spark writes tables."""
_UNQUOTED = rb'(?:[^\n{"]{0,400}[,;\t|])?\{"[^"\n]{1,80}":"[^"\n]{0,80}"\\[,;\t|]'
"""How a table begins that has no quotes around cells but backslashes in them, as Snowflake unloads it."""
_CELL = r'([,;\t|]) ?"?[{\[] ?(?:""|\\?")'
"""The delimiter before a cell with JSON."""
_QUOTED = r'"[^"]*"'
_SEPARATOR = rb'"?sep=([,;\t|])"?\r?\n'
"""The line by which Excel is given the delimiter."""


def is_table(name: str, window: Window) -> bool:
    """Tell by the bare name of a file and by how it begins whether it is a table."""
    window.hold(OPENING)
    if not name.endswith((".csv", ".tsv")):
        return TABLE.match(window.data, window.at) is not None
    return (
        window.skip_blanks() not in (b"{", b"[")
        or re.match(_UNQUOTED, window.data[window.at : window.at + OPENING]) is not None
    )


def record_cells(
    window: Window, tell: Callable[[int, str], None], note: Callable[[int, str], None]
) -> Iterator[tuple[int, bytes]]:
    """Yield the JSON text of each record in a table, with the line on which its row begins.

    Args:
        window: at the header of the table.
        tell: called with the line and the reason for each row that cannot be read.
        note: called with the line and what is worth knowing of a table of which all was read.
    """
    # The limit holds for the whole process, and is smaller than a record.
    csv.field_size_limit(max(csv.field_size_limit(), window.longest))
    rows = csv.reader(_text_lines(window, tell), _dialect(window))
    columns: list[str] = []
    tried = found = without = damaged = 0
    while found or tried < _TRIED_ROWS:
        line = window.line
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            damaged += 1
            tell(line, f"damaged row: {error}")
            continue
        if not columns:
            has_header = not any(map(_may_hold_record, row))
            columns = _distinct(row if has_header else [f"column {number}" for number in range(1, len(row) + 1)])
            if reason := _reason_against(columns):
                tell(line, reason)
                return
            if has_header:
                continue
        if row and len(row) != len(columns):
            damaged += 1
            tell(line, f"damaged row: it has {len(row)} columns, the first row has {len(columns)}")
        elif row:
            texts = list(_record_texts(columns, row))
            tried += 1
            found += len(texts)
            without += not texts
            for text in texts:
                yield line, text
    if tried and not found:
        tell(1, _NO_RECORDS)
    elif without:
        tell(1, f"{plural(without, 'row')} of this table without a record")
    elif columns and not tried + damaged:
        note(1, "this table has a header, and no rows")


def _dialect(window: Window) -> type[csv.Dialect]:
    """Return how the table that begins here is written, and move past a line that only says so."""
    window.hold(OPENING)
    stated = re.match(_SEPARATOR, window.data[window.at : window.at + OPENING])
    if stated:
        window.move(window.at + stated.end())
        window.hold(OPENING)
    start = window.data[window.at : window.at + OPENING]
    first_line = start.splitlines()[0].decode("latin-1") if start else ""
    cell = re.search(_CELL, first_line)
    names = re.sub(_QUOTED, "", first_line) or first_line

    class Dialect(csv.Dialect):
        delimiter = stated[1].decode() if stated else cell[1] if cell else max(_DELIMITERS, key=names.count)
        quotechar = '"'
        quoting = csv.QUOTE_NONE if re.match(_UNQUOTED, start) else csv.QUOTE_MINIMAL
        escapechar = "\\" if quoting == csv.QUOTE_NONE or re.search(_BACKSLASHES, start) else None
        doublequote = escapechar is None
        lineterminator = "\n"
        skipinitialspace = True
        strict = True

    return Dialect


def _distinct(row: list[str]) -> list[str]:
    """Return the names of columns, each different from the others."""
    names: list[str] = []
    for name in map(str.strip, row):
        names.append(f"{name} {len(names)}" if name in names else name)
    return names


def _reason_against(columns: list[str]) -> str:
    """Return why a table with these columns has no whole records, if it is known to have none."""
    lowered = {name.lower() for name in columns}
    # With CloudTrail's own names, the columns may hold all that a record has.
    if any(name.partition(" ")[0] == _RECORD_COLUMN for name in lowered) or "eventVersion" in columns:
        return ""
    if lowered & _WHOLE_COLUMNS:
        return ""
    known = (reason for marks, reason in _PRODUCTS if lowered.issuperset(marks))
    return next(known, "" if is_row(dict.fromkeys(columns)) else reason_by_columns(columns))


def _record_texts(columns: list[str], row: list[str]) -> Iterator[bytes]:
    """Yield the JSON of the records in a row: its cells with whole records, or an object of all cells."""
    whole = [cell for name, cell in zip(columns, row, strict=True) if name.lower().split(" ")[0] == _RECORD_COLUMN]
    if whole:
        yield from (cell.encode("utf-8", "surrogateescape") for cell in whole)
        return
    cells = {name: cell for name, cell in zip(columns, row, strict=True) if cell}
    is_record = cells.get("userIdentity", "").startswith("{") or is_row(cells)
    if is_record or any(map(_may_hold_record, cells.values())):
        yield json.dumps(cells, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _may_hold_record(cell: str) -> bool:
    return cell.lstrip()[:1] in ("{", "[", '"') and any(mention in cell for mention in _MENTIONS)


def _text_lines(window: Window, tell: Callable[[int, str], None]) -> Iterator[str]:
    """Yield the lines with their ends; bytes that are not UTF-8 become surrogates, from which they can be restored."""
    window.hold(OPENING)
    start = window.data[window.at : window.at + OPENING]
    # Tables of old spreadsheets have no other line breaks.
    mark = b"\r" if b"\r" in start and b"\n" not in start else b"\n"
    while True:
        window.hold(1)
        end = window.data.find(mark, window.at) + 1
        if not end and not window.ended and len(window.data) - window.at <= window.longest:
            window.extend()
            continue
        end = end or len(window.data)
        if end - window.at > window.longest:
            line = window.line
            skipped = window.resync(re.compile(mark))
            tell(line, f"damaged row: it is longer than {window.longest:,} bytes; {skipped:,} were left out")
        elif end == window.at:
            return
        else:
            text = window.data[window.at : end].decode("utf-8", "surrogateescape")
            window.move(end)
            yield text.replace("\r", "\n") if mark == b"\r" else text
