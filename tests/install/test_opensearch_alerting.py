"""Monitors in OpenSearch Alerting."""

from pathlib import Path
from typing import cast

import pytest

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.install import server_errors
from sigma_stellar_aws.install.monitor_body import with_trigger_ids
from sigma_stellar_aws.install.opensearch_alerting import OpenSearchAlerting
from sigma_stellar_aws.install.plan import Step, plan
from sigma_stellar_aws.install.server_errors import ServerError
from sigma_stellar_aws.install.state import State
from sigma_stellar_aws.store.client import connect
from tests.support.contract import Alerting, alerting
from tests.support.installing import certificate


def monitor(name: str = "Rule", event: str = "It", severity: str = "3", number: int = 1) -> JsonObject:
    """A monitor of a rule."""
    query: JsonObject = {"bool": {"should": [{"term": {"eventName": {"value": event}}}], "minimum_should_match": 1}}
    script: JsonObject = {"script": {"source": "ctx.results[0].hits.total.value > 0", "lang": "painless"}}
    trigger: JsonObject = {"name": name, "severity": severity, "condition": script, "actions": []}
    body: JsonObject = {
        "type": "monitor",
        "name": name,
        "monitor_type": "query_level_monitor",
        "enabled": False,
        "schedule": {"period": {"interval": 5, "unit": "MINUTES"}},
        "inputs": [{"search": {"indices": ["cloudtrail-*"], "query": {"size": 5, "query": query}}}],
        "triggers": [{"query_level_trigger": trigger}],
        "ui_metadata": {"sigma_stellar_aws": {"rule_id": f"rule-{number}", "version": "1"}},
    }
    return with_trigger_ids(f"rule-{number}", body)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """An empty state."""
    return State(tmp_path / "state.json", "here")


def connected(server: Alerting, state: State) -> OpenSearchAlerting:
    """A client without credentials."""
    return OpenSearchAlerting(connect(server.url, None, {}), state)


def planned(target: OpenSearchAlerting, body: JsonObject, number: int = 1) -> Step:
    """What is to be done about one monitor."""
    wanted = {f"rule-{number}": body}
    [step] = plan(wanted, target.read(wanted), target)
    return step


def live(server: Alerting) -> JsonObject:
    """The only monitor that is there."""
    [entry] = server.monitors.values()
    return cast(JsonObject, entry["monitor"])


def trigger_of(body: JsonObject, number: int = 0) -> JsonObject:
    """A trigger of a monitor."""
    return next(iter(cast("list[dict[str, JsonObject]]", body["triggers"])[number].values()))


def test_what_alerting_makes_of_a_monitor_is_no_difference(alerting_server: Alerting, state: State) -> None:
    """Before the first monitor there is no index; after it, its query in other words and keys of the server."""
    target = connected(alerting_server, state)
    assert planned(target, monitor()).status == "create"
    assert target.create(planned(target, monitor())) == ""
    assert cast("list[JsonObject]", live(alerting_server)["inputs"]) != monitor()["inputs"]
    assert planned(target, monitor()).status == "unchanged"


@pytest.mark.parametrize("wrapped", [False, True])
def test_all_monitors_are_read(wrapped: bool, state: State) -> None:
    """Ours are found among many, in both shapes of an answer."""
    with alerting(wrapped=wrapped) as server:
        for number in range(450):
            server.add(monitor(f"Rule {number % 7}", number=number))
        server.add({**monitor("Other"), "ui_metadata": {}, "triggers": []})
        assert len(connected(server, state).read({})) == 450
        assert server.violations == []


def test_a_version_that_tells_no_sequence_number(state: State) -> None:
    """If a search does not have it, the monitor does, and a write is guarded all the same."""
    with alerting(tells_sequence=False) as server:
        target = connected(server, state)
        target.create(planned(target, monitor()))
        target.update(planned(target, monitor(severity="1")))
        assert trigger_of(live(server))["severity"] == "1"
        assert (server.violations, server.unguarded) == ([], [])


