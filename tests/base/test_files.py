"""Replacing files as a whole."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sigma_stellar_aws.base.files import replace_text, replacing


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_new_file(tmp_path: Path) -> None:
    """A new file has the mode that other programs would give it, and nothing is left beside it."""
    file, usual = tmp_path / "new.txt", tmp_path / "usual.txt"
    usual.touch()
    replace_text(file, "caf\u00e9\n")
    assert file.read_bytes() == "caf\u00e9\n".encode()
    assert _mode(file) == _mode(usual)
    assert sorted(tmp_path.iterdir()) == [file, usual]


def test_a_new_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    """At no time may others read what is written."""
    file = tmp_path / "private"
    with replacing(file, private=True) as stream:
        stream.write(b"secret")
        assert [_mode(each) for each in tmp_path.iterdir()] == [0o600]
    assert _mode(file) == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
@pytest.mark.parametrize("private", [False, True])
def test_the_mode_stays(tmp_path: Path, mode: int, private: bool) -> None:
    """Who may read a file is decided by whoever made it."""
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(mode)
    replace_text(file, "new", private=private)
    assert (file.read_text(), _mode(file)) == ("new", mode)


@pytest.mark.skipif(not hasattr(os, "chown") or os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    """Somebody who may write for others, such as root, takes no file from them."""
    file = tmp_path / "file"
    file.write_text("old")
    os.chown(file, 12345, 23456)
    file.chmod(0o660)
    replace_text(file, "new")
    assert (file.stat().st_uid, file.stat().st_gid, _mode(file)) == (12345, 23456, 0o660)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(tmp_path: Path, there: bool) -> None:
    """The file that a chain of links leads to is replaced, or made; the links stay."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    target = folder / "target"
    if there:
        target.write_text("old")
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(Path("elsewhere") / "target")
    replace_text(tmp_path / "one", "new")
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "two").is_symlink()
    assert target.read_text() == "new"


def test_what_breaks_off_changes_nothing(tmp_path: Path) -> None:
    """An error on the way leaves the old file, and nothing beside it."""
    file = tmp_path / "file"
    file.write_text("old")

    def break_off() -> None:
        with replacing(file) as stream:
            stream.write(b"half")
            stream.flush()
            assert file.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_whoever_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    """Half a file never stands under the name."""
    file = tmp_path / "file"
    file.write_text("old")
    code = (
        "import os, sys, pathlib, signal; from sigma_stellar_aws.base.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(file)]).returncode < 0
    assert file.read_text() == "old"


def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """The message names the file and the reason, and the old file stays."""
    file = tmp_path / "file"
    file.write_text("old")
    code = (
        "import sys, pathlib, resource, signal; from sigma_stellar_aws.base.files import replace_text\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n    replace_text(pathlib.Path(sys.argv[1]), 'x' * 1000)\nexcept OSError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True).stdout
    assert told == f"{file} cannot be written: File too large\n"
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_where_there_is_no_folder(tmp_path: Path) -> None:
    """The reason is told in words."""
    with pytest.raises(OSError, match=r"none/file cannot be written: there is no folder .*none$"):
        replace_text(tmp_path / "none" / "file", "new")


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    """A folder of that name stays."""
    with pytest.raises(OSError, match=r"cannot be written: Is a directory"):
        replace_text(tmp_path, "new")
    assert tmp_path.is_dir()


def test_a_circle_of_links_is_told(tmp_path: Path) -> None:
    """A link that leads to itself is an error that names it."""
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match=r"link cannot be written"):
        replace_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """A pipe or a device is not replaced by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    replace_text(pipe, "through")
    assert reader.communicate(timeout=30)[0] == "through"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_long_name(tmp_path: Path) -> None:
    """A name as long as the file system takes can be replaced, too."""
    file = tmp_path / ("x" * 255)
    file.write_text("old")
    replace_text(file, "new")
    assert file.read_text() == "new"
