"""Monitors in OpenSearch Alerting, over its HTTP API.

What was applied stands in the monitor's ``ui_metadata``. The monitor editor of Dashboards writes that anew without us
(alerting-dashboards-plugin, formikToMonitor), but keeps the ids of triggers. So the id of a trigger says too which rule
a monitor is for, and the state file what was applied.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, cast

from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.formats.opensearch_monitor import ALL_RULES
from sigma_stellar_aws.install.apply import as_applied, sound
from sigma_stellar_aws.install.merge import Change, Fields, Path, owned
from sigma_stellar_aws.install.plan import Live, Step, field_name
from sigma_stellar_aws.install.server_errors import MISSING, ServerError, ask, if_there, no_answer, order
from sigma_stellar_aws.install.state import State
from sigma_stellar_aws.install.stored_search import canonical
from sigma_stellar_aws.store.answers import reason as reason_of
from sigma_stellar_aws.store.connection_errors import refusal_message

MARKER = "sigma_stellar_aws"
"""The key of ``ui_metadata`` that says of a monitor that this project made it."""

_TRIGGER = "sigma-stellar-aws-"
"""How the ids of our triggers begin; the id of the rule is next, then, where there are several, ``--`` and a name."""

_SERVER_MADE = ("schema_version", "enabled_time", "last_update_time", "user")
_TOP = ("name", "monitor_type", "enabled", "schedule")
_API = "/_plugins/_alerting/monitors"
_NO_ANSWER = "this is not an answer of OpenSearch Alerting; is the URL right?"
_MOST = 10_000
_NO_INDEX = re.compile("index_not_found|Configured indices are not found")
_CHANGED = 409


class OpenSearchAlerting:
    """The monitors of an OpenSearch."""

    theirs: Final[tuple[Path, ...]] = (("enabled",), ("triggers", "*", "actions"))
    fixed: Final[Path] = ("monitor_type",)

    def __init__(self, client: OpenSearch, state: State) -> None:
        """Prepare to talk to OpenSearch, without doing so yet.

        Args:
            client: one that repeats no request by itself, since not every request can be repeated.
            state: what was applied to this OpenSearch.
        """
        self._client = client
        self._state = state
        [host] = client.transport.hosts
        scheme, port = ("https" if host.get("use_ssl") else "http"), host.get("port", "")
        self._url = f"{scheme}://{host['host']}:{port}"
        self._answered = False

    def fields(self, body: JsonObject, like: JsonObject) -> Fields:
        """The fields of a monitor that are compared; its triggers are called as in the monitor that it is like."""
        found: dict[Path, Json] = {(key,): body[key] for key in _TOP if key in body}
        for kind, part in _input(body).items():
            for key, value in cast(JsonObject, part).items():
                if key == "queries":
                    queries = cast("list[JsonObject]", value)
                    found.update({("inputs", kind, key, _query_name(query)): _query(query) for query in queries})
                elif value != "":
                    found["inputs", kind, key] = canonical(value)
        for name, trigger in _named_triggers(body, like):
            found["triggers", name] = trigger["name"]
            found.update({("triggers", name, key): trigger[key] for key in ("severity", "condition") if key in trigger})
            if actions := cast("list[JsonObject]", trigger.get("actions")):
                found["triggers", name, "actions"] = [_lasting(action) for action in actions]
        return found

    def outline(self, body: JsonObject) -> str:
        """Where a monitor looks, and the severities of its triggers, 1 being the highest."""
        [level] = _input(body).values()
        severities = ", ".join(str(trigger.get("severity")) for trigger in _triggers(body))
        indices = ", ".join(cast("list[str]", cast(JsonObject, level)["indices"]))
        return f"index {indices}; severity {severities}"

    def read(self, wanted: Mapping[str, JsonObject]) -> list[Live]:
        """The monitors that take the place of the wanted ones, and all others that this project made.

        Raises:
            ServerError: OpenSearch cannot be asked, or has no Alerting plugin.
        """
        names = {str(body["name"]): key for key, body in wanted.items()}
        return [live for found in self._all() if (live := self._live(found, names)) is not None]

    def merged(self, live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
        """A live monitor with changes, as it can be sent."""
        body = copy.deepcopy({key: value for key, value in live.items() if key not in _SERVER_MADE})
        triggers = dict(_named_triggers(body, like))
        for path, _, wanted in changes:
            match path:
                case ("triggers", name):
                    _change_trigger(body, triggers, name, wanted, like)
                case ("triggers", name, key):
                    if name in triggers:
                        _put(triggers[name], key, [] if key == "actions" and wanted is None else wanted)
                case ("inputs", kind, "queries", name):
                    _change_query(cast(JsonObject, _input(body)[kind]), name, wanted)
                case ("inputs", kind, key):
                    # As the rule has it, not as it is compared.
                    as_written = cast(JsonObject, _input(like).get(kind, {})).get(key)
                    _put(cast(JsonObject, _input(body).setdefault(kind, {})), key, as_written)
                case (key,):
                    _put(body, key, wanted)
        return body

    def try_out(self, body: JsonObject) -> str:
        """Why a monitor would fail if it ran, by a dry run; empty if it would not.

        Raises:
            ServerError: OpenSearch does not take it.
        """
        answer = ask(lambda: self._send("POST", f"{_API}/_execute", {"dryrun": "true"}, {"monitor": body}))
        errors = [answer.get("error")]
        errors += [cast(JsonObject, answer.get("input_results") or {}).get("error")]
        triggers = cast("dict[str, JsonObject]", answer.get("trigger_results") or {})
        errors += [trigger.get("error") for trigger in triggers.values()]
        return "; ".join(str(error) for error in errors if error)

    def create(self, step: Step) -> str:
        """Make the monitor of a step. Returns what OpenSearch did not keep of it, to tell.

        Raises:
            ServerError: it was not made, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.wanted is not None
        body = _marked(step.wanted, as_applied(step, self))

        def done() -> LiveMonitor | None:
            made = [one for one in self._all() if _key(one.body) == step.key]
            return made[0] if made else None

        found = order(lambda: _found(self._send("POST", _API, body=body)), done, twice=True)
        return self._recorded(step, found, self.fields(step.wanted, step.wanted))

    def update(self, step: Step) -> str:
        """Change the monitor of a step. Returns what OpenSearch did not keep of it, to tell.

        Raises:
            ServerError: it was not changed, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.wanted is not None
        assert step.live is not None
        wanted, live = step.wanted, step.live
        body = _marked(self.merged(live.body, step.changes, wanted), as_applied(step, self))
        expected = self.fields(body, wanted)
        number, term = cast("tuple[int, int]", live.version)
        guard = {"if_seq_no": str(number), "if_primary_term": str(term)}

        def done() -> LiveMonitor | None:
            found = self._monitor(live.id)
            if found is None or (found.version != live.version and _marker(found.body) != _marker(body)):
                raise ServerError(_CHANGED, "somebody else changes it at the same time")
            return None if found.version == live.version else found

        found = order(lambda: _found(self._send("PUT", f"{_API}/{live.id}", guard, body)), done)
        return self._recorded(step, found, expected)

    def adopt(self, step: Step) -> str:
        """Record the monitor of a step as applied, in itself too if it does not say so.

        Raises:
            ServerError: it was not changed, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.live is not None
        if _marker(step.live.body).get("applied") != _applied(as_applied(step, self)):
            return self.update(step)
        self._state.record(step.key, step.live.id, as_applied(step, self))
        return ""

    def delete(self, step: Step) -> str:
        """Delete the monitor of a step.

        Raises:
            ServerError: it was not deleted, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.live is not None
        live = step.live
        found = self._monitor(live.id)
        if found is None or found.version != live.version:
            raise ServerError(_CHANGED, "somebody has changed it since the plan was made; run it again")

        def done() -> JsonObject | None:
            return {} if self._monitor(live.id) is None else None

        order(lambda: self._send("DELETE", f"{_API}/{live.id}"), done)
        self._state.forget(step.key, live.id)
        return ""

    def _recorded(self, step: Step, found: "LiveMonitor", expected: Fields) -> str:
        self._state.record(step.key, found.id, as_applied(step, self))
        kept = self.fields(found.body, cast(JsonObject, step.wanted))
        lost = [field_name(path) for path, value in owned(expected, self.theirs).items() if kept.get(path) != value]
        return f"OpenSearch did not keep: {', '.join(lost)}" if lost else ""

    def _live(self, found: "LiveMonitor", names: Mapping[str, str]) -> Live | None:
        name = str(found.body.get("name"))
        recorded = {server_id: key for key, server_id in self._state.rules().items()}
        key = _key(found.body) or recorded.get(found.id)
        if key is None and name not in names:
            return None
        if key is None:
            reason = "a monitor of this name is there that this project did not make; rename or delete it"
            return Live(names[name], found.id, name, found.body, found.version, False, False, None, reason)
        applied = _marker(found.body).get("applied")
        if not isinstance(applied, dict):
            applied = self._state.applied(key, found.id)
        ours = self._state.has(key, found.id)
        return Live(key, found.id, name, found.body, found.version, True, ours, sound(applied, self))

    def _all(self) -> list["LiveMonitor"]:
        """All monitors, since no search can ask for the key that is ours; at once, as pages may shift meanwhile."""
        body: JsonObject = {"size": _MOST, "query": {"match_all": {}}, "seq_no_primary_term": True}
        try:
            answer = ask(lambda: self._send("POST", f"{_API}/_search", body=body))
        except ServerError as error:
            # The index of the monitors is made with the first one.
            if error.status == MISSING and _NO_INDEX.search(str(error)):
                return []
            raise
        try:
            hits = cast(JsonObject, answer["hits"])
            total = cast(int, cast(JsonObject, hits["total"])["value"])
            found = [_found(hit) for hit in cast("list[JsonObject]", hits["hits"])]
        except (KeyError, TypeError) as error:
            raise ServerError(200, f"{_NO_ANSWER}: it has no list of monitors") from error
        if len(found) < total:
            raise ServerError(200, f"there are {total} monitors, and OpenSearch tells of {len(found)} at once only")
        # Not every version tells the sequence number in a search; workflows are found too, and are no monitors.
        monitors = [one for one in found if "monitor_type" in one.body]
        return [one if one.version else self._monitor(one.id) or one for one in monitors]

    def _monitor(self, server_id: str) -> "LiveMonitor | None":
        answer = if_there(lambda: self._send("GET", f"{_API}/{server_id}"))
        return None if answer is None else _found(answer)

    def _send(
        self, method: str, path: str, params: Mapping[str, str] | None = None, body: JsonObject | None = None
    ) -> JsonObject:
        try:
            answer = self._client.transport.perform_request(method, path, params=dict(params or {}), body=body)
        except exceptions.ConnectionError as error:
            raise no_answer("OpenSearch", self._url, error, known=self._answered) from error
        except exceptions.TransportError as error:
            self._answered = True
            raise _error(error) from error
        except exceptions.OpenSearchException as error:
            raise ServerError(200, _NO_ANSWER) from error
        self._answered = True
        if not isinstance(answer, dict):
            raise ServerError(200, _NO_ANSWER)
        return cast(JsonObject, answer)


def check_kind(wanted: Mapping[str, JsonObject], live: Iterable[Live]) -> None:
    """Refuse one monitor for all rules beside those for single rules, and the other way round: all would tell twice.

    Raises:
        StoreError: what was installed is of the other kind.
    """
    installed = [one for one in live if one.recorded]
    if ALL_RULES in wanted:
        others = [one for one in installed if one.key != ALL_RULES]
    else:
        others = [one for one in installed if one.key == ALL_RULES]
    if others:
        raise StoreError(
            f"{len(others)} of another kind (--monitor) are installed, such as {others[0].name!r}, and would tell of "
            "the same events a second time; remove them first, or add --prune, which deletes them in the same run"
        )


class LiveMonitor(NamedTuple):
    """A monitor as the server has it."""

    id: str
    version: Json
    body: JsonObject


def monitors_by_rule(bodies: Iterable[JsonObject]) -> dict[str, JsonObject]:
    """Monitors by the ids of their rules, each with triggers that are known again."""
    return {str(_marker(body)["rule_id"]): with_trigger_ids(str(_marker(body)["rule_id"]), body) for body in bodies}


def with_trigger_ids(key: str, body: JsonObject) -> JsonObject:
    """A monitor whose triggers have the ids by which they are known again."""
    body = copy.deepcopy(body)
    triggers = _triggers(body)
    for trigger in triggers:
        name = re.sub(r"[^a-z0-9]+", "-", str(trigger["name"]).lower()).strip("-")
        trigger["id"] = f"{_TRIGGER}{key}" + (f"--{name}" if len(triggers) > 1 else "")
    return body


def _error(error: exceptions.TransportError) -> ServerError:
    status, reason = int(error.status_code), reason_of(error)
    if "no handler found" in reason or status == 405:
        return ServerError(status, "this OpenSearch has no Alerting plugin, so it knows no monitors")
    if message := refusal_message("OpenSearch", status):
        return ServerError(status, message)
    if status in (502, 503, 504) and not isinstance(error.info, dict):
        return ServerError(status, f"OpenSearch is not available now (status {status})")
    if status == 403:
        return ServerError(status, f"not allowed: {reason}; needed is the role alerting_full_access")
    return ServerError(status, f"OpenSearch answered with status {status}: {reason}")


def _found(hit: JsonObject) -> LiveMonitor:
    """A monitor out of an answer; the versions differ in whether a hit wraps it."""
    source = hit.get("_source", hit)
    body = source.get("monitor", source) if isinstance(source, dict) else None
    if not isinstance(hit.get("_id"), str) or not isinstance(body, dict):
        raise ServerError(200, f"{_NO_ANSWER}: it tells of something that is no monitor")
    number, term = hit.get("_seq_no"), hit.get("_primary_term")
    return LiveMonitor(str(hit["_id"]), None if number is None else [number, term], body)


def _marker(body: JsonObject) -> JsonObject:
    metadata = body.get("ui_metadata")
    marker = metadata.get(MARKER) if isinstance(metadata, dict) else None
    return marker if isinstance(marker, dict) else {}


def _key(body: JsonObject) -> str | None:
    """The id of the rule that a monitor of ours is for."""
    ids = [str(trigger.get("id")) for trigger in _triggers(body)]
    ours = [text.removeprefix(_TRIGGER).partition("--")[0] for text in ids if text.startswith(_TRIGGER)]
    named = _marker(body).get("rule_id")
    return named if isinstance(named, str) else ours[0] if ours else None


def _marked(body: JsonObject, applied: JsonObject) -> JsonObject:
    metadata = cast(JsonObject, body.get("ui_metadata") or {})
    return {**body, "ui_metadata": {**metadata, MARKER: {**_marker(applied), "applied": _applied(applied)}}}


def _applied(body: JsonObject) -> JsonObject:
    return {key: value for key, value in body.items() if key != "ui_metadata"}


def _lasting(action: JsonObject) -> JsonObject:
    """An action without what Alerting makes or fills in."""
    kept: JsonObject = {key: value for key, value in action.items() if key != "id" and value}
    for key in ("subject_template", "message_template"):
        if isinstance(template := kept.get(key), dict):
            kept[key] = {part: template.get(part) for part in ("lang", "source")}
    return kept


def _input(body: JsonObject) -> JsonObject:
    inputs = cast("list[JsonObject]", body.get("inputs") or [{}])
    return inputs[0]


def _triggers(body: JsonObject) -> list[JsonObject]:
    """The triggers without what wraps them; the oldest form has no wrapping."""
    listed = cast("list[JsonObject]", body.get("triggers") or [])
    return [
        inner if len(trigger) == 1 and isinstance(inner := next(iter(trigger.values())), dict) else trigger
        for trigger in listed
    ]


def _named_triggers(body: JsonObject, like: JsonObject) -> list[tuple[str, JsonObject]]:
    """The triggers with the names of those they correspond to: by id, by name, or as the only ones."""
    triggers, others = _triggers(body), _triggers(like)
    names: dict[int, str] = {}
    for key in ("id", "name"):
        for other in others:
            same = [n for n, one in enumerate(triggers) if n not in names and one.get(key) == other.get(key)]
            if same and str(other["name"]) not in names.values():
                names[same[0]] = str(other["name"])
    if len(triggers) == len(others) == 1:
        names[0] = str(others[0]["name"])
    taken = set(names.values())
    for n, trigger in enumerate(triggers):
        own = str(trigger["name"])
        names.setdefault(n, own if own not in taken else f"{own} ({trigger.get('id')})")
    return [(names[n], one) for n, one in enumerate(triggers)]


def _change_trigger(
    body: JsonObject, triggers: dict[str, JsonObject], name: str, wanted: Json, like: JsonObject
) -> None:
    listed = cast("list[JsonObject]", body.setdefault("triggers", []))
    if wanted is not None and name in triggers:
        triggers[name]["name"] = wanted
    elif wanted is not None:
        position = [str(trigger["name"]) for trigger in _triggers(like)].index(name)
        new = copy.deepcopy(cast("list[JsonObject]", like["triggers"])[position])
        listed.append(new)
        triggers[name] = _triggers({"triggers": [new]})[0]
    elif name in triggers:
        gone = triggers.pop(name)
        kept = [one for one, inner in zip(listed, _triggers(body), strict=True) if inner is not gone]
        body["triggers"] = cast(Json, kept)


def _change_query(level: JsonObject, name: str, wanted: Json) -> None:
    queries = cast("list[JsonObject]", level.setdefault("queries", []))
    names = [_query_name(query) for query in queries]
    if name in names:
        queries[names.index(name) : names.index(name) + 1] = [] if wanted is None else [cast(JsonObject, wanted)]
    elif wanted is not None:
        queries.append(cast(JsonObject, wanted))


def _query_name(query: JsonObject) -> str:
    return str(query.get("id") or query["name"])


def _query(query: JsonObject) -> JsonObject:
    """A query of a document-level monitor without what the server adds."""
    return {key: value for key, value in query.items() if key != "query_field_names" and value != []}


def _put(part: JsonObject, key: str, value: Json) -> None:
    if value is None:
        part.pop(key, None)
    else:
        part[key] = value
