"""Logs in S3 on the command line."""

import gzip
import json
import logging
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from sigma_stellar_aws.cli import main
from tests.support.s3_server import BUCKET, ENVIRONMENT, S3Server, s3_server

FOLDER = "AWSLogs/111122223333/CloudTrail/eu-west-1"
DAYS = range(4, 8)


def key(day: int) -> str:
    """The key of the log file of a day."""
    name = f"111122223333_CloudTrail_eu-west-1_202601{day:02}T1000Z_0123456789abcdef.json.gz"
    return f"{FOLDER}/2026/01/{day:02}/{name}"


def log_file(day: int) -> bytes:
    """A log file with one event that raises an alert, five minutes before it was delivered."""
    event = {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::111122223333:user/{day}"},
        "eventTime": f"2026-01-{day:02}T09:55:00Z",
        "eventSource": "monitoring.amazonaws.com",
        "eventName": "DeleteAlarms",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "198.51.100.7",
    }
    return gzip.compress(json.dumps({"Records": [event]}).encode())


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    """A server with a log file a day."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with s3_server() as server:
        for day in DAYS:
            server.put(key(day), body=log_file(day))
        server.put("notes.md")
        yield server


def run(server: S3Server, *arguments: str) -> Result:
    """Run alerts on the server."""
    return CliRunner().invoke(main, ["alerts", *arguments, "--endpoint-url", server.url, "--json"], env=ENVIRONMENT)


def test_alerts_of_s3(server: S3Server) -> None:
    """Alerts name the objects that they are from; what was read, and what was not, is told."""
    done = run(server, f"s3://{BUCKET}/")
    assert done.exit_code == 0
    alerts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [alert["first_time"] for alert in alerts] == [f"2026-01-{day:02}T09:55:00Z" for day in DAYS]
    assert f'"s3://{BUCKET}/{key(4)}"' in done.stdout
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


def test_objects_that_cannot_be_read(server: S3Server) -> None:
    """The alerts of all others are raised, and the exit code says that some are missing."""
    server.faults[key(5)] = ["403 AccessDenied no"]
    done = run(server, f"s3://{BUCKET}/AWSLogs/")
    server.faults.clear()
    assert (done.exit_code, len(done.stdout.splitlines())) == (3, 3)
    assert f"warning: s3://{BUCKET}/{key(5)}:1: cannot be read: " in done.stderr


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
