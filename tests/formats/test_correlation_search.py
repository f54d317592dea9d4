"""Searches for the keys for which a correlation can be complete: none is missed, and others are of wider windows."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk
from sigma.exceptions import SigmaError

from sigma_stellar_aws.base.sigma_errors import UnsupportedRuleError
from sigma_stellar_aws.query.index_template import index_mappings, index_settings
from sigma_stellar_aws.store.client import connect
from tests.conftest import Report
from tests.support.correlated import CORRELATION_ID, correlation, counted
from tests.support.correlation_oracle import Event, completions
from tests.support.formats import convert
from tests.support.random_correlations import random_block, random_events
from tests.support.settings import RANDOM_SEED

INDEX = "cloudtrail-correlated"
ROUNDS, EVENTS_OF_EACH = 60, 12
FIELDS = {name: f"requestParameters.{name}" for name in "uvw"}
SECOND = 1000


def search(block: Mapping[str, Any]) -> Any:
    """The search of a correlation of the rules a to d."""
    document = {"title": "Together", "id": CORRELATION_ID, "correlation": dict(block)}
    *_, body = convert("default", *map(counted, "abcd"), document)
    return body


# What it is


def test_windows_are_twice_as_long_as_the_timespan_and_begin_each_timespan() -> None:
    """So that each window of the correlation, both ends included, lies within one of them."""
    block = correlation("event_count", "a", by=("userIdentity.arn", "awsRegion"), condition={"gte": 3})["correlation"]
    body = search(block)
    assert body["size"] == 0
    assert body["query"]["bool"]["_name"] == CORRELATION_ID
    assert [*body["aggs"]] == ["superset", "superset_shifted"]
    for name, offset in (("superset", {}), ("superset_shifted", {"offset": "600s"})):
        aggregation = body["aggs"][name]
        assert aggregation["composite"]["sources"] == [
            {"userIdentity.arn": {"terms": {"field": "userIdentity_arn"}}},
            {"awsRegion": {"terms": {"field": "awsRegion"}}},
            {"(window)": {"date_histogram": {"field": "timestamp", "fixed_interval": "1200s", **offset}}},
        ]
        assert aggregation["aggs"]["can_be_complete"]["bucket_selector"] == {
            "buckets_path": {"counted": "_count"},
            "script": {"lang": "painless", "source": "params.counted >= params.least", "params": {"least": 3}},
        }


def test_what_it_finds_is_named_a_superset() -> None:
    """In each answer, too, since servers repeat `meta`."""
    body = search(correlation("event_count", "a", condition={"gte": 3})["correlation"])
    for aggregation in body["aggs"].values():
        assert aggregation["meta"]["rule"] == CORRELATION_ID
        assert "not every bucket is of such a key" in aggregation["meta"]["superset"]


def test_values_are_counted_as_far_as_is_needed() -> None:
    """The pages of an answer are as long as the buckets of a server allow."""
    block = correlation("value_count", "a", condition={"gte": 200, "field": ["eventName", "awsRegion"]})["correlation"]
    aggregation = search(block)["aggs"]["superset"]
    page = aggregation["composite"]["size"]
    assert 2 * page * 201 <= 65_535 < 2 * (page + 1) * 201
    assert aggregation["aggs"]["values"] == {
        "multi_terms": {"terms": [{"field": "eventName"}, {"field": "awsRegion"}], "size": 200, "shard_size": 200}
    }
    too_many = correlation("value_count", "a", condition={"gte": 32_767, "field": "eventName"})["correlation"]
    with pytest.raises(UnsupportedRuleError, match="counts 32,767 values"):
        search(too_many)


def test_values_in_different_fields_are_refused() -> None:
    """One aggregation counts the values of the same fields in all events."""
    aliases = {"what": {"a": "eventName", "b": "awsRegion"}}
    block = correlation("value_count", "a", "b", condition={"gte": 2, "field": "what"}, aliases=aliases)
    with pytest.raises(UnsupportedRuleError, match=r"values in different fields \(eventName and awsRegion\)"):
        search(block["correlation"])


# What it finds


class Store(NamedTuple):
    """An OpenSearch with an index; the Elasticsearch that tests can start has no scripts."""

    client: OpenSearch

    def load(self, number: int, events: Sequence[Event]) -> None:
        """Index events of one round, far from those of others."""
        documents = [
            {"_index": INDEX, "_id": f"{number}-{event.name}", "round": str(number), **as_document(event)}
            for event in events
        ]
        bulk(self.client, documents, refresh=True)

    def keys(self, number: int, body: Any) -> set[tuple[tuple[str, ...], int, int]]:
        """The keys that a search finds among the events of a round, with their windows, over all pages."""
        found = set()
        query = {"bool": {"filter": [body["query"], {"term": {"round": str(number)}}]}}
        for name, aggregation in body["aggs"].items():
            after: dict[str, Any] = {}
            while True:
                composite = {**aggregation["composite"], "size": 3, **({"after": after} if after else {})}
                page = {**aggregation, "composite": composite}
                answer = self.client.search(index=INDEX, body={**body, "query": query, "aggs": {name: page}})
                assert answer["_shards"]["failed"] == 0
                result = answer["aggregations"][name]
                assert result["meta"] == aggregation["meta"]
                for bucket in result["buckets"]:
                    *key, window = bucket["key"].values()
                    found.add((tuple(map(str, key)), window, window + length(composite)))
                after = result.get("after_key")
                if not after:
                    break
        return found


def length(composite: Mapping[str, Any]) -> int:
    """How long the windows are, in milliseconds."""
    histogram = composite["sources"][-1]["(window)"]["date_histogram"]
    return int(histogram["fixed_interval"].removesuffix("s")) * SECOND


def as_document(event: Event) -> dict[str, Any]:
    """An event as an index has it; its name holds the letters of all rules that it matches."""
    fields = {name.replace(".", "_"): value for name, value in event.fields.items() if value is not None}
    return {"timestamp": event.time, "eventName": "".join(sorted(event.rules)), **fields}


def lettered(letter: str) -> dict[str, Any]:
    """A rule about events with a letter in their names."""
    named = counted(letter)
    named["detection"]["selection"] = {"eventName|contains": letter}
    return named


def with_fields(block: dict[str, Any]) -> dict[str, Any]:
    """A random correlation of CloudTrail's own fields."""
    named = dict(block)
    named["group-by"] = [FIELDS.get(name, name) for name in block.get("group-by", [])]
    if "aliases" in block:
        aliases = block["aliases"].items()
        named["aliases"] = {alias: {rule: FIELDS[f] for rule, f in fields.items()} for alias, fields in aliases}
    if isinstance(block.get("condition"), dict) and "field" in block["condition"]:
        field = block["condition"]["field"]
        counted_fields = [FIELDS[name] for name in field] if isinstance(field, list) else FIELDS[field]
        named["condition"] = {**block["condition"], "field": counted_fields}
    return named


