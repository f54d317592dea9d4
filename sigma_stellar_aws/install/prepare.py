"""From rules and a live system to the steps of a plan."""

import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.errors import MisuseError, NotFoundError, UserError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import LOOSELY_ALIKE, did_you_mean, nearest
from sigma_stellar_aws.formats.document_monitor import is_for_all_rules, pattern_refusal
from sigma_stellar_aws.formats.elastic_rule import DEFAULT_STACK, Stack, stack_version
from sigma_stellar_aws.formats.opensearch_detector import detector_artefacts
from sigma_stellar_aws.formats.opensearch_monitor import SHOWN
from sigma_stellar_aws.install.kibana import FIRST_WITH_PREVIEW, Elastic
from sigma_stellar_aws.install.merge import Side
from sigma_stellar_aws.install.monitor_body import monitors_by_rule
from sigma_stellar_aws.install.opensearch_alerting import OpenSearchAlerting, check_kind
from sigma_stellar_aws.install.opensearch_detector import SecurityAnalytics
from sigma_stellar_aws.install.plan import LeftOut, Live, Step
from sigma_stellar_aws.install.plan import plan as make_plan
from sigma_stellar_aws.install.request import Location, RuleOptions
from sigma_stellar_aws.install.state import State, default_file, one_at_a_time
from sigma_stellar_aws.pipelines import ecs_aws_cloudtrail as ecs
from sigma_stellar_aws.pipelines.stellar_aws import STELLAR_INDEX, stellar_aws, stellar_aws_published
from sigma_stellar_aws.query.store_profile import StoreProfile, read_profile
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, flat_name
from sigma_stellar_aws.rule_files.choose import choose_rules, names_of
from sigma_stellar_aws.rule_files.correlations import is_only_counted
from sigma_stellar_aws.rule_files.load import AnyRule, correlation_file, find_rules, load_rules
from sigma_stellar_aws.rule_files.stellar_block import rule_name
from sigma_stellar_aws.store.client import Aws, connect

_STAYS = "\nwhat is there for it stays, and nothing is called left over while it cannot be read"

LiveSystem: TypeAlias = Elastic | OpenSearchAlerting | SecurityAnalytics
"""What rules can be installed in."""
OnExit: TypeAlias = Callable[[Callable[[], None]], object]
"""Keeps a function to call when all is done."""


class Prepared(NamedTuple):
    """A live system and what is to be done there."""

    target: LiveSystem
    state: State
    steps: list[Step]
    no_dry_run: str = ""
    """Why the system cannot try an artefact out before it is installed; empty if it can."""


def connected(location: Location, on_exit: OnExit, *, changes: bool = False) -> tuple[LiveSystem, State]:
    """Return the live system and what was applied to it, without talking to it yet.

    Args:
        location: the live system.
        on_exit: is given what closes the connections, such as ``ExitStack.callback``.
        changes: whether something is to be changed, which nobody else may do with this state file meanwhile: each of
            two would make what is missing.

    Raises:
        StoreError: URL, space, credentials or state file are not as they should be.
        OSError: the state file cannot be read, or somebody else changes something.
        ModuleNotFoundError: a package is missing by which requests to Amazon OpenSearch Service are signed.
    """
    identity = location.identity()
    file = location.state_file or default_file(identity["target"], identity["url"], identity["space"])
    if changes:
        on_exit(one_at_a_time(file))
    state = State(file, " ".join(part for part in identity.values() if part))
    if location.target == "elastic":
        kibana = Elastic(location.url, location.space, location.ca_file, os.environ, state)
        on_exit(kibana.close)
        return kibana, state
    aws = Aws(location.aws_region) if location.aws_region else None
    client = connect(location.url, location.ca_file, os.environ, aws=aws)
    on_exit(client.close)
    return (SecurityAnalytics if location.detector else OpenSearchAlerting)(client, state), state


