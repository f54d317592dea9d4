"""The commands plan, apply and remove, against servers that keep the contracts of Kibana and OpenSearch Alerting."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.install import server_errors
from sigma_stellar_aws.install.state import State
from sigma_stellar_aws.rule_files.load import pack_path
from sigma_stellar_aws.store import retries
from tests.support.contract import Alerting, Kibana, Request, alerting, kibana
from tests.support.installing import KINDS, MONITORS, Ended, Place, place, write_rules
from tests.support.settings import DEFAULT_CASES, RANDOM_CASES

FIRST = {"Rule A": ("CreateUser", "low"), "Rule B": ("DeleteUser", "medium"), "Rule C": ("UpdateUser", "high")}
SECOND = {"Rule A": ("CreateUser", "high"), "Rule B": ("DeleteUser", "medium"), "Rule D": ("TagUser", "low")}
THIRD = {**SECOND, "Rule B": ("DeleteUser", "critical")}
ACTION: dict[str, JsonObject] = {
    "elastic": {"action_type_id": ".slack", "group": "default", "id": "channel-1", "params": {"message": "hello"}},
    "opensearch": {
        "name": "tell",
        "destination_id": "channel-1",
        "message_template": {"source": "hello", "lang": "mustache"},
        "throttle_enabled": False,
    },
}
DOCUMENT = ("--monitor", "document", "--index", "cloudtrail")
ACTIVITY = "Potentially Malicious AWS Activity"
EXCEPTIONS: Json = [{"id": "list-1", "list_id": "known-admins", "type": "detection", "namespace_type": "single"}]


@pytest.fixture(params=KINDS)
def somewhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Each live system in turn, with nothing in it; nobody waits between two attempts."""
    monkeypatch.setattr(server_errors, "WAITS", (0.0, 0.0))
    with place(request.param, tmp_path) as found:
        write_rules(found.rules, FIRST)
        yield found


def edit(where: Place, name: str) -> None:
    """All that an analyst does to a rule: switches it on, adds an action, changes the schedule, and the rest."""
    if where.target == "elastic":
        tags = [*cast("list[Json]", where.live()[name]["tags"]), "night shift"]
        own: JsonObject = {"note": "Call the night shift.", "exceptions_list": EXCEPTIONS, "tags": tags}
        where.edit(name, {"enabled": True, "actions": [ACTION["elastic"]], "interval": "15m", **own})
        return
    [trigger] = cast("list[dict[str, JsonObject]]", where.live()[name]["triggers"])
    [(kind, body)] = trigger.items()
    other: JsonObject = {**body, "id": "of-the-analyst", "name": "many", "actions": []}
    triggers: Json = [{kind: {**body, "actions": [ACTION["opensearch"]]}}, {kind: other}]
    schedule: Json = {"period": {"interval": 15, "unit": "MINUTES"}}
    where.edit(name, {"enabled": True, "schedule": schedule, "triggers": triggers})


def edits_in(where: Place, name: str) -> list[Json]:
    """What an analyst has done to a rule, as it is there."""
    body = where.live()[name]
    if where.target == "elastic":
        action = cast("list[JsonObject]", body["actions"])[0]
        kept = {key: value for key, value in action.items() if key != "uuid"}
        mine = "night shift" in cast("list[Json]", body["tags"])
        return [body["enabled"], kept, body["exceptions_list"], body["interval"], body["note"], mine]
    triggers = [next(iter(t.values())) for t in cast("list[dict[str, JsonObject]]", body["triggers"])]
    [action] = cast("list[JsonObject]", triggers[0]["actions"])
    kept = {key: value for key, value in action.items() if key != "id"}
    return [body["enabled"], body["schedule"], kept, [trigger["name"] for trigger in triggers[1:]]]


def change_query(where: Place, name: str) -> None:
    """Somebody makes a rule find something else."""
    if where.target == "elastic":
        where.edit(name, {"severity": "low", "risk_score": 1})
        return
    [trigger] = cast("list[dict[str, JsonObject]]", where.live()[name]["triggers"])
    [(kind, body)] = trigger.items()
    where.edit(name, {"triggers": [{kind: {**body, "severity": "5"}}]})


def severity(where: Place, name: str) -> Json:
    """Severity of a rule, as it is there."""
    body = where.live()[name]
    if where.target == "elastic":
        return body["severity"]
    [trigger, *_] = cast("list[dict[str, JsonObject]]", body["triggers"])
    return next(iter(trigger.values()))["severity"]


def told_done(ended: Ended) -> set[str]:
    """The rules that a command says it did something to."""
    return set(re.findall(r"^(?:created|updated|adopted|deleted): (Rule .)", ended.out, re.MULTILINE))


@pytest.mark.parametrize("somewhere", [*KINDS, "bucket"], indirect=True)
def test_round_trip(somewhere: Place) -> None:
    """From nothing over edits, new versions and a conflict to nothing, and no edit is lost on the way."""
    where = somewhere
    assert (where.run("plan").code, where.statuses()) == (2, dict.fromkeys(FIRST, "create"))
    assert where.live() == {}, "plan changes nothing"
    assert where.run("apply").code == 0
    assert set(where.live()) == set(FIRST)
    assert where.run("plan").code == 0

    edit(where, "Rule A")
    edited = edits_in(where, "Rule A")
    kept = where.run("plan")
    assert kept.code == 0
    assert "edited there, and kept: " in kept.out
    assert where.run("apply").code == 0
    assert edits_in(where, "Rule A") == edited

    write_rules(where.rules, SECOND)
    shown = where.run("plan")
    assert shown.code == 2
    assert ('severity: "medium" -> "critical"' if where.target == "elastic" else 'severity: "4" -> "2"') in shown.out
    assert where.statuses() == {
        "Rule A": "update",
        "Rule B": "unchanged",
        "Rule C": "orphaned",
        "Rule D": "create",
    }
    assert where.run("apply").code == 0
    assert edits_in(where, "Rule A") == edited
    assert severity(where, "Rule A") == ("critical" if where.target == "elastic" else "2")
    assert set(where.live()) == {"Rule A", "Rule B", "Rule C", "Rule D"}
    assert where.run("plan").code == 0

    change_query(where, "Rule B")
    write_rules(where.rules, THIRD)
    before = where.content()
    assert where.statuses()["Rule B"] == "conflict"
    left = where.run("apply")
    assert (left.code, where.content()) == (3, before)
    assert "both changed it" in left.out
    assert where.run("apply", "--take", "ours", "Rule B").code == 0
    assert severity(where, "Rule B") == ("critical" if where.target == "elastic" else "1")
    assert where.run("plan").code == 0

    assert where.run("apply", "--prune").code == 0
    assert set(where.live()) == {"Rule A", "Rule B", "Rule D"}
    some = where.run("remove")
    assert (some.code, set(where.live())) == (3, {"Rule A"}), "what was edited stays"
    assert where.run("remove", "--force").code == 0
    assert where.live() == {}
    assert where.run("remove").code == 0


