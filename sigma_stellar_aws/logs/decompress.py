"""Read the bytes of a file, decompressed if they are compressed, by what they begin with."""

import bz2
import io
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sigma_stellar_aws.logs import gunzip

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LARGEST_READ = 1 << 16
_NEVER_EMPTY = (".json", ".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz")
_BZIP2_MARK = b"BZh"
_XZ_MARK = b"\xfd7zXZ\0"
_ZSTD_MARK = b"\x28\xb5\x2f\xfd"
_LONGEST_MARK = 6
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
    if data.startswith(gunzip.GZIP_MARK):
        yield from gunzip.gunzip(read, data, size, on_damage)
    elif data.startswith((_BZIP2_MARK, _XZ_MARK, _ZSTD_MARK)):
        yield from _streamed(_Joined(data, read), size, on_damage)
    else:
        while data:
            yield data
            data = read()


class _Joined(io.RawIOBase):
    """A file of which the beginning was read already."""

    def __init__(self, start: bytes, read: Callable[[], bytes]) -> None:
        self.start = start
        self._read = read
        self._held = start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        target = memoryview(buffer).cast("B")
        data = self._held or self._read()
        count = min(len(data), len(target))
        target[:count] = data[:count]
        self._held = data[count:]
        return count


def _streamed(stored: _Joined, size: int, on_damage: Callable[[str], None]) -> Iterator[bytes]:
    try:
        with _opened(stored) as stream:
            while data := stream.read(size):
                yield data
    except ModuleNotFoundError:
        on_damage(_NO_ZSTD)
    except EOFError:
        on_damage("the compressed data ends too early; the file is not whole")
    except Exception as error:
        # The library for zstd may be missing, and so its exception cannot be named.
        if isinstance(error, OSError) and error.strerror:
            raise
        if not (isinstance(error, OSError | lzma.LZMAError) or type(error).__name__ == "ZstdError"):
            raise
        on_damage(f"damaged compressed data: {error}")


def _opened(stored: _Joined) -> IO[bytes]:
    if stored.start.startswith(_BZIP2_MARK):
        return bz2.BZ2File(io.BufferedReader(stored))
    if stored.start.startswith(_XZ_MARK):
        return lzma.LZMAFile(io.BufferedReader(stored))
    # Part of the extra `zstd`.
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(io.BufferedReader(stored), read_across_frames=True)
