"""Places in YAML texts."""

import pytest
import yaml

from sigma_stellar_aws.base.yaml_positions import Span, double_keys, line_of, load_yaml, place_of

TEXT = """\
# A comment
title: A Rule
tags:
    - attack.impact
    - attack.t1485
detection:
    selection:
        eventName|contains: 'Délete'
        errorCode:
            - null
            - >-
                folded
                text
    5: number
    mixed: [{a: 1}, {a: 2}]
    condition: selection
---
title: Another
"""


@pytest.mark.parametrize(
    ("at", "line"),
    [
        ((), 2),
        (("title",), 2),
        (("tags",), 3),
        (("tags", 1), 5),
        (("detection", "selection", "eventName|contains"), 8),
        (("detection", "selection", "errorCode", 1), 11),
        (("detection", 5), 14),
        (("detection", "mixed", 1, "a"), 15),
        (("detection", "selection", "missing"), 7),
        (("tags", 7), 3),
        (("tags", -1), 3),
        (("title", "deeper", 0), 2),
        (("level",), 2),
    ],
)
def test_the_line_is_that_of_the_deepest_part_that_exists(at: tuple[str | int, ...], line: int) -> None:
    """A path leads to its line, and one that goes on where there is nothing to the last part that is there."""
    assert line_of(TEXT, at) == line


def test_documents_count_from_zero() -> None:
    """A path is looked up in the document of the given number; there is no line in one that is not there."""
    assert line_of(TEXT, ("title",), 1) == 18
    assert line_of(TEXT, ("title",), 2) is None


def test_a_document_before_a_broken_one_has_lines() -> None:
    """What is broken later in a text does not hide the lines before it."""
    text = "title: x\n---\n]\n"
    assert line_of(text, ("title",)) == 1
    assert line_of(text, (), 1) is None


@pytest.mark.parametrize(
    ("at", "part"),
    [
        (("title",), "title: A Rule"),
        (("detection", "selection"), "selection"),
        (("detection", "selection", "eventName|contains"), "eventName|contains: 'Délete'"),
        (("tags", 0), "attack.impact"),
        (("detection", "mixed", 0), "{a"),
        (("detection", "mixed", 1, "a"), "a: 2"),
        (("detection", "selection", "errorCode", 1), ">"),
    ],
)
def test_a_place_is_a_part_of_its_line(at: tuple[str | int, ...], part: str) -> None:
    """The columns of a place cut out a key, with its value if that is plain and on the same line, or an item."""
    place = place_of(TEXT, at)
    assert place is not None
    assert TEXT.splitlines()[place.line - 1][place.column - 1 : place.end_column - 1] == part


@pytest.mark.parametrize(
    ("text", "column"),
    [("hits: &a [*a]\n", 1), ("hits: &a [[*a]]\n", 1), ("&a\nhits: [*a]\n", 1), ("hits: &a\n    - *a\n", 1)],
)
def test_what_contains_itself_has_a_place(text: str, column: int) -> None:
    """A list or map that is its own first entry is looked up like any other."""
    place = place_of(text, ("hits",))
    assert place is not None
    assert (place.column, text.splitlines()[place.line - 1].startswith("hits")) == (column, True)
    assert place_of(text, ("hits", 0)) is not None
    assert double_keys(text) == []


def test_the_last_of_two_keys_counts() -> None:
    """Like the loader, a path takes the last of two equal keys."""
    assert line_of("a: 1\nb: 2\na: 3\n", ("a",)) == 3


def test_double_keys_are_found_at_every_depth() -> None:
    """A key that a map has again is told with its place; the same key in another map is no double."""
    text = "a: {x: 1}\nb:\n    - x: 1\n      y: 2\n      x: 3\na: 4\n"
    assert double_keys(text) == [(Span(6, 1, 2), "a"), (Span(5, 7, 8), "x")]


def test_aliases_load_until_they_stand_for_too_much() -> None:
    """Aliases are no fault in themselves, but few lines of them may not stand for millions of values or for itself."""
    assert load_yaml("a: &a [1, 2]\nb: *a\n") == [{"a": [1, 2], "b": [1, 2]}]
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8)
    )
    for text in (bomb, "a: &a [*a]\n"):
        with pytest.raises(ValueError, match="aliases"):
            load_yaml(text)


def test_a_text_that_is_no_yaml_is_refused() -> None:
    """Loading tells of broken YAML as the library does."""
    with pytest.raises(yaml.YAMLError):
        load_yaml("a: [1\n")
