"""All events of a data store that match a query, in order of time, however many there are.

They are read in slices of time, of a page or so each, some at once and given one after the other. Slices as the engines
offer them would not do: OpenSearch hashes every ``_id`` for them, half a second for each page of an index of a million
events, and to put their hits in order all have to be read at the same pace.

Where there is a point in time, a page follows another by ``search_after``, so that it can be asked for again. It needs
a sort that is different for each event: Elasticsearch has ``_shard_doc``; OpenSearch has it since 3.3, but the same for
events of different indices, so that ``_index`` is added. Elsewhere there is only a scroll, of which each page is given
once; if one gets lost, another scroll goes on from the last event that was given.
"""

import math
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import islice
from threading import Event
from types import NoneType
from typing import Any, NamedTuple, TypeAlias, cast
from urllib.parse import quote

from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Engine
from sigma_stellar_aws.store.answers import answered_engine, as_store_errors, whole
from sigma_stellar_aws.store.retries import NotWholeError, answered, may_pass

PAGE = 5000
"""Events in a page; a store gives 10,000 at most, by default."""

SLICES = 3
"""Slices of time that are read at once; each holds one page in memory."""

REMEMBERED = 100_000
"""Most events of one millisecond of which a scroll can be gone on with after an error, about 10 MB of memory."""

_KEEP = "10m"
_BORDERS = 1000
# A slice that fits into a page needs one request.
_FILLED = 0.8
# What is said of a page that is over the setting index.max_result_window of an index, which not everybody may read.
_TOO_LARGE = re.compile(r"size must be less than or equal to: \[(\d+)\]")
_STRICT = {"allow_no_indices": "false", "allow_partial_search_results": "false"}


class StoredEvent(NamedTuple):
    """One event of a data store."""

    place: str
    """The index that it stands in."""
    id: str
    """Its ``_id`` there."""
    time: int | None
    """Milliseconds since 1970-01-01 UTC: the first of several times."""
    source: JsonObject
    matched_queries: list[str]


class _Slice(NamedTuple):
    """A part of the events: those that match its query, but for those with an earlier time than its start."""

    query: Clause
    timed: bool
    """Whether they have a time."""
    start: int | None = None


Pages: TypeAlias = Generator[list[JsonObject], None, None]


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
    """All events that match a query of named clauses, in order of time, those without one last.

    Memory is bounded by ``slices`` and ``page``.

    Args:
        client: the data store.
        index: name, alias or pattern.
        query: its named clauses are told of each event.
        fields: what to give of each event.
        time_field: date field to sort by; without one the events come in any order and without time.
        slices: parts that are read at once.
        page: events in one answer.

    Raises:
        StoreError: the store cannot be asked, or did not answer as a whole however often it was asked.
    """
    stopped = Event()
    body: JsonObject = {"_source": [*fields], "size": page}
    with as_store_errors(index), ExitStack() as stack:
        source = _source(client, index, stopped, stack)
        sorts: dict[bool, Json] = {False: [*source.tie_break] or ["_doc"]}
        if time_field is None:
            parts = [_Slice(query, timed=False)]
        else:
            sorts[True] = [_by_time(time_field), *source.tie_break]
            parts = _slices(source.ask, query, time_field, page)
        read = _fitting(source.read)
        started = [(part, read({**body, "query": part.query, "sort": sorts[part.timed]})) for part in parts]
        for _, pages in started:
            stack.enter_context(closing(pages))
        pool = stack.enter_context(ThreadPoolExecutor(slices))
        # The first to be done at the end: what waits to try again must not be waited for.
        stack.callback(stopped.set)
        for part, hits in _in_turn(pool, slices, started):
            for hit in hits:
                found = _found(hit, part.timed)
                if part.start is None or found.time is None or found.time >= part.start:
                    yield found


class _Source(NamedTuple):
    """How to read events."""

    ask: Callable[[JsonObject], JsonObject]
    """Answers a search."""
    read: Callable[[JsonObject], Pages]
    """Gives the pages of hits of a search."""
    tie_break: tuple[Json, ...]
    """What to sort events of the same time by, so that no two are equal; nothing where that is not needed."""


class _PointInTime(NamedTuple):
    """The requests of an engine for points in time, and what to sort by besides the time."""

    open: str
    params: Mapping[str, str]
    id: str
    """Where the answer has its id."""
    close: str
    closing: Callable[[str], JsonObject]
    tie_break: tuple[str, ...]


