"""Checks of rule files."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from sigma.exceptions import SigmaError
from sigma.plugins import InstalledSigmaPlugins
from sigma.rule import SigmaRule
from sigma.validators.base import SigmaRuleValidator, SigmaValidationIssue

from sigma_stellar_aws.authoring.check import CONTRADICTORY, NEED_NETWORK, CheckReport, at_least, check_rules
from sigma_stellar_aws.authoring.rule_documents import Finding
from sigma_stellar_aws.rule_files.load import filters_path, pack_path
from sigma_stellar_aws.validators import stellar_aws

PYSIGMA_2 = version("pysigma").startswith("2.")
GOOD = """\
title: A Good Rule
id: 5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01
status: experimental
description: Detects the deletion of an alarm.
references:
    - https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html
author: Somebody
date: 2026-11-24
tags:
    - attack.impact
    - attack.t1485
logsource:
    product: aws
    service: cloudtrail
detection:
    selection:
        eventSource: 'monitoring.amazonaws.com'
        eventName: 'DeleteAlarms'
    condition: selection
falsepositives:
    - Administrators
level: medium
stellar:
    severity: 50
"""
CORRELATION = """\
title: A Good Correlation
id: 5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f02
status: experimental
description: Detects many deletions of alarms.
author: Somebody
date: 2026-11-24
correlation:
    type: event_count
    rules:
        - 5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01
    group-by:
        - userIdentity.arn
    timespan: 5m
    condition:
        gte: 10
falsepositives:
    - Administrators
level: medium
"""
FILTER = """\
title: A Good Filter
id: 5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f03
logsource:
    product: aws
    service: cloudtrail
filter:
    rules: any
    selection:
        userIdentity.type: 'AWSService'
    condition: not selection
