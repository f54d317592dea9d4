"""The command alerts."""

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigma_stellar_aws import __version__
from sigma_stellar_aws.alerts import render
from sigma_stellar_aws.alerts.alert import alert_json
from sigma_stellar_aws.alerts.checkpoint import Checkpoint
from sigma_stellar_aws.alerts.correlate import reading_begin
from sigma_stellar_aws.alerts.repeat import OVERLAP, RunSpan, repeat
from sigma_stellar_aws.alerts.run import (
    AlertSearch,
    Messages,
    OnProgress,
    Progress,
    alerts_of_portions,
)
from sigma_stellar_aws.base import run_limit
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.cli.alert_options import (
    Output,
    RuleChoice,
    StoreChoice,
    TimeBounds,
    Writing,
    alert_rule_options,
    output_options,
    store_options,
    time_options,
    writing_options,
)
from sigma_stellar_aws.cli.configuration import without_configured
from sigma_stellar_aws.cli.log_sources import LogSource, S3Choice, log_sources, open_logs, s3_options
from sigma_stellar_aws.cli.problems import (
    Problems,
    as_click_errors,
    needs,
    note,
)
from sigma_stellar_aws.logs.portions import STANDARD_INPUT
from sigma_stellar_aws.reference.flat_schema import STELLAR_INDEX, TIME_FIELD

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from sigma_stellar_aws.alerts.run_store import AlertUpdate


STANDARD_OUTPUT = Path("-")


@click.command()
@click.argument("files", nargs=-1, callback=log_sources)
@s3_options
@store_options
@time_options
@output_options
@alert_rule_options
@writing_options
def alerts(
    files: tuple[LogSource, ...],
    s3: S3Choice,
    store: StoreChoice,
    times: TimeBounds,
    output: Output,
    rules: RuleChoice,
    writing: Writing,
) -> None:
    """Raise the alerts of CloudTrail FILES (folders, s3://BUCKET/PREFIX, - for standard input), or of a store (--url).

    A rule alerts once in 24 hours for the same account, caller and source address, unless it says otherwise; the alert
    counts the events.

    With --write, the index is the source of truth: an interrupted run may not print alerts that it has stored.

    Exit code 0: all input was searched. 1: the search failed; no alerts are printed. 3: some input could not be read,
    or a rule was left out, as standard error says.
    """
    if files:
        # A file of options may name a store for all runs.
        store, writing = without_configured(store), without_configured(writing)
    _check_files(files, store, writing)
    _check_writing(times, output, rules, writing)
    problems = Problems()
    with as_click_errors():
        if not store.url:
            _search_files(files, s3, times, output, rules, problems)
        elif writing.write_to is None:
            _search_store(store, store.url, times, output, rules, problems)
        else:
            # There is no other way to end one that follows.
            with suppress(KeyboardInterrupt) if writing.follow else nullcontext():
                _update_index(store, store.url, writing.write_to, times, output, rules, writing, problems)
    problems.leave()


def _check_files(files: tuple[LogSource, ...], store: StoreChoice, writing: Writing) -> None:
    if bool(files) == bool(store.url):
        raise click.UsageError("name either files or a data store (--url)")
    if files and (store.time_field or store.index or store.ca_file or store.timeout or writing.write_to):
        raise click.UsageError("--index, --time-field, --write, --ca-file and --timeout are for a data store (--url)")


def _check_writing(times: TimeBounds, output: Output, rules: RuleChoice, writing: Writing) -> None:
    repeated = writing.checkpoint or writing.follow
    if writing.write_to is None and repeated:
        raise click.UsageError("--checkpoint and --follow need --write: what was raised is known by what was written")
    if writing.overlap and not repeated:
        raise click.UsageError("--overlap is for --checkpoint and --follow")
    if repeated and (times.until or output.html):
        raise click.UsageError("--checkpoint and --follow exclude --until and --html")
    if times.since and times.until and times.since >= times.until:
        raise click.UsageError("--since must be before --until")
    if rules.each_event and (rules.window or rules.suppress_by or writing.write_to):
        raise click.UsageError("--each-event excludes --window, --suppress-by and --write")
    if output.html == STANDARD_OUTPUT and output.form:
        raise click.UsageError("--html - writes the page to standard output, and so excludes --json and --csv")
    if output.html and not output.html.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder for {output.html}")


def _search_files(
    files: tuple[LogSource, ...],
    s3: S3Choice,
    times: TimeBounds,
    output: Output,
    rules: RuleChoice,
    problems: Problems,
) -> None:
    pack = rules.pack(Messages(_on_progress(problems)))
    with open_logs(files, s3, reading_begin(pack.correlations, times.since), times.until, problems) as (
        portions,
        advance,
    ):
        messages = Messages(_on_progress(problems, advance))
        search = alerts_of_portions(portions, pack, times.since, times.until, rules.options(), messages)
    searched = ", ".join("standard input" if file == STANDARD_INPUT else str(file) for file in files)
    _print(search, searched, times, output, problems)
    note(f"{_numbers(search)} among {plural(search.records or 0, 'record')}{problems.summary()}")


