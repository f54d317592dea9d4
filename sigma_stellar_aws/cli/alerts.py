"""The command alerts."""

from contextlib import nullcontext, suppress
from typing import Any

import click

from sigma_stellar_aws.alerts.correlate import reading_begin
from sigma_stellar_aws.alerts.run import Messages, alerts_of_portions
from sigma_stellar_aws.base.run_limit import run_within
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
from sigma_stellar_aws.cli.alert_output import (
    check_not_read,
    check_output,
    names_of_sources,
    numbers_of_search,
    on_progress,
    print_search,
)
from sigma_stellar_aws.cli.configuration import drop_configured, drop_contradicted
from sigma_stellar_aws.cli.log_sources import LogSource, S3Choice, Selection, log_sources, open_logs, s3_options
from sigma_stellar_aws.cli.options import field_options
from sigma_stellar_aws.cli.problems import Problems, as_click_errors, needs, note
from sigma_stellar_aws.cli.progress import telling
from sigma_stellar_aws.logs.deliveries import deliveries_of
from sigma_stellar_aws.logs.s3.address import S3Address

_EXCLUSIVE = (("as_json", "as_csv", "stated"), ("each_event", "window"), ("each_event", "suppress_by"))
"""Parameters that exclude each other: what the command line says of one wins over what a file says of another."""


class _AlertsCommand(click.Command):
    """The command, for which a file of options may name the data store of all runs without files."""

    def make_context(self, *what: Any, **more: Any) -> click.Context:
        """Read the options; those of the file do not count that the command line leaves no room for."""
        context = super().make_context(*what, **more)
        drop_contradicted(context, _EXCLUSIVE)
        if not context.params.get("as_csv") and context.params.get("stated") != "csv":
            drop_configured(context, ["fields"])
        if context.params.get("files"):
            drop_configured(context, [name for kind in (StoreChoice, Writing) for name in field_options(kind)])
        return context


@click.command(cls=_AlertsCommand)
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
    _check_files(files, store, writing)
    check_not_read(output, files)
    _check_writing(times, output, rules, writing)
    if store.timeout:
        click.get_current_context().with_resource(run_within(store.timeout))
    problems = Problems()
    with as_click_errors():
        if not store.url:
            _search_files(files, s3, times, output, rules, problems)
        else:
            # Files are searched without the packages of the extra.
            with needs("store"):
                from sigma_stellar_aws.cli.store_alerts import KeepOptions, search_store, update_from_logs, update_index
            if writing.write_to is None:
                search_store(store, store.url, times, output, rules, problems)
            else:
                options = KeepOptions(store, store.url, writing.write_to, times, output, rules, writing, problems)
                # There is no other way to end one that follows.
                with suppress(KeyboardInterrupt) if writing.follow else nullcontext():
                    if files:
                        update_from_logs(files, s3, options)
                    else:
                        update_index(options)
    problems.leave()


def _check_files(files: tuple[LogSource, ...], store: StoreChoice, writing: Writing) -> None:
    if bool(files) == bool(store.url) and not (files and writing.write_to):
        raise click.UsageError("name either files or a data store (--url)")
    if files and (store.time_field or store.index):
        raise click.UsageError("--index and --time-field are for a data store (--url), not for files")
    if files and not store.url and (store.ca_file or store.timeout or writing.write_to):
        raise click.UsageError("--write, --ca-file and --timeout are for a data store (--url)")
    if files and (writing.checkpoint or writing.follow):
        if not all(isinstance(file, S3Address) for file in files):
            raise click.UsageError("of logs, only those in S3 can be searched with --checkpoint and --follow")
        if not writing.checkpoint:
            raise click.UsageError("--follow of logs needs --checkpoint, which says what was read")


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
    if writing.write_to and output.min_severity:
        raise click.UsageError("--min-severity is for what is shown; choose what is written by --only and --exclude")
    if repeated and output.target:
        raise click.UsageError("--checkpoint and --follow exclude -o: alerts are in the index")
    check_output(output)


def _search_files(
    files: tuple[LogSource, ...],
    s3: S3Choice,
    times: TimeBounds,
    output: Output,
    rules: RuleChoice,
    problems: Problems,
) -> None:
    with telling("converting rules"):
        pack = rules.pack(Messages(on_progress(problems)))
    selection = Selection(deliveries_of(reading_begin(pack.correlations, times.since), times.until))
    with open_logs(files, s3, selection, problems) as (portions, advance):
        messages = Messages(on_progress(problems, advance))
        search = alerts_of_portions(portions, pack, times.since, times.until, rules.options(), messages)
    print_search(search, names_of_sources(files), times, output, problems)
    note(f"{numbers_of_search(search)} among {plural(search.records or 0, 'record')}{problems.summary()}")
