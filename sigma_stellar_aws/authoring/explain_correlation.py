"""Explain whether a correlation is complete for some events, and with which of them, or how far it comes.

It is followed by the same code that raises alerts. How far it comes is found by asking for less: for fewer events,
values or rules, or for the beginning of an order.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from rich.console import Console
from rich.text import Text
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from sigma_stellar_aws.alerts.correlate import Completion, Correlator
from sigma_stellar_aws.alerts.correlation_state import CountedEvent, Evidence
from sigma_stellar_aws.alerts.hits import DistinctHits, Hit, Key, to_hit
from sigma_stellar_aws.alerts.pack import Pack, convert_pack
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.text import plural, printable
from sigma_stellar_aws.base.times import duration_text, time_text
from sigma_stellar_aws.logs.flatten import document_id, flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.evaluate import matched_queries
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD
from sigma_stellar_aws.rule_files.counted import EVENT_COUNT, TEMPORAL_ORDERED, VALUE_COUNT, Correlation

_FEW = 5
_UNITS = {EVENT_COUNT: "event", VALUE_COUNT: "value"}


class CorrelationProgress(NamedTuple):
    """How far a correlation comes for some events."""

    correlation: Correlation
    titles: Mapping[str, str]
    """Of the rules that it counts, by their names."""
    events: Mapping[str, int]
    """How many events each rule matches, by its name."""
    reached: int
    """How many events, values or rules come together; as many as are needed if it is complete."""
    times: int
    """How often it is complete: keys and times."""
    key: Key
    time: int | None
    """When it is complete for the first time, or first comes that far."""
    chain: Sequence[CountedEvent]
    """The events that make it so."""
    notes: Sequence[str]
    """Which events took no part."""

    @property
    def complete(self) -> bool:
        """Tell whether it is complete at some time."""
        return self.times > 0


def correlation_progress(
    rules: SigmaCollection, name: str, records: Iterable[Mapping[str, Json]]
) -> CorrelationProgress:
    """Tell how far a correlation comes for some records.

    Args:
        rules: the correlation, and what it counts; they are not changed.
        name: its id, or its name or title if it has none.
        records: in any order.

    Raises:
        SigmaError: it cannot be evaluated.
    """
    pack = convert_pack(copy.deepcopy(rules), stellar_aws())
    place = next((number for number, each in enumerate(pack.correlations) if each.name == name), None)
    if place is None:
        raise SigmaError("; ".join(pack.refused) or f"there is no correlation {name!r}")
    correlation, inner = pack.correlations[place], pack.correlations[:place]
    hits = sorted(_hits(pack, records), key=lambda hit: (hit.time is None, hit.time, hit.identity))
    events = {each: sum(any(each == other for other, _ in hit.matches) for hit in hits) for each in pack.rules}
    titles = {each: rule.title for each, rule in pack.rules.items()}
    found = _followed([*inner, correlation], hits)
    reached = correlation.count
    if not found.completions:
        for fewer in _weaker(correlation):
            reached = fewer.count
            weaker = _followed([*inner, fewer], hits)
            if weaker.completions:
                return _progress(correlation, titles, events, reached, 0, weaker)
        reached = 0
    return _progress(correlation, titles, events, reached, len(found.completions), found)


def progress_as_json(progress: CorrelationProgress) -> JsonObject:
    """Return how far a correlation comes as a JSON object."""
    correlation = progress.correlation
    return {
        "rule": correlation.title,
        "matches": progress.complete,
        "times": progress.times,
        "reached": progress.reached,
        "needed": correlation.count,
        "time": time_text(progress.time),
        "key": dict(zip(correlation.group_by, progress.key, strict=False)),
        "events": {progress.titles[member.name]: progress.events[member.name] for member in correlation.members},
        "chain": [
            {
                "time": time_text(hit.time),
                "rules": [progress.titles[name] for name in names],
                "event": f"{hit.event_source} {hit.event_name}",
                "id": hit.event_id,
            }
            for hit, names in progress.chain
        ],
        "notes": list(progress.notes),
    }


def print_progress(progress: CorrelationProgress, console: Console) -> None:
    """Print how far a correlation comes, and with which events."""
    correlation = progress.correlation
    verdict, style = ("is complete", "bold green") if progress.complete else ("is not complete", "bold red")
    console.print(Text.assemble(printable(f"{correlation.title} "), (verdict, style), printable(_told(progress))))
    for hit, names in progress.chain:
        rules = ", ".join(progress.titles[name] for name in names)
        line = f"  {time_text(hit.time)} {hit.event_source} {hit.event_name} {hit.event_id} ({rules})"
        console.print(Text(printable(line)))
    for member in () if progress.complete else correlation.members:
        count = progress.events[member.name]
        if not member.is_correlation and (count or len(correlation.members) <= _FEW):
            console.print(Text(printable(f"  {member.title}: {plural(count, 'event')} in all"), "dim"))
    for note in progress.notes:
        console.print(Text(printable(f"  {note}"), "dim"))


def _told(progress: CorrelationProgress) -> str:
    correlation = progress.correlation
    of_key = ", ".join(f"{field}={value}" for field, value in zip(correlation.group_by, progress.key, strict=False))
    when = f"{f' for {of_key}' if of_key else ''}: {time_text(progress.time)}"
    if progress.complete:
        return f" {plural(progress.times, 'time')}, first{when}"
    if not progress.reached:
        return ": what it begins with is not there"
    unit = _UNITS.get(correlation.kind, "rule")
    within = duration_text(correlation.timespan)
    return f": {progress.reached} of {plural(correlation.count, unit)} came together within {within}{when}"


class _Found(NamedTuple):
    completions: list[tuple[int, Key, Evidence]]
    notes: list[str]


def _progress(
    correlation: Correlation,
    titles: Mapping[str, str],
    events: Mapping[str, int],
    reached: int,
    times: int,
    found: _Found,
) -> CorrelationProgress:
    time, key, chain = found.completions[0] if found.completions else (None, (), ())
    return CorrelationProgress(correlation, titles, events, reached, times, key, time, chain, found.notes)


def _hits(pack: Pack, records: Iterable[Mapping[str, Json]]) -> Iterator[Hit]:
    names_of = matched_queries(pack.query)
    keys, correlated = pack.keys(), pack.correlated()
    for record in records:
        document = flatten(record)
        if names := names_of(document):
            time = document.get(TIME_FIELD)
            yield to_hit(
                document,
                names,
                keys,
                correlated=correlated,
                time=time if isinstance(time, int) else None,
                identity=document_id(document),
                origin="",
            )


def _followed(correlations: Sequence[Correlation], hits: Sequence[Hit]) -> _Found:
    """Return when the last of some correlations is complete."""
    correlator = Correlator(correlations)
    completions = [
        (item.time, item.key, item.evidence())
        for item in correlator.follow(DistinctHits(hits))
        if isinstance(item, Completion) and item.name == correlations[-1].name
    ]
    return _Found(completions, correlator.notes())


def _weaker(correlation: Correlation) -> Iterator[Correlation]:
    """Yield what asks for less and less of the same, down to one event."""
    for count in range(correlation.count - 1, 0, -1):
        if correlation.kind == TEMPORAL_ORDERED:
            beginnings = {order[:count] for order in correlation.alternatives}
            yield replace(correlation, count=count, alternatives=tuple(sorted(beginnings)))
        else:
            yield replace(correlation, count=count, alternatives=())
