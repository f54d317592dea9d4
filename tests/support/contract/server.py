"""What the contract servers share: HTTP, a record of the requests, faults on demand, schemas."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema

from sigma_stellar_aws.base.json_types import Json, JsonObject

_SCHEMAS = Path(__file__).parents[2] / "schemas"
_LOGIN_PAGE = "<!DOCTYPE html><html><body><form>Please log in</form></body></html>"
# These statuses come from what stands in front of a server, which speaks no JSON.
_PROXY = (502, 503, 504)

Inner: TypeAlias = Mapping[str, "str | tuple[int, str]"]
"""Errors inside an answer with status 200: see `ContractServer.fail`."""

Fault: TypeAlias = int | Literal["cut", "cut_after", "html", "redirect"] | Inner
"""What goes wrong: see `ContractServer.fail`."""


class Part(NamedTuple):
    """One part of a multipart upload."""

    filename: str
    text: str


class Request(NamedTuple):
    """A request as it arrived.

    `path` is without query, names of headers are in lower case, `body` is a text where it is no JSON.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Json
    parts: dict[str, Part]


class Answer(NamedTuple):
    """An answer; a text is sent as it is, everything else as JSON."""

    status: int
    body: Json
    content_type: str = "application/json"
    location: str = ""


class Call(NamedTuple):
    """A request to one of the routes: what its pattern caught, and the errors that the answer shall hold."""

    request: Request
    caught: Mapping[str, str]
    inner: Inner


class Route(NamedTuple):
    """One call of a contract; `pattern` is a regular expression for the whole path."""

    method: str
    pattern: str
    handle: Callable[[Call], Answer]


class RefusedError(Exception):
    """The server refuses a request."""

    def __init__(self, status: int, message: str) -> None:
        """Keep what is told to the client."""
        super().__init__(message)
        self.status = status