"""

CheckText = Callable[..., CheckReport]


@pytest.fixture
def check_text(tmp_path: Path) -> CheckText:
    """Checks texts as the files of a folder, by default one with the name of a rule."""

    def checked(text: str = "", /, **files: str) -> CheckReport:
        for name, content in {**({"aws_a_rule": text} if text else {}), **files}.items():
            (tmp_path / f"{name}.yml").write_text(content, encoding="utf-8")
        return check_rules([tmp_path])

    return checked


def changed(text: str, old: str, new: str) -> str:
    """A text with one place changed, which has to be there."""
    assert text.count(old) == 1
    return text.replace(old, new)


def told(report: CheckReport) -> list[tuple[int, str, str]]:
    """Lines, checks and severities of the findings."""
    return [(finding.line, finding.check, finding.severity) for finding in report.findings]


def test_the_pack_is_clean() -> None:
    """Nothing is reported of the 29 rules and of the two filters beside them."""
    report = check_rules()
    assert report.findings == ()
    assert len(report.checked) == len(report.files) == 29
    filters = check_rules(filters_path().iterdir())
    assert (filters.findings, len(filters.checked)) == ((), 2)


def test_a_good_set_is_clean(check_text: CheckText) -> None:
    """Nothing is reported of a rule, a correlation of it and a filter, each in a file of its own or all in one."""
    assert told(check_text(GOOD, correlation_of_rules=CORRELATION, filter_of_rules=FILTER)) == []


def test_documents_of_one_file_are_all_checked(check_text: CheckText) -> None:
    """Every document of a file is looked at and has its own lines."""
    double = changed(changed(FILTER, "rules: any", "rules: [nowhere]"), "A Good Filter", "Another")
    report = check_text(correlation_and_rules="---\n".join((GOOD, CORRELATION, double)))
    line = GOOD.count("\n") + CORRELATION.count("\n") + 2 + 7
    assert told(report) == [(line, "reference", "low")]
    assert [checked.title for checked in report.checked] == ["A Good Rule", "A Good Correlation", "Another"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("title: A Good Rule", "title: [A", (2, "yaml", "high")),
        ("date: 2026-11-24", "date: 2026-13-24", (8, "sigma", "high")),
        ("level: medium", "level: medium\nlevel: high", (23, "yaml", "high")),
        ("level: medium", "level: severe", (22, "sigma", "high")),
        ("5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01", "one", (2, "sigma", "high")),
        ("5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01", "1", (2, "sigma", "high")),
        ("eventName:", "eventName|nearly:", (18, "sigma", "high")),
        ("condition: selection", "condition: selection and", (19, "sigma", "high")),
        ("condition: selection", "condition: selection and missing", (19, "as_written", "high")),
        ("condition: selection", "condition: [[selection]]", (19, "sigma", "high")),
        (
            "condition: selection",
            "unused:\n        eventName: x\n    condition: selection",
            (19, "dangling_detection", "high"),
        ),
        ("    - attack.t1485", "    - attack.t1485\n    - attack.t1485", (12, "duplicate_tag", "medium")),
        ("    - attack.t1485", "    - attack.t1485\n    - nonsense.x", (12, "namespace_tag", "medium")),
        ("title: A Good Rule", "title: A Good Rule.", (1, "sigmahq_title_end", "medium")),
        ("author: Somebody\n", "", (1, "sigmahq_author_existence", "medium")),
        (
            "    - Administrators",
            "    - Administrators\n    - none",
            (22, "sigmahq_falsepositives_banned_word", "medium"),
        ),
        ("- Administrators", "- Administrators: all of them", (21, "sigma", "high")),
        ("stellar:", "steller:", (23, "stellar_aws_unknown_key", "medium")),
        ("'DeleteAlarms'", "['DeleteAlarms', 'Delete**']", (18, "double_wildcard", "low")),
        (
            "'DeleteAlarms'",
            "'DeleteAlarms'\n        requestParameters: 'x'",
            (19, "stellar_aws_whole_object", "medium"),
        ),
        # pySigma 2 refuses it itself, when it loads the rule.
        ("eventName: 'DeleteAlarms'", "eventName|re: 'x(?=y)'", (18, "sigma" if PYSIGMA_2 else "convert", "high")),
    ],
)
def test_a_fault_has_its_place(check_text: CheckText, old: str, new: str, expected: tuple[int, str, str]) -> None:
    """Each kind of fault is reported with the line that it is in, the name of the check and its severity."""
    assert expected in told(check_text(changed(GOOD, old, new)))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("'DeleteAlarms'", "No", 18),
        ("'DeleteAlarms'", "012345670123", 18),
        ("'DeleteAlarms'", "2026-01-05", 18),
        ("'DeleteAlarms'", "[]", 18),
        ("eventName: 'DeleteAlarms'", "eventName: {a: b}", 18),
        ("eventName: 'DeleteAlarms'", "eventName|contains: 111122223333", 18),
        ("eventName: 'DeleteAlarms'", "1: x", 18),
        ("condition: selection", "condition: selection AND selection", 19),
        ("condition: selection", "condition: selection and 1 of other_*", 19),
        ("condition: selection", "condition: 2 of selection*", 19),
    ],
)
def test_what_would_be_misread_is_reported_once(check_text: CheckText, old: str, new: str, line: int) -> None:
    """What YAML or pySigma would turn into something else is one finding, with its line, and nothing repeats it."""
    assert told(check_text(changed(GOOD, old, new))) == [(line, "as_written", "high")]


def test_the_excerpt_is_the_line_and_the_place_a_part_of_it(check_text: CheckText) -> None:
    """A finding brings the line that it is about, and its place cuts out what it is about."""
    (finding,) = check_text(changed(GOOD, "    - attack.t1485", "    - attack.t1485\n    - nonsense.x")).findings
    assert finding.excerpt == "    - nonsense.x"
    assert finding.excerpt[finding.place.column - 1 : finding.place.end_column - 1] == "nonsense.x"
    assert (finding.rule, finding.path.name) == ("A Good Rule", "aws_a_rule.yml")


def test_equal_keys_in_two_selections_are_told_apart(check_text: CheckText) -> None:
    """An issue of pySigma about a value has the place of this value, though another selection has the same field."""
    two = "selection: {eventName: 'Delete'}\n    selection_b:\n        - eventName: 'x'\n        - eventName: 'a**b'\n"
    text = GOOD[: GOOD.index("selection:")] + two + "    condition: 1 of selection*\nlevel: low\n"
    (finding,) = [finding for finding in check_text(text).findings if finding.check == "double_wildcard"]
    assert (finding.line, finding.excerpt) == (19, "        - eventName: 'a**b'")


def test_a_bad_file_hides_nothing_of_the_others(check_text: CheckText, tmp_path: Path) -> None:
    """Files that cannot be read are findings of their own, and the others are checked all the same."""
    (tmp_path / "aws_latin.yml").write_bytes(b"# fine\ntitle: caf\xe9\n")
    report = check_text(
        changed(GOOD, "level: medium", "level: severe"),
        aws_broken="a: [",
        aws_empty="# nothing\n",
        aws_list="- a\n",
        aws_deep=f"a: {'[' * 900}{']' * 900}\n",
        aws_endless="a: &a [*a]\n",
        aws_types="title: [x]\nid: 5\ntags: {a: b}\nlogsource: aws\ndetection: [a]\n",
    )
    of_form = [finding for finding in report.findings if finding.check in ("sigma", "yaml")]
    assert {(finding.path.stem, finding.line, finding.check) for finding in of_form} == {
        ("aws_a_rule", 22, "sigma"),
        ("aws_broken", 2, "yaml"),
        ("aws_deep", 1, "yaml"),
        ("aws_empty", 1, "yaml"),
        ("aws_endless", 1, "yaml"),
        ("aws_latin", 2, "yaml"),
        ("aws_list", 1, "sigma"),
        *(("aws_types", line, "sigma") for line in range(1, 6)),
    }
    assert {checked.path for checked in report.checked} == set(report.files)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    condition: not selection", "    condition: not", (10, "sigma", "high")),
        ("    rules: any\n", "", (6, "sigma", "high")),
        ("'AWSService'", "'AWS**'", (9, "double_wildcard", "low")),
        ("userIdentity.type:", "userIdentity:", (9, "stellar_aws_whole_object", "medium")),
        ("rules: any", "rules:\n        - nowhere", (8, "reference", "low")),
    ],
)
def test_filters_are_checked_too(check_text: CheckText, old: str, new: str, expected: tuple[int, str, str]) -> None:
    """A filter is parsed and converted, and its detections are judged like those of a rule."""
    assert expected in told(check_text(filter_of_rules=changed(FILTER, old, new)))


CORRELATION_FAULTS = {
    "count": ("gte: 10", "gte: 0", (15, "high"), "Gte: 0 holds without any event"),
    "key": ("group-by", "group_by", (11, "high"), "A correlation has no key 'group_by'; did you mean group-by?"),
    "refused": ("gte: 10", "lte: 10", (15, "medium"), "Lte is not supported: a part of a longer burst holds it"),
    "one": ("gte: 10", "gte: 1", (14, "low"), "One event is enough"),
    "long": ("5m", "2d", (13, "medium"), "The timespan of 48h is longer than the window of 24h"),
    "field": (
        "userIdentity.arn",
        "userIdentity.arm",
        (12, "medium"),
        "CloudTrail has no field 'userIdentity.arm'",
    ),
    "object": (
        "userIdentity.arn",
        "userIdentity",
        (12, "medium"),
        "'userIdentity' is an object; name",
    ),
    "id": ("userIdentity.arn", "eventID", (12, "medium"), "Each event has an eventID of its own"),
    "condition": (
        "    condition:\n        gte: 10",
        "    condition: one but two",
        (14, "high"),
        "Only temporal and temporal_ordered have a condition of rules, not event_count",
    ),
    "timespan": ("5m", "5M", (13, "high"), "Timespan must be a number with s, m, h or d, such as 5m"),
    "never remembered": ("gte: 10", "gte: 400001", (14, "medium"), "400,001 are never remembered: a run ends where"),
    "suppression": (
        "level: medium",
        "level: medium\nstellar: {suppression: {fields: [a]}}",
        (19, "medium"),
        "Stellar: suppression of a correlation has the key window alone",
    ),
}


@pytest.mark.parametrize(("old", "new", "where", "message"), CORRELATION_FAULTS.values(), ids=CORRELATION_FAULTS)
def test_a_correlation_is_checked(
    check_text: CheckText, old: str, new: str, where: tuple[int, str], message: str
) -> None:
    """What is wrong or doubtful in a correlation is found once, with its line; what it counts need not be with it."""
    report = check_text(correlation_of_rules=CORRELATION.replace(old, new), other=GOOD)
    [finding] = [each for each in report.findings if each.check == "correlation"]
    assert (finding.line, finding.severity) == where
    assert finding.message.startswith(message)


NAME = "        eventName: 'DeleteAlarms'"


@pytest.mark.parametrize(
    ("items", "is_wide"),
    [
        (NAME, False),
        ("", True),
        ("        eventName|startswith: Describe", True),
        ("        eventName|contains: [Delete, '']", True),
        ("        eventName: '*'", True),
        ("        eventName|re: '(Get|List).*'", True),
        ("        eventName|contains: Password", False),
        ("        eventName|contains: [Password, DeleteLog]", False),
        ("        eventName|contains: [Password, Get]", True),
        ("        awsRegion: eu-west-1\n        readOnly: false", True),
        ("        errorCode: AccessDenied", False),
        ("        errorCode|exists: true", True),
        ("        requestParameters.policyDocument|exists: true", False),
        ("        userAgent|contains: pacu", False),
    ],
)
def test_a_wide_rule_with_many_keys_is_doubtful(check_text: CheckText, items: str, is_wide: bool) -> None:
    """A rule that almost every event matches, with a key for each caller, would have a run remember all events."""

    def found(span: str, by: str) -> list[tuple[int, str]]:
        correlation = CORRELATION.replace("5m", span).replace("userIdentity.arn", by)
        report = check_text(correlation_of_rules=correlation, other=GOOD.replace(NAME, items))
        return [(each.line, each.message) for each in report.findings if each.check == "correlation"]

    told_of = found("1h", "sourceIPAddress")
    assert [line for line, _ in told_of] == [10] * is_wide
    assert found("59m", "sourceIPAddress") == []
    assert found("1h", "awsRegion") == []
    for _, message in told_of:
        assert message.startswith(
            "The rule 'A Good Rule' names no event, so that almost all of them count. With a key for each "
            "sourceIPAddress, those of 1h have to be remembered, and a run ends where that is more than 400,000 events."
        )


def test_a_correlation_of_a_rule_elsewhere_is_hardly_a_fault(check_text: CheckText) -> None:
    """A correlation that names a rule which was not checked is reported, but as no more than low."""
    assert told(check_text(correlation_of_rules=CORRELATION)) == [(10, "reference", "low")]


def test_templates_count_for_the_documents_after_them(check_text: CheckText) -> None:
    """Documents that a global one completes are checked as what they become."""
    head, tail = GOOD.split("detection:")
    text = f"action: global\n{head}---\ndetection:{tail}"
    assert told(check_text(text)) == []
    assert told(check_text(changed(text, "selection\n", "selection and\n"))) == [(21, "sigma", "high")]


def test_rules_of_other_log_sources_are_not_converted(check_text: CheckText) -> None:
    """A rule that is not about CloudTrail is checked in general only, and counted."""
    text = changed(changed(GOOD, "service: cloudtrail", "service: other"), "eventName:", "requestParameters:")
    report = check_text(text)
    assert (report.others, told(report)) == (1, [])


def test_what_two_files_share_is_told_of_both(check_text: CheckText) -> None:
    """Two rules with the same id are findings of both files, and each names the other."""
    report = check_text(GOOD, aws_other_rule=changed(GOOD, "A Good Rule", "Another Good Rule"))
    assert told(report) == [(2, "identifier_uniqueness", "high")] * 2
    first, second = report.findings
    assert second.path.name in first.message
    assert first.path.name in second.message


def test_a_file_is_checked_once(tmp_path: Path) -> None:
    """A file that is named and also stands in a named folder is no double of itself."""
    file = tmp_path / "aws_a_rule.yml"
    file.write_text(GOOD)
    report = check_rules([tmp_path, file, tmp_path / ".." / tmp_path.name / file.name])
    assert (len(report.files), told(report)) == (1, [])


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    """A folder without rules is refused, and the message says what was looked for."""
    with pytest.raises(SigmaError, match=r"\*\.yml"):
        check_rules([tmp_path])


def test_a_validator_that_fails_is_a_finding(check_text: CheckText, monkeypatch: pytest.MonkeyPatch) -> None:
    """A validator that breaks down is told of, at the rule that it could not judge, and the others go on."""

    class Broken(SigmaRuleValidator):
        """Breaks down."""

        def validate(self, rule: SigmaRule) -> list[SigmaValidationIssue]:  # type: ignore[override]
            raise KeyError(rule.title)

        def finalize(self) -> list[SigmaValidationIssue]:
            raise ZeroDivisionError

    monkeypatch.setitem(stellar_aws.validators, "broken", Broken)
    report = check_text(changed(GOOD, "level: medium\n", ""))
    assert {(1, "validator", "medium"), (1, "sigmahq_level_existence", "medium")} <= set(told(report))
    assert len([finding for finding in report.findings if "broken" in finding.message]) == 2


def test_sigmahq_validators_are_used_if_installed(check_text: CheckText, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package of SigmaHQ's validators, everything else is checked."""
    text = changed(changed(GOOD, "author: Somebody\n", ""), "    - attack.t1485", "    - attack.t1485\n    - x.y")
    assert {check for _, check, _ in told(check_text(text))} == {"namespace_tag", "sigmahq_author_existence"}
    monkeypatch.setitem(sys.modules, "sigma.validators.sigmahq", None)
    assert {check for _, check, _ in told(check_text(text))} == {"namespace_tag"}


