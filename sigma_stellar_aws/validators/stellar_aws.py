"""pySigma validators that know CloudTrail, the events of AWS, ATT&CK, and the block ``stellar`` of a rule.

They look at rules and filters of product aws, service cloudtrail, and need no network. A validator file names them like
those of pySigma::

    validators:
        - stellar_aws_event_name
        - stellar_aws_impossible_condition
"""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TypeAlias

from sigma.correlations import SigmaCorrelationRule
from sigma.filters import SigmaFilter
from sigma.rule import SigmaDetections, SigmaLevel, SigmaRule
from sigma.rule.base import SigmaRuleBase
from sigma.validators.base import SigmaRuleValidator, SigmaValidationIssue

from sigma_stellar_aws.base.sigma_errors import RuleBlockError
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.pipelines.transformations import CLOUDTRAIL
from sigma_stellar_aws.reference import cloudtrail_fields
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.stellar_block import SEVERITY_OF_LEVEL, severity, suppression, triage
from sigma_stellar_aws.validators.attack_tags import tag_faults
from sigma_stellar_aws.validators.condition_tree import (
    FieldComparison,
    Tree,
    Value,
    Way,
    comparisons,
    conditions,
    statements,
    ways,
)
from sigma_stellar_aws.validators.contradictions import Beside, Contradiction, value_fault
from sigma_stellar_aws.validators.event_names import Fault, name_fault, pair_fault, source_fault
from sigma_stellar_aws.validators.issues import (
    FieldCaseIssue,
    FlattenedFieldIssue,
    ImpossibleConditionIssue,
    SeverityIssue,
    SeverityOfLevelIssue,
    SuppressionFieldIssue,
    SuppressionIssue,
    TriageIssue,
    UnknownFieldIssue,
    WholeObjectIssue,
)
from sigma_stellar_aws.validators.list_elements import shared_lists
from sigma_stellar_aws.validators.lone_star import lone_stars
from sigma_stellar_aws.validators.sigma_values import is_missing

Found: TypeAlias = tuple[Fault, YamlPath]

ELSEWHERE = {
    "@timestamp": "eventTime",
    "aws.cloudtrail.error_code": "errorCode",
    "cloud.account.id": "recipientAccountId",
    "cloud.region": "awsRegion",
    "error.code": "errorCode",
    "event.action": "eventName",
    "event.provider": "eventSource",
    "source.address": "sourceIPAddress",
    "source.ip": "sourceIPAddress",
    "src_ip": "sourceIPAddress",
    "user_agent": "userAgent",
    "user_agent.original": "userAgent",
    "user_type": "userIdentity.type",
}
"""Names of the Elastic Common Schema and of Splunk's add-on for AWS, and the names of the same fields in CloudTrail."""


class StellarAwsValidator(SigmaRuleValidator):
    """What the validators have in common."""

    def validate(self, rule: SigmaRule | SigmaCorrelationRule) -> list[SigmaValidationIssue]:
        """Return what is wrong with a rule about CloudTrail; nothing for any other rule."""
        super().validate(rule)
        about: SigmaRuleBase = rule
        if not isinstance(about, SigmaRule | SigmaFilter) or about.logsource not in CLOUDTRAIL:
            return []
        return [fault.issue([rule], fault.problem, at) for fault, at in self.faults(about)]

    @abstractmethod
    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield the faults of a rule or filter, and where they are."""


class StellarAwsEventNameValidator(StellarAwsValidator):
    """Event names that AWS does not have, or not under the sources beside them."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield what is wrong with values of eventName."""
        yield from _in_every_way(rule, "eventName", lambda value, _, way: name_fault(value, way))


class StellarAwsEventSourceValidator(StellarAwsValidator):
    """Event sources that AWS does not have, or not for the names beside them."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield what is wrong with values of eventSource."""
        yield from _in_every_way(rule, "eventSource", lambda value, _, way: source_fault(value, way))


class StellarAwsImpossibleConditionValidator(StellarAwsValidator):
    """Parts of a condition that hold for no event."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield names under sources of other services, values that a field never has, and contradictions."""
        yield from _in_every_way(rule, "eventName", lambda value, _, way: pair_fault(value, way))
        yield from _never(rule)
        yield from _contradictions(rule)


