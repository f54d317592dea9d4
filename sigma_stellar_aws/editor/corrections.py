"""What the message of a finding says is to be written, and instead of what: so message and fix never differ.

Messages name what is wrong in quotes and end with "write X", "did you mean X?", "quote it ('X')" and the like; where
one names several, or something else, there is no correction.
"""

import re
from typing import NamedTuple

_NAME = r"(?P<meant>'[^']+'|[\w@/-]+(?:\.[\w@/-]+)*)(?=[?,;]|\.(?:\s|$)|$)"
_FORMS = tuple(
    re.compile(form)
    for form in (
        r"quote it \('(?P<scalar>.+?)'\)",
        r"Events have '(?P<meant>[^']+)', (?:not|which) '(?P<written>[^']+)'",
        r"CloudTrail's field is (?P<meant>[\w.]+), not '(?P<written>[^']+)'",
        r"CloudTrail has the name alone: (?P<meant>\w+)\.",
        r"(?:is|are) recorded under (?P<meant>[\w.-]+\.com)\.",
        r"an IAM action or of the SDK; \S+ has (?P<meant>\w+)\.",
        r"is never '(?P<written>[^']+)'.* write errorCode: (?P<value>null)\.",
        rf"(?:did you mean|write) {_NAME}",
    )
)
_QUOTED = re.compile(r"'([^']+)'")
_OF_KEY = re.compile(r"\b(?:field|key|flattened name|have|modifier)\b")


class Correction(NamedTuple):
    """What to write, and instead of what."""

    written: tuple[str, ...]
    """What may be wrong, the most likely first."""
    meant: str
    is_key: bool
    """Whether it is the key that is wrong, if both it and the value are written so."""
    is_scalar: bool
    """Whether it is written in place of the whole value, with its quotes."""


def correction_of(message: str) -> Correction | None:
    """Return what a message says is to be written.

    >>> correction_of("CloudTrail has no field 'eventNmae'; write eventName.")
    Correction(written=('eventNmae',), meant='eventName', is_key=True, is_scalar=False)
    >>> correction_of("'Root' is not a value; write attack.a or attack.b.")
    """
    for form in _FORMS:
        if (found := form.search(message)) is not None:
            named = found.groupdict()
            if scalar := named.get("scalar"):
                return Correction((scalar,), f"'{scalar}'", False, True)
            meant = named.get("meant") or named["value"]
            plain = meant.strip("'")
            others = [text for text in _QUOTED.findall(message) if text != plain]
            # Of a tag, messages name what stands behind the namespace, in small letters.
            namespace = "attack." if plain.startswith("attack.") else ""
            written = [f"{namespace}{text}" for text in [named.get("written"), *others] if text]
            is_key = _OF_KEY.search(message) is not None
            return Correction(tuple(dict.fromkeys(written)), plain, is_key, "value" in named)
    return None
