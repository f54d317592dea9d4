"""An alert, and its ids."""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

from sigma_stellar_aws.alerts.hits import LONGEST_REMEMBERED, Key
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.alerts.source_location import SourceLocation
from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.kept_texts import NOT_KEPT

SAMPLE = 10
"""How many events, and how many values of a kind, an alert lists at most: the first ones."""


class Raised(NamedTuple):
    """An alert that an earlier run raised. Times are milliseconds since 1970-01-01 UTC."""

    id: str
    key_id: str
    start: int
    end: int
    first: int
    """Before the start, where an event arrived late."""
    last: int
    events: int
    failed: int | None = None
    """How many of them have an error code; None where an earlier version raised it, which did not count them."""
    error_codes: tuple[str, ...] = ()


class ChainEvent(NamedTuple):
    """An event of a correlation; texts are empty where it does not have them."""

    time: int | None
    rules: tuple[tuple[str, str], ...]
    """Ids and titles of the rules that it matches, of those that the correlation counts."""
    event: str
    event_id: str
    origin: str
    actor: str
    source_address: str
    error_code: str = ""
    resource: str = ""
    """What it acted on, as far as the event is to be had."""
    place: int = NOT_KEPT
    """Where a search keeps the event, or where that can be read, until the resource is known."""


class Alert(NamedTuple):
    """The events of one rule with one key in one window. Times are milliseconds since 1970-01-01 UTC."""

    id: str
    """Made of the rule, the key and the start of the window: the same alert has the same id in every run."""
    key_id: str
    """Made of the rule and the key."""
    rule: PackRule
    key: Key
    start: int | None
    """When the window opened; None for the events that have no time."""
    end: int | None
    first: int | None
    """Time of the first event, or at which a correlation is first complete: before the start where an event arrived
    late, when the alert was raised already."""
    last: int | None
    events: int
    counted: int
    """How many events this run counted: fewer where some of an earlier run are gone."""
    sample: tuple[tuple[str, str], ...]
    """eventID and origin (file or index) of the first events."""
    event_names: tuple[str, ...]
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    actors: tuple[str, ...]
    source_addresses: tuple[str, ...]
    failed: int = 0
    """How many events have an error code: what they asked for was not done."""
    error_codes: tuple[str, ...] = ()
    """Those of the events."""
    raised: Raised | None = None
    """What an earlier run raised, if it did."""
    since: int | None = None
    """Time of the first event that makes a correlation complete."""
    chain: tuple[ChainEvent, ...] = ()
    """Events of a correlation, in order of time: the first and last of those that make it complete, then others."""
    place: int = NOT_KEPT
    """Where a search keeps the first event, or where that can be read."""
    event: bytes = b""
    """The first event, flattened, as JSON; nothing where it is not to be had."""
    source_locations: tuple[SourceLocation, ...] = ()
    """Where those of the source addresses are that databases know, if any were asked."""


class AlertList(Protocol):
    """Alerts that can be counted, such as a list or those of a search."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Alert]:
        """Read them."""


def alert_id(key_id: str, start: int | None) -> str:
    """Return the id of the alert whose window starts at a time (milliseconds since 1970-01-01 UTC)."""
    return hashed_id([key_id, start])


def id_of_event(key_id: str, time: int | None, event: str) -> str:
    """Return the id of the alert of a single event, at a time (milliseconds since 1970-01-01 UTC)."""
    # Almost all event ids have nothing that JSON escapes, and encoding one takes longer than hashing it.
    if event.isascii() and event.replace("-", "").isalnum():
        return _hashed(f'["{key_id}", {"null" if time is None else time}, "{event}"]')
    return hashed_id([key_id, time, event])


def key_id(rule: PackRule, key: Key) -> str:
    """Hash a rule and the values of the fields that it suppresses by."""
    is_short = sum(len(value) for value in key if value) <= LONGEST_REMEMBERED
    return (_known_key_id if is_short else _key_id)(rule.id, rule.suppression.fields, key)


def _key_id(rule: str, fields: tuple[str, ...], key: Key) -> str:
    return hashed_id([rule, list(fields), list(key)])


_known_key_id = lru_cache(maxsize=10_000)(_key_id)


def hashed_id(parts: list[Json]) -> str:
    """Hash JSON values into a short id that is the same in every run."""
    return _hashed(json.dumps(parts))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def failure_text(alert: Alert) -> str:
    """Say how many events failed, and how; nothing where none did.

    Of a single event, that is its error code.
    """
    codes = ", ".join(alert.error_codes)
    if not alert.failed or alert.events == 1:
        return codes
    return f"{alert.failed:,} of {alert.events:,} failed: {codes}"
