"""Report the findings of a check as text with excerpts, JSON lines, JUnit XML or SARIF.

A rule may hold text made to deceive a terminal or a parser, and so all of it passes through ``printable``.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO
from urllib.parse import quote
from xml.etree import ElementTree

from rich.cells import cell_len
from rich.text import Text

from sigma_stellar_aws import __version__
from sigma_stellar_aws.authoring.check import CheckReport, at_least
from sigma_stellar_aws.authoring.rule_documents import FINDING_SEVERITIES, CheckedDocument, Finding, FindingSeverity
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.terminal import console_for
from sigma_stellar_aws.base.text import plural, printable

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_STYLES: Mapping[FindingSeverity, str] = {"high": "bold red", "medium": "yellow", "low": "cyan"}
_SARIF_LEVELS: Mapping[FindingSeverity, str] = {"high": "error", "medium": "warning", "low": "note"}
_WIDEST_EXCERPT = 160
_ROOT = "%SRCROOT%"


def write_report(report: CheckReport, form: str, fail_on: FindingSeverity | None, stream: TextIO) -> None:
    """Write a report.

    Args:
        report: what was found.
        form: text, json, junit or sarif.
        fail_on: the lowest severity that is a failure in JUnit, None for none.
        stream: where to write.
    """
    if form == "text":
        print_text(report, stream)
    elif form == "json":
        stream.write(findings_as_json_lines(report))
    elif form == "junit":
        stream.write(as_junit(report, fail_on))
    else:
        stream.write(as_sarif(report))
    # While it can still be reported that the output could not be written.
    stream.flush()


def print_text(report: CheckReport, stream: TextIO) -> None:
    """Print the findings, each with the line that it is about, in colour on a terminal."""
    console = console_for(stream, wrap=False)
    for finding in report.findings:
        console.print(
            Text.assemble(
                (f"{_shown(finding.path)}:{finding.line}", "bold"),
                " ",
                (finding.severity, _STYLES[finding.severity]),
                f" {printable(finding.message)} ",
                (f"[{finding.check}]", "dim"),
            )
        )
        excerpt, before, marked = _excerpt(finding)
        if excerpt.strip():
            number = f"{finding.line:>5} | "
            console.print(Text(f"{number}{excerpt}"))
            mark = Text(" " * (len(number) - 2) + "| " + " " * cell_len(before))
            console.print(mark.append("^" * max(cell_len(marked), 1), _STYLES[finding.severity]))


def summary_of_report(report: CheckReport) -> str:
    """Sum up a report in one sentence."""
    found = Counter(finding.severity for finding in report.findings)
    kinds = ", ".join(f"{found[severity]} {severity}" for severity in reversed(FINDING_SEVERITIES) if found[severity])
    text = f"{plural(len(report.findings), 'finding')}{f' ({kinds})' if kinds else ''}"
    text += f" in {plural(len(report.checked), 'rule')} of {plural(len(report.files), 'file')}"
    if report.others:
        text += f"; {report.others} not about CloudTrail, and so checked in general only"
    return text


def findings_as_json_lines(report: CheckReport) -> str:
    """Return the findings as JSON objects, one a line.

    Lines and columns are counted from 1; the end column is the one after the marked part.
    """
    return "".join(
        json.dumps(
            {
                "path": _shown(finding.path),
                "line": finding.line,
                "column": finding.place.column,
                "end_column": finding.place.end_column,
                "rule": printable(finding.rule),
                "check": finding.check,
                "severity": finding.severity,
                "message": printable(finding.message),
            }
        )
        + "\n"
        for finding in report.findings
    )


def as_junit(report: CheckReport, fail_on: FindingSeverity | None) -> str:
    """Return the report as JUnit XML: a test suite for each file, a test case for each rule.

    Args:
        report: what was found.
        fail_on: the lowest severity that is a failure, None for none; less severe findings go to ``system-out``.
    """
    failures = set(at_least(report.findings, fail_on)) if fail_on else set()
    cases: dict[Path, dict[int, CheckedDocument]] = {file: {} for file in report.files}
    for checked in report.checked:
        cases[checked.path][checked.line] = checked
    found: dict[CheckedDocument, list[Finding]] = {checked: [] for checked in report.checked}
    for finding in report.findings:
        of_file = cases[finding.path]
        # A document extends to the beginning of the next one.
        line = max((line for line in of_file if line <= finding.line), default=min(of_file))
        found[of_file[line]].append(finding)
    suites = ElementTree.Element("testsuites", name="sigma-stellar-aws check")
    for file, of_file in cases.items():
        suite = ElementTree.SubElement(suites, "testsuite", name=_shown(file))
        for line, checked in of_file.items():
            case = ElementTree.SubElement(
                suite, "testcase", classname=_shown(file), name=_plain(checked.title), file=_shown(file), line=str(line)
            )
            failed = [finding for finding in found[checked] if finding in failures]
            if failed:
                message = "; ".join(_plain(finding.message) for finding in failed)
                kinds = ", ".join(sorted({finding.check for finding in failed}))
                ElementTree.SubElement(case, "failure", message=message, type=kinds).text = _listed(failed)
            if others := [finding for finding in found[checked] if finding not in failures]:
                ElementTree.SubElement(case, "system-out").text = _listed(others)
        _count_into(suite, [suite])
    _count_into(suites, list(suites))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def as_sarif(report: CheckReport) -> str:
    """Return the findings as a SARIF 2.1.0 log.

    Paths are relative to the working directory, which GitHub's annotations need to be the top of the repository.
    """
    used = {finding.check: finding.severity for finding in reversed(report.findings)}
    names = sorted(used)
    seen: Counter[str] = Counter()
    results = [_sarif_result(finding, names.index(finding.check), seen) for finding in report.findings]
    log: JsonObject = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "sigma-stellar-aws",
                        "semanticVersion": __version__,
                        "rules": [_sarif_rule(name, report.checks[name], used[name]) for name in names],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The working directory of the check."}}},
                "invocations": [{"executionSuccessful": True}],
                "results": [*results],
            }
        ],
    }
    return json.dumps(log, indent=2) + "\n"


def _sarif_rule(name: str, about: str, severity: FindingSeverity) -> JsonObject:
    return {
        "id": name,
        "shortDescription": {"text": about},
        "fullDescription": {"text": about},
        "help": {"text": about},
        "defaultConfiguration": {"level": _SARIF_LEVELS[severity]},
    }


def _sarif_result(finding: Finding, index: int, seen: Counter[str]) -> JsonObject:
    # What stays the same when lines are added above the finding.
    identity = "\0".join((_shown(finding.path), finding.rule, finding.check, finding.excerpt.strip()))
    fingerprint = hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest()[:32]
    seen[fingerprint] += 1
    path = _relative(finding.path)
    location: JsonObject = (
        {"uri": finding.path.resolve().as_uri()}
        if path.is_absolute()
        else {"uri": quote(os.fsencode(path.as_posix())), "uriBaseId": _ROOT}
    )
    return {
        "ruleId": finding.check,
        "ruleIndex": index,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": _plain(f"{finding.rule}: {finding.message}")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": location,
                    "region": {
                        "startLine": finding.line,
                        "startColumn": finding.place.column,
                        "endColumn": finding.place.end_column,
                    },
                }
            }
        ],
        "partialFingerprints": {"sigmaStellarAws/v1": f"{fingerprint}:{seen[fingerprint]}"},
    }


def _count_into(element: ElementTree.Element, suites: list[ElementTree.Element]) -> None:
    cases = [case for suite in suites for case in suite.findall("testcase")]
    element.set("tests", str(len(cases)))
    element.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    element.set("errors", "0")


def _listed(findings: Iterable[Finding]) -> str:
    return "\n".join(
        f"{_shown(finding.path)}:{finding.line}: {finding.severity}: {_plain(finding.message)} [{finding.check}]"
        for finding in findings
    )


def _excerpt(finding: Finding) -> tuple[str, str, str]:
    """Return the line that a finding is about, the part before the marked one, and the marked part."""
    line = printable(finding.excerpt.replace("\t", " "))
    start, end = finding.place.column - 1, finding.place.end_column - 1
    first = max(0, start - _WIDEST_EXCERPT // 2) if len(line) > _WIDEST_EXCERPT else 0
    shown = line[first : first + _WIDEST_EXCERPT]
    return shown, shown[: start - first], shown[start - first : end - first]


def _relative(path: Path) -> Path:
    """Return a path relative to the working directory if it is below it, without resolving links."""
    absolute = Path(os.path.normpath(path.absolute()))
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


def _shown(path: Path) -> str:
    return printable(_relative(path).as_posix()).replace("\n", " ")


def _plain(text: str) -> str:
    return " ".join(printable(text).split())
