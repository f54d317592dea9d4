"""Pure builders of Query DSL clauses, for Elasticsearch 7.17+ and OpenSearch 2+.

Every clause is a plain JSON object in the long form (``{"term": {"f": {"value": "v"}}}``), which both API
specifications describe. The boolean builders keep queries flat: no ``bool`` directly inside a ``bool`` of the same
kind, no repeated clause.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, TypeAlias

from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar, as_object, as_objects, as_scalar, as_string

FieldRelation: TypeAlias = Literal["is", "contains", "startswith", "endswith"]
"""How a value of one field relates to a value of another."""

Clause: TypeAlias = JsonObject
"""One Query DSL clause: an object with a single key, the type of the query."""


_MANY_TIMES = 10
_MOST_STATES = 100_000


def term(field: str, value: Scalar, *, case_insensitive: bool = False) -> Clause:
    """Match documents in which one value of the field equals the value.

    >>> term("eventName", "DeleteRule", case_insensitive=True)
    {'term': {'eventName': {'value': 'DeleteRule', 'case_insensitive': True}}}
    """
    return _leaf("term", field, value, case_insensitive)


def terms(field: str, values: Iterable[Scalar]) -> Clause:
    """Match documents in which one value of the field equals one of the values, case-sensitively."""
    return {"terms": {field: list(values)}}


def prefix(field: str, value: str, *, case_insensitive: bool = False) -> Clause:
    """Match documents in which one value of the field starts with the text."""
    return _leaf("prefix", field, value, case_insensitive)


def wildcard(field: str, pattern: str, *, case_insensitive: bool = False) -> Clause:
    """Match a whole value against a pattern of ``*``, ``?`` and literals, in which ``\\`` escapes."""
    return _leaf("wildcard", field, pattern, case_insensitive)


def regexp(field: str, pattern: str, *, case_insensitive: bool = False) -> Clause:
    """Match a whole value against a Lucene regular expression without its optional operators (flags NONE)."""
    options: JsonObject = {"value": pattern, "flags": "NONE"}
    # Long repetitions, such as .{0,20} between alternatives, take more than the 10,000 that OpenSearch allows by
    # default; with ten times as many it still answers or refuses within a second.
    if any(int(times) >= _MANY_TIMES for times in re.findall(r"[{,](\d+)}", pattern)):
        options["max_determinized_states"] = _MOST_STATES
    if case_insensitive:
        options["case_insensitive"] = True
    return {"regexp": {field: options}}


def match_phrase(field: str, text: str) -> Clause:
    """Match documents in which analysed text has the words of the text in a row."""
    return {"match_phrase": {field: {"query": text}}}


def exists(field: str) -> Clause:
    """Match documents in which the field has a value."""
    return {"exists": {"field": field}}


def bounds(field: str, **limits: Scalar) -> Clause:
    """Match documents in which one value of the field lies within limits named gt, gte, lt, lte (and format)."""
    return {"range": {field: dict(limits)}}


def all_of(clauses: Iterable[Clause]) -> Clause:
    """Match documents that match every clause.

    Raises:
        ValueError: there is no clause; an empty ``bool`` would match every document.
    """
    positive: list[Clause] = []
    negative: list[Clause] = []
    for clause in clauses:
        occurs = _occurrences(clause)
        if occurs is None or "should" in occurs:
            positive.append(clause)
        else:
            positive += occurs.get("filter", [])
            negative += occurs.get("must_not", [])
    return _bool({"filter": _distinct(positive), "must_not": _distinct(negative)})


def any_of(clauses: Iterable[Clause]) -> Clause:
    """Match documents that match at least one clause; exact values of the same field become one ``terms``.

    >>> any_of([term("eventName", "CreateKey"), term("eventName", "DeleteRule")])
    {'terms': {'eventName': ['CreateKey', 'DeleteRule']}}

    Raises:
        ValueError: there is no clause; an empty ``bool`` would match every document.
    """
    alternatives: list[Clause] = []
    for clause in clauses:
        occurs = _occurrences(clause)
        alternatives += occurs["should"] if occurs is not None and set(occurs) == {"should"} else [clause]
    return _bool({"should": _distinct(_joined_terms(alternatives))})


def none_of(clause: Clause) -> Clause:
    """Match documents that do not match the clause, also those without its field."""
    occurs = _occurrences(clause)
    if occurs is not None and set(occurs) == {"must_not"}:
        return any_of(occurs["must_not"])
    if occurs is not None and set(occurs) == {"should"}:
        return all_of(map(none_of, occurs["should"]))
    return {"bool": {"must_not": [clause]}}


def named(clause: Clause, name: str) -> Clause:
    """Return the clause as a ``bool`` with a name that hits repeat in ``matched_queries``."""
    body: JsonObject = {"filter": [clause]} if _occurrences(clause) is None else as_object(clause["bool"])
    return {"bool": {**body, "_name": name}}


def unnamed(clause: Clause) -> Clause:
    """Undo :func:`named`."""
    body = as_object(clause["bool"])
    return _bool({key: as_objects(value) for key, value in body.items() if isinstance(value, list)})


def pack(clauses: Iterable[Clause]) -> Clause:
    """Match documents that match at least one named clause; ``matched_queries`` of a hit says which."""
    return {"bool": {"should": [*clauses], "minimum_should_match": 1}}


def search(query: Clause) -> JsonObject:
    """Return a body for ``_search``."""
    return {"query": query}


def escape_wildcard(text: str) -> str:
    """Return the text as a literal part of a ``wildcard`` pattern.

    >>> escape_wildcard("who?")
    'who\\\\?'
    """
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


COMPARE_FIELDS = """
String folded(String text, boolean ignoreCase) {
  if (!ignoreCase) { return text; }
  StringBuilder out = new StringBuilder();
  for (int i = 0; i < text.length(); i++) {
    char c = text.charAt(i);
    out.append(Character.toLowerCase(Character.toUpperCase(c)));
  }
  return out.toString();
}
if (!doc.containsKey(params.field) || !doc.containsKey(params.other)) { return false; }
for (def mine : doc[params.field]) {
  String one = folded(mine.toString(), params.ignore_case);
  for (def theirs : doc[params.other]) {
    String two = folded(theirs.toString(), params.ignore_case);
    if (params.how == 'is' ? one.equals(two)
        : params.how == 'startswith' ? one.startsWith(two)
        : params.how == 'endswith' ? one.endsWith(two) : one.contains(two)) { return true; }
  }
}
return false;
""".strip()
"""Painless: whether a value of a field is, starts with, ends with or contains a value of another. One for all rules."""


def compare_fields(field: str, other: str, how: FieldRelation, *, ignore_case: bool) -> Clause:
    """Match documents in which a value of a field relates to a value of another, as keyword fields hold them."""
    params: JsonObject = {"field": field, "other": other, "how": how, "ignore_case": ignore_case}
    return {"script": {"script": {"lang": "painless", "source": COMPARE_FIELDS, "params": params}}}


def leaves(clause: Clause) -> Iterable[tuple[str, str, Json]]:
    """Yield all conditions below a clause, each as (type of query, field, options).

    Raises:
        ValueError: the clause holds something that no builder of this module makes.
    """
    kind, body = _split(clause)
    if kind == "bool":
        for child in _all_clauses(body):
            yield from leaves(child)
    elif kind == "exists":
        yield kind, as_string(body["field"]), None
    elif kind == "script":
        params = as_object(as_object(body["script"])["params"])
        yield from ((kind, as_string(params[name]), params) for name in ("field", "other"))
    elif kind in ("term", "terms", "prefix", "wildcard", "regexp", "range", "match_phrase"):
        field = next(key for key in body if key != "_name")
        yield kind, field, body[field]
    else:
        raise ValueError(f"unknown query type {kind!r}")


def fields(clause: Clause) -> list[str]:
    """Return the fields that a clause names, each once, sorted."""
    return sorted({field for _, field, _ in leaves(clause)})


def named_clauses(clause: Clause) -> Iterable[tuple[str, Clause]]:
    """Yield all clauses with a name in and below a clause, with their names."""
    kind, body = _split(clause)
    if "_name" in body:
        yield as_string(body["_name"]), clause
    if kind == "bool":
        for child in _all_clauses(body):
            yield from named_clauses(child)


def can_match(clause: Clause, missing: Collection[str]) -> bool:
    """Return whether a document without the missing fields can match."""
    kind, body = _split(clause)
    if kind != "bool":
        return all(field not in missing for _, field, _ in leaves(clause))
    alternatives = clauses_of(body, "should")
    return all(can_match(child, missing) for child in clauses_of(body, "filter")) and (
        not alternatives or any(can_match(child, missing) for child in alternatives)
    )


def demands(clause: Clause) -> Iterable[tuple[str, Clause]]:
    """Yield the conditions below a clause that may have to be met, each with its field, but none under ``must_not``."""
    kind, body = _split(clause)
    if kind == "bool":
        for occurrence in ("filter", "should"):
            for child in clauses_of(body, occurrence):
                yield from demands(child)
    else:
        yield from ((field, clause) for _, field, _ in leaves(clause))


def clauses_of(body: JsonObject, occurrence: str) -> list[Clause]:
    """Return the clauses under ``filter``, ``must_not`` or ``should`` in the body of a ``bool``.

    >>> clauses_of({"filter": [{"exists": {"field": "f"}}]}, "filter")
    [{'exists': {'field': 'f'}}]
    >>> clauses_of({"filter": [{"exists": {"field": "f"}}]}, "should")
    []
    """
    return as_objects(body.get(occurrence, []))


def _split(clause: Clause) -> tuple[str, JsonObject]:
    if len(clause) != 1:
        raise ValueError(f"a clause has exactly one key, not {sorted(clause)}")
    kind, body = next(iter(clause.items()))
    if not isinstance(body, dict):
        raise ValueError(f"the body of a {kind!r} clause must be an object")
    return kind, body


def _all_clauses(body: JsonObject) -> Iterable[Clause]:
    """Yield the clauses directly in the body of a ``bool``; nothing for that of another clause."""
    for occurrence in ("filter", "must_not", "should"):
        yield from clauses_of(body, occurrence)


def _leaf(kind: str, field: str, value: Scalar, case_insensitive: bool) -> Clause:
    options: JsonObject = {"value": value}
    # Only where there is a letter: it is slower, and OpenSearch 3.8 finds no empty text with it.
    if case_insensitive and any(character.isalpha() for character in str(value)):
        options["case_insensitive"] = True
    return {kind: {field: options}}


def _occurrences(clause: Clause) -> Mapping[str, list[Clause]] | None:
    """Return the lists of clauses of an unnamed ``bool``; None for any other clause, which has to stay whole."""
    body = clause.get("bool")
    if not isinstance(body, dict) or "_name" in body:
        return None
    return {key: as_objects(value) for key, value in body.items() if key != "minimum_should_match"}


def _bool(occurs: Mapping[str, list[Clause]]) -> Clause:
    """Return the ``bool`` of lists of clauses by their occurrence, or a clause alone where ``bool`` adds nothing."""
    filled = {key: value for key, value in occurs.items() if value}
    if not filled:
        raise ValueError("a query needs at least one clause")
    if set(filled) in ({"filter"}, {"should"}):
        [(_, clauses)] = filled.items()
        if len(clauses) == 1:
            return clauses[0]
    body: JsonObject = {key: [*value] for key, value in filled.items()}
    if "should" in filled:
        body["minimum_should_match"] = 1
    return {"bool": body}


def _distinct(clauses: list[Clause]) -> list[Clause]:
    if len(clauses) < 2:
        return clauses
    # Compared as text: Python holds 1 and true for equal, JSON does not.
    return list({str(clause): clause for clause in clauses}.values())


def _joined_terms(clauses: list[Clause]) -> list[Clause]:
    """Join all exact values of one field in one ``term`` or ``terms``, at the place of the first."""
    result: list[Clause] = []
    place: dict[str, int] = {}
    # Python holds 1 and true for equal, JSON does not.
    values: dict[str, dict[tuple[type, Scalar], Scalar]] = {}
    for clause in clauses:
        exact = _exact_values(clause)
        if exact is None:
            result.append(clause)
            continue
        field, more = exact
        if field not in values:
            place[field], values[field] = len(result), {}
            result.append(clause)
        for value in more:
            values[field].setdefault((type(value), value), value)
    for field, of_field in values.items():
        found = [*of_field.values()]
        result[place[field]] = term(field, found[0]) if len(found) == 1 else terms(field, found)
    return result


def _exact_values(clause: Clause) -> tuple[str, list[Scalar]] | None:
    """Return the field and the values of a ``term`` or ``terms`` without options; None for any other clause."""
    kind, body = _split(clause)
    if kind not in ("term", "terms") or "_name" in body or len(body) != 1:
        return None
    [(field, options)] = body.items()
    if isinstance(options, list):
        return field, [as_scalar(value) for value in options]
    value = as_object(options)
    return None if len(value) > 1 else (field, [as_scalar(value["value"])])
