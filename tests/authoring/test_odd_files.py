"""Rule files as nobody should write them: a check says where and what to do, whatever is in them."""

from pathlib import Path

import pytest

from sigma_stellar_aws.authoring.check import check_rules

RULE = """\
title: A Rule About Users
id: 7d8f3c1e-5b2a-4e6f-9c3d-1a2b3c4d5e6f
status: experimental
description: Detects a user that is created.
references:
    - https://example.com/a
author: Somebody
date: 2026-11-24
tags:
    - attack.persistence
    - attack.t1136.003
logsource:
    product: aws
    service: cloudtrail
detection:
    selection:
        eventSource: iam.amazonaws.com
        eventName: CreateUser
    condition: selection
falsepositives:
    - Administrators who create users
level: medium
"""
TITLE, NAME, CONDITION = "title: A Rule About Users", "        eventName: CreateUser", "condition: selection"
AT_TITLE, AT_NAME, AT_CONDITION = (1, 1), (18, 9), (19, 5)


def found(folder: Path, content: str | bytes) -> list[tuple[tuple[int, int], str, str]]:
    """Place, check and message of what is found in a file."""
    file = folder / "aws_odd_rule.yml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    report = check_rules([file])
    return [((each.line, each.place.column), each.check, each.message) for each in report.findings]


@pytest.mark.parametrize(
    ("old", "new", "place", "check", "says"),
    [
        (TITLE, "title: 2026-11-24", AT_TITLE, "sigma", "must be a string; quote it"),
        (TITLE, "title: yes", AT_TITLE, "sigma", "must be a string; quote it"),
        (TITLE, "title: 12", AT_TITLE, "sigma", "must be a string; quote it"),
        (TITLE, "title: [a, b]", AT_TITLE, "sigma", "title must be a string"),
        (TITLE, "title:", AT_TITLE, "sigma", "must have a title"),
        ("id: 7d8f3c1e-5b2a-4e6f-9c3d-1a2b3c4d5e6f", "id: 5", (2, 1), "sigma", "must be an UUID; write a random one"),
        ("id: 7d8f3c1e-5b2a-4e6f-9c3d-1a2b3c4d5e6f", "id: [a]", (2, 1), "sigma", "must be an UUID; write a random"),
        ("1a2b3c4d5e6f", "1a2b", (2, 1), "sigma", "must be an UUID; write a random one"),
        ("2026-11-24", "2026-13-45", (8, 1), "sigma", "use yyyy-mm-dd"),
        ("- attack.persistence", "- off", (10, 7), "sigma", "Every entry of tags has to be a string; quote it"),
        ("- attack.persistence", "- 5", (10, 7), "sigma", "Every entry of tags has to be a string; quote it"),
        ("level: medium", "level: on", (22, 1), "sigma", "write informational, low, medium, high or critical"),
        ("level: medium", "level: medium\nlevel: high", (23, 1), "yaml", "more than once"),
        (NAME, "        5: CreateUser", AT_NAME, "as_written", "quote it"),
        (NAME, "        yes: CreateUser", AT_NAME, "as_written", "quote it"),
        (NAME, "        ~: CreateUser", AT_NAME, "as_written", "quote it"),
        (NAME, "        2026-11-24: CreateUser", AT_NAME, "as_written", "quote it"),
        (NAME, "        ? [a, b]\n        : CreateUser", (18, 11), "yaml", "write a plain text as the key"),
        (NAME, "        {a: b}: CreateUser", AT_NAME, "yaml", "write a plain text as the key"),
        (NAME, "        eventName: yes", AT_NAME, "as_written", "quote it"),
        (NAME, "        eventName: 12:30:45", AT_NAME, "as_written", "quote it"),
        (NAME, "        eventName: .nan", AT_NAME, "as_written", "quote it"),
        (NAME, "        eventName: []", AT_NAME, "as_written", "the list is empty"),
        (NAME, "        eventName: {}", AT_NAME, "as_written", "with a dot"),
        (NAME, "        eventName: *nowhere", (18, 20), "yaml", "quote a value that begins with *"),
        (NAME, "        eventName: !foo bar", (18, 20), "yaml", "'!foo'"),
        (NAME, "        eventName: !!python/object/apply:os.system [x]", (18, 20), "yaml", "os.system"),
        (NAME, "        <<: CreateUser", (18, 13), "yaml", "expected a mapping"),
        (NAME, f"        eventName: {'[' * 2000}{']' * 2000}", (18, 1017), "yaml", "maximum nesting depth"),
        (NAME, f"        eventName: {'{a: ' * 300}1{'}' * 300}", AT_NAME, "as_written", "with a dot: eventName.a."),
        (NAME, "        eventName|startwith: C", AT_NAME, "sigma", "did you mean startswith?"),
        (NAME, "        eventName|re: (C", AT_NAME, "sigma", "is not valid: missing )"),
        (NAME, "\teventName: CreateUser", (18, 1), "yaml", "indent with blanks instead of tabs"),
        (CONDITION, "condition: ''", AT_CONDITION, "sigma", "The condition is empty; write which selections"),
        (CONDITION, "condition: 5", AT_CONDITION, "sigma", "condition must be a string"),
        (CONDITION, "condition: (selection", AT_CONDITION, "sigma", "breaks off at character 11"),
        (CONDITION, "condition: selectoin", (19, 16), "as_written", "'selectoin'; did you mean 'selection'?"),
        (CONDITION, "conditoin: selection", AT_CONDITION, "sigma", "the key 'conditoin'; write condition."),
        (CONDITION, f"condition: {'not ' * 2000}selection", AT_CONDITION, "sigma", "nested too deeply"),
        ("author: Somebody", "author: So\x07me", (7, 11), "yaml", "no control character, as #x0007 is one; remove it"),
        ("author: Somebody", "author", (7, 1), "yaml", "write a colon behind the key"),
        ("author: Somebody", "author: a: b", (7, 10), "yaml", "quote a value that has a colon and a blank"),
        ("author: Somebody", "author: @me", (7, 9), "yaml", "quote a value that begins with @"),
        ("level: medium\n", "level: medium\n---\ntitle: [\n", (25, 1), "yaml", "did not find expected node content"),
        (
            "level: medium\n",
            f"level: medium\n---\n{RULE.replace('5e6f', '5e70').replace('medium', 'hihg')}",
            (45, 1),
            "sigma",
            "write high",
        ),
        (
            "level: medium\n",
            "level: medium\nstellar:\n    severity: high\n",
            (24, 5),
            "stellar_aws_severity",
            "from 0 to 100",
        ),
    ],
)
def test_it_is_told_where_and_what_to_do(
    tmp_path: Path, old: str, new: str, place: tuple[int, int], check: str, says: str
) -> None:
    """At the line and column that is to be changed, once."""
    assert old in RULE
    at_place = [
        message for at, name, message in found(tmp_path, RULE.replace(old, new)) if (at, name) == (place, check)
    ]
    assert [message for message in at_place if says in message] == at_place != []


