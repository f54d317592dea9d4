"""pySigma validators that know CloudTrail, the events of AWS, ATT&CK, and the block ``stellar`` of a rule.

They look at rules and filters of product aws, service cloudtrail, and need no network. A validator file names them like
those of pySigma::

    validators:
        - stellar_aws_event_name
        - stellar_aws_impossible_condition
"""

import itertools
from collections.abc import Callable, Iterator

from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule
from sigma.types import SigmaFieldReference
from sigma.validators.base import SigmaRuleValidator

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.reference import cloudtrail_fields
from sigma_stellar_aws.reference.event_data import nearest_detail
from sigma_stellar_aws.reference.flat_schema import stands_for_several
from sigma_stellar_aws.validators.beside_detection import (
    StellarAwsAttackTagValidator,
    StellarAwsLogSourceValidator,
    StellarAwsSeverityValidator,
    StellarAwsSuppressionValidator,
    StellarAwsTriageValidator,
    StellarAwsUnknownKeyValidator,
)
from sigma_stellar_aws.validators.condition_tree import (
    AllOf,
    AnyOf,
    FieldComparison,
    Not,
    Tree,
    Value,
    Way,
    comparisons,
    conditions,
    detections_of,
    parts_of,
    statements,
    ways,
)
from sigma_stellar_aws.validators.contradictions import OUTCOMES, Beside, Contradiction, value_fault
from sigma_stellar_aws.validators.error_codes import error_code_fault
from sigma_stellar_aws.validators.event_names import Fault, name_fault, pair_fault, source_fault, version_fault
from sigma_stellar_aws.validators.fields import holds_an_object, name_of_flattened, position_fault, unknown_field
from sigma_stellar_aws.validators.issues import (
    DeadPartIssue,
    FlattenedFieldIssue,
    ImpossibleConditionIssue,
    MisspeltParameterIssue,
    WholeObjectIssue,
)
from sigma_stellar_aws.validators.list_elements import shared_lists
from sigma_stellar_aws.validators.lone_star import lone_stars
from sigma_stellar_aws.validators.needless import loose_pairs, needless_alternatives, needless_values, wide_conditions
from sigma_stellar_aws.validators.needless_words import needless_words
from sigma_stellar_aws.validators.parameters import asked_fields, object_fault, parameter_fault, value_faults
from sigma_stellar_aws.validators.plain_patterns import plain_patterns
from sigma_stellar_aws.validators.sigma_values import is_missing
from sigma_stellar_aws.validators.validator import Found, StellarAwsValidator


class StellarAwsEventNameValidator(StellarAwsValidator):
    """Event names that AWS does not have, or not under the sources beside them."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield what is wrong with values of eventName."""
        yield from _in_every_way(rule, "eventName", lambda value, _, way: name_fault(value, way))
        yield from _in_every_way(rule, "eventName", version_fault)


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
            if meant := name_of_flattened(field):
                problem = f"{field!r} is a flattened name; write {meant}, as CloudTrail has it."
                yield Fault(FlattenedFieldIssue, problem), at


class StellarAwsUnknownFieldValidator(StellarAwsValidator):
    """Fields that CloudTrail does not have."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields that are misspelt, in another case, or of another product."""
        for field, at in _fields(rule):
            is_odd = position_fault(field) or name_of_flattened(field)
            if not cloudtrail_fields.is_known(field) and not is_odd:
                yield unknown_field(field), at


class StellarAwsParameterValidator(StellarAwsValidator):
    """Fields that the requests and responses of the events do not have."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields inside requests, responses and further data of events that are misspelt, or of other events."""
        for asked in asked_fields(conditions(*detections_of(rule))):
            fault = parameter_fault(asked)
            if fault is not None and not stands_for_several(asked.name) and not position_fault(asked.name):
                yield fault, asked.comparison.at
        for field, at in _fields(rule):
            if (meant := nearest_detail(field)) and not position_fault(field):
                yield Fault(MisspeltParameterIssue, f"No event is known to have {field!r}; did you mean {meant}?"), at


class StellarAwsParameterValueValidator(StellarAwsValidator):
    """Values that parameters of the events never have, and error codes without the prefix that EC2 writes."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield comparisons of texts with numbers, of booleans with words, values that no list has, and error codes."""
        for asked in asked_fields(conditions(*detections_of(rule))):
            yield from value_faults(asked)
        yield from _in_every_way(rule, "errorCode", error_code_fault)


class StellarAwsWholeObjectValidator(StellarAwsValidator):
    """Conditions on an object as a whole."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields such as requestParameters."""
        for field, at in _fields(rule):
            if holds_an_object(field):
                problem = (
                    f"{field!r} is an object, of which a store can only ask the fields that a profile knows; name the "
                    f"field inside it, such as {field}.<name>."
                )
                yield Fault(WholeObjectIssue, problem), at
        for asked in asked_fields(conditions(*detections_of(rule))):
            fault = object_fault(asked)
            if fault is not None:
                yield fault, asked.comparison.at


class StellarAwsSharedListValidator(StellarAwsValidator):
    """Conditions on the elements of one list, which different elements can meet together."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields of one list of objects, such as a port and an address range of a security group."""
        yield from shared_lists(itertools.chain.from_iterable(_wanted(rule)))


class StellarAwsListPositionValidator(StellarAwsValidator):
    """Fields with a position in a list, such as resources.0.ARN."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield fields that name an element of a list by its position."""
        for field, at in _fields(rule):
            if fault := position_fault(field):
                yield fault, at


