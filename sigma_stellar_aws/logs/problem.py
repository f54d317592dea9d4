"""What could not be read in a log file, and why."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias


class Problem(NamedTuple):
    """Something that could not be read, and why."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        """The problem as ``file:line: reason``."""
        return f"{self.file}:{self.line}: {self.reason}"


OnProblem: TypeAlias = Callable[[Problem], None]
