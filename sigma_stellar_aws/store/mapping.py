"""How the fields of a store are mapped, and how many events match."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import NamedTuple, cast

from opensearchpy import (
    OpenSearch,
)

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import as_json, described_fields, parents
from sigma_stellar_aws.store.answers import answered_engine, as_store_errors, whole_of_several
from sigma_stellar_aws.store.retries import answered

# Of a datetime, in seconds; a store may hold any number.
_LAST_TIME = 253402300799


def describe_store(client: OpenSearch, index: str) -> JsonObject:
    """The store profile of the indices that a name, alias, data stream or pattern stands for.

    Raises:
        StoreError: there is no such index, the store cannot be asked, or its mappings may not be read.
    """
    if ":" in index:
        raise StoreError(f"{index!r} is in another cluster, whose mappings cannot be read from here; ask that cluster")
    with as_store_errors(index):
        engine, version = answered_engine(client)
        strict = {"allow_no_indices": "false"}
        mappings = answered(lambda: client.indices.get_mapping(index=index, params=strict))
        flat = {**strict, "flat_settings": "false"}
        settings = answered(lambda: client.indices.get_settings(index=index, params=flat))
        fields = described_fields(
            (answer["mappings"], settings[name]["settings"]["index"]) for name, answer in sorted(mappings.items())
        )
        asked = {"fields": "*", **strict}
        capabilities = answered(lambda: client.field_caps(index=index, params=asked))["fields"]
        # What is in no mapping, such as fields that a plugin computes, is known by its type alone.
        for name, kinds in capabilities.items():
            known = name in fields or any(parent in fields for parent in parents(name))
            searchable = {kind for kind, about in kinds.items() if about.get("searchable") and not name.startswith("_")}
            if not known and searchable - {"object", "nested"}:
                fields[name] = cast(Json, [{"type": kind} for kind in sorted(searchable)])
    return as_json(index, engine, version, fields)


def closed_indices(client: OpenSearch, index: str) -> list[str]:
    """The closed indices that a pattern stands for: a search passes over them in silence.

    One that is named, or has an alias that is, makes a search fail instead. Needs the rights that a profile needs.

    Raises:
        StoreError: the store cannot be asked.
    """
    if "*" not in index and "_all" not in index.split(","):
        return []

    def names(states: str) -> set[str]:
        # Every index has this setting; without a choice, all of them would be sent.
        params = {"expand_wildcards": states}
        return {*answered(lambda: client.indices.get_settings(index=index, name="index.uuid", params=dict(params)))}

    with as_store_errors(index):
        # In this order, so that an index that is made meanwhile is not taken for a closed one.
        return sorted(names("open,closed") - names("open"))


class Counted(NamedTuple):
    """What a data store holds."""

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
    with as_store_errors(index):
        of_all, *of_each = answered(lambda: [whole_of_several(one) for one in client.msearch(body=lines)["responses"]])
        newest = of_all["aggregations"]["newest"]["value"] if time_field is not None else None
        return Counted(
            int(of_all["hits"]["total"]["value"]),
            None if newest is None else datetime.fromtimestamp(min(newest / 1000, _LAST_TIME), timezone.utc),
            {name: int(one["hits"]["total"]["value"]) for name, one in zip(queries, of_each, strict=True)},
        )
