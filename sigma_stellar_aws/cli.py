"""The command line: one function a command, each calling the modules that do the work."""

import io
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from sigma.exceptions import SigmaError

from sigma_stellar_aws import __version__

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from sigma_stellar_aws.alerts import Alert
    from sigma_stellar_aws.dsl import Clause
    from sigma_stellar_aws.flatten import Document
    from sigma_stellar_aws.pack import Pack, PackRule
    from sigma_stellar_aws.rule_documents import Severity
    from sigma_stellar_aws.rule_tests import Trial
    from sigma_stellar_aws.store_profile import StoreProfile

FINDINGS = 1
"""Exit code: the command ran, and the rules that it looked at are not as they should be."""

NOT_RUN = 2
"""Exit code of a command that could not run, where 1 says that it found something; click's for misuse."""

UNREAD = 3
"""Exit code: the command ran, but some input could not be read or some document was not taken."""

_RELATIVE_TIME = re.compile(r"([1-9]\d*)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _instant(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """The value of an option that is an instant: ISO 8601 (UTC unless it says otherwise), or a time ago such as 24h."""
    if value is None:
        return None
    try:
        if ago := _RELATIVE_TIME.fullmatch(value):
            return datetime.now(timezone.utc) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write 2026-11-24, 2026-11-24T12:00:00Z, 90m, 24h or 7d"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


_FILES = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_rules = click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    type=_FILES,
    metavar="PATH",
    help="Use these rules, not the 29; repeatable.",
)
_filters = click.option(
    "--filter", "filter_paths", multiple=True, type=_FILE, metavar="FILE", help="Sigma filter to apply; repeatable."
)
_published = click.option(
    "--published", is_flag=True, help="Use the published queries, errors included, where a rule corrects them."
)
_exact_case = click.option(
    "--case-sensitive", is_flag=True, help="Compare texts exactly, as the platform does; Sigma ignores case."
)
_url = click.option("--url", required=True, help="The data store, such as https://search.example.com:9200.")
_index = click.option("--index", help="Index, alias or pattern.  [default: aella-cloudtrail-*]")
_ca_file = click.option("--ca-file", type=_FILE, help="Certificates (PEM) to trust instead of the system's.")


_EVENT = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_event_id = click.option("--event-id", metavar="ID", help="Of several events, take the one with this eventID.")
_event_number = click.option("--number", type=int, metavar="N", help="Of several events, take the Nth.")


@contextmanager
def _told() -> Iterator[None]:
    """Errors of our modules as errors of the command line."""
    from sigma_stellar_aws.embedded import EngineError
    from sigma_stellar_aws.errors import EventError, NotFoundError, StoreError
    from sigma_stellar_aws.output import printable

    try:
        yield
    except BrokenPipeError:
        # A reader that has seen enough: click ends the command without a word.
        raise
    except (SigmaError, StoreError, EngineError, EventError, NotFoundError, OSError) as error:
        raise click.ClickException(printable(str(error))) from error


@contextmanager
def _needs(extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this command needs the package {error.name}; install it with: pip install 'sigma-stellar-aws[{extra}]' "
            f"(in a checkout: pip install '.[{extra}]')"
        ) from error


@contextmanager
def _errors_exit_with(code: int) -> Iterator[None]:
    """Another exit code than 1 for errors of a command, but 2 for misuse as everywhere."""
    try:
        yield
    except click.UsageError:
        raise
    except click.ClickException as error:
        error.show()
        sys.exit(code)


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


@main.command()
@_rules
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

    with _told():
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


@main.command()
@click.argument("paths", nargs=-1, type=_FILES)
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
@_errors_exit_with(NOT_RUN)
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
    with _told():
        report = checked(paths)
        reports.write(report, form, threshold, sys.stdout)
    _note(reports.summary(report))
    if threshold and at_least(report.findings, threshold):
        sys.exit(FINDINGS)


@main.command()
@click.argument("event", type=_EVENT)
@click.option(
    "-o", "--output", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR"
)
@_event_id
@_event_number
@click.option("--author", default="TODO", show_default=True, help="Who writes the rule.")
@click.option("--keep-ids", is_flag=True, help="Keep account numbers, ids and public addresses, instead of examples.")
def new(event: Path, folder: Path, event_id: str | None, number: int | None, author: str, keep_ids: bool) -> None:
    """Write the skeleton of a rule for an EVENT, and its test, into DIR.

    EVENT is a file of CloudTrail records, or - for standard input. Nothing is overwritten.

    Exit code 3: some of EVENT could not be read, as told on standard error.
    """
    from sigma_stellar_aws.new_rule import write_rule
    from sigma_stellar_aws.reader import read_event

    problems = _Problems()
    with _told():
        record = read_event(event, event_id, number, problems.report)
        for file in write_rule(record, folder, author=author, keep_ids=keep_ids):
            click.echo(file)
    problems.leave()


@main.command()
@click.argument("rule")
@click.argument("event", type=_EVENT)
@_event_id
@_event_number
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each rule.")
@_published
@_exact_case
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

    problems = _Problems()
    with _told():
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


@main.command()
@click.argument("paths", nargs=-1, type=_FILES)
@click.option(
    "--cases",
    "case_paths",
    multiple=True,
    type=_FILES,
    metavar="PATH",
    help="Test files that name their rules; repeatable.",
)
@click.option("--require-cases", is_flag=True, help="Fail where a rule has no cases.")
@click.option("--watch", is_flag=True, help="Run again what changes, until Ctrl-C.")
@click.option("--url", help="Run on this data store too, in an index of its own that is removed afterwards.")
@click.option("--engine", is_flag=True, help="Run on an OpenSearch of its own too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each case.")
@_ca_file
@_errors_exit_with(UNREAD)
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
    problems = _Problems()
    for problem in suite.problems:
        problems.report(problem)
    _note(rule_tests.summary(results, suite))
    if not all(result.passed for result in results) or (require_cases and suite.untested):
        sys.exit(FINDINGS)
    problems.leave()


@main.command()
@click.option("--index", default=None, metavar="PATTERN", help="Indices the template is for.")
def template(index: str | None) -> None:
    """Print an index template for flattened records, as the body of PUT /_index_template/NAME."""
    from sigma_stellar_aws.index_template import index_template
    from sigma_stellar_aws.pack import pack_fields
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX

    click.echo(json.dumps(index_template(index or INDEX, pack_fields()), indent=2))


@main.command()
@click.argument("files", nargs=-1, required=True, type=_FILES)
@_url
@click.option("--index", required=True, help="Index to load into; it is created if there is none.")
@_ca_file
def load(files: tuple[Path, ...], url: str, index: str, ca_file: Path | None) -> None:
    """Flatten the records of CloudTrail FILES (or folders of them) and load them into a data store."""
    with _needs("store"):
        from sigma_stellar_aws import store
    from sigma_stellar_aws.flatten import flatten
    from sigma_stellar_aws.pack import pack_fields
    from sigma_stellar_aws.reader import read_records

    problems = _Problems()
    found = _find(files, problems)
    with _told():
        client = store.connect(url, ca_file, os.environ)
        store.create_index(client, index, pack_fields())
        with _progress(found) as track:
            records = (r for file in track for _, r in read_records(file, problems.report, lambda source, name: True))
            documents = (flatten(record) for record in records if record is not None)
            loaded = store.load(client, index, problems.watching_length(documents))
    for event_id, reason in loaded.rejected:
        problems.report(f"event {event_id} was not taken: {reason}")
    _note(f"{loaded.created} events loaded into {index}, {loaded.present} were there already{problems.summary()}")
    problems.leave()


@main.command()
@click.argument("files", nargs=-1, type=_FILES)
@click.option("--url", help="Search this data store instead of files, such as https://search.example.com:9200.")
@click.option("--index", default=None, help="Index, alias or pattern to search.  [default: aella-cloudtrail-*]")
@click.option(
    "--since",
    callback=_instant,
    metavar="TIME",
    help="Only events from then on: ISO 8601, or 90m, 24h, 7d ago.",
)
@click.option("--until", callback=_instant, metavar="TIME", help="Only events before this time.")
@click.option("--time-field", default=None, help="Date field of the data store.  [default: timestamp]")
@click.option("--json", "form", flag_value="json", help="One JSON object a line, for each event and rule.")
@click.option("--csv", "form", flag_value="csv", help="CSV, a line for each event and rule.")
@_published
@_exact_case
@_rules
@_filters
@_ca_file
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
    problems = _Problems()
    with _told():
        pipeline = stellar_aws_published if published else stellar_aws
        rules = load_rules(*rule_paths, filters=filter_paths)
        if url:
            with _needs("store"):
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
            with _progress(_find(files, problems)) as track:
                for of_one_record in scan_files(track, pack, problems.report, since, until):
                    records += 1
                    found += of_one_record
            looked_at = f"among {records} records"
    found = distinct(found)
    with _told():
        output.write(found, form or "table", "index" if url else "file")
    events = len(set(map(event_of, found)))
    _note(f"{events} matching event{'s' * (events != 1)} {looked_at}{problems.summary()}")
    problems.leave()


@main.command()
@_url
@_index
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write to.")
@_ca_file
def profile(url: str, index: str | None, output: Path | None, ca_file: Path | None) -> None:
    """Read the field types of a data store, as a store profile for: sigma convert -O store=FILE."""
    with _needs("store"):
        from sigma_stellar_aws import store
    from sigma_stellar_aws import store_profile
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX

    with _told():
        found = store.profile(store.connect(url, ca_file, os.environ), index or INDEX)
        fields = store_profile.from_json(found, index or INDEX).fields
        text = store_profile.as_text(found)
        if output is None:
            click.echo(text, nl=False)
        else:
            output.write_text(text, "utf-8")
    for name, mappings in fields.items():
        if len(mappings) > 1:
            kinds = ", ".join(field.type for field in mappings)
            _note(f"note: the indices differ in their mapping of {name}: {kinds}")


@main.command()
@click.argument("rule_paths", nargs=-1, type=_FILES, metavar="[RULES]...")
@_url
@_index
@click.option("--time-field", default=None, help="Date field of the data store.  [default: timestamp]")
@click.option(
    "--since",
    callback=_instant,
    default="24h",
    show_default=True,
    metavar="TIME",
    help="There should be events from then on: ISO 8601, or 90m, 24h, 7d ago.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_filters
@_ca_file
def doctor(
    rule_paths: tuple[Path, ...],
    url: str,
    index: str | None,
    time_field: str | None,
    since: datetime,
    as_json: bool,
    filter_paths: tuple[Path, ...],
    ca_file: Path | None,
) -> None:
    """Look whether each of the RULES (without any: the 29) can match in a data store. Reads only.

    Exit code 0: all can, as exactly as they should. 3: some cannot, may be wrong, or the store has no recent events.
    """
    with _needs("store"):
        from sigma_stellar_aws import doctor as doctors
        from sigma_stellar_aws import store
    from sigma_stellar_aws import store_profile
    from sigma_stellar_aws.flatten import TIME_FIELD
    from sigma_stellar_aws.pipelines.stellar_aws import INDEX
    from sigma_stellar_aws.rulepack import load_rules

    with _told():
        rules = load_rules(*rule_paths, filters=filter_paths)
        client = store.connect(url, ca_file, os.environ)
        found = store_profile.from_json(store.profile(client, index or INDEX), index or INDEX)
        diagnosis = doctors.diagnose(client, found, rules, time_field or TIME_FIELD, since)
    if as_json:
        click.echo(json.dumps(doctors.as_json(found, diagnosis)))
    else:
        doctors.print_diagnosis(found, diagnosis)
    if not diagnosis.healthy:
        sys.exit(UNREAD)


@main.command()
@click.option("--heap", default="1g", show_default=True, help="Most memory for the node's heap.")
def engine(heap: str) -> None:
    """Start an OpenSearch of its own, print its URL and wait; it ends with this command, its data too."""
    with _needs("embedded"):
        from sigma_stellar_aws.embedded import embedded_opensearch

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _note("starting OpenSearch (the first time, about 60 MB are fetched) ...")
    with _told(), embedded_opensearch(heap=heap) as url:
        click.echo(url)
        _note("running; stop it with Ctrl-C")
        while not stop.wait(3600):
            pass


def _tell_of_doubts(client: "OpenSearch", profile: "StoreProfile", pack: "Pack", problems: "_Problems") -> None:
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
        _note(
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
            _note(f"note: {reason}; OpenSearch does not tell of all such values")


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


class _Problems:
    """Tells of what could not be read, and counts it."""

    def __init__(self) -> None:
        self.count = 0

    def report(self, problem: object) -> None:
        """Tell of one."""
        self.count += 1
        _note(f"warning: {problem}")

    def watching_length(self, documents: "Iterator[Document]") -> "Iterator[Document]":
        """The documents, telling of values that an index cannot find."""
        from sigma_stellar_aws.index_template import IGNORE_ABOVE, too_long

        for document in documents:
            if fields := too_long(document):
                self.report(
                    f"event {document.get('eventID')}: {', '.join(fields)} is over {IGNORE_ABOVE:,} characters long; "
                    "it is kept, but a search does not find it"
                )
            yield document

    def summary(self) -> str:
        """How many there were, to go on with a sentence."""
        return f"; {self.count} problems, see above" if self.count else ""

    def leave(self) -> None:
        """End the command with the exit code for it, if there were any."""
        if self.count:
            sys.exit(UNREAD)


def _on_engine(trials: "list[Trial]", url: str | None, engine: bool, ca_file: Path | None) -> list[bool] | None:
    """What a real engine says of trials, if one is asked for."""
    from sigma_stellar_aws.rule_tests import ask_engine

    if not trials or not (url or engine):
        return None
    with _needs("embedded" if engine else "store"):
        from sigma_stellar_aws import store
        from sigma_stellar_aws.embedded import embedded_opensearch
    with _told(), embedded_opensearch() if engine else nullcontext(url or "") as address:
        return ask_engine(store.connect(address, ca_file, {} if engine else os.environ), trials)


def _note(text: str) -> None:
    from sigma_stellar_aws.output import printable

    click.echo(printable(" ".join(text.splitlines())), err=True)


def _find(paths: tuple[Path, ...], problems: "_Problems") -> list[Path]:
    from sigma_stellar_aws.reader import SUFFIXES, find_files

    found = find_files(paths, problems.report)
    if not found:
        raise click.ClickException(
            f"no CloudTrail files in {', '.join(map(str, paths))}; looked for {', '.join(SUFFIXES)}, also with .gz"
        )
    return found


@contextmanager
def _progress(files: list[Path]) -> Iterator[Iterator[Path]]:
    """The files, with a progress bar on a terminal's standard error that counts their bytes."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{len(files)} files", total=sum(file.stat().st_size for file in files))

        def track() -> Iterator[Path]:
            for file in files:
                yield file
                bar.advance(task, file.stat().st_size)

        yield track()
