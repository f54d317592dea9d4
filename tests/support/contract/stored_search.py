"""The form in which OpenSearch Alerting keeps the search body of a monitor.

Alerting parses the body and keeps what it understood, with defaults filled in and short forms made long. The forms
were measured on OpenSearch 3.8 by its search slow log, which prints a parsed body, those of aggregations by the
descriptions of its tasks (`GET _tasks?detailed`); `range` and `bool` stand in the documentation of the Alerting API.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.contract.server import RefusedError, as_object


class _Leaf(NamedTuple):
    """A query on one field: the names that its value may have, how it is kept, and its other defaults."""

    names: tuple[str, ...]
    kept_as: str
    defaults: JsonObject


_ONE_FIELD: dict[str, _Leaf] = {
    "term": _Leaf(("value",), "value", {}),
    "prefix": _Leaf(("value",), "value", {}),
    "wildcard": _Leaf(("value", "wildcard"), "wildcard", {}),
    "regexp": _Leaf(("value",), "value", {"flags_value": 255, "max_determinized_states": 10000}),
    "match_phrase": _Leaf(("query",), "query", {"slop": 0, "zero_terms_query": "NONE"}),
    "match": _Leaf(
        ("query",),
        "query",
        {
            "operator": "OR",
            "prefix_length": 0,
            "max_expansions": 50,
            "fuzzy_transpositions": True,
            "lenient": False,
            "zero_terms_query": "NONE",
            "auto_generate_synonyms_phrase_query": True,
        },
    ),
}
_QUERY_STRING: JsonObject = {
    "type": "best_fields",
    "default_operator": "or",
    "max_determinized_states": 10000,
    "enable_position_increments": True,
    "fuzziness": "AUTO",
    "fuzzy_prefix_length": 0,
    "fuzzy_max_expansions": 50,
    "phrase_slop": 0,
    "escape": False,
    "auto_generate_synonyms_phrase_query": True,
    "fuzzy_transpositions": True,
}
_OF_TERMS: JsonObject = {
    "min_doc_count": 1,
    "shard_min_doc_count": 0,
    "show_term_doc_count_error": False,
    "order": [{"_count": "desc"}, {"_key": "asc"}],
}
_AGGREGATIONS: dict[str, JsonObject] = {
    # Of its sources, the stand-in of Alerting itself knows.
    "composite": {},
    "terms": _OF_TERMS,
    "multi_terms": _OF_TERMS,
    "date_range": {"keyed": False},
    "filters": {"other_bucket": False, "other_bucket_key": "_other_"},
    "max_bucket": {"gap_policy": "skip"},
    "bucket_script": {"gap_policy": "skip"},
}
"""What is filled in, by the kind of aggregation."""
_OCCURRENCES = ("must", "filter", "must_not", "should")
_LIMITS = {"gte": ("from", "include_lower", True), "gt": ("from", "include_lower", False)} | {
    "lte": ("to", "include_upper", True),
    "lt": ("to", "include_upper", False),
}
_REGEXP_FLAGS = {"NONE": 0, "ALL": 255}
_BODY = {"size", "from", "timeout", "query", "aggregations", "aggs", "track_total_hits", "sort", "_source", "fields"}
_ALL_HITS = {True: 2147483647, False: -1}


def stored_search(body: JsonObject) -> JsonObject:
    """A search body as it is kept.

    Raises:
        RefusedError: it holds something that this module knows no form of.
    """
    if unknown := sorted(set(body) - _BODY):
        raise RefusedError(400, f"the contract server knows no form of {unknown} in a search body")
    kept: JsonObject = {key: body[key] for key in ("size", "from", "timeout") if key in body}
    if "query" in body:
        kept["query"] = stored_query(as_object(body["query"]))
    for key in ("aggregations", "aggs"):
        if key in body:
            kept["aggregations"] = stored_aggregations(as_object(body[key]))
    if "track_total_hits" in body:
        hits = body["track_total_hits"]
        kept["track_total_hits"] = _ALL_HITS[hits] if isinstance(hits, bool) else hits
    if "sort" in body:
        kept["sort"] = [_sort(entry) for entry in _listed(body["sort"])]
    if "_source" in body:
        kept["_source"] = _source(body["_source"])
    if "fields" in body:
        kept["fields"] = [{"field": entry} if isinstance(entry, str) else entry for entry in _listed(body["fields"])]
    return kept


def stored_aggregations(aggregations: JsonObject) -> JsonObject:
    """Aggregations as they are kept, by their names.

    Raises:
        RefusedError: one is of a kind that this module knows no form of.
    """
    return {name: _aggregation(as_object(body)) for name, body in aggregations.items()}


def _aggregation(body: JsonObject) -> JsonObject:
    within = body.get("aggregations", body.get("aggs"))
    kinds = [kind for kind in body if kind not in ("aggregations", "aggs")]
    if len(kinds) != 1 or kinds[0] not in _AGGREGATIONS:
        raise RefusedError(400, f"the contract server knows no form of the aggregation {kinds}")
    [kind] = kinds
    options: JsonObject = {**_AGGREGATIONS[kind], **as_object(body[kind])}
    if kind == "filters":
        queries = as_object(options["filters"])
        options["filters"] = {name: stored_query(as_object(query)) for name, query in queries.items()}
    if kind == "max_bucket":
        options["buckets_path"] = _listed(options["buckets_path"])
    return {kind: options, **({} if within is None else {"aggregations": stored_aggregations(as_object(within))})}


def stored_query(query: JsonObject) -> JsonObject:
    """A query as it is kept.

    Raises:
        RefusedError: it holds something that this module knows no form of.
    """
    if len(query) != 1:
        raise RefusedError(400, f"a query has one name, this one has {sorted(query)}")
    [(kind, body)] = query.items()
    options = as_object(body)
    if kind in _ONE_FIELD:
        return {kind: _on_field(kind, options)}
    if kind == "range":
        [(field, limits)] = options.items()
        return {kind: {field: _range(as_object(limits))}}
    if kind == "bool":
        return {kind: _bool(options)}
    if kind == "ids":
        values = sorted(map(str, _listed(options["values"])))
        return {kind: _boosted({**options, "values": cast(Json, values)})}
    if kind == "query_string":
        fields = sorted(_weighted(str(field)) for field in _listed(options.get("fields", [])))
        operator = str(options.get("default_operator", "or")).lower()
        set_apart: JsonObject = {"fields": cast(Json, fields), "default_operator": operator}
        return {kind: _boosted({**_QUERY_STRING, **options, **set_apart})}
    if kind == "constant_score":
        return {kind: _boosted({**options, "filter": stored_query(as_object(options["filter"]))})}
    if kind in ("terms", "exists", "match_all", "match_none"):
        return {kind: _boosted(options)}
    raise RefusedError(400, f"unknown query [{kind}]")


def _boosted(options: JsonObject) -> JsonObject:
    return {**options, "boost": float(cast(float, options.get("boost", 1.0)))}


def _weighted(field: str) -> str:
    name, _, weight = field.partition("^")
    return f"{name}^{float(weight or 1)}"


def _on_field(kind: str, body: JsonObject) -> JsonObject:
    leaf = _ONE_FIELD[kind]
    if len(body) != 1:
        raise RefusedError(400, f"[{kind}] query has one field, this one has {sorted(body)}")
    [(field, given)] = body.items()
    options: JsonObject = dict(given) if isinstance(given, dict) else {leaf.names[0]: given}
    values = [options.pop(name) for name in leaf.names if name in options]
    if len(values) != 1:
        raise RefusedError(400, f"[{kind}] query on [{field}] has no {leaf.names[0]}")
    if options.get("case_insensitive") is False:
        del options["case_insensitive"]
    if "flags" in options:
        options["flags_value"] = _REGEXP_FLAGS[str(options.pop("flags"))]
    return {field: _boosted({leaf.kept_as: values[0], **leaf.defaults, **options})}


def _range(limits: JsonObject) -> JsonObject:
    kept: JsonObject = {"from": None, "to": None, "include_lower": True, "include_upper": True}
    for key, value in limits.items():
        if key in _LIMITS:
            end, inclusion, inclusive = _LIMITS[key]
            kept |= {end: value, inclusion: inclusive}
        else:
            kept[key] = value
    return _boosted(kept)


def _bool(body: JsonObject) -> JsonObject:
    kept: JsonObject = {"adjust_pure_negative": True}
    for key, value in body.items():
        if key in _OCCURRENCES:
            clauses = [stored_query(as_object(clause)) for clause in _listed(value)]
            if clauses:
                kept[key] = cast(Json, clauses)
        else:
            kept[key] = str(value) if key == "minimum_should_match" else value
    return _boosted(kept)


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _sort(entry: Json) -> Json:
    [(field, order)] = entry.items() if isinstance(entry, dict) else [(entry, "asc")]
    return {str(field): order if isinstance(order, dict) else {"order": order}}


def _source(value: Json) -> Json:
    if isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {key: patterns for key, patterns in value.items() if patterns}
    return {"includes": _listed(value)}
