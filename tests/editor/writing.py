"""A rule that is being written, and a mark for the cursor."""

from pathlib import Path

from sigma_stellar_aws.editor.completion import complete
from sigma_stellar_aws.rule_files.find import correlations_path, pack_path

HEAD = """\
title: A Rule
logsource:
    product: aws
    service: cloudtrail
detection:
    selection:
        eventSource: 'iam.amazonaws.com'
"""


def cut(marked: str) -> tuple[str, int]:
    """A text without its mark ^, and where that stood."""
    assert marked.count("^") == 1
    return marked.replace("^", ""), marked.index("^")


def proposed(marked: str) -> list[str]:
    """What is proposed at the mark of a text."""
    found = complete(*cut(marked))
    return [proposal.label for proposal in found.proposals] if found else []


def some_rules() -> list[Path]:
    """Ten rule files of this project, correlations among them: the shortest, since they are typed letter by letter."""
    return [
        *sorted(pack_path().glob("*.yml"), key=lambda file: file.stat().st_size)[:8],
        *sorted(correlations_path().glob("*.yml"), key=lambda file: file.stat().st_size)[:2],
    ]
