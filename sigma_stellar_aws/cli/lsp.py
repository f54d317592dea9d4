"""The command lsp."""

import os
import sys
from contextlib import redirect_stdout

import click

from sigma_stellar_aws.cli.problems import note
from sigma_stellar_aws.editor.server import make_server


@click.command()
def lsp() -> None:
    """Serve an editor in which rules are written: a language server (LSP) on standard input and output.

    The editor starts it: "sigma-stellar-aws reference editors" says how to set one up.
    """
    if sys.stdin.isatty():
        note('waiting for an editor on standard input; Ctrl-C ends it; see "sigma-stellar-aws reference editors"')
    # The server closes its stream at the end; and what anything else prints must not come between its messages.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output, redirect_stdout(sys.stderr):
        make_server().start_io(sys.stdin.buffer, output)
