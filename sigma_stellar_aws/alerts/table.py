"""Print alerts as a table, grouped by their rules or by who acted, as wide as the terminal is."""

import heapq
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import NamedTuple, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma_stellar_aws.alerts.alert import Alert, AlertList, ChainEvent, failure_text
from sigma_stellar_aws.alerts.first_event import actor_labels, first_event, short_resource
from sigma_stellar_aws.alerts.summary import AlertSummary
from sigma_stellar_aws.base.terminal import console_for, style_of
from sigma_stellar_aws.base.text import printable
from sigma_stellar_aws.base.times import time_text

ROWS = 1000
"""Rows of the table: more than anybody reads, and a bound for its memory."""

_FEW = 10
"""Alerts that need no summary."""
_ONE_LINE = 120
"""Columns from which on an alert has one line if its values are short."""
_WITH_REGION = 150
_LONGEST = 500
"""Characters of a value: more than names and almost all ARNs have."""
_LONGEST_LIST = 5000
"""Characters of values that stand together."""
_BETWEEN = re.compile(r"(, |  |\n)")


class _Column(NamedTuple):
    """A column: its title, its width or else its share of what is left, and what stands in it."""

    title: str
    width: int
    cell: Callable[[Alert], Text]
    step: Callable[[ChainEvent], Text] = lambda step: Text()
    """What stands there for an event of a correlation."""
    share: int = 0


def write_table(alerts: AlertList, group_by: str, stream: TextIO) -> None:
    """Print the most severe alerts, grouped by rule or actor, and what stands out among all."""
    summary = AlertSummary()
    shown = heapq.nsmallest(ROWS, summary.counted(alerts), key=lambda alert: -alert.rule.severity)
    console = console_for(stream)
    _print_groups(shown, group_by, actor_labels(summary.actors), console)
    if len(alerts) > ROWS:
        stream.write(f"and {len(alerts) - ROWS:,} more, none of them more severe; --json and --csv tell all\n")
    _print_authors(shown, console)
    # Last: the next to where people type.
    if len(alerts) > _FEW:
        _print_summary(summary, console)


def _print_groups(alerts: list[Alert], group_by: str, labels: Mapping[str, str], console: Console) -> None:
    def actors(alert: Alert) -> str:
        return ", ".join(map(labels.__getitem__, alert.actors)) or "actor not known"

    group, other, name = (actors, _rule, "rule") if group_by == "actor" else (_rule, actors, "actor")
    worst: dict[str, int] = {}
    for alert in alerts:
        worst[group(alert)] = max(alert.rule.severity, worst.get(group(alert), 0))
    ordered = sorted(alerts, key=lambda a: (-worst[group(a)], group(a), -a.rule.severity, a.first is None, a.first))
    columns = _columns(console.width, name, other)
    for number, (title, same) in enumerate(groupby(ordered, key=group)):
        console.print(Text(f"{worst[title]:3} {_shown(title)}", f"bold {style_of(worst[title])}"))
        table = Table(box=None, expand=True, padding=(0, 0, 0, 2), pad_edge=True, header_style="dim")
        table.show_header = not number
        for column in columns:
            table.add_column(column.title, width=column.width or None, ratio=column.share or None, overflow="fold")
        for alert in same:
            table.add_row(*(column.cell(alert) for column in columns))
            for step in alert.chain:
                table.add_row(*(column.step(step) for column in columns))
        console.print(table)


def _columns(width: int, name: str, other: Callable[[Alert], str]) -> list[_Column]:
    """Return the columns for a width of the terminal: time of the last event and region give way first."""
    severity = _Column("", 3, lambda alert: Text(f"{alert.rule.severity:3}", style_of(alert.rule.severity)))
    time = _Column(
        "time (UTC)", 19, lambda alert: Text(_short_time(alert.first)), lambda step: Text(_short_time(step.time), "dim")
    )
    if width < _ONE_LINE:
        # Who did it, and where from, is below what was done.
        return [severity, time, _Column(f"event, {name}, source, account", 0, _two_lines(other), _step, share=1)]
    event = _Column("event", 0, _event_once, _step, share=3)
    who = _Column(name, 0, lambda alert: Text(_shown(other(alert))), share=2)
    source = _Column("source", 15, lambda alert: _below(_sources(alert, "{}\n{}")), _step_source)
    account = _Column("account", 12, lambda alert: _below(alert.accounts))
    count = _Column("events", 6, lambda alert: Text(f"{alert.events:,}", justify="right"))
    if width < _WITH_REGION:
        return [severity, time, count, event, who, source, account]
    last = _Column("last", 19, lambda alert: Text(_short_time(alert.last)))
    region = _Column("region", 14, lambda alert: _below(alert.regions))
    return [severity, time, last, count, event, who, source, account, region]


