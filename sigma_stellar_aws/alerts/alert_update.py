"""Bring an index of alerts up to date with the events that a run found, wherever it found them."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.alert_index import Outcome, store_alerts
from sigma_stellar_aws.alerts.alert_packing import sorted_alerts
from sigma_stellar_aws.alerts.checkpoint import later
from sigma_stellar_aws.alerts.correlate import Correlator
from sigma_stellar_aws.alerts.hits import DistinctHits, Hit
from sigma_stellar_aws.alerts.pack_rule import Pack
from sigma_stellar_aws.alerts.run import AlertSearch, Messages
from sigma_stellar_aws.base.kept_texts import KeptTexts
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import millis


@dataclass(frozen=True)
class AlertUpdate(AlertSearch):
    """What a search found, and what became of it in the index of alerts.

    ``alerts`` are those that are new or have changed.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    through: datetime | None = None
    """Up to when all events were looked at that the store has; None where the search had no end."""


def keep_alerts(
    client: OpenSearch,
    alert_index: str,
    hits: Iterable[Hit],
    pack: Pack,
    messages: Messages,
    *,
    begin: datetime | None,
    floor: datetime | None,
    most_open: int,
    complete: Callable[[Iterable[Alert]], Iterable[Alert]],
    records: int | None = None,
    late: datetime | None = None,
) -> AlertUpdate:
    """Raise the alerts of events, and keep them in an index.

    Args:
        client: the data store of the index.
        alert_index: see :func:`~sigma_stellar_aws.alerts.alert_index.prepare_alert_index`.
        hits: the events, in order of time.
        pack: the rules.
        messages: gets what cannot be read, and notes.
        begin: the time from which on events count; None for all.
        floor: earlier events are counted, but raise nothing.
        most_open: how many alerts may be open at one time.
        complete: fills in the parts of alerts that are not known yet.
        records: how many records were read, where that is known.
        late: a new alert whose events are all before this time is told: an earlier run should have raised it.

    Raises:
        StoreError: the store cannot be asked or written to.
        TooManyAlertsError: more alerts are open at one time than that.
    """
    events = DistinctHits(hits, None if begin is None else millis(begin))
    correlator = Correlator(pack.correlations, pack.silent)
    stored = store_alerts(
        client,
        alert_index,
        pack.rules,
        correlator.follow(events) if pack.correlations or pack.silent else events,
        since=begin if begin is None else later(begin, floor),
        most_open=most_open,
        report=messages.problem,
        complete=complete,
    )
    too_late = 0
    alerts = sorted_alerts(KeptTexts())
    outcomes: Counter[Outcome] = Counter()
    for alert, outcome in stored:
        outcomes[outcome] += 1
        too_late += late is not None and outcome == "created" and alert.last is not None and alert.last < millis(late)
        if outcome != "unchanged":
            alerts.extend([alert])
    for text in correlator.notes():
        messages.note(text)
    if too_late:
        messages.note(
            f"{plural(too_late, 'alert')} of events that arrived later than runs overlap, or of new rules; other such "
            "events may not have been looked at: for the former, choose a longer --overlap"
        )
    return AlertUpdate(
        alerts,
        pack.alerting(),
        events.count,
        records,
        problems=messages.problems,
        problem_count=messages.problem_count,
        notes=messages.notes,
        created=outcomes["created"],
        updated=outcomes["updated"],
        unchanged=outcomes["unchanged"],
    )
