"""The rules as a list for people: a table, JSON, and the Markdown of rules/README.md."""

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, cast

from rich.text import Text
from sigma.rule import SigmaRule

from sigma_stellar_aws.attack import label, tactic_name
from sigma_stellar_aws.jsontypes import Json, JsonObject
from sigma_stellar_aws.output import print_table, printable, style_of, table_of
from sigma_stellar_aws.rulepack import (
    ALERT_TITLE,
    DEFAULT_SUPPRESSION,
    Suppression,
    load_rules,
    published_reason,
    rule_name,
    severity,
    suppression,
)


class Entry(NamedTuple):
    """One rule."""

    id: str
    title: str
    file: str
    severity: int
    level: str
    techniques: list[str]
    """ATT&CK ids, such as T1485."""
    tactics: list[str]
    """Names as in Sigma tags, such as impact."""
    suppression: Suppression
    erratum: str | None
    """Why the published query was corrected."""
    author: str
    license: str
    references: list[str]
    description: str


def entries(paths: Iterable[Path] = ()) -> list[Entry]:
    """The rules of files and folders, by default all of the pack, from the most severe on.

    Raises:
        SigmaError: a file cannot be read as Sigma rules, or a rule's block ``stellar`` is wrong.
    """
    rules = [rule for rule in load_rules(*paths).rules if isinstance(rule, SigmaRule)]
    return sorted(map(_entry, rules), key=lambda entry: (-entry.severity, entry.title))


def as_json(entry: Entry) -> JsonObject:
    """A rule as a JSON object."""
    values = cast("dict[str, Json]", entry._asdict())
    values["suppression"] = {"window": _window(entry.suppression.window), "fields": list(entry.suppression.fields)}
    return values


def as_markdown(rules: Iterable[Entry]) -> str:
    """The catalogue of the pack."""
    rows = list(rules)
    errata = [entry for entry in rows if entry.erratum]
    return "\n".join(
        [
            f'# The {len(rows)} rules of "{ALERT_TITLE}"',
            "",
            "Made by `sigma-stellar-aws rules --markdown`; do not edit.",
            "",
            "Any one rule that matches raises the alert. Severity is the platform's, from 0 to 100.",
            "",
            f"**Suppression.** A rule alerts once in {_window(DEFAULT_SUPPRESSION.window)} for the same values of "
            f"{_codes(DEFAULT_SUPPRESSION.fields)}: who did it, where from, in which account. The window is the "
            "platform's. Its list of fields is not public, so these are our choice; a rule overrides both with "
            "`stellar.suppression`.",
            "",
            "**Filters.** The folder `filters/` has Sigma filters for `--filter`: successful calls only, and no calls "
            "by AWS services. Their files end in `.yaml`, so that they are not applied unasked with the folder.",
            "",
            "| severity | rule | ATT&CK | erratum |",
            "|---|---|---|---|",
            *(
                f"| {e.severity} | [{e.title}]({e.file}) | {_attack(e)} | {'[yes](#errata)' if e.erratum else ''} |"
                for e in rows
            ),
            "",
            "## Errata",
            "",
            "The published query of these rules finds nothing, or something else than its title says. The rule has the "
            "one that works; the published one stands beside it, and the pipeline `stellar_aws_published` converts it.",
            "",
            *(f"- **[{e.title}]({e.file})**: {e.erratum}" for e in errata),
            "",
            "## Sources",
            "",
            "DRL-1.1 is the [Detection Rule License](https://github.com/SigmaHQ/Detection-Rule-License). Of the "
            "validators that need no network, only `sigmahq_unknown_field` reports the rules: for the key `stellar`.",
            "",
            "| rule | author | licence | references |",
            "|---|---|---|---|",
            *(
                f"| {e.title} | {e.author} | {e.license} | "
                f"{', '.join(f'[{n}]({url})' for n, url in enumerate(e.references, 1))} |"
                for e in rows
            ),
            "",
        ]
    )


def print_rules(rules: Iterable[Entry]) -> None:
    """Print the rules as a table to standard output."""
    table = table_of("severity", "rule", "ATT&CK", "erratum", "file")
    for entry in rules:
        table.add_row(
            Text(str(entry.severity), style_of(entry.severity)),
            Text(printable(entry.title)),
            Text(", ".join(entry.techniques or entry.tactics)),
            "yes" if entry.erratum else "",
            Text(printable(entry.file)),
        )
    print_table(table, sys.stdout)


def _entry(rule: SigmaRule) -> Entry:
    tags = [tag.name for tag in rule.tags if tag.namespace == "attack"]
    reason = published_reason(rule)
    return Entry(
        id=rule_name(rule),
        title=rule.title,
        file=rule.source.path.name if rule.source else "",
        severity=severity(rule),
        level=str(rule.level or ""),
        techniques=[tag.upper() for tag in tags if tag[:1] == "t" and tag[1:2].isdigit()],
        tactics=[tag for tag in tags if not tag[1:2].isdigit()],
        suppression=suppression(rule),
        erratum=" ".join(reason.split()) if reason else None,
        author=rule.author or "",
        license=rule.license or "",
        references=list(rule.references),
        description=" ".join((rule.description or "").split()),
    )


def _attack(entry: Entry) -> str:
    """What of ATT&CK a rule is about: its techniques, or its tactics where it has none."""
    return ", ".join(map(label, entry.techniques) if entry.techniques else map(tactic_name, entry.tactics))


def _codes(names: Iterable[str]) -> str:
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def _window(window: timedelta) -> str:
    hours, rest = divmod(round(window.total_seconds()), 3600)
    return f"{rest // 60 + hours * 60}m" if rest else f"{hours}h"
