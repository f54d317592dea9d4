"""Reading of CloudTrail files."""

import csv
import errno
import gzip
import io
import json
import os
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.logs.find import find_log_files
from sigma_stellar_aws.logs.json_window import LONGEST_RECORD
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.logs.reader import read_event, read_parts, read_records
from sigma_stellar_aws.logs.record_head import NOTICES
from sigma_stellar_aws.logs.screening import Screen, everything

Records = list[JsonObject]
Parts = list[bytes]
Found = list[tuple[int, JsonObject]]

NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
RECORDS: st.SearchStrategy[Records] = st.lists(
    st.builds(
        lambda source, name, value: {"eventVersion": "1.11", "eventSource": source, "eventName": name, "x": value},
        # Else it would be a notice, which has no record of its own.
        st.text().filter(lambda source: not source.startswith(NOTICES)),
        st.text(),
        VALUES,
    ),
    min_size=1,
    max_size=4,
)
A: JsonObject = {"eventVersion": "1.11", "eventSource": "a", "eventName": "A"}
B: JsonObject = {"eventVersion": "1.11", "eventSource": "b", "eventName": "B", "x": [{"y": "}]{\u00e9"}]}
C: JsonObject = {"eventVersion": "1.11", "eventSource": "c", "eventName": "C"}
WITH_ID: JsonObject = {**B, "eventID": "b"}


def dump(value: Json, indent: int | None = None) -> bytes:
    """JSON as AWS writes it (no blanks, no escapes), or spread over lines."""
    return json.dumps(value, indent=indent, ensure_ascii=False, separators=None if indent else (",", ":")).encode()


def log_file(records: Records, indent: int | None = None) -> bytes:
    """A log file as AWS delivers it, or spread over lines."""
    return dump({"Records": [*records]}, indent)


def lines(records: Records) -> Parts:
    """One record a line."""
    return [dump(record) + b"\n" for record in records]


def log_events(records: Records) -> JsonObject:
    """Records as CloudWatch Logs delivers them."""
    return {"messageType": "DATA_MESSAGE", "logEvents": [{"message": dump(record).decode()} for record in records]}


