"""What records are wrapped in on their way: by EventBridge, CloudWatch Logs, Kinesis, SQS, Elastic, Splunk and others.

A wrapper is known by a key; what the key holds may be an object, a list of them, their JSON as a text, or that
compressed and in base64 (general knowledge of these services; see the sources below).

- CloudWatch Logs: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
- EventBridge: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
- event history: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

import base64
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec
from zlib_ng import zlib_ng

from sigma_stellar_aws.window import LONGEST

LISTS = ("Records", "records", "Events", "events", "logEvents", "Messages", "hits", "QueryResultRows")
"""Keys of lists of records or of wrappers, which may be of any length."""

NOTICES = "aws:"
"""What the eventSource of notices begins with, as S3, SQS, Kinesis and SNS send them; that of a record never does."""

_KEYS = (
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

    def is_record(self) -> bool:
        """Whether it is that of a record."""
        if isinstance(self.eventSource, str) and self.eventSource.startswith(NOTICES):
            return False
        return not (self.eventSource is None and self.eventName is None and self.insightDetails is None)


class Found(NamedTuple):
    """A record: its head and its JSON text."""

    head: Head
    text: _Raw


_decode_head = msgspec.json.Decoder(Head).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def unwrap(value: _Raw, deep: int = 0) -> Iterator[Found | str]:
    """The records that a JSON value is or wraps, in their order; a text says of what is no record why it is none."""
    try:
        if bytes(memoryview(value)[:1]) == b"[":
            for element in _decode_list(value):
                yield from unwrap(element, deep + 1)
            return
        head = _decode_head(value)
        if head.is_record():
            yield Found(head, value)
            return
        members = _decode_members(value)
    except _BROKEN as error:
        yield f"damaged record: {error}"
        return
    if any(key in members and wanted in (None, bytes(members[key])) for key, wanted in _SKIPPED.items()):
        return
    yield from _open(members, deep)


def _open(members: dict[str, msgspec.Raw], deep: int) -> Iterator[Found | str]:
    reason = "not a CloudTrail record: it has neither eventSource nor eventName of an AWS call"
    for key in _KEYS:
        if key in members and bytes(members[key]) != b"null":
            if deep >= _DEEPEST:
                yield f"not a CloudTrail record: {_DEEPEST} wrappers in one another"
                return
            inner = _content(members[key])
            if inner is not None:
                yield from unwrap(inner, deep + 1)
                return
            reason = f"no CloudTrail record: its {key!r} is no JSON"
    if any(key in members for key in _POINTERS):
        reason = "it holds pointers to log files, no records: read the files that it names"
    yield reason


def _content(raw: msgspec.Raw) -> _Raw | None:
    """The JSON text of an object or a list, written out, as a text or packed; None where it is something else."""
    if bytes(memoryview(raw)[:1]) in (b"{", b"["):
        return raw
    try:
        text = _decode_text(raw).strip().encode()
    except _BROKEN:
        return None
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
