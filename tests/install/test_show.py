"""Plans and results as text."""

import io

from sigma_stellar_aws.install.apply import Result
from sigma_stellar_aws.install.merge import Change, Conflict, Edit
from sigma_stellar_aws.install.plan import Step
from sigma_stellar_aws.install.show import summary, write_plan, write_result

EDITED_NOTE = (Edit(("note",), None, "x"),)


def shown(*steps: Step) -> str:
    """The text of a plan."""
    stream = io.StringIO()
    write_plan(steps, stream)
    return stream.getvalue()


def test_a_plan_names_what_happens() -> None:
    """Each rule with its status, field by field what changes, stays or is in conflict, and a count of all."""
    text = shown(
        Step("create", "id-a", "Rule A"),
        Step(
            "update",
            "id-b",
            "Rule B",
            changes=(Change(("severity",), "low", "high"),),
            edits=(Edit(("note",), None, "x"),),
        ),
        Step("conflict", "id-c", "Rule C", conflicts=(Conflict(("query",), "a", "b", "c"),), reason="decide"),
        Step("unchanged", "id-d", "Rule D"),
        Step("unchanged", "id-e", "Rule E", edits=(Edit(("enabled",), False, True),)),
    )
    assert text == (
        "+ create    Rule A  (id-a)\n"
        "~ update    Rule B  (id-b)\n"
        '      severity: "low" -> "high"\n'
        "      edited there, and kept: note\n"
        "! conflict  Rule C  (id-c)\n"
        "      decide\n"
        "      query: both changed it\n"
        '        applied: "a"\n'
        '        live:    "b"\n'
        '        rule:    "c"\n'
        "= unchanged Rule E  (id-e)\n"
        "      edited there, and kept: enabled\n"
        "1 create, 1 update, 2 unchanged, 1 conflict\n"
    )


def test_long_values_stand_below_each_other() -> None:
    """Two queries are compared line by line, and nothing of them is left out."""
    text = shown(Step("update", "id", "Rule", changes=(Change(("query",), "x" * 300, "y" * 300),)))
    assert f'      query:\n        - "{"x" * 300}"\n        + "{"y" * 300}"\n' in text


def test_nothing_steers_the_terminal() -> None:
    """What stands in a live system is shown as text: no control characters, no markup."""
    text = shown(Step("orphaned", "[bold]id", "Rule\x1b[2J\n29 unchanged", reason="\x1b]0;x\x07"))
    assert "\x1b" not in text
    assert "[bold]id" in text
    assert "\n29 unchanged" not in text


def test_many_orphans_are_counted() -> None:
    """With a part of the rules only, all others are one line."""
    text = shown(*(Step("orphaned", f"id-{n}", f"Rule {n}", reason="--prune deletes it") for n in range(28)))
    assert text == "o orphaned  28 (--json names them): --prune deletes it\n28 orphaned\n"


def test_results() -> None:
    """What was done, what failed and why in one line, and what was not tried."""
    stream = io.StringIO()
    step = Step("create", "id", "Rule")
    results = [Result(step, "done"), Result(step, "failed", "no\nreason"), Result(step, "not tried")]
    for result in results:
        write_result(result, stream)
    assert stream.getvalue() == (
        "created: Rule  (id)\nfailed (create): Rule  (id): no reason\nnot tried (create): Rule  (id)\n"
    )
    assert summary(results) == "1 done, 1 failed, 1 not tried; running it again does what is left"
    assert summary([results[0], Result(step, "failed", "no", lasting=True)]) == (
        "1 done, 1 failed, and would fail again: see above"
    )
    assert summary(results[:1]) == "1 done"