@dataclass
class _Planned:
    method: str
    path: re.Pattern[str]
    what: Fault | Callable[[], object]
    skip: int
    times: int

    def due(self, request: Request) -> bool:
        if self.times < 1 or request.method != self.method or not self.path.search(request.path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class ContractServer:
    """State of a server, and what a test may ask of it.

    Attributes:
        url: where it listens, such as ``http://localhost:54321``, with the base path if it has one.
        requests: every request so far, refused ones too.
        violations: what a client did against the contract, in words; also where the server let it pass.
    """

    routes: Sequence[Route] = ()

    def __init__(self, credentials: Sequence[str] = ()) -> None:
        """Begin with no state; `credentials` are the `Authorization` headers that are let in, all if there is none."""
        self.url = ""
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.lock = threading.RLock()
        self._credentials = credentials
        self._planned: list[_Planned] = []

    def fail(self, method: str, path_regex: str, fault: Fault, *, skip: int = 0, times: int = 1) -> None:
        """Let requests go wrong.

        Args:
            method: of the requests.
            path_regex: found anywhere in their paths (query not included).
            fault: a status, answered before anything happens; "cut", the connection is closed before anything
                happens; "cut_after", it is done, then the connection is closed; "html", a login page with status 200
                in place of the answer, before anything happens; "redirect", the client is sent to another host; or
                errors inside a 200. Those are, for `_import`,
                {rule_id: (status, message)}; for `_execute`, {place: message} with the places "error", "input" and
                "trigger"; for a rule preview, {"logs": message} or {"aborted": ""}.
            skip: so many such requests pass before.
            times: so many go wrong.
        """
        self._planned.append(_Planned(method, re.compile(path_regex), fault, skip, times))

    def before(
        self, method: str, path_regex: str, action: Callable[[], object], *, skip: int = 0, times: int = 1
    ) -> None:
        """Let something happen right before a request is worked on, such as an analyst who is faster."""
        self._planned.append(_Planned(method, re.compile(path_regex), action, skip, times))

    def refusal(self, status: int, message: str) -> Answer:
        """An error as this kind of server words it."""
        raise NotImplementedError

    def check(self, request: Request) -> None:
        """Refuse what is wrong with a request to any route.

        Raises:
            RefusedError: it is.
        """
        if self._credentials and request.headers.get("authorization") not in self._credentials:
            raise RefusedError(401, "unable to authenticate with the provided credentials")

    def violated(self, what: str) -> str:
        """Note something against the contract; the same text."""
        self.violations.append(what)
        return what

    def respond(self, request: Request) -> Answer | None:
        """The answer to a request, None if the connection is to be cut."""
        with self.lock:
            self.requests.append(request)
            inner: Inner = {}
            cut_after = False
            for planned in [planned for planned in self._planned if planned.due(request)]:
                what = planned.what
                if callable(what):
                    what()
                elif isinstance(what, int):
                    page = f"<html><body>{what}</body></html>"
                    return Answer(what, page, "text/html") if what in _PROXY else self.refusal(what, "told to fail")
                elif what == "cut":
                    return None
                elif what == "html":
                    return Answer(200, _LOGIN_PAGE, "text/html")
                elif what == "redirect":
                    return Answer(307, "", "text/html", location="http://elsewhere.example.com/collect")
                elif what == "cut_after":
                    cut_after = True
                else:
                    inner = what
            answer = self._routed(request, inner)
            return None if cut_after else answer

    def _routed(self, request: Request, inner: Inner) -> Answer:
        try:
            self.check(request)
            for route in self.routes:
                caught = re.fullmatch(route.pattern, request.path)
                if caught and route.method == request.method:
                    groups = {name: unquote(text or "") for name, text in caught.groupdict().items()}
                    return route.handle(Call(request, groups, inner))
            raise RefusedError(404, self.violated(f"the contract has no call {request.method} {request.path}"))
        except RefusedError as refused:
            return self.refusal(refused.status, str(refused))


class _Http(ThreadingHTTPServer):
    contract: ContractServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave in two packets, and the second would wait for the client's word on the first.
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        contract = cast(_Http, self.server).contract
        try:
            answer = contract.respond(self._request())
        except Exception as error:
            contract.violated(f"the contract server itself failed: {error!r}")
            raise
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        data = text.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(data)))
        if answer.location:
            self.send_header("Location", answer.location)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        data = self.rfile.read(int(headers.get("content-length", "0")))
        upload = headers.get("content-type", "").startswith("multipart/form-data")
        return Request(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers,
            None if upload else _parsed(data),
            _parts(headers["content-type"], data) if upload else {},
        )

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of the tests clean."""


def _parsed(data: bytes) -> Json:
    if not data:
        return None
    try:
        return cast(Json, json.loads(data))
    except ValueError:
        return data.decode(errors="replace")


def _parts(content_type: str, data: bytes) -> dict[str, Part]:
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + data)
    return {
        str(part.get_param("name", header="content-disposition")): Part(
            part.get_filename() or "", cast(bytes, part.get_payload(decode=True)).decode()
        )
        for part in message.iter_parts()
    }


Server = TypeVar("Server", bound=ContractServer)


@contextmanager
def serving(server: Server, certificate: Path | None, base_path: str = "") -> Iterator[Server]:
    """Let a server listen on loopback for a while, over TLS if it has a certificate (PEM with its key)."""
    http = _Http(("127.0.0.1", 0), _Handler)
    http.contract = server
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        http.socket = context.wrap_socket(http.socket, server_side=True)
    server.url = f"{'https' if certificate else 'http'}://localhost:{http.server_port}{base_path}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def basic(user: str, password: str) -> str:
    """The `Authorization` header of a user."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@cache
def schema(name: str) -> JsonObject:
    """One of the JSON schemas that lie with the tests."""
    return cast(JsonObject, json.loads((_SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")))


def faults(body: Json, against: JsonObject) -> list[str]:
    """What is wrong with a body by a schema, each with its place."""
    errors = jsonschema.Draft7Validator(against).iter_errors(body)
    return sorted(f"[{'.'.join(map(str, error.absolute_path))}] {error.message}" for error in errors)


def as_object(body: Json) -> JsonObject:
    """A body that has to be an object.

    Raises:
        RefusedError: it is none.
    """
    if not isinstance(body, dict):
        raise RefusedError(400, f"the body is no JSON object: {json.dumps(body)[:80]}")
    return body
