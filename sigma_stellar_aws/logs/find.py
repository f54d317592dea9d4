"""Find the CloudTrail files in folders, by their names and by how they begin."""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from zlib_ng import zlib_ng

from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.base.text import not_read, plural
from sigma_stellar_aws.logs.beginnings import OPENING, STAMP, TABLE, UTF8_MARK, UTF16_MARKS, bare_name
from sigma_stellar_aws.logs.deliveries import EVER, Deliveries, days_of
from sigma_stellar_aws.logs.problem import OnProblem, Problem

SUFFIXES = (".json", ".jsonl", ".ndjson", ".log", ".csv", ".tsv", ".parquet")
"""Suffixes of the files that are read in a folder, in upper or lower case, each also compressed or rotated.

Other files whose names are not against it are read if their content looks like a log. A file given by name always is.
"""
_ARCHIVES = (".zip", ".tgz", ".tar")
# How a file that can be read begins.
_LOG = re.compile(
    rb"\s*(?:\{\s*\"|\[\s*[{\[\"])|%b|%b" % (STAMP.pattern, TABLE.pattern.removeprefix(b"(?i)")), re.IGNORECASE
)


def find_log_files(
    paths: Iterable[Path],
    report: OnProblem,
    left_out: Callable[[Path], None] = lambda path: None,
    deliveries: Deliveries = EVER,
) -> list[Path]:
    """Return the files themselves and the CloudTrail files in and below the folders, each once, sorted by path.

    In folders, a file without any of :data:`SUFFIXES` is taken if its name allows it and its content looks like a log.
    Links to folders are followed, and each folder is searched once.

    Args:
        paths: files and folders.
        report: called with each problem, such as a folder that may not be read.
        left_out: called with each file in the folders that is not taken.
        deliveries: files in the folders are passed over that were delivered at other times, as their paths say.
    """
    files: dict[Path, None] = {}
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if not _is_folder(path):
            files[path] = None
            continue
        found = sorted(_walk(path, seen, report, left_out, deliveries))
        files.update(dict.fromkeys(file for file in found if is_log(file, left_out)))
    return list(files)


def require_log_files(
    paths: Sequence[Path], report: OnProblem, note: Callable[[str], None], deliveries: Deliveries = EVER
) -> list[Path]:
    """Return the files that :func:`find_log_files` finds, of which there must be at least one.

    Args:
        paths: files and folders.
        report: called with each problem.
        note: called with a sentence on the files in the folders that are not taken, if there are any.
        deliveries: see :func:`find_log_files`.

    Raises:
        NotFoundError: there are no CloudTrail files.
    """
    left_out: list[Path] = []
    found = find_log_files(paths, report, left_out.append, deliveries)
    if left_out:
        note(not_read(left_out))
    if not found:
        others = find_log_files(paths, report, left_out.append) if deliveries != EVER else []
        if days := days_of(map(str, others)):
            count, first, last = len(others), *days
            note(
                "no file was delivered in the time that is asked for: "
                f"{plural(count, 'file')}, by the paths of {first} to {last}"
            )
            return []
        raise NotFoundError(
            f"no CloudTrail files in {', '.join(map(str, paths))}; looked for {', '.join(SUFFIXES)}, also compressed "
            f"or in {', '.join(_ARCHIVES)}"
        )
    return found


def _walk(
    top: Path,
    seen: set[tuple[int, int]],
    report: OnProblem,
    left_out: Callable[[Path], None],
    deliveries: Deliveries,
) -> Iterator[Path]:
    """Yield the files in and below a folder, except those in folders that were seen, or of other times."""

    def refused(error: OSError) -> None:
        report(Problem(Path(error.filename), 1, f"cannot be searched: {error.strerror}"))

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

    def is_wanted(folder: str, name: str) -> bool:
        return deliveries.may_hold(f"{folder}/{name}")

    if not is_new(top):
        return
    for folder, folders, names in os.walk(top, onerror=refused, followlinks=True):
        folders[:] = [name for name in sorted(folders) if is_wanted(folder, name) and is_new(Path(folder, name))]
        wanted = [Path(folder, name) for name in sorted(names) if is_wanted(folder, name)]
        yield from _regular_files(wanted, report, left_out)


def _regular_files(paths: Iterable[Path], report: OnProblem, left_out: Callable[[Path], None]) -> Iterator[Path]:
    """Yield those of a folder's entries that are regular files, and report those that cannot be read."""
    reported = False
    for path in paths:
        try:
            mode = path.stat().st_mode
        except PermissionError as error:
            # The other files in the folder are most probably no different.
            if not reported:
                report(Problem(path, 1, f"cannot be read, and neither may others beside it: {error.strerror}"))
            reported = True
            continue
        except OSError as error:
            report(Problem(path, 1, f"cannot be read: {error.strerror}"))
            continue
        if stat.S_ISREG(mode):
            yield path
        else:
            left_out(path)


def stored_size(file: Path) -> int:
    """Return the size of a file in bytes, as it is stored; 0 if it cannot be read, which is reported when it is."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        # The reader reports why.
        return False


def is_log(file: Path, left_out: Callable[[Path], None]) -> bool:
    """Tell whether a file in a folder is a log, by its name or else by how it begins."""
    if _is_named_as_log(file) or (may_be_log(file) and _holds_records(file)):
        return True
    left_out(file)
    return False


def may_be_log(file: PurePath) -> bool:
    """Tell by its name whether a file may be a log.

    >>> [may_be_log(PurePath(name)) for name in ("a.json.gz", "000000.gz", "delivery-1-2026-01-05", "a.png")]
    [True, True, True, False]
    """
    # CloudWatch Logs exports 000000.gz, Firehose delivers without any suffix.
    return _is_named_as_log(file) or file.suffix.lower() in ("", ".gz", ".txt")


def _is_named_as_log(file: PurePath) -> bool:
    return bare_name(file).endswith((*SUFFIXES, *_ARCHIVES))


def _holds_records(file: Path) -> bool:
    """Tell whether a file begins like a log; also true of one that cannot be read, in order that this is reported."""
    try:
        with file.open("rb") as stream:
            data = stream.read(OPENING)
        if data.startswith(b"\x1f\x8b"):
            data = zlib_ng.decompressobj(wbits=31).decompress(data, OPENING)
    except (OSError, zlib_ng.error):  # type: ignore[misc]  # its stub has no base class
        return True
    return looks_like_log(data)


def looks_like_log(data: bytes) -> bool:
    """Tell whether a text that begins so is a log."""
    if data.startswith(UTF16_MARKS):
        data = data[len(UTF16_MARKS[0]) :].replace(b"\0", b"")
    return _LOG.match(data.removeprefix(UTF8_MARK)) is not None
