"""The 29 rules: where they are, and what the block ``stellar`` of a rule says.

::

    stellar:
        severity: 50                # 0 to 100
        suppression:
            window: 24h             # one alert in this time for the same values of these fields
            fields: [...]
        published:                  # only where the published query is wrong
            detection: {...}        # as published, verbatim
            reason: ...
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import cast

import yaml
from sigma.collection import NestedDict, SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError, SigmaRuleLocation
from sigma.rule import SigmaLevel, SigmaRule

from sigma_stellar_aws import yaml_lines
from sigma_stellar_aws.errors import NotFoundError, RuleBlockError
from sigma_stellar_aws.jsontypes import Json, JsonObject

ALERT_NAME = "aws_malicious_activity"
ALERT_TITLE = "Potentially Malicious AWS Activity"

SEVERITY_OF_LEVEL = {
    SigmaLevel.INFORMATIONAL: 10,
    SigmaLevel.LOW: 25,
    SigmaLevel.MEDIUM: 50,
    SigmaLevel.HIGH: 75,
    SigmaLevel.CRITICAL: 100,
}
"""Severity (0 to 100) of a rule that states only a level; the platform's own steps, critical being our inference."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Suppression:
    """How often a rule alerts: once in a window for the same values of the fields (dotted CloudTrail names)."""

    window: timedelta
    fields: tuple[str, ...]


DEFAULT_SUPPRESSION = Suppression(timedelta(hours=24), ("recipientAccountId", "userIdentity.arn", "sourceIPAddress"))
"""Who did it, where from, in which account. The window is the platform's; its fields are not public, these are ours."""


def pack_path() -> Path:
    """The folder of the rules: beside this module in an installed package, at the top level in a checkout."""
    installed = Path(__file__).parent / "rules"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "rules"


def rule_files(paths: Iterable[Path] = ()) -> list[Path]:
    """The files, and in folders those that end in ``.yml``, by default those of the pack, in order of their names."""
    return [
        file
        for path in tuple(paths) or (pack_path(),)
        for file in (sorted(path.rglob("*.yml")) if path.is_dir() else [path])
    ]


def load_rules(*paths: Path, filters: Iterable[Path] = ()) -> SigmaCollection:
    """The rules of files and folders (``*.yml`` in them), by default those of the pack, in order of their file names.

    Args:
        paths: the files and folders.
        filters: files with Sigma filters to apply to the rules.

    Raises:
        SigmaError: a file cannot be read as Sigma rules; the message names it.
        OSError: a file cannot be opened.
    """
    collection = SigmaCollection.merge([_parse(file) for file in rule_files(paths)])
    if collection.errors:
        raise SigmaError("\n".join(str(error) for error in collection.errors))
    for file in filters:
        _apply_filters(collection, file)
    return collection


def find_rules(name: str) -> list[SigmaRule]:
    """The rules of a file, or one of this project by its title, id or file name.

    Raises:
        NotFoundError: there is no such rule.
        SigmaError: the file cannot be read as Sigma rules.
        OSError: the file cannot be opened.
    """
    if Path(name).exists():
        found = load_rules(Path(name)).rules
    else:
        names = {alias: rule for rule in load_rules().rules for alias in _aliases(cast(SigmaRule, rule))}
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise NotFoundError(f"{name!r} is no file and no title or id of a rule of this project{hint}")
        found = [names[name]]
    rules = [rule for rule in found if isinstance(rule, SigmaRule)]
    if not rules:
        raise NotFoundError(f"{name}: it has no rule about single events")
    return rules


def _apply_filters(collection: SigmaCollection, file: Path) -> None:
    parsed = _parse(file)
    if parsed.errors:
        raise SigmaError("\n".join(str(error) for error in parsed.errors))
    if parsed.rules or not parsed.filters:
        raise SigmaError("This file is no Sigma filter", source=SigmaRuleLocation(file))
    for sigma_filter in parsed.filters:
        before = _conditions(collection)
        collection.apply_filters([sigma_filter])
        if _conditions(collection) == before:
            raise SigmaError(f"Filter {sigma_filter.title!r} applies to no rule", source=SigmaRuleLocation(file))


def _conditions(collection: SigmaCollection) -> list[str]:
    return [c for rule in collection.rules if isinstance(rule, SigmaRule) for c in rule.detection.condition]


