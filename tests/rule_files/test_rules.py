"""The rules themselves: what they say, where it comes from, and which events they match."""

import socket
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID

import pytest
from sigma.plugins import InstalledSigmaPlugins
from sigma.rule import SigmaRule
from sigma.validation import SigmaValidator
from sigma.validators.base import SigmaRuleValidator

from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.authoring.check import NEED_NETWORK
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.query.evaluate import matched_queries
from sigma_stellar_aws.query.prefilter import screen
from sigma_stellar_aws.reference.attack import attack
from sigma_stellar_aws.reference.flat_schema import Document, flat_name
from sigma_stellar_aws.rule_files.load import filters_path, load_rules
from tests.support.records import Case, cases
from tests.support.yaml_files import read_yaml

RULES = Path(__file__).parents[2] / "rules"
PUBLISHED = read_yaml(Path(__file__).parents[1] / "cases" / "published.yml")["rules"]
ERRATA = {
    "AWS ElastiCache Security Group Created",
    "AWS ElastiCache Security Group Modified or Deleted",
    "AWS EventBridge Rule Disabled or Deleted",
    "AWS Security Token Service (STS) AssumeRole Usage",
    "AWS SAML Activity",
    "AWS Lambda UpdateFunctionCode",
    "AWS WAF Access Control List Deletion",
    "AWS Attached Malicious Lambda Layer",
}
LEVELS = ((75, "high"), (50, "medium"), (25, "low"), (0, "informational"))


class RuleFile(NamedTuple):
    """A rule file as plain data."""

    path: Path
    data: dict[str, Any]


@cache
def rule_files() -> dict[str, RuleFile]:
    """All rule files by the titles of their rules."""
    files = [RuleFile(path, read_yaml(path)) for path in sorted(RULES.glob("*.yml"))]
    return {file.data["title"]: file for file in files}


def flattened_items(detection: Any) -> Any:
    """A detection as nested lists of pairs, in which order counts, with flattened field names."""
    if isinstance(detection, dict):
        pairs = []
        for key, value in detection.items():
            field, *modifiers = key.split("|")
            pairs.append(("|".join([flat_name(field), *modifiers]), flattened_items(value)))
        return pairs
    return detection


def fields_of(detection: dict[str, Any]) -> list[str]:
    """The field names, with their modifiers, of a detection of maps."""
    return [field for item in detection.values() if isinstance(item, dict) for field in item]


