"""The rules in the folders that an editor has opened."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from sigma_stellar_aws.authoring.rule_documents import FileContent, read_documents
from sigma_stellar_aws.editor.completion import KnownRule
from sigma_stellar_aws.editor.diagnostics import holds_rules
from sigma_stellar_aws.rule_files.find import is_test_file, is_yaml_file

MOST_FILES = 5_000
"""Most YAML files that are looked at: a folder may hold much else."""

_LARGEST = 1_000_000
_STEP_SECONDS = 0.02
# Folders of what others wrote.
_PASSED_OVER = frozenset({"node_modules", "site-packages", "venv"})


class _Read(NamedTuple):
    stamp: tuple[int, int]
    """Time and size of the file when it was read."""
    content: FileContent | None
    """None for YAML that is not a rule."""


class RuleFolders:
    """The rules of some folders: read once, and again where a file has changed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Take the folders; nothing is read yet."""
        self.folders = tuple(folders)
        self._files: dict[Path, _Read] = {}

    def refresh(self) -> Iterator[bool | None]:
        """Read what is new or has changed, a few files at a time.

        Yields:
            None after each step but the last; then whether anything has changed.
        """
        found: dict[Path, _Read] = {}
        until = time.monotonic() + _STEP_SECONDS
        for file in _rule_files(self.folders):
            if time.monotonic() > until:
                yield None
                until = time.monotonic() + _STEP_SECONDS
            try:
                status = file.stat()
                stamp = (status.st_mtime_ns, status.st_size)
                before = self._files.get(file)
                found[file] = before if before and before.stamp == stamp else _Read(stamp, _content_of_file(file))
            except OSError:
                # It went away meanwhile, or nobody may read it.
                continue
        has_changed = found != self._files
        self._files = found
        yield has_changed

    def others(self, path: Path | None, opened: Mapping[Path, str]) -> list[FileContent]:
        """Return the contents of the files beside one, as the editor shows them where it has them open.

        Args:
            path: the file; None for a text that was never saved.
            opened: the texts of the files that are open.
        """
        if path is not None and not any(path.is_relative_to(folder) for folder in self.folders):
            return []
        own = None if path is None else os.path.realpath(path)
        shown = {os.path.realpath(file): (file, text) for file, text in opened.items()}
        found: list[FileContent] = []
        for file, read in self._files.items():
            real = os.path.realpath(file)
            if real == own or read.content is None:
                continue
            content = _content_of_text(*shown[real]) if real in shown else read.content
            if content is not None:
                found.append(content)
        return found


def known_rules(contents: Sequence[FileContent]) -> list[KnownRule]:
    """Return the rules of some files as others may name them: by name, or else by id."""
    found: list[KnownRule] = []
    for subject in (subject for content in contents for subject in content.subjects):
        rule = subject.rule
        if isinstance(rule, (SigmaRule, SigmaCorrelationRule)) and not subject.is_filter and (rule.name or rule.id):
            found.append(KnownRule(str(rule.name or rule.id), subject.title))
    return found


def _rule_files(folders: Sequence[Path]) -> Iterator[Path]:
    count = 0
    for folder in folders:
        for parent, inner, names in os.walk(folder):
            inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in _PASSED_OVER)
            for name in sorted(names):
                file = Path(parent, name)
                if is_yaml_file(file) and not is_test_file(file) and not name.startswith("."):
                    count += 1
                    if count > MOST_FILES:
                        return
                    yield file


def _content_of_file(file: Path) -> FileContent | None:
    if file.stat().st_size > _LARGEST:
        return None
    try:
        text = file.read_text(encoding="utf-8")
    except ValueError:
        return None
    return read_documents(file, text) if holds_rules(file, text) else None


# Only ever beside the file that is checked, so that nothing changes these rules.
@lru_cache(maxsize=64)
def _content_of_text(file: Path, text: str) -> FileContent | None:
    return read_documents(file, text) if holds_rules(file, text) else None
