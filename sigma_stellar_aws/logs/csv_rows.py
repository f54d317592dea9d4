"""Read the records in a table (CSV): in a column of whole records, or one in each row."""

import csv
import json
import re
from collections.abc import Callable, Iterator

from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.logs.beginnings import OPENING
from sigma_stellar_aws.logs.json_window import Window

_RECORD_COLUMN = "eventjson"
_DELIMITERS = ",;\t|"
_PARTS = "this table has only parts of the records"
# Columns that tell where a table of parts comes from, and how to have whole records from there.
_PRODUCTS = (
    (
        ("event name", "event time"),
        f"{_PARTS}: it is the event history of CloudTrail's console; download it as JSON there, or run "
        "aws cloudtrail lookup-events",
    ),
    (
        ("eventversion", "useridentity"),
        f"{_PARTS}: it is the result of a query in Athena, or in CloudTrail Lake; read the log files in S3 that Athena "
        "reads, or in CloudTrail Lake SELECT eventJson FROM the event data store",
    ),
    (
        ("class_uid", "activity_id"),
        f"{_PARTS}: it is OCSF, the schema of Security Lake; read CloudTrail's own log files in S3",
    ),
)
_NO_RECORDS = (
    "this table has no column of whole records, such as eventJson, @message or _raw, and so nothing of it was read; in "
    "CloudTrail Lake, SELECT eventJson FROM the event data store"
)
_TRIED_ROWS = 100
"""Rows after which a table without any record is given up."""
_BACKSLASHES = re.compile(rb'(?:^|[,;\t|\n]) ?"[{\[] ?\\"')
"""How a cell with JSON begins where a backslash stands before each quote in it, as Spark writes tables."""
_LINE_BREAK = re.compile(rb"\n")


def record_cells(window: Window, tell: Callable[[int, str], None]) -> Iterator[tuple[int, bytes]]:
    """Yield the JSON text of each record in a table, with the line on which its row begins.

    Args:
        window: at the header of the table.
        tell: called with the line and the reason for each row that cannot be read.
    """
    # The limit holds for the whole process, and is smaller than a record.
    csv.field_size_limit(max(csv.field_size_limit(), window.longest))
    window.hold(OPENING)
    header = window.data[window.at : window.at + OPENING].partition(b"\n")[0].decode("latin-1")
    delimiter = max(_DELIMITERS, key=header.count)
    by_backslash = _BACKSLASHES.search(window.data, window.at, window.at + OPENING) is not None
    rows = csv.reader(
        _text_lines(window, tell),
        strict=True,
        delimiter=delimiter,
        skipinitialspace=True,
        doublequote=not by_backslash,
        escapechar="\\" if by_backslash else None,
    )
    columns: list[str] = []
    tried = found = without = 0
    while found or tried < _TRIED_ROWS:
        line = window.line
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
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
    return next((reason for marks, reason in _PRODUCTS if lowered.issuperset(marks)), "")


def _record_texts(columns: list[str], row: list[str]) -> Iterator[bytes]:
    """Yield the JSON of the records in a row: its cells with whole records, or an object of all cells."""
    whole = [cell for name, cell in zip(columns, row, strict=True) if name.lower().split(" ")[0] == _RECORD_COLUMN]
    if whole:
        yield from (cell.encode("utf-8", "surrogateescape") for cell in whole)
        return
    cells = {name: cell for name, cell in zip(columns, row, strict=True) if cell}
    if any(_may_hold_record(cell) for cell in cells.values()) or cells.get("userIdentity", "").startswith("{"):
        yield json.dumps(cells, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _may_hold_record(cell: str) -> bool:
    return cell.lstrip()[:1] in ("{", "[", '"') and ("eventName" in cell or "\\u00" in cell)


def _text_lines(window: Window, tell: Callable[[int, str], None]) -> Iterator[str]:
    """Yield the lines with their ends; bytes that are not UTF-8 become surrogates, from which they can be restored."""
    while True:
        window.hold(1)
        end = window.data.find(b"\n", window.at) + 1
        if not end and not window.ended and len(window.data) - window.at <= window.longest:
            window.extend()
            continue
        end = end or len(window.data)
        if end - window.at > window.longest:
            line = window.line
            skipped = window.resync(_LINE_BREAK)
            tell(line, f"damaged row: it is longer than {window.longest:,} bytes; {skipped:,} were left out")
        elif end == window.at:
            return
        else:
            text = window.data[window.at : end].decode("utf-8", "surrogateescape")
            window.move(end)
            yield text
