"""Values as long as a record may be, which whoever writes events chooses: memory does not grow with their number."""

import json
import tracemalloc
import uuid
from collections import deque
from datetime import timedelta
from pathlib import Path

import pytest

from sigma_stellar_aws.alerts.alert_json import alert_lines
from sigma_stellar_aws.alerts.run import AlertOptions, alerts_of_files
from sigma_stellar_aws.base import kept_texts
from sigma_stellar_aws.rule_files.load import load_rules

RULE = """\
title: Long
name: long
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: PutPolicy, requestParameters.policy|contains: x}, condition: selection}
"""
RECORDS, LENGTH = 400, 50_000
OPTIONS = {
    "tested": AlertOptions(),
    "in the key of each event": AlertOptions(window=timedelta(0), suppress_by=("requestParameters.policy",)),
    "in keys of short windows": AlertOptions(window=timedelta(seconds=1), suppress_by=("requestParameters.policy",)),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_long_values_are_not_remembered(options: AlertOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search takes a fraction of the memory that its events take as text, also where each is told."""
    monkeypatch.setattr(kept_texts, "_CACHED", 1)
    rules, logs = tmp_path / "rule.yml", tmp_path / "log.ndjson"
    rules.write_text(RULE, encoding="utf-8")
    with logs.open("w", encoding="utf-8") as file:
        for number in range(RECORDS):
            record = {
                "eventTime": f"2026-11-09T06:{number // 60:02}:{number % 60:02}Z",
                "eventSource": "iam.amazonaws.com",
                "eventName": "PutPolicy",
                "eventID": str(uuid.UUID(int=1 << 100 | number)),
                "requestParameters": {"policy": f"{number}".rjust(LENGTH, "x")},
            }
            file.write(json.dumps(record) + "\n")
    loaded = load_rules(rules)
    tracemalloc.start()
    try:
        search = alerts_of_files([logs], loaded, options=options)
        deque(alert_lines(search.alerts), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert search.events == RECORDS
    assert peak < RECORDS * LENGTH / 2
