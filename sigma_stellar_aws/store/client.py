"""The client of a data store: OpenSearch 2+ or Elasticsearch 7.17+.

Needs the extra ``store``. Credentials come from the environment, never from arguments or the URL:
``SIGMA_STELLAR_AWS_API_KEY``, or ``SIGMA_STELLAR_AWS_USER`` and ``SIGMA_STELLAR_AWS_PASSWORD``.
"""

import base64
import logging
import os
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opensearchpy import (
    JSONSerializer,
    OpenSearch,
    RequestsAWSV4SignerAuth,
    RequestsHttpConnection,
    Urllib3AWSV4SignerAuth,
    Urllib3HttpConnection,
    exceptions,
)
from requests.utils import should_bypass_proxies

from sigma_stellar_aws.base.errors import AddressError, StoreError
from sigma_stellar_aws.store.limits import LimitedAdapter, limited

API_KEY = "SIGMA_STELLAR_AWS_API_KEY"
USER = "SIGMA_STELLAR_AWS_USER"
PASSWORD = "SIGMA_STELLAR_AWS_PASSWORD"

_CONNECTIONS = 8
# Its warnings repeat what our own messages say.
logging.getLogger("opensearch").addHandler(logging.NullHandler())
TIMEOUT_SECONDS = 60.0
"""How long to wait for an answer, and for each further byte of it."""


class Aws(NamedTuple):
    """What requests to Amazon OpenSearch Service are signed for (SigV4)."""

    region: str
    service: str = "es"
    """``es``, or ``aoss`` for OpenSearch Serverless."""


