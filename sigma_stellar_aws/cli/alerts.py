"""The command alerts."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from sigma_stellar_aws import __version__
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.cli.options import (
    FILES,
    ca_file_option,
    choice_options,
    duration,
    exact_case_option,
    fields,
    filters_option,
    instant,
    published_option,
    rules_option,
    strict_option,
)
from sigma_stellar_aws.cli.problems import Problems, as_click_errors, find_logs, needs, note, progress

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from sigma_stellar_aws.alerts.alert import Alert
    from sigma_stellar_aws.alerts.hits import Counted, Hit
    from sigma_stellar_aws.alerts.pack import Override, Pack
    from sigma_stellar_aws.alerts.repeat import Span
    from sigma_stellar_aws.base.json_types import JsonObject
    from sigma_stellar_aws.query.store_profile import StoreProfile


@click.command()
@click.argument("files", nargs=-1, type=FILES)
@click.option("--url", help="Search this data store instead of files, such as https://search.example.com:9200.")
@click.option("--index", default=None, help="Index, alias or pattern to search.  [default: aella-cloudtrail-*]")
@click.option(
    "--since",
    callback=instant,
    metavar="TIME",
    help="Only events from then on: ISO 8601, or 90m, 24h, 7d ago.",
)
@click.option("--until", callback=instant, metavar="TIME", help="Only events before this time.")
@click.option("--time-field", default=None, help="Date field of the data store.  [default: timestamp]")
@click.option("--json", "form", flag_value="json", help="One JSON object a line, for each alert.")
@click.option("--csv", "form", flag_value="csv", help="CSV, a line for each alert.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Also write a web page.")
@click.option(
    "--group-by",
    type=click.Choice(["rule", "actor"]),
    default="rule",
    show_default=True,
    help="What the table is grouped by.",
)
@click.option(
    "--suppress-by",
    callback=fields,
    metavar="FIELD,...",
    help="One alert for the same values of these CloudTrail fields, whatever the rules say.",
)
@click.option(
    "--window", callback=duration, metavar="TIME", help="One alert in this time, such as 24h, whatever the rules say."
)
@click.option("--each-event", is_flag=True, help="An alert for each event and rule, without suppression.")
@click.option(
    "--most-open",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="How many alerts may be open at one time, about 1 KB of memory each.  [default: 100000]",
)
@click.option("--write", "write_to", metavar="INDEX", help="Store the alerts in this index of the data store.")
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Go on where the last run with this file ended; with --write.",
)
@click.option(
    "--follow", callback=duration, metavar="TIME", help="Run again after this pause, such as 5m; with --write."
)
@click.option(
    "--overlap",
    callback=duration,
    metavar="TIME",
    help="How far a run goes back behind the last one's end, for events that arrive late.  [default: 6h]",
)
@published_option
@exact_case_option
@rules_option
@filters_option
@choice_options
@strict_option
@ca_file_option
def alerts(
    files: tuple[Path, ...],
    url: str | None,
    index: str | None,
    since: datetime | None,
    until: datetime | None,
    time_field: str | None,
    form: str | None,
    html: Path | None,
    group_by: str,
    suppress_by: tuple[str, ...],
    window: timedelta | None,
    each_event: bool,
    most_open: int | None,
    write_to: str | None,
    checkpoint: Path | None,
    follow: timedelta | None,
    overlap: timedelta | None,
    published: bool,
    case_sensitive: bool,
    rule_paths: tuple[Path, ...],
    filter_paths: tuple[Path, ...],
    only: tuple[str, ...],
    exclude: tuple[str, ...],
    strict: bool,
    ca_file: Path | None,
) -> None:
    """Raise the alerts of CloudTrail FILES (or folders of them), or of a data store (--url).

    A rule alerts once in 24 hours for the same account, caller and source address, if it says nothing else; the alert
    counts the events.

    With --write, the index is the record of what was raised: of alerts in it, a run that was ended may not have told.

    Exit code 0: everything was looked at. 1: it could not be; no alerts are told. 3: some input could not be read, or
    a rule was left out, as told on standard error.
    """
    from sigma_stellar_aws.alerts.pack import Override
    from sigma_stellar_aws.alerts.repeat import OVERLAP
    from sigma_stellar_aws.alerts.suppress import MOST_OPEN
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX
    from sigma_stellar_aws.reference.flat_schema import TIME_FIELD

    if bool(files) == bool(url):
        raise click.UsageError("name either files or a data store (--url)")
    if files and (time_field or index or ca_file or write_to):
        raise click.UsageError("--index, --time-field, --write and --ca-file are for a data store (--url)")
    if write_to is None and (checkpoint or follow):
        raise click.UsageError("--checkpoint and --follow need --write: what was raised is known by what was written")
    if overlap and not (checkpoint or follow):
        raise click.UsageError("--overlap is for --checkpoint and --follow")
    if (checkpoint or follow) and (until or html):
        raise click.UsageError("--checkpoint and --follow exclude --until and --html")
    if since and until and since >= until:
        raise click.UsageError("--since must be before --until")
    if each_event and (window or suppress_by or write_to):
        raise click.UsageError("--each-event excludes --window, --suppress-by and --write")
    if html and not html.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder for {html}")
    request = _Request(
        rules=_Rules(
            rule_paths,
            filter_paths,
            published,
            case_sensitive,
            Override(timedelta(0) if each_event else window, suppress_by),
            only,
            exclude,
            strict,
        ),
        since=since,
        until=until,
        most_open=most_open or MOST_OPEN,
        form=form or "table",
        group_by=group_by,
        html=html,
    )
    problems = Problems()
    if not url:
        _of_files(files, request, problems)
    else:
        store = _Store(url, index or INDEX, time_field or TIME_FIELD, ca_file)
        if write_to is None:
            _of_store(store, request, problems)
        else:
            # Whoever follows ends it in no other way.
            with suppress(KeyboardInterrupt) if follow else nullcontext():
                _write(store, request, write_to, _Schedule(checkpoint, follow, overlap or OVERLAP), problems)
    problems.leave()


class _Rules(NamedTuple):
    """Which rules, and how they are to be converted."""

    paths: tuple[Path, ...]
    filters: tuple[Path, ...]
    published: bool
    case_sensitive: bool
    override: "Override"
    only: tuple[str, ...]
    exclude: tuple[str, ...]
    strict: bool

    def convert(self, index: str, time_field: str, profile: "StoreProfile | None" = None) -> "Pack":
        """Convert them to a query, for a data store if its profile is given."""
        from sigma_stellar_aws.alerts.pack import convert_pack
        from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
        from sigma_stellar_aws.rule_files.choose import choose_rules
        from sigma_stellar_aws.rule_files.load import load_rules

        pipeline = stellar_aws_published if self.published else stellar_aws
        return convert_pack(
            choose_rules(load_rules(*self.paths, filters=self.filters), self.only, self.exclude),
            pipeline(index, time_field, flattened=profile.flattened if profile else True),
            case_sensitive=self.case_sensitive,
            store=profile,
            override=self.override,
            strict=self.strict,
        )


class _Request(NamedTuple):
    """What is asked of files and data stores alike."""

    rules: _Rules
    since: datetime | None
    until: datetime | None
    most_open: int
    form: str
    group_by: str
    html: Path | None


class _Store(NamedTuple):
    """Which data store."""

    url: str
    pattern: str
    time_field: str
    ca_file: Path | None


class _Schedule(NamedTuple):
    """When to run."""

    checkpoint: Path | None
    interval: timedelta | None
    overlap: timedelta


def _of_files(files: tuple[Path, ...], request: _Request, problems: Problems) -> None:
    from sigma_stellar_aws.alerts.files import scan_files
    from sigma_stellar_aws.alerts.hits import Counted
    from sigma_stellar_aws.alerts.suppress import raise_alerts
    from sigma_stellar_aws.base.external_sort import in_order
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX
    from sigma_stellar_aws.reference.flat_schema import TIME_FIELD

    records = 0
    with as_click_errors():
        pack = request.rules.convert(INDEX, TIME_FIELD)
        for refused in pack.refused:
            problems.report(f"this rule is left out: {refused}")
        logs = find_logs(files, problems)
        with progress(logs) as advance:

            def hits() -> "Iterator[Hit]":
                nonlocal records
                for batch in scan_files(logs, pack, request.since, request.until):
                    records += batch.records
                    for problem in batch.problems:
                        problems.report(problem)
                    advance(batch.done_bytes)
                    yield from batch.hits

            found = in_order(hits(), lambda hit: hit.time, lambda hit: hit.identity)
        events = Counted()
        alerts = _ordered(raise_alerts(events.counting(found), pack.rules, most_open=request.most_open))
        count = _tell(alerts, request, ", ".join(map(str, files)), pack, events, problems, lambda: records)
    note(f"{_numbers(count, events)} among {plural(records, 'record')}{problems.summary()}")


def _of_store(where: _Store, request: _Request, problems: Problems) -> None:
    from sigma_stellar_aws.alerts.hits import Counted
    from sigma_stellar_aws.alerts.suppress import raise_alerts

    with needs("store"):
        from sigma_stellar_aws.alerts.store_events import count_undated, store_hits
        from sigma_stellar_aws.store.client import connect
    with as_click_errors(), connect(where.url, where.ca_file, os.environ) as client:
        since, until = request.since, request.until
        pack, time_field = _search(client, where, request.rules, problems, dated=bool(since or until))
        if (since or until) and (count := count_undated(client, where.pattern, pack, where.time_field)):
            problems.report(f"{count} events of {where.pattern} match, but have no {where.time_field} to compare")
        found = store_hits(client, where.pattern, pack, time_field=time_field, since=since, until=until)
        events = Counted()
        alerts = _ordered(raise_alerts(events.counting(found), pack.rules, most_open=request.most_open))
        count = _tell(alerts, request, where.pattern, pack, events, problems)
    note(f"{_numbers(count, events)} in {where.pattern}{problems.summary()}")


def _write(where: _Store, request: _Request, index: str, schedule: _Schedule, problems: Problems) -> None:
    """Store the alerts, once or again and again, and tell those that are new or have changed."""
    from sigma_stellar_aws.alerts.checkpoint import Checkpoint
    from sigma_stellar_aws.alerts.repeat import repeat

    with needs("store"):
        from sigma_stellar_aws.store.client import connect

    def run(span: "Span") -> None:
        problems.begin_anew()
        _run(client, where, request, index, span, problems)

    with as_click_errors(), connect(where.url, where.ca_file, os.environ) as client:
        search: JsonObject = {"index": where.pattern, "time_field": where.time_field, "url": where.url, "write": index}
        repeat(
            run,
            since=request.since,
            until=request.until,
            checkpoint=Checkpoint(schedule.checkpoint, search) if schedule.checkpoint else None,
            overlap=schedule.overlap,
            interval=schedule.interval,
            wait=lambda pause: time.sleep(pause.total_seconds()),
            failed=lambda error: note(f"this run failed, and the next one does its work: {error}"),
        )


def _run(client: "OpenSearch", where: _Store, request: _Request, index: str, span: "Span", problems: Problems) -> None:
    from sigma_stellar_aws.alerts import alert_index
    from sigma_stellar_aws.alerts.hits import Counted
    from sigma_stellar_aws.alerts.store_events import store_hits
    from sigma_stellar_aws.base.errors import StoreError

    if span.resumed and not alert_index.exists(client, index):
        raise StoreError(
            f"the index {index!r} is gone, and its alerts with it; to raise them again, remove the checkpoint"
        )
    alert_index.prepare(client, index, where.pattern)
    pack, time_field = _search(client, where, request.rules, problems, dated=True)
    events = Counted()

    def hits(begin: datetime | None) -> "Iterator[Hit]":
        found = store_hits(
            client, where.pattern, pack, time_field=time_field, since=begin, until=span.until, undated=True
        )
        return events.counting(found)

    outcomes: Counter[str] = Counter()

    def changed() -> "Iterator[Alert]":
        for alert, outcome in alert_index.bring_up_to_date(
            client,
            index,
            pack.rules,
            hits,
            since=span.since,
            floor=span.floor,
            most_open=request.most_open,
            report=problems.report,
        ):
            outcomes[outcome] += 1
            if outcome != "unchanged":
                yield alert

    _tell(_ordered(changed()), request, where.pattern, pack, events, problems)
    note(
        f"{outcomes['created']} alerts raised in {index}, {outcomes['updated']} updated, {outcomes['unchanged']} as "
        f"they were, of {events.count} events in {where.pattern}{problems.summary()}"
    )


def _search(
    client: "OpenSearch", where: _Store, rules: _Rules, problems: Problems, *, dated: bool
) -> "tuple[Pack, str | None]":
    """The rules as the data store needs them, and its time field if it can be used, as it must be for dates."""
    from sigma_stellar_aws.base.errors import StoreError
    from sigma_stellar_aws.query import store_profile
    from sigma_stellar_aws.store.mapping import closed_indices, describe_store

    profile = store_profile.from_json(describe_store(client, where.pattern), where.pattern)
    pack = rules.convert(where.pattern, where.time_field, profile)
    no_time = profile.no_time(where.time_field)
    if no_time and dated:
        raise StoreError(no_time)
    _tell_of_doubts(client, profile, pack, problems)
    if closed := closed_indices(client, where.pattern):
        problems.report(f"{len(closed)} indices are closed, so that they were not searched: {', '.join(closed)}")
    return pack, None if no_time else where.time_field


def _ordered(alerts: "Iterable[Alert]") -> "Iterator[Alert]":
    """The alerts in order of time, none before all are there: of a search that fails nothing is told."""
    from sigma_stellar_aws.base.external_sort import in_order

    return in_order(alerts, lambda alert: alert.first, lambda alert: f"{100 - alert.rule.severity:03}{alert.id}")


def _tell(
    alerts: "Iterator[Alert]",
    request: _Request,
    searched: str,
    pack: "Pack",
    events: "Counted",
    problems: Problems,
    records: Callable[[], int | None] = lambda: None,
) -> int:
    """Write the alerts, and say how many there were."""
    from sigma_stellar_aws.alerts import page, render
    from sigma_stellar_aws.alerts.alert import as_json

    count = 0

    def counted() -> "Iterator[Alert]":
        nonlocal count
        for alert in alerts:
            count += 1
            yield alert

    if request.html is None:
        render.write(counted(), request.form, request.group_by)
        return count
    found = list(counted())
    about: JsonObject = {
        "searched": searched,
        "since": request.since.isoformat() if request.since else None,
        "until": request.until.isoformat() if request.until else None,
        "records": records(),
        "events": events.count,
        "rules": len(pack.rules),
        "problems": list(problems.texts),
        "problem_count": problems.count,
        "version": __version__,
    }
    page.write_html(map(as_json, found), request.html, about=about)
    render.write(found, request.form, request.group_by)
    return count


def _numbers(alerts: int, events: "Counted") -> str:
    return f"{plural(alerts, 'alert')} of {plural(events.count, 'matching event')}"


def _tell_of_doubts(client: "OpenSearch", profile: "StoreProfile", pack: "Pack", problems: Problems) -> None:
    """Tell what the data store cannot answer, or not exactly."""
    from sigma_stellar_aws.base.errors import StoreError
    from sigma_stellar_aws.query import dsl
    from sigma_stellar_aws.query.by_field_type import cut_values
    from sigma_stellar_aws.store.mapping import count_each

    for refused in pack.refused:
        problems.report(f"this rule is left out: {refused}")
    missing = sorted({doubt.field for doubt in pack.doubts if doubt.kind == "missing"})
    dead = sum(not dsl.can_match(clause, missing) for _, clause in dsl.named_clauses(pack.query))
    if not dsl.can_match(pack.query, missing):
        raise StoreError(f"no rule can match in {profile.indices}: it has no field {', '.join(missing)}")
    if missing:
        note(
            f"note: {profile.indices} has no field {', '.join(missing)}; "
            f"{dead} of {len(pack.rules)} rules cannot match there"
        )
    for doubt in pack.doubts:
        if doubt.kind == "loose":
            problems.report(doubt)
    cut = cut_values(profile.all_mappings(), dsl.fields(pack.query), profile.engine)
    if cut is not None and (events := count_each(client, profile.indices, {"cut": cut}).counts["cut"]):
        problems.report(
            f"{events} events of {profile.indices} have a value that is too long to be found, in a field of the rules"
        )
    for reason in {doubt.reason: None for doubt in pack.doubts if doubt.kind == "cut"}:
        if cut is None:
            problems.report(f"{reason}; this store does not tell whether there are any")
        elif profile.engine != "elasticsearch":
            note(f"note: {reason}; OpenSearch does not tell of all such values")
