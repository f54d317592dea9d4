"""Read texts in UTF-16 and UTF-32, which some shells and spreadsheets write, as UTF-8."""

import codecs
from collections.abc import Iterator
from itertools import chain

from sigma_stellar_aws.logs.beginnings import UTF16_MARKS

_SHOWN_BY = 4
"""Bytes that show an encoding."""
_UTF32_MARKS = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_JSON = b'{["'


def as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a text in UTF-8; what is not a character becomes a replacement character. Yield any other data as it is.

    >>> b"".join(as_utf8(iter([b"\\xff\\xfe{\\0", b'"\\0'])))
    b'{"'
    """
    start = b""
    while len(start) < _SHOWN_BY and (chunk := next(chunks, b"")):
        start += chunk
    encoding = _encoding(start)
    if not encoding:
        yield start
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chain([start], chunks):
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _encoding(start: bytes) -> str:
    """Return the encoding of a text that begins so, if it is one of these; else nothing."""
    if start.startswith(_UTF32_MARKS):
        return "utf-32"
    if start.startswith(UTF16_MARKS):
        return "utf-16"
    # JSON without a mark begins with two characters of ASCII.
    if len(start) >= _SHOWN_BY and start[0] in _JSON and not start[1] and start[2] and not start[3]:
        return "utf-16-le"
    if len(start) >= _SHOWN_BY and not start[0] and start[1] in _JSON and not start[2] and start[3]:
        return "utf-16-be"
    return ""
