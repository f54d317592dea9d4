"""The command rules."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from sigma_stellar_aws.authoring import catalogue, navigator
from sigma_stellar_aws.cli.options import rules_option
from sigma_stellar_aws.cli.problems import as_click_errors


@click.command()
@rules_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "md", "json", "csv", "navigator"]),
    default="table",
    show_default=True,
    help="md: as rules/README.md; json: one object a line; navigator: a layer for the ATT&CK Navigator.",
)
def rules(rule_paths: tuple[Path, ...], form: str) -> None:
    """List the rules, with severity, ATT&CK and suppression."""
    with as_click_errors():
        entries = catalogue.catalogue_entries(rule_paths)
    if form == "table":
        catalogue.print_rules(entries)
        return
    writers: dict[str, Callable[[list[catalogue.CatalogueEntry]], str]] = {
        "md": partial(catalogue.as_markdown, of_pack=not rule_paths),
        "json": catalogue.catalogue_as_json_lines,
        "csv": catalogue.as_csv,
        "navigator": navigator.as_layer,
    }
    click.echo(writers[form](entries), nl=False)
