"""Which event names CloudTrail records under which eventSource, from a table that ships with this project.

The table is made from the service models of the AWS SDK and a sourced list of what they lack (data/README.md). AWS adds
names every week, and console and service events are documented in part only: a name that is not here may still exist.
Sources are compared without regard to case, names with it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from sigma_stellar_aws.base.text import nearest

IDENTITY_TYPES = frozenset(
    {
        "AWSAccount",
        "AWSService",
        "AssumedRole",
        "Directory",
        "FederatedUser",
        "IAMUser",
        "IdentityCenterUser",
        "Role",
        "Root",
        "SAMLUser",
        "Unknown",
        "WebIdentityUser",
    }
)
"""Values of userIdentity.type, from the CloudTrail user guide. None of them is an event name."""

IAM_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "AccessKubernetesApi": "",
        "BypassGovernanceRetention": "",
        "ConditionCheckItem": "TransactWriteItems",
        "DeleteObjectVersion": "DeleteObject",
        "DeleteObjectVersionTagging": "DeleteObjectTagging",
        "GetObjectVersion": "GetObject",
        "GetObjectVersionAcl": "GetObjectAcl",
        "GetObjectVersionTagging": "GetObjectTagging",
        "InvokeFunction": "Invoke",
        "ListAllMyBuckets": "ListBuckets",
        "ListBucket": "ListObjects",
        "ListBucketMultipartUploads": "ListMultipartUploads",
        "ListBucketVersions": "ListObjectVersions",
        "ListMultipartUploadParts": "ListParts",
        "ObjectOwnerOverrideToBucketOwner": "",
        "PartiQLDelete": "ExecuteStatement",
        "PartiQLInsert": "ExecuteStatement",
        "PartiQLSelect": "ExecuteStatement",
        "PartiQLUpdate": "ExecuteStatement",
        "PassRole": "",
        "PutObjectVersionAcl": "PutObjectAcl",
        "PutObjectVersionTagging": "PutObjectTagging",
        "ReEncryptFrom": "ReEncrypt",
        "ReEncryptTo": "ReEncrypt",
        "ReplicateDelete": "",
        "ReplicateObject": "",
        "ReplicateTags": "",
        "SetSourceIdentity": "AssumeRole",
        "TagSession": "AssumeRole",
    }
)
"""Actions of IAM policies that no service has as an operation, and the event that CloudTrail records in place of each.

Empty where the action shows only as a part of other requests. From the AWS service authorization reference.
"""

MISNAMED_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "cloudwatch": "monitoring",
        "cloudwatch-logs": "logs",
        "cloudwatchlogs": "logs",
        "efs": "elasticfilesystem",
        "elasticsearch": "es",
        "elb": "elasticloadbalancing",
        "elbv2": "elasticloadbalancing",
        "email": "ses",
        "emr": "elasticmapreduce",
        "eventbridge": "events",
        "identitycenter": "sso",
        "msk": "kafka",
        "opensearch": "es",
        "s3control": "s3",
        "sesv2": "ses",
        "sso-admin": "sso",
        "stepfunctions": "states",
    }
)
"""What people write for an eventSource whose name is another, both without ".amazonaws.com"."""

COMMON_SOURCES = frozenset(
    f"{service}.amazonaws.com"
    for service in (
        *("acm", "apigateway", "athena", "autoscaling", "bedrock", "cloudformation", "cloudfront", "cloudtrail"),
        *("codebuild", "cognito-idp", "config", "dynamodb", "ec2", "ecr", "ecs", "eks", "elasticache"),
        *("elasticfilesystem", "elasticloadbalancing", "elasticmapreduce", "es", "events", "glue", "guardduty", "iam"),
        *("inspector2", "kms", "lambda", "logs", "monitoring", "organizations", "rds", "redshift", "route53", "s3"),
        *("sagemaker", "secretsmanager", "securityhub", "ses", "signin", "sns", "sqs", "ssm", "sso", "states", "sts"),
        *("waf", "waf-regional", "wafv2"),
    )
)
"""The sources that rules are mostly about, for hints: many names exist under sources that hardly anybody uses."""

DOMAIN = ".amazonaws.com"
"""How every eventSource ends, in all partitions of AWS."""

ALWAYS_VERSIONED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "lambda.amazonaws.com": {
            **{
                name: f"{name}20150331v2"
                for name in (
                    *("AddPermission", "GetFunction", "GetFunctionConfiguration", "GetPolicy", "RemovePermission"),
                    *("UpdateFunctionCode", "UpdateFunctionConfiguration"),
                )
            },
            **{
                name: f"{name}20150331"
                for name in (
                    *("CreateEventSourceMapping", "CreateFunction", "DeleteEventSourceMapping", "DeleteFunction"),
                    *("GetEventSourceMapping", "ListEventSourceMappings", "ListFunctions", "UpdateEventSourceMapping"),
                )
            },
        }
    }
)
"""By source: names that CloudTrail writes with the version of their API only, and an example of each.

