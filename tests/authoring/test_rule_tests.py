"""Rules on their sample events: the files, the runs in process and on an engine, and what is told of them."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from sigma_stellar_aws.authoring import rule_tests
from sigma_stellar_aws.authoring.engine_verdicts import ask_engine
from sigma_stellar_aws.authoring.rule_tests import (
    Suite,
    load_suite,
    result_as_json,
    run_trials,
    summary_of_results,
    watch_suite,
)
from sigma_stellar_aws.authoring.sample_events import TEST_SUFFIX, read_case_file
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.terminal import UNBROKEN, console_for
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.query.index_template import IGNORE_ABOVE
from sigma_stellar_aws.rule_files.load import load_rules, pack_path
from sigma_stellar_aws.store.client import connect
from tests.cases import make_rule_tests
from tests.support.records import cases, record

RULE = """\
title: {title}
id: {id}
logsource: {{product: aws, service: cloudtrail}}
detection: {{selection: {{{items}}}, condition: selection}}
"""
ONE, TWO = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


def rule_text(items: str = "eventName: CreateKey", title: str = "One", rule_id: str = ONE) -> str:
    """A rule file."""
    return RULE.format(title=title, id=rule_id, items=items)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file into a folder that is empty at first."""

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write


def told(suite: Suite, folder: Path) -> list[str]:
    """The problems, with files by their names below a folder."""
    return [str(problem).replace(f"{folder}/", "") for problem in suite.problems]


def failures(suite: Suite) -> list[str]:
    """What is told of the trials that fail."""
    stream = io.StringIO()
    rule_tests.print_failures(run_trials(suite.trials), console_for(stream, width=UNBROKEN))
    return stream.getvalue().splitlines()


def of_pack(key: str) -> dict[str, dict[str, Any]]:
    """The test events of the 29 rules in the format of test files, by file names of the rules."""
    found: dict[str, dict[str, Any]] = {}
    events = cases()
    for rule in load_rules().rules:
        assert rule.source is not None
        own = [case for case in events if case.rule == rule.title]
        found[rule.source.path.stem] = {
            "rule": {"title": rule.title, "id": str(rule.id)}[key],
            "hits": [{"name": case.name, "event": case.record} for case in own if case.expected],
            "misses": [{"name": case.name, "event": case.record} for case in own if not case.expected],
        }
    return found


