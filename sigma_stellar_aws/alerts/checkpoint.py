"""A file that says how far a search has got."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sigma_stellar_aws.base.errors import CheckpointError
from sigma_stellar_aws.base.json_types import JsonObject


class Checkpoint(NamedTuple):
    """A file that says up to where all is done, of one search."""

    file: Path
    search: JsonObject


def later(time: datetime, floor: datetime | None) -> datetime:
    """Return the later of a time and a floor, if there is a floor."""
    return time if floor is None else max(time, floor)


def read_checkpoint(checkpoint: Checkpoint, since: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Up to where all is done, and where the first run began."""
    file, search = checkpoint
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        if not os.access(file.absolute().parent, os.W_OK):
            raise CheckpointError(
                f"{file} cannot be written: its folder is not there or not to be written to"
            ) from None
        return None, since
    except UnicodeDecodeError:
        text = ""
    try:
        held = json.loads(text)
        through, of = datetime.fromisoformat(held["through"]), held["search"]
        floor = None if held["since"] is None else datetime.fromisoformat(held["since"])
        complete = all(time is None or time.tzinfo is not None for time in (through, floor))
    except (ValueError, TypeError, KeyError):
        complete = False
    if not complete:
        raise CheckpointError(f"{file} is no checkpoint; remove it to begin anew (--since), or name another file")
    if of != search:
        raise CheckpointError(
            f"{file} is the checkpoint of another search, {json.dumps(of)}, not {json.dumps(search)}; name another file"
        )
    return through, floor


def write_checkpoint(checkpoint: Checkpoint, through: datetime, floor: datetime | None) -> None:
    """Replace the file as a whole: whoever is killed leaves the old one or the new one."""
    content = {
        "through": through.isoformat(),
        "since": floor.isoformat() if floor else None,
        "search": checkpoint.search,
    }
    new = checkpoint.file.with_name(f"{checkpoint.file.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(content) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(checkpoint.file)
