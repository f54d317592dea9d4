"""Read every rule, correlation and filter of a file with its position, and find what is wrong with the rest."""

import copy
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, cast

import yaml
from sigma.collection import NestedDict, SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import (
    SigmaConditionError,
    SigmaError,
    SigmaModifierError,
    SigmaRuleLocation,
    SigmaTypeError,
    SigmaValueError,
)
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule
from yaml.reader import ReaderError

from sigma_stellar_aws.authoring.error_hints import encoding_fault, plainer, yaml_hint
from sigma_stellar_aws.authoring.error_places import ENUMERATED, place_of_error, told
from sigma_stellar_aws.authoring.faulty_parts import without_parts
from sigma_stellar_aws.base import yaml_positions
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.yaml_positions import Span, YamlPath
from sigma_stellar_aws.rule_files.as_written import Misreading, misreadings
from sigma_stellar_aws.rule_files.load import AnyRule
from sigma_stellar_aws.rule_files.regex_errors import with_regex_reason
from sigma_stellar_aws.rule_files.stated_correlation import CorrelationFaultError, read_correlation

FindingSeverity: TypeAlias = Literal["low", "medium", "high"]
FINDING_SEVERITIES: tuple[FindingSeverity, ...] = ("low", "medium", "high")
"""The severities of pySigma, from a matter of style to a rule that does not do what it should."""

# As YAML counts lines.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
# PyYAML notices late what is not closed, and a line without its colon; both are reported where they begin.
_NOTICED_LATE = ("end of stream", "could not find expected ':'")
_OF_WHAT_IS_MISREAD = (SigmaConditionError, SigmaModifierError, SigmaTypeError, SigmaValueError)
# https://github.com/SigmaHQ/sigma-specification; pySigma accepts other things in them, on which validators fail.
_LISTS_OF_TEXTS = ("references", "tags", "falsepositives", "fields")


class Finding(NamedTuple):
    """What a check reports, and where."""

    path: Path
    place: Span
    excerpt: str
    """The line of the file."""
    rule: str
    """Title of the rule, or the name of the file if it has none."""
    check: str
    """Name of the validator, or of one of our own checks."""
    severity: FindingSeverity
    message: str

    @property
    def line(self) -> int:
        """Line in the file, counted from 1."""
        return self.place.line


class CheckedDocument(NamedTuple):
    """A document that was checked: a rule, correlation or filter, or what should be one."""

    path: Path
    title: str
    line: int


class Subject(NamedTuple):
    """A Sigma document of a file, to be checked further."""

    path: Path
    text: str
    number: int
    """Number of the document in the file, counted from 0."""
    title: str
    document: JsonObject
    rule: AnyRule
    """What validators judge; for a filter, a rule with its detections."""
    references: tuple[str, ...]
    """Names or ids of the rules that a correlation or filter refers to."""
    left_out: frozenset[str] = frozenset()
    """Keys of the document that the rule lacks, or has a stand-in for, since there is a fault in them."""
    asks_less: bool = False
    """Whether the rule lacks some of what the document asks for."""

    @property
    def is_filter(self) -> bool:
        """Tell whether this is a filter, which the rule only represents."""
        return "filter" in self.document and not isinstance(self.rule, SigmaCorrelationRule)

    def finding(self, at: YamlPath, check: str, severity: FindingSeverity, message: str) -> Finding:
        """Return a finding about a part of the rule."""
        if self.is_filter and at[:1] == ("detection",):
            at = ("filter", *at[1:])
        return self.finding_at(yaml_positions.place_of(self.text, at, self.number), check, severity, message)

    def finding_at(self, place: Span | None, check: str, severity: FindingSeverity, message: str) -> Finding:
        """Return a finding about a place in the file of the rule."""
        return _finding(self.path, self.text, place, self.title, check, severity, message)


class FileContent(NamedTuple):
    """What a file holds: all documents that were checked, those that are Sigma, and what is wrong with the rest."""

    checked: list[CheckedDocument]
    subjects: list[Subject]
    findings: list[Finding]


def read_documents(file: Path, text: str | None = None) -> FileContent:
    """Read a file. Whatever is wrong with it is a finding, and the rest is read all the same.

    Args:
        file: its path.
        text: what it holds where that is not what is on disk, as in an editor.
    """
    content = FileContent([], [], [])
    try:
        text = file.read_text(encoding="utf-8") if text is None else text
        documents = yaml_positions.load_yaml(text)
        for place, key in yaml_positions.double_keys(text):
            message = f"The key {key!r} is in this map more than once, and only the last one counts."
            content.findings.append(_finding(file, text, place, file.name, "yaml", "high", message))
        for number, document in enumerate(documents):
            if document is not None:
                _read_document(file, text, number, documents, content)
        if not content.checked:
            raise ValueError("there is no rule in this file")
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        content.checked.append(CheckedDocument(file, file.name, 1))
        content.findings.append(_unreadable(file, text or "", error))
    return content


