"""The tree of tactics and techniques."""

from typing import Any

import pytest
from sigma.rule import SigmaRuleTag

from sigma_stellar_aws.formats.elastic_threat import threat
from sigma_stellar_aws.reference.attack import attack, attack_v18
from sigma_stellar_aws.rule_files.load import load_rules


def tree(version: int, *tags: str) -> dict[str, dict[str, list[str]]]:
    """Techniques with their sub-techniques, by tactic."""
    found: Any = threat(map(SigmaRuleTag.from_str, tags), version=version).tree
    return {
        item["tactic"]["name"]: {each["id"]: [sub["id"] for sub in each["subtechnique"]] for each in item["technique"]}
        for item in found
    }


@pytest.mark.parametrize(
    ("version", "tags", "expected"),
    [
        # A technique stands under the tactics that the rule names and that it belongs to.
        (19, ["impact", "t1485"], {"Impact": {"T1485": []}}),
        (19, ["persistence", "t1078.004"], {"Persistence": {"T1078": ["T1078.004"]}}),
        # In the order of the matrix; both sub-techniques under one parent, which was tagged too.
        (
            19,
            ["impact", "initial-access", "t1078", "t1078.004", "t1078.001", "t1489"],
            {"Initial Access": {"T1078": ["T1078.004", "T1078.001"]}, "Impact": {"T1489": []}},
        ),
        # Under all of its own where the rule names none of them; that tactic stands alone.
        (19, ["impact", "t1686.001"], {"Defense Impairment": {"T1686": ["T1686.001"]}, "Impact": {}}),
        (18, ["credential-access"], {"Credential Access": {}}),
        # Down to 18: the id that had the name, its own, and Defense Evasion for both of its successors.
        (18, ["defense-impairment", "t1685"], {"Defense Evasion": {"T1562": ["T1562.001"]}}),
        (18, ["defense-impairment", "t1685.002"], {"Defense Evasion": {"T1562": ["T1562.008"]}}),
        (18, ["defense-impairment", "t1686.001"], {"Defense Evasion": {"T1562": ["T1562.007"]}}),
        (18, ["stealth", "t1070"], {"Defense Evasion": {"T1070": []}}),
        (18, ["stealth", "defense-impairment"], {"Defense Evasion": {}}),
        # Up to 19: by the technique; with none, the tactic that has the id of Defense Evasion.
        (19, ["defense-evasion", "t1562.001"], {"Defense Impairment": {"T1685": []}}),
        (19, ["defense_evasion", "t1070"], {"Stealth": {"T1070": []}}),
        (19, ["defense-evasion"], {"Stealth": {}}),
        (19, ["defense-evasion", "t1550.001"], {"Lateral Movement": {"T1550": ["T1550.001"]}}),
        # What is no tactic or technique.
        (19, ["g0007", "s0002", "no-tactic"], {}),
    ],
)
def test_tree_of_tags(version: int, tags: list[str], expected: dict[str, dict[str, list[str]]]) -> None:
    """Tags of either version become the tree of the wanted one."""
    found = tree(version, *(f"attack.{tag}" for tag in tags))
    assert found == expected
    assert list(found) == list(expected)


def test_references_end_with_a_slash_and_sub_techniques_have_a_path() -> None:
    """Elastic's schema insists on both."""
    [item] = threat([SigmaRuleTag("attack", "t1686.001")], version=19).tree
    assert item == {
        "framework": "MITRE ATT&CK",
        "tactic": {
            "id": "TA0112",
            "name": "Defense Impairment",
            "reference": "https://attack.mitre.org/tactics/TA0112/",
        },
        "technique": [
            {
                "id": "T1686",
                "name": "Disable or Modify System Firewall",
                "reference": "https://attack.mitre.org/techniques/T1686/",
                "subtechnique": [
                    {
                        "id": "T1686.001",
                        "name": "Cloud Firewall",
                        "reference": "https://attack.mitre.org/techniques/T1686/001/",
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize("version", [18, 19])
def test_every_technique_of_a_rule_stands_under_a_tactic_of_it(version: int) -> None:
    """The 29 rules lose nothing in either version, and every technique belongs to the tactic that it stands under."""
    table = attack_v18() if version == 18 else attack()
    by_name = {tactic.name: name for name, tactic in table.tactics.items()}
    for rule in load_rules().rules:
        assert threat(rule.tags, version=version).left_out == []
        stated = {tag.name.upper() for tag in rule.tags if tag.name[:1] == "t" and tag.name[1].isdigit()}
        found = tree(version, *map(str, rule.tags))
        below = {name for techniques in found.values() for pair in techniques.items() for name in (pair[0], *pair[1])}
        assert bool(below) == bool(stated)
        assert version == 18 or stated <= below
        for tactic, techniques in found.items():
            for parent, subs in techniques.items():
                assert all(by_name[tactic] in table.techniques[name].tactics for name in (parent, *subs))


@pytest.mark.parametrize("version", [18, 19])
def test_a_tactic_that_is_none_is_told(version: int) -> None:
    """A tactic of either version is known in both, with hyphens or underscores; groups and software are no tactics."""
    known = ["impact", "defense_evasion", "stealth", "defense-impairment", "g0007", "s0002", "ds0009"]
    tags = [SigmaRuleTag("attack", name) for name in (*known, "exfil", "no_tactic", "exfil")]
    assert threat(tags, version=version).left_out == ["exfil", "no-tactic"]


def test_what_a_version_lacks_is_told() -> None:
    """A technique that is new in 19 has no place in 18, and an unknown one in neither."""
    tags = [SigmaRuleTag("attack", name) for name in ("t1682", "t9999", "t1485")]
    assert threat(tags, version=18).left_out == ["T1682", "T9999"]
    assert threat(tags, version=19).left_out == ["T9999"]