def test_a_search_that_does_not_tell_all(
    alerting_server: Alerting, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Monitors that were not told of might be ours, and would be made a second time; so that is an error."""
    for number in range(3):
        alerting_server.add(monitor(number=number))
    monkeypatch.setattr("sigma_stellar_aws.install.opensearch_alerting._MOST", 2)
    with pytest.raises(ServerError, match="there are 3 monitors, and OpenSearch shows 2 at once only"):
        connected(alerting_server, state).read({})


def test_a_query_is_sent_as_it_was_written(alerting_server: Alerting, state: State) -> None:
    """What is sent is the body of the rule, not the form in which bodies are compared."""
    target = connected(alerting_server, state)
    target.create(planned(target, monitor()))
    target.update(planned(target, monitor(event="Other")))
    assert cast(JsonObject, alerting_server.requests[-1].body)["inputs"] == monitor(event="Other")["inputs"]


def test_a_write_is_guarded(alerting_server: Alerting, state: State) -> None:
    """A monitor that somebody changes between the look and the write stays as they made it."""
    target = connected(alerting_server, state)
    target.create(planned(target, monitor()))
    step = planned(target, monitor(severity="1"))
    [monitor_id] = alerting_server.monitors
    alerting_server.before("PUT", "monitors", lambda: alerting_server.analyst_edits(monitor_id, enabled=True))
    with pytest.raises(ServerError, match="status 409"):
        target.update(step)
    assert live(alerting_server)["enabled"] is True
    assert trigger_of(live(alerting_server))["severity"] == "3"
    assert target.update(planned(target, monitor(severity="1"))) == ""
    assert live(alerting_server)["enabled"] is True
    assert trigger_of(live(alerting_server))["severity"] == "1"


def test_a_change_keeps_trigger_action_and_alert(alerting_server: Alerting, state: State) -> None:
    """Name, query and severity change; the trigger is the same one with its actions, and its open alert stays open."""
    target = connected(alerting_server, state)
    target.create(planned(target, monitor()))
    [monitor_id] = alerting_server.monitors
    template: JsonObject = {"source": "hello", "lang": "mustache"}
    action: JsonObject = {"name": "tell", "destination_id": "channel", "message_template": template}
    edited: JsonObject = {**trigger_of(live(alerting_server)), "actions": [action]}
    alerting_server.analyst_edits(monitor_id, triggers=[{"query_level_trigger": edited}])
    kept = trigger_of(live(alerting_server))
    alerting_server.open_alert(monitor_id)
    step = planned(target, monitor("New name", "Other", "1"))
    assert {".".join(change.path) for change in step.changes} == {
        "name",
        "inputs.search.query",
        "triggers.New name",
        "triggers.New name.severity",
    }
    target.update(step)
    after = trigger_of(live(alerting_server))
    assert (after["id"], after["actions"]) == (kept["id"], kept["actions"])
    assert (after["name"], after["severity"]) == ("New name", "1")
    assert len(alerting_server.alerts) == 1
    assert planned(target, monitor("New name", "Other", "1")).status == "unchanged"


def test_a_monitor_that_was_imported_by_hand(alerting_server: Alerting, state: State) -> None:
    """It is known by its marker though its trigger has an id of the server's, and is adopted with that."""
    by_hand = monitor()
    del trigger_of(by_hand)["id"]
    alerting_server.add(by_hand)
    made = trigger_of(live(alerting_server))["id"]
    target = connected(alerting_server, state)
    step = planned(target, monitor())
    assert step.status == "adopt"
    target.adopt(step)
    assert planned(target, monitor()).status == "unchanged"
    target.update(planned(target, monitor(severity="1")))
    assert trigger_of(live(alerting_server))["id"] == made
    assert planned(target, monitor(severity="1")).status == "unchanged"


def test_the_editor_of_dashboards_makes_nobody_forget(alerting_server: Alerting, state: State, tmp_path: Path) -> None:
    """It writes ui_metadata anew: the state file knows what was applied, and without it the trigger what it is for."""
    target = connected(alerting_server, state)
    target.create(planned(target, monitor()))
    [monitor_id] = alerting_server.monitors
    cron: Json = {"cron": {"expression": "0 * * * *", "timezone": "UTC"}}
    alerting_server.analyst_edits(monitor_id, name="My name", schedule=cron, ui_metadata={"schedule": {}})
    assert planned(target, monitor()).status == "edited"
    target.update(planned(target, monitor(severity="1")))
    assert (live(alerting_server)["schedule"], live(alerting_server)["name"]) == (cron, "My name")
    assert set(cast(JsonObject, live(alerting_server)["ui_metadata"])) == {"schedule", "sigma_stellar_aws"}
    alerting_server.analyst_edits(monitor_id, ui_metadata={"schedule": {}})
    elsewhere = connected(alerting_server, State(tmp_path / "other.json", "here"))
    step = planned(elsewhere, monitor())
    assert step.status == "ambiguous"
    assert {conflict.path[0] for conflict in step.conflicts} == {"name", "schedule", "triggers"}


def test_an_older_record_does_not_hide_a_newer_one(alerting_server: Alerting, tmp_path: Path) -> None:
    """What a colleague has applied since is told by the monitor, not by the state file of before."""
    mine = connected(alerting_server, State(tmp_path / "mine.json", "here"))
    mine.create(planned(mine, monitor()))
    other = connected(alerting_server, State(tmp_path / "other.json", "here"))
    other.update(planned(other, monitor(severity="1")))
    assert planned(mine, monitor(severity="1")).status == "unchanged"
    assert planned(mine, monitor(severity="2")).status == "update"


def test_triggers_that_come_and_go(alerting_server: Alerting, state: State) -> None:
    """A trigger that the rules have no more goes, a new one comes, and one of the analyst's stays."""
    target = connected(alerting_server, state)
    with_two = _with_triggers("low", "high")
    target.create(planned(target, with_two))
    [monitor_id] = alerting_server.monitors
    own: JsonObject = {"query_level_trigger": {**trigger_of(monitor()), "id": "own", "name": "own"}}
    triggers = [*cast("list[Json]", live(alerting_server)["triggers"]), own]
    alerting_server.analyst_edits(monitor_id, triggers=triggers)
    step = planned(target, _with_triggers("high", "critical"))
    assert step.status == "update"
    target.update(step)
    names = [trigger_of(live(alerting_server), number)["name"] for number in range(3)]
    assert names == ["high", "own", "critical"]
    again = planned(target, _with_triggers("high", "critical"))
    assert (again.status, again.changes, again.conflicts) == ("edited", (), ())


def _with_triggers(*names: str) -> JsonObject:
    body = monitor()
    triggers = [{"query_level_trigger": {**trigger_of(body), "name": name}} for name in names]
    return with_trigger_ids("rule-1", {**body, "triggers": cast(Json, triggers)})


def test_ids_of_triggers() -> None:
    """One trigger has the id of its rule alone, so that its name may change; several have their names in it."""
    assert trigger_of(monitor())["id"] == "sigma-stellar-aws-rule-1"
    two = _with_triggers("Severity 1", "b")
    assert trigger_of(two, 0)["id"] == "sigma-stellar-aws-rule-1--severity-1"
    assert trigger_of(two, 1)["id"] == "sigma-stellar-aws-rule-1--b"


def test_what_a_dry_run_finds(alerting_server: Alerting, state: State) -> None:
    """An error is found at the top, in the input and in the trigger, though the answer is a success."""
    target = connected(alerting_server, state)
    assert target.try_out(monitor()) == ""
    for place in ("error", "input", "trigger"):
        alerting_server.fail("POST", "_execute", {place: f"bad {place}"})
        assert target.try_out(monitor()) == f"bad {place}"
    assert alerting_server.monitors == {}


def test_what_a_dry_run_means(alerting_server: Alerting, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two errors say nothing of the rule: that scripts are not compiled for now, and that there is no index yet."""
    monkeypatch.setattr(server_errors, "WAITS", ())
    target = connected(alerting_server, state)
    limit = "Failed to compile inline script [{}] using lang [mustache]"
    alerting_server.fail(
        "POST", "_execute", {"input": limit, "trigger": "Empty list doesn't contain element at index 0."}
    )
    with pytest.raises(ServerError, match="compiles no more scripts for now") as error:
        target.try_out(monitor())
    assert error.value.passing
    none = 'Cannot invoke "org.opensearch.search.aggregations.Aggregations.getAsMap()" because "aggs" is null'
    alerting_server.fail("POST", "_execute", {"input": none})
    assert "there is no index of this name yet" in target.try_out(monitor())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (401, "does not know who asks; set SIGMA_STELLAR_AWS_USER"),
        (403, "needed is the role alerting_full_access"),
        ("cut", "OpenSearch cannot be reached"),
        ("html", "this is not an answer of OpenSearch Alerting; is the URL right?"),
        (500, "OpenSearch answered with status 500: told to fail"),
        (503, "OpenSearch is not available now (status 503)"),
        ("redirect", "OpenSearch sends us to another address; write the URL as it is there"),
    ],
)
def test_errors_are_for_people(
    fault: int, said: str, alerting_server: Alerting, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says what is wrong and what to look at."""
    monkeypatch.setattr(server_errors, "WAITS", ())
    alerting_server.fail("POST", "_search", fault)
    with pytest.raises(ServerError) as error:
        connected(alerting_server, state).read({})
    assert said in str(error.value)


@pytest.mark.parametrize(
    "answer",
    [{}, {"hits": []}, {"hits": {"total": 1, "hits": []}}, {"hits": {"total": {"value": 1}, "hits": [{}]}}],
    ids=str,
)
def test_what_is_no_answer(answer: JsonObject, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON that is none of Alerting's is an error that says so."""
    client = connect("http://127.0.0.1:9", None, {})
    monkeypatch.setattr(client.transport, "perform_request", lambda *what, **more: answer)
    target = OpenSearchAlerting(client, state)
    with pytest.raises(ServerError, match="this is not an answer of OpenSearch Alerting"):
        target.read({})


@pytest.mark.parametrize(
    "applied",
    [
        {"triggers": [{"x": 1}]},
        {"triggers": 5},
        {"inputs": [5]},
        {"inputs": [{"search": 7}]},
        {"name": 1, "inputs": {"search": {}}},
        {"triggers": [{"query_level_trigger": {"severity": "1"}}]},
    ],
    ids=str,
)
def test_what_is_recorded_in_a_monitor_may_be_anything(
    applied: JsonObject, alerting_server: Alerting, state: State
) -> None:
    """Whoever writes there: what is no monitor is as if nothing were recorded."""
    target = connected(alerting_server, state)
    target.create(planned(target, monitor()))
    [monitor_id] = alerting_server.monitors
    marker: JsonObject = {"rule_id": "rule-1", "version": "1", "applied": applied}
    alerting_server.analyst_edits(monitor_id, ui_metadata={"sigma_stellar_aws": marker})
    assert planned(target, monitor()).status == "adopt"
    assert planned(target, monitor(severity="1")).status == "ambiguous"


def test_actions_are_the_same_without_what_alerting_makes(alerting_server: Alerting, state: State) -> None:
    """An id and what is filled in are no edit; another channel is one."""
    target = connected(alerting_server, state)
    body = monitor()
    template: JsonObject = {"source": "hello", "lang": "mustache"}
    trigger_of(body)["actions"] = [{"name": "tell", "destination_id": "channel", "message_template": template}]
    target.create(planned(target, body))
    assert planned(target, body).edits == ()
    [monitor_id] = alerting_server.monitors
    trigger = trigger_of(live(alerting_server))
    cast("list[JsonObject]", trigger["actions"])[0]["destination_id"] = "theirs"
    alerting_server.analyst_edits(monitor_id, triggers=[{"query_level_trigger": trigger}])
    assert [edit.path for edit in planned(target, body).edits] == [("triggers", "Rule", "actions")]


def test_monitors_of_others_may_be_anything(alerting_server: Alerting, state: State) -> None:
    """Whatever others have in their monitors, it is none of ours."""
    body: JsonObject = {"triggers": [], "ui_metadata": {"sigma_stellar_aws": 5}}
    alerting_server.add({**monitor("Other"), **body})
    alerting_server.add({**monitor("Other"), "triggers": [], "ui_metadata": {"sigma_stellar_aws": {"rule_id": 5}}})
    assert connected(alerting_server, state).read({}) == []


def test_a_certificate_is_verified(tmp_path: Path, state: State) -> None:
    """A certificate that nobody trusts is refused, with the option that names its CA, which then works."""
    pem, ca_file = certificate(tmp_path)
    with alerting(certificate=pem) as server:
        with pytest.raises(StoreError, match=r"certificate is not trusted .*; name its CA: --ca-file"):
            connected(server, state).read({})
        client = connect(server.url, ca_file, {})
        assert OpenSearchAlerting(client, state).read({}) == []
