"""The contract servers keep their contracts: one test for each rule of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import pytest
import urllib3

from sigma_stellar_aws.base.json_types import JsonObject
from tests.support.contract import Alerting, Kibana, alerting, kibana
from tests.support.contract.server import ContractServer, basic
from tests.support.contract.stored_search import stored_query, stored_search

RULES = "/api/detection_engine/rules"
MONITORS = "/_plugins/_alerting/monitors"
DASHBOARDS = {"User-Agent": "opensearch-js/2 OpenSearch-Dashboards"}
RULE_ID = "6b0a4a53-3a5e-4a37-8d0c-5a1f0f4f6d21"
RULE: JsonObject = {
    "rule_id": RULE_ID,
    "type": "query",
    "name": "Trail stopped",
    "description": "A trail was stopped.",
    "risk_score": 50,
    "severity": "medium",
    "language": "lucene",
    "query": "event.action:StopLogging",
}
TRIGGER: JsonObject = {
    "name": "hit",
    "severity": "3",
    "condition": {"script": {"source": "ctx.results[0].hits.total.value > 0", "lang": "painless"}},
    "actions": [],
}
MONITOR: JsonObject = {
    "type": "monitor",
    "name": "Trail stopped",
    "monitor_type": "query_level_monitor",
    "enabled": False,
    "schedule": {"period": {"interval": 5, "unit": "MINUTES"}},
    "inputs": [{"search": {"indices": ["cloudtrail-*"], "query": {"size": 0, "query": {"match_all": {}}}}}],
    "triggers": [{"query_level_trigger": TRIGGER}],
    "ui_metadata": {"owner_key": "a"},
}
LIST: JsonObject = {"id": "1", "list_id": "trusted", "type": "detection", "namespace_type": "single"}
HTTP = urllib3.PoolManager(retries=False)


class Got(NamedTuple):
    """Status and body of an answer; a body that is no JSON is a text."""

    status: int
    body: Any


def call(
    server: ContractServer,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    fields: Mapping[str, tuple[str, str]] | None = None,
) -> Got:
    """Send a request as a well-behaved client would, and read the answer; `headers` come on top of the usual ones."""
    usual = {"kbn-xsrf": "true"} if isinstance(server, Kibana) else {}
    if body is not None:
        usual["Content-Type"] = "application/json"
    content = None if body is None else json.dumps(body)
    sent = {**usual, **(headers or {})}
    answer = HTTP.request(method, server.url + path, body=content, headers=sent, fields=fields)
    try:
        return Got(answer.status, json.loads(answer.data))
    except ValueError:
        return Got(answer.status, answer.data.decode())


def imported(server: Kibana, *lines: object, query: str = "", name: str = "rules.ndjson") -> Got:
    """Import rules; a line that is a text is sent as it is."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    return call(server, "POST", f"{RULES}/_import{query}", fields={"file": (name, text)})


def named(name: str) -> JsonObject:
    """A monitor of this name."""
    return {**MONITOR, "name": name}


@pytest.fixture
def loose_kibana() -> Iterator[Kibana]:
    """A Kibana that the test does wrong to."""
    with kibana() as server:
        yield server


@pytest.fixture
def loose_alerting() -> Iterator[Alerting]:
    """An OpenSearch that the test does wrong to."""
    with alerting() as server:
        yield server


# Both


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("ApiKey a2V5", 200),
        (basic("ann", "secret"), 200),
        ("ApiKey other", 401),
        (basic("ann", "wrong"), 401),
        (None, 401),
    ],
)
def test_kibana_lets_in_by_key_or_user(authorization: str | None, status: int) -> None:
    """The API key and the user are let in, nobody else."""
    headers = {"Authorization": authorization} if authorization else {}
    with kibana(api_key="a2V5", user="ann", password="secret") as server:
        assert call(server, "GET", f"{RULES}/_find", headers=headers).status == status


def test_alerting_lets_in_by_user() -> None:
    """The user is let in, nobody else."""
    with alerting(user="ann", password="secret") as server:
        good = call(server, "POST", MONITORS, MONITOR, {"Authorization": basic("ann", "secret")})
        bad = call(server, "POST", MONITORS, MONITOR)
        assert (good.status, bad.status) == (201, 401)
        assert len(server.monitors) == 1


def test_requests_are_recorded(kibana_server: Kibana) -> None:
    """A request can be looked at as it arrived, its query apart from its path."""
    call(kibana_server, "GET", f"{RULES}/_find?page=2&filter=", headers={"Elastic-Api-Version": "2023-10-31"})
    call(kibana_server, "POST", RULES, RULE)
    find, create = kibana_server.requests
    assert (find.method, find.path, find.query) == ("GET", f"{RULES}/_find", {"page": "2", "filter": ""})
    assert find.headers["elastic-api-version"] == "2023-10-31"
    assert (find.body, create.body) == (None, RULE)


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 503])
def test_a_fault_answers_before_anything_happens(kibana_server: Kibana, status: int) -> None:
    """A status that is asked for is answered once, and nothing is done."""
    kibana_server.fail("POST", "/rules$", status)
    assert call(kibana_server, "POST", RULES, RULE).status == status
    assert kibana_server.rules == {}
    assert call(kibana_server, "POST", RULES, RULE).status == 200


def test_faults_hit_the_requests_that_are_meant(kibana_server: Kibana) -> None:
    """Method, path, skip and times choose the requests that go wrong."""
    kibana_server.fail("GET", "/_find", 500, skip=1, times=2)
    found = [call(kibana_server, "GET", f"{RULES}/_find").status for _ in range(4)]
    assert found == [200, 500, 500, 200]
    kibana_server.fail("GET", "/_find", 500)
    assert call(kibana_server, "POST", RULES, RULE).status == 200
    assert call(kibana_server, "GET", f"{RULES}?rule_id={RULE_ID}").status == 200


@pytest.mark.parametrize(("fault", "left"), [("cut", 0), ("cut_after", 1)])
def test_a_connection_is_cut_before_or_after(alerting_server: Alerting, fault: Any, left: int) -> None:
    """Both leave a client without an answer; only the later one has made the monitor."""
    alerting_server.fail("POST", "/monitors$", fault)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        call(alerting_server, "POST", MONITORS, MONITOR)
    assert len(alerting_server.monitors) == left


def test_a_login_page_comes_with_200(kibana_server: Kibana) -> None:
    """A proxy's page in place of the answer is no JSON, and nothing is done."""
    kibana_server.fail("POST", "/rules", "html")
    status, body = call(kibana_server, "POST", RULES, RULE)
    assert status == 200
    assert body.startswith("<!DOCTYPE html>")
    assert kibana_server.rules == {}


def test_an_analyst_can_be_faster(kibana_server: Kibana) -> None:
    """What is to happen before a request has happened when it is worked on."""
    kibana_server.add(RULE)
    kibana_server.before("PATCH", "/rules", lambda: kibana_server.analyst_edits(RULE_ID, note="mine"))
    answer = call(kibana_server, "PATCH", RULES, {"rule_id": RULE_ID, "risk_score": 51})
    assert (answer.body["note"], answer.body["risk_score"], answer.body["revision"]) == ("mine", 51, 2)


