"""Find the CloudTrail files in folders, by their names and by how they begin."""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from zlib_ng import zlib_ng

from sigma_stellar_aws.logs.beginnings import OPENING, STAMP, TABLE, UTF8_MARK, UTF16_MARKS, bare_name
from sigma_stellar_aws.logs.problem import OnProblem, Problem

SUFFIXES = (".json", ".jsonl", ".ndjson", ".log", ".csv")
"""Endings of the files that are read in a folder, in large or small letters and each also with ``.gz``.

Of the others, those that may be logs by their names are read if they are by their content; a file that is named always.
"""
# What a file that is read begins with.
_LOG = re.compile(
    rb"\s*(?:\{\s*\"|\[\s*[{\[\"])|%b|%b" % (STAMP.pattern, TABLE.pattern.removeprefix(b"(?i)")), re.IGNORECASE
)


def find_files(
    paths: Iterable[Path], report: OnProblem, left_out: Callable[[Path], None] = lambda path: None
) -> list[Path]:
    """The files themselves, and the CloudTrail files in and below the folders, each once, in order of their paths.

    In folders, a file that has none of :data:`SUFFIXES` is taken if it could be one by its name and is by its content.
    Links to folders are followed, and each folder is looked into once.

    Args:
        paths: files and folders.
        report: is told of what cannot be looked at.
        left_out: is told of the files in the folders that are not taken.
    """
    files: dict[Path, None] = {}
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if not _is_folder(path):
            files[path] = None
            continue
        found = sorted(_walk(path, seen, report, left_out))
        files.update(dict.fromkeys(file for file in found if is_log(file, left_out)))
    return list(files)


def _walk(top: Path, seen: set[tuple[int, int]], report: OnProblem, left_out: Callable[[Path], None]) -> Iterator[Path]:
    """The files in and below a folder, but for those in folders that were seen."""

    def refused(error: OSError) -> None:
        report(Problem(Path(error.filename), 1, f"cannot be looked into: {error.strerror}"))

    def is_new(folder: Path) -> bool:
        try:
            status = folder.stat()
        except OSError as error:
            refused(error)
            return False
        identity = (status.st_dev, status.st_ino)
        new = identity not in seen
        seen.add(identity)
        return new

    if not is_new(top):
        return
    for folder, folders, names in os.walk(top, onerror=refused, followlinks=True):
        folders[:] = [name for name in sorted(folders) if is_new(Path(folder, name))]
        closed = False
        for name in sorted(names):
            path = Path(folder, name)
            try:
                mode = path.stat().st_mode
            except PermissionError as error:
                # So it is mostly with all that are in it.
                if not closed:
                    report(Problem(path, 1, f"cannot be looked at, and others beside it may be so: {error.strerror}"))
                closed = True
                continue
            except OSError as error:
                report(Problem(path, 1, f"cannot be looked at: {error.strerror}"))
                continue
            if stat.S_ISREG(mode):
                yield path
            else:
                left_out(path)


def stored_size(file: Path) -> int:
    """Bytes of a file, as it is stored; none where it cannot be looked at, which is told when it is read."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        # Whoever reads it tells why.
        return False


def is_log(file: Path, left_out: Callable[[Path], None]) -> bool:
    """Tell whether a file in a folder is a log, by its name or else by how it begins."""
    name = bare_name(file)
    if name.endswith(SUFFIXES):
        return True
    # CloudWatch Logs exports 000000.gz, Firehose delivers without any suffix.
    suffix = Path(file.name.lower()).suffix
    if suffix in ("", ".gz", ".txt") and _holds_records(file):
        return True
    left_out(file)
    return False


def _holds_records(file: Path) -> bool:
    """Whether a file begins like one that is read; one that cannot be read is, so that this is told."""
    try:
        with file.open("rb") as stream:
            data = stream.read(OPENING)
        if data.startswith(b"\x1f\x8b"):
            data = zlib_ng.decompressobj(wbits=31).decompress(data, OPENING)
    except (OSError, zlib_ng.error):  # type: ignore[misc]  # its stub has no base class
        return True
    if data.startswith(UTF16_MARKS):
        # That it is none that can be read is told when it is read.
        data = data[len(UTF16_MARKS[0]) :].replace(b"\0", b"")
    return _LOG.match(data.removeprefix(UTF8_MARK)) is not None
