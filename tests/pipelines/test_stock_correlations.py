"""What stock backends make of correlations through our pipelines, and what the reference says of it.

A test that fails with a newer version of them means that the reference is to say something else.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from eql import EqlError
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk
from sigma.backends.elasticsearch.elasticsearch_eql import EqlBackend
from sigma.backends.elasticsearch.elasticsearch_esql import ESQLBackend
from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.collection import SigmaCollection

from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.store.client import connect
from tests.support.correlated import correlation, counted
from tests.support.eql_model import sequence_of

INDEX = "cloudtrail-stock"
MINUTE = 60_000
COUNT = {"gte": 3}


def esql(*rules: dict[str, Any], time_field: str = "@timestamp") -> str:
    """What the backend for ES|QL makes of rules, the last of which is a correlation."""
    *_, text = ESQLBackend(stellar_aws(INDEX, time_field)).convert(SigmaCollection.from_dicts([*rules]))
    return str(text)


def eql(*rules: dict[str, Any]) -> str:
    """What the backend for EQL makes of them."""
    *_, text = EqlBackend(stellar_aws()).convert(SigmaCollection.from_dicts([*rules]))
    return str(text)


# ES|QL


@pytest.fixture
def store(elasticsearch_url: str) -> Iterator[OpenSearch]:
    """An Elasticsearch with an empty index of keywords."""
    client = connect(elasticsearch_url, None, {})
    client.indices.delete(index=INDEX, ignore_unavailable=True)
    keywords = {name: {"type": "keyword"} for name in ("eventName", "eventSource", "userIdentity_arn")}
    mappings = {"properties": {"@timestamp": {"type": "date"}, **keywords}}
    client.indices.create(index=INDEX, body={"mappings": mappings})
    yield client
    client.indices.delete(index=INDEX)


def found(store: OpenSearch, text: str, events: Iterable[tuple[int, dict[str, str]]]) -> int:
    """How many rows a query finds, among these events at so many minutes."""
    documents = [
        {"_index": INDEX, "@timestamp": minutes * MINUTE, "userIdentity_arn": "arn", **event}
        for minutes, event in events
    ]
    bulk(store, documents, refresh=True)
    return len(store.transport.perform_request("POST", "/_query", body={"query": text})["values"])


@pytest.mark.parametrize(("first", "rows"), [(0, 1), (4, 1), (9, 0)])
def test_windows_of_esql_begin_on_the_clock(store: OpenSearch, first: int, rows: int) -> None:
    """Three events within two minutes are missed if one of the ten minutes of a clock ends between them."""
    text = esql(counted("a"), correlation("event_count", "a", condition=COUNT))
    events = [(first + minutes, {"eventName": "DoA"}) for minutes in range(3)]
    assert found(store, text, events) == rows


@pytest.mark.parametrize(
    ("events", "rows"),
    [
        ([{"eventName": "DoA", "eventSource": "s"}], 0),
        ([{"eventName": "DoA", "eventSource": "x"}, {"eventName": "x", "eventSource": "s"}], 1),
    ],
)
def test_an_event_of_two_rules_is_one_of_the_first_for_esql(
    store: OpenSearch, events: list[dict[str, str]], rows: int
) -> None:
    """For `alerts` it counts for each rule that it matches."""
    other = counted("b")
    other["detection"]["selection"] = {"eventSource": "s"}
    text = esql(counted("a"), other, correlation("temporal", "a", "b"))
    assert found(store, text, enumerate(events)) == rows


def test_esql_has_no_several_fields_no_order_no_aliases_and_another_time_field() -> None:
    """The second field is taken for the precision of the first, and `@timestamp` is asked whatever the time is."""
    together = correlation("value_count", "a", condition={"gte": 3, "field": ["awsRegion", "eventType"]})
    assert "count_distinct(awsRegion, eventType)" in esql(counted("a"), together)
    one = correlation("value_count", "a", condition={"gte": 3, "field": "awsRegion"})
    assert "date_trunc(10minutes, @timestamp)" in esql(counted("a"), one, time_field="timestamp")
    with pytest.raises(NotImplementedError, match="temporal_ordered"):
        esql(counted("a"), counted("b"), correlation("temporal_ordered", "a", "b"))
    aliases = {"who": {"a": "userIdentity.arn", "b": "requestParameters.userName"}}
    with pytest.raises(NotImplementedError, match="normalization"):
        esql(counted("a"), counted("b"), correlation("temporal", "a", "b", by=("who",), aliases=aliases))


# EQL


@pytest.mark.parametrize("condition", [{"gte": 3}, {"gt": 3}, {"lte": 3}, {"eq": 3}])
def test_eql_drops_the_operator(condition: dict[str, int]) -> None:
    """More than three, at most three and just three are all three, one after the other."""
    sequence = sequence_of(eql(counted("a"), correlation("event_count", "a", condition=condition)))
    assert len(sequence.steps) == 3


def test_eql_repeats_more_often_than_elasticsearch_takes() -> None:
    """Which is up to a hundred times."""
    assert "runs=200" in eql(counted("a"), correlation("event_count", "a", condition={"gte": 200}))


def test_eql_makes_an_order_of_rules_that_are_counted_together() -> None:
    """First one event of the first rule, then three of the second."""
    text = eql(counted("a"), counted("b"), correlation("event_count", "a", "b", condition=COUNT))
    assert [str(step.query).count("DoA") for step in sequence_of(text).steps] == [1, 0, 0, 0]


def test_eql_counts_equal_values() -> None:
    """It joins the events by the field whose different values are to be counted."""
    block = correlation("value_count", "a", condition={"gte": 3, "field": "awsRegion"})
    assert {step.by for step in sequence_of(eql(counted("a"), block)).steps} == {("userIdentity_arn", "awsRegion")}


def test_eql_knows_no_time_without_order() -> None:
    """A sample has no timespan."""
    text = eql(counted("a"), counted("b"), correlation("temporal", "a", "b"))
    assert text.startswith("sample by userIdentity_arn")
    assert "maxspan" not in text


def test_an_order_in_eql_cannot_be_read() -> None:
    """A `by` without a field."""
    with pytest.raises(EqlError):
        sequence_of(eql(counted("a"), counted("b"), correlation("temporal_ordered", "a", "b")))


def test_lucene_refuses_correlations() -> None:
    """Until a version that counts in one window."""
    rules = SigmaCollection.from_dicts([counted("a"), correlation("event_count", "a", condition=COUNT)])
    with pytest.raises(NotImplementedError, match="does not support correlation rules"):
        LuceneBackend(stellar_aws()).convert(rules)
