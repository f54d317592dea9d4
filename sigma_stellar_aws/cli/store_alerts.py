"""Search a data store for alerts, and keep alerts in an index of one: what the command alerts does with ``--url``.

Loaded only for that: files are searched without the packages of the extra ``store``.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import timedelta

from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.alert_update import AlertUpdate
from sigma_stellar_aws.alerts.checkpoint import Checkpoint
from sigma_stellar_aws.alerts.correlate import reading_begin
from sigma_stellar_aws.alerts.log_checkpoint import ReadFile, open_log_checkpoint
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


def update_index(
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
    with connect(url, store.ca_file, os.environ) as client:
        runs = repeat(
            since=times.since,
            until=times.until,
            checkpoint=Checkpoint(writing.checkpoint, search) if writing.checkpoint else None,
            overlap=writing.overlap or OVERLAP,
            interval=writing.follow,
        )
        for run in _told(runs, problems):
            with run as span:
                with telling(f"searching {index}"):
                    update = _update(
                        client, store, alert_index, span, rules, writing.overlap or OVERLAP, output, problems
                    )
                if update.through:
                    run.reached(update.through)
                _print_update(update, alert_index, index, times, output, problems)


def update_from_logs(
    files: tuple[LogSource, ...],
    s3: S3Choice,
    store: StoreChoice,
    url: str,
    alert_index: str,
    times: TimeBounds,
    output: Output,
    rules: RuleChoice,
    writing: Writing,
    problems: Problems,
) -> None:
    """Keep the alerts of log files in an index, once or again and again; print those that are new or have changed."""
    searched = names_of_sources(files)
    search = {"logs": searched, "url": url, "write": alert_index}
    overlap = max(writing.overlap or OVERLAP, LATEST)
    with connect(url, store.ca_file, os.environ) as client:
        runs = repeat(since=times.since, until=times.until, interval=writing.follow)
        for run in _told(runs, problems):
            checkpoints = open_log_checkpoint(writing.checkpoint, search) if writing.checkpoint else nullcontext()
            with run as span, checkpoints as checkpoint:
                with telling("converting rules"):
                    pack = rules.pack(Messages(on_progress(problems)))
                since = checkpoint.floor if checkpoint and checkpoint.through else times.since
                selection = Selection(deliveries_of(reading_begin(pack.correlations, since), times.until))
                if checkpoint:
                    selection.remembers = True
                    selection.is_new, selection.again = checkpoint.is_new, checkpoint.unread()
                    if checkpoint.written:
                        selection.deliveries = deliveries_of(checkpoint.written - overlap, None)
                with open_logs(files, s3, selection, problems) as (portions, advance):
                    done = update_alerts_of_logs(
                        client,
                        alert_index,
                        searched,
                        portions,
                        pack,
                        since=since,
                        until=times.until,
                        checkpoint=checkpoint,
                        most_open=rules.most_open,
                        messages=Messages(on_progress(problems, advance)),
                        located=output.located,
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
                _print_update(done.update, alert_index, searched, times, output, problems)


def _told(runs: Iterable[Run], problems: Problems) -> Iterator[Run]:
    """Yield each run when it is to begin, with no problems yet and all of its time; say of one that it failed."""
    for run in runs:
        problems.begin_anew()
        run_limit.begin_anew()
        yield run
        if run.error:
            note(f"this run failed; the next run will make up for it: {run.error}")


def _update(
    client: OpenSearch,
    store: StoreChoice,
    alert_index: str,
    span: RunSpan,
    rules: RuleChoice,
    overlap: timedelta,
    output: Output,
    problems: Problems,
) -> AlertUpdate:
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
        progress=on_progress(problems),
        located=output.located,
    )


def _print_update(
    update: AlertUpdate, alert_index: str, searched: str, times: TimeBounds, output: Output, problems: Problems
) -> None:
    """Print the alerts that are new or have changed, and how many there are."""
    print_search(update, searched, times, output, problems)
    note(
        f"{plural(update.created, 'alert')} raised in {alert_index}, {update.updated:,} updated, "
        f"{update.unchanged:,} as they were, of {plural(update.events, 'event')} in {searched}{problems.summary()}"
    )
