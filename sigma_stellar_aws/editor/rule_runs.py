"""The tests beside a rule: how many there are, and what comes of them."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from sigma_stellar_aws.authoring.rule_tests import (
    TrialResult,
    load_suite,
    print_failures,
    run_trials,
    summary_of_results,
)
from sigma_stellar_aws.authoring.sample_events import CaseGroup, read_case_file
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.editor.outline import read_outline, unquoted
from sigma_stellar_aws.rule_files.find import is_test_file

_WIDTH = 100


class Lens(NamedTuple):
    """What is shown above a rule."""

    line: int
    """From 0."""
    title: str


class FailedCase(NamedTuple):
    """A case in which a rule does not do what it should."""

    file: Path
    line: int
    """From 1."""
    message: str


class TestRun(NamedTuple):
    """What came of the tests of a file."""

    summary: str
    failed: tuple[FailedCase, ...]
    details: str
    """For each failure what decided it."""
    problems: tuple[str, ...]


def lenses(text: str, rule_file: Path) -> Iterator[Lens]:
    """Yield how many cases each rule of a file has; nothing for rules without any."""
    groups = [group for file in _test_files(rule_file) for group in read_case_file(file).groups]
    outline = read_outline(text)
    titles = [entry for entry in outline if entry.path == ("title",)]
    ids = {entry.document: unquoted(entry.value) for entry in outline if entry.path == ("id",)}
    for title in titles:
        named = (unquoted(title.value), ids.get(title.document))
        cases = [case for group in groups if _is_for(group, named, len(titles)) for case in group.cases]
        if cases:
            hits = sum(case.expected for case in cases)
            misses = len(cases) - hits
            yield Lens(title.line, f"runs: {plural(hits, 'hit')}, {plural(misses, 'miss', 'misses')}")


def run_tests(rule_file: Path) -> TestRun:
    """Run the tests of the rules of a file, as they are on disk."""
    suite = load_suite([rule_file], [])
    results = run_trials(suite.trials)
    details = io.StringIO()
    print_failures(results, Console(file=details, width=_WIDTH, color_system=None, highlight=False))
    failed = tuple(_failed(result) for result in results if not result.passed)
    problems = tuple(map(str, suite.problems))
    return TestRun(summary_of_results(results, suite), failed, details.getvalue(), problems)


def _failed(result: TrialResult) -> FailedCase:
    verb = "should match, and does not" if result.case.expected else "should not match, and does"
    return FailedCase(result.case.file, result.case.line, f"{result.rule.rule.title}: {result.case.name!r} {verb}")


def _test_files(rule_file: Path) -> list[Path]:
    stem = rule_file.with_suffix("").name
    if not rule_file.parent.is_dir():
        return []
    beside = sorted(rule_file.parent.glob(f"{stem}.*"))
    return [file for file in beside if is_test_file(file) and file.with_suffix("").with_suffix("").name == stem]


def _is_for(group: CaseGroup, named: tuple[str, str | None], rules: int) -> bool:
    return group.rule in named if group.rule is not None else rules == 1
