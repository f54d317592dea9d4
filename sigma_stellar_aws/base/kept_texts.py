"""Keep very many texts on disk, compressed, to read a few of them later."""

import itertools
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from zlib_ng import zlib_ng

from sigma_stellar_aws.base.temporary_database import no_room, temporary_database

NOT_KEPT = 0
"""The place of a text that is not kept."""

_CHUNK = 32 << 10
"""Bytes of texts that are compressed together: one text is read in some 40 microseconds."""
_LINE_BITS = 10
_NUMBER_BITS = 24
_CACHED = 256
"""Chunks that are remembered: texts are read in order of time, out of as many files at once."""


_writers = itertools.count(1)


def new_writer() -> int:
    """Return a number for a writer of texts that no other writer gets, be it in a process that this one starts."""
    return next(_writers)


class Chunk(NamedTuple):
    """Some texts, compressed."""

    number: int
    data: bytes


class TextChunks:
    """Gives texts their places, and puts them into chunks.

    >>> chunks = TextChunks(new_writer())
    >>> places = [chunks.add(text) for text in (b"one", b"two")]
    >>> kept = KeptTexts()
    >>> kept.extend(chunks.taken())
    >>> [kept.text(place) for place in reversed(places)]
    [b'two', b'one']
    """

    def __init__(self, writer: int) -> None:
        """Begin with no text.

        Args:
            writer: its number, see :func:`new_writer`.
        """
        self._numbers = itertools.count(writer << _NUMBER_BITS)
        self._number = next(self._numbers)
        self._texts: list[bytes] = []
        self._size = 0
        self._chunks: list[Chunk] = []

    def add(self, text: bytes) -> int:
        """Add a text, which has no line break; return its place."""
        place = self._number << _LINE_BITS | len(self._texts)
        self._texts.append(text)
        self._size += len(text)
        if self._size >= _CHUNK or len(self._texts) >> _LINE_BITS:
            self._close()
        return place

    def taken(self) -> list[Chunk]:
        """Return the chunks of all texts that were added since this was last called."""
        if self._texts:
            self._close()
        return self.full()

    def full(self) -> list[Chunk]:
        """Return those of these chunks to which nothing can be added."""
        full, self._chunks = self._chunks, []
        return full

    def _close(self) -> None:
        self._chunks.append(Chunk(self._number, zlib_ng.compress(b"\n".join(self._texts), 1)))
        self._number = next(self._numbers)
        self._texts, self._size = [], 0


class KeptTexts:
    """Chunks of texts, in a temporary database that is removed when this is."""

    def __init__(self) -> None:
        """Begin with none."""
        table = "CREATE TABLE chunks (number INTEGER PRIMARY KEY, data BLOB)"
        # Chunks are large, and remembered when they are read.
        self._database = temporary_database(self, table, cache_kib=1024)
        self._cache: OrderedDict[int, list[bytes]] = OrderedDict()
        self._own = TextChunks(new_writer())

    def add(self, text: bytes) -> int:
        """Keep a text, which has no line break; return its place.

        Raises:
            TemporaryDataError: there is no room for it.
        """
        place = self._own.add(text)
        self.extend(self._own.full())
        return place

    def extend(self, chunks: Sequence[Chunk]) -> None:
        """Keep chunks.

        Raises:
            TemporaryDataError: there is no room for them.
        """
        if not chunks:
            return
        try:
            self._database.executemany("INSERT INTO chunks VALUES (?, ?)", chunks)
        except sqlite3.OperationalError as error:
            raise no_room(error) from error

    def text(self, place: int) -> bytes:
        """Return the text at a place; none for ``NOT_KEPT``."""
        if place == NOT_KEPT:
            return b""
        number, line = place >> _LINE_BITS, place & ((1 << _LINE_BITS) - 1)
        if (texts := self._cache.get(number)) is None:
            query = "SELECT data FROM chunks WHERE number = ?"
            found = self._database.execute(query, (number,)).fetchone()
            if found is None:
                # It is of the last ones that were added.
                self.extend(self._own.taken())
                found = self._database.execute(query, (number,)).fetchone()
            texts = self._cache[number] = zlib_ng.decompress(found[0]).split(b"\n")
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return texts[line]
