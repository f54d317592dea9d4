"""A proxy in front of a real engine that does to some of its requests and answers what networks and busy nodes do."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, TypeAlias

import urllib3

from sigma_stellar_aws.base.json_types import JsonObject


class Answer(NamedTuple):
    """What goes back to the client; None for the status of a connection that is closed without an answer."""

    status: int | None
    body: bytes
    cut: bool = False
    """Whether the connection ends within the body."""
    headers: tuple[tuple[str, str], ...] = ()
    """More of them."""
    pause_seconds: float = 0.0
    """Before each byte of the body, if there is one."""


class Asked(NamedTuple):
    """A request that arrived."""

    method: str
    path: str
    body: bytes


Forward: TypeAlias = Callable[[bytes], Answer]
_OWN_HEADERS = ("host", "content-length", "connection", "accept-encoding")
Fault: TypeAlias = Callable[[Asked, Forward], Answer]
"""Answers a request in place of the engine, or with what the engine answers to a body."""


def status(number: int) -> Fault:
    """An answer that says that it did not work, of a request that never arrived."""
    error = {"type": "some_exception", "reason": "on purpose"}
    return lambda asked, forward: Answer(number, json.dumps({"error": error, "status": number}).encode())


def lost(asked: Asked, forward: Forward) -> Answer:
    """The request arrives and the answer does not."""
    forward(asked.body)
    return Answer(None, b"")


def refused(asked: Asked, forward: Forward) -> Answer:
    """The connection ends before the request arrives."""
    return Answer(None, b"")


def cut(asked: Asked, forward: Forward) -> Answer:
    """The connection ends in the midst of the answer."""
    return forward(asked.body)._replace(cut=True)


def slow(asked: Asked, forward: Forward) -> Answer:
    """The answer takes longer than the client waits."""
    answer = forward(asked.body)
    time.sleep(SLOW)
    return answer


SLOW = 3.0
"""Seconds."""

PATIENCE = 1.5
"""Seconds that a client waits which does not wait for a slow answer, but for a busy machine."""


def trickling(asked: Asked, forward: Forward) -> Answer:
    """The answer comes byte by byte, each soon enough."""
    return forward(asked.body)._replace(pause_seconds=0.02)


def bomb(asked: Asked, forward: Forward) -> Answer:
    """An answer that is a thousand times as large once it is unpacked."""
    return Answer(200, gzip.compress(b" " * 10**6), headers=(("Content-Encoding", "gzip"),))


def large(asked: Asked, forward: Forward) -> Answer:
    """An answer of two megabytes."""
    return Answer(200, b" " * 2 * 1024**2)


def shard_failure(asked: Asked, forward: Forward) -> Answer:
    """A shard fails, so that its hits, if any were asked for, are missing, in each answer of several."""

    def change(answer: dict[str, Any]) -> None:
        for one in answer.get("responses", [answer]):
            one["_shards"] = {"total": 2, "successful": 1, "failed": 1}
            if "hits" in one:
                one["hits"]["hits"] = one["hits"]["hits"][::2]

    return changed(change)(asked, forward)


def timed_out(asked: Asked, forward: Forward) -> Answer:
    """The search ends before all shards are done."""

    def change(answer: dict[str, Any]) -> None:
        for one in answer.get("responses", [answer]):
            one["timed_out"] = True
            if "hits" in one:
                one["hits"]["hits"] = []

    return changed(change)(asked, forward)


def changed(change: Callable[[dict[str, Any]], None]) -> Fault:
    """The engine's answer, changed."""

    def fault(asked: Asked, forward: Forward) -> Answer:
        answer = forward(asked.body)
        body: JsonObject = json.loads(answer.body)
        change(body)
        return answer._replace(body=json.dumps(body).encode())

    return fault


class Proxy(NamedTuple):
    """A proxy that runs."""

    url: str
    asked: list[Asked]
    """The requests so far."""
    connections: set[int]
    """The ports of clients whose connections are open."""

    def wait_until_closed(self, seconds: float) -> bool:
        """Whether the clients close all connections within some time."""
        deadline = time.monotonic() + seconds
        while self.connections and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.connections

    def paths(self, method: str) -> list[str]:
        """Those of one method."""
        return [asked.path.partition("?")[0] for asked in self.asked if asked.method == method]


@contextmanager
def proxy(url: str, fault_of: Callable[[Asked], Fault | None]) -> Iterator[Proxy]:
    """A proxy on loopback.

    Args:
        url: the engine.
        fault_of: what is to happen to a request; None for nothing.
    """
    engine = urllib3.PoolManager(maxsize=16)
    asked: list[Asked] = []
    connections: set[int] = set()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are written apart, and the second would wait for the first to be confirmed.
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            connections.add(self.client_address[1])

        def finish(self) -> None:
            super().finish()
            connections.discard(self.client_address[1])

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Asked(self.command, self.path, body)
            with lock:
                asked.append(request)
                fault = fault_of(request)
            answer = fault(request, self.forward) if fault else self.forward(body)
            try:
                self.answer(answer)
            except OSError:
                self.close_connection = True

        do_GET = do_HEAD = do_DELETE = do_PUT = do_POST  # noqa: N815

        def forward(self, body: bytes) -> Answer:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN_HEADERS}
            answer = engine.request(self.command, url + self.path, body=body or None, headers=headers, retries=False)
            return Answer(answer.status, answer.data)

        def answer(self, answer: Answer) -> None:
            self.close_connection = answer.status is None or answer.cut
            if answer.status is None:
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            for byte in answer.body if answer.pause_seconds else b"":
                time.sleep(answer.pause_seconds)
                self.wfile.write(bytes([byte]))
            if answer.pause_seconds:
                return
            self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # A client that reads no further is none of its errors.
    server.handle_error = lambda request, address: None  # type: ignore[method-assign, assignment]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield Proxy(f"http://127.0.0.1:{server.server_port}", asked, connections)
    finally:
        server.shutdown()
        server.server_close()
        engine.clear()


def every(number: int, fault: Fault, of: Callable[[Asked], bool]) -> Callable[[Asked], Fault | None]:
    """A fault of each so many requests of a kind, the last of each so many."""
    count = 0

    def fault_of(asked: Asked) -> Fault | None:
        nonlocal count
        if not of(asked):
            return None
        count += 1
        return fault if count % number == 0 else None

    return fault_of
