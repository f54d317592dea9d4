"""The JSON schema of rules: what is right passes, what people get wrong does not."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from sigma_stellar_aws.authoring.check import check_one
from sigma_stellar_aws.authoring.rule_documents import read_documents
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.editor.schema import rule_schema
from sigma_stellar_aws.rule_files.find import correlations_path, filters_path, pack_path
from tests.authoring.test_check import CORRELATION, FILTER, GOOD, changed


class _Loader(yaml.SafeLoader):
    """Loads YAML as editors do: a date stays a text (YAML 1.2)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
VALIDATOR = jsonschema.Draft7Validator(rule_schema())

# As SigmaHQ writes rules: keywords, lists of maps, several modifiers and conditions, templates.
ELSEWHERE = """\
title: Rule of Another Product
logsource: {category: process_creation, product: windows}
detection:
    keywords: [word, 4624]
    selection_img:
        - Image|endswith: ['\\a.exe', '\\b.exe']
        - OriginalFileName: A.EXE
    selection_cli:
        CommandLine|contains|all: [x, y]
        EventID: 4624
        Empty: null
    condition: [keywords, 'all of selection_*']
level: low
simulation: anything
---
action: global
title: A Template
"""


def faults(text: str) -> list[str]:
    """What the schema says against the documents of a text."""
    documents: list[Any] = list(yaml.load_all(text, _Loader))
    return [fault.message for document in documents for fault in VALIDATOR.iter_errors(document)]


def test_it_is_a_schema_and_is_printed() -> None:
    """Editors read drafts up to 7 for certain; the command prints just that."""
    jsonschema.Draft7Validator.check_schema(rule_schema())
    printed = CliRunner().invoke(main, ["schema"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == rule_schema()


@pytest.mark.parametrize("folder", [pack_path(), correlations_path(), filters_path()], ids=lambda folder: folder.name)
def test_what_comes_with_this_project_is_valid(folder: Path) -> None:
    """Every rule, correlation and filter."""
    files = sorted(folder.glob("*.yml"))
    assert {file.name: found for file in files if (found := faults(file.read_text(encoding="utf-8")))} == {}
    assert len(files) >= 2


@pytest.mark.parametrize("text", [GOOD, CORRELATION, FILTER, ELSEWHERE])
def test_what_is_right_is_valid(text: str) -> None:
    """Also what only other products have."""
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (GOOD, "level: medium", "level: severe"),
        (GOOD, "status: experimental", "status: new"),
        (GOOD, "5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01", "aws-1"),
        (GOOD, "date: 2026-11-24", "date: yesterday"),
        (GOOD, "detection:", "detecton:"),
        (GOOD, "    condition: selection\n", ""),
        (GOOD, "logsource:\n    product: aws\n    service: cloudtrail\n", "logsource: aws\n"),
        (GOOD, "eventName:", "eventName|nearly:"),
        (GOOD, "eventName: 'DeleteAlarms'", "eventName: []"),
        (GOOD, "eventName: 'DeleteAlarms'", "eventName: {is: x}"),
        (GOOD, "    - attack.impact", "    - impact"),
        (GOOD, "    severity: 50", "    severity: 500"),
        (GOOD, "    severity: 50", "    severty: 50"),
        (GOOD, "    severity: 50", "    suppression: {windo: 24h}"),
        (GOOD, "    severity: 50", "    suppression: {window: 24 hours}"),
        (GOOD, "    severity: 50", "    triage: one text"),
        (GOOD, "falsepositives:\n    - Administrators", "falsepositives: Administrators"),
        (CORRELATION, "event_count", "events_count"),
        (CORRELATION, "timespan: 5m", "timespan: 5 minutes"),
        (CORRELATION, "gte: 10", "atleast: 10"),
        (CORRELATION, "    timespan: 5m\n", ""),
        (FILTER, "    rules: any\n", ""),
    ],
)
def test_what_people_get_wrong_is_refused(text: str, old: str, new: str) -> None:
    """Each is also what a check reports."""
    wrong = changed(text, old, new)
    assert faults(wrong) != []
    assert check_one(read_documents(Path("aws_a_rule.yml"), wrong), []) != []
