"""Forms in which no whole records are: each is refused with a sentence that names it, or what to read instead."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.logs.counted_forms import COUNTED, compact, lines, sentinel, whole
from tests.logs.test_forms import A, B, read, record, zipped

Write = Callable[[list[JsonObject]], bytes]


def printed(value: Json) -> str:
    """A value as Athena prints structures."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key.lower()}={printed(member)}" for key, member in value.items()) + "}"
    return str(value)


def table(header: list[str], row: Callable[[JsonObject], list[str]]) -> Write:
    """A table with all cells in quotes."""

    def write(records: list[JsonObject]) -> bytes:
        content = io.StringIO()
        csv.writer(content, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([header, *map(row, records)])
        return content.getvalue().encode()

    return write


REFUSED: dict[str, tuple[str, Write, str]] = {
    "Lake, structures": (
        "a.json",
        whole(lambda records: {"QueryResultRows": [[{k: printed(v)} for k, v in each.items()] for each in records]}),
        "SELECT eventJson",
    ),
    "Lake, structures in CSV": (
        "a.csv",
        lambda records: table([*records[0]], lambda each: [printed(v) for v in each.values()])(records),
        "SELECT eventJson",
    ),
    "Athena, CSV": (
        "a.csv",
        lambda records: table([key.lower() for key in records[0]], lambda each: [printed(v) for v in each.values()])(
            records
        ),
        "Athena",
    ),
    "PowerShell": ("a.json", lines(lambda each: {**each, "userIdentity": "@{type=IAMUser; arn=x}"}), "-Depth"),
    "PowerShell, of a table": (
        "a.json",
        lines(lambda each: {**each, "userIdentity": "System.Collections.Hashtable"}),
        "-Depth",
    ),
    "Athena, API": (
        "a.json",
        whole(lambda records: {"ResultSet": {"Rows": [{"Data": [{"VarCharValue": "x"}]}]}}),
        "Athena",
    ),
    "console, CSV": (
        "event_history.csv",
        table(["User name", "Event time", "Event name"], lambda each: ["a", "b", "c"]),
        "console",
    ),
    "columns of one's own, CSV": (
        "a.csv",
        table(["eventname", "eventtime"], lambda each: ["a", "b"]),
        "SELECT eventJson",
    ),
    "OCSF": (
        "a.json",
        lines(lambda each: {"class_uid": 6003, "metadata": {"uid": "x"}, "unmapped": {"a": "1"}}),
        "OCSF",
    ),
    "OCSF, CSV": ("a.csv", table(["class_uid", "activity_id", "api"], lambda each: ["6003", "1", "x"]), "OCSF"),
    "Elastic, integration": (
        "a.json",
        lines(lambda each: {"_source": {"aws": {"cloudtrail": {"event_type": "x"}}, "event": {"action": "x"}}}),
        "event.original",
    ),
    "Elastic, integration, CSV": (
        "a.csv",
        table(["@timestamp", "aws.cloudtrail.event_type"], lambda each: ["x", "y"]),
        "event.original",
    ),
    "Elastic, fields": (
        "a.json",
        whole(lambda records: {"hits": {"hits": [{"_id": "1", "fields": {"eventName": ["x"]}} for each in records]}}),
        "_source",
    ),
    "Sentinel, some columns": ("a.csv", table(["EventName", "UserIdentityArn"], lambda each: ["a", "b"]), "Sentinel"),
    "Google SecOps": ("a.json", lines(lambda each: {"udm": {"metadata": {"productEventType": "x"}}}), "UDM"),
    "journald": ("a.json", lines(lambda each: {"__CURSOR": "x", "MESSAGE": None}), "--all"),
    "journald, bytes": ("a.json", lines(lambda each: {"__CURSOR": "x", "MESSAGE": [*compact(each).encode()]}), "--all"),
    "names of another": ("a.json", lines(lambda each: {"event_name": "x", "event_source": "y"}), "original message"),
    "GuardDuty": ("a.json", lines(lambda each: {"schemaVersion": "2.0", "service": {}, "severity": 5}), "GuardDuty"),
    "Config": ("a.json", whole(lambda records: {"configurationItems": [{"relatedEvents": []}]}), "AWS Config"),
    "WAF": ("a.json", lines(lambda each: {"webaclId": "x", "httpRequest": {}}), "WAF"),
    "AWS CLI, YAML": (
        "a.yaml",
        lambda records: b"Events:\n- AccessKeyId: x\n  CloudTrailEvent: '{}'\n",
        "--output json",
    ),
    "AWS CLI, table": ("a.txt", lambda records: b"-" * 30 + b"\n|  LookupEvents  |\n+-----+\n", "--output json"),
    "Python": ("a.json", lambda records: str({"Records": records}).encode(), "json.dumps"),
    "Python, lines": ("a.json", lambda records: "\n".join(map(str, records)).encode(), "json.dumps"),
    "escaped quotes": (
        "a.json",
        lambda records: b"\n".join(compact(each).replace('"', '\\"').encode() for each in records),
        "escaped",
    ),
    "HTML": ("a.html", lambda records: b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML"),
    "Splunk, XML": (
        "a.xml",
        lambda records: (
            b"<?xml version='1.0'?>\n<results><result><field k='_raw'>{&quot;eventName</field></result></results>"
        ),
        "XML",
    ),
    "Avro": ("a.avro", lambda records: b"Obj\x01\x04\x14avro.codec\x08null" + compact(records[0]).encode(), "Avro"),
    "ORC": ("a.orc", lambda records: b"ORC\x08\x03" + bytes(200), "ORC"),
    "7-Zip": ("a.7z", lambda records: b"7z\xbc\xaf\x27\x1c" + bytes(200), "7-Zip"),
    "LZ4": ("a.json.lz4", lambda records: b"\x04\x22\x4d\x18" + bytes(200), "LZ4"),
    "spreadsheet": (
        "a.xlsx",
        lambda records: zipped({"[Content_Types].xml": b"<a/>", "xl/workbook.xml": b"<a/>"}),
        "CSV",
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_has_no_whole_records_is_refused(tmp_path: Path, form: str) -> None:
    """Nothing is read of it, and the first sentence names the form, or what to export instead."""
    name, write, sentence = REFUSED[form]
    found, problems, _ = read(tmp_path / name, write([record(number) for number in range(7)]))
    assert found == []
    assert sentence in problems[0]
    assert len(problems) <= 4


@pytest.mark.parametrize("key", ["detail", "message", "Records", "x", "k\\u00e9y"])
@pytest.mark.parametrize("around", ["{}", "[{}]", "{}\n{}", '{"result": {}}'])
def test_a_key_that_comes_twice_hides_no_record(tmp_path: Path, key: str, around: str) -> None:
    """JSON decoders keep the last member of a name; the records in the others are read, too."""
    for wrap in (compact, lambda each: json.dumps(each, indent=1), lambda each: f"[{compact(each)}]"):
        twice = f'{{"{key}": {wrap(A)},"n": 1, "{key}":{wrap(B)}}}'
        found, problems, _ = read(tmp_path / "a.json", around.replace("{}", twice).encode())
        assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, [A, B] * around.count("{}")))
        assert problems == []


def test_parts_whose_rest_is_missing_are_told(tmp_path: Path) -> None:
    """Of a message that was split, nothing is made up, nothing is lost in silence, and the next one is read."""
    parts = COUNTED["Docker, in parts"][1]([A]).splitlines(keepends=True)
    whole_record = COUNTED["Docker"][1]([B])
    assert len(parts) > 1
    for data in (parts[0], parts[0] + whole_record, parts[-1] + whole_record, whole_record + parts[0]):
        found, problems, _ = read(tmp_path / "a.log", data)
        assert found == [B] * (whole_record in data)
        assert len(problems) == 1


def test_parts_of_two_streams_are_kept_apart(tmp_path: Path) -> None:
    """Parts of two messages may come in turns."""
    first, second = (COUNTED["Docker, in parts"][1]([each]).splitlines(keepends=True) for each in (A, B))
    other = [line.replace(b"stdout", b"stderr") for line in second]
    found, problems, _ = read(
        tmp_path / "a.log", b"".join(line for pair in zip(first, other, strict=True) for line in pair)
    )
    assert ([each["eventID"] for each in found], problems) == ([A["eventID"], B["eventID"]], [])


def test_rows_of_sentinel_become_records(tmp_path: Path) -> None:
    """Each column becomes the member that it was made of, in the type that CloudTrail writes."""
    row: JsonObject = {
        **sentinel(A),
        "RequestParameters": '{"a": [1]}',
        "ReadOnly": "True",
        "SessionMfaAuthenticated": False,
        "SessionIssuerArn": "arn",
        "TlsVersion": "TLSv1.3",
        "EC2RoleDelivery": None,
    }
    shown = {"TimeGenerated [UTC]": "1/5/2026, 10:00:00.000 AM"}
    expected = {
        **A,
        "userIdentity": {
            **member(A, "userIdentity"),
            "sessionContext": {"attributes": {"mfaAuthenticated": "false"}, "sessionIssuer": {"arn": "arn"}},
        },
        "requestParameters": {"a": [1]},
        "readOnly": True,
        "tlsDetails": {"tlsVersion": "TLSv1.3"},
    }
    without_time = {key: value for key, value in row.items() if key != "TimeGenerated"}
    for each in (row, {**without_time, **shown}):
        [found], problems, [note] = read(tmp_path / "a.json", json.dumps(each).encode())
        assert (found, problems) == (expected, [])
        assert "Sentinel" in note


def member(record: JsonObject, name: str) -> JsonObject:
    """A member that is an object."""
    value = record[name]
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    "form", ["OTLP", "Splunk, rows", "Loki, lines", "Datadog, CSV", "Fluent Bit", "Elastic, fields"]
)
def test_a_damaged_record_beside_others_is_told(tmp_path: Path, form: str) -> None:
    """Where records are texts in a wrapper that nobody knows, one that is damaged is not passed over in silence."""
    name, write = COUNTED[form]
    data = write([record(number) for number in range(5)])
    for number in (b"2", b"4"):
        damaged, count = re.subn(rb"(user/" + number + rb'[\\"]+)\}', rb"\1", data)
        found, problems, _ = read(tmp_path / name, damaged)
        assert (count, len(found), len(problems)) == (1, 4, 1)
