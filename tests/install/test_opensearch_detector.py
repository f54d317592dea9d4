"""Custom rules and a detector in Security Analytics: the round trip, and what is left alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from sigma_stellar_aws.cli import main
from sigma_stellar_aws.install import server_errors
from tests.support.contract.security_analytics import SecurityAnalyticsServer, security_analytics
from tests.support.installing import Ended, write_rules

FIRST = {"Rule A": ("CreateUser", "low"), "Rule B": ("DeleteUser", "medium"), "Rule C": ("UpdateUser", "high")}
SECOND = {"Rule A": ("CreateUser", "high"), "Rule B": ("DeleteUser", "medium"), "Rule D": ("TagUser", "low")}
DETECTOR = "Potentially Malicious AWS Activity"


class System:
    """A Security Analytics, and a folder that the commands are run in."""

    def __init__(self, server: SecurityAnalyticsServer, folder: Path) -> None:
        """Begin with a running server."""
        self.server = server
        self.folder = folder

    def run(self, command: str, *options: str) -> Ended:
        """Run a command; apply and remove do not ask."""
        arguments = [command, "opensearch", "--detector", "--url", self.server.url]
        arguments += ["--state", str(self.folder / "state.json"), *options]
        if command != "remove":
            arguments += ["--rules", str(self.folder / "rules"), "--index", "cloudtrail"]
        if command != "plan":
            arguments.append("--yes")
        result = CliRunner().invoke(main, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def statuses(self, *options: str) -> dict[str, str]:
        """Return what the plan says, by title."""
        return {step["name"]: step["status"] for step in self.run("plan", "--json", *options).json()["steps"]}

    @property
    def detector(self) -> tuple[str, Any]:
        """The only detector with its id."""
        [found] = self.server.detectors.items()
        return found

    def rules_of_detector(self) -> set[str]:
        """Return the titles of the rules that the detector runs."""
        _, detector = self.detector
        [source] = [each["detector_input"] for each in detector["inputs"]]
        return {yaml.safe_load(self.server.rules[each["id"]])["title"] for each in source["custom_rules"]}

    def rule(self, title: str) -> tuple[str, Any]:
        """Return a custom rule with its id."""
        documents = {key: yaml.safe_load(text) for key, text in self.server.rules.items()}
        [found] = [(key, document) for key, document in documents.items() if document["title"] == title]
        return found


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """A Security Analytics with nothing in it; what is done against its contract is an error."""
    monkeypatch.setattr(server_errors, "WAITS", (0.0,))
    with security_analytics() as server:
        write_rules(tmp_path / "rules", FIRST)
        yield System(server, tmp_path)
        assert server.violations == []


def test_nothing_is_tried_out_and_that_is_told(system: System) -> None:
    """Security Analytics has no dry run; who asks for none is not told so."""
    assert "Security Analytics cannot run a detector before it is made, so nothing is tried" in system.run("apply").err
    write_rules(system.folder / "rules", SECOND)
    assert "tried" not in system.run("apply", "--no-dry-run").err


def test_round_trip(system: System) -> None:
    """From nothing over an analyst's edits and a new version to nothing; no edit is lost, and nothing is left."""
    assert system.statuses() == {**dict.fromkeys(FIRST, "create"), DETECTOR: "create"}
    assert system.server.rules == {}, "plan changes nothing"
    assert system.run("apply").code == 0
    assert system.rules_of_detector() == set(FIRST)
    key, detector = system.detector
    assert system.server.blind(key) == set(), "without the aliases it finds nothing"
    assert detector["enabled"] is False
    assert system.run("plan").code == 0

    trigger = {**detector["triggers"][0], "actions": [{"id": "a", "name": "tell", "destination_id": "c"}]}
    own = {**trigger, "id": "own", "name": "critical only", "sev_levels": ["critical"]}
    schedule: Any = {"period": {"interval": 1, "unit": "MINUTES"}}
    system.server.analyst_edits(key, enabled=True, schedule=schedule, triggers=[trigger, own])
    kept = system.run("plan")
    assert (kept.code, "edited there, and kept: " in kept.out) == (0, True)

    write_rules(system.folder / "rules", SECOND)
    assert system.statuses() == {
        "Rule A": "update",
        "Rule B": "unchanged",
        "Rule C": "orphaned",
        "Rule D": "create",
        DETECTOR: "update",
    }
    assert system.run("apply", "--prune").code == 0
    assert system.rule("Rule A")[1]["level"] == "high"
    assert system.rules_of_detector() == set(SECOND)
    _, after = system.detector
    assert (after["enabled"], after["schedule"]) == (True, schedule)
    assert [each["name"] for each in after["triggers"]] == ["any rule", "critical only"]
    assert after["triggers"][0]["actions"] == trigger["actions"]
    assert system.run("plan").code == 0

    left = system.run("remove")
    assert (left.code, len(system.server.detectors)) == (1, 1), "somebody has edited it"
    assert "a detector uses it" in left.out
    gone = system.run("remove", "--force")
    assert (gone.code, system.server.rules, system.server.detectors) == (0, {}, {})
    assert "the aliases in the mapping of its index stay" in gone.out


