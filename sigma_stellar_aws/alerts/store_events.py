"""Read the events of a data store that match a pack."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.hits import Hit, to_hit
from sigma_stellar_aws.alerts.pack_rule import Pack
from sigma_stellar_aws.alerts.stored_documents import key_fields, stored_documents
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.external_sort import in_order
from sigma_stellar_aws.base.json_types import Scalar
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.logs.flatten import document_id, is_uuid
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Layout
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document
from sigma_stellar_aws.store.mapping import count_each
from sigma_stellar_aws.store.scan import PAGE, scan_each

_PAGE_OF_WHOLE_RECORDS = 1000


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

    Raises:
        StoreError: the store cannot be asked, or did not answer as a whole.
    """
    if time_field is not None:
        queries = [within(query, time_field, since, until, undated=undated) for query in queries]
    found = _found(client, index, layout, pack, queries, time_field)
    if time_field is not None:
        return found
    return in_order(found, lambda hit: hit.time, lambda hit: hit.identity)


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
    client: OpenSearch, index: str, layout: Layout, pack: Pack, queries: Sequence[Clause], time_field: str | None
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
        )


def _own_time(document: Document) -> int | None:
    time = document.get(TIME_FIELD)
    return time if isinstance(time, int) else None


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
