"""The three-way comparison: what an analyst did survives, and what both did is a conflict."""

from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.install.merge import Change, Conflict, Edit, Fields, Merged, Path, carried, three_way

# Few names and values, so that all cases of equal and different happen; a part and what is in it among them.
PATHS: list[Path] = [("name",), ("query",), ("enabled",), ("trigger",), ("trigger", "level"), ("trigger", "actions")]
THEIRS: tuple[Path, ...] = (("enabled",), ("*", "actions"))
VERSIONS = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(["a", "b", "c"]))
SIDES = st.sampled_from(["ours", "theirs"])


def done(live: Fields, merged: Merged) -> dict[Path, Json]:
    """The live fields with the changes."""
    after = {**live, **{change.path: change.wanted for change in merged.changes}}
    return {path: value for path, value in after.items() if value is not None}


@given(applied=VERSIONS, live=VERSIONS, wanted=VERSIONS)
def test_what_only_the_analyst_changed_stays(applied: Fields, live: Fields, wanted: Fields) -> None:
    """A field that the rule did not change is as the analyst left it, whatever else happens."""
    merged = three_way(applied, live, wanted, THEIRS)
    for path in PATHS:
        if applied.get(path) == wanted.get(path):
            assert done(live, merged).get(path) == live.get(path)


@given(applied=st.none() | VERSIONS, live=VERSIONS, wanted=VERSIONS)
def test_nothing_of_theirs_is_changed(applied: Fields | None, live: Fields, wanted: Fields) -> None:
    """What belongs to the analyst is changed in no case without a decision, and is no conflict by itself."""
    merged = three_way(applied, live, wanted, THEIRS)
    changed = {change.path for change in merged.changes}
    assert not changed & {("enabled",), ("trigger", "actions")}
    assert ("enabled",) not in {conflict.path for conflict in merged.conflicts}


@given(applied=VERSIONS, live=VERSIONS, wanted=VERSIONS)
def test_a_conflict_is_what_both_changed_differently(applied: Fields, live: Fields, wanted: Fields) -> None:
    """A field without parts is in conflict exactly if both sides changed it, and not to the same."""
    conflicts = {conflict.path for conflict in three_way(applied, live, wanted, THEIRS).conflicts}
    for path in [("name",), ("query",)]:
        was, now, then = (fields.get(path) for fields in (applied, live, wanted))
        assert (path in conflicts) == (was not in (now, then) and now != then)


@given(applied=st.none() | VERSIONS, live=VERSIONS, wanted=VERSIONS, side=SIDES)
def test_applying_twice_does_nothing_the_second_time(
    applied: Fields | None, live: Fields, wanted: Fields, side: str
) -> None:
    """Once a plan without open conflicts is carried out and recorded, the same plan has nothing to do."""
    merged = three_way(applied, live, wanted, THEIRS, take="ours" if side == "ours" else "theirs")
    assert merged.conflicts == ()
    again = three_way(wanted, done(live, merged), wanted, THEIRS)
    assert (again.changes, again.conflicts) == ((), ())


@given(applied=st.none() | VERSIONS, live=VERSIONS, wanted=VERSIONS)
def test_a_decision_decides_for_the_side_it_names(applied: Fields | None, live: Fields, wanted: Fields) -> None:
    """Ours makes of every conflict what the rule says; theirs changes nothing that was in conflict."""
    conflicts = three_way(applied, live, wanted, THEIRS).conflicts
    ours = done(live, three_way(applied, live, wanted, THEIRS, "ours"))
    theirs = done(live, three_way(applied, live, wanted, THEIRS, "theirs"))
    for conflict in conflicts:
        assert ours.get(conflict.path) == wanted.get(conflict.path)
        assert theirs.get(conflict.path) == live.get(conflict.path)