def test_calls_outside_the_contract_are_violations(loose_kibana: Kibana, loose_alerting: Alerting) -> None:
    """A call that the contract does not have is refused and told."""
    assert call(loose_kibana, "POST", f"{RULES}/_bulk_create", []).status == 404
    assert call(loose_alerting, "GET", f"{MONITORS}").status == 404
    assert [len(loose_kibana.violations), len(loose_alerting.violations)] == [1, 1]


# Kibana


def test_writing_needs_the_xsrf_header(loose_kibana: Kibana) -> None:
    """Without kbn-xsrf nothing is written; reading does not need it."""
    headers = {"kbn-xsrf": ""}
    assert call(loose_kibana, "POST", RULES, RULE, headers).status == 400
    assert loose_kibana.rules == {}
    assert loose_kibana.violations == ["Request must contain a kbn-xsrf header."]
    assert call(loose_kibana, "GET", f"{RULES}/_find", headers=headers).status == 200


@pytest.mark.parametrize(("version", "status"), [("7.17.20", 200), ("8.19.0", 400)])
def test_other_api_versions_are_refused_where_they_are_known(version: str, status: int) -> None:
    """Elastic-Api-Version is unknown before 8.9, and has one value from then on."""
    with kibana(version=version) as server:
        assert call(server, "GET", f"{RULES}/_find", headers={"Elastic-Api-Version": "2099-01-01"}).status == status
        assert call(server, "GET", f"{RULES}/_find", headers={"Elastic-Api-Version": "2023-10-31"}).status == 200


def test_kibana_takes_json_only(loose_kibana: Kibana) -> None:
    """A body under another content type is refused."""
    assert call(loose_kibana, "POST", RULES, RULE, {"Content-Type": "text/plain"}).status == 415


def test_status_tells_the_version() -> None:
    """The version is read in any space, behind a base path too."""
    with kibana(version="9.1.2", base_path="/kb") as server:
        assert server.url.endswith("/kb")
        assert call(server, "GET", "/api/status").body["version"]["number"] == "9.1.2"
        assert call(server, "GET", "/s/soc/api/status").body["version"]["number"] == "9.1.2"


def test_spaces_are_apart(loose_kibana: Kibana) -> None:
    """The same rule_id is another rule in another space; one that does not exist takes rules, but is not told of."""
    assert call(loose_kibana, "POST", f"/s/soc{RULES}", RULE).status == 200
    assert call(loose_kibana, "POST", RULES, {**RULE, "name": "Other"}).status == 200
    assert loose_kibana.rules["soc", RULE_ID]["name"] == "Trail stopped"
    assert loose_kibana.rules["default", RULE_ID]["name"] == "Other"
    assert call(loose_kibana, "GET", f"/s/soc{RULES}/_find").body["total"] == 1
    assert call(loose_kibana, "POST", f"/s/nowhere{RULES}", RULE).status == 200
    statuses = [call(loose_kibana, "GET", f"/api/spaces/space/{name}").status for name in ("soc", "nowhere")]
    assert statuses == [200, 404]


def test_kibana_fills_in_defaults(kibana_server: Kibana) -> None:
    """A created rule comes back with what Kibana adds to it."""
    created = call(kibana_server, "POST", RULES, RULE).body
    assert created.items() >= RULE.items()
    assert (
        created.items()
        >= {
            "to": "now",
            "from": "now-6m",
            "interval": "5m",
            "max_signals": 100,
            "enabled": True,
            "actions": [],
            "exceptions_list": [],
            "author": [],
            "risk_score_mapping": [],
            "severity_mapping": [],
            "related_integrations": [],
            "output_index": "",
            "setup": "",
            "version": 1,
            "revision": 0,
            "immutable": False,
        }.items()
    )
    assert created["id"] != RULE_ID
    assert kibana_server.rules["default", RULE_ID] == created


def test_kibana_says_which_fields_are_ecs(kibana_server: Kibana) -> None:
    """A required field gets `ecs`, whatever was sent."""
    fields = [{"name": "event.action", "type": "keyword"}, {"name": "aws.cloudtrail.user_agent", "type": "keyword"}]
    created = call(kibana_server, "POST", RULES, {**RULE, "required_fields": fields}).body
    assert [field["ecs"] for field in created["required_fields"]] == [True, False]


@pytest.mark.parametrize("key", ["query", "note"])
def test_trailing_newlines_are_cut(kibana_server: Kibana, key: str) -> None:
    """Query and note lose the newlines at their ends."""
    assert call(kibana_server, "POST", RULES, {**RULE, key: "a\nb\n\n"}).body[key] == "a\nb"


def test_a_known_rule_id_is_not_created_again(kibana_server: Kibana) -> None:
    """Creating a rule twice is a conflict."""
    call(kibana_server, "POST", RULES, RULE)
    again = call(kibana_server, "POST", RULES, RULE)
    assert again == (409, {"message": f'rule_id: "{RULE_ID}" already exists', "status_code": 409})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"severity": "informational"}, "severity"),
        ({"risk_score": 101}, "risk_score"),
        ({"name": ""}, "name"),
        ({"alert_suppression": {"group_by": ["a"], "duration": {"value": 1, "unit": "d"}}}, "unit"),
        ({"threat": [{"framework": "MITRE ATT&CK", "tactic": {"id": "T1", "name": "x", "reference": "y"}}]}, "tactic"),
        ({"rule_id": None}, "rule_id"),
        ({"note": None}, "note"),
    ],
)
def test_a_faulty_rule_is_refused(loose_kibana: Kibana, change: JsonObject, told: str) -> None:
    """What the schema refuses is refused with the place, and told."""
    answer = call(loose_kibana, "POST", RULES, {**RULE, **change})
    assert answer.status == 400
    assert told in answer.body["message"]
    assert loose_kibana.violations == [answer.body["message"]]
    assert loose_kibana.rules == {}


def test_unknown_keys_are_dropped(loose_kibana: Kibana) -> None:
    """Keys that Kibana does not know, or makes itself, are not kept, and told."""
    created = call(loose_kibana, "POST", RULES, {**RULE, "level": "high", "id": "mine"}).body
    assert "level" not in created
    assert created["id"] != "mine"
    assert len(loose_kibana.violations) == 2


@pytest.mark.parametrize(
    ("version", "key", "value", "status"),
    [
        ("8.11.0", "setup", "x", 400),
        ("8.12.0", "setup", "x", 200),
        ("8.5.0", "alert_suppression", {"group_by": ["a"]}, 400),
        ("8.6.0", "alert_suppression", {"group_by": ["a"]}, 200),
        ("8.10.0", "investigation_fields", {"field_names": ["a"]}, 400),
        ("8.11.0", "investigation_fields", {"field_names": ["a"]}, 200),
        ("8.11.0", "required_fields", [], 400),
        ("8.14.0", "required_fields", [{"name": "a", "type": "keyword"}], None),
        ("8.15.0", "required_fields", [{"name": "a", "type": "keyword"}], 200),
        ("8.4.0", "response_actions", [], 400),
        ("8.5.0", "response_actions", [], 200),
    ],
)
def test_versions_know_their_keys(version: str, key: str, value: object, status: int | None) -> None:
    """A key that a version does not know yet is refused up to 8.11, and later dropped (None) and told."""
    with kibana(version=version) as server:
        created = call(server, "POST", RULES, {**RULE, key: value})
        assert created.status == (status or 200)
        if created.status == 200:
            assert (created.body[key] != []) == (status == 200 and value != [])
        assert (server.violations == []) == (status == 200)


