"""All events of a data store that match a query, in order of time, however many there are.

They are read in slices of time, of a page or so each, some at once and given one after the other. Slices as the engines
offer them would not do: OpenSearch hashes every ``_id`` for them, half a second for each page of an index of a million
events, and to put their hits in order all have to be read at the same pace.
"""

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from contextvars import copy_context
from functools import partial
from heapq import merge
from itertools import chain, groupby, islice
from threading import Event
from typing import NamedTuple

from opensearchpy import OpenSearch

from sigma_stellar_aws.base.external_sort import in_order
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.store.answers import AnswerError, as_store_errors
from sigma_stellar_aws.store.at_once import at_once
from sigma_stellar_aws.store.pages import Page, Pages, StoredHit, source_of
from sigma_stellar_aws.store.slices import Slice, Slices, slices_of

PAGE = 5000
"""Events in a page; a store gives 10,000 at most, by default."""

SLICES = 3
"""Slices of time that are read at once; each holds one page in memory."""

HELD = 10_000
"""Most events of one time of several queries in memory, some KB each; beyond that, they are sorted on disk."""

# Each page is compared with each rule anew: with pages of 1,250 events, 1,500 rules took twice as long.
_SMALLEST_PAGE = 2500


class StoredEvent(NamedTuple):
    """One event of a data store."""

    index_name: str
    """The index that it is in."""
    id: str
    """Its ``_id`` there."""
    time: int | None
    """Milliseconds since 1970-01-01 UTC: the first of several times."""
    source: JsonObject
    matched_queries: list[str]

    @property
    def place(self) -> tuple[str, str]:
        """What no other event has: the index and the id there."""
        return self.index_name, self.id

    def also(self, names: Iterable[str]) -> "StoredEvent":
        """Return the event as one that matches further queries, too."""
        return self._replace(matched_queries=[*self.matched_queries, *names])


def scan(
    client: OpenSearch,
    index: str,
    query: Clause,
    fields: Iterable[str],
    *,
    time_field: str | None,
    slices: int = SLICES,
    page: int = PAGE,
) -> Generator[StoredEvent, None, None]:
    """Yield all events that match a query of named clauses, in order of time, those without one last.

    Memory is bounded by ``slices`` and ``page``.

    Args:
        client: the data store.
        index: name, alias or pattern.
        query: each event says which of its named clauses it matches.
        fields: what to give of each event.
        time_field: date field to sort by; without one the events come in any order and without time.
        slices: parts that are read at once.
        page: events in one answer.

    Raises:
        StoreError: the store cannot be asked, or did not answer as a whole however often it was asked.
    """
    return scan_each(client, index, [query], fields, time_field=time_field, slices=slices, page=page)


def scan_each(
    client: OpenSearch,
    index: str,
    queries: Sequence[Clause],
    fields: Iterable[str],
    *,
    time_field: str | None,
    slices: int = SLICES,
    page: int = PAGE,
) -> Generator[StoredEvent, None, None]:
    """Yield all events that match one of several queries, as :func:`scan` does: each once, with all that it matches.

    All are asked about the same point in time, where the store knows points in time. Memory is bounded as there, and
    by ``HELD``.

    Raises:
        StoreError: the store cannot be asked, or did not answer as a whole however often it was asked.
    """
    stopped = Event()
    with as_store_errors(index), ExitStack() as stack:
        source = source_of(client, index, stopped, stack)
        sort = (_by_time(time_field), *source.tie_break) if time_field else source.tie_break or ("_doc",)
        size, ahead = (page, slices) if len(queries) == 1 else (_page_of_each(len(queries), slices, page), 1)
        pages = [Page(query, tuple(fields), size, time_field is not None, sort) for query in queries]
        cut = (
            [Slices([Slice(source.read(each), is_timed=False)], None) for each in pages]
            if time_field is None
            else at_once([partial(slices_of, source, each, time_field) for each in pages], slices, stopped)
        )
        for part in chain.from_iterable(of_query.slices for of_query in cut):
            stack.enter_context(closing(part.pages))
        pool = stack.enter_context(ThreadPoolExecutor(slices))
        # The first to be done at the end: what waits to try again must not be waited for.
        stack.callback(stopped.set)
        streams = [
            # Scrolls would see the data in different states.
            _events(_in_turn(pool, ahead, of_query.slices), of_query.events if source.tie_break else None)
            for of_query in cut
        ]
        yield from streams[0] if len(streams) == 1 else _each_once(streams)