def phases(where: Place) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Commands of the round trip, each after what comes before it, with the rules that it does something to."""
    yield ("apply",), {"Rule A", "Rule B", "Rule C"}
    edit(where, "Rule A")
    change_query(where, "Rule B")
    write_rules(where.rules, {**THIRD})
    yield ("plan",), set()
    yield ("apply", "--prune", "--take", "ours", "Rule B"), {"Rule A", "Rule B", "Rule C", "Rule D"}
    yield ("remove", "--force"), {"Rule A", "Rule B", "Rule D"}


FAULTS: dict[str, list[object]] = {
    "GET": [500, 429, 503, "cut", "html"],
    "ask": [500, 429, "cut", "html"],
    "write": [500, 429, 503, 409, 403, "cut", "cut_after", "html"],
}


PASSING: list[object] = [429, 503, "cut", "cut_after"]


def faults_of(request: Request) -> list[object]:
    """What can go wrong with a request."""
    if request.method == "GET":
        return FAULTS["GET"]
    if request.path.endswith("preview"):
        return [*FAULTS["ask"], {"logs": "told to fail"}, {"aborted": ""}]
    if request.path.endswith("_execute"):
        return [*FAULTS["ask"], {"error": "told to fail"}, {"input": "told to fail"}, {"trigger": "told to fail"}]
    return FAULTS["write" if _changes(request) else "ask"]


@pytest.mark.parametrize(
    ("somewhere", "waits"),
    # What the editor of Dashboards does has nothing to do with repeated requests.
    [(kind, waits) for kind in KINDS for waits in ((), (0.0,)) if kind != "dashboards" or not waits],
    indirect=["somewhere"],
)
def test_a_fault_at_any_request(somewhere: Place, monkeypatch: pytest.MonkeyPatch, waits: tuple[float, ...]) -> None:
    """Whatever request goes wrong, and how: the command says what it did, and running it again finishes the same."""
    where = somewhere
    monkeypatch.setattr(server_errors, "WAITS", waits)
    for command, concerned in phases(where):
        start = where.keep()
        undisturbed, requests = where.requests_of(*command)
        assert undisturbed.code in (0, 2)
        assert told_done(undisturbed) == concerned
        end, end_kept = where.content(), where.keep()
        for number, request in enumerate(requests):
            if not _changes(request) and any(_same_call(one, request) for one in requests[:number]):
                continue
            faults = faults_of(request)
            # In turn, over all requests; the gate tries every fault with each.
            for fault in faults if RANDOM_CASES > DEFAULT_CASES else faults[number % 3 :: 3]:
                # Only what passes is repeated at once.
                if waits and fault not in PASSING:
                    continue
                where.restore(start)
                _with_fault(where, command, requests, number, fault, undisturbed, end)
        where.restore(end_kept)


def _with_fault(
    where: Place,
    command: tuple[str, ...],
    requests: list[Request],
    number: int,
    fault: object,
    undisturbed: Ended,
    end: JsonObject,
) -> None:
    request = requests[number]
    # Ids that a server makes are other ones in each run.
    alike = [one for one in requests[:number] if _same_call(one, request)]
    where.server.fail(request.method, _call_pattern(request), cast("int", fault), skip=len(alike))
    before = where.content()
    ended = where.run(*command)
    case = f"{command}, request {number} {request.method} {request.path}, {fault}: {ended}"
    after = where.content()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert told_done(ended) == changed, case
    if isinstance(fault, dict):
        assert (ended.code, len(changed)) == (1, len(told_done(undisturbed)) - 1), f"the others are not kept: {case}"
    if fault in (500, 409, 403):
        assert ended.code == 1, case
    if ended.code != undisturbed.code:
        assert ended.code == 1, case
        assert "Error" in ended.err or "again" in ended.err, case
    again = where.run(*command)
    assert again.code == undisturbed.code, f"{case}, then {again}"
    assert where.content() == end, case
    if command[0] == "apply" and _changes(request):
        assert where.run("plan", *command[1:]).code == 0, case


def _call_pattern(request: Request) -> str:
    return re.sub(r"(?<=/monitors/)[0-9a-f]{20}", "[0-9a-f]{20}", re.escape(request.path)) + "$"


def _changes(request: Request) -> bool:
    return request.method != "GET" and not request.path.endswith(("preview", "_execute", "_search"))


def _same_call(one: Request, other: Request) -> bool:
    return one.method == other.method and re.search(_call_pattern(other), one.path) is not None


def test_a_dry_run_that_fails_keeps_its_rule_back_only(somewhere: Place) -> None:
    """A rule that the engine says would fail is not installed, the others are; --no-dry-run asks no engine."""
    where = somewhere
    path = "preview" if where.target == "elastic" else "_execute"
    where.server.fail("POST", path, {"logs" if path == "preview" else "input": "no such field"}, skip=1)
    ended = where.run("apply")
    assert (ended.code, set(where.live())) == (1, {"Rule A", "Rule C"})
    assert re.search(r"^failed \(create\): Rule B  \(\S+\): the dry run failed: no such field", ended.out, re.MULTILINE)
    assert "2 done, 1 failed, and would fail again: see above" in ended.err
    before = len(where.server.requests)
    assert where.run("apply", "--no-dry-run").code == 0
    assert not [request for request in where.server.requests[before:] if request.path.endswith(path)]


def test_a_server_that_is_gone_ends_it(somewhere: Place) -> None:
    """When two rules in a row get no answer, the rest is not tried, and that is said of each rule."""
    where = somewhere
    write_rules(where.rules, {**FIRST, "Rule D": ("TagUser", "low")})
    path = "/rules$" if where.target == "elastic" else "/monitors$"
    where.server.fail("POST", path, "cut", skip=1, times=100)
    ended = where.run("apply")
    assert (ended.code, set(where.live())) == (1, {"Rule A"})
    assert re.findall(r"^(failed|not tried) \(create\): Rule (.)", ended.out, re.MULTILINE) == [
        ("failed", "B"),
        ("failed", "D"),
        ("not tried", "C"),
    ]
    assert "1 done, 2 failed, 1 not tried; running it again does what is left" in ended.err


def test_one_rule_that_is_not_allowed_does_not_stop_the_others(somewhere: Place) -> None:
    """A write that is refused (403), and a dry run that gets no answer, concern their rules only."""
    where = somewhere
    made, tried = ("/rules$", "preview$") if where.target == "elastic" else ("/monitors$", "_execute$")
    where.server.fail("POST", made, 403)
    ended = where.run("apply")
    assert (ended.code, set(where.live())) == (1, {"Rule B", "Rule C"})
    assert "2 done, 1 failed, and would fail again: see above" in ended.err
    where.run("remove")
    # A preview that did not answer may still run, and is not asked for again.
    where.server.fail("POST", tried, "cut", skip=1, times=1 if where.target == "elastic" else 3)
    ended = where.run("apply")
    assert (ended.code, set(where.live())) == (1, {"Rule A", "Rule C"})
    assert "2 done, 1 failed; running it again does what is left" in ended.err


@pytest.mark.parametrize("somewhere", ["opensearch"], indirect=True)
@pytest.mark.parametrize("fault", [504, "cut"])
def test_a_slow_server_makes_no_monitor_twice(somewhere: Place, fault: int) -> None:
    """What a gateway gave up may still be done: it is not ordered again at once, and the next run finds it."""
    where = somewhere
    write_rules(where.rules, {"Rule A": FIRST["Rule A"]})
    where.server.fail("POST", "/monitors$", fault)
    ended = where.run("apply")
    assert ended.code == 1
    assert "it may still be done; run it again" in ended.out
    [sent] = [request.body for request in where.server.requests if request.path.endswith("/monitors")]
    where.add(cast(JsonObject, sent))
    assert where.run("apply").code == 0
    assert len(where.live()) == 1
    assert where.run("remove").code == 0


def test_an_interrupt_ends_it_with_an_account(somewhere: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C tells of every rule what became of it, with --json too."""
    where = somewhere
    record = State.record

    def interrupted(state: State, key: str, *what: object) -> None:
        if key.endswith("b"):
            raise KeyboardInterrupt
        record(state, key, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(State, "record", interrupted)
    ended = where.run("apply", "--json")
    assert ended.code == 1
    assert [result["outcome"] for result in ended.json()["results"]] == ["done", "failed", "not tried"]
    monkeypatch.undo()
    assert where.run("apply").code == 0
    assert set(where.live()) == set(FIRST)


def test_what_nobody_can_know_is_said(somewhere: Place) -> None:
    """If a connection is cut after a rule was made, and no look is possible, then that is said, not guessed."""
    where = somewhere
    made, look, method = (
        ("/rules$", "/rules$", "GET") if where.target == "elastic" else ("/monitors$", "/_search$", "POST")
    )
    where.server.fail("POST", made, "cut_after")
    before = 3 if where.target == "elastic" else 1
    where.server.fail(method, look, "cut", skip=before, times=100)
    ended = where.run("apply")
    assert (ended.code, set(where.live())) == (1, set(FIRST))
    assert told_done(ended) == {"Rule B", "Rule C"}
    assert "it may be done all the same, which cannot be seen now" in ended.out


def test_an_analyst_who_is_faster_loses_nothing(somewhere: Place) -> None:
    """An edit between the look at a rule and the change of it survives; the rule is left, and that is an error."""
    where = somewhere
    where.run("apply")
    write_rules(where.rules, SECOND)
    call = ("POST", "preview$") if where.target == "elastic" else ("POST", "_execute$")
    where.server.before(*call, lambda: edit(where, "Rule A"))
    ended = where.run("apply")
    assert ended.code == 1
    assert "failed (update): Rule A" in ended.out
    edited = edits_in(where, "Rule A")
    assert set(where.live()) == {*FIRST, *SECOND}
    assert where.run("apply").code == 0
    assert edits_in(where, "Rule A") == edited
    assert severity(where, "Rule A") in ("critical", "2")


def test_remove_spares_what_has_just_been_edited(somewhere: Place) -> None:
    """An edit after remove has looked keeps the artefact."""
    where = somewhere
    where.run("apply")
    where.server.before("GET", "/rules$|/monitors/[0-9a-f]+$", lambda: edit(where, "Rule A"))
    ended = where.run("remove", "--only", "Rule A")
    assert ended.code == 1
    assert "somebody has changed it since the plan was made" in ended.out
    assert where.run("remove").code == 3
    assert set(where.live()) == {"Rule A"}


def test_without_the_state_file_nothing_is_overwritten(somewhere: Place) -> None:
    """What is as the rules say is adopted; what differs is ambiguous, and somebody has to decide."""
    where = somewhere
    where.run("apply")
    edit(where, "Rule A")
    if where.kind == "dashboards":
        edit(where, "Rule B")
        edit(where, "Rule C")
    where.state_file.unlink()
    edited = edits_in(where, "Rule A")
    if where.kind == "opensearch":
        assert [*where.statuses().values()] == ["adopt"] * 3, "the monitors themselves tell what was applied"
        assert "there is no state file" in where.run("plan").err
        assert where.run("apply").code == 0
        assert edits_in(where, "Rule A") == edited
        assert where.run("plan").code == 0
        return
    expected = {"elastic": ["ambiguous", "adopt", "adopt"], "dashboards": ["ambiguous"] * 3}[where.kind]
    assert [*where.statuses().values()] == expected
    before = where.content()
    assert where.run("apply").code == 3
    assert where.content() == before
    assert where.run("apply", "--take", "theirs", "all").code == 0
    assert edits_in(where, "Rule A") == edited
    assert where.run("plan").code == 0


@pytest.mark.parametrize("somewhere", [*KINDS, *MONITORS], indirect=True)
def test_a_lost_state_file_is_made_again_by_apply(somewhere: Place) -> None:
    """Without it nothing is deleted; apply adopts what is there, and then all of it can be removed."""
    where = somewhere
    assert where.run("apply").code == 0
    before = where.content()
    assert len(before) == 3
    where.state_file.unlink()
    assert (where.run("remove", "--force").code, where.content()) == (3, before)
    assert [*where.statuses().values()] == ["adopt"] * 3
    assert (where.run("apply").code, where.content()) == (0, before)
    assert where.run("plan").code == 0
    assert (where.run("remove").code, where.live()) == (0, {})


@pytest.mark.parametrize("somewhere", ["document"], indirect=True)
def test_round_trip_of_monitors_of_many_rules(somewhere: Place) -> None:
    """An analyst who switches one on, adds an action and a trigger, and changes the schedule, loses nothing."""
    where = somewhere
    first, second, third = (f"{ACTIVITY} (severity {number})" for number in (2, 3, 4))
    assert where.run("plan").code == 2
    assert where.run("apply").code == 0
    assert set(where.live()) == {first, second, third}
    assert where.run("plan").code == 0
    edit(where, first)
    edited = edits_in(where, first)
    assert edited[0] is True
    kept = where.run("plan")
    assert kept.code == 0
    assert "edited there, and kept: " in kept.out
    assert where.run("apply").code == 0
    write_rules(where.rules, {**FIRST, "Rule D": ("TagUser", "high")})
    assert where.statuses() == {first: "update", second: "unchanged", third: "unchanged"}
    assert where.run("apply").code == 0
    assert queries_by_monitor(where)[first] == {"Rule C", "Rule D"}
    assert edits_in(where, first) == edited
    assert where.run("plan").code == 0
    assert (where.run("remove").code, set(where.live())) == (3, {first})
    assert (where.run("remove", "--force").code, where.live()) == (0, {})


def test_what_others_installed_is_not_deleted(somewhere: Place) -> None:
    """Only what the state file names is: a colleague with another one, and fewer rules, deletes nothing."""
    where = somewhere
    where.run("apply")
    where.state_file = where.state_file.with_name("other.json")
    write_rules(where.rules, {"Rule A": FIRST["Rule A"]})
    assert where.run("apply", "--prune").code == 0
    assert set(where.live()) == set(FIRST)
    ended = where.run("remove", "--force")
    assert (ended.code, set(where.live())) == (3, {"Rule B", "Rule C"})
    assert "the state file does not say that it was installed from here" in ended.out


@pytest.mark.parametrize("somewhere", ["elastic"], indirect=True)
def test_an_old_state_file_overwrites_no_edit(somewhere: Place) -> None:
    """What differs from an old state file is somebody's: it stays, and nothing of it is deleted."""
    where = somewhere
    where.run("apply")
    old = where.state_file.read_bytes()
    write_rules(where.rules, SECOND)
    where.run("apply")
    where.edit("Rule A", {"severity": "critical", "risk_score": 99})
    assert where.statuses()["Rule A"] == "edited"
    where.state_file.write_bytes(old)
    assert where.statuses()["Rule A"] == "conflict"
    assert where.run("apply").code == 3
    assert severity(where, "Rule A") == "critical"
    ended = where.run("remove", "--only", "Rule A")
    assert ended.code == 3
    assert "somebody has edited it" in ended.out


@pytest.mark.parametrize("somewhere", ["opensearch"], indirect=True)
def test_our_own_action_is_nobodys_edit(somewhere: Place) -> None:
    """The action of --channel stays when the rule changes and says no channel more, and hinders no removal."""
    where = somewhere
    assert where.run("apply", "--channel", "channel-7").code == 0
    for options in (["--channel", "channel-7"], [], ["--channel", "other"]):
        shown = where.run("plan", *options)
        assert (shown.code, "edited there" in shown.out) == (0, False), options
    write_rules(where.rules, SECOND)
    assert where.run("apply", "--prune").code == 0
    [trigger] = cast("list[dict[str, JsonObject]]", where.live()["Rule A"]["triggers"])
    [action] = cast("list[JsonObject]", next(iter(trigger.values()))["actions"])
    assert action["destination_id"] == "channel-7"
    assert "edited there" not in where.run("plan").out
    assert where.run("remove").code == 0
    assert where.live() == {}


def test_what_is_adopted_is_not_called_edited(somewhere: Place) -> None:
    """A rule that was switched on before anything was recorded is no edit afterwards."""
    where = somewhere
    where.run("apply")
    where.edit("Rule A", {"enabled": True})
    where.state_file.unlink()
    if where.target == "opensearch":
        where.edit("Rule A", {"ui_metadata": None})
    assert "edited there" not in where.run("plan").out
    assert where.run("apply").code == 0
    assert "edited there" not in where.run("plan").out
    assert where.run("remove").code == 0


@pytest.mark.parametrize("somewhere", ["opensearch"], indirect=True)
def test_another_kind_of_monitor_is_refused(somewhere: Place) -> None:
    """A monitor cannot change its kind, and one for all rules beside one a rule would tell twice."""
    where = somewhere
    where.run("apply")
    before = where.content()
    ended = where.run("apply", "--monitor", "bucket", "--take", "ours", "all")
    assert (ended.code, where.content()) == (3, before)
    assert "a query_level_monitor cannot become a bucket_level_monitor; remove it" in ended.out
    ended = where.run("apply", *DOCUMENT)
    assert (ended.code, where.content()) == (1, before)
    assert "3 of another kind (--monitor) are installed, such as 'Rule A'" in ended.err
    assert where.run("apply", *DOCUMENT, "--prune").code == 0
    assert {str(body["monitor_type"]) for body in where.live().values()} == {"doc_level_monitor"}
    assert "3 of another kind (--monitor) are installed" in where.run("plan").err


def test_new_rules_are_said_to_be_switched_off(somewhere: Place) -> None:
    """Index and severity are shown before, and after it that nothing runs yet, unless it was asked for."""
    where = somewhere
    shown = where.run("plan").out
    assert ("index aella-cloudtrail-*; severity critical (75)" if where.target == "elastic" else "severity 2") in shown
    assert "3 made switched off; switch them on there" in where.run("apply").err
    where.run("remove")
    assert "switched off" not in where.run("apply", "--enabled").err
    assert all(body["enabled"] for body in where.live().values())


def test_rules_in_files_of_other_endings(somewhere: Place) -> None:
    """A rule whose file got another ending is not taken for one that is gone, nor a test beside it for a rule."""
    where = somewhere
    where.run("apply")
    (where.rules / "aws_createuser.test.yaml").write_text("detection: this is a test of a rule\n", "utf-8")
    assert where.run("plan").code == 0
    (where.rules / "aws_createuser.yml").rename(where.rules / "aws_createuser.YAML")
    (where.rules / "notes.txt").touch()
    ended = where.run("apply", "--prune")
    assert (ended.code, set(where.live())) == (0, set(FIRST))
    assert f"not read, by their names: 1 file, {where.rules / 'notes.txt'}" in ended.err


def test_what_is_removed_twice(somewhere: Place) -> None:
    """It is gone, which is no error, and is said."""
    where = somewhere
    where.run("apply")
    assert where.run("remove", "--only", "Rule A").code == 0
    again = where.run("remove", "--only", "Rule A")
    assert again.code == 0
    assert "nothing is there for 'Rule A'" in again.err
    assert set(where.live()) == {"Rule B", "Rule C"}


def test_take_ours_without_the_state_file(somewhere: Place) -> None:
    """The rule wins where it says something, and still leaves what belongs to the analyst."""
    where = somewhere
    where.run("apply")
    edit(where, "Rule A")
    where.state_file.unlink()
    if where.target == "opensearch":
        where.edit("Rule A", {"ui_metadata": None})
    assert where.run("apply", "--take", "ours", "00000000-0000-4000-8000-00000000000a").code in (0, 3)
    body = where.live()["Rule A"]
    assert body["enabled"] is True
    if where.target == "elastic":
        assert (body["interval"], body["exceptions_list"]) == ("5m", EXCEPTIONS)
    else:
        assert body["schedule"] == {"period": {"interval": 5, "unit": "MINUTES"}}
        [trigger] = cast("list[dict[str, JsonObject]]", body["triggers"])
        assert len(cast("list[Json]", next(iter(trigger.values()))["actions"])) == 1


def test_what_others_made_is_not_touched(somewhere: Place) -> None:
    """A rule of the same id, or a monitor of the same name, that this project did not make stays as it is."""
    where = somewhere
    where.run("apply")
    [body] = [body for name, body in where.live().items() if name == "Rule A"]
    where.run("remove", "--only", "Rule A")
    if where.target == "elastic":
        tags = [tag for tag in cast("list[Json]", body["tags"]) if tag != "sigma-stellar-aws"]
        theirs: JsonObject = {"rule_id": body["rule_id"], "tags": tags, "query": "something:else"}
        known = ("type", "name", "description", "risk_score", "severity")
        where.add({**{key: body[key] for key in known}, **theirs})
    else:
        [trigger] = cast("list[dict[str, JsonObject]]", body["triggers"])
        [(kind, inner)] = trigger.items()
        own: Json = [{kind: {key: value for key, value in inner.items() if key != "id"}}]
        kept = ("name", "type", "monitor_type", "enabled", "schedule", "inputs")
        where.add({**{key: body[key] for key in kept}, "triggers": own})
    before = where.content()
    assert where.statuses() == {"Rule A": "foreign", "Rule B": "unchanged", "Rule C": "unchanged"}
    assert where.run("apply").code == 3
    assert where.content() == before
    assert where.run("remove", "--force").code == 0
    assert set(where.live()) == {"Rule A"}


def test_a_name_alone_is_not_an_identity_in_kibana(tmp_path: Path) -> None:
    """A prebuilt rule of the same name has another id, and stays beside ours."""
    with place("elastic", tmp_path) as where:
        write_rules(where.rules, {"Rule A": FIRST["Rule A"]})
        where.add({"type": "query", "name": "Rule A", "description": "x", "risk_score": 1, "severity": "low"})
        assert where.run("apply").code == 0
        assert len(where.server.rules) == 2  # type: ignore[union-attr]
        assert where.run("remove").code == 0
        assert len(where.server.rules) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("somewhere", ["opensearch"], indirect=True)
def test_two_monitors_of_one_rule_are_ambiguous(somewhere: Place) -> None:
    """Neither is changed, and both are named."""
    where = somewhere
    where.run("apply")
    [body] = [body for name, body in where.live().items() if name == "Rule A"]
    where.add({key: body[key] for key in body if key not in ("schema_version", "user")} | {"name": "Copy"})
    write_rules(where.rules, SECOND)
    before = where.content()
    assert where.statuses()["Rule A"] == "ambiguous"
    assert "there are 2 of it (" in where.run("plan").out
    assert where.run("apply").code == 3
    assert {name: where.content()[name] for name in ("Rule A", "Copy")} == {
        name: before[name] for name in ("Rule A", "Copy")
    }
    assert where.run("remove", "--force").code == 3
    assert set(where.live()) == {"Copy"}, "it is the analyst's, as only the original is recorded"
    assert where.run("remove", "--force").code == 3
    assert set(where.live()) == {"Copy"}


def test_a_copy_is_not_pruned(tmp_path: Path) -> None:
    """A rule that an analyst duplicated in Kibana has our tag, and is theirs."""
    with place("elastic", tmp_path) as where:
        write_rules(where.rules, FIRST)
        where.run("apply")
        known = ("type", "name", "description", "risk_score", "severity", "tags")
        where.add({**{key: where.live()["Rule A"][key] for key in known}, "name": "Rule A [Duplicate]"})
        assert where.run("apply", "--prune").code == 0
        assert where.run("remove").code == 3
        assert set(where.live()) == {"Rule A [Duplicate]"}


def test_a_deleted_rule_is_told_of(somewhere: Place) -> None:
    """A rule that somebody deleted would be made again, and the plan says why; after remove it says nothing."""
    where = somewhere
    where.run("apply")
    kept = where.state_file.read_bytes()
    where.run("remove", "--only", "Rule A")
    assert "somebody deleted it" not in where.run("plan").out
    where.state_file.write_bytes(kept)
    assert where.statuses()["Rule A"] == "create"
    assert "somebody deleted it, and it is made again" in where.run("plan").out


def test_a_kept_plan_is_done_or_nothing(somewhere: Place) -> None:
    """apply --plan does nothing if something has changed since, goes on where it broke off, and does no more."""
    where = somewhere
    file = where.state_file.with_name("plan.json")
    where.run("plan", "-o", file)
    where.server.fail("POST", "/rules$" if where.target == "elastic" else "/monitors$", 500, skip=1)
    assert where.run("apply", "--plan", file).code == 1
    assert set(where.live()) == {"Rule A", "Rule C"}
    assert where.run("apply", "--plan", file).code == 0
    assert set(where.live()) == set(FIRST)

    write_rules(where.rules, SECOND)
    where.run("plan", "-o", file)
    edit(where, "Rule A")
    before = where.content()
    refused = where.run("apply", "--plan", file)
    assert (refused.code, where.content()) == (1, before)
    assert f"nothing was done, since things are not as {file} saw them: Rule A; plan again" in refused.err

    where.run("plan", "-o", file)
    write_rules(where.rules, THIRD)
    refused = where.run("apply", "--plan", file)
    assert (refused.code, where.content()) == (1, before)
    assert "Rule B" in refused.err


def test_a_kept_plan_ends_what_was_not_recorded(somewhere: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the state file could not be written, going on with the plan records what is there."""
    where = somewhere
    file = where.state_file.with_name("plan.json")
    where.run("plan", "-o", file)
    monkeypatch.setattr(State, "record", _full_disk)
    assert where.run("apply", "--plan", file).code == 1
    monkeypatch.undo()
    assert where.run("apply", "--plan", file).code == 0
    assert set(where.live()) == set(FIRST)
    assert where.run("plan").code == 0


def _full_disk(*what: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_kept_plan_needs_its_rules(somewhere: Place) -> None:
    """If a rule of the plan is not among the rules any more, nothing is done."""
    where = somewhere
    file = where.state_file.with_name("plan.json")
    where.run("plan", "-o", file)
    (where.rules / "aws_createuser.yml").unlink()
    refused = where.run("apply", "--plan", file)
    assert (refused.code, where.live()) == (1, {})
    assert "saw them: Rule A; plan again" in refused.err


def test_a_plan_for_elsewhere_is_refused(somewhere: Place, tmp_path: Path) -> None:
    """A plan of another system, or something that is no plan, is an error that says so."""
    where = somewhere
    file = tmp_path / "plan.json"
    where.run("plan", "-o", file)
    file.write_text(file.read_text("utf-8").replace(where.server.url, "https://other.example.com"), "utf-8")
    assert "is a plan for " in where.run("apply", "--plan", file).err
    for text in ("{}", "[]", "[" * 100_000, '{"format": 1, "options": {}, "steps": [{"status": 5}]}'):
        file.write_text(text, "utf-8")
        assert "is not a plan" in where.run("apply", "--plan", file).err
    assert where.live() == {}


def test_a_plan_keeps_its_options(somewhere: Place) -> None:
    """What was decided with the plan is decided for it: other options are refused by their names."""
    where = somewhere
    file = where.state_file.with_name("plan.json")
    where.run("apply")
    change_query(where, "Rule B")
    write_rules(where.rules, THIRD)
    where.run("plan", "-o", file, "--take", "ours", "Rule B")
    before = where.content()
    refused = where.run("apply", "--plan", file)
    assert (refused.code, where.content()) == (1, before)
    assert "was made with other options: --take (there [[" in refused.err
    assert where.run("apply", "--plan", file, "--take", "ours", "Rule B").code == 0


def test_a_plan_holds_no_secret_of_an_analyst(somewhere: Place) -> None:
    """What stands in an action, such as the token of a webhook, is in no plan, nor shown; the file is ours alone."""
    where = somewhere
    file = where.state_file.with_name("plan.json")
    file.touch(0o644)
    where.run("apply")
    edit(where, "Rule A")
    write_rules(where.rules, SECOND)
    ended = where.run("plan", "-o", file)
    assert "actions" in ended.out
    assert "hello" not in file.read_text("utf-8") + ended.out + where.run("plan", "--json").out
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_secret_is_shown_or_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """User, password and API key are in nothing that is printed or written, right or wrong."""
    monkeypatch.setattr(server_errors, "WAITS", ())
    write_rules(tmp_path / "rules", FIRST)
    secrets = {"SIGMA_STELLAR_AWS_PASSWORD": "pass-5d1f", "SIGMA_STELLAR_AWS_API_KEY": "a2V5LTVkMWY6"}
    with_password = {"SIGMA_STELLAR_AWS_USER": "someone", "SIGMA_STELLAR_AWS_PASSWORD": "pass-5d1f"}
    with_key = {"SIGMA_STELLAR_AWS_API_KEY": "a2V5LTVkMWY6"}
    servers: list[tuple[str, AbstractContextManager[Kibana | Alerting], dict[str, str]]] = [
        ("elastic", kibana(user="someone", password="pass-5d1f"), with_password),
        ("elastic", kibana(api_key="a2V5LTVkMWY6"), with_key),
        ("opensearch", alerting(user="someone", password="pass-5d1f"), with_password),
    ]
    for number, (kind, server, environment) in enumerate(servers):
        folder = tmp_path / str(number)
        folder.mkdir()
        with server as running:
            where = Place(kind, running, folder)
            where.rules = tmp_path / "rules"
            wrong = {name: f"{value}x" for name, value in environment.items()}
            ended = [
                where.run("plan", environment=wrong),
                where.run("plan", "-o", folder / "plan.json", environment=environment),
                where.run("apply", "--json", environment=environment),
                where.run("remove", environment=environment),
            ]
            running.fail("GET" if kind == "elastic" else "POST", ".", "cut", times=9)
            ended.append(where.run("plan", environment=environment))
        assert [one.code for one in ended] == [1, 2, 0, 0, 1]
        assert "SIGMA_STELLAR_AWS_" in ended[0].err
        written = [file.read_text("utf-8") for file in folder.iterdir()]
        assert len([text for text in written if text]) == 2, "the lock of the state file is empty"
        assert not [secret for secret in secrets.values() if secret in str([ended, written])]


def test_a_space_of_kibana(tmp_path: Path) -> None:
    """Everything happens in the space that is named; one that there is not is an error."""
    with place("elastic", tmp_path) as where:
        write_rules(where.rules, FIRST)
        assert where.run("apply", "--space", "soc").code == 0
        assert isinstance(where.server, Kibana)
        assert {space for space, _ in where.server.rules} == {"soc"}
        assert where.run("remove", "--space", "soc").code == 0
        assert where.server.rules == {}
        assert where.run("plan", "--space", "../evil").code == 1
        for command in ("plan", "apply", "remove"):
            ended = where.run(command, "--space", "nobody", "--state", tmp_path / "other.json")
            assert ended.code == 1
            assert "there is no space 'nobody' in this Kibana" in ended.err
        assert where.server.rules == {}


def test_an_old_kibana(tmp_path: Path) -> None:
    """Kibana 7.17 is asked for its version, gets no key that it does not know, and has no preview, as is said."""
    with kibana(version="7.17.29") as server:
        where = Place("elastic", server, tmp_path)
        write_rules(where.rules, FIRST)
        ended = where.run("apply")
        assert ended.code == 0
        assert "Kibana 7.17 has no rule preview, so nothing is tried out first" in ended.err
        assert where.run("plan").code == 0
        write_rules(where.rules, SECOND)
        assert where.run("apply").code == 0
        assert severity(where, "Rule A") == "critical"
        server.analyst_edits("00000000-0000-4000-8000-00000000000a", status_date="2026-11-25T00:00:00.000Z")
        assert where.run("plan").code == 0
        assert server.violations == []


@pytest.mark.parametrize("somewhere", ["opensearch"], indirect=True)
def test_monitors_of_documents(somewhere: Place) -> None:
    """There is one for each severity, between which rules move; a query that somebody added stays."""
    where = somewhere
    assert where.run("apply", *DOCUMENT).code == 0
    assert queries_by_monitor(where) == {
        f"{ACTIVITY} (severity {n})": {rule} for n, rule in {2: "Rule C", 3: "Rule B", 4: "Rule A"}.items()
    }
    assert where.run("plan", *DOCUMENT).code == 0
    name = f"{ACTIVITY} (severity 3)"
    [entry] = cast("list[dict[str, JsonObject]]", where.live()[name]["inputs"])
    own: JsonObject = {"id": "mine", "name": "mine", "query": "eventName:Mine", "tags": [], "fields": []}
    queries: Json = [*cast("list[Json]", entry["doc_level_input"]["queries"]), own]
    where.edit(name, {"inputs": [{"doc_level_input": {**entry["doc_level_input"], "queries": queries}}]})
    assert where.run("plan", *DOCUMENT).code == 0
    write_rules(where.rules, SECOND)
    assert where.run("apply", *DOCUMENT).code == 0
    assert queries_by_monitor(where) == {
        f"{ACTIVITY} (severity 2)": {"Rule A"},
        f"{ACTIVITY} (severity 3)": {"Rule B", "mine"},
        f"{ACTIVITY} (severity 4)": {"Rule D"},
    }
    assert where.run("plan", *DOCUMENT).code == 0


def queries_by_monitor(where: Place) -> dict[str, set[str]]:
    """Return the names of the queries of the document-level monitors that are there."""
    found: dict[str, set[str]] = {}
    for name, body in where.live().items():
        [entry] = cast("list[dict[str, JsonObject]]", body["inputs"])
        queries = cast("list[JsonObject]", entry["doc_level_input"]["queries"])
        found[name] = {str(query["name"]) for query in queries}
    return found


@pytest.mark.parametrize("somewhere", ["opensearch"], indirect=True)
def test_an_index_pattern_is_refused_before_anything_is_asked(somewhere: Place) -> None:
    """Document-level monitors and detectors search an index or an alias; the refusal says what to do."""
    where = somewhere
    for options in (["--monitor", "document"], ["--detector", "--index", "cloudtrail-*"]):
        ended = where.run("apply", *options)
        assert ended.code == 1
        assert "--index ALIAS" in ended.err
    assert where.server.requests == []


@pytest.mark.parametrize("kind", ["elastic", "opensearch"])
def test_the_whole_pack(kind: str, tmp_path: Path) -> None:
    """All rules of the project are installed, are then as they should be, and are removed, on each kind of system."""
    with place(kind, tmp_path) as where:
        where.rules = pack_path()
        assert where.run("apply").code == 0
        assert len(where.live()) == 29
        assert where.run("plan").code == 0
        assert where.run("remove").code == 0
        assert where.live() == {}


def test_what_is_recorded_nowhere_is_told(somewhere: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the state file cannot be written any more, that is said of the rule, and running it again finishes."""
    where = somewhere
    written: list[int] = []
    write = State._change

    def full(state: State, change: Callable[[Any], Any]) -> None:
        written.append(1)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        write(state, change)

    monkeypatch.setattr(State, "_change", full)
    ended = where.run("apply")
    assert ended.code == 1
    assert "failed (create): Rule A" in ended.out
    assert "it was done, but cannot be recorded here: [Errno 28] No space left on device" in ended.out
    assert set(where.live()) == {"Rule A"}
    assert where.run("apply").code == 0
    assert where.run("plan").code == 0
    assert set(where.live()) == set(FIRST)


def test_nothing_is_done_that_cannot_be_recorded(somewhere: Place, tmp_path: Path) -> None:
    """Where no state file can be made, nothing is installed."""
    where = somewhere
    (tmp_path / "a file").touch()
    where.state_file = tmp_path / "a file" / "state.json"
    ended = where.run("apply")
    assert ended.code == 1
    assert where.live() == {}


def test_it_asks_before_it_does_anything(somewhere: Place) -> None:
    """Without --yes and without an answer nothing is done; --json does not ask."""
    where = somewhere
    arguments = ["apply", where.target, "--url", where.server.url, "--state", str(where.state_file)]
    arguments += ["--rules", str(where.rules)]
    asked = CliRunner().invoke(main, arguments)
    assert (asked.exit_code, where.live()) == (1, {})
    assert f"Do this in {where.server.url}?" in asked.stderr
    assert CliRunner().invoke(main, [*arguments, "--json"]).exit_code == 2
    assert where.live() == {}
    assert CliRunner().invoke(main, arguments, input="y\n").exit_code == 0
    assert set(where.live()) == set(FIRST)


def test_json_says_all(somewhere: Place) -> None:
    """The plan and what came of it are for programs, too."""
    where = somewhere
    where.server.fail("POST", "/rules$" if where.target == "elastic" else "/monitors$", 500)
    told = where.run("apply", "--json").json()
    assert [step["status"] for step in told["steps"]] == ["create"] * 3
    assert [result["outcome"] for result in told["results"]] == ["failed", "done", "done"]
    assert "status 500" in told["results"][0]["remark"]
    write_rules(where.rules, SECOND)
    where.run("apply")
    write_rules(where.rules, THIRD)
    [step] = [step for step in where.run("plan", "--json").json()["steps"] if step["name"] == "Rule B"]
    changed = {change["field"]: (change["live"], change["wanted"]) for change in step["changes"]}
    if where.target == "elastic":
        assert changed == {"severity": ("high", "critical"), "risk_score": (50, 100)}
    else:
        assert changed == {"triggers.Rule B.severity": ("3", "1")}


def test_a_rule_that_cannot_be_carried_is_left_out(somewhere: Place) -> None:
    """All others go on, it is said once with its reason and in the exit code, and what is there for it stays."""
    where = somewhere
    where.run("apply")
    kept = where.live()["Rule A"]
    spoil(where)
    write_also(where, "Rule E")
    shown = where.run("plan")
    assert (shown.code, where.statuses()["Rule A"], where.statuses()["Rule E"]) == (2, "left out", "create")
    assert shown.out.count("two fields can only be compared with a script") == 1
    assert "what is there for it stays as it is" in shown.out
    ended = where.run("apply", "--prune")
    assert (ended.code, set(where.live())) == (3, {*FIRST, "Rule E"})
    assert where.live()["Rule A"] == kept
    assert "--skip-unsupported" not in ended.out + ended.err
    assert (ended.out + ended.err).count("two fields can only be compared with a script") == 1
    assert where.run("plan").code == 3, "there is nothing to do, and one is left out"
    assert where.run("apply").code == 3
    assert where.run("apply", "--exclude", "Rule A").code == 0
    assert where.run("plan", "--exclude", "Rule A", "--prune").code == 0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("title:", "title: [", "line 2, column 3"),
        ("  condition: selection", "", "condition"),
        ("level: high", "level: highest", "highest"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_out(somewhere: Place, before: str, after: str, said: str) -> None:
    """All others go on, it is told once with its reason and in the exit code, and what is there for it stays."""
    where = somewhere
    where.run("apply")
    kept = where.live()["Rule C"]
    file = where.rules / "aws_updateuser.yml"
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after), "utf-8")
    write_also(where, "Rule E")
    shown = where.run("plan")
    assert shown.code == 2
    assert re.search(rf"^x left out  aws_updateuser.yml  \({file}\)\n      .*{said}", shown.out, re.M | re.S)
    assert "orphaned" not in shown.out
    assert where.statuses() == {
        "Rule A": "unchanged",
        "Rule B": "unchanged",
        "Rule E": "create",
        "aws_updateuser.yml": "left out",
    }
    for command in ("plan", "apply"):
        refused = where.run(command, "--prune")
        assert (refused.code, set(where.live())) == (1, set(FIRST))
        assert "--prune needs all rule files" in refused.err
        assert str(file) in refused.err
        assert str(file) in where.run(command, "--strict").err
    ended = where.run("apply")
    assert (ended.code, set(where.live())) == (3, {*FIRST, "Rule E"})
    assert where.live()["Rule C"] == kept
    assert ended.out.count(f"({file})") == 1
    assert where.run("plan").code == 3, "there is nothing to do, and one is left out"
    assert "cannot be read" in where.run("plan", "--only", "aws_updateuser").err
    file.write_text(text, "utf-8")
    assert where.run("plan", "--prune").code == 0


def test_no_file_can_be_read(somewhere: Place) -> None:
    """Nothing is done, and the reasons are told."""
    where = somewhere
    where.run("apply")
    write_rules(where.rules, {"Rule A": FIRST["Rule A"]})
    (where.rules / "aws_createuser.yml").write_text("title: [x\n", "utf-8")
    ended = where.run("apply")
    assert (ended.code, set(where.live())) == (1, set(FIRST))
    assert "there are no rules to install" in ended.err
    assert "line 1, column 8" in ended.err


@pytest.mark.parametrize("somewhere", ["opensearch"], indirect=True)
def test_a_monitor_of_many_rules_needs_all_files(somewhere: Place) -> None:
    """A file that cannot be read is an error there: its rule would be taken out of the monitor."""
    where = somewhere
    where.run("apply", *DOCUMENT)
    before = where.content()
    (where.rules / "aws_createuser.yml").write_text("title: [x\n", "utf-8")
    for options in (DOCUMENT, ("--detector", "--index", "cloudtrail")):
        ended = where.run("apply", *options)
        assert (ended.code, where.content()) == (1, before)
        assert "aws_createuser.yml" in ended.err


def test_strict_refuses(somewhere: Place) -> None:
    """With --strict one rule that cannot be carried is an error before anything is done."""
    where = somewhere
    spoil(where)
    for command in ("plan", "apply"):
        ended = where.run(command, "--strict")
        assert (ended.code, where.live()) == (1, {})
        assert "Rule A" in ended.err


def test_no_rule_is_left(somewhere: Place) -> None:
    """If none can be carried, nothing is done, and the reasons are said: to prune would delete all."""
    where = somewhere
    where.run("apply")
    write_rules(where.rules, {"Rule A": FIRST["Rule A"]})
    spoil(where)
    ended = where.run("apply", "--prune")
    assert (ended.code, set(where.live())) == (1, set(FIRST))
    assert "there are no rules to install" in ended.err
    assert "two fields can only be compared with a script" in ended.err


def test_rules_are_chosen(somewhere: Place) -> None:
    """--only and --exclude take title, id and file; what was not chosen is not touched, nor called left over."""
    where = somewhere
    assert where.run("apply", "--only", "Rule A", "--only", "aws_updateuser.yml").code == 0
    assert set(where.live()) == {"Rule A", "Rule C"}
    assert where.run("apply", "--exclude", "00000000-0000-4000-8000-00000000000b").code == 0
    assert set(where.live()) == {"Rule A", "Rule C"}
    assert where.run("apply").code == 0
    before = where.content()
    write_rules(where.rules, {title: (event, "critical") for title, (event, _) in FIRST.items()})
    assert where.statuses("--only", where.rules / "aws_createuser.yml") == {"Rule A": "update"}
    assert where.statuses("--exclude", "Rule A", "--prune") == {"Rule B": "update", "Rule C": "update"}
    assert where.run("apply", "--only", "Rule A").code == 0
    assert [name for name, body in where.content().items() if body != before[name]] == ["Rule A"]
    assert where.run("remove", "--exclude", "Rule B", "--exclude", where.rules / "aws_createuser.yml").code == 0
    assert set(where.live()) == {"Rule A", "Rule B"}
    assert where.run("remove", "--only", where.rules / "aws_createuser.yml").code == 0
    assert set(where.live()) == {"Rule B"}


def test_names_that_are_not_there(somewhere: Place) -> None:
    """A slip of the pen is an error with the name that was meant; nothing is done."""
    where = somewhere
    where.run("apply")
    for command in ("plan", "apply"):
        for option in ("--only", "--exclude"):
            ended = where.run(command, option, "Rule a")
            assert ended.code == (1 if command == "plan" else 2)
            assert "'Rule a' is not the title, id or file of one of these rules; did you mean 'Rule A'?" in ended.err
    ended = where.run("remove", "--exclude", "Rule a")
    assert (ended.code, set(where.live())) == (2, set(FIRST))
    assert "did you mean 'Rule A'?" in ended.err
    ended = where.run("remove", "--only", "Rule a")
    assert (ended.code, set(where.live())) == (0, set(FIRST))
    assert "did you mean 'Rule A'?" in ended.err
    everything = [option for title in FIRST for option in ("--exclude", title)]
    assert "no rule is left" in where.run("apply", *everything, "--prune").err
    assert where.run("plan", "--only", "Rule A", "--prune").code == 1
    assert set(where.live()) == set(FIRST)


def test_a_query_that_somebody_replaced_is_called_edited(somewhere: Place) -> None:
    """A rule that finds something else than it was made for is never called unchanged."""
    where = somewhere
    where.run("apply")
    change_query(where, "Rule B")
    shown = where.run("plan")
    assert (shown.code, where.statuses()["Rule B"]) == (0, "edited")
    assert re.search(r"^e edited there ?Rule B ", shown.out, re.MULTILINE)
    assert "2 unchanged, 1 edited there" in shown.out


def spoil(where: Place) -> None:
    """Make Rule A one that nothing can carry."""
    file = where.rules / "aws_createuser.yml"
    text = file.read_text("utf-8").replace("eventName: CreateUser", "eventName|fieldref: eventSource")
    file.write_text(text, "utf-8")


def write_also(where: Place, title: str) -> None:
    """Put a rule beside those that are there."""
    folder = where.rules.with_name("more")
    write_rules(folder, {title: ("TagRole", "low")})
    (folder / "aws_tagrole.yml").rename(where.rules / "aws_tagrole.yml")


@pytest.mark.parametrize("target", ["elastic", "opensearch"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://localhost:9", "cannot be reached at localhost:9: Connection refused"),
        ("https://nobody.invalid", "cannot be reached at nobody.invalid:443: "),
    ],
)
def test_a_host_that_is_not_there(
    target: str, url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said at once, with host and cause: nobody waits for what was never there."""
    monkeypatch.setattr(retries, "sleep", lambda seconds: pytest.fail(f"waits for {seconds} seconds"))
    ended = CliRunner().invoke(main, ["plan", target, "--url", url, "--state", str(tmp_path / "state.json")])
    assert ended.exit_code == 1
    assert said in ended.stderr


def test_an_opensearch_without_alerting(opensearch_url: str, tmp_path: Path) -> None:
    """A real OpenSearch that lacks the plugin is an error that says what is missing."""
    for command in ("plan", "apply", "remove"):
        arguments = [command, "opensearch", "--url", opensearch_url, "--state", str(tmp_path / "state.json")]
        ended = CliRunner().invoke(main, arguments)
        assert ended.exit_code == 1
        assert "this OpenSearch has no Alerting plugin" in ended.stderr
    assert not (tmp_path / "state.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "opensearch", "--space", "soc"], "--space is for elastic"),
        (["plan", "opensearch", "--stack", "8.x"], "--stack is for elastic"),
        (["plan", "elastic", "--monitor", "document"], "--monitor and --channel are for opensearch"),
        (["plan", "elastic", "--aws-region", "eu-central-1"], "--aws-region is for opensearch"),
        (["plan", "opensearch", "--building-block", "KMS Keys Creation"], "--building-block is for elastic"),
        (["plan", "elastic", "--only", "KMS Keys Creation", "--prune"], "--prune is about all rules"),
        (["plan", "elastic", "--ecs", "--published"], "--published is not for --ecs"),
        (["plan", "elastic", "--stack", "6.8"], "--stack 6.8: "),
        (["plan", "opensearch", "--take", "ours", "Kms Keys Creation"], "did you mean 'KMS Keys Creation'?"),
        (["apply", "elastic", "--take", "mine", "all"], "'mine' is not one of"),
        (["plan", "elastic", "--no-such-option"], "No such option"),
        (["plan", "elastic", "-o", "no-such-folder/plan.json"], "there is no folder no-such-folder for plan.json"),
    ],
)
def test_misuse(arguments: list[str], said: str, tmp_path: Path) -> None:
    """Options that do not go together, and names that there are not, are refused with a sentence."""
    where = ["--url", "http://localhost:9", "--state", str(tmp_path / "state.json")]
    ended = CliRunner().invoke(main, [*arguments, *where])
    assert ended.exit_code == (1 if arguments[0] == "plan" else 2), "2 of plan would say that there are changes"
    assert said in ended.stderr


@pytest.mark.parametrize("target", ["elastic", "opensearch"])
@pytest.mark.parametrize("url", ["kibana", "https://someone:pass-5d1f@example.com", "ftp://example.com"])
def test_what_is_no_url(target: str, url: str, tmp_path: Path) -> None:
    """It is refused, and a password in it is not repeated."""
    ended = CliRunner().invoke(main, ["plan", target, "--url", url, "--state", str(tmp_path / "state.json")])
    assert ended.exit_code == 1
    assert "https://search.example.com:9200" in ended.stderr or "SIGMA_STELLAR_AWS_PASSWORD" in ended.stderr
    assert "pass-5d1f" not in ended.output


def test_ecs_names(tmp_path: Path) -> None:
    """With --ecs the rules ask for the fields and the index of Elastic's AWS integration."""
    with place("elastic", tmp_path) as where:
        write_rules(where.rules, FIRST)
        assert where.run("apply", "--ecs").code == 0
        body = where.live()["Rule A"]
        assert body["index"] == ["logs-aws.cloudtrail-*"]
        assert "event.action" in str(body["query"])


def test_the_whole_pack_in_ecs(tmp_path: Path) -> None:
    """28 of the 29 rules are carried in the fields of Elastic's integration; one is left out with a word."""
    with place("elastic", tmp_path) as where:
        where.rules = pack_path()
        shown = where.run("plan", "--ecs")
        assert shown.code == 2
        assert "28 create, 1 left out" in shown.out
        assert re.search(r"^x left out  .*\n      field '.*': ", shown.out, re.MULTILINE)
        assert where.run("apply", "--ecs").code == 3
        assert len(where.live()) == 28
        assert where.run("plan", "--ecs").code == 3
        [left] = [name for name, status in where.statuses("--ecs").items() if status == "left out"]
        assert where.run("plan", "--ecs", "--exclude", left).code == 0
        assert where.run("remove").code == 0
        assert where.live() == {}


def test_what_is_to_be_known_before_is_said_once(tmp_path: Path) -> None:
    """Twins among Elastic's own rules, an API key, and rules that become building blocks, in plan and apply alike."""
    with kibana(api_key="a2V5") as server:
        where = Place("elastic", server, tmp_path)
        where.rules = pack_path()
        key = {"SIGMA_STELLAR_AWS_API_KEY": "a2V5"}
        body: JsonObject = {"type": "query", "description": "d", "risk_score": 1, "severity": "low", "query": "*"}
        server.add({**body, "rule_id": "93075852-b0f5-4b8b-89c3-a226efae5726", "name": "Elastic's of STS"})
        server.rules["default", "93075852-b0f5-4b8b-89c3-a226efae5726"]["immutable"] = True
        chosen = ("--only", "aws_sts_assumerole_usage", "--enabled", "--building-block", "aws_sts_assumerole_usage")
        for command in ("plan", "apply"):
            ended = where.run(command, *chosen, environment=key)
            assert ended.err.count("1 of these rules have a twin among Elastic's own") == 1
            assert ended.err.count("the API key becomes the own key of 1 rule") == 1
        made = where.live()["AWS Security Token Service (STS) AssumeRole Usage"]
        assert made["building_block_type"] == "default"
        assert where.run("plan", *chosen, environment=key).code == 0
        without = chosen[:3]
        assert where.run("apply", *without, environment=key).code == 0
        assert "building_block_type" not in where.live()["AWS Security Token Service (STS) AssumeRole Usage"]
        assert server.violations == []
