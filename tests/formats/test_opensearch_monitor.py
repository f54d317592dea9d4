"""Monitors of OpenSearch Alerting."""

import json
import re
import warnings
from typing import Any

import pytest
from jsonschema import Draft7Validator
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.processing.conditions import RuleAttributeCondition
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import SetStateTransformation
from sigma.rule import SigmaRule

from sigma_stellar_aws import __version__
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning, LeftOutWarning, UnsupportedRuleError
from sigma_stellar_aws.formats.document_monitor import allowed_name
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.store_profile import StoreProfile
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.rule_files.stellar_block import suppression
from tests.support.formats import ID, LUCENE, OTHER_ID, convert, profile, rule, schema

# Here no store is known, as a rule; test_fields_that_must_be_mapped_are_told is about that.
pytestmark = pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.AssumptionWarning")

VALIDATOR = Draft7Validator(schema("opensearch-monitor.schema.json"))
CLAUSES = [
    {"term": {"eventSource": {"value": "events.amazonaws.com", "case_insensitive": True}}},
    {
        "bool": {
            "should": [
                {"term": {"eventName": {"value": "DeleteRule", "case_insensitive": True}}},
                {"term": {"eventName": {"value": "DisableRule", "case_insensitive": True}}},
            ],
            "minimum_should_match": 1,
        }
    },
]
WINDOW = {"range": {"timestamp": {"gte": "{{period_end}}||-1440m", "lt": "{{period_end}}", "format": "epoch_millis"}}}


TWO_INDICES = stellar_aws("cloudtrail") + ProcessingPipeline(
    [
        ProcessingItem(
            SetStateTransformation("index", ["other"]), rule_conditions=[RuleAttributeCondition("title", "Elsewhere")]
        )
    ]
)


def monitors(*rules: dict[str, Any], **options: Any) -> list[Any]:
    """Return the monitors of rules, which keep the schema of the server; an alias is searched by document monitors."""
    if options.get("monitor") == "document":
        options = {"pipeline": stellar_aws("cloudtrail"), **options}
    found = convert("opensearch_monitor", *(rules or (rule(),)), **options)
    for each in found:
        VALIDATOR.validate(each)
    return found


def trigger(monitor: Any) -> Any:
    """The only trigger of a monitor."""
    [found] = monitor["triggers"]
    [body] = found.values()
    return body


@pytest.mark.parametrize(("kind", "count"), [("query", 29), ("bucket", 29), ("document", 4)])
def test_all_rules_keep_the_schema(kind: str, count: int) -> None:
    """The 29 rules are monitors that the server takes, off, each with the identity by which it is found again."""
    rules = load_rules()
    backend = StellarAwsBackend(stellar_aws("cloudtrail"), monitor=kind, case_sensitive=True)
    found = backend.convert(rules, "opensearch_monitor")
    for monitor in found:
        VALIDATOR.validate(monitor)
    assert len(found) == count
    assert {monitor["enabled"] for monitor in found} == {False}
    own = [monitor["ui_metadata"]["sigma_stellar_aws"] for monitor in found]
    severities = (f"aws_malicious_activity-severity-{severity}" for severity in "2345")
    ids = [*severities] if kind == "document" else [str(each.id) for each in rules.rules]
    assert own == [{"rule_id": each, "version": __version__} for each in ids]


def test_query_monitor() -> None:
    """It asks the native query of the time in which the rule suppresses, with samples, and alerts while it has hits."""
    assert monitors(rule(stellar={"severity": 75})) == [
        {
            "type": "monitor",
            "name": "Some Rule",
            "monitor_type": "query_level_monitor",
            "enabled": False,
            "schedule": {"period": {"interval": 5, "unit": "MINUTES"}},
            "ui_metadata": {"sigma_stellar_aws": {"rule_id": ID, "version": __version__}},
            "inputs": [
                {
                    "search": {
                        "indices": ["aella-cloudtrail-*"],
                        "query": {
                            "size": 5,
                            "track_total_hits": True,
                            "query": {"bool": {"filter": [WINDOW, *CLAUSES]}},
                        },
                    }
                }
            ],
            "triggers": [
                {
                    "query_level_trigger": {
                        "name": "Some Rule",
                        "severity": "2",
                        "condition": {"script": {"source": "ctx.results[0].hits.total.value > 0", "lang": "painless"}},
                        "actions": [],
                    }
                }
            ],
        }
    ]
    assert monitors(enabled="true")[0]["enabled"] is True


