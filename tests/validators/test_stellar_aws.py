"""The validators, with rules as data."""

import copy
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.plugins import InstalledSigmaPlugins
from sigma.rule import SigmaRule
from sigma.validation import SigmaValidator
from sigma.validators.base import SigmaRuleValidator

from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.rule_files.load import filters_path, load_rules, pack_path
from sigma_stellar_aws.rule_files.stellar_block import published_detection
from sigma_stellar_aws.validators.issues import CloudTrailIssue
from sigma_stellar_aws.validators.stellar_aws import validators
from tests.support.yaml_files import read_yaml

Reported = tuple[str, str, str]

CASES = read_yaml(Path(__file__).parents[1] / "cases" / "validators.yml")
CLOUDTRAIL = {"product": "aws", "service": "cloudtrail"}
SELECTION = {"eventSource": "iam.amazonaws.com", "eventName": "CreateUser"}


def document(case: dict[str, Any]) -> dict[str, Any]:
    """The rule or filter of a case."""
    head = {"title": "Some Rule", "logsource": CLOUDTRAIL}
    if "filter" in case:
        return {**head, "filter": case["filter"]}
    detection = case.get("detection") or {"selection": case.get("selection", SELECTION), "condition": "selection"}
    rule = {**head, "level": "medium", "detection": detection, **case.get("rule", {})}
    return {key: value for key, value in rule.items() if value is not None or key == "stellar"}


def parsed(given: dict[str, Any]) -> SigmaRule | SigmaFilter:
    """A document as pySigma reads it, faults included."""
    given = copy.deepcopy(given)
    return SigmaFilter.from_dict(given, True) if "filter" in given else SigmaRule.from_dict(given, True)


def issues(rule: Any) -> Iterator[tuple[str, CloudTrailIssue]]:
    """What our validators report, each by its name."""
    for name, validator in validators.items():
        for issue in validator().validate(rule):
            assert isinstance(issue, CloudTrailIssue)
            yield name.removeprefix("stellar_aws_"), issue


def reported(rule: Any) -> list[Reported]:
    """Validator, severity and sentence of each issue."""
    return [(name, issue.severity.name.lower(), issue.problem) for name, issue in issues(rule)]


def test_cases_have_names_of_their_own() -> None:
    """No two cases are called the same."""
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_what_is_wrong_is_reported_and_nothing_else(case: dict[str, Any]) -> None:
    """A case is reported by the validators, with the severities and sentences, that it lists."""
    found = reported(parsed(document(case)))
    expected = [tuple(said) for said in case.get("reported", [])]
    assert sorted(one[:2] for one in found) == sorted(one[:2] for one in expected), found
    for name, severity, part in expected:
        assert any(one[:2] == (name, severity) and part in one[2] for one in found), found


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_what_is_reported_is_a_sentence_with_a_place(case: dict[str, Any]) -> None:
    """Every problem is one sentence, and its place is in the document, but for a last key that may be missing."""
    given = document(case)
    for _, issue in issues(parsed(given)):
        assert issue.problem[-1] in ".?"
        assert not issue.problem.endswith(("?.", ".."))
        part: Any = given
        for key in issue.at[:-1]:
            part = part[key]
        assert isinstance(part, dict | list)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("aws_elasticache_security_group_created.yml", ["event_name: CreateCacheSecurityGroup"]),
        (
            "aws_elasticache_security_group_modified_or_deleted.yml",
            [
                "event_name: DeleteCacheSecurityGroup",
                "event_name: AuthorizeCacheSecurityGroupIngress",
                "event_name: RevokeCacheSecurityGroupIngress",
                "event_name: AuthorizeCacheSecurityGroupIngress?",
                "event_name: RevokeCacheSecurityGroupIngress?",
            ],
        ),
        ("aws_eventbridge_rule_disabled_or_deleted.yml", ["event_source: events.amazonaws.com"]),
        (
            "aws_iam_saml_activity.yml",
            ["impossible_condition: sts.amazonaws.com", "impossible_condition: iam.amazonaws"],
        ),
        (
            "aws_lambda_function_code_updated.yml",
            ["impossible_condition: errorCode is never 'success'", "flattened_field: userIdentity.type"],
        ),
        ("aws_sts_assumerole_usage.yml", ["impossible_condition: The call is named AssumeRole."]),
    ],
)
def test_a_published_query_that_finds_nothing_is_reported_with_the_reason(file: str, expected: list[str]) -> None:
    """Each of the six published queries that match nothing is reported for that, and the corrected rule is clean."""
    [rule] = load_rules(pack_path() / file).rules
    assert reported(rule) == []
    detection = published_detection(cast(SigmaRule, rule))
    found = reported(parsed({"title": rule.title, "logsource": CLOUDTRAIL, "level": "low", "detection": detection}))
    assert len(found) == len(expected)
    for (name, _, problem), said in zip(found, expected, strict=True):
        wanted, _, part = said.partition(": ")
        assert name == wanted
        assert part in problem


