"""A proxy before a data store that kills the process which asks through it, at a request of choice."""

import http.client
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Literal
from urllib.parse import urlsplit

Moment = Literal["before", "after"]
"""Whether the store gets the request that the process is killed at."""


class Killer(ThreadingHTTPServer):
    """Passes requests on and counts them."""

    daemon_threads = True

    def __init__(self, store_url: str) -> None:
        """Stand before a store."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = urlsplit(store_url).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[str] = []
        self.lock = Lock()
        self.process: subprocess.Popen[str] | None = None
        self.number = 0
        self.moment: Moment = "before"

    def run(self, command: list[str], number: int = 0, moment: Moment = "before") -> int:
        """Run a command, killed at the request of this number (from 1 on), if there is one; its exit code."""
        self.requests.clear()
        self.number, self.moment = number, moment
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        _, errors = self.process.communicate(timeout=120)
        if self.process.returncode > 0:
            raise AssertionError(errors)
        return self.process.returncode

    def kill(self, number: int, moment: Moment) -> bool:
        """Kill the process if this is the time for it."""
        if self.process is None or (number, moment) != (self.number, self.moment):
            return False
        self.process.kill()
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Killer

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            self.server.requests.append(f"{self.command} {self.path}")
            number = len(self.server.requests)
        if self.server.kill(number, "before"):
            return
        connection = http.client.HTTPConnection(self.server.store, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if self.server.kill(number, "after"):
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def killer(store_url: str) -> Iterator[Killer]:
    """A running proxy before a store."""
    with Killer(store_url) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
