"""Sigma rules as Query DSL."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma import types
from sigma.collection import SigmaCollection
from sigma.conditions import ConditionFieldEqualsValueExpression, ConditionValueExpression
from sigma.conversion.state import ConversionState
from sigma.exceptions import SigmaError, SigmaRegularExpressionError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.types import CompareOperators, SigmaNumber, SigmaType, TimestampPart

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import (
    AssumptionWarning,
    InexactQueryWarning,
    UnsupportedConditionError,
    UnsupportedRuleError,
)
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.clause_count import MOST_CLAUSES, clause_count
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.query.lucene_regex import MAX_LENGTH
from sigma_stellar_aws.query.store_profile import StoreProfile
from sigma_stellar_aws.rule_files.load import load_rules
from tests.query.test_dsl import nested_alike
from tests.support.yaml_files import read_yaml

CASES: list[dict[str, Any]] = read_yaml(Path(__file__).parents[1] / "cases" / "conversions.yml")
ID = "6d0b1f5e-57a6-4f0e-9a3b-0d2a1c7e9b42"
OTHER_ID = "b0a2f9a4-1f0d-4c57-8b1e-3e6a5d4c2f10"


def cases(*keys: str) -> pytest.MarkDecorator:
    """The cases that have one of the keys."""
    return pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in CASES if set(keys) & set(c)])


def rule(detection: JsonObject, **attributes: Any) -> dict[str, Any]:
    """A rule of a detection; a detection without a condition is one selection."""
    if "condition" not in detection:
        detection = {"selection": detection, "condition": "selection"}
    logsource = {"product": "aws", "service": "cloudtrail"}
    return {"title": "Some Rule", "id": ID, "logsource": logsource, "detection": detection, **attributes}


def convert(*rules: dict[str, Any], output_format: str = "default", **options: Any) -> list[Any]:
    """The search bodies of rules."""
    return list(StellarAwsBackend(**options).convert(SigmaCollection.from_dicts([*rules]), output_format))


def convert_case(case: dict[str, Any]) -> list[Any]:
    """The search bodies of a case."""
    detection = case.get("detection") or {"selection": case["selection"], "condition": "selection"}
    pipeline = ProcessingPipeline.from_dict(case["pipeline"]) if "pipeline" in case else None
    return convert(rule(detection, title=case["name"]), processing_pipeline=pipeline, **case.get("options", {}))


def search(query: JsonObject, name: str = ID) -> JsonObject:
    """The search body of a query, with its name."""
    body: Any = query.get("bool", {"filter": [query]})
    return {"query": {"bool": {**body, "_name": name}}}


PYSIGMA_2 = version("pysigma").startswith("2.")


@cases("query", "queries")
def test_condition_becomes_the_query_that_says_the_same(case: dict[str, Any]) -> None:
    """Each condition of the table becomes exactly the query beside it, in a search body that names the rule."""
    assert convert_case(case) == [search(query) for query in case.get("queries") or [case["query"]]]


def test_a_filter_is_renamed_once_for_each_rule_that_it_is_part_of() -> None:
    """pySigma puts the same selections of a filter into all of them."""
    sigma_filter = {
        "title": "Some Filter",
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "filter": {"rules": "any", "trusted": [{"b": "x"}, {"c": "y"}], "condition": "not trusted"},
    }
    other = rule({"a": "z"}, id=OTHER_ID)
    prefix = {"type": "field_name_prefix", "prefix": "new_"}
    pipeline = ProcessingPipeline.from_dict({"name": "P", "priority": 1, "transformations": [prefix]})
    bodies = convert(rule({"a": "z"}), other, sigma_filter, processing_pipeline=pipeline)
    assert [dsl.fields(body["query"]) for body in bodies] == [["new_a", "new_b", "new_c"]] * 2


def test_a_selection_whose_name_is_a_number_is_told_of() -> None:
    """YAML reads it as one where it is not quoted."""
    with pytest.raises(UnsupportedRuleError, match="there is no selection '6'"):
        convert(rule({5: {"a": "x"}, "condition": "6"}))  # type: ignore[dict-item]


@cases("script")
def test_two_fields_are_compared_by_a_script_where_it_is_allowed(case: dict[str, Any]) -> None:
    """The names of the fields and how they compare are parameters, so that one compiled script serves all rules."""
    [body] = convert_case(case)
    script = {"lang": "painless", "source": dsl.COMPARE_FIELDS, "params": case["script"]}
    assert body == search({"script": {"script": script}})


@cases("hits")
def test_condition_matches_the_values_that_it_should(case: dict[str, Any]) -> None:
    """Each comparison of the table matches its hits and none of its misses."""
    [body] = convert_case(case)
    matches = compile_query(body["query"])
    assert [value for value in case["hits"] + case["misses"] if matches({"f": value})] == case["hits"]


@cases("refused")
def test_condition_is_refused_with_rule_field_and_reason(case: dict[str, Any]) -> None:
    """What cannot be converted exactly is refused, and the message says where it stands and why."""
    if PYSIGMA_2 and case["refused"] == "look-ahead":
        # It compiles regular expressions with RE2 when a rule is loaded, so no backend sees such a rule.
        with pytest.raises(SigmaRegularExpressionError, match=r"\(\?!"):
            convert_case(case)
        return
    with pytest.raises(UnsupportedRuleError) as error:
        convert_case(case)
    message = str(error.value)
    assert repr(case["name"]) in message
    assert case["refused"] in message
    if "selection" in case:
        bound = isinstance(case["selection"], dict) and not next(iter(case["selection"])).startswith("|")
        assert ("field 'f':" if bound else "search without a field:") in message


def test_names_of_cases_are_unique() -> None:
    """Every case can be told from the others."""
    names = [case["name"] for case in CASES]
    assert sorted(set(names)) == sorted(names)


def subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    """All classes below a class."""
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


VALUES: list[SigmaType] = [
    types.SigmaNull(),
    types.SigmaExists(True),
    types.SigmaString("a"),
    types.SigmaCasedString("a"),
    SigmaNumber(1),
    types.SigmaTimestampPart(TimestampPart.HOUR, 1),
    types.SigmaBool(True),
    types.SigmaRegularExpression("a"),
    types.SigmaCIDRExpression("10.0.0.0/8"),
    *(types.SigmaCompareExpression(SigmaNumber(1), operator) for operator in CompareOperators),
    types.SigmaFieldReference("g"),
    types.SigmaQueryExpression("a", "b"),
    types.SigmaExpansion([types.SigmaString("a"), types.SigmaExpansion([SigmaNumber(1)])]),
]


def test_all_value_types_are_tried() -> None:
    """The list of values has one of each type that pySigma has."""
    assert {type(value) for value in VALUES} == set(subclasses(SigmaType))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_every_value_type_is_converted_or_refused(value: SigmaType) -> None:
    """No type of value ends in any other error, beside a field or alone."""
    backend = StellarAwsBackend()
    refused = (types.SigmaTimestampPart, types.SigmaFieldReference, types.SigmaQueryExpression)
    condition = ConditionFieldEqualsValueExpression("f", value)
    if isinstance(value, refused):
        with pytest.raises(UnsupportedConditionError):
            backend.convert_condition(condition, ConversionState())
    else:
        compile_query(backend.convert_condition(condition, ConversionState()))
    with pytest.raises(UnsupportedConditionError, match="without a field"):
        backend.convert_condition(ConditionValueExpression(value), ConversionState())


def test_unequal_number_is_converted() -> None:
    """pySigma's comparison "not equal", which no modifier makes, is a must_not."""
    value = types.SigmaCompareExpression(SigmaNumber(5), CompareOperators.NEQ)
    condition = ConditionFieldEqualsValueExpression("f", value)
    clause = StellarAwsBackend().convert_condition(condition, ConversionState())
    assert clause == {"bool": {"must_not": [{"terms": {"f": [5, "5.0"]}}]}}


