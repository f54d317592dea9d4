"""What ``check`` finds in a text that is being written, also while it is not YAML."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from sigma_stellar_aws.authoring.check import check_one
from sigma_stellar_aws.authoring.rule_documents import FileContent, Finding, read_documents
from sigma_stellar_aws.base.yaml_positions import load_yaml
from sigma_stellar_aws.rule_files.find import is_test_file
from sigma_stellar_aws.rule_files.rule_keys import COMMON_KEYS, CORRELATION_KEYS, DETECTION_KEYS, KeyKind, RuleKey

# Rules in a list are none, which is to be told: but a title or a filter in a list may be of anything.
_OF_RULES = re.compile(
    r"^(?:(?:title|logsource|detection|correlation|filter|stellar)|[- ] +logsource)[ \t]*:", re.MULTILINE
)
_MOST_CHANGED = 8
_LINE = re.compile("(\r\n|[\n\r\x85\u2028\u2029])")
_KEY = re.compile(r"[\s-]*([\w-]+)")
_KEYED = re.compile(r"([ ]*(?:- +)*)([\w.|-]+):[ \t]+\S")
_KEYS: Mapping[str, RuleKey] = {**COMMON_KEYS, **CORRELATION_KEYS, **DETECTION_KEYS}
# Whatever a rule cannot do without has to stay, or nothing else would be found in it.
_OF_KIND: Mapping[KeyKind, str] = {
    "boolean": "true",
    "date": "2026-01-01",
    "map": "{}",
    "maps": "[]",
    "texts": "[]",
    "time span": "1h",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "whole number": "1",
}


class _Repaired(NamedTuple):
    text: str
    changed: frozenset[int]
    """Numbers of the lines that were changed, from 1."""


def holds_rules(path: Path, text: str) -> bool:
    """Tell whether a text is meant to be rules: an editor also sends other YAML, such as settings of a build."""
    return not is_test_file(path) and _OF_RULES.search(text) is not None


def findings_of_text(
    path: Path, text: str, others: Sequence[FileContent] = (), *, is_saved: bool = True
) -> list[Finding]:
    """Return what ``check`` finds in a text, in their order.

    Where the text is not YAML, the lines that spoil it are left out, and what is found in the rest is told, too.

    Args:
        path: the file of the text, or the name of one that was never saved.
        text: what the editor shows.
        others: the other files of the folder; their rules may be named by correlations and filters, and have ids.
        is_saved: whether there is such a file; without one, nothing is said of its name.
    """
    found = check_one(read_documents(path, text), others)
    repaired = _repair(text) if _first_error(text) is not None else None
    if repaired is not None and repaired.changed:
        lines = _LINE.split(text)[::2]
        spoilt = {named[1].casefold() for line in repaired.changed if (named := _KEY.match(lines[line - 1]))}
        rest = check_one(read_documents(path, repaired.text), others)
        found += [finding for finding in rest if not _is_made_by_repair(finding, repaired, spoilt)]
    return [finding for finding in _sorted(found) if is_saved or "filename" not in finding.check]


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(set(findings), key=lambda finding: finding[1:])


def _is_made_by_repair(finding: Finding, repaired: _Repaired, spoilt: Iterable[str]) -> bool:
    """Tell whether a finding is on a line that was changed, or may come of the change."""
    # Ours are of what is there; of a key that is missing, the validators of others name it in the check.
    check = "" if finding.check.startswith("stellar_aws") else finding.check
    said = f"{check} {finding.message}".casefold()
    return finding.line in repaired.changed or finding.check == "convert" or any(key in said for key in spoilt)


def _first_error(text: str) -> yaml.YAMLError | None:
    try:
        load_yaml(text)
    except yaml.YAMLError as error:
        return error
    except (ValueError, RecursionError):
        # Not of a line that could be left out.
        pass
    return None


def _repair(text: str) -> _Repaired | None:
    """Change lines until the text is YAML; None if there would be too many."""
    parts = _LINE.split(text)
    changed: set[int] = set()
    while (error := _first_error("".join(parts))) is not None:
        tries: list[tuple[float, int, list[str]]] = []
        for line in _suspects(error, parts) if len(changed) <= _MOST_CHANGED else ():
            without = [*parts]
            without[2 * line - 2] = "" if line in changed else _harmless(parts[2 * line - 2])
            tries.append((_line_of(_first_error("".join(without))), line, without))
        if not tries:
            return None
        # Of the lines that may be to blame the one without which most of the text can be read.
        _, line, parts = max(tries, key=lambda each: each[:2])
        changed.add(line)
    return _Repaired("".join(parts), frozenset(changed))


def _harmless(line: str) -> str:
    """Return a line with its key and another value, or nothing if it has no key."""
    keyed = _KEYED.match(line)
    if keyed is None:
        return ""
    known = _KEYS.get(keyed[2])
    value = known.values[0] if known and known.values else _OF_KIND.get(known.kind, "x") if known else "x"
    return f"{keyed[1]}{keyed[2]}: {'1 of them' if keyed[2] == 'condition' else value}"


def _suspects(error: yaml.YAMLError, parts: Sequence[str]) -> list[int]:
    """Return the lines, from 1, that may be to blame for an error."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return []
    lines = parts[::2]
    marks = [mark.line + 1 for mark in (error.context_mark, error.problem_mark) if mark is not None]
    above = [next((line for line in range(mark - 1, 0, -1) if lines[line - 1].strip()), 0) for mark in marks]
    # Of a word without a colon, the mark of the problem is at whatever comes next.
    suspects = marks[:1] if error.context == "while scanning a simple key" else dict.fromkeys([*marks, *above])
    return [line for line in suspects if 0 < line <= len(lines) and lines[line - 1].strip()]


def _line_of(error: yaml.YAMLError | None) -> float:
    if error is None:
        return float("inf")
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    return mark.line if mark else 0
