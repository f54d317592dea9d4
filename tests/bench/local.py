"""How long ``alerts`` takes on local files, against two plain loops over the same files in the same run."""

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
from zlib_ng import gzip_ng, zlib_ng

from sigma_stellar_aws.alerts.pack import Pack, convert_pack
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.evaluate import matched_queries
from sigma_stellar_aws.query.prefilter import screen
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.records import cases, record
from tests.support.yaml_files import read_yaml

RECORDS_A_FILE = 5000
SMALL = 30_000
HITS = 0.015
TEMPLATES = 2000
"""Records that differ in more than time and ids."""
SAMPLES = Path(__file__).parent.parent / "samples"
# What differs in every record of a template, as the template has it.
EVENT_ID, REQUEST_ID, EVENT_TIME = "<event-id>", "<request-id>", "2026-11-24T00:00:00Z"
FIRST_TIME = datetime(2026, 11, 1, tzinfo=timezone.utc)


def templates(pack: Pack) -> tuple[list[str], list[str]]:
    """Texts of records that no rule matches, and of some that rules match, without ids and times."""
    matches = matched_queries(pack.query)
    background = [entry["event"] for entry in read_yaml(SAMPLES / "background.yml") for _ in range(entry["times"])]
    varied = (record(background[number % len(background)], number=number) for number in range(TEMPLATES))
    records = [*varied, *(case.record for case in cases())]
    texts: tuple[list[str], list[str]] = ([], [])
    for each in records:
        changed = {**each, "eventID": EVENT_ID, "eventTime": EVENT_TIME}
        if "requestID" in each:
            changed["requestID"] = REQUEST_ID
        texts[bool(matches(flatten(each)))].append(json.dumps(changed, separators=(",", ":"), ensure_ascii=False))
    return texts


def make(folder: Path, records: int, pack: Pack) -> None:
    """Log files as CloudTrail delivers them, always the same."""
    quiet, loud = templates(pack)
    chance = random.Random(7)
    for first in range(0, records, RECORDS_A_FILE):
        texts = (
            chance.choice(loud if chance.random() < HITS else quiet)
            .replace(EVENT_ID, str(uuid.UUID(int=chance.getrandbits(128))))
            .replace(REQUEST_ID, str(uuid.UUID(int=chance.getrandbits(128))))
            .replace(EVENT_TIME, f"{FIRST_TIME + timedelta(seconds=2 * number):%Y-%m-%dT%H:%M:%SZ}")
            for number in range(first, min(first + RECORDS_A_FILE, records))
        )
        content = b'{"Records":[' + ",".join(texts).encode() + b"]}"
        (folder / f"{first:09}.json.gz").write_bytes(
            gzip_ng.compress(content, compresslevel=6)  # type: ignore[no-untyped-call]
        )


def our_command(folder: Path) -> list[str]:
    """The command line on all files of a folder."""
    return [str(Path(sys.executable).with_name("sigma-stellar-aws")), "alerts", str(folder), "--json"]


def loop_command(loop: str, folder: Path) -> list[str]:
    """One of the loops of this module on all files of a folder, as a process of its own."""
    return [sys.executable, "-m", "tests.bench.local", "--loop", loop, "--keep", str(folder)]


def names_loop(folder: Path) -> int:
    """Decompress all files and decode the names of the events, as fast as one process can; how many records."""

    class Record(msgspec.Struct, gc=False):
        eventName: str  # noqa: N815

    class File(msgspec.Struct):
        Records: list[Record]

    decode = msgspec.json.Decoder(File).decode
    return sum(
        len(decode(zlib_ng.decompress(file.read_bytes(), wbits=31)).Records) for file in sorted(folder.iterdir())
    )


def plain_loop(folder: Path) -> int:
    """Read whole files with the standard library and match event by event; how many hits."""
    query = convert_pack(load_rules(), stellar_aws()).query
    passes = lru_cache(screen(query))
    matches = matched_queries(query)
    hits = 0
    for file in sorted(folder.iterdir()):
        with gzip.open(file) as stream:
            for each in json.loads(stream.read())["Records"]:
                # Kind to it: a matcher that looks at every rule takes several times as long.
                hits += passes(each["eventSource"], each["eventName"]) and bool(matches(flatten(each)))
    return hits


class Measured(NamedTuple):
    """A process that ended: seconds, and the most memory that it and its children took at one time, in MiB."""

    seconds: float
    busy: float
    """Seconds of one core, those of its children included."""
    resident: float
    """Memory that processes share is counted for each of them."""
    proportional: float
    """Memory that processes share is counted once."""


def measure(command: list[str]) -> Measured:
    """Run a command, which has to succeed."""
    peak = [0.0, 0.0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.02):
                for number, key in enumerate(("Rss", "Pss")):
                    peak[number] = max(peak[number], sum(_memory(pid, key) for pid in _tree(process.pid)) / 1024)

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        seconds = time.perf_counter() - start
        ended.set()
        watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Measured(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, *peak)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))
    except OSError:
        # It has ended.
        return


def _memory(pid: int, key: str) -> int:
    """Kilobytes of memory of a process, 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)


def compare(whole: Path, tenth: Path, small: Path, rounds: int) -> None:
    """Time all commands in turn, so that they meet the same state of the machine, and print the table."""
    commands = {
        "alerts": our_command(whole),
        "names": loop_command("names", whole),
        "plain": loop_command("plain", tenth),
        "small": our_command(small),
    }
    found: dict[str, list[Measured]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(measure(command))
    alerts, names, plain, few = (median(each.seconds for each in found[name]) for name in commands)
    busy = {name: median(each.busy for each in found[name]) for name in commands}
    resident = max(each.resident for each in found["alerts"])
    proportional = max(each.proportional for each in found["alerts"])
    print(
        f"alerts DIR --json, whole process            {alerts:7.2f} s\n"
        f"zlib-ng and eventName with msgspec          {names:7.2f} s    ratio {alerts / names:.2f}, at most 1.2\n"
        f"gzip and json.loads, a tenth, times 10      {plain * 10:7.2f} s    ratio {alerts / plain / 10:.3f}, "
        f"at most 0.25\n"
        f"alerts on {SMALL:,} records, whole process    {few:7.2f} s    at most 0.9\n"
        f"peak memory, of all processes together      {resident:7.0f} MiB  at most 150; {proportional:.0f} MiB if what "
        f"they share is counted once\n"
        f"Of one core, alerts takes {busy['alerts']:.2f} s, the first loop {busy['names']:.2f} s"
    )
    if names > 1.2 * busy["names"]:
        print("The machine is busy, which two processes suffer from more than one: run it again.")


def main() -> None:
    """Make the records, unless they are there, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="make the records in this folder, or use those that are in it")
    parser.add_argument("--loop", choices=["names", "plain"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        print({"names": names_loop, "plain": plain_loop}[options.loop](options.keep))
        return
    with tempfile.TemporaryDirectory() as temporary:
        pack = convert_pack(load_rules(), stellar_aws())

        def made(records: int) -> Path:
            folder: Path = (options.keep or Path(temporary)) / str(records)
            if not folder.exists():
                folder.mkdir(parents=True)
                make(folder, records, pack)
            return folder

        compare(made(options.records), made(options.records // 10), made(SMALL), options.rounds)


if __name__ == "__main__":
    main()
