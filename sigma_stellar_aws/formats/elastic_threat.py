"""The tactics and techniques of a rule as the tree that Elastic's detection rules have, in one version of ATT&CK.

There are two versions, 18 and 19. Kibana 7.17 and 8, which go by older ones yet, get the ids of 18: it differs from
them in few techniques, and a rule with an id that Kibana does not know runs, but is not on its coverage page.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sigma.rule import SigmaRuleTag

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.reference.attack import (
    Attack,
    attack,
    attack_v18,
    tactics_shown,
    tagged_tactics,
    tagged_techniques,
)

SITE = "https://attack.mitre.org"

_EVASION, _STEALTH, _IMPAIRMENT = "defense-evasion", "stealth", "defense-impairment"


class Threat(NamedTuple):
    """The tree, and the techniques (ids) and tactics (as tagged) that this version of ATT&CK has no place for."""

    tree: list[JsonObject]
    left_out: list[str]


def threat(tags: Iterable[SigmaRuleTag], *, version: int) -> Threat:
    """Return the tree of a rule's tags: an item a tactic, techniques under the tactics that they belong to.

    Tags of ATT&CK 18 and 19 are brought to the wanted version. A technique whose tactics the rule does not name stands
    under all that it has, and a tactic without a technique alone.

    Args:
        tags: the tags of the rule.
        version: 18, which has Defense Evasion, or 19, which has Stealth and Defense Impairment in its place.
    """
    table = attack_v18() if version == 18 else attack()
    names = [tag.name for tag in tags if tag.namespace == "attack"]
    techniques = {name: _technique(name, table) for name in tagged_techniques(names)}
    known = list(dict.fromkeys(name for name in techniques.values() if name in table.techniques))
    tagged = tagged_tactics(names)
    tactics = _tactics(tagged, known, table)
    all_tactics = {*attack().tactics, *attack_v18().tactics}
    unknown = [name for name in tagged if name not in all_tactics]
    of_tactic: dict[str, list[str]] = {tactic: [] for tactic in table.tactics}
    for technique in known:
        for tactic in tactics_shown(table.techniques[technique], tactics):
            of_tactic[tactic].append(technique)
    tree = [
        _item(tactic, of_tactic[tactic], table) for tactic in table.tactics if of_tactic[tactic] or tactic in tactics
    ]
    return Threat(tree, [*(name for name, found in techniques.items() if found not in table.techniques), *unknown])


def _technique(name: str, table: Attack) -> str:
    """Return the id in this version of a technique of any version; the same if none is known."""
    newest = attack()
    if name in table.techniques:
        return name
    if name in table.replaces:
        return table.replaces[name]
    # Several were joined to one: the one that had its name is meant, else the first.
    former = [old for old, new in newest.replaces.items() if new == name and old in table.techniques]
    same = [old for old in former if table.techniques[old].name == newest.techniques[name].name]
    return (same or former or [name])[0]


def _tactics(names: Sequence[str], techniques: Sequence[str], table: Attack) -> list[str]:
    """Return the tactics of tags in this version."""
    found = [name for name in names if name in table.tactics]
    if _EVASION in table.tactics and {_STEALTH, _IMPAIRMENT} & set(names):
        found.append(_EVASION)
    if _EVASION in names and _EVASION not in table.tactics:
        own = {tactic for technique in techniques for tactic in table.techniques[technique].tactics}
        # Stealth has the id of Defense Evasion.
        found += [tactic for tactic in (_STEALTH, _IMPAIRMENT) if tactic in own] or ([] if techniques else [_STEALTH])
    return found


def _item(tactic: str, techniques: Sequence[str], table: Attack) -> JsonObject:
    parents = dict.fromkeys(table.techniques[name].parent or name for name in techniques)
    known = table.tactics[tactic]
    return {
        "framework": "MITRE ATT&CK",
        "tactic": {"id": known.id, "name": known.name, "reference": f"{SITE}/tactics/{known.id}/"},
        "technique": [
            {
                **_reference(parent, table),
                "subtechnique": [
                    _reference(name, table) for name in techniques if table.techniques[name].parent == parent
                ],
            }
            for parent in parents
        ],
    }


def _reference(technique: str, table: Attack) -> JsonObject:
    path = technique.replace(".", "/")
    return {"id": technique, "name": table.techniques[technique].name, "reference": f"{SITE}/techniques/{path}/"}
