"""Hits as short rows, to pass very many between processes and to sort them: what many have in common is kept once."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sigma_stellar_aws.alerts.hits import LONGEST_REMEMBERED, UUID_LENGTH, CommonPart, Hit, Values, hit_of
from sigma_stellar_aws.base.kept_texts import NOT_KEPT, KeptTexts
from sigma_stellar_aws.base.packing import Packing

_REMEMBERED = 5_000
"""Parts that are remembered: more than differ among the events of some minutes."""
_UNNAMED = -1


class HitRow(NamedTuple):
    """A hit whose texts stand elsewhere, at their places among the texts that are kept."""

    time: int | None
    identity: str
    event: int
    """The event itself."""
    common: int
    """What it has in common with others."""
    origin: int
    counted: bytes = b""
    """What correlations need, packed."""
    event_id: int = _UNNAMED
    """Where the identity does not begin with it."""


_VALUES: Packing[Values] = Packing(Values)
HIT_ROWS: Packing[list[HitRow]] = Packing(list[HitRow])
"""How rows are written for another process."""


def packed_values(values: Values) -> bytes:
    """Return what correlations need of an event as it stands in a row."""
    return _VALUES.pack(values) if values else b""


class HitRowWriter:
    """Makes rows of hits, and keeps their texts."""

    def __init__(self, add: Callable[[bytes], int]) -> None:
        """Begin with none.

        Args:
            add: keeps a text, which has no line break, and returns its place.
        """
        self._add = add
        self._add_once = lru_cache(_REMEMBERED)(add)
        self.origin = lru_cache(1)(self._keep_text)
        """Keeps the name of a file or an index, and returns its place."""

    def common(self, common: CommonPart) -> int:
        """Return the place of a part that hits have in common."""
        try:
            text = _encode_common(common)
        except UnicodeEncodeError:
            # Half a character, which JSON can hold.
            text = json.dumps(common).encode()
        return self._add_once(text) if len(text) <= LONGEST_REMEMBERED else self._add(text)

    def row(self, hit: Hit) -> HitRow:
        """Return a hit as a row."""
        common = CommonPart(*hit[3:10], hit.matches, hit.is_brief)
        places = self.common(common), self.origin(hit.origin), hit.event
        return self.row_of(hit.time, hit.identity, hit.event_id, *places, hit.values)

    def row_of(
        self,
        time: int | None,
        identity: str,
        event_id: str,
        common: int,
        origin: int,
        event: int = NOT_KEPT,
        values: Values = (),
    ) -> HitRow:
        """Return a row of which some texts are kept already."""
        named = _UNNAMED if event_id == identity[:UUID_LENGTH] else self._keep_text(event_id)
        return HitRow(time, identity, event, common, origin, packed_values(values), named)

    def _keep_text(self, text: str) -> int:
        return self._add(json.dumps(text).encode())


class HitRowReader:
    """Reads hits from rows."""

    def __init__(self, kept: KeptTexts) -> None:
        """Take what is kept of the events of all rows."""
        self._kept = kept
        self._known: dict[int, CommonPart] = {}
        self._text = lru_cache(_REMEMBERED)(self._find_text)

    def hit(self, row: HitRow) -> Hit:
        """Return the hit of a row."""
        time, identity, event, common, origin, counted, named = row
        event_id = identity[:UUID_LENGTH] if named == _UNNAMED else self._find_text(named)
        found = _VALUES.unpack(counted) if counted else ()
        return hit_of(time, identity, event_id, self._common(common), found, origin=self._text(origin), event=event)

    def _common(self, place: int) -> CommonPart:
        if (known := self._known.get(place)) is not None:
            return known
        text = self._kept.text(place)
        common = _read_common(text)
        if len(text) <= LONGEST_REMEMBERED:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[place] = common
        return common

    def _find_text(self, place: int) -> str:
        text: str = json.loads(self._kept.text(place))
        return text


def _read_common(text: bytes) -> CommonPart:
    try:
        return _decode_common(text)
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(text), CommonPart)


_encode_common = msgspec.json.Encoder().encode
_decode_common = msgspec.json.Decoder(CommonPart).decode