def test_the_pack_and_its_filters_are_clean() -> None:
    """Nothing is reported of the rules and filters of this project."""
    filters = [parsed(read_yaml(path)) for path in filters_path().glob("*.yml")]
    assert len(filters) >= 2
    assert [found for rule in [*load_rules().rules, *filters] for found in reported(rule)] == []


@pytest.mark.parametrize(
    "logsource",
    [{"product": "aws"}, {"product": "aws", "service": "vpcflow"}, {"product": "gcp", "service": "gcp.audit"}],
    ids=str,
)
def test_rules_of_other_log_sources_are_not_looked_at(logsource: dict[str, str]) -> None:
    """A rule that is not about CloudTrail may be as wrong as it likes."""
    case = {"selection": {"eventName": "Assume Role"}, "rule": {"level": None, "tags": ["attack.nonsense"]}}
    assert len(reported(parsed(document(case)))) == 3
    assert reported(parsed({**document(case), "logsource": logsource})) == []


def test_rules_that_pysigma_cannot_read_and_correlations_are_left_to_others() -> None:
    """Neither a rule without detection, nor a wrong condition, level or key, nor a correlation is a fault for us."""
    rule = document({})
    for wrong in (
        {"detection": None},
        {"detection": {"selection": SELECTION, "condition": "selection and"}},
        {"detection": {"selection": SELECTION, "condition": "other"}},
        {"detection": {"selection": SELECTION, "condition": ["selection", 7]}},
        {"detection": {"selection": SELECTION, "condition": "selection | count() > 5"}},
        {"level": "grave", "stellar": {"severity": 50}},
        {"tags": ["impact", 5], "fields": 3},
    ):
        assert reported(SigmaRule.from_dict({**rule, **wrong}, True)) == []
    correlation: dict[str, Any] = {
        "title": "Many",
        "tags": ["attack.nonsense"],
        "correlation": {
            "type": "event_count",
            "rules": ["a"],
            "group-by": ["x"],
            "timespan": "1h",
            "condition": {"gte": 3},
        },
    }
    [many] = SigmaCollection.from_dicts([{**rule, "name": "a"}, correlation]).rules[1:]
    assert reported(many) == []


@pytest.mark.parametrize(
    ("maps", "expected"),
    [(256, {"impossible_condition", "event_name"}), (257, {"event_name"})],
    ids=["all", "too many"],
)
def test_a_condition_that_can_be_met_in_too_many_ways_is_judged_by_its_parts(maps: int, expected: set[str]) -> None:
    """Up to 256 ways are looked at, so that no rule takes long; beyond, only what is wrong by itself is reported."""
    selection = [{"eventSource": "iam.amazonaws.com", "requestParameters.userName": str(n)} for n in range(maps - 2)]
    selection.append({"eventSource": "iam.amazonaws.com", "eventName": "StopLogging"})
    selection.append({"eventSource": "iam.amazonaws.com", "eventName": "Create User"})
    assert {name for name, _, _ in reported(parsed(document({"selection": selection})))} == expected


