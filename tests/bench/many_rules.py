"""How long ``alerts``, ``check`` and a conversion take with many rules, against peers in the same run."""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import yaml
from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.collection import SigmaCollection
from sigma.conversion.base import Backend
from sigma.processing.pipeline import ProcessingPipeline
from zlib_ng import gzip_ng, zlib_ng

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.reference import aws_events
from tests.bench.local import (
    EVENT_ID,
    EVENT_TIME,
    FIRST_TIME,
    REQUEST_ID,
    SAMPLES,
    Measured,
    loop_command,
    measure,
    our_command,
)
from tests.support.records import record
from tests.support.yaml_files import read_yaml

RULES, OPERATIONS, CONVERTED = 784, 700, 3700
RECORDS, SMALL = 1_000_000, 31_546
RECORDS_A_FILE = 5000
TEMPLATES = 3000
MATCHING = 0.8
SOURCES = ("ec2", "iam", "s3", "sts", "kms", "lambda", "rds", "logs", "cloudtrail", "ecs", "eks", "ssm", "route53")

# What a third of the rules ask besides source and name.
MORE: tuple[dict[str, Any], ...] = (
    {"selection_more": {"userIdentity.type": "Root"}},
    {"selection_more": {"userAgent|contains": ["aws-cli", "Boto3", "terraform"]}},
    {"selection_more": {"requestParameters.policyArn|endswith": ["AdministratorAccess", "PowerUserAccess"]}},
    {"selection_more": {"userIdentity.arn|contains|all": [":assumed-role/", "/i-"]}},
    {"filter": {"sourceIPAddress|endswith": ".amazonaws.com"}},
    {"filter": {"userIdentity.type": ["AWSService", "AWSAccount"], "userIdentity.invokedBy|exists": True}},
    {"filter": {"errorCode|contains": ["AccessDenied", "UnauthorizedOperation"]}},
    {"filter": {"userAgent|re": r"^(console|signin)\.amazonaws\.com$"}},
)


def operations() -> list[tuple[str, str]]:
    """Operations of AWS by source and name, always the same ones."""
    sources = [f"{name}.amazonaws.com" for name in SOURCES]
    found = [(source, name) for source in sources for name in sorted(aws_events.names(source))]
    return random.Random(3).sample(found, OPERATIONS)


