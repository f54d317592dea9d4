"""Commands that put the rules where people work: plan, apply, remove."""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from sigma_stellar_aws.cli.options import (
    FILE,
    ca_file_option,
    exact_case_option,
    filters_option,
    index_option,
    published_option,
    rules_option,
)
from sigma_stellar_aws.cli.problems import as_click_errors, needs, note

if TYPE_CHECKING:
    from sigma.processing.pipeline import ProcessingPipeline

    from sigma_stellar_aws.base.json_types import Json, JsonObject
    from sigma_stellar_aws.install.kibana import Elastic
    from sigma_stellar_aws.install.merge import Side
    from sigma_stellar_aws.install.opensearch_alerting import OpenSearchAlerting
    from sigma_stellar_aws.install.plan import Step
    from sigma_stellar_aws.install.state import State
    from sigma_stellar_aws.query.store_profile import StoreProfile

CHANGES = 2
"""Exit code of ``plan``: there is something to do, or to decide."""

UNDECIDED = 3
"""Exit code of ``apply`` and ``remove``: done, but something was left as it is until somebody decides."""

_OPTION_NAMES = {"rule_paths": "rules", "filter_paths": "filter"}
_FORMATS = {"elastic": "elastic_rule", "opensearch": "opensearch_monitor"}
_LAST_WITHOUT_PREVIEW = 7


@dataclass(frozen=True)
class Place:
    """The live system that a command is about."""

    target: str
    url: str
    space: str
    ca_file: Path | None
    aws_region: str | None
    state_file: Path | None

    def named(self) -> dict[str, str]:
        """What tells it from others.

        Raises:
            StoreError: the URL is none, or holds credentials.
        """
        from sigma_stellar_aws.install.state import same_url
        from sigma_stellar_aws.store.client import check_url

        check_url(self.url, "https://search.example.com:9200")
        return {
            "target": self.target,
            "url": same_url(self.url),
            "space": self.space if self.target == "elastic" else "",
        }


@dataclass(frozen=True)
class Wanted:
    """What shall be there."""

    rule_paths: tuple[Path, ...]
    filter_paths: tuple[Path, ...]
    published: bool
    case_sensitive: bool
    ecs: bool
    index: str | None
    time_field: str | None
    store: Path | None
    stack: str | None
    monitor: str
    channel: str
    enabled: bool
    take: tuple[tuple[str, str], ...]
    prune: bool

    def named(self) -> "dict[str, Json]":
        """The options, as a kept plan has them."""
        values = json.loads(json.dumps(asdict(self), default=str))
        return {_OPTION_NAMES.get(name, name): value for name, value in values.items()}


