"""Write alerts to standard output, as a table, JSON lines or CSV."""

import csv
import heapq
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Protocol, TextIO

from rich.table import Table
from rich.text import Text

from sigma_stellar_aws.alerts.alert import Alert, ChainEvent, alert_lines
from sigma_stellar_aws.base.terminal import console_for, style_of
from sigma_stellar_aws.base.text import cell, printable
from sigma_stellar_aws.base.times import time_text

ROWS = 1000
"""Rows of the table: more than anybody reads, and a bound for its memory."""


class AlertList(Protocol):
    """Alerts that can be counted, such as a list or those of a search."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Alert]:
        """Read them."""


def write_alerts(alerts: AlertList, form: str, group_by: str) -> None:
    """Write alerts.

    Args:
        alerts: what to write; as JSON and CSV in their order.
        form: table, json or csv.
        group_by: what the table is grouped by, rule or actor.
    """
    if form == "json":
        sys.stdout.writelines(alert_lines(alerts))
    elif form == "csv":
        _write_csv(alerts, sys.stdout)
    else:
        _write_table(alerts, group_by, sys.stdout)
    # While there is still somebody to tell that it could not be written.
    sys.stdout.flush()


def _write_csv(alerts: Iterable[Alert], stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(column for column, _ in _CSV_COLUMNS)
    for alert in alerts:
        # A bare carriage return, which no cell has, would also end a line for many readers.
        writer.writerow(cell("" if (told := value(alert)) is None else str(told)) for _, value in _CSV_COLUMNS)


def _joined(values: Iterable[str]) -> str:
    return ", ".join(values)


def _key_text(alert: Alert) -> str:
    key = zip(alert.rule.suppression.fields, alert.key, strict=True)
    return _joined(f"{field}={'' if value is None else value}" for field, value in key)


def _link(step: ChainEvent) -> str:
    """Return an event of a correlation as a line: when, what, and for which rules it counts."""
    when = time_text(step.time) or ""
    return f"{when} {step.event} ({_joined(title for _, title in step.rules)})"


_CSV_COLUMNS: tuple[tuple[str, Callable[[Alert], str | int | None]], ...] = (
    ("severity", lambda alert: alert.rule.severity),
    ("rule_id", lambda alert: alert.rule.id),
    ("rule_title", lambda alert: alert.rule.title),
    ("rule_author", lambda alert: alert.rule.author),
    ("first_time", lambda alert: time_text(alert.first)),
    ("last_time", lambda alert: time_text(alert.last)),
    ("event_count", lambda alert: alert.events),
    ("suppression_key", _key_text),
    ("event_names", lambda alert: _joined(alert.event_names)),
    ("actors", lambda alert: _joined(alert.actors)),
    ("source_addresses", lambda alert: _joined(alert.source_addresses)),
    ("accounts", lambda alert: _joined(alert.accounts)),
    ("regions", lambda alert: _joined(alert.regions)),
    ("event_ids", lambda alert: _joined(event_id for event_id, _ in alert.sample)),
    ("places", lambda alert: _joined(dict.fromkeys(origin for _, origin in alert.sample))),
    ("alert_id", lambda alert: alert.id),
    ("chain", lambda alert: "; ".join(map(_link, alert.chain))),
)


def _of_rule(alert: Alert) -> str:
    # The Detection Rule License asks that authors are shown wherever matches are.
    return f"{alert.rule.title} (by {alert.rule.author})" if alert.rule.author else alert.rule.title


def _of_actor(alert: Alert) -> str:
    return _joined(alert.actors) or "actor not known"


def _write_table(alerts: AlertList, group_by: str, stream: TextIO) -> None:
    shown = heapq.nsmallest(ROWS, alerts, key=lambda alert: -alert.rule.severity)
    _print_groups(shown, group_by, stream)
    if len(alerts) > ROWS:
        stream.write(f"and {len(alerts) - ROWS:,} more, none of them more severe; --json and --csv tell all\n")


def _print_groups(alerts: list[Alert], group_by: str, stream: TextIO) -> None:
    group, other, other_name = (_of_actor, _of_rule, "rule") if group_by == "actor" else (_of_rule, _of_actor, "actor")
    worst: dict[str, int] = {}
    for alert in alerts:
        worst[group(alert)] = max(alert.rule.severity, worst.get(group(alert), 0))
    ordered = sorted(alerts, key=lambda a: (-worst[group(a)], group(a), -a.rule.severity, a.first is None, a.first))
    console = console_for(stream)
    for number, (title, same) in enumerate(groupby(ordered, key=group)):
        console.print(Text(f"{worst[title]:3} {printable(title)}", f"bold {style_of(worst[title])}"))
        table = Table(box=None, expand=True, padding=(0, 0, 0, 2), pad_edge=True, header_style="dim")
        table.show_header = not number
        for name, width in (("", 3), ("first", 19), ("last", 19), ("events", 6)):
            table.add_column(name, width=width, justify="right" if name in ("", "events") else "left", overflow="fold")
        table.add_column(other_name, ratio=1, overflow="fold")
        for name, width in (("source address", 20), ("account", 12), ("region", 14)):
            table.add_column(name, width=width, overflow="fold")
        for alert in same:
            texts = (alert.source_addresses, alert.accounts, alert.regions)
            table.add_row(
                Text(str(alert.rule.severity), style_of(alert.rule.severity)),
                _short_time(alert.first),
                _short_time(alert.last),
                f"{alert.events:,}",
                *(Text(printable(text)) for text in (other(alert), *map(_joined, texts))),
            )
            for step in alert.chain:
                told = f"· {step.event} ({_joined(title for _, title in step.rules)})"
                shown = (Text(printable(text), "dim") for text in (told, step.source_address))
                table.add_row("", Text(_short_time(step.time), "dim"), "", "", *shown)
        console.print(table)


def _short_time(time: int | None) -> str:
    return (time_text(time) or "").replace("T", " ").removesuffix("Z")
