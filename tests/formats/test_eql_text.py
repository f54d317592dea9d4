"""Conditions of EQL: their text, and what Elasticsearch makes of it again."""

from typing import Any

import pytest

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.formats.eql_text import NoEqlError, condition, eql_name
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.eql_model import condition_query
from tests.support.formats import convert, profile, rule

STORE = profile(
    "elasticsearch",
    "8.19.0",
    userAgent={"type": "text", "fields": {"keyword": {"type": "keyword"}}},
    requestParameters_maxResults={"type": "long"},
    readOnly={"type": "boolean"},
    sourceIPAddress={"type": "ip"},
    eventTime={"type": "date"},
)


def query(selection: dict[str, Any], **options: Any) -> Any:
    """The query of a selection."""
    [body] = convert("default", rule(selection), **options)
    return dsl.unnamed(body["query"])


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        ({"eventName": "DeleteRule"}, '?eventName in~ ("DeleteRule")'),
        ({"eventName|cased": "DeleteRule"}, '?eventName in ("DeleteRule")'),
        ({"eventName": ["A", "B"]}, '?eventName in~ ("A", "B")'),
        ({"eventName|cased": ["A", "B"]}, '?eventName in ("A", "B")'),
        ({"eventName": "5"}, '?eventName in ("5")'),
        ({"eventName": "*"}, "?eventName != null"),
        ({"eventName": None}, "?eventName == null"),
        ({"eventName|exists": False}, "?eventName == null"),
        ({"eventName|startswith": "List"}, '?eventName like~ "List*"'),
        ({"eventName|contains": ["a", "b"]}, '?eventName like~ ("*a*", "*b*")'),
        ({"eventName|contains|cased": "a"}, '?eventName like "*a*"'),
        ({"eventName": "a?c"}, '?eventName like~ "a?c"'),
        # What stands for itself has no escape in a wildcard, and needs none in a list.
        ({"eventName": r"a\*c"}, '?eventName in~ ("a*c")'),
        ({"eventName|startswith": r"a\?\*\\"}, r'?eventName regex~ "a\\?\\*\\\\.*"'),
        ({"eventName": r"a\*b*c\?"}, r'?eventName regex~ "a\\*b.*c\\?"'),
        ({"eventName|re": "^a@b#[<>]~&$"}, r'?eventName regex "a\\@b\\#[\\<\\>]\\~\\&\n?"'),
        ({"eventName": 'say "a"\n\tb\\c\x07'}, r'?eventName in~ ("say \"a\"\n\tb\\c\u{07}")'),
        ({"eventName|neq": "A"}, '(?eventName == null or not ?eventName in~ ("A"))'),
        ({"eventName|exists": True, "errorCode": None}, "?eventName != null and ?errorCode == null"),
        ({"requestParameters.x-amz-acl": "public"}, '?`requestParameters_x-amz-acl` in~ ("public")'),
        ({"requestParameters.maxResults": 5}, '?requestParameters_maxResults in ("5", "5.0")'),
        ({"readOnly": True}, '?readOnly in ("true")'),
    ],
)
def test_each_condition_has_its_text(selection: dict[str, Any], text: str) -> None:
    """Without a profile every field is a keyword, whose values are texts."""
    assert condition(query(selection), None) == text


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        ({"userAgent|contains": "curl"}, '?userAgent.keyword like~ "*curl*"'),
        ({"requestParameters.maxResults": 5}, "?requestParameters_maxResults in (5)"),
        (
            {"requestParameters.maxResults|neq": 5},
            "(?requestParameters_maxResults == null or not ?requestParameters_maxResults in (5))",
        ),
        ({"requestParameters.maxResults|gte": -5}, "?requestParameters_maxResults >= -5"),
        ({"readOnly": True}, "?readOnly in (true)"),
        ({"sourceIPAddress|cidr": "192.0.2.0/24"}, 'cidrMatch(?sourceIPAddress, "192.0.2.0/24")'),
        ({"sourceIPAddress": "192.0.2.1"}, 'cidrMatch(?sourceIPAddress, "192.0.2.1/32")'),
        ({"sourceIPAddress": "2001:db8::1"}, 'cidrMatch(?sourceIPAddress, "2001:db8::1/128")'),
        (
            {"sourceIPAddress": ["192.0.2.1", "192.0.2.2"]},
            'cidrMatch(?sourceIPAddress, "192.0.2.1/32", "192.0.2.2/32")',
        ),
        ({"eventTime": None}, "?eventTime == null"),
    ],
)
def test_a_profile_says_of_what_type_values_are(selection: dict[str, Any], text: str) -> None:
    """As numbers, booleans and addresses are compared in EQL; an analysed text in its exact sub-field."""
    assert condition(query(selection, store=STORE), STORE) == text


