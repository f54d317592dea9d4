"""Clocks that are wrong: told, and no event is passed over for good."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.clock_doubts import clock_problems, looked_at_until
from sigma_stellar_aws.base import times
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.clock import StoreClock

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


class Filled(NamedTuple):
    """A store with an index of events, and one for alerts."""

    client: OpenSearch
    url: str
    name: str

    def add(self, number: int, time: datetime) -> None:
        """Add an event of an actor of its own."""
        body = {
            "eventID": f"00000000-0000-4000-8000-{number:012}",
            "eventSource": "kms.amazonaws.com",
            "eventName": "CreateKey",
            "userIdentity_arn": f"arn:aws:iam::111122223333:user/{number}",
            "timestamp": millis(time),
        }
        self.client.index(index=self.name, body=body, refresh=True)


@pytest.fixture
def filled(engine_url: str) -> Iterator[Filled]:
    """An index without events."""
    name = f"clock-{uuid.uuid4().hex}"
    with connect(engine_url, None, {}) as client:
        client.indices.create(
            index=name, body={"mappings": index_mappings(["eventSource", "eventName", "userIdentity_arn"])}
        )
        yield Filled(client, engine_url, name)
        client.indices.delete(index=f"{name},alerts-of-{name}", ignore_unavailable=True)


@pytest.fixture
def run(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[timedelta], tuple[object, int, str]]:
    """A run with a clock that is so far ahead: its exit code, how many alerts it tells, and what else."""
    command = ["alerts", "--url", filled.url, "--index", filled.name, "--write", f"alerts-of-{filled.name}", "--json"]
    command += ["--checkpoint", str(tmp_path / "checkpoint"), "--rules", "rules/aws_kms_key_created.yml"]

    def ran(ahead: timedelta) -> tuple[object, int, str]:
        monkeypatch.setattr(times, "now", lambda: datetime.now(timezone.utc) + ahead)
        with pytest.raises(SystemExit) as ended:
            main(command)
        shown = capsys.readouterr()
        return ended.value.code, len(shown.out.splitlines()), shown.err

    return ran


def test_a_clock_that_is_ahead_passes_nothing_over(
    filled: Filled, run: Callable[[timedelta], tuple[object, int, str]], tmp_path: Path
) -> None:
    """The checkpoint does not run ahead of the newest event, so that the next one is looked at, and it is told."""
    now = datetime.now(timezone.utc)
    for number, ahead in enumerate([48 * HOUR, 48 * HOUR, 0 * HOUR]):
        newest = now - timedelta(minutes=20 - number)
        filled.add(number, newest)
        code, alerts, errors = run(ahead)
        assert alerts == 1, (number, errors)
        assert (code == 3) == ("is 48 hours ahead of that of the data store" in errors) == (ahead > HOUR), errors
        through = json.loads((tmp_path / "checkpoint").read_text())["through"]
        assert datetime.fromisoformat(through) == newest.replace(microsecond=newest.microsecond // 1000 * 1000)


def test_events_of_the_future_and_late_ones_are_told(
    filled: Filled, run: Callable[[timedelta], tuple[object, int, str]]
) -> None:
    """An event that is dated later than now is told until it is looked at; a late one that was seen by chance, too."""
    now = datetime.now(timezone.utc)
    filled.add(0, now - 20 * HOUR)
    filled.add(1, now - HOUR)
    assert run(0 * HOUR)[:2] == (0, 2)
    filled.add(2, now + 3 * HOUR)
    code, alerts, errors = run(0 * HOUR)
    assert (code, alerts) == (3, 0)
    assert f"1 event of {filled.name} dated later than now" in errors
    # Earlier than the overlap goes back; it is read for the window of the first event, which is open.
    filled.add(3, now - 12 * HOUR)
    _, alerts, errors = run(0 * HOUR)
    assert alerts == 1
    assert "note: 1 alert of events that arrived later than runs overlap" in errors


@pytest.mark.parametrize(
    ("ahead", "later", "until", "expected"),
    [
        (HOUR, 0, NOON, []),
        (7 * HOUR, 0, NOON, ["is 7 hours ahead of that of"]),
        (-7 * HOUR, 0, NOON, ["is 7 hours behind that of"]),
        (HOUR, 2, NOON + HOUR, ["2 events of logs dated later than now, the last 2026-11-24T15:00:00Z"]),
        (HOUR, 2, None, []),
        (HOUR, 2, NOON - 100 * HOUR, []),
    ],
)
def test_problems(ahead: timedelta, later: int, until: datetime | None, expected: list[str]) -> None:
    """What is within the overlap needs no word; events of the future none where the search has another end."""
    clock = StoreClock(NOON, NOON + 3 * HOUR, later)
    found = list(clock_problems(clock, NOON + ahead, until, 6 * HOUR, "logs"))
    assert len(found) == len(expected)
    assert all(part in text for part, text in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    ("now", "newest", "expected"),
    [(NOON, None, NOON), (NOON, NOON - HOUR, NOON - HOUR), (NOON, NOON + HOUR, NOON), (NOON - HOUR, NOON, NOON - HOUR)],
)
def test_how_far_a_run_got(now: datetime, newest: datetime | None, expected: datetime) -> None:
    """Neither later than the store's time, nor than the newest event, nor than asked for."""
    assert looked_at_until(StoreClock(now, newest, 0), NOON) == expected
