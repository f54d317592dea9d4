"""A report of what could not be read in a log file, and why."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias


class Problem(NamedTuple):
    """Something that could not be read, and why."""

    file: Path | str
    """Where it is, or what it is a copy of."""
    line: int
    reason: str
    is_note: bool = False
    """Whether this is only worth knowing: all was read."""

    def __str__(self) -> str:
        """Return the problem as ``file:line: reason``.

        >>> str(Problem(Path("a.json"), 7, "damaged"))
        'a.json:7: damaged'
        """
        return f"{self.file}:{self.line}: {self.reason}"


OnProblem: TypeAlias = Callable[[Problem], None]
"""Called with each problem, as it is met."""
