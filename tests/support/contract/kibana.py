"""Kibana's detection rules, as its contract tells them; what the versions know is in ``kibana_facts``."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.contract import kibana_facts as facts
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
    serving,
)


class Kibana(ContractServer):
    """Kibana with detection rules in spaces.

    Attributes:
        rules: the live rules by space and rule_id, with all that Kibana adds.
        exception_lists: `list_id`s that exist; a rule that names another one is refused.
        may_preview: whether the user may read the indices of previews (fact 1).
        previews: how many previews run already, of others.
        keys: the API keys that became the own keys of rules, by space and rule_id (fact 5).
    """

    def __init__(self, version: str, spaces: Collection[str], base_path: str, credentials: list[str]) -> None:
        """Begin without rules."""
        super().__init__(credentials)
        self.rules: dict[tuple[str, str], JsonObject] = {}
        self.exception_lists: set[str] = set()
        self.may_preview = True
        self.previews = 0
        self.keys: dict[tuple[str, str], str] = {}
        self._ran: set[str] = set()
        self._number = version
        self._version = tuple(int(part) for part in version.split(".")[:2])
        self._spaces = spaces
        base = re.escape(base_path)
        self.routes = [
            Route("GET", rf"{base}{facts.SPACE}/api/status", self._status),
            Route("GET", rf"{base}/api/spaces/space/(?P<space>[^/]+)", self._read_space),
            Route("GET", rf"{base}{facts.RULES}", self._read),
            Route("GET", rf"{base}{facts.RULES}/_find", self._find),
            Route("POST", rf"{base}{facts.RULES}", self._create),
            Route("PUT", rf"{base}{facts.RULES}", self._replace),
            Route("PATCH", rf"{base}{facts.RULES}", self._patch),
            Route("DELETE", rf"{base}{facts.RULES}", self._delete),
            Route("POST", rf"{base}{facts.RULES}/_import", self._import),
            Route("POST", rf"{base}{facts.RULES}/_export", self._export),
            Route("POST", rf"{base}{facts.RULES}/_bulk_action", self._bulk_action),
            Route("POST", rf"{base}{facts.RULES}/preview", self._preview),
        ]

    # For tests

    def add(self, body: JsonObject, *, space: str = "default") -> JsonObject:
        """A rule that somebody made in Kibana, not over the recorded API; what is kept of it."""
        with self.lock:
            return copy.deepcopy(self._new(space, {"rule_id": str(uuid.uuid4()), **body}))

    def analyst_edits(self, rule_id: str, *, space: str = "default", **changes: Json) -> JsonObject:
        """Change keys of a live rule as its editor would; null takes a key away. The rule afterwards.

        The editor saves the look-back in seconds, whatever was changed; up to 8.19 what it was to show in `meta`; and
        by fact 6 it writes filters anew, and `timestamp_override_fallback_disabled`.
        """
        with self.lock:
            live = self.rules[space, rule_id]
            edited: JsonObject = {key: value for key, value in {**live, **changes}.items() if value is not None}
            edited["from"] = facts.in_seconds(str(edited["from"]))
            if self._version < (9, 0):
                edited["meta"] = {**cast(JsonObject, edited.get("meta", {})), "from": "25m"}
            if "filters" in edited:
                edited["filters"] = [facts.as_edited(one) for one in cast("list[JsonObject]", edited["filters"])]
            edited["timestamp_override_fallback_disabled"] = False
            self.exception_lists.update(facts.list_ids(edited))
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
        wanted = request.headers.get("elastic-api-version", facts.API_VERSION)
        if wanted != facts.API_VERSION and self._version >= (8, 9):
            raise RefusedError(
                400, self.violated(f'No version "{wanted}" available. Available versions are: {facts.API_VERSION}')
            )
        for flag in facts.FLAGS:
            if request.query.get(flag, "true") not in ("true", "false"):
                raise RefusedError(400, self.violated(f"[request query]: {flag}: expected true or false"))

    def refusal(self, status: int, message: str) -> Answer:
        """An error; those about a rule are worded by the detection engine, others by the platform."""
        if status in (404, 409):
            return Answer(status, {"message": message, "status_code": status})
        return Answer(status, {"statusCode": status, "error": facts.REASONS.get(status, "Error"), "message": message})

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
            if query["sort_field"] not in facts.SORTED_BY or query["sort_order"] not in ("asc", "desc"):
                raise RefusedError(400, self.violated(f"cannot sort by {query['sort_field']} {query['sort_order']}"))
            key = facts.SORTED_BY[query["sort_field"]]
            rules.sort(key=lambda rule: str(rule[key]), reverse=query["sort_order"] == "desc")
        start = (page - 1) * per_page
        data = cast(Json, rules[start : start + per_page])
        return Answer(200, {"page": page, "perPage": per_page, "total": len(rules), "data": data})

    def _create(self, call: Call) -> Answer:
        space = self._space(call)
        rule = self._accepted(call.request.body, facts.REQUIRED)
        if (space, str(rule["rule_id"])) in self.rules:
            raise RefusedError(409, f'rule_id: "{rule["rule_id"]}" already exists')
        self._check_lists(rule)
        self._take_key(call, space, None, rule)
        return Answer(200, self._new(space, rule))

    def _replace(self, call: Call) -> Answer:
        space = self._space(call)
        live, body = self._identified(space, call.request.body)
        rule = self._accepted(body, facts.REQUIRED)
        self._check_lists(rule)
        self._take_key(call, space, live, rule)
        return Answer(200, self._replaced(space, live, rule))

    def _patch(self, call: Call) -> Answer:
        space = self._space(call)
        live, body = self._identified(space, call.request.body)
        changes = self._accepted(body, ["rule_id"], str(live["type"]))
        self._check_lists(changes)
        if self._version in facts.FORGETS_MAX_SIGNALS:
            changes = {"max_signals": facts.DEFAULTS["max_signals"], **changes}
        self._take_key(call, space, live, {**live, **changes})
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
        if len(part.text.encode()) > facts.MAX_IMPORTED_BYTES:
            raise RefusedError(413, self.violated(f"an import has at most {facts.MAX_IMPORTED_BYTES} bytes"))
        lines = [line for line in map(facts.line, part.text.splitlines()) if not facts.is_summary(line)]
        if len(lines) > facts.MAX_IMPORTED_RULES:
            raise RefusedError(400, self.violated(f"Can't import more than {facts.MAX_IMPORTED_RULES} rules"))
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
        rule = self._accepted(line, facts.REQUIRED)
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
        if action not in ("enable", "disable", "delete", "edit"):
            raise RefusedError(400, self.violated(f"the contract server has no bulk action {action!r}"))
        if unknown := sorted(set(body) - {"action", "ids", "query", "edit"}):
            self.violated(f"a bulk action knows no {unknown}")
        ids = cast("list[str]", body.get("ids") or [])
        if not ids and not body.get("query"):
            self.violated(f"a bulk action without ids: {action} of every rule in the space {space}")
        rules = self._found(space, str(body.get("query") or ""))
        chosen = [rule for rule in rules if not ids or rule["id"] in ids]
        missing = sorted(set(ids) - {str(rule["id"]) for rule in rules})
        done = [copy.deepcopy(rule) for rule in chosen]
        if call.request.query.get("dry_run") != "true":
            edits = cast("list[JsonObject]", body.get("edit") or [])
            done = [self._acted(space, rule, str(action), edits) for rule in chosen]
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

    def _acted(self, space: str, rule: JsonObject, action: str, edits: list[JsonObject]) -> JsonObject:
        if action == "delete":
            return self.rules.pop((space, str(rule["rule_id"])))
        if action == "edit":
            edited = copy.deepcopy(rule)
            for edit in edits:
                facts.bulk_edit(edited, edit)
            # Fact 3: whatever it changes.
            edited["version"] = cast(int, rule["version"]) + 1
            return self._save(space, rule, edited)
        return self._save(space, rule, {**rule, "enabled": action == "enable"})

    def _preview(self, call: Call) -> Answer:
        """Fact 1."""
        space = self._space(call)
        if self._version < (8, 0):
            raise RefusedError(404, "Not Found")
        body = dict(as_object(call.request.body))
        if acting := sorted({"actions", "response_actions"} & set(body)):
            self.violated(f"a preview carries out response actions: {acting}")
        if self.previews >= facts.PREVIEWS_AT_ONCE:
            raise RefusedError(429, "There are too many rule previews already running")
        count = body.pop("invocationCount", None)
        free = self._version >= facts.FREE_PREVIEW_SINCE
        end = body.pop("timeframeEnd", None) if free else facts.now()
        if not isinstance(count, int) or count < 1 or not facts.is_time(end):
            message = f"[request body]: invocationCount {count!r} is not from 1 on, or timeframeEnd {end!r} no time"
            raise RefusedError(400, self.violated(message))
        self._accepted(body, [key for key in facts.REQUIRED if key != "rule_id"])
        errors = [str(call.inner["logs"])] if "logs" in call.inner else []
        if not free and count not in facts.FIXED_PREVIEWS:
            errors.append(self.violated("Invalid invocation count"))
        if not self.may_preview:
            errors.append(facts.NO_PREVIEW_RIGHTS.format(space=space))
        answer: JsonObject = {"previewId": str(uuid.uuid4()), "isAborted": "aborted" in call.inner}
        if self._version < (8, 2):
            return Answer(200, {**answer, "errors": cast(Json, errors)})
        log: JsonObject = {"errors": cast(Json, errors), "warnings": [], "startedAt": end, "duration": 12}
        return Answer(200, {**answer, "logs": [log]})

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
        if not clauses or len(joints) > 1 or any(field not in facts.FOUND_BY for field, _ in clauses):
            raise RefusedError(400, self.violated(f"the contract server does not understand the filter {kql}"))
        joined = any if "or" in joints else all
        return [
            rule
            for rule in rules
            if joined(facts.has(rule, facts.FOUND_BY[field], re.sub(r"\\(.)", r"\1", text)) for field, text in clauses)
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

    def _take_key(self, call: Call, space: str, live: JsonObject | None, rule: JsonObject) -> None:
        """Make the key of a request the own key of a rule that runs (fact 5)."""
        key = call.request.headers.get("authorization", "")
        if not key.startswith("ApiKey "):
            return
        runs = bool(rule.get("enabled", True))
        if self._version < facts.TAKES_API_KEYS_SINCE:
            if runs or (live is not None and str(live["id"]) in self._ran):
                raise RefusedError(400, 'Unsupported scheme "ApiKey" for granting API Key')
        elif runs or (live is not None and (space, str(rule["rule_id"])) in self.keys):
            self.keys[space, str(rule["rule_id"])] = key

    def _accepted(self, body: Json, required: Collection[str], kind: str = "") -> JsonObject:
        """What Kibana takes of a body: unknown keys are refused or dropped (fact 7), deep bodies refused.

        A PATCH is read as the type of the rule that is there (read in Kibana's sources: patchTypeSpecificParams).
        """
        given = copy.deepcopy(as_object(body))
        kind = kind or str(given.get("type"))
        line = facts.line_of(kind if kind in facts.SUPPRESSED_SINCE else "query", required)
        known = cast(JsonObject, line["properties"])
        if made := sorted(set(given) & (facts.SERVER_MADE | set(facts.LAST_RUN))):
            self.violated(f"keys that Kibana makes itself: {made}")
        newer = [key for key, since in facts.SINCE.items() if self._version < since and facts.holds(given, key)]
        if self._version < facts.SUPPRESSED_SINCE.get(kind, (0, 0)) and "alert_suppression" in given:
            newer = [*(key for key in newer if not key.startswith("alert_suppression")), "alert_suppression"]
        unknown = sorted(set(given) - set(known)) + newer
        if unknown:
            told = self.violated(f"invalid keys {json.dumps(','.join(unknown))} for {self._number}")
            if self._version < facts.DROPS_UNKNOWN_SINCE:
                raise RefusedError(400, told)
        for key in (*unknown, *made):
            facts.take_out(given, key)
        if wrong := faults(given, line):
            raise RefusedError(400, self.violated(f"[request body]: {'; '.join(wrong)}"))
        if facts.depth(given) > facts.MOST_NAMES:
            raise RefusedError(400, self.violated("the depth of the flattened field alert.params is over 20"))
        return given

    def _check_lists(self, rule: JsonObject) -> None:
        if missing := sorted(facts.list_ids(rule) - self.exception_lists):
            raise RefusedError(
                400, f'rule_id: "{rule["rule_id"]}" references exception lists that do not exist: {missing}'
            )

    def _as_kept(self, rule: JsonObject) -> JsonObject:
        """Keys of a rule as Kibana keeps them."""
        kept = copy.deepcopy(rule)
        for key in facts.CUT_TEXTS:
            if isinstance(text := kept.get(key), str):
                kept[key] = text.rstrip("\n")
        threshold = kept.get("threshold")
        if isinstance(threshold, dict) and isinstance(field := threshold["field"], str):
            # Read in Kibana's sources: normalizeThresholdObject.
            threshold["field"] = [field] if field else []
        for field in cast("list[JsonObject]", kept.get("required_fields", [])):
            field["ecs"] = not str(field["name"]).startswith("aws.")
        for action in cast("list[JsonObject]", kept.get("actions", [])):
            action.setdefault("uuid", str(uuid.uuid4()))
        return kept

    def _with_defaults(self, space: str, rule: JsonObject) -> JsonObject:
        since = {**facts.SINCE, **facts.ANSWERED_SINCE}
        defaults = {key: value for key, value in facts.DEFAULTS.items() if self._version >= since.get(key, (0, 0))}
        if self._version < (8, 0):
            # Fact 4.
            defaults["output_index"] = f".siem-signals-{space}"
        return copy.deepcopy({**defaults, **self._as_kept(rule)})

    def _new(self, space: str, rule: JsonObject) -> JsonObject:
        now = facts.now()
        made: JsonObject = {"id": str(uuid.uuid4()), "immutable": False, "created_at": now, "created_by": "somebody"}
        made |= {"updated_at": now, "updated_by": "somebody"}
        if self._version >= facts.REVISION_SINCE:
            made |= {"revision": 0, "rule_source": {"type": "internal"}}
        if self._version < (8, 0):
            made |= facts.LAST_RUN
        kept = {**self._with_defaults(space, rule), **made}
        self.rules[space, str(rule["rule_id"])] = kept
        if kept["enabled"]:
            self._ran.add(str(kept["id"]))
        return kept

    def _replaced(self, space: str, live: JsonObject, rule: JsonObject) -> JsonObject:
        made = {key: live[key] for key in (*facts.SERVER_MADE, *facts.LAST_RUN) if key in live}
        return self._save(space, live, {**self._with_defaults(space, rule), **made})

    def _save(self, space: str, live: JsonObject, rule: JsonObject) -> JsonObject:
        changed = {key for key in {*live, *rule} if live.get(key) != rule.get(key)} - facts.NO_REVISION
        saved: JsonObject = {**rule, "updated_at": facts.now()}
        counter = "revision" if "revision" in live else "version"
        if changed and counter not in changed:
            saved[counter] = cast(int, live[counter]) + 1
        self.rules[space, str(live["rule_id"])] = saved
        if saved.get("enabled"):
            self._ran.add(str(saved["id"]))
        return saved


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
