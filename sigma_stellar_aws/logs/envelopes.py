"""Find records inside the envelopes of EventBridge, CloudWatch Logs, Kinesis, SQS, Elastic, Splunk and others.

A wrapper is recognised by a key. The key may hold an object, a list of objects, their JSON as a string, or such a
string compressed and in base64 (general knowledge of these services; see the sources below).

- CloudWatch Logs: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
- EventBridge: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
- CloudWatch Logs Insights: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html
- event history: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

import base64
import json
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec
from zlib_ng import zlib_ng

from sigma_stellar_aws.logs.json_window import LONGEST_RECORD

LISTS = ("Records", "records", "Events", "events", "logEvents", "Messages", "hits", "QueryResultRows", "results")
"""Keys of lists of records or of wrappers, which may be of any length."""

NOTICES = "aws:"
"""Beginning of the eventSource of notices that S3, SQS, Kinesis and SNS send; that of a record never begins so."""

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

# Documents that never contain records: a key that gives them away, and its value where only that one does.
_SKIPPED = {
    "digestStartTime": None,  # a digest file beside the logs
    "queryCompleteTime": None,  # the signature file beside results of CloudTrail Lake
    "messageType": b'"CONTROL_MESSAGE"',  # CloudWatch Logs, to test whether the destination can be reached
    "Event": b'"s3:TestEvent"',  # S3, for the same purpose
}
_POINTERS = ("s3ObjectKey", "s3")
_DEEPEST = 10
"""How many wrappers may be nested. Real ones are nested up to five deep (SQS, SNS, EventBridge)."""

_Raw: TypeAlias = bytes | msgspec.Raw
BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for a text that is not JSON, or is nested too deeply."""


class Head(msgspec.Struct, gc=False):
    """The members by which a record is recognised, and those that may hold the text of the whole record."""

    eventSource: object = None  # noqa: N815
    eventName: object = None  # noqa: N815
    insightDetails: object = None  # noqa: N815
    eventVersion: object = None  # noqa: N815
    raw: object = msgspec.field(default=None, name="_raw")
    at_message: object = msgspec.field(default=None, name="@message")
    CloudTrailEvent: object = None
    eventjson: object = None
    eventJson: object = None  # noqa: N815
    original: object = None
    message: object = None

    def is_record(self) -> bool:
        """Tell whether this is the head of a record."""
        if isinstance(self.eventSource, str) and self.eventSource.startswith(NOTICES):
            return False
        return not (self.eventSource is None and self.eventName is None and self.insightDetails is None)


class Unwrapped(NamedTuple):
    """A record that was found: its head and its JSON text."""

    head: Head
    text: _Raw


class NotARecord(NamedTuple):
    """A part of a JSON value that is not a record, although it should be one."""

    reason: str


class _Cell(msgspec.Struct, forbid_unknown_fields=True):
    """One field of a row of CloudWatch Logs Insights."""

    field: str
    value: msgspec.Raw


_decode_head = msgspec.json.Decoder(Head).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_cells = msgspec.json.Decoder(list[_Cell]).decode
_decode_text = msgspec.json.Decoder(str).decode


def unwrap(value: _Raw, depth: int = 0) -> Iterator[Unwrapped | NotARecord]:
    """Yield every record inside a JSON value, in order, and why any other part is not a record.

    >>> [found] = unwrap(b'{"detail-type": "AWS API Call", "detail": {"eventName": "CreateUser"}}')
    >>> bytes(found.text)
    b'{"eventName": "CreateUser"}'
    >>> [found] = unwrap(b'{"detail": {"finding": 1}}')
    >>> found.reason
    'not a CloudTrail record: it has neither eventSource nor eventName of an AWS call'
    """
    first = bytes(memoryview(value)[:1])
    if first == b'"' and depth <= _DEEPEST and (inner := _content(value)) is not None:
        yield from unwrap(inner, depth + 1)
        return
    try:
        if first == b"[":
            cells = _cells(value)
            for element in [cells] if cells else _decode_list(value):
                yield from unwrap(element, depth + 1)
            return
        head = _decode_head(value)
        if head.is_record():
            yield _original(head) or Unwrapped(head, value)
            return
        members = _decode_members(value)
    except BROKEN as error:
        mended = mend(value) if depth <= _DEEPEST else None
        if mended is None or mended == bytes(memoryview(value)):
            yield NotARecord(f"damaged record: {error}")
        else:
            yield from unwrap(mended, depth + 1)
        return
    never_holds_records = any(
        key in members and value in (None, bytes(members[key])) for key, value in _SKIPPED.items()
    )
    for item in _open(members, depth):
        if isinstance(item, Unwrapped) or not never_holds_records:
            yield item


