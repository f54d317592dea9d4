"""The correlations of this project: what they say, and what they find."""

import json
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule

from sigma_stellar_aws.alerts.run import alerts_of_files
from sigma_stellar_aws.authoring.check import check_rules
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.rule_files.correlations import resolve_correlations
from sigma_stellar_aws.rule_files.find import correlations_path, pack_path
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.stellar_block import correlation_window, severity, tactics, techniques, triage
from tests.support.records import record
from tests.support.yaml_files import read_yaml

CASES = read_yaml(Path(__file__).parents[1] / "cases" / "correlations.yml")
FIRST = datetime(2026, 11, 9, 6, 12, 7, tzinfo=timezone.utc)
ALL_TOGETHER = "AWS Several Kinds of Malicious Activity by One Caller"


class Case(NamedTuple):
    """Events that a correlation finds, or passes over."""

    rule: str
    name: str
    events: list[dict[str, Any]]
    is_hit: bool


def cases() -> list[Case]:
    """All cases."""
    return [
        Case(entry["rule"], case["name"], case["events"], kind == "hits")
        for entry in CASES
        for kind in ("hits", "misses")
        for case in entry[kind]
    ]


@cache
def together() -> SigmaCollection:
    """The 29 with the correlations."""
    return load_rules(correlations=True)


def records(events: list[dict[str, Any]]) -> list[JsonObject]:
    """The records of events."""
    found = []
    for event in events:
        for k in range(event.get("times", 1)):
            data = json.loads(json.dumps(event["event"]).replace("<k>", str(k)))
            time = FIRST + timedelta(minutes=event["at"], seconds=k)
            # Equal places and times are for what only differs in its number.
            found.append(record({**data, "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}"}, number=2))
    return found


def test_they_are_loaded_when_asked_for() -> None:
    """Eleven correlations and what they count come with the 29, none is wrong, and only they alert besides the 29."""
    assert len(load_rules().rules) == 29
    rules = together().rules
    found = resolve_correlations(rules)
    assert found.errors == []
    alerting = {rule.title for rule in rules} - {rule.title for rule in load_rules().rules}
    silent = {rule.title for rule in rules if str(rule.id) in found.silent}
    assert alerting - silent == {entry["rule"] for entry in CASES}
    assert len(CASES) == 11


def test_they_say_what_alerts_need() -> None:
    """Each has a severity, a window longer than its timespan, ATT&CK techniques, false positives and four steps."""
    for rule in together().rules:
        assert rule.description
        assert rule.falsepositives
        assert tactics(rule)
        if rule.title not in {entry["rule"] for entry in CASES}:
            continue
        assert isinstance(rule, SigmaCorrelationRule)
        assert correlation_window(rule) >= timedelta(seconds=rule.timespan.seconds)
        assert len(triage(rule)) == 4
        assert techniques(rule) or rule.title == ALL_TOGETHER
        assert 25 <= severity(rule) <= 90


def test_the_checks_find_nothing_wrong() -> None:
    """The checks for authors have nothing to say of them, together with the 29 that one of them names."""
    report = check_rules([pack_path(), correlations_path()])
    assert report.findings == ()


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.rule}: {case.name}")
def test_what_they_find(case: Case, tmp_path: Path) -> None:
    """Each finds its hits, once, and none of its misses."""
    lines = map(json.dumps, records(case.events))
    (tmp_path / "log.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    alerts = alerts_of_files([tmp_path], together()).alerts
    titles = [alert.rule.title for alert in alerts if alert.rule.title == case.rule]
    assert titles == [case.rule] * case.is_hit
