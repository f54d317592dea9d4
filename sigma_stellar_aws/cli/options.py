"""Options, types of options and exit codes that commands share."""

import inspect
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from sigma_stellar_aws.base.run_limit import run_within
from sigma_stellar_aws.base.text import not_read
from sigma_stellar_aws.base.times import parse_duration, parse_instant
from sigma_stellar_aws.cli.complete import complete_rules
from sigma_stellar_aws.cli.problems import note
from sigma_stellar_aws.reference.cloudtrail_fields import is_known, nearest_field
from sigma_stellar_aws.rule_files.find import filters_path, find_unread_files


def instant(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """Read an option that is a time: ISO 8601 (UTC unless it says otherwise), or how long ago, such as 24h."""
    if value is None:
        return None
    if (ago := parse_duration(value)) is not None:
        return datetime.now(timezone.utc) - ago
    if (time := parse_instant(value)) is None:
        raise click.BadParameter(f"{value!r} is not a time; write 2026-11-24, 2026-11-24T12:00:00Z, 90m, 24h or 7d")
    return time


def duration(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """Read an option that is a time span, such as 24h."""
    if value is None:
        return None
    if (span := parse_duration(value)) is None:
        raise click.BadParameter(f"{value!r} is not a time span; write 90m, 24h or 7d")
    return span


def field_names(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Read an option that names CloudTrail fields, separated by commas; return none of them if it is not given."""
    if value is None:
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    for name in names:
        if not is_known(name) or not all(name.split(".")):
            close = nearest_field(name) if name else None
            hint = f"did you mean {close}?" if close else "write names as CloudTrail has them, such as userIdentity.arn"
            raise click.BadParameter(f"{name!r} is not a CloudTrail field; {hint}")
    return names


def rule_paths(context: click.Context, parameter: click.Parameter, value: tuple[Path, ...]) -> tuple[Path, ...]:
    """Read an option or argument that names rules, and tell what in its folders is not read."""
    if value and (unread := find_unread_files(value)):
        note(not_read(unread))
    return value


def options(*each: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return several options as one decorator."""

    def decorate(function: Any) -> Any:
        for option in reversed(each):
            function = option(function)
        return function

    return decorate


def field_options(kind: Callable[..., object]) -> Iterable[str]:
    """Return the names of the options that make an object of a type, see :func:`record`."""
    return inspect.signature(kind).parameters


def record(name: str, kind: Callable[..., object], *each: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return options whose values a command gets as one argument: an object with a field for each.

    Args:
        name: the name of that argument.
        kind: its type, a named tuple or a dataclass.
        each: the options.
    """

    def decorate(function: Any) -> Any:
        @wraps(function)
        def command(*arguments: Any, **values: Any) -> Any:
            own = {field: values.pop(field) for field in field_options(kind)}
            return function(*arguments, **values, **{name: kind(**own)})

        return options(*each)(command)

    return decorate


class OutputPath(click.Path):
    """What is written: a name that is empty, such as an unset variable of a shell, is none.

    "-" is standard output where dashes are allowed, and no file elsewhere.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if str(value) == "":
            self.fail("the name is empty", param, ctx)
        if str(value) == "-" and not self.allow_dash:
            self.fail("standard output will not do here; a file of this name is ./-", param, ctx)
        return super().convert(value, param, ctx)


OUTPUT_FILE = OutputPath(dir_okay=False, path_type=Path)
OUTPUT = OutputPath(dir_okay=False, allow_dash=True, path_type=Path)
"""A file to write, or standard output."""
STANDARD_OUTPUT = Path("-")
"""How standard output is named."""
LOGS = click.Path(exists=True, allow_dash=True, path_type=Path)
FILES = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
rules_option = click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    type=FILES,
    metavar="PATH",
    callback=rule_paths,
    help="Use these rules, not the 29; repeatable.",
)


class FilterFile(click.Path):
    """A file with a Sigma filter, or the name of one of this project's."""

    name = "filter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path of the file."""
        ours = _our_filters()
        known = ours.get(Path(str(value)).name.removesuffix(".yml"))
        if known is not None and not Path(str(value)).exists():
            return known
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise click.BadParameter(f"{error.message} Ours are {', '.join(ours)}.", ctx, param) from error

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer ours, or else files."""
        ours = [CompletionItem(name) for name in _our_filters() if name.startswith(incomplete)]
        return ours if incomplete and ours else [*ours, *super().shell_complete(ctx, param, incomplete)]


def _our_filters() -> dict[str, Path]:
    return {file.stem: file for file in sorted(filters_path().glob("*.yml"))}


filters_option = click.option(
    "--filter",
    "filter_paths",
    multiple=True,
    type=FilterFile(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Sigma filter to apply, or the name of one of ours; repeatable.",
)
published_option = click.option(
    "--published", is_flag=True, help="Use the published queries, errors included, where a rule corrects them."
)
exact_case_option = click.option(
    "--case-sensitive", is_flag=True, help="Compare texts exactly, as the platform does; Sigma ignores case."
)
choice_options = options(
    click.option(
        "--only",
        multiple=True,
        metavar="RULE",
        shell_complete=complete_rules,
        help="Only this rule (title, id or file); repeatable.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="RULE",
        shell_complete=complete_rules,
        help="Not this rule (title, id or file); repeatable.",
    ),
)
"""Parameters ``only`` and ``exclude``; what they choose: ``rule_files.choose.choose_rules``."""
scripts_option = click.option(
    "--scripts", is_flag=True, help="Let a data store compare two fields (|fieldref) by a script."
)
strict_option = click.option(
    "--strict", is_flag=True, help="Fail if one rule cannot be carried, instead of leaving it out."
)
url_option = click.option("--url", required=True, help="The data store, such as https://search.example.com:9200.")
index_option = click.option("--index", help="Index, alias or pattern.  [default: aella-cloudtrail-*]")


def run_limit(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """Read an option that says how long the run may take, and let it end then."""
    span = duration(context, parameter, value)
    if span is not None:
        context.with_resource(run_within(span))
    return span


timeout_option = click.option(
    "--timeout",
    expose_value=False,
    callback=run_limit,
    metavar="TIME",
    help="End a run that takes longer, such as 10m.",
)
ca_file_option = click.option("--ca-file", type=FILE, help="Certificates (PEM) to trust instead of the system's.")


EVENT = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
event_id_option = click.option("--event-id", metavar="ID", help="Of several events, take the one with this eventID.")
event_number_option = click.option("--number", type=int, metavar="N", help="Of several events, take the Nth.")
