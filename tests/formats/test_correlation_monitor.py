"""Monitors of OpenSearch Alerting for correlations: what they are, and what their searches find on a real engine."""

import json
import random
import re
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from jsonschema import Draft7Validator
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk
from sigma.exceptions import SigmaError

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import InexactCorrelationWarning, UnsupportedRuleError
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.client import connect
from tests.support import correlation_oracle as oracle
from tests.support.correlation_oracle import Event
from tests.support.formats import OTHER_ID, convert, profile, rule, schema
from tests.support.random_correlations import BASES, random_block
from tests.support.settings import RANDOM_SEED

VALIDATOR = Draft7Validator(schema("opensearch-monitor.schema.json"))
THIRD_ID = "7d1f3c3a-2f0b-4a55-8f21-0e0c6a4f9b10"
MINUTE = 60_000
INTERVAL, LATEST = 5 * MINUTE, 25 * MINUTE
FIELDS = {"u": "userIdentity.userName", "v": "awsRegion", "w": "requestParameters.value"}
INDEX = "cloudtrail-correlations"
IGNORES_THE_WARNING = pytest.mark.filterwarnings(
    "ignore::sigma_stellar_aws.base.sigma_errors.InexactCorrelationWarning"
)


def base(name: str = "base", **more: Any) -> dict[str, Any]:
    """A rule that a correlation counts."""
    return rule({"eventName": name}, title=name, name=name, **more)


def correlation(**block: Any) -> dict[str, Any]:
    """A correlation of the rule `base`: three events of an address within five minutes."""
    stated = {"type": "event_count", "rules": ["base"], "group-by": ["sourceIPAddress"], "timespan": "5m", **block}
    return {"title": "Many", "id": OTHER_ID, "level": "high", "correlation": {"condition": {"gte": 3}, **stated}}


