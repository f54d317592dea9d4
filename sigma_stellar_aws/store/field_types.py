"""The field types of indices, read from their mappings and settings."""

# On Python 3.10, nothing reads the name of a class in a quoted part of an annotation.
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.query.store_profile import ANALYSED, OBJECTS_OF_KEYWORDS, UNMAPPED, Normalizer, parents

# Elasticsearch's way to say that there is no limit.
_NO_LIMIT = 0x7FFFFFFF
# https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/ignore-above
_LIMIT_OF_LOGS = 8191
_CUT_BY_DEFAULT = frozenset({"keyword", "wildcard", "flattened"})
_NEVER_MALFORMED = frozenset({"keyword", "constant_keyword", "wildcard", "alias", *ANALYSED, *OBJECTS_OF_KEYWORDS})
_PLAIN_FORMATS = {"", "epoch_millis", "date_optional_time", "strict_date_optional_time", "strict_date_time"}
_PLAIN_FORMATS |= {"strict_date_optional_time_nanos", "strict_date_time_no_millis", "date_time", "date_time_no_millis"}


class FieldMapping(msgspec.Struct):
    """How a field is mapped, or an object with fields inside."""

    type: str = "object"
    path: str | None = None
    ignore_above: int | None = None
    normalizer: str | None = None
    index: bool = True
    doc_values: bool = True
    null_value: Any = None
    ignore_malformed: bool | None = None
    format: str = ""
    copy_to: str | list[str] = []
    dynamic: bool | str | None = None
    enabled: bool | None = None
    properties: dict[str, FieldMapping] = {}
    fields: dict[str, FieldMapping] = {}

    @property
    def maps_new_fields(self) -> bool | None:
        """Whether an object maps fields that it does not know; None where it does as the object around it."""
        if self.dynamic is None and self.enabled is None:
            return None
        return str(self.dynamic).lower() != "false" and self.enabled is not False

    @property
    def copy_targets(self) -> list[str]:
        """The fields that the values are copied into."""
        return self.copy_to if isinstance(self.copy_to, list) else [self.copy_to]


class RuntimeField(msgspec.Struct):
    """A field whose values are computed when they are asked for."""

    type: str


class DynamicTemplate(msgspec.Struct):
    """How an index maps fields that it does not know."""

    mapping: FieldMapping = msgspec.field(default_factory=FieldMapping)
    """The default where the template makes a runtime field."""
    match_mapping_type: str | list[str] | None = None
    match: str | list[str] | None = None
    unmatch: str | list[str] | None = None
    path_match: str | list[str] | None = None
    path_unmatch: str | list[str] | None = None

    @property
    def is_for_all_texts(self) -> bool:
        """Whether it is for texts, whatever the names of their fields."""
        limits = (self.match, self.unmatch, self.path_match, self.path_unmatch)
        kinds = self.match_mapping_type if isinstance(self.match_mapping_type, list) else [self.match_mapping_type]
        return not any(limits) and bool({"*", "string"} & {*kinds})


class MappingOfIndex(FieldMapping):
    """The mapping of an index, which is that of the object around all fields."""

    runtime: dict[str, RuntimeField] = {}
    dynamic_templates: list[dict[str, DynamicTemplate]] = []
    meta: dict[str, Any] = msgspec.field(name="_meta", default_factory=dict)


class _NormalizerDefinition(msgspec.Struct):
    filter: str | list[Any] | None = None
    char_filter: str | list[Any] | None = None


class _Analysis(msgspec.Struct):
    normalizer: dict[str, _NormalizerDefinition | str] = {}


class _MappingSettings(msgspec.Struct):
    ignore_above: int | None = None
    ignore_malformed: bool | None = None


class IndexSettings(msgspec.Struct):
    """The settings of an index that say something about all its fields."""

    mode: str | None = None
    mapping: _MappingSettings = msgspec.field(default_factory=_MappingSettings)
    analysis: _Analysis = msgspec.field(default_factory=_Analysis)

    @property
    def ignore_above(self) -> int | None:
        """The longest value of a keyword that is indexed where its field does not say it; None for no limit."""
        default = _LIMIT_OF_LOGS if self.mode == "logsdb" else None
        return default if self.mapping.ignore_above is None else self.mapping.ignore_above

    @property
    def ignore_malformed(self) -> bool:
        """Whether a value that a type cannot hold is kept out of the index where its field does not say it."""
        return self.mode == "logsdb" if self.mapping.ignore_malformed is None else self.mapping.ignore_malformed


class _FieldsOfIndex(NamedTuple):
    """What a profile says about one index."""

    fields: dict[str, JsonObject]
    maps_new_fields: dict[str, bool]
    """By the names of objects that have a setting of their own; that of the whole index is an empty text."""


