"""Good rules in the style of public ones for CloudTrail (cases/cloudtrail): a checker has nothing to say about them."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.rule import SigmaRule

from sigma_stellar_aws.authoring.check import check_rules
from tests.authoring.test_faults import reported
from tests.support.yaml_files import read_yaml

FOLDER = Path(__file__).parents[1] / "cases" / "cloudtrail"
LITERAL_STARS = {"aws_iam_trust_policy_open_to_everyone.yml", "aws_lambda_permission_for_everyone.yml"}
"""A literal star is what these are about, as the README there says; pySigma reports it all the same."""


SHARED_LISTS = {
    "aws_ec2_admin_port_open_to_world.yml",
    "aws_cloudtrail_management_events_excluded.yml",
    "aws_ec2_classification_tag_emptied.yml",
    "aws_s3_lifecycle_short_expiration.yml",
}
"""These ask two fields of one list, which two elements of it can have together: a low finding that is true."""


@cache
def rules() -> dict[str, dict[str, Any]]:
    """The rules by their file names."""
    return {file.name: read_yaml(file)["rule"] for file in sorted(FOLDER.glob("*.yml"))}


def test_there_are_more_than_forty_of_many_constructs() -> None:
    """A good rule is one that could have been reported: there are many, with most modifiers that such rules use."""
    keys = [key for rule in rules().values() for key in _keys(rule["detection"])]
    modifiers = {modifier for key in keys for modifier in key.split("|")[1:]}
    assert len(rules()) >= 40
    assert {"all", "cidr", "contains", "endswith", "exists", "re", "startswith"} <= modifiers


@pytest.mark.parametrize("name", rules())
def test_our_validators_report_nothing(name: str) -> None:
    """None of our validators has a false alarm."""
    found = {validator for validator, _, _ in reported(SigmaRule.from_dict(rules()[name]))}
    assert found == ({"stellar_aws_shared_list"} if name in SHARED_LISTS else set())


def test_a_check_reports_nothing(tmp_path: Path) -> None:
    """A check only reports literal stars and fields of one list; a comparison of two fields is no fault."""
    for name, rule in rules().items():
        (tmp_path / name).write_text(yaml.safe_dump(rule, sort_keys=False, allow_unicode=True), encoding="utf-8")
    report = check_rules([tmp_path])
    assert len(report.checked) == len(rules())
    with_fieldref = {name for name, rule in rules().items() if "|fieldref" in str(rule["detection"])}
    assert {(finding.path.name, finding.check) for finding in report.findings} == {
        *((name, "escaped_wildcard") for name in LITERAL_STARS),
        *((name, "stellar_aws_shared_list") for name in SHARED_LISTS),
    }
    assert len(with_fieldref) == 2


def _keys(detection: Any) -> list[str]:
    if isinstance(detection, dict):
        return [*detection, *(key for value in detection.values() for key in _keys(value))]
    return [key for part in detection for key in _keys(part)] if isinstance(detection, list) else []
