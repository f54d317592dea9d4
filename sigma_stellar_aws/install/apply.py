"""Doing what a plan says, one artefact after the other, with an account of what was done and what was not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.install.merge import Change, carried
from sigma_stellar_aws.install.plan import TO_DO, Live, Shape, Step
from sigma_stellar_aws.install.server_errors import ServerError

_PATIENCE = 2


class Target(Shape, Protocol):
    """A live system that artefacts are installed in."""

    def read(self, wanted: Mapping[str, JsonObject]) -> list[Live]:
        """What takes the place of the wanted artefacts, and all others that this project made."""

    def merged(self, live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
        """A live artefact with changes."""

    def try_out(self, body: JsonObject) -> str:
        """Why an artefact would fail if it ran; empty if it would not."""

    def create(self, step: Step) -> str:
        """Make it. Returns what else there is to tell."""

    def update(self, step: Step) -> str:
        """Change it. Returns what else there is to tell."""

    def adopt(self, step: Step) -> str:
        """Record that it is as applied. Returns what else there is to tell."""

    def delete(self, step: Step) -> str:
        """Delete it. Returns what else there is to tell."""


class Result(NamedTuple):
    """What became of a step."""

    step: Step
    outcome: Literal["done", "failed", "not tried"]
    remark: str = ""
    lasting: bool = False
    """Whether it would fail again at any time."""


def sound(applied: JsonObject | None, shape: Shape) -> JsonObject | None:
    """Return what is recorded as applied, if it is an artefact; somebody may have written there."""
    try:
        if applied is not None:
            shape.fields(applied, applied)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None
    return applied


def as_applied(step: Step, target: Target) -> JsonObject:
    """Return what to record as applied once a step is done.

    That is what the rule says, but of fields that are never changed what was there.

    So an action that was made with the artefact is not taken for somebody's edit when the rule says it no more.
    """
    assert step.wanted is not None
    if step.live is None:
        return step.wanted
    if step.live.applied is None:
        return {**step.wanted, "enabled": step.live.body.get("enabled")}
    applied, wanted = (target.fields(body, step.wanted) for body in (step.live.applied, step.wanted))
    return target.merged(step.wanted, carried(applied, wanted, target.theirs), step.wanted)


def carry_out(
    steps: Sequence[Step], target: Target, *, dry_run: bool, tell: Callable[[Result], None] = lambda result: None
) -> list[Result]:
    """Do what is to be done. What fails for one artefact does not keep the others; a server that is gone does.

    It is taken for gone when two artefacts in a row fail by an error that passes. An interrupt (Ctrl-C) ends it too,
    with its account.

    Args:
        steps: the plan; what is not to be done of it is passed over.
        target: where to do it.
        dry_run: try each artefact out first, and leave it if that fails.
        tell: called with each result at once.
    """
    results: list[Result] = []
    patience = _PATIENCE
    for step in steps:
        if step.status not in TO_DO:
            continue
        if patience <= 0:
            result = Result(step, "not tried")
        else:
            result, cost = _carried_out(step, target, dry_run)
            patience = patience - cost if cost else _PATIENCE
        results.append(result)
        tell(result)
    return results


def _carried_out(step: Step, target: Target, dry_run: bool) -> tuple[Result, int]:
    """Return what became of a step, and how much patience it costs."""
    actions: dict[str, Callable[[Step], str]] = {
        "create": target.create,
        "update": target.update,
        "adopt": target.adopt,
        "delete": target.delete,
    }
    try:
        if dry_run and step.wanted is not None and step.status in ("create", "update"):
            live = step.live.body if step.live else step.wanted
            if reason := target.try_out(target.merged(live, step.changes, step.wanted)):
                return Result(step, "failed", f"the dry run failed: {reason}", lasting=True), 0
        return Result(step, "done", actions[step.status](step)), 0
    except ServerError as error:
        cost = _PATIENCE if error.of_all else 1 if error.passing or error.hopeless else 0
        return Result(step, "failed", str(error), error.lasting), cost
    except StoreError as error:
        return Result(step, "failed", str(error)), _PATIENCE
    except OSError as error:
        return Result(step, "failed", f"it was done, but cannot be recorded here: {error}"), _PATIENCE
    except KeyboardInterrupt:
        return Result(step, "failed", "interrupted; it may be done all the same"), _PATIENCE
