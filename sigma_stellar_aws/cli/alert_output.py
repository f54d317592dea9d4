"""What the command alerts prints."""

import sys
from collections.abc import Callable
from pathlib import Path

from sigma_stellar_aws import __version__
from sigma_stellar_aws.alerts import render
from sigma_stellar_aws.alerts.alert import alert_json
from sigma_stellar_aws.alerts.run import AlertSearch, OnProgress, Progress
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import now
from sigma_stellar_aws.cli.alert_options import Output, TimeBounds
from sigma_stellar_aws.cli.log_sources import LogSource
from sigma_stellar_aws.cli.problems import Problems, note
from sigma_stellar_aws.logs.portions import STANDARD_INPUT

STANDARD_OUTPUT = Path("-")
"""How standard output is named for the page of alerts."""


def on_progress(problems: Problems, advance: Callable[[int], None] = lambda done: None) -> OnProgress:
    """Print problems and notes of a search as they come."""

    def listen(news: Progress) -> None:
        for text in news.notes:
            note(f"note: {text}")
        for problem in news.problems:
            problems.report(problem)
        advance(news.done_bytes)

    return listen


def print_search(search: AlertSearch, searched: str, times: TimeBounds, output: Output, problems: Problems) -> None:
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
            "written": now().isoformat(timespec="seconds"),
        }
        is_page_only = output.html == STANDARD_OUTPUT
        target = sys.stdout.buffer if is_page_only else output.html
        page.write_html(map(alert_json, search.alerts), target, about=about)
        if is_page_only:
            sys.stdout.flush()
            return
    render.write_alerts(search.alerts, output.form or "table", output.group_by)


def names_of_sources(files: tuple[LogSource, ...]) -> str:
    """Return what was searched, for people."""
    return ", ".join("standard input" if file == STANDARD_INPUT else str(file) for file in files)


def numbers_of_search(search: AlertSearch) -> str:
    """Say how many alerts a search raised, and of how many events."""
    return f"{plural(len(search.alerts), 'alert')} of {plural(search.events, 'matching event')}"
