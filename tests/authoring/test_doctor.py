"""Whether rules can match in real stores, healthy and ill."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.base.json_types import JsonObject, as_object
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import document_id, flatten
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.store.answers import answered_engine
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents
from tests.support.ecs_store import ecs_mappings
from tests.support.records import cases
from tests.support.teaching import teach

RULE = """\
title: {title}
id: 00000000-0000-4000-8000-00000000000{number}
logsource: {{product: aws, service: cloudtrail}}
detection:
    selection: {selection}
    condition: selection
"""
KEYWORD: JsonObject = {"type": "keyword"}
DYNAMIC: JsonObject = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
DATE: JsonObject = {"timestamp": {"type": "date"}}
SOURCE = "iam.amazonaws.com"
COUNTED_VALUES = "type: value_count, group-by: [eventSource], condition: {{gte: 3, field: {}}}"
AGENT = "{eventSource: iam.amazonaws.com, userAgent|contains: curl}"


def recent(document: Mapping[str, Any], minutes: float = 1) -> dict[str, Any]:
    """A document of some minutes ago."""
    return {**document, "timestamp": round((time.time() - 60 * minutes) * 1000)}


def run(*arguments: str | Path) -> Result:
    """Run the command line; an exception that would be a traceback is one."""
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@contextmanager
def index(url: str, name: str, properties: JsonObject, documents: list[dict[str, Any]]) -> Iterator[OpenSearch]:
    """An index of these documents, for a while."""
    client: OpenSearch = connect(url, None, {})
    client.indices.create(index=name, body={"mappings": {"properties": properties}})
    try:
        for document in documents:
            client.index(index=name, body=document)
        client.indices.refresh(index=name)
        yield client
    finally:
        client.indices.delete(index=name)


@pytest.fixture
def rules(tmp_path: Path) -> Any:
    """A function that writes rules, each given by its selection, and returns their folder."""

    def write(*selections: str) -> Path:
        folder = tmp_path / "rules"
        folder.mkdir()
        for number, selection in enumerate(selections):
            text = RULE.format(title=f"Rule {number}", number=number, selection=selection)
            (folder / f"{number}.yml").write_text(text)
        return folder

    return write


@pytest.fixture(scope="module")
def healthy(engine_url: str) -> Iterator[str]:
    """URL of each engine in turn, with recent events of all rules in an index made as `load` makes it."""
    client = connect(engine_url, None, {})
    create_index(client, "healthy", pack_fields())
    documents: list[Document] = [recent(flatten(case.record), 5) for case in cases()]
    assert not load_documents(client, "healthy", documents).rejected
    yield engine_url
    client.indices.delete(index="healthy")


def diagnosis(url: str, name: str, *arguments: str | Path, exit_code: int) -> Any:
    """What `doctor --json` says of an index."""
    result = run("doctor", *arguments, "--url", url, "--index", name, "--json")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def test_a_healthy_store(healthy: str) -> None:
    """Where all events are found, every rule can match, nothing is to be said, and the exit code is 0."""
    found = diagnosis(healthy, "healthy", exit_code=0)
    assert (found["index"], found["healthy"], found["problems"]) == ("healthy", True, [])
    assert found["events"] == len({document_id(flatten(case.record)) for case in cases()})
    assert found["engine"] in ("opensearch", "elasticsearch")
    assert found["newest"].startswith("20")
    assert found["newest"].endswith("+00:00")
    assert len(found["rules"]) == 29
    assert {rule["verdict"] for rule in found["rules"]} == {"can match"}
    assert all(rule["reasons"] == [] for rule in found["rules"])


def test_the_table_tells_the_same(healthy: str) -> None:
    """People see every rule with its verdict, and what the store holds."""
    result = run("doctor", "--url", healthy, "--index", "healthy")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("can match") == 29 + 1
    assert "can match: 29" in result.stdout
    assert "healthy on " in result.stdout
    assert "problem" not in result.stdout


def state(client: OpenSearch, name: str) -> Any:
    """What would show that something was written to an index."""
    stats = client.indices.stats(index=name)["indices"][name]["primaries"]
    written = {key: stats[key] for key in ("docs", "refresh", "flush") if key != "refresh"}
    operations = {key: stats["indexing"][key] for key in ("index_total", "delete_total")}
    settings, mappings = client.indices.get_settings(index=name), client.indices.get_mapping(index=name)
    return written, operations, settings, mappings, sorted(client.indices.get_alias(index="*"))


def test_nothing_is_written(healthy: str) -> None:
    """Documents, mappings, settings and the list of indices are the same after as before."""
    client = connect(healthy, None, {})
    before = state(client, "healthy")
    diagnosis(healthy, "healthy", exit_code=0)
    run("profile", "--url", healthy, "--index", "healthy")
    assert state(client, "healthy") == before


def test_other_rules_and_filters(healthy: str, rules: Any) -> None:
    """Only the named rules are looked at, with the filters that change them."""
    folder = rules("{eventName: CreateUser}", "{eventName: DeleteUser}")
    filter_file = folder.parent / "filter.yaml"
    filter_file.write_text(
        "title: Only\nlogsource: {product: aws, service: cloudtrail}\n"
        "filter: {rules: [00000000-0000-4000-8000-000000000000], s: {noSuchField: a}, condition: s}\n"
    )
    plain = diagnosis(healthy, "healthy", folder, exit_code=0)
    assert [rule["title"] for rule in plain["rules"]] == ["Rule 0", "Rule 1"]
    filtered = diagnosis(healthy, "healthy", folder, "--filter", filter_file, exit_code=3)
    assert [rule["verdict"] for rule in filtered["rules"]] == ["cannot match", "can match"]


def one(url: str, name: str, folder: Path, *arguments: str, exit_code: int) -> Any:
    """What is said of the only rule in a folder, and of the store."""
    found = diagnosis(url, name, folder, *arguments, exit_code=exit_code)
    [rule] = found["rules"]
    return {**rule, "problems": found["problems"], "healthy": found["healthy"]}


def test_a_missing_field(engine_url: str, rules: Any) -> None:
    """A rule that needs a field which the store does not have cannot match, and the likely name is told."""
    with index(engine_url, "ill", {**DATE, "eventName": KEYWORD}, [recent({"eventName": "CreateUser"})]):
        told = one(engine_url, "ill", rules("{eventname: CreateUser}"), exit_code=3)
        assert (told["verdict"], told["healthy"], told["problems"]) == ("cannot match", False, [])
        assert told["reasons"] == ["field 'eventname': ill has no such field; did you mean eventName?"]


@pytest.mark.parametrize(
    ("selection", "verdict"),
    [
        ("[{eventName: CreateUser}, {gone: a}]", "can match"),
        ("{eventName: CreateUser, gone: null}", "can match"),
        ("{eventName: CreateUser, gone|exists: true}", "cannot match"),
    ],
)
def test_a_missing_field_that_is_not_needed(engine_url: str, rules: Any, selection: str, verdict: str) -> None:
    """A rule that can match without the field can match; the field is told all the same."""
    with index(engine_url, "ill", {**DATE, "eventName": KEYWORD}, [recent({"eventName": "CreateUser"})]):
        told = one(engine_url, "ill", rules(selection), exit_code=0 if verdict == "can match" else 3)
        assert told["verdict"] == verdict
        assert told["reasons"] == ["field 'gone': ill has no such field"]


@pytest.mark.parametrize(
    ("selection", "verdict", "reason"),
    [
        ("{eventName: CreateUser}", "may be wrong", "finds values with these words in a row, and may miss some"),
        ("{eventName|startswith: Create}", "cannot match", "which only keeps the words of a value"),
    ],
)
def test_analysed_text_only(engine_url: str, rules: Any, selection: str, verdict: str, reason: str) -> None:
    """Text without an exact sub-field finds too much, or nothing."""
    with index(engine_url, "ill", {**DATE, "eventName": {"type": "text"}}, [recent({"eventName": "CreateUser"})]):
        told = one(engine_url, "ill", rules(selection), exit_code=3)
        assert told["verdict"] == verdict
        [why] = told["reasons"]
        assert why.startswith("field 'eventName': it is analysed text")
        assert reason in why


def test_a_wrong_type(engine_url: str, rules: Any) -> None:
    """A field of a type that cannot hold the value is told with its type."""
    with index(engine_url, "ill", {**DATE, "eventName": {"type": "long"}}, [recent({"eventName": 5})]):
        told = one(engine_url, "ill", rules("{eventName: CreateUser}"), exit_code=3)
        assert told["verdict"] == "cannot match"
        assert "it holds numbers (long)" in told["reasons"][0]


@pytest.mark.parametrize(
    ("mapping", "engines"),
    [
        ({"type": "keyword", "ignore_above": 256}, {"elasticsearch"}),
        (DYNAMIC, {"elasticsearch", "opensearch"}),
    ],
    ids=["keyword", "text"],
)
@pytest.mark.parametrize("long", [0, 2])
def test_truncated_values(engine_url: str, rules: Any, mapping: JsonObject, engines: set[str], long: int) -> None:
    """Values that are too long to be found are counted where the engine shows them, and only those of the rule."""
    documents = [recent({"eventSource": SOURCE, "userAgent": "curl/8", "other": "x" * 300})]
    documents += [recent({"eventSource": SOURCE, "userAgent": "x" * 300})] * long
    properties: JsonObject = {**DATE, "eventSource": KEYWORD, "userAgent": mapping, "other": DYNAMIC}
    with index(engine_url, "ill", properties, documents):
        folder = rules(AGENT)
        found = json.loads(run("doctor", folder, "--url", engine_url, "--index", "ill", "--json").stdout)
        [rule] = found["rules"]
        if long and found["engine"] in engines:
            assert (rule["verdict"], found["healthy"]) == ("may be wrong", False)
            counted = "values too long to be found, in a field of this rule, in 2 events"
            assert counted in rule["reasons"]
        elif found["engine"] not in engines:
            assert (rule["verdict"], found["healthy"]) == ("may be wrong", False)
            assert "this store cannot tell whether there are such values" in rule["reasons"]
        else:
            # Where nothing was cut, the limit is told.
            assert (rule["verdict"], found["healthy"]) == ("can match", True)
            [reason] = rule["reasons"]
            assert reason.startswith("field 'userAgent': values over 256 characters are not indexed")


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({}, "the time field 'timestamp' does not exist in ill; name the one of this store: --time-field NAME"),
        ({"timestamp": KEYWORD}, "the time field 'timestamp' is not a date (keyword) in ill"),
    ],
    ids=["missing", "keyword"],
)
def test_no_time_field(engine_url: str, rules: Any, properties: JsonObject, told: str) -> None:
    """A store whose time field is missing or no date is ill, whatever its rules."""
    document = {"eventSource": SOURCE, "received": recent({})["timestamp"]}
    known: JsonObject = {**properties, "eventSource": KEYWORD, "received": {"type": "date"}}
    with index(engine_url, "ill", known, [document]):
        folder = rules("{eventSource: iam.amazonaws.com}")
        rule = one(engine_url, "ill", folder, exit_code=3)
        assert rule["verdict"] == "can match"
        [problem] = rule["problems"]
        assert problem.startswith(told)
        assert one(engine_url, "ill", folder, "--time-field", "received", exit_code=0)["problems"] == []


@pytest.mark.parametrize("kind", ["date", "date_nanos", "long"])
def test_no_recent_data(engine_url: str, rules: Any, kind: str) -> None:
    """A store whose newest event is older than it should be is ill; --since says how old it may be."""
    properties: JsonObject = {"timestamp": {"type": kind}, "eventSource": KEYWORD}
    documents = [recent({"eventSource": SOURCE}, minutes) for minutes in (60 * 47, 60 * 49)]
    with index(engine_url, "ill", properties, documents):
        folder = rules("{eventSource: iam.amazonaws.com}")
        rule = one(engine_url, "ill", folder, exit_code=3)
        assert rule["verdict"] == "can match"
        [problem] = rule["problems"]
        assert problem.startswith("no event since ")
        assert "the newest is from " in problem
        assert one(engine_url, "ill", folder, "--since", "48h", exit_code=0)["problems"] == []
        assert one(engine_url, "ill", folder, "--since", "46h", exit_code=3)["problems"] != []


def test_data_of_the_future(engine_url: str, rules: Any) -> None:
    """Events from long after now show that the clock or the time field is wrong; clocks may differ a little."""
    folder = rules("{eventSource: iam.amazonaws.com}")
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, [recent({"eventSource": SOURCE}, -3)]):
        assert one(engine_url, "ill", folder, exit_code=0)["problems"] == []
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, [recent({"eventSource": SOURCE}, -60 * 24)]):
        rule = one(engine_url, "ill", folder, exit_code=3)
        assert "which is still to come" in rule["problems"][0]


@pytest.mark.parametrize("kind", ["date", "long"])
def test_a_time_beyond_all_calendars(engine_url: str, rules: Any, kind: str) -> None:
    """A number that no date can hold is a problem of the store, and no traceback."""
    document = {"eventSource": SOURCE, "timestamp": 9999999999999999}
    with index(engine_url, "ill", {"timestamp": {"type": kind}, "eventSource": KEYWORD}, [document]):
        rule = one(engine_url, "ill", rules("{eventSource: iam.amazonaws.com}"), exit_code=3)
        [problem] = rule["problems"]
        assert problem.startswith("the newest event is from 9999-12-31")


def test_rules_of_one_id_are_told_apart(engine_url: str, rules: Any) -> None:
    """What is counted for a rule is not told of another that has the same id."""
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, [recent({"eventSource": SOURCE})]):
        folder = rules("{eventSource: ssm.amazonaws.com}", "{eventSource: iam.amazonaws.com}")
        second = folder / "1.yml"
        second.write_text(second.read_text().replace("000000000001", "000000000000"))
        found = diagnosis(engine_url, "ill", folder, exit_code=0)
        assert [(rule["title"], rule["verdict"]) for rule in found["rules"]] == [
            ("Rule 0", "no events"),
            ("Rule 1", "can match"),
        ]


def test_a_reason_is_told_once(engine_url: str, rules: Any) -> None:
    """However often a rule tests a field, what is wrong with it is one reason."""
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, [recent({"eventSource": SOURCE})]):
        folder = rules("[{eventSource: iam.amazonaws.com}, {gone: a}, {gone|contains: b}]")
        told = one(engine_url, "ill", folder, exit_code=0)
        assert told["reasons"] == ["field 'gone': ill has no such field"]


def test_a_query_that_the_server_refuses(engine_url: str, rules: Any) -> None:
    """A regular expression that is too much for the server is a rule that cannot match, with the server's reason."""
    with index(engine_url, "ill", {**DATE, "eventName": KEYWORD}, [recent({"eventName": "CreateUser"})]):
        # Repetitions below those that the query asks more states for, so that the servers refuse it at once.
        folder = rules("{eventName|re: '(a|b).{0,9}(c|d).{0,9}(e|f).{0,9}g'}", "{eventName: CreateUser}")
        found = diagnosis(engine_url, "ill", folder, exit_code=3)
        assert [rule["verdict"] for rule in found["rules"]] == ["cannot match", "can match"]
        assert "Determinizing" in found["rules"][0]["reasons"][0]


