"""CloudTrail rules through the pipelines."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.backends.elasticsearch.elasticsearch_eql import EqlBackend
from sigma.backends.elasticsearch.elasticsearch_esql import ESQLBackend
from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.processing.resolver import ProcessingPipelineResolver
from sigma.rule import SigmaDetectionItem, SigmaRule
from sigma.types import SigmaFieldReference

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import RuleBlockError, UnsupportedConditionError, UnsupportedRuleError
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.pipelines.transformations import OBJECTS
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import fields
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.stellar_block import published_detection

Pipeline = Callable[..., ProcessingPipeline]
PIPELINES = pytest.mark.parametrize("pipeline", [stellar_aws, stellar_aws_published])
ID = "6d0b1f5e-57a6-4f0e-9a3b-0d2a1c7e9b42"
CLOUDTRAIL = {"product": "aws", "service": "cloudtrail"}


def rule(detection: Any, **attributes: Any) -> dict[str, Any]:
    """A CloudTrail rule of a detection; a detection without a condition is one selection."""
    if "condition" not in detection:
        detection = {"selection": detection, "condition": "selection"}
    return {"title": "Some Rule", "id": ID, "logsource": CLOUDTRAIL, "detection": detection, **attributes}


def collection(*documents: dict[str, Any]) -> SigmaCollection:
    """Rules and filters, which are changed by what is done to them."""
    return SigmaCollection.from_dicts(copy.deepcopy([*documents]))


def convert(pipeline: ProcessingPipeline, *documents: dict[str, Any], backend: Any = StellarAwsBackend) -> list[Any]:
    """The queries of rules and filters."""
    return list(backend(pipeline).convert(collection(*documents)))


def applied(pipeline: ProcessingPipeline, document: dict[str, Any]) -> SigmaRule:
    """A rule after a pipeline."""
    [found] = collection(document).rules
    assert isinstance(found, SigmaRule)
    pipeline.apply(found)
    return found


NAMES = st.text("abAB1_-:@ ", min_size=1, max_size=4)


@PIPELINES
@given(names=st.lists(NAMES, min_size=1, max_size=5))
def test_any_dotted_field_is_flattened(pipeline: Pipeline, names: list[str]) -> None:
    """A field that no list knows is mapped like any other: its dots become underscores and nothing else changes."""
    field = ".".join(["requestParameters", *names])
    [body] = convert(pipeline(), rule({field: "v"}))
    assert fields(body["query"]) == ["_".join(["requestParameters", *names])]


@PIPELINES
def test_fields_are_flattened_wherever_a_rule_names_them(pipeline: Pipeline) -> None:
    """Fields with modifiers, in lists of maps, in `fields`, and the targets of references are mapped too."""
    detection = {"a": [{"userIdentity.arn|contains": "x"}, {"b.c|fieldref": "userIdentity.userName"}], "condition": "a"}
    found = applied(pipeline(), rule(detection, fields=["userIdentity.arn", "eventName", "requestParameters.a.b"]))
    assert found.fields == ["userIdentity_arn", "eventName", "requestParameters_a_b"]
    items = [item for map_ in found.detection.detections["a"].detection_items for item in map_.detection_items]  # type: ignore[union-attr]
    assert all(isinstance(item, SigmaDetectionItem) for item in items)
    assert [item.field for item in items] == ["userIdentity_arn", "b_c"]  # type: ignore[union-attr]
    assert items[1].value == [SigmaFieldReference("userIdentity_userName")]  # type: ignore[union-attr]


@PIPELINES
def test_keywords_stay_without_a_field(pipeline: Pipeline) -> None:
    """A search for a word is no search in a field without a name."""
    assert convert(pipeline(), rule({"words": ["abc"], "condition": "words"}), backend=LuceneBackend) == ["*abc*"]


@PIPELINES
def test_rules_in_the_style_of_sigmahq_are_converted(pipeline: Pipeline) -> None:
    """Nested fields, several selections, exclusions and lists of values, as the public rules have them."""
    detection = {
        "selection_event": {
            "eventSource": "ec2.amazonaws.com",
            "eventName": ["AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"],
        },
        "selection_open": {"requestParameters.ipPermissions.items.ipRanges.items.cidrIp": "0.0.0.0/0"},
        "filter_main_service": {"userIdentity.invokedBy|endswith": ".amazonaws.com"},
        "filter_main_failed": {"errorCode|exists": True},
        "condition": "all of selection_* and not 1 of filter_main_*",
    }
    [body] = convert(pipeline(), rule(detection))
    folded = {"case_insensitive": True}
    assert body["query"]["bool"] == {
        "filter": [
            {"term": {"eventSource": {"value": "ec2.amazonaws.com", **folded}}},
            {
                "bool": {
                    "should": [
                        {"term": {"eventName": {"value": "AuthorizeSecurityGroupIngress", **folded}}},
                        {"term": {"eventName": {"value": "AuthorizeSecurityGroupEgress", **folded}}},
                    ],
                    "minimum_should_match": 1,
                }
            },
            {"term": {"requestParameters_ipPermissions_items_ipRanges_items_cidrIp": {"value": "0.0.0.0/0"}}},
        ],
        "must_not": [
            {"wildcard": {"userIdentity_invokedBy": {"value": "*.amazonaws.com", **folded}}},
            {"exists": {"field": "errorCode"}},
        ],
        "_name": ID,
    }


@PIPELINES
@pytest.mark.parametrize(
    ("arguments", "state"),
    [
        ({}, {"index": ["aella-cloudtrail-*"], "time_field": "timestamp"}),
        ({"index": "logs-*"}, {"index": ["logs-*"], "time_field": "timestamp"}),
        ({"time_field": "@timestamp"}, {"index": ["aella-cloudtrail-*"], "time_field": "@timestamp"}),
    ],
)
def test_index_and_time_field_are_left_in_the_state(pipeline: Pipeline, arguments: Any, state: Any) -> None:
    """Backends find the platform's index and time field there, or those that a caller names."""
    made = pipeline(**arguments)
    applied(made, rule({"eventName": "x"}))
    assert {key: made.state[key] for key in state} == state


