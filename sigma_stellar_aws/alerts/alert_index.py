"""Keep alerts in an index of a data store: each once, however often a run is repeated, overlaps another or is killed.

An alert is created under its id, which is the same in every run, and updated by what a run counted anew; nothing is
added up, and so no event counts twice. What a run has to know of alerts of earlier runs is in fields of its own
(``suppression``); what people write into an alert stays, and changes nothing.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.alert import Alert, Raised
from sigma_stellar_aws.alerts.alert_json import alert_json, suppression_json
from sigma_stellar_aws.alerts.alert_mappings import ALERT_MAPPINGS, added_properties, is_older, mappings_meta
from sigma_stellar_aws.alerts.correlate import Completion, Contribution
from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.alerts.pack_rule import PackRule
from sigma_stellar_aws.alerts.suppress import MOST_OPEN, raise_alerts, with_earlier
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import millis
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.store.answers import SearchAnswer, as_store_errors, read_answer, read_bulk, read_whole
from sigma_stellar_aws.store.load import ALERTS_OF, OWN, check_index_name, create, may_be_taken_later
from sigma_stellar_aws.store.mapping import stored_mappings
from sigma_stellar_aws.store.retries import NotWholeError, answered
from sigma_stellar_aws.store.scan import scan

Outcome: TypeAlias = Literal["created", "updated", "unchanged"]

_BATCH = 500
# People write into alerts at any time.
_OPTIONS: dict[str, JsonObject] = {"create": {}, "update": {"retry_on_conflict": 5}}
_LISTS = (
    "events",
    "event_names",
    "accounts",
    "regions",
    "actors",
    "actor_names",
    "source_addresses",
    "source_locations",
    "correlation",
)


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


class StoredAlert(NamedTuple):
    """An alert, and what became of it in the index."""

    alert: Alert
    outcome: Outcome


class _Counters(msgspec.Struct):
    """What a later run has to know of an alert; times, if it has any, are milliseconds since 1970-01-01 UTC."""

    key_id: str
    start: int | None
    end: int | None
    first: int | None
    last: int | None
    events: int
    failed: int | None = None
    """None where an earlier version wrote it."""
    error_codes: tuple[str, ...] = ()


def prepare_alert_index(client: OpenSearch, index: str, search: str, *, must_exist: bool = False) -> None:
    """Create an index of alerts unless it exists, and make all that was written to it visible.

    Args:
        client: the data store.
        index: its name, or an alias of a single index.
        search: the indices that its alerts are about: alerts of two searches, counted into each other, would be wrong.
        must_exist: whether it has to be there, since an earlier run has created it.

    Raises:
        StoreError: an index of that name holds something else, cannot be created, or is gone.
    """
    check_index_name(index)
    with as_store_errors(index):
        exists = bool(answered(lambda: client.indices.exists(index=index)))
    if not exists:
        if must_exist:
            raise StoreError(
                f"the index {index!r} is gone, and its alerts with it; to raise them again, remove the checkpoint"
            )
        with as_store_errors(index):
            create(client, index, {"mappings": {"_meta": mappings_meta(search), **ALERT_MAPPINGS}})
    with as_store_errors(index):
        mappings = stored_mappings(client, index)
        if len(mappings) != 1:
            raise StoreError(f"{index!r} stands for {len(mappings)} indices, {', '.join(mappings)}; name one of them")
        [(name, mapping)] = mappings.items()
        purpose = mapping.meta.get(OWN)
        if not isinstance(purpose, dict) or ALERTS_OF not in purpose:
            raise StoreError(f"{name!r} was not made for alerts, so nothing is written to it; name a new index")
        if purpose[ALERTS_OF] != search:
            raise StoreError(
                f"{name!r} has the alerts of {purpose[ALERTS_OF]!r}, not of {search!r}; name another index"
            )
        if is_older(purpose):
            # Fields are only added: what is there keeps its mapping.
            added = {"_meta": {**mapping.meta, **mappings_meta(search)}, "properties": added_properties()}
            answered(lambda: client.indices.put_mapping(index=name, body=added))
        answered(lambda: client.indices.refresh(index=index))


def begin_of_count(client: OpenSearch, index: str, since: datetime | None) -> datetime | None:
    """Return from when on events have to be read for nothing from a time on to be missed; None for all events.

    Alerts that are open at that time are counted from their first event, and so nothing has to be remembered between
    runs. What is read for that may raise alerts, too: it may have arrived late.

    Raises:
        StoreError: the store cannot be asked.
    """
    if since is None:
        return None
    body = {"size": 0, "query": _open_at(since), "aggs": {"first": {"min": {"field": "suppression.first"}}}}
    with as_store_errors(index):
        answer = answered(lambda: read_whole(_FirstAnswer, client.search(index=index, body=body)))
    first = answer.aggregations.first.value
    return since if first is None else min(since, datetime.fromtimestamp(first / 1000, timezone.utc))


def store_alerts(
    client: OpenSearch,
    index: str,
    rules: Mapping[str, PackRule],
    hits: Iterable[Hit | Contribution | Completion],
    *,
    since: datetime | None,
    most_open: int = MOST_OPEN,
    report: Callable[[str], None],
    complete: Callable[[Iterable[Alert]], Iterable[Alert]] = iter,
) -> Iterator[StoredAlert]:
    """Raise the alerts of events, and store them; yield each when it is stored.

    Args:
        client: the data store.
        index: an index of alerts.
        rules: by the names in the hits.
        hits: the events from :func:`begin_of_count` on, in order of time.
        since: earlier events are counted, but raise nothing.
        most_open: how many alerts may be open at one time.
        report: is called for alerts that are not as they were written.
        complete: fills in the parts of alerts that are not known yet.

    Raises:
        StoreError: the store cannot be asked, or an alert could not be stored; those that were yielded are.
        TooManyAlertsError: more alerts are open at one time.
    """
    raised = _raised(client, index, since, report)
    alerts = raise_alerts(hits, rules, raised=raised, since=since, most_open=most_open)
    while batch := list(itertools.islice(alerts, _BATCH)):
        yield from store_batch(client, index, [*complete(batch)])
    with as_store_errors(index):
        answered(lambda: client.indices.refresh(index=index))


def _raised(client: OpenSearch, index: str, since: datetime | None, report: Callable[[str], None]) -> Iterator[Raised]:
    """Read the alerts that are open at a time or later, without one all, in order of their first events."""
    query = dsl.named(_open_at(since), OWN)
    for found in scan(client, index, query, ("suppression",), time_field="suppression.first"):
        raised = _as_raised(found.id, found.source)
        if raised is None:
            # Its events raise it anew, under the same id, which puts it right.
            report(f"{found.index_name!r}: the alert {found.id} had lost what its events are counted by")
        else:
            yield raised


def store_batch(client: OpenSearch, index: str, alerts: Sequence[Alert]) -> list[StoredAlert]:
    """Store alerts, and return what became of each.

    Raises:
        StoreError: one could not be stored.
    """
    new = [alert for alert in alerts if alert.raised is None]
    present = _send(client, index, [("create", alert, alert_document(alert)) for alert in new])
    # Another run has raised them meanwhile, or they have no time, and so no window.
    known = _known(client, index, [alert.id for alert in new if alert.id in present])
    settled = [with_earlier(alert, known[alert.id]) if alert.id in known else alert for alert in alerts]
    changed = [alert for alert in settled if _is_changed(alert) or (alert.id in present and alert.id not in known)]
    _send(client, index, [("update", alert, {"doc": _counted(alert)}) for alert in changed])
    outcomes: dict[str, Outcome] = {alert.id: "created" for alert in new if alert.id not in present}
    outcomes.update((alert.id, "updated") for alert in changed)
    return [StoredAlert(alert, outcomes.get(alert.id, "unchanged")) for alert in settled]


def alert_document(alert: Alert) -> JsonObject:
    """Write an alert as a document of the index."""
    counters = _Counters(
        alert.key_id,
        alert.start,
        alert.end,
        alert.first,
        alert.last,
        alert.events,
        alert.failed,
        alert.error_codes,
    )
    suppression = {**suppression_json(alert), **msgspec.structs.asdict(counters), "error_codes": [*alert.error_codes]}
    document: JsonObject = {**alert_json(alert), "suppression": suppression}
    return {name: _storable(value) for name, value in document.items()}


def _storable(value: Json) -> Json:
    """Replace halves of surrogate pairs, which a log may hold and OpenSearch refuses."""
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
    """Read what an earlier run has counted; return None where the alert has no time, or lost a part of it."""
    try:
        held = msgspec.convert(source.get("suppression"), _Counters)
    except msgspec.ValidationError:
        return None
    if held.start is None or held.end is None or held.first is None or held.last is None:
        return None
    return Raised(
        name, held.key_id, held.start, held.end, held.first, held.last, held.events, held.failed, held.error_codes
    )


def _known(client: OpenSearch, index: str, names: list[str]) -> dict[str, Raised]:
    """Read alerts by their ids, without those that have no time."""
    if not names:
        return {}
    with as_store_errors(index):
        answer = answered(lambda: client.mget(index=index, body={"ids": names}, params={"_source": "suppression"}))
        documents = read_answer(_Documents, answer).docs
    raised = (_as_raised(document.id, document.source) for document in documents if document.found)
    return {alert.id: alert for alert in raised if alert is not None}


def _is_changed(alert: Alert) -> bool:
    raised = alert.raised
    return raised is not None and any(
        getattr(alert, name) != getattr(raised, name) for name in ("events", "first", "last", "failed", "error_codes")
    )


def _counted(alert: Alert) -> JsonObject:
    """Return what a run changes in an alert of an earlier run: its lists of events only if it has read all of them."""
    document = alert_document(alert)
    counters = ("first_time", "last_time", "event_count", "failed_count", "error_codes", "suppression")
    lists: tuple[str, ...] = _LISTS
    if alert.event:
        lists = (*lists, "first_event")
    changed = (*counters, *(lists if alert.counted == alert.events else ()))
    return {name: document[name] for name in changed if name in document}


def _send(client: OpenSearch, index: str, actions: Iterable[tuple[str, Alert, JsonObject]]) -> set[str]:
    """Do actions on alerts; return the ids of those that exist and could not be created."""
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
            elif may_be_taken_later(result.status):
                waiting.append(action)
                reasons.append(result.reason)
            elif result.status >= 300:
                raise StoreError(f"{index!r}: the alert {alert.id} could not be stored: {result.reason}")
        if waiting:
            raise NotWholeError(f"{plural(len(waiting), 'alert')} not taken: {reasons[-1]}")

    if waiting:
        with as_store_errors(index):
            answered(send)
    return present
