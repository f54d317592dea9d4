"""Explanations: they agree with the matcher, and say what the event has instead."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.authoring.explain import (
    ConditionPart,
    decisive,
    explain,
    explanation_as_json,
    print_explanation,
    print_trees,
)
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.terminal import UNBROKEN, console_for
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.rule_files.load import find_rules, load_rules
from tests.support.records import cases, record

DELETED = record({"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms", "identity": "iam_user"})


def rule_of(detection: dict[str, Any]) -> SigmaRule:
    """A rule with a detection."""
    return SigmaRule.from_dict(
        {"title": "A rule", "logsource": {"product": "aws", "service": "cloudtrail"}, "detection": detection}
    )


def of_items(items: dict[str, Any], event: JsonObject) -> ConditionPart:
    """The part of a selection, which is all of a rule's condition."""
    [part] = explain(rule_of({"selection": items, "condition": "selection"}), event).conditions
    return part


def parts_of(part: ConditionPart) -> Iterator[ConditionPart]:
    """The part and all below it."""
    yield part
    for child in part.children:
        yield from parts_of(child)


def combines(part: ConditionPart) -> bool:
    """Whether the part holds because of what its children do, all the way down."""
    counted = [child.holds for child in part.children if child.holds is not None]
    expected = {"all": all(counted), "any": any(counted), "not": not all(counted), "value": part.holds}[part.kind]
    return (
        (not counted and part.kind != "value") == (part.holds is None)
        and (part.holds is None or part.holds == expected)
        and all(map(combines, part.children))
    )


@pytest.mark.parametrize("published", [False, True])
def test_verdict_is_that_of_the_matcher(published: bool) -> None:
    """For every rule, on its own test events and a share of all others, root and matcher agree and parts combine."""
    pipeline = stellar_aws_published if published else stellar_aws
    events = cases()
    matched = 0
    for number, (rule, again) in enumerate(zip(load_rules().rules, load_rules().rules, strict=True)):
        assert isinstance(rule, SigmaRule)
        matches = compile_query(convert_pack(SigmaCollection([again]), pipeline()).query)
        for case in [case for case in events if case.rule == rule.title] + events[number::29]:
            explanation = explain(rule, case.record, published=published)
            assert explanation.matches == matches(flatten(case.record)), (rule.title, case.name)
            assert all(map(combines, explanation.conditions)), (rule.title, case.name)
            matched += explanation.matches
    assert matched > 50


VALUES = st.sampled_from(["a", "A", "ab", "a*", "*b*", "", 1, 2.5, True, None])
KEYS = st.sampled_from(
    ["x", "y.z", "x|contains", "y.z|startswith", "x|cased", "x|neq", "y.z|exists", "x|re", "x|gt", "x|contains|all"]
)
EVENTS = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.one_of(
        st.sampled_from(["a", "A", "ab", "B", "", 1, 3, True, None]),
        st.lists(st.sampled_from(["a", "b", "AB", 2]), max_size=3),
        st.fixed_dictionaries({"z": st.sampled_from(["a", "A", "ab", 2.5])}),
    ),
)


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    """A map of detection items."""
    found: dict[str, Any] = {}
    for key in draw(st.lists(KEYS, min_size=1, max_size=3, unique=True)):
        if key.endswith("exists"):
            found[key] = draw(st.booleans())
        elif key.endswith("gt"):
            found[key] = draw(st.integers(0, 3))
        elif "|" in key and not key.endswith("neq"):
            found[key] = draw(st.lists(st.sampled_from(["a", "A", "b"]), min_size=1, max_size=3))
        else:
            found[key] = draw(st.lists(VALUES, min_size=1, max_size=3))
    return found


