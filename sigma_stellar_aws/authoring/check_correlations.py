"""What is wrong or doubtful in correlation rules, as findings of a check."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from sigma_stellar_aws.authoring.rule_documents import Finding, FindingSeverity, Subject
from sigma_stellar_aws.base.sigma_errors import RuleBlockError
from sigma_stellar_aws.base.times import duration_text
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.pipelines.transformations import CLOUDTRAIL
from sigma_stellar_aws.reference import cloudtrail_fields
from sigma_stellar_aws.rule_files.correlations import resolve_correlations
from sigma_stellar_aws.rule_files.counted import Correlation
from sigma_stellar_aws.rule_files.stated_correlation import (
    TEMPORAL_KINDS,
    CorrelationFaultError,
    CorrelationRefusedError,
    MissingMemberError,
    keep_document,
    read_correlation,
)
from sigma_stellar_aws.rule_files.stellar_block import correlation_window, rule_name


def correlation_findings(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find what is wrong in correlations: a fault as they are read, a reason why they are refused, or a doubt."""
    by_rule: dict[int, Subject] = {}
    for subject in subjects:
        if isinstance(subject.rule, SigmaCorrelationRule):
            try:
                read_correlation(subject.document)
                keep_document(subject.rule, subject.document)
            except CorrelationFaultError as fault:
                yield subject.finding(fault.path, "correlation", "high", _sentence(fault.reason))
                continue
        if not subject.is_filter:
            by_rule[id(subject.rule)] = subject
    rules = [subject.rule for subject in by_rule.values()]
    resolved = resolve_correlations(rules)
    for rule, found in resolved.faults:
        # What is missing may be in another file, and is told of by the check of references.
        if not isinstance(found, MissingMemberError):
            severity: FindingSeverity = "medium" if isinstance(found, CorrelationRefusedError) else "high"
            yield by_rule[id(rule)].finding(found.path, "correlation", severity, _sentence(found.reason))
    stated = {rule_name(rule): rule for rule in rules}
    about_cloudtrail = {rule_name(r) for r in rules if isinstance(r, SigmaRule) and r.logsource in CLOUDTRAIL}
    for correlation in resolved.correlations:
        named = stated[correlation.name]
        if isinstance(named, SigmaCorrelationRule):
            yield from _doubts(by_rule[id(named)], named, correlation, about_cloudtrail)


def _doubts(
    subject: Subject, rule: SigmaCorrelationRule, correlation: Correlation, about_cloudtrail: set[str]
) -> Iterator[Finding]:
    try:
        window = correlation_window(rule)
    except RuleBlockError as error:
        reason = str(error.args[0]).removeprefix(f"Rule {rule.title!r}: ")
        yield subject.finding(("stellar", "suppression"), "correlation", "medium", _sentence(reason))
        window = timedelta.max
    if correlation.timespan > window:
        message = (
            f"The timespan of {duration_text(correlation.timespan)} is longer than the window of "
            f"{duration_text(window)} in which it alerts once: the same events can raise several alerts."
        )
        yield subject.finding(("correlation", "timespan"), "correlation", "medium", message)
    if correlation.count == 1 and (correlation.kind not in TEMPORAL_KINDS or len(correlation.members) == 1):
        message = "One event is enough, and so the rules that it names say the same by themselves."
        yield subject.finding(("correlation", "condition"), "correlation", "low", message)
    for member in correlation.members:
        for field in dict.fromkeys((*member.key, *member.values)):
            if member.name in about_cloudtrail and not cloudtrail_fields.is_known(field):
                meant = cloudtrail_fields.nearest_field(field)
                message = f"CloudTrail has no field {field!r}{f'; write {meant}' if meant else ''}."
                yield subject.finding(_place_of(subject, field), "correlation", "medium", message)


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


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."