def mend(text: _Raw) -> bytes | None:
    """Repair JSON that is invalid only because of bad UTF-8, lone surrogates or NaN.

    What is not a character becomes a replacement character, what is not a number becomes null, and everything else
    stays. Return None where more than that is wrong.

    >>> mend(b'{"a": NaN, "b": "\\xff"}').decode()
    '{"a": null, "b": "\ufffd"}'
    >>> mend(b'{"a":') is None
    True
    """
    try:
        value = json.loads(bytes(memoryview(text)).decode("utf-8", "replace"), parse_constant=lambda name: None)
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return None


def _cells(value: _Raw) -> bytes | None:
    """Return a row of CloudWatch Logs Insights as an object, None for any other list."""
    try:
        cells = _decode_cells(value)
    except BROKEN:
        return None
    return msgspec.json.encode({cell.field: cell.value for cell in cells}) if cells else None


def _original(head: Head) -> Unwrapped | None:
    """Return the whole record where this is only fields that a store extracted from it, with its text beside them.

    No record has members of these names, except ``message``, which is only trusted where ``eventVersion`` is missing.
    """
    message = head.message if head.eventVersion is None else None
    texts = (head.raw, head.at_message, head.CloudTrailEvent, head.eventjson, head.eventJson, head.original, message)
    for text in texts:
        if isinstance(text, str) and text.lstrip().startswith("{"):
            whole = text.strip().encode()
            try:
                inner = _decode_head(whole)
            except BROKEN:
                continue
            if isinstance(inner.eventSource, str) and isinstance(inner.eventName, str) and inner.is_record():
                return Unwrapped(inner, whole)
    return None


def _open(members: dict[str, msgspec.Raw], depth: int) -> Iterator[Unwrapped | NotARecord]:
    """Yield what the members of an object hold: all of every list, and of the others the first one with a record.

    If nothing has a record, yield the reasons why.
    """
    reason = "not a CloudTrail record: it has neither eventSource nor eventName of an AWS call"
    failed: list[NotARecord] = []
    opened = has_list_items = False
    for key in KEYS:
        # Skip null, the only JSON that begins so.
        if key not in members or bytes(memoryview(members[key])[:1]) == b"n":
            continue
        if depth >= _DEEPEST:
            yield NotARecord(f"not a CloudTrail record: {_DEEPEST} wrappers in one another")
            return
        inner = _content(members[key])
        if inner is None:
            reason = f"not a CloudTrail record: its {key!r} is not JSON"
            continue
        opened = True
        if key in LISTS:
            for item in unwrap(inner, depth + 1):
                has_list_items = True
                yield item
            continue
        items = list(unwrap(inner, depth + 1))
        if any(isinstance(item, Unwrapped) for item in items):
            yield from items
            return
        failed = failed or [item for item in items if isinstance(item, NotARecord)]
    if has_list_items:
        return
    if any(key in members for key in _POINTERS):
        reason = "it holds pointers to log files instead of records: read the files that it names"
    yield from failed if opened else [NotARecord(reason)]


def _content(raw: _Raw) -> _Raw | None:
    """Return the JSON of an object or a list that is there as such, as a string, or packed; None for anything else."""
    if bytes(memoryview(raw)[:1]) in (b"{", b"["):
        return raw
    try:
        text = _decode_text(raw).strip().encode()
    except BROKEN:
        mended = mend(raw)
        if mended is None or not mended.startswith(b'"'):
            return None
        text = _decode_text(mended).strip().encode()
    if not text.startswith((b"{", b"[")):
        text = _unpacked(text).strip()
    return text if text.startswith((b"{", b"[")) else None


def _unpacked(text: bytes) -> bytes:
    """Decode base64, and decompress the result if it is compressed; return nothing where that is not possible."""
    try:
        data = base64.b64decode(text, validate=True)
        if not data.startswith(b"\x1f\x8b"):
            return data
        member = zlib_ng.decompressobj(wbits=31)
        unpacked = member.decompress(data, LONGEST_RECORD)
    except (ValueError, zlib_ng.error):  # type: ignore[misc]  # its stub has no base class
        return b""
    return unpacked if member.eof else b""
