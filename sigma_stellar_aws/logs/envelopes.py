"""Find records inside the envelopes of EventBridge, CloudWatch Logs, Kinesis, SQS, Elastic, Splunk and others.

A wrapper is recognised by a key. The key may hold an object, a list of objects, their JSON as a string, or such a
string compressed and in base64 (general knowledge of these services; see the sources below).

- CloudWatch Logs: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
- EventBridge: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
- CloudWatch Logs Insights: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html
- event history: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from sigma_stellar_aws.logs.answer_rows import row_object, sentinel_record, table_objects
from sigma_stellar_aws.logs.json_repair import BROKEN, mend
from sigma_stellar_aws.logs.other_forms import reason_by_members
from sigma_stellar_aws.logs.packed_content import content_of
from sigma_stellar_aws.logs.record_head import Head, Raw
from sigma_stellar_aws.logs.repeated_members import dropped_members
from sigma_stellar_aws.logs.sentinel_rows import NOTE, is_row

LISTS = ("Records", "records", "Events", "events", "logEvents", "Messages", "hits", "QueryResultRows", "results")
"""Keys of lists of records or of wrappers, which may be of any length."""

KEYS = (
    *LISTS,
    "detail",  # EventBridge
    "CloudTrailEvent",  # aws cloudtrail lookup-events
    "eventjson",  # CloudTrail Lake
    "eventJson",
    "_source",  # Elastic
    "result",  # Splunk, with _raw
    "_raw",
    "kinesis",  # Kinesis to Lambda, with data
    "awslogs",  # CloudWatch Logs to Lambda, with data
    "tables",  # Log Analytics
    "data",
    "Sns",  # SNS to Lambda, with Message
    "Message",
    "body",  # SQS to Lambda
    "Body",
    "message",  # CloudWatch Logs
    "@message",
    "event",  # Splunk's HTTP collector, and Elastic's with original
    "original",
)
"""Keys by which wrappers are recognised, in the order in which they are looked into."""

_KNOWN = frozenset(KEYS)

# Documents that never contain records: a key that gives them away, and its value where only that one does.
_SKIPPED = {
    "digestStartTime": None,  # a digest file beside the logs
    "queryCompleteTime": None,  # the signature file beside results of CloudTrail Lake
    "messageType": b'"CONTROL_MESSAGE"',  # CloudWatch Logs, to test whether the destination can be reached
    "Event": b'"s3:TestEvent"',  # S3, for the same purpose
}
_NEITHER = "not a CloudTrail record: it has neither eventSource nor eventName of an AWS call"
_OTHER_COLUMNS = "damaged row: it has more or fewer values than the table has columns"
_POINTERS = ("s3ObjectKey", "s3")
_DEEPEST = 10
"""How many wrappers may be nested. Real ones are nested up to five deep (SQS, SNS, EventBridge)."""

_DEEPEST_LOOK = 20
_CONTAINERS = (b"{", b"[", b'"')
_MENTIONS = (b"eventName", b"eventVersion", b"eventID")
_QUOTED_MEMBER = rb'event(?:Name|Version|ID)\\+" ?:'
"""How a text names a member of a record."""
_PACKED_BEGINNINGS = (b"H4s", b"eyJ", b"W3s")
"""How the base64 of compressed data, of an object and of a list of objects begins."""
_WHOLE_TEXTS = ("_raw", "@message", "CloudTrailEvent", "eventjson", "eventJson", "original", "message")
_BULK_ACTIONS = frozenset(("index", "create", "update", "delete"))


class Unwrapped(NamedTuple):
    """A record that was found: its head, its JSON text, and where it was if not at a known place."""

    head: Head
    text: Raw
    path: str = ""
    note: str = ""
    """What is worth knowing of it and all that are like it."""


class NotARecord(NamedTuple):
    """A part of a JSON value that is not a record, although it should be one."""

    reason: str


class _Caller(msgspec.Struct):
    """Who made a call, as far as it tells events apart."""

    arn: object = None
    principalId: object = None  # noqa: N815


class _Core(msgspec.Struct):
    """The members that tell events apart."""

    eventID: object = None  # noqa: N815
    eventTime: object = None  # noqa: N815
    eventSource: object = None  # noqa: N815
    eventName: object = None  # noqa: N815
    sourceIPAddress: object = None  # noqa: N815
    requestID: object = None  # noqa: N815
    userIdentity: _Caller | str | None = None  # noqa: N815


_decode_core = msgspec.json.Decoder(_Core).decode
_decode_head = msgspec.json.Decoder(Head).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def unwrap(value: Raw, depth: int = 0) -> Iterator[Unwrapped | NotARecord]:
    """Yield every record inside a JSON value, in order, and why any other part is not a record.

    >>> [found] = unwrap(b'{"detail-type": "AWS API Call", "detail": {"eventName": "CreateUser"}}')
    >>> bytes(found.text)
    b'{"eventName": "CreateUser"}'
    >>> [found] = unwrap(b'{"detail": {"finding": 1}}')
    >>> found.reason
    'not a CloudTrail record: it has neither eventSource nor eventName of an AWS call'
    """
    first = bytes(memoryview(value)[:1])
    if first == b'"' and depth <= _DEEPEST and (inner := content_of(value)) is not None:
        yield from unwrap(inner, depth + 1)
        return
    try:
        if first == b"[":
            row = row_object(value)
            for element in [row] if row else _decode_list(value):
                yield from unwrap(element, depth + 1)
            return
        head = _decode_head(value)
        if head.is_complete():
            yield _original((head.raw, head.at_message)) or _record(head, value)
            return
        members = _decode_members(value)
        made = sentinel_record(value) if is_row(members) else None
    except BROKEN as error:
        mended = mend(value) if depth <= _DEEPEST else None
        if mended is None or mended == bytes(memoryview(value)):
            yield NotARecord(f"damaged record: {error}")
        else:
            yield from unwrap(mended, depth + 1)
        return
    if made:
        yield Unwrapped(_decode_head(made), made, note=NOTE)
        return
    if "columns" in members and "rows" in members and (rows := table_objects(value)):
        for each in rows:
            yield from unwrap(each, depth + 1) if each else [NotARecord(_OTHER_COLUMNS)]
        return
    if head.may_be_record(set(members)):
        yield from _inner_records(head, value, members)
        return
    never_holds_records = any(
        key in members and value in (None, bytes(members[key])) for key, value in _SKIPPED.items()
    ) or is_bulk_action(members)
    for item in _open(members, depth):
        if isinstance(item, Unwrapped) or not never_holds_records:
            yield item
    for dropped in dropped_members(value, members):
        yield from (item for item in unwrap(dropped, depth + 1) if isinstance(item, Unwrapped))


def _record(head: Head, value: Raw) -> Unwrapped | NotARecord:
    """Return what is a record by its head, unless its caller was made a text by which no rule can test it."""
    reason = head.why_unreadable()
    return NotARecord(reason) if reason else Unwrapped(head, value)


def is_bulk_action(members: dict[str, msgspec.Raw]) -> bool:
    """Tell whether this is the line before a document in a bulk request to OpenSearch or Elasticsearch."""
    return len(members) == 1 and bool(_BULK_ACTIONS & members.keys())


def _inner_records(head: Head, value: Raw, members: dict[str, msgspec.Raw]) -> Iterator[Unwrapped | NotARecord]:
    """Yield the whole records inside what may be a part of a record, or this part itself if it has none."""
    texts = [members[key] for key in _WHOLE_TEXTS if key in members]
    if whole := _original(_text_of(text) for text in texts):
        yield whole
        return
    found = False
    for item in look_inside(members):
        if isinstance(item, Unwrapped):
            found = True
            yield item
    if not found:
        yield _record(head, value)


def _text_of(raw: Raw) -> str | None:
    try:
        return _decode_text(raw)
    except BROKEN:
        return None


def _original(texts: Iterable[object]) -> Unwrapped | None:
    """Return the whole record out of the texts beside fields that a store extracted from it."""
    for text in texts:
        if isinstance(text, str) and text.lstrip().startswith("{"):
            whole = text.strip().encode("utf-8", "replace")
            try:
                inner = _decode_head(whole)
            except BROKEN:
                continue
            if isinstance(inner.eventSource, str) and isinstance(inner.eventName, str) and not inner.is_notice():
                return Unwrapped(inner, whole)
    return None


def _open(members: dict[str, msgspec.Raw], depth: int) -> Iterator[Unwrapped | NotARecord]:
    """Yield the records that the members of an object hold, copies in several members once.

    If nothing has a record, yield the reasons why.
    """
    reason = _NEITHER
    failed: list[NotARecord] = []
    opened = has_list_items = False
    copies = Copies()
    for key in [key for key in KEYS if key in members]:
        # Skip null, the only JSON that begins so.
        if bytes(memoryview(members[key])[:1]) == b"n":
            continue
        if depth >= _DEEPEST:
            yield NotARecord(f"not a CloudTrail record: {_DEEPEST} wrappers in one another")
            return
        inner = content_of(members[key])
        if inner is None:
            reason = f"not a CloudTrail record: its {key!r} is not JSON"
            continue
        opened = True
        items = (_below(key, item) for item in unwrap(inner, depth + 1))
        if key in LISTS:
            for item in items:
                has_list_items = True
                if isinstance(item, Unwrapped):
                    copies.add(item.text)
                yield item
        else:
            kept = list(copies.without(items))
            if any(isinstance(item, Unwrapped) for item in kept):
                yield from kept
            failed = failed or [item for item in kept if isinstance(item, NotARecord)]
    others = {key: raw for key, raw in members.items() if key not in _KNOWN}
    inside = [item for key, raw in others.items() for item in copies.without(look_inside({key: raw}))]
    # Where no record is, nothing is a damaged one.
    if any(isinstance(item, Unwrapped) for item in inside):
        yield from inside
    if has_list_items or copies:
        return
    if any(key in members for key in _POINTERS):
        reason = "it holds pointers to log files instead of records: read the files that it names"
    known = reason_by_members(members)
    yield from failed if opened and not known else [NotARecord(known or reason)]


def _below(key: str, item: Unwrapped | NotARecord) -> Unwrapped | NotARecord:
    """Return what was found in a member, with the path from above."""
    return item._replace(path=f"{key}.{item.path}") if isinstance(item, Unwrapped) and item.path else item


def look_inside(members: Mapping[str, Raw], path: str = "", depth: int = 0) -> Iterator[Unwrapped | NotARecord]:
    """Yield the records at any depth below the members of an object: objects or texts with version, source and name.

    Of what is damaged and mentions a record, or is a part of one, yield the reason.
    """
    for key, raw in members.items():
        where = f"{path}.{key}" if path else key
        yield from _look_at(raw, where, depth)


def _may_hold_record(data: bytes) -> bool:
    """Tell quickly whether a JSON value may have a record inside."""
    # Each key may be written with escapes.
    return data[:1] in _CONTAINERS and (
        any(mention in data for mention in _MENTIONS) or b"\\u00" in data or _is_packed(data)
    )


def _is_packed(data: bytes) -> bool:
    return data[1:4] in _PACKED_BEGINNINGS


def _look_at(value: Raw, path: str, depth: int) -> Iterator[Unwrapped | NotARecord]:
    data = bytes(memoryview(value))
    if depth > _DEEPEST_LOOK or not _may_hold_record(data):
        return
    first = data[:1]
    try:
        if first == b'"':
            yield from _look_at_text(data, path, depth)
        elif first == b"[":
            for element in _decode_list(value):
                yield from _look_at(element, path, depth + 1)
        else:
            head = _decode_head(value)
            if head.is_full():
                yield Unwrapped(head, value, path)
            else:
                yield from _look_below(head, _decode_members(value), path, depth)
    except BROKEN as error:
        mended = mend(value)
        if mended is None:
            yield NotARecord(f"damaged record: {error}")
        elif mended != data:
            yield from _look_at(mended, path, depth + 1)


def _look_at_text(data: bytes, path: str, depth: int) -> Iterator[Unwrapped | NotARecord]:
    is_packed = _is_packed(data)
    inner = content_of(data) if is_packed or data[1:-1].lstrip(b" \\nrt")[:1] in _CONTAINERS else None
    if inner is not None:
        yield from _look_at(inner, path, depth + 1)
    # A token for signing in begins as packed data does, too, and has dots.
    elif re.search(_QUOTED_MEMBER, data) or (is_packed and b"." not in data):
        yield NotARecord("damaged record: its text is not JSON")


def _look_below(head: Head, members: dict[str, msgspec.Raw], path: str, depth: int) -> Iterator[Unwrapped | NotARecord]:
    found = False
    for item in look_inside(members, path, depth + 1):
        found = True
        yield item
    if not found and head.is_part(members):
        yield NotARecord("damaged record: it has no eventVersion, eventSource or eventName, but other members of one")


class Copies:
    """What was found in some members of a wrapper, to leave out its copies in others."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._texts: list[Raw] = []
        self._seen: set[bytes] = set()

    def __bool__(self) -> bool:
        """Tell whether there were any records."""
        return bool(self._texts or self._seen)

    def add(self, text: Raw) -> None:
        """Add a record."""
        self._texts.append(text)

    def without(self, items: Iterable[Unwrapped | NotARecord]) -> Iterator[Unwrapped | NotARecord]:
        """Leave out records that were there before these items, and parts of records once there are whole ones."""
        # Most wrappers hold records in one member only, so that nothing is ever compared.
        count = len(self._texts)
        for item in items:
            if isinstance(item, Unwrapped):
                if count:
                    self._seen.update(map(_fingerprint, self._texts[:count]))
                    del self._texts[:count]
                    count = 0
                if self._seen and (not item.head.is_full() or _fingerprint(item.text) in self._seen):
                    continue
                self.add(item.text)
            yield item


def _fingerprint(text: Raw) -> bytes:
    """Return what copies of a record have in common, even if a store changed the type of some fields."""
    try:
        core = _decode_core(text)
        return msgspec.json.encode(core if core.eventID is not None else msgspec.json.decode(text), order="sorted")
    except BROKEN:
        mended = mend(text)
        changed = mended is not None and mended != bytes(memoryview(text))
        return _fingerprint(mended) if mended is not None and changed else bytes(memoryview(text))
