"""The query inside each artefact, taken out and run on real engines: the same hits as the native query."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch
from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend
from sigma.collection import SigmaCollection

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.formats.opensearch_monitor import MOST_THROTTLE
from sigma_stellar_aws.logs.flatten import document_id, flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.reference import aws_events
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents
from tests.support.records import cases, record
from tests.support.yaml_files import read_yaml

STYLE = sorted((Path(__file__).parents[1] / "cases" / "cloudtrail").glob("*.yml"))
INDEX = "cloudtrail-formats"
LOOK_BACK = MOST_THROTTLE
"""Minutes: all rules here suppress for a day."""

pytestmark = pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.AssumptionWarning")

Convert = Callable[..., list[Any]]


class Store(NamedTuple):
    """An engine with an index of all test events."""

    client: OpenSearch
    documents: dict[str, Document]
    """By their ids there."""
    odd: set[str]
    """The events in which a name of AWS is spelled as AWS does not, of which text that regards case finds none."""

    def __repr__(self) -> str:
        """Short, since a random test that fails shows it."""
        return f"<{len(self.documents)} events>"

    def search(self, body: dict[str, Any]) -> Any:
        """The answer to a search body."""
        answer = self.client.search(index=INDEX, body=body)
        assert answer["_shards"]["failed"] == 0
        return answer

    def hits(self, query: dict[str, Any]) -> set[str]:
        """Ids of the events that a query finds."""
        found = self.search({"query": query, "size": 10000, "_source": False})
        return {hit["_id"] for hit in found["hits"]["hits"]}

    def times(self, events: set[str]) -> list[int]:
        """The times of events, in milliseconds, in order."""
        return sorted(int(str(self.documents[event]["timestamp"])) for event in events)


def rules() -> list[dict[str, Any]]:
    """The 29 rules and the fifty of cases/cloudtrail, without the two that compare fields, as no query can."""
    ours = [read_yaml(rule.source.path) for rule in load_rules().rules if rule.source]
    style = [read_yaml(file)["rule"] for file in STYLE]
    return [rule for rule in [*ours, *style] if "|fieldref" not in str(rule["detection"])]


RULES = rules()
SUPPRESSED_BY = ["recipientAccountId", "userIdentity.arn", "sourceIPAddress"]
"""What rules that say nothing else are suppressed by."""


def events() -> Iterator[Document]:
    """The events of all test cases."""
    for case in cases():
        yield flatten(case.record)
    number = 1
    for file in STYLE:
        data = read_yaml(file)
        for case in data["hits"] + data["misses"]:
            yield flatten(record(case["event"], number=number))
            number += 2


SPELLINGS = {
    name.lower(): name
    for names in (aws_events.all_names(), aws_events.sources(), aws_events.IDENTITY_TYPES, {"NetworkActivity"})
    for name in names
}
"""Names that the rules ask for; event names that differ in case only are not among those that they ask for."""


def is_odd(document: Document) -> bool:
    """Whether an event has a name in another spelling than AWS's."""
    values = [document.get(field) for field in ("eventSource", "eventName", "userIdentity_type", "eventCategory")]
    return any(SPELLINGS.get(str(value).lower(), value) != value for value in values)


@pytest.fixture(scope="module")
def engine(engine_url: str) -> Iterator[Store]:
    """Each engine in turn, with all test events in an index made as `load` makes it."""
    client = connect(engine_url, None, {})
    documents = {document_id(document): document for document in events()}
    create_index(client, INDEX, pack_fields())
    assert load_documents(client, INDEX, documents.values()) == (len(documents), 0, 0)
    yield Store(client, documents, {event for event, document in documents.items() if is_odd(document)})
    client.indices.delete(index=INDEX)


def convert(rule: dict[str, Any], output_format: str = "default", **options: Any) -> list[Any]:
    """What a rule becomes; empty if it is refused."""
    # Monitors of documents take an index or an alias, no pattern.
    backend = StellarAwsBackend(stellar_aws("cloudtrail"), collect_errors=True, **options)
    return list(backend.convert(SigmaCollection.from_dicts([rule]), output_format))


def native(rule: dict[str, Any], **options: Any) -> Clause:
    """The native query of a rule."""
    [body] = convert(rule, **options)
    clause: Clause = body["query"]
    return clause


def as_kibana_asks(line: dict[str, Any]) -> dict[str, Any]:
    """The query of a rule as Kibana's detection engine builds it: the Lucene text, and the filters beside it."""
    assert line["language"] == "lucene"
    text = {"query_string": {"query": line["query"], "analyze_wildcard": True}} if line["query"] else {"match_all": {}}
    return {"bool": {"must": [text], "filter": [each["query"] for each in line["filters"]]}}


def filled_in(body: dict[str, Any], period_end: int) -> dict[str, Any]:
    """A search body as Alerting fills in the times of a run."""
    filled: dict[str, Any] = json.loads(json.dumps(body).replace("{{period_end}}", str(period_end)))
    return filled


