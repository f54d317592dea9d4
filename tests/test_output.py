"""Alerts as text."""

import csv
import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.alerts import Alert
from sigma_stellar_aws.output import printable, style_of, write

FIRST = Alert(
    time="2026-11-09T06:12:12Z",
    severity=25,
    rule_id="r1",
    rule_title="Rule one",
    rule_author="An Author",
    event_id="e1",
    event_source="sts.amazonaws.com",
    event_name="AssumeRole",
    error_code="",
    actor="arn:aws:iam::123456789012:user/alice",
    source_address="192.0.2.44",
    account="123456789012",
    region="eu-central-1",
    place="a.json",
)
SECOND = FIRST._replace(
    time="2026-11-10T06:12:12Z", event_id="e2", rule_title="Rule two", actor="bob, \"the\" 'b\u00f6b'"
)
HOSTILE = "\x1b]0;title\x07\x1b[31m\x9b2J\u202e[red]x[/red][/]\r\n=1"


def written(capsys: pytest.CaptureFixture[str], form: str, *alerts: Alert) -> str:
    """What is written to standard output."""
    write(alerts, form, "file")
    return capsys.readouterr().out


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_alerts_are_in_order_of_time(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Alerts are written by time, whatever order they were found in."""
    text = written(capsys, form, SECOND, FIRST)
    assert text == written(capsys, form, FIRST, SECOND)
    assert 0 < text.index("Rule one") < text.index("Rule two")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An alert is one line of JSON with what identifies rule and event, and where it stands."""
    assert json.loads(written(capsys, "json", FIRST)) == {
        "time": "2026-11-09T06:12:12Z",
        "severity": 25,
        "rule_id": "r1",
        "rule_title": "Rule one",
        "rule_author": "An Author",
        "eventID": "e1",
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "errorCode": "",
        "actor": "arn:aws:iam::123456789012:user/alice",
        "sourceIPAddress": "192.0.2.44",
        "account": "123456789012",
        "region": "eu-central-1",
        "file": "a.json",
    }


def test_the_place_has_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """The place of an alert out of a data store is called index."""
    write([FIRST], "json", "index")
    assert json.loads(capsys.readouterr().out)["index"] == "a.json"


def test_csv_is_json_with_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has the columns and values of the JSON lines."""
    lines = written(capsys, "json", FIRST, SECOND).splitlines()
    expected = [{key: str(value) for key, value in json.loads(line).items()} for line in lines]
    assert rows(written(capsys, "csv", FIRST, SECOND)) == expected


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\n-1", "\uff1d1"])
def test_no_cell_is_a_formula(capsys: pytest.CaptureFixture[str], start: str) -> None:
    """A text that a spreadsheet would compute has an apostrophe before it; nothing else does."""
    [row] = rows(written(capsys, "csv", FIRST._replace(actor=start)))
    assert row["actor"] == f"'{start}"
    assert [key for key, value in row.items() if value.startswith("'")] == ["actor"]


def test_no_alerts(capsys: pytest.CaptureFixture[str]) -> None:
    """Without alerts there are a header in CSV and no line at all in JSON."""
    assert written(capsys, "json") == ""
    assert written(capsys, "csv").count("\n") == 1


def test_table_has_a_row_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    """Rules that match the same event share its row, the most severe first; the same event elsewhere has its own."""
    second_rule = FIRST._replace(severity=75, rule_id="r2", rule_title="Rule zwei")
    text = written(capsys, "table", FIRST, second_rule, FIRST._replace(place="b.json"))
    assert text.count(FIRST.time) == 2
    assert text.index("Rule zwei") < text.index("Rule one")
    assert all(word in text for word in ("75", "25", FIRST.actor, FIRST.source_address))


def test_nothing_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    """A long value is folded in the table, not shortened."""
    text = written(capsys, "table", FIRST._replace(actor="x" * 500))
    assert text.count("x") == 500


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_values_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """No value of a record or rule brings control characters or markup into the output."""
    values = [HOSTILE if isinstance(value, str) else value for value in FIRST]
    text = written(capsys, form, Alert._make(values))
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert "[red]x[/red]" in text


def test_json_keeps_what_the_table_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    """In JSON hostile values are escaped, and so can be read back as they were."""
    assert json.loads(written(capsys, "json", FIRST._replace(actor=HOSTILE)))["actor"] == HOSTILE


@given(st.text())
def test_a_value_is_one_cell_of_csv(value: str) -> None:
    """Whatever a value holds, its alert is one row of CSV, and all of the value is there but control characters."""
    stream = io.StringIO(newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        write([FIRST._replace(actor=value)], "csv", "file")
    [row] = rows(stream.getvalue())
    assert row["actor"] in (printable(value), f"'{printable(value)}")
    assert row["file"] == FIRST.place


@given(st.text(st.characters()))
def test_printable(text: str) -> None:
    """A printable text has as many characters as the text, and those that can be shown are the same."""
    shown = printable(text)
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert all(a == b or b == "\ufffd" for a, b in zip(text, shown, strict=True))
    assert shown == text or not text.replace("\n", "").isprintable()


def test_every_severity_has_a_style() -> None:
    """Severities are shown in four steps, whose borders are those of the levels."""
    styles = [style_of(severity) for severity in range(101)]
    assert len(set(styles)) == 4
    assert [severity for severity in range(1, 101) if styles[severity] != styles[severity - 1]] == [25, 50, 75]