def test_records_as_cloudtrail_writes_them(engine_url: str) -> None:
    """A store of records that are not flattened is seen as such, and rules can match there."""
    client = connect(engine_url, None, {})
    settings: JsonObject = {"index.mapping.total_fields.limit": 5000}
    client.indices.create(index="raw", body={"settings": settings})
    try:
        records = [
            case.record for case in cases() if all(len(str(value)) <= 256 for value in flatten(case.record).values())
        ]
        teach(client, "raw", records)
        lines: list[Any] = []
        for record in records:
            lines += [{"index": {"_index": "raw"}}, record]
        assert not client.bulk(body=lines, refresh=True)["errors"]
        found = diagnosis(engine_url, "raw", "--time-field", "eventTime", "--since", "2026-11-01", exit_code=0)
        assert found["problems"] == []
        assert {rule["verdict"] for rule in found["rules"]} == {"can match"}
        assert not any("no such field" in reason for rule in found["rules"] for reason in rule["reasons"])
    finally:
        client.indices.delete(index="raw")


def test_events_without_a_time(engine_url: str, rules: Any) -> None:
    """A time field without a value in any event is told."""
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, [{"eventSource": SOURCE}]):
        rule = one(engine_url, "ill", rules("{eventSource: iam.amazonaws.com}"), exit_code=3)
        assert rule["problems"] == ["no event has a time in 'timestamp'"]


