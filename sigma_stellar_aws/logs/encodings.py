"""Read texts in UTF-16 and UTF-32, which some shells and spreadsheets write, as UTF-8."""

import codecs
from collections.abc import Callable, Iterator
from itertools import chain

from sigma_stellar_aws.logs.beginnings import UTF16_MARKS

_SHOWN_BY = 4
"""Bytes that show an encoding."""
_UTF32_MARKS = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_SHIFTED = "\u0a0d"
"""What a line end becomes if a copy in text mode put a byte before it; no character has this number."""
_JSON = b'{["'


def as_utf8(chunks: Iterator[bytes], tell: Callable[[str], None]) -> Iterator[bytes]:
    """Yield a text in UTF-8; what is not a character becomes a replacement character. Yield any other data as it is.

    Args:
        chunks: the text, or other data.
        tell: called with the reason if anything is not a character, or seems to be another one.

    >>> b"".join(as_utf8(iter([b"\\xff\\xfe{\\0", b'"\\0']), print))
    b'{"'
    >>> b"".join(as_utf8(iter([b"\\xff\\xfe{\\0", b'"']), print)).decode()
    damaged text: parts of it are not UTF-16, and became replacement characters
    '{\ufffd'
    """
    start = b""
    while len(start) < _SHOWN_BY and (chunk := next(chunks, b"")):
        start += chunk
    encoding = _encoding(start)
    if not encoding:
        yield start
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    for chunk, is_last in chain(((chunk, False) for chunk in chain([start], chunks)), [(b"", True)]):
        try:
            text = decoder.decode(chunk, is_last)
        except UnicodeDecodeError:
            tell(f"damaged text: parts of it are not {encoding[:6].upper()}, and became replacement characters")
            decoder.errors = "replace"
            text = decoder.decode(chunk, is_last)
        if decoder.errors == "strict" and _SHIFTED in text:
            tell(
                "damaged text: bytes were put between those of UTF-16 at line ends, and so the rest is other characters"
            )
        yield text.encode()


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
