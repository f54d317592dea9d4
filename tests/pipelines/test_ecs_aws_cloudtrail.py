"""CloudTrail rules on documents as Elastic's AWS integration makes them."""

import copy
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opensearchpy import OpenSearch
from sigma.backends.elasticsearch.elasticsearch_esql import ESQLBackend
from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.collection import SigmaCollection
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import UnsupportedConditionError, UnsupportedRuleError
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.ecs_aws_cloudtrail import stellar_aws_ecs
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.reference.ecs_fields import ecs_field
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.rule_files.load import filters_path, load_rules
from sigma_stellar_aws.store.client import connect
from tests.pipelines.test_stellar_aws import applied, collection, convert, rule
from tests.support.ecs_store import CLOUDTRAIL, KEPT_USER, at, ecs_mappings, ingested, traps
from tests.support.records import cases, record
from tests.support.yaml_files import read_yaml

FOLDER = Path(__file__).parents[1] / "cases" / "cloudtrail"


class Example(NamedTuple):
    """A rule, and its own events with whether it must match them."""

    rule: SigmaRule
    events: dict[str, bool]


@cache
def events() -> dict[str, JsonObject]:
    """All records by their ids."""
    written = [each for file in _written() for each, _ in _records(file)]
    originals = [*(case.record for case in cases()), *written, *traps()]
    return {str(original["eventID"]): original for original in originals}


def pack() -> list[Example]:
    """The 29 rules."""
    own: dict[str, dict[str, bool]] = {}
    for case in cases():
        own.setdefault(case.rule, {})[str(case.record["eventID"])] = case.expected
    return [Example(each, own[each.title]) for each in load_rules().rules if isinstance(each, SigmaRule)]


def written() -> list[Example]:
    """The fifty rules of cases/cloudtrail."""
    return [
        Example(
            SigmaRule.from_dict(file["rule"]),
            {str(original["eventID"]): expected for original, expected in _records(file)},
        )
        for file in _written()
    ]


@cache
def _written() -> list[dict[str, Any]]:
    return [read_yaml(file) for file in sorted(FOLDER.glob("*.yml"))]


def _records(file: dict[str, Any]) -> list[tuple[JsonObject, bool]]:
    named = [(item["event"], key == "hits") for key in ("hits", "misses") for item in file[key]]
    first = int(file["rule"]["id"][:6], 16)
    records = [(record(event, number=first + number), expected) for number, (event, expected) in enumerate(named)]
    # CloudTrail writes TLSv1.1. This one is about case; the integration would take in nothing of such an event.
    return [(each, expected) for each, expected in records if at(each, "tlsDetails.tlsVersion") != "TLSV1.1"]


class Elastic(NamedTuple):
    """An index as the integration fills it."""

    client: OpenSearch
    name: str
    """Of the index."""

    def hits(self, queries: Iterable[Clause]) -> list[set[str]]:
        """The events that each query finds."""
        found: list[set[str]] = []
        waiting = list(queries)
        for start in range(0, len(waiting), 100):
            lines: list[Any] = []
            for query in waiting[start : start + 100]:
                lines += [{"index": self.name}, {**dsl.search(query), "size": 1000, "_source": False}]
            for answer in self.client.msearch(body=lines)["responses"]:
                assert "error" not in answer, answer
                found.append({hit["_id"] for hit in answer["hits"]["hits"]})
        return found


def meant(original: SigmaRule) -> set[str]:
    """The events of all that a rule matches in CloudTrail's own records, by its query on flattened ones."""
    [body] = StellarAwsBackend(stellar_aws()).convert(SigmaCollection([copy.deepcopy(original)]))
    matches = compile_query(body["query"])
    return {event for event, document in flattened().items() if matches(document)}


@cache
def flattened() -> dict[str, Document]:
    """All records as the platform's documents."""
    return {event: flatten(original) for event, original in events().items()}


def asked(original: SigmaRule) -> Clause:
    """The query of a rule for the integration's documents."""
    [body] = StellarAwsBackend(stellar_aws_ecs()).convert(SigmaCollection([copy.deepcopy(original)]))
    query: Clause = body["query"]
    return query