@pytest.mark.parametrize(
    ("content", "place", "says"),
    [
        (RULE.encode("utf-16"), (1, 1), "in UTF-16 or UTF-32; save it as UTF-8."),
        (RULE.encode("utf-16-le"), (1, 1), "in UTF-16; save it as UTF-8."),
        (RULE.encode("utf-16-be"), (1, 1), "in UTF-16; save it as UTF-8."),
        (RULE.encode("utf-32"), (1, 1), "in UTF-16 or UTF-32; save it as UTF-8."),
        (RULE.replace("Somebody", "Jos\u00e9").encode("latin-1"), (7, 12), "not in UTF-8"),
        (b"", (1, 1), "no rule in this file"),
        (b"# nothing\n", (1, 1), "no rule in this file"),
        (b"---\n---\n", (1, 1), "no rule in this file"),
        (b"- a\n", (1, 1), "a rule is a map of keys and values"),
        (b"42\n", (1, 1), "a rule is a map of keys and values"),
        (b"title: X\ncorrelation:\n", (2, 1), "Correlation must be a map"),
        (b"a: &a [b]\nc: &c [" + b"*a," * 400 + b"]\nd: [" + b"*c," * 400 + b"]\n", (1, 1), "more than 100,000 values"),
    ],
)
def test_a_file_without_a_rule_is_one_finding(
    tmp_path: Path, content: bytes, place: tuple[int, int], says: str
) -> None:
    """Nothing else is told of it."""
    [(at, _, message)] = found(tmp_path, content)
    assert at == place
    assert says in message


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + RULE,
        RULE.replace("\n", "\r\n"),
        RULE.replace("\n", "\r"),
        RULE.replace("\n", "\r\n", 5),
        RULE.replace("author: Somebody", "author:\tSomebody"),
        RULE.replace("Somebody", "\U0001f600"),
        f"%YAML 1.1\n---\n{RULE}...\n",
        RULE.replace("eventName: CreateUser", "eventName: &name CreateUser").replace("Somebody", "Somebody # &x"),
        RULE.replace("condition: selection", f"condition: {'(' * 100}selection{')' * 100}"),
        RULE.replace("Administrators", "A" * 1_000_000),
    ],
)
def test_what_is_only_unusual_is_no_finding(tmp_path: Path, content: str) -> None:
    """Line ends, marks, anchors and long texts are as good as any."""
    assert found(tmp_path, content) == []
