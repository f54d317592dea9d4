"""What is decided without asking a server."""

from collections.abc import Mapping

import pytest

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.install.merge import Change, Conflict, Edit, Fields
from sigma_stellar_aws.install.plan import Live, Step, plan, removal, steps_as_json


class FlatShape:
    """Artefacts whose keys are their fields; whether they run and what they do belongs to others."""

    theirs = (("enabled",), ("actions",))
    fixed = ("type",)

    def fields(self, body: JsonObject, like: JsonObject) -> Fields:
        """Every key is a field."""
        return {(key,): value for key, value in body.items()}

    def outline(self, body: JsonObject) -> str:
        """What it asks for."""
        return f"query {body.get('query')}"


SHAPE = FlatShape()
WANTED: JsonObject = {"name": "Rule", "query": "new", "enabled": False}
APPLIED: JsonObject = {"name": "Rule", "query": "old", "enabled": False}


def live(
    body: JsonObject, applied: JsonObject | None, *, ours: bool = True, recorded: bool = True, number: int = 1
) -> Live:
    """An artefact that is there."""
    reason = "" if ours else "made by others"
    return Live("rule", f"id-{number}", "Rule", body, number, ours, recorded and ours, applied, reason)


def planned(*there: Live, **options: object) -> Step:
    """What becomes of the rule."""
    take = {"rule": options["take"]} if "take" in options else {}
    [step] = plan({"rule": WANTED}, there, SHAPE, take=take)  # type: ignore[arg-type]
    return step


def test_statuses_of_a_rule() -> None:
    """Each way in which a rule can be there has its status."""
    edited: JsonObject = {**APPLIED, "query": "theirs"}
    assert planned().status == "create"
    assert planned(live(APPLIED, APPLIED)).status == "update"
    assert planned(live(WANTED, WANTED)).status == "unchanged"
    assert planned(live({**WANTED, "enabled": True}, WANTED)).status == "unchanged"
    assert planned(live({**WANTED, "note": "mine"}, WANTED)).status == "edited"
    assert planned(live({**WANTED, "query": "theirs"}, WANTED)).status == "edited"
    assert planned(live({**WANTED, "query": "theirs", "enabled": True}, WANTED)).status == "edited"
    assert planned(live(WANTED, None)).status == "adopt"
    assert planned(live(WANTED, WANTED, recorded=False)).status == "adopt"
    assert planned(live({**WANTED, "enabled": True}, None)).edits == (), "nothing tells that it was edited"
    assert planned(live(WANTED, APPLIED)).status == "adopt", "else its next change would look like one of two sides"
    assert planned(live(edited, APPLIED)).status == "conflict"
    assert planned(live(edited, None)).status == "ambiguous"
    assert planned(live(APPLIED, APPLIED, ours=False)).status == "foreign"
    assert planned(live(WANTED, WANTED), live(WANTED, WANTED, number=2)).status == "ambiguous"
    assert planned(live(WANTED, WANTED), live(WANTED, None, ours=False, number=2)).status == "unchanged"


def test_what_is_shown_of_a_rule() -> None:
    """Changes, edits that stay and conflicts are told field by field, with all versions."""
    there: JsonObject = {"name": "Mine", "query": "old", "enabled": True, "note": "mine"}
    step = planned(live(there, {**APPLIED, "name": "Old"}))
    assert step.changes == (Change(("query",), "old", "new"),)
    assert step.edits == (Edit(("enabled",), False, True), Edit(("note",), None, "mine"))
    assert step.conflicts == (Conflict(("name",), "Old", "Mine", "Rule"),)
    assert step.status == "conflict"


@pytest.mark.parametrize(("side", "status"), [("ours", "update"), ("theirs", "adopt")])
def test_a_decision_ends_a_conflict(side: str, status: str) -> None:
    """Ours is a change; theirs changes nothing but what is recorded."""
    assert planned(live({**APPLIED, "query": "theirs"}, APPLIED), take=side).status == status


def test_rules_that_are_gone() -> None:
    """They are orphaned, and deleted on demand only, if they were applied from here and nobody has edited them."""
    edited: JsonObject = {**APPLIED, "note": "mine"}
    there = {
        "applied": live(APPLIED, APPLIED),
        "switched on": live({**APPLIED, "enabled": True}, APPLIED),
        "edited": live(edited, APPLIED),
        "with an action": live({**APPLIED, "actions": ["mail"]}, APPLIED),
        "unknown": live(APPLIED, None),
        "of another file": live(APPLIED, APPLIED, recorded=False),
        "of others": live(APPLIED, None, ours=False),
    }
    assert _statuses(there, prune=False) == {
        "applied": ["orphaned"],
        "switched on": ["orphaned"],
        "edited": ["orphaned"],
        "with an action": ["orphaned"],
        "unknown": ["orphaned"],
        "of another file": ["orphaned"],
        "of others": [],
    }
    assert _statuses(there, prune=True) == {
        "applied": ["delete"],
        "switched on": ["delete"],
        "edited": ["kept"],
        "with an action": ["kept"],
        "unknown": ["kept"],
        "of another file": ["orphaned"],
        "of others": [],
    }


def _statuses(there: Mapping[str, Live], *, prune: bool) -> dict[str, list[str]]:
    return {name: [step.status for step in plan({}, [one], SHAPE, prune=prune)] for name, one in there.items()}


@pytest.mark.parametrize("force", [False, True])
def test_what_remove_deletes(force: bool) -> None:
    """What was applied from here and nobody has edited; with force what was edited too; never a copy of it."""
    there = [
        live(APPLIED, APPLIED),
        live({**APPLIED, "note": "mine"}, APPLIED),
        live(APPLIED, None),
        live(APPLIED, APPLIED, recorded=False),
        live(APPLIED, None, ours=False),
    ]
    statuses = [step.status for step in removal(there, SHAPE, force=force)]
    forced = "delete" if force else "kept"
    assert statuses == ["delete", forced, forced, "kept"]


def test_a_field_that_cannot_change() -> None:
    """Another kind is no update, whoever is right, as it could never be carried out."""
    was: JsonObject = {**APPLIED, "type": "old"}
    for take in (None, "ours", "theirs"):
        step = planned(live(was, was), **({"take": take} if take else {}))
        assert (step.status, step.changes) == ("conflict", ())
        assert "a old cannot become a None; remove it" in step.reason


def test_what_an_analyst_added_is_named_only() -> None:
    """Values of fields that belong to who works there are in no plan, also where their part is in conflict."""
    edited = planned(live({**WANTED, "actions": ["secret"]}, WANTED))
    assert [edit.path for edit in edited.edits] == [("actions",)]
    assert "secret" not in str(steps_as_json([edited]))


def test_plans_are_equal_if_they_do_the_same() -> None:
    """Another wanted artefact, another live version or another decision makes another plan."""
    step = planned(live(APPLIED, APPLIED))
    assert step.live is not None
    others = [
        planned(live(APPLIED, APPLIED, number=2)),
        step._replace(live=step.live._replace(version=7)),
        step._replace(wanted={**WANTED, "query": "newer"}),
        step._replace(status="adopt"),
    ]
    assert steps_as_json([step]) == steps_as_json([planned(live(APPLIED, APPLIED))])
    assert all(steps_as_json([other]) != steps_as_json([step]) for other in others)
