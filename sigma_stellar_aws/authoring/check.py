"""Check Sigma rules without a network.

The checks are, in this order: is the file YAML, is each document in it Sigma, what do the validators report (pySigma's,
SigmaHQ's if the package pysigma-validators-sigmahq is installed, and ours), and can a CloudTrail rule be converted.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError, SigmaRuleNotFoundError
from sigma.rule import SigmaRule
from sigma.validators import core
from sigma.validators.base import SigmaRuleValidator, SigmaValidationIssue, SigmaValidationIssueSeverity

from sigma_stellar_aws.authoring import rule_documents
from sigma_stellar_aws.authoring.check_correlations import correlation_findings
from sigma_stellar_aws.authoring.check_filters import filter_findings
from sigma_stellar_aws.authoring.error_places import sigma_error_text
from sigma_stellar_aws.authoring.issue_limits import limits_of
from sigma_stellar_aws.authoring.issue_positions import all_texts, find_text, issue_details, path_of_issue
from sigma_stellar_aws.authoring.rule_documents import (
    FINDING_SEVERITIES,
    CheckedDocument,
    FileContent,
    Finding,
    FindingSeverity,
    Subject,
)
from sigma_stellar_aws.authoring.unfinished import unfinished_parts
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.text import did_you_mean, nearest
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.pipelines.transformations import CLOUDTRAIL
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.load import AnyRule, find_rule_files
from sigma_stellar_aws.validators import stellar_aws as ours
from sigma_stellar_aws.validators.condition_tree import read_once
from sigma_stellar_aws.validators.unknown_keys import meant_detection_key, meant_key, meant_log_source_key

NEED_NETWORK = frozenset(
    {
        "attacktag",
        "d3_fendtag",
        "sigmahq_category_event_id",
        "sigmahq_category_windows_provider_name",
        "sigmahq_fieldname_cast",
        "sigmahq_filename_prefix",
        "sigmahq_invalid_fieldname",
        "sigmahq_logsource_unknown",
        "sigmahq_redundant_field",
        "sigmahq_tags_techniques_without_tactics",
    }
)
"""Validators that download their data; ours judge ATT&CK tags and CloudTrail's fields by tables of their own."""

CONTRADICTORY = frozenset({"tlpv1_tag", "tlpv2_tag"})
"""Two validators that contradict each other; ``tlptag`` accepts both versions of the protocol."""

OWN_CHECKS: Mapping[str, str] = {
    "yaml": "The file is YAML, and nothing in it is lost.",
    "sigma": "A document is a Sigma rule, correlation or filter.",
    "reference": "The rules that a correlation or filter names are among those checked.",
    "correlation": "A correlation rule can be evaluated, and exactly.",
    "filter": "A filter applies to some of the rules that are checked with it.",
    "unfinished": "Nothing is left to be written.",
    "validator": "Every validator can judge the rule.",
    "convert": "A CloudTrail rule can be converted by the pipeline and backend stellar_aws.",
}
"""The checks other than validators, and what holds if they report nothing."""

_OWN_KEY = "stellar"
_KEYS = "stellar_aws_unknown_key"
_WIDE = "stellar_aws_wide_condition"
_QUOTED = "number_as_string"
_OF_FILTERS = (("detection",), ("logsource",))
_ACCOUNT = re.compile(r"\d{12}")
_ABOUT_KEYS: Mapping[str, Callable[[str], str | None]] = {
    "custom_attributes": meant_key,
    "dangling_detection": lambda key: "a correlation" if meant_detection_key(key) == "timeframe" else None,
    "fieldname_logsource": meant_log_source_key,
    "sigmahq_unknown_field": meant_key,
}
"""Validators of others that report unknown keys, and what tells which of these ours reports."""
_SEVERITIES: Mapping[SigmaValidationIssueSeverity, FindingSeverity] = {
    SigmaValidationIssueSeverity.LOW: "low",
    SigmaValidationIssueSeverity.MEDIUM: "medium",
    SigmaValidationIssueSeverity.HIGH: "high",
}


class CheckReport(NamedTuple):
    """What a check found."""

    findings: tuple[Finding, ...]
    """Sorted by file and line."""
    files: tuple[Path, ...]
    checked: tuple[CheckedDocument, ...]
    others: int
    """How many rules are not about CloudTrail, and so were checked in general only."""
    checks: Mapping[str, str]
    """The checks that were made: name, and what each is about."""


@runtime_checkable
class _LocatedIssue(Protocol):
    """An issue of our own validators, which know where in the document it is."""

    at: YamlPath
    problem: str


