"""List the rules as a table, JSON, CSV, and the Markdown of rules/README.md."""

import csv
import io
import itertools
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rich.text import Text
from sigma.rule import SigmaRule

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.terminal import print_table, style_of, table_of
from sigma_stellar_aws.base.text import cell, plural, printable
from sigma_stellar_aws.base.times import duration_text
from sigma_stellar_aws.reference.attack import attack, label, tactic_name
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.stellar_block import (
    ALERT_TITLE,
    DEFAULT_SUPPRESSION,
    Suppression,
    published_reason,
    rule_name,
    severity,
    suppression,
    tactics,
    techniques,
)

_CSV_COLUMNS = (
    "severity",
    "level",
    "title",
    "file",
    "id",
    "techniques",
    "tactics",
    "suppression_window",
    "suppression_fields",
    "erratum",
    "origin",
    "author",
    "license",
    "references",
    "description",
)
_ATTACK_SITE = "https://attack.mitre.org"
_ALERT = ("Any one rule that matches raises the alert. Severity is the platform's, from 0 to 100.", "")
_FILTERS = (
    "**Filters.** The folder `sigma_stellar_aws/filters/` has Sigma filters for `--filter`: successful calls only, and "
    "no calls by AWS services. They are not among the rules, where they would be applied unasked.",
    "",
)
_ERRATA = (
    "## Errata",
    "",
    "The published query of these rules finds nothing, or something else than its title says. The rule has the one "
    "that works; the published one stands beside it, and the pipeline `stellar_aws_published` converts it.",
    "",
)
_LICENCES = (
    "DRL-1.1 is the [Detection Rule License](LICENSE-DRL-1.1.md). Of the validators "
    "that need no network, only `sigmahq_unknown_field` reports the rules: for the key `stellar`.",
    "",
)


class CatalogueEntry(NamedTuple):
    """What the catalogue says about one rule."""

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
    origin: str
    """The comment at the head of the rule's file, which says where the rule comes from."""
    author: str
    license: str
    references: list[str]
    description: str


def catalogue_entries(paths: Iterable[Path] = ()) -> list[CatalogueEntry]:
    """Return the rules of files and folders, by default all of the pack, the most severe first.

    Raises:
        SigmaError: a file cannot be read as Sigma rules, or a rule's block ``stellar`` is wrong.
    """
    rules = [rule for rule in load_rules(*paths).rules if isinstance(rule, SigmaRule)]
    return sorted(map(_entry, rules), key=lambda entry: (-entry.severity, entry.title))


def entry_as_json(entry: CatalogueEntry) -> JsonObject:
    """Return an entry as a JSON object."""
    values: JsonObject = entry._asdict()
    values["suppression"] = {
        "window": duration_text(entry.suppression.window),
        "fields": list(entry.suppression.fields),
    }
    return values


def catalogue_as_json_lines(rules: Iterable[CatalogueEntry]) -> str:
    """Return the rules as JSON objects, one a line."""
    return "".join(json.dumps(entry_as_json(entry)) + "\n" for entry in rules)


