"""Search files for events that match rules, one file after the other."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sigma_stellar_aws.alerts.brief_hits import BriefReader
from sigma_stellar_aws.alerts.hit_rows import HitRow, HitRowWriter
from sigma_stellar_aws.alerts.hits import common_part, counted_values, event_id_of
from sigma_stellar_aws.alerts.kept_event import LONGEST_EVENT, shortened
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.kept_texts import Chunk, TextChunks
from sigma_stellar_aws.base.times import is_time
from sigma_stellar_aws.logs.flatten import document_text, flatten, id_of_text
from sigma_stellar_aws.logs.portions import Portion
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.logs.reader import read_parts
from sigma_stellar_aws.logs.record_head import Raw
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.prefilter import screened
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD

_BATCH_RECORDS, _BATCH_HITS, _BATCH_PROBLEMS = 20_000, 500, 100


class Batch(NamedTuple):
    """What was found in some records."""

    records: int
    hits: list[HitRow]
    problems: list[Problem]
    """What could not be read, or not be compared with the times that are asked for."""
    done_bytes: int
    """How many bytes of the files it took, as they are stored."""
    events: Sequence[Chunk] = ()
    """The texts of the events, and what hits have in common."""
    too_old: int | None = None
    """Time of the newest event so far that matches, but is before the times asked for."""
    span: tuple[int, int] | None = None
    """Earliest and latest time so far of the records that were sampled."""


class SearchTask(NamedTuple):
    """What to search for; times are milliseconds since 1970-01-01 UTC."""

    query: Clause
    keys: Mapping[str, tuple[str, ...]]
    since: int | None
    until: int | None
    correlated: Mapping[str, tuple[str, ...]] | None = None
    """For each rule that correlations count, the flattened names of the fields that they need."""
    only_counted: frozenset[str] = frozenset()
    """Those of these rules whose events are taken from the texts of records, as far as correlations need them."""
    suppressing: frozenset[str] = frozenset()
    """Rules whose events are taken so, too, since most of them are only counted into an alert that is open."""
    writer: int = 0
    """The number under which this search keeps the texts of events."""
    names: Mapping[Path, str] = {}
    """What to call files that are copies."""
    sampled: int = 0
    """Of so many records the time of one is looked at, and of the first of each file; 0 for none."""


class FileSearch:
    """A search that is ready to run: the query is compiled."""

    def __init__(self, task: SearchTask) -> None:
        """Prepare the search that a task describes."""
        self._task = task
        self._candidates = screened(task.query)
        correlated = task.correlated or {}
        keys = {name: task.keys[name] for name in task.suppressing}
        self._events = TextChunks(task.writer)
        self._rows = HitRowWriter(self._events.add)
        self._brief = (
            BriefReader(task.query, self._candidates, task.only_counted, correlated, keys, self._rows.common)
            if task.only_counted or keys
            else None
        )
        self._origin_of = Portion((), task.names).name_of
        self._too_old: int | None = None
        self._to_sample = 0
        self._span: tuple[int, int] | None = None

    def batches(self, files: Sequence[Path]) -> Iterator[Batch]:
        """Search files; yield what is found, a batch at a time."""
        records = done_bytes = 0
        hits: list[HitRow] = []
        problems: list[Problem] = []
        for file in files:
            origin = self._rows.origin(self._origin_of(file))
            take = None if self._brief is None else partial(self._take, self._brief, origin, hits)
            passes = self._passes_or_sampled if self._task.sampled else self._passes
            self._to_sample = 0
            for part in read_parts(file, problems.append, passes, take=take):
                records += part.records
                done_bytes += part.done_bytes
                for line, record in part.passing:
                    self._look_at(record, file, line, origin, hits, problems)
                if records >= _BATCH_RECORDS or len(hits) >= _BATCH_HITS or len(problems) >= _BATCH_PROBLEMS:
                    yield self._batch(records, hits[:], problems[:], done_bytes)
                    records = done_bytes = 0
                    hits.clear()
                    problems.clear()
        yield self._batch(records, hits, problems, done_bytes)

    def _batch(self, records: int, hits: list[HitRow], problems: list[Problem], done_bytes: int) -> Batch:
        return Batch(records, hits, problems, done_bytes, self._events.taken(), self._too_old, self._span)

    def _passes(self, source: object, name: object) -> bool:
        return bool(self._candidates(source, name))

    def _passes_or_sampled(self, source: object, name: object) -> bool:
        self._to_sample -= 1
        if self._to_sample < 0:
            self._to_sample = self._task.sampled - 1
            return True
        return bool(self._candidates(source, name))

    def _take(self, brief: BriefReader, origin: int, hits: list[HitRow], source: str, name: str, text: Raw) -> bool:
        record = brief.read(source, name, text)
        if record is None:
            return False
        time, identity, part, raw = record
        if part is not None and self._is_asked_for(time):
            hits.append(HitRow(time, identity, self._events.add(raw), part.common, origin, part.values))
        return True

    def _is_asked_for(self, time: int) -> bool:
        if self._task.since is not None and time < self._task.since:
            self._too_old = time if self._too_old is None else max(time, self._too_old)
            return False
        return self._task.until is None or time < self._task.until

    def _look_at(
        self, record: JsonObject, file: Path, line: int, origin: int, hits: list[HitRow], problems: list[Problem]
    ) -> None:
        candidates = self._candidates(record.get("eventSource"), record.get("eventName"))
        document = flatten(record)
        if self._task.sampled and is_time(sample := document.get(TIME_FIELD)):
            earliest, latest = self._span or (sample, sample)
            self._span = min(earliest, sample), max(latest, sample)
        names = [name for name, matches in candidates if matches(document)]
        if not names:
            return
        stated = document.get("eventID")
        time = document.get(TIME_FIELD)
        if not is_time(time):
            if self._task.since is not None or self._task.until is not None:
                reason = (
                    f"event {stated!r} has no eventTime that could be compared; it is among the events all the same"
                )
                problems.append(Problem(file, line, reason))
            time = None
        elif not self._is_asked_for(time):
            return
        text = document_text(document)
        common = common_part(document, names, self._task.keys)
        correlated = self._task.correlated
        hits.append(
            self._rows.row_of(
                time,
                id_of_text(text, stated),
                event_id_of(document),
                self._rows.common(common),
                origin,
                self._events.add(text if len(text) <= LONGEST_EVENT else shortened(document)),
                counted_values(document, common.matches, correlated) if correlated else (),
            )
        )