class StellarAwsFlattenedFieldValidator(StellarAwsValidator):
    """Flattened field names where CloudTrail's dotted ones belong."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields such as userIdentity_type."""
        for field, at in _fields(rule):
            if dotted := _dotted(field):
                problem = f"{field!r} is a flattened name; write {dotted}, as CloudTrail has it."
                yield Fault(FlattenedFieldIssue, problem), at


class StellarAwsUnknownFieldValidator(StellarAwsValidator):
    """Fields that CloudTrail does not have."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields that are misspelt, in another case, or of another product."""
        for field, at in _fields(rule):
            if not cloudtrail_fields.is_known(field) and not _dotted(field):
                yield _unknown_field(field), at


class StellarAwsWholeObjectValidator(StellarAwsValidator):
    """Conditions on an object as a whole."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields such as requestParameters."""
        for field, at in _fields(rule):
            if _is_object(field):
                problem = (
                    f"{field!r} is an object, of which a store can only ask the fields that a profile knows; name the "
                    f"field inside it, such as {field}.<name>."
                )
                yield Fault(WholeObjectIssue, problem), at


class StellarAwsSharedListValidator(StellarAwsValidator):
    """Conditions on the elements of one list, which different elements can meet together."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields of one list of objects, such as a port and an address range of a security group."""
        yield from shared_lists(itertools.chain.from_iterable(_wanted(rule)))


class StellarAwsLoneStarValidator(StellarAwsValidator):
    """A value ``*`` where AWS means the character."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield values of Principal, Action, Resource and address ranges."""
        yield from lone_stars(comparisons(*_detections(rule)))


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
            if not cloudtrail_fields.is_known(field) or _is_object(field):
                yield _suppression_field(field), (*at, "fields", number)


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


validators: dict[str, type[SigmaRuleValidator]] = {
    "stellar_aws_event_name": StellarAwsEventNameValidator,
    "stellar_aws_event_source": StellarAwsEventSourceValidator,
    "stellar_aws_impossible_condition": StellarAwsImpossibleConditionValidator,
    "stellar_aws_flattened_field": StellarAwsFlattenedFieldValidator,
    "stellar_aws_unknown_field": StellarAwsUnknownFieldValidator,
    "stellar_aws_whole_object": StellarAwsWholeObjectValidator,
    "stellar_aws_shared_list": StellarAwsSharedListValidator,
    "stellar_aws_lone_star": StellarAwsLoneStarValidator,
    "stellar_aws_severity": StellarAwsSeverityValidator,
    "stellar_aws_suppression": StellarAwsSuppressionValidator,
    "stellar_aws_triage": StellarAwsTriageValidator,
    "stellar_aws_attack_tag": StellarAwsAttackTagValidator,
}
"""The validators by the names that validator files use."""


def _detections(rule: SigmaRule | SigmaFilter) -> tuple[SigmaDetections, YamlPath]:
    return (rule.filter, ("filter",)) if isinstance(rule, SigmaFilter) else (rule.detection, ("detection",))


def _fields(rule: SigmaRule | SigmaFilter) -> Iterator[tuple[str, YamlPath]]:
    """Yield every field that a rule compares with something, once for each place."""
    found = {(one.field, one.at): None for one in comparisons(*_detections(rule)) if one.field is not None}
    yield from ((field, at) for field, at in found if field is not None)


def _wanted(rule: SigmaRule | SigmaFilter) -> Iterator[list[Way]]:
    """Return all ways to meet each statement that is meant to hold for some event."""
    trees: list[Tree] = conditions(*_detections(rule))
    yield from (ways(statement) for tree in trees for statement in statements(tree))


def _in_every_way(
    rule: SigmaRule | SigmaFilter, field: str, judge: Callable[[Value, FieldComparison, Way], Fault | None]
) -> list[Found]:
    """Yield what is wrong with the values of a field in every way in which they can be asked for."""
    found: dict[YamlPath, list[Fault | None]] = {}
    for way in itertools.chain.from_iterable(_wanted(rule)):
        for comparison in way:
            if comparison.field == field and not comparison.negated:
                for value in comparison.values:
                    found.setdefault(value.at, []).append(judge(value, comparison, way))
    return [(faults[0], at) for at, faults in found.items() if None not in faults and faults[0] is not None]