@pytest.mark.parametrize("text", ["é" * MAX_LENGTH, "é" + "a" * MAX_LENGTH])
def test_text_too_long_for_a_server_is_refused(text: str) -> None:
    """A long text with letters beyond ASCII would be a pattern that no server accepts; cased, it is fine."""
    with pytest.raises(UnsupportedConditionError, match=f"field 'f'.*characters long; {MAX_LENGTH} are accepted"):
        convert(rule({"f": text}))
    assert convert(rule({"f|cased": text})) == [search({"term": {"f": {"value": text}}})]


@pytest.mark.parametrize(
    ("option", "case_insensitive"),
    [(True, False), (False, True), ("true", False), ("True", False), ("false", True)],
)
def test_case_sensitive_is_a_flag_or_its_text(option: bool | str, case_insensitive: bool) -> None:
    """sigma-cli passes texts, programs pass booleans."""
    [body] = convert(rule({"f": "a"}), case_sensitive=option)
    assert ("case_insensitive" in body["query"]["bool"]["filter"][0]["term"]["f"]) is case_insensitive


@pytest.mark.parametrize(
    "options",
    [
        *({"case_sensitive": value} for value in ("yes", 1, "")),
        *({"inexact": value} for value in ("yes", "", True, "WARN")),
        {"store": "gone.json"},
        {"keyword_suffix": ".keyword", "store": StoreProfile("logs", "opensearch", "3.8.0", {})},
        {"unknown": "x"},
    ],
    ids=str,
)
def test_wrong_option_is_an_error(options: dict[str, Any]) -> None:
    """An option that is unknown, has a value that it cannot have, or excludes another is refused with its name."""
    with pytest.raises(TypeError, match=f"'{next(iter(options))}"):
        StellarAwsBackend(**options)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), ("words", "not JSON"), ("{}", "not a store profile")]
)
def test_a_store_that_cannot_be_read(tmp_path: Path, content: str | None, reason: str) -> None:
    """In the part in quotes, which is all that sigma-cli shows, stand what is wrong and what to write."""
    file = tmp_path / "it's.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(TypeError) as error:
        StellarAwsBackend(store=str(file))
    shown = str(error.value).split("'")[1]
    assert reason in shown
    assert shown.startswith(f"store={tmp_path}")
    assert shown.endswith("write store=FILE with a file of: sigma-stellar-aws profile -o FILE)")


