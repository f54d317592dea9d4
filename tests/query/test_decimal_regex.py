"""Comparisons of numbers over their text."""

import operator
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.query import decimal_regex, dsl
from sigma_stellar_aws.query.evaluate import compile_query

OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def holds(name: str, bound: int | float, text: str) -> bool:
    """What the clause of a comparison says of a text."""
    return compile_query(dsl.regexp("f", decimal_regex.comparison(name, bound)))({"f": text})


@st.composite
def decimals(draw: st.DrawFn) -> str:
    """Texts of numbers that are often equal or close to each other, some with zeros at the end."""
    digits = draw(st.one_of(st.integers(-12, 12), st.integers(-1200, 1200), st.integers(-(10**9), 10**9)))
    places = draw(st.integers(0, 3))
    text = f"{Decimal(digits).scaleb(-places):f}"
    return text + "0" * draw(st.integers(0, 2)) if places else text


@given(st.sampled_from(sorted(OPERATORS)), decimals(), decimals())
def test_pattern_matches_exactly_the_numbers_for_which_the_comparison_holds(name: str, bound: str, text: str) -> None:
    """For any bound and any text of a number, the pattern says what decimal arithmetic says."""
    number = float(bound) if "." in bound else int(bound)
    assert holds(name, number, text) == OPERATORS[name](Decimal(text), Decimal(bound))


@given(st.sampled_from(sorted(OPERATORS)), st.integers(-(10**20), 10**20), st.integers(-2, 2))
def test_neighbours_of_large_numbers_are_told_apart(name: str, bound: int, distance: int) -> None:
    """No digit of a large number is lost, as it would be in a float."""
    assert holds(name, bound, str(bound + distance)) == OPERATORS[name](Decimal(distance), Decimal(0))


@pytest.mark.parametrize(
    ("name", "bound", "yes", "no"),
    [
        ("gt", 9, ["10", "9.01", "90", "1000.5"], ["9", "9.00", "8.99", "0", "-10"]),
        ("gte", 0.5, ["0.5", "0.50", "0.51", "1", "10"], ["0.49", "0", "0.05", "-0.5"]),
        ("lt", 10, ["9", "9.99", "0", "-11", "-0.1"], ["10", "10.0", "11", "100"]),
        ("lte", -1.5, ["-1.5", "-1.50", "-1.51", "-2", "-10"], ["-1.49", "-1", "0", "1.5"]),
        ("gt", -1, ["-0.99", "0", "5"], ["-1", "-1.0", "-1.01", "-10"]),
        ("gte", 0, ["0", "-0", "0.0", "-0.0", "7"], ["-0.1", "-7"]),
        ("lt", 0, ["-0.1", "-7"], ["0", "-0", "0.0", "7"]),
        ("lt", 1e-7, ["0.00000009", "0", "-1"], ["0.0000001", "0.1"]),
        ("gt", 1e21, ["1000000000000000000001"], ["1000000000000000000000", "1"]),
    ],
)
def test_comparison_by_example(name: str, bound: float, yes: list[str], no: list[str]) -> None:
    """The order is that of numbers, not of texts, whatever zeros end them."""
    assert [text for text in yes + no if holds(name, bound, text)] == yes


@pytest.mark.parametrize("text", ["", "-", "a", "5a", "a5", " 5", "05", "5.", ".5", "1e5", "5\n", "true"])
def test_text_that_is_no_plain_decimal_number_never_matches(text: str) -> None:
    """Neither a comparison nor its opposite holds for a text that is not written as JSON writes numbers."""
    assert not any(holds(name, bound, text) for name in OPERATORS for bound in (-3, 0, 4.5))
