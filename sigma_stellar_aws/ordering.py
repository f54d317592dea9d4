"""Puts any number of things in order, on disk where they are many."""

import pickle
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TypeVar, cast

T = TypeVar("T")

_CACHE_KIB = 16 * 1024


def in_order(things: Iterable[T], time: Callable[[T], int | None], name: Callable[[T], str]) -> Iterator[T]:
    """The things in order of their time, then their name; those without a time come last.

    All are taken before this returns. Memory stays the same however many there are: a temporary database keeps them, in
    a file that is removed at the end.
    """
    # An empty name stands for a temporary database, which goes to disk when it outgrows its cache.
    database = sqlite3.connect("", isolation_level=None)
    try:
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("CREATE TABLE things (time INTEGER, name BLOB, thing BLOB)")
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO things VALUES (?, ?, ?)",
            # Names come out of log records, which may hold what is no valid text.
            ((time(thing), name(thing).encode("utf-8", "surrogatepass"), pickle.dumps(thing)) for thing in things),
        )
    except BaseException:
        database.close()
        raise
    return _rows(database)


def _rows(database: sqlite3.Connection) -> Iterator[T]:
    with closing(database):
        for (thing,) in database.execute("SELECT thing FROM things ORDER BY time IS NULL, time, name, rowid"):
            yield cast(T, pickle.loads(thing))
