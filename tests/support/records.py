"""Full CloudTrail records out of the few fields that a test is about, and the test events of the rules."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.yaml_files import read_yaml

CASES = Path(__file__).parents[1] / "cases" / "rules"
ACCOUNTS = ("123456789012", "111122223333", "444455556666")
REGIONS = ("eu-central-1", "us-east-1", "ap-southeast-2", "eu-west-1")
GLOBAL_SOURCES = {"iam.amazonaws.com", "signin.amazonaws.com", "waf.amazonaws.com", "cloudfront.amazonaws.com"}

# Records come in bursts, as log files do: BURST consecutive numbers share an account and a few minutes.
BURST = 40
FIRST_TIME = datetime(2026, 11, 9, 6, 12, 7, tzinfo=timezone.utc)
LAST_BURST = 72

# The order in which CloudTrail writes the fields of a record.
FIELDS = (
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "requestID",
    "eventID",
    "readOnly",
    "resources",
    "eventType",
    "apiVersion",
    "managementEvent",
    "recipientAccountId",
    "serviceEventDetails",
    "sharedEventID",
    "annotation",
    "vpcEndpointId",
    "vpcEndpointAccountId",
    "eventCategory",
    "addendum",
    "edgeDeviceDetails",
    "insightDetails",
    "inScopeOf",
    "eventContext",
    "tlsDetails",
    "sessionCredentialFromConsole",
)

API_VERSIONS = {
    "elasticache.amazonaws.com": "2015-02-02",
    "elasticfilesystem.amazonaws.com": "2015-02-01",
    "events.amazonaws.com": "2015-10-07",
    "logs.amazonaws.com": "20140328",
    "waf.amazonaws.com": "2015-08-24",
    "waf-regional.amazonaws.com": "2016-11-28",
    "wafv2.amazonaws.com": "2019-04-23",
}
HOSTS = {
    "ecr.amazonaws.com": "api.ecr.<region>.amazonaws.com",
    "iam.amazonaws.com": "iam.amazonaws.com",
    "ses.amazonaws.com": "email.<region>.amazonaws.com",
    "signin.amazonaws.com": "<region>.signin.aws.amazon.com",
    "waf.amazonaws.com": "waf.amazonaws.com",
}
READING = re.compile(r"(Get|List|Describe|Head|BatchGet|Lookup|Search|Decrypt|Filter|AssumeRole|Start(Live)?Query)")

BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
CLI = (
    "aws-cli/2.31.32 md/awscrt#0.28.4 ua/2.1 os/macos#25.1.0 md/arch#arm64 lang/python#3.13.9 md/pyimpl#CPython "
    "m/b,E,Z cfg/retry-mode#standard md/installer#source md/prompt#off md/command#<command>"
)
# Longer than the 256 characters that a default-mapped index keeps in its .keyword sub-field.
CLOUDSHELL = (
    "aws-cli/2.31.32 md/awscrt#0.28.4 ua/2.1 os/linux#6.1.156-177.286.amzn2023.x86_64 md/arch#x86_64 "
    "lang/python#3.13.9 md/pyimpl#CPython exec-env/CloudShell m/E,b,Z,C,n cfg/retry-mode#standard md/installer#exe "
    "md/distrib#amzn.2023 sid/3f6c1d0a9b7e md/prompt#off md/command#<command>"
)
TERRAFORM = (
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.5 (+https://www.terraform.io) terraform-provider-aws/6.21.0 "
    "aws-sdk-go-v2/1.39.6 ua/2.1 os/linux lang/go#1.25.4 md/GOOS#linux md/GOARCH#amd64 m/E,e,n,s "
    "exec-env/deploy-runner-production-eu-central-1 cfg/retry-mode#adaptive app/platform-foundation-network-and-data"
)
BOTO3 = (
    "Boto3/1.40.74 md/Botocore#1.40.74 ua/2.1 os/linux#6.8.0-1041-aws md/arch#x86_64 lang/python#3.12.3 "
    "md/pyimpl#CPython m/b,D,Z cfg/retry-mode#legacy Botocore/1.40.74"
)


class Identity(NamedTuple):
    """A kind of caller: the userIdentity, where it calls from and with what."""

    user: JsonObject
    addresses: tuple[str, ...]
    agents: tuple[str, ...]
    console: bool = False


def _session(mfa: str = "false", **more: Json) -> JsonObject:
    return {**more, "attributes": {"creationDate": "<hour>", "mfaAuthenticated": mfa}}


def _role_session(role: str, principal: str, session: str, mfa: str = "false", path: str = "") -> JsonObject:
    issuer: Json = {
        "type": "Role",
        "principalId": principal,
        "arn": f"arn:aws:iam::<account>:role/{path}{role}",
        "accountId": "<account>",
        "userName": role,
    }
    return {
        "type": "AssumedRole",
        "principalId": f"{principal}:{session}",
        "arn": f"arn:aws:sts::<account>:assumed-role/{role}/{session}",
        "accountId": "<account>",
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": _session(mfa, sessionIssuer=issuer),
    }


def _user(key: str, name: str = "alice", principal: str = "AIDACKCEVSQ6C2EXAMPLE") -> JsonObject:
    return {
        "type": "IAMUser",
        "principalId": principal,
        "arn": f"arn:aws:iam::<account>:user/{name}",
        "accountId": "<account>",
        "accessKeyId": key,
        "userName": name,
    }


def _service(name: str) -> Identity:
    return Identity({"type": "AWSService", "invokedBy": name}, (name,), (name,))


_SAML_QUALIFIER = "Zm9ybS1vZi1hLWhhc2gtZXg="
_ROOT: JsonObject = {
    "type": "Root",
    "principalId": "<account>",
    "arn": "arn:aws:iam::<account>:root",
    "accountId": "<account>",
}

IDENTITIES: dict[str, Identity] = {
    "iam_user": Identity(_user("AKIAIOSFODNN7EXAMPLE"), ("198.51.100.23", "2001:db8:4:7::1f"), (CLI, BOTO3)),
    "iam_user_console": Identity(
        {**_user("ASIAI44QH8DHBEXAMPLE", "bob", "AIDAJQABLZS4A3EXAMPLE"), "sessionContext": _session("true")},
        ("203.0.113.80",),
        (BROWSER,),
        console=True,
    ),
    "assumed_role": Identity(
        _role_session("Deploy", "AROADBQP57FF2AEXAMPLE", "ci-4711"),
        ("192.0.2.44", "192.0.2.45"),
        (TERRAFORM, BOTO3, CLI),
    ),
    "admin_console": Identity(
        _role_session(
            "AWSReservedSSO_AdministratorAccess_0a1b2c3d4e5f6071",
            "AROAI3DSNQ7VTEXAMPLE",
            "carol@example.com",
            path="aws-reserved/sso.amazonaws.com/eu-central-1/",
        ),
        ("203.0.113.17",),
        (BROWSER, CLOUDSHELL),
        console=True,
    ),
    "service_role": Identity(
        {
            **_role_session(
                "AWSServiceRoleForAutoScaling",
                "AROAJBCK5YX2ZEXAMPLE",
                "AutoScaling",
                path="aws-service-role/autoscaling.amazonaws.com/",
            ),
            "invokedBy": "autoscaling.amazonaws.com",
        },
        ("autoscaling.amazonaws.com",),
        ("autoscaling.amazonaws.com",),
    ),
    "root": Identity(
        {**_ROOT, "accessKeyId": "ASIAI44QH8DHBEXAMPLE", "sessionContext": _session("true")},
        ("203.0.113.200",),
        (FIREFOX,),
        console=True,
    ),
    "root_signed_out": Identity({**_ROOT, "accessKeyId": ""}, ("203.0.113.200",), (FIREFOX,)),
    "hidden_user": Identity(
        {
            "type": "IAMUser",
            "accountId": "<account>",
            "accessKeyId": "",
            "userName": "HIDDEN_DUE_TO_SECURITY_REASONS",
        },
        ("203.0.113.99",),
        (FIREFOX, BROWSER),
    ),
    "federated_user": Identity(
        {
            "type": "FederatedUser",
            "principalId": "<account>:report-viewer",
            "arn": "arn:aws:sts::<account>:federated-user/report-viewer",
            "accountId": "<account>",
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": _session(
                sessionIssuer={
                    "type": "IAMUser",
                    "principalId": "AIDACKCEVSQ6C2EXAMPLE",
                    "arn": "arn:aws:iam::<account>:user/alice",
                    "accountId": "<account>",
                    "userName": "alice",
                }
            ),
        },
        ("198.51.100.61",),
        (BOTO3,),
    ),
    "saml_user": Identity(
        {
            "type": "SAMLUser",
            "principalId": f"{_SAML_QUALIFIER}:dave@example.com",
            "userName": "dave@example.com",
            "identityProvider": _SAML_QUALIFIER,
        },
        ("198.51.100.140", "2001:db8:9::c0"),
        (BROWSER, FIREFOX),
    ),
    "web_identity": Identity(
        {
            "type": "WebIdentityUser",
            "principalId": "arn:aws:iam::<account>:oidc-provider/oidc.example.com:sts.amazonaws.com:repo:shop/cart",
            "userName": "repo:shop/cart",
            "identityProvider": "arn:aws:iam::<account>:oidc-provider/oidc.example.com",
        },
        ("192.0.2.201",),
        (BOTO3,),
    ),
    "identity_center_user": Identity(
        {
            "type": "IdentityCenterUser",
            "accountId": "<account>",
            "onBehalfOf": {
                "userId": "93a4c8d2-20b1-70ae-1c2f-0d5e6f7a8b9c",
                "identityStoreArn": "arn:aws:identitystore::<account>:identitystore/d-9067example",
            },
            "credentialId": "5b1f7c60-3d2e-4a8b-9c7d-1e0f2a3b4c5d",
        },
        ("203.0.113.17",),
        (BROWSER,),
    ),
    "aws_account": Identity(
        {"type": "AWSAccount", "principalId": "AROAJ5CXVT4OHEXAMPLE:audit", "accountId": "<other account>"},
        ("192.0.2.129",),
        (BOTO3,),
    ),
    "ec2_service": _service("ec2.amazonaws.com"),
    "lambda_service": _service("lambda.amazonaws.com"),
    "config_service": _service("config.amazonaws.com"),
    # A service event: no type, as KMS writes it.
    "kms_service": Identity(
        {"accountId": "<account>", "invokedBy": "AWS Internal"}, ("AWS Internal",), ("AWS Internal",)
    ),
}


class Case(NamedTuple):
    """One test event of a rule: whether its detection must match it, and whether its published query does."""

    rule: str
    name: str
    expected: bool
    published: bool
    record: JsonObject


def record(event: Mapping[str, Json], *, number: int = 0) -> JsonObject:
    """A full CloudTrail record: `event`'s top-level fields over realistic defaults.

    `event` needs `eventSource` and `eventName`. Its key `identity` names a row of IDENTITIES (`assumed_role` without
    one). In any text `<account>`, `<other account>`, `<region>`, `<n>`, `<time>`, `<hour>` and `<expiry>` are filled
    in. `number` decides account, region and time (always November 2026); the same arguments give the same record.
    The fields are those of the CloudTrail record reference, in the order in which CloudTrail writes them.
    Raises ValueError for an unknown identity or field and for a missing source or name.
    """
    unknown = set(event) - set(FIELDS) - {"identity"}
    if unknown:
        raise ValueError(f"not a field of a CloudTrail record: {', '.join(sorted(unknown))}")
    source, name = event.get("eventSource"), event.get("eventName")
    if not isinstance(source, str) or not isinstance(name, str):
        raise ValueError("an event needs eventSource and eventName")
    identity_name = event.get("identity", "assumed_role")
    identity = IDENTITIES.get(identity_name) if isinstance(identity_name, str) else None
    if identity is None:
        raise ValueError(f"unknown identity {identity_name!r}; known: {', '.join(sorted(IDENTITIES))}")

    burst, place = divmod(number, BURST)
    time = FIRST_TIME + timedelta(hours=7 * (burst % LAST_BURST), seconds=5 * place)
    # The two halves of a burst lie in two regions, and every account comes to see all of them.
    region = event.get("awsRegion") or (
        "us-east-1" if source in GLOBAL_SOURCES else REGIONS[number // (BURST // 2) % len(REGIONS)]
    )
    seed = f"{number} {json.dumps(event, sort_keys=True)}"
    sign_in = source == "signin.amazonaws.com"
    defaults: JsonObject = {
        "eventVersion": "1.08" if sign_in else "1.11",
        "userIdentity": identity.user,
        "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "awsRegion": region,
        "sourceIPAddress": identity.addresses[number % len(identity.addresses)],
        "userAgent": identity.agents[number % len(identity.agents)],
        "requestParameters": None,
        "responseElements": None,
        "requestID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"request {seed}")),
        "eventID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"event {seed}")),
        "readOnly": bool(READING.match(name)),
        "eventType": "AwsConsoleSignIn" if sign_in else "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "<account>",
        "eventCategory": "Management",
    }
    if sign_in:
        del defaults["requestID"]
    if source in API_VERSIONS:
        defaults["apiVersion"] = API_VERSIONS[source]
    if "invokedBy" not in identity.user:
        defaults["tlsDetails"] = {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": HOSTS.get(source, source.replace(".amazonaws", ".<region>.amazonaws")),
        }
    if identity.console and not sign_in:
        defaults["sessionCredentialFromConsole"] = "true"

    merged: JsonObject = defaults | {key: value for key, value in event.items() if key != "identity"}
    account = burst % len(ACCOUNTS)
    expiry = time + timedelta(hours=1)
    words = {
        "account": ACCOUNTS[account],
        "other account": ACCOUNTS[(account + 1) % len(ACCOUNTS)],
        "region": str(region),
        "n": str(number),
        "time": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "hour": f"{time:%Y-%m-%dT%H:00:00Z}",
        "expiry": f"{expiry:%b} {expiry.day}, {expiry.year}, {expiry:%I:%M:%S %p}".replace(", 0", ", "),
        "command": f"{source.split('.')[0]}.{_kebab(name)}",
    }
    return {field: _fill(merged[field], words) for field in FIELDS if field in merged}


def cases(first: int = 0) -> list[Case]:
    """The test events of every rule, in the order of the files.

    Their numbers are `first`, `first` + 2, ... in an order that mixes the rules and does not change from run to run;
    the numbers between are free for other records.
    Raises ValueError with file and reason for a file that is not as cases/README.md says.
    """
    found = [entry for path in sorted(CASES.glob("*.yml")) for entry in _read(path)]
    mixed = sorted(found, key=lambda entry: hashlib.sha256(f"{entry.rule}/{entry.name}".encode()).digest())
    numbers = {(entry.rule, entry.name): first + 2 * rank for rank, entry in enumerate(mixed)}
    return [entry.case(numbers[entry.rule, entry.name]) for entry in found]


class _Entry(NamedTuple):
    where: str
    rule: str
    name: str
    expected: bool
    published: bool
    event: JsonObject

    def case(self, number: int) -> Case:
        try:
            full = record(self.event, number=number)
        except ValueError as error:
            raise ValueError(f"{self.where}, {self.name!r}: {error}") from None
        return Case(self.rule, self.name, self.expected, self.published, full)


def _read(path: Path) -> list[_Entry]:
    # YAML is what it is: the checks below are what gives it a type.
    data: Any = read_yaml(path)
    if not isinstance(data, dict) or not isinstance(data.get("rule"), str):
        raise ValueError(f"{path.name}: needs a key rule with the title of the rule")
    unknown = set(data) - {"rule", "hits", "misses", "published_hits"}
    if unknown:
        raise ValueError(f"{path.name}: unknown key {', '.join(sorted(map(str, unknown)))}")
    named: list[tuple[str, bool, JsonObject]] = []
    for key in ("hits", "misses"):
        for item in data.get(key) or []:
            if not isinstance(item, dict) or set(item) != {"name", "event"} or not isinstance(item["event"], dict):
                raise ValueError(f"{path.name}: every entry of {key} needs name and event, and nothing else: {item!r}")
            named.append((str(item["name"]), key == "hits", item["event"]))
    names = [name for name, _, _ in named]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path.name}: names used twice: {', '.join(twice)}")
    published = data.get("published_hits", [name for name, expected, _ in named if expected])
    if not isinstance(published, list) or not set(published) <= set(names):
        raise ValueError(f"{path.name}: published_hits must list names of hits and misses of the same file")
    return [
        _Entry(path.name, data["rule"], name, expected, name in published, event) for name, expected, event in named
    ]


def _kebab(name: str) -> str:
    """An operation as the AWS command line names it."""
    plain = re.sub(r"\d{4}_?\d{2}_?\d{2}(v\d+)?$", "", name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", plain).lower()


def _fill(value: Json, words: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        return re.sub("<([a-z ]+)>", lambda match: words.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [_fill(item, words) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, words) for key, item in value.items()}
    return value
