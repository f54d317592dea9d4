"""What a store's answers say: whether they are whole, and errors as people read them."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, cast

from opensearchpy import (
    OpenSearch,
    exceptions,
)

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.query.store_profile import Engine
from sigma_stellar_aws.store.client import API_KEY, PASSWORD, TIMEOUT, USER
from sigma_stellar_aws.store.retries import GaveUpError, NotWholeError, answered, may_pass


def answered_engine(client: OpenSearch, *, known: bool = False, stopped: Event | None = None) -> tuple[Engine, str]:
    """Name and version of the engine.

    Args:
        client: the data store.
        known: whether it has answered before; one that is not there from the beginning is not waited for.
        stopped: when it is set, there are no further tries.

    Raises:
        GaveUpError: the store did not answer.
        OpenSearchException: the store did not answer as it should.
    """
    return answered(
        lambda: _engine(client),
        stopped=stopped,
        may_pass=lambda error: may_pass(error) and (known or not isinstance(error, exceptions.ConnectionError)),
    )


def whole(answer: JsonObject) -> JsonObject:
    """The answer to a search, if it is for all of the data.

    Raises:
        NotWholeError: it is not.
    """
    shards = cast(JsonObject, answer.get("_shards", {}))
    if answer.get("timed_out") or shards.get("failed", 0):
        failures = cast("list[JsonObject]", shards.get("failures", []))
        reason = f" ({cause(failures[0].get('reason'))})" if failures else ""
        raise NotWholeError(
            f"the answer is not whole: {shards.get('failed', 0)} of {shards.get('total', 0)} shards failed{reason}, "
            f"timed out: {bool(answer.get('timed_out'))}; nothing can be said about the rest"
        )
    return answer


def whole_of_several(answer: JsonObject) -> Any:
    """One answer of several, which may be an error."""
    if "error" in answer:
        status = cast(int, answer["status"])
        kind = exceptions.HTTP_EXCEPTIONS.get(status, exceptions.TransportError)
        raise kind(status, cause(answer["error"]), answer)
    return whole(answer)


@contextmanager
def as_store_errors(index: str) -> Iterator[None]:
    """Errors of the client as errors for people.

    Raises:
        StoreError: in place of each of them.
    """
    try:
        yield
    except GaveUpError as gave_up:
        raise StoreError(
            f"{_told(gave_up.error, index)}; tried {gave_up.tries} times in {gave_up.seconds:.0f} seconds"
        ) from gave_up.error
    except _ERRORS as error:
        raise StoreError(_told(error, index)) from error


_ERRORS = (
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    RecursionError,
    exceptions.OpenSearchException,
    NotWholeError,
)


def _told(error: Exception, index: str) -> str:
    match error:
        case KeyError():
            return f"{index!r}: this is no answer of an OpenSearch or Elasticsearch that tells all: {error} is missing"
        case exceptions.SSLError() if "WRONG_VERSION_NUMBER" in str(error.info):
            return "the store does not speak TLS there; is its URL http:// ?"
        case exceptions.SSLError():
            return f"the store's certificate is not trusted ({error.info}); name its CA: --ca-file"
        case exceptions.ConnectionTimeout():
            return f"the store did not answer within {TIMEOUT:g} seconds"
        case exceptions.ConnectionError():
            return f"the store cannot be reached: {error.info}"
        case exceptions.NotFoundError() if "search_context_missing" in str(error.info):
            return (
                f"{index!r}: the store has forgotten the state of the data that was being read, as it does when one of "
                "its nodes ends or when nothing was read for minutes; the events were not read to their end: run again"
            )
        case exceptions.NotFoundError():
            return f"there is no index {index!r}; name it: --index NAME"
        case exceptions.RequestError(info={"error": {"type": "index_closed_exception", "index": closed_index}}):
            return f"{index!r}: the index {closed_index!r} is closed, and cannot be searched; open it or name others"
        case exceptions.AuthenticationException():
            return f"the store does not know who asks; set {USER} and {PASSWORD}, or {API_KEY}"
        case exceptions.AuthorizationException():
            return (
                f"not allowed on {index!r}: {_reason(error)}; needed are the rights read and view_index_metadata "
                "(OpenSearch: read, and get on mappings and settings)"
            )
        case exceptions.OpenSearchException():
            return f"{index!r}: the store answered: {_reason(error)}"
        case NotWholeError():
            return f"{index!r}: {error}"
    return f"{index!r}: this is no answer of an OpenSearch or Elasticsearch: {error}"


def _reason(error: exceptions.OpenSearchException) -> str:
    info = getattr(error, "info", None)
    return cause(info.get("error")) if isinstance(info, dict) else str(error)


def cause(error: object) -> str:
    """Type and reason out of an error object, the root cause's where there is one."""
    if not isinstance(error, dict):
        return str(error)
    roots = error.get("root_cause")
    candidates = [error.get("caused_by"), *(roots if isinstance(roots, list) else []), error]
    cause = next(candidate for candidate in candidates if isinstance(candidate, dict))
    return f"{error.get('reason', '')} ({cause.get('type')}: {cause.get('reason')})"


def _engine(client: OpenSearch) -> tuple[Engine, str]:
    try:
        answer = client.info()
        version = answer["version"]
        return ("opensearch" if version.get("distribution") == "opensearch" else "elasticsearch"), version["number"]
    except exceptions.TransportError as error:
        # An Elasticsearch without its main module has no such page; OpenSearch always has it.
        if error.status_code != 405:
            raise
    nodes = client.transport.perform_request("GET", "/_nodes/_local", params={"filter_path": "nodes.*.version"})
    return "elasticsearch", str(next(iter(nodes["nodes"].values()))["version"])
