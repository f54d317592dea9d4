"""The options of the command alerts, in groups."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.pack_cache import find_pack, keep_pack, pack_key
from sigma_stellar_aws.alerts.pack_rule import Pack
from sigma_stellar_aws.alerts.render import FORMS, csv_fields
from sigma_stellar_aws.alerts.run import AlertOptions, Messages, pack_of, tell_refused
from sigma_stellar_aws.alerts.suppress import MOST_OPEN
from sigma_stellar_aws.base.severity import MOST_SEVERE, SEVERITY_BANDS
from sigma_stellar_aws.base.text import did_you_mean, nearest
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.cli.options import (
    FILE,
    OUTPUT,
    OUTPUT_FILE,
    STANDARD_OUTPUT,
    ca_file_option,
    choice_options,
    duration,
    exact_case_option,
    field_names,
    filters_option,
    instant,
    published_option,
    record,
    rules_option,
    scripts_option,
    strict_option,
)
from sigma_stellar_aws.cli.problems import as_click_errors, needs
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document
from sigma_stellar_aws.rule_files.find import correlations_path, pack_path

if TYPE_CHECKING:
    from sigma.collection import SigmaCollection

    from sigma_stellar_aws.alerts.geoip import AddressDatabases


@dataclass(frozen=True)
class StoreChoice:
    """Which events of which data store."""

    url: str | None
    index: str | None
    time_field: str | None
    ca_file: Path | None
    timeout: timedelta | None


class TimeBounds(NamedTuple):
    """Which events, by their times."""

    since: datetime | None
    until: datetime | None

    def include(self, document: Document) -> bool:
        """Tell whether an event is within the bounds; one that has no time is."""
        time = document.get(TIME_FIELD)
        return not isinstance(time, int) or (
            (self.since is None or time >= millis(self.since)) and (self.until is None or time < millis(self.until))
        )


class RuleChoice(NamedTuple):
    """Which rules, and how they raise alerts."""

    rule_paths: tuple[Path, ...]
    filter_paths: tuple[Path, ...]
    published: bool
    case_sensitive: bool
    only: tuple[str, ...]
    exclude: tuple[str, ...]
    strict: bool
    suppress_by: tuple[str, ...]
    window: timedelta | None
    each_event: bool
    most_open: int
    scripts: bool
    correlations: bool

    def options(self) -> AlertOptions:
        """Return how they raise alerts."""
        window = timedelta(0) if self.each_event else self.window
        return AlertOptions(
            self.published, self.case_sensitive, window, self.suppress_by, self.strict, self.most_open, self.scripts
        )

    def load(self) -> "SigmaCollection":
        """Load them; what is wrong with a file is among the errors of the collection, unless they are strict.

        Raises:
            SigmaError: a file cannot be read as Sigma rules, and they are strict, or it is a filter.
            NotFoundError: there is no rule of a name that is chosen or excluded, or none is left.
            OSError: a file cannot be opened.
        """
        # They load pySigma, which is not needed where the rules were converted before.
        from sigma_stellar_aws.rule_files.choose import choose_rules
        from sigma_stellar_aws.rule_files.load import load_rules

        rules = load_rules(
            *self.rule_paths,
            filters=self.filter_paths,
            correlations=self.correlations,
            collect_errors=not self.strict,
        )
        return choose_rules(rules, self.only, self.exclude)

    def pack(self, messages: Messages) -> Pack:
        """Convert them for files, or take what an earlier run converted; a rule that is left out is a problem.

        Raises:
            SigmaError: no rule can be converted, or not all, if they are strict.
            NotFoundError: there is no rule of a name that is chosen or excluded, or none is left.
            OSError: a file cannot be opened.
        """
        key = self._key()
        pack = find_pack(key)
        if pack is not None:
            tell_refused(pack, messages)
            return pack
        pack = pack_of(self.load(), self.options(), messages)
        # Unless somebody edited a rule in the meantime.
        if key == self._key():
            keep_pack(key, pack)
        return pack

    def _key(self) -> str | None:
        # A rule may be chosen by a path from where we are.
        here = str(Path.cwd()) if self.only or self.exclude else ""
        added = (correlations_path(),) if self.correlations else ()
        paths = (*(self.rule_paths or (pack_path(),)), *added)
        return pack_key(paths, self.filter_paths, (self.options(), self.only, self.exclude, here))


class Output(NamedTuple):
    """How alerts are shown."""

    as_json: bool
    as_csv: bool
    stated: str | None
    group_by: str
    html: Path | None
    target: Path | None
    fields: tuple[str, ...]
    min_severity: int
    geoip: "AddressDatabases | None"

    def located(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        """Say of alerts where their source addresses are, if databases of addresses are named."""
        return self.geoip.located(alerts) if self.geoip else iter(alerts)

    def take_problems(self) -> list[str]:
        """Return what could not be looked up since the last call."""
        return self.geoip.take_problems() if self.geoip else []

    def files(self) -> list[Path]:
        """Return the files that are written."""
        return [file for file in (self.html, self.target) if file and file != STANDARD_OUTPUT]

    @property
    def forms(self) -> set[str]:
        """The forms that were asked for: one at most makes sense."""
        asked = {"json": self.as_json, "csv": self.as_csv}
        return {form for form, wanted in asked.items() if wanted} | ({self.stated} if self.stated else set())


class Writing(NamedTuple):
    """Where alerts are kept, and how often."""

    write_to: str | None
    checkpoint: Path | None
    follow: timedelta | None
    overlap: timedelta | None


store_options = record(
    "store",
    StoreChoice,
    click.option("--url", help="Search this data store instead of files, such as https://search.example.com:9200."),
    click.option("--index", default=None, help="Index, alias or pattern to search.  [default: aella-cloudtrail-*]"),
    click.option(
        "--time-field", default=None, help="Date field of the data store.  [default: timestamp, or @timestamp]"
    ),
    ca_file_option,
    click.option("--timeout", callback=duration, metavar="TIME", help="End a run that takes longer, such as 10m."),
)
time_options = record(
    "times",
    TimeBounds,
    click.option(
        "--since",
        callback=instant,
        metavar="TIME",
        help="Only events from then on: ISO 8601, or 90m, 24h, 7d ago.",
    ),
    click.option("--until", callback=instant, metavar="TIME", help="Only events before this time."),
)


def _csv_columns(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",")) if value is not None else ()
    for name in names:
        if name not in csv_fields():
            hint = did_you_mean(nearest(name, csv_fields())) or f"; there are {', '.join(csv_fields())}"
            raise click.BadParameter(f"there is no column {name!r}{hint}")
        if names.count(name) > 1:
            raise click.BadParameter(f"the column {name!r} is named more than once")
    return names


def _least_severity(context: click.Context, parameter: click.Parameter, value: str | None) -> int:
    """Read an option that is a severity: a number, or the name of a band, which stands for its least one."""
    text = (value or "0").strip().lower()
    if text.isascii() and text.isdigit() and int(text) <= MOST_SEVERE:
        return int(text)
    if text not in SEVERITY_BANDS:
        bands = ", ".join(f"{name} ({least})" for name, least in SEVERITY_BANDS.items())
        raise click.BadParameter(f"{value!r} is not a severity; write a number from 0 to {MOST_SEVERE}, or {bands}")
    return SEVERITY_BANDS[text]


def _address_databases(
    context: click.Context, parameter: click.Parameter, value: tuple[Path, ...]
) -> "AddressDatabases | None":
    """Open databases of addresses, until the command ends."""
    if not value or context.resilient_parsing:
        return None
    # Its package is that of an extra.
    with needs("geoip"):
        from sigma_stellar_aws.alerts.geoip import AddressDatabases
    with as_click_errors():
        return context.with_resource(AddressDatabases(value))


output_options = record(
    "output",
    Output,
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each alert."),
    click.option("--csv", "as_csv", is_flag=True, help="CSV, a line for each alert."),
    click.option(
        "--output",
        "stated",
        type=click.Choice(FORMS),
        help="The same, and ocsf: each alert as an OCSF Detection Finding, one a line.  [default: table]",
    ),
    click.option(
        "-o",
        "target",
        type=OUTPUT,
        metavar="FILE",
        help="Write to this file instead of standard output.",
    ),
    click.option(
        "--fields", callback=_csv_columns, metavar="NAME,...", help="Only these columns of CSV, in this order."
    ),
    click.option(
        "--min-severity",
        callback=_least_severity,
        metavar="N|BAND",
        help="Show only alerts of this severity or more: 0 to 100, or info, low (25), medium (50), high (75).",
    ),
    click.option(
        "--geoip",
        multiple=True,
        type=FILE,
        callback=_address_databases,
        metavar="DB.mmdb",
        help="Say in which country, city and network source addresses are, as this database has it (MaxMind's format); "
        "repeatable.",
    ),
    click.option(
        "--html",
        type=OUTPUT,
        metavar="FILE",
        help="Also write a web page; - writes it to standard output, and no table.",
    ),
    click.option(
        "--group-by",
        type=click.Choice(["rule", "actor"]),
        default="rule",
        show_default=True,
        help="What the table is grouped by.",
    ),
)
alert_rule_options = record(
    "rules",
    RuleChoice,
    click.option(
        "--suppress-by",
        callback=field_names,
        metavar="FIELD,...",
        help="One alert for the same values of these CloudTrail fields, whatever the rules say.",
    ),
    click.option(
        "--window",
        callback=duration,
        metavar="TIME",
        help="One alert in this time, such as 24h, whatever the rules say.",
    ),
    click.option("--each-event", is_flag=True, help="An alert for each event and rule, without suppression."),
    click.option(
        "--most-open",
        type=click.IntRange(min=1),
        default=MOST_OPEN,
        show_default=True,
        metavar="N",
        help="How many alerts may be open at one time, about 1 KB of memory each.",
    ),
    published_option,
    exact_case_option,
    rules_option,
    click.option("--correlations", is_flag=True, help="Also raise alerts of several events: those of this project."),
    filters_option,
    choice_options,
    strict_option,
    scripts_option,
)
writing_options = record(
    "writing",
    Writing,
    click.option("--write", "write_to", metavar="INDEX", help="Store the alerts in this index of the data store."),
    click.option(
        "--checkpoint",
        type=OUTPUT_FILE,
        metavar="FILE",
        help="Go on where the last run with this file ended; with --write.",
    ),
    click.option(
        "--follow", callback=duration, metavar="TIME", help="Run again after this pause, such as 5m; with --write."
    ),
    click.option(
        "--overlap",
        callback=duration,
        metavar="TIME",
        help="How far a run goes back before the end of the last one, for events that arrive late.  [default: 6h]",
    ),
)
