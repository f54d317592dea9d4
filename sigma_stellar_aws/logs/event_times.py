"""Read the time of an event in the forms that exports give it, beside CloudTrail's own."""

import re

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.times import epoch_millis

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# "Jan 5, 2026 @ 10:00:00.000" in Kibana, "January 05, 2026, 10:00:00 (UTC+01:00)" in CloudTrail's console.
_SPOKEN = re.compile(
    r"(?P<month>[A-Za-z]{3})[a-z]{0,6}\.? (?P<day>[0-9]{1,2}), (?P<year>[0-9]{4})(?: @|,) "
    r"(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)(?: \(UTC(?P<zone>[+-][0-9]{2}:[0-9]{2})?\))?"
)
_NUMBER = re.compile(r"[0-9]{10,19}(?:\.[0-9]{1,9})?")
_FIRST_SECOND = 10**9
"""2001-09-09, before there was an AWS. A smaller number is a year, a count, or a date without hyphens."""
_PAST_SECOND = 10**11
"""In the year 5138. A larger number counts a smaller unit: 1,000, 1,000,000 or 1,000,000,000 of them are a second."""
_WRAPPED = ("$date", "$numberLong", "$numberDouble")
"""Keys of MongoDB's extended JSON: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/"""


def event_millis(value: Json) -> int | None:
    """Return the time of an event in milliseconds since 1970-01-01 UTC, or None for what is not a time.

    Args:
        value: ISO 8601; seconds, milliseconds, microseconds or nanoseconds since 1970, also as a text; MongoDB's
            ``{"$date": ...}``; or what Kibana and CloudTrail's console show. What names no zone is in UTC.

    >>> event_millis("1970-01-01T00:00:01Z"), event_millis(1767607200), event_millis({"$date": 1767607200000})
    (1000, 1767607200000, 1767607200000)
    >>> event_millis("Jan 5, 2026 @ 10:00:00.000")
    1767607200000
    """
    if isinstance(value, str):
        time = epoch_millis(value)
        if time is None:
            time = (
                _numeric(float(value) if "." in value else int(value)) if _NUMBER.fullmatch(value) else _spoken(value)
            )
        return time
    if isinstance(value, dict):
        inner = next((value[key] for key in _WRAPPED if key in value), None) if len(value) == 1 else None
        return None if inner is None else event_millis(inner)
    return _numeric(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _numeric(number: float) -> int | None:
    for unit in (1, 1_000, 1_000_000, 1_000_000_000):
        if _FIRST_SECOND * unit <= number < _PAST_SECOND * unit:
            # An integer of this size has no exact float.
            return number * 1000 // unit if isinstance(number, int) else int(number * 1000 // unit)
    return None


def _spoken(text: str) -> int | None:
    match = _SPOKEN.fullmatch(text)
    if match is None or match["month"].lower() not in _MONTHS:
        return None
    month = _MONTHS.index(match["month"].lower()) + 1
    return epoch_millis(f"{match['year']}-{month:02}-{match['day']:0>2}T{match['time']}{match['zone'] or 'Z'}")
