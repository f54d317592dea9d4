"""How often Python's garbage collector looks for objects that refer to each other."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_RARELY = 100_000
"""New objects between two looks; Python's own threshold is 2,000 or less."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for reference cycles rarely.

    Modules that are loaded stay, and records come and go by the million; neither hold cycles, and looking
    for them takes a tenth of the time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
