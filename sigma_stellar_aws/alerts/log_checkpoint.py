"""The file that says which log files a search has read, and what it found in them that may still count.

It is a database (SQLite), changed as a whole at the end of a run: who is killed leaves the run to be done again, which
raises no alert twice. Of files only those are listed that were written lately, and of hits those whose windows may be
open, so that it stays small.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import msgspec

from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.base.errors import CheckpointError
from sigma_stellar_aws.base.kept_texts import NOT_KEPT
from sigma_stellar_aws.base.times import millis

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SETTLED = timedelta(hours=1)
"""How long after a file was written it may still come to be listed."""
_GIVEN_UP = timedelta(days=7)
"""For how long after a file was written it is tried again if it cannot be read."""
_TABLES = """
CREATE TABLE run (search TEXT, through INTEGER, since INTEGER, written INTEGER);
CREATE TABLE file (name TEXT PRIMARY KEY, written INTEGER) WITHOUT ROWID;
CREATE TABLE unread (name TEXT PRIMARY KEY, written INTEGER) WITHOUT ROWID;
CREATE TABLE hit (time INTEGER, hit TEXT);
"""


class ReadFile(NamedTuple):
    """A file that a run was given: its name, when it was written, and whether it could be read."""

    name: str
    written: datetime
    was_read: bool = True


class LogCheckpoint:
    """What earlier runs have done."""

    def __init__(self, database: sqlite3.Connection, search: dict[str, str]) -> None:
        """Take an open database; see :func:`open_log_checkpoint`."""
        self._database = database
        self._search = search
        row = database.execute("SELECT through, since, written FROM run").fetchone() or (None, None, None)
        self.through: datetime | None = _time(row[0])
        """When the last run began; None before the first."""
        self.floor: datetime | None = _time(row[1])
        """Where the first run began; None for the first event."""
        self.written: datetime | None = _time(row[2])
        """When the latest file was written of all that were listed."""

    def is_new(self, name: str, written: datetime) -> bool:
        """Tell whether no run was given a file yet."""
        if self.written is not None and written < self.written - _SETTLED:
            return False
        return not any(
            self._database.execute(f"SELECT 1 FROM {table} WHERE name = ?", (name,)).fetchone()
            for table in ("file", "unread")
        )

    def unread(self) -> list[tuple[str, datetime]]:
        """Return the files that could not be read and are to be tried again, with the times they were written at."""
        rows = self._database.execute("SELECT name, written FROM unread").fetchall()
        return [(name, _EPOCH + timedelta(milliseconds=written)) for name, written in rows]

    def hits(self) -> Iterator[Hit]:
        """Yield what earlier runs found that may still count.

        Raises:
            CheckpointError: another version has written it.
        """
        for (text,) in self._database.execute("SELECT hit FROM hit"):
            try:
                hit = msgspec.convert(json.loads(text), Hit)
            except msgspec.ValidationError as error:
                raise CheckpointError(
                    f"the checkpoint is that of another version ({error}); remove it to begin anew (--since)"
                ) from error
            # Where its event was kept is gone.
            yield hit._replace(event=NOT_KEPT)

    def write(
        self,
        through: datetime,
        floor: datetime | None,
        files: Iterable[ReadFile],
        hits: Iterable[Hit],
        *,
        keep_from: datetime,
        all_listed: bool,
    ) -> None:
        """Note that a run is done.

        Args:
            through: when it began.
            floor: where the first run began.
            files: those that it was given.
            hits: what it found in them.
            keep_from: earlier hits cannot count any more.
            all_listed: whether every folder could be listed; what could not may have files of any time.
        """
        database = self._database
        with database:
            written = self.written
            # All of it was tried again.
            database.execute("DELETE FROM unread")
            for name, time, was_read in files:
                if was_read:
                    database.execute("INSERT OR REPLACE INTO file VALUES (?, ?)", (name, millis(time)))
                else:
                    database.execute("INSERT OR IGNORE INTO unread VALUES (?, ?)", (name, millis(time)))
                if all_listed and (written is None or time > written):
                    written = time
            database.executemany("INSERT INTO hit VALUES (?, ?)", ((hit.time, json.dumps(hit)) for hit in hits))
            database.execute("DELETE FROM hit WHERE time < ?", (millis(keep_from),))
            if written is not None:
                database.execute("DELETE FROM file WHERE written < ?", (millis(written - _SETTLED),))
            database.execute("DELETE FROM unread WHERE written < ?", (millis(through - _GIVEN_UP),))
            database.execute("DELETE FROM run")
            database.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?)",
                (json.dumps(self._search), millis(through), floor and millis(floor), written and millis(written)),
            )


@contextmanager
def open_log_checkpoint(file: Path, search: dict[str, str]) -> Iterator[LogCheckpoint]:
    """Open a checkpoint, or begin one.

    Args:
        file: where it is.
        search: tells this search from others.

    Raises:
        CheckpointError: the file is not a checkpoint, or that of another search, or cannot be written.
    """
    try:
        # Objects are listed in another thread.
        with closing(sqlite3.connect(file, check_same_thread=False)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'run'").fetchone():
                database.executescript(_TABLES)
            row = database.execute("SELECT search FROM run").fetchone()
            if row and json.loads(row[0]) != search:
                raise CheckpointError(
                    f"{file} is the checkpoint of another search, {row[0]}, not {json.dumps(search)}; name another file"
                )
            yield LogCheckpoint(database, search)
    except sqlite3.DatabaseError as error:
        raise CheckpointError(
            f"{file} cannot be used as a checkpoint of log files: {error}; remove it to begin anew (--since), or name "
            "another file"
        ) from error


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
