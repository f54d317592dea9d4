"""Alerts in an index of a data store: each once, however often a run is repeated, overlaps another or is killed.

An alert is created under its id, which is the same in every run, and updated by what a run counted anew; nothing is
added up, so that no event counts twice. What a run has to know of alerts of earlier runs stands in fields of its own
(``suppression``); what people write into an alert stays, and changes nothing.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import msgspec
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.alert import Alert, Raised, as_json
from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.alerts.pack import PackRule
from sigma_stellar_aws.alerts.suppress import MOST_OPEN, merged, raise_alerts
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.index_template import IGNORE_ABOVE
from sigma_stellar_aws.store.answers import SearchAnswer, as_store_errors, read_answer, read_bulk, read_whole
from sigma_stellar_aws.store.load import ALERTS_OF, LATER, OWN, check_index_name, create
from sigma_stellar_aws.store.mapping import stored_mappings
from sigma_stellar_aws.store.retries import NotWholeError, answered
from sigma_stellar_aws.store.scan import scan

Outcome: TypeAlias = Literal["created", "updated", "unchanged"]

_BATCH = 500
# People write into alerts at any time.
_OPTIONS: dict[str, JsonObject] = {"create": {}, "update": {"retry_on_conflict": 5}}
_KEYWORD: JsonObject = {"type": "keyword", "ignore_above": IGNORE_ABOVE}
_TIME: JsonObject = {"type": "date", "format": "strict_date_optional_time", "ignore_malformed": True}
_MILLIS: JsonObject = {"type": "date", "format": "epoch_millis"}


def _texts(*names: str) -> JsonObject:
    return {"properties": cast(Json, dict.fromkeys(names, _KEYWORD))}


_MAPPINGS: JsonObject = {
    "date_detection": False,
    "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
    "properties": {
        **cast("dict[str, Json]", dict.fromkeys(("id", "name", "display_name"), _KEYWORD)),
        "severity": {"type": "integer"},
        "rule": _texts("id", "title", "author"),
        "tactics": _texts("id", "name"),
        "techniques": _texts("id", "name"),
        "first_time": _TIME,
        "last_time": _TIME,
        "event_count": {"type": "long"},
        "suppression": {
            "properties": {
                "window": _KEYWORD,
                # Its keys are names of fields, with dots in them.
                "key": {"type": "object", "enabled": False},
                "key_id": _KEYWORD,
                **cast("dict[str, Json]", dict.fromkeys(("start", "end", "first", "last"), _MILLIS)),
                "events": {"type": "long"},
            }
        },
        "events": _texts("id", "place"),
    },
}


class _Time(msgspec.Struct):
    value: float | None


class _First(msgspec.Struct):
    first: _Time


class _FirstAnswer(SearchAnswer, kw_only=True):
    aggregations: _First


class _Document(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    found: bool = False
    source: dict[str, Any] = msgspec.field(name="_source", default_factory=dict)


class _Documents(msgspec.Struct):
    docs: list[_Document]


class Written(NamedTuple):
    """An alert, and what became of it in the index."""

    alert: Alert
    outcome: Outcome


def exists(client: OpenSearch, index: str) -> bool:
    """Whether there is such an index.

    Raises:
        StoreError: the store cannot be asked.
    """
    with as_store_errors(index):
        return bool(answered(lambda: client.indices.exists(index=index)))


def prepare(client: OpenSearch, index: str, search: str) -> None:
    """Create the index of alerts if there is none, and make all that was written to it visible.

    Args:
        client: the data store.
        index: its name, or an alias of a single index.
        search: what its alerts are raised of: alerts of two searches, counted into each other, would be wrong.

    Raises:
        StoreError: there is an index of that name for something else, or it cannot be made.
    """
    check_index_name(index)
    if not exists(client, index):
        with as_store_errors(index):
            create(client, index, {"mappings": {"_meta": {OWN: {ALERTS_OF: search}}, **_MAPPINGS}})
    with as_store_errors(index):
        mappings = stored_mappings(client, index)
        if len(mappings) != 1:
            raise StoreError(f"{index!r} stands for {len(mappings)} indices, {', '.join(mappings)}; name one of them")
        [(name, mapping)] = mappings.items()
        purpose = mapping.typed.meta.get(OWN)
        if not isinstance(purpose, dict) or ALERTS_OF not in purpose:
            raise StoreError(f"{name!r} was not made for alerts, so nothing is written to it; name a new index")
        if purpose != {ALERTS_OF: search}:
            raise StoreError(
                f"{name!r} has the alerts of {purpose[ALERTS_OF]!r}, not of {search!r}; name another index"
            )
        answered(lambda: client.indices.refresh(index=index))


def bring_up_to_date(
    client: OpenSearch,
    index: str,
    rules: Mapping[str, PackRule],
    hits: Callable[[datetime | None], Iterable[Hit]],
    *,
    since: datetime | None,
    floor: datetime | None = None,
    most_open: int = MOST_OPEN,
    report: Callable[[str], None],
) -> Iterator[Written]:
    """Raise the alerts of events, and store them; each is given when it is stored.

    Alerts that are open at ``since`` are counted from their beginning, so that nothing has to be remembered between
    runs. Whatever is read for that may raise alerts, too: it may have arrived late.

    Args:
        client: the data store.
        index: an index of alerts.
        rules: by the names in the hits.
        hits: gives the events from a time on, or all, in order of time.
        since: the time from which on nothing is to be missed; None for all.
        floor: earlier events raise nothing.
        most_open: how many alerts may be open at one time.
        report: is told of alerts that are not as they were written.

    Raises:
        StoreError: the store cannot be asked, or an alert could not be stored; those that were given are.
        TooManyAlertsError: more alerts are open at one time.
    """
    begin = None if since is None else _earliest(client, index, since)
    bound = begin if floor is None or begin is None else max(begin, floor)
    raised = _raised(client, index, bound, report)
    alerts = raise_alerts(hits(begin), rules, raised=raised, since=bound, most_open=most_open)
    while batch := list(itertools.islice(alerts, _BATCH)):
        yield from write(client, index, batch)
    with as_store_errors(index):
        answered(lambda: client.indices.refresh(index=index))


def _earliest(client: OpenSearch, index: str, since: datetime) -> datetime:
    """The time, or that of the first event of an alert that is open then, if it is earlier."""
    body = {"size": 0, "query": _open_at(since), "aggs": {"first": {"min": {"field": "suppression.first"}}}}
    with as_store_errors(index):
        answer = answered(lambda: read_whole(_FirstAnswer, client.search(index=index, body=body)))
    first = answer.aggregations.first.value
    return since if first is None else min(since, datetime.fromtimestamp(first / 1000, timezone.utc))


def _raised(client: OpenSearch, index: str, since: datetime | None, report: Callable[[str], None]) -> Iterator[Raised]:
    """The alerts that are open at a time or later, without one all, in order of their first events."""
    query = dsl.named(_open_at(since), OWN)
    for found in scan(client, index, query, ("suppression",), time_field="suppression.first"):
        raised = _as_raised(found.id, found.source)
        if raised is None:
            # Its events raise it anew, under the same id, which puts it right.
            report(f"{found.index_name!r}: the alert {found.id} had lost what its events are counted by")
        else:
            yield raised


def write(client: OpenSearch, index: str, alerts: Sequence[Alert]) -> list[Written]:
    """Store alerts, and tell what became of each.

    Raises:
        StoreError: one could not be stored.
    """
    new = [alert for alert in alerts if alert.raised is None]
    present = _send(client, index, [("create", alert, as_stored(alert)) for alert in new])
    # Somebody else has raised them meanwhile, or they have no time, and so are in no window.
    known = _known(client, index, [alert.id for alert in new if alert.id in present])
    settled = [merged(alert, known[alert.id]) if alert.id in known else alert for alert in alerts]
    changed = [alert for alert in settled if _is_changed(alert) or (alert.id in present and alert.id not in known)]
    _send(client, index, [("update", alert, {"doc": _counted(alert)}) for alert in changed])
    outcomes: dict[str, Outcome] = {alert.id: "created" for alert in new if alert.id not in present}
    outcomes.update((alert.id, "updated") for alert in changed)
    return [Written(alert, outcomes.get(alert.id, "unchanged")) for alert in settled]


def as_stored(alert: Alert) -> JsonObject:
    """An alert as a document of the index."""
    document = as_json(alert)
    cast(JsonObject, document["suppression"]).update(_counters(alert))
    return cast(JsonObject, _storable(document))


def _counters(alert: Alert) -> JsonObject:
    return {
        "key_id": alert.key_id,
        "start": alert.start,
        "end": alert.end,
        "first": alert.first,
        "last": alert.last,
        "events": alert.events,
    }


def _storable(value: Json) -> Json:
    """The value without halves of characters, which a log may hold and OpenSearch refuses."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {name: _storable(each) for name, each in value.items()}
    return value


