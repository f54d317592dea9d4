"""The catalogue of the rules."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from sigma_stellar_aws.authoring.catalogue import (
    as_csv,
    as_markdown,
    catalogue_as_json_lines,
    catalogue_entries,
    entry_as_json,
    print_rules,
)
from sigma_stellar_aws.reference.attack import attack
from sigma_stellar_aws.rule_files.load import pack_path

RULE = """\
title: A test rule
id: 00000000-0000-4000-8000-000000000001
description: "Two\\n  lines."
tags: [attack.impact, attack.t1485.001, cve.2026-1]
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: A}, condition: selection}
level: low
"""


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    """The file of a rule that states no more than it must."""
    path = tmp_path / "rule.yml"
    path.write_text(RULE, encoding="utf-8")
    return path


def test_readme_of_the_rules_is_the_catalogue() -> None:
    """The committed catalogue is what the command prints from the rules."""
    assert (pack_path() / "README.md").read_text(encoding="utf-8") == as_markdown(catalogue_entries())


def test_all_rules_are_listed_from_the_most_severe_on() -> None:
    """The catalogue has the 29 rules, by severity and then title, each with its own file."""
    listed = catalogue_entries()
    assert len({entry.file for entry in listed}) == len(listed) == 29
    assert [(entry.severity, entry.title) for entry in listed] == sorted(
        ((entry.severity, entry.title) for entry in listed), key=lambda pair: (-pair[0], pair[1])
    )
    assert all((pack_path() / entry.file).is_file() for entry in listed)


def test_eight_rules_have_an_erratum() -> None:
    """Eight rules correct their published query, and each says why, in one line."""
    errata = [entry.erratum for entry in catalogue_entries() if entry.erratum]
    assert len(errata) == 8
    assert not any("\n" in erratum for erratum in errata)


def test_an_entry_says_what_its_rule_says(rule: Path) -> None:
    """What a rule states is told, and what it leaves out is empty or the default."""
    [entry] = catalogue_entries([rule])
    assert entry_as_json(entry) == {
        "id": "00000000-0000-4000-8000-000000000001",
        "title": "A test rule",
        "file": "rule.yml",
        "severity": 25,
        "level": "low",
        "techniques": ["T1485.001"],
        "tactics": ["impact"],
        "suppression": {"window": "24h", "fields": ["recipientAccountId", "userIdentity.arn", "sourceIPAddress"]},
        "erratum": None,
        "origin": "",
        "author": "",
        "license": "",
        "references": [],
        "description": "Two lines.",
    }


@pytest.mark.parametrize(
    ("stated", "told"), [("90m", "90m"), ("120m", "2h"), ("1h", "1h"), ("7d", "168h"), ("1m", "1m")]
)
def test_windows(rule: Path, stated: str, told: str) -> None:
    """A window is told in hours, or in minutes where it is no whole number of hours."""
    rule.write_text(f"{RULE}stellar: {{suppression: {{window: {stated}}}}}\n", encoding="utf-8")
    assert entry_as_json(*catalogue_entries([rule]))["suppression"] == {
        "window": told,
        "fields": ["recipientAccountId", "userIdentity.arn", "sourceIPAddress"],
    }


def test_every_entry_is_json() -> None:
    """The JSON has a line for every rule, with the same keys."""
    objects = [json.loads(line) for line in catalogue_as_json_lines(catalogue_entries()).splitlines()]
    assert [found["id"] for found in objects] == [entry.id for entry in catalogue_entries()]
    assert len({tuple(found) for found in objects}) == 1


def test_every_rule_says_where_it_comes_from(rule: Path) -> None:
    """The origin of a rule is the comment at the head of its file, and all of the pack have one."""
    assert all(re.match(r"(Derived from|Logic published by) ", entry.origin) for entry in catalogue_entries())
    rule.write_text(f"# From here,\n#  and there.\n\n# A note.\n{RULE}# Another.\n", encoding="utf-8")
    assert [entry.origin for entry in catalogue_entries([rule])] == ["From here, and there."]


def test_every_row_of_the_csv_is_a_rule() -> None:
    """The CSV has a row for every rule, and in it all that is known of the rule."""
    rows = list(csv.DictReader(io.StringIO(as_csv(catalogue_entries()))))
    assert [row["id"] for row in rows] == [entry.id for entry in catalogue_entries()]
    for row, entry in zip(rows, catalogue_entries(), strict=True):
        known = entry_as_json(entry)
        assert {*row} == {*known, "suppression_window", "suppression_fields"} - {"suppression"}
        assert row["techniques"] == ", ".join(entry.techniques)
        assert (row["severity"], row["suppression_window"]) == (str(entry.severity), "24h")
        assert row["suppression_fields"] == ", ".join(entry.suppression.fields)
        assert row["erratum"] == (entry.erratum or "")


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1+1", "\uff1d1", "\r\n-1"])
def test_no_cell_is_a_formula(rule: Path, title: str) -> None:
    """A text that a spreadsheet would compute has an apostrophe before it, and stays in its row."""
    rule.write_text(RULE.replace("A test rule", json.dumps(title)), encoding="utf-8")
    [row] = csv.DictReader(io.StringIO(as_csv(catalogue_entries([rule]))))
    assert row["title"].startswith("'")
    assert row["title"].isprintable()
    assert as_csv(catalogue_entries([rule])).count("\n") == 2


def test_the_markdown_tells_what_is_known_of_every_rule() -> None:
    """Each of the 29 is there with severity, ATT&CK, suppression, erratum, source and links."""
    text = as_markdown(catalogue_entries())
    for entry in catalogue_entries():
        of_rule = [line for line in text.splitlines() if entry.file in line or f"| {entry.title} |" in line]
        assert of_rule[0].startswith(f"| {entry.severity} | ")
        assert " | 24h " in of_rule[0]
        assert ("userIdentity.principalId" in of_rule[0]) == ("SAML" in entry.title)
        pages = [t.replace(".", "/") for t in entry.techniques] or [attack().tactics[t].id for t in entry.tactics]
        assert all(f"/{page}/)" in of_rule[0] for page in pages)
        assert ("[yes](#errata)" in of_rule[0], len(of_rule)) == (bool(entry.erratum), 3 if entry.erratum else 2)
        assert entry.erratum is None or entry.erratum in of_rule[1]
        assert entry.origin in of_rule[-1]
        assert all(f"]({url})" in of_rule[-1] for url in entry.references)


def test_the_markdown_tells_of_a_suppression_and_tags_of_its_own(rule: Path) -> None:
    """Fields other than the default's are told, and tags that ATT&CK does not have get no link."""
    rule.write_text(
        RULE.replace("attack.t1485.001", "attack.t9999")
        + "stellar: {suppression: {window: 1h, fields: [userIdentity.arn, awsRegion]}}\n",
        encoding="utf-8",
    )
    assert " | T9999 | 1h for `userIdentity.arn` and `awsRegion` | " in as_markdown(catalogue_entries([rule]))


