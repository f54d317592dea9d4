"""TLS on loopback: only a certificate that is trusted, valid and for this name is talked to."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import trustme

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.install.kibana_api import KibanaApi
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import count_each
from tests.support.answering import answering

SECRET = {"SIGMA_STELLAR_AWS_API_KEY": "s3cr3t-Mark"}
NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)


def by_opensearch(url: str, ca_file: Path | None) -> None:
    """Ask a data store."""
    with connect(url, ca_file, SECRET) as client:
        count_each(client, "logs", {})


def by_kibana(url: str, ca_file: Path | None) -> None:
    """Ask Kibana."""
    KibanaApi(url, "default", ca_file, SECRET).send("GET", "/api/status")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs certificates."""
    return trustme.CA()


@pytest.mark.parametrize("way", [by_opensearch, by_kibana])
@pytest.mark.parametrize(
    ("name", "begins", "ends", "is_named", "told"),
    [
        ("localhost", NOW - DAY, NOW + DAY, True, None),
        ("localhost", NOW - DAY, NOW + DAY, False, "certificate is not trusted .*; name its CA: --ca-file"),
        ("localhost", NOW - 2 * DAY, NOW - DAY, True, "certificate is not trusted .*expired"),
        ("localhost", NOW + DAY, NOW + 2 * DAY, True, "certificate is not trusted .*not yet valid"),
        ("elsewhere.example.com", NOW - DAY, NOW + DAY, True, "certificate is not trusted .*(mismatch|match)"),
    ],
    ids=["trusted", "unknown authority", "expired", "not yet valid", "another name"],
)
def test_certificates(
    way: Callable[[str, Path | None], None],
    name: str,
    begins: datetime,
    ends: datetime,
    is_named: bool,
    told: str | None,
    authority: trustme.CA,
    tmp_path: Path,
) -> None:
    """What is wrong is told, nothing is sent, and it is not tried again."""
    certificate, ca_file = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert(name, not_before=begins, not_after=ends).private_key_and_cert_chain_pem.write_to_path(
        certificate
    )
    authority.cert_pem.write_to_path(ca_file)
    count = {"hits": {"total": {"value": 1, "relation": "eq"}}}
    with answering(200, {"responses": [count]}, certificate) as (url, handler):
        if told is None:
            way(url, ca_file)
            assert handler.seen == ["ApiKey s3cr3t-Mark"]
            return
        with pytest.raises(StoreError, match=told):
            way(url, ca_file if is_named else None)
        assert handler.seen == []
