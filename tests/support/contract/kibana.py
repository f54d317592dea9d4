"""Kibana's detection rules, as its contract tells them."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
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

API_VERSION = "2023-10-31"
MAX_IMPORTED_RULES = 10_000
MAX_IMPORTED_BYTES = 10_485_760

_LINE = schema("elastic-detection-rule")
_REQUIRED = cast("list[str]", _LINE["required"])
_SPACE = r"(?:/s/(?P<space>[^/]+))?"
_RULES = rf"{_SPACE}/api/detection_engine/rules"

# What Kibana fills in where a body says nothing (trap 9 of the contract).
_DEFAULTS: JsonObject = {
    "actions": [],
    "author": [],
    "enabled": True,
    "exceptions_list": [],
    "false_positives": [],
    "from": "now-6m",
    "interval": "5m",
    "language": "kuery",
    "max_signals": 100,
    "output_index": "",
    "query": "",
    "references": [],
    "related_integrations": [],
    "required_fields": [],
    "risk_score_mapping": [],
    "setup": "",
    "severity_mapping": [],
    "tags": [],
    "threat": [],
    "to": "now",
    "version": 1,
}
# The version that first knows a key; a dot leads into an object.
_SINCE = {
    "data_view_id": (8, 3),
    "related_integrations": (8, 3),
    "required_fields": (8, 3),
    "setup": (8, 3),
    "alert_suppression": (8, 8),
    "investigation_fields": (8, 11),
    "alert_suppression.missing_fields_strategy": (8, 13),
    "response_actions": (9, 5),
}
_REVISION_SINCE = (8, 16)
_SERVER_MADE = {
    "id",
    "immutable",
    "revision",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "rule_source",
    "outcome",
    "alias_target_id",
    "alias_purpose",
}
# What 7.17 tells of the last run of a rule, in the rule itself.
_LAST_RUN: JsonObject = {
    "status": "succeeded",
    "status_date": "2026-11-24T12:00:00.000Z",
    "last_success_at": "2026-11-24T12:00:00.000Z",
    "last_success_message": "succeeded",
}
# Kibana raises the revision for a change of anything but these (elastic/kibana, fieldsToExcludeFromRevisionUpdates).
_NO_REVISION = {"enabled", "revision", "updated_at", "updated_by"}
_CUT_TEXTS = ("query", "note")
_FOUND_BY = {
    "alert.attributes.name": "name",
    "alert.attributes.params.ruleId": "rule_id",
    "alert.attributes.tags": "tags",
}
_SORTED_BY = {
    "created_at": "created_at",
    "createdAt": "created_at",
    "enabled": "enabled",
    "name": "name",
    "risk_score": "risk_score",
    "severity": "severity",
    "updated_at": "updated_at",
    "updatedAt": "updated_at",
}
_FLAGS = ("overwrite", "overwrite_exceptions", "overwrite_action_connectors", "as_new_list", "dry_run")
_REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 413: "Payload Too Large"} | {
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


class Kibana(ContractServer):
    """Kibana with detection rules in spaces.

    Attributes:
        rules: the live rules by space and rule_id, with all that Kibana adds.
        exception_lists: `list_id`s that exist; a rule that names another one is refused.
    """

    def __init__(self, version: str, spaces: Collection[str], base_path: str, credentials: list[str]) -> None:
        """Begin without rules."""
        super().__init__(credentials)
        self.rules: dict[tuple[str, str], JsonObject] = {}
        self.exception_lists: set[str] = set()
        self._number = version
        self._version = tuple(int(part) for part in version.split(".")[:2])
        self._spaces = spaces
        base = re.escape(base_path)
        self.routes = [
            Route("GET", rf"{base}{_SPACE}/api/status", self._status),
            Route("GET", rf"{base}/api/spaces/space/(?P<space>[^/]+)", self._read_space),
            Route("GET", rf"{base}{_RULES}", self._read),
            Route("GET", rf"{base}{_RULES}/_find", self._find),
            Route("POST", rf"{base}{_RULES}", self._create),
            Route("PUT", rf"{base}{_RULES}", self._replace),
            Route("PATCH", rf"{base}{_RULES}", self._patch),
            Route("DELETE", rf"{base}{_RULES}", self._delete),
            Route("POST", rf"{base}{_RULES}/_import", self._import),
            Route("POST", rf"{base}{_RULES}/_export", self._export),
            Route("POST", rf"{base}{_RULES}/_bulk_action", self._bulk_action),
            Route("POST", rf"{base}{_RULES}/preview", self._preview),
        ]

    # For tests

    def add(self, body: JsonObject, *, space: str = "default") -> JsonObject:
        """A rule that somebody made in Kibana, not over the recorded API; what is kept of it."""
        with self.lock:
            return copy.deepcopy(self._new(space, {"rule_id": str(uuid.uuid4()), **body}))

    def analyst_edits(self, rule_id: str, *, space: str = "default", **changes: Json) -> JsonObject:
        """Change keys of a live rule as its editor would; null takes a key away. The rule afterwards.

        The editor saves the look-back in seconds, whatever was changed, and what it was to show in `meta`.
        """
        with self.lock:
            live = self.rules[space, rule_id]
            edited: JsonObject = {key: value for key, value in {**live, **changes}.items() if value is not None}
            edited["from"] = _in_seconds(str(edited["from"]))
            edited["meta"] = {**cast(JsonObject, edited.get("meta", {})), "from": "25m"}
            self.exception_lists.update(_list_ids(edited))
            return copy.deepcopy(self._save(space, live, edited))

    # What every request has to keep

    def check(self, request: Request) -> None:
        """Refuse what is wrong with a request to any route.

        Raises:
            RefusedError: it is.
        """
        super().check(request)
        if request.method != "GET" and not request.headers.get("kbn-xsrf"):
            raise RefusedError(400, self.violated("Request must contain a kbn-xsrf header."))
        content_type = request.headers.get("content-type", "")
        if request.body is not None and content_type.partition(";")[0] != "application/json":
            raise RefusedError(415, self.violated(f"Unsupported Media Type: {content_type!r}"))
        wanted = request.headers.get("elastic-api-version", API_VERSION)
        if wanted != API_VERSION and self._version >= (8, 9):
            raise RefusedError(
                400, self.violated(f'No version "{wanted}" available. Available versions are: {API_VERSION}')
            )
        for flag in _FLAGS:
            if request.query.get(flag, "true") not in ("true", "false"):
                raise RefusedError(400, self.violated(f"[request query]: {flag}: expected true or false"))

    def refusal(self, status: int, message: str) -> Answer:
        """An error; those about a rule are worded by the detection engine, others by the platform."""
        if status in (404, 409):
            return Answer(status, {"message": message, "status_code": status})
        return Answer(status, {"statusCode": status, "error": _REASONS.get(status, "Error"), "message": message})

    def _space(self, call: Call) -> str:
        # Rules can be written into a space that does not exist (elastic/kibana#67164).
        return call.caught["space"] or "default"

    # Calls

    def _status(self, call: Call) -> Answer:
        self._space(call)
        version: JsonObject = {"number": self._number, "build_snapshot": False}
        return Answer(200, {"name": "kibana", "version": version, "status": {"overall": {"level": "available"}}})

    def _read_space(self, call: Call) -> Answer:
        space = call.caught["space"]
        if space not in self._spaces:
            raise RefusedError(404, f"Saved object [space/{space}] not found")
        return Answer(200, {"id": space, "name": space, "disabledFeatures": []})

    def _read(self, call: Call) -> Answer:
        return Answer(200, self._named(self._space(call), call.request.query))

    def _find(self, call: Call) -> Answer:
        query = call.request.query
        page, per_page = int(query.get("page", "1")), int(query.get("per_page", "20"))
        if page < 1 or per_page < 0 or page * per_page > 10_000:
            raise RefusedError(400, self.violated(f"no such page of at most 10000 rules: {page} of {per_page}"))
        if ("sort_field" in query) != ("sort_order" in query):
            raise RefusedError(400, self.violated("when sort_order and sort_field must exist together or not at all"))
        rules = self._found(self._space(call), query.get("filter", ""))
        if "sort_field" in query:
            if query["sort_field"] not in _SORTED_BY or query["sort_order"] not in ("asc", "desc"):
                raise RefusedError(400, self.violated(f"cannot sort by {query['sort_field']} {query['sort_order']}"))
            key = _SORTED_BY[query["sort_field"]]
            rules.sort(key=lambda rule: str(rule[key]), reverse=query["sort_order"] == "desc")
        start = (page - 1) * per_page
        data = cast(Json, rules[start : start + per_page])
        return Answer(200, {"page": page, "perPage": per_page, "total": len(rules), "data": data})

    def _create(self, call: Call) -> Answer:
        space = self._space(call)
        rule = self._accepted(call.request.body, _REQUIRED)
        if (space, str(rule["rule_id"])) in self.rules:
            raise RefusedError(409, f'rule_id: "{rule["rule_id"]}" already exists')
        self._check_lists(rule)
        return Answer(200, self._new(space, rule))

    def _replace(self, call: Call) -> Answer:
        space = self._space(call)
        live, body = self._identified(space, call.request.body)
        rule = self._accepted(body, _REQUIRED)
        self._check_lists(rule)
        return Answer(200, self._replaced(space, live, rule))

    def _patch(self, call: Call) -> Answer:
        space = self._space(call)
        live, body = self._identified(space, call.request.body)
        changes = self._accepted(body, ["rule_id"])
        self._check_lists(changes)
        return Answer(200, self._save(space, live, {**live, **self._as_kept(changes)}))

    def _delete(self, call: Call) -> Answer:
        space = self._space(call)
        rule = self._named(space, call.request.query)
        return Answer(200, self.rules.pop((space, str(rule["rule_id"]))))

    def _import(self, call: Call) -> Answer:
        space = self._space(call)
        part = call.request.parts.get("file")
        if part is None or not part.filename.endswith(".ndjson"):
            name = part.filename if part else None
            raise RefusedError(
                400, self.violated(f"an import needs a part `file` with a name in .ndjson, not {name!r}")
            )
        if len(part.text.encode()) > MAX_IMPORTED_BYTES:
            raise RefusedError(413, self.violated(f"an import has at most {MAX_IMPORTED_BYTES} bytes"))
        lines = [line for line in map(_line, part.text.splitlines()) if not _is_summary(line)]
        if len(lines) > MAX_IMPORTED_RULES:
            raise RefusedError(400, self.violated(f"Can't import more than {MAX_IMPORTED_RULES} rules"))
        errors: list[Json] = []
        for line in lines:
            rule_id = str(line.get("rule_id", "(unknown id)")) if isinstance(line, dict) else "(unknown id)"
            try:
                self._import_line(space, line, call, rule_id)
            except RefusedError as refused:
                error: JsonObject = {"status_code": refused.status, "message": str(refused)}
                errors.append({"rule_id": rule_id, "error": error})
        answer: JsonObject = {"success": not errors, "success_count": len(lines) - len(errors), "errors": errors}
        if self._version >= (8, 0):
            answer["rules_count"] = len(lines)
            for kind in ("exceptions", "action_connectors"):
                answer |= {f"{kind}_success": True, f"{kind}_success_count": 0, f"{kind}_errors": []}
            answer["action_connectors_warnings"] = []
        return Answer(200, answer)

    def _import_line(self, space: str, line: Json, call: Call, rule_id: str) -> None:
        if told := call.inner.get(rule_id):
            raise RefusedError(*cast("tuple[int, str]", told))
        rule = self._accepted(line, _REQUIRED)
        self._check_lists(rule)
        live = self.rules.get((space, rule_id))
        if live is None:
            self._new(space, rule)
        elif call.request.query.get("overwrite") == "true":
            self._replaced(space, live, rule)
        else:
            raise RefusedError(409, f'rule_id: "{rule_id}" already exists')

    def _export(self, call: Call) -> Answer:
        space = self._space(call)
        if call.request.body is None:
            wanted = self._of_space(space)
        else:
            objects = cast("list[JsonObject]", as_object(call.request.body)["objects"])
            wanted = [rule for entry in objects if (rule := self.rules.get((space, str(entry["rule_id"]))))]
        lines = [json.dumps(rule) for rule in wanted] + [json.dumps({"exported_count": len(wanted)})]
        return Answer(200, "".join(f"{line}\n" for line in lines), "application/ndjson")

    def _bulk_action(self, call: Call) -> Answer:
        space = self._space(call)
        body = as_object(call.request.body)
        action = body.get("action")
        if action not in ("enable", "disable", "delete"):
            raise RefusedError(400, self.violated(f"the contract server has no bulk action {action!r}"))
        if unknown := sorted(set(body) - {"action", "ids", "query"}):
            self.violated(f"a bulk action knows no {unknown}")
        ids = cast("list[str]", body.get("ids") or [])
        if not ids and not body.get("query"):
            self.violated(f"a bulk action without ids: {action} of every rule in the space {space}")
        rules = self._found(space, str(body.get("query") or ""))
        chosen = [rule for rule in rules if not ids or rule["id"] in ids]
        missing = sorted(set(ids) - {str(rule["id"]) for rule in rules})
        done = [copy.deepcopy(rule) for rule in chosen]
        if call.request.query.get("dry_run") != "true":
            done = [self._acted(space, rule, action) for rule in chosen]
        results: JsonObject = {"updated": [], "created": [], "deleted": [], "skipped": []}
        results["deleted" if action == "delete" else "updated"] = cast(Json, done)
        summary: JsonObject = {"failed": len(missing), "skipped": 0, "succeeded": len(chosen)}
        summary["total"] = len(missing) + len(chosen)
        errors: list[Json] = [
            {"message": "Rule not found", "status_code": 500, "rules": [{"id": rule_id}]} for rule_id in missing
        ]
        attributes: JsonObject = {"results": results, "summary": summary, "errors": errors}
        if missing:
            return Answer(500, {"message": "Bulk edit failed", "status_code": 500, "attributes": attributes})
        return Answer(200, {"success": True, "rules_count": len(chosen), "attributes": attributes})

    def _acted(self, space: str, rule: JsonObject, action: str) -> JsonObject:
        if action == "delete":
            return self.rules.pop((space, str(rule["rule_id"])))
        return self._save(space, rule, {**rule, "enabled": action == "enable"})

    def _preview(self, call: Call) -> Answer:
        self._space(call)
        if self._version < (8, 0):
            raise RefusedError(404, "Not Found")
        body = dict(as_object(call.request.body))
        count, end = body.pop("invocationCount", None), body.pop("timeframeEnd", None)
        if not isinstance(count, int) or count < 1 or not _is_time(end):
            message = f"[request body]: invocationCount {count!r} is no number from 1, or timeframeEnd {end!r} no time"
            raise RefusedError(400, self.violated(message))
        self._accepted(body, [key for key in _REQUIRED if key != "rule_id"])
        errors = [str(call.inner["logs"])] if "logs" in call.inner else []
        log: JsonObject = {"errors": cast(Json, errors), "warnings": [], "startedAt": end, "duration": 12}
        return Answer(200, {"previewId": str(uuid.uuid4()), "logs": [log], "isAborted": "aborted" in call.inner})

    # Rules

    def _of_space(self, space: str) -> list[JsonObject]:
        return [rule for (of, _), rule in self.rules.items() if of == space]

    def _found(self, space: str, kql: str) -> list[JsonObject]:
        """The rules that a filter finds: `field: "value"`, several joined by either `and` or `or`."""
        rules = self._of_space(space)
        if not kql:
            return rules
        clauses = re.findall(r'([\w.]+)\s*:\s*"((?:[^"\\]|\\.)*)"', kql)
        joints = set(re.findall(r"\b(and|or)\b", re.sub(r'"(?:[^"\\]|\\.)*"', "", kql).lower()))
        if not clauses or len(joints) > 1 or any(field not in _FOUND_BY for field, _ in clauses):
            raise RefusedError(400, self.violated(f"the contract server does not understand the filter {kql}"))
        joined = any if "or" in joints else all
        return [
            rule
            for rule in rules
            if joined(_has(rule, _FOUND_BY[field], re.sub(r"\\(.)", r"\1", text)) for field, text in clauses)
        ]

    def _named(self, space: str, by: dict[str, str]) -> JsonObject:
        """The rule that `rule_id`, or else Kibana's own `id`, names."""
        key = "rule_id" if "rule_id" in by else "id"
        if key not in by:
            raise RefusedError(400, self.violated("either id or rule_id must be set"))
        for rule in self._of_space(space):
            if rule[key] == by[key]:
                return rule
        raise RefusedError(404, f'{key}: "{by[key]}" not found')

    def _identified(self, space: str, body: Json) -> tuple[JsonObject, JsonObject]:
        """The live rule that the body of a write names, and the body with its rule_id in place of an id."""
        given = as_object(body)
        names = {key: value for key in ("id", "rule_id") if isinstance(value := given.get(key), str)}
        live = self._named(space, names)
        return live, {"rule_id": live["rule_id"], **{key: value for key, value in given.items() if key != "id"}}

    def _accepted(self, body: Json, required: Collection[str]) -> JsonObject:
        """What Kibana takes of a body: keys that it does not know are dropped, or refused by 7.17."""
        given = copy.deepcopy(as_object(body))
        known = cast(JsonObject, _LINE["properties"])
        if made := sorted(set(given) & (_SERVER_MADE | set(_LAST_RUN))):
            self.violated(f"keys that Kibana makes itself: {made}")
        newer = [key for key, since in _SINCE.items() if self._version < since and _holds(given, key)]
        unknown = sorted(set(given) - set(known)) + newer
        if unknown:
            told = self.violated(f"invalid keys {json.dumps(','.join(unknown))} for {self._number}")
            if self._version < (8, 0):
                raise RefusedError(400, told)
        for key in (*unknown, *made):
            _take_out(given, key)
        if wrong := faults(given, {**_LINE, "required": list(required)}):
            raise RefusedError(400, self.violated(f"[request body]: {'; '.join(wrong)}"))
        return given

    def _check_lists(self, rule: JsonObject) -> None:
        if missing := sorted(_list_ids(rule) - self.exception_lists):
            raise RefusedError(
                400, f'rule_id: "{rule["rule_id"]}" references exception lists that do not exist: {missing}'
            )

    def _as_kept(self, rule: JsonObject) -> JsonObject:
        """Keys of a rule as Kibana keeps them."""
        kept = copy.deepcopy(rule)
        for key in _CUT_TEXTS:
            if isinstance(text := kept.get(key), str):
                kept[key] = text.rstrip("\n")
        for field in cast("list[JsonObject]", kept.get("required_fields", [])):
            field["ecs"] = not str(field["name"]).startswith("aws.")
        for action in cast("list[JsonObject]", kept.get("actions", [])):
            action.setdefault("uuid", str(uuid.uuid4()))
        return kept

    def _with_defaults(self, rule: JsonObject) -> JsonObject:
        defaults = {key: value for key, value in _DEFAULTS.items() if self._version >= _SINCE.get(key, (0, 0))}
        return copy.deepcopy({**defaults, **self._as_kept(rule)})

    def _new(self, space: str, rule: JsonObject) -> JsonObject:
        now = _now()
        made: JsonObject = {"id": str(uuid.uuid4()), "immutable": False, "created_at": now, "created_by": "somebody"}
        made |= {"updated_at": now, "updated_by": "somebody"}
        if self._version >= _REVISION_SINCE:
            made |= {"revision": 0, "rule_source": {"type": "internal"}}
        if self._version < (8, 0):
            made |= _LAST_RUN
        kept = {**self._with_defaults(rule), **made}
        self.rules[space, str(rule["rule_id"])] = kept
        return kept

    def _replaced(self, space: str, live: JsonObject, rule: JsonObject) -> JsonObject:
        made = {key: live[key] for key in (*_SERVER_MADE, *_LAST_RUN) if key in live}
        return self._save(space, live, {**self._with_defaults(rule), **made})

    def _save(self, space: str, live: JsonObject, rule: JsonObject) -> JsonObject:
        changed = {key for key in {*live, *rule} if live.get(key) != rule.get(key)} - _NO_REVISION
        saved: JsonObject = {**rule, "updated_at": _now()}
        counter = "revision" if "revision" in live else "version"
        if changed and counter not in changed:
            saved[counter] = cast(int, live[counter]) + 1
        self.rules[space, str(live["rule_id"])] = saved
        return saved


