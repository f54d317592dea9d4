"""What the commands plan, apply and remove share: options, exit codes, and doing what a plan says."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import click

from sigma_stellar_aws.cli.complete import complete_rules
from sigma_stellar_aws.cli.options import (
    FILE,
    OUTPUT_FILE,
    ca_file_option,
    choice_options,
    exact_case_option,
    filters_option,
    index_option,
    options,
    published_option,
    rules_option,
    strict_option,
    timeout_option,
)
from sigma_stellar_aws.cli.problems import note
from sigma_stellar_aws.install import show
from sigma_stellar_aws.install.apply import Result, carry_out
from sigma_stellar_aws.install.plan import TO_DECIDE, TO_DO, Step, steps_as_json
from sigma_stellar_aws.install.prepare import Prepared
from sigma_stellar_aws.install.request import Location, RuleOptions

UNDECIDED = 3
"""Exit code of ``apply`` and ``remove``: done, but something was left as it is until somebody decides.

Of ``plan`` and ``apply`` also: a rule was left out.
"""


location_options = options(
    click.argument("target", type=click.Choice(["elastic", "opensearch"])),
    click.option("--url", required=True, help="Kibana, such as https://kibana.example.com:5601, or OpenSearch."),
    click.option("--space", default="default", show_default=True, help="Kibana space (elastic)."),
    ca_file_option,
    timeout_option,
    click.option("--aws-region", metavar="REGION", help="Sign for Amazon OpenSearch Service in this region."),
    click.option("--detector", is_flag=True, help="Custom rules and a detector of Security Analytics (opensearch)."),
    click.option(
        "--state",
        "state_file",
        type=OUTPUT_FILE,
        help="File with what was applied, one for all who apply.  [default: .sigma-stellar-aws/TARGET-HOST.json]",
    ),
)
rule_options = options(
    rules_option,
    filters_option,
    click.option("--correlations", is_flag=True, help="Also the correlations of this project, about several events."),
    choice_options,
    strict_option,
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
        help="Kind of monitor; document is one for each severity (opensearch).",
    ),
    click.option("--channel", default="", metavar="ID", help="Notification channel of new monitors (opensearch)."),
    click.option("--enabled", is_flag=True, help="What is made anew runs at once."),
    click.option(
        "--inexact", is_flag=True, help="Also what there cannot be exact; a note says which way each of these errs."
    ),
    click.option(
        "--building-block",
        multiple=True,
        metavar="RULE",
        shell_complete=complete_rules,
        help="Make this rule a building block, whose alerts are hidden unless asked for (title, id or file; elastic); "
        "repeatable.",
    ),
    click.option(
        "--take",
        nargs=2,
        multiple=True,
        metavar="[ours|theirs] RULE",
        type=(click.Choice(["ours", "theirs"]), str),
        help="Who is right in the conflicts of a rule (id, title or file; all): the rule, or what is there; "
        "repeatable.",
    ),
    click.option("--prune", is_flag=True, help="Delete what was installed for rules that are no longer there."),
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def extra_for(location: Location) -> str:
    """Return the extra whose packages a live system needs."""
    return "aws" if location.aws_region else "store"


def location_and_rules(values: Mapping[str, Any]) -> tuple[Location, RuleOptions]:
    """Return what the options of ``plan`` and ``apply`` say.

    Raises:
        UsageError: options do not go together.
    """
    chosen = RuleOptions(**{field.name: values[field.name] for field in fields(RuleOptions)})
    location = location_of({name: value for name, value in values.items() if name not in vars(chosen)})
    if location.target == "opensearch" and chosen.stack:
        raise click.UsageError("--stack is for elastic")
    if location.target == "elastic" and (chosen.channel or chosen.monitor != "query"):
        raise click.UsageError("--monitor and --channel are for opensearch")
    if location.target == "opensearch" and chosen.building_block:
        raise click.UsageError("--building-block is for elastic")
    if location.detector and chosen.monitor != "query":
        raise click.UsageError("--monitor and --detector exclude each other")
    if chosen.ecs and chosen.published:
        raise click.UsageError("--published is not for --ecs")
    if chosen.only and chosen.prune:
        raise click.UsageError("--prune is about all rules, so it excludes --only")
    return location, chosen


def location_of(values: Mapping[str, Any]) -> Location:
    """Return the live system that options name.

    Raises:
        UsageError: options do not go together.
    """
    location = Location(**values)
    if location.target == "opensearch" and location.space != "default":
        raise click.UsageError("--space is for elastic")
    if location.target == "elastic" and location.aws_region:
        raise click.UsageError("--aws-region is for opensearch")
    return location


def carry_out_and_exit(prepared: Prepared, location: Location, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Show what is to be done, ask, do it, tell what came of it, and end with the exit code that says so."""
    target, state, steps, _ = prepared
    if not as_json:
        show.write_plan(steps, sys.stdout)
    if any(step.status in TO_DO for step in steps):
        if as_json and not yes:
            raise click.UsageError("--json does not ask; add --yes")
        if not yes:
            click.confirm(f"Do this in {location.url}?", abort=True, err=True)
        # What cannot be recorded is not to be done.
        state.write()
    tell: Callable[[Any], None] = (
        (lambda result: None) if as_json else (lambda result: show.write_result(result, sys.stdout))
    )
    results = carry_out(steps, target, dry_run=dry_run, tell=tell)
    if as_json:
        done = [{"rule_id": r.step.key, "outcome": r.outcome, "remark": r.remark} for r in results]
        click.echo(json.dumps({**location.identity(), "steps": steps_as_json(steps), "results": done}))
    if results:
        note(show.summary(results))
    made = [result.step for result in results if result.outcome == "done" and result.step.status == "create"]
    if off := sum(not step.wanted["enabled"] for step in made if step.wanted):
        note(f"note: {off} made switched off; switch them on there, or have them made switched on: --enabled")
    _exit_for(results, steps)


def _exit_for(results: Sequence[Result], steps: Sequence[Step]) -> None:
    """Say what is left to do, and end with the exit code for it; return if nothing is."""
    if any(result.outcome != "done" for result in results):
        sys.exit(1)
    undecided = sum(step.status in TO_DECIDE for step in steps)
    left_out = sum(step.status == "left out" for step in steps)
    if undecided:
        note(f"{undecided} left as they are until somebody decides, see above")
    if left_out:
        note(f"{left_out} left out, see above")
    if undecided or left_out:
        sys.exit(UNDECIDED)
