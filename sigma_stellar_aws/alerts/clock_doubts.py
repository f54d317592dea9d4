"""What a clock that is wrong, here or in what fills the data store, keeps from being looked at."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import millis, time_text
from sigma_stellar_aws.store.clock import StoreClock


def clock_problems(
    clock: StoreClock, here: datetime, until: datetime | None, overlap: timedelta, index: str
) -> Iterator[str]:
    """Say where the clocks differ by more than runs overlap, and how many events are dated later than now.

    Args:
        clock: that of the data store.
        here: what time it is for this machine.
        until: when the search ends; None for all events.
        overlap: how far a run goes back before the end of the last.
        index: the indices of the events.
    """
    ahead = here - clock.now
    if abs(ahead) > overlap:
        side = "ahead of" if ahead > -ahead else "behind"
        yield (
            f"the clock of this machine ({_text(here)}) is {_hours(ahead)} {side} that of the data store "
            f"({_text(clock.now)}); put it right, since runs go by it"
        )
    if clock.later and until is not None and abs(until - clock.now) <= overlap:
        yield (
            f"{plural(clock.later, 'event')} of {index} dated later than now, the last {_text(clock.newest)}: "
            "not looked at before that time; is a time zone wrong where the events come from?"
        )


def looked_at_until(clock: StoreClock, until: datetime) -> datetime:
    """Return up to when all is done after a search that ended at a time: not later than the newest event.

    So a clock that is ahead makes no run begin where no event is yet.
    """
    return min(until, clock.now, clock.newest or until)


def _text(time: datetime | None) -> str:
    return time_text(millis(time)) or "" if time else "unknown"


def _hours(span: timedelta) -> str:
    return plural(round(abs(span).total_seconds() / 3600), "hour")