def test_without_edits_all_is_removed(system: System) -> None:
    """The detector goes first, since a rule that is used cannot be deleted."""
    system.run("apply")
    assert system.run("remove").code == 0
    assert (system.server.rules, system.server.detectors) == ({}, {})


def test_an_edited_rule_is_kept(system: System) -> None:
    """What somebody wrote into a rule stays; what both sides changed has to be decided."""
    system.run("apply")
    key, document = system.rule("Rule A")
    system.server.analyst_writes(key, yaml.safe_dump({**document, "level": "critical", "falsepositives": ["us"]}))
    assert system.run("plan").code == 0
    write_rules(system.folder / "rules", SECOND)
    assert system.statuses()["Rule A"] == "conflict"
    assert system.run("apply").code == 3
    assert system.rule("Rule A")[1]["level"] == "critical"
    system.run("apply", "--take", "ours", "Rule A")
    assert system.rule("Rule A")[1]["level"] == "high"
    assert system.rule("Rule A")[1]["falsepositives"] == ["us"]


def test_what_others_made_is_left_alone(system: System) -> None:
    """A detector of somebody else stays, and so does a rule of theirs in ours."""
    system.server.analyst_writes("own-1", yaml.safe_dump({"title": "Own", "id": "own", "level": "low"}))
    system.run("apply")
    key, detector = system.detector
    source = detector["inputs"][0]["detector_input"]
    inputs: Any = [{"detector_input": {**source, "custom_rules": [*source["custom_rules"], {"id": "own-1"}]}}]
    system.server.analyst_edits(key, inputs=inputs)
    other = system.server.add_detector({**detector, "name": "Other", "triggers": [], "inputs": inputs})
    write_rules(system.folder / "rules", SECOND)
    system.run("apply")
    after: Any = system.server.detectors
    assert {"id": "own-1"} in after[key]["inputs"][0]["detector_input"]["custom_rules"]
    assert (after[other]["name"], after[other]["inputs"]) == ("Other", inputs)


def test_a_rule_that_cannot_be_made_keeps_no_other(system: System) -> None:
    """The detector runs the others; run again, the rest is done."""
    system.server.fail("POST", "/rules$", 500, skip=1)
    first = system.run("apply")
    assert (first.code, "without 1 of its rules" in first.out) == (1, True)
    assert system.rules_of_detector() == {"Rule A", "Rule C"}
    assert system.statuses() == {"Rule A": "unchanged", "Rule B": "create", "Rule C": "unchanged", DETECTOR: "update"}
    assert system.run("apply").code == 0
    assert system.rules_of_detector() == set(FIRST)


def test_without_the_state_file_all_is_adopted(system: System) -> None:
    """What is as the rules say is only recorded; rules imported by hand too."""
    system.run("apply")
    (system.folder / "state.json").unlink()
    assert set(system.statuses().values()) == {"adopt"}
    assert system.run("apply").code == 0
    assert system.run("plan").code == 0
    assert system.run("remove").code == 0
    assert system.server.rules == {}


def test_an_index_pattern_is_refused(system: System) -> None:
    """A detector refuses patterns; the refusal comes before anything is asked, and says what to do."""
    ended = system.run("plan", "--index", "cloudtrail-*")
    arguments = ["plan", "opensearch", "--detector", "--url", system.server.url, "--index", "cloudtrail-*"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "cloudtrail-* is a pattern" in result.stderr
    assert "--index ALIAS" in result.stderr
    assert ended.code == 2, "the last --index counts"


def test_a_detector_is_not_a_monitor(system: System) -> None:
    """The two options exclude each other."""
    ended = system.run("plan", "--monitor", "bucket")
    assert (ended.code, "exclude each other" in ended.err) == (1, True)