def _search_store(
    store: StoreChoice, url: str, times: TimeBounds, output: Output, rules: RuleChoice, problems: Problems
) -> None:
    # Files are searched without the packages of the extra.
    with needs("store"):
        from sigma_stellar_aws.alerts.run_store import alerts_of_store
    index = store.index or STELLAR_INDEX
    with _connected(url, store.ca_file) as client:
        search = alerts_of_store(
            client,
            index,
            rules.load(),
            time_field=store.time_field,
            since=times.since,
            until=times.until,
            options=rules.options(),
            progress=_on_progress(problems),
        )
    _print(search, index, times, output, problems)
    note(f"{_numbers(search)} in {index}{problems.summary()}")


def _update_index(
    store: StoreChoice,
    url: str,
    alert_index: str,
    times: TimeBounds,
    output: Output,
    rules: RuleChoice,
    writing: Writing,
    problems: Problems,
) -> None:
    """Keep the alerts in an index, once or again and again; print those that are new or have changed."""
    index, time_field = store.index or STELLAR_INDEX, store.time_field or TIME_FIELD
    search = {"index": index, "time_field": time_field, "url": url, "write": alert_index}
    with _connected(url, store.ca_file) as client:
        for run in repeat(
            since=times.since,
            until=times.until,
            checkpoint=Checkpoint(writing.checkpoint, search) if writing.checkpoint else None,
            overlap=writing.overlap or OVERLAP,
            interval=writing.follow,
        ):
            problems.begin_anew()
            run_limit.begin_anew()
            with run as span:
                update = _update(client, store, alert_index, span, rules, writing.overlap or OVERLAP, problems)
                if update.through:
                    run.reached(update.through)
                _print(update, index, times, output, problems)
                note(
                    f"{plural(update.created, 'alert')} raised in {alert_index}, {update.updated:,} updated, "
                    f"{update.unchanged:,} as they were, of {plural(update.events, 'event')} in {index}"
                    f"{problems.summary()}"
                )
            if run.error:
                note(f"this run failed; the next run will make up for it: {run.error}")


def _update(
    client: "OpenSearch",
    store: StoreChoice,
    alert_index: str,
    span: RunSpan,
    rules: RuleChoice,
    overlap: timedelta,
    problems: Problems,
) -> "AlertUpdate":
    # Files are searched without the packages of the extra.
    from sigma_stellar_aws.alerts.run_store import update_alert_index

    return update_alert_index(
        client,
        alert_index,
        store.index or STELLAR_INDEX,
        # Anew for each run: whoever follows may edit them.
        rules.load(),
        time_field=store.time_field,
        since=span.since,
        until=span.until,
        floor=span.floor,
        must_exist=span.resumed,
        overlap=overlap,
        options=rules.options(),
        progress=_on_progress(problems),
    )


def _connected(url: str, ca_file: Path | None) -> "OpenSearch":
    # Files are searched without the packages of the extra.
    with needs("store"):
        from sigma_stellar_aws.store.client import connect
    return connect(url, ca_file, os.environ)


def _on_progress(problems: Problems, advance: Callable[[int], None] = lambda done: None) -> OnProgress:
    """Print problems and notes of a search as they come."""

    def listen(news: Progress) -> None:
        for text in news.notes:
            note(f"note: {text}")
        for problem in news.problems:
            problems.report(problem)
        advance(news.done_bytes)

    return listen


def _print(search: AlertSearch, searched: str, times: TimeBounds, output: Output, problems: Problems) -> None:
    """Print the alerts, and write the page of them that is asked for."""
    if output.html is not None:
        # Few runs write a page, and all have to wait for what it loads.
        from sigma_stellar_aws.alerts import page

        about: JsonObject = {
            "searched": searched,
            "since": times.since.isoformat() if times.since else None,
            "until": times.until.isoformat() if times.until else None,
            "records": search.records,
            "events": search.events,
            "rules": len(search.rules),
            "problems": list(problems.texts),
            "problem_count": problems.count,
            "version": __version__,
        }
        is_page_only = output.html == STANDARD_OUTPUT
        target = sys.stdout.buffer if is_page_only else output.html
        page.write_html(map(alert_json, search.alerts), target, about=about)
        if is_page_only:
            sys.stdout.flush()
            return
    render.write_alerts(search.alerts, output.form or "table", output.group_by)


def _numbers(search: AlertSearch) -> str:
    return f"{plural(len(search.alerts), 'alert')} of {plural(search.events, 'matching event')}"
