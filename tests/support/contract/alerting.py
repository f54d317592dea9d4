"""OpenSearch Alerting's monitors, as a real one treats them.

Where a comment says "measured", it is what Alerting 3.8.0 did (built from source, without the security plugin); the
rest was read in the sources of the plugin and its common library.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.contract.monitor_search import Stored, matches, unsearchable
from tests.support.contract.server import (
    Answer,
    Call,
    ContractServer,
    RefusedError,
    Request,
    Route,
    as_object,
    basic,
    faults,
    schema,
    serving,
)
from tests.support.contract.stored_search import stored_search

_MONITORS = "/_plugins/_alerting/monitors"
_MONITOR = rf"{_MONITORS}/(?P<id>[\w-]+)"
_SCHEMAS = {
    str(cast(JsonObject, cast(JsonObject, kind["properties"])["monitor_type"])["const"]): kind
    for kind in cast("list[JsonObject]", schema("opensearch-monitor")["oneOf"])
}
_TRIGGERS = {
    "query_level_monitor": "query_level_trigger",
    "bucket_level_monitor": "bucket_level_trigger",
    "doc_level_monitor": "document_level_trigger",
}
_SERVER_MADE = ("schema_version", "enabled_time", "last_update_time", "user")
# What Alerting fills in where a body says nothing.
_DEFAULTS: JsonObject = {
    "type": "monitor",
    "enabled": True,
    # Measured, shortened by the names of four more indices.
    "data_sources": {
        "query_index": ".opensearch-alerting-queries",
        "findings_index": ".opensearch-alerting-finding-history-write",
        "findings_index_pattern": "<.opensearch-alerting-finding-history-{now/d}-1>",
        "alerts_index": ".opendistro-alerting-alerts",
        "alerts_history_index": ".opendistro-alerting-alert-history-write",
        "query_index_mappings_by_type": {},
        "findings_enabled": False,
    },
    "owner": "alerting",
    "delete_query_index_in_every_run": False,
    "should_create_single_alert_for_findings": False,
}
_DOCUMENT_QUERY: JsonObject = {"fields": [], "tags": [], "query_field_names": []}
_TYPES = {
    400: "illegal_argument_exception",
    401: "security_exception",
    403: "security_exception",
    404: "status_exception",
    409: "version_conflict_engine_exception",
    429: "rejected_execution_exception",
}
_SEARCH_KEYS = {"query", "size", "from", "sort", "search_after", "seq_no_primary_term", "version", "_source"}
_SORTED_BY = ("_id", "monitor.name.keyword")


class Alerting(ContractServer):
    """OpenSearch with monitors.

    Attributes:
        monitors: by id, {"monitor": .., "_seq_no": .., "_primary_term": .., "_version": ..}.
        unguarded: ids of monitors that were replaced without sequence number.
        alerts: open alerts, {"id", "monitor_id", "trigger_id", "state"}.
        missing: names of indices that are not there.
    """

    def __init__(
        self, version: str, wrapped: bool, tells_sequence: bool, max_monitors: int, credentials: list[str]
    ) -> None:
        """Begin without monitors, and without the index that they are kept in."""
        super().__init__(credentials)
        self.monitors: dict[str, JsonObject] = {}
        self.unguarded: list[str] = []
        self.alerts: list[JsonObject] = []
        self.missing: set[str] = set()
        self._version = version
        self._wrapped = wrapped
        self._tells_sequence = tells_sequence
        self._max_monitors = max_monitors
        self._seq_no = -1
        self.routes = [
            Route("GET", "/", self._root),
            Route("GET", rf"{_MONITORS}/alerts", self._list_alerts),
            Route("GET", rf"{_MONITORS}/_search", self._search),
            Route("POST", rf"{_MONITORS}/_search", self._search),
            Route("POST", rf"{_MONITORS}/_execute", self._execute),
            Route("POST", _MONITORS, self._create),
            Route("GET", _MONITOR, self._read),
            Route("PUT", _MONITOR, self._replace),
            Route("DELETE", _MONITOR, self._delete),
            Route("POST", rf"{_MONITOR}/_execute", self._execute),
            Route("POST", rf"{_MONITOR}/_acknowledge/alerts", self._acknowledge),
            Route("GET", "/_plugins/_alerting/findings/_search", self._findings),
            Route("GET", "/_plugins/_alerting/stats", self._stats),
        ]

    # For tests

    def add(self, body: JsonObject) -> str:
        """A monitor that somebody made in Dashboards, not over the recorded API; its id."""
        with self.lock:
            return self._new(copy.deepcopy(body))

    def analyst_edits(self, monitor_id: str, **changes: Json) -> JsonObject:
        """Change top-level keys of a live monitor as the UI would; null takes a key away. The monitor afterwards."""
        with self.lock:
            live = cast(JsonObject, self.monitors[monitor_id]["monitor"])
            edited: JsonObject = {key: value for key, value in {**live, **changes}.items() if value is not None}
            self._save(monitor_id, edited)
            return cast(JsonObject, copy.deepcopy(self.monitors[monitor_id]["monitor"]))

    def open_alert(self, monitor_id: str) -> str:
        """An active alert of a monitor's first trigger; its id."""
        with self.lock:
            trigger_id = _trigger_ids(cast(JsonObject, self.monitors[monitor_id]["monitor"]))[0]
            alert: JsonObject = {"id": _made_id(), "monitor_id": monitor_id, "trigger_id": trigger_id}
            self.alerts.append({**alert, "state": "ACTIVE"})
            return str(alert["id"])

    # What every request has to keep

    def check(self, request: Request) -> None:
        """Refuse what is wrong with a request to any route.

        Raises:
            RefusedError: it is.
        """
        super().check(request)
        content_type = request.headers.get("content-type", "")
        if request.body is not None and content_type.partition(";")[0] != "application/json":
            raise RefusedError(406, self.violated(f"Content-Type header [{content_type}] is not supported"))

    def refusal(self, status: int, message: str) -> Answer:
        """An error as OpenSearch words it."""
        cause: JsonObject = {"type": _TYPES.get(status, "exception"), "reason": message}
        return Answer(status, {"error": {"root_cause": [cause], **cause}, "status": status})

    # Calls

    def _root(self, call: Call) -> Answer:
        version: JsonObject = {"number": self._version, "distribution": "opensearch"}
        return Answer(200, {"name": "node", "cluster_name": "contract", "version": version})

    def _create(self, call: Call) -> Answer:
        monitor = self._accepted(call.request.body)
        if len(self.monitors) >= self._max_monitors:
            raise RefusedError(400, f"This request would create more than the allowed monitors [{self._max_monitors}].")
        # Measured: the answers to POST and PUT have ui_metadata whoever asks.
        return Answer(201, self._answered(self._new(monitor)))

    def _read(self, call: Call) -> Answer:
        answer = self._answered(self._known(call))
        monitor = _shown(cast(JsonObject, answer["monitor"]), call.request)
        return Answer(200, {**answer, "monitor": monitor, "associated_workflows": []})

    def _replace(self, call: Call) -> Answer:
        monitor_id = self._known(call)
        self._check_sequence(monitor_id, call.request.query)
        self._save(monitor_id, self._accepted(call.request.body))
        return Answer(200, self._answered(monitor_id))

    def _delete(self, call: Call) -> Answer:
        monitor_id = self._known(call)
        gone = self.monitors.pop(monitor_id)
        self._seq_no += 1
        self._close_alerts()
        # Measured: no "result", unlike the deletion of a document.
        return Answer(200, {"_id": monitor_id, "_version": cast(int, gone["_version"]) + 1})

    def _search(self, call: Call) -> Answer:
        # Measured: empty before the first monitor, without a query all; read of 2.x: 404.
        if self._version.startswith("2."):
            self._check_index()
        body = as_object(call.request.body)
        if unknown := sorted(set(body) - _SEARCH_KEYS):
            raise RefusedError(400, self.violated(f"the contract server knows no {unknown} in a search"))
        query = body.get("query", {"match_all": {}})
        if fields := unsearchable(query):
            self.violated(f"fields that are not searchable, by which nothing is found: {fields}")
        size, start = cast(int, body.get("size", 10)), cast(int, body.get("from", 0))
        if size < 0 or start < 0 or size + start > 10_000:
            # Measured, status included.
            raise RefusedError(500, self.violated("Failed to search indices [.opendistro-alerting-config]"))
        found = [
            monitor_id
            for monitor_id, entry in self.monitors.items()
            if matches(query, Stored(monitor_id, cast(JsonObject, entry["monitor"])))
        ]
        hits = self._sorted([self._hit(monitor_id, call.request) for monitor_id in found], body)
        total: JsonObject = {"value": len(found), "relation": "eq"}
        shards: JsonObject = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        page = cast(Json, hits[start : start + size])
        return Answer(200, {"took": 1, "timed_out": False, "_shards": shards, "hits": {"total": total, "hits": page}})

    def _hit(self, monitor_id: str, request: Request) -> JsonObject:
        entry, body = self.monitors[monitor_id], as_object(request.body)
        hit: JsonObject = {"_index": ".opendistro-alerting-config", "_id": monitor_id, "_score": None}
        if body.get("seq_no_primary_term") and self._tells_sequence:
            hit |= {"_seq_no": entry["_seq_no"], "_primary_term": entry["_primary_term"]}
        if body.get("version"):
            hit["_version"] = entry["_version"]
        monitor = _shown(cast(JsonObject, entry["monitor"]), request)
        return {**hit, "_source": {"monitor": monitor} if self._wrapped else monitor}

    def _sorted(self, hits: list[JsonObject], body: JsonObject) -> list[JsonObject]:
        """Hits in the order that a search asks for, from behind `search_after` on."""
        if "sort" not in body:
            if "search_after" in body:
                raise RefusedError(400, self.violated("Sort must contain at least one field."))
            return hits
        given = body["sort"] if isinstance(body["sort"], list) else [body["sort"]]
        orders = [_order(entry) for entry in given]
        if unknown := sorted({field for field, _ in orders} - set(_SORTED_BY)):
            raise RefusedError(400, self.violated(f"No mapping found for {unknown} in order to sort on"))
        if len({order for _, order in orders}) != 1:
            raise RefusedError(400, self.violated("the contract server sorts all fields in one direction"))
        descending = orders[0][1] == "desc"
        for hit in hits:
            name = cast(JsonObject, self.monitors[str(hit["_id"])]["monitor"])["name"]
            hit["sort"] = [hit["_id"] if field == "_id" else name for field, _ in orders]
        hits.sort(key=_sort_values, reverse=descending)
        after = cast("list[str] | None", body.get("search_after"))
        if after is None:
            return hits
        if len(after) != len(orders):
            raise RefusedError(400, self.violated("search_after has as many values as sort has fields"))
        return [hit for hit in hits if (_sort_values(hit) < after if descending else _sort_values(hit) > after)]

    def _execute(self, call: Call) -> Answer:
        if call.request.query.get("dryrun") != "true":
            self.violated("_execute without dryrun=true stores alerts and sends messages")
        if "id" in call.caught:
            monitor = cast(JsonObject, self.monitors[self._known(call)]["monitor"])
        else:
            body = as_object(call.request.body)
            if "name" not in body:
                # Measured: the bare monitor, not {"monitor": ..}.
                raise RefusedError(400, self.violated("Monitor name is null"))
            if _patterns(body):
                raise RefusedError(500, self.violated("Index patterns are not supported in doc level monitors."))
            monitor = _kept(self._accepted(body), {})
        inner = {place: call.inner.get(place) or None for place in ("error", "input", "trigger")}
        if reason := _null_keys(monitor):
            self.violated(f"a group without a field would end the run: {reason}")
            inner["error"] = reason
        kind = _TRIGGERS[str(monitor["monitor_type"])]
        triggers = [cast(JsonObject, trigger[kind]) for trigger in cast("list[JsonObject]", monitor["triggers"])]
        results: JsonObject = {
            str(trigger["id"]): {
                "name": trigger["name"],
                "triggered": False,
                "error": cast(Json, inner["trigger"] or self._misread(trigger)),
                "action_results": {},
            }
            for trigger in triggers
        }
        found: Json = [] if inner["input"] else [{"hits": {"total": {"value": 0, "relation": "eq"}, "hits": []}}]
        answer: JsonObject = {"monitor_name": monitor["name"], "period_start": _now() - 300_000, "period_end": _now()}
        answer |= {"error": cast(Json, inner["error"]), "trigger_results": results}
        return Answer(200, {**answer, "input_results": {"results": found, "error": cast(Json, inner["input"])}})

    def _misread(self, trigger: JsonObject) -> str | None:
        """Say what is wrong where the id of a bucket-level trigger comes behind its condition (measured)."""
        keys = [*trigger]
        if "parent_bucket_path" not in as_object(trigger["condition"]) or keys.index("id") < keys.index("condition"):
            return None
        return self.violated("null cannot be cast to non-null type java.util.HashMap")

    def _list_alerts(self, call: Call) -> Answer:
        wanted = {"monitor_id": call.request.query.get("monitorId"), "state": call.request.query.get("alertState")}
        found = [
            alert for alert in self.alerts if all(value in (None, "ALL", alert[key]) for key, value in wanted.items())
        ]
        return Answer(200, {"alerts": cast(Json, found), "totalAlerts": len(found)})

    def _acknowledge(self, call: Call) -> Answer:
        monitor_id = call.caught["id"]
        if monitor_id not in self.monitors:
            # Measured, status included.
            raise RefusedError(500, f"No monitor found with id [{monitor_id}]")
        wanted = cast("list[str]", as_object(call.request.body)["alerts"])
        known = [alert for alert in self.alerts if alert["monitor_id"] == monitor_id and alert["id"] in wanted]
        for alert in known:
            alert["state"] = "ACKNOWLEDGED"
        done = [str(alert["id"]) for alert in known]
        # Measured: unknown alerts are in "failed".
        failed = cast(Json, sorted(set(wanted) - set(done)))
        return Answer(200, {"success": cast(Json, done), "failed": failed, "missing": []})

    def _findings(self, call: Call) -> Answer:
        return Answer(200, {"total_findings": 0, "findings": []})

    def _stats(self, call: Call) -> Answer:
        return Answer(200, {"plugins.scheduled_jobs.enabled": True, "nodes_on_schedule": 1, "nodes_not_on_schedule": 0})

    # Monitors

    def _check_index(self) -> None:
        """The index of the monitors is made with the first of them."""
        if self._seq_no < 0:
            raise RefusedError(404, "Configured indices are not found: [.opendistro-alerting-config]")

    def _known(self, call: Call) -> str:
        self._check_index()
        monitor_id = call.caught["id"]
        if monitor_id not in self.monitors:
            raise RefusedError(404, "Monitor not found.")
        return monitor_id

    def _check_sequence(self, monitor_id: str, query: dict[str, str]) -> None:
        given = [query.get(name) for name in ("if_seq_no", "if_primary_term")]
        entry = self.monitors[monitor_id]
        if given == [None, None]:
            self.unguarded.append(monitor_id)
        elif None in given:
            raise RefusedError(400, self.violated("if_seq_no and if_primary_term belong together"))
        elif given != [str(entry["_seq_no"]), str(entry["_primary_term"])]:
            raise RefusedError(
                409, f"[{monitor_id}]: version conflict, required seqNo [{given[0]}], primary term [{given[1]}]"
            )

    def _accepted(self, body: Json) -> JsonObject:
        """What Alerting takes of a body: keys at its top that it does not know are dropped (measured)."""
        given = copy.deepcopy(as_object(body))
        kind = str(given.get("monitor_type"))
        if kind not in _SCHEMAS:
            raise RefusedError(400, self.violated(f"no such monitor_type: {kind}"))
        known = cast(JsonObject, _SCHEMAS[kind]["properties"])
        if unknown := sorted(set(given) - set(known)):
            self.violated(f"keys that Alerting drops: {unknown}")
        monitor = {key: value for key, value in given.items() if key in known}
        if isinstance(triggers := monitor.get("triggers"), list):
            monitor["triggers"] = [_named_trigger(trigger, _TRIGGERS[kind]) for trigger in triggers]
        # A real one takes more than the schema: unknown keys in a trigger, any severity, no inputs (measured).
        if wrong := faults(_without_fan_out(monitor), _SCHEMAS[kind]):
            raise RefusedError(400, self.violated("; ".join(wrong)))
        ids = [trigger_id for trigger_id in _trigger_ids(monitor) if trigger_id]
        if len(set(ids)) < len(ids):
            raise RefusedError(400, self.violated("Duplicate trigger id"))
        cron = as_object(as_object(monitor["schedule"]).get("cron") or {"expression": "* * * * *"})
        if len(parts := str(cron["expression"]).split()) != 5:
            raise RefusedError(400, f"Cron expression contains {len(parts)} parts but we expect one of [5]")
        if _patterns(monitor):
            reason = "Validation Failed: 1: Index patterns are not supported for doc level monitors.;"
            raise RefusedError(400, self.violated(reason))
        if missing := self.missing & set(_document_indices(monitor)):
            raise RefusedError(404, f"Configured indices are not found: {sorted(missing)}")
        return monitor

    def _new(self, monitor: JsonObject) -> str:
        monitor_id = _made_id()
        self._save(monitor_id, monitor)
        return monitor_id

    def _save(self, monitor_id: str, monitor: JsonObject) -> None:
        before = self.monitors.get(monitor_id, {"_version": 0, "monitor": {}})
        kept = _kept(monitor, cast(JsonObject, before["monitor"]))
        self._seq_no += 1
        numbers: JsonObject = {"_seq_no": self._seq_no, "_primary_term": 1}
        self.monitors[monitor_id] = {"_version": cast(int, before["_version"]) + 1, **numbers, "monitor": kept}
        self._close_alerts()

    def _close_alerts(self) -> None:
        """Alerts of triggers that are gone are closed."""
        live = {
            (monitor_id, trigger_id)
            for monitor_id, entry in self.monitors.items()
            for trigger_id in _trigger_ids(cast(JsonObject, entry["monitor"]))
        }
        self.alerts = [alert for alert in self.alerts if (alert["monitor_id"], alert["trigger_id"]) in live]

    def _answered(self, monitor_id: str) -> JsonObject:
        return {"_id": monitor_id, **self.monitors[monitor_id]}


