"""Reading all events of a store in order of time, on real engines, also where requests and answers get lost."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.store import client as store_client
from sigma_stellar_aws.store import limits, retries, scan
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store
from sigma_stellar_aws.store.scan import StoredEvent
from tests.support import proxy
from tests.support.proxy import Asked, Fault

QUERY = dsl.named(dsl.exists("n"), "has a number")
TIME = 1_700_000_000_000
MAPPINGS: dict[str, Json] = {
    "date": {"type": "date"},
    "date_nanos": {"type": "date_nanos"},
    "long": {"type": "long"},
}
EVENTS = 600
"""In each index."""


class Filled(NamedTuple):
    """An engine with events in several indices."""

    url: str
    indices: str
    times: dict[str, int | None]
    """By index and number."""


def _seen(found: StoredEvent) -> str:
    return f"{found.index_name}/{found.source['n']}"


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Iterator[Filled]:
    """Each engine in turn, with indices of several shards, in each many events of one millisecond, and some of none."""
    chance = random.Random(5)
    client = connect(engine_url, None, {})
    times: dict[str, int | None] = {}
    for name, mapping in {**MAPPINGS, "none": None}.items():
        mappings = {"properties": {"t": mapping}} if mapping else {}
        settings = {"number_of_shards": 2, "number_of_replicas": 0}
        client.indices.create(index=f"scan-{name}", body={"settings": settings, "mappings": mappings})
        lines: list[JsonObject] = []
        for number in range(EVENTS):
            # Half of them in one millisecond, the rest in a few hundred, a tenth without time.
            time = None if number % 10 == 0 or not mapping else TIME + max(0, chance.randrange(-300, 300)) * 1000
            times[f"scan-{name}/{number}"] = time
            # Events with several times have that of the first; those after it lie in other slices.
            several = chance.random() < 0.05 and time is not None
            value: Json = [time + 150_000, time, time + 90_000] if several and time is not None else time
            lines += [{"index": {}}, {"n": number, **({} if time is None else {"t": value})}]
        assert not client.bulk(index=f"scan-{name}", body=lines, refresh=True)["errors"]
    yield Filled(engine_url, "scan-*", times)
    for name in (*MAPPINGS, "none"):
        client.indices.delete(index=f"scan-{name}")


def _connect(url: str) -> OpenSearch:
    return connect(url, None, {})


def _no_point_in_time(asked: Asked) -> Fault | None:
    """As a store does of which the user may search, but open no point in time."""
    return (
        proxy.status(403)
        if asked.method == "POST" and ("point_in_time" in asked.path or "_pit" in asked.path)
        else None
    )


def _nothing(asked: Asked) -> Fault | None:
    return None


WAYS = pytest.mark.parametrize("way", [_nothing, _no_point_in_time], ids=["point in time", "scroll"])


def _is_search(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path.partition("?")[0].endswith(("/_search", "/_search/scroll"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses before a request is made again."""
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(retries, "TRIES", 4)


@WAYS
@pytest.mark.parametrize("page", [60, 400, 5000])
def test_every_event_comes_once_and_in_order(filled: Filled, way: Callable[[Asked], Fault | None], page: int) -> None:
    """Thousands of events of one millisecond, several shards and indices, any size of page: each once, by time."""
    with proxy.proxy(filled.url, way) as between:
        found = list(scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field="t", page=page))
        scrolls = [path for path in between.paths("DELETE") if path.endswith("/scroll")]
    assert bool(scrolls) == (way is _no_point_in_time)
    assert Counter(map(_seen, found)) == Counter([*filled.times])
    assert {_seen(each): each.time for each in found} == filled.times
    order = [each.time for each in found if each.time is not None]
    assert order == sorted(order)
    assert [each.time for each in found[len(order) :]] == [None] * (len(found) - len(order))
    assert {each.matched_queries[0] for each in found} == {"has a number"}


