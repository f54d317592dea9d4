"""Tables and styles of the terminal."""

import os
from typing import TextIO

from rich.console import Console
from rich.table import Table

from sigma_stellar_aws.base.severity import SEVERITY_BANDS

_STYLES = {"high": "bold red", "medium": "yellow", "low": "cyan", "info": "dim"}


UNBROKEN = 10_000
"""A width in which no line is broken, for output that other programs read."""
_UNKNOWN = 80
"""Columns of a terminal that does not say how wide it is."""
_LEAST = 40
"""Columns of the narrowest table: in fewer, each letter would have a line of its own."""


def style_of(severity: int) -> str:
    """Return the style in which a severity from 0 to 100 is shown."""
    return next(_STYLES[band] for band, least in SEVERITY_BANDS.items() if severity >= least)


def table_of(*columns: str) -> Table:
    """Return an empty table in which nothing is cut off."""
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_table(table: Table, stream: TextIO) -> None:
    """Print a table as wide as the terminal, or 160 columns where there is none."""
    console_for(stream).print(table)


def console_for(stream: TextIO, *, width: int = 160, wrap: bool = True) -> Console:
    """Return a console as wide as the terminal, or of a fixed width where there is none.

    Args:
        stream: where to print.
        width: columns where the stream is not a terminal.
        wrap: whether lines are broken between words; a line that others read, such as a path, stays whole.
    """
    console = Console(file=stream, highlight=False, soft_wrap=not wrap)
    if _is_wide_as_stated(stream, width):
        console.width = max(console.width or _UNKNOWN, _LEAST)
    else:
        console.width = width
    return console


def _is_wide_as_stated(stream: TextIO, width: int) -> bool:
    """Tell whether there is a terminal, or somebody says how wide what is written to a file shall be (COLUMNS).

    FORCE_COLOR says nothing of a width, and neither do 0 columns, as some terminals without a size have it.
    """
    stated = os.environ.get("COLUMNS", "")
    return stream.isatty() or (width != UNBROKEN and stated.isdigit() and int(stated) > 0)
