"""Keys of a rule's document that nothing reads, and what was probably meant by them."""

from collections.abc import Collection, Iterator, Mapping

from sigma.correlations import SigmaCorrelationRule
from sigma.filters import SigmaFilter
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.rule_files.rule_keys import (
    COMMON_KEYS,
    CORRELATION_STELLAR_KEYS,
    CORRELATION_SUPPRESSION_KEYS,
    LOGSOURCE_KEYS,
    PUBLISHED_KEYS,
    RULE_KEYS,
    STELLAR_KEYS,
    SUPPRESSION_KEYS,
)
from sigma_stellar_aws.validators.condition_tree import detections_of
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import MisspeltKeyIssue, UnknownKeyIssue

_BLOCK = "stellar"
"""The key of a rule under which this project has its own."""

# What pySigma reads besides: an action for all documents of a file, and generate at the top as earlier versions had it.
_AT_TOP = frozenset({*COMMON_KEYS, *RULE_KEYS, "action", "generate"})
_OF_BLOCK: Mapping[str, Collection[str]] = {
    "": STELLAR_KEYS,
    "suppression": SUPPRESSION_KEYS,
    "published": PUBLISHED_KEYS,
}
_OF_CORRELATION: Mapping[str, Collection[str]] = {
    "": CORRELATION_STELLAR_KEYS,
    "suppression": CORRELATION_SUPPRESSION_KEYS,
}
_OF_DETECTION = ("condition", "timeframe")
_ALIKE_IN_DETECTIONS = 0.8
# Validators of their own judge what is within.
_JUDGED_ELSEWHERE = "suppression"


def meant_key(key: str) -> str | None:
    """Return the key of Sigma, or of this project, that a key at the top of a rule was probably meant to be.

    >>> meant_key("falsepostives"), meant_key("stelar"), meant_key("triage"), meant_key("simulation")
    ('falsepositives', 'stellar', 'triage under stellar', None)
    """
    if key in _OF_BLOCK[""]:
        return f"{key} under {_BLOCK}"
    return nearest(key, _AT_TOP)


def meant_log_source_key(key: str) -> str | None:
    """Return the key of a log source that another one was probably meant to be."""
    return nearest(key, LOGSOURCE_KEYS)


def meant_detection_key(key: str) -> str | None:
    """Return the key of a detection that another one was probably meant to be; None for the name of a selection.

    >>> meant_detection_key("conditon"), meant_detection_key("timefram"), meant_detection_key("selection")
    ('condition', 'timeframe', None)
    """
    return nearest(key, _OF_DETECTION, _ALIKE_IN_DETECTIONS)


def misspelt_condition(detection: Json) -> str | None:
    """Return the key of a detection without a condition that was probably meant to be one."""
    if not isinstance(detection, dict) or "condition" in detection:
        return None
    texts = (key for key, value in detection.items() if isinstance(value, str))
    return next((key for key in texts if meant_detection_key(key) == "condition"), None)


def key_faults(rule: SigmaRule | SigmaFilter | SigmaCorrelationRule) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield the keys of a rule that were meant to be others, and those of its block that it cannot have."""
    for key, value in rule.custom_attributes.items():
        if key == _BLOCK:
            yield from _block_faults(value, _OF_CORRELATION if isinstance(rule, SigmaCorrelationRule) else _OF_BLOCK)
        elif key not in _AT_TOP and (meant := meant_key(str(key))):
            yield Fault(MisspeltKeyIssue, f"Nothing reads the key {key!r}; write {meant}."), (str(key),)
    if not isinstance(rule, SigmaCorrelationRule):
        for key in rule.logsource.custom_attributes or {}:
            if meant := meant_log_source_key(str(key)):
                problem = f"A log source has no key {key!r}; write {meant}."
                yield Fault(MisspeltKeyIssue, problem), ("logsource", str(key))
        yield from _detection_faults(rule)


def _detection_faults(rule: SigmaRule | SigmaFilter) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield keys that stand for a span of time, as old rules have one beside their condition."""
    detections, at = detections_of(rule)
    for key, detection in detections.detections.items():
        if meant_detection_key(key) == "timeframe" and all(map(_is_word, detection.detection_items)):
            problem = f"Nothing reads {key!r} in a detection; to count events within a time, write a correlation."
            yield Fault(MisspeltKeyIssue, problem), (*at, key)


def _is_word(item: SigmaDetectionItem | SigmaDetection) -> bool:
    return isinstance(item, SigmaDetectionItem) and item.field is None


def _block_faults(block: Json, known: Mapping[str, Collection[str]]) -> Iterator[tuple[Fault, YamlPath]]:
    for section, keys in known.items():
        part = block if not section else block.get(section) if isinstance(block, dict) else None
        if not isinstance(part, dict) or section == _JUDGED_ELSEWHERE:
            continue
        at = (_BLOCK, section) if section else (_BLOCK,)
        for key in part:
            if key not in keys:
                yield Fault(UnknownKeyIssue, unknown_key(".".join(at), str(key), keys)), (*at, str(key))


def unknown_key(section: str, key: str, known: Collection[str]) -> str:
    """Return a sentence about a key that a section cannot have.

    >>> unknown_key("stellar", "severty", ["severity", "triage"]), unknown_key("stellar", "x", ["severity", "triage"])
    ("stellar has no key 'severty'; write severity.", "stellar has no key 'x', but severity and triage.")
    """
    if meant := nearest(key, known, 0.6):
        return f"{section} has no key {key!r}; write {meant}."
    *most, last = known
    return f"{section} has no key {key!r}, but {', '.join(most)} and {last}."