def test_errors_are_collected() -> None:
    """With collect_errors a rule that cannot be converted is kept with its error, and the others are converted."""
    backend = StellarAwsBackend(collect_errors=True)
    rules = SigmaCollection.from_dicts([rule({"f|fieldref": "g"}, id=OTHER_ID, title="Bad"), rule({"f": "1"})])
    assert backend.convert(rules) == [search({"term": {"f": {"value": "1"}}})]
    [(bad, error)] = backend.errors
    assert bad.title == "Bad"
    assert isinstance(error, UnsupportedConditionError)
    assert "'Bad'" in str(error)


def test_rule_without_an_id_is_named_by_its_title() -> None:
    """The query of a rule has the rule's id as its name, or what else tells it from others."""
    without = rule({"f": "1"})
    del without["id"]
    assert convert(without) == [search({"term": {"f": {"value": "1"}}}, "Some Rule")]


def test_unknown_format_is_an_error() -> None:
    """The message lists the formats that there are."""
    with pytest.raises(SigmaError, match="default, pack"):
        convert(rule({"f": "1"}), output_format="unknown")


def test_pack_is_one_search_of_named_clauses() -> None:
    """Every rule is a clause with its id as the name, exactly as it is converted alone."""
    rules = [
        rule({"f": "1"}),
        rule({"s": {"f": "2", "g": None}, "condition": "s"}, id=OTHER_ID),
    ]
    alone = [body["query"] for body in convert(*rules)]
    assert convert(*rules, output_format="pack") == [{"query": {"bool": {"should": alone, "minimum_should_match": 1}}}]
    assert [clause["bool"]["_name"] for clause in alone] == [ID, OTHER_ID]


def test_pack_joins_the_conditions_of_a_rule() -> None:
    """A rule of several conditions is one clause that any of them fulfils."""
    detection: Any = {"a": {"f": "1"}, "b": {"f": "2"}, "c": {"g": None}, "condition": ["a", "b", "not c", "a and c"]}
    alternatives = [
        {"terms": {"f": ["1", "2"]}},
        {"exists": {"field": "g"}},
        {"bool": {"filter": [{"term": {"f": {"value": "1"}}}], "must_not": [{"exists": {"field": "g"}}]}},
    ]
    [body] = convert(rule(detection), output_format="pack")
    clause = {"bool": {"should": alternatives, "minimum_should_match": 1, "_name": ID}}
    assert body == {"query": {"bool": {"should": [clause], "minimum_should_match": 1}}}


def test_pack_refuses_two_rules_of_the_same_id() -> None:
    """Hits of two rules with one name could not be told apart."""
    with pytest.raises(UnsupportedRuleError, match=f"{ID}.*same id"):
        convert(rule({"f": "1"}), rule({"f": "2"}, title="Another Rule"), output_format="pack")


