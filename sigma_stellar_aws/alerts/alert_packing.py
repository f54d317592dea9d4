"""Write alerts as bytes, for disk, without what all alerts of a rule have in common."""

from typing import NamedTuple

from sigma_stellar_aws.alerts.alert import Alert, ChainEvent, Raised
from sigma_stellar_aws.alerts.hits import Key
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.base.packing import Packing

_RULE = Alert._fields.index("rule")


class _Packed(NamedTuple):
    """An alert with the number of its rule."""

    id: str
    key_id: str
    rule: int
    key: Key
    start: int | None
    end: int | None
    first: int | None
    last: int | None
    events: int
    counted: int
    sample: tuple[tuple[str, str], ...]
    event_names: tuple[str, ...]
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    actors: tuple[str, ...]
    source_addresses: tuple[str, ...]
    raised: Raised | None
    since: int | None
    chain: tuple[ChainEvent, ...]


class AlertPacking:
    """Writes alerts, and reads what it wrote itself: it keeps their rules."""

    def __init__(self) -> None:
        """Begin without rules."""
        self._packing = Packing(_Packed)
        # By their places in memory: to hash all that a rule says takes longer than to write the alert.
        self._numbers: dict[int, int] = {}
        self._rules: list[PackRule] = []

    def pack(self, alert: Alert) -> bytes:
        """Write an alert."""
        rule = alert.rule
        if (number := self._numbers.get(id(rule))) is None:
            number = self._numbers[id(rule)] = len(self._rules)
            self._rules.append(rule)
        return self._packing.pack(_Packed._make((*alert[:_RULE], number, *alert[_RULE + 1 :])))

    def unpack(self, data: bytes) -> Alert:
        """Read an alert."""
        packed = self._packing.unpack(data)
        return Alert._make((*packed[:_RULE], self._rules[packed.rule], *packed[_RULE + 1 :]))