def test_the_29_come_with_their_events() -> None:
    """Without a path the 29 are run on the events that are shipped with them, which are those of our own tests."""
    assert {file.name: file.read_text(encoding="utf-8") for file in pack_path().glob(f"*{TEST_SUFFIX}")} == {
        file.name: text for file, text in make_rule_tests.rule_tests().items()
    }, "run: python -m tests.cases.make_rule_tests"
    result = CliRunner().invoke(main, ["test"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{len(cases())} cases of 29 rules: {len(cases())} passed, 0 failed\n"


def test_pack_passes_with_test_files_beside_the_rules(write: Callable[..., Path], tmp_path: Path) -> None:
    """All test events of the 29 rules do as they should, and sigma does not take their files for rules."""
    for name, content in of_pack("title").items():
        del content["rule"]
        write(f"{name}.yml", (pack_path() / f"{name}.yml").read_text())
        write(f"{name}{TEST_SUFFIX}", yaml.safe_dump(content))
    suite = load_suite([tmp_path], [])
    results = run_trials(suite.trials)
    assert (suite.problems, suite.untested) == ([], [])
    assert len(results) == len(cases())
    assert [result.case.name for result in results if not result.passed] == []
    assert summary_of_results(results, suite) == f"{len(cases())} cases of 29 rules: {len(cases())} passed, 0 failed"
    assert len(load_rules(tmp_path).rules) == 29


@pytest.mark.parametrize("form", ["folder by title", "list by id"])
def test_pack_passes_with_test_files_elsewhere(form: str, write: Callable[..., Path], tmp_path: Path) -> None:
    """Test files that name their rules may lie anywhere, one or many rules in a file."""
    if form == "list by id":
        elsewhere = write("cases.yaml", yaml.safe_dump(list(of_pack("id").values())))
    else:
        elsewhere = tmp_path / "deep"
        for name, content in of_pack("title").items():
            write(f"deep/er/{name}.yml", yaml.safe_dump(content))
    suite = load_suite([], [elsewhere])
    assert (suite.problems, suite.untested) == ([], [])
    assert [result.passed for result in run_trials(suite.trials)] == [True] * len(cases())


def test_failures_say_which_condition_did_not_hold(write: Callable[..., Path], tmp_path: Path) -> None:
    """Of a case that fails file and line, rule, what was expected, and the parts of the condition that decided."""
    write("one.yml", rule_text("eventName: [CreateKey, PutKeyPolicy], eventSource: kms.amazonaws.com"))
    write(
        "one.test.yaml",
        """\
hits:
- name: a slip
  event: {eventName: CreateKeys, eventSource: kms.amazonaws.com}
- name: well
  event: {eventName: CreateKey, eventSource: kms.amazonaws.com}
misses:

- name: not at all
  event: {eventName: CreateKey, eventSource: KMS.amazonaws.com}
""",
    )
    suite = load_suite([tmp_path], [])
    assert failures(suite) == [
        f"FAIL  {tmp_path}/one.test.yaml:2: One: 'a slip' should match, and does not",
        "✗ no   condition: selection",
        "└── ✗ no   eventName: any of 2 values — the event has 'CreateKeys'",
        "    ├── ✗ no   'CreateKey'",
        "    └── ✗ no   'PutKeyPolicy'",
        f"FAIL  {tmp_path}/one.test.yaml:8: One: 'not at all' should not match, and does",
        "✓ yes  condition: selection",
        "├── ✓ yes  eventName: any of 2 values",
        "│   └── ✓ yes  'CreateKey'",
        "└── ✓ yes  eventSource: 'kms.amazonaws.com'",
    ]
    results = run_trials(suite.trials)
    assert summary_of_results(results, suite) == "3 cases of 1 rule: 1 passed, 2 failed"
    told: list[Any] = [json.loads(json.dumps(result_as_json(result))) for result in results]
    assert [(each["case"], each["expected"], each["matched"], each["passed"]) for each in told] == [
        ("a slip", True, False, False),
        ("well", True, True, True),
        ("not at all", False, True, False),
    ]
    assert [(each["rule"], each["id"], each["line"]) for each in told] == [("One", ONE, n) for n in (2, 4, 8)]
    assert [each.get("explanation", {}).get("matches") for each in told] == [False, None, True]
    assert "on_engine" not in told[0]


def test_failure_of_a_rule_of_several_conditions(write: Callable[..., Path], tmp_path: Path) -> None:
    """Where one condition of several makes a rule match, the others are left out."""
    write(
        "one.yml",
        rule_text("eventName: CreateKey").replace("condition: selection", "condition: [not selection, selection]"),
    )
    write("one.test.yaml", "misses: [{name: a, event: {eventName: CreateKey}}]")
    assert failures(load_suite([tmp_path], []))[1:] == [
        "✓ yes  condition: selection",
        "└── ✓ yes  eventName: 'CreateKey'",
    ]


def test_plain_words_mean_what_they_mean_in_json(write: Callable[..., Path]) -> None:
    """Dates, yes and no, and numbers that JSON does not have stay the texts that they are in CloudTrail records."""
    text = """\
hits:
- name: words
  event:
    texts: [No, yes, on, 2026-11-24, 2026-11-24T12:00:00Z, 012345670123, 0x1F, 1_000, 12:30:45, .5, +1, .inf, ~]
    quoted: ['5', "true"]
    others: [true, false, null, 0, -5, 2.5, 1e3, -0.25E-2]
    empty:
"""
    [group] = read_case_file(write("x.test.yaml", text)).groups
    assert group.cases[0].event == {
        "texts": [
            "No", "yes", "on", "2026-11-24", "2026-11-24T12:00:00Z", "012345670123", "0x1F", "1_000", "12:30:45", ".5",
            "+1", ".inf", "~",
        ],
        "quoted": ["5", "true"],
        "others": [True, False, None, 0, -5, 2.5, 1000.0, -0.0025],
        "empty": None,
    }  # fmt: skip


def test_events_may_share_parts_and_stand_in_json(write: Callable[..., Path]) -> None:
    """Anchors and merges work as in any YAML, in whatever they override, and JSON is YAML too."""
    text = """\
hits:
- {name: base, event: &base {eventName: CreateKey, deep: &deep {a: 1, b: 2}}}
- {name: merged, event: {<<: *base, eventName: Other}}
- {name: twice, event: {<<: *base, deep: {<<: *deep, b: 3}}}
"""
    [group] = read_case_file(write("x.test.yaml", text)).groups
    assert [case.event for case in group.cases] == [
        {"eventName": "CreateKey", "deep": {"a": 1, "b": 2}},
        {"eventName": "Other", "deep": {"a": 1, "b": 2}},
        {"eventName": "CreateKey", "deep": {"a": 1, "b": 3}},
    ]
    event = record({"eventSource": "kms.amazonaws.com", "eventName": "CreateKey"})
    as_text = json.dumps({"hits": [{"name": "all of it", "event": event}]}, indent=1)
    [group] = read_case_file(write("y.test.yaml", as_text)).groups
    assert group.cases[0].event == event


def test_events_of_other_files(write: Callable[..., Path], tmp_path: Path) -> None:
    """A case may name a file of CloudTrail records, each of which is a case of its own."""
    made: list[JsonObject] = [
        record({"eventSource": "kms.amazonaws.com", "eventName": name}, number=n)
        for n, name in enumerate(("CreateKey", "ListKeys", "DisableKey"))
    ]
    write("one.yml", rule_text())
    write("logs/made.json", json.dumps(made[0]))
    write("logs/others.json", json.dumps({"Records": made[1:]}))
    write(
        "one.test.yaml",
        "hits:\n- {name: made, file: logs/made.json}\nmisses:\n- {name: others, file: logs/others.json}\n",
    )
    suite = load_suite([tmp_path], [])
    assert suite.problems == []
    assert [(trial.case.name, trial.case.event, trial.case.line) for trial in suite.trials] == [
        ("made", made[0], 2),
        ("others, event 1", made[1], 4),
        ("others, event 2", made[2], 4),
    ]
    assert all(result.passed for result in run_trials(suite.trials))


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["1: a test file is a map with the keys rule, hits, misses, or a list of such maps"]),
        ("- hits\n- 5", [f"{n}: a test file is a map with the keys rule, hits, misses, or a list of" for n in (1, 2)]),
        ("hits: []\n", ["1: it has neither hits nor misses"]),
        ("hits:\n- {name: a, event: {}}\n\nhit: []\n", ["4: unknown key 'hit'; known are rule, hits, misses"]),
        ("rule: 5\nhits: [{name: a, event: {}}]", ["1: rule must be the title or the id of a rule"]),
        ("hits: {name: a, event: {}}", ["1: hits must be a list"]),
        ("misses:\n- a\n- {name: a}\n", ["2: a case is a map with the keys name and event", "3: a case is a map"]),
        (
            "hits:\n- {name: a, event: {}, file: b}\n",
            ["2: a case is a map with the keys"],
        ),
        (
            "hits:\n- {name: a, event: {}, identity: root}\n",
            ["2: a case is a map with the keys"],
        ),
        ("hits:\n- name: 5\n  event: {}\n", ["2: name must be a string"]),
        ("hits:\n- {name: a, event: {}}\nmisses:\n- event: {}\n  name: a\n", ["5: another case of the rule is called"]),
        ("hits:\n- name: a\n  event: text\n", ["3: event must be a map: a CloudTrail record or a part of one"]),
        ("hits:\n- name: a\n  event: [{}]\n", ["3: event must be a map"]),
        ("hits:\n- name: a\n  event: {Records: []}\n", ["3: event must be one record; name a file with Records by"]),
        ("hits:\n- name: a\n  event: {b: {5: c}}\n", ["3: the key 5 must be a string, in quotes"]),
        (
            "hits:\n- name: a\n  event: {b: [!!timestamp 2026-11-24]}\n",
            ["3: datetime.date(2026, 11, 24) is not a JSON value"],
        ),
        ("hits:\n- name: a\n  file: 5\n", ["3: file must be the path of a file with CloudTrail records"]),
        ("hits:\n- name: a\n  file: none.json\n", ["1: cannot be read: No such file", "3: none.json has no event"]),
        ("hits:\n- name: a\n  event: {\n", ["4: this is not valid YAML: "]),
        ("hits:\n- name: a\n  event: {b: 1, b: 2}\n", ["3: the key 'b' is there twice; the last one is taken"]),
        (
            "hits: [{name: a, event: {}}]\nhits: [{name: b, event: {}}]\n",
            ["2: the key 'hits' is there twice; the last"],
        ),
        ("hits: []\n---\nhits: []\n", ["2: this is not valid YAML: but found another document"]),
        ("hits: &a [*a]\n", ["1: this cannot be read: with its aliases written out"]),
        ("hits:\n- name: a\n  event: &a {b: *a}\n", ["1: this cannot be read: with its aliases written out"]),
        ("hits: " + "[" * 5000, ["1: this is not valid YAML: exceeded maximum nesting depth"]),
        ("hits: " + "[" * 900 + "]" * 900, ["1: this cannot be read: maximum recursion depth"]),
        ("hits:\n- {[a]: b}\n", ["2: this is not valid YAML: found unhashable key"]),
        ("hits: !!python/name:os.system\n", ["1: this is not valid YAML: could not determine a constructor"]),
        ("\x00", ["1: this cannot be read: unacceptable character"]),
    ],
)
def test_faulty_test_file_is_told_with_its_line(
    text: str, problems: list[str], write: Callable[..., Path], tmp_path: Path
) -> None:
    """What is wrong with a test file is told with file and line, and is never a case that passes or a traceback."""
    write("one.yml", rule_text())
    write("one.test.yaml", text)
    suite = load_suite([tmp_path], [])
    found = [problem.partition(":")[2] for problem in told(suite, tmp_path)]
    assert len(found) == len(problems)
    assert all(reason.startswith(start) for reason, start in zip(found, problems, strict=True)), found
    assert all(Path(problem.file).parent == tmp_path for problem in suite.problems)