@PIPELINES
def test_names_stay_where_records_are_not_flattened(pipeline: Pipeline) -> None:
    """For a store of records as CloudTrail writes them, fields keep their dots, and all else is the same."""
    [body] = convert(pipeline(flattened=False), rule({"userIdentity.type": "Root", "eventName": "x"}))
    assert fields(body["query"]) == ["eventName", "userIdentity.type"]
    with pytest.raises(UnsupportedRuleError):
        convert(pipeline(flattened=False), rule({"f": "x"}, logsource={"product": "windows"}))
    with pytest.raises(UnsupportedConditionError):
        convert(pipeline(flattened=False), rule({"userIdentity": "x"}))


@PIPELINES
def test_a_later_pipeline_file_overrides_index_and_time_field(pipeline: Pipeline, tmp_path: Path) -> None:
    """A file of priority 30, in whatever order it is named, has the last word, for any backend."""
    file = tmp_path / "mine.yml"
    file.write_text(
        """
name: my store
priority: 30
transformations:
    - {type: set_state, key: index, val: ['logs-cloudtrail-*']}
    - {type: set_state, key: time_field, val: received}
"""
    )

    def resolved() -> ProcessingPipeline:
        return ProcessingPipelineResolver({"stellar": pipeline()}).resolve([str(file), "stellar"])

    [text] = convert(resolved(), rule({"eventName": "x"}), backend=ESQLBackend)
    assert text.startswith("from logs-cloudtrail-* ")
    [body] = convert(resolved(), rule({"received|gte": 5, "timestamp|gte": 5}))
    [received, timestamp] = body["query"]["bool"]["filter"]
    assert received == {"range": {"received": {"gte": "5", "format": "epoch_millis"}}}
    # It is a keyword like any other now.
    assert set(timestamp) == {"regexp"}


