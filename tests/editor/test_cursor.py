"""What is being written at a place, in texts that are no YAML yet."""

import pytest

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.editor.cursor import cursor_at
from sigma_stellar_aws.editor.outline import read_outline
from sigma_stellar_aws.rule_files.find import pack_path
from tests.editor.writing import HEAD, cut
from tests.support.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("marked", "path", "before"),
    [
        ("^", (), ""),
        ("ti^", (), "ti"),
        (HEAD + "        ev^", ("detection", "selection"), "ev"),
        (HEAD + "    con^", ("detection",), "con"),
        (HEAD + "^", (), ""),
        (HEAD + "    ^\n\n\nlevel: low", ("detection",), ""),
        (HEAD + "        eventName|st^: x", ("detection", "selection"), "eventName|st"),
        (HEAD + "        'event^Name': x", ("detection", "selection"), "event"),
        ("detection:\n  s:\n    - ev^", ("detection", "s", 0), "ev"),
        ("detection:\n  s:\n  - a: 1\n  - b: 1\n    ev^", ("detection", "s", 1), "ev"),
        ("a: 1\n---\nstellar:\n\tse^", ("stellar",), "se"),
        ("detection:\n  s: {a: 1, ev^", ("detection", "s"), "ev"),
    ],
)
def test_a_key(marked: str, path: YamlPath, before: str) -> None:
    """Where a key is written, the map that gets it is known by the indentation."""
    cursor = cursor_at(*cut(marked))
    assert cursor is not None
    assert (cursor.path, cursor.before, cursor.is_key) == (path, before, True)


@pytest.mark.parametrize(
    ("marked", "path", "word"),
    [
        ("level: ^", ("level",), ""),
        ("level: 'lo^w' # why", ("level",), "low"),
        ('level: "lo^', ("level",), "lo"),
        (HEAD + "        eventName:\n            - Del^U", ("detection", "selection", "eventName", 0), "DelU"),
        (HEAD + "        eventName:\n        - A\n        - ^", ("detection", "selection", "eventName", 1), ""),
        (HEAD + "        eventName: [A, 'B^", ("detection", "selection", "eventName", 1), "B"),
        ("detection:\n  s: {eventSource: a, eventName: B^}", ("detection", "s", "eventName"), "B"),
        ("detection:\n  s: [{a: b}, {c: d^", ("detection", "s", 1, "c"), "d"),
        ("detection:\n  s: [x, {a: b}, {c: d^", ("detection", "s", 2, "c"), "d"),
        ('detection:\n  s: {"a":"b^', ("detection", "s", "a"), "b"),
        ("tags: [attack.a, at^tack.b]", ("tags", 1), "attack.b"),
        ("detection:\n  condition: a and n^ot b", ("detection", "condition"), "not"),
        ("title: a\r\nlevel: lo^\r\n", ("level",), "lo"),
        ("title: \U0001f600\nlevel: lo^", ("level",), "lo"),
    ],
)
def test_a_value(marked: str, path: YamlPath, word: str) -> None:
    """Where a value is written, its place is known, and the whole word at the cursor, without quotes."""
    text, offset = cut(marked)
    cursor = cursor_at(text, offset)
    assert cursor is not None
    assert cursor.is_value
    assert (cursor.path, text[cursor.word.start : cursor.word.end]) == (path, word)


@pytest.mark.parametrize("marked", ["# ^", "a: b # c^", "a: >-\n  b^", "a: |2\n    b\n\n  c^\n", "a:\n  - >\n    b^"])
def test_comments_and_texts_of_several_lines(marked: str) -> None:
    """Nothing of a rule is written there."""
    assert cursor_at(*cut(marked)) is None


@pytest.mark.parametrize("marked", ["a: 'b # c^'", "a: b#c^", "a: >-\n  b\nc^: d"])
def test_what_only_looks_like_a_comment(marked: str) -> None:
    """A # in quotes or within a word begins none, and after a text of several lines there are keys again."""
    assert cursor_at(*cut(marked)) is not None


def test_the_documents_of_a_file() -> None:
    """They are counted as a loader counts them."""
    text = "---\na: ^\n---\nb: ^\n...\n---\nc: ^\n"
    plain = text.replace("^", "x")
    assert [entry.document for entry in read_outline(plain)] == [0, 1, 2]
    assert [cursor.document for mark in "abc" if (cursor := cursor_at(plain, plain.index(mark) + 3))] == [0, 1, 2]


def test_the_outline_is_that_of_a_loader() -> None:
    """Of whole rules, each key and element is found at its path, and plain values are those that a loader reads."""
    for file in pack_path().glob("*.yml"):
        document = read_yaml(file)
        for entry in read_outline(file.read_text(encoding="utf-8")):
            value = document
            for step in entry.path:
                value = value[step]
            if isinstance(value, str) and not entry.value.startswith((">", "|")):
                assert entry.value.strip("'\"") == value, (file, entry)
