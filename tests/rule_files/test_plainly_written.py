"""What is taken for plainly written has nothing that would be misread."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_stellar_aws.base.yaml_positions import double_keys
from sigma_stellar_aws.rule_files.as_written import misreadings
from sigma_stellar_aws.rule_files.plainly_written import is_plainly_written

PLAIN = """title: 'Two: of them' # why
id: 5f0ee3d1-9f8c-4d2f-8a94-0b3f2d6c7a11
status: test
description: |
    Begins with a colon: and
      goes on.

    on: the next line, to the end
references:
    - https://example.com/a#b
tags:
- attack.t1078.004
date: 2026-01-05
logsource:
    product: aws
    service: cloudtrail
detection:
    # Both of them.
    selection:
        eventSource: sts.amazonaws.com
        eventName|contains:
            - "Caller\\"s"
            - 'It''s'
            - :assumed-role/
            - /x#y # why
        errorCode: 403
        errorMessage: null
        requestParameters.force: true
        mfa|exists: false
    several:
        - eventName: A
          eventSource: b
        - eventName: C
    words:
    - one
    - two three
    condition: 1 of sel* and not
fields:
    - yes
level: low
"""


def test_usual_rules_are_plainly_written() -> None:
    """Those that are not are only slower to convert."""
    assert is_plainly_written(PLAIN)
    # What is left out would be told of, and else the test says nothing of the rest.
    assert not [found for found in misreadings(PLAIN) if "condition" not in found.path]


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("        errorCode: 403\n", "        errorCode: 0403\n"),
        ("        errorCode: 403\n", "        errorCode|startswith: 403\n"),
        ("        errorCode: 403\n", "        errorCode: 1.10\n"),
        ("        errorCode: 403\n", "        errorCode: 12:30\n"),
        ("        errorCode: 403\n", "        errorCode: 2026-01-05\n"),
        ("        errorCode: 403\n", "        errorCode: .inf\n"),
        ("        errorCode: 403\n", "        errorCode: off # not on\n"),
        ("        errorCode: 403\n", "        errorCode: Yes\n"),
        ("        errorCode: 403\n", "        errorCode: [A, No]\n"),
        ("        errorCode: 403\n", "        errorCode: !!int '0403'\n"),
        ("        errorCode: 403\n", "        errorCode: &a No\n"),
        ("        errorCode: 403\n", "        errorCode: A\n        eventSource: b\n"),
        ("        errorCode: 403\n", "        errorCode: {a: b}\n"),
        ("        errorCode: 403\n", "        errorCode:\n            a: b\n"),
        ("        errorCode: 403\n", "        errorCode:\n        - a: b\n"),
        ("        errorCode: 403\n", "        errorCode: []\n"),
        ("        errorCode: 403\n", "        012: x\n"),
        ("        errorCode: 403\n", "        no: x\n"),
        ("        errorCode: 403\n", "        'a': x\n        a: y\n"),
        ("        errorMessage: null\n", "        errorMessage|contains: null\n"),
        ("        errorMessage: null\n", "        errorMessage|contains:\n"),
        ("        errorMessage: null\n", "        errorMessage|exists: null\n"),
        ("        mfa|exists: false\n", "        mfa|contains: false\n"),
        ("        mfa|exists: false\n", "        mfa|exists: 'false'\n        mfa|exists: true\n"),
        ("            - /x#y # why\n", "            - 5\n"),
        ("            - /x#y # why\n", "            -\n"),
        ("            - /x#y # why\n", "            - {}\n"),
        ("        - eventName: C\n", "        - eventName|contains:\n        - eventName: C\n"),
        ("        - eventName: C\n", "        - {}\n"),
        ("    - two three\n", "    - 2.5\n"),
        ("    words:\n", "    selection:\n"),
        ("    words:\n", "    timeframe: [2026-01-05]\n    words:\n"),
        ("    words:\n", "    timeframe:\n    - 2026-01-05\n    words:\n"),
        ("    words:\n", "    other:\n        timeframe: 2026-01-05\n    words:\n"),
        ("    words:\n", "    empty: {}\n    words:\n"),
        ("status: test\n", "status: test\nstatus: stable\n"),
        ("status: test\n", "status: test\rstatus: stable\r"),
        ("    product: aws\n", "    product: aws\n    product: aws\n"),
    ],
)
def test_what_is_misread_is_not_plainly_written(line: str, other: str) -> None:
    """Each has one line that is misread, or a key that is there twice."""
    assert line in PLAIN
    text = PLAIN.replace(line, other)
    assert misreadings(text) or double_keys(text)
    assert not is_plainly_written(text)


# What is odd in YAML 1.1, beside what is usual.
_WORDS = st.sampled_from(
    [
        "No",
        "on",
        "y",
        "null",
        "~",
        "",
        "True",
        "a b",
        "012",
        "0",
        "5",
        "1.10",
        "1_0",
        "12:30",
        ".5",
        "-",
        "- a",
        "a: b",
        "2026-01-05",
        "=",
        "<<",
        "x",
        ".nan",
        "#",
        "a #b",
        "a#b",
        "'a'",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%",
        "@",
        "a:",
        "?",
    ]
)
_KEYS = st.sampled_from(["a", "b", "a|contains", "a|exists", "a|gte", "on", "condition", "timeframe", "5", "|all"])
_VALUES = st.one_of(_WORDS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False), st.dates())
_FIELDS = st.dictionaries(_KEYS, _VALUES | st.lists(_VALUES, max_size=3) | st.dictionaries(_KEYS, _VALUES, max_size=2))
_SELECTIONS = st.dictionaries(_KEYS, _FIELDS | st.lists(_FIELDS | _VALUES, max_size=3) | _VALUES, max_size=3)


@settings(max_examples=500)
@given(st.fixed_dictionaries({"title": _WORDS, "detection": _SELECTIONS}), st.sampled_from([None, False]))
def test_what_a_library_writes_is_judged_alike(document: dict[str, Any], flow: bool | None) -> None:
    """Of rules that are valid YAML, the quick look never passes one that the closer look does not."""
    text = yaml.safe_dump(document, default_flow_style=flow, sort_keys=False, allow_unicode=True)
    assert not (is_plainly_written(text) and _faults(text))


_LINES = st.lists(
    st.tuples(
        st.sampled_from(["", " ", "  ", "    "]),
        st.sampled_from(["", "- ", "-  ", "- - "]),
        st.sampled_from(["", "detection:", "a:", "a|contains:", "b:", "'a':", "on:", "c: ", "c|re: "]),
        _WORDS,
        st.sampled_from(["", " ", " # no: x", ":", "  - x"]),
    ).map("".join),
    max_size=8,
)


@settings(max_examples=500)
@given(_LINES)
def test_lines_of_any_kind_are_judged_alike(lines: list[str]) -> None:
    """Of lines of which only some are valid YAML, too."""
    text = "\n".join(["detection:", *lines, ""])
    try:
        yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        # It is not loaded, and so nothing in it is misread.
        return
    assert not (is_plainly_written(text) and _faults(text))


def _faults(text: str) -> list[object]:
    found = misreadings(text)
    return [*(each for each in found if "condition" not in each.path), *double_keys(text)]
