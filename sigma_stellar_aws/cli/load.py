"""The command load."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.cli.alert_options import TimeBounds, time_options
from sigma_stellar_aws.cli.log_sources import LogSource, S3Choice, Selection, log_sources, open_logs, s3_options
from sigma_stellar_aws.cli.options import ca_file_option, timeout_option, url_option
from sigma_stellar_aws.cli.problems import Problems, as_click_errors, note
from sigma_stellar_aws.logs.deliveries import deliveries_of
from sigma_stellar_aws.logs.find import stored_size
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.logs.portions import Portion
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.logs.reader import read_records
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.store import load as loading
from sigma_stellar_aws.store.client import connect


@click.command()
@click.argument("files", nargs=-1, required=True, callback=log_sources)
@s3_options
@time_options
@url_option
@click.option("--index", required=True, help="Index to load into; created if it does not exist.")
@ca_file_option
@timeout_option
def load(
    files: tuple[LogSource, ...], s3: S3Choice, times: TimeBounds, url: str, index: str, ca_file: Path | None
) -> None:
    """Flatten the records of CloudTrail FILES (folders, s3://BUCKET/PREFIX, -) and load them into a data store."""
    problems = Problems()
    with (
        as_click_errors(),
        open_logs(files, s3, Selection(deliveries_of(times.since, times.until)), problems) as (portions, advance),
        connect(url, ca_file, os.environ) as client,
    ):
        fields = pack_fields()
        is_new = loading.create_index(client, index, fields)
        if not is_new and (analysed := loading.analysed_fields(client, index, fields)):
            problems.report(
                f"{index} was there before, and takes the texts of {len(analysed)} fields of the rules for analysed "
                f"text ({', '.join(analysed[:3])} ...), so not all of them can be found; load into a new index"
            )
        documents = filter(times.include, _documents(portions, problems, advance))
        loaded = loading.load_documents(
            client,
            index,
            problems.watching_length(documents),
            on_rejected=lambda event: problems.report(f"event {event.event_id} was not taken: {event.reason}"),
        )
    note(f"{plural(loaded.created, 'event')} loaded into {index}, {loaded.present:,} already there{problems.summary()}")
    problems.leave()


def _documents(portions: Iterable[Portion], problems: Problems, advance: Callable[[int], None]) -> Iterator[Document]:
    """Yield the records of files, flattened."""
    for portion in portions:

        def report(problem: Problem, portion: Portion = portion) -> None:
            problems.report(portion.told(problem))

        for file in portion.files:
            for _, record in read_records(file, report):
                yield flatten(record)
            advance(stored_size(file))
