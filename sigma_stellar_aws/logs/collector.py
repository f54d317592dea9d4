"""Collect the records of a file that pass the screen, and count the others."""

import itertools
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.logs.envelopes import NotARecord, Unwrapped, unwrap
from sigma_stellar_aws.logs.json_repair import BROKEN, mend
from sigma_stellar_aws.logs.problem import OnProblem, Problem
from sigma_stellar_aws.logs.record_head import NOTICES, OBJECT_MEMBERS
from sigma_stellar_aws.logs.screening import Screen, ScreenedRecord
from sigma_stellar_aws.logs.split_messages import MessagePart, SplitMessages, part_of

# Any JSON object is one; to check the types of its values would take twice as long.
_decode_json: Callable[[str], JsonObject | list[Json]] = msgspec.json.Decoder(dict | list).decode
_decode_object: Callable[[bytes | msgspec.Raw], JsonObject] = msgspec.json.Decoder(dict).decode
_TOLD_OF_A_KIND = 3
_MOST_KINDS = 20
_VARIABLE = re.compile(r"\d[\d,]*|'[^']*'")
"""What differs between problems of one kind."""


TakeText: TypeAlias = Callable[[str, str, bytes | msgspec.Raw], bool]
"""Is given the source, the name and the text of a record that passes; returns whether it took it, so that the record
need not be decoded."""


class FilePart(NamedTuple):
    """What was read from a file in one go."""

    records: int
    passing: list[tuple[int, JsonObject]]
    """Those records that pass the screen, in order, each with its line."""
    done_bytes: int
    """How many bytes of the stored file this part took."""


