"""CloudTrail records as the platform's flattened documents."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import TypeGuard

from sigma_stellar_aws.base.json_types import Json, Scalar
from sigma_stellar_aws.base.times import epoch_millis
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document, flat_name

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def flatten(record: Mapping[str, Json]) -> Document:
    """Flatten a CloudTrail record.

    Keys are joined by ``_``; the values in a list, or in the objects of a list, become the values of one field; nulls
    and empty objects and lists leave no field; types, case of keys and empty texts stay. Two paths that come to the
    same name share a field. ``timestamp`` is added where ``eventTime`` can be read.
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
    time = epoch_millis(record.get("eventTime"))
    if time is not None:
        document[TIME_FIELD] = time
    return document


def is_uuid(event_id: object) -> TypeGuard[str]:
    """Whether an eventID is one that AWS made; in redacted records many events may share one."""
    return isinstance(event_id, str) and _UUID.fullmatch(event_id) is not None


def document_id(document: Document) -> str:
    """The eventID where it is a UUID, as AWS makes them; else, as in redacted records, a hash of the whole document."""
    event_id = document.get("eventID")
    if is_uuid(event_id):
        return event_id
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _leaves(record: Mapping[str, Json]) -> Iterator[tuple[str, Scalar, bool]]:
    """Every scalar in the order of the record: its flattened name, itself, whether it stands in a list."""
    # Not recursive: a record may be nested deeper than Python's stack allows.
    waiting: list[tuple[str, Json | Mapping[str, Json], bool]] = [("", record, False)]
    while waiting:
        path, value, in_list = waiting.pop()
        # In the order of how many there are.
        if isinstance(value, (str, int, float)):
            yield path, value, in_list
        elif isinstance(value, list):
            waiting += [(path, child, True) for child in reversed(value)]
        elif value is not None:
            prefix = f"{path}_" if path else ""
            children = [(prefix + (flat_name(key) or "_"), child, in_list) for key, child in value.items()]
            waiting += reversed(children)
