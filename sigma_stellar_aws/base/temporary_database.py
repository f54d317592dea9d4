"""A temporary database for what does not fit into memory, removed together with the object that uses it."""

import sqlite3
import weakref

from sigma_stellar_aws.base.errors import TemporaryDataError

_CACHE_KIB = 8 * 1024
"""Sorting uses as much memory again."""


def temporary_database(owner: object, table: str, *, cache_kib: int = _CACHE_KIB) -> sqlite3.Connection:
    """Return a new database for one table, which goes to disk when it outgrows its cache.

    Args:
        owner: the object that uses it; once that is gone, the database is closed and its file removed.
        table: the statement that creates the table.
        cache_kib: how much of it is kept in memory, in KiB.
    """
    # An empty name stands for a temporary database.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    weakref.finalize(owner, database.close)
    database.execute(f"PRAGMA cache_size = -{cache_kib}")
    database.execute("PRAGMA journal_mode = OFF")
    database.execute(table)
    database.execute("BEGIN")
    return database


def no_room(error: sqlite3.OperationalError) -> TemporaryDataError:
    """Return what to raise when a temporary database has no room."""
    return TemporaryDataError(
        f"there is no room for temporary data ({error}); name a folder that has some in SQLITE_TMPDIR"
    )
