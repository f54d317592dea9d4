"""The field types of a real data store, as small JSON that can be kept and used without the store.

A profile says of every field how it is mapped: ``{"type": "text", "fields": {"keyword": {"type": "keyword",
"ignore_above": 256}}}``. Where the indices of a pattern disagree, a field has a list of such mappings. Keys of a
mapping that do not change what a query finds are left out, so that a profile changes only when it has to.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from sigma_stellar_aws.base.json_types import Json, JsonObject, as_object
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
Layout = Literal["flattened", "dotted", "ecs"]
"""How a store keeps CloudTrail records: flattened as by the platform, as CloudTrail writes them, or as Elastic does."""


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
    """Of an alias: the field that it stands for, under which Elasticsearch reports ignored values."""
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
        """Return the mappings of a field; none if the store does not have it."""
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

    @property
    def layout(self) -> "Layout":
        """How records are kept there, by the names of the fields; flattened if no names tell."""
        if not self.flattened:
            return "dotted"
        return "ecs" if self._has_ecs and not self.mappings("userIdentity_type") else "flattened"

    @property
    def other_layouts(self) -> "list[Layout]":
        """How records may be kept there, too, as in further indices of a pattern."""
        has = {"dotted": bool(self.mappings("userIdentity.type")), "ecs": self._has_ecs}
        others: list[Layout] = ["dotted", "ecs"]
        return [layout for layout in others if has[layout] and layout != self.layout]

    @property
    def _has_ecs(self) -> bool:
        return all(map(self.mappings, ("event.action", "event.provider", "aws.cloudtrail.event_type")))

    def no_time(self, time_field: str) -> str:
        """Return why a field does not tell the time of events; empty where it does."""
        kinds = sorted({field.type for field in self.mappings(time_field)})
        # Dynamic mapping takes milliseconds since 1970 for any number.
        if kinds and set(kinds) <= {"date", "date_nanos", "long"}:
            return ""
        what = f"is not a date ({', '.join(kinds)})" if kinds else "does not exist"
        return f"the time field {time_field!r} {what} in {self.indices}; name the one of this store: --time-field NAME"

    def all_mappings(self) -> Iterator[MappedField]:
        """Return the mappings of all fields."""
        return (field for mappings in self.fields.values() for field in mappings)

    def nearest(self, name: str) -> str | None:
        """Return the field of the store whose name is most like this one."""
        return nearest(name, self.fields, alike=0.85)


class _ProfileFile(msgspec.Struct):
    """The JSON of a profile."""

    index: str
    engine: Engine
    version: str
    fields: dict[str, Any]


class _FieldInFile(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of one mapping of a field."""

    type: str
    ignore_above: Annotated[int, msgspec.Meta(ge=0)] | None = None
    normalizer: Literal["lowercase", "other"] | None = None
    index: bool = True
    doc_values: bool = True
    null_value: bool = False
    ignore_malformed: bool = False
    runtime: bool = False
    copied: bool = False
    plain_date: bool = True
    inside: bool = False
    path: str | None = None
    fields: dict[str, Any] | None = None


_A_TEXT = "a text"
_AN_OBJECT = "an object"
_WANTED_IN_PROFILE = {
    "index": _A_TEXT,
    "engine": "elasticsearch or opensearch",
    "version": _A_TEXT,
    "fields": f"{_AN_OBJECT} of fields",
}
_WANTED_IN_FIELD = dict.fromkeys(_FieldInFile.__struct_fields__, "true or false") | {
    "ignore_above": "a whole number from 0",
    "normalizer": "lowercase or other",
    "path": "the name of a field",
    "fields": f"{_AN_OBJECT} of sub-fields",
}
_KEY_OF_ERROR = re.compile(r"required field `(?P<missing>\w+)`|at `\$\.(?P<wrong>\w+)")


