"""Alerts as a table, as JSON lines or as CSV, on standard output."""

import csv
import json
import sys
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma_stellar_aws.alerts import Alert, event_of

_STYLES = ((75, "bold red"), (50, "yellow"), (25, "cyan"), (0, "dim"))
_COLUMNS = (
    ("time", "time"),
    ("severity", "severity"),
    ("rule_id", "rule_id"),
    ("rule_title", "rule_title"),
    ("rule_author", "rule_author"),
    ("eventID", "event_id"),
    ("eventSource", "event_source"),
    ("eventName", "event_name"),
    ("errorCode", "error_code"),
    ("actor", "actor"),
    ("sourceIPAddress", "source_address"),
    ("account", "account"),
    ("region", "region"),
)
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the start of a formula, full-width forms included."""
_WIDTH_WITHOUT_TERMINAL = 160


def write(alerts: Iterable[Alert], form: str, place: str) -> None:
    """Write alerts in the order of their time.

    Args:
        alerts: what to write.
        form: table, json or csv.
        place: what the place of an event is called: file or index.
    """
    ordered = sorted(alerts, key=lambda alert: (event_of(alert), -alert.severity, alert.rule_id))
    writers: dict[str, Callable[[list[Alert], str, TextIO], None]] = {
        "table": _write_table,
        "json": _write_json,
        "csv": _write_csv,
    }
    writers[form](ordered, place, sys.stdout)
    # While there is still somebody to tell that it could not be written.
    sys.stdout.flush()


def printable(text: str) -> str:
    """The text without what could steer a terminal: log records hold what attackers typed."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def cell(text: str) -> str:
    """The text as a cell of CSV: printable, and no formula to a spreadsheet."""
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def style_of(severity: int) -> str:
    """The style in which a severity is shown."""
    return next(style for least, style in _STYLES if severity >= least)


def table_of(*columns: str) -> Table:
    """An empty table in which nothing is cut off."""
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_table(table: Table, stream: TextIO) -> None:
    """Print a table in the width of the terminal, or a fixed one where there is none."""
    console = Console(file=stream)
    console.width = console.width if console.is_terminal else _WIDTH_WITHOUT_TERMINAL
    console.print(table)


def _row(alert: Alert, place: str) -> dict[str, str | int]:
    values = alert._asdict()
    return {**{title: values[name] for title, name in _COLUMNS}, place: alert.place}


def _write_json(alerts: list[Alert], place: str, stream: TextIO) -> None:
    for alert in alerts:
        stream.write(json.dumps(_row(alert, place)) + "\n")


def _write_csv(alerts: list[Alert], place: str, stream: TextIO) -> None:
    writer = csv.DictWriter(stream, [*(title for title, _ in _COLUMNS), place], lineterminator="\n")
    writer.writeheader()
    for alert in alerts:
        # A bare carriage return, which no cell has, would also end a line for many readers.
        writer.writerow({title: cell(str(value)) for title, value in _row(alert, place).items()})


def _write_table(alerts: list[Alert], place: str, stream: TextIO) -> None:
    table = table_of("time", "severity", "rule", "actor", "source address")
    for _, same in groupby(alerts, key=event_of):
        group = list(same)
        table.add_row(
            Text(printable(group[0].time)),
            Text("\n").join(Text(str(alert.severity), style_of(alert.severity)) for alert in group),
            Text("\n".join(printable(alert.rule_title) for alert in group)),
            Text(printable(group[0].actor)),
            Text(printable(group[0].source_address)),
        )
    print_table(table, stream)
    if not alerts:
        return
    authors = table_of("rule", "author")
    for title, author in sorted({(alert.rule_title, alert.rule_author) for alert in alerts}):
        authors.add_row(Text(printable(title)), Text(printable(author)))
    print_table(authors, stream)
