"""Builders of Query DSL clauses."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query

A, B, C, D = (dsl.exists(field) for field in "abcd")


def should(*clauses: Clause) -> Clause:
    """The bool of alternatives, spelled out."""
    return {"bool": {"should": [*clauses], "minimum_should_match": 1}}


def nested_alike(clause: Clause) -> Iterator[Clause]:
    """Every unnamed bool inside a bool that could hold its clauses itself."""
    body: Any = clause.get("bool", {})
    # What a bool may not be made of only, to stand in this place of another.
    own_kinds = {"filter": {"filter", "must_not"}, "should": {"should"}, "must_not": {"must_not"}}
    for place, kinds in own_kinds.items():
        for child in body.get(place, []):
            inner = child.get("bool")
            if inner is not None and "_name" not in inner:
                occurs = set(inner) - {"minimum_should_match"}
                if occurs <= kinds or (place == "must_not" and occurs == {"should"}):
                    yield child
            yield from nested_alike(child)


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (dsl.term("f", "v"), {"term": {"f": {"value": "v"}}}),
        (dsl.term("f", True), {"term": {"f": {"value": True}}}),
        (dsl.term("f", "v", case_insensitive=True), {"term": {"f": {"value": "v", "case_insensitive": True}}}),
        (dsl.terms("f", ["a", 1]), {"terms": {"f": ["a", 1]}}),
        (dsl.prefix("f", "v"), {"prefix": {"f": {"value": "v"}}}),
        (dsl.prefix("f", "v", case_insensitive=True), {"prefix": {"f": {"value": "v", "case_insensitive": True}}}),
        (dsl.wildcard("f", "*v"), {"wildcard": {"f": {"value": "*v"}}}),
        (
            dsl.wildcard("f", "*v", case_insensitive=True),
            {"wildcard": {"f": {"value": "*v", "case_insensitive": True}}},
        ),
        (dsl.regexp("f", "v.*"), {"regexp": {"f": {"value": "v.*", "flags": "NONE"}}}),
        (
            dsl.regexp("f", "v.*", case_insensitive=True),
            {"regexp": {"f": {"value": "v.*", "flags": "NONE", "case_insensitive": True}}},
        ),
        (dsl.regexp("f", "a{9}b{2,9}c{9,}"), {"regexp": {"f": {"value": "a{9}b{2,9}c{9,}", "flags": "NONE"}}}),
        *(
            (
                dsl.regexp("f", pattern),
                {"regexp": {"f": {"value": pattern, "flags": "NONE", "max_determinized_states": 100000}}},
            )
            for pattern in ("a{10}", ".{0,20}b")
        ),
        (dsl.match_phrase("f", "a b"), {"match_phrase": {"f": {"query": "a b"}}}),
        (dsl.exists("f"), {"exists": {"field": "f"}}),
        (dsl.bounds("f", gte=1, lt="2"), {"range": {"f": {"gte": 1, "lt": "2"}}}),
        (dsl.search(A), {"query": {"exists": {"field": "a"}}}),
    ],
)
def test_leaves_are_in_the_long_form(clause: Clause, expected: Clause) -> None:
    """Each builder of a single condition gives the long form that both API specifications describe."""
    assert clause == expected


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        # AND: filters side by side, exclusions beside them.
        (dsl.all_of([A]), A),
        (dsl.all_of([A, B]), {"bool": {"filter": [A, B]}}),
        (dsl.all_of([dsl.all_of([A, B]), C]), {"bool": {"filter": [A, B, C]}}),
        (dsl.all_of([A, B, A]), {"bool": {"filter": [A, B]}}),
        (dsl.all_of([A, dsl.none_of(B)]), {"bool": {"filter": [A], "must_not": [B]}}),
        (dsl.all_of([dsl.none_of(A), dsl.none_of(B)]), {"bool": {"must_not": [A, B]}}),
        (dsl.all_of([dsl.all_of([A, dsl.none_of(B)]), dsl.none_of(C)]), {"bool": {"filter": [A], "must_not": [B, C]}}),
        (dsl.all_of([A, dsl.any_of([B, C])]), {"bool": {"filter": [A, should(B, C)]}}),
        # OR: alternatives side by side, exact values of a field together.
        (dsl.any_of([A]), A),
        (dsl.any_of([A, B]), should(A, B)),
        (dsl.any_of([dsl.any_of([A, B]), C, A]), should(A, B, C)),
        (
            dsl.any_of([{"bool": {"filter": [A], "should": [B], "minimum_should_match": 1}}, C]),
            should({"bool": {"filter": [A], "should": [B], "minimum_should_match": 1}}, C),
        ),
        (dsl.any_of([dsl.all_of([A, B]), C]), should({"bool": {"filter": [A, B]}}, C)),
        (
            dsl.any_of([dsl.none_of(A), dsl.none_of(B)]),
            should({"bool": {"must_not": [A]}}, {"bool": {"must_not": [B]}}),
        ),
        (dsl.any_of([dsl.term("f", "a"), dsl.term("f", "b"), dsl.term("f", "a")]), {"terms": {"f": ["a", "b"]}}),
        (dsl.any_of([dsl.term("f", "a"), dsl.term("f", "a")]), dsl.term("f", "a")),
        (dsl.any_of([dsl.terms("f", ["a", "b"]), dsl.term("f", "c")]), {"terms": {"f": ["a", "b", "c"]}}),
        (
            dsl.any_of([dsl.term("f", "a"), A, dsl.term("f", "b"), dsl.term("g", "a")]),
            should({"terms": {"f": ["a", "b"]}}, A, dsl.term("g", "a")),
        ),
        (
            dsl.any_of([dsl.term("f", "a", case_insensitive=True), dsl.term("f", "b")]),
            should(dsl.term("f", "a", case_insensitive=True), dsl.term("f", "b")),
        ),
        # JSON does not take 1 and true for equal, as Python does.
        (dsl.any_of([dsl.term("f", 1), dsl.term("f", True), dsl.term("f", "1")]), {"terms": {"f": [1, True, "1"]}}),
        (
            dsl.all_of([dsl.term("f", 1), dsl.term("f", True)]),
            {"bool": {"filter": [dsl.term("f", 1), dsl.term("f", True)]}},
        ),
        # NOT
        (dsl.none_of(A), {"bool": {"must_not": [A]}}),
        (dsl.none_of(dsl.none_of(A)), A),
        (dsl.none_of(dsl.any_of([A, B])), {"bool": {"must_not": [A, B]}}),
        (dsl.none_of(dsl.all_of([A, B])), {"bool": {"must_not": [{"bool": {"filter": [A, B]}}]}}),
        (dsl.none_of(dsl.all_of([dsl.none_of(A), dsl.none_of(B)])), should(A, B)),
        # Names
        (dsl.named(A, "n"), {"bool": {"filter": [A], "_name": "n"}}),
        (dsl.named(dsl.all_of([A, dsl.none_of(B)]), "n"), {"bool": {"filter": [A], "must_not": [B], "_name": "n"}}),
        (dsl.named(dsl.any_of([A, B]), "n"), {"bool": {"should": [A, B], "minimum_should_match": 1, "_name": "n"}}),
        (dsl.named(dsl.named(A, "m"), "n"), {"bool": {"filter": [dsl.named(A, "m")], "_name": "n"}}),
        (dsl.all_of([dsl.named(A, "n"), B]), {"bool": {"filter": [dsl.named(A, "n"), B]}}),
        (dsl.any_of([dsl.named(dsl.any_of([A, B]), "n"), C]), should(dsl.named(dsl.any_of([A, B]), "n"), C)),
        (dsl.none_of(dsl.named(A, "n")), {"bool": {"must_not": [dsl.named(A, "n")]}}),
        (dsl.pack([dsl.named(A, "n"), dsl.named(B, "m")]), should(dsl.named(A, "n"), dsl.named(B, "m"))),
    ],
)
def test_boolean_builders_write_the_flattest_query(clause: Clause, expected: Clause) -> None:
    """AND, OR and NOT take in clauses of their own kind, drop repeated ones, and leave named clauses whole."""
    assert json.dumps(clause, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize("build", [dsl.all_of, dsl.any_of])
def test_no_clause_is_an_error(build: Any) -> None:
    """An empty bool would match every document, so none is made."""
    with pytest.raises(ValueError, match="at least one clause"):
        build([])


Expression = Any
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    st.sampled_from("abcd"),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("not"), inner),
    ),
    max_leaves=12,
)


def build(expression: Expression) -> Clause:
    """The clause of an expression such as ("or", ["a", ("not", "b")])."""
    if isinstance(expression, str):
        # Exact values of one field for some, so that they are joined.
        return dsl.term("x", expression) if expression in "cd" else dsl.exists(expression)
    operator, inner = expression
    if operator == "not":
        return dsl.none_of(build(inner))
    return (dsl.all_of if operator == "and" else dsl.any_of)(map(build, inner))


def holds(expression: Expression, true: set[str]) -> bool:
    """What an expression says where some of its names are true."""
    if isinstance(expression, str):
        return expression in true
    operator, inner = expression
    if operator == "not":
        return not holds(inner, true)
    return (all if operator == "and" else any)(holds(child, true) for child in inner)


@given(EXPRESSIONS, st.sets(st.sampled_from("abcd")))
def test_flattening_keeps_the_meaning(expression: Expression, true: set[str]) -> None:
    """Whatever is nested in whatever, the query matches where the expression holds and has no needless nesting."""
    clause = build(expression)
    values = sorted(true & {"c", "d"})
    document: dict[str, Any] = {**dict.fromkeys(true & {"a", "b"}, "v"), **({"x": values} if values else {})}
    assert compile_query(clause)(document) == holds(expression, true)
    assert list(nested_alike(clause)) == []
    names = {name for name in "abcd" if f"'{name}'" in str([expression])}
    assert {field for _, field, _ in dsl.leaves(clause)} == {"x" if name in "cd" else name for name in names}


@given(EXPRESSIONS)
def test_unnamed_is_the_inverse_of_named(expression: Expression) -> None:
    """Taking a name away gives the query that was named."""
    assert dsl.unnamed(dsl.named(build(expression), "n")) == build(expression)


def test_leaves_are_all_conditions_with_their_fields() -> None:
    """Every kind of condition is listed with its field and its options, from every place of a bool."""
    clause = dsl.all_of(
        [
            dsl.term("a", 1),
            dsl.any_of([dsl.terms("b", ["x", "y"]), dsl.prefix("c", "p"), dsl.wildcard("d", "*w")]),
            dsl.none_of(dsl.named(dsl.regexp("e", "r"), "n")),
            dsl.none_of(dsl.exists("f")),
            dsl.bounds("g", gt=5),
            dsl.match_phrase("h", "a b"),
        ]
    )
    assert sorted(dsl.leaves(clause), key=lambda leaf: leaf[1]) == [
        ("term", "a", {"value": 1}),
        ("terms", "b", ["x", "y"]),
        ("prefix", "c", {"value": "p"}),
        ("wildcard", "d", {"value": "*w"}),
        ("regexp", "e", {"value": "r", "flags": "NONE"}),
        ("exists", "f", None),
        ("range", "g", {"gt": 5}),
        ("match_phrase", "h", {"query": "a b"}),
    ]


@pytest.mark.parametrize("clause", [{"match": {"f": "v"}}, {"term": {}, "exists": {}}, {}, {"bool": []}])
def test_leaves_of_a_foreign_clause_are_an_error(clause: Clause) -> None:
    """What no builder makes is not passed over."""
    with pytest.raises(ValueError, match=r"query type|exactly one key|must be an object"):
        list(dsl.leaves(clause))


@given(st.text("ab*?\\.[\n", max_size=6), st.text("ab*?\\.[\n", max_size=6))
def test_escaped_text_stands_for_itself_in_a_wildcard(text: str, other: str) -> None:
    """An escaped text is a pattern of this text alone, whatever is special in it."""
    matches = compile_query(dsl.wildcard("f", dsl.escape_wildcard(text)))
    assert matches({"f": text})
    assert matches({"f": other}) == (other == text)


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (dsl.term("a", "x"), False),
        (dsl.term("b", "x"), True),
        (dsl.all_of([dsl.term("a", "x"), dsl.term("b", "x")]), False),
        (dsl.any_of([dsl.term("a", "x"), dsl.term("b", "x")]), True),
        (dsl.any_of([dsl.prefix("a", "x"), dsl.exists("a")]), False),
        (dsl.none_of(dsl.term("a", "x")), True),
        (dsl.all_of([dsl.term("b", "x"), dsl.none_of(dsl.exists("a"))]), True),
    ],
    ids=str,
)
def test_a_query_that_needs_a_missing_field_cannot_match(clause: dsl.Clause, expected: bool) -> None:
    """Without a field, what demands it cannot match; an alternative to it and what excludes it still can."""
    assert dsl.can_match(clause, ["a"]) is expected


def test_named_clauses_are_found_at_any_depth() -> None:
    """Every name in a query is found with its clause."""
    first, second = dsl.named(dsl.term("a", "x"), "first"), dsl.named(dsl.term("b", "y"), "second")
    query = dsl.all_of([dsl.exists("c"), dsl.pack([first, second])])
    assert list(dsl.named_clauses(query)) == [("first", first), ("second", second)]
    # What it is about may have any name.
    about = dsl.named(dsl.term("filter", "a"), "third")
    assert list(dsl.named_clauses(about)) == [("third", about)]


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (A, [("a", A)]),
        (dsl.all_of([A, B]), [("a", A), ("b", B)]),
        (dsl.any_of([A, B]), [("a", A), ("b", B)]),
        (dsl.none_of(A), []),
        (dsl.all_of([A, dsl.none_of(B)]), [("a", A)]),
        (dsl.none_of(dsl.all_of([A, B])), []),
        (dsl.all_of([A, dsl.any_of([B, dsl.all_of([C, dsl.none_of(D)])])]), [("a", A), ("b", B), ("c", C)]),
        (
            dsl.pack([dsl.named(A, "n"), dsl.named(dsl.terms("f", ["x"]), "m")]),
            [("a", A), ("f", dsl.terms("f", ["x"]))],
        ),
    ],
    ids=str,
)
def test_demands_are_what_a_document_may_have_to_meet(clause: Clause, expected: list[tuple[str, Clause]]) -> None:
    """Conditions and alternatives are listed with their fields, and nothing that must not hold."""
    assert list(dsl.demands(clause)) == expected


@given(EXPRESSIONS, st.sets(st.sampled_from("abcd")))
def test_a_document_that_meets_no_demand_matches_only_by_what_it_lacks(expression: Expression, true: set[str]) -> None:
    """A document that matches meets a demand, or it matches empty-handed as well."""
    clause = build(expression)
    values = sorted(true & {"c", "d"})
    document: dict[str, Any] = {**dict.fromkeys(true & {"a", "b"}, "v"), **({"x": values} if values else {})}
    if compile_query(clause)(document) and not any(
        compile_query(demand)(document) for _, demand in dsl.demands(clause)
    ):
        assert compile_query(clause)({})


class _Counted(str):
    """A text that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_very_many_values_are_joined_in_one_pass() -> None:
    """No value is compared with all others, and each is there once, in its order."""
    values = [_Counted(f"v{number}") for number in range(2000)]
    clauses = [dsl.term("k", value) for value in [*values, *values[:10]]]
    _Counted.compared = 0
    assert dsl.any_of(clauses)["terms"] == {"k": [*map(str, values)]}
    assert _Counted.compared < 20_000
    assert dsl.any_of([dsl.term("k", value) for value in (1, True, 1)]) == dsl.terms("k", [1, True])
