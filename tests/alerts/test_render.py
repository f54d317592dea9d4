"""Alerts as text."""

import csv
import io
import json
import re
import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.alerts.alert import Alert, ChainEvent
from sigma_stellar_aws.alerts.alert_json import alert_json
from sigma_stellar_aws.alerts.pack import PackRule
from sigma_stellar_aws.alerts.pack_rule import Guide
from sigma_stellar_aws.alerts.render import write_alerts
from sigma_stellar_aws.alerts.table import ROWS
from sigma_stellar_aws.base.terminal import style_of
from sigma_stellar_aws.base.text import printable
from sigma_stellar_aws.rule_files.stellar_block import Suppression

DAY = 24 * 3_600_000
RULE = PackRule(
    "r1",
    "Rule one",
    25,
    "An Author",
    Suppression(timedelta(hours=24), ("recipientAccountId", "userIdentity.arn")),
    ("impact",),
    ("T1485",),
    guide=Guide(
        "It deletes.", ("Tests", "Cleaning"), ("https://example.com/a", "https://example.com/b"), ("Look.", "Act.")
    ),
    fields=("eventName",),
    asked='{"term": {"eventName": {"value": "Delete"}}}',
)
EVENT = b'{"eventName":"Delete","errorCode":"AccessDenied","requestParameters_name":["logs","x"],"userAgent":"aws-cli"}'
FIRST = Alert(
    id="i1",
    key_id="k1",
    rule=RULE,
    key=("123456789012", None),
    start=1_762_668_732_000,
    end=1_762_668_732_000 + DAY,
    first=1_762_668_732_000,
    last=1_762_668_740_500,
    events=17,
    counted=17,
    sample=(("e1", "a.json"), ("e2", "a.json"), ("e3", "b.json")),
    event_names=("sts.amazonaws.com AssumeRole",),
    accounts=("123456789012",),
    regions=("eu-central-1", "us-east-1"),
    actors=("arn:aws:iam::123456789012:user/alice",),
    source_addresses=("192.0.2.44",),
    failed=1,
    error_codes=("AccessDenied",),
    event=EVENT,
)
SECOND = FIRST._replace(
    id="i2",
    rule=RULE._replace(id="r2", title="Rule two", severity=75),
    first=FIRST.start and FIRST.start + DAY,
    actors=("bob, \"the\" 'b\u00f6b'",),
)
HOSTILE = "\x1b]0;title\x07\x1b[31m\x9b2J\u202e[red]x[/red][/]\r\n=1"


