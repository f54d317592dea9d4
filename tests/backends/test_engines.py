"""Queries on real engines: the same hits as in process, whatever converts the rules."""

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from opensearchpy import OpenSearch
from sigma.backends.elasticsearch.elasticsearch_esql import ESQLBackend
from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend
from sigma.collection import SigmaCollection
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.pack import convert_pack, pack_fields
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import Json, Scalar
from sigma_stellar_aws.logs.flatten import document_id, flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.query import decimal_regex, dsl, lucene_regex, store_profile
from sigma_stellar_aws.query.cut_values import cut_values
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query, matched_queries
from sigma_stellar_aws.query.index_template import index_template
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS, Document
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.stellar_block import rule_name
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents
from sigma_stellar_aws.store.mapping import count_each, describe_store
from sigma_stellar_aws.store.scan import scan
from tests.support.records import cases, record

RANDOM_QUERIES = 1000
PIPELINES = pytest.mark.parametrize("pipeline", [stellar_aws, stellar_aws_published])


class Engine(NamedTuple):
    """An engine with an index of all test events."""

    client: OpenSearch
    name: str
    """Of the index."""
    documents: dict[str, Document]
    """The events of the index by their ids there."""

    def hits(self, query: Clause) -> set[str]:
        """Ids of the events that match."""
        body = {**dsl.search(query), "size": 10000, "_source": False}
        answer = self.client.search(index=self.name, body=body)
        assert answer["_shards"]["failed"] == 0
        return {hit["_id"] for hit in answer["hits"]["hits"]}

    def hits_in_process(self, query: Clause) -> set[str]:
        """Ids of the events that match in our own matcher."""
        matches = compile_query(query)
        return {name for name, document in self.documents.items() if matches(document)}


@pytest.fixture(scope="module")
def engine(engine_url: str) -> Iterator[Engine]:
    """Each engine in turn, with all test events in an index made as `load` makes it."""
    client = connect(engine_url, None, {})
    documents = {document_id(document): document for document in (flatten(case.record) for case in cases())}
    create_index(client, "cloudtrail-cases", pack_fields())
    assert load_documents(client, "cloudtrail-cases", documents.values()) == (len(documents), 0, 0)
    yield Engine(client, "cloudtrail-cases", documents)
    client.indices.delete(index="cloudtrail-cases")


@PIPELINES
def test_every_converted_query_finds_what_its_cases_say(engine: Engine, pipeline: Callable[[], Any]) -> None:
    """Each rule's own query finds its hits and no others, published and corrected, as the matcher does."""
    for rule in load_rules().rules:
        assert isinstance(rule, SigmaRule)
        title = rule.title
        [body] = StellarAwsBackend(pipeline()).convert(SigmaCollection([rule]))
        hits = engine.hits(body["query"])
        assert hits == engine.hits_in_process(body["query"]), title
        own = {
            document_id(flatten(case.record)): case.published if pipeline is stellar_aws_published else case.expected
            for case in cases()
            if case.rule == title
        }
        assert {event for event in hits if event in own} == {event for event, expected in own.items() if expected}, (
            title
        )


@PIPELINES
def test_pack_attributes_every_hit_as_the_matcher_does(engine: Engine, pipeline: Callable[[], Any]) -> None:
    """The pack finds every event of every rule, and `matched_queries` names the same rules as in process."""
    pack = convert_pack(load_rules(), pipeline())
    found = {
        str(hit.source["eventID"]): sorted(hit.matched_queries)
        for hit in scan(engine.client, engine.name, pack.query, EVENT_FIELDS, time_field=None)
    }
    names = matched_queries(pack.query)
    expected = {str(document["eventID"]): sorted(names(document)) for document in engine.documents.values()}
    assert found == {event: rules for event, rules in expected.items() if rules}
    assert len(found) > 40


@PIPELINES
@pytest.mark.parametrize("backend", [LuceneBackend, OpensearchLuceneBackend])
def test_stock_lucene_text_finds_the_same(engine: Engine, pipeline: Callable[[], Any], backend: type) -> None:
    """The Lucene text of the stock backends, with our pipelines, finds what the native queries find."""
    for title, text, native in _both(backend, pipeline):
        assert engine.hits({"query_string": {"query": text}}) == engine.hits(native), title


