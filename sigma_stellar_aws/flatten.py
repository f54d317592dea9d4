"""CloudTrail records as the platform's flattened documents."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TypeAlias, TypeGuard

from sigma_stellar_aws.jsontypes import Json, Scalar

Document: TypeAlias = dict[str, Scalar | list[Scalar]]
"""A flattened record: no nesting, no nulls; a list is a field with several values."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

TIME_FIELD = "timestamp"
"""Field with the time of an event, in milliseconds since 1970-01-01 UTC, as the platform has it."""


def flat_name(field: str | None) -> str:
    """The flattened name of a dotted field name.

    ``userIdentity.type`` becomes ``userIdentity_type``; the case stays (seen in the platform's own rules).
    """
    return (field or "").replace(".", "_")


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


def epoch_millis(event_time: Json) -> int | None:
    """Milliseconds since 1970-01-01 UTC of an ISO 8601 time, or None where the value is no such time."""
    if not isinstance(event_time, str):
        return None
    try:
        time = datetime.fromisoformat(event_time.replace("Z", "+00:00"))
    except ValueError:
        return None
    return millis(time if time.tzinfo else time.replace(tzinfo=timezone.utc))


def millis(time: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC of a time that is aware of its time zone."""
    return round(time.timestamp() * 1000)


def text_of(value: Scalar) -> str:
    """The text of a value as an index sees it, which reads a number as it is written in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


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