def _now() -> int:
    return int(time.time() * 1000)


def _made_id() -> str:
    return uuid.uuid4().hex[:20]


def _named_trigger(trigger: Json, kind: str) -> Json:
    """A trigger in the present form; the old one has its keys at the top of the item."""
    return {kind: trigger} if isinstance(trigger, dict) and "condition" in trigger else trigger


def _trigger_ids(monitor: JsonObject) -> list[str]:
    triggers = cast("list[dict[str, JsonObject]]", monitor["triggers"])
    return [str(options.get("id", "")) for trigger in triggers for options in trigger.values()]


def _shown(monitor: JsonObject, request: Request) -> JsonObject:
    """Return a monitor as it is shown: ui_metadata is for Dashboards, known by its User-Agent (measured)."""
    if "OpenSearch-Dashboards" in request.headers.get("user-agent", ""):
        return monitor
    return {key: value for key, value in monitor.items() if key != "ui_metadata"}


def _without_fan_out(monitor: JsonObject) -> JsonObject:
    """Return a monitor without a key that the schema does not have; Alerting adds it, and takes it back (measured)."""
    inputs = copy.deepcopy(monitor.get("inputs"))
    for entry in cast("list[dict[str, JsonObject]]", inputs or []):
        entry.get("doc_level_input", {}).pop("fan_out_enabled", None)
    return {**monitor, "inputs": inputs}


