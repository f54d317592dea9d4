"""Log files that are read together, some of them copies of what has another name: standard input, objects in S3."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sigma_stellar_aws.logs.problem import Problem

STANDARD_INPUT = Path("-")
"""How standard input is named among files."""


class Portion(NamedTuple):
    """Files that are read together, and what to call those that are copies."""

    files: Sequence[Path]
    names: Mapping[Path, str]

    def name_of(self, file: Path | str) -> str:
        """Return what to call a file, or one in an archive: the name of what it is a copy of, or else its path.

        >>> Portion([], {Path("/tmp/1.zip"): "s3://example/1.zip"}).name_of(Path("/tmp/1.zip/a.json"))
        's3://example/1.zip/a.json'
        """
        for path in (Path(file), *Path(file).parents) if self.names else ():
            if path in self.names:
                return str(file).replace(str(path), self.names[path], 1)
        return str(file)

    def told(self, problem: Problem) -> Problem:
        """Return a problem with the name of its file."""
        return problem._replace(file=self.name_of(problem.file)) if self.names else problem


@contextmanager
def with_standard_input(files: Sequence[Path]) -> Iterator[Portion]:
    """Yield files, with a copy of standard input, which several processes may read, in the place of ``-``."""
    if STANDARD_INPUT not in files:
        yield Portion(files, {})
        return
    with TemporaryDirectory() as folder:
        copied = Path(folder) / "input"
        with copied.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        yield Portion([copied if file == STANDARD_INPUT else file for file in files], {copied: "standard input"})