@pytest.mark.parametrize(
    ("severity", "of_trigger"),
    [(100, "1"), (99, "2"), (75, "2"), (74, "3"), (50, "3"), (49, "4"), (25, "4"), (24, "5"), (0, "5")],
)
def test_severity_of_a_trigger(severity: int, of_trigger: str) -> None:
    """1 is the highest; the steps are those of the platform."""
    [found] = monitors(rule(stellar={"severity": severity}))
    assert trigger(found)["severity"] == of_trigger


@pytest.mark.parametrize(
    ("window", "minutes"), [("24h", 1440), ("90m", 90), ("30m", 30), ("5m", 30), ("7d", 1440), ("1441m", 1440)]
)
@pytest.mark.parametrize("kind", ["query", "bucket", "document"])
def test_a_channel_is_told_once_in_the_window(kind: str, window: str, minutes: int) -> None:
    """An action is held back as long as the alert stays open, which is as long as the rule suppresses, if that can be.

    If it stayed open for a shorter time, the next event would make a new alert, which holds nothing back; if longer,
    the same event would be told of twice. A time that cannot be is told.
    """
    stated = rule(stellar={"suppression": {"window": window}})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LeftOutWarning)
        [found] = monitors(stated, channel=4711, monitor=kind)
    [action] = trigger(found)["actions"]
    assert action["destination_id"] == "4711"
    assert (action["throttle_enabled"], action["throttle"]) == (True, {"value": minutes, "unit": "MINUTES"})
    if kind != "document":
        bounds = found["inputs"][0]["search"]["query"]["query"]["bool"]["filter"][0]["range"]["timestamp"]
        assert bounds["gte"] == f"{{{{period_end}}}}||-{minutes}m"
    told = [str(each.message) for each in caught if each.category is LeftOutWarning]
    others = {"7d": "1440 minutes, not for 10080", "1441m": "1440 minutes, not for 1441", "5m": "30 minutes, not for 5"}
    assert len(told) == (window in others)
    assert others.get(window, "") in "".join(told)


FAILED = "The monitor {{ctx.monitor.name}} failed, so nobody knows whether its rule matches: {{ctx.error}}"


def shown(*fields: str) -> str:
    """Return the part of a template that shows fields of an event, each by its name."""
    return ", ".join(f"{field}: {{{{_source.{field}}}}}" for field in fields)


EVENT = shown("eventTime", "eventName", "userIdentity_arn", "sourceIPAddress", "recipientAccountId", "eventID")


def test_a_message_of_a_query_shows_events() -> None:
    """It counts the events of the time that was searched, and shows the samples that the query asks for."""
    [found] = monitors(channel="c")
    source = trigger(found)["actions"][0]["message_template"]["source"]
    assert found["inputs"][0]["search"]["query"]["size"] > 0
    assert source == (
        f"{{{{#ctx.error}}}}{FAILED}{{{{/ctx.error}}}}{{{{^ctx.error}}}}{{{{ctx.monitor.name}}}}: "
        "{{ctx.results.0.hits.total.value}} event(s) in the 1440 minutes before {{ctx.periodEnd}}:\n"
        f"{{{{#ctx.results.0.hits.hits}}}}- {EVENT}\n{{{{/ctx.results.0.hits.hits}}}}{{{{/ctx.error}}}}"
    )


def test_a_message_of_buckets_shows_each_new_group() -> None:
    """It names the fields of the events, since keys come in any order; without a new group or an error it is empty."""
    [found] = monitors(
        rule(stellar={"suppression": {"fields": ["userIdentity.arn", "awsRegion"]}}), monitor="bucket", channel="c"
    )
    [action] = trigger(found)["actions"]
    assert action["action_execution_policy"] == {
        "action_execution_scope": {"per_alert": {"actionable_alerts": ["NEW"]}}
    }
    assert action["message_template"]["source"] == (
        f"{{{{#ctx.error}}}}{FAILED}{{{{/ctx.error}}}}{{{{^ctx.error}}}}"
        "{{#ctx.newAlerts}}{{ctx.monitor.name}}: "
        "events in the 1440 minutes before {{ctx.periodEnd}} with the same userIdentity_arn, awsRegion "
        "(values in no particular order: {{bucket_keys}}), such as:\n"
        f"{{{{#sample_documents}}}}- {shown('eventName', 'userIdentity_arn', 'awsRegion')}\n{{{{/sample_documents}}}}"
        "{{/ctx.newAlerts}}{{/ctx.error}}"
    )


