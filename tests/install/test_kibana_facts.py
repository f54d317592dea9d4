"""What the versions of Kibana do, fact by fact, and that no rule, edit or word is lost by it."""

import time
from pathlib import Path
from typing import cast

import pytest

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.formats.elastic_rule import stack_version
from sigma_stellar_aws.install import server_errors
from sigma_stellar_aws.install.kibana import Elastic
from sigma_stellar_aws.install.plan import Step, plan, removal
from sigma_stellar_aws.install.server_errors import ServerError
from sigma_stellar_aws.install.state import State
from tests.install.test_kibana import RULE, planned, without
from tests.support.contract import Kibana, kibana

OLD: JsonObject = without(RULE, "alert_suppression")
FILTER: JsonObject = {
    "meta": {"alias": "Rule", "type": "custom", "key": "query", "disabled": False, "negate": False},
    "query": {"bool": {"filter": [{"term": {"a": {"value": "b"}}}]}},
}
ACTION: JsonObject = {"action_type_id": ".slack", "group": "default", "id": "channel", "params": {}}
KEY = {"SIGMA_STELLAR_AWS_API_KEY": "a2V5"}


@pytest.fixture
def state(tmp_path: Path) -> State:
    """An empty state."""
    return State(tmp_path / "state.json", "here")


def knowing(server: Kibana, state: State, environment: dict[str, str] | None = None) -> Elastic:
    """A client that knows the version."""
    elastic = Elastic(server.url, "default", None, environment or {}, state)
    elastic.version()
    return elastic


def bulk(server: Kibana, *edits: JsonObject) -> None:
    """Edit a rule as the table of rules does, for many at a time."""
    from tests.install.test_contract import RULES, call

    ids = [str(rule["id"]) for rule in server.rules.values()]
    call(server, "POST", f"{RULES}/_bulk_action", {"action": "edit", "ids": ids, "edit": list(edits)})


@pytest.mark.parametrize(
    ("version", "count"), [("8.0.1", 12), ("8.1.0", 12), ("8.2.3", 12), ("8.3.3", 12), ("8.4.0", 1), ("9.5.0", 1)]
)
def test_a_dry_run_really_runs(version: str, count: int, state: State) -> None:
    """8.0 to 8.3 take few numbers of invocations, and say in a 200 if it is another (fact 1)."""
    with kibana(version=version) as server:
        elastic = knowing(server, state)
        assert elastic.try_out(OLD) == ""
        body = cast(JsonObject, server.requests[-1].body)
        assert (body["invocationCount"], "timeframeEnd" in body) == (count, count == 1)
        server.fail("POST", "preview", {"logs": "no such field"})
        assert elastic.try_out(OLD) == "no such field", "wherever a version has the errors"
        assert server.violations == []


def test_a_dry_run_has_no_effects(kibana_server: Kibana, state: State) -> None:
    """Actions and response actions are in no preview: some versions carried them out (fact 1)."""
    elastic = knowing(kibana_server, state)
    elastic.create(planned(elastic, RULE))
    response: Json = [{"action_type_id": ".osquery", "params": {"query": "select 1"}}]
    kibana_server.analyst_edits("rule-1", actions=[ACTION], response_actions=response)
    step = planned(elastic, {**RULE, "severity": "high"})
    assert step.live is not None
    assert elastic.try_out(elastic.merged(step.live.body, step.changes, RULE)) == ""
    assert not {"actions", "response_actions"} & set(cast(JsonObject, kibana_server.requests[-1].body))


def test_who_may_not_read_previews_is_told_once(kibana_server: Kibana, state: State) -> None:
    """It would fail for every rule, so it ends the run, with the privileges that are missing (fact 1)."""
    kibana_server.may_preview = False
    with pytest.raises(StoreError, match=r"read on \.preview\.alerts-security\.alerts-default and .*--no-dry-run"):
        knowing(kibana_server, state).try_out(RULE)