def test_parts_are_in_parentheses_and_negations_at_their_ends() -> None:
    """Of a null, EQL does not know whether it is not something; so each negation allows for it."""
    detection = {
        "a": {"eventName": ["A", "B*"], "eventSource": "S"},
        "b": {"awsRegion": "R", "errorCode|contains": "E"},
        "condition": "a and not b",
    }
    [body] = convert("default", {**rule(), "detection": detection})
    assert condition(dsl.unnamed(body["query"]), None) == (
        '(?eventName in~ ("A") or ?eventName like~ "B*") and ?eventSource in~ ("S") and '
        '((?awsRegion == null or not ?awsRegion in~ ("R")) or (?errorCode == null or not ?errorCode like~ "*E*"))'
    )


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ({"eventTime|gte": 5}, "compare it exactly|compare times"),
        ({"requestParameters.maxResults|gte": 5, "requestParameters.maxResults|lt": 9}, "as if it had one value"),
        ({"eventName|re": "x{1,20}y"}, "its pattern repeats more"),
        ({"eventName|re|all": ["a", "b"]}, "as if it had one value"),
    ],
)
def test_what_eql_would_answer_otherwise_is_refused(selection: dict[str, Any], reason: str) -> None:
    """With the field, and why."""
    clause = query(selection, store=STORE)
    with pytest.raises(NoEqlError, match=rf"^field '\w+': .*({reason})"):
        condition(clause, STORE)


def test_a_negated_comparison_is_refused() -> None:
    """EQL makes `<` of `not >=`, which one of several values may meet though another is above."""
    detection = {"a": {"requestParameters.maxResults|gte": 5}, "condition": "not a"}
    [body] = convert("default", {**rule(), "detection": detection}, store=STORE)
    with pytest.raises(NoEqlError, match="turns a negated comparison around"):
        condition(dsl.unnamed(body["query"]), STORE)


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        (None, "no index has it"),
        ({"type": "text"}, r"its type \(text\)"),
        ({"type": "flattened"}, r"its type \(flattened\)"),
        ([{"type": "keyword"}, {"type": "long"}], r"differs between the indices \(keyword, long\)"),
    ],
)
def test_fields_that_eql_does_not_know_are_refused(mapping: Any, reason: str) -> None:
    """Each would be an error at every run of a rule."""
    store = profile("elasticsearch", "8.19.0", awsRegion=mapping)
    with pytest.raises(NoEqlError, match=f"field 'awsRegion': .*{reason}"):
        condition(dsl.exists("awsRegion"), store)


def test_fields_of_unknown_types_are_refused() -> None:
    """With a suffix for exact texts, the field itself may be analysed text, which EQL does not ask."""
    assert condition(query({"eventName": "A"}, keyword_suffix=".raw"), None, ".raw") == '?eventName.raw in~ ("A")'
    with pytest.raises(NoEqlError, match="field 'errorCode': EQL needs to know its type; give a store profile"):
        condition(query({"errorCode": None}, keyword_suffix=".raw"), None, ".raw")
    with pytest.raises(NoEqlError, match="'_ignored': EQL knows no fields that Elasticsearch adds"):
        condition(dsl.term("_ignored", "userAgent"), None)
    with pytest.raises(NoEqlError, match="does not compare two fields"):
        condition(dsl.compare_fields("a", "b", "is", ignore_case=True), None)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.b_c", "a.b_c"),
        ("@timestamp", "@timestamp"),
        ("a-b.c", "`a-b`.c"),
        ("9a", "`9a`"),
        ("a.sequence", "a.`sequence`"),
        ("a`b", "`a``b`"),
    ],
)
def test_names_are_escaped_where_they_have_to_be(name: str, written: str) -> None:
    """Hyphens, leading digits and words of the language."""
    assert eql_name(name) == written


def test_each_of_our_rules_has_a_text_that_asks_for_the_same() -> None:
    """All but what repeats too much; read again, it is the query that was written, on events that only some match."""
    bodies = StellarAwsBackend(stellar_aws()).convert(load_rules(), "default")
    texts = [(body, condition(dsl.unnamed(body["query"]), None)) for body in bodies]
    assert len(texts) == 29
    for body, text in texts:
        clause = dsl.unnamed(body["query"])
        found = condition_query(text)
        assert sorted(dsl.fields(found)) == sorted(dsl.fields(clause))


@pytest.mark.parametrize("mapped", [set[str](), {"eventName"}, {"errorCode"}, {"eventName", "errorCode"}])
def test_a_field_that_no_index_has_is_an_empty_one(mapped: set[str]) -> None:
    """The rule goes on, and finds what it would if the field were there and empty."""
    detection = {
        "a": {"eventName": ["A", "B*"]},
        "b": {"errorCode": "E", "eventName": "B1"},
        "condition": "(a or not eventless) and not b",
        "eventless": {"eventName|exists": True},
    }
    [body] = convert("default", {**rule(), "detection": detection})
    means = compile_query(body["query"])
    read = compile_query(condition_query(condition(dsl.unnamed(body["query"]), None), mapped))
    values: dict[str, list[str | None]] = {"eventName": [None, "A", "B1", "B2"], "errorCode": [None, "E", "F"]}
    for name in values["eventName"]:
        for code in values["errorCode"]:
            found = {"eventName": name, "errorCode": code}
            document: Document = {key: value for key, value in found.items() if value is not None and key in mapped}
            assert read(document) == means(document), document
