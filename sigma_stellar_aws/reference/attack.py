"""MITRE ATT&CK, from a table of our own: pySigma fetches it from the internet while it runs."""

from functools import cache
from pathlib import Path

import msgspec


class Tactic(msgspec.Struct, frozen=True):
    """A tactic, such as TA0040 Impact."""

    id: str
    name: str


class Technique(msgspec.Struct, frozen=True):
    """A technique or sub-technique; its tactics as Sigma tags name them."""

    name: str
    tactics: list[str]
    parent: str | None = None


class Attack(msgspec.Struct, frozen=True):
    """One version of ATT&CK enterprise."""

    version: str
    tactics: dict[str, Tactic]
    """By their names in Sigma tags, such as defense-impairment."""
    techniques: dict[str, Technique]
    """By their ids, such as T1685.002."""
    replaces: dict[str, str] = {}
    """Ids that this version retired, and those that took their place; empty in the oldest table."""


@cache
def attack() -> Attack:
    """The table that ships with this project."""
    return _table("attack_v19.json")


@cache
def attack_v18() -> Attack:
    """The version before, by which systems go that do not know the new one yet."""
    return _table("attack_v18.json")


def _table(name: str) -> Attack:
    return msgspec.json.decode((Path(__file__).parent / "data" / name).read_bytes(), type=Attack)


def label(technique: str) -> str:
    """Id and name of a technique, such as "T1485 Data Destruction"; the id alone where it is not known."""
    known = attack().techniques.get(technique)
    return f"{technique} {known.name}" if known else technique


def tactic_name(tactic: str) -> str:
    """Name of a tactic of a Sigma tag, such as "Impact"; the tag's own where it is not known."""
    known = attack().tactics.get(tactic)
    return known.name if known else tactic