def test_an_empty_index(engine_url: str, rules: Any) -> None:
    """An index without events is ill, and nothing else is said of its data."""
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, []):
        found = diagnosis(engine_url, "ill", rules("{eventSource: iam.amazonaws.com}"), exit_code=3)
        assert (found["events"], found["newest"]) == (0, None)
        assert found["problems"] == ["ill holds no events"]


def test_a_service_that_nobody_uses_is_no_illness(engine_url: str, rules: Any) -> None:
    """A rule about a service of which there is no event is told, and the store is healthy."""
    documents = [recent({"eventSource": source, "eventName": "CreateUser"}) for source in (SOURCE, "s3.amazonaws.com")]
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD, "eventName": KEYWORD}, documents):
        folder = rules(
            "{eventSource: iam.amazonaws.com, eventName: NeverSeen}",
            "{eventSource: ssm.amazonaws.com, eventName: CreateUser}",
            "{eventSource: [ssm.amazonaws.com, s3.amazonaws.com], eventName: CreateUser}",
            "{eventName: CreateUser}",
        )
        found = diagnosis(engine_url, "ill", folder, exit_code=0)
        assert found["healthy"] is True
        assert [(rule["verdict"], rule["reasons"]) for rule in found["rules"]] == [
            ("can match", []),
            ("no events", ["no event of its service was ever seen"]),
            ("can match", []),
            ("can match", []),
        ]


