"""Show the rules as a layer of the ATT&CK Navigator: which techniques they cover, and how severe that is.

The format is version 4.5 of the layer specification:
https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md
"""

import json
from collections.abc import Iterable, Iterator

from sigma_stellar_aws.authoring.catalogue import CatalogueEntry
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.reference.attack import attack, tactic_name, tactics_shown

_STEPS = ((0, "#f2f2f2"), (25, "#c6dbef"), (50, "#fdd49e"), (75, "#fc8d59"), (100, "#d7301f"))
"""Severities and their colours, at equal distances, since the Navigator spreads a gradient evenly."""


def as_layer(rules: Iterable[CatalogueEntry]) -> str:
    """Return the layer of the rules as the text of a JSON file."""
    return json.dumps(layer(rules), indent=2) + "\n"


def layer(rules: Iterable[CatalogueEntry]) -> JsonObject:
    """Return a layer with an entry for every technique of the rules under each of its tactics.

    The score of a technique is the highest severity of its rules. The number of rules would only say how finely they
    are divided, and has no upper limit; severity has, and so layers of different rules can be compared. Retired
    techniques are shown as those that replaced them. What the matrix has no cell for is listed in the metadata: rules
    with a tactic only, and techniques that this version of ATT&CK does not have.
    """
    entries = list(rules)
    cells: dict[tuple[str, str], list[CatalogueEntry]] = {}
    elsewhere: list[Json] = []
    for entry in entries:
        elsewhere += [{"name": why, "value": f"{entry.title} (severity {entry.severity})"} for why in _without(entry)]
        for cell in set(_cells(entry)):
            cells.setdefault(cell, []).append(entry)
    parents = {(parent, tactic) for name, tactic in cells if (parent := attack().techniques[name].parent)}
    order = list(attack().tactics)
    shown = sorted({*cells, *parents}, key=lambda cell: (cell[0], order.index(cell[1])))
    return {
        "name": "sigma-stellar-aws",
        "versions": {"attack": attack().version, "navigator": "5.2.0", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": f"What {len(entries)} Sigma rules for AWS CloudTrail detect; the score is the highest severity "
        "of a technique's rules, from 0 to 100.",
        "layout": {
            "layout": "side",
            "showID": True,
            "showName": True,
            "showAggregateScores": True,
            "countUnscored": False,
            "aggregateFunction": "max",
            "expandedSubtechniques": "annotated",
        },
        "techniques": [_technique(*cell, cells.get(cell, []), shows_children=cell in parents) for cell in shown],
        "gradient": {"colors": [color for _, color in _STEPS], "minValue": 0, "maxValue": 100},
        "legendItems": [{"label": f"severity {severity}", "color": color} for severity, color in _STEPS],
        "metadata": elsewhere,
    }


def _cells(entry: CatalogueEntry) -> Iterator[tuple[str, str]]:
    """Yield the techniques of a rule, under those tactics of the rule that it has, or else under all its own."""
    for tagged_name in entry.techniques:
        name = attack().replaces.get(tagged_name, tagged_name)
        if known := attack().techniques.get(name):
            yield from ((name, tactic) for tactic in tactics_shown(known, entry.tactics))


def _without(entry: CatalogueEntry) -> list[str]:
    """List what the matrix has no cell for."""
    known = attack()
    unknown = [
        f"not in ATT&CK {known.version}: {name}"
        for name in entry.techniques
        if name not in known.techniques and name not in known.replaces
    ]
    tactics = [] if entry.techniques else [f"tactic without technique: {tactic_name(t)}" for t in entry.tactics]
    return unknown + tactics


def _technique(name: str, tactic: str, rules: list[CatalogueEntry], shows_children: bool) -> JsonObject:
    cell: JsonObject = {"techniqueID": name, "tactic": tactic}
    if rules:
        ordered = sorted(rules, key=lambda entry: (-entry.severity, entry.title))
        cell["score"] = ordered[0].severity
        cell["metadata"] = [{"name": f"severity {entry.severity}", "value": entry.title} for entry in ordered]
    if shows_children:
        cell["showSubtechniques"] = True
    return cell
