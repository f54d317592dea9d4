"""Exit codes of misuse, which are alike for all commands."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.cli import EXIT_CODES, main

EXPORT = str(Path(__file__).parents[1] / "samples" / "export.ndjson")

# Command lines that ask for what is not there, or in a way in which it cannot be asked for; none of them asks a server.
MISUSE = {
    "alerts": [
        [EXPORT, "--only", "nosuch"],
        [EXPORT, "--exclude", "nosuch"],
        [EXPORT, "--filter", "nosuch"],
        [EXPORT, "--min-severity", "101"],
        [EXPORT, "--min-severity", "hihg"],
        [EXPORT, "--since", "yesterday"],
        [EXPORT, "--json", "--csv"],
        [EXPORT, "--index", "logs"],
        ["gone.json"],
        ["s3://"],
        ["--url", "search.example.com"],
        ["--url", "https://user:secret@search.example.com"],
        [],
    ],
    "apply": [["elastic", "--url", "kibana.example.com"], ["elastic"], ["splunk", "--url", "https://example.com"]],
    "check": [["gone.yml"], ["--fail-on", "fatal"]],
    "completion": [["tcsh"], []],
    "doctor": [["--url", "search.example.com"], []],
    "engine": [["--port", "1"]],
    "explain": [["nosuch", EXPORT], ["aws_sts_assumerole_usage", EXPORT], ["aws_sts_assumerole_usage", "gone.json"]],
    "load": [[EXPORT, "--url", "search.example.com", "--index", "logs"], [EXPORT]],
    "lsp": [["here"]],
    "new": [[EXPORT, "-o", "."], [EXPORT, "-o", ".", "--number", "99"], [EXPORT, "-o", ".", "--event-id", "nosuch"]],
    "plan": [
        ["elastic", "--url", "kibana.example.com"],
        ["elastic", "--url", "https://kibana.example.com/s/soc"],
        ["elastic", "--url", "https://kibana.example.com", "--monitor", "bucket"],
        ["elastic", "--url", "https://kibana.example.com", "-o", "gone/plan.json"],
        ["elastic"],
    ],
    "profile": [["--url", "search.example.com"], []],
    "reference": [["nosuch"]],
    "remove": [["elastic", "--url", "kibana.example.com"], ["elastic"]],
    "rules": [["--rules", "gone"], ["--format", "xml"]],
    "schema": [["here"]],
    "template": [["--index"]],
    "test": [["gone.yml"], ["--url", "http://127.0.0.1", "--engine"], ["--url", "search.example.com"]],
}


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(command, arguments) for command, each in MISUSE.items() for arguments in [*each, ["--nosuch"]]],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_misuse(command: str, arguments: list[str]) -> None:
    """Misuse ends with 2, but of plan, whose 2 says something else; it is told, and nothing is printed."""
    ended = CliRunner().invoke(main, [command, *arguments])
    assert ended.exit_code == (1 if command == "plan" else 2), ended.output
    assert ended.stdout == ""
    assert "Error: " in ended.stderr
    assert "secret@" not in ended.stderr


def test_every_command_is_tried() -> None:
    """A new command is held to it, too; and the one table says so."""
    assert set(MISUSE) == set(main.list_commands(None))  # type: ignore[arg-type]
    assert EXIT_CODES["2"].startswith("misuse")
    assert "of plan misuse" in EXIT_CODES["1"]
    assert CliRunner().invoke(main, ["nosuch"]).exit_code == 2
