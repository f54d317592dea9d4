"""Requests to the plugins of OpenSearch, and what their answers hold.

The monitor editor of Dashboards and this project both keep data in ``ui_metadata``. OpenSearch leaves that out of its
answers unless the User-Agent names OpenSearch-Dashboards (measured on 3.8), so ours does.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws import __version__
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.install.server_errors import ServerError, no_answer
from sigma_stellar_aws.store.answers import reason as reason_of
from sigma_stellar_aws.store.connection_errors import refusal_message

USER_AGENT = f"sigma-stellar-aws/{__version__} (OpenSearch-Dashboards)"

TOO_MANY_SCRIPTS = (
    "OpenSearch compiles no more scripts for now (75 in five minutes by default: script.max_compilations_rate); run it "
    "again in five minutes, or without trying each monitor out: --no-dry-run"
)

_TOO_MANY = 429
_MESSAGES_OF_TOO_MANY = ("Too many dynamic script compilations", "Failed to compile inline script")

Answer = TypeVar("Answer")


class Nothing(msgspec.Struct):
    """An answer of which nothing is needed."""


class OpenSearchApi:
    """An OpenSearch with a plugin."""

    def __init__(self, client: OpenSearch, plugin: str, role: str) -> None:
        """Prepare to talk to OpenSearch, without doing so yet.

        Args:
            client: one that does not repeat requests by itself, since not every request can be repeated.
            plugin: the plugin that is needed, as people know it.
            role: the role that a user needs for it.
        """
        self._client = client
        self._plugin = plugin
        self._role = role
        [host] = client.transport.hosts
        scheme, port = ("https" if host.get("use_ssl") else "http"), host.get("port", "")
        self._url = f"{scheme}://{host['host']}:{port}"
        self._answered = False

    def send(
        self,
        answer: type[Answer],
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: JsonObject | str | None = None,
    ) -> Answer:
        """Send a request once, and return the parts of the answer that are needed.

        Raises:
            ServerError: it was refused, or nobody knows what became of it.
            StoreError: the server is not the one that is meant.
        """
        headers = {"user-agent": USER_AGENT}
        try:
            content = self._client.transport.perform_request(
                method, path, headers=headers, params=dict(params or {}), body=body
            )
        except exceptions.ConnectionError as error:
            raise no_answer("OpenSearch", self._url, error, known=self._answered) from error
        except exceptions.TransportError as error:
            self._answered = True
            raise self._refusal(error) from error
        except exceptions.OpenSearchException as error:
            raise self.not_understood() from error
        self._answered = True
        try:
            return msgspec.convert(content, answer)
        except msgspec.ValidationError as error:
            raise self.not_understood(str(error)) from error

    def not_understood(self, reason: str = "") -> ServerError:
        """Return the error for an answer that this plugin does not give."""
        told = f": {reason}" if reason else ""
        return ServerError(200, f"this is not an answer of OpenSearch {self._plugin}; is the URL right?{told}")

    def _refusal(self, error: exceptions.TransportError) -> ServerError:
        status, reason = int(error.status_code), reason_of(error)
        if too_many_scripts(reason):
            return ServerError(_TOO_MANY, TOO_MANY_SCRIPTS)
        if "no handler found" in reason or status == 405:
            return ServerError(status, f"this OpenSearch has no {self._plugin} plugin")
        if message := refusal_message("OpenSearch", status):
            return ServerError(status, message)
        if status in (502, 503, 504) and not isinstance(error.info, dict):
            return ServerError(status, f"OpenSearch is not available now (status {status})")
        if status == 403:
            return ServerError(status, f"not allowed: {reason}; needed is the role {self._role}")
        return ServerError(status, f"OpenSearch answered with status {status}: {reason}")


def too_many_scripts(reason: str) -> bool:
    """Return whether an error is that OpenSearch compiles no more scripts for a while, which says nothing of a rule."""
    return any(message in reason for message in _MESSAGES_OF_TOO_MANY)


class TotalFound(msgspec.Struct):
    """How many documents a search found."""

    value: int


class FoundDocument(msgspec.Struct):
    """A document that a search found."""

    id: str = msgspec.field(name="_id")
    source: dict[str, Any] = msgspec.field(name="_source")
    seq_no: int | None = msgspec.field(name="_seq_no", default=None)
    primary_term: int | None = msgspec.field(name="_primary_term", default=None)


class Hits(msgspec.Struct):
    """The documents that a search found."""

    total: TotalFound
    hits: list[FoundDocument]


class FoundDocuments(msgspec.Struct):
    """The answer to a search."""

    hits: Hits
