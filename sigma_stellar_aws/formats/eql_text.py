r"""Queries as conditions of EQL, Elasticsearch's language for sequences of events.

Elasticsearch makes Query DSL of such conditions again (``QueryTranslator`` and ``ExpressionTranslators`` in its
sources), so each leaf of a query is written as what becomes that same leaf:

===========================  ==================================
``?f in ("v")``              ``terms``, also for one value: ``==`` is simplified as if a field had one value only
``?f in~ ("v")``             ``term`` without regard to case; unlike ``:`` it takes ``*`` and ``?`` for themselves
``?f like "v*"``, ``like~``  ``wildcard``; there is no escape for ``*`` and ``?``, where a pattern has to do
``?f regex "v+"``, regex~    ``regexp`` with its optional operators, which our patterns escape anyway
``?f != null``               ``exists``
``cidrMatch(?f, "v/24")``    ``terms`` on a field of addresses
===========================  ==================================

A field with ``?`` is null where no index has it, and the query goes on; without, it is an error. What is not known of a
null is not known of its negation either, so that a negation stands at its leaf and allows for null.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from sigma_stellar_aws.base.json_types import Json, Scalar, as_object, as_scalar
from sigma_stellar_aws.query import lucene_regex
from sigma_stellar_aws.query.dsl import Clause, clauses_of, leaves
from sigma_stellar_aws.query.store_profile import MappedField, StoreProfile, parents

TEXT, NUMBER, BOOLEAN, ADDRESS, TIME = "text", "number", "boolean", "address", "time"
"""What EQL can compare: kinds of fields."""


_KindOf: TypeAlias = Callable[[str], str]


class NoEqlError(ValueError):
    """EQL cannot ask this; the message is the reason."""


class _Test(NamedTuple):
    """What is asked of one field."""

    field: str
    operator: str
    values: tuple[str, ...] = ()
    """As EQL writes them."""


def condition(clause: Clause, store: StoreProfile | None, keyword_suffix: str = "") -> str:
    """Return a query as a condition of EQL.

    >>> print(condition({"terms": {"eventName": ["CreateKey", "PutKeyPolicy"]}}, None))
    ?eventName in ("CreateKey", "PutKeyPolicy")

    Args:
        clause: the query.
        store: profile of the data store; without one every field is taken for a keyword.
        keyword_suffix: without a profile, what the names of fields with exact text end with, if anything.

    Raises:
        NoEqlError: EQL cannot ask what it asks.
    """
    return _text(clause, partial(kind_of, store=store, keyword_suffix=keyword_suffix), negated=False, alone=True)


def eql_name(name: str) -> str:
    """Return the name of a field as EQL writes it.

    >>> eql_name("aws.cloudtrail.user_identity.arn"), eql_name("requestParameters_x-amz-acl"), eql_name("a.by")
    ('aws.cloudtrail.user_identity.arn', '`requestParameters_x-amz-acl`', 'a.`by`')
    """
    return ".".join(
        part if _PLAIN.fullmatch(part) and part not in _KEYWORDS else f"`{part.replace('`', '``')}`"
        for part in name.split(".")
    )


def kind_of(name: str, store: StoreProfile | None, keyword_suffix: str) -> str:
    """Return what kind of values EQL takes a field for; arguments are those of :func:`condition`.

    Raises:
        NoEqlError: it has no such fields, or the indices disagree.
    """
    if name.startswith("_"):
        raise NoEqlError(f"field {name!r}: EQL knows no fields that Elasticsearch adds to events")
    if store is None:
        return _kind_unseen(name, keyword_suffix)
    mappings = list(_mappings(name, store))
    if not mappings:
        raise NoEqlError(f"field {name!r}: no index has it, which is an error in EQL")
    kinds = {_KINDS.get(mapped.type, "") for mapped in mappings if not mapped.inside}
    types = ", ".join(sorted({mapped.type for mapped in mappings}))
    if any(mapped.inside for mapped in mappings) or kinds == {""}:
        raise NoEqlError(f"field {name!r}: EQL does not ask fields of its type ({types})")
    if len(kinds) > 1:
        raise NoEqlError(f"field {name!r}: its type differs between the indices ({types}), which is an error in EQL")
    return kinds.pop()


def _kind_unseen(name: str, suffix: str) -> str:
    if name.startswith(_ECS_FLATTENED):
        raise NoEqlError(f"field {name!r}: EQL knows no fields inside an object of the type flattened")
    if suffix and not name.endswith(suffix):
        raise NoEqlError(f"field {name!r}: EQL needs to know its type; give a store profile (store=FILE)")
    return TEXT


def _mappings(name: str, store: StoreProfile) -> Iterator[MappedField]:
    """Return the mappings of a field, or of a sub-field that has this name."""
    yield from store.mappings(name)
    for around in parents(name):
        for mapped in store.fields.get(around, ()):
            yield from (subfield for subfield in mapped.subfields if subfield.name == name)


def _text(clause: Clause, kind_of_field: _KindOf, *, negated: bool, alone: bool = False) -> str:
    """Return a clause, or its negation, as a condition; in parentheses if it has parts and does not stand alone."""
    body = clause.get("bool")
    if not isinstance(body, dict):
        return _written(_test(clause, kind_of_field), negated)
    required = [(child, negated) for child in clauses_of(body, "filter")]
    required += [(child, not negated) for child in clauses_of(body, "must_not")]
    _refuse_several_bounds(child for child, _ in required)
    parts = [_text(child, kind_of_field, negated=reverse) for child, reverse in required]
    if alternatives := clauses_of(body, "should"):
        tests = _lists(_test(child, kind_of_field) for child in alternatives if "bool" not in child)
        groups = [_text(child, kind_of_field, negated=negated) for child in alternatives if "bool" in child]
        only = alone and not parts
        parts.append(_joined([*(_written(test, negated) for test in tests), *groups], not negated, only))
    return _joined(parts, negated, alone)


def _test(clause: Clause, kind_of_field: _KindOf) -> _Test:
    [(kind, field, options), *others] = leaves(clause)
    if others:
        raise NoEqlError(f"field {field!r}: EQL does not compare two fields")
    values = kind_of_field(field)
    if kind == "exists":
        return _Test(field, "!= null")
    if kind in ("term", "terms"):
        return _equality(field, options, values)
    if kind == "range":
        return _comparison(field, options, values)
    if kind not in _PATTERNS or values != TEXT:
        raise NoEqlError(f"field {field!r}: EQL has nothing like a {kind} query on its type")
    return _pattern(kind, field, as_object(options))


def _equality(field: str, options: Json, kind: str) -> _Test:
    asked = options if isinstance(options, list) else [as_object(options)["value"]]
    values = [as_scalar(value) for value in asked]
    if kind == ADDRESS:
        return _Test(field, "cidrMatch", tuple(_quoted(_network(str(value))) for value in values))
    if kind == TIME:
        raise NoEqlError(f"field {field!r}: EQL does not compare times exactly")
    operator = "in~" if _ignores_case(options) else "in"
    return _Test(field, operator, tuple(_literal(value, kind) for value in values))


def _comparison(field: str, options: Json, kind: str) -> _Test:
    bounds = list(as_object(options).items())
    if kind != NUMBER or len(bounds) != 1:
        raise NoEqlError(f"field {field!r}: EQL does not compare it exactly, since it is no number")
    [(operator, bound)] = bounds
    return _Test(field, _COMPARISONS[operator], (_literal(as_scalar(bound), kind),))


def _pattern(kind: str, field: str, options: dict[str, Json]) -> _Test:
    value, case = str(options["value"]), "~" if _ignores_case(options) else ""
    if "max_determinized_states" in options:
        raise NoEqlError(f"field {field!r}: its pattern repeats more than EQL allows for")
    if kind == "regexp":
        return _Test(field, f"regex{case}", (_quoted(value),))
    if kind == "prefix":
        if not set(value) & set("*?\\"):
            return _Test(field, f"like{case}", (_quoted(f"{value}*"),))
        return _Test(field, f"regex{case}", (_quoted(f"{lucene_regex.escape(value)}.*"),))
    if "\\" not in value:
        return _Test(field, f"like{case}", (_quoted(value),))
    pieces = re.findall(r"\\.|.", value, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    regex = "".join(wild[piece] if piece in wild else lucene_regex.escape(piece[-1]) for piece in pieces)
    return _Test(field, f"regex{case}", (_quoted(regex),))


def _lists(tests: Iterable[_Test]) -> list[_Test]:
    """Join tests of one field that take a list of values."""
    found: dict[tuple[str, str], _Test] = {}
    for number, test in enumerate(tests):
        place = (test.field, test.operator if test.operator in _TAKE_LISTS else str(number))
        known = found.get(place)
        found[place] = test if known is None else known._replace(values=(*known.values, *test.values))
    return list(found.values())


def _written(test: _Test, negated: bool) -> str:
    if not negated:
        return _assertion(test)
    null = f"?{eql_name(test.field)} == null"
    if test.operator == "!= null":
        return null
    if test.operator in _COMPARISONS.values():
        raise NoEqlError(f"field {test.field!r}: EQL turns a negated comparison around, as if it had one value")
    return f"({null} or not {_assertion(test)})"


def _assertion(test: _Test) -> str:
    field, values = f"?{eql_name(test.field)}", ", ".join(test.values)
    if test.operator == "cidrMatch":
        return f"cidrMatch({field}, {values})"
    listed = test.operator in ("in", "in~") or len(test.values) > 1
    return f"{field} {test.operator} {f'({values})' if listed else values}".rstrip()


def _joined(parts: Sequence[str], is_or: bool, alone: bool) -> str:
    text = (" or " if is_or else " and ").join(parts)
    return text if alone or len(parts) == 1 else f"({text})"


def _refuse_several_bounds(clauses: Iterable[Clause]) -> None:
    """Refuse what EQL would join to one range, or take for a contradiction, though a list of values can meet both."""
    seen: set[str] = set()
    for clause in clauses:
        if "bool" in clause:
            continue
        for kind, field, _ in leaves(clause):
            if kind in ("range", "regexp"):
                if field in seen:
                    raise NoEqlError(f"field {field!r}: EQL takes two such conditions on it as if it had one value")
                seen.add(field)


def _literal(value: Scalar, kind: str) -> str:
    return _quoted(value if isinstance(value, str) else json.dumps(value)) if kind == TEXT else json.dumps(value)


def _quoted(text: str) -> str:
    """Write a string.

    >>> print(_quoted('say "a\\\\b"\\x07'))
    "say \\"a\\\\b\\"\\u{07}"
    """
    return '"' + "".join(_ESCAPES.get(c, c if c >= " " else f"\\u{{{ord(c):02x}}}") for c in text) + '"'


def _network(text: str) -> str:
    return text if "/" in text else f"{text}/{128 if ':' in text else 32}"


def _ignores_case(options: Json) -> bool:
    return isinstance(options, dict) and options.get("case_insensitive") is True


_PATTERNS = ("prefix", "wildcard", "regexp")
_TAKE_LISTS = frozenset({"in", "in~", "like", "like~", "regex", "regex~", "cidrMatch"})
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ECS_FLATTENED = "aws.cloudtrail.flattened."
_PLAIN = re.compile(r"[A-Za-z_@][A-Za-z0-9_]*")
_KEYWORDS = frozenset(
    {
        *("and", "any", "by", "false", "in", "join", "like", "maxspan", "not", "null", "of", "or", "regex", "sample"),
        *("sequence", "true", "until", "where", "with"),
    }
)
_KINDS = {
    **dict.fromkeys(("keyword", "constant_keyword", "wildcard"), TEXT),
    **dict.fromkeys(("byte", "short", "integer", "long", "float", "double"), NUMBER),
    **dict.fromkeys(("half_float", "scaled_float"), NUMBER),
    **dict.fromkeys(("date", "date_nanos"), TIME),
    "boolean": BOOLEAN,
    "ip": ADDRESS,
}
