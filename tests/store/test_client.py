"""The client of a data store, and the commands that use it, on real engines."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS, Document
from sigma_stellar_aws.store import retries
from sigma_stellar_aws.store.client import API_KEY, PASSWORD, USER, connect
from sigma_stellar_aws.store.load import load_documents
from sigma_stellar_aws.store.mapping import closed_indices, count_each, describe_store
from sigma_stellar_aws.store.scan import StoredEvent, scan
from tests.support import proxy
from tests.support.answering import answering, self_signed
from tests.support.proxy import Fault
from tests.support.records import cases, record
from tests.support.teaching import teach

SAMPLES = Path(__file__).parents[1] / "samples"
QUERY = dsl.term("eventName", "DeleteLogGroup")


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Result:
    """Run the command line."""
    return CliRunner().invoke(main, arguments, env=dict(environment or {}))


def lines(result: Result) -> list[dict[str, Any]]:
    """The alerts of a result, without the places that their events were found in."""
    parsed = [json.loads(line) for line in result.stdout.splitlines()]
    return [{**line, "events": [event["id"] for event in line["events"]]} for line in parsed]


def titles(result: Result) -> list[str]:
    """The titles of the rules of the alerts of a result."""
    return [line["rule"]["title"] for line in lines(result)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses before a request is made again."""
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(retries, "TRIES", 3)


@pytest.fixture(scope="module")
def loaded(engine_url: str) -> Iterator[str]:
    """URL of each engine in turn, the sample files loaded into its index `samples`."""
    first = run("load", str(SAMPLES), "--url", engine_url, "--index", "samples")
    assert first.exit_code == 0, first.output
    assert "416 events loaded into samples, 0 already there" in first.stderr
    yield engine_url
    connect(engine_url, None, {}).indices.delete(index="samples")


def test_loading_again_doubles_no_event(loaded: str) -> None:
    """Events are stored under their eventIDs, so a repeated load finds them there."""
    again = run("load", str(SAMPLES), "--url", loaded, "--index", "samples")
    assert again.exit_code == 0
    assert "0 events loaded into samples, 416 already there" in again.stderr


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--each-event"],
        ["--published"],
        ["--case-sensitive"],
        ["--since", "2026-11-10", "--until", "2026-11-12T06:00:00Z"],
        ["--since", "2026-11-12"],
    ],
    ids=" ".join,
)
def test_files_and_store_give_the_same_lines(loaded: str, options: list[str]) -> None:
    """Both ways tell of the same events in the same words and order."""
    in_files = run("alerts", str(SAMPLES), "--json", *options)
    in_store = run("alerts", "--url", loaded, "--index", "samples", "--json", *options)
    assert (in_files.exit_code, in_store.exit_code) == (0, 0), in_store.output
    assert lines(in_store) == lines(in_files)
    assert len(lines(in_files)) > 10
    places = {event["place"] for line in in_store.stdout.splitlines() for event in json.loads(line)["events"]}
    assert places == {"samples"}


def test_two_fields_are_compared_by_a_script_that_was_allowed(opensearch_url: str, tmp_path: Path) -> None:
    """In files they are compared without a word; a store is asked only with --scripts, and finds the same."""
    rule = tmp_path / "own_password.yml"
    rule.write_text(
        "title: Own password\nlogsource: {product: aws, service: cloudtrail}\n"
        "detection: {s: {userIdentity.accountId|fieldref: recipientAccountId}, condition: s}\n",
        encoding="utf-8",
    )
    assert run("load", str(SAMPLES), "--url", opensearch_url, "--index", "two-fields").exit_code == 0
    asked = ("alerts", "--url", opensearch_url, "--index", "two-fields", "--json", "--rules", str(rule))
    refused = run(*asked)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "--scripts" in refused.stderr
    found = run(*asked, "--scripts")
    in_files = run("alerts", str(SAMPLES), "--json", "--rules", str(rule))
    connect(opensearch_url, None, {}).indices.delete(index="two-fields")
    assert len(lines(in_files)) > 10
    assert lines(found) == lines(in_files)


