"""Times and durations, which every Python has to read the same."""

from datetime import datetime, timedelta, timezone

import pytest

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.times import (
    duration_text,
    epoch_millis,
    millis,
    parse_duration,
    parse_instant,
    time_text,
)

_NOON = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T12:00:00Z",
        "2026-01-05T12:00:00z",
        "2026-01-05t12:00:00Z",
        "2026-01-05T12:00:00",
        "2026-01-05 12:00:00",
        "2026-01-05 12:00:00 UTC",
        "2026-01-05T12:00:00.0Z",
        "2026-01-05T12:00:00,000Z",
        "2026-01-05T12:00:00.0000000001Z",
        "2026-01-05T13:00:00+01:00",
        "2026-01-05T13:00:00+0100",
        "2026-01-05T13:00:00+01",
        "2026-01-05T06:30:00.000-05:30",
        "2026-01-05T12:00Z",
        "2026-01-05T12",
        "20260105T120000Z",
        "2026-01-06T00:00:00+12:00",
    ],
)
def test_the_ways_to_write_a_time(text: str) -> None:
    """The ways to write a time."""
    assert parse_instant(text) == _NOON


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        (".1", 100_000),
        (".12", 120_000),
        (".123", 123_000),
        (".1234", 123_400),
        (".123456", 123_456),
        (".1234569", 123_456),
        (".123456789", 123_456),
    ],
)
def test_any_number_of_digits_of_a_second(text: str, microseconds: int) -> None:
    """Any number of digits of a second."""
    assert parse_instant(f"2026-01-05T12:00:00{text}Z") == _NOON + timedelta(microseconds=microseconds)


def test_a_date_is_its_midnight() -> None:
    """A date is its midnight."""
    assert parse_instant("2026-01-05") == parse_instant("20260105") == datetime(2026, 1, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "now",
        "2026",
        "1767614400000",
        "2026-13-01",
        "2026-02-30",
        "2026-01-05X12:00:00Z",
        "2026-01-05T24:00:00Z",
        "2026-01-05T12:60:00Z",
        "2026-01-05T12:00:60Z",
        "2026-01-05T12:00:00+01:60",
        "2026-01-05T12:00:00.Z",
        "2026-01-05T12:00:00Z\n",
        " 2026-01-05T12:00:00Z",
        "2026-0105",
        "2026-W01-1",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "\u0662\u0660\u0662\u0666-01-05",
        "2026-01-05T12:00:00\ud800",
    ],
)
def test_what_is_not_a_time(text: str) -> None:
    """What is not a time."""
    assert parse_instant(text) is None
    assert epoch_millis(text) is None


@pytest.mark.parametrize("value", [None, True, 5, 1.5, ["2026-01-05"], {"a": "2026-01-05"}])
def test_only_texts_are_read_as_times(value: Json) -> None:
    """Only texts are read as times."""
    assert epoch_millis(value) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.0019Z", 1001),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2026-01-05T00:00:00.1Z", 1767571200100),
        ("9999-12-31T23:59:59.999999Z", 253402300799999),
    ],
)
def test_milliseconds_are_rounded_down_as_stores_do_it(text: str, expected: int) -> None:
    """Milliseconds are rounded down as stores do it."""
    assert epoch_millis(text) == expected


@pytest.mark.parametrize("number", [0, 1, 1767571200000, 1767571200123, -1, -62135596800000, 253402300799999])
def test_a_time_that_is_written_can_be_read(number: int) -> None:
    """A time that is written can be read."""
    text = time_text(number)
    assert text is not None
    assert text.endswith("Z")
    assert ("." in text) == bool(number % 1000)
    assert epoch_millis(text) == number


def test_times_without_a_text() -> None:
    """Times without a text."""
    assert time_text(None) is None
    assert time_text(10**18) == "1000000000000000000"


def test_times_of_other_zones_come_to_the_same() -> None:
    """Times of other zones come to the same."""
    assert millis(_NOON.astimezone(timezone(timedelta(hours=5)))) == millis(_NOON) == 1767614400000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", timedelta(minutes=90)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("1000000m", timedelta(minutes=1_000_000)),
        ("99999d", timedelta(days=99_999)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    """Durations."""
    assert parse_duration(text) == expected
    assert parse_duration(duration_text(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "h",
        "0h",
        "024h",
        "-1h",
        "1.5h",
        "24 h",
        "24H",
        "1w",
        "5s",
        "24h\n",
        "\u0662h",
        "100000d",
        "9" * 99 + "m",
    ],
)
def test_what_is_not_a_duration(text: str) -> None:
    """What is not a duration."""
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0h"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=1), "1h"),
        (timedelta(minutes=61), "61m"),
        (timedelta(days=1), "24h"),
    ],
)
def test_durations_are_written_in_the_largest_unit_that_fits_up_to_hours(duration: timedelta, text: str) -> None:
    """Durations are written in the largest unit that fits up to hours."""
    assert duration_text(duration) == text
