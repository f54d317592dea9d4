"""What holds where something breaks: each thing that the commands do, by each thing that may go wrong.

A cell of the table says how a command ends, and what it tells, where a fault is there once, and where it stays. Of each
cell it is asserted that no traceback is shown, that nobody waits for long, and that the next run, without the fault,
ends as if nothing had happened: nothing is lost, and nothing is there twice.
"""

import gzip
import json
import os
import resource
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.alerts import store_events
from sigma_stellar_aws.base import times
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.store import limits, retries
from sigma_stellar_aws.store.client import connect
from tests.support import proxy
from tests.support.contract import Alerting, alerting
from tests.support.pages import data_of
from tests.support.proxy import Answer, Asked, Fault, Forward
from tests.support.records import record

RULE = "rules/aws_kms_key_created.yml"
NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SECONDS = 30
"""More than any cell takes, also on a busy machine, and far less than what is waited for without a bound."""


class Ended(NamedTuple):
    """How a command ended."""

    code: object
    out: str
    err: str


class Cell(NamedTuple):
    """What holds: exit code and text on standard error."""

    once: tuple[int, str] | None
    """Where the fault is there once; None where that cannot be."""
    always: tuple[int, str]


@dataclass
class Scene:
    """A thing that commands do, and where it is done."""

    command: list[str]
    is_met: Callable[[Asked], bool] = lambda asked: False
    """Whether a request is one that may go wrong."""
    outcome: Callable[[], object] = lambda: None
    """What is there afterwards."""
    rewind: Callable[[], object] = lambda: None
    """Put everything back as it was before the first run."""
    good: int = 0
    """Exit code where nothing goes wrong."""


class Between:
    """What goes wrong between a command and its server."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.fault: Fault | None = None
        self.times = 0
        self.is_met: Callable[[Asked], bool] = lambda asked: True
        self.held = Lock()
        """While somebody has it, no request goes on."""

    def __call__(self, asked: Asked) -> Fault | None:
        """Return what is to happen to a request."""
        with self.held:
            pass
        if self.fault is None or not self.times or not self.is_met(asked):
            return None
        self.times -= 1
        return self.fault


def ran(command: list[str], capsys: pytest.CaptureFixture[str]) -> Ended:
    """Run a command in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(command)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err + shown.out
    return Ended(ended.value.code or 0, shown.out, shown.err)


