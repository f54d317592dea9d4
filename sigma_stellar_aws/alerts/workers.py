"""Search files with several processes, and put what they find into the order of the files."""

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
from typing import NamedTuple, TypeAlias

from sigma_stellar_aws.alerts.file_search import Batch, FileSearch, SearchTask
from sigma_stellar_aws.alerts.hit_rows import HIT_ROWS
from sigma_stellar_aws.base.garbage import rare_collections
from sigma_stellar_aws.base.kept_texts import new_writer


class _Found(NamedTuple):
    """A batch whose hits are apart, packed: they take a fifth of the memory while they wait for their turn."""

    batch: Batch
    hit_count: int
    hits: bytes

    def size(self) -> int:
        # Batches in which nothing was found take room, too.
        return 1 + self.hit_count + len(self.batch.problems)

    def whole(self) -> Batch:
        return self.batch._replace(hits=HIT_ROWS.unpack(self.hits))


_Message: TypeAlias = _Found | str | None
"""What a process sends: what it found, the traceback that it fails with, or None after each group."""
_ParentEnd: TypeAlias = "Connection[list[Path], _Message]"
_WorkerEnd: TypeAlias = "Connection[_Message, list[Path]]"

_KILLED = 9
"""SIGKILL, which not every system has."""
_MOST_WAITING = 10_000
"""Hits, problems and batches that may wait for those of an earlier file."""


class _Worker(NamedTuple):
    process: BaseProcess
    connection: _ParentEnd
    given: deque[tuple[int, list[Path]]]
    """The groups that it was given and has not finished, with their numbers."""


def with_processes(groups: list[list[Path]], task: SearchTask, number: int, start_method: str) -> Iterator[Batch]:
    """Search groups of files with several processes; yield what they find in the order of the groups."""
    workers: list[_Worker] = []
    try:
        with _deaf_to_interrupts():
            for _ in range(number):
                workers.append(
                    _start(task._replace(writer=new_writer()), start_method, [worker.connection for worker in workers])
                )
        yield from _gather(workers, groups)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.connection.close()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes in here that ignore Ctrl-C, which is for this process to act on."""
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


def _start(task: SearchTask, start_method: str, others: list[_ParentEnd]) -> _Worker:
    context = multiprocessing.get_context(start_method)
    ours, theirs = context.Pipe()
    # A fork has all that this process has; with these open it would not see that this one ended.
    inherited = [ours, *others] if start_method == "fork" else []
    process = context.Process(target=_work, args=(theirs, task, inherited), daemon=True)  # type: ignore[attr-defined]
    process.start()
    # Likewise, so that the end of the process is the end of what can be read.
    theirs.close()
    return _Worker(process, ours, deque())


def _work(connection: _WorkerEnd, task: SearchTask, inherited: list[_ParentEnd]) -> None:
    """Search groups of files as they are given; send what is found, and None after each group."""
    for other in inherited:
        other.close()
    try:
        with rare_collections():
            search = FileSearch(task)
            while True:
                for batch in search.batches(connection.recv()):
                    connection.send(_message(batch))
                connection.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # Nobody wants to know any more.
        return
    except BaseException:
        connection.send(traceback.format_exc())


def _message(batch: Batch) -> _Message:
    return _Found(batch._replace(hits=[]), len(batch.hits), HIT_ROWS.pack(batch.hits))


def _gather(workers: list[_Worker], groups: list[list[Path]]) -> Iterator[Batch]:
    """Yield what the workers find, in the order of the groups."""
    remaining = iter(enumerate(groups))
    waiting: defaultdict[int, list[_Found]] = defaultdict(list)
    # Kept up with every batch: to add up all that waits at each message would take ever longer.
    waiting_size = 0
    finished: set[int] = set()
    # One more than it works at, so that it need not wait.
    for worker in workers * 2:
        _give(worker, remaining)
    for number in range(len(groups)):
        while True:
            batches = waiting.pop(number, [])
            waiting_size -= sum(map(_Found.size, batches))
            yield from map(_Found.whole, batches)
            if number in finished:
                finished.remove(number)
                break
            # The others pause while too much from them waits, but never the one whose turn it is.
            for worker in _with_news(workers, number if waiting_size > _MOST_WAITING else None):
                found = _receive(worker)
                if found is None:
                    finished.add(worker.given.popleft()[0])
                    _give(worker, remaining)
                else:
                    waiting[worker.given[0][0]].append(found)
                    waiting_size += found.size()


def _give(worker: _Worker, remaining: Iterator[tuple[int, list[Path]]]) -> None:
    given = next(remaining, None)
    if given is not None:
        worker.given.append(given)
        # If it has ended, its last words say why.
        with suppress(OSError):
            worker.connection.send(given[1])


def _with_news(workers: list[_Worker], only: int | None) -> list[_Worker]:
    """Return the workers that sent something or ended; with a group's number, only the worker that is at it."""
    asked = [worker for worker in workers if worker.given and only in (None, worker.given[0][0])]
    ready = wait([worker.connection for worker in asked])
    return [worker for worker in asked if worker.connection in ready]


def _receive(worker: _Worker) -> _Found | None:
    """Receive what a worker found, or None where it finished a group."""
    try:
        message = worker.connection.recv()
    except (EOFError, OSError) as error:
        raise _ended(worker) from error
    if isinstance(message, str):
        raise ChildProcessError(f"the process that was reading {_files_of(worker)} failed:\n{message}")
    return message


def _ended(worker: _Worker) -> ChildProcessError:
    worker.process.join()
    code = worker.process.exitcode
    how = f"with exit code {code}" if code is None or code >= 0 else f"by signal {-code}"
    memory = "; a system that runs out of memory ends processes like that" if code == -_KILLED else ""
    return ChildProcessError(f"the process that was reading {_files_of(worker)} was ended {how}{memory}: run again")


def _files_of(worker: _Worker) -> str:
    files = worker.given[0][1]
    return str(files[0]) if len(files) == 1 else f"{files[0]} to {files[-1]}"
