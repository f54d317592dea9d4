"""What a correlation rule states, read from its document.

pySigma loses a part of it: it reads ``generate`` only below ``correlation``, makes 2 of ``gte: 2.5``, takes a number
for a position among the rules, lets counts through that no event can fail, and passes over keys that it does not know.
So the document is kept with the rule, and read here. Meaning as in SigmaHQ's specification of correlation rules, 2.1.0.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import NamedTuple

from pyparsing import ParseException
from sigma.correlations import (
    CorrelationConditionItem,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaCorrelationConditionError

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.text import did_you_mean, nearest
from sigma_stellar_aws.base.times import amount
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.rule_files.counted import EVENT_COUNT as EVENT_COUNT
from sigma_stellar_aws.rule_files.counted import TEMPORAL as TEMPORAL
from sigma_stellar_aws.rule_files.counted import TEMPORAL_KINDS as TEMPORAL_KINDS
from sigma_stellar_aws.rule_files.counted import TEMPORAL_ORDERED as TEMPORAL_ORDERED
from sigma_stellar_aws.rule_files.counted import VALUE_COUNT as VALUE_COUNT

ConditionTree = CorrelationConditionItem | SigmaRuleReference

_KINDS = (
    *(EVENT_COUNT, VALUE_COUNT, *TEMPORAL_KINDS),
    *("value_sum", "value_avg", "value_percentile", "value_median"),
)
_KEYS = ("type", "rules", "aliases", "group-by", "timespan", "condition", "generate")
_OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")
_LOWER = ("gt", "gte")
_TIMESPAN = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_LONGEST = timedelta(days=3660)
_DOCUMENT = "correlation"
_LONGEST_SHOWN = 100


class CorrelationFaultError(Exception):
    """A part of a correlation that is not as it should be."""

    def __init__(self, path: YamlPath, reason: str) -> None:
        """Name the keys and indices down to the part, and what is wrong with it."""
        super().__init__(reason)
        self.path = path
        self.reason = reason


class CorrelationRefusedError(CorrelationFaultError):
    """A part of a correlation that can be read, but not be exact."""


class MissingMemberError(CorrelationFaultError):
    """A rule that a correlation names is not among the rules, or is left out itself."""


class Threshold(NamedTuple):
    """The condition of a correlation that counts."""

    operator: str
    number: int
    fields: tuple[str, ...] = ()
    """Whose values are counted, together; as they are written, so they may be aliases."""


class StatedCorrelation(NamedTuple):
    """What the block ``correlation`` of a rule says."""

    kind: str
    references: tuple[str, ...]
    """Ids or names of rules, in order; those of the condition where there is no list of them."""
    group_by: tuple[str, ...]
    aliases: Mapping[str, Mapping[str, str]]
    """For each alias the field in the events of a rule, by id or name of the rule."""
    timespan: timedelta
    threshold: Threshold | None
    condition: ConditionTree | None
    """The rules that have to match, joined by and, or, not."""
    generate: bool
    """Whether the rules that it names alert by themselves, too."""


def keep_document(rule: SigmaCorrelationRule, document: JsonObject) -> None:
    """Let a rule keep what was read for it from its document."""
    block = document[_DOCUMENT]
    assert isinstance(block, dict)
    rule.custom_attributes[_DOCUMENT] = {**block, "generate": rule.generate}


def stated_correlation(rule: SigmaCorrelationRule) -> StatedCorrelation:
    """Return what a correlation rule states; of one that was not loaded here, what pySigma has kept.

    Raises:
        CorrelationFaultError: something of it is not as it should be.
    """
    return read_correlation(_kept_document(rule))


def silenced_by(rule: SigmaCorrelationRule) -> tuple[str, ...]:
    """Return ids and names of the rules that do not alert by themselves for a correlation rule, faulty or not."""
    return silenced_by_document(_kept_document(rule))


def silenced_by_document(document: JsonObject) -> tuple[str, ...]:
    """Return the same for the document of a correlation rule, as far as it can be read.

    A mistake in a correlation must not let loose what it counts.

    >>> silenced_by_document({"correlation": {"rules": ["login"], "timespan": "five minutes"}})
    ('login',)
    """
    block = _map(document.get(_DOCUMENT))
    if any(holder.get("generate", False) is not False for holder in (document, block)):
        return ()
    listed = block.get("rules")
    names = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
    with suppress(CorrelationFaultError):
        tree = _tree(block.get("condition"), TEMPORAL)
        names = [*names, *(names_in(tree) if tree is not None else [])]
    return tuple(name for name in names if isinstance(name, str))


def read_correlation(document: JsonObject) -> StatedCorrelation:
    """Read the document of a correlation rule.

    >>> block = {"type": "event_count", "rules": ["login"], "timespan": "5m", "condition": {"gte": 2.5}}
    >>> read_correlation({"title": "Many", "correlation": block}).threshold
    Threshold(operator='gte', number=3, fields=())

    Raises:
        CorrelationFaultError: something of it is not as it should be.
    """
    block = document.get(_DOCUMENT)
    if not isinstance(block, dict):
        raise CorrelationFaultError((_DOCUMENT,), "correlation must be a map")
    for key in block:
        if key not in _KEYS:
            hint = did_you_mean(nearest(str(key), _KEYS, 0.6))
            raise CorrelationFaultError((_DOCUMENT, str(key)), f"a correlation has no key {key!r}{hint}")
    kind = _kind(block.get("type"))
    condition = _tree(block.get("condition"), kind)
    return StatedCorrelation(
        kind,
        _references(block.get("rules"), condition),
        tuple(_texts(block, "group-by")),
        _aliases(block.get("aliases")),
        _timespan(block.get("timespan")),
        None if condition is not None else _threshold(block.get("condition"), kind),
        condition,
        _generate(document, block),
    )


def document_for_pysigma(document: JsonObject, stated: StatedCorrelation) -> JsonObject:
    """Return a document that pySigma reads as what this one states."""
    block = document[_DOCUMENT]
    assert isinstance(block, dict)
    read: JsonObject = {**block, "type": stated.kind, "generate": stated.generate}
    if stated.threshold is not None:
        fields = list[Json](stated.threshold.fields)
        read["condition"] = {
            stated.threshold.operator: stated.threshold.number,
            **({"field": fields if len(fields) > 1 else fields[0]} if fields else {}),
            **{key: value for key, value in _map(block.get("condition")).items() if key == "percentile"},
        }
    return {key: value for key, value in {**document, _DOCUMENT: read}.items() if key != "generate"}


def names_in(condition: ConditionTree) -> list[str]:
    """Return the names of the rules in a condition, each once, in order.

    >>> names_in(SigmaExtendedCorrelationCondition.parse("a and (b or a)"))
    ['a', 'b']
    """
    if isinstance(condition, SigmaRuleReference):
        return [condition.reference]
    return list(dict.fromkeys(name for part in condition.args for name in names_in(part)))


def _kept_document(rule: SigmaCorrelationRule) -> JsonObject:
    kept = {**rule.to_dict()["correlation"], "generate": rule.generate}
    return {_DOCUMENT: rule.custom_attributes.get(_DOCUMENT, kept)}


def _map(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _kind(value: Json) -> str:
    path = (_DOCUMENT, "type")
    if not isinstance(value, str) or value.lower() not in _KINDS:
        hint = did_you_mean(nearest(value, _KINDS, 0.6)) if isinstance(value, str) else ""
        raise CorrelationFaultError(path, f"type must be one of {', '.join(_KINDS)}, not {value!r}{hint}")
    return value.lower()


def _references(value: Json, condition: ConditionTree | None) -> tuple[str, ...]:
    path = (_DOCUMENT, "rules")
    if value is None and condition is not None:
        return tuple(names_in(condition))
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise CorrelationFaultError(path, "rules must be a list of ids or names of rules")
    texts = [each for each in listed if isinstance(each, str)]
    for number, reference in enumerate(listed):
        if not isinstance(reference, str) or not reference:
            raise CorrelationFaultError((*path, number), f"a rule is named by its id or name, not by {reference!r}")
        if reference in texts[:number]:
            raise CorrelationFaultError((*path, number), f"{reference!r} is named twice")
    if condition is not None and set(texts) != set(names_in(condition)):
        differing = sorted(set(texts) ^ set(names_in(condition)))
        raise CorrelationFaultError(
            (_DOCUMENT, "condition"), f"rules and condition must name the same rules; only one of them has {differing}"
        )
    return tuple(texts)


def _texts(block: JsonObject, key: str, path: YamlPath = (_DOCUMENT,)) -> Sequence[str]:
    value = block.get(key)
    listed = [] if value is None else [value] if isinstance(value, str) else value
    texts = [each for each in listed if isinstance(each, str) and each] if isinstance(listed, list) else []
    if not isinstance(listed, list) or len(texts) < len(listed):
        raise CorrelationFaultError((*path, key), f"{key} must be the name of a field, or a list of them")
    if len(set(texts)) < len(texts):
        raise CorrelationFaultError((*path, key), f"{key} names a field twice")
    _refuse_several((*path, key), texts)
    return texts


def _refuse_several(path: YamlPath, fields: Sequence[str]) -> None:
    if several := [field for field in fields if "*" in field]:
        raise CorrelationFaultError(path, f"{several[0]!r} stands for several fields; name one of them")


def _aliases(value: Json) -> Mapping[str, Mapping[str, str]]:
    if value is None:
        return {}
    path = (_DOCUMENT, "aliases")
    if not isinstance(value, dict):
        raise CorrelationFaultError(path, "aliases must be a map of aliases, each with a map of rules to fields")
    aliases: dict[str, dict[str, str]] = {}
    for alias, fields in value.items():
        if not isinstance(fields, dict) or not fields:
            raise CorrelationFaultError((*path, str(alias)), f"alias {alias!r} must be a map of rules to fields")
        for reference, field in fields.items():
            if not isinstance(field, str) or not field:
                raise CorrelationFaultError(
                    (*path, str(alias), str(reference)), f"alias {alias!r} needs the name of a field, not {field!r}"
                )
            _refuse_several((*path, str(alias), str(reference)), [field])
            aliases.setdefault(str(alias), {})[str(reference)] = field
    return aliases


def _timespan(value: Json) -> timedelta:
    match = _TIMESPAN.fullmatch(value) if isinstance(value, str) else None
    span = amount(int(match[1]), match[2]) if match else None
    if span is None or span > _LONGEST:
        raise CorrelationFaultError(
            (_DOCUMENT, "timespan"),
            f"timespan must be a number with s, m, h or d, such as 5m, up to {_LONGEST.days}d, not {value!r}",
        )
    return span


def _generate(document: JsonObject, block: JsonObject) -> bool:
    stated = [
        (path, holder["generate"]) for path, holder in (((), document), ((_DOCUMENT,), block)) if "generate" in holder
    ]
    for path, value in stated:
        if not isinstance(value, bool):
            raise CorrelationFaultError((*path, "generate"), f"generate must be true or false, not {value!r}")
    if len({value for _, value in stated}) > 1:
        raise CorrelationFaultError(("generate",), "generate is stated twice, once as true and once as false")
    return bool(stated and stated[0][1])


def _tree(value: Json, kind: str) -> ConditionTree | None:
    if not isinstance(value, str):
        return None
    path = (_DOCUMENT, "condition")
    if kind not in TEMPORAL_KINDS:
        raise CorrelationFaultError(path, f"only temporal and temporal_ordered have a condition of rules, not {kind}")
    try:
        return SigmaExtendedCorrelationCondition.parse(value)
    except (ParseException, SigmaCorrelationConditionError, RecursionError):
        reason = (
            f"the condition {_short(value)!r} cannot be read; write and, or, not, parentheses and names of rules, "
            "which in a condition may have no other characters than A-Z, a-z, 0-9 and _"
        )
        raise CorrelationFaultError(path, reason) from None


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}\N{HORIZONTAL ELLIPSIS}"


def _threshold(value: Json, kind: str) -> Threshold | None:
    path = (_DOCUMENT, "condition")
    if value is None and kind in TEMPORAL_KINDS:
        return None
    if not isinstance(value, dict):
        raise CorrelationFaultError(path, f"{kind} needs a condition such as gte: 3")
    for key in value:
        if key not in (*_OPERATORS, "field", *(["percentile"] if kind == "value_percentile" else [])):
            hint = did_you_mean(nearest(str(key), (*_OPERATORS, "field"), 0.6))
            raise CorrelationFaultError((*path, str(key)), f"the condition of {kind} has no key {key!r}{hint}")
    fields = _texts(value, "field", path)
    if bool(fields) != kind.startswith("value_"):
        reason = f"{kind} counts the values of a field; name it" if not fields else f"{kind} has no field"
        raise CorrelationFaultError((*path, "field") if fields else path, reason)
    limits = {key: _limit(key, limit) for key, limit in value.items() if key in _OPERATORS}
    if not limits:
        raise CorrelationFaultError(path, "the condition states no number; write, for example, gte: 3")
    if len(limits) > 1 and not set(limits) <= set(_LOWER):
        raise CorrelationFaultError(
            path, "a range has an upper limit, which a part of a longer burst is within; write gte alone"
        )
    operator = max(limits, key=lambda key: limits[key] + (key == "gt"))
    if operator in _LOWER and limits[operator] + (operator == "gt") < 1:
        raise CorrelationFaultError(
            (*path, operator), f"{operator}: {value[operator]} holds without any event; write gte: 1 or more"
        )
    return Threshold(operator, limits[operator], tuple(fields))


def _limit(operator: str, value: Json) -> int:
    """Return the whole number that is the same limit for a count."""
    path = (_DOCUMENT, "condition", operator)
    try:
        number = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > 10**9:
        raise CorrelationFaultError(path, f"{operator} needs a number, not {value!r}")
    if number % 1 and operator in ("eq", "neq"):
        raise CorrelationFaultError(path, f"{operator}: {value}: a count is a whole number")
    return int(number.to_integral_value(ROUND_CEILING if operator in ("gte", "lt") else ROUND_FLOOR))
