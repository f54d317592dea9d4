"""Repair JSON in which only characters or numbers are wrong."""

import json
import math

import msgspec

from sigma_stellar_aws.logs.record_head import Raw

BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for a text that is not JSON, or is nested too deeply."""

_LONGEST_INTEGER = 300


def mend(text: Raw) -> bytes | None:
    """Repair JSON that is invalid only because of bad UTF-8, lone surrogates, NaN or numbers too large for a decoder.

    What is not a character becomes a replacement character, what is not a number becomes null, a number that is too
    large becomes its text, and everything else stays. Return None where more than that is wrong.

    >>> mend(b'{"a": NaN, "b": "\\xff"}').decode()
    '{"a": null, "b": "\ufffd"}'
    >>> mend(b'{"a":') is None
    True
    """
    try:
        value = json.loads(
            bytes(memoryview(text)).decode("utf-8", "replace"),
            parse_constant=lambda name: None,
            parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INTEGER else digits,
            parse_float=lambda digits: number if math.isfinite(number := float(digits)) else digits,
        )
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return None
