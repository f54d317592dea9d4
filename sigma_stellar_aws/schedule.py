"""Runs that follow each other: each begins before the end of the last, since CloudTrail delivers events late."""

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from sigma_stellar_aws.errors import CheckpointError, StoreError
from sigma_stellar_aws.jsontypes import JsonObject

OVERLAP = timedelta(hours=6)
"""How late an event may arrive: CloudTrail needs up to 15 minutes, but what fills the store may stand still longer."""


class Span(NamedTuple):
    """What a run is to look at."""

    since: datetime | None
    """None for the first event."""
    until: datetime
    floor: datetime | None
    """Events before this time are never asked for."""
    resumed: bool
    """Whether it goes on where another run ended."""


class Checkpoint(NamedTuple):
    """A file that says up to where all is done, of one search."""

    file: Path
    search: JsonObject


def repeat(
    run: Callable[[Span], None],
    *,
    since: datetime | None,
    until: datetime | None = None,
    checkpoint: Checkpoint | None,
    overlap: timedelta,
    interval: timedelta | None,
    wait: Callable[[timedelta], None],
    failed: Callable[[StoreError], None],
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> None:
    """Run once, or again and again.

    Args:
        run: does what is to be done. When it fails, the next run does it, too.
        since: where the first run begins; None for the first event.
        until: where the run ends; None for now.
        checkpoint: where to begin instead, if there is one, and where to keep how far it went.
        overlap: how far a run goes back behind the end of the last.
        interval: pause between runs; None for a single run.
        wait: sleeps.
        failed: told of a run of several that failed because of the store.
        now: the time.

    Raises:
        CheckpointError: the file is no checkpoint, or that of another search, or cannot be written.
        StoreError: a single run failed.
        OSError: the file cannot be read or written.
    """
    through, floor = None, since
    if checkpoint is not None:
        through, floor = _read(checkpoint, since)
    while True:
        end = until or now()
        # A clock that was set back must not open a gap.
        begin = since if through is None else _later(min(through, end) - overlap, floor)
        try:
            run(Span(begin, end, floor, through is not None))
        except StoreError as error:
            if interval is None:
                raise
            failed(error)
        else:
            through = end
            if checkpoint is not None:
                _write(checkpoint, through, floor)
        if interval is None:
            return
        wait(interval)


def _later(time: datetime, floor: datetime | None) -> datetime:
    return time if floor is None else max(time, floor)


def _read(checkpoint: Checkpoint, since: datetime | None) -> tuple[datetime | None, datetime | None]:
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


def _write(checkpoint: Checkpoint, through: datetime, floor: datetime | None) -> None:
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
