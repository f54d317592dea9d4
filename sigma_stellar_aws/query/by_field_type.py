"""What a condition asks of the values of a field, and the query that asks it, by the type of the field.

A query is exact, or it says in one sentence what it may get wrong (its doubt), or there is none. Types and their
queries: "Field data types" in the Elasticsearch reference and "Supported field types" in OpenSearch's.
"""

import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from ipaddress import IPv6Network, ip_address
from typing import NoReturn

from sigma_stellar_aws.query import decimal_regex, dsl, lucene_regex
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.index_template import IGNORE_ABOVE
from sigma_stellar_aws.query.networks import in_network
from sigma_stellar_aws.query.questions import (
    UNTYPED,
    Ask,
    Boolean,
    Comparison,
    Doubt,
    FieldQuery,
    Network,
    NoQueryError,
    Number,
    Pattern,
    Present,
    Text,
    needs_case,
)
from sigma_stellar_aws.query.store_profile import (
    ANALYSED,
    EARLY_FLAT_OBJECT,
    OBJECTS_OF_KEYWORDS,
    UNMAPPED,
    Engine,
    MappedField,
)
from sigma_stellar_aws.query.value_lengths import indexed_number, number_spellings, value_lengths
from sigma_stellar_aws.reference import ecs_fields
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.reference.flat_schema import flat_name

_NULL_VALUE = "its mapping has a null_value, so nulls count as values"
_DIFFERS = "its mapping differs between the indices: "
_LONGEST = {flat_name(name): field.longest for name, field in FIELDS.items() if field.longest is not None}
_LONGEST |= {flat_name(name): longest for name, longest in ecs_fields.LONGEST_INDEXED.items()}
# Types that round, and the whole numbers below which a whole number stays itself; its neighbours may become it.
_ROUNDED = {"float": 2**24, "half_float": 0, "scaled_float": 0}
_WHOLE = frozenset({"byte", "short", "integer", "long", "unsigned_long"})
_RANGES = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "unsigned_long": (0, 2**64 - 1),
    "half_float": (-65504, 65504),
}
_IPV4_IN_IPV6 = IPv6Network("::ffff:0:0/96")
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")


def field_query(ask: Ask, mappings: Sequence[MappedField], engine: Engine | None = None) -> FieldQuery:
    """Return the query that asks something of a field.

    Args:
        ask: what is asked of a value of the field.
        mappings: how the field is mapped, at least one; several where indices disagree.
        engine: the engine, where it is known: Elasticsearch keeps account of values that it does not index.

    Raises:
        NoQueryError: there is no such query.
    """
    mapped = [field for field in mappings if field.type != UNMAPPED]
    if not mapped:
        raise NoQueryError("the store keeps it out of its mapping, and nothing finds its values")
    if len(mappings) == 1 and not mapped[0].copied:
        return _best(ask, mapped[0], engine)
    found: list[FieldQuery] = []
    reasons: dict[str, str] = {}
    for field in mapped:
        try:
            found.append(_best(ask, field, engine))
        except NoQueryError as error:
            reasons[_described(field)] = str(error)
    if reasons and len(mapped) == 1:
        raise NoQueryError(*reasons.values())
    if reasons:
        raise NoQueryError(_DIFFERS + "; ".join(f"as {kind}, {reason}" for kind, reason in reasons.items()))
    return _joined(ask, mappings, mapped, found)