@pytest.mark.parametrize("form", ["auto", "dsl", "lucene"])
def test_elastic_rule_finds_what_the_native_query_finds(engine: Store, form: str) -> None:
    """Text and filter find the same events; every rule has a filter, and the text is refused where it is not exact."""
    found = 0
    texts = set()
    for rule in RULES:
        lines = convert(rule, "elastic_rule", query=form)
        assert lines or form == "lucene", rule["title"]
        for line in lines:
            hits = engine.hits(as_kibana_asks(line))
            odd = set() if line["filters"] else engine.odd
            assert hits - odd == engine.hits(native(rule)) - odd, rule["title"]
            found += bool(hits)
            texts.add(bool(line["query"]))
    assert texts == {"auto": {True, False}, "dsl": {False}, "lucene": {True}}[form]
    assert found > (25 if form == "lucene" else 70)


def test_query_monitor_finds_the_native_hits_of_its_window(engine: Store) -> None:
    """A run finds the events of the minutes that it looks back, without those at its end."""
    for rule in RULES:
        [monitor] = convert(rule, "opensearch_monitor")
        [found] = monitor["inputs"]
        hits = engine.hits(native(rule))
        times = engine.times(hits)
        for end in {times[0] + 1, times[-1], times[-1] + LOOK_BACK * 60_000}:
            answer = engine.search(filled_in(found["search"]["query"], end))
            expected = [time for time in times if end - LOOK_BACK * 60_000 <= time < end]
            assert answer["hits"]["total"]["value"] == len(expected), rule["title"]
            assert len(answer["hits"]["hits"]) == min(len(expected), 5)


@pytest.mark.parametrize("engine_url", ["opensearch"], indirect=True)
def test_bucket_monitor_has_a_bucket_for_each_actor(engine: Store) -> None:
    """The buckets of a run are the different values of the suppression fields of its events, missing ones included."""
    several = 0
    for rule in RULES:
        [monitor] = convert(rule, "opensearch_monitor", monitor="bucket")
        [found] = monitor["inputs"]
        hits = engine.hits(native(rule))
        month = json.loads(json.dumps(found["search"]["query"]).replace(f"-{LOOK_BACK}m", "-31d"))
        answer = engine.search(filled_in(month, engine.times(hits)[-1] + 1))
        own = rule.get("stellar", {}).get("suppression", {}).get("fields", SUPPRESSED_BY)
        fields = [name.replace(".", "_") for name in own]
        groups = {tuple(engine.documents[event].get(field, "(none)") for field in fields) for event in hits}
        buckets = answer["aggregations"]["composite_agg"]["buckets"]
        assert {tuple(bucket["key"][field] for field in fields) for bucket in buckets} == groups, rule["title"]
        several += len(groups) > 1
    assert several > 20


@pytest.mark.parametrize("case_sensitive", [False, True])
def test_document_monitor_finds_what_the_native_query_finds(engine: Store, case_sensitive: bool) -> None:
    """The Lucene text of every rule that the monitor takes finds the same events."""
    found = 0
    for rule in RULES:
        for monitor in convert(rule, "opensearch_monitor", monitor="document", case_sensitive=case_sensitive):
            [query] = monitor["inputs"][0]["doc_level_input"]["queries"]
            hits = engine.hits({"query_string": {"query": query["query"]}})
            odd = set() if case_sensitive else engine.odd
            assert hits - odd == engine.hits(native(rule, case_sensitive=case_sensitive)) - odd, rule["title"]
            found += bool(hits)
    assert found >= (40 if case_sensitive else 25)


def test_detector_rule_finds_what_the_native_query_finds(engine: Store) -> None:
    """A custom rule, converted to Lucene text by the backend nearest to its plugin, finds the same events."""
    found = 0
    for rule in RULES:
        for text in convert(rule, "opensearch_detector"):
            [query] = OpensearchLuceneBackend().convert(SigmaCollection.from_yaml(text))
            hits = engine.hits({"query_string": {"query": query}})
            assert hits - engine.odd == engine.hits(native(rule)) - engine.odd, rule["title"]
            found += bool(hits)
    assert found > 25


SELECTIONS: dict[str, Any] = {
    "source": {"eventSource": ["iam.amazonaws.com", "kms.amazonaws.com"]},
    "beginning": {"eventName|startswith": ["DeleteLog", "UpdateFunctionCode"]},
    "caller": {"userIdentity.type": "IAMUser"},
    "worked": {"errorCode": None},
    "failed": {"errorCode|exists": True},
    "absent": {"userIdentity.invokedBy|exists": False},
    "several": [{"eventName": "CreateKey", "errorCode": None}, {"userIdentity.type": ["Root", "AWSService"]}],
    "wild": {"eventName": "*"},
    "cased": {"userAgent|cased|contains": "Boto3/1"},
    "digits": {"recipientAccountId|endswith": "3333"},
}
CONDITIONS = st.recursive(
    st.sampled_from([*SELECTIONS, "1 of w*", "all of them"]),
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(conditions=st.lists(CONDITIONS, min_size=1, max_size=2))
def test_text_that_is_said_to_be_exact_is(engine: Store, conditions: list[str]) -> None:
    """However the conditions are joined, and negated, the text finds what the native queries find together."""
    logsource = {"product": "aws", "service": "cloudtrail"}
    detection = {**SELECTIONS, "condition": conditions}
    rule = {"title": "R", "id": RULES[0]["id"], "logsource": logsource, "detection": detection}
    [line] = convert(rule, "elastic_rule", query="lucene")
    queries = [compile_query(body["query"]) for body in convert(rule)]
    expected = {event for event, document in engine.documents.items() if any(matches(document) for matches in queries)}
    assert engine.hits(as_kibana_asks(line)) - engine.odd == expected - engine.odd
