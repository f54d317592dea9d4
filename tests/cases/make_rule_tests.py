"""Write the sample events of the 29 rules as people get them: ``rules/aws_x.test.yaml`` beside each rule.

Run it after a change of ``tests/cases/rules``: ``python -m tests.cases.make_rule_tests``. A test holds both equal.
"""

from pathlib import Path

import yaml

from sigma_stellar_aws.authoring.sample_events import TEST_SUFFIX
from sigma_stellar_aws.base.json_types import JsonObject
from tests.support.records import CASES, Case, cases
from tests.support.yaml_files import read_yaml

RULES = Path(__file__).parents[2] / "rules"
# What tells one event from another; the rest is the same in all records, or of no use to a rule.
_LEFT_OUT = frozenset(
    {"eventVersion", "eventID", "requestID", "eventType", "eventCategory", "managementEvent", "readOnly", "apiVersion"}
    | {"tlsDetails", "sessionCredentialFromConsole", "userAgent"}
)


def rule_test(path: Path, made: dict[tuple[str, str], Case]) -> str:
    """Return the test file of a rule.

    Args:
        path: its cases, as this project's tests have them.
        made: all cases, by rule and name.
    """
    written = read_yaml(path)
    content: dict[str, list[JsonObject]] = {}
    for key in ("hits", "misses"):
        entries = written.get(key) or []
        content[key] = [_entry(made[written["rule"], entry["name"]], set(entry["event"])) for entry in entries]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return f"# Sample events of {path.name}: sigma-stellar-aws test {path.name}\n{text}"


def _entry(case: Case, own: set[str]) -> JsonObject:
    event: JsonObject = {key: value for key, value in case.record.items() if key in own or key not in _LEFT_OUT}
    return {"name": case.name, "event": {key: value for key, value in event.items() if value is not None or key in own}}


def rule_tests() -> dict[Path, str]:
    """Return the text of each test file."""
    made = {(case.rule, case.name): case for case in cases()}
    return {RULES / (path.stem + TEST_SUFFIX): rule_test(path, made) for path in sorted(CASES.glob("*.yml"))}


if __name__ == "__main__":
    for file, text in rule_tests().items():
        file.write_text(text, encoding="utf-8")
