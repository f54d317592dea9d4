"""Matching events in files, looked for by one process and by several."""

import gzip
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic, sleep, thread_time
from typing import Any, NamedTuple

import pytest
from sigma.processing.pipeline import ProcessingPipeline

from sigma_stellar_aws.alerts import files, workers
from sigma_stellar_aws.alerts.file_search import Batch
from sigma_stellar_aws.alerts.files import scan_files
from sigma_stellar_aws.alerts.hit_rows import HitRow, HitRowReader
from sigma_stellar_aws.alerts.hits import Hit, to_hit
from sigma_stellar_aws.alerts.pack import Override, Pack, convert_pack
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.kept_texts import NOT_KEPT, KeptTexts
from sigma_stellar_aws.logs.flatten import document_id, flatten
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.evaluate import matched_queries
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.processes import as_in_foreground
from tests.support.records import cases, record

DELETED: dict[str, Json] = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms"}
OTHER: dict[str, Json] = {"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets"}


@pytest.fixture(scope="module")
def pack() -> Pack:
    """The 29 rules."""
    return convert_pack(load_rules(), stellar_aws())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Many files of several forms and sizes, with hits and problems in most of them."""
    folder = tmp_path_factory.mktemp("tree")
    records = [case.record for case in cases()]
    files = []
    for number in range(60):
        some = [records[(number * 7 + place) % len(records)] for place in range(number % 5 * 40)]
        text = json.dumps({"Records": some}) if number % 2 else "".join(json.dumps(each) + "\n" for each in some)
        if number % 3 == 0:
            text += "damage\n"
        file = folder / f"{number:02}.json{'.gz' if number % 4 else ''}"
        file.write_bytes(gzip.compress(text.encode()) if number % 4 else text.encode())
        files.append(file)
    files.insert(30, folder / "gone.json")
    return files


def write(path: Path, records: Iterable[JsonObject]) -> Path:
    """A file with one record a line."""
    path.write_text("".join(json.dumps(entry) + "\n" for entry in records), encoding="utf-8")
    return path


class Together(NamedTuple):
    """Batches as one."""

    records: int
    hits: list[Hit]
    problems: list[Problem]
    done_bytes: int


def together(batches: Iterable[Batch]) -> Together:
    """Batches as one; each hit has the text of its event, whose place depends on who read it."""
    whole = Together(0, [], [], 0)
    kept = KeptTexts()
    reader = HitRowReader(kept)
    for batch in batches:
        kept.extend(batch.events)
        hits = [reader.hit(row) for row in batch.hits]
        assert [json.loads(kept.text(hit.event)).get("eventID", "") for hit in hits] == [hit.event_id for hit in hits]
        whole.hits.extend(hit._replace(event=NOT_KEPT) for hit in hits)
        whole.problems.extend(batch.problems)
        whole = whole._replace(records=whole.records + batch.records, done_bytes=whole.done_bytes + batch.done_bytes)
    return whole


def time(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize("pipeline", [stellar_aws, stellar_aws_published])
def test_every_case_of_the_rules(tmp_path: Path, pipeline: Callable[[], ProcessingPipeline]) -> None:
    """Of the events of all rules, those that match are told, with all that alerts are made of, and no others."""
    pack = convert_pack(load_rules(), pipeline())
    records = [case.record for case in cases()]
    file = write(tmp_path / "a.json", records)
    matches = matched_queries(pack.query)
    expected = []
    for document in map(flatten, records):
        if names := matches(document):
            time, identity = document["timestamp"], document_id(document)
            assert isinstance(time, int)
            expected.append(to_hit(document, names, pack.keys(), time=time, identity=identity, origin=str(file)))
    assert len(expected) > 29
    assert together(scan_files([file], pack)) == Together(len(records), expected, [], file.stat().st_size)


def test_the_values_of_the_key_are_told(tmp_path: Path) -> None:
    """A hit has the values of the fields that its rule suppresses by, wherever in the record they stand."""
    fields = ("requestParameters.alarmNames", "tlsDetails.tlsVersion", "userIdentity.none", "a_b", "resources.x.y")
    pack = convert_pack(load_rules(), stellar_aws(), override=Override(fields=fields))
    odd: JsonObject = {"a": {"b": 1}, "a.b": True, "resources": [{"x": [{"y": "u"}, {"y": "v"}]}, {"x": {"y": 2}}, "z"]}
    known = record({**DELETED, "requestParameters": {"alarmNames": ["m", "n"]}, "tlsDetails": {"tlsVersion": "1.3"}})
    event: JsonObject = {**known, **odd}
    file = write(tmp_path / "a.json", [event])
    [hit] = together(scan_files([file], pack)).hits
    [(name, key)] = hit.matches
    assert pack.rules[name].title == "AWS CloudWatch Alarm Deletion"
    assert [value is None for value in key] == [False, False, True, False, False]
    identity = document_id(flatten(event))
    assert hit == to_hit(flatten(event), [name], pack.keys(), time=hit.time, identity=identity, origin=str(file))


@pytest.mark.parametrize(
    "event_id", ["REDACTED", "00000000-0000-0000-0000-000000000000", "6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60"]
)
def test_events_that_share_an_id(pack: Pack, tmp_path: Path, event_id: str) -> None:
    """Events are told apart by all that is in them, whatever their eventID; copies count once."""
    events: list[JsonObject] = [
        {**record(DELETED), "eventID": event_id, "additionalEventData": {"x": number}} for number in (1, 2, 1)
    ]
    hits = together(scan_files([write(tmp_path / "a.json", events)], pack)).hits
    assert hits[0].identity == hits[2].identity != hits[1].identity
    assert [hit.identity for hit in hits] == [document_id(flatten(event)) for event in events]


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        (None, None, [1, 2, 3]),
        ("2026-11-24T02:00:00", None, [2, 3]),
        (None, "2026-11-24T02:00:00", [1]),
        ("2026-11-24T02:00:00", "2026-11-24T03:00:00", [2]),
        ("2026-11-24T02:00:00.001", "2026-11-24T02:59:59.999", []),
        ("0001-01-01", "9999-12-31", [1, 2, 3]),
    ],
)
def test_bounds_of_time(pack: Pack, tmp_path: Path, since: str | None, until: str | None, hours: list[int]) -> None:
    """Events at the first bound are found, those at the second are not; all records are counted."""
    events = [record({**DELETED, "eventTime": f"2026-11-24T0{hour}:00:00Z"}) for hour in (1, 2, 3)]
    file = write(tmp_path / "a.json", events)
    found = together(scan_files([file], pack, time(since) if since else None, time(until) if until else None))
    assert [hit.time for hit in found.hits] == [
        round(time(f"2026-11-24T0{hour}:00:00").timestamp() * 1000) for hour in hours
    ]
    assert (found.records, found.problems) == (3, [])


@pytest.mark.parametrize("form", [1795521600, {"$date": "2026-11-24T12:00:00Z"}, "Nov 24, 2026 @ 12:00:00.000"])
def test_times_in_other_forms_are_compared(pack: Pack, tmp_path: Path, form: Json) -> None:
    """An event is within the bounds of time or not, in whatever form an export has its time."""
    file = write(tmp_path / "a.json", [record({**DELETED, "eventTime": form})])
    for since, number in (("2026-11-24T12:00:00", 1), ("2026-11-24T12:00:01", 0)):
        found = together(scan_files([file], pack, time(since)))
        assert ([hit.time for hit in found.hits], found.problems) == ([1795521600000] * number, [])


def test_an_event_without_time_is_told(pack: Pack, tmp_path: Path) -> None:
    """A matching event whose time cannot be read is found, and told with its line if a time is asked for."""
    other = record({**OTHER, "eventTime": ""})
    file = write(tmp_path / "a.json", [other, record({**DELETED, "eventTime": "yesterday"})])
    found = together(scan_files([file], pack))
    assert ([hit.time for hit in found.hits], found.problems) == ([None], [])
    for bounds in ((time("2026-11-24"), None), (None, time("2026-11-24"))):
        found = together(scan_files([file], pack, *bounds))
        assert (found.records, [hit.time for hit in found.hits]) == (2, [None])
        assert [problem[:2] for problem in found.problems] == [(file, 2)]


@pytest.mark.parametrize("held", [0, 10_000])
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_processes_make_no_difference(
    pack: Pack, tree: list[Path], start_method: str, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several processes find the same as one, in the same order, whether one may be ahead of the other or not."""
    alone = together(scan_files(tree, pack, processes=1))
    assert len(alone.hits) > 500
    assert {problem.file for problem in alone.problems} >= {tree[0], tree[30]}
    assert alone.done_bytes == sum(file.stat().st_size for file in tree if file.exists())
    monkeypatch.setattr(files, "_GROUP", 5000)
    monkeypatch.setattr(workers, "_MOST_WAITING", held)
    assert together(scan_files(tree, pack, processes=3, start_method=start_method)) == alone
    assert multiprocessing.active_children() == []


