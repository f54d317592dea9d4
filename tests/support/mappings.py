"""The mappings of real stores under which queries are tried, as data."""

from typing import NamedTuple

import msgspec
import pytest

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.store.field_types import IndexSettings, MappingOfIndex, described_fields


def described(*indices: tuple[JsonObject, JsonObject]) -> dict[str, Json]:
    """Return the fields that a profile has of indices with these mappings and settings."""
    return described_fields(
        (
            msgspec.convert(mappings, MappingOfIndex, strict=False),
            msgspec.convert(settings, IndexSettings, strict=False),
        )
        for mappings, settings in indices
    )


class Store(NamedTuple):
    """One way in which a store maps CloudTrail records."""

    name: str
    mappings: JsonObject
    settings: JsonObject = {}  # noqa: RUF012
    engines: tuple[str, ...] = ("opensearch", "elasticsearch")
    inside: str = ""
    """The object that documents are put into, if any."""

    refused: tuple[int, int] = (2, 2)
    """How many rules of test_mappings it cannot answer on OpenSearch and Elasticsearch: two compare fields.

    More where long values are not indexed (Elasticsearch at least knows that they are there), where case is lost (rules
    with a regular expression or cased), where only words are kept (all), and inside a flattened object.
    """

    reason: str = "script"
    """What refusals say there, as a regular expression."""

    def body(self) -> JsonObject:
        """The body that creates an index."""
        limits: JsonObject = {"mapping": {"total_fields": {"limit": 20000}}}
        return {"settings": {"index": {**limits, **self.settings}}, "mappings": self.mappings}

    def document(self, flat: JsonObject) -> JsonObject:
        """A flattened record as this store is given it."""
        return {self.inside: flat} if self.inside else flat


def _texts_as(mapping: JsonObject) -> JsonObject:
    """Dynamic mappings in which every text gets a mapping, and other types those that engines choose."""
    texts: Json = {"texts": {"match_mapping_type": "string", "mapping": mapping}}
    # What engines would choose, float, rounds.
    fractions: Json = {"fractions": {"match_mapping_type": "double", "mapping": {"type": "double"}}}
    templates = [texts, fractions]
    return {"date_detection": False, "dynamic_templates": templates, "properties": {"timestamp": {"type": "date"}}}


def _with_subfield(name: str, mapping: JsonObject) -> JsonObject:
    return _texts_as({"type": "text", "fields": {name: mapping}})


_LOWERCASE: JsonObject = {
    "analysis": {"normalizer": {"no_case": {"type": "custom", "char_filter": [], "filter": ["lowercase"]}}}
}

STORES = (
    Store("template", index_mappings(pack_fields())),
    Store("dynamic", {}, refused=(30, 30), reason="values over 256 characters"),
    Store("keyword off", _texts_as({"type": "text"}), refused=(79, 79), reason="it is analysed text"),
    Store(
        "keyword of 1024",
        _texts_as({"type": "keyword", "ignore_above": 1024}),
        refused=(30, 24),
        reason="values over 1024 characters",
    ),
    Store("raw", _with_subfield("raw", {"type": "keyword"})),
    Store(
        "lower-cased",
        _texts_as({"type": "keyword", "normalizer": "no_case"}),
        _LOWERCASE,
        refused=(10, 10),
        reason="lower case",
    ),
    Store(
        "lower-cased beside",
        _with_subfield("lower", {"type": "keyword", "normalizer": "no_case"}),
        _LOWERCASE,
        refused=(10, 10),
        reason="lower case|analysed text",
    ),
    # The Elasticsearch that tests can start has no such type.
    Store("wildcard", _texts_as({"type": "wildcard"}), engines=("opensearch",)),
    Store("wildcard beside", _with_subfield("wild", {"type": "wildcard"}), engines=("opensearch",)),
    Store("flat_object", {"properties": {"o": {"type": "flat_object"}}}, engines=("opensearch",), inside="o"),
    Store(
        "flattened",
        {"properties": {"o": {"type": "flattened"}}},
        engines=("elasticsearch",),
        inside="o",
        refused=(0, 38),
        reason="flattened",
    ),
)

WAYS = [
    pytest.param((engine, way), id=f"{engine}, {way.name}")
    for engine in ("opensearch", "elasticsearch")
    for way in STORES
    if engine in way.engines
]
"""Every way of every engine, to parametrize tests with."""
