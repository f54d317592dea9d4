"""Logs in S3 on the command line."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from sigma_stellar_aws.cli import main
from sigma_stellar_aws.store.client import connect
from tests.support.processes import as_in_foreground
from tests.support.s3_server import BUCKET, ENVIRONMENT, S3Server, s3_server

FIRST = datetime(2026, 1, 4, 9, 55, tzinfo=timezone.utc)
DAYS = [FIRST + timedelta(days=number) for number in range(4)]


def key(time: datetime, name: str = "0123456789abcdef") -> str:
    """The key of the log file that is delivered five minutes after a time."""
    delivered = time + timedelta(minutes=5)
    folder = f"AWSLogs/111122223333/CloudTrail/eu-west-1/{delivered:%Y/%m/%d}"
    return f"{folder}/111122223333_CloudTrail_eu-west-1_{delivered:%Y%m%dT%H%MZ}_{name}.json.gz"


def log_file(time: datetime) -> bytes:
    """A log file with one event that raises an alert."""
    event = {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"},
        "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "monitoring.amazonaws.com",
        "eventName": "DeleteAlarms",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "198.51.100.7",
    }
    return gzip.compress(json.dumps({"Records": [event]}).encode())


@pytest.fixture(scope="module")
def empty_server() -> Iterator[S3Server]:
    """A server without objects."""
    with s3_server() as server:
        yield server


@pytest.fixture
def server(empty_server: S3Server) -> S3Server:
    """A server with a log file a day, and nothing of another test."""
    empty_server.clear()
    for day in DAYS:
        empty_server.put(key(day), body=log_file(day))
    empty_server.put("notes.md")
    return empty_server


def run(server: S3Server, *arguments: str) -> Result:
    """Run alerts on the server."""
    return CliRunner().invoke(main, ["alerts", *arguments, "--endpoint-url", server.url, "--json"], env=ENVIRONMENT)


def test_alerts_of_s3(server: S3Server) -> None:
    """Alerts name the objects that they are from; what was read, and what was not, is told."""
    done = run(server, f"s3://{BUCKET}/")
    assert done.exit_code == 0
    alerts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [alert["first_time"] for alert in alerts] == [f"{day:%Y-%m-%dT%H:%M:%SZ}" for day in DAYS]
    assert f'"s3://{BUCKET}/{key(DAYS[0])}"' in done.stdout
    size = sum(len(log_file(day)) for day in DAYS)
    assert f"s3://{BUCKET}/: 4 objects of 4 read, {size:,} bytes" in done.stderr
    assert "not read, by their names: 1 file, notes.md" in done.stderr


def test_alerts_of_some_days(server: S3Server) -> None:
    """Only the events asked for raise alerts."""
    done = run(server, f"s3://{BUCKET}/AWSLogs/", "--since", "2026-01-05T00:00:00Z", "--until", "2026-01-06")
    assert [json.loads(line)["first_time"] for line in done.stdout.splitlines()] == ["2026-01-05T09:55:00Z"]
    nothing = run(server, f"s3://{BUCKET}/AWSLogs/", "--since", "2027-01-01")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "0 alerts" in nothing.stderr


def test_objects_that_are_no_logs_are_named(server: S3Server) -> None:
    """What is left out is named as it is named in the store, also where only its content tells that it is no log."""
    server.put("others/a.json", body=log_file(DAYS[0]))
    server.put("others/words", "others/b.png", body=b"only words")
    done = run(server, f"s3://{BUCKET}/others/")
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert f"2 files, others/b.png, s3://{BUCKET}/others/words\n" in done.stderr


def test_objects_that_cannot_be_read(server: S3Server) -> None:
    """The alerts of all others are raised, and the exit code says that some are missing."""
    server.faults[key(DAYS[1])] = ["403 AccessDenied no"]
    done = run(server, f"s3://{BUCKET}/AWSLogs/")
    server.faults.clear()
    assert (done.exit_code, len(done.stdout.splitlines())) == (3, 3)
    assert f"warning: s3://{BUCKET}/{key(DAYS[1])}:1: cannot be read: " in done.stderr


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        (f"s3://{BUCKET}/none/", 1, f"Error: s3://{BUCKET}/none/: nothing is there"),
        ("s3://example-none/", 1, "there is no such bucket"),
        ("s3:/example", 2, "write s3://BUCKET/PREFIX"),
    ],
)
def test_addresses_at_which_nothing_is(server: S3Server, address: str, code: int, told: str) -> None:
    """A search that cannot find anything fails, with the reason."""
    done = run(server, address)
    assert done.exit_code == code
    assert told in done.stderr


@pytest.fixture
def store(opensearch_url: str) -> Iterator[OpenSearch]:
    """A data store, without the index of the alerts."""
    with connect(opensearch_url, None, {}) as client:
        yield client
        client.indices.delete(index="s3-alerts", ignore=404)


def test_runs_that_follow_each_other_read_what_is_new(
    server: S3Server, opensearch_url: str, store: OpenSearch, tmp_path: Path
) -> None:
    """A run reads what no other has read, be it late or unread before, and counts it into the alerts there are."""
    root = "follow/"
    now = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    # The last one is in the window of the one before.
    days = [now - timedelta(hours=hours) for hours in (72, 30, 26, 1, 20)]
    search = (f"s3://{BUCKET}/{root}", "--url", opensearch_url, "--write", "s3-alerts")
    arguments = (*search, "--checkpoint", str(tmp_path / "checkpoint"), "--since", "48h")

    def put(*numbers: int) -> None:
        for number in numbers:
            server.put(root + key(days[number]), body=log_file(days[number]))

    def follow() -> tuple[int, list[int], list[int]]:
        server.asked.clear()
        done = run(server, *arguments)
        print(done.output, done.exception, done.exc_info)
        read = {name.removeprefix(root) for kind, name in server.asked if kind == "get"}
        answer = store.search(index="s3-alerts", size=100)
        counts = sorted((hit["_source"]["first_time"], hit["_source"]["event_count"]) for hit in answer["hits"]["hits"])
        return done.exit_code, [n for n, time in enumerate(days) if key(time) in read], [count for _, count in counts]

    put(0, 1, 2)
    server.faults[root + key(days[2])] = ["403 AccessDenied no"]
    assert follow() == (3, [1, 2], [1])
    server.faults.clear()
    assert follow() == (0, [2], [2])
    assert follow() == (0, [], [2])
    put(3)
    assert follow() == (0, [3], [2, 1])
    put(4)
    assert follow() == (0, [4], [3, 1])
    other = run(server, f"s3://{BUCKET}/", *arguments[1:])
    assert other.exit_code == 1
    assert "is the checkpoint of another search" in other.stderr


def test_the_alerts_of_files_are_kept_in_an_index(opensearch_url: str, store: OpenSearch, tmp_path: Path) -> None:
    """Files can be searched for an index of alerts, too, as often as you like."""
    (tmp_path / "a.json.gz").write_bytes(log_file(DAYS[0]))
    for created, unchanged in ((1, 0), (0, 1)):
        done = CliRunner().invoke(main, ["alerts", str(tmp_path), "--url", opensearch_url, "--write", "s3-alerts"])
        assert done.exit_code == 0
        alerts = "1 alert" if created else "0 alerts"
        assert f"{alerts} raised in s3-alerts, 0 updated, {unchanged} as they were, of 1 event" in done.stderr
    assert store.count(index="s3-alerts")["count"] == 1


def test_an_interrupt_ends_a_search_that_waits() -> None:
    """Ctrl-C ends it at once, also while the server does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "sigma_stellar_aws", "alerts", "s3://example/", "--endpoint-url", url]
        environment = {**os.environ, **ENVIRONMENT}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, preexec_fn=as_in_foreground) as process:
            connection, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=20)
            connection.close()
        assert process.returncode == 130
        assert told.strip() == b"interrupted"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tests/samples", "--url", "http://127.0.0.1:9", "--write", "a", "--checkpoint", "c"], "only those in S3"),
        (["s3://example/", "--url", "http://127.0.0.1:9", "--write", "a", "--follow", "5m"], "needs --checkpoint"),
        (["s3://example/", "--url", "http://127.0.0.1:9"], "name either files or a data store"),
        (
            ["s3://example/", "--url", "http://127.0.0.1:9", "--write", "a", "--index", "b"],
            "not for files",
        ),
    ],
)
def test_what_does_not_go_together(arguments: list[str], told: str) -> None:
    """What would be unclear is refused."""
    done = CliRunner().invoke(main, ["alerts", *arguments])
    assert done.exit_code == 2
    assert told in done.stderr