def _joined(
    ask: Ask, mappings: Sequence[MappedField], mapped: Sequence[MappedField], found: Sequence[FieldQuery]
) -> FieldQuery:
    """Join the queries on the mappings of one field, with the doubts that come from their differences."""
    clauses = [query.clause for query in found]
    doubts = [doubt for query in found for doubt in query.doubts]
    if len(mapped) < len(mappings):
        doubts.append(Doubt("loose", f"{_DIFFERS}some keep it out of the mapping, where nothing finds its values"))
    if any(field.copied for field in mapped):
        doubts.append(Doubt("loose", "other fields copy their values into it (copy_to)"))
    if isinstance(ask, Number) and all(field.type in _TAKE_NUMBERS for field in mapped):
        # Fields of numbers take all spellings of a number too.
        clauses = [_any_spelling(ask, mapped[0])] if any(clause != clauses[0] for clause in clauses) else clauses
    if any(clause != clauses[0] for clause in clauses):
        kinds = " and ".join(map(_described, mapped))
        if {field.type for field in mapped} - _TEXTS:
            raise NoQueryError(f"{_DIFFERS}{kinds} need different queries")
        doubts.append(Doubt("loose", f"{_DIFFERS}{kinds}; the query may find or miss values of one of them"))
    return FieldQuery(dsl.any_of(clauses), tuple(dict.fromkeys(doubts)))


def _best(ask: Ask, field: MappedField, engine: Engine | None) -> FieldQuery:
    """Return the query on the field, or on the one of its sub-fields that answers best."""
    longest = _LONGEST.get(flat_name(field.name))
    if not field.subfields:
        return _on_type(ask, field, longest, engine)
    found: list[tuple[bool, float, FieldQuery]] = []
    reasons: dict[str, str] = {}
    # A number of a sub-field is what its type makes of the value.
    candidates = [field, *(subfield for subfield in field.subfields if subfield.type in _TEXTS)]
    if isinstance(ask, Text | Pattern) and len(candidates) > 1:
        candidates.sort(key=lambda candidate: candidate.type not in _KEYWORDS)
    for candidate in candidates:
        try:
            query = _on_type(ask, candidate, longest, engine)
        except NoQueryError as error:
            reasons[candidate.name] = str(error) if candidate is field else f"{candidate.name}: {error}"
            continue
        if not query.doubts:
            return query
        loose = any(doubt.kind == "loose" for doubt in query.doubts)
        found.append((not loose, candidate.ignore_above or math.inf, query))
    if not found:
        # What is wrong with the field itself comes first.
        raise NoQueryError("; ".join(reasons[name] for name in sorted(reasons, key=len)))
    return max(found, key=lambda ranked: ranked[:2])[2]


def _on_type(ask: Ask, field: MappedField, longest: int | None, engine: Engine | None) -> FieldQuery:
    """Return the query on a field whose values have at most ``longest`` UTF-16 units, if that is known."""
    if field.type in OBJECTS_OF_KEYWORDS and not field.inside:
        raise NoQueryError(f"it is an object ({field.type}); name the field inside it, such as {field.name}.<name>")
    if isinstance(ask, Present):
        return _present(field, longest, engine)
    if not field.indexed:
        raise NoQueryError("it is not indexed (index: false), so nothing can be found in it")
    if field.null_value:
        raise NoQueryError(_NULL_VALUE)
    query = _QUERIES.get(field.type, _unknown)(ask, field)
    if field.ignore_above is None or field.type not in _KEYWORDS:
        return query
    least, most = value_lengths(ask)
    if least > field.ignore_above:
        raise NoQueryError(f"{_cut(field)}, and this one has at least {least}")
    # Where no limit is known, it is the most that every keyword field can hold: what is longer is beyond any mapping.
    if min(longest or IGNORE_ABOVE, IGNORE_ABOVE if most is None else most) > field.ignore_above:
        return FieldQuery(query.clause, (Doubt("cut", f"{_cut(field)}, so such a value is not found"),))
    return query


