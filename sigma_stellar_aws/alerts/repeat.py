"""Runs that follow each other: each begins before the end of the last, since CloudTrail delivers events late."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from sigma_stellar_aws.alerts.checkpoint import Checkpoint, later, read_checkpoint, write_checkpoint
from sigma_stellar_aws.base.errors import StoreError

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
        through, floor = read_checkpoint(checkpoint, since)
    while True:
        end = until or now()
        # A clock that was set back must not open a gap.
        begin = since if through is None else later(min(through, end) - overlap, floor)
        try:
            run(Span(begin, end, floor, through is not None))
        except StoreError as error:
            if interval is None:
                raise
            failed(error)
        else:
            through = end
            if checkpoint is not None:
                write_checkpoint(checkpoint, through, floor)
        if interval is None:
            return
        wait(interval)
