"""Run rules on their sample events (:mod:`sigma_stellar_aws.authoring.sample_events`), in process or on an engine."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from os.path import realpath
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.rule import Rule
from rich.text import Text
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.authoring.explain import by_itself, decisive, explain, explanation_as_json, print_trees
from sigma_stellar_aws.authoring.explain_correlation import (
    CorrelationProgress,
    correlation_progress,
    print_progress,
    progress_as_json,
)
from sigma_stellar_aws.authoring.sample_events import Case, CaseFile, CaseGroup, read_case_file
from sigma_stellar_aws.authoring.watch import changes, remembered
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import LOOSELY_ALIKE, did_you_mean, nearest, plural, printable
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import Predicate, compile_query
from sigma_stellar_aws.rule_files.load import (
    AnyRule,
    files_below,
    find_rule_files,
    is_test_file,
    is_yaml_file,
    load_correlations,
    load_rules,
    pack_path,
)
from sigma_stellar_aws.rule_files.stellar_block import rule_name

_LISTED = 5
_RULE_WIDTH = 100


class RuleUnderTest(NamedTuple):
    """A rule, its file, its query, and the query as a function; a correlation has none of its own."""

    file: Path
    rule: AnyRule
    query: Clause
    matches: Predicate
    together: SigmaCollection | None = None
    """A correlation with what it counts."""
    only_counted: bool = False
    """Whether it is there for correlations alone, and so needs no case."""

    def progress(self, case: Case) -> CorrelationProgress:
        """Tell how far a correlation comes for the events of a case."""
        assert self.together is not None
        return correlation_progress(self.together, rule_name(self.rule), case.events)

    def holds(self, case: Case) -> bool:
        """Tell whether the rule matches the event of a case, or the correlation is complete for its events."""
        return self.matches(flatten(case.event)) if self.together is None else self.progress(case).complete


class TestedRuleFile(NamedTuple):
    """The rules of a file that can be tested, and what is wrong with others."""

    rules: tuple[RuleUnderTest, ...]
    refused: tuple[AnyRule, ...]
    problems: tuple[Problem, ...]
    sources: frozenset[Path] = frozenset()
    """Other files with what its correlations count."""
    folder: Path | None = None
    """Where other files may have what its correlations count; None if all of that is in this file."""

    def others(self) -> set[Path]:
        """Return the other files, as they are now, that say what its correlations count, or may come to say it."""
        return {*find_rule_files([self.folder, *self.sources])} if self.folder else set()


class Trial(NamedTuple):
    """A case and the rule that it is for."""

    rule: RuleUnderTest
    case: Case


class Suite(NamedTuple):
    """Everything that is to be run."""

    trials: list[Trial]
    untested: list[RuleUnderTest]
    """Rules without any case."""
    problems: list[Problem]
    files: set[Path]
    """All files that were read."""
    read: dict[Path, TestedRuleFile]
    """What was read of each rule file."""


class TrialResult(NamedTuple):
    """The outcome of a trial: whether the rule matches the event in process, and on an engine if there is one."""

    rule: RuleUnderTest
    case: Case
    matched: bool
    on_engine: bool | None

    @property
    def passed(self) -> bool:
        """Tell whether the rule does what the case says, wherever it ran."""
        return self.matched == self.case.expected and self.on_engine in (None, self.matched)


def read_tested_rules(file: Path) -> TestedRuleFile:
    """Read and convert the rules of a file. What its correlations count may be elsewhere, see load_correlations."""
    try:
        found = load_rules(file, alone=True).rules
        has_correlations = any(isinstance(rule, SigmaCorrelationRule) for rule in found)
        together = load_correlations(file) if has_correlations else SigmaCollection([])
        left = convert_pack(copy.deepcopy(together), stellar_aws()) if has_correlations else None
    except (SigmaError, OSError) as error:
        return TestedRuleFile((), (), (_problem(file, error),))
    sources = frozenset(rule.source.path for rule in together.rules if rule.source) - {file.resolve(), file}
    rules, refused, problems = [], [], []
    followed = {each.name for each in left.correlations} if left else set()
    for rule in found:
        silent = left is not None and rule_name(rule) in left.silent
        try:
            if isinstance(rule, SigmaCorrelationRule):
                if rule_name(rule) not in followed:
                    raise SigmaError("; ".join(left.refused if left else ()))
                rules.append(RuleUnderTest(file, rule, {}, lambda document: False, together, silent))
                continue
            query = convert_pack(SigmaCollection([by_itself(rule)]), stellar_aws()).query
            rules.append(RuleUnderTest(file, rule, query, compile_query(query), only_counted=silent))
        except (SigmaError, RecursionError) as error:
            refused.append(rule)
            problems.append(_problem(file, error))
    is_whole = not sources and not (left and left.refused)
    return TestedRuleFile(tuple(rules), tuple(refused), tuple(problems), sources, None if is_whole else file.parent)


def load_suite(
    paths: Sequence[Path],
    case_paths: Sequence[Path],
    read_rules: Callable[[Path], TestedRuleFile] = read_tested_rules,
    read_cases: Callable[[Path], CaseFile] = read_case_file,
) -> Suite:
    """Bring rules and cases together.

    Args:
        paths: rule files, and folders of them; by default the rules of this project, of which those that further
            test files name are run on nothing else.
        case_paths: further test files, and folders of them, in which every map has a key ``rule``.
        read_rules: reads the rules of a file; one that remembers saves work when this is called again.
        read_cases: reads the cases of a test file, likewise.
    """
    beside, orphans = _beside(paths)
    if case_paths and not paths:
        beside = [neighbours._replace(tests=[]) for neighbours in beside]
    problems = [
        Problem(orphan, 1, f"there is no rule file {_name_of_test(orphan).name}.yml beside this test file")
        for orphan in orphans
    ]
    of_rules = {file: read_rules(file) for neighbours in beside for file in neighbours.rules}
    case_files = [*(file for neighbours in beside for file in neighbours.tests), *_case_files(case_paths)]
    of_cases = {file: read_cases(file) for file in case_files}
    problems += [problem for read in of_rules.values() for problem in read.problems]
    problems += [problem for read in of_cases.values() for problem in read.problems]
    trials: list[Trial] = []
    for rule_files, test_files in beside:
        read = [of_rules[file] for file in rule_files]
        for tests in test_files:
            trials += _assigned(of_cases[tests].groups, read, rule_files[0], problems)
    everything = list(of_rules.values())
    for tests in _case_files(case_paths):
        trials += _assigned(of_cases[tests].groups, everything, None, problems)
    tested = {id(trial.rule) for trial in trials}
    untested = [rule for each in everything for rule in each.rules if id(rule) not in tested and not rule.only_counted]
    events = (file for each in of_cases.values() for file in each.event_files)
    return Suite(trials, untested, problems, {*of_rules, *of_cases, *orphans, *events}, of_rules)


def run_trials(trials: Sequence[Trial], on_engine: Sequence[bool | None] | None = None) -> list[TrialResult]:
    """Run trials in process, and add the verdicts of an engine (see :mod:`.engine_verdicts`), if any."""
    verdicts = on_engine if on_engine is not None else [None] * len(trials)
    return [
        TrialResult(*trial, trial.rule.holds(trial.case), verdict)
        for trial, verdict in zip(trials, verdicts, strict=True)
    ]


def watch_suite(
    paths: Sequence[Path], case_paths: Sequence[Path], wait: Callable[[], object]
) -> Iterator[tuple[set[Path], Suite, list[TrialResult]]]:
    """Run everything at once, and then, each time that files change, the trials that depend on them.

    Args:
        paths: as for :func:`load_suite`.
        case_paths: as for :func:`load_suite`.
        wait: called between two looks at the files.

    Yields:
        The files that changed, the suite as it is now, and the results of the trials that depend on these files.
    """
    read_rules = remembered(read_tested_rules, TestedRuleFile.others)
    read_cases = remembered(read_case_file, lambda cases: cases.event_files)
    suite = load_suite(paths, case_paths, read_rules, read_cases)

    def files() -> set[Path]:
        beside, orphans = _beside(paths)
        known = (file for neighbours in beside for file in (*neighbours.rules, *neighbours.tests))
        others = (file for read in suite.read.values() for file in read.others())
        return {*known, *orphans, *_case_files(case_paths), *suite.files, *others}

    for changed in changes(files, wait):
        before = suite
        suite = load_suite(paths, case_paths, read_rules, read_cases)
        names = {*map(realpath, changed)}
        concerned = [trial for trial in suite.trials if names & {*map(realpath, _files_of(trial, before, suite))}]
        yield changed, suite, run_trials(concerned)


def _files_of(trial: Trial, *suites: Suite) -> set[Path]:
    """Return the files that a trial depends on, in one of some suites."""
    files = {trial.rule.file, trial.case.file, trial.case.source}
    for read in (suite.read.get(trial.rule.file) for suite in suites):
        if read is not None and trial.rule.together is not None:
            files |= read.others()
    return files


def result_as_json(result: TrialResult) -> JsonObject:
    """Return a result as a JSON object, with an explanation if it failed."""
    known: JsonObject = {
        "rule": result.rule.rule.title,
        "id": str(result.rule.rule.id) if result.rule.rule.id else None,
        "case": result.case.name,
        "file": str(result.case.file),
        "line": result.case.line,
        "expected": result.case.expected,
        "matched": result.matched,
        "passed": result.passed,
    }
    if result.on_engine is not None:
        known["on_engine"] = result.on_engine
    if not result.passed:
        known["explanation"] = (
            explanation_as_json(explain(result.rule.rule, result.case.event))
            if isinstance(result.rule.rule, SigmaRule)
            else progress_as_json(result.rule.progress(result.case))
        )
    return known


def print_failures(results: Iterable[TrialResult], console: Console) -> None:
    """Print every failure, with the parts of the rule's condition that decided it."""
    for result in (result for result in results if not result.passed):
        place = f"{result.case.file}:{result.case.line}"
        failure = f"{place}: {result.rule.rule.title}: {result.case.name!r} {_verdict(result)}"
        console.print(Text.assemble(("FAIL  ", "bold red"), printable(failure)))
        if not isinstance(result.rule.rule, SigmaRule):
            print_progress(result.rule.progress(result.case), console)
            continue
        explanation = explain(result.rule.rule, result.case.event)
        # If one of several conditions holds, the others did not matter.
        decided = (part for part in explanation.conditions if part.holds == explanation.matches)
        print_trees(map(decisive, decided), console)


