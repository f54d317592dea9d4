"""The command line: a module for each command, loaded when the command is asked for."""

import atexit
import gc
import io
import os
import sys
from collections.abc import Mapping

import click

from sigma_stellar_aws import __version__
from sigma_stellar_aws.cli.configuration import ConfiguredGroup
from sigma_stellar_aws.cli.lazy_group import LazyCommand

_COMMANDS = {
    "alerts": LazyCommand("Raise the alerts of CloudTrail files or of a data store."),
    "apply": LazyCommand("Install the rules in Kibana or OpenSearch Alerting.", "store"),
    "check": LazyCommand("Check rules, without a network."),
    "completion": LazyCommand("Print what lets a shell complete commands, options and rules."),
    "doctor": LazyCommand("Find out whether rules can match in a data store.", "store"),
    "engine": LazyCommand("Start an OpenSearch of its own."),
    "explain": LazyCommand("Show why a rule matches an event, or why it does not."),
    "load": LazyCommand("Load CloudTrail files into a data store.", "store"),
    "lsp": LazyCommand("Serve an editor in which rules are written.", "lsp"),
    "new": LazyCommand("Write a rule, and its test, from an event."),
    "plan": LazyCommand("Show what apply would do.", "store"),
    "profile": LazyCommand("Read the field types of a data store.", "store"),
    "reference": LazyCommand("Print the reference, or a topic of it."),
    "remove": LazyCommand("Delete from Kibana or OpenSearch what was installed from here.", "store"),
    "rules": LazyCommand("List the rules."),
    "schema": LazyCommand("Print a JSON schema of rules, for editors."),
    "template": LazyCommand("Print an index template for flattened records."),
    "test": LazyCommand("Run rules on the sample events beside them."),
}

EXIT_CODES = {
    "0": "all is done",
    "1": "an error; of check a finding, of test a case that failed; of plan misuse, too",
    "2": "misuse, such as a rule that is not there; of check also that it could not run; of plan something to do",
    "3": "done, but something could not be read or a rule was left out; of test also that it could not run",
    "130": "ended by Ctrl-C",
}
ENVIRONMENT = {
    "SIGMA_STELLAR_AWS_USER": "who asks a data store, OpenSearch or Kibana, with",
    "SIGMA_STELLAR_AWS_PASSWORD": "the password; or",
    "SIGMA_STELLAR_AWS_API_KEY": "an API key",
    "SIGMA_STELLAR_AWS_CONFIG": "file of options, or off; else sigma-stellar-aws.toml or pyproject.toml here",
    "SIGMA_STELLAR_AWS_CACHE": "folder for converted rules, or off",
    "XDG_CACHE_HOME": "folder around it, and around the engine that is fetched",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "how to reach servers",
    "AWS_PROFILE, AWS_REGION and so on": "for s3:// and --aws-region, as for every tool of AWS",
    "COLUMNS, NO_COLOR, FORCE_COLOR": "width and colours of tables",
}


def _table(title: str, rows: Mapping[str, str]) -> str:
    """Return a table that click does not wrap."""
    width = max(map(len, rows))
    return "\n".join(["\b", title, *(f"  {name:<{width}}  {meaning}" for name, meaning in rows.items())])


_EPILOG = "\n\n".join((_table("Exit codes:", EXIT_CODES), _table("Environment:", ENVIRONMENT)))


@click.group(
    cls=ConfiguredGroup,
    package=__name__,
    lazy_commands=_COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, package_name="sigma-stellar-aws")
def main() -> None:
    """Stellar Cyber's alert type "Potentially Malicious AWS Activity", as open Sigma."""
    _open_closed_streams()
    # The system takes all memory back at once; Python would first look through it for reference cycles.
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        # Records may hold characters that the encoding of the terminal or pipe lacks.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if "_SIGMA_STELLAR_AWS_COMPLETE" in os.environ:
    from sigma_stellar_aws.cli.shell_completion import complete_in_shells

    complete_in_shells()


def _open_closed_streams() -> None:
    """Drop the output where a shell closed the stream (``>&-``), instead of failing at the first word.

    In the order of their numbers, so that each gets its own back, and no file or pipe of ours is taken for it later.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  (for the whole run)