_POINTS_IN_TIME: dict[Engine, _PointInTime] = {
    "elasticsearch": _PointInTime("/{index}/_pit", {}, "id", "/_pit", lambda pit: {"id": pit}, ("_shard_doc",)),
    "opensearch": _PointInTime(
        "/{index}/_search/point_in_time",
        {"allow_partial_pit_creation": "false"},
        "pit_id",
        "/_search/point_in_time",
        lambda pit: {"pit_id": [pit]},
        ("_shard_doc", "_index"),
    ),
}
_SHARD_DOC_SINCE = (3, 3)
"""Of OpenSearch."""


def _source(client: OpenSearch, index: str, stopped: Event, stack: ExitStack) -> _Source:
    """A point in time, closed by the stack, or else scrolls."""
    engine, version = answered_engine(client, known=True, stopped=stopped)
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if engine == "elasticsearch" or numbers >= _SHARD_DOC_SINCE:
        try:
            return _at_point_in_time(client, index, _POINTS_IN_TIME[engine], stopped, stack)
        except exceptions.TransportError as error:
            # It has none, or not for this user; what else may be wrong is wrong for a search, too.
            if not isinstance(error.status_code, int) or error.status_code >= 500:
                raise
    return _Source(partial(_search, client, index, stopped), partial(_scroll, client, index, stopped), ())


def _at_point_in_time(client: OpenSearch, index: str, api: _PointInTime, stopped: Event, stack: ExitStack) -> _Source:
    ask = client.transport.perform_request
    path = api.open.format(index=quote(index, safe=",*"))
    params = {"keep_alive": _KEEP, "allow_no_indices": "false", **api.params}
    pit: str = answered(lambda: ask("POST", path, params=dict(params)), stopped=stopped)[api.id]

    def close() -> None:
        # Not worth an error of its own: the store forgets it after a while.
        with suppress(exceptions.OpenSearchException):
            ask("DELETE", api.close, body=api.closing(pit))

    def search(body: JsonObject) -> JsonObject:
        nonlocal pit
        request: JsonObject = {**body, "pit": {"id": pit, "keep_alive": _KEEP}}
        strict = {"allow_partial_search_results": "false"}
        answer = answered(lambda: whole(ask("POST", "/_search", body=request, params=dict(strict))), stopped=stopped)
        # Where it has changed, the old one will do as long as the new one is there.
        pit = cast(str, answer.get("pit_id", pit))
        return answer

    stack.callback(close)
    return _Source(search, partial(_search_after, search), api.tie_break)


def _fitting(read: Callable[[JsonObject], Pages]) -> Callable[[JsonObject], Pages]:
    """Reads pages that are smaller where an index does not give as many events at once."""
    most: float = math.inf

    def pages_of(body: JsonObject) -> Pages:
        nonlocal most
        while True:
            size = min(most, cast(int, body["size"]))
            with closing(read({**body, "size": size})) as pages:
                try:
                    first = next(pages)
                except exceptions.RequestError as error:
                    limit = min(map(int, _TOO_LARGE.findall(str(error.info))), default=0)
                    if not 0 < limit < size:
                        raise
                    most = min(most, limit)
                else:
                    yield first
                    yield from pages
                    return

    return pages_of


def _search(client: OpenSearch, index: str, stopped: Event, body: JsonObject) -> JsonObject:
    return answered(lambda: whole(client.search(index=index, body=body, params=_STRICT)), stopped=stopped)


def _search_after(search: Callable[[JsonObject], JsonObject], body: JsonObject) -> Pages:
    body = {**body, "track_total_hits": False}
    while True:
        hits = _hits(search(body))
        yield hits
        if len(hits) < cast(int, body["size"]):
            return
        body = {**body, "search_after": hits[-1]["sort"]}


def _scroll(client: OpenSearch, index: str, stopped: Event, body: JsonObject) -> Pages:
    scroll: str | None = None
    last: float = -math.inf
    given: set[tuple[Json, Json]] = set()
    """Of the last time."""

    def clear() -> None:
        nonlocal scroll
        if scroll is not None:
            with suppress(exceptions.OpenSearchException):
                client.clear_scroll(body={"scroll_id": [scroll]})
        scroll = None

    def next_page() -> list[JsonObject]:
        nonlocal scroll
        try:
            if scroll is None:
                answer = client.search(index=index, body=body, params={"scroll": _KEEP, **_STRICT})
            else:
                answer = client.scroll(body={"scroll_id": scroll, "scroll": _KEEP})
            scroll = answer.get("_scroll_id", scroll)
            return _hits(whole(answer))
        except (exceptions.OpenSearchException, NotWholeError):
            clear()
            raise

    def next_new_page() -> tuple[list[JsonObject], bool]:
        """The next page with events that were not given yet, and whether it is the last one."""
        nonlocal last, given
        while True:
            new = []
            hits = next_page()
            for hit in hits:
                time, name = _order(hit, body), (hit["_index"], hit["_id"])
                if time < last or (time == last and name in given):
                    continue
                if time > last:
                    last, given = time, set()
                if len(given) <= REMEMBERED:
                    given.add(name)
                new.append(hit)
            is_last = len(hits) < cast(int, body["size"])
            if new or is_last:
                return new, is_last

    def may_go_on(error: BaseException) -> bool:
        return may_pass(error) and len(given) <= REMEMBERED

    try:
        is_last = False
        while not is_last:
            hits, is_last = answered(next_new_page, stopped=stopped, may_pass=may_go_on)
            yield hits
    finally:
        clear()