@PIPELINES
@pytest.mark.filterwarnings("ignore::opensearchpy.exceptions.OpenSearchWarning")
def test_stock_esql_text_finds_the_same(elasticsearch_url: str, pipeline: Callable[[], Any]) -> None:
    """The ES|QL text of the stock backend finds what the native queries find, in fields that have one value."""
    client = connect(elasticsearch_url, None, {})
    documents = {document_id(document): document for document in (flatten(case.record) for case in cases())}
    create_index(client, "aella-cloudtrail-esql", pack_fields())
    load_documents(client, "aella-cloudtrail-esql", documents.values())
    try:
        for title, text, native in _both(ESQLBackend, pipeline):
            query = {"query": f"{text} | keep _id | limit 10000"}
            answer = client.transport.perform_request("POST", "/_query", body=query)
            matches = compile_query(native)
            compared = {field for kind, field, _ in dsl.leaves(native) if kind != "exists"}
            # ES|QL compares no field that has several values in a document; it warns and takes it for null.
            expected = {
                event
                for event, document in documents.items()
                if matches(document) and not any(_several(document.get(field)) for field in compared)
            }
            assert {row[0] for row in answer["values"]} == expected, title
    finally:
        client.indices.delete(index="aella-cloudtrail-esql")


def test_template_is_accepted_and_rejects_no_shape_of_a_record(engine_url: str, elasticsearch_url: str) -> None:
    """Under the template an engine takes every shape that CloudTrail records have, and finds it again."""
    client = connect(engine_url, None, {})
    shapes: list[Json] = [
        {"maxResults": 5},
        {"maxResults": "five"},
        {"maxResults": True},
        {"maxResults": {"nested": [1, "two", None, {"deep": 2.5}]}},
        {"date": "2015-02-01"},
        {"date": "Wed May 01 12:34:56 UTC 2024"},
        {"date": 1714567890123},
        {"policyDocument": "x" * 60000},
        {"other": "\N{SNOWMAN}" * 10922},
        {"x-amz-acl": "", "aws:s3:arn": "a", "key with blanks": "b", "a.b": "c", ".": "d", "": "e"},
        {f"key{number}": number for number in range(1200)},
    ]
    events: list[Document] = [
        flatten(record({"eventSource": "s3.amazonaws.com", "eventName": "Any", "requestParameters": shape}, number=n))
        for n, shape in enumerate(shapes)
    ]
    events.append(flatten({**record({"eventSource": "s3.amazonaws.com", "eventName": "Any"}), "eventTime": "never"}))
    client.indices.put_index_template(name="sigma-stellar-aws-test", body=index_template("shapes-*", pack_fields()))
    try:
        assert load_documents(client, "shapes-1", events).rejected == 0
        assert client.count(index="shapes-1")["count"] == len(events)
        mapped = client.indices.get_mapping(index="shapes-1")["shapes-1"]["mappings"]["properties"]
        assert pack_fields() <= set(mapped)
        for query in (
            dsl.term("requestParameters_maxResults", "5"),
            dsl.term("requestParameters_maxResults_nested_deep", "2.5"),
            dsl.term("requestParameters_other", "\N{SNOWMAN}" * 10922),
            dsl.exists("timestamp"),
            dsl.bounds("timestamp", gte=str(events[3]["timestamp"]), format="epoch_millis"),
        ):
            matches = compile_query(query)
            expected = sum(matches(event) for event in events)
            assert client.count(index="shapes-1", body=dsl.search(query))["count"] == expected, query
        assert _cut(client, "shapes-1", "requestParameters_maxResults") in (0, None)
        # OpenSearch does not keep track of what it ignored.
        known = 1 if engine_url == elasticsearch_url else None
        assert _cut(client, "shapes-1", "requestParameters_policyDocument") == known
    finally:
        client.indices.delete(index="shapes-1", ignore=404)
        client.indices.delete_index_template(name="sigma-stellar-aws-test")


def _cut(client: OpenSearch, index: str, field: str) -> int | None:
    """How many events have a value in a field that is too long to be indexed; None where nothing tells."""
    profile = store_profile.profile_from_json(describe_store(client, index))
    clause = cut_values(profile.all_mappings(), [field], profile.engine)
    return None if clause is None else count_each(client, index, {"cut": clause}).counts["cut"]


