"""Talking to Kibana: credentials, proxies, and errors as people read them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import requests
from urllib3.util import make_headers

from sigma_stellar_aws.base.errors import AddressError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.formats.elastic_rule import Stack
from sigma_stellar_aws.install.server_errors import ServerError, no_answer
from sigma_stellar_aws.store.client import (
    API_KEY,
    PASSWORD,
    USER,
    check_ca_file,
    check_url,
    credentials,
    proxy,
    secrets_of,
    without_secrets,
)
from sigma_stellar_aws.store.connection_errors import refusal_message
from sigma_stellar_aws.store.limits import LimitedAdapter

TIMEOUT = 60
"""Seconds for an answer."""

NO_ANSWER = "this is not an answer of Kibana"

_CONNECT_TIMEOUT = 10
_SPACE = re.compile(r"[a-z0-9_-]+")
_NO_KEY_FOR_RULES = "for granting API Key"
_RULES_PRIVILEGE_SINCE = Stack(9, 3)


class KibanaApi:
    """The HTTP API of a Kibana space."""

    def __init__(self, url: str, space: str, ca_file: Path | None, environment: Mapping[str, str]) -> None:
        """Prepare to talk to Kibana, without doing so yet.

        Args:
            url: of Kibana, with its base path if it has one, without user and password.
            space: ``default``, or another.
            ca_file: certificates (PEM) to trust instead of the system's.
            environment: where credentials and proxies are looked up, as for a data store.

        Raises:
            StoreError: the URL, the space or the credentials are not as they should be.
        """
        check_url(url, "https://kibana.example.com:5601")
        if "/s/" in urlsplit(url).path + "/":
            raise AddressError(
                "the URL is that of a space; write it without /s/ and what follows, and name it: --space"
            )
        if not _SPACE.fullmatch(space):
            raise AddressError(f"{space!r} is not the id of a space; it stands in Kibana's address after /s/")
        check_ca_file(ca_file)
        self.space = space
        self.stack: Stack | None = None
        """Kibana's version, once it is known."""
        self._root = url.rstrip("/")
        self._rules = ("" if space == "default" else f"/s/{space}") + "/api/detection_engine/rules"
        self._session = requests.Session()
        # Else a .netrc would replace the API key, and variables for other programs the CA file.
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, LimitedAdapter())
        self._session.verify = str(ca_file) if ca_file else True
        through = proxy(url, environment)
        self._session.proxies = {"http": through, "https": through} if through else {}
        user, password, key = credentials(environment)
        self.has_api_key = bool(key)
        self._secrets = secrets_of(environment)
        self._session.headers.update(
            {"kbn-xsrf": "sigma-stellar-aws", "Elastic-Api-Version": "2023-10-31", "Accept-Encoding": "identity"}
        )
        if key:
            self._session.headers["Authorization"] = f"ApiKey {key}"
        elif user:
            self._session.headers["Authorization"] = make_headers(basic_auth=f"{user}:{password}")["authorization"]
        self._answered = False

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def rules(
        self,
        method: str,
        path: str = "",
        *,
        params: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        timeout: float = TIMEOUT,
    ) -> JsonObject:
        """Send a request about the detection rules of the space, once, and return the answer.

        Raises:
            ServerError: Kibana refused it, or cannot be asked.
            StoreError: there is no Kibana at that URL, or it is not to be trusted.
        """
        return self.send(method, self._rules + path, params=params, body=body, timeout=timeout)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        timeout: float = TIMEOUT,
    ) -> JsonObject:
        """Send a request, once, and return the answer.

        Raises:
            ServerError: Kibana refused it, or cannot be asked.
            StoreError: there is no Kibana at that URL, or it is not to be trusted.
        """
        try:
            answer = self._session.request(
                method,
                self._root + path,
                params=params,
                json=body,
                timeout=(_CONNECT_TIMEOUT, timeout),
                allow_redirects=False,
            )
        except requests.exceptions.ReadTimeout as error:
            raise ServerError(None, f"Kibana did not answer within {timeout:g} seconds") from error
        except requests.exceptions.RequestException as error:
            raise no_answer("Kibana", self._root, error, known=self._answered) from error
        self._answered = True
        try:
            content = answer.json()
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or not answer.ok or answer.is_redirect:
            raise self._error(answer, content)
        return cast(JsonObject, content)

    def _error(self, answer: requests.Response, content: object) -> ServerError:
        status = answer.status_code
        if message := refusal_message("Kibana", status):
            return ServerError(status, message)
        reason = content.get("message") if isinstance(content, dict) else None
        if reason is None and status in (502, 503, 504):
            return ServerError(status, f"Kibana is not available now (status {status})")
        if reason is None:
            return ServerError(status, f"{NO_ANSWER} (status {status}, no JSON object); is the URL right?")
        text = without_secrets(reason if isinstance(reason, str) else json.dumps(cast(Json, reason)), self._secrets)
        if status == 403:
            return ServerError(status, f"not allowed: {text}; needed in this space: {self._privilege()}")
        if _NO_KEY_FOR_RULES in text:
            return ServerError(
                status,
                "Kibana before 8.8 takes no API key for rules that run, or ever ran; "
                f"set {USER} and {PASSWORD} instead of {API_KEY}",
            )
        return ServerError(status, f"Kibana answered with status {status}: {text}")

    def _privilege(self) -> str:
        old, new = "Security: All (up to 9.2)", "Rules, Alerts, and Exceptions: All (from 9.3 on)"
        if self.stack is None:
            return f"the privilege {old} or {new}"
        return f"the privilege {(new if self.stack >= _RULES_PRIVILEGE_SINCE else old).partition(' (')[0]}"