CONDITIONS = st.recursive(
    st.sampled_from(["sel_1", "sel_2", "other", "1 of sel_*", "all of sel_*", "any of them"]),
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(items(), min_size=1, max_size=2), items(), items(), CONDITIONS, EVENTS, st.booleans())
def test_any_condition_agrees_with_the_matcher(
    first: list[dict[str, Any]],
    second: dict[str, Any],
    third: dict[str, Any],
    condition: str,
    event: JsonObject,
    case_sensitive: bool,
) -> None:
    """Whatever the condition and the event, root and matcher agree, and every part follows from its children."""
    rule = rule_of({"sel_1": first, "sel_2": second, "other": third, "condition": f"({condition}) or sel_1"})
    explanation = explain(rule, event, case_sensitive=case_sensitive)
    query = convert_pack(SigmaCollection([rule]), stellar_aws(), case_sensitive=case_sensitive).query
    assert explanation.matches == compile_query(query)(flatten(event))
    [part] = explanation.conditions
    assert combines(part)
    assert part.kind == "value" or all(child.holds == part.holds for child in decisive(part).children)


@pytest.mark.parametrize(
    ("items", "text", "found"),
    [
        ({"eventName": "CreateAlarm"}, "eventName: 'CreateAlarm'", "the event has 'DeleteAlarms'"),
        (
            {"eventName|cased": "deletealarms"},
            "eventName|cased: 'deletealarms'",
            "the event has 'DeleteAlarms', which differs only in case",
        ),
        (
            {"eventName|re": r"^delete\w+$"},
            r"eventName|re: '^delete\w+$'",
            "the event has 'DeleteAlarms', which differs only in case",
        ),
        ({"errorCode": "AccessDenied"}, "errorCode: 'AccessDenied'", "the event has no such field"),
        (
            {"userIdentity.Type": "IAMUser"},
            "userIdentity.Type: 'IAMUser'",
            "the event has no such field; it has userIdentity.type",
        ),
        (
            {"eventNames": "DeleteAlarms"},
            "eventNames: 'DeleteAlarms'",
            "the event has no such field; it has eventName",
        ),
        (
            {"tlsDetails.tlsVersoin": "x"},
            "tlsDetails.tlsVersoin: 'x'",
            "the event has no such field; it has tlsDetails.tlsVersion",
        ),
        (
            {"requestParameters.inner": "x"},
            "requestParameters.inner: 'x'",
            "the event has an object there; name the field in it, such as requestParameters.inner.first",
        ),
        (
            {"requestParameters.list": "x"},
            "requestParameters.list: 'x'",
            "the event has 1, 'two', true, 4, 5 and 2 more",
        ),
        ({"eventName": None}, "eventName: null", "the event has 'DeleteAlarms'"),
        ({"eventName": []}, "eventName: []", "the event has 'DeleteAlarms'"),
        ({"eventName|exists": False}, "eventName|exists: false", "the event has 'DeleteAlarms'"),
        ({"errorCode|exists": True}, "errorCode|exists: true", "the event has no such field"),
        ({"requestParameters.n|gt": 5}, "requestParameters.n|gt: 5", "the event has 5"),
        (
            {"eventSource|neq": "monitoring.amazonaws.com"},
            "eventSource|neq: 'monitoring.amazonaws.com'",
            "the event has 'monitoring.amazonaws.com'",
        ),
        (
            {"requestParameters.long": "y"},
            "requestParameters.long: 'y'",
            f"the event has '{'x' * 117}\N{HORIZONTAL ELLIPSIS}'",
        ),
    ],
)
def test_what_the_event_has_instead(items: dict[str, Any], text: str, found: str) -> None:
    """A condition on a field that does not hold says what the event has there, in the names that the rule uses."""
    parameters: JsonObject = {
        "inner": {"second": 1, "first": 2},
        "list": [1, "two", True, 4, 5, 6, 7],
        "n": 5,
        "long": "x" * 500,
    }
    [item] = of_items(items, {**DELETED, "requestParameters": parameters}).children
    assert item == ConditionPart(text, "value", False, found, ())
    [held] = of_items({"eventName": "deletealarms"}, DELETED).children
    assert held == ConditionPart("eventName: 'deletealarms'", "value", True, "", ())


