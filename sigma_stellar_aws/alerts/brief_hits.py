"""Take from the text of a record what counting it needs, and the rest only where an alert shows it.

Of events that only correlations count, most make nothing complete; of those that rules alert on, most go into an alert
that is open. A record that is as AWS writes it is decoded for them in the few fields that are asked for; its text is
kept, and decoded in full for those that an alert shows. All else is left to be read as other records are.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import msgspec

from sigma_stellar_aws.alerts.hit_rows import packed_values
from sigma_stellar_aws.alerts.hits import (
    LONGEST_REMEMBERED,
    TOLD_FIELDS,
    CommonPart,
    Hit,
    common_part,
    counted_values,
    to_hit,
)
from sigma_stellar_aws.alerts.kept_event import LONGEST_EVENT, event_text
from sigma_stellar_aws.base.json_types import Scalar
from sigma_stellar_aws.base.kept_texts import KeptTexts
from sigma_stellar_aws.logs.collector import decode_record
from sigma_stellar_aws.logs.flatten import document_id, flatten, is_uuid, millis_of_text
from sigma_stellar_aws.logs.record_head import Raw
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.prefilter import Candidates, anything
from sigma_stellar_aws.reference.flat_schema import Document

_REMEMBERED = 5_000
"""Combinations of values that are remembered: those of some minutes."""
_NO_TEXTS = CommonPart("", "", "", "", "", "", "", (), is_brief=True)
_SEPARATORS = "._"
_HEAD = ("eventSource", "eventName")
_Value: TypeAlias = str | list[Scalar] | None
_Getter: TypeAlias = Callable[[object], _Value]
_Tree: TypeAlias = "dict[str, _Tree]"


class CountedPart(NamedTuple):
    """What is counted of an event."""

    common: int
    """Place of the part that the hit has in common with others."""
    values: bytes
    """What correlations need, packed."""


class BriefRecord(NamedTuple):
    """What was read of a record."""

    time: int
    """Milliseconds since 1970-01-01 UTC."""
    event_id: str
    part: CountedPart | None
    """None where no rule matches."""
    text: bytes
    """In one line."""


class _Layout(NamedTuple):
    """How some fields of a record are read, beside the id and the time."""

    decode: Callable[[bytes], msgspec.Struct]
    fields: tuple[str, ...]
    """Flattened names."""
    values: Callable[[object], tuple[_Value, ...]]
    """Returns those of these fields."""


class _Reading(NamedTuple):
    """How records with one source and name are read."""

    layout: _Layout
    tests: Candidates
    """What is to be asked of an event."""
    is_alerting: bool
    """Whether some of the rules alert by themselves."""


class BriefReader:
    """Reads records that are only counted: by correlations, or mostly into alerts that are open."""

    def __init__(
        self,
        query: Clause,
        candidates: Callable[[object, object], Candidates],
        only_counted: Collection[str],
        fields: Mapping[str, tuple[str, ...]],
        keys: Mapping[str, tuple[str, ...]],
        keep: Callable[[CommonPart], int],
    ) -> None:
        """Prepare.

        Args:
            query: that of all rules.
            candidates: tells which rules of the query can match a source and name.
            only_counted: names of the rules that do not alert by themselves.
            fields: for each rule that correlations count, the flattened names of the fields that they need.
            keys: for each rule that raises one alert for many events, the flattened names of the fields that it
                suppresses by.
            keep: keeps what a hit has in common with others, and returns its place.
        """
        self._candidates = candidates
        self._keep = keep
        self._only_counted = frozenset(only_counted)
        self._fields = fields
        self._keys = {**dict.fromkeys(only_counted, ()), **keys}
        self._tested = {name: dsl.fields(clause) for name, clause in dsl.named_clauses(query)}
        self._layout = lru_cache(10_000)(_layout)
        self._reading = lru_cache(65536)(self._find_reading)
        # What differs from event to event is the id and the time, which few rules ask for.
        self._part = lru_cache(_REMEMBERED)(self._find_part)

    def read(self, source: str, name: str, text: Raw) -> BriefRecord | None:
        """Read a record; return None if it has to be read as others are.

        Args:
            source: its ``eventSource``.
            name: its ``eventName``.
            text: its JSON.
        """
        reading = self._reading(source, name)
        if reading is None or len(raw := bytes(text)) > LONGEST_EVENT:
            return None
        try:
            # What is not decoded is not checked by the decoder.
            if not raw.isascii():
                raw.decode()
            record: Any = reading.layout.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        event_id, time = record.of_eventID, millis_of_text(record.of_eventTime)
        if time is None or not is_uuid(event_id):
            return None
        values = reading.layout.values(record)
        find = self._part if len(raw) <= LONGEST_REMEMBERED or _is_short(values) else self._find_part
        try:
            part = find(source, name, values)
        except TypeError:
            # A list has no hash.
            part = self._find_part(source, name, values)
        return BriefRecord(time, event_id, part, raw.replace(b"\n", b" "))

    def _find_part(self, source: str, name: str, values: tuple[_Value, ...]) -> CountedPart | None:
        """Return what is counted of an event with some values; None where no rule matches."""
        reading = self._reading(source, name)
        if reading is None:
            return None
        document: Document = {"eventSource": source, "eventName": name}
        for field, value in zip(reading.layout.fields, values, strict=True):
            # A flattened record keeps empty texts and leaves out empty lists, and so does this.
            if value or value == "":
                document[field] = value
        names = [rule for rule, matches in reading.tests if matches(document)]
        if not names:
            return None
        if reading.is_alerting:
            common = common_part(document, names, self._keys, is_brief=True)
        else:
            common = _NO_TEXTS._replace(matches=tuple([(rule, ()) for rule in names]))
        found = counted_values(document, common.matches, self._fields) if self._fields else ()
        return CountedPart(self._keep(common), packed_values(found))

    def _find_reading(self, source: str, name: str) -> _Reading | None:
        candidates = self._candidates(source, name)
        if not all(rule in self._keys for rule, _ in candidates):
            return None
        asked = [rule for rule, test in candidates if test is not anything]
        is_alerting = any(rule not in self._only_counted for rule, _ in candidates)
        needed = {*TOLD_FIELDS} if is_alerting else set[str]()
        for rule, _ in candidates:
            needed.update(self._fields.get(rule, ()), self._keys[rule])
        needed.update(field for rule in asked for field in self._tested[rule])
        layout = self._layout(tuple(sorted(needed.difference(_HEAD))))
        return layout and _Reading(layout, candidates, is_alerting)


class ToldHits:
    """Adds to brief hits what alerts say of their events, out of the texts that were kept."""

    def __init__(self, kept: KeptTexts) -> None:
        """Take what was kept of all events."""
        self._kept = kept
        # The same event makes several times complete.
        self._told = lru_cache(1000)(self._find)

    def told(self, hit: Hit) -> Hit:
        """Return a brief hit with the texts of its event."""
        return self._told(hit.event)._replace(time=hit.time, identity=hit.identity, origin=hit.origin)

    def identity(self, hit: Hit) -> str:
        """Return what tells the event of a brief hit from all others."""
        return document_id(self._document(hit.event))

    def _find(self, place: int) -> Hit:
        document = self._document(place)
        event = self._kept.add(event_text(document))
        return to_hit(document, (), {}, time=None, identity="", origin="", event=event)

    def _document(self, place: int) -> Document:
        text = self._kept.text(place)
        try:
            return flatten(decode_record(text))
        except msgspec.MsgspecError:
            # A number that is larger than any, in a field that was not decoded before.
            return flatten(json.loads(text))


def _is_short(values: Sequence[_Value]) -> bool:
    return sum(len(value) for value in values if value) <= LONGEST_REMEMBERED


def _layout(fields: tuple[str, ...]) -> _Layout | None:
    """Return how some fields are read; None where one stands for several, or is above another."""
    tree: _Tree = {}
    paths = {field: tuple(field.split("_")) for field in fields}
    for path in paths.values():
        node = tree
        for part in path:
            node = node.setdefault(part, {})
    if not all(part.isidentifier() and part.isascii() for path in paths.values() for part in path):
        return None
    if any(_below(tree, path) for path in paths.values()):
        return None
    required = [(_attribute(name), str) for name in ("eventID", "eventTime")]
    kind = _struct({name: below for name, below in tree.items() if name not in ("eventID", "eventTime")}, required)
    return _Layout(msgspec.json.Decoder(kind).decode, fields, _getter_of_all(tuple(paths.values())))


def _below(tree: _Tree, path: Sequence[str]) -> _Tree:
    for part in path:
        tree = tree[part]
    return tree


def _struct(tree: _Tree, required: Sequence[tuple[str, type]] = ()) -> type[msgspec.Struct]:
    """Return a type for objects with some keys.

    Others are passed over, but for those whose flattened name is that of several of these keys, one below the other:
    with such a key an object fails to decode.
    """
    fields: list[tuple[str, object] | tuple[str, object, object]] = [*required]
    names = {attribute: attribute.removeprefix("of_") for attribute, _ in required}
    for part, below in tree.items():
        names[_attribute(part)] = part
        kind: object = str | list[str] | None
        missing = None
        if below:
            inner = _struct(below)
            kind = inner | list[inner] | None  # type: ignore[valid-type]
            # So that its fields can be asked for all the same.
            missing = inner()
        fields.append((_attribute(part), kind, missing))
    for number, odd in enumerate(_joined(tree)):
        names[f"odd_{number}"] = odd
        fields.append((f"odd_{number}", None, None))
    return msgspec.defstruct("Brief", fields, rename=names, frozen=True, gc=False)


def _joined(tree: _Tree) -> Iterator[str]:
    """Yield the keys that a record may have, by their flattened names, instead of several keys of a tree."""
    for part, below in tree.items():
        for inner in (*below, *_joined(below)):
            yield from (f"{part}{separator}{inner}" for separator in _SEPARATORS)


def _attribute(part: str) -> str:
    # No keyword, and nothing that a structure has anyway.
    return f"of_{part}"


def _getter_of_all(paths: Sequence[tuple[str, ...]]) -> Callable[[object], tuple[_Value, ...]]:
    """Return what reads the texts at several paths of keys."""
    getters = [_getter(path) for path in paths]

    def one_by_one(record: object) -> tuple[_Value, ...]:
        return tuple([getter(record) for getter in getters])

    if len(paths) < 2:
        return one_by_one
    # In a sixth of the time.
    all_at_once: Callable[[object], tuple[_Value, ...]] = attrgetter(
        *(".".join(map(_attribute, path)) for path in paths)
    )

    def values(record: object) -> tuple[_Value, ...]:
        try:
            return all_at_once(record)
        except AttributeError:
            # There is a list on the way, or null.
            return one_by_one(record)

    return values


def _getter(path: tuple[str, ...]) -> _Getter:
    """Return what reads the texts at a path of keys, those in lists one after the other."""
    name, rest = _attribute(path[0]), path[1:]
    if not rest:
        return attrgetter(name)
    inner = _getter(rest)

    def value(node: object) -> _Value:
        below = getattr(node, name)
        if type(below) is not list:
            return None if below is None else inner(below)
        found: list[Scalar] = []
        for each in below:
            some = inner(each)
            found += [some] if isinstance(some, str) else some or ()
        return found

    return value
