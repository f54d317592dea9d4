"""What records are wrapped in on their way: by EventBridge, CloudWatch Logs, Kinesis, SQS, Elastic, Splunk and others.

A wrapper is known by a key; what the key holds may be an object, a list of them, their JSON as a text, or that
compressed and in base64 (general knowledge of these services; see the sources below).

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

from sigma_stellar_aws.logs.json_window import LONGEST

LISTS = ("Records", "records", "Events", "events", "logEvents", "Messages", "hits", "QueryResultRows", "results")
"""Keys of lists of records or of wrappers, which may be of any length."""

NOTICES = "aws:"
"""What the eventSource of notices begins with, as S3, SQS, Kinesis and SNS send them; that of a record never does."""

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
"""Keys by which wrappers are known, those that are looked into first before the others."""

# By them, and by what they hold, is known what holds no records and was not meant to.
_SKIPPED = {
    "digestStartTime": None,  # digest files beside the logs
    "queryCompleteTime": None,  # signatures beside the results of CloudTrail Lake
    "messageType": b'"CONTROL_MESSAGE"',  # CloudWatch Logs, trying whether it can be reached
    "Event": b'"s3:TestEvent"',  # S3, likewise
}
_POINTERS = ("s3ObjectKey", "s3")
_DEEPEST = 10
"""Wrappers in wrappers; real ones are up to five: SQS, SNS, EventBridge."""

_Raw: TypeAlias = bytes | msgspec.Raw
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Head(msgspec.Struct, gc=False):
    """What tells a record, and what most rules ask for."""

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
        """Whether it is that of a record."""
        if isinstance(self.eventSource, str) and self.eventSource.startswith(NOTICES):
            return False
        return not (self.eventSource is None and self.eventName is None and self.insightDetails is None)


class Unwrapped(NamedTuple):
    """A record: its head and its JSON text."""

    head: Head
    text: _Raw


class _Cell(msgspec.Struct, forbid_unknown_fields=True):
    """A field in a row of CloudWatch Logs Insights."""

    field: str
    value: msgspec.Raw


_decode_head = msgspec.json.Decoder(Head).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_cells = msgspec.json.Decoder(list[_Cell]).decode
_decode_text = msgspec.json.Decoder(str).decode


def unwrap(value: _Raw, deep: int = 0) -> Iterator[Unwrapped | str]:
    """The records that a JSON value is or wraps, in their order; a text says of what is no record why it is none."""
    first = bytes(memoryview(value)[:1])
    if first == b'"' and deep <= _DEEPEST and (inner := _content(value)) is not None:
        yield from unwrap(inner, deep + 1)
        return
    try:
        if first == b"[":
            cells = _cells(value)
            for element in [cells] if cells else _decode_list(value):
                yield from unwrap(element, deep + 1)
            return
        head = _decode_head(value)
        if head.is_record():
            yield _original(head) or Unwrapped(head, value)
            return
        members = _decode_members(value)
    except _BROKEN as error:
        mended = mend(value) if deep <= _DEEPEST else None
        if mended is None or mended == bytes(memoryview(value)):
            yield f"damaged record: {error}"
        else:
            yield from unwrap(mended, deep + 1)
        return
    skipped = any(key in members and wanted in (None, bytes(members[key])) for key, wanted in _SKIPPED.items())
    for each in _open(members, deep):
        if not skipped or isinstance(each, Unwrapped):
            yield each


def mend(text: _Raw) -> bytes | None:
    """JSON that is none only by bytes that are no UTF-8, halves of surrogate pairs, or NaN, without them.

    What is no character becomes a replacement for one, what is no number becomes null, and all else stays; None where
    more than that is wrong.
    """
    try:
        value = json.loads(bytes(memoryview(text)).decode("utf-8", "replace"), parse_constant=lambda name: None)
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return None


def _cells(value: _Raw) -> bytes | None:
    """A row of CloudWatch Logs Insights as an object; None for another list."""
    try:
        cells = _decode_cells(value)
    except _BROKEN:
        return None
    return msgspec.json.encode({cell.field: cell.value for cell in cells}) if cells else None


def _original(head: Head) -> Unwrapped | None:
    """The whole record, where what looks like one is fields that a store extracted from it, with its text beside them.

    No record has members of these names, but for a message, which is only believed beside what lacks a version.
    """
    message = head.message if head.eventVersion is None else None
    texts = (head.raw, head.at_message, head.CloudTrailEvent, head.eventjson, head.eventJson, head.original, message)
    for text in texts:
        if isinstance(text, str) and text.lstrip().startswith("{"):
            whole = text.strip().encode()
            try:
                inner = _decode_head(whole)
            except _BROKEN:
                continue
            if isinstance(inner.eventSource, str) and isinstance(inner.eventName, str) and inner.is_record():
                return Unwrapped(inner, whole)
    return None


def _open(members: dict[str, msgspec.Raw], deep: int) -> Iterator[Unwrapped | str]:
    """What the members hold: all lists, and of the others the first that has a record; what is told, if none has."""
    reason = "not a CloudTrail record: it has neither eventSource nor eventName of an AWS call"
    told: list[str] = []
    opened = answered = False
    for key in KEYS:
        # Of what JSON there is, only null begins so.
        if key not in members or bytes(memoryview(members[key])[:1]) == b"n":
            continue
        if deep >= _DEEPEST:
            yield f"not a CloudTrail record: {_DEEPEST} wrappers in one another"
            return
        inner = _content(members[key])
        if inner is None:
            reason = f"no CloudTrail record: its {key!r} is no JSON"
            continue
        opened = True
        if key in LISTS:
            for each in unwrap(inner, deep + 1):
                answered = True
                yield each
            continue
        found = list(unwrap(inner, deep + 1))
        if any(isinstance(each, Unwrapped) for each in found):
            yield from found
            return
        told = told or [each for each in found if isinstance(each, str)]
    if answered:
        return
    if any(key in members for key in _POINTERS):
        reason = "it holds pointers to log files, no records: read the files that it names"
    yield from told if opened else [reason]


def _content(raw: _Raw) -> _Raw | None:
    """The JSON text of an object or a list, written out, as a text or packed; None where it is something else."""
    if bytes(memoryview(raw)[:1]) in (b"{", b"["):
        return raw
    try:
        text = _decode_text(raw).strip().encode()
    except _BROKEN:
        mended = mend(raw)
        if mended is None or not mended.startswith(b'"'):
            return None
        text = _decode_text(mended).strip().encode()
    if not text.startswith((b"{", b"[")):
        text = _unpacked(text).strip()
    return text if text.startswith((b"{", b"[")) else None


def _unpacked(text: bytes) -> bytes:
    """The bytes that stand in base64, decompressed if they are compressed; none where they cannot be had."""
    try:
        data = base64.b64decode(text, validate=True)
        if not data.startswith(b"\x1f\x8b"):
            return data
        member = zlib_ng.decompressobj(wbits=31)
        unpacked = member.decompress(data, LONGEST)
    except (ValueError, zlib_ng.error):  # type: ignore[misc]  # its stub has no base class
        return b""
    return unpacked if member.eof else b""
