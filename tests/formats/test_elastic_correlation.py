"""Correlations as detection rules for Elastic Security."""

import warnings
from typing import Any

import pytest
from jsonschema import Draft7Validator

from sigma_stellar_aws.base.sigma_errors import (
    AssumptionWarning,
    InexactCorrelationWarning,
    LeftOutWarning,
    UnsupportedRuleError,
)
from sigma_stellar_aws.pipelines.ecs_aws_cloudtrail import stellar_aws_ecs
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from tests.support.correlated import CORRELATION_ID, correlation, counted
from tests.support.formats import convert, profile, rule, schema

_QUERY_RULE = schema("elastic-detection-rule.schema.json")
COUNT = {"gte": 3}


_OWN: dict[str, dict[str, Any]] = {
    "eql": {
        "language": {"const": "eql"},
        "timestamp_field": {"type": "string"},
        "tiebreaker_field": {"type": "string"},
    },
    "threshold": {
        "threshold": {
            "type": "object",
            "additionalProperties": False,
            "required": ["field", "value", "cardinality"],
            "properties": {
                "field": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
                "value": {"type": "integer", "minimum": 1},
                "cardinality": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["field", "value"],
                        "properties": {"field": {"type": "string"}, "value": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
        "alert_suppression": {
            "type": "object",
            "additionalProperties": False,
            "required": ["duration"],
            "properties": {"duration": _QUERY_RULE["properties"]["alert_suppression"]["properties"]["duration"]},
        },
    },
}


def validator(kind: str) -> Draft7Validator:
    """The schema of an import line of another type: that of a query, with its own keys."""
    properties = {**_QUERY_RULE["properties"], **_OWN[kind], "type": {"const": kind}}
    return Draft7Validator({**_QUERY_RULE, "properties": properties})


def line(*rules: dict[str, Any], **options: Any) -> tuple[dict[str, Any], list[Warning]]:
    """The line of a correlation, which keeps the import schema of its type, and what is told with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        [found] = convert("elastic_rule", *rules, **options)
    assert validator(found["type"]).is_valid(found), [*validator(found["type"]).iter_errors(found)]
    return found, [each.message for each in caught if isinstance(each.message, Warning)]


def texts(told: list[Warning], kind: type[Warning]) -> list[str]:
    """The texts of the warnings of a kind."""
    return [str(each) for each in told if isinstance(each, kind)]


def test_a_count_is_a_sequence_of_one_repeated_event() -> None:
    """The n-th event of a key completes it; the run looks back as far as its events can be apart or late."""
    stated = {"level": "high", "tags": ["attack.t1110"], "stellar": {"suppression": {"window": "12h"}}}
    found, told = line(counted("a"), correlation("event_count", "a", condition=COUNT, top=stated))
    assert found["rule_id"] == CORRELATION_ID
    assert (found["type"], found["language"], found["filters"]) == ("eql", "eql", [])
    assert found["query"] == (
        'sequence by userIdentity_arn with maxspan=10m\n  [any where ?eventName in~ ("DoA")] with runs=3'
    )
    assert (found["timestamp_field"], found["tiebreaker_field"]) == ("timestamp", "eventID")
    assert (found["interval"], found["from"], found["to"]) == ("5m", "now-40m", "now")
    assert (found["risk_score"], found["severity"]) == (75, "critical")
    assert "attack.t1110" in found["tags"]
    assert found["alert_suppression"] == {
        "group_by": ["userIdentity_arn"],
        "duration": {"value": 12, "unit": "h"},
        "missing_fields_strategy": "doNotSuppress",
    }
    assert told == []


def test_events_of_one_time_are_told_apart_by_their_ids_where_the_store_has_them() -> None:
    """Without, a count may miss some of them; and what it is called there is asked of the pipelines."""
    block = correlation("event_count", "a", condition=COUNT)
    both = {"type": "text", "fields": {"keyword": {"type": "keyword"}}}
    for mapping, name in ((None, None), ({"type": "text"}, None), (both, "eventID.keyword")):
        found, told = line(counted("a"), block, store=profile("elasticsearch", "8.19.0", eventID=mapping))
        assert found.get("tiebreaker_field") == name
        assert texts(told, AssumptionWarning) == (
            [] if name else ["Rule 'Together': a sequence of EQL may miss some of the events that have the same time"]
        )
    found, _ = line(counted("a"), block, pipeline=stellar_aws_ecs())
    assert found["tiebreaker_field"] == "event.id"


@pytest.mark.parametrize(
    ("condition", "runs"), [({"gte": 2}, 2), ({"gt": 2}, 3), ({"gte": 100}, 100), ({"gt": 99}, 100), ({"gte": 2.5}, 3)]
)
def test_as_many_runs_as_events_are_needed(condition: dict[str, float], runs: int) -> None:
    """From 2 to 100, the numbers that Elasticsearch takes; what is not whole is rounded up."""
    rules = [counted("a"), correlation("event_count", "a", condition=condition)]
    found, _ = line(*rules)
    assert found["query"].endswith(f"with runs={runs}")


def test_one_event_of_two_rules_is_one() -> None:
    """So both are one condition."""
    found, told = line(counted("a"), counted("b"), correlation("event_count", "a", "b", condition=COUNT))
    assert found["query"].splitlines()[1] == '  [any where ?eventName in~ ("DoA", "DoB")] with runs=3'
    assert told == []


def test_no_group_is_one_key() -> None:
    """All events are counted together, and nothing can suppress their alerts."""
    found, told = line(counted("a"), correlation("event_count", "a", by=(), condition=COUNT))
    assert found["query"].startswith("sequence with maxspan=10m\n")
    assert "alert_suppression" not in found
    assert "no field in common" in texts(told, LeftOutWarning)[0]


def test_an_order_is_a_sequence_of_its_rules() -> None:
    """In the order in which they are listed; rules that demand different events cannot share one."""
    found, told = line(counted("a"), counted("b"), correlation("temporal_ordered", "b", "a"))
    assert found["query"].splitlines() == [
        "sequence by userIdentity_arn with maxspan=10m",
        '  [any where ?eventName in~ ("DoB")]',
        '  [any where ?eventName in~ ("DoA")]',
    ]
    assert texts(told, AssumptionWarning) == [
        "Rule 'Together': a sequence of EQL may miss some of the events that have the same time"
    ]


@pytest.mark.parametrize("name", ["doa", "DoA"])
def test_rules_that_may_match_one_event_are_told(name: str) -> None:
    """An event of two rules is one step in EQL, and both for `alerts`."""
    other = counted("b")
    other["detection"]["selection"] = {"eventName": [name, "DoB"]}
    _, told = line(counted("a"), other, correlation("temporal_ordered", "a", "b"))
    assert texts(told, AssumptionWarning)[0].endswith("for one step only")


def test_aliases_are_keys_of_their_rules() -> None:
    """Only what is the same field in all events is in the alert of a sequence, and can suppress."""
    aliases = {"user": {"a": "requestParameters.userName", "b": "responseElements.user.userName"}}
    block = correlation("temporal_ordered", "a", "b", by=("user", "userIdentity.arn"), aliases=aliases)
    found, _ = line(counted("a"), counted("b"), block)
    assert found["query"].splitlines() == [
        "sequence with maxspan=10m",
        '  [any where ?eventName in~ ("DoA")] by requestParameters_userName, userIdentity_arn',
        '  [any where ?eventName in~ ("DoB")] by responseElements_user_userName, userIdentity_arn',
    ]
    assert found["alert_suppression"]["group_by"] == ["userIdentity_arn"]


def test_rules_of_a_condition_are_an_order_too_if_it_accepts_one() -> None:
    """`a and b` of an order is the same as both listed."""
    found, _ = line(counted("a"), counted("b"), correlation("temporal_ordered", "a", "b", condition="b and a"))
    assert len(found["query"].splitlines()) == 3
    with pytest.raises(UnsupportedRuleError, match="accepts 2 orders of its rules, and a sequence of EQL is one"):
        line(counted("a"), counted("b"), correlation("temporal_ordered", "a", "b", condition="a or b"))
    one = correlation("temporal_ordered", "a", "b", condition={"gte": 1})
    with pytest.raises(UnsupportedRuleError, match="accepts 2 orders"):
        line(counted("a"), counted("b"), one)
    with pytest.raises(UnsupportedRuleError, match="at least two steps"):
        line(counted("a"), correlation("temporal_ordered", "a"))


@pytest.mark.parametrize("inexact", ["refuse", "warn"])
def test_what_has_no_order_is_refused(inexact: str) -> None:
    """Neither a sequence nor a threshold can say that several rules have to match."""
    with pytest.raises(UnsupportedRuleError, match="temporal has no order"):
        line(counted("a"), counted("b"), correlation("temporal", "a", "b"), inexact=inexact)


@pytest.mark.parametrize(
    ("span", "maxspan", "look_back"),
    [("90s", "90s", "1890s"), ("1h", "1h", "90m"), ("2d", "48h", "2910m"), ("120m", "2h", "150m")],
)
def test_the_look_back_is_as_long_as_timespan_interval_and_delay(span: str, maxspan: str, look_back: str) -> None:
    """Five minutes between runs, and 25 within which CloudTrail has delivered."""
    found, _ = line(counted("a"), correlation("event_count", "a", condition=COUNT, timespan=span))
    assert f"maxspan={maxspan}\n" in found["query"]
    assert found["from"] == f"now-{look_back}"


def test_elastic_names_have_their_time_and_their_arrival() -> None:
    """Steps are in order of the time of events; which are new, their arrival tells."""
    block = correlation("event_count", "a", condition=COUNT)
    found, _ = line(counted("a"), block, pipeline=stellar_aws_ecs())
    assert found["query"].startswith("sequence by aws.cloudtrail.user_identity.arn with")
    assert (found["timestamp_field"], found["timestamp_override"]) == ("@timestamp", "event.ingested")
    assert found["required_fields"] == [{"name": "event.action", "type": "keyword"}]


def test_fields_inside_flattened_objects_are_refused() -> None:
    """EQL finds no such column, in a condition or in a key."""
    named = counted("a")
    named["detection"]["selection"] = {"eventName": "DoA", "requestParameters.x": "y"}
    steps = correlation("temporal_ordered", "a", "b")
    with pytest.raises(UnsupportedRuleError, match=r"request_parameters\.x': EQL knows no fields inside"):
        line(named, counted("b"), steps, pipeline=stellar_aws_ecs())
    key = correlation("temporal_ordered", "a", "b", by=("requestParameters.x",))
    with pytest.raises(UnsupportedRuleError, match=r"request_parameters\.x': EQL knows no fields inside"):
        line(counted("a"), counted("b"), key, pipeline=stellar_aws_ecs())


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"type": "text"}, "which logs cannot group by"),
        (None, "does not have"),
        ([{"type": "keyword"}, {"type": "ip"}], "its type differs between the indices"),
        ({"type": "flattened"}, "which logs cannot group by"),
    ],
)
def test_a_key_that_the_store_cannot_join_by_is_refused(mapping: Any, reason: str) -> None:
    """By its mapping: nothing is left to fail at every run."""
    store = profile("elasticsearch", "8.19.0", userIdentity_arn=mapping)
    with pytest.raises(UnsupportedRuleError, match=f"'Together': .*{reason}"):
        line(counted("a"), correlation("event_count", "a", condition=COUNT), store=store)


def test_a_key_is_asked_in_the_sub_field_with_its_exact_text() -> None:
    """As conditions are."""
    both = {"type": "text", "fields": {"keyword": {"type": "keyword"}}}
    store = profile("elasticsearch", "8.19.0", userIdentity_arn=both, eventName=both)
    found, _ = line(counted("a"), correlation("event_count", "a", condition=COUNT), store=store)
    assert found["query"] == (
        "sequence by userIdentity_arn.`keyword` with maxspan=10m\n"
        '  [any where ?eventName.`keyword` in~ ("DoA")] with runs=3'
    ).replace("`", "")


def test_older_kibana_gets_what_it_knows() -> None:
    """Suppression of sequences is of 8.18, lists as keys of 8.6, the name of the time field of 8.3."""
    block = correlation("event_count", "a", condition=COUNT)
    found, told = line(counted("a"), block, stack="8.17")
    assert "alert_suppression" not in found
    assert "8.18" in texts(told, LeftOutWarning)[0]
    assert texts(told, AssumptionWarning) == []
    _, told = line(counted("a"), block, stack="8.5")
    assert texts(told, AssumptionWarning) == [
        "Rule 'Together': before 8.6 it fails where a field that it groups by has a list of values"
    ]
    assert "timestamp_field" in line(counted("a"), block, stack="8.3")[0]
    for stack in ("7.17", "8.2"):
        with pytest.raises(UnsupportedRuleError, match=f"EQL rules of Kibana {stack} go by @timestamp, not timestamp"):
            line(counted("a"), block, stack=stack)
        found, told = line(counted("a"), block, stack=stack, pipeline=stellar_aws(time_field="@timestamp"))
        assert (found["type"], "timestamp_field" in found, "tiebreaker_field" in found) == ("eql", False, False)
        assert "may miss some of the events that have the same time; before 8.6" in texts(told, AssumptionWarning)[0]


THRESHOLDS = [
    (correlation("event_count", "a", condition={"gte": 1}), "EQL repeats an event 2 to 100 times, and this needs 1"),
    (correlation("event_count", "a", condition={"gt": 100}), "and this needs 101"),
    (correlation("value_count", "a", condition={"gte": 5, "field": "eventName"}), "EQL cannot count different values"),
]


@pytest.mark.parametrize(("block", "reason"), THRESHOLDS)
def test_what_is_no_sequence_is_refused_and_the_option_named(block: dict[str, Any], reason: str) -> None:
    """With what a threshold rule would get wrong, so that one can decide."""
    with pytest.raises(UnsupportedRuleError, match=rf"{reason}; .*up to 40m apart instead of 10m.*\(inexact=warn"):
        line(counted("a"), block)


@pytest.mark.parametrize(("block", "reason"), THRESHOLDS)
def test_on_request_it_is_a_threshold_rule_with_a_warning(block: dict[str, Any], reason: str) -> None:
    """Which says in which way it errs: it also counts what is further apart, and only estimates different values."""
    found, told = line(counted("a"), block, inexact="warn")
    needed = block["correlation"]["condition"]
    counts = "field" in needed
    assert found["type"] == "threshold"
    assert found["threshold"] == {
        "field": ["userIdentity_arn"],
        "value": 1 if counts else needed.get("gte", 101),
        "cardinality": [{"field": "eventName", "value": 5}] if counts else [],
    }
    assert (found["language"], found["query"]) == ("lucene", "")
    assert found["filters"][0]["query"] == {"term": {"eventName": {"value": "DoA", "case_insensitive": True}}}
    assert found["from"] == "now-40m"
    assert found["alert_suppression"] == {"duration": {"value": 24, "unit": "h"}}
    [text] = texts(told, InexactCorrelationWarning)
    assert "counts what is up to 40m apart instead of 10m, and so also alerts for less" in text
    assert "does not count late events" in text
    assert ("may also miss some" in text) == counts
    assert not texts(told, AssumptionWarning)


@pytest.mark.parametrize(("stack", "most"), [("9.1", 3), ("9.2", 5)])
def test_a_threshold_has_few_fields(stack: str, most: int) -> None:
    """Three, and five from 9.2 on."""
    fields = ("awsRegion", "eventSource", "recipientAccountId", "userIdentity.arn", "sourceIPAddress", "eventType")
    for number in (most, most + 1):
        block = correlation("event_count", "a", by=fields[:number], condition={"gte": 1})
        if number > most:
            with pytest.raises(UnsupportedRuleError, match=f"groups by {most} fields, not {number} fields"):
                line(counted("a"), block, stack=stack, inexact="warn")
        else:
            assert len(line(counted("a"), block, stack=stack, inexact="warn")[0]["threshold"]["field"]) == number


def test_a_threshold_counts_the_values_of_one_other_field() -> None:
    """Not of several together, nor of one that it groups by."""
    together = correlation("value_count", "a", condition={"gte": 2, "field": ["eventName", "awsRegion"]})
    with pytest.raises(UnsupportedRuleError, match="several fields together"):
        line(counted("a"), together, inexact="warn")
    own = correlation("value_count", "a", condition={"gte": 2, "field": "userIdentity.arn"})
    with pytest.raises(UnsupportedRuleError, match="a field that it groups by"):
        line(counted("a"), own, inexact="warn")


def test_older_kibana_does_not_suppress_alerts_of_thresholds() -> None:
    """It ignores what it does not know, or refuses it; so it is left out, and said."""
    block = correlation("event_count", "a", condition={"gte": 1})
    found, told = line(counted("a"), block, stack="8.11", inexact="warn")
    assert "alert_suppression" not in found
    assert "8.12" in texts(told, LeftOutWarning)[0]


def test_more_fields_than_elastic_suppresses_by_are_told() -> None:
    """The sequence itself joins by any number."""
    by = ("userIdentity.arn", "sourceIPAddress", "awsRegion", "recipientAccountId")
    found, told = line(counted("a"), correlation("event_count", "a", by=by, condition=COUNT))
    assert found["query"].startswith(
        "sequence by userIdentity_arn, sourceIPAddress, awsRegion, recipientAccountId with"
    )
    assert "alert_suppression" not in found
    assert "groups by 4 fields, and Elastic suppresses by 3" in texts(told, LeftOutWarning)[0]


def test_a_rule_beside_it_is_as_without_it() -> None:
    """A correlation changes nothing in other rules."""
    alone = convert("elastic_rule", rule())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        beside = convert("elastic_rule", rule(), counted("a"), correlation("event_count", "a", condition=COUNT))
    assert beside[:1] == alone


def test_two_aliases_of_one_field_are_one_key() -> None:
    """Both always have the same value."""
    aliases = {"who": {"a": "userIdentity.arn"}, "caller": {"a": "userIdentity.arn"}}
    block = correlation("event_count", "a", by=("who", "caller"), aliases=aliases, condition=COUNT)
    found, _ = line(counted("a"), block)
    assert found["query"].startswith("sequence by userIdentity_arn with")
    assert found["alert_suppression"]["group_by"] == ["userIdentity_arn"]
    once = correlation("event_count", "a", by=("who", "caller"), aliases=aliases, condition={"gte": 1})
    assert line(counted("a"), once, inexact="warn")[0]["threshold"]["field"] == ["userIdentity_arn"]
