"""Find filters that change none of the rules that are checked with them."""

from collections.abc import Iterator, Sequence

from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaRuleNotFoundError
from sigma.rule import SigmaRule
from sigma.rule.logsource import SigmaLogSource

from sigma_stellar_aws.authoring.issue_positions import find_text
from sigma_stellar_aws.authoring.rule_documents import Finding, Subject
from sigma_stellar_aws.base.text import plural


def filter_findings(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find filters that apply to no rule: by their log source, or since they name a correlation.

    A filter alone, or one whose rules are in files that are not checked, may be right.
    """
    others = [subject.rule for subject in subjects if not subject.is_filter]
    rules = [rule for rule in others if isinstance(rule, SigmaRule)]
    known = SigmaCollection(list(others), resolve_references=False)
    for subject in subjects:
        if subject.is_filter and isinstance(subject.rule, SigmaRule) and "logsource" not in subject.left_out:
            yield from _of_named(subject, subject.rule.logsource, known)
            yield from _of_any(subject, subject.rule.logsource, rules)


def _of_named(subject: Subject, source: SigmaLogSource, known: SigmaCollection) -> Iterator[Finding]:
    for reference in subject.references:
        try:
            named = known[reference]
        except SigmaRuleNotFoundError:
            continue
        at = find_text(subject.document, ("filter", "rules"), reference) or ("filter", "rules")
        if isinstance(named, SigmaCorrelationRule):
            cure = "to which no filter applies; name the rules that it counts"
            yield subject.finding(at, "filter", "high", f"It names the correlation {named.title!r}, {cure}.")
        elif named.logsource not in source:
            where = f"whose log source is {_shown(named.logsource)}, not {_shown(source)}"
            yield subject.finding(at, "filter", "high", f"It does not apply to {named.title!r}, {where}.")


def _of_any(subject: Subject, source: SigmaLogSource, rules: Sequence[SigmaRule]) -> Iterator[Finding]:
    if subject.references or not rules or any(rule.logsource in source for rule in rules):
        return
    message = f"It applies to none of the {plural(len(rules), 'rule')} checked: none is for {_shown(source)}."
    yield subject.finding(("logsource",), "filter", "medium", message)


def _shown(source: SigmaLogSource) -> str:
    stated = (("product", source.product), ("category", source.category), ("service", source.service))
    return ", ".join(f"{key}: {value}" for key, value in stated if value)
