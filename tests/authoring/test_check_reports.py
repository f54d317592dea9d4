"""Reports of findings, in every form, with text made to break them."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from sigma_stellar_aws.authoring.check import CheckReport, check_rules
from sigma_stellar_aws.authoring.check_reports import (
    as_junit,
    as_sarif,
    findings_as_json_lines,
    print_text,
    summary_of_report,
)
from tests.authoring.test_check import GOOD

SCHEMA = Path(__file__).parents[1] / "schemas" / "sarif-2.1.0-rtm.5.json"
FAULTY = GOOD.replace("A Good Rule", "A Faulty Rule").replace("9f01", "9f02").replace("level: medium\n", "")
WORSE = GOOD.replace("A Good Rule", "A Worse Rule").replace("9f01", "9f03").replace("'DeleteAlarms'", "'**\tDelete'")
# A terminal's escape, markup of the library that prints, what XML cannot hold, and a change of the writing direction.
EVIL = "\\e[31m[bold red]x[/bold red]\\x07\\x00\\u202e<&>]]>\\uFFFE\\n::error::x"

CheckedDocument = Callable[..., CheckReport]


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckedDocument:
    """Checks texts as files of the folder ``rules`` of the working directory."""
    monkeypatch.chdir(tmp_path)

    def checked(**files: str) -> CheckReport:
        Path("rules").mkdir(exist_ok=True)
        for name, text in files.items():
            Path("rules", f"{name}.yml").write_text(text, encoding="utf-8")
        return check_rules([Path("rules")])

    return checked


def text_of(report: CheckReport) -> str:
    """The report as text."""
    stream = io.StringIO()
    print_text(report, stream)
    return stream.getvalue()


def sarif_of(report: CheckReport) -> Any:
    """The run of the report as SARIF, which the schema admits."""
    log = json.loads(as_sarif(report))
    jsonschema.Draft4Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(log)
    return log["runs"][0]


def evil(checked: CheckedDocument) -> CheckReport:
    """A report of rules full of hostile text, in keys, values, titles and what is no YAML."""
    title = f'title: "{EVIL}"'
    return checked(
        aws_evil_title=GOOD.replace("title: A Good Rule", title).replace("level: medium\n", ""),
        aws_evil_field=GOOD.replace("eventName:", f'"{EVIL}|no":'),
        aws_evil_tag=GOOD.replace("9f01", "9f04").replace("attack.t1485", f'"{EVIL}.x"'),
        aws_evil_yaml='title: "\\q\u202e\N{CYRILLIC SMALL LETTER A}"\n',
        aws_evil_value=GOOD.replace("9f01", "9f05").replace("'DeleteAlarms'", f'"{EVIL}**"'),
    )


def test_text_shows_the_line_and_marks_the_place(checked: CheckedDocument) -> None:
    """A finding is a line with place, severity, sentence and check, then the source with the place marked."""
    lines = text_of(checked(aws_a_rule=GOOD.replace("attack.t1485", "attack.t1485\n    - no.such"))).splitlines()
    assert lines == [
        "rules/aws_a_rule.yml:12 medium Invalid tagging namespace: no.such [namespace_tag]",
        "   12 |     - no.such",
        "      |       ^^^^^^^",
    ]


def test_a_long_line_is_shown_around_the_place(checked: CheckedDocument) -> None:
    """Of a line of any length, the part with the place is shown, and the mark stands below it."""
    values = ", ".join(["'DeleteAlarms'"] * 1000)
    report = checked(aws_a_rule=GOOD.replace("'DeleteAlarms'", f"[{values}, 'a**b', {values}]"))
    lines = text_of(report).splitlines()
    at = next(number for number, line in enumerate(lines) if line.endswith("[double_wildcard]"))
    mark = lines[at + 2]
    assert max(map(len, lines[at + 1 : at + 3])) < 200
    assert lines[at + 1][mark.index("^") : mark.rindex("^") + 1] == "'a**b'"


def test_wide_characters_do_not_shift_the_mark(checked: CheckedDocument) -> None:
    """The mark stands below its place where characters before it take two columns, or were tabs."""
    report = checked(aws_a_rule=GOOD.replace("'DeleteAlarms'", "['\u6f22\u5b57\t', 'a**b']"))
    lines = text_of(report).splitlines()
    at = next(number for number, line in enumerate(lines) if line.endswith("[double_wildcard]"))
    assert lines[at + 2].index("^") == lines[at + 1].index("'a**b'") + 2


def test_the_summary_counts(checked: CheckedDocument) -> None:
    """The summary counts findings by severity, rules and files, and rules that are not about CloudTrail."""
    other = (
        GOOD.replace("A Good Rule", "Another Rule").replace("9f01", "9f06").replace("product: aws", "product: other")
    )
    other = other.replace("cloudtrail", "other")
    text = summary_of_report(checked(aws_clean_rule=GOOD + "---\n" + FAULTY, aws_other_source=other))
    assert text == "1 finding (1 medium) in 3 rules of 2 files; 1 not about CloudTrail, and so checked in general only"


def test_json_is_one_object_a_finding(checked: CheckedDocument) -> None:
    """JSON has the parts of each finding on a line of its own."""
    (line,) = findings_as_json_lines(checked(aws_faulty=FAULTY)).splitlines()
    assert json.loads(line) == {
        "path": "rules/aws_faulty.yml",
        "line": 1,
        "column": 1,
        "end_column": 6,
        "rule": "A Faulty Rule",
        "check": "sigmahq_level_existence",
        "severity": "medium",
        "message": "Rule is missing the level field.",
    }


def test_junit_has_a_suite_a_file_and_a_case_a_rule(checked: CheckedDocument) -> None:
    """Every rule is a test case, also one without findings; what is below the threshold is no failure."""
    report = checked(aws_two_rules=GOOD + "---\n" + FAULTY, aws_worse=WORSE, aws_yaml="a: [")
    root = ElementTree.fromstring(as_junit(report, "medium"))
    assert [suite.get("name") for suite in root] == [f"rules/aws_{name}.yml" for name in ("two_rules", "worse", "yaml")]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert list(cases) == ["A Good Rule", "A Faulty Rule", "A Worse Rule", "aws_yaml.yml"]
    assert list(cases["A Good Rule"]) == []
    failure = cases["A Faulty Rule"].find("failure")
    assert failure is not None
    assert failure.get("type") == "sigmahq_level_existence"
    assert f"rules/aws_two_rules.yml:{GOOD.count(chr(10)) + 2}: medium:" in (failure.text or "")
    assert "double_wildcard" in (cases["A Worse Rule"].findtext("system-out") or "")
    failures = sum(case.find("failure") is not None for case in cases.values())
    assert (root.get("tests"), root.get("failures")) == ("4", str(failures))
    assert root[0].get("failures") == "1"
    assert ElementTree.fromstring(as_junit(report, None)).get("failures") == "0"


def test_sarif_names_rule_level_and_region(checked: CheckedDocument) -> None:
    """A result has the metadata of its check, a level and a place relative to the working directory."""
    run = sarif_of(checked(aws_faulty=FAULTY, **{"aws worse#ä": WORSE}))
    results = {result["ruleId"]: result for result in run["results"]}
    missing = results["sigmahq_level_existence"]
    rule = run["tool"]["driver"]["rules"][missing["ruleIndex"]]
    assert (rule["id"], rule["shortDescription"]["text"]) == (
        "sigmahq_level_existence",
        "Checks if a rule is missing the level field",
    )
    assert missing["level"] == "warning"
    assert results["double_wildcard"]["level"] == "note"
    place = missing["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "rules/aws_faulty.yml", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 1, "startColumn": 1, "endColumn": 6}
    uri = results["double_wildcard"]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "rules/aws%20worse%23%C3%A4.yml"


def test_sarif_without_findings_is_valid(checked: CheckedDocument) -> None:
    """A clean set gives a log without results, with which GitHub closes what was open."""
    assert sarif_of(checked(aws_clean_rule=GOOD))["results"] == []


def test_sarif_outside_of_the_working_directory(checked: CheckedDocument, tmp_path: Path) -> None:
    """A file that is not below the working directory is named in full."""
    checked(aws_faulty=FAULTY)
    (tmp_path / "elsewhere").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "elsewhere")
        (result,) = sarif_of(check_rules([tmp_path / "rules"]))["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": (tmp_path / "rules" / "aws_faulty.yml").resolve().as_uri()}


def test_fingerprints_stay_when_lines_move(checked: CheckedDocument) -> None:
    """A finding keeps its fingerprint when lines are added above it, and no two findings share one."""
    two = GOOD.replace("A Good Rule", "A clean thing")
    before, after = (sarif_of(checked(aws_a_rule=text))["results"] for text in (two, f"# A comment\n{two}"))
    prints = [[tuple(result["partialFingerprints"].items()) for result in results] for results in (before, after)]
    assert prints[0] == prints[1]
    assert len(set(prints[0])) == len(before) == 2


def test_hostile_text_cannot_steer_a_terminal(checked: CheckedDocument) -> None:
    """Whatever a rule holds, the text report is printable lines, and markup in it is text."""
    text = text_of(evil(checked))
    assert all(character.isprintable() for line in text.split("\n") for character in line)
    assert "[bold red]x[/bold red]" in text
    assert not any(line.startswith("::error") for line in text.splitlines())


def test_hostile_text_leaves_the_formats_valid(checked: CheckedDocument) -> None:
    """Whatever a rule holds, JSON, JUnit and SARIF stay well-formed and have all findings."""
    report = evil(checked)
    assert {finding.path.stem for finding in report.findings} == {checked.path.stem for checked in report.checked}
    assert len(findings_as_json_lines(report).splitlines()) == len(report.findings) == len(sarif_of(report)["results"])
    root = ElementTree.fromstring(as_junit(report, "low"))
    names = [case.get("name", "") for case in root.iter("testcase")]
    assert len(names) == 5
    assert all(name.isprintable() for name in names)
    for text in (findings_as_json_lines(report), as_sarif(report)):
        assert "\x1b" not in text
        text.encode("utf-8")


def test_hostile_file_names_leave_the_formats_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name is no text in UTF-8, or holds escapes, is reported under a printable name."""
    monkeypatch.chdir(tmp_path)
    try:
        Path("evil\x1b[31m\udcff\n.yml").write_text("a: [")
    except OSError:
        pytest.skip("this file system admits no such name")
    report = check_rules([Path()])
    (result,) = sarif_of(report)["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "evil%1B%5B31m%FF%0A.yml"
    for text in (text_of(report), findings_as_json_lines(report), as_junit(report, "low")):
        assert "\x1b" not in text
        text.encode("utf-8")
