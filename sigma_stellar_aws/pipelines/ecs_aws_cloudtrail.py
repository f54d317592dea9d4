"""pySigma pipeline from CloudTrail's field names to those of Elastic's AWS integration (``logs-aws.cloudtrail-*``).

The integration renames fields to ECS names, and changes or drops some. Which field becomes what, and what can be asked
of it there, says ``ecs_places``. Where a condition would find something else there than in CloudTrail's own records,
the rule is refused.

Beside the index and the time field (see ``pipelines.stellar_aws``), the state says in ``timestamp_override`` by which
field Elastic's detection rules tell which events are new.

Two things are beyond that. An object of 32,766 characters or more, such as very long request parameters, has no fields
there, nor has one that the integration was set up to keep as text only. And in an index of the mode ``logsdb``, values
inside an object are found if they have no more than 8,191 characters.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sigma.conditions import ConditionAND, ConditionOR
from sigma.correlations import SigmaCorrelationRule
from sigma.modifiers import SigmaExistsModifier
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import SetStateTransformation
from sigma.processing.transformations.base import DetectionItemTransformation, FieldMappingTransformationBase
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaType,
    SpecialChars,
)

from sigma_stellar_aws.base.sigma_errors import UnsupportedRuleError
from sigma_stellar_aws.pipelines.stellar_aws import PRIORITY
from sigma_stellar_aws.pipelines.transformations import RefuseOtherLogSources, RefuseWholeObjects, UsePublishedDetection
from sigma_stellar_aws.query.lucene_regex import has_case_beyond_ascii
from sigma_stellar_aws.reference.cloudtrail_fields import is_known
from sigma_stellar_aws.reference.ecs_fields import ecs_field

ECS_INDEX = "logs-aws.cloudtrail-*"
"""Indices in which the integration keeps CloudTrail records."""

ECS_TIME_FIELD = "@timestamp"
"""Field with the time of an event there."""

INGESTED = "event.ingested"
"""Field with the time at which an event arrived there, which no late event can be missed by."""


def stellar_aws_ecs(
    index: str = ECS_INDEX, time_field: str = ECS_TIME_FIELD, *, published: bool = False
) -> ProcessingPipeline:
    """Return the pipeline of CloudTrail rules for an Elasticsearch that Elastic's AWS integration fills.

    Args:
        index: name or pattern of the indices to search.
        time_field: date field that holds the time of an event. If it is another one than the integration's, Elastic's
            detection rules go by it too; else by ``event.ingested``.
        published: whether to take the published query where a rule corrects it.
    """
    detection = ProcessingItem(UsePublishedDetection(), identifier="stellar_aws_ecs_use_published_detection")
    new_by = INGESTED if time_field == ECS_TIME_FIELD else time_field
    return ProcessingPipeline(
        name="Elastic AWS integration (CloudTrail, ECS)",
        priority=PRIORITY,
        items=[
            ProcessingItem(RefuseOtherLogSources(), identifier="stellar_aws_ecs_refuse_other_log_sources"),
            *([detection] if published else []),
            ProcessingItem(RefuseWhatIsLost(), identifier="stellar_aws_ecs_refuse_what_is_lost"),
            ProcessingItem(AskAsKept(), identifier="stellar_aws_ecs_ask_as_kept"),
            ProcessingItem(NameAsKept(), identifier="stellar_aws_ecs_field_names"),
            ProcessingItem(SetStateTransformation("index", [index]), identifier="stellar_aws_ecs_index"),
            ProcessingItem(SetStateTransformation("time_field", time_field), identifier="stellar_aws_ecs_time_field"),
            ProcessingItem(SetStateTransformation("timestamp_override", new_by), identifier="stellar_aws_ecs_new_by"),
        ],
    )


@dataclass
class RefuseWhatIsLost(RefuseWholeObjects):
    """Refuses what cannot be asked of the documents that the integration makes of CloudTrail records."""

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Look at every detection item of a rule, and at the fields that a correlation groups by.

        Raises:
            UnsupportedRuleError: one of them is refused.
        """
        super().apply(rule)
        if isinstance(rule, SigmaCorrelationRule):
            for field in _correlated_fields(rule):
                kept = ecs_field(field)
                if not kept.field or kept.asked in ("principals", "whole values"):
                    reason = f"it counts or groups by {field!r}: {kept.why}"
                    raise UnsupportedRuleError(rule.title or str(rule.id), reason, rule.source)

    def reason(self, item: SigmaDetectionItem) -> str:
        """Say why the integration's documents do not answer a condition."""
        if item.field is None:
            return "the integration keeps no text of a whole event; name the field to search in"
        if whole_object := super().reason(item):
            return whole_object
        values = list(_values(item.value))
        if any(isinstance(value, SigmaFieldReference) for value in values):
            return "two fields cannot be compared where the integration may have changed them"
        kept = ecs_field(item.field)
        if not kept.field:
            return kept.why
        if any(map(_asks_for_empty_text, values)):
            return _EMPTY
        if kept.asked == "beginnings" and any(map(_is_presence, values)):
            return f"{_EMPTY}; ask |re: '.+' for a text that is not empty"
        return "" if all(map(_ANSWERED[kept.asked], values)) else kept.why