def monitor(*rules: dict[str, Any], **options: Any) -> Any:
    """The monitor of the correlation among rules; that it is not exact is accepted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InexactCorrelationWarning)
        *_, made = convert("opensearch_monitor", *rules, **{"inexact": "warn", **options})
    VALIDATOR.validate(made)
    return made


def search_of(made: Any) -> Any:
    """The search of a monitor."""
    return made["inputs"][0]["search"]["query"]


def refused(*rules: dict[str, Any], **options: Any) -> str:
    """Why rules are refused."""
    with pytest.raises(UnsupportedRuleError) as caught:
        convert("opensearch_monitor", *rules, **{"inexact": "warn", **options})
    return str(caught.value)


# What it is


def test_a_correlation_is_a_bucket_monitor_whatever_kind_the_others_are() -> None:
    """Its trigger alerts for each group of which enough is in one window."""
    made = monitor(base(), correlation())
    assert (made["name"], made["monitor_type"], made["enabled"]) == ("Many", "bucket_level_monitor", False)
    assert made["ui_metadata"]["sigma_stellar_aws"]["rule_id"] == OTHER_ID
    trigger = made["triggers"][0]["bucket_level_trigger"]
    assert (trigger["name"], trigger["severity"], trigger["actions"]) == ("Many", "2", [])
    assert trigger["condition"] == {
        "buckets_path": {"most": "most"},
        "parent_bucket_path": "composite_agg",
        "script": {"source": "params.most >= 3", "lang": "painless"},
    }


def test_it_looks_back_for_its_timespan_the_interval_and_what_is_late() -> None:
    """Each window is a step longer than the timespan; the last one ends with the run."""
    search = search_of(monitor(base(), correlation()))
    aggregation = search["aggregations"]["composite_agg"]
    assert aggregation["composite"]["sources"] == [{"sourceIPAddress": {"terms": {"field": "sourceIPAddress"}}}]
    [window, selection] = search["query"]["bool"]["filter"]
    assert window["range"]["timestamp"] == {
        "gte": "{{period_end}}||-35m",
        "lt": "{{period_end}}",
        "format": "epoch_millis",
    }
    assert selection == {"term": {"eventName": {"value": "base", "case_insensitive": True}}}
    ranges = aggregation["aggregations"]["windows"]["date_range"]["ranges"]
    assert ranges[0] == {"from": "{{period_end}}||-35m", "to": "{{period_end}}||-29m"}
    assert ranges[-1] == {"from": "{{period_end}}||-6m", "to": "{{period_end}}"}
    assert len(ranges) == 30


@pytest.mark.parametrize(
    ("timespan", "step", "number"), [("1s", 60, 30), ("90s", 60, 30), ("1h", 360, 5), ("7h", 1800, 1), ("9d", 1800, 1)]
)
def test_whatever_lies_within_the_timespan_lies_within_a_window(timespan: str, step: int, number: int) -> None:
    """From the beginning of what the search sees to the run."""

    def seconds_before(text: str) -> int:
        match = re.fullmatch(r"\{\{period_end\}\}(?:\|\|-(\d+)([smh]))?", text)
        assert match
        return int(match[1] or 0) * {"s": 1, "m": 60, "h": 3600, None: 0}[match[2]]

    search = search_of(monitor(base(), correlation(timespan=timespan)))
    windows = search["aggregations"]["composite_agg"]["aggregations"]["windows"]["date_range"]["ranges"]
    spans = [(-seconds_before(window["from"]), -seconds_before(window["to"])) for window in windows]
    span = int(timespan[:-1]) * {"s": 1, "h": 3600, "d": 86400}[timespan[-1]]
    [first, *_] = search["query"]["bool"]["filter"]
    begin = -seconds_before(first["range"]["timestamp"]["gte"])
    assert begin == -span - 1800
    assert len(spans) == number
    assert {end - start for start, end in spans} == {span + step}
    for start in range(begin, -span, max(step // 7, 1)):
        assert any(one <= start and start + span < other for one, other in spans)


def test_several_fields_are_grouped_and_counted_together() -> None:
    """Values are counted up to what is needed, by which the pages of the answer are bounded."""
    counted = correlation(
        type="value_count",
        condition={"gte": 20, "field": ["eventName", "awsRegion"]},
        **{"group-by": ["userIdentity.arn", "sourceIPAddress"]},
    )
    aggregation = search_of(monitor(base(), counted))["aggregations"]["composite_agg"]
    assert [*map(list, aggregation["composite"]["sources"])] == [["userIdentity_arn"], ["sourceIPAddress"]]
    assert aggregation["aggregations"]["windows"]["aggregations"]["counted"] == {
        "multi_terms": {"terms": [{"field": "eventName"}, {"field": "awsRegion"}], "size": 20, "shard_size": 20}
    }
    assert aggregation["aggregations"]["most"] == {"max_bucket": {"buckets_path": "windows>counted._bucket_count"}}
    page = aggregation["composite"]["size"]
    assert page * (1 + 30 * (1 + 20)) <= 65_535 < (page + 1) * (1 + 30 * (1 + 20))


def test_a_message_says_what_was_counted_and_the_keys() -> None:
    """Alerting has no sample documents where there are aggregations within the groups."""
    made = monitor(base(), correlation(), channel="a-channel")
    [action] = made["triggers"][0]["bucket_level_trigger"]["actions"]
    assert action["action_execution_policy"] == {
        "action_execution_scope": {"per_alert": {"actionable_alerts": ["NEW"]}}
    }
    assert (
        "{{#ctx.newAlerts}}{{ctx.monitor.name}}: 3 events or more within 5m with the same sourceIPAddress (values in "
        "no particular order: {{bucket_keys}})\n{{/ctx.newAlerts}}"
    ) in action["message_template"]["source"]
    assert "sample_documents" not in action["message_template"]["source"]


def test_one_field_is_grouped_by_once() -> None:
    """OpenSearch refuses two sources of one name."""
    aliases = {"who": {"base": "sourceIPAddress"}}
    made = monitor(base(), correlation(aliases=aliases, **{"group-by": ["who", "sourceIPAddress"]}))
    [source] = search_of(made)["aggregations"]["composite_agg"]["composite"]["sources"]
    assert [*source] == ["sourceIPAddress"]


# Which way it errs, and what is refused


def test_it_is_refused_without_the_option_and_says_which_way_it_errs() -> None:
    """The reason names both names of the option."""
    reason = refused(base(), correlation(), inexact="refuse")
    assert reason.startswith(
        "Rule 'Many': a monitor is not exact: it alerts too often: events count together up to 1m further apart than "
        "5m, and once the last 35m do not hold enough, what comes alerts anew, also within 24h; and it may miss events "
        "that are stored over 25m after their time (inexact=warn, or --inexact, makes one)"
    )


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({}, "up to 1m further apart than 5m, and once"),
        ({"timespan": "1h"}, "up to 6m further apart than 1h, and once the last 90m"),
        (
            {"type": "temporal_ordered", "rules": ["base", "other"], "condition": {"gte": 2}},
            "up to 1m further apart than 5m and in any order, and",
        ),
    ],
)
def test_a_warning_says_which_way_it_errs(block: dict[str, Any], told: str) -> None:
    """Once for each correlation, with its title."""
    with pytest.warns(InexactCorrelationWarning) as caught:
        convert("opensearch_monitor", base(), base("other", id=THIRD_ID), correlation(**block), inexact="warn")
    [text] = [str(each.message) for each in caught]
    assert text.startswith("Rule 'Many': a monitor is not exact: it alerts too often")
    assert told in text


@IGNORES_THE_WARNING
@pytest.mark.parametrize(
    ("block", "options", "reason"),
    [
        ({}, {"monitor": "document"}, "a document-level monitor looks at one event at a time, and cannot count"),
        (
            {"type": "value_count", "condition": {"gte": 2200, "field": "eventName"}},
            {},
            "it counts 2,200 values, and one answer has room for 65,535 in all",
        ),
        (
            {"group-by": ["sourceIpAddress"]},
            {},
            "it groups or counts by 'sourceIpAddress', which CloudTrail records do",
        ),
        (
            {
                "rules": ["base", "other"],
                "group-by": ["who"],
                "aliases": {"who": {"base": "userIdentity.arn", "other": "requestParameters.userName"}},
            },
            {},
            r"different fields \(userIdentity_arn and requestParameters_userName\)",
        ),
        ({}, {"store": profile("elasticsearch", "9.5.1")}, "this is for opensearch"),
        (
            {},
            {"store": profile("opensearch", "3.8.0", sourceIPAddress={"type": "text"})},
            "it groups or counts by the field 'sourceIPAddress', which logs cannot group by; name another field",
        ),
    ],
)
def test_what_cannot_be_a_monitor_is_refused(block: dict[str, Any], options: dict[str, Any], reason: str) -> None:
    """By its name, so that sigma convert can skip it."""
    others = [base("other", id=THIRD_ID)] if "other" in block.get("rules", ()) else []
    text = refused(base(), *others, correlation(**block), **options)
    assert text.startswith("Rule 'Many': ")
    assert re.search(reason, text)


def test_a_custom_rule_of_security_analytics_cannot_count() -> None:
    """Its own conditions of counts have no timespan."""
    with pytest.raises(SigmaError, match="'Many': a custom rule of Security Analytics looks at one event at a time"):
        convert("opensearch_detector", base(), correlation())


@IGNORES_THE_WARNING
def test_values_that_are_cut_are_told_of() -> None:
    """They are not indexed, so their events are in no group."""
    cut = profile("opensearch", "3.8.0", sourceIPAddress={"type": "keyword", "ignore_above": 5})
    with pytest.warns(match="values over 5 characters are not indexed in sourceIPAddress, so events with such values "):
        convert("opensearch_monitor", base(), correlation(), store=cut, inexact="warn")


@IGNORES_THE_WARNING
def test_of_the_correlations_of_this_project_seven_are_monitors() -> None:
    """One counts another correlation, three have aliases that are other fields in each rule."""
    backend = StellarAwsBackend(stellar_aws(), collect_errors=True, inexact="warn")
    made = backend.convert(load_rules(correlations=True), "opensearch_monitor")
    kinds = [body["monitor_type"] for body in made]
    assert kinds == ["query_level_monitor"] * 29 + ["bucket_level_monitor"] * 7
    assert len(backend.errors) == 4
    for body in made:
        VALIDATOR.validate(body)


# What it finds


class Stream(NamedTuple):
    """Events whose values begin with a mark that no other stream has, and when each of them was stored."""

    events: list[Event]
    stored: dict[str, int]


@pytest.fixture(scope="module")
def client(opensearch_url: str) -> Iterator[OpenSearch]:
    """A real OpenSearch with an empty index of several shards."""
    opened = connect(opensearch_url, None, {})
    fields = {FIELDS[name].replace(".", "_"): {"type": "keyword"} for name in FIELDS}
    mappings = {"properties": {**fields, "timestamp": {"type": "date"}, "requestParameters_rules": {"type": "keyword"}}}
    opened.indices.create(index=INDEX, body={"settings": {"number_of_shards": 3}, "mappings": mappings})
    yield opened
    opened.indices.delete(index=INDEX)
    opened.close()


def drawn_stream(draw: random.Random, mark: str, span: int) -> Stream:
    """Events within a few timespans, at the edges of which they are a millisecond more or less apart."""
    events, stored = [], {}
    for number in range(draw.randint(2, 9)):
        time = draw.randint(0, 9) * span // 3 + draw.choice([0, 0, 0, -1, 1, MINUTE, 30_000])
        values = [None, "1", "2", "2", 1, ["1", "2"], "", "x"]
        fields = {name: draw.choice(values) for name in FIELDS}
        fields["u"] = draw.choice([None, [f"{mark}1", f"{mark}2"], *[f"{mark}1"] * 6])
        name = f"{mark}{number}"
        events.append(Event(time, name, frozenset(draw.sample(BASES, draw.choice([1, 1, 2]))), fields))
        stored[name] = time + draw.choice([0, 0, 1, LATEST // 2, LATEST])
    return Stream(events, stored)


def drawn_block(draw: random.Random, kind: str) -> dict[str, Any]:
    """A correlation by the field u, and perhaps others, that can be a monitor."""
    while True:
        block = random_block(draw, {})
        aliases = block.get("aliases", {})
        if block["type"] == kind and all(len(set(fields.values())) == 1 for fields in aliases.values()):
            fields = list(dict.fromkeys(["u", *block.get("group-by", [])]))
            span = draw.choice(["30s", "1m", "5m", "7m", "12m", "1h"])
            return {**block, "group-by": fields, "timespan": span}


def as_rules(block: dict[str, Any]) -> list[dict[str, Any]]:
    """A correlation in the fields of CloudTrail, with its rules."""
    rules = [rule({"requestParameters.rules": name}, name=name, title=name, id=str(uuid4())) for name in BASES]
    written = json.loads(json.dumps(block))
    written["group-by"] = [FIELDS.get(field, field) for field in block["group-by"]]
    for fields in written.get("aliases", {}).values():
        fields.update({name: FIELDS[field] for name, field in fields.items()})
    if "field" in (condition := written.get("condition", {})):
        counted = condition["field"]
        condition["field"] = [FIELDS[field] for field in ([counted] if isinstance(counted, str) else counted)]
    return [*rules, {"title": "Many", "id": OTHER_ID, "correlation": written}]


def store(client: OpenSearch, streams: list[Stream], begin: int) -> None:
    """Store events, with times from a begin on; instead of those that are there."""
    client.delete_by_query(index=INDEX, body={"query": {"match_all": {}}}, refresh=True)
    documents = [
        {
            "_index": INDEX,
            "timestamp": begin + event.time,
            "stored": begin + stream.stored[event.name],
            "requestParameters_rules": sorted(event.rules),
            **{FIELDS[name].replace(".", "_"): value for name, value in event.fields.items() if value is not None},
        }
        for stream in streams
        for event in stream.events
    ]
    bulk(client, documents, refresh=True)


def keys_of_run(client: OpenSearch, made: Any, time: int) -> set[tuple[str, ...]]:
    """The keys that a run of a monitor alerts for; Alerting's selector is OpenSearch's own here, the same otherwise."""
    body = json.loads(json.dumps(search_of(made)).replace("{{period_end}}", str(time)))
    body["query"]["bool"]["filter"].append({"range": {"stored": {"lte": time}}})
    condition = made["triggers"][0]["bucket_level_trigger"]["condition"]
    composite = body["aggregations"][condition.pop("parent_bucket_path", "composite_agg")]
    composite["aggregations"]["over"] = {"bucket_selector": condition}
    # Pages that are full of groups that are not over, too.
    composite["composite"]["size"] = 30
    found: set[tuple[str, ...]] = set()
    while True:
        answer = client.search(index=INDEX, body=body)
        assert answer["_shards"]["failed"] == 0
        aggregation = answer["aggregations"]["composite_agg"]
        found |= {tuple(bucket["key"].values()) for bucket in aggregation["buckets"]}
        if "after_key" not in aggregation:
            return found
        composite["composite"]["after"] = aggregation["after_key"]


def relaxed(block: dict[str, Any]) -> dict[str, Any]:
    """What the warning says that it may alert for: a step longer, in any order."""
    number, unit = int(block["timespan"][:-1]), block["timespan"][-1]
    seconds = number * {"s": 1, "m": 60, "h": 3600}[unit]
    step = 360 if block["timespan"] == "1h" else 60
    kind = block["type"].replace("temporal_ordered", "temporal")
    condition = block.get("condition", {})
    return {**block, "type": kind, "timespan": f"{seconds + step}s", "condition": condition}


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("kind", ["event_count", "value_count", "temporal", "temporal_ordered"])
def test_no_key_is_missed_and_what_is_too_much_is_what_the_warning_says(
    client: OpenSearch, kind: str, number: int
) -> None:
    """Runs every five minutes from some time on, over events that come up to 25 minutes late."""
    draw = random.Random(f"{RANDOM_SEED} {kind} {number}")
    block = drawn_block(draw, kind)
    made = monitor(*as_rules(block))
    span = oracle._span(block)
    streams = [drawn_stream(draw, f"{place}-", span) for place in range(25)]
    begin = 1_700_000_000_000
    store(client, streams, begin)
    first = begin + draw.randint(0, INTERVAL) - INTERVAL
    last = begin + max(time for stream in streams for time in stream.stored.values()) + 2 * INTERVAL
    found = set().union(*(keys_of_run(client, made, time) for time in range(first, last, INTERVAL)))
    fields = [next(iter(block.get("aliases", {}).get(field, {}).values()), field) for field in block["group-by"]]
    places = [place for place, field in enumerate(fields) if field not in fields[:place]]
    exact, allowed = (
        {
            tuple(key[place] for place in places)
            for stream in streams
            for key, _ in oracle.completions(each, {}, stream.events)
        }
        for each in (block, relaxed(block))
    )
    assert exact <= found, (block, exact - found)
    assert found <= allowed, (block, found - allowed)


@pytest.mark.parametrize(("needed", "found"), [(2, {("(all)",)}), (3, set())])
def test_without_a_field_to_group_by_all_events_are_one_group(
    client: OpenSearch, needed: int, found: set[tuple[str, ...]]
) -> None:
    """As in alerts; events that lack fields count, too."""
    block = {"type": "event_count", "rules": ["a"], "timespan": "5m", "condition": {"gte": needed}, "group-by": []}
    events = [Event(0, "1", frozenset("a"), {}), Event(5 * MINUTE, "2", frozenset("a"), {"u": "1"})]
    begin = 1_700_000_000_000
    store(client, [Stream(events, {"1": 0, "2": 5 * MINUTE})], begin)
    assert keys_of_run(client, monitor(*as_rules(block)), begin + 6 * MINUTE) == found
