"""How long a value can be that matches what is asked, in the UTF-16 units of ``ignore_above``."""

from decimal import Decimal

from sigma_stellar_aws.query import lucene_regex
from sigma_stellar_aws.query.index_template import utf16_units
from sigma_stellar_aws.query.questions import Ask, Boolean, Comparison, Network, Number, Pattern, Text

# The shortest and the longest text of numbers (of as many digits as pySigma keeps), booleans and addresses.
_LENGTHS: dict[type, tuple[int, int]] = {Comparison: (1, 24), Boolean: (4, 5), Network: (2, 39)}


def value_lengths(ask: Ask) -> tuple[int, int | None]:
    """Return the least and the most UTF-16 units of a value that can match; None for no limit.

    >>> value_lengths(Text(("Delete", None), ignore_case=True))
    (6, None)
    """
    if isinstance(ask, Text):
        least = sum(utf16_units(part) if isinstance(part, str) else part == 1 for part in ask.parts)
        return least, None if None in ask.parts else least + ask.parts.count(1)
    if isinstance(ask, Pattern):
        least, most = lucene_regex.lengths(ask.regex)
        return least, None if most is None else most * 2
    if isinstance(ask, Number):
        length = len(str(indexed_number(ask.value)))
        return length, length
    return _LENGTHS[type(ask)]


def indexed_number(number: int | float) -> int | str:
    """Return a number as a value of a ``term`` query: a decimal as text.

    >>> indexed_number(5), indexed_number(12345678.0)
    (5, '12345678.0')
    """
    # On a keyword field a server compares the text of a number as Java writes it, which is 1.2345678E7 for 12345678.0.
    # A decimal given as text is right there and on numeric fields.
    return number if isinstance(number, int) else format(Decimal(str(number)), "f")
