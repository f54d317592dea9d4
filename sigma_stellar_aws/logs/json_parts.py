"""Look into JSON without decoding all of it."""

import itertools
from collections.abc import Iterator, Sequence

import msgspec

from sigma_stellar_aws.logs.json_patterns import SEPARATOR
from sigma_stellar_aws.logs.json_repair import BROKEN
from sigma_stellar_aws.logs.json_window import Window

_MENTION = b"eventName"
_LATEST_MENTION = 1 << 16
"""How many bytes from the beginning of its line it may be."""
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def key_name(key: bytes) -> str:
    """Return the key that JSON text stands for; empty if it cannot be read."""
    try:
        return _decode_text(key)
    except BROKEN:
        return ""


def is_whole_object(line: bytes) -> bool:
    """Tell whether a line is an object, and one that is whole."""
    try:
        _decode_members(line)
    except BROKEN:
        return False
    return True


def move_to_mention(window: Window) -> None:
    """Move to where the object or the line begins in which a record is mentioned next, or to the end of the text."""
    while (at := window.data.find(_MENTION, window.at)) < 0 and not window.ended:
        window.move(max(window.at, len(window.data) - _LATEST_MENTION))
        window.extend()
    if at >= 0:
        window.move(_begin_of_mention(window.data, max(window.at, at - _LATEST_MENTION // 2), at))
    else:
        window.move(len(window.data))


def _begin_of_mention(data: bytes, first: int, at: int) -> int:
    """Return where the object, if it is spread over lines, or else the line begins in which something is mentioned.

    Args:
        data: the text.
        first: the first position to return.
        at: the position of what is mentioned.
    """
    spread = data.rfind(b"\n{", max(0, first - 1), at)
    return max(first, 1 + (spread if spread >= 0 else data.rfind(b"\n", first, at)))


def lines_of(block: bytes, raws: list[msgspec.Raw], needed: Sequence[int], line: int) -> Iterator[int]:
    """Yield the line of each needed element of a list.

    Args:
        block: the text of the list.
        raws: its elements.
        needed: the numbers of the needed ones, ascending.
        line: the line on which the list begins.
    """
    if b"\n" not in block:
        yield from itertools.repeat(line, len(needed))
        return
    wanted = set(needed)
    at = 1
    for number, raw in enumerate(raws[: needed[-1] + 1]):
        if separator := SEPARATOR.match(block, at):
            line += block.count(b"\n", at, separator.end())
            at = separator.end()
        if number in wanted:
            yield line
        end = at + len(memoryview(raw))
        line += block.count(b"\n", at, end)
        at = end
