"""Flattened records into an index of a data store, each under its eventID, so that no event is there twice."""

import itertools
import json
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import NamedTuple, cast

import msgspec
from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.logs.flatten import document_id
from sigma_stellar_aws.query.index_template import index_mappings, index_settings
from sigma_stellar_aws.query.store_profile import ANALYSED, described_fields
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.store.answers import as_store_errors, cause
from sigma_stellar_aws.store.retries import NotWholeError, answered

THREADS = 2
"""Requests at once: one is written by the store while the next arrives."""

OWN = "sigma_stellar_aws"
"""Where the ``_meta`` of a mapping tells of what this project made it for."""

ALERTS_OF = "alerts_of"
"""What tells there that an index is one of alerts: the indices that they are raised of."""

LATER = frozenset({429, 503})
"""Status of a document that can be taken later: the queue of a node is full, or a shard is not there yet."""

_BATCH_EVENTS = 1000
_BATCH_BYTES = 5 * 1024 * 1024
_TOO_LARGE = 413
_ANSWER = "items.create.status,items.create.error"


class Rejected(NamedTuple):
    """A document that the data store did not take, and why."""

    event_id: str
    reason: str


class Loaded(NamedTuple):
    """What became of documents that were sent to a data store."""

    created: int
    present: int
    """Events that the index held already; after a lost connection, also those of the request that was made again."""
    rejected: list[Rejected]


class _Line(NamedTuple):
    """A document to send."""

    id: str
    text: bytes


def check_index_name(index: str) -> None:
    """Refuse what cannot be the name of a single index.

    Raises:
        StoreError: it cannot.
    """
    if not index or index[0] in "-_+." or set(index) & set('*?,"<>|/\\ #:') or index != index.lower():
        raise StoreError(
            f"{index!r} is no name of an index: it must be lower case, without * ? , and blanks, and begin with no sign"
        )


def create_index(client: OpenSearch, index: str, fields: Iterable[str]) -> bool:
    """Create an index with the mappings of our template, unless there is one of that name.

    Args:
        client: the data store.
        index: its name.
        fields: flattened names to map explicitly.

    Returns:
        Whether it is certain that there was none.

    Raises:
        StoreError: the index cannot be made, or is one of alerts.
    """
    check_index_name(index)
    with as_store_errors(index):
        body: JsonObject = {"settings": index_settings(), "mappings": index_mappings(fields)}
        if not answered(lambda: client.indices.exists(index=index)) and create(client, index, body):
            return True
        for name, answer in answered(lambda: client.indices.get_mapping(index=index)).items():
            held = answer["mappings"].get("_meta", {}).get(OWN)
            if isinstance(held, dict) and ALERTS_OF in held:
                raise StoreError(f"{name!r} was made for alerts, so no events are loaded into it; name another index")
        return False