# How records may stand in a file. Only between two parts may a file be cut off without a trace.
FORMS: dict[str, Callable[[Records], Parts]] = {
    "log file": lambda records: [log_file(records)],
    "log file on several lines": lambda records: [log_file(records, 2)],
    "log files, joined": lambda records: [log_file([record]) for record in records],
    "log files, a line each": lambda records: [log_file([record]) + b"\n" for record in records],
    "log files on several lines, joined": lambda records: [log_file([record], 1) + b"\n" for record in records],
    "list": lambda records: [dump([*records])],
    "list on several lines": lambda records: [dump([*records], 2)],
    "lines": lines,
    "compressed log file": lambda records: [gzip.compress(log_file(records))],
    "compressed log files, joined": lambda records: [gzip.compress(log_file([record])) for record in records],
    "compressed lines": lambda records: [gzip.compress(b"".join(lines(records)))],
    "compressed lines, joined": lambda records: [gzip.compress(line) for line in lines(records)],
    "records, joined": lambda records: [dump(record) for record in records],
    "records on several lines, joined": lambda records: [dump(record, 2) + b"\n" for record in records],
    "list behind other keys": lambda records: [dump({"took": 1, "_shards": {"total": 1}, "events": [*records]})],
    "log events, joined": lambda records: [dump(log_events([record])) for record in records],
    "compressed log events, joined": lambda records: [gzip.compress(dump(log_events([record]))) for record in records],
    "search result": lambda records: [
        dump({"took": 1, "hits": {"total": {"value": 9}, "hits": [{"_source": record} for record in records]}}, 1)
    ],
    "event history": lambda records: [
        dump({"Events": [{"CloudTrailEvent": dump(record).decode()} for record in records], "NextToken": "x"}, 4)
    ],
}
every_form = pytest.mark.parametrize("parts", FORMS.values(), ids=FORMS)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where to write a file."""
    return tmp_path_factory.mktemp("reader") / "file.json"


def refuse(problem: Problem) -> None:
    """Where nothing may be told."""
    pytest.fail(str(problem))


def read(file: Path, data: bytes, passes: Screen = everything) -> tuple[Found, list[Problem]]:
    """What is read from a file with this content, and the problems that are told of."""
    file.write_bytes(data)
    problems: list[Problem] = []
    return list(read_records(file, problems.append, passes)), problems


@every_form
@settings(max_examples=50)
@given(records=RECORDS)
def test_every_form_is_read(file: Path, parts: Callable[[Records], Parts], records: Records) -> None:
    """Records are read as they were written, in their order, in whatever form they stand in a file."""
    found, problems = read(file, b"".join(parts(records)))
    assert [record for _, record in found] == records
    assert problems == []


@every_form
@settings(max_examples=50)
@given(records=RECORDS, data=st.data())
def test_what_is_cut_off_is_told(
    file: Path, parts: Callable[[Records], Parts], records: Records, data: st.DataObject
) -> None:
    """Of a file that breaks off anywhere the whole records are read, and the loss is told."""
    pieces = parts(records)
    ends = {sum(map(len, pieces[:number])) for number in range(1, len(pieces) + 1)}
    # A line is whole without its end.
    ends |= {end - 1 for end in ends if b"".join(pieces)[:end].endswith(b"\n")}
    cut = data.draw(st.integers(1, sum(map(len, pieces)) - 1).filter(lambda cut: cut not in ends))
    found, problems = read(file, b"".join(pieces)[:cut])
    assert [record for _, record in found] == records[: len(found)]
    assert problems


@given(
    st.sampled_from(
        [
            b"",
            b'{"Records":[',
            b"[",
            b"\x1f\x8b\x08\0",
            b'{\n"',
            b'{"eventSource":"',
            b'{"message":"',
            b'{"detail":{',
            b'{"messageType":"',
            b'{"awslogs":{"data":"',
            b'{"took":1,"hits":{"hits":[',
            b"eventid,eventjson\n",
            b"\xff\xfe",
        ]
    ),
    st.binary(max_size=60) | st.text('[]{},:"\\ \n0eventSourcu', max_size=40).map(str.encode),
    st.booleans(),
)
def test_nothing_stops_the_reader(file: Path, start: bytes, rest: bytes, compressed: bool) -> None:
    """Whatever a file holds, reading it ends without an exception, and with a word about what is not understood."""
    data = start + rest
    found, problems = read(file, gzip.compress(data) if compressed else data)
    # A byte order mark alone is nothing either, nor are the names of columns.
    left = data.replace(b"\xef\xbb\xbf", b"").replace(b"\xff\xfe", b"").translate(None, b" \n\t\r\0\v\f")
    assert found or problems or left in (b"", b"[]", b'{"Records":[]}', b"eventid,eventjson")


@pytest.mark.parametrize(
    ("data", "found", "lost"),
    [
        (b"".join([*lines([A]), b"\n{]\n", *lines([B])]), [(1, A), (4, B)], [3]),
        (b"".join([*lines([A]), b'"text"\n', b"7\n", *lines([B])]), [(1, A), (4, B)], [2, 3]),
        (b"".join([*lines([A]), b'{"eventSource":"\xff","eventName":""}\n', *lines([B])]),
         [(1, A), (2, {"eventSource": "\ufffd", "eventName": ""}), (3, B)], []),
        (b"".join([*lines([A]), b'{"some":"thing"}\n', *lines([B])]), [(1, A), (3, B)], [2]),
        (b"".join([*lines([A]), b'{"Records":[', dump(B), b",\n", *lines([C])]), [(1, A), (2, B), (3, C)], [2]),
        (b'{"Records":[\n' + dump(A) + b',\n{"x":},\n' + dump(B) + b"\n]}", [(2, A), (4, B)], [3]),
        (b'{"Records":[' + dump(A) + b',{"eventVersion":"1.1' + log_file([B, C]), [(1, A), (1, B), (1, C)], [1]),
        (log_file([A]) + b"\n" + log_file([B])[:-9] + b"\n" + log_file([C]), [(1, A), (3, C)], [2]),
        (log_file([A]) + b"\n" + log_file([B, 7]) + b"\n" + log_file([C]), [(1, A), (2, B), (3, C)], [2]),  # type: ignore[list-item]
        (b'[{"errorCode":"","eventSource":"s"},{"errorCode":]},{"errorCode":"","eventSource":"t"}]',
         [(1, {"errorCode": "", "eventSource": "s"}), (1, {"errorCode": "", "eventSource": "t"})], [1]),
        (b'{\n"eventSource": "s"\n', [], [1]),
        (b'{"eventSource":"s","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n" + dump(A), [(2, A)], [1]),
        (gzip.compress(dump(A), mtime=0)[:-8] + bytes(8), [(1, A)], [1]),
        (gzip.compress(dump(A), mtime=0) + b"rest", [(1, A)], [1]),
        (gzip.compress(dump(A), mtime=0) + bytes(512), [(1, A)], []),
        (b"\xef\xbb\xbf" + log_file([A]), [(1, A)], []),
        (b"\xef\xbb\xbf" + dump(A), [(1, A)], []),
        (b'{"awsAccountId":"123456789012","digestStartTime":"2026-11-24T12:00:00Z","logFiles":[]}', [], []),
        (b"", [], [1]),
        (b" \n", [], []),
    ],
)  # fmt: skip
def test_damage_is_told_with_its_line(
    file: Path, data: bytes, found: list[tuple[int, JsonObject]], lost: list[int]
) -> None:
    """Records before and behind the damage are read, and the damage is told with file and line."""
    records, problems = read(file, data)
    assert records == found
    assert [problem[:2] for problem in problems] == [(file, line) for line in lost]


def test_a_problem_as_text() -> None:
    """A problem reads like a compiler's message."""
    assert str(Problem(Path("a.json"), 7, "damaged")) == "a.json:7: damaged"


