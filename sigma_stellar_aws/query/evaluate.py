"""Evaluates the Query DSL that the backend emits on flattened documents, without a server.

The semantics are those of an index made from :mod:`sigma_stellar_aws.query.index_template`: every field is a keyword (a
number or a boolean is its text) except the time, a field may have several values, ``case_insensitive`` covers ASCII
letters. One thing differs: an index cannot find values longer than its limit, which are found here.
A clause that is not known is an error, never a miss.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar, as_object, as_scalar, as_string
from sigma_stellar_aws.base.times import epoch_millis
from sigma_stellar_aws.query.dsl import COMPARE_FIELDS, Clause, clauses_of, named_clauses
from sigma_stellar_aws.query.linear import TextTest, ascii_lower, wildcard_test
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document, name_test, stands_for_several, text_of

Predicate: TypeAlias = Callable[[Document], bool]
"""Says whether a document matches."""

_COMPARISONS: dict[str, Callable[[str | float, str | float], bool]] = {
    "gt": lambda a, b: a > b,  # type: ignore[operator]
    "gte": lambda a, b: a >= b,  # type: ignore[operator]
    "lt": lambda a, b: a < b,  # type: ignore[operator]
    "lte": lambda a, b: a <= b,  # type: ignore[operator]
}


class UnknownClauseError(ValueError):
    """A clause that the backend never emits."""


def compile_query(query: Clause) -> Predicate:
    """Return a function that says whether a document matches a query.

    >>> matches = compile_query({"prefix": {"eventName": {"value": "delete", "case_insensitive": True}}})
    >>> matches({"eventName": "DeleteRule"}), matches({"eventName": "CreateKey"})
    (True, False)

    Raises:
        UnknownClauseError: the query has a clause, or an option of one, that is not known here.
    """
    kind, body = _only(query)
    if not isinstance(body, dict):
        raise UnknownClauseError(f"the body of a {kind} clause must be an object")
    if kind == "bool":
        return _bool(body)
    if kind == "exists":
        return _exists(body)
    if kind == "script":
        return _compared_fields(body)
    field, options = _only({key: value for key, value in body.items() if key != "_name"})
    if kind == "range":
        return _range(field, options)
    return _any_value(field, _text_test(kind, options))


def matched_queries(query: Clause) -> Callable[[Document], list[str]]:
    """Return a function that lists the names of all named clauses that a document matches, if it matches the query.

    This is what the key ``matched_queries`` of a hit says.

    Raises:
        UnknownClauseError: as :func:`compile_query`.
    """
    whole = compile_query(query)
    named = [(name, compile_query(clause)) for name, clause in named_clauses(query)]
    return lambda document: [name for name, matches in named if matches(document)] if whole(document) else []


def _bool(body: JsonObject) -> Predicate:
    return combined(*([compile_query(clause) for clause in clauses] for clauses in bool_parts(body)))


def bool_parts(body: JsonObject) -> tuple[list[Clause], list[Clause], list[Clause]]:
    """Return what a ``bool`` requires, what it excludes, and its alternatives.

    Raises:
        UnknownClauseError: it says something else, too.
    """
    _known(body, {"filter", "must_not", "should", "minimum_should_match", "_name"})
    required, excluded, alternatives = (clauses_of(body, occurrence) for occurrence in ("filter", "must_not", "should"))
    if alternatives and body.get("minimum_should_match") != 1:
        raise UnknownClauseError("a should needs minimum_should_match: 1")
    return required, excluded, alternatives


def combined(
    required: Sequence[Predicate], excluded: Sequence[Predicate], alternatives: Sequence[Predicate]
) -> Predicate:
    """Return what a ``bool`` means: all of the required, none of the excluded, and one of the alternatives if any."""
    if len(required) == 1 and not excluded and not alternatives:
        return required[0]

    # Loops, as generators take several times as long.
    def matches(document: Document) -> bool:
        for test in required:
            if not test(document):
                return False
        for test in excluded:
            if test(document):
                return False
        for test in alternatives:
            if test(document):
                return True
        return not alternatives

    return matches


def _exists(body: JsonObject) -> Predicate:
    _known(body, {"field", "_name"})
    field = as_string(body["field"])
    if stands_for_several(field):
        return _any_of_several(field, lambda text: True)
    # A document has no nulls and no empty lists.
    return lambda document: field in document


def _compared_fields(body: JsonObject) -> Predicate:
    _known(body, {"script", "_name"})
    script = as_object(body["script"])
    if script.get("source") != COMPARE_FIELDS:
        raise UnknownClauseError("a script that is not this project's own")
    params = as_object(script["params"])
    field, other, how = (as_string(params[key]) for key in ("field", "other", "how"))
    fold = _folded if params["ignore_case"] is True else str
    relation = _RELATIONS[how]

    def matches(document: Document) -> bool:
        others = [fold(text) for text in _texts_of(document.get(other))]
        return any(relation(fold(text), each) for text in _texts_of(document.get(field)) for each in others)

    return matches


def _folded(text: str) -> str:
    """Return a text without regard to case, as the script makes it: each UTF-16 unit by itself."""
    return text.lower() if text.isascii() else "".join(map(_folded_character, text))


@cache
def _folded_character(character: str) -> str:
    if ord(character) > 0xFFFF:
        return character
    upper = character.upper()
    upper = upper if len(upper) == 1 else character
    lower = upper.lower()
    return lower if len(lower) == 1 else lower[0]


def _texts_of(value: Scalar | list[Scalar] | None) -> list[str]:
    return [] if value is None else [text_of(one) for one in (value if isinstance(value, list) else [value])]


_RELATIONS: dict[str, Callable[[str, str], bool]] = {
    "is": str.__eq__,
    "contains": str.__contains__,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def _any_of_several(name: str, test: TextTest) -> Predicate:
    is_meant = name_test(name)
    # The time that flattening adds is not a value of the event.
    return lambda document: any(
        test(text)
        for field, value in document.items()
        if field != TIME_FIELD and is_meant(field)
        for text in _texts_of(value)
    )


def _any_value(field: str, test: TextTest) -> Predicate:
    if stands_for_several(field):
        return _any_of_several(field, test)

    def matches(document: Document) -> bool:
        value = document.get(field)
        if isinstance(value, str):
            return test(value)
        if value is None:
            return False
        values = value if isinstance(value, list) else (value,)
        return any(test(text) for text in map(text_of, values))

    return matches


def _text_test(kind: str, options: Json) -> TextTest:
    if kind == "terms" and isinstance(options, list):
        return frozenset(text_of(as_scalar(value)) for value in options).__contains__
    if not isinstance(options, dict):
        raise UnknownClauseError(f"a {kind} clause needs the long form, with a value")
    _known(options, {"value", "case_insensitive", *(["flags", "max_determinized_states"] if kind == "regexp" else [])})
    value = text_of(as_scalar(options["value"]))
    ignore_case = options.get("case_insensitive") is True
    if kind == "term":
        return _ignoring_case(str.__eq__, value, ignore_case)
    if kind == "prefix":
        return _ignoring_case(str.startswith, value, ignore_case)
    if kind == "wildcard":
        return _wildcard(value, ignore_case)
    if kind == "regexp":
        if options.get("flags") != "NONE":
            raise UnknownClauseError("a regexp needs flags: NONE")
        return _regexp(value, ignore_case)
    raise UnknownClauseError(f"unknown query type {kind!r}")


def _ignoring_case(test: Callable[[str, str], bool], value: str, ignore_case: bool) -> TextTest:
    if not ignore_case:
        return lambda text: test(text, value)
    lowered = ascii_lower(value)
    return lambda text: test(ascii_lower(text), lowered)


def _wildcard(pattern: str, ignore_case: bool) -> TextTest:
    if not ignore_case:
        return wildcard_test(pattern)
    test = wildcard_test(ascii_lower(pattern))
    return lambda text: test(ascii_lower(text))


def _regexp(pattern: str, ignore_case: bool) -> TextTest:
    # RE2 and what it needs take a tenth of our start, and few rules have a regular expression.
    from sigma_stellar_aws.base.regex_tree import UnsupportedRegexError
    from sigma_stellar_aws.query.linear_regex import regex_test

    try:
        return regex_test(pattern, ignore_case=ignore_case)
    except UnsupportedRegexError as error:
        raise UnknownClauseError(f"the regular expression {pattern!r} {error}") from error


def _range(field: str, options: Json) -> Predicate:
    if not isinstance(options, dict):
        raise UnknownClauseError("a range clause needs limits")
    limits = {name: limit for name, limit in options.items() if name != "format"}
    _known(limits, set(_COMPARISONS))
    if field != TIME_FIELD:
        tests = [(_COMPARISONS[name], text_of(as_scalar(limit))) for name, limit in limits.items()]
        return _any_value(field, lambda text: all(compare(text, limit) for compare, limit in tests))
    times = [(_COMPARISONS[name], _millis(limit)) for name, limit in limits.items()]

    def matches(document: Document) -> bool:
        value = document.get(field)
        return isinstance(value, int) and all(compare(value, limit) for compare, limit in times)

    return matches


def _millis(limit: Json) -> float:
    if isinstance(limit, (int, float)):
        return limit
    if isinstance(limit, str):
        if re.fullmatch(r"-?\d+", limit):
            return int(limit)
        time = epoch_millis(limit)
        if time is not None:
            return time
    raise UnknownClauseError(f"{limit!r} is not a time")


def _only(body: JsonObject) -> tuple[str, Json]:
    if len(body) != 1:
        raise UnknownClauseError(f"expected one key, not {sorted(body)}")
    [(key, value)] = body.items()
    return key, value


def _known(body: JsonObject, keys: set[str]) -> None:
    if unknown := sorted(set(body) - keys):
        raise UnknownClauseError(f"unknown: {', '.join(unknown)}")
