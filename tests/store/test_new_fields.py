"""Fields that are new in a batch are mapped at once, as the store would map them one by one."""

import uuid
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents
from tests.support import proxy
from tests.support.proxy import Asked

DOCUMENTS: list[Document] = [
    {"eventID": "1", "eventName": "A", "readOnly": True, "requestParameters_maxResults": 7, "time_of": "2026-01-05"},
    {"eventID": "2", "requestParameters_filter": ["a", 5, True], "requestParameters_maxResults": "many"},
    {"eventID": "3", "requestParameters_filter": "b", "requestParameters_size": 0.5},
]


@pytest.fixture
def index(engine_url: str) -> Iterator[str]:
    """The name of an index that is removed at the end."""
    name = f"fields-{uuid.uuid4().hex}"
    yield name
    client = connect(engine_url, None, {})
    for made in client.indices.get(index=f"{name}*"):
        client.indices.delete(index=made)


def mapping(client: OpenSearch, index: str) -> JsonObject:
    """How an index maps its fields."""
    found: JsonObject = client.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    return found


def changes(asked: Asked) -> bool:
    """Whether a request changes a mapping."""
    return asked.method == "PUT" and asked.path.partition("?")[0].endswith("/_mapping")


def test_fields_are_mapped_as_the_store_maps_them(engine_url: str, index: str) -> None:
    """The mapping is the one that the store makes of the same documents, from one request, and no other follows."""
    by_itself = f"{index}-by-itself"
    with proxy.proxy(engine_url, lambda asked: None) as between:
        client = connect(between.url, None, {})
        for name in (index, by_itself):
            create_index(client, name, [])
        for document in DOCUMENTS:
            client.index(index=by_itself, body=document)
        for _ in range(2):
            load_documents(client, index, DOCUMENTS)
        assert [changes(asked) for asked in between.asked].count(True) == 1
    assert mapping(client, index) == mapping(client, by_itself)


def test_a_mapping_that_is_not_ours_is_left_to_the_store(engine_url: str, index: str) -> None:
    """Where an index has templates of its own, or maps nothing by itself, they decide."""
    ours = index_mappings()
    others: list[JsonObject] = [
        {},
        {**ours, "dynamic": False},
        {**ours, "dynamic_templates": [{"values": {"match_mapping_type": "*", "mapping": {"type": "text"}}}]},
    ]
    with proxy.proxy(engine_url, lambda asked: None) as between:
        client = connect(between.url, None, {})
        for number, body in enumerate(others):
            client.indices.create(index=f"{index}-{number}", body={"mappings": body})
            load_documents(client, f"{index}-{number}", DOCUMENTS[:1])
        assert not any(map(changes, between.asked))


def test_fields_that_cannot_be_mapped_stop_nothing(engine_url: str, index: str) -> None:
    """Where the store refuses to map fields, it is still asked to take the events, and tells which it does not."""
    refusing = proxy.proxy(engine_url, lambda asked: proxy.status(403) if changes(asked) else None)
    with refusing as between:
        client = connect(between.url, None, {})
        create_index(client, index, [])
        assert load_documents(client, index, DOCUMENTS) == (3, 0, 0)
        assert any(map(changes, between.asked))


def test_names_with_dots(engine_url: str, index: str) -> None:
    """A list under a name with a dot is loaded and found; one that cannot be a field is told of its own event alone."""
    client = connect(engine_url, None, {})
    create_index(client, index, [])
    dotted: Document = {"eventID": "4", "requestParameters_tags_kubernetes.io/role": ["node", "edge"]}
    clashing: Document = {"eventID": "5", "eventName.part": "a"}
    rejected: list[str] = []
    loaded = load_documents(
        client, index, [dotted, clashing, *DOCUMENTS], on_rejected=lambda each: rejected.append(each.event_id)
    )
    assert (loaded.created, rejected) == (4, ["5"])
    query = dsl.search(dsl.term("requestParameters_tags_kubernetes.io/role", "node"))
    assert client.count(index=index, body=query)["count"] == 1