@pytest.fixture(scope="module")
def store(opensearch_url: str) -> Iterator[Store]:
    """An empty index, as our template maps it."""
    client = connect(opensearch_url, None, {})
    client.indices.delete(index=INDEX, ignore_unavailable=True)
    client.indices.create(index=INDEX, body={"settings": index_settings(), "mappings": index_mappings()})
    yield Store(client)
    client.indices.delete(index=INDEX)


def test_no_key_is_missed_and_others_are_enough_in_a_wider_window(store: Store, report: Report) -> None:
    """Of random correlations over random events, of equal times, too, and with lists, aliases and missing fields."""
    draw = random.Random(f"{RANDOM_SEED} searches")
    complete = found = 0
    for number in range(ROUNDS):
        block = with_fields(random_block(draw, {}))
        events = [
            event._replace(fields={FIELDS[name]: value for name, value in event.fields.items()})
            for event in random_events(draw, EVENTS_OF_EACH)
        ]
        document = {"title": "Together", "id": CORRELATION_ID, "correlation": block}
        try:
            *_, body = convert("default", *map(lettered, "abcd"), document)
        except SigmaError as error:
            assert "too many" in str(error) or "different fields" in str(error), block  # noqa: PT017
            continue
        store.load(number, events)
        keys = store.keys(number, body)
        span = length(body["aggs"]["superset"]["composite"]) // 2
        expected = completions(block, {}, events)
        for key, time in expected:
            assert any(each == key and start <= time - span and time < end for each, start, end in keys), (
                f"{key} at {time}: {block} {events}"
            )
        complete += len({key for key, _ in expected})
        found += len({key for key, _, _ in keys})
    report(f"searches for keys: {ROUNDS} correlations, {complete} complete keys, {found} found")
    assert complete > ROUNDS
    assert found < 4 * complete


def test_a_page_of_both_aggregations_fits_an_answer(store: Store) -> None:
    """Where each key of it has as many values as are needed."""
    needed = 1000
    block = correlation("value_count", "a", condition={"gte": needed, "field": "requestParameters.w"})
    *_, body = convert("default", counted("a"), block)
    page = body["aggs"]["superset"]["composite"]["size"]
    values = [str(number) for number in range(needed)]
    documents = [
        {
            "_index": INDEX,
            "timestamp": 0,
            "eventName": "DoA",
            "userIdentity_arn": f"of a page {number}",
            "requestParameters_w": values,
        }
        for number in range(page)
    ]
    bulk(store.client, documents, refresh=True)
    answer = store.client.search(index=INDEX, body=body)
    assert {len(each["buckets"]) for each in answer["aggregations"].values()} == {page}


@pytest.mark.parametrize("kind", ["event_count", "value_count", "temporal_ordered"])
def test_elasticsearch_takes_the_windows_too(elasticsearch_url: str, kind: str) -> None:
    """All but the condition on the numbers, for which the one that tests can start has no language, nor multi_terms."""
    block = correlation(kind, "a", "b")["correlation"]
    if kind != "temporal_ordered":
        block["condition"] = {"gte": 2, **({"field": "eventName"} if kind == "value_count" else {})}
    body = search(block)
    client = connect(elasticsearch_url, None, {})
    client.indices.delete(index=INDEX, ignore_unavailable=True)
    client.indices.create(index=INDEX, body={"settings": index_settings(), "mappings": index_mappings()})
    events = [
        {"_index": INDEX, "timestamp": minute * 60 * SECOND, "userIdentity_arn": "x", **event}
        for minute, event in (
            (9, {"eventName": "DoA", "awsRegion": "r"}),
            (19, {"eventName": "DoB", "awsRegion": "r"}),
            (31, {"eventName": "DoA", "awsRegion": "r"}),
        )
    ]
    bulk(client, events, refresh=True)
    for aggregation in body["aggs"].values():
        aggregation["aggs"] = {name: each for name, each in aggregation["aggs"].items() if name != "can_be_complete"}
    found = client.search(index=INDEX, body=body)["aggregations"]
    client.indices.delete(index=INDEX)
    counts = {name: [bucket["doc_count"] for bucket in found[name]["buckets"]] for name in found}
    # From 0 to 20 and from 20 to 40 minutes; from -10 to 10, from 10 to 30 and from 30 to 50.
    assert counts == {"superset": [2, 1], "superset_shifted": [1, 1, 1]}
