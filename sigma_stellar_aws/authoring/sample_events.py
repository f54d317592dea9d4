"""Read sample events for rules, which are kept beside the rules as data.

Those of ``aws_x.yml`` are in ``aws_x.test.yaml`` (which ``sigma`` does not take for a rule)::

    rule: AWS X                     # title or id; needed only where the rule file has several rules
    hits:                           # the rule must match each of these events
    - name: an IAM user does it     # unique
      event: {eventSource: ..., eventName: ...}
    - name: as seen in the log
      file: events.json             # CloudTrail records, each a case; the path is relative to this file
    - name: one after the other
      events: [{...}, {...}]        # for a correlation: several events, each with its eventTime
    misses: []                      # and none of these

A file may also hold a list of such maps. An event is a CloudTrail record or a part of one, and is matched as it is.
A plain word in it is a string unless JSON has another value for it: ``MFAUsed: No`` and dates are strings, ``5``,
``true`` and ``null`` are not.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from sigma_stellar_aws.base import yaml_positions
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.times import epoch_millis
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.logs.reader import read_records

TEST_SUFFIX = ".test.yaml"
"""How the name of a test file ends."""

_KEYS = ("rule", "hits", "misses")
_CASES = ({"name", "event"}, {"name", "events"}, {"name", "file"})


class Case(NamedTuple):
    """A sample event, and whether a rule must match it."""

    name: str
    expected: bool
    event: JsonObject
    """The first, where a case has several."""
    file: Path
    """The test file."""
    line: int
    source: Path
    """The file with the event: the test file, or one that it names."""
    events: tuple[JsonObject, ...] = ()
    """All events of a case that has several, for a correlation."""


class CaseGroup(NamedTuple):
    """The cases of one rule in a test file."""

    file: Path
    line: int
    rule: str | None
    """Title or id of the rule, if the file says it."""
    cases: tuple[Case, ...]


class CaseFile(NamedTuple):
    """What was read from a test file: the cases, and what is wrong with others."""

    groups: tuple[CaseGroup, ...]
    problems: tuple[Problem, ...]
    event_files: tuple[Path, ...]
    """Files with events that the test file names."""


def read_case_file(file: Path) -> CaseFile:
    """Read the cases of a test file, with the events of the files that it names."""
    problems: list[Problem] = []
    event_files: list[Path] = []
    groups: list[CaseGroup] = []
    try:
        text = file.read_text(encoding="utf-8")
        yaml_positions.check_size(text)
        content: Json = yaml.load(text, _Loader)
        groups = _CaseReader(file, text, problems, event_files).groups(content)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problems.append(Problem(file, line, f"this is not valid YAML: {error.problem}"))
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        problems.append(Problem(file, 1, f"this cannot be read: {error}"))
    return CaseFile(tuple(groups), tuple(problems), tuple(event_files))


class _Entry(NamedTuple):
    """An entry of ``hits`` or ``misses`` with the keys that it should have."""

    path: YamlPath
    name: str
    expected: bool
    content: JsonObject


class _CaseReader:
    """Reads the cases in the content of a test file, and collects what is wrong with others."""

    def __init__(self, file: Path, text: str, problems: list[Problem], event_files: list[Path]) -> None:
        self._file = file
        self._text = text
        self._problems = problems
        self._event_files = event_files

    def groups(self, content: Json) -> list[CaseGroup]:
        """Return the groups of the file: its only map, or those of its list."""
        for span, key in yaml_positions.double_keys(self._text):
            reason = f"the key {key!r} is there twice; the last one is taken"
            self._problems.append(Problem(self._file, span.line, reason))
        if isinstance(content, list):
            found = [self._group((number,), entry) for number, entry in enumerate(content)]
        else:
            found = [self._group((), content)]
        return [group for group in found if group]

    def _group(self, path: YamlPath, content: Json) -> CaseGroup | None:
        if not isinstance(content, dict):
            self._report(path, f"a test file is a map with the keys {', '.join(_KEYS)}, or a list of such maps")
            return None
        for key in set(content) - set(_KEYS):
            self._report((*path, key), f"unknown key {key!r}; known are {', '.join(_KEYS)}")
        rule = content.get("rule")
        if rule is not None and not isinstance(rule, str):
            self._report((*path, "rule"), "rule must be the title or the id of a rule")
            return None
        if not content.get("hits") and not content.get("misses"):
            self._report(path, "it has neither hits nor misses")
        cases = [case for entry in list(self._entries(path, content)) for case in self._cases(entry)]
        return CaseGroup(self._file, self._line(path), rule, tuple(cases))

    def _entries(self, path: YamlPath, group: JsonObject) -> Iterator[_Entry]:
        """Yield the entries of hits and misses that are as they should be, and report the others."""
        names: set[str] = set()
        for key in ("hits", "misses"):
            entries = group.get(key)
            if entries is not None and not isinstance(entries, list):
                self._report((*path, key), f"{key} must be a list")
                continue
            for number, entry in enumerate(entries or []):
                at = (*path, key, number)
                if not isinstance(entry, dict) or set(entry) not in _CASES:
                    self._report(at, "a case is a map with the keys name and event, events or file")
                elif not isinstance(name := entry["name"], str):
                    self._report((*at, "name"), "name must be a string")
                elif name in names:
                    self._report((*at, "name"), f"another case of the rule is called {name!r}")
                else:
                    names.add(name)
                    yield _Entry(at, name, key == "hits", entry)

    def _cases(self, entry: _Entry) -> Iterator[Case]:
        """Yield the cases of an entry: one for its event, or one for each event of the file that it names."""
        line = self._line(entry.path)
        if "event" in entry.content:
            event = entry.content["event"]
            if reason := _reason_against(event):
                self._report((*entry.path, "event"), reason)
            elif isinstance(event, dict):
                yield Case(entry.name, entry.expected, event, self._file, line, self._file)
            return
        if "events" in entry.content:
            events = self._events(entry)
            if events:
                yield Case(entry.name, entry.expected, events[0], self._file, line, self._file, tuple(events))
            return
        name = entry.content["file"]
        if not isinstance(name, str):
            self._report((*entry.path, "file"), "file must be the path of a file with CloudTrail records")
            return
        source = self._file.parent / name
        self._event_files.append(source)
        found = [record for _, record in read_records(source, self._add_problem)]
        if not found:
            self._report((*entry.path, "file"), f"{name} has no event")
        for number, event in enumerate(found, 1):
            title = f"{entry.name}, event {number}" if len(found) > 1 else entry.name
            yield Case(title, entry.expected, event, self._file, line, source)

    def _events(self, entry: _Entry) -> list[JsonObject]:
        """Return the events of an entry that has several; none if one of them is not as it should be."""
        stated = entry.content["events"]
        if not isinstance(stated, list) or not stated:
            self._report((*entry.path, "events"), "events must be a list of CloudTrail records, or of parts of them")
            return []
        events: list[JsonObject] = []
        for number, event in enumerate(stated):
            if reason := _reason_against(event) or _reason_against_time(event):
                self._report((*entry.path, "events", number), reason)
                return []
            if isinstance(event, dict):
                events.append(event)
        return events

    def _add_problem(self, problem: Problem) -> None:
        if not problem.is_note:
            self._problems.append(problem)

    def _line(self, path: YamlPath) -> int:
        return yaml_positions.line_of(self._text, path) or 1

    def _report(self, path: YamlPath, reason: str) -> None:
        self._problems.append(Problem(self._file, self._line(path), reason))


def _reason_against(event: Json) -> str:
    """Return why a value cannot be a sample event; empty if it can be one."""
    if not isinstance(event, dict):
        return "event must be a map: a CloudTrail record or a part of one"
    if "Records" in event:
        return "event must be one record; name a file with Records by the key file"
    return _not_json(event)


def _reason_against_time(event: Json) -> str:
    """Return why an event cannot be one of several; empty if it can be one."""
    time = event.get("eventTime") if isinstance(event, dict) else None
    return "" if epoch_millis(time) is not None else f"each of several events needs an eventTime, not {time!r}"


def _not_json(value: object) -> str:
    """Return what in a value JSON could not hold; empty if there is nothing."""
    if isinstance(value, dict):
        keys = [key for key in value if not isinstance(key, str)]
        if keys:
            return f"the key {keys[0]!r} must be a string, in quotes"
        return next(filter(None, map(_not_json, value.values())), "")
    if isinstance(value, list):
        return next(filter(None, map(_not_json, value)), "")
    return "" if value is None or isinstance(value, (str, int, float)) else f"{value!r} is not a JSON value"


class _Loader(yaml.CSafeLoader):
    """Loads YAML in which plain words mean what they mean in JSON, and are strings otherwise."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _starts in (
    ("null", r"null|", ["n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(0|[1-9]\d*)", list("-0123456789")),
    ("float", r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", list("-0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"({_pattern})$"), _starts)
