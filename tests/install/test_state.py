"""The state file."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.install.state import State, default_file, same_url

WHERE = "elastic https://kibana.example.com default"


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    """In another run, what was applied is known for the artefact that it was applied to, and for no other."""
    file = tmp_path / "new folder" / "state.json"
    State(file, WHERE).record("rule-1", "id-1", {"name": "x"})
    again = State(file, WHERE)
    assert again.rules() == {"rule-1": "id-1"}
    assert again.applied("rule-1", "id-1") == {"name": "x"}
    assert again.applied("rule-1", "id-2") is None
    assert again.applied("rule-2", "id-1") is None
    again.forget("rule-1", "id-2")
    assert State(file, WHERE).rules() == {"rule-1": "id-1"}
    again.forget("rule-1", "id-1")
    assert State(file, WHERE).rules() == {}


def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    """What another run has written since the file was read stays in it."""
    file = tmp_path / "state.json"
    one, other = State(file, WHERE), State(file, WHERE)
    one.record("rule-1", "id-1", {"name": "x"})
    other.record("rule-2", "id-2", {"name": "y"})
    other.write()
    assert State(file, WHERE).rules() == {"rule-1": "id-1", "rule-2": "id-2"}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("https://Kibana.Example.com:443/", "https://kibana.example.com", True),
        ("http://kibana.example.com:80/base/", "http://kibana.example.com/base", True),
        ("https://kibana.example.com:80", "https://kibana.example.com", False),
        ("https://[::1]:9200", "https://[::1]", False),
        ("https://kibana.example.com/Base", "https://kibana.example.com/base", False),
    ],
)
def test_ways_to_write_one_url(one: str, other: str, alike: bool) -> None:
    """The same server has the same file, however its name is written."""
    assert (same_url(one) == same_url(other)) is alike
    assert (default_file("elastic", one) == default_file("elastic", other)) is alike


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If writing fails, the old file is there as it was, and nothing beside it."""
    file = tmp_path / "state.json"
    state = State(file, WHERE)
    state.record("rule-1", "id-1", {"name": "x"})
    before = file.read_bytes()

    def fail(handle: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        state.record("rule-2", "id-2", {"name": "y"})
    assert file.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [file, file.with_name("state.json.lock")]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        pytest.param("[" * 100_000, id="deep"),
        "{}",
        '{"format": 2, "where": "x", "rules": {}}',
        '{"format": 1, "where": 5, "rules": {}}',
        '{"format": 1, "where": "x", "rules": []}',
        '{"format": 1, "where": "x", "rules": {"a": {"id": 5, "applied": {}}}}',
        '{"format": 1, "where": "x", "rules": {"a": {"id": "b", "applied": []}}}',
        '{"format": 1, "where": "x", "rules": {"a": 5}}',
    ],
)
def test_another_file_is_refused(content: str, tmp_path: Path) -> None:
    """A file that is something else is an error that names it, and it stays as it is."""
    file = tmp_path / "state.json"
    file.write_text(content, "utf-8")
    with pytest.raises(StoreError, match=r"state\.json is not a state file: .*; name another one with --state"):
        State(file, "x")
    assert file.read_text("utf-8") == content


def test_a_file_that_has_become_another_is_not_overwritten(tmp_path: Path) -> None:
    """Then what was done cannot be recorded, as on a full disk."""
    file = tmp_path / "state.json"
    state = State(file, WHERE)
    file.write_text("{}", "utf-8")
    with pytest.raises(OSError, match="is not a state file"):
        state.record("rule-1", "id-1", {"name": "x"})
    assert file.read_text("utf-8") == "{}"


def test_what_is_no_folder(tmp_path: Path) -> None:
    """A file in the place of the folder is named."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file is not a folder, so no state can be kept there; see --state"):
        State(tmp_path / "file" / "state.json", WHERE).write()


def test_the_file_of_another_system_is_refused(tmp_path: Path) -> None:
    """What was applied elsewhere says nothing of this system."""
    file = tmp_path / "state.json"
    State(file, WHERE).write()
    with pytest.raises(StoreError, match=f"is the state of {re.escape(WHERE)}, not of "):
        State(file, "elastic https://other.example.com default")
    assert json.loads(file.read_text("utf-8"))["where"] == WHERE


def test_each_system_has_a_file_of_its_own() -> None:
    """Targets, hosts, ports, base paths and spaces do not share one, and no name leaves the folder."""
    systems = [
        ("elastic", "https://kibana.example.com", "default"),
        ("elastic", "https://kibana.example.com", "soc"),
        ("elastic", "https://kibana.example.com:5601", "default"),
        ("elastic", "https://kibana.example.com/base", "default"),
        ("elastic", "https://[::1]:5601/../..", "default"),
        ("opensearch", "https://kibana.example.com", ""),
    ]
    files = {default_file(*system) for system in systems}
    assert len(files) == len(systems)
    assert {file.parent for file in files} == {Path(".sigma-stellar-aws")}
    assert default_file(*systems[2]).name == "elastic-kibana.example.com_5601-default.json"


_RECORD = """
import sys, pathlib
from sigma_stellar_aws.install.state import State
state = State(pathlib.Path(sys.argv[1]), sys.argv[2])
for number in range(40):
    state.record(f"{sys.argv[3]}-{number}", "id", {})
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """What three processes record at the same time is all there in the end."""
    file = tmp_path / "state.json"
    writers = [subprocess.Popen([sys.executable, "-c", _RECORD, str(file), WHERE, name]) for name in "abc"]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    assert len(State(file, WHERE).rules()) == 120


def test_what_another_process_recorded_anew_is_not_forgotten(tmp_path: Path) -> None:
    """Somebody who deletes an artefact forgets that one, not the one that another run has made since."""
    file = tmp_path / "state.json"
    one = State(file, WHERE)
    one.record("rule-1", "id-1", {})
    State(file, WHERE).record("rule-1", "id-2", {})
    one.forget("rule-1", "id-1")
    assert State(file, WHERE).rules() == {"rule-1": "id-2"}


def test_the_mode_and_a_link_stay(tmp_path: Path) -> None:
    """A file that a group shares, and that is kept elsewhere, stays so; a new one is private."""
    file, link = tmp_path / "kept" / "state.json", tmp_path / "state.json"
    State(file, WHERE).write()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o664)
    link.symlink_to(file)
    State(link, WHERE).record("rule-1", "id-1", {})
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o664
    assert State(file, WHERE).rules() == {"rule-1": "id-1"}
