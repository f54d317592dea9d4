"""What correlations count; apart from the rules that say so, so that alerts need not load pySigma."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

EVENT_COUNT, VALUE_COUNT, TEMPORAL, TEMPORAL_ORDERED = "event_count", "value_count", "temporal", "temporal_ordered"
TEMPORAL_KINDS = (TEMPORAL, TEMPORAL_ORDERED)


class Member(NamedTuple):
    """A rule that a correlation counts."""

    name: str
    """As hits name it, see ``rule_name``."""
    title: str
    is_correlation: bool
    key: tuple[str, ...]
    """For each field that is grouped by, the dotted name in this rule's events; of a correlation, what it groups by."""
    values: tuple[str, ...] = ()
    """Dotted names of the fields whose values are counted."""


@dataclass(frozen=True)
class Correlation:
    """A correlation rule that can be evaluated exactly."""

    name: str
    title: str
    kind: str
    members: tuple[Member, ...]
    """In the order of the rule."""
    group_by: tuple[str, ...]
    """As they are written: fields or aliases."""
    timespan: timedelta
    count: int
    """How many events, values or rules are needed."""
    alternatives: tuple[tuple[int, ...], ...] = ()
    """Members, by their numbers and in their order, of which one set has to be complete; empty where any ``count`` are
    enough."""
