"""The command remove."""

from contextlib import ExitStack
from typing import Any

import click

from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.cli.install_options import (
    carry_out_and_exit,
    extra_for,
    json_option,
    location_of,
    location_options,
    yes_option,
)
from sigma_stellar_aws.cli.options import choice_options
from sigma_stellar_aws.cli.problems import as_click_errors, needs, note
from sigma_stellar_aws.install.plan import Step, removal
from sigma_stellar_aws.install.prepare import Prepared, connected, installed_for


@click.command()
@location_options
@choice_options
@click.option("--force", is_flag=True, help="Also what somebody has edited.")
@yes_option
@json_option
def remove(
    only: tuple[str, ...], exclude: tuple[str, ...], force: bool, yes: bool, as_json: bool, **values: Any
) -> None:
    """Delete from Kibana (elastic) or OpenSearch what was installed from here, and nothing else.

    Exit code 0: all is done. 1: an error, as told. 3: something was left, as told.
    """
    location = location_of(values)
    with needs(extra_for(location)), as_click_errors(), ExitStack() as closing:
        target, state = connected(location, closing.callback, changes=True)
        steps = removal(target.read({}), target, force=force)
        chosen = {key for name in only for key in _found(name, steps)}
        spared = {key for name in exclude for key in installed_for(name, steps)}
        steps = [step for step in steps if (not only or step.key in chosen) and step.key not in spared]
        carry_out_and_exit(Prepared(target, state, steps), location, dry_run=False, yes=yes, as_json=as_json)


def _found(name: str, steps: list[Step]) -> set[str]:
    """Return what is installed for a rule; what is already gone is not an error."""
    try:
        found, hint = installed_for(name, steps), ""
    except NotFoundError as error:
        found, hint = set(), f" ({error})"
    if not found:
        note(f"note: nothing is there for {name!r} (any more){hint}")
    return found
