"""Windows on texts of any length."""

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.logs.json_window import Window

# Whatever may be cut in two: numbers, words, escapes, characters of several bytes; and what is damaged.
PARTS = st.sampled_from(
    [*"{}[]:, \n\t\\x", '"', '"a"', '"a":', '"\\u00e9\\n\\""', "\u00e9", "12.5e-3", "-0", "-", "1e", "true", "nul",
     "tru", "Infinity", "NaN", "\\ud8", "\0"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.lists(PARTS, max_size=20).map("".join) | st.builds(
    lambda value, rest, ascii_only: json.dumps(value, ensure_ascii=ascii_only) + rest,
    VALUES,
    st.lists(PARTS, max_size=3).map("".join),
    st.booleans(),
)


def pieces(text: bytes, size: int) -> Iterator[bytes]:
    """A text in pieces of a size."""
    return (text[start : start + size] for start in range(0, len(text), size))


def window(text: bytes, size: int, longest: int = 1000) -> Window:
    """A window that grows by so many bytes."""
    return Window(pieces(text, size), size, longest)


@given(TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")), st.integers(1, 50), st.integers(1, 60))
def test_the_end_of_a_value_is_where_it_is(text: bytes, size: int, longest: int) -> None:
    """The end of a value, or what is wrong with it, is the same whatever part of the text is held at first."""
    in_pieces, whole = window(text, size, longest), window(text, 1 << 20, longest)
    assert in_pieces.value_end() == whole.value_end()


@given(VALUES, st.integers(1, 50))
def test_whole_values_end_at_their_ends(value: object, size: int) -> None:
    """The end of a whole value is found, and is told to be none where fewer bytes are allowed."""
    text = json.dumps(value).encode()
    assert window(text + b" ,", size, len(text)).value_end() == len(text)
    assert window(text + b" ,", size, len(text) + 1).value_end() == len(text)
    if len(text) > 1:
        assert window(text + b" ,", size, len(text) - 1).value_end() == f"it has no end within {len(text) - 1:,} bytes"


@given(st.integers(0, 3000), st.integers(0, 200), st.integers(1, 2000), st.integers(0, 600))
def test_the_next_match_is_found(before: int, blanks: int, size: int, behind: int) -> None:
    """What is looked for behind damage is found wherever it stands in the pieces, and not if it is not there."""
    start = re.compile(rb'\{[ \n]{0,200}"key"')
    text = b"\n{" + b'{"kex"' * before + b"{" + b"\n" * blanks + b'"key"' + b"y" * behind
    there = window(text, size)
    assert there.resync(start) == 2 + 6 * before
    assert (there.offset, there.line) == (2 + 6 * before, 2)
    assert there.data[there.at :].startswith(b"{")
    missing = window(text.replace(b'"key"', b'"kex"'), size)
    assert missing.resync(start) == len(text)
    assert missing.skip_blanks() == b""


def test_the_match_here_is_not_the_next() -> None:
    """The damage itself may look like what is looked for."""
    for text, left_out in ((b"{a{b", 2), (b"{a", 2), (b"{{", 1)):
        assert window(text, 1).resync(re.compile(rb"\{")) == left_out


@given(st.lists(st.sampled_from([b"a", b" ", b"\n", b"\r\n", b"\t"]), max_size=30).map(b"".join), st.integers(1, 5))
def test_offsets_and_lines(text: bytes, size: int) -> None:
    """Blanks are skipped in pieces of any size, and offset and line are those in the whole text."""
    moving = window(text, size)
    while moving.skip_blanks():
        assert text[moving.offset : moving.offset + 1] == b"a"
        assert moving.line == text.count(b"\n", 0, moving.offset) + 1
        moving.move(moving.at + 1)
    assert moving.offset == len(text)
    assert b"a" not in text or text.rindex(b"a") < moving.offset


def test_so_much_is_held() -> None:
    """As many bytes are held as are asked for, if there are, and what lies before the position is not."""
    held = window(b"0123456789", 3)
    held.hold(4)
    assert held.data.startswith(b"0123")
    held.move(2)
    held.hold(7)
    assert held.data == b"23456789"
    held.hold(100)
    assert (held.data[held.at :], held.ended) == (b"23456789", True)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_too_deep_is_told(text: bytes) -> None:
    """Values nested deeper than can be read are told."""
    assert window(text, 1 << 20, 1 << 20).value_end() == "it is nested too deeply"
