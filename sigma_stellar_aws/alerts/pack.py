"""Convert rules to the one query that asks for all of them."""

import copy
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaDetection, SigmaRule

from sigma_stellar_aws.alerts.pack_rule import NO_OVERRIDE as NO_OVERRIDE
from sigma_stellar_aws.alerts.pack_rule import Guide
from sigma_stellar_aws.alerts.pack_rule import Override as Override
from sigma_stellar_aws.alerts.pack_rule import Pack as Pack
from sigma_stellar_aws.alerts.pack_rule import PackRule as PackRule
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import InexactQueryWarning, UnsupportedRuleError, reason_of
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import StoreProfile
from sigma_stellar_aws.rule_files.correlations import converted_all_the_same, is_only_counted, resolve_correlations
from sigma_stellar_aws.rule_files.counted import Correlation
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.stellar_block import (
    Suppression,
    correlation_window,
    rule_name,
    severity,
    suppression,
    tactics,
    techniques,
    triage,
)


def convert_pack(
    rules: SigmaCollection,
    pipeline: ProcessingPipeline,
    *,
    case_sensitive: bool = False,
    store: StoreProfile | None = None,
    override: Override = NO_OVERRIDE,
    strict: bool = False,
    scripts: bool = False,
) -> Pack:
    """Convert rules to a pack; the rules are changed by that, so load them anew to convert them again.

    A rule that cannot be converted, or could not be loaded, is left out, and the pack says why; so is a correlation
    that counts one of them. With a store profile, what the store can answer is converted as well as can be. An override
    replaces window or fields of every rule's suppression, and the window of correlations. Only with ``scripts`` a store
    may be asked by a script.

    Raises:
        SigmaError: no rule can be converted, or there is none; or, if ``strict``, one cannot be.
    """
    if strict and rules.errors:
        raise rules.errors[0]
    backend = StellarAwsBackend(
        pipeline,
        collect_errors=not strict,
        case_sensitive=case_sensitive,
        store=store,
        inexact="refuse" if store is None else "warn",
        scripts=scripts,
    )
    # Without a store, the query is evaluated in process.
    backend.searches_files = store is None
    backend.most_clauses = None
    single = _single(rules, override, strict)
    query, doubts = _query(backend, single.rules)
    asked = dict(dsl.named_clauses(query)) if query else {}
    known = single.known
    if store is None:
        known |= {name: known[name]._replace(asked=json.dumps(clause)) for name, clause in asked.items()}
    not_asked = [(rule, error) for rule, error in backend.errors if rule_name(rule) not in asked]
    left_out = {rule_name(rule): reason_of(error) for rule, error in [*single.errors, *not_asked]}
    counted = _counted(rules, left_out, known, override)
    if strict and counted.errors:
        raise counted.errors[0]
    errors = [*rules.errors, *(error for _, error in [*single.errors, *backend.errors]), *counted.errors]
    if query is None:
        if len(errors) == 1:
            raise errors[0]
        raise SigmaError("; ".join(map(str, errors)) or "there are no rules to convert")
    return Pack(
        query, known | counted.rules, [*map(str, errors)], doubts, counted.correlations, frozenset(counted.silent)
    )


class _Single(NamedTuple):
    """The rules about single events."""

    known: dict[str, PackRule]
    """What is known of them by their names; of those with the same id, the first, which the backend keeps."""
    rules: list[SigmaRule]
    errors: list[tuple[SigmaRule, SigmaError]]
    """Those that are left out, and why."""


def _single(rules: SigmaCollection, override: Override, strict: bool) -> _Single:
    """Return the rules about single events that can be converted; if ``strict``, raise what is wrong with the first."""
    single = _Single({}, [], [])
    for rule in rules.rules:
        if rule.errors or isinstance(rule, SigmaCorrelationRule):
            # Their errors are among those of the collection.
            continue
        try:
            single.known.setdefault(rule_name(rule), _pack_rule(rule, override))
            single.rules.append(converted_all_the_same(rule))
        except SigmaError as error:
            if strict:
                raise
            single.errors.append((rule, error))
    return single


