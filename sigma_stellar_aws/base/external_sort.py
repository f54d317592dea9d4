"""Sort any number of things, on disk where they are many."""

import pickle
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, islice
from typing import Generic, TypeVar

from sigma_stellar_aws.base.temporary_database import no_room, temporary_database

T = TypeVar("T")


class ExternalSort(Generic[T]):
    """Things in order of their time, then their name, then as they came; those without a time come last.

    Memory stays the same however many there are: a temporary database keeps them, in a file that is removed when this
    is. They can be read as often as you like.

    >>> words = ExternalSort(time=len, name=str)
    >>> words.extend(["three", "two", "four", "one"])
    >>> len(words), list(words)
    (4, ['one', 'two', 'four', 'three'])
    """

    def __init__(
        self,
        time: Callable[[T], int | None],
        name: Callable[[T], str],
        *,
        pack: Callable[[T], bytes] = pickle.dumps,
        unpack: Callable[[bytes], T] = pickle.loads,
    ) -> None:
        """Begin with nothing.

        Args:
            time: a thing's time.
            name: what a thing is ordered by among those of the same time.
            pack: writes a thing as bytes.
            unpack: reads it again.
        """
        self._time, self._name, self._pack, self._unpack = time, name, pack, unpack
        self._count = 0
        self._database = temporary_database(self, "CREATE TABLE things (time INTEGER, name BLOB, thing BLOB)")

    def extend(self, things: Iterable[T]) -> None:
        """Add things.

        Raises:
            TemporaryDataError: there is no room for them.
        """
        try:
            added = self._database.executemany("INSERT INTO things VALUES (?, ?, ?)", map(self._row, things))
        except sqlite3.OperationalError as error:
            raise no_room(error) from error
        self._count += max(added.rowcount, 0)

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Read them in order.

        Raises:
            TemporaryDataError: there is no room to sort them.
        """
        try:
            rows = self._database.execute("SELECT thing FROM things ORDER BY time IS NULL, time, name, rowid")
            for (packed,) in rows:
                yield self._unpack(packed)
        except sqlite3.OperationalError as error:
            raise no_room(error) from error

    def _row(self, thing: T) -> tuple[int | None, bytes, bytes]:
        # Names come out of log records, which may hold what is not valid text.
        return self._time(thing), self._name(thing).encode("utf-8", "surrogatepass"), self._pack(thing)


def in_order(things: Iterable[T], time: Callable[[T], int | None], name: Callable[[T], str]) -> ExternalSort[T]:
    """Sort things by their time, then their name; all are taken before this returns.

    >>> list(in_order(["b", "a", "aa"], time=len, name=str))
    ['a', 'b', 'aa']

    Raises:
        TemporaryDataError: there is no room for them, also while they are read.
    """
    ordered = ExternalSort(time, name)
    ordered.extend(things)
    return ordered


def in_order_of_names(
    things: Iterable[T], time: Callable[[T], int | None], name: Callable[[T], str], *, in_memory: int = 10_000
) -> Iterator[T]:
    """Put things that come in order of time into the order of their names, too, where their times are the same.

    >>> [*in_order_of_names(["b", "a", "cc", "aa"], time=len, name=str)]
    ['a', 'b', 'aa', 'cc']

    Args:
        things: in order of time.
        time: a thing's time.
        name: what a thing is ordered by among those of the same time.
        in_memory: how many things of one time are sorted in memory.

    Raises:
        TemporaryDataError: there is no room for those of one time.
    """

    def ordered(same: Iterator[T]) -> Iterable[T]:
        some = list(islice(same, in_memory))
        return sorted(some, key=name) if len(some) < in_memory else in_order(chain(some, same), time, name)

    for _, same in groupby(things, key=time):
        yield from ordered(same)
