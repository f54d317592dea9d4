"""Tables and styles of the terminal."""

from typing import TextIO

from rich.console import Console
from rich.table import Table

_STYLES = ((75, "bold red"), (50, "yellow"), (25, "cyan"), (0, "dim"))
_WIDTH_WITHOUT_TERMINAL = 160


def style_of(severity: int) -> str:
    """The style in which a severity is shown."""
    return next(style for least, style in _STYLES if severity >= least)


def table_of(*columns: str) -> Table:
    """An empty table in which nothing is cut off."""
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_table(table: Table, stream: TextIO) -> None:
    """Print a table in the width of the terminal, or a fixed one where there is none."""
    console_for(stream).print(table)


def console_for(stream: TextIO) -> Console:
    """A console in the width of the terminal, or a fixed one where there is none."""
    console = Console(file=stream)
    console.width = console.width if console.is_terminal else _WIDTH_WITHOUT_TERMINAL
    return console
