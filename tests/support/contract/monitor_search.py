"""The queries of OpenSearch Alerting's `monitors/_search`, on the fields that its index makes searchable."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import NamedTuple, cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.contract.server import RefusedError, as_object

_OCCURRENCES: dict[str, Callable[[list[bool]], bool]] = {
    "must": all,
    "filter": all,
    "must_not": lambda found: not any(found),
}


class Stored(NamedTuple):
    """A monitor under its id."""

    id: str
    monitor: JsonObject


def _words(text: Json) -> list[str]:
    return re.findall(r"\w+", str(text).lower())


# What the index holds of a monitor. ui_metadata is an object with `enabled: false`: kept, not searchable.
_FIELDS: dict[str, Callable[[JsonObject], list[str]]] = {
    "monitor.name": lambda monitor: _words(monitor["name"]),
    "monitor.name.keyword": lambda monitor: [str(monitor["name"])],
    "monitor.monitor_type": lambda monitor: [str(monitor["monitor_type"])],
    "monitor.type": lambda monitor: [str(monitor["type"])],
    "monitor.enabled": lambda monitor: [str(monitor["enabled"]).lower()],
}
_ANALYSED = ("monitor.name",)
_ON_VALUES: dict[str, Callable[[str, str], bool]] = {
    "term": lambda value, wanted: value == wanted,
    "prefix": lambda value, wanted: value.startswith(wanted),
    "wildcard": lambda value, wanted: fnmatch.fnmatchcase(value, wanted.replace("[", "[[]")),
}
_PHRASES = ("match_phrase", "match_phrase_prefix")


def unsearchable(query: Json) -> list[str]:
    """The fields of a query that the index does not have; no monitor is found by them."""
    if isinstance(query, list):
        return [field for clause in query for field in unsearchable(clause)]
    if not isinstance(query, dict):
        return []
    found: list[str] = []
    for kind, body in query.items():
        if kind in (*_ON_VALUES, *_PHRASES, "match", "terms"):
            found += [field for field in as_object(body) if field not in (*_FIELDS, "boost")]
        elif kind == "exists":
            found += [field for field in (str(as_object(body)["field"]),) if field not in (*_FIELDS, "monitor")]
        else:
            found += unsearchable(body)
    return found


def matches(query: Json, stored: Stored) -> bool:
    """Whether a monitor is found by a query.

    Raises:
        RefusedError: there is no such kind of query.
    """
    if not isinstance(query, dict) or len(query) != 1:
        raise RefusedError(400, "[bool] malformed query, expected one named query")
    [(kind, given)] = query.items()
    body = as_object(given)
    if kind in ("match_all", "match_none"):
        return kind == "match_all"
    if kind == "bool":
        return _bool(body, stored)
    if kind == "ids":
        return stored.id in cast("list[str]", body["values"])
    if kind == "exists":
        return body["field"] in (*_FIELDS, "monitor")
    if kind not in (*_ON_VALUES, *_PHRASES, "match", "terms"):
        raise RefusedError(400, f"unknown query [{kind}]")
    [(field, options)] = [item for item in body.items() if item[0] != "boost"]
    if field not in _FIELDS:
        return False
    values = _FIELDS[field](stored.monitor)
    if kind == "terms":
        return any(str(wanted) in values for wanted in cast("list[Json]", options))
    wanted = _wanted(options)
    if kind in _PHRASES:
        return _phrase(" ".join(_words(wanted)), " ".join(values), prefix=kind == "match_phrase_prefix")
    if kind == "match":
        return any(word in values for word in (_words(wanted) if field in _ANALYSED else [wanted]))
    return any(_ON_VALUES[kind](value, wanted) for value in values)


def _wanted(options: Json) -> str:
    if not isinstance(options, dict):
        return str(options)
    return str(next(options[name] for name in ("value", "query", "wildcard") if name in options))


def _phrase(wanted: str, text: str, *, prefix: bool) -> bool:
    return f" {wanted}{'' if prefix else ' '}" in f" {text} "


def _bool(body: JsonObject, stored: Stored) -> bool:
    for occurrence, joined in _OCCURRENCES.items():
        if not joined([matches(clause, stored) for clause in _clauses(body, occurrence)]):
            return False
    should = [matches(clause, stored) for clause in _clauses(body, "should")]
    needed = 0 if not should or "must" in body or "filter" in body else 1
    return sum(should) >= int(cast(str, body.get("minimum_should_match", needed)))


def _clauses(body: JsonObject, occurrence: str) -> list[Json]:
    clauses = body.get(occurrence, [])
    return clauses if isinstance(clauses, list) else [clauses]
