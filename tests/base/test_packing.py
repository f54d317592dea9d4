"""Things as bytes."""

from typing import NamedTuple

import pytest

from sigma_stellar_aws.base.packing import Packing


class Thing(NamedTuple):
    """Something to write."""

    name: str
    number: int | None
    more: tuple[tuple[str, str | None], ...] = ()


@pytest.mark.parametrize(
    "thing",
    [
        Thing("", None),
        Thing("é\0", -(2**63), (("a", None), ("b", "c"))),
        Thing("half a character \ud800", 1),
        Thing("a number of more than 64 bits", 2**70),
    ],
)
def test_what_is_written_is_read(thing: Thing) -> None:
    """One thing, and a list of them, whatever JSON can hold."""
    assert Packing(Thing).unpack(Packing(Thing).pack(thing)) == thing
    assert Packing(list[Thing]).unpack(Packing(list[Thing]).pack([thing, thing])) == [thing, thing]
