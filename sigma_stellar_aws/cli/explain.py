"""The command explain."""

import json
import sys
from pathlib import Path

import click
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule

from sigma_stellar_aws.authoring import explain as explaining
from sigma_stellar_aws.authoring.explain_correlation import correlation_progress, print_progress, progress_as_json
from sigma_stellar_aws.base.terminal import UNBROKEN, console_for
from sigma_stellar_aws.cli.complete import complete_rules_or_files
from sigma_stellar_aws.cli.options import (
    EVENT,
    event_id_option,
    event_number_option,
    exact_case_option,
    published_option,
)
from sigma_stellar_aws.cli.problems import Problems, as_click_errors
from sigma_stellar_aws.logs.portions import with_standard_input
from sigma_stellar_aws.logs.reader import read_event, read_records
from sigma_stellar_aws.rule_files.load import correlation_file, find_rules, load_correlations
from sigma_stellar_aws.rule_files.stellar_block import rule_name


@click.command()
@click.argument("rule", shell_complete=complete_rules_or_files)
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

    RULE is a file, or a rule of this project by title, id or file name. EVENT is a file of CloudTrail records, or - for
    standard input.

    Of a file with correlations it shows whether these are complete for all records of EVENT, and with which of them, or
    how far they come, unless --event-id or --number chooses one record.

    Exit code 0, whether it matches or not. 3: some of EVENT could not be read, see standard error.
    """
    problems = Problems()
    with as_click_errors():
        file = correlation_file(rule) if event_id is None and number is None else None
        together = None if file is None else load_correlations(file)
        if together is not None and len(together):
            _explain_together(together, event, problems, as_json)
            problems.leave()
            return
        rules = find_rules(rule)
        record = read_event(event, event_id, number, problems.report)
        for each in rules:
            explanation = explaining.explain(each, record, published=published, case_sensitive=case_sensitive)
            if as_json:
                known = {
                    "rule": each.title,
                    "eventID": record.get("eventID"),
                    **explaining.explanation_as_json(explanation),
                }
                click.echo(json.dumps(known))
            else:
                explaining.print_explanation(each, record, explanation, console_for(sys.stdout, width=UNBROKEN))
    problems.leave()


def _explain_together(rules: SigmaCollection, event: Path, problems: Problems, as_json: bool) -> None:
    """Show how far the correlations of a file come for all records, and those that they count."""
    with with_standard_input([event]) as portion:
        [path] = portion.files
        records = [record for _, record in read_records(path, lambda problem: problems.report(portion.told(problem)))]
    for rule in rules.rules:
        if isinstance(rule, SigmaCorrelationRule):
            progress = correlation_progress(rules, rule_name(rule), records)
            if as_json:
                click.echo(json.dumps(progress_as_json(progress)))
            else:
                print_progress(progress, console_for(sys.stdout, width=UNBROKEN))
