"""How the fields of a store are mapped, and how many events match."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

import msgspec
from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.times import LAST_TIME_SECONDS
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import parents, profile_as_json
from sigma_stellar_aws.store.answers import (
    AnswerError,
    SearchAnswer,
    TotalHits,
    answered_engine,
    as_store_errors,
    read_answer,
    read_one_of_several,
)
from sigma_stellar_aws.store.field_types import IndexSettings, MappingOfIndex, described_fields
from sigma_stellar_aws.store.retries import answered

_STRICT = {"allow_no_indices": "false"}


class _MappingAnswer(msgspec.Struct):
    mappings: MappingOfIndex


class _Settings(msgspec.Struct):
    index: IndexSettings


class _SettingsAnswer(msgspec.Struct):
    settings: _Settings


class _Capability(msgspec.Struct):
    searchable: bool = False


class _Capabilities(msgspec.Struct):
    fields: dict[str, dict[str, _Capability]]


class _Number(msgspec.Struct):
    value: float | None = None


class _Aggregations(msgspec.Struct):
    newest: _Number = msgspec.field(default_factory=_Number)


class _CountAnswer(SearchAnswer, kw_only=True):
    hits: TotalHits
    aggregations: _Aggregations = msgspec.field(default_factory=_Aggregations)


class _Answers(msgspec.Struct):
    responses: list[dict[str, Any]]


def describe_store(client: OpenSearch, index: str) -> JsonObject:
    """Return the store profile of the indices that a name, alias, data stream or pattern stands for.

    Raises:
        StoreError: there is no such index, the store cannot be asked, or its mappings may not be read.
    """
    if ":" in index:
        raise StoreError(f"{index!r} is in another cluster, whose mappings cannot be read from here; ask that cluster")
    with as_store_errors(index):
        engine, version = answered_engine(client)
        try:
            mappings = stored_mappings(client, index, strict=True)
        except exceptions.NotFoundError:
            if closed := closed_indices(client, index):
                raise StoreError(f"all that {index!r} stands for is closed: {', '.join(closed)}; open it") from None
            raise
        settings = _index_settings(client, index)
        if missing := sorted(set(mappings) - set(settings)):
            raise AnswerError(f"it has no settings of {', '.join(missing)}; if the index is new, run again")
        fields = described_fields((mapping, settings[name]) for name, mapping in sorted(mappings.items()))
        fields.update(_unmapped_fields(client, index, fields))
    return profile_as_json(index, engine, version, fields)


def stored_mappings(client: OpenSearch, index: str, *, strict: bool = False) -> dict[str, MappingOfIndex]:
    """Return the mappings of indices by their names.

    Args:
        client: the data store.
        index: name, alias or pattern.
        strict: whether a pattern that no index has is an error.

    Raises:
        GaveUpError: the store did not answer.
        OpenSearchException: the store refused.
        AnswerError: this is not a mapping.
    """
    params = _STRICT if strict else {}
    answer = answered(lambda: client.indices.get_mapping(index=index, params=dict(params)))
    # Mappings may have numbers as text.
    answers = read_answer(dict[str, _MappingAnswer], answer, strict=False)
    return {name: of_index.mappings for name, of_index in answers.items()}


def _index_settings(client: OpenSearch, index: str) -> dict[str, IndexSettings]:
    params = {**_STRICT, "flat_settings": "false"}
    answer = answered(lambda: client.indices.get_settings(index=index, params=dict(params)))
    answers = read_answer(dict[str, _SettingsAnswer], answer, strict=False)
    return {name: of_index.settings.index for name, of_index in answers.items()}


def _unmapped_fields(client: OpenSearch, index: str, mapped: Mapping[str, Json]) -> dict[str, Json]:
    """Return fields that are in no mapping, such as those that a plugin computes: only their types are known."""
    params = {"fields": "*", **_STRICT}
    answer = answered(lambda: client.field_caps(index=index, params=dict(params)))
    unmapped: dict[str, Json] = {}
    for name, kinds in read_answer(_Capabilities, answer).fields.items():
        if name.startswith("_") or name in mapped or any(parent in mapped for parent in parents(name)):
            continue
        searchable = {kind for kind, capability in kinds.items() if capability.searchable}
        if searchable - {"object", "nested"}:
            unmapped[name] = [{"type": kind} for kind in sorted(searchable)]
    return unmapped


def closed_indices(client: OpenSearch, index: str) -> list[str]:
    """Return the closed indices that a pattern stands for: a search passes over them in silence.

    A closed index that is named, itself or by an alias, makes a search fail instead. Needs the rights that a profile
    needs.

    Raises:
        StoreError: the store cannot be asked.
    """
    if "*" not in index and "_all" not in index.split(","):
        return []

    def names(states: str) -> set[str]:
        # Every index has this setting; without a choice, all of them would be sent.
        params = {"expand_wildcards": states}
        answer = answered(lambda: client.indices.get_settings(index=index, name="index.uuid", params=dict(params)))
        return set(read_answer(dict[str, object], answer))

    with as_store_errors(index):
        # In this order, so that an index that is made meanwhile is not taken for a closed one.
        return sorted(names("open,closed") - names("open"))


class Counted(NamedTuple):
    """How many events a data store holds."""

    events: int
    newest: datetime | None
    """Time of the newest event, if any has one."""
    counts: dict[str, int]
    """How many events match each of the queries, by their names."""


def count_each(client: OpenSearch, index: str, queries: Mapping[str, Clause], time_field: str | None = None) -> Counted:
    """Count all events, and those that match each of some queries.

    Raises:
        StoreError: the store cannot be asked, or answered for a part of the data only.
    """
    count: JsonObject = {"size": 0, "track_total_hits": True}
    everything = count if time_field is None else {**count, "aggs": {"newest": {"max": {"field": time_field}}}}
    # Searches beside each other, and not an aggregation of filters, which visits every event for every filter.
    bodies = [everything, *({**count, "query": query} for query in queries.values())]
    lines = [line for body in bodies for line in ({"index": index, "allow_no_indices": False}, body)]

    def ask() -> list[_CountAnswer]:
        responses = read_answer(_Answers, client.msearch(body=lines)).responses
        if len(responses) != len(bodies):
            raise AnswerError(f"it has {len(responses)} answers to {len(bodies)} searches")
        return [read_one_of_several(_CountAnswer, response) for response in responses]

    with as_store_errors(index):
        of_all, *of_each = answered(ask)
    newest = of_all.aggregations.newest.value
    return Counted(
        of_all.hits.total.value,
        None if newest is None else datetime.fromtimestamp(min(newest / 1000, LAST_TIME_SECONDS), timezone.utc),
        {name: answer.hits.total.value for name, answer in zip(queries, of_each, strict=True)},
    )
