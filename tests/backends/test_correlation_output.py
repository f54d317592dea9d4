"""What is output of correlations and of the rules beside them, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from sigma.cli.convert import convert as sigma_convert
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.processing.conditions import RuleAttributeCondition
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import SetStateTransformation

from sigma_stellar_aws import convert_all
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import CorrelationError, UnsupportedRuleError
from sigma_stellar_aws.pipelines.ecs_aws_cloudtrail import stellar_aws_ecs
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.rule_files.load import correlations_path, load_rules, pack_path
from tests.support.correlated import CORRELATION_ID, correlation, counted
from tests.support.formats import convert, rule

pytestmark = [
    pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.AssumptionWarning"),
    pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.LeftOutWarning"),
]

COUNT = {"gte": 3}
BASE_ID = counted("a")["id"]


def collected(output_format: str, *rules: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """What rules become with errors collected, and the errors."""
    backend = StellarAwsBackend(stellar_aws(), collect_errors=True)
    found = backend.convert(SigmaCollection.from_dicts([*rules], resolve_references=False), output_format)
    return found, [str(error) for _, error in backend.errors]


def names(bodies: list[Any]) -> list[str]:
    """The names of the queries of search bodies."""
    return [body["query"]["bool"]["_name"] for body in bodies]


def test_default_has_the_body_of_each_rule_and_of_the_correlation() -> None:
    """Whoever finds keys with the one asks for their events with the others, whatever `generate` says."""
    bodies = convert("default", counted("a"), correlation("event_count", "a", condition=COUNT))
    assert names(bodies) == [BASE_ID, CORRELATION_ID]
    assert "aggs" not in bodies[0]
    assert bodies[1]["size"] == 0


@pytest.mark.parametrize("generate", [False, True])
def test_a_rule_that_only_serves_is_none_of_its_own(generate: bool) -> None:
    """Only where a correlation says `generate`."""
    lines = convert("elastic_rule", counted("a"), correlation("event_count", "a", condition=COUNT, generate=generate))
    assert [line["rule_id"] for line in lines] == [*([BASE_ID] if generate else []), CORRELATION_ID]


def test_generate_at_the_top_of_a_rule_counts(tmp_path: Path) -> None:
    """There the specification has it, and pySigma does not read it."""
    rules = [counted("a"), {**correlation("event_count", "a", condition=COUNT), "generate": True}]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump_all(rules), encoding="utf-8")
    lines = StellarAwsBackend(stellar_aws()).convert(load_rules(tmp_path), "elastic_rule")
    assert [line["rule_id"] for line in lines] == [BASE_ID, CORRELATION_ID]


def test_a_pack_has_the_bodies_of_correlations_beside_it() -> None:
    """A pack is one query for all rules, and a correlation is counted by a body of its own."""
    [pack, search] = convert("pack", counted("a"), counted("b"), correlation("event_count", "a", condition=COUNT))
    assert [clause["bool"]["_name"] for clause in pack["query"]["bool"]["should"]] == [counted("b")["id"]]
    assert names([search]) == [CORRELATION_ID]


def test_one_body_cannot_be_made_of_rules_and_correlations() -> None:
    """`convert_all` returns one body, and none may be missing from it."""
    rules = SigmaCollection.from_dicts([counted("a"), correlation("event_count", "a", condition=COUNT)])
    with pytest.raises(SigmaError, match="correlation"):
        convert_all(rules)


def test_the_order_of_rules_does_not_matter() -> None:
    """A correlation may stand before what it counts, with others between them."""
    rules = [correlation("event_count", "a", condition=COUNT), counted("b"), counted("a")]
    assert names(convert("default", *rules)) == [counted("b")["id"], BASE_ID, CORRELATION_ID]


@pytest.mark.parametrize("output_format", ["default", "pack", "elastic_rule", "opensearch_monitor"])
def test_what_is_wrong_with_a_correlation_leaves_out_no_other_rule(output_format: str) -> None:
    """A rule that it names is not there: it is named, and the rest is converted."""
    found, errors = collected(output_format, counted("b"), correlation("event_count", "nobody", condition=COUNT))
    assert len(found) == 1
    assert errors == ["Rule 'Together': there is no rule with the id or name 'nobody'"]
    rules = [counted("b"), correlation("event_count", "nobody", condition=COUNT)]
    collection = SigmaCollection.from_dicts(rules, resolve_references=False)
    with pytest.raises(CorrelationError, match="nobody"):
        StellarAwsBackend(stellar_aws()).convert(collection, output_format)


def test_a_correlation_of_a_rule_that_is_left_out_is_left_out_too() -> None:
    """It could never be complete, and says which rule is missing, and why."""
    refused = counted("a")
    refused["detection"]["selection"] = {"eventName|fieldref": "eventSource"}
    found, errors = collected("default", refused, counted("b"), correlation("temporal", "a", "b"))
    assert names(found) == [counted("b")["id"]]
    assert len(errors) == 2
    assert errors[1].startswith("Rule 'Together': the rule 'Rule A', which it counts, is left out: field 'eventName'")


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (correlation("value_sum", "a", condition={"gte": 3, "field": "eventName"}), "value_sum is not supported"),
        (correlation("value_avg", "a", condition={"gte": 3, "field": "eventName"}), "value_avg is not supported"),
        (correlation("event_count", "a", condition={"lt": 3}), "lt is not supported"),
        (correlation("event_count", "a", condition={"eq": 3}), "eq is not supported"),
        (correlation("temporal", "a", "b", condition="a and not b"), "not is not supported"),
        (correlation("event_count", "a", by=("userIdentity.arm",), condition=COUNT), "which CloudTrail records do not"),
        (correlation("event_count", "a", by=("requestParameters",), condition=COUNT), "which is an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("output_format", ["default", "elastic_rule"])
def test_what_cannot_be_exact_anywhere_is_refused(output_format: str, block: dict[str, Any], reason: str) -> None:
    """As by `alerts`: late events would withdraw what was found. So are fields that cannot group events."""
    with pytest.raises(UnsupportedRuleError, match=f"'Together': .*{reason}"):
        convert(output_format, counted("a"), counted("b"), block)


@pytest.mark.parametrize("output_format", ["default", "elastic_rule"])
def test_a_correlation_of_correlations_is_refused_and_those_are_no_rules(output_format: str) -> None:
    """One query does not follow two steps; the inner one only serves, so it is output where base rules are."""
    inner = correlation("event_count", "a", condition=COUNT)
    inner |= {"name": "inner", "title": "Inner", "id": counted("z")["id"]}
    found, errors = collected(
        output_format, counted("a"), counted("b"), inner, correlation("temporal_ordered", "inner", "b")
    )
    assert len(found) == (3 if output_format == "default" else 0)
    [error] = errors
    assert error.startswith("Rule 'Together': it counts the correlation 'Inner'")


@pytest.mark.parametrize("output_format", ["default", "pack", "elastic_rule"])
def test_an_id_that_another_rule_has_is_refused(output_format: str) -> None:
    """What is made of one would take the place of the other; nothing is lost in silence, in whatever order they are."""
    same = correlation("event_count", "a", condition=COUNT) | {"id": BASE_ID}
    for rules in ([counted("a"), same], [same, counted("a")]):
        _, errors = collected(output_format, *rules)
        assert errors == [f"Rule 'Together': another rule has the same id ({BASE_ID})"]


def test_what_a_pipeline_refuses_of_a_correlation_is_refused() -> None:
    """Elastic's integration mixes names of users with those of roles."""
    block = correlation("event_count", "a", by=("userIdentity.userName",), condition=COUNT)
    with pytest.raises(UnsupportedRuleError, match=r"groups by 'userIdentity.userName'"):
        convert("default", counted("a"), block, pipeline=stellar_aws_ecs())


