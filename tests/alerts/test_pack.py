"""Rules converted to the one query that asks for all of them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from sigma_stellar_aws.alerts.pack import Override, PackRule, convert_pack, pack_fields
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import UnsupportedConditionError
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.query.store_profile import StoreProfile, profile_as_json, profile_from_json
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS, flat_name
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.stellar_block import DEFAULT_SUPPRESSION, Suppression
from tests.support.mappings import described

KEYWORD: JsonObject = {"type": "keyword"}


def rules(*selections: Any) -> SigmaCollection:
    """Rules of these selections, with ids that end in their places."""
    made: list[Any] = [
        {
            "title": f"Rule {number}",
            "id": f"00000000-0000-4000-8000-00000000000{number}",
            "author": "Alice",
            "logsource": {"product": "aws", "service": "cloudtrail"},
            "detection": {"selection": selection, "condition": "selection"},
            "level": "high",
            "tags": ["attack.impact", "attack.t1485", "cve.2026-1"],
        }
        for number, selection in enumerate(selections)
    ]
    return SigmaCollection.from_dicts(made)


def profile(**fields: Any) -> StoreProfile:
    """The profile of a store with these fields."""
    return profile_from_json(profile_as_json("logs", "opensearch", "3.8.0", fields))


def test_every_rule_is_a_clause_of_its_name() -> None:
    """The names of the clauses are those of the rules, and tell what to say of a hit."""
    pack = convert_pack(rules({"a": "1"}, {"b": "2"}), stellar_aws())
    assert [name for name, _ in dsl.named_clauses(pack.query)] == list(pack.rules)
    assert pack.rules["00000000-0000-4000-8000-000000000001"] == PackRule(
        "00000000-0000-4000-8000-000000000001",
        "Rule 1",
        75,
        "Alice",
        DEFAULT_SUPPRESSION,
        ("impact",),
        ("T1485",),
        fields=("b",),
        asked=json.dumps(dict(dsl.named_clauses(pack.query))["00000000-0000-4000-8000-000000000001"]),
    )
    assert (pack.refused, pack.doubts) == ([], [])


def test_suppression_is_the_rules_own_unless_overridden() -> None:
    """Window and fields are each replaced where something is said of them; keys are the flattened names."""
    own = convert_pack(rules({"a": "1"}), stellar_aws())
    hour = convert_pack(rules({"a": "1"}), stellar_aws(), override=Override(window=timedelta(hours=1)))
    by_name = convert_pack(rules({"a": "1"}), stellar_aws(), override=Override(fields=("userIdentity.userName",)))
    [name] = own.rules
    assert own.rules[name].suppression == DEFAULT_SUPPRESSION
    assert hour.rules[name].suppression == Suppression(timedelta(hours=1), DEFAULT_SUPPRESSION.fields)
    assert by_name.rules[name].suppression == Suppression(DEFAULT_SUPPRESSION.window, ("userIdentity.userName",))
    assert by_name.keys() == {name: ("userIdentity_userName",)}


def test_a_rule_that_cannot_be_converted_is_left_out() -> None:
    """The others go on, and the pack says why; if strict, or if none is left, it is an error."""
    pack = convert_pack(rules({"a": "1"}, {"a|re": "x(?=y)"}), stellar_aws())
    assert [name[-1] for name, _ in dsl.named_clauses(pack.query)] == ["0"]
    [reason] = pack.refused
    assert "Rule 'Rule 1': field 'a': the regular expression" in reason
    with pytest.raises(UnsupportedConditionError, match="'Rule 1'"):
        convert_pack(rules({"a": "1"}, {"a|re": "x(?=y)"}), stellar_aws(), strict=True)
    with pytest.raises(UnsupportedConditionError, match="'Rule 0'"):
        convert_pack(rules({"a|re": "x(?=y)"}), stellar_aws())


def test_what_a_store_cannot_answer_is_left_out_and_told() -> None:
    """With a profile the other rules are converted, and each that is left out has its reason."""
    store = profile(a=KEYWORD, b={"type": "text"})
    pack = convert_pack(rules({"a": "1"}, {"b|contains": "x"}, {"a": "2"}), stellar_aws(), store=store)
    assert [name[-1] for name, _ in dsl.named_clauses(pack.query)] == ["0", "2"]
    [reason] = pack.refused
    assert "Rule 'Rule 1': field 'b': it is analysed text" in reason
    assert pack.doubts == []


def test_what_may_be_wrong_is_converted_and_told() -> None:
    """With a profile, doubts are part of the pack, not warnings on standard error."""
    store = profile(b={"type": "text"}, c={"type": "keyword", "ignore_above": 10})
    pack = convert_pack(rules({"a": "1"}, {"b": "x"}, {"c|contains": "y"}), stellar_aws(), store=store)
    assert [name[-1] for name, _ in dsl.named_clauses(pack.query)] == ["0", "1", "2"]
    assert [(doubt.rule, doubt.field, doubt.kind) for doubt in pack.doubts] == [
        ("Rule 0", "a", "missing"),
        ("Rule 1", "b", "loose"),
        ("Rule 2", "c", "cut"),
    ]
    assert pack.refused == []


def test_a_store_that_answers_nothing_is_an_error() -> None:
    """Where no rule is left, the reasons are the error."""
    store = profile(b={"type": "text"})
    with pytest.raises(SigmaError, match=r"'Rule 0'.*; .*'Rule 1'"):
        convert_pack(rules({"b|re": "x"}, {"b|contains": "x"}), stellar_aws(), store=store)
    with pytest.raises(UnsupportedConditionError, match="'Rule 1'"):
        convert_pack(rules({"b": "x"}, {"b|contains": "x"}), stellar_aws(), store=store, strict=True)


@pytest.mark.parametrize("store", [None, profile()])
def test_no_rules_are_an_error(store: StoreProfile | None) -> None:
    """Without rules there is no query, and not one that matches everything."""
    with pytest.raises(SigmaError, match="there are no rules to convert"):
        convert_pack(rules(), stellar_aws(), store=store)


@pytest.mark.parametrize("case_sensitive", [False, True])
def test_case_is_regarded_on_request(case_sensitive: bool) -> None:
    """The flag is the backend's, with a store or without."""
    for store in (None, profile(a=KEYWORD)):
        pack = convert_pack(rules({"a": "B"}), stellar_aws(), case_sensitive=case_sensitive, store=store)
        [(_, _, options)] = dsl.leaves(pack.query)
        assert ("case_insensitive" in str(options)) is not case_sensitive


def test_under_our_template_a_profile_changes_no_query() -> None:
    """The mappings of the template are what the backend takes for granted without a profile."""
    fields = described((index_mappings(pack_fields()), {}))
    store = profile_from_json(profile_as_json("logs", "opensearch", "3.8.0", fields))
    with_profile = convert_pack(load_rules(), stellar_aws(), store=store)
    assert with_profile.query == convert_pack(load_rules(), stellar_aws()).query


def test_fields_of_the_pack() -> None:
    """They are those that rules test, published or corrected, and those that alerts are suppressed by."""
    fields = pack_fields()
    assert {"eventName", "eventSource", "userIdentity_type", "requestParameters_layers"} <= fields
    assert {flat_name(name) for name in DEFAULT_SUPPRESSION.fields} <= fields
    assert not any("." in name for name in fields)
    assert set(EVENT_FIELDS) - fields, "the template adds fields that no rule tests"