def test_the_markdown_of_other_rules_says_nothing_of_the_pack(rule: Path) -> None:
    """Other rules are not called those of the alert type, and what their titles hold does not break the table."""
    rule.write_text(RULE.replace("A test rule", '"A | test\\n\\e[31m"'), encoding="utf-8")
    text = as_markdown(catalogue_entries([rule]), of_pack=False)
    assert text.startswith("# 1 Sigma rule\n")
    assert not re.search("Malicious|filters/|Errata|sigmahq", text)
    assert "| 25 | [A \\| test \ufffd[31m](rule.yml) | " in text


def test_links_of_the_catalogue_lead_somewhere() -> None:
    """Every link of the Markdown leads to a file of the folder, to its own section, or into the web."""
    targets = set(re.findall(r"\]\(([^)]*)\)", as_markdown(catalogue_entries())))
    files = {target for target in targets if not target.startswith(("https://", "#"))}
    assert files == {path.name for pattern in ("*.yml", "LICENSE*") for path in pack_path().glob(pattern)}
    assert {target for target in targets if target.startswith("#")} == {"#errata"}


def test_the_table_has_a_row_for_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """The printed table has the rules in their order, long titles folded, and says yes for each erratum."""
    print_rules(catalogue_entries())
    rows = re.findall("^│ (\\d+) +│ (.{20})", capsys.readouterr().out, re.MULTILINE)
    assert rows == [(str(entry.severity), entry.title.ljust(20)[:20]) for entry in catalogue_entries()]


def test_a_title_cannot_steer_a_terminal(rule: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and markup in somebody's rule do not reach the terminal as such."""
    rule.write_text(RULE.replace("A test rule", '"\\e[31mA[/x] test\\r"'), encoding="utf-8")
    print_rules(catalogue_entries([rule]))
    text = capsys.readouterr().out
    assert "\ufffd[31mA[/x] test" in text
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
