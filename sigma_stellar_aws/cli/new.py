"""The command new."""

from pathlib import Path

import click

from sigma_stellar_aws.alerts.run import Messages
from sigma_stellar_aws.authoring.background import events_like
from sigma_stellar_aws.authoring.new_rule import write_rule
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.cli.alert_output import on_progress
from sigma_stellar_aws.cli.log_sources import LogSource, S3Choice, Selection, log_sources, open_logs
from sigma_stellar_aws.cli.options import EVENT, OutputPath, event_id_option, event_number_option
from sigma_stellar_aws.cli.problems import Problems, as_click_errors, note
from sigma_stellar_aws.logs.deliveries import deliveries_of
from sigma_stellar_aws.logs.reader import read_event


@click.command()
@click.argument("event", type=EVENT)
@click.option(
    "-o", "--output", "folder", required=True, type=OutputPath(file_okay=False, path_type=Path), metavar="DIR"
)
@event_id_option
@event_number_option
@click.option("--author", default="TODO", show_default=True, help="Who writes the rule.")
@click.option("--keep-ids", is_flag=True, help="Keep account numbers, ids and public addresses, instead of examples.")
@click.option(
    "--background",
    multiple=True,
    callback=log_sources,
    metavar="LOGS",
    help="Propose first what is rare in these files, folders or s3://BUCKET/PREFIX; repeatable.",
)
def new(
    event: Path,
    folder: Path,
    event_id: str | None,
    number: int | None,
    author: str,
    keep_ids: bool,
    background: tuple[LogSource, ...],
) -> None:
    """Write the skeleton of a rule for an EVENT, and its test, into DIR.

    EVENT is a file of CloudTrail records, or - for standard input. Nothing is overwritten.

    Exit code 3: some of EVENT could not be read, see standard error.
    """
    problems = Problems()
    with as_click_errors():
        record = read_event(event, event_id, number, problems.report)
        others = None
        if background:
            selection = Selection(deliveries_of(None, None))
            with open_logs(background, S3Choice(None, None, requester_pays=False), selection, problems) as (
                portions,
                advance,
            ):
                others = events_like(record, portions, Messages(on_progress(problems, advance)))
            note(f"{plural(len(others), 'event')} of this kind in the background")
        for file in write_rule(record, folder, author=author, keep_ids=keep_ids, others=others):
            click.echo(file)
    problems.leave()
