"""What takes long, and how far reading is, shown on a terminal."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.cli.problems import note

_PATIENCE = 2.0
"""After how many seconds without a word people wonder."""


class Bar(NamedTuple):
    """A bar that shows how far reading is."""

    expect: Callable[[int, int], None]
    """To call with a number of files, and of their bytes, that are to be read."""
    advance: Callable[[int], None]
    """To call with each number of bytes that was read."""


@contextmanager
def progress() -> Iterator[Bar]:
    """Show a bar while files are read, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield Bar(lambda files, size: None, lambda done: None)
        return
    # It loads rich, which takes a third of our start.
    from sigma_stellar_aws.cli.progress_bar import bar_on_terminal

    with bar_on_terminal() as bar:
        task = bar.add_task("", total=0)
        files = size = 0

        def expect(more_files: int, more_bytes: int) -> None:
            nonlocal files, size
            files, size = files + more_files, size + more_bytes
            bar.update(task, description=plural(files, "file"), total=size)

        yield Bar(expect, lambda done: bar.advance(task, done))


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say what is being done, if standard error is a terminal and it takes more than a moment."""
    if not sys.stderr.isatty():
        yield
        return
    timer = threading.Timer(_PATIENCE, note, [f"{what} ..."])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        # Nothing is written later, and no process forked from two threads.
        timer.join()
