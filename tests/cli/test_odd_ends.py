"""Odd values, full outputs: each is told in a line, and no traceback ends a run."""

import base64
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_stellar_aws.alerts.run import alerts_of_files
from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.records import record

FULL = Path("/dev/full")


def key_created(**more: Json) -> JsonObject:
    """A record that one rule matches, with other values, None for what is left out."""
    whole = record({"eventSource": "kms.amazonaws.com", "eventName": "CreateKey", "identity": "iam_user"}) | more
    return {name: value for name, value in whole.items() if value is not None}


def logs(folder: Path, *records: JsonObject) -> Path:
    """A log file of records."""
    file = folder / "log.json"
    file.write_text(json.dumps({"Records": list(records)}))
    return file


@pytest.mark.parametrize("timestamp", [2**63, -(2**63) - 1, 2**70, 10**4000, 1e300], ids=str)
def test_a_number_that_no_time_can_be(timestamp: Json, tmp_path: Path) -> None:
    """A timestamp beyond 64 bits is no time; the event counts all the same, and so do others."""
    search = alerts_of_files([logs(tmp_path, key_created(eventTime=None, timestamp=timestamp), key_created())])
    assert (search.events, len(search.alerts)) == (2, 2)
    assert [alert.first is None for alert in search.alerts] == [False, True]


_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "\ud800", "\0"]),
)
_ANY = st.recursive(
    _ODD, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner), max_leaves=4
)
_FIELDS = ("eventTime", "timestamp", "eventID", "userIdentity", "sourceIPAddress", "awsRegion", "recipientAccountId")


@given(st.dictionaries(st.sampled_from(_FIELDS), _ANY, min_size=1))
@settings(max_examples=40, deadline=None)
def test_no_value_ends_a_run(tmp_path_factory: pytest.TempPathFactory, odd: dict[str, Json]) -> None:
    """Whatever a field holds, the event is an alert, and so is the next one."""
    search = alerts_of_files([logs(tmp_path_factory.mktemp("odd"), key_created(**odd), key_created(eventID="other"))])
    assert search.events == 2


def test_a_damaged_entry_beside_a_control_message(tmp_path: Path) -> None:
    """A control message of CloudWatch Logs says nothing; a damaged entry beside it is told."""
    control = {"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logEvents": [{"id": "", "message": "x"}]}
    packed = base64.b64encode(gzip.compress(json.dumps(control).encode())).decode()
    file = tmp_path / "log.json"
    for damaged in (packed[:40], packed[:-8], "AAAA"):
        file.write_text(
            json.dumps({"records": [{"recordId": "1", "data": packed}, {"recordId": "2", "data": damaged}]})
        )
        assert len(alerts_of_files([file]).problems) == 1
    file.write_text(json.dumps({"records": [{"recordId": "1", "data": packed}]}))
    assert alerts_of_files([file]).problems == []


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "command",
    [
        ["alerts", "{log}"],
        ["alerts", "{log}", "--json"],
        ["alerts", "{log}", "--csv"],
        ["alerts", "{log}", "--html", "/dev/full"],
        ["rules", "--format", "csv"],
        ["template"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_a_full_output_is_told(command: list[str], tmp_path: Path) -> None:
    """It is told in one line that nothing more could be written."""
    log = str(logs(tmp_path, key_created()))
    with FULL.open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "sigma_stellar_aws", *(part.format(log=log) for part in command)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode in (1, 2)
    last = run.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert last.endswith("cannot be written: No space left on device")
    assert "Traceback" not in run.stderr