class Collector:
    """What has been read from a file since the last part was taken."""

    def __init__(self, file: Path, report: OnProblem, passes: Screen, take: TakeText | None = None) -> None:
        """Start with nothing."""
        self._file = file
        self.report = report
        self._passes = passes
        self._passes_names = lru_cache(65536)(passes)
        self._take = take
        # A notice may hold records that pass.
        self.needs = lru_cache(65536)(lambda source, name: source.startswith(NOTICES) or passes(source, name))
        self.records = 0
        self._passing: list[tuple[int, JsonObject]] = []
        self.done_bytes = 0
        self._told_path = False
        self.problems = 0
        """How many there were so far."""
        self.found_any = False
        """Whether there was a record yet."""
        self._kinds: dict[str, tuple[int, int, str]] = {}
        self.seems_log = True
        """Whether the text begins like a log. If not, damage is told only once there is a record in it, too."""
        self._held: list[Problem] = []
        self._split = SplitMessages()

    def take(self) -> FilePart:
        """Return what was collected since the last call."""
        self.found_any = self.found_any or self.records > 0
        self._release()
        part = FilePart(self.records, self._passing, self.done_bytes)
        self.records, self._passing, self.done_bytes = 0, [], 0
        return part

    def begin_file(self, file: Path) -> None:
        """Go on with a file in an archive."""
        self.finish()
        self._file = file
        self.problems, self.found_any, self._told_path = 0, False, False

    def tell(self, line: int, reason: str) -> None:
        """Report what could not be read: of each kind the first ones, and at the end how many others."""
        self.problems += 1
        kind = _VARIABLE.sub("#", reason)
        count, _, _ = self._kinds.get(kind, (0, 0, ""))
        self._kinds[kind] = (count + 1, line, reason)
        if count < _TOLD_OF_A_KIND and (count or len(self._kinds) <= _MOST_KINDS):
            self._held.append(Problem(self._file, line, reason))
            self._release()

    def note(self, line: int, reason: str) -> None:
        """Report what is worth knowing, although all was read."""
        self.report(Problem(self._file, line, reason, is_note=True))

    def end_text(self) -> None:
        """Report of a text that does not begin like a log, and has no record, only that."""
        self._give_up()
        self._release()
        if self._held:
            self._held.clear()
            self._kinds.clear()
            self.report(Problem(self._file, 1, "not a log: it does not begin like one, and has no record"))
        self.seems_log = True

    def _release(self) -> None:
        """Report what was held back, unless this may be no log at all."""
        if self._held and (self.seems_log or self.found_any or self.records):
            for problem in self._held:
                self.report(problem)
            self._held.clear()

    def finish(self) -> None:
        """Report how many problems were not told one by one; of what is not a log, only that."""
        for number, (count, line, reason) in enumerate(self._kinds.values(), 1):
            more = count - _TOLD_OF_A_KIND if number <= _MOST_KINDS else count
            if more > 0:
                self.report(Problem(self._file, line, f"{reason}; with this, there are {more:,} more of this kind"))
        self._kinds.clear()

    def count_bytes(self, count: int) -> None:
        """Count stored bytes that were read."""
        self.done_bytes += count

    def add_screened(self, line: int, value: bytes | msgspec.Raw, screened: ScreenedRecord) -> None:
        """Add a value that passes the screen."""
        if not screened.eventSource.startswith(NOTICES):
            self._add_record(line, value, screened.eventSource, screened.eventName)
        else:
            self.add(line, value)

    def add(self, line: int, value: bytes | msgspec.Raw) -> None:
        """Add the record that a JSON value is, or all that it wraps."""
        items = unwrap(value)
        first = next(items, None)
        # What is not a record by itself may be a part of one.
        if isinstance(first, NotARecord) and (part := part_of(value)) and self._split.may_take(part):
            self.add_part(line, part)
            return
        if first is not None:
            if self._split and (part := part_of(value)):
                self._give_up(part.stream)
            self.add_unwrapped(line, itertools.chain((first,), items))

    def add_part(self, line: int, part: MessagePart) -> None:
        """Add a part of a message, and the records in the message if this part completes it."""
        first_line, items = self._split.add(line, part)
        self.add_unwrapped(first_line, items)

    def holds_part(self, stream: str) -> bool:
        """Tell whether a stream has parts of a message whose rest is still to come."""
        return self._split.holds(stream)

    def _give_up(self, *streams: str) -> None:
        for line, reason in self._split.give_up(*streams):
            self.tell(line, reason)

    def add_unwrapped(self, line: int, items: Iterable[Unwrapped | NotARecord]) -> None:
        """Add those records that pass the screen, and report what is not a record."""
        for item in items:
            if isinstance(item, NotARecord):
                self.tell(line, item.reason)
                continue
            if (item.path or item.note) and not self._told_path:
                self._told_path = True
                self.note(line, item.note or f"records found in {item.path}")
            source, name = item.head.eventSource, item.head.eventName
            # Only strings can be looked up in the cache.
            passes = self._passes_names if isinstance(source, str) and isinstance(name, str) else self._passes
            if passes(source, name):
                self._add_record(line, item.text, source, name)
            else:
                self.records += 1

    def _add_record(self, line: int, text: bytes | msgspec.Raw, source: object, name: object) -> None:
        if (
            self._take is not None
            and isinstance(source, str)
            and isinstance(name, str)
            and self._take(source, name, text)
        ):
            self.records += 1
            return
        try:
            self._passing.append((line, decode_record(text)))
        except BROKEN as error:
            self.tell(line, f"damaged record: {error}")
        else:
            self.records += 1


def decode_record(text: bytes | msgspec.Raw) -> JsonObject:
    """Decode a record.

    Raises:
        MsgspecError: it is damaged; or one of the other errors of ``BROKEN``.
    """
    return _with_objects(_decode(text))


def _decode(text: bytes | msgspec.Raw) -> JsonObject:
    try:
        return _decode_object(text)
    except BROKEN:
        mended = mend(text)
        if mended is None:
            raise
        return _decode_object(mended)


def _with_objects(record: JsonObject) -> JsonObject:
    """Decode the members that are the JSON text of an object, as tables export them, where CloudTrail has objects."""
    get = record.get
    for name in OBJECT_MEMBERS:
        # Of every record that is decoded: this is the quickest test.
        if type(text := get(name)) is str and text.lstrip()[:1] in ("{", "["):
            with suppress(*BROKEN):
                record[name] = _decode_json(text)
    return record
