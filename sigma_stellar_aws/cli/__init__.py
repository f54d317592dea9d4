"""The command line: one function a command, each calling the modules that do the work."""

import io
import logging
import sys

import click

from sigma_stellar_aws import __version__
from sigma_stellar_aws.cli import (
    alerts,
    apply,
    check,
    doctor,
    engine,
    explain,
    load,
    new,
    plan,
    profile,
    remove,
    rules,
    template,
    test,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="sigma-stellar-aws")
def main() -> None:
    """Stellar Cyber's alert type "Potentially Malicious AWS Activity", as open Sigma."""
    # Its warnings repeat what we tell in our own words.
    logging.getLogger("opensearch").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        # Records may hold characters that the encoding of the terminal or pipe lacks.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


for command in (
    rules.rules,
    check.check,
    new.new,
    explain.explain,
    test.test,
    template.template,
    load.load,
    alerts.alerts,
    profile.profile,
    doctor.doctor,
    engine.engine,
    plan.plan,
    apply.apply,
    remove.remove,
):
    main.add_command(command)
