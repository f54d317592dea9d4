"""Rules with one mistake each, and good ones: a check reports each mistake at its line, and nothing else.

Both were written before anybody looked at what the checker knows.
"""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias
from uuid import NAMESPACE_URL, uuid5

import pytest

from sigma_stellar_aws.authoring.check import check_rules
from tests.support.yaml_files import read_yaml

FOLDER = Path(__file__).parents[1] / "cases" / "seeded"
MARK = re.compile(r" *§(.*)$")
HEAD = {
    "title": "title: {title}",
    "id": "id: {id}",
    "status": "status: experimental",
    "description": "description: Detects what the calls of {title} do in an account.",
    "references": "references:\n    - https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference.html",
    "author": "author: Example Author",
    "date": "date: 2026-01-15",
}
RULE = {
    **HEAD,
    "tags": "tags:\n    - attack.persistence\n    - attack.t1098",
    "logsource": "logsource:\n    product: aws\n    service: cloudtrail",
    "detection": (
        "detection:\n    selection:\n        eventSource: iam.amazonaws.com\n        eventName: CreateUser\n"
        "    condition: selection"
    ),
    "falsepositives": "falsepositives:\n    - Administrators who do this on purpose",
    "level": "level: medium",
    "stellar": "",
}
CORRELATION = {key: text for key, text in RULE.items() if key not in ("logsource", "detection")} | {"correlation": ""}
FILTER = {**HEAD, "logsource": RULE["logsource"], "filter": ""}

Expected: TypeAlias = list[tuple[int, str]]


class Seeded(NamedTuple):
    """A file with a rule, and the lines and checks of what is wrong with it."""

    name: str
    file: str
    text: str
    expected: Expected


@cache
def seeded() -> list[Seeded]:
    """All of them."""
    return [_read(entry) for file in sorted(FOLDER.glob("*.yml")) for entry in read_yaml(file)]


def _read(entry: dict[str, str | list[str]]) -> Seeded:
    [(name, parts)] = entry.items()
    blocks = parts if isinstance(parts, dict) else {"detection": _detection(*parts)}
    if "correlation" in blocks:
        named = RULE | {"title": f"title: {{title}} Base\nname: {name}_base", "id": f"id: {_id(name + '_base')}"}
        text = f"{_document(name, named, {})}---\n{_document(name, CORRELATION, blocks)}"
        text = text.replace("BASE", f"{name}_base")
        file = f"correlation_aws_{name}.yml"
    else:
        text, file = _document(name, FILTER if "filter" in blocks else RULE, blocks), f"aws_seeded_{name}.yml"
    marks = [(number, MARK.search(line)) for number, line in enumerate(text.split("\n"), 1)]
    expected = [(number, check) for number, found in marks if found for check in found[1].split()]
    return Seeded(name, file, "\n".join(MARK.sub("", line) for line in text.split("\n")), sorted(expected))


def _detection(source: str, name: str, *more: str) -> str:
    lines = "\n        ".join([f"eventSource: {source}", f"eventName: {name}", *more])
    return f"detection:\n    selection:\n        {lines}\n    condition: selection"


def _document(name: str, usual: dict[str, str], blocks: dict[str, str]) -> str:
    parts = [blocks.get(key, text) for key, text in usual.items()]
    text = "\n".join(part.rstrip("\n") for part in parts if part) + "\n"
    return text.replace("{title}", name.replace("_", " ").title()).replace("{id}", _id(name))


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Expected]:
    """What one check of all the rules reports, by file."""
    folder = tmp_path_factory.mktemp("seeded")
    for one in seeded():
        (folder / one.file).write_text(one.text, encoding="utf-8")
    found: defaultdict[str, Expected] = defaultdict(list)
    for finding in check_rules([folder]).findings:
        found[finding.path.name].append((finding.line, finding.check))
    return found


def test_there_are_many() -> None:
    """At least 120 are faulty and 60 good, each by a name of its own."""
    assert len({one.file for one in seeded()}) == len(seeded())
    assert sum(one.expected != [] for one in seeded()) >= 120
    assert sum(one.expected == [] for one in seeded()) >= 60


@pytest.mark.parametrize("one", seeded(), ids=lambda one: one.name)
def test_what_is_wrong_is_reported_at_its_line(reported: dict[str, Expected], one: Seeded) -> None:
    """Each mistake is reported by the check that is about it, where it stands; of a good rule nothing is."""
    assert sorted(reported.get(one.file, [])) == one.expected
