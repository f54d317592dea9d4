"""What alerts need of an event that matches rules."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from sigma_stellar_aws.base.json_types import Scalar
from sigma_stellar_aws.base.kept_texts import NOT_KEPT
from sigma_stellar_aws.reference.flat_schema import Document, text_of

# Who acted, from the most to the least telling.
_ACTOR_FIELDS = (
    "userIdentity_arn",
    "userIdentity_userName",
    "userIdentity_principalId",
    "userIdentity_invokedBy",
    "userIdentity_type",
)
# In the order of the texts of a hit, but for who acted.
_COMMON_FIELDS = (
    "eventSource",
    "eventName",
    "errorCode",
    "sourceIPAddress",
    "recipientAccountId",
    "awsRegion",
)

TOLD_FIELDS = (*_ACTOR_FIELDS, *_COMMON_FIELDS)
"""Flattened names of the fields that alerts tell of each event, beside its eventID."""

Key = tuple[str | None, ...]
"""Values of the fields that a rule suppresses by, as texts; None where an event does not have the field."""


Values: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Flattened names of fields with their values, as texts, each once."""


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
    values: Values = ()
    """What correlations need of the event."""
    event: int = NOT_KEPT
    """The place where the event itself is kept, or where it can be read."""
    is_brief: bool = False
    """Whether only what counting the event needs was read of it: ``identity`` is its eventID, which some other event
    may share, and its texts are empty if only correlations count it; see :mod:`sigma_stellar_aws.alerts.brief_hits`."""


class CommonPart(NamedTuple):
    """What an event that matches rules often has in common with others; see :class:`Hit`."""

    event_source: str
    event_name: str
    error_code: str
    actor: str
    source_address: str
    account: str
    region: str
    matches: tuple[tuple[str, Key], ...]
    is_brief: bool = False


UUID_LENGTH = 36
LONGEST_REMEMBERED = 2_000
"""Bytes. Longer values, and what is made of them, are not remembered: whoever writes events chooses their length."""


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
        # By what copies have in common, however they were read.
        seen: dict[str, list[Hit]] = {}
        for hit in self._hits:
            if hit.time != time:
                time, seen = hit.time, {}
            shared = hit.identity if self._identity is None else hit.identity[:UUID_LENGTH]
            if (others := seen.get(shared)) is None:
                seen[shared] = [hit]
            else:
                identity = self._whole_identity(hit)
                if any(identity == self._whole_identity(other) for other in others):
                    continue
                hit = hit._replace(identity=identity)
                others.append(hit)
            self.count += self._since is None or hit.time is None or hit.time >= self._since
            yield hit

    def _whole_identity(self, hit: Hit) -> str:
        """Return what no other event has."""
        if self._identity is None or not hit.is_brief or len(hit.identity) > UUID_LENGTH:
            return hit.identity
        return self._identity(hit)


def to_hit(
    document: Document,
    names: Iterable[str],
    keys: Mapping[str, tuple[str, ...]],
    *,
    correlated: Mapping[str, tuple[str, ...]] | None = None,
    time: int | None,
    identity: str,
    origin: str = "",
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
    common = common_part(document, names, keys)
    values = counted_values(document, common.matches, correlated) if correlated else ()
    return hit_of(time, identity, event_id_of(document), common, values, origin=origin, event=event)


def hit_of(
    time: int | None,
    identity: str,
    event_id: str,
    common: CommonPart,
    values: Values = (),
    *,
    origin: str = "",
    event: int = NOT_KEPT,
) -> Hit:
    """Return the hit of an event, of which one part is what it has in common with others."""
    source, name, error, actor, address, account, region, matches, is_brief = common
    return Hit(
        time,
        identity,
        event_id,
        source,
        name,
        error,
        actor,
        address,
        account,
        region,
        origin,
        matches,
        values,
        event,
        is_brief,
    )


def event_id_of(document: Document) -> str:
    """Return the eventID of a flattened event."""
    return _text(document.get("eventID")) or ""


def common_part(
    document: Document, names: Iterable[str], keys: Mapping[str, tuple[str, ...]], *, is_brief: bool = False
) -> CommonPart:
    """Take from an event what it may have in common with others.

    Args:
        document: the flattened event; where the hit is brief, only the fields that are asked for.
        names: the rules that it matches.
        keys: for each rule the flattened names of the fields that it suppresses by.
        is_brief: whether the hit is.
    """
    source, name, error, address, account, region = [
        # Almost all are texts, and asking for the type is what takes least.
        value if type(value) is str else _text(value) or ""
        for value in map(document.get, _COMMON_FIELDS)
    ]
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
    return CommonPart(source, name, error, _actor(document), address, account, region, tuple(matches), is_brief)


def _actor(document: Document) -> str:
    for field in _ACTOR_FIELDS:
        if text := _text(document.get(field)):
            return text
    return ""


def _text(value: Scalar | list[Scalar] | None) -> str | None:
    if isinstance(value, str) or value is None:
        return value
    return ", ".join(map(text_of, value)) if isinstance(value, list) else text_of(value)


def counted_values(
    document: Document, matches: Iterable[tuple[str, Key]], fields: Mapping[str, tuple[str, ...]]
) -> Values:
    """Return what correlations need of an event.

    Args:
        document: the flattened event.
        matches: the rules that it matches.
        fields: for each rule that correlations count, the flattened names of the fields that they need.
    """
    found: dict[str, tuple[str, ...]] = {}
    for field in dict.fromkeys(field for name, _ in matches for field in fields.get(name, ())):
        value = document.get(field, [])
        if texts := tuple(dict.fromkeys(map(text_of, value if isinstance(value, list) else [value]))):
            found[field] = texts
    return tuple(found.items())


def _key_text(value: Scalar | list[Scalar] | None) -> str | None:
    # Two values are another key than one that reads like both.
    return json.dumps(value) if isinstance(value, list) else _text(value)