def _parse(file: Path) -> SigmaCollection:
    source = SigmaRuleLocation(file)
    try:
        text = file.read_text(encoding="utf-8")
        documents = yaml_lines.load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SigmaError(f"This is not valid YAML: {error}", source=source) from error
    if doubles := yaml_lines.double_keys(text):
        place, key = doubles[0]
        raise SigmaError(f"Line {place.line} has the key {key!r} a second time in the same map", source=source)
    if not all(isinstance(document, dict) or document is None for document in documents):
        raise SigmaError("This is no Sigma rule: a rule is a map of keys and values", source=source)
    try:
        maps = cast("list[NestedDict]", documents)
        collection = SigmaCollection.from_dicts(maps, True, source, collect_filters=True, resolve_references=False)
    except SigmaError:
        raise
    except Exception as error:
        # pySigma lets errors of any class out where a value is of a type that it does not expect.
        raise SigmaError(f"This cannot be read as a Sigma rule: {error}", source=source) from error
    for rule in collection.rules:
        if isinstance(rule, SigmaRule) and not all(isinstance(c, str) for c in rule.detection.condition):
            raise SigmaError(f"Rule {rule.title!r}: a condition must be a text", source=source)
    return collection


def _aliases(rule: SigmaRule) -> list[str]:
    return [rule.title, str(rule.id), *([rule.source.path.name, rule.source.path.stem] if rule.source else [])]


def rule_name(rule: SigmaRule | SigmaCorrelationRule) -> str:
    """What a rule's query is named: its id, or its name or title where it has none."""
    return str(rule.id or rule.name or rule.title)


def severity(rule: SigmaRule) -> int:
    """Severity of a rule, 0 to 100: what its block says, else what its level stands for (50 without a level).

    Raises:
        RuleBlockError: the block says something that is no severity.
    """
    value = _block(rule).get("severity", SEVERITY_OF_LEVEL.get(cast(SigmaLevel, rule.level), 50))
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100:
        raise _error(rule, f"severity must be a whole number from 0 to 100, not {value!r}")
    return value


def suppression(rule: SigmaRule) -> Suppression:
    """Suppression of a rule: what its block says, else the pack's default.

    Raises:
        RuleBlockError: the block says something that cannot be understood.
    """
    stated = _block(rule).get("suppression", {})
    if not isinstance(stated, dict) or set(stated) - {"window", "fields"}:
        raise _error(rule, "suppression must have the keys window and fields")
    fields = stated.get("fields", list(DEFAULT_SUPPRESSION.fields))
    if not isinstance(fields, list) or not fields or not all(isinstance(field, str) for field in fields):
        raise _error(rule, "suppression.fields must be a list of field names")
    window = stated.get("window")
    return Suppression(
        DEFAULT_SUPPRESSION.window if window is None else _window(rule, window), tuple(cast("list[str]", fields))
    )


def techniques(rule: SigmaRule) -> list[str]:
    """ATT&CK techniques of a rule's tags, by their ids, such as T1685.002."""
    return [tag.upper() for tag in _attack_tags(rule) if re.match(r"t\d", tag)]


def tactics(rule: SigmaRule) -> list[str]:
    """ATT&CK tactics of a rule's tags, named as there, such as defense-impairment."""
    return [tag for tag in _attack_tags(rule) if not tag[1:2].isdigit()]


def window_text(window: timedelta) -> str:
    """A window as rules write it, such as 24h."""
    hours, rest = divmod(round(window.total_seconds()), 3600)
    return f"{rest // 60 + hours * 60}m" if rest else f"{hours}h"


def published_detection(rule: SigmaRule) -> JsonObject | None:
    """The published detection of a rule that corrects it, else None.

    Raises:
        RuleBlockError: the block ``published`` has no detection with a condition.
    """
    published = _block(rule).get("published")
    if published is None:
        return None
    detection = published.get("detection") if isinstance(published, dict) else None
    if not isinstance(detection, dict):
        raise _error(rule, "published must have a detection")
    if not isinstance(detection.get("condition"), str):
        raise _error(rule, "published.detection must have a condition")
    return detection


def published_reason(rule: SigmaRule) -> str | None:
    """Why a rule corrects the published detection, else None.

    Raises:
        RuleBlockError: it corrects it and does not say why.
    """
    published = _block(rule).get("published")
    if published is None:
        return None
    reason = published.get("reason") if isinstance(published, dict) else None
    if not isinstance(reason, str) or not reason.strip():
        raise _error(rule, "published must have a reason")
    return reason


def parse_window(text: str) -> timedelta | None:
    """The window that a text such as 90m, 24h or 7d stands for, or None where it is none."""
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def _window(rule: SigmaRule, value: Json) -> timedelta:
    window = parse_window(str(value))
    if window is None:
        raise _error(rule, f"suppression.window must be a number with m, h or d, such as 24h, not {value!r}")
    return window


def _attack_tags(rule: SigmaRule) -> list[str]:
    return [tag.name for tag in rule.tags if tag.namespace == "attack"]


def _block(rule: SigmaRule) -> Mapping[str, Json]:
    block = rule.custom_attributes.get("stellar", {})
    if not isinstance(block, dict):
        raise _error(rule, "must be a map")
    return block


def _error(rule: SigmaRule, reason: str) -> RuleBlockError:
    return RuleBlockError(f"Rule {rule.title!r}: stellar: {reason}", source=rule.source)