def test_several_values() -> None:
    """Each value of a list says whether it holds, the list what the event has, and a negated one is turned around."""
    [cased, every, negated] = of_items(
        {
            "eventName|cased": ["deletealarms", "x"],
            "userIdentity.arn|contains|all": ["alice", "bob"],
            "eventSource|neq": ["a", "monitoring.amazonaws.com"],
        },
        DELETED,
    ).children
    assert cased == ConditionPart(
        "eventName|cased: any of 2 values",
        "any",
        False,
        "the event has 'DeleteAlarms', which differs only in case",
        (
            ConditionPart("'deletealarms'", "value", False, "differs only in case", ()),
            ConditionPart("'x'", "value", False, "", ()),
        ),
    )
    assert (every.text, every.kind, every.holds) == ("userIdentity.arn|contains|all: all of 2 values", "all", False)
    assert [child.holds for child in every.children] == [True, False]
    assert (negated.text, negated.kind, negated.holds) == ("eventSource|neq: not any of 2 values", "not", False)
    assert negated.children == (
        ConditionPart(
            "eventSource: any of 2 values",
            "any",
            True,
            "",
            (
                ConditionPart("'a'", "value", False, "", ()),
                ConditionPart("'monitoring.amazonaws.com'", "value", True, "", ()),
            ),
        ),
    )


def test_value_that_stands_for_several() -> None:
    """A value of which a modifier makes several is one value, as in the rule."""
    event: JsonObject = {"a": "x /f", "b": "AGFiYwA="}
    parts = of_items({"a|windash|contains": ["-f", "-g"], "b|base64offset|contains": "abc"}, event).children
    assert [[(part.text, part.holds) for part in parts_of(part)] for part in parts] == [
        [("a|windash|contains: any of 2 values", True), ("'-f'", True), ("'-g'", False)],
        [("b|base64offset|contains: 'abc'", True)],
    ]


def test_conditions_as_written() -> None:
    """Conditions are told by the words of the rule; selectors list selections; one that selects nothing is ignored."""
    selections = {"sel_a": {"eventName": "DeleteAlarms"}, "sel_b": [{"awsRegion": "x"}, {"awsRegion": "y"}]}
    condition = "1 of sel_* and not (sel_b or not sel_a) and not 1 of filter_*"
    explanation = explain(rule_of({**selections, "condition": [condition, "all of them"]}), DELETED)
    first, second = explanation.conditions
    assert [(part.text, part.holds) for part in parts_of(first)] == [
        (f"condition: {condition}", True),
        ("1 of sel_*", True),
        ("sel_a", True),
        ("eventName: 'DeleteAlarms'", True),
        ("sel_b", False),
        ("sel_b, entry 1", False),
        ("awsRegion: 'x'", False),
        ("sel_b, entry 2", False),
        ("awsRegion: 'y'", False),
        ("not (sel_b or not sel_a)", True),
        ("sel_b or not sel_a", False),
        ("sel_b", False),
        ("sel_b, entry 1", False),
        ("awsRegion: 'x'", False),
        ("sel_b, entry 2", False),
        ("awsRegion: 'y'", False),
        ("not sel_a", False),
        ("sel_a", True),
        ("eventName: 'DeleteAlarms'", True),
        ("not 1 of filter_*", None),
        ("1 of filter_*", None),
    ]
    assert explanation.matches
    assert not second.holds


def test_decisive_leaves_out_what_does_not_matter() -> None:
    """Of a part that does not hold those stay that fail it, of one that holds those that make it so."""
    detection = {
        "one": {"eventName": ["DeleteAlarms", "x"], "awsRegion": "x"},
        "two": {"eventSource": "monitoring.amazonaws.com"},
        "condition": "one and two",
    }
    [failing] = explain(rule_of(detection), DELETED).conditions
    assert [part.text for part in parts_of(decisive(failing))] == [
        "condition: one and two",
        "one",
        "awsRegion: 'x'",
    ]
    [holding] = explain(rule_of({**detection, "condition": "not one and two"}), DELETED).conditions
    assert [part.text for part in parts_of(decisive(holding))] == [
        "condition: not one and two",
        "not one",
        "one",
        "awsRegion: 'x'",
        "two",
        "eventSource: 'monitoring.amazonaws.com'",
    ]


def test_published_query_and_exact_case() -> None:
    """The published query of a corrected rule can be explained, and the platform's exact comparison."""
    [rule] = find_rules("AWS EventBridge Rule Disabled or Deleted")
    [case] = [case for case in cases() if case.rule == rule.title and case.expected and not case.published][:1]
    assert explain(rule, case.record).matches
    assert not explain(rule, case.record, published=True).matches
    exact = rule_of({"s": {"eventName": "deletealarms"}, "condition": "s"})
    assert explain(exact, DELETED).matches
    assert not explain(exact, DELETED, case_sensitive=True).matches