def test_filters_work_in_a_store(loaded: str) -> None:
    """A Sigma filter takes the same events away in files and store."""
    only = [
        "--json",
        "--filter",
        str(SAMPLES.parent.parent / "sigma_stellar_aws/filters/sigma_filter_aws_successful_calls.yml"),
    ]
    in_files = run("alerts", str(SAMPLES), *only)
    in_store = run("alerts", "--url", loaded, "--index", "samples", *only)
    assert lines(in_store) == lines(in_files)
    assert 10 < len(lines(in_files)) < len(lines(run("alerts", str(SAMPLES), "--json")))


@contextmanager
def filled(url: str, index: str, mappings: JsonObject, documents: Iterable[Document]) -> Iterator[OpenSearch]:
    """An index of these mappings and documents, for a while."""
    client: OpenSearch = connect(url, None, {})
    settings: JsonObject = {"index.mapping.total_fields.limit": 5000}
    client.indices.create(index=index, body={"settings": settings, "mappings": mappings})
    try:
        known = list(documents)
        teach(client, index, cast("list[JsonObject]", known))
        assert load_documents(client, index, known).rejected == 0
        yield client
    finally:
        client.indices.delete(index=index)


@pytest.mark.parametrize(
    "options", [[], ["--case-sensitive"], ["--since", "2026-11-10", "--until", "2026-11-20"]], ids=" ".join
)
def test_default_mapping_finds_what_the_template_finds(engine_url: str, options: list[str]) -> None:
    """On a default-mapped index every rule finds its events with no option given, where no value is cut."""
    documents = [flatten(case.record) for case in cases()]
    short = [document for document in documents if all(len(str(value)) <= 256 for value in document.values())]
    assert len(short) > 150
    with (
        filled(engine_url, "default-mapped", {}, short),
        filled(engine_url, "template-mapped", index_mappings(pack_fields()), short),
    ):
        found, expected = (
            run("alerts", "--url", engine_url, "--index", index, "--json", *options)
            for index in ("default-mapped", "template-mapped")
        )
    assert (found.exit_code, expected.exit_code) == (0, 0), found.output
    assert lines(found) == lines(expected)
    assert len(lines(found)) > 10
    assert "warning" not in found.stderr


def test_values_that_are_cut_are_told(engine_url: str) -> None:
    """On a default-mapped index long values are not found: what is found is right, and that some are cut is told."""
    # Several values of a field, of which one is too long, are only told of by Elasticsearch.
    command: JsonObject = {"containerDefinitions": [{"command": ["curl " + "x" * 300]}]}
    event: JsonObject = {"eventSource": "ecs.amazonaws.com", "eventName": "RegisterTaskDefinition"}
    documents = [flatten(case.record) for case in cases()]
    documents.append(flatten(record({**event, "requestParameters": command})))
    with (
        filled(engine_url, "default-mapped", {}, documents),
        filled(engine_url, "template-mapped", index_mappings(pack_fields()), documents),
    ):
        found, expected = (
            run("alerts", "--url", engine_url, "--index", index, "--json")
            for index in ("default-mapped", "template-mapped")
        )
    assert (found.exit_code, expected.exit_code) == (3, 0), found.output
    assert "values too long to be found, in a field of the rules, in " in found.stderr
    assert ("OpenSearch does not report all such values" in found.stderr) == (
        "in 1 event of default-mapped" in found.stderr
    )
    rows = [json.dumps(line) for line in lines(expected)]
    assert {json.dumps(line) for line in lines(found)} <= set(rows)
    assert 0 < len(lines(found)) <= len(rows)


@pytest.mark.parametrize(
    "options",
    [[], ["--case-sensitive"], ["--since", "2026-11-10", "--until", "2026-11-12", "--time-field", "eventTime"]],
    ids=" ".join,
)
def test_records_as_cloudtrail_writes_them_give_the_same_lines(
    engine_url: str, tmp_path: Path, options: list[str]
) -> None:
    """On a default-mapped index of records that are not flattened, every rule finds what it finds in files."""
    records = [
        case.record for case in cases() if all(len(str(value)) <= 256 for value in flatten(case.record).values())
    ]
    assert len(records) > 150
    file = tmp_path / "records.ndjson"
    file.write_text("\n".join(map(json.dumps, records)))
    client = connect(engine_url, None, {})
    client.indices.create(index="raw", body={"settings": {"index.mapping.total_fields.limit": 5000}})
    try:
        teach(client, "raw", records)
        operations: list[JsonObject] = []
        for each in records:
            operations += [{"index": {"_index": "raw"}}, each]
        assert not client.bulk(body=operations, refresh=True)["errors"]
        found = run("alerts", "--url", engine_url, "--index", "raw", "--json", *options)
    finally:
        client.indices.delete(index="raw")
    in_files = run(
        "alerts", str(file), "--json", *(word for word in options if word not in ("--time-field", "eventTime"))
    )
    assert (found.exit_code, in_files.exit_code) == (0, 0), found.output
    assert lines(found) == lines(in_files)
    assert len(lines(found)) > 10
    assert "warning" not in found.stderr


