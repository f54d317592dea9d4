"""Conditions that are nested too deep."""

from pathlib import Path

import pytest
from sigma.exceptions import SigmaError

from sigma_stellar_aws.alerts.run import alerts_of_files
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.nesting import MOST_LEVELS, levels

SAMPLE = "tests/samples/export.ndjson"


def rule(folder: Path, condition: str) -> Path:
    """A rule with a condition on its selection ``a``, that every event meets."""
    file = folder / "rule.yml"
    file.write_text(
        "title: Deep\nid: 8e0b2a4c-0f1d-4b6e-9c3a-5d7f1e2a3b4c\nlogsource: {product: aws, service: cloudtrail}\n"
        f"detection:\n  a: {{eventName: '*'}}\n  condition: {condition}\n"
    )
    return file


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a", 0),
        ("not a", 1),
        ("not a and not b", 1),
        ("(a) or ((b))", 2),
        ("not (not (a))", 4),
        ("NOT(a)and(not b)", 2),
        ("1 of them", 0),
    ],
)
def test_levels(condition: str, expected: int) -> None:
    """Parentheses and ``not`` count as far as they are within each other."""
    assert levels(condition) == expected


@pytest.mark.parametrize("part", ["not (a or ", "not (not a and "], ids=["or", "and"])
def test_what_is_allowed_works(part: str, tmp_path: Path) -> None:
    """The deepest condition that is read is also converted and evaluated."""
    depth = MOST_LEVELS // 2 - 1
    file = rule(tmp_path, part * depth + "a" + ")" * depth)
    assert alerts_of_files([SAMPLE], load_rules(file)).records


@pytest.mark.parametrize("condition", ["not " * 900 + "a", "(" * 900 + "a" + ")" * 900], ids=["not", "parentheses"])
def test_deeper_ones_are_refused(condition: str, tmp_path: Path) -> None:
    """Deeper ones are refused with their depth, and keep no other rule."""
    file = rule(tmp_path, condition)
    with pytest.raises(SigmaError, match="its condition has 900 parentheses and 'not' within each other; 100 are"):
        load_rules(file)
    rules = load_rules(file, "rules/aws_kms_key_created.yml", collect_errors=True)
    assert (len(rules.rules), len(rules.errors)) == (1, 1)