@dataclass
class AskAsKept(DetectionItemTransformation):
    """Makes the values of a rule those that the integration's documents have."""

    def apply_detection_item(self, detection_item: SigmaDetectionItem) -> SigmaDetection | SigmaDetectionItem | None:
        """Change a condition on a boolean, on the version of TLS, or on a field inside an object."""
        item, asked = detection_item, ecs_field(detection_item.field or "").asked
        change = _CHANGES.get(asked)
        texts = [value for value in _values(item.value) if isinstance(value, SigmaString)]
        if change is None or not (texts or any(map(_is_no_empty_text, item.value))):
            return None
        item.value = [change(value) for value in _values(item.value)]
        item.disable_conversion_to_plain()
        if asked == "versions":
            return _joined(item, SigmaDetectionItem("tls.version_protocol", [], [SigmaString("tls")]))
        if asked != "booleans" and any(map(_regards_no_case, texts)):
            # Inside an object of the type flattened Elasticsearch (8.19) then regards no case of the name either.
            return _joined(item, SigmaDetectionItem(item.field, [SigmaExistsModifier], [SigmaBool(True)]))
        return item


def _joined(item: SigmaDetectionItem, other: SigmaDetectionItem) -> SigmaDetection:
    """Join both conditions, or negate both where the first is negated."""
    other.negated, other.source = item.negated, item.source
    return SigmaDetection([item, other], item_linking=ConditionOR if item.negated else ConditionAND)


@dataclass
class NameAsKept(FieldMappingTransformationBase):
    """Gives fields the names that they have in the integration's documents."""

    def apply_field_name(self, field: str | None) -> str | list[str] | None:
        """Return the name in ECS; nothing for a field without a place there, since ``fields`` may list any."""
        if field is None:
            return None
        return ecs_field(field).field or ([] if is_known(field) else field)


def _values(values: list[SigmaType]) -> Iterator[SigmaType]:
    """Return all values, with those that a modifier made of one."""
    for value in values:
        if isinstance(value, SigmaExpansion):
            yield from _values(value.values)
        else:
            yield value


def _correlated_fields(rule: SigmaCorrelationRule) -> list[str]:
    aliases = {alias.alias: list(alias.mapping.values()) for alias in rule.aliases}
    counted = getattr(rule.condition, "fieldref", None) or []
    grouped = [name for group in rule.group_by or [] for name in aliases.get(group, [group])]
    return [*grouped, *([counted] if isinstance(counted, str) else counted)]


def _literal(text: SigmaString) -> str:
    return "".join(part for part in text.s if isinstance(part, str))