def test_versions_know_keys_inside_of_keys() -> None:
    """The strategy for missing fields is dropped before 8.13, the suppression around it stays."""
    suppression = {"group_by": ["a"], "missing_fields_strategy": "suppress"}
    with kibana(version="8.12.0") as server:
        created = call(server, "POST", RULES, {**RULE, "alert_suppression": suppression})
        assert created.body["alert_suppression"] == {"group_by": ["a"]}
        assert len(server.violations) == 1


def test_the_old_kibana_refuses_what_it_does_not_know() -> None:
    """7.17 refuses newer keys, and has neither revision nor preview nor the newer defaults."""
    with kibana(version="7.17.20") as server:
        suppressed = call(server, "POST", RULES, {**RULE, "alert_suppression": {"group_by": ["a"]}})
        assert suppressed.status == 400
        assert "alert_suppression" in suppressed.body["message"]
        created = call(server, "POST", RULES, RULE)
        assert created.status == 200
        assert not {"revision", "setup", "required_fields", "related_integrations"} & set(created.body)
        assert call(server, "POST", f"{RULES}/preview", RULE).status == 404


def test_the_old_kibana_counts_changes_in_the_version() -> None:
    """Where there is no revision, a change raises `version`."""
    with kibana(version="7.17.20") as server:
        server.add(RULE)
        assert call(server, "PATCH", RULES, {"rule_id": RULE_ID, "risk_score": 51}).body["version"] == 2
        assert server.analyst_edits(RULE_ID, note="mine")["version"] == 3


def test_a_rule_is_read_by_rule_id_and_id(kibana_server: Kibana) -> None:
    """Both names find the rule, an unknown one is 404."""
    own = kibana_server.add(RULE)["id"]
    assert call(kibana_server, "GET", f"{RULES}?rule_id={RULE_ID}").body["id"] == own
    assert call(kibana_server, "GET", f"{RULES}?id={own}").body["rule_id"] == RULE_ID
    missing = call(kibana_server, "GET", f"{RULES}?rule_id=nothing")
    assert missing == (404, {"message": 'rule_id: "nothing" not found', "status_code": 404})


def test_a_patch_changes_the_given_keys_only(kibana_server: Kibana) -> None:
    """All that a PATCH leaves out stays as it was."""
    before = kibana_server.add({**RULE, "tags": ["a"], "note": "n"})
    kibana_server.analyst_edits(RULE_ID, exceptions_list=[LIST], enabled=False)
    after = call(kibana_server, "PATCH", RULES, {"rule_id": RULE_ID, "tags": ["b"]}).body
    changed = {"tags": ["b"], "exceptions_list": [LIST], "enabled": False, "revision": 2}
    made_by_the_editor = {"from": "now-360s", "meta": {"from": "25m"}, "timestamp_override_fallback_disabled": False}
    assert after == {**before, **changed, **made_by_the_editor, "updated_at": after["updated_at"]}


def test_a_patch_takes_no_key_away(loose_kibana: Kibana) -> None:
    """Null is refused; a PATCH cannot reset a key."""
    loose_kibana.add({**RULE, "alert_suppression": {"group_by": ["a"]}})
    assert call(loose_kibana, "PATCH", RULES, {"rule_id": RULE_ID, "alert_suppression": None}).status == 400


def test_a_put_resets_what_is_left_out(kibana_server: Kibana) -> None:
    """Actions, exceptions and everything else go back to their defaults; what Kibana made stays."""
    before = kibana_server.add({**RULE, "tags": ["a"], "note": "n", "enabled": False})
    kibana_server.analyst_edits(RULE_ID, exceptions_list=[LIST])
    after = call(kibana_server, "PUT", RULES, RULE).body
    assert (after["tags"], after["exceptions_list"], after["actions"], after["enabled"]) == ([], [], [], True)
    assert "note" not in after
    assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_a_known_rule_is_changed(kibana_server: Kibana, method: str) -> None:
    """Neither PUT nor PATCH makes a rule."""
    assert call(kibana_server, method, RULES, RULE).status == 404
    assert kibana_server.rules == {}


def test_the_revision_rises_with_changes(kibana_server: Kibana) -> None:
    """A change raises the revision; `enabled` alone, or the same again, does not."""
    kibana_server.add(RULE)
    assert call(kibana_server, "PATCH", RULES, {"rule_id": RULE_ID, "risk_score": 51}).body["revision"] == 1
    assert call(kibana_server, "PATCH", RULES, {"rule_id": RULE_ID, "risk_score": 51}).body["revision"] == 1
    assert call(kibana_server, "PATCH", RULES, {"rule_id": RULE_ID, "enabled": False}).body["revision"] == 1
    assert kibana_server.analyst_edits(RULE_ID, note="mine")["revision"] == 2
    assert "note" not in kibana_server.analyst_edits(RULE_ID, note=None)


def test_a_rule_is_deleted(kibana_server: Kibana) -> None:
    """The deleted rule is answered, and gone."""
    kibana_server.add(RULE)
    assert call(kibana_server, "DELETE", f"{RULES}?rule_id={RULE_ID}").body["name"] == "Trail stopped"
    assert call(kibana_server, "DELETE", f"{RULES}?rule_id={RULE_ID}").status == 404
    assert kibana_server.rules == {}


def test_a_missing_exception_list_fails_the_rule(kibana_server: Kibana) -> None:
    """A rule can name a list that exists, and no other."""
    body = {**RULE, "exceptions_list": [LIST]}
    assert call(kibana_server, "POST", RULES, body).status == 400
    kibana_server.exception_lists.add("trusted")
    assert call(kibana_server, "POST", RULES, body).status == 200


def test_find_pages(kibana_server: Kibana) -> None:
    """per_page is respected, the default is 20, and every rule is on one page."""
    for number in range(25):
        kibana_server.add({**RULE, "rule_id": str(number), "name": f"{number:02}"})
    first = call(kibana_server, "GET", f"{RULES}/_find").body
    assert (first["page"], first["perPage"], first["total"], len(first["data"])) == (1, 20, 25, 20)
    order = "sort_field=name&sort_order=desc"
    pages = [call(kibana_server, "GET", f"{RULES}/_find?page={n}&per_page=10&{order}").body["data"] for n in (1, 2, 3)]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [rule["name"] for page in pages for rule in page] == [f"{number:02}" for number in range(24, -1, -1)]


@pytest.mark.parametrize(
    "query", ["page=0", "page=2&per_page=10000", "sort_field=name", "sort_field=nothing&sort_order=asc", "filter=a:b"]
)
def test_find_refuses_what_it_does_not_know(loose_kibana: Kibana, query: str) -> None:
    """Pages, orders and filters that are not understood are refused, never ignored."""
    assert call(loose_kibana, "GET", f"{RULES}/_find?{query}").status == 400
    assert len(loose_kibana.violations) == 1


