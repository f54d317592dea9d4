"""The sources and events that a way to meet a rule asks for."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from sigma_stellar_aws.reference.aws_events import (
    canonical_event_name,
    known,
    names,
    sources,
    sources_of,
    spellings,
)
from sigma_stellar_aws.reference.aws_parameters import EventKind, has_parameters
from sigma_stellar_aws.validators.condition_tree import FieldComparison, Way
from sigma_stellar_aws.validators.sigma_values import is_missing, matcher, text


class AskedEvents(NamedTuple):
    """The events that a way can be met by."""

    kinds: frozenset[EventKind]
    """Each with its source and name."""
    named: bool
    """Whether the rule names each of them; others are all of a source, or all that a pattern matches."""
    said: str
    """What they are, for people: "AttachUserPolicy", or "iam.amazonaws.com"."""

    def described(self, side: str) -> frozenset[EventKind]:
        """Return the events whose requests or responses are known; none if the rule names one of which they are not."""
        found = _described(self.kinds, side)
        return frozenset() if self.named and len(found) < len(self.kinds) else found


@lru_cache(maxsize=64)
def _described(kinds: frozenset[EventKind], side: str) -> frozenset[EventKind]:
    return frozenset(kind for kind in kinds if has_parameters(kind, side))


def events_key(way: Way) -> tuple[int, ...]:
    """Return the same for ways of one rule that ask for the same events."""
    return tuple(id(one.values) for one in way if one.field in ("eventSource", "eventName"))


def asked_events(way: Way) -> AskedEvents | None:
    """Return the events that a way asks for; None if it asks for any, or for one that is not known."""
    beside = sources_asked(way)
    asked = [one for one in way if one.field == "eventName" and not one.negated]
    if beside is not None and not beside <= sources():
        return None
    if not asked:
        if beside is None:
            return None
        return AskedEvents(frozenset((one, name) for one in beside for name in names(one)), False, _or(sorted(beside)))
    each = [_events_of(comparison, beside) for comparison in asked]
    if None in each:
        return None
    kinds = frozenset.intersection(*(one for one in each if one is not None))
    named = all(text(value.value) is not None for comparison in asked for value in comparison.values)
    return AskedEvents(kinds, named, _or(sorted({name for _, name in kinds}))) if kinds else None


def _events_of(comparison: FieldComparison, beside: frozenset[str] | None) -> frozenset[EventKind] | None:
    found: set[EventKind] = set()
    for value in comparison.values:
        exact = text(value.value)
        if exact is not None:
            one = _events_named(exact, beside)
        else:
            matches = None if is_missing(value.value) else matcher(value.value)
            if matches is None:
                return None
            where = sources() if beside is None else beside
            one = {(source, name) for source in where for name in spellings(source) if matches(name)}
        if not one:
            return None
        found |= one
    return frozenset(found)


def _events_named(exact: str, beside: frozenset[str] | None) -> set[EventKind]:
    if beside is None:
        spelt = canonical_event_name(exact)
        return set(product(sources_of(spelt), [spelt])) if spelt else set()
    spelt_by_source = {source: canonical_event_name(exact, source) for source in beside}
    return {(source, name) for source, name in spelt_by_source.items() if name and known(source, name)}


def sources_asked(way: Way) -> frozenset[str] | None:
    """Return the sources that an event has to be of, in small letters; None where that is not known."""
    found: frozenset[str] | None = None
    excluded: set[str] = set()
    for comparison in way:
        if comparison.field != "eventSource":
            continue
        if comparison.negated:
            excluded |= {(text(value.value) or "").lower() for value in comparison.values}
        elif (one := _sources_of_comparison(comparison)) is not None:
            found = one if found is None else found & one
    found = found and found - excluded
    return found or None


def known_sources(way: Way) -> frozenset[str] | None:
    """Return the sources that an event has to be of, or None if some of them are unknown."""
    found = sources_asked(way)
    return found if found is not None and found <= sources() else None


def _sources_of_comparison(comparison: FieldComparison) -> frozenset[str] | None:
    found: set[str] = set()
    for value in comparison.values:
        exact = text(value.value)
        if exact is not None:
            found.add(exact.lower())
            continue
        matches = None if is_missing(value.value) else matcher(value.value)
        matched = [] if matches is None else list(filter(matches, sources()))
        if not matched:
            return None
        found.update(matched)
    return frozenset(found)


def _or(words: Iterable[str]) -> str:
    *most, last = words
    if len(most) >= 3:
        return f"these {len(most) + 1} events"
    return f"{', '.join(most)} or {last}" if most else last
