"""Rules on disk: which files are rules, and what they hold."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias, cast

import yaml
from sigma.collection import NestedDict, SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError, SigmaRuleLocation
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from sigma_stellar_aws.base import yaml_positions
from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import CorrelationError
from sigma_stellar_aws.base.text import LOOSELY_ALIKE, did_you_mean, nearest
from sigma_stellar_aws.rule_files.as_written import misreadings
from sigma_stellar_aws.rule_files.choose import names_of
from sigma_stellar_aws.rule_files.correlations import counted_by, filter_errors, resolve_correlations, silenced
from sigma_stellar_aws.rule_files.find import correlations_path as correlations_path
from sigma_stellar_aws.rule_files.find import files_below as files_below
from sigma_stellar_aws.rule_files.find import filters_path as filters_path
from sigma_stellar_aws.rule_files.find import find_rule_files as find_rule_files
from sigma_stellar_aws.rule_files.find import find_unread_files as find_unread_files
from sigma_stellar_aws.rule_files.find import is_test_file as is_test_file
from sigma_stellar_aws.rule_files.find import is_yaml_file as is_yaml_file
from sigma_stellar_aws.rule_files.find import pack_path as pack_path
from sigma_stellar_aws.rule_files.nesting import MOST_LEVELS, levels
from sigma_stellar_aws.rule_files.regex_errors import with_regex_reason
from sigma_stellar_aws.rule_files.stated_correlation import (
    CorrelationFaultError,
    document_for_pysigma,
    keep_document,
    read_correlation,
    silenced_by_document,
)
from sigma_stellar_aws.rule_files.stellar_block import rule_name

AnyRule: TypeAlias = SigmaRule | SigmaCorrelationRule


def load_rules(
    *paths: Path | str,
    filters: Iterable[Path | str] = (),
    correlations: bool = False,
    alone: bool = False,
    collect_errors: bool = False,
) -> SigmaCollection:
    """Load the rules of files and folders, see ``find_rule_files``; by default the 29.

    >>> rules = load_rules()
    >>> len(rules.rules), rules.rules[0].title
    (29, 'AWS CloudWatch Alarm Deletion')
    >>> load_rules("rules/aws_kms_key_created.yml").rules[0].title
    'KMS Keys Creation'

    Args:
        paths: the files and folders.
        filters: files with Sigma filters to apply to the rules.
        correlations: whether to add the correlations of this project.
        alone: whether correlations may name rules that are not among these.
        collect_errors: keep what is wrong with a rule file in ``errors`` of the collection, and leave the file out.

    Raises:
        SigmaError: a file cannot be read as Sigma rules; the message names it.
        OSError: a file cannot be opened.
    """
    added = [correlations_path()] if correlations else []
    files = find_rule_files([*(paths or [pack_path()]), *added])
    parsed = [_parsed(file, collect_errors) for file in files]
    # pySigma's own look-up of references, which conversions do, names neither file nor line.
    collection = SigmaCollection.merge(parsed, resolve_references=False)
    of_faulty = [name for each in collection.errors if isinstance(each, CorrelationError) for name in each.silenced]
    collection.rules = silenced(collection.rules, of_faulty)
    named = [each for part in parsed for each in part.filters]
    collection.errors += filter_errors(named, collection.rules)
    if not collect_errors and not alone:
        wrong = resolve_correlations(collection.rules).errors
        # Those that are refused may be what another backend can convert.
        collection.errors += [error for error in wrong if isinstance(error, CorrelationError)]
    if collection.errors and not collect_errors:
        raise SigmaError("\n".join(str(error) for error in collection.errors))
    for file in filters:
        _apply_filters(collection, Path(file))
    return collection


def find_rules(name: str) -> list[SigmaRule]:
    """Load the rules of a file, or one of the 29 by its title, id or file name.

    Raises:
        NotFoundError: there is no such rule.
        SigmaError: the file cannot be read as Sigma rules.
        OSError: the file cannot be opened.
    """
    if Path(name).exists():
        found = load_rules(Path(name), alone=True).rules
    else:
        names = {alias: rule for rule in load_rules().rules for alias in names_of(rule)}
        if name not in names:
            hint = did_you_mean(nearest(name, names, LOOSELY_ALIKE))
            raise NotFoundError(f"{name!r} is neither a file nor the title or id of a rule of this project{hint}")
        found = [names[name]]
    rules = [rule for rule in found if isinstance(rule, SigmaRule)]
    if not rules:
        raise NotFoundError(f"{name}: it has no rule about single events")
    return rules


def correlation_file(name: str) -> Path | None:
    """Return the file of a name: itself, or that of one of our correlations by title, id or file name; None if none is.

    Raises:
        OSError: a file cannot be opened.
    """
    if Path(name).exists():
        return Path(name) if Path(name).is_file() else None
    ours = load_rules(correlations_path(), alone=True).rules
    named = (rule for rule in ours if isinstance(rule, SigmaCorrelationRule) and name in names_of(rule))
    return next((rule.source.path for rule in named if rule.source), None)


def load_correlations(file: Path) -> SigmaCollection:
    """Load the correlations of a file that no other counts, and what they count: out of the file, its folder or ours.

    Raises:
        SigmaError: the file cannot be read as Sigma rules.
        OSError: the file cannot be opened.
    """
    own = [rule for rule in load_rules(file, alone=True).rules if isinstance(rule, SigmaCorrelationRule)]
    names = {rule_name(rule) for rule in own}
    for paths in ([file], [file.parent], [file.parent, pack_path(), correlations_path()]):
        known = load_rules(*paths, alone=True, collect_errors=True).rules
        resolved = resolve_correlations(known)
        if names <= {each.name for each in resolved.correlations}:
            break
    inner = {member.name for each in resolved.correlations for member in each.members if each.name in names}
    chosen = [rule for rule in known if rule_name(rule) in names - inner and isinstance(rule, SigmaCorrelationRule)]
    return SigmaCollection([*chosen, *counted_by(known, chosen)], resolve_references=False)


def _apply_filters(collection: SigmaCollection, file: Path) -> None:
    parsed = _parse(file)
    if parsed.errors:
        raise SigmaError("\n".join(str(error) for error in parsed.errors))
    if parsed.rules or not parsed.filters:
        raise SigmaError("This file is not a Sigma filter", source=SigmaRuleLocation(file))
    if errors := filter_errors(parsed.filters, collection.rules):
        raise errors[0]
    for sigma_filter in parsed.filters:
        before = _conditions(collection)
        collection.rules = [_filtered(rule, sigma_filter) for rule in collection.rules]
        if _conditions(collection) == before:
            raise SigmaError(f"Filter {sigma_filter.title!r} applies to no rule", source=SigmaRuleLocation(file))


def _filtered(rule: SigmaRule | SigmaCorrelationRule, sigma_filter: SigmaFilter) -> SigmaRule | SigmaCorrelationRule:
    """Return a rule with a filter: one that still knows its file, and shares nothing with other rules.

    pySigma puts the same conditions into every rule, so that a pipeline would rename their fields once for each.
    """
    filtered = copy.deepcopy(sigma_filter).apply_on_rule(rule)
    filtered.source = rule.source
    return filtered


def _conditions(collection: SigmaCollection) -> list[str]:
    return [c for rule in collection.rules if isinstance(rule, SigmaRule) for c in rule.detection.condition]


def _parsed(file: Path, collect_errors: bool) -> SigmaCollection:
    try:
        return _parse(file)
    except SigmaError as error:
        if not collect_errors:
            raise
        return SigmaCollection([], errors=[error])


def _parse(file: Path) -> SigmaCollection:
    source = SigmaRuleLocation(file)
    try:
        text = file.read_text(encoding="utf-8")
        documents = yaml_positions.load_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SigmaError(f"This is not valid YAML: {error}", source=source) from error
    if doubles := yaml_positions.double_keys(text):
        place, key = doubles[0]
        raise SigmaError(f"Line {place.line} has the key {key!r} a second time in the same map", source=source)
    if misread := misreadings(text):
        raise SigmaError("; ".join(map(str, misread)), source=source)
    if not all(isinstance(document, dict) or document is None for document in documents):
        raise SigmaError("This is not a Sigma rule: a rule is a map of keys and values", source=source)
    documents, correlations, faults = _correlations_read(documents, text, file)
    try:
        maps = cast("list[NestedDict]", documents)
        collection = SigmaCollection.from_dicts(maps, True, source, collect_filters=True, resolve_references=False)
        collection.errors = [*faults, *(with_regex_reason(error, source) for error in collection.errors)]
    except SigmaError:
        raise
    except Exception as error:
        # pySigma lets errors of any class out where a value is of a type that it does not expect.
        raise SigmaError(f"This cannot be read as a Sigma rule: {error}", source=source) from error
    read = [rule for rule in collection.rules if isinstance(rule, SigmaCorrelationRule)]
    for correlation, document in zip(read, correlations, strict=True):
        keep_document(correlation, document)
    for rule in collection.rules:
        if isinstance(rule, SigmaRule) and not all(isinstance(c, str) for c in rule.detection.condition):
            raise SigmaError(f"Rule {rule.title!r}: a condition must be a text", source=source)
        if (
            isinstance(rule, SigmaRule)
            and (deepest := max(map(levels, rule.detection.condition), default=0)) > MOST_LEVELS
        ):
            raise SigmaError(
                f"Rule {rule.title!r}: its condition has {deepest:,} parentheses and 'not' within each other; "
                f"{MOST_LEVELS} are allowed",
                source=source,
            )
    return collection


def _correlations_read(
    documents: list[Json], text: str, file: Path
) -> tuple[list[Json], list[JsonObject], list[SigmaError]]:
    """Return documents with correlations as pySigma reads them right, those as they are written, and what is wrong."""
    for_pysigma: list[Json] = []
    correlations: list[JsonObject] = []
    faults: list[SigmaError] = []
    for number, document in enumerate(documents):
        if not isinstance(document, dict) or "correlation" not in document or "action" in document:
            for_pysigma.append(document)
            continue
        try:
            stated = read_correlation(document)
        except CorrelationFaultError as fault:
            place = SigmaRuleLocation(file, yaml_positions.line_of(text, fault.path, number))
            silenced = silenced_by_document(document)
            faults.append(CorrelationError(str(document.get("title")), fault.reason, place, silenced=silenced))
            continue
        correlations.append(document)
        for_pysigma.append(document_for_pysigma(document, stated))
    return for_pysigma, correlations, faults
