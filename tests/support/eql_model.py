"""EQL as Elasticsearch understands it. No engine here runs EQL: its module is not published as an artefact.

Texts are read by Elastic's own parser in Python (the package eql), with which Elastic checks the rules that it ships.
Conditions become the Query DSL that Elasticsearch makes of them (x-pack/plugin/eql: ``ExpressionBuilder``,
``QueryTranslator``, ``Optimizer``; x-pack/plugin/ql: ``ExpressionTranslators``), and a sequence is followed as "How
sequence queries handle matches" in the EQL syntax reference says. A key that is null is dropped, each value of a list
is a key (elastic/elasticsearch#89965), and ``maxspan`` has both its ends (``SequenceMatcher``).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from eql import parse_query
from eql.parser import allow_runs, elasticsearch_syntax, lark_parser, skip_optimizations
from lark import Token, Tree

Clause = dict[str, Any]

NOTHING: Clause = {"exists": {"field": "a field that no event has"}}

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"'}


class Step(NamedTuple):
    """A condition of a sequence, with what it is joined by."""

    query: Clause
    by: tuple[str, ...]


class EqlSequence(NamedTuple):
    """A sequence; a step that is repeated is there as often."""

    steps: list[Step]
    millis: int
    """Of maxspan."""


def condition_query(text: str, mapped: Collection[str] | None = None) -> Clause:
    """The query that Elasticsearch makes of a condition, where only some fields are mapped, or all."""
    [step] = sequence_of(f"sequence with maxspan=1s [any where {text}] with runs=2", mapped).steps[:1]
    return step.query


def sequence_of(text: str, mapped: Collection[str] | None = None) -> EqlSequence:
    """Read a sequence, as Elasticsearch does where only some fields are mapped, or all."""
    with elasticsearch_syntax, allow_runs, skip_optimizations:
        # Refuses more than the grammar does.
        parse_query(text)
    [sequence] = lark_parser.parse(f"{text}\n", start="piped_query").find_data("sequence")
    [span] = sequence.find_data("time_range")
    number, unit = (str(part.children[0]) for part in span.children)
    common = _keys(sequence)
    steps: list[Step] = []
    for part in sequence.children:
        if isinstance(part, Tree) and part.data == "subquery_by":
            [event] = part.find_data("event_query")
            query = _known(_query(event.children[1], mapped))
            runs = [int(str(each.children[-1])) for each in part.find_data("repeated_sequence")]
            steps += [Step(query, (*common, *_keys(part)))] * (runs[0] if runs else 1)
    return EqlSequence(steps, int(number) * _SECONDS[unit] * 1000)


def followed(
    sequence: EqlSequence,
    events: Iterable[tuple[int, Mapping[str, Sequence[str]]]],
    matches: Callable[[Clause, Mapping[str, Sequence[str]]], bool],
) -> list[tuple[tuple[str, ...], list[int]]]:
    """The keys of complete sequences, each with the times of its events; those of one time come in their order."""
    pending: dict[tuple[str, ...], list[list[int] | None]] = {}
    complete: list[tuple[tuple[str, ...], list[int]]] = []
    last = len(sequence.steps) - 1
    for time, fields in sorted(events, key=lambda event: event[0]):
        # From the last step on, so that an event is no two steps of one sequence.
        for number, step in reversed([*enumerate(sequence.steps)]):
            if not matches(step.query, fields):
                continue
            for key in product(*(fields.get(name, ()) for name in step.by)):
                states = pending.setdefault(key, [None] * (last + 1))
                before = states[number - 1] if number else []
                if number:
                    states[number - 1] = None
                if before is None or (before and time - before[0] > sequence.millis):
                    continue
                # Overwrites an older one.
                states[number] = [*before, time]
                if number == last:
                    complete.append((key, [*before, time]))
    return complete


def _keys(node: Any) -> tuple[str, ...]:
    lists = [part for part in node.children if isinstance(part, Tree) and part.data == "join_values"]
    return tuple(_field(field) for each in lists for names in each.children for field in names.children)


def _known(clause: Clause | None) -> Clause:
    """What a filter makes of a condition of which a null was all that is known."""
    return NOTHING if clause is None else clause


def _query(node: Any, mapped: Collection[str] | None) -> Clause | None:
    """The query of a part of a condition; None for null, which is neither true nor false."""
    parts = node.children
    if node.data == "and_expr":
        found = [_query(part, mapped) for part in parts]
        known = [part for part in found if part is not None]
        return {"bool": {"filter": known}} if len(known) == len(found) else None
    if node.data == "or_expr":
        found = [_query(part, mapped) for part in parts]
        known = [part for part in found if part is not None]
        return {"bool": {"should": known, "minimum_should_match": 1}} if known else None
    if node.data == "not_expr":
        negated = _query(parts[-1], mapped)
        return None if negated is None else {"bool": {"must_not": [negated]}}
    if node.data == "function_call":
        name, arguments = parts
        assert name == "cidrMatch"
        field, *networks = arguments.children
        return _asked(field, mapped, lambda at: {"terms": {at: [_value(network) for network in networks]}})
    if node.data == "in_set":
        field, operator, values = parts
        return _asked(field, mapped, lambda at: _in(at, str(operator), list(map(_value, values.children))))
    if node.data == "string_predicate":
        field, operator, *values = parts
        return _asked(field, mapped, lambda at: _any(_pattern(at, str(operator), _value(value)) for value in values))
    assert node.data == "comparison", node.data
    field, operator, value = parts
    if _value(value) is None:
        return _null_check(_field(field), str(operator), mapped)
    return _asked(field, mapped, lambda at: {"range": {at: {_BOUNDS[str(operator)]: _value(value)}}})


def _asked(field: Any, mapped: Collection[str] | None, query: Callable[[str], Clause]) -> Clause | None:
    """A query on a field; null where no index has the field, which has to be optional then."""
    name = _field(field)
    if mapped is None or name in mapped:
        return query(name)
    assert str(field.children[0]).startswith("?"), f"Unknown column [{name}]"
    return None


def _null_check(name: str, operator: str, mapped: Collection[str] | None) -> Clause:
    is_mapped = mapped is None or name in mapped
    present: Clause = {"exists": {"field": name}} if is_mapped else NOTHING
    return present if operator == "!=" else {"bool": {"must_not": [present]}}


def _in(name: str, operator: str, values: list[Any]) -> Clause:
    if operator == "in":
        return {"terms": {name: values}}
    return _any({"term": {name: {"value": value, "case_insensitive": True}}} for value in values)


def _pattern(name: str, operator: str, text: str) -> Clause:
    options = {"value": text, "case_insensitive": operator.endswith("~")}
    if operator.startswith("regex"):
        return {"regexp": {name: options}}
    # StringUtils.toLikePattern knows no escape, and LikePattern.asLuceneWildcard escapes what is left.
    return {"wildcard": {name: {**options, "value": text.replace("\\", "\\\\")}}}


def _any(clauses: Iterable[Clause]) -> Clause:
    return {"bool": {"should": [*clauses], "minimum_should_match": 1}}


def _field(node: Any) -> str:
    """The name of a field, without what marks and escapes it."""
    text = "".join(str(token) for token in node.scan_values(lambda token: isinstance(token, Token)))
    return text.removeprefix("?").replace("`", "")


def _value(node: Any) -> Any:
    """The value of a literal."""
    if node.data == "value":
        return -_value(node.children[1])
    [literal] = node.children
    token = str(literal.children[0]) if literal.children else ""
    if literal.data == "null":
        return None
    if literal.data == "boolean":
        return token == "true"
    if literal.data == "number":
        return float(token) if "." in token or "e" in token.lower() else int(token)
    return _unquoted(token)


def _unquoted(token: str) -> str:
    found, rest = "", token[1:-1]
    while rest:
        if rest.startswith("\\u{"):
            code, _, rest = rest[3:].partition("}")
            found += chr(int(code, 16))
        elif rest.startswith("\\"):
            found, rest = found + _ESCAPES[rest[1]], rest[2:]
        else:
            found, rest = found + rest[0], rest[1:]
    return found