def _unreadable(file: Path, text: str, error: Exception) -> Finding:
    place = None
    message = f"This cannot be read: {error}."
    if isinstance(error, OSError):
        message = f"The file cannot be read: {error.strerror}."
    elif isinstance(error, UnicodeDecodeError | ReaderError):
        place, message = encoding_fault(text, error)
    elif isinstance(error, RecursionError):
        message = "This is nested too deeply."
    elif isinstance(error, yaml.MarkedYAMLError):
        is_open = any(sign in str(error.problem) for sign in _NOTICED_LATE) and error.context_mark is not None
        mark = error.context_mark if is_open else error.problem_mark or error.context_mark
        place = Span(mark.line + 1, mark.column + 1, mark.column + 2) if mark else None
        reason = " ".join(filter(None, (error.context, error.problem)))
        message = f"This is not valid YAML: {reason}{yaml_hint(error)}."
    return _finding(file, text, place, file.name, "yaml", "high", message)


class _Where(NamedTuple):
    """A document of a file."""

    path: Path
    text: str
    number: int
    title: str

    def finding(self, at: YamlPath, check: str, severity: FindingSeverity, message: str) -> Finding:
        """Return a finding about a part of the document."""
        return self.finding_at(yaml_positions.place_of(self.text, at, self.number), check, severity, message)

    def finding_at(self, place: Span | None, check: str, severity: FindingSeverity, message: str) -> Finding:
        """Return a finding about a place in the file."""
        return _finding(self.path, self.text, place, self.title, check, severity, message)


def _read_document(file: Path, text: str, number: int, documents: Sequence[Json], content: FileContent) -> None:
    """Add one document of a file to what was read from it."""
    document = documents[number]
    if isinstance(document, dict) and document.get("action") in ("global", "reset"):
        return
    title = str(document.get("title", file.name)) if isinstance(document, dict) else file.name
    where = _Where(file, text, number, title)
    place = yaml_positions.place_of(text, (), number)
    content.checked.append(CheckedDocument(file, title, place.line if place else 1))
    if not isinstance(document, dict):
        message = "This is not a Sigma rule: a rule is a map of keys and values."
        content.findings.append(where.finding((), "sigma", "high", message))
        return
    try:
        rule, references, errors = _parse(documents[: number + 1], SigmaRuleLocation(file))
    except Exception as error:
        # pySigma raises errors of any class if a value has a type that it does not expect.
        errors = [plainer(error, document)]
    misread = [found for found in _misreadings(text) if found.document == number]
    for each in misread:
        end = "" if each.reason.endswith("?") else "."
        content.findings.append(where.finding_at(each.span, "as_written", "high", f"{each.reason}{end}"))
    odd_entries = _entries_not_strings(document)
    for at, severity, message in _of_form(document, odd_entries):
        content.findings.append(where.finding(at, "sigma", severity, message))
    errors = _not_said_better(errors, document, misread, odd_entries)
    if not errors and not misread and not odd_entries:
        content.subjects.append(Subject(*where, document, rule, references))
        return
    faults = [*(each.path for each in misread), *odd_entries]
    _read_rest(where, document, _has_templates(documents), faults, errors, content)


def _not_said_better(
    errors: list[Exception], document: JsonObject, misread: list[Misreading], odd_entries: list[YamlPath]
) -> list[Exception]:
    """Return errors of pySigma, which says less about some parts than our own findings, or fails on them."""
    if errors and (of_correlation := _correlation_fault(document)):
        errors = [of_correlation]
    if misread:
        errors = [e for e in errors if isinstance(e, SigmaError) and not isinstance(e, _OF_WHAT_IS_MISREAD)]
    return [error for error in errors if not (odd_entries and "tags must be a list of strings" in str(error))]


def _read_rest(
    where: _Where,
    document: JsonObject,
    has_templates: bool,
    faults: list[YamlPath],
    errors: list[Exception],
    content: FileContent,
) -> None:
    """Report the errors of a document, and read it without its faulty parts, so that the rest is judged all the same.

    Args:
        where: the document.
        document: what it holds.
        has_templates: whether documents of the file are merged into others.
        faults: parts that were reported already.
        errors: what else is wrong.
        content: gets the findings, and what can be judged.
    """
    rest = document
    while True:
        for fault in errors:
            if isinstance(fault, CorrelationFaultError):
                content.findings.append(where.finding(fault.path, "correlation", "high", sentence(fault.reason)))
                return
            at = place_of_error(rest, fault)
            shown_at, message = told(fault, at, rest)
            content.findings.append(where.finding(shown_at, "sigma", "high", message))
            faults.append(at)
        remainder = None if has_templates else without_parts(document, faults)
        if remainder is None or (errors and remainder.document == rest):
            return
        rest = remainder.document
        try:
            rule, references, errors = _parse([rest], SigmaRuleLocation(where.path))
        except Exception:
            return
        if not errors:
            lacks = (remainder.left_out, remainder.asks_less)
            content.subjects.append(Subject(*where, document, rule, references, *lacks))
            return


