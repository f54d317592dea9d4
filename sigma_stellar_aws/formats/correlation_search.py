"""A correlation as a search body that finds the keys for which it can be complete: all of them, and maybe others.

A search cannot slide a window. It can count in windows of twice the timespan that begin each timespan: every window of
the correlation, both ends included, lies within one of these. So a key for which the correlation is complete is found,
and one is also found whose events are up to twice the timespan apart, or in another order. Two aggregations have every
other of these windows each; both have to be read page by page (``after_key``), pages that are empty included.

A value of a list counts by itself, and an event without a field that is grouped by does not count: ``composite`` takes
both as correlations do. Different values are counted by the buckets of as many ``terms`` as are needed, which is exact
up to there, while ``cardinality`` may be one too low.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.formats.converted_correlation import ConvertedCorrelation
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.rule_files.counted import EVENT_COUNT, VALUE_COUNT, Correlation
from sigma_stellar_aws.rule_files.stellar_block import rule_name

SUPERSET = "superset"
"""Name of the aggregation with every other window; the other one is ``superset_shifted``."""

_PAGE = 1000
_MOST_BUCKETS = 65_535
"""In one answer, by default of the servers (``search.max_buckets``)."""

# None that a field or an alias has.
_WINDOW = "(window)"
_VALUES = (
    "def found = []; for (def name : params.fields) { if (doc.containsKey(name)) { found.addAll(doc[name]) } } "
    "return found"
)


def correlation_search(converted: ConvertedCorrelation) -> JsonObject:
    """Return the body of a search for the keys for which a correlation can be complete.

    Raises:
        UnsupportedRuleError: its rules have the values that it counts in different fields, or these are too many.
    """
    correlation, whole = converted.correlation, converted.whole
    present = [dsl.exists(field) for field in converted.values]
    counts, condition = _counts(converted)
    page = min(_PAGE, _MOST_BUCKETS // 2 // (1 + correlation.count)) if correlation.kind == VALUE_COUNT else _PAGE
    if not page:
        converted.refuse(f"it counts {correlation.count:,} values twice, and one answer has room for {_MOST_BUCKETS:,}")
    aggregations: JsonObject = {**counts, "can_be_complete": {"bucket_selector": condition}}
    meta: JsonObject = {
        "rule": rule_name(whole.rule),
        "superset": f"for every key for which {correlation.title!r} is complete there is a bucket, but not every "
        "bucket is of such a key",
    }
    keys: list[Json] = [
        {name: _source(list(dict.fromkeys(rule.key[place] for rule in converted.rules)))}
        for place, name in enumerate(correlation.group_by)
    ]

    def windows(offset: timedelta) -> JsonObject:
        histogram: JsonObject = {
            "field": whole.time_field,
            "fixed_interval": f"{2 * correlation.timespan // timedelta(seconds=1)}s",
            **({"offset": f"{offset // timedelta(seconds=1)}s"} if offset else {}),
        }
        sources: list[Json] = [*keys, {_WINDOW: {"date_histogram": histogram}}]
        return {"composite": {"size": page, "sources": sources}, "aggs": aggregations, "meta": meta}

    return {
        "size": 0,
        "query": dsl.named(dsl.all_of([whole.clause, *present]), rule_name(whole.rule)),
        "aggs": {SUPERSET: windows(timedelta(0)), f"{SUPERSET}_shifted": windows(correlation.timespan)},
    }


def distinct_values(fields: Sequence[str], most: int) -> JsonObject:
    """Return the aggregation with a bucket for each value, up to a number; several fields count together."""
    size: JsonObject = {"size": most, "shard_size": most}
    if len(fields) == 1:
        return {"terms": {"field": fields[0], **size}}
    return {"multi_terms": {"terms": [{"field": field} for field in fields], **size}}


def _source(fields: list[str]) -> JsonObject:
    """Return what a key is made of; where rules have it in different fields, the values of all of these."""
    if len(fields) == 1:
        return {"terms": {"field": fields[0]}}
    script: JsonObject = {"lang": "painless", "source": _VALUES, "params": {"fields": [*fields]}}
    return {"terms": {"script": script}}


def _counts(converted: ConvertedCorrelation) -> tuple[JsonObject, JsonObject]:
    """Return what is counted of a key in a window, and the condition that the counts have to meet."""
    correlation = converted.correlation
    if correlation.kind == EVENT_COUNT:
        return {}, _selector({"counted": "_count"}, "params.counted >= params.least", correlation.count)
    if correlation.kind == VALUE_COUNT:
        values: JsonObject = {"values": distinct_values(converted.values, correlation.count)}
        condition = _selector({"counted": "values._bucket_count"}, "params.counted >= params.least", correlation.count)
        return values, condition
    rules: JsonObject = {
        f"rule_{number}": {"filter": rule.converted.clause} for number, rule in enumerate(converted.rules)
    }
    paths = {name: f"{name}>_count" for name in rules}
    return rules, _selector(paths, _enough_rules(correlation), correlation.count)


def _enough_rules(correlation: Correlation) -> str:
    """Return the condition that enough rules have events, in whatever order."""
    if correlation.alternatives:
        sets = (" && ".join(f"params.rule_{number} > 0" for number in each) for each in correlation.alternatives)
        return " || ".join(f"({each})" for each in sets)
    present = (f"(params.rule_{number} > 0 ? 1 : 0)" for number in range(len(correlation.members)))
    return f"{' + '.join(present)} >= params.least"


def _selector(paths: Mapping[str, str], source: str, least: int) -> JsonObject:
    script: JsonObject = {"lang": "painless", "source": source, "params": {"least": least}}
    return {"buckets_path": dict(paths), "script": script}