@pytest.mark.parametrize("kind", ["query", "bucket", "document"])
def test_an_error_is_reported_as_one(kind: str) -> None:
    """Results are shown only where there is no error, since there are none then; the subject says it too."""
    [found] = monitors(monitor=kind, channel="c")
    [action] = trigger(found)["actions"]
    source = action["message_template"]["source"]
    assert source.startswith(f"{{{{#ctx.error}}}}{FAILED}{{{{/ctx.error}}}}{{{{^ctx.error}}}}")
    assert source.endswith("{{/ctx.error}}")
    assert source.count("ctx.error}}") == 5
    assert action["subject_template"]["source"].startswith("{{#ctx.error}}Monitor failed: {{/ctx.error}}")


def test_a_message_of_the_document_monitor_names_the_rules() -> None:
    """The monitor is for all rules, so that its message tells which it was."""
    [found] = monitors(monitor="document", channel="c")
    source = trigger(found)["actions"][0]["message_template"]["source"]
    assert "{{#ctx.alerts}}- {{#associated_queries}}{{name}}; {{/associated_queries}}" in source
    assert f"{{{{#sample_documents}}}}  {EVENT}\n" in source


def test_bucket_monitor_groups_by_the_suppression_fields() -> None:
    """There is one alert for the same values, with (none) for a missing one, by a script that is the same for all."""
    [found] = monitors(monitor="bucket", channel="c")
    body = found["inputs"][0]["search"]["query"]
    [(name, aggregation)] = body["aggregations"].items()
    # Alerting finds the sample documents of a message by this name only.
    assert name == "composite_agg"
    terms = [(name, source["terms"]) for each in aggregation["composite"]["sources"] for name, source in each.items()]
    fields = ["recipientAccountId", "userIdentity_arn", "sourceIPAddress"]
    assert [name for name, _ in terms] == fields
    assert [source["script"]["params"] for _, source in terms] == [
        {"field": field, "none": "(none)"} for field in fields
    ]
    assert len({source["script"]["source"] for _, source in terms}) == 1
    assert not any("missing_bucket" in source for _, source in terms), "null keys kill the monitor"
    assert body["query"] == {"bool": {"filter": [WINDOW, *CLAUSES]}}
    assert trigger(found)["condition"] == {
        "buckets_path": {"_count": "_count"},
        "parent_bucket_path": "composite_agg",
        "script": {"source": "params._count > 0", "lang": "painless"},
    }


@pytest.mark.parametrize("kind", ["query", "bucket"])
def test_few_scripts_are_compiled(kind: str) -> None:
    """OpenSearch compiles 75 scripts in five minutes; all 29 monitors have the same ones.

    The message about a group names what it is suppressed by.
    """
    backend = StellarAwsBackend(stellar_aws(), monitor=kind, channel="c")
    text = json.dumps(backend.convert(load_rules(), "opensearch_monitor"))
    scripts = set(re.findall(r'"source": "((?:[^"\\]|\\.)*)", "lang": "painless"', text))
    assert len(scripts) == {"query": 1, "bucket": 2}[kind]
    fields = {suppression(rule).fields for rule in load_rules().rules if isinstance(rule, SigmaRule)}
    messages = set(re.findall(r'"source": "((?:[^"\\]|\\.)*)", "lang": "mustache"', text))
    assert len(messages) == 1 + {"query": 1, "bucket": len(fields)}[kind]