def test_cut_values_that_a_store_cannot_count_are_a_problem(engine_url: str, tmp_path: Path) -> None:
    """Where nothing tells whether values were cut, the limit is a problem and the exit code is 3."""
    event = flatten(record({"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"}))
    mappings: JsonObject = {"properties": {"userAgent": {"type": "keyword", "ignore_above": 256}}}
    folder = write_rules(tmp_path / "rules", "{userAgent|startswith: aws}", "{userAgent|contains: aws}")
    with filled(engine_url, "limited", mappings, [{**event, "userAgent": "aws-cli/2"}]) as client:
        known = describe_store(client, "limited")["engine"] == "elasticsearch"
        result = run("alerts", "--url", engine_url, "--index", "limited", "--json", "--rules", str(folder))
    assert len(lines(result)) == 2
    assert result.exit_code == (0 if known else 3)
    told = result.stderr.count("; this store does not say whether there are any")
    assert told == (0 if known else 1)


def write_rules(folder: Path, *selections: str) -> Path:
    """A folder of rules, each given by its selection."""
    folder.mkdir()
    for number, selection in enumerate(selections):
        (folder / f"{number}.yml").write_text(
            f"title: Rule {number}\nid: 00000000-0000-4000-8000-00000000000{number}\n"
            "logsource: {product: aws, service: cloudtrail}\n"
            f"detection: {{selection: {selection}, condition: selection}}\n"
        )
    return folder


def test_a_rule_that_the_store_cannot_answer_is_told(engine_url: str, tmp_path: Path) -> None:
    """A rule that the mapping makes impossible is left out with its reason, the others run, and the exit code is 3."""
    event = flatten(record({"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"}))
    mappings: JsonObject = {"properties": {"userAgent": {"type": "text"}, "eventName": {"type": "keyword"}}}
    folder = write_rules(tmp_path / "rules", "{userAgent|contains: curl}", "{eventName: deleteloggroup}")
    with filled(engine_url, "partly", mappings, [event]):
        result = run("alerts", "--url", engine_url, "--index", "partly", "--json", "--rules", str(folder))
        assert result.exit_code == 3
        assert titles(result) == ["Rule 1"]
        assert "warning: this rule is left out: Rule 'Rule 0': field 'userAgent': it is analysed text" in result.stderr
        assert "1 problem, see above" in result.stderr
        none = run("alerts", "--url", engine_url, "--index", "partly", "--json", "--rules", str(folder / "0.yml"))
        assert (none.exit_code, none.stdout) == (1, "")
        assert "field 'userAgent': it is analysed text" in none.stderr


def test_a_query_that_finds_too_much_is_told(engine_url: str, tmp_path: Path) -> None:
    """A condition that is asked of analysed text runs, with a warning that names rule and field."""
    event = flatten(record({"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"}))
    folder = write_rules(tmp_path / "rules", "{eventName: deleteloggroup}")
    with filled(engine_url, "loose", {"properties": {"eventName": {"type": "text"}}}, [event]):
        result = run("alerts", "--url", engine_url, "--index", "loose", "--json", "--rules", str(folder))
    assert result.exit_code == 3
    assert [line["event_names"] for line in lines(result)] == [["logs.amazonaws.com DeleteLogGroup"]]
    assert "warning: Rule 'Rule 0': field 'eventName': it is analysed text" in result.stderr


def test_missing_fields_are_noted(engine_url: str, tmp_path: Path) -> None:
    """Fields of rules that a store does not have are a note with how many rules cannot match; if none can, an error."""
    event = flatten(record({"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"}))
    folder = write_rules(
        tmp_path / "rules", "{eventName: DeleteLogGroup}", "{gone: a}", "[{eventName: DeleteLogGroup}, {lost: b}]"
    )
    with filled(engine_url, "lacking", index_mappings(), [event]):
        result = run("alerts", "--url", engine_url, "--index", "lacking", "--json", "--rules", str(folder))
        assert result.exit_code == 0, result.output
        assert titles(result) == ["Rule 0", "Rule 2"]
        assert "note: lacking has no field gone, lost; 1 of 3 rules cannot match there\n" in result.stderr
        none = run("alerts", "--url", engine_url, "--index", "lacking", "--json", "--rules", str(folder / "1.yml"))
        assert (none.exit_code, none.stdout) == (1, "")
        assert "no rule can match in lacking: it has no field gone" in none.stderr


