"""What time it is for a data store."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.clock import newest_events, store_clock


@pytest.fixture
def indices(engine_url: str) -> Iterator[str]:
    """A pattern of indices, whose time is of each type or missing; with two events of the future."""
    name = f"clock-{uuid.uuid4().hex}"
    now = datetime.now(timezone.utc)
    with connect(engine_url, None, {}) as client:
        for kind in ("date", "date_nanos"):
            client.indices.create(index=f"{name}-{kind}", body={"mappings": {"properties": {"t": {"type": kind}}}})
            for at in (now - timedelta(days=1), now + timedelta(days=2)):
                client.index(index=f"{name}-{kind}", body={"t": at.isoformat()})
        client.indices.create(index=f"{name}-none")
        client.index(index=f"{name}-none", body={"a": 1})
        client.indices.refresh(index=f"{name}-*")
        yield f"{name}-*"
        client.indices.delete(index=",".join(client.indices.get(index=f"{name}-*")))


def test_the_clock(indices: str, engine_url: str) -> None:
    """The store's time is that of this machine, here; the newest event, and those of the future, are counted."""
    with connect(engine_url, None, {}) as client:
        clock = store_clock(client, indices, "t")
        assert abs(clock.now - datetime.now(timezone.utc)) < timedelta(minutes=1)
        assert clock.newest is not None
        assert abs(clock.newest - clock.now - timedelta(days=2)) < timedelta(minutes=1)
        assert clock.later == 2
        bare = store_clock(client, indices.replace("*", "none"), "t")
        assert (bare.newest, bare.later) == (None, 0)
        assert abs(bare.now - clock.now) < timedelta(minutes=1)


def test_the_newest_events(indices: str, engine_url: str) -> None:
    """The newest of all, and of those that any of the queries finds, whatever the type of their times."""
    with connect(engine_url, None, {}) as client:
        clock = store_clock(client, indices, "t")
        past, future = dsl.bounds("t", lt="now"), dsl.bounds("t", gt="now")
        newest = newest_events(client, indices, "t", [past])
        assert newest.of_all == clock.newest
        assert newest.matching is not None
        assert abs(newest.matching - clock.now + timedelta(days=1)) < timedelta(minutes=1)
        assert newest_events(client, indices, "t", [past, future]).matching == clock.newest
        assert newest_events(client, indices, "t", [dsl.exists("nosuch")]) == (clock.newest, None)
        assert newest_events(client, indices.replace("*", "none"), "t", [past]) == (None, None)
