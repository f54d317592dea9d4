"""Sample events for rules, kept beside them as data.

For a rule file ``aws_x.yml`` it is the file ``aws_x.test.yaml`` (which ``sigma`` does not take for a rule)::

    rule: AWS X                     # title or id; needed only where the rule file has several rules
    hits:                           # the rule must match each of these events
    - name: an IAM user does it     # unique
      event: {eventSource: ..., eventName: ...}
    - name: as seen in the log
      file: events.json             # CloudTrail records, each a case; the path is relative to this file
    misses: []                      # and none of these

A file may also hold a list of such maps. An event is a CloudTrail record or a part of one, and is matched as it is.
A plain word in it is a text unless it is a value in JSON: ``MFAUsed: No`` and dates are texts, ``5``, ``true`` and
``null`` are not.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import yaml

from sigma_stellar_aws.base import yaml_positions
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.logs.reader import read_records

TEST_SUFFIX = ".test.yaml"
"""How the name of a test file beside a rule ends."""

_KEYS = ("rule", "hits", "misses")


class Case(NamedTuple):
    """A sample event, and whether a rule must match it."""

    name: str
    expected: bool
    event: JsonObject
    file: Path
    """The test file."""
    line: int
    source: Path
    """The file with the event: the test file or one that it names."""


class CaseGroup(NamedTuple):
    """The cases of one rule in a test file."""

    file: Path
    line: int
    rule: str | None
    """Title or id, where the file says it."""
    cases: tuple[Case, ...]


class CaseFile(NamedTuple):
    """The cases of a test file, and what is wrong with others."""

    groups: tuple[CaseGroup, ...]
    problems: tuple[Problem, ...]
    event_files: tuple[Path, ...]
    """Files that the test file names."""


def read_case_file(file: Path) -> CaseFile:
    """The cases of a test file, with the events of the files that it names."""
    problems: list[Problem] = []
    event_files: list[Path] = []
    groups: list[CaseGroup] = []
    try:
        groups = _groups(file, file.read_text(encoding="utf-8"), problems, event_files)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problems.append(Problem(file, line, f"this is not valid YAML: {error.problem}"))
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        problems.append(Problem(file, 1, f"this cannot be read: {error}"))
    return CaseFile(tuple(groups), tuple(problems), tuple(event_files))


def _groups(file: Path, text: str, problems: list[Problem], event_files: list[Path]) -> list[CaseGroup]:
    yaml_positions.check_size(text)
    data: Json = yaml.load(text, _Loader)

    def line(at: Sequence[str | int]) -> int:
        return yaml_positions.line_of(text, at) or 1

    def report(at: Sequence[str | int], reason: str) -> None:
        problems.append(Problem(file, line(at), reason))

    for place, key in yaml_positions.double_keys(text):
        problems.append(Problem(file, place.line, f"the key {key!r} is there twice; the last one is taken"))
    groups = []
    listed = isinstance(data, list)
    for number, entry in enumerate(data if isinstance(data, list) else [data]):
        at: list[str | int] = [number] if listed else []
        if not isinstance(entry, dict):
            report(at, f"a test file is a map with the keys {', '.join(_KEYS)}, or a list of such maps")
            continue
        for key in set(entry) - set(_KEYS):
            report([*at, key], f"unknown key {key!r}; known are {', '.join(_KEYS)}")
        rule = entry.get("rule")
        if rule is not None and not isinstance(rule, str):
            report([*at, "rule"], "rule must be the title or the id of a rule")
            continue
        if not entry.get("hits") and not entry.get("misses"):
            report(at, "it has neither hits nor misses")
        entries = list(_entries(entry, at, report))
        cases = [
            Case(name, expected, event, file, line(at_case), source)
            for at_case, name, expected, item in entries
            for name, event, source in _events(file, name, at_case, item, report, problems, event_files)
        ]
        groups.append(CaseGroup(file, line(at), rule, tuple(cases)))
    return groups


_Report: TypeAlias = Callable[[Sequence[str | int], str], None]


def _entries(
    group: Mapping[str, Json], at: Sequence[str | int], report: _Report
) -> Iterator[tuple[list[str | int], str, bool, JsonObject]]:
    """The entries of hits and misses that are as they should be: place, name, whether it must match, itself."""
    names: set[str] = set()
    for key in ("hits", "misses"):
        entries = group.get(key)
        if entries is not None and not isinstance(entries, list):
            report([*at, key], f"{key} must be a list")
            continue
        for number, entry in enumerate(entries or []):
            place = [*at, key, number]
            if not isinstance(entry, dict) or set(entry) not in ({"name", "event"}, {"name", "file"}):
                report(place, "a case is a map with the keys name and event, or name and file")
            elif not isinstance(entry["name"], str):
                report([*place, "name"], "name must be a text")
            elif entry["name"] in names:
                report([*place, "name"], f"another case of the rule is called {entry['name']!r}")
            else:
                names.add(entry["name"])
                yield place, entry["name"], key == "hits", entry


def _events(
    file: Path,
    name: str,
    place: list[str | int],
    entry: JsonObject,
    report: _Report,
    problems: list[Problem],
    event_files: list[Path],
) -> Iterator[tuple[str, JsonObject, Path]]:
    """The events of an entry, each with a name and the file that it is from."""
    if "event" in entry:
        event = entry["event"]
        if not isinstance(event, dict):
            report([*place, "event"], "event must be a map: a CloudTrail record or a part of one")
        elif "Records" in event:
            report([*place, "event"], "event must be one record; name a file with Records by the key file")
        elif strange := _strange(event):
            report([*place, "event"], strange)
        else:
            yield name, event, file
        return
    if not isinstance(entry["file"], str):
        report([*place, "file"], "file must be the path of a file with CloudTrail records")
        return
    source = file.parent / entry["file"]
    event_files.append(source)
    records = [record for _, record in read_records(source, problems.append)]
    events = [record for record in records if record is not None]
    if not events:
        report([*place, "file"], f"{entry['file']} has no event")
    for number, event in enumerate(events, 1):
        yield f"{name}, event {number}" if len(events) > 1 else name, event, source


def _strange(value: object) -> str:
    """What JSON could not hold in a value, or nothing."""
    if isinstance(value, dict):
        keys = [key for key in value if not isinstance(key, str)]
        return f"the key {keys[0]!r} must be a text, in quotes" if keys else _first(map(_strange, value.values()))
    if isinstance(value, list):
        return _first(map(_strange, value))
    return "" if value is None or isinstance(value, (str, int, float)) else f"{value!r} is nothing that JSON can hold"


def _first(reasons: Iterable[str]) -> str:
    return next(filter(None, reasons), "")


class _Loader(yaml.CSafeLoader):
    """YAML in which plain words mean what they mean in JSON, and are texts otherwise."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _starts in (
    ("null", r"null|", ["n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(0|[1-9]\d*)", list("-0123456789")),
    ("float", r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", list("-0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"({_pattern})$"), _starts)
