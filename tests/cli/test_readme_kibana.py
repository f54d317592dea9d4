"""The commands for Kibana, run as they are written, with the URL of the stand-in in place of theirs."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sigma_stellar_aws.cli import main
from tests.support import documents
from tests.support.contract import Kibana, kibana
from tests.support.documents import PROJECT

URL = "https://kibana.example.com:5601"


def blocks() -> list[list[list[str]]]:
    """The arguments of each command, block by block."""
    found = documents.blocks(documents.section("### In Kibana"))
    return [
        [shlex.split(line, comments=True)[1:] for line in lines]
        for mark, lines in found
        if mark == "run on the stand-in of Kibana"
    ]


def run(arguments: list[str], server: Kibana) -> Result:
    """Run a command with the URL of the stand-in; its question is answered with yes."""
    assert URL in arguments
    return CliRunner().invoke(main, [server.url if one == URL else one for one in arguments], input="y\n")


def test_every_command_for_kibana_is_run() -> None:
    """A command that is added is run too: none stands outside of the marked blocks."""
    marks = [mark for mark, lines in documents.blocks() for line in lines if " elastic " in line]
    assert {*marks} <= {"run on the stand-in of Kibana", "run on the stand-ins"}
    assert marks.count("run on the stand-in of Kibana") == sum(map(len, blocks()))


@pytest.mark.parametrize("version", ["7.17.29", "8.3.0", "8.11.0", "8.19.0", "9.2.0", "9.5.0"])
def test_the_commands_do_what_the_readme_says(version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Plan, apply and remove: 28 of 29 are carried in ECS, one is left out with a word, and nothing else happens."""
    (tmp_path / "sigma_stellar_aws").symlink_to(PROJECT / "sigma_stellar_aws")
    monkeypatch.chdir(tmp_path)
    [plan, apply, remove], [quiet] = blocks()
    with kibana(version=version) as server:
        shown = run(plan, server)
        assert (shown.exit_code, server.rules) == (2, {})
        assert "28 create, 1 left out" in shown.stdout
        assert run(apply, server).exit_code == 3, "one is left out"
        assert {space for space, _ in server.rules} == {"soc"}
        assert len(server.rules) == 28
        assert run(plan, server).exit_code == 3, "there is nothing to do"
        assert run(remove, server).exit_code == 0
        assert server.rules == {}
        if version.startswith("9.5"):
            assert run(quiet, server).exit_code == 3
            assert len(server.rules) == 28
            blocks_there = [rule for rule in server.rules.values() if rule.get("building_block_type") == "default"]
            assert len(blocks_there) == 2
            for text in ("aws.cloudtrail.error_code", "aws.cloudtrail.user_identity.type"):
                assert all(text in str([rule["query"], rule["filters"]]) for rule in server.rules.values())
        assert server.violations == []
