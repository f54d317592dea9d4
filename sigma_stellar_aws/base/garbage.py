"""How often Python looks for objects that hold each other."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 100_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for cycles seldom while records are read.

    They come and go by the million, and have no cycles in them; to look for some takes a tenth of the time.
    """
    before = gc.get_threshold()
    gc.set_threshold(MANY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
