"""Conditions on whole objects, on any field, and on two fields: in files and on real engines."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning, UnsupportedConditionError
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.query.several_fields import MOST_FIELDS
from sigma_stellar_aws.query.store_profile import MappedField, StoreProfile, profile_from_json
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store
from tests.pipelines.test_stellar_aws import collection, rule
from tests.support.records import record

PARTS: list[JsonObject] = [
    {"requestParameters": {"bucketName": "Logs", "count": 5, "tags": [{"key": "a*b"}, {"key": "c"}]}},
    {"requestParameters": {"policy": '{"Principal":"*"}', "public": True, "cidrIp": "192.0.2.7"}},
    {"requestParameters": None, "errorMessage": "no logs", "userIdentity": {"type": "IAMUser", "userName": "alice"}},
    {"requestParameters": {"userName": "ALICE", "count": 5.0}, "userIdentity": {"type": "x", "userName": "alice"}},
    {"requestParameters": {"userName": ["bob", "alice"]}, "userIdentity": {"type": "x", "userName": "bo"}},
]
RECORDS = [
    record({"eventSource": "s3.amazonaws.com", "eventName": "PutObject", **part}, number=number)
    for number, part in enumerate(PARTS)
]
OBJECT = "requestParameters"
# A selection, and the numbers of the records that it means.
SEARCHES: list[tuple[Any, set[int]]] = [
    ({f"{OBJECT}|contains": "LOGS"}, {0}),
    ({f"{OBJECT}|contains|cased": "LOGS"}, set()),
    ({f"{OBJECT}|contains|all": ["log", "a\\*b"]}, {0}),
    ({f"{OBJECT}|re": "^[{].*Principal"}, {1}),
    ({f"{OBJECT}|exists": True}, {0, 1, 3, 4}),
    ({OBJECT: None}, {2}),
    ({OBJECT: "*"}, {0, 1, 3, 4}),
    ({OBJECT: 5}, {0, 3}),
    ({OBJECT: True}, {1}),
    ({f"{OBJECT}|cidr": "192.0.2.0/24"}, {1}),
    ({f"{OBJECT}|gt": 4}, {0, 3}),
    (["logs"], {0, 2}),
    ({"|all": ["logs", "a\\*b"]}, {0}),
    (["p?tobject"], {0, 1, 2, 3, 4}),
    ({"|re": "^no "}, {2}),
]
COMPARISONS: list[tuple[Any, set[int]]] = [
    ({"userIdentity.userName|fieldref": f"{OBJECT}.userName"}, {3}),
    ({f"{OBJECT}.userName|fieldref|startswith": "userIdentity.userName"}, {3, 4}),
    ({f"{OBJECT}.userName|fieldref|contains": "userIdentity.userName"}, {3, 4}),
    ({f"{OBJECT}.userName|fieldref|endswith": "userIdentity.userName"}, {3}),
    ({"userIdentity.userName|fieldref|neq": f"{OBJECT}.userName"}, {0, 1, 2, 4}),
]


def query_of(selection: Any, store: StoreProfile | None = None) -> JsonObject:
    """What is asked of a store, or of files."""
    backend = StellarAwsBackend(stellar_aws(), store=store, scripts=store is not None)
    backend.searches_files = store is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        [body] = backend.convert(collection(rule({"s": selection, "condition": "s"})))
    query: JsonObject = body["query"]
    return query


@pytest.mark.parametrize(("selection", "expected"), [*SEARCHES, *COMPARISONS], ids=str)
def test_files_are_searched_for_what_the_rule_says(selection: Any, expected: set[int]) -> None:
    """Whatever the fields are called, every value of them counts by itself."""
    matches = compile_query(query_of(selection))
    assert {number for number, each in enumerate(RECORDS) if matches(flatten(each))} == expected


class Index(NamedTuple):
    """An index with the records."""

    client: OpenSearch
    profile: StoreProfile


@pytest.fixture(params=["opensearch", "elasticsearch"], scope="module")
def index(request: pytest.FixtureRequest, url_of_engine: Callable[[str], str]) -> Iterator[Index]:
    """All records, in fields that are keywords."""
    client = connect(url_of_engine(request.param), None, {})
    name = "several-fields"
    keywords = {"all": {"match": "*", "mapping": {"type": "keyword"}}}
    properties = {"timestamp": {"type": "date"}}
    client.indices.create(index=name, body={"mappings": {"dynamic_templates": [keywords], "properties": properties}})
    for number, each in enumerate(RECORDS):
        client.index(index=name, id=str(number), body=flatten(each))
    client.indices.refresh(index=name)
    yield Index(client, profile_from_json(describe_store(client, name)))
    client.indices.delete(index=name)


def test_a_store_is_searched_for_the_same(index: Index) -> None:
    """The fields of the profile are asked. Two are compared on OpenSearch only: this Elasticsearch has no scripts."""
    asked = [*SEARCHES, *(COMPARISONS if index.profile.engine == "opensearch" else [])]
    for selection, expected in asked:
        body = {"query": query_of(selection, index.profile), "_source": False}
        hits = index.client.search(index=index.profile.indices, body=body)["hits"]["hits"]
        assert {int(hit["_id"]) for hit in hits} == expected, selection


def profile(fields: dict[str, MappedField]) -> StoreProfile:
    """A store with some fields."""
    return StoreProfile("some-*", "opensearch", "3.8.0", {name: (field,) for name, field in fields.items()})


def test_how_many_fields_are_asked_is_told() -> None:
    """A field that the store gets later is not asked, which its owner has to know."""
    names = [f"{OBJECT}_a", f"{OBJECT}_b", "eventName"]
    store = profile({name: MappedField(name, "keyword") for name in names})
    with pytest.warns(AssumptionWarning, match=f"asks the 2 fields below {OBJECT} that the store profile has"):
        StellarAwsBackend(stellar_aws(), store=store).convert(collection(rule({f"{OBJECT}|contains": "x"})))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "has no field in it"),
        ({f"{OBJECT}_{n}": "keyword" for n in range(MOST_FIELDS + 1)}, f"201 fields in it, and at most {MOST_FIELDS}"),
        ({f"{OBJECT}_a": "keyword", f"{OBJECT}_b": "date"}, "1 field of other types, such as requestParameters_b"),
        ({f"{OBJECT}_b": "date"}, "none of its 1 field"),
    ],
)
def test_what_a_store_cannot_answer_is_refused(fields: dict[str, str], reason: str) -> None:
    """The message says why: nothing there, too much, or fields that hold something else than texts."""
    store = profile({name: MappedField(name, kind) for name, kind in fields.items()})
    with pytest.raises(UnsupportedConditionError, match=reason):
        query_of({f"{OBJECT}|contains": "x"}, store)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (MappedField("requestParameters_userName", "text"), "has no keyword for 'requestParameters_userName'"),
        (MappedField("requestParameters_userName", "keyword", doc_values=False), "has no keyword for"),
        (MappedField("requestParameters_userName", "keyword", ignore_above=10), "values over 10 characters"),
    ],
)
def test_a_field_that_a_script_does_not_see_is_refused(field: MappedField, reason: str) -> None:
    """A script reads keywords, and of those only values that are indexed."""
    store = profile({field.name: field, "userIdentity_userName": MappedField("userIdentity_userName", "keyword")})
    with pytest.raises(UnsupportedConditionError, match=reason):
        query_of(COMPARISONS[0][0], store)