@pytest.fixture(scope="module", params=[False, True], ids=["older integration", "newer integration"])
def elastic(request: pytest.FixtureRequest, elasticsearch_url: str) -> Iterator[Elastic]:
    """All test events in an index of the integration."""
    client = connect(elasticsearch_url, None, {})
    index = f"ecs-cloudtrail-{'newer' if request.param else 'older'}"
    client.indices.create(index=index, body={"mappings": ecs_mappings()})
    try:
        lines = [
            line
            for event, original in events().items()
            for line in ({"index": {"_index": index, "_id": event}}, ingested(original, newer=request.param))
        ]
        answer = client.bulk(body=lines, params={"refresh": "true"})
        assert not answer["errors"], answer
        yield Elastic(client, index)
    finally:
        client.indices.delete(index=index)


REFUSED = {
    # title: the field and a part of the reason
    "AWS ECS Backdoor Task Definition": ("requestParameters.containerDefinitions.command", "flattened"),
    "AWS CloudTrail Management Events Excluded": (
        "requestParameters.eventSelectors.excludeManagementEventSources",
        "flattened",
    ),
    "AWS CodeBuild Build with Encoded PowerShell": ("requestParameters.buildspecOverride", "flattened"),
    "AWS Console Login Failed for Unknown User": ("userIdentity.userName", "role names of sessions"),
    "AWS EC2 Administration Port Opened to the World": ("requestParameters.ipPermissions.items.fromPort", "flattened"),
    "AWS EC2 Classification Tag Emptied": ("requestParameters.tagSet.items.value", "drops empty texts"),
    "AWS EC2 Instance Metadata Protection Weakened": (
        "requestParameters.ModifyInstanceMetadataOptionsRequest.HttpPutResponseHopLimit",
        "flattened",
    ),
    "AWS EC2 Many Accelerated Instances Started": ("requestParameters.instanceType", "flattened"),
    "AWS ECR Repository Policy for Everyone": ("requestParameters.policyText", "flattened"),
    "AWS ECS Task Definition with an Encoded Download": ("requestParameters.containerDefinitions.command", "flattened"),
    "AWS GuardDuty Trusted IP List Activated": ("requestParameters.location", "flattened"),
    "AWS Console Login with a Single Factor": ("additionalEventData.SamlProviderArn", "drops empty texts"),
    "AWS EC2 Snapshot Shared with a Stranger": (
        "requestParameters.createVolumePermission.add.items.userId",
        "drops empty texts",
    ),
    "AWS Lambda Function Permission for Everyone": ("requestParameters.principalOrgID", "drops empty texts"),
    "AWS S3 Object Encrypted with a Customer-Provided Key": (
        "requestParameters.x-amz-server-side-encryption-customer-algorithm",
        "drops empty texts",
    ),
    "AWS IAM Access Key Created for Another User": ("requestParameters.userName", "drops empty texts"),
    "AWS IAM Administrator Policy Attached": ("requestParameters.policyArn", "flattened"),
    "AWS IAM Inline Policy to Run Lambda Functions with Any Role": ("requestParameters.policyDocument", "flattened"),
    "AWS IAM MFA Device Deactivated": ("requestParameters.serialNumber", "flattened"),
    "AWS IAM Password of Another User Changed": ("userIdentity.arn", "cannot be compared"),
    "AWS IAM Password Policy Weakened": ("requestParameters.minimumPasswordLength", "flattened"),
    "AWS IAM Default Policy Version Allows All Actions": ("requestParameters.policyDocument", "flattened"),
    "AWS IAM Role Trusts Every AWS Account": ("requestParameters.policyDocument", "flattened"),
    "AWS KMS Key Policy That Locks the Account Out": ("requestParameters.policy", "flattened"),
    "AWS Root Password Changed Outside a Session": ("userIdentity.accessKeyId", "drops empty texts"),
    "AWS S3 ACL Opened to Everyone": (
        "requestParameters.AccessControlPolicy.AccessControlList.Grant.Grantee.URI",
        "flattened",
    ),
    "AWS S3 Large Object Read from Outside a VPC": ("additionalEventData.bytesTransferredOut", "flattened"),
    "AWS S3 Lifecycle Rule Deletes Objects Within Days": (
        "requestParameters.LifecycleConfiguration.Rule.Expiration.Days",
        "flattened",
    ),
    "AWS Secrets Manager Bulk Read": ("requestParameters.maxResults", "flattened"),
    "AWS SSM Port Forwarding to a Remote Host": ("requestParameters.parameters.portNumber", "flattened"),
    "AWS STS AssumeRole with a Default Session Name": ("requestParameters.roleSessionName", "flattened"),
    "AWS STS Long-Lived Federation Token without a Policy": ("requestParameters.durationSeconds", "flattened"),
    "AWS STS Role Chaining to an Administrator Role": ("requestParameters.roleArn", "flattened"),
    "AWS VPC Endpoint Policy Denied a Call": ("vpcEndpointAccountId", "drops it"),
}


