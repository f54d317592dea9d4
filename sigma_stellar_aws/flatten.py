"""CloudTrail records as the platform's flattened documents."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TypeAlias

from sigma_stellar_aws.jsontypes import Json, Scalar

Document: TypeAlias = dict[str, Scalar | list[Scalar]]
"""A flattened record: no nesting, no nulls; a list is a field with several values."""

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
    for path, value, in_list in _leaves("", record, False):
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


def epoch_millis(event_time: Json) -> int | None:
    """Milliseconds since 1970-01-01 UTC of an ISO 8601 time, or None where the value is no such time."""
    if not isinstance(event_time, str):
        return None
    try:
        time = datetime.fromisoformat(event_time.replace("Z", "+00:00"))
    except ValueError:
        return None
    return round((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp() * 1000)


def _leaves(path: str, value: Json | Mapping[str, Json], in_list: bool) -> Iterator[tuple[str, Scalar, bool]]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            name = flat_name(key) or "_"
            yield from _leaves(f"{path}_{name}" if path else name, child, in_list)
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(path, child, True)
    elif value is not None:
        yield path, value, in_list
