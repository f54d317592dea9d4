"""The body of a monitor: its parts, what is compared of it, and changes to it.

A monitor of ours is known by ``ui_metadata``, and by the ids of its triggers: the monitor editor of Dashboards writes
``ui_metadata`` anew (alerting-dashboards-plugin, formikToMonitor), but keeps those.
"""

import copy
import re
from collections.abc import Iterable, Mapping

from sigma_stellar_aws.base.json_types import Json, JsonObject, as_object, as_objects
from sigma_stellar_aws.install.merge import Change, Fields, Path
from sigma_stellar_aws.install.stored_search import canonical_json

MARKER = "sigma_stellar_aws"
"""The key of ``ui_metadata`` that says that this project made a monitor."""

_TRIGGER = "sigma-stellar-aws-"
"""How the ids of our triggers begin; the id of the rule follows, then, where there are several, ``--`` and a name."""

_SERVER_MADE = ("schema_version", "enabled_time", "last_update_time", "user")
_COMPARED = ("name", "monitor_type", "enabled", "schedule")
# What Alerting adds to the input and to a query of a document-level monitor.
_ADDED_TO_INPUT: Mapping[str, Json] = {"description": "", "fan_out_enabled": True}
_ADDED_TO_QUERY: Mapping[str, Json] = {"fields": [], "tags": [], "query_field_names": []}


def monitors_by_rule(bodies: Iterable[JsonObject]) -> dict[str, JsonObject]:
    """Return monitors by the ids of their rules, each with triggers that are recognized again."""
    keys = [(str(marker(body)["rule_id"]), body) for body in bodies]
    return {key: with_trigger_ids(key, body) for key, body in keys}


def with_trigger_ids(key: str, body: JsonObject) -> JsonObject:
    """Return a monitor whose triggers have the ids by which they are recognized again."""
    body = copy.deepcopy(body)
    found = triggers(body)
    for trigger in found:
        name = re.sub(r"[^a-z0-9]+", "-", str(trigger["name"]).lower()).strip("-")
        parts = {**trigger, "id": f"{_TRIGGER}{key}" + (f"--{name}" if len(found) > 1 else "")}
        trigger.clear()
        # Alerting needs the id before the condition of a bucket-level trigger, which takes its name from it.
        trigger.update({"id": parts["id"], **parts})
    return body


def rule_id(body: JsonObject) -> str | None:
    """Return the id of the rule that a monitor of ours is for; None if it is not ours."""
    ids = [str(trigger.get("id")) for trigger in triggers(body)]
    ours = [text.removeprefix(_TRIGGER).partition("--")[0] for text in ids if text.startswith(_TRIGGER)]
    named = marker(body).get("rule_id")
    return named if isinstance(named, str) else ours[0] if ours else None


def marker(body: JsonObject) -> JsonObject:
    """Return what this project keeps in a monitor; empty if there is nothing."""
    metadata = body.get("ui_metadata")
    found = metadata.get(MARKER) if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def marked(body: JsonObject, applied: JsonObject) -> JsonObject:
    """Return a monitor that keeps what was applied; what Dashboards keeps in ``ui_metadata`` stays."""
    metadata = as_object(body.get("ui_metadata") or {})
    return {**body, "ui_metadata": {**metadata, MARKER: {**marker(applied), "applied": without_metadata(applied)}}}


def without_metadata(body: JsonObject) -> JsonObject:
    """Return a monitor as it is recorded as applied."""
    return {key: value for key, value in body.items() if key != "ui_metadata"}


def monitor_fields(body: JsonObject, like: JsonObject) -> Fields:
    """Return the fields of a monitor that are compared, without what Alerting adds.

    Args:
        body: the monitor.
        like: the monitor whose triggers give theirs the names.

    Raises:
        TypeError: the body is not a monitor.
        KeyError: a part of it has no name.
    """
    found: dict[Path, Json] = {(key,): body[key] for key in _COMPARED if key in body}
    for kind, part in _input(body).items():
        for key, value in as_object(part).items():
            if key == "queries":
                found.update({("inputs", kind, key, _query_name(query)): _query(query) for query in as_objects(value)})
            elif _ADDED_TO_INPUT.get(key) != value:
                found["inputs", kind, key] = canonical_json(value)
    for name, trigger in _named_triggers(body, like):
        found["triggers", name] = trigger["name"]
        found.update(
            {
                ("triggers", name, key): canonical_json(trigger[key])
                for key in ("severity", "condition")
                if key in trigger
            }
        )
        if actions := as_objects(trigger.get("actions") or []):
            found["triggers", name, "actions"] = [lasting(action) for action in actions]
    return found


