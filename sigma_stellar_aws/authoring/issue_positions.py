"""Locate an issue of pySigma's or SigmaHQ's validators in the rule's YAML.

These issues name a field, a tag or a value, but not its position.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from uuid import UUID

from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule
from sigma.rule.attributes import SigmaRuleTag
from sigma.types import SigmaString
from sigma.validators.base import SigmaValidationIssue

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.yaml_positions import YamlPath

# By the module that the validator is in, pySigma's own or SigmaHQ's.
_SECTIONS: Mapping[str, YamlPath] = {
    "author": ("author",),
    "condition": ("detection", "condition"),
    "correlation": ("correlation",),
    "date": ("modified",),
    "description": ("description",),
    "detection": ("detection",),
    "falsepositive": ("falsepositives",),
    "fieldname": ("detection",),
    "level": ("level",),
    "logsource": ("logsource",),
    "logsources": ("logsource",),
    "modifier": ("detection",),
    "modifiers": ("detection",),
    "references": ("references",),
    "status": ("status",),
    "tags": ("tags",),
    "title": ("title",),
    "values": ("detection",),
}


def path_of_issue(
    issue: SigmaValidationIssue, rule: SigmaRule | SigmaCorrelationRule, document: Mapping[str, Json]
) -> YamlPath:
    """Return the path to what an issue is about in the document of one of its rules; empty for the whole rule."""
    section = _SECTIONS.get(type(issue).__module__.rpartition(".")[2], ())
    is_double = "Duplicate" in type(issue).__name__
    subjects = list(_subjects(issue))
    # Of a value that is there twice, the field comes first, and the second value is meant.
    for subject in reversed(subjects) if is_double else subjects:
        if isinstance(subject, SigmaDetectionItem | SigmaString):
            found = _in_detection(subject, rule, document)
        else:
            found = find_text(document, section[:1], str(subject), last=is_double)
        if found:
            return found
    return section


def issue_details(issue: SigmaValidationIssue) -> list[str]:
    """Return what an issue names, as strings."""
    return [
        f"keywords of {subject.value[0]}"
        if isinstance(subject, SigmaDetectionItem) and subject.field is None
        else str(subject.field if isinstance(subject, SigmaDetectionItem) else subject)
        for subject in _subjects(issue)
    ]


def find_text(document: Mapping[str, Json], section: YamlPath, text: str, *, last: bool = False) -> YamlPath | None:
    """Return the path to a text in a section of a document: a key, its field name or a modifier, or a value.

    Case is ignored. If nothing equals the text, return the first value that contains it.

    >>> find_text({"tags": ["attack.impact", "attack.t1485"]}, ("tags",), "attack.T1485")
    ('tags', 1)
    """
    value: Json = dict(document)
    for step in section:
        value = value.get(str(step)) if isinstance(value, dict) else None
    places = [(at, place.casefold(), is_key) for at, place, is_key in all_texts(value, section)]
    wanted = text.casefold()
    same = [at for at, place, is_key in places if wanted in ((place, *place.split("|")) if is_key else (place,))]
    within = [at for at, place, is_key in places if wanted and not is_key and wanted in place]
    found = same or within
    return found[-1 if last else 0] if found else None


def all_texts(value: Json, at: YamlPath) -> Iterator[tuple[YamlPath, str, bool]]:
    """Yield all keys and scalar values of a part of a document, each with its path and whether it is a key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key), str(key), True
            yield from all_texts(inner, (*at, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from all_texts(inner, (*at, number))
    else:
        yield at, str(value), False


def _subjects(issue: SigmaValidationIssue) -> Iterator[SigmaDetectionItem | SigmaString | SigmaRuleTag | UUID | str]:
    for field in fields(issue):
        value = getattr(issue, field.name)
        for part in value if isinstance(value, list) and field.name != "rules" else [value]:
            if isinstance(part, SigmaDetectionItem | SigmaString | SigmaRuleTag | UUID | str):
                yield part


def _in_detection(
    subject: SigmaDetectionItem | SigmaString,
    rule: SigmaRule | SigmaCorrelationRule,
    document: Mapping[str, Json],
) -> YamlPath | None:
    """Return the path to the detection item or value that is this very object in the rule."""
    definitions = document.get("detection")
    if not isinstance(rule, SigmaRule) or not isinstance(definitions, dict):
        return None
    for name, detection in rule.detection.detections.items():
        for at, definition, item in _items(definitions.get(name), detection, ("detection", name)):
            if item is subject:
                return at
            for number, value in enumerate(item.value):
                if value is subject:
                    whole = not isinstance(definition, list) or len(definition) != len(item.value)
                    return at if whole else (*at, number)
    return None


def _items(
    definition: Json, detection: SigmaDetection, at: YamlPath
) -> Iterator[tuple[YamlPath, Json, SigmaDetectionItem]]:
    """Yield the detection items of a detection, each with its path and its part of the document."""
    parts: list[tuple[YamlPath, Json]]
    if isinstance(definition, dict):
        parts = [((*at, key), value) for key, value in definition.items()]
    elif isinstance(definition, list) and isinstance(detection.detection_items[0], SigmaDetection):
        parts = [((*at, number), value) for number, value in enumerate(definition)]
    else:
        parts = [(at, definition)]
    for (place, value), item in zip(parts, detection.detection_items, strict=False):
        if isinstance(item, SigmaDetection):
            yield from _items(value, item, place)
        else:
            yield place, value, item
