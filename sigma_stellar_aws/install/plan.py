"""What is to be done so that a live system has the artefacts of the rules: decided here, without asking anything."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.install.merge import Change, Conflict, Edit, Fields, Path, Side, owned, three_way

Status: TypeAlias = Literal[
    "create",
    "update",
    "adopt",
    "delete",
    "unchanged",
    "edited",
    "conflict",
    "ambiguous",
    "foreign",
    "left out",
    "orphaned",
    "kept",
]

TO_DO: frozenset[Status] = frozenset({"create", "update", "adopt", "delete"})
"""What ``apply`` and ``remove`` do something about."""

TO_DECIDE: frozenset[Status] = frozenset({"conflict", "ambiguous", "foreign", "kept"})
"""What is not as it should be, and is left as it is until somebody decides."""


_FORMAT = 1


class _KeptStep(msgspec.Struct):
    """What every step of a kept plan says."""

    status: str
    rule_id: str
    name: str


class _KeptPlan(msgspec.Struct):
    """What ``as_plan`` returned, as a file holds it."""

    format: Literal[1]
    target: str
    url: str
    space: str
    options: dict[str, Any]
    steps: list[dict[str, Any]]

    def __post_init__(self) -> None:
        """Refuse steps that do not say what every step says."""
        msgspec.convert(self.steps, list[_KeptStep])


class Live(NamedTuple):
    """An artefact of the live system."""

    key: str
    """The id of the rule it is for, or takes the place of."""
    id: str
    """The server's own id of it."""
    name: str
    body: JsonObject
    version: Json
    """Changes whenever the artefact changes."""
    ours: bool
    """Whether this project made it."""
    recorded: bool
    """Whether the state file says that it is the one that was installed from here; a copy of it is not."""
    applied: JsonObject | None
    """The artefact as it was applied last, if that is known."""
    reason: str = ""
    """Why it is not ours, though it takes the place of ours."""


class LeftOut(NamedTuple):
    """A rule that the target cannot carry."""

    key: str
    name: str
    reason: str


class Shape(Protocol):
    """How the artefacts of a target are compared."""

    @property
    def theirs(self) -> Collection[Path]:
        """Patterns of fields that belong to who works there, see ``three_way``."""

    @property
    def fixed(self) -> Path:
        """The field that cannot change."""

    def fields(self, body: JsonObject, like: JsonObject) -> Fields:
        """Return the fields of an artefact that are compared; what the server named is called as in another one."""

    def outline(self, body: JsonObject) -> str:
        """Return what to know of an artefact before it is made."""


