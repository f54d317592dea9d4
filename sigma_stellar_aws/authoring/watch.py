"""Notice when files change, by looking at their times: this works on every system, without any service of it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

Stamp: TypeAlias = tuple[int, int] | None
"""When a file was last changed, in nanoseconds, and its size in bytes; None if it does not exist."""

T = TypeVar("T")

SECONDS_BETWEEN_LOOKS = 0.2
"""How long to wait between two looks at the files."""


def stamp(file: Path) -> Stamp:
    """Return a value that changes when a file is written, created or deleted."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def changes(files: Callable[[], Iterable[Path]], wait: Callable[[], object]) -> Iterator[set[Path]]:
    """Yield all files at once, and then, each time that some are changed, created or deleted, those.

    Args:
        files: lists the files to look at; called for every look, since files come and go.
        wait: called between two looks.
    """
    known: dict[Path, Stamp] = {}
    while True:
        seen = {file: stamp(file) for file in {*files(), *known}}
        changed = {file for file in seen if known.get(file) != seen[file]}
        if changed:
            yield changed
            # Files that are new in the list were read a moment ago; the others may have changed since the look.
            known = {file: stamp(file) for file in files()} | seen
        wait()


def remembered(
    read: Callable[[Path], T], others: Callable[[T], Iterable[Path]] = lambda result: ()
) -> Callable[[Path], T]:
    """Return a function like `read` that reads a file again only when it has changed.

    Args:
        read: reads a file.
        others: lists further files that the result was made from.
    """
    known: dict[Path, tuple[dict[Path, Stamp], T]] = {}

    def remembering(file: Path) -> T:
        stamps, result = known.get(file, ({}, None))
        # Which others there are may have changed, too.
        if result is None or stamps != {each: stamp(each) for each in (file, *others(result))}:
            # Looked at before reading: a change in between is then noticed the next time.
            before = stamp(file)
            result = read(file)
            known[file] = {**{other: stamp(other) for other in others(result)}, file: before}, result
        return result

    return remembering
