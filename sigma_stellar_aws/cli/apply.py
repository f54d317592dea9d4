"""The command apply."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from sigma_stellar_aws.cli.install_options import (
    carry_out_and_exit,
    extra_for,
    json_option,
    location_and_rules,
    location_options,
    rule_options,
    yes_option,
)
from sigma_stellar_aws.cli.options import FILE
from sigma_stellar_aws.cli.problems import as_click_errors, needs, note
from sigma_stellar_aws.cli.progress import telling
from sigma_stellar_aws.install.plan import as_plan, check_as_planned
from sigma_stellar_aws.install.prepare import prepare


@click.command()
@location_options
@rule_options
@click.option("--plan", "plan_file", type=FILE, help="Do what this plan says (plan -o FILE), or nothing.")
@click.option("--no-dry-run", is_flag=True, help="Do not try each artefact out on the engine first.")
@yes_option
@json_option
def apply(plan_file: Path | None, no_dry_run: bool, yes: bool, as_json: bool, **values: Any) -> None:
    """Make the rules in Kibana (elastic) or the monitors in OpenSearch what plan shows.

    What somebody edited there stays. Exit code 0: all is done. 1: an error, as told.
    3: done, but for what somebody has to decide, or for a rule that was left out.
    """
    location, options = location_and_rules(values)
    with needs(extra_for(location)), as_click_errors(), ExitStack() as closing:
        with telling("comparing the rules with what is there"):
            prepared = prepare(location, options, note, closing.callback, changes=True)
        if plan_file is not None:
            now = as_plan(prepared.steps, location.identity(), options.as_json())
            check_as_planned(now, _content(plan_file), str(plan_file))
        dry_run = not no_dry_run
        if dry_run and prepared.no_dry_run:
            note(f"note: {prepared.no_dry_run}, so nothing is tried out first")
            dry_run = False
        carry_out_and_exit(prepared, location, dry_run=dry_run, yes=yes, as_json=as_json)


def _content(file: Path) -> object:
    try:
        return json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        return None
