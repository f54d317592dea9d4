"""Whatever is damaged in whatever form: a record that is not read any more is told."""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sigma_stellar_aws.base.json_types import Json
from tests.logs.counted_forms import COUNTED, compact
from tests.logs.test_counted_forms import NUMBER, read
from tests.logs.test_forms import A, B, C, record, tarred
from tests.logs.test_forms import read as read_with_notes

RECORDS = [record(number) for number in range(NUMBER)]
ROUNDS = 12
INSERTED = b'\xff \0 " { } ] , \n words\n \\ {} [] \xef\xbb\xbf \r'.split(b" ")
NOT_UTF32 = "damaged text: parts of it are not UTF-32, and became replacement characters"
# How records are kept where they are looked for inside of members that no wrapper is known by.
INSIDE: dict[str, Callable[[list[Json]], Json]] = {
    "OTLP": lambda texts: {"logRecords": [{"body": {"stringValue": text}} for text in texts]},
    "Splunk, rows": lambda texts: {"fields": ["_raw"], "rows": [[text] for text in texts]},
    "Loki, query": lambda texts: {"data": {"result": [{"values": [["1", text] for text in texts]}]}},
    "beside a list": lambda texts: {"Records": [C], "more": texts},
    "map": lambda texts: {str(number): text for number, text in enumerate(texts)},
}


def damaged(data: bytes, choose: random.Random) -> bytes:
    """The data with one damage."""
    at = choose.randrange(len(data))
    end = at + choose.choice([1, 2, 30, 500])
    return choose.choice(
        [
            data[:at],
            data[:at] + data[end:],
            data[:end] + data[at:],
            data[:at] + choose.choice(INSERTED) + data[at:],
            data[:at] + bytes([data[at] ^ 1 << choose.randrange(8)]) + data[at + 1 :],
            data.replace(b"\n", b"\r\n"),
        ]
    )


@pytest.mark.parametrize("form", COUNTED)
def test_no_damage_loses_a_record_in_silence(tmp_path: Path, form: str) -> None:
    """If nothing is told, at least as many records are read as the text still has eventIDs."""
    choose = random.Random(form)
    name, write = COUNTED[form]
    whole = write(RECORDS)
    is_packed = whole.startswith(b"\x1f\x8b")
    text = gzip.decompress(whole) if is_packed else whole
    for _ in range(ROUNDS):
        data = damaged(text, choose)
        (tmp_path / name).write_bytes(gzip.compress(data) if is_packed else data)
        count, _, told = read(tmp_path / name, {"GetSessionToken"})
        left = sum(str(each["eventID"]).encode() in data.replace(b"\0", b"") for each in RECORDS)
        assert told or count >= left, data


@pytest.mark.parametrize("form", INSIDE)
@pytest.mark.parametrize(
    ("what", "instead"),
    [("eventName", "eventNam"), ("eventVersion", "{}"), (',"eventName', ",eventName"), ("{", ""), ('"}', '"')],
)
def test_a_damaged_record_beside_others(tmp_path: Path, form: str, what: str, instead: str) -> None:
    """It is told where the others are read, as a text as much as an object, and without it nothing is."""
    for text, problems in ((compact(B), 0), (compact(B).replace(what, instead, 1), 1)):
        (tmp_path / "a.json").write_text(json.dumps(INSIDE[form]([compact(A), text])))
        _, found, told = read(tmp_path / "a.json", {"GetSessionToken"})
        assert (A in found, len(told)) == (True, problems)


@pytest.mark.parametrize("key", ["eventVersion", "eventSource", "eventName"])
def test_a_part_of_a_record_as_an_object_beside_others(tmp_path: Path, key: str) -> None:
    """It is told; labels like some members of a record, and notices, are not."""
    part = {name: value for name, value in B.items() if name != key}
    labels = {"eventName": "x", "eventSource": "y", "eventTime": "z"}
    notice = {**B, "eventSource": "aws:s3"}
    for other, problems in ((part, 1), (labels, 0), (notice, 0)):
        (tmp_path / "a.json").write_text(json.dumps({"x": [A, other]}))
        _, found, told = read(tmp_path / "a.json", {"GetSessionToken"})
        assert (found, len(told)) == ([A], problems)


