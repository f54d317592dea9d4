"""How much of what a correlation counts is needed for it to be complete."""

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

from sigma.correlations import CorrelationConditionAND, SigmaRuleReference

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.rule_files.stated_correlation import (
    EVENT_COUNT,
    TEMPORAL_ORDERED,
    VALUE_COUNT,
    ConditionTree,
    CorrelationFaultError,
    StatedCorrelation,
)

_MOST_ALTERNATIVES = 100


def needed_members(stated: StatedCorrelation) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """Return how many events, values or rules are needed, and the sets of rules of which one has to be complete."""
    at = ("correlation", "condition")
    number = len(stated.references)
    count = number
    if stated.threshold is not None:
        count = stated.threshold.number + (stated.threshold.operator == "gt")
    if stated.kind in (EVENT_COUNT, VALUE_COUNT):
        return count, ()
    if count > number:
        raise CorrelationFaultError(at, f"{count} of {number} rules can never match")
    sets: Iterable[frozenset[int]] = ()
    if stated.condition is not None:
        sets = _sets(stated.condition, {name: each for each, name in enumerate(stated.references)}, at)
    elif stated.kind == TEMPORAL_ORDERED:
        sets = _few(map(frozenset, combinations(range(number), count)), at)
    return count, tuple(sorted(tuple(sorted(each)) for each in sets))


def _sets(condition: ConditionTree, numbers: Mapping[str, int], at: YamlPath) -> set[frozenset[int]]:
    """Return the smallest sets of rules that are enough for a condition without not."""
    if isinstance(condition, SigmaRuleReference):
        return {frozenset([numbers[condition.reference]])}
    parts = [_sets(part, numbers, at) for part in condition.args]
    sets = parts[0]
    join: Callable[[set[frozenset[int]], set[frozenset[int]]], Iterable[frozenset[int]]] = (
        (lambda a, b: (x | y for x in a for y in b)) if isinstance(condition, CorrelationConditionAND) else set.union
    )
    for part in parts[1:]:
        found = _few(join(sets, part), at)
        sets = {each for each in found if not any(other < each for other in found)}
    return sets


def _few(sets: Iterable[frozenset[int]], at: YamlPath) -> set[frozenset[int]]:
    found: set[frozenset[int]] = set()
    for each in sets:
        found.add(each)
        if len(found) > _MOST_ALTERNATIVES:
            raise CorrelationFaultError(at, f"more than {_MOST_ALTERNATIVES} sets of rules would be enough; split it")
    return found
