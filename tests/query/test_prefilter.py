"""What the screen lets pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.alerts.pack import Pack, convert_pack
from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import UnknownClauseError, matched_queries
from sigma_stellar_aws.query.prefilter import screen, screened
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.records import cases

FIELDS = st.sampled_from(["eventSource", "eventName", "errorCode", "requestParameters_x"])
TEXTS = st.sampled_from(["", "a", "A", "ab", "b", "bA"])
FLAGS = st.booleans()
LEAVES = st.one_of(
    st.builds(lambda f, v, i: dsl.term(f, v, case_insensitive=i), FIELDS, TEXTS, FLAGS),
    st.builds(dsl.terms, FIELDS, st.lists(TEXTS, min_size=1, max_size=3)),
    st.builds(lambda f, v, i: dsl.prefix(f, v, case_insensitive=i), FIELDS, TEXTS, FLAGS),
    st.builds(lambda f, v, i: dsl.wildcard(f, v + "*", case_insensitive=i), FIELDS, TEXTS, FLAGS),
    st.builds(lambda f, v, i: dsl.regexp(f, v + ".*", case_insensitive=i), FIELDS, TEXTS, FLAGS),
    st.builds(dsl.exists, FIELDS),
    st.builds(lambda f, v: dsl.bounds(f, gte=v), FIELDS, TEXTS),
)
QUERIES: st.SearchStrategy[Clause] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(dsl.all_of, st.lists(inner, min_size=1, max_size=3)),
        st.builds(dsl.any_of, st.lists(inner, min_size=1, max_size=3)),
        st.builds(dsl.none_of, inner),
    ),
    max_leaves=6,
)
VALUES = st.none() | TEXTS | st.lists(TEXTS, max_size=2) | st.just({"": "a"}) | st.integers(0, 1)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "eventSource": VALUES,
        "eventName": VALUES,
        "errorCode": VALUES,
        "requestParameters": st.fixed_dictionaries({"x": VALUES}),
    },
)


@pytest.fixture(scope="module", params=[stellar_aws, stellar_aws_published])
def pack(request: pytest.FixtureRequest) -> Pack:
    """The 29 rules, corrected and published."""
    return convert_pack(load_rules(), request.param())


@given(st.lists(QUERIES, min_size=1, max_size=3), RECORDS)
def test_no_hit_is_screened_out(queries: list[Clause], record: dict[str, Json]) -> None:
    """A record that matches a query passes the query's screen."""
    query = dsl.pack(dsl.named(clause, str(number)) for number, clause in enumerate(queries))
    if matched_queries(query)(flatten(record)):
        assert screen(query)(record.get("eventSource"), record.get("eventName"))


@given(st.lists(QUERIES, min_size=1, max_size=3), RECORDS)
def test_the_clauses_that_can_match_are_enough(queries: list[Clause], record: dict[str, Json]) -> None:
    """Asking only the clauses that can match an event of its source and name gives the names of all that match it."""
    query = dsl.pack(dsl.named(clause, str(number)) for number, clause in enumerate(queries))
    document = flatten(record)
    candidates = screened(query)(record.get("eventSource"), record.get("eventName"))
    assert [name for name, matches in candidates if matches(document)] == matched_queries(query)(document)


def test_a_clause_is_compiled_when_an_event_asks_for_it() -> None:
    """What could be no query is an error where an event of its name comes, never a miss; others can be asked before."""
    good, unknown = dsl.term("eventName", "a"), dsl.all_of([dsl.term("eventName", "b"), dsl.match_phrase("x", "a")])
    candidates = screened(dsl.pack([dsl.named(good, "good"), dsl.named(unknown, "unknown")]))
    assert [name for name, _ in candidates("s", "a")] == ["good"]
    for name in ("b", None):
        with pytest.raises(UnknownClauseError):
            candidates("s", name)


def test_every_case_of_the_rules_passes(pack: Pack) -> None:
    """No event that one of the 29 rules matches is screened out."""
    passes, matches = screen(pack.query), matched_queries(pack.query)
    hits = [case.record for case in cases() if matches(flatten(case.record))]
    assert len(hits) > 29
    assert [hit["eventID"] for hit in hits if not passes(hit["eventSource"], hit["eventName"])] == []


def test_ordinary_events_are_screened_out(pack: Pack) -> None:
    """Events of other names, and of the right name in the wrong service, need not be looked at."""
    passes = screen(pack.query)
    assert passes("monitoring.amazonaws.com", "DeleteAlarms")
    assert not passes("monitoring.amazonaws.com", "DescribeAlarms")
    assert not passes("s3.amazonaws.com", "DeleteAlarms")


@pytest.mark.parametrize(
    "query",
    [
        dsl.exists("errorCode"),
        dsl.none_of(dsl.term("eventName", "a")),
        dsl.any_of([dsl.term("eventName", "a"), dsl.exists("errorCode")]),
        dsl.pack([dsl.named(dsl.term("eventName", "a"), "1"), dsl.named(dsl.exists("errorCode"), "2")]),
    ],
)
def test_where_nothing_is_demanded_everything_passes(query: Clause) -> None:
    """A query that can match whatever the source and the name are screens nothing out."""
    assert screen(query)("s", "n")


@pytest.mark.parametrize("query", [dsl.term("eventName", "a"), dsl.term("eventSource", "a")])
@pytest.mark.parametrize("value", [None, 1, ["a"], {"": "a"}])
def test_what_is_no_text_passes(query: Clause, value: object) -> None:
    """A source or name that is no text cannot be judged, so that its record is looked at."""
    passes = screen(query)
    assert passes(value, "b")
    assert passes("b", value)
    assert not passes("b", "b")
