"""The client of a data store: OpenSearch 2+ or Elasticsearch 7.17+.

Needs the extra ``store``. Credentials come from the environment, never from arguments or the URL:
``SIGMA_STELLAR_AWS_API_KEY``, or ``SIGMA_STELLAR_AWS_USER`` and ``SIGMA_STELLAR_AWS_PASSWORD``.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from opensearchpy import (
    OpenSearch,
    RequestsAWSV4SignerAuth,
    RequestsHttpConnection,
    Urllib3AWSV4SignerAuth,
    Urllib3HttpConnection,
    exceptions,
)
from requests.utils import should_bypass_proxies

from sigma_stellar_aws.dsl import Clause
from sigma_stellar_aws.errors import StoreError
from sigma_stellar_aws.jsontypes import Json, JsonObject
from sigma_stellar_aws.retries import GaveUpError, NotWholeError, answered, may_pass
from sigma_stellar_aws.store_profile import Engine, as_json, described_fields, parents

API_KEY = "SIGMA_STELLAR_AWS_API_KEY"
USER = "SIGMA_STELLAR_AWS_USER"
PASSWORD = "SIGMA_STELLAR_AWS_PASSWORD"

# Of a datetime, in seconds; a store may hold any number.
_LAST_TIME = 253402300799
_CONNECTIONS = 8
TIMEOUT = 60.0
"""Seconds to wait for an answer."""


class Aws(NamedTuple):
    """What requests to Amazon OpenSearch Service are signed for (SigV4)."""

    region: str
    service: str = "es"
    """``es``, or ``aoss`` for OpenSearch Serverless."""


def connect(url: str, ca_file: Path | None, environment: Mapping[str, str], *, aws: Aws | None = None) -> OpenSearch:
    """A client for a data store; the certificate of an https URL is verified.

    A proxy is taken from ``HTTPS_PROXY``, ``HTTP_PROXY`` or ``ALL_PROXY``, unless ``NO_PROXY`` names the store.

    Args:
        url: such as ``https://search.example.com:9200``, without user and password.
        ca_file: certificates (PEM) to trust instead of the system's.
        environment: where the credentials and the proxy are looked up.
        aws: sign the requests with the AWS credentials of this process instead; needs the extra ``aws``.

    Raises:
        StoreError: the URL or the credentials are not complete.
        ModuleNotFoundError: signing needs the package botocore.
    """
    check_url(url, "https://search.example.com:9200")
    check_ca_file(ca_file)
    user, password, key = credentials(environment)
    proxied = proxy(url, environment)
    return OpenSearch(
        hosts=[url],
        http_auth=_signer(aws, proxied is not None) if aws else (user, password) if user and not key else None,
        headers={"Authorization": f"ApiKey {key}"} if key and not aws else None,
        verify_certs=True,
        ca_certs=str(ca_file) if ca_file else None,
        timeout=TIMEOUT,
        pool_maxsize=_CONNECTIONS,
        # They would be immediate, also of what must not be done twice; see the module retries.
        max_retries=0,
        # Only the second class of connection knows proxies.
        connection_class=_ProxiedConnection if proxied else Urllib3HttpConnection,
        proxies={"all": proxied},
    )


class _ProxiedConnection(RequestsHttpConnection):
    """Goes by what it was told only, as the connection without a proxy does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Else a .netrc would replace the API key, and variables for other programs the CA file.
        self.session.trust_env = False

    def perform_request(self, *request: Any, **options: Any) -> Any:
        # Another address gets neither our credentials nor our data.
        return super().perform_request(*request, **{**options, "allow_redirects": False})


def check_ca_file(ca_file: Path | None) -> None:
    """Refuse a file that holds no certificates, or cannot be read.

    Raises:
        StoreError: it is one.
    """
    try:
        if ca_file is not None:
            ssl.create_default_context(cafile=str(ca_file))
    except (ssl.SSLError, OSError) as error:
        raise StoreError(f"{ca_file} cannot be read as certificates (PEM): {error}") from error


def check_url(url: str, example: str) -> None:
    """Refuse what is no URL of a server, or holds credentials.

    Raises:
        StoreError: with what to write instead, such as the example.
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
        raise StoreError(f"{url!r} is no URL of a data store; write it like {example}")


def credentials(environment: Mapping[str, str]) -> tuple[str, str, str]:
    """User, password and API key, each empty where there is none.

    Raises:
        StoreError: only one of user and password is set.
    """
    user, password, key = (environment.get(name, "") for name in (USER, PASSWORD, API_KEY))
    if bool(user) != bool(password):
        raise StoreError(f"{USER} and {PASSWORD} belong together; only one of them is set")
    return user, password, key


def proxy(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy for a URL by ``HTTPS_PROXY``, ``HTTP_PROXY`` or ``ALL_PROXY``; none for what ``NO_PROXY`` names."""

    def setting(name: str) -> str:
        return environment.get(name.lower()) or environment.get(name.upper()) or ""

    found = setting(f"{urlsplit(url).scheme}_proxy") or setting("all_proxy")
    excepted = setting("no_proxy")
    if not found or excepted.strip() == "*" or (excepted and should_bypass_proxies(url, excepted)):
        return None
    return found if "://" in found else f"http://{found}"


