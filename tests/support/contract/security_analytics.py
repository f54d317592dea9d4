"""OpenSearch Security Analytics: custom rules, detectors and the aliases of a mapping, as a real one treats them.

Everything here was measured on Security Analytics of the 3.8 line (built from source, without the security plugin).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import yaml

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.contract.server import (
    Answer,
    Call,
    ContractServer,
    RefusedError,
    Request,
    Route,
    as_object,
    serving,
)

_API = "/_plugins/_security_analytics"
_RULE = rf"{_API}/rules/(?P<id>[\w-]+)"
_DETECTOR = rf"{_API}/detectors/(?P<id>[\w-]+)"
_RENAMED = {
    "eventName": "aws.cloudtrail.event_name",
    "eventSource": "aws.cloudtrail.event_source",
    "errorCode": "aws.cloudtrail.error_code",
}


class SecurityAnalyticsServer(ContractServer):
    """OpenSearch with custom rules and detectors.

    Attributes:
        rules: the texts of the custom rules, by their ids.
        detectors: by id, as they are stored.
        aliases: the field that each alias stands for, by index.
    """

    def __init__(self) -> None:
        """Begin with an index without aliases, and nothing else."""
        super().__init__()
        self.rules: dict[str, str] = {}
        self.detectors: dict[str, JsonObject] = {}
        self.aliases: dict[str, dict[str, str]] = {"cloudtrail": {}}
        self._numbers: dict[str, int] = {}
        self._made = 0
        self.routes = [
            Route("POST", rf"{_API}/rules/_search", self._search_rules),
            Route("POST", rf"{_API}/rules", self._make_rule),
            Route("PUT", _RULE, self._replace_rule),
            Route("DELETE", _RULE, self._delete_rule),
            Route("POST", rf"{_API}/detectors/_search", self._search_detectors),
            Route("POST", rf"{_API}/detectors", self._make_detector),
            Route("PUT", _DETECTOR, self._replace_detector),
            Route("DELETE", _DETECTOR, self._delete_detector),
            Route("GET", rf"{_API}/mappings", self._read_mappings),
            Route("POST", rf"{_API}/mappings", self._map),
        ]

    # For tests

    def analyst_edits(self, detector_id: str, **changes: Json) -> None:
        """Change top-level keys of a detector."""
        with self.lock:
            self._save(self.detectors, detector_id, {**self.detectors[detector_id], **changes})

    def add_detector(self, body: JsonObject) -> str:
        """A detector that somebody else made; its id."""
        with self.lock:
            detector_id = self._new_id()
            self._save(self.detectors, detector_id, copy.deepcopy(body))
            return detector_id

    def analyst_writes(self, rule_id: str, text: str) -> None:
        """Change the text of a custom rule, as the editor for YAML does."""
        with self.lock:
            self._save(self.rules, rule_id, text)

    def blind(self, detector_id: str) -> set[str]:
        """Return the fields of a detector's rules that it does not see, since there is no alias for them."""
        source = _input(self.detectors[detector_id])
        used = {name for each in _ids(source) for name in _tested(self.rules[each])}
        [index] = cast("list[str]", source["indices"])
        return {_RENAMED[name] for name in used & set(_RENAMED)} - set(self.aliases[index])

    def refusal(self, status: int, message: str) -> Answer:
        """Return an error as OpenSearch words it."""
        cause: JsonObject = {"type": "status_exception", "reason": message}
        return Answer(status, {"error": {"root_cause": [cause], **cause}, "status": status})

    # Rules

    def _search_rules(self, call: Call) -> Answer:
        if call.request.query.get("pre_packaged") != "false":
            self.violated("a search of rules names pre_packaged")
        return self._found({key: _stored_rule(text) for key, text in self.rules.items()})

    def _make_rule(self, call: Call) -> Answer:
        return self._written(201, self._new_id(), call.request)

    def _replace_rule(self, call: Call) -> Answer:
        # One that is not there is made.
        self._refuse_used(call, "Update")
        return self._written(200, call.caught["id"], call.request)

    def _delete_rule(self, call: Call) -> Answer:
        self._refuse_used(call, "Deletion")
        # One that is not there is no error.
        self.rules.pop(call.caught["id"], None)
        return Answer(200, {"_id": call.caught["id"], "_version": 1})

    def _written(self, status: int, rule_id: str, request: Request) -> Answer:
        if request.query.get("category") != "cloudtrail":
            raise RefusedError(400, self.violated("the category of a rule is cloudtrail"))
        if not isinstance(request.body, str):
            raise RefusedError(500, self.violated("a rule is a YAML text"))
        document = yaml.safe_load(request.body)
        if missing := sorted({"title", "id", "status", "level", "description", "author", "detection"} - set(document)):
            raise RefusedError(500, self.violated(f"a rule has no {missing}"))
        self._save(self.rules, rule_id, request.body)
        # A change of a rule writes the detectors that use it.
        for key in self._users(rule_id):
            self._save(self.detectors, key, self.detectors[key])
        return Answer(status, {"_id": rule_id, "_version": 1, "rule": {"rule": request.body}})

    def _refuse_used(self, call: Call, what: str) -> None:
        rule_id = call.caught["id"]
        if self._users(rule_id) and call.request.query.get("forced") != "true":
            reason = f"Rule with id {rule_id} is actively used by detectors. {what} can be forced by setting forced"
            raise RefusedError(400, reason)

    def _users(self, rule_id: str) -> list[str]:
        return [key for key, detector in self.detectors.items() if rule_id in _ids(_input(detector))]

    # Detectors

    def _search_detectors(self, call: Call) -> Answer:
        return self._found(self.detectors)

    def _make_detector(self, call: Call) -> Answer:
        return self._kept(201, self._new_id(), call.request)

    def _replace_detector(self, call: Call) -> Answer:
        self._known(call)
        return self._kept(200, call.caught["id"], call.request)

    def _delete_detector(self, call: Call) -> Answer:
        self._known(call)
        del self.detectors[call.caught["id"]]
        return Answer(200, {"_id": call.caught["id"], "_version": 1})

    def _known(self, call: Call) -> None:
        if call.caught["id"] not in self.detectors:
            raise RefusedError(404, f"Detector with {call.caught['id']} is not found")

    def _kept(self, status: int, detector_id: str, request: Request) -> Answer:
        body = copy.deepcopy(as_object(request.body))
        source = _input(body)
        for index in cast("list[str]", source["indices"]):
            if "*" in index:
                raise RefusedError(400, self.violated("Index patterns are not supported in detectors"))
            if index not in self.aliases:
                raise RefusedError(404, f"Indices not found {index}")
        if not _ids(source) or set(_ids(source)) - set(self.rules):
            reason = "Detector cannot be created as no compatible rules were provided"
            raise RefusedError(400, self.violated(reason))
        for trigger in cast("list[JsonObject]", body["triggers"]):
            trigger.setdefault("id", self._new_id())
            trigger.setdefault("detection_types", ["rules"])
            for part in ("types", "ids", "sev_levels", "tags", "actions"):
                trigger.setdefault(part, [])
            for action in cast("list[JsonObject]", trigger["actions"]):
                action.setdefault("id", self._new_id())
        added: JsonObject = {"threat_intel_enabled": False, "enabled_time": None, "monitor_id": ["m"]}
        self._save(self.detectors, detector_id, {**added, **body})
        return Answer(status, {"_id": detector_id, "_version": 1, "detector": self.detectors[detector_id]})

    # Mappings

    def _read_mappings(self, call: Call) -> Answer:
        index = self._index(call.request.query["index_name"])
        properties: JsonObject = {}
        for alias, path in self.aliases[index].items():
            part = properties
            *parents, last = alias.split(".")
            for parent in parents:
                part = as_object(as_object(part.setdefault(parent, {"properties": {}}))["properties"])
            part[last] = {"type": "alias", "path": path}
        return Answer(200, {index: {"mappings": {"properties": properties}}})

    def _map(self, call: Call) -> Answer:
        body = as_object(call.request.body)
        if body.get("rule_topic") != "cloudtrail" or body.get("partial") is not True:
            raise RefusedError(400, self.violated("aliases are of the topic cloudtrail, and partial"))
        index = self._index(str(body["index_name"]))
        for alias, options in as_object(as_object(body["alias_mappings"])["properties"]).items():
            self.aliases[index][alias] = str(as_object(options)["path"])
        return Answer(200, {"acknowledged": True})

    def _index(self, name: str) -> str:
        if name not in self.aliases:
            raise RefusedError(404, f"no such index [{name}]")
        return name

    # All

    def _found(self, stored: dict[str, JsonObject]) -> Answer:
        hits: Json = [
            {"_id": key, "_seq_no": self._numbers[key], "_primary_term": 1, "_source": source}
            for key, source in stored.items()
        ]
        return Answer(200, {"hits": {"total": {"value": len(stored), "relation": "eq"}, "hits": hits}})

    def _save(self, stored: dict[str, str] | dict[str, JsonObject], key: str, value: str | JsonObject) -> None:
        self._numbers[key] = self._numbers.get(key, -1) + 1
        cast("dict[str, str | JsonObject]", stored)[key] = value

    def _new_id(self) -> str:
        self._made += 1
        return f"made-{self._made}"


def _input(detector: JsonObject) -> JsonObject:
    return as_object(as_object(cast("list[Json]", detector["inputs"])[0])["detector_input"])


def _ids(source: JsonObject) -> list[str]:
    return [str(rule["id"]) for rule in cast("list[JsonObject]", source["custom_rules"])]


def _stored_rule(text: str) -> JsonObject:
    document = yaml.safe_load(text)
    return {"category": "cloudtrail", "title": document["title"], "level": document["level"], "rule": text}


def _tested(text: str) -> set[str]:
    detection = yaml.safe_load(text)["detection"]
    return {key.partition("|")[0] for part in detection.values() if isinstance(part, dict) for key in part}


@contextmanager
def security_analytics() -> Iterator[SecurityAnalyticsServer]:
    """Run an OpenSearch with Security Analytics on loopback, open to all."""
    with serving(SecurityAnalyticsServer(), None) as server:
        yield server
