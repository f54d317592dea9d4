"""Patterns for how log files begin, by which their form is recognised before they are read."""

import re
from pathlib import PurePath

OPENING = 1 << 10
"""How many bytes show the form of a file; a pattern here matches at most that many."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of compressed files."""

_ROTATED = re.compile(r"(?:\.[0-9]{1,4}|[.-][0-9]{8,10})\Z")
"""What logrotate adds to names: a number, or a date, with or without the hour."""

UTF8_MARK = b"\xef\xbb\xbf"
PARQUET_MARK = b"PAR1"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_MARK = b"ustar"
_TAR_MARK_AT = 257

EVENT_NAME = re.compile(rb'eventName\\*"')
"""The key that every record has, also inside of a text."""

STAMP = re.compile(
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]{2,20}(?:Z|[+-]\d\d:?\d\d)[ \t]{1,20}"
    rb"(?:(?:[^\s{]{1,512}|\{\w{1,80}=[^\n{}]{1,400}\})[ \t]{1,20})?(?=\{)"
)
"""The time before an event, as in exports of CloudWatch Logs and in the output of its command line, or of Loki's."""

TABLE = re.compile(
    rb'(?i)(?:"?[\w@.][\w@. ]{0,79}"?[,;\t|] ?)*"?(?:eventjson|CloudTrailEvent|@message|_raw|event\.original|message)"?'
    rb'(?:[,;\t|] ?"?[\w@.][\w@. ]{0,79}"?)*(?:\r|\n)'
)
"""The header of a table with a column of whole records, under the names that exports give it.

No name begins with a blank: where a blank has two places, a long line takes for ever.
"""


def is_archive(start: bytes) -> bool:
    """Tell by how a file begins, decompressed, whether it is an archive."""
    return start.startswith(ZIP_MARKS) or start.startswith(_TAR_MARK, _TAR_MARK_AT)


def bare_name(file: PurePath) -> str:
    """Return the name of a file in lower case, without the suffix of compressed files and the number of a rotated one.

    >>> bare_name(PurePath("EXPORT.CSV.gz")), bare_name(PurePath("trail.log-20260105.gz"))
    ('export.csv', 'trail.log')
    """
    name = _ROTATED.sub("", file.name.lower())
    plain = next((name.removesuffix(suffix) for suffix in COMPRESSED if name.endswith(suffix)), name)
    return _ROTATED.sub("", plain)
