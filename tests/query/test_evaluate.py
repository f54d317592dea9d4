"""The evaluation of Query DSL in process; test_engines.py holds it equal to real engines."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import UnknownClauseError, compile_query, matched_queries
from sigma_stellar_aws.reference.flat_schema import Document

FOLD: dict[str, Any] = {"case_insensitive": True}
TIME = 1735689600000  # 2025-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("clause", "yes", "no"),
    [
        # term and terms: whole values, as text
        (dsl.term("f", "ab"), ["ab"], ["AB", "abc", "", "é"]),
        (dsl.term("f", "aB", **FOLD), ["aB", "AB", "ab"], ["abc"]),
        (dsl.term("f", "é", **FOLD), ["é"], ["É", "e"]),
        (dsl.term("f", ""), [""], ["a", 0, False]),
        (dsl.term("f", "a*"), ["a*"], ["ab"]),
        (dsl.term("f", 5), [5, "5"], [5.5, "5.0", True]),
        (dsl.term("f", "2.5"), [2.5, "2.5"], [2, "2.50"]),
        (dsl.term("f", True), [True, "true"], [1, "True", False]),
        (dsl.term("f", "true", **FOLD), [True, "TRUE"], [False]),
        (dsl.terms("f", ["a", 5, False]), ["a", 5, "5", False, "false"], ["A", 0, ""]),
        # prefix: nothing is special
        (dsl.prefix("f", "a."), ["a.", "a.b"], ["ab", "A.b", "ba."]),
        (dsl.prefix("f", "a*"), ["a*b"], ["ab"]),
        (dsl.prefix("f", "aB", **FOLD), ["ABc"], ["cab"]),
        (dsl.prefix("f", "é", **FOLD), ["éa"], ["Éa"]),
        (dsl.prefix("f", "12"), [123, 12.5], [312]),
        # wildcard
        (dsl.wildcard("f", "*b*"), ["b", "abc", "a\nb\nc"], ["B", "ac", ""]),
        (dsl.wildcard("f", "a?c"), ["abc", "a?c", "a\nc"], ["ac", "abbc"]),
        (dsl.wildcard("f", r"a\*\?\\b*"), ["a*?\\b", "a*?\\bc"], ["aXY\\b", "a*?b"]),
        (dsl.wildcard("f", "a.[b]*"), ["a.[b]c"], ["axb", "axbc"]),
        (dsl.wildcard("f", "*BÉ*", **FOLD), ["abÉ"], ["abé"]),
        # regexp: of the whole value, a dot is any character
        (dsl.regexp("f", "a.c"), ["abc", "a\nc"], ["abcd", "xabc", "ABC"]),
        (dsl.regexp("f", "a|b"), ["a", "b"], ["ab"]),
        (dsl.regexp("f", "[^a]"), ["b", "\n"], ["a", ""]),
        (dsl.regexp("f", "a[bB]é", **FOLD), ["ABé"], ["ABÉ"]),
        (dsl.regexp("f", r"\@\#\&\<\>\~\""), ['@#&<>~"'], ["@"]),
        (dsl.regexp("f", "()"), [""], ["a"]),
        (dsl.regexp("f", "a.{0,10}b"), ["ab", "a" + "x" * 10 + "b"], ["a" + "x" * 11 + "b"]),
        # exists
        (dsl.exists("f"), ["", "a", 0, False], []),
        # range on a keyword: the order of texts
        (dsl.bounds("f", gte="10", lt="20"), ["10", "1a", 15, "2"], ["1", "20", 9]),
        (dsl.bounds("f", gt="a"), ["b", "aa"], ["a", "A"]),
        (dsl.bounds("f", lte=9), [9, "10", ""], ["a", "91"]),
    ],
)
def test_condition_matches_values(clause: Clause, yes: list[Any], no: list[Any]) -> None:
    """A condition matches these values of its field and not those, and never a document without the field."""
    matches = compile_query(clause)
    assert [value for value in yes + no if matches({"f": value})] == yes
    assert not matches({})
    assert not matches({"g": yes[0]})


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (dsl.term("f", "b"), True),
        (dsl.term("f", "ab"), False),
        (dsl.prefix("f", "c"), True),
        (dsl.none_of(dsl.term("f", "b")), False),
        (dsl.all_of([dsl.term("f", "a"), dsl.term("f", "b")]), True),
        (dsl.bounds("f", gt="a", lt="b"), False),
        (dsl.bounds("f", gt="a", lt="c"), True),
    ],
)
def test_one_of_several_values_is_enough(clause: Clause, expected: bool) -> None:
    """A field of several values matches if one of them does, and each condition looks for its own."""
    assert compile_query(clause)({"f": ["a", "b", "cd"]}) is expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"gte": TIME}, True),
        ({"gt": TIME}, False),
        ({"lte": str(TIME), "format": "epoch_millis"}, True),
        ({"lt": str(TIME), "format": "epoch_millis"}, False),
        ({"gte": "2025-01-01T00:00:00Z", "lt": "2025-01-02T00:00:00Z"}, True),
        ({"gt": "2025-01-01T01:00:00+01:00"}, False),
        ({"lt": "2025-01-01T00:00:00.001Z"}, True),
        ({"gte": 9}, True),
        ({"gt": "-1"}, True),
    ],
)
def test_time_is_compared_as_a_number(limits: dict[str, Any], expected: bool) -> None:
    """Limits of the time field are milliseconds, as number or text, or ISO 8601."""
    assert compile_query(dsl.bounds("timestamp", **limits))({"timestamp": TIME}) is expected
    assert not compile_query(dsl.bounds("timestamp", **limits))({})


A, B, C = (dsl.exists(field) for field in "abc")


@pytest.mark.parametrize(
    ("body", "documents"),
    [
        ({"filter": [A, B]}, ["ab", "abc"]),
        ({"must_not": [A, B]}, ["", "c"]),
        ({"should": [A, B], "minimum_should_match": 1}, ["a", "b", "ab", "ac", "bc", "abc"]),
        ({"filter": [A], "must_not": [B]}, ["a", "ac"]),
        ({"filter": [A], "should": [B, C], "minimum_should_match": 1}, ["ab", "ac", "abc"]),
        ({"filter": [A], "should": [B], "minimum_should_match": 1, "must_not": [C], "_name": "n"}, ["ab"]),
    ],
)
def test_bool_joins_conditions(body: dict[str, Any], documents: list[str]) -> None:
    """A bool asks for every filter, none of must_not and one of should; a missing field passes a must_not."""
    matches = compile_query({"bool": body})
    every = ["", "a", "b", "c", "ab", "ac", "bc", "abc"]
    assert [some for some in every if matches(dict.fromkeys(some, "v"))] == documents


LETTERS = "ABKSabksßéÉ\N{LATIN SMALL LETTER LONG S}\N{KELVIN SIGN}"


@given(st.text(LETTERS, max_size=4), st.text(LETTERS, max_size=4))
def test_case_is_ignored_in_ascii_letters_only(value: str, wanted: str) -> None:
    """All kinds of text conditions fold the same letters: those of ASCII, and no others that Python would fold."""
    lower = str.maketrans("ABKS", "abks")
    expected = value.translate(lower) == wanted.translate(lower)
    clauses = [
        dsl.term("f", wanted, **FOLD),
        dsl.wildcard("f", wanted, **FOLD),
        dsl.regexp("f", wanted, **FOLD),
    ]
    assert [compile_query(clause)({"f": value}) for clause in clauses] == [expected] * 3
    assert compile_query(dsl.prefix("f", wanted, **FOLD))({"f": value + "x"}) == value.translate(lower).startswith(
        wanted.translate(lower)
    )


PACK = dsl.pack(
    [
        dsl.named(A, "first"),
        dsl.named(dsl.any_of([A, B]), "second"),
        dsl.named(dsl.all_of([C, dsl.named(B, "inner")]), "third"),
    ]
)


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"a": 1}, ["first", "second"]),
        ({"b": 1}, ["second", "inner"]),
        ({"b": 1, "c": 1}, ["second", "third", "inner"]),
        ({"c": 1}, []),
        ({}, []),
    ],
)
def test_names_of_matching_clauses_are_listed(document: Document, names: list[str]) -> None:
    """Every named clause that matches is told, at any depth."""
    assert sorted(matched_queries(PACK)(document)) == sorted(names)


def test_names_are_listed_only_if_the_whole_query_matches() -> None:
    """A named clause tells nothing of a document that is no hit."""
    names = matched_queries(dsl.all_of([dsl.named(A, "n"), B]))
    assert names({"a": 1}) == []
    assert names({"a": 1, "b": 1}) == ["n"]


@pytest.mark.parametrize(
    "clause",
    [
        {"match": {"f": {"value": "v"}}},
        {"match_all": {}},
        {"query_string": {"query": "a"}},
        {"term": {"f": "short form"}},
        {"term": {"f": {"value": "v", "boost": 2}}},
        {"term": {"f": {"value": "v"}, "g": {"value": "v"}}},
        {"prefix": {"f": {"value": "v", "rewrite": "constant_score"}}},
        {"terms": {"f": ["v"], "boost": 2}},
        {"regexp": {"f": {"value": "a@b"}}},
        {"regexp": {"f": {"value": "a@b", "flags": "ALL"}}},
        {"wildcard": {"f": {"value": "a", "flags": "NONE"}}},
        {"wildcard": {"f": {"value": "a", "max_determinized_states": 100000}}},
        {"exists": {"field": "f", "boost": 2}},
        {"range": {"f": {"from": 1}}},
        {"range": {"timestamp": {"gte": "now-1d"}}},
        {"bool": {"must": [A]}},
        {"bool": {"should": [A]}},
        {"bool": {"should": [A, B], "minimum_should_match": 2}},
        {"bool": {"filter": [{"match": {"f": {"value": "v"}}}]}},
        {"bool": {"must_not": [A], "filter": [A], "boost": 1}},
        {"exists": {"field": "f"}, "term": {"f": {"value": "v"}}},
        {},
    ],
)
def test_what_is_not_known_is_an_error(clause: Clause) -> None:
    """A foreign clause, or an unknown option of a known one, is refused when the query is compiled, not passed over."""
    with pytest.raises(UnknownClauseError):
        compile_query(clause)
    with pytest.raises(UnknownClauseError):
        matched_queries(dsl.pack([clause]))
