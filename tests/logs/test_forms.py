"""Every form in which people keep records: none is lost, and none is found twice."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.logs.reader import read_parts, read_records


def record(number: int) -> JsonObject:
    """A record as CloudTrail writes it."""
    return {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::111122223333:user/{number}"},
        "eventTime": "2026-01-05T10:00:00Z",
        "eventSource": "sts.amazonaws.com",
        "eventName": "GetSessionToken",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "198.51.100.7",
        "eventID": f"6f0c7a2e-9d8b-4c1f-8a35-{number:012}",
    }


A, B, C = map(record, range(3))
TEXT_A, TEXT_B = json.dumps(A), json.dumps(B)
OTHER: JsonObject = {"eventSource": "sts.amazonaws.com", "eventName": "GetSessionToken"}


def read(file: Path, data: bytes) -> tuple[list[JsonObject], list[str], list[str]]:
    """What is read from a file with this content, the problems, and the notes.

    Whatever is read has to be the same, and counted, if the records are screened.
    """
    file.write_bytes(data)
    told: list[Problem] = []
    found = [found for _, found in read_records(file, told.append)]
    for wanted in (True, False):
        again: list[Problem] = []
        parts = list(read_parts(file, again.append, lambda source, name, wanted=wanted: wanted))  # type: ignore[misc]
        assert sum(part.records for part in parts) == len(found)
        assert again == told
    return (
        found,
        [problem.reason for problem in told if not problem.is_note],
        [problem.reason for problem in told if problem.is_note],
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # A wrapper that copied fields of the record in it.
        ({"details": A, "eventName": "GetSessionToken", "eventSource": "sts.amazonaws.com", "user": "alice"}, [A]),
        ({"details": TEXT_A, **OTHER, "eventVersion": "1.08"}, [A]),
        ({"raw_event": A, **OTHER, "userIdentity": {"type": "IAMUser"}}, [A]),
        ({**OTHER, "userIdentity": "alice", "eventVersion": "1.08", "detail": A}, [A]),
        # Rows of CloudTrail Lake: of columns, and of whole records.
        ({"QueryResultRows": [[{key: value} for key, value in row.items()] for row in (A, B)]}, [A, B]),
        ({"QueryResultRows": [[{"eventTime": "x"}, {"eventJson": text}] for text in (TEXT_A, TEXT_B)]}, [A, B]),
        # Objects as text.
        ({**A, "userIdentity": json.dumps(A["userIdentity"])}, [A]),
        ({**A, "requestParameters": '{"a": [1]}', "responseElements": "null"},
         [{**A, "requestParameters": {"a": [1]}, "responseElements": "null"}]),
        ({**A, "resources": '[{"ARN": "b"}]', "errorMessage": '{"a": 1}', "requestParameters": "{a=b}"},
         [{**A, "resources": [{"ARN": "b"}], "errorMessage": '{"a": 1}', "requestParameters": "{a=b}"}]),
        # Records beside a list.
        ({"Records": [A], "more": {"Records": [B]}}, [A, B]),
        ({"meta": {"Records": [B]}, "Records": [A]}, [A, B]),
        ({"meta": {"text": TEXT_B}, "Records": [A, *(record(n) for n in range(3, 6000))]},
         [B, A, *(record(n) for n in range(3, 6000))]),
        ({"Records": [A], "record": B}, [A, B]),
        ({"Records": [A], "x": TEXT_B, "y": 1}, [A, B]),
        ({"detail": A, "event": B}, [A, B]),
        ({"eventJson": TEXT_A, "eventjson": TEXT_B}, [A, B]),
        ({"message": TEXT_A, "event": {"original": TEXT_A}, "aws": {"cloudtrail": A}}, [A]),
        # What a store extracted, beside the record.
        ({"_raw": TEXT_A, "eventSource": ["sts.amazonaws.com", "x"], "eventName": "GetSessionToken"}, [A]),
        ({"_raw": TEXT_A, "eventSource": 7, "eventName": ["GetSessionToken"]}, [A]),
        ({"_raw": TEXT_A, "eventSource": "aws:cloudtrail", "eventName": "x"}, [A]),
        ({"result": {"_raw": TEXT_A, "eventSource": {"x": 1}, "eventVersion": "1.08", "eventName": "x"}}, [A]),
        ({**OTHER, "eventVersion": "1.08", "original": TEXT_A}, [A]),
        ({**OTHER, "eventVersion": "1.08", "message": TEXT_A}, [A]),
        ({"eventName": "GetSessionToken", "message": TEXT_A}, [A]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["object", "line", "list"])
def test_no_record_is_lost(tmp_path: Path, value: Json, expected: list[JsonObject], around: str) -> None:
    """Whatever stands around records, all are read, each once, and nothing is said to be wrong."""
    text = {"object": json.dumps(value), "line": json.dumps(value) + "\n" + json.dumps(C), "list": json.dumps([value])}
    found, problems, _ = read(tmp_path / "a.json", text[around].encode())
    wanted = [*expected, C] if around == "line" else expected
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, wanted))
    assert problems == []


def test_an_empty_list_before_keys_with_escapes(tmp_path: Path) -> None:
    """Keys after a list are read as JSON."""
    data = b'{"Records":[],"\\u0064etail":%b,"\\u0065ventjson":%b}' % (TEXT_A.encode(), json.dumps(TEXT_B).encode())
    found, problems, _ = read(tmp_path / "a.json", data)
    assert (found, problems) == ([A, B], [])


@pytest.mark.parametrize(
    "event",
    [
        {"eventName": {"value": "Create", "localizedValue": "Create"}, "eventSource": {"value": "Administrative"}},
        {"eventName": "page_view", "timestamp": 1, "user": "alice"},
        {"eventSource": "web", "eventName": "click", "page": "/"},
        {"eventName": 7},
    ],
)
def test_events_of_other_products_are_not_records(tmp_path: Path, event: JsonObject) -> None:
    """An eventName alone makes no record of CloudTrail."""
    found, [problem], _ = read(tmp_path / "a.json", json.dumps(event).encode())
    assert found == []
    assert "not a CloudTrail record" in problem


@pytest.mark.parametrize("name", ["a.json", "A.JSON", "a.json.gz"])
def test_an_empty_file_is_told(tmp_path: Path, name: str) -> None:
    """A file that should hold JSON and holds nothing has lost it."""
    found, [problem], _ = read(tmp_path / name, b"")
    assert (found, problem) == ([], "the file is empty, which such a file never is")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"data": {"aws": A}}, "data.aws"),
        ({"full_log": "x", "data": {"integration": "aws", "aws": A}}, "data.aws"),
        ({"date": 1.5, "log": TEXT_A}, "log"),
        ({"streams": [{"stream": {"job": "x"}, "values": [["1767607200000000000", TEXT_A]]}]}, "streams.values"),
        ({"line": TEXT_A, "labels": {}}, "line"),
        ({"attributes": {"attributes": A}}, "attributes.attributes"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": TEXT_A}}]}]}]},
         "resourceLogs.scopeLogs.logRecords.body.stringValue"),
        ({"_source": {"aws": {"cloudtrail": A}}}, "_source.aws.cloudtrail"),
        ({"fields": {"event.original": [TEXT_A]}}, "fields.event.original"),
        ({"input": {"message": TEXT_A}, "expected": {"message": TEXT_A, "event": {"action": "x"}}}, "input.message"),
        ({"doc": json.dumps({"x": json.dumps({"y": A})})}, "doc.x.y"),
        ({"id-1": A}, "id-1"),
    ],
)  # fmt: skip
def test_records_are_found_at_any_depth(tmp_path: Path, value: Json, path: str) -> None:
    """Where nothing known is found, an object or a text with version, source and name is read; where is told once."""
    text = json.dumps(value)
    found, problems, notes = read(tmp_path / "a.json", f"{text}\n{text}\n".encode())
    assert (found, problems) == ([A, A], [])
    assert notes == [f"records found in {path}"]


def test_maps_of_records_and_what_is_too_deep(tmp_path: Path) -> None:
    """All records of a map are read; what is nested deeper than anything real is told."""
    found, problems, _ = read(tmp_path / "a.json", json.dumps({"a": A, "b": {"c": B}, "d": [C]}).encode())
    assert (found, problems) == ([A, B, C], [])
    deep: Json = A
    for _ in range(60):
        deep = {"x": deep}
    found, [problem], _ = read(tmp_path / "a.json", json.dumps(deep).encode())
    assert found == []
    assert "not a CloudTrail record" in problem


def table(*rows: list[str]) -> bytes:
    """CSV as tools write it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@pytest.mark.parametrize("name", ["export.csv", "export.txt"])
