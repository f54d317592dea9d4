"""The command alerts."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigma_stellar_aws.cli.common import (
    FILES,
    Problems,
    ca_file_option,
    exact_case_option,
    filters_option,
    find_logs,
    instant,
    needs,
    note,
    progress,
    published_option,
    rules_option,
    told,
)

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from sigma_stellar_aws.alerts import Alert
    from sigma_stellar_aws.dsl import Clause
    from sigma_stellar_aws.pack import Pack, PackRule
    from sigma_stellar_aws.store_profile import StoreProfile


@click.command()
@click.argument("files", nargs=-1, type=FILES)
@click.option("--url", help="Search this data store instead of files, such as https://search.example.com:9200.")
@click.option("--index", default=None, help="Index, alias or pattern to search.  [default: aella-cloudtrail-*]")
@click.option(
    "--since",
    callback=instant,
    metavar="TIME",
    help="Only events from then on: ISO 8601, or 90m, 24h, 7d ago.",
)
@click.option("--until", callback=instant, metavar="TIME", help="Only events before this time.")
@click.option("--time-field", default=None, help="Date field of the data store.  [default: timestamp]")
@click.option("--json", "form", flag_value="json", help="One JSON object a line, for each event and rule.")
@click.option("--csv", "form", flag_value="csv", help="CSV, a line for each event and rule.")
@published_option
@exact_case_option
@rules_option
@filters_option
@ca_file_option
def alerts(
    files: tuple[Path, ...],
    url: str | None,
    index: str | None,
    since: datetime | None,
    until: datetime | None,
    time_field: str | None,
    form: str | None,
    published: bool,
    case_sensitive: bool,
    rule_paths: tuple[Path, ...],
    filter_paths: tuple[Path, ...],
    ca_file: Path | None,
) -> None:
    """Find events that match the rules, in CloudTrail FILES (or folders of them) or in a data store (--url).

    Exit code 0: everything was looked at. 3: some input could not be read, as told on standard error.
    """
    from sigma_stellar_aws import output, store_profile
    from sigma_stellar_aws.alerts import distinct, event_of, scan_files, within
    from sigma_stellar_aws.flatten import TIME_FIELD
    from sigma_stellar_aws.pack import convert_pack
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX, stellar_aws, stellar_aws_published
    from sigma_stellar_aws.rulepack import load_rules

    if bool(files) == bool(url):
        raise click.UsageError("name either files or a data store (--url)")
    if files and (time_field or index or ca_file):
        raise click.UsageError("--index, --time-field and --ca-file are for a data store (--url)")
    index, time_field = index or INDEX, time_field or TIME_FIELD
    if since and until and since >= until:
        raise click.UsageError("--since must be before --until")
    problems = Problems()
    with told():
        pipeline = stellar_aws_published if published else stellar_aws
        rules = load_rules(*rule_paths, filters=filter_paths)
        if url:
            with needs("store"):
                from sigma_stellar_aws import store
            client = store.connect(url, ca_file, os.environ)
            profile = store_profile.from_json(store.profile(client, index), index)
            in_store = pipeline(index, time_field, flattened=profile.flattened)
            pack = convert_pack(rules, in_store, case_sensitive=case_sensitive, store=profile)
            if (since or until) and (reason := profile.no_time(time_field)):
                raise click.ClickException(reason)
            query = within(pack.query, time_field, since, until)
            _tell_of_doubts(client, profile, pack, problems)
            found = _search(client, index, query, pack.rules)
            looked_at = f"in {index}"
        else:
            pack = convert_pack(rules, pipeline(index, time_field), case_sensitive=case_sensitive)
            records = 0
            found = []
            with progress(find_logs(files, problems)) as track:
                for of_one_record in scan_files(track, pack, problems.report, since, until):
                    records += 1
                    found += of_one_record
            looked_at = f"among {records} records"
    found = distinct(found)
    with told():
        output.write(found, form or "table", "index" if url else "file")
    events = len(set(map(event_of, found)))
    note(f"{events} matching event{'s' * (events != 1)} {looked_at}{problems.summary()}")
    problems.leave()


def _tell_of_doubts(client: "OpenSearch", profile: "StoreProfile", pack: "Pack", problems: Problems) -> None:
    """Tell what the data store cannot answer, or not exactly."""
    from sigma_stellar_aws import dsl, store
    from sigma_stellar_aws.field_queries import cut_values

    for refused in pack.refused:
        problems.report(f"this rule is left out: {refused}")
    missing = sorted({doubt.field for doubt in pack.doubts if doubt.kind == "missing"})
    dead = sum(not dsl.can_match(clause, missing) for _, clause in dsl.named_clauses(pack.query))
    if not dsl.can_match(pack.query, missing):
        raise click.ClickException(f"no rule can match in {profile.indices}: it has no field {', '.join(missing)}")
    if missing:
        note(
            f"note: {profile.indices} has no field {', '.join(missing)}; "
            f"{dead} of {len(pack.rules)} rules cannot match there"
        )
    for doubt in pack.doubts:
        if doubt.kind == "loose":
            problems.report(doubt)
    cut = cut_values(profile.all_mappings(), dsl.fields(pack.query), profile.engine)
    if cut is not None and (events := store.count_each(client, profile.indices, {"cut": cut}).counts["cut"]):
        problems.report(
            f"{events} events of {profile.indices} have a value that is too long to be found, in a field of the rules"
        )
    for reason in {doubt.reason: None for doubt in pack.doubts if doubt.kind == "cut"}:
        if cut is None:
            problems.report(f"{reason}; this store does not tell whether there are any")
        elif profile.engine != "elasticsearch":
            note(f"note: {reason}; OpenSearch does not tell of all such values")


def _search(client: "OpenSearch", index: str, query: "Clause", rules: "Mapping[str, PackRule]") -> "list[Alert]":
    from sigma_stellar_aws import store
    from sigma_stellar_aws.alerts import to_alerts
    from sigma_stellar_aws.flatten import flatten
    from sigma_stellar_aws.index_template import EVENT_FIELDS

    fields = [name for field in EVENT_FIELDS for name in {field, field.replace("_", ".")}]
    hits = list(store.scan(client, index, query, fields))
    if unknown := {name for hit in hits for name in hit.matched_queries} - set(rules):
        raise click.ClickException(f"{index} answered with names that are none of the rules': {', '.join(unknown)}")
    return [alert for hit in hits for alert in to_alerts(flatten(hit.source), hit.matched_queries, rules, hit.place)]
