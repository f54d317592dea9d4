"""Follow the events of rules in order of time, and say when correlations of them are complete.

A correlation is complete at a time when an event of its key has that time and, with what came up to its timespan
before, closed at both ends, there are enough events, values or rules. The window slides, and heeds no clock. Events of
one time count in any order. An event has a key for each combination of the values that are grouped by; one without such
a field takes no part, nor does one without a time. What is complete is an event for outer correlations.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from itertools import product
from operator import attrgetter
from sys import intern
from typing import NamedTuple, TypeAlias

from sigma_stellar_aws.alerts.correlation_state import Arrival, CountedEvent, Evidence, KeyState, each_once
from sigma_stellar_aws.alerts.followed import Followed, all_followed
from sigma_stellar_aws.alerts.hits import Hit, Key
from sigma_stellar_aws.base.errors import TooManyAlertsError
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.counted import Correlation

MOST_HELD = 400_000
"""How many events may be held for correlations at one time, up to 1 KB of memory each."""

_DROPS_A_SPAN = 8
"""How often in a timespan keys are forgotten."""

_Values: TypeAlias = Mapping[str, tuple[str, ...]]
_Events: TypeAlias = Mapping[str, Sequence[tuple[Hit, _Values]]]
"""Events of one time by the rules that they match, each with the values that it has."""


class Contribution(NamedTuple):
    """What happens at one time that counts for a correlation, with one of its keys."""

    time: int
    name: str
    key: Key
    events: Callable[[], Evidence]
    """Returns the events of rules."""


class Completion(NamedTuple):
    """A time at which a correlation is complete for a key."""

    time: int
    name: str
    key: Key
    evidence: Callable[[], Evidence]
    """Returns the events that make it so, as long as nothing later has been asked for."""


class _Passing(NamedTuple):
    """What becomes of the events that match the same rules."""

    is_counted: bool
    places: tuple[int, ...] | None
    """Which of the rules alert by themselves; None if all do."""


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
        self,
        correlations: Sequence[Correlation],
        silent: Iterable[str] = (),
        *,
        most_held: int = MOST_HELD,
        told: Callable[[Hit], Hit] | None = None,
        is_open: Callable[[tuple[str, Key]], bool] | None = None,
    ) -> None:
        """Begin with nothing known.

        Args:
            correlations: each after those that it counts.
            silent: names of the rules, correlations among them, that do not alert by themselves.
            most_held: how many events may be held at one time.
            told: adds to brief hits what alerts say of their events.
            is_open: tells whether a correlation, by its name, has an open alert for a key, so that what counts for it
                is of any use; by default, all is.
        """
        self._silent = frozenset(silent)
        self._most_held = most_held
        self._held = 0
        self._told = told
        self._is_open = is_open
        self._followed = all_followed(correlations, self._silent)
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, followed in enumerate(self._followed):
            for name in followed.leaves:
                self._places[name].append(place)
        # Most events match the same few rules.
        self._passing = lru_cache(10_000)(self._find_passing)
        self._concerned = lru_cache(10_000)(self._find_concerned)
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
        now: int | None = None
        for hit in hits:
            if waiting and hit.time != now:
                yield from self._moment(waiting)
                waiting = []
            names = tuple([name for name, _ in hit.matches])
            passing = self._passing(names)
            if passing.is_counted and hit.time is None:
                self._undated += 1
            elif passing.is_counted:
                now = hit.time
                waiting.append(hit)
            if passing.places is None:
                yield hit
            elif passing.places:
                yield hit._replace(matches=tuple([hit.matches[place] for place in passing.places]))
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

    def _find_passing(self, names: tuple[str, ...]) -> _Passing:
        alerting = tuple(place for place, name in enumerate(names) if name not in self._silent)
        return _Passing(any(name in self._places for name in names), alerting if len(alerting) < len(names) else None)

    def _moment(self, hits: list[Hit]) -> list[Contribution | Completion]:
        """Take all events of one time; return what counts for correlations, and then what is complete."""
        time = hits[0].time
        assert time is not None
        events = _by_rule(hits)
        complete: dict[str, dict[Key, Evidence]] = {}
        contributions: list[Contribution | Completion] = []
        completions: list[Completion] = []
        for followed, numbers in self._concerned(tuple(events)):
            if time > followed.next_drop:
                self._drop(followed, time)
            name = followed.correlation.name
            now: dict[Key, Evidence] = {}
            if followed.is_counted:
                complete[name] = now
            arrivals = self._arrivals(followed, numbers, events, complete)
            if not followed.is_silent:
                # Of an inner correlation all events count, and not only those that make it complete.
                contributed = _of_leaves(followed, events) if followed.inner else arrivals
                for key, arrived in contributed.items():
                    if self._is_open is None or self._is_open((name, key)):
                        contributions.append(Contribution(time, name, key, partial(self._events, arrived)))
            for key, arrived in arrivals.items():
                state = self._add(followed, key, time, arrived)
                if state is None:
                    continue
                if followed.is_counted:
                    now[key] = _evidence(state, time, arrived)
                if not followed.is_silent:
                    completions.append(Completion(time, name, key, partial(self._complete, state, time, arrived)))
        if self._held > self._most_held:
            for followed in self._followed:
                self._drop(followed, time)
            if self._held > self._most_held:
                raise self._too_many()
        contributions += completions
        return contributions

    def _find_concerned(self, rules: tuple[str, ...]) -> list[tuple[Followed, list[int]]]:
        """Return the correlations that rules can make complete, in their order, with the numbers of those rules."""
        places = {place for name in rules for place in self._places.get(name, ())}
        found = [self._followed[place] for place in sorted(places)]
        return [(each, sorted(each.numbers[name] for name in rules if name in each.numbers)) for each in found]

    def _arrivals(
        self,
        followed: Followed,
        numbers: Sequence[int],
        events: _Events,
        complete: Mapping[str, Mapping[Key, Evidence]],
    ) -> dict[Key, list[Arrival]]:
        arrivals: dict[Key, list[Arrival]] = {}
        lacking: set[tuple[str, str]] = set()
        for name in followed.inner:
            number = followed.numbers[name]
            places = followed.places[number]
            for key, evidence in complete.get(name, {}).items():
                arrivals.setdefault(tuple([key[place] for place in places]), []).append(Arrival(number, evidence))
        for number in numbers:
            member, fields = followed.correlation.members[number], followed.fields[number]
            names = (member.name,)
            for hit, values in events[member.name]:
                keys = _combinations(fields.key, values)
                if not keys:
                    missing = next(written for written in member.key if flat_name(written) not in values)
                    lacking.add((hit.identity, missing))
                    continue
                counted = _combinations(fields.values, values) if fields.values else ()
                if counted or not fields.values:
                    arrival = Arrival(number, (CountedEvent(hit, names),), counted)
                    for key in keys:
                        arrivals.setdefault(key, []).append(arrival)
        if lacking:
            self._missing.update((followed.correlation.title, missing) for _, missing in lacking)
        return arrivals

    def _add(self, followed: Followed, key: Key, time: int, arrived: Sequence[Arrival]) -> KeyState | None:
        """Add what arrives for a key at one time; return the state if the correlation is complete then."""
        # At the end, where the last one to be forgotten is.
        held = followed.states.pop(key, None)
        if held is None and followed.starts.isdisjoint([arrival.member for arrival in arrived]):
            return None
        _, before, state = held if held is not None else (0, 0, followed.new())
        is_complete = state.add(time, arrived)
        if size := state.size():
            followed.states[key] = (time, size, state)
        followed.held += size - before
        self._held += size - before
        return state if is_complete else None

    def _drop(self, followed: Followed, time: int) -> None:
        """Forget the keys whose last event is too long ago for any window.

        Not at each event: those keys cannot become complete by what is known of them, they only take memory.
        """
        followed.next_drop = time + followed.span // _DROPS_A_SPAN
        over: list[Key] = []
        for key, (last, size, _) in followed.states.items():
            if last >= time - followed.span:
                break
            over.append(key)
            followed.held -= size
            self._held -= size
        for key in over:
            del followed.states[key]

    def _events(self, arrived: Sequence[Arrival]) -> Evidence:
        return self._all_told(each_once(part for each in arrived for part in each.evidence))

    def _complete(self, state: KeyState, time: int, arrived: Sequence[Arrival]) -> Evidence:
        return self._all_told(_evidence(state, time, arrived))

    def _all_told(self, evidence: Evidence) -> Evidence:
        told = self._told
        if told is None:
            return evidence
        return tuple(part._replace(hit=told(part.hit)) if part.hit.is_brief else part for part in evidence)

    def _too_many(self) -> TooManyAlertsError:
        most = max(self._followed, key=lambda each: each.held)
        return TooManyAlertsError(
            f"more than {self._most_held:,} events would have to be remembered for correlations, {most.held:,} of them "
            f"for {most.correlation.title!r}; filter its rules, shorten its timespan, or leave it out (--exclude)"
        )


def _by_rule(hits: list[Hit]) -> _Events:
    """Return the events of one time by the rules that they match, in an order that is the same in every run."""
    events: dict[str, list[tuple[Hit, _Values]]] = {}
    if len(hits) > 1:
        hits = sorted(hits, key=attrgetter("identity"))
    for hit in hits:
        event = hit if hit.is_brief else _held(hit), dict(hit.values)
        for name, _ in hit.matches:
            events.setdefault(name, []).append(event)
    return events


def _of_leaves(followed: Followed, events: _Events) -> dict[Key, list[Arrival]]:
    """Return the events of rules that count, be it for a correlation that is counted."""
    arrivals: dict[Key, list[Arrival]] = {}
    for name in events:
        for leaf, (hit, values) in product(followed.leaves.get(name, ()), events[name]):
            if all(name in values for name in leaf.values):
                arrival = Arrival(0, (CountedEvent(hit, (name,)),))
                for key in _combinations(leaf.key, values):
                    arrivals.setdefault(tuple([key[place] for place in leaf.places]), []).append(arrival)
    return arrivals


def _evidence(state: KeyState, time: int, arrived: Sequence[Arrival]) -> Evidence:
    return each_once([*state.evidence(time), *(part for each in arrived for part in each.evidence)])


def _combinations(fields: Sequence[str], values: _Values) -> tuple[Key, ...]:
    """Return each combination of the values of fields; none where the event lacks one of them."""
    if len(fields) == 1:
        found = values.get(fields[0], ())
        # What is most frequent, and takes least.
        return (found,) if len(found) == 1 else tuple([(value,) for value in found])
    return tuple(product(*[values.get(name, ()) for name in fields]))


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