def _present(field: MappedField, longest: int | None, engine: Engine | None) -> FieldQuery:
    if field.type in (EARLY_FLAT_OBJECT, "nested"):
        return _QUERIES.get(field.type, _unknown)(Present(), field)
    if field.null_value:
        raise NoQueryError(_NULL_VALUE)
    if not field.indexed and not field.doc_values:
        raise NoQueryError("it is neither indexed nor has doc values, so nothing tells whether it has a value")
    exists = dsl.exists(field.name)
    limit = field.ignore_above if field.type in _KEYWORDS else None
    is_cut = limit is not None and (longest is None or longest > limit)
    if not is_cut and not field.ignore_malformed:
        return FieldQuery(exists)
    if engine == "elasticsearch" and not field.inside:
        return FieldQuery(dsl.any_of([exists, dsl.term("_ignored", field.stored_name or field.name)]))
    if not field.ignore_malformed and limit is not None and limit >= IGNORE_ABOVE:
        return FieldQuery(exists)
    unseen = _cut(field) if is_cut else f"values that are not of type {field.type} are not indexed (ignore_malformed)"
    return FieldQuery(exists, (Doubt("cut", f"{unseen}, so an event with no other value seems to have none"),))


def _keyword(ask: Ask, field: MappedField) -> FieldQuery:
    if field.normalizer == "other":
        raise NoQueryError("its normalizer changes more than case, so exact values cannot be found")
    if field.normalizer == "lowercase" and needs_case(ask):
        raise NoQueryError("its normalizer makes it lower case, so upper and lower case cannot be told apart")
    if field.normalizer == "lowercase" and isinstance(ask, Pattern) and not lucene_regex.can_be_lowered(ask.regex):
        raise NoQueryError("its normalizer makes patterns lower case too, which changes a range in this one")
    return FieldQuery(_keyword_clause(ask, field))


def _keyword_clause(ask: Ask, field: MappedField) -> Clause:
    if isinstance(ask, Text):
        return _text_clause(ask, field)
    if isinstance(ask, Pattern):
        return _regexp(field, ask.regex, ask.ignore_case)
    if isinstance(ask, Number):
        return _any_spelling(ask, field)
    if isinstance(ask, Boolean):
        return dsl.term(field.name, ask.value)
    if isinstance(ask, Comparison):
        return _regexp(field, decimal_regex.comparison(ask.operator, ask.bound))
    assert isinstance(ask, Network)
    try:
        # A field of the type wildcard makes many clauses of each value, of which a server takes 1024 in all.
        return in_network(field.name, ask.network, as_regexp=field.type == "wildcard")
    except ValueError as error:
        raise NoQueryError(str(error)) from None


def _any_spelling(ask: Number, field: MappedField) -> Clause:
    return dsl.any_of(dsl.term(field.name, spelling) for spelling in number_spellings(ask.value))


def _text_clause(ask: Text, field: MappedField) -> Clause:
    name, ignore_case = field.name, ask.ignore_case
    if ignore_case and lucene_regex.has_case_beyond_ascii(ask.literal):
        return _regexp(field, ask.joined(lucene_regex.folded, ".*", "."), True)
    # OpenSearch 3.8 finds no empty text in the type wildcard in another way.
    if field.type == "wildcard" and ask.parts in ((), ("",)):
        return dsl.regexp(name, "")
    # OpenSearch 3.8 knows no ? and no escapes in the value of a constant_keyword.
    if field.type == "constant_keyword" and (1 in ask.parts or set(ask.literal) & set("*?\\")):
        return _regexp(field, ask.joined(lucene_regex.escape, ".*", "."), ignore_case)
    if ask.is_whole:
        return dsl.term(name, ask.literal, case_insensitive=ignore_case)
    # OpenSearch 3.8 misses values of the type wildcard in a prefix without regard to case.
    if field.type != "wildcard" and ask.parts[-1] is None and all(isinstance(part, str) for part in ask.parts[:-1]):
        return dsl.prefix(name, ask.literal, case_insensitive=ignore_case)
    return dsl.wildcard(name, ask.joined(dsl.escape_wildcard, "*", "?"), case_insensitive=ignore_case)


