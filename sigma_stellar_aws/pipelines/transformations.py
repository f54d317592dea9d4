"""Transformations of the pipelines."""

from dataclasses import dataclass
from typing import cast

from sigma.correlations import SigmaCorrelationRule
from sigma.processing.transformations.base import DetectionItemTransformation, PreprocessingTransformation
from sigma.rule import SigmaDetectionItem, SigmaDetections, SigmaRule
from sigma.rule.logsource import SigmaLogSource

from sigma_stellar_aws.errors import UnsupportedRuleError
from sigma_stellar_aws.rulepack import published_detection

CLOUDTRAIL = SigmaLogSource(product="aws", service="cloudtrail")

# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html and
# .../cloudtrail-event-reference-user-identity.html
OBJECTS = frozenset(
    {
        "addendum",
        "additionalEventData",
        "edgeDeviceDetails",
        "eventContext",
        "insightDetails",
        "requestParameters",
        "resources",
        "responseElements",
        "serviceEventDetails",
        "tlsDetails",
        "userIdentity",
        "userIdentity.inScopeOf",
        "userIdentity.onBehalfOf",
        "userIdentity.sessionContext",
        "userIdentity.sessionContext.attributes",
        "userIdentity.sessionContext.sessionIssuer",
        "userIdentity.sessionContext.webIdFederationData",
    }
)
"""Fields of a CloudTrail record that hold objects, so that no flattened field has their name."""


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
                f"its log source is {_text(rule.logsource)}; the pipelines stellar_aws and stellar_aws_published are "
                "for product: aws, service: cloudtrail",
                rule.source,
            )


@dataclass
class UsePublishedDetection(PreprocessingTransformation):
    """Puts the published detection of a rule in the place of the corrected one, where it has both."""

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Replace detection items and condition; what Sigma filters added stays."""
        super().apply(rule)
        if not isinstance(rule, SigmaRule) or (published := published_detection(rule)) is None:
            return
        replaced = SigmaDetections.from_dict(published, rule.source)
        filters = {name: item for name, item in rule.detection.detections.items() if name.startswith("_filt_")}
        added = [_filter_conditions(condition) for condition in rule.detection.condition]
        rule.detection = SigmaDetections(
            detections={**replaced.detections, **filters},
            condition=[" and ".join([f"({c})", *added[0]]) if added[0] else c for c in replaced.condition],
            source=rule.source,
        )


@dataclass
class RefuseWholeObjects(DetectionItemTransformation):
    """Refuses conditions on a whole object, which a flattened document does not have."""

    rule: SigmaRule | None = None

    def apply(self, rule: SigmaRule | SigmaCorrelationRule) -> None:
        """Look at every detection item of a rule.

        Raises:
            UnsupportedRuleError: one of them is about an object as a whole.
        """
        self.rule = rule if isinstance(rule, SigmaRule) else None
        super().apply(rule)

    def apply_detection_item(self, detection_item: SigmaDetectionItem) -> None:
        """Check one detection item."""
        if detection_item.field in OBJECTS:
            title = cast(SigmaRule, self.rule).title
            raise UnsupportedRuleError(
                title,
                f"field {detection_item.field!r}: an object has no field of its own in flattened documents; name the "
                f"field inside it, such as {detection_item.field}.<name>",
                detection_item.source,
            )


def _text(logsource: SigmaLogSource) -> str:
    parts = {"category": logsource.category, "product": logsource.product, "service": logsource.service}
    return ", ".join(f"{key}: {value}" for key, value in parts.items() if value is not None)


def _filter_conditions(condition: str) -> list[str]:
    """The conditions that Sigma filters joined to a rule's own, which pySigma writes as ``(own) and (filter)``."""
    joined: list[str] = []
    while condition.startswith("(") and "_filt_" in (rest := condition[_closing(condition) + 1 :]):
        joined.insert(0, rest.removeprefix(" and "))
        condition = condition[1 : _closing(condition)]
    return joined


def _closing(text: str) -> int:
    """Where the parenthesis that opens a text is closed."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return position
    return len(text) - 1
