"""Read the events of a data store that match a pack."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.alert_packing import with_resources
from sigma_stellar_aws.alerts.hits import Hit, to_hit
from sigma_stellar_aws.alerts.kept_event import event_text
from sigma_stellar_aws.alerts.pack_rule import Pack
from sigma_stellar_aws.alerts.stored_documents import key_fields, stored_documents, whole_document
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.external_sort import in_order, in_order_of_names
from sigma_stellar_aws.base.json_types import Scalar
from sigma_stellar_aws.base.kept_texts import NOT_KEPT, KeptTexts, TextChunks, new_writer
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.logs.flatten import document_id, is_uuid
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Layout, StoreProfile
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document
from sigma_stellar_aws.store.answers import as_store_errors, read_answer
from sigma_stellar_aws.store.mapping import count_each
from sigma_stellar_aws.store.retries import answered
from sigma_stellar_aws.store.scan import PAGE, scan_each

_PAGE_OF_WHOLE_RECORDS = 1000

_EVENTS_AT_ONCE = 100
_DATASET, _OF_CLOUDTRAIL = "event.dataset", "aws.cloudtrail.event_type"


class StoredEvents:
    """Remembers where events are in a store, so that some of them can be read whole later."""

    def __init__(self, client: OpenSearch, layout: Layout, note: Callable[[str], None]) -> None:
        """Remember nothing yet; where events cannot be read, that is noted."""
        self._client, self._note = client, note
        self._read_document = whole_document(layout)
        self._chunks = TextChunks(new_writer())
        self._kept = KeptTexts()

    def remember(self, index: str, name: str) -> int:
        """Remember the index of an event and its id there; return where that is kept."""
        return self._chunks.add(msgspec.json.encode([index, name]))

    def complete(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        """Yield alerts with their first events, and what the others of a correlation acted on, as far as to be had."""
        waiting = iter(alerts)
        while batch := list(islice(waiting, _EVENTS_AT_ONCE)):
            self._kept.extend(self._chunks.taken())
            wanted = [self._wanted(alert) if _is_told(alert) else {} for alert in batch]
            events = self._read(dict.fromkeys(where for places in wanted for where in places.values()))
            for alert, places in zip(batch, wanted, strict=True):
                texts = {place: events[where] for place, where in places.items() if where in events}
                chain = with_resources(alert.chain, texts.get)
                yield alert._replace(place=NOT_KEPT, event=texts.get(alert.place, b""), chain=chain)

    def _wanted(self, alert: Alert) -> dict[int, tuple[str, str]]:
        """Return the index and the id there of the events of an alert that are told, by their places."""
        texts = {place: self._kept.text(place) for place in (alert.place, *(step.place for step in alert.chain))}
        return {place: msgspec.json.decode(text, type=tuple[str, str]) for place, text in texts.items() if text}

    def _read(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        waiting = iter(places)
        found: dict[tuple[str, str], bytes] = {}
        while some := [{"_index": index, "_id": name} for index, name in islice(waiting, _EVENTS_AT_ONCE)]:
            try:
                documents = self._documents(some)
            except StoreError as error:
                self._note(f"alerts are without their first events, which cannot be read: {error}")
                break
            found.update(
                ((each.index, each.id), event_text(self._read_document(each.source)))
                for each in documents
                if each.source
            )
        return found

    def _documents(self, wanted: list[dict[str, str]]) -> "list[_Event]":
        with as_store_errors("the first events"):
            return answered(lambda: read_answer(_Events, self._client.mget(body={"docs": wanted}))).docs


def _is_told(alert: Alert) -> bool:
    """Tell whether an alert is new, or has changed and all of its events were read: others keep what they have."""
    raised = alert.raised
    return raised is None or (alert.counted == alert.events and alert.events != raised.events)


class _Event(msgspec.Struct):
    index: str = msgspec.field(name="_index")
    id: str = msgspec.field(name="_id")
    source: dict[str, Any] = msgspec.field(name="_source", default_factory=dict)


class _Events(msgspec.Struct):
    docs: list[_Event]


def store_hits(
    client: OpenSearch,
    index: str,
    pack: Pack,
    queries: Sequence[Clause],
    *,
    layout: Layout,
    time_field: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
    undated: bool = False,
    events: StoredEvents | None = None,
) -> Iterable[Hit]:
    """Read every event that matches the pack and lies within the bounds, in order of time, those without one last.

    Args:
        client: the data store.
        index: name, alias or pattern.
        pack: converted for this store.
        queries: each with some of the pack's rules, and as many as the store takes in one query.
        layout: how the store keeps records.
        time_field: date field of the store; without one, events have the time that they tell themselves.
        since: the first time, aware of its time zone.
        until: the time that is too late.
        undated: whether to give events without a time in spite of bounds.
        events: remembers where the events are.

    Raises:
        StoreError: the store cannot be asked, or did not answer as a whole.
    """
    if time_field is not None:
        queries = [within(query, time_field, since, until, undated=undated) for query in queries]
    found = _found(client, index, layout, pack, queries, time_field, events)
    # As the hits of files are, so that an alert names the same first events.
    ordered = in_order if time_field is None else in_order_of_names
    return ordered(found, lambda hit: hit.time, lambda hit: hit.identity)


def count_undated(client: OpenSearch, index: str, queries: Sequence[Clause], time_field: str) -> int:
    """Count the events that match but have no time, and so are within no bounds.

    Raises:
        StoreError: the store cannot be asked, or did not answer as a whole.
    """
    undated = [dsl.all_of([query, dsl.none_of(dsl.exists(time_field))]) for query in queries]
    counts = count_each(client, index, {str(number): query for number, query in enumerate(undated)}).counts
    found = [query for query, count in zip(undated, counts.values(), strict=True) if count]
    if len(found) < 2:
        return sum(counts.values())
    # An event may be among several of these numbers.
    return sum(1 for _ in scan_each(client, index, found, [], time_field=None))


def _found(
    client: OpenSearch,
    index: str,
    layout: Layout,
    pack: Pack,
    queries: Sequence[Clause],
    time_field: str | None,
    events: StoredEvents | None,
) -> Iterator[Hit]:
    keys = pack.keys()
    correlated = pack.correlated()
    stored = stored_documents(layout, key_fields(pack))
    page = _PAGE_OF_WHOLE_RECORDS if layout == "ecs" else PAGE
    for found in scan_each(client, index, queries, stored.fields, time_field=time_field, page=page):
        if unknown := set(found.matched_queries) - set(pack.rules):
            raise StoreError(f"{index!r} answered with names that no rule has: {', '.join(sorted(unknown))}")
        document = stored.read(found.source)
        event_id = document.get("eventID")
        yield to_hit(
            document,
            found.matched_queries,
            keys,
            correlated=correlated,
            time=_own_time(document) if time_field is None else found.time,
            identity=document_id(document) if is_uuid(event_id) else f"{found.index_name}/{found.id}",
            origin=found.index_name,
            event=events.remember(found.index_name, found.id) if events else NOT_KEPT,
        )


def _own_time(document: Document) -> int | None:
    time = document.get(TIME_FIELD)
    return time if isinstance(time, int) else None


def of_cloudtrail(query: Clause, profile: StoreProfile) -> Clause:
    """Limit a query to CloudTrail's events where a store may hold others under the same names, as Filebeat's does.

    Left out are only events that name another dataset, and have no field of CloudTrail's.
    """
    kinds = {field.type for field in profile.mappings(_DATASET)}
    if profile.layout != "ecs" or not kinds or not kinds <= {"keyword", "constant_keyword"}:
        return query
    is_meant = dsl.any_of(
        [dsl.term(_DATASET, "aws.cloudtrail"), dsl.exists(_OF_CLOUDTRAIL), dsl.none_of(dsl.exists(_DATASET))]
    )
    return dsl.all_of([query, is_meant])


def within(
    query: Clause, time_field: str, since: datetime | None, until: datetime | None, *, undated: bool = False
) -> Clause:
    """Limit a query to events within bounds of time.

    Args:
        query: what is asked.
        time_field: a date field.
        since: the first time, aware of its time zone.
        until: the time that is too late.
        undated: whether to ask for events without a time, too.
    """
    limits: dict[str, Scalar] = {
        name: str(millis(time)) for name, time in (("gte", since), ("lt", until)) if time is not None
    }
    if not limits:
        return query
    bounds = dsl.bounds(time_field, **limits, format="epoch_millis")
    return dsl.all_of([query, dsl.any_of([bounds, dsl.none_of(dsl.exists(time_field))]) if undated else bounds])