def test_a_pack_of_very_many_rules_is_several_search_bodies() -> None:
    """OpenSearch takes 1,024 clauses in one query: each body has no more, none is lost, and it is told."""
    ids = [f"00000000-0000-4000-8000-{n:012}" for n in range(300)]
    rules = [
        rule({"eventName|startswith": [str(n), *map(str, range(9))]}, title=f"Rule {n}", id=ids[n - 10])
        for n in range(10, 310)
    ]
    with pytest.warns(
        AssumptionWarning, match="the rules are in 3 search bodies, a line each, all of which have to be"
    ):
        bodies = convert(*rules, output_format="pack")
    counts = [clause_count(body["query"]) for body in bodies]
    assert (len(counts), sum(counts), max(counts) <= MOST_CLAUSES) == (3, 3000, True)
    names = [name for body in bodies for name, _ in dsl.named_clauses(body["query"])]
    assert names == ids
    large = rule({"eventName|startswith": [*map(str, range(2000))]})
    with pytest.warns(AssumptionWarning, match=f"more are in the rule {ID} alone, which OpenSearch may refuse"):
        assert len(convert(large, rules[0], output_format="pack")) == 2


@pytest.mark.parametrize("output_format", ["default", "pack"])
def test_no_rules_are_no_queries(output_format: str) -> None:
    """Nothing to convert gives an empty list, not a query that matches everything."""
    assert convert(output_format=output_format) == []


def test_pack_of_refused_rules_is_empty() -> None:
    """A pack of which no rule is left is no query either."""
    assert convert(rule({"f|fieldref": "g"}), output_format="pack", collect_errors=True) == []


SELECTIONS: dict[str, Any] = {
    "a": {"f": "1"},
    "b": {"f": ["1", "2"], "g": None},
    "c": [{"g": "1"}, {"h|contains|all": ["x", "y"]}, {"f|neq": "2"}],
    "d": {"h|exists": False},
}
CONDITIONS = st.recursive(
    st.sampled_from(["a", "b", "c", "d", "1 of them", "all of them"]),
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner),
    ),
    max_leaves=6,
)
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"f": st.sampled_from("123"), "g": st.sampled_from("12"), "h": st.sampled_from(["x", "yx"])}
)


def fulfilled(document: dict[str, str]) -> dict[str, bool]:
    """Which of the selections a document fulfils."""
    f, g, h = (document.get(field) for field in "fgh")
    selections = {
        "a": f == "1",
        "b": f in ("1", "2") and g is None,
        "c": g == "1" or h == "yx" or f != "2",
        "d": h is None,
    }
    return {**selections, "some": any(selections.values()), "every": all(selections.values())}


@settings(deadline=None, max_examples=150)
@given(CONDITIONS, DOCUMENTS)
def test_nested_conditions_are_flat_and_mean_what_they_say(condition: str, document: dict[str, str]) -> None:
    """However conditions are nested, no bool stands in one of its own kind, and the query matches what they ask for."""
    [body] = convert(rule({**SELECTIONS, "condition": condition}))
    assert list(nested_alike(body["query"])) == []
    python = condition.replace("1 of them", "some").replace("all of them", "every")
    assert compile_query(body["query"])({**document}) == eval(python, {}, fulfilled(document))


@pytest.mark.parametrize("in_file", [True, False])
def test_a_warning_comes_from_the_file_of_the_rule(in_file: bool, tmp_path: Path) -> None:
    """What is in doubt is shown as said of the rule's file, and of Sigma where the rule has none, not of this code."""
    file = tmp_path / "some.yml"
    file.write_text(yaml.safe_dump(rule({"f": "x"})), "utf-8")
    rules = load_rules(file) if in_file else SigmaCollection.from_dicts([rule({"f": "x"})])
    profile = StoreProfile("some-*", "opensearch", "3.8.0", {})
    with pytest.warns(InexactQueryWarning) as caught:
        StellarAwsBackend(store=profile, inexact="warn").convert(rules)
    assert [warning.filename for warning in caught] == [str(file) if in_file else "sigma"]


def test_error_names_the_rule_that_it_is_about() -> None:
    """The error of a second rule names the second rule."""
    rules = [rule({"f": "1"}), rule({"f|hour": 1}, id=OTHER_ID, title="Second")]
    with pytest.raises(UnsupportedConditionError, match="'Second'"):
        convert(*rules)
