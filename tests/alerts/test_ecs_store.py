"""The same events raise the same alerts, however a store keeps them: on real engines, compared with files."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from opensearchpy import OpenSearch
from sigma.collection import SigmaCollection

from sigma_stellar_aws.alerts.alert_json import alert_json
from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.alerts.run import AlertOptions, AlertSearch, alerts_of_files
from sigma_stellar_aws.alerts.run_store import alerts_of_store, update_alert_index
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents
from tests.support.ecs_store import ecs_mappings, ingested, nested, traps
from tests.support.records import cases

REFUSED = "AWS ECS Backdoor Task Definition"
EVERYTHING: dict[str, Any] = {
    "title": "Everything",
    "id": "00000000-0000-4000-8000-000000000001",
    "logsource": {"product": "aws", "service": "cloudtrail"},
    "detection": {"selection": {"eventSource|endswith": "amazonaws.com"}, "condition": "selection"},
}
ECS = ("ecs-older", "ecs-newer", "ecs-original")
TIMES = {"flattened": "timestamp", "dotted": "eventTime"}


class Stores(NamedTuple):
    """The same events in an engine, in every way that it may keep them, and in a file."""

    url: str
    client: OpenSearch
    file: Path


def _fill(client: OpenSearch, index: str, mappings: JsonObject, documents: Sequence[JsonObject]) -> None:
    client.indices.create(index=index, body={"mappings": mappings})
    lines: list[JsonObject] = []
    for document in documents:
        lines += [{"index": {}}, document]
    answer = client.bulk(index=index, body=lines, params={"refresh": "true"})
    assert not answer["errors"], answer


@pytest.fixture(scope="module", params=["opensearch", "elasticsearch"])
def stores(request: pytest.FixtureRequest, url_of_engine: Any, tmp_path_factory: Any) -> Iterator[Stores]:
    """Each engine in turn."""
    url = url_of_engine(request.param)
    client = connect(url, None, {})
    records = [*(case.record for case in cases()), *traps()]
    file = tmp_path_factory.mktemp("events") / "events.ndjson"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    create_index(client, "flattened", pack_fields())
    assert not load_documents(client, "flattened", [flatten(record) for record in records]).rejected
    kinds = ("string", "long", "double", "boolean")
    keywords: list[Json] = [{kind: {"match_mapping_type": kind, "mapping": {"type": "keyword"}}} for kind in kinds]
    properties: JsonObject = {"eventTime": {"type": "date"}}
    dotted: JsonObject = {"dynamic_templates": keywords, "date_detection": False, "properties": properties}
    _fill(client, "dotted", dotted, records)
    mappings = ecs_mappings("flattened" if request.param == "elasticsearch" else "flat_object")
    _fill(client, "ecs-older", mappings, [ingested(record, newer=False) for record in records])
    _fill(client, "ecs-newer", mappings, [nested(ingested(record, newer=True)) for record in records])
    originals = [nested(ingested(record, newer=True, keeps_original=True)) for record in records]
    _fill(client, "ecs-original", mappings, originals)
    yield Stores(url, client, file)
    for index in ("flattened", "dotted", *ECS):
        client.indices.delete(index=index)


def rules() -> SigmaCollection:
    """The pack without the rule that the integration's documents do not answer, and one that all events match."""
    pack = load_rules()
    everything = SigmaCollection.from_dicts([EVERYTHING]).rules
    return SigmaCollection([*(rule for rule in pack.rules if rule.title != REFUSED), *everything])


def alerts(search: AlertSearch) -> dict[str, dict[str, Any]]:
    """What alerts say, by their ids, but for where events are kept and the order of those of one second."""
    lists = ("event_names", "accounts", "regions", "actors", "source_addresses")
    found: dict[str, dict[str, Any]] = {}
    for alert in search.alerts:
        told: Any = alert_json(alert)
        # Of the first event, the integration keeps a part; of several in one second, another one may come first.
        assert told.pop("first_event")["matched"]
        del told["actor_names"]
        listed = {name: sorted(getattr(alert, name)) for name in lists}
        found[alert.id] = {**told, **listed, "events": sorted(event for event, _ in alert.sample)}
    return found


@pytest.mark.parametrize("index", ["flattened", "dotted", *ECS])
@pytest.mark.parametrize("each_event", [False, True])
def test_the_same_alerts_everywhere(stores: Stores, index: str, each_event: bool) -> None:
    """Ids, times, numbers, keys, actors, addresses, accounts and regions are those of files."""
    options = AlertOptions(window=timedelta(0)) if each_event else AlertOptions()
    expected = alerts_of_files([stores.file], rules(), options=options)
    found = alerts_of_store(stores.client, index, rules(), time_field=TIMES.get(index), options=options)
    assert (found.problems, found.events) == ([], expected.events)
    told, meant = alerts(found), alerts(expected)
    assert len(told) > 100
    if index == "ecs-newer":
        # The integration moves additionalEventData.UserName to user.name, which nothing there tells apart.
        [sign_in] = [name for name in meant if told[name]["actors"] != meant[name]["actors"]]
        assert "signin.amazonaws.com UserAuthentication" in told[sign_in]["event_names"]
        assert {*told[sign_in].pop("actors")} ^ {*meant[sign_in].pop("actors")} >= {"alice"}
    assert told == meant