def _flattened(ask: Ask, field: MappedField) -> FieldQuery:
    if isinstance(ask, Comparison):
        raise NoQueryError("its values are texts (type flattened), whose numbers cannot be compared")
    query = _keyword(ask, field)
    if {kind for kind, _, _ in dsl.leaves(query.clause)} & {"wildcard", "regexp"}:
        raise NoQueryError("inside an object of the type flattened only whole values and their beginnings can be asked")
    if isinstance(ask, Text) and ask.ignore_case and any(map(str.isalpha, ask.literal)):
        # Elasticsearch (8.19) then regards no case of the name either.
        return FieldQuery(dsl.all_of([query.clause, dsl.exists(field.name)]))
    return query


def _analysed(ask: Ask, field: MappedField) -> FieldQuery:
    if isinstance(ask, Text) and ask.is_whole and any(map(str.isalnum, ask.literal)):
        reason = "it is analysed text; the query finds values with these words in a row, and may miss some"
        return FieldQuery(dsl.match_phrase(field.name, ask.literal), (Doubt("loose", reason),))
    raise NoQueryError(f"it is analysed text ({field.type}), which only keeps the words of a value")


def _number(ask: Ask, field: MappedField) -> FieldQuery:
    if isinstance(ask, Text) and _PLAIN_NUMBER.fullmatch(ask.literal) and ask.parts == (ask.literal,):
        value = Decimal(ask.literal)
    elif isinstance(ask, Number):
        value = Decimal(str(ask.value))
    elif isinstance(ask, Comparison):
        value = Decimal(str(ask.bound))
    else:
        raise NoQueryError(f"it holds numbers ({field.type}), for which this cannot be asked")
    number = int(value) if value == value.to_integral_value() else float(value)
    exact = field.type not in _ROUNDED or (isinstance(number, int) and abs(number) < _ROUNDED[field.type])
    reason = f"its type ({field.type}) rounds numbers, so others may look like this one"
    doubts = () if exact else (Doubt("loose", reason),)
    least, most = _RANGES.get(field.type, (number, number))
    if not least <= number <= most:
        raise NoQueryError(f"{number} is beyond its type ({field.type})")
    if isinstance(ask, Comparison):
        return FieldQuery(dsl.bounds(field.name, **{ask.operator: number}), doubts)
    if field.type in _WHOLE and isinstance(number, float):
        raise NoQueryError(f"it holds whole numbers ({field.type})")
    return FieldQuery(dsl.term(field.name, indexed_number(number)), doubts)


def _boolean(ask: Ask, field: MappedField) -> FieldQuery:
    if isinstance(ask, Boolean):
        return FieldQuery(dsl.term(field.name, ask.value))
    if isinstance(ask, Text):
        regex, ignore_case = ask.joined(lucene_regex.escape, ".*", "."), ask.ignore_case
    elif isinstance(ask, Pattern):
        regex, ignore_case = ask.regex, ask.ignore_case
    else:
        raise NoQueryError("it holds true or false only, for which this cannot be asked")
    matches = re.compile(regex, re.DOTALL | (re.IGNORECASE if ignore_case else 0)).fullmatch
    values = [value for value, text in ((True, "true"), (False, "false")) if matches(text)]
    if not values:
        raise NoQueryError("it holds true or false only, so this never matches")
    return FieldQuery(dsl.any_of(dsl.term(field.name, value) for value in values))


def _date(ask: Ask, field: MappedField) -> FieldQuery:
    if not field.plain_date:
        raise NoQueryError("it is a date of a format of its own, whose numbers are not milliseconds since 1970")
    if field.type == "date_nanos":
        raise NoQueryError("it is a date with nanoseconds, which milliseconds cannot name")
    if isinstance(ask, Comparison) and isinstance(ask.bound, int) and ask.bound >= 0:
        return FieldQuery(dsl.bounds(field.name, **{ask.operator: str(ask.bound)}, format="epoch_millis"))
    if isinstance(ask, Number) and isinstance(ask.value, int) and ask.value >= 0:
        instant = str(ask.value)
        return FieldQuery(dsl.bounds(field.name, gte=instant, lte=instant, format="epoch_millis"))
    raise NoQueryError(
        "it is a date, which has no text to compare; use |gte and |lt with whole milliseconds since 1970"
    )


