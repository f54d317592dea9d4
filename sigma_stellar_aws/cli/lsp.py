"""The command lsp."""

import asyncio
import logging
import os
import signal
import sys
from contextlib import redirect_stdout

import click

from sigma_stellar_aws.cli.problems import note
from sigma_stellar_aws.editor.server import make_server


class _InALine(logging.Formatter):
    """Leaves out tracebacks: editors show what a server says to people."""

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Return what went wrong."""
        return repr(ei[1]) if isinstance(ei, tuple) else ""


def _is_of_interest(record: logging.LogRecord) -> bool:
    # What an editor still waits for when it ends the server is cancelled, which is no error.
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


@click.command()
def lsp() -> None:
    """Serve an editor in which rules are written: a language server (LSP) on standard input and output.

    The editor starts it: "sigma-stellar-aws reference editors" says how to set one up.
    """
    if sys.stdin.isatty():
        note('waiting for an editor on standard input; Ctrl-C ends it; see "sigma-stellar-aws reference editors"')
    log = logging.StreamHandler()
    log.setFormatter(_InALine())
    log.addFilter(_is_of_interest)
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    # A thread waits for standard input, so that Python would end only with that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The server closes its stream at the end; and what anything else prints must not come between its messages.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output, redirect_stdout(sys.stderr):
        make_server().start_io(sys.stdin.buffer, output)
