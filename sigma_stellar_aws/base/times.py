"""Times and durations: read, written and counted in milliseconds."""

import re
from datetime import datetime, timedelta, timezone

from sigma_stellar_aws.base.json_types import Json


def epoch_millis(event_time: Json) -> int | None:
    """Milliseconds since 1970-01-01 UTC of an ISO 8601 time, or None where the value is no such time."""
    if not isinstance(event_time, str):
        return None
    try:
        time = datetime.fromisoformat(event_time.replace("Z", "+00:00"))
    except ValueError:
        return None
    return millis(time if time.tzinfo else time.replace(tzinfo=timezone.utc))


def millis(time: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC of a time that is aware of its time zone."""
    return round(time.timestamp() * 1000)


_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def duration_text(window: timedelta) -> str:
    """A window as rules write it, such as 24h."""
    hours, rest = divmod(round(window.total_seconds()), 3600)
    return f"{rest // 60 + hours * 60}m" if rest else f"{hours}h"


def parse_duration(text: str) -> timedelta | None:
    """The window that a text such as 90m, 24h or 7d stands for, or None where it is none."""
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def time_text(time: int | None) -> str | None:
    """A time in milliseconds since 1970-01-01 UTC as ISO 8601, to the second where it is a whole one."""
    if time is None:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=time)
    except OverflowError:
        # A store may hold any number.
        return str(time)
    return moment.isoformat(timespec="milliseconds" if time % 1000 else "seconds").replace("+00:00", "Z")
