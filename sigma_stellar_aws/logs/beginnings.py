"""Patterns for how log files begin, by which their form is recognised before they are read."""

import re
from pathlib import Path

OPENING = 1 << 10
"""How many bytes show the form of a file; a pattern here matches at most that many."""

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

STAMP = re.compile(
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]{2,20}(?:Z|[+-]\d\d:?\d\d)[ \t]{1,20}(?:[^\s{]{1,512}[ \t]{1,20})?(?=\{)"
)
"""The time before an event, as in exports of CloudWatch Logs and in the output of its command line."""

TABLE = re.compile(rb'(?i)(?:"?\w+"?[,;\t] ?)*"?eventjson"?(?:[,;\t] ?"?\w+"?)*\r?\n')
"""The header of a table with a column of whole records."""


def bare_name(file: Path) -> str:
    """Return the name of a file in lower case, without the suffix of compressed files.

    >>> bare_name(Path("EXPORT.CSV.gz"))
    'export.csv'
    """
    return file.name.lower().removesuffix(".gz")
