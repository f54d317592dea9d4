"""The command profile."""

import os
from pathlib import Path

import click

from sigma_stellar_aws.base.files import replace_text
from sigma_stellar_aws.cli.options import (
    OUTPUT,
    STANDARD_OUTPUT,
    ca_file_option,
    index_option,
    timeout_option,
    url_option,
)
from sigma_stellar_aws.cli.problems import as_click_errors, note
from sigma_stellar_aws.pipelines.stellar_aws import STELLAR_INDEX
from sigma_stellar_aws.query import store_profile
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store


@click.command()
@url_option
@index_option
@click.option("-o", "--output", type=OUTPUT, help="File to write to.")
@ca_file_option
@timeout_option
def profile(url: str, index: str | None, output: Path | None, ca_file: Path | None) -> None:
    """Read the field types of a data store, as a store profile for: sigma convert -O store=FILE."""
    with as_click_errors(), connect(url, ca_file, os.environ) as client:
        found = describe_store(client, index or STELLAR_INDEX)
        described = store_profile.profile_from_json(found, index or STELLAR_INDEX)
        text = store_profile.profile_text(found)
        if output is None or output == STANDARD_OUTPUT:
            click.echo(text, nl=False)
        else:
            replace_text(output, text)
    if described.layout == "ecs":
        note(f"note: Elastic's AWS integration fills {described.indices}; convert rules with -p stellar_aws_ecs")
    for name, mappings in described.fields.items():
        if len(mappings) > 1:
            kinds = ", ".join(field.type for field in mappings)
            note(f"note: the indices differ in their mapping of {name}: {kinds}")