def test_one_fault_does_not_keep_the_other_cases_from_running(write: Callable[..., Path], tmp_path: Path) -> None:
    """What is well in a test file, and in others, is run."""
    write("one.yml", rule_text())
    write("one.test.yaml", "hits:\n- {name: good, event: {eventName: CreateKey}}\n- {name: bad}\n")
    write("broken.yml", "title: [")
    write("broken.test.yaml", "hits: [{name: a, event: {}}]")
    suite = load_suite([tmp_path], [])
    assert [trial.case.name for trial in suite.trials] == ["good"]
    [broken, bad] = told(suite, tmp_path)
    assert broken.startswith("broken.yml:1: This is not valid YAML")
    assert bad.startswith("one.test.yaml:3: ")
    assert (
        summary_of_results(run_trials(suite.trials), suite)
        == "1 case of 1 rule: 1 passed, 0 failed; 2 problems, see above"
    )


def test_rules_and_cases_that_do_not_find_each_other(write: Callable[..., Path], tmp_path: Path) -> None:
    """A test file without its rule, a rule that is not there, and rules without cases are told of."""
    event = "hits: [{name: a, event: {}}]"
    write("one.yml", rule_text() + "---\n" + rule_text(title="Two", rule_id=TWO))
    write("one.test.yaml", f"- {event}\n- rule: Tow\n  {event}\n- rule: {TWO}\n  {event}\n")
    write("lost.test.yaml", event)
    write(
        "twins.yml",
        rule_text(title="Twin", rule_id=ONE[:-1] + "3") + "---\n" + rule_text(title="Twin", rule_id=ONE[:-1] + "4"),
    )
    write("twins.test.yaml", f"rule: Twin\n{event}")
    elsewhere = write("cases/x.yaml", f"- rule: Unheard of\n  {event}\n- {event}\n")
    suite = load_suite([tmp_path / "one.yml", tmp_path / "twins.yml"], [elsewhere])
    assert told(suite, tmp_path) == [
        "one.test.yaml:1: needs a key rule with the title or id of one of the rules of one.yml",
        "one.test.yaml:2: no rule is called 'Tow' in one.yml; did you mean Two?",
        "twins.test.yaml:1: several rules are called 'Twin'; name one by its id",
        "cases/x.yaml:1: no rule is called 'Unheard of' in the rules that are tested",
        "cases/x.yaml:3: needs a key rule with the title or id of one of the rules of the rules that are tested",
    ]
    assert [trial.rule.rule.title for trial in suite.trials] == ["Two"]
    assert [rule.rule.title for rule in suite.untested] == ["One", "Twin", "Twin"]
    assert summary_of_results([], suite).endswith("3 rules without cases: One, Twin, Twin")
    assert "lost.test.yaml:1: there is no rule file lost.yml beside this test file" in told(
        load_suite([tmp_path], []), tmp_path
    )