def test_the_service_of_a_dynamic_index(engine_url: str, rules: Any) -> None:
    """The service is asked of the sub-field that the rule uses."""
    with index(engine_url, "ill", {**DATE, "eventSource": DYNAMIC}, [recent({"eventSource": SOURCE})]):
        folder = rules("{eventSource: iam.amazonaws.com}", "{eventSource: ssm.amazonaws.com}")
        found = diagnosis(engine_url, "ill", folder, exit_code=0)
        assert [rule["verdict"] for rule in found["rules"]] == ["can match", "no events"]


def test_a_rule_that_cannot_be_converted(engine_url: str, rules: Any) -> None:
    """A condition that no store can answer is told beside the other rules."""
    with index(
        engine_url, "ill", {**DATE, "eventSource": KEYWORD, "eventName": KEYWORD}, [recent({"eventSource": "a"})]
    ):
        folder = rules("{eventName|fieldref: eventSource}", "{eventSource: a}")
        found = diagnosis(engine_url, "ill", folder, exit_code=3)
        assert [rule["verdict"] for rule in found["rules"]] == ["cannot match", "can match"]
        assert found["rules"][0]["reasons"][0].startswith("field 'eventName': two fields can only be compared")


def test_a_correlation_is_told(engine_url: str, rules: Any) -> None:
    """A correlation can match where what it counts can; one that is refused cannot, with the reason."""
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, [recent({"eventSource": SOURCE})]):
        folder = rules("{eventSource: iam.amazonaws.com}")
        base = folder / "0.yml"
        base.write_text(
            base.read_text() + "---\ntitle: Many\ncorrelation: {type: event_count, rules: "
            "[00000000-0000-4000-8000-000000000000], group-by: [eventSource], timespan: 5m, condition: {gte: 3}}\n"
        )
        many = base.read_text().partition("---\n")[2]
        (folder / "few.yml").write_text(many.replace("Many", "Few").replace("gte", "lt"))
        found = diagnosis(engine_url, "ill", folder, exit_code=3)
        verdicts = {rule["title"]: (rule["verdict"], rule["reasons"]) for rule in found["rules"]}
        assert verdicts["Many"] == ("can match", [])
        assert verdicts["Few"][0] == "cannot match"
        assert verdicts["Few"][1][0].startswith("lt is not supported: ")