@given(live=VERSIONS, wanted=VERSIONS)
def test_without_what_was_applied_every_difference_is_a_conflict(live: Fields, wanted: Fields) -> None:
    """Where nothing tells what was applied, nothing is overwritten."""
    merged = three_way(None, live, wanted, (("enabled",),))
    different = {path for path in PATHS if live.get(path) != wanted.get(path)} - {("enabled",)}
    assert merged.changes == ()
    assert {conflict.path for conflict in merged.conflicts} == different


def test_the_kinds_of_difference() -> None:
    """A field that the rule changed, one that the analyst changed, one that both did, and one that both did alike."""
    applied: Fields = {("a",): 1, ("b",): 1, ("c",): 1, ("d",): 1}
    live: Fields = {("a",): 1, ("b",): 2, ("c",): 2, ("d",): 3}
    wanted: Fields = {("a",): 3, ("b",): 1, ("c",): 3, ("d",): 3}
    assert three_way(applied, live, wanted) == Merged(
        (Change(("a",), 1, 3),), (Edit(("b",), 1, 2),), (Conflict(("c",), 1, 2, 3),)
    )


def test_a_part_that_somebody_works_in_is_not_taken_away() -> None:
    """A trigger that the rule has no more, and to which an analyst has added an action, is a conflict as a whole."""
    trigger: Fields = {("trigger",): "hit", ("trigger", "level"): "3"}
    live: Fields = {**trigger, ("trigger", "actions"): ["mail"]}
    merged = three_way(trigger, live, {}, THEIRS)
    assert merged.changes == ()
    assert {conflict.path for conflict in merged.conflicts} == set(live)
    assert done(live, three_way(trigger, live, {}, THEIRS, "ours")) == {}
    assert done(live, three_way(trigger, live, {}, THEIRS, "theirs")) == live


def test_a_part_that_somebody_took_away_comes_back_whole_or_not_at_all() -> None:
    """A trigger that an analyst deleted and the rule changes: all of it is a conflict, not the changed field alone."""
    applied: Fields = {("trigger",): "hit", ("trigger", "level"): "3"}
    wanted: Fields = {("trigger",): "hit", ("trigger", "level"): "1"}
    assert {conflict.path for conflict in three_way(applied, {}, wanted).conflicts} == set(wanted)
    assert done({}, three_way(applied, {}, wanted, take="ours")) == wanted
    assert done({}, three_way(applied, {}, wanted, take="theirs")) == {}


def test_a_part_that_somebody_took_away_stays_away() -> None:
    """A trigger that an analyst deleted, and the rule did not change, is not made again."""
    applied: Fields = {("trigger",): "hit", ("trigger", "level"): "3"}
    assert three_way(applied, {}, applied).changes == ()


def test_what_is_theirs_is_carried_over() -> None:
    """What was applied of it stays recorded; a part that is new has what the rule says of it."""
    applied: Fields = {("enabled",): False, ("part", "a"): 1, ("part", "a", "actions"): ["ours"], ("part", "c"): 1}
    wanted: Fields = {
        ("enabled",): True,
        ("part", "a"): 2,
        ("part", "b"): 1,
        ("part", "b", "actions"): ["new"],
        ("part", "c"): 1,
        ("part", "c", "actions"): ["new"],
    }
    assert carried(applied, wanted, [("enabled",), ("part", "*", "actions")]) == [
        Change(("enabled",), True, False),
        Change(("part", "c", "actions"), ["new"], None),
        Change(("part", "a", "actions"), None, ["ours"]),
    ]


def test_what_is_theirs_is_not_shown() -> None:
    """Where a part of theirs is in conflict, its value is left out: it may be a secret."""
    applied: Fields = {("part", "a"): 1, ("part", "a", "actions"): []}
    live: Fields = {("part", "a"): 1, ("part", "a", "actions"): ["secret"]}
    merged = three_way(applied, live, {}, [("part", "*", "actions")])
    assert {conflict.path for conflict in merged.conflicts} == set(live)
    assert "secret" not in str(merged)