def check_rules(paths: Iterable[Path | str] = ()) -> CheckReport:
    """Check the rules, correlations and filters of files and folders (see ``find_rule_files``), by default the 29.

    Whatever is wrong with a file is a finding, and the other files are checked all the same.

    >>> report = check_rules(["rules/aws_kms_key_created.yml"])
    >>> len(report.checked), report.findings
    (1, ())

    Raises:
        SigmaError: there is no file to check.
    """
    paths = list(paths)
    files = find_rule_files(paths)
    if not files:
        raise SigmaError(f"no rules in {', '.join(map(str, paths))}; looked for *.yml and *.yaml")
    contents = [rule_documents.read_documents(file) for file in files]
    subjects = [subject for content in contents for subject in content.subjects]
    validators = _validators()
    findings = _findings(contents, subjects, validators)
    order = {file: number for number, file in enumerate(files)}
    return CheckReport(
        tuple(sorted(set(findings), key=lambda finding: (order[finding.path], *finding[1:]))),
        tuple(files),
        tuple(checked for content in contents for checked in content.checked),
        sum(isinstance(subject.rule, SigmaRule) and not _about_cloudtrail(subject.rule) for subject in subjects),
        {**OWN_CHECKS, **{name: _summary(validator) for name, validator in validators.items()}},
    )


def check_one(content: FileContent, others: Iterable[FileContent]) -> list[Finding]:
    """Check one of several files: return what :func:`check_rules` finds in it if it is given all of them.

    The rules of the other files are not changed, so that they can be read once and stand beside many checks.
    """
    contents = [content, *others]
    subjects = [subject for each in contents for subject in each.subjects]
    return sorted(set(_findings([content], subjects, _validators())), key=lambda finding: finding[1:])


def _findings(
    contents: Iterable[FileContent], subjects: Sequence[Subject], validators: Mapping[str, SigmaRuleValidator]
) -> Iterator[Finding]:
    """Yield the findings in some files, given the rules of all."""
    contents = list(contents)
    about = [subject for content in contents for subject in content.subjects]
    yield from (finding for content in contents for finding in content.findings)
    yield from _missing_references(about, subjects)
    own = {subject.path for subject in about}
    if any(isinstance(subject.rule, SigmaCorrelationRule) for subject in about):
        yield from (finding for finding in correlation_findings(subjects) if finding.path in own)
    if any(subject.is_filter for subject in about):
        yield from (finding for finding in filter_findings(subjects) if finding.path in own)
    yield from _unfinished(contents)
    yield from _validate(about, subjects, validators)
    # Last of all, since a pipeline changes the rules.
    yield from (finding for subject in about for finding in _convert(subject))


def at_least(findings: Iterable[Finding], severity: FindingSeverity) -> list[Finding]:
    """Return the findings of a severity and above."""
    return [
        finding
        for finding in findings
        if FINDING_SEVERITIES.index(finding.severity) >= FINDING_SEVERITIES.index(severity)
    ]


def _missing_references(about: Sequence[Subject], subjects: Sequence[Subject]) -> Iterator[Finding]:
    known = SigmaCollection([subject.rule for subject in subjects if not subject.is_filter], resolve_references=False)
    for subject in about:
        for reference in subject.references:
            try:
                known[unicodedata.normalize("NFC", reference)]
            except SigmaRuleNotFoundError:
                section = ("filter" if subject.is_filter else "correlation", "rules")
                message = f"The rule {reference!r} is not among those checked; if it exists, name its file too."
                # A single file may be right to name the rule of another.
                severity: FindingSeverity = "low"
                names = [name for rule in known.rules if isinstance(name := rule.name, str)]
                if close := nearest(reference, names):
                    severity = "medium"
                    message = f"There is no rule {reference!r} among those checked{did_you_mean(close)}"
                if meant := [rule.name or rule.id for rule in known.rules if rule.title == reference]:
                    severity = "high"
                    message = f"{reference!r} is the title of a rule; write its name or id, {meant[0]}."
                yield subject.finding(
                    find_text(subject.document, section, reference) or section, "reference", severity, message
                )


def _validators() -> dict[str, SigmaRuleValidator]:
    """Return new validators that need no network, by name. Some remember the rules that they saw."""
    # Its package, pysigma-validators-sigmahq, is optional.
    try:
        from sigma.validators.sigmahq import validators as sigmahq
    except ModuleNotFoundError:
        sigmahq = {}
    known: dict[str, type[SigmaRuleValidator]] = {**core.validators, **sigmahq, **ours.validators}
    return {name: validator() for name, validator in known.items() if name not in NEED_NETWORK | CONTRADICTORY}


def _summary(validator: SigmaRuleValidator) -> str:
    """Return what a validator is about: the first paragraph of its documentation."""
    return " ".join((type(validator).__doc__ or type(validator).__name__).strip().split("\n\n")[0].split())


