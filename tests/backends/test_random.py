"""Random Sigma detections on real engines: the hits of the query, of the matcher and of the specification are the same.

On Elasticsearch, also as conditions of EQL, which are read as Elasticsearch reads them: it cannot be started with EQL.
SIGMA_STELLAR_AWS_SEED repeats a run, SIGMA_STELLAR_AWS_RANDOM_CASES sets how many detections an engine is asked; less
where a store refuses most.
"""

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch
from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.collection import SigmaCollection
from sigma.conversion.base import Backend
from sigma.exceptions import SigmaError

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning
from sigma_stellar_aws.formats.eql_text import NoEqlError, condition
from sigma_stellar_aws.query import dsl, store_profile
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.reference.flat_schema import Document
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store
from tests.conftest import Report
from tests.support.eql_model import condition_query
from tests.support.mappings import STORES, WAYS, Store
from tests.support.random_rules import DETECTIONS, DETECTIONS_OF_FIELDS, DOCUMENTS, SEED_DOCUMENT, Detection
from tests.support.settings import RANDOM_CASES, RANDOM_SEED
from tests.support.sigma_semantics import compile_detection

ID = "6d0b1f5e-57a6-4f0e-9a3b-0d2a1c7e9b42"


class Index(NamedTuple):
    """An index of an engine, made in one of the ways of real stores."""

    client: OpenSearch
    name: str
    store: Store
    profile: store_profile.StoreProfile
    batches: Iterator[int]

    def load(self, documents: list[Document]) -> Clause:
        """Index documents under their numbers; returns what finds all of them and no others."""
        batch = str(next(self.batches))
        operations: list[Any] = []
        for number, document in enumerate(documents):
            operations += [
                {"index": {"_index": self.name, "_id": f"{batch}-{number}"}},
                self.store.document(cast(JsonObject, document)),
            ]
        answer = self.client.bulk(body=operations, refresh=True)
        assert not answer["errors"], answer
        return dsl.terms("_id", [f"{batch}-{number}" for number in range(len(documents))])

    def hits(self, loaded: Clause, queries: Mapping[str, Clause]) -> dict[str, set[int]]:
        """The numbers of the loaded documents that each of some named queries finds."""
        found: dict[str, set[int]] = {name: set() for name in queries}
        for part in _parts(queries):
            query = {"bool": {"filter": [loaded], "should": part, "minimum_should_match": 0}}
            answer = self.client.search(index=self.name, body={"query": query, "size": 100, "_source": False})
            assert answer["_shards"]["failed"] == 0
            for hit in answer["hits"]["hits"]:
                for name in hit.get("matched_queries", []):
                    found[name].add(_number(hit))
        return found

    def stock_hits(self, loaded: Clause, texts: Mapping[str, str]) -> dict[str, set[int] | None]:
        """The same for queries in Lucene's syntax; None for one that the engine does not understand."""
        lines: list[Any] = []
        for text in texts.values():
            query = {"bool": {"filter": [loaded, {"query_string": {"query": text}}]}}
            lines += [{"index": self.name}, {"query": query, "size": 100, "_source": False}]
        answers = self.client.msearch(body=lines)["responses"]
        return {
            name: None if "error" in answer else {_number(hit) for hit in answer["hits"]["hits"]}
            for name, answer in zip(texts, answers, strict=True)
        }


def _parts(queries: Mapping[str, Clause]) -> Iterator[list[Clause]]:
    """Queries in lists that one search takes: engines count 1,024 conditions."""
    part: list[Clause] = []
    size = 0
    for query in queries.values():
        length = len(list(dsl.leaves(query)))
        if part and size + length > 800:
            yield part
            part, size = [], 0
        part.append(query)
        size += length
    yield part


def _number(hit: Mapping[str, Any]) -> int:
    return int(hit["_id"].rpartition("-")[2])


@pytest.fixture(params=WAYS, scope="module")
def index(request: pytest.FixtureRequest, url_of_engine: Callable[[str], str]) -> Iterator[Index]:
    """An empty index of every way on every engine that knows it."""
    engine, way = request.param
    client = connect(url_of_engine(engine), None, {})
    name = f"random-{way.name.replace(' ', '-')}"
    client.indices.create(index=name, body=way.body())
    client.index(index=name, id="seed", body=way.document(cast(JsonObject, SEED_DOCUMENT)), refresh=True)
    profile = store_profile.profile_from_json(describe_store(client, name))
    yield Index(client, name, way, profile, itertools.count())
    client.indices.delete(index=name)


def stock(detection: Detection) -> str | None:
    """What the stock backend makes of a detection in Lucene's syntax, or None where it refuses."""
    try:
        return cast(str, converted(LuceneBackend(), detection))
    # For several values that a modifier makes of a keyword, it has no words of its own.
    except (SigmaError, NotImplementedError, TypeError):
        return None