def test_rule_stays_as_it_is() -> None:
    """A rule can be explained again and again."""
    [rule] = find_rules("aws_kms_key_created")
    before = rule.to_dict()
    assert explain(rule, DELETED, published=True) == explain(rule, DELETED, published=True)
    assert rule.to_dict() == before


@pytest.mark.parametrize(
    ("selection", "reason"),
    [({"eventTime|hour": 5}, "the hour of a time"), ({"|startswith": "Delete"}, "name the field")],
)
def test_refused_rule_is_an_error(selection: dict[str, Any], reason: str) -> None:
    """A rule that cannot be converted cannot be explained, and the reason is told."""
    with pytest.raises(SigmaError, match=reason):
        explain(rule_of({"s": selection, "condition": "s"}), DELETED)


@pytest.mark.parametrize(
    ("selection", "matches"),
    [
        (["deletealarms"], True),
        (["DeleteRule"], False),
        ({"userIdentity|contains": "arn:aws"}, True),
        ({"userIdentity|contains": "DeleteAlarms"}, False),
        ({"eventName|fieldref": "eventName"}, True),
        ({"eventName|fieldref": "eventSource"}, False),
    ],
)
def test_conditions_on_several_fields_are_explained(selection: Any, matches: bool) -> None:
    """A search without a field, one of a whole object and a comparison of two fields say whether they hold."""
    explanation = explain(rule_of({"s": selection, "condition": "s"}), DELETED)
    assert explanation.matches is matches
    assert json.loads(json.dumps(explanation_as_json(explanation)))["matches"] is matches


def test_rule_of_a_correlation() -> None:
    """A rule that is there only for a correlation to count its events can be explained by itself."""
    rule = rule_of({"s": {"eventName": "DeleteAlarms"}, "condition": "s"})
    rule.disable_output()
    assert explain(rule, DELETED).matches


def test_json_has_all_parts() -> None:
    """The JSON form says of every part what the explanation says, and leaves out what is empty."""
    explanation = explain(rule_of({"s": {"eventName": ["a", "b"]}, "condition": "not s"}), DELETED)
    assert json.loads(json.dumps(explanation_as_json(explanation))) == {
        "matches": True,
        "conditions": [
            {
                "text": "condition: not s",
                "kind": "not",
                "holds": True,
                "children": [
                    {
                        "text": "s",
                        "kind": "all",
                        "holds": False,
                        "children": [
                            {
                                "text": "eventName: any of 2 values",
                                "kind": "any",
                                "holds": False,
                                "found": "the event has 'DeleteAlarms'",
                                "children": [
                                    {"text": "'a'", "kind": "value", "holds": False},
                                    {"text": "'b'", "kind": "value", "holds": False},
                                ],
                            }
                        ],
                    }
                ],
            }
        ],
    }


def test_tree_can_be_read_without_colours_and_terminal() -> None:
    """Every part stands on a line of its own with a word for its verdict; what could steer a terminal is replaced."""
    event: JsonObject = {**DELETED, "userAgent": "\x1b]0;owned\x07" + "x" * 80}
    detection = {
        "s": {"eventName": "DeleteAlarms", "userAgent|cased": "[red]" + "z" * 300},
        "condition": "s and not 1 of filter_*",
    }
    stream = io.StringIO()
    explanation = explain(rule_of(detection), event)
    print_explanation(rule_of(detection), event, explanation, console_for(stream, width=UNBROKEN))
    lines = stream.getvalue().splitlines()
    assert lines[0] == f"A rule does not match {DELETED['eventID']} DeleteAlarms"
    words = [next(word for word in ("yes", "no", "ignored") if f" {word} " in line) for line in lines[1:]]
    assert words == ["no", "no", "yes", "no", "ignored", "ignored"]
    assert f"userAgent|cased: '[red]{'z' * 300}'" in lines[4]
    assert "\x1b" not in stream.getvalue()
    narrow = io.StringIO()
    print_trees(explanation.conditions, console_for(narrow, width=UNBROKEN))
    assert narrow.getvalue().splitlines() == lines[1:]