@pytest.mark.parametrize(("examples", "exact"), [(pack, 28), (written, 17)], ids=["the pack", "fifty others"])
def test_every_rule_finds_exactly_its_events_or_is_refused(
    elastic: Elastic, examples: Callable[[], list[Example]], exact: int
) -> None:
    """A rule finds what it matches in CloudTrail's records, its own events among them, or is refused with a reason."""
    queries: list[tuple[Example, Clause]] = []
    for example in examples():
        if refused := REFUSED.get(example.rule.title):
            with pytest.raises(UnsupportedConditionError) as caught:
                asked(example.rule)
            assert all(part in str(caught.value) for part in (example.rule.title, *refused)), caught.value
        else:
            queries.append((example, asked(example.rule)))
    for (example, _), hits in zip(queries, elastic.hits(query for _, query in queries), strict=True):
        assert hits == meant(example.rule), example.rule.title
        assert {event: event in hits for event in example.events} == example.events, example.rule.title
    assert len(queries) == exact


@pytest.mark.parametrize("file", sorted(filters_path().glob("*.yml")), ids=lambda file: file.stem)
def test_filters_drop_the_same_events(elastic: Elastic, file: Path) -> None:
    """Rules with a filter of the pack find what they match in CloudTrail's records."""
    loaded = [each for each in load_rules(filters=[file]).rules if isinstance(each, SigmaRule)]
    rules = [each for each in loaded if each.title not in REFUSED]
    for each, hits in zip(rules, elastic.hits(map(asked, rules)), strict=True):
        assert hits == meant(each), each.title


def test_any_condition_on_any_field_is_exact_or_refused(elastic: Elastic) -> None:
    """Whatever is asked of whatever field of the events: the same events as in CloudTrail's records, or a refusal."""
    accepted, refused = _asked_and_meant()
    for (selection, _, expected), hits in zip(accepted, elastic.hits(query for _, query, _ in accepted), strict=True):
        assert hits == expected, selection
    assert len(accepted) > 500
    assert refused > 500


@cache
def _asked_and_meant() -> tuple[list[tuple[dict[str, Any], Clause, set[str]]], int]:
    """Conditions that are not refused, their queries and the events that they mean; and how many are refused."""
    accepted: list[tuple[dict[str, Any], Clause, set[str]]] = []
    conditions = [*_conditions()]
    for selection in conditions:
        some = SigmaRule.from_dict(rule(selection))
        with suppress(UnsupportedConditionError):
            accepted.append((selection, asked(some), meant(some)))
    return accepted, len(conditions) - len(accepted)