def test_a_token_beside_a_record_is_no_damaged_record(tmp_path: Path) -> None:
    """It begins like an object in base64, which is told if it cannot be read."""
    for text, problems in (("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", 0), ("eyJldmVudE5hb", 1)):
        (tmp_path / "a.json").write_text(json.dumps({"x": [compact(A), text]}))
        _, found, told = read(tmp_path / "a.json", {"GetSessionToken"})
        assert (found, len(told)) == ([A], problems)


@pytest.mark.parametrize("form", ["Sentinel, CSV", "Sentinel, exported", "Sentinel, az", "Sentinel, API"])
def test_bad_utf8_in_rows_of_sentinel(tmp_path: Path, form: str) -> None:
    """What is not a character becomes a replacement character, as in any other record."""
    name, write = COUNTED[form]
    (tmp_path / name).write_bytes(write(RECORDS).replace(b"user/3", b"user/\xff"))
    count, found, told = read(tmp_path / name, {"GetSessionToken"})
    assert (count, told) == (NUMBER, [])
    assert "user/\ufffd" in json.dumps(found[3], ensure_ascii=False)


def test_rows_with_a_value_too_few_or_too_many(tmp_path: Path) -> None:
    """They are told, because nobody knows which value belongs to which column."""
    name, write = COUNTED["Sentinel, API"]
    for values in (b'"x", "x", "2026', b'"2026'):
        (tmp_path / name).write_bytes(write(RECORDS).replace(b'"x", "2026', values, 1))
        count, _, told = read(tmp_path / name, {"GetSessionToken"})
        assert (count, told) == (NUMBER - 1, ["damaged row: it has more or fewer values than the table has columns"])


def test_text_that_is_not_in_its_encoding(tmp_path: Path) -> None:
    """It is told once where bytes of a text in UTF-32 are shifted, in any part of it, and one is missing at the end."""
    name, write = COUNTED["Splunk, CSV"]
    whole = write(RECORDS * 200).decode().encode("utf-32")
    for data, problems in ((whole, []), (whole.replace(b"\n", b"\r\n"), [NOT_UTF32]), (whole[:-1], [NOT_UTF32])):
        (tmp_path / name).write_bytes(data)
        _, _, told = read(tmp_path / name, set())
        assert [reason for reason in told if "UTF" in reason] == problems
    whole = write(RECORDS).decode().encode("utf-16")
    for data, is_damaged in ((whole, False), (whole.replace(b"\n", b"\r\n"), True)):
        (tmp_path / name).write_bytes(data)
        _, _, told = read(tmp_path / name, set())
        assert any("at line ends" in reason for reason in told) == is_damaged


def test_tables_without_rows(tmp_path: Path) -> None:
    """That there is only a header is worth knowing, and a row that cannot be read is told as such."""
    for text in ("id,eventJson\n", "id,eventJson", "eventJson\n\n", "a,b\n"):
        assert read_with_notes(tmp_path / "a.csv", text.encode()) == ([], [], ["this table has a header, and no rows"])
    _, problems, notes = read_with_notes(tmp_path / "a.csv", b"id,eventJson\nx\n")
    assert (len(problems), notes) == (1, [])
    assert read_with_notes(tmp_path / "a.csv", b"") == ([], [], [])


def test_a_damaged_record_in_the_first_row_is_no_header(tmp_path: Path) -> None:
    """A table without a header loses nothing if its first record is damaged."""
    rows = [["1", compact(A).replace("eventName", "eventNam")], ["1", compact(B)], ["1", compact(C)[:-30]]]
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows(rows)
    found, problems, _ = read_with_notes(tmp_path / "a.csv", content.getvalue().encode())
    assert (len(found), B in found, len(problems)) == (1, True, 2)


def test_tar_archives_that_are_damaged_or_joined(tmp_path: Path) -> None:
    """All of several archives is read; a damaged member is told, and what was before it is read."""
    first, second = (tarred({name: compact(each).encode()}, "w") for name, each in (("a.json", A), ("b.json", B)))
    assert read_with_notes(tmp_path / "a.tar", first + second) == ([A, B], [], [])
    found, [problem], _ = read_with_notes(tmp_path / "a.tar", first + b"x" + second)
    assert (found, "damaged archive" in problem) == ([A], True)
