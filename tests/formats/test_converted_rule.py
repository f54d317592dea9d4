"""How fields are named and rules are joined for the formats."""

from typing import Any

import pytest
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from sigma_stellar_aws.base.sigma_errors import InexactQueryWarning, UnsupportedRuleError
from sigma_stellar_aws.formats.pipeline_names import pipeline_names
from sigma_stellar_aws.pipelines.ecs_aws_cloudtrail import stellar_aws_ecs
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from tests.support.formats import convert, profile, rule


def pipeline(*transformations: dict[str, Any]) -> ProcessingPipeline:
    """The pipeline to flattened names, and transformations after it."""
    return stellar_aws() + ProcessingPipeline.from_dict({"transformations": [*transformations]})


def test_names_go_through_all_pipelines() -> None:
    """A field is renamed as in a condition, by the transformations that are for this rule; other fields stay."""
    own = {"type": "field_name_mapping", "mapping": {"userIdentity_arn": "actor", "awsRegion": ["region", "zone"]}}
    other = {
        "type": "field_name_prefix",
        "prefix": "x_",
        "rule_conditions": [{"type": "rule_attribute", "attribute": "title", "value": "Other"}],
    }
    found = pipeline_names(
        SigmaRule.from_dict(rule()), pipeline(own, other), ["userIdentity.arn", "awsRegion", "eventName"]
    )
    assert found.by_field == {
        "userIdentity.arn": ("actor",),
        "awsRegion": ("region", "zone"),
        "eventName": ("eventName",),
    }
    assert found.all(["awsRegion", "eventName", "awsRegion", "unasked"]) == ["region", "zone", "eventName"]


def test_asking_changes_nothing() -> None:
    """The rule and the pipelines are as before, and fields that a pipeline adds to every rule are no names."""
    applied = pipeline({"type": "add_field", "field": "added"})
    asked = SigmaRule.from_dict(rule(fields=["awsRegion"]))
    applied.apply(asked)
    before = (list(asked.fields), dict(applied.state), str(asked.detection))
    assert pipeline_names(asked, applied, ["userIdentity.type"]).by_field == {
        "userIdentity.type": ("userIdentity_type",)
    }
    assert (list(asked.fields), dict(applied.state), str(asked.detection)) == before


def test_a_field_has_a_name_whatever_may_be_asked_of_it() -> None:
    """The integration keeps the access key, though no rule can ask whether there is one."""
    found = pipeline_names(
        SigmaRule.from_dict(rule()), stellar_aws_ecs(), ["userIdentity.accessKeyId", "sharedEventID"]
    )
    assert found.all(["userIdentity.accessKeyId"]) == ["aws.cloudtrail.user_identity.access_key_id"]
    assert found.by_field["sharedEventID"] == ()


def grouped(field: str, **options: Any) -> list[str]:
    """The fields of a store by which a rule is grouped that states a field."""
    stated = rule(stellar={"suppression": {"fields": [field]}})
    [found] = convert("elastic_rule", stated, **options)
    fields: list[str] = found["alert_suppression"]["group_by"]
    return fields


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("userIdentity.Arn", r"which CloudTrail records do not have \(did you mean userIdentity.arn\?\)"),
        ("userIdentity_arn", r"do not have \(did you mean userIdentity.arn\?\)"),
        ("nonsense.field", "which CloudTrail records do not have; name others"),
        ("requestParameters", "which is an object"),
        ("userIdentity", "which is an object"),
        ("resources", "which is an object"),
    ],
)
@pytest.mark.parametrize("applied", [stellar_aws, stellar_aws_ecs])
def test_what_is_no_field_is_not_grouped_by(applied: Any, field: str, reason: str) -> None:
    """It would be missing in all events, so that one alert a day would stand for everybody."""
    with pytest.raises(UnsupportedRuleError, match=f"'Some Rule': alerts are suppressed by '{field}', .*{reason}"):
        grouped(field, pipeline=applied())


