"""Detection rules in Kibana."""

import json
from pathlib import Path
from typing import cast

import pytest

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.install import server_errors
from sigma_stellar_aws.install.kibana import Elastic
from sigma_stellar_aws.install.kibana_api import KibanaApi
from sigma_stellar_aws.install.kibana_rule import TAG
from sigma_stellar_aws.install.plan import Step, plan
from sigma_stellar_aws.install.server_errors import ServerError
from sigma_stellar_aws.install.state import State
from tests.support.contract import Kibana, kibana
from tests.support.installing import certificate

RULE: JsonObject = {
    "rule_id": "rule-1",
    "type": "query",
    "name": "Rule",
    "description": "Detects it.",
    "risk_score": 50,
    "severity": "medium",
    "enabled": False,
    "language": "lucene",
    "query": "eventName:It",
    "index": ["cloudtrail-*"],
    "interval": "5m",
    "from": "now-30m",
    "to": "now",
    "timestamp_override": "event.ingested",
    "tags": [TAG, "aws"],
    "alert_suppression": {"group_by": ["user"], "duration": {"value": 24, "unit": "h"}},
    "note": "Look twice.\n",
    "threat": [
        {
            "framework": "MITRE ATT&CK",
            "tactic": {"id": "TA0003", "name": "Persistence", "reference": "https://attack.mitre.org/tactics/TA0003/"},
        }
    ],
}


@pytest.fixture
def state(tmp_path: Path) -> State:
    """An empty state."""
    return State(tmp_path / "state.json", "here")


def connected(server: Kibana, state: State, space: str = "default") -> Elastic:
    """A client without credentials."""
    return Elastic(server.url, space, None, {}, state)


def planned(elastic: Elastic, body: JsonObject) -> Step:
    """What is to be done about one rule."""
    wanted = {str(body["rule_id"]): body}
    [step] = plan(wanted, elastic.read(wanted), elastic)
    return step


def without(body: JsonObject, *keys: str) -> JsonObject:
    """A body without some keys."""
    return {key: value for key, value in body.items() if key not in keys}


def test_what_kibana_makes_of_a_rule_is_no_difference(kibana_server: Kibana, state: State) -> None:
    """Defaults, computed keys, cut line breaks and empty lists do not count, whichever side has them."""
    elastic = connected(kibana_server, state)
    fields: JsonObject = {"required_fields": [{"name": "eventName", "type": "keyword"}], "references": [], "setup": ""}
    body: JsonObject = {**RULE, **fields}
    assert elastic.create(planned(elastic, body)) == ""
    kept = kibana_server.rules["default", "rule-1"]
    assert kept["required_fields"] != body["required_fields"]
    assert kept["note"] != body["note"]
    assert planned(elastic, body).status == "unchanged"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"note": "x\n\n"}, {"note": "x"}),
        ({"query": "x\n"}, {"query": "x"}),
        ({"max_signals": 100, "from": "now-6m", "interval": "5m", "to": "now", "language": "kuery"}, {}),
        ({"filters": []}, {}),
        ({"from": "now-30m", "interval": "5m"}, {"from": "now-1800s", "interval": "300s", "meta": {"from": "25m"}}),
        ({"from": "now-360s"}, {}),
        (
            {"required_fields": [{"name": "a", "type": "b", "ecs": True}]},
            {"required_fields": [{"name": "a", "type": "b"}]},
        ),
        (
            {"alert_suppression": {"group_by": ["a"], "missing_fields_strategy": "suppress"}},
            {"alert_suppression": {"group_by": ["a"]}},
        ),
        ({"threat": [{"tactic": {"id": "a"}, "technique": []}]}, {"threat": [{"tactic": {"id": "a"}}]}),
        ({"version": 7, "revision": 3, "updated_at": "today"}, {"id": "some"}),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
    ],
    ids=json.dumps,
)
def test_what_is_the_same(one: JsonObject, other: JsonObject, kibana_server: Kibana, state: State) -> None:
    """Two ways to write one rule have the same fields."""
    elastic = connected(kibana_server, state)
    assert elastic.fields(one, one) == elastic.fields(other, other)


