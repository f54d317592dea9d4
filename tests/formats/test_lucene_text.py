"""Which queries Lucene text says exactly; tests/formats/test_engines.py asks real engines."""

from typing import Any

import pytest

from sigma_stellar_aws.formats import lucene_text
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import profile_from_json

SPELLED = {"event.action": "eventName", "source": "eventSource", "type": "userIdentity.type", "region": "awsRegion"}


def folded(field: str, value: str, builder: Any = dsl.term) -> Clause:
    """A comparison without regard to case."""
    clause: Clause = builder(field, value, case_insensitive=True)
    return clause


EXACT = [
    dsl.exists("requestParameters_x-amz-acl"),
    folded("event.action", "DeleteRule"),
    folded("event.action", "UpdateFunctionCode20150331v2"),
    folded("event.action", "UpdateFunctionCode", dsl.prefix),
    folded("source", "waf-regional.amazonaws.com"),
    folded("type", "AssumedRole"),
    folded("type", "Assumed", dsl.prefix),
    folded("region", "eu-central-1"),
    folded("account", "111122223333"),
    dsl.term("arn", "arn:aws:iam::111122223333:user/alice@example.com"),
    dsl.terms("f", ["a", "B"]),
    dsl.wildcard("f", "*a?b*"),
    dsl.none_of(dsl.any_of([dsl.exists("f"), folded("type", "Root")])),
]
INEXACT = [
    (folded("event.action", "deleterule"), "with case"),
    (folded("event.action", "NoSuchEvent"), "with case"),
    # Under which some services spell names in small letters.
    (folded("event.action", "Create", dsl.prefix), "with case"),
    (folded("event.action", "*Rule", dsl.wildcard), "with case"),
    (folded("source", "IAM.amazonaws.com"), "with case"),
    (folded("type", "Assumedrole"), "with case"),
    (folded("region", "EU-central-1"), "with case"),
    (folded("userAgent", "curl"), "with case"),
    (dsl.term("f", "OR"), "for its own"),
    (dsl.term("f", ""), "for its own"),
    (dsl.term("f", "two words"), "for its own"),
    (dsl.term("f", "a*"), "for its own"),
    (dsl.term("f", "<a>"), "for its own"),
    (dsl.wildcard("f", "*\\**"), "for its own"),
    (dsl.terms("f", ["a", True]), "True is not a text"),
    (dsl.term("f", 5), "5 is not a text"),
    (dsl.regexp("f", "a+"), "regexp"),
    (dsl.bounds("f", gt=5), "range"),
    (dsl.exists("a:b"), "of this name"),
    (dsl.none_of(dsl.all_of([dsl.exists("f"), dsl.term("f", 5)])), "5 is not a text"),
]


@pytest.mark.parametrize("clause", EXACT, ids=str)
def test_exact(clause: Clause) -> None:
    """What stands on keywords, and in the spelling of AWS where its case does not matter, has no obstacle."""
    assert lucene_text.obstacle(clause, SPELLED, "", None) == ""


@pytest.mark.parametrize(("clause", "reason"), INEXACT, ids=str)
def test_inexact(clause: Clause, reason: str) -> None:
    """The obstacle names the field and what text would do otherwise."""
    found = lucene_text.obstacle(clause, SPELLED, "", None)
    assert found.startswith("field ")
    assert reason in found


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"type": "keyword"}, ""),
        ({"type": "text"}, "of the type text"),
        ({"type": "ip"}, "of the type ip"),
        ({"type": "wildcard"}, "of the type wildcard"),
        ({"type": "keyword", "normalizer": "lowercase"}, "normalizer"),
        ([{"type": "keyword"}, {"type": "text"}], "of the type text"),
    ],
)
def test_other_types_than_keyword_are_obstacles(mapping: Any, reason: str) -> None:
    """Text on them is compared otherwise; whether there is a value is the same for all."""
    fields = {"f": mapping}
    data: Any = {"store_profile": 1, "index": "logs", "engine": "opensearch", "version": "3.8.0", "fields": fields}
    store = profile_from_json(data)
    found = lucene_text.obstacle(dsl.term("f", "a"), {}, "", store)
    assert (reason in found) if reason else not found
    assert lucene_text.obstacle(dsl.exists("f"), {}, "", store) == ""
    assert "the mapping has no such field" in lucene_text.obstacle(dsl.exists("g"), {}, "", store)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" OR ".join(["f:a"] * 500) + " AND " + " OR ".join(["f:b"] * 499), ""),
        (f"f:({' OR '.join(['a'] * 1000)})", "1001 conditions"),
        (" AND ".join(["f:a"] * 1000), "1001 conditions"),
        ("f:" + "a" * (32_000 - len("(f:) OR (f:c)")), ""),
        ("f:" + "a" * (32_001 - len("(f:) OR (f:c)")), "32001 characters"),
    ],
    ids=lambda text: text[:20],
)
def test_what_engines_do_not_take_is_an_obstacle(text: str, reason: str) -> None:
    """Two texts may be too much together, of which there is not a text then."""
    other = lucene_text.LuceneText("f:c", "")
    found = lucene_text.any_text_of([lucene_text.LuceneText(text, ""), other])
    assert reason in found.obstacle
    assert (found.text == "") == bool(found.obstacle) == bool(reason)
    assert not reason or lucene_text.any_text_of([other, found]) == found


def test_a_sub_field_is_an_obstacle() -> None:
    """The text names the field of the condition, not the sub-field that the native query asks."""
    assert "sub-field" in lucene_text.obstacle(dsl.term("f.keyword", "a"), {}, ".keyword", None)
    assert lucene_text.obstacle(dsl.exists("f"), {}, ".keyword", None) == ""
