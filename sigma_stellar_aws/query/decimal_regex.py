"""Comparisons of decimal numbers as Lucene regular expressions over their text.

On a keyword field a ``range`` compares text ("10" < "9"), so "greater than 5" is written as the pattern of all texts of
greater numbers. The texts are those of JSON numbers without an exponent: ``0``, ``-12``, ``3.50``.
"""

from collections.abc import Iterator
from decimal import Decimal

_FRACTION = "(\\.[0-9]+)?"
_ANY = f"(0|[1-9][0-9]*){_FRACTION}"


def comparison(operator: str, bound: int | float) -> str:
    """Return the pattern of all numbers n for which ``n operator bound`` holds; the operator is gt, gte, lt or lte.

    >>> import re
    >>> re.fullmatch(comparison("gte", 9), "10") is not None, re.fullmatch(comparison("gte", 9), "8.5") is not None
    (True, False)
    """
    text = format(abs(Decimal(str(bound))), "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    greater, less = list(_greater(whole, fraction)), list(_less(whole, fraction))
    zero = not whole.strip("0") and not fraction
    if operator.startswith("gt"):
        patterns = [_ANY, *_negative(less)] if bound < 0 else greater
    else:
        patterns = _negative(greater) if bound < 0 or zero else [*less, f"-{_ANY}"]
    if operator.endswith("e"):
        equal = [f"{whole}\\.{fraction}0*" if fraction else f"{'-?' if zero else ''}{whole}(\\.0+)?"]
        patterns += _negative(equal) if bound < 0 else equal
    return "|".join(patterns)


def _negative(patterns: list[str]) -> list[str]:
    return [f"-{pattern}" for pattern in patterns]


def _greater(whole: str, fraction: str) -> Iterator[str]:
    yield f"[1-9][0-9]{{{len(whole)},}}{_FRACTION}"
    for i, digit in enumerate(whole):
        if digit < "9":
            yield f"{whole[:i]}[{int(digit) + 1}-9]{_digits(len(whole) - i - 1)}{_FRACTION}"
    for i, digit in enumerate(fraction):
        if digit < "9":
            yield f"{whole}\\.{fraction[:i]}[{int(digit) + 1}-9][0-9]*"
    yield f"{whole}\\.{fraction}[0-9]*[1-9][0-9]*"


def _less(whole: str, fraction: str) -> Iterator[str]:
    if len(whole) > 1:
        yield f"(0|[1-9][0-9]{{0,{len(whole) - 2}}}){_FRACTION}"
    for i, digit in enumerate(whole):
        lowest = "1" if i == 0 and len(whole) > 1 else "0"
        if digit > lowest:
            yield f"{whole[:i]}[{lowest}-{int(digit) - 1}]{_digits(len(whole) - i - 1)}{_FRACTION}"
    for i, digit in enumerate(fraction):
        yield f"{whole}\\.{fraction[:i]}" if i else whole
        if digit > "0":
            yield f"{whole}\\.{fraction[:i]}[0-{int(digit) - 1}][0-9]*"


def _digits(count: int) -> str:
    return f"[0-9]{{{count}}}" if count else ""
