"""The commands of the section on OpenSearch, as they are written."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.cli import main
from tests.support import documents
from tests.support.contract import alerting
from tests.support.contract.security_analytics import security_analytics

URL = "https://search.example.com:9200"


def commands() -> list[str]:
    """Return the command lines of the section."""
    [(_, lines)] = documents.blocks(documents.section("### In OpenSearch"))
    return lines


def test_the_commands_work_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends as the page says: plan with changes, apply and remove with all done but rules that are left out."""
    # The filters are named as from here; the state file is not to be made here.
    monkeypatch.chdir(documents.PROJECT)
    monkeypatch.setattr("sigma_stellar_aws.install.state.FOLDER", str(tmp_path))
    ended: list[tuple[str, int]] = []
    with alerting() as monitors, security_analytics() as detectors:
        for line in commands():
            server = detectors if "--detector" in line else monitors
            [program, *arguments] = shlex.split(line.replace(URL, server.url))
            result = CliRunner().invoke(main, arguments, input="y\n")
            assert program == "sigma-stellar-aws"
            ended.append((arguments[0], result.exit_code))
        assert (monitors.monitors, detectors.rules, detectors.detectors) == ({}, {}, {})
        assert (monitors.violations, detectors.violations) == ([], [])
    bucket, document = [("plan", 2), ("apply", 0), ("remove", 0)], [("apply", 3), ("remove", 0)]
    assert ended == [*bucket, *document, ("plan", 2), ("apply", 3), ("remove", 0)]
