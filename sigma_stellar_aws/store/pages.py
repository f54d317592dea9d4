"""Read the hits of a search page by page.

Where there is a point in time, a page follows another by ``search_after``, so that it can be asked for again. It needs
a sort that is different for each event: Elasticsearch has ``_shard_doc``; OpenSearch has it since 3.3, but the same for
events of different indices, so that ``_index`` is added. Elsewhere there is only a scroll, of which each page is given
once; if one gets lost, another scroll goes on from the last event that was given.
"""

import math
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from threading import Event
from typing import Annotated, Any, NamedTuple, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec
from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar
from sigma_stellar_aws.base.times import is_time
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Engine
from sigma_stellar_aws.store.answers import (
    AnswerError,
    SearchAnswer,
    Total,
    answered_engine,
    read_answer,
    read_whole,
)
from sigma_stellar_aws.store.connection_errors import is_too_large
from sigma_stellar_aws.store.retries import NotWholeError, answered, may_pass

REMEMBERED = 100_000
"""Most events of one millisecond of which a scroll can be gone on with after an error, about 10 MB of memory."""

_KEEP_ALIVE = "10m"
# What is said of a page that is over the setting index.max_result_window of an index, which not everybody may read.
_TOO_LARGE = re.compile(r"size must be less than or equal to: \[(\d+)\]")
# Large events fill an answer before there are as many as a page has.
_SMALLER = 10
_STRICT = {"allow_no_indices": "false", "allow_partial_search_results": "false"}
_FIRST_SERVER_ERROR = 500

S = TypeVar("S", bound=SearchAnswer)


class StoredHit(msgspec.Struct):
    """An event that a search found."""

    index: str = msgspec.field(name="_index")
    id: str = msgspec.field(name="_id")
    source: dict[str, Any] = msgspec.field(name="_source")
    matched_queries: Annotated[list[str], msgspec.Meta(min_length=1)]
    sort: list[Scalar | None] = []
    """The values that it is sorted by."""

    def time(self) -> int:
        """Return the milliseconds that it is sorted by first.

        Raises:
            AnswerError: it is sorted by something else.
        """
        if not self.sort or not is_time(self.sort[0]):
            raise AnswerError(f"the event {self.id} of {self.index} has no time to sort by")
        return self.sort[0]


class _Hits(msgspec.Struct):
    hits: list[StoredHit]
    total: Total | None = None


class _HitsAnswer(SearchAnswer, kw_only=True):
    hits: _Hits


class Page(NamedTuple):
    """What to ask for: the events of a query, in an order."""

    query: Clause
    fields: tuple[str, ...]
    """What to give of each event."""
    size: int
    """Most events in one answer."""
    is_by_time: bool
    sort: tuple[Json, ...]

    def body(self) -> JsonObject:
        """Return the body of the search."""
        return {"query": self.query, "_source": [*self.fields], "size": self.size, "sort": [*self.sort]}


Pages: TypeAlias = Generator[list[StoredHit], None, None]


class SendSearch(Protocol):
    """Sends a search."""

    def __call__(self, body: JsonObject, kind: type[S]) -> S:
        """Return the answer, which is for all of the data."""
        ...


class Source(NamedTuple):
    """How to read events."""

    ask: SendSearch
    read: Callable[[Page], Pages]
    """Gives the pages of a search."""
    tie_break: tuple[Json, ...]
    """What to sort events of the same time by, so that no two are equal; nothing where that is not needed."""


class _PointInTime(NamedTuple):
    """The requests of an engine for points in time, and what to sort by besides the time."""

    open: str
    params: Mapping[str, str]
    answer: type["_Opened"]
    close: str
    closing: Callable[[str], JsonObject]
    tie_break: tuple[Json, ...]


class _Opened(msgspec.Struct):
    """The point in time of Elasticsearch."""

    id: str


class _OpenedByOpenSearch(_Opened):
    id: str = msgspec.field(name="pit_id")


