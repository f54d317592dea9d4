"""What has to be remembered of the events with one key, to know when a correlation is complete.

The state of each kind is bounded and yet exact, wherever the window slides to: the last ``n`` events; the ``n`` values
that came last; the last event of each rule; and for an order, of each beginning of the order the chain that started
last. Times only grow, and all events of one time come together, so that they count in any order.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from sigma_stellar_aws.alerts.hits import Hit, Key
from sigma_stellar_aws.base.times import whole_millis
from sigma_stellar_aws.rule_files.counted import EVENT_COUNT, TEMPORAL, VALUE_COUNT, Correlation


class CountedEvent(NamedTuple):
    """An event that makes a correlation complete, with the names of the rules that it matches."""

    hit: Hit
    rules: tuple[str, ...]


Evidence = tuple[CountedEvent, ...]
"""One event, or those of an inner correlation that is complete."""


class Arrival(NamedTuple):
    """What arrives for a member of a correlation."""

    member: int
    evidence: Evidence
    values: tuple[Key, ...] = ()
    """What it adds to the values that are counted."""


class KeyState(Protocol):
    """What is remembered of one key."""

    def add(self, time: int, arrivals: Sequence[Arrival]) -> bool:
        """Take all that arrives at one time, which is later than before; return whether the correlation is complete."""

    def evidence(self, time: int) -> Iterable[CountedEvent]:
        """Return the events that make it complete, if it is complete at the time that was added last."""

    def size(self) -> int:
        """Return how many events are held."""


def new_state(correlation: Correlation) -> Callable[[], KeyState]:
    """Return a function that makes an empty state for a key of a correlation."""
    span = whole_millis(correlation.timespan)
    if correlation.kind == EVENT_COUNT:
        return lambda: _LastEvents(correlation.count, span)
    if correlation.kind == VALUE_COUNT:
        return lambda: _LastValues(correlation.count, span)
    sets = [frozenset(each) for each in correlation.alternatives]
    if correlation.kind == TEMPORAL:
        return lambda: _LastOfEach(correlation.count, sets, span)
    return lambda: _Chains(correlation.alternatives, span)


def first_members(correlation: Correlation) -> frozenset[int]:
    """Return the numbers of the members that an empty state remembers: in an order, only what it begins with."""
    if correlation.kind in (EVENT_COUNT, VALUE_COUNT, TEMPORAL):
        return frozenset(range(len(correlation.members)))
    return frozenset(order[0] for order in correlation.alternatives)


def each_once(parts: Iterable[CountedEvent]) -> Evidence:
    """Return events in order of time, each once with all its rules."""
    parts = tuple(parts)
    if len(parts) < 2:
        return parts
    rules: dict[tuple[int, str], dict[str, None]] = {}
    hits: dict[tuple[int, str], Hit] = {}
    for part in parts:
        place = (part.hit.time or 0, part.hit.identity)
        hits[place] = part.hit
        rules.setdefault(place, {}).update(dict.fromkeys(part.rules))
    return tuple(CountedEvent(hits[place], tuple(rules[place])) for place in sorted(hits))


def _events(arrivals: Sequence[Arrival]) -> Evidence:
    if len(arrivals) == 1:
        return arrivals[0].evidence
    return each_once([part for each in arrivals for part in each.evidence])


class _LastEvents:
    """For a number of events: the last ones, as many as are needed."""

    __slots__ = ("_held", "_needed", "_span")

    def __init__(self, needed: int, span: int) -> None:
        self._needed, self._span = needed, span
        self._held: list[tuple[int, CountedEvent]] = []

    def add(self, time: int, arrivals: Sequence[Arrival]) -> bool:
        # One event that matches several rules is one event.
        self._held += [(time, part) for part in _events(arrivals)]
        del self._held[: -self._needed]
        return len(self._held) == self._needed and self._held[0][0] >= time - self._span

    def evidence(self, time: int) -> Iterable[CountedEvent]:
        return (part for _, part in self._held)

    def size(self) -> int:
        return len(self._held)


class _LastValues:
    """For a number of values: those that came last, as many as are needed, in the order of their last events."""

    __slots__ = ("_held", "_needed", "_span")

    def __init__(self, needed: int, span: int) -> None:
        self._needed, self._span = needed, span
        self._held: dict[Key, tuple[int, CountedEvent]] = {}

    def add(self, time: int, arrivals: Sequence[Arrival]) -> bool:
        for arrival in arrivals:
            for value in arrival.values:
                self._held.pop(value, None)
                self._held[value] = (time, arrival.evidence[0])
        while len(self._held) > self._needed:
            del self._held[next(iter(self._held))]
        return len(self._held) == self._needed and next(iter(self._held.values()))[0] >= time - self._span

    def evidence(self, time: int) -> Iterable[CountedEvent]:
        return (part for _, part in self._held.values())

    def size(self) -> int:
        return len(self._held)


class _LastOfEach:
    """For rules in any order: the last event of each."""

    __slots__ = ("_held", "_needed", "_sets", "_span")

    def __init__(self, needed: int, sets: Sequence[frozenset[int]], span: int) -> None:
        self._needed, self._sets, self._span = needed, sets, span
        self._held: dict[int, tuple[int, Evidence]] = {}

    def add(self, time: int, arrivals: Sequence[Arrival]) -> bool:
        for arrival in arrivals:
            self._held[arrival.member] = (time, arrival.evidence)
        present = {number for number, (last, _) in self._held.items() if last >= time - self._span}
        return any(each <= present for each in self._sets) if self._sets else len(present) >= self._needed

    def evidence(self, time: int) -> Iterable[CountedEvent]:
        held = (self._held[number] for number in sorted(self._held))
        return (part for last, parts in held if last >= time - self._span for part in parts)

    def size(self) -> int:
        return sum([len(parts) for _, parts in self._held.values()])


class _Chain(NamedTuple):
    start: int
    parts: Evidence


class _Chains:
    """For rules in their order: of each beginning of the order, the chain that started last."""

    __slots__ = ("_complete", "_held", "_orders", "_span")

    def __init__(self, orders: Sequence[tuple[int, ...]], span: int) -> None:
        self._orders, self._span = orders, span
        self._held: list[list[_Chain | None]] = [[None] * len(order) for order in orders]
        self._complete: list[_Chain] = []

    def add(self, time: int, arrivals: Sequence[Arrival]) -> bool:
        latest = {arrival.member: arrival.evidence for arrival in arrivals}
        ends = [self._extended(order, held, latest, time) for order, held in zip(self._orders, self._held, strict=True)]
        self._complete = [end for end in ends if end is not None]
        return bool(self._complete)

    def evidence(self, time: int) -> Iterable[CountedEvent]:
        return (part for chain in self._complete for part in chain.parts)

    def size(self) -> int:
        return sum([len(chain.parts) for held in self._held for chain in held if chain])

    def _extended(
        self, order: tuple[int, ...], held: list[_Chain | None], latest: dict[int, Evidence], time: int
    ) -> _Chain | None:
        """Extend the chains of one order, from its first rule on; return one that is complete now."""
        end = None
        for place, member in enumerate(order):
            end = None
            if member not in latest:
                continue
            before = _Chain(time, ()) if place == 0 else held[place - 1]
            if before is None or before.start < time - self._span:
                continue
            end = _Chain(before.start, before.parts + latest[member])
            kept = held[place]
            if place < len(order) - 1 and (kept is None or end.start >= kept.start):
                held[place] = end
        return end
