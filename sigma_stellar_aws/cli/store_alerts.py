"""Search a data store for alerts, and keep alerts in an index of one: what the command alerts does with ``--url``.

Loaded only for that: files are searched without the packages of the extra ``store``.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import NamedTuple

from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.alert_update import AlertUpdate
from sigma_stellar_aws.alerts.checkpoint import Checkpoint
from sigma_stellar_aws.alerts.correlate import reading_begin
from sigma_stellar_aws.alerts.log_checkpoint import LogCheckpoint, ReadFile, open_log_checkpoint
from sigma_stellar_aws.alerts.repeat import OVERLAP, Run, RunSpan, repeat
from sigma_stellar_aws.alerts.run import Messages
from sigma_stellar_aws.alerts.run_logs import update_alerts_of_logs
from sigma_stellar_aws.alerts.run_store import alerts_of_store, update_alert_index
from sigma_stellar_aws.base import run_limit
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.cli.alert_options import Output, RuleChoice, StoreChoice, TimeBounds, Writing
from sigma_stellar_aws.cli.alert_output import names_of_sources, numbers_of_search, on_progress, print_search
from sigma_stellar_aws.cli.log_sources import LogSource, S3Choice, Selection, open_logs
from sigma_stellar_aws.cli.problems import Problems, note
from sigma_stellar_aws.cli.progress import telling
from sigma_stellar_aws.logs.deliveries import LATEST, deliveries_of
from sigma_stellar_aws.reference.flat_schema import STELLAR_INDEX, TIME_FIELD
from sigma_stellar_aws.store.client import connect


def search_store(
    store: StoreChoice, url: str, times: TimeBounds, output: Output, rules: RuleChoice, problems: Problems
) -> None:
    """Print the alerts of a data store."""
    index = store.index or STELLAR_INDEX
    with connect(url, store.ca_file, os.environ) as client, telling(f"searching {index}"):
        search = alerts_of_store(
            client,
            index,
            rules.load(),
            time_field=store.time_field,
            since=times.since,
            until=times.until,
            options=rules.options(),
            progress=on_progress(problems),
        )
    print_search(search, index, times, output, problems)
    note(f"{numbers_of_search(search)} in {index}{problems.summary()}")


class KeepOptions(NamedTuple):
    """What keeps alerts in an index, whether they come from a data store or from log files."""

    store: StoreChoice
    url: str
    alert_index: str
    times: TimeBounds
    output: Output
    rules: RuleChoice
    writing: Writing
    problems: Problems

    @property
    def overlap(self) -> timedelta:
        """How far a run goes back before the end of the last one."""
        return self.writing.overlap or OVERLAP


def update_index(options: KeepOptions) -> None:
    """Keep the alerts of a store in an index, once or again and again; print those that are new or have changed."""
    store, times, writing = options.store, options.times, options.writing
    index, time_field = store.index or STELLAR_INDEX, store.time_field or TIME_FIELD
    search = {"index": index, "time_field": time_field, "url": options.url, "write": options.alert_index}
    with connect(options.url, store.ca_file, os.environ) as client:
        runs = repeat(
            since=times.since,
            until=times.until,
            checkpoint=Checkpoint(writing.checkpoint, search) if writing.checkpoint else None,
            overlap=options.overlap,
            interval=writing.follow,
        )
        for run in _told(runs, options.problems):
            with run as span:
                with telling(f"searching {index}"):
                    update = _update(client, index, span, options)
                if update.through:
                    run.reached(update.through)
                _print_update(update, index, options)


def update_from_logs(files: tuple[LogSource, ...], s3: S3Choice, options: KeepOptions) -> None:
    """Keep the alerts of log files in an index, once or again and again; print those that are new or have changed."""
    times, writing = options.times, options.writing
    search = {"logs": names_of_sources(files), "url": options.url, "write": options.alert_index}
    with connect(options.url, options.store.ca_file, os.environ) as client:
        runs = repeat(since=times.since, until=times.until, interval=writing.follow)
        for run in _told(runs, options.problems):
            checkpoints = open_log_checkpoint(writing.checkpoint, search) if writing.checkpoint else nullcontext()
            with run as span, checkpoints as checkpoint:
                update = _update_from_logs(client, files, s3, span, checkpoint, options)
                _print_update(update, names_of_sources(files), options)


def _told(runs: Iterable[Run], problems: Problems) -> Iterator[Run]:
    """Yield each run when it is to begin, with no problems yet and all of its time; say of one that it failed."""
    for run in runs:
        problems.begin_anew()
        run_limit.begin_anew()
        yield run
        if run.error:
            note(f"this run failed; the next run will make up for it: {run.error}")


def _update(client: OpenSearch, index: str, span: RunSpan, options: KeepOptions) -> AlertUpdate:
    return update_alert_index(
        client,
        options.alert_index,
        index,
        # Anew for each run: whoever follows may edit them.
        options.rules.load(),
        time_field=options.store.time_field,
        since=span.since,
        until=span.until,
        floor=span.floor,
        must_exist=span.resumed,
        overlap=options.overlap,
        options=options.rules.options(),
        progress=on_progress(options.problems),
        located=options.output.located,
    )


def _update_from_logs(
    client: OpenSearch,
    files: tuple[LogSource, ...],
    s3: S3Choice,
    span: RunSpan,
    checkpoint: LogCheckpoint | None,
    options: KeepOptions,
) -> AlertUpdate:
    overlap = max(options.overlap, LATEST)
    with telling("converting rules"):
        pack = options.rules.pack(Messages(on_progress(options.problems)))
    since = checkpoint.floor if checkpoint and checkpoint.through else options.times.since
    begin = reading_begin(pack.correlations, since)
    selection = _selection(begin, options.times.until, checkpoint, overlap)
    with open_logs(files, s3, selection, options.problems) as (portions, advance):
        done = update_alerts_of_logs(
            client,
            options.alert_index,
            names_of_sources(files),
            portions,
            pack,
            since=since,
            until=options.times.until,
            checkpoint=checkpoint,
            most_open=options.rules.most_open,
            messages=Messages(on_progress(options.problems, advance)),
            located=options.output.located,
        )
    if checkpoint:
        checkpoint.write(
            span.until,
            since,
            [ReadFile(*each, each[0] not in selection.unread) for each in selection.objects.items()],
            done.found,
            keep_from=span.until - overlap - done.keep,
            all_listed=selection.all_listed,
        )
    return done.update


def _selection(
    begin: datetime | None, until: datetime | None, checkpoint: LogCheckpoint | None, overlap: timedelta
) -> Selection:
    """Return which logs to read: those of a time, and of them only what earlier runs with a checkpoint did not read."""
    selection = Selection(deliveries_of(begin, until))
    if checkpoint:
        selection.remembers = True
        selection.is_new, selection.again = checkpoint.is_new, checkpoint.unread()
        if checkpoint.written:
            selection.deliveries = deliveries_of(checkpoint.written - overlap, None)
    return selection


def _print_update(update: AlertUpdate, searched: str, options: KeepOptions) -> None:
    """Print the alerts that are new or have changed, and how many there are."""
    print_search(update, searched, options.times, options.output, options.problems)
    note(
        f"{plural(update.created, 'alert')} raised in {options.alert_index}, {update.updated:,} updated, "
        f"{update.unchanged:,} as they were, of {plural(update.events, 'event')} in {searched}"
        f"{options.problems.summary()}"
    )
