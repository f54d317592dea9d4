"""What is wrong with the ATT&CK tags of a rule, by the table that ships with this project."""

from collections.abc import Iterator, Sequence

from sigma.rule import SigmaRuleTag

from sigma_stellar_aws.base.text import LOOSELY_ALIKE, nearest
from sigma_stellar_aws.reference.attack import attack, label, tactic_name, tag_kind, tagged_tactics
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import AttackTacticIssue, OutdatedAttackTagIssue, UnknownAttackTagIssue

FORMER_TACTICS = {"defense-evasion": ("defense-impairment", "stealth")}
"""Tactics that the version of the table no longer has, and those that took their place."""


def tag_faults(tags: Sequence[SigmaRuleTag]) -> Iterator[tuple[Fault, int]]:
    """Yield the faults of a rule's tags, each with the number of its tag."""
    names = [tag.name.lower() if tag.namespace == "attack" else "" for tag in tags]
    tactics = tagged_tactics(filter(None, names))
    # A rule that goes by an older version is not judged by the tactics of this one.
    tagged = None if set(tactics) & set(FORMER_TACTICS) else set(tactics) & set(attack().tactics)
    for number, name in enumerate(names):
        kind = tag_kind(name) if name else "other"
        if kind == "other":
            continue
        fault = _technique_fault(name.upper(), tagged) if kind == "technique" else _tactic_fault(name)
        if fault is not None:
            yield fault, number


def _technique_fault(technique: str, tagged: set[str] | None) -> Fault | None:
    table = attack()
    if successor := table.replaces.get(technique):
        problem = f"ATT&CK {table.version} replaced {technique}; write attack.{successor.lower()} ({label(successor)})."
        return Fault(OutdatedAttackTagIssue, problem)
    known = table.techniques.get(technique)
    if known is None:
        parent = technique.partition(".")[0]
        hint = f"; there is {label(parent)}" if parent != technique and parent in table.techniques else ""
        return Fault(UnknownAttackTagIssue, f"ATT&CK {table.version} has no technique {technique}{hint}.")
    if tagged and not tagged & set(known.tactics):
        names = " or ".join(map(tactic_name, known.tactics))
        wanted = " or ".join(f"attack.{tactic}" for tactic in known.tactics)
        problem = f"{label(technique)} is a technique of {names}, of which no tag is there; add {wanted}."
        return Fault(AttackTacticIssue, problem)
    return None


def _tactic_fault(tactic: str) -> Fault | None:
    table = attack()
    if tactic in table.tactics:
        return None
    hyphened = tactic.replace("_", "-")
    if instead := FORMER_TACTICS.get(hyphened, (hyphened,) if hyphened in table.tactics else ()):
        wanted = " or ".join(f"attack.{one}" for one in instead)
        return Fault(OutdatedAttackTagIssue, f"ATT&CK {table.version} has no tactic {tactic!r}; write {wanted}.")
    by_id = {known.id.lower(): name for name, known in table.tactics.items()}
    meant = by_id.get(tactic) or nearest(hyphened, table.tactics, LOOSELY_ALIKE)
    hint = f"; write attack.{meant}" if meant else ""
    return Fault(UnknownAttackTagIssue, f"ATT&CK {table.version} has no tactic {tactic!r}{hint}.")