def test_large_events_come_in_smaller_pages(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is larger than is read, at first or later, is asked for in parts."""
    monkeypatch.setattr(limits, "ANSWER_BYTES", 150_000)
    with proxy.proxy(filled.url, _nothing) as between:
        found = list(scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field="t", page=1500))
        sizes = {json.loads(asked.body)["size"] for asked in between.asked if _is_search(asked)}
    assert Counter(map(_seen, found)) == Counter([*filled.times])
    assert sizes >= {1500, 150}


@WAYS
@pytest.mark.parametrize("time_field", ["t", None])
@pytest.mark.parametrize("held", [50, scan.HELD], ids=["on disk", "in memory"])
def test_several_queries_are_one_search(
    filled: Filled,
    way: Callable[[Asked], Fault | None],
    time_field: str | None,
    held: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An event that several queries find comes once, with all that it matches, and all come in order of time."""
    monkeypatch.setattr(scan, "HELD", held)
    bounds = {"all": (0, EVENTS), "few": (100, 130), "many": (110, 600), "none": (EVENTS, EVENTS + 1)}
    queries = [dsl.named(dsl.bounds("n", gte=low, lt=high), name) for name, (low, high) in bounds.items()]
    with proxy.proxy(filled.url, way) as between:
        found = list(
            scan.scan_each(_connect(between.url), filled.indices, queries, ["n"], time_field=time_field, page=700)
        )
        opened = [asked for asked in between.asked if asked.method == "POST" and "keep_alive" in asked.path]
    assert len(opened) == 1
    assert Counter(map(_seen, found)) == Counter([*filled.times])
    for each in found:
        number = each.source["n"]
        assert isinstance(number, int)
        assert {*each.matched_queries} == {name for name, (low, high) in bounds.items() if low <= number < high}
        assert len(each.matched_queries) == len({*each.matched_queries})
    if time_field:
        assert {_seen(each): each.time for each in found} == filled.times
        order = [each.time for each in found if each.time is not None]
        assert order == sorted(order)
        assert all(each.time is None for each in found[len(order) :])


@WAYS
def test_a_query_of_few_events_is_asked_once(filled: Filled, way: Callable[[Asked], Fault | None]) -> None:
    """To prepare a large query is costly, so the first answer has the events, and counts those without time."""
    queries = [dsl.named(dsl.bounds("n", gte=low, lt=10), f"from {low}") for low in (1, 5, 10)]
    with proxy.proxy(filled.url, way) as between:
        found = list(scan.scan_each(_connect(between.url), "scan-date*", queries, ["n"], time_field="t"))
        assert sum(map(_is_search, between.asked)) == len(queries)
    expected = {f"scan-{name}/{number}" for name in ("date", "date_nanos") for number in range(1, 10)}
    assert Counter(map(_seen, found)) == Counter(expected)
    assert {_seen(each): each.time for each in found} == {name: filled.times[name] for name in expected}


@WAYS
@pytest.mark.parametrize("time_field", ["t", None])
def test_an_index_without_a_mapping_does_no_harm(
    filled: Filled, way: Callable[[Asked], Fault | None], time_field: str | None
) -> None:
    """As an index is that was made in advance, of which a pattern may have some."""
    client = _connect(filled.url)
    client.indices.create(index="bare")
    try:
        with proxy.proxy(filled.url, way) as between:
            found = list(
                scan.scan(_connect(between.url), "scan-date,bare", QUERY, ["n"], time_field=time_field, page=200)
            )
    finally:
        client.indices.delete(index="bare")
    assert len({*map(_seen, found)}) == len(found) == EVENTS


@WAYS
def test_without_a_time_field_every_event_comes_once(filled: Filled, way: Callable[[Asked], Fault | None]) -> None:
    """Where there is no field to sort by, the events come in any order, and without time."""
    with proxy.proxy(filled.url, way) as between:
        found = list(scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field=None, page=200))
    assert Counter(map(_seen, found)) == Counter([*filled.times])
    assert {each.time for each in found} == {None}


FAULTS: dict[str, Fault] = {
    "429": proxy.status(429),
    "500": proxy.status(500),
    "503": proxy.status(503),
    "lost": proxy.lost,
    "refused": proxy.refused,
    "cut": proxy.cut,
    "shard failure": proxy.shard_failure,
    "timed out": proxy.timed_out,
}


@WAYS
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("quick")
def test_what_passes_is_waited_for(
    filled: Filled, way: Callable[[Asked], Fault | None], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If searches fail again and again, whatever happens to them, no event is lost, doubled or out of order."""
    # Of several at once, one may be the third several times in turn.
    monkeypatch.setattr(retries, "TRIES", 12)
    # A scroll has to give the events of one millisecond, which are several pages, anew after each failure.
    faulty = proxy.every(3 if way is _nothing else 11, FAULTS[fault], _is_search)
    with proxy.proxy(filled.url, lambda asked: way(asked) or faulty(asked)) as between:
        found = list(scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field="t", page=150))
    assert len(between.asked) > 15
    assert {_seen(each): each.time for each in found} == filled.times
    assert len(found) == len(filled.times)
    order = [each.time for each in found if each.time is not None]
    assert order == sorted(order)


@WAYS
@pytest.mark.usefixtures("quick")
def test_a_slow_answer_is_asked_for_again(
    filled: Filled, way: Callable[[Asked], Fault | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that does not come in time is not waited for, and what it would have told is not lost."""
    monkeypatch.setattr(store_client, "TIMEOUT_SECONDS", proxy.PATIENCE)
    faulty = proxy.every(12, proxy.slow, _is_search)
    with proxy.proxy(filled.url, lambda asked: way(asked) or faulty(asked)) as between:
        found = list(scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field="t", page=300))
    assert Counter(map(_seen, found)) == Counter([*filled.times])


