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

import msgspec
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.daemon_threads import DaemonThreads
from sigma_stellar_aws.base.external_sort import in_order
from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.store.answers import AnswerError, SearchAnswer, TotalHits, as_store_errors
from sigma_stellar_aws.store.pages import Page, Pages, SendSearch, StoredHit, source_of

PAGE = 5000
"""Events in a page; a store gives 10,000 at most, by default."""

SLICES = 3
"""Slices of time that are read at once; each holds one page in memory."""

HELD = 10_000
"""Most events of one time of several queries in memory, some KB each; beyond that, they are sorted on disk."""

# Each page is compared with each rule anew: with pages of 1,250 events, 1,500 rules took twice as long.
_SMALLEST_PAGE = 2500

_BORDERS = 1000
# A slice that fits into a page needs one request.
_FILLED = 0.8


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


class _Slice(NamedTuple):
    """A part of the events: those that match its query, without those whose time is before its start."""

    query: Clause
    is_timed: bool
    """Whether they have a time."""
    start: int | None = None


class _Parts(NamedTuple):
    """The slices of a query, and how many events they have together, where that is known."""

    slices: list[_Slice]
    events: int | None


class _Percentile(msgspec.Struct):
    value: float | None


class _Times(msgspec.Struct):
    values: list[_Percentile]


class _Undated(msgspec.Struct):
    doc_count: int


class _Distribution(msgspec.Struct):
    times: _Times
    undated: _Undated


class _DistributionAnswer(SearchAnswer, kw_only=True):
    hits: TotalHits
    aggregations: _Distribution


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
        sorts: dict[bool, tuple[Json, ...]] = {False: source.tie_break or ("_doc",)}
        if time_field is not None:
            sorts[True] = (_by_time(time_field), *source.tie_break)
        names = tuple(fields)
        size, ahead = (page, slices) if len(queries) == 1 else (_page_of_each(len(queries), slices, page), 1)
        cut = _parts_of_each(source.ask, queries, time_field, size, slices, stopped)
        started = [
            [
                (part, source.read(Page(part.query, names, size, part.is_timed, sorts[part.is_timed])))
                for part in parts.slices
            ]
            for parts in cut
        ]
        for _, pages in chain.from_iterable(started):
            stack.enter_context(closing(pages))
        pool = stack.enter_context(ThreadPoolExecutor(slices))
        # The first to be done at the end: what waits to try again must not be waited for.
        stack.callback(stopped.set)
        # Scrolls are of several states of the data.
        totals = [parts.events if source.tie_break else None for parts in cut]
        streams = [_events(_in_turn(pool, ahead, parts), total) for parts, total in zip(started, totals, strict=True)]
        yield from streams[0] if len(streams) == 1 else _each_once(streams)


