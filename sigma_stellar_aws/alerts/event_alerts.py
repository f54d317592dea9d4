"""Alerts of which each is that of one event: no window has to be followed, so that they are made as they are read."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby, islice

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.alert_packing import alert_name, sorted_alerts, with_events
from sigma_stellar_aws.alerts.hits import DistinctHits, Hit
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.alerts.sorted_hits import SortedHits
from sigma_stellar_aws.alerts.suppress import alert_of_event
from sigma_stellar_aws.base.kept_texts import KeptTexts

_IN_MEMORY = 10_000
"""Alerts of one time that are sorted in memory."""


class EventAlerts:
    """An alert for each event and each rule that it matches, in order of time, the most severe first."""

    def __init__(self, hits: SortedHits, rules: Mapping[str, PackRule], kept: KeptTexts) -> None:
        """Count the alerts.

        Args:
            hits: none of them is brief.
            rules: by the names in the hits; none has a window.
            kept: the texts of the events.
        """
        self._hits, self._rules, self._kept = hits, rules, kept
        distinct = DistinctHits(hits)
        self._count = sum(len(hit.matches) for hit in distinct)
        self.events = distinct.count
        """How many events there are; copies of an event count once."""

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def __iter__(self) -> Iterator[Alert]:
        """Make them."""
        for _, hits in groupby(DistinctHits(self._hits), lambda hit: hit.time):
            yield from self._in_order(self._alerts(hits))

    def _alerts(self, hits: Iterable[Hit]) -> Iterator[Alert]:
        for hit in hits:
            for name, key in hit.matches:
                yield alert_of_event(self._rules[name], key, hit)

    def _in_order(self, alerts: Iterator[Alert]) -> Iterable[Alert]:
        some = list(islice(alerts, _IN_MEMORY))
        if len(some) < _IN_MEMORY:
            return with_events(sorted(some, key=alert_name), self._kept)
        ordered = sorted_alerts(self._kept)
        ordered.extend(chain(some, alerts))
        return ordered