def test_events_are_counted(engine_url: str) -> None:
    """One search counts all events and those of each query, and knows the time of the newest."""
    documents: list[Document] = [{"eventName": name, "timestamp": 1000 * n} for n, name in enumerate(("A", "B", "B"))]
    with filled(engine_url, "counted", index_mappings(), documents) as client:
        queries = {"a": dsl.term("eventName", "A"), "b 2": dsl.term("eventName", "B"), "": dsl.exists("gone")}
        newest = datetime(1970, 1, 1, 0, 0, 2, tzinfo=timezone.utc)
        assert count_each(client, "counted", queries, "timestamp") == (3, newest, {"a": 1, "b 2": 2, "": 0})
        assert count_each(client, "counted", {}) == (3, None, {})
        assert count_each(client, "counted", {}, "gone") == (3, None, {})
        with pytest.raises(StoreError, match="there is no index 'not-there'"):
            count_each(client, "not-there", {})


@pytest.mark.parametrize("damage", [{"_shards": {"total": 2, "failed": 1}}, {"timed_out": True}], ids=str)
@pytest.mark.usefixtures("quick")
def test_a_count_of_a_part_is_an_error(damage: dict[str, object]) -> None:
    """Events are not counted where a part of the data did not answer."""
    body = {"responses": [{"hits": {"total": {"value": 1}}, **damage}]}
    with answering(200, body) as (url, _), pytest.raises(StoreError, match="not whole"):
        count_each(connect(url, None, {}), "any", {})


@pytest.mark.parametrize("fault", [proxy.shard_failure, proxy.timed_out])
@pytest.mark.usefixtures("quick")
def test_a_count_of_a_part_of_an_engine_is_an_error(engine_url: str, fault: Fault) -> None:
    """Searches that are sent together are not counted where one shard of a real engine did not answer."""
    with (
        filled(engine_url, "counted", index_mappings(), [{"eventName": "A"}]),
        proxy.proxy(engine_url, lambda asked: fault if "_msearch" in asked.path else None) as between,
        pytest.raises(StoreError, match="not whole"),
    ):
        count_each(connect(between.url, None, {}), "counted", {})


@pytest.fixture
def partly_closed(engine_url: str) -> Iterator[OpenSearch]:
    """Each engine in turn, with indices of which two are closed and one was."""
    client = connect(engine_url, None, {})
    for name in ("closed-1", "closed-2", "closed-3", "closed-old"):
        settings = {"number_of_shards": 1, "number_of_replicas": 0}
        client.indices.create(index=name, body={"settings": settings, "aliases": {"any-closed": {}}})
    client.indices.close(index="closed-1,closed-2,closed-old")
    client.indices.open(index="closed-1")
    yield client
    client.indices.delete(index="closed-1,closed-2,closed-3,closed-old")


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("closed-*", ["closed-2", "closed-old"]),
        ("any-cl*", ["closed-2", "closed-old"]),
        ("closed-3,closed-o*", ["closed-old"]),
        ("closed-*,-closed-2", ["closed-old"]),
        ("_all", ["closed-2", "closed-old"]),
        ("closed-3", []),
        ("nothing-*", []),
    ],
)
def test_closed_indices_are_known(partly_closed: OpenSearch, index: str, expected: list[str]) -> None:
    """What a search passes over in silence because it is closed is told, and nothing else."""
    assert closed_indices(partly_closed, index) == expected
    # In silence.
    partly_closed.search(index=index)


def test_a_pattern_of_closed_indices_is_not_taken_for_none(partly_closed: OpenSearch) -> None:
    """Who names closed indices only learns that they are, and not that there are none."""
    with pytest.raises(StoreError, match=r"all that 'closed-o\*' stands for is closed: closed-old; open it"):
        describe_store(partly_closed, "closed-o*")
    with pytest.raises(StoreError, match="there is no index"):
        describe_store(partly_closed, "nothing-*")


