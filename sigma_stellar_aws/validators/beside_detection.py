"""What is wrong with a rule beside its detection: severity, suppression, triage and tags."""

from collections.abc import Iterator

from sigma.filters import SigmaFilter
from sigma.rule import SigmaLevel, SigmaRule

from sigma_stellar_aws.base.sigma_errors import RuleBlockError
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.reference import cloudtrail_fields
from sigma_stellar_aws.rule_files.stellar_block import SEVERITY_OF_LEVEL, severity, suppression, triage
from sigma_stellar_aws.validators.attack_tags import tag_faults
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.fields import holds_an_object, suppression_field
from sigma_stellar_aws.validators.issues import SeverityIssue, SeverityOfLevelIssue, SuppressionIssue, TriageIssue
from sigma_stellar_aws.validators.validator import Found, StellarAwsValidator


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
        if isinstance(stated, dict) and (unknown := [key for key in stated if key not in ("window", "fields")]):
            yield Fault(SuppressionIssue, f"A suppression has window and fields, no {unknown[0]!r}."), (*at, unknown[0])
            return
        try:
            fields = suppression(rule).fields
        except RuleBlockError as error:
            problem = _sentence(rule, error)
            named = problem.removeprefix("stellar: ").split()[0].split(".")[1:]
            yield Fault(SuppressionIssue, problem), (*at, *named)
            return
        for number, field in enumerate(fields):
            if not cloudtrail_fields.is_known(field) or holds_an_object(field):
                yield suppression_field(field), (*at, "fields", number)


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
