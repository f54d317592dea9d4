"""Skeletons of rules from example events."""

import re
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.plugins import InstalledSigmaPlugins
from sigma.rule import SigmaRule
from sigma.validation import SigmaValidator
from sigma.validators.base import SigmaRuleValidator

from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.authoring import rule_tests
from sigma_stellar_aws.authoring.check import NEED_NETWORK
from sigma_stellar_aws.authoring.new_rule import cases_text, file_stem, redacted, rule_text, write_rule
from sigma_stellar_aws.authoring.sample_events import read_case_file
from sigma_stellar_aws.base.errors import EventError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.records import cases, record
from tests.support.yaml_files import read_yaml

EVENT = record(
    {
        "identity": "iam_user",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "sourceIPAddress": "52.94.236.248",
        "requestParameters": {
            "userName": r"b\*b? (1)",
            "tags": [{"key": "team", "value": "a b"}, {"key": "on", "value": "yes"}],
            "limit": 5,
            "force": True,
            "odd|key": "c",
            "policyDocument": "x" * 200,
            "secret": "HIDDEN_DUE_TO_SECURITY_REASONS",
        },
        "responseElements": None,
    }
)
# With which a value could leave its line, or become something else than a text.
AWKWARD = st.text("'\"\\*?#:|-[]{}<>=%@&!,. \t\n\r\x00\x1b\x85\u2028\ufeffa1eEyn~", max_size=12)


def matches(rule: str, event: JsonObject, folder: Path) -> bool:
    """Whether a rule matches an event."""
    file = folder / "rule.yml"
    file.write_text(rule, encoding="utf-8", newline="\n")
    return compile_query(convert_pack(load_rules(file), stellar_aws()).query)(flatten(event))


