"""Real engines as fixtures, each started by the first test that asks for it and stopped with the test run."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import NoReturn

import pytest

from sigma_stellar_aws.base.errors import EngineError
from sigma_stellar_aws.store.embedded import embedded_opensearch
from tests.support.contract import Alerting, Kibana, alerting, kibana
from tests.support.engine.elasticsearch import elasticsearch

RANDOM_SEED = int(os.environ.get("SIGMA_STELLAR_AWS_SEED") or random.randrange(1 << 32))
_REPORTED: list[str] = []


def pytest_report_header() -> str:
    """Tell how to repeat the random tests of this run."""
    return f"random tests: SIGMA_STELLAR_AWS_SEED={RANDOM_SEED}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need an engine, so that ``-m "not engine"`` leaves them out."""
    for item in items:
        if {"opensearch_url", "elasticsearch_url"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("engine")


def report(line: str) -> None:
    """Have a line shown at the end of the run."""
    _REPORTED.append(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have measured."""
    for line in _REPORTED:
        terminalreporter.write_line(line)


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


@pytest.fixture
def kibana_server() -> Iterator[Kibana]:
    """A Kibana of version 8.19 that is open to all; what a client does against the contract fails the test."""
    with kibana() as server:
        yield server
    assert server.violations == []


@pytest.fixture
def alerting_server() -> Iterator[Alerting]:
    """An OpenSearch with monitors that is open to all; what a client does against the contract fails the test."""
    with alerting() as server:
        yield server
    assert server.violations == []
    assert server.unguarded == []