def _document_indices(monitor: JsonObject) -> list[str]:
    inputs = cast("list[dict[str, JsonObject]]", monitor.get("inputs") or [])
    return [
        index for entry in inputs for index in cast("list[str]", entry.get("doc_level_input", {}).get("indices", []))
    ]


def _patterns(monitor: JsonObject) -> list[str]:
    """Return the index patterns of a document-level monitor, which are refused (measured; read: since 2.19)."""
    return [index for index in _document_indices(monitor) if "*" in index or "?" in index]


def _composite_sources(search: JsonObject) -> Iterator[JsonObject]:
    """Yield the options of the sources of all composite aggregations at the top of a search body."""
    for aggregation in as_object(search.get("aggregations") or {}).values():
        composite = as_object(as_object(aggregation).get("composite") or {})
        for source in cast("list[dict[str, dict[str, JsonObject]]]", composite.get("sources") or []):
            for options in source.values():
                yield from options.values()


def _null_keys(monitor: JsonObject) -> str:
    """Say how a run fails if an event lacks a field of a group that has no other value then (measured)."""
    searches = [
        entry["search"]["query"]
        for entry in cast("list[dict[str, JsonObject]]", monitor["inputs"])
        if "search" in entry
    ]
    if any(
        source.get("missing_bucket") is True for search in searches for source in _composite_sources(as_object(search))
    ):
        return 'Cannot invoke "Object.toString()" because "it" is null'
    return ""


