"""Find one event of a data store, by the id of its document or by its eventID."""

from typing import Any, NamedTuple

import msgspec
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.text import first_of
from sigma_stellar_aws.store.answers import SearchAnswer, as_store_errors, read_whole
from sigma_stellar_aws.store.retries import answered

_EVENT_IDS = ("eventID", "event.id")
"""The field in CloudTrail's names, flattened ones included, and in those of Elastic's integration."""
_MOST = 10


class FoundEvent(NamedTuple):
    """An event as a store keeps it."""

    stored_in: str
    """Name of the index."""
    document_id: str
    source: JsonObject
    others: tuple[str, ...]
    """Indices with further documents of this id."""


class _Found(msgspec.Struct):
    index: str = msgspec.field(name="_index")
    id: str = msgspec.field(name="_id")
    source: dict[str, Any] | None = msgspec.field(name="_source", default=None)


class _AllFound(msgspec.Struct):
    hits: list[_Found]


class _FoundAnswer(SearchAnswer, kw_only=True):
    hits: _AllFound


def find_event(client: OpenSearch, index: str, identity: str) -> FoundEvent:
    """Return the event whose document has an id, or, where there is none, whose eventID it is.

    Args:
        client: the data store.
        index: name, alias or pattern.
        identity: ``_id`` of a document, or an eventID.

    Raises:
        NotFoundError: there is no such event, or the store does not keep it (``_source``).
        StoreError: the store cannot be asked, or did not answer as a whole.
    """
    found = _search(client, index, {"ids": {"values": [identity]}})
    if not found:
        # As keyword, or as analysed text with a keyword beside it or without.
        asked: list[Json] = [
            {kind: {f"{field}{suffix}": identity}}
            for field in _EVENT_IDS
            for kind, suffix in (("term", ""), ("term", ".keyword"), ("match_phrase", ""))
        ]
        matching = _search(client, index, {"bool": {"should": asked, "minimum_should_match": 1}})
        found = [each for each in matching if identity in _event_ids(each.source or {})]
    if not found:
        raise NotFoundError(f"{index} has no document with the id, and no event with the eventID, {identity!r}")
    first = found[0]
    if first.source is None:
        raise NotFoundError(f"the index {first.index} does not keep what its documents are made of (_source)")
    return FoundEvent(first.index, first.id, first.source, tuple(sorted({each.index for each in found[1:]})))


def others_text(event: FoundEvent) -> str:
    """Say where further documents of the id are; empty where there are none."""
    if not event.others:
        return ""
    return f"{event.document_id} is also in {first_of(event.others)}; shown is that of {event.stored_in}"


def _search(client: OpenSearch, index: str, query: JsonObject) -> list[_Found]:
    body: JsonObject = {
        "query": query,
        "size": _MOST,
        "sort": [{"_index": {"order": "asc", "unmapped_type": "keyword"}}],
    }
    with as_store_errors(index):
        return answered(lambda: read_whole(_FoundAnswer, client.search(index=index, body=body))).hits.hits


def _event_ids(source: JsonObject) -> set[Json]:
    event = source.get("event")
    inside = event.get("id") if isinstance(event, dict) else None
    return {one for one in (source.get("eventID"), source.get("event.id"), inside) if isinstance(one, str)}
