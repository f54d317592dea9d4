"""Faulty rules, written for the purpose: the validators report exactly what is wrong with each."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from sigma.rule import SigmaRule
from sigma.validation import SigmaValidator

from sigma_stellar_aws.rule_files.load import load_rules, pack_path
from sigma_stellar_aws.rule_files.stellar_block import published_detection
from sigma_stellar_aws.validators.stellar_aws import validators
from tests.support.yaml_files import read_yaml

FAULTS = Path(__file__).parents[1] / "cases" / "faults"
RULE = {
    "title": "A faulty rule",
    "id": "5c1e3a52-6c56-4a3e-9d0a-0f6f3b1f2a11",
    "logsource": {"product": "aws", "service": "cloudtrail"},
    "detection": {
        "selection": {"eventSource": "iam.amazonaws.com", "eventName": "CreateUser"},
        "condition": "selection",
    },
    "level": "medium",
}


class Fault(NamedTuple):
    """A faulty rule, and what has to be said of it."""

    kind: str
    name: str
    rule: dict[str, Any]
    expected: list[dict[str, Any]]


@cache
def faults() -> list[Fault]:
    """All faulty rules."""
    return [
        Fault(file.stem, entry["name"], _rule(entry), entry["expected"])
        for file in sorted(FAULTS.glob("*.yml"))
        for entry in read_yaml(file)
    ]


def _rule(entry: dict[str, Any]) -> dict[str, Any]:
    rule = {**RULE, **entry.get("rule", {})}
    if "published" in entry:
        [of_pack] = load_rules(pack_path() / entry["published"]).rules
        rule["detection"] = published_detection(cast(SigmaRule, of_pack))
    elif "selection" in entry:
        rule["detection"] = {"selection": entry["selection"], "condition": "selection"}
    elif "detection" in entry:
        rule["detection"] = entry["detection"]
    return {key: value for key, value in rule.items() if value is not None}


def reported(rule: SigmaRule) -> list[tuple[str, tuple[str | int, ...], str]]:
    """What our validators report: validator, place and sentence."""
    return [
        (name, issue.at, issue.problem)
        for name, validator in validators.items()
        for issue in cast("list[Any]", SigmaValidator([validator]).validate_rules(iter([rule])))
    ]


def test_there_are_several_faulty_rules_of_every_kind() -> None:
    """Every validator has several faulty rules, names are unique, and there are more than sixty."""
    assert len(faults()) > 60
    assert len({(fault.kind, fault.name) for fault in faults()}) == len(faults())
    meant = Counter(name for fault in faults() for name in {said["validator"] for said in fault.expected})
    assert set(meant) == set(validators)
    assert min(meant.values()) >= 6


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: f"{fault.kind}: {fault.name}")
def test_a_fault_is_reported_exactly(fault: Fault) -> None:
    """What is wrong is reported, at its place, with what to write instead, and nothing else is."""
    found = reported(SigmaRule.from_dict(fault.rule))
    assert sorted(name for name, _, _ in found) == sorted(said["validator"] for said in fault.expected), found
    for said in fault.expected:
        assert any(
            name == said["validator"] and ("at" not in said or at == tuple(said["at"])) and said["says"] in problem
            for name, at, problem in found
        ), found


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: f"{fault.kind}: {fault.name}")
def test_a_place_is_in_the_rule(fault: Fault) -> None:
    """Every place that is reported exists in the rule, apart from a key that is missing at its end."""
    for _, at, _ in reported(SigmaRule.from_dict(fault.rule)):
        part: Any = fault.rule
        for key in at[:-1]:
            part = part[key]
        assert isinstance(part, dict | list)


def test_corrected_rules_are_clean() -> None:
    """Of the rules of the pack, those included whose published query is reported, nothing is."""
    assert [found for rule in load_rules().rules for found in reported(cast(SigmaRule, rule))] == []
