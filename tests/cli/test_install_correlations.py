"""Correlations among the rules that plan, apply and remove are about."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import pytest

from sigma_stellar_aws.install import server_errors
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.contract import Alerting, alerting, kibana
from tests.support.contract.security_analytics import SecurityAnalyticsServer, security_analytics
from tests.support.installing import KINDS, Place, place, write_rules

PLAIN = {"Rule A": ("CreateUser", "low"), "Rule B": ("DeleteUser", "medium")}
COUNTS, CHAIN, BOTH = "Correlation C", "Correlation D", "Correlation E"
MADE: dict[str, set[str]] = {"elastic": {COUNTS, CHAIN}, "opensearch": {COUNTS, CHAIN, BOTH}}
"""The correlations that a target can hold with --inexact; the rules that only they count are not installed."""


def write_correlations(folder: Path, timespan: str = "5m", generate: bool = False) -> None:
    """Three correlations of the rules: many events, an order, and an order of a correlation, which nothing holds."""
    ids = {title: f"00000000-0000-4000-8000-00000000000{title[-1].lower()}" for title in (*PLAIN, COUNTS, CHAIN, BOTH)}
    both = [ids[title] for title in PLAIN]
    blocks: dict[str, dict[str, Any]] = {
        COUNTS: {"type": "value_count", "rules": both[:1], "condition": {"gte": 5, "field": "eventName"}},
        CHAIN: {"type": "temporal_ordered", "rules": both},
        BOTH: {"type": "temporal", "rules": both},
        "Correlation F": {"type": "temporal", "rules": [ids[CHAIN], ids[BOTH]], "generate": True},
    }
    for title, block in blocks.items():
        correlation = {"group-by": ["userIdentity.arn"], "timespan": timespan, "generate": generate, **block}
        document = {"title": title, "id": ids.get(title, "00000000-0000-4000-8000-00000000000f"), "level": "high"}
        (folder / f"{title[-1].lower()}.yml").write_text(json.dumps({**document, "correlation": correlation}), "utf-8")


@pytest.fixture(params=KINDS)
def somewhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Each live system in turn, with nothing in it, and correlations among the rules."""
    monkeypatch.setattr(server_errors, "WAITS", (0.0, 0.0))
    with place(request.param, tmp_path) as found:
        write_rules(found.rules, PLAIN)
        write_correlations(found.rules)
        found.options = ("--inexact",)
        yield found


def reasons(where: Place, *options: str) -> dict[str, str]:
    """Why rules are left out, by their titles."""
    steps = where.run("plan", "--json", *options).json()["steps"]
    return {step["name"]: step["reason"] for step in steps if step["status"] == "left out"}


def test_round_trip(somewhere: Place) -> None:
    """What a target holds is installed, changed and removed like other rules, and what is edited stays."""
    where = somewhere
    made = MADE[where.target]
    shown = where.run("plan")
    assert shown.code == 2
    assert where.statuses() == {
        **dict.fromkeys(made, "create"),
        **dict.fromkeys({BOTH, "Correlation F"} - made, "left out"),
    }, "the rules that only correlations count are not there"
    assert where.run("apply").code == 3
    assert set(where.live()) == made
    assert where.run("plan").code == 3, "there is nothing to do, and some are left out"

    where.state_file.unlink()
    assert set(where.statuses().values()) == {"adopt", "left out"}
    assert where.run("apply").code == 3
    assert where.run("plan").code == 3

    kept = edits_of_analyst(where, COUNTS)
    write_correlations(where.rules, timespan="10m")
    assert where.statuses()[COUNTS] == "update"
    assert where.run("apply").code == 3
    assert edited(where, COUNTS) == kept
    assert where.run("plan").code == 3

    (where.rules / "d.yml").unlink()
    (where.rules / "f.yml").unlink()
    assert where.run("apply", "--prune").code == (3 if BOTH not in made else 0)
    assert set(where.live()) == made - {CHAIN}
    assert where.run("remove", "--force").code == 0
    assert where.live() == {}


def edits_of_analyst(where: Place, title: str) -> Any:
    """Switch a rule on, and change its schedule; return what was changed."""
    if where.target == "elastic":
        where.edit(title, {"enabled": True, "interval": "15m"})
    else:
        where.edit(title, {"enabled": True, "schedule": {"period": {"interval": 15, "unit": "MINUTES"}}})
    return edited(where, title)


def edited(where: Place, title: str) -> Any:
    """What was changed."""
    body = where.live()[title]
    return [body["enabled"], body.get("interval") or body.get("schedule")]


def test_what_a_target_refuses_is_named_with_its_reason(somewhere: Place) -> None:
    """The option is named that would take it; without it, all else goes on."""
    where = somewhere
    told = reasons(where)
    assert "counts the correlation 'Correlation D'" in told["Correlation F"]
    write_also_plain(where)
    where.options = ()
    told = reasons(where)
    assert "--inexact" in told[COUNTS]
    assert set(told) == {"Correlation F", BOTH, COUNTS, *({CHAIN} if where.target == "opensearch" else ())}
    assert where.run("apply").code == 3
    assert "Rule P" in where.live()


def write_also_plain(where: Place) -> None:
    """A rule that no correlation counts."""
    text = (where.rules / "aws_createuser.yml").read_text("utf-8")
    changed = text.replace("Rule A", "Rule P").replace("00000000000a", "0000000000aa")
    (where.rules / "plain.yml").write_text(changed, "utf-8")


