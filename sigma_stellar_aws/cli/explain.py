"""The command explain."""

import json
import os
import sys
from pathlib import Path

import click
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule

from sigma_stellar_aws.authoring import explain as explaining
from sigma_stellar_aws.authoring.explain_correlation import correlation_progress, print_progress, progress_as_json
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.terminal import UNBROKEN, console_for
from sigma_stellar_aws.cli.complete import complete_rules_or_files
from sigma_stellar_aws.cli.options import (
    EVENT,
    ca_file_option,
    event_id_option,
    event_number_option,
    exact_case_option,
    index_option,
    published_option,
    timeout_option,
)
from sigma_stellar_aws.cli.problems import Problems, as_click_errors, needs, note
from sigma_stellar_aws.logs.portions import with_standard_input
from sigma_stellar_aws.logs.reader import read_event, read_records
from sigma_stellar_aws.reference.flat_schema import STELLAR_INDEX
from sigma_stellar_aws.rule_files.load import correlation_file, find_rules, load_correlations
from sigma_stellar_aws.rule_files.stellar_block import rule_name


@click.command()
@click.argument("rule", shell_complete=complete_rules_or_files)
@click.argument("event", type=EVENT, required=False)
@event_id_option
@event_number_option
@click.option("--url", help="Take the event from a data store, such as https://search.example.com:9200.")
@index_option
@click.option("--id", "identity", metavar="ID", help="Id of the event's document in the data store, or its eventID.")
@ca_file_option
@timeout_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each rule.")
@published_option
@exact_case_option
def explain(
    rule: str,
    event: Path | None,
    event_id: str | None,
    number: int | None,
    url: str | None,
    index: str | None,
    identity: str | None,
    ca_file: Path | None,
    as_json: bool,
    published: bool,
    case_sensitive: bool,
) -> None:
    """Show which parts of a RULE's condition hold for an EVENT and which do not.

    RULE is a file, or a rule of this project by title, id or file name. EVENT is a file of CloudTrail records, or - for
    standard input.

    With --url, the event is that of a data store, by its --id. It is compared in process, whatever its mapping makes of
    it; the command doctor says whether the store would find it, too.

    Of a file with correlations it shows whether these are complete for all records of EVENT, and with which of them, or
    how far they come, unless --event-id or --number chooses one record.

    Exit code 0, whether it matches or not. 3: some of EVENT could not be read, see standard error.
    """
    if (event is None) == (url is None) or (identity is None) != (url is None) or (url and (event_id or number)):
        raise click.UsageError("name either a file of events or a data store: --url URL --id ID")
    problems = Problems()
    with as_click_errors():
        chosen = bool(event_id or number or url)
        file = None if chosen else correlation_file(rule)
        together = None if file is None else load_correlations(file)
        if together is not None and len(together) and event is not None:
            _explain_together(together, event, problems, as_json)
            problems.leave()
            return
        rules = find_rules(rule)
        if event is not None:
            record = read_event(event, event_id, number, problems.report)
        else:
            record = _stored_event(url or "", index or STELLAR_INDEX, identity or "", ca_file)
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


def _stored_event(url: str, index: str, identity: str, ca_file: Path | None) -> JsonObject:
    """Read an event out of a data store, as its flattened record."""
    # Files are explained without the packages of the extra.
    with needs("store"):
        from sigma_stellar_aws.alerts.stored_documents import whole_document
        from sigma_stellar_aws.query.store_profile import profile_from_json
        from sigma_stellar_aws.store.client import connect
        from sigma_stellar_aws.store.find_event import find_event, others_text
        from sigma_stellar_aws.store.mapping import describe_store
    with connect(url, ca_file, os.environ) as client:
        found = find_event(client, index, identity)
        layout = profile_from_json(describe_store(client, found.stored_in), found.stored_in).layout
    if text := others_text(found):
        note(f"note: {text}")
    document = whole_document(layout)(found.source)
    return {name: list[Json](value) if isinstance(value, list) else value for name, value in document.items()}


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
