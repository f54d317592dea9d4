"""One form for a search body, as a rule has it and as Alerting keeps it."""

import json
from typing import cast

import pytest
from sigma.rule import SigmaRule

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.install.stored_search import canonical_json
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.contract.stored_search import stored_query, stored_search


def bodies(monitor: str) -> list[JsonObject]:
    """The search bodies of all monitors of a kind, those of correlations included."""
    backend = StellarAwsBackend(stellar_aws(), monitor=monitor, inexact="warn", collect_errors=True)
    monitors = backend.convert(load_rules(correlations=True), "opensearch_monitor")
    return [cast(JsonObject, body["inputs"][0]["search"]["query"]) for body in monitors]


@pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.InexactCorrelationWarning")
@pytest.mark.parametrize("monitor", ["query", "bucket"])
def test_a_body_is_known_again(monitor: str) -> None:
    """Each body of the project has one form, whether it was just made or kept by Alerting, or kept once more."""
    for body in bodies(monitor):
        kept = stored_search(body)
        assert kept != body
        assert (
            canonical_json(kept)
            == canonical_json(body)
            == canonical_json(stored_search(kept))
            == canonical_json(canonical_json(body))
        )


@pytest.mark.parametrize(
    "query",
    [
        {"term": {"a": {"value": "x", "case_insensitive": True}}},
        {"terms": {"a": ["x", "y"]}},
        {"prefix": {"a": {"value": "x"}}},
        {"wildcard": {"a": {"value": "x*", "case_insensitive": True}}},
        {"regexp": {"a": {"value": "x.*", "flags": "NONE", "case_insensitive": True}}},
        {"regexp": {"a": {"value": "x.*", "max_determinized_states": 50000}}},
        {"range": {"a": {"gt": 5}}},
        {"range": {"a": {"gte": "{{period_end}}||-30m", "lt": "{{period_end}}", "format": "epoch_millis"}}},
        {"exists": {"field": "a"}},
        {"bool": {"should": [{"exists": {"field": "a"}}], "minimum_should_match": 1, "must_not": []}},
        {"bool": {"filter": [{"range": {"a": {"lte": 5}}}], "_name": "rule"}},
    ],
    ids=json.dumps,
)
def test_every_kind_of_query_is_known_again(query: JsonObject) -> None:
    """All that the backend writes has one form."""
    assert canonical_json(stored_query(query)) == canonical_json(query)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"term": {"a": {"value": "x"}}}, {"term": {"a": {"value": "x", "case_insensitive": True}}}),
        ({"range": {"a": {"gt": 5}}}, {"range": {"a": {"gte": 5}}}),
        ({"range": {"a": {"gt": 5}}}, {"range": {"a": {"lt": 5}}}),
        ({"regexp": {"a": {"value": "x"}}}, {"regexp": {"a": {"value": "x", "flags": "NONE"}}}),
        ({"term": {"a": {"value": "x"}}}, {"term": {"a": {"value": "x", "boost": 2.0}}}),
        ({"bool": {"should": [{"exists": {"field": "a"}}]}}, {"bool": {"filter": [{"exists": {"field": "a"}}]}}),
    ],
)
def test_what_differs_stays_different(one: JsonObject, other: JsonObject) -> None:
    """A query that somebody changed is not taken for the old one, in whatever form."""
    forms = [one, stored_query(one)], [other, stored_query(other)]
    assert all(canonical_json(a) != canonical_json(b) for a in forms[0] for b in forms[1])


@pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.InexactCorrelationWarning")
def test_the_rules_of_the_project_stay_apart() -> None:
    """No two rules get the same form."""
    forms = [json.dumps(canonical_json(body), sort_keys=True) for body in bodies("query")]
    plain = [rule for rule in load_rules().rules if isinstance(rule, SigmaRule)]
    assert len(set(forms)) == len(forms) > len(plain)
