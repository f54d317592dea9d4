"""Follow the events of rules in order of time, and say when correlations of them are complete.

A correlation is complete at a time when an event of its key has that time and, with what came up to its timespan
before, closed at both ends, there are enough events, values or rules. The window slides, and heeds no clock. Events of
one time count in any order. An event has a key for each combination of the values that are grouped by; one without such
a field takes no part, nor does one without a time. What is complete is an event for outer correlations.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from operator import attrgetter
from sys import intern
from typing import NamedTuple, TypeAlias

from sigma_stellar_aws.alerts.correlation_state import Arrival, CountedEvent, Evidence, KeyState, each_once, new_state
from sigma_stellar_aws.alerts.hits import Hit, Key
from sigma_stellar_aws.base.errors import TooManyAlertsError
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import whole_millis
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.counted import Correlation, Member

MOST_HELD = 400_000
"""How many events may be held for correlations at one time, up to 1 KB of memory each."""

_Values: TypeAlias = Mapping[str, tuple[str, ...]]
_Events: TypeAlias = Mapping[str, Sequence[tuple[Hit, _Values]]]
"""Events of one time by the rules that they match, each with the values that it has."""


class Contribution(NamedTuple):
    """An event of a rule that a correlation counts, with one of its keys."""

    time: int
    name: str
    key: Key
    event: CountedEvent


class Completion(NamedTuple):
    """A time at which a correlation is complete for a key."""

    time: int
    name: str
    key: Key
    evidence: Callable[[], Evidence]
    """Returns the events that make it so, as long as nothing later has been asked for."""


class _Fields(NamedTuple):
    """Flattened names of the fields that make the key, and of those whose values are counted."""

    key: tuple[str, ...]
    values: tuple[str, ...]


class _Leaf(NamedTuple):
    """A rule whose events count for a correlation, be it for one that it counts."""

    name: str
    key: tuple[str, ...]
    """Flattened names of the fields that the innermost correlation groups by."""
    values: tuple[str, ...]
    places: tuple[int, ...]
    """Which parts of that key are the key of the outermost."""


@dataclass(slots=True)
class _Followed:
    """A correlation that is followed, with the states of its keys, the one that was touched last at the end."""

    correlation: Correlation
    span: int
    new: Callable[[], KeyState]
    is_silent: bool
    is_counted: bool
    leaves: Mapping[str, Sequence[_Leaf]]
    """By the names of their rules."""
    numbers: Mapping[str, int]
    """Of the members, by their names."""
    inner: Sequence[str]
    """Names of the members that are correlations."""
    fields: Sequence[_Fields]
    """Of each member."""
    places: Sequence[tuple[int, ...]]
    """Of each member that is a correlation, which parts of its key are the key of this one."""
    states: dict[Key, tuple[int, KeyState]] = field(default_factory=dict)
    held: int = 0


def needed_fields(correlations: Iterable[Correlation]) -> dict[str, tuple[str, ...]]:
    """Return for each rule that correlations count the flattened names of the fields that they need of its events."""
    fields: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for correlation in correlations:
        for member in correlation.members:
            if not member.is_correlation:
                fields[member.name].update(dict.fromkeys(map(flat_name, (*member.key, *member.values))))
    return {name: tuple(names) for name, names in fields.items()}


def look_back(correlations: Sequence[Correlation]) -> timedelta:
    """Return how far before a time events have to be known, to know what is complete from then on."""
    reach: dict[str, timedelta] = {}
    for correlation in correlations:
        inner = (reach[member.name] for member in correlation.members if member.is_correlation)
        reach[correlation.name] = correlation.timespan + max(inner, default=timedelta(0))
    return max(reach.values(), default=timedelta(0))


def reading_begin(correlations: Sequence[Correlation], since: datetime | None) -> datetime | None:
    """Return from when on events have to be read for all to be known that is complete from a time on; None for all."""
    try:
        return None if since is None else since - look_back(correlations)
    except OverflowError:
        return None


class Correlator:
    """Follows events once, in order of time."""

    def __init__(
        self, correlations: Sequence[Correlation], silent: Iterable[str] = (), *, most_held: int = MOST_HELD
    ) -> None:
        """Begin with nothing known.

        Args:
            correlations: each after those that it counts.
            silent: names of the rules, correlations among them, that do not alert by themselves.
            most_held: how many events may be held at one time.
        """
        self._silent = frozenset(silent)
        self._most_held = most_held
        counted = {member.name for each in correlations for member in each.members if member.is_correlation}
        known: dict[str, Correlation] = {}
        self._followed: list[_Followed] = []
        for each in correlations:
            known[each.name] = each
            self._followed.append(
                _Followed(
                    each,
                    whole_millis(each.timespan),
                    new_state(each),
                    each.name in self._silent,
                    each.name in counted,
                    _by_name(_leaves(each, known)),
                    {member.name: number for number, member in enumerate(each.members)},
                    tuple(member.name for member in each.members if member.is_correlation),
                    tuple(map(_fields, each.members)),
                    tuple(_places(m, known[m.name]) if m.is_correlation else () for m in each.members),
                )
            )
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, followed in enumerate(self._followed):
            for name in followed.leaves:
                self._places[name].append(place)
        self._undated = 0
        self._missing: Counter[tuple[str, str]] = Counter()

    def follow(self, hits: Iterable[Hit]) -> Iterator[Hit | Contribution | Completion]:
        """Yield the events that rules alert on by themselves, what counts for correlations, and what is complete.

        Args:
            hits: each event once, in order of time, those without one last.

        Raises:
            TooManyAlertsError: more events would have to be held than are allowed.
        """
        waiting: list[Hit] = []
        for hit in hits:
            if waiting and hit.time != waiting[0].time:
                yield from self._moment(waiting)
                waiting = []
            counted = any(name in self._places for name, _ in hit.matches)
            if counted and hit.time is None:
                self._undated += 1
            elif counted:
                waiting.append(hit)
            if self._silent.isdisjoint(name for name, _ in hit.matches):
                yield hit
            elif matches := tuple(match for match in hit.matches if match[0] not in self._silent):
                yield hit._replace(matches=matches)
        if waiting:
            yield from self._moment(waiting)

    def notes(self) -> list[str]:
        """Say which events took no part."""
        notes = [
            f"{plural(count, 'event')} without {missing} took no part in the correlation {title!r}"
            for (title, missing), count in self._missing.items()
        ]
        if self._undated:
            notes.append(f"{plural(self._undated, 'event')} without a time took no part in correlations")
        return notes

    def _moment(self, hits: list[Hit]) -> Iterator[Contribution | Completion]:
        """Take all events of one time."""
        time = hits[0].time
        assert time is not None
        events = _by_rule(hits)
        complete: dict[str, dict[Key, Evidence]] = {}
        completions: list[Completion] = []
        for followed in self._concerned(events):
            if not followed.is_silent:
                yield from _contributions(followed, time, events)
            now = complete[followed.correlation.name] = {}
            _drop(followed, time)
            for key, arrived in self._arrivals(followed, events, complete).items():
                evidence = _add(followed, key, time, arrived)
                if evidence is not None and followed.is_counted:
                    now[key] = evidence()
                if evidence is not None and not followed.is_silent:
                    completions.append(Completion(time, followed.correlation.name, key, evidence))
        if sum(followed.held for followed in self._followed) > self._most_held:
            raise self._too_many()
        yield from completions

    def _concerned(self, events: Iterable[str]) -> list[_Followed]:
        """Return the correlations that rules can make complete, in their order."""
        places = {place for name in events for place in self._places.get(name, ())}
        return [self._followed[place] for place in sorted(places)]

    def _arrivals(
        self, followed: _Followed, events: _Events, complete: Mapping[str, Mapping[Key, Evidence]]
    ) -> dict[Key, list[Arrival]]:
        arrivals: defaultdict[Key, list[Arrival]] = defaultdict(list)
        lacking: set[tuple[str, str]] = set()
        for name in followed.inner:
            number = followed.numbers[name]
            for key, evidence in complete.get(name, {}).items():
                arrivals[tuple(key[place] for place in followed.places[number])].append(Arrival(number, evidence))
        for number in sorted(followed.numbers[name] for name in events if name in followed.numbers):
            member, fields = followed.correlation.members[number], followed.fields[number]
            for hit, values in events[member.name]:
                if not all(name in values for name in fields.key):
                    missing = next(written for written in member.key if flat_name(written) not in values)
                    lacking.add((hit.identity, missing))
                    continue
                counted = _combinations(fields.values, values) if fields.values else ()
                if counted or not fields.values:
                    arrival = Arrival(number, (CountedEvent(hit, (member.name,)),), counted)
                    for key in _combinations(fields.key, values):
                        arrivals[key].append(arrival)
        if lacking:
            self._missing.update((followed.correlation.title, missing) for _, missing in lacking)
        return arrivals

    def _too_many(self) -> TooManyAlertsError:
        most = max(self._followed, key=lambda each: each.held)
        return TooManyAlertsError(
            f"more than {self._most_held:,} events would have to be remembered for correlations, {most.held:,} of them "
            f"for {most.correlation.title!r}; filter its rules, shorten its timespan, or leave it out (--exclude)"
        )


def _by_rule(hits: list[Hit]) -> _Events:
    """Return the events of one time by the rules that they match, in an order that is the same in every run."""
    events: defaultdict[str, list[tuple[Hit, _Values]]] = defaultdict(list)
    for hit in sorted(hits, key=attrgetter("identity")):
        held, values = _held(hit), dict(hit.values)
        for name, _ in hit.matches:
            events[name].append((held, values))
    return events


def _contributions(followed: _Followed, time: int, events: _Events) -> Iterator[Contribution]:
    rules: defaultdict[tuple[Key, str], dict[str, Hit]] = defaultdict(dict)
    for name in events:
        for leaf, (hit, values) in product(followed.leaves.get(name, ()), events[name]):
            if all(name in values for name in leaf.values):
                for key in _combinations(leaf.key, values):
                    rules[tuple(key[place] for place in leaf.places), hit.identity][leaf.name] = hit
    for (key, _), hits in rules.items():
        yield Contribution(time, followed.correlation.name, key, CountedEvent(next(iter(hits.values())), tuple(hits)))


def _add(followed: _Followed, key: Key, time: int, arrived: Sequence[Arrival]) -> Callable[[], Evidence] | None:
    """Add what arrives for a key at one time; return what says why the correlation is complete then, if it is."""
    _, state = followed.states.pop(key, (0, None))
    if state is None:
        state = followed.new()
    followed.held -= state.size()
    is_complete = state.add(time, arrived)
    if size := state.size():
        # At the end, where the last one to be forgotten is.
        followed.states[key] = (time, state)
        followed.held += size
    if not is_complete:
        return None
    return lambda: each_once([*state.evidence(time), *(part for each in arrived for part in each.evidence)])


def _drop(followed: _Followed, time: int) -> None:
    """Forget the keys whose last event is too long ago for any window."""
    while followed.states:
        key, (last, state) = next(iter(followed.states.items()))
        if last >= time - followed.span:
            return
        followed.held -= state.size()
        del followed.states[key]


def _by_name(leaves: Iterable[_Leaf]) -> Mapping[str, Sequence[_Leaf]]:
    named: defaultdict[str, list[_Leaf]] = defaultdict(list)
    for leaf in leaves:
        named[leaf.name].append(leaf)
    # Whoever asks for others must not add them.
    return dict(named)


def _leaves(correlation: Correlation, known: Mapping[str, Correlation]) -> Iterator[_Leaf]:
    for member in correlation.members:
        if not member.is_correlation:
            yield _Leaf(member.name, *_fields(member), tuple(range(len(member.key))))
            continue
        inner = known[member.name]
        for leaf in _leaves(inner, known):
            yield leaf._replace(places=tuple(leaf.places[place] for place in _places(member, inner)))


def _fields(member: Member) -> _Fields:
    return _Fields(tuple(map(flat_name, member.key)), tuple(map(flat_name, member.values)))


def _places(member: Member, inner: Correlation) -> tuple[int, ...]:
    return tuple(inner.group_by.index(name) for name in member.key)


def _combinations(fields: Sequence[str], values: _Values) -> tuple[Key, ...]:
    """Return each combination of the values of fields; none where the event lacks one of them."""
    return tuple(product(*(values.get(name, ()) for name in fields)))


def _held(hit: Hit) -> Hit:
    """Return a hit without what correlations need no more, whose texts are kept once however many hits have them."""
    return hit._replace(
        matches=(),
        values=(),
        event_source=intern(hit.event_source),
        event_name=intern(hit.event_name),
        error_code=intern(hit.error_code),
        actor=intern(hit.actor),
        source_address=intern(hit.source_address),
        account=intern(hit.account),
        region=intern(hit.region),
        origin=intern(hit.origin),
    )
