"""What alerts need of an event that matches rules."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from sigma_stellar_aws.base.json_types import Scalar
from sigma_stellar_aws.base.kept_texts import NOT_KEPT
from sigma_stellar_aws.base.packing import Packing
from sigma_stellar_aws.reference.flat_schema import Document, text_of

# Who acted, from the most to the least telling.
_ACTOR_FIELDS = (
    "userIdentity_arn",
    "userIdentity_userName",
    "userIdentity_principalId",
    "userIdentity_invokedBy",
    "userIdentity_type",
)
# In the order of the texts of a hit.
_HIT_FIELDS = (
    "eventID",
    "eventSource",
    "eventName",
    "errorCode",
    "sourceIPAddress",
    "recipientAccountId",
    "awsRegion",
)

Key = tuple[str | None, ...]
"""Values of the fields that a rule suppresses by, as texts; None where an event does not have the field."""


class Hit(NamedTuple):
    """One event that matches rules. Texts are empty where the record does not have them."""

    time: int | None
    """Milliseconds since 1970-01-01 UTC; None where the event has no time."""
    identity: str
    """Equal for copies of one event: CloudTrail delivers some more than once, and logs are kept in several places."""
    event_id: str
    event_source: str
    event_name: str
    error_code: str
    actor: str
    source_address: str
    account: str
    region: str
    origin: str
    """The file or the index that has the event."""
    matches: tuple[tuple[str, Key], ...]
    """The names of the rules that the event matches, each with its key."""
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What correlations need of the event: flattened names of fields with their values, as texts, each once."""
    event: int = NOT_KEPT
    """The place where the event itself is kept, or where it can be read."""
    is_brief: bool = False
    """Whether it has only what correlations need to count the event: its texts are empty, and ``identity`` is its
    eventID, which some other event may share; see :mod:`sigma_stellar_aws.alerts.brief_hits`."""


HIT: Packing[Hit] = Packing(Hit)
HITS: Packing[list[Hit]] = Packing(list[Hit])
"""How hits are written: one on disk, several for another process."""


def common_texts(hit: Hit) -> tuple[str, ...]:
    """Return what a hit says that the next one often says, too: all texts from the source to the region."""
    return hit[3:10]


class DistinctHits:
    """Hits in order of time, each event once: CloudTrail delivers some more than once, with the same time."""

    def __init__(
        self, hits: Iterable[Hit], since: int | None = None, identity: Callable[[Hit], str] | None = None
    ) -> None:
        """Leave out copies of an event; nothing is read before this is.

        Args:
            hits: in order of time.
            since: earlier events (milliseconds since 1970-01-01 UTC) are read, but not counted.
            identity: tells the event of a brief hit from all others.
        """
        self._identity = identity
        self._hits = hits
        self._since = since
        self.count = 0
        """How many events were read."""

    def __iter__(self) -> Iterator[Hit]:
        """Read the hits, and count them anew."""
        self.count = 0
        time: int | None = None
        seen: dict[str, Hit] = {}
        for hit in self._hits:
            if hit.time != time:
                time, seen = hit.time, {}
            if hit.is_brief and hit.identity in seen:
                hit = self._apart(hit, seen)
            if hit.identity not in seen:
                seen[hit.identity] = hit
                self.count += self._since is None or hit.time is None or hit.time >= self._since
                yield hit

    def _apart(self, hit: Hit, seen: dict[str, Hit]) -> Hit:
        """Return a brief hit with an identity of its own if it is no copy of the first one that has its eventID."""
        assert self._identity is not None
        first, identity = seen[hit.identity], self._identity(hit)
        return hit if identity == self._identity(first) else hit._replace(identity=identity)


def to_hit(
    document: Document,
    names: Iterable[str],
    keys: Mapping[str, tuple[str, ...]],
    *,
    correlated: Mapping[str, tuple[str, ...]] | None = None,
    time: int | None,
    identity: str,
    origin: str,
    event: int = NOT_KEPT,
) -> Hit:
    """Take from an event what alerts say of it.

    Args:
        document: the flattened event.
        names: the rules that it matches.
        keys: for each rule the flattened names of the fields that it suppresses by.
        correlated: for each rule that correlations count, the flattened names of the fields that they need.
        time: milliseconds since 1970-01-01 UTC, if the event has a time.
        identity: equal for copies of one event.
        origin: the file or the index that has it.
        event: where the event itself is kept.
    """

    event_id, source, name, error, address, account, region = [
        # Almost all are texts, and asking for the type is what takes least.
        value if type(value) is str else _text(value) or ""
        for value in map(document.get, _HIT_FIELDS)
    ]
    actor = _actor(document)
    # Most rules suppress by the same fields.
    known: dict[tuple[str, ...], Key] = {}
    matches: list[tuple[str, Key]] = []
    for rule in names:
        fields = keys[rule]
        if (key := known.get(fields)) is None:
            key = known[fields] = tuple(
                [value if type(value) is str else _key_text(value) for value in map(document.get, fields)]
            )
        matches.append((rule, key))
    values = _values(document, matches, correlated) if correlated else ()
    found = tuple(matches)
    return Hit(
        time, identity, event_id, source, name, error, actor, address, account, region, origin, found, values, event
    )


def _actor(document: Document) -> str:
    for field in _ACTOR_FIELDS:
        if text := _text(document.get(field)):
            return text
    return ""


def _text(value: Scalar | list[Scalar] | None) -> str | None:
    if isinstance(value, str) or value is None:
        return value
    return ", ".join(map(text_of, value)) if isinstance(value, list) else text_of(value)


def _values(
    document: Document, matches: Iterable[tuple[str, Key]], fields: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, tuple[str, ...]] = {}
    for field in dict.fromkeys(field for name, _ in matches for field in fields.get(name, ())):
        value = document.get(field, [])
        if texts := tuple(dict.fromkeys(map(text_of, value if isinstance(value, list) else [value]))):
            found[field] = texts
    return tuple(found.items())


def _key_text(value: Scalar | list[Scalar] | None) -> str | None:
    # Two values are another key than one that reads like both.
    return json.dumps(value) if isinstance(value, list) else _text(value)