def test_a_url_with_a_wrong_path_is_told(engine_url: str) -> None:
    """A path that is not that of the store is not taken for an index that is missing."""
    with pytest.raises(StoreError, match="no OpenSearch or Elasticsearch answers at this URL; check its path"):
        describe_store(connect(f"{engine_url}/es/", None, {}), "any")


def test_closed_indices_are_told(partly_closed: OpenSearch, engine_url: str) -> None:
    """A search of a pattern says which indices it could not look into, and ends with exit code 3."""
    for name in ("closed-1", "closed-3"):
        mappings: JsonObject = {"properties": {field: {"type": "keyword"} for field in pack_fields()}}
        partly_closed.indices.put_mapping(index=name, body=mappings)
    result = run("alerts", "--url", engine_url, "--index", "closed-*", "--json")
    assert result.exit_code == 3
    assert "not searched, since closed: 2 indices, closed-2, closed-old" in result.stderr


@pytest.mark.parametrize("index", ["closed-2", "any-closed", "closed-1,closed-2"])
def test_a_closed_index_that_is_named_is_an_error(partly_closed: OpenSearch, index: str) -> None:
    """An index that is asked for, and is closed, is told with what to do."""
    for search in (
        lambda: count_each(partly_closed, index, {}),
        lambda: list(scan(partly_closed, index, QUERY, (), time_field=None)),
    ):
        with pytest.raises(StoreError, match=f"'{index}': the index 'closed-(2|old)' is closed .* open it"):
            search()


def found_by(url: str, index: str, query: JsonObject = QUERY) -> list[StoredEvent]:
    """All events of a query, in any order."""
    return list(scan(connect(url, None, {}), index, query, EVENT_FIELDS, time_field=None))


def test_rejected_documents_are_told_and_counted(engine_url: str, tmp_path: Path) -> None:
    """A document that the store does not take is named with the reason, and the exit code says so."""
    client = connect(engine_url, None, {})
    mappings = {"properties": {"sourceIPAddress": {"type": "ip"}}}
    client.indices.create(index="strict", body={"mappings": mappings})
    event = {"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"}
    records = [
        record({**event, "sourceIPAddress": address}, number=n) for n, address in enumerate(["192.0.2.1", "odd"])
    ]
    file = tmp_path / "two.json"
    file.write_text(json.dumps({"Records": records}))
    try:
        result = run("load", str(file), "--url", engine_url, "--index", "strict")
        assert result.exit_code == 3
        assert f"event {records[1]['eventID']} was not taken" in result.stderr
        assert "1 event loaded into strict" in result.stderr
    finally:
        client.indices.delete(index="strict")


def test_values_too_long_for_an_index_are_told(engine_url: str, tmp_path: Path) -> None:
    """Loading a value that no search can find is told with its event and field, and in the exit code."""
    event = {"eventSource": "ecs.amazonaws.com", "eventName": "RegisterTaskDefinition"}
    long = record({**event, "requestParameters": {"containerDefinitions": [{"command": ["x" * 20000]}]}})
    file = tmp_path / "long.ndjson"
    file.write_text(json.dumps(long))
    try:
        result = run("load", str(file), "--url", engine_url, "--index", "long")
        assert result.exit_code == 3
        assert (
            f"event {long['eventID']}: requestParameters_containerDefinitions_command is over 10,922" in result.stderr
        )
    finally:
        connect(engine_url, None, {}).indices.delete(index="long")


def test_missing_index_and_time_field_are_told(loaded: str) -> None:
    """An index that is not there is an error, as is a time field that is asked for."""
    no_index = run("alerts", "--url", loaded, "--index", "not-there-*")
    assert (no_index.exit_code, no_index.stdout) == (1, "")
    assert "there is no index 'not-there-*'" in no_index.stderr
    no_time = run("alerts", "--url", loaded, "--index", "samples", "--since", "2026-11-10", "--time-field", "when")
    assert (no_time.exit_code, no_time.stdout) == (1, "")
    assert (
        "the time field 'when' does not exist in samples; name the one of this store: --time-field NAME"
        in no_time.stderr
    )
    no_date = run("alerts", "--url", loaded, "--index", "samples", "--until", "2026-11-10", "--time-field", "eventTime")
    assert (no_date.exit_code, no_date.stdout) == (1, "")
    assert "the time field 'eventTime' is not a date (keyword) in samples" in no_date.stderr
    unused = run("alerts", "--url", loaded, "--index", "samples", "--json", "--time-field", "when")
    assert unused.exit_code == 0


