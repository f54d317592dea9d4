"""Print alerts as a table, grouped by their rules or by who acted."""

import heapq
from itertools import groupby
from typing import TextIO

from rich.table import Table
from rich.text import Text

from sigma_stellar_aws.alerts.alert import Alert, AlertList
from sigma_stellar_aws.base.terminal import console_for, style_of
from sigma_stellar_aws.base.text import printable
from sigma_stellar_aws.base.times import time_text

ROWS = 1000
"""Rows of the table: more than anybody reads, and a bound for its memory."""


def _of_rule(alert: Alert) -> str:
    # The Detection Rule License asks that authors are shown wherever matches are.
    return f"{alert.rule.title} (by {alert.rule.author})" if alert.rule.author else alert.rule.title


def _of_actor(alert: Alert) -> str:
    return ", ".join(alert.actors) or "actor not known"


def write_table(alerts: AlertList, group_by: str, stream: TextIO) -> None:
    """Print the most severe alerts, grouped by rule or actor."""
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
                *(Text(printable(text)) for text in (other(alert), *map(", ".join, texts))),
            )
            for step in alert.chain:
                told = f"· {step.event} ({', '.join(title for _, title in step.rules)})"
                shown = (Text(printable(text), "dim") for text in (told, step.source_address))
                table.add_row("", Text(_short_time(step.time), "dim"), "", "", *shown)
        console.print(table)


def _short_time(time: int | None) -> str:
    return (time_text(time) or "").replace("T", " ").removesuffix("Z")
