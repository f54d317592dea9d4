"""What the block ``stellar`` of a rule says, and its ATT&CK tags.

::

    stellar:
        severity: 50                # 0 to 100
        suppression:
            window: 24h             # one alert in this time for the same values of these fields
            fields: [...]
        triage: [...]               # what to do about an alert: short steps, in order
        published:                  # only where the published query is wrong
            detection: {...}        # as published, verbatim
            reason: ...
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeAlias

from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaLevel, SigmaRule

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import RuleBlockError
from sigma_stellar_aws.base.times import parse_duration
from sigma_stellar_aws.reference.attack import tagged_tactics, tagged_techniques
from sigma_stellar_aws.rule_files.suppression import ALERT_NAME as ALERT_NAME
from sigma_stellar_aws.rule_files.suppression import ALERT_TITLE as ALERT_TITLE
from sigma_stellar_aws.rule_files.suppression import DEFAULT_SUPPRESSION as DEFAULT_SUPPRESSION
from sigma_stellar_aws.rule_files.suppression import Suppression as Suppression

_AnyRule: TypeAlias = SigmaRule | SigmaCorrelationRule

SEVERITY_OF_LEVEL = {
    SigmaLevel.INFORMATIONAL: 10,
    SigmaLevel.LOW: 25,
    SigmaLevel.MEDIUM: 50,
    SigmaLevel.HIGH: 75,
    SigmaLevel.CRITICAL: 100,
}
"""Severity (0 to 100) of a rule that states only a level; the platform's own steps, critical being our inference."""


def rule_name(rule: _AnyRule) -> str:
    """Return what a rule's query is named: its id, or its name or title if it has no id."""
    return str(rule.id or rule.name or rule.title)


def severity(rule: _AnyRule) -> int:
    """Return the severity of a rule, 0 to 100: from its block, or else from its level (50 without a level).

    Raises:
        RuleBlockError: the block says something else.
    """
    # A rule that was read with all its errors collected keeps a level that does not exist.
    of_level = SEVERITY_OF_LEVEL.get(rule.level or SigmaLevel.MEDIUM, SEVERITY_OF_LEVEL[SigmaLevel.MEDIUM])
    value = stellar_block(rule).get("severity", of_level)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100:
        raise _error(rule, f"severity must be a whole number from 0 to 100, not {value!r}")
    return value


def suppression(rule: SigmaRule) -> Suppression:
    """Return how a rule is suppressed: what its block says, or else the pack's default.

    Raises:
        RuleBlockError: the block says something that cannot be understood.
    """
    stated = stellar_block(rule).get("suppression", {})
    if not isinstance(stated, dict) or set(stated) - {"window", "fields"}:
        raise _error(rule, "suppression must have the keys window and fields")
    fields = stated.get("fields", list(DEFAULT_SUPPRESSION.fields))
    names = tuple(field for field in fields if isinstance(field, str)) if isinstance(fields, list) else ()
    if not names or fields != [*names]:
        raise _error(rule, "suppression.fields must be a list of field names")
    window = stated.get("window")
    return Suppression(DEFAULT_SUPPRESSION.window if window is None else _window(rule, window), names)


def correlation_window(rule: SigmaCorrelationRule) -> timedelta:
    """Return the window in which a correlation alerts once for the same values of the fields that it groups by.

    Raises:
        RuleBlockError: the block says something that cannot be understood.
    """
    stated = stellar_block(rule).get("suppression", {})
    if not isinstance(stated, dict) or set(stated) - {"window"}:
        raise _error(rule, "suppression of a correlation has the key window alone; its fields are those of group-by")
    window = stated.get("window")
    return DEFAULT_SUPPRESSION.window if window is None else _window(rule, window)


def techniques(rule: _AnyRule) -> list[str]:
    """Return the ATT&CK techniques that a rule is tagged with, by their ids, such as T1685.002."""
    return tagged_techniques(_attack_tags(rule))


def tactics(rule: _AnyRule) -> list[str]:
    """Return the ATT&CK tactics that a rule is tagged with, such as defense-impairment."""
    return tagged_tactics(_attack_tags(rule))


def triage(rule: _AnyRule) -> tuple[str, ...]:
    """Return the steps of a rule's triage: what a match means, what to look at first, what is harmless, what to do.

    Raises:
        RuleBlockError: the block says something else than a list of texts.
    """
    stated = stellar_block(rule).get("triage", [])
    steps = [step.strip() for step in stated if isinstance(step, str)] if isinstance(stated, list) else []
    if not isinstance(stated, list) or len(steps) < len(stated) or not all(steps):
        raise _error(rule, "triage must be a list of texts, one for each step")
    return tuple(steps)


def published_detection(rule: SigmaRule) -> JsonObject | None:
    """Return the published detection of a rule that corrects it, or else None.

    Raises:
        RuleBlockError: the block ``published`` has no detection with a condition.
    """
    published = stellar_block(rule).get("published")
    if published is None:
        return None
    detection = published.get("detection") if isinstance(published, dict) else None
    if not isinstance(detection, dict):
        raise _error(rule, "published must have a detection")
    if not isinstance(detection.get("condition"), str):
        raise _error(rule, "published.detection must have a condition")
    return detection


def published_reason(rule: SigmaRule) -> str | None:
    """Return why a rule corrects the published detection, or None if it does not.

    Raises:
        RuleBlockError: it corrects it and does not say why.
    """
    published = stellar_block(rule).get("published")
    if published is None:
        return None
    reason = published.get("reason") if isinstance(published, dict) else None
    if not isinstance(reason, str) or not reason.strip():
        raise _error(rule, "published must have a reason")
    return reason


def _window(rule: _AnyRule, value: Json) -> timedelta:
    window = parse_duration(str(value))
    if window is None:
        raise _error(rule, f"suppression.window must be a number with m, h or d, such as 24h, not {value!r}")
    return window


def _attack_tags(rule: _AnyRule) -> list[str]:
    return [tag.name for tag in rule.tags if tag.namespace == "attack"]


def stellar_block(rule: _AnyRule) -> Mapping[str, Json]:
    """Return the block ``stellar`` of a rule, empty where it has none.

    Raises:
        RuleBlockError: it is not a map.
    """
    block = rule.custom_attributes.get("stellar", {})
    if not isinstance(block, dict):
        raise _error(rule, "must be a map")
    return block


def _error(rule: _AnyRule, reason: str) -> RuleBlockError:
    return RuleBlockError(rule.title, reason, rule.source)
