"""How many clauses queries have, compared with what engines count."""

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.clause_count import MOST_CLAUSES, clause_count, spread
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.refusals import has_too_many_clauses

KINDS = {
    "term": lambda n: dsl.term("k", f"x{n}"),
    "ignoring case": lambda n: dsl.term("k", f"x{n}", case_insensitive=True),
    "terms": lambda n: dsl.terms("k", [f"x{n}", f"y{n}"]),
    "prefix": lambda n: dsl.prefix("k", f"x{n}"),
    "wildcard": lambda n: dsl.wildcard("k", f"x*{n}"),
    "regexp": lambda n: dsl.regexp("k", f"x.*{n}"),
    "range of texts": lambda n: dsl.bounds("k", gt=f"x{n}"),
    "range of numbers": lambda n: dsl.bounds("l", gt=n),
    "number": lambda n: dsl.term("l", n),
    "phrase": lambda n: dsl.match_phrase("t", f"x{n} y"),
}


@pytest.fixture(scope="module")
def counting(opensearch_url: str) -> Iterator[OpenSearch]:
    """An OpenSearch, which takes 1,024 clauses, with an index in which no query can be made simpler."""
    client = connect(opensearch_url, None, {})
    properties = {"k": {"type": "keyword"}, "l": {"type": "long"}, "t": {"type": "text"}}
    client.indices.create(index="counting", body={"mappings": {"properties": properties}})
    lines: list[JsonObject] = []
    for number in range(2000):
        lines += [{"index": {}}, {"k": f"x{number}", "l": number, "t": f"x{number} y"}]
    assert not client.bulk(index="counting", body=lines, params={"refresh": "true"})["errors"]
    yield client
    client.indices.delete(index="counting")


def is_taken(client: OpenSearch, query: Clause) -> bool:
    """Whether an engine takes a query, which it refuses only for the number of its clauses."""
    try:
        client.search(index="counting", body={**dsl.search(query), "size": 0})
    except TransportError as error:
        if has_too_many_clauses(error):
            return False
        raise
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_no_clause_counts_more_than_we_say(counting: OpenSearch, kind: str) -> None:
    """A query that has as many clauses as may be is taken, and one of twice as many and more is not."""
    clauses = [KINDS[kind](number) for number in range(MOST_CLAUSES + 300)]
    [most, *_] = spread(clauses)
    nested = [
        dsl.named({"bool": {"should": [*most[start : start + 300]]}}, str(start)) for start in range(0, len(most), 300)
    ]
    assert clause_count(dsl.pack(nested)) in (MOST_CLAUSES - 8, MOST_CLAUSES - 9)
    assert is_taken(counting, dsl.pack(nested))
    assert not is_taken(counting, dsl.pack(clauses))


def test_clauses_are_spread_in_their_order() -> None:
    """Each group has as many clauses as go into it, one that is too large is alone, and none is lost."""
    many = dsl.any_of(dsl.prefix("f", str(number)) for number in range(50))
    clauses = [dsl.exists("a"), many, dsl.exists("b"), dsl.exists("c"), dsl.terms("d", ["e", "f"]), dsl.exists("g")]
    groups = spread(clauses, most=12)
    assert groups == [clauses[:1], [many], clauses[2:5], clauses[5:]]
    assert spread([]) == []
