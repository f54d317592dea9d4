"""Correlations as detection rules of Elastic Security: sequences of EQL, exact but for two cases, and threshold rules.

``sequence by KEY with maxspan=T [any where Q] with runs=n`` is complete when the n-th event of a key is, from 2 to 100
events; a sequence of different conditions is an order of rules. A timespan has both its ends, an event without a field
that is grouped by takes no part, and from Elasticsearch 8.6 on each value of a list is a key (elastic/elasticsearch
#89965). Two things differ from ``alerts``: the steps of an order come after each other, so that of events of one time
one may be missed (``SequenceMatcher``, ``Ordinal``), and one event cannot be two steps. A count misses none of one time
where their ids tell them apart (``tiebreaker_field``, elastic/kibana#132247).

A threshold rule counts in one window for each run. So it is made on request only, with a warning. It looks back further
than the timespan, since else it would miss what a run cuts in two and what arrives late; so it also counts events that
are further apart.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import (
    AssumptionWarning,
    InexactCorrelationWarning,
    LeftOutWarning,
    UnsupportedRuleError,
)
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.base.times import duration_text
from sigma_stellar_aws.formats import eql_text
from sigma_stellar_aws.formats.converted_correlation import ConvertedCorrelation, CountedRule
from sigma_stellar_aws.formats.converted_rule import ConvertedRule, counted_fields, tell
from sigma_stellar_aws.formats.elastic_rule import (
    LOOK_BACK,
    MOST_GROUP_FIELDS,
    QueryForm,
    Stack,
    duration,
    import_line,
    query_of_rule,
    stack_of,
)
from sigma_stellar_aws.query.prefilter import demanded_values
from sigma_stellar_aws.rule_files.counted import EVENT_COUNT, TEMPORAL_ORDERED, VALUE_COUNT

MOST_RUNS = 100
"""How often a condition of a sequence can be repeated."""

SEQUENCE_SUPPRESSION = Stack(8, 18)
THRESHOLD_SUPPRESSION = Stack(8, 12)
LISTS_AS_KEYS = Stack(8, 6)
MORE_THRESHOLD_FIELDS = Stack(9, 2)
OWN_TIME_FIELD = Stack(8, 3)
"""The first version whose EQL rules name the time field, and one beside it; before, they go by ``@timestamp``."""

TIEBREAKER = "eventID"
"""The CloudTrail field that tells events of one time apart."""

_FORMAT = "elastic_rule"
_DEFAULT_TIME_FIELD = "@timestamp"


def elastic_correlation(
    converted: ConvertedCorrelation, stack: Stack | None, query: QueryForm, *, enabled: bool
) -> JsonObject:
    """Return a correlation as an import line: a sequence of EQL, or where that is accepted a threshold rule.

    What it may get wrong is told, for a sequence by an :class:`AssumptionWarning`, for a threshold rule by an
    :class:`InexactCorrelationWarning`.

    Args:
        converted: the correlation.
        stack: as for ``elastic_rule``.
        query: form of the query of a threshold rule.
        enabled: whether the rule runs once it is imported.

    Raises:
        UnsupportedRuleError: it cannot be such a rule; the message says why.
    """
    known = stack or stack_of(converted.whole)
    correlation = converted.correlation
    if correlation.kind not in (EVENT_COUNT, VALUE_COUNT, TEMPORAL_ORDERED):
        converted.refuse(
            f"{correlation.kind} has no order, which a sequence of EQL demands, and a threshold rule cannot tell its "
            "rules apart; sigma-stellar-aws alerts does"
        )
    try:
        steps = _steps(converted, known)
    except eql_text.NoEqlError as error:
        if correlation.kind == TEMPORAL_ORDERED:
            converted.refuse(str(error))
        return _threshold_line(converted, known, query, str(error), enabled)
    return _sequence_line(converted, known, steps, enabled)


def _steps(converted: ConvertedCorrelation, stack: Stack) -> str:
    """Return the text of the sequence.

    Raises:
        NoEqlError: there is none.
    """
    correlation, whole = converted.correlation, converted.whole
    if correlation.kind == VALUE_COUNT:
        raise eql_text.NoEqlError("EQL cannot count different values")
    if stack < OWN_TIME_FIELD and whole.time_field != _DEFAULT_TIME_FIELD:
        raise eql_text.NoEqlError(f"EQL rules of Kibana {stack} go by {_DEFAULT_TIME_FIELD}, not {whole.time_field}")
    for rule in converted.rules:
        for field in rule.key:
            eql_text.kind_of(field, whole.store, whole.keyword_suffix)
    if correlation.kind == TEMPORAL_ORDERED:
        return _order(converted)
    if not 2 <= correlation.count <= MOST_RUNS:
        raise eql_text.NoEqlError(f"EQL repeats an event 2 to {MOST_RUNS} times, and this needs {correlation.count}")
    # An event that matches two of the rules counts once.
    step = f"  [any where {_condition(whole)}] with runs={correlation.count}"
    return f"{_sequence(converted, converted.key)}\n{step}"


def _order(converted: ConvertedCorrelation) -> str:
    orders = converted.correlation.alternatives
    if len(orders) > 1:
        raise eql_text.NoEqlError(f"it accepts {len(orders)} orders of its rules, and a sequence of EQL is one")
    rules = [converted.rules[number] for number in orders[0]]
    if len(rules) < 2:
        raise eql_text.NoEqlError("a sequence of EQL has at least two steps")
    keys = {rule.key for rule in rules}
    common = rules[0].key if len(keys) == 1 else ()
    steps = [_step(rule, rule.key if rule.key != common else ()) for rule in rules]
    return "\n".join([_sequence(converted, common), *steps])


def _sequence(converted: ConvertedCorrelation, key: Sequence[str]) -> str:
    span = duration_text(converted.correlation.timespan)
    return f"sequence{_by(dict.fromkeys(key))} with maxspan={span}"


def _step(rule: CountedRule, key: Sequence[str]) -> str:
    return f"  [any where {_condition(rule.converted)}]{_by(key)}"


def _by(key: Iterable[str]) -> str:
    names = ", ".join(map(eql_text.eql_name, key))
    return f" by {names}" if names else ""


def _condition(converted: ConvertedRule) -> str:
    return eql_text.condition(converted.query, converted.store, converted.keyword_suffix)


def _sequence_line(converted: ConvertedCorrelation, stack: Stack, text: str, enabled: bool) -> JsonObject:
    whole = converted.whole
    asked: JsonObject = {"type": "eql", "language": "eql", "query": text, "filters": []}
    tiebreaker = _tiebreaker(whole) if stack >= OWN_TIME_FIELD else ""
    if stack >= OWN_TIME_FIELD:
        asked["timestamp_field"] = whole.time_field
    if tiebreaker:
        asked["tiebreaker_field"] = tiebreaker
    suppressed = _sequence_suppression(converted, stack)
    reach = converted.correlation.timespan + LOOK_BACK
    line = import_line(whole, stack, asked, suppressed, reach, enabled=enabled)
    if limits := _sequence_limits(converted, stack, has_tiebreaker=bool(tiebreaker)):
        tell(AssumptionWarning(f"Rule {whole.title!r}: {limits}"), _FORMAT)
    return line


def _tiebreaker(converted: ConvertedRule) -> str:
    """Return the field with the ids of events; empty where the store cannot sort by it."""
    try:
        [name] = counted_fields(converted, [TIEBREAKER])
    except UnsupportedRuleError:
        return ""
    return name


def _sequence_limits(converted: ConvertedCorrelation, stack: Stack, *, has_tiebreaker: bool) -> str:
    limits = []
    if converted.correlation.kind == TEMPORAL_ORDERED or not has_tiebreaker:
        limits.append("a sequence of EQL may miss some of the events that have the same time")
    if converted.correlation.kind == TEMPORAL_ORDERED and _can_share_events(converted):
        limits.append("it takes one event that matches two of the rules for one step only")
    if stack < LISTS_AS_KEYS:
        limits.append(f"before {LISTS_AS_KEYS} it fails where a field that it groups by has a list of values")
    return "; ".join(limits)


def _can_share_events(converted: ConvertedCorrelation) -> bool:
    """Tell whether one event may match two rules: not where they demand different names or sources of it."""
    names = [name for field in ("eventName", "eventSource") for name in converted.whole.names.by_field.get(field, ())]
    suffix = converted.whole.keyword_suffix
    fields = [name + end for name in names for end in dict.fromkeys(("", suffix))]
    return any(
        not any(_differ(one.converted, other.converted, field) for field in fields)
        for one, other in combinations(converted.rules, 2)
    )


def _differ(one: ConvertedRule, other: ConvertedRule, field: str) -> bool:
    values = [demanded_values(rule.clause, field) for rule in (one, other)]
    return values[0] is not None and values[1] is not None and values[0].isdisjoint(values[1])


def _sequence_suppression(converted: ConvertedCorrelation, stack: Stack) -> JsonObject | None:
    """Suppress by the fields that are the same in all events of a sequence, since only these are in its alert."""
    title, keys = converted.whole.title, [rule.key for rule in converted.rules]
    fields = [field for field in dict.fromkeys(keys[0]) if all(field in key for key in keys)]
    reason = ""
    if stack < SEQUENCE_SUPPRESSION:
        reason = f"Kibana {stack} does not suppress those of sequences (since {SEQUENCE_SUPPRESSION})"
    elif not fields:
        reason = "its events have no field in common that it groups by"
    elif len(fields) > MOST_GROUP_FIELDS:
        reason = f"it groups by {len(fields)} fields, and Elastic suppresses by {MOST_GROUP_FIELDS}"
    if reason:
        tell(LeftOutWarning(f"Rule {title!r}: its alerts are not suppressed: {reason}"), _FORMAT)
        return None
    return {
        "group_by": [*fields],
        "duration": duration(converted.whole.suppression.window),
        "missing_fields_strategy": "doNotSuppress",
    }


def _threshold_line(
    converted: ConvertedCorrelation, stack: Stack, query: QueryForm, reason: str, enabled: bool
) -> JsonObject:
    whole, correlation = converted.whole, converted.correlation
    reach = correlation.timespan + LOOK_BACK
    threshold = _threshold(converted, stack, reason)
    limits = [
        f"it counts what is up to {duration_text(reach)} apart instead of {duration_text(correlation.timespan)}, and "
        "so also alerts for less",
        "it does not count late events that are older than its last alert",
    ]
    if correlation.kind == VALUE_COUNT:
        limits.append("different values are estimated, so that it may also miss some")
    told = "; ".join(limits)
    if not whole.accepts_inexact:
        converted.refuse(f"{reason}; a threshold rule is not exact: {told} (inexact=warn, or --inexact, makes one)")
    asked: JsonObject = {"type": "threshold", **query_of_rule(whole, query), "threshold": threshold}
    suppressed: JsonObject | None = {"duration": duration(whole.suppression.window)}
    if stack < THRESHOLD_SUPPRESSION:
        left_out = f"Kibana {stack} does not suppress those of thresholds (since {THRESHOLD_SUPPRESSION})"
        tell(LeftOutWarning(f"Rule {whole.title!r}: its alerts are not suppressed: {left_out}"), _FORMAT)
        suppressed = None
    line = import_line(whole, stack, asked, suppressed, reach, enabled=enabled)
    tell(InexactCorrelationWarning(f"Rule {whole.title!r}: a threshold rule is not exact: {told}"), _FORMAT)
    return line


def _threshold(converted: ConvertedCorrelation, stack: Stack, reason: str) -> JsonObject:
    """Return what has to be reached.

    Raises:
        UnsupportedRuleError: a threshold rule cannot say it.
    """
    correlation, values = converted.correlation, converted.values
    key = list(dict.fromkeys(converted.key))
    most = 5 if stack >= MORE_THRESHOLD_FIELDS else MOST_GROUP_FIELDS
    if len(key) > most:
        fields = plural(len(key), "field")
        converted.refuse(f"{reason}, and a threshold rule of Kibana {stack} groups by {most} fields, not {fields}")
    fields_counted: list[Json] = []
    least = correlation.count
    if correlation.kind == VALUE_COUNT:
        if len(values) > 1 or values[0] in key:
            what = "several fields together" if len(values) > 1 else "a field that it groups by"
            converted.refuse(f"{reason}, and a threshold rule cannot count the values of {what}")
        fields_counted, least = [{"field": values[0], "value": correlation.count}], 1
    return {"field": [*key], "value": least, "cardinality": fields_counted}