@PIPELINES
@pytest.mark.parametrize(
    ("logsource", "text"),
    [
        ({"product": "windows", "category": "process_creation"}, "category: process_creation, product: windows"),
        ({"product": "aws"}, "product: aws"),
        ({"product": "aws", "service": "route53"}, "product: aws, service: route53"),
        ({"service": "cloudtrail"}, "service: cloudtrail"),
    ],
)
def test_another_log_source_is_refused(pipeline: Pipeline, logsource: dict[str, str], text: str) -> None:
    """The message names the rule, its log source and the one that the pipelines are for."""
    with pytest.raises(UnsupportedRuleError) as error:
        convert(pipeline(), rule({"a": "v"}, logsource=logsource))
    message = str(error.value)
    assert message.startswith(f"Rule 'Some Rule': its log source is {text};")
    assert "product: aws, service: cloudtrail" in message


@PIPELINES
def test_a_narrower_log_source_is_accepted(pipeline: Pipeline) -> None:
    """A category beside product and service narrows the log source, and says nothing against it."""
    assert convert(pipeline(), rule({"a": "v"}, logsource={**CLOUDTRAIL, "category": "management"}))


@PIPELINES
@pytest.mark.parametrize("backend", [StellarAwsBackend, LuceneBackend])
def test_refusals_of_a_pipeline_are_collected(pipeline: Pipeline, backend: Any) -> None:
    """With collect_errors, refused rules are listed with their errors, and all others are converted."""
    collecting = backend(pipeline(), collect_errors=True)
    refused = [
        rule({"a": "v"}, title="Other", logsource={"product": "gcp"}, id="b0a2f9a4-1f0d-4c57-8b1e-3e6a5d4c2f10"),
        rule({"userIdentity": "v"}, title="Object", id="3c1d6a0e-8f52-4b1e-9d7e-2f6f0a9b8c11"),
    ]
    assert len(collecting.convert(collection(*refused, rule({"a": "v"})))) == 1
    assert [(bad.title, type(error)) for bad, error in collecting.errors] == [
        ("Other", UnsupportedRuleError),
        ("Object", UnsupportedConditionError),
    ]


@PIPELINES
@pytest.mark.parametrize("field", sorted(OBJECTS))
def test_a_condition_on_a_whole_object_is_refused_where_the_store_is_not_known(pipeline: Pipeline, field: str) -> None:
    """Flattened documents have no such field, so the refusal says which option asks those that are in it."""
    for condition in ({f"{field}|contains": "v"}, {field: 5}, {f"{field}|re": "v"}):
        message = rf"Rule 'Some Rule': field '{flat_name(field)}': .*name the field inside it.*-O store=FILE"
        with pytest.raises(UnsupportedConditionError, match=message):
            convert(pipeline(), rule(condition))
    assert convert(pipeline(), rule({f"{field}.someName": "v"}))


@PIPELINES
@pytest.mark.parametrize("field", sorted(OBJECTS))
def test_whether_an_object_has_anything_needs_no_store(pipeline: Pipeline, field: str) -> None:
    """Any field below an object shows that it is there, and the search finds them by the beginning of their names."""
    name = flat_name(field)
    there = dsl.any_of([dsl.exists(name), dsl.exists(f"{name}_*")])
    for condition, query in (
        ({f"{field}|exists": True}, there),
        ({field: "*"}, there),
        ({f"{field}|exists": False}, dsl.none_of(there)),
        ({field: None}, dsl.none_of(there)),
    ):
        [body] = convert(pipeline(), rule(condition))
        assert dsl.unnamed(body["query"]) == query, condition


@PIPELINES
@pytest.mark.parametrize("field", sorted(OBJECTS))
def test_other_backends_refuse_a_whole_object(pipeline: Pipeline, field: str) -> None:
    """They would ask a field that no document has, and never match."""
    for condition in ({f"{field}|contains": "v"}, {f"{field}|exists": True}, {field: None}):
        with pytest.raises(UnsupportedConditionError, match=rf"field '{field}': .*{field}\.<name>"):
            LuceneBackend(pipeline()).convert(collection(rule(condition)))


