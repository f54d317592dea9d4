"""Detection rules in Kibana, 7.17 and later, over its HTTP API.

Kibana has no place for what was applied that survives its rule editor, so the state file holds it. A rule is changed by
PATCH, with nothing in it but the keys that change, so that exceptions, actions and whatever else somebody added stay.

Where Kibana tells a ``revision`` of a rule, no edit raises its ``version`` (elastic/kibana#151392, in 8.8). There each
change of ours does, so that it tells whether somebody has applied since with another state file than this one.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path as File
from typing import Final, cast
from urllib.parse import urlsplit

import requests
from urllib3.util import make_headers

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.install.apply import as_applied, sound
from sigma_stellar_aws.install.merge import Change, Fields, Path, owned
from sigma_stellar_aws.install.plan import Live, Step, field_name
from sigma_stellar_aws.install.server_errors import MISSING, ServerError, ask, if_there, no_answer, order
from sigma_stellar_aws.install.state import State
from sigma_stellar_aws.store.client import check_ca_file, check_url, credentials, proxy
from sigma_stellar_aws.store.connection_errors import refusal_message

TAG = "sigma-stellar-aws"
"""Says of a rule that this project made it."""

# What an artefact may say of a rule; all else that a rule has is made by Kibana or by who works there.
_OWNED = (
    "name",
    "description",
    "severity",
    "risk_score",
    "type",
    "language",
    "query",
    "filters",
    "index",
    "interval",
    "from",
    "to",
    "timestamp_override",
    "timestamp_override_fallback_disabled",
    "max_signals",
    "alert_suppression",
    "threat",
    "tags",
    "references",
    "false_positives",
    "author",
    "license",
    "note",
    "setup",
    "investigation_fields",
    "related_integrations",
    "required_fields",
    "building_block_type",
)
_SETS = ("tags", "references", "false_positives")
"""Lists to which somebody may add an entry of their own."""
_THEIRS = (
    "enabled",
    "actions",
    "exceptions_list",
    "throttle",
    "response_actions",
    "data_view_id",
    "severity_mapping",
    "risk_score_mapping",
    "rule_name_override",
    "timeline_id",
    "timeline_title",
    "output_index",
    "namespace",
)
_SERVER_MADE = (
    "id",
    "immutable",
    "revision",
    "version",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "rule_source",
    "outcome",
    "alias_target_id",
    "alias_purpose",
    "execution_summary",
    # 7.17, of the last run.
    "status",
    "status_date",
    "last_success_at",
    "last_success_message",
    "last_failure_at",
    "last_failure_message",
    "uuid",
)
_DEFAULTS: Mapping[str, Json] = {
    "language": "kuery",
    "query": "",
    "filters": [],
    "index": [],
    "interval": "5m",
    "from": "now-6m",
    "to": "now",
    "max_signals": 100,
    "threat": [],
    "tags": [],
    "references": [],
    "false_positives": [],
    "author": [],
    "license": "",
    "note": "",
    "setup": "",
    "related_integrations": [],
    "required_fields": [],
    "actions": [],
    "exceptions_list": [],
    "response_actions": [],
    "severity_mapping": [],
    "risk_score_mapping": [],
    "throttle": "no_actions",
    "output_index": "",
    "namespace": "",
}
"""What Kibana fills in; a key that is none of these can only be taken away by replacing the rule."""
_TIMES = ("from", "to", "interval")
"""Durations, which Kibana's editor writes in seconds."""
_DURATION = re.compile(r"(now-)?(\d{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TEXTS = ("query", "description", "note", "setup")
"""Texts whose last line break does not survive every way into Kibana."""

_PAGE = 100
_TIMEOUT = (10, 60)
"""Seconds for a connection, and for an answer."""
_SPACE = re.compile(r"[a-z0-9_-]+")
_NO_ANSWER = "this is not an answer of Kibana"
_CHANGED = 409


class Elastic:
    """The detection rules of a Kibana space."""

    theirs: Final[tuple[Path, ...]] = tuple((key,) for key in _THEIRS)
    fixed: Final[Path] = ("type",)

    def __init__(
        self, url: str, space: str, ca_file: File | None, environment: Mapping[str, str], state: State
    ) -> None:
        """Prepare to talk to Kibana, without doing so yet.

        Args:
            url: of Kibana, with its base path if it has one, without user and password.
            space: ``default``, or another.
            ca_file: certificates (PEM) to trust instead of the system's.
            environment: where credentials and proxies are looked up, as for a data store.
            state: what was applied to this space.

        Raises:
            StoreError: the URL, the space or the credentials are not as they should be.
        """
        check_url(url, "https://kibana.example.com:5601")
        if "/s/" in urlsplit(url).path + "/":
            raise StoreError("the URL is that of a space; write it without /s/ and what follows, and name it: --space")
        if not _SPACE.fullmatch(space):
            raise StoreError(f"{space!r} is no id of a space; it stands in Kibana's address after /s/")
        check_ca_file(ca_file)
        self._root = url.rstrip("/")
        self._space = space
        self._api = ("" if space == "default" else f"/s/{space}") + "/api/detection_engine"
        self._session = requests.Session()
        # Else a .netrc would replace the API key, and variables for other programs the CA file.
        self._session.trust_env = False
        self._session.verify = str(ca_file) if ca_file else True
        through = proxy(url, environment)
        self._session.proxies = {"http": through, "https": through} if through else {}
        user, password, api_key = credentials(environment)
        self._session.headers.update({"kbn-xsrf": TAG, "Elastic-Api-Version": "2023-10-31"})
        if api_key:
            self._session.headers["Authorization"] = f"ApiKey {api_key}"
        elif user:
            self._session.headers["Authorization"] = make_headers(basic_auth=f"{user}:{password}")["authorization"]
        self._state = state
        self._answered = False

    def version(self) -> str:
        """Kibana's version, such as 8.19.0.

        Raises:
            StoreError: Kibana cannot be asked, or does not tell.
        """
        answer = ask(lambda: self._send("GET", "/api/status"))
        version = answer.get("version")
        number = version.get("number") if isinstance(version, dict) else None
        if not isinstance(number, str):
            raise StoreError("Kibana does not tell its version; say it: --stack 7.17, 8.x or 9.x")
        return number.partition("-")[0]

    def fields(self, body: JsonObject, like: JsonObject) -> Fields:
        """The fields of a rule that are compared, without what is as Kibana fills it in."""
        found: dict[Path, Json] = {}
        for key in (*_OWNED, *_THEIRS):
            value = _normal(key, body.get(key))
            if value is None or value == _normal(key, _DEFAULTS.get(key)):
                continue
            if key in _SETS:
                found.update({(key, str(entry)): True for entry in cast("list[Json]", value)})
            else:
                found[key,] = value
        return found

    def outline(self, body: JsonObject) -> str:
        """Where a rule looks, and how severe it is."""
        index = body.get("index")
        where = ", ".join(map(str, index)) if isinstance(index, list) else "(Kibana's default)"
        return f"index {where}; severity {body.get('severity')} ({body.get('risk_score')})"

    def read(self, wanted: Mapping[str, JsonObject]) -> list[Live]:
        """The rules of that identity, and all others that this project made.

        Raises:
            StoreError: there is no such space.
            ServerError: Kibana cannot be asked.
        """
        self._check_space()
        rules = self._tagged()
        known = {rule.get("rule_id") for rule in rules}
        for key in dict.fromkeys((*wanted, *self._state.rules())):
            rule = None if key in known else self._rule({"rule_id": key})
            if rule is not None:
                rules.append(rule)
        return [self._live(rule) for rule in rules]

    def merged(self, live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
        """A live rule with changes, as it can be sent."""
        kept = {key: value for key, value in live.items() if key not in _SERVER_MADE}
        changed = _changed_keys(live, changes, like)
        return {key: value for key, value in {**kept, **changed}.items() if value is not None}

    def try_out(self, body: JsonObject) -> str:
        """Why a rule would fail if it ran, by Kibana's rule preview; empty if it would not.

        Raises:
            ServerError: Kibana does not take it, or has no preview.
        """
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        preview: JsonObject = {**body, "invocationCount": 1, "timeframeEnd": now}
        try:
            answer = ask(lambda: self._send("POST", f"{self._api}/rules/preview", body=preview))
        except ServerError as error:
            if error.status == MISSING:
                raise ServerError(MISSING, f"{error}; without a rule preview use --no-dry-run") from error
            raise
        logs = cast("list[JsonObject]", answer.get("logs") or [])
        errors = [str(reason) for log in logs for reason in cast("list[Json]", log.get("errors") or [])]
        return "; ".join(errors) or ("the preview was aborted" if answer.get("isAborted") else "")

    def create(self, step: Step) -> str:
        """Make the rule of a step. Returns what Kibana did not keep of it, to tell.

        Raises:
            ServerError: it was not made, or nobody knows.
            OSError: the state file cannot be written.
        """
        wanted = _wanted(step)
        expected = owned(self.fields(wanted, wanted), self.theirs)

        def done() -> JsonObject | None:
            rule = self._rule({"rule_id": step.key})
            if rule is not None and owned(self.fields(rule, wanted), self.theirs) != expected:
                raise ServerError(_CHANGED, "somebody else has just made a rule of this id")
            return rule

        rule = order(lambda: _as_rule(self._send("POST", f"{self._api}/rules", body=wanted)), done)
        self._record(step, rule)
        return self._lost(rule, expected)

    def update(self, step: Step) -> str:
        """Change the rule of a step. Returns what Kibana did not keep of it, to tell.

        Raises:
            ServerError: it was not changed, or nobody knows.
            OSError: the state file cannot be written.
        """
        wanted, live = _wanted(step), _seen(step)
        body = self._unchanged(live)
        changed = _changed_keys(body, step.changes, wanted)
        changed |= _raised_version(wanted, body)
        expected = owned(self.fields({**body, **changed}, wanted), self.theirs)
        # A key without a default goes only if the whole rule is sent without it.
        gone = [key for key, value in changed.items() if value is None]
        kept = {key: value for key, value in body.items() if gone and key not in _SERVER_MADE}
        sent = {key: value for key, value in {**kept, "rule_id": step.key, **changed}.items() if key not in gone}

        def done() -> JsonObject | None:
            rule = self._rule({"id": live.id})
            if rule is not None and owned(self.fields(rule, wanted), self.theirs) == expected:
                return rule
            if rule is None or _digest(rule) != live.version:
                raise ServerError(_CHANGED, "somebody else changes it at the same time")
            return None

        method = "PUT" if gone else "PATCH"
        rule = order(lambda: _as_rule(self._send(method, f"{self._api}/rules", body=sent)), done)
        self._record(step, rule)
        return self._lost(rule, expected)

    def adopt(self, step: Step) -> str:
        """Record the rule of a step as applied.

        Raises:
            OSError: the state file cannot be written.
        """
        self._record(step, _seen(step).body)
        return ""

    def delete(self, step: Step) -> str:
        """Delete the rule of a step.

        Raises:
            ServerError: it was not deleted, or nobody knows.
            OSError: the state file cannot be written.
        """
        live = _seen(step)
        self._unchanged(live)

        def done() -> JsonObject | None:
            return {} if self._rule({"id": live.id}) is None else None

        order(lambda: self._send("DELETE", f"{self._api}/rules", params={"id": live.id}), done)
        self._state.forget(step.key, live.id)
        return ""

    def _check_space(self) -> None:
        """Ask for the space: rules can be written into one that does not exist, where nobody sees them."""
        if self._space == "default":
            return
        if if_there(lambda: self._send("GET", f"/api/spaces/space/{self._space}")) is None:
            raise StoreError(f"there is no space {self._space!r} in this Kibana; see its id under /s/")

    def _record(self, step: Step, rule: JsonObject) -> None:
        version = rule.get("version") if "revision" in rule else None
        self._state.record(step.key, str(rule["id"]), as_applied(step, self), version)

    def _unchanged(self, live: Live) -> JsonObject:
        """The rule as it is at this moment, which must be as it was seen."""
        rule = self._rule({"id": live.id})
        if rule is None or _digest(rule) != live.version:
            raise ServerError(_CHANGED, "somebody has changed it since the plan was made; run it again")
        return rule

    def _lost(self, rule: JsonObject, expected: Fields) -> str:
        kept = self.fields(rule, rule)
        lost = [field_name(path) for path, value in expected.items() if kept.get(path) != value]
        return f"Kibana did not keep: {', '.join(lost)}" if lost else ""

    def _live(self, rule: JsonObject) -> Live:
        key, server_id = str(rule["rule_id"]), str(rule["id"])
        recorded = self._state.has(key, server_id)
        applied = self._state.applied(key, server_id, rule.get("version") if "revision" in rule else None)
        tagged = TAG in cast("list[Json]", rule.get("tags") or [])
        ours = not rule.get("immutable") and (tagged or recorded)
        return Live(
            key,
            server_id,
            str(rule.get("name")),
            rule,
            _digest(rule),
            ours,
            recorded,
            sound(applied, self),
            f"a rule of this id is there that this project did not make (it has no tag {TAG})",
        )

    def _tagged(self) -> list[JsonObject]:
        rules: dict[str, JsonObject] = {}
        total = 1
        while len(rules) < total:
            params = {
                "page": str(len(rules) // _PAGE + 1),
                "per_page": str(_PAGE),
                "sort_field": "name",
                "sort_order": "asc",
                "filter": f'alert.attributes.tags:"{TAG}"',
            }
            answer = ask(partial(self._send, "GET", f"{self._api}/rules/_find", params))
            found, counted = answer.get("data"), answer.get("total")
            if not isinstance(found, list) or not isinstance(counted, int):
                raise ServerError(200, f"{_NO_ANSWER}: data or total is missing")
            before, total = len(rules), counted
            rules.update({str(rule["id"]): rule for rule in map(_as_rule, found)})
            if len(rules) < min(total, before + _PAGE):
                raise ServerError(200, "the rules changed while they were read; run it again")
        return list(rules.values())

    def _rule(self, name: Mapping[str, str]) -> JsonObject | None:
        return if_there(lambda: _as_rule(self._send("GET", f"{self._api}/rules", params=name)))

    def _send(
        self, method: str, path: str, params: Mapping[str, str] | None = None, body: JsonObject | None = None
    ) -> JsonObject:
        try:
            answer = self._session.request(
                method, self._root + path, params=params, json=body, timeout=_TIMEOUT, allow_redirects=False
            )
        except requests.exceptions.RequestException as error:
            raise no_answer("Kibana", self._root, error, known=self._answered) from error
        self._answered = True
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not isinstance(content, dict) or not answer.ok or answer.is_redirect:
            raise _error(answer, content)
        return cast(JsonObject, content)


def _error(answer: requests.Response, content: object) -> ServerError:
    status = answer.status_code
    if message := refusal_message("Kibana", status):
        return ServerError(status, message)
    reason = content.get("message") if isinstance(content, dict) else None
    if reason is None and status in (502, 503, 504):
        return ServerError(status, f"Kibana is not available now (status {status})")
    if reason is None:
        return ServerError(status, f"{_NO_ANSWER} (status {status}, no JSON object); is the URL right?")
    if status == 403:
        return ServerError(status, f"not allowed: {reason}; needed is the privilege Security: All in this space")
    return ServerError(status, f"Kibana answered with status {status}: {_as_text(reason)}")


def _as_rule(answer: Json) -> JsonObject:
    if not isinstance(answer, dict) or not all(isinstance(answer.get(key), str) for key in ("id", "rule_id")):
        raise ServerError(200, f"{_NO_ANSWER}: it tells of something that is no rule; is the URL right?")
    return answer


def _as_text(reason: Json) -> str:
    return reason if isinstance(reason, str) else json.dumps(reason)


def _wanted(step: Step) -> JsonObject:
    assert step.wanted is not None
    return step.wanted


def _seen(step: Step) -> Live:
    assert step.live is not None
    return step.live


def _raised_version(wanted: JsonObject, live: JsonObject) -> JsonObject:
    """The version that a rule gets with a change: another one than before, where only we raise it."""
    said, before = wanted.get("version"), live.get("version")
    if "revision" not in live or not isinstance(before, int):
        return {} if said is None else {"version": said}
    return {"version": max(said, before + 1) if isinstance(said, int) else before + 1}


def _changed_keys(live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
    """The keys of a rule that changes concern, with their new values; None where only replacing takes a key away."""
    changed: JsonObject = {}
    for (key, *entry), _, wanted in changes:
        if entry:
            entries = cast("list[Json]", changed.get(key, live.get(key)) or [])
            changed[key] = [one for one in entries if one != entry[0]] + ([entry[0]] if wanted else [])
        else:
            # As the rule has it, not as it is compared.
            as_written = like.get(key) if _normal(key, like.get(key)) == wanted else wanted
            changed[key] = _DEFAULTS.get(key) if wanted is None else as_written
    return changed


def _normal(key: str, value: Json) -> Json:
    """A value without what Kibana may add or take away by itself."""
    if key in _TEXTS and isinstance(value, str):
        return value.rstrip("\n")
    if key in _TIMES and isinstance(value, str) and (duration := _DURATION.fullmatch(value)):
        seconds = timedelta(**{_UNITS[duration[3]]: int(duration[2])}).total_seconds()
        return f"{duration[1] or ''}{seconds:.0f}s"
    if key == "required_fields" and isinstance(value, list):
        return [{name: part for name, part in cast(JsonObject, field).items() if name != "ecs"} for field in value]
    if key == "alert_suppression" and isinstance(value, dict):
        return {"missing_fields_strategy": "suppress", **value}
    if key == "threat":
        return _without_empty_lists(value)
    return value


def _without_empty_lists(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_empty_lists(part) for key, part in value.items() if part != []}
    return [_without_empty_lists(part) for part in value] if isinstance(value, list) else value


def _digest(rule: JsonObject) -> str:
    """Is another one whenever somebody has changed a rule; a run of it is no change."""
    content = {key: value for key, value in rule.items() if key not in _SERVER_MADE}
    return hashlib.sha256(json.dumps([rule.get("id"), content], sort_keys=True).encode()).hexdigest()
