"""Puts any number of things in order, on disk where they are many."""

import pickle
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TypeVar, cast

from sigma_stellar_aws.base.errors import TemporaryDataError

T = TypeVar("T")

_CACHE_KIB = 16 * 1024


def in_order(things: Iterable[T], time: Callable[[T], int | None], name: Callable[[T], str]) -> Iterator[T]:
    """The things in order of their time, then their name; those without a time come last.

    All are taken before this returns. Memory stays the same however many there are: a temporary database keeps them, in
    a file that is removed at the end.

    Raises:
        TemporaryDataError: there is no room for it, also while the things are given.
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
    except sqlite3.Error as error:
        database.close()
        raise _no_room(error) from error
    except BaseException:
        database.close()
        raise
    return _rows(database)


def _rows(database: sqlite3.Connection) -> Iterator[T]:
    with closing(database):
        rows = database.execute("SELECT thing FROM things ORDER BY time IS NULL, time, name, rowid")
        while True:
            try:
                row = rows.fetchone()
            except sqlite3.Error as error:
                raise _no_room(error) from error
            if row is None:
                return
            yield cast(T, pickle.loads(row[0]))


def _no_room(error: sqlite3.Error) -> TemporaryDataError:
    return TemporaryDataError(
        f"there is no room for temporary data ({error}); name a folder that has some in SQLITE_TMPDIR"
    )
