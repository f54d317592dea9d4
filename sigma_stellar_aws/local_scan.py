"""Looks for events that match rules in CloudTrail files, with as many processes as there are cores.

What a process needs is loaded quickly: no part of Sigma is, which is what keeps it small, too.
"""

import multiprocessing
import os
import signal
import traceback
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from sigma_stellar_aws.dsl import Clause, fields
from sigma_stellar_aws.flatten import TIME_FIELD, document_id, flat_name, flatten, is_uuid, millis
from sigma_stellar_aws.hits import Hit, to_hit
from sigma_stellar_aws.index_template import EVENT_FIELDS
from sigma_stellar_aws.jsontypes import JsonObject
from sigma_stellar_aws.reader import Problem, read_parts, stored_size
from sigma_stellar_aws.screen import screened

if TYPE_CHECKING:
    from sigma_stellar_aws.pack import Pack

MOST_PROCESSES = 3
"""More would take more memory than an analyst's machine may be asked for: about 40 MB each."""

_SMALL = 64 << 20
"""Bytes of text up to which starting processes takes longer than they save."""
_EXPANSION = 10
"""What compressed logs expand to, about."""
_GROUP = 1 << 20
"""Bytes of small files that are given to a process at one go."""
_GROUP_NAMES = 2048
"""Characters of their names: two groups fit into any pipe, so that giving one never has to wait for the process."""
_BATCH_RECORDS, _BATCH_HITS, _BATCH_PROBLEMS = 20_000, 500, 100
_MOST_KEYS = 100_000
_MOST_HELD = 10_000
"""Hits and problems that wait for those of an earlier file."""


class Batch(NamedTuple):
    """What was found in some records."""

    records: int
    hits: list[Hit]
    problems: list[Problem]
    """What could not be read, or not be compared with the times that are asked for."""
    done_bytes: int
    """How many bytes of the files it took, as they are stored."""


def scan_files(
    files: Sequence[Path],
    pack: "Pack",
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    processes: int | None = None,
    start_method: str = "spawn",
) -> Iterator[Batch]:
    """Look for matching events in files; what is found comes in the order of the files, and of the records in them.

    Args:
        files: CloudTrail files in any form that :mod:`sigma_stellar_aws.reader` reads.
        pack: the rules.
        since: only events from then on; aware of its time zone, as is the next.
        until: only events before that.
        processes: how many read; by default one a core, up to :data:`MOST_PROCESSES`, and for little data only this.
        start_method: of :mod:`multiprocessing`.

    Raises:
        ChildProcessError: a process ended before its time, so that what it read is lost.
    """
    first, end = (None if time is None else millis(time) for time in (since, until))
    task = _Task(pack.query, pack.keys(), first, end)
    groups = list(_groups(files))
    number = min(len(groups), _suitable(files) if processes is None else processes)
    if number > 1:
        yield from _with_processes(groups, task, number, start_method)
        return
    search = _Search(task)
    for group in groups:
        yield from search.batches(group)


class _Task(NamedTuple):
    """What to look for; times are milliseconds since 1970-01-01 UTC."""

    query: Clause
    keys: Mapping[str, tuple[str, ...]]
    since: int | None
    until: int | None


class _Search:
    """What to look for, made ready."""

    def __init__(self, task: _Task) -> None:
        self._task = task
        self._candidates = screened(task.query)
        tested = {
            TIME_FIELD,
            *fields(task.query),
            *EVENT_FIELDS,
            *(field for key in task.keys.values() for field in key),
        }
        self._used = _Used(tested)

    def batches(self, files: Sequence[Path]) -> Iterator[Batch]:
        """What is found in files."""
        records = done_bytes = 0
        hits: list[Hit] = []
        problems: list[Problem] = []
        for file in files:
            for part in read_parts(file, problems.append, lambda source, name: bool(self._candidates(source, name))):
                records += part.records
                done_bytes += part.done_bytes
                for line, record in part.passing:
                    self._look_at(record, file, line, hits, problems)
                if records >= _BATCH_RECORDS or len(hits) >= _BATCH_HITS or len(problems) >= _BATCH_PROBLEMS:
                    yield Batch(records, hits[:], problems[:], done_bytes)
                    records = done_bytes = 0
                    hits.clear()
                    problems.clear()
        yield Batch(records, hits, problems, done_bytes)

    def _look_at(self, record: JsonObject, file: Path, line: int, hits: list[Hit], problems: list[Problem]) -> None:
        candidates = self._candidates(record.get("eventSource"), record.get("eventName"))
        document = flatten(_useful(record, self._used))
        names = [name for name, matches in candidates if matches(document)]
        if not names:
            return
        event_id = document.get("eventID")
        time = document.get(TIME_FIELD)
        if not isinstance(time, int):
            if self._task.since is not None or self._task.until is not None:
                problems.append(Problem(file, line, f"event {event_id!r} matches, but has no eventTime to compare"))
                return
            time = None
        elif (self._task.since is not None and time < self._task.since) or (
            self._task.until is not None and time >= self._task.until
        ):
            return
        identity = event_id if is_uuid(event_id) else document_id(flatten(record))
        hits.append(to_hit(document, names, self._task.keys, time=time, identity=identity, place=str(file)))


