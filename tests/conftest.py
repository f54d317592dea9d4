"""Real engines as fixtures, each started by the first test that asks for it and stopped with the test run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext

import pytest
from hypothesis import settings

from sigma_stellar_aws.alerts.pack_cache import CACHE
from sigma_stellar_aws.base.errors import EngineError
from sigma_stellar_aws.store.embedded import embedded_opensearch
from tests.support.contract import Alerting, Kibana, alerting, kibana
from tests.support.engine.elasticsearch import elasticsearch
from tests.support.settings import RANDOM_SEED, unavailable

ENGINES = ("opensearch", "elasticsearch")
_MOST_PROCESSES = 4

Report = Callable[[str], None]


def pytest_configure() -> None:
    """Let no test depend on how busy the machine is, or on the terminal; pytest-xdist sets a width, too."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(name, None)
    # On a busy machine, any test may take long.
    settings.register_profile("any time", deadline=None)
    settings.load_profile("any time")


def pytest_report_header() -> str:
    """Show how to repeat the random tests of this run."""
    return f"random tests: SIGMA_STELLAR_AWS_SEED={RANDOM_SEED}"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return how many processes run the tests: none but this one for a few files, or to see what tests print."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    are_few = all("::" in argument or argument.endswith(".py") for argument in config.args)
    if are_few or config.getoption("capture") == "no":
        return 0
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _MOST_PROCESSES) if count > 1 else 0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need an engine, and keep tests together that share what is costly to make.

    Those of an engine run in one process, one after another: so the run starts one engine of each kind, and no test
    sees the indices of another. Those of a module share its fixtures. It is the first to look at the tests, since
    pytest-xdist reads the groups when its turn comes.
    """
    for item in items:
        engine = _engine_of(item)
        if engine:
            item.add_marker("engine")
        item.add_marker(pytest.mark.xdist_group(engine or item.nodeid.partition("::")[0]))


def _engine_of(item: pytest.Item) -> str:
    """Return the name of the engine that a test needs, or nothing.

    Raises:
        UsageError: neither fixtures nor parameters say which.
    """
    fixtures = getattr(item, "fixturenames", ())
    if "url_of_engine" not in fixtures:
        return ""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    # The parameter of a test or fixture is an engine, or a tuple that begins with one.
    chosen = [parameter[0] if isinstance(parameter, tuple) else parameter for parameter in parameters]
    for engine in ENGINES:
        if f"{engine}_url" in fixtures:
            return engine
    for engine in ENGINES:
        if engine in chosen:
            return engine
    raise pytest.UsageError(f"{item.nodeid}: name the engine in a parameter, or take one of its fixtures")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep converted rules of this run in a folder of its own, also in processes that tests start."""
    os.environ[CACHE] = str(tmp_path_factory.mktemp("packs") / "kept")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have measured."""
    for outcome in ("passed", "failed"):
        for result in terminalreporter.getreports(outcome):
            for key, line in getattr(result, "user_properties", ()):
                if key == "measured":
                    terminalreporter.write_line(str(line))


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """A function that has a line shown at the end of the run."""
    return lambda line: request.node.user_properties.append(("measured", line))


@pytest.fixture(scope="session")
def url_of_engine() -> Iterator[Callable[[str], str]]:
    """A function that returns the URL of an engine, and starts it the first time.

    All tests share one OpenSearch, and one Elasticsearch: that at ELASTICSEARCH_URL, or one started here.
    """
    known = os.environ.get("ELASTICSEARCH_URL")
    start = {
        "opensearch": embedded_opensearch,
        "elasticsearch": lambda: nullcontext(known) if known else elasticsearch(),
    }
    urls: dict[str, str] = {}
    reasons: dict[str, str] = {}
    with ExitStack() as running:

        def url_of(engine: str) -> str:
            if engine not in urls and engine not in reasons:
                try:
                    urls[engine] = running.enter_context(start[engine]())
                except EngineError as error:
                    reasons[engine] = str(error)
            return urls[engine] if engine in urls else unavailable(reasons[engine])

        yield url_of


@pytest.fixture(scope="session")
def opensearch_url(url_of_engine: Callable[[str], str]) -> str:
    """URL of an embedded OpenSearch."""
    return url_of_engine("opensearch")


@pytest.fixture(scope="session")
def elasticsearch_url(url_of_engine: Callable[[str], str]) -> str:
    """URL of an Elasticsearch."""
    return url_of_engine("elasticsearch")


@pytest.fixture(scope="session", params=ENGINES)
def engine_url(request: pytest.FixtureRequest, url_of_engine: Callable[[str], str]) -> str:
    """URL of each engine in turn."""
    return url_of_engine(request.param)


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
