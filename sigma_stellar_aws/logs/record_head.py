"""Tell CloudTrail records from what is wrapped around them, and from the logs of other products."""

import re
from collections.abc import Collection
from typing import TypeAlias

import msgspec

from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS

NOTICES = "aws:"
"""Beginning of the eventSource of notices that S3, SQS, Kinesis and SNS send; that of a record never begins so."""

Raw: TypeAlias = bytes | msgspec.Raw
"""JSON text."""

_MEMBERS = frozenset(field.partition(".")[0] for field in FIELDS)
OBJECT_MEMBERS = tuple(
    name for name in sorted(_MEMBERS) if name not in FIELDS or FIELDS[name].kind in ("object", "open object")
)
"""The members that are objects or lists of objects."""
_SHOWN_BY = ("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "eventID")
_LEAST_SHOWN = 3
_NOTHING = msgspec.Raw()
# How objects begin that were printed for people, and whoever prints them so.
_PRINTED = (
    (
        rb'"\{ ?\w+=',
        "its userIdentity is not JSON but a text, as Athena and CloudTrail Lake print structures; read the log files "
        "in S3, or in CloudTrail Lake SELECT eventJson FROM the event data store",
    ),
    (
        rb'"(?:@\{|System\.)',
        "its userIdentity is not JSON but a text, as PowerShell prints what is deeper than -Depth says; convert it "
        "once more with ConvertTo-Json -Depth 20",
    ),
)


class Head(msgspec.Struct, gc=False):
    """The members by which a record is recognised, and those that may hold the text of the whole record."""

    eventVersion: object = None  # noqa: N815
    userIdentity: msgspec.Raw = _NOTHING  # noqa: N815
    eventSource: object = None  # noqa: N815
    eventName: object = None  # noqa: N815
    insightDetails: msgspec.Raw = _NOTHING  # noqa: N815
    raw: object = msgspec.field(default=None, name="_raw")
    at_message: object = msgspec.field(default=None, name="@message")

    def is_notice(self) -> bool:
        """Tell whether this is a notice of S3, SQS, Kinesis or SNS."""
        return isinstance(self.eventSource, str) and self.eventSource.startswith(NOTICES)

    def is_full(self) -> bool:
        """Tell whether this names the version, the source and the name of an event."""
        return (
            isinstance(self.eventVersion, str)
            and isinstance(self.eventSource, str)
            and isinstance(self.eventName, str)
            and not self.is_notice()
        )

    def is_complete(self) -> bool:
        """Tell whether this is certainly a record, and not a wrapper that copied some fields of one."""
        if is_object(self.insightDetails):
            return isinstance(self.eventVersion, str)
        return self.is_full() and is_object(self.userIdentity)

    def why_unreadable(self) -> str:
        """Return why this record cannot be tested by rules, if its caller was printed as a text."""
        caller = bytes(memoryview(self.userIdentity)[:80])
        if caller[:1] != b'"':
            return ""
        return next((reason for pattern, reason in _PRINTED if re.match(pattern, caller)), "")

    def is_part(self, keys: Collection[str]) -> bool:
        """Tell whether an object with these keys was a record before it was damaged, and not labels beside one."""
        shown = [key for key in _SHOWN_BY if key in keys]
        return len(shown) >= _LEAST_SHOWN and shown[0] in ("eventVersion", "userIdentity") and not self.is_notice()

    def may_be_record(self, keys: set[str]) -> bool:
        """Tell whether this is part of a record, such as people write for tests, unless it has a record inside.

        Args:
            keys: the keys of the object.
        """
        if self.is_notice():
            return False
        if is_object(self.insightDetails):
            return True
        if not (isinstance(self.eventSource, str) or isinstance(self.eventName, str)):
            return False
        # Other products write an eventName, too.
        return (
            isinstance(self.eventVersion, str)
            or is_object(self.userIdentity)
            or (isinstance(self.eventSource, str) and self.eventSource.lower().endswith(".amazonaws.com"))
            or keys <= _MEMBERS
        )


def is_object(raw: msgspec.Raw) -> bool:
    """Tell whether JSON is an object, or the text of one."""
    return bytes(memoryview(raw)[:1]) == b"{" or bytes(memoryview(raw)[:2]) == b'"{'
