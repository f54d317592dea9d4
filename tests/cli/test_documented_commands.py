"""Each command that a page shows is run as it is written, on the sample logs, the embedded engine and a store of S3.

Those that other modules or the gate run: the two commands of the README, and those for Kibana and OpenSearch.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.logs.reader import read_records
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents
from tests.support.contract import alerting, kibana
from tests.support.contract.security_analytics import security_analytics
from tests.support.documents import PAGES, PROJECT, blocks, section
from tests.support.processes import as_in_foreground
from tests.support.s3_server import BUCKET, ENVIRONMENT, s3_server

ELSEWHERE = re.compile(r"(\.venv/| (elastic|opensearch) )")
"""Commands that are run by the gate, by test_readme_kibana.py, by test_readme_opensearch.py, and below."""

SKIPPED = ("pip install", "export ", "systemctl ", "sigma-stellar-aws engine")
"""What only prepares: packages are there, nobody asks for a password, and an engine runs."""

OF_A_SKELETON = "sigma-stellar-aws check my-rules"
"""Finds what its author still has to write, and so ends with 1."""

SAMPLES = PROJECT / "tests" / "samples"
INDICES = ("aella-cloudtrail-1", "cloudtrail-1")
LOADED = "aella-cloudtrail-mine"


def commands() -> list[str]:
    """Return the commands of all pages, each once, in their order."""
    every = [line for mark, lines in blocks() if not mark.startswith("run") and mark != "test" for line in lines]
    plain = dict.fromkeys(re.sub(r"\s+# .*", "", line) for line in every)
    return [line for line in plain if not ELSEWHERE.search(line) and not line.startswith(SKIPPED)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory that looks like a checkout, in which each command finds what those before it made."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("rules", "sigma_stellar_aws", "tests"):
        (folder / name).symlink_to(PROJECT / name)
    (folder / "RULES").symlink_to(PROJECT / "rules")
    logs = folder / "LOGS"
    logs.mkdir()
    for file in (SAMPLES / "AWSLogs").rglob("*.gz"):
        (logs / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="module")
def places(opensearch_url: str) -> Iterator[dict[str, str]]:
    """What stands in the pages, and what is there in its place."""
    client = connect(opensearch_url, None, {})
    now = datetime.now(timezone.utc)
    fresh: Document = {"eventTime": now.isoformat(), "timestamp": int(now.timestamp() * 1000)}
    events = [{**flatten(record), **fresh} for _, record in read_records(SAMPLES / "export.ndjson", print)]
    for index in INDICES:
        create_index(client, index, pack_fields())
        load_documents(client, index, events)
    with s3_server() as server:
        server.create_bucket()
        for file in (SAMPLES / "AWSLogs").rglob("*.gz"):
            server.put(str(file.relative_to(SAMPLES)), body=file.read_bytes())
        yield {
            "https://search.example.com:9200": opensearch_url,
            "http://127.0.0.1:9268": opensearch_url,
            "s3://BUCKET/PREFIX": f"s3://{BUCKET}/",
            "AWS_ENDPOINT_URL": server.url,
        }
        server.clear()
    for index in (*INDICES, LOADED, "stellar-alerts"):
        client.indices.delete(index=index, ignore=404)


def test_each_command_of_the_pages(folder: Path, places: dict[str, str]) -> None:
    """Every command ends well; of old logs, the last days have no alerts, and a skeleton is still to be written."""
    programs = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": places["AWS_ENDPOINT_URL"],
    }
    failed: list[str] = []
    for line in commands():
        typed = line
        for written, there in places.items():
            typed = typed.replace(written, there)
        running = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", typed],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=as_in_foreground,
        )
        try:
            out, _ = running.communicate(timeout=8 if "--watch" in line or "--follow" in line else 120)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGINT)
            out, _ = running.communicate(timeout=30)
        if running.returncode != int(line.startswith(OF_A_SKELETON)):
            failed.append(f"{line}: {running.returncode}\n{out[-600:]}")
    assert not failed, "\n".join(failed)
    assert (folder / "report.html").stat().st_size > 10_000
    assert (folder / "pack.json").stat().st_size > 1_000
    assert len(commands()) > 20


def test_the_readme_installs_the_rules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's own commands for Kibana and OpenSearch do it; a rule that is left out is said by the exit code."""
    monkeypatch.chdir(folder)
    [(mark, lines)] = blocks(section("## Install the rules where people work"))
    assert mark == "run on the stand-ins"
    ended: list[tuple[str, int]] = []
    with kibana() as elastic, alerting() as monitors, security_analytics() as detectors:
        for line in lines:
            server = detectors if "--detector" in line else monitors if "opensearch" in line else elastic
            [program, *arguments] = shlex.split(line, comments=True)
            there = [server.url if word.startswith("https://") else word for word in arguments]
            result = CliRunner().invoke(main, there, input="y\n")
            assert program == "sigma-stellar-aws"
            ended.append((" ".join(arguments[:2]), result.exit_code))
        assert (len(elastic.rules), len(monitors.monitors), len(detectors.rules)) == (28, 29, 26)
    assert ended == [("plan elastic", 2), ("apply elastic", 3), ("apply opensearch", 0), ("apply opensearch", 3)]


def test_the_table_of_the_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table that the README shows is the one that its options print."""
    monkeypatch.setenv("COLUMNS", "120")
    [shown] = re.findall(r"^```text\n(.*?)^```", (PROJECT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    result = CliRunner().invoke(main, ["alerts", str(SAMPLES), "--only", "aws_config_recorder_stopped"])
    printed = [line.rstrip() for line in result.stdout.splitlines()]
    assert printed[: len(shown.splitlines())] == shown.splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_on_a_page_is_whole(page: Path) -> None:
    """Each block of code ends before the next heading, and has something in it."""
    parts = re.split(r"^ *```(.*)$", page.read_text("utf-8"), flags=re.MULTILINE)
    languages, codes = parts[1::4], parts[2::4]
    assert [code for code in codes if not code.strip() or re.search(r"^#{2,} ", code, re.MULTILINE)] == []
    assert all(languages), "a block without a language, or one that is not closed"
    assert set(parts[3::4]) == {""}
