"""What a terminal is told while nothing else is printed."""

import sys
import threading

import pytest

from sigma_stellar_aws.cli import progress


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said on a standard error that is a terminal."""
    texts: list[str] = []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "note", texts.append)
    return texts


def test_what_takes_long_is_said(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment it is said what is being done, once."""
    spoken = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        spoken.set()

    monkeypatch.setattr(progress, "note", say)
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    with progress.telling("converting rules"):
        assert spoken.wait(60)
    assert said == ["converting rules ..."]


def test_what_is_quick_is_not_said(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends before, also by an error, leaves neither a word nor a thread."""
    monkeypatch.setattr(progress, "_PATIENCE", 3600)
    before = threading.active_count()
    with progress.telling("converting rules"):
        assert threading.active_count() == before + 1
    with pytest.raises(ValueError, match="broken"), progress.telling("converting rules"):
        raise ValueError("broken")
    assert (said, threading.active_count()) == ([], before)


def test_nothing_is_said_in_a_pipe(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of a scheduled run has nothing of it."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    before = threading.active_count()
    with progress.telling("converting rules"):
        assert threading.active_count() == before
    assert said == []