_POINTS_IN_TIME: dict[Engine, _PointInTime] = {
    "elasticsearch": _PointInTime("/{index}/_pit", {}, _Opened, "/_pit", lambda pit: {"id": pit}, ("_shard_doc",)),
    "opensearch": _PointInTime(
        "/{index}/_search/point_in_time",
        {"allow_partial_pit_creation": "false"},
        _OpenedByOpenSearch,
        "/_search/point_in_time",
        lambda pit: {"pit_id": [pit]},
        # An index without any mapping has no field for its name either.
        ("_shard_doc", {"_index": {"order": "asc", "unmapped_type": "keyword"}}),
    ),
}
_SHARD_DOC_SINCE = (3, 3)
"""The version of OpenSearch."""


def source_of(client: OpenSearch, index: str, stopped: Event, stack: ExitStack) -> Source:
    """Return how to read events: at a point in time, which the stack closes, or else by scrolls.

    Raises:
        GaveUpError: the store did not answer.
        OpenSearchException: the store refused.
        AnswerError: this is not an answer of one of the engines.
    """
    engine, version = answered_engine(client, known=True, stopped=stopped)
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    source = None
    if engine == "elasticsearch" or numbers >= _SHARD_DOC_SINCE:
        try:
            source = _at_point_in_time(client, index, _POINTS_IN_TIME[engine], stopped, stack)
        except exceptions.TransportError as error:
            # It has none, or not for this user; what else may be wrong is wrong for a search, too.
            if not isinstance(error.status_code, int) or error.status_code >= _FIRST_SERVER_ERROR:
                raise
    source = source or _by_scrolls(client, index, stopped)
    return source._replace(read=_fitting(source.read))


def _at_point_in_time(client: OpenSearch, index: str, api: _PointInTime, stopped: Event, stack: ExitStack) -> Source:
    send = client.transport.perform_request
    path = api.open.format(index=quote(index, safe=",*"))
    params = {"keep_alive": _KEEP_ALIVE, "allow_no_indices": "false", **api.params}
    pit = read_answer(api.answer, answered(lambda: send("POST", path, params=dict(params)), stopped=stopped)).id

    def close() -> None:
        # Not worth an error of its own: the store forgets it after a while.
        with suppress(exceptions.OpenSearchException):
            send("DELETE", api.close, body=api.closing(pit))

    def ask(body: JsonObject, kind: type[S]) -> S:
        nonlocal pit
        request: JsonObject = {**body, "pit": {"id": pit, "keep_alive": _KEEP_ALIVE}}
        whole = {"allow_partial_search_results": "false"}
        answer = answered(
            lambda: read_whole(kind, send("POST", "/_search", body=request, params=dict(whole))), stopped=stopped
        )
        # Where it has changed, the old one will do as long as the new one is there.
        pit = answer.pit_id or pit
        return answer

    stack.callback(close)
    return Source(ask, partial(_search_after, ask), api.tie_break)


def _search_after(ask: SendSearch, page: Page) -> Pages:
    first: JsonObject = {**page.body(), "track_total_hits": True}
    body, tally, size = first, _Tally(), page.size
    while True:
        try:
            answer = ask({**body, "size": size}, _HitsAnswer).hits
        except exceptions.ConnectionError as error:
            if size < _SMALLER or not is_too_large(error):
                raise
            size //= _SMALLER
            continue
        is_last = tally.count(answer, size)
        yield answer.hits
        if is_last:
            return
        body = {**first, "track_total_hits": False, "search_after": [*answer.hits[-1].sort]}


class _Tally:
    """Compares the hits of pages with their number that the store tells: a short list is an error, and one without end.

    Both are of the same state of the data, and so the same number.
    """

    def __init__(self) -> None:
        self._read = 0
        self._total: int | None = None

    def count(self, answer: _Hits, size: int) -> bool:
        """Count the hits of a page of at most some size; return whether it is the last one.

        Raises:
            AnswerError: there are more, or fewer, than there should be.
        """
        if self._total is None:
            if answer.total is None:
                raise AnswerError("it does not say how many events there are")
            self._total = answer.total.value
        self._read += len(answer.hits)
        is_last = len(answer.hits) < size
        if self._read > self._total or len(answer.hits) > size:
            raise AnswerError(f"it gave more events than the {self._total:,} that it counted, as if pages came again")
        if is_last and self._read < self._total:
            raise AnswerError(f"it gave {self._read:,} of the {self._total:,} events that it counted")
        return is_last