def test_what_is_no_name_of_an_index_is_refused(opensearch_url: str) -> None:
    """Loading into a pattern or a name that no index can have is refused before anything is sent."""
    for name in ("aella-cloudtrail-*", "Upper", "a,b"):
        result = run("load", str(SAMPLES), "--url", opensearch_url, "--index", name)
        assert result.exit_code == 1
        assert f"{name!r} is not a name of an index" in result.stderr


def test_a_store_that_is_not_there_is_told(opensearch_url: str) -> None:
    """No connection is one line for people, not a traceback."""
    assert opensearch_url
    result = run("alerts", "--url", "http://127.0.0.1:9", "--index", "any")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "Traceback" not in result.output


OLD: Mapping[str, object] = {"/": {"version": {"distribution": "opensearch", "number": "2.19.0"}}}
"""What a server says of itself that is asked by scrolls."""


@pytest.mark.parametrize("damage", [{"_shards": {"total": 2, "failed": 1}}, {"timed_out": True}], ids=str)
@pytest.mark.usefixtures("quick")
def test_a_partial_answer_is_an_error(damage: dict[str, object]) -> None:
    """An answer for a part of the data is never taken for the whole, even when it has no hits."""
    with answering(200, {"hits": {"hits": []}, **damage}) as (url, handler):
        handler.bodies = OLD
        with pytest.raises(StoreError, match=r"not whole.*tried 3 times"):
            found_by(url, "any")


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (401, {"type": "security_exception", "reason": "no"}, "SIGMA_STELLAR_AWS_USER"),
        (403, {"type": "security_exception", "reason": "no permissions"}, "not allowed on 'any': no permissions"),
        (403, {"type": "security_exception", "reason": "no"}, "read and view_index_metadata"),
        (400, {"root_cause": [{"type": "x_exception", "reason": "bad query"}], "reason": "all failed"}, "bad query"),
    ],
)
def test_answers_of_a_store_are_told_for_people(status: int, error: dict[str, object], told: str) -> None:
    """What a store refuses is told with its reason and what to do."""
    with answering(status, {"error": error, "status": status}) as (url, _):
        result = run("alerts", "--url", url, "--index", "any")
        assert result.exit_code == 1
        assert told in result.stderr


@pytest.mark.parametrize(
    "hit",
    [
        {"_index": "any", "_source": {}, "matched_queries": []},
        {"_index": "any", "_source": {}},
        {"_index": "any", "_source": None, "matched_queries": ["deleted"]},
        {"_index": [], "_source": {}, "matched_queries": ["deleted"]},
        None,
    ],
    ids=str,
)
def test_a_hit_that_cannot_be_told_is_an_error(hit: object) -> None:
    """A hit without its index, its event or the rules that it matches is never dropped in silence."""
    with answering(200, {"hits": {"hits": [hit]}}) as (url, handler):
        handler.bodies = OLD
        with pytest.raises(StoreError, match="this is not an answer"):
            found_by(url, "any")


@pytest.mark.parametrize("error", ["plain", {"root_cause": [None]}, {"root_cause": "x", "caused_by": "y"}, {}], ids=str)
def test_errors_of_any_shape_are_told(error: object) -> None:
    """Whatever a store says beside a refusal, it becomes one line and no traceback."""
    with answering(400, {"error": error, "status": 400}) as (url, _):
        result = run("alerts", "--url", url, "--index", "any")
    assert result.exit_code == 1
    assert "the store answered" in result.stderr


def test_a_bulk_answer_for_a_part_is_an_error() -> None:
    """Events that the store says nothing of are not taken for loaded."""
    with answering(200, {}) as (url, handler):
        handler.bodies = {"/any/_bulk": {"items": [], "errors": False}}
        client = connect(url, None, {})
        with pytest.raises(StoreError, match="0 of 1 documents"):
            load_documents(client, "any", [flatten(record({"eventSource": "a", "eventName": "B"}))])


