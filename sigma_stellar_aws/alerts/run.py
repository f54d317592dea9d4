"""Search files for events that match rules, and raise their alerts; what searches of all kinds take and return."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sigma_stellar_aws.alerts.alert import Alert, AlertList
from sigma_stellar_aws.alerts.alert_packing import sorted_alerts
from sigma_stellar_aws.alerts.brief_hits import ToldHits
from sigma_stellar_aws.alerts.correlate import Correlator, reading_begin
from sigma_stellar_aws.alerts.event_alerts import EventAlerts
from sigma_stellar_aws.alerts.files import scan_files
from sigma_stellar_aws.alerts.hits import DistinctHits, Hit
from sigma_stellar_aws.alerts.pack_rule import Override, Pack, PackRule
from sigma_stellar_aws.alerts.sorted_hits import SortedHits
from sigma_stellar_aws.alerts.suppress import MOST_OPEN, OpenWindows, raise_alerts
from sigma_stellar_aws.base.garbage import rare_collections
from sigma_stellar_aws.base.kept_texts import KeptTexts
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import millis, time_text
from sigma_stellar_aws.logs.deliveries import deliveries_of
from sigma_stellar_aws.logs.find import require_log_files
from sigma_stellar_aws.logs.portions import Portion
from sigma_stellar_aws.reference.flat_schema import STELLAR_INDEX, TIME_FIELD

if TYPE_CHECKING:
    from sigma.collection import SigmaCollection

    from sigma_stellar_aws.query.store_profile import StoreProfile

MOST_PROBLEMS = 100
"""How many problems a search keeps; it counts all."""


@dataclass(frozen=True)
class AlertOptions:
    """How rules are converted, and how their alerts are suppressed."""

    published: bool = False
    """Use the published queries, errors included, where a rule corrects them."""
    case_sensitive: bool = False
    """Compare texts exactly; Sigma ignores case."""
    window: timedelta | None = None
    """One alert in this time, whatever the rules say; with ``timedelta(0)`` every event is an alert."""
    suppress_by: tuple[str, ...] = ()
    """One alert for the same values of these CloudTrail fields (``userIdentity.arn``), whatever the rules say."""
    strict: bool = False
    """Raise an error if one rule cannot be converted, instead of leaving it out, which is a problem of the search."""
    most_open: int = MOST_OPEN
    """How many alerts may be open at one time, about 1 KB of memory each."""
    scripts: bool = False
    """Let a data store compare two fields (``|fieldref``) by a script, which many clusters forbid."""


DEFAULT_OPTIONS = AlertOptions()


class Progress(NamedTuple):
    """What a search has done since it last said so."""

    done_bytes: int = 0
    """How many bytes of files it read, as they are stored."""
    problems: Sequence[str] = ()
    """What it could not read, or not ask."""
    notes: Sequence[str] = ()
    """What is worth knowing, but not a problem."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class AlertSearch:
    """What a search found."""

    alerts: AlertList
    """In order of their first events. They have a length, can be read as often as you like, and are on disk if many."""
    rules: Mapping[str, PackRule]
    """The rules that were asked, by their ids."""
    events: int
    """How many events matched; copies of an event count once."""
    records: int | None = None
    """How many records were read; None for a data store."""
    problems: Sequence[str] = ()
    """What could not be read or asked; the first :data:`MOST_PROBLEMS`."""
    problem_count: int = 0
    notes: Sequence[str] = ()
    """What is worth knowing, but not a problem."""


@dataclass
class Messages:
    """Problems and notes of a search, which are passed on at once, too."""

    progress: OnProgress | None = None
    problems: list[str] = field(default_factory=list)
    problem_count: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, problems: Iterable[object] = (), notes: Iterable[str] = (), done_bytes: int = 0) -> None:
        """Add some, and pass them on."""
        new = Progress(done_bytes, [str(problem) for problem in problems], list(notes))
        self.problems += new.problems[: MOST_PROBLEMS - len(self.problems)]
        self.problem_count += len(new.problems)
        self.notes += new.notes
        if self.progress is not None:
            self.progress(new)

    def problem(self, problem: object) -> None:
        """Add one problem."""
        self.add([problem])

    def note(self, text: str) -> None:
        """Add one note."""
        self.add(notes=[text])


