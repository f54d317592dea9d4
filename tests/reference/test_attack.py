"""The ATT&CK table."""

from sigma_stellar_aws.reference.attack import attack, label, tactic_name


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
