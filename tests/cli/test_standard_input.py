"""Logs on standard input."""

import gzip
import io
import json
import os
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.cli import main
from tests.support.pages import data_of

EXPORT = Path(__file__).parents[1] / "samples" / "export.ndjson"


@pytest.mark.parametrize("compressed", [False, True])
def test_alerts_of_standard_input(compressed: bool) -> None:
    """What is piped in gives the same alerts as the file."""
    data = EXPORT.read_bytes()
    piped = CliRunner().invoke(main, ["alerts", "-", "--json"], input=gzip.compress(data) if compressed else data)
    named = CliRunner().invoke(main, ["alerts", str(EXPORT), "--json"])
    assert (piped.exit_code, named.exit_code) == (0, 0)
    rules = [[json.loads(line)["id"] for line in each.stdout.splitlines()] for each in (piped, named)]
    assert rules[0] == rules[1] != []


def test_problems_name_standard_input() -> None:
    """What is wrong with what is piped in is told by that name, also in archives, and so is where alerts come from."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("logs/a.json", EXPORT.read_bytes() + b"{]\n")
    piped = CliRunner().invoke(main, ["alerts", "-", "--json"], input=content.getvalue())
    assert piped.exit_code == 3
    [problem] = [line for line in piped.stderr.splitlines() if line.startswith("warning: ")]
    assert problem.startswith("warning: standard input/logs/a.json:")
    alerts = [json.loads(line) for line in piped.stdout.splitlines()]
    assert {event["place"] for alert in alerts for event in alert["events"]} == {"standard input"}
    assert tempfile.gettempdir() not in piped.output
    piped = CliRunner().invoke(main, ["alerts", "-"], input=b"{]")
    assert piped.stderr.startswith("warning: standard input:1: ")


def test_the_page_on_standard_output() -> None:
    """--html - writes the page, and nothing else, to standard output."""
    piped = CliRunner().invoke(main, ["alerts", "-", "--html", "-"], input=EXPORT.read_bytes())
    assert piped.exit_code == 0
    assert piped.stdout.startswith("<!doctype html>")
    assert piped.stdout.endswith("</html>\n")
    assert data_of(piped.stdout_bytes)[1]["searched"] == "standard input"
    assert CliRunner().invoke(main, ["alerts", "-", "--html", "-", "--json"], input=b"").exit_code == 2


def test_pipes_among_files(tmp_path: Path) -> None:
    """A pipe is read like standard input, whatever comes out of it, and has its own name in what is told."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.json", EXPORT.read_bytes() + b"{]\n")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content.getvalue()])
    writer.start()
    piped = CliRunner().invoke(main, ["alerts", str(pipe), "--json"])
    writer.join()
    assert (piped.exit_code, len(piped.stdout.splitlines())) == (3, 8)
    assert f"warning: {pipe}/a.json:24: " in piped.stderr