def _has_templates(documents: Sequence[Json]) -> bool:
    return any("action" in document for document in documents if isinstance(document, dict))


def sentence(reason: str) -> str:
    """Return the reason of a fault as a sentence."""
    return f"{reason[:1].upper()}{reason[1:]}."


def _correlation_fault(document: JsonObject) -> CorrelationFaultError | None:
    if "correlation" in document and "action" not in document:
        try:
            read_correlation(document)
        except CorrelationFaultError as fault:
            return fault
    return None


def _of_form(document: JsonObject, odd_entries: list[YamlPath]) -> Iterator[tuple[YamlPath, FindingSeverity, str]]:
    """Yield entries that are no strings, and what pySigma knows only since it ignores case, as other tools do not."""
    for at in odd_entries:
        yield at, "high", f"Every entry of {at[0]} has to be a string; quote it, since YAML reads it as something else."
    for at, choices in ENUMERATED.items():
        value = str(document.get(str(at[0])))
        if value != value.lower() and value.upper() in choices.__members__:
            yield at, "low", f"Sigma writes every {at[0]} in small letters: {value.lower()}."


def _entries_not_strings(document: JsonObject) -> list[YamlPath]:
    lists = {key: value for key in _LISTS_OF_TEXTS if isinstance(value := document.get(key), list)}
    return [(key, n) for key, value in lists.items() for n, entry in enumerate(value) if not isinstance(entry, str)]


def _parse(documents: Sequence[Json], source: SigmaRuleLocation) -> tuple[AnyRule, tuple[str, ...], list[Exception]]:
    """Parse the last of some documents. Return it, the rules that it refers to, and its errors.

    The documents before it matter only if some are templates (key ``action``), which pySigma merges into others.
    """
    maps = [document for document in documents if isinstance(document, dict)]
    if not _has_templates(documents):
        maps = maps[-1:]
    document = maps[-1]
    # pySigma changes what it is given.
    collection = SigmaCollection.from_dicts(copy.deepcopy(cast("list[NestedDict]", maps)), True, source, True, False)
    if document.get("action") not in (None, "repeat"):
        raise collection.errors[-1]
    if "action" not in document and "correlation" not in document and "filter" in document:
        return _parse_filter(document, collection.filters[-1], source)
    rule = collection.rules[-1]
    references = rule.rules or [] if isinstance(rule, SigmaCorrelationRule) else []
    return rule, tuple(str(reference.reference) for reference in references), _errors(rule)


def _parse_filter(
    document: JsonObject, parsed: SigmaFilter, source: SigmaRuleLocation
) -> tuple[AnyRule, tuple[str, ...], list[Exception]]:
    detection = document["filter"]
    parts = {key: value for key, value in detection.items() if key != "rules"} if isinstance(detection, dict) else {}
    rule = SigmaRule.from_dict(
        {**parsed.custom_attributes, "title": parsed.title, "logsource": document.get("logsource"), "detection": parts},
        True,
        source,
    )
    references = [] if isinstance(parsed.filter.rules, str) else parsed.filter.rules
    return rule, tuple(str(reference.reference) for reference in references), list(parsed.errors) or _errors(rule)


def _errors(rule: AnyRule) -> list[Exception]:
    """Return the errors of a rule, with those of its conditions, which pySigma parses only on demand."""
    source = rule.source or SigmaRuleLocation(Path())
    errors: list[Exception] = [with_regex_reason(error, source) for error in rule.errors]
    if errors or isinstance(rule, SigmaCorrelationRule):
        return errors
    for condition in rule.detection.parsed_condition:
        try:
            if not isinstance(condition.condition, str):
                raise SigmaConditionError("A condition must be a string")
            condition.parse()
        except SigmaError as error:
            # pyparsing would list everything that could have come next.
            stop = re.search(r"found (.+?)\s+\(at char (\d+)\)", str(error))
            if stop:
                error = SigmaConditionError(f"The condition breaks off at character {int(stop[2]) + 1}, at {stop[1]}.")
            errors.append(error)
    return errors


# A file may have very many documents, which are looked at one by one.
@lru_cache(maxsize=4)
def _misreadings(text: str) -> tuple[Misreading, ...]:
    return tuple(misreadings(text))


@lru_cache(maxsize=4)
def _lines(text: str) -> list[str]:
    return _LINE_BREAK.split(text)


def _finding(
    path: Path, text: str, place: Span | None, rule: str, check: str, severity: FindingSeverity, message: str
) -> Finding:
    place = place or Span(1, 1, 2)
    lines = _lines(text)
    excerpt = lines[place.line - 1] if place.line <= len(lines) else ""
    return Finding(path, place, excerpt, rule, check, severity, " ".join(message.split()))
