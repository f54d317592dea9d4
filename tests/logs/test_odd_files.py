"""Files of odd tools and broken copies: what can be read is read, and all else is told."""

import gzip
import io
import json
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from sigma_stellar_aws.logs.find import find_log_files
from tests.logs.test_forms import LOG, TEXT_A, TEXT_B, A, B, read, tarred, zipped

SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
CUT = "the compressed data ends too early; the file is not whole"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("twice.json.gz", gzip.compress(gzip.compress(LOG))),
        ("another.json.gz", gzip.compress(zstandard.compress(LOG))),
        ("padded.json.xz", lzma.compress(TEXT_A.encode()) + bytes(8) + lzma.compress(TEXT_B.encode())),
        ("skippable.json.zst", SKIPPABLE + zstandard.compress(TEXT_A.encode()) + zstandard.compress(TEXT_B.encode())),
        ("a.tar.zst", zstandard.compress(tarred({"a.json": LOG}, "w"))),
        ("a.tar.gz", gzip.compress(tarred({"a.json": LOG}, "w:gz"))),
    ],
)
def test_layers_and_members(tmp_path: Path, name: str, data: bytes) -> None:
    """Every layer of compression is opened, and every member of it read."""
    assert read(tmp_path / name, data) == ([A, B], [], [])


def test_zstd_that_is_cut_off_between_blocks(tmp_path: Path) -> None:
    """What is there is read, and that the end is missing is told, even where the text ends with a record."""
    content = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(content, closefd=False) as writer:
        writer.write(TEXT_A.encode() + b"\n")
        writer.flush(zstandard.FLUSH_BLOCK)
        whole = content.tell()
        writer.write(TEXT_B.encode() + b"\n")
    assert read(tmp_path / "a.json.zst", content.getvalue()) == ([A, B], [], [])
    assert read(tmp_path / "a.json.zst", content.getvalue()[:whole]) == ([A], [CUT], [])


def test_what_is_not_a_log(tmp_path: Path) -> None:
    """Of a text or a picture only that is told, once; damage around a record, or in a log, is told as it is."""
    words = b"# Title\n\nsome words\n\n```sh\nls [a]\n```\n\nmore {words}\n"
    not_a_log = ["not a log: it does not begin like one, and has no record"]
    for data in (words, b"\x89PNG\r\n\x1a\n\0\0{\xff" * 300, words * 5000):
        assert read(tmp_path / "a.md", data) == ([], not_a_log, [])
    found, problems, _ = read(tmp_path / "a.md", words + TEXT_A.encode())
    assert found == [A]
    assert any("damaged" in problem for problem in problems)
    for data in (b'{"Records": [{"eventVer', b'words {"eventName": "x", "eventSou'):
        _, problems, _ = read(tmp_path / "a.json", data)
        assert problems != not_a_log


def test_what_follows_compressed_data_is_told(tmp_path: Path) -> None:
    """Nothing after the last member is passed over in silence, nor what is compressed too often."""
    for compress in (lzma.compress, zstandard.compress):
        found, [problem], _ = read(tmp_path / "a.json", compress(LOG) + TEXT_A.encode())
        assert (found, "not compressed" in problem) == ([A, B], True)
    data = LOG
    for _ in range(5):
        data = gzip.compress(data)
    _, problems, _ = read(tmp_path / "a.json", data)
    assert problems == ["it is compressed more than 3 times; decompress it"]


def test_archives_of_which_nothing_is_read(tmp_path: Path) -> None:
    """An archive without a log is told, and so are one inside compressed data and members with a password."""
    for data in (zipped({}), zipped({"sheet.xml": b"<a/>"}), tarred({"words.md": b"# words"}, "w")):
        assert read(tmp_path / "a", data) == (
            [],
            ["no file in this archive is a log, and so nothing of it was read"],
            [],
        )
    _, problems, _ = read(tmp_path / "a.zip.gz", gzip.compress(zipped({"a.json": LOG})))
    assert "is compressed once more" in problems[0]
    locked = bytearray(zipped({"a.json": LOG}))
    for at in (6, locked.find(b"PK\x01\x02") + 8):
        locked[at] |= 1
    assert zipfile.ZipFile(io.BytesIO(locked)).infolist()[0].flag_bits & 1
    found, problems, _ = read(tmp_path / "a.zip", bytes(locked))
    assert (found, "password" in problems[0]) == ([], True)