def make_rules(folder: Path, number: int = RULES) -> None:
    """Rules like public ones: of one operation that succeeds, or that fails, and a third with more conditions."""
    known = operations()
    for count in range(number):
        source, name = known[count % len(known)]
        error = {"error_code": {"errorCode|exists": True}, "error_text": {"errorMessage|exists": True}}
        detection: dict[str, Any] = {"selection": {"eventSource": source, "eventName": name}, **error}
        condition = "selection and not 1 of error_*" if count < len(known) else "selection and 1 of error_*"
        if count % 3 == 0:
            more = MORE[count // 3 % len(MORE)]
            detection.update(more)
            condition += " and not filter" if "filter" in more else " and selection_more"
        rule = {
            "title": f"Operation {count}: {name}",
            "id": str(uuid.UUID(int=count, version=4)),
            "status": "test",
            "logsource": {"product": "aws", "service": "cloudtrail"},
            "detection": {**detection, "condition": condition},
            "level": "medium",
        }
        (folder / f"{count:04}.yml").write_text(yaml.safe_dump(rule, sort_keys=False))


def record_texts(number: int) -> Iterator[str]:
    """Records as JSON, always the same: most name an operation of a rule."""
    chance = random.Random(11)
    known = operations()
    background = [entry["event"] for entry in read_yaml(SAMPLES / "background.yml") for _ in range(entry["times"])]
    texts: list[str] = []
    for count in range(TEMPLATES):
        each = record(background[count % len(background)], number=count)
        if chance.random() < MATCHING:
            # A few operations are most of what happens.
            each["eventSource"], each["eventName"] = known[int(len(known) * chance.random() ** 2)]
            each = {key: value for key, value in each.items() if key not in ("errorCode", "errorMessage")}
        each.update(eventID=EVENT_ID, eventTime=EVENT_TIME)
        if "requestID" in each:
            each["requestID"] = REQUEST_ID
        texts.append(json.dumps(each, separators=(",", ":"), ensure_ascii=False))
    for count in range(number):
        yield (
            chance.choice(texts)
            .replace(EVENT_ID, str(uuid.UUID(int=chance.getrandbits(128), version=4)))
            .replace(REQUEST_ID, str(uuid.UUID(int=chance.getrandbits(128), version=4)))
            .replace(EVENT_TIME, f"{FIRST_TIME + timedelta(seconds=count // 4):%Y-%m-%dT%H:%M:%SZ}")
        )


def make_records(folder: Path, number: int) -> None:
    """Log files as CloudTrail delivers them."""
    texts = record_texts(number)
    for first in range(0, number, RECORDS_A_FILE):
        content = b'{"Records":[' + ",".join(islice(texts, RECORDS_A_FILE)).encode() + b"]}"
        packed = gzip_ng.compress(content, compresslevel=6)  # type: ignore[no-untyped-call]
        (folder / f"{first:09}.json.gz").write_bytes(packed)


def as_lines(folder: Path) -> Path:
    """The records of log files as plain text, one a line: what rsigma reads fastest."""
    made = folder.with_suffix(".ndjson")
    if not made.exists():
        decode = msgspec.json.Decoder(dict[str, list[msgspec.Raw]]).decode
        with made.open("wb") as stream:
            for file in sorted(folder.iterdir()):
                records = decode(zlib_ng.decompress(file.read_bytes(), wbits=31))["Records"]
                stream.writelines(bytes(each) + b"\n" for each in records)
    return made


def peer_command(folder: Path, rules: Path) -> tuple[str, list[str]]:
    """What the same records are given to, and its name: rsigma, or else a loop that decodes the names of the events."""
    if rsigma := shutil.which("rsigma"):
        events = f"@{as_lines(folder)}"
        return "rsigma, on plain text, one core", [rsigma, "engine", "eval", "-q", "-r", str(rules), "-e", events]
    return "zlib-ng and eventName with msgspec", loop_command("names", folder)


def compare_alerts(whole: Path, small: Path, rules: Path, rounds: int) -> None:
    """Time the alerts and the peer in turn, so that they meet the same state of the machine."""
    many, few = ([*our_command(folder), "--rules", str(rules)] for folder in (whole, small))
    name, peer = peer_command(whole, rules)
    _, small_peer = peer_command(small, rules)
    # From then on, the rules are converted.
    for command in (few, [*few, "--each-event"]):
        subprocess.run(command, check=True, capture_output=True)
    commands = {"many": many, "each": [*many, "--each-event"], "peer": peer, "few": few, "few peer": small_peer}
    found: dict[str, list[Measured]] = {key: [] for key in commands}
    for _ in range(rounds):
        for key, command in commands.items():
            found[key].append(measure(command))
    seconds = {key: median(each.seconds for each in found[key]) for key in commands}
    busy = {key: median(each.busy for each in found[key]) for key in commands}
    resident = max(each.resident for each in found["many"])
    print(
        f"alerts, {RULES} rules, whole process           {seconds['many']:7.2f} s    {busy['many']:.2f} s of one core\n"
        f"{name:42}{seconds['peer']:9.2f} s    ratio {seconds['many'] / seconds['peer']:.2f}, at most 0.5; of one core "
        f"{busy['many'] / busy['peer']:.2f}\n"
        f"alerts, {RULES} rules, --each-event             {seconds['each']:7.2f} s    at most 25\n"
        f"alerts, {RULES} rules, {SMALL:,} records        {seconds['few']:7.2f} s    at most 1.2; the peer "
        f"{seconds['few peer']:.2f} s\n"
        f"peak memory, of all processes together      {resident:7.0f} MiB  at most 150"
    )


def make_large_rules(folder: Path) -> None:
    """Rules of thousands of values, parts and conditions, each in a file."""
    names = [f"s{number}" for number in range(3000)]
    parts = [f"part {number}" for number in range(3000)]
    unknown = [f"{name[:-1]}zq" for name in sorted(aws_events.all_names())[::17][:1000]]
    operation = {"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances"}
    detections: dict[str, dict[str, Any]] = {
        "10,000 values": {"selection": {**operation, "requestParameters.x": [f"i-{n:08x}" for n in range(10_000)]}},
        "3,000 contains-all": {"selection": {**operation, "requestParameters.x|contains|all": parts}},
        "3,000 and": {name: {f"requestParameters.{name}": "v"} for name in names},
        "1,000 unknown names": {"selection": {"eventName": unknown}},
    }
    for title, selections in detections.items():
        rule = {
            "title": title,
            "id": str(uuid.UUID(int=len(title), version=4)),
            "logsource": {"product": "aws", "service": "cloudtrail"},
            "detection": {**selections, "condition": " and ".join(selections)},
            "level": "low",
        }
        (folder / f"{title}.yml").write_text(yaml.safe_dump(rule, sort_keys=False))


def time_checks(folder: Path, rounds: int) -> None:
    """Print how long the check of each large rule takes, as a whole process."""
    command = str(Path(sys.executable).with_name("sigma-stellar-aws"))
    for file in sorted(folder.iterdir()):
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            subprocess.run([command, "check", str(file)], capture_output=True, check=False)
            times.append(time.perf_counter() - start)
        print(f"check, {file.stem:36} {median(times):7.2f} s    at most 2")


def compare_conversions(rules: Path, rounds: int) -> None:
    """Load and convert rules, to search bodies and with pySigma's backend for Lucene, in turn."""

    def timed(backend: Callable[[ProcessingPipeline], Backend]) -> float:
        start = time.process_time()
        backend(stellar_aws()).convert(SigmaCollection.load_ruleset([rules]))
        return time.process_time() - start

    times = [(timed(StellarAwsBackend), timed(LuceneBackend)) for _ in range(rounds)]
    mine, theirs = (median(each) for each in zip(*times, strict=True))
    print(
        f"{CONVERTED:,} rules loaded and converted            {mine:7.2f} s\n"
        f"the same with pySigma's backend for Lucene  {theirs:7.2f} s    ratio {mine / theirs:.2f}, at most 1.1"
    )


def main() -> None:
    """Make rules and records, unless they are there, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="make what is needed in this folder, or use what is in it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)

        def made(name: str, make: Callable[[Path], None]) -> Path:
            path: Path = folder / name
            if not path.exists():
                path.mkdir(parents=True)
                make(path)
            return path

        rules = made("rules", make_rules)
        whole = made(str(options.records), lambda path: make_records(path, options.records))
        small = made(str(SMALL), lambda path: make_records(path, SMALL))
        compare_alerts(whole, small, rules, options.rounds)
        time_checks(made("large", make_large_rules), options.rounds)
        compare_conversions(made("converted", lambda path: make_rules(path, CONVERTED)), options.rounds)


if __name__ == "__main__":
    main()
