"""Tells when files change, by looking at their times: no service of the operating system, so that it works anywhere."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

Stamp: TypeAlias = tuple[int, int] | None
"""Time of the last change in nanoseconds, and size in bytes, of a file; None if there is none."""

T = TypeVar("T")

SECONDS_BETWEEN_LOOKS = 0.2
"""Seconds between two looks."""


def stamp(file: Path) -> Stamp:
    """What changes when a file is written, made or deleted."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def changes(files: Callable[[], Iterable[Path]], wait: Callable[[], object]) -> Iterator[set[Path]]:
    """The files at once, and from then on, each time that some were changed, made or deleted, these.

    Args:
        files: lists the files to look at; asked at every look, since files come and go.
        wait: called between two looks.
    """
    known: dict[Path, Stamp] = {}
    while True:
        seen = {file: stamp(file) for file in {*files(), *known}}
        changed = {file for file in seen if known.get(file) != seen[file]}
        if changed:
            yield changed
            # What the list has more by now was read just before; what it had may have changed since.
            known = {file: stamp(file) for file in files()} | seen
        wait()


def remembered(
    read: Callable[[Path], T], others: Callable[[T], Iterable[Path]] = lambda result: ()
) -> Callable[[Path], T]:
    """A function like `read` that reads a file again only when it has changed.

    Args:
        read: makes something of a file.
        others: lists further files that went into it.
    """
    known: dict[Path, tuple[dict[Path, Stamp], T]] = {}

    def remembering(file: Path) -> T:
        stamps, result = known.get(file, ({}, None))
        if result is None or any(stamp(each) != seen for each, seen in stamps.items()):
            # Looked at before it is read, so that a change in between is seen the next time.
            before = stamp(file)
            result = read(file)
            known[file] = {file: before, **{other: stamp(other) for other in others(result)}}, result
        return result

    return remembering
