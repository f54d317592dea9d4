"""What the commands share: options, exit codes, and how they tell of errors and of what they could not read."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sigma.exceptions import SigmaError

if TYPE_CHECKING:
    from sigma_stellar_aws.flatten import Document


FINDINGS = 1
"""Exit code: the command ran, and the rules that it looked at are not as they should be."""

NOT_RUN = 2
"""Exit code of a command that could not run, where 1 says that it found something; click's for misuse."""

UNREAD = 3
"""Exit code: the command ran, but some input could not be read or some document was not taken."""

_RELATIVE_TIME = re.compile(r"([1-9]\d*)([mhd])")
_KEPT = 100
_NAMED = 5
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def instant(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """The value of an option that is an instant: ISO 8601 (UTC unless it says otherwise), or a time ago such as 24h."""
    if value is None:
        return None
    try:
        if ago := _RELATIVE_TIME.fullmatch(value):
            return datetime.now(timezone.utc) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write 2026-11-24, 2026-11-24T12:00:00Z, 90m, 24h or 7d"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def duration(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """The value of an option that is a time span, such as 24h."""
    if value is None:
        return None
    from sigma_stellar_aws.rulepack import parse_window

    if (span := parse_window(value)) is None:
        raise click.BadParameter(f"{value!r} is no time span; write 90m, 24h or 7d")
    return span


def fields(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """The value of an option that names fields of CloudTrail, with commas between; none if it is not given."""
    if value is None:
        return ()
    from sigma_stellar_aws.cloudtrail import is_known, nearest

    names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    for name in names:
        if not is_known(name) or not all(name.split(".")):
            close = nearest(name) if name else None
            hint = f"did you mean {close}?" if close else "write names as CloudTrail has them, such as userIdentity.arn"
            raise click.BadParameter(f"{name!r} is no field of CloudTrail; {hint}")
    return names


FILES = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
rules_option = click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    type=FILES,
    metavar="PATH",
    help="Use these rules, not the 29; repeatable.",
)
filters_option = click.option(
    "--filter", "filter_paths", multiple=True, type=FILE, metavar="FILE", help="Sigma filter to apply; repeatable."
)
published_option = click.option(
    "--published", is_flag=True, help="Use the published queries, errors included, where a rule corrects them."
)
exact_case_option = click.option(
    "--case-sensitive", is_flag=True, help="Compare texts exactly, as the platform does; Sigma ignores case."
)
url_option = click.option("--url", required=True, help="The data store, such as https://search.example.com:9200.")
index_option = click.option("--index", help="Index, alias or pattern.  [default: aella-cloudtrail-*]")
ca_file_option = click.option("--ca-file", type=FILE, help="Certificates (PEM) to trust instead of the system's.")


EVENT = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
event_id_option = click.option("--event-id", metavar="ID", help="Of several events, take the one with this eventID.")
event_number_option = click.option("--number", type=int, metavar="N", help="Of several events, take the Nth.")


@contextmanager
def told() -> Iterator[None]:
    """Errors of our modules as errors of the command line."""
    from sigma_stellar_aws.errors import ToldError
    from sigma_stellar_aws.output import printable

    try:
        yield
    except BrokenPipeError:
        # A reader that has seen enough: click ends the command without a word.
        raise
    except (SigmaError, ToldError, OSError) as error:
        raise click.ClickException(printable(str(error))) from error


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """A missing package as an error that says which extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this command needs the package {error.name}; install it with: pip install 'sigma-stellar-aws[{extra}]' "
            f"(in a checkout: pip install '.[{extra}]')"
        ) from error


@contextmanager
def errors_exit_with(code: int) -> Iterator[None]:
    """Another exit code than 1 for errors of a command, but 2 for misuse as everywhere."""
    try:
        yield
    except click.UsageError:
        raise
    except click.ClickException as error:
        error.show()
        sys.exit(code)


class Problems:
    """Tells of what could not be read, and counts it."""

    def __init__(self) -> None:
        """There are none yet."""
        self.count = 0
        self.texts: list[str] = []
        """The first ones."""
        self._before: list[str] = []

    def report(self, problem: object) -> None:
        """Tell of one."""
        self.count += 1
        if len(self.texts) < _KEPT:
            self.texts.append(str(problem))
        if str(problem) not in self._before:
            note(f"warning: {problem}")

    def begin_anew(self) -> None:
        """Of the problems of a further run, tell those that the last one did not have."""
        self._before, self.texts, self.count = self.texts, [], 0

    def watching_length(self, documents: "Iterator[Document]") -> "Iterator[Document]":
        """The documents, telling of values that an index cannot find."""
        from sigma_stellar_aws.index_template import IGNORE_ABOVE, too_long

        for document in documents:
            if fields := too_long(document):
                self.report(
                    f"event {document.get('eventID')}: {', '.join(fields)} is over {IGNORE_ABOVE:,} characters long; "
                    "it is kept, but a search does not find it"
                )
            yield document

    def summary(self) -> str:
        """How many there were, to go on with a sentence."""
        return f"; {self.count} problems, see above" if self.count else ""

    def leave(self) -> None:
        """End the command with the exit code for it, if there were any."""
        if self.count:
            sys.exit(UNREAD)


def note(text: str) -> None:
    """Write a line to standard error."""
    from sigma_stellar_aws.output import printable

    click.echo(printable(" ".join(text.splitlines())), err=True)


def find_logs(paths: tuple[Path, ...], problems: Problems) -> list[Path]:
    """The CloudTrail files that are named, and those in the folders that are; there must be one."""
    from sigma_stellar_aws.reader import SUFFIXES, find_files

    left_out: list[Path] = []
    found = find_files(paths, problems.report, left_out.append)
    if left_out:
        names = ", ".join(map(str, left_out[:_NAMED]))
        more = ", ..." if len(left_out) > _NAMED else ""
        note(f"not read, by their names: {len(left_out)} files, {names}{more}")
    if not found:
        raise click.ClickException(
            f"no CloudTrail files in {', '.join(map(str, paths))}; looked for {', '.join(SUFFIXES)}, also with .gz"
        )
    return found


@contextmanager
def progress(files: list[Path]) -> Iterator[Callable[[int], None]]:
    """Called with numbers of bytes that were read, it shows on a terminal how far, how fast and how long still."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from sigma_stellar_aws.reader import stored_size

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{len(files)} files", total=sum(map(stored_size, files)))
        yield lambda done: bar.advance(task, done)