def alerts_of_files(
    paths: Iterable[Path | str],
    rules: "SigmaCollection | None" = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    options: AlertOptions = DEFAULT_OPTIONS,
    progress: OnProgress | None = None,
) -> AlertSearch:
    """Raise the alerts of CloudTrail files.

    >>> search = alerts_of_files(["tests/samples/export.ndjson"])
    >>> len(search.alerts), search.events, search.records, search.problems
    (8, 8, 23, [])
    >>> worst = max(search.alerts, key=lambda alert: alert.rule.severity)
    >>> worst.rule.severity, worst.rule.title, worst.event_names
    (75, 'AWS SecurityHub Findings Evasion', ('securityhub.amazonaws.com DeleteInsight',))

    Args:
        paths: files, and folders of them, in any form that :mod:`sigma_stellar_aws.logs.reader` reads. With bounds of
            time, files in folders are passed over that CloudTrail delivered at other times, as their paths say.
        rules: see :func:`load_rules`; the 29 by default. They are not changed.
        since: only events from then on; aware of its time zone, like ``until``.
        until: only events before that.
        options: how the rules are converted, and how alerts are suppressed.
        progress: is called with what was read, and with problems as they are met.

    Raises:
        NotFoundError: there are no CloudTrail files.
        SigmaError: no rule can be converted, or not all, if the options are strict.
        TooManyAlertsError: more alerts are open at one time than the options allow.
        ChildProcessError: a process that read files ended before its time.
    """
    messages = Messages(progress)
    pack = pack_of(rules, options, messages)
    wanted = deliveries_of(reading_begin(pack.correlations, since), until)
    files = require_log_files([Path(path) for path in paths], messages.problem, messages.note, wanted)
    return alerts_of_portions([Portion(files, {})], pack, since, until, options, messages)


def alerts_of_portions(
    portions: Iterable[Portion],
    pack: Pack,
    since: datetime | None,
    until: datetime | None,
    options: AlertOptions,
    messages: Messages,
) -> AlertSearch:
    """Raise the alerts of files that may be there only while their portion is at its turn.

    See :func:`alerts_of_files` for the other arguments, and what is raised.
    """
    begin = reading_begin(pack.correlations, since)
    with rare_collections():
        found = hits_of_portions(portions, pack, begin, until, messages, brief=True)
        if since and found.records and not len(found.hits):
            if found.too_old is not None:
                told = f"the newest that a rule matches is of {time_text(found.too_old)}: too old"
                messages.note(f"of {plural(found.records, 'record')}, {told}")
            elif until is None:
                messages.note(f"of {plural(found.records, 'record')}, none matches a rule, whatever its time")
        if pack.alerts_on_each_event():
            alerts = EventAlerts(found.hits, pack.rules, found.kept)
            return _search(alerts, pack, alerts.events, found.records, messages)
        return raised(found.hits, pack, options, messages, since, found.records, found.kept)


class FoundHits(NamedTuple):
    """What was found in files."""

    hits: SortedHits
    """In order of time."""
    records: int
    """How many records were read."""
    kept: KeptTexts
    """The events."""
    too_old: int | None = None
    """Time of the newest event that matches, but is before the times asked for."""
    span: tuple[int, int] | None = None
    """Earliest and latest time of all records, about; None where none was sampled, or none has a time."""


