"""The command schema."""

import json

import click

from sigma_stellar_aws.editor.schema import rule_schema


@click.command()
def schema() -> None:
    """Print a JSON schema of rules, correlations and filters, with the block stellar.

    It is for editors that have no language server but know YAML: "sigma-stellar-aws reference editors" says how.
    """
    click.echo(json.dumps(rule_schema(), indent=2))