def test_cases_of_correlations(write: Callable[..., Path], tmp_path: Path) -> None:
    """A case of a correlation has several events with their times; what it counts needs no case of its own."""
    counting = f"{{type: event_count, rules: [{ONE}], timespan: 1m, condition: {{gte: 2}}}}"
    write("one.yml", rule_text() + f"---\ntitle: Many\ncorrelation: {counting}\n")
    first, second, late = (
        f"{{eventName: createKey, eventID: e{n}, eventTime: 2026-11-09T06:1{n}:00Z}}" for n in (2, 3, 5)
    )
    text = (
        f"rule: Many\nhits:\n- {{name: near, events: [{second}, {first}]}}\n"
        f"- {{name: late, events: [{second}, {late}]}}\n"
    )
    write("one.test.yaml", text)
    suite = load_suite([tmp_path], [])
    assert (told(suite, tmp_path), suite.untested) == ([], [])
    results = run_trials(suite.trials)
    assert [(result.case.name, result.passed) for result in results] == [("near", True), ("late", False)]
    explanation = result_as_json(results[1])["explanation"]
    assert isinstance(explanation, dict)
    assert (explanation["reached"], explanation["needed"]) == (1, 2)
    console = console_for(io.StringIO(), width=200)
    rule_tests.print_failures(results, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Many: 'late' should match, and does not" in shown
    assert "Many is not complete: 1 of 2 events came together within 1m" in shown


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("event: {eventName: createKey}", "'Many' needs events, each with its eventTime: 'a'"),
        ("events: []", "events must be a list of CloudTrail records, or of parts of them"),
        ("events: [{eventName: createKey}]", "each of several events needs an eventTime, not None"),
        ("events: [x]", "event must be a map: a CloudTrail record or a part of one"),
    ],
)
def test_wrong_cases_of_correlations(write: Callable[..., Path], tmp_path: Path, case: str, problem: str) -> None:
    """One event for a correlation, and events without times, are told of."""
    counting = f"{{type: event_count, rules: [{ONE}], timespan: 1m, condition: {{gte: 2}}}}"
    write("one.yml", rule_text() + f"---\ntitle: Many\ncorrelation: {counting}\n")
    write("one.test.yaml", f"rule: Many\nhits: [{{name: a, {case}}}]\n")
    suite = load_suite([tmp_path], [])
    assert [each.split(":", 2)[2].strip() for each in told(suite, tmp_path)] == [problem]