def test_validators_left_out_exist() -> None:
    """Every validator that is left out is one that is installed, and all others are used."""
    known = set(InstalledSigmaPlugins.autodiscover(False, False, True).validators)
    left_out = NEED_NETWORK | CONTRADICTORY
    assert left_out <= known
    assert known - left_out <= set(check_rules().checks)


def test_no_network_is_used(tmp_path: Path) -> None:
    """Without data of earlier runs, and with every connection and look-up refused, nothing is missing."""
    rules = tmp_path / "rules"
    rules.mkdir()
    tags = "    - attack.t1485\n    - d3fend.d3-am\n    - attack.t9999\n    - cve.2024-1\n    - car.2014-04-003"
    (rules / "aws_a_rule.yml").write_text(changed(GOOD, "    - attack.t1485", tags))
    (rules / "correlation_of_rules.yml").write_text(CORRELATION)
    code = f"""
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        print("used", event, arguments)
        raise OSError("there is no network")
sys.addaudithook(refuse)
from pathlib import Path
from sigma_stellar_aws.authoring.check import check_rules
report = check_rules([Path({str(rules)!r}), Path({str(pack_path())!r})])
print(len(report.checked), {{f.check for f in report.findings}} & {{"validator"}} or "none failed")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={"HOME": str(tmp_path)}
    )
    assert (ended.stdout, ended.stderr) == ("31 none failed\n", "")


def test_findings_of_a_severity_and_above(check_text: CheckText) -> None:
    """A threshold keeps what is at least as severe."""
    text = changed(changed(GOOD, "'DeleteAlarms'", "['DeleteAlarms', 'Delete**']"), "level: medium\n", "")
    findings: tuple[Finding, ...] = check_text(text).findings
    assert {finding.severity for finding in at_least(findings, "low")} == {"low", "medium"}
    assert {finding.severity for finding in at_least(findings, "medium")} == {"medium"}
    assert at_least(findings, "high") == []
