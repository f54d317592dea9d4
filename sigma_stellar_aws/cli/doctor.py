"""The command doctor."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import click

from sigma_stellar_aws.authoring import doctor as doctors
from sigma_stellar_aws.cli import options
from sigma_stellar_aws.cli.options import (
    FILES,
    ca_file_option,
    choice_options,
    filters_option,
    index_option,
    instant,
    timeout_option,
    url_option,
)
from sigma_stellar_aws.cli.problems import UNREAD, as_click_errors
from sigma_stellar_aws.pipelines.of_store import time_field_of
from sigma_stellar_aws.pipelines.stellar_aws import STELLAR_INDEX
from sigma_stellar_aws.query import store_profile
from sigma_stellar_aws.rule_files.choose import choose_rules
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store


@click.command()
@click.argument("rule_paths", nargs=-1, type=FILES, callback=options.rule_paths, metavar="[RULES]...")
@url_option
@index_option
@click.option("--time-field", default=None, help="Date field of the data store.  [default: timestamp, or @timestamp]")
@click.option(
    "--since",
    callback=instant,
    default="24h",
    show_default=True,
    metavar="TIME",
    help="There should be events from then on: ISO 8601, or 90m, 24h, 7d ago.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@filters_option
@choice_options
@ca_file_option
@timeout_option
def doctor(
    rule_paths: tuple[Path, ...],
    url: str,
    index: str | None,
    time_field: str | None,
    since: datetime,
    as_json: bool,
    filter_paths: tuple[Path, ...],
    only: tuple[str, ...],
    exclude: tuple[str, ...],
    ca_file: Path | None,
) -> None:
    """Look whether each of the RULES (without any: the 29) can match in a data store. Reads only.

    Exit code 0: all can, as exactly as they should. 3: some cannot, may be wrong, or the store has no recent events.
    """
    with as_click_errors():
        rules = choose_rules(load_rules(*rule_paths, filters=filter_paths, collect_errors=True), only, exclude)
        with connect(url, ca_file, os.environ) as client:
            found = store_profile.profile_from_json(
                describe_store(client, index or STELLAR_INDEX), index or STELLAR_INDEX
            )
            diagnosis = doctors.diagnose(client, found, rules, time_field or time_field_of(found), since)
    if as_json:
        click.echo(json.dumps(doctors.diagnosis_as_json(found, diagnosis)))
    else:
        doctors.print_diagnosis(found, diagnosis)
    if not diagnosis.healthy:
        sys.exit(UNREAD)