def prepare(
    location: Location, options: RuleOptions, tell: Callable[[str], None], on_exit: OnExit, *, changes: bool = False
) -> Prepared:
    """Convert the rules, look at what is there, and decide what is to be done.

    A rule that cannot be carried, or a file that cannot be read, is a step with the reason; all others go on.

    Args:
        location: the live system.
        options: which rules, and how they are converted.
        tell: is told what else there is to know, a line at a time.
        on_exit: as of :func:`connected`.
        changes: as of :func:`connected`.

    Raises:
        SigmaError: if the options are strict: a rule file cannot be read, or a rule cannot be carried; a file also
            where one artefact is for many rules.
        StoreError: the live system cannot be asked, or is not one of this kind.
        NotFoundError: an option names a rule that is not there, or no rule can be installed.
        UserError: the version of Kibana is not one that rules can be made for, or a file cannot be read and what no
            rule is for is to be deleted.
    """
    _refuse_pattern(location, options)
    all_rules, unread = _readable(location, options)
    if unread and options.prune:
        raise UserError(f"--prune needs all rule files, since it deletes what no rule is for\n{_named(unread)}")
    try:
        rules = choose_rules(all_rules, options.only, options.exclude)
    except NotFoundError as error:
        raise NotFoundError(f"{error}\n{_named(unread)}" if unread else str(error)) from error
    chosen = [rule for rule in rules.rules if not is_only_counted(rule)]
    called = {rule_name(rule): names_of(rule) for rule in chosen}
    twins = {rule_name(rule): _related(rule) for rule in chosen}
    passed_over = {rule_name(rule) for rule in all_rules.rules} - {*called}
    profile = read_profile(options.store) if options.store else None
    target, state = connected(location, on_exit, changes=changes)
    stack = _stack(options, target)
    artefacts, left_out = _artefacts(rules, location, options, profile, stack, tell, unread)
    names = {key: [key, str(body["name"]), *called.get(key, ())] for key, body in artefacts.items()}
    for key in (key for rule in options.building_block for key in _keys(rule, names)):
        artefacts[key]["building_block_type"] = "default"
    take = {key: cast(Side, side) for side, rule in options.take for key in _keys(rule, names)}
    live = [one for one in target.read(artefacts) if _concerns(one, options, passed_over, artefacts)]
    if isinstance(target, OpenSearchAlerting) and not options.prune:
        check_kind(artefacts, live)
    if any(one.ours for one in live) and not state.file.exists():
        tell(f"note: there is no state file {state.file}; were these rules applied from elsewhere, or with --state?")
    if unread:
        # What seems to be left over may be of a rule that cannot be read.
        live = [one for one in live if one.key in {*artefacts, *(rule.key for rule in left_out)}]
    steps = make_plan(
        artefacts, live, target, take=take, prune=options.prune, installed=state.rules(), left_out=left_out
    )
    if isinstance(target, Elastic):
        for remark in target.remarks(steps, twins):
            tell(remark)
    return Prepared(target, state, steps, _no_dry_run(location, stack))


def _readable(location: Location, options: RuleOptions) -> tuple[SigmaCollection, list[LeftOut]]:
    """Load the rules, and tell apart the files that cannot be read.

    Where one artefact is for many rules, a file that cannot be read is an error: its rule would be taken out of there.
    """
    strict = options.strict or _for_many_rules(location, options)
    loaded = load_rules(
        *options.rule_paths,
        filters=options.filter_paths,
        correlations=options.correlations,
        collect_errors=not strict,
    )
    reasons: dict[Path, list[str]] = {}
    for error in loaded.errors:
        if error.source is None:
            raise error
        reasons.setdefault(error.source.path, []).append(str(error.args[0]))
    good = [rule for rule in loaded.rules if rule.source is None or rule.source.path not in reasons]
    unread = [LeftOut(str(file), file.name, _unread(file, "; ".join(texts))) for file, texts in reasons.items()]
    # References are resolved by the conversion, where an error names the rule.
    return SigmaCollection([*good], resolve_references=False) if unread else loaded, unread


def _unread(file: Path, reason: str) -> str:
    line = "" if re.search(r"\bline \d", reason, re.IGNORECASE) else f"; the line: sigma-stellar-aws check {file}"
    return f"{reason}{line}{_STAYS}"


def _named(unread: Sequence[LeftOut]) -> str:
    return "\n".join(f"cannot be read: {one.key}: {one.reason.partition(_STAYS)[0]}" for one in unread)


def _no_dry_run(location: Location, stack: Stack) -> str:
    """Return why nothing can be tried out before it is installed; empty if it can be."""
    if location.detector:
        return "Security Analytics cannot run a detector before it is made"
    if location.target == "elastic" and stack < FIRST_WITH_PREVIEW:
        return "Kibana 7.17 has no rule preview"
    return ""


def _related(rule: AnyRule) -> list[str]:
    """Return the ids of the rules that a rule names as related; some are Elastic's own."""
    return [str(other.id) for other in rule.related.related] if isinstance(rule, SigmaRule) and rule.related else []


