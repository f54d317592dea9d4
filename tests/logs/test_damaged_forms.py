"""Whatever is damaged in whatever form: a record that is not read any more is told."""

import json
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
NOT_UTF32 = "damaged text: not all of it is UTF-32, and what is not became replacement characters"
# How records are kept where they are looked for inside of members that no wrapper is known by.
INSIDE: dict[str, Callable[[list[Json]], Json]] = {
    "OTLP": lambda texts: {"logRecords": [{"body": {"stringValue": text}} for text in texts]},
    "Splunk, rows": lambda texts: {"fields": ["_raw"], "rows": [[text] for text in texts]},
    "Loki, query": lambda texts: {"data": {"result": [{"values": [["1", text] for text in texts]}]}},
    "beside a list": lambda texts: {"Records": [C], "more": texts},
    "map": lambda texts: {str(number): text for number, text in enumerate(texts)},
}


@pytest.mark.parametrize("form", ["Sentinel, CSV", "Sentinel, exported", "Sentinel, az", "Sentinel, API"])
def test_bad_utf8_in_rows_of_sentinel(tmp_path: Path, form: str) -> None:
    """What is not a character becomes a replacement character, as in any other record."""
    name, write = COUNTED[form]
    (tmp_path / name).write_bytes(write(RECORDS).replace(b"user/3", b"user/\xff"))
    count, found, told = read(tmp_path / name, {"GetSessionToken"})
    assert (count, told) == (NUMBER, [])
    assert "user/\ufffd" in json.dumps(found[3], ensure_ascii=False)


def test_tar_archives_that_are_damaged_or_joined(tmp_path: Path) -> None:
    """All of several archives is read; a damaged member is told, and what was before it is read."""
    first, second = (tarred({name: compact(each).encode()}, "w") for name, each in (("a.json", A), ("b.json", B)))
    assert read_with_notes(tmp_path / "a.tar", first + second) == ([A, B], [], [])
    found, [problem], _ = read_with_notes(tmp_path / "a.tar", first + b"x" + second)
    assert (found, "damaged archive" in problem) == ([A], True)