@pytest.mark.parametrize(
    ("index", "names", "names_of_others"),
    [
        ("dotted,ecs-newer", "CloudTrail's own names", "the names of Elastic's AWS integration"),
        ("flattened,dotted", "flattened names", "CloudTrail's own names"),
        ("flattened,ecs-older", "flattened names", "the names of Elastic's AWS integration"),
    ],
)
def test_events_under_other_names_are_told(stores: Stores, index: str, names: str, names_of_others: str) -> None:
    """Of a pattern for indices of two kinds, one is searched; the events of the other are counted, by doctor, too."""
    searched, other = index.split(",")
    expected = alerts_of_store(stores.client, searched, rules(), time_field=TIMES[searched]).events
    found = alerts_of_store(stores.client, index, rules(), time_field=TIMES[searched])
    # One rule asks for a name without a dot, which is the same flattened.
    assert found.events == expected * (2 if index == "flattened,dotted" else 1)
    [problem] = [each for each in found.problems if "may miss" in each]
    _, _, rest = problem.partition("rules may miss ")
    events, _, rest = rest.partition(" ")
    assert rest == (
        f"events of {index}, kept under {names_of_others} and searched by {names}, as others are kept; "
        "name indices of one kind at a time"
    )
    # Events of services may be without a type of their caller.
    assert 100 < int(events) <= stores.client.count(index=other)["count"]
    told = CliRunner().invoke(main, ["doctor", "--url", stores.url, "--index", index, "--time-field", TIMES[searched]])
    assert f"problem: {problem}" in told.stdout
    alone = alerts_of_store(stores.client, other, rules(), time_field=TIMES.get(other))
    assert not any("may miss" in each for each in alone.problems)


def test_events_of_other_datasets_raise_nothing(stores: Stores) -> None:
    """In an index for all that Filebeat reads, another dataset has the same names; one of its own is CloudTrail's."""
    [one, *_] = cases()
    ours = [
        ingested(
            {**one.record, "userAgent": "a scanner", "eventID": f"6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f6{number}"},
            newer=True,
        )
        for number in range(3)
    ]
    del ours[1]["event.dataset"]
    ours[2]["event.dataset"] = "our.trail"
    other: JsonObject = {"event.dataset": "nginx.access", "user_agent.original": "a scanner"}
    mappings = stores.client.indices.get_mapping(index="ecs-newer")["ecs-newer"]["mappings"]
    _fill(stores.client, "filebeat", mappings, [*ours, {**other, "@timestamp": ours[0]["@timestamp"]}])
    asked: dict[str, Any] = {"selection": {"userAgent|contains": "SCANNER"}, "condition": "selection"}
    rule = SigmaCollection.from_dicts([{**EVERYTHING, "detection": asked}])
    found = alerts_of_store(stores.client, "filebeat", rule, options=AlertOptions(window=timedelta(0)))
    stores.client.indices.delete(index="filebeat")
    assert (found.events, found.problems) == (3, [])
    assert {event for alert in found.alerts for event, _ in alert.sample} == {each["event.id"] for each in ours}


LOST = {
    *("userIdentity_identityProvider", "userIdentity_credentialId", "userIdentity_onBehalfOf_identityStoreArn"),
    *("sharedEventID", "sessionCredentialFromConsole", "additionalEventData_UserName"),
    *("userIdentity_onBehalfOf_userId", "userIdentity_accountId"),
    # Of resources that are alike, one is left.
    *("resources_ARN", "resources_type"),
}
"""What the integration drops, mixes, or keeps in its newer versions only."""


@pytest.mark.parametrize("index", ECS)
def test_first_events_are_told_as_they_were(stores: Stores, index: str) -> None:
    """An alert tells of its first event what the record says, but for empty texts and what the integration loses."""
    options = AlertOptions(window=timedelta(0))
    meant = {alert.id: alert for alert in alerts_of_files([stores.file], rules(), options=options).alerts}
    for alert in alerts_of_store(stores.client, index, rules(), options=options).alerts:
        told, stated = json.loads(alert.event), json.loads(meant[alert.id].event)
        lost = set() if index == "ecs-original" else LOST
        if lost and told["eventName"] == "UserAuthentication":
            # It may be the name that stood elsewhere.
            lost = lost | {"userIdentity_userName"}
        assert {name: value for name, value in told.items() if name not in lost} == {
            name: value for name, value in stated.items() if name not in lost and (value != "" or not lost)
        }


