"""Run one node for a parent process, and leave nothing behind when either of them ends.

Between the parent and Java stands this small process. It owns the node's folder and reads a pipe that only the parent
can write to. When the pipe closes, which the operating system sees to however the parent ends, it kills Java and
removes the folder.

It is run as a file, by ``python -I``: such a Python sees no package that was found by ``PYTHONPATH`` or in a user's
folder, so nothing but the standard library may be imported here.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

_LAST_LINES = 15
_LINE_CHARACTERS = 300


def supervise() -> None:
    """Run one node until it ends or the parent process is gone, then remove its folder.

    Reads one line of JSON, ``{"command": [...], "files": {path: text}}``, from standard input. Writes the node's folder
    to standard output and, at the end, the last lines of the node's log.
    """
    over = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: over.set())
    # A process forked from the parent may hold the pipe open, so the pipe alone does not show that the parent is gone.
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
    last_words = ""
    try:
        print(folder, flush=True)
        write_files(folder, {**request["files"], "tmp/.keep": ""})
        command = [part.replace("{folder}", str(folder)) for part in request["command"]]
        last_words = _run(command, folder, over, parent)
    except OSError as error:
        last_words = str(error)
    finally:
        remove_folder(folder)
    with suppress(OSError):
        print(last_words, flush=True)


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write texts into a folder, by their paths in it.

    Raises:
        OSError: one of them cannot be written.
    """
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def remove_folder(folder: Path) -> None:
    """Remove a folder of a process that has just been killed."""
    # On Windows a killed process's files stay locked for a moment.
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _run(command: list[str], folder: Path, over: threading.Event, parent: int) -> str:
    """Run the node until it ends, the event is set or the parent is gone; return the last lines of its log."""
    log = folder / "log"
    with log.open("wb") as output:
        node = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        while node.poll() is None and os.getppid() == parent:
            if over.wait(0.1):
                break
    finally:
        # Nothing in the folder is worth an orderly end.
        node.kill()
        node.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(line[:_LINE_CHARACTERS] for line in lines[-_LAST_LINES:])


if __name__ == "__main__":
    supervise()
