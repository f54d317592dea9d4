"""A plan, and what came of it, as text for people."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.text import Text

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.terminal import console_for
from sigma_stellar_aws.base.text import printable
from sigma_stellar_aws.install.apply import Result
from sigma_stellar_aws.install.merge import Path
from sigma_stellar_aws.install.plan import Status, Step, field_name

_SIGNS: dict[Status, tuple[str, str]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "adopt": ("*", "cyan"),
    "delete": ("-", "red"),
    "unchanged": ("=", "dim"),
    "edited": ("e", "yellow"),
    "conflict": ("!", "bold red"),
    "ambiguous": ("?", "bold red"),
    "foreign": ("x", "bold red"),
    "left out": ("x", "bold red"),
    "orphaned": ("o", "magenta"),
    "kept": ("!", "bold red"),
}
_SHOWN_AS: dict[Status, str] = {"edited": "edited there"}
_DONE: dict[Status, str] = {"create": "created", "update": "updated", "adopt": "adopted", "delete": "deleted"}
_NAMED_ORPHANS = 5


def write_plan(steps: Sequence[Step], stream: TextIO) -> None:
    """Write a plan: each rule that something is to be said of, and how many there are of every kind."""
    console = console_for(stream, wrap=False)
    orphans = Counter(step.reason for step in steps if step.status == "orphaned")
    many = {reason for reason, count in orphans.items() if count > _NAMED_ORPHANS}
    for step in steps:
        if (step.status == "unchanged" and not step.edits) or (step.status == "orphaned" and step.reason in many):
            continue
        sign, style = _SIGNS[step.status]
        line = Text(f"{sign} {_SHOWN_AS.get(step.status, step.status):<10}", style)
        line.append(_one_line(f"{step.name}  ({step.key})"), "")
        console.print(line)
        for text in _details(step):
            console.print(Text("      " + printable(text).replace("\n", "\n      ")))
    for reason in sorted(many):
        sign, style = _SIGNS["orphaned"]
        line = Text(f"{sign} {'orphaned':<10}", style)
        line.append(_one_line(f"{orphans[reason]} (--json names them): {reason}"), "")
        console.print(line)
    counts = Counter(step.status for step in steps)
    console.print(
        Text(
            ", ".join(f"{counts[status]} {_SHOWN_AS.get(status, status)}" for status in _SIGNS if counts[status])
            or "nothing"
        )
    )


def write_result(result: Result, stream: TextIO) -> None:
    """Write what became of one step."""
    step = result.step
    if result.outcome == "done":
        text, style = _DONE[step.status], "green"
    else:
        text, style = f"{result.outcome} ({step.status})", "bold red"
    line = Text(f"{text}: ", style)
    line.append(_one_line(f"{step.name}  ({step.key})" + (f": {result.remark}" if result.remark else "")), "")
    console_for(stream, wrap=False).print(line)


def summary(results: Sequence[Result]) -> str:
    """Return how many steps ended in which way, and whether it helps to run it again."""
    counts = Counter(result.outcome for result in results)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("done", "failed", "not tried") if counts[outcome])
    left = [result for result in results if result.outcome != "done"]
    if any(not result.lasting for result in left):
        return f"{told}; running it again does what is left"
    return f"{told}, and would fail again: see above" if left else told


def _details(step: Step) -> Iterable[str]:
    if step.reason:
        yield step.reason
    for path, now, then in step.changes:
        yield f"{field_name(path)}: {_short(now)} -> {_short(then)}" if _fits(now, then) else _long(path, now, then)
    for path, was, now, then in step.conflicts:
        applied = "" if was is None else f"\n  applied: {_short(was)}"
        yield f"{field_name(path)}: both changed it{applied}\n  live:    {_short(now)}\n  rule:    {_short(then)}"
    if step.edits:
        yield "edited there, and kept: " + ", ".join(field_name(edit.path) for edit in step.edits)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split("\n")))


def _long(path: Path, now: Json, then: Json) -> str:
    return f"{field_name(path)}:\n  - {_short(now)}\n  + {_short(then)}"


def _fits(now: Json, then: Json) -> bool:
    return len(_short(now)) + len(_short(then)) < 80


def _short(value: Json) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)