The operations of Lambda's API of 2015 that the Lambda developer guide lists under "Logging Lambda API calls with
CloudTrail". Its examples without a version are older than that API; endings as in records and in public rules.
"""

_DATED = re.compile(r"(?P<name>.*?)(?P<date>\d{4}_\d\d_\d\d|\d{8})(?P<revision>v\d+)?", re.DOTALL)


class Table(msgspec.Struct, frozen=True):
    """data/aws_events.json. Names are joined by blanks."""

    botocore: str
    """The version of botocore whose models were read."""
    sources: dict[str, str]
    """Event names, by eventSource in small letters."""
    dates: dict[str, str]
    """Versions of an API that event names of this source may end with, as in CreateFunction20150331."""
    instead: dict[str, dict[str, str]]
    """By source: names that people expect there, and what is recorded."""


@cache
def table() -> Table:
    """Return the table that ships with this project."""
    return msgspec.json.decode((Path(__file__).parent / "data" / "aws_events.json").read_bytes(), type=Table)


@cache
def sources() -> frozenset[str]:
    """Return every known eventSource, such as "iam.amazonaws.com", in lower case."""
    return frozenset(table().sources)


@cache
def names(source: str) -> frozenset[str]:
    """Return the event names known for a source, without versions of the API; empty for an unknown source."""
    return frozenset(table().sources.get(source.lower(), "").split())


@cache
def all_names() -> frozenset[str]:
    """Return the event names known for any source, without versions of the API."""
    return frozenset(_sources_by_name())


@cache
def spellings(source: str) -> frozenset[str]:
    """Return the names of a source, without and with every version of the API that records may have."""
    endings = ["", *_dates(source)]
    # Lambda is the one service that counts revisions of a version; v2 is the only one in records.
    endings += [f"{date}v2" for date in _dates(source) if "_" not in date]
    return frozenset(name + ending for name in names(source) for ending in endings)


def known(source: str, name: str) -> bool:
    """Tell whether a source records such events, with a version (UpdateFunctionCode20150331v2) or without."""
    return name in names(source) or undated(source, name) in names(source)


def sources_of(name: str) -> list[str]:
    """Return the sources that have a name, sorted; a version of the API at its end may be there or not."""
    dated = [source for source in table().dates if known(source, name)]
    return sorted({*_sources_by_name().get(name, ()), *dated})


def canonical_event_name(name: str, source: str | None = None) -> str | None:
    """Return the known spelling of a name whatever its case, preferably that of this source.

    That is the name itself if it is known there, and None if there is none. A version of the API at its end stays.
    """
    for where in dict.fromkeys([source, None]):
        by_lower_case = _by_lower_case(where)
        undated, version = _split(name)
        for spelling in (name, by_lower_case.get(name.lower()), by_lower_case.get(undated.lower(), "") + version):
            if spelling and (known(where, spelling) if where is not None else sources_of(spelling)):
                return spelling
    return None


def instead(source: str, name: str) -> str | None:
    """Return what CloudTrail records in place of a name that it never records here: one name, or two with "or".

    Empty if no event of its own stands for it, None if nothing is known of the name. Such names come from IAM policies,
    or from the SDK where S3 has names of its own.
    """
    return table().instead.get(source.lower(), {}).get(name, IAM_ACTIONS.get(name))


def nearest_source(source: str) -> str | None:
    """Return the known eventSource that somebody probably meant, or None if nothing is close."""
    word = source.lower().removesuffix(DOMAIN)
    prefixes = {known_source.removesuffix(DOMAIN) for known_source in sources()}
    found = MISNAMED_SOURCES.get(word) or nearest(word.partition(".amazon")[0], prefixes)
    return found and found + DOMAIN


def common(found: Iterable[str]) -> list[str]:
    """Return those of some sources that most rules are about, or all of them if there are none; sorted."""
    every = sorted(found)
    return [source for source in every if source in COMMON_SOURCES] or every


@cache
def _sources_by_name() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for source, joined in table().sources.items():
        for name in joined.split():
            found[name].append(source)
    return dict(found)


@cache
def _by_lower_case(source: str | None) -> dict[str, str]:
    # Backwards, so that of two spellings the first of the alphabet stays: it has the capital letters.
    known_names = all_names() if source is None else names(source)
    return {name.lower(): name for name in sorted(known_names, reverse=True)}


@cache
def _dates(source: str) -> tuple[str, ...]:
    return tuple(table().dates.get(source.lower(), "").split())


def _split(name: str) -> tuple[str, str]:
    """Split a name from the version of the API at its end, which is empty if there is none."""
    dated = _DATED.fullmatch(name)
    return (dated["name"], name[dated.end("name") :]) if dated else (name, "")


def undated(source: str, name: str) -> str:
    """Return a name without the version of the API at its end, if records of a source have one."""
    undated, version = _split(name)
    return undated if version.partition("v")[0] in _dates(source) else name
