"""Flatten CloudTrail records to documents of the platform's schema."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TypeGuard

import msgspec

from sigma_stellar_aws.base.json_types import Json, Scalar
from sigma_stellar_aws.logs.event_times import event_millis
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document, flat_name

# Of more than one digit: that of nothing but zeros is a placeholder.
_UUID = re.compile(r"(?!(.)(?:\1|-)*\Z)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_MOST_NAMES = 20_000
_LONGEST_NAME = 500


def flatten(record: Mapping[str, Json]) -> Document:
    """Flatten a CloudTrail record.

    Keys are joined by ``_``. The values in a list, or in the objects of a list, become the values of one field. Nulls,
    empty objects and empty lists leave no field. Types, the case of keys and empty strings are kept. Two paths that
    give the same name share a field. ``timestamp`` (milliseconds since 1970) is added if ``eventTime`` can be read.

    >>> flatten({"eventName": "RunInstances", "items": [{"id": "i-1"}, {"id": "i-2"}], "errorCode": None})
    {'eventName': 'RunInstances', 'items_id': ['i-1', 'i-2']}
    >>> flatten({"eventTime": "1970-01-01T00:00:01Z"})
    {'eventTime': '1970-01-01T00:00:01Z', 'timestamp': 1000}
    """
    document: Document = {}
    try:
        _add_members(document, _TOP, record)
    except RecursionError:
        # It is nested deeper than Python's stack allows.
        document = {}
        for path, leaf, in_list in _leaves(record):
            _add(document, path, leaf, in_list)
    stated = record.get("eventTime")
    time = millis_of_text(stated) if isinstance(stated, str) else event_millis(stated)
    if time is not None:
        document[TIME_FIELD] = time
    return document


# Of the time that a record states. Many events of a file are of the same second.
millis_of_text = lru_cache(maxsize=1000)(event_millis)


def is_uuid(event_id: object) -> TypeGuard[str]:
    """Tell whether an eventID is one that AWS made; in made up or redacted records, many events may share one.

    >>> is_uuid("6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60"), is_uuid("00000000-0000-0000-0000-000000000000")
    (True, False)
    """
    return isinstance(event_id, str) and _UUID.fullmatch(event_id) is not None


def document_id(document: Mapping[str, object]) -> str:
    """Return an id that is the same for copies of an event, and for nothing else: a hash of all that is in it.

    The eventID comes first if it is a UUID. It would not be enough: in records that were made up or redacted, many
    events may share one.

    >>> document_id({"eventID": "6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60", "eventName": "CreateUser"})
    '6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60-5944b8adf623acff'
    """
    return id_of_text(document_text(document), document.get("eventID"))


def document_text(document: Mapping[str, object]) -> bytes:
    """Write a document as JSON in one line, its fields in the order of their names."""
    try:
        return msgspec.json.encode(document, order="sorted")
    except (UnicodeEncodeError, OverflowError, RecursionError):
        # Half a character, or a number of more than 64 bits: JSON can hold both.
        return json.dumps(document, sort_keys=True).encode()


def id_of_text(text: bytes, event_id: object) -> str:
    """Return what :func:`document_id` returns, of a document that is written already."""
    digest = hashlib.sha256(text).hexdigest()
    return f"{event_id}-{digest[:16]}" if is_uuid(event_id) else digest


class _Names(dict[str, "_Names"]):
    """The flattened name of a place in records, and by their keys the places below it that were met."""

    __slots__ = ("name",)
    known = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def __missing__(self, key: str) -> "_Names":
        part = flat_name(key) or "_"
        below = _Names(f"{self.name}_{part}" if self.name else part)
        # Keys may be anything, such as names of tags.
        if _Names.known < _MOST_NAMES and len(below.name) < _LONGEST_NAME:
            _Names.known += 1
            self[key] = below
        return below


_TOP = _Names("")
_SCALARS = frozenset({str, int, float, bool})


def _add_members(document: Document, names: _Names, record: Mapping[str, Json]) -> None:
    for key, value in record.items():
        # The usual cases are told by the type alone, which takes a fraction of the time of isinstance().
        kind = type(value)
        if (kind is str or kind in _SCALARS) and (name := names[key].name) not in document:
            document[name] = value  # type: ignore[assignment]
        elif kind is dict:
            _add_members(document, names[key], value)  # type: ignore[arg-type]
        elif value is not None:
            _add_value(document, names[key], value, False)


def _add_value(document: Document, names: _Names, value: Json, in_list: bool) -> None:
    if isinstance(value, dict):
        for key, each in value.items():
            _add_value(document, names[key], each, in_list)
    elif isinstance(value, list):
        for each in value:
            _add_value(document, names, each, True)
    elif value is not None:
        _add(document, names.name, value, in_list)


def _add(document: Document, name: str, value: Scalar, in_list: bool) -> None:
    held = document.get(name)
    if held is None:
        document[name] = [value] if in_list else value
    elif isinstance(held, list):
        held.append(value)
    else:
        document[name] = [held, value]


def _leaves(record: Mapping[str, Json]) -> Iterator[tuple[str, Scalar, bool]]:
    """Yield every scalar in the order of the record: its flattened name, its value, whether it is in a list."""
    # Not recursive: a record may be nested deeper than Python's stack allows.
    waiting: list[tuple[str, Json | Mapping[str, Json], bool]] = [("", record, False)]
    while waiting:
        path, value, in_list = waiting.pop()
        # The most frequent types first.
        if isinstance(value, (str, int, float)):
            yield path, value, in_list
        elif isinstance(value, list):
            waiting += [(path, child, True) for child in reversed(value)]
        elif value is not None:
            prefix = f"{path}_" if path else ""
            children = [(prefix + (flat_name(key) or "_"), child, in_list) for key, child in value.items()]
            waiting += reversed(children)