def _by_scrolls(client: OpenSearch, index: str, stopped: Event) -> Source:
    def ask(body: JsonObject, kind: type[S]) -> S:
        return answered(
            lambda: read_whole(kind, client.search(index=index, body=body, params=dict(_STRICT))), stopped=stopped
        )

    return Source(ask, lambda page: _Scroll(client, index, stopped, page).pages(), ())


class _Scroll:
    """The pages of a search by a scroll; where it gets lost, another goes on after the last event that was given."""

    def __init__(self, client: OpenSearch, index: str, stopped: Event, page: Page) -> None:
        self._client = client
        self._index = index
        self._stopped = stopped
        self._page = page
        self._id: str | None = None
        self._tally = _Tally()
        self._last: float = -math.inf
        """What the last event that was given is sorted by."""
        self._given: set[tuple[str, str]] = set()
        """The events of that time that were given, by index and id."""

    def pages(self) -> Pages:
        """Yield the pages."""
        is_last = False
        try:
            while not is_last:
                hits, is_last = answered(self._next_new_page, stopped=self._stopped, may_pass=self._can_go_on)
                yield hits
        finally:
            self._clear()

    def _can_go_on(self, error: BaseException) -> bool:
        return may_pass(error) and len(self._given) <= REMEMBERED

    def _next_new_page(self) -> tuple[list[StoredHit], bool]:
        """Return the next page with events that were not given yet, and whether it is the last one."""
        while True:
            answer = self._next_page()
            is_last = self._tally.count(answer, self._page.size)
            new = [hit for hit in answer.hits if self._is_new(hit)]
            if new or is_last:
                return new, is_last

    def _next_page(self) -> _Hits:
        try:
            if self._id is None:
                self._tally = _Tally()
                params = {"scroll": _KEEP_ALIVE, **_STRICT}
                answer = self._client.search(index=self._index, body=self._page.body(), params=params)
            else:
                answer = self._client.scroll(body={"scroll_id": self._id, "scroll": _KEEP_ALIVE})
            self._id = read_answer(SearchAnswer, answer).scroll_id or self._id
            return read_whole(_HitsAnswer, answer).hits
        except (exceptions.OpenSearchException, NotWholeError):
            self._clear()
            raise

    def _is_new(self, hit: StoredHit) -> bool:
        """Return whether a hit was not given yet, and remember it."""
        # Without a time, the order is another one in each scroll.
        time, name = hit.time() if self._page.is_by_time else 0, (hit.index, hit.id)
        if time < self._last or (time == self._last and name in self._given):
            return False
        if time > self._last:
            self._last, self._given = time, set()
        if len(self._given) <= REMEMBERED:
            self._given.add(name)
        return True

    def _clear(self) -> None:
        if self._id is not None:
            with suppress(exceptions.OpenSearchException):
                self._client.clear_scroll(body={"scroll_id": [self._id]})
        self._id = None


def window_of(error: exceptions.TransportError) -> int:
    """Return the most events that an index gives at once, as its refusal to give more says; 0 for any other error."""
    return min(map(int, _TOO_LARGE.findall(str(error.info))), default=0)


def _fitting(read: Callable[[Page], Pages]) -> Callable[[Page], Pages]:
    """Return a reader of pages that are smaller where an index does not give as many events at once."""
    most: float = math.inf

    def pages_of(page: Page) -> Pages:
        nonlocal most
        while True:
            size = page.size if most > page.size else int(most)
            with closing(read(page._replace(size=size))) as pages:
                try:
                    first = next(pages)
                except exceptions.RequestError as error:
                    limit = window_of(error)
                    if not 0 < limit < size:
                        raise
                    most = min(most, limit)
                else:
                    yield first
                    yield from pages
                    return

    return pages_of
