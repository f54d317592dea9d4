"""The ATT&CK table."""

import pytest

from sigma_stellar_aws.reference.attack import (
    Technique,
    attack,
    label,
    tactic_name,
    tactics_shown,
    tag_kind,
    tagged_tactics,
    tagged_techniques,
)


def test_every_technique_belongs_to_known_tactics_and_parents() -> None:
    """The table is closed: tactics, parents and successors that it names are in it."""
    table = attack()
    for technique in table.techniques.values():
        assert technique.tactics
        assert set(technique.tactics) <= set(table.tactics)
        assert technique.parent is None or technique.parent in table.techniques
    assert set(table.replaces.values()) <= set(table.techniques)
    assert not set(table.replaces) & set(table.techniques)


def test_label_names_a_technique_or_repeats_an_unknown_id() -> None:
    """A known id or tactic gets its name, another stays as it is."""
    assert tactic_name("defense-impairment") == "Defense Impairment"
    assert tactic_name("no-tactic") == "no-tactic"
    assert label("T1685.002") == "T1685.002 Disable or Modify Cloud Log"
    assert label("T9999") == "T9999"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("t1136", "technique"),
        ("T1136.003", "technique"),
        ("impact", "tactic"),
        ("Impact", "tactic"),
        ("ta0040", "tactic"),
        ("no-such-tactic", "tactic"),
        ("g0016", "other"),
        ("S0002", "other"),
        ("m1013", "other"),
        ("c0001", "other"),
        ("ds0029", "other"),
        ("DET0123", "other"),
        ("an0001", "other"),
        ("dc0001", "other"),
    ],
)
def test_what_a_tag_names(name: str, kind: str) -> None:
    """Techniques, tactics and the rest are told apart whatever the case of a tag."""
    assert tag_kind(name) == kind


def test_what_a_rule_is_tagged_with() -> None:
    """Ids in capitals, and tactics as Sigma names them today, each once and in the order of the tags."""
    names = [
        "T1136.003",
        "Persistence",
        "ds0029",
        "t1136.003",
        "t1485",
        "initial_access",
        "ta0040",
        "impact",
        "made-up",
    ]
    assert tagged_techniques(names) == ["T1136.003", "T1485"]
    assert tagged_tactics(names) == ["persistence", "initial-access", "impact", "made-up"]


def test_where_a_technique_is_shown() -> None:
    """Under those of its tactics that a rule names, and under all if it names none of them."""
    technique = Technique("x", ["persistence", "impact"])
    assert tactics_shown(technique, ["impact", "discovery"]) == ["impact"]
    assert tactics_shown(technique, ["discovery"]) == ["persistence", "impact"]