def test_only_what_changes_is_sent(kibana_server: Kibana, state: State) -> None:
    """A change is a PATCH with the keys that change, so that what somebody adds at that moment stays."""
    elastic = connected(kibana_server, state)
    elastic.create(planned(elastic, RULE))

    def edits() -> None:
        changes: JsonObject = {"note": "mine", "enabled": True, "exceptions_list": [_EXCEPTIONS], "actions": [_ACTION]}
        kibana_server.analyst_edits("rule-1", space="default", **changes)

    kibana_server.analyst_edits("rule-1", tags=[TAG, "aws", "mine"])
    step = planned(elastic, {**RULE, "severity": "high", "tags": [TAG, "cloud"]})
    kibana_server.before("PATCH", "/rules$", edits)
    elastic.update(step)
    sent = kibana_server.requests[-1]
    assert (sent.method, sent.body) == (
        "PATCH",
        {"rule_id": "rule-1", "severity": "high", "tags": [TAG, "mine", "cloud"], "version": 2, "max_signals": 100},
    )
    kept = kibana_server.rules["default", "rule-1"]
    assert (kept["note"], kept["enabled"], kept["exceptions_list"]) == ("mine", True, [_EXCEPTIONS])
    assert kept["actions"] != []


_EXCEPTIONS: JsonObject = {"id": "list-1", "list_id": "admins", "type": "detection", "namespace_type": "single"}
_ACTION: JsonObject = {"action_type_id": ".slack", "group": "default", "id": "channel", "params": {}}


def test_a_new_version_is_told(kibana_server: Kibana, state: State) -> None:
    """The version of a rule goes along with a change of it, and is none by itself."""
    elastic = connected(kibana_server, state)
    elastic.create(planned(elastic, {**RULE, "version": 1}))
    assert planned(elastic, {**RULE, "version": 2}).status == "unchanged"
    elastic.update(planned(elastic, {**RULE, "version": 2, "severity": "high"}))
    assert kibana_server.rules["default", "rule-1"]["version"] == 2


def test_what_goes_back_to_its_default_is_patched(kibana_server: Kibana, state: State) -> None:
    """A key that the rule says nothing of any more, and that has a default, needs no replacing."""
    elastic = connected(kibana_server, state)
    elastic.create(planned(elastic, {**RULE, "max_signals": 50}))
    body = without(RULE, "note", "threat")
    elastic.update(planned(elastic, body))
    assert kibana_server.requests[-1].body == {
        "rule_id": "rule-1",
        "max_signals": 100,
        "note": "",
        "threat": [],
        "version": 2,
    }
    assert planned(elastic, body).status == "unchanged"


def test_what_only_replacing_takes_away(kibana_server: Kibana, state: State) -> None:
    """A key without a default is taken away by PUT, which sends along all that somebody did to the rule."""
    elastic = connected(kibana_server, state)
    elastic.create(planned(elastic, RULE))
    edits: JsonObject = {"enabled": True, "exceptions_list": [_EXCEPTIONS], "actions": [_ACTION], "interval": "1h"}
    before = kibana_server.analyst_edits("rule-1", space="default", **edits)
    body = without(RULE, "alert_suppression")
    step = planned(elastic, body)
    assert elastic.update(step) == ""
    assert kibana_server.requests[-1].method == "PUT"
    after = kibana_server.rules["default", "rule-1"]
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed <= {"alert_suppression", "revision", "version", "updated_at", "actions"}
    assert [{**action, "uuid": ""} for action in cast("list[JsonObject]", after["actions"])] == [
        {**_ACTION, "uuid": ""}
    ]
    assert "alert_suppression" not in after
    again = planned(elastic, body)
    assert (again.status, again.changes, again.conflicts) == ("edited", (), ())


def test_kibana_7_tells_of_runs_in_a_rule(state: State) -> None:
    """What 7.17 tells of the last run is not sent back to it when a rule is replaced."""
    with kibana(version="7.17.9") as server:
        elastic = connected(server, state)
        old = without(RULE, "alert_suppression")
        elastic.create(planned(elastic, old))
        assert server.rules["default", "rule-1"]["status"] == "succeeded"
        elastic.update(planned(elastic, without(old, "timestamp_override")))
        assert server.requests[-1].method == "PUT"
        assert server.violations == []


def test_the_editor_changes_no_look_back(kibana_server: Kibana, state: State) -> None:
    """It writes it in seconds, which is no edit and no conflict; ours is sent as it was written."""
    elastic = connected(kibana_server, state)
    elastic.create(planned(elastic, RULE))
    kibana_server.analyst_edits("rule-1", severity="low")
    assert kibana_server.rules["default", "rule-1"]["from"] == "now-1800s"
    step = planned(elastic, {**RULE, "from": "now-1h"})
    assert [edit.path for edit in step.edits] == [("severity",)]
    elastic.update(step)
    assert kibana_server.rules["default", "rule-1"]["from"] == "now-1h"


