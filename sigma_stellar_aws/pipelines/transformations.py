"""Transformations of the pipelines."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from sigma.correlations import SigmaCorrelationRule
from sigma.modifiers import (
    SigmaBase64Modifier,
    SigmaBase64OffsetModifier,
    SigmaCaseSensitiveModifier,
    SigmaCompareModifier,
    SigmaEndswithModifier,
    SigmaFieldReferenceModifier,
    SigmaStartswithModifier,
    SigmaTimestampModifier,
    SigmaUTF16BEModifier,
    SigmaUTF16Modifier,
    SigmaWideModifier,
)
from sigma.processing.transformations.base import DetectionItemTransformation, PreprocessingTransformation
from sigma.rule import SigmaDetectionItem, SigmaDetections, SigmaRule, SigmaRuleTag
from sigma.rule.logsource import SigmaLogSource
from sigma.types import SigmaString

from sigma_stellar_aws.base.sigma_errors import UnsupportedConditionError, UnsupportedRuleError
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.rule_files.as_written import misreadings_of
from sigma_stellar_aws.rule_files.filter_selections import is_of_filter
from sigma_stellar_aws.rule_files.stellar_block import published_detection

CLOUDTRAIL = SigmaLogSource(product="aws", service="cloudtrail")

OBJECTS = frozenset(name for name, field in FIELDS.items() if "object" in field.kind)
"""Fields of a CloudTrail record that hold objects, so that no flattened field has their name."""

ASKS_SEVERAL_FIELDS = "asks_several_fields"
"""Key of the state of pipelines under which a backend says that it takes ``name.*`` for all fields below an object."""


@dataclass
class RefuseMisreadings(PreprocessingTransformation):
    """Refuses rules of which YAML or pySigma would read something otherwise than its author wrote it."""

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Pass a rule that is read as it is written, or any correlation of rules.

        Raises:
            UnsupportedRuleError: something in it is misread.
        """
        super().apply(rule)
        if isinstance(rule, SigmaRule) and (reasons := misreadings_of(rule)):
            raise UnsupportedRuleError(rule.title, "; ".join(reasons), rule.source)


@dataclass
class RefuseOtherLogSources(PreprocessingTransformation):
    """Refuses rules that are not about CloudTrail records."""

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Pass a rule about CloudTrail, or any correlation of rules.

        Raises:
            UnsupportedRuleError: the rule's log source is another one.
        """
        super().apply(rule)
        if isinstance(rule, SigmaRule) and rule.logsource not in CLOUDTRAIL:
            raise UnsupportedRuleError(
                rule.title,
                f"its log source is {_text(rule.logsource)}; the pipelines of this project are for product: aws, "
                "service: cloudtrail",
                rule.source,
            )


@dataclass
class UsePublishedDetection(PreprocessingTransformation):
    """Puts the published detection of a rule in the place of the corrected one, where it has both."""

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Replace detection items and condition, and add a tag that says so; what Sigma filters added stays."""
        super().apply(rule)
        if not isinstance(rule, SigmaRule) or (published := published_detection(rule)) is None:
            return
        replaced = SigmaDetections.from_dict(published, rule.source)
        filters = {name: item for name, item in rule.detection.detections.items() if is_of_filter(name)}
        added = [_filter_conditions(condition) for condition in rule.detection.condition]
        rule.detection = SigmaDetections(
            detections={**replaced.detections, **filters},
            condition=[" and ".join([f"({c})", *added[0]]) if added[0] else c for c in replaced.condition],
            source=rule.source,
        )
        rule.tags.append(SigmaRuleTag("stellar", "published"))