def _kept(monitor: JsonObject, before: JsonObject) -> JsonObject:
    """A monitor as Alerting keeps it."""
    kept: JsonObject = copy.deepcopy({**_DEFAULTS, **monitor})
    for trigger in cast("list[dict[str, JsonObject]]", kept["triggers"]):
        for kind, options in trigger.items():
            trigger[kind] = _kept_trigger(kind, options)
    for entry in cast("list[dict[str, JsonObject]]", kept["inputs"]):
        if "search" in entry:
            search = stored_search(as_object(entry["search"]["query"]))
            # Measured.
            for source in _composite_sources(search):
                source.update({"missing_bucket": False, "order": "asc", **source})
            entry["search"]["query"] = search
        if "doc_level_input" in entry:
            # Measured.
            entry["doc_level_input"].setdefault("fan_out_enabled", True)
        for query in cast("list[JsonObject]", entry.get("doc_level_input", {}).get("queries", [])):
            query.update({"id": _made_id(), **_DOCUMENT_QUERY, **query})
    if kept.get("ui_metadata") == {}:
        del kept["ui_metadata"]
    enabled_time = before.get("enabled_time") or _now()
    made: JsonObject = dict(
        zip(_SERVER_MADE, (8, enabled_time if kept["enabled"] else None, _now(), None), strict=True)
    )
    return {**kept, **made}


