"""Things in order, however many they are."""

import sqlite3
import tracemalloc
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.base.errors import TemporaryDataError
from sigma_stellar_aws.base.external_sort import ExternalSort, in_order, in_order_of_names


class Thing(NamedTuple):
    """Something to put in order."""

    time: int | None
    name: str
    number: int = 0


def ordered(things: Iterator[Thing] | list[Thing]) -> ExternalSort[Thing]:
    """The things in order."""
    return in_order(things, lambda thing: thing.time, lambda thing: thing.name)


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(-(2**62), 2**62)), st.text(max_size=3))))
def test_order(drawn: list[tuple[int | None, str]]) -> None:
    """Things come in order of time, then of name, then as they came, those without a time last; none is lost."""
    things = [Thing(time, name, number) for number, (time, name) in enumerate(drawn)]
    expected = sorted(things, key=lambda t: (t.time is None, t.time or 0, t.name.encode("utf-8", "surrogatepass")))
    assert list(ordered(things)) == expected


@pytest.mark.parametrize("in_memory", [10_000, 2])
@given(
    drawn=st.lists(
        st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.text(st.characters(codec="utf-8"), max_size=2))
    )
)
def test_names_of_one_time_come_in_order(drawn: list[tuple[int | None, str]], in_memory: int) -> None:
    """Things that come in order of time come in that of their names, too, however many have one time."""
    things = [Thing(time, name, number) for number, (time, name) in enumerate(drawn)]
    in_time = sorted(things, key=lambda thing: (thing.time is None, thing.time or 0))
    expected = sorted(in_time, key=lambda thing: (thing.time is None, thing.time or 0, thing.name))
    found = in_order_of_names(in_time, lambda thing: thing.time, lambda thing: thing.name, in_memory=in_memory)
    assert [*found] == expected


def test_names_that_are_no_valid_text() -> None:
    """A name may hold half a surrogate pair or a null, as an event id in a log may."""
    things = [Thing(0, "\ud800"), Thing(0, "a\0b"), Thing(0, "")]
    assert sorted(ordered(things)) == sorted(things)


def test_nothing_is_given_before_all_is_there() -> None:
    """Where taking the things fails, none has been given."""
    given_out: list[Thing] = []

    def failing() -> Iterator[Thing]:
        yield Thing(0, "a")
        raise ZeroDivisionError

    try:
        given_out.extend(ordered(failing()))
    except ZeroDivisionError:
        assert given_out == []
    else:
        raise AssertionError("the error is gone")


def test_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where temporary data finds no room, the error says so, and where to name another folder."""
    real = sqlite3.connect

    def small(name: str, **options: Any) -> sqlite3.Connection:
        database: sqlite3.Connection = real(name, **options)
        database.execute("PRAGMA max_page_count = 4")
        return database

    monkeypatch.setattr("sqlite3.connect", small)
    with pytest.raises(TemporaryDataError, match=r"no room for temporary data .*SQLITE_TMPDIR"):
        ordered([Thing(0, "x" * 1000, number) for number in range(100)])


def test_memory_does_not_grow_with_their_number() -> None:
    """A hundred thousand things of 1 KB each take no memory of Python's."""
    tracemalloc.start()
    try:
        count = sum(1 for _ in ordered(Thing(-number, "x" * 1000) for number in range(100_000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert peak < 1_000_000