@pytest.fixture(params=PUBLISHED, ids=lambda rule: str(rule["title"]))
def published(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One rule as the page prints it."""
    rule: dict[str, Any] = request.param
    return rule


def test_there_is_one_file_for_each_published_rule() -> None:
    """Nothing of the page is missing and nothing else is in the pack."""
    assert sorted(rule_files()) == sorted(rule["title"] for rule in PUBLISHED)
    assert len(list(RULES.glob("*.yml"))) == 29
    assert {title for title, file in rule_files().items() if "published" in file.data["stellar"]} == ERRATA


def test_published_query_is_kept_key_by_key(published: dict[str, Any]) -> None:
    """The published query stands in the rule, in its order: word for word beside a corrected one, else with dots."""
    data = rule_files()[published["title"]].data
    if published["title"] in ERRATA:
        kept = data["stellar"]["published"]["detection"]
        assert repr(kept) == repr(published["query"])
        assert flattened_items(data["detection"]) != flattened_items(published["query"])
        assert len(data["stellar"]["published"]["reason"]) > 80
    else:
        assert flattened_items(data["detection"]) == flattened_items(published["query"])
        assert "_" not in "".join(
            key for value in data["detection"].values() if isinstance(value, dict) for key in value
        )


def test_severity_level_and_source_are_those_of_the_page(published: dict[str, Any]) -> None:
    """Severity is the published one, the level its band, and a SigmaHQ rule that the page names is linked."""
    data = rule_files()[published["title"]].data
    assert data["stellar"]["severity"] == published["severity"]
    assert data["level"] == next(level for least, level in LEVELS if published["severity"] >= least)
    derived = [related["id"] for related in data.get("related", []) if related["type"] == "derived"]
    assert derived == ([published["sigmahq"]] if "sigmahq" in published else [])
    assert data["license"] == ("DRL-1.1" if "sigmahq" in published else "Apache-2.0")


def test_every_rule_says_what_a_rule_must(published: dict[str, Any]) -> None:
    """Each rule has a v4 UUID of its own, log source, description, references, false positives and suppression."""
    path, data = rule_files()[published["title"]]
    assert path.stem.startswith("aws_")
    assert UUID(data["id"]).version == 4
    assert [file.data["id"] for file in rule_files().values()].count(data["id"]) == 1
    assert data["description"].startswith("Detects ")
    assert data["logsource"] == {"product": "aws", "service": "cloudtrail"}
    assert data["references"]
    assert data["falsepositives"]
    assert data["stellar"]["suppression"]["window"] == "24h"
    # Who signs in by SAML has no ARN.
    caller = "userIdentity.principalId" if "AssumeRoleWithSAML" in str(data["detection"]) else "userIdentity.arn"
    assert data["stellar"]["suppression"]["fields"] == ["recipientAccountId", caller, "sourceIPAddress"]


def test_attack_tags_exist_and_techniques_belong_to_a_tagged_tactic(published: dict[str, Any]) -> None:
    """Tags are of the current ATT&CK, and every technique has one of its tactics beside it."""
    tags = [tag.removeprefix("attack.") for tag in rule_files()[published["title"]].data["tags"]]
    tactics = {tag for tag in tags if tag in attack().tactics}
    techniques = [tag.upper() for tag in tags if tag not in tactics]
    assert tactics
    for technique in techniques:
        assert set(attack().techniques[technique].tactics) & tactics, technique


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections of any kind fail."""

    def refuse(*args: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_rules_pass_every_validator_that_needs_no_network() -> None:
    """pySigma's and SigmaHQ's validators find nothing but our own key, which SigmaHQ's list does not have."""
    validators = {
        name: validator
        for name, validator in InstalledSigmaPlugins.autodiscover().validators.items()
        if name not in NEED_NETWORK
    }
    assert len(validators) >= 72
    rules = (rule for rule in load_rules().rules if isinstance(rule, SigmaRule))
    issues = SigmaValidator(cast("list[type[SigmaRuleValidator]]", list(validators.values()))).validate_rules(rules)
    found = {(type(issue).__name__, str(getattr(issue, "fieldname", ""))) for issue in issues}
    assert found == {("SigmahqUnknownFieldIssue", "['stellar']")}


@pytest.mark.parametrize("use_published", [False, True], ids=["corrected", "published"])
@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.rule}: {case.name}")
def test_rule_matches_what_it_should(case: Case, use_published: bool) -> None:
    """Every test event matches its rule, or does not, as its case says; the screen never hides a match."""
    query, names = pack(use_published)
    expected = case.published if use_published else case.expected
    assert (names[case.rule] in matched_queries(query)(flatten(case.record))) == expected
    assert screen(query)(case.record["eventSource"], case.record["eventName"]) or not expected


@cache
def pack(use_published: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """The pack's query, and the names of its clauses by the titles of the rules."""
    pipeline = stellar_aws_published() if use_published else stellar_aws()
    converted = convert_pack(load_rules(), pipeline)
    return converted.query, {rule.title: name for name, rule in converted.rules.items()}


def test_filters_drop_failed_calls_and_calls_by_services() -> None:
    """The two filters beside the rules take away exactly what they say."""
    deletion: Document = {"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"}
    by_user: Document = {**deletion, "userIdentity_type": "IAMUser"}
    in_console: Document = {**by_user, "userIdentity_invokedBy": "signin.amazonaws.com"}
    failed: Document = {**by_user, "errorCode": "AccessDenied"}
    by_service: Document = {**deletion, "userIdentity_type": "AWSService"}
    for_service: Document = {**by_user, "userIdentity_invokedBy": "cloudformation.amazonaws.com"}
    kept = {
        "sigma_filter_aws_successful_calls.yml": [True, True, False, True, True],
        "sigma_filter_aws_service_callers.yml": [True, True, True, False, False],
    }
    assert {path.name for path in filters_path().iterdir()} == set(kept)
    for name, expected in kept.items():
        rules = load_rules(RULES / "aws_cloudwatch_log_group_deleted.yml", filters=[filters_path() / name])
        assert [type(rule) for rule in rules.rules] == [SigmaRule]
        matches = matched_queries(convert_pack(rules, stellar_aws()).query)
        documents = (by_user, in_console, failed, by_service, for_service)
        assert [bool(matches(document)) for document in documents] == expected, name