def print_run(changed: set[Path], suite: Suite, results: Sequence[TrialResult], console: Console) -> None:
    """Print one run of :func:`watch_suite`."""
    console.print(Rule(f"{datetime.now():%H:%M:%S}  {_files(changed)}"), width=min(console.width, _RULE_WIDTH))
    for problem in suite.problems:
        console.print(Text.assemble(("ERROR ", "bold red"), printable(str(problem))))
    print_failures(results, console)
    console.print(Text(printable(summary_of_results(results, suite))))


def summary_of_results(results: Sequence[TrialResult], suite: Suite) -> str:
    """Sum up the results in one line."""
    failed = sum(not result.passed for result in results)
    rules = len({id(result.rule) for result in results})
    ran = f"{plural(len(results), 'case')} of {plural(rules, 'rule')}"
    parts = [f"{ran}: {len(results) - failed} passed, {failed} failed"]
    if suite.problems:
        parts.append(f"{plural(len(suite.problems), 'problem')}, see above")
    if suite.untested:
        titles = ", ".join(rule.rule.title for rule in suite.untested[:_LISTED])
        more = ", ..." if len(suite.untested) > _LISTED else ""
        parts.append(f"{plural(len(suite.untested), 'rule')} without cases: {titles}{more}")
    return "; ".join(parts)