def _query(backend: StellarAwsBackend, rules: list[SigmaRule]) -> tuple[Clause | None, list[InexactQueryWarning]]:
    """Return the query that asks for some rules, None where none can be converted, and what is inexact about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bodies = backend.convert(SigmaCollection([*rules], resolve_references=False), "pack")
    doubts = [warning.message for warning in caught if isinstance(warning.message, InexactQueryWarning)]
    return bodies[0]["query"] if bodies else None, doubts


class _Counted(NamedTuple):
    correlations: list[Correlation]
    rules: dict[str, PackRule]
    silent: set[str]
    errors: list[SigmaError]


def _counted(
    rules: SigmaCollection, left_out: Mapping[str, str], known: Mapping[str, PackRule], override: Override
) -> _Counted:
    """Return the correlations of rules that were converted; those of others are errors."""
    resolved = resolve_correlations(rules.rules, left_out)
    stated = {rule_name(rule): rule for rule in reversed(rules.rules) if isinstance(rule, SigmaCorrelationRule)}
    counted = _Counted([], {}, resolved.silent, [*resolved.errors])
    counted.silent.update(rule_name(rule) for rule in rules.rules if is_only_counted(rule))
    for correlation in resolved.correlations:
        name, rule = correlation.name, stated[correlation.name]
        try:
            if lost := [member.title for member in correlation.members if member.name not in {*known, *counted.rules}]:
                raise UnsupportedRuleError(correlation.title, f"the rule {lost[0]!r} is left out", rule.source)
            if name in known or name in counted.rules:
                raise UnsupportedRuleError(correlation.title, f"another rule has the same id ({name})", rule.source)
            counted.rules[name] = _correlation_rule(rule, correlation, override)
            counted.correlations.append(correlation)
        except SigmaError as error:
            counted.errors.append(error)
    return counted


def _correlation_rule(rule: SigmaCorrelationRule, correlation: Correlation, override: Override) -> PackRule:
    window = correlation_window(rule)
    return PackRule(
        correlation.name,
        correlation.title,
        severity(rule),
        rule.author or "",
        Suppression(window if override.window is None else override.window, correlation.group_by),
        tuple(tactics(rule)),
        tuple(techniques(rule)),
        correlation,
        _guide(rule),
    )


def asked_in_process(rules: SigmaCollection | None, name: str, published: bool, case_sensitive: bool) -> str:
    """Return a rule's query as it is evaluated in process, as JSON; nothing where it has none, as a correlation."""
    stated = next((rule for rule in (rules or load_rules()).rules if rule_name(rule) == name), None)
    if not isinstance(stated, SigmaRule):
        return ""
    alone = SigmaCollection([copy.deepcopy(stated)], resolve_references=False)
    pipeline = stellar_aws_published if published else stellar_aws
    try:
        return convert_pack(alone, pipeline(), case_sensitive=case_sensitive).rules[name].asked
    except SigmaError:
        # Such as a comparison that only a store makes.
        return ""


def _pack_rule(rule: SigmaRule, override: Override) -> PackRule:
    stated = suppression(rule)
    return PackRule(
        rule_name(rule),
        rule.title,
        severity(rule),
        rule.author or "",
        Suppression(stated.window if override.window is None else override.window, override.fields or stated.fields),
        tuple(tactics(rule)),
        tuple(techniques(rule)),
        guide=_guide(rule),
        fields=tuple(dict.fromkeys(field for each in rule.detection.detections.values() for field in _fields(each))),
    )


def _guide(rule: SigmaRule | SigmaCorrelationRule) -> Guide:
    return Guide((rule.description or "").strip(), _texts(rule.falsepositives), _texts(rule.references), triage(rule))


def _texts(values: list[str] | None) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


def _fields(detection: SigmaDetection) -> Iterator[str]:
    for item in detection.detection_items:
        if isinstance(item, SigmaDetection):
            yield from _fields(item)
        elif item.field:
            yield item.field


def pack_fields() -> set[str]:
    """Return the flattened names of all fields that the 29 rules test, published or corrected, or suppress by."""
    names: set[str] = set()
    for pipeline in (stellar_aws(), stellar_aws_published()):
        pack = convert_pack(load_rules(), pipeline)
        names.update(dsl.fields(pack.query), *pack.keys().values())
    return names
