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
        lengths = [len(str(spelling)) for spelling in number_spellings(ask.value)]
        return min(lengths), max(lengths)
    return _LENGTHS[type(ask)]


def indexed_number(number: int | float) -> int | str:
    """Return a number as a value of a ``term`` query: a decimal as text.

    >>> indexed_number(5), indexed_number(12345678.0)
    (5, '12345678.0')
    """
    # On a keyword field a server compares the text of a number as Java writes it, which is 1.2345678E7 for 12345678.0.
    # A decimal given as text is right there and on numeric fields.
    return number if isinstance(number, int) else format(Decimal(str(number)), "f")


def number_spellings(number: int | float) -> list[int | str]:
    """Return the texts under which a keyword field may hold a number: as JSON is written by Python and by Java.

    >>> number_spellings(5), number_spellings(2.5), number_spellings(1e-07)
    ([5, '5.0'], ['2.5'], ['0.0000001', '1e-07', '1e-7', '1E-7', '1.0E-7'])
    """
    if isinstance(number, int):
        return [number, f"{number}.0"]
    plain, written = format(Decimal(str(number)), "f"), str(number)
    if "e" not in written:
        return [plain]
    digits, _, exponent = written.partition("e")
    power = int(exponent)
    java = digits if "." in digits else f"{digits}.0"
    return [plain, written, f"{digits}e{power}", f"{digits}E{power}", f"{java}E{power}"]