@pytest.mark.parametrize(
    ("kql", "names"),
    [
        ('alert.attributes.tags:"x y"', ["1", "2"]),
        ('alert.attributes.tags: "x y" AND alert.attributes.name: "2"', ["2"]),
        ('alert.attributes.params.ruleId:"1" or alert.attributes.params.ruleId:"3"', ["1", "3"]),
        ('alert.attributes.tags:"x"', []),
    ],
)
def test_find_filters(kibana_server: Kibana, kql: str, names: list[str]) -> None:
    """A filter on tags, rule_id or name finds what it says."""
    for number, tags in {"1": ["x y"], "2": ["x y", "z"], "3": ["z"]}.items():
        kibana_server.add({**RULE, "rule_id": number, "name": number, "tags": cast(Any, tags)})
    found = HTTP.request("GET", f"{kibana_server.url}{RULES}/_find", fields={"filter": kql}).json()
    assert [rule["name"] for rule in found["data"]] == names


def test_an_import_makes_rules(kibana_server: Kibana) -> None:
    """Rules are made with all defaults, the summary of an export is ignored."""
    answer = imported(kibana_server, RULE, {**RULE, "rule_id": "2"}, {"exported_count": 2})
    assert answer.status == 200
    assert answer.body.items() >= {"success": True, "success_count": 2, "rules_count": 2, "errors": []}.items()
    assert kibana_server.rules["default", RULE_ID]["max_signals"] == 100
    assert kibana_server.requests[-1].parts["file"].filename == "rules.ndjson"


def test_an_import_leaves_known_rules_alone(kibana_server: Kibana) -> None:
    """Without overwrite a known rule is an error inside a 200, and the others are imported."""
    kibana_server.add({**RULE, "name": "Mine"})
    answer = imported(kibana_server, RULE, {**RULE, "rule_id": "2"})
    message = f'rule_id: "{RULE_ID}" already exists'
    assert answer.status == 200
    assert (answer.body["success"], answer.body["success_count"]) == (False, 1)
    assert answer.body["errors"] == [{"rule_id": RULE_ID, "error": {"status_code": 409, "message": message}}]
    assert kibana_server.rules["default", RULE_ID]["name"] == "Mine"


def test_an_overwriting_import_unlinks_exceptions(kibana_server: Kibana) -> None:
    """A line without exceptions_list takes the lists away that an analyst attached."""
    kibana_server.add(RULE)
    kibana_server.analyst_edits(RULE_ID, exceptions_list=[LIST])
    assert imported(kibana_server, RULE, query="?overwrite=true").body["success"]
    assert kibana_server.rules["default", RULE_ID]["exceptions_list"] == []


def test_faulty_lines_are_errors_inside_a_200(loose_kibana: Kibana) -> None:
    """A line that is no JSON has no known id, one against the schema has its own."""
    answer = imported(loose_kibana, "{nonsense", {**RULE, "severity": "worst"}, {**RULE, "rule_id": "2"})
    assert answer.status == 200
    told = [(error["rule_id"], error["error"]["status_code"]) for error in answer.body["errors"]]
    assert told == [("(unknown id)", 400), (RULE_ID, 400)]
    assert set(loose_kibana.rules) == {("default", "2")}


def test_an_import_can_be_told_to_fail_in_part(kibana_server: Kibana) -> None:
    """The named rule fails with status and message, the others are imported."""
    kibana_server.fail("POST", "/_import", {RULE_ID: (403, "not allowed")})
    answer = imported(kibana_server, RULE, {**RULE, "rule_id": "2"})
    assert answer.body["errors"] == [{"rule_id": RULE_ID, "error": {"status_code": 403, "message": "not allowed"}}]
    assert set(kibana_server.rules) == {("default", "2")}


def test_an_import_needs_an_ndjson_file(loose_kibana: Kibana) -> None:
    """Another name, another part or another value of overwrite is refused."""
    assert imported(loose_kibana, RULE, name="rules.json").status == 400
    assert call(loose_kibana, "POST", f"{RULES}/_import", fields={"rules": ("a.ndjson", "{}\n")}).status == 400
    assert imported(loose_kibana, RULE, query="?overwrite=yes").status == 400
    assert loose_kibana.rules == {}


def test_the_old_import_answers_shortly() -> None:
    """7.17 has only success, success_count and errors."""
    with kibana(version="7.17.20") as server:
        assert imported(server, RULE).body == {"success": True, "success_count": 1, "errors": []}


def test_an_export_can_be_imported(kibana_server: Kibana) -> None:
    """The named rules, or all, one a line, and a summary."""
    for rule_id in ("1", "2"):
        kibana_server.add({**RULE, "rule_id": rule_id})
    one = call(kibana_server, "POST", f"{RULES}/_export", {"objects": [{"rule_id": "2"}]}).body
    every = call(kibana_server, "POST", f"{RULES}/_export").body
    ids = [[json.loads(line).get("rule_id") for line in text.splitlines()] for text in (one, every)]
    assert ids == [["2", None], ["1", "2", None]]


def test_a_bulk_action_hits_its_ids(kibana_server: Kibana) -> None:
    """The rules with these ids are changed, a dry run changes none."""
    own = kibana_server.add(RULE)["id"]
    kibana_server.add({**RULE, "rule_id": "2"})
    body = {"action": "delete", "ids": [own]}
    dry = call(kibana_server, "POST", f"{RULES}/_bulk_action?dry_run=true", body).body
    assert dry["attributes"]["summary"] == {"failed": 0, "skipped": 0, "succeeded": 1, "total": 1}
    assert len(kibana_server.rules) == 2
    done = call(kibana_server, "POST", f"{RULES}/_bulk_action", body).body
    assert [rule["rule_id"] for rule in done["attributes"]["results"]["deleted"]] == [RULE_ID]
    assert set(kibana_server.rules) == {("default", "2")}


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"rule_ids": [RULE_ID]}])
def test_a_bulk_action_without_ids_hits_everything(loose_kibana: Kibana, body: dict[str, object]) -> None:
    """No ids, or ids under another key, mean every rule of the space; that is told."""
    for rule_id in ("1", "2"):
        loose_kibana.add({**RULE, "rule_id": rule_id})
    loose_kibana.add(RULE, space="soc")
    assert call(loose_kibana, "POST", f"{RULES}/_bulk_action", {"action": "delete", **body}).status == 200
    assert set(loose_kibana.rules) == {("soc", RULE_ID)}
    assert loose_kibana.violations


def test_a_bulk_action_fails_in_part_with_500(kibana_server: Kibana) -> None:
    """An id that is not there fails, the others are done."""
    own = kibana_server.add(RULE)["id"]
    answer = call(kibana_server, "POST", f"{RULES}/_bulk_action", {"action": "disable", "ids": [own, "gone"]})
    assert answer.status == 500
    assert answer.body["attributes"]["summary"] == {"failed": 1, "skipped": 0, "succeeded": 1, "total": 2}
    assert kibana_server.rules["default", RULE_ID]["enabled"] is False


def test_a_preview_changes_nothing(kibana_server: Kibana) -> None:
    """A rule is tried out without being made, and can be told to fail."""
    body = {**RULE, "invocationCount": 1, "timeframeEnd": "2026-11-20T10:00:00.000Z"}
    good = call(kibana_server, "POST", f"{RULES}/preview", body).body
    assert (good["isAborted"], good["logs"][0]["errors"]) == (False, [])
    kibana_server.fail("POST", "/preview", {"logs": "no such index"})
    kibana_server.fail("POST", "/preview", {"aborted": ""}, skip=1)
    assert call(kibana_server, "POST", f"{RULES}/preview", body).body["logs"][0]["errors"] == ["no such index"]
    assert call(kibana_server, "POST", f"{RULES}/preview", body).body["isAborted"] is True
    assert kibana_server.rules == {}