def test_a_correlation_that_cannot_be_followed(write: Callable[..., Path], tmp_path: Path) -> None:
    """A correlation that is refused, or whose rules are nowhere, is told of once, with the reason."""
    counting = f"{{type: event_count, rules: [{ONE}], timespan: 1m, condition: {{lt: 2}}}}"
    write("one.yml", rule_text() + f"---\ntitle: Few\ncorrelation: {counting}\n")
    write("two.yml", f"title: Lost\ncorrelation: {counting.replace(ONE, TWO).replace('lt', 'gte')}\n")
    suite = load_suite([tmp_path], [])
    few, lost = told(suite, tmp_path)
    assert few.startswith("one.yml:1: Rule 'Few': lt is not supported")
    assert lost.startswith(f"two.yml:1: Rule 'Lost': there is no rule with the id or name '{TWO}'")


def test_rules_that_cannot_run(write: Callable[..., Path], tmp_path: Path) -> None:
    """A refused rule is told once; no case of it passes, and none is missing. A correlation needs cases of its own."""
    write("one.yml", rule_text("errorCode|re: 'x(?=y)'"))
    write("one.test.yaml", "misses: [{name: a, event: {}}]")
    counting = f"{{type: event_count, rules: [{TWO}], timespan: 1h, group-by: [a], condition: {{gte: 5}}}}"
    write("two.yml", rule_text(title="Two", rule_id=TWO) + f"---\ntitle: Many\ncorrelation: {counting}\n")
    write("two.test.yaml", "rule: Two\nhits: [{name: b, event: {eventName: createKey}}]")
    write("half.yml", rule_text("errorCode|re: 'x(?=y)'") + "---\n" + rule_text(title="Two", rule_id=TWO))
    write("half.test.yaml", "misses: [{name: a, event: {}}]")
    suite = load_suite([tmp_path], [])
    reason = "the regular expression 'x(?=y)' uses look-ahead or look-behind, which Lucene does not have"
    refused = f"Rule 'One': field 'errorCode': {reason}"
    assert [problem.split("; ")[0] for problem in told(suite, tmp_path)] == [
        f"half.yml:1: {refused}",
        f"one.yml:1: {refused}",
        "half.test.yaml:1: needs a key rule with the title or id of one of the rules of half.yml",
    ]
    # The rule that the correlation counts is as good as any other.
    assert [(result.case.name, result.passed) for result in run_trials(suite.trials)] == [("b", True)]
    assert [rule.rule.title for rule in suite.untested] == ["Two", "Many"]


