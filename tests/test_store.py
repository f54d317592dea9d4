"""The client of a data store, and the commands that use it, on real engines."""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from sigma_stellar_aws import dsl, store
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.errors import StoreError
from sigma_stellar_aws.flatten import flatten
from sigma_stellar_aws.index_template import EVENT_FIELDS
from tests.records import cases, record

SAMPLES = Path(__file__).parent / "samples"
QUERY = dsl.term("eventName", "DeleteLogGroup")


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Result:
    """Run the command line."""
    return CliRunner().invoke(main, arguments, env=dict(environment or {}))


def lines(result: Result) -> list[dict[str, object]]:
    """The JSON lines of a result, without the place that an event was found in."""
    parsed = [json.loads(line) for line in result.stdout.splitlines()]
    return [{key: value for key, value in line.items() if key not in ("file", "index")} for line in parsed]


@pytest.fixture(scope="module")
def loaded(engine_url: str) -> Iterator[str]:
    """URL of each engine in turn, the sample files loaded into its index `samples`."""
    first = run("load", str(SAMPLES), "--url", engine_url, "--index", "samples")
    assert first.exit_code == 0, first.output
    assert "415 events loaded into samples, 0 were there already" in first.stderr
    yield engine_url
    store.connect(engine_url, None, {}).indices.delete(index="samples")


def test_loading_again_doubles_no_event(loaded: str) -> None:
    """Events are stored under their eventIDs, so a repeated load finds them there."""
    again = run("load", str(SAMPLES), "--url", loaded, "--index", "samples")
    assert again.exit_code == 0
    assert "0 events loaded into samples, 415 were there already" in again.stderr


