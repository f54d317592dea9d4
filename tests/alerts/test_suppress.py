"""Alerts out of hits: suppression, windows, keys, what an alert tells."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sigma_stellar_aws.alerts.alert import SAMPLE, Alert, Raised, alert_id, hashed_id, id_of_event, key_id
from sigma_stellar_aws.alerts.alert_json import alert_json
from sigma_stellar_aws.alerts.hits import DistinctHits, Hit, Key, to_hit
from sigma_stellar_aws.alerts.pack import PackRule
from sigma_stellar_aws.alerts.store_events import within
from sigma_stellar_aws.alerts.suppress import raise_alerts, with_earlier
from sigma_stellar_aws.base.errors import TooManyAlertsError
from sigma_stellar_aws.base.times import time_text
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document
from sigma_stellar_aws.rule_files.stellar_block import Suppression
from tests.support.records import record

HOUR = 3_600_000
DAY = 24 * HOUR
RULE = PackRule("r", "A rule", 50, "An Author", Suppression(timedelta(hours=24), ("account", "actor")))
RULES = {"r": RULE, "s": RULE._replace(id="s", title="Other", severity=75)}
A: Key = ("1", "alice")
B: Key = ("1", "bob")


def hit(time: int | None, key: Key = A, *, identity: str | None = None, names: Iterable[str] = ("r",)) -> Hit:
    """A hit at a time."""
    identity = identity or f"{time}-{key}"
    return Hit(
        time, identity, f"id-{identity}", "s", "e", "", "", "", "", "", "p", tuple((name, key) for name in names)
    )


def raised(*hits: Hit, **options: object) -> list[Alert]:
    """The alerts of hits, in order of their start."""
    found = raise_alerts(DistinctHits(hits), RULES, **options)  # type: ignore[arg-type]
    return sorted(found, key=lambda alert: (alert.start is None, alert.start or 0, alert.rule.id, str(alert.key)))


def spans(alerts: Iterable[Alert]) -> list[tuple[int | None, int | None, int | None, int]]:
    """Start, first, last and number of events of alerts."""
    return [(alert.start, alert.first, alert.last, alert.events) for alert in alerts]


def earlier(alert: Alert) -> Raised:
    """An alert as a later run finds it."""
    assert alert.start is not None
    assert alert.end is not None
    assert alert.first is not None
    assert alert.last is not None
    return Raised(alert.id, alert.key_id, alert.start, alert.end, alert.first, alert.last, alert.events)


def at(time: int) -> datetime:
    """A time in milliseconds as a datetime."""
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=time)


def test_the_first_event_opens_a_window_of_24_hours() -> None:
    """Events within 24 h of the first are counted into its alert; the first one after that opens another."""
    alerts = raised(*map(hit, (0, 1, DAY - 1, DAY, DAY + 5, 2 * DAY, 5 * DAY)))
    assert spans(alerts) == [
        (0, 0, DAY - 1, 3),
        (DAY, DAY, DAY + 5, 2),
        (2 * DAY, 2 * DAY, 2 * DAY, 1),
        (5 * DAY, 5 * DAY, 5 * DAY, 1),
    ]


def test_every_rule_and_key_has_windows_of_its_own() -> None:
    """An event of two rules raises two alerts, and other values of one field another."""
    alerts = raised(hit(0, A, names="rs"), hit(1, B), hit(2, A))
    assert [(alert.rule.id, alert.key, alert.events) for alert in alerts] == [("r", A, 2), ("s", A, 1), ("r", B, 1)]
    assert len({alert.id for alert in alerts}) == 3


def test_a_missing_field_is_a_value_of_its_own() -> None:
    """Events without a field of the key raise an alert, other than those where it is empty."""
    keys: list[Key] = [(None, "alice"), ("", "alice"), (None, None), ("None", "alice")]
    alerts = raised(*(hit(0, key) for key in keys), *(hit(1, key) for key in keys))
    assert sorted((str(alert.key), alert.events) for alert in alerts) == sorted((str(key), 2) for key in keys)
    assert len({alert.id for alert in alerts}) == len(keys)


def test_the_window_is_the_rules_own() -> None:
    """Of two rules each has the window that it states."""
    rules = {"r": RULE, "s": RULES["s"]._replace(suppression=Suppression(timedelta(hours=1), ("account", "actor")))}
    found = raise_alerts([hit(time, names="rs") for time in (0, HOUR - 1, HOUR)], rules)
    assert sorted((alert.rule.id, alert.start, alert.events) for alert in found) == [
        ("r", 0, 3),
        ("s", 0, 2),
        ("s", HOUR, 1),
    ]


def test_without_a_window_every_event_is_an_alert() -> None:
    """A window of no length makes an alert of each event, of those at the same time or without one too."""
    rules = {"r": RULE._replace(suppression=Suppression(timedelta(0), ("account", "actor")))}
    times = (0, 0, 1, None, None)
    found = list(raise_alerts([hit(time, identity=str(n)) for n, time in enumerate(times)], rules))
    assert [(alert.first, alert.events) for alert in found] == [(time, 1) for time in times]
    assert len({alert.id for alert in found}) == len(times)


@pytest.mark.parametrize("time", [None, 0, 1793491200000])
@pytest.mark.parametrize(
    "event", ["6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60", "a b", 'a"b', "a\\n", "\u00e9", "\ud800", "\x7f", ""]
)
def test_the_id_of_an_event(time: int | None, event: str) -> None:
    """It is a hash of JSON like all ids, so that it stays what it was."""
    assert id_of_event("0" * 32, time, event) == hashed_id(["0" * 32, time, event])


def test_copies_count_once() -> None:
    """An event that was delivered twice counts once, events of the same time count each."""
    hits = [hit(0, identity="a"), hit(0, identity="b"), hit(0, identity="a"), hit(1, identity="c")]
    events = DistinctHits(hits)
    [alert] = raise_alerts(events, RULES)
    assert (alert.events, events.count) == (3, 3)


def test_events_without_a_time_are_not_lost() -> None:
    """Events without a time make one alert for each key, beside those that have one."""
    alerts = raised(hit(0), hit(None, identity="a"), hit(None, identity="b"), hit(None, B))
    assert spans(alerts) == [(0, 0, 0, 1), (None, None, None, 2), (None, None, None, 1)]
    assert len({alert.id for alert in alerts}) == 3
    assert [alert_json(alert)["first_time"] for alert in alerts] == ["1970-01-01T00:00:00Z", None, None]


def test_ids_are_the_same_in_every_run() -> None:
    """An id depends on the rule, the key with its fields, and the start of the window, and on nothing else."""
    first, again = raised(hit(0), hit(5)), raised(hit(0, identity="x"))
    assert [alert.id for alert in first] == [alert.id for alert in again]
    ids = {
        alert_id(key_id(rule, key), start)
        for rule in (RULE, RULES["s"], RULE._replace(suppression=Suppression(timedelta(hours=24), ("account", "x"))))
        for key in (A, B, ("1alice", ""), ("", "1alice"))
        for start in (0, 1, None)
    }
    assert len(ids) == 36
    renamed = RULE._replace(title="New title", severity=1)
    assert key_id(renamed, A) == key_id(RULE, A)


@given(
    st.lists(st.tuples(st.integers(0, 5 * DAY), st.sampled_from([A, B]), st.sampled_from(["r", "s", "rs"]))),
)
def test_suppression_loses_and_doubles_nothing(drawn: list[tuple[int, Key, str]]) -> None:
    """Every event is in one alert of each of its rules, windows of a key do not overlap, each starts with an event."""
    hits = [hit(time, key, identity=str(n), names=names) for n, (time, key, names) in enumerate(sorted(drawn))]
    times = defaultdict(list)
    for event in hits:
        for name, key in event.matches:
            times[name, key].append(event.time)
    alerts = list(raise_alerts(hits, RULES))
    for (name, key), of_key in times.items():
        windows = sorted((a.start, a.end, a.events) for a in alerts if (a.rule.id, a.key) == (name, key))
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(windows))  # type: ignore[operator]
        for start, end, events in windows:
            assert start in of_key
            assert events == sum(start <= time < end for time in of_key)  # type: ignore[operator]
        assert sum(events for _, _, events in windows) == len(of_key)


@given(
    st.lists(st.tuples(st.integers(0, 3 * DAY), st.sampled_from([A, B])), unique=True),
    st.integers(0, 3 * DAY),
    st.integers(0, 3 * DAY),
)
def test_a_second_run_changes_nothing(drawn: list[tuple[int, Key]], until: int, since: int) -> None:
    """What a run raised is what a later, overlapping one finds, which adds the events that came since."""
    hits = [hit(time, key) for time, key in sorted(drawn)]
    undisturbed = raised(*hits)
    first = raised(*(event for event in hits if (event.time or 0) < until))
    kept = {alert.id: alert for alert in first}
    held = sorted((earlier(alert) for alert in first), key=lambda alert: alert.start)
    begin = min([since, *(alert.first for alert in held if alert.end > since)])
    later = [event for event in hits if (event.time or 0) >= begin]
    for alert in raised(*later, raised=(a for a in held if a.end > since), since=at(since)):
        kept[alert.id] = alert
    if since <= until:
        assert sorted(spans(kept.values()), key=str) == sorted(spans(undisturbed), key=str)
        assert set(kept) == {alert.id for alert in undisturbed}


def test_a_late_event_joins_the_alert_that_was_raised() -> None:
    """An event that arrives after its alert was raised, and before its start, makes no second alert in the window."""
    [alert] = raised(hit(DAY), hit(DAY + 1))
    [joined] = raised(hit(DAY - HOUR), hit(DAY), hit(DAY + 1), raised=[earlier(alert)])
    assert joined.id == alert.id
    assert spans([joined]) == [(DAY, DAY - HOUR, DAY + 1, 3)]
    assert joined.raised == earlier(alert)
    other = raised(hit(0), hit(DAY), raised=[earlier(alert)])
    assert spans(other) == [(0, 0, 0, 1), (DAY, DAY, DAY + 1, 2)]


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 60), st.sampled_from([A, B])), max_size=30),
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 20), st.booleans()), min_size=1, max_size=12),
)
# The last event comes 11 after its time, with an overlap of 10. The run that reads it does so for the window of another
# key, and no longer reads the first event of the alert that it belongs to.
@example([(0, 2, A), (1, 1, B), (1, 12, A)], [(1, 1, False), (1, 2, False), (10, 1, False)])
@example([(0, 2, A), (5, 1, B), (6, 30, A)], [(8, 10, False), (12, 10, False)])
def test_late_events_and_broken_runs(drawn: list[tuple[int, int, Key]], plan: list[tuple[int, int, bool]]) -> None:
    """Whenever events arrive, runs break off and windows change: none is lost that was read, and none doubled.

    But for one that is later than the overlap and belongs to an alert that is no longer read from its first event on:
    it cannot be told from those that were counted.
    """
    events = [(time, time + late, hit(time, key, identity=str(n))) for n, (time, late, key) in enumerate(drawn)]
    kept: dict[str, Alert] = {}
    through, clock, seen, too_late = 0, 0, set[str](), set[str]()
    for pause, length, breaks in [*plan, (200, 10, False)]:
        clock += pause
        rules = {"r": RULE._replace(suppression=Suppression(timedelta(milliseconds=length), ("account", "actor")))}
        since = max(through - 10, 0)
        held = sorted((earlier(a) for a in kept.values() if (a.end or 0) > since), key=lambda a: a.first)
        begin = min([since, *(a.first for a in held)])
        held = sorted((earlier(a) for a in kept.values() if (a.end or 0) > begin), key=lambda a: a.first)
        read = sorted((h for time, arrives, h in events if arrives <= clock and begin <= time <= clock))
        found = list(raise_alerts(read, rules, raised=held, since=at(begin)))
        parts = {kept[a.id].key: a.end for a in held if a.first < begin}
        kept.update((alert.id, alert) for alert in (found[: len(found) // 2] if breaks else found))
        if not breaks:
            through = clock
            for h in read:
                of_part = (h.time or 0) < min(since, parts.get(h.matches[0][1], 0))
                (too_late if of_part else seen).add(h.identity)
    assert len(seen) <= sum(alert.events for alert in kept.values()) <= len(seen | too_late)
    assert {n for alert in kept.values() for n, _ in alert.sample} <= {f"id-{n}" for n in seen | too_late}


def test_what_lies_before_the_bound_raises_nothing() -> None:
    """An event before ``since`` counts into an alert that was raised before, and opens none."""
    [alert] = raised(hit(0), hit(5))
    found = raised(hit(0), hit(1, B), hit(5), hit(10), raised=[earlier(alert)], since=at(10))
    assert spans(found) == [(0, 0, 10, 3)]


def test_an_update_never_lowers_what_was_counted() -> None:
    """Where events of an alert are gone since, the larger number and the wider span stay."""
    [alert] = raised(hit(0), hit(1), hit(2))
    [again] = raised(hit(1), raised=[earlier(alert)])
    assert spans([again]) == spans([alert])
    assert (alert.counted, again.counted) == (3, 1)


def test_alerts_are_given_when_their_window_is_over() -> None:
    """Alerts stream: one whose window has passed is given before later events are read."""
    read: list[int] = []

    def hits() -> Iterator[Hit]:
        for day in range(100):
            read.append(day)
            yield hit(day * DAY, (str(day), ""))

    alerts = raise_alerts(hits(), RULES, most_open=1)
    assert next(alerts).start == 0
    assert len(read) == 2
    assert len(list(alerts)) == 99


def test_too_many_open_alerts() -> None:
    """Beyond the limit the run ends, and says which rule opens most and what can be done."""
    hits = [hit(0, (str(number), "")) for number in range(4)]
    assert len(raised(*hits, most_open=4)) == 4
    with pytest.raises(
        TooManyAlertsError, match=r"more than 3 alerts .* 4 of them by the rule 'A rule'.*--suppress-by"
    ):
        raised(*hits, most_open=3)


def test_an_alert_tells_a_bounded_sample() -> None:
    """An alert has its first events and values, however many there are."""
    hits = [hit(time)._replace(source_address=f"198.51.100.{time}") for time in range(SAMPLE + 5)]
    [alert] = raised(*hits)
    assert alert.events == SAMPLE + 5
    assert alert.sample == tuple((event.event_id, "p") for event in hits[:SAMPLE])
    assert alert.source_addresses == tuple(f"198.51.100.{number}" for number in range(SAMPLE))


def test_an_alert_as_json() -> None:
    """An alert has name, rule, severity, ATT&CK, times, key, sample, and who, from where, where."""
    event = record({"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms", "identity": "iam_user"})
    rule = PackRule(
        "r",
        "A rule",
        75,
        "An Author",
        Suppression(timedelta(minutes=90), ("userIdentity.arn", "requestParameters.none")),
        ("defense-impairment",),
        ("T1685", "T9999"),
    )
    keys = {"r": ("userIdentity_arn", "requestParameters_none")}
    document = flatten(event)
    time = document[TIME_FIELD]
    assert isinstance(time, int)
    told = to_hit(document, ["r"], keys, time=time, identity="i", origin="cloudtrail-1")
    [alert] = raise_alerts([told, told._replace(time=time + 1500, event_id="other")], {"r": rule})
    text = str(event["eventTime"])
    assert alert_json(alert) == {
        "id": alert.id,
        "name": "aws_malicious_activity",
        "display_name": "Potentially Malicious AWS Activity",
        "severity": 75,
        "rule": {
            "id": "r",
            "title": "A rule",
            "author": "An Author",
            "description": "",
            "false_positives": [],
            "references": [],
            "triage": [],
        },
        "tactics": [{"id": "TA0112", "name": "Defense Impairment", "url": "https://attack.mitre.org/tactics/TA0112/"}],
        "techniques": [
            {
                "id": "T1685",
                "name": "Disable or Modify Tools",
                "url": "https://attack.mitre.org/techniques/T1685/",
            },
            {"id": "T9999", "name": None, "url": None},
        ],
        "first_time": text,
        "last_time": time_text(time + 1500),
        "event_count": 2,
        "failed_count": 0,
        "error_codes": [],
        "suppression": {
            "window": "90m",
            "key": {"userIdentity.arn": "arn:aws:iam::123456789012:user/alice", "requestParameters.none": None},
        },
        "events": [
            {"id": event["eventID"], "place": "cloudtrail-1"},
            {"id": "other", "place": "cloudtrail-1"},
        ],
        "event_names": ["monitoring.amazonaws.com DeleteAlarms"],
        "accounts": ["123456789012"],
        "regions": ["eu-central-1"],
        "actors": ["arn:aws:iam::123456789012:user/alice"],
        "actor_names": ["alice"],
        "source_addresses": ["198.51.100.23"],
        "first_event": None,
    }
    assert json.loads(json.dumps(alert_json(alert))) == alert_json(alert)


def test_failed_events_are_counted() -> None:
    """An alert tells how many of its events have an error code, and the first ones, each once."""
    codes = ["AccessDenied", "", "AccessDenied", "Throttled", ""]
    [alert] = raised(*(hit(time)._replace(error_code=code) for time, code in enumerate(codes)))
    assert (alert.failed, alert.events, alert.error_codes) == (3, 5, ("AccessDenied", "Throttled"))
    [alert] = raised(*(hit(time)._replace(error_code=f"E{time}") for time in range(SAMPLE + 5)))
    assert (alert.failed, alert.error_codes) == (SAMPLE + 5, tuple(f"E{number}" for number in range(SAMPLE)))


@pytest.mark.parametrize(
    ("now", "before", "together"),
    [
        # Failed, succeeded; of both runs, and what is known of all: no number falls.
        ((2, 1), (1, 1), (2, 1)),
        ((0, 3), (5, 0), (5, 3)),
        ((4, 0), (0, 4), (4, 4)),
        ((1, 1), None, (1, 1)),
    ],
)
def test_what_failed_in_an_earlier_run(
    now: tuple[int, int], before: tuple[int, int] | None, together: tuple[int, int]
) -> None:
    """Counts of two runs are put together right, though the store may have deleted events that failed or succeeded."""
    [alert] = raised(*(hit(n)._replace(error_code="New" if n < now[0] else "") for n in range(sum(now))))
    failed, events = (before[0], sum(before)) if before else (None, 1)
    codes = ("Old",) if failed else ()
    earlier = Raised(alert.id, alert.key_id, 0, DAY, 0, 0, events, failed, codes)
    both = with_earlier(alert, earlier)
    assert (both.failed, both.events - both.failed) == together
    expected = codes if both.events > sum(now) else ()
    assert both.error_codes == (*expected, *(("New",) if now[0] else ()))
    again = with_earlier(alert, earlier._replace(events=both.events, failed=both.failed, error_codes=both.error_codes))
    assert again._replace(raised=None) == both._replace(raised=None)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00Z"),
        (1_764_000_000_123, "2025-11-24T16:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (10**18, "1000000000000000000"),
    ],
)
def test_times(time: int | None, text: str | None) -> None:
    """A time is told to the second or, where it has them, with milliseconds; one beyond all calendars as a number."""
    assert time_text(time) == text


def test_within() -> None:
    """A query without bounds is the same query, one with bounds asks for the time too, in milliseconds, or for none."""
    query = dsl.term("a", "b")
    assert within(query, TIME_FIELD, None, None) == query
    bounded = within(query, "at", at(1000), at(2000))
    assert list(dsl.leaves(bounded)) == [
        *dsl.leaves(query),
        ("range", "at", {"gte": "1000", "lt": "2000", "format": "epoch_millis"}),
    ]
    matches = compile_query(within(query, TIME_FIELD, at(1000), at(2000), undated=True))
    times: list[int | None] = [999, 1000, 1999, 2000, None]
    documents: list[Document] = [{"a": "b"} if time is None else {"a": "b", TIME_FIELD: time} for time in times]
    assert [time for time, document in zip(times, documents, strict=True) if matches(document)] == [1000, 1999, None]
