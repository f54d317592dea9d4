"""Text for people: safe to print, and safe in a cell of a spreadsheet."""

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the start of a formula, full-width forms included."""


def printable(text: str) -> str:
    """The text without what could steer a terminal: log records hold what attackers typed."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def cell(text: str) -> str:
    """The text as a cell of CSV: printable, and no formula to a spreadsheet."""
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
