"""What an alert says of its first event: what was done, to what, by whom, and why the rule matches."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.base.json_types import Json, Scalar
from sigma_stellar_aws.logs.flatten import document_text
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.matched import Matched, matched_values
from sigma_stellar_aws.reference.flat_schema import Document, flat_name, stands_for_several, text_of

MOST_PARAMETERS = 10
"""How many parameters of the request are listed, those first that the rule tests."""
LONGEST_VALUE = 2000
"""Characters of a value."""
MOST_LISTED = 20
"""Values of a field."""
MOST_TOLD = 200
"""Fields of the event."""

_PARAMETERS = "requestParameters_"
_ESCAPE = b"\\u"
_TEXTS = ("eventTime", "eventSource", "eventName", "errorCode", "errorMessage", "userAgent")
# What a parameter is named that names what is acted on, best first.
_NAMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"_(resource)?(arn|name)$",
        r"(?<!principal)arns?$",
        r"(names?|family|identity)$",
        r"(id|identifier)s?$",
    )
)
_FIRST_EVENT = (
    b'{"time":%b,"source":%b,"name":%b,"error_code":%b,"error_message":%b,"user_agent":%b,"resource":%b,'
    b'"parameters":[%b],"matched":%b,"record":%b}'
)
_ARN = re.compile(r"arns?$", re.IGNORECASE)
_LIST = b"["[0]
_decode_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _decode(text: bytes) -> Document:
    # An escape may be half a character, which JSON can hold, msgspec refuses, and Python's own decoder reads.
    event: Document = json.loads(text) if _ESCAPE in text else msgspec.json.decode(text)
    return event


class FirstEvent(NamedTuple):
    """The first event of an alert; texts are empty where it does not have them."""

    time: str
    source: str
    name: str
    error_code: str
    error_message: str
    user_agent: str
    resource: str
    """An ARN, or the name or id in the parameters of the request."""
    parameters: Matched
    """Some parameters of the request, by their flattened names in it, those first that the rule tests."""
    matched: Matched
    """The fields that make the rule match, as the rule names them, with the values that fit."""


def first_event(text: bytes, rule: PackRule) -> FirstEvent | None:
    """Read the first event of an alert; return None if its text was not kept."""
    return _first_event(_decode(text), rule) if text else None


def first_event_text(text: bytes, rule: PackRule) -> bytes:
    """Return the first event of an alert as JSON, with all its fields; ``null`` if its text was not kept."""
    if not text:
        return b"null"
    asked = _asked_fields(rule.asked)
    if asked is not None and _ESCAPE not in text:
        values = _decode_values(text)
        if len(text) <= LONGEST_VALUE or _is_bounded(values):
            return _spliced(text, values, rule, asked)
    event = _decode(text)
    told = _first_event(event, rule)
    details = _encode({**told._asdict(), "parameters": _listed(told.parameters), "matched": _listed(told.matched)})
    # A short event has nothing that would have to be shortened.
    record = text if len(text) <= LONGEST_VALUE else document_text(_bounded_record(event))
    return b'%b,"record":%b}' % (details[:-1], record)


def _is_bounded(values: Mapping[str, msgspec.Raw]) -> bool:
    """Tell whether nothing in an event has to be shortened."""
    return len(values) <= MOST_TOLD and all(map(_is_short, values.values()))


def _is_short(value: msgspec.Raw) -> bool:
    # Of a list that is longer than a value may be, each value could be short; that is rare.
    text = memoryview(value)
    return len(text) <= LONGEST_VALUE and (text[0] != _LIST or bytes(text).count(b",") < MOST_LISTED)


def _spliced(text: bytes, values: Mapping[str, msgspec.Raw], rule: PackRule, asked: tuple[str, ...]) -> bytes:
    """Write an event out of the values as they stand in its text, of which none has to be shortened.

    Args:
        text: the event.
        values: JSON of its fields.
        rule: its rule.
        asked: the fields that the rule's query names.
    """
    get = values.get
    told = _told(
        rule.asked, rule.fields, tuple([None if (value := get(name)) is None else bytes(value) for name in asked])
    )
    told_fields = _told_fields(tuple(values), told.fields)
    return _FIRST_EVENT % (
        *[b'""' if (value := get(name)) is None else _text_json(bytes(value)) for name in _TEXTS],
        next(filter(None, [_name_json(bytes(values[name])) for name in told_fields.resources]), b'""'),
        b",".join([before + _list_json(bytes(values[name])) for name, before in told_fields.parameters]),
        told.matched,
        text,
    )


class _Told(NamedTuple):
    """What makes a rule match an event."""

    fields: tuple[str, ...]
    """Flattened names of the fields to show first."""
    matched: bytes
    """As JSON."""


# By the values, which are the same for many events.
@lru_cache(maxsize=4096)
def _told(asked: str, fields: tuple[str, ...], values: tuple[bytes | None, ...]) -> _Told:
    names = _asked_fields(asked) or ()
    event: Document = {
        name: msgspec.json.decode(value) for name, value in zip(names, values, strict=True) if value is not None
    }
    found, written = _test(asked)(event), _written_names(fields)
    matched = {written.get(name, name): values[:MOST_LISTED] for name, values in found.items()}
    return _Told((*found, *written), _encode(_listed(matched)))


class _ToldFields(NamedTuple):
    """Of an event, the fields that are told."""

    resources: tuple[str, ...]
    """Those that may name what is acted on, the best first."""
    parameters: tuple[tuple[str, bytes], ...]
    """Those of its request, with the JSON that stands before the values."""


@lru_cache(maxsize=1000)
def _told_fields(fields: tuple[str, ...], first: tuple[str, ...]) -> _ToldFields:
    layout = _layout(fields)
    names = _told_parameters(layout.parameters, first)
    return _ToldFields(
        tuple(name for name in layout.resources if name in fields),
        tuple((name, b'{"field":%b,"values":' % _encode(name.removeprefix(_PARAMETERS))) for name in names),
    )


@lru_cache(maxsize=10_000)
def _asked_fields(asked: str) -> tuple[str, ...] | None:
    """Return the fields that a query names; None if one stands for several."""
    fields = tuple(dsl.fields(msgspec.json.decode(asked))) if asked else ()
    return None if any(map(stands_for_several, fields)) else fields


def _text_json(value: bytes) -> bytes:
    return value if value.startswith(b'"') else _encode(_text({"": msgspec.json.decode(value)}, ""))


def _name_json(value: bytes) -> bytes | None:
    if value.startswith(b'"'):
        return value if value != b'""' else None
    names = msgspec.json.decode(value) if value.startswith(b"[") else []
    return next((_encode(name) for name in names if isinstance(name, str) and name), None)


def _list_json(value: bytes) -> bytes:
    """Return the rest of the JSON of a field and its values."""
    if not value.startswith(b"["):
        return b"[%b]}" % value
    # With fewer commas, no value is left out.
    return b"%b}" % (value if value.count(b",") < MOST_LISTED else _encode(msgspec.json.decode(value)[:MOST_LISTED]))


def first_event_json(text: bytes, rule: PackRule) -> Json:
    """Return the first event of an alert as a JSON object, or None if its text was not kept."""
    written: Json = json.loads(first_event_text(text, rule))
    return written


def resource_of(text: bytes) -> str:
    """Return what an event acted on, as :class:`FirstEvent` has it, or "" if its text was not kept."""
    if not text:
        return ""
    event = _decode(text)
    return _resource(event, _layout(tuple(event)).resources)


def _first_event(event: Document, rule: PackRule) -> FirstEvent:
    told = _test(rule.asked)(event)
    written = _written_names(rule.fields)
    layout = _layout(tuple(event))
    texts = [_text(event, field) for field in _TEXTS]
    return FirstEvent(
        texts[0],
        texts[1],
        texts[2],
        texts[3],
        texts[4],
        texts[5],
        _resource(event, layout.resources),
        _parameters(event, layout.parameters, (*told, *written)),
        {written.get(name, name): [*map(_cut, values[:MOST_LISTED])] for name, values in told.items()},
    )


@lru_cache(maxsize=10_000)
def _written_names(fields: tuple[str, ...]) -> dict[str, str]:
    """Return the names that a rule gives fields, by their flattened names."""
    return {flat_name(field): field for field in fields}


def short_resource(resource: str) -> str:
    """Return the part of an ARN that names the resource itself, after partition, service, region and account."""
    return resource.split(":", 5)[-1]


@lru_cache(maxsize=10_000)
def actor_name(actor: str) -> str:
    """Return the readable name of who acted: what is left of an ARN without account and kind.

    >>> actor_name("arn:aws:iam::111122223333:user/ops/alice")
    'alice'
    >>> actor_name("arn:aws:sts::111122223333:assumed-role/Deploy/ci-4711")
    'Deploy/ci-4711'
    >>> actor_name("arn:aws:iam::111122223333:root"), actor_name("AIDAEXAMPLE:bob")
    ('root of 111122223333', 'AIDAEXAMPLE:bob')
    """
    parts = actor.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return actor
    kind, _, name = parts[5].partition("/")
    if kind == "root":
        return f"root of {parts[4]}"
    # A role and its session; all else may stand in folders.
    return (name if kind == "assumed-role" else name.rpartition("/")[2]) or parts[5]


def actor_labels(actors: Iterable[str]) -> dict[str, str]:
    """Return readable names of actors, each once: with the account where several have one, or else the whole ARN.

    >>> users = "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::444455556666:user/alice", "bob"
    >>> [*actor_labels(users).values()]
    ['alice · 111122223333', 'alice · 444455556666', 'bob']
    """
    labels = {actor: actor_name(actor) for actor in actors}
    for longer in (_name_and_account, str):
        counts = Counter(labels.values())
        labels = {actor: label if counts[label] == 1 else longer(actor) for actor, label in labels.items()}
    return labels


def _name_and_account(actor: str) -> str:
    name = actor_name(actor)
    return name if name == actor else f"{name} \N{MIDDLE DOT} {actor.split(':')[4]}"


@lru_cache(maxsize=10_000)
def _test(asked: str) -> Callable[[Document], Matched]:
    return matched_values(msgspec.json.decode(asked)) if asked else lambda document: {}


def _encode(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        # Half a character, or a number of more than 64 bits: JSON can hold both.
        return json.dumps(value).encode()


def _listed(found: Matched) -> list[Json]:
    return [{"field": field, "values": [*values]} for field, values in found.items()]


def _text(event: Document, field: str) -> str:
    value = event.get(field, "")
    if type(value) is str and len(value) <= LONGEST_VALUE:
        return value
    return ", ".join(text_of(_cut(each)) for each in _values(event, field)[:MOST_LISTED])


def _values(event: Document, field: str) -> list[Scalar]:
    value = event.get(field, [])
    return value if isinstance(value, list) else [value]


def _cut(value: Scalar) -> Scalar:
    is_long = isinstance(value, str) and len(value) > LONGEST_VALUE
    return f"{str(value)[:LONGEST_VALUE]}\N{HORIZONTAL ELLIPSIS}" if is_long else value


def _bounded_record(event: Document) -> Document:
    some = list(event.items())[:MOST_TOLD]
    return {name: [*map(_cut, value[:MOST_LISTED])] if isinstance(value, list) else _cut(value) for name, value in some}


def _parameters(event: Document, present: tuple[str, ...], tested: Iterable[str]) -> Matched:
    return {
        name.removeprefix(_PARAMETERS): [*map(_cut, _values(event, name)[:MOST_LISTED])]
        for name in _told_parameters(present, tested)
    }


def _told_parameters(present: tuple[str, ...], tested: Iterable[str]) -> list[str]:
    first = [name for name in tested if name in present]
    return [*dict.fromkeys((*first, *present))][:MOST_PARAMETERS]


def _resource(event: Document, fields: Iterable[str]) -> str:
    """Return what was acted on: as the event says, or else what the request names best, or what came of it."""
    for field in fields:
        for value in _values(event, field):
            if isinstance(value, str) and value:
                return str(_cut(value))
    return ""


class _Layout(NamedTuple):
    """Which fields an event has."""

    parameters: tuple[str, ...]
    """Those of its request."""
    resources: tuple[str, ...]
    """Those that may name what is acted on, the best first."""


# Most events of a search have one of a few layouts.
@lru_cache(maxsize=1000)
def _layout(fields: tuple[str, ...]) -> _Layout:
    parameters = tuple(name for name in fields if name.startswith(_PARAMETERS))
    results = [name for name in fields if name.startswith("responseElements_") and _ARN.search(name)]
    return _Layout(parameters, ("resources_ARN", *_naming(parameters), *results))


def _naming(parameters: tuple[str, ...]) -> list[str]:
    """Return the parameters that name what is acted on, the best first; of equals, the outermost."""
    ranks = {name: next((rank for rank, test in enumerate(_NAMES) if test.search(name)), None) for name in parameters}
    naming = [(name.count("_"), rank, name) for name, rank in ranks.items() if rank is not None]
    return [name for _, _, name in sorted(naming)]