@pytest.mark.parametrize(
    "columns",
    [
        ["@timestamp", "@message"],
        ["timestamp", "message"],
        ["_raw", "_time"],
        ["@timestamp", "event.original"],
        ["Event ID", "CloudTrailEvent"],
        ["eventJson", "eventJson"],
    ],
)
def test_tables_with_whole_records(tmp_path: Path, name: str, columns: list[str]) -> None:
    """The records in a column are read, under whatever name exports give it."""
    texts = (TEXT_A, json.dumps({"detail": B}), json.dumps(C))
    rows = [[text if "message" in name or name in WHOLE else "1" for name in columns] for text in texts]
    found, problems, _ = read(tmp_path / name, table(columns, *rows))
    copies = columns.count("eventJson") or 1
    assert found == [each for each in (A, B, C) for _ in range(copies)]
    assert problems == []


WHOLE = ("_raw", "event.original", "CloudTrailEvent", "eventJson")


def test_tables_with_a_column_of_records_under_any_name(tmp_path: Path) -> None:
    """Where records stand under another name than exports have, this is told once."""
    found, problems, notes = read(tmp_path / "a.csv", table(["n", "x y"], ["1", TEXT_A], ["2", "none"], ["3", TEXT_B]))
    assert (found, notes) == ([A, B], ["records found in x y"])
    assert problems == ["1 row of this table without a record"]


