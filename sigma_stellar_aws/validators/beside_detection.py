"""What is wrong with a rule beside its detection: its keys, log source, severity, suppression, triage and tags."""

from collections.abc import Iterator

from sigma.correlations import SigmaCorrelationRule
from sigma.filters import SigmaFilter
from sigma.rule import SigmaLevel, SigmaRule
from sigma.validators.base import SigmaRuleValidator, SigmaValidationIssue

from sigma_stellar_aws.base.sigma_errors import RuleBlockError
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.rule_files.rule_keys import SUPPRESSION_KEYS
from sigma_stellar_aws.rule_files.stellar_block import SEVERITY_OF_LEVEL, severity, suppression, triage
from sigma_stellar_aws.validators.attack_tags import tag_faults
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.fields import field_problem
from sigma_stellar_aws.validators.issues import (
    NeedlessPartIssue,
    SeverityIssue,
    SeverityOfLevelIssue,
    SuppressionFieldIssue,
    SuppressionIssue,
    TriageIssue,
)
from sigma_stellar_aws.validators.log_source import log_source_faults
from sigma_stellar_aws.validators.unknown_keys import key_faults, unknown_key
from sigma_stellar_aws.validators.validator import Found, StellarAwsValidator


class StellarAwsLogSourceValidator(StellarAwsValidator):
    """A log source that is nearly that of CloudTrail."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield the keys of the log source that are to be changed."""
        yield from log_source_faults(rule.logsource)


class StellarAwsUnknownKeyValidator(SigmaRuleValidator):
    """Misspelt keys of a rule, and keys that the block ``stellar`` does not have."""

    def validate(self, rule: SigmaRule | SigmaCorrelationRule) -> list[SigmaValidationIssue]:
        """Return what is wrong with the keys of a rule, whatever it is about."""
        super().validate(rule)
        return [fault.issue([rule], fault.problem, at) for fault, at in key_faults(rule)]


class StellarAwsSeverityValidator(StellarAwsValidator):
    """A severity that is missing, out of range, or does not agree with the level."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield what is wrong with ``stellar.severity``."""
        if isinstance(rule, SigmaFilter):
            return
        block = rule.custom_attributes.get("stellar", {})
        stated = isinstance(block, dict) and "severity" in block
        at: YamlPath = ("stellar", "severity") if stated else ("stellar",)
        try:
            value = severity(rule)
        except RuleBlockError as error:
            yield Fault(SeverityIssue, _sentence(rule, error)), at
            return
        if not stated and rule.level is None:
            yield Fault(SeverityIssue, "The rule has neither a level nor a severity; give it a level."), ("level",)
        elif stated and isinstance(rule.level, SigmaLevel):
            least, most = _band(rule.level)
            if not least <= value <= most:
                problem = f"Severity {value} does not agree with level {rule.level}, which is for {least} to {most}."
                yield Fault(SeverityOfLevelIssue, problem), at


class StellarAwsSuppressionValidator(StellarAwsValidator):
    """A suppression that is malformed, or on fields that no event has."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield what is wrong with ``stellar.suppression``."""
        block = rule.custom_attributes.get("stellar")
        if isinstance(rule, SigmaFilter) or not isinstance(block, dict) or "suppression" not in block:
            return
        at = ("stellar", "suppression")
        stated = block["suppression"]
        if isinstance(stated, dict) and (unknown := [key for key in stated if key not in SUPPRESSION_KEYS]):
            problem = unknown_key("stellar.suppression", str(unknown[0]), SUPPRESSION_KEYS)
            yield Fault(SuppressionIssue, problem), (*at, str(unknown[0]))
            return
        try:
            fields = suppression(rule).fields
        except RuleBlockError as error:
            problem = _sentence(rule, error)
            named = problem.removeprefix("stellar: ").split()[0].split(".")[1:]
            yield Fault(SuppressionIssue, problem), (*at, *named)
            return
        for number, field in enumerate(fields):
            if reason := field_problem(field):
                yield Fault(SuppressionFieldIssue, reason), (*at, "fields", number)
            elif field in fields[:number]:
                problem = f"{field} is in this list before; leave it out."
                yield Fault(NeedlessPartIssue, problem), (*at, "fields", number)


class StellarAwsTriageValidator(StellarAwsValidator):
    """A triage that is not a list of texts."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield what is wrong with ``stellar.triage``."""
        block = rule.custom_attributes.get("stellar")
        if isinstance(rule, SigmaFilter) or not isinstance(block, dict) or "triage" not in block:
            return
        try:
            triage(rule)
        except RuleBlockError as error:
            yield Fault(TriageIssue, _sentence(rule, error)), ("stellar", "triage")


class StellarAwsAttackTagValidator(StellarAwsValidator):
    """ATT&CK tags that do not exist, or whose technique is of no tagged tactic."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield what is wrong with tags of the namespace attack."""
        for fault, number in tag_faults(rule.tags):
            yield fault, ("tags", number)


def _band(level: SigmaLevel) -> tuple[int, int]:
    """Return the least and greatest severity that agree with a level.

    A level reaches from its own severity to that of the next. Where high ends is not public, so it goes up to 100, and
    critical starts with it.
    """
    least = {**SEVERITY_OF_LEVEL, SigmaLevel.INFORMATIONAL: 0, SigmaLevel.CRITICAL: SEVERITY_OF_LEVEL[SigmaLevel.HIGH]}
    return least[level], min((one for one in least.values() if one > least[level]), default=101) - 1


def _sentence(rule: SigmaRule, error: RuleBlockError) -> str:
    return str(error.args[0]).removeprefix(f"Rule {rule.title!r}: ") + "."
