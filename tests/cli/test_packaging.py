"""The wheel, installed into an environment of its own, as sigma-cli and people use it."""

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from sigma.plugins import SigmaPlugin, SigmaPluginType

from sigma_stellar_aws.validators.stellar_aws import validators

PROJECT = Path(__file__).parents[2]
FAULTY = """\
title: A faulty rule
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventSource: cloudtrail.amazonaws.com, eventName: StopLoging}, condition: selection}
level: low
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A function that runs a program of a fresh environment, into which only the wheel and sigma-cli were installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, PROJECT], check=True)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    subprocess.run(
        [programs / "python", *pip[1:], "install", wheel, "sigma-cli", "pysigma-backend-opensearch"], check=True
    )

    def run(*command: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        done = subprocess.run(
            [programs / command[0], *command[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("targets", ["stellar_aws"]),
        ("pipelines", ["stellar_aws", "stellar_aws_ecs", "stellar_aws_published"]),
        ("validators", list(validators)),
    ],
)
def test_sigma_lists_our_plugins(installed: Run, kind: str, names: list[str]) -> None:
    """sigma-cli finds the backend, the pipelines and the validators."""
    listed = installed("sigma", "list", kind).stdout
    assert [name for name in names if not re.search(rf"\b{name}\b", listed)] == []


def test_sigma_checks_with_our_validators(installed: Run, tmp_path: Path) -> None:
    """A validator file names ours, and what they report is shown by sigma check."""
    (tmp_path / "validators.yml").write_text(f"validators: [{', '.join(validators)}]\n")
    config = ("sigma", "check", "--validation-config", str(tmp_path / "validators.yml"))
    assert "Found 0 errors, 0 condition errors and 0 issues" in installed(*config, str(PROJECT / "rules")).stdout
    rule = tmp_path / "rule.yml"
    rule.write_text(FAULTY)
    assert "StopLogging" in installed(*config, str(rule)).stdout


def test_rules_are_made_checked_and_tried(installed: Run, tmp_path: Path) -> None:
    """The commands for authors need no extra, and know the events of AWS far from the checkout."""
    rule = tmp_path / "rule.yml"
    rule.write_text(FAULTY)
    checked = installed("sigma-stellar-aws", "check", str(rule), status=1).stdout
    assert "did you mean StopLogging?" in checked
    sample = str(PROJECT / "tests" / "samples" / "export.ndjson")
    made = installed("sigma-stellar-aws", "new", sample, "--number", "1", "-o", str(tmp_path / "new")).stdout
    assert "2 passed" in installed("sigma-stellar-aws", "test", str(tmp_path / "new"), "--require-cases").stderr
    explained = installed("sigma-stellar-aws", "explain", made.splitlines()[0], sample, "--number", "1").stdout
    assert " matches " in explained.splitlines()[0]
    refused = installed("sigma-stellar-aws", "test", str(tmp_path / "new"), "--engine", status=3)
    assert "pip install 'sigma-stellar-aws[embedded]'" in refused.stderr
    assert len(installed("sigma-stellar-aws", "rules", "--format", "csv").stdout.splitlines()) == 30


@pytest.mark.parametrize("target", ["stellar_aws", "lucene", "esql", "eql", "opensearch_lucene"])
@pytest.mark.parametrize("pipeline", ["stellar_aws", "stellar_aws_published"])
def test_sigma_converts_all_rules(installed: Run, target: str, pipeline: str) -> None:
    """Every rule becomes a query of every target, with flattened field names."""
    converted = installed("sigma", "convert", "-t", target, "-p", pipeline, str(PROJECT / "rules")).stdout
    queries = [line for line in converted.splitlines() if line.strip()]
    assert len(queries) == 29
    assert "userIdentity_type" in converted
    assert "userIdentity.type" not in converted
    assert ("from aella-cloudtrail-*" in converted) == (target == "esql")


def test_sigma_writes_a_pack_and_refuses_unknown_options(installed: Run, tmp_path: Path) -> None:
    """The pack goes to the file of -o as one search body, and an option that does not exist is an error."""
    convert = ("sigma", "convert", "-t", "stellar_aws", "-p", "stellar_aws")
    installed(*convert, "-f", "pack", "-o", str(tmp_path / "pack.json"), str(PROJECT / "rules"))
    pack = json.loads((tmp_path / "pack.json").read_text())
    assert len(pack["query"]["bool"]["should"]) == 29
    unknown = installed(*convert, "-O", "case=true", str(PROJECT / "rules"), status=2)
    assert "'case' is not supported" in unknown.stderr
    wrong = installed(*convert, "-O", "case_sensitive=maybe", str(PROJECT / "rules"), status=2)
    assert "write true or false" in wrong.stderr


def test_sigma_tells_what_it_refuses(installed: Run, tmp_path: Path) -> None:
    """A rule of another log source, and a condition that cannot be converted, are told without a traceback."""
    detection = "detection: {s: {a|fieldref: b}, condition: s}"
    rule = f"title: Odd\nlogsource: {{product: %s, service: cloudtrail}}\n{detection}\n"
    for product, told in (("windows", "its log source is product: windows"), ("aws", "field 'a'")):
        file = tmp_path / f"{product}.yml"
        file.write_text(rule % product)
        convert = ("sigma", "convert", "-t", "stellar_aws", "-p", "stellar_aws", str(file))
        refused = installed(*convert, status=1)
        assert told in refused.stderr
        assert "'Odd'" in refused.stderr
        assert str(file) in refused.stderr
        assert "Traceback" not in refused.stderr
        assert "Odd" in installed(*convert, "--skip-unsupported").stderr


def test_alerts_needs_no_extra_and_load_says_which_it_needs(installed: Run) -> None:
    """Files are searched by the installed rules, far from the checkout; a command without its extra names it."""
    samples = str(PROJECT / "tests" / "samples")
    found = installed("sigma-stellar-aws", "alerts", samples, "--json").stdout.splitlines()
    assert len({json.loads(line)["rule"]["id"] for line in found}) == 29
    load = ("sigma-stellar-aws", "load", samples, "--url", "http://127.0.0.1:9", "--index", "any")
    assert "pip install 'sigma-stellar-aws[store]'" in installed(*load, status=1).stderr
    assert "pip install 'sigma-stellar-aws[embedded]'" in installed("sigma-stellar-aws", "engine", status=1).stderr


def test_the_licences_come_with_the_rules(installed: Run) -> None:
    """The text of the Detection Rule License stands beside the rules, and among the licences of the package."""
    program = (
        "from importlib.metadata import distribution; from sigma_stellar_aws.rule_files.find import pack_path; "
        "own = distribution('sigma-stellar-aws'); print(own.metadata['License-Expression']); "
        "print(*own.metadata.get_all('License-File')); print((pack_path() / 'LICENSE-DRL-1.1.md').read_text())"
    )
    expression, files, *text = installed("python", "-c", program).stdout.splitlines()
    assert expression == "Apache-2.0 AND DRL-1.1"
    assert "rules/LICENSE-DRL-1.1.md" in files.split()
    assert text[0] == "# Detection Rule License (DRL) 1.1"
    assert "must retain the following if it is supplied within the Rules" in " ".join(text)


def test_the_entry_for_the_directory_of_plugins() -> None:
    """It is as pySigma reads it, is short enough for one line, and states the versions that the package asks for."""
    [(key, entry)] = json.loads((PROJECT / ".github" / "pysigma-plugin.json").read_text(encoding="utf-8")).items()
    plugin = SigmaPlugin.from_dict({"uuid": key, **entry})
    assert (plugin.package, plugin.type) == ("sigma-stellar-aws", SigmaPluginType.BACKEND)
    assert len(plugin.description) <= 120
    assert f'"pysigma{entry["pysigma-version"]},' in (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
