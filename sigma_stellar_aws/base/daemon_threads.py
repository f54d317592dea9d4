"""Threads for work that waits for a network."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


class DaemonThreads:
    """Threads that do tasks one after the other.

    Nobody waits for them at the end, in contrast to those of :mod:`concurrent.futures`: who presses Ctrl-C while a
    server does not answer is not kept for minutes.

    >>> with DaemonThreads(2) as threads:
    ...     threads.submit(lambda: 6 * 7).result()
    42
    """

    def __init__(self, count: int) -> None:
        """Start so many threads."""
        self._tasks: SimpleQueue[tuple[Future[object], Callable[[], None]] | None] = SimpleQueue()
        self._count = count
        for _ in range(count):
            Thread(target=self._work, daemon=True).start()

    def __enter__(self) -> "DaemonThreads":
        """Return this."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close this."""
        self.close()

    def submit(self, task: Callable[[], T]) -> "Future[T]":
        """Have a task done."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                result = task()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._tasks.put((future, run))  # type: ignore[arg-type]  # a queue of futures of any kind
        return future

    def close(self) -> None:
        """Cancel what was not begun, and let the threads end; what was begun goes on until it ends by itself."""
        try:
            while given := self._tasks.get_nowait():
                given[0].cancel()
        except Empty:
            pass
        for _ in range(self._count):
            self._tasks.put(None)

    def _work(self) -> None:
        while given := self._tasks.get():
            future, run = given
            if future.set_running_or_notify_cancel():
                run()