def test_random_queries_find_the_same_as_the_matcher(engine: Engine) -> None:
    """Random conditions of every kind over random documents: engine and matcher agree on each of them."""
    seed = random.randrange(1 << 32)
    print(f"seed: {seed}")
    chance = random.Random(seed)
    documents: dict[str, Document] = {str(number): _random_document(chance) for number in range(150)}
    index = "random-documents"
    create_index(engine.client, index, [])
    try:
        operations = [
            line
            for name, document in documents.items()
            for line in ({"index": {"_index": index, "_id": name}}, document)
        ]
        assert not engine.client.bulk(body=operations, refresh=True)["errors"]
        scratch = Engine(engine.client, index, documents)
        queries = [_random_query(chance, 3) for _ in range(RANDOM_QUERIES)]
        found = 0
        for start in range(0, len(queries), 100):
            batch = queries[start : start + 100]
            lines: list[Any] = []
            for query in batch:
                lines += [{"index": index}, {**dsl.search(query), "size": 300, "_source": False}]
            for query, answer in zip(batch, engine.client.msearch(body=lines)["responses"], strict=True):
                assert "error" not in answer, (seed, query, answer)
                hits = {hit["_id"] for hit in answer["hits"]["hits"]}
                assert hits == scratch.hits_in_process(query), (seed, query)
                found += bool(hits)
        assert found > RANDOM_QUERIES / 4
    finally:
        engine.client.indices.delete(index=index)


def _several(value: Scalar | list[Scalar] | None) -> bool:
    return isinstance(value, list) and len(value) > 1


def _both(backend: type, pipeline: Callable[[], Any]) -> Iterator[tuple[str, str, Clause]]:
    """Title, text of a stock backend and native query of each rule."""
    native = {
        body["query"]["bool"]["_name"]: body["query"] for body in StellarAwsBackend(pipeline()).convert(load_rules())
    }
    for rule in load_rules().rules:
        [text] = backend(pipeline()).convert(SigmaCollection([rule]))
        yield rule.title, text, native[rule_name(rule)]


FIELDS = ("eventName", "userAgent", "requestParameters_policyDocument", "errorCode", "requestParameters_n")
WORDS = ("a", "A", "aB", "Ab", "b*", "c?", "d\\e", "", "é", "É", "ab\ncd", "10", "9", "2.5", "-3", "true", "x.y", "[z]")


def _random_value(chance: random.Random) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: chance.choice(WORDS),
        lambda: "".join(chance.choices(WORDS, k=chance.randint(1, 4))),
        lambda: chance.randint(-20, 20),
        lambda: chance.choice((2.5, 0.1, -7.25)),
        lambda: chance.random() < 0.5,
    ]
    return chance.choice(kinds)()


def _random_document(chance: random.Random) -> Document:
    document: Document = {}
    for field in FIELDS:
        count = chance.choice((0, 1, 1, 1, 3))
        values = [_random_value(chance) for _ in range(count)]
        if count == 1:
            document[field] = values[0]
        elif values:
            document[field] = values
    return document


def _random_query(chance: random.Random, depth: int) -> Clause:
    if depth and chance.random() < 0.5:
        children = [_random_query(chance, depth - 1) for _ in range(chance.randint(1, 3))]
        builders: list[Callable[[], Clause]] = [
            lambda: dsl.all_of(children),
            lambda: dsl.any_of(children),
            lambda: dsl.none_of(children[0]),
        ]
        return chance.choice(builders)()
    field, fold = chance.choice(FIELDS), chance.random() < 0.5
    text = str(_random_value(chance))
    part = text[chance.randrange(len(text) + 1) :]
    numbers = chance.choice((-3, 0, 2.5, 9, 10))
    leaves: list[Callable[[], Clause]] = [
        lambda: dsl.term(field, text, case_insensitive=fold),
        lambda: dsl.term(field, chance.choice((True, False, 9, 10, -3, "2.5"))),
        lambda: dsl.terms(field, [text, 10, True]),
        lambda: dsl.prefix(field, part, case_insensitive=fold),
        lambda: dsl.wildcard(field, f"*{dsl.escape_wildcard(part)}*", case_insensitive=fold),
        lambda: dsl.wildcard(field, f"{dsl.escape_wildcard(part)}?", case_insensitive=fold),
        lambda: dsl.exists(field),
        lambda: _regexp(field, chance),
        lambda: dsl.regexp(field, decimal_regex.comparison(chance.choice(("gt", "gte", "lt", "lte")), numbers)),
    ]
    return chance.choice(leaves)()


_REGEXES = (r"^a", r"b$", r"[^ab]", r"(a|b)+", r"\d{2}", r"d\\e", r"^\S+$", r"a.c", r"[é]", r"^(true|10)$", r"\[z\]")


def _regexp(field: str, chance: random.Random) -> Clause:
    pattern, fold = lucene_regex.translate(chance.choice(_REGEXES), ignore_case=chance.random() < 0.5)
    return dsl.regexp(field, pattern, case_insensitive=fold)