def test_document_monitors() -> None:
    """There is one for each severity, so that each event has one finding; each rule has its text, name and tags."""
    rules = [
        rule({"errorCode": None}, id="c0a2f9a4-1f0d-4c57-8b1e-3e6a5d4c2f11", title="Third"),
        rule(stellar={"severity": 75}, tags=["attack.impact", "attack.t1489"]),
        rule({"eventName": "CreateKey"}, id=OTHER_ID, title="Another Rule", level="high"),
    ]
    found = monitors(*rules, monitor="document", channel="c")
    assert [each["name"] for each in found] == [
        "Potentially Malicious AWS Activity (severity 2)",
        "Potentially Malicious AWS Activity (severity 3)",
    ]
    assert [each["ui_metadata"]["sigma_stellar_aws"]["rule_id"] for each in found] == [
        "aws_malicious_activity-severity-2",
        "aws_malicious_activity-severity-3",
    ]
    high, medium = (each["inputs"][0]["doc_level_input"] for each in found)
    assert high["indices"] == ["cloudtrail"]
    assert high["queries"][0] == {
        "id": ID,
        "name": "Some Rule",
        "query": LUCENE,
        "tags": ["severity-2", "sigma-stellar-aws", "attack.impact", "attack.t1489"],
        "fields": [],
    }
    assert [query["query"] for query in high["queries"][1:]] == ["eventName:CreateKey"]
    assert [query["query"] for query in medium["queries"]] == ["NOT _exists_:errorCode"]
    triggers = [trigger(each) for each in found]
    assert [(each["severity"], each["condition"]["script"]["source"]) for each in triggers] == [
        ("2", "query[tag=severity-2]"),
        ("3", "query[tag=severity-3]"),
    ]
    assert all(each["actions"][0]["destination_id"] == "c" for each in triggers)


@pytest.mark.parametrize("index", ["cloudtrail-*", "cloudtrail,other-?"])
def test_an_index_pattern_is_refused_for_documents(index: str) -> None:
    """OpenSearch refuses it from 2.19 on; the refusal says what to do instead. Other monitors take patterns."""
    assert monitors(monitor="query", pipeline=stellar_aws(index))
    with pytest.raises(UnsupportedRuleError, match=f"{re.escape(index)} is a pattern, which .* name it: --index ALIAS"):
        monitors(monitor="document", pipeline=stellar_aws(index))


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("AWS KMS Keys", "AWS KMS Keys"),
        ("-_+ Rule", "Rule"),
        ("A *wild* <b>rule</b>? #1 | x", "A wild b rule /b 1 x"),
        ("From .. to ...", "From to ."),
        ("two\nlines\x00", "two lines"),
        ("x" * 300, "x" * 256),
        ("***", ID),
        ("Größe ^ 5", "Größe 5"),
    ],
)
def test_names_are_what_the_server_takes(title: str, name: str) -> None:
    """Whatever a title has, its name keeps the rules of the server, and the schema."""
    assert allowed_name(title, ID) == name
    assert re.fullmatch(r"(?![_+\-])(?!.*\.\.)[^*?<>|#^]{1,256}", name)
    [found] = monitors(rule(title=title[:256]), monitor="document")
    assert found["inputs"][0]["doc_level_input"]["queries"][0]["name"] == name


def test_rules_of_other_indices_are_left_out_of_a_document_monitor() -> None:
    """One monitor searches the indices of its first rule; a rule of others is refused or skipped by itself."""
    third = "c0a2f9a4-1f0d-4c57-8b1e-3e6a5d4c2f11"
    rules = [rule(), rule(title="Elsewhere", id=OTHER_ID), rule(title="Third", id=third)]
    collection = SigmaCollection.from_dicts(rules)
    backend = StellarAwsBackend(TWO_INDICES, collect_errors=True, monitor="document")
    [found] = backend.convert(collection, "opensearch_monitor")
    inputs = found["inputs"][0]["doc_level_input"]
    assert inputs["indices"] == ["cloudtrail"]
    assert [query["id"] for query in inputs["queries"]] == [ID, third]
    [(refused, error)] = backend.errors
    assert (refused.title, type(error)) == ("Elsewhere", UnsupportedRuleError)
    assert "it searches other, others cloudtrail" in str(error)
    with pytest.raises(UnsupportedRuleError, match="'Elsewhere': it searches other"):
        monitors(*rules, pipeline=TWO_INDICES, monitor="document")


def test_indices_are_those_of_the_first_rule_that_is_left() -> None:
    """A refused rule does not decide which indices the monitor searches."""
    refused = rule({"userAgent|contains": "curl"}, title="Elsewhere", id=OTHER_ID)
    backend = StellarAwsBackend(TWO_INDICES, collect_errors=True, monitor="document")
    [found] = backend.convert(SigmaCollection.from_dicts([refused, rule()]), "opensearch_monitor")
    assert found["inputs"][0]["doc_level_input"]["indices"] == ["cloudtrail"]


