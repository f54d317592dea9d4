"""The command plan."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from sigma_stellar_aws.base.files import replace_text
from sigma_stellar_aws.cli.install_options import (
    UNDECIDED,
    extra_for,
    json_option,
    location_and_rules,
    location_options,
    rule_options,
)
from sigma_stellar_aws.cli.options import OUTPUT_FILE
from sigma_stellar_aws.cli.problems import as_click_errors, needs, note
from sigma_stellar_aws.cli.progress import telling
from sigma_stellar_aws.install import show
from sigma_stellar_aws.install.plan import TO_DECIDE, TO_DO, as_plan
from sigma_stellar_aws.install.prepare import prepare

CHANGES = 2
"""Exit code: there is something to do, or to decide."""


class _PlanCommand(click.Command):
    """The command, which ends with 1 on misuse, since 2 says that there is something to do."""

    def make_context(self, *what: Any, **more: Any) -> click.Context:
        """Read the options."""
        with _misuse_is_an_error():
            return super().make_context(*what, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
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


@click.command(cls=_PlanCommand)
@location_options
@rule_options
@click.option("-o", "--output", type=OUTPUT_FILE, help="Keep the plan for apply --plan.")
@json_option
def plan(output: Path | None, as_json: bool, **values: Any) -> None:
    """Show what apply would do to the rules in Kibana (elastic) or the monitors in OpenSearch. Changes nothing.

    Exit code 0: nothing is to be done. 2: something is to be done, or to be decided. 3: nothing is to be done, but a
    rule was left out. 1: an error, misuse too.
    """
    location, options = location_and_rules(values)
    if output is not None and not output.parent.is_dir():
        raise click.UsageError(f"there is no folder {output.parent} for {output.name}")
    with needs(extra_for(location)), as_click_errors(), ExitStack() as closing:
        with telling("comparing the rules with what is there"):
            steps = prepare(location, options, note, closing.callback).steps
        content = as_plan(steps, location.identity(), options.as_json())
        if output is not None:
            # It tells what is watched, and what is not; a file that is there keeps its mode.
            if output.is_file():
                output.chmod(0o600)
            replace_text(output, json.dumps(content, indent=1) + "\n", private=True)
        if as_json:
            click.echo(json.dumps(content))
        else:
            show.write_plan(steps, sys.stdout)
    if any(step.status in TO_DO | TO_DECIDE for step in steps):
        sys.exit(CHANGES)
    if any(step.status == "left out" for step in steps):
        sys.exit(UNDECIDED)