def test_a_preview_waits_for_its_turn_and_is_asked_once(
    kibana_server: Kibana, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 is waited for; what was cut or ended is not asked again, as it may still run (fact 1)."""
    monkeypatch.setattr(server_errors, "WAITS", (0.0, 0.0))
    elastic = knowing(kibana_server, state)
    kibana_server.previews = 10
    kibana_server.before("POST", "preview", lambda: setattr(kibana_server, "previews", 0), skip=1)
    assert elastic.try_out(RULE) == ""
    assert len(kibana_server.requests) == 3
    for fault in ("cut", 504):
        before = len(kibana_server.requests)
        kibana_server.fail("POST", "preview", cast(int, fault))
        with pytest.raises(ServerError):
            elastic.try_out(RULE)
        assert len(kibana_server.requests) == before + 1
    kibana_server.fail("POST", "preview", {"aborted": ""})
    assert "60 seconds; --no-dry-run" in elastic.try_out(RULE)


def test_a_slow_preview_is_waited_for_longer_than_kibana_does(
    kibana_server: Kibana, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kibana ends a preview after its time, and says so; the client must not end it before."""
    from sigma_stellar_aws.install import kibana as module

    assert module._PREVIEW_TIMEOUT > 60
    monkeypatch.setattr(module, "_PREVIEW_TIMEOUT", 0.2)
    kibana_server.before("POST", "preview", lambda: time.sleep(0.6))
    with pytest.raises(ServerError, match=r"did not answer within 0\.2 seconds; --no-dry-run"):
        knowing(kibana_server, state).try_out(RULE)
    assert len(kibana_server.requests) == 2


@pytest.mark.parametrize("version", ["9.3.0", "9.4.0", "9.5.0"])
def test_an_update_keeps_max_signals(version: str, state: State) -> None:
    """9.4 and 9.5 put it back to 100 if a PATCH does not have it (fact 2)."""
    with kibana(version=version) as server:
        elastic = knowing(server, state)
        elastic.create(planned(elastic, RULE))
        server.analyst_edits("rule-1", max_signals=500)
        elastic.update(planned(elastic, {**RULE, "severity": "high"}))
        assert server.rules["default", "rule-1"]["max_signals"] == 500


@pytest.mark.parametrize(
    "edit",
    [
        {"type": "add_tags", "value": ["night"]},
        {"type": "add_rule_actions", "value": {"actions": [ACTION]}},
        {"type": "set_schedule", "value": {"interval": "1h", "lookback": "2h"}},
        {"type": "set_timeline", "value": {"timeline_id": "t", "timeline_title": "T"}},
    ],
    ids=lambda edit: str(edit["type"]),
)
def test_a_bulk_edit_is_an_edit_like_any_other(edit: JsonObject, kibana_server: Kibana, state: State) -> None:
    """Kibana raises the version for it (fact 3): it is kept, asks for no decision, and the rule can be removed."""
    elastic = knowing(kibana_server, state)
    elastic.create(planned(elastic, RULE))
    bulk(kibana_server, edit)
    edited = kibana_server.rules["default", "rule-1"]
    assert edited["version"] == 2
    assert planned(elastic, RULE).status in ("unchanged", "edited")
    step = planned(elastic, {**RULE, "severity": "high"})
    assert (step.status, bool(step.edits)) == ("update", True)
    assert elastic.update(step) == ""
    after = kibana_server.rules["default", "rule-1"]
    for key in ("tags", "interval", "timeline_id"):
        assert after.get(key) == edited.get(key)
    assert len(cast("list[Json]", after["actions"])) == len(cast("list[Json]", edited["actions"]))
    [removed] = removal(elastic.read({}), elastic, force=True)
    assert removed.status == "delete"
    elastic.delete(removed)
    assert kibana_server.rules == {}


def test_the_index_of_signals_is_nobodys_edit(state: State) -> None:
    """7.17 fills it in (fact 4); one that somebody chose is an edit."""
    with kibana(version="7.17.29") as server:
        elastic = knowing(server, state)
        elastic.create(planned(elastic, OLD))
        assert server.rules["default", "rule-1"]["output_index"] == ".siem-signals-default"
        assert (planned(elastic, OLD).status, planned(elastic, OLD).edits) == ("unchanged", ())
        server.analyst_edits("rule-1", output_index="signals-of-mine")
        assert [edit.path for edit in planned(elastic, OLD).edits] == [("output_index",)]


@pytest.mark.parametrize("version", ["7.17.29", "8.19.0", "9.5.0"])
def test_saving_in_the_editor_is_no_edit(version: str, state: State) -> None:
    """It writes filters anew, and the fallback of the time field (fact 6); what a filter asks is compared."""
    with kibana(version=version) as server:
        elastic = knowing(server, state)
        wanted: JsonObject = {**OLD, "query": "", "filters": [FILTER]}
        elastic.create(planned(elastic, wanted))
        server.analyst_edits("rule-1", enabled=True)
        saved = cast("list[JsonObject]", server.rules["default", "rule-1"]["filters"])
        assert "$state" in saved[0]
        step = planned(elastic, wanted)
        assert (step.status, [edit.path for edit in step.edits]) == ("unchanged", [("enabled",)])
        for change in ({"negate": True}, {"disabled": True}):
            meta = {**cast(JsonObject, FILTER["meta"]), **change}
            server.analyst_edits("rule-1", filters=[{**FILTER, "meta": cast(Json, meta)}])
            assert planned(elastic, wanted).status == "edited"
        server.analyst_edits("rule-1", filters=[{**FILTER, "query": {"match_all": {}}}])
        assert planned(elastic, wanted).status == "edited"
        server.analyst_edits("rule-1", filters=[FILTER], timestamp_override_fallback_disabled=False)
        assert planned(elastic, wanted).status == "unchanged"


@pytest.mark.parametrize(
    ("version", "takes_fields"),
    [("8.3.0", False), ("8.11.0", False), ("8.12.0", False), ("8.15.0", True), ("9.5.0", True)],
)
def test_a_replacement_has_no_key_that_only_answers_have(version: str, takes_fields: bool, state: State) -> None:
    """PUT is refused for them up to 8.11 (fact 7); later it keeps what somebody wrote there."""
    with kibana(version=version) as server:
        elastic = knowing(server, state)
        wanted: JsonObject = {**OLD, "building_block_type": "default"}
        elastic.create(planned(elastic, wanted))
        fields: Json = [{"name": "a", "type": "keyword", "ecs": True}]
        if takes_fields:
            server.analyst_edits("rule-1", required_fields=fields)
        assert elastic.update(planned(elastic, OLD)) == ""
        assert server.requests[-1].method == "PUT"
        after = server.rules["default", "rule-1"]
        assert "building_block_type" not in after
        assert after["required_fields"] == (fields if takes_fields else [])
        assert server.violations == []


def test_an_api_key_is_warned_of(state: State) -> None:
    """It becomes the own key of a rule that is, or becomes, enabled (fact 5)."""
    with kibana(api_key="a2V5") as server:
        elastic = knowing(server, state, KEY)

        def remarks(body: JsonObject) -> list[str]:
            return elastic.remarks(plan({"rule-1": body}, elastic.read({"rule-1": body}), elastic), {})

        assert remarks(RULE) == []
        [told] = remarks({**RULE, "enabled": True})
        assert "the API key becomes the own key of 1 rule that will run" in told
        elastic.create(planned(elastic, {**RULE, "enabled": True}))
        assert list(server.keys) == [("default", "rule-1")]
        assert remarks({**RULE, "enabled": True}) == [], "nothing is written"
        assert len(remarks({**RULE, "severity": "high"})) == 1


@pytest.mark.parametrize("version", ["7.17.29", "8.7.1"])
def test_an_old_kibana_that_takes_no_api_key(version: str, state: State) -> None:
    """Before 8.8 it is refused for rules that run, and that is put into words (fact 5)."""
    with kibana(version=version, api_key="a2V5") as server:
        elastic = knowing(server, state, KEY)
        with pytest.raises(ServerError, match=r"before 8\.8 takes no API key .* SIGMA_STELLAR_AWS_USER") as raised:
            elastic.create(planned(elastic, {**OLD, "enabled": True}))
        wanted = {"rule-1": {**OLD, "enabled": True}}
        [told] = elastic.remarks(plan(wanted, elastic.read(wanted), elastic), {})
        assert "1 rule will be refused: Kibana before 8.8 takes no API key" in told
        assert "the own key" not in told
        assert raised.value.lasting
        assert elastic.create(planned(elastic, OLD)) == ""
        server.analyst_edits("rule-1", enabled=True)
        server.analyst_edits("rule-1", enabled=False)
        with pytest.raises(ServerError, match="takes no API key"):
            elastic.update(planned(elastic, {**OLD, "severity": "high"}))


@pytest.mark.parametrize(
    ("version", "privilege"),
    [("7.17.29", "Security: All"), ("9.2.0", "Security: All"), ("9.3.0", "Rules, Alerts, and Exceptions: All")],
)
def test_the_privilege_is_that_of_the_version(version: str, privilege: str, state: State) -> None:
    """It has another name from 9.3 on (fact 9)."""
    with kibana(version=version) as server:
        elastic = knowing(server, state)
        server.fail("GET", "_find", 403)
        with pytest.raises(ServerError, match=f"needed in this space: the privilege {privilege}$"):
            elastic.read({})
        blind = Elastic(server.url, "default", None, {}, state)
        server.fail("GET", "_find", 403)
        with pytest.raises(ServerError, match=r"Security: All \(up to 9.2\) or Rules, Alerts, and Exceptions: All"):
            blind.read({})


def test_a_twin_that_is_installed_is_told_of(kibana_server: Kibana, state: State) -> None:
    """Elastic's own rule for the same would alert beside ours; a rule of others with that id is not one."""
    elastic = knowing(kibana_server, state)
    twins = {"rule-1": ["upstream"], "rule-2": ["other"]}

    def remarks() -> list[str]:
        steps: list[Step] = [planned(elastic, RULE)]
        return elastic.remarks(steps, twins)

    assert remarks() == []
    kibana_server.add({**without(RULE, "tags"), "rule_id": "upstream", "name": "Elastic's", "tags": ["Elastic"]})
    assert remarks() == []
    kibana_server.rules["default", "upstream"] |= {"immutable": True, "enabled": True}
    [told] = remarks()
    assert "1 of these rules have a twin" in told
    assert "'Rule': \"Elastic's\" (on)" in told


@pytest.mark.parametrize("version", ["8.0.1", "8.4.0"])
def test_a_stated_version_does_not_hide_the_one_that_runs(version: str, state: State) -> None:
    """Rules may be made for another version; what Kibana takes goes by the one that answers, if it tells."""
    with kibana(version=version) as server:
        elastic = Elastic(server.url, "default", None, {}, state)
        elastic.go_by(stack_version("8.3"))
        assert elastic.try_out(OLD) == ""
        assert server.violations == []
        server.fail("GET", "status", 403)
        silent = Elastic(server.url, "default", None, {}, state)
        silent.go_by(stack_version(version))
        assert silent.try_out(OLD) == ""
        assert server.violations == []
