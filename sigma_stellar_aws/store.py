"""The client of a data store: OpenSearch 2+ or Elasticsearch 7.17+.

Needs the extra ``store``. Credentials come from the environment, never from arguments or the URL:
``SIGMA_STELLAR_AWS_API_KEY``, or ``SIGMA_STELLAR_AWS_USER`` and ``SIGMA_STELLAR_AWS_PASSWORD``.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from opensearchpy import OpenSearch, exceptions
from opensearchpy.helpers import streaming_bulk

from sigma_stellar_aws import dsl
from sigma_stellar_aws.dsl import Clause
from sigma_stellar_aws.errors import StoreError
from sigma_stellar_aws.flatten import Document
from sigma_stellar_aws.index_template import index_mappings, index_settings
from sigma_stellar_aws.jsontypes import Json, JsonObject
from sigma_stellar_aws.store_profile import Engine, as_json, described_fields, parents

API_KEY = "SIGMA_STELLAR_AWS_API_KEY"
USER = "SIGMA_STELLAR_AWS_USER"
PASSWORD = "SIGMA_STELLAR_AWS_PASSWORD"

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PAGE = 1000
# Of a datetime, in seconds; a store may hold any number.
_LAST_TIME = 253402300799
_SCROLL = "5m"
_BULK_BYTES = 10 * 1024 * 1024
_RETRIES = 5


class Hit(NamedTuple):
    """One event of a data store."""

    place: str
    """The index that it stands in."""
    source: JsonObject
    matched_queries: list[str]


class Rejected(NamedTuple):
    """A document that the data store did not take, and why."""

    event_id: str
    reason: str


class Loaded(NamedTuple):
    """What became of documents that were sent to a data store."""

    created: int
    present: int
    """Events that the index held already."""
    rejected: list[Rejected]


def connect(url: str, ca_file: Path | None, environment: Mapping[str, str]) -> OpenSearch:
    """A client for a data store; the certificate of an https URL is verified.

    Args:
        url: such as ``https://search.example.com:9200``, without user and password.
        ca_file: certificates (PEM) to trust instead of the system's.
        environment: where the credentials are looked up.

    Raises:
        StoreError: the URL or the credentials are not complete.
    """
    if "@" in url:
        raise StoreError(f"a URL shows in process lists; put the credentials into {USER} and {PASSWORD} instead")
    try:
        parts = urlsplit(url)
        complete = (
            url.isprintable()
            and " " not in url
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
        )
    except ValueError:
        complete = False
    if not complete:
        raise StoreError(f"{url!r} is no URL of a data store; write it like https://search.example.com:9200")
    user, password = environment.get(USER), environment.get(PASSWORD)
    if bool(user) != bool(password):
        raise StoreError(f"{USER} and {PASSWORD} belong together; only one of them is set")
    key = environment.get(API_KEY)
    return OpenSearch(
        hosts=[url],
        http_auth=(user, password) if user and not key else None,
        headers={"Authorization": f"ApiKey {key}"} if key else None,
        verify_certs=True,
        ca_certs=str(ca_file) if ca_file else None,
        timeout=60,
        max_retries=_RETRIES,
        retry_on_status=(429, 502, 503, 504),
        retry_on_timeout=True,
    )


def profile(client: OpenSearch, index: str) -> JsonObject:
    """The store profile of the indices that a name, alias, data stream or pattern stands for.

    Raises:
        StoreError: there is no such index, the store cannot be asked, or its mappings may not be read.
    """
    if ":" in index:
        raise StoreError(f"{index!r} is in another cluster, whose mappings cannot be read from here; ask that cluster")
    with _told(index):
        engine, version = _engine(client)
        strict = {"allow_no_indices": "false"}
        mappings = client.indices.get_mapping(index=index, params=strict)
        settings = client.indices.get_settings(index=index, params={**strict, "flat_settings": "false"})
        fields = described_fields(
            (answer["mappings"], settings[name]["settings"]["index"]) for name, answer in sorted(mappings.items())
        )
        capabilities = client.field_caps(index=index, params={"fields": "*", **strict})["fields"]
        # What is in no mapping, such as fields that a plugin computes, is known by its type alone.
        for name, kinds in capabilities.items():
            known = name in fields or any(parent in fields for parent in parents(name))
            searchable = {kind for kind, about in kinds.items() if about.get("searchable") and not name.startswith("_")}
            if not known and searchable - {"object", "nested"}:
                fields[name] = cast(Json, [{"type": kind} for kind in sorted(searchable)])
    return as_json(index, engine, version, fields)


class Counted(NamedTuple):
    """What a data store holds."""

    events: int
    newest: datetime | None
    """Time of the newest event, if any has one."""
    counts: dict[str, int]
    """How many events match each of the queries, by their names."""


def count_each(client: OpenSearch, index: str, queries: Mapping[str, Clause], time_field: str | None = None) -> Counted:
    """Count all events, and those that match each of some queries, in one search.

    Raises:
        StoreError: the store cannot be asked, or answered for a part of the data only.
    """
    aggregations: JsonObject = {}
    if queries:
        aggregations["queries"] = {"filters": {"filters": cast(Json, dict(queries))}}
    if time_field is not None:
        aggregations["newest"] = {"max": {"field": time_field}}
    body = {"size": 0, "track_total_hits": True, "aggs": aggregations}
    with _told(index):
        answer = client.search(index=index, body=body, params={"allow_no_indices": "false"})
        _check_whole(answer, index)
        found = answer.get("aggregations", {})
        newest = found["newest"]["value"] if "newest" in found else None
        buckets = found["queries"]["buckets"] if "queries" in found else {}
        return Counted(
            int(answer["hits"]["total"]["value"]),
            None if newest is None else datetime.fromtimestamp(min(newest / 1000, _LAST_TIME), timezone.utc),
            {name: int(bucket["doc_count"]) for name, bucket in buckets.items()},
        )


def scan(client: OpenSearch, index: str, query: Clause, fields: Iterable[str]) -> Iterator[Hit]:
    """All events that match a query of named clauses, in no order, with the given fields of each.

    Raises:
        StoreError: the store cannot be asked, or answered for a part of the data only.
    """
    # Not the helper of the client library: it ends in silence when a page without hits had failed shards.
    body = {**dsl.search(query), "size": _PAGE, "sort": ["_doc"], "_source": list(fields)}
    scroll_id: str | None = None
    try:
        with _told(index):
            page = client.search(index=index, body=body, params={"scroll": _SCROLL, "allow_no_indices": "false"})
            while True:
                scroll_id = page.get("_scroll_id", scroll_id)
                _check_whole(page, index)
                hits = [_hit(hit) for hit in page["hits"]["hits"]]
                if not hits:
                    return
                yield from hits
                page = client.scroll(body={"scroll_id": scroll_id, "scroll": _SCROLL})
    finally:
        if scroll_id is not None:
            # Not worth an error of its own: the store forgets it after a while.
            with suppress(exceptions.OpenSearchException):
                client.clear_scroll(body={"scroll_id": [scroll_id]})


def create_index(client: OpenSearch, index: str, fields: Iterable[str]) -> None:
    """Create an index with the mappings of our template, unless there is one of that name.

    Args:
        client: the data store.
        index: its name.
        fields: flattened names to map explicitly.

    Raises:
        StoreError: the index cannot be made.
    """
    if not index or set(index) & set('*?,"<>|/\\ #:') or index != index.lower():
        raise StoreError(f"{index!r} is no name of an index: it must be lower case, without * ? , and blanks")
    with _told(index):
        if not client.indices.exists(index=index):
            body = {"settings": index_settings(), "mappings": index_mappings(fields)}
            client.indices.create(index=index, body=body)


def load(client: OpenSearch, index: str, documents: Iterable[Document]) -> Loaded:
    """Send flattened documents to an index, each under its eventID, so that no event is there twice.

    Raises:
        StoreError: the store cannot be reached, or refuses the request as a whole.
    """
    sent, created, present = 0, 0, 0
    rejected: list[Rejected] = []

    def actions() -> Iterator[dict[str, object]]:
        nonlocal sent
        for document in documents:
            sent += 1
            yield {"_op_type": "create", "_index": index, "_id": document_id(document), "_source": document}

    with _told(index):
        for ok, item in streaming_bulk(
            client, actions(), max_chunk_bytes=_BULK_BYTES, max_retries=_RETRIES, raise_on_error=False
        ):
            answer = item["create"]
            if ok:
                created += 1
            elif answer["status"] == 409:
                present += 1
            else:
                rejected.append(Rejected(answer["_id"], _cause(answer.get("error"))))
        client.indices.refresh(index=index)
    if created + present + len(rejected) != sent:
        raise StoreError(f"{index!r}: the store answered for {created + present + len(rejected)} of {sent} events only")
    return Loaded(created, present, rejected)


def document_id(document: Document) -> str:
    """The eventID where it is a UUID, as AWS makes them; else, as in redacted records, a hash of the whole document."""
    event_id = document.get("eventID")
    if isinstance(event_id, str) and _UUID.fullmatch(event_id):
        return event_id
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _engine(client: OpenSearch) -> tuple[Engine, str]:
    """Name and version of the engine."""
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


def _hit(hit: Mapping[str, object]) -> Hit:
    place, source, names = hit["_index"], hit["_source"], hit["matched_queries"]
    if not (isinstance(place, str) and isinstance(source, dict) and isinstance(names, list) and names):
        raise TypeError(f"_index, _source or matched_queries of a hit is not what it should be: {str(hit)[:200]}")
    return Hit(place, source, [str(name) for name in names])


def _check_whole(page: Mapping[str, Json], index: str) -> None:
    shards = cast("dict[str, int]", page.get("_shards", {}))
    if page.get("timed_out") or shards.get("failed", 0):
        raise StoreError(
            f"{index!r}: the answer is not whole ({shards.get('failed', 0)} of {shards.get('total', 0)} shards failed, "
            f"timed out: {bool(page.get('timed_out'))}); nothing can be said about the rest, so the run stops here"
        )


@contextmanager
def _told(index: str) -> Iterator[None]:
    """Errors of the client as errors for people."""
    try:
        yield
    except KeyError as error:
        raise StoreError(
            f"{index!r}: this is no answer of an OpenSearch or Elasticsearch that tells all: {error} is missing"
        ) from error
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise StoreError(f"{index!r}: this is no answer of an OpenSearch or Elasticsearch: {error}") from error
    except exceptions.SSLError as error:
        if "WRONG_VERSION_NUMBER" in str(error.info):
            raise StoreError("the store does not speak TLS there; is its URL http:// ?") from error
        raise StoreError(f"the store's certificate is not trusted ({error.info}); name its CA: --ca-file") from error
    except exceptions.ConnectionError as error:
        raise StoreError(f"the store cannot be reached: {error.info}") from error
    except exceptions.NotFoundError as error:
        raise StoreError(f"there is no index {index!r}; name it: --index NAME") from error
    except exceptions.AuthenticationException as error:
        raise StoreError(f"the store does not know who asks; set {USER} and {PASSWORD}, or {API_KEY}") from error
    except exceptions.AuthorizationException as error:
        raise StoreError(
            f"not allowed on {index!r}: {_reason(error)}; needed are the rights read and view_index_metadata "
            "(OpenSearch: read, and get on mappings and settings)"
        ) from error
    except exceptions.OpenSearchException as error:
        raise StoreError(f"{index!r}: the store answered: {_reason(error)}") from error


def _reason(error: exceptions.OpenSearchException) -> str:
    info = getattr(error, "info", None)
    return _cause(info.get("error")) if isinstance(info, dict) else str(error)


def _cause(error: object) -> str:
    """Type and reason out of an error object, the root cause's where there is one."""
    if not isinstance(error, dict):
        return str(error)
    roots = error.get("root_cause")
    candidates = [error.get("caused_by"), *(roots if isinstance(roots, list) else []), error]
    cause = next(candidate for candidate in candidates if isinstance(candidate, dict))
    return f"{error.get('reason', '')} ({cause.get('type')}: {cause.get('reason')})"
