"""Read the column of whole records in a table (CSV), such as CloudTrail Lake exports."""

import csv
import re
from collections.abc import Callable, Iterator

from sigma_stellar_aws.logs.beginnings import OPENING
from sigma_stellar_aws.logs.json_window import Window

_RECORD_COLUMN = "eventjson"
_DELIMITERS = ",;\t"
_NO_RECORD_COLUMN = (
    "this table has no column eventjson, and so only parts of the records; in CloudTrail Lake, query "
    "SELECT eventJson FROM the event data store, and in the event history, download JSON"
)
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
    rows = csv.reader(_text_lines(window, tell), strict=True, delimiter=delimiter, skipinitialspace=True)
    columns: list[str] = []
    while True:
        line = window.line
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            tell(line, f"damaged row: {error}")
            continue
        if not columns:
            columns = [name.strip().lower() for name in row]
            if row and _RECORD_COLUMN not in columns:
                tell(line, _NO_RECORD_COLUMN)
                return
        elif row and len(row) != len(columns):
            tell(line, f"damaged row: it has {len(row)} columns, the first row has {len(columns)}")
        elif row:
            yield line, row[columns.index(_RECORD_COLUMN)].encode("utf-8", "surrogateescape")


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
