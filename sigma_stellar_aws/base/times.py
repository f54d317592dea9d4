"""Times and durations: read, written and counted in milliseconds."""

import re
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TypeGuard

import msgspec

from sigma_stellar_aws.base.json_types import Json

LAST_TIME_SECONDS = 253402300799
"""The last second of a datetime, since 1970-01-01 UTC; a data store may hold any number."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)

# Our own, since every Python reads other forms: 3.10 has no "00:00:00.1Z", and only 3.14 has "24:00".
_INSTANT = re.compile(
    r"(?P<date>[0-9]{4}(?P<dash>-?)[0-9]{2}(?P=dash)[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2})(?::?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?)?"
    r" ?(?P<zone>[Zz]|UTC|(?P<sign>[+-])(?P<zone_hours>[0-9]{2})(?::?(?P<zone_minutes>[0-5][0-9]))?)?)?"
)

_CLOUDTRAIL_LENGTH = len("2026-01-05T00:00:00Z")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([mhd])")
_LONGEST = timedelta(days=99_999)
"""Older than any log, and short enough to be taken from any time."""


def now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(timezone.utc)


def parse_instant(text: str) -> datetime | None:
    """Read an ISO 8601 time, the same on every version of Python; return None if the text is something else.

    A time without a zone is in UTC, and a date alone is its midnight. Digits after the microseconds are cut off.

    >>> parse_instant("2026-01-05T00:00:00.123456789+0100")
    datetime.datetime(2026, 1, 4, 23, 0, 0, 123456, tzinfo=datetime.timezone.utc)
    >>> parse_instant("yesterday")
    """
    if len(text) == _CLOUDTRAIL_LENGTH:
        # The form that CloudTrail writes takes a tenth of the time.
        with suppress(msgspec.ValidationError, UnicodeEncodeError):
            return msgspec.convert(text, datetime)
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    digits = match["date"].replace("-", "")
    hour, minute, second, zone_hours, zone_minutes = (
        int(match[name] or 0) for name in ("hour", "minute", "second", "zone_hours", "zone_minutes")
    )
    microsecond = int((match["fraction"] or "")[:6].ljust(6, "0"))
    offset = timedelta(hours=zone_hours, minutes=zone_minutes)
    try:
        local = datetime(
            int(digits[:4]), int(digits[4:6]), int(digits[6:]), hour, minute, second, microsecond, timezone.utc
        )
        return local + offset if match["sign"] == "-" else local - offset
    except (ValueError, OverflowError):
        return None


def epoch_millis(event_time: Json) -> int | None:
    """Return the milliseconds since 1970-01-01 UTC of an ISO 8601 time, or None for any other value.

    >>> epoch_millis("1970-01-01T00:00:01.5Z")
    1500
    """
    time = parse_instant(event_time) if isinstance(event_time, str) else None
    return None if time is None else millis(time)


def millis(time: datetime) -> int:
    """Return the whole milliseconds since 1970-01-01 UTC of a time that is aware of its zone.

    Rounded down, as data stores do it: the same text comes to the same number here and there.

    >>> millis(datetime(1970, 1, 1, 0, 0, 0, 1999, tzinfo=timezone.utc))
    1
    """
    return (time - _EPOCH) // _MILLISECOND


def whole_millis(duration: timedelta) -> int:
    """Return the whole milliseconds of a duration.

    >>> whole_millis(timedelta(seconds=1.5))
    1500
    """
    return duration // _MILLISECOND


def is_time(value: object) -> TypeGuard[int]:
    """Tell whether a value can be the milliseconds of a time: an integer that a data store takes, of 64 bits.

    >>> is_time(2**63 - 1), is_time(2**63), is_time("5"), is_time(None), is_time(False)
    (True, False, False, False, False)
    """
    # True and false are integers, too, for isinstance.
    return type(value) is int and -(2**63) <= value < 2**63


def time_text(time: int | None) -> str | None:
    """Write milliseconds since 1970-01-01 UTC as ISO 8601, to the second where they are whole seconds.

    >>> time_text(1500)
    '1970-01-01T00:00:01.500Z'
    """
    if time is None:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=time)
    except OverflowError:
        # A store may hold any number.
        return str(time)
    return moment.isoformat(timespec="milliseconds" if time % 1000 else "seconds").replace("+00:00", "Z")


def parse_duration(text: str) -> timedelta | None:
    """Read a duration as rules and options write it: 90m, 24h or 7d; return None if the text is something else.

    >>> parse_duration("90m")
    datetime.timedelta(seconds=5400)
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    duration = amount(int(match[1]), match[2])
    return duration if duration <= _LONGEST else None


def amount(number: int, unit: str) -> timedelta:
    """Return so many seconds (s), minutes (m), hours (h) or days (d).

    >>> amount(2, "h")
    datetime.timedelta(seconds=7200)
    """
    return timedelta(**{_UNITS[unit]: number})


def duration_text(duration: timedelta) -> str:
    """Write a duration as rules do, in hours, or in minutes or seconds where hours do not do.

    >>> duration_text(timedelta(days=7)), duration_text(timedelta(minutes=90)), duration_text(timedelta(seconds=90))
    ('168h', '90m', '90s')
    """
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    if seconds:
        return f"{60 * minutes + seconds}s"
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"
