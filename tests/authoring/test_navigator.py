"""The layer for the ATT&CK Navigator."""

import json
import re
from typing import Any, cast

import pytest

from sigma_stellar_aws.authoring.catalogue import CatalogueEntry, catalogue_entries
from sigma_stellar_aws.authoring.navigator import as_layer, layer
from sigma_stellar_aws.reference.attack import attack
from sigma_stellar_aws.rule_files.stellar_block import DEFAULT_SUPPRESSION

# The objects of version 4.5 of the layer specification, as far as a layer has them: type of each key, needed keys.
KEYS: dict[str, tuple[dict[str, type | tuple[type, ...]], set[str]]] = {
    "layer": (
        {
            "versions": dict,
            "name": str,
            "description": str,
            "domain": str,
            "filters": dict,
            "sorting": int,
            "layout": dict,
            "hideDisabled": bool,
            "techniques": list,
            "gradient": dict,
            "legendItems": list,
            "metadata": list,
            "links": list,
        },
        {"name", "domain"},
    ),
    "versions": ({"attack": str, "navigator": str, "layer": str}, {"navigator", "layer"}),
    "technique": (
        {
            "techniqueID": str,
            "tactic": str,
            "comment": str,
            "enabled": bool,
            "score": (int, float),
            "color": str,
            "metadata": list,
            "links": list,
            "showSubtechniques": bool,
        },
        {"techniqueID"},
    ),
    "gradient": ({"colors": list, "minValue": int, "maxValue": int}, {"colors", "minValue", "maxValue"}),
    "legendItem": ({"label": str, "color": str}, {"label", "color"}),
    "metadata": ({"name": str, "value": str}, {"name", "value"}),
    "layout": (
        {
            "layout": str,
            "showID": bool,
            "showName": bool,
            "showAggregateScores": bool,
            "countUnscored": bool,
            "aggregateFunction": str,
            "expandedSubtechniques": str,
        },
        set(),
    ),
}


def rule(title: str, severity: int, techniques: list[str], tactics: list[str]) -> CatalogueEntry:
    """A rule about techniques."""
    return CatalogueEntry(
        id=title,
        title=title,
        file="rule.yml",
        severity=severity,
        level="medium",
        techniques=techniques,
        tactics=tactics,
        suppression=DEFAULT_SUPPRESSION,
        erratum=None,
        origin="",
        author="",
        license="",
        references=[],
        description="",
    )


def cells(rules: list[CatalogueEntry]) -> dict[tuple[str, str], dict[str, Any]]:
    """The techniques of a layer by their ids and tactics."""
    techniques = cast("list[dict[str, Any]]", layer(rules)["techniques"])
    found = {(cell["techniqueID"], cell["tactic"]): cell for cell in techniques}
    assert len(found) == len(techniques)
    return found


def check(kind: str, value: dict[str, Any]) -> None:
    """An object has no keys but those of its kind, of the right types, and all that are needed."""
    types, needed = KEYS[kind]
    assert needed <= set(value) <= set(types)
    for key, held in value.items():
        assert isinstance(held, types[key]), key


def test_the_layer_is_as_the_specification_wants_it() -> None:
    """Every object of the layer has the keys and types of version 4.5."""
    made = json.loads(as_layer(catalogue_entries()))
    check("layer", made)
    check("versions", made["versions"])
    check("layout", made["layout"])
    check("gradient", made["gradient"])
    for item in made["legendItems"]:
        check("legendItem", item)
    for cell in made["techniques"]:
        check("technique", cell)
    for item in [*made["metadata"], *(item for cell in made["techniques"] for item in cell.get("metadata", []))]:
        check("metadata", item)
    assert made["domain"] == "enterprise-attack"
    assert made["versions"] == {"attack": attack().version, "navigator": made["versions"]["navigator"], "layer": "4.5"}
    assert tuple(map(int, made["versions"]["navigator"].split("."))) >= (4, 9, 0)
    assert made["layout"]["layout"] in ("side", "flat", "mini")
    assert made["layout"]["aggregateFunction"] in ("average", "min", "max", "sum")
    assert made["layout"]["expandedSubtechniques"] in ("none", "all", "annotated")