def written(capsys: pytest.CaptureFixture[str], form: str, *alerts: Alert, group_by: str = "rule") -> str:
    """What is written to standard output."""
    write_alerts(alerts, form, group_by, sys.stdout)
    return capsys.readouterr().out


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Every alert is one line of JSON, in the order given."""
    lines = written(capsys, "json", SECOND, FIRST).splitlines()
    assert [json.loads(line) for line in lines] == [alert_json(SECOND), alert_json(FIRST)]


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """What a terminal would take for a command, or cannot show, is escaped, and nothing is lost by that."""
    alerts = [FIRST._replace(actors=(text,), id=text) for text in (HOSTILE, "\ud800", "b\u00f6b")]
    alerts.append(FIRST._replace(events=2**70))
    out = written(capsys, "json", *alerts)
    assert [json.loads(line) for line in out.splitlines()] == [alert_json(alert) for alert in alerts]
    assert out.isascii()
    assert "\x1b" not in out


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    """Every alert is a row of CSV, whose cells join what there may be several of."""
    first, second = rows(written(capsys, "csv", FIRST, SECOND))
    assert first == {
        "severity": "25",
        "rule_id": "r1",
        "rule_title": "Rule one",
        "rule_author": "An Author",
        "first_time": "2025-11-09T06:12:12Z",
        "last_time": "2025-11-09T06:12:20.500Z",
        "event_count": "17",
        "suppression_key": "recipientAccountId=123456789012, userIdentity.arn=",
        "event_names": "sts.amazonaws.com AssumeRole",
        "actors": "arn:aws:iam::123456789012:user/alice",
        "source_addresses": "192.0.2.44",
        "accounts": "123456789012",
        "regions": "eu-central-1, us-east-1",
        "event_ids": "e1, e2, e3",
        "places": "a.json, b.json",
        "alert_id": "i1",
        "chain": "",
        "actor_names": "alice",
        "tactics": "Impact",
        "techniques": "T1485 Data Destruction",
        "description": "It deletes.",
        "false_positives": "Tests; Cleaning",
        "references": "https://example.com/a https://example.com/b",
        "triage": "Look. Act.",
        "resource": "logs",
        "error_code": "AccessDenied",
        "error_message": "",
        "user_agent": "aws-cli",
        "parameters": "name=logs, x",
        "matched": "eventName=Delete",
        "failed_count": "1",
        "error_codes": "AccessDenied",
        **dict.fromkeys(("source_countries", "source_cities", "source_networks"), ""),
    }
    assert second["actors"] == "bob, \"the\" 'b\u00f6b'"


def test_a_chain_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of a correlation stand below its line of the table, and in one cell of CSV, in their order."""
    steps = [
        ChainEvent(
            1_762_668_732_000 + number, (("r", f"Rule {number}"),), f"iam.amazonaws.com Do{number}", "", "", "", ""
        )
        for number in range(2)
    ]
    alert = FIRST._replace(chain=tuple(steps))
    monkeypatch.setenv("COLUMNS", "100")
    [row] = rows(written(capsys, "csv", alert))
    assert row["chain"] == (
        "2025-11-09T06:12:12Z iam.amazonaws.com Do0 (Rule 0); 2025-11-09T06:12:12.001Z iam.amazonaws.com Do1 (Rule 1)"
    )
    text = written(capsys, "table", alert)
    assert text.index("Rule one") < text.index("Do0 (Rule 0)") < text.index("Do1 (Rule 1)")
    more = steps[1]._replace(resource="arn:aws:iam::111122223333:user/x", error_code="AccessDenied")
    assert "Do1 user/x AccessDenied (Rule 1)" in written(capsys, "table", FIRST._replace(chain=(more,)))
    [row] = rows(written(capsys, "csv", FIRST._replace(chain=(more,))))
    assert row["chain"].endswith("Do1 arn:aws:iam::111122223333:user/x AccessDenied (Rule 1)")


