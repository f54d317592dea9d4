"""One process at a time."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sigma_stellar_aws.base.file_lock import locked

_COUNT = """
import sys, pathlib
from sigma_stellar_aws.base.file_lock import locked
file = pathlib.Path(sys.argv[1])
for _ in range(100):
    with locked(file):
        number = int(file.read_text())
        file.write_text(str(number + 1))
"""


def test_processes_wait_for_each_other(tmp_path: Path) -> None:
    """What is read and written under the lock is not changed by others in between, by way of a link either."""
    file = tmp_path / "number"
    file.write_text("0")
    (tmp_path / "link").symlink_to(file)
    names = [file, tmp_path / "link", file]
    counting = [subprocess.Popen([sys.executable, "-c", _COUNT, str(name)]) for name in names]
    assert [process.wait(timeout=120) for process in counting] == [0, 0, 0]
    assert file.read_text() == "300"


def test_a_lock_that_is_kept_is_told(tmp_path: Path) -> None:
    """Whoever waits in vain learns for what; afterwards the lock can be had."""
    file = tmp_path / "number"

    def wait_in_vain() -> None:
        with locked(file, wait=0.2):
            raise AssertionError("locked twice")

    with (
        locked(file),
        pytest.raises(OSError, match=r"number cannot be changed: another process has held .*\.lock for 0\.2 seconds"),
    ):
        wait_in_vain()
    with locked(file, wait=0.2):
        pass


def test_whoever_may_change_the_file_may_lock_it(tmp_path: Path) -> None:
    """The lock of a file that a group shares is the group's, too."""
    file = tmp_path / "shared"
    file.touch()
    file.chmod(0o664)
    with locked(file):
        assert stat.S_IMODE((tmp_path / "shared.lock").stat().st_mode) == 0o664


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Where something else has the name of the lock, the message says so."""
    (tmp_path / "number.lock").mkdir()
    with (
        pytest.raises(OSError, match=r"number cannot be changed: .*number\.lock cannot be locked"),
        locked(tmp_path / "number"),
    ):
        pass
