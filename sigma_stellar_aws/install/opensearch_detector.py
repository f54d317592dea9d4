"""Custom rules and a detector in OpenSearch Security Analytics, over its HTTP API.

What is installed: each rule as the text that ``formats.opensearch_detector`` makes, and one detector that runs all of
them. The detector needs aliases in the mapping of its index, since the plugin renames fields that its log type knows;
without the aliases it finds nothing, and does not report it.

The plugin keeps the text of a rule as it was sent, the id of the rule and a mark of ours included, and the ids of a
detector's triggers. What was applied is known from the state file only.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import msgspec
import yaml
from opensearchpy import OpenSearch

from sigma_stellar_aws.base.json_types import Json, JsonObject, as_object, as_objects
from sigma_stellar_aws.formats.opensearch_detector import DETECTOR, DETECTOR_TRIGGER, RULE_MARK
from sigma_stellar_aws.install.apply import as_applied, sound
from sigma_stellar_aws.install.merge import Change, Fields, Path, owned
from sigma_stellar_aws.install.monitor_body import lasting
from sigma_stellar_aws.install.opensearch_api import FoundDocument, FoundDocuments, Nothing, OpenSearchApi
from sigma_stellar_aws.install.plan import Live, Step
from sigma_stellar_aws.install.server_errors import MISSING, ServerError, ask, if_there, order
from sigma_stellar_aws.install.state import State

_API = "/_plugins/_security_analytics"
_MOST = 10_000
_CHANGED = 409
_ALL: JsonObject = {"size": _MOST, "query": {"match_all": {}}, "seq_no_primary_term": True}


class _Made(msgspec.Struct):
    """The answer to a request that makes or changes something."""

    id: str = msgspec.field(name="_id")


class _Rule(msgspec.Struct):
    """A custom rule as it is stored."""

    rule: str
    title: str = ""


class _Id(msgspec.Struct):
    """A rule of a detector."""

    id: str


class _Input(msgspec.Struct):
    """What a detector searches."""

    indices: list[str]
    custom_rules: list[_Id] = msgspec.field(default_factory=list)


class _Wrapped(msgspec.Struct):
    """The only kind of input."""

    detector_input: _Input


class _Detector(msgspec.Struct):
    """A detector as it is stored."""

    name: str
    enabled: bool
    schedule: dict[str, Any]
    inputs: list[_Wrapped]
    triggers: list[dict[str, Any]]


class _Index(msgspec.Struct):
    """An index as the plugin shows it: with the aliases of its log types only."""

    mappings: dict[str, Any] = msgspec.field(default_factory=dict)


class SecurityAnalytics:
    """The custom rules and the detector of an OpenSearch.

    An artefact is either a rule, ``{"kind": "rule", "name", "enabled": true, "rule": {..}}``, or the detector,
    ``{"kind": "detector", "name", "enabled", "schedule", "indices", "rules", "aliases", "triggers"}``, whose rules are
    named by their own ids where they are ours.
    """

    theirs: Final[tuple[Path, ...]] = (("enabled",), ("triggers", "*", "actions"))
    fixed: Final[Path] = ("kind",)

    def __init__(self, client: OpenSearch, state: State) -> None:
        """Prepare to talk to OpenSearch, without doing so yet.

        Args:
            client: one that does not repeat requests by itself, since not every request can be repeated.
            state: what was applied to this OpenSearch.
        """
        self._api = OpenSearchApi(client, "Security Analytics", "security_analytics_full_access")
        self._state = state

    def fields(self, body: JsonObject, like: JsonObject) -> Fields:
        """Return the fields of an artefact that are compared."""
        parts = ("rule",) if body["kind"] == "rule" else ("rules", "aliases")
        simple = ("kind", "name", "enabled", "schedule", "indices")
        found: dict[Path, Json] = {(key,): body[key] for key in simple if key in body}
        for part in parts:
            found.update({(part, key): value for key, value in as_object(body[part]).items() if value != []})
        for name, trigger in as_object(body.get("triggers", {})).items():
            options = {key: value for key, value in as_object(trigger).items() if value != []}
            found["triggers", name] = name
            found.update({("triggers", name, key): value for key, value in options.items() if key != "id"})
            if "actions" in options:
                found["triggers", name, "actions"] = [lasting(action) for action in as_objects(options["actions"])]
        return found

    def outline(self, body: JsonObject) -> str:
        """Return what to know of an artefact before it is made."""
        if body["kind"] == "rule":
            return f"custom rule; level {as_object(body['rule']).get('level')}"
        indices = body["indices"]
        names = ", ".join(map(str, indices if isinstance(indices, list) else []))
        return f"detector of {len(as_object(body['rules']))} rules; index {names}, whose mapping gets aliases"

    def read(self, wanted: Mapping[str, JsonObject]) -> list[Live]:
        """Return the detector and the rules that take the place of the wanted ones, or are ours.

        Raises:
            ServerError: OpenSearch cannot be asked, or does not have the plugin.
        """
        rules = [live for hit in self._search("rules/_search?pre_packaged=false") if (live := self._rule(hit, wanted))]
        keys = {live.id: live.key for live in rules}
        detectors = self._search("detectors/_search")
        # The detector first, since a rule cannot be deleted while it is used.
        return [*(live for hit in detectors if (live := self._detector(hit, keys, wanted))), *rules]

    def merged(self, live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
        """Return a live artefact with changes."""
        body = copy.deepcopy(live)
        for path, _, wanted in changes:
            *parents, key = path
            if len(path) == 2 and parents == ["triggers"]:
                wanted = None if wanted is None else copy.deepcopy(as_object(like["triggers"])[key])
            part = body
            for parent in parents:
                part = as_object(part.setdefault(parent, {}))
            if wanted is None:
                part.pop(key, None)
            else:
                part[key] = wanted
        return body

    def try_out(self, body: JsonObject) -> str:
        """Return nothing: Security Analytics cannot try a rule out without storing it."""
        return ""

    def create(self, step: Step) -> str:
        """Make the rule or the detector of a step. Returns what else there is to tell.

        Raises:
            ServerError: it was not made, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.wanted is not None
        wanted = step.wanted

        def done() -> str | None:
            made = [live for live in self.read({step.key: wanted}) if live.key == step.key]
            return made[0].id if made else None

        if wanted["kind"] == "rule":
            path = f"{_API}/rules"
            params, text = {"category": "cloudtrail"}, _text(wanted)
            made = order(lambda: self._api.send(_Made, "POST", path, params, text).id, done, twice=True)
            self._state.record(step.key, made, as_applied(step, self))
            return ""
        body, remark = self._with_known_rules(wanted)
        self._map(body)
        path = f"{_API}/detectors"
        made = order(lambda: self._api.send(_Made, "POST", path, body=self._sendable(body)).id, done, twice=True)
        self._state.record(step.key, made, body)
        return remark

    def update(self, step: Step) -> str:
        """Change the rule or the detector of a step. Returns what else there is to tell.

        Raises:
            ServerError: it was not changed, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.wanted is not None
        assert step.live is not None
        live, applied = step.live, as_applied(step, self)
        self._check_unchanged(live)
        body, remark = self._with_known_rules(self.merged(live.body, step.changes, step.wanted))

        def done() -> _Made | None:
            found = self._again(live)
            expected = owned(self.fields(body, body), self.theirs)
            same = found is not None and owned(self.fields(found.body, body), self.theirs) == expected
            return _Made(live.id) if same else None

        if body["kind"] == "rule":
            # The flag is for rules that a detector uses, as ours does.
            path, params = f"{_API}/rules/{live.id}", {"category": "cloudtrail", "forced": "true"}
            order(lambda: self._api.send(_Made, "PUT", path, params, _text(body)), done)
        else:
            self._map(body)
            path = f"{_API}/detectors/{live.id}"
            order(lambda: self._api.send(_Made, "PUT", path, body=self._sendable(body)), done)
            applied, _ = self._with_known_rules(applied)
        self._state.record(step.key, live.id, applied)
        return remark

    def adopt(self, step: Step) -> str:
        """Record the rule or the detector of a step as applied.

        Raises:
            OSError: the state file cannot be written.
        """
        assert step.live is not None
        self._state.record(step.key, step.live.id, as_applied(step, self))
        return ""

    def delete(self, step: Step) -> str:
        """Delete the rule or the detector of a step. Returns what stays.

        Raises:
            ServerError: it was not deleted, or nobody knows.
            OSError: the state file cannot be written.
        """
        assert step.live is not None
        live = step.live
        self._check_unchanged(live)
        kind = "rules" if live.body["kind"] == "rule" else "detectors"

        def done() -> Nothing | None:
            return Nothing() if self._again(live) is None else None

        try:
            order(lambda: self._api.send(Nothing, "DELETE", f"{_API}/{kind}/{live.id}"), done)
        except ServerError as error:
            if "actively used by detectors" not in str(error):
                raise
            raise ServerError(error.status, "a detector uses it; delete that, or take the rule out of it") from error
        self._state.forget(step.key, live.id)
        return "the aliases in the mapping of its index stay; a mapping cannot lose a field" if kind != "rules" else ""

    def _with_known_rules(self, body: JsonObject) -> tuple[JsonObject, str]:
        """Return a detector without our rules that are not there, and what to say about them."""
        if body["kind"] == "rule":
            return body, ""
        inputs = msgspec.convert(body["rest"], _Detector).inputs if "rest" in body else []
        known = {*self._state.rules(), *(rule.id for each in inputs for rule in each.detector_input.custom_rules)}
        wanted = as_object(body["rules"])
        rules: JsonObject = {key: True for key in wanted if key in known}
        lost = len(wanted) - len(rules)
        remark = f"without {lost} of its rules, which could not be made; run it again" if lost else ""
        return {**body, "rules": rules}, remark

    def _sendable(self, body: JsonObject) -> JsonObject:
        """Return a detector as the plugin takes it."""
        rest = as_object(copy.deepcopy(body.get("rest", {})))
        known = self._state.rules()
        inputs = as_objects(rest.get("inputs") or [])
        first: JsonObject = {"description": "", "pre_packaged_rules": []}
        first |= as_object(inputs[0]["detector_input"]) if inputs else {}
        first["indices"] = body["indices"]
        first["custom_rules"] = [{"id": known.get(key, key)} for key in as_object(body["rules"])]
        triggers: list[JsonObject] = [
            {"types": ["cloudtrail"], "ids": [], "tags": [], "actions": [], "name": name, **as_object(trigger)}
            for name, trigger in as_object(body["triggers"]).items()
        ]
        return {
            **{key: value for key, value in rest.items() if key in ("threat_intel_enabled",)},
            "type": "detector",
            "detector_type": "cloudtrail",
            "name": body["name"],
            "enabled": body["enabled"],
            "schedule": body["schedule"],
            "inputs": [{"detector_input": first}],
            "triggers": [*triggers],
        }

    def _map(self, body: JsonObject) -> None:
        """Give the indices of a detector the aliases that its rules need."""
        aliases: JsonObject = {
            alias: {"type": "alias", "path": path} for alias, path in as_object(body["aliases"]).items()
        }
        indices = body["indices"]
        for index in indices if isinstance(indices, list) else []:
            request: JsonObject = {
                "index_name": index,
                "rule_topic": "cloudtrail",
                "partial": True,
                "alias_mappings": {"properties": aliases},
            }
            # It does no harm to do it twice.
            ask(partial(self._api.send, Nothing, "POST", f"{_API}/mappings", body=request))

    def _check_unchanged(self, live: Live) -> None:
        # The version of a detector changes with every change of its rules, which come first.
        found = self._again(live)
        if found is None or self.fields(found.body, live.body) != self.fields(live.body, live.body):
            raise ServerError(_CHANGED, "somebody has changed it since the plan was made; run it again")

    def _again(self, live: Live) -> Live | None:
        return next((one for one in self.read({live.key: live.body}) if one.id == live.id), None)

    def _search(self, path: str) -> list[FoundDocument]:
        try:
            found = ask(lambda: self._api.send(FoundDocuments, "POST", f"{_API}/{path}", body=_ALL)).hits
        except ServerError as error:
            # The index is made with the first rule or detector.
            if error.status == MISSING and "no handler" not in str(error):
                return []
            raise
        if len(found.hits) < found.total.value:
            reason = f"there are {found.total.value}, and OpenSearch shows {len(found.hits)} at once only"
            raise ServerError(200, reason)
        return found.hits

    def _rule(self, hit: FoundDocument, wanted: Mapping[str, JsonObject]) -> Live | None:
        stored = msgspec.convert(hit.source, _Rule)
        try:
            document = yaml.safe_load(stored.rule)
        except (yaml.YAMLError, RecursionError):
            document = None
        if not isinstance(document, dict):
            document = {}
        recorded = {server_id: key for key, server_id in self._state.rules().items()}
        key = recorded.get(hit.id) or str(document.get("id"))
        is_marked = RULE_MARK in document
        if hit.id not in recorded and not is_marked and key not in wanted:
            return None
        # Values that JSON does not have, such as dates, are compared as texts.
        rule: JsonObject = msgspec.to_builtins({k: v for k, v in document.items() if k != RULE_MARK and k != "title"})
        body: JsonObject = {"kind": "rule", "name": stored.title, "enabled": True, "rule": rule}
        return self._live(key, hit, body)

    def _detector(self, hit: FoundDocument, keys: Mapping[str, str], wanted: Mapping[str, JsonObject]) -> Live | None:
        stored = msgspec.convert(hit.source, _Detector)
        is_ours = any(trigger.get("id") == DETECTOR_TRIGGER for trigger in stored.triggers)
        if not is_ours and not self._state.has(DETECTOR, hit.id):
            return None
        source = stored.inputs[0].detector_input
        triggers: JsonObject = {}
        for trigger in stored.triggers:
            like = as_object(as_object(wanted.get(DETECTOR, {})).get("triggers", {}))
            name = next(iter(like), trigger["name"]) if trigger.get("id") == DETECTOR_TRIGGER else trigger["name"]
            compared = ("id", "severity", "sev_levels", "tags", "ids", "actions")
            triggers[name] = {part: trigger[part] for part in compared if trigger.get(part)}
        body: JsonObject = {
            "kind": "detector",
            "name": stored.name,
            "enabled": stored.enabled,
            "schedule": stored.schedule,
            "indices": [*source.indices],
            "rules": {keys.get(rule.id, rule.id): True for rule in source.custom_rules},
            "aliases": {**self._aliases(source.indices)},
            "triggers": triggers,
            "rest": hit.source,
        }
        return self._live(DETECTOR, hit, body)

    def _live(self, key: str, hit: FoundDocument, body: JsonObject) -> Live:
        recorded = self._state.has(key, hit.id)
        applied = sound(self._state.applied(key, hit.id), self)
        version: Json = [hit.seq_no, hit.primary_term]
        return Live(key, hit.id, str(body["name"]), body, version, True, recorded, applied)

    def _aliases(self, indices: Iterable[str]) -> Mapping[str, str]:
        """Return the fields that the aliases in a mapping stand for; the plugin shows those of its log types only."""
        found: dict[str, str] = {}
        for index in indices:
            mappings = if_there(
                partial(self._api.send, dict[str, _Index], "GET", f"{_API}/mappings", {"index_name": index})
            )
            for each in (mappings or {}).values():
                found.update(_flat(each.mappings.get("properties", {})))
        return found


def _flat(properties: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the aliases of a mapping, each with the field that it stands for."""
    for name, options in properties.items():
        if options.get("type") == "alias":
            yield before + name, options["path"]
        yield from _flat(options.get("properties", {}), f"{before}{name}.")


def _text(body: JsonObject) -> str:
    """Return a rule as the YAML text that the plugin takes."""
    document = {"title": body["name"], **as_object(body["rule"]), RULE_MARK: True}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
