"""Processes that tests start and send signals to."""

import os
import signal
from collections.abc import Callable

_IGNORED_IN_THE_BACKGROUND = ("SIGINT", "SIGQUIT", "SIGHUP", "SIGTERM")


def _reset_signals() -> None:
    for name in _IGNORED_IN_THE_BACKGROUND:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


as_in_foreground: Callable[[], None] | None = _reset_signals if os.name == "posix" else None
"""Give a new process the signals of one that a terminal starts (``preexec_fn`` of ``subprocess.Popen``).

A test run in the background (``nohup``, ``&`` in a script) ignores some of them, and whatever it starts would, too.
"""
