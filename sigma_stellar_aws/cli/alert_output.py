"""What the command alerts prints."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from sigma_stellar_aws import __version__
from sigma_stellar_aws.alerts import render
from sigma_stellar_aws.alerts.alert import Alert, AlertList
from sigma_stellar_aws.alerts.alert_json import alert_json
from sigma_stellar_aws.alerts.run import AlertSearch, OnProgress, Progress
from sigma_stellar_aws.base.files import replacing
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import now
from sigma_stellar_aws.cli.alert_options import Output, TimeBounds
from sigma_stellar_aws.cli.log_sources import LogSource
from sigma_stellar_aws.cli.options import STANDARD_OUTPUT
from sigma_stellar_aws.cli.problems import Problems, note
from sigma_stellar_aws.logs.portions import STANDARD_INPUT


def on_progress(problems: Problems, advance: Callable[[int], None] = lambda done: None) -> OnProgress:
    """Print problems and notes of a search as they come."""

    def listen(news: Progress) -> None:
        for text in news.notes:
            note(f"note: {text}")
        for problem in news.problems:
            problems.report(problem)
        advance(news.done_bytes)

    return listen


def check_output(output: Output) -> None:
    """Refuse options that exclude each other.

    Raises:
        UsageError: it is said which.
    """
    forms = output.forms
    if len(forms) > 1:
        raise click.UsageError(f"alerts are written in one form, not as {' and as '.join(sorted(forms))}")
    if output.html == STANDARD_OUTPUT and (forms or output.target not in (None, STANDARD_OUTPUT)):
        raise click.UsageError(
            "--html - writes the page to standard output, and so excludes --json, --csv, --output and -o"
        )
    if output.fields and forms != {"csv"}:
        raise click.UsageError("--fields is for --csv")
    for file in output.files():
        if not file.absolute().parent.is_dir():
            raise click.UsageError(f"there is no folder for {file}")
    if len({file.resolve() for file in output.files()}) < len(output.files()):
        raise click.UsageError(f"--html and -o both name {output.html}, where one would replace the other")


def check_not_read(output: Output, sources: Iterable[LogSource]) -> None:
    """Refuse to replace a log with the alerts of it.

    Raises:
        UsageError: a file is to be read and to be written.
    """
    logs = {source.resolve() for source in sources if isinstance(source, Path) and source.is_file()}
    for file in output.files():
        if file.resolve() in logs:
            raise click.UsageError(f"{file} is to be searched, and would be replaced; name another file to write to")


class _Shown:
    """The alerts of a severity or more, with the places of their source addresses, if these are to be told."""

    def __init__(self, alerts: AlertList, output: Output) -> None:
        self._alerts, self._output = alerts, output
        least = output.min_severity
        self._count = sum(alert.rule.severity >= least for alert in alerts) if least else len(alerts)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Alert]:
        least = self._output.min_severity
        return self._output.located(alert for alert in self._alerts if alert.rule.severity >= least)


def print_search(search: AlertSearch, searched: str, times: TimeBounds, output: Output, problems: Problems) -> None:
    """Print the alerts, and write the page of them that is asked for."""
    _print_search(search, searched, times, output, problems)
    for problem in output.take_problems():
        problems.report(problem)


def _print_search(search: AlertSearch, searched: str, times: TimeBounds, output: Output, problems: Problems) -> None:
    alerts = _Shown(search.alerts, output)
    if hidden := len(search.alerts) - len(alerts):
        note(f"{plural(hidden, 'alert')} of less severity than {output.min_severity} not shown")
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
            "written": now().isoformat(timespec="seconds"),
        }
        is_page_only = output.html == STANDARD_OUTPUT
        target = sys.stdout.buffer if is_page_only else output.html
        page.write_html(map(alert_json, alerts), target, about=about)
        if is_page_only:
            sys.stdout.flush()
            return
    form = next(iter(output.forms), "table")
    if output.target is None or output.target == STANDARD_OUTPUT:
        render.write_alerts(alerts, form, output.group_by, sys.stdout, output.fields)
        return
    with replacing(output.target) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        render.write_alerts(alerts, form, output.group_by, text, output.fields)
        # It is closed by whoever opened it.
        text.detach()


def names_of_sources(files: tuple[LogSource, ...]) -> str:
    """Return what was searched, for people."""
    return ", ".join("standard input" if file == STANDARD_INPUT else str(file) for file in files)


def numbers_of_search(search: AlertSearch) -> str:
    """Say how many alerts a search raised, and of how many events."""
    return f"{plural(len(search.alerts), 'alert')} of {plural(search.events, 'matching event')}"