class StellarAwsPlainPatternValidator(StellarAwsValidator):
    """A regular expression without the modifier for it."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield values such as ``^admin.*$``."""
        yield from plain_patterns(comparisons(*detections_of(rule)))


class StellarAwsNeedlessPartValidator(StellarAwsValidator):
    """Parts of a rule that change nothing."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield values that another one matches, and alternatives and words of a condition that decide nothing."""
        detections, at = detections_of(rule)
        yield from needless_values(comparisons(detections, at))
        alternatives = list(needless_alternatives(conditions(detections, at), (*at, "condition")))
        yield from alternatives or needless_words(detections, (*at, "condition"))


class StellarAwsWideConditionValidator(StellarAwsValidator):
    """Conditions that almost every event meets."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield conditions that only exclude, and lists that ask for a source or a name."""
        detections, at = detections_of(rule)
        trees = conditions(detections, at)
        yield from loose_pairs(trees)
        if not isinstance(rule, SigmaFilter):
            yield from wide_conditions(trees, (*at, "condition"))


class StellarAwsLoneStarValidator(StellarAwsValidator):
    """A value ``*`` where AWS means the character."""

    def faults(self, rule: SigmaRule | SigmaFilter) -> Iterator[Found]:
        """Yield values of Principal, Action, Resource and address ranges."""
        yield from lone_stars(comparisons(*detections_of(rule)))


validators: dict[str, type[SigmaRuleValidator]] = {
    "stellar_aws_log_source": StellarAwsLogSourceValidator,
    "stellar_aws_unknown_key": StellarAwsUnknownKeyValidator,
    "stellar_aws_event_name": StellarAwsEventNameValidator,
    "stellar_aws_event_source": StellarAwsEventSourceValidator,
    "stellar_aws_impossible_condition": StellarAwsImpossibleConditionValidator,
    "stellar_aws_flattened_field": StellarAwsFlattenedFieldValidator,
    "stellar_aws_unknown_field": StellarAwsUnknownFieldValidator,
    "stellar_aws_parameter": StellarAwsParameterValidator,
    "stellar_aws_parameter_value": StellarAwsParameterValueValidator,
    "stellar_aws_whole_object": StellarAwsWholeObjectValidator,
    "stellar_aws_shared_list": StellarAwsSharedListValidator,
    "stellar_aws_list_position": StellarAwsListPositionValidator,
    "stellar_aws_lone_star": StellarAwsLoneStarValidator,
    "stellar_aws_plain_pattern": StellarAwsPlainPatternValidator,
    "stellar_aws_needless_part": StellarAwsNeedlessPartValidator,
    "stellar_aws_wide_condition": StellarAwsWideConditionValidator,
    "stellar_aws_severity": StellarAwsSeverityValidator,
    "stellar_aws_suppression": StellarAwsSuppressionValidator,
    "stellar_aws_triage": StellarAwsTriageValidator,
    "stellar_aws_attack_tag": StellarAwsAttackTagValidator,
}
"""The validators by the names that validator files use."""


def _fields(rule: SigmaRule | SigmaFilter) -> Iterator[tuple[str, YamlPath]]:
    """Yield every field that a rule compares with something, once for each place."""
    every = list(comparisons(*detections_of(rule)))
    found: dict[tuple[str | None, YamlPath], None] = {(one.field, one.at): None for one in every if one.field}
    values = (value for one in every for value in one.values)
    found |= {(one.value.field, one.at): None for one in values if isinstance(one.value, SigmaFieldReference)}
    yield from ((field, at) for field, at in found if field is not None)


def _wanted(rule: SigmaRule | SigmaFilter) -> Iterator[list[Way]]:
    """Return all ways to meet each statement that is meant to hold for some event."""
    trees: list[Tree] = conditions(*detections_of(rule))
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
    every = list(comparisons(*detections_of(rule)))
    asks_for_missing = {one.field for one in every for value in one.values if is_missing(value.value)}
    for comparison in every:
        for value in comparison.values:
            fault = value_fault(comparison.field, value.value)
            if fault is not None and not (comparison.field in OUTCOMES and comparison.field in asks_for_missing):
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
            yield Fault(ImpossibleConditionIssue, problem), (*detections_of(rule)[1], "condition")
            return
    yield from _idle_parts(rule, told)


def _idle_parts(rule: SigmaRule | SigmaFilter, told: set[YamlPath]) -> Iterator[Found]:
    """Yield a part of a condition that no event can meet though others can be met, and one that every event meets.

    Args:
        rule: of which no condition is impossible as a whole.
        told: values of which it is told already that they are excluded.
    """
    at: YamlPath = (*detections_of(rule)[1], "condition")
    trees = conditions(*detections_of(rule))
    whole = {id(statement) for tree in trees for statement in statements(tree)}
    parts = {id(part): part for tree in trees for part in parts_of(tree)}
    for number, part in parts.items():
        if isinstance(part, AllOf) and number not in whole and (reason := _why_dead(part, told)):
            yield Fault(DeadPartIssue, f"A part of this condition holds for no event: {reason}"), at
            break
    for part in parts.values():
        if isinstance(part, AnyOf) and _why_dead(Not(part), told):
            problem = (
                "A part of this condition holds for every event, for it asks for something or its opposite; leave that "
                "part out."
            )
            yield Fault(DeadPartIssue, problem), at
            break


def _why_dead(tree: Tree, told: set[YamlPath]) -> str | None:
    """Return why no event can meet a condition; None if one can, or if it is told already."""
    every = ways(tree)
    reasons = [_judge_way(way, {}) for way in every]
    if not reasons or reasons[0] is None or None in reasons:
        return None
    return None if told & {value.at for way in every for one in way for value in one.values} else reasons[0].problem


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
