"""Maps and lists on one line, taken apart as they are written."""

from collections.abc import Iterator

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.editor.flow import entries_with_flow, entry_at
from sigma_stellar_aws.editor.outline import unquoted

# PyYAML writes characters beyond the first plane as escapes where it quotes by ".
WORDS = st.sampled_from(["a", "b c", "x:y", "a#b", "it's", '"', "http://a/b", "\u6f22", "a|b", "*", "- c"])
VALUES: st.SearchStrategy[Json] = st.recursive(
    WORDS,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(WORDS, inner, min_size=1, max_size=3),
    max_leaves=8,
)


def leaves(value: Json, path: YamlPath = ()) -> Iterator[tuple[YamlPath, Json]]:
    """The texts in a value, with their places."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path, value


@given(VALUES, st.sampled_from(["'", '"', None]))
def test_it_is_what_a_loader_reads(value: Json, quote: str | None) -> None:
    """Each text is found at its path, plain or quoted, and in the text at the offsets that are given."""
    text = "s: " + yaml.safe_dump(
        value, default_flow_style=True, default_style=quote, width=10_000, allow_unicode=True
    ).removesuffix("...\n").rstrip("\n")
    found = {entry.path: entry for entry in entries_with_flow(text)}
    for path, leaf in leaves(value, ("s",)):
        entry = found[path]
        assert unquoted(entry.value) == leaf
        assert text.startswith(entry.value, entry.value_start)


@pytest.mark.parametrize("text", ["x: {a", "x: [", "x: {}}", "x: []] ,", "x: {, :", "x: [}", "x: {: a", "x: {a: # b"])
def test_what_is_not_yet_whole(text: str) -> None:
    """What is there is taken; nothing else is made up."""
    assert {entry.path for entry in entries_with_flow(text)} <= {("x",), ("x", "a")}


def test_depth_is_limited() -> None:
    """A line of opening brackets takes no time, and no memory."""
    assert len([*entries_with_flow("x: " + "[" * 100_000)]) < 100


def test_the_entry_at_an_offset() -> None:
    """The one that is pointed at, in whatever map of the line it is."""
    text = "s: {a: b, c: [d, {e: f}]}\n"
    assert [entry.path[-1] for mark in "abdefs" if (entry := entry_at(text, text.index(mark)))] == [
        *("a", "a", 0, "e", "e", "s")
    ]
    assert entry_at(text, len(text)) is None
