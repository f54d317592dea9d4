"""Hits as alerts: one for each rule and key in a window of time, as the platform raises them.

The first event with a key opens a window, and raises the alert; the following ones within the window are counted into
it; the next one after it opens another. What is in memory is what is open, however many events there are.
"""

import hashlib
import heapq
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from sigma_stellar_aws import dsl
from sigma_stellar_aws.attack import attack, tactic_name
from sigma_stellar_aws.dsl import Clause
from sigma_stellar_aws.errors import TooManyAlertsError
from sigma_stellar_aws.flatten import millis
from sigma_stellar_aws.hits import Hit, Key
from sigma_stellar_aws.jsontypes import Json, JsonObject, Scalar
from sigma_stellar_aws.pack import PackRule
from sigma_stellar_aws.rulepack import ALERT_NAME, ALERT_TITLE, window_text

MOST_OPEN = 100_000
"""How many alerts may be open at one time; about 1 KB of memory each."""

SAMPLE = 10
"""How many events, and how many values of a kind, an alert tells of at most: the first ones."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


class Raised(NamedTuple):
    """An alert that an earlier run raised. Times are milliseconds since 1970-01-01 UTC."""

    id: str
    key_id: str
    start: int
    end: int
    first: int
    """Before the start, where an event arrived late."""
    last: int
    events: int


class Alert(NamedTuple):
    """What one rule says of the events with one key in one window. Times are milliseconds since 1970-01-01 UTC."""

    id: str
    """Made of the rule, the key and the start of the window, so that the same alert has the same id in every run."""
    key_id: str
    """Made of the rule and the key."""
    rule: PackRule
    key: Key
    start: int | None
    """When the window opened; None for the events that have no time."""
    end: int | None
    first: int | None
    """Time of the first event: before the start where one arrived late, when the alert was raised already."""
    last: int | None
    events: int
    counted: int
    """How many events this run counted: fewer where some of an earlier run are gone."""
    sample: tuple[tuple[str, str], ...]
    """eventID and place of the first events."""
    event_names: tuple[str, ...]
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    actors: tuple[str, ...]
    source_addresses: tuple[str, ...]
    raised: Raised | None = None
    """What an earlier run raised, if it did."""


def raise_alerts(
    hits: Iterable[Hit],
    rules: Mapping[str, PackRule],
    *,
    raised: Iterable[Raised] = (),
    since: datetime | None = None,
    most_open: int = MOST_OPEN,
) -> Iterator[Alert]:
    """The alerts of events, each given when its window is over.

    An event goes into the window of its key that is open. It also goes into the alert that an earlier run raised where
    it belongs to that one's window, or arrived so late that its own window would reach that one's first event: then
    there would be two in one window. Else it opens a window. Where a rule's window has no length, each event is an
    alert.

    Args:
        hits: each event once, in order of time, those without one last.
        rules: by the names in the hits.
        raised: alerts of earlier runs, in order of their first events.
        since: earlier events (it is aware of its time zone) are counted but raise nothing.
        most_open: how many windows may be open at one time.

    Raises:
        TooManyAlertsError: more windows are open at one time.
    """
    begin = None if since is None else millis(since)
    windows: dict[tuple[str, Key], _Window] = {}
    ends: list[tuple[int, int, tuple[str, Key]]] = []
    earlier = _Earlier(raised, max((_length(rule) for rule in rules.values()), default=0))
    for number, hit in enumerate(hits):
        if hit.time is not None:
            while ends and ends[0][0] <= hit.time:
                yield windows.pop(heapq.heappop(ends)[2]).alert()
            earlier.advance(hit.time)
        for name, key in hit.matches:
            if not _length(rules[name]):
                yield _of_one_event(rules[name], key, hit)
                continue
            window = windows.get((name, key))
            # Events without a time come last, when no later one can be meant for a window of events with one.
            if window is not None and (window.end is None) != (hit.time is None):
                yield windows.pop((name, key)).alert()
                window = None
            if window is None:
                window = _open(rules[name], key, hit.time, earlier, begin)
                if window is None:
                    continue
                windows[name, key] = window
                if window.end is not None:
                    heapq.heappush(ends, (window.end, number, (name, key)))
                if len(windows) > most_open:
                    raise _too_many(windows, most_open)
            window.count(hit)
    yield from (window.alert() for window in windows.values())


def merged(alert: Alert, raised: Raised) -> Alert:
    """An alert with what an earlier run had counted: never less, since events may be gone from the store since."""
    if alert.first is None or alert.last is None:
        return alert._replace(raised=raised, events=max(alert.events, raised.events))
    return alert._replace(
        raised=raised,
        first=min(alert.first, raised.first),
        last=max(alert.last, raised.last),
        events=max(alert.events, raised.events),
    )


def alert_id(key_id: str, start: int | None) -> str:
    """The id of the alert whose window starts at a time (milliseconds since 1970-01-01 UTC)."""
    return _digest([key_id, start])


def key_id(rule: PackRule, key: Key) -> str:
    """What stands for a rule and the values of the fields that it suppresses by."""
    return _digest([rule.id, list(rule.suppression.fields), list(key)])


def within(
    query: Clause, time_field: str, since: datetime | None, until: datetime | None, *, undated: bool = False
) -> Clause:
    """The query, of events within bounds of time.

    Args:
        query: what is asked.
        time_field: a date field.
        since: the first time, aware of its time zone.
        until: the time that is too late.
        undated: whether to ask for events without a time, too.
    """
    limits: dict[str, Scalar] = {
        name: str(millis(time)) for name, time in (("gte", since), ("lt", until)) if time is not None
    }
    if not limits:
        return query
    bounds = dsl.bounds(time_field, **limits, format="epoch_millis")
    return dsl.all_of([query, dsl.any_of([bounds, dsl.none_of(dsl.exists(time_field))]) if undated else bounds])


def time_text(time: int | None) -> str | None:
    """A time in milliseconds since 1970-01-01 UTC as ISO 8601, to the second where it is a whole one."""
    if time is None:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=time)
    except OverflowError:
        # A store may hold any number.
        return str(time)
    return moment.isoformat(timespec="milliseconds" if time % 1000 else "seconds").replace("+00:00", "Z")


def as_json(alert: Alert) -> JsonObject:
    """An alert as a JSON object."""
    rule = alert.rule
    known = attack()
    return {
        "id": alert.id,
        "name": ALERT_NAME,
        "display_name": ALERT_TITLE,
        "severity": rule.severity,
        "rule": {"id": rule.id, "title": rule.title, "author": rule.author},
        "tactics": [
            {"id": known.tactics[tactic].id if tactic in known.tactics else None, "name": tactic_name(tactic)}
            for tactic in rule.tactics
        ],
        "techniques": [
            {"id": technique, "name": known.techniques[technique].name if technique in known.techniques else None}
            for technique in rule.techniques
        ],
        "first_time": time_text(alert.first),
        "last_time": time_text(alert.last),
        "event_count": alert.events,
        "suppression": {
            "window": window_text(rule.suppression.window),
            "key": dict(zip(rule.suppression.fields, alert.key, strict=True)),
        },
        "events": [{"id": event_id, "place": place} for event_id, place in alert.sample],
        "event_names": _list(alert.event_names),
        "accounts": _list(alert.accounts),
        "regions": _list(alert.regions),
        "actors": _list(alert.actors),
        "source_addresses": _list(alert.source_addresses),
    }


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

    def count(self, hit: Hit) -> None:
        if not self.events:
            self.first = hit.time
        self.last = hit.time
        self.events += 1
        if len(self.sample) < SAMPLE:
            self.sample += ((hit.event_id, hit.place),)
        self.event_names = _with(self.event_names, f"{hit.event_source} {hit.event_name}".strip())
        self.accounts = _with(self.accounts, hit.account)
        self.regions = _with(self.regions, hit.region)
        self.actors = _with(self.actors, hit.actor)
        self.source_addresses = _with(self.source_addresses, hit.source_address)

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
        )
        return alert if self.raised is None else merged(alert, self.raised)


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
    """The window that an event opens, or finds open; None where it is to raise nothing."""
    identity = key_id(rule, key)
    if time is None:
        return _Window(rule, key, identity, alert_id(identity, None), None, None)
    raised = earlier.find(identity, time, _length(rule))
    if begin is not None and time < begin and (raised is None or time < raised.first):
        return None
    if raised is not None:
        return _Window(rule, key, identity, raised.id, raised.start, raised.end, raised)
    return _Window(rule, key, identity, alert_id(identity, time), time, time + _length(rule))


def _of_one_event(rule: PackRule, key: Key, hit: Hit) -> Alert:
    identity = key_id(rule, key)
    window = _Window(rule, key, identity, _digest([identity, hit.time, hit.identity]), hit.time, hit.time)
    window.count(hit)
    return window.alert()


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


def _digest(parts: list[Json]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _list(values: Iterable[str]) -> list[Json]:
    return list(values)
