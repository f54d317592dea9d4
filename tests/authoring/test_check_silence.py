"""Mistakes that a check passed over in silence, each with its line and the cure."""

from pathlib import Path

import pytest

from sigma_stellar_aws.authoring.check import check_rules
from sigma_stellar_aws.authoring.new_rule import write_rule
from sigma_stellar_aws.authoring.rule_documents import Finding
from sigma_stellar_aws.base.json_types import JsonObject
from tests.authoring.test_check import CORRELATION, FILTER, GOOD


def check_files(folder: Path, **files: str) -> list[Finding]:
    """Check files with these contents by their names without a suffix."""
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text)
    return list(check_rules([folder]).findings)


def found_in(findings: list[Finding]) -> list[tuple[int, str, str]]:
    """Lines, checks and severities."""
    return [(finding.line, finding.check, finding.severity) for finding in findings]


def test_a_skeleton_is_not_finished(tmp_path: Path) -> None:
    """What ``new`` leaves to its author is told: values that would be shown, and, of less weight, comments."""
    event: JsonObject = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms"}
    rule, _ = write_rule(event, tmp_path)
    lines = rule.read_text().splitlines()
    findings = check_rules([rule]).findings
    assert {finding.check for finding in findings} == {"unfinished"}
    values = [finding.message for finding in findings if finding.severity == "medium"]
    assert values == [f"The value of {key} is still to be written." for key in ("title", "description", "author")]
    comments = [finding for finding in findings if finding.severity == "low"]
    marked = [number for number, line in enumerate(lines, 1) if "# " in line and "TODO" in line]
    assert [found.line for found in comments] == marked
    assert all(found.excerpt[found.place.column - 1 :].startswith("#") for found in comments)


def test_only_what_marks_work_is_unfinished(tmp_path: Path) -> None:
    """A word that contains the mark, a value that a rule looks for, and a # within a text are none of it."""
    text = GOOD.replace("Detects the deletion", "Detects the TODOIST # TODOs deletion")
    text = text.replace("'DeleteAlarms'", "'DeleteAlarms'\n        requestParameters.alarmNames: 'TODO # TODO'")
    assert check_files(tmp_path, aws_a_rule=text) == []
    [found] = check_files(tmp_path, aws_a_rule=text.replace("level: medium", "level: medium # FIXME: low?"))
    assert (found.line, found.severity, found.message) == (23, "low", "This is still to be done: # FIXME: low?")


def test_a_wrong_level_hides_nothing(tmp_path: Path) -> None:
    """A value that a key cannot have is told with what it can, beside all that is wrong elsewhere in the file."""
    text = GOOD.replace("level: medium", "level: hihg").replace("'DeleteAlarms'", "'DeletAlarms'")
    text = text.replace("attack.t1485", "attack.t9485").replace("  severity: 50", "  severty: 50")
    findings = check_files(tmp_path, aws_a_rule=text)
    assert found_in(findings) == [
        (11, "stellar_aws_attack_tag", "medium"),
        (18, "stellar_aws_event_name", "medium"),
        (22, "sigma", "high"),
        (24, "stellar_aws_unknown_key", "medium"),
    ]
    assert findings[2].message == "'hihg' is not a valid Sigma rule level; write high"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("status: experimental", "status: experimentel", 3, "write experimental"),
        ("status: experimental", "status: x", 3, "write unsupported, deprecated, experimental, test or stable"),
        ("date: 2026-11-24", "date: 2026-13-24", 8, "'2026-13-24' is invalid"),
        ("date: 2026-11-24", "date: 24.11.2026", 8, "is invalid"),
        ("id: 5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01", "id: x", 2, "must be an UUID"),
        ("    - Administrators", "    - 5", 21, "has to be a string"),
        ("    condition: selection", "    condition: selection and", 19, "breaks off"),
        ("    condition: selection", "    condition: selektion", 19, "there is no selection 'selektion'"),
        ("eventSource: 'm", "eventSource|like: 'm", 17, "Unknown modifier 'like'"),
        ("eventSource: 'monitoring.amazonaws.com'", "eventSource: No", 17, "YAML reads No as false"),
        ("    product: aws\n    service: cloudtrail", "    product: 5", 12, "product must be string"),
    ],
)
def test_one_fault_hides_no_other(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    """Whatever is wrong with one part, a wrong tag beside it is told in the same run, and nothing made up."""
    text = GOOD.replace("attack.t1485", "attack.t9485")
    assert old in text
    findings = check_files(tmp_path, aws_a_rule=text.replace(old, new))
    assert {found.check for found in findings} <= {"sigma", "as_written", "stellar_aws_attack_tag"}, findings
    assert len(findings) == 2
    [told] = [found for found in findings if found.check != "stellar_aws_attack_tag"]
    assert (told.line, message in told.message) == (line, True)


def test_a_fault_in_a_selection_leaves_its_other_fields(tmp_path: Path) -> None:
    """Of a selection, only the field that is wrong is not judged."""
    text = GOOD.replace("eventSource: 'monitoring.amazonaws.com'", "eventSource: No").replace("DeleteA", "DeletA")
    assert found_in(check_files(tmp_path, aws_a_rule=text)) == [
        (17, "as_written", "high"),
        (18, "stellar_aws_event_name", "medium"),
    ]


def test_a_misspelt_section_is_told_with_its_name(tmp_path: Path) -> None:
    """Without its detection a rule is none, and what was meant to be it is named."""
    findings = check_files(tmp_path, aws_a_rule=GOOD.replace("detection:", "detecton:"))
    assert (15, "stellar_aws_unknown_key", "medium") in found_in(findings)
    assert "Nothing reads the key 'detecton'; write detection." in [found.message for found in findings]


def test_keys_of_filters_and_correlations_are_looked_at(tmp_path: Path) -> None:
    """So are they in documents other than rules, and only where the document has them."""
    findings = check_files(
        tmp_path,
        aws_a_rule=GOOD,
        correlation_of_rules=CORRELATION.replace("falsepositives", "false_positive") + "stellar: {fields: [a]}\n",
        filter_of_rules=FILTER + "stelar: x\n",
    )
    assert [(found.path.stem, found.line, found.message) for found in findings] == [
        ("correlation_of_rules", 16, "Nothing reads the key 'false_positive'; write falsepositives."),
        ("correlation_of_rules", 19, "stellar has no key 'fields', but severity, suppression and triage."),
        ("filter_of_rules", 11, "Nothing reads the key 'stelar'; write stellar."),
    ]


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("aws_x", "(9 characters, where 10 to 90 are allowed, .yml included)"),
        (f"aws_{'x' * 90}", "(98 characters, where 10 to 90 are allowed, .yml included)"),
        ("aws-dashed-rule", "(10 to 90 small letters, digits and _, at least one _ among them, and .yml at the end)"),
    ],
)
def test_rules_of_file_names_say_what_they_allow(tmp_path: Path, name: str, limits: str) -> None:
    """Whoever names a file wrong reads how to name it."""
    findings = check_files(tmp_path, **{name: GOOD})
    assert any(limits in finding.message for finding in findings)