@pytest.mark.parametrize("fault", ["lost", "refused", "503"])
@pytest.mark.usefixtures("quick")
def test_a_store_that_was_there_is_waited_for(filled: Filled, fault: str) -> None:
    """The first request of a scan, which asks for the engine, is made again as the others are."""
    faulty = iter([FAULTS[fault]] * 2)
    with proxy.proxy(filled.url, lambda asked: next(faulty, None) if asked.path == "/" else None) as between:
        found = list(scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field="t"))
        assert between.paths("GET").count("/") == 3
    assert Counter(map(_seen, found)) == Counter([*filled.times])


@pytest.fixture
def narrow(filled: Filled) -> Iterator[None]:
    """Some of the indices give few events at once."""
    windows = {"scan-date": 100, "scan-long": 70}
    settings = _connect(filled.url).indices.put_settings
    for name, most in windows.items():
        settings(index=name, body={"index.max_result_window": most})
    yield
    for name in windows:
        settings(index=name, body={"index.max_result_window": None})


@WAYS
@pytest.mark.parametrize("time_field", ["t", None])
@pytest.mark.usefixtures("narrow")
def test_pages_are_as_large_as_every_index_allows(
    filled: Filled, way: Callable[[Asked], Fault | None], time_field: str | None
) -> None:
    """Where an index gives fewer events at once than a page has, smaller pages are read, and nothing is lost."""
    with proxy.proxy(filled.url, way) as between:
        found = list(scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field=time_field))
        sizes = [json.loads(asked.body)["size"] for asked in between.asked if b'"size"' in asked.body]
    assert Counter(map(_seen, found)) == Counter([*filled.times])
    # A store need not tell of all limits at once.
    assert {scan.PAGE, 70} <= {*sizes} <= {scan.PAGE, 100, 70, 0}


TOLD = {
    "429": "on purpose",
    "500": "on purpose",
    "503": "on purpose",
    "lost": "cannot be reached",
    "refused": "cannot be reached",
    "cut": "cannot be reached",
    "shard failure": "not whole: 1 of 2 shards failed",
    "timed out": "the search timed out",
}


def _closed(between: proxy.Proxy) -> list[str]:
    return [path for path in between.paths("DELETE") if path in ("/_pit", "/_search/point_in_time", "/_search/scroll")]


@WAYS
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("quick")
def test_what_does_not_pass_is_told(filled: Filled, way: Callable[[Asked], Fault | None], fault: str) -> None:
    """If searches fail from some time on, the run fails: with what, and how often it was tried; and it cleans up."""
    searches = 0

    def faulty(asked: Asked) -> Fault | None:
        nonlocal searches
        searches += _is_search(asked)
        return FAULTS[fault] if _is_search(asked) and searches > 5 else None

    with proxy.proxy(filled.url, lambda asked: way(asked) or faulty(asked)) as between:
        reading = scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field="t", page=150)
        with pytest.raises(StoreError, match=TOLD[fault]) as raised:
            list(reading)
        assert re.search(r"; tried 4 times in \d+ seconds$", str(raised.value))
        assert _closed(between)


@WAYS
def test_a_reader_that_has_enough_leaves_nothing_open(filled: Filled, way: Callable[[Asked], Fault | None]) -> None:
    """Point in time and scrolls are closed when nobody reads on."""
    with proxy.proxy(filled.url, way) as between:
        reading = scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field="t", page=100)
        next(reading)
        reading.close()
        scrolls = sum("scroll=" in asked.path for asked in between.asked)
        assert len(_closed(between)) == max(1, scrolls)
    if describe_store(_connect(filled.url), filled.indices)["engine"] == "opensearch":
        assert _connect(filled.url).transport.perform_request("GET", "/_search/point_in_time/_all")["pits"] == []


def test_a_forgotten_state_is_told(filled: Filled) -> None:
    """A point in time that the store has lost is an error that says what to do, and not tried again."""
    client = _connect(filled.url)
    with proxy.proxy(filled.url, _nothing) as between:
        reading = scan.scan(_connect(between.url), filled.indices, QUERY, ["n"], time_field="t", page=40, slices=1)
        next(reading)
        pit = next(json.loads(asked.body)["pit"]["id"] for asked in between.asked if b'"pit"' in asked.body)
        if any("point_in_time" in asked.path for asked in between.asked):
            client.transport.perform_request("DELETE", "/_search/point_in_time", body={"pit_id": [pit]})
        else:
            client.transport.perform_request("DELETE", "/_pit", body={"id": pit})
        with pytest.raises(StoreError, match=r"has forgotten the state .* run again"):
            list(reading)