def _verdict(result: TrialResult) -> str:
    expected = "should match" if result.case.expected else "should not match"
    if result.on_engine in (None, result.matched):
        return f"{expected}, and does{'' if result.matched else ' not'}"
    here, there = ("matches", "does not") if result.matched else ("does not match", "does")
    return f"{expected}; in process it {here}, on the engine it {there}"


def _files(changed: set[Path]) -> str:
    names = (
        ", ".join(sorted(file.name for file in changed)) if len(changed) <= _LISTED else plural(len(changed), "file")
    )
    return printable(names)


def _problem(file: Path, error: Exception) -> Problem:
    # The message of pySigma names the file, and so does the problem.
    reason = str(error.args[0]) if isinstance(error, SigmaError) else str(error)
    return Problem(file, 1, " ".join(reason.removesuffix(f" in {file.resolve()}").split()))


class _Neighbours(NamedTuple):
    """The rule files and the test files of one name in one folder: mostly one and one, whatever their suffixes."""

    rules: list[Path]
    tests: list[Path]


def _beside(paths: Sequence[Path]) -> tuple[list[_Neighbours], list[Path]]:
    """Return the rule files with the test files beside them, and the test files without a rule file."""
    by_name: dict[Path, _Neighbours] = {}
    for file in find_rule_files(paths):
        by_name.setdefault(file.with_suffix(""), _Neighbours([], [])).rules.append(file)
    for folder in dict.fromkeys(name.parent for name in by_name):
        for file in sorted(folder.iterdir()) if folder.is_dir() else []:
            if is_test_file(file) and (neighbours := by_name.get(_name_of_test(file))):
                neighbours.tests.append(file)
    found = (file for path in paths or (pack_path(),) if path.is_dir() for file in files_below(path))
    tests = dict.fromkeys(filter(is_test_file, found))
    return list(by_name.values()), [file for file in tests if _name_of_test(file) not in by_name]


