"""Alerts that are each that of one event: the same as those of windows without a length, in the same order."""

import random
import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from sigma_stellar_aws.alerts import event_alerts
from sigma_stellar_aws.alerts.alert_packing import sorted_alerts
from sigma_stellar_aws.alerts.event_alerts import EventAlerts
from sigma_stellar_aws.alerts.hits import DistinctHits, Hit
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.alerts.sorted_hits import SortedHits
from sigma_stellar_aws.alerts.suppress import raise_alerts
from sigma_stellar_aws.base.errors import TemporaryDataError
from sigma_stellar_aws.base.kept_texts import KeptTexts
from sigma_stellar_aws.rule_files.suppression import Suppression

RULES = {
    name: PackRule(name, name, severity, "", Suppression(timedelta(0), ("userIdentity.arn",)))
    for name, severity in (("low", 10), ("high", 90), ("other", 90))
}


def made(number: int, kept: KeptTexts) -> list[Hit]:
    """Hits of few times, some of which are copies, and some without a time."""
    chance = random.Random(number)
    hits = []
    for count in range(number):
        identity = f"{chance.randrange(number // 2):032x}"
        names = chance.sample(sorted(RULES), chance.randint(1, len(RULES)))
        hits.append(
            Hit(
                chance.choice([None, 1000, 2000, 3000]),
                identity,
                f"e{identity}",
                "s",
                "n",
                "",
                "a",
                "192.0.2.1",
                "1",
                "r",
                f"{count}.json",
                tuple((name, ("a",)) for name in names),
                event=kept.add(b'{"number":%d}' % count),
            )
        )
    return hits


@pytest.mark.parametrize("in_memory", [10_000, 3])
def test_they_are_those_of_windows_without_a_length(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alerts and their order are those of the general way, however many have one time; also the second time."""
    monkeypatch.setattr(event_alerts, "_IN_MEMORY", in_memory)
    kept = KeptTexts()
    hits = SortedHits(kept)
    hits.extend(made(300, kept))
    expected = sorted_alerts(kept)
    distinct = DistinctHits(hits)
    expected.extend(raise_alerts(distinct, RULES))
    alerts = EventAlerts(hits, RULES, kept)
    assert (len(alerts), alerts.events) == (len(expected), distinct.count)
    assert [*alerts] == [*alerts] == [*expected]
    assert all(alert.event for alert in alerts)


def test_where_there_is_no_room_to_sort_none_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads alerts gets all of them, or an error before the first one."""
    monkeypatch.setattr(event_alerts, "_IN_MEMORY", 3)
    kept = KeptTexts()
    hits = SortedHits(kept)
    hits.extend(made(1000, kept))

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        database: sqlite3.Connection = connected(*arguments, **options)
        database.execute("PRAGMA max_page_count = 4")
        return database

    connected = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(TemporaryDataError):
        EventAlerts(hits, RULES, kept)