def with_candidates(rule: str) -> str:
    """The rule with all conditions that it has as comments."""
    return re.sub(r"^( {8})# ", r"\1", rule, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the rules of many examples."""
    return tmp_path_factory.mktemp("rules")


@pytest.mark.parametrize("keep_ids", [False, True])
@pytest.mark.parametrize(
    "case", [case for case in cases() if case.expected], ids=lambda case: f"{case.rule}: {case.name}"
)
def test_a_skeleton_passes_its_own_test(tmp_path: Path, case: Any, keep_ids: bool) -> None:
    """What is written for an event can be run at once: the rule matches the event and not those that are nearly it."""
    write_rule(case.record, tmp_path, keep_ids=keep_ids)
    suite = rule_tests.load_suite([tmp_path], [])
    assert (suite.problems, suite.untested) == ([], [])
    assert {trial.case.expected for trial in suite.trials} == {True, False}
    assert all(result.passed for result in rule_tests.run_trials(suite.trials))


@pytest.mark.parametrize("name", ["DisableDomainTransferLock", "disableDomainTransferLock"])
def test_names_that_differ_in_case_only_are_no_misses(tmp_path: Path, name: str) -> None:
    """Where AWS records a name with a small first letter too, the other spelling is no example of a miss."""
    write_rule({"eventSource": "route53domains.amazonaws.com", "eventName": name}, tmp_path)
    results = rule_tests.run_trials(rule_tests.load_suite([tmp_path], []).trials)
    assert results
    assert all(result.passed for result in results)


def test_the_rule_says_what_the_event_says() -> None:
    """The rule asks for source and name; the rest of what the event has to offer stands there as comments."""
    text = rule_text(EVENT, "Somebody: #1")
    rule = yaml.safe_load(text)
    assert rule["author"] == "Somebody: #1"
    assert rule["logsource"] == {"product": "aws", "service": "cloudtrail"}
    assert UUID(rule["id"]).version == 4
    assert rule["detection"]["selection"] == {"eventSource": "iam.amazonaws.com", "eventName": "CreateUser"}
    assert yaml.safe_load(with_candidates(text))["detection"]["selection"] == {
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "userIdentity.type": "IAMUser",
        "requestParameters.userName": r"b\\\*b\? (1)",
        "requestParameters.tags.key": "on",
        "requestParameters.tags.value": "yes",
        "requestParameters.limit": 5,
        "requestParameters.force": True,
        "errorCode": None,
        "userAgent|contains": re.split(r"[/ ]", str(EVENT["userAgent"]))[0],
    }
    assert rule["id"] != yaml.safe_load(rule_text(EVENT))["id"]


def test_what_is_to_be_written_is_marked() -> None:
    """Title, description and author say that they are to be written, and no level is left unmentioned."""
    text = rule_text(EVENT)
    rule = yaml.safe_load(text)
    assert all("TODO" in rule[key] for key in ("title", "description", "author"))
    assert re.search(r"^level: medium # TODO", text, re.MULTILINE)


def test_validators_find_nothing(tmp_path: Path) -> None:
    """No validator that needs no network reports the skeleton."""
    write_rule(EVENT, tmp_path)
    plugins = InstalledSigmaPlugins.autodiscover().validators.items()
    validators = [validator for name, validator in plugins if name not in NEED_NETWORK]
    assert len(validators) >= 72
    rules = (rule for rule in load_rules(tmp_path).rules if isinstance(rule, SigmaRule))
    assert SigmaValidator(cast("list[type[SigmaRuleValidator]]", validators)).validate_rules(rules) == []


def test_every_condition_that_is_offered_holds(folder: Path) -> None:
    """With all comments made conditions the rule still matches, for each sample event."""
    for case in cases():
        assert matches(with_candidates(rule_text(case.record)), case.record, folder), case.name


@settings(deadline=None)
@given(key=AWKWARD, value=AWKWARD, name=AWKWARD)
def test_awkward_texts_stay_what_they_are(folder: Path, key: str, value: str, name: str) -> None:
    """Whatever an event holds, the rule matches it, its comments hold, and the sample event is the event."""
    event: JsonObject = {
        "eventSource": f"a{value}",
        "eventName": f"a{name}",
        "requestParameters": {key: value, "k": name},
    }
    event |= {"userAgent": value, "errorCode": name}
    text = rule_text(event, value)
    assert matches(text, event, folder)
    assert matches(with_candidates(text), event, folder)
    file = folder / "rule.test.yaml"
    file.write_text(cases_text(event, "rule.yml", "# note"), encoding="utf-8", newline="\n")
    read = read_case_file(file)
    assert read.problems == ()
    assert [case.event for group in read.groups for case in group.cases if case.expected] == [event]


@pytest.mark.parametrize(
    ("source", "name", "stem"),
    [
        ("iam.amazonaws.com", "CreateUser", "aws_iam_create_user"),
        ("iam.amazonaws.com", "UpdateSAMLProvider", "aws_iam_update_saml_provider"),
        ("waf-regional.amazonaws.com", "DeleteWebACL", "aws_waf_regional_delete_web_acl"),
        ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", "aws_lambda_update_function_code"),
        ("cloudfront.amazonaws.com", "CreateDistribution2020_05_31", "aws_cloudfront_create_distribution"),
        ("../../etc", "/x\x00../\u00e9", "aws_etc_x"),
        ("s3.amazonaws.com", "A" * 200, "aws_s3_" + "a" * 83),
    ],
)
def test_names_of_files(source: str, name: str, stem: str) -> None:
    """The files are called after service and event, whatever characters these have."""
    assert file_stem({"eventSource": source, "eventName": name}) == stem


def test_a_version_of_the_api_is_not_asked_for() -> None:
    """The rule takes a name that ends in the version of the API with every version."""
    event: JsonObject = {"eventSource": "lambda.amazonaws.com", "eventName": "UpdateFunctionCode20150331v2"}
    assert yaml.safe_load(rule_text(event))["detection"]["selection"] == {
        "eventSource": "lambda.amazonaws.com",
        "eventName|startswith": "UpdateFunctionCode",
    }


def test_misses_are_nearly_the_event() -> None:
    """One miss has another name of the service, one another service that has the name; a refusal can be added."""
    event: JsonObject = {"eventSource": "events.amazonaws.com", "eventName": "DeleteRule"}
    text = cases_text(event, "rule.yml", "# note")
    misses = [case["event"] for case in yaml.safe_load(text)["misses"]]
    assert [miss["eventSource"] == "events.amazonaws.com" for miss in misses] == [True, False]
    assert [miss["eventName"] == "DeleteRule" for miss in misses] == [False, True]
    assert "#     errorCode: AccessDenied" in text
    assert "#     errorCode: null" in cases_text({**event, "errorCode": "AccessDenied"}, "rule.yml", "# note")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Where one of the two files is there already, it stays, and the other is not written."""
    for name in ("aws_iam_create_user.yml", "aws_iam_create_user.test.yaml"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(OSError, match="exists already; nothing was written"):
            write_rule(EVENT, folder)
        assert [(file.name, file.read_text()) for file in folder.iterdir()] == [(name, "mine")]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"eventSource": "iam.amazonaws.com"},
        {"eventSource": "", "eventName": "A"},
        {"eventSource": 1, "eventName": "A"},
    ],
)
def test_an_event_without_source_or_name_is_refused(tmp_path: Path, event: JsonObject) -> None:
    """What has no source and name is no example to make a rule from."""
    with pytest.raises(EventError, match="eventSource and an eventName"):
        write_rule(event, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_very_deep_event_is_refused(tmp_path: Path) -> None:
    """An event that is nested deeper than it can be written is refused."""
    deep: JsonObject = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(EventError, match="nested too deeply"):
        write_rule({**EVENT, "requestParameters": deep}, tmp_path)


def test_what_tells_of_an_account_is_replaced() -> None:
    """Account numbers, ids, session tokens and public addresses become examples, the same ones everywhere."""
    event: JsonObject = {
        "userIdentity": {
            "principalId": "AROAJ7Q2ZK5N3XLWTV4PD:alice",
            "arn": "arn:aws:sts::999988887777:assumed-role/admin/alice",
            "accessKeyId": "ASIAZQ3DRSTU7VWXYZ23",
        },
        "sourceIPAddress": "52.94.236.248",
        "userAgent": "Mozilla/5.0 Chrome/142.0.0.0 Safari/537.36",
        "requestParameters": {
            "999988887777": ["555544443333", "bucket-999988887777-logs", 5, None, True],
            "cidrIp": "52.94.236.248/32, 8.8.8.8, http://8.8.4.4:80/, 10.0.0.1, 192.0.2.7, 0.0.0.0/0",
            "ipv6": "2600:1f18::7 and [2600:1F18:0::7], ::1, 12:34:56, ::/0, fe80::1",
            "time": "2026-11-09T06:12:07Z",
        },
        "responseElements": {"credentials": {"sessionToken": "IQoJb3JpZ2lu", "accessKeyId": "ASIAZQ3DRSTU7VWXYZ24"}},
        "eventID": "546387d3-c6fe-577b-ad08-a94019640f61",
    }
    assert redacted(event) == {
        "userIdentity": {
            "principalId": "AROAEXAMPLE000000000:alice",
            "arn": "arn:aws:sts::123456789012:assumed-role/admin/alice",
            "accessKeyId": "ASIAEXAMPLE000000000",
        },
        "sourceIPAddress": "203.0.113.1",
        "userAgent": "Mozilla/5.0 Chrome/142.0.0.0 Safari/537.36",
        "requestParameters": {
            "123456789012": ["111122223333", "bucket-123456789012-logs", 5, None, True],
            "cidrIp": "203.0.113.1/32, 203.0.113.2, http://203.0.113.3:80/, 10.0.0.1, 192.0.2.7, 0.0.0.0/0",
            "ipv6": "2001:db8::1 and [2001:db8::1], ::1, 12:34:56, ::/0, fe80::1",
            "time": "2026-11-09T06:12:07Z",
        },
        "responseElements": {"credentials": {"sessionToken": "EXAMPLE", "accessKeyId": "ASIAEXAMPLE000000001"}},
        "eventID": "546387d3-c6fe-577b-ad08-a94019640f61",
    }


def test_many_accounts_stay_apart() -> None:
    """However many accounts an event names, each has an example of its own."""
    accounts = [f"9{n:011d}" for n in range(20)]
    replaced = cast("list[str]", redacted({"accounts": [*accounts, *accounts]})["accounts"])
    assert replaced[:20] == replaced[20:]
    assert len(set(replaced)) == 20
    assert not set(replaced) & set(accounts)


def test_ids_are_kept_where_asked(tmp_path: Path) -> None:
    """With keep_ids the sample event is the event, and the file says which of the two it is."""
    _, kept = write_rule(EVENT, tmp_path / "kept", keep_ids=True)
    _, replaced = write_rule(EVENT, tmp_path / "replaced")
    assert read_yaml(kept)["hits"][0]["event"]["sourceIPAddress"] == "52.94.236.248"
    assert "as it was recorded" in kept.read_text()
    assert "52.94.236.248" not in replaced.read_text()
    assert "replaced by examples" in replaced.read_text()