class Sender:
    """Stands for two processes, of which the second sends many empty batches while the first still has its turn."""

    def __init__(self, groups: int, batches: int) -> None:
        """Each group of the second has so many batches."""
        ends = [multiprocessing.Pipe(), multiprocessing.Pipe()]
        self.groups = [[Path(str(number))] for number in range(groups)]
        self.workers = [workers._Worker(multiprocessing.current_process(), ours, deque()) for ours, _ in ends]
        self.sent = 0
        self._turn = threading.Event()
        for send in (self._first, self._second):
            threading.Thread(target=send, args=(ends[send == self._second][1], batches), daemon=True).start()

    def _first(self, connection: Any, batches: int) -> None:
        connection.recv()
        self._turn.wait(60)
        connection.send(workers._message(Batch(7, [], [], 1)))
        connection.send(None)
        while connection.recv():
            connection.send(None)

    def _second(self, connection: Any, batches: int) -> None:
        while connection.recv():
            for _ in range(batches):
                connection.send(workers._message(Batch(1, [], [], 1)))
                self.sent += 1
            connection.send(None)

    def release(self, total: int) -> None:
        """Let the first go on when the second has sent all, or has been at a standstill for two seconds."""

        def watch() -> None:
            last, since = 0, monotonic()
            while last < total and (not last or monotonic() - since < 2):
                if self.sent != last:
                    last, since = self.sent, monotonic()
                sleep(0.01)
            self.stopped_at = last
            self._turn.set()

        threading.Thread(target=watch, daemon=True).start()


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches without a hit wait for those of an earlier file in a bounded number, too, and arrive in order."""
    monkeypatch.setattr(workers, "_MOST_WAITING", 100)
    sender = Sender(groups=2, batches=20_000)
    sender.release(20_000)
    found = list(workers._gather(sender.workers, sender.groups))
    assert [batch.records for batch in found] == [7] + [1] * 20_000
    # What the pipe takes is sent, too.
    assert sender.stopped_at < 5000


def test_what_waits_costs_no_time() -> None:
    """Thousands of groups that wait for a slow one are not counted again at each message."""
    sender = Sender(groups=8000, batches=1)
    sender.release(7998)
    before = thread_time()
    assert len(list(workers._gather(sender.workers, sender.groups))) == 7999
    assert thread_time() - before < 4


def test_processes_are_for_much_data(pack: Pack, tree: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A little is looked through at once; for much there are processes, but not more than the files are worth."""

    def processes(files: list[Path]) -> int:
        batches = scan_files(files, pack)
        next(batches)
        return len(multiprocessing.active_children())

    monkeypatch.setattr(files, "_GROUP", 1)
    assert processes(tree) == 0
    monkeypatch.setattr(files, "_SMALL", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(64))
    assert processes(tree) == files.MOST_PROCESSES
    assert processes(tree[:2]) == 2
    assert processes(tree[:1]) == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(1))
    assert processes(tree) == 0