def test_several_names_have_no_resource(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first event acted on does not stand behind the names of others; each name stands once."""
    monkeypatch.setenv("COLUMNS", "100")
    names = ("waf.amazonaws.com CreateIPSet", "wafv2.amazonaws.com CreateIPSet", "s3.amazonaws.com PutObject")
    assert "CreateIPSet, PutObject 1 of 17" in written(capsys, "table", FIRST._replace(event_names=names))
    assert "CreateIPSet logs 1 of 17" in written(capsys, "table", FIRST._replace(event_names=names[:2]))


def test_without_a_time_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """The alert of events without a time has empty cells for it."""
    timeless = FIRST._replace(start=None, end=None, first=None, last=None)
    [row] = rows(written(capsys, "csv", timeless))
    assert (row["first_time"], row["last_time"]) == ("", "")
    assert "Rule one" in written(capsys, "table", timeless, FIRST)


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\n-1", "\uff1d1"])
def test_no_cell_is_a_formula(capsys: pytest.CaptureFixture[str], start: str) -> None:
    """A text that a spreadsheet would compute has an apostrophe before it; nothing else does."""
    [row] = rows(written(capsys, "csv", FIRST._replace(actors=(start,))))
    # A line end starts another cell where semicolons separate.
    assert row["actors"] == "'" + start.replace("\n", "\n'")
    assert [key for key, value in row.items() if value.startswith("'")] == ["actors", "actor_names"]


def test_no_alerts(capsys: pytest.CaptureFixture[str]) -> None:
    """Without alerts there are a header in CSV and no line at all in JSON."""
    assert written(capsys, "json") == ""
    assert written(capsys, "csv").count("\n") == 1


def test_the_table_is_grouped_by_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """The most severe rule comes first, named once above its alerts, which are in order of time."""
    later = FIRST._replace(id="i3", first=FIRST.first and FIRST.first + 2 * DAY)
    text = written(capsys, "table", later, FIRST, SECOND)
    assert text.partition("by An Author")[0].count("Rule one") == 1
    assert text.index("Rule two") < text.index("Rule one") < text.index("2025-11-09 06:12:12")
    assert text.index("2025-11-09 06:12:12") < text.index("2025-11-11 06:12:12")
    assert all(word in text for word in ("75", "25", "17", "192.0.2.44", "us-east-1"))


def test_the_table_is_grouped_by_actor(capsys: pytest.CaptureFixture[str]) -> None:
    """The actor with the most severe alert comes first, named once beside all that it did."""
    alice = SECOND._replace(id="i3", actors=FIRST.actors, rule=SECOND.rule._replace(severity=80, title="Rule three"))
    text = written(capsys, "table", FIRST, SECOND, alice, group_by="actor")
    assert text.count("alice") == 1
    assert text.index("Rule three") < text.index("Rule one") < text.index("Rule two")


def test_the_table_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    """Of very many alerts the table has the most severe, and says how many it leaves out."""
    many = [FIRST._replace(id=str(number)) for number in range(ROWS + 6)]
    text = written(capsys, "table", *many, SECOND)
    assert text.count("2025-11-09 06:12:12") == ROWS - 1
    assert "Rule two" in text
    assert "\nand 7 more, none of them more severe; --json and --csv tell all\n" in text
    assert f"worst rules  75 Rule two (1), 25 Rule one ({ROWS + 6:,})" in text
    assert f"most by      alice ({ROWS + 6:,}), bob" in text


def test_authors_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The authors of rules are named once, below, with their rules."""
    for group_by in ("rule", "actor"):
        text = written(capsys, "table", FIRST, FIRST, SECOND, group_by=group_by)
        assert text.endswith("\nby An Author: Rule one, Rule two\n")
        assert text.count("An Author") == 1


def test_nothing_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    """A long value that may be a real one is folded in the table, not shortened."""
    text = written(capsys, "table", FIRST._replace(actors=("x" * 500,)))
    assert text.count("x") == 500


@pytest.mark.parametrize("group_by", ["rule", "actor"])
@pytest.mark.parametrize("columns", [60, 80, 100, 120, 160, None])
@pytest.mark.parametrize("coloured", [False, True])
def test_every_width_shows_what_matters(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int | None,
    group_by: str,
    coloured: bool,
) -> None:
    """At each width severity, time, rule, event, actor, source and account are in lines that fit, and whole."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    if coloured:
        monkeypatch.setenv("FORCE_COLOR", "1")
    text = re.sub(r"\x1b\[[0-9;]*m", "", written(capsys, "table", FIRST, group_by=group_by))
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= (columns or 160)
    told = "Rule one|2025-11-09 06:12:12|AssumeRole|logs|AccessDenied|alice|192.0.2.44|123456789012|by An Author"
    for word in told.split("|"):
        assert any(word in line for line in lines), word
    assert len(lines) <= 8
    assert text.count("UTC") == 1
    assert ("us-east-1" in text) == (columns in (160, None))


@pytest.mark.parametrize("columns", [0, 1, 20, 39])
def test_no_width_loses_an_alert(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Terminals that state no size (0 columns), or hardly one, get lines that can be read: never a letter a line."""
    monkeypatch.delenv("COLUMNS", raising=False)
    unstated = written(capsys, "table", FIRST)
    monkeypatch.setenv("COLUMNS", "40")
    least = written(capsys, "table", FIRST)
    monkeypatch.setenv("COLUMNS", str(columns))
    text = written(capsys, "table", FIRST)
    assert text == (least if columns else unstated)
    for word in ("Rule one", "25  2025-11-09 06:12:12", "alice", "192.0.2.44", "123456789012"):
        assert word in text


@pytest.mark.parametrize("columns", [80, 120, 160])
@pytest.mark.parametrize("group_by", ["rule", "actor"])
def test_no_value_pushes_others_out_of_sight(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, group_by: str
) -> None:
    """A value of a record that is very long is cut in the table, and the rest of the alert is there."""
    monkeypatch.setenv("COLUMNS", str(columns))
    long = "x" * 5000
    for values in (
        {"actors": (long, "alice")},
        {"source_addresses": (long, "192.0.2.44")},
        {"accounts": (long, "123456789012")},
        {"event_names": (f"a {long}", "b AssumeRole")},
        {"error_codes": (long,)},
        {"chain": (ChainEvent(None, (("r", "Rule two"),), f"a {long}", "", "", "", long, long, long),)},
    ):
        text = written(capsys, "table", FIRST._replace(**values), group_by=group_by)
        assert text.count("\n") < 60
        assert "\N{HORIZONTAL ELLIPSIS}" in text
        for word in ("192.0.2.44", "123456789012", "alice"):
            assert word in text


@pytest.mark.parametrize("columns", [80, 100, 120, 160])
def test_values_are_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Long names, and each value of a list, stay in one piece, and no line begins with a comma."""
    monkeypatch.setenv("COLUMNS", str(columns))
    accounts, regions = ("111122223333", "444455556666"), ("ap-southeast-1", "ap-northeast-1")
    addresses = ("198.51.100.123", "203.0.113.101")
    named = FIRST._replace(event_names=("config.amazonaws.com StopConfigurationRecorder",))
    text = written(
        capsys, "table", named._replace(accounts=accounts, regions=regions, source_addresses=addresses), group_by="rule"
    )
    words = [word for line in text.splitlines() for word in line.replace(",", " , ").split()]
    assert {"StopConfigurationRecorder", *accounts, *addresses} <= {*words}
    assert columns < 160 or {*regions} <= {*words}
    assert not any(line.strip().startswith(",") for line in text.splitlines())


def test_actors_with_one_name_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Users of several accounts who share a name are not one, neither as a group nor in what stands out."""
    users = [f"arn:aws:iam::{account}:user/alice" for account in ("111122223333", "444455556666")]
    alerts = [FIRST._replace(id=str(number), actors=(users[number % 3 == 0],)) for number in range(12)]
    text = written(capsys, "table", *alerts, group_by="actor")
    titles = [line.strip() for line in text.splitlines() if line.strip().startswith("25 alice")]
    assert titles == ["25 alice \N{MIDDLE DOT} 111122223333", "25 alice \N{MIDDLE DOT} 444455556666"]
    assert "alice \N{MIDDLE DOT} 111122223333 (8), alice \N{MIDDLE DOT} 444455556666 (4)" in text
    # What stands out is the nearest to where people type.
    assert text.index("by An Author") < text.index("most by")


def test_a_narrow_table_keeps_words_together(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 80 columns, an alert has two lines, each with several values."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = written(capsys, "table", FIRST).splitlines()
    assert [" ".join(line.split()) for line in lines[2:4]] == [
        "25 2025-11-09 06:12:12 AssumeRole logs 1 of 17 failed: AccessDenied",
        "alice 192.0.2.44 123456789012",
    ]


def test_failed_events_are_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """How many events failed stands with their number, red only where all did; a number alone where none did."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    red, yellow = "\x1b[31m", "\x1b[33m"
    for failed, events, told in (
        (0, 2, "\x1b[1m \N{MULTIPLICATION SIGN}2"),
        (1, 2, f"{yellow} 1 of 2 failed: AccessDenied"),
        (2, 2, f"{red} 2 of 2 failed: AccessDenied"),
        (1, 1, f"{red} AccessDenied"),
    ):
        codes = ("AccessDenied",) if failed else ()
        text = written(capsys, "table", FIRST._replace(failed=failed, events=events, error_codes=codes))
        assert told in text
        assert ("AccessDenied" in text) == bool(failed)
        assert ("\N{MULTIPLICATION SIGN}" in text) == (not failed)


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_values_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """No value of a record or rule brings control characters or markup into the output."""
    hostile = FIRST._replace(
        id=HOSTILE,
        rule=RULE._replace(id=HOSTILE, title=HOSTILE, author=HOSTILE),
        key=(HOSTILE, HOSTILE),
        sample=((HOSTILE, HOSTILE),),
        event_names=(HOSTILE,),
        accounts=(HOSTILE,),
        regions=(HOSTILE,),
        actors=(HOSTILE,),
        source_addresses=(HOSTILE,),
    )
    text = written(capsys, form, hostile)
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert "[red]x[/red]" in text


def test_json_keeps_what_the_table_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    """In JSON hostile values are escaped, and so can be read back as they were."""
    assert json.loads(written(capsys, "json", FIRST._replace(actors=(HOSTILE,))))["actors"] == [HOSTILE]


@given(st.text())
def test_a_value_is_one_cell_of_csv(value: str) -> None:
    """Whatever a value holds, its alert is one row of CSV, and all of the value is there but control characters."""
    stream = io.StringIO(newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        write_alerts([FIRST._replace(actors=(value,))], "csv", "rule", sys.stdout)
    [row] = rows(stream.getvalue())
    assert row["actors"].replace("'", "") == printable(value).replace("'", "")
    assert row["alert_id"] == FIRST.id


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
