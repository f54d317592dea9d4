"""Logs on standard input."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.cli import main

EXPORT = Path(__file__).parents[1] / "samples" / "export.ndjson"


@pytest.mark.parametrize("compressed", [False, True])
def test_alerts_of_standard_input(compressed: bool) -> None:
    """What is piped in gives the same alerts as the file."""
    data = EXPORT.read_bytes()
    piped = CliRunner().invoke(main, ["alerts", "-", "--json"], input=gzip.compress(data) if compressed else data)
    named = CliRunner().invoke(main, ["alerts", str(EXPORT), "--json"])
    assert (piped.exit_code, named.exit_code) == (0, 0)
    rules = [[json.loads(line)["id"] for line in each.stdout.splitlines()] for each in (piped, named)]
    assert rules[0] == rules[1] != []
