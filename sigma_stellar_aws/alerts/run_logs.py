"""Raise the alerts of log files, and keep them in an index of a data store."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.alert_index import begin_of_count, prepare_alert_index
from sigma_stellar_aws.alerts.alert_packing import with_events
from sigma_stellar_aws.alerts.alert_update import AlertUpdate, keep_alerts
from sigma_stellar_aws.alerts.correlate import look_back, reading_begin
from sigma_stellar_aws.alerts.log_checkpoint import LogCheckpoint
from sigma_stellar_aws.alerts.pack_rule import Pack
from sigma_stellar_aws.alerts.run import Messages, hits_of_portions
from sigma_stellar_aws.alerts.sorted_hits import SortedHits
from sigma_stellar_aws.base.kept_texts import KeptTexts
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.logs.portions import Portion

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class LogUpdate(NamedTuple):
    """What a run did."""

    update: AlertUpdate
    found: SortedHits
    """What it found in its files."""
    keep: timedelta
    """For how long after an event what was found may count."""


def update_alerts_of_logs(
    client: OpenSearch,
    alert_index: str,
    searched: str,
    portions: Iterable[Portion],
    pack: Pack,
    *,
    since: datetime | None,
    until: datetime | None,
    checkpoint: LogCheckpoint | None,
    most_open: int,
    messages: Messages,
    located: Callable[[Iterable[Alert]], Iterable[Alert]] = iter,
) -> LogUpdate:
    """Raise the alerts of log files, and of what earlier runs found in others, and keep them in an index.

    An alert is never there twice, and its numbers are brought up to date by later runs with the same checkpoint.

    Args:
        client: the data store of the index.
        alert_index: the index of the alerts; it is created unless it exists.
        searched: what is searched, as people write it; an index has the alerts of one search.
        portions: the files.
        pack: the rules.
        since: only events from then on; aware of its time zone, as is the next.
        until: only events before that.
        checkpoint: what earlier runs found.
        most_open: how many alerts may be open at one time.
        messages: what cannot be read.
        located: says of alerts where their source addresses are: ``alerts.geoip.AddressDatabases.located``.

    Raises:
        StoreError: the store cannot be asked or written to.
        TooManyAlertsError: more alerts are open at one time than that.
    """
    through = checkpoint.through if checkpoint else None
    prepare_alert_index(client, alert_index, searched, must_exist=through is not None)
    earliest = reading_begin(pack.correlations, since)
    found, records, kept, *_ = hits_of_portions(portions, pack, earliest, until, messages)
    begin = begin_of_count(client, alert_index, _begin(found, through, since))
    hits = _all_hits(found, kept, checkpoint, reading_begin(pack.correlations, begin))
    update = keep_alerts(
        client,
        alert_index,
        hits,
        pack,
        messages,
        begin=begin,
        floor=since,
        most_open=most_open,
        complete=lambda alerts: located(with_events(alerts, kept)),
        records=records,
    )
    return LogUpdate(update, found, _keep(pack))


def _begin(found: SortedHits, through: datetime | None, since: datetime | None) -> datetime | None:
    """Return the time from which on nothing is to be missed: late files may have events from before the last run."""
    if through is None:
        return since
    first = next((hit.time for hit in found if hit.time is not None), None)
    return through if first is None else min(through, _EPOCH + timedelta(milliseconds=first))


def _all_hits(
    found: SortedHits, kept: KeptTexts, checkpoint: LogCheckpoint | None, begin: datetime | None
) -> SortedHits:
    """Return what this run and the earlier ones found from a time on, in order of time."""
    hits = SortedHits(kept)
    first = None if begin is None else millis(begin)
    for some in (checkpoint.hits() if checkpoint else (), found):
        hits.extend(hit for hit in some if first is None or hit.time is None or hit.time >= first)
    return hits


def _keep(pack: Pack) -> timedelta:
    windows = (rule.suppression.window for rule in pack.rules.values())
    return max(windows, default=timedelta(0)) + look_back(pack.correlations)
