"""How many clauses a query has, as the engines count them, and how to spread rules over queries that have not too many.

Lucene counts every condition of a query, however deep it stands. One on an index and on doc values counts twice, which
``terms`` on a keyword and a range of numbers or dates do (measured on OpenSearch 3.8 and Elasticsearch 8.19). A field
of the type ``wildcard`` counts once for each three letters of what is asked, which nobody sees in the query.
"""

from collections.abc import Iterable

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause

MOST_CLAUSES = 1024
"""Most clauses of one query: the default of OpenSearch, and the least that any Elasticsearch takes."""

BESIDE = 8
"""Clauses that are kept free for what is asked beside rules: the bounds of the time and of a slice, the dataset."""


def clause_count(clause: Clause) -> int:
    """Return how many clauses a query has, or some more.

    >>> clause_count(dsl.any_of([dsl.prefix("eventName", "Delete"), dsl.terms("eventSource", ["a", "b"])]))
    3
    """
    return sum(2 if _counts_twice(kind, options) else 1 for kind, _, options in dsl.leaves(clause))


def spread(clauses: Iterable[Clause], most: int = MOST_CLAUSES) -> list[list[Clause]]:
    """Return clauses in their order, in groups that make a query of not too many each.

    One that is too large alone is a group of its own.
    """
    groups: list[list[Clause]] = []
    room = 0
    for clause in clauses:
        count = clause_count(clause)
        if count > room:
            groups.append([])
            room = most - BESIDE
        groups[-1].append(clause)
        room -= count
    return groups


def _counts_twice(kind: str, options: Json) -> bool:
    if kind == "term" and isinstance(options, dict):
        return not isinstance(options.get("value"), str)
    return kind in ("terms", "range")
