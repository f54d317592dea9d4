"""The field types of a real data store, as small JSON that can be kept and used without the store.

A profile says of every field how it is mapped: ``{"type": "text", "fields": {"keyword": {"type": "keyword",
"ignore_above": 256}}}``. Where the indices of a pattern disagree, a field has a list of such mappings. Keys of a
mapping that do not change what a query finds are left out, so that a profile changes only when it has to.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import StoreProfileError
from sigma_stellar_aws.base.text import nearest

VERSION = 1
"""Of the format of profiles, under the key ``store_profile``."""

OBJECTS_OF_KEYWORDS = frozenset({"flattened", "flat_object"})
"""Types that hold a whole object, whose inner fields are keywords without a mapping of their own."""

UNMAPPED = "unmapped"
"""How an index takes a field that it keeps out of its mapping: nothing finds its values."""

EARLY_FLAT_OBJECT = "flat_object before OpenSearch 3"
"""The type flat_object of OpenSearch 2, in which 2.19 finds next to nothing, and says nothing."""

ANALYSED = frozenset({"text", "match_only_text"})
"""Types that keep the words of a value, not the value."""

Engine = Literal["elasticsearch", "opensearch"]
Normalizer = Literal["", "lowercase", "other"]


class MappedField(NamedTuple):
    """One mapping of a field."""

    name: str
    type: str
    ignore_above: int | None = None
    """Longest value that is indexed, in UTF-16 units; None for no limit."""
    normalizer: Normalizer = ""
    """What is done to values before they are compared: nothing, lower-casing, or more than that."""
    indexed: bool = True
    doc_values: bool = True
    null_value: bool = False
    """Whether nulls are indexed as some value."""
    ignore_malformed: bool = False
    """Whether values that the type cannot hold are kept out of the index, not the event."""
    runtime: bool = False
    """Whether values are computed when they are asked for."""
    copied: bool = False
    """Whether other fields copy their values into it (``copy_to``)."""
    plain_date: bool = True
    """Of a date: whether a number in an event is milliseconds since 1970, as by default."""
    inside: bool = False
    """Of a type that holds an object: whether it is a field inside it, not the object."""
    stored_name: str = ""
    """Of an alias: the field that it stands for, under which Elasticsearch tells of ignored values."""
    subfields: "tuple[MappedField, ...]" = ()


class StoreProfile(NamedTuple):
    """The fields of a data store."""

    indices: str
    """Name or pattern of the indices that it describes."""
    engine: Engine
    version: str
    fields: Mapping[str, tuple[MappedField, ...]]
    """By full name; several mappings where the indices disagree."""

    def mappings(self, name: str) -> tuple[MappedField, ...]:
        """The mappings of a field; none if the store does not have it."""
        if name in self.fields:
            return self.fields[name]
        around = [parent for parent in parents(name) if parent in self.fields]
        return tuple(
            field._replace(name=name, inside=True)
            for parent in around[-1:]
            for field in self.fields[parent]
            if field.type in (*OBJECTS_OF_KEYWORDS, EARLY_FLAT_OBJECT, "nested")
        )

    @property
    def flattened(self) -> bool:
        """Whether records are flattened there, as the platform does it; else they are as CloudTrail writes them."""
        return bool(self.mappings("userIdentity_type")) or not self.mappings("userIdentity.type")

    def no_time(self, time_field: str) -> str:
        """Why a field does not tell the time of events; empty where it does."""
        kinds = sorted({field.type for field in self.mappings(time_field)})
        # Dynamic mapping takes milliseconds since 1970 for any number.
        if kinds and set(kinds) <= {"date", "date_nanos", "long"}:
            return ""
        what = f"is no date ({', '.join(kinds)})" if kinds else "does not exist"
        return f"the time field {time_field!r} {what} in {self.indices}; name the one of this store: --time-field NAME"

    def all_mappings(self) -> Iterator[MappedField]:
        """The mappings of all fields."""
        return (field for mappings in self.fields.values() for field in mappings)

    def nearest(self, name: str) -> str | None:
        """The field of the store whose name is the most like this one."""
        return nearest(name, self.fields, alike=0.85)


def read_profile(path: Path) -> StoreProfile:
    """The profile in a file.

    Raises:
        StoreProfileError: the file cannot be read, or is no profile.
    """
    try:
        data: Json = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise StoreProfileError(str(path), f"it cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StoreProfileError(str(path), f"it is no JSON: {error}") from error
    return from_json(data, str(path))


def from_json(data: Json, where: str = "profile") -> StoreProfile:
    """The profile in a JSON value; ``where`` it is from is told in errors.

    Raises:
        StoreProfileError: the value is no profile.
    """
    try:
        return _from_json(data)
    except StoreProfileError as error:
        raise StoreProfileError(where, error.reason) from None


def _from_json(data: Json) -> StoreProfile:
    if not isinstance(data, dict) or data.get("store_profile") != VERSION:
        raise StoreProfileError("profile", f'it is no store profile: it has no "store_profile": {VERSION}')
    index, engine, version, fields = (data.get(key) for key in ("index", "engine", "version", "fields"))
    if not isinstance(index, str) or not isinstance(version, str) or not isinstance(fields, dict):
        raise StoreProfileError("profile", "index, version and fields must be a text, a text and an object")
    if engine not in ("elasticsearch", "opensearch"):
        raise StoreProfileError("profile", f"engine must be elasticsearch or opensearch, not {engine!r}")
    read = {name: _fields(name, mapping) for name, mapping in fields.items()}
    resolved = {
        name: tuple(target for field in of_name for target in _unaliased(name, field, read))
        for name, of_name in read.items()
    }
    if engine == "opensearch" and version.startswith(("1.", "2.")):
        resolved = {name: tuple(map(_without_flat_object, of_name)) for name, of_name in resolved.items()}
    return StoreProfile(index, cast(Engine, engine), version, resolved)


def as_json(index: str, engine: Engine, version: str, fields: Mapping[str, Json]) -> JsonObject:
    """A profile as a JSON value, its fields sorted."""
    in_order = {name: fields[name] for name in sorted(fields)}
    return {"store_profile": VERSION, "index": index, "engine": engine, "version": version, "fields": in_order}


def as_text(profile: JsonObject) -> str:
    """A profile as the text of a file: a field a line, so that differences are readable."""
    fields = cast(JsonObject, profile["fields"])
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(fields[name], sort_keys=True)}" for name in fields)
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in profile.items() if key != "fields")
    return f'{{\n{head},\n"fields": {{\n{rows}\n}}}}\n'


class _Defaults(NamedTuple):
    """What the settings of an index say of all its fields."""

    ignore_above: int | None
    ignore_malformed: bool
    normalizers: JsonObject


def described_fields(indices: Iterable[tuple[JsonObject, JsonObject]]) -> dict[str, Json]:
    """The fields of a profile out of the mappings of indices.

    Args:
        indices: of each index, its mappings and its settings (what stands under ``index`` there).
    """
    # Daily indices are mostly alike.
    kinds = {json.dumps(each, sort_keys=True): each for each in map(_described, indices)}.values()
    found: dict[str, list[JsonObject]] = {}
    for name in {name for kind in kinds for name in kind}:
        if "\0" in name:
            continue
        for mapping in (kind.get(name) or _around(name, kind) for kind in kinds):
            if mapping is not None and mapping not in (same := found.setdefault(name, [])):
                same.append(mapping)
    return {
        name: same[0] if len(same) == 1 else [*sorted(same, key=lambda m: json.dumps(m, sort_keys=True))]
        for name, same in found.items()
    }


def _defaults(settings: JsonObject) -> _Defaults:
    mapping = _object(settings, "mapping")
    # https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/ignore-above
    limit = mapping.get("ignore_above", 8191 if settings.get("mode") == "logsdb" else None)
    return _Defaults(
        int(cast(str, limit)) if limit is not None else None,
        str(mapping.get("ignore_malformed", settings.get("mode") == "logsdb")).lower() == "true",
        _object(_object(settings, "analysis"), "normalizer"),
    )


def _object(value: JsonObject, key: str) -> JsonObject:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def _described(index: tuple[JsonObject, JsonObject]) -> dict[str, JsonObject]:
    """Every field of an index, described; a runtime field hides a mapped one of the same name."""
    mappings, settings = index
    found = dict(_walk("", mappings, _defaults(settings)))
    for name, field in _object(mappings, "runtime").items():
        found[name] = {"type": cast(JsonObject, field).get("type"), "runtime": True}
    for name in [name for mapping in found.values() for name in cast("list[str]", mapping.pop("copy_to", []))]:
        if name in found:
            found[name] = {**found[name], "copied": True}
    return found


def _around(name: str, index: Mapping[str, JsonObject]) -> JsonObject | None:
    """How an index that does not map a field takes its values; None if it would map it when it comes."""
    for parent in [*parents(name)][::-1]:
        if (mapping := index.get(parent)) and mapping["type"] in (*OBJECTS_OF_KEYWORDS, "nested"):
            return {**mapping, "inside": True}
        if parent + _UNMAPPED in index:
            return {"type": UNMAPPED}
        if parent + _MAPPED in index:
            return None
    return {"type": UNMAPPED} if _UNMAPPED in index else None


def _walk(prefix: str, mapping: JsonObject, defaults: _Defaults) -> Iterator[tuple[str, JsonObject]]:
    """The fields inside an object, and under a name of its own, whether the object takes new ones."""
    if "dynamic" in mapping or "enabled" in mapping or not prefix:
        closed = {str(mapping.get("dynamic", True)).lower(), str(mapping.get("enabled", True)).lower()} & {"false"}
        yield prefix[:-1] + (_UNMAPPED if closed else _MAPPED), {}
    for name, value in _object(mapping, "properties").items():
        inner = cast(JsonObject, value)
        # What is inside a nested object is not found by a query that is not nested itself.
        if inner.get("type", "object") == "object":
            yield from _walk(f"{prefix}{name}.", inner, defaults)
        else:
            yield prefix + name, _description(inner, defaults)


def _description(mapping: JsonObject, defaults: _Defaults) -> JsonObject:
    kind = cast(str, mapping["type"])
    described: JsonObject = {"type": kind}
    if "path" in mapping:
        described["path"] = mapping["path"]
    limit = mapping.get("ignore_above", defaults.ignore_above if kind in _CUT_BY_DEFAULT else None)
    # The highest is Elasticsearch's way to say that there is no limit.
    if limit is not None and int(cast(str, limit)) != _NO_LIMIT:
        described["ignore_above"] = int(cast(str, limit))
    if name := mapping.get("normalizer"):
        described["normalizer"] = _normalizer(cast(str, name), defaults.normalizers)
    for key in ("index", "doc_values"):
        if mapping.get(key, True) in (False, "false"):
            described[key] = False
    if kind in ANALYSED:
        described.pop("doc_values", None)
    if "null_value" in mapping:
        described["null_value"] = True
    if targets := mapping.get("copy_to"):
        described["copy_to"] = targets if isinstance(targets, list) else [targets]
    if kind in ("date", "date_nanos") and not set(str(mapping.get("format", "")).split("||")) <= _PLAIN_FORMATS:
        described["plain_date"] = False
    if kind not in _NEVER_MALFORMED and mapping.get("ignore_malformed", defaults.ignore_malformed) in (True, "true"):
        described["ignore_malformed"] = True
    if subfields := _object(mapping, "fields"):
        described["fields"] = {
            name: _description(cast(JsonObject, field), defaults) for name, field in sorted(subfields.items())
        }
    return described


def _normalizer(name: str, normalizers: JsonObject) -> Normalizer:
    """What a normalizer does; ``lowercase`` is built in, others are described by the settings of the index."""
    definition = normalizers.get(name, {"filter": ["lowercase"]} if name == "lowercase" else {})
    if not isinstance(definition, dict) or definition.get("char_filter"):
        return "other"
    filters = definition.get("filter")
    return "lowercase" if filters in ("lowercase", ["lowercase"]) else "other"


_NO_LIMIT = 0x7FFFFFFF
_CUT_BY_DEFAULT = frozenset({"keyword", "wildcard", "flattened"})
_NEVER_MALFORMED = frozenset({"keyword", "constant_keyword", "wildcard", "alias", *ANALYSED, *OBJECTS_OF_KEYWORDS})
_FLAGS = {
    "index": True,
    "doc_values": True,
    "null_value": False,
    "ignore_malformed": False,
    "runtime": False,
    "copied": False,
    "plain_date": True,
    "inside": False,
}
_PLAIN_FORMATS = {"", "epoch_millis", "date_optional_time", "strict_date_optional_time", "strict_date_time"}
_PLAIN_FORMATS |= {"strict_date_optional_time_nanos", "strict_date_time_no_millis", "date_time", "date_time_no_millis"}
# Beside names of objects, where no field has them: the object keeps new fields out of the index, or maps them.
_UNMAPPED, _MAPPED = "\0unmapped", "\0mapped"
_KEYS = {"type", "ignore_above", "normalizer", "path", "fields", *_FLAGS}


def _fields(name: str, mapping: Json) -> tuple[MappedField, ...]:
    mappings = mapping if isinstance(mapping, list) else [mapping]
    if not mappings:
        raise StoreProfileError("profile", f"field {name!r} has no mapping")
    return tuple(_field(name, each) for each in mappings)


def _field(name: str, mapping: Json, *, is_subfield: bool = False) -> MappedField:
    def wrong(reason: str) -> StoreProfileError:
        return StoreProfileError("profile", f"field {name!r}: {reason}")

    if not isinstance(mapping, dict) or not isinstance(mapping.get("type"), str):
        raise wrong(f"a mapping is an object with a type, not {mapping!r}")
    if unknown := sorted(set(mapping) - _KEYS):
        raise wrong(f"unknown key {', '.join(unknown)}")
    limit, normalizer, subfields = (mapping.get(key) for key in ("ignore_above", "normalizer", "fields"))
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise wrong(f"ignore_above must be a whole number, not {limit!r}")
    if normalizer not in (None, "lowercase", "other"):
        raise wrong("normalizer must be lowercase or other")
    if not isinstance(subfields, (dict, type(None))):
        raise wrong("fields must be an object")
    flags = {key: mapping.get(key, default) for key, default in _FLAGS.items()}
    if unclear := [key for key, value in flags.items() if not isinstance(value, bool)]:
        raise wrong(f"{unclear[0]} must be true or false")
    kind = cast(str, mapping["type"])
    is_alias = kind == "alias" and not is_subfield
    if is_alias != isinstance(mapping.get("path"), str) or is_alias != ("path" in mapping):
        raise wrong("an alias has a path, which is a text, and nothing else has one")
    return MappedField(
        cast(str, mapping.get("path", name)),
        kind,
        limit,
        cast(Normalizer, normalizer or ""),
        flags["index"] is True,
        flags["doc_values"] is True and kind not in ANALYSED,
        flags["null_value"] is True,
        flags["ignore_malformed"] is True,
        flags["runtime"] is True,
        flags["copied"] is True,
        flags["plain_date"] is True,
        flags["inside"] is True,
        "",
        tuple(_field(f"{name}.{sub}", each, is_subfield=True) for sub, each in (subfields or {}).items()),
    )


def _unaliased(name: str, field: MappedField, fields: Mapping[str, tuple[MappedField, ...]]) -> tuple[MappedField, ...]:
    """What an alias stands for: a field, a sub-field of one, or several where the indices disagree."""
    if field.type != "alias":
        return (field,)
    around, _, _ = field.name.rpartition(".")
    subfields = [sub for parent in fields.get(around, ()) for sub in parent.subfields if sub.name == field.name]
    targets = tuple(target for target in (*fields.get(field.name, ()), *subfields) if target.type != "alias")
    if not targets:
        raise StoreProfileError("profile", f"field {name!r}: there is no field {field.name!r}, its path")
    return tuple(target._replace(name=name, stored_name=target.name) for target in targets)


def _without_flat_object(field: MappedField) -> MappedField:
    return field._replace(type=EARLY_FLAT_OBJECT) if field.type == "flat_object" else field


def parents(name: str) -> Iterator[str]:
    """All names of objects that a dotted name is inside of, the outermost first."""
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))
