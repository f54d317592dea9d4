"""What stays the same while correlations are followed: which rules and fields count for each of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sigma_stellar_aws.alerts.correlation_state import KeyState, first_members, new_state
from sigma_stellar_aws.alerts.hits import Key
from sigma_stellar_aws.base.times import whole_millis
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.counted import Correlation, Member


class MemberFields(NamedTuple):
    """Flattened names of the fields that make the key, and of those whose values are counted."""

    key: tuple[str, ...]
    values: tuple[str, ...]


class Leaf(NamedTuple):
    """A rule whose events count for a correlation, be it for one that it counts."""

    name: str
    key: tuple[str, ...]
    """Flattened names of the fields that the innermost correlation groups by."""
    values: tuple[str, ...]
    places: tuple[int, ...]
    """Which parts of that key are the key of the outermost."""


@dataclass(slots=True)
class Followed:
    """A correlation that is followed, with the states of its keys, the one that was touched last at the end."""

    correlation: Correlation
    span: int
    new: Callable[[], KeyState]
    is_silent: bool
    is_counted: bool
    leaves: Mapping[str, Sequence[Leaf]]
    """By the names of their rules."""
    numbers: Mapping[str, int]
    """Of the members, by their names."""
    inner: Sequence[str]
    """Names of the members that are correlations."""
    fields: Sequence[MemberFields]
    """Of each member."""
    places: Sequence[tuple[int, ...]]
    """Of each member that is a correlation, which parts of its key are the key of this one."""
    starts: frozenset[int]
    """Numbers of the members without which nothing has to be remembered of a new key."""
    states: dict[Key, tuple[int, int, KeyState]] = field(default_factory=dict)
    """With the time of the last event, and how many are held."""
    held: int = 0
    next_drop: int = 0
    """The time after which keys are to be forgotten."""


def all_followed(correlations: Sequence[Correlation], silent: frozenset[str]) -> list[Followed]:
    """Return correlations, each after those that it counts, ready to be followed; silent ones do not alert."""
    counted = {member.name for each in correlations for member in each.members if member.is_correlation}
    known: dict[str, Correlation] = {}
    leaves: dict[str, list[Leaf]] = {}
    all_of_them: list[Followed] = []
    for each in correlations:
        known[each.name] = each
        # Several ways may lead to one: without this, there would be twice as many with each level.
        leaves[each.name] = list(dict.fromkeys(_leaves(each, known, leaves)))
        all_of_them.append(
            Followed(
                each,
                whole_millis(each.timespan),
                new_state(each),
                each.name in silent,
                each.name in counted,
                _by_name(leaves[each.name]),
                {member.name: number for number, member in enumerate(each.members)},
                tuple(member.name for member in each.members if member.is_correlation),
                tuple(map(_fields, each.members)),
                tuple(_places(m, known[m.name]) if m.is_correlation else () for m in each.members),
                first_members(each),
            )
        )
    return all_of_them


def _by_name(leaves: Iterable[Leaf]) -> Mapping[str, Sequence[Leaf]]:
    named: defaultdict[str, list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        named[leaf.name].append(leaf)
    # Whoever asks for others must not add them.
    return dict(named)


def _leaves(
    correlation: Correlation, known: Mapping[str, Correlation], leaves: Mapping[str, Sequence[Leaf]]
) -> Iterator[Leaf]:
    for member in correlation.members:
        if not member.is_correlation:
            yield Leaf(member.name, *_fields(member), tuple(range(len(member.key))))
            continue
        inner = known[member.name]
        for leaf in leaves[inner.name]:
            yield leaf._replace(places=tuple(leaf.places[place] for place in _places(member, inner)))


def _fields(member: Member) -> MemberFields:
    return MemberFields(tuple(map(flat_name, member.key)), tuple(map(flat_name, member.values)))


def _places(member: Member, inner: Correlation) -> tuple[int, ...]:
    return tuple(inner.group_by.index(name) for name in member.key)
