"""No answer takes longer, or more memory, than it may, whichever library asks; nor does a run."""

import gzip
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from sigma_stellar_aws.base import run_limit
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.install.kibana_api import KibanaApi
from sigma_stellar_aws.install.opensearch_api import Nothing, OpenSearchApi
from sigma_stellar_aws.install.server_errors import ask
from sigma_stellar_aws.store import limits
from sigma_stellar_aws.store.answers import as_store_errors
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import stored_mappings
from tests.support.rogue import Request, Rogue, answer, head, rogue

Write = Callable[[bytes], None]
SECONDS = 0.4
"""How long an answer may take here."""


def a_byte_at_a_time(request: Request, write: Write) -> None:
    """The body comes byte by byte, each soon enough."""
    write(head(Content_Length=10**6))
    while request.is_wanted():
        write(b" ")
        time.sleep(0.02)


def a_head_without_end(request: Request, write: Write) -> None:
    """The head comes byte by byte."""
    while request.is_wanted():
        write(b"H")
        time.sleep(0.02)


def in_a_moment(request: Request, write: Write) -> None:
    """An answer that never begins, and says so again and again."""
    while request.is_wanted():
        write(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.02)


def a_body_without_end(request: Request, write: Write) -> None:
    """A body in chunks, of which none is the last."""
    write(head(Transfer_Encoding="chunked"))
    while request.is_wanted():
        write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def a_bomb(request: Request, write: Write) -> None:
    """A body that is a thousand times as large once it is unpacked."""
    write(answer(gzip.compress(b" " * 10**6), Content_Encoding="gzip"))


def by_opensearch(url: str) -> None:
    """Ask as a data store is asked."""
    with connect(url, None, {}) as client, as_store_errors("logs"):
        stored_mappings(client, "logs")


def by_proxy(url: str) -> None:
    """Ask through a proxy, which it is that answers so."""
    with connect("http://store.example.com:9200", None, {"ALL_PROXY": url}) as client, as_store_errors("logs"):
        stored_mappings(client, "logs")


def by_plugin(url: str) -> None:
    """Ask as a plugin of OpenSearch is asked."""
    with connect(url, None, {}) as client:
        ask(lambda: OpenSearchApi(client, "Alerting", "alerting_full_access").send(Nothing, "GET", "/_plugins"))


def by_kibana(url: str) -> None:
    """Ask as Kibana is asked."""
    ask(lambda: KibanaApi(url, "default", None, {}).send("GET", "/api/status"))


WAYS = pytest.mark.parametrize("way", [by_opensearch, by_proxy, by_plugin, by_kibana])


@pytest.fixture(autouse=True)
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are met soon."""
    monkeypatch.setattr(limits, "ANSWER_SECONDS", SECONDS)
    monkeypatch.setattr(limits, "ANSWER_BYTES", 2 * 1024**2)


@WAYS
@pytest.mark.parametrize(
    ("behave", "told"),
    [
        (a_byte_at_a_time, "did not end its answer within 0.4 seconds"),
        (a_head_without_end, "did not end its answer within 0.4 seconds"),
        (in_a_moment, "did not end its answer within 0.4 seconds"),
        (a_body_without_end, "answers with more than 2 MB at once"),
        (a_bomb, "sends an answer in 'gzip', which it was not asked for"),
    ],
)
def test_an_answer_without_end_is_told(way: Callable[[str], None], behave: Rogue, told: str) -> None:
    """It is told what was too much, at once, and not asked for again."""
    asked = []

    def counted(request: Request, write: Write) -> None:
        asked.append(request.line)
        behave(request, write)

    with rogue(counted) as url, pytest.raises(StoreError, match=told):
        way(url)
    assert len(asked) == 1


@WAYS
def test_a_run_ends_in_time(way: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that takes longer than it may ends with an error, whatever it waits for; then nothing is sent."""
    monkeypatch.setattr(limits, "ANSWER_SECONDS", 100)
    seen = []

    def busy(request: Request, write: Write) -> None:
        seen.append(request.line)
        write(answer(b"{}", "503 Busy"))

    for behave in (a_byte_at_a_time, busy):
        with rogue(behave) as url, run_limit.run_within(timedelta(seconds=SECONDS)):
            with pytest.raises(StoreError, match=r"as long as this run may take, .*\(--timeout\)"):
                way(url)
            asked = len(seen)
            with pytest.raises(StoreError, match="--timeout"):
                way(url)
            assert len(seen) == asked


def test_each_run_has_the_whole_time() -> None:
    """Of runs that follow each other each may take as long; outside there is no limit."""
    with run_limit.run_within(timedelta(seconds=SECONDS)):
        time.sleep(SECONDS / 2)
        run_limit.begin_anew()
        assert run_limit.seconds_left() > 0.9 * SECONDS
    assert run_limit.seconds_left() == float("inf")


@pytest.mark.parametrize(
    "command",
    [
        ["alerts", "--index", "logs"],
        ["alerts", "--index", "logs", "--write", "alerts"],
        ["profile"],
        ["doctor"],
        ["load", "tests/samples/export.ndjson", "--index", "logs"],
        ["plan", "opensearch"],
        ["apply", "elastic", "--yes"],
        ["remove", "elastic", "--yes"],
    ],
    ids=" ".join,
)
def test_each_command_ends_in_time(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --timeout a command ends, and says why."""
    monkeypatch.setattr(limits, "ANSWER_SECONDS", 1000)
    clock = time.monotonic
    monkeypatch.setattr(run_limit, "time", SimpleNamespace(monotonic=lambda: 100 * clock()))
    if command[0] in ("plan", "apply", "remove"):
        command = [*command, "--state", str(tmp_path / "state")]
    with rogue(a_byte_at_a_time) as url, pytest.raises(SystemExit) as ended:
        main([*command, "--url", url, "--timeout", "1m"])
    assert ended.value.code == 1
    assert "as long as this run may take, 1m (--timeout)" in capsys.readouterr().err


def test_what_is_well_is_read() -> None:
    """An answer within the limits is read, one after the other by the same connection."""
    seen = []

    def well(request: Request, write: Write) -> None:
        seen.append(request.line)
        write(answer(json.dumps({"logs": {"mappings": {}}}).encode()))

    with rogue(well) as url, connect(url, None, {}) as client:
        for _ in range(3):
            assert list(stored_mappings(client, "logs")) == ["logs"]
    assert len(seen) == 3