def _in_seconds(since: str) -> str:
    found = re.fullmatch(r"now-(\d+)([smhd])", since)
    return f"now-{int(found[1]) * {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[found[2]]}s" if found else since


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_time(text: Json) -> bool:
    try:
        return isinstance(text, str) and bool(datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError:
        return False


def _line(text: str) -> Json:
    """A line of an import; a text where it is no JSON."""
    try:
        return cast(Json, json.loads(text))
    except ValueError:
        return text


def _is_summary(line: Json) -> bool:
    return line == "" or (isinstance(line, dict) and "exported_count" in line)


def _list_ids(rule: JsonObject) -> set[str]:
    return {str(entry["list_id"]) for entry in cast("list[JsonObject]", rule.get("exceptions_list", []))}


def _has(rule: JsonObject, key: str, value: str) -> bool:
    held = rule[key]
    return value in held if isinstance(held, list) else held == value


def _holds(body: JsonObject, path: str) -> bool:
    key, _, rest = path.partition(".")
    inner = body.get(key)
    return key in body and (not rest or (isinstance(inner, dict) and _holds(inner, rest)))


def _take_out(body: JsonObject, path: str) -> None:
    """Take the key at a path out, if it is still there."""
    key, _, rest = path.partition(".")
    inner = body.get(key)
    if rest and isinstance(inner, dict):
        _take_out(inner, rest)
    elif not rest:
        body.pop(key, None)


@contextmanager
def kibana(
    *,
    api_key: str = "",
    user: str = "",
    password: str = "",
    version: str = "8.19.0",
    spaces: tuple[str, ...] = ("default", "soc"),
    base_path: str = "",
    certificate: Path | None = None,
) -> Iterator[Kibana]:
    """Run a Kibana on loopback; it is open to all unless an API key or a user is given.

    `certificate` (PEM with its key) makes it speak TLS.
    """
    credentials = [f"ApiKey {api_key}"] * bool(api_key) + [basic(user, password)] * bool(user)
    with serving(Kibana(version, spaces, base_path, credentials), certificate, base_path) as server:
        yield server