def test_tables_with_a_column_for_each_member(tmp_path: Path) -> None:
    """Where the columns are CloudTrail's, and objects are JSON, each row is a record."""
    rows = [[value if isinstance(value, str) else json.dumps(value) for value in each.values()] for each in (A, B)]
    found, problems, _ = read(tmp_path / "a.csv", table(list(A), *rows))
    assert (found, problems) == ([A, B], [])


@pytest.mark.parametrize("size", [300, 20_000])
def test_a_file_that_is_no_log_gives_few_lines(tmp_path: Path, size: int) -> None:
    """However long a file without records is, it is told of in a few lines with the number of what is wrong."""
    line = '203.0.113.9 - - [05/Jan/2026:10:00:00 +0000] "GET /index.html HTTP/1.1" 200 2326\n'
    found, problems, _ = read(tmp_path / "access.log", line.encode() * size)
    assert found == []
    assert 0 < len(problems) <= 5
    assert any("no record" in problem for problem in problems)


def test_records_after_much_else_are_read(tmp_path: Path) -> None:
    """A file that begins without any record is passed over quickly, but not what comes after that."""
    noise = b"words of another program\n" * 5000
    data = noise + TEXT_A.encode() + b"\n" + noise + TEXT_B.encode() + b"\n"
    found, problems, _ = read(tmp_path / "mixed.log", data)
    assert found == [A, B]
    assert 0 < len(problems) <= 6


def test_what_is_wrong_is_grouped(tmp_path: Path) -> None:
    """Of many problems of a kind the first are told, and the number of the others."""
    lines = b"".join(TEXT_A.encode() + b"\n{]\n" for _ in range(50))
    found, problems, _ = read(tmp_path / "a.json", lines)
    assert len(found) == 50
    assert len(problems) == 4
    assert "47 more" in problems[-1]


@pytest.mark.parametrize(
    "line",
    [
        "<134>Jan  5 10:00:00 host cloudtrail[123]: {}",
        "2026-01-05T10:00:00+00:00 host aws: {}",
        "EVENTS\t3711\t1767607200000\t{}\tstream\t1767607200000",
        '<134>1 2026-01-05T10:00:00Z host app - ID47 [x@1 a="b"] {}',
        "RESOURCES\tAWS::S3::Bucket\texample\n{}",
        '{{"index": {{"_index": "trail", "_id": "1"}}}}\n{}',
        '{{"create": {{}}}}\n{}',
    ],
)
def test_lines_with_something_before_the_record(tmp_path: Path, line: str) -> None:
    """Headers and action lines are not damage."""
    for separators in ((",", ":"), (", ", ": ")):
        texts = (json.dumps(each, separators=separators) for each in (A, B, C))
        found, problems, notes = read(tmp_path / "a.log", "".join(line.format(text) + "\n" for text in texts).encode())
        assert (found, problems, notes) == ([A, B, C], [], [])


def test_the_end_of_a_torn_record_is_damage(tmp_path: Path) -> None:
    """What stands before a record is only passed over if it is not a piece of another one."""
    found, problems, _ = read(tmp_path / "a.log", b'ntName":"X"}' + TEXT_A.encode() + b"\n" + TEXT_B.encode())
    assert found == [A, B]
    assert len(problems) == 1