@dataclass
class _RefuseItems(DetectionItemTransformation):
    """Refuses rules for one of their detection items."""

    rule: SigmaRule | None = None

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Look at every detection item of a rule.

        Raises:
            UnsupportedConditionError: one of them is refused.
        """
        self.rule = rule if isinstance(rule, SigmaRule) else None
        super().apply(rule)

    def apply_detection_item(self, detection_item: SigmaDetectionItem) -> None:
        """Check one detection item."""
        if reason := self.reason(detection_item):
            title = cast(SigmaRule, self.rule).title
            raise UnsupportedConditionError(title, detection_item.field, reason, detection_item.source)

    def reason(self, item: SigmaDetectionItem) -> str:
        """Return why a detection item is refused; empty where it is not."""
        raise NotImplementedError


@dataclass
class RefuseWholeObjects(_RefuseItems):
    """Refuses conditions on a whole object, which a flattened document does not have."""

    def reason(self, item: SigmaDetectionItem) -> str:
        """Say what to name instead of an object."""
        if item.field not in OBJECTS:
            return ""
        return (
            "an object has no field of its own in flattened documents; name the field inside it, "
            f"such as {item.field}.<name>"
        )


@dataclass
class NameWholeObjects(RefuseWholeObjects):
    """Gives a condition on a whole object the name of all fields below it; refuses it if the backend knows no such."""

    def apply_detection_item(self, detection_item: SigmaDetectionItem) -> None:
        """Rename the field of one detection item, or check it."""
        if self._pipeline is None or not self._pipeline.state.get(ASKS_SEVERAL_FIELDS):
            super().apply_detection_item(detection_item)
        elif detection_item.field in OBJECTS:
            detection_item.field = f"{detection_item.field}.*"


@dataclass
class RefuseMisreadModifiers(_RefuseItems):
    """Refuses modifiers which pySigma 1.5 takes for something else than the specification says."""

    def reason(self, item: SigmaDetectionItem) -> str:
        """Say what is misread."""
        if not item.modifiers:
            return ""
        used = set(item.modifiers)
        values = [value for value in item.original_value or [] if isinstance(value, SigmaString)]
        if _any_of(used, SigmaTimestampModifier) and _any_of(used, SigmaCompareModifier):
            return "the part of a time cannot be compared; pySigma compares the whole value instead"
        if {SigmaCaseSensitiveModifier, SigmaFieldReferenceModifier} <= used:
            return "pySigma forgets |cased beside |fieldref; drop it, or regard case in all rules (case_sensitive=true)"
        if item.field is None and used & {SigmaStartswithModifier, SigmaEndswithModifier}:
            return "without a field it is searched for anywhere in a value, whatever the modifier; name the field"
        if SigmaUTF16Modifier in used and used & {SigmaBase64Modifier, SigmaBase64OffsetModifier}:
            return "the byte order mark of utf16 is lost under base64; use wide"
        if SigmaBase64OffsetModifier in used:
            wide = used & {SigmaWideModifier, SigmaUTF16BEModifier}
            for value in values:
                if not str(value).isascii():
                    return f"{str(value)!r} has characters beyond ASCII, for which base64offset is not right"
                if len(str(value)) < (1 if wide else 2):
                    return f"{str(value)!r} is too short for base64offset, of which nothing would be left"
        return ""


def _any_of(modifiers: Iterable[type[object]], kind: type[object]) -> bool:
    return any(issubclass(modifier, kind) for modifier in modifiers)


def _text(logsource: SigmaLogSource) -> str:
    parts = {"category": logsource.category, "product": logsource.product, "service": logsource.service}
    return ", ".join(f"{key}: {value}" for key, value in parts.items() if value is not None)


def _filter_conditions(condition: str) -> list[str]:
    """Return the conditions that Sigma filters joined to a rule's own; pySigma writes ``(own) and (filter)``."""
    joined: list[str] = []
    while condition.startswith("(") and "_filt_" in (rest := condition[_closing(condition) + 1 :]):
        joined.insert(0, rest.removeprefix(" and "))
        condition = condition[1 : _closing(condition)]
    return joined


def _closing(text: str) -> int:
    """Return where the parenthesis that opens a string is closed."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return position
    return len(text) - 1
