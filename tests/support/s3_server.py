"""A store that speaks S3 on loopback (moto), which can be told to fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BUCKET = "example-trail"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "example",
    "AWS_SECRET_ACCESS_KEY": "example",
    "AWS_CONFIG_FILE": "/none",
    "AWS_SHARED_CREDENTIALS_FILE": "/none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "2",
}
Fault = str
"""``cut``: the body ends in its middle; or an error of S3 as ``403 AccessDenied message``."""


@dataclass
class S3Server:
    """A running server."""

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    """The requests: what was listed (``list``, with prefix and start) or read (``get``, with key)."""
    payers: set[str] = field(default_factory=set)
    """Who was said to pay for requests."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """What happens to the next requests for a key, or to the listings of a prefix, in turn; the last one stays."""

    def put(self, *keys: str, body: bytes = b"x") -> None:
        """Store objects."""
        for key in keys:
            self._client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def clear(self) -> None:
        """Forget all objects, requests and faults."""
        self.faults.clear()
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            if entries := page.get("Contents"):
                keys = [{"Key": entry["Key"]} for entry in entries]
                self._client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
        self.asked.clear()
        self.payers.clear()

    def create_bucket(self) -> None:
        """Create the bucket that is used."""
        self._client.create_bucket(Bucket=BUCKET)

    @cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="example",
            aws_secret_access_key="example",
            region_name="us-east-1",
        )

    def fault_of(self, environ: WSGIEnvironment) -> Fault | None:
        """Note a request, and return what is to go wrong with it."""
        query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        key = unquote(environ["PATH_INFO"]).partition(f"/{BUCKET}")[2].removeprefix("/")
        if environ["REQUEST_METHOD"] != "GET":
            return None
        is_list = "list-type" in query
        name = query.get("prefix", "") if is_list else key
        if payer := environ.get("HTTP_X_AMZ_REQUEST_PAYER"):
            self.payers.add(payer)
        self.asked.append(("list", f"{name} {query.get('start-after', '')}".strip()) if is_list else ("get", name))
        planned = self.faults.get(name, [])
        return planned.pop(0) if len(planned) > 1 else planned[0] if planned else None


def _failing(application: WSGIApplication, server: S3Server) -> WSGIApplication:
    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        fault = server.fault_of(environ)
        if not fault:
            return application(environ, start)
        if fault == "cut":
            body = b"".join(application(environ, start))
            return [body[: len(body) // 2]]
        status, code, message = fault.split(" ", 2)
        text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        start(f"{status} {code}", [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
        return [text]

    return answer


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start a server with an empty bucket; stop it at the end."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = S3Server("")
    application: Callable[..., Iterable[bytes]] = DomainDispatcherApplication(create_backend_app)
    wsgi = make_server("127.0.0.1", 0, _failing(application, server), threaded=True)
    server.url = f"http://127.0.0.1:{wsgi.server_port}"
    thread = Thread(target=wsgi.serve_forever, daemon=True)
    thread.start()
    try:
        server.create_bucket()
        yield server
    finally:
        wsgi.shutdown()
        thread.join()
        wsgi.server_close()
