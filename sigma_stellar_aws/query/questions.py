"""What a condition asks of the values of a field, and what answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, NamedTuple, TypeAlias

from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.lucene_regex import is_case_sensitive


@dataclass(frozen=True)
class Text:
    """The value is this text, in which None stands for any run of characters and 1 for any one character."""

    parts: "tuple[str | Literal[1] | None, ...]"
    ignore_case: bool

    @property
    def is_whole(self) -> bool:
        """Whether there is no wildcard in it."""
        return all(isinstance(part, str) for part in self.parts)

    @property
    def literal(self) -> str:
        """The text without its wildcards."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def joined(self, escape: Callable[[str], str], many: str, one: str) -> str:
        """Return the text in a language of patterns."""
        return "".join(escape(p) if isinstance(p, str) else many if p is None else one for p in self.parts)


@dataclass(frozen=True)
class Pattern:
    """The whole value matches this Lucene regular expression."""

    regex: str
    ignore_case: bool


@dataclass(frozen=True)
class Number:
    """The value is this number."""

    value: int | float


@dataclass(frozen=True)
class Boolean:
    """The value is true, or false."""

    value: bool


@dataclass(frozen=True)
class Comparison:
    """The value is a number on this side of the bound."""

    operator: Literal["gt", "gte", "lt", "lte"]
    bound: int | float


@dataclass(frozen=True)
class Network:
    """The value is an address of this network."""

    network: IPv4Network | IPv6Network


@dataclass(frozen=True)
class Present:
    """There is a value."""


Ask: TypeAlias = Text | Pattern | Number | Boolean | Comparison | Network | Present


class Doubt(NamedTuple):
    """In what a query may be wrong."""

    kind: Literal["missing", "cut", "loose"]
    """The store has no such field; does not index long values; or cannot ask for exactly this."""
    reason: str


class FieldQuery(NamedTuple):
    """A query on one field; it is exact where there are no doubts."""

    clause: Clause
    doubts: tuple[Doubt, ...] = ()


class NoQueryError(ValueError):
    """No query on the field answers what is asked; the message is the reason."""


UNTYPED = "untyped"
"""A field of an unknown type, with a sub-field for its exact text."""


def needs_case(ask: Ask) -> bool:
    """Return whether a value in another case would be a wrong answer.

    >>> needs_case(Text(("Delete",), ignore_case=False)), needs_case(Text(("5",), ignore_case=False))
    (True, False)
    """
    if isinstance(ask, Text):
        return not ask.ignore_case and ask.literal.lower() != ask.literal.upper()
    return isinstance(ask, Pattern) and not ask.ignore_case and is_case_sensitive(ask.regex)