def _order(hit: JsonObject, body: JsonObject) -> int:
    """By what a hit of a scroll is sorted; all are equal where that does not stay the same in another scroll."""
    return 0 if body["sort"] == ["_doc"] else cast("list[int]", hit["sort"])[0]


def _hits(answer: JsonObject) -> list[JsonObject]:
    return cast("list[JsonObject]", cast(JsonObject, answer["hits"])["hits"])


def _by_time(field: str) -> JsonObject:
    """A sort whose values are milliseconds, also of a field with nanoseconds, or that some indices do not have."""
    return {field: {"order": "asc", "unmapped_type": "date", "numeric_type": "date"}}


def _slices(ask: Callable[[JsonObject], JsonObject], query: Clause, field: str, page: int) -> list[_Slice]:
    """Slices of time of at most a page, where events are not too many or too close for that, in their order."""
    percents: Json = [100 * number / _BORDERS for number in range(1, _BORDERS)]
    percentiles: JsonObject = {"field": field, "percents": percents, "keyed": False, "tdigest": {"compression": 1000}}
    aggregations: Json = {"times": {"percentiles": percentiles}, "undated": {"missing": {"field": field}}}
    answer: Any = ask({"query": query, "size": 0, "track_total_hits": True, "aggs": aggregations})
    undated = answer["aggregations"]["undated"]["doc_count"]
    dated = answer["hits"]["total"]["value"] - undated
    slices = []
    if dated:
        times = [entry["value"] for entry in answer["aggregations"]["times"]["values"]]
        step = max(1.0, _BORDERS * page * _FILLED / dated)
        borders = sorted({math.ceil(times[int(step * number) - 1]) for number in range(1, math.ceil(_BORDERS / step))})
        spans = zip([None, *borders], [*borders, None], strict=True)
        slices += [_Slice(_between(query, field, *span), timed=True, start=span[0]) for span in spans]
    if undated:
        # Apart: OpenSearch sorts them by a time that a date_nanos cannot be, and then refuses to give the next page.
        slices.append(_Slice(dsl.all_of([query, dsl.none_of(dsl.exists(field))]), timed=False))
    return slices


def _between(query: Clause, field: str, start: int | None, end: int | None) -> Clause:
    limits: dict[str, Scalar] = {name: str(time) for name, time in (("gte", start), ("lt", end)) if time is not None}
    return dsl.all_of([query, dsl.bounds(field, **limits, format="epoch_millis") if limits else dsl.exists(field)])


def _in_turn(
    pool: ThreadPoolExecutor, slices: int, parts: Iterable[tuple[_Slice, Pages]]
) -> Iterator[tuple[_Slice, list[JsonObject]]]:
    """The pages of each part after those of the one before, the next ones of some parts being read ahead."""
    following = iter(parts)
    reading: deque[tuple[_Slice, Pages, Future[list[JsonObject] | None]]] = deque()
    while True:
        for part, pages in islice(following, slices - len(reading)):
            reading.append((part, pages, pool.submit(next, pages, None)))
        if not reading:
            return
        part, pages, future = reading.popleft()
        if (hits := future.result()) is not None:
            reading.appendleft((part, pages, pool.submit(next, pages, None)))
            yield part, hits


def _found(hit: JsonObject, timed: bool) -> StoredEvent:
    place, name, source, names = hit["_index"], hit["_id"], hit["_source"], hit["matched_queries"]
    time = cast("list[Json]", hit["sort"])[0] if timed else None
    if not (
        isinstance(place, str)
        and isinstance(name, str)
        and isinstance(time, int if timed else NoneType)
        and isinstance(source, dict)
        and isinstance(names, list)
        and names
    ):
        raise TypeError(f"a hit is not what it should be: {str(hit)[:200]}")
    return StoredEvent(place, name, time, source, [str(each) for each in names])