def _keys(name: str, names: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the keys of the artefacts that a name stands for.

    Raises:
        NotFoundError: there is no such artefact.
    """
    found = [key for key, known in names.items() if name == "all" or name in known]
    if not found:
        hint = did_you_mean(nearest(name, [each for known in names.values() for each in known], LOOSELY_ALIKE))
        raise NotFoundError(f"{name!r} is not the title, id or file of one of these rules{hint}")
    return found


def _concerns(live: Live, options: RuleOptions, passed_over: set[str], artefacts: Mapping[str, JsonObject]) -> bool:
    """Return whether a plan is about a live artefact: not if its rule was not chosen."""
    if live.key in artefacts or is_for_all_rules(live.key):
        return True
    return not options.only and live.key not in passed_over


def _stack(options: RuleOptions, target: LiveSystem) -> Stack:
    """Return the version of Kibana that rules are made for: the one that is asked for, else the one that runs."""
    asked = options.stack or (target.version() if isinstance(target, Elastic) else DEFAULT_STACK)
    try:
        stack = stack_version(asked)
    except ValueError as error:
        raise MisuseError(f"--stack {asked}: {error}") from error
    if options.stack and isinstance(target, Elastic):
        target.go_by(stack)
    return stack


def _artefacts(
    rules: SigmaCollection,
    location: Location,
    options: RuleOptions,
    profile: StoreProfile | None,
    stack: Stack,
    tell: Callable[[str], None],
    unread: Sequence[LeftOut],
) -> tuple[dict[str, JsonObject], list[LeftOut]]:
    """Return the artefacts by the ids of their rules, and the rules that cannot be carried or read."""
    backend = StellarAwsBackend(
        _pipeline(options, profile),
        collect_errors=not options.strict,
        case_sensitive=options.case_sensitive,
        store=profile,
        stack=str(stack),
        monitor=options.monitor,
        channel=options.channel,
        enabled=options.enabled,
        inexact="warn" if options.inexact else "refuse",
    )
    with _warnings_told(tell):
        made: list[Any] = backend.convert(rules, _format(location))
    left_out = [LeftOut(rule_name(rule), rule.title, _reason(rule, error)) for rule, error in backend.errors]
    left_out += unread
    if not made:
        # To prune would delete all that is installed.
        reasons = "".join(f"\n{one.name}: {one.reason}" for one in left_out)
        raise UserError(f"there are no rules to install{reasons}")
    if location.target == "elastic":
        return {str(body["rule_id"]): body for body in made}, left_out
    if location.detector:
        return _detector(made, options, profile), left_out
    return monitors_by_rule(made), left_out


def _for_many_rules(location: Location, options: RuleOptions) -> bool:
    return location.detector or (location.target == "opensearch" and options.monitor == "document")


def _format(location: Location) -> str:
    if location.target == "elastic":
        return "elastic_rule"
    return "opensearch_detector" if location.detector else "opensearch_monitor"


def _detector(texts: Sequence[str], options: RuleOptions, profile: StoreProfile | None) -> dict[str, JsonObject]:
    flattened = profile is None or profile.flattened
    shown = [flat_name(field) if flattened else field for field in SHOWN]
    return detector_artefacts(texts, options.index or STELLAR_INDEX, options.channel, shown, enabled=options.enabled)


def _refuse_pattern(location: Location, options: RuleOptions) -> None:
    """Refuse an index pattern where OpenSearch takes none.

    Raises:
        UserError: the index is a pattern.
    """
    if _for_many_rules(location, options):
        what = "a detector" if location.detector else "a document-level monitor"
        if reason := pattern_refusal([options.index or STELLAR_INDEX], what):
            raise UserError(reason)


def _reason(rule: AnyRule, error: SigmaError) -> str:
    """Return why a rule is left out, without its title and its file, which are told beside."""
    return str(getattr(error, "reason", "") or error.args[0]).removeprefix(f"Rule {rule.title!r}: ")


def _pipeline(options: RuleOptions, profile: StoreProfile | None) -> ProcessingPipeline:
    if options.ecs:
        return ecs.stellar_aws_ecs(options.index or ecs.ECS_INDEX, options.time_field or ecs.ECS_TIME_FIELD)
    pipeline = stellar_aws_published if options.published else stellar_aws
    flattened = profile is None or profile.flattened
    return pipeline(options.index or STELLAR_INDEX, options.time_field or TIME_FIELD, flattened=flattened)


@contextmanager
def _warnings_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell each warning of the conversion once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        tell(f"note: {text}")


def installed_for(name: str, steps: Sequence[Step]) -> set[str]:
    """Return the keys of what is installed for a rule.

    Args:
        name: title or id of what is installed, or a rule of this project or a rule file, as ``find_rules`` takes it.
        steps: one for each artefact that is installed.

    Raises:
        NotFoundError: nothing is installed for a rule of that name, and no such rule is known here.
        SigmaError: the name is that of a file, which cannot be read as Sigma rules.
        OSError: the file cannot be opened.
    """
    found = {step.key for step in steps if name in ("all", step.key, step.name)}
    if found:
        return found
    try:
        file = correlation_file(name)
        rules: Sequence[AnyRule] = load_rules(file, alone=True).rules if file else find_rules(name)
    except NotFoundError as error:
        hint = did_you_mean(nearest(name, [each for step in steps for each in (step.name, step.key)], LOOSELY_ALIKE))
        raise NotFoundError(f"nothing is installed for {name!r}{hint}" if hint else str(error)) from error
    return {step.key for step in steps} & {rule_name(rule) for rule in rules}