@pytest.mark.parametrize(
    "change", [{"invocationCount": 0}, {"timeframeEnd": "now"}, {"timeframeEnd": None}, {"severity": "worst"}]
)
def test_a_preview_is_validated(loose_kibana: Kibana, change: dict[str, object]) -> None:
    """A preview needs the number of runs, their end, and a rule that is right."""
    body = {**RULE, "invocationCount": 1, "timeframeEnd": "2026-11-20T10:00:00.000Z", **change}
    assert call(loose_kibana, "POST", f"{RULES}/preview", body).status == 400


# Alerting


def test_a_monitor_is_made_with_ids(alerting_server: Alerting) -> None:
    """Monitor, triggers and actions get ids, and defaults are filled in."""
    action: JsonObject = {"name": "n", "destination_id": "c", "message_template": {"source": "s", "lang": "mustache"}}
    body = {**MONITOR, "triggers": [{"query_level_trigger": {**TRIGGER, "actions": [action]}}]}
    status, answer = call(alerting_server, "POST", MONITORS, body)
    assert status == 201
    assert (answer["_version"], answer["_seq_no"], answer["_primary_term"]) == (1, 0, 1)
    [trigger] = [entry["query_level_trigger"] for entry in answer["monitor"]["triggers"]]
    assert trigger["id"]
    assert trigger["actions"][0]["id"]
    assert trigger["actions"][0]["throttle_enabled"] is False
    assert answer["monitor"]["enabled_time"] is None
    assert answer["monitor"]["ui_metadata"] == {"owner_key": "a"}
    read = call(alerting_server, "GET", f"{MONITORS}/{answer['_id']}", headers=DASHBOARDS).body
    assert read == {**answer, "associated_workflows": []}
    assert alerting_server.monitors == {answer.pop("_id"): answer}


def test_own_data_is_shown_to_dashboards_only(alerting_server: Alerting) -> None:
    """Other clients read monitors without ui_metadata, one by one and by search; the answer to a write has it."""
    monitor_id = alerting_server.add(MONITOR)
    path = f"{MONITORS}/{monitor_id}"
    assert "ui_metadata" not in call(alerting_server, "GET", path).body["monitor"]
    assert call(alerting_server, "GET", path, headers=DASHBOARDS).body["monitor"]["ui_metadata"] == {"owner_key": "a"}
    [hit] = search(alerting_server, {"query": {"match_all": {}}})["hits"]
    assert "ui_metadata" not in hit["_source"]
    written = call(alerting_server, "PUT", f"{path}?if_seq_no=0&if_primary_term=1", MONITOR).body["monitor"]
    assert written["ui_metadata"] == {"owner_key": "a"}


def test_two_triggers_of_one_id_are_refused(loose_alerting: Alerting) -> None:
    """Alerts are told apart by the id of their trigger."""
    twice: JsonObject = {"triggers": [{"query_level_trigger": {"id": "a", **TRIGGER}}] * 2}
    assert call(loose_alerting, "POST", MONITORS, {**MONITOR, **twice}).status == 400


def test_a_bad_cron_is_refused(alerting_server: Alerting) -> None:
    """A cron expression has five parts."""
    schedule: JsonObject = {"cron": {"expression": "nonsense", "timezone": "UTC"}}
    answer = call(alerting_server, "POST", MONITORS, {**MONITOR, "schedule": schedule})
    assert (answer.status, "contains 1 parts" in answer.body["error"]["reason"]) == (400, True)


def document_monitor(index: str) -> JsonObject:
    """Return a document-level monitor."""
    queries: JsonObject = {"indices": [index], "queries": [{"id": "q", "name": "q", "query": "eventName:x"}]}
    return {
        **MONITOR,
        "monitor_type": "doc_level_monitor",
        "inputs": [{"doc_level_input": queries}],
        "triggers": [{"document_level_trigger": TRIGGER}],
    }


def test_document_monitors_take_no_patterns(loose_alerting: Alerting) -> None:
    """A pattern is refused, by a dry run with another status; so is an index that is not there."""
    body = document_monitor("trail-*")
    assert call(loose_alerting, "POST", MONITORS, body).status == 400
    assert call(loose_alerting, "POST", f"{MONITORS}/_execute?dryrun=true", body).status == 500
    loose_alerting.missing = {"trail"}
    assert call(loose_alerting, "POST", MONITORS, document_monitor("trail")).status == 404


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"field": "arn", "missing_bucket": True}, 'Cannot invoke "Object.toString()" because "it" is null'),
        ({"field": "arn"}, None),
    ],
)
def test_a_null_key_ends_the_run_of_a_bucket_monitor(
    loose_alerting: Alerting, source: JsonObject, told: str | None
) -> None:
    """It is as if there were always an event without the field."""
    body = bucket_monitor({"id": "t", **TRIGGER, "condition": CONDITION}, source)
    answer = call(loose_alerting, "POST", f"{MONITORS}/_execute?dryrun=true", body)
    assert (answer.status, answer.body["error"]) == (200, told)


def test_a_bucket_trigger_has_its_id_before_its_condition(loose_alerting: Alerting) -> None:
    """Else a run ends with an error of the trigger."""
    path = f"{MONITORS}/_execute?dryrun=true"
    first, last = {"id": "t", **TRIGGER, "condition": CONDITION}, {**TRIGGER, "condition": CONDITION, "id": "t"}
    errors = [
        call(loose_alerting, "POST", path, bucket_monitor(trigger, {"field": "arn"})).body["trigger_results"]["t"][
            "error"
        ]
        for trigger in (first, last)
    ]
    assert errors == [None, "null cannot be cast to non-null type java.util.HashMap"]


CONDITION: JsonObject = {"parent_bucket_path": "a", "buckets_path": {"_count": "_count"}}


def bucket_monitor(trigger: JsonObject, source: JsonObject) -> JsonObject:
    """Return a bucket-level monitor with one group field."""
    aggregations: JsonObject = {"a": {"composite": {"sources": [{"arn": {"terms": source}}]}}}
    search_body: JsonObject = {"size": 0, "query": {"match_all": {}}, "aggregations": aggregations}
    return {
        **MONITOR,
        "monitor_type": "bucket_level_monitor",
        "inputs": [{"search": {"indices": ["a"], "query": search_body}}],
        "triggers": [{"bucket_level_trigger": trigger}],
    }


def test_keys_are_added_to_what_is_kept(alerting_server: Alerting) -> None:
    """Alerting fills in defaults of a group field and of a document-level input."""
    made = call(
        alerting_server, "POST", MONITORS, bucket_monitor({**TRIGGER, "condition": CONDITION}, {"field": "arn"})
    )
    [source] = made.body["monitor"]["inputs"][0]["search"]["query"]["aggregations"]["a"]["composite"]["sources"]
    assert source == {"arn": {"terms": {"field": "arn", "missing_bucket": False, "order": "asc"}}}
    made = call(alerting_server, "POST", MONITORS, document_monitor("trail"))
    assert made.body["monitor"]["inputs"][0]["doc_level_input"]["fan_out_enabled"] is True


def test_names_are_not_unique(alerting_server: Alerting) -> None:
    """The same body twice makes two monitors."""
    ids = {call(alerting_server, "POST", MONITORS, MONITOR).body["_id"] for _ in range(2)}
    assert set(alerting_server.monitors) == ids
    assert len(ids) == 2


