"""The command explain."""

import json
import sys
from pathlib import Path

import click

from sigma_stellar_aws.authoring import explain as explaining
from sigma_stellar_aws.base.terminal import UNBROKEN, console_for
from sigma_stellar_aws.cli.options import (
    EVENT,
    event_id_option,
    event_number_option,
    exact_case_option,
    published_option,
)
from sigma_stellar_aws.cli.problems import Problems, as_click_errors
from sigma_stellar_aws.logs.reader import read_event
from sigma_stellar_aws.rule_files.load import find_rules


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

    Exit code 0, whether it matches or not. 3: some of EVENT could not be read, see standard error.
    """
    problems = Problems()
    with as_click_errors():
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