def read_profile(path: Path) -> StoreProfile:
    """Return the profile in a file.

    Raises:
        StoreProfileError: the file cannot be read, or does not hold a profile.
    """
    try:
        data: Json = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise StoreProfileError(str(path), f"it cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StoreProfileError(str(path), f"it is not JSON: {error}") from error
    return profile_from_json(data, str(path))


def profile_from_json(data: Json, where: str = "profile") -> StoreProfile:
    """Return the profile in a JSON value.

    Args:
        data: the value.
        where: what errors call it, such as the name of its file.

    Raises:
        StoreProfileError: the value is not a profile.
    """
    try:
        return _profile(data)
    except StoreProfileError as error:
        raise StoreProfileError(where, error.reason) from None


def _profile(data: Json) -> StoreProfile:
    if not isinstance(data, dict) or data.get("store_profile") != VERSION:
        raise StoreProfileError("profile", f'it is not a store profile: it has no "store_profile": {VERSION}')
    try:
        file = msgspec.convert(data, _ProfileFile)
    except msgspec.ValidationError as error:
        raise StoreProfileError("profile", _what_is_wrong(data, error, _WANTED_IN_PROFILE)) from None
    read = {name: _mappings(name, mapping) for name, mapping in file.fields.items()}
    resolved = {
        name: tuple(target for field in of_name for target in _unaliased(name, field, read))
        for name, of_name in read.items()
    }
    if file.engine == "opensearch" and file.version.startswith(("1.", "2.")):
        resolved = {name: tuple(map(_without_flat_object, of_name)) for name, of_name in resolved.items()}
    return StoreProfile(file.index, file.engine, file.version, resolved)


def _what_is_wrong(data: JsonObject, error: msgspec.ValidationError, wanted: Mapping[str, str]) -> str:
    """Say which key is wrong and what it must be; what msgspec says of a key names types of Python."""
    found = _KEY_OF_ERROR.search(str(error))
    key = (found["missing"] or found["wrong"]) if found else ""
    if key not in wanted:
        return str(error)
    return f"{key} must be {wanted[key]}, {f'not {data[key]!r}' if key in data else 'and is missing'}"


def profile_as_json(index: str, engine: Engine, version: str, fields: Mapping[str, Json]) -> JsonObject:
    """Return a profile as a JSON value, its fields sorted."""
    in_order = {name: fields[name] for name in sorted(fields)}
    return {"store_profile": VERSION, "index": index, "engine": engine, "version": version, "fields": in_order}


def profile_text(profile: JsonObject) -> str:
    """Return a profile as the text of a file: a field a line, which keeps differences readable.

    >>> print(profile_text(profile_as_json("logs", "opensearch", "3.8.0", {"f": {"type": "ip"}})), end="")
    {
    "store_profile": 1,
    "index": "logs",
    "engine": "opensearch",
    "version": "3.8.0",
    "fields": {
      "f": {"type": "ip"}
    }}
    """
    fields = as_object(profile["fields"])
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(fields[name], sort_keys=True)}" for name in fields)
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in profile.items() if key != "fields")
    return f'{{\n{head},\n"fields": {{\n{rows}\n}}}}\n'


def _mappings(name: str, mapping: Json) -> tuple[MappedField, ...]:
    mappings = mapping if isinstance(mapping, list) else [mapping]
    if not mappings:
        raise StoreProfileError("profile", f"field {name!r} has no mapping")
    return tuple(_mapped_field(name, each) for each in mappings)


def _mapped_field(name: str, mapping: Json, *, is_subfield: bool = False) -> MappedField:
    def wrong(reason: str) -> StoreProfileError:
        return StoreProfileError("profile", f"field {name!r}: {reason}")

    if not isinstance(mapping, dict) or not isinstance(mapping.get("type"), str):
        raise wrong(f"a mapping is an object with a type, not {mapping!r}")
    if unknown := sorted(set(mapping) - set(_FieldInFile.__struct_fields__)):
        raise wrong(f"unknown key {', '.join(unknown)}")
    try:
        field = msgspec.convert(mapping, _FieldInFile)
    except msgspec.ValidationError as error:
        raise wrong(_what_is_wrong(mapping, error, _WANTED_IN_FIELD)) from None
    if (field.type == "alias" and not is_subfield) != (field.path is not None):
        raise wrong("an alias needs a path, the name of the field that it stands for; other types have none")
    return MappedField(
        name=field.path or name,
        type=field.type,
        ignore_above=field.ignore_above,
        normalizer=field.normalizer or "",
        indexed=field.index,
        doc_values=field.doc_values and field.type not in ANALYSED,
        null_value=field.null_value,
        ignore_malformed=field.ignore_malformed,
        runtime=field.runtime,
        copied=field.copied,
        plain_date=field.plain_date,
        inside=field.inside,
        subfields=tuple(
            _mapped_field(f"{name}.{sub}", inner, is_subfield=True) for sub, inner in (field.fields or {}).items()
        ),
    )


def _unaliased(name: str, field: MappedField, fields: Mapping[str, tuple[MappedField, ...]]) -> tuple[MappedField, ...]:
    """Return what an alias stands for: a field, a sub-field of one, or several where the indices disagree."""
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
    """Return the names of all objects that a dotted name is inside of, the outermost first.

    >>> [*parents("userIdentity.sessionContext.mfa")]
    ['userIdentity', 'userIdentity.sessionContext']
    """
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))