def test_a_rule_that_cannot_be_asked_is_told(stores: Stores) -> None:
    """Of the pack, the one rule that Elastic's documents do not answer is left out, with the reason."""
    found = alerts_of_store(stores.client, "ecs-newer")
    [problem] = found.problems
    assert REFUSED in problem
    assert "inside an object of the type flattened only whole values" in problem
    assert len(found.rules) == 29


def test_an_index_of_alerts_of_such_a_store(stores: Stores) -> None:
    """Alerts are kept as those of any store, under the ids of files."""
    try:
        update = update_alert_index(stores.client, "ecs-alerts", "ecs-newer", rules())
        expected = alerts_of_files([stores.file], rules())
        assert {alert.id for alert in update.alerts} == {alert.id for alert in expected.alerts}
        again = update_alert_index(stores.client, "ecs-alerts", "ecs-newer", rules())
        assert (again.created, again.updated, again.unchanged) == (0, 0, len(expected.alerts))
    finally:
        stores.client.indices.delete(index="ecs-alerts")


def test_published_queries_are_asked_too(stores: Stores) -> None:
    """The published queries find there what they find in files."""
    options = AlertOptions(published=True)
    found = alerts_of_store(stores.client, "ecs-older", rules(), options=options)
    assert alerts(found) == alerts(alerts_of_files([stores.file], rules(), options=options))


def test_fields_that_are_kept_otherwise_are_told(stores: Stores) -> None:
    """A field that alerts are told apart by, and that the integration mixes or drops, is named with the reason."""
    options = AlertOptions(suppress_by=("userIdentity.accountId", "userIdentity.arn", "userIdentity.identityProvider"))
    found = alerts_of_store(stores.client, "ecs-older", rules(), options=options)
    assert [note[:52] for note in found.notes] == [
        "alerts are told apart by userIdentity.accountId, whi",
        "alerts are told apart by userIdentity.identityProvid",
    ]
    assert all("exact are events that have event.original" in note for note in found.notes)
    with_originals = alerts_of_store(stores.client, "ecs-original", rules(), options=options)
    assert alerts(with_originals) == alerts(alerts_of_files([stores.file], rules(), options=options))


def run(*arguments: str) -> Any:
    """Run the command line on one of the stores."""
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_commands_recognise_such_a_store(stores: Stores, tmp_path: Path) -> None:
    """Nothing has to be said of names and time field; a profile says by which pipeline rules are converted for it."""
    store = ("--url", stores.url, "--index", "ecs-newer")
    result = run("alerts", *store, "--json", "--since", "2020-01-01", "--exclude", REFUSED)
    assert (result.exit_code, result.stderr.splitlines()[:-1]) == (0, [])
    expected = alerts_of_files([stores.file])
    ids = {json.loads(line)["id"] for line in result.stdout.splitlines()}
    assert ids == {alert.id for alert in expected.alerts if alert.rule.title != REFUSED}
    told = json.loads(run("doctor", *store, "--json", "--since", "2020-01-01").stdout)
    verdicts = {rule["title"]: rule["verdict"] for rule in told["rules"]}
    assert told["problems"] == []
    assert verdicts.pop(REFUSED) == "cannot match"
    assert {*verdicts.values()} == {"can match"}
    profile = run("profile", *store, "-o", str(tmp_path / "store.json"))
    assert "Elastic's AWS integration fills ecs-newer; convert rules with -p stellar_aws_ecs" in profile.stderr


@pytest.mark.parametrize("index", ["flattened", "dotted", *ECS])
def test_correlations_count_the_same(stores: Stores, index: str, tmp_path: Path) -> None:
    """What a correlation groups by and counts is read from whatever fields a store keeps it in."""
    correlation: dict[str, Any] = {
        "title": "Many operations",
        "id": "00000000-0000-4000-8000-000000000002",
        "correlation": {
            "type": "value_count",
            "rules": [EVERYTHING["id"]],
            "group-by": ["userIdentity.sessionContext.sessionIssuer.arn"],
            "timespan": "1d",
            "condition": {"gte": 3, "field": "eventName"},
        },
    }

    files = [tmp_path / "everything.yml", tmp_path / "correlation.yml"]
    for file, rule in zip(files, (EVERYTHING, correlation), strict=True):
        file.write_text(json.dumps(rule))
    found = alerts_of_store(stores.client, index, load_rules(*files), time_field=TIMES.get(index))
    expected = alerts_of_files([stores.file], load_rules(*files))
    assert {alert.id for alert in found.alerts} == {alert.id for alert in expected.alerts}
    assert len(found.alerts) > 3