@pytest.mark.parametrize("output_format", ["pack", "elastic_rule", "opensearch_monitor", "opensearch_detector"])
def test_of_two_rules_with_one_id_the_second_is_left_out(output_format: str) -> None:
    """With collect_errors (sigma convert --skip-unsupported) the first is output, and the second an error."""
    collection = SigmaCollection.from_dicts([rule(), rule({"eventName": "CreateKey"}, title="Second")])
    backend = StellarAwsBackend(stellar_aws(), collect_errors=True)
    [found] = backend.convert(collection, output_format)
    assert "DeleteRule" in str(found)
    assert "CreateKey" not in str(found)
    [(refused, error)] = backend.errors
    assert refused.title == "Second"
    assert "another rule has the same id" in str(error)


def test_names_and_tags_of_a_document_monitor_are_apart_and_allowed() -> None:
    """Two rules of one title have different names; a tag loses what tags must not have."""
    rules = [rule(title="Same", tags=["odd.[a] (b) {c}"]), rule(title="Same!?", id=OTHER_ID), rule(title="Same!")]
    rules[2]["id"] = "c0a2f9a4-1f0d-4c57-8b1e-3e6a5d4c2f11"
    [found] = monitors(*rules, monitor="document")
    queries = found["inputs"][0]["doc_level_input"]["queries"]
    assert len({query["name"] for query in queries}) == 3
    assert queries[0]["tags"][-1] == "odd._a___b___c_"


def test_rules_of_one_long_title_are_told_apart() -> None:
    """A name has 256 characters at most, with the id of the rule where the title is not enough."""
    title = "x" * 256
    [found] = monitors(rule(title=title), rule(title=title, id=OTHER_ID), monitor="document")
    names = [query["name"] for query in found["inputs"][0]["doc_level_input"]["queries"]]
    assert names == [f"{'x' * 219} {ID}", f"{'x' * 219} {OTHER_ID}"]


def store(version: str = "3.8.0", **fields: Any) -> StoreProfile:
    """An OpenSearch."""
    return profile("opensearch", version, **fields)


@pytest.mark.parametrize("kind", ["query", "bucket", "document"])
def test_a_store_of_the_other_engine_is_refused(kind: str) -> None:
    """Elasticsearch has no such monitors."""
    with pytest.raises(UnsupportedRuleError, match="for opensearch, and the store profile of logs is of elasticsearch"):
        monitors(monitor=kind, store=profile("elasticsearch", "8.19.0"))


@pytest.mark.parametrize("mapping", [None, {"type": "long"}, [{"type": "date"}, {"type": "keyword"}]])
@pytest.mark.parametrize("kind", ["query", "bucket"])
def test_a_time_field_that_is_no_date_is_refused(kind: str, mapping: Any) -> None:
    """The bounds of a run are dates; without them nothing is found. A document-level monitor needs no time."""
    with pytest.raises(UnsupportedRuleError, match=r"the time field 'timestamp' .* in logs; name"):
        monitors(monitor=kind, store=store(timestamp=mapping))
    assert monitors(monitor="document", store=store(timestamp=mapping))


@pytest.mark.parametrize("kind", ["query", "bucket"])
def test_a_query_that_engines_refuse_is_refused(kind: str) -> None:
    """More conditions than they take would be an error at every run."""
    stated = rule({"userIdentity.userName": [f"user-{number}" for number in range(1001)]})
    with pytest.raises(UnsupportedRuleError, match="its query has 1001 conditions"):
        monitors(stated, monitor=kind)
    assert monitors(stated, monitor=kind, case_sensitive=True)


@pytest.mark.filterwarnings("default::sigma_stellar_aws.base.sigma_errors.AssumptionWarning")
def test_fields_that_must_be_mapped_are_told() -> None:
    """Without a store profile one warning names all fields of the document-level monitor; with one there is none."""
    rules = [rule(), rule({"errorCode|exists": True}, id=OTHER_ID)]
    with pytest.warns(
        AssumptionWarning, match=r"does not map.*store=FILE\): errorCode, eventName, eventSource$"
    ) as caught:
        monitors(*rules, monitor="document")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitors(*rules, monitor="document", store=store())
        monitors(*rules)


NESTED = stellar_aws("cloudtrail", flattened=False)
TEXT: Any = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 2048}}}


