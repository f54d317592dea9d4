"""Decide by ``eventSource`` and ``eventName`` which records have to be decoded in full."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from sigma_stellar_aws.logs.envelopes import NOTICES

Screen: TypeAlias = Callable[[object, object], bool]
"""Tells from the ``eventSource`` and ``eventName`` of a record whether it has to be looked at."""


def everything(source: object, name: object) -> bool:
    """Let every record pass."""
    return True


class ScreenedRecord(msgspec.Struct, gc=False):
    """What is decoded of every record in order to screen it.

    A value of another type than these fails to decode, and the record is then read the slow way.
    """

    # Strings only, because the answers of a screen are cached by them.
    eventSource: str | None = None  # noqa: N815
    eventName: str | None = None  # noqa: N815
    # A store may put the text of the whole record in one of these, beside fields extracted from it. They must be
    # absent or null here.
    raw: None = msgspec.field(default=None, name="_raw")
    at_message: None = msgspec.field(default=None, name="@message")
    CloudTrailEvent: None = None
    eventjson: None = None
    eventJson: None = None  # noqa: N815
    original: None = None
    message: None = None

    def is_plain_record(self) -> bool:
        """Tell whether this is a record itself, with no need to look for one inside it."""
        return self.eventSource is not None and self.eventName is not None and not self.eventSource.startswith(NOTICES)


decode_screened = msgspec.json.Decoder(ScreenedRecord).decode
decode_all_screened = msgspec.json.Decoder(list[ScreenedRecord]).decode