def _page_of_each(queries: int, slices: int, page: int) -> int:
    """Return how many events of each query to read at once, so that as many are in memory as with one query.

    >>> _page_of_each(2, slices=3, page=5000), _page_of_each(4, slices=3, page=5000), _page_of_each(9, 3, 5000)
    (5000, 2500, 2500)
    """
    # Of each query one page is read ahead.
    return min(page, max(_SMALLEST_PAGE, (slices + 1) * page // (2 * queries)))


def _events(found: Iterable[tuple[Slice, list[StoredHit]]], total: int | None) -> Iterator[StoredEvent]:
    """Yield each event from the slice that its time is in.

    Raises:
        AnswerError: these are not as many as there are in total.
    """
    given = 0
    for part, hits in found:
        for hit in hits:
            time = hit.time() if part.is_timed else None
            if part.start is None or time is None or time >= part.start:
                given += 1
                yield StoredEvent(hit.index, hit.id, time, hit.source, hit.matched_queries)
    if total is not None and given != total:
        raise AnswerError(f"of the {total:,} events that it counted, it gave {given:,} where they should be")


def _by_time(field: str) -> JsonObject:
    """Return a sort whose values are milliseconds, also of a field with nanoseconds, or that some indices lack."""
    return {field: {"order": "asc", "unmapped_type": "date", "numeric_type": "date"}}


def _each_once(streams: Iterable[Iterator[StoredEvent]]) -> Iterator[StoredEvent]:
    """Merge events in order of time; one that is in several streams has matched what it has matched in each."""
    in_time = merge(*streams, key=lambda event: math.inf if event.time is None else event.time)
    for _, of_one_time in groupby(in_time, key=lambda event: event.time):
        yield from _joined(of_one_time)


def _joined(events: Iterator[StoredEvent]) -> Iterator[StoredEvent]:
    """Join events that are the same, of those of one time."""
    held: dict[tuple[str, str], StoredEvent] = {}
    for event in events:
        before = held.get(event.place)
        held[event.place] = event if before is None else before.also(event.matched_queries)
        if len(held) > HELD:
            break
    else:
        yield from held.values()
        return
    ordered = in_order(chain(held.values(), events), lambda event: event.time, lambda event: "/".join(event.place))
    for _, same in groupby(ordered, key=lambda event: event.place):
        first, *others = same
        yield first.also(name for each in others for name in each.matched_queries)


def _in_turn(pool: ThreadPoolExecutor, slices: int, parts: Iterable[Slice]) -> Iterator[tuple[Slice, list[StoredHit]]]:
    """Return the pages of each part after those of the one before; the next ones of some parts are read ahead.

    The first ones are asked for at once, so that those of several queries are read beside each other.
    """
    following = iter(parts)
    reading: deque[tuple[Slice, Future[list[StoredHit] | None]]] = deque()

    def read_ahead() -> None:
        for part in islice(following, slices - len(reading)):
            reading.append((part, _submit(pool, part.pages)))

    def in_turn() -> Iterator[tuple[Slice, list[StoredHit]]]:
        while reading:
            part, future = reading.popleft()
            if (hits := future.result()) is not None:
                reading.appendleft((part, _submit(pool, part.pages)))
                yield part, hits
            read_ahead()

    read_ahead()
    return in_turn()


def _submit(pool: ThreadPoolExecutor, pages: Pages) -> Future[list[StoredHit] | None]:
    # The context knows how long the run may take.
    return pool.submit(copy_context().run, lambda: next(pages, None))
