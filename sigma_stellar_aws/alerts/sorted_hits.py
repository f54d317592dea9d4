"""Hits in order of time, on disk where they are many."""

import sqlite3
from collections.abc import Iterable, Iterator

from sigma_stellar_aws.alerts.hit_rows import HitRow, HitRowReader, HitRowWriter
from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.base.kept_texts import KeptTexts
from sigma_stellar_aws.base.temporary_database import no_room, temporary_database

_PLACEHOLDERS = ", ".join("?" * len(HitRow._fields))


class SortedHits:
    """Hits in order of time, copies of an event one after the other; those without a time come last.

    They can be read as often as you like.
    """

    def __init__(self, kept: KeptTexts) -> None:
        """Begin with no hits.

        Args:
            kept: the texts of the events of all rows.
        """
        self._reader, self._writer = HitRowReader(kept), HitRowWriter(kept.add)
        self._count = 0
        self._database = temporary_database(self, f"CREATE TABLE hits ({', '.join(HitRow._fields)})")

    def extend(self, hits: Iterable[Hit]) -> None:
        """Add hits.

        Raises:
            TemporaryDataError: there is no room for them.
        """
        self.add_rows(map(self._writer.row, hits))

    def add_rows(self, rows: Iterable[HitRow]) -> None:
        """Add hits whose texts are kept.

        Raises:
            TemporaryDataError: there is no room for them.
        """
        try:
            added = self._database.executemany(f"INSERT INTO hits VALUES ({_PLACEHOLDERS})", rows)
        except sqlite3.OperationalError as error:
            raise no_room(error) from error
        self._count += max(added.rowcount, 0)

    def __len__(self) -> int:
        """Return how many hits there are."""
        return self._count

    def __iter__(self) -> Iterator[Hit]:
        """Yield the hits in order.

        Raises:
            TemporaryDataError: there is no room to sort them.
        """
        try:
            yield from map(
                self._reader.hit,
                self._database.execute("SELECT * FROM hits ORDER BY time IS NULL, time, identity, rowid"),
            )
        except sqlite3.OperationalError as error:
            raise no_room(error) from error
