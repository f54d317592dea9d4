"""Collect the records of a file that pass the screen, and count the others."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.logs.envelopes import BROKEN, NOTICES, NotARecord, Unwrapped, mend, unwrap
from sigma_stellar_aws.logs.problem import OnProblem, Problem
from sigma_stellar_aws.logs.screening import Screen, ScreenedRecord

# Any JSON object is one; to check the types of its values would take twice as long.
_decode_object: Callable[[bytes | msgspec.Raw], JsonObject] = msgspec.json.Decoder(dict).decode


class FilePart(NamedTuple):
    """What was read from a file in one go."""

    records: int
    passing: list[tuple[int, JsonObject]]
    """Those records that pass the screen, in order, each with its line."""
    done_bytes: int
    """How many bytes of the stored file this part took."""


class Collector:
    """What has been read from a file since the last part was taken."""

    def __init__(self, file: Path, report: OnProblem, passes: Screen) -> None:
        """Start with nothing."""
        self._file = file
        self._report = report
        self._passes = passes
        # What has no source, no name or is a notice may hold records that pass.
        self.needs = lru_cache(65536)(
            lambda source, name: source is None or name is None or source.startswith(NOTICES) or passes(source, name)
        )
        self.records = 0
        self._passing: list[tuple[int, JsonObject]] = []
        self._done_bytes = 0

    def take(self) -> FilePart:
        """Return what was collected since the last call."""
        part = FilePart(self.records, self._passing, self._done_bytes)
        self.records, self._passing, self._done_bytes = 0, [], 0
        return part

    def tell(self, line: int, reason: str) -> None:
        """Report what could not be read."""
        self._report(Problem(self._file, line, reason))

    def count_bytes(self, count: int) -> None:
        """Count stored bytes that were read."""
        self._done_bytes += count

    def add_screened(self, line: int, value: bytes | msgspec.Raw, screened: ScreenedRecord) -> None:
        """Add a value that passes the screen."""
        if screened.is_plain_record():
            self._add_record(line, value)
        else:
            self.add(line, value)

    def add(self, line: int, value: bytes | msgspec.Raw) -> None:
        """Add the record that a JSON value is, or all that it wraps."""
        self.add_unwrapped(line, unwrap(value))

    def add_unwrapped(self, line: int, items: Iterable[Unwrapped | NotARecord]) -> None:
        """Add those records that pass the screen, and report what is not a record."""
        for item in items:
            if isinstance(item, NotARecord):
                self.tell(line, item.reason)
                continue
            source, name = item.head.eventSource, item.head.eventName
            # Only strings can be looked up in the cache.
            passes = self.needs if isinstance(source, str) and isinstance(name, str) else self._passes
            if passes(source, name):
                self._add_record(line, item.text)
            else:
                self.records += 1

    def _add_record(self, line: int, text: bytes | msgspec.Raw) -> None:
        try:
            self._passing.append((line, _decode(text)))
        except BROKEN as error:
            self.tell(line, f"damaged record: {error}")
        else:
            self.records += 1


def _decode(text: bytes | msgspec.Raw) -> JsonObject:
    try:
        return _decode_object(text)
    except BROKEN:
        mended = mend(text)
        if mended is None:
            raise
        return _decode_object(mended)