@pytest.mark.parametrize(
    ("block", "verdict"),
    [
        ("{type: temporal, group-by: [eventSource], condition: a and b}", "cannot match"),
        ("{type: temporal_ordered, rules: [a, b], group-by: [eventSource]}", "cannot match"),
        ("{type: temporal, group-by: [eventSource], condition: a or b}", "can match"),
        ("{type: event_count, rules: [a, b], group-by: [eventSource], condition: {gte: 3}}", "can match"),
        ("{type: event_count, rules: [a], group-by: [eventName], condition: {gte: 3}}", "may be wrong"),
        ("{type: value_count, rules: [a], condition: {gte: 3, field: eventName}}", "may be wrong"),
        ("{type: event_count, rules: [b], group-by: [eventName], condition: {gte: 3}}", "cannot match"),
    ],
)
def test_a_correlation_can_be_complete_where_enough_of_it_can_match(
    engine_url: str, rules: Any, block: str, verdict: str
) -> None:
    """Of the rules a and b, whose field no event has, and by fields that events have."""
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, [recent({"eventSource": SOURCE})]):
        folder = rules("{eventSource: iam.amazonaws.com}", "{errorCode: AccessDenied}")
        for name, file in (("a", folder / "0.yml"), ("b", folder / "1.yml")):
            file.write_text(f"{file.read_text()}\nname: {name}\n")
        (folder / "both.yml").write_text(f"title: Both\ncorrelation: {block[:-1]}, timespan: 5m}}\n")
        found = diagnosis(engine_url, "ill", folder, exit_code=3)
        both = next(rule for rule in found["rules"] if rule["title"] == "Both")
        field = "eventName" if verdict == "may be wrong" else "errorCode"
        assert (both["verdict"], f"field '{field}': " in str(both["reasons"])) == (verdict, True)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("awsRegion", ""),
        ("requestParameters.bucketName", ""),
        ("tlsDetails.cipherSuite", "field 'tls.cipher': ill has no such field, and events without it take no part"),
        ("userIdentity.accountId", "field 'userIdentity.accountId': its place"),
        ("vpcEndpointAccountId", "field 'vpcEndpointAccountId': Elastic's AWS integration drops it; exact are events"),
    ],
)
@pytest.mark.parametrize("block", ["type: event_count, group-by: [{}], condition: {{gte: 3}}", COUNTED_VALUES])
def test_what_a_correlation_groups_and_counts_by_where_elastic_fills_the_store(
    engine_url: str, rules: Any, field: str, reason: str, block: str
) -> None:
    """A field that is not mapped, that is dropped, or that holds another value is named, by the name that it has."""
    client = connect(engine_url, None, {})
    mappings = ecs_mappings("flattened" if answered_engine(client)[0] == "elasticsearch" else "flat_object")
    properties = as_object(mappings["properties"])
    del properties["tls.cipher"]
    event = {
        "@timestamp": round(time.time() * 1000),
        "event.provider": SOURCE,
        "aws.cloudtrail.event_type": "AwsApiCall",
    }
    with index(engine_url, "ill", properties, [event]):
        folder = rules("{eventSource: iam.amazonaws.com}")
        (folder / "many.yml").write_text(
            "title: Many\ncorrelation: {rules: [00000000-0000-4000-8000-000000000000], timespan: 5m, "
            f"{block.format(field)}}}\n"
        )
        found = diagnosis(engine_url, "ill", folder, exit_code=3 if reason else 0)
    many = next(rule for rule in found["rules"] if rule["title"] == "Many")
    assert many["verdict"] == ("may be wrong" if reason else "can match")
    assert [told[: len(reason)] for told in many["reasons"]] == ([reason] if reason else [])