def outline(body: JsonObject) -> str:
    """Return where a monitor looks, and the severities of its triggers, 1 being the highest."""
    [level] = _input(body).values()
    indices = as_object(level)["indices"]
    severities = ", ".join(str(trigger.get("severity")) for trigger in triggers(body))
    return f"index {', '.join(map(str, indices if isinstance(indices, list) else []))}; severity {severities}"


def merged(live: JsonObject, changes: Iterable[Change], like: JsonObject) -> JsonObject:
    """Return a live monitor with changes, as it can be sent."""
    body = copy.deepcopy({key: value for key, value in live.items() if key not in _SERVER_MADE})
    by_name = dict(_named_triggers(body, like))
    for path, _, wanted in changes:
        match path:
            case ("triggers", name):
                _change_trigger(body, by_name, name, wanted, like)
            case ("triggers", name, "actions"):
                if name in by_name:
                    by_name[name]["actions"] = [] if wanted is None else wanted
            case ("triggers", name, key):
                # Here and below: as the rule has it, not as it is compared.
                if name in by_name:
                    _put(by_name[name], key, dict(_named_triggers(like, like)).get(name, {}).get(key))
            case ("inputs", kind, "queries", name):
                _change_query(as_object(_input(body)[kind]), name, wanted)
            case ("inputs", kind, key):
                as_written = as_object(_input(like).get(kind, {})).get(key)
                _put(as_object(_input(body).setdefault(kind, {})), key, as_written)
            case (key,):
                _put(body, key, wanted)
    return body


def triggers(body: JsonObject) -> list[JsonObject]:
    """Return the triggers of a monitor without what wraps them; in the oldest form nothing does."""
    return [
        inner if len(trigger) == 1 and isinstance(inner := next(iter(trigger.values())), dict) else trigger
        for trigger in as_objects(body.get("triggers") or [])
    ]


def lasting(action: JsonObject) -> JsonObject:
    """Return an action without what Alerting makes or fills in."""
    kept: JsonObject = {key: value for key, value in action.items() if key != "id" and value}
    for key in ("subject_template", "message_template"):
        if isinstance(template := kept.get(key), dict):
            kept[key] = {part: template.get(part) for part in ("lang", "source")}
    return kept


def _input(body: JsonObject) -> JsonObject:
    return (as_objects(body.get("inputs") or []) or [{}])[0]


def _named_triggers(body: JsonObject, like: JsonObject) -> list[tuple[str, JsonObject]]:
    """Return the triggers with the names of those they correspond to: by id, by name, or as the only ones."""
    mine, others = triggers(body), triggers(like)
    names: dict[int, str] = {}
    for key in ("id", "name"):
        for other in others:
            same = [n for n, one in enumerate(mine) if n not in names and one.get(key) == other.get(key)]
            if same and str(other["name"]) not in names.values():
                names[same[0]] = str(other["name"])
    if len(mine) == len(others) == 1:
        names[0] = str(others[0]["name"])
    taken = set(names.values())
    for n, trigger in enumerate(mine):
        own = str(trigger["name"])
        names.setdefault(n, own if own not in taken else f"{own} ({trigger.get('id')})")
    return [(names[n], one) for n, one in enumerate(mine)]


def _change_trigger(
    body: JsonObject, by_name: dict[str, JsonObject], name: str, wanted: Json, like: JsonObject
) -> None:
    listed = as_objects(body.get("triggers") or [])
    if wanted is not None and name in by_name:
        by_name[name]["name"] = wanted
    elif wanted is not None:
        position = [str(trigger["name"]) for trigger in triggers(like)].index(name)
        new = copy.deepcopy(as_objects(like["triggers"])[position])
        body["triggers"] = [*listed, new]
        by_name[name] = triggers({"triggers": [new]})[0]
    elif name in by_name:
        gone = by_name.pop(name)
        body["triggers"] = [one for one, inner in zip(listed, triggers(body), strict=True) if inner is not gone]


def _change_query(level: JsonObject, name: str, wanted: Json) -> None:
    queries = as_objects(level.get("queries") or [])
    new = [] if wanted is None else [as_object(wanted)]
    names = [_query_name(query) for query in queries]
    position = names.index(name) if name in names else len(names)
    level["queries"] = [*queries[:position], *new, *queries[position + 1 :]]


def _query_name(query: JsonObject) -> str:
    return str(query.get("id") or query["name"])


def _query(query: JsonObject) -> JsonObject:
    """Return a query of a document-level monitor without what Alerting adds."""
    return {key: value for key, value in query.items() if _ADDED_TO_QUERY.get(key, None) != value}


def _put(part: JsonObject, key: str, value: Json) -> None:
    if value is None:
        part.pop(key, None)
    else:
        part[key] = value