def _is_presence(value: SigmaType) -> bool:
    """Return whether a value only asks whether the field has one."""
    if isinstance(value, SigmaString):
        return bool(value.s) and all(part == SpecialChars.WILDCARD_MULTI for part in value.s)
    return isinstance(value, SigmaNull | SigmaExists)


def _asks_for_empty_text(value: SigmaType) -> bool:
    if isinstance(value, SigmaRegularExpression):
        return re.search(str(value.regexp), "") is not None
    return isinstance(value, SigmaString) and not any(value.s)


def _is_no_empty_text(value: SigmaType) -> bool:
    """Return whether a value is the pattern that matches every string but the empty one."""
    return isinstance(value, SigmaRegularExpression) and str(value.regexp) == ".+"


def _is_beginning(value: SigmaType) -> bool:
    """Return whether a value is a whole one or the beginning of one, whose case Elasticsearch can ignore."""
    if not isinstance(value, SigmaString):
        return isinstance(value, SigmaNumber | SigmaBool | SigmaNull | SigmaExists) or _is_no_empty_text(value)
    if has_case_beyond_ascii(_literal(value)) and not isinstance(value, SigmaCasedString):
        return False
    parts = value.s[:-1] if value.s[-1] == SpecialChars.WILDCARD_MULTI else value.s
    return _is_presence(value) or all(isinstance(part, str) for part in parts)


def _is_whole(value: SigmaType) -> bool:
    return isinstance(value, SigmaString) and all(isinstance(part, str) for part in value.s)


def _is_boolean(value: SigmaType) -> bool:
    if isinstance(value, SigmaString):
        text = _literal(value)
        return _is_whole(value) and (text if isinstance(value, SigmaCasedString) else text.lower()) in ("true", "false")
    return isinstance(value, SigmaBool | SigmaNull | SigmaExists)


def _as_boolean(value: SigmaType) -> SigmaType:
    return SigmaBool(_literal(value).lower() == "true") if isinstance(value, SigmaString) else value


def _is_tls_version(value: SigmaType) -> bool:
    if isinstance(value, SigmaString):
        start = value.s[0]
        is_text = isinstance(start, str) and _TLS_VERSION.match(start) is not None
        return is_text and not isinstance(value, SigmaCasedString)
    return isinstance(value, SigmaNull | SigmaExists)


def _as_presence(value: SigmaType) -> SigmaType:
    return SigmaExists(True) if _is_no_empty_text(value) else value


def _without_protocol(value: SigmaType) -> SigmaType:
    return value[len("TLSv") :] if isinstance(value, SigmaString) else value


def _is_principal(value: SigmaType) -> bool:
    return isinstance(value, SigmaString) and bool(_NOT_IN_A_USER_ID.search(_literal(value)))


def _regards_no_case(value: SigmaString) -> bool:
    return not isinstance(value, SigmaCasedString) and any(map(str.isalpha, _literal(value)))


_ANSWERED: Mapping[str, Callable[[SigmaType], bool]] = {
    "anything": lambda value: True,
    "values": lambda value: not _is_presence(value),
    "beginnings": _is_beginning,
    "beginnings, presence": _is_beginning,
    "whole values": _is_whole,
    "booleans": _is_boolean,
    "versions": _is_tls_version,
    "principals": _is_principal,
}
_CHANGES: Mapping[str, Callable[[SigmaType], SigmaType]] = {
    "beginnings": _as_presence,
    "beginnings, presence": _as_presence,
    "booleans": _as_boolean,
    "versions": _without_protocol,
}
_EMPTY = "the integration drops empty texts, so one looks like no value at all"
_TLS_VERSION = re.compile(r"tlsv\d", re.IGNORECASE)
# The pattern of UserId in the API reference of the identity store: digits of a hexadecimal number and hyphens.
_NOT_IN_A_USER_ID = re.compile(r"[^0-9A-Fa-f-]")
