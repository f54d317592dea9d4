"""The command test."""

import json
import os
import signal
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigma_stellar_aws.alerts.run import Messages
from sigma_stellar_aws.authoring import change_tests, rule_tests
from sigma_stellar_aws.authoring.background import (
    background_of,
    noise_as_json,
    print_background,
    summary_of_background,
)
from sigma_stellar_aws.authoring.rule_tests import Trial
from sigma_stellar_aws.authoring.watch import SECONDS_BETWEEN_LOOKS
from sigma_stellar_aws.base.terminal import UNBROKEN, console_for
from sigma_stellar_aws.cli.alert_output import on_progress
from sigma_stellar_aws.cli.log_sources import LogSource, S3Choice, Selection, log_sources, open_logs
from sigma_stellar_aws.cli.options import FILES, ca_file_option, rule_paths
from sigma_stellar_aws.cli.problems import FINDINGS, UNREAD, Problems, as_click_errors, errors_exit_with, needs, note
from sigma_stellar_aws.logs.deliveries import deliveries_of
from sigma_stellar_aws.rule_files.find import pack_path
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.embedded import embedded_opensearch

if TYPE_CHECKING:
    from sigma_stellar_aws.authoring.engine_verdicts import EngineVerdicts


@click.command()
@click.argument("paths", nargs=-1, type=FILES, callback=rule_paths)
@click.option(
    "--cases",
    "case_paths",
    multiple=True,
    type=FILES,
    metavar="PATH",
    help="Test files that name their rules; repeatable.",
)
@click.option("--require-cases", is_flag=True, help="Fail where a rule has no cases.")
@click.option("--mutate", is_flag=True, help="Change one thing of a rule at a time; say what no case notices.")
@click.option(
    "--background",
    multiple=True,
    callback=log_sources,
    metavar="LOGS",
    help="Say how often each rule would have fired on these files, folders or s3://BUCKET/PREFIX; repeatable.",
)
@click.option("--watch", is_flag=True, help="Run again what changes, until Ctrl-C.")
@click.option("--url", help="Run on this data store too, in an index of its own that is removed afterwards.")
@click.option("--engine", is_flag=True, help="Run on an OpenSearch of its own too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@ca_file_option
@errors_exit_with(UNREAD)
def test(
    paths: tuple[Path, ...],
    case_paths: tuple[Path, ...],
    require_cases: bool,
    mutate: bool,
    background: tuple[LogSource, ...],
    watch: bool,
    url: str | None,
    engine: bool,
    as_json: bool,
    ca_file: Path | None,
) -> None:
    """Run rules on the sample events beside them: those of aws_x.yml are in aws_x.test.yaml.

    PATHS are files and folders of rules, without any the 29.

    A change that --mutate tries is a value, field or selection less, another modifier, or a negation. It tells where a
    case is missing, and is no failure.

    With --background, alerts are counted as the command alerts would raise them, by day, actor and key.

    Exit code 0: all passed. 1: a case failed, or with --require-cases a rule has none. 3: something could not be read
    or run, see standard error.
    """
    if (url is not None) + engine + watch > 1 or (watch and (as_json or mutate or background)):
        raise click.UsageError(
            "--url, --engine and --watch exclude each other, and --watch also --json, --mutate and --background"
        )
    paths = paths or (() if case_paths else (pack_path(),))
    console = console_for(sys.stdout, width=UNBROKEN)
    if watch:
        # A shell that starts it in the background has it ignore this signal.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            for run in rule_tests.watch_suite(paths, case_paths, lambda: time.sleep(SECONDS_BETWEEN_LOOKS)):
                rule_tests.print_run(*run, console)
        return
    suite = rule_tests.load_suite(paths, case_paths)
    if not suite.trials and not suite.problems and not background:
        raise click.ClickException(
            "there are no cases; write those of aws_x.yml into aws_x.test.yaml, or name: --cases PATH"
        )
    on_engine = _on_engine(suite.trials, url, engine, ca_file)
    if on_engine is not None:
        suite.problems.extend(on_engine.refused)
    results = rule_tests.run_trials(suite.trials, on_engine.matched if on_engine else None)
    if as_json:
        for result in results:
            click.echo(json.dumps(rule_tests.result_as_json(result)))
    else:
        rule_tests.print_failures(results, console)
    changes = list(change_tests.try_changes(results)) if mutate else []
    if as_json:
        for change in changes:
            click.echo(json.dumps(change_tests.change_as_json(change)))
    else:
        change_tests.print_unnoticed(changes, console)
    problems = Problems()
    for problem in suite.problems:
        problems.report(problem)
    if background:
        with as_click_errors():
            _tell_background(background, paths, problems, as_json)
    note(rule_tests.summary_of_results(results, suite))
    if mutate:
        note(change_tests.summary_of_changes(changes))
    if not all(result.passed for result in results) or (require_cases and suite.untested):
        sys.exit(FINDINGS)
    problems.leave()


def _tell_background(logs: tuple[LogSource, ...], paths: tuple[Path, ...], problems: Problems, as_json: bool) -> None:
    """Print how often the rules would have fired on logs."""
    # What is wrong with a rule has been reported with the cases.
    rules = load_rules(*paths, collect_errors=True)
    selection = Selection(deliveries_of(None, None))
    with open_logs(logs, S3Choice(None, None, requester_pays=False), selection, problems) as (portions, advance):
        found = background_of(portions, rules, Messages(on_progress(problems, advance)))
    if as_json:
        for noise in found.rules:
            click.echo(json.dumps(noise_as_json(noise, found)))
    else:
        print_background(found, console_for(sys.stdout, width=UNBROKEN))
    note(summary_of_background(found))


def _on_engine(trials: list[Trial], url: str | None, engine: bool, ca_file: Path | None) -> "EngineVerdicts | None":
    """Run trials on a real engine, if one is asked for."""
    if not trials or not (url or engine):
        return None
    # The cases run without a store, and so without its extras.
    with needs("embedded" if engine else "store"):
        from sigma_stellar_aws.authoring.engine_verdicts import ask_engine
        from sigma_stellar_aws.store.client import connect
    with (
        as_click_errors(),
        embedded_opensearch() if engine else nullcontext(url or "") as address,
        connect(address, ca_file, {} if engine else os.environ) as client,
    ):
        return ask_engine(client, trials)