class Step(NamedTuple):
    """What becomes of one rule."""

    status: Status
    key: str
    name: str
    wanted: JsonObject | None = None
    """The artefact as the rule says."""
    live: Live | None = None
    changes: tuple[Change, ...] = ()
    edits: tuple[Edit, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    reason: str = ""


def plan(
    wanted: Mapping[str, JsonObject],
    live: Sequence[Live],
    shape: Shape,
    *,
    take: Mapping[str, Side] | None = None,
    prune: bool = False,
    installed: Collection[str] = (),
    left_out: Sequence[LeftOut] = (),
) -> list[Step]:
    """Decide what becomes of each rule, and of what is live without a rule.

    Args:
        wanted: the artefacts by the ids of their rules.
        live: what is there of them, and all else that this project made.
        shape: how to compare.
        take: who is right in the conflicts of a rule, by its id.
        prune: delete what this project made for rules that are no longer among these.
        installed: the ids of rules that are known to have been applied.
        left_out: rules that cannot be carried; what is live for them stays.
    """
    steps = [
        _of_rule(key, body, [one for one in live if one.key == key], shape, (take or {}).get(key))
        for key, body in wanted.items()
    ]
    steps = [_tell_deleted(step) if step.status == "create" and step.key in installed else step for step in steps]
    steps += [_of_left_out(rule, live) for rule in left_out]
    known = {*wanted, *(rule.key for rule in left_out)}
    return steps + [_of_orphan(one, shape, prune) for one in live if one.ours and one.key not in known]


def removal(live: Sequence[Live], shape: Shape, *, force: bool = False) -> list[Step]:
    """Decide what of all that this project made can be deleted.

    Args:
        live: what is there.
        shape: how to compare.
        force: also what somebody has edited.
    """
    installed = {one.key for one in live if one.recorded}
    steps = [_deletion(one, shape, force) for one in live if one.ours]
    return [
        step._replace(reason="it is a copy of what was installed from here; delete it there")
        if step.live and not step.live.recorded and step.key in installed
        else step
        for step in steps
    ]


def edits_of(live: Live, shape: Shape) -> tuple[Edit, ...]:
    """Return what somebody changed in a live artefact since it was applied, apart from switching it on or off."""
    if live.applied is None:
        return ()
    applied, now = shape.fields(live.applied, live.applied), shape.fields(live.body, live.applied)
    edits = three_way(applied, now, applied, shape.theirs).edits
    return tuple(edit for edit in edits if edit.path != ("enabled",))


def _of_rule(key: str, body: JsonObject, found: list[Live], shape: Shape, take: Side | None) -> Step:
    name = str(body["name"])
    ours = [one for one in found if one.ours]
    if len(ours) > 1:
        ids = ", ".join(f"{one.id}, installed from here" if one.recorded else one.id for one in ours)
        return Step("ambiguous", key, name, body, reason=f"there are {len(ours)} of it ({ids}); delete all but one")
    if found and not ours:
        return Step("foreign", key, name, body, found[0], reason=found[0].reason)
    if not ours:
        return Step("create", key, name, body, reason=shape.outline(body))
    [one] = ours
    now, then = shape.fields(one.body, body), shape.fields(body, body)
    was_kind, kind = now.get(shape.fixed), then.get(shape.fixed)
    if was_kind != kind:
        reason = f"a {was_kind} cannot become a {kind}; remove it (remove --only {key}), then apply"
        return Step("conflict", key, name, body, one, reason=reason)
    applied = None if one.applied is None else shape.fields(one.applied, body)
    changes, edits, conflicts = three_way(applied, now, then, shape.theirs, take)
    if conflicts:
        status: Status = "ambiguous" if applied is None else "conflict"
    elif changes:
        status = "update"
    elif applied is None or not one.recorded or owned(applied, shape.theirs) != owned(then, shape.theirs):
        status = "adopt"
    elif any(owned({edit.path: edit.live}, shape.theirs) for edit in edits):
        status = "edited"
    else:
        status = "unchanged"
    reasons: dict[Status, str] = {
        "ambiguous": "what was applied last is not known here, and it differs; decide with --take",
        "conflict": "edited there, and changed by the rule; decide with --take",
        "adopt": "as the rule says; only to be recorded as applied",
    }
    return Step(status, key, name, body, one, changes, edits, conflicts, reasons.get(status, ""))


def _of_left_out(rule: LeftOut, live: Sequence[Live]) -> Step:
    there = next((one for one in live if one.ours and one.key == rule.key), None)
    stays = "\nwhat is there for it stays as it is" if there else ""
    return Step("left out", rule.key, rule.name, live=there, reason=rule.reason + stays)


def _tell_deleted(step: Step) -> Step:
    told = "somebody deleted it, and it is made again; to be rid of it for good, switch it off there instead"
    return step._replace(reason=f"{step.reason}\n{told}")


def _of_orphan(one: Live, shape: Shape, prune: bool) -> Step:
    if not one.recorded:
        reason = "it has our mark, but was not installed from here, as the state file has it; it stays"
        return Step("orphaned", one.key, one.name, live=one, reason=reason)
    if prune:
        return _deletion(one, shape, force=False)
    return Step("orphaned", one.key, one.name, live=one, reason="no longer among the rules; --prune deletes it")


def _deletion(one: Live, shape: Shape, force: bool) -> Step:
    edits = edits_of(one, shape)
    if not one.recorded:
        reason = "the state file does not say that it was installed from here; delete it there, or let apply adopt it"
        return Step("kept", one.key, one.name, live=one, reason=reason)
    if one.applied is None and not force:
        reason = "something else was applied since, not from here; delete it all the same with: remove --force"
        return Step("kept", one.key, one.name, live=one, reason=reason)
    if edits and not force:
        reason = "somebody has edited it; delete it all the same with: remove --force"
        return Step("kept", one.key, one.name, live=one, edits=edits, reason=reason)
    return Step("delete", one.key, one.name, live=one, edits=edits)


def steps_as_json(steps: Sequence[Step]) -> list[JsonObject]:
    """Return the steps as JSON values: two lists are equal if the same would be done to the same live artefacts.

    What somebody edited is named without its value, which may be a secret of theirs.
    """
    return [
        {
            "status": step.status,
            "rule_id": step.key,
            "name": step.name,
            "id": step.live.id if step.live else None,
            "seen": step.live.version if step.live else None,
            "wanted": _digest(step.wanted) if step.wanted else None,
            "changes": [{"field": field_name(path), "live": now, "wanted": then} for path, now, then in step.changes],
            "edits": [field_name(edit.path) for edit in step.edits],
            "conflicts": [
                {"field": field_name(path), "applied": was, "live": now, "wanted": then}
                for path, was, now, then in step.conflicts
            ],
            "reason": step.reason,
        }
        for step in steps
    ]


def as_plan(steps: Sequence[Step], where: Mapping[str, str], options: Mapping[str, Json]) -> JsonObject:
    """Return a plan to keep: the steps, the live system that they are for, and the options that they come from."""
    return {"format": _FORMAT, **where, "options": dict(options), "steps": [*steps_as_json(steps)]}


def check_as_planned(now: JsonObject, kept: object, file: str) -> None:
    """Refuse to do anything that a kept plan does not say; what was already done of it does not matter.

    Args:
        now: the plan as it would be made now.
        kept: what the file holds.
        file: its name.

    Raises:
        StoreError: it is not a plan, or says something else.
    """
    made = msgspec.convert(now, _KeptPlan)
    try:
        planned = msgspec.convert(kept, _KeptPlan)
    except msgspec.ValidationError as error:
        reason = f"{file} is not a plan of this version of the program ({error}); make one with: plan -o FILE"
        raise StoreError(reason) from error
    place = (planned.target, planned.url, planned.space)
    if place != (made.target, made.url, made.space):
        raise StoreError(f"{file} is a plan for {' '.join(place)}")
    options, others = made.options, planned.options
    if options != others:
        names = [name for name in {**options, **others} if options.get(name) != others.get(name)]
        told = ", ".join(f"--{name.replace('_', '-')} (there {json.dumps(others.get(name))})" for name in names)
        raise StoreError(f"nothing was done, since {file} was made with other options: {told}")
    if other := _not_planned(made.steps, planned.steps):
        raise StoreError(f"nothing was done, since things are not as {file} saw them: {', '.join(other)}; plan again")


def _not_planned(now: list[JsonObject], before: list[JsonObject]) -> list[str]:
    """Return the names of what would be done now but is not planned, or is planned but cannot be done."""
    planned = [step for step in before if step["status"] in TO_DO]
    keys = {step["rule_id"] for step in planned}
    settled = {step["rule_id"] for step in now if step["status"] in ("unchanged", "edited", "adopt")}
    gone = {step["rule_id"] for step in planned if step["status"] == "delete"} - {step["rule_id"] for step in now}
    more = [
        step
        for step in now
        if step["status"] in TO_DO
        and step not in planned
        and not (step["status"] == "adopt" and step["rule_id"] in keys)
    ]
    less = [step for step in planned if step not in now and step["rule_id"] not in settled | gone]
    return sorted({str(step["name"]) for step in more + less})


def field_name(path: Path) -> str:
    """Return the path of a field as people read it.

    >>> field_name(("alert_suppression", "group_by"))
    'alert_suppression.group_by'
    """
    return ".".join(path)


def _digest(body: JsonObject) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
