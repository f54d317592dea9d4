"""What can be done at once about findings: done, it ends them."""

import uuid
from pathlib import Path

import pytest

from sigma_stellar_aws.authoring.check import check_one
from sigma_stellar_aws.authoring.rule_documents import Finding, read_documents
from sigma_stellar_aws.editor.fixes import fixes_of
from tests.authoring.test_check import GOOD, changed

ID = "5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01"


def found_in(text: str, *others: str) -> list[Finding]:
    """What is found in a rule, beside others."""
    beside = [read_documents(Path(f"aws_rule_{number}.yml"), other) for number, other in enumerate(others)]
    return check_one(read_documents(Path("aws_a_rule.yml"), text), beside)


def fixed(text: str, check: str, *others: str) -> str:
    """A text after the only fix of what a check finds in it."""
    [finding] = [finding for finding in found_in(text, *others) if finding.check == check]
    [fix] = fixes_of(text, finding)
    return text[: fix.place.start] + fix.replacement + text[fix.place.end :]


def without_id(text: str) -> str:
    """A text with another word for its id, which has to be a random one."""
    [line] = [line for line in text.splitlines() if line.startswith("id: ")]
    assert uuid.UUID(line.removeprefix("id: ")).version == 4
    return text.replace(line.removeprefix("id: "), "ID")


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_missing_id(line_break: str) -> None:
    """It comes behind the title, with the line break of the file."""
    text = changed(GOOD, f"id: {ID}\n", "").replace("\n", line_break)
    cured = fixed(text, "identifier_existence")
    assert without_id(cured) == GOOD.replace(ID, "ID").replace("\n", line_break)
    assert found_in(cured) == []


def test_an_id_that_another_rule_has() -> None:
    """A new one takes its place."""
    other = GOOD.replace("A Good Rule", "Another Good Rule")
    cured = fixed(GOOD, "identifier_uniqueness", other)
    assert ID not in cured
    assert without_id(cured) == GOOD.replace(ID, "ID")
    assert found_in(cured, other) == []


@pytest.mark.parametrize("wrong", ["one", "'one'", "''"])
def test_an_id_that_is_none(wrong: str) -> None:
    """Also one in quotes."""
    cured = fixed(changed(GOOD, ID, wrong), "sigma")
    assert without_id(cured) == GOOD.replace(ID, "ID")


def test_a_tag_that_is_there_twice() -> None:
    """The second one goes, with its line."""
    assert fixed(changed(GOOD, "    - attack.t1485\n", "    - attack.t1485\n" * 2), "duplicate_tag") == GOOD


@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        ("'DeleteAlarms'", "'DeleteAlarm'", "stellar_aws_impossible_condition"),
        ("'DeleteAlarms'", '"Delete Alarms"', "stellar_aws_event_name"),
        ("'DeleteAlarms'", "deleteAlarms", "stellar_aws_event_name"),
        ("'DeleteAlarms'", "'cloudwatch:DeleteAlarms'", "stellar_aws_event_name"),
        ("'monitoring.amazonaws.com'", "'monitorng.amazonaws.com'", "stellar_aws_event_source"),
        ("eventName: 'DeleteAlarms'", "eventNmae: 'DeleteAlarms'", "stellar_aws_unknown_field"),
        ("eventName: 'DeleteAlarms'", "eventname|contains: 'DeleteAlarms'", "stellar_aws_unknown_field"),
        ("eventName: 'DeleteAlarms'", "userIdentity_type: 'Root'", "stellar_aws_flattened_field"),
        ("eventName: 'DeleteAlarms'", "userIdentity.type: 'Rot'", "stellar_aws_impossible_condition"),
        ("eventName: 'DeleteAlarms'", "errorCode: 'success'", "stellar_aws_impossible_condition"),
        ("eventName: 'DeleteAlarms'", "apiVersion: 2010-08-01", "as_written"),
        ("eventName: 'DeleteAlarms'", "userIdentity.userName: No", "as_written"),
        (
            "eventName: 'DeleteAlarms'",
            "eventName: DeleteAlarms\n        requestParameters.alarmName: 'x'",
            "stellar_aws_parameter",
        ),
        ("    condition: selection", "    condition: Selection", "as_written"),
        ("attack.impact", "attack.impcat", "stellar_aws_attack_tag"),
        ("attack.impact", "attack.TA0040", "stellar_aws_attack_tag"),
        ("    severity: 50", "    suppression: {fields: [userIdentity_arn]}", "stellar_aws_suppression"),
    ],
)
def test_what_was_meant(right: str, wrong: str, check: str) -> None:
    """The fix writes what the message says, and nothing else of the rule; then the finding is gone."""
    text = changed(GOOD, right, wrong)
    before = [finding for finding in found_in(text) if finding.check == check]
    fixes = [fix for finding in before for fix in fixes_of(text, finding)]
    assert before != []
    if not fixes:
        pytest.fail(before[0].message)
    cured = text[: fixes[0].place.start] + fixes[0].replacement + text[fixes[0].place.end :]
    assert [finding for finding in found_in(cured) if finding.check == check] == []
    assert len(cured.splitlines()) == len(text.splitlines())


def test_nothing_is_done_about_the_rest() -> None:
    """A fix that might be wrong is none."""
    for old, new in (("level: medium\n", ""), ("author: Somebody\n", ""), ("'DeleteAlarms'", "'XyzzyPlugh'")):
        text = changed(GOOD, old, new)
        assert found_in(text) != []
        assert [fix for finding in found_in(text) for fix in fixes_of(text, finding)] == []