def hits_of_portions(
    portions: Iterable[Portion],
    pack: Pack,
    since: datetime | None,
    until: datetime | None,
    messages: Messages,
    *,
    brief: bool = False,
    sampled: int = 0,
) -> FoundHits:
    """Return the hits of files; brief ones need the texts of the events, which are lost with this process.

    See :func:`scan_files` for the sampling of times.
    """
    records = 0
    kept = KeptTexts()
    hits = SortedHits(kept)
    too_old: int | None = None
    span: tuple[int, int] | None = None
    for portion in portions:
        for batch in scan_files(portion.files, pack, since, until, brief=brief, names=portion.names, sampled=sampled):
            records += batch.records
            hits.add_rows(batch.hits)
            kept.extend(batch.events)
            if batch.too_old is not None:
                too_old = batch.too_old if too_old is None else max(too_old, batch.too_old)
            if batch.span is not None:
                earliest, latest = span or batch.span
                span = min(earliest, batch.span[0]), max(latest, batch.span[1])
            problems = [portion.told(problem) for problem in batch.problems]
            messages.add(
                (problem for problem in problems if not problem.is_note),
                (str(problem) for problem in problems if problem.is_note),
                batch.done_bytes,
            )
    return FoundHits(hits, records, kept, too_old, span)


def pack_of(
    rules: "SigmaCollection | None",
    options: AlertOptions,
    messages: Messages,
    index: str = STELLAR_INDEX,
    time_field: str = TIME_FIELD,
    profile: "StoreProfile | None" = None,
) -> Pack:
    """Convert rules to one query, for a data store with its profile; a rule that is left out is a problem.

    Raises:
        SigmaError: no rule can be converted, or not all, if the options are strict.
    """
    # They load pySigma, which takes longer than to read many files; a pack may come from elsewhere.
    from sigma_stellar_aws.alerts.pack import convert_pack
    from sigma_stellar_aws.pipelines.of_store import pipeline_for
    from sigma_stellar_aws.rule_files.load import load_rules

    pack = convert_pack(
        # The conversion changes them.
        load_rules() if rules is None else copy.deepcopy(rules),
        pipeline_for(profile, index, time_field, published=options.published),
        case_sensitive=options.case_sensitive,
        store=profile,
        override=Override(options.window, options.suppress_by),
        strict=options.strict,
        scripts=options.scripts,
    )
    tell_refused(pack, messages)
    return pack


def tell_refused(pack: Pack, messages: Messages) -> None:
    """Tell which rules are left out of a pack, and why."""
    messages.add(f"this rule is left out: {reason}" for reason in pack.refused)


def raised(
    hits: Iterable[Hit],
    pack: Pack,
    options: AlertOptions,
    messages: Messages,
    since: datetime | None = None,
    records: int | None = None,
    kept: KeptTexts | None = None,
    complete: Callable[[Iterable[Alert]], Iterable[Alert]] = iter,
) -> AlertSearch:
    """Raise the alerts of hits in order of time: all of them, before any can be read.

    Args:
        hits: see :func:`raise_alerts`.
        pack: the rules.
        options: how many alerts may be open.
        messages: what is told besides.
        since: earlier events raise nothing.
        records: how many were read.
        kept: the texts of the events.
        complete: fills in the parts of alerts that are not known yet.
    """
    told = ToldHits(kept or KeptTexts())
    events = DistinctHits(hits, None if since is None else millis(since), told.identity)
    windows: OpenWindows = {}
    correlator = Correlator(pack.correlations, pack.silent, told=told.told, is_open=windows.__contains__)
    alerts = sorted_alerts(kept or KeptTexts())
    alerts.extend(
        complete(
            raise_alerts(
                correlator.follow(events) if pack.correlations or pack.silent else events,
                pack.rules,
                since=since if pack.correlations else None,
                most_open=options.most_open,
                told=told.told,
                windows=windows,
            )
        )
    )
    for text in correlator.notes():
        messages.note(text)
    return _search(alerts, pack, events.count, records, messages)


def _search(alerts: AlertList, pack: Pack, events: int, records: int | None, messages: Messages) -> AlertSearch:
    return AlertSearch(
        alerts, pack.alerting(), events, records, messages.problems, messages.problem_count, messages.notes
    )