class _Command(click.Command):
    """A command that ends with 1 on misuse, since 2 says that there is something to do."""

    def make_context(self, *what: Any, **more: Any) -> click.Context:
        with _misuse_is_an_error():
            return super().make_context(*what, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _misuse_is_an_error():
            return super().invoke(ctx)


@contextmanager
def _misuse_is_an_error() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        raise _Misuse(error.format_message(), error.ctx) from error


class _Misuse(click.UsageError):
    exit_code = 1


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_place_options = _options(
    click.argument("target", type=click.Choice([*_FORMATS])),
    click.option("--url", required=True, help="Kibana, such as https://kibana.example.com:5601, or OpenSearch."),
    click.option("--space", default="default", show_default=True, help="Kibana space (elastic)."),
    ca_file_option,
    click.option("--aws-region", metavar="REGION", help="Sign for Amazon OpenSearch Service in this region."),
    click.option(
        "--state",
        "state_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File with what was applied, one for all who apply.  [default: .sigma-stellar-aws/TARGET-HOST.json]",
    ),
)
_wanted_options = _options(
    rules_option,
    filters_option,
    published_option,
    exact_case_option,
    click.option("--ecs", is_flag=True, help="The events are in the fields of Elastic's AWS integration."),
    index_option,
    click.option("--time-field", help="Date field of the events.  [default: timestamp]"),
    click.option("--store", type=FILE, metavar="PROFILE", help="Store profile of the events: see the command profile."),
    click.option("--stack", help="Version of Kibana, such as 7.17 or 8.x (elastic).  [default: Kibana is asked]"),
    click.option(
        "--monitor",
        type=click.Choice(["query", "bucket", "document"]),
        default="query",
        show_default=True,
        help="Kind of monitor; document is one for all rules (opensearch).",
    ),
    click.option("--channel", default="", metavar="ID", help="Notification channel of new monitors (opensearch)."),
    click.option("--enabled", is_flag=True, help="What is made anew runs at once."),
    click.option(
        "--take",
        nargs=2,
        multiple=True,
        metavar="[ours|theirs] RULE",
        type=(click.Choice(["ours", "theirs"]), str),
        help="Who is right in the conflicts of a rule (id or title; all): the rule, or what is there; repeatable.",
    ),
    click.option("--prune", is_flag=True, help="Delete what was installed for rules that are no longer there."),
)
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
_yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command(cls=_Command)
@_place_options
@_wanted_options
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Keep the plan for apply --plan.")
@_json_option
def plan(output: Path | None, as_json: bool, **options: Any) -> None:
    """Show what apply would do to the rules in Kibana (elastic) or the monitors in OpenSearch. Changes nothing.

    Exit code 0: nothing is to be done. 2: something is to be done, or to be decided. 1: an error, misuse too.
    """
    place, wanted = _split(options)
    if output is not None and not output.parent.is_dir():
        raise click.ClickException(f"there is no folder {output.parent} for {output.name}")
    with needs("store"), as_click_errors():
        from sigma_stellar_aws.install import show
        from sigma_stellar_aws.install.plan import TO_DECIDE, TO_DO, as_plan

        steps = _prepared(place, wanted).steps
        content = as_plan(steps, place.named(), wanted.named())
        if output is not None:
            _write_private(output, json.dumps(content, indent=1) + "\n")
        if as_json:
            click.echo(json.dumps(content))
        else:
            show.write_plan(steps, sys.stdout)
    if any(step.status in TO_DO | TO_DECIDE for step in steps):
        sys.exit(CHANGES)


@click.command(cls=_Command)
@_place_options
@_wanted_options
@click.option("--plan", "plan_file", type=FILE, help="Do what this plan says (plan -o FILE), or nothing.")
@click.option("--no-dry-run", is_flag=True, help="Do not try each artefact out on the engine first.")
@_yes_option
@_json_option
def apply(plan_file: Path | None, no_dry_run: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Make the rules in Kibana (elastic) or the monitors in OpenSearch what plan shows.

    What somebody edited there stays. Exit code 0: all is done. 1: an error, as told, misuse too.
    3: done, but for what somebody has to decide.
    """
    place, wanted = _split(options)
    with needs("store"), as_click_errors():
        from sigma_stellar_aws.install.plan import as_plan, check_as_planned

        prepared = _prepared(place, wanted)
        if plan_file is not None:
            now = as_plan(prepared.steps, place.named(), wanted.named())
            check_as_planned(now, _content(plan_file), str(plan_file))
        dry_run = not no_dry_run
        if dry_run and not prepared.tries_out:
            note("note: Kibana 7.17 has no rule preview, so nothing is tried out first")
            dry_run = False
        _carry_out(prepared, place, dry_run=dry_run, yes=yes, as_json=as_json)


@click.command(cls=_Command)
@_place_options
@click.option("--only", multiple=True, metavar="RULE", help="Only what is for this rule (id or title); repeatable.")
@click.option("--force", is_flag=True, help="Also what somebody has edited.")
@_yes_option
@_json_option
def remove(only: tuple[str, ...], force: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Delete from Kibana (elastic) or OpenSearch what was installed from here, and nothing else.

    Exit code 0: all is done. 1: an error, as told, misuse too. 3: something was left, as told.
    """
    place = _place(options)
    with needs("store"), as_click_errors():
        from sigma_stellar_aws.install.plan import removal

        target, state = _connected(place)
        steps = removal(target.read({}), target, force=force)
        if only:
            names = {rule: [step for step in steps if rule in ("all", step.key, step.name)] for rule in only}
            for rule in (rule for rule, found in names.items() if not found):
                note(f"note: nothing is there for {rule!r} (any more)")
            steps = [step for step in steps if any(step in found for found in names.values())]
        _carry_out(_Prepared(target, state, steps), place, dry_run=False, yes=yes, as_json=as_json)


class _Prepared(NamedTuple):
    target: "Elastic | OpenSearchAlerting"
    state: "State"
    steps: "list[Step]"
    tries_out: bool = True


def _split(options: Mapping[str, Any]) -> tuple[Place, Wanted]:
    """Options of ``plan`` and ``apply``."""
    wanted = Wanted(**{field.name: options[field.name] for field in fields(Wanted)})
    place = _place({name: value for name, value in options.items() if name not in vars(wanted)})
    if place.target == "opensearch" and wanted.stack:
        raise click.UsageError("--stack is for elastic")
    if place.target == "elastic" and (wanted.channel or wanted.monitor != "query"):
        raise click.UsageError("--monitor and --channel are for opensearch")
    if wanted.ecs and wanted.published:
        raise click.UsageError("--published is not for --ecs")
    return place, wanted


def _place(options: Mapping[str, Any]) -> Place:
    place = Place(**options)
    if place.target == "opensearch" and place.space != "default":
        raise click.UsageError("--space is for elastic")
    if place.target == "elastic" and place.aws_region:
        raise click.UsageError("--aws-region is for opensearch")
    return place


def _connected(place: Place) -> tuple["Elastic | OpenSearchAlerting", "State"]:
    from sigma_stellar_aws.install.kibana import Elastic
    from sigma_stellar_aws.install.opensearch_alerting import OpenSearchAlerting
    from sigma_stellar_aws.install.state import State, default_file
    from sigma_stellar_aws.store.client import Aws, connect

    named = place.named()
    file = place.state_file or default_file(named["target"], named["url"], named["space"])
    state = State(file, " ".join(part for part in named.values() if part))
    if place.target == "elastic":
        return Elastic(place.url, place.space, place.ca_file, os.environ, state), state
    aws = Aws(place.aws_region) if place.aws_region else None
    with needs("aws"):
        client = connect(place.url, place.ca_file, os.environ, aws=aws)
    return OpenSearchAlerting(client, state), state


def _prepared(place: Place, wanted: Wanted) -> _Prepared:
    from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
    from sigma_stellar_aws.formats.elastic_rule import DEFAULT_STACK, stack_version
    from sigma_stellar_aws.install.kibana import Elastic
    from sigma_stellar_aws.install.opensearch_alerting import check_kind, monitors_by_rule
    from sigma_stellar_aws.install.plan import plan as make_plan
    from sigma_stellar_aws.query.store_profile import read_profile
    from sigma_stellar_aws.rule_files.load import load_rules

    _check_folders(wanted.rule_paths)
    rules = load_rules(*wanted.rule_paths, filters=wanted.filter_paths)
    profile = read_profile(wanted.store) if wanted.store else None
    target, state = _connected(place)
    stack = wanted.stack or (target.version() if isinstance(target, Elastic) else DEFAULT_STACK)
    try:
        known = stack_version(stack)
    except ValueError as error:
        raise click.UsageError(f"--stack {stack}: {error}") from error
    backend = StellarAwsBackend(
        _pipeline(wanted, profile),
        case_sensitive=wanted.case_sensitive,
        store=profile,
        stack=str(known),
        monitor=wanted.monitor,
        channel=wanted.channel,
        enabled=wanted.enabled,
    )
    with _warnings_told():
        bodies: list[JsonObject] = backend.convert(rules, _FORMATS[place.target])
    if not bodies:
        # To prune would delete all that is installed.
        raise click.ClickException("there are no rules to install")
    if isinstance(target, Elastic):
        artefacts = {str(body["rule_id"]): body for body in bodies}
    else:
        artefacts = monitors_by_rule(bodies)
    names = {key: str(body["name"]) for key, body in artefacts.items()}
    take = {key: cast("Side", side) for side, rule in wanted.take for key in _named(rule, names)}
    live = target.read(artefacts)
    if place.target == "opensearch" and not wanted.prune:
        check_kind(artefacts, live)
    if any(one.ours for one in live) and not state.file.exists():
        note(f"note: there is no state file {state.file}; were these rules applied from elsewhere, or with --state?")
    steps = make_plan(artefacts, live, target, take=take, prune=wanted.prune, installed=state.rules())
    return _Prepared(target, state, steps, tries_out=known.major > _LAST_WITHOUT_PREVIEW)


def _pipeline(wanted: Wanted, profile: "StoreProfile | None") -> "ProcessingPipeline":
    from sigma_stellar_aws.pipelines import ecs_aws_cloudtrail as ecs
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX, stellar_aws, stellar_aws_published
    from sigma_stellar_aws.reference.flat_schema import TIME_FIELD

    if wanted.ecs:
        return ecs.stellar_aws_ecs(wanted.index or ecs.INDEX, wanted.time_field or ecs.TIME_FIELD)
    pipeline = stellar_aws_published if wanted.published else stellar_aws
    flattened = profile is None or profile.flattened
    return pipeline(wanted.index or INDEX, wanted.time_field or TIME_FIELD, flattened=flattened)


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Each warning of the conversion as a line on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        note(f"note: {text}")


def _named(rule: str, names: Mapping[str, str]) -> list[str]:
    """The ids of the rules that a text names."""
    found = [key for key, name in names.items() if rule in ("all", key, name)]
    if not found:
        close = get_close_matches(rule, [*names, *names.values()], n=1)
        raise click.UsageError(
            f"{rule!r} is no id and no title of these rules" + (f"; did you mean {close[0]!r}?" if close else "")
        )
    return found


def _check_folders(paths: Sequence[Path]) -> None:
    """Refuse a folder with rules in files that are not read: what was installed for them would look like left over."""
    import yaml

    for file in (file for path in paths if path.is_dir() for file in sorted(path.rglob("*.yaml"))):
        if file.name.endswith(".test.yaml"):
            continue
        try:
            documents = list(yaml.safe_load_all(file.read_text("utf-8")))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise click.ClickException(f"{file} cannot be read, so that nobody knows whether it is a rule") from error
        if any(isinstance(one, dict) and "detection" in one for one in documents):
            raise click.ClickException(f"{file} is a rule, but of a folder only *.yml files are read; rename it")


def _content(file: Path) -> object:
    try:
        return json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        return None


def _write_private(file: Path, text: str) -> None:
    """Write a file that nobody else may read: it tells what is watched, and what is not."""
    with open(file, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        file.chmod(0o600)
        stream.write(text)


def _carry_out(prepared: _Prepared, place: Place, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from sigma_stellar_aws.install import show
    from sigma_stellar_aws.install.apply import carry_out
    from sigma_stellar_aws.install.plan import TO_DECIDE, TO_DO
    from sigma_stellar_aws.install.plan import as_json as steps_as_json

    target, state, steps, _ = prepared
    if not as_json:
        show.write_plan(steps, sys.stdout)
    if any(step.status in TO_DO for step in steps):
        if as_json and not yes:
            raise click.UsageError("--json does not ask; add --yes")
        if not yes:
            click.confirm(f"Do this in {place.url}?", abort=True, err=True)
        # What cannot be recorded is not to be done.
        state.write()
    tell = (lambda result: None) if as_json else (lambda result: show.write_result(result, sys.stdout))
    results = carry_out(steps, target, dry_run=dry_run, tell=tell)
    if as_json:
        done = [{"rule_id": r.step.key, "outcome": r.outcome, "remark": r.remark} for r in results]
        click.echo(json.dumps({**place.named(), "steps": steps_as_json(steps), "results": done}))
    failed = [result for result in results if result.outcome != "done"]
    if results:
        note(show.summary(results))
    made = [result.step for result in results if result.outcome == "done" and result.step.status == "create"]
    if off := sum(not step.wanted["enabled"] for step in made if step.wanted):
        note(f"note: {off} made switched off; switch them on there, or have them made switched on: --enabled")
    if failed:
        sys.exit(1)
    if left := sum(step.status in TO_DECIDE for step in steps):
        note(f"{left} left as they are until somebody decides, see above")
        sys.exit(UNDECIDED)
