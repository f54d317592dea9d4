"""Files that were delivered in a span of time, by their paths."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from sigma_stellar_aws.logs.deliveries import EVER, deliveries_of
from sigma_stellar_aws.logs.find import find_log_files, require_log_files
from tests.logs.test_reader import refuse

NAME = "111122223333_CloudTrail_eu-west-1_20260105T1000Z_0123456789abcdef.json.gz"


def time(text: str | None) -> datetime | None:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc) if text else None


@pytest.mark.parametrize(
    ("path", "since", "until", "expected"),
    [
        (f"a/{NAME}", "2026-01-05T11:00", None, True),
        (f"a/{NAME}", "2026-01-05T11:01", None, False),
        (f"a/{NAME}", None, "2026-01-04T10:00", True),
        (f"a/{NAME}", None, "2026-01-04T09:59", False),
        ("eu-west-1/2026/01/05", "2026-01-06T01:00", None, True),
        ("eu-west-1/2026/01/05", "2026-01-06T01:01", None, False),
        ("eu-west-1/2026/01/05/a.json", "2026-02-01", None, False),
        ("eu-west-1/2026/01", "2026-02-01T02:00", None, False),
        ("eu-west-1/2026/12", "2026-12-31", None, True),
        ("eu-west-1/2026", "2027-01-01T02:00", None, False),
        ("eu-west-1/2026", None, "2025-12-30T12:00", False),
        ("eu-west-1/2026", None, "2025-12-31T12:00", True),
        # What does not stand where CloudTrail puts it tells nothing.
        ("eu-west-1", "2030-01-01", None, True),
        ("2026/01/05/a.json", "2030-01-01", None, True),
        ("eu-west-1/2026/13/05/a.json", "2030-01-01", None, True),
        ("20260105T1000Z.json", "2030-01-01", None, True),
        ("eu-west-1/2026/01/05", "0001-01-01", "9999-12-31T23:59", True),
    ],
)
def test_when_a_path_was_delivered(path: str, since: str | None, until: str | None, expected: bool) -> None:
    """A file is passed over only if its path says that no event of the time can be in it."""
    assert deliveries_of(time(since), time(until)).may_hold(path) is expected
    assert EVER.may_hold(path)


def test_days_in_folders_are_passed_over(tmp_path: Path) -> None:
    """In a tree copied from S3, the folders of other days are not entered, and a file given by name is read."""
    days = [tmp_path / f"AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/{day:02}/a.json" for day in range(1, 9)]
    for file in days:
        file.parent.mkdir(parents=True)
        file.touch()
    wanted = deliveries_of(time("2026-01-03"), time("2026-01-05"))
    assert find_log_files([tmp_path], refuse, deliveries=wanted) == days[1:6]
    assert find_log_files([days[7]], refuse, deliveries=wanted) == [days[7]]


def test_of_which_days_there_are_files(tmp_path: Path) -> None:
    """Where no file is of the time that is asked for, it is said of which days there are some."""
    for path in ("us-east-1/2026/01/05/a.json", "eu-west-1/2026/01/02/b.json", f"eu-west-1/2026/01/03/{NAME}"):
        file = tmp_path / "AWSLogs/111122223333/CloudTrail" / path
        file.parent.mkdir(parents=True)
        file.touch()
    notes: list[str] = []
    assert require_log_files([tmp_path], refuse, notes.append, deliveries_of(time("2026-02-01"), None)) == []
    assert notes == [
        "no file was delivered in the time that is asked for: 3 files, by the paths of 2026-01-02 to 2026-01-05"
    ]
