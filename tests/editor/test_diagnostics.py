"""What is found in a text that is being written."""

import random
from pathlib import Path

import pytest
import yaml

from sigma_stellar_aws.authoring.check import check_one, check_rules
from sigma_stellar_aws.authoring.rule_documents import Finding, read_documents
from sigma_stellar_aws.editor.completion import complete
from sigma_stellar_aws.editor.diagnostics import findings_of_text, holds_rules
from sigma_stellar_aws.editor.folders import RuleFolders
from sigma_stellar_aws.editor.hover import hover
from sigma_stellar_aws.editor.text_positions import place_of_span
from tests.authoring.test_check import CORRELATION, FILTER, GOOD, changed
from tests.authoring.test_faults import Fault, faults
from tests.editor.writing import some_rules
from tests.support.settings import RANDOM_SEED

FAULTY = changed(changed(GOOD, "attack.t1485", "attack.t9485"), "'DeleteAlarms'", "'DeleteAlarm'")
NAME = Path("aws_a_rule.yml")


def told(found: list[Finding]) -> list[tuple[int, str]]:
    """Lines and checks of findings."""
    return [(finding.line, finding.check) for finding in found]


# Has a plain text, a list, a folded text and quotes to break off in.
REST = """\
author: Somebody
references:
    - https://example.com/a
falsepositives: [Administrators, "Backups: nightly"]
description: >-
    Detects what
    nobody does.
"""
EXPECTED = told(findings_of_text(NAME, FAULTY))


def test_they_are_those_of_check(tmp_path: Path) -> None:
    """In every file of a folder, also where files are compared with each other and name each other's rules."""
    texts = {
        "aws_a_rule": FAULTY,
        "aws_another_rule": GOOD.replace("A Good Rule", "Another Good Rule"),
        "correlation_of_rules": CORRELATION,
        "filter_of_rules": FILTER.replace("rules: any", "rules: [nowhere]"),
        "aws_broken_rule": "title: [a\n",
        "aws_all_together": "---\n".join((GOOD, CORRELATION.replace("5m", "5x"), FILTER)).replace("-9a53-", "-9a54-"),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
    folders = RuleFolders([tmp_path])
    assert [*folders.refresh()][-1] is True
    report = check_rules([tmp_path])
    for file in sorted(tmp_path.glob("*.yml")):
        expected = [finding for finding in report.findings if finding.path == file]
        assert findings_of_text(file, file.read_text(), folders.others(file, {})) == expected
    assert len({finding.path for finding in report.findings}) >= 4


def test_texts_of_the_editor_count_not_those_on_disk(tmp_path: Path) -> None:
    """A rule that was written on, and one whose file says something else, are checked as they are shown."""
    rule, other = tmp_path / "aws_a_rule.yml", tmp_path / "correlation_of_rules.yml"
    rule.write_text(GOOD.replace("'DeleteAlarms'", "No"))
    other.write_text(CORRELATION)
    folders = RuleFolders([tmp_path])
    assert [*folders.refresh()][-1] is True
    assert told(findings_of_text(rule, GOOD, folders.others(rule, {}))) == []
    renamed = GOOD.replace("9f01", "9f09")
    beside = folders.others(other, {rule: renamed})
    assert ("reference", "low") in [
        (each.check, each.severity) for each in findings_of_text(other, CORRELATION, beside)
    ]
    assert told(findings_of_text(other, CORRELATION, folders.others(other, {rule: GOOD}))) == []


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", "# \U0001f600 \u00fc\n"])
def test_they_are_where_they_belong(line_break: str, before: str) -> None:
    """Whatever stands before, and however lines end: the value of the event's name is marked."""
    text = (before + FAULTY.rstrip()).replace("\n", line_break)
    [place] = [
        place_of_span(text, finding.place)
        for finding in findings_of_text(NAME, text)
        if finding.check == "stellar_aws_impossible_condition"
    ]
    assert text[place.start : place.end] == "eventName: 'DeleteAlarm'"


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("author: Somebody", "auth", []),
        ("author: Somebody", 'author: "Somebody', []),
        ("author: Somebody", "author: [Some", []),
        ("author: Somebody", "author: a: b", []),
        ("author: Somebody", "@uthor", []),
        ("author: Somebody", "*a", []),
        ("author: Somebody", "author: *a", []),
        ("author: Somebody", "\tauthor: x", []),
        ("title: A Good Rule", "title: 'A", []),
        ("    condition: selection", "    condition: 'sel", []),
        ("date: 2026-11-24", "date: {", ["stellar_aws_attack_tag"]),
        ("        eventSource: 'monitoring.amazonaws.com'", "        eventSo", ["stellar_aws_impossible_condition"]),
        ("falsepositives:", "false", []),
    ],
)
def test_broken_yaml_keeps_what_can_still_be_told(old: str, new: str, lost: list[str]) -> None:
    """The error is told, and so is all that was found in the rest, but what the broken line hides."""
    text = changed(FAULTY, old, new)
    found = told(findings_of_text(NAME, text))
    assert [check for _, check in found].count("yaml") == 1
    assert [each for each in EXPECTED if each not in found and each[1] not in lost] == []
    assert len(found) <= len(EXPECTED) + 2


