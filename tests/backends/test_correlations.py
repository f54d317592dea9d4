"""Correlation rules in conversions: after their rules, and with what these became."""

from typing import Any

import pytest
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.formats.converted_correlation import ConvertedCorrelation
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.rule_files.correlations import only_counted
from tests.support.formats import rule


class Seen(StellarAwsBackend):
    """Keeps the correlations that a format is given."""

    def finalize_output_opensearch_monitor(self, queries: Any) -> Any:
        """Return what the format is given."""
        return [query.part for query in queries]


def base(name: str, event: str, **more: Any) -> dict[str, Any]:
    """A rule about one event."""
    return rule({"eventName": event}, name=name, title=name, id=None, **more)


def correlation(title: str = "Many", by: str = "eventName", **more: Any) -> dict[str, Any]:
    """A correlation of the rules a and b."""
    block = {"type": "event_count", "rules": ["a", "b"], "group-by": [by], "timespan": "5m"}
    return {"title": title, "correlation": {**block, "condition": {"gte": 3}, **more}}


def seen(*rules: dict[str, Any], collect_errors: bool = False) -> tuple[list[Any], list[str]]:
    """What a format is given of rules, and the errors."""
    backend = Seen(stellar_aws(), collect_errors=collect_errors)
    documents = [{key: value for key, value in each.items() if value is not None} for each in rules]
    found = backend.convert(SigmaCollection.from_dicts(documents, resolve_references=False), "opensearch_monitor")
    return found, [str(error) for _, error in backend.errors]


def test_a_correlation_comes_with_its_rules_wherever_it_stands() -> None:
    """pySigma converts one that stands before its rules without them, if others stand between."""
    found, _ = seen(correlation(), base("c", "C"), base("a", "A"), base("b", "B"))
    [alone, converted] = found
    assert alone.title == "c"
    assert isinstance(converted, ConvertedCorrelation)
    assert [each.converted.title for each in converted.rules] == ["a", "b"]
    assert converted.whole.title == "Many"
    assert converted.whole.clause == {
        "bool": {
            "should": [
                {"term": {"eventName": {"value": "A", "case_insensitive": True}}},
                {"term": {"eventName": {"value": "B", "case_insensitive": True}}},
            ],
            "minimum_should_match": 1,
        }
    }


def test_the_names_of_fields_that_are_grouped_by_and_counted_are_asked_of_the_pipelines() -> None:
    """An alias is another field in the events of each rule."""
    aliases = {"who": {"a": "userIdentity.userName", "b": "requestParameters.userName"}}
    counted = correlation(
        type="value_count",
        condition={"gte": 3, "field": "requestParameters.bucketName"},
        aliases=aliases,
        by="who",
    )
    [[converted], _] = seen(base("a", "A"), base("b", "B"), counted)
    assert [(each.key, each.values) for each in converted.rules] == [
        (("userIdentity_userName",), ("requestParameters_bucketName",)),
        (("requestParameters_userName",), ("requestParameters_bucketName",)),
    ]


@pytest.mark.parametrize("generate", [False, True])
def test_a_rule_is_output_if_one_correlation_that_names_it_says_so(generate: bool) -> None:
    """As in alerts; pySigma silences it if one does not."""
    found, _ = seen(base("a", "A"), base("b", "B"), correlation(), correlation("More", generate=generate))
    assert [getattr(part, "title", "") for part in found[:-2]] == (["a", "b"] if generate else [])


def test_a_rule_that_is_there_for_correlations_alone_is_not_output() -> None:
    """Even if a correlation says generate: somebody left it out."""
    documents: list[Any] = [base("a", "A"), base("b", "B"), correlation(generate=True)]
    documents = [{key: value for key, value in each.items() if value is not None} for each in documents]
    rules = SigmaCollection.from_dicts(documents, resolve_references=False)
    first, *others = rules.rules
    chosen = SigmaCollection([only_counted(first), *others], resolve_references=False)
    found = Seen(stellar_aws()).convert(chosen, "opensearch_monitor")
    assert [getattr(part, "title", "whole") for part in found] == ["b", "whole"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (correlation(rules=["a", "z"]), "there is no rule with the id or name 'z'"),
        (correlation(condition={"lte": 3}), "lte is not supported"),
        (
            correlation(rules=["a", "compares"]),
            "the rule 'compares', which it counts, is left out: field 'f': two",
        ),
        (correlation(rules=["bad"]), "correlations count each other"),
    ],
)
def test_one_that_cannot_be_is_named_and_the_others_are_there(bad: dict[str, Any], reason: str) -> None:
    """Nothing of pySigma's own errors, which name neither the correlation nor the reason."""
    compares = {**base("compares", "A"), "detection": {"s": {"f|fieldref": "g"}, "condition": "s"}}
    rules = [base("a", "A"), base("b", "B"), compares, {**bad, "title": "Bad", "name": "bad"}, correlation()]
    found, errors = seen(*rules, collect_errors=True)
    assert [part.whole.title for part in found if isinstance(part, ConvertedCorrelation)] == ["Many"]
    assert [error for error in errors if error.startswith(f"Rule 'Bad': {reason}")]
    with pytest.raises(SigmaError, match=r"Rule '(Bad|compares)': "):
        seen(*rules)


def test_a_correlation_of_correlations_is_refused_by_name() -> None:
    """A store holds events."""
    inner = {**correlation("Inner", generate=True), "name": "inner"}
    outer = correlation("Outer", type="temporal", rules=["inner", "a"], condition={"gte": 2})
    _, errors = seen(base("a", "A"), base("b", "B"), outer, inner, collect_errors=True)
    assert errors == [
        "Rule 'Outer': it counts the correlation 'Inner', and a data store holds events, not correlations; "
        "sigma-stellar-aws alerts can"
    ]
