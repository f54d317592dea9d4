"""What a CloudTrail record must contain to have a chance of matching, so that the rest need not be decoded.

A query is reduced to what it demands of the fields that almost every rule tests, ``eventSource`` and ``eventName``;
every other demand is dropped, which can only let more records pass. Where that leaves nothing, every record passes.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from sigma_stellar_aws.logs.screening import Screen
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause, clauses_of
from sigma_stellar_aws.query.evaluate import Predicate, compile_query

# A flattened name without an underscore can only come from the key of the same name at the top of a record.
SCREENED_FIELDS = ("eventSource", "eventName")


def screen(query: Clause) -> Screen:
    """Derive the screen of a query: it lets every record pass that can match."""
    necessary = _necessary(query)
    if necessary is None:
        return lambda source, name: True
    matches = compile_query(necessary)

    def passes(source: object, name: object) -> bool:
        return not (isinstance(source, str) and isinstance(name, str)) or matches(
            {"eventSource": source, "eventName": name}
        )

    return passes


def screened(query: Clause) -> Callable[[object, object], Sequence[tuple[str, Predicate]]]:
    """Return a function of eventSource and eventName that lists the named clauses of a query that can match."""
    named = [(name, screen(clause), compile_query(clause)) for name, clause in dsl.named_clauses(query)]

    @lru_cache(maxsize=65536)
    def of_texts(source: object, name: object) -> Sequence[tuple[str, Predicate]]:
        return tuple((clause_name, matches) for clause_name, passes, matches in named if passes(source, name))

    def of(source: object, name: object) -> Sequence[tuple[str, Predicate]]:
        return of_texts(*(value if isinstance(value, str) else None for value in (source, name)))

    return of


def _necessary(clause: Clause) -> Clause | None:
    """Return a condition on the screened fields alone that the clause implies; None where it implies nothing."""
    body = clause.get("bool")
    if not isinstance(body, dict):
        tested = [field for _, field, _ in dsl.leaves(clause)]
        return clause if len(tested) == 1 and tested[0] in SCREENED_FIELDS else None
    demands = [_necessary(child) for child in clauses_of(body, "filter")]
    alternatives = [_necessary(child) for child in clauses_of(body, "should")]
    if possible := [alternative for alternative in alternatives if alternative is not None]:
        # Without a demand of one alternative, all of them together demand nothing.
        demands.append(dsl.any_of(possible) if len(possible) == len(alternatives) else None)
    known = [demand for demand in demands if demand is not None]
    return dsl.all_of(known) if known else None
