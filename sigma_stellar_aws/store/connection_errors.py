"""Why a server gave no useful answer, in words for people: the same for a data store, for OpenSearch and for Kibana.

Secrets never stand in these texts: neither the library's own text, which holds the whole address, nor a header.
"""

import os
import ssl
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3

from sigma_stellar_aws.base.run_limit import RunOverError
from sigma_stellar_aws.store.client import API_KEY, PASSWORD, TIMEOUT_SECONDS, USER
from sigma_stellar_aws.store.limits import LimitError, TooLargeError

_PORTS = {"http": 80, "https": 443}
_TLS_ERRORS = (ssl.SSLError, urllib3.exceptions.SSLError, requests.exceptions.SSLError)
_PROXY_ERRORS = (urllib3.exceptions.ProxyError, requests.exceptions.ProxyError)
_READ_TIMEOUTS = (urllib3.exceptions.ReadTimeoutError, requests.exceptions.ReadTimeout)
_LIMITS = (LimitError, RunOverError)
_UNKNOWN_USER = 401
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class ConnectionProblem(NamedTuple):
    """Why a request got no answer."""

    message: str
    is_lasting: bool
    """Whether the same request will fail again until somebody changes something."""
    was_made: bool
    """Whether there was a connection, so that the server may have got the request."""


class _Cause(NamedTuple):
    """A kind of error, and what to say of it."""

    errors: tuple[type[BaseException], ...]
    message: str
    is_lasting: bool = False
    was_made: bool = True
    contains: str = ""
    """Text that the error must have, too."""


# The first that applies. In the messages, {detail} is the reason that the system gives, {limit} what was too much.
_CAUSES = (
    _Cause(_LIMITS, "{server} {limit}", is_lasting=True),
    _Cause(
        _TLS_ERRORS,
        "{server} does not speak TLS there; is its URL http:// ?",
        is_lasting=True,
        was_made=False,
        contains="WRONG_VERSION_NUMBER",
    ),
    _Cause(
        (ssl.SSLCertVerificationError,),
        "{server}'s certificate is not trusted{detail}; name its CA: --ca-file",
        is_lasting=True,
        was_made=False,
    ),
    _Cause(_TLS_ERRORS, "{server} and this client find no way to speak TLS{detail}", is_lasting=True, was_made=False),
    _Cause((UnicodeDecodeError,), "what answers there is not {server}: its answer is not a text", is_lasting=True),
    _Cause(_PROXY_ERRORS, "the proxy does not answer, or does not let us through"),
    _Cause(_READ_TIMEOUTS, "{server} did not answer within {timeout:g} seconds"),
    # Of a connection that was never made, NewConnectionError and NameResolutionError among them.
    _Cause(
        (urllib3.exceptions.ConnectTimeoutError, ConnectionRefusedError),
        "{server} cannot be reached{where}{detail}",
        was_made=False,
    ),
)
_LOST = _Cause((), "{server} cannot be reached{where}{detail}")


def connection_problem(
    server: str, error: BaseException, *, url: str = "", timeout_seconds: float = TIMEOUT_SECONDS
) -> ConnectionProblem:
    """Return why a request got no answer.

    Args:
        server: what it is, such as ``the store``.
        error: of the client, whichever of the libraries it is.
        url: where the server was looked for, to be named in the message; without it, what the error says about it.
        timeout_seconds: how long was waited for an answer.
    """
    chain = list(_chain(error))
    texts = " ".join(map(str, chain))
    for cause in _CAUSES:
        if cause.contains in texts and any(isinstance(link, cause.errors) for link in chain):
            break
    else:
        cause = _LOST
    message = cause.message.format(
        server=server,
        where=_where(url) if url else _asked(chain),
        detail=_detail(chain, cause),
        timeout=timeout_seconds,
        limit=next((link for link in chain if isinstance(link, _LIMITS)), ""),
    )
    return ConnectionProblem(message, cause.is_lasting, cause.was_made)


def is_too_large(error: BaseException) -> bool:
    """Return whether a request got no answer since it was larger than is read."""
    return any(isinstance(link, TooLargeError) for link in _chain(error))


def refusal_message(server: str, status: int | str) -> str | None:
    """Return what to say of an answer of this status that is the same for every server; None for other statuses.

    >>> refusal_message("Kibana", 307)
    'Kibana sends us to another address; write the URL as it is there, with the base path if it has one'
    """
    if status == _UNKNOWN_USER and any(os.environ.get(name) for name in (USER, PASSWORD, API_KEY)):
        return f"{server} does not accept the credentials; check {USER} and {PASSWORD}, or {API_KEY}"
    if status == _UNKNOWN_USER:
        return f"{server} does not know who asks; set {USER} and {PASSWORD}, or {API_KEY}"
    if status in _REDIRECTS:
        # Our credentials have no business there.
        return f"{server} sends us to another address; write the URL as it is there, with the base path if it has one"
    return None


def _where(url: str) -> str:
    if not url:
        return ""
    parts = urlsplit(url)
    return f" at {parts.hostname}:{parts.port or _PORTS.get(parts.scheme, '')}"


def _asked(chain: list[BaseException]) -> str:
    """Return the host and port that no connection was made to, as far as urllib3 tells."""
    for link in chain:
        asked = getattr(link, "conn", None) or getattr(link, "pool", None)
        host, port = getattr(asked, "host", None), getattr(asked, "port", None)
        if host and port:
            return f" at {host}:{port}"
    return ""


def _detail(chain: list[BaseException], cause: _Cause) -> str:
    """Return the reason that the system gives, or else the kind of error, as the end of a sentence."""
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return f" ({link.verify_message})"
    for link in chain:
        if isinstance(link, ssl.SSLError) and link.reason:
            return f" ({link.reason})"
    reasons = [link.strerror for link in chain if isinstance(link, OSError) and link.strerror]
    if reasons:
        return f": {reasons[0]}"
    return f": {type(chain[-1]).__name__}" if cause.was_made else ": no connection within the time for it"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what it comes from, as far as the libraries tell."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        link = waiting.pop(0)
        if any(link is earlier for earlier in seen):
            continue
        seen.append(link)
        yield link
        causes = (link.__cause__, link.__context__, getattr(link, "reason", None), getattr(link, "info", None))
        waiting += [cause for cause in (*causes, *link.args) if isinstance(cause, BaseException)]