def described_fields(indices: Iterable[tuple[MappingOfIndex, IndexSettings]]) -> dict[str, Json]:
    """Return the fields of a store profile from the mappings and settings of indices.

    >>> mapping = MappingOfIndex(properties={"f": FieldMapping("keyword", ignore_above=256)})
    >>> described_fields([(mapping, IndexSettings())])
    {'f': {'type': 'keyword', 'ignore_above': 256}}
    """
    # Daily indices are mostly alike.
    kinds = {json.dumps(kind, sort_keys=True): kind for kind in map(_fields_of_index, indices)}.values()
    found: dict[str, list[JsonObject]] = {}
    for name in {name for kind in kinds for name in kind.fields}:
        for mapping in (kind.fields.get(name) or _without_field(name, kind) for kind in kinds):
            if mapping is not None and mapping not in (same := found.setdefault(name, [])):
                same.append(mapping)
    return {
        name: same[0] if len(same) == 1 else [*sorted(same, key=lambda m: json.dumps(m, sort_keys=True))]
        for name, same in found.items()
    }


def _fields_of_index(index: tuple[MappingOfIndex, IndexSettings]) -> _FieldsOfIndex:
    """Describe every field of an index; a runtime field hides a mapped one of the same name."""
    mapping, settings = index
    fields: dict[str, JsonObject] = {}
    maps_new_fields = {"": mapping.maps_new_fields is not False}
    copied: list[str] = []
    for name, field in _fields_inside("", mapping):
        if field.type != "object":
            fields[name] = _description(field, settings)
            copied += field.copy_targets
        elif field.maps_new_fields is not None:
            maps_new_fields[name] = field.maps_new_fields
    for name, runtime in mapping.runtime.items():
        fields[name] = {"type": runtime.type, "runtime": True}
    for name in copied:
        if name in fields:
            fields[name] = {**fields[name], "copied": True}
    return _FieldsOfIndex(fields, maps_new_fields)


def _fields_inside(prefix: str, mapping: FieldMapping) -> Iterator[tuple[str, FieldMapping]]:
    """Yield the fields and objects inside an object, with their full names."""
    for name, field in mapping.properties.items():
        yield prefix + name, field
        # What is inside a nested object is not found by a query that is not nested itself.
        if field.type == "object":
            yield from _fields_inside(f"{prefix}{name}.", field)


def _without_field(name: str, index: _FieldsOfIndex) -> JsonObject | None:
    """Describe how an index that does not map a field takes its values; None if it would map it when one comes."""
    for parent in (*reversed([*parents(name)]), ""):
        if (mapping := index.fields.get(parent)) and mapping["type"] in (*OBJECTS_OF_KEYWORDS, "nested"):
            return {**mapping, "inside": True}
        if parent in index.maps_new_fields:
            return None if index.maps_new_fields[parent] else {"type": UNMAPPED}
    return None


def _description(field: FieldMapping, settings: IndexSettings) -> JsonObject:
    """Describe a field by what changes a query; what is as by default is left out."""
    kind = field.type
    limit = field.ignore_above
    if limit is None and kind in _CUT_BY_DEFAULT:
        limit = settings.ignore_above
    unusual: JsonObject = {
        "path": field.path,
        "ignore_above": None if limit == _NO_LIMIT else limit,
        "normalizer": field.normalizer and _normalizer(field.normalizer, settings.analysis.normalizer),
        "index": None if field.index else False,
        "doc_values": None if field.doc_values or kind in ANALYSED else False,
        "null_value": None if field.null_value is None else True,
        "plain_date": None if _is_plain_date(field) else False,
        "ignore_malformed": _ignores_malformed(field, settings) or None,
        "fields": {name: _description(inner, settings) for name, inner in sorted(field.fields.items())} or None,
    }
    return {"type": kind, **{key: value for key, value in unusual.items() if value is not None}}


def _is_plain_date(field: FieldMapping) -> bool:
    return field.type not in ("date", "date_nanos") or set(field.format.split("||")) <= _PLAIN_FORMATS


def _ignores_malformed(field: FieldMapping, settings: IndexSettings) -> bool:
    if field.type in _NEVER_MALFORMED:
        return False
    return settings.ignore_malformed if field.ignore_malformed is None else field.ignore_malformed


def _normalizer(name: str, definitions: Mapping[str, _NormalizerDefinition | str]) -> Normalizer:
    """Return what a normalizer does; ``lowercase`` is built in, others are described by the settings of the index."""
    built_in = _NormalizerDefinition(filter="lowercase") if name == "lowercase" else _NormalizerDefinition()
    definition = definitions.get(name, built_in)
    if isinstance(definition, str) or definition.char_filter:
        return "other"
    return "lowercase" if definition.filter in ("lowercase", ["lowercase"]) else "other"