class _Used(dict[tuple[str, str], str]):
    """For the beginning of a flattened name and a key that follows: what they come to, empty if it is of no use."""

    def __init__(self, names: Iterable[str]) -> None:
        """The flattened names that are of use."""
        self._names = tuple(names)

    def __missing__(self, path: tuple[str, str]) -> str:
        name = path[0] + (flat_name(path[1]) or "_")
        used = any(f"{each}_".startswith(f"{name}_") for each in self._names)
        # Keys may be anything, such as names of tags.
        if len(self) < _MOST_KEYS:
            self[path] = name if used else ""
        return name if used else ""


def _useful(record: JsonObject, used: _Used, prefix: str = "") -> JsonObject:
    """What of a record comes to flattened names that are of use."""
    kept: JsonObject = {}
    for key, value in record.items():
        if name := used[prefix, key]:
            if isinstance(value, dict):
                value = _useful(value, used, f"{name}_")
            elif isinstance(value, list):
                value = [_useful(each, used, f"{name}_") if isinstance(each, dict) else each for each in value]
            kept[key] = value
    return kept


def _suitable(files: Sequence[Path]) -> int:
    text = sum(stored_size(file) * (_EXPANSION if file.suffix == ".gz" else 1) for file in files)
    if text < _SMALL:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_PROCESSES)


def _groups(files: Sequence[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    size = length = 0
    for file in files:
        group.append(file)
        size += stored_size(file)
        length += len(str(file))
        if size >= _GROUP or length >= _GROUP_NAMES:
            yield group
            group, size, length = [], 0, 0
    if group:
        yield group


class _Worker(NamedTuple):
    process: BaseProcess
    connection: "Connection[object, object]"
    given: deque[tuple[int, list[Path]]]
    """The groups that it was given and has not finished, with their numbers."""


def _with_processes(groups: list[list[Path]], task: _Task, number: int, start_method: str) -> Iterator[Batch]:
    workers: list[_Worker] = []
    try:
        with _deaf_to_interrupts():
            for _ in range(number):
                workers.append(_start(task, start_method, [worker.connection for worker in workers]))
        yield from _gather(workers, groups)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.connection.close()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C, which is for this one to act on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It comes with the first process that is spawned, and would make this one hear again before that is there.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(task: _Task, start_method: str, others: "list[Connection[object, object]]") -> _Worker:
    context = multiprocessing.get_context(start_method)
    ours, theirs = context.Pipe()
    # A fork has all that this process has; with these open it would not see that this one ended.
    inherited = [ours, *others] if start_method == "fork" else []
    process = context.Process(target=_work, args=(theirs, task, inherited), daemon=True)  # type: ignore[attr-defined]
    process.start()
    # Likewise, so that the end of the process is the end of what can be read.
    theirs.close()
    return _Worker(process, ours, deque())


def _work(connection: "Connection[object, object]", task: _Task, inherited: "list[Connection[object, object]]") -> None:
    """Look through groups of files, as they are given, and send what is found, and None behind each group."""
    for other in inherited:
        other.close()
    try:
        search = _Search(task)
        while True:
            for batch in search.batches(cast("list[Path]", connection.recv())):
                connection.send(batch)
            connection.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # Nobody wants to know any more.
        return
    except BaseException:
        connection.send(traceback.format_exc())


def _gather(workers: list[_Worker], groups: list[list[Path]]) -> Iterator[Batch]:
    """What the workers find, in the order of the groups."""
    left = iter(enumerate(groups))
    found: defaultdict[int, list[Batch]] = defaultdict(list)
    finished: set[int] = set()
    # One more than it works at, so that it need not wait.
    for worker in workers * 2:
        _give(worker, left)
    for number in range(len(groups)):
        while True:
            yield from found.pop(number, ())
            if number in finished:
                break
            # The others wait while there is too much from them, but never the one whose turn it is.
            held = sum(len(batch.hits) + len(batch.problems) for batches in found.values() for batch in batches)
            for worker in _with_news(workers, number if held > _MOST_HELD else None):
                news = _receive(worker)
                if news is None:
                    finished.add(worker.given.popleft()[0])
                    _give(worker, left)
                else:
                    found[worker.given[0][0]].append(news)


def _give(worker: _Worker, left: Iterator[tuple[int, list[Path]]]) -> None:
    given = next(left, None)
    if given is not None:
        worker.given.append(given)
        # If it has ended, its last words say why.
        with suppress(OSError):
            worker.connection.send(given[1])


def _with_news(workers: list[_Worker], only: int | None) -> list[_Worker]:
    """The workers that sent something or ended; if one group is given, the worker that is at it."""
    asked = [worker for worker in workers if worker.given and only in (None, worker.given[0][0])]
    ready = wait([worker.connection for worker in asked])
    return [worker for worker in asked if worker.connection in ready]


def _receive(worker: _Worker) -> Batch | None:
    """What a worker sends: what it found, or None where it finished a group."""
    try:
        news = worker.connection.recv()
    except (EOFError, OSError) as error:
        raise _ended(worker) from error
    if isinstance(news, str):
        raise ChildProcessError(f"the process that was reading {_at(worker)} failed:\n{news}")
    return cast("Batch | None", news)


def _ended(worker: _Worker) -> ChildProcessError:
    worker.process.join()
    code = worker.process.exitcode
    how = f"with exit code {code}" if code is None or code >= 0 else f"by signal {-code}"
    memory = "; a system without memory ends processes so" if code == -signal.SIGKILL else ""
    return ChildProcessError(f"the process that was reading {_at(worker)} was ended {how}{memory}: run again")


def _at(worker: _Worker) -> str:
    files = worker.given[0][1]
    return str(files[0]) if len(files) == 1 else f"{files[0]} to {files[-1]}"