def test_what_somebody_else_applied_is_kept(kibana_server: Kibana, state: State, tmp_path: Path) -> None:
    """Whoever has another state file sees it as what it is: another's change, which stays."""
    mine = connected(kibana_server, state)
    mine.create(planned(mine, RULE))
    other = connected(kibana_server, State(tmp_path / "other.json", "here"))
    other.adopt(planned(other, RULE))
    other.update(planned(other, {**RULE, "severity": "high"}))
    assert planned(mine, {**RULE, "severity": "high"}).status == "adopt"
    assert planned(mine, RULE).status == "edited"
    assert planned(mine, {**RULE, "severity": "low"}).status == "conflict"


def test_what_kibana_does_not_keep_is_told(state: State) -> None:
    """A Kibana that drops a key of ours gets a rule all the same, and we say which key; the plan then is quiet."""
    with kibana(version="8.14.0") as server:
        elastic = connected(server, state)
        wanted: JsonObject = {**RULE, "required_fields": [{"name": "eventName", "type": "keyword"}]}
        assert elastic.create(planned(elastic, wanted)) == "Kibana did not keep: required_fields"
        again = planned(elastic, wanted)
        assert (again.status, again.changes, again.conflicts) == ("edited", (), ())


def test_all_pages_are_read(kibana_server: Kibana, state: State) -> None:
    """More rules than fit on a page are all seen, and rules of others are not."""
    for number in range(230):
        kibana_server.add({**RULE, "rule_id": f"rule-{number}", "name": f"Rule {number % 7}"})
    kibana_server.add({**without(RULE, "rule_id"), "tags": ["other"]})
    assert len(connected(kibana_server, state).read({})) == 230


def test_a_rule_without_our_tag_is_known_by_the_state(kibana_server: Kibana, state: State) -> None:
    """Whoever takes our tag from a rule does not make it foreign, as long as the state file knows it."""
    elastic = connected(kibana_server, state)
    elastic.create(planned(elastic, RULE))
    kibana_server.analyst_edits("rule-1", tags=["mine"])
    assert planned(elastic, RULE).status == "edited"
    assert planned(connected(kibana_server, State(Path("none"), "here")), RULE).status == "foreign"


def test_a_prebuilt_rule_is_foreign(kibana_server: Kibana, state: State) -> None:
    """Elastic's own rules are never ours, whatever tags they have."""
    kibana_server.add(RULE)
    kibana_server.rules["default", "rule-1"]["immutable"] = True
    assert planned(connected(kibana_server, state), RULE).status == "foreign"


def test_a_rule_that_comes_first(kibana_server: Kibana, state: State) -> None:
    """Who makes a rule of the same id between plan and apply keeps it."""
    elastic = connected(kibana_server, state)
    step = planned(elastic, RULE)
    kibana_server.add({**RULE, "query": "theirs"})
    with pytest.raises(ServerError, match="already exists"):
        elastic.create(step)
    kibana_server.fail("POST", "/rules$", 500)
    with pytest.raises(ServerError, match="somebody else has just made a rule of this id"):
        elastic.create(step)
    assert kibana_server.rules["default", "rule-1"]["query"] == "theirs"


def test_a_base_path(state: State) -> None:
    """Kibana behind a base path is reached with it, in each space."""
    with kibana(base_path="/kibana") as server:
        for space in ("default", "soc"):
            assert connected(server, state, space).read({}) == []
        assert server.violations == []


def test_what_is_no_kibana(monkeypatch: pytest.MonkeyPatch, state: State) -> None:
    """A login page, another address, no server, no JSON: each an error that says what to look at."""
    monkeypatch.setattr(server_errors, "WAITS", ())
    with kibana() as server:
        elastic = connected(server, state)
        server.fail("GET", "status", "html")
        with pytest.raises(ServerError, match=r"not an answer of Kibana \(status 200, no JSON object\); is the URL"):
            elastic.version()
        server.fail("GET", "status", "redirect")
        with pytest.raises(ServerError, match="Kibana sends us to another address"):
            elastic.version()
        server.fail("GET", "status", 503)
        with pytest.raises(ServerError, match="Kibana is not available now"):
            elastic.version()
    with pytest.raises(ServerError, match="Kibana cannot be reached"):
        Elastic("http://127.0.0.1:9", "default", None, {}, state).version()


