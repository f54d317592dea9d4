"""Try whether the sample events of rules notice changes of what the rules ask for."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console
from rich.text import Text
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.authoring.known_differences import may_differ
from sigma_stellar_aws.authoring.rule_changes import rule_changes
from sigma_stellar_aws.authoring.rule_tests import RuleUnderTest, Trial, TrialResult
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import plural, printable
from sigma_stellar_aws.base.yaml_positions import line_of, load_yaml
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.evaluate import compile_query


class ChangeResult(NamedTuple):
    """A change of a rule, and the first case that fails for it."""

    rule: RuleUnderTest
    line: int
    """Line in the file of the rule, from 1."""
    change: str
    noticed_by: str | None
    """Name of the case; None where all pass as before."""


def try_changes(results: Sequence[TrialResult]) -> Iterator[ChangeResult]:
    """Change each rule that has cases, one thing at a time, and yield whether a case notices.

    Only cases that pass count. Correlations, and rules in files with templates (key ``action``), are not changed. A
    change that cannot be converted, or that asks for the same of every known event of AWS as before, is passed over.

    Args:
        results: what came of all cases with the rules as they are.
    """
    by_rule: dict[int, list[Trial]] = {}
    for result in results:
        passing = by_rule.setdefault(id(result.rule), [])
        if result.passed:
            passing.append(Trial(result.rule, result.case))
    for trials in filter(None, by_rule.values()):
        yield from _of_rule(trials[0].rule, trials)


def _of_rule(tested: RuleUnderTest, trials: Sequence[Trial]) -> Iterator[ChangeResult]:
    rule = tested.rule
    if not isinstance(rule, SigmaRule):
        return
    text, number, document = _document_of(rule, tested.file)
    detection = document.get("detection")
    cases = [(trial.case, flatten(trial.case.event)) for trial in trials]
    if not isinstance(detection, dict):
        return
    # A conversion changes the names of fields.
    before = _with_detection(rule, document, detection)
    for change in rule_changes(detection):
        with suppress(SigmaError, RecursionError):
            changed = _with_detection(rule, document, change.detection)
            if not may_differ(before.detection, changed.detection):
                continue
            query = convert_pack(SigmaCollection([changed]), stellar_aws()).query
            if query != tested.query:
                matches = compile_query(query)
                noticing = (case.name for case, event in cases if matches(event) != case.expected)
                yield ChangeResult(tested, line_of(text, change.at, number) or 1, change.change, next(noticing, None))


def _document_of(rule: SigmaRule, file: Path) -> tuple[str, int, JsonObject]:
    """Return the text of a rule's file, the number of its document there, and this; an empty one if it is not found."""
    with suppress(OSError, ValueError, yaml.YAMLError):
        text = file.read_text(encoding="utf-8")
        documents = [document if isinstance(document, dict) else {} for document in load_yaml(text)]
        if not any("action" in document for document in documents):
            for number, document in enumerate(documents):
                same_id = str(document.get("id", "")).lower() == str(rule.id or "")
                if same_id and document.get("title") == rule.title:
                    return text, number, document
    return "", 0, {}


def _with_detection(rule: SigmaRule, document: JsonObject, detection: JsonObject) -> SigmaRule:
    # Nothing else of a rule decides what it matches. The id is kept, since queries are named by it.
    kept: JsonObject = {key: document[key] for key in ("title", "id", "name", "logsource") if key in document}
    return SigmaRule.from_dict({**kept, "detection": detection})


def change_as_json(result: ChangeResult) -> JsonObject:
    """Return the outcome of a change as a JSON object."""
    return {
        "rule": result.rule.rule.title,
        "id": str(result.rule.rule.id) if result.rule.rule.id else None,
        "file": str(result.rule.file),
        "line": result.line,
        "change": result.change,
        "noticed": result.noticed_by is not None,
        "noticed_by": result.noticed_by,
    }


def print_unnoticed(results: Iterable[ChangeResult], console: Console) -> None:
    """Print every change that no case notices, with its place in the file of the rule."""
    for result in results:
        if result.noticed_by is None:
            place = f"{result.rule.file}:{result.line}: {result.rule.rule.title}"
            text = printable(f"{place}: no case notices: {result.change}")
            console.print(Text.assemble(("PASSES  ", "bold yellow"), text))


def summary_of_changes(results: Sequence[ChangeResult]) -> str:
    """Sum up the changes in one line."""
    rules = len({id(result.rule) for result in results})
    unnoticed = sum(result.noticed_by is None for result in results)
    tried = f"{plural(len(results), 'change')} of {plural(rules, 'rule')}, one at a time"
    return f"{tried}: {len(results) - unnoticed:,} noticed by a case, {unnoticed:,} by none"
