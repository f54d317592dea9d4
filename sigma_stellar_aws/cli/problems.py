"""Exit codes of the commands, and how they report errors and what they could not read."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sigma_stellar_aws.base.errors import MisuseError, UserError
from sigma_stellar_aws.base.text import plural, printable
from sigma_stellar_aws.cli.lazy_group import missing_package, reason_of
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.query.index_template import IGNORE_ABOVE, too_long
from sigma_stellar_aws.reference.flat_schema import Document

FINDINGS = 1
"""Exit code: the command ran, and the rules that it looked at are not as they should be."""

NOT_RUN = 2
"""Exit code of a command that could not run, where 1 says that it found something; click's for misuse."""

UNREAD = 3
"""Exit code: the command ran, but some input could not be read or some document was not taken."""
_KEPT = 100


@contextmanager
def as_click_errors() -> Iterator[None]:
    """Turn errors of our modules into errors of the command line."""
    try:
        yield
    except BrokenPipeError:
        # A reader that has seen enough: click ends the command without a word.
        raise
    except OSError as error:
        raise click.ClickException(printable(reason_of(error))) from error
    except MisuseError as error:
        raise click.UsageError(printable(str(error))) from error
    except Exception as error:
        if isinstance(error, UserError) or _is_of_sigma(error):
            raise click.ClickException(printable(str(error))) from error
        raise


def _is_of_sigma(error: Exception) -> bool:
    """Tell whether an error is pySigma's SigmaError, without loading pySigma, which takes a second."""
    return any((kind.__module__, kind.__name__) == ("sigma.exceptions", "SigmaError") for kind in type(error).__mro__)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing package into an error that says which extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(missing_package(error, extra)) from error


@contextmanager
def errors_exit_with(code: int) -> Iterator[None]:
    """End a command that fails with an exit code other than 1; misuse still ends with 2."""
    try:
        yield
    except click.UsageError:
        raise
    except click.ClickException as error:
        error.show()
        sys.exit(code)


class Problems:
    """Reports what could not be read, and counts it."""

    def __init__(self) -> None:
        """Begin with no problems."""
        self.count = 0
        self.texts: list[str] = []
        """The first ones."""
        self._before: list[str] = []

    def report(self, problem: object) -> None:
        """Report one problem."""
        if isinstance(problem, Problem) and problem.is_note:
            note(f"note: {problem}")
            return
        self.count += 1
        if len(self.texts) < _KEPT:
            self.texts.append(str(problem))
        if self.count > _KEPT + 1 or str(problem) in self._before:
            return
        more = self.count > _KEPT
        note("note: further problems are counted, not shown" if more else f"warning: {problem}")

    def begin_anew(self) -> None:
        """Begin another run, which reports only problems that the last one did not have."""
        self._before, self.texts, self.count = self.texts, [], 0

    def watching_length(self, documents: Iterator[Document]) -> Iterator[Document]:
        """Yield the documents, and report values that are too long for an index to find."""
        for document in documents:
            if fields := too_long(document):
                self.report(
                    f"event {document.get('eventID')}: {', '.join(fields)} is over {IGNORE_ABOVE:,} characters long; "
                    "it is kept, but a search does not find it"
                )
            yield document

    def summary(self) -> str:
        """Count the problems in words that continue a sentence."""
        return f"; {plural(self.count, 'problem')}, see above" if self.count else ""

    def leave(self) -> None:
        """End the command with the exit code for it, if there were any."""
        if self.count:
            sys.exit(UNREAD)


def note(text: str) -> None:
    """Write a line to standard error."""
    click.echo(printable(" ".join(text.splitlines())), err=True)
