"""Read the bytes of a file, decompressed if they are compressed, by what they begin with."""

import bz2
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from sigma_stellar_aws.logs import gunzip

_LARGEST_READ = 1 << 16
_NEVER_EMPTY = (".json", ".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz")
_BZIP2_MARK = b"BZh"
_XZ_MARK = b"\xfd7zXZ\0"
_ZSTD_MARK = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MARKS = tuple(bytes((first, 0x2A, 0x4D, 0x18)) for first in range(0x50, 0x60))
"""Beginnings of frames without content, which some tools put before others: RFC 8878, 3.1.2."""
_ZSTD_MARKS = (_ZSTD_MARK, *_SKIPPABLE_MARKS)
_MARKS = (gunzip.GZIP_MARK, _BZIP2_MARK, _XZ_MARK, *_ZSTD_MARKS)
_LONGEST_MARK = 6
_ZSTD_PIECE = 1 << 10
"""Bytes given to zstd at once; each may stand for 32 KB, and what they all stand for comes in one go."""
_MOST_LAYERS = 3
"""How often a file may be compressed; Firehose does it twice to what CloudWatch Logs sends."""
_NO_ZSTD = "this is compressed with zstd; run: pip install 'sigma-stellar-aws[zstd]', or decompress it"


def decompressed_chunks(
    file: Path, size: int, on_read: Callable[[int], None], on_damage: Callable[[str], None]
) -> Iterator[bytes]:
    """Yield the content of a file in pieces, up to where it ends or is damaged.

    Args:
        file: plain or compressed with gzip, bzip2, xz or zstd.
        size: the most bytes of a piece.
        on_read: called with the number of stored bytes that were read, each time.
        on_damage: called with the reason why the content breaks off.
    """
    try:
        with file.open("rb") as stream:
            yield from decompressed(stream, file, size, on_read, on_damage)
    except OSError as error:
        on_damage(f"cannot be read: {error.strerror}")


def decompressed(
    stream: IO[bytes], name: Path, size: int, on_read: Callable[[int], None], on_damage: Callable[[str], None]
) -> Iterator[bytes]:
    """Yield the content of an open file in pieces, as :func:`decompressed_chunks` does.

    Raises:
        OSError: the file cannot be read.
    """

    def read() -> bytes:
        data = stream.read(max(_LONGEST_MARK, min(_LARGEST_READ, size)))
        on_read(len(data))
        return data

    data = read()
    if not data and name.suffix.lower() in _NEVER_EMPTY:
        on_damage("the file is empty, which such a file never is")
    yield from _below_layers(data, read, size, on_damage, _MOST_LAYERS)


def _below_layers(
    data: bytes, read: Callable[[], bytes], size: int, on_damage: Callable[[str], None], layers: int
) -> Iterator[bytes]:
    """Yield what data stands for that may be compressed several times."""
    if not data.startswith(_MARKS):
        while data:
            yield data
            data = read()
        return
    if not layers:
        on_damage(f"it is compressed more than {_MOST_LAYERS} times; decompress it")
        return
    is_gzip = data.startswith(gunzip.GZIP_MARK)
    texts = filter(None, (gunzip.gunzip if is_gzip else _members)(read, data, size, on_damage))
    first = b""
    while len(first) < _LONGEST_MARK and (text := next(texts, b"")):
        first += text
    yield from _below_layers(first, lambda: next(texts, b""), size, on_damage, layers - 1)


class _Decompressor(Protocol):
    """What is used of the standard library's decompressors."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Zstd:
    """A decompressor for a frame of zstd, with the interface of the standard library's."""

    def __init__(self) -> None:
        # Part of the extra `zstd`.
        import zstandard

        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._error = zstandard.ZstdError
        self._held = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return not self._held

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + bytes(self._held)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        held = memoryview(data) if data else self._held
        self._held = held[_ZSTD_PIECE:]
        try:
            return self._frame.decompress(held[:_ZSTD_PIECE])
        except self._error as error:
            raise ValueError(error) from error


def _members(read: Callable[[], bytes], data: bytes, size: int, on_damage: Callable[[str], None]) -> Iterator[bytes]:
    """Yield what data stands for, up to any damage: one member after the other, each with its own beginning."""
    while data:
        try:
            member = _decompressor(data)
        except ModuleNotFoundError:
            on_damage(_NO_ZSTD)
            return
        if member is None:
            on_damage("what follows the compressed data is not compressed, and was not read")
            return
        while True:
            try:
                text = member.decompress(data, size)
            except (OSError, lzma.LZMAError, ValueError) as error:
                on_damage(f"damaged compressed data: {error}")
                return
            yield text
            if member.eof:
                break
            data = read() if member.needs_input else b""
            if member.needs_input and not data:
                on_damage("the compressed data ends too early; the file is not whole")
                return
        data = _after_padding(member.unused_data, read)


def _after_padding(data: bytes, read: Callable[[], bytes]) -> bytes:
    """Return the beginning of the next member, past the zeros that some tools put between two; empty at the end."""
    while len(data := data.lstrip(b"\0")) < _LONGEST_MARK and (more := read()):
        data += more
    return data


def _decompressor(data: bytes) -> _Decompressor | None:
    if data.startswith(_BZIP2_MARK):
        return bz2.BZ2Decompressor()
    if data.startswith(_XZ_MARK):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ)
    return _Zstd() if data.startswith(_ZSTD_MARKS) else None