def test_the_screen_spares_records(file: Path) -> None:
    """A record that the screen does not let pass is counted, but not decoded; source and name are the record's own."""
    seen = []

    def passes(source: object, name: object) -> bool:
        seen.append((source, name))
        return name == "B"

    damaged_inside = b'{"eventVersion":"1","eventSource":"a","eventName":7,"x":"\xff"}\n'
    file.write_bytes(b"".join([damaged_inside, *lines([B, C])]))
    problems: list[Problem] = []
    parts = list(read_parts(file, problems.append, passes))
    assert sum(part.records for part in parts) == 3
    assert [found for part in parts for found in part.passing] == [(2, B)]
    assert problems == []
    assert seen == [("a", 7), ("b", "B"), ("c", "C")]


def test_a_long_file_of_lines(file: Path) -> None:
    """Lines are told apart across the borders of the pieces that a file is read in."""
    records: Records = [{**A, "x": "y" * (number % 3000)} for number in range(2000)]
    data = b"".join(lines(records))
    assert len(data) > 2 << 20
    for content in (data, gzip.compress(data, 1), data.replace(b"\n", b"\r\n")):
        assert read(file, content) == (list(enumerate(records, 1)), [])


@pytest.mark.parametrize("name", ["gone.json", "folder.json"])
def test_what_cannot_be_opened_is_told(tmp_path: Path, name: str) -> None:
    """A file that cannot be opened is a problem, not an exception."""
    (tmp_path / "folder.json").mkdir()
    problems: list[Problem] = []
    assert list(read_records(tmp_path / name, problems.append, everything)) == []
    assert [(problem.file, problem.line) for problem in problems] == [(tmp_path / name, 1)]


def test_an_empty_compressed_file_is_told(tmp_path: Path) -> None:
    """A file that should be compressed but is empty has lost its content."""
    _, problems = read(tmp_path / "a.json.gz", b"")
    assert len(problems) == 1


def test_files_are_found(tmp_path: Path) -> None:
    """Folders are searched for log files, plain or compressed; a file that is named is taken, and each only once."""
    (tmp_path / "b/c").mkdir(parents=True)
    (tmp_path / "folder.json").mkdir()
    names = ["b/c/1.json.gz", "b/c/2.json", "b/3.jsonl", "b/4.ndjson.gz", "b/5.log", "b/6.csv", "b/7.gz", "8.txt"]
    for name in names:
        (tmp_path / name).touch()
    expected = ["8.txt", "b/3.jsonl", "b/4.ndjson.gz", "b/5.log", "b/6.csv", "b/c/1.json.gz", "b/c/2.json"]
    problems: list[Problem] = []
    found = find_log_files([tmp_path / "8.txt", tmp_path, tmp_path / "b"], problems.append)
    assert found == [tmp_path / name for name in expected]
    assert problems == []