def test_unknown_keys_of_a_monitor_are_dropped(loose_alerting: Alerting) -> None:
    """Keys at the top that Alerting does not know do not survive, and are told."""
    answer = call(loose_alerting, "POST", MONITORS, {**MONITOR, "description": "d", "tags": ["t"]})
    assert answer.status == 201
    assert not {"description", "tags"} & set(answer.body["monitor"])
    assert loose_alerting.violations == ["keys that Alerting drops: ['description', 'tags']"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"monitor_type": "ppl_monitor"}, "monitor_type"),
        ({"schedule": {"period": {"interval": 5, "unit": "WEEKS"}}}, "schedule"),
        ({"inputs": []}, "inputs"),
        ({"triggers": [{"query_level_trigger": TRIGGER}] * 11}, "triggers"),
        ({"triggers": [{"query_level_trigger": {**TRIGGER, "severity": "6"}}]}, "severity"),
        ({"triggers": [{"query_level_trigger": {**TRIGGER, "tags": []}}]}, "tags"),
        ({"name": None}, "name"),
    ],
)
def test_a_faulty_monitor_is_refused(loose_alerting: Alerting, change: JsonObject, told: str) -> None:
    """What the schema refuses is refused with the place, and told."""
    answer = call(loose_alerting, "POST", MONITORS, {**MONITOR, **change})
    assert answer.status == 400
    assert told in answer.body["error"]["reason"]
    assert loose_alerting.violations == [answer.body["error"]["reason"]]
    assert loose_alerting.monitors == {}


def test_an_old_trigger_is_taken(alerting_server: Alerting) -> None:
    """A trigger with its keys at the top comes back in the present form."""
    answer = call(alerting_server, "POST", MONITORS, {**MONITOR, "triggers": [TRIGGER]})
    assert answer.body["monitor"]["triggers"][0]["query_level_trigger"]["name"] == "hit"


def test_the_other_kinds_of_monitors_are_taken(alerting_server: Alerting) -> None:
    """Bucket and document level monitors are kept with the ids and defaults of their parts."""
    condition: JsonObject = {"parent_bucket_path": "a", "buckets_path": {"_count": "_count"}}
    bucket = {
        "monitor_type": "bucket_level_monitor",
        "triggers": [{"bucket_level_trigger": {**TRIGGER, "condition": condition}}],
    }
    made = call(alerting_server, "POST", MONITORS, {**MONITOR, **bucket}).body["monitor"]
    assert made["triggers"][0]["bucket_level_trigger"]["condition"]["gap_policy"] == "skip"
    queries = {"indices": ["a"], "queries": [{"name": "q", "query": "eventName:x"}]}
    document = {
        "monitor_type": "doc_level_monitor",
        "inputs": [{"doc_level_input": queries}],
        "triggers": [{"document_level_trigger": TRIGGER}],
    }
    made = call(alerting_server, "POST", MONITORS, {**MONITOR, **document}).body["monitor"]
    assert made["inputs"][0]["doc_level_input"]["queries"][0].items() >= {"name": "q", "tags": [], "fields": []}.items()


def test_alerting_takes_json_only(loose_alerting: Alerting) -> None:
    """A body under another content type is refused."""
    assert call(loose_alerting, "POST", MONITORS, MONITOR, {"Content-Type": "text/plain"}).status == 406


def test_the_cluster_has_a_limit_of_monitors() -> None:
    """One monitor more than allowed is refused."""
    with alerting(max_monitors=1) as server:
        assert [call(server, "POST", MONITORS, MONITOR).status for _ in range(2)] == [201, 400]
        assert len(server.monitors) == 1


@pytest.mark.parametrize(("version", "status"), [("3.8.0", 200), ("2.11.0", 404)])
def test_there_is_no_index_before_the_first_monitor(version: str, status: int) -> None:
    """A search is empty or, in older versions, 404 until a monitor was made; when it is gone again, it is empty."""
    every: JsonObject = {"query": {"match_all": {}}}
    with alerting(version=version) as server:
        assert call(server, "POST", f"{MONITORS}/_search", every).status == status
        monitor_id = server.add(MONITOR)
        assert "result" not in call(server, "DELETE", f"{MONITORS}/{monitor_id}").body
        assert call(server, "POST", f"{MONITORS}/_search", every).body["hits"]["hits"] == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_monitor_is_404(alerting_server: Alerting, method: str) -> None:
    """No call makes a monitor under an id of its own."""
    alerting_server.add(MONITOR)
    body = MONITOR if method == "PUT" else None
    assert call(alerting_server, method, f"{MONITORS}/nothing", body).status == 404


def test_a_stale_write_is_a_conflict(alerting_server: Alerting) -> None:
    """With the present numbers a monitor is replaced, with older ones it is not."""
    monitor_id = alerting_server.add(MONITOR)
    path = f"{MONITORS}/{monitor_id}?if_seq_no=0&if_primary_term=1"
    first = call(alerting_server, "PUT", path, named("First"))
    assert (first.status, first.body["_seq_no"], first.body["_version"]) == (200, 1, 2)
    second = call(alerting_server, "PUT", path, named("Second"))
    assert (second.status, second.body["error"]["type"]) == (409, "version_conflict_engine_exception")
    assert call(alerting_server, "GET", f"{MONITORS}/{monitor_id}").body["monitor"]["name"] == "First"


def test_an_edit_makes_a_write_stale(alerting_server: Alerting) -> None:
    """What an analyst does raises the sequence number, of this monitor only."""
    monitor_id, other = alerting_server.add(MONITOR), alerting_server.add(MONITOR)
    assert alerting_server.analyst_edits(monitor_id, enabled=True)["enabled_time"]
    numbers = [alerting_server.monitors[name]["_seq_no"] for name in (monitor_id, other)]
    assert numbers == [2, 1]
    assert "ui_metadata" not in alerting_server.analyst_edits(monitor_id, ui_metadata=None)


def test_an_unguarded_write_is_recorded(loose_alerting: Alerting) -> None:
    """A write without numbers passes and is remembered; half of them is refused."""
    monitor_id = loose_alerting.add(MONITOR)
    assert call(loose_alerting, "PUT", f"{MONITORS}/{monitor_id}", named("Unguarded")).status == 200
    assert loose_alerting.unguarded == [monitor_id]
    assert call(loose_alerting, "PUT", f"{MONITORS}/{monitor_id}?if_seq_no=1", MONITOR).status == 400


def test_a_write_replaces_everything(alerting_server: Alerting) -> None:
    """What a PUT leaves out is gone."""
    monitor_id = alerting_server.add(MONITOR)
    body = {key: value for key, value in MONITOR.items() if key not in ("ui_metadata", "enabled")}
    after = call(alerting_server, "PUT", f"{MONITORS}/{monitor_id}?if_seq_no=0&if_primary_term=1", body).body["monitor"]
    assert "ui_metadata" not in after
    assert after["enabled"] is True