def test_short_and_long_texts_say_what_is_allowed(tmp_path: Path) -> None:
    """So for the title and the description."""
    text = GOOD.replace("A Good Rule", f"A {'Good ' * 30}Rule")
    text = text.replace("Detects the deletion of an alarm.", "Too short")
    messages = " ".join(found.message for found in check_files(tmp_path, aws_a_rule=text))
    assert "(156 characters, where at most 120 are allowed)" in messages
    assert "(9 characters, where at least 16 are wanted)" in messages


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("userIdentity.arn", "userIdentity.anr", 12, "no field 'userIdentity.anr'; write userIdentity.arn."),
        ("userIdentity.arn", "userIdentity_arn", 12, "write userIdentity.arn."),
        ("userIdentity.arn", "src_ip", 12, "write sourceIPAddress."),
        ("userIdentity.arn", "userIdentity", 12, "'userIdentity' is an object"),
        ("userIdentity.arn", "resources.0.ARN", 12, "write resources.ARN, for any element."),
        ("event_count", "value_count", 16, "no field 'sourceIPAdress'; write sourceIPAddress."),
        (
            "    timespan",
            "    aliases:\n        who:\n            RULE: userIdentity.anr\n    timespan",
            15,
            "write userIdentity.arn",
        ),
    ],
)
@pytest.mark.parametrize("beside", ["its rule", "nothing"])
def test_fields_of_correlations_exist(tmp_path: Path, old: str, new: str, line: int, message: str, beside: str) -> None:
    """Fields by which events are grouped or counted are CloudTrail's, also where the rule is in another file."""
    text = CORRELATION.replace(old, new.replace("RULE", "5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01"))
    if "value_count" in text:
        text = text.replace("gte: 10", "gte: 10\n        field: sourceIPAdress")
    if "aliases" in text:
        text = text.replace("- userIdentity.arn\n", "- who\n")
    rules = {"aws_a_rule": GOOD} if beside == "its rule" else {}
    findings = [found for found in check_files(tmp_path, correlation_of=text, **rules) if found.check == "correlation"]
    if not rules and "object" in message:
        # What is in other logs is not known.
        assert findings == []
    else:
        assert [(found.line, message in found.message) for found in findings] == [(line, True)]


def test_fields_of_other_logs_are_not_known(tmp_path: Path) -> None:
    """A correlation of rules about something else may group by anything."""
    other = GOOD.replace("product: aws", "product: other").replace("cloudtrail", "other")
    text = CORRELATION.replace("userIdentity.arn", "sourceIpAddress")
    findings = check_files(tmp_path, aws_a_rule=other, correlation_of=text)
    assert [found for found in findings if found.check == "correlation"] == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("product: aws", "product: windows", (3, "medium", "It applies to none of the 1 rule checked")),
        ("service: cloudtrail", "service: cloudtrial", (3, "medium", "none is for product: aws, service: cloudtrial.")),
        (
            "    product: aws\n    service: cloudtrail\nfilter:\n    rules: any",
            "    product: windows\nfilter:\n    rules: [5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01]",
            (6, "high", "whose log source is product: aws, service: cloudtrail, not product: windows."),
        ),
        (
            "rules: any",
            "rules: [5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f02]",
            (7, "high", "names the correlation 'A Good Correlation'"),
        ),
        ("    service: cloudtrail\n", "", None),
        ("rules: any", "rules: [5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01]", None),
    ],
)
def test_a_filter_applies_to_some_rule(
    tmp_path: Path, old: str, new: str, expected: tuple[int, str, str] | None
) -> None:
    """One that changes none of the rules beside it is told, by its log source or what it names."""
    assert old in FILTER
    files = {"aws_a_rule": GOOD, "correlation_of": CORRELATION, "filter_of": FILTER.replace(old, new)}
    findings = [found for found in check_files(tmp_path, **files) if found.check == "filter"]
    if expected is None:
        assert findings == []
    else:
        [found] = findings
        assert (found.line, found.severity, expected[2] in found.message) == (*expected[:2], True)


def test_a_filter_alone_may_be_right(tmp_path: Path) -> None:
    """Its rules may be elsewhere."""
    assert (
        check_files(
            tmp_path,
            filter_of_others=FILTER.replace("product: aws", "product: windows").replace("cloudtrail", "security"),
        )
        == []
    )
