"""How a data store is reached: proxies, and signatures for Amazon OpenSearch Service."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from opensearchpy import exceptions

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.store.client import API_KEY, PASSWORD, USER, Aws, connect, credentials, proxy
from sigma_stellar_aws.store.mapping import describe_store
from tests.support.contract import Alerting

URL = "https://search.example.com:9200"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "http://small:1", "HTTPS_PROXY": "http://large:1"}, "http://small:1"),
        ({"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "other.org, .example.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other.org"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": ""}, None),
    ],
)
def test_which_proxy(environment: Mapping[str, str], expected: str | None) -> None:
    """The variables that other programs go by are gone by here."""
    assert proxy(URL, environment) == expected


def test_networks_without_proxy() -> None:
    """NO_PROXY may name a network."""
    environment = {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.0/8"}
    assert proxy("http://10.1.2.3:9200", environment) is None
    assert proxy("http://11.1.2.3:9200", environment) == "http://proxy:3128"


def test_requests_go_through_the_proxy(
    alerting_server: Alerting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The proxy is asked for the store, with the credentials of the store and no others."""
    (tmp_path / ".netrc").write_text("default login other password secret\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    environment = {"HTTP_PROXY": alerting_server.url, API_KEY: "a2V5"}
    assert connect("http://search.example.com:9200", None, environment).info()["name"] == "node"
    headers = alerting_server.requests[0].headers
    assert (headers["host"], headers["authorization"]) == ("search.example.com:9200", "ApiKey a2V5")


@pytest.mark.parametrize("proxied", [False, True])
def test_nobody_is_sent_elsewhere(proxied: bool, alerting_server: Alerting) -> None:
    """A redirect is an error, through a proxy too: another host gets neither credentials nor data."""
    url = "http://search.example.com:9200" if proxied else alerting_server.url
    client = connect(url, None, {API_KEY: "a2V5"} | ({"HTTP_PROXY": alerting_server.url} if proxied else {}))
    alerting_server.fail("GET", "^/", "redirect", times=9)
    with pytest.raises(exceptions.TransportError, match="307"):
        client.info()
    assert {request.path for request in alerting_server.requests} == {"/"}


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    """It is named in the error."""
    (tmp_path / "junk.pem").write_text("junk", "utf-8")
    for name in ("junk.pem", "missing.pem"):
        with pytest.raises(StoreError, match=rf"{name} cannot be read as certificates \(PEM\)"):
            connect(URL, tmp_path / name, {})


def test_no_password_of_a_proxy_is_shown() -> None:
    """A proxy that does not answer is an error without its password."""
    environment = {"HTTP_PROXY": "http://someone:pass-5d1f@127.0.0.1:9"}
    client = connect("http://search.example.com:9200", None, environment)
    with pytest.raises(StoreError, match="the proxy does not answer") as error:
        describe_store(client, "any")
    assert "pass-5d1f" not in str(error.value)


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("service", ["es", "aoss"])
def test_requests_are_signed(
    proxied: bool, service: str, alerting_server: Alerting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request has a signature for region and service, and the hash of its body; a password plays no part."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-5d1f")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-5d1f")
    environment = {USER: "someone", PASSWORD: "pass-5d1f"}
    url = "http://search.example.com:9200" if proxied else alerting_server.url
    if proxied:
        environment["HTTP_PROXY"] = alerting_server.url
    client = connect(url, None, environment, aws=Aws("eu-central-1", service))
    search: JsonObject = {"query": {"match_all": {}}}
    client.transport.perform_request("POST", "/_plugins/_alerting/monitors/_search", params={"a": "b c"}, body=search)
    [request] = alerting_server.requests
    scope = rf"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/\d{{8}}/eu-central-1/{service}/aws4_request, "
    assert re.match(scope, request.headers["authorization"])
    assert (
        request.headers["x-amz-content-sha256"]
        == hashlib.sha256(json.dumps(search, separators=(",", ":")).encode()).hexdigest()
    )
    assert request.headers["x-amz-security-token"] == "token-5d1f"
    assert "secret-5d1f" not in str(request)


def test_without_aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error that says where they are looked for."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreError, match="there are no AWS credentials; set AWS_PROFILE"):
        connect(URL, None, {}, aws=Aws("eu-central-1"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreError, match=r"the AWS credentials cannot be read: .*nobody"):
        connect(URL, None, {}, aws=Aws("eu-central-1"))


def test_a_client_that_repeats_nothing(alerting_server: Alerting) -> None:
    """Without retries a request that is cut is sent once, so that what it does is not done twice."""
    client = connect(alerting_server.url, None, {})
    alerting_server.fail("POST", "_execute", "cut", times=5)
    with pytest.raises(exceptions.ConnectionError):
        client.transport.perform_request("POST", "/_plugins/_alerting/monitors/_execute", body={})
    assert len(alerting_server.requests) == 1


@pytest.mark.parametrize("name", ["SIGMA_STELLAR_AWS_USER", "SIGMA_STELLAR_AWS_PASSWORD", "SIGMA_STELLAR_AWS_API_KEY"])
@pytest.mark.parametrize("ending", ["\r", "\n", "\0", "\u2026", "\u0142"])
def test_a_credential_that_no_header_carries_is_refused_and_not_shown(name: str, ending: str) -> None:
    """Such as one from an environment file with Windows line ends; a library would print it, or fail on it."""
    with pytest.raises(StoreError, match=f"^{name} has a character") as error:
        credentials({name: f"marked-secret{ending}"})
    assert "marked-secret" not in str(error.value)
