"""Options of commands in a file, so that they need not be repeated: ``sigma-stellar-aws.toml``, or ``pyproject.toml``.

A table for each command, with the long names of its options::

    [alerts]
    url = "https://search.example.com:9200"
    index = "cloudtrail-*"
    suppress-by = "userIdentity.arn,sourceIPAddress"
    filter = ["sigma_filter_aws_successful_calls.yml"]

What the command line says wins.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from sigma_stellar_aws.base.text import did_you_mean, nearest
from sigma_stellar_aws.cli.lazy_group import LazyGroup

CONFIGURATION = "SIGMA_STELLAR_AWS_CONFIG"
"""Names another file, or ``off``."""

_FILE = "sigma-stellar-aws.toml"
_TOOL = "sigma-stellar-aws"
_SECRET = ("user", "password", "key", "secret", "token")


class ConfigurationError(click.ClickException):
    """A file is not as it should be, which is misuse."""

    exit_code = click.UsageError.exit_code


class Configuration(NamedTuple):
    """What a file says."""

    file: str
    """Its name; empty where there is none."""
    tables: Mapping[str, Mapping[str, Any]]
    """Values of options by their long names, for each command."""


def read_configuration(environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read the file that the environment names, or one of the working directory.

    Raises:
        ConfigurationError: it cannot be read, or is not as it should be.
    """
    named = environment.get(CONFIGURATION, "")
    if named == "off":
        return Configuration("", {})
    if named:
        return _checked(named, _tables_in(Path(named)))
    if Path(_FILE).is_file():
        return _checked(_FILE, _tables_in(Path(_FILE)))
    project = Path("pyproject.toml")
    if project.is_file() and f"[tool.{_TOOL}" in project.read_text(encoding="utf-8", errors="replace"):
        return _checked(str(project), _tables_in(project).get("tool", {}).get(_TOOL, {}))
    return Configuration("", {})


def _tables_in(file: Path) -> dict[str, Any]:
    # Few users have such a file.
    from sigma_stellar_aws.cli.toml_file import tables_in

    try:
        return tables_in(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"the configuration {file} cannot be read: {error}") from error


def _checked(file: str, tables: object) -> Configuration:
    if not isinstance(tables, dict):
        raise ConfigurationError(f"{file}: write a table for each command, such as [alerts]")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigurationError(f"{file}: {name} stands in no table; write it below one, such as [alerts]")
    return Configuration(file, tables)


def check_commands(configuration: Configuration, commands: Sequence[str]) -> None:
    """Refuse tables of commands that do not exist.

    Raises:
        ConfigurationError: there is one.
    """
    for name in configuration.tables:
        if name not in commands:
            hint = did_you_mean(nearest(name, commands)) or f"; there are {', '.join(commands)}"
            raise ConfigurationError(f"{configuration.file}: there is no command {name!r}{hint}")


def default_values(configuration: Configuration, command: click.Command) -> dict[str, Any]:
    """Return the values that a file gives the options of a command, by the names of its parameters.

    Raises:
        ConfigurationError: the command has no such option, or the option takes something else.
    """
    options = {
        name[2:]: parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
        if name.startswith("--")
    }
    defaults: dict[str, Any] = {}
    for key, value in configuration.tables.get(command.name or "", {}).items():
        where = f"{configuration.file}, [{command.name}]"
        if key not in options:
            if any(word in key for word in _SECRET):
                raise ConfigurationError(f"{where}: {key}: credentials stand in the environment only; take it out")
            hint = did_you_mean(nearest(key, options)) or f"; there are {', '.join(sorted(options))}"
            raise ConfigurationError(f"{where}: there is no option {key!r}{hint}")
        defaults[str(options[key].name)] = _value(f"{where}: {key}", options[key], value)
    return defaults


def _value(where: str, option: click.Option, value: object) -> object:
    if option.is_flag:
        if not isinstance(value, bool):
            raise ConfigurationError(f"{where}: write true or false")
        return value
    if option.multiple:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ConfigurationError(f'{where}: write a list of texts, such as ["a", "b"]')
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ConfigurationError(f"{where}: write a text or a number")
    return str(value)


class ConfiguredGroup(LazyGroup):
    """A group whose commands take options from a file, and say so."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command, with its options in the file."""
        command = super().get_command(ctx, cmd_name)
        if command is None or ctx.resilient_parsing:
            return command
        try:
            configuration = read_configuration()
            check_commands(configuration, self.list_commands(ctx))
            defaults = default_values(configuration, command)
        except ConfigurationError as error:
            if cmd_name == "plan":
                # Its 2 says that there is something to do.
                raise click.ClickException(error.message) from error
            raise
        if defaults:
            ctx.default_map = {**(ctx.default_map or {}), cmd_name: defaults}
            command = _telling(command, configuration.file)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; where an option is wrong, say that it may be one of the file."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if not ctx.default_map:
                raise
            reason = f"options of {read_configuration().file} count, too; {CONFIGURATION}=off: no file"
            raise click.UsageError(f"{error.format_message()} ({reason})", error.ctx) from error


def _telling(command: click.Command, file: str) -> click.Command:
    """Return a command that first says which options of the file count."""
    told = copy(command)
    run = command.callback
    assert run is not None

    @wraps(run)
    def tell_and_run(*arguments: Any, **values: Any) -> Any:
        context = click.get_current_context()
        counting = [each for each in command.params if _is_configured(context, each.name or "")]
        if counting:
            names = ", ".join(max(each.opts, key=len).lstrip("-") for each in counting)
            click.echo(f"note: options of {file}: {names}", err=True)
        return run(*arguments, **values)

    told.callback = tell_and_run
    return told


def _is_configured(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP


def drop_configured(context: click.Context, names: Iterable[str]) -> None:
    """Take those of some parameters that come from the file for not given."""
    for name in names:
        if _is_configured(context, name):
            context.params[name] = None
            context.set_parameter_source(name, ParameterSource.DEFAULT)


def drop_contradicted(context: click.Context, groups: Iterable[Iterable[str]]) -> None:
    """Take parameters from the file for not given where the command line names another of the same group."""
    for group in map(tuple, groups):
        if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in group):
            drop_configured(context, group)