def _conditions() -> Iterator[dict[str, Any]]:
    """Conditions of every kind on every field that the events have, with values of theirs, and some of other fields."""
    values: dict[str, set[Any]] = {}
    for original in (*traps(), *[*events().values()][::5]):
        for path, value in _leaves("", original):
            values.setdefault(path, set()).add(value)
    # Of fields inside objects, a part stands for all.
    inside = [field for field in values if field not in FIELDS]
    for field in (*(field for field in values if field in FIELDS), "requestParameters.userName", *inside[::60]):
        found = values[field]
        for value in sorted(found, key=str)[:: max(1, len(found) // 3)]:
            text, middle = str(value), str(value)[1:-1] or "x"
            yield from ({field: value}, {field: text.swapcase()}, {f"{field}|cased": text}, {f"{field}|neq": text})
            yield from ({f"{field}|startswith": text[:7]}, {f"{field}|startswith|cased": text[:7].lower()})
            yield from (
                {f"{field}|endswith": text[-7:]},
                {f"{field}|contains": middle},
                {f"{field}|re": f"^{re.escape(text[:1])}"},
            )
        yield from ({field: None}, {f"{field}|exists": True}, {f"{field}|exists": False}, {field: "*"}, {field: ""})
        yield from ({field: [*map(str, found)][:5]}, {f"{field}|lt": 23}, {f"{field}|re": ".*"}, {f"{field}|re": ".+"})
    yield from ({"tlsDetails.tlsVersion|startswith": "tlsv1."}, {"tlsDetails.tlsVersion": "SSLv3"})
    yield from ({"sourceIPAddress|cidr": "198.51.100.0/24"}, {"userIdentity.principalId|contains": ":"})
    yield from ({"requestParameters.username": "deploy"}, {"requestParameters.userName|startswith": "dep"})


def _leaves(path: str, value: Json) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(path, inner)
    elif value is not None and len(str(value)) < 300:
        yield path, value


def test_stock_lucene_text_finds_the_same(elastic: Elastic) -> None:
    """The text of the stock backend, with this pipeline, finds the events too, which are written in the rules' case."""
    examples = [example for example in pack() if example.rule.title not in REFUSED]
    texts = [LuceneBackend(stellar_aws_ecs()).convert(SigmaCollection([each.rule]))[0] for each in examples]
    found = elastic.hits({"query_string": {"query": text}} for text in texts)
    for example, hits in zip(examples, found, strict=True):
        assert {event: event in hits for event in example.events} == example.events, example.rule.title


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ({"userIdentity.sessionContext.sourceIdentity": "alice"}, "drops it"),
        ({"sharedEventID": "a"}, "drops it"),
        ({"sessionCredentialFromConsole": "true"}, "newer versions"),
        ({"userIdentity.userName": "alice"}, "user.name, also holds the role names"),
        ({"userIdentity.sessionContext.sessionIssuer.userName": "Deploy"}, "user.name, also holds"),
        ({"userIdentity.accountId": "123456789012"}, "recipientAccountId"),
        ({"userIdentity.onBehalfOf.userId": "93a4"}, "user.id"),
        ({"userIdentity.principalId": "123456789012"}, "id of an Identity Center user"),
        ({"userIdentity.principalId|exists": True}, "id of an Identity Center user"),
        ({"userIdentity.principalId|re": "A.*:"}, "id of an Identity Center user"),
        ({"userIdentity.accessKeyId": None}, "empty text for some callers"),
        ({"userIdentity.accessKeyId": ""}, "drops empty texts"),
        ({"errorCode|re": "^(x|)$"}, "drops empty texts"),
        ({"requestParameters.a": "*"}, "drops empty texts"),
        ({"requestParameters.a": None}, "ask |re: '.+'"),
        ({"requestParameters.a|exists": False}, "ask |re: '.+'"),
        ({"eventTime|startswith": "2026"}, "date"),
        ({"userIdentity.sessionContext.attributes.creationDate|exists": True}, "date"),
        ({"readOnly": "yes"}, "boolean"),
        ({"readOnly|cased": "True"}, "boolean"),
        ({"readOnly|startswith": "t"}, "boolean"),
        ({"tlsDetails.tlsVersion|contains": "1.0"}, "split"),
        ({"tlsDetails.tlsVersion": "TLSv*"}, "split"),
        ({"tlsDetails.tlsVersion|cased": "TLSv1"}, "split"),
        ({"resources.ARN|contains": "bucket"}, "1024"),
        ({"resources.ARN|exists": True}, "1024"),
        ({"resources.ARNPrefix": "arn:aws:s3:::bucket"}, "drops it"),
        ({"requestParameters.a|contains": "x"}, "only whole values and their beginnings"),
        ({"requestParameters.a": "x?"}, "only whole values and their beginnings"),
        ({"requestParameters.a|re": "x"}, "only whole values and their beginnings"),
        ({"requestParameters.a|gt": 5}, "only whole values and their beginnings"),
        ({"requestParameters.a|cidr": "10.0.0.0/8"}, "only whole values and their beginnings"),
        ({"requestParameters.a|windash|contains": " -enc "}, "only whole values and their beginnings"),
        ({"responseElements.a": "Ö"}, "beyond ASCII"),
        ({"additionalEventData.UserName": "alice"}, "user.name"),
        ({"requestParameters": "x"}, "name the field inside it"),
        ({"requestParameters": None}, "name the field inside it"),
        ({"eventSource|fieldref": "userIdentity.invokedBy"}, "two fields"),
        ({"eventNmae": "x"}, "did you mean eventName?"),
        ({"event.action": "x"}, "no such field"),
        (["DeleteTrail"], "name the field"),
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", [StellarAwsBackend, LuceneBackend])
def test_what_the_integration_loses_is_refused(selection: Any, reason: str, backend: Any) -> None:
    """For any backend the error names the rule, the field, and what the integration does to it."""
    with pytest.raises(UnsupportedConditionError, match=re.escape(reason)) as caught:
        convert(stellar_aws_ecs(), rule(selection), backend=backend)
    assert "Some Rule" in str(caught.value)
    if isinstance(selection, dict):
        assert repr(next(iter(selection)).split("|")[0]) in str(caught.value)


def test_other_log_sources_are_refused() -> None:
    """The pipeline is for CloudTrail."""
    with pytest.raises(UnsupportedRuleError, match="windows; the pipelines of this project are for product: aws"):
        convert(stellar_aws_ecs(), rule({"eventName": "x"}, logsource={"product": "windows"}))


def test_queries_are_those_of_the_types() -> None:
    """A boolean, a version of TLS, and a field of an object are asked as they are kept, negated ones too."""
    folded = {"case_insensitive": True}
    name = "aws.cloudtrail.flattened.request_parameters.a"
    text: Clause = {"term": {name: {"value": "x", **folded}}}
    exists, layers = dsl.exists(name), dsl.exists("aws.cloudtrail.flattened.request_parameters.layers")
    expected: list[tuple[dict[str, Any], Clause]] = [
        ({"readOnly": "TRUE"}, {"term": {"aws.cloudtrail.read_only": {"value": True}}}),
        ({"managementEvent": False}, {"term": {"aws.cloudtrail.management_event": {"value": False}}}),
        (
            {"tlsDetails.tlsVersion": ["TLSv1", "tlsv1.1"]},
            dsl.all_of(
                [dsl.terms("tls.version", ["1", "1.1"]), {"term": {"tls.version_protocol": {"value": "tls", **folded}}}]
            ),
        ),
        ({"tlsDetails.tlsVersion": None}, dsl.none_of(dsl.exists("tls.version"))),
        ({"requestParameters.a": "x"}, dsl.all_of([text, exists])),
        ({"requestParameters.a|neq": "x"}, dsl.any_of([dsl.none_of(text), dsl.none_of(exists)])),
        ({"requestParameters.a|cased": "x"}, {"term": {name: {"value": "x"}}}),
        ({"requestParameters.a": 5}, dsl.terms(name, [5, "5.0"])),
        ({"requestParameters.a": False}, {"term": {name: {"value": False}}}),
        ({"requestParameters.a|re": ".+"}, exists),
        ({"requestParameters.a|re|neq": ".+"}, dsl.none_of(exists)),
        ({"requestParameters.layers": "*"}, layers),
        ({"requestParameters.layers": None}, dsl.none_of(layers)),
    ]
    for selection, query in expected:
        [body] = convert(stellar_aws_ecs(), rule(selection))
        assert dsl.unnamed(body["query"]) == query, selection


@pytest.mark.parametrize("field", [name for name, known in FIELDS.items() if "object" not in known.kind])
def test_every_field_of_cloudtrail_has_a_place_or_a_reason(field: str) -> None:
    """There is no field for which the table has neither, and no two fields share a place."""
    kept = ecs_field(field)
    assert bool(kept.field) == (kept.asked != "nothing")
    assert kept.why or kept.asked == "anything"
    assert [other for other in FIELDS if kept.field and ecs_field(other).field == kept.field] in ([], [field])


def test_index_and_time_field_are_those_of_the_integration() -> None:
    """They are in the state, for any backend, and another namespace can be named."""
    made = stellar_aws_ecs()
    applied(made, rule({"eventName": "x"}))
    assert (made.state["index"], made.state["time_field"]) == (["logs-aws.cloudtrail-*"], "@timestamp")
    assert made.state["timestamp_override"] == "event.ingested"
    other = stellar_aws_ecs("logs-aws.cloudtrail-prod", "event.created")
    applied(other, rule({"eventName": "x"}))
    assert (other.state["index"], other.state["time_field"]) == (["logs-aws.cloudtrail-prod"], "event.created")
    [text] = convert(stellar_aws_ecs(), rule({"eventName": "x"}), backend=ESQLBackend)
    assert "from logs-aws.cloudtrail-*" in text


def test_fields_to_show_are_named_as_they_are_there() -> None:
    """Names in `fields` become those of the integration; a field that it does not keep is left out."""
    names = ["recipientAccountId", "userIdentity.arn", "sourceIPAddress", "requestParameters.a.b"]
    names += ["sharedEventID", "userIdentity.userName", "userIdentity", "tls.version"]
    assert applied(stellar_aws_ecs(), rule({"eventName": "x"}, fields=names)).fields == [
        "aws.cloudtrail.recipient_account_id",
        "aws.cloudtrail.user_identity.arn",
        "source.address",
        "aws.cloudtrail.flattened.request_parameters.a.b",
        "tls.version",
    ]


def test_correlations_group_by_what_is_there() -> None:
    """A correlation by a field that the integration keeps is converted, and one by another field is refused."""

    def correlated(field: str) -> list[Any]:
        base = rule({"eventName": "x"}, name="base")
        correlation = {
            "title": "Many",
            "correlation": {
                "type": "event_count",
                "rules": ["base"],
                "group-by": [field],
                "timespan": "1h",
                "condition": {"gte": 5},
            },
        }
        return list(ESQLBackend(stellar_aws_ecs()).convert(collection(base, correlation)))

    assert "by timebucket, aws.cloudtrail.user_identity.arn" in correlated("userIdentity.arn")[0]
    with pytest.raises(UnsupportedRuleError, match=r"'Many'.*'userIdentity\.userName'"):
        correlated("userIdentity.userName")


def test_filters_are_renamed_once_for_each_rule() -> None:
    """pySigma puts the same conditions of a filter into every rule; 28 of the 29 are exact with both filters, too."""
    filters = sorted(filters_path().glob("*.yml"))
    assert len(filters) == 2
    backend = StellarAwsBackend(stellar_aws_ecs(), collect_errors=True)
    found = backend.convert(load_rules(filters=filters))
    assert (len(found), len(backend.errors)) == (28, 1)
    assert all(f"{CLOUDTRAIL}.error_code" in str(body) and f"{KEPT_USER}.type" in str(body) for body in found)
    shared = load_rules()
    shared.apply_filters([SigmaFilter.from_yaml(file.read_text("utf-8")) for file in filters])
    assert len(StellarAwsBackend(stellar_aws_ecs(), collect_errors=True).convert(shared)) == 28
