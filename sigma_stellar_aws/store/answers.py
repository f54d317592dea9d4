"""What a store answers: read into types, checked for being whole, and its errors in words for people."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

import msgspec
from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.query.store_profile import Engine
from sigma_stellar_aws.store import client as store_client
from sigma_stellar_aws.store.client import secrets_of, without_secrets
from sigma_stellar_aws.store.connection_errors import connection_problem, refusal_message
from sigma_stellar_aws.store.retries import GaveUpError, NotWholeError, answered, may_pass, may_pass_at_first

T = TypeVar("T")
S = TypeVar("S", bound="SearchAnswer")

_NO_SUCH_METHOD = 405


class AnswerError(Exception):
    """An answer that is not one of an OpenSearch or Elasticsearch."""


class Shards(msgspec.Struct):
    """How many parts of the data an answer is for."""

    total: int = 0
    successful: int | None = None
    """Also those that can have no hit, and so were passed over."""
    failed: int = 0
    failures: list[dict[str, Any]] = []


class _Clusters(msgspec.Struct):
    """How many clusters an answer is for."""

    total: int = 0
    successful: int | None = None
    skipped: int = 0


class SearchAnswer(msgspec.Struct):
    """What all answers to searches have; each kind adds what it needs."""

    shards: Shards = msgspec.field(name="_shards", default_factory=Shards)
    timed_out: bool = False
    pit_id: str | None = None
    """The point in time to ask next, which may be another one than before."""
    scroll_id: str | None = msgspec.field(name="_scroll_id", default=None)


class _Wholeness(SearchAnswer, kw_only=True):
    clusters: _Clusters = msgspec.field(name="_clusters", default_factory=_Clusters)


class Total(msgspec.Struct):
    """How many events a search found."""

    value: int


class TotalHits(msgspec.Struct):
    """The hits of a search that asks for their number only."""

    total: Total


class BulkResult(msgspec.Struct):
    """What became of one document of a bulk request."""

    status: int
    error: Any = None

    @property
    def reason(self) -> str:
        """Why it was not taken."""
        return server_error_text(self.error)


class _BulkAnswer(msgspec.Struct):
    items: list[dict[str, BulkResult]]


class _SearchError(msgspec.Struct):
    status: int
    error: Any


class _Version(msgspec.Struct):
    number: str
    distribution: str = ""


class _Info(msgspec.Struct):
    version: _Version


class _Node(msgspec.Struct):
    version: str


class _Nodes(msgspec.Struct):
    nodes: dict[str, _Node]


def read_answer(kind: type[T], answer: object, *, strict: bool = True) -> T:
    """Return an answer as a value of a type.

    >>> read_answer(TotalHits, {"total": {"value": 3, "relation": "eq"}}).total.value
    3

    Args:
        kind: the type.
        answer: decoded JSON.
        strict: whether text is not taken for a number, as it may stand in mappings and settings.

    Raises:
        AnswerError: it has another form.
    """
    try:
        return msgspec.convert(answer, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise AnswerError(str(error)) from error


def read_whole(kind: type[S], answer: object) -> S:
    """Return the answer to a search as a value of a type, if it is for all of the data.

    Raises:
        NotWholeError: it is for a part of the data only.
        AnswerError: it has another form.
    """
    if missing := "; ".join(_missing(read_answer(_Wholeness, answer))):
        raise NotWholeError(f"the answer is not whole: {missing}; nothing can be said about the rest")
    return read_answer(kind, answer)


def _missing(answer: _Wholeness) -> Iterator[str]:
    """Say what an answer is not for.

    ``terminated_early`` tells nothing: OpenSearch 3.8 also sets it in answers that are whole, with the right number.
    """
    shards, clusters = answer.shards, answer.clusters
    if shards.failed:
        reason = f" ({server_error_text(shards.failures[0].get('reason'))})" if shards.failures else ""
        yield f"{shards.failed} of {shards.total} shards failed{reason}"
    elif shards.successful is not None and shards.successful < shards.total:
        yield f"only {shards.successful} of {shards.total} shards answered"
    if clusters.skipped or (clusters.successful is not None and clusters.successful < clusters.total):
        yield f"only {clusters.successful or 0} of {clusters.total} clusters answered, {clusters.skipped} were skipped"
    if answer.timed_out:
        yield "the search timed out"


def read_one_of_several(kind: type[S], answer: dict[str, Any]) -> S:
    """Return one of several answers as a value of a type.

    Raises:
        TransportError: it is an error.
        NotWholeError: it is for a part of the data only.
        AnswerError: it has another form.
    """
    if "error" in answer:
        failed = read_answer(_SearchError, answer)
        error_class = exceptions.HTTP_EXCEPTIONS.get(failed.status, exceptions.TransportError)
        raise error_class(failed.status, server_error_text(failed.error), answer)
    return read_whole(kind, answer)


def read_bulk(answer: object, sent: int, index: str) -> list[BulkResult]:
    """Return what became of each document of a bulk request, in their order.

    Args:
        answer: to the request.
        sent: how many documents it had.
        index: that they were sent to, for the message.

    Raises:
        AnswerError: it has another form.
        StoreError: it is for some of the documents only.
    """
    items = read_answer(_BulkAnswer, answer).items
    if len(items) != sent:
        raise StoreError(f"{index!r}: the store answered for {len(items)} of {sent} documents only")
    return [result for item in items for result in item.values()]


def answered_engine(client: OpenSearch, *, known: bool = False, stopped: Event | None = None) -> tuple[Engine, str]:
    """Return the name and the version of the engine.

    Args:
        client: the data store.
        known: whether it has answered before; one that is not there from the beginning is not waited for.
        stopped: when it is set, there are no further tries.

    Raises:
        GaveUpError: the store did not answer.
        OpenSearchException: the store refused.
        AnswerError: it is not one of these engines.
    """
    return answered(
        lambda: _engine(client),
        stopped=stopped,
        may_pass=may_pass if known else may_pass_at_first,
    )


def _engine(client: OpenSearch) -> tuple[Engine, str]:
    try:
        version = read_answer(_Info, client.info()).version
        return ("opensearch" if version.distribution == "opensearch" else "elasticsearch"), version.number
    except exceptions.TransportError as error:
        if isinstance(error, exceptions.NotFoundError):
            raise StoreError("no OpenSearch or Elasticsearch answers at this URL; check its path") from error
        # An Elasticsearch without its main module has no such page; OpenSearch always has it.
        if error.status_code != _NO_SUCH_METHOD:
            raise
    answer = client.transport.perform_request("GET", "/_nodes/_local", params={"filter_path": "nodes.*.version"})
    for node in read_answer(_Nodes, answer).nodes.values():
        return "elasticsearch", node.version
    raise AnswerError("it names no node")


@contextmanager
def as_store_errors(index: str) -> Iterator[None]:
    """Turn errors of the client, and answers that cannot be understood, into errors for people.

    Raises:
        StoreError: in place of each of them.
    """
    try:
        yield
    except GaveUpError as gave_up:
        raise StoreError(
            f"{_message(gave_up.error, index)}; tried {gave_up.tries} times in {gave_up.seconds:.0f} seconds"
        ) from gave_up.error
    except (exceptions.OpenSearchException, NotWholeError, AnswerError) as error:
        raise StoreError(_message(error, index)) from error


def _message(error: Exception, index: str) -> str:
    match error:
        case exceptions.ConnectionError():
            return connection_problem("the store", error, timeout_seconds=store_client.TIMEOUT_SECONDS).message
        case exceptions.TransportError():
            return refusal_message("the store", error.status_code) or _refusal(error, index)
        case exceptions.SerializationError() | AnswerError():
            return f"{index!r}: this is not an answer of an OpenSearch or Elasticsearch: {error}"
        case exceptions.OpenSearchException():
            return f"{index!r}: the store answered: {error}"
    return f"{index!r}: {error}"


def _refusal(error: exceptions.TransportError, index: str) -> str:
    match error:
        case exceptions.NotFoundError() if "search_context_missing" in str(error.info):
            return (
                f"{index!r}: the store has forgotten the state of the data that was being read, as it does when one of "
                "its nodes ends or when nothing was read for minutes; not all events were read: run again"
            )
        case exceptions.NotFoundError():
            return f"there is no index {index!r}; name it: --index NAME"
        case exceptions.RequestError(info={"error": {"type": "index_closed_exception", "index": closed_index}}):
            return f"{index!r}: the index {closed_index!r} is closed and cannot be searched; open it or name others"
        case exceptions.AuthorizationException():
            return (
                f"not allowed on {index!r}: {reason(error)}; needed are the rights read and view_index_metadata "
                "(OpenSearch: read, and get on mappings and settings)"
            )
    return f"{index!r}: the store answered: {reason(error)}"


def reason(error: exceptions.TransportError) -> str:
    """Return what a store says about an error that it answered with."""
    return server_error_text(error.info.get("error")) if isinstance(error.info, dict) else str(error)


def server_error_text(error: object) -> str:
    """Return reason and type out of an error object, the root cause's where there is one, without our credentials.

    >>> server_error_text({"reason": "all shards failed", "root_cause": [{"type": "parse", "reason": "bad query"}]})
    'all shards failed (parse: bad query)'
    """
    # An answer may succeed as a whole and hold errors, such as those of a shard, which the client does not look at.
    return without_secrets(_error_text(error), _secrets())


def _secrets() -> tuple[str, ...]:
    try:
        return secrets_of(os.environ)
    except StoreError:
        # What cannot be sent was not.
        return ()


def _error_text(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    roots = error.get("root_cause")
    candidates = [error.get("caused_by"), *(roots if isinstance(roots, list) else []), error]
    cause = next(candidate for candidate in candidates if isinstance(candidate, dict))
    return f"{error.get('reason', '')} ({cause.get('type')}: {cause.get('reason')})"