def ran_quietly(command: list[str]) -> Ended:
    """Run a command in this process, with its output in memory."""
    result = CliRunner().invoke(main, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def child(command: list[str], pipe: tuple[int, int] | None = None) -> int:
    """Run a command in a process of its own, which begins as a copy of this one, and may read from a pipe; its id."""
    if pid := os.fork():
        if pipe is not None:
            os.close(pipe[0])
        return pid
    if pipe is not None:
        os.close(pipe[1])
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(nothing, number)
    os.dup2(nothing if pipe is None else pipe[0], 0)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  (of the child)
    sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    try:
        main(command)
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    finally:
        os._exit(99)


def code_of(pid: int) -> int:
    """Wait for a child; its exit code, negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# --- the rows ---


def key_created(number: int, time: datetime) -> JsonObject:
    """A record that the rule finds, of a caller of its own."""
    arn = f"arn:aws:iam::111122223333:user/{number}"
    return record({"eventSource": "kms.amazonaws.com", "eventName": "CreateKey"}) | {
        "eventID": f"00000000-0000-4000-8000-{number:012}",
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "userIdentity": {"type": "IAMUser", "arn": arn},
    }


def files(folder: Path) -> Iterator[Scene]:
    """Raise the alerts of log files, with a page of them."""
    for number in range(3):
        content = json.dumps({"Records": [key_created(number, NOON)]})
        (folder / f"{number}.json.gz").write_bytes(gzip.compress(content.encode(), mtime=0))
    page = folder / "report.html"
    logs = [str(file) for file in sorted(folder.glob("*.gz"))]
    command = ["alerts", *logs, "--json", "--rules", RULE, "--html", str(page)]

    def outcome() -> object:
        assert {file.name for file in folder.iterdir()} <= {*(Path(log).name for log in logs), page.name}
        return page.read_text() if page.exists() else None

    yield Scene(command, outcome=outcome, rewind=lambda: page.unlink(missing_ok=True))


@pytest.fixture(scope="module")
def events(opensearch_url: str) -> Iterator[str]:
    """An index of five events that the rule finds."""
    name = f"matrix-{uuid.uuid4().hex}"
    now = datetime.now(timezone.utc)
    with connect(opensearch_url, None, {}) as client:
        fields = ["eventSource", "eventName", "userIdentity_arn"]
        client.indices.create(index=name, body={"mappings": index_mappings(fields)})
        for number in range(5):
            body = {
                "eventID": f"00000000-0000-4000-8000-{number:012}",
                "eventSource": "kms.amazonaws.com",
                "eventName": "CreateKey",
                "userIdentity_arn": f"arn:aws:iam::111122223333:user/{number}",
                "timestamp": millis(now - timedelta(minutes=60 - number)),
            }
            client.index(index=name, body=body)
        client.indices.refresh(index=name)
        yield name
        client.indices.delete(index=name)


def _is_page(asked: Asked) -> bool:
    return asked.path.startswith("/_search") and b'"_source"' in asked.body


def store_read(url: str, index: str) -> Iterator[Scene]:
    """Raise the alerts of a data store."""
    command = ["alerts", "--url", url, "--index", index, "--rules", RULE, "--json"]
    yield Scene(command, _is_page)


def store_write(url: str, index: str, folder: Path) -> Iterator[Scene]:
    """Keep the alerts of a data store in an index."""
    kept, checkpoint = f"kept-{uuid.uuid4().hex}", folder / "checkpoint"
    command = ["alerts", "--url", url, "--index", index, "--rules", RULE, "--write", kept, "--json"]
    with connect(url, None, {}) as client:

        def outcome() -> object:
            client.indices.refresh(index=kept, ignore_unavailable=True)
            found = client.search(index=kept, body={"size": 100}, ignore_unavailable=True)["hits"]["hits"]
            return {hit["_id"]: hit["_source"] for hit in found}

        def rewind() -> None:
            client.indices.delete(index=kept, ignore_unavailable=True)
            checkpoint.unlink(missing_ok=True)

        yield Scene(command, lambda asked: "_bulk" in asked.path, outcome, rewind)
        rewind()


def install(name: str, url: str, server: Alerting, folder: Path) -> Iterator[Scene]:
    """Plan, apply or remove monitors."""
    state = folder / "state.json"
    command = [name, "opensearch", "--url", url, "--state", str(state)]
    rules = ["--rules", RULE, "--rules", "rules/aws_waf_acl_deleted.yml"]
    apply = ["apply", *command[1:], "--yes", *rules]

    def outcome() -> object:
        names = sorted(str(monitor["monitor"]["name"]) for monitor in server.monitors.values())  # type: ignore[index, call-overload]
        recorded = json.loads(state.read_text())["rules"] if state.exists() else {}
        # A record of what is gone changes nothing.
        return names, sorted(key for key, rule in recorded.items() if rule["id"] in server.monitors)

    def rewind() -> None:
        server.monitors.clear()
        state.unlink(missing_ok=True)
        if name == "remove":
            with pytest.raises(SystemExit) as ended:
                main(apply)
            assert not ended.value.code

    met = {"plan": "_search", "apply": "POST", "remove": "DELETE"}[name]
    lines = {"plan": [*command, *rules], "apply": apply, "remove": [*command, "--yes"]}

    def is_met(asked: Asked) -> bool:
        return met in f"{asked.method} {asked.path}" and (name != "apply" or asked.path.endswith("/monitors"))

    yield Scene(lines[name], is_met, outcome, rewind, good=2 if name == "plan" else 0)


ROWS = ("files", "store read", "store write", "plan", "apply", "remove")


@pytest.fixture
def between() -> Between:
    """What goes wrong."""
    return Between()


@pytest.fixture
def scene(row: str, request: pytest.FixtureRequest, between: Between, tmp_path: Path) -> Iterator[Scene]:
    """The row of a cell."""
    folder = tmp_path / "place"
    folder.mkdir()
    if row == "files":
        yield from files(folder)
    elif row.startswith("store"):
        url, index = request.getfixturevalue("opensearch_url"), request.getfixturevalue("events")
        with proxy.proxy(url, between) as through:
            make = store_read(through.url, index) if row == "store read" else store_write(through.url, index, folder)
            yield from make
    else:
        with alerting() as server, proxy.proxy(server.url, between) as through:
            yield from install(row, through.url, server, folder)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages and bounds, few and short pauses."""
    monkeypatch.setattr(store_events, "PAGE", 2)
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(retries, "TRIES", 3)
    monkeypatch.setattr("sigma_stellar_aws.install.server_errors.WAITS", (0.001, 0.001))
    monkeypatch.setattr(limits, "ANSWER_BYTES", 1024**2)


# --- the columns of a server ---


def lie(asked: Asked, forward: Forward) -> Answer:
    """An answer that is less than it says, or nothing that was asked for."""

    def change(body: dict[str, Any]) -> None:
        for parts in (body.get("hits", {}).get("hits"), body.get("items")):
            if parts:
                parts.pop()
                return
        body.clear()

    return proxy.changed(change)(asked, forward)


def repeating() -> Fault:
    """The first answer again and again."""
    first: list[Answer] = []

    def fault(asked: Asked, forward: Forward) -> Answer:
        if not first:
            first.append(forward(asked.body))
        return first[0]

    return fault


def forbidden(asked: Asked, forward: Forward) -> Answer:
    """What the security plugin of OpenSearch answers to a user with few rights."""
    reason = "no permissions for [indices:any] and User [name=alice, backend_roles=[], requestedTenant=null]"
    error = {"type": "security_exception", "reason": reason}
    body = {"error": {"root_cause": [error], **error}, "status": 403}
    return Answer(403, json.dumps(body).encode())


FAULTS: Mapping[str, Callable[[], Fault]] = {
    "cut": lambda: proxy.cut,
    "slow": lambda: proxy.trickling,
    "lie": lambda: lie,
    "repeat": repeating,
    "bomb": lambda: proxy.bomb,
    "large": lambda: proxy.large,
    "4xx": lambda: forbidden,
    "5xx": lambda: proxy.status(503),
}
SLOW, BOMB, LARGE = "did not end its answer within", "in 'gzip', which it was not asked for", "more than 1 MB at once"
FINE = (0, "")


def the_same(code: int, text: str) -> Cell:
    """What holds alike where the fault is there once, and where it stays."""
    return Cell((code, text), (code, text))


CHANGES: Mapping[str, Cell] = {
    "cut": the_same(*FINE),
    "slow": the_same(*FINE),
    "lie": the_same(*FINE),
    "repeat": Cell(None, (1, "it is about another monitor")),
    "bomb": the_same(1, ""),
    "large": the_same(1, ""),
    "4xx": the_same(1, ""),
    "5xx": Cell(FINE, (1, "")),
}
"""Of what changes a server: what arrived and was not answered is looked for, and not done twice."""
CELLS: Mapping[str, Mapping[str, Cell]] = {
    "store read": {
        "cut": Cell(FINE, (1, "cannot be reached")),
        "slow": the_same(1, SLOW),
        "lie": Cell(FINE, (1, "events that it counted")),
        "repeat": Cell(None, (1, "that it counted")),
        "bomb": the_same(1, BOMB),
        "large": Cell(FINE, (1, LARGE)),
        "4xx": the_same(1, "not allowed on"),
        "5xx": Cell(FINE, (1, "on purpose); tried 3 times")),
    },
    "store write": {
        "cut": Cell(FINE, (1, "cannot be reached")),
        "slow": the_same(1, SLOW),
        "lie": the_same(1, "answered for 4 of 5 documents only"),
        "repeat": Cell(None, FINE),
        "bomb": the_same(1, BOMB),
        "large": the_same(1, LARGE),
        "4xx": the_same(1, "not allowed on"),
        "5xx": Cell(FINE, (1, "on purpose); tried 3 times")),
    },
    "plan": {
        "cut": Cell((2, ""), (1, "cannot be reached")),
        "slow": the_same(1, SLOW),
        "lie": the_same(1, "is not an answer"),
        "repeat": Cell(None, (2, "")),
        "bomb": the_same(1, BOMB),
        "large": the_same(1, LARGE),
        "4xx": the_same(1, "not allowed: no permissions"),
        "5xx": Cell((2, ""), (1, "on purpose")),
    },
    "apply": CHANGES,
    "remove": CHANGES,
}


@pytest.mark.parametrize("column", FAULTS)
@pytest.mark.parametrize("row", ROWS[1:])
def test_a_server(
    row: str,
    column: str,
    scene: Scene,
    between: Between,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever a server does, the command ends as the table says, and the next run as if nothing had been."""
    scene.rewind()
    undisturbed, expected = ran(scene.command, capsys), scene.outcome()
    assert undisturbed.code == scene.good, undisturbed
    # Where the command goes on, an answer on a busy machine must not be taken for a slow one.
    seconds = 100.0 if column != "slow" else 1.5 if row in ("apply", "remove") else 0.3
    for once, told in ((True, CELLS[row][column].once), (False, CELLS[row][column].always)):
        if told is None:
            continue
        scene.rewind()
        start = time.monotonic()
        monkeypatch.setattr(limits, "ANSWER_SECONDS", seconds)
        between.fault, between.is_met, between.times = FAULTS[column](), scene.is_met, 1 if once else 10**6
        ended = ran(scene.command, capsys)
        between.fault = None
        monkeypatch.setattr(limits, "ANSWER_SECONDS", 100)
        assert time.monotonic() - start < SECONDS
        assert (ended.code, told[1] in ended.err + ended.out) == (told[0], True), ended
        if ended.code == scene.good:
            # What was stored, and not answered, is there at the second try.
            assert ended.out == undisturbed.out or (row, column) == ("store write", "cut")
            assert scene.outcome() == expected
        again = ran(scene.command, capsys)
        assert again.code == scene.good, again
        assert scene.outcome() == expected


# --- the columns of files ---


def _log(folder: Path) -> Path:
    return folder / "1.json.gz"


def _cut(folder: Path) -> None:
    _log(folder).write_bytes(_log(folder).read_bytes()[:-20])


def _lie(folder: Path) -> None:
    _log(folder).write_bytes(gzip.decompress(_log(folder).read_bytes()))


def _repeat(folder: Path) -> None:
    content = json.loads(gzip.decompress(_log(folder).read_bytes()))
    _log(folder).write_bytes(gzip.compress(json.dumps({"Records": content["Records"] * 50}).encode()))


def _bomb(folder: Path) -> None:
    _log(folder).write_bytes(_log(folder).read_bytes() + gzip.compress(b" " * 3 * 10**7, 1))


def _missing(folder: Path) -> None:
    _log(folder).unlink()
    _log(folder).symlink_to("nowhere")


def _broken_disk(folder: Path) -> None:
    # Nothing is mapped at its beginning, so that reading there is an error of input.
    _log(folder).unlink()
    _log(folder).symlink_to("/proc/self/mem")


FILES: Mapping[str, tuple[Callable[[Path], None], int, str]] = {
    "cut": (_cut, 3, "1.json.gz"),
    "lie": (_lie, 0, "3 alerts"),
    "repeat": (_repeat, 0, "3 alerts of 3 matching events among 52 records"),
    "bomb": (_bomb, 0, "3 alerts"),
    "4xx": (_missing, 2, "1.json.gz"),
    "5xx": (_broken_disk, 3, "1.json.gz"),
}


@pytest.mark.parametrize("row", ["files"])
@pytest.mark.parametrize("column", FILES)
def test_a_file(row: str, column: str, scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong with one file is told, and the others are read."""
    damage, code, told = FILES[column]
    damage(tmp_path / "place")
    ended = ran(scene.command, capsys)
    assert (ended.code, told in ended.err) == (code, True), ended
    if code == 3:
        assert len(ended.out.splitlines()) == 2


def test_slow_standard_input(tmp_path: Path) -> None:
    """Records that come byte by byte are all there at the end."""
    read, write = os.pipe()
    page = tmp_path / "report.html"
    pid = child(["alerts", "-", "--rules", RULE, "--html", str(page)], (read, write))
    for byte in json.dumps(key_created(1, NOON)).encode():
        os.write(write, bytes([byte]))
    os.close(write)
    assert code_of(pid) == 0
    assert "user/1" in str(data_of(page.read_bytes())[0])


# --- the columns of the machine ---


@pytest.mark.parametrize("row", ROWS)
def test_a_full_disk(row: str, scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be written is told by its name, what was there before stays, and nothing is left beside it."""
    scene.rewind()
    old, files_of = "old\n" * 10, tmp_path / "place"
    target, option = {
        "files": (files_of / "report.html", "--html"),
        "store read": (files_of / "report.html", "--html"),
        "store write": (files_of / "checkpoint", "--checkpoint"),
        "plan": (files_of / "plan.json", "-o"),
    }.get(row, (files_of / "state.json", "--state"))
    if option in ("--html", "-o"):
        target.write_text(old)
    locks = {f"{target.name}.lock", f"{target.name}.run.lock"}
    before = target.read_text() if target.exists() else None
    names = {file.name for file in files_of.iterdir()}
    command = [*scene.command, *([] if option in scene.command else [option, str(target)])]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        ended = ran_quietly(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.code == 1, ended
    # The page is put together in a temporary file first.
    assert target.name in ended.err or "the output, or temporary data" in ended.err
    assert "File too large" in ended.err
    assert (target.read_text() if target.exists() else None) == before
    assert {file.name for file in files_of.iterdir()} - locks == names - locks
    if option in ("--html", "-o"):
        target.unlink()
    assert ran(scene.command, capsys).code == scene.good


@pytest.mark.parametrize("row", ROWS[2:])
def test_a_killed_run(row: str, scene: Scene, between: Between, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed before or after its first request that matters arrives, and run again, a command ends as undisturbed."""
    scene.rewind()
    assert ran(scene.command, capsys).code == scene.good
    expected = scene.outcome()
    for arrives in (False, True):
        scene.rewind()
        pids: list[int] = []

        def fault(asked: Asked, forward: Forward, arrives: bool = arrives, pids: list[int] = pids) -> Answer:
            answer = forward(asked.body) if arrives else Answer(None, b"")
            os.kill(pids[0], signal.SIGKILL)
            return answer

        between.fault, between.is_met, between.times = None, scene.is_met, 1
        with between.held:
            pids.append(child(scene.command))
            between.fault = fault
        assert code_of(pids[0]) == -signal.SIGKILL
        between.fault = None
        assert ran(scene.command, capsys).code == scene.good
        assert scene.outcome() == expected


@pytest.mark.parametrize("row", ["files"])
def test_a_killed_search_of_files(row: str, scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed while it reads, it leaves the old page, and nothing beside it."""
    assert ran(scene.command, capsys).code == 0
    expected = scene.outcome()
    read, write = os.pipe()
    pid = child([*scene.command, "-"], (read, write))
    os.kill(pid, signal.SIGKILL)
    os.close(write)
    assert code_of(pid) == -signal.SIGKILL
    assert scene.outcome() == expected


@pytest.mark.parametrize("row", [row for row in ROWS if row != "store read"])
def test_two_at_once(row: str, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Two that do the same at the same time end as one, or one of them says that there was another."""
    scene.rewind()
    assert ran(scene.command, capsys).code == scene.good
    expected = scene.outcome()
    scene.rewind()
    pids = [child(scene.command) for _ in range(2)]
    codes = {code_of(pid) for pid in pids}
    assert scene.good in codes
    assert codes <= {scene.good, 1}
    assert ran(scene.command, capsys).code == scene.good
    assert scene.outcome() == expected


@pytest.mark.parametrize("ahead", [timedelta(days=2), timedelta(days=-2)], ids=["ahead", "behind"])
@pytest.mark.parametrize("row", ROWS)
def test_a_clock(
    row: str, ahead: timedelta, scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that is two days wrong, all is as it is with the right one, or it is told."""
    scene.rewind()
    undisturbed, expected = ran(scene.command, capsys), scene.outcome()
    scene.rewind()
    monkeypatch.setattr(times, "now", lambda: datetime.now(timezone.utc) + ahead)
    ended = ran(scene.command, capsys)
    if row == "store write":
        assert (ended.code, "the clock of this machine" in ended.err) == (3, True)
        monkeypatch.undo()
        ran(scene.command, capsys)
    else:
        assert (ended.code, ended.out) == (undisturbed.code, undisturbed.out)
    assert scene.outcome() == expected


# --- users with few rights ---

RIGHTS: Mapping[str, tuple[str, int]] = {
    "read mappings": ("_mapping", 1),
    "read settings": ("_settings", 1),
    "know fields": ("_field_caps", 1),
    "open points in time": ("point_in_time", 0),
    "search": ("POST /_search", 1),
    "write": ("_bulk", 1),
    "create indices": ("PUT /kept", 1),
    "refresh": ("_refresh", 1),
}


@pytest.mark.parametrize("row", ["store write"])
@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_that_is_missing(
    row: str, right: str, scene: Scene, between: Between, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a right it is told what was refused; without points in time there are scrolls. Nothing is lost by it."""
    scene.rewind()
    assert ran(scene.command, capsys).code == 0
    expected = scene.outcome()
    scene.rewind()
    part, code = RIGHTS[right]
    between.fault, between.times = forbidden, 10**6
    between.is_met = lambda asked: part in f"{asked.method} {asked.path}"
    ended = ran(scene.command, capsys)
    between.fault = None
    assert (ended.code, "not allowed on" in ended.err) == (code, code == 1), ended
    assert ran(scene.command, capsys).code == 0
    assert scene.outcome() == expected