def test_a_note_says_which_way_an_inexact_one_errs(somewhere: Place) -> None:
    """Once, in plan as in apply."""
    where = somewhere
    for command in ("plan", "apply"):
        ended = where.run(command)
        assert ended.err.count(COUNTS) >= 1
        assert "not exact" in ended.err or "alerts too often" in ended.err


def test_rules_that_a_correlation_says_generate_for_are_installed(somewhere: Place) -> None:
    """As they alert by themselves here."""
    where = somewhere
    write_correlations(where.rules, generate=True)
    where.run("apply")
    assert set(where.live()) == {*PLAIN, *MADE[where.target]}
    write_correlations(where.rules)
    assert where.statuses()["Rule A"] == "orphaned", "it no longer alerts by itself"


def test_one_is_chosen_with_what_it_counts(somewhere: Place) -> None:
    """What it counts is not installed, and all else is not touched."""
    where = somewhere
    where.run("apply", "--only", COUNTS)
    assert set(where.live()) == {COUNTS}
    assert where.run("plan", "--only", "c.yml").code == 0
    assert where.run("plan", "--exclude", COUNTS, "--exclude", "Correlation F").code == 2
    assert COUNTS not in where.statuses("--exclude", COUNTS)
    write_also_plain(where)
    told = reasons(where, "--exclude", "Rule A")
    assert "there is no rule with the id or name" in told[CHAIN]
    assert where.run("remove", "--only", where.rules / "c.yml").code == 0
    assert where.live() == {}


@pytest.mark.parametrize("somewhere", ["elastic", "opensearch"], indirect=True)
def test_those_of_this_project(somewhere: Place) -> None:
    """With --correlations, eleven more: what the target refuses of them is left out, and removed are all again."""
    where = somewhere
    ours = {rule.title for rule in load_rules(correlations=True).rules} - {rule.title for rule in load_rules().rules}
    where.run("apply", "--rules", where.rules, "--correlations")
    steps = where.run("plan", "--correlations", "--rules", where.rules, "--json").json()["steps"]
    status = {step["name"]: step["status"] for step in steps if step["name"] in ours}
    assert len(status) == 11
    assert set(status.values()) == {"unchanged", "left out"}
    assert "AWS Password Spraying" in where.live()
    assert not {"AWS Secret Read", "AWS Console Login"} & set(where.live()), "they only serve correlations"
    assert where.run("remove", "--only", "correlation_aws_password_spraying").code == 0
    assert "AWS Password Spraying" not in where.live()
    assert where.run("remove").code == 0
    assert where.live() == {}


@pytest.mark.parametrize(
    ("options", "serving"), [(("--monitor", "document"), alerting), (("--detector",), security_analytics)]
)
def test_what_looks_at_single_events_refuses_them_by_name(
    options: tuple[str, ...],
    serving: Callable[[], AbstractContextManager[Alerting | SecurityAnalyticsServer]],
    tmp_path: Path,
) -> None:
    """Monitors of documents, and detectors; all else goes on."""
    with serving() as server:
        where = Place("opensearch", cast(Alerting, server), tmp_path)
        write_rules(where.rules, PLAIN)
        write_correlations(where.rules)
        write_also_plain(where)
        where.options = (*options, "--index", "cloudtrail", "--inexact")
        told = reasons(where)
        assert set(told) == {COUNTS, CHAIN, BOTH, "Correlation F"}
        assert "one event at a time" in told[COUNTS]
        assert where.run("apply").code == 3
        assert where.run("plan").code == 3
        assert where.run("remove", *options[:1] * ("--detector" in options)).code == 0
        assert server.violations == []


@pytest.mark.parametrize("version", ["7.17.29", "8.11.4", "8.17.0", "9.5.0"])
def test_versions_of_kibana(version: str, tmp_path: Path) -> None:
    """None is sent a key that it does not know for rules of such a type."""
    with kibana(version=version) as server:
        where = Place("elastic", server, tmp_path)
        write_rules(where.rules, PLAIN)
        write_correlations(where.rules)
        where.options = ("--inexact", "--ecs")
        assert where.run("apply").code == 3
        assert set(where.live()) == MADE["elastic"]
        assert where.run("plan").code == 3
        write_correlations(where.rules, timespan="10m")
        assert where.run("apply").code == 3
        assert where.run("plan").code == 3
        assert "maxspan=10m" in str(where.live()[CHAIN]["query"])
        assert where.run("remove").code == 0
        assert server.violations == []


@pytest.mark.parametrize("somewhere", ["opensearch"], indirect=True)
def test_a_monitor_of_a_correlation_as_alerting_keeps_it(somewhere: Place) -> None:
    """Its aggregations come back with what Alerting fills in."""
    where = somewhere
    where.run("apply", "--only", COUNTS)
    [entry] = cast("list[Any]", where.live()[COUNTS]["inputs"])
    windows = entry["search"]["query"]["aggregations"]["composite_agg"]["aggregations"]["windows"]
    assert windows["date_range"]["keyed"] is False
    assert windows["aggregations"]["counted"]["terms"]["min_doc_count"] == 1
    assert where.run("plan", "--only", COUNTS).code == 0