def test_a_trigger_without_its_id_loses_its_alerts(alerting_server: Alerting) -> None:
    """With its id a trigger and its open alerts stay; without it both are new or gone."""
    monitor_id = alerting_server.add(MONITOR)
    alert_id = alerting_server.open_alert(monitor_id)
    live = alerting_server.monitors[monitor_id]["monitor"]
    kept = call(alerting_server, "PUT", f"{MONITORS}/{monitor_id}?if_seq_no=0&if_primary_term=1", live).body["monitor"]
    assert kept["triggers"] == cast(JsonObject, live)["triggers"]
    assert [alert["id"] for alert in alerting_server.alerts] == [alert_id]
    call(alerting_server, "PUT", f"{MONITORS}/{monitor_id}?if_seq_no=1&if_primary_term=1", MONITOR)
    assert alerting_server.alerts == []


def test_alerts_are_listed_and_acknowledged(alerting_server: Alerting) -> None:
    """Alerts of a monitor can be listed by state, and acknowledged by id."""
    monitor_id = alerting_server.add(MONITOR)
    alert_id = alerting_server.open_alert(monitor_id)
    done = call(alerting_server, "POST", f"{MONITORS}/{monitor_id}/_acknowledge/alerts", {"alerts": [alert_id, "x"]})
    assert done.body == {"success": [alert_id], "failed": ["x"], "missing": []}
    assert call(alerting_server, "POST", f"{MONITORS}/nothing/_acknowledge/alerts", {"alerts": []}).status == 500
    counts = [
        call(alerting_server, "GET", f"{MONITORS}/alerts?monitorId={monitor_id}&alertState={state}").body["totalAlerts"]
        for state in ("ACTIVE", "ACKNOWLEDGED", "ALL")
    ]
    assert counts == [0, 1, 1]


def search(
    server: Alerting, body: Mapping[str, object], method: str = "POST", headers: Mapping[str, str] | None = None
) -> Any:
    """The hits of a search for monitors."""
    answer = call(server, method, f"{MONITORS}/_search", body, headers)
    assert answer.status == 200, answer.body
    return answer.body["hits"]


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_search_has_two_shapes(wrapped: bool, method: str) -> None:
    """The source of a hit is the monitor, or has it under `monitor`; ui_metadata is in it."""
    with alerting(wrapped=wrapped) as server:
        server.add(MONITOR)
        [hit] = search(server, {"query": {"match_all": {}}}, method, DASHBOARDS)["hits"]
        monitor = hit["_source"]["monitor"] if wrapped else hit["_source"]
        assert monitor["ui_metadata"] == {"owner_key": "a"}


def test_a_search_gives_numbers_when_asked(alerting_server: Alerting) -> None:
    """Sequence number and version of a hit come only when they are asked for."""
    alerting_server.add(MONITOR)
    [hit] = search(alerting_server, {"query": {"match_all": {}}})["hits"]
    assert not {"_seq_no", "_primary_term", "_version"} & set(hit)
    [hit] = search(alerting_server, {"query": {"match_all": {}}, "seq_no_primary_term": True, "version": True})["hits"]
    assert (hit["_seq_no"], hit["_primary_term"], hit["_version"]) == (0, 1, 1)


def test_a_search_pages(alerting_server: Alerting) -> None:
    """Ten monitors are answered unless more are asked for; `from` and `search_after` lead on."""
    for number in range(25):
        alerting_server.add(named(f"{number:02}"))
    every: dict[str, object] = {"query": {"match_all": {}}}
    first = search(alerting_server, every)
    assert (first["total"]["value"], len(first["hits"])) == (25, 10)
    assert len(search(alerting_server, {**every, "from": 20})["hits"]) == 5
    names: list[str] = []
    after: dict[str, object] = {}
    while hits := search(alerting_server, {**every, "sort": ["monitor.name.keyword", "_id"], **after})["hits"]:
        names += [hit["_source"]["name"] for hit in hits]
        after = {"search_after": hits[-1]["sort"]}
    assert names == [f"{number:02}" for number in range(25)]


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"match_all": {}}, "sort": ["monitor.ui_metadata.owner_key"]},
        {"query": {"match_all": {}}, "search_after": ["x"]},
        {"query": {"match_all": {}}, "collapse": {}},
    ],
)
def test_a_search_is_refused_where_it_is_wrong(loose_alerting: Alerting, body: dict[str, object]) -> None:
    """A search by what is not there is refused, and one beyond the window with another status."""
    loose_alerting.add(MONITOR)
    assert len(search(loose_alerting, {})["hits"]) == 1
    assert call(loose_alerting, "POST", f"{MONITORS}/_search", body).status == 400
    assert len(loose_alerting.violations) == 1
    assert call(loose_alerting, "POST", f"{MONITORS}/_search", {"size": 10_001}).status == 500


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"term": {"monitor.name.keyword": {"value": "Trail stopped"}}}, ["Trail stopped"]),
        ({"term": {"monitor.name.keyword": "trail stopped"}}, []),
        ({"term": {"monitor.name": "Trail"}}, []),
        ({"match": {"monitor.name": {"query": "TRAIL"}}}, ["Trail stopped", "Trail made"]),
        ({"match_phrase_prefix": {"monitor.name": "trail st"}}, ["Trail stopped"]),
        ({"match_phrase": {"monitor.name": "trail st"}}, []),
        ({"prefix": {"monitor.name.keyword": "Trail"}}, ["Trail stopped", "Trail made"]),
        ({"wildcard": {"monitor.name.keyword": {"value": "*l [m?de"}}}, []),
        ({"wildcard": {"monitor.name.keyword": {"wildcard": "*l m?de"}}}, ["Trail made"]),
        ({"terms": {"monitor.name.keyword": ["Key gone", "x"]}}, ["Key gone"]),
        ({"term": {"monitor.monitor_type": "doc_level_monitor"}}, []),
        ({"exists": {"field": "monitor"}}, ["Trail stopped", "Trail made", "Key gone"]),
        ({"bool": {"must_not": {"match": {"monitor.name": "trail"}}}}, ["Key gone"]),
        (
            {"bool": {"should": [{"match": {"monitor.name": "made"}}, {"match": {"monitor.name": "gone"}}]}},
            ["Trail made", "Key gone"],
        ),
        (
            {"bool": {"must": [{"match": {"monitor.name": "trail"}}], "filter": [{"match": {"monitor.name": "made"}}]}},
            ["Trail made"],
        ),
    ],
    ids=json.dumps,
)
def test_a_search_finds_by_name_and_type(alerting_server: Alerting, query: JsonObject, names: list[str]) -> None:
    """Name (by word or whole) and type are searchable."""
    for name in ("Trail stopped", "Trail made", "Key gone"):
        alerting_server.add(named(name))
    found = search(alerting_server, {"query": query})["hits"]
    assert [hit["_source"]["name"] for hit in found] == names


def test_own_data_is_not_searchable(loose_alerting: Alerting) -> None:
    """A search by ui_metadata finds nothing, which is told."""
    loose_alerting.add(MONITOR)
    query: JsonObject = {"bool": {"filter": [{"term": {"monitor.ui_metadata.owner_key": "a"}}]}}
    assert search(loose_alerting, {"query": query})["hits"] == []
    assert "monitor.ui_metadata.owner_key" in loose_alerting.violations[0]


