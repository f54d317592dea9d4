"""The command template."""

import json

import click

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.pipelines.stellar_aws import STELLAR_INDEX
from sigma_stellar_aws.query.index_template import index_template


@click.command()
@click.option("--index", default=None, metavar="PATTERN", help="Indices the template is for.")
def template(index: str | None) -> None:
    """Print an index template for flattened records, as the body of PUT /_index_template/NAME."""
    click.echo(json.dumps(index_template(index or STELLAR_INDEX, pack_fields()), indent=2))
