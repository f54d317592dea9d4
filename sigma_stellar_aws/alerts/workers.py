"""Processes that look through files, and what they find in the order of the files."""

import multiprocessing
import signal
import traceback
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple, cast

from sigma_stellar_aws.alerts.file_search import Batch, Search, Task

_MOST_HELD = 10_000
"""Hits and problems that wait for those of an earlier file."""


class _Worker(NamedTuple):
    process: BaseProcess
    connection: "Connection[object, object]"
    given: deque[tuple[int, list[Path]]]
    """The groups that it was given and has not finished, with their numbers."""


def with_processes(groups: list[list[Path]], task: Task, number: int, start_method: str) -> Iterator[Batch]:
    """Search groups of files with several processes; yield what they find in the order of the groups."""
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


def _start(task: Task, start_method: str, others: "list[Connection[object, object]]") -> _Worker:
    context = multiprocessing.get_context(start_method)
    ours, theirs = context.Pipe()
    # A fork has all that this process has; with these open it would not see that this one ended.
    inherited = [ours, *others] if start_method == "fork" else []
    process = context.Process(target=_work, args=(theirs, task, inherited), daemon=True)  # type: ignore[attr-defined]
    process.start()
    # Likewise, so that the end of the process is the end of what can be read.
    theirs.close()
    return _Worker(process, ours, deque())


def _work(connection: "Connection[object, object]", task: Task, inherited: "list[Connection[object, object]]") -> None:
    """Look through groups of files, as they are given, and send what is found, and None behind each group."""
    for other in inherited:
        other.close()
    try:
        search = Search(task)
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