def _open_at(since: datetime | None) -> Clause:
    if since is None:
        return dsl.exists("suppression.end")
    return dsl.bounds("suppression.end", gt=str(millis(since)), format="epoch_millis")


def _as_raised(name: str, source: JsonObject) -> Raised | None:
    held = source.get("suppression")
    if not isinstance(held, dict):
        return None
    key, numbers = held.get("key_id"), [held.get(part) for part in ("start", "end", "first", "last", "events")]
    if not isinstance(key, str) or not all(isinstance(number, int) for number in numbers):
        return None
    start, end, first, last, events = cast("list[int]", numbers)
    return Raised(name, key, start, end, first, last, events)


def _known(client: OpenSearch, index: str, names: list[str]) -> dict[str, Raised]:
    """Alerts by their ids, as far as they have a time."""
    if not names:
        return {}
    with as_store_errors(index):
        answer = answered(lambda: client.mget(index=index, body={"ids": names}, params={"_source": "suppression"}))
        documents = read_answer(_Documents, answer).docs
    raised = (_as_raised(document.id, document.source) for document in documents if document.found)
    return {alert.id: alert for alert in raised if alert is not None}


def _is_changed(alert: Alert) -> bool:
    raised = alert.raised
    return raised is not None and (alert.events, alert.first, alert.last) != (raised.events, raised.first, raised.last)


