"""Turn rows of query results, whose column names stand apart from the values, into objects."""

from collections.abc import Callable

import msgspec

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.logs.json_repair import BROKEN
from sigma_stellar_aws.logs.record_head import Raw
from sigma_stellar_aws.logs.sentinel_rows import record_of_row

_ROW_MARKS = frozenset(("eventSource", "eventName", "eventJson", "eventjson", "eventVersion", "eventTime"))


class _Cell(msgspec.Struct, forbid_unknown_fields=True):
    """One field of a row of CloudWatch Logs Insights."""

    field: str
    value: msgspec.Raw


class _Column(msgspec.Struct):
    name: str


class _Table(msgspec.Struct):
    """A table as the API of Log Analytics answers it."""

    columns: list[_Column]
    rows: list[list[msgspec.Raw]]


_decode_cells = msgspec.json.Decoder(list[_Cell]).decode
_decode_columns = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_table = msgspec.json.Decoder(_Table).decode
_decode_row: Callable[[Raw], JsonObject] = msgspec.json.Decoder(dict).decode


def row_object(value: Raw) -> bytes | None:
    """Return a row of CloudWatch Logs Insights or of CloudTrail Lake as an object, None for any other list."""
    try:
        if cells := _decode_cells(value):
            return msgspec.json.encode({cell.field: cell.value for cell in cells})
    except BROKEN:
        pass
    try:
        columns = _decode_columns(value)
    except BROKEN:
        return None
    row = {key: cell for column in columns for key, cell in column.items()}
    is_row = all(len(column) == 1 for column in columns) and len(row) == len(columns)
    return msgspec.json.encode(row) if is_row and len(row) > 1 and _ROW_MARKS & row.keys() else None


def table_objects(value: Raw) -> list[bytes | None]:
    """Return the rows of a table as Log Analytics answers it, each as an object; nothing if it is another.

    A row with more or fewer values than there are columns is None.
    """
    try:
        table = _decode_table(value)
    except BROKEN:
        return []
    names = [column.name for column in table.columns]
    return [
        msgspec.json.encode(dict(zip(names, row, strict=True))) if len(row) == len(names) else None
        for row in table.rows
    ]


def sentinel_record(value: Raw) -> bytes:
    """Return the record that a row of Microsoft Sentinel was made of."""
    return msgspec.json.encode(record_of_row(_decode_row(value)))
