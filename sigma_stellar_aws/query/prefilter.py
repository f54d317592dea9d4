"""Which clauses of a query can match an event, told by its ``eventSource`` and ``eventName`` alone.

Almost every rule tests these two, so that most records need not be decoded, and of those that are, only a few rules are
asked. Clauses are found by the names that they demand; what they say of the two fields is decided once for each pair of
values, and only the rest is asked of an event.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from sigma_stellar_aws.base.json_types import Json, JsonObject, as_scalar
from sigma_stellar_aws.logs.screening import Screen
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause, clauses_of
from sigma_stellar_aws.query.evaluate import Predicate, bool_parts, combined, compile_query
from sigma_stellar_aws.query.linear import ascii_lower
from sigma_stellar_aws.reference.flat_schema import Document, text_of

# A flattened name without an underscore can only come from the key of the same name at the top of a record.
_SOURCE, _NAME = "eventSource", "eventName"
SCREENED_FIELDS = (_SOURCE, _NAME)

Candidates = Sequence[tuple[str, Predicate]]
"""Names of clauses that can match, each with what is still to be asked of the event."""


class _Part(NamedTuple):
    """A clause, compiled, with its parts if it is a ``bool``."""

    matches: Predicate
    is_decided: bool
    """By the screened fields alone."""
    is_open: bool
    """They decide nothing of it."""
    required: "Sequence[_Part]" = ()
    excluded: "Sequence[_Part]" = ()
    alternatives: "Sequence[_Part]" = ()


def anything(document: Document) -> bool:
    """Match every document."""
    return True


def screen(query: Clause) -> Screen:
    """Derive the screen of a query: it lets every record pass that can match."""
    candidates = screened(dsl.named(query, "the query"))
    return lambda source, name: bool(candidates(source, name))


def screened(query: Clause) -> Callable[[object, object], Candidates]:
    """Return a function of eventSource and eventName that lists the named clauses of a query that can match.

    Each comes with what is left to ask, :func:`anything` where nothing is. A clause is compiled when an event first
    asks for it: of hundreds of rules, a log has events of a few dozen.

    Raises:
        UnknownClauseError: by the function that is returned, as :func:`sigma_stellar_aws.query.evaluate.compile_query`.
    """
    clauses = [*dsl.named_clauses(query)]
    compiled: dict[str, _Part] = {}
    by_value: dict[str, defaultdict[str, list[int]]] = {field: defaultdict(list) for field in SCREENED_FIELDS}
    others: list[int] = []
    for number, (_, clause) in enumerate(clauses):
        for field in (_NAME, _SOURCE):
            if (values := demanded_values(clause, field)) is not None:
                for value in values:
                    by_value[field][value].append(number)
                break
        else:
            others.append(number)

    @cache
    def part(number: int) -> _Part:
        return _part(clauses[number][1], compiled)

    @cache
    def everything() -> Candidates:
        return [(name, part(number).matches) for number, (name, _) in enumerate(clauses)]

    @lru_cache(maxsize=65536)
    def of_texts(source: str, name: str) -> Candidates:
        known: Document = {_SOURCE: source, _NAME: name}
        found = [*others]
        for field, text in ((_SOURCE, source), (_NAME, name)):
            found += by_value[field].get(ascii_lower(text), ())
        rest = [(clauses[number][0], _rest(part(number), known)) for number in sorted(found)]
        return tuple((clause_name, matches) for clause_name, matches in rest if matches is not None)

    return lambda source, name: (
        of_texts(source, name) if isinstance(source, str) and isinstance(name, str) else everything()
    )


def _part(clause: Clause, compiled: dict[str, _Part]) -> _Part:
    """Compile a clause; what several rules say is compiled once."""
    key = str(clause)
    if (known := compiled.get(key)) is None:
        body = clause.get("bool")
        known = compiled[key] = _bool(body, compiled) if isinstance(body, dict) else _leaf(clause)
    return known


def _bool(body: JsonObject, compiled: dict[str, _Part]) -> _Part:
    groups = [[_part(clause, compiled) for clause in clauses] for clauses in bool_parts(body)]
    parts = [part for group in groups for part in group]
    return _Part(
        combined(*([part.matches for part in group] for group in groups)),
        all(part.is_decided for part in parts),
        all(part.is_open for part in parts),
        *groups,
    )


def _leaf(clause: Clause) -> _Part:
    screened = [field in SCREENED_FIELDS for _, field, _ in dsl.leaves(clause)]
    return _Part(compile_query(clause), all(screened), not any(screened))


def _rest(part: _Part, known: Document) -> Predicate | None:
    """Return what is left to ask where the screened fields are known; None where the clause cannot match any more."""
    if part.is_decided:
        return anything if part.matches(known) else None
    if part.is_open or not (part.required or part.excluded or part.alternatives):
        return part.matches
    required, excluded, alternatives = (
        [_rest(each, known) for each in group] for group in (part.required, part.excluded, part.alternatives)
    )
    possible = [each for each in alternatives if each is not None]
    if None in required or anything in excluded or (alternatives and not possible):
        return None
    asked = (
        [each for each in required if each is not None and each is not anything],
        [each for each in excluded if each is not None],
        [] if anything in possible else possible,
    )
    return combined(*asked) if any(asked) else anything


def demanded_values(clause: Clause, field: str) -> frozenset[str] | None:
    """Return the values, in lower case, of which a field must have one for a clause to match; None for any.

    Only those are told that are written out; prefixes and patterns demand something as well.
    """
    body = clause.get("bool")
    if isinstance(body, dict):
        demands = [demanded_values(child, field) for child in clauses_of(body, "filter")]
        if alternatives := [demanded_values(child, field) for child in clauses_of(body, "should")]:
            some = [values for values in alternatives if values is not None]
            demands.append(frozenset().union(*some) if len(some) == len(alternatives) else None)
        return min((values for values in demands if values is not None), key=len, default=None)
    [(kind, asked, options)] = [*dsl.leaves(clause)][:1]
    if asked != field or kind not in ("term", "terms"):
        return None
    return frozenset(ascii_lower(text_of(as_scalar(value))) for value in _values(options))


def _values(options: Json) -> list[Json]:
    return options if isinstance(options, list) else [options["value"]] if isinstance(options, dict) else []