def as_csv(rules: Iterable[CatalogueEntry]) -> str:
    """Return the rules as CSV, one a row; a spreadsheet takes no cell for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for entry in rules:
        values = entry_as_json(entry)
        values["suppression_window"] = duration_text(entry.suppression.window)
        values["suppression_fields"] = list(entry.suppression.fields)
        writer.writerow(cell(_line(values[column])) for column in _CSV_COLUMNS)
    return text.getvalue()


def as_markdown(rules: Iterable[CatalogueEntry], *, of_pack: bool = True) -> str:
    """Return the catalogue as Markdown.

    Args:
        rules: the rules.
        of_pack: these are the rules of this project, about which there is more to say.
    """
    rows = list(rules)
    errata = [entry for entry in rows if entry.erratum]
    lines = [
        f'# The {len(rows)} rules of "{ALERT_TITLE}"' if of_pack else f"# {plural(len(rows), 'Sigma rule')}",
        "",
        "Made by `sigma-stellar-aws rules --format md`; do not edit.",
        "",
        *(_ALERT if of_pack else ()),
        f"**Suppression.** A rule alerts once in {duration_text(DEFAULT_SUPPRESSION.window)} for the same values of "
        f"{_codes(DEFAULT_SUPPRESSION.fields)}: who did it, where from, in which account. The window is the "
        "platform's. Its list of fields is not public, so these are our choice; a rule overrides both with "
        "`stellar.suppression`. The table gives the window, and the fields where they are others.",
        "",
        *(_FILTERS if of_pack else ()),
        *_table_head("severity", "rule", "ATT&CK", "suppression", "erratum"),
        *(
            _table_row(
                str(e.severity),
                _link(e),
                _attack(e),
                _suppression(e.suppression),
                "[yes](#errata)" if e.erratum else "",
            )
            for e in rows
        ),
        "",
    ]
    if errata:
        lines += [*_ERRATA, *(f"- **{_link(e)}**: {e.erratum}" for e in errata), ""]
    lines += [
        "## Sources",
        "",
        *(_LICENCES if of_pack else ()),
        *_table_head("rule", "source", "author", "licence", "references"),
        *(
            _table_row(
                e.title,
                e.origin,
                e.author,
                e.license,
                ", ".join(f"[{n}]({url})" for n, url in enumerate(e.references, 1)),
            )
            for e in rows
        ),
        "",
    ]
    return "\n".join(lines)


def print_rules(rules: Iterable[CatalogueEntry]) -> None:
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


def _entry(rule: SigmaRule) -> CatalogueEntry:
    reason = published_reason(rule)
    return CatalogueEntry(
        id=rule_name(rule),
        title=rule.title,
        file=rule.source.path.name if rule.source else "",
        severity=severity(rule),
        level=str(rule.level or ""),
        techniques=techniques(rule),
        tactics=tactics(rule),
        suppression=suppression(rule),
        erratum=" ".join(reason.split()) if reason else None,
        origin=_origin(rule),
        author=rule.author or "",
        license=rule.license or "",
        references=list(rule.references),
        description=" ".join((rule.description or "").split()),
    )


def _table_head(*titles: str) -> tuple[str, str]:
    return _table_row(*titles), "|---" * len(titles) + "|"


def _table_row(*cells: str) -> str:
    return f"| {' | '.join(map(_markdown_cell, cells))} |"


def _markdown_cell(text: str) -> str:
    return _line(printable(text)).replace("|", r"\|")


def _link(entry: CatalogueEntry) -> str:
    return f"[{entry.title}]({entry.file})"


def _attack(entry: CatalogueEntry) -> str:
    """Return the techniques of a rule, or its tactics if it has none, with links to those that ATT&CK has."""
    table = attack()
    if entry.techniques:
        return ", ".join(
            f"[{label(name)}]({_ATTACK_SITE}/techniques/{name.replace('.', '/')}/)"
            if name in table.techniques
            else label(name)
            for name in entry.techniques
        )
    return ", ".join(
        f"[{tactic_name(name)}]({_ATTACK_SITE}/tactics/{table.tactics[name].id}/)"
        if name in table.tactics
        else tactic_name(name)
        for name in entry.tactics
    )


def _suppression(suppressed: Suppression) -> str:
    fields = "" if suppressed.fields == DEFAULT_SUPPRESSION.fields else f" for {_codes(suppressed.fields)}"
    return f"{duration_text(suppressed.window)}{fields}"


def _codes(names: Iterable[str]) -> str:
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def _line(value: Json) -> str:
    """Write a value, which may be a list, on one line."""
    parts = value if isinstance(value, list) else [value]
    return " ".join(", ".join("" if part is None else str(part) for part in parts).split())


def _origin(rule: SigmaRule) -> str:
    """Return the comment at the head of a rule's file."""
    if rule.source is None:
        return ""
    lines = rule.source.path.read_text(encoding="utf-8").splitlines()
    head = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return " ".join(line.strip("# ") for line in head)
