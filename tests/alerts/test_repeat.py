"""Runs that follow each other, and the checkpoint between them."""

import json
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from sigma_stellar_aws.alerts.checkpoint import Checkpoint
from sigma_stellar_aws.alerts.repeat import RunSpan, repeat
from sigma_stellar_aws.base.errors import CheckpointError, StoreError, UserError

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SEARCH = {"index": "logs", "write": "alerts"}
HOUR = timedelta(hours=1)


class Clock:
    """Gives times one after the other, and stops the runs when there are no more."""

    def __init__(self, *times: datetime) -> None:
        """Of these times."""
        self.times = list(times)
        self.waited: list[timedelta] = []
        self.failures: list[UserError] = []

    def runs(
        self,
        *,
        file: Path | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        interval: timedelta | None = None,
        search: dict[str, str] = SEARCH,
        fails: tuple[int, ...] = (),
    ) -> list[RunSpan]:
        """The runs, with an overlap of half an hour; those of some numbers fail."""
        found: list[RunSpan] = []

        def wait(pause: float) -> None:
            self.waited.append(timedelta(seconds=pause))
            if not self.times:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            for run in repeat(
                since=since,
                until=until,
                checkpoint=Checkpoint(file, dict(search)) if file else None,
                overlap=HOUR / 2,
                interval=interval,
                wait=wait,
                now=lambda: self.times.pop(0),
            ):
                with run as span:
                    found.append(span)
                    if len(found) in fails:
                        raise StoreError("on purpose")
                if run.error:
                    self.failures.append(run.error)
        return found


def test_a_single_run() -> None:
    """Without an interval there is one run, from where it is told to begin, or from the first event."""
    assert Clock(NOON).runs(since=NOON - HOUR) == [RunSpan(NOON - HOUR, NOON, NOON - HOUR, False)]
    assert Clock(NOON).runs() == [RunSpan(None, NOON, None, False)]
    assert Clock().runs(until=NOON - HOUR) == [RunSpan(None, NOON - HOUR, None, False)]


def test_runs_follow_each_other() -> None:
    """Each run goes back behind the end of the last one by the overlap, after a pause."""
    clock = Clock(NOON, NOON + HOUR, NOON + 3 * HOUR)
    assert clock.runs(interval=HOUR) == [
        RunSpan(None, NOON, None, False),
        RunSpan(NOON - HOUR / 2, NOON + HOUR, None, True),
        RunSpan(NOON + HOUR / 2, NOON + 3 * HOUR, None, True),
    ]
    assert clock.waited == [HOUR] * 3


def test_a_checkpoint_goes_on(tmp_path: Path) -> None:
    """A run with the checkpoint of another begins where that ended, whatever --since says."""
    file = tmp_path / "checkpoint"
    Clock(NOON).runs(file=file, since=NOON - 2 * HOUR)
    later = NOON + 50 * HOUR
    [span] = Clock(later).runs(file=file, since=later - HOUR)
    assert span == RunSpan(NOON - HOUR / 2, later, NOON - 2 * HOUR, True)
    assert list(tmp_path.iterdir()) == [file]


def test_no_run_goes_back_behind_the_first(tmp_path: Path) -> None:
    """The overlap does not reach before the time that the first run was told to begin at."""
    file = tmp_path / "checkpoint"
    Clock(NOON).runs(file=file, since=NOON - HOUR / 4)
    for times in (Clock(NOON + HOUR / 8), Clock(NOON + HOUR / 4)):
        [span] = times.runs(file=file)
        assert (span.since, span.floor) == (NOON - HOUR / 4, NOON - HOUR / 4)


def test_a_run_that_fails_is_not_done(tmp_path: Path) -> None:
    """The checkpoint moves when a run is done, not when it fails."""
    file = tmp_path / "checkpoint"
    Clock(NOON).runs(file=file)
    held = file.read_bytes()
    with pytest.raises(StoreError):
        Clock(NOON + HOUR).runs(file=file, fails=(1,))
    assert file.read_bytes() == held


def test_runs_go_on_after_a_failure() -> None:
    """Of several runs, the one after a failure does its work, too."""
    clock = Clock(NOON, NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR)
    spans = clock.runs(interval=HOUR, fails=(2, 3))
    assert [(span.since, span.until) for span in spans[1:]] == [
        (NOON - HOUR / 2, NOON + hours * HOUR) for hours in (1, 2, 3)
    ]
    assert [str(error) for error in clock.failures] == ["on purpose"] * 2


def test_a_clock_that_was_set_back_opens_no_gap(tmp_path: Path) -> None:
    """Where the clock is behind the checkpoint, the run begins before the clock's time."""
    file = tmp_path / "checkpoint"
    Clock(NOON).runs(file=file)
    [span] = Clock(NOON - HOUR).runs(file=file)
    assert (span.since, span.until) == (NOON - 1.5 * HOUR, NOON - HOUR)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        json.dumps({"through": "2026-11-24T12:00:00", "search": SEARCH}),
        json.dumps({"through": 7, "search": SEARCH}),
        json.dumps({"through": NOON.isoformat()}),
        json.dumps({"through": NOON.isoformat(), "search": SEARCH}),
        json.dumps({"through": NOON.isoformat(), "since": "2026-11-24T12:00:00", "search": SEARCH}),
        "\udcff",
        "[" * 100_000,
        json.dumps({"through": "0001-01-01T00:00:00+14:00", "since": None, "search": SEARCH}),
        json.dumps({"through": NOON.isoformat(), "since": "0001-01-01T00:00:00+14:00", "search": SEARCH}),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, text: str) -> None:
    """A file that is no checkpoint is told by name, and left as it is."""
    file = tmp_path / "checkpoint"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(CheckpointError, match="checkpoint is not a checkpoint"):
        Clock(NOON).runs(file=file)
    assert file.read_bytes() == text.encode(errors="surrogateescape")


def test_the_checkpoint_of_another_search_is_refused(tmp_path: Path) -> None:
    """A checkpoint says of one search up to where it is done, and nothing of another."""
    file = tmp_path / "checkpoint"
    Clock(NOON).runs(file=file)
    with pytest.raises(CheckpointError, match=r"another search.*logs.*other"):
        Clock(NOON).runs(file=file, search={"index": "other", "write": "alerts"})


def test_a_checkpoint_that_cannot_be_written_is_told_first(tmp_path: Path) -> None:
    """A folder that is not there ends it before anything is done."""
    with pytest.raises(CheckpointError, match="cannot be written"):
        Clock().runs(file=tmp_path / "none" / "checkpoint")
