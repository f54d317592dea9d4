"""What the validators have in common."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import TypeAlias

from sigma.correlations import SigmaCorrelationRule
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule
from sigma.rule.base import SigmaRuleBase
from sigma.validators.base import SigmaRuleValidator, SigmaValidationIssue

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.pipelines.transformations import CLOUDTRAIL
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.log_source import was_meant_for_cloudtrail

Found: TypeAlias = tuple[Fault, YamlPath]
"""Something wrong with a rule, and where it is."""


class StellarAwsValidator(SigmaRuleValidator):
    """What the validators have in common."""

    def validate(self, rule: SigmaRule | SigmaCorrelationRule) -> list[SigmaValidationIssue]:
        """Return what is wrong with a rule that is, or was meant to be, about CloudTrail; nothing for any other."""
        super().validate(rule)
        about: SigmaRuleBase = rule
        if not isinstance(about, SigmaRule | SigmaFilter) or not _is_to_be_judged(about):
            return []
        return [fault.issue([rule], fault.problem, at) for fault, at in self.faults(about)]

    @abstractmethod
    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield the faults of a rule or filter, and where they are."""


def _is_to_be_judged(rule: SigmaRule | SigmaFilter) -> bool:
    return rule.logsource in CLOUDTRAIL or was_meant_for_cloudtrail(rule)
