"""What to change in a live artefact: a three-way comparison, field by field, of what was applied, what is there now and
what a rule says now.

An artefact is compared as a flat map from the paths of its fields to their values. A field without a value and a field
that is not there are the same.
"""

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple, TypeAlias

from sigma_stellar_aws.base.json_types import Json

Path: TypeAlias = tuple[str, ...]
"""Where a field is in an artefact."""

Fields: TypeAlias = Mapping[Path, Json]
"""The fields of an artefact that are compared."""

Side: TypeAlias = Literal["ours", "theirs"]
"""Who is right about fields that both sides changed: the rule (ours), or who edited the live artefact (theirs)."""


HIDDEN = "(not shown)"
"""Stands for a value that is not to be shown."""


class Change(NamedTuple):
    """A field that becomes what the rule says."""

    path: Path
    live: Json
    wanted: Json


class Edit(NamedTuple):
    """A field that somebody changed in the live artefact; it stays."""

    path: Path
    applied: Json
    live: Json


class Conflict(NamedTuple):
    """A field that both sides changed, or may have changed where nothing tells what was applied."""

    path: Path
    applied: Json
    live: Json
    wanted: Json


class Merged(NamedTuple):
    """What three versions of an artefact come to."""

    changes: tuple[Change, ...]
    edits: tuple[Edit, ...]
    conflicts: tuple[Conflict, ...]


def three_way(
    applied: Fields | None,
    live: Fields,
    wanted: Fields,
    theirs: Collection[Path] = (),
    take: Side | None = None,
) -> Merged:
    """Compare three versions of an artefact.

    Args:
        applied: as it was applied last; None if that is not known, and then every difference is a conflict.
        live: as it is.
        wanted: as the rule says now.
        theirs: patterns of the fields that are never changed (``*`` stands for any one part of a path).
        take: who is right in conflicts; None leaves them open.
    """
    changes: list[Change] = []
    edits: list[Edit] = []
    conflicts: list[Conflict] = []
    for path in _in_order(wanted, live, applied or {}):
        was, now, then = (fields.get(path) for fields in (applied or {}, live, wanted))
        if _is_theirs(path, theirs):
            if applied is not None and now != was:
                edits.append(Edit(path, was, now))
        elif now == then:
            continue
        elif applied is not None and was == then:
            edits.append(Edit(path, was, now))
        elif applied is not None and was == now:
            changes.append(Change(path, now, then))
        else:
            conflicts.append(Conflict(path, was, now, then))
    changes, edits, conflicts = _whole_parts(changes, edits, conflicts, wanted)
    # What is theirs may be a secret, such as a password in an action.
    conflicts = [c._replace(applied=HIDDEN, live=HIDDEN) if _is_theirs(c.path, theirs) else c for c in conflicts]
    if take == "ours":
        changes += [Change(path, now, then) for path, _, now, then in conflicts]
    elif take == "theirs":
        edits += [Edit(path, was, now) for path, was, now, _ in conflicts]
    return Merged(tuple(changes), tuple(edits), () if take else tuple(conflicts))


def owned(fields: Fields, theirs: Collection[Path]) -> Fields:
    """Return the fields without those that are never changed."""
    return {path: value for path, value in fields.items() if not _is_theirs(path, theirs)}


def carried(applied: Fields, wanted: Fields, theirs: Collection[Path]) -> list[Change]:
    """Return the changes that give an artefact the values of an earlier one in the fields that are never changed."""
    return [
        Change(path, wanted.get(path), applied.get(path))
        for path in _in_order(wanted, applied)
        # Of a part that is new nothing is carried over.
        if _is_theirs(path, theirs) and (len(path) == 1 or path in applied or path[:-1] in applied)
    ]


def _whole_parts(
    changes: list[Change], edits: list[Edit], conflicts: list[Conflict], wanted: Fields
) -> tuple[list[Change], list[Edit], list[Conflict]]:
    """Where one side takes away a part in which the other does something, make all of the part a conflict."""
    removed = {change.path for change in changes if change.wanted is None}
    removed |= {edit.path for edit in edits if edit.live is None}
    removed |= {path for path, _, now, then in conflicts if now is None or then is None}
    touched = {item.path for item in changes} | {item.path for item in conflicts}
    edited = {item.path for item in edits} | {item.path for item in conflicts}
    both = [part for part in removed if _any_within(touched, part) and _any_within(edited, part)]

    def split(path: Path) -> bool:
        return any(_within(path, part) for part in both)

    conflicts = [
        *conflicts,
        *(Conflict(path, now, now, then) for path, now, then in changes if split(path)),
        *(Conflict(path, was, now, wanted.get(path)) for path, was, now in edits if split(path)),
    ]
    return [c for c in changes if not split(c.path)], [e for e in edits if not split(e.path)], conflicts


def _within(path: Path, part: Path) -> bool:
    return path[: len(part)] == part


def _any_within(paths: Collection[Path], part: Path) -> bool:
    return any(_within(path, part) for path in paths)


def _is_theirs(path: Path, theirs: Collection[Path]) -> bool:
    return any(
        len(path) == len(pattern) and all(b in ("*", a) for a, b in zip(path, pattern, strict=True))
        for pattern in theirs
    )


def _in_order(*versions: Fields) -> list[Path]:
    return list(dict.fromkeys(path for fields in versions for path in fields))