def test_files_of_other_names_are_known_by_their_content(tmp_path: Path) -> None:
    """What services deliver under other names is read; what is left out of a folder is told, each file once."""
    log = log_file([A])
    logs = {
        "000000.gz": gzip.compress(b"2026-11-24T10:00:00.000Z " + dump(A)),
        "DAMAGED.gz": b"\x1f\x8b damaged",
        "LOG.JSON": b"",
        "LOG2.JSON.GZ": b"",
        "TABLE.CSV": b"",
        "firehose-1-2026-11-24-10-00-00-x": log,
        "lines.txt": b"\xef\xbb\xbf\n" + dump(A),
        "list": b"[\n" + dump(A) + b"]",
        "lake": b"eventid,eventjson\n",
        "utf16.txt": log.decode().encode("utf-16"),
    }
    others = {
        ".gitconfig": b"[core]\n",
        "README.md": b"{",
        "backup.gz": gzip.compress(b"backup/" + bytes(500)),
        "empty": b"",
        "notes.txt": b"words",
    }
    for name, content in {**logs, **others}.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.json")
    problems: list[Problem] = []
    left_out: list[Path] = []
    assert find_log_files([tmp_path], problems.append, left_out.append) == sorted(tmp_path / name for name in logs)
    assert sorted(left_out) == sorted(tmp_path / name for name in (*others, "pipe.json"))
    assert problems == []


