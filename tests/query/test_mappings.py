"""CloudTrail rules as people write them, on real engines, under every mapping that stores have."""

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from opensearchpy import OpenSearch
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import AddFieldnamePrefixTransformation

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import InexactQueryWarning, UnsupportedRuleError
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query import dsl, store_profile
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store
from tests.conftest import Report
from tests.support.mappings import WAYS, Store
from tests.support.records import cases, record
from tests.support.sigma_semantics import compile_detection
from tests.support.teaching import teach
from tests.support.yaml_files import read_yaml

STYLE = sorted((Path(__file__).parents[1] / "cases" / "cloudtrail").glob("*.yml"))


class Example(NamedTuple):
    """A rule, and its events with whether it must match them."""

    rule: dict[str, Any]
    events: dict[str, tuple[Document, bool]]


class Index(NamedTuple):
    """An index of all events of all examples, made in one of the ways of real stores."""

    client: OpenSearch
    name: str
    store: Store
    profile: store_profile.StoreProfile

    def hits(self, query: Clause, events: dict[str, tuple[Document, bool]]) -> set[str]:
        """Ids of the events that a query finds among some."""
        among = {"terms": {"_id": list(events)}}
        body = {**dsl.search(dsl.all_of([query, cast(Clause, among)])), "size": 1000, "_source": False}
        answer = self.client.search(index=self.name, body=body)
        assert answer["_shards"]["failed"] == 0
        return {hit["_id"] for hit in answer["hits"]["hits"]}

    def query(self, rule: dict[str, Any], inexact: str) -> Clause:
        """The query of a rule for this index."""
        pipeline = stellar_aws()
        if self.store.inside:
            prefix = AddFieldnamePrefixTransformation(f"{self.store.inside}.")
            pipeline += ProcessingPipeline([ProcessingItem(prefix)])
        backend = StellarAwsBackend(pipeline, store=self.profile, inexact=inexact)
        [body] = backend.convert(SigmaCollection.from_dicts([rule]))
        return cast(Clause, body["query"])


def flattened(detection: dict[str, Any]) -> dict[str, Any]:
    """A detection with the flattened names of its fields."""

    def renamed(selection: Any) -> Any:
        if isinstance(selection, list):
            return [renamed(item) for item in selection]
        return {key.replace(".", "_"): value for key, value in selection.items()}

    return {key: value if key == "condition" else renamed(value) for key, value in detection.items()}


def _texts(value: object) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value])]


def style_examples() -> list[Example]:
    """The rules of cases/cloudtrail."""
    found: list[Example] = []
    for number, path in enumerate(STYLE):
        data = read_yaml(path)
        events = [(event["event"], kind == "hits") for kind in ("hits", "misses") for event in data[kind]]
        found.append(
            Example(
                data["rule"],
                {
                    f"{path.stem} {place}": (flatten(record(event, number=100 * number + place)), hit)
                    for place, (event, hit) in enumerate(events)
                },
            )
        )
    return found


def pack_examples() -> list[Example]:
    """The 29 rules."""
    events: dict[str, dict[str, tuple[Document, bool]]] = {}
    for case in cases(100_000):
        events.setdefault(case.rule, {})[f"{case.rule} {case.name}"] = (flatten(case.record), case.expected)
    return [Example(rule.to_dict(), events[rule.title]) for rule in load_rules().rules]


EXAMPLES = [*style_examples(), *pack_examples()]
ALL_EVENTS = {event: case for example in EXAMPLES for event, case in example.events.items()}


@pytest.fixture(params=WAYS, scope="module")
def index(request: pytest.FixtureRequest, url_of_engine: Callable[[str], str]) -> Iterator[Index]:
    """An index of every way on every engine that knows it, with all events."""
    engine, way = request.param
    client = connect(url_of_engine(engine), None, {})
    name = f"mapped-{way.name.replace(' ', '-')}"
    client.indices.create(index=name, body=way.body())
    documents = {
        event: way.document(cast(JsonObject, document))
        for example in EXAMPLES
        for event, (document, _) in example.events.items()
    }
    teach(client, name, documents.values())
    operations: list[Any] = []
    for event, whole in documents.items():
        operations += [{"index": {"_index": name, "_id": event}}, whole]
    answer = client.bulk(body=operations, refresh=True)
    assert not answer["errors"], [item for item in answer["items"] if item["index"]["status"] > 299]
    yield Index(client, name, way, store_profile.profile_from_json(describe_store(client, name)))
    client.indices.delete(index=name)


def test_rules_find_exactly_their_events_or_are_refused(index: Index, report: Report) -> None:
    """Every rule finds its events and no others, or its conversion says what the store cannot answer."""
    refused: dict[str, str] = {}
    for example in EXAMPLES:
        try:
            query = index.query(example.rule, "refuse")
        except UnsupportedRuleError as error:
            refused[example.rule["title"]] = str(error)
            continue
        means = compile_detection(flattened(example.rule["detection"]))
        expected = {event for event, (document, _) in ALL_EVENTS.items() if means(document)}
        assert {event for event in example.events if event in expected} == {
            event for event, (_, hit) in example.events.items() if hit
        }
        assert index.hits(query, ALL_EVENTS) == expected, example.rule["title"]
    on_opensearch, on_elasticsearch = index.store.refused
    expected_refusals = on_opensearch if index.profile.engine == "opensearch" else on_elasticsearch
    assert len(refused) == expected_refusals, "\n".join(refused.values())
    unexplained = [reason for reason in refused.values() if not re.search(f"script|{index.store.reason}", reason)]
    assert unexplained == []
    report(f"{index.profile.engine}, {index.store.name}: {len(EXAMPLES) - len(refused)} of {len(EXAMPLES)} rules exact")


def test_inexact_queries_are_wrong_only_in_what_their_warnings_say(index: Index) -> None:
    """Converted all the same, a rule differs from what it should find only where a warning says how."""
    for example in EXAMPLES:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                query = index.query(example.rule, "warn")
            except UnsupportedRuleError:
                continue
        doubts = [warning.message for warning in caught if isinstance(warning.message, InexactQueryWarning)]
        hits = index.hits(query, example.events)
        for event, (document, expected) in example.events.items():
            doubtful = any(
                doubt.field.removeprefix(f"{index.store.inside}.") in document
                if doubt.kind == "loose"
                else any(len(text) > 256 for text in _texts(document.get(doubt.field)))
                for doubt in doubts
            )
            assert doubtful or (event in hits) == expected, (example.rule["title"], event)
