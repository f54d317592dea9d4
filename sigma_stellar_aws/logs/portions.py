"""Log files that are read together, some of them copies of what has another name: standard input, objects in S3."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

from sigma_stellar_aws.logs.problem import Problem

STANDARD_INPUT = Path("-")
"""How standard input is named among files."""
_NAME = "standard input"


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
    """Yield files, with copies in the place of standard input (``-``) and of pipes, which can be read only once."""
    streams = [file for file in dict.fromkeys(files) if file == STANDARD_INPUT or file.is_fifo()]
    if not streams:
        yield Portion(files, {})
        return
    with TemporaryDirectory() as folder:
        copies = {file: Path(folder, str(number)) for number, file in enumerate(streams)}
        for file, copied in copies.items():
            with copied.open("wb") as target, _opened(file) as stream:
                shutil.copyfileobj(stream, target)
        names = {copied: _NAME if file == STANDARD_INPUT else str(file) for file, copied in copies.items()}
        yield Portion([copies.get(file, file) for file in files], names)


def _opened(file: Path) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if file == STANDARD_INPUT else file.open("rb")