def test_rules_of_different_indices_cannot_be_counted_together() -> None:
    """A search reads one set of indices; which rule is for which is said."""
    elsewhere = ProcessingItem(
        SetStateTransformation("index", ["other-*"]), rule_conditions=[RuleAttributeCondition("title", "Rule B")]
    )
    moved = stellar_aws() + ProcessingPipeline([elsewhere])
    with pytest.raises(UnsupportedRuleError, match="different indices or times: 'Rule A' for aella-cloudtrail-"):
        convert("default", counted("a"), counted("b"), correlation("temporal", "a", "b"), pipeline=moved)


def test_security_analytics_has_no_correlations() -> None:
    """Its own kind of correlation has no keys and no counts."""
    named = rule(name="a", level="high")
    with pytest.raises(
        UnsupportedRuleError, match="'Together': a custom rule of Security Analytics looks at one event at a time"
    ):
        convert("opensearch_detector", named, correlation("event_count", "a", condition=COUNT))


def test_sigma_convert_finds_what_a_correlation_names_in_one_folder(tmp_path: Path) -> None:
    """It resolves the names in each path that it is given by itself."""
    for file in (*pack_path().glob("*.yml"), *correlations_path().glob("*.yml")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    options = ["-s", "-t", "stellar_aws", "-p", "stellar_aws", "-f", "elastic_rule"]
    together = CliRunner().invoke(sigma_convert, [*options, str(tmp_path)])
    assert together.exit_code == 0, together.output
    kinds = [json.loads(line)["type"] for line in together.stdout.splitlines() if line.startswith("{")]
    assert (kinds.count("query"), kinds.count("eql")) == (29, 5)
    apart = CliRunner().invoke(sigma_convert, [*options, str(pack_path()), str(correlations_path())])
    assert apart.exit_code == 1
    assert "not found in rule collection" in apart.output