def _kept_trigger(kind: str, options: JsonObject) -> JsonObject:
    actions = [
        {"id": _made_id(), "throttle_enabled": False, **action}
        for action in cast("list[JsonObject]", options["actions"])
    ]
    kept: JsonObject = {**options, "actions": cast(Json, actions)}
    kept.setdefault("id", _made_id())
    if kind == "bucket_level_trigger":
        # Measured.
        kept["condition"] = {**as_object(options["condition"]), "gap_policy": "skip"}
    return kept


def _order(entry: Json) -> tuple[str, str]:
    """Field and direction of one entry of a sort."""
    [(field, options)] = entry.items() if isinstance(entry, dict) else [(entry, "asc")]
    return str(field), str(options["order"] if isinstance(options, dict) else options)


def _sort_values(hit: JsonObject) -> list[str]:
    return cast("list[str]", hit["sort"])


@contextmanager
def alerting(
    *,
    user: str = "",
    password: str = "",
    version: str = "3.8.0",
    wrapped: bool = False,
    tells_sequence: bool = True,
    max_monitors: int = 1000,
    certificate: Path | None = None,
) -> Iterator[Alerting]:
    """Run an OpenSearch on loopback; it is open to all unless a user is given.

    `wrapped`: whether search answers have their source in a `monitor` key, which depends on the version (measured on
    3.8: they have not); `tells_sequence`: whether they have sequence numbers where they are asked for (measured on
    3.8: they have);
    `certificate` (PEM with its key) makes it speak TLS.
    """
    credentials = [basic(user, password)] if user else []
    with serving(Alerting(version, wrapped, tells_sequence, max_monitors, credentials), certificate) as server:
        yield server
