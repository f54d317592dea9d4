"""The file that says which log files were read."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.alerts.log_checkpoint import ReadFile, open_log_checkpoint
from sigma_stellar_aws.base.errors import CheckpointError
from sigma_stellar_aws.base.times import millis

NOW = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
SEARCH = {"logs": "s3://example/"}


def hit(time: datetime | None) -> Hit:
    """A hit at a time, with half a character in it."""
    at = None if time is None else millis(time)
    return Hit(at, "a", "b", "c", "d", "", "\ud800", "", "", "", "s3://example/a", (("rule", ("x", None)),))


def test_what_was_done_is_known(tmp_path: Path) -> None:
    """Files that were read are not new, and no others; hits are kept as long as they count."""
    file = tmp_path / "checkpoint"
    with open_log_checkpoint(file, SEARCH) as checkpoint:
        assert (checkpoint.through, checkpoint.floor, checkpoint.written) == (None, None, None)
        assert checkpoint.is_new("a", NOW - 9 * HOUR)
        files = [ReadFile("a", NOW), ReadFile("b", NOW - HOUR / 2), ReadFile("c", NOW - 2 * HOUR, was_read=False)]
        hits = [hit(NOW), hit(NOW - 2 * HOUR), hit(None)]
        checkpoint.write(NOW, NOW - HOUR, files, hits, keep_from=NOW - HOUR, all_listed=True)
    with open_log_checkpoint(file, SEARCH) as checkpoint:
        assert (checkpoint.through, checkpoint.floor, checkpoint.written) == (NOW, NOW - HOUR, NOW)
        assert [*checkpoint.hits()] == [hit(NOW), hit(None)]
        assert checkpoint.unread() == [("c", NOW - 2 * HOUR)]
        known = {"a": NOW, "b": NOW - HOUR / 2, "c": NOW - 2 * HOUR, "d": NOW - HOUR / 2, "e": NOW - 2 * HOUR}
        # What was written so long ago was listed.
        assert [name for name, written in known.items() if checkpoint.is_new(name, written)] == ["d"]
        checkpoint.write(NOW + HOUR, None, [ReadFile("f", NOW + HOUR)], [], keep_from=NOW, all_listed=False)
        assert checkpoint.unread() == []
    with open_log_checkpoint(file, SEARCH) as checkpoint:
        # A folder that could not be listed may have files from before the latest one.
        assert (checkpoint.through, checkpoint.written) == (NOW + HOUR, NOW)


def test_a_run_that_breaks_off_changes_nothing(tmp_path: Path) -> None:
    """What is not written whole is not there."""
    hits = (hit(NOW - (1 // number) * HOUR) for number in (1, 0))
    with open_log_checkpoint(tmp_path / "checkpoint", SEARCH) as checkpoint, pytest.raises(ZeroDivisionError):
        checkpoint.write(NOW, None, [ReadFile("a", NOW)], hits, keep_from=NOW - 9 * HOUR, all_listed=True)
    with open_log_checkpoint(tmp_path / "checkpoint", SEARCH) as checkpoint:
        assert checkpoint.through is None
        assert checkpoint.is_new("a", NOW)
        assert [*checkpoint.hits()] == []


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    """Another file, and that of another search, is left as it is."""
    (tmp_path / "text").write_text('{"through": "2026-01-05"}\n' * 100)
    with (
        pytest.raises(CheckpointError, match="remove it to begin anew"),
        open_log_checkpoint(tmp_path / "text", SEARCH),
    ):
        pass
    with open_log_checkpoint(tmp_path / "checkpoint", SEARCH) as checkpoint:
        checkpoint.write(NOW, None, [], [], keep_from=NOW, all_listed=True)
    with (
        pytest.raises(CheckpointError, match="of another search"),
        open_log_checkpoint(tmp_path / "checkpoint", {"logs": "s3://other/"}),
    ):
        pass
    with pytest.raises(CheckpointError, match="unable to open"), open_log_checkpoint(tmp_path / "none/a", SEARCH):
        pass


def test_hits_of_another_version_are_refused(tmp_path: Path) -> None:
    """What this version cannot read is an error with a remedy."""
    with open_log_checkpoint(tmp_path / "checkpoint", SEARCH) as checkpoint:
        checkpoint.write(NOW, None, [], [hit(NOW)], keep_from=NOW, all_listed=True)
    with closing(sqlite3.connect(tmp_path / "checkpoint")) as database, database:
        database.execute("UPDATE hit SET hit = '[1]'")
    with (
        open_log_checkpoint(tmp_path / "checkpoint", SEARCH) as checkpoint,
        pytest.raises(CheckpointError, match="another version"),
    ):
        list(checkpoint.hits())
