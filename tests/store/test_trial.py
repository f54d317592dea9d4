"""Which rules a store takes, and in how few queries: on real engines."""

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.clause_count import MOST_CLAUSES
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Engine
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store
from sigma_stellar_aws.store.trial import AcceptedQueries, accepted_queries, most_clauses
from tests.support import proxy

INDEX = "trial"
TOO_COMPLEX = dsl.regexp("k", ".*a.{20}b.*")


@pytest.fixture(scope="module")
def client(engine_url: str) -> Iterator[OpenSearch]:
    """Each engine in turn, with an event in an index."""
    connection = connect(engine_url, None, {})
    properties = {"k": {"type": "keyword"}}
    connection.indices.create(index=INDEX, body={"mappings": {"properties": properties}})
    connection.index(index=INDEX, body={"k": "x"}, params={"refresh": "true"})
    yield connection
    connection.indices.delete(index=INDEX)


def engine_of(client: OpenSearch) -> Engine:
    """Which engine it is."""
    return "opensearch" if describe_store(client, INDEX)["engine"] == "opensearch" else "elasticsearch"


def rules(count: int) -> list[Clause]:
    """Named clauses that ask something each."""
    return [dsl.named(dsl.prefix("k", f"{number}-"), str(number)) for number in range(count)]


def tried(client: OpenSearch, clauses: list[Clause]) -> AcceptedQueries:
    """What the store takes of them."""
    return accepted_queries(client, INDEX, engine_of(client), clauses)


def names(accepted: AcceptedQueries) -> list[str]:
    """The names of all clauses that are taken."""
    return [name for query in accepted.queries for name, _ in dsl.named_clauses(query)]


def test_rules_that_go_into_one_query_are_one(client: OpenSearch) -> None:
    """Few rules make one query, which nothing is added to; more make as few as their clauses go into."""
    clauses = rules(3000)
    assert tried(client, clauses[:29]) == AcceptedQueries([dsl.pack(clauses[:29])], {})
    many = tried(client, clauses)
    assert (len(many.queries), many.refused) == (3, {})
    assert names(many) == [str(number) for number in range(3000)]


@pytest.mark.parametrize("place", [0, 7, 199])
def test_the_others_stay_together(client: OpenSearch, place: int) -> None:
    """A rule that is refused is found wherever it stands, and the others are one query all the same."""
    clauses = rules(200)
    clauses[place] = dsl.named(TOO_COMPLEX, "bad")
    accepted = tried(client, clauses)
    assert [*accepted.refused] == ["bad"]
    assert accepted.refused["bad"].startswith("the store refuses its query: Determinizing ")
    assert len(accepted.queries) == 1
    assert sorted(names(accepted)) == sorted(name for clause in clauses for name, _ in dsl.named_clauses(clause))[:-1]


def test_several_are_refused(client: OpenSearch) -> None:
    """Each is told with its own reason; where none is left, there is no query."""
    bad = [dsl.named(TOO_COMPLEX, "complex"), dsl.named(dsl.regexp("k", "a" * 2000), "long")]
    accepted = tried(client, [*rules(10), *bad])
    assert [*accepted.refused] == ["complex", "long"]
    assert "[index.max_regex_length]" in accepted.refused["long"]
    assert len(accepted.queries) == 1
    assert tried(client, bad).queries == []


def test_other_errors_are_no_refusals(client: OpenSearch) -> None:
    """Where the index is what is wrong, no rule is blamed."""
    with pytest.raises(StoreError, match="there is no index 'no-such-index'"):
        accepted_queries(client, "no-such-index", "opensearch", rules(3))
    client.indices.close(index=INDEX)
    try:
        with pytest.raises(StoreError, match="is closed"):
            accepted_queries(client, INDEX, "opensearch", rules(3))
    finally:
        client.indices.open(index=INDEX, params={"wait_for_active_shards": "1"})


def test_clauses_that_count_more_than_they_look(opensearch_url: str) -> None:
    """On a field of the type wildcard each counts several times, which the server tells, and they are spread."""
    client = connect(opensearch_url, None, {})
    client.indices.create(index="trial-wild", body={"mappings": {"properties": {"w": {"type": "wildcard"}}}})
    try:
        client.index(index="trial-wild", body={"w": "a text that is longer"}, params={"refresh": "true"})
        texts = [f"a text that is longer {number}" for number in range(300)]
        clauses = [dsl.named(dsl.wildcard("w", f"*{text}*"), text) for text in texts]
        accepted = accepted_queries(client, "trial-wild", "opensearch", clauses)
        assert (names(accepted), accepted.refused) == (texts, {})
        assert len(accepted.queries) > 2
    finally:
        client.indices.delete(index="trial-wild")


def test_the_limit_is_the_servers(opensearch_url: str) -> None:
    """What an administrator has set counts; who may not see it goes by the default."""
    client = connect(opensearch_url, None, {})
    assert most_clauses(client, "opensearch") == MOST_CLAUSES
    client.cluster.put_settings(body={"persistent": {"indices.query.bool.max_clause_count": 5000}})
    try:
        assert most_clauses(client, "opensearch") == 5000
        with proxy.proxy(opensearch_url, lambda asked: proxy.status(403) if "_cluster" in asked.path else None) as shut:
            assert most_clauses(connect(shut.url, None, {}), "opensearch") == MOST_CLAUSES
    finally:
        client.cluster.put_settings(body={"persistent": {"indices.query.bool.max_clause_count": None}})
