"""Detection rules in Kibana, 7.17 and later, over its HTTP API.

Kibana has no place for what was applied that survives its rule editor, so the state file holds it. A rule is changed by
PATCH, with nothing in it but the keys that change, so that exceptions, actions and whatever else somebody added stay.
A rule's ``version`` does not tell who changed it: Kibana raises it for each bulk edit, whatever that changes.

What is written here of Kibana's behaviour was read in its sources, and tried on a stand-in; no real Kibana was asked.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path as File
from typing import Final, cast

from requests.exceptions import ReadTimeout

from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.formats.elastic_rule import Stack, stack_version
from sigma_stellar_aws.install.apply import as_applied, sound
from sigma_stellar_aws.install.kibana_api import NO_ANSWER, TIMEOUT, KibanaApi
from sigma_stellar_aws.install.kibana_rule import (
    TAG,
    THEIRS,
    changed_keys,
    fields_of,
    outline_of,
    raised_version,
    rule_digest,
    writable,
)
from sigma_stellar_aws.install.merge import Change, Fields, Path, owned
from sigma_stellar_aws.install.plan import Live, Step, field_name
from sigma_stellar_aws.install.server_errors import MISSING, ServerError, ask, if_there, order
from sigma_stellar_aws.install.state import State
from sigma_stellar_aws.store.client import API_KEY, PASSWORD, USER

FIRST_WITH_PREVIEW = Stack(8, 0)
_FREE_PREVIEW_SINCE = Stack(8, 4)
_TAKES_API_KEYS_SINCE = Stack(8, 8)
_FIXED_INVOCATIONS = 12
"""A number that 8.0 to 8.3 take: an hour of a rule that runs every 5 minutes."""
_PREVIEW_TIMEOUT = TIMEOUT + 30
"""Seconds. Kibana ends a preview after 60, and says so."""
_BUSY = (429, 503)
_NO_PREVIEW_RIGHTS = "Missing read privileges"
_NEVER_SENT_TO_PREVIEW = ("actions", "response_actions", "throttle")
"""A preview is a trial; some versions carried out the response actions of its rule."""
_PAGE = 100
_CHANGED = 409
_GATEWAY_TIMEOUT = 504


class Elastic:
    """The detection rules of a Kibana space."""

    theirs: Final[tuple[Path, ...]] = tuple((key,) for key in THEIRS)
    fixed: Final[Path] = ("type",)

    def __init__(
        self, url: str, space: str, ca_file: File | None, environment: Mapping[str, str], state: State
    ) -> None:
        """Prepare to talk to Kibana, without doing so yet.

        Args:
            url: as of ``KibanaApi``, like the next three.
            space: see there.
            ca_file: see there.
            environment: see there.
            state: what was applied to this space.

        Raises:
            StoreError: the URL, the space or the credentials are not as they should be.
        """
        self._api = KibanaApi(url, space, ca_file, environment)
        self._state = state

    def close(self) -> None:
        """Close the connections to Kibana."""
        self._api.close()

    def version(self) -> str:
        """Ask for Kibana's version, such as 8.19.0, and go by it from then on.

        Raises:
            StoreError: Kibana cannot be asked, or does not tell.
        """
        answer = ask(lambda: self._api.send("GET", "/api/status"))
        version = answer.get("version")
        number = version.get("number") if isinstance(version, dict) else None
        if not isinstance(number, str):
            raise StoreError("Kibana does not tell its version; say it: --stack 7.17, 8.x or 9.x")
        number = number.partition("-")[0]
        self._api.stack = _known(number)
        return number

    def go_by(self, stack: Stack) -> None:
        """Go by the version that Kibana tells, or by this one where it does not tell.

        Raises:
            StoreError: Kibana cannot be asked.
        """
        try:
            self.version()
        except ServerError as error:
            if error.status is None:
                raise
        except StoreError:
            pass
        self._api.stack = self._api.stack or stack

    def fields(self, body: JsonObject, like: JsonObject) -> Fields:
        """Return the fields of a rule that are compared, without what is as Kibana fills it in."""
        return fields_of(body)

    def outline(self, body: JsonObject) -> str:
        """Return where a rule looks, and how severe it is."""
        return outline_of(body)

    def read(self, wanted: Mapping[str, JsonObject]) -> list[Live]:
        """Return the rules of that identity, and all others that this project made.

        Raises:
            StoreError: there is no such space.
            ServerError: Kibana cannot be asked.
        """
        self._check_space()
        rules = self._found(f'alert.attributes.tags:"{TAG}"')
        known = {rule.get("rule_id") for rule in rules}
        for key in dict.fromkeys((*wanted, *self._state.rules())):
            rule = None if key in known else self._rule({"rule_id": key})
            if rule is not None:
                rules.append(rule)
        return [self._live(rule) for rule in rules]

    def remarks(self, steps: Collection[Step], twins: Mapping[str, Collection[str]]) -> list[str]:
        """Return what to know before a plan is carried out.

        Args:
            steps: the plan.
            twins: ids of rules of Elastic that find the same, by the keys of steps.

        Raises:
            ServerError: Kibana cannot be asked.
        """
        return [*self._of_api_key(steps), *self._of_twins(steps, twins)]

    def merged(self, live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
        """Return a live rule with changes, as it can be sent."""
        changed = changed_keys(live, changes, like)
        return {
            key: value for key, value in {**writable(live, self._api.stack), **changed}.items() if value is not None
        }

    def try_out(self, body: JsonObject) -> str:
        """Return why a rule would fail if it ran, by Kibana's rule preview; empty if it would not.

        Raises:
            ServerError: Kibana does not take it, or has no preview.
            StoreError: this user may not read previews.
        """
        preview: JsonObject = {key: value for key, value in body.items() if key not in _NEVER_SENT_TO_PREVIEW}
        stack = self._api.stack
        if stack is not None and stack < _FREE_PREVIEW_SINCE:
            preview["invocationCount"] = _FIXED_INVOCATIONS
        else:
            now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            preview |= {"invocationCount": 1, "timeframeEnd": now}
        try:
            # What did not answer in time may still be running, so it is not asked again.
            answer = ask(
                lambda: self._api.rules("POST", "/preview", body=preview, timeout=_PREVIEW_TIMEOUT),
                lambda error: isinstance(error, ServerError) and error.status in _BUSY,
            )
        except ServerError as error:
            if error.status == MISSING:
                raise ServerError(MISSING, f"{error}; without a rule preview use --no-dry-run") from error
            if error.status == _GATEWAY_TIMEOUT or isinstance(error.__cause__, ReadTimeout):
                raise ServerError(error.status, f"{error}; --no-dry-run does without a preview") from error
            raise
        logs = cast("list[JsonObject]", answer.get("logs") or [])
        # 8.0 and 8.1 have the errors beside the logs.
        lists = [answer.get("errors"), *(log.get("errors") for log in logs)]
        errors = [str(reason) for reasons in lists for reason in cast("list[Json]", reasons or [])]
        if any(_NO_PREVIEW_RIGHTS in error for error in errors):
            raise StoreError(
                "this user may not read rule previews: grant Elasticsearch's privilege read on "
                f".preview.alerts-security.alerts-{self._api.space} and "
                f".internal.preview.alerts-security.alerts-{self._api.space}-*, or use --no-dry-run"
            )
        aborted = "Kibana ended the preview, for which it has 60 seconds; --no-dry-run does without"
        return "; ".join(errors) or (aborted if answer.get("isAborted") else "")

    def create(self, step: Step) -> str:
        """Make the rule of a step. Return what Kibana did not keep of it, to tell.

        Raises:
            ServerError: it was not made, or nobody knows.
            OSError: the state file cannot be written.
        """
        wanted = _wanted(step)
        expected = owned(fields_of(wanted), self.theirs)

        def done() -> JsonObject | None:
            rule = self._rule({"rule_id": step.key})
            if rule is not None and owned(fields_of(rule), self.theirs) != expected:
                raise ServerError(_CHANGED, "somebody else has just made a rule of this id")
            return rule

        rule = order(lambda: _as_rule(self._api.rules("POST", body=wanted)), done)
        self._record(step, rule)
        return self._lost(rule, expected)

    def update(self, step: Step) -> str:
        """Change the rule of a step. Return what Kibana did not keep of it, to tell.

        Raises:
            ServerError: it was not changed, or nobody knows.
            OSError: the state file cannot be written.
        """
        wanted, live = _wanted(step), _seen(step)
        body = self._unchanged(live)
        changed = changed_keys(body, step.changes, wanted)
        changed |= raised_version(wanted, body)
        expected = owned(fields_of({**body, **changed}), self.theirs)
        # A key without a default goes only if the whole rule is sent without it. Some versions of 9 put max_signals
        # back to its default when it is not sent.
        gone = [key for key, value in changed.items() if value is None]
        kept = writable(body, self._api.stack) if gone else {"max_signals": body.get("max_signals", 100)}
        sent = {key: value for key, value in {**kept, "rule_id": step.key, **changed}.items() if key not in gone}

        def done() -> JsonObject | None:
            rule = self._rule({"id": live.id})
            if rule is not None and owned(fields_of(rule), self.theirs) == expected:
                return rule
            if rule is None or rule_digest(rule) != live.version:
                raise ServerError(_CHANGED, "somebody else changes it at the same time")
            return None

        rule = order(lambda: _as_rule(self._api.rules("PUT" if gone else "PATCH", body=sent)), done)
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

        order(lambda: self._api.rules("DELETE", params={"id": live.id}), done)
        self._state.forget(step.key, live.id)
        return ""

    def _of_api_key(self, steps: Collection[Step]) -> list[str]:
        if not self._api.has_api_key:
            return []
        run = [step for step in steps if _writes(step) and _runs(step)]
        if not run:
            return []
        stack = self._api.stack
        if stack is not None and stack < _TAKES_API_KEYS_SINCE:
            return [
                f"note: {plural(len(run), 'rule')} will be refused: Kibana before 8.8 takes no API key for rules that "
                f"run, or ever ran; set {USER} and {PASSWORD} instead of {API_KEY}"
            ]
        return [
            f"note: the API key becomes the own key of {plural(len(run), 'rule')} that will run, with its rights until "
            "it expires or is deleted; for a user with a password, Kibana makes rules keys of their own"
        ]

    def _of_twins(self, steps: Collection[Step], twins: Mapping[str, Collection[str]]) -> list[str]:
        ours = {twin: step.name for step in steps if step.wanted for twin in twins.get(step.key, ())}
        if not ours:
            return []
        named = " or ".join(f'alert.attributes.params.ruleId:"{twin}"' for twin in ours)
        found = [rule for rule in self._found(named) if rule.get("immutable")]
        pairs = [
            f"{ours[str(rule['rule_id'])]!r}: {str(rule.get('name'))!r} ({'on' if rule.get('enabled') else 'off'})"
            for rule in found
            if str(rule["rule_id"]) in ours
        ]
        if not pairs:
            return []
        return [
            f"note: {len(pairs)} of these rules have a twin among Elastic's own that is installed here; if both run, "
            f"both alert, so switch one off, or use --exclude: {'; '.join(pairs)}"
        ]

    def _check_space(self) -> None:
        """Ask for the space: rules can be written into one that does not exist, where nobody sees them."""
        space = self._api.space
        if space != "default" and if_there(lambda: self._api.send("GET", f"/api/spaces/space/{space}")) is None:
            raise StoreError(f"there is no space {space!r} in this Kibana; see its id under /s/")

    def _record(self, step: Step, rule: JsonObject) -> None:
        self._state.record(step.key, str(rule["id"]), as_applied(step, self))

    def _unchanged(self, live: Live) -> JsonObject:
        """Return the rule as it is at this moment, which must be as it was seen."""
        rule = self._rule({"id": live.id})
        if rule is None or rule_digest(rule) != live.version:
            raise ServerError(_CHANGED, "somebody has changed it since the plan was made; run it again")
        return rule

    def _lost(self, rule: JsonObject, expected: Fields) -> str:
        kept = fields_of(rule)
        lost = [field_name(path) for path, value in expected.items() if kept.get(path) != value]
        return f"Kibana did not keep: {', '.join(lost)}" if lost else ""

    def _live(self, rule: JsonObject) -> Live:
        key, server_id = str(rule["rule_id"]), str(rule["id"])
        recorded = self._state.has(key, server_id)
        tagged = TAG in cast("list[Json]", rule.get("tags") or [])
        return Live(
            key,
            server_id,
            str(rule.get("name")),
            rule,
            rule_digest(rule),
            not rule.get("immutable") and (tagged or recorded),
            recorded,
            sound(self._state.applied(key, server_id), self),
            f"a rule of this id is there that this project did not make (it has no tag {TAG})",
        )

    def _found(self, kql: str) -> list[JsonObject]:
        """Return all rules that a filter finds."""
        rules: dict[str, JsonObject] = {}
        total = 1
        while len(rules) < total:
            params = {
                "page": str(len(rules) // _PAGE + 1),
                "per_page": str(_PAGE),
                "sort_field": "name",
                "sort_order": "asc",
                "filter": kql,
            }
            answer = ask(partial(self._api.rules, "GET", "/_find", params=params))
            found, counted = answer.get("data"), answer.get("total")
            if not isinstance(found, list) or not isinstance(counted, int):
                raise ServerError(200, f"{NO_ANSWER}: data or total is missing")
            before, total = len(rules), counted
            rules.update({str(rule["id"]): rule for rule in map(_as_rule, found)})
            if len(rules) < min(total, before + _PAGE):
                raise ServerError(200, "the rules changed while they were read; run it again")
        return list(rules.values())

    def _rule(self, name: Mapping[str, str]) -> JsonObject | None:
        return if_there(lambda: _as_rule(self._api.rules("GET", params=name)))


def _known(number: str) -> Stack | None:
    try:
        return stack_version(number)
    except ValueError:
        return None


def _writes(step: Step) -> bool:
    return step.status in ("create", "update")


def _runs(step: Step) -> bool:
    body = step.live.body if step.live else step.wanted
    return bool(body and body.get("enabled"))


def _as_rule(answer: Json) -> JsonObject:
    if not isinstance(answer, dict) or not all(isinstance(answer.get(key), str) for key in ("id", "rule_id")):
        raise ServerError(200, f"{NO_ANSWER}: it holds something that is not a rule; is the URL right?")
    return answer


def _wanted(step: Step) -> JsonObject:
    assert step.wanted is not None
    return step.wanted


def _seen(step: Step) -> Live:
    assert step.live is not None
    return step.live