def test_a_broken_document_leaves_the_others() -> None:
    """Each document of a file is told of by itself."""
    found = told(
        findings_of_text(NAME, f"{GOOD.replace('level: medium', 'level: [')}---\n{FAULTY.replace('9f01', '9f02')}")
    )
    lines = GOOD.count("\n") + 1
    assert [each for each in EXPECTED if (each[0] + lines, each[1]) not in found] == []


def test_what_never_was_saved_has_no_name() -> None:
    """Validators of file names have nothing to say."""
    assert [check for _, check in told(findings_of_text(Path("x"), GOOD)) if "filename" in check] != []
    assert told(findings_of_text(Path("Untitled-1"), GOOD, is_saved=False)) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("aws_x.yml", "title: a\n", True),
        ("aws_x.yml", "---\n# a\ndetection:\n", True),
        ("aws_x.test.yaml", "title: a\n", False),
        ("ci.yml", "on: push\njobs:\n  title: x\n", False),
        ("aws_x.yml", "", False),
        ("rules.yml", "- title: A\n  logsource:\n    product: aws\n", True),
        ("posts.yml", "- title: A\n  filter: x\n", False),
    ],
)
def test_other_yaml_is_left_alone(name: str, text: str, expected: bool) -> None:
    """An editor sends every file of its language."""
    assert holds_rules(Path(name), text) is expected


@pytest.mark.parametrize("fault", faults()[::4], ids=lambda fault: f"{fault.kind}: {fault.name}")
def test_a_faulty_rule_is_found_at_any_time(fault: Fault) -> None:
    """Once it is written, its fault is told while the rest of the file is typed, wherever that breaks off."""
    written = yaml.safe_dump(fault.rule, sort_keys=False)
    expected = {each["validator"] for each in fault.expected}
    for length in range(0, len(REST) + 1, 13):
        found = {check for _, check in told(findings_of_text(NAME, written + REST[:length]))}
        assert expected <= found, REST[:length]


@pytest.mark.parametrize("fault", faults()[1::4], ids=lambda fault: f"{fault.kind}: {fault.name}")
def test_no_piece_of_a_faulty_rule_is_too_odd(fault: Fault) -> None:
    """Whatever is there so far is checked without a crash, and what is told has a place in it."""
    written = yaml.safe_dump(fault.rule, sort_keys=False)
    for length in range(0, len(written), 97):
        text = written[:length]
        assert all(1 <= finding.line <= text.count("\n") + 1 for finding in findings_of_text(NAME, text))


@pytest.mark.parametrize("file", some_rules(), ids=lambda file: file.stem)
def test_a_rule_is_typed_letter_by_letter(file: Path) -> None:
    """Nothing crashes on the way, and at the end all is found that a check of the file finds."""
    text = file.read_text(encoding="utf-8")
    faulty = text.replace("attack.t1", "attack.t9", 1).replace("level: ", "level: x", 1)
    rand = random.Random(RANDOM_SEED)
    for length in range(1, len(faulty) + 1):
        typed = faulty[:length]
        complete(typed, length)
        if rand.random() < 0.05:
            hover(typed, rand.randrange(length))
        # As after a pause, which somebody makes now and then.
        if rand.random() < 0.02:
            findings_of_text(file, typed)
    expected = check_one(read_documents(file, faulty), [])
    assert findings_of_text(file, faulty) == expected
    assert expected != []
