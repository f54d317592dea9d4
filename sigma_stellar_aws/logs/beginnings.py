"""How log files begin: what tells their form before anything of them is read."""

import re
from pathlib import Path

OPENING = 1 << 10
"""Bytes in which a form shows, and the most that a pattern here may match."""

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

STAMP = re.compile(
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]{2,20}(?:Z|[+-]\d\d:?\d\d)[ \t]{1,20}(?:[^\s{]{1,512}[ \t]{1,20})?(?=\{)"
)
"""The time before an event, as CloudWatch Logs exports it and shows it on the command line."""

TABLE = re.compile(rb'(?i)(?:"?\w+"?[,;\t] ?)*"?eventjson"?(?:[,;\t] ?"?\w+"?)*\r?\n')
"""The header of a table with a column of whole records."""


def bare_name(file: Path) -> str:
    """Return the name of a file in small letters, without the ending that says it is compressed.

    >>> bare_name(Path("EXPORT.CSV.gz"))
    'export.csv'
    """
    return file.name.lower().removesuffix(".gz")