def _name_of_test(test_file: Path) -> Path:
    return test_file.with_suffix("").with_suffix("")


def _case_files(paths: Sequence[Path]) -> list[Path]:
    return [file for path in paths for file in (filter(is_yaml_file, files_below(path)) if path.is_dir() else [path])]


def _assigned(
    groups: Iterable[CaseGroup], rule_files: Sequence[TestedRuleFile], beside: Path | None, problems: list[Problem]
) -> Iterator[Trial]:
    """Yield the trials of cases whose rule is found, and report the others."""
    rules = [rule for each in rule_files for rule in each.rules]
    for group in groups:
        named = [rule for rule in rules if _is_named(rule.rule, group.rule)]
        refused = [rule for each in rule_files for rule in each.refused if _is_named(rule, group.rule)]
        if len(named) + len(refused) == 1:
            # Why a rule was refused has been reported already.
            for rule in named:
                yield from _trials(rule, group.cases, problems)
        elif beside and not rules and not any(each.problems for each in rule_files):
            problems.append(Problem(group.file, group.line, f"{beside.name} has no rule to test"))
        elif rules or refused or not beside:
            titles = [rule.rule.title for rule in rules]
            reason = _no_rule(group.rule, titles, beside, several=bool(named or refused))
            problems.append(Problem(group.file, group.line, reason))


def _trials(rule: RuleUnderTest, cases: Iterable[Case], problems: list[Problem]) -> Iterator[Trial]:
    """Yield the trials of a rule with cases that are for such a rule, and report the others."""
    for case in cases:
        if bool(case.events) == (rule.together is not None):
            yield Trial(rule, case)
        else:
            wanted = "events, each with its eventTime" if rule.together else "one event"
            problems.append(Problem(case.file, case.line, f"{rule.rule.title!r} needs {wanted}: {case.name!r}"))


def _is_named(rule: AnyRule, name: str | None) -> bool:
    return name is None or name in (rule.title, str(rule.id))


def _no_rule(name: str | None, titles: Sequence[str], beside: Path | None, *, several: bool) -> str:
    where = beside.name if beside else "the rules that are tested"
    if name is None:
        return f"needs a key rule with the title or id of one of the rules of {where}"
    if several:
        return f"several rules are called {name!r}; name one by its id"
    return f"no rule is called {name!r} in {where}{did_you_mean(nearest(name, titles, LOOSELY_ALIKE))}"