def test_cases_beside_a_file_without_a_rule(write: Callable[..., Path], tmp_path: Path) -> None:
    """Cases beside a file that holds nothing to test are told of, not passed over."""
    write("one.yml", "")
    write("one.test.yaml", "hits: [{name: a, event: {eventName: CreateKey}}]")
    assert told(load_suite([tmp_path], []), tmp_path) == ["one.test.yaml:1: one.yml has no rule to test"]


def test_watching_runs_what_changes(write: Callable[..., Path], tmp_path: Path) -> None:
    """After the first run only what has to do with a file that changed runs again; new and deleted files count."""
    write("one.yml", rule_text())
    write("one.test.yaml", "hits: [{name: a, event: {eventName: CreateKey}}]")
    write("two.yml", rule_text(title="Two", rule_id=TWO))
    write("two.test.yaml", "hits: [{name: b, file: events.json}]")
    write("events.json", json.dumps({"eventSource": "kms.amazonaws.com", "eventName": "CreateKey"}))
    other = json.dumps({"eventSource": "kms.amazonaws.com", "eventName": "ListKeys"})
    more = "hits: [{name: a, event: {eventName: CreateKey}}, {name: c, event: {}}]"
    steps: list[Callable[[], object]] = [
        lambda: write("one.test.yaml", more),
        lambda: None,
        lambda: write("one.yml", rule_text("eventName: DisableKey")),
        lambda: write("events.json", other),
        lambda: write("one.yml", "title: ["),
        lambda: write("three.yml", rule_text(title="Three", rule_id=TWO)),
        lambda: write("three.test.yaml", "misses: [{name: d, event: {}}]"),
        lambda: (tmp_path / "two.test.yaml").unlink(),
        lambda: (tmp_path / "two.yml").unlink(),
    ]

    def wait() -> None:
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    seen = []
    stream = io.StringIO()

    def watch() -> None:
        for changed, suite, results in watch_suite([tmp_path], [], wait):
            rule_tests.print_run(changed, suite, results, console_for(stream, width=UNBROKEN))
            names = " ".join(sorted(file.name.removesuffix(".yaml") for file in changed))
            seen.append((names, {result.case.name: result.passed for result in results}, len(suite.problems)))

    with pytest.raises(KeyboardInterrupt):
        watch()
    assert seen == [
        ("events.json one.test one.yml two.test two.yml", {"a": True, "b": True}, 0),
        ("one.test", {"a": True, "c": False}, 0),
        ("one.yml", {"a": False, "c": False}, 0),
        ("events.json", {"b": False}, 0),
        ("one.yml", {}, 1),
        ("three.yml", {}, 1),
        ("three.test", {"d": True}, 1),
        ("two.test", {}, 1),
        ("two.yml", {}, 1),
    ]
    lines = stream.getvalue().splitlines()
    assert sum("───" in line for line in lines if not line.startswith((" ", "├", "└", "│"))) == len(seen)
    assert sum(line.startswith("ERROR ") for line in lines) == 5
    assert sum(line.startswith("FAIL ") for line in lines) == 4