@pytest.mark.parametrize(
    "options",
    [
        [],
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
    assert {json.loads(line)["index"] for line in in_store.stdout.splitlines()} == {"samples"}


def test_filters_work_in_a_store(loaded: str) -> None:
    """A Sigma filter takes the same events away in files and store."""
    only = ["--json", "--filter", str(SAMPLES.parent.parent / "rules/filters/sigma_filter_aws_successful_calls.yaml")]
    in_files = run("alerts", str(SAMPLES), *only)
    in_store = run("alerts", "--url", loaded, "--index", "samples", *only)
    assert lines(in_store) == lines(in_files)
    assert {line["errorCode"] for line in lines(in_files)} == {""}


def test_default_mapping_is_refused_until_the_suffix_is_named(engine_url: str) -> None:
    """Where fields are analysed text, a search that could find nothing is an error; with the suffix it is right."""
    client = store.connect(engine_url, None, {})
    client.indices.create(index="dynamic", body={"settings": {"index.mapping.total_fields.limit": 5000}})
    try:
        store.load(client, "dynamic", [flatten(case.record) for case in cases()])
        arguments = ["alerts", "--url", engine_url, "--index", "dynamic", "--json"]
        refused = run(*arguments)
        assert refused.exit_code == 1
        assert "eventName" in refused.stderr
        assert "--keyword-suffix .keyword" in refused.stderr
        found = lines(run(*arguments, "--keyword-suffix", ".keyword"))
        rules = {str(line["rule_title"]) for line in found}
        assert rules == {case.rule for case in cases()}
    finally:
        client.indices.delete(index="dynamic")


def test_scan_reads_every_page(engine_url: str) -> None:
    """More hits than a page, and more than the 10,000 that a search returns at most, are all there."""
    client = store.connect(engine_url, None, {})
    event = {"eventSource": "logs.amazonaws.com", "eventName": "DeleteLogGroup"}
    document = flatten(record(event))
    store.create_index(client, "many", [])
    try:
        outcome = store.load(client, "many", ({**document, "eventID": f"id-{n}"} for n in range(10500)))
        assert outcome == (10500, 0, [])
        hits = list(store.scan(client, "many", dsl.named(QUERY, "deleted"), EVENT_FIELDS))
        assert {hit.source["eventID"] for hit in hits} == {f"id-{n}" for n in range(10500)}
        assert all(hit.matched_queries == ["deleted"] and hit.place == "many" for hit in hits)
    finally:
        client.indices.delete(index="many")


def test_rejected_documents_are_told_and_counted(engine_url: str, tmp_path: Path) -> None:
    """A document that the store does not take is named with the reason, and the exit code says so."""
    client = store.connect(engine_url, None, {})
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
        assert "1 events loaded into strict" in result.stderr
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
        store.connect(engine_url, None, {}).indices.delete(index="long")


def test_missing_index_and_field_are_told(loaded: str) -> None:
    """An index that is not there is an error, as is a time field; a field of a rule that is missing is a note."""
    no_index = run("alerts", "--url", loaded, "--index", "not-there-*")
    assert (no_index.exit_code, no_index.stdout) == (1, "")
    assert "there is no index 'not-there-*'" in no_index.stderr
    no_time = run("alerts", "--url", loaded, "--index", "samples", "--since", "2026-11-10", "--time-field", "when")
    assert no_time.exit_code == 1
    assert "no field 'when'" in no_time.stderr
    client = store.connect(loaded, None, {})
    either = dsl.any_of([dsl.exists("noSuchField"), dsl.exists("eventName")])
    assert store.check_fields(client, "samples", either, None) == ["noSuchField"]
    with pytest.raises(StoreError, match="no rule can match in 'samples': it has no field noSuchField"):
        store.check_fields(client, "samples", dsl.all_of([dsl.exists("noSuchField"), QUERY]), None)
    suffix = run("alerts", "--url", loaded, "--index", "samples", "--keyword-suffix", ".raw")
    assert suffix.exit_code == 1
    assert "no rule can match" in suffix.stderr


def test_what_is_no_name_of_an_index_is_refused(opensearch_url: str) -> None:
    """Loading into a pattern or a name that no index can have is refused before anything is sent."""
    for name in ("aella-cloudtrail-*", "Upper", "a,b"):
        result = run("load", str(SAMPLES), "--url", opensearch_url, "--index", name)
        assert result.exit_code == 1
        assert f"{name!r} is no name of an index" in result.stderr


def test_a_store_that_is_not_there_is_told(opensearch_url: str) -> None:
    """No connection is one line for people, not a traceback."""
    assert opensearch_url
    result = run("alerts", "--url", "http://127.0.0.1:9", "--index", "any")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "Traceback" not in result.output


class _Answers(BaseHTTPRequestHandler):
    """A store that answers every request alike, and remembers who it was asked by."""

    status = 200
    body: Mapping[str, object]
    seen: list[str | None]

    def do_POST(self) -> None:
        self.seen.append(self.headers["Authorization"])
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = json.dumps(self.body).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_DELETE = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@contextmanager
def answering(
    status: int, body: Mapping[str, object], certificate: Path | None = None
) -> Iterator[tuple[str, type[_Answers]]]:
    """A server on loopback that answers as told, over TLS if it has a certificate (PEM with its key)."""
    handler = type("Answers", (_Answers,), {"status": status, "body": body, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'https' if certificate else 'http'}://localhost:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("damage", [{"_shards": {"total": 2, "failed": 1}}, {"timed_out": True}], ids=str)
def test_a_partial_answer_is_an_error(damage: dict[str, object]) -> None:
    """An answer for a part of the data is never taken for the whole, even when it has no hits."""
    with answering(200, {"hits": {"hits": []}, **damage}) as (url, _):
        client: OpenSearch = store.connect(url, None, {})
        with pytest.raises(StoreError, match="not whole"):
            list(store.scan(client, "any", QUERY, EVENT_FIELDS))


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (401, {"type": "security_exception", "reason": "no"}, "SIGMA_STELLAR_AWS_USER"),
        (403, {"type": "security_exception", "reason": "no permissions"}, "not allowed on 'any': no permissions"),
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
    with answering(200, {"hits": {"hits": [hit]}}) as (url, _), pytest.raises(StoreError, match="this is no answer"):
        list(store.scan(store.connect(url, None, {}), "any", QUERY, EVENT_FIELDS))


@pytest.mark.parametrize("error", ["plain", {"root_cause": [None]}, {"root_cause": "x", "caused_by": "y"}, {}], ids=str)
def test_errors_of_any_shape_are_told(error: object) -> None:
    """Whatever a store says beside a refusal, it becomes one line and no traceback."""
    with answering(400, {"error": error, "status": 400}) as (url, _):
        result = run("alerts", "--url", url, "--index", "any")
    assert result.exit_code == 1
    assert "the store answered" in result.stderr


def test_a_bulk_answer_for_a_part_is_an_error() -> None:
    """Events that the store says nothing of are not taken for loaded."""
    with answering(200, {"items": [], "errors": False}) as (url, _):
        client = store.connect(url, None, {})
        with pytest.raises(StoreError, match="0 of 1 events"):
            store.load(client, "any", [flatten(record({"eventSource": "a", "eventName": "B"}))])


@pytest.mark.parametrize("command", ["alerts", "load"])
def test_a_server_that_is_no_store_is_told(command: str, tmp_path: Path) -> None:
    """Answers that are none of a data store are an error for people, whatever asks."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps(record({"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets"})))
    with answering(200, {}) as (url, _):
        files = [str(event)] if command == "load" else []
        result = run(command, *files, "--url", url, "--index", "any")
    assert result.exit_code == 1
    assert "this is no answer of an OpenSearch or Elasticsearch" in result.stderr


def test_an_index_without_sources_is_told(engine_url: str) -> None:
    """Hits that do not say what event they are of are an error, not empty alerts."""
    client = store.connect(engine_url, None, {})
    client.indices.create(index="bare", body={"mappings": {"_source": {"enabled": False}}})
    try:
        client.index(index="bare", body={"eventName": "DeleteLogGroup"}, params={"refresh": "true"})
        with pytest.raises(StoreError, match="_source"):
            list(store.scan(client, "bare", dsl.exists("eventName"), EVENT_FIELDS))
    finally:
        client.indices.delete(index="bare")


def test_credentials_come_from_the_environment_and_are_never_shown() -> None:
    """Key or user and password are sent as the environment has them; a half set or a URL with them is refused."""
    with answering(404, {"error": "no"}) as (url, handler):
        run("alerts", "--url", url, "--index", "any", environment={store.USER: "alice", store.PASSWORD: "s3cret"})
        run("alerts", "--url", url, "--index", "any", environment={store.API_KEY: "a2V5"})
    assert handler.seen == ["Basic YWxpY2U6czNjcmV0", "ApiKey a2V5"]
    half = run("alerts", "--url", "http://127.0.0.1:9", environment={store.USER: "alice"})
    assert half.exit_code == 1
    assert store.PASSWORD in half.stderr
    in_url = run("alerts", "--url", "http://alice:s3cret@127.0.0.1:9")
    assert in_url.exit_code == 1
    assert "s3cret" not in in_url.output
    assert store.USER in in_url.stderr


def test_certificates_are_verified(tmp_path: Path) -> None:
    """A certificate that nobody trusts is refused, with the option that names its CA, which then works."""
    certificate = tmp_path / "store.pem"
    # fmt: off
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", certificate, "-out", tmp_path / "ca.pem"],
        check=True, capture_output=True,
    )
    # fmt: on
    certificate.write_bytes(certificate.read_bytes() + (tmp_path / "ca.pem").read_bytes())
    with answering(404, {"error": "no"}, certificate) as (url, _):
        refused = run("alerts", "--url", url, "--index", "any")
        assert refused.exit_code == 1
        assert "--ca-file" in refused.stderr
        trusted = run("alerts", "--url", url, "--index", "any", "--ca-file", str(tmp_path / "ca.pem"))
        assert "there is no index 'any'" in trusted.stderr


def test_document_ids_are_event_ids_or_hashes() -> None:
    """A record without a usual eventID gets an id by its content, the same each time."""
    documents = [flatten(case.record) for case in cases()]
    assert {store.document_id(document) for document in documents} == {document["eventID"] for document in documents}
    without = {key: value for key, value in documents[0].items() if key != "eventID"}
    other = {**without, "eventName": "Other"}
    assert store.document_id(without) == store.document_id(dict(reversed(without.items())))
    assert store.document_id(without) != store.document_id(other)
    redacted = [{**without, "eventID": "REDACTED"}, {**other, "eventID": "REDACTED"}]
    assert store.document_id(redacted[0]) != store.document_id(redacted[1])