def _validate(
    about: Sequence[Subject], subjects: Sequence[Subject], validators: Mapping[str, SigmaRuleValidator]
) -> Iterator[Finding]:
    judged = {id(subject.rule): subject for subject in about}
    comparing = {n: each for n, each in validators.items() if type(each).finalize is not SigmaRuleValidator.finalize}
    issues: list[tuple[str, SigmaValidationIssue]] = []
    failed: list[Finding] = []
    for subject in subjects:
        is_judged = id(subject.rule) in judged
        with read_once():
            for name, validator in (validators if is_judged else comparing).items():
                try:
                    issues += [(name, issue) for issue in validator.validate(subject.rule)]
                except Exception as error:
                    failed += [_failed(subject, name, error)] if is_judged else []
    for name, validator in comparing.items():
        try:
            # What can be known only once all rules were seen.
            issues += [(name, issue) for issue in validator.finalize()]
        except Exception as error:
            failed.append(_failed(about[0], name, error))
    yield from failed
    for name, issue in issues:
        for rule in issue.rules:
            if id(rule) in judged:
                yield from _of_issue(name, issue, judged[id(rule)], limits_of(name, validators[name], rule))


def _failed(subject: Subject, validator: str, error: Exception) -> Finding:
    message = f"The validator {validator} cannot judge this: {type(error).__name__}: {error}"
    return subject.finding((), "validator", "medium", message)


def _of_issue(name: str, issue: SigmaValidationIssue, subject: Subject, limits: str) -> Iterator[Finding]:
    if isinstance(issue, _LocatedIssue):
        at, message = issue.at, issue.problem
    else:
        named = issue_details(issue)
        if name in _ABOUT_KEYS:
            # One of our own validators proposes what to write instead.
            named = [key for key in named if key != _OWN_KEY and not _ABOUT_KEYS[name](key)]
            if not named:
                return
        document = subject.document
        if subject.is_filter:
            document = {**document, "detection": document["filter"]}
        at = path_of_issue(issue, subject.rule, document)
        message = f"{' '.join(issue.description.split()).rstrip('.')}{': ' if named else '.'}{', '.join(named)}"
        if limits:
            message = f"{message.rstrip('.')} ({limits})."
    # A filter has no level, no tags and so on: of the rule that represents it, only some parts are its own.
    is_own = not subject.is_filter or at[:1] in _OF_FILTERS or name == _KEYS
    if subject.is_filter and name == _WIDE:
        # Whatever it is joined to asks for something.
        return
    if name == _QUOTED and at and _is_text_of_digits(subject, at):
        return
    if is_own and not _is_left_out(name, at, subject):
        others = sorted({str(rule.source.path) for rule in issue.rules if rule.source} - {str(subject.path)})
        yield subject.finding(
            at,
            name,
            _SEVERITIES[issue.severity],
            message + (f" (also in {', '.join(others)})" if others else ""),
        )


def _is_text_of_digits(subject: Subject, at: YamlPath) -> bool:
    """Tell whether a text of digits is rightly one: the id of an account, or a value of a field that holds texts."""
    field = next((str(key).partition("|")[0] for key in reversed(at) if isinstance(key, str)), "")
    value: Json = subject.document
    for key in at:
        if isinstance(value, dict):
            value = value.get(str(key))
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key]
    values = value if isinstance(value, list) else [value]
    is_account = any(isinstance(one, str) and _ACCOUNT.fullmatch(one) for one in values)
    return is_account or (field in FIELDS and FIELDS[field].kind == "text")


def _is_left_out(validator: str, at: YamlPath, subject: Subject) -> bool:
    """Tell whether an issue is about a key that was left out: by its place, or by the name of its validator."""
    names = {"identifier" if key == "id" else key for key in subject.left_out}
    return bool(names & set(validator.split("_"))) or (at != () and str(at[0]) in subject.left_out)


def _unfinished(contents: Iterable[FileContent]) -> Iterator[Finding]:
    for content in contents:
        for subject in content.subjects:
            for part in unfinished_parts(subject.text, subject.number):
                if part.key is None:
                    yield subject.finding_at(part.place, "unfinished", "low", f"This is still to be done: {part.text}")
                else:
                    message = f"The value of {part.key} is still to be written."
                    yield subject.finding_at(part.place, "unfinished", "medium", message)


def _about_cloudtrail(rule: AnyRule) -> TypeGuard[SigmaRule]:
    return isinstance(rule, SigmaRule) and rule.logsource in CLOUDTRAIL


def _convert(subject: Subject) -> Iterator[Finding]:
    rule = subject.rule
    if not _about_cloudtrail(rule) or subject.asks_less:
        return
    try:
        # What is misread has been found in the text; a pipeline would look for it in the file on disk once more.
        rule.source = None
        backend = StellarAwsBackend(stellar_aws())
        # What files can be searched for is no fault; what a store needs an option for, a validator reports.
        backend.searches_files = True
        backend.convert_rule(rule)
    except Exception as error:
        message = sigma_error_text(error).removeprefix(f"Rule {rule.title!r}: ")
        yield subject.finding(_place_of_field(subject, message), "convert", "high", message)


def _place_of_field(subject: Subject, message: str) -> YamlPath:
    """Return the path to the field that an error of a conversion names, by its name after the pipeline."""
    named = re.search(r"field '([^']+)'", message)
    section = "filter" if subject.is_filter else "detection"
    for at, text, is_key in all_texts(subject.document.get(section), (section,)):
        if named and is_key and flat_name(text.split("|")[0]) == named[1]:
            return at
    return (section,)
