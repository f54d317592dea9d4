"""The command check."""

import sys
from pathlib import Path
from typing import Literal

import click

from sigma_stellar_aws.authoring import check_reports
from sigma_stellar_aws.authoring.check import at_least, check_rules
from sigma_stellar_aws.authoring.rule_documents import FindingSeverity
from sigma_stellar_aws.cli.options import FILES, rule_paths
from sigma_stellar_aws.cli.problems import FINDINGS, NOT_RUN, as_click_errors, errors_exit_with, note
from sigma_stellar_aws.cli.progress import telling


@click.command()
@click.argument("paths", nargs=-1, type=FILES, callback=rule_paths)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit", "sarif"]),
    default="text",
    show_default=True,
    help="json: one object a line; sarif: for GitHub's annotations.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["low", "medium", "high", "never"]),
    default="medium",
    show_default=True,
    help="Least severity of a finding that is a failure.",
)
@errors_exit_with(NOT_RUN)
def check(paths: tuple[Path, ...], form: str, fail_on: FindingSeverity | Literal["never"]) -> None:
    """Check the rules of PATHS, correlations and filters included; without any the 29. Needs no network.

    These are pySigma's validators, SigmaHQ's if the package pysigma-validators-sigmahq is installed, ours for
    CloudTrail, and a trial conversion. Paths in SARIF are relative to the working directory, so run it at the top of a
    repository.

    Exit code 0: no finding is as severe as --fail-on. 1: one is. 2: nothing could be checked.
    """
    threshold = None if fail_on == "never" else fail_on
    with as_click_errors():
        with telling("checking rules"):
            report = check_rules(paths)
        check_reports.write_report(report, form, threshold, sys.stdout)
    note(check_reports.summary_of_report(report))
    if threshold and at_least(report.findings, threshold):
        sys.exit(FINDINGS)
