"""Read every rule, correlation and filter of a file with its position, and find what is wrong with the rest."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
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
from sigma.rule import SigmaLevel, SigmaRule, SigmaStatus
from yaml.reader import ReaderError

from sigma_stellar_aws.authoring.error_hints import encoding_fault, error_hint, plainer, plainer_text, yaml_hint
from sigma_stellar_aws.authoring.faulty_parts import without_parts
from sigma_stellar_aws.authoring.issue_positions import find_text
from sigma_stellar_aws.base import yaml_positions
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.text import LOOSELY_ALIKE, nearest
from sigma_stellar_aws.base.yaml_positions import Span, YamlPath
from sigma_stellar_aws.rule_files.as_written import Misreading, misreadings
from sigma_stellar_aws.rule_files.load import AnyRule
from sigma_stellar_aws.rule_files.regex_errors import with_regex_reason
from sigma_stellar_aws.rule_files.stated_correlation import CorrelationFaultError, read_correlation
from sigma_stellar_aws.validators.unknown_keys import misspelt_condition

FindingSeverity: TypeAlias = Literal["low", "medium", "high"]
FINDING_SEVERITIES: tuple[FindingSeverity, ...] = ("low", "medium", "high")
"""The severities of pySigma, from a matter of style to a rule that does not do what it should."""

# As YAML counts lines.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
# By the class of pySigma's error, without "Sigma" and "Error" in its name.
_PLACES_OF_ERRORS: Mapping[str, YamlPath] = {
    "Condition": ("detection", "condition"),
    "CorrelationCondition": ("correlation", "condition"),
    "CorrelationRule": ("correlation",),
    "CorrelationType": ("correlation", "type"),
    "FilterCondition": ("filter", "condition"),
    "FilterRuleReference": ("filter", "rules"),
    "Identifier": ("id",),
    "Modifier": ("detection",),
    "Recursion": ("detection", "condition"),
    "RegularExpression": ("detection",),
    "Timespan": ("correlation", "timespan"),
    "Type": ("detection",),
    "Value": ("detection",),
}
# What pySigma's messages quote, or name without quotes.
_NAMED = re.compile(r"'([^']+)'|CIDR expression: ([^\s']+) |^(\S+) is not a Sigma")
# What is not closed, and a line without its colon, is told where it begins.
_NOTICED_LATE = ("end of stream", "could not find expected ':'")
_LIST_WANTED = re.compile(r"Sigma (?:rule )?(\w+) (?:fields )?must be a list")
_OF_WHAT_IS_MISREAD = (SigmaConditionError, SigmaModifierError, SigmaTypeError, SigmaValueError)
# https://github.com/SigmaHQ/sigma-specification; pySigma accepts other things in them, on which validators fail.
_LISTS_OF_TEXTS = ("references", "tags", "falsepositives", "fields")


_ENUMERATED: Mapping[YamlPath, type[SigmaLevel | SigmaStatus]] = {("level",): SigmaLevel, ("status",): SigmaStatus}


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


def _read_document(file: Path, text: str, number: int, documents: Sequence[Json], content: FileContent) -> None:
    """Add one document of a file to what was read from it."""
    document = documents[number]
    place = yaml_positions.place_of(text, (), number)
    title = str(document.get("title", file.name)) if isinstance(document, dict) else file.name
    if isinstance(document, dict) and document.get("action") in ("global", "reset"):
        return
    content.checked.append(CheckedDocument(file, title, place.line if place else 1))
    if not isinstance(document, dict):
        message = "This is not a Sigma rule: a rule is a map of keys and values."
        content.findings.append(_finding(file, text, place, title, "sigma", "high", message))
        return
    try:
        rule, references, errors = _parse(documents[: number + 1], SigmaRuleLocation(file))
    except Exception as error:
        # pySigma raises errors of any class if a value has a type that it does not expect.
        errors = [plainer(error, document)]
    if errors and (of_correlation := _correlation_fault(document)):
        # pySigma says less about it, or fails.
        errors = [of_correlation]
    misread = [found for found in _misreadings(text) if found.document == number]
    for found in misread:
        end = "" if found.reason.endswith("?") else "."
        content.findings.append(_finding(file, text, found.span, title, "as_written", "high", f"{found.reason}{end}"))
    if misread:
        # pySigma says less about the same parts, or fails on them.
        errors = [e for e in errors if isinstance(e, SigmaError) and not isinstance(e, _OF_WHAT_IS_MISREAD)]
    odd_entries = _entries_not_strings(document)
    for at, severity, message in _of_form(document, odd_entries):
        place = yaml_positions.place_of(text, at, number)
        content.findings.append(_finding(file, text, place, title, "sigma", severity, message))
    errors = [error for error in errors if not (odd_entries and "tags must be a list of strings" in str(error))]
    if not errors and not misread and not odd_entries:
        content.subjects.append(Subject(file, text, number, title, document, rule, references))
        return
    faults = [*(found.path for found in misread), *odd_entries]
    rest = document
    while True:
        for fault in errors:
            if isinstance(fault, CorrelationFaultError):
                place = yaml_positions.place_of(text, fault.path, number)
                message = sentence(fault.reason)
                content.findings.append(_finding(file, text, place, title, "correlation", "high", message))
                return
            at = _place_of_error(rest, fault)
            shown_at, message = _told(fault, at, rest)
            place = yaml_positions.place_of(text, shown_at, number)
            content.findings.append(_finding(file, text, place, title, "sigma", "high", message))
            faults.append(at)
        # What is not wrong is judged all the same.
        remainder = None if _has_templates(documents) else without_parts(document, faults)
        if remainder is None or (errors and remainder.document == rest):
            return
        rest = remainder.document
        try:
            rule, references, errors = _parse([rest], SigmaRuleLocation(file))
        except Exception:
            return
        if not errors:
            lacks = (remainder.left_out, remainder.asks_less)
            content.subjects.append(Subject(file, text, number, title, document, rule, references, *lacks))
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
    for at, choices in _ENUMERATED.items():
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


def _told(fault: Exception, at: YamlPath, document: JsonObject) -> tuple[YamlPath, str]:
    """Return where an error that is about a path is shown, and what is said of it."""
    misspelt = misspelt_condition(document.get(str(at[0]))) if at else None
    message = sigma_error_text(fault)
    hint = _choices(at, document) or error_hint(message, at, document)
    return (at[0], misspelt) if misspelt else at, message + hint


def _choices(at: YamlPath, document: JsonObject) -> str:
    """Say what to write where a key has one of a few values; empty for any other key."""
    choices = [choice.name.lower() for choice in _ENUMERATED.get(at, ())]
    if not choices:
        return ""
    close = nearest(str(document.get(str(at[0]))), choices, LOOSELY_ALIKE)
    return f"; write {close or ' or '.join((', '.join(choices[:-1]), choices[-1]))}"


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


def _place_of_error(document: JsonObject, error: Exception) -> YamlPath:
    """Return the path to what an error of pySigma names, or else to the section that it is about."""
    name = type(error).__name__.removeprefix("Sigma").removesuffix("Error")
    section = _PLACES_OF_ERRORS.get(name, (name.lower(),))
    if section[0] not in document and "filter" in document:
        section = ("filter", *section[1:])
    message = str(error)
    if (key := _LIST_WANTED.match(message)) and key[1] in document:
        return (key[1],)
    if message.startswith("Sigma tag must") and isinstance(tags := document.get("tags"), list):
        return next((("tags", number) for number, tag in enumerate(tags) if "." not in str(tag)), ("tags",))
    named = (find_text(document, section[:1], text) for found in _NAMED.findall(message) for text in found if text)
    return next(filter(None, named), section)


def sigma_error_text(error: Exception) -> str:
    """Return the message of an error without the path of the file, which a finding has already."""
    if isinstance(error, RecursionError):
        return plainer_text(str(error))
    if not isinstance(error, SigmaError):
        return f"pySigma cannot read this: {type(error).__name__}: {error}"
    return plainer_text(str(error).removesuffix(f" in {error.source}"))


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