def connect(
    url: str, ca_file: Path | None = None, environment: Mapping[str, str] = os.environ, *, aws: Aws | None = None
) -> OpenSearch:
    """Return a client for a data store, to be closed by ``with``; the certificate of an https URL is verified.

    >>> connect("http://alice:secret@search.example.com:9200")
    Traceback (most recent call last):
    sigma_stellar_aws.base.errors.AddressError: a URL shows in process lists; put the credentials into ... instead
    >>> connect("https://search.example.com:9200").close()

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
        timeout=TIMEOUT_SECONDS,
        pool_maxsize=_CONNECTIONS,
        # They would be immediate, also of what must not be done twice; see the module retries.
        max_retries=0,
        # Only the second class of connection knows proxies.
        connection_class=_ProxiedConnection if proxied else _DirectConnection,
        serializer=_Serializer(),
        proxies={"all": proxied},
        secrets=() if aws else secrets_of(environment),
    )


class _Serializer(JSONSerializer):
    """Says what is wrong with an answer that cannot be read, without the answer, which the library's error holds."""

    def loads(self, s: str) -> Any:
        try:
            return super().loads(s)
        except RecursionError as error:
            raise exceptions.SerializationError("the answer is nested too deeply") from error
        except exceptions.SerializationError as error:
            raise exceptions.SerializationError(f"the answer is not JSON ({error.args[-1]})") from None


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets in a text of a server, which may repeat what it was sent.

    >>> without_secrets("no user of password hunter2", ["hunter2"])
    'no user of password ***'
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the credentials in the forms in which they are sent."""
    user, password, key = credentials(environment)
    basic = base64.b64encode(f"{user}:{password}".encode("latin-1")).decode() if user else ""
    return tuple(secret for secret in (basic, password, key) if secret)


class _DirectConnection(Urllib3HttpConnection):
    """Limits answers, and takes any JSON for the text of an error, where the library expects an object."""

    def __init__(self, *, secrets: tuple[str, ...], **options: Any) -> None:
        self._secrets = secrets
        super().__init__(**options)

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        limited(self.pool)

    def _raise_error(self, status_code: int, text: Any, *more: Any) -> None:
        with _as_refusal(status_code):
            super()._raise_error(status_code, without_secrets(text, self._secrets), *more)

    def _raise_warnings(self, warning_headers: Any) -> None:
        """Say nothing: they would be printed as they come, whatever they hold."""


class _ProxiedConnection(RequestsHttpConnection):
    """Uses no setting but its own, as the connection without a proxy does."""

    def __init__(self, *, secrets: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self._secrets = secrets
        # Else a .netrc would replace the API key, and variables for other programs the CA file.
        self.session.trust_env = False
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, LimitedAdapter(pool_maxsize=_CONNECTIONS))

    def perform_request(self, *request: Any, **options: Any) -> Any:
        # Another address gets neither our credentials nor our data.
        return super().perform_request(*request, **{**options, "allow_redirects": False})

    def _raise_error(self, status_code: int, text: Any, *more: Any) -> None:
        with _as_refusal(status_code):
            super()._raise_error(status_code, without_secrets(text, self._secrets), *more)

    def _raise_warnings(self, warning_headers: Any) -> None:
        """Say nothing: they would be printed as they come, whatever they hold."""


@contextmanager
def _as_refusal(status: int) -> Iterator[None]:
    try:
        yield
    except (AttributeError, RecursionError) as error:
        error_class = exceptions.HTTP_EXCEPTIONS.get(status, exceptions.TransportError)
        raise error_class(status, "an error without a reason that can be read", None) from error


def check_ca_file(ca_file: Path | None) -> None:
    """Refuse a file that holds no certificates, or cannot be read.

    Raises:
        StoreError: the file is like that.
    """
    try:
        if ca_file is not None:
            ssl.create_default_context(cafile=str(ca_file))
    except (ssl.SSLError, OSError) as error:
        raise StoreError(f"{ca_file} cannot be read as certificates (PEM): {error}") from error


def check_url(url: str, example: str) -> None:
    """Refuse text that is not the URL of a server, or holds credentials.

    Raises:
        AddressError: with what to write instead, such as the example.
    """
    if "@" in url:
        raise AddressError(f"a URL shows in process lists; put the credentials into {USER} and {PASSWORD} instead")
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
        raise AddressError(f"{url!r} is not a URL of a data store; write it like {example}")


# Of what a header may hold, as http.client sends it.
_LAST_LATIN_1 = 0xFF


def credentials(environment: Mapping[str, str]) -> tuple[str, str, str]:
    """Return user, password and API key, each empty if it is not set.

    Raises:
        StoreError: only one of user and password is set, or one has a character that no header can carry, such as the
            line end of an environment file with Windows line ends. The value is never shown.
    """
    user, password, key = (environment.get(name, "") for name in (USER, PASSWORD, API_KEY))
    for name, value in ((USER, user), (PASSWORD, password), (API_KEY, key)):
        if not value.isprintable():
            raise StoreError(f"{name} has a character that cannot be printed, such as a line end; set it without")
        if any(ord(character) > _LAST_LATIN_1 for character in value):
            raise StoreError(f"{name} has a character outside Latin-1, which HTTP's headers do not carry")
    if bool(user) != bool(password):
        raise StoreError(f"{USER} and {PASSWORD} belong together; only one of them is set")
    return user, password, key


def proxy(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy for a URL by ``HTTPS_PROXY``, ``HTTP_PROXY`` or ``ALL_PROXY``; None if ``NO_PROXY`` names it.

    >>> proxy("https://search.example.com", {"HTTPS_PROXY": "proxy:3128"})
    'http://proxy:3128'
    """

    def setting(name: str) -> str:
        return environment.get(name.lower()) or environment.get(name.upper()) or ""

    proxy_url = setting(f"{urlsplit(url).scheme}_proxy") or setting("all_proxy")
    excluded = setting("no_proxy")
    if not proxy_url or excluded.strip() == "*":
        return None
    if excluded and should_bypass_proxies(url, excluded):
        return None
    return proxy_url if "://" in proxy_url else f"http://{proxy_url}"


def _signer(aws: Aws, proxied: bool) -> RequestsAWSV4SignerAuth | Urllib3AWSV4SignerAuth:
    # Of the extra `aws`, which few need.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        aws_credentials = Session().get_credentials()
    except BotoCoreError as error:
        raise StoreError(f"the AWS credentials cannot be read: {error}") from error
    if aws_credentials is None:
        raise StoreError(
            "there are no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return (RequestsAWSV4SignerAuth if proxied else Urllib3AWSV4SignerAuth)(aws_credentials, aws.region, aws.service)
