"""Changes of what rules ask for, and whether sample events notice them."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sigma.rule import SigmaDetections

from sigma_stellar_aws.authoring.change_tests import ChangeResult, change_as_json, summary_of_changes, try_changes
from sigma_stellar_aws.authoring.known_differences import may_differ
from sigma_stellar_aws.authoring.rule_changes import RuleChange, rule_changes
from sigma_stellar_aws.authoring.rule_tests import load_suite, run_trials
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.cli import main

RULE = """\
title: Users of Others
logsource: {product: aws, service: cloudtrail}
detection:
    selection:
        eventSource: iam.amazonaws.com
        eventName:
            - DeleteUser
            - CreateUser
        requestParameters.userName|startswith: 'prod-'
    filter:
        userIdentity.arn|endswith: ':user/admin'
    condition: selection and not filter
level: high
"""
EVENT = "{eventSource: iam.amazonaws.com, eventName: DeleteUser, requestParameters: {userName: prod-x}"
CASES = f"""\
hits:
- name: one
  event: {EVENT}}}
misses:
- name: by the administrator
  event: {EVENT}, userIdentity: {{arn: 'arn:aws:iam::111122223333:user/admin'}}}}
- name: another event
  event: {EVENT.replace("DeleteUser", "GetUser")}}}
"""


def changes_of(detection: JsonObject) -> dict[str, RuleChange]:
    """All changes by what they are."""
    before = copy.deepcopy(detection)
    found = {change.change: change for change in rule_changes(detection)}
    assert detection == before
    return found


def tried(folder: Path, rule: str = RULE, cases: str = CASES) -> list[ChangeResult]:
    """What comes of all changes of a rule with some cases."""
    (folder / "aws_users.yml").write_text(rule)
    (folder / "aws_users.test.yaml").write_text(cases)
    suite = load_suite([folder], [])
    assert suite.problems == []
    return list(try_changes(run_trials(suite.trials)))


def test_each_condition_is_changed_by_itself() -> None:
    """Values, fields, modifiers, operands, operators and negations, each with its path and a new detection."""
    detection: JsonObject = {
        "selection": {"eventName": ["ListKeys", "DisableKey"], "requestParameters.keyId|startswith": "x"},
        "filter": {"errorCode": None},
        "condition": "selection and not filter",
    }
    found = changes_of(detection)
    assert {change: result.at[1:] for change, result in found.items()} == {
        "without eventName": ("selection", "eventName"),
        "eventName without 'ListKeys'": ("selection", "eventName", 0),
        "eventName without 'DisableKey'": ("selection", "eventName", 1),
        "without requestParameters.keyId|startswith": ("selection", "requestParameters.keyId|startswith"),
        "requestParameters.keyId|contains for requestParameters.keyId|startswith": (
            "selection",
            "requestParameters.keyId|startswith",
        ),
        # DisableKeyRotation would match.
        "eventName|contains for eventName": ("selection", "eventName"),
        "without selection": ("condition",),
        "without not filter": ("condition",),
        "or for and in selection and not filter": ("condition",),
        "not selection for selection": ("condition",),
        "filter for not filter": ("condition",),
    }
    assert found["eventName without 'ListKeys'"].detection["selection"] == {
        "eventName": ["DisableKey"],
        "requestParameters.keyId|startswith": "x",
    }
    assert found["without not filter"].detection["condition"] == "selection"
    assert found["filter for not filter"].detection["condition"] == "selection and filter"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a", ["not a"]),
        ("not a", ["a"]),
        ("a or b", ["a and b", "b", "a", "not a or b", "a or not b"]),
        ("(a or b) and c", ["c", "a or b", "a or b or c", "b and c", "a and c", "(a and b) and c"]),
        ("1 of s_*", ["all of s_*", "not 1 of s_*"]),
        ("all of s_* and a", ["1 of s_* and a", "a", "all of s_*", "all of s_* or a"]),
        ("not (a or b)", ["a or b", "not a", "not b", "not (a and b)"]),
    ],
)
def test_conditions_are_changed_part_by_part(condition: str, expected: list[str]) -> None:
    """Each part may be missing or negated, and each operator another one."""
    names = ("a", "b", "c", "s_1", "s_2")
    detection: JsonObject = {**{name: {"requestParameters.x": 1} for name in names}, "condition": condition}
    found = {
        str(change.detection["condition"]) for change in changes_of(detection).values() if change.at[1] == "condition"
    }
    assert set(expected) - {"a or b or c"} <= found
    assert condition not in found


@pytest.mark.parametrize(
    ("selection", "expected", "never"),
    [
        ({"userAgent|contains|all": ["x", "y"]}, "userAgent|contains for userAgent|contains|all", ""),
        ({"requestParameters.n|gte": 3}, "requestParameters.n|gt for requestParameters.n|gte", ""),
        ({"eventName|neq": "ListKeys"}, "eventName for eventName|neq", ""),
        ({"userAgent": "x"}, "userAgent|contains for userAgent", ""),
        # Nothing else has a name with these, so no event could tell.
        ({"eventSource": "kms.amazonaws.com"}, "", "eventSource|contains for eventSource"),
        ({"userIdentity.type": "Root"}, "", "userIdentity.type|contains for userIdentity.type"),
        ({"eventSource": "iam.amazonaws.com", "eventName": "GetUser"}, "eventName|contains for eventName", ""),
        ({"responseElements.ConsoleLogin": "Success"}, "", "responseElements.ConsoleLogin|contains"),
        ({"userIdentity.type": "Role"}, "userIdentity.type|contains for userIdentity.type", ""),
        ({"userAgent": ["x*", "y"]}, "userAgent without 'x*'", "userAgent|contains for userAgent"),
    ],
)
def test_modifiers_are_changed_where_it_may_matter(selection: Any, expected: str, never: str) -> None:
    """Where a value is one of few, no event would be matched in addition, and no author could write a case."""
    found = changes_of({"selection": selection, "condition": "selection"})
    assert not expected or expected in found
    assert not never or not any(change.startswith(never) for change in found)


def test_maps_and_words_of_a_list_are_changed() -> None:
    """So is each condition in one of its maps."""
    maps: JsonObject = {"s": [{"userAgent": "x", "errorCode": "y"}, {"userAgent": "z"}]}
    found = changes_of({**maps, "k": ["a", "b"], "condition": "s or k"})
    assert found["s without its part 2"].detection["s"] == [{"userAgent": "x", "errorCode": "y"}]
    assert found["without errorCode"].at == ("detection", "s", 0, "errorCode")
    assert found["without errorCode"].detection["s"] == [{"userAgent": "x"}, {"userAgent": "z"}]
    assert found["k without 'a'"].detection["k"] == ["b"]


def test_what_no_case_notices_has_its_line(tmp_path: Path) -> None:
    """Of all changes, exactly those pass that no sample event tells apart from the rule as it is."""
    results = tried(tmp_path)
    unnoticed = {(result.change, result.line) for result in results if result.noticed_by is None}
    assert unnoticed == {
        ("without eventSource", 5),
        ("eventName|contains for eventName", 6),
        ("eventName without 'CreateUser'", 8),
        ("without requestParameters.userName|startswith", 9),
        ("requestParameters.userName|contains for requestParameters.userName|startswith", 9),
        ("userIdentity.arn|contains for userIdentity.arn|endswith", 11),
    }
    noticed = {result.change: result.noticed_by for result in results}
    assert noticed["eventName without 'DeleteUser'"] == "one"
    assert noticed["without not filter"] == "by the administrator"
    assert noticed["without eventName"] == "another event"
    assert summary_of_changes(results) == (
        f"{len(results)} changes of 1 rule, one at a time: {len(results) - 6} noticed by a case, 6 by none"
    )
    assert change_as_json(results[0]) == {
        "rule": "Users of Others",
        "id": None,
        "file": str(tmp_path / "aws_users.yml"),
        "line": 5,
        "change": "without eventSource",
        "noticed": False,
        "noticed_by": None,
    }


def test_a_case_more_notices_more(tmp_path: Path) -> None:
    """Whoever writes the case that is missing is told no more of it."""
    more = CASES + f"- name: of another service\n  event: {EVENT.replace('iam.', 'memorydb.')}}}\n"
    assert ("without eventSource", "of another service") in [
        (r.change, r.noticed_by) for r in tried(tmp_path, cases=more)
    ]


def test_cases_that_fail_notice_nothing(tmp_path: Path) -> None:
    """What fails anyway says nothing of a change."""
    cases = f"hits:\n- name: wrong\n  event: {{eventName: ListKeys}}\n- name: one\n  event: {EVENT}}}\n"
    assert {result.noticed_by for result in tried(tmp_path, cases=cases)} == {None, "one"}


def test_each_rule_of_a_file_has_its_own_lines(tmp_path: Path) -> None:
    """Lines are those of the document that the rule is in."""
    second = RULE.replace("Users of Others", "Another")
    indented = "".join(f"  {line}\n" for line in CASES.splitlines())
    cases = "".join(f"- rule: {title}\n{indented}" for title in ("Users of Others", "Another"))
    results = tried(tmp_path, f"{RULE}---\n{second}", cases)
    lines = {(r.rule.rule.title, r.line) for r in results if r.change == "without eventSource"}
    assert lines == {("Users of Others", 5), ("Another", 19)}


def test_the_command_reports_and_does_not_fail(tmp_path: Path) -> None:
    """A change that nobody notices is told on standard output, and is no failure; a case that fails is one."""
    tried(tmp_path)
    ended = CliRunner().invoke(main, ["test", str(tmp_path), "--mutate"])
    assert ended.exit_code == 0
    place = f"{tmp_path / 'aws_users.yml'}:8: Users of Others"
    assert f"{place}: no case notices: eventName without 'CreateUser'" in ended.stdout
    assert "6 by none" in ended.stderr
    ended = CliRunner().invoke(main, ["test", str(tmp_path), "--mutate", "--json"])
    documents = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [("case" in one, "change" in one) for one in documents][:4] == [(True, False)] * 3 + [(False, True)]
    (tmp_path / "aws_users.test.yaml").write_text(CASES + f"- name: wrong\n  event: {EVENT}}}\n")
    assert CliRunner().invoke(main, ["test", str(tmp_path), "--mutate"]).exit_code == 1


def test_correlations_are_not_changed() -> None:
    """What several events have to have in common is not a condition of one."""
    suite = load_suite([Path("sigma_stellar_aws/correlations")], [])
    changed = {result.rule.rule.title for result in try_changes(run_trials(suite.trials[:12]))}
    assert not changed & {trial.rule.rule.title for trial in suite.trials if trial.rule.together}


@pytest.mark.parametrize(
    ("source", "names", "never"),
    [
        # Only KMS has them; DisableKeyRotation contains one.
        ("kms.amazonaws.com", ["DisableKey", "ScheduleKeyDeletion"], {"without eventSource"}),
        ("kms.amazonaws.com", ["ReplicateKey"], {"without eventSource", "eventName|contains for eventName"}),
        # Amazon MemoryDB has it too, and it begins DeleteUserPolicy.
        ("iam.amazonaws.com", ["DeleteUser"], set()),
        ("waf.amazonaws.com", ["DeleteWebACL"], {"eventName|contains for eventName"}),
        # What nobody knows may be anywhere.
        ("example.amazonaws.com", ["DisableKey"], {"eventName|contains for eventName"}),
        ("kms.amazonaws.com", ["DisableAllKeys"], {"eventName|contains for eventName"}),
    ],
)
def test_no_change_is_made_that_no_known_event_can_tell(
    tmp_path: Path, source: str, names: list[str], never: set[str]
) -> None:
    """Nobody could write a case for it that is true."""
    selection = f"eventSource: {source}\n        eventName: {names}"
    rule = f"title: A\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n    s:\n        {selection}\n"
    hit = f"hits:\n- name: one\n  event: {{eventSource: {source}, eventName: {names[0]}}}\n"
    results = tried(tmp_path, f"{rule}    condition: s\nlevel: low\n", hit)
    usual = {"without eventSource", "without eventName", "eventName|contains for eventName"}
    assert {
        result.change for result in results if len(names) == 1 or " '" not in result.change
    } & usual == usual - never


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        # RunTask has no such parameter, and so is matched by neither.
        ("requestParameters.containerDefinitions.command", False),
        ("requestParameters.containerDefinitions.command|exists", True),
        ("requestParameters.tags.value", True),
    ],
)
def test_names_whose_requests_lack_a_parameter_change_nothing(parameter: str, expected: bool) -> None:
    """Unless it is asked that the parameter is missing, or they have it too."""

    def detection(*names: str) -> SigmaDetections:
        selection: Any = {"eventSource": "ecs.amazonaws.com", parameter: False if "exists" in parameter else "x"}
        return SigmaDetections.from_dict({"s": {**selection, "eventName": list(names)}, "condition": "s"})

    assert may_differ(detection("RegisterTaskDefinition", "RunTask"), detection("RegisterTaskDefinition")) is expected


def test_the_cases_of_the_29_rules_notice_every_change() -> None:
    """Whoever changes a rule by mistake sees a case fail."""
    suite = load_suite([], [])
    results = list(try_changes(run_trials(suite.trials)))
    assert [(result.rule.file.name, result.change) for result in results if result.noticed_by is None] == []
    assert len({id(result.rule) for result in results}) == 29
