"""Flattened records into an index of a data store, each under an id of its own, so that no event is there twice."""

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Event
from typing import NamedTuple

import msgspec
from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.logs.flatten import document_id
from sigma_stellar_aws.query.index_template import index_mappings, index_settings
from sigma_stellar_aws.query.store_profile import ANALYSED
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.store.answers import as_store_errors, read_bulk
from sigma_stellar_aws.store.field_types import IndexSettings, MappingOfIndex, described_fields
from sigma_stellar_aws.store.mapping import stored_mappings
from sigma_stellar_aws.store.new_fields import field_mapper
from sigma_stellar_aws.store.retries import GaveUpError, NotWholeError, answered, may_pass_at_first

THREADS = 2
"""Requests at once: one is written by the store while the next arrives."""

OWN = "sigma_stellar_aws"
"""Where the ``_meta`` of a mapping says what this project made it for."""

ALERTS_OF = "alerts_of"
"""The key there of an index of alerts; its value is the indices that they are raised from."""

_BUSY = frozenset({429, 503})
_FIRST_SERVER_ERROR = 500

_BATCH_EVENTS = 1000
_BATCH_BYTES = 5 * 1024 * 1024
_CONFLICT = 409
_FIRST_NO_SUCCESS = 300
_TOO_LARGE = 413
_ANSWER = "items.create.status,items.create.error"


def may_be_taken_later(status: int) -> bool:
    """Return whether a document of this status may be taken when it is sent again.

    The queue of a node is full, a shard is not there yet, or, with 500, a new field could not be added in time
    (``mapper_exception: timed out while waiting for a dynamic mapping update``).
    """
    return status in _BUSY or status >= _FIRST_SERVER_ERROR


class Rejected(NamedTuple):
    """A document that the data store did not take, and why."""

    event_id: str
    reason: str


class Loaded(NamedTuple):
    """What became of documents that were sent to a data store."""

    created: int
    present: int
    """Events that the index held already; after a lost connection, also those of the request that was made again."""
    rejected: int
    """Events that the store did not take."""


class _Line(NamedTuple):
    """A document to send."""

    id: str
    text: bytes
    event_id: str


class _Batch(NamedTuple):
    """Documents for one request, and the names of all their fields."""

    lines: list[_Line]
    names: set[str]


class _Sent(NamedTuple):
    """What became of one batch."""

    created: int
    present: int
    rejected: list[Rejected]


def check_index_name(index: str) -> None:
    """Refuse what cannot be the name of a single index.

    Raises:
        StoreError: the name is refused.
    """
    if not index or index[0] in "-_+." or set(index) & set('*?,"<>|/\\ #:') or index != index.lower():
        raise StoreError(
            f"{index!r} is not a name of an index: it must be lower case, without * ? , and blanks, and begin with a "
            "letter or digit"
        )


def create_index(client: OpenSearch, index: str, fields: Iterable[str]) -> bool:
    """Create an index with the mappings of our template, unless there is one of that name.

    Args:
        client: the data store.
        index: its name.
        fields: flattened names to map explicitly.

    Returns:
        Whether it is certain that there was none before.

    Raises:
        StoreError: the index cannot be made, or is one of alerts.
    """
    check_index_name(index)
    with as_store_errors(index):
        body: JsonObject = {"settings": index_settings(), "mappings": index_mappings(fields)}
        is_there = answered(lambda: client.indices.exists(index=index), may_pass=may_pass_at_first)
        if not is_there and create(client, index, body):
            return True
        for name, mapping in stored_mappings(client, index).items():
            purpose = mapping.meta.get(OWN)
            if isinstance(purpose, dict) and ALERTS_OF in purpose:
                raise StoreError(f"{name!r} was made for alerts, so no events are loaded into it; name another index")
        return False


def create(client: OpenSearch, index: str, body: JsonObject) -> bool:
    """Create an index of this body, unless there is one of that name.

    Returns:
        Whether there was none before; if the answer to the request was lost, that is not known, and it is False.

    Raises:
        GaveUpError: the store did not answer.
        OpenSearchException: the index cannot be made.
    """
    try:
        answered(lambda: client.indices.create(index=index, body=body))
    except exceptions.RequestError as error:
        # By somebody else, or by a try of ours.
        if error.error != "resource_already_exists_exception":
            raise
        return False
    return True


def analysed_fields(client: OpenSearch, index: str, fields: Iterable[str]) -> list[str]:
    """Return those of some fields whose texts an index takes, or would take, for analysed text.

    Raises:
        StoreError: the index cannot be asked.
    """
    names = list(fields)
    analysed: set[str] = set()
    with as_store_errors(index):
        for mapping in stored_mappings(client, index).values():
            kinds = described_fields([(mapping, IndexSettings())])
            default = "keyword" if _makes_keywords(mapping) else "text"
            for name in names:
                kind = kinds.get(name)
                if (kind.get("type") if isinstance(kind, dict) else default) in ANALYSED:
                    analysed.add(name)
    return sorted(analysed)


def _makes_keywords(mapping: MappingOfIndex) -> bool:
    """Return whether an index makes keywords of texts in fields that it does not know."""
    for entry in mapping.dynamic_templates:
        for template in entry.values():
            if template.is_for_all_texts:
                return template.mapping.type == "keyword"
    return False