def _never(rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
    """Yield values that a field never has, except an errorCode of success where the condition knows better."""
    every = list(comparisons(*_detections(rule)))
    asks_for_missing = {one.field for one in every for value in one.values if is_missing(value.value)}
    for comparison in every:
        for value in comparison.values:
            fault = value_fault(comparison.field, value.value)
            if fault is not None and not (comparison.field == "errorCode" and "errorCode" in asks_for_missing):
                yield fault, value.at


def _contradictions(rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
    """Yield values that something beside them excludes in every way, once for each two comparisons.

    Where it is another value in each of the ways, it is the condition as a whole that holds for no event.
    """
    found: dict[YamlPath, list[tuple[FieldComparison, Contradiction | None]]] = {}
    dead: list[tuple[set[YamlPath], Contradiction]] = []
    for statement in _wanted(rule):
        reasons = [_judge_way(way, found) for way in statement]
        if reasons and reasons[0] is not None and None not in reasons:
            dead.append(({value.at for way in statement for one in way for value in one.values}, reasons[0]))
    last: dict[frozenset[YamlPath], Found] = {}
    for at, each in found.items():
        comparison, first = each[0]
        if first is not None and all(one is not None for _, one in each):
            last[frozenset({comparison.at, first.other})] = (Fault(ImpossibleConditionIssue, first.problem), at)
    yield from last.values()
    told = {at for _, at in last.values()}
    for places, reason in dead:
        if not places & told:
            problem = f"No event can meet this condition in any way: {reason.problem}"
            yield Fault(ImpossibleConditionIssue, problem), (*_detections(rule)[1], "condition")
            return


def _judge_way(
    way: Way, found: dict[YamlPath, list[tuple[FieldComparison, Contradiction | None]]]
) -> Contradiction | None:
    """Note what contradicts each value of a way; why the way holds for no event, or None if one may meet it."""
    reason = None
    beside = Beside(way)
    for comparison in way:
        if not comparison.negated:
            against = [beside.contradiction(value, comparison) for value in comparison.values]
            for value, one in zip(comparison.values, against, strict=True):
                found.setdefault(value.at, []).append((comparison, one))
            if reason is None and None not in against:
                reason = against[0]
    return reason


def _dotted(field: str) -> str | None:
    """Return the CloudTrail name of which a field is the flattened form."""
    meant = None if "_" not in field or cloudtrail_fields.is_known(field) else cloudtrail_fields.nearest_field(field)
    return meant if meant is not None and "." in meant and flat_name(meant) == field else None


def _unknown_field(field: str) -> Fault:
    meant = ELSEWHERE.get(field) or cloudtrail_fields.nearest_field(field)
    if meant is None:
        return Fault(UnknownFieldIssue, f"CloudTrail has no field {field!r}.")
    if meant.casefold() == field.casefold():
        return Fault(FieldCaseIssue, f"CloudTrail's field is {meant}, not {field!r}; the case of field names counts.")
    return Fault(UnknownFieldIssue, f"CloudTrail has no field {field!r}; write {meant}.")


def _is_object(field: str) -> bool:
    return field in cloudtrail_fields.FIELDS and cloudtrail_fields.FIELDS[field].kind in ("object", "open object")


def _suppression_field(field: str) -> Fault:
    if _is_object(field):
        return Fault(
            SuppressionFieldIssue, f"{field!r} is an object; name the field inside it that tells alerts apart."
        )
    meant = _dotted(field) or ELSEWHERE.get(field) or cloudtrail_fields.nearest_field(field)
    return Fault(SuppressionFieldIssue, f"CloudTrail has no field {field!r}{f'; write {meant}' if meant else ''}.")


def _band(level: SigmaLevel) -> tuple[int, int]:
    """Return the least and greatest severity that agree with a level.

    A level reaches from its own severity to that of the next. Where high ends is not public, so it goes up to 100, and
    critical starts with it.
    """
    least = {**SEVERITY_OF_LEVEL, SigmaLevel.INFORMATIONAL: 0, SigmaLevel.CRITICAL: SEVERITY_OF_LEVEL[SigmaLevel.HIGH]}
    return least[level], min((one for one in least.values() if one > least[level]), default=101) - 1


def _sentence(rule: SigmaRule, error: RuleBlockError) -> str:
    return str(error.args[0]).removeprefix(f"Rule {rule.title!r}: ") + "."