def _signer(aws: Aws, proxied: bool) -> RequestsAWSV4SignerAuth | Urllib3AWSV4SignerAuth:
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
    from botocore.session import Session  # type: ignore[import-untyped]

    try:
        found = Session().get_credentials()
    except BotoCoreError as error:
        raise StoreError(f"the AWS credentials cannot be read: {error}") from error
    if found is None:
        raise StoreError("there are no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its kin")
    return (RequestsAWSV4SignerAuth if proxied else Urllib3AWSV4SignerAuth)(found, aws.region, aws.service)


def profile(client: OpenSearch, index: str) -> JsonObject:
    """The store profile of the indices that a name, alias, data stream or pattern stands for.

    Raises:
        StoreError: there is no such index, the store cannot be asked, or its mappings may not be read.
    """
    if ":" in index:
        raise StoreError(f"{index!r} is in another cluster, whose mappings cannot be read from here; ask that cluster")
    with told(index):
        engine, version = answered_engine(client)
        strict = {"allow_no_indices": "false"}
        mappings = answered(lambda: client.indices.get_mapping(index=index, params=strict))
        flat = {**strict, "flat_settings": "false"}
        settings = answered(lambda: client.indices.get_settings(index=index, params=flat))
        fields = described_fields(
            (answer["mappings"], settings[name]["settings"]["index"]) for name, answer in sorted(mappings.items())
        )
        asked = {"fields": "*", **strict}
        capabilities = answered(lambda: client.field_caps(index=index, params=asked))["fields"]
        # What is in no mapping, such as fields that a plugin computes, is known by its type alone.
        for name, kinds in capabilities.items():
            known = name in fields or any(parent in fields for parent in parents(name))
            searchable = {kind for kind, about in kinds.items() if about.get("searchable") and not name.startswith("_")}
            if not known and searchable - {"object", "nested"}:
                fields[name] = cast(Json, [{"type": kind} for kind in sorted(searchable)])
    return as_json(index, engine, version, fields)


def closed(client: OpenSearch, index: str) -> list[str]:
    """The closed indices that a pattern stands for: a search passes over them in silence.

    One that is named, or has an alias that is, makes a search fail instead. Needs the rights that a profile needs.

    Raises:
        StoreError: the store cannot be asked.
    """
    if "*" not in index and "_all" not in index.split(","):
        return []

    def names(states: str) -> set[str]:
        # Every index has this setting; without a choice, all of them would be sent.
        params = {"expand_wildcards": states}
        return {*answered(lambda: client.indices.get_settings(index=index, name="index.uuid", params=dict(params)))}

    with told(index):
        # In this order, so that an index that is made meanwhile is not taken for a closed one.
        return sorted(names("open,closed") - names("open"))


class Counted(NamedTuple):
    """What a data store holds."""

    events: int
    newest: datetime | None
    """Time of the newest event, if any has one."""
    counts: dict[str, int]
    """How many events match each of the queries, by their names."""


def count_each(client: OpenSearch, index: str, queries: Mapping[str, Clause], time_field: str | None = None) -> Counted:
    """Count all events, and those that match each of some queries.

    Raises:
        StoreError: the store cannot be asked, or answered for a part of the data only.
    """
    count: JsonObject = {"size": 0, "track_total_hits": True}
    everything = count if time_field is None else {**count, "aggs": {"newest": {"max": {"field": time_field}}}}
    # Searches beside each other, and not an aggregation of filters, which visits every event for every filter.
    bodies = [everything, *({**count, "query": query} for query in queries.values())]
    lines = [line for body in bodies for line in ({"index": index, "allow_no_indices": False}, body)]
    with told(index):
        of_all, *of_each = answered(lambda: [_whole_of_several(one) for one in client.msearch(body=lines)["responses"]])
        newest = of_all["aggregations"]["newest"]["value"] if time_field is not None else None
        return Counted(
            int(of_all["hits"]["total"]["value"]),
            None if newest is None else datetime.fromtimestamp(min(newest / 1000, _LAST_TIME), timezone.utc),
            {name: int(one["hits"]["total"]["value"]) for name, one in zip(queries, of_each, strict=True)},
        )


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


def _whole_of_several(answer: JsonObject) -> Any:
    """One answer of several, which may be an error."""
    if "error" in answer:
        status = cast(int, answer["status"])
        kind = exceptions.HTTP_EXCEPTIONS.get(status, exceptions.TransportError)
        raise kind(status, cause(answer["error"]), answer)
    return whole(answer)


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


@contextmanager
def told(index: str) -> Iterator[None]:
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
