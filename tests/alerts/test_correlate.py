"""Correlations over a stream of events: when they are complete, and with which events."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from sigma.collection import SigmaCollection

from sigma_stellar_aws.alerts.correlate import Completion, Contribution, Correlator, look_back, needed_fields
from sigma_stellar_aws.alerts.hits import Hit, to_hit
from sigma_stellar_aws.base.errors import TooManyAlertsError
from sigma_stellar_aws.rule_files.correlations import Correlation, resolve_correlations
from tests.support import correlation_oracle as oracle
from tests.support.correlation_oracle import Event
from tests.support.random_correlations import BASES, random_blocks, random_events
from tests.support.settings import RANDOM_CASES, RANDOM_SEED

SECOND = 1000
Found = set[tuple[str, tuple[str | None, ...], int]]


def correlations(**blocks: dict[str, Any]) -> list[Correlation]:
    """Correlations of rules called a, b, c, d and of each other, by the blocks of their rules."""
    detection = {"selection": {"eventName": "A"}, "condition": "selection"}
    source = {"product": "aws", "service": "cloudtrail"}
    documents: list[Any] = [{"title": n, "name": n, "logsource": source, "detection": detection} for n in BASES]
    documents += [{"title": name, "name": name, "correlation": dict(block)} for name, block in blocks.items()]
    found = resolve_correlations(SigmaCollection.from_dicts(documents, resolve_references=False).rules)
    assert not found.errors, found.errors
    return found.correlations


def hits(events: Iterable[Event], found: Sequence[Correlation]) -> list[Hit]:
    """Hits of events, in order of time."""
    made = [
        to_hit(
            {name: value for name, value in event.fields.items() if value is not None},
            sorted(event.rules),
            dict.fromkeys(BASES, ()),
            correlated=needed_fields(found),
            time=event.time,
            identity=event.name,
            origin="p",
        )
        for event in events
    ]
    return sorted(made, key=lambda hit: hit.time or 0)


def complete(blocks: dict[str, dict[str, Any]], events: Sequence[Event]) -> Found:
    """When correlations are complete; each evidence is looked at by the oracle."""
    known = correlations(**blocks)
    by_name = {event.name: event for event in events}
    found: Found = set()
    for item in Correlator(known).follow(hits(events, known)):
        if isinstance(item, Completion):
            found.add((item.name, item.key, item.time))
            enough = [by_name[part.hit.identity] for part in item.evidence()]
            assert enough == sorted(enough, key=lambda event: (event.time, event.name))
            alone = oracle.completions(blocks[item.name], blocks, enough)
            assert (item.key, item.time) in alone, f"the evidence of {item} is not enough"
    return found


def by_oracle(blocks: dict[str, dict[str, Any]], events: Sequence[Event]) -> Found:
    """When correlations are complete, by brute force."""
    return {(name, *each) for name in blocks for each in oracle.completions(blocks[name], blocks, events)}


def event(seconds: float, rules: str, name: str = "", **fields: Any) -> Event:
    """An event at a time that matches rules, which are letters."""
    return Event(round(seconds * SECOND), name or f"{seconds} {rules} {fields}", frozenset(rules), fields)


def times(block: dict[str, Any], *events: Event, **inner: dict[str, Any]) -> list[float]:
    """The times in seconds at which a correlation is complete, which the oracle must agree on."""
    blocks = {**inner, "x": {"timespan": "10s", **block}}
    found = complete(blocks, events)
    assert found == by_oracle(blocks, events)
    return sorted(time / SECOND for name, _, time in found if name == "x")


def test_random_streams_agree_with_brute_force() -> None:
    """Random correlations of random events are complete when brute force says so, and have the evidence for it."""
    for case in range(RANDOM_CASES * 2):
        draw = random.Random(f"{RANDOM_SEED} {case}")
        blocks = random_blocks(draw)
        events = random_events(draw, draw.randint(1, 14))
        assert complete(blocks, events) == by_oracle(blocks, events), f"seed {RANDOM_SEED}, case {case}: {blocks}"


A10 = {"type": "event_count", "rules": ["a"], "group-by": ["u"], "condition": {"gte": 2}}
ORDER = {"type": "temporal_ordered", "rules": ["a", "b"]}
VALUES = {"type": "value_count", "rules": ["a"], "condition": {"gte": 2, "field": "w"}}


def test_the_window_is_closed_and_slides() -> None:
    """Two events as far apart as the timespan are together, a millisecond more is too far; no clock divides them."""
    assert times(A10, event(0, "a", u="1"), event(10, "a", u="1")) == [10]
    assert times(A10, event(0, "a", u="1"), event(10.001, "a", u="1")) == []
    assert times(A10, event(59, "a", u="1"), event(61, "a", u="1"), event(70, "a", u="1")) == [61, 70]


@pytest.mark.parametrize(("needed", "expected"), [({"gte": 1}, [0, 1, 2]), ({"gte": 3}, [2]), ({"gt": 3}, [])])
def test_numbers_of_events(needed: dict[str, int], expected: list[int]) -> None:
    """Each time with enough events up to it is one of completion, and one event too few is none."""
    block = {**A10, "condition": needed}
    assert times(block, *(event(second, "a", u="1") for second in range(3))) == expected


def test_events_of_one_time_count_in_any_order() -> None:
    """CloudTrail tells whole seconds: what came in one second may have come in any order."""
    assert times(ORDER, event(5, "b", "1"), event(5, "a", "2")) == [5]
    assert times(ORDER, event(5, "a", "1"), event(5, "b", "2")) == [5]
    assert times(ORDER, event(5, "b", "1"), event(6, "a", "2")) == []


def test_an_event_counts_for_each_rule_that_it_matches() -> None:
    """One event of two rules is both at once, but one event."""
    assert times(ORDER, event(5, "ab")) == [5]
    assert times({**ORDER, "type": "temporal"}, event(5, "ab")) == [5]
    count = {"type": "event_count", "rules": ["a", "b"], "condition": {"gte": 2}}
    assert times(count, event(5, "ab")) == []
    assert times(count, event(5, "ab"), event(6, "b")) == [6]


def test_one_event_serves_two_correlations() -> None:
    """What one correlation counts, another counts as well."""
    blocks: dict[str, dict[str, Any]] = {"x": {**A10, "timespan": "5s"}, "y": {**ORDER, "timespan": "5s"}}
    events = [event(0, "a", u="1"), event(1, "a", u="1"), event(2, "b")]
    assert complete(blocks, events) == {("x", ("1",), 1000), ("y", (), 2000)} == by_oracle(blocks, events)


@pytest.mark.parametrize(
    ("first", "second", "is_one_key"),
    [
        ("1", "1", True),
        ("1", "2", False),
        ("A", "a", False),
        (5, "5", True),
        (True, "true", True),
        ("", "", True),
        (None, None, False),
        ([], "1", False),
        (["1", "2"], "2", True),
        (["1", "1"], "2", False),
        (["1", "2"], ["2", "3"], True),
    ],
)
def test_keys_are_exact_texts(first: Any, second: Any, is_one_key: bool) -> None:
    """Numbers are their texts, each value of a list is a key, nothing is no key and an empty text is one."""
    assert times(A10, event(0, "a", u=first), event(1, "a", u=second)) == ([1] if is_one_key else [])


def test_two_lists_make_a_key_of_each_pair() -> None:
    """Two fields with two values each make four keys."""
    block = {**A10, "group-by": ["u", "v"]}
    assert times(block, event(0, "a", u=["1", "2"], v=["3", "4"]), event(1, "a", u="2", v="3")) == [1]
    assert times(block, event(0, "a", u=["1", "2"], v=["3", "4"]), event(1, "a", u="2", v="5")) == []


def test_no_group_by_is_one_key() -> None:
    """Without group-by all events are together."""
    assert times({**A10, "group-by": []}, event(0, "a", u="1"), event(1, "a")) == [1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("x", "y"), [1]),
        (("x", "x"), []),
        (("x", "X"), [1]),
        ((5, "5"), []),
        ((["x", "y"],), [0]),
        (("x", None, "y"), [2]),
        (("", "x"), [1]),
    ],
)
def test_values_are_told_apart(values: Sequence[Any], expected: list[int]) -> None:
    """Different texts are counted, each of a list; an event without a value takes no part."""
    assert times(VALUES, *(event(second, "a", w=value) for second, value in enumerate(values))) == expected


def test_values_of_several_fields_count_together() -> None:
    """A list of fields counts their combinations."""
    block = {**VALUES, "condition": {"gte": 3, "field": ["u", "w"]}}
    assert times(block, event(0, "a", u="1", w=["1", "2"]), event(1, "a", u="2", w="1")) == [1]
    assert times(block, event(0, "a", u="1", w="1"), event(1, "a", u="2"), event(2, "a", u="2", w="1")) == []


def test_aliases_name_the_field_of_each_rule() -> None:
    """The key of one rule is in another field than that of another, also for values."""
    aliases = {"who": {"a": "u", "b": "v"}}
    block = {**ORDER, "group-by": ["who"], "aliases": aliases}
    assert times(block, event(0, "a", u="1"), event(1, "b", v="1")) == [1]
    assert times(block, event(0, "a", u="1"), event(1, "b", u="1")) == []
    counting = {"type": "value_count", "rules": ["a", "b"], "condition": {"gte": 2, "field": "who"}, "aliases": aliases}
    assert times(counting, event(0, "a", u="1", v="9"), event(1, "b", v="2", u="9")) == [1]


def test_nested_ones_at_the_same_time() -> None:
    """An inner correlation that is complete is an event of that time, with all that made it so."""
    inner = {"type": "event_count", "rules": ["a"], "group-by": ["u", "v"], "timespan": "5s", "condition": {"gte": 2}}
    block = {"type": "temporal_ordered", "rules": ["inner", "b"], "group-by": ["u"]}
    events = [event(0, "a", u="1", v="2"), event(5, "a", u="1", v="2"), event(5, "b", u="1")]
    assert times(block, *events, inner=inner) == [5]
    assert times(block, *events[:2], event(4, "b", u="1"), inner=inner) == []
    assert times(block, *events[:2], event(15, "b", u="1"), inner=inner) == [15]
    assert times(block, *events[:2], event(15.001, "b", u="1"), inner=inner) == []
    assert look_back(correlations(inner=inner, x={**block, "timespan": "10s"})).total_seconds() == 15


def test_who_takes_no_part_is_told() -> None:
    """Events without a field that is grouped by, or without a time, are counted and named."""
    known = correlations(x={**A10, "timespan": "10s"})
    correlator = Correlator(known)
    found = hits([event(0, "a"), event(1, "a"), event(2, "a", u="1"), event(3, "b")], known)
    assert not any(isinstance(each, Completion) for each in correlator.follow([*found, found[2]._replace(time=None)]))
    assert correlator.notes() == [
        "2 events without u took no part in the correlation 'x'",
        "1 event without a time took no part in correlations",
    ]


def test_silent_rules_do_not_alert_by_themselves() -> None:
    """What a correlation counts is passed on only if it alerts by itself; what is inner and silent is not told."""
    inner = {"type": "event_count", "rules": ["a"], "timespan": "5s", "condition": {"gte": 1}}
    known = correlations(inner=inner, x={"type": "temporal", "rules": ["inner"], "timespan": "5s"})
    items = list(Correlator(known, {"inner", "a"}).follow(hits([event(0, "ab"), event(1, "a")], known)))
    assert [item.matches for item in items if isinstance(item, Hit)] == [(("b", ()),)]
    assert {item.name for item in items if isinstance(item, Completion)} == {"x"}
    contributions = [item for item in items if isinstance(item, Contribution)]
    assert [(item.name, item.time, [part.rules for part in item.events()]) for item in contributions] == [
        ("x", 0, [("a",)]),
        ("x", 1000, [("a",)]),
    ]


def test_more_than_may_be_held_is_an_error_with_the_rule() -> None:
    """Nothing is forgotten to save memory: a run that would need too much ends, and says for which rule."""
    known = correlations(wide={**A10, "timespan": "10s"}, other={**ORDER, "timespan": "10s"})
    events = hits([event(second, "a", u=str(second)) for second in range(100)], known)
    assert [*Correlator(known, most_held=12).follow(events)] != []
    with pytest.raises(TooManyAlertsError, match=r"more than 11 events .*, 11 of them for 'wide'; filter its rules"):
        list(Correlator(known, most_held=11).follow(events))
