"""Rules as Lucene text, and whether it says exactly what the rule does.

The text is that of pySigma's Elasticsearch backend. A ``query_string`` compares keywords with case, and takes many
characters for its own, so that the text is right for less than the native query. It is where the native query has only
these conditions, on keyword fields:

- a whole text, its beginning, or a text with wildcards, out of letters, digits and ``. _ : / @ $ -``;
- that regards case, or has no letters, or stands in a field whose spelling AWS fixes (``SPELLED``) and is spelled so;
- and, on fields of every type, that there is a value;

and only as many of them as an engine takes.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import ClassVar, NamedTuple, TypeAlias

from sigma.conditions import ConditionFieldEqualsValueExpression, ConditionItem, ConditionValueExpression
from sigma.conversion.base import Backend
from sigma.conversion.state import ConversionState
from sigma.types import SigmaExists, SigmaExpansion, SigmaNull, SigmaString, SigmaType

from sigma_stellar_aws.base.json_types import Json, as_object
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import StoreProfile
from sigma_stellar_aws.reference import aws_events

MOST_CONDITIONS = 1000
"""In a query. Engines take 1,024 by default (``indices.query.bool.max_clause_count``), with those put around it."""

MOST_CHARACTERS = 32_000
"""Of a text, by default in OpenSearch 3 (``search.query.max_query_string_length``)."""

Condition: TypeAlias = ConditionItem | ConditionFieldEqualsValueExpression | ConditionValueExpression | None


class LuceneText(NamedTuple):
    """A query as Lucene text."""

    text: str
    """Empty where there is an obstacle."""
    obstacle: str
    """Why the text does not say exactly what the query does; empty where it does."""


def lucene_text(
    condition: Condition, clause: Clause, spelled: Mapping[str, str], keyword_suffix: str, store: StoreProfile | None
) -> LuceneText:
    """Return the Lucene text of a condition whose fields have their names in the store.

    Args:
        condition: the condition; ``cased`` texts have the same form as others.
        clause: its native query.
        spelled: as the others, see :func:`obstacle`.
        keyword_suffix: see there.
        store: see there.
    """
    found = obstacle(clause, spelled, keyword_suffix, store) or _foreign_value(condition)
    return LuceneText("", found) if found else _if_taken(_backend().convert_condition(condition, ConversionState()))


def any_text_of(texts: Sequence[LuceneText]) -> LuceneText:
    """Return the text that finds whatever any of two or more texts finds."""
    found = next(filter(None, (text.obstacle for text in texts)), "")
    return LuceneText("", found) if found else _if_taken(" OR ".join(f"({text.text})" for text in texts))


def _if_taken(text: str) -> LuceneText:
    # No value has a space in it.
    conditions = 1 + text.count(" OR ") + text.count(" AND ")
    if conditions > MOST_CONDITIONS:
        return LuceneText("", f"as Lucene text it has {conditions} conditions, and engines take {MOST_CONDITIONS}")
    if len(text) > MOST_CHARACTERS:
        return LuceneText("", f"as Lucene text it has {len(text)} characters, and engines take {MOST_CHARACTERS}")
    return LuceneText(text, "")


def _foreign_value(condition: Condition | SigmaType | str) -> str:
    """Return a value that Lucene text writes in a form of its own, though the native query may ask for it as a text."""
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        reason = _foreign_value(condition.value)
        return f"field {condition.field!r}: {reason}" if reason else ""
    if isinstance(condition, ConditionItem):
        return next(filter(None, map(_foreign_value, condition.args)), "")
    if isinstance(condition, SigmaExpansion):
        return next(filter(None, map(_foreign_value, condition.values)), "")
    if isinstance(condition, SigmaString | SigmaNull | SigmaExists):
        return ""
    return f"Lucene text asks otherwise for a value of this kind ({type(condition).__name__.removeprefix('Sigma')})"


@cache
def _backend() -> Backend:
    # Not loaded before it is needed: sigma-cli loads this module when it starts.
    from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend

    class KeywordLucene(LuceneBackend):
        """The same where every field is a keyword, whose values are always compared with case."""

        convert_condition_field_eq_val_str_case_sensitive = LuceneBackend.convert_condition_field_eq_val_str
        # Version 2.1 writes NOT NOT for its negation, which no engine reads.
        field_not_exists_expression: ClassVar[str] = f"({LuceneBackend.field_not_exists_expression})"

    return KeywordLucene()


def obstacle(clause: Clause, spelled: Mapping[str, str], keyword_suffix: str, store: StoreProfile | None) -> str:
    """Say why Lucene text cannot express a native query exactly; empty where it can.

    Args:
        clause: the native query.
        spelled: the CloudTrail names (keys of ``SPELLED``) of fields, by their names in the store.
        keyword_suffix: what the names of fields with exact text end with, if anything.
        store: profile of the store, where it is known; without one every field is taken for a keyword.
    """
    return next(filter(None, (_obstacle(*leaf, spelled, keyword_suffix, store) for leaf in dsl.leaves(clause))), "")


def _obstacle(
    kind: str,
    field: str,
    options: Json,
    spelled: Mapping[str, str],
    keyword_suffix: str,
    store: StoreProfile | None,
) -> str:
    where = f"field {field!r}"
    if not _FIELD.fullmatch(field):
        return f"{where}: Lucene text has characters of this name for its own"
    if keyword_suffix and field.endswith(keyword_suffix):
        return f"{where}: it is a sub-field, which the text would not name"
    if store is not None and (reason := _mapping_obstacle(kind, field, store)):
        return f"{where}: {reason}"
    if kind == "exists":
        return ""
    if kind not in ("term", "terms", "prefix", "wildcard"):
        return f"{where}: Lucene text has no exact form of a {kind} query"
    ignores_case = isinstance(options, dict) and options.get("case_insensitive") is True
    for value in _values(options):
        if not isinstance(value, str):
            return f"{where}: {value!r} is not a text"
        if not _WORD.fullmatch(value) or value in _OPERATORS or (kind != "wildcard" and set(value) & set("*?")):
            return f"{where}: Lucene text has something in {value!r} for its own"
        if ignores_case and not _is_spelled(kind, spelled.get(field, ""), value):
            return f"{where}: Lucene text compares {value!r} with case"
    return ""


def _mapping_obstacle(kind: str, field: str, store: StoreProfile) -> str:
    mappings = store.mappings(field)
    if not mappings:
        return "the mapping has no such field of its own"
    if kind == "exists":
        return ""
    if others := sorted({each.type for each in mappings} - {"keyword"}):
        return f"it is of the type {others[0]}"
    return "it has a normalizer" if any(each.normalizer for each in mappings) else ""


def _values(options: Json) -> Iterable[Json]:
    return options if isinstance(options, list) else [as_object(options)["value"]]


def _is_spelled(kind: str, cloudtrail_field: str, value: str) -> bool:
    if kind == "wildcard" or cloudtrail_field not in SPELLED:
        return False
    return SPELLED[cloudtrail_field](kind == "prefix", value)


def _word_of(words: Iterable[str]) -> Callable[[bool, str], bool]:
    """Test whether a value is one of some words, or starts one, and none of them differs from it only in case."""
    spellings = frozenset(words)

    def is_spelled(is_prefix: bool, value: str) -> bool:
        lowered = value.lower()
        alike = [
            word for word in spellings if word.lower() == lowered or (is_prefix and word.lower().startswith(lowered))
        ]
        return bool(alike) and all(word.startswith(value) for word in alike)

    return is_spelled


def _is_event_name(is_prefix: bool, value: str) -> bool:
    if is_prefix:
        return _word_of(aws_events.all_names())(True, value)
    return bool(aws_events.sources_of(value)) and len(_names_by_lower_case().get(value.lower(), {value})) == 1


@cache
def _names_by_lower_case() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name in aws_events.all_names():
        found[name.lower()].add(name)
    return found


def _is_source(is_prefix: bool, value: str) -> bool:
    return _word_of(aws_events.sources())(is_prefix, value)


def _is_region(is_prefix: bool, value: str) -> bool:
    return value == value.lower()


SPELLED: Mapping[str, Callable[[bool, str], bool]] = {
    "eventSource": _is_source,
    "eventName": _is_event_name,
    "userIdentity.type": _word_of(aws_events.IDENTITY_TYPES),
    "userIdentity.sessionContext.sessionIssuer.type": _word_of(aws_events.IDENTITY_TYPES),
    "awsRegion": _is_region,
    "eventType": _word_of(
        (
            *("AwsApiCall", "AwsConsoleAction", "AwsConsoleSignIn", "AwsServiceEvent"),
            *("AwsCloudTrailInsight", "AwsVpceEvent"),
        )
    ),
    "eventCategory": _word_of(("Management", "Data", "Insight", "NetworkActivity")),
}
"""Fields whose values AWS spells in one way, and whether a value (or the beginning of one) is spelled so.

Event names and sources are those of ``aws_events``; the others are from the record reference of the CloudTrail user
guide. A name that is not known there is taken for one that may come in another spelling.
"""

_FIELD = re.compile(r"\w[\w.@-]*", re.ASCII)
_WORD = re.compile(r"[\w.:/@$*?-]+", re.ASCII)
_OPERATORS = frozenset({"AND", "OR", "NOT"})