def _counted(alert: Alert) -> JsonObject:
    """What a run changes in an alert that was raised before: what is known of its events, if all are known."""
    document = as_stored(alert)
    counters = ("first_time", "last_time", "event_count", "suppression")
    lists = ("events", "event_names", "accounts", "regions", "actors", "source_addresses")
    return {name: document[name] for name in (*counters, *(lists if alert.counted == alert.events else ()))}


def _send(client: OpenSearch, index: str, actions: Iterable[tuple[str, Alert, JsonObject]]) -> set[str]:
    """Do actions on alerts; the ids of those that could not be created because they are there."""
    waiting = list(actions)
    present: set[str] = set()
    reasons: list[str] = []

    def send() -> None:
        lines = [line for kind, alert, body in waiting for line in ({kind: {"_id": alert.id, **_OPTIONS[kind]}}, body)]
        results = read_bulk(client.bulk(index=index, body=lines), len(waiting), index)
        sent, waiting[:] = waiting[:], []
        for action, result in zip(sent, results, strict=True):
            kind, alert, _ = action
            if kind == "create" and result.status == 409:
                present.add(alert.id)
            elif kind == "update" and result.status == 404:
                # Somebody has deleted it meanwhile.
                continue
            elif result.status in LATER:
                waiting.append(action)
                reasons.append(result.reason)
            elif result.status >= 300:
                raise StoreError(f"{index!r}: the alert {alert.id} could not be stored: {result.reason}")
        if waiting:
            raise NotWholeError(f"{len(waiting)} alerts were not taken: {reasons[-1]}")

    if waiting:
        with as_store_errors(index):
            answered(send)
    return present
