"""A server that speaks HTTP as nobody should: each request is answered by a function that writes the bytes itself."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeAlias


class Request(NamedTuple):
    """A request that arrived."""

    line: str
    """Method, path and version."""
    headers: Mapping[str, str]
    body: bytes
    is_wanted: Callable[[], bool]
    """Whether the server still runs, so that an answer without end ends with it."""


Rogue: TypeAlias = Callable[[Request, Callable[[bytes], None]], None]
"""Answers a request: is given what writes bytes."""


def head(status: str = "200 OK", **headers: object) -> bytes:
    """The head of an answer of JSON, with further headers (``_`` for ``-``)."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Type: application/json", *lines, "", ""]).encode()


def answer(body: bytes, status: str = "200 OK", **headers: object) -> bytes:
    """A whole answer."""
    return head(status, Content_Length=len(body), **headers) + body


@contextmanager
def rogue(behave: Rogue) -> Iterator[str]:
    """A server on loopback; its URL."""
    running = threading.Event()
    running.set()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while running.is_set() and (line := self.rfile.readline()):
                    lines = iter(self.rfile.readline, b"\r\n")
                    pairs = (each.decode("latin-1").rstrip().partition(": ") for each in lines)
                    headers = {name.lower(): value for name, _, value in pairs}
                    body = self.rfile.read(int(headers.get("content-length", 0)))
                    request = Request(line.decode("latin-1").rstrip(), headers, body, running.is_set)
                    behave(request, self.connection.sendall)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            running.clear()
            server.shutdown()
            server.block_on_close = False
