"""Noticing that files change."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sigma_stellar_aws.authoring.watch import changes, remembered


class EndError(Exception):
    """There is nothing more to wait for."""


def steps(*actions: Callable[[], object]) -> Callable[[], object]:
    """A wait in which one action happens at a time; behind the last the watching ends."""
    waiting = iter(actions)

    def wait() -> None:
        action = next(waiting, None)
        if action is None:
            raise EndError
        action()

    return wait


def watching(folder: Path, *actions: Callable[[], object]) -> list[set[str]]:
    """The names of the files of a folder that changed, at once and after each action that changed some."""
    seen: list[set[str]] = []
    found: Iterator[set[Path]] = changes(lambda: folder.glob("*"), steps(*actions))
    try:
        for changed in found:
            seen.append({file.name for file in changed})
    except EndError:
        return seen
    raise AssertionError("it ended by itself")


def test_changes(tmp_path: Path) -> None:
    """Files that are there, changed, new, deleted and replaced are told of, each time these and no others."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")

    def replace() -> None:
        (tmp_path.parent / "other").write_text("other text")
        (tmp_path.parent / "other").replace(one)

    assert watching(
        tmp_path,
        lambda: None,
        lambda: one.write_text("22"),
        lambda: two.write_text("new"),
        lambda: None,
        replace,
        lambda: os.utime(two, ns=(1, 1)),
        one.unlink,
        lambda: one.write_text("again"),
    ) == [{"one"}, {"one"}, {"two"}, {"one"}, {"two"}, {"one"}, {"one"}]


def test_change_between_two_answers_is_seen(tmp_path: Path) -> None:
    """A file that changes while the last change is still worked on is told of at the next look."""
    file = tmp_path / "file"
    file.write_text("1")
    found = changes(lambda: [file], steps(lambda: None))
    assert next(found) == {file}
    file.write_text("22")
    assert next(found) == {file}


def test_files_found_while_working_are_not_news(tmp_path: Path) -> None:
    """A file that comes to the list only because the others were read is told of when it changes, not before."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("1")
    second.write_text("2")
    listed = [first]
    found = changes(lambda: listed, steps(lambda: None, lambda: second.write_text("33")))
    assert next(found) == {first}
    listed.append(second)
    assert next(found) == {second}


def test_file_that_leaves_the_list_is_not_news(tmp_path: Path) -> None:
    """A file that is no longer looked for is told of only when it is gone."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("1")
    second.write_text("2")
    listed = [first, second]
    found = changes(
        lambda: listed, steps(lambda: listed.remove(second), lambda: first.write_text("11"), lambda: second.unlink())
    )
    assert [next(found), next(found), next(found)] == [{first, second}, {first}, {second}]


def test_remembered_reads_again_what_changed(tmp_path: Path) -> None:
    """A file is read again when it or a file that went into the result has changed, and only then."""
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("a")
    other.write_text("b")
    read: list[str] = []

    def reading(path: Path) -> str:
        read.append(path.name)
        return path.read_text() + other.read_text()

    remembering = remembered(reading, lambda result: [other])
    assert [remembering(file), remembering(file)] == ["ab", "ab"]
    other.write_text("bb")
    assert [remembering(file), remembering(file)] == ["abb", "abb"]
    file.write_text("aa")
    assert remembering(file) == "aabb"
    assert read == ["file"] * 3
