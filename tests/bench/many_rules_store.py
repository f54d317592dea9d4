"""How fast a data store is asked for very many rules, against a stock Lucene query for each in the same run."""

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from opensearchpy import OpenSearch
from opensearchpy.helpers import scan as stock_scan
from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend

from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.alerts.run_store import alerts_of_store
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.clause_count import spread
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import profile_from_json
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS, TIME_FIELD
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.embedded import embedded_opensearch
from sigma_stellar_aws.store.load import create_index, load_documents
from sigma_stellar_aws.store.mapping import describe_store
from sigma_stellar_aws.store.scan import scan_each
from tests.bench.many_rules import make_rules, record_texts
from tests.bench.store import report, seconds

RULES, EVENTS = 1500, 20_000
INDEX = "bench-many-rules"


def compare(client: OpenSearch, rules: Path, rounds: int) -> None:
    """Find all events of all rules: in the queries that it takes, with one for each rule, and with the stock ones."""
    pack = convert_pack(load_rules(rules), stellar_aws(INDEX), store=profile_from_json(describe_store(client, INDEX)))
    clauses = dict(dsl.named_clauses(pack.query))
    queries = [dsl.pack(group) for group in spread(clauses.values())]
    texts = [str(text) for text in OpensearchLuceneBackend(stellar_aws(INDEX)).convert(load_rules(rules))]
    stock: list[Clause] = [{"query_string": {"query": text}} for text in texts]

    def ours() -> int:
        found = scan_each(client, INDEX, queries, EVENT_FIELDS, time_field=TIME_FIELD)
        return sum(len(event.matched_queries) for event in found)

    def one_by_one(asked: list[Clause]) -> int:
        return sum(1 for query in asked for _ in stock_scan(client, index=INDEX, query=dsl.search(query)))

    hits = ours()
    assert hits == one_by_one(stock) == one_by_one([*clauses.values()])
    mine, each, theirs = seconds(rounds, ours, lambda: one_by_one([*clauses.values()]), lambda: one_by_one(stock))
    measured = f"{len(texts):,} stock {theirs:.2f} s, {len(queries)} queries {mine:.2f} s, {hits:,} hits"
    report("hits: stock / ours", measured, theirs / mine)
    report("hits: one query a rule / ours", f"one a rule {each:.2f} s", each / mine)


def time_alerts(client: OpenSearch, rules: Path, rounds: int) -> None:
    """Time the alerts with the conversion of the rules, and all that is asked of the store before and after."""
    loaded = load_rules(rules)
    [took] = seconds(rounds, lambda: alerts_of_store(client, INDEX, loaded))
    print(f"alerts, with all that is asked before and after: {took:.2f} s")


def main() -> None:
    """Fill a store of its own, or the given one, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=RULES)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", help="of a store to use and to clean up; without it, one is started")
    options = parser.parse_args()
    with ExitStack() as stack:
        rules = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_rules(rules, options.rules)
        client = connect(options.url or stack.enter_context(embedded_opensearch(heap="1g")), None, {})
        client.indices.delete(index=INDEX, ignore=404)
        fields = dsl.fields(convert_pack(load_rules(rules), stellar_aws(INDEX)).query)
        create_index(client, INDEX, {*fields, *EVENT_FIELDS})
        load_documents(client, INDEX, (flatten(json.loads(text)) for text in record_texts(options.events)))
        compare(client, rules, options.rounds)
        time_alerts(client, rules, options.rounds)
        client.indices.delete(index=INDEX)


if __name__ == "__main__":
    main()
