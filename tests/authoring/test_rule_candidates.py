"""Conditions that are proposed for a rule from an event."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.authoring.rule_candidates import Candidate, candidates
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import flatten
from tests.support.records import record


def proposed(**event: Json) -> list[tuple[str, object]]:
    """Fields and values that are proposed for an event."""
    return [(one.field, one.value) for one in candidates(event)]


def test_a_login_is_told_by_its_result_and_by_mfa() -> None:
    """They are in the response and the further data, where nobody looks first."""
    found = proposed(
        eventSource="signin.amazonaws.com",
        eventName="ConsoleLogin",
        responseElements={"ConsoleLogin": "Failure"},
        additionalEventData={"MFAUsed": "No", "LoginTo": "https://console.aws.amazon.com/"},
    )
    assert found[:2] == [("responseElements.ConsoleLogin", "Failure"), ("additionalEventData.MFAUsed", "No")]


def test_parameters_with_few_values_come_first() -> None:
    """Then others that the operation has, then what its model does not know."""
    found = proposed(
        eventSource="lambda.amazonaws.com",
        eventName="CreateFunction20150331",
        requestParameters={"later": "x", "functionName": "pay", "packageType": "Image", "publish": False},
        errorCode="AccessDenied",
    )
    assert [field for field, _ in found] == [
        "requestParameters.packageType",
        "requestParameters.publish",
        "requestParameters.functionName",
        "requestParameters.later",
        "errorCode",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keyId", "1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("startTime", "2026-11-24T10:00:00Z"),
        ("cidr", "203.0.113.7"),
        ("roleArn", "arn:aws:iam::111122223333:role/Admin"),
        ("instanceId", "i-0abcd1234ef567890"),
        ("roleSessionName", "ci-4711"),
        ("clientToken", "x"),
        ("callerReference", "x"),
        ("accessKeyId", "AKIAIOSFODNN7EXAMPLE"),
        ("account", "111122223333"),
    ],
)
def test_what_only_one_event_has_is_not_proposed(name: str, value: str) -> None:
    """A rule on it would match this event again at most."""
    assert proposed(eventSource="x", eventName="y", requestParameters={name: value}) == [("errorCode", None)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cidrIp", "0.0.0.0/0"),
        ("policyArn", "arn:aws:iam::aws:policy/AdministratorAccess"),
        ("instanceType", "p4d.24xlarge"),
        ("userName", "backdoor"),
        ("fromPort", 22),
    ],
)
def test_what_many_events_may_have_is_proposed(name: str, value: str | int) -> None:
    """Values with a meaning, though they look like a range, an ARN or a version."""
    assert (f"requestParameters.{name}", value) in proposed(
        eventSource="x", eventName="y", requestParameters={name: value}
    )


def test_what_is_rare_among_other_events_comes_first() -> None:
    """Each condition is counted as it would match: without regard to case, a part of a text, or a missing field."""
    event: JsonObject = {
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "userIdentity": {"type": "Root"},
        "requestParameters": {"userName": "bob", "path": "/"},
        "userAgent": "curl/8.0",
    }
    other: JsonObject = {**event, "userIdentity": {"type": "IAMUser"}, "userAgent": "Botocore, CURL"}
    denied: JsonObject = {**other, "errorCode": "AccessDenied", "requestParameters": {"userName": "BOB"}}
    assert candidates(event, [flatten(one) for one in (other, other, denied)]) == [
        Candidate("userIdentity.type", "Root", (0, 3)),
        Candidate("requestParameters.path", "/", (2, 3)),
        Candidate("errorCode", None, (2, 3)),
        Candidate("requestParameters.userName", "bob", (3, 3)),
        Candidate("userAgent|contains", "curl", (3, 3)),
    ]
    assert all(one.seen is None for one in candidates(event, []))


def test_the_command_counts_in_logs(tmp_path: Path) -> None:
    """Events of the same name are counted, the event itself left out; the rule has the numbers as comments."""
    kind: JsonObject = {"eventSource": "iam.amazonaws.com", "eventName": "CreateUser"}
    event = record({**kind, "requestParameters": {"userName": "bob", "path": "/odd/"}}, number=1)
    others = [record({**kind, "requestParameters": {"userName": "bob", "path": "/"}}, number=n) for n in range(2, 6)]
    away = record({"eventSource": "iam.amazonaws.com", "eventName": "DeleteUser"}, number=9)
    (tmp_path / "event.json").write_text(json.dumps(event))
    (tmp_path / "logs.json").write_text(json.dumps({"Records": [event, *others, away]}))
    arguments = ["new", str(tmp_path / "event.json"), "-o", str(tmp_path / "rules")]
    ended = CliRunner().invoke(main, [*arguments, "--background", str(tmp_path / "logs.json")])
    assert ended.exit_code == 0, ended.output
    assert "4 events of this kind in the background" in ended.stderr
    rule = (tmp_path / "rules" / "aws_iam_create_user.yml").read_text()
    path, name = "# requestParameters.path: '/odd/' # in 0 of 4", "# requestParameters.userName: 'bob' # in 4 of 4"
    assert 0 < rule.index(path) < rule.index(name)
