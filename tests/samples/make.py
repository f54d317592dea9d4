"""Makes the sample CloudTrail files beside it: `python -m tests.samples.make`."""

import base64
import gzip
import hashlib
import io
import json
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.records import cases, record
from tests.support.yaml_files import read_yaml

HERE = Path(__file__).parent
LOG_FILES = "AWSLogs"
EXPORT = "export.ndjson"
EXPORT_FIRST = 600  # far behind the numbers of the log files, so that no record is in both


def log_files() -> dict[str, list[JsonObject]]:
    """Path below this folder -> the records of that log file: all test events among the background records."""
    files: dict[str, list[JsonObject]] = defaultdict(list)
    for entry in sorted(_all_records(), key=lambda entry: (str(entry["eventTime"]), str(entry["eventID"]))):
        files[_path(entry)].append(entry)
    return dict(files)


def export() -> list[JsonObject]:
    """The records of the one export in the form of one record a line: a tenth of the test events, at other times."""
    return [case.record for case in cases(EXPORT_FIRST)[::10]]


def write() -> None:
    """Replaces the sample files by freshly made ones."""
    for old in (HERE / LOG_FILES).rglob("*.json.gz"):
        old.unlink()
    for path, records in log_files().items():
        target = HERE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_gzip(compact({"Records": [*records]}).encode()))
    lines = [f"{compact(entry)}\n" for entry in export()]
    (HERE / EXPORT).write_text("".join(lines), encoding="utf-8", newline="\n")


def compact(value: Json) -> str:
    """JSON as CloudTrail writes it: on one line, without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _all_records() -> list[JsonObject]:
    templates = read_yaml(HERE / "background.yml")
    repeated = [
        (turn, place, entry["event"]) for place, entry in enumerate(templates) for turn in range(entry["times"])
    ]
    mixed = sorted(repeated, key=lambda entry: hashlib.sha256(f"{entry[0]} {entry[1]}".encode()).digest())
    background = [record(event, number=2 * rank + 1) for rank, (_, _, event) in enumerate(mixed)]
    return [case.record for case in cases()] + background


def _path(entry: JsonObject) -> str:
    """The file that CloudTrail delivers a record in: one for each account, region and burst of activity."""
    # A burst lies within one hour, some minutes before its delivery.
    account, region = entry["recipientAccountId"], entry["awsRegion"]
    time = datetime.strptime(cast(str, entry["eventTime"]), "%Y-%m-%dT%H:%M:%SZ")
    delivered = time.replace(minute=0, second=0) + timedelta(minutes=25)
    stamp = f"{delivered:%Y%m%dT%H%MZ}"
    digest = hashlib.sha256(f"{account} {region} {stamp}".encode()).digest()
    unique = base64.b64encode(digest, altchars=b"Aa").decode()[:16]
    folder = f"{LOG_FILES}/{account}/CloudTrail/{region}/{delivered:%Y/%m/%d}"
    return f"{folder}/{account}_CloudTrail_{region}_{stamp}_{unique}.json.gz"


def _gzip(data: bytes) -> bytes:
    # GzipFile and not gzip.compress: the header of the latter differs between Python versions.
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()


if __name__ == "__main__":
    write()
