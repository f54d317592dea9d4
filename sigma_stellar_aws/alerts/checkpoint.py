"""The file that says how far a search has got."""

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from sigma_stellar_aws.base.errors import CheckpointError
from sigma_stellar_aws.base.files import replace_text


class Checkpoint(NamedTuple):
    """The file that says up to when all events of one search have been looked at."""

    file: Path
    search: dict[str, str]


_Instant: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


# Of year 1, nothing can be subtracted.
_FIRST = datetime(2, 1, 1, tzinfo=timezone.utc)


class _Content(msgspec.Struct):
    through: _Instant
    since: _Instant | None
    search: dict[str, object]


def later(time: datetime, floor: datetime | None) -> datetime:
    """Return the later of a time and a floor, if there is a floor."""
    return time if floor is None else max(time, floor)


def read_checkpoint(checkpoint: Checkpoint, since: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Return up to when all is done, and when the first run began; None and ``since`` before the first run.

    Raises:
        CheckpointError: the file is not a checkpoint, or that of another search, or cannot be written.
        OSError: the file cannot be read.
    """
    file, search = checkpoint
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        if not os.access(file.absolute().parent, os.W_OK):
            raise CheckpointError(
                f"{file} cannot be written: its folder does not exist, or nothing may be written there"
            ) from None
        return None, since
    except UnicodeDecodeError:
        text = ""
    try:
        content = msgspec.json.decode(text, type=_Content)
        if min(content.through, content.since or content.through) < _FIRST:
            raise ValueError("no log is as old")
    except (ValueError, RecursionError):
        raise CheckpointError(
            f"{file} is not a checkpoint; remove it to begin anew (--since), or name another file"
        ) from None
    if content.search != search:
        raise CheckpointError(
            f"{file} is the checkpoint of another search, {json.dumps(content.search)}, not {json.dumps(search)}; "
            "name another file"
        )
    return content.through, content.since


def write_checkpoint(checkpoint: Checkpoint, through: datetime, floor: datetime | None) -> None:
    """Replace the file: whoever is killed leaves the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    content = {
        "through": through.isoformat(),
        "since": floor.isoformat() if floor else None,
        "search": checkpoint.search,
    }
    replace_text(checkpoint.file, json.dumps(content) + "\n")
