"""Commands for rule authors: rules, check, new, explain, test."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sigma_stellar_aws.cli.common import (
    EVENT,
    FILES,
    FINDINGS,
    NOT_RUN,
    UNREAD,
    Problems,
    ca_file_option,
    errors_exit_with,
    event_id_option,
    event_number_option,
    exact_case_option,
    needs,
    note,
    published_option,
    rules_option,
    told,
)

if TYPE_CHECKING:
    from sigma_stellar_aws.rule_documents import Severity
    from sigma_stellar_aws.rule_tests import Trial


@click.command()
@rules_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "md", "json", "csv", "navigator"]),
    default="table",
    show_default=True,
    help="md: as rules/README.md; json: one object a line; navigator: a layer for the ATT&CK Navigator.",
)
def rules(rule_paths: tuple[Path, ...], form: str) -> None:
    """List the rules, with severity, ATT&CK and suppression."""
    from sigma_stellar_aws import catalogue, navigator

    with told():
        entries = catalogue.entries(rule_paths)
    if form == "table":
        catalogue.print_rules(entries)
        return
    writers: dict[str, Callable[[list[catalogue.Entry]], str]] = {
        "md": partial(catalogue.as_markdown, of_pack=not rule_paths),
        "json": catalogue.as_json_lines,
        "csv": catalogue.as_csv,
        "navigator": navigator.as_layer,
    }
    click.echo(writers[form](entries), nl=False)


@click.command()
@click.argument("paths", nargs=-1, type=FILES)
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
def check(paths: tuple[Path, ...], form: str, fail_on: "Severity | Literal['never']") -> None:
    """Check the rules of PATHS, correlations and filters included; without any the 29. Needs no network.

    These are pySigma's validators, SigmaHQ's if the package pysigma-validators-sigmahq is installed, ours for
    CloudTrail, and a trial conversion. Paths in SARIF are relative to the working directory, so run it at the top of a
    repository.

    Exit code 0: no finding is as severe as --fail-on. 1: one is. 2: nothing could be checked.
    """
    from sigma_stellar_aws import reports
    from sigma_stellar_aws.check import at_least
    from sigma_stellar_aws.check import check as checked

    threshold = None if fail_on == "never" else fail_on
    with told():
        report = checked(paths)
        reports.write(report, form, threshold, sys.stdout)
    note(reports.summary(report))
    if threshold and at_least(report.findings, threshold):
        sys.exit(FINDINGS)


@click.command()
@click.argument("event", type=EVENT)
@click.option(
    "-o", "--output", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR"
)
@event_id_option
@event_number_option
@click.option("--author", default="TODO", show_default=True, help="Who writes the rule.")
@click.option("--keep-ids", is_flag=True, help="Keep account numbers, ids and public addresses, instead of examples.")
def new(event: Path, folder: Path, event_id: str | None, number: int | None, author: str, keep_ids: bool) -> None:
    """Write the skeleton of a rule for an EVENT, and its test, into DIR.

    EVENT is a file of CloudTrail records, or - for standard input. Nothing is overwritten.

    Exit code 3: some of EVENT could not be read, as told on standard error.
    """
    from sigma_stellar_aws.new_rule import write_rule
    from sigma_stellar_aws.reader import read_event

    problems = Problems()
    with told():
        record = read_event(event, event_id, number, problems.report)
        for file in write_rule(record, folder, author=author, keep_ids=keep_ids):
            click.echo(file)
    problems.leave()


@click.command()
@click.argument("rule")
@click.argument("event", type=EVENT)
@event_id_option
@event_number_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each rule.")
@published_option
@exact_case_option
def explain(
    rule: str,
    event: Path,
    event_id: str | None,
    number: int | None,
    as_json: bool,
    published: bool,
    case_sensitive: bool,
) -> None:
    """Show which parts of a RULE's condition hold for an EVENT and which do not.

    RULE is a file, or one of the 29 by title, id or file name. EVENT is a file of CloudTrail records, or - for standard
    input.

    Exit code 0, whether it matches or not. 3: some of EVENT could not be read, as told on standard error.
    """
    from sigma_stellar_aws import explain as explaining
    from sigma_stellar_aws.reader import read_event
    from sigma_stellar_aws.rulepack import find_rules

    problems = Problems()
    with told():
        rules = find_rules(rule)
        record = read_event(event, event_id, number, problems.report)
        for each in rules:
            explanation = explaining.explain(each, record, published=published, case_sensitive=case_sensitive)
            if as_json:
                known = {"rule": each.title, "eventID": record.get("eventID"), **explaining.as_json(explanation)}
                click.echo(json.dumps(known))
            else:
                explaining.print_explanation(each, record, explanation, explaining.console_of(sys.stdout))
    problems.leave()


@click.command()
@click.argument("paths", nargs=-1, type=FILES)
@click.option(
    "--cases",
    "case_paths",
    multiple=True,
    type=FILES,
    metavar="PATH",
    help="Test files that name their rules; repeatable.",
)
@click.option("--require-cases", is_flag=True, help="Fail where a rule has no cases.")
@click.option("--watch", is_flag=True, help="Run again what changes, until Ctrl-C.")
@click.option("--url", help="Run on this data store too, in an index of its own that is removed afterwards.")
@click.option("--engine", is_flag=True, help="Run on an OpenSearch of its own too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each case.")
@ca_file_option
@errors_exit_with(UNREAD)
def test(
    paths: tuple[Path, ...],
    case_paths: tuple[Path, ...],
    require_cases: bool,
    watch: bool,
    url: str | None,
    engine: bool,
    as_json: bool,
    ca_file: Path | None,
) -> None:
    """Run rules on the sample events beside them: those of aws_x.yml are in aws_x.test.yaml.

    PATHS are files and folders of rules, without any the 29.

    Exit code 0: all passed. 1: a case failed, or with --require-cases a rule has none. 3: something could not be read
    or run, as told on standard error.
    """
    from sigma_stellar_aws import rule_tests
    from sigma_stellar_aws.explain import console_of
    from sigma_stellar_aws.watch import INTERVAL

    if (url is not None) + engine + watch > 1 or (watch and as_json):
        raise click.UsageError("--url, --engine and --watch exclude each other, and --watch excludes --json")
    if not paths and not case_paths:
        raise click.UsageError("name rules with their tests beside them, or test files: --cases PATH")
    console = console_of(sys.stdout)
    if watch:
        # A shell that starts it in the background has it ignore this signal.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            for run in rule_tests.watched(paths, case_paths, lambda: time.sleep(INTERVAL)):
                rule_tests.print_run(*run, console)
        return
    suite = rule_tests.load(paths, case_paths)
    if not suite.trials and not suite.problems:
        raise click.ClickException(
            "there are no cases; write those of aws_x.yml into aws_x.test.yaml, or name: --cases PATH"
        )
    results = rule_tests.run(suite.trials, _on_engine(suite.trials, url, engine, ca_file))
    if as_json:
        for result in results:
            click.echo(json.dumps(rule_tests.as_json(result)))
    else:
        rule_tests.print_failures(results, console)
    problems = Problems()
    for problem in suite.problems:
        problems.report(problem)
    note(rule_tests.summary(results, suite))
    if not all(result.passed for result in results) or (require_cases and suite.untested):
        sys.exit(FINDINGS)
    problems.leave()


def _on_engine(trials: "list[Trial]", url: str | None, engine: bool, ca_file: Path | None) -> list[bool] | None:
    """What a real engine says of trials, if one is asked for."""
    from sigma_stellar_aws.rule_tests import ask_engine

    if not trials or not (url or engine):
        return None
    with needs("embedded" if engine else "store"):
        from sigma_stellar_aws import store
        from sigma_stellar_aws.embedded import embedded_opensearch
    with told(), embedded_opensearch() if engine else nullcontext(url or "") as address:
        return ask_engine(store.connect(address, ca_file, {} if engine else os.environ), trials)
