"""When CloudTrail delivered a log file, by its path: in S3, and in folders that were copied from there.

``[PREFIX/]AWSLogs/[o-ORG/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_x.json.gz``,
with all times in UTC. A file has only events from before its delivery, most of the last minutes, but some may be late.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

CLOCKS = timedelta(hours=1)
"""How long before the first time that is asked for a file is still read: clocks differ."""
LATEST = timedelta(days=1)
"""How long after the last time that is asked for a file is still read: CloudTrail mostly delivers within minutes."""

_REGION = r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]"
_DATED = re.compile(rf"(?:^|[/\\]){_REGION}[/\\](\d{{4}})(?:[/\\](\d{{2}})(?:[/\\](\d{{2}}))?)?(?:[/\\]|$)")
_NAMED = re.compile(rf"[0-9]{{12}}_CloudTrail[A-Za-z-]*_{_REGION}_([0-9]{{8}})T([0-9]{{4}})Z_[^/\\]*$")


class Deliveries(NamedTuple):
    """A span of time in which files were delivered, both ends included; None for no limit."""

    first: datetime | None
    last: datetime | None

    def may_hold(self, path: str) -> bool:
        """Tell by a path whether a file, or the files in a folder, may have been delivered in this span.

        >>> deliveries_of(datetime(2026, 1, 5, tzinfo=timezone.utc), None).may_hold("us-east-1/2025/12")
        False
        """
        if self.first is None and self.last is None:
            return True
        begin, end = _delivered(path)
        return (self.first is None or end is None or end >= self.first) and (
            self.last is None or begin is None or begin <= self.last
        )


EVER = Deliveries(None, None)


def deliveries_of(since: datetime | None, until: datetime | None) -> Deliveries:
    """Return when the files with the events of a span of time were delivered.

    Args:
        since: the first time, aware of its time zone.
        until: the time that is too late.
    """
    return Deliveries(
        since and _moved(since.astimezone(timezone.utc), -CLOCKS),
        until and _moved(until.astimezone(timezone.utc), LATEST),
    )


def _moved(time: datetime, by: timedelta) -> datetime | None:
    try:
        return time + by
    except OverflowError:
        return None


def days_of(paths: Iterable[str]) -> tuple[date, date] | None:
    """Return the first and the last day of which files are, by their paths; None where none says.

    >>> days_of(["us-east-1/2026/01/05/a.json", "eu-west-1/2025/12/30/b.json", "c.json"])
    (datetime.date(2025, 12, 30), datetime.date(2026, 1, 5))
    """
    days = [begin.date() for begin, _ in map(_delivered, paths) if begin]
    return (min(days), max(days)) if days else None


def _delivered(path: str) -> tuple[datetime | None, datetime | None]:
    """Return the first and the last time at which a path says that it was delivered; None where it does not say."""
    try:
        if named := _NAMED.search(path):
            time = datetime.strptime(f"{named[1]}{named[2]}+0000", "%Y%m%d%H%M%z")
            return time, time
        if dated := _DATED.search(path):
            year, month, day = (int(part) if part else None for part in dated.groups())
            return _start(year or 1, month or 1, day or 1), _end(year or 1, month, day)
    except ValueError:
        # Digits that are no date.
        pass
    return None, None


def _start(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=timezone.utc)


def _end(year: int, month: int | None, day: int | None) -> datetime:
    if month is None:
        return _start(year + 1, 1, 1)
    if day is None:
        return _start(year + month // 12, month % 12 + 1, 1)
    return _start(year, month, day) + timedelta(days=1)


def day_folder(day: date) -> str:
    """Return the path of a day below its region.

    >>> day_folder(date(2026, 1, 5))
    '2026/01/05/'
    """
    return f"{day:%Y/%m/%d}/"
