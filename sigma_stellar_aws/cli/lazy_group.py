"""A group of commands that loads a command when it is asked for."""

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, NamedTuple

import click

from sigma_stellar_aws.base.garbage import rare_collections
from sigma_stellar_aws.base.text import did_you_mean, nearest, printable

_INTERRUPTED = 130
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class LazyCommand(NamedTuple):
    """What can be said of a command without loading it."""

    summary: str
    """One line for the list of commands."""
    extra: str = ""
    """The extra of this project that the command cannot do without, if any."""


class LazyGroup(click.Group):
    """A group whose own help and version load none of its commands.

    Commands load pySigma and clients of data stores, which takes a second; see "Lazily Loading Subcommands" in Click's
    documentation. A command is the function in the module of the same name.
    """

    def __init__(self, *arguments: Any, package: str, lazy_commands: Mapping[str, LazyCommand], **options: Any) -> None:
        """Take the package of the modules, and the commands by their names; the rest is for Click."""
        super().__init__(*arguments, **options)
        self._package = package
        self._lazy_commands = lazy_commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in alphabetical order."""
        return sorted(self._lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command, or return None where there is none of that name."""
        lazy = self._lazy_commands.get(cmd_name)
        if lazy is None:
            return None
        try:
            command = getattr(import_module(f"{self._package}.{cmd_name}"), cmd_name)
        except ModuleNotFoundError as error:
            if not lazy.extra or (error.name or "").startswith(self._package.partition(".")[0]):
                raise
            return _without_extra(cmd_name, lazy.summary, missing_package(error, lazy.extra))
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is not a command of Click")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line; where there is none of that name, name the one that was meant."""
        if args and args[0] not in self._lazy_commands and (meant := nearest(args[0], self._lazy_commands)):
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(meant)}")
        return super().resolve_command(ctx, args)

    def make_context(self, *what: Any, **more: Any) -> click.Context:
        """Read the options, or print the help; what it could not write is reported without a traceback."""
        with _told():
            return super().make_context(*what, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Load and run the command; what it could not write is reported without a traceback."""
        with _told(), rare_collections():
            result = super().invoke(ctx)
            # While there is still somebody to tell.
            sys.stdout.flush()
            return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names and summaries of the commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._lazy_commands[name].summary) for name in self.list_commands(ctx)])


def reason_of(error: OSError) -> str:
    """Say what went wrong; the system names no file where it is the output, or temporary data, that has no room."""
    if error.filename is None and error.errno in _NO_ROOM:
        return f"the output, or temporary data, cannot be written: {error.strerror}"
    return str(error)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        # As shells number the end by Ctrl-C; click's own end is an error like any other.
        click.echo("\ninterrupted", err=True)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # A reader that has seen enough: click ends the command without a word.
        raise
    except OSError as error:
        if error.errno in _NO_ROOM:
            _drop_output()
        raise click.ClickException(printable(reason_of(error))) from error


def _drop_output() -> None:
    """Let the interpreter not fail once more, with what is left to be written, when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def missing_package(error: ModuleNotFoundError, extra: str) -> str:
    """Say which extra has the package that is missing."""
    return (
        f"this command needs the package {error.name}; install it with: pip install 'sigma-stellar-aws[{extra}]' "
        f"(in a checkout: pip install '.[{extra}]')"
    )


def _without_extra(name: str, summary: str, reason: str) -> click.Command:
    """Stand in for a command whose packages are missing: its help says so, and it ends with an error."""

    def fail(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(reason)

    return click.Command(
        name,
        callback=fail,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        help=f"{summary}\n\nNot available: {reason}",
        context_settings={"ignore_unknown_options": True},
    )
