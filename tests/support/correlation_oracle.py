"""What correlation rules mean, by brute force: every time, every set of rules, every choice of events is tried.

Written from the semantics that README states, on documents as they are in YAML. It shares no code with the package.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Key = tuple[str, ...]


class Event(NamedTuple):
    """An event; its time is in milliseconds."""

    time: int
    name: str
    rules: frozenset[str]
    """Names of the rules that it matches."""
    fields: Mapping[str, Any]


class _Hit(NamedTuple):
    time: int
    name: str
    rule: int
    values: frozenset[Key]


def completions(
    rule: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], events: Sequence[Event]
) -> set[tuple[Key, int]]:
    """Return the keys and times at which a correlation is complete, by trying everything.

    Args:
        rule: the block ``correlation`` of the rule.
        others: such blocks of all correlations, by the names of their rules.
        events: in any order.
    """
    found = set()
    for key, hits in _by_key(rule, others, events).items():
        for time in {hit.time for hit in hits}:
            window = [hit for hit in hits if time - _span(rule) <= hit.time <= time]
            if _is_complete(rule, window, time):
                found.add((key, time))
    return found


def alert_starts(complete: set[tuple[Key, int]], window: int) -> set[tuple[Key, int]]:
    """Return which completions raise an alert: the first, and the first after the window (ms) of the one before."""
    starts: dict[Key, list[int]] = {}
    for key, time in sorted(complete, key=lambda each: each[1]):
        known = starts.setdefault(key, [])
        if not known or time >= known[-1] + window:
            known.append(time)
    return {(key, time) for key, times in starts.items() for time in times}


def _span(rule: Mapping[str, Any]) -> int:
    return int(rule["timespan"][:-1]) * _SECONDS[rule["timespan"][-1]] * 1000


def _names(rule: Mapping[str, Any]) -> list[str]:
    if "rules" in rule:
        return list(rule["rules"])
    words = rule["condition"].replace("(", " ").replace(")", " ").split()
    return list(dict.fromkeys(word for word in words if word not in ("and", "or")))


def _by_key(
    rule: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], events: Sequence[Event]
) -> dict[Key, list[_Hit]]:
    keys: dict[Key, list[_Hit]] = {}
    for number, name in enumerate(_names(rule)):

        def real(field: str, name: str = name) -> str:
            return str(rule.get("aliases", {}).get(field, {}).get(name, field))

        by = [real(field) for field in rule.get("group-by", [])]
        if name in others:
            inner_by = others[name].get("group-by", [])
            for inner_key, time in completions(others[name], others, events):
                key = tuple(inner_key[inner_by.index(field)] for field in by)
                keys.setdefault(key, []).append(_Hit(time, f"{name} {inner_key}", number, frozenset()))
            continue
        counted = rule.get("condition", {}).get("field", []) if rule["type"] == "value_count" else []
        counted = [real(field) for field in ([counted] if isinstance(counted, str) else counted)]
        for event in events:
            values = frozenset(product(*(_texts(event, field) for field in counted)))
            if name in event.rules and values:
                for key in set(product(*(_texts(event, field) for field in by))):
                    keys.setdefault(key, []).append(_Hit(event.time, event.name, number, values))
    return keys


def _texts(event: Event, field: str) -> list[str]:
    value = event.fields.get(field)
    listed = [each for each in (value if isinstance(value, list) else [value]) if each is not None]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in listed]


def _is_complete(rule: Mapping[str, Any], window: Sequence[_Hit], time: int) -> bool:
    kind, condition = rule["type"], rule.get("condition", {})
    number = len(_names(rule))
    needed = condition.get("gte", condition.get("gt", number - 1) + 1) if isinstance(condition, dict) else 0
    if kind == "event_count":
        return len({hit.name for hit in window}) >= needed
    if kind == "value_count":
        return len({value for hit in window for value in hit.values}) >= needed

    def enough(rules: Sequence[int]) -> bool:
        if isinstance(condition, str):
            return bool(eval(condition, {name: each in rules for each, name in enumerate(_names(rule))}))
        return len(rules) >= needed

    sets = [each for size in range(1, number + 1) for each in combinations(range(number), size) if enough(each)]
    if kind == "temporal":
        return any(set(rules) <= {hit.rule for hit in window} for rules in sets)
    smallest = [each for each in sets if not any(set(other) < set(each) for other in sets)]
    return any(_in_order(rules, window, time) for rules in smallest)


def _in_order(rules: Sequence[int], window: Sequence[_Hit], time: int) -> bool:
    def choices(left: Sequence[int], after: int) -> Iterator[int]:
        if not left:
            yield after
        for hit in window if left else ():
            if hit.rule == left[0] and hit.time >= after:
                yield from choices(left[1:], hit.time)

    return time in choices(rules, 0)