@pytest.mark.parametrize("command", ["alerts", "load"])
def test_a_server_that_is_no_store_is_told(command: str, tmp_path: Path) -> None:
    """Answers that are none of a data store are an error for people, whatever asks."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps(record({"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets"})))
    with answering(200, {}) as (url, _):
        files = [str(event)] if command == "load" else []
        result = run(command, *files, "--url", url, "--index", "any")
    assert result.exit_code == 1
    assert "this is not an answer of an OpenSearch or Elasticsearch" in result.stderr


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/any/_mapping", {"any": {"mappings": {"properties": {"f": 5}}}}),
        ("/any/_mapping", {"any": {"mappings": {"properties": {"f": {"type": "keyword", "fields": {"k": None}}}}}}),
        ("/any/_mapping", {"any": {"mappings": {"runtime": {"f": "x"}}}}),
        ("/any/_mapping", {"any": {"mappings": None}}),
        ("/any/_mapping", {"any": 5}),
        ("/any/_mapping", {"any": {"mappings": {"properties": {"f": {"type": "alias"}}}}}),
        ("/any/_mapping", {"any": {"mappings": {"properties": {"f": {"type": "keyword", "ignore_above": "x"}}}}}),
        ("/any/_settings", {"any": {"settings": {}}}),
        ("/any/_settings", {"any": {"settings": {"index": 5}}}),
        ("/any/_settings", {}),
        ("/any/_field_caps", {"fields": {"g": 5}}),
        ("/any/_field_caps", {"fields": {"g": {"keyword": None}}}),
        ("/any/_field_caps", {"fields": []}),
        ("/any/_field_caps", {"fields": None}),
        ("/any/_field_caps", {}),
        ("/", {"version": 5}),
        ("/", {"version": {}}),
    ],
    ids=str,
)
def test_garbage_about_fields_is_told(path: str, answer: JsonObject) -> None:
    """Whatever a server says of its fields, what cannot be understood is an error for people and no traceback."""
    with answering(200, {}) as (url, handler):
        handler.bodies = {
            "/": {"version": {"distribution": "opensearch", "number": "3.8.0"}},
            "/any/_mapping": {"any": {"mappings": {"properties": {"f": {"type": "keyword"}}}}},
            "/any/_settings": {"any": {"settings": {"index": {}}}},
            "/any/_field_caps": {"fields": {"f": {"keyword": {"searchable": True}}}},
            path: answer,
        }
        result = run("profile", "--url", url, "--index", "any")
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_an_index_without_sources_is_told(engine_url: str) -> None:
    """Hits that do not say what event they are of are an error, not empty alerts."""
    client = connect(engine_url, None, {})
    client.indices.create(index="bare", body={"mappings": {"_source": {"enabled": False}}})
    try:
        client.index(index="bare", body={"eventName": "DeleteLogGroup"}, params={"refresh": "true"})
        with pytest.raises(StoreError, match="_source"):
            found_by(engine_url, "bare", dsl.named(dsl.exists("eventName"), "any"))
    finally:
        client.indices.delete(index="bare")


def test_credentials_come_from_the_environment_and_are_never_shown() -> None:
    """Key or user and password are sent as the environment has them; a half set or a URL with them is refused."""
    with answering(404, {"error": "no"}) as (url, handler):
        run("alerts", "--url", url, "--index", "any", environment={USER: "alice", PASSWORD: "s3cret"})
        run("alerts", "--url", url, "--index", "any", environment={API_KEY: "a2V5"})
    assert handler.seen == ["Basic YWxpY2U6czNjcmV0", "ApiKey a2V5"]
    half = run("alerts", "--url", "http://127.0.0.1:9", environment={USER: "alice"})
    assert half.exit_code == 1
    assert PASSWORD in half.stderr
    in_url = run("alerts", "--url", "http://alice:s3cret@127.0.0.1:9")
    assert in_url.exit_code == 2
    assert "s3cret" not in in_url.output
    assert USER in in_url.stderr


def test_certificates_are_verified(tmp_path: Path) -> None:
    """A certificate that nobody trusts is refused, with the option that names its CA, which then works."""
    certificate = self_signed(tmp_path)
    with answering(404, {"error": "no"}, certificate) as (url, _):
        refused = run("alerts", "--url", url, "--index", "any")
        assert refused.exit_code == 1
        assert "--ca-file" in refused.stderr
        trusted = run("alerts", "--url", url, "--index", "any", "--ca-file", str(tmp_path / "ca.pem"))
        assert "no OpenSearch or Elasticsearch answers at this URL" in trusted.stderr
