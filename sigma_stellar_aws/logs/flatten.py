"""Flatten CloudTrail records to documents of the platform's schema."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import TypeGuard

import msgspec

from sigma_stellar_aws.base.json_types import Json, Scalar
from sigma_stellar_aws.logs.event_times import event_millis
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document, flat_name

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_PLACEHOLDER = 2
"""Different characters in a UUID of nothing but zeros: one digit and the hyphen."""


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
    for path, value, in_list in _leaves(record):
        held = document.get(path)
        if held is None:
            document[path] = [value] if in_list else value
        elif isinstance(held, list):
            held.append(value)
        else:
            document[path] = [held, value]
    time = event_millis(record.get("eventTime"))
    if time is not None:
        document[TIME_FIELD] = time
    return document


def is_uuid(event_id: object) -> TypeGuard[str]:
    """Tell whether an eventID is one that AWS made; in made up or redacted records, many events may share one.

    >>> is_uuid("6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60"), is_uuid("00000000-0000-0000-0000-000000000000")
    (True, False)
    """
    return isinstance(event_id, str) and _UUID.fullmatch(event_id) is not None and len({*event_id}) > _PLACEHOLDER


def document_id(document: Mapping[str, object]) -> str:
    """Return an id that is the same for copies of an event, and for nothing else: a hash of all that is in it.

    The eventID comes first if it is a UUID. It would not be enough: in records that were made up or redacted, many
    events may share one.

    >>> document_id({"eventID": "6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60", "eventName": "CreateUser"})
    '6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60-5944b8adf623acff'
    """
    try:
        text = msgspec.json.encode(document, order="sorted")
    except (UnicodeEncodeError, OverflowError, RecursionError):
        # Half a character, or a number of more than 64 bits: JSON can hold both.
        text = json.dumps(document, sort_keys=True).encode()
    digest = hashlib.sha256(text).hexdigest()
    event_id = document.get("eventID")
    return f"{event_id}-{digest[:16]}" if is_uuid(event_id) else digest


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
