"""Find the members of a JSON object that a decoder drops, because their key comes again later."""

import json
from collections.abc import Iterator, Mapping

import msgspec

from sigma_stellar_aws.logs.record_head import Raw

_LEAST_LOST = 64
"""Bytes that the shortest record has."""
_PUNCTUATION = 8
"""Bytes beside the key and the value of a member: quotes, colon, comma, and a few blanks."""
_value_at = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=len).raw_decode


def dropped_members(value: Raw, members: Mapping[str, msgspec.Raw]) -> Iterator[bytes]:
    """Yield an object for each member that the decoded ones lack.

    Args:
        value: a whole object.
        members: the members as decoded, the last one of each key.

    >>> list(dropped_members(b'{"a": "%b", "a": 2}' % (b"x" * 100), {"a": msgspec.Raw(b"2")}))[0][:8]
    b'{"a":"xx'
    """
    size = len(memoryview(value))
    decoded = sum([len(key) + len(memoryview(raw)) + _PUNCTUATION for key, raw in members.items()])
    # All but a few wrappers are passed over here.
    if size < decoded + _LEAST_LOST:
        return
    try:
        pairs = list(_members(bytes(memoryview(value)).decode("latin-1")))
    except (ValueError, RecursionError):
        # This decoder is stricter than the one that read the object.
        return
    last = {key: number for number, (key, _) in enumerate(pairs)}
    for number, (key, member) in enumerate(pairs):
        if last[key] != number:
            yield f"{{{key}:{member}}}".encode("latin-1")


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the key and the value of each member of an object, as they are written."""
    at = _after_blanks(text, text.index("{") + 1)
    while text[at] != "}":
        end = _value_at(text, at)[1]
        start = _after_blanks(text, _after_blanks(text, end) + 1)
        value_end = _value_at(text, start)[1]
        yield text[at:end], text[start:value_end]
        at = _after_blanks(text, value_end)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)


def _after_blanks(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at
