"""Real engines as fixtures, each started by the first test that asks for it and stopped with the test run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import NoReturn

import pytest

from sigma_stellar_aws.embedded import EngineError, embedded_opensearch
from tests.engine.elasticsearch import elasticsearch


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where SIGMA_STELLAR_AWS_REQUIRE_ENGINES=1 says that nothing may be missing."""
    if os.environ.get("SIGMA_STELLAR_AWS_REQUIRE_ENGINES") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _running(engine: AbstractContextManager[str]) -> Iterator[str]:
    with ExitStack() as stack:
        try:
            url, reason = stack.enter_context(engine), ""
        except EngineError as error:
            url, reason = "", str(error)
        if reason:
            unavailable(reason)
        yield url


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """URL of an embedded OpenSearch that all tests of the run share."""
    yield from _running(embedded_opensearch())


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """URL of an Elasticsearch that all tests of the run share: the one at ELASTICSEARCH_URL, or one started here."""
    url = os.environ.get("ELASTICSEARCH_URL")
    yield from _running(nullcontext(url) if url else elasticsearch())


@pytest.fixture(scope="session", params=["opensearch", "elasticsearch"])
def engine_url(request: pytest.FixtureRequest) -> str:
    """URL of each engine in turn."""
    url = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(url, str)
    return url
