"""A server that answers every request alike."""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answers(BaseHTTPRequestHandler):
    """A store that answers every request alike, and remembers who it was asked by."""

    status = 200
    body: Mapping[str, object]
    bodies: Mapping[str, object]
    """Answers to requests of these paths, instead."""
    text: bytes | None = None
    """The answer to all requests, instead of JSON."""
    hangs_up = False
    """Whether nothing is answered."""
    seen: list[str | None]

    def do_POST(self) -> None:
        """Answer."""
        self.seen.append(self.headers["Authorization"])
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.hangs_up:
            self.close_connection = True
            return
        content = self.text
        if content is None:
            content = json.dumps(self.bodies.get(self.path.partition("?")[0], self.body)).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_DELETE = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@contextmanager
def answering(
    status: int, body: Mapping[str, object], certificate: Path | None = None
) -> Iterator[tuple[str, type[Answers]]]:
    """A server on loopback that answers as told, over TLS if it has a certificate (PEM with its key)."""
    handler = type("Answers", (Answers,), {"status": status, "body": body, "bodies": {}, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'https' if certificate else 'http'}://localhost:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()


def self_signed(folder: Path) -> Path:
    """Make a certificate for localhost with its key (PEM), which only the file ``ca.pem`` beside it makes trusted."""
    certificate = folder / "server.pem"
    # fmt: off
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", certificate, "-out", folder / "ca.pem"],
        check=True, capture_output=True,
    )
    # fmt: on
    certificate.write_bytes(certificate.read_bytes() + (folder / "ca.pem").read_bytes())
    return certificate