@pytest.mark.parametrize("field", ["userIdentity.userName", "userIdentity.accountId", "sharedEventID"])
def test_a_field_without_a_place_is_not_grouped_by(field: str) -> None:
    """What the integration does not keep as it is, or a pipeline has no place for, leaves nothing to suppress by."""
    drop = {"type": "field_name_mapping", "mapping": {field.replace(".", "_"): []}}
    for applied in (stellar_aws_ecs(), pipeline(drop)):
        with pytest.raises(UnsupportedRuleError, match=f"by '{field}', which the pipelines leave without a name; name"):
            grouped(field, pipeline=applied)
    assert grouped(field) == [field.replace(".", "_")]


def test_fields_inside_objects_are_grouped_by() -> None:
    """What an event brings has a name in each schema."""
    assert grouped("requestParameters.name") == ["requestParameters_name"]
    inside = "aws.cloudtrail.flattened.request_parameters.name"
    assert grouped("requestParameters.name", pipeline=stellar_aws_ecs()) == [inside]


def test_a_store_is_grouped_by_what_it_can_group_by() -> None:
    """Analysed text is no field to group by; its keyword sub-field is, and without one the rule is refused."""
    raw = {"type": "keyword", "ignore_above": 2048}
    arn = "userIdentity.arn"

    def store(mapping: Any) -> Any:
        return profile("elasticsearch", "8.19.0", userIdentity_arn=mapping)

    assert grouped(arn, store=store({"type": "text", "fields": {"raw": raw}})) == ["userIdentity_arn.raw"]
    assert grouped(arn, store=store({"type": "keyword"})) == ["userIdentity_arn"]
    assert grouped(arn, keyword_suffix=".keyword") == ["userIdentity_arn.keyword"]
    for mapping, reason in (({"type": "text"}, "cannot group by"), (None, "does not have")):
        with pytest.raises(UnsupportedRuleError, match=f"'userIdentity_arn', which logs {reason}"):
            grouped(arn, store=store(mapping))


@pytest.mark.parametrize(
    ("field", "limit", "is_cut"),
    [
        # The path of a user has up to 512 characters.
        ("userIdentity.arn", 1024, False),
        ("userIdentity.arn", 256, True),
        ("sourceIPAddress", 256, False),
        ("sourceIPAddress", 128, True),
        ("recipientAccountId", 12, False),
        ("requestParameters.name", 1024, True),
        ("requestParameters.name", 32766, False),
    ],
)
def test_a_field_that_is_cut_is_not_grouped_by(field: str, limit: int, is_cut: bool) -> None:
    """Longer values are not indexed, so that who has one is taken for all others who have; unless that is accepted."""
    name = field.replace(".", "_")
    short: Any = {"type": "keyword", "ignore_above": limit}
    options: dict[str, Any] = {"store": profile("elasticsearch", "8.19.0", **{name: short})}
    if not is_cut:
        assert grouped(field, **options) == [name]
        return
    with pytest.raises(UnsupportedRuleError, match=f"'{name}': .*over {limit} characters are not indexed in {name}"):
        grouped(field, **options)
    with pytest.warns(InexactQueryWarning, match=f"over {limit} characters") as caught:
        assert grouped(field, inexact="warn", **options) == [name]
    assert len(caught) == 1
    longer: Any = {**short, "fields": {"raw": {"type": "keyword"}}}
    assert grouped(field, store=profile("elasticsearch", "8.19.0", **{name: longer})) == [f"{name}.raw"]


@pytest.mark.parametrize("output_format", ["elastic_rule", "opensearch_monitor"])
def test_an_index_of_a_pipeline_is_taken(output_format: str) -> None:
    """A text or a list that a pipeline sets is where an artefact searches."""
    for value in ("mine-*", ["mine-*", "yours-*"]):
        applied = pipeline({"type": "set_state", "key": "index", "val": value})
        [found] = convert(output_format, rule(), pipeline=applied)
        indices = found["index"] if output_format == "elastic_rule" else found["inputs"][0]["search"]["indices"]
        assert indices == ([value] if isinstance(value, str) else value)
