"""Write alerts as bytes, for disk, without what all alerts of a rule have in common."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sigma_stellar_aws.alerts.alert import Alert, ChainEvent, Raised
from sigma_stellar_aws.alerts.first_event import resource_of
from sigma_stellar_aws.alerts.hits import Key
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.base.external_sort import ExternalSort
from sigma_stellar_aws.base.kept_texts import NOT_KEPT, KeptTexts
from sigma_stellar_aws.base.packing import Packing

_RULE, _PLACE = Alert._fields.index("rule"), Alert._fields.index("place")


class _Packed(NamedTuple):
    """An alert with the number of its rule, and without where its addresses are: that is looked up when it is told."""

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
    failed: int
    error_codes: tuple[str, ...]
    raised: Raised | None
    since: int | None
    chain: tuple[ChainEvent, ...]
    place: int


def with_events(alerts: Iterable[Alert], kept: KeptTexts) -> Iterator[Alert]:
    """Give alerts the texts of their first events, and events of correlations what they acted on."""
    return (
        alert._replace(place=NOT_KEPT, event=kept.text(alert.place), chain=with_resources(alert.chain, kept.text))
        for alert in alerts
    )


def with_resources(chain: Iterable[ChainEvent], text_at: Callable[[int], bytes | None]) -> tuple[ChainEvent, ...]:
    """Give events of a correlation what they acted on, out of their texts, which stand at their places."""
    return tuple(
        step._replace(place=NOT_KEPT, resource=resource_of(text_at(step.place) or b"") or step.resource)
        for step in chain
    )


class AlertPacking:
    """Writes alerts, and reads what it wrote itself: it keeps their rules."""

    def __init__(self, kept: KeptTexts) -> None:
        """Begin without rules, with what is kept of events."""
        self._packing = Packing(_Packed)
        self._kept = kept
        # By their places in memory: to hash all that a rule says takes longer than to write the alert.
        self._numbers: dict[int, int] = {}
        self._rules: list[PackRule] = []

    def pack(self, alert: Alert) -> bytes:
        """Write an alert."""
        rule = alert.rule
        if (number := self._numbers.get(id(rule))) is None:
            number = self._numbers[id(rule)] = len(self._rules)
            self._rules.append(rule)
        place = self._kept.add(alert.event) if alert.event else alert.place
        return self._packing.pack(_Packed._make((*alert[:_RULE], number, *alert[_RULE + 1 : _PLACE], place)))

    def unpack(self, data: bytes) -> Alert:
        """Read an alert."""
        packed = self._packing.unpack(data)
        rule, event = self._rules[packed.rule], self._kept.text(packed.place)
        alert = Alert._make((*packed[:_RULE], rule, *packed[_RULE + 1 : _PLACE], NOT_KEPT, event, ()))
        return alert._replace(chain=with_resources(alert.chain, self._kept.text)) if alert.chain else alert


def sorted_alerts(kept: KeptTexts) -> ExternalSort[Alert]:
    """Return an empty list of alerts, in order of time, the most severe first, with the texts of their events."""
    packing = AlertPacking(kept)
    return ExternalSort(lambda alert: alert.first, alert_name, pack=packing.pack, unpack=packing.unpack)


def alert_name(alert: Alert) -> str:
    """Return what alerts of the same time are ordered by: the most severe first."""
    return f"{100 - alert.rule.severity:03}{alert.id}"
