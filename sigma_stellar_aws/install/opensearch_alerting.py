"""Monitors in OpenSearch Alerting, over its HTTP API.

What was applied is kept in the monitor's ``ui_metadata``, and in the state file, since the monitor editor of Dashboards
writes the former anew. It also says which monitors are ours; where it does not, the ids of triggers do.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.formats.document_monitor import is_for_all_rules
from sigma_stellar_aws.install import monitor_body
from sigma_stellar_aws.install.apply import as_applied, sound
from sigma_stellar_aws.install.merge import Change, Fields, Path, owned
from sigma_stellar_aws.install.opensearch_api import (
    TOO_MANY_SCRIPTS,
    FoundDocuments,
    Nothing,
    OpenSearchApi,
    too_many_scripts,
)
from sigma_stellar_aws.install.plan import Live, Step, field_name
from sigma_stellar_aws.install.server_errors import MISSING, ServerError, ask, if_there, order
from sigma_stellar_aws.install.state import State

_API = "/_plugins/_alerting/monitors"
_MOST = 10_000
_NO_INDEX = ("index_not_found", "Configured indices are not found")
_NO_AGGREGATIONS = '"aggs" is null'
_CHANGED = 409
_TOO_MANY = 429


class LiveMonitor(NamedTuple):
    """A monitor as the server has it."""

    id: str
    version: tuple[int, int] | None
    """Sequence number and primary term; None where a search does not include them."""
    body: JsonObject


class _Gone(msgspec.Struct):
    id: str = msgspec.field(name="_id", default="")


class _Stored(msgspec.Struct):
    """A monitor in the answer to a request for it."""

    id: str = msgspec.field(name="_id")
    seq_no: int = msgspec.field(name="_seq_no")
    primary_term: int = msgspec.field(name="_primary_term")
    monitor: dict[str, Any]


class _Failed(msgspec.Struct):
    """A part of a run."""

    error: str | None = None


class _Run(msgspec.Struct):
    """What came of a run."""

    error: str | None = None
    input_results: _Failed = msgspec.field(default_factory=_Failed)
    trigger_results: dict[str, _Failed] = msgspec.field(default_factory=dict)


class OpenSearchAlerting:
    """The monitors of an OpenSearch."""

    theirs: Final[tuple[Path, ...]] = (("enabled",), ("triggers", "*", "actions"))
    fixed: Final[Path] = ("monitor_type",)

    def __init__(self, client: OpenSearch, state: State) -> None:
        """Prepare to talk to OpenSearch, without doing so yet.

        Args:
            client: one that does not repeat requests by itself, since not every request can be repeated.
            state: what was applied to this OpenSearch.
        """
        self._api = OpenSearchApi(client, "Alerting", "alerting_full_access")
        self._state = state

    def fields(self, body: JsonObject, like: JsonObject) -> Fields:
        """Return the fields of a monitor that are compared; ``like`` gives its triggers their names."""
        return monitor_body.monitor_fields(body, like)

    def outline(self, body: JsonObject) -> str:
        """Return where a monitor looks, and the severities of its triggers."""
        return monitor_body.outline(body)

    def merged(self, live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
        """Return a live monitor with changes, as it can be sent."""
        return monitor_body.merged(live, changes, like)

    def read(self, wanted: Mapping[str, JsonObject]) -> list[Live]:
        """Return the monitors that take the place of the wanted ones, and all others that this project made.

        Raises:
            ServerError: OpenSearch cannot be asked, or has no Alerting plugin.
        """
        names = {str(body["name"]): key for key, body in wanted.items()}
        return [live for found in self._all() if (live := self._live(found, names)) is not None]

    def try_out(self, body: JsonObject) -> str:
        """Run a monitor without storing or sending anything. Returns why it failed; empty if it did not.

        Raises:
            ServerError: OpenSearch does not take it, or cannot try it out now.
        """
        run = ask(lambda: self._api.send(_Run, "POST", f"{_API}/_execute", {"dryrun": "true"}, body))
        errors = [run.error, run.input_results.error, *(trigger.error for trigger in run.trigger_results.values())]
        reasons = list(dict.fromkeys(error for error in errors if error))
        if any(map(too_many_scripts, reasons)):
            raise ServerError(_TOO_MANY, TOO_MANY_SCRIPTS)
        if any(_NO_AGGREGATIONS in reason for reason in reasons):
            return "there is no index of this name yet, without which a bucket-level monitor fails at every run"
        return "; ".join(reasons)

    def create(self, step: Step) -> str:
        """Make the monitor of a step. Returns what OpenSearch did not keep of it.

        Raises:
            ServerError: it was not made, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.wanted is not None
        body = monitor_body.marked(step.wanted, as_applied(step, self))

        def done() -> LiveMonitor | None:
            made = [one for one in self._all() if monitor_body.rule_id(one.body) == step.key]
            return made[0] if made else None

        def write() -> LiveMonitor:
            made = _live_monitor(self._api.send(_Stored, "POST", _API, body=body))
            if monitor_body.rule_id(made.body) not in (None, step.key):
                raise self._api.not_understood("it is about another monitor")
            return made

        found = order(write, done, twice=True)
        return self._recorded(step, step.wanted, found, self.fields(step.wanted, step.wanted))

    def update(self, step: Step) -> str:
        """Change the monitor of a step. Returns what OpenSearch did not keep of it.

        Raises:
            ServerError: it was not changed, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.wanted is not None
        assert step.live is not None
        live, [number, term] = step.live, self._version(step.live)
        body = monitor_body.marked(self.merged(live.body, step.changes, step.wanted), as_applied(step, self))
        expected = self.fields(body, step.wanted)
        guard = {"if_seq_no": str(number), "if_primary_term": str(term)}

        def done() -> LiveMonitor | None:
            found = self._monitor(live.id)
            unchanged = found is not None and found.version == (number, term)
            if found is None or not (unchanged or monitor_body.marker(found.body) == monitor_body.marker(body)):
                raise ServerError(_CHANGED, "somebody else changes it at the same time")
            return None if unchanged else found

        found = order(lambda: _live_monitor(self._api.send(_Stored, "PUT", f"{_API}/{live.id}", guard, body)), done)
        return self._recorded(step, step.wanted, found, expected)

    def adopt(self, step: Step) -> str:
        """Record the monitor of a step as applied, in the monitor too if that does not say so yet.

        Raises:
            ServerError: it was not changed, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.live is not None
        applied = as_applied(step, self)
        if monitor_body.marker(step.live.body).get("applied") != monitor_body.without_metadata(applied):
            return self.update(step)
        self._state.record(step.key, step.live.id, applied)
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
        if found is None or found.version != self._version(live):
            raise ServerError(_CHANGED, "somebody has changed it since the plan was made; run it again")

        def done() -> Nothing | None:
            return Nothing() if self._monitor(live.id) is None else None

        def write() -> Nothing:
            if self._api.send(_Gone, "DELETE", f"{_API}/{live.id}").id not in ("", live.id):
                raise self._api.not_understood("it is about another monitor")
            return Nothing()

        order(write, done)
        self._state.forget(step.key, live.id)
        return ""

    def _recorded(self, step: Step, wanted: JsonObject, found: LiveMonitor, expected: Fields) -> str:
        self._state.record(step.key, found.id, as_applied(step, self))
        kept = self.fields(found.body, wanted)
        lost = [field_name(path) for path, value in owned(expected, self.theirs).items() if kept.get(path) != value]
        return f"OpenSearch did not keep: {', '.join(lost)}" if lost else ""

    def _live(self, found: LiveMonitor, names: Mapping[str, str]) -> Live | None:
        name = str(found.body.get("name"))
        version: Json = None if found.version is None else [*found.version]
        recorded = {server_id: key for key, server_id in self._state.rules().items()}
        key = monitor_body.rule_id(found.body) or recorded.get(found.id)
        if key is None and name not in names:
            return None
        if key is None:
            reason = "a monitor of this name is there that this project did not make; rename or delete it"
            return Live(names[name], found.id, name, found.body, version, False, False, None, reason)
        applied = monitor_body.marker(found.body).get("applied")
        if not isinstance(applied, dict):
            applied = self._state.applied(key, found.id)
        ours = self._state.has(key, found.id)
        return Live(key, found.id, name, found.body, version, True, ours, sound(applied, self))

    def _version(self, live: Live) -> tuple[int, int]:
        number, term = msgspec.convert(live.version, tuple[int, int])
        return number, term

    def _all(self) -> list[LiveMonitor]:
        """Return all monitors, as no search can ask for our key; at once, as pages may shift meanwhile."""
        body: JsonObject = {"size": _MOST, "query": {"match_all": {}}, "seq_no_primary_term": True}
        try:
            found = ask(lambda: self._api.send(FoundDocuments, "POST", f"{_API}/_search", body=body)).hits
        except ServerError as error:
            # The index of the monitors is made with the first one.
            if error.status == MISSING and any(text in str(error) for text in _NO_INDEX):
                return []
            raise
        if len(found.hits) < found.total.value:
            raise ServerError(
                200, f"there are {found.total.value} monitors, and OpenSearch shows {len(found.hits)} at once only"
            )
        # The versions differ in whether a hit wraps the monitor, and in whether it has the sequence number.
        monitors = [
            LiveMonitor(
                hit.id,
                None if hit.seq_no is None or hit.primary_term is None else (hit.seq_no, hit.primary_term),
                hit.source.get("monitor", hit.source),
            )
            for hit in found.hits
        ]
        # Workflows are found too.
        monitors = [one for one in monitors if isinstance(one.body, dict) and "monitor_type" in one.body]
        return [one if one.version else self._monitor(one.id) or one for one in monitors]

    def _monitor(self, server_id: str) -> LiveMonitor | None:
        found = if_there(lambda: self._api.send(_Stored, "GET", f"{_API}/{server_id}"))
        return None if found is None else _live_monitor(found)


def check_kind(wanted: Mapping[str, JsonObject], live: Iterable[Live]) -> None:
    """Refuse monitors for all rules beside those for single rules, and the other way round: both would alert.

    Raises:
        StoreError: what was installed is of the other kind.
    """
    installed = [one for one in live if one.recorded]
    for_all_rules = any(map(is_for_all_rules, wanted))
    others = [one for one in installed if is_for_all_rules(one.key) != for_all_rules]
    if others:
        raise StoreError(
            f"{len(others)} of another kind (--monitor) are installed, such as {others[0].name!r}, and would alert for "
            "the same events a second time; remove them first, or add --prune, which deletes them in the same run"
        )


def _live_monitor(found: _Stored) -> LiveMonitor:
    return LiveMonitor(found.id, (found.seq_no, found.primary_term), found.monitor)