def create(client: OpenSearch, index: str, body: JsonObject) -> bool:
    """Create an index of this body, unless there is one of that name.

    Returns:
        Whether there was none; if the answer to the request was lost, that is not known, and it is False.

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


def no_keywords(client: OpenSearch, index: str, fields: Iterable[str]) -> list[str]:
    """Those of some fields whose texts an index takes, or would take, for analysed text.

    Raises:
        StoreError: the index cannot be asked.
    """
    with as_store_errors(index):
        found: set[str] = set()
        for answer in answered(lambda: client.indices.get_mapping(index=index)).values():
            mapping: JsonObject = answer["mappings"]
            types = {
                name: cast(JsonObject, kind).get("type") for name, kind in described_fields([(mapping, {})]).items()
            }
            default = "keyword" if _makes_keywords(mapping) else "text"
            found.update(name for name in fields if types.get(name, default) in ANALYSED)
        return sorted(found)


def load(client: OpenSearch, index: str, documents: Iterable[Document], *, threads: int = THREADS) -> Loaded:
    """Send flattened documents to an index.

    Args:
        client: the data store.
        index: an index that exists.
        documents: as many as there are; of each request, only a few are in memory at once.
        threads: requests at once.

    Raises:
        StoreError: the store cannot be reached, refuses a request as a whole, or is too busy however long it is waited.
    """
    outcome = Loaded(0, 0, [])
    stopped = Event()
    sending: deque[Future[Loaded]] = deque()

    def wait_for_first() -> None:
        nonlocal outcome
        with as_store_errors(index):
            done = sending.popleft().result()
        outcome = _sum(outcome, done)

    pool = ThreadPoolExecutor(threads)
    try:
        for batch in _batches(documents):
            if len(sending) > threads:
                wait_for_first()
            sending.append(pool.submit(_send, client, index, batch, stopped))
        while sending:
            wait_for_first()
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)
    with as_store_errors(index):
        answered(lambda: client.indices.refresh(index=index))
    return outcome


def _batches(documents: Iterable[Document]) -> Iterator[list[_Line]]:
    batch: list[_Line] = []
    size = 0
    for document in documents:
        line = _Line(document_id(document), _encoded(document))
        if batch and (len(batch) == _BATCH_EVENTS or size + len(line.text) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.text)
    if batch:
        yield batch


def _encoded(document: Document) -> bytes:
    try:
        return msgspec.json.encode(document)
    except (UnicodeEncodeError, OverflowError):
        # Half a character, or a number of more than 64 bits: JSON can hold both.
        return json.dumps(document).encode()


def _send(client: OpenSearch, index: str, batch: list[_Line], stopped: Event) -> Loaded:
    created, present = 0, 0
    rejected: list[Rejected] = []
    waiting = batch

    def request() -> None:
        nonlocal created, present, waiting
        parts = ((b'{"create":{"_id":%b}}' % json.dumps(line.id).encode(), line.text) for line in waiting)
        body = b"\n".join([*itertools.chain.from_iterable(parts), b""])
        items = client.bulk(index=index, body=body, params={"filter_path": _ANSWER})["items"]
        if len(items) != len(waiting):
            raise StoreError(f"{index!r}: the store answered for {len(items)} of {len(waiting)} events only")
        busy: list[_Line] = []
        reason = ""
        for line, item in zip(waiting, items, strict=True):
            status = item["create"]["status"]
            if status in LATER:
                busy.append(line)
                reason = cause(item["create"].get("error"))
            elif status == 409:
                present += 1
            elif status < 300:
                created += 1
            else:
                rejected.append(Rejected(line.id, cause(item["create"].get("error"))))
        waiting = busy
        if busy:
            raise NotWholeError(f"{len(busy)} events were not taken: {reason}")

    try:
        answered(request, stopped=stopped)
    except exceptions.TransportError as error:
        if error.status_code != _TOO_LARGE:
            raise
        if len(waiting) == 1:
            [line] = waiting
            rejected.append(Rejected(line.id, f"the store takes no request of its size, {len(line.text):,} bytes"))
        else:
            half = len(waiting) // 2
            first, second = (_send(client, index, part, stopped) for part in (waiting[:half], waiting[half:]))
            return _sum(Loaded(created, present, rejected), _sum(first, second))
    return Loaded(created, present, rejected)


def _sum(one: Loaded, other: Loaded) -> Loaded:
    return Loaded(one.created + other.created, one.present + other.present, one.rejected + other.rejected)


def _makes_keywords(mapping: JsonObject) -> bool:
    """Whether an index makes keywords of texts in fields that it does not know."""
    for entry in cast("list[JsonObject]", mapping.get("dynamic_templates", [])):
        [template] = cast("list[JsonObject]", list(entry.values()))
        limits = {"match", "unmatch", "path_match", "path_unmatch"} & set(template)
        if not limits and template.get("match_mapping_type") in ("*", "string"):
            return cast(JsonObject, template["mapping"]).get("type") == "keyword"
    return False
