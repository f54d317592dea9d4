"""What stands beside a place of a rule that is being written."""

from collections.abc import Iterator
from typing import NamedTuple

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.editor.flow import entries_with_flow
from sigma_stellar_aws.editor.outline import Entry, unquoted
from sigma_stellar_aws.reference.aws_events import canonical_event_name, common, names, sources, sources_of
from sigma_stellar_aws.reference.aws_parameters import EventKind

_DETECTIONS: tuple[YamlPath, ...] = (("detection",), ("filter",), ("stellar", "published", "detection"))
_NO_SELECTIONS = ("condition", "timeframe", "rules")


class Detection(NamedTuple):
    """The detection that a place is in."""

    path: YamlPath
    selection: str | None
    """The selection that the place is in; None for the detection itself."""
    below: YamlPath
    """The rest of the path, within the selection."""


def detection_around(path: YamlPath) -> Detection | None:
    """Return the detection that a path leads into, if it does.

    >>> detection_around(("detection", "selection", 0, "eventName|contains"))
    Detection(path=('detection',), selection='selection', below=(0, 'eventName|contains'))
    """
    for known in _DETECTIONS:
        if path[: len(known)] == known:
            inner = path[len(known) :]
            if inner and inner[0] in _NO_SELECTIONS:
                return None
            return Detection(known, str(inner[0]) if inner else None, inner[1:])
    return None


def field_of(path: YamlPath) -> str | None:
    """Return the field whose value stands at a path of a detection; None elsewhere.

    >>> field_of(("detection", "selection", "eventName|startswith", 1))
    'eventName'
    """
    around = detection_around(path)
    keys = [step for step in around.below if isinstance(step, str)] if around else []
    return keys[-1].partition("|")[0] if keys else None


def keys_in(text: str, document: int, path: YamlPath) -> list[str]:
    """Return the keys of a map, in order."""
    return [
        entry.key
        for entry in entries_with_flow(text)
        if entry.document == document and entry.key is not None and entry.path[:-1] == path
    ]


def values_at(text: str, document: int, path: YamlPath) -> list[str]:
    """Return the value at a path, or the elements of the list there."""
    values = [
        _value(text, entry)
        for entry in entries_with_flow(text)
        if entry.document == document and (entry.path == path or (entry.key is None and entry.path[:-1] == path))
    ]
    return [unquoted(value) for value in values if value and not value.startswith(("|", ">", "{", "["))]


def _value(text: str, entry: Entry) -> str:
    """Return a value without its anchor; of an alias, the value that it stands for."""
    if entry.value.startswith("*"):
        named = (other.value for other in entries_with_flow(text) if other.document == entry.document)
        return next((value.partition(" ")[2] for value in named if value.startswith(f"&{entry.value[1:]} ")), "")
    return entry.value.partition(" ")[2] if entry.value.startswith("&") else entry.value


def selections(text: str, document: int, detection: YamlPath) -> list[str]:
    """Return the names of the selections of a detection."""
    return [key for key in keys_in(text, document, detection) if key not in _NO_SELECTIONS]


def sources_beside(text: str, document: int, path: YamlPath) -> list[str]:
    """Return the known event sources that a selection asks for, or else all that its detection does."""
    asked = (source.lower() for source in _beside(text, document, path, "eventSource"))
    return [source for source in asked if source in sources()]


def names_beside(text: str, document: int, path: YamlPath) -> list[str]:
    """Return the event names that a selection asks for, or else all that its detection does."""
    return _beside(text, document, path, "eventName")


def _beside(text: str, document: int, path: YamlPath, field: str) -> list[str]:
    around = detection_around(path)
    if around is None:
        return []
    asked = [entry for entry in _asking(text, document, field) if entry.path[: len(around.path)] == around.path]
    # An element of a list of maps is met by itself.
    map_path = path[: len(path) - len(around.below)]
    if around.below and isinstance(around.below[0], int):
        map_path = (*map_path, around.below[0])
    own = [entry for entry in asked if entry.path[: len(map_path)] == map_path]
    return list(dict.fromkeys(value for entry in own or asked for value in values_at(text, document, entry.path)))


def _asking(text: str, document: int, field: str) -> Iterator[Entry]:
    for entry in entries_with_flow(text):
        if entry.document == document and entry.key is not None and entry.key.partition("|")[0] == field:
            yield entry


def events_beside(text: str, document: int, path: YamlPath) -> list[EventKind]:
    """Return the events that a selection asks for: by source and name, or all of its source if it names none."""
    beside = sources_beside(text, document, path)
    asked = [name for name in names_beside(text, document, path) if canonical_event_name(name)]
    if asked:
        return [
            (source, name)
            for name in asked
            for source in beside or common(sources_of(canonical_event_name(name) or name))
        ]
    return [(source, name) for source in beside[:1] for name in sorted(names(source))]