LOG = json.dumps({"Records": [A, B]}).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(files: dict[str, bytes], mode: Literal["w", "w:gz", "w:bz2", "w:xz"]) -> bytes:
    """A tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


MEMBERS = {
    "logs/1.json": LOG,
    "logs/2.json.gz": gzip.compress(TEXT_A.encode()),
    "logs/3.csv": table(["eventJson"], [TEXT_B]),
    "README.md": b"# words",
    "picture.png": bytes(3000),
}
CUT = "the compressed data ends too early; the file is not whole"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.json.bz2", bz2.compress(LOG) + bz2.compress(TEXT_A.encode()), [A, B, A]),
        ("a.json.xz", lzma.compress(LOG), [A, B]),
        ("a.json.zst", zstandard.compress(LOG) + zstandard.compress(TEXT_A.encode()), [A, B, A]),
        ("a.json.gz", gzip.compress(LOG) + bytes(200_000) + gzip.compress(TEXT_A.encode()) + bytes(70_000), [A, B, A]),
        ("a.zip", zipped(MEMBERS), [A, B, A, B]),
        ("a.tar", tarred(MEMBERS, "w"), [A, B, A, B]),
        ("a.tar.gz", tarred(MEMBERS, "w:gz"), [A, B, A, B]),
        ("a.tgz", tarred(MEMBERS, "w:gz"), [A, B, A, B]),
        ("a.tar.bz2", tarred(MEMBERS, "w:bz2"), [A, B, A, B]),
    ],
)
def test_compressed_files_and_archives(tmp_path: Path, name: str, data: bytes, expected: list[JsonObject]) -> None:
    """Files are decompressed by what they begin with, and the logs in an archive are read without a word on others."""
    assert read(tmp_path / name, data) == (expected, [], [])
    assert read(tmp_path / "without_suffix", data) == (expected, [], [])


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_compressed_files_that_are_cut_off(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """What is missing at the end is told."""
    _, problems, _ = read(tmp_path / "a.json", compress(LOG)[:-20])
    assert CUT in problems


def test_a_wrong_checksum_costs_no_record(tmp_path: Path) -> None:
    """The records before a wrong checksum are read, those of the next member too, and the damage is told."""
    first = gzip.compress(LOG)
    for wrong in (first[:-8] + bytes(4) + first[-4:], first[:-4] + bytes(4)):
        found, [problem], _ = read(tmp_path / "a.json.gz", wrong + gzip.compress(TEXT_A.encode()))
        assert found == [A, B, A]
        assert "damaged compressed data" in problem


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    """An archive that cannot be read as a whole is a problem."""
    for data in (zipped(MEMBERS)[:-30], tarred(MEMBERS, "w")[:1000]):
        _, problems, _ = read(tmp_path / "a.zip", data)
        assert problems


def parquet(rows: list[dict[str, object]]) -> bytes:
    """Parquet, as lakes keep tables."""
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), content)
    return content.getvalue()


def test_parquet_of_athena(tmp_path: Path) -> None:
    """Columns and members of structures in lower case get CloudTrail's names, and times and maps its forms."""
    row = {
        "eventversion": "1.08",
        "useridentity": {"type": "Root", "sessioncontext": {"attributes": {"mfaauthenticated": "false"}}, "arn": None},
        "eventtime": datetime(2026, 1, 5, 10, tzinfo=timezone.utc),
        "eventsource": "sts.amazonaws.com",
        "eventname": "GetSessionToken",
        "requestparameters": '{"a": [1]}',
        "resources": [{"arn": "x", "accountid": "111122223333"}],
        "errorcode": None,
    }
    found, problems, _ = read(tmp_path / "a.snappy.parquet", parquet([row, {**row, "errorcode": "AccessDenied"}]))
    expected: JsonObject = {
        "eventVersion": "1.08",
        "userIdentity": {"type": "Root", "sessionContext": {"attributes": {"mfaAuthenticated": "false"}}},
        "eventTime": "2026-01-05T10:00:00Z",
        "eventSource": "sts.amazonaws.com",
        "eventName": "GetSessionToken",
        "requestParameters": {"a": [1]},
        "resources": [{"ARN": "x", "accountId": "111122223333"}],
    }
    assert (found, problems) == ([expected, {**expected, "errorCode": "AccessDenied"}], [])


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.parquet", b"PAR1" + bytes(1000) + b"PAR1", "damaged Parquet"),
        ("a.parquet", parquet([{"a": 1}]), "not a CloudTrail record"),
        ("a.gz.parquet", parquet([{"class_uid": 6003, "metadata": {"uid": "x"}, "time": 1}]), "OCSF"),
        ("a.parquet.gz", gzip.compress(parquet([{"a": 1}])), "unpack it"),
        ("a.zip", zipped({"a.parquet": parquet([{"a": 1}])}), "unpack it"),
    ],
)
def test_parquet_without_records_is_told(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    """What it is and what to do is told in one line."""
    found, [problem], _ = read(tmp_path / name, data)
    assert found == []
    assert told in problem