PUBLISHED: dict[str, Any] = {
    "wrong": {"eventSource": "wrong.amazonaws.com"},
    "more": {"userIdentity.type": "Root", "a.b": None},
    "condition": "wrong and not more",
}
CORRECTED: dict[str, Any] = {"right": {"eventSource": "right.amazonaws.com"}, "condition": "right"}


def with_erratum(corrected: Any, published: Any) -> dict[str, Any]:
    """A rule that corrects a published query."""
    return rule(corrected, stellar={"severity": 50, "published": {"detection": published, "reason": "It is wrong."}})


def sigma_filter(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """A Sigma filter for every CloudTrail rule."""
    return {"title": name, "logsource": CLOUDTRAIL, "filter": {"rules": "any", **body}}


FILTERS = [
    sigma_filter("One", {"selection": {"errorCode|exists": True}, "condition": "not selection"}),
    sigma_filter(
        "Two",
        {
            "selection_a": {"userIdentity.invokedBy|endswith": ".amazonaws.com"},
            "selection_b": {"sourceIPAddress": "AWS Internal"},
            "keep": {"eventName": "ConsoleLogin"},
            "condition": "(keep or not 1 of selection_*) and not (selection_a and (selection_b))",
        },
    ),
    sigma_filter("Three", {"a": {"awsRegion": "us-east-1"}, "b": {"awsRegion": "eu-west-1"}, "condition": "1 of them"}),
]


@pytest.mark.parametrize("filters", [[], FILTERS[:1], FILTERS[1:2], FILTERS[:2], FILTERS[1::-1], FILTERS])
@pytest.mark.parametrize(
    "corrected",
    [
        CORRECTED,
        {"a": {"x": "1"}, "b": {"y": "2"}, "condition": "a or b"},
        {"a": {"x": "1"}, "b": {"y": "2"}, "condition": "(a or b) and not (a and b)"},
        {"a": {"x": "1"}, "b": {"y": "2"}, "condition": "(a) and (b)"},
        {"a": {"x": "1"}, "b": {"y": "2"}, "condition": "((a or b))"},
        {"a": {"x": "1"}, "b": {"y": "2"}, "condition": ["a", "(b) or not a", "1 of them"]},
    ],
    ids=lambda corrected: str(corrected["condition"]),
)
@pytest.mark.parametrize(
    "published",
    [
        PUBLISHED,
        {**PUBLISHED, "condition": "wrong or more"},
        {**PUBLISHED, "condition": "(wrong) or (more)"},
        {**PUBLISHED, "condition": "1 of them"},
    ],
    ids=lambda published: str(published["condition"]),
)
def test_published_query_takes_the_place_of_the_corrected_one_under_any_filters(
    corrected: Any, published: Any, filters: list[dict[str, Any]]
) -> None:
    """A rule with an erratum converts as a rule of the published query does, with every filter that is on it."""
    expected = convert(stellar_aws(), rule(published), *filters)
    assert convert(stellar_aws_published(), with_erratum(corrected, published), *filters) == expected


@pytest.mark.parametrize("filters", [[], FILTERS])
def test_the_other_pipeline_converts_the_corrected_query(filters: list[dict[str, Any]]) -> None:
    """What is published is nothing to stellar_aws."""
    expected = convert(stellar_aws(), rule(CORRECTED), *filters)
    assert convert(stellar_aws(), with_erratum(CORRECTED, PUBLISHED), *filters) == expected


@pytest.mark.parametrize("filters", [[], FILTERS])
def test_rules_without_an_erratum_are_the_same_in_both(filters: list[dict[str, Any]]) -> None:
    """A rule that corrects nothing has one query."""
    document = rule(PUBLISHED, stellar={"severity": 50})
    assert convert(stellar_aws_published(), document, *filters) == convert(stellar_aws(), document, *filters)


def test_just_the_rules_with_an_erratum_differ() -> None:
    """Of the rules of this project, the published pipeline changes those that have a published query beside theirs."""

    def queries(pipeline: ProcessingPipeline) -> dict[str, Any]:
        found = StellarAwsBackend(pipeline).convert(load_rules())
        return {body["query"]["bool"]["_name"]: body for body in found}

    corrected, published = queries(stellar_aws()), queries(stellar_aws_published())
    errata = {str(r.id) for r in load_rules().rules if isinstance(r, SigmaRule) and published_detection(r) is not None}
    assert {name for name in corrected if corrected[name] != published[name]} == errata
    assert 0 < len(errata) < len(corrected)


@pytest.mark.parametrize(
    "published", [{}, {"detection": {}}, {"detection": "text"}, {"detection": {"a": {"x": "1"}}}, []]
)
def test_a_broken_erratum_is_an_error_of_the_rule(published: Any) -> None:
    """A block `published` without a usable detection is no reason to convert the corrected query instead."""
    with pytest.raises(SigmaError, match=r"Some Rule|condition"):
        convert(stellar_aws_published(), rule(CORRECTED, stellar={"published": published}))
    with pytest.raises(RuleBlockError, match="Some Rule"):
        convert(stellar_aws_published(), rule(CORRECTED, stellar=[]))


@PIPELINES
def test_every_call_makes_a_pipeline_of_its_own(pipeline: Pipeline) -> None:
    """What is set in one pipeline, or left in it by a conversion, is not in the next one."""
    first, second = pipeline(index="mine"), pipeline()
    assert first is not second
    assert not {id(item.transformation) for item in first.items} & {id(item.transformation) for item in second.items}
    applied(first, rule({"eventName": "x"}))
    assert second.state == {}
    applied(second, rule({"eventName": "x"}))
    assert (first.state["index"], second.state["index"]) == (["mine"], ["aella-cloudtrail-*"])


@PIPELINES
def test_a_pipeline_converts_again_after_an_error(pipeline: Pipeline) -> None:
    """One pipeline for many conversions: a refused rule leaves nothing behind."""
    made = pipeline()
    with pytest.raises(UnsupportedRuleError):
        convert(made, rule({"a": "v"}, logsource={"product": "gcp"}))
    assert convert(made, rule({"a.b": "1"})) == convert(pipeline(), rule({"a.b": "1"}))


FIELDS = "eventSource", "userIdentity_sessionContext_attributes_mfaAuthenticated"
LUCENE = f"{FIELDS[0]}:iam.amazonaws.com AND NOT {FIELDS[1]}:true"


@PIPELINES
@pytest.mark.parametrize(
    ("backend", "text"),
    [
        (LuceneBackend, LUCENE),
        (OpensearchLuceneBackend, LUCENE),
        (
            ESQLBackend,
            "from aella-cloudtrail-* metadata _id, _index, _version | where "
            f'{FIELDS[0]}=="iam.amazonaws.com" and not {FIELDS[1]}=="true"',
        ),
        (EqlBackend, f'any where {FIELDS[0]}:"iam.amazonaws.com" and not {FIELDS[1]}:"true"'),
    ],
)
def test_stock_backends_write_the_flattened_names(pipeline: Pipeline, backend: Any, text: str) -> None:
    """The backends of pySigma's Elasticsearch and OpenSearch plugins convert the same rule with our names and index."""
    detection = {
        "a": {"eventSource": "iam.amazonaws.com"},
        "b": {"userIdentity.sessionContext.attributes.mfaAuthenticated": "true"},
        "condition": "a and not b",
    }
    [found] = convert(pipeline(), rule(detection), backend=backend)
    # Where they put parentheses is theirs.
    assert found.replace("(", "").replace(")", "") == text


@PIPELINES
@pytest.mark.parametrize("backend", [LuceneBackend, OpensearchLuceneBackend, ESQLBackend, EqlBackend])
def test_stock_backends_convert_every_rule(pipeline: Pipeline, backend: Any) -> None:
    """Each rule of this project has one text, with no dotted field name left in it."""
    rules = load_rules()
    texts = backend(pipeline()).convert(rules)
    assert len(texts) == len(rules.rules)
    for text in texts:
        assert "eventSource" in text
        assert not any(f"{name}." in text for name in ("userIdentity", "requestParameters", "responseElements"))
