"""The catalogue of the rules."""

import json
import re
from pathlib import Path

import pytest

from sigma_stellar_aws.catalogue import as_json, as_markdown, entries, print_rules
from sigma_stellar_aws.rulepack import pack_path

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
    assert (pack_path() / "README.md").read_text(encoding="utf-8") == as_markdown(entries())


def test_all_rules_are_listed_from_the_most_severe_on() -> None:
    """The catalogue has the 29 rules, by severity and then title, each with its own file."""
    listed = entries()
    assert len({entry.file for entry in listed}) == len(listed) == 29
    assert [(entry.severity, entry.title) for entry in listed] == sorted(
        ((entry.severity, entry.title) for entry in listed), key=lambda pair: (-pair[0], pair[1])
    )
    assert all((pack_path() / entry.file).is_file() for entry in listed)


def test_eight_rules_have_an_erratum() -> None:
    """Eight rules correct their published query, and each says why, in one line."""
    errata = [entry.erratum for entry in entries() if entry.erratum]
    assert len(errata) == 8
    assert not any("\n" in erratum for erratum in errata)


def test_an_entry_says_what_its_rule_says(rule: Path) -> None:
    """What a rule states is told, and what it leaves out is empty or the default."""
    [entry] = entries([rule])
    assert as_json(entry) == {
        "id": "00000000-0000-4000-8000-000000000001",
        "title": "A test rule",
        "file": "rule.yml",
        "severity": 25,
        "level": "low",
        "techniques": ["T1485.001"],
        "tactics": ["impact"],
        "suppression": {"window": "24h", "fields": ["recipientAccountId", "userIdentity.arn", "sourceIPAddress"]},
        "erratum": None,
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
    assert as_json(*entries([rule]))["suppression"] == {"window": told, "fields": [*entries()[0].suppression.fields]}


def test_every_entry_is_json() -> None:
    """The JSON of an entry is JSON, and has the same keys for every rule."""
    objects = [json.loads(json.dumps(as_json(entry))) for entry in entries()]
    assert len({tuple(found) for found in objects}) == 1


def test_links_of_the_catalogue_lead_somewhere() -> None:
    """Every link of the Markdown leads to a file of the folder, to its own section, or into the web."""
    targets = set(re.findall(r"\]\(([^)]*)\)", as_markdown(entries())))
    files = {target for target in targets if not target.startswith(("https://", "#"))}
    assert files == {path.name for path in pack_path().glob("*.yml")}
    assert {target for target in targets if target.startswith("#")} == {"#errata"}


def test_the_table_has_a_row_for_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """The printed table has the rules in their order, long titles folded, and says yes for each erratum."""
    print_rules(entries())
    rows = re.findall("^│ (\\d+) +│ (.{20})", capsys.readouterr().out, re.MULTILINE)
    assert rows == [(str(entry.severity), entry.title.ljust(20)[:20]) for entry in entries()]


def test_a_title_cannot_steer_a_terminal(rule: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and markup in somebody's rule do not reach the terminal as such."""
    rule.write_text(RULE.replace("A test rule", '"\\e[31mA[/x] test\\r"'), encoding="utf-8")
    print_rules(entries([rule]))
    text = capsys.readouterr().out
    assert "\ufffd[31mA[/x] test" in text
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