def test_a_dry_run_changes_nothing(alerting_server: Alerting) -> None:
    """A monitor is tried out, whether it is stored or not; its result is under the id of its trigger."""
    answer = call(alerting_server, "POST", f"{MONITORS}/_execute?dryrun=true", MONITOR)
    assert answer.status == 200
    assert (answer.body["monitor_name"], answer.body["error"]) == ("Trail stopped", None)
    [result] = answer.body["trigger_results"].values()
    assert (result["name"], result["error"]) == ("hit", None)
    assert alerting_server.monitors == {}
    monitor_id = alerting_server.add(MONITOR)
    assert call(alerting_server, "POST", f"{MONITORS}/{monitor_id}/_execute?dryrun=true").body["monitor_name"]
    assert alerting_server.monitors[monitor_id]["_version"] == 1


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("error", lambda body: body["error"]),
        ("input", lambda body: body["input_results"]["error"]),
        ("trigger", lambda body: next(iter(body["trigger_results"].values()))["error"]),
    ],
)
def test_a_dry_run_fails_inside_a_200(alerting_server: Alerting, place: str, told: Callable[[Any], object]) -> None:
    """The error stands at the top, at the input or at the trigger, once."""
    alerting_server.fail("POST", "/_execute", {place: "broken"})
    path = f"{MONITORS}/_execute?dryrun=true"
    answers = [call(alerting_server, "POST", path, MONITOR) for _ in range(2)]
    assert [(answer.status, told(answer.body)) for answer in answers] == [(200, "broken"), (200, None)]


def test_a_run_in_earnest_is_told(loose_alerting: Alerting) -> None:
    """Executing without dryrun=true is a violation, and a faulty monitor is refused."""
    assert call(loose_alerting, "POST", f"{MONITORS}/_execute", MONITOR).status == 200
    assert len(loose_alerting.violations) == 1
    assert call(loose_alerting, "POST", f"{MONITORS}/_execute?dryrun=true", {"monitor": MONITOR}).status == 400


def test_the_other_reads_answer(alerting_server: Alerting) -> None:
    """Version, statistics and findings can be read."""
    assert call(alerting_server, "GET", "/").body["version"]["distribution"] == "opensearch"
    assert call(alerting_server, "GET", "/_plugins/_alerting/stats").status == 200
    assert call(alerting_server, "GET", "/_plugins/_alerting/findings/_search").body["total_findings"] == 0


# Each pair was read in the search slow log of an OpenSearch 3.8, but for the ranges, which are in the documentation.
STORED: list[tuple[JsonObject, JsonObject]] = [
    ({"term": {"k": "a"}}, {"term": {"k": {"value": "a", "boost": 1.0}}}),
    (
        {"term": {"k": {"value": "a", "case_insensitive": True}}},
        {"term": {"k": {"value": "a", "case_insensitive": True, "boost": 1.0}}},
    ),
    ({"term": {"k": {"value": "a", "case_insensitive": False}}}, {"term": {"k": {"value": "a", "boost": 1.0}}}),
    ({"terms": {"k": ["b", "a"], "boost": 2}}, {"terms": {"k": ["b", "a"], "boost": 2.0}}),
    ({"prefix": {"k": {"value": "a"}}}, {"prefix": {"k": {"value": "a", "boost": 1.0}}}),
    ({"wildcard": {"k": {"value": "a*"}}}, {"wildcard": {"k": {"wildcard": "a*", "boost": 1.0}}}),
    (
        {"regexp": {"k": {"value": "a.*", "flags": "NONE"}}},
        {"regexp": {"k": {"value": "a.*", "flags_value": 0, "max_determinized_states": 10000, "boost": 1.0}}},
    ),
    (
        {"regexp": {"k": "a"}},
        {"regexp": {"k": {"value": "a", "flags_value": 255, "max_determinized_states": 10000, "boost": 1.0}}},
    ),
    (
        {"match_phrase": {"x": {"query": "v"}}},
        {"match_phrase": {"x": {"query": "v", "slop": 0, "zero_terms_query": "NONE", "boost": 1.0}}},
    ),
    ({"exists": {"field": "k"}}, {"exists": {"field": "k", "boost": 1.0}}),
    ({"match_none": {}}, {"match_none": {"boost": 1.0}}),
    ({"ids": {"values": ["b", "a"]}}, {"ids": {"values": ["a", "b"], "boost": 1.0}}),
    (
        {"constant_score": {"filter": {"match_all": {}}}},
        {"constant_score": {"filter": {"match_all": {"boost": 1.0}}, "boost": 1.0}},
    ),
    (
        {"range": {"t": {"gte": "{{period_end}}||-1h", "lt": "{{period_end}}", "format": "epoch_millis"}}},
        {
            "range": {
                "t": {
                    "from": "{{period_end}}||-1h",
                    "to": "{{period_end}}",
                    "include_lower": True,
                    "include_upper": False,
                    "format": "epoch_millis",
                    "boost": 1.0,
                }
            }
        },
    ),
    (
        {"bool": {"filter": {"exists": {"field": "k"}}, "must": [], "_name": "n"}},
        {
            "bool": {
                "filter": [{"exists": {"field": "k", "boost": 1.0}}],
                "adjust_pure_negative": True,
                "boost": 1.0,
                "_name": "n",
            }
        },
    ),
    (
        {"bool": {"should": [{"match_all": {}}], "minimum_should_match": 1}},
        {
            "bool": {
                "should": [{"match_all": {"boost": 1.0}}],
                "adjust_pure_negative": True,
                "minimum_should_match": "1",
                "boost": 1.0,
            }
        },
    ),
]


@pytest.mark.parametrize(("written", "stored"), STORED, ids=lambda query: json.dumps(query)[:60])
def test_a_query_is_kept_as_it_was_understood(written: JsonObject, stored: JsonObject) -> None:
    """A query comes back in long form with its defaults, and stays so when it is written again."""
    assert stored_query(written) == stored
    assert stored_query(stored) == stored


def test_a_search_body_is_kept_as_it_was_understood(alerting_server: Alerting) -> None:
    """Short forms around the query are made long as well, in the monitor that is kept."""
    body: JsonObject = {
        "size": 5,
        "track_total_hits": True,
        "sort": ["t", {"u": "desc"}],
        "_source": ["k"],
        "fields": ["k"],
        "aggs": {"a": {"filters": {"filters": {"x": {"exists": {"field": "f"}}}}}},
        "query": {"match_all": {}},
    }
    stored: JsonObject = {
        "size": 5,
        "track_total_hits": 2147483647,
        "sort": [{"t": {"order": "asc"}}, {"u": {"order": "desc"}}],
        "_source": {"includes": ["k"]},
        "fields": [{"field": "k"}],
        "aggregations": {
            "a": {
                "filters": {
                    "filters": {"x": {"exists": {"field": "f", "boost": 1.0}}},
                    "other_bucket": False,
                    "other_bucket_key": "_other_",
                }
            }
        },
        "query": {"match_all": {"boost": 1.0}},
    }
    monitor: JsonObject = {**MONITOR, "inputs": [{"search": {"indices": ["a"], "query": body}}]}
    answer = call(alerting_server, "POST", MONITORS, monitor).body["monitor"]
    assert answer["inputs"][0]["search"]["query"] == stored
    assert stored_search(stored) == stored


def test_a_query_that_is_not_known_is_refused(alerting_server: Alerting) -> None:
    """A form that nobody measured is not guessed."""
    monitor: JsonObject = {
        **MONITOR,
        "inputs": [{"search": {"indices": ["a"], "query": {"query": {"span_term": {"k": "v"}}}}}],
    }
    assert call(alerting_server, "POST", MONITORS, monitor).status == 400