@pytest.mark.parametrize(
    "answer", [{}, {"id": 5, "rule_id": "x"}, {"data": [5], "total": 1}, {"data": 5, "total": 1}], ids=str
)
def test_what_is_no_answer(answer: JsonObject, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON that is none of Kibana's is an error that says so."""
    monkeypatch.setattr(KibanaApi, "send", lambda *what, **more: answer)
    elastic = Elastic("http://127.0.0.1:9", "default", None, {}, state)
    with pytest.raises(ServerError, match="this is not an answer of Kibana"):
        elastic.read({})
    with pytest.raises(ServerError, match="this is not an answer of Kibana"):
        elastic.create(Step("create", "rule-1", "Rule", RULE))


def test_a_certificate_is_verified(tmp_path: Path, state: State) -> None:
    """A certificate that nobody trusts is refused, with the option that names its CA, which then works."""
    pem, ca_file = certificate(tmp_path)
    with kibana(certificate=pem) as server:
        with pytest.raises(StoreError, match=r"certificate is not trusted .*; name its CA: --ca-file"):
            Elastic(server.url, "default", None, {}, state).version()
        assert Elastic(server.url, "default", ca_file, {}, state).version() == "8.19.0"
        plain = server.url.replace("https://", "http://")
    with kibana() as server, pytest.raises(StoreError, match="is its URL http://"):
        Elastic(server.url.replace("http://", "https://"), "default", None, {}, state).version()
    assert plain.startswith("http://")


def test_settings_for_other_programs_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    """Neither a .netrc nor a CA bundle for other programs takes the place of what we were told."""
    (tmp_path / ".netrc").write_text("default login other password secret\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    with kibana(api_key="a2V5") as server:
        environment = {"SIGMA_STELLAR_AWS_API_KEY": "a2V5"}
        assert Elastic(server.url, "default", None, environment, state).version() == "8.19.0"
        assert server.requests[0].headers["authorization"] == "ApiKey a2V5"


def test_a_proxy(state: State) -> None:
    """The proxy of the environment is used, and for what NO_PROXY names it is not."""
    with kibana() as server:
        environment = {"HTTP_PROXY": server.url}
        elastic = Elastic("http://kibana.example.com:5601", "default", None, environment, state)
        assert elastic.version() == "8.19.0"
        assert server.requests[0].headers["host"] == "kibana.example.com:5601"
        direct = Elastic(
            server.url, "default", None, {"HTTP_PROXY": "http://localhost:9", "NO_PROXY": "localhost"}, state
        )
        assert direct.version() == "8.19.0"


def test_a_preview_has_all_that_a_rule_has(kibana_server: Kibana, state: State) -> None:
    """What is tried out is the rule with its changes and with what somebody did to it."""
    elastic = connected(kibana_server, state)
    elastic.create(planned(elastic, RULE))
    kibana_server.analyst_edits("rule-1", note="mine")
    step = planned(elastic, {**RULE, "severity": "high"})
    assert step.live is not None
    assert elastic.try_out(elastic.merged(step.live.body, step.changes, RULE)) == ""
    body = cast(JsonObject, kibana_server.requests[-1].body)
    assert (body["severity"], body["note"], body["invocationCount"]) == ("high", "mine", 1)


def test_spaces_have_ids() -> None:
    """A name that is not the id of a space leads to no other path."""
    for space in ("", "SOC", "a/b", "..", "a b"):
        with pytest.raises(StoreError, match="is not the id of a space"):
            Elastic("http://localhost:9", space, None, {}, State(Path("none"), "here"))


def test_a_url_with_a_space_is_refused() -> None:
    """The space has an option of its own, and would stand there twice."""
    for url in ("http://localhost:9/s/soc", "http://localhost:9/base/s/soc/app"):
        with pytest.raises(StoreError, match="name it: --space"):
            Elastic(url, "default", None, {}, State(Path("none"), "here"))


def test_the_contract_is_kept(kibana_server: Kibana, state: State) -> None:
    """No call is a bulk action or an import, which touch more than one rule."""
    elastic = connected(kibana_server, state)
    elastic.create(planned(elastic, RULE))
    elastic.update(planned(elastic, {**RULE, "severity": "high"}))
    [live] = elastic.read({})
    elastic.delete(Step("delete", "rule-1", "Rule", live=live))
    assert kibana_server.rules == {}
    paths: set[Json] = {request.path for request in kibana_server.requests}
    assert paths == {"/api/detection_engine/rules", "/api/detection_engine/rules/_find"}
