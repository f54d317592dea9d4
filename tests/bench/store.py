"""How fast a data store is asked and filled, against stock Lucene queries and a plain loop in the same run."""

import argparse
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from statistics import median

from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk
from opensearchpy.helpers import scan as stock_scan
from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend

from sigma_stellar_aws.alerts.pack import convert_pack, pack_fields
from sigma_stellar_aws.logs.flatten import document_id, flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query import dsl, store_profile
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS, TIME_FIELD, Document
from sigma_stellar_aws.rule_files.load import load_rules
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.embedded import embedded_opensearch
from sigma_stellar_aws.store.load import create_index, load_documents
from sigma_stellar_aws.store.mapping import count_each, describe_store
from sigma_stellar_aws.store.scan import scan
from tests.bench.local import HITS, templates

MIXED, HITS_ONLY = "bench-mixed", "bench-hits"
FIRST_TIME = datetime(2026, 11, 1, tzinfo=timezone.utc)
LOADED = 50_000
"""Events that are loaded for the comparison."""


def events(count: int, hits: float, seed: int) -> Iterator[Document]:
    """Events as `load` has them, one every two seconds, of which a share matches rules; always the same."""
    quiet, loud = (
        [flatten(json.loads(text)) for text in texts] for texts in templates(convert_pack(load_rules(), stellar_aws()))
    )
    chance = random.Random(seed)
    for number in range(count):
        time = FIRST_TIME + timedelta(seconds=2 * number)
        yield {
            **chance.choice(loud if chance.random() < hits else quiet),
            "eventID": str(uuid.UUID(int=chance.getrandbits(128))),
            "requestID": str(uuid.UUID(int=chance.getrandbits(128))),
            "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}",
            TIME_FIELD: round(time.timestamp() * 1000),
        }


def seconds(rounds: int, *actions: Callable[[], object]) -> list[float]:
    """The median times of some actions, done in turn, so that all meet the same state of the machine."""
    times: list[list[float]] = [[] for _ in actions]
    # The first round fills caches.
    for number in range(rounds + 1):
        for action, measured in zip(actions, times, strict=True):
            start = time.perf_counter()
            action()
            if number:
                measured.append(time.perf_counter() - start)
    return [median(measured) for measured in times]


def report(what: str, measured: str, ratio: float, at_least: float | None = None, at_most: float | None = None) -> None:
    """Print one line of the table."""
    good = (at_least is None or ratio >= at_least) and (at_most is None or ratio <= at_most)
    aim = f"at least {at_least}" if at_least is not None else f"at most {at_most}" if at_most is not None else ""
    print(f"{what:<34} {measured:<64} {ratio:6.2f}  {aim and ('ok' if good else 'MISSED') + ', ' + aim}", flush=True)


def time_queries(client: OpenSearch, rounds: int) -> None:
    """Compare the pack with the stock queries of the 29 rules."""
    profile = store_profile.profile_from_json(describe_store(client, MIXED))
    any_case, exact = (
        convert_pack(load_rules(), stellar_aws(MIXED), case_sensitive=exact, store=profile).query
        for exact in (False, True)
    )
    texts = [str(text) for text in OpensearchLuceneBackend(stellar_aws(MIXED)).convert(load_rules())]
    stock: list[Clause] = [{"query_string": {"query": text}} for text in texts]

    def stock_counts() -> list[int]:
        body = {"size": 0, "track_total_hits": True}
        return [client.search(index=MIXED, body={**body, **dsl.search(q)})["hits"]["total"]["value"] for q in stock]

    def stock_hits() -> int:
        return sum(1 for q in stock for _ in stock_scan(client, index=MIXED, query=dsl.search(q)))

    def counts(pack: Clause) -> list[int]:
        return [*count_each(client, MIXED, dict(dsl.named_clauses(pack))).counts.values()]

    def hits(pack: Clause) -> int:
        found = scan(client, MIXED, pack, EVENT_FIELDS, time_field=TIME_FIELD)
        return sum(len(event.matched_queries) for event in found)

    assert counts(any_case) == counts(exact) == stock_counts()
    assert hits(any_case) == hits(exact) == stock_hits() == sum(stock_counts())
    for what, theirs, ours, at_least in (("counts", stock_counts, counts, 6.0), ("hits", stock_hits, hits, 3.0)):
        t, e, a = seconds(rounds, theirs, partial(ours, exact), partial(ours, any_case))
        measured = f"29 stock {t * 1000:.0f} ms, pack {a * 1000:.0f} ms, with exact case {e * 1000:.0f} ms"
        report(f"{what}: stock / pack", measured, t / a, at_least=at_least)
        report(f"{what}: stock / pack, exact case", "", t / e)
        report(f"{what}: any case / exact case", "", a / e, at_most=1.3)


def time_loading(client: OpenSearch, rounds: int) -> None:
    """Compare `load` with a loop of the client library."""
    documents = list(events(LOADED, HITS, seed=3))

    def fresh(index: str) -> None:
        client.indices.delete(index=index, ignore=404)
        create_index(client, index, pack_fields())

    def ours() -> None:
        fresh("bench-load")
        assert load_documents(client, "bench-load", documents).created == LOADED

    def theirs() -> None:
        fresh("bench-bulk")
        actions = (
            {"_op_type": "create", "_index": "bench-bulk", "_id": document_id(document), "_source": document}
            for document in documents
        )
        assert bulk(client, actions, refresh=True)[0] == LOADED

    t, o = seconds(rounds, theirs, ours)
    report("loading: bulk loop / load", f"loop {LOADED / t:,.0f} events/s, load {LOADED / o:,.0f} events/s", t / o)
    client.indices.delete(index="bench-load,bench-bulk")


def peak(command: Sequence[str]) -> tuple[float, float]:
    """Most memory of a process that has to succeed, in MiB, and its seconds."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_maxrss / 1024, time.perf_counter() - start


def measure_memory(url: str, count: int) -> None:
    """Compare the memory of the command for a tenth of the hits and for all."""
    command = [str(Path(sys.executable).with_name("sigma-stellar-aws")), "alerts", "--url", url, "--index", HITS_ONLY]
    until = FIRST_TIME + timedelta(seconds=2 * count // 10)
    (few, short), (many, long) = peak([*command, "--json", "--until", until.isoformat()]), peak([*command, "--json"])
    measured = f"{count // 10:,} hits {few:.0f} MiB in {short:.1f} s, {count:,} hits {many:.0f} MiB in {long:.1f} s"
    report("memory: all hits / a tenth", measured, many / few, at_most=1.1)


def main() -> None:
    """Fill a store of its own, or the given one, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="in each of the two indices")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--url", help="of a store to use and to clean up; without it, one is started")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.url or stack.enter_context(embedded_opensearch(heap="2g"))
        client = connect(url, None, {})
        for index, share, seed in ((MIXED, HITS, 1), (HITS_ONLY, 1.0, 2)):
            client.indices.delete(index=index, ignore=404)
            create_index(client, index, pack_fields())
            start = time.perf_counter()
            load_documents(client, index, events(options.events, share, seed))
            took = time.perf_counter() - start
            print(f"{options.events:,} events into {index}: {options.events / took:,.0f} a second, made as they go")
        time_queries(client, options.rounds)
        time_loading(client, max(1, options.rounds // 2))
        measure_memory(url, options.events)
        client.indices.delete(index=f"{MIXED},{HITS_ONLY}")


if __name__ == "__main__":
    main()
