"""Read the records in Parquet, as lakes keep them: a column of whole records, or CloudTrail's members as columns.

Athena and Glue write the names of columns in lower case, of the members of structures too; here they get CloudTrail's
names back (https://docs.aws.amazon.com/athena/latest/ug/cloudtrail-logs.html).
"""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sigma_stellar_aws.logs.beginnings import PARQUET_MARK
from sigma_stellar_aws.logs.other_forms import OCSF
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS

if TYPE_CHECKING:
    from pyarrow import Scalar
    from pyarrow.parquet import ParquetFile

_NOT_INSTALLED = "this is Parquet; run: pip install 'sigma-stellar-aws[lake]' (in a checkout: pip install '.[lake]')"
_NOT_PLAIN = "this is Parquet inside another file, of which nothing was read; unpack it"
_OCSF_COLUMNS = ("class_uid", "metadata")
_OCSF_RECORD = "raw_data"
_ROWS = 500
"""Rows read at once."""


def parquet_rows(file: Path, tell: Callable[[int, str], None]) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of a file in Parquet, each with its number, as JSON with CloudTrail's names.

    Args:
        file: the file, not compressed as a whole.
        tell: called with the row and the reason why nothing can be read, or no more.
    """
    if not _is_plain(file):
        tell(1, _NOT_PLAIN)
        return
    try:
        # Part of the extra `lake`.
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        tell(1, _NOT_INSTALLED)
        return
    number = 1
    try:
        with ParquetFile(file) as table:
            names = table.schema_arrow.names
            if all(column in names for column in _OCSF_COLUMNS) and _OCSF_RECORD not in names:
                tell(1, OCSF)
                return
            for row in _rows(table):
                yield number, json.dumps(_named(row, ""), default=_text, ensure_ascii=False).encode("utf-8", "replace")
                number += 1
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        tell(number, f"damaged Parquet: {error}")


def _is_plain(file: Path) -> bool:
    # A path in an archive is that of no file.
    try:
        with file.open("rb") as stream:
            return stream.read(len(PARQUET_MARK)) == PARQUET_MARK
    except OSError:
        return False


def _rows(table: "ParquetFile") -> Iterator[dict[str, object]]:
    for batch in table.iter_batches(batch_size=_ROWS):
        try:
            rows = batch.to_pylist()
        except (ValueError, OverflowError):
            names = batch.schema.names
            rows = [dict(zip(names, map(_value, cells), strict=True)) for cells in zip(*batch.columns, strict=True)]
        yield from rows


def _value(cell: "Scalar") -> object:
    """Return a value; as a text if Python has no type for it, such as for a time in nanoseconds."""
    try:
        return cell.as_py()
    except (ValueError, OverflowError):
        return cell.cast("string").as_py()


@cache
def _names(parent: str) -> dict[str, str]:
    """Return CloudTrail's names of the members below a path, by their names in lower case."""
    start = f"{parent}." if parent else ""
    below = (name.removeprefix(start).partition(".")[0] for name in FIELDS if name.startswith(start))
    return {name.lower(): name for name in below}


def _named(value: object, path: str) -> object:
    """Give members their names, make maps objects, and leave out what is null."""
    if isinstance(value, dict):
        known = _names(path)
        members = ((known.get(str(key), str(key)), member) for key, member in value.items() if member is not None)
        return {name: _named(member, f"{path}.{name}" if path else name) for name, member in members}
    if isinstance(value, list):
        if value and all(isinstance(each, tuple) for each in value):
            return _named(dict(value), path)
        return [_named(each, path) for each in value]
    return value


def _text(value: object) -> str:
    """Write what JSON has no type for: times as CloudTrail does, bytes as the text that they are."""
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
        return aware.isoformat(timespec="auto").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