TEXTS = st.sampled_from(
    [
        *("", "*", "?", "a*b", "\\", "%x%", "é", "0", "t1485", "attack.impact", "success", "AssumedRole"),
        *("CreateUser", "Create User", "iam:CreateUser", "PassRole", "iam", "iam.amazonaws.com"),
    ]
)
VALUES = TEXTS | st.none() | st.booleans() | st.integers(-2, 200) | st.floats(allow_nan=False, allow_infinity=False)
MODIFIERS = ["", "|contains", "|startswith", "|endswith", "|re", "|re|i", "|cased", "|exists", "|all", "|contains|all"]
MODIFIERS += ["|neq", "|gt", "|cidr", "|fieldref", "|base64offset|contains", "|windash", "|expand", "|hour", "|wide"]
KEYS = st.builds(
    "{}{}".format,
    st.sampled_from([*FIELDS, "", "userIdentity_type", "eventname", "a.b", "_"]),
    st.sampled_from(MODIFIERS),
)
MAPS = st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3), min_size=1, max_size=4)
DETECTIONS = MAPS | st.lists(MAPS | st.lists(MAPS, min_size=1, max_size=2), min_size=1, max_size=3) | st.lists(TEXTS)
CONDITIONS = st.sampled_from(
    [
        "a",
        "a and b",
        "a or not b",
        "not (a and not b)",
        "1 of *",
        "all of them",
        "not 1 of b*",
        "a and not a",
        "1 of c*",
    ]
)
ANYTHING = st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS | st.integers(), inner))
BLOCKS = ANYTHING | st.fixed_dictionaries(
    {},
    optional={
        "severity": VALUES,
        "suppression": ANYTHING
        | st.fixed_dictionaries({}, optional={"window": VALUES, "fields": VALUES | st.lists(KEYS | VALUES)}),
        "published": ANYTHING,
    },
)


@settings(max_examples=300, deadline=None)
@given(
    a=DETECTIONS,
    b=DETECTIONS,
    condition=CONDITIONS,
    stellar=BLOCKS,
    tags=st.lists(TEXTS | st.sampled_from(["attack.t1485", "attack.T9", "attack.", "attack.defense-evasion"])),
    level=st.sampled_from([None, "low", "critical", "grave"]),
    kind=st.sampled_from(["detection", "filter"]),
)
def test_no_rule_is_too_odd(a: Any, b: Any, condition: str, stellar: Any, tags: Any, level: Any, kind: str) -> None:
    """Whatever pySigma reads is judged without an exception, in sentences."""
    detection = {"a": a, "b": b, "condition": condition}
    if kind == "filter":
        detection["rules"] = "any"
    given = {"title": "T", "logsource": CLOUDTRAIL, kind: detection, "stellar": stellar, "tags": tags, "level": level}
    try:
        rule = parsed(given)
    except (SigmaError, AttributeError, TypeError, ValueError):
        return
    for _, issue in issues(rule):
        assert issue.problem[-1] in ".?"
        assert issue.at


def test_pysigma_finds_the_validators_and_runs_them_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are plugins, a validator file can name them, and they need no network."""

    def refuse(*args: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = cast("dict[str, type[SigmaRuleValidator]]", InstalledSigmaPlugins.autodiscover().validators)
    assert {name: found[name] for name in validators} == validators
    validator = SigmaValidator.from_dict({"validators": ["stellar_aws_event_name"]}, found)
    [issue] = validator.validate_rules(iter([cast(SigmaRule, parsed(document({"selection": {"eventName": "A b"}})))]))
    assert "severity=high" in str(issue)
    assert "An event name has no blanks" in str(issue)


def test_discovery_stays_light() -> None:
    """Loading the plugin, as sigma-cli does at every start, reads no table and imports no client or engine."""
    code = """
import sys, sigma.validators.stellar_aws
from sigma_stellar_aws.reference import attack, aws_events
assert not attack.attack.cache_info().currsize and not aws_events.table.cache_info().currsize
print(*{"opensearchpy", "jgo", "rich", "zlib_ng"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