def _rule(alert: Alert) -> str:
    return alert.rule.title


def _name(event: str) -> str:
    """Return the name of an event without its source."""
    return event.rpartition(" ")[2]


def _event_once(alert: Alert) -> Text:
    """Return what was done, to what, and how much of it failed: red where nothing was changed."""
    return _what(alert).append_text(_failure(alert))


def _what(alert: Alert) -> Text:
    names = dict.fromkeys(map(_name, alert.event_names))
    text = Text(_shown(", ".join(names)) or "event without a name")
    event = first_event(alert.event, alert.rule)
    # Behind several names, it would seem to be what all of them acted on.
    if event is not None and event.resource and len(names) < 2:
        text.append(f" {_shown(short_resource(event.resource))}", "dim")
    return text


def _failure(alert: Alert) -> Text:
    told = failure_text(alert)
    return Text(f" {_shown(told)}" if told else "", "red" if alert.failed == alert.events else "yellow")


def _event(alert: Alert) -> Text:
    """Return the same with the number of events, which stands with those that failed, if any did."""
    text = _what(alert)
    if alert.events > 1 and not alert.failed:
        text.append(f" \N{MULTIPLICATION SIGN}{alert.events:,}", "bold")
    return text.append_text(_failure(alert))


def _two_lines(other: Callable[[Alert], str]) -> Callable[[Alert], Text]:
    def lines(alert: Alert) -> Text:
        values = [other(alert), ", ".join(_sources(alert, "{} ({})")), ", ".join(alert.accounts)]
        return _event(alert).append("\n").append(_shown("  ".join(filter(None, values))))

    return lines


def _sources(alert: Alert, form: str) -> list[str]:
    """Return the source addresses, each with its place in a form of text, if that is known."""
    places = {location.address: location.place() for location in alert.source_locations}
    return [form.format(each, places[each]) if places.get(each) else each for each in alert.source_addresses]


def _step(step: ChainEvent) -> Text:
    told = " ".join(filter(None, map(_cut, (_name(step.event), short_resource(step.resource), step.error_code))))
    return Text(printable(f"\N{MIDDLE DOT} {told} ({', '.join(title for _, title in step.rules)})"), "dim")


def _step_source(step: ChainEvent) -> Text:
    return Text(_shown(step.source_address), "dim")


def _below(values: Iterable[str]) -> Text:
    """Return values one below the other, for a column that is as wide as one."""
    return Text(_shown("\n".join(values)))


def _print_summary(summary: AlertSummary, console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in summary.lines():
        table.add_row(title, Text(_shown(text)))
    console.print()
    console.print(table)


def _print_authors(alerts: list[Alert], console: Console) -> None:
    """Name the authors of rules: the Detection Rule License asks for that wherever matches are shown."""
    rules: dict[str, set[str]] = {}
    for alert in alerts:
        if alert.rule.author:
            rules.setdefault(alert.rule.author, set()).add(alert.rule.title)
    if rules:
        console.print()
    for author, titles in sorted(rules.items()):
        console.print(Text(printable(f"by {author}: {', '.join(sorted(titles))}"), "dim"))


def _shown(text: str) -> str:
    """Return values as they are shown: none, of what attackers typed, may push all else out of sight.

    >>> len(_shown(f"{'a' * 1000}, b")), len(_shown(", ".join("abc" * 2000)))
    (503, 5000)
    """
    return printable(_cut("".join(map(_cut, _BETWEEN.split(text))), _LONGEST_LIST))


def _cut(value: str, longest: int = _LONGEST) -> str:
    return value if len(value) <= longest else f"{value[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def _short_time(time: int | None) -> str:
    return (time_text(time) or "").replace("T", " ").removesuffix("Z").partition(".")[0]
