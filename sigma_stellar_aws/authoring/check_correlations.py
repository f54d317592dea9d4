"""What is wrong or doubtful in correlation rules, as findings of a check."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.correlate import MOST_HELD
from sigma_stellar_aws.authoring.rule_documents import Finding, FindingSeverity, Subject, sentence
from sigma_stellar_aws.authoring.wide_rules import FEW_VALUES, is_wide
from sigma_stellar_aws.base.sigma_errors import RuleBlockError
from sigma_stellar_aws.base.times import duration_text
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.pipelines.transformations import CLOUDTRAIL
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.correlations import resolve_correlations
from sigma_stellar_aws.rule_files.counted import Correlation
from sigma_stellar_aws.rule_files.load import AnyRule
from sigma_stellar_aws.rule_files.stated_correlation import (
    TEMPORAL_KINDS,
    CorrelationFaultError,
    CorrelationRefusedError,
    MissingMemberError,
    StatedCorrelation,
    keep_document,
    read_correlation,
)
from sigma_stellar_aws.rule_files.stellar_block import correlation_window, rule_name
from sigma_stellar_aws.validators.fields import field_problem

_EVENT_ID = "eventID"
_LONG = timedelta(hours=1)
"""In a large organisation (10 million events a day) there are as many events in this time as may be remembered."""


def correlation_findings(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find what is wrong in correlations: a fault as they are read, a reason why they are refused, or a doubt."""
    by_rule: dict[int, Subject] = {}
    for subject in subjects:
        if isinstance(subject.rule, SigmaCorrelationRule):
            try:
                read_correlation(subject.document)
                keep_document(subject.rule, subject.document)
            except CorrelationFaultError as fault:
                yield subject.finding(fault.path, "correlation", "high", sentence(fault.reason))
                continue
        if not subject.is_filter:
            by_rule[id(subject.rule)] = subject
    rules = [subject.rule for subject in by_rule.values()]
    resolved = resolve_correlations(rules)
    for rule, found in resolved.faults:
        # What is missing may be in another file, and is reported by the check of references.
        if not isinstance(found, MissingMemberError):
            severity: FindingSeverity = "medium" if isinstance(found, CorrelationRefusedError) else "high"
            yield by_rule[id(rule)].finding(found.path, "correlation", severity, sentence(found.reason))
    stated = {rule_name(rule): rule for rule in rules}
    about_cloudtrail = {rule_name(r): r for r in rules if isinstance(r, SigmaRule) and r.logsource in CLOUDTRAIL}
    for correlation in resolved.correlations:
        named = stated[correlation.name]
        if isinstance(named, SigmaCorrelationRule):
            yield from _doubts(by_rule[id(named)], named, correlation)
            yield from _too_much_to_remember(by_rule[id(named)], correlation, about_cloudtrail)
    for subject in by_rule.values():
        if isinstance(subject.rule, SigmaCorrelationRule):
            yield from _field_findings(subject, read_correlation(subject.document), rules)


def _doubts(subject: Subject, rule: SigmaCorrelationRule, correlation: Correlation) -> Iterator[Finding]:
    try:
        window = correlation_window(rule)
    except RuleBlockError as error:
        reason = str(error.args[0]).removeprefix(f"Rule {rule.title!r}: ")
        yield subject.finding(("stellar", "suppression"), "correlation", "medium", sentence(reason))
        window = timedelta.max
    if correlation.timespan > window:
        message = (
            f"The timespan of {duration_text(correlation.timespan)} is longer than the window of "
            f"{duration_text(window)} in which it alerts once: the same events can raise several alerts. "
            "Give the window that length."
        )
        yield subject.finding(("correlation", "timespan"), "correlation", "medium", message)
    if correlation.count == 1 and (correlation.kind not in TEMPORAL_KINDS or len(correlation.members) == 1):
        message = (
            "One event is enough, and so the rules that it names say the same by themselves; count more, or leave out "
            "the correlation."
        )
        yield subject.finding(("correlation", "condition"), "correlation", "low", message)


def _field_findings(subject: Subject, stated: StatedCorrelation, rules: Sequence[AnyRule]) -> Iterator[Finding]:
    """Find the fields that no event has, of all events that are CloudTrail's as far as that is known."""
    by_reference = {str(name): rule for rule in rules for name in (rule.id, rule.name) if name is not None}
    known = {reference: by_reference.get(reference) for reference in stated.references}
    others = {name for name, rule in known.items() if isinstance(rule, SigmaRule) and rule.logsource not in CLOUDTRAIL}
    counted = stated.threshold.fields if stated.threshold else ()
    named = [field for field in (*stated.group_by, *counted) if field not in stated.aliases and not others]
    named += [
        field for fields in stated.aliases.values() for reference, field in fields.items() if reference not in others
    ]
    for field in dict.fromkeys(named):
        problem = field_problem(field)
        # What is not among the rules that are checked may be of other logs, of which no field is like CloudTrail's.
        if problem and (any(known.values()) or "; write " in problem):
            yield subject.finding(_place_of(subject, field), "correlation", "medium", problem)
    if _EVENT_ID in stated.group_by:
        message = (
            f"Each event has an {_EVENT_ID} of its own, so that no two of them come together; group by another field."
        )
        yield subject.finding(_place_of(subject, _EVENT_ID), "correlation", "medium", message)


def _too_much_to_remember(
    subject: Subject, correlation: Correlation, rules: Mapping[str, SigmaRule]
) -> Iterator[Finding]:
    if correlation.kind not in TEMPORAL_KINDS and correlation.count > MOST_HELD:
        message = f"{correlation.count:,} are never remembered: a run ends where that would be more than {MOST_HELD:,}."
        yield subject.finding(("correlation", "condition"), "correlation", "medium", message)
    if correlation.timespan < _LONG:
        return
    for number, member in enumerate(correlation.members):
        many = [field for field in member.key if flat_name(field) not in FEW_VALUES]
        rule = rules.get(member.name)
        if many and rule is not None and is_wide(rule):
            message = (
                f"The rule {member.title!r} names no event, so that almost all of them count. With a key for each "
                f"{' and '.join(many)}, those of {duration_text(correlation.timespan)} have to be remembered, and a "
                f"run ends where that is more than {MOST_HELD:,} events. Name events (eventName) or a particular value "
                "in that rule, or shorten the timespan."
            )
            yield subject.finding(("correlation", "rules", number), "correlation", "medium", message)


def _place_of(subject: Subject, field: str) -> YamlPath:
    """Return the path to where a correlation names a field."""
    block = subject.document["correlation"]
    assert isinstance(block, dict)
    aliases, condition, group_by = block.get("aliases"), block.get("condition"), block.get("group-by")
    for alias, fields in aliases.items() if isinstance(aliases, dict) else ():
        for reference, named in fields.items() if isinstance(fields, dict) else ():
            if named == field:
                return ("correlation", "aliases", alias, reference)
    if isinstance(group_by, list) and field in group_by:
        return ("correlation", "group-by", group_by.index(field))
    if isinstance(condition, dict) and field in str(condition.get("field")):
        return ("correlation", "condition", "field")
    return ("correlation", "group-by")
