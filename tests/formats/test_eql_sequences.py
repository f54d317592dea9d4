"""Sequences of EQL on streams of events: complete when the correlation is; an order where all times differ.

The sequences are followed as Elasticsearch's reference says (``tests.support.eql_model``), and correlations by brute
force (``tests.support.correlation_oracle``). SIGMA_STELLAR_AWS_SEED repeats a run.
"""

import json
import random
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import pytest
from sigma.collection import SigmaCollection

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning, LeftOutWarning
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.reference.flat_schema import Document, text_of
from tests.conftest import Report
from tests.rule_files.test_project_correlations import Case, cases, records, together
from tests.support.correlated import correlation, counted
from tests.support.correlation_oracle import Event, completions
from tests.support.eql_model import Clause, EqlSequence, followed, sequence_of
from tests.support.random_correlations import random_events
from tests.support.settings import RANDOM_SEED

BLOCKS, STREAMS_OF_EACH = 150, 20
Fields = Mapping[str, Sequence[str]]


def lines(rules: SigmaCollection) -> dict[str, dict[str, Any]]:
    """The import lines of sequences, by the titles of their rules."""
    backend = StellarAwsBackend(stellar_aws(), collect_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        warnings.simplefilter("ignore", LeftOutWarning)
        made = backend.convert(rules, "elastic_rule")
    return {line["name"]: line for line in made if line["type"] == "eql"}


def matches(clause: Clause, fields: Fields) -> bool:
    """Whether an event is found by a query."""
    return _compiled(json.dumps(clause))(cast(Document, fields))


@cache
def _compiled(clause: str) -> Callable[[Document], bool]:
    return compile_query(json.loads(clause))


def as_fields(document: Mapping[str, Any]) -> Fields:
    """The values of each field of a document, as an index has them."""
    return {
        name: [text_of(each) for each in (value if isinstance(value, list) else [value])]
        for name, value in document.items()
        if value is not None
    }


def random_block(draw: random.Random) -> dict[str, Any]:
    """A correlation that can be a sequence."""
    by = draw.sample(["requestParameters.u", "requestParameters.v"], draw.choice([0, 1, 1, 2]))
    span = f"{draw.randint(1, 6)}s"
    if draw.random() < 0.5:
        names = draw.sample(["a", "b", "c"], draw.randint(1, 2))
        number = draw.randint(1, 4)
        condition = {"gt": number} if number == 1 or draw.random() < 0.3 else {"gte": number}
        block = {"type": "event_count", "rules": names, "condition": condition}
    else:
        block = {"type": "temporal_ordered", "rules": draw.sample(["a", "b", "c", "d"], draw.randint(2, 4))}
        if by and draw.random() < 0.4:
            fields = [f"requestParameters.{draw.choice('uvw')}" for _ in block["rules"]]
            block["aliases"] = {"who": dict(zip(block["rules"], fields, strict=True))}
            by = ["who", *by[1:]]
    return {**block, "timespan": span, **({"group-by": by} if by else {})}


def random_stream(draw: random.Random, *, ties: bool) -> list[Event]:
    """Events, each of one rule; the ends of timespans occur among them. Of different times, if there are no ties."""
    number = draw.randint(1, 25)
    times = draw.choices(range(40), k=number) if ties else draw.sample(range(40), number)
    found = []
    for time, event in zip(sorted(times), random_events(draw, len(times)), strict=True):
        fields = {f"requestParameters.{name}": value for name, value in event.fields.items()}
        rules = frozenset([draw.choice(sorted(event.rules))])
        found.append(Event(time * 500, event.name, rules, fields))
    return found


def converted(block: dict[str, Any]) -> EqlSequence:
    """The sequence of a correlation of the rules a to d."""
    named = {**correlation(block["type"], *block["rules"]), "correlation": block}
    rules = SigmaCollection.from_dicts([*map(counted, "abcd"), named], resolve_references=False)
    return sequence_of(lines(rules)["Together"]["query"])


def as_document(event: Event) -> tuple[int, Fields]:
    """An event as an index has it."""
    flat = {name.replace(".", "_"): value for name, value in event.fields.items()}
    return event.time, as_fields({"eventName": f"Do{''.join(event.rules).upper()}", **flat})


def first(complete: Iterable[tuple[tuple[str, ...], int]]) -> dict[tuple[str, ...], int]:
    """The first time of each key."""
    return dict(sorted(complete, key=lambda each: -each[1]))


def by_fields(block: dict[str, Any], complete: set[tuple[tuple[str, ...], int]]) -> set[tuple[tuple[str, ...], int]]:
    """The same, with each field of the events once in a key: an alias may stand for one that is grouped by anyway."""
    names = [
        [block.get("aliases", {}).get(name, {}).get(rule, name) for rule in block["rules"]]
        for name in block.get("group-by", [])
    ]
    places = [place for place, fields in enumerate(names) if fields not in names[:place]]
    return {(tuple(key[place] for place in places), time) for key, time in complete}


def test_sequences_are_first_complete_when_correlations_are(report: Report) -> None:
    """For each key the first time is the same, and there is no sequence where the correlation is not complete."""
    draw = random.Random(f"{RANDOM_SEED} sequences")
    keys = sequences = 0
    for block in (random_block(draw) for _ in range(BLOCKS)):
        sequence = converted(block)
        # Ids tell events of one time apart for a count.
        ties = block["type"] == "event_count"
        for events in (random_stream(draw, ties=ties) for _ in range(STREAMS_OF_EACH)):
            found = [(key, times[-1]) for key, times in followed(sequence, map(as_document, events), matches)]
            expected = by_fields(block, completions(block, {}, events))
            assert first(found) == first(expected), (block, events)
            assert set(found) <= expected, (block, events)
            keys += len(first(expected))
            sequences += len(found)
    report(f"EQL: {BLOCKS * STREAMS_OF_EACH} streams, {keys} complete keys, {sequences} sequences")
    assert keys > BLOCKS * STREAMS_OF_EACH // 5


@pytest.mark.parametrize(("gap", "is_found"), [(600, True), (600.001, False)])
def test_a_timespan_has_both_its_ends(gap: float, is_found: bool) -> None:
    """As for `alerts`."""
    rules = SigmaCollection.from_dicts(
        [counted("a"), correlation("event_count", "a", by=(), condition={"gte": 2})], resolve_references=False
    )
    sequence = sequence_of(lines(rules)["Together"]["query"])
    events = [(time, {"eventName": ["DoA"]}) for time in (0, int(gap * 1000))]
    assert bool(followed(sequence, events, matches)) == is_found


CONVERTED = lines(together())


def test_five_of_ours_are_sequences() -> None:
    """The others count values, have no order, or count another correlation."""
    assert sorted(CONVERTED) == [
        "AWS Access Key Tried Out",
        "AWS Instance Stopped, Changed and Started",
        "AWS New Access Key Tried Out",
        "AWS Snapshot Made and Shared",
        "AWS Trail Stopped After Login Without MFA",
    ]


@pytest.mark.parametrize(
    "case", [case for case in cases() if case.rule in CONVERTED], ids=lambda case: f"{case.rule}: {case.name}"
)
def test_ours_find_their_hits_and_no_misses(case: Case) -> None:
    """The events that come with them."""
    sequence = sequence_of(CONVERTED[case.rule]["query"])
    documents = [flatten(each) for each in records(case.events)]
    events = [(int(str(document["timestamp"])), as_fields(document)) for document in documents]
    assert bool(followed(sequence, events, matches)) == case.is_hit
