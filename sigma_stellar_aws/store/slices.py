"""Read the first page of the events that a query finds, and cut the rest into slices of time of about a page each.

To a store, preparing a query of a thousand conditions is more work than finding its events: so one request asks for the
first page, for how many events there are, and for where the others are to be cut. Most queries need no other.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from opensearchpy import exceptions

from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.store.answers import SearchAnswer, Total
from sigma_stellar_aws.store.connection_errors import is_too_large
from sigma_stellar_aws.store.pages import Page, Pages, SendSearch, Source, StoredHit, window_of

_BORDERS = 1000
# A slice that fits into a page needs one request.
_FILLED = 0.8


class Slice(NamedTuple):
    """A part of the events: those of its pages, without those whose time is before its start."""

    pages: Pages
    is_timed: bool
    """Whether its events have a time."""
    start: int | None = None
    """In milliseconds."""


class Slices(NamedTuple):
    """All events of a query, in order of time, those without one last."""

    slices: list[Slice]
    events: int | None
    """How many there are, where that is known."""


class _Percentile(msgspec.Struct):
    value: float | None


class _Times(msgspec.Struct):
    values: list[_Percentile]


class _Undated(msgspec.Struct):
    doc_count: int


class _Distribution(msgspec.Struct):
    times: _Times
    undated: _Undated


class _FirstHits(msgspec.Struct):
    hits: list[StoredHit]
    total: Total


class _FirstAnswer(SearchAnswer, kw_only=True):
    hits: _FirstHits
    aggregations: _Distribution


def slices_of(source: Source, page: Page, time_field: str) -> Slices:
    """Read the first page of a query, and cut the rest into slices of at most a page where events allow that.

    Args:
        source: how to read.
        page: the query, by time.
        time_field: date field to cut by.

    Raises:
        GaveUpError: the store did not answer.
        OpenSearchException: the store refused.
        AnswerError: it answered with something else.
    """
    answer = _first_page(source.ask, page, time_field)
    hits, dated, undated = answer.hits.hits, answer.hits.total.value, answer.aggregations.undated.doc_count
    if len(hits) == dated:
        slices = [Slice(_read(hits), is_timed=True)]
    else:
        # There may be more events with the last time of the page: all of them come with the slice that begins there.
        start = hits[-1].time() if hits else None
        slices = [Slice(_read([hit for hit in hits if hit.time() != start]), is_timed=True)]
        borders = _borders([each.value for each in answer.aggregations.times.values], dated, page.size)
        slices += _rest(source, page, time_field, start, borders)
    if undated:
        query = dsl.all_of([page.query, dsl.none_of(dsl.exists(time_field))])
        sort = source.tie_break or ("_doc",)
        slices.append(Slice(source.read(page._replace(query=query, is_by_time=False, sort=sort)), is_timed=False))
    return Slices(slices, dated + undated)


def _first_page(ask: SendSearch, page: Page, time_field: str) -> _FirstAnswer:
    percents: Json = [100 * number / _BORDERS for number in range(1, _BORDERS)]
    percentiles: JsonObject = {
        "field": time_field,
        "percents": percents,
        "keyed": False,
        "tdigest": {"compression": 1000},
    }
    aggregations: JsonObject = {"times": {"percentiles": percentiles}, "undated": {"missing": {"field": time_field}}}
    # Counted, not sorted: OpenSearch gives events without a time one that date_nanos cannot hold, and fails on it.
    only_dated = dsl.exists(time_field)
    body: JsonObject = {**page.body(), "post_filter": only_dated, "track_total_hits": True, "aggs": aggregations}
    try:
        return ask(body, _FirstAnswer)
    except (exceptions.RequestError, exceptions.ConnectionError) as error:
        if not (window_of(error) or is_too_large(error)):
            raise
    return ask({**body, "size": 0}, _FirstAnswer)


def _read(hits: list[StoredHit]) -> Pages:
    yield hits


def _rest(source: Source, page: Page, time_field: str, start: int | None, borders: list[int]) -> Iterator[Slice]:
    """Yield the slices from a time on, or from the beginning."""
    later = [border for border in borders if start is None or border > start]
    for begin, end in zip([start, *later], [*later, None], strict=True):
        part = page._replace(query=_between(page.query, time_field, begin, end))
        yield Slice(source.read(part), is_timed=True, start=begin)


def _borders(percentiles: list[float | None], events: int, page: int) -> list[int]:
    """Return the times between slices that fill a page each, in milliseconds, rising.

    >>> _borders([float(time) for time in range(999)], 20_000, 5000)
    [199, 399, 599, 799]
    """
    times = [time for time in percentiles if time is not None]
    step = max(1.0, _BORDERS * page * _FILLED / events)
    places = (int(step * number) - 1 for number in range(1, math.ceil(_BORDERS / step)))
    return sorted({math.ceil(times[place]) for place in places if place < len(times)})


def _between(query: Clause, field: str, start: int | None, end: int | None) -> Clause:
    limits: dict[str, Scalar] = {name: str(time) for name, time in (("gte", start), ("lt", end)) if time is not None}
    return dsl.all_of([query, dsl.bounds(field, **limits, format="epoch_millis") if limits else dsl.exists(field)])
