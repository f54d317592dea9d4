"""Read the bytes of a file, decompressed if they are gzip."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from zlib_ng import zlib_ng

_LARGEST_READ = 1 << 16
_GZIP_MARK = b"\x1f\x8b"


def decompressed_chunks(
    file: Path, size: int, on_read: Callable[[int], None], on_damage: Callable[[str], None]
) -> Iterator[bytes]:
    """Yield the content of a file in pieces, up to where it ends or is damaged.

    Args:
        file: plain or gzip, which may be several members one after the other.
        size: the most bytes of a piece.
        on_read: called with the number of stored bytes that were read, each time.
        on_damage: called with the reason why the content breaks off.
    """

    def stored(stream: BinaryIO) -> bytes:
        data = stream.read(max(len(_GZIP_MARK), min(_LARGEST_READ, size)))
        on_read(len(data))
        return data

    try:
        with file.open("rb") as stream:
            data = stored(stream)
            if not data and file.suffix == ".gz":
                on_damage("empty, which compressed data never is")
            if not data.startswith(_GZIP_MARK):
                while data:
                    yield data
                    data = stored(stream)
                return
            while data:
                member = zlib_ng.decompressobj(wbits=31)
                while data and not member.eof:
                    yield from _decompress(member, data, size)
                    data = member.unused_data if member.eof else stored(stream)
                if not member.eof:
                    on_damage("the compressed data ends too early; the file is not whole")
                # Some tools pad the end of a file with zeros.
                data = data.lstrip(b"\0") or stored(stream)
    except zlib_ng.error as error:  # type: ignore[misc]  # its stub has no base class
        on_damage(f"damaged compressed data: {error}")
    except OSError as error:
        on_damage(f"cannot be read: {error.strerror}")


def _decompress(member: zlib_ng._Decompress, data: bytes, size: int) -> Iterator[bytes]:
    """Yield what compressed data stands for, in pieces: a few bytes may stand for a great many."""
    while True:
        text = member.decompress(data, size)
        yield text
        if len(text) < size or member.eof:
            return
        data = member.unconsumed_tail