def test_no_files(pack: Pack) -> None:
    """In no files nothing is found."""
    assert list(scan_files([], pack)) == []


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_process_that_ends_is_an_error(
    pack: Pack, tree: list[Path], start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a process is killed the run fails, with a word about where it was, and the others are ended."""
    monkeypatch.setattr(files, "_GROUP", 1)
    # So many that one cannot have read all of them while the other still starts.
    batches = scan_files(tree * 10, pack, processes=2, start_method=start_method)
    next(batches)
    victim = multiprocessing.active_children()[0]
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    with pytest.raises(ChildProcessError, match=r"reading .*json.* was ended by signal 9; .*memory"):
        list(batches)
    assert multiprocessing.active_children() == []


def test_a_process_that_fails_is_an_error(pack: Pack, tree: list[Path]) -> None:
    """When a process fails the run fails, and says how."""
    unknown = pack._replace(query=dsl.pack([dsl.named(dsl.match_phrase("eventName", "a"), "1")]))
    with pytest.raises(ChildProcessError, match=r"(?s)reading .*\.json.* failed.*UnknownClauseError"):
        list(scan_files(tree, unknown, processes=2, start_method="fork"))
    assert multiprocessing.active_children() == []


def test_nobody_is_left_behind(pack: Pack, tree: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes end when nobody wants to know what they find."""
    monkeypatch.setattr(files, "_GROUP", 1)
    batches = scan_files(tree, pack, processes=2, start_method="fork")
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()  # type: ignore[attr-defined]  # it is a generator
    assert multiprocessing.active_children() == []


ENDLESS = """
import multiprocessing, pickle, sys
from pathlib import Path
from sigma_stellar_aws.alerts import files
if __name__ == "__main__":
    pack, tree = pickle.load(open(sys.argv[1], "rb"))
    files._GROUP = 1
    for batch in files.scan_files(tree * 1000, pack, processes=2, start_method=sys.argv[2]):
        print(*(process.pid for process in multiprocessing.active_children()), flush=True)
"""


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_ends_all(
    pack: Pack, tree: list[Path], tmp_path: Path, start_method: str, sent: signal.Signals
) -> None:
    """Ctrl-C, which all processes get, and the death of the first end all, and no process says more than the first."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    (tmp_path / "input").write_bytes(pickle.dumps((pack, tree)))
    command = [sys.executable, str(tmp_path / "endless.py"), str(tmp_path / "input"), start_method]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=as_in_foreground,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        processes = [int(number) for number in process.stdout.readline().split()]
        assert len(processes) == 2
        if sent is signal.SIGINT:
            os.killpg(process.pid, sent)
        else:
            process.kill()
        # The pipes end with the last process that has them.
        process.stdout.read()
        errors = process.stderr.read()
        process.wait(timeout=30)
    assert errors.count("Traceback") == (sent is signal.SIGINT), errors
    # A process closes its pipes shortly before it is gone.
    deadline = monotonic() + 10
    while any(map(_runs, processes)):
        assert monotonic() < deadline
        sleep(0.01)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def test_a_process_loads_nothing_of_sigma() -> None:
    """What a process needs is loaded without any part of pySigma, which takes longer to load than it has to read."""
    script = "import sigma_stellar_aws.alerts.files, sys; print([n for n in sys.modules if n.split('.')[0] == 'sigma'])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_hits_and_problems_can_be_sent() -> None:
    """What processes send arrives as it was."""
    row = HitRow(1, "i", 2, 3, 4, b"5", 6)
    batch = Batch(1, [row, row._replace(time=None)], [Problem(Path("a"), 1, "r")], 5)
    ours, theirs = multiprocessing.Pipe()
    ours.send(workers._message(batch))
    found = workers._receive(workers._Worker(multiprocessing.current_process(), theirs, deque()))
    assert found is not None
    assert found.size() == 4
    assert found.whole() == batch
