"""Correlations for the tests of conversions, of rules named by letters."""

from typing import Any

from tests.support.formats import rule

CORRELATION_ID = "0f3c7b52-6a80-4a51-9d6e-2b8f1f0c7d11"


def counted(letter: str, **more: Any) -> dict[str, Any]:
    """A rule named by a letter, about events of this name."""
    number = ord(letter) - ord("a")
    identity = f"00000000-0000-4000-8000-{number:012}"
    return rule({"eventName": f"Do{letter.upper()}"}, id=identity, title=f"Rule {letter.upper()}", name=letter, **more)


def correlation(kind: str, *rules: str, by: tuple[str, ...] = ("userIdentity.arn",), **more: Any) -> dict[str, Any]:
    """A correlation over ten minutes; what is for its top level is given as `top`."""
    block: dict[str, Any] = {"type": kind, "rules": [*rules], "timespan": "10m", **more}
    if by:
        block["group-by"] = [*by]
    top = block.pop("top", {})
    return {"title": "Together", "id": CORRELATION_ID, "correlation": block, **top}
