"""Alerts of single events: there is no window to follow, so most alerts are made only when they are read."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from operator import attrgetter

from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.alert_packing import alert_name, sorted_alerts, with_events
from sigma_stellar_aws.alerts.hits import DistinctHits, Hit
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.alerts.sorted_hits import SortedHits
from sigma_stellar_aws.alerts.suppress import alert_of_event
from sigma_stellar_aws.base.kept_texts import KeptTexts

_IN_MEMORY = 10_000
"""Alerts of one time that are sorted in memory."""
_time = attrgetter("time")


class EventAlerts:
    """An alert for each event and each rule that it matches, in order of time, the most severe first."""

    def __init__(self, hits: SortedHits, rules: Mapping[str, PackRule], kept: KeptTexts) -> None:
        """Count the alerts, and sort those of one time that are too many for memory.

        Args:
            hits: none of them is brief.
            rules: by the names in the hits; none has a window.
            kept: the texts of the events.

        Raises:
            TemporaryDataError: there is no room to sort them.
        """
        self._hits, self._rules, self._kept = hits, rules, kept
        distinct = DistinctHits(hits)
        self._count = 0
        self._many: dict[int | None, int] = {}
        for time, some in groupby(distinct, _time):
            count = sum(len(hit.matches) for hit in some)
            self._count += count
            if count > _IN_MEMORY:
                self._many[time] = count
        self.events = distinct.count
        """How many events there are; copies of an event count once."""
        # Not when they are read: who is told that there is no room should not have been given some alerts already.
        self._sorted = sorted_alerts(kept)
        for time, some in groupby(DistinctHits(hits), _time) if self._many else ():
            if time in self._many:
                self._sorted.extend(self._alerts(some))

    def __len__(self) -> int:
        """Return how many alerts there are."""
        return self._count

    def __iter__(self) -> Iterator[Alert]:
        """Yield the alerts."""
        many = iter(self._sorted)
        for time, hits in groupby(DistinctHits(self._hits), _time):
            if time in self._many:
                yield from islice(many, self._many[time])
            else:
                yield from with_events(sorted(self._alerts(hits), key=alert_name), self._kept)

    def _alerts(self, hits: Iterable[Hit]) -> Iterator[Alert]:
        for hit in hits:
            for name, key in hit.matches:
                yield alert_of_event(self._rules[name], key, hit)