def native(detection: Detection, profile: store_profile.StoreProfile | None = None) -> Clause | None:
    """What our backend makes of a detection for a store, or for evaluation; None where it refuses."""
    # The Elasticsearch that tests can start has no language of scripts.
    backend = StellarAwsBackend(store=profile, scripts=profile is not None and profile.engine == "opensearch")
    backend.searches_files = profile is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        try:
            return cast(Clause, converted(backend, detection)["query"])
        except SigmaError:
            return None


def as_eql(query: Clause, profile: store_profile.StoreProfile) -> Clause | None:
    """What Elasticsearch makes of a query that is written as a condition of EQL; None where EQL has no such."""
    try:
        text = condition(dsl.unnamed(query), profile)
    except NoEqlError:
        return None
    return condition_query(text)


def converted(backend: Backend, detection: Detection) -> Any:
    """The output of a backend for a detection."""
    logsource = {"product": "aws", "service": "cloudtrail"}
    rule: dict[str, Any] = {"title": "Random", "id": ID, "logsource": logsource, "detection": detection}
    [query] = backend.convert(SigmaCollection.from_dicts([rule]))
    return query


def matched(detection: Detection, documents: list[Document]) -> set[int] | None:
    """The numbers of the documents that the matcher finds, or None where the conversion is refused."""
    query = native(detection)
    if query is None:
        return None
    matches = compile_query(query)
    return {number for number, document in enumerate(documents) if matches(document)}


def inside(detection: Detection, name: str) -> Detection:
    """The detection with all its fields inside an object, if that has a name."""
    if not name:
        return detection

    def renamed(selection: Any) -> Any:
        if isinstance(selection, list):
            return [renamed(item) for item in selection]
        if not isinstance(selection, dict):
            return selection
        return {
            key if key.startswith("|") else f"{name}.{key}": f"{name}.{value}" if "fieldref" in key else value
            for key, value in selection.items()
        }

    return {key: value if key == "condition" else renamed(value) for key, value in detection.items()}


def test_random_detections_find_what_sigma_says(index: Index, report: Report) -> None:
    """Every random detection is refused, or its query finds exactly the documents that the specification names."""
    others = sum(index.profile.engine in way.engines for way in STORES) - 1
    cases = RANDOM_CASES // 2 if index.store.name == "template" else RANDOM_CASES // 2 // others
    counts = Counter[str]()

    def agree(documents: list[Document], detections: list[Detection]) -> None:
        expected: dict[str, set[int]] = {}
        queries: dict[str, JsonObject] = {}
        for number, detection in enumerate(detections):
            counts["drawn"] += 1
            means = compile_detection(detection)
            expected[str(number)] = {n for n, document in enumerate(documents) if means(document)}
            in_process = matched(detection, documents)
            assert in_process in (None, expected[str(number)]), f"the matcher finds {in_process}: {detection}"
            query = native(inside(detection, index.store.inside), index.profile)
            if query is not None:
                queries[str(number)] = dsl.named(dsl.unnamed(query), str(number))
                if index.profile.engine == "elasticsearch" and (read := as_eql(query, index.profile)) is not None:
                    counts["as EQL"] += 1
                    queries[f"EQL {number}"] = dsl.named(read, f"EQL {number}")
        counts["asked"] += sum(name.isdecimal() for name in queries)
        if not queries:
            return
        loaded = index.load(documents)
        for name, hits in index.hits(loaded, queries).items():
            counts["with hits"] += bool(hits)
            drawn = name.removeprefix("EQL ")
            assert hits == expected[drawn], f"the engine finds {hits}: {detections[int(drawn)]} as {queries[name]}"
        if index.store.name != "template":
            return
        asked = [name for name in queries if name.isdecimal()]
        texts = {name: text for name in asked if (text := stock(detections[int(name)])) is not None}
        counts["stock Lucene refused"] += len(asked) - len(texts)
        for name, stock_hits in index.stock_hits(loaded, texts).items() if texts else ():
            if stock_hits is None:
                counts["stock Lucene not understood"] += 1
            elif stock_hits != expected[name]:
                counts["stock Lucene wrong"] += 1

    kinds = (DETECTIONS,) if index.store.name == "template" else (*[DETECTIONS_OF_FIELDS] * 4, DETECTIONS)
    few = st.sampled_from(kinds).flatmap(lambda kind: st.lists(kind, max_size=10))
    many = st.tuples(few, few, few, few).map(lambda lists: [detection for some in lists for detection in some])
    rounds = itertools.count()
    while counts["asked"] < cases and counts["drawn"] < 5 * cases:
        repeatable = seed(f"{RANDOM_SEED} {next(rounds)} {index.profile.engine} {index.name}")
        limits = settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        repeatable(limits(given(st.lists(DOCUMENTS, min_size=1, max_size=8), many)(agree)))()
    report(f"{index.profile.engine} {index.profile.version}, {index.store.name}: {dict(counts)}")
