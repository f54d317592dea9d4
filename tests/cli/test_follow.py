"""Runs that follow each other while the store goes away, forgets what it was asked, and begins another index."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts import repeat
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.store import retries
from sigma_stellar_aws.store.client import connect
from tests.support import proxy
from tests.support.proxy import Answer, Asked, Fault, Forward

_DELETE_POINT: Mapping[str, Callable[[str], JsonObject]] = {
    "/_search/point_in_time": lambda pit: {"pit_id": [pit]},
    "/_pit": lambda pit: {"id": pit},
}


class Store:
    """An alias of one index after the other, and what happens to requests."""

    def __init__(self, client: OpenSearch) -> None:
        """Begin with an index."""
        self.client = client
        self.name = f"follow-{uuid.uuid4().hex}"
        self.fault: Fault | None = None
        self.count = 0
        self.indices = 0
        self.roll_over()

    def roll_over(self) -> None:
        """Begin another index."""
        self.indices += 1
        fields = ["eventSource", "eventName", "userIdentity_arn"]
        body = {"mappings": index_mappings(fields), "aliases": {self.name: {}}}
        self.client.indices.create(index=f"{self.name}-{self.indices}", body=body)

    def add(self) -> None:
        """Add an event of an actor of its own to the newest index."""
        body = {
            "eventID": f"00000000-0000-4000-8000-{self.count:012}",
            "eventSource": "kms.amazonaws.com",
            "eventName": "CreateKey",
            "userIdentity_arn": f"arn:aws:iam::111122223333:user/{self.count}",
            "timestamp": millis(datetime.now(timezone.utc) - timedelta(minutes=60 - self.count)),
        }
        self.client.index(index=f"{self.name}-{self.indices}", body=body, refresh=True)
        self.count += 1

    def fault_of(self, asked: Asked) -> Fault | None:
        """Return what is to happen to a request: a fault that is not of all of them is of the pages of events."""
        if self.fault is proxy.refused or (b'"_source"' in asked.body and b'"eventID"' in asked.body):
            return self.fault
        return None

    def forget(self, asked: Asked, forward: Forward) -> Answer:
        """Forget the point in time before the page is read."""
        pit = json.loads(asked.body)["pit"]["id"]
        for path, body in _DELETE_POINT.items():
            self.client.transport.perform_request("DELETE", path, body=body(pit), params={"ignore": (400, 404, 405)})
        return forward(asked.body)

    def roll_over_then(self, asked: Asked, forward: Forward) -> Answer:
        """Begin another index, with an event, before the page is read."""
        self.fault = None
        self.roll_over()
        self.add()
        return forward(asked.body)


@pytest.fixture
def store(engine_url: str) -> Iterator[Store]:
    """A store with three events."""
    with connect(engine_url, None, {}) as client:
        store = Store(client)
        for _ in range(3):
            store.add()
        yield store
        names = [f"{store.name}-{number + 1}" for number in range(store.indices)]
        client.indices.delete(index=",".join([*names, f"alerts-of-{store.name}"]), ignore_unavailable=True)


def test_nothing_is_lost_or_doubled(
    store: Store, engine_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs that fail are told, the next ones make up for them, and each event is in one alert at the end."""
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(retries, "TRIES", 2)
    told: list[tuple[int, str]] = []

    def then(fault: Fault | None, *, adds: bool = True) -> Callable[[], None]:
        def step() -> None:
            if adds:
                store.add()
            store.fault = fault

        return step

    steps = iter(
        [
            then(proxy.refused),
            then(None, adds=False),
            then(store.forget),
            then(None, adds=False),
            then(store.roll_over_then),
            then(None, adds=False),
        ]
    )

    def wait(seconds: float) -> None:
        shown = capsys.readouterr()
        told.append((len(shown.out.splitlines()), shown.err))
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setitem(repeat.repeat.__kwdefaults__ or {}, "wait", wait)
    kept = f"alerts-of-{store.name}"
    command = ["alerts", "--index", store.name, "--write", kept, "--json", "--follow", "5m"]
    command += ["--rules", "rules/aws_kms_key_created.yml"]
    with proxy.proxy(engine_url, store.fault_of) as between, pytest.raises(SystemExit) as ended:
        main([*command, "--url", between.url])
    assert not ended.value.code
    assert [alerts for alerts, _ in told] == [3, 0, 1, 0, 1, 1, 1], told
    assert "this run failed; the next run will make up for it: the store cannot be reached" in told[1][1]
    assert "forgotten the state of the data" in told[3][1]
    hits = store.client.search(index=kept, body={"size": 100})["hits"]["hits"]
    assert sorted((hit["_source"]["actors"], hit["_source"]["event_count"]) for hit in hits) == [
        ([f"arn:aws:iam::111122223333:user/{number}"], 1) for number in range(store.count)
    ]
    assert store.count == 7