def _address(ask: Ask, field: MappedField) -> FieldQuery:
    if isinstance(ask, Network):
        if ask.network.version == 6 and ask.network.overlaps(_IPV4_IN_IPV6):
            raise NoQueryError(f"it holds addresses (ip), where {ask.network} takes in IPv4 addresses too")
        return FieldQuery(dsl.term(field.name, str(ask.network)))
    if isinstance(ask, Text) and ask.is_whole:
        try:
            canonical = str(ip_address(ask.literal))
        except ValueError:
            raise NoQueryError(f"it holds addresses (ip), and {ask.literal!r} is not one") from None
        if canonical != (ask.literal.lower() if ask.ignore_case else ask.literal):
            raise NoQueryError(f"it holds addresses (ip), of which {ask.literal!r} is written {canonical}")
        return FieldQuery(dsl.term(field.name, canonical))
    raise NoQueryError("it holds addresses (ip), of which only a whole one or a network (|cidr) can be asked")


def _untyped(ask: Ask, field: MappedField) -> FieldQuery:
    if isinstance(ask, Number):
        return FieldQuery(dsl.term(field.name, indexed_number(ask.value)))
    if isinstance(ask, Boolean):
        return FieldQuery(dsl.term(field.name, ask.value))
    if isinstance(ask, Comparison):
        return FieldQuery(dsl.bounds(field.name, **{ask.operator: ask.bound}))
    raise NoQueryError("its text is in a sub-field")


def _nested(ask: Ask, field: MappedField) -> NoReturn:
    raise NoQueryError("it is inside a nested object, which a plain query does not look into")


def _unknown(ask: Ask, field: MappedField) -> NoReturn:
    raise NoQueryError(f"no exact query is known for its type ({field.type})")


_KEYWORDS = frozenset({"keyword", "constant_keyword", "wildcard", *OBJECTS_OF_KEYWORDS})
_TEXTS = _KEYWORDS | ANALYSED
_TAKE_NUMBERS = frozenset({"keyword", "double", *_WHOLE, *_ROUNDED})
_QUERIES: dict[str, Callable[[Ask, MappedField], FieldQuery]] = {
    "keyword": _keyword,
    "constant_keyword": _keyword,
    "wildcard": _keyword,
    "flat_object": _keyword,
    "flattened": _flattened,
    "text": _analysed,
    "match_only_text": _analysed,
    "boolean": _boolean,
    "date": _date,
    "date_nanos": _date,
    "ip": _address,
    "double": _number,
    **dict.fromkeys((*_WHOLE, *_ROUNDED), _number),
    "nested": _nested,
    UNTYPED: _untyped,
}


def _regexp(field: MappedField, pattern: str, ignore_case: bool = False) -> Clause:
    # OpenSearch 3.8 puts the name of the field before the pattern, and so before its first alternative only.
    if field.runtime and ignore_case:
        raise NoQueryError("it is a runtime field, in which a regular expression cannot ignore case")
    if field.type == "flat_object":
        pattern = f"({pattern})"
    if len(pattern) > lucene_regex.MAX_LENGTH:
        raise NoQueryError(
            f"as a regular expression for the server it is {len(pattern)} characters long; "
            f"{lucene_regex.MAX_LENGTH} are accepted"
        )
    return dsl.regexp(field.name, pattern, case_insensitive=ignore_case)


def _cut(field: MappedField) -> str:
    return f"values over {field.ignore_above} characters are not indexed in {field.name}"


def _described(field: MappedField) -> str:
    """Describe a mapping in a few words."""
    subfields = f" with {', '.join(sub.name.removeprefix(field.name) for sub in field.subfields)}"
    return field.type + (subfields if field.subfields else "")