def test_a_time_field_that_differs_between_indices(engine_url: str, rules: Any) -> None:
    """Indices that disagree about the time field are diagnosed, not an error."""
    document = recent({"eventSource": SOURCE})
    with (
        index(engine_url, "ill-1", {**DATE, "eventSource": KEYWORD}, [document]),
        index(engine_url, "ill-2", {"timestamp": KEYWORD, "eventSource": KEYWORD}, [document]),
    ):
        rule = one(engine_url, "ill-*", rules("{eventSource: iam.amazonaws.com}"), exit_code=3)
        assert "is not a date (date, keyword)" in rule["problems"][0]


def test_the_table_of_an_ill_store(engine_url: str, rules: Any) -> None:
    """Reasons and problems are in the table, and nothing in names or rules steers the terminal."""
    with index(engine_url, "ill", {"eventName": {"type": "text"}}, [{"eventName": "CreateUser"}]):
        folder = rules("{eventName: CreateUser}", '{"gone\\e[31m": a}')
        result = run("doctor", folder, "--url", engine_url, "--index", "ill")
        assert result.exit_code == 3
        assert "may be wrong: 1, cannot match: 1" in result.stdout
        assert "problem: the time field 'timestamp' does not exist" in result.stdout
        assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [("not-there", "there is no index 'not-there'"), ("other:logs", "'other:logs' is in another cluster")],
)
def test_what_cannot_be_looked_at_is_an_error(engine_url: str, name: str, told: str) -> None:
    """No index, and an index of elsewhere, are errors with exit code 1, not a diagnosis."""
    result = run("doctor", "--url", engine_url, "--index", name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr


def test_a_broken_rule_is_an_error(engine_url: str, rules: Any) -> None:
    """A file that is not a rule is an error with its name; one that cannot be converted is reported."""
    with index(engine_url, "ill", {**DATE, "eventSource": KEYWORD}, [recent({"eventSource": SOURCE})]):
        folder = rules("{eventSource: iam.amazonaws.com}", "{eventSource: iam.amazonaws.com}")
        odd = folder / "1.yml"
        odd.write_text(odd.read_text().replace("eventSource: iam.amazonaws.com", "eventSource|re: 'x(?=y)'"))
        found = diagnosis(engine_url, "ill", folder, exit_code=3)
        assert [rule["verdict"] for rule in found["rules"]] == ["can match", "cannot match"]
        assert "the regular expression 'x(?=y)'" in found["rules"][1]["reasons"][0]
        odd.write_text("title: [broken")
        broken = run("doctor", folder, "--url", engine_url, "--index", "ill")
        assert broken.exit_code == 3
        assert str(odd) in broken.stdout.replace("\n", "")


def test_no_connection_is_an_error() -> None:
    """A store that is not there is one line and exit code 1."""
    result = run("doctor", "--url", "http://127.0.0.1:9", "--index", "any")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot be reached" in result.stderr