def test_watching_runs_correlations_when_what_they_count_changes(write: Callable[..., Path], tmp_path: Path) -> None:
    """The cases of a correlation run again when a rule in another file changes, goes, or comes back elsewhere."""
    (tmp_path / "watched").mkdir()
    chain = "title: Chain\ncorrelation: {type: temporal, rules: [one, middle], timespan: 5m}\n"
    write("watched/chain.yml", chain)
    # What it counts counts another one in turn; and none of them is in what is watched.
    write(
        "watched/middle/middle.yml", "title: M\nname: middle\ncorrelation: {type: temporal, rules: [two], timespan: 5m}"
    )
    one, two = rule_text() + "name: one\n", rule_text("eventName: DeleteKey", "Two", TWO) + "name: two\n"
    write("watched/one.yml", one)
    write("watched/middle/two.yml", two)
    time = "eventTime: '2026-11-01T00:00:00Z'"
    events = f"events: [{{eventName: CreateKey, {time}}}, {{eventName: DeleteKey, {time}}}]"
    cases = write("cases.yaml", f"- {{rule: Chain, hits: [{{name: a, {events}}}]}}")
    steps: list[Callable[[], object]] = [
        lambda: write("watched/one.yml", one.replace("CreateKey", "DisableKey")),
        lambda: write("watched/one.yml", one),
        lambda: write("watched/middle/two.yml", two.replace("DeleteKey", "DisableKey")),
        lambda: (tmp_path / "watched/middle/two.yml").unlink(),
        lambda: write("watched/new.yml", two),
        lambda: write("watched/README.md", "nothing"),
    ]

    def wait() -> None:
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    seen: list[tuple[str, list[bool], int]] = []

    def watch() -> None:
        for changed, suite, results in watch_suite([tmp_path / "watched/chain.yml"], [cases], wait):
            names = " ".join(sorted(file.name for file in changed))
            seen.append((names, [result.passed for result in results], len(suite.problems)))

    with pytest.raises(KeyboardInterrupt):
        watch()
    assert seen == [
        ("cases.yaml chain.yml middle.yml one.yml two.yml", [True], 0),
        ("one.yml", [False], 0),
        ("one.yml", [True], 0),
        ("two.yml", [False], 0),
        # It cannot be followed any more, and so its case is about no rule.
        ("two.yml", [], 1),
        ("new.yml", [True], 0),
    ]


