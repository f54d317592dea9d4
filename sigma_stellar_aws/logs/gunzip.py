"""Decompress gzip, which may be several members one after the other, up to any damage and past a wrong checksum."""

from collections.abc import Callable, Iterator
from typing import Protocol

from zlib_ng import zlib_ng

GZIP_MARK = b"\x1f\x8b"
_WRONG_CHECKSUM = ("data check", "length check")
_REST_OF_TRAILER = {"data check": 4, "length check": 0}
"""How many bytes of a member follow the one at which this is noticed."""
_SAVED_EVERY = 1 << 20
_STEP = 1 << 10


class _Decompressor(Protocol):
    """What is used of zlib's object."""

    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def copy(self) -> "_Decompressor": ...

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


def gunzip(read: Callable[[], bytes], data: bytes, size: int, on_damage: Callable[[str], None]) -> Iterator[bytes]:
    """Yield what compressed data stands for, in pieces.

    Args:
        read: returns more of the data, empty at its end.
        data: the beginning of it.
        size: the most bytes of a piece.
        on_damage: called with the reason why the content breaks off, or cannot be trusted.
    """
    while data:
        member: _Decompressor = zlib_ng.decompressobj(wbits=31)  # type: ignore[assignment]  # its stub lacks copy
        # From here, data that turns out to be damaged is read again.
        saved, since, given = member.copy(), [data], 0
        try:
            while True:
                for text in _decompress(member, data, size):
                    given += len(text)
                    yield text
                if member.eof or not (data := read()):
                    break
                if sum(map(len, since)) > _SAVED_EVERY:
                    saved, since, given = member.copy(), [], 0
                since.append(data)
        except zlib_ng.error as error:  # type: ignore[misc]  # its stub has no base class
            on_damage(f"damaged compressed data: {error}")
            stored = b"".join(since)
            texts, end = _up_to_damage(saved, stored)
            yield b"".join(texts)[given:]
            check = next((check for check in _WRONG_CHECKSUM if check in str(error)), None)
            if check is None:
                return
            after = end + 1 + _REST_OF_TRAILER[check]
            while len(stored) < after and (data := read()):
                stored += data
            data = stored[after:]
        else:
            if not member.eof:
                on_damage("the compressed data ends too early; the file is not whole")
                return
            data = member.unused_data
        # Some tools pad members with zeros.
        while not (data := data.lstrip(b"\0")) and (data := read()):
            pass


def _up_to_damage(member: _Decompressor, data: bytes) -> tuple[list[bytes], int]:
    """Return what damaged data stands for up to the damage, and where that is."""
    texts: list[bytes] = []
    at, step = 0, _STEP
    while at < len(data):
        before = member.copy()
        try:
            texts.append(member.decompress(data[at : at + step]))
            at += step
        except zlib_ng.error:  # type: ignore[misc]  # its stub has no base class
            if step == 1:
                break
            member, step = before, 1
    return texts, at


def _decompress(member: _Decompressor, data: bytes, size: int) -> Iterator[bytes]:
    """Yield what compressed data stands for, in pieces: a few bytes may stand for a great many."""
    while True:
        text = member.decompress(data, size)
        yield text
        if len(text) < size or member.eof:
            return
        data = member.unconsumed_tail
