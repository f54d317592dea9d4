"""Runs that follow each other with a correlation, whose events come late, twice, and while a run is killed."""

import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts import repeat
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.query.index_template import index_mappings
from sigma_stellar_aws.store.client import connect
from tests.support.killer import killer

RULES = """\
title: User
name: user
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: CreateUser}, condition: selection}
---
title: Key
name: key
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: CreateAccessKey}, condition: selection}
---
title: Chain
id: 22222222-8f0e-4a3f-9a53-0d3a4a0c9f02
correlation: {type: temporal_ordered, rules: [user, key], group-by: [userIdentity.arn], timespan: 10m}
stellar: {suppression: {window: 1h}}
"""
START = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(hours=3)
USER, KEY = "CreateUser", "CreateAccessKey"
Alerts = dict[str, list[tuple[int, int]]]


class Store:
    """An index of events, and one of alerts."""

    def __init__(self, client: OpenSearch) -> None:
        """Begin without events."""
        self.client = client
        self.name = f"follow-{uuid.uuid4().hex}"
        self.kept = f"alerts-of-{self.name}"
        body = {"mappings": index_mappings(["eventSource", "eventName", "userIdentity_arn"])}
        client.indices.create(index=self.name, body=body)

    def add(self, *events: tuple[str, str, int]) -> None:
        """Add events: who did what at which minute; a second one of the same words is a copy."""
        for event in events:
            self._add(*event)

    def _add(self, actor: str, name: str, minutes: int) -> None:
        time = START + timedelta(minutes=minutes)
        body = {
            "eventID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{actor} {name} {minutes}")),
            "eventSource": "iam.amazonaws.com",
            "eventName": name,
            "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}",
            "userIdentity_arn": actor,
            "timestamp": millis(time),
        }
        self.client.index(index=self.name, body=body, refresh=True)

    def alerts(self) -> Alerts:
        """When (in minutes) the alerts of each actor begin, and how many events they have."""
        found: Alerts = {}
        self.client.indices.refresh(index=self.kept)
        for hit in self.client.search(index=self.kept, body={"size": 1000})["hits"]["hits"]:
            source = hit["_source"]
            assert source["rule"]["title"] == "Chain"
            begin = (source["suppression"]["start"] - millis(START)) // 60_000
            found.setdefault(source["actors"][0], []).append((begin, source["event_count"]))
        return {actor: sorted(each) for actor, each in found.items()}


@pytest.fixture
def store(engine_url: str) -> Iterator[Store]:
    """A store without events."""
    with connect(engine_url, None, {}) as client:
        store = Store(client)
        yield store
        client.indices.delete(index=f"{store.name},{store.kept},calm-{store.kept}", ignore_unavailable=True)


def test_nothing_is_lost_or_doubled(
    store: Store, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever arrives when, and wherever a run is killed: all that is complete is in one alert for each window."""
    (tmp_path / "rules.yml").write_text(RULES, encoding="utf-8")

    def command(url: str, kept: str) -> list[str]:
        words = ["alerts", "--url", url, "--index", store.name, "--write", kept, "--json", "--follow", "5m"]
        return [*words, "--rules", str(tmp_path / "rules.yml"), "--checkpoint", str(tmp_path / kept), "--since", "1d"]

    for actor in ("a", "b"):
        store.add((actor, USER, 0), (actor, KEY, 5))
    python = [sys.executable, "-m", "sigma_stellar_aws"]
    with killer(engine_url) as between:
        calm = command(between.url, f"calm-{store.kept}")
        follow = calm.index("--follow")
        assert between.run([*python, *calm[:follow], *calm[follow + 2 :]]) == 0
        write = next(number for number, name in enumerate(between.requests, 1) if "_bulk" in name)
        # The store has the alerts then, and no checkpoint says so.
        assert between.run([*python, *command(between.url, store.kept)], write, "after") < 0
    assert not (tmp_path / store.kept).exists()
    assert store.alerts() == {"a": [(5, 2)], "b": [(5, 2)]}

    steps: list[tuple[Callable[[], None], Alerts]] = [
        # What is complete with an event that came late, and what is not yet.
        (lambda: store.add(("c", KEY, 20), ("d", USER, 20)), {}),
        (lambda: store.add(("c", USER, 11)), {"c": [(20, 2)]}),
        # A copy, which counts no more than the event.
        (lambda: store.add(("c", USER, 11)), {"c": [(20, 2)]}),
        (lambda: store.add(("d", KEY, 30)), {"c": [(20, 2)], "d": [(30, 2)]}),
        # Complete earlier, now that one came late: it is in the alert of the window that was opened later.
        (
            lambda: store.add(("d", USER, 12), ("d", KEY, 15)),
            {"c": [(20, 2)], "d": [(30, 4)]},
        ),
        # Too late before that window, and after it: alerts of their own.
        (
            lambda: store.add(("c", USER, -60), ("c", KEY, -55)),
            {"c": [(-55, 2), (20, 2)], "d": [(30, 4)]},
        ),
        (
            lambda: store.add(("c", USER, 75), ("c", KEY, 80)),
            {"c": [(-55, 2), (20, 3), (80, 2)], "d": [(30, 4)]},
        ),
    ]
    seen: list[Alerts] = []

    def wait(seconds: float) -> None:
        seen.append({actor: found for actor, found in store.alerts().items() if actor not in ("a", "b")})
        if len(seen) > len(steps):
            raise KeyboardInterrupt
        steps[len(seen) - 1][0]()

    monkeypatch.setitem(repeat.repeat.__kwdefaults__ or {}, "wait", wait)
    with pytest.raises(SystemExit) as ended:
        main(command(engine_url, store.kept))
    assert not ended.value.code
    assert seen == [{}, *(found for _, found in steps)]
    assert {actor: store.alerts()[actor] for actor in ("a", "b")} == {"a": [(5, 2)], "b": [(5, 2)]}
