"""How far a correlation comes for some events."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sigma.correlations import SigmaCorrelationRule

from sigma_stellar_aws.authoring.explain_correlation import CorrelationProgress, correlation_progress
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.rule_files.find import correlations_path
from sigma_stellar_aws.rule_files.load import load_correlations

BASES = "\n---\n".join(
    f"title: Rule {name}\nname: {name}\nlogsource: {{product: aws, service: cloudtrail}}\n"
    f"detection: {{selection: {{eventName: {name.upper()}}}, condition: selection}}"
    for name in ("a", "b", "c")
)


def event(second: int, name: str, user: str = "alice") -> dict[str, Any]:
    """A record."""
    return {
        "eventID": f"e{second}",
        "eventTime": f"2026-11-09T06:12:{second:02}Z",
        "eventSource": "test.amazonaws.com",
        "eventName": name,
        "userIdentity": {"userName": user},
    }


def progress(folder: Path, block: str, *events: dict[str, Any]) -> CorrelationProgress:
    """How far a correlation comes."""
    text = f"title: Together\ncorrelation: {{{block}, timespan: 10s, group-by: [userIdentity.userName]}}"
    file = folder / "correlation.yml"
    file.write_text(f"{text}\n---\n{BASES}\n")
    return correlation_progress(load_correlations(file), "Together", events)


COUNT = "type: event_count, rules: [a], condition: {gte: 3}"
VALUES = "type: value_count, rules: [a], condition: {gte: 3, field: eventID}"
ORDER = "type: temporal_ordered, rules: [a, b, c]"
ANY_ORDER = "type: temporal, rules: [a, b, c]"


@pytest.mark.parametrize(
    ("block", "names", "reached", "chain"),
    [
        (COUNT, "AAA", 3, ["e0", "e1", "e2"]),
        (COUNT, "AAB", 2, ["e0", "e1"]),
        (COUNT, "B", 0, []),
        (VALUES, "AA", 2, ["e0", "e1"]),
        (ORDER, "ABC", 3, ["e0", "e1", "e2"]),
        (ORDER, "ACB", 2, ["e0", "e2"]),
        (ORDER, "CBA", 1, ["e2"]),
        (ORDER, "CB", 0, []),
        (ANY_ORDER, "CBA", 3, ["e0", "e1", "e2"]),
        (ANY_ORDER, "CCB", 2, ["e1", "e2"]),
    ],
)
def test_how_far_it_comes(tmp_path: Path, block: str, names: str, reached: int, chain: list[str]) -> None:
    """As many events, values or rules as come together are told, with the events that do; of an order its beginning."""
    found = progress(tmp_path, block, *(event(second, name) for second, name in enumerate(names)))
    assert (found.reached, found.complete) == (reached, reached == 3)
    assert [part.hit.event_id for part in found.chain] == chain
    assert found.key == (("alice",) if reached else ())


def test_other_keys_and_times_are_not_together(tmp_path: Path) -> None:
    """Events of other keys, and those that are too far apart, do not come together."""
    assert progress(tmp_path, COUNT, event(0, "A"), event(1, "A", "bob"), event(12, "A")).reached == 1


def test_what_it_counts_may_be_in_another_file() -> None:
    """What a correlation names is looked for in its file, in its folder, and among the rules of this project."""
    folder = correlations_path()
    for name, titles in (
        ("login_after_many_failures", ["AWS Login After Many Failures", "AWS Many Login Failures"]),
        ("password_spraying", ["AWS Password Spraying"]),
        ("several_kinds_of_activity", ["AWS Several Kinds of Malicious Activity by One Caller"]),
    ):
        rules = load_correlations(folder / f"correlation_aws_{name}.yml").rules
        assert [rule.title for rule in rules if isinstance(rule, SigmaCorrelationRule)] == titles
        assert len(rules) > len(titles)


@pytest.mark.parametrize("name", ["AWS Password Spraying", "correlation_aws_password_spraying"])
def test_ours_by_name(tmp_path: Path, name: str) -> None:
    """A correlation of this project is explained by its title, or by the name of its file."""
    (tmp_path / "log.ndjson").write_text(json.dumps(event(0, "ConsoleLogin")) + "\n")
    result = CliRunner().invoke(main, ["explain", name, str(tmp_path / "log.ndjson")], catch_exceptions=False)
    assert result.stdout.startswith("AWS Password Spraying is not complete")


@pytest.mark.parametrize("is_complete", [True, False])
def test_the_command(tmp_path: Path, is_complete: bool) -> None:
    """The command tells it of a file with a correlation, as text and as JSON; of one record it tells as ever."""
    (tmp_path / "c.yml").write_text(f"title: Together\ncorrelation: {{{COUNT}, timespan: 10s}}\n---\n{BASES}\n")
    lines = [json.dumps(event(second, "A")) for second in range(3 if is_complete else 2)]
    (tmp_path / "log.ndjson").write_text("\n".join(lines) + "\n")
    words = ["explain", str(tmp_path / "c.yml"), str(tmp_path / "log.ndjson")]
    text = CliRunner().invoke(main, words, catch_exceptions=False).stdout
    told = json.loads(CliRunner().invoke(main, [*words, "--json"], catch_exceptions=False).stdout)
    if is_complete:
        assert text.startswith("Together is complete 1 time, first: 2026-11-09T06:12:02Z\n")
    else:
        reason = "2 of 3 events came together within 10s"
        assert text.startswith(f"Together is not complete: {reason}: 2026-11-09T06:12:01Z\n")
        assert "  Rule a: 2 events in all" in text
    assert "  2026-11-09T06:12:01Z test.amazonaws.com A e1 (Rule a)\n" in text
    assert (told["matches"], told["reached"], told["needed"]) == (is_complete, len(lines), 3)
    assert [each["id"] for each in told["chain"]] == [f"e{second}" for second in range(len(lines))]
    one = CliRunner().invoke(main, [*words, "--number", "1"], catch_exceptions=False)
    assert "Rule a matches" in one.stdout
