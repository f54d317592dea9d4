"""Raise alerts: one for each rule and key in a window of time, as the platform does.

The first event with a key opens a window and raises the alert; the following ones within the window are counted into
it; the next one after it opens another window. Only open windows are in memory, however many events there are.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import TypeAlias

from sigma_stellar_aws.alerts.alert import SAMPLE, Alert, ChainEvent, Raised, alert_id, id_of_event, key_id
from sigma_stellar_aws.alerts.correlate import Completion, Contribution
from sigma_stellar_aws.alerts.correlation_state import CountedEvent
from sigma_stellar_aws.alerts.hits import Hit, Key, common_texts
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.base.errors import TooManyAlertsError
from sigma_stellar_aws.base.kept_texts import NOT_KEPT
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.logs.flatten import is_uuid

MOST_OPEN = 100_000
"""How many alerts may be open at one time; about 1 KB of memory each."""
_MILLISECOND = timedelta(milliseconds=1)


def raise_alerts(
    hits: Iterable[Hit | Contribution | Completion],
    rules: Mapping[str, PackRule],
    *,
    raised: Iterable[Raised] = (),
    since: datetime | None = None,
    most_open: int = MOST_OPEN,
    told: Callable[[Hit], Hit] | None = None,
    windows: "OpenWindows | None" = None,
) -> Iterator[Alert]:
    """Raise the alerts of events; yield each when its window is over.

    An event goes into the open window of its key. It goes into an alert that an earlier run raised if it belongs to
    the window of that alert, or arrived so late that its own window would reach the first event of that alert: there
    would then be two in one window. Otherwise it opens a window. Where a rule's window has no length, each event is
    an alert. A correlation is alerted on when it is complete: the alert has what made it so, and what counts for it
    until the window ends.

    Args:
        hits: each event once, in order of time, those without one last; with them what counts for correlations and when
            they are complete, see :mod:`sigma_stellar_aws.alerts.correlate`.
        rules: by the names in the hits.
        raised: alerts of earlier runs, in order of their first events.
        since: earlier events (it is aware of its time zone) are counted but raise nothing.
        most_open: how many windows may be open at one time.
        told: returns a brief hit with the event that an alert shows.
        windows: an empty dictionary to keep the open windows in, for others to see.

    Raises:
        TooManyAlertsError: more windows are open at one time.
    """
    begin = None if since is None else millis(since)
    making = _Windows(rules, raised, begin, most_open, told, {} if windows is None else windows)
    for item in hits:
        if item.time is not None:
            yield from making.closed(item.time)
        if isinstance(item, Hit):
            yield from making.take(item)
        elif isinstance(item, Contribution):
            making.contribute(item)
        else:
            yield from making.complete(item)
    yield from making.rest()


def with_earlier(alert: Alert, raised: Raised) -> Alert:
    """Add what an earlier run had counted: the numbers never fall, since the store may have deleted events."""
    events, failed, codes = max(alert.events, raised.events), alert.failed, alert.error_codes
    if raised.failed is not None:
        failed = max(failed, raised.failed)
        # No event both fails and succeeds.
        events = max(events, failed + max(alert.events - alert.failed, raised.events - raised.failed))
    if alert.counted < events:
        codes = tuple(dict.fromkeys((*raised.error_codes, *codes)))[:SAMPLE]
    alert = alert._replace(raised=raised, events=events, failed=failed, error_codes=codes)
    if alert.first is None or alert.last is None:
        return alert
    return alert._replace(first=min(alert.first, raised.first), last=max(alert.last, raised.last))


class _Windows:
    """The alerts in the making, and those of earlier runs that they may belong to."""

    def __init__(
        self,
        rules: Mapping[str, PackRule],
        raised: Iterable[Raised],
        begin: int | None,
        most_open: int,
        told: Callable[[Hit], Hit] | None,
        windows: "OpenWindows",
    ) -> None:
        self._told = told
        self._rules, self._begin, self._most_open = rules, begin, most_open
        self._open = windows
        self._ends: list[tuple[int, int, tuple[str, Key]]] = []
        self._number = count()
        self._lengths = {name: _length(rule) for name, rule in rules.items()}
        self._earlier = _Earlier(raised, max(self._lengths.values(), default=0))

    def closed(self, time: int) -> Iterator[Alert]:
        """Close the windows that are over at a time."""
        while self._ends and self._ends[0][0] <= time:
            yield self._open.pop(heapq.heappop(self._ends)[2]).alert()
        self._earlier.advance(time)

    def rest(self) -> Iterator[Alert]:
        return (window.alert() for window in self._open.values())

    def take(self, hit: Hit) -> Iterator[Alert]:
        for name, key in hit.matches:
            if not self._lengths[name]:
                if self._begin is None or hit.time is None or hit.time >= self._begin:
                    yield alert_of_event(self._rules[name], key, hit)
                continue
            window = self._open.get((name, key))
            # Events without a time come last, when no later one can be meant for a window of events with one.
            if window is not None and (window.end is None) != (hit.time is None):
                yield self._open.pop((name, key)).alert()
                window = None
            if window is None:
                window = _open(self._rules[name], key, hit.time, self._earlier, self._begin)
                if window is None:
                    continue
                self._keep(name, key, window)
                if hit.is_brief and self._told is not None:
                    hit = hit._replace(event=self._told(hit).event, is_brief=False)
            window.count(hit)

    def contribute(self, item: Contribution) -> None:
        if window := self._open.get((item.name, item.key)):
            window.add(item.events(), self._rules)

    def complete(self, item: Completion) -> Iterator[Alert]:
        if (item.name, item.key) in self._open:
            return
        rule = self._rules[item.name]
        window = _open(rule, item.key, item.time, self._earlier, self._begin)
        if window is None:
            return
        window.add(item.evidence(), self._rules)
        # A window is told by the times at which the correlation is complete.
        window.since, window.first = window.first, item.time
        if self._lengths[item.name]:
            self._keep(item.name, item.key, window)
        else:
            yield window.alert()

    def _keep(self, name: str, key: Key, window: "_Window") -> None:
        self._open[name, key] = window
        if window.end is not None:
            heapq.heappush(self._ends, (window.end, next(self._number), (name, key)))
        if len(self._open) > self._most_open:
            raise _too_many(self._open, self._most_open)


@dataclass(slots=True)
class _Window:
    """An alert in the making."""

    rule: PackRule
    key: Key
    key_id: str
    id: str
    start: int | None
    end: int | None
    raised: Raised | None = None
    first: int | None = None
    last: int | None = None
    events: int = 0
    # Tuples, since there may be very many windows with one value each.
    sample: tuple[tuple[str, str], ...] = ()
    event_names: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    source_addresses: tuple[str, ...] = ()
    failed: int = 0
    error_codes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    place: int = NOT_KEPT
    since: int | None = None
    chain: tuple[ChainEvent, ...] = ()

    def add(self, events: Sequence[CountedEvent], rules: Mapping[str, PackRule]) -> None:
        """Count events of a correlation; of many that come together, the first and the last are shown."""
        for event in events:
            self.count(event.hit)
        room = SAMPLE - len(self.chain)
        shown = events if len(events) <= room else [*events[: room // 2], *events[len(events) - (room - room // 2) :]]
        self.chain += tuple(_step(event, rules) for event in shown)

    def count(self, hit: Hit) -> None:
        if not self.events:
            self.first, self.place = hit.time, hit.event
        self.last = hit.time
        self.events += 1
        self.failed += bool(hit.error_code)
        if len(self.sample) < SAMPLE:
            self.sample += ((hit.event_id, hit.origin),)
        # One event after the other says the same.
        if self.told == (told := common_texts(hit)):
            return
        self.told = told
        self.event_names = _with(self.event_names, _event_text(hit))
        self.accounts = _with(self.accounts, hit.account)
        self.regions = _with(self.regions, hit.region)
        self.actors = _with(self.actors, hit.actor)
        self.source_addresses = _with(self.source_addresses, hit.source_address)
        self.error_codes = _with(self.error_codes, hit.error_code)

    def alert(self) -> Alert:
        alert = Alert(
            id=self.id,
            key_id=self.key_id,
            rule=self.rule,
            key=self.key,
            start=self.start,
            end=self.end,
            first=self.first,
            last=self.last,
            events=self.events,
            counted=self.events,
            sample=self.sample,
            event_names=self.event_names,
            accounts=self.accounts,
            regions=self.regions,
            actors=self.actors,
            source_addresses=self.source_addresses,
            failed=self.failed,
            error_codes=self.error_codes,
            since=self.since,
            chain=self.chain,
            place=self.place,
        )
        return alert if self.raised is None else with_earlier(alert, self.raised)


OpenWindows: TypeAlias = dict[tuple[str, Key], _Window]
"""The alerts in the making, by the names of their rules and by their keys."""


class _Earlier:
    """The alerts of earlier runs that an event of the present time can belong to."""

    def __init__(self, raised: Iterable[Raised], longest: int) -> None:
        self._coming = iter(raised)
        self._next = next(self._coming, None)
        self._longest = longest
        self._near: dict[str, list[Raised]] = defaultdict(list)
        self._ends: list[tuple[int, Raised]] = []

    def advance(self, time: int) -> None:
        while self._next is not None and self._next.first < time + self._longest:
            self._near[self._next.key_id].append(self._next)
            heapq.heappush(self._ends, (self._next.end, self._next))
            self._next = next(self._coming, None)
        while self._ends and self._ends[0][0] <= time:
            _, over = heapq.heappop(self._ends)
            self._near[over.key_id].remove(over)
            if not self._near[over.key_id]:
                del self._near[over.key_id]

    def find(self, key: str, time: int, window: int) -> Raised | None:
        return next((raised for raised in self._near.get(key, ()) if raised.first - window < time), None)


def _open(rule: PackRule, key: Key, time: int | None, earlier: _Earlier, begin: int | None) -> _Window | None:
    """Open a window for an event, or that of an earlier alert again; return None if the event raises nothing."""
    identity = key_id(rule, key)
    if time is None:
        return _Window(rule, key, identity, alert_id(identity, None), None, None)
    raised = earlier.find(identity, time, _length(rule))
    if begin is not None and time < begin and (raised is None or time < raised.first):
        return None
    if raised is not None:
        return _Window(rule, key, identity, raised.id, raised.start, raised.end, raised)
    return _Window(rule, key, identity, alert_id(identity, time), time, time + _length(rule))


def alert_of_event(rule: PackRule, key: Key, hit: Hit) -> Alert:
    """Return the alert of a single event."""
    identity = key_id(rule, key)
    # The same for a file and a store, of which a search reads different parts of the record.
    event = hit.event_id if is_uuid(hit.event_id) else hit.identity
    return Alert(
        id=id_of_event(identity, hit.time, event),
        key_id=identity,
        rule=rule,
        key=key,
        start=hit.time,
        end=hit.time,
        first=hit.time,
        last=hit.time,
        events=1,
        counted=1,
        sample=((hit.event_id, hit.origin),),
        event_names=(name,) if (name := _event_text(hit)) else (),
        accounts=(hit.account,) if hit.account else (),
        regions=(hit.region,) if hit.region else (),
        actors=(hit.actor,) if hit.actor else (),
        source_addresses=(hit.source_address,) if hit.source_address else (),
        failed=int(bool(hit.error_code)),
        error_codes=(hit.error_code,) if hit.error_code else (),
        place=hit.event,
    )


def _step(event: CountedEvent, rules: Mapping[str, PackRule]) -> ChainEvent:
    hit = event.hit
    return ChainEvent(
        hit.time,
        tuple((name, rules[name].title) for name in event.rules),
        _event_text(hit),
        hit.event_id,
        hit.origin,
        hit.actor,
        hit.source_address,
        hit.error_code,
        place=hit.event,
    )


def _event_text(hit: Hit) -> str:
    return f"{hit.event_source} {hit.event_name}".strip()


def _with(values: tuple[str, ...], value: str) -> tuple[str, ...]:
    return (*values, value) if value and value not in values and len(values) < SAMPLE else values


def _too_many(windows: Mapping[tuple[str, Key], _Window], most: int) -> TooManyAlertsError:
    counts: dict[str, int] = defaultdict(int)
    for window in windows.values():
        counts[window.rule.title] += 1
    title, count = max(counts.items(), key=lambda item: item[1])
    return TooManyAlertsError(
        f"more than {most:,} alerts are open at one time, {count:,} of them by the rule {title!r}; filter it, or "
        "suppress by fewer fields (--suppress-by), in a shorter window (--window), or allow more (--most-open)"
    )


def _length(rule: PackRule) -> int:
    return rule.suppression.window // _MILLISECOND