def test_the_legend_is_the_gradient() -> None:
    """The colours of the legend are those that the gradient has at these scores, which go from 0 to 100."""
    made = json.loads(as_layer(catalogue_entries()))
    gradient, legend = made["gradient"], made["legendItems"]
    assert (gradient["minValue"], gradient["maxValue"]) == (0, 100)
    assert [item["color"] for item in legend] == gradient["colors"]
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in gradient["colors"])
    steps = len(legend) - 1
    assert [item["label"] for item in legend] == [f"severity {100 * n // steps}" for n in range(steps + 1)]


def test_every_technique_of_the_pack_has_a_cell_for_its_tactics() -> None:
    """Nothing of the rules' tags is missing, and nothing else has a score."""
    expected: dict[tuple[str, str], set[str]] = {}
    for entry in catalogue_entries():
        for technique in entry.techniques:
            for tactic in set(entry.tactics) & set(attack().techniques[technique].tactics):
                expected.setdefault((technique, tactic), set()).add(entry.title)
    scored = {cell: found for cell, found in cells(catalogue_entries()).items() if "score" in found}
    assert {cell: {item["value"] for item in found["metadata"]} for cell, found in scored.items()} == expected


def test_the_score_is_the_highest_severity() -> None:
    """A technique has the score of its most severe rule, and lists all of them from that one on."""
    found = cells(
        [rule("B", 25, ["T1485"], ["impact"]), rule("C", 80, ["T1485"], ["impact"]), rule("A", 25, ["T1485"], [])]
    )
    assert found[("T1485", "impact")]["score"] == 80
    assert found[("T1485", "impact")]["metadata"] == [
        {"name": "severity 80", "value": "C"},
        {"name": "severity 25", "value": "A"},
        {"name": "severity 25", "value": "B"},
    ]


def test_a_technique_counts_for_the_tagged_tactics() -> None:
    """A technique has a cell under those of its tactics that are tagged, or under all where none is."""
    tagged = cells([rule("A", 25, ["T1078"], ["stealth", "persistence", "impact"])])
    assert set(tagged) == {("T1078", "stealth"), ("T1078", "persistence")}
    assert set(cells([rule("A", 25, ["T1078"], ["impact"])])) == {
        ("T1078", tactic) for tactic in attack().techniques["T1078"].tactics
    }


def test_sub_techniques_are_shown() -> None:
    """The technique above a sub-technique is opened, with no score of its own unless a rule is about it."""
    found = cells([rule("A", 25, ["T1685.002"], ["defense-impairment"])])
    assert found[("T1685", "defense-impairment")] == {
        "techniqueID": "T1685",
        "tactic": "defense-impairment",
        "showSubtechniques": True,
    }
    found = cells([rule("A", 25, ["T1685.002", "T1685"], ["defense-impairment"])])
    assert found[("T1685", "defense-impairment")]["score"] == 25
    assert found[("T1685", "defense-impairment")]["showSubtechniques"] is True


def test_a_retired_technique_is_its_successor() -> None:
    """A tag of an older ATT&CK counts for the technique that took its place, once."""
    found = cells([rule("A", 25, ["T1562", "T1562.001"], ["defense-evasion"])])
    assert [(cell, len(found[cell]["metadata"])) for cell in found] == [(("T1685", "defense-impairment"), 1)]


@pytest.mark.parametrize(
    ("techniques", "tactics", "told"),
    [
        (["T9999", "T1485"], ["impact"], [f"not in ATT&CK {attack().version}: T9999"]),
        (
            [],
            ["persistence", "no-tactic"],
            ["tactic without technique: Persistence", "tactic without technique: no-tactic"],
        ),
        (["T1562"], ["defense-impairment"], []),
        ([], [], []),
    ],
)
def test_what_has_no_cell_is_told(techniques: list[str], tactics: list[str], told: list[str]) -> None:
    """Tactics of rules without a technique, and techniques that ATT&CK does not have, are in the layer's metadata."""
    assert layer([rule("A", 25, techniques, tactics)])["metadata"] == [
        {"name": name, "value": "A (severity 25)"} for name in told
    ]


def test_the_layer_is_stable() -> None:
    """The order of the rules does not matter to techniques, and the same rules give the same text."""
    assert as_layer(catalogue_entries()) == as_layer(catalogue_entries())
    assert layer(catalogue_entries())["techniques"] == layer(reversed(catalogue_entries()))["techniques"]