def quoted(text: str) -> str:
    """A cell."""
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize(
    "text",
    [
        f"1,{quoted(TEXT_A)}\n2,{quoted(TEXT_B)}\n",
        f"{quoted(TEXT_A)}\n{quoted(TEXT_B)}\n",
        f"id|eventJson\n1|{quoted(TEXT_A)}\n2|{quoted(TEXT_B)}\n",
        "id,eventJson\n" + "".join('1,"' + each.replace('"', '\\"') + '"\n' for each in (TEXT_A, TEXT_B)),
    ],
    ids=["no header", "no header, one column", "bars", "backslashes"],
)
def test_tables_of_other_tools(tmp_path: Path, text: str) -> None:
    """No row is lost: neither the first one of a table without a header, nor those that are written in another way."""
    found, problems, _ = read(tmp_path / "a.csv", text.encode())
    assert (found, problems) == ([A, B], [])


def test_a_first_line_of_many_words_takes_no_time() -> None:
    """To see that a line is not the header of a table takes a time that does not explode with its length."""
    code = "from sigma_stellar_aws.logs.beginnings import TABLE; assert TABLE.match(b'a, ' * 300 + b'!') is None"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


@pytest.mark.parametrize("number", ["9" * 5000, "-1e999999", "1E+400"])
def test_numbers_that_are_too_large(tmp_path: Path, number: str) -> None:
    """A record with a number that no decoder takes is read, with the text of that number."""
    found, problems, _ = read(tmp_path / "a.json", f'{TEXT_A[:-1]}, "x": {number}}}\n{TEXT_B}'.encode())
    assert (found, problems) == ([{**A, "x": number}, B], [])


def test_a_record_over_many_lines_after_much_else(tmp_path: Path) -> None:
    """Where a file is skimmed because it does not look like a log, a record that is spread over lines is still read."""
    for indented in (json.dumps(A, indent=2), json.dumps({"Records": [A, B]}, indent=2)):
        for count in (100, 150):
            found, _, _ = read(tmp_path / "a.log", ("some words\n" * count + indented).encode())
            assert found == ([A, B] if "Records" in indented else [A])


def test_parquet_with_times_that_python_has_no_type_for(tmp_path: Path) -> None:
    """Beside a time in nanoseconds, or one in the far future, records are read as beside any other."""
    types = {
        "ns": pa.array([10**18 + 1, 10**18 + 1], pa.timestamp("ns")),
        "far": pa.array([2**62, 2**62], pa.timestamp("us")),
        "long": pa.array([1, 1], pa.duration("ns")),
    }
    for name, times in types.items():
        content = io.BytesIO()
        pq.write_table(pa.table({"eventjson": [TEXT_A, TEXT_B], name: times}), content)
        found, problems, _ = read(tmp_path / "a.parquet", content.getvalue())
        assert (found, problems) == ([A, B], [])
        content = io.BytesIO()
        pq.write_table(pa.table({"value": [TEXT_A, TEXT_B], "other": pa.array([{"a": 1}] * 2), name: times}), content)
        found, problems, _ = read(tmp_path / "a.parquet", content.getvalue())
        assert (found, problems) == ([A, B], [])


def test_rotated_files_are_logs(tmp_path: Path) -> None:
    """Files that logrotate renamed are found in a folder; other numbers at the end of a name mean nothing."""
    logs = ["a.json.1", "a.json.2.gz", "a.json.gz.3", "a.log-20260105", "a.log-2026010510.gz", "a.ndjson.20260105"]
    for name in [*logs, "a.png.1", "a.2026"]:
        (tmp_path / name).write_bytes(b"")
    left: list[Path] = []
    found = find_log_files([tmp_path], lambda problem: pytest.fail(problem.reason), left.append)
    assert ([file.name for file in found], len(left)) == (sorted(logs), 2)
