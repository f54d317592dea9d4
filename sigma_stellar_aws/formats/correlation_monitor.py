"""Bucket-level monitors of OpenSearch Alerting for correlations.

A monitor sees the events of one search, and no window slides there. So the search counts in several windows that
overlap, each a step longer than the timespan, and each beginning a step after the one before: what lies within the
timespan lies within one of them, and so may what lies up to a step further apart. The first begins as far back as
events may be late and yet be seen by the next run. A group alerts where the greatest number of its windows is enough:
of events, of values, or of rules that match, in any order.

So nothing is missed that is stored in time. Values are counted by a ``terms`` aggregation for as many as are needed: up
to there its number of buckets is exact, on any number of shards, while ``cardinality`` may count one too few.

Facts, beside those of ``formats.opensearch_monitor``: Alerting fills in the time of the run wherever it stands in a
search (alerting, ``InputService``), and resolves the path of a number as OpenSearch's own bucket selector does
(common-utils, ``BucketSelectorExtAggregator``). A message shows no events of a group: Alerting would sort them by what
it takes for names of fields in the aggregations, and gives up on these (alerting, ``AggregationQueryRewriter``).
"""

from datetime import timedelta
from typing import NamedTuple

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import InexactCorrelationWarning
from sigma_stellar_aws.base.times import duration_text
from sigma_stellar_aws.formats.converted_correlation import ConvertedCorrelation
from sigma_stellar_aws.formats.converted_rule import tell
from sigma_stellar_aws.formats.correlation_search import distinct_values
from sigma_stellar_aws.formats.opensearch_monitor import (
    AGGREGATION,
    GROUPS,
    INTERVAL_MINUTES,
    LEAST_LOOK_BACK,
    MOST_THROTTLE,
    PERIOD_END,
    PERIOD_FORMAT,
    actions,
    before_run,
    bucket_trigger,
    in_window,
    script,
    search_monitor,
)
from sigma_stellar_aws.rule_files.counted import EVENT_COUNT, TEMPORAL_ORDERED, VALUE_COUNT, Correlation

MOST_BUCKETS = 65_535
"""Buckets in one answer, by default of the server (``search.max_buckets``)."""

_MINUTE = timedelta(minutes=1)
_INTERVAL = INTERVAL_MINUTES * _MINUTE
_MORE_THAN_TIMESPAN = LEAST_LOOK_BACK * _MINUTE
_STEPS_OF_TIMESPAN = 10
_ALL = "(all)"
_WINDOWS, _COUNTED, _MOST = "windows", "counted", "most"


class _Counting(NamedTuple):
    """What is counted in a window."""

    aggregations: JsonObject
    path: str
    """Of the number in the bucket of a window."""
    least: int
    """The number that is enough."""
    buckets: int = 0
    """How many buckets a window has."""


