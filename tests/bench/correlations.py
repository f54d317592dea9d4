"""What correlations add to ``alerts`` on local files, and how much memory very many of their keys take."""

import argparse
import json
import random
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path
from statistics import median

from zlib_ng import gzip_ng

from sigma_stellar_aws.alerts.pack import Pack, convert_pack
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.evaluate import matched_queries
from sigma_stellar_aws.rule_files.load import load_rules
from tests.bench.local import (
    EVENT_ID,
    EVENT_TIME,
    FIRST_TIME,
    HITS,
    RECORDS_A_FILE,
    REQUEST_ID,
    Measured,
    measure,
    our_command,
    templates,
)
from tests.support.records import record

COUNTED = 0.05
"""Records that correlations count."""
CALLERS = 5000
CALLER = "<caller>"
KEYS = 200_000
# What everybody does every day, as our correlations count it; none of it makes one complete by itself.
EVENTS: list[JsonObject] = [
    {"eventSource": "sts.amazonaws.com", "eventName": "GetCallerIdentity"},
    {"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets"},
    {"eventSource": "iam.amazonaws.com", "eventName": "ListUsers"},
    {"eventSource": "iam.amazonaws.com", "eventName": "ListRoles"},
    {"eventSource": "secretsmanager.amazonaws.com", "eventName": "GetSecretValue"},
    {"eventSource": "ec2.amazonaws.com", "eventName": "StopInstances"},
]
WIDE = """\
title: Any Call
name: any_call
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: GetCallerIdentity}, condition: selection}
---
title: Many Calls
name: many_calls
correlation:
    type: event_count
    rules: [any_call]
    group-by: [userIdentity.accessKeyId]
    timespan: 30d
    condition: {gte: 3}
"""


def counted_templates() -> list[str]:
    """Texts of records that correlations count, without ids, times and callers."""
    texts = []
    for event in EVENTS:
        made = record({**event, "identity": "iam_user"})
        identity = made["userIdentity"]
        assert isinstance(identity, dict)
        changed: JsonObject = {**made, "eventID": EVENT_ID, "eventTime": EVENT_TIME}
        changed["userIdentity"] = {
            **identity,
            "arn": f"arn:aws:iam::111122223333:user/{CALLER}",
            "accessKeyId": f"AKIA{CALLER}",
        }
        if event["eventName"] == "GetSecretValue":
            changed["requestParameters"] = {"secretId": f"secret-{CALLER}"}
        texts.append(json.dumps(changed, separators=(",", ":")))
    return texts


def make(folder: Path, records: int, counted: float, callers: int) -> None:
    """Log files as CloudTrail delivers them, always the same; a part of the records is counted by correlations."""
    pack: Pack = convert_pack(load_rules(correlations=True), stellar_aws())
    known = matched_queries(pack.query)
    quiet, loud = templates(convert_pack(load_rules(), stellar_aws()))
    quiet = [text for text in quiet if not known(flatten(json.loads(text)))]
    some = counted_templates()
    chance = random.Random(11)
    for first in range(0, records, RECORDS_A_FILE):
        texts = []
        for number in range(first, min(first + RECORDS_A_FILE, records)):
            kind = chance.random()
            choice = some if kind < counted else loud if kind < counted + HITS else quiet
            texts.append(
                chance.choice(choice)
                .replace(EVENT_ID, str(uuid.UUID(int=chance.getrandbits(128))))
                .replace(REQUEST_ID, str(uuid.UUID(int=chance.getrandbits(128))))
                .replace(EVENT_TIME, f"{FIRST_TIME + timedelta(seconds=2 * number):%Y-%m-%dT%H:%M:%SZ}")
                .replace(CALLER, f"{chance.randrange(callers):06}")
            )
        content = b'{"Records":[' + ",".join(texts).encode() + b"]}"
        (folder / f"{first:09}.json.gz").write_bytes(
            gzip_ng.compress(content, compresslevel=6)  # type: ignore[no-untyped-call]
        )


def compare(folder: Path, rounds: int) -> None:
    """Time the same command without and with correlations, in turn, and print what they add."""
    commands = {"without": our_command(folder), "with": [*our_command(folder), "--correlations"]}
    found: dict[str, list[Measured]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(measure(command))
    seconds = {name: median(each.seconds for each in found[name]) for name in commands}
    busy = {name: median(each.busy for each in found[name]) for name in commands}
    print(
        f"alerts DIR --json                     {seconds['without']:7.2f} s, {busy['without']:.2f} s of one core\n"
        f"the same with --correlations          {seconds['with']:7.2f} s, {busy['with']:.2f} s of one core\n"
        f"ratio                                 {seconds['with'] / seconds['without']:7.2f}    "
        f"at most 1.25; {busy['with'] / busy['without']:.2f} of one core\n"
        f"peak memory, of all processes together{max(each.resident for each in found['with']):7.0f} MiB"
    )


def main() -> None:
    """Make the records, unless they are there, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="make the records in this folder, or use those that are in it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base: Path = options.keep or Path(temporary)

        def made(name: str, records: int, counted: float, callers: int) -> Path:
            folder = base / f"{name}-{records}"
            if not folder.exists():
                folder.mkdir(parents=True)
                make(folder, records, counted, callers)
            return folder

        compare(made("mixed", options.records, COUNTED, CALLERS), options.rounds)
        many = made("keys", KEYS, 1.0, 100 * KEYS)
        rules = base / "wide.yml"
        rules.write_text(WIDE, encoding="utf-8")
        keys = measure([*our_command(many), "--rules", str(rules)])
        print(f"memory with {KEYS:,} counted events, most with a key of its own: {keys.resident:.0f} MiB, at most 300")


if __name__ == "__main__":
    main()
