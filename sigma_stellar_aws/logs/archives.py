"""Read the files in zip and tar archives, as those in a folder are read."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from sigma_stellar_aws.logs.beginnings import ZIP_MARKS
from sigma_stellar_aws.logs.decompress import decompressed_chunks
from sigma_stellar_aws.logs.problem import OnProblem, Problem

_BLOCK = 1 << 16
_IS_ENCRYPTED = 1
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, RuntimeError, NotImplementedError)


def archived_files(file: Path, report: OnProblem) -> Iterator[tuple[Path, IO[bytes]]]:
    """Yield the files in an archive, each with its path below that of the archive.

    Args:
        file: a zip file, or a tar file, plain or compressed.
        report: called with the reason why the archive, or a file in it, cannot be read.
    """
    try:
        if zipfile.is_zipfile(file):
            yield from _in_zip(file, report)
        else:
            yield from _in_tar(file, report)
    except _BROKEN as error:
        report(Problem(file, 1, f"damaged archive: {error}"))


def whole_chunks(chunks: Iterator[bytes], on_damage: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the content of a file in an archive, up to where the archive is damaged."""
    try:
        yield from chunks
    except _BROKEN as error:
        on_damage(f"damaged archive: {error}")


class _Content(io.RawIOBase):
    """The content of a file, decompressed, as tarfile reads it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.start = self._held = next(chunks, b"")

    def read(self, size: int = -1) -> bytes:
        while len(self._held) < size and (chunk := next(self._chunks, b"")):
            self._held += chunk
        data, self._held = self._held[:size], self._held[size:]
        return data


class _Member(tarfile.TarInfo):
    """A member of a tar archive, whose damaged header is an error, while tarfile takes it for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # Only zeros end an archive.
            if any(buf):
                raise tarfile.ReadError(f"{error}; what follows was not read") from None
            raise


def _in_tar(file: Path, report: OnProblem) -> Iterator[tuple[Path, IO[bytes]]]:
    def tell(reason: str) -> None:
        report(Problem(file, 1, reason))

    content = _Content(decompressed_chunks(file, _BLOCK, lambda size: None, tell))
    if content.start.startswith(ZIP_MARKS):
        tell("a zip archive that is not whole, or is compressed once more; nothing of it was read")
        return
    # Of archives that were joined, each ends with zeros.
    with tarfile.open(fileobj=content, mode="r|", tarinfo=_Member, ignore_zeros=True) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield _below(file, member.name), stream


def _in_zip(file: Path, report: OnProblem) -> Iterator[tuple[Path, IO[bytes]]]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            path = _below(file, member.filename)
            if member.flag_bits & _IS_ENCRYPTED:
                report(Problem(path, 1, "it is encrypted and was not read; unpack it with its password"))
                continue
            try:
                with archive.open(member) as stream:
                    yield path, stream
            except _BROKEN as error:
                # Such as a way to compress that is not known.
                report(Problem(path, 1, f"cannot be read: {error}"))


def _below(file: Path, name: str) -> Path:
    return file.joinpath(*(part for part in Path(name).parts if part not in ("/", "..")))
