"""Commands around a data store: template, load, profile, doctor, engine."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigma_stellar_aws.cli.common import (
    FILES,
    UNREAD,
    Problems,
    ca_file_option,
    filters_option,
    find_logs,
    index_option,
    instant,
    needs,
    note,
    progress,
    told,
    url_option,
)

if TYPE_CHECKING:
    from sigma_stellar_aws.flatten import Document


@click.command()
@click.option("--index", default=None, metavar="PATTERN", help="Indices the template is for.")
def template(index: str | None) -> None:
    """Print an index template for flattened records, as the body of PUT /_index_template/NAME."""
    from sigma_stellar_aws.index_template import index_template
    from sigma_stellar_aws.pack import pack_fields
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX

    click.echo(json.dumps(index_template(index or INDEX, pack_fields()), indent=2))


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILES)
@url_option
@click.option("--index", required=True, help="Index to load into; it is created if there is none.")
@ca_file_option
def load(files: tuple[Path, ...], url: str, index: str, ca_file: Path | None) -> None:
    """Flatten the records of CloudTrail FILES (or folders of them) and load them into a data store."""
    with needs("store"):
        from sigma_stellar_aws import load as loading
        from sigma_stellar_aws import store
    from sigma_stellar_aws.flatten import flatten
    from sigma_stellar_aws.pack import pack_fields
    from sigma_stellar_aws.reader import read_records, stored_size

    problems = Problems()
    found = find_logs(files, problems)
    with told():
        client = store.connect(url, ca_file, os.environ)
        fields = pack_fields()
        is_new = loading.create_index(client, index, fields)
        if not is_new and (analysed := loading.no_keywords(client, index, fields)):
            problems.report(
                f"{index} was there before, and takes the texts of {len(analysed)} fields of the rules for analysed "
                f"text ({', '.join(analysed[:3])} ...), so that not all of them can be found; load into a new index"
            )
        with progress(found) as advance:

            def documents() -> "Iterator[Document]":
                for file in found:
                    for _, record in read_records(file, problems.report):
                        yield flatten(record)
                    advance(stored_size(file))

            loaded = loading.load(client, index, problems.watching_length(documents()))
    for event_id, reason in loaded.rejected:
        problems.report(f"event {event_id} was not taken: {reason}")
    note(f"{loaded.created} events loaded into {index}, {loaded.present} were there already{problems.summary()}")
    problems.leave()


@click.command()
@url_option
@index_option
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write to.")
@ca_file_option
def profile(url: str, index: str | None, output: Path | None, ca_file: Path | None) -> None:
    """Read the field types of a data store, as a store profile for: sigma convert -O store=FILE."""
    with needs("store"):
        from sigma_stellar_aws import store
    from sigma_stellar_aws import store_profile
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX

    with told():
        found = store.profile(store.connect(url, ca_file, os.environ), index or INDEX)
        fields = store_profile.from_json(found, index or INDEX).fields
        text = store_profile.as_text(found)
        if output is None:
            click.echo(text, nl=False)
        else:
            output.write_text(text, "utf-8")
    for name, mappings in fields.items():
        if len(mappings) > 1:
            kinds = ", ".join(field.type for field in mappings)
            note(f"note: the indices differ in their mapping of {name}: {kinds}")


@click.command()
@click.argument("rule_paths", nargs=-1, type=FILES, metavar="[RULES]...")
@url_option
@index_option
@click.option("--time-field", default=None, help="Date field of the data store.  [default: timestamp]")
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
@ca_file_option
def doctor(
    rule_paths: tuple[Path, ...],
    url: str,
    index: str | None,
    time_field: str | None,
    since: datetime,
    as_json: bool,
    filter_paths: tuple[Path, ...],
    ca_file: Path | None,
) -> None:
    """Look whether each of the RULES (without any: the 29) can match in a data store. Reads only.

    Exit code 0: all can, as exactly as they should. 3: some cannot, may be wrong, or the store has no recent events.
    """
    with needs("store"):
        from sigma_stellar_aws import doctor as doctors
        from sigma_stellar_aws import store
    from sigma_stellar_aws import store_profile
    from sigma_stellar_aws.flatten import TIME_FIELD
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX
    from sigma_stellar_aws.rulepack import load_rules

    with told():
        rules = load_rules(*rule_paths, filters=filter_paths)
        client = store.connect(url, ca_file, os.environ)
        found = store_profile.from_json(store.profile(client, index or INDEX), index or INDEX)
        diagnosis = doctors.diagnose(client, found, rules, time_field or TIME_FIELD, since)
    if as_json:
        click.echo(json.dumps(doctors.as_json(found, diagnosis)))
    else:
        doctors.print_diagnosis(found, diagnosis)
    if not diagnosis.healthy:
        sys.exit(UNREAD)


@click.command()
@click.option("--heap", default="1g", show_default=True, help="Most memory for the node's heap.")
def engine(heap: str) -> None:
    """Start an OpenSearch of its own, print its URL and wait; it ends with this command, its data too."""
    with needs("embedded"):
        from sigma_stellar_aws.embedded import embedded_opensearch

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    note("starting OpenSearch (the first time, about 60 MB are fetched) ...")
    with told(), embedded_opensearch(heap=heap) as url:
        click.echo(url)
        note("running; stop it with Ctrl-C")
        while not stop.wait(3600):
            pass