def load_documents(
    client: OpenSearch,
    index: str,
    documents: Iterable[Document],
    *,
    on_rejected: Callable[[Rejected], object] = lambda rejected: None,
    threads: int = THREADS,
) -> Loaded:
    """Send flattened documents to an index.

    Args:
        client: the data store.
        index: an index that exists.
        documents: however many; only those of a few requests are in memory at once.
        on_rejected: called with each document that the store does not take, soon after it was sent.
        threads: requests at once.

    Raises:
        StoreError: the store cannot be reached, refuses a request as a whole, or stays too busy.
    """
    created = present = rejected = 0
    stopped = Event()
    sending: deque[Future[_Sent]] = deque()

    def wait_for_first() -> None:
        nonlocal created, present, rejected
        with as_store_errors(index):
            sent = sending.popleft().result()
        created += sent.created
        present += sent.present
        rejected += len(sent.rejected)
        for document in sent.rejected:
            on_rejected(document)

    with as_store_errors(index):
        map_fields = field_mapper(client, index)
    pool = ThreadPoolExecutor(threads)
    try:
        for batch in _batches(documents):
            if len(sending) > threads:
                wait_for_first()
            map_fields(batch.names)
            # The context knows how long the run may take.
            sending.append(pool.submit(copy_context().run, _send, client, index, batch.lines, stopped))
        while sending:
            wait_for_first()
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)
    with as_store_errors(index):
        answered(lambda: client.indices.refresh(index=index))
    return Loaded(created, present, rejected)


def _batches(documents: Iterable[Document]) -> Iterator[_Batch]:
    batch = _Batch([], set())
    size = 0
    for document in documents:
        own_id = document_id(document)
        line = _Line(own_id, _encoded(document), str(document.get("eventID", own_id)))
        if batch.lines and (len(batch.lines) == _BATCH_EVENTS or size + len(line.text) > _BATCH_BYTES):
            yield batch
            batch, size = _Batch([], set()), 0
        batch.lines.append(line)
        batch.names.update(document)
        size += len(line.text)
    if batch.lines:
        yield batch


def _encoded(document: Document) -> bytes:
    try:
        return msgspec.json.encode(document)
    except (UnicodeEncodeError, OverflowError):
        # Half a character, or a number of more than 64 bits: JSON can hold both.
        return json.dumps(document).encode()


def _send(client: OpenSearch, index: str, batch: list[_Line], stopped: Event) -> _Sent:
    """Send a batch, in smaller requests if the store takes only those."""
    request = _BulkRequest(client, index, batch)
    try:
        answered(request.send, stopped=stopped)
    except GaveUpError as gave_up:
        if not (isinstance(gave_up.error, NotWholeError) and request.reject_broken()):
            raise
    except exceptions.TransportError as error:
        if error.status_code != _TOO_LARGE:
            raise
        return _sum(request.outcome(), _send_smaller(client, index, request.waiting, stopped))
    return request.outcome()


def _send_smaller(client: OpenSearch, index: str, batch: list[_Line], stopped: Event) -> _Sent:
    """Send the halves of a batch that is too large as a whole."""
    if len(batch) == 1:
        [line] = batch
        reason = f"the store takes no request of its size, {len(line.text):,} bytes"
        return _Sent(0, 0, [Rejected(line.event_id, reason)])
    half = len(batch) // 2
    return _sum(_send(client, index, batch[:half], stopped), _send(client, index, batch[half:], stopped))


def _sum(first: _Sent, second: _Sent) -> _Sent:
    return _Sent(first.created + second.created, first.present + second.present, [*first.rejected, *second.rejected])


class _BulkRequest:
    """A request that creates documents; made again, it sends those that were not taken or refused yet."""

    def __init__(self, client: OpenSearch, index: str, batch: list[_Line]) -> None:
        self._client = client
        self._index = index
        self.waiting = batch
        self._created = self._present = 0
        self._rejected: list[Rejected] = []
        self._last: dict[str, tuple[int, str]] = {}
        """Status and reason of what was not taken, by id."""

    def send(self) -> None:
        """Make the request.

        Raises:
            NotWholeError: some documents can be taken later.
            StoreError: the store did not answer for all.
        """
        parts = ((b'{"create":{"_id":%b}}' % json.dumps(line.id).encode(), line.text) for line in self.waiting)
        body = b"\n".join([*itertools.chain.from_iterable(parts), b""])
        answer = self._client.bulk(index=self._index, body=body, params={"filter_path": _ANSWER})
        busy: list[_Line] = []
        reason = ""
        for line, result in zip(self.waiting, read_bulk(answer, len(self.waiting), self._index), strict=True):
            if may_be_taken_later(result.status):
                busy.append(line)
                reason = result.reason
                self._last[line.id] = (result.status, reason)
            elif result.status == _CONFLICT:
                self._present += 1
            elif result.status < _FIRST_NO_SUCCESS:
                self._created += 1
            else:
                self._rejected.append(Rejected(line.event_id, result.reason))
        self.waiting = busy
        if busy:
            raise NotWholeError(f"{plural(len(busy), 'event')} not taken: {reason}")

    def reject_broken(self) -> bool:
        """Take what is left for refused if the store fails at just that, and is not too busy; tell whether it is."""
        left = [(line, *self._last[line.id]) for line in self.waiting]
        if any(status in _BUSY for _, status, _ in left):
            return False
        self._rejected += [Rejected(line.event_id, reason) for line, _, reason in left]
        self.waiting = []
        return True

    def outcome(self) -> _Sent:
        """Return what became of the documents so far."""
        return _Sent(self._created, self._present, self._rejected)