def _page_of_each(queries: int, slices: int, page: int) -> int:
    """Return how many events of each query to read at once, so that as many are in memory as with one query.

    >>> _page_of_each(2, slices=3, page=5000), _page_of_each(4, slices=3, page=5000), _page_of_each(9, 3, 5000)
    (5000, 2500, 2500)
    """
    # Of each query one page is read ahead.
    return min(page, max(_SMALLEST_PAGE, (slices + 1) * page // (2 * queries)))


def _parts_of_each(
    ask: SendSearch, queries: Sequence[Clause], time_field: str | None, page: int, at_once: int, stopped: Event
) -> list[_Parts]:
    """Return the parts of each query; several queries are asked about at once."""
    if len(queries) == 1:
        return [_parts(ask, queries[0], time_field, page)]
    with DaemonThreads(at_once) as threads:
        # The context knows how long the run may take.
        tasks = [partial(copy_context().run, _parts, ask, query, time_field, page) for query in queries]
        asked = [threads.submit(task) for task in tasks]
        try:
            return [each.result() for each in asked]
        except BaseException:
            # What waits to try again must not go on.
            stopped.set()
            raise


def _parts(ask: SendSearch, query: Clause, time_field: str | None, page: int) -> _Parts:
    if time_field is None:
        return _Parts([_Slice(query, is_timed=False)], None)
    return _slices(ask, query, time_field, page)


def _events(found: Iterable[tuple[_Slice, list[StoredHit]]], total: int | None) -> Iterator[StoredEvent]:
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
        raise AnswerError(f"of the {total:,} events that it tells of, it has {given:,} where they should be")


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


def _by_time(field: str) -> JsonObject:
    """Return a sort whose values are milliseconds, also of a field with nanoseconds, or that some indices lack."""
    return {field: {"order": "asc", "unmapped_type": "date", "numeric_type": "date"}}


def _slices(ask: SendSearch, query: Clause, field: str, page: int) -> _Parts:
    """Return slices of time of at most a page, where events are not too many or too close for that, in their order."""
    percents: Json = [100 * number / _BORDERS for number in range(1, _BORDERS)]
    percentiles: JsonObject = {"field": field, "percents": percents, "keyed": False, "tdigest": {"compression": 1000}}
    aggregations: JsonObject = {"times": {"percentiles": percentiles}, "undated": {"missing": {"field": field}}}
    body: JsonObject = {"query": query, "size": 0, "track_total_hits": True, "aggs": aggregations}
    answer = ask(body, _DistributionAnswer)
    undated = answer.aggregations.undated.doc_count
    dated = answer.hits.total.value - undated
    slices = []
    if dated:
        borders = _borders(
            [each.value for each in answer.aggregations.times.values if each.value is not None], dated, page
        )
        spans = zip([None, *borders], [*borders, None], strict=True)
        slices += [_Slice(_between(query, field, *span), is_timed=True, start=span[0]) for span in spans]
    if undated:
        # Apart: OpenSearch sorts them by a time that a date_nanos cannot be, and then refuses to give the next page.
        slices.append(_Slice(dsl.all_of([query, dsl.none_of(dsl.exists(field))]), is_timed=False))
    return _Parts(slices, answer.hits.total.value)


def _borders(percentiles: list[float], events: int, page: int) -> list[int]:
    """Return the times between slices that fill a page each, in milliseconds, rising.

    >>> _borders([float(time) for time in range(999)], 20_000, 5000)
    [199, 399, 599, 799]
    """
    step = max(1.0, _BORDERS * page * _FILLED / events)
    places = (int(step * number) - 1 for number in range(1, math.ceil(_BORDERS / step)))
    return sorted({math.ceil(percentiles[place]) for place in places if place < len(percentiles)})


def _between(query: Clause, field: str, start: int | None, end: int | None) -> Clause:
    limits: dict[str, Scalar] = {name: str(time) for name, time in (("gte", start), ("lt", end)) if time is not None}
    return dsl.all_of([query, dsl.bounds(field, **limits, format="epoch_millis") if limits else dsl.exists(field)])


def _in_turn(
    pool: ThreadPoolExecutor, slices: int, parts: Iterable[tuple[_Slice, Pages]]
) -> Iterator[tuple[_Slice, list[StoredHit]]]:
    """Return the pages of each part after those of the one before; the next ones of some parts are read ahead.

    The first ones are asked for at once, so that those of several queries are read beside each other.
    """
    following = iter(parts)
    reading: deque[tuple[_Slice, Pages, Future[list[StoredHit] | None]]] = deque()

    def read_ahead() -> None:
        for part, pages in islice(following, slices - len(reading)):
            reading.append((part, pages, _submit(pool, pages)))

    def in_turn() -> Iterator[tuple[_Slice, list[StoredHit]]]:
        while reading:
            part, pages, future = reading.popleft()
            if (hits := future.result()) is not None:
                reading.appendleft((part, pages, _submit(pool, pages)))
                yield part, hits
            read_ahead()

    read_ahead()
    return in_turn()


def _submit(pool: ThreadPoolExecutor, pages: Pages) -> Future[list[StoredHit] | None]:
    # The context knows how long the run may take.
    return pool.submit(copy_context().run, lambda: next(pages, None))
