"""What time it is for a data store, and up to when it has events.

Neither engine puts its time into the head of an answer. Both say what ``now`` is to them where it bounds a range.
"""

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import NamedTuple

import msgspec
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.times import LAST_TIME_SECONDS
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.store.answers import AnswerError, SearchAnswer, as_store_errors, read_whole
from sigma_stellar_aws.store.retries import answered

_TOLERANCE_MINUTES = 5


class StoreClock(NamedTuple):
    """The time of a data store and of its events."""

    now: datetime
    newest: datetime | None
    """Time of the newest event, if any has one."""
    later: int
    """How many events are dated more than five minutes later than now."""


class _Number(msgspec.Struct):
    value: float | None = None


class _Range(msgspec.Struct):
    start: float = msgspec.field(name="from")


class _Ranges(msgspec.Struct):
    buckets: list[_Range]


class _Count(msgspec.Struct):
    doc_count: int


class _Aggregations(msgspec.Struct):
    newest: _Number
    now: _Ranges
    later: _Count


class _Answer(SearchAnswer, kw_only=True):
    aggregations: _Aggregations


def store_clock(client: OpenSearch, index: str, time_field: str) -> StoreClock:
    """Ask a data store for its time, and for that of its newest event.

    Args:
        client: the data store.
        index: name, alias or pattern.
        time_field: a date field.

    Raises:
        StoreError: the store cannot be asked, or did not answer as a whole.
    """
    aggregations: JsonObject = {
        "newest": {"max": {"field": time_field}},
        # Its number of events is not right for a date_nanos (OpenSearch 3.8).
        "now": {"date_range": {"field": time_field, "ranges": [{"from": "now"}]}},
        "later": {"filter": dsl.bounds(time_field, gt=f"now+{_TOLERANCE_MINUTES}m")},
    }
    body: JsonObject = {"size": 0, "track_total_hits": False, "aggs": aggregations}
    with as_store_errors(index):
        found = answered(lambda: read_whole(_Answer, client.search(index=index, body=body))).aggregations
        if len(found.now.buckets) != 1:
            raise AnswerError("it does not tell its time")
    return StoreClock(_datetime(found.now.buckets[0].start), _time_of(found.newest), found.later.doc_count)


class NewestEvents(NamedTuple):
    """Times of the newest events of a data store, if any have one."""

    of_all: datetime | None
    matching: datetime | None
    """Of those that one of some queries finds."""


class _Matching(msgspec.Struct):
    newest: _Number


class _Buckets(msgspec.Struct):
    buckets: list[_Matching]


class _NewestAggregations(msgspec.Struct):
    newest: _Number
    matching: _Buckets


class _NewestAnswer(SearchAnswer, kw_only=True):
    aggregations: _NewestAggregations


def newest_events(client: OpenSearch, index: str, time_field: str, queries: Sequence[Clause]) -> NewestEvents:
    """Ask a data store how new its events are, and those that one of some queries finds.

    Args:
        client: the data store.
        index: name, alias or pattern.
        time_field: a date field.
        queries: each as large as the store takes.

    Raises:
        StoreError: the store cannot be asked, or did not answer as a whole.
    """
    newest: JsonObject = {"newest": {"max": {"field": time_field}}}
    matching: JsonObject = {"filters": {"filters": [*queries]}, "aggs": newest}
    body: JsonObject = {"size": 0, "track_total_hits": False, "aggs": {**newest, "matching": matching}}
    with as_store_errors(index):
        found = answered(lambda: read_whole(_NewestAnswer, client.search(index=index, body=body))).aggregations
    values = [each.newest.value for each in found.matching.buckets if each.newest.value is not None]
    return NewestEvents(_time_of(found.newest), _datetime(max(values)) if values else None)


def _time_of(number: _Number) -> datetime | None:
    return None if number.value is None else _datetime(number.value)


def _datetime(millis: float) -> datetime:
    # A store may hold any number.
    seconds = min(max(millis / 1000, 0), LAST_TIME_SECONDS)
    return datetime.fromtimestamp(seconds, timezone.utc)