def correlation_monitor(converted: ConvertedCorrelation, channel: str, *, enabled: bool) -> JsonObject:
    """Return a bucket-level monitor of a correlation, with one alert for the same values of what it groups by.

    Tells which way it errs (:class:`InexactCorrelationWarning`).

    Args:
        converted: the correlation.
        channel: id of the notification channel for alerts; empty for none.
        enabled: whether the monitor runs once it is made.

    Raises:
        UnsupportedRuleError: it cannot be such a monitor, or inexact ones are not accepted; the message says why.
    """
    whole, correlation = converted.whole, converted.correlation
    # Two aliases may be of one field, and sources of a composite aggregation have different names.
    keys, counting = tuple(dict.fromkeys(converted.key)), _counting(converted)
    spans = _spans(correlation.timespan)
    groups = MOST_BUCKETS // (1 + len(spans) * (1 + counting.buckets))
    if groups < 1:
        whole.refuse(
            f"it counts {counting.least:,} values, and one answer has room for {MOST_BUCKETS:,} in all windows"
        )
    errors = _errors(converted)
    if not whole.accepts_inexact:
        whole.refuse(f"{errors} (inexact=warn, or --inexact, makes one)")
    tell(InexactCorrelationWarning(f"Rule {whole.title!r}: {errors}"), "opensearch_monitor")
    windows: JsonObject = {"date_range": {"field": whole.time_field, "format": PERIOD_FORMAT, "ranges": [*spans]}}
    if counting.aggregations:
        windows["aggregations"] = counting.aggregations
    sources: list[Json] = [{name: {"terms": {"field": name}}} for name in keys]
    aggregation: JsonObject = {
        "composite": {"size": min(GROUPS, groups), "sources": sources or [{_ALL: {"terms": _constant()}}]},
        "aggregations": {_WINDOWS: windows, _MOST: {"max_bucket": {"buckets_path": f"{_WINDOWS}>{counting.path}"}}},
    }
    body: JsonObject = {
        "size": 0,
        "query": in_window(whole, duration_text(correlation.timespan + _MORE_THAN_TIMESPAN)),
        "aggregations": {AGGREGATION: aggregation},
    }
    by = f" with the same {', '.join(keys)} (values in no particular order: {{{{bucket_keys}}}})" if keys else ""
    message = (
        f"{{{{#ctx.newAlerts}}}}{{{{ctx.monitor.name}}}}: {_what(correlation)} within "
        f"{duration_text(correlation.timespan)}{by}\n{{{{/ctx.newAlerts}}}}"
    )
    held_back = min(max(whole.suppression.window // _MINUTE, 1), MOST_THROTTLE)
    notify = actions(channel, held_back, message)
    trigger = bucket_trigger(whole, _MOST, f"params.{_MOST} >= {counting.least}", notify)
    return search_monitor(whole, "bucket_level_monitor", body, {"bucket_level_trigger": trigger}, enabled)


def _counting(converted: ConvertedCorrelation) -> _Counting:
    correlation = converted.correlation
    if correlation.kind == EVENT_COUNT:
        return _Counting({}, "_count", correlation.count)
    if correlation.kind == VALUE_COUNT:
        return _Counting(
            {_COUNTED: distinct_values(converted.values, correlation.count)},
            f"{_COUNTED}._bucket_count",
            correlation.count,
            correlation.count,
        )
    rules: JsonObject = {f"rule{number}": rule.converted.query for number, rule in enumerate(converted.rules)}
    paths: JsonObject = {name: f"rules['{name}']>_count" for name in rules}
    present = [f"(params.{name} > 0 ? 1 : 0)" for name in rules]
    aggregations: JsonObject = {
        "rules": {"filters": {"filters": rules}},
        _COUNTED: {"bucket_script": {"buckets_path": paths, **script(_enough(correlation, present))}},
    }
    return _Counting(aggregations, _COUNTED, 1 if correlation.alternatives else correlation.count, len(rules))


def _enough(correlation: Correlation, present: list[str]) -> str:
    """Return the number of rules that match, in Painless; where sets of them are needed, whether one is complete."""
    if not correlation.alternatives:
        return " + ".join(present)
    return " + ".join(" * ".join(present[number] for number in numbers) for numbers in correlation.alternatives)


def _step(timespan: timedelta) -> timedelta:
    """Return how much longer than the timespan a window is: a tenth, but a minute at least."""
    tenth = timespan // _STEPS_OF_TIMESPAN // _MINUTE * _MINUTE
    return min(max(tenth, _MINUTE), _MORE_THAN_TIMESPAN)


def _spans(timespan: timedelta) -> list[JsonObject]:
    """Return the windows, as ranges of dates."""
    step = _step(timespan)
    begins = [timespan + _MORE_THAN_TIMESPAN - step * number for number in range(-(-_MORE_THAN_TIMESPAN // step))]
    return [{"from": _before(begin), "to": _before(begin - timespan - step)} for begin in begins]


def _before(duration: timedelta) -> str:
    return before_run(duration_text(duration)) if duration else PERIOD_END


def _constant() -> JsonObject:
    """Return the source of a composite aggregation, which needs one, that puts all events into one group."""
    return script("params.all", all=_ALL)


def _what(correlation: Correlation) -> str:
    if correlation.kind == EVENT_COUNT:
        return f"{correlation.count} events or more"
    if correlation.kind == VALUE_COUNT:
        return f"{correlation.count} values or more of {', '.join(correlation.members[0].values)}"
    return "events of several rules"


def _errors(converted: ConvertedCorrelation) -> str:
    """Say which way a monitor errs."""
    correlation = converted.correlation
    order = " and in any order" if correlation.kind == TEMPORAL_ORDERED else ""
    timespan = duration_text(correlation.timespan)
    look_back = duration_text(correlation.timespan + _MORE_THAN_TIMESPAN)
    window = duration_text(converted.whole.suppression.window)
    late = duration_text(_MORE_THAN_TIMESPAN - _INTERVAL)
    return (
        "a monitor is not exact: it alerts too often: events count together up to "
        f"{duration_text(_step(correlation.timespan))} further apart than {timespan}{order}, and once the last "
        f"{look_back} do not hold enough, what comes alerts anew, also within {window}; and it may miss events that "
        f"are stored over {late} after their time"
    )