def test_links_are_followed(tmp_path: Path) -> None:
    """Folders behind links are looked into once each, however the links lead; links to nothing are told."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "far/deep").mkdir(parents=True)
    (tmp_path / "far/deep/1.json").touch()
    (tmp_path / "logs/far").symlink_to(tmp_path / "far")
    (tmp_path / "far/deep/up").symlink_to(tmp_path / "logs")
    (tmp_path / "logs/gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "logs/round.json").symlink_to(tmp_path / "logs/round.json")
    problems: list[Problem] = []
    assert find_log_files([tmp_path / "logs"], problems.append) == [tmp_path / "logs/far/deep/1.json"]
    assert [Path(problem.file).name for problem in problems] == ["gone.json", "round.json"]


def test_a_folder_that_cannot_be_entered_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that cannot be looked at, as in a folder that cannot be entered, are missed loudly, and no others are."""
    for name in ("closed/1.json", "closed/2.json", "closed/4.json", "open/3.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    look = Path.stat

    def guarded(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parent.name == "closed" and path.name != "4.json":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return look(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", guarded)
    problems: list[Problem] = []
    assert find_log_files([tmp_path], problems.append) == [tmp_path / "closed/4.json", tmp_path / "open/3.json"]
    assert [problem.file for problem in problems] == [tmp_path / "closed/1.json"]
    assert find_log_files([tmp_path / "closed/1.json"], problems.append) == [tmp_path / "closed/1.json"]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of a folder that this user may not list are missed loudly, those of the others are found."""
    for name in ("closed/1.json", "open/2.json"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scandir = os.scandir

    def guarded(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    problems: list[Problem] = []
    assert find_log_files([tmp_path], problems.append) == [tmp_path / "open/2.json"]
    assert [str(problem) for problem in problems] == [f"{tmp_path}/closed:1: cannot be searched: Permission denied"]


def test_records_spread_over_lines_are_read_one_after_the_other(tmp_path: Path) -> None:
    """Pretty-printed records without a list around them, as jq writes them, are all read, with their lines."""
    records: list[JsonObject] = [{"eventVersion": "1.11", "eventName": f"E{n}", "a": [n]} for n in range(3)]
    text = "\n".join(json.dumps(record, indent=2) for record in records)
    file = tmp_path / "stream.json"
    file.write_text(text)
    problems: list[Problem] = []
    assert list(read_records(file, problems.append, lambda source, name: True)) == [
        (1, records[0]),
        (8, records[1]),
        (15, records[2]),
    ]
    file.write_text(text.replace('"E1"', '"E1'))
    assert [record for _, record in read_records(file, problems.append, lambda source, name: True)] == [
        records[0],
        records[2],
    ]
    assert [problem.line for problem in problems] == [8]


def test_records_behind_other_keys_are_read(tmp_path: Path) -> None:
    """A log file in which Records is not the first key, on one line or more, holds its records all the same."""
    problems: list[Problem] = []
    for number, indent in enumerate((None, 2)):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps({"account": "123456789012", "Records": [A, B]}, indent=indent))
        found = read_records(file, problems.append, lambda source, name: True)
        assert [record for _, record in found] == [A, B]
    assert problems == []


@pytest.mark.parametrize("form", ["record", "Records", "list", "lines", "spread", "gzip"])
def test_event_out_of_a_file(form: str, tmp_path: Path) -> None:
    """An event is found in any form of file, alone or by its id or its number."""
    several = [A, WITH_ID]
    text = {
        "record": json.dumps(WITH_ID),
        "spread": json.dumps(WITH_ID, indent=2),
        "Records": json.dumps({"Records": several}),
        "list": json.dumps(several),
        "lines": "\n".join(map(json.dumps, several)),
        "gzip": json.dumps({"Records": several}),
    }[form]
    file = tmp_path / "events.json"
    file.write_bytes(gzip.compress(text.encode()) if form == "gzip" else text.encode())
    problems: list[Problem] = []
    single = form in ("record", "spread")
    assert read_event(file, None, 1 if single else 2, problems.append) == WITH_ID
    assert read_event(file, str(WITH_ID["eventID"]), None, problems.append) == WITH_ID
    if single:
        assert read_event(file, None, None, problems.append) == WITH_ID
    else:
        with pytest.raises(NotFoundError, match="has 2 events; choose one"):
            read_event(file, None, None, problems.append)
    with pytest.raises(NotFoundError, match="no event has the eventID 'x'"):
        read_event(file, "x", None, problems.append)
    with pytest.raises(NotFoundError, match="no event number 3"):
        read_event(file, None, 3, problems.append)
    assert problems == []


def test_event_out_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """- reads standard input, and what is wrong with it is told by that name."""
    text = json.dumps(WITH_ID) + "\n{broken\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    problems: list[Problem] = []
    assert read_event(Path("-"), None, None, problems.append) == WITH_ID
    assert [str(problem).partition(": ")[0] for problem in problems] == ["standard input:2"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[]")))
    with pytest.raises(NotFoundError, match="standard input: it has no event"):
        read_event(Path("-"), None, None, problems.append)


# What damages files, and what could be taken for the border of a record.
FRAGMENTS = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b'"', b"\n", b"\\", b"\xff", b"\0", b"7", b"null", b'{"Records":[', b"]}",
     b'"events":[', b'],"detail":{', b'"_raw":"', b",\n", b"\xef\xbb\xbf", b"\n2026-11-24T10:00:00.000Z ",
     b'{"b":[' * 9, b'},{"eventVersion"', b'{"eventVersion":"1.11","eventSource":"z","eventName":"Z"}', b"\n{\n"]
)  # fmt: skip
# Long enough together that the window has to be moved on several times.
LONG_RECORDS: st.SearchStrategy[Records] = st.lists(
    st.builds(
        lambda first, size, more: {**first, "eventVersion": "1.11", "eventSource": "s", "eventName": "N"}
        | {"x": "y" * size} | more,
        st.sampled_from([{}, {}, {}, {"awsRegion": "r"}]),
        st.sampled_from([0, 10, 200, 400]),
        st.sampled_from([
            {},
            {"items": [{"eventVersion": 1, "y": "}]{\u00e9"}, {"eventVersion": 2}]},
            {"quoted": '"},{"eventVersion":"'},
            {"Records": [1, {"Records": []}]},
            {"lines": "\n\n"},
        ]),
    ),
    min_size=5,
    max_size=40,
)  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file in any form, mostly damaged."""
    name = draw(st.sampled_from(list(FORMS)))
    data = b"".join(FORMS[name](draw(LONG_RECORDS)))
    if name.startswith("compressed"):
        return data
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(FRAGMENTS | st.just(b"")) + data[at + draw(st.sampled_from([0, 0, 1, 30, 500])) :]
    return gzip.compress(data) if draw(st.booleans()) else data


BAD_BYTE = dump(A).replace(b'"A"', b'"A","x":"\xff"')


@settings(max_examples=300)
@given(files(), st.integers(1, 3000), st.sampled_from([LONGEST_RECORD, LONGEST_RECORD, 3000, 300]))
@example(b'{"took":1,"_shards":{"total":1},"events":[%b,%b]}' % (BAD_BYTE, BAD_BYTE), 1, LONGEST_RECORD)
@example(b'{"a":%b,"b":{"c":%b}}' % (BAD_BYTE, BAD_BYTE), 1, LONGEST_RECORD)
@example(gzip.compress(dump(A))[:-8] + bytes(8) + gzip.compress(dump(B)), 1, LONGEST_RECORD)
def test_pieces_do_not_matter(file: Path, data: bytes, block: int, longest: int) -> None:
    """However a file is cut into pieces, the same is read of it and the same is told, be it damaged or not."""
    file.write_bytes(data)

    def read_in(pieces: int) -> tuple[int, Found, list[Problem], int]:
        problems: list[Problem] = []
        parts = list(read_parts(file, problems.append, everything, block=pieces, longest=longest))
        found = [record for part in parts for record in part.passing]
        return sum(part.records for part in parts), found, problems, sum(part.done_bytes for part in parts)

    whole = read_in(1 << 20)
    assert read_in(block) == whole
    assert whole[3] == len(data)


@pytest.mark.parametrize("form", ["log file", "lines", "records, joined", "compressed log file", "event history"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, form: str) -> None:
    """A file of 8 MB is read in less memory than a quarter of that."""
    file = tmp_path / "a.json"
    one = {**A, "x": "y" * 1000}
    file.write_bytes(b"".join(FORMS[form]([{**one, "n": number} for number in range(8_000)])))
    problems: list[Problem] = []
    tracemalloc.start()
    try:
        records = sum(part.records for part in read_parts(file, problems.append, lambda source, name: False))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (records, problems) == (8_000, [])
    assert peak < 2_000_000


@pytest.mark.parametrize("form", ["log file", "lines", "records, joined", "list on several lines"])
def test_a_record_that_is_too_long_is_told(file: Path, form: str) -> None:
    """A value longer than any record may be is told with its line, and those around it are read."""
    file.write_bytes(b"".join(FORMS[form]([A, {**B, "x": ["y" * 100] * 100}, C])))
    problems: list[Problem] = []
    parts = list(read_parts(file, problems.append, everything, longest=5000))
    assert [record for part in parts for _, record in part.passing] == [A, C]
    [problem] = problems
    assert "no end within 5,000 bytes" in problem.reason


def test_the_records_behind_damage_are_read(file: Path) -> None:
    """A damaged record in the midst of many costs itself alone, and how much was left out is told."""
    many: Records = [{**A, "n": number} for number in range(5000)]
    for form in ("log file", "lines", "list on several lines", "log files, joined", "records, joined"):
        text = b"".join(FORMS[form](many))
        damaged = re.sub(rb'("n": ?)2500', rb"\1", text)
        found, problems = read(file, damaged)
        assert [record for _, record in found] == [*many[:2500], *many[2501:]], form
        [problem] = problems
        assert re.fullmatch(r"damaged record: .*; \d\d\d? bytes were left out", problem.reason), form


def test_lines_of_lists_and_what_follows(file: Path) -> None:
    """Records of a list on several lines have the lines they begin on, and so has what is wrong behind it."""
    spread = dump({"Records": [A, B]}, 1)
    found, problems = read(file, spread + b"\n" + dump({"some": "thing"}) + b"\n" + spread)
    first = [3, 8]
    length = spread.count(b"\n") + 2
    assert [line for line, _ in found] == [*first, *(line + length for line in first)]
    assert [problem.line for problem in problems] == [length]


@pytest.mark.parametrize(
    ("data", "found", "told"),
    [
        (b'{"events":[' + dump(A) + b'],"token":"x","Records":[' + dump(B) + b"]}", [A, B], []),
        (b'{"events":[' + dump(A) + b'],"token":{"a":[1]},"b":[]}' + dump(B), [A, B], []),
        (b'{"events":[' + dump(A) + b'],"token"' + dump(B), [A, B], ["the object around it has no end"]),
        (b'{"Records":[' + dump(A) + b"]" + log_file([B]), [A, B], ["the object around it has no end"]),
        (b'{"Records":[],"detail":' + dump(B) + b',"message":"words"}', [B], []),
        (b'{"events":[' + dump(A) + b'],"Records":[],"detail":{"a":1}}', [A], ["neither eventSource nor eventName"]),
        (b'{"Records":[' + dump(A) + b'],"eventName":"B","x":1}', [A], ['"eventName" after a list']),
        (b"[" + dump(A) + dump(B) + b"]", [A, B], ["no comma"]),
        (b"[" + dump(A) + b",," + dump(B) + b"]", [A, B], ["a comma without a record"]),
        (b"[" + dump(A) + b",]", [A], ["a comma without a record"]),
        (b"[" + dump(A) + b"," + dump(B), [A, B], ["has no end"]),
    ],
)
def test_what_is_around_the_records(file: Path, data: bytes, found: Records, told: list[str]) -> None:
    """Damage between and behind records costs none, and is told."""
    records, problems = read(file, data)
    assert [record for _, record in records] == found
    assert len(problems) == len(told)
    assert all(part in problem.reason for part, problem in zip(told, problems, strict=True))


@pytest.mark.parametrize(
    "data",
    [
        b"".join(b"2026-11-24T10:00:00.000Z " + line for line in lines([A, B, C])),
        b"".join(b"2026-11-24T10:00:00.123456+00:00 1_CloudTrail_eu-west-1 " + line for line in lines([A, B, C])),
        b",\n".join(map(dump, (A, B, C))),
        b"".join(dump(each, 1) + b",\n" for each in (A, B, C)),
        b"".join(b"\xef\xbb\xbf" + log_file([each]) for each in (A, B, C)),
        b"".join(b"\xef\xbb\xbf" + line for line in lines([A, B, C])),
        b"\n".join(json.dumps({**each, "@message": dump(each).decode()}).encode() for each in (A, B, C)),
        dump({"Records": [{"eventSource": "s", "eventName": "N", "_raw": dump(each).decode()} for each in (A, B, C)]}),
        dump([dump(each).decode() for each in (A, B, C)]),
        b"\n".join(dump(dump(each).decode()) for each in (A, B, C)),
    ],
)
def test_what_tools_put_around_records(file: Path, data: bytes) -> None:
    """Times before lines, commas and byte order marks between records, and fields beside whole records cost nothing."""
    file.write_bytes(data)
    for block in (10, 1 << 20):
        problems: list[Problem] = []
        parts = list(read_parts(file, problems.append, everything, block=block))
        assert ([record for part in parts for _, record in part.passing], problems) == ([A, B, C], [])


def test_a_screen_sees_the_whole_record(file: Path) -> None:
    """Beside the text of a record its source and name may be told otherwise; those of the text count."""
    file.write_bytes(
        dump({"Records": [{"eventSource": "s", "eventName": "N", "_raw": dump(each).decode()} for each in (A, B)]})
    )
    assert [record for _, record in read_records(file, refuse, lambda source, name: source == "b")] == [B]


@pytest.mark.parametrize("damage", [b"NaN", b'"\\ud83d"', b'"\xff"'])
@pytest.mark.parametrize("form", ["log file", "lines"])
def test_what_no_text_may_hold_costs_no_record(file: Path, form: str, damage: bytes) -> None:
    """Records with what a strict reader refuses are read, with the others around them."""
    data = b"".join(FORMS[form]([A, {**B, "z": 0}, C])).replace(b'"z":0', b'"z":' + damage)
    found, problems = read(file, data)
    assert problems == []
    assert [record["eventName"] for _, record in found] == ["A", "B", "C"]
    assert found[1][1]["x"] == B["x"]


@pytest.mark.parametrize("opening", [b'{"a":', b'{ "a" : [ '])
@pytest.mark.parametrize("around", [(b"", b"\n%b"), (b"[", b",%b]")])
def test_what_is_too_deep_is_told_but_not_at_each_level(
    file: Path, opening: bytes, around: tuple[bytes, bytes]
) -> None:
    """Of a value that only opens others the beginnings are left out together, and a record behind them is read."""
    found, problems = read(file, around[0] + opening * 20_000 + around[1] % dump(A))
    assert [record for _, record in found] == [A]
    assert 0 < len(problems) <= 100


def table(rows: Iterable[Iterable[object]]) -> bytes:
    """CSV as CloudTrail Lake writes it."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@pytest.mark.parametrize("name", ["result_1.csv", "result_1.csv.gz", "export.txt"])
@pytest.mark.parametrize("column", ["eventjson", "eventJson"])
def test_tables_of_cloudtrail_lake(tmp_path: Path, name: str, column: str) -> None:
    """The column with the whole records is read, with the lines; rows without a record are told."""
    long: JsonObject = {**B, "long": "y" * 300_000}
    pretty = json.dumps(A, indent=1)
    data = table([["eventid", column], ["1", dump(A).decode()], ["2", pretty], ["3", ""], ["4", dump(long).decode()]])
    file = tmp_path / name
    file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    problems: list[Problem] = []
    end = 3 + pretty.count("\n") + 1
    assert list(read_records(file, problems.append)) == [(2, A), (3, A), (end + 1, long)]
    assert [problem.line for problem in problems] == [end]


@pytest.mark.parametrize("header", ["eventID;eventJson", "eventID\teventJson", "eventID, eventJson"])
@pytest.mark.parametrize("name", ["a.csv", "A.CSV", "a.txt"])
def test_tables_with_other_delimiters(tmp_path: Path, header: str, name: str) -> None:
    """Semicolons and tabs, as spreadsheets write them, and blanks behind commas divide columns as well."""
    between = header.removeprefix("eventID").removesuffix("eventJson")
    quoted = dump(B).decode().replace('"', '""')
    (tmp_path / name).write_text(f'{header}\n1{between}"{quoted}"\n')
    assert list(read_records(tmp_path / name, refuse)) == [(2, B)]


@pytest.mark.parametrize("form", ["log file", "lines", "list on several lines"])
def test_records_in_a_file_named_as_a_table(tmp_path: Path, form: str) -> None:
    """What begins as JSON is read as that, whatever the file is called."""
    (tmp_path / "a.csv").write_bytes(b"".join(FORMS[form]([A, B])))
    assert [record for _, record in read_records(tmp_path / "a.csv", refuse)] == [A, B]


def test_damaged_tables_are_told(tmp_path: Path) -> None:
    """A row that is damaged, or has more or fewer columns, is told, and the others are read."""
    file = tmp_path / "a.csv"
    good = [table([["1", dump(each).decode()]]) for each in (A, B, C)]
    header = table([["eventid", "eventjson"]])
    file.write_bytes(header + good[0] + b'"x"y,"z"\n' + good[1] + b'"one"\n' + good[2] + b'"2","{')
    problems: list[Problem] = []
    assert list(read_records(file, problems.append)) == [(2, A), (4, B), (6, C)]
    assert [problem.line for problem in problems] == [3, 5, 7]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("eventversion,useridentity,eventname,requestparameters", "Athena"),
        ("User name,Event time,Event source,Event name", "the event history"),
        ("metadata,class_uid,activity_id,time", "Security Lake"),
        ("a,b,c,d", "SELECT eventJson"),
    ],
)
def test_tables_without_records_are_refused(tmp_path: Path, header: str, told: str) -> None:
    """Nothing of a table that holds only parts of the records is read; what it is and what to do is told once."""
    file = tmp_path / "a.csv"
    file.write_text(f"{header}\n" + "1,2,{a=b},{c=d}\n" * 3000)
    problems: list[Problem] = []
    assert list(read_records(file, problems.append)) == []
    [problem] = problems
    assert told in problem.reason


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_other_encodings(file: Path, encoding: str) -> None:
    """UTF-16 and UTF-32, which some shells write by themselves, are read, and UTF-16 also without its mark."""
    text = json.dumps({**A, "userAgent": "\N{NERD FACE}"}, ensure_ascii=False) + "\n" + json.dumps(B)
    marks = ("\ufeff", "") if "16" in encoding else ("\ufeff",)
    for mark in marks:
        found, problems = read(file, (mark + text).encode(encoding))
        assert ([record for _, record in found], problems) == ([{**A, "userAgent": "\N{NERD FACE}"}, B], [])
