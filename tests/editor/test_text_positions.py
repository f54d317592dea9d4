"""Positions as YAML, the protocol and Python count them."""

import pytest
import yaml

from sigma_stellar_aws.base.yaml_positions import Span, place_of
from sigma_stellar_aws.editor.text_positions import Encoding, offset_of, place_of_span, position_of

# Two UTF-16 units and four bytes; one and two; one and three.
TEXT = "a: \U0001f600x\r\nb: \u00fcx\rc: \u20acx\nd: x"


@pytest.mark.parametrize(
    ("encoding", "characters"), [("utf-16", (5, 4, 4, 3)), ("utf-8", (7, 5, 6, 3)), ("utf-32", (4, 4, 4, 3))]
)
def test_characters_are_counted_in_the_units_of_the_client(encoding: Encoding, characters: tuple[int, ...]) -> None:
    """Each x of the text is where the encoding says, on the line that its line break says."""
    offsets = [offset for offset, letter in enumerate(TEXT) if letter == "x"]
    assert [position_of(TEXT, offset, encoding) for offset in offsets] == [*enumerate(characters)]
    assert [offset_of(TEXT, line, at, encoding) for line, at in enumerate(characters)] == offsets


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_every_offset_has_one_position(encoding: Encoding) -> None:
    """There and back again; the line feed of a pair is no place of its own."""
    for offset in range(len(TEXT) + 1):
        if TEXT[offset - 1 : offset + 1] != "\r\n":
            assert offset_of(TEXT, *position_of(TEXT, offset, encoding), encoding) == offset


def test_a_position_beyond_the_end_is_the_end() -> None:
    """Of a line its end before the break, of the text its end."""
    assert offset_of("ab\r\nc", 0, 99) == 2
    assert offset_of("ab\r\nc", 9, 0) == 5
    assert offset_of("", 0, 0) == 0


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x85", "\u2028"])
@pytest.mark.parametrize("text", ["# \U0001f600{0}k: v{0}", "# x{0}{0}k: v", "\u00fc: 1{0}k: v"])
def test_a_finding_is_where_yaml_has_it(text: str, line_break: str) -> None:
    """YAML takes more characters for line breaks than the protocol, and both mean the same part of the text."""
    broken = text.format(line_break)
    assert yaml.safe_load(broken)["k"] == "v"
    span = place_of(broken, ("k",))
    assert span is not None
    place = place_of_span(broken, span)
    assert broken[place.start : place.end] == "k: v"


def test_a_place_that_is_no_more_is_none() -> None:
    """A finding beyond the end of a text, which was cut meanwhile, is at its end."""
    assert place_of_span("a", Span(9, 9, 10)) == (1, 1)
    assert place_of_span("", Span(1, 1, 2)) == (0, 0)