def test_engine_agrees_on_the_pack(engine_url: str, write: Callable[..., Path]) -> None:
    """An engine says of every test event what the matcher says, also of copies with one eventID, and keeps nothing."""
    client = connect(engine_url, None, {})
    content = of_pack("id")
    # Edited copies, as authors make them, and a fragment.
    copied = content["aws_kms_key_created"]
    copied["misses"] = [{"name": "a copy", "event": {**copied["hits"][0]["event"], "eventName": "ListKeys"}}]
    copied["hits"].append(
        {"name": "a fragment", "event": {"eventSource": "kms.amazonaws.com", "eventName": "CreateKey"}}
    )
    suite = load_suite([], [write("cases.yaml", yaml.safe_dump(list(content.values())))])
    results = run_trials(suite.trials, ask_engine(client, suite.trials).matched)
    assert all(result.passed and result.on_engine == result.matched for result in results)
    assert {result.on_engine for result in results} == {True, False}
    assert [result_as_json(result)["on_engine"] for result in results] == [result.matched for result in results]
    assert [index for index in client.indices.get(index="*") if index.startswith("sigma-stellar-aws-test")] == []


def test_difference_to_an_engine_is_a_failure(opensearch_url: str, write: Callable[..., Path], tmp_path: Path) -> None:
    """A case for which the engine does not say what the matcher says fails and is told as such."""
    client = connect(opensearch_url, None, {})
    write("one.yml", rule_text("userAgent|contains: curl"))
    write(
        "one.test.yaml",
        yaml.safe_dump({"hits": [{"name": "too long", "event": {"userAgent": "curl" + "x" * IGNORE_ABOVE}}]}),
    )
    suite = load_suite([tmp_path], [])
    results = run_trials(suite.trials, ask_engine(client, suite.trials).matched)
    assert [(result.matched, result.on_engine, result.passed) for result in results] == [(True, False, False)]
    stream = io.StringIO()
    rule_tests.print_failures(results, console_for(stream, width=UNBROKEN))
    assert "'too long' should match; in process it matches, on the engine it does not" in stream.getvalue()


def test_index_is_removed_whatever_happens(opensearch_url: str, write: Callable[..., Path], tmp_path: Path) -> None:
    """Where the engine refuses an event the error is told, and the index is gone all the same."""
    client = connect(opensearch_url, None, {})
    write("one.yml", rule_text())
    write("one.test.yaml", "hits: [{name: a, event: {eventName: CreateKey}}]")
    [trial] = load_suite([tmp_path], []).trials
    wrong = trial._replace(case=trial.case._replace(event={"_id": "a field of the engine's own"}))
    with pytest.raises(StoreError, match="rejected 1 event"):
        ask_engine(client, [wrong])
    assert [index for index in client.indices.get(index="*") if index.startswith("sigma-stellar-aws-test")] == []
    with pytest.raises(StoreError, match="cannot be reached"):
        ask_engine(connect("http://127.0.0.1:1", None, {}), [trial])


def test_a_rule_that_the_engine_refuses_is_told(engine_url: str, write: Callable[..., Path], tmp_path: Path) -> None:
    """A rule with a pattern that is too complex for the engine is named, and the others are tried."""
    client = connect(engine_url, None, {})
    write("one.yml", rule_text())
    write("one.test.yaml", "hits: [{name: a, event: {eventName: CreateKey}}]")
    write("two.yml", rule_text("eventName|re: 'a.{20}b'", title="Two", rule_id=ONE[:-1] + "9"))
    write("two.test.yaml", "misses: [{name: b, event: {eventName: CreateKey}}]")
    verdicts = ask_engine(client, load_suite([tmp_path], []).trials)
    assert verdicts.matched == [True, None]
    [problem] = verdicts.refused
    assert (Path(problem.file).name, problem.reason[:34]) == ("two.yml", "Two: the store refuses its query: ")