@pytest.mark.parametrize(
    ("stated", "options", "reason"),
    [
        ({"userAgent|contains": "curl"}, {}, "'userAgent': .* with case; a document-level monitor takes nothing but"),
        ({"eventName": "DeleteRule"}, {"keyword_suffix": ".keyword"}, "'eventName.keyword': it is a sub-field"),
        ({"eventName": "DeleteRule"}, {"store": store(eventName=TEXT)}, "'eventName.keyword'"),
        ({"requestParameters.x": "1"}, {"store": store()}, "no such field"),
        ({"requestParameters.x": "1"}, {"store": store(), "inexact": "warn"}, "the mapping has no such field"),
        ({"requestParameters.x|exists": True}, {"store": store(), "inexact": "warn"}, "the mapping has no such field"),
        ({"errorCode": None}, {"store": store("2.11.0")}, r"'errorCode': before OpenSearch 2.13 \(this is 2.11.0\)"),
        ({"x.y|exists": True}, {"store": store(x={"type": "flat_object"}), "pipeline": NESTED}, "'x.y': it is inside"),
        ({"x.y": None}, {"store": store(x={"type": "flat_object"}), "pipeline": NESTED}, "'x.y': it is inside"),
        ({"x.y": "1"}, {"store": store(x={"type": "flat_object"}), "pipeline": NESTED}, "of the type flat_object"),
        ({"eventID": [f"{n:04}" for n in range(1001)]}, {}, "1001 conditions, and engines take 1000; a document-level"),
    ],
)
@pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.InexactQueryWarning")
def test_what_a_document_monitor_would_drop_is_refused(
    stated: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    """A query that the server would take and never find anything by is refused; the other rules are there."""
    with pytest.raises(SigmaError, match=f"'Some Rule': .*{reason}"):
        monitors(rule(stated), monitor="document", **options)
    other = rule({"eventName|exists": False} if "store" not in options else {"eventSource": "iam.amazonaws.com"})
    other = {**other, "id": OTHER_ID}
    [found] = monitors(rule(stated), other, monitor="document", collect_errors=True, **options)
    assert [query["id"] for query in found["inputs"][0]["doc_level_input"]["queries"]] == [OTHER_ID]


def test_presence_is_asked_of_newer_servers() -> None:
    """From 2.13 on a document-level monitor sees whether a field has a value."""
    [found] = monitors(rule({"errorCode": None}), monitor="document", store=store("2.13.0"))
    assert found["inputs"][0]["doc_level_input"]["queries"][0]["query"] == "NOT _exists_:errorCode"


@pytest.mark.parametrize("kind", ["query", "bucket", "document"])
def test_a_rule_without_a_title_is_refused(kind: str) -> None:
    """A monitor and its queries have names."""
    with pytest.raises(UnsupportedRuleError, match=f"'{ID}': it has no title"):
        monitors(rule(title=""), monitor=kind)


def test_braces_of_a_template_are_refused() -> None:
    """A search body is a Mustache template, which would take the value for a place to fill in."""
    with pytest.raises(UnsupportedRuleError, match=r"'\{\{' in it"):
        monitors(rule({"userAgent|contains": "{{x}}"}))


def test_conditions_of_a_rule_are_one_monitor() -> None:
    """Any of several conditions makes the rule match."""
    detection = {"a": {"eventName": "DeleteRule"}, "b": {"errorCode": None}, "condition": ["a", "b"]}
    [found] = monitors(rule(detection=detection))
    window, either = found["inputs"][0]["search"]["query"]["query"]["bool"]["filter"]
    assert window == WINDOW
    assert len(either["bool"]["should"]) == 2


@pytest.mark.parametrize("kind", ["query", "bucket", "document"])
def test_a_rule_without_an_id_is_refused(kind: str) -> None:
    """Its monitor could not be found again."""
    without = rule()
    del without["id"]
    with pytest.raises(UnsupportedRuleError, match="has no id"):
        monitors(without, monitor=kind)


def test_no_rules_are_no_monitor() -> None:
    """Nothing to convert gives an empty list, also for all rules in one."""
    for kind in ("query", "document"):
        assert convert("opensearch_monitor", monitor=kind) == []


def test_a_kind_that_there_is_not_is_an_error() -> None:
    """The message lists the kinds."""
    with pytest.raises(TypeError, match=r"'monitor=doc .write query or bucket or document"):
        StellarAwsBackend(monitor="doc")
