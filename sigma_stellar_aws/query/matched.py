"""Say by which values a document matches a query."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from sigma_stellar_aws.base.json_types import Scalar
from sigma_stellar_aws.query.dsl import Clause, clauses_of
from sigma_stellar_aws.query.evaluate import Predicate, compile_query
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document, name_test, stands_for_several

Matched: TypeAlias = dict[str, list[Scalar]]
"""Fields, in the order of the query, with those of their values that fit."""


def matched_values(query: Clause) -> Callable[[Document], Matched]:
    """Return a function that says which values of a document fulfil the conditions of a query that matches it.

    What a query excludes has no part in that; nor has an alternative that does not hold.

    >>> either = {"should": [{"prefix": {"b": {"value": "y"}}}, {"exists": {"field": "c"}}], "minimum_should_match": 1}
    >>> matched_values({"bool": either})({"a": "x", "b": ["yes", "no"]})
    {'b': ['yes']}

    Raises:
        UnknownClauseError: as :func:`sigma_stellar_aws.query.evaluate.compile_query`.
    """
    parts = list(_parts(query))

    def matched(document: Document) -> Matched:
        found: Matched = {}
        for holds, fields, fits in parts:
            if holds(document):
                for field in fields(document):
                    _add(found, field, document[field], fits)
        return found

    return matched


_Fields: TypeAlias = Callable[[Document], list[str]]


def _parts(query: Clause, within: Predicate = lambda document: True) -> Iterator[tuple[Predicate, _Fields, Predicate]]:
    """Yield for each condition whether it counts, which fields of a document it is on, and whether one value fits."""
    [(kind, body)] = query.items()
    if kind == "bool" and isinstance(body, dict):
        for each in clauses_of(body, "filter"):
            yield from _parts(each, within)
        for each in clauses_of(body, "should"):
            yield from _parts(each, _both(within, compile_query(each)))
    elif isinstance(body, dict):
        fits = compile_query(query)
        if kind == "script":
            # It compares two fields, and both are why.
            yield _both(within, fits), _compared(body), lambda document: True
        else:
            field = str(body["field"]) if kind == "exists" else next(name for name in body if name != "_name")
            yield within, _meant(field), fits


def _both(one: Predicate, other: Predicate) -> Predicate:
    return lambda document: one(document) and other(document)


def _meant(field: str) -> _Fields:
    if not stands_for_several(field):
        return lambda document: [field] if field in document else []
    is_meant = name_test(field)
    return lambda document: [name for name in document if name != TIME_FIELD and is_meant(name)]


def _compared(body: Clause) -> _Fields:
    script = body["script"]
    params = script["params"] if isinstance(script, dict) else None
    names = [str(params[key]) for key in ("field", "other")] if isinstance(params, dict) else []
    return lambda document: [name for name in names if name in document]


def _add(found: Matched, field: str, value: Scalar | list[Scalar], fits: Predicate) -> None:
    for each in value if isinstance(value, list) else [value]:
        known = found.get(field, [])
        if each not in known and fits({field: each}):
            found[field] = [*known, each]
