"""MITRE ATT&CK, from a table of our own: pySigma fetches it from the internet while it runs."""

import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

TagKind: TypeAlias = Literal["technique", "tactic", "other"]

_TECHNIQUE = re.compile(r"t\d")
# Groups, software, mitigations, campaigns, data sources, detections and so on, which our table does not have.
_OTHER = re.compile(r"(?:[gsmc]|ds|det|an|dc)\d{4}")


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
    """Return the table that ships with this project."""
    return _table("attack_v19.json")


@cache
def attack_v18() -> Attack:
    """Return the version before, for systems that do not know the new one yet."""
    return _table("attack_v18.json")


def _table(name: str) -> Attack:
    return msgspec.json.decode((Path(__file__).parent / "data" / name).read_bytes(), type=Attack)


def tag_kind(name: str) -> TagKind:
    """Tell what a tag ``attack.NAME`` of a Sigma rule names, whatever its case: pySigma leaves it as it is written.

    >>> [tag_kind(name) for name in ("T1136.003", "impact", "ds0029")]
    ['technique', 'tactic', 'other']
    """
    if _TECHNIQUE.match(name.lower()):
        return "technique"
    return "other" if _OTHER.fullmatch(name.lower()) else "tactic"


def tagged_techniques(names: Iterable[str]) -> list[str]:
    """Return the ids of the techniques among tags ``attack.NAME``.

    >>> tagged_techniques(["impact", "t1485", "T1136.003", "ds0029"])
    ['T1485', 'T1136.003']
    """
    return list(dict.fromkeys(name.upper() for name in names if tag_kind(name) == "technique"))


def tagged_tactics(names: Iterable[str]) -> list[str]:
    """Return the tactics among tags ``attack.NAME``, named as Sigma does today, whether ATT&CK has them or not.

    >>> tagged_tactics(["Impact", "t1485", "initial_access", "TA0003", "ds0029"])
    ['impact', 'initial-access', 'persistence']
    """
    by_id = {tactic.id.lower(): name for name, tactic in attack().tactics.items()}
    tactics = (name.lower().replace("_", "-") for name in names if tag_kind(name) == "tactic")
    return list(dict.fromkeys(by_id.get(tactic, tactic) for tactic in tactics))


def tactics_shown(technique: Technique, tagged: Collection[str]) -> list[str]:
    """Return the tactics to show a technique under: its own that a rule is tagged with, or all its own if none is."""
    return [tactic for tactic in technique.tactics if tactic in tagged] or technique.tactics


def label(technique: str) -> str:
    """Return id and name of a technique, such as "T1485 Data Destruction"; the id alone where it is not known."""
    known = attack().techniques.get(technique)
    return f"{technique} {known.name}" if known else technique


def tactic_name(tactic: str) -> str:
    """Return the name of a tactic of a Sigma tag, such as "Impact"; the tag itself where it is not known."""
    known = attack().tactics.get(tactic)
    return known.name if known else tactic
