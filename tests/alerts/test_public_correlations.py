"""Correlations of the shapes that public ones have: refused with the line where they name titles, right by id."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sigma.exceptions import SigmaError

from sigma_stellar_aws.alerts.run import alerts_of_files
from sigma_stellar_aws.authoring.check import check_rules
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.records import record
from tests.support.yaml_files import read_yaml

CASES = {case["name"]: case for case in read_yaml(Path(__file__).parents[1] / "cases/public_correlations.yml")}
START = datetime(2026, 11, 1, tzinfo=timezone.utc)
_TITLE = re.compile(r"<of ([^>]+)>")


def records(events: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Full records of events, of one caller and address unless they say otherwise."""
    made: list[Any] = []
    for event in events:
        given = {name: value for name, value in event.items() if name not in ("at", "times")}
        for number in range(event.get("times", 1)):
            time = START + timedelta(seconds=event["at"] + number)
            made.append(
                {
                    **record({"identity": "iam_user", "sourceIPAddress": "198.51.100.7", **given}),
                    "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}",
                    "eventID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{len(made)}")),
                }
            )
    return made


def with_ids(text: str) -> str:
    """Rules that name others by their ids instead of their titles."""
    ids = dict(re.findall(r"title: (.+)\nid: (.+)\n", text))
    return _TITLE.sub(lambda match: ids[match[1]], text)


@pytest.mark.parametrize("name", CASES)
def test_titles_are_refused_with_the_line_and_what_to_write(tmp_path: Path, name: str) -> None:
    """A correlation names ids or names; whoever names a title is told where, and which id is meant."""
    text = CASES[name]["rules"]
    file = tmp_path / "rules.yml"
    file.write_text(_TITLE.sub(r"\1", text), encoding="utf-8")
    title = _TITLE.findall(text)[0]
    [meant] = re.findall(rf"title: {title}\nid: (.+)\n", text)
    with pytest.raises(SigmaError) as refused:
        load_rules(file)
    reason = f"{title!r} is the title of a rule; a correlation names its id or its name; write {meant}"
    assert reason in str(refused.value)
    assert str(refused.value).endswith(f"rules.yml:{CASES[name]['line']}")


@pytest.mark.parametrize("name", CASES)
def test_by_id_they_raise_what_they_should(tmp_path: Path, name: str) -> None:
    """Each of the cases raises the alert of the correlation and no other, or none at all; and check has no doubt."""
    case = CASES[name]
    file = tmp_path / "rules.yml"
    file.write_text(with_ids(case["rules"]), encoding="utf-8")
    rules = load_rules(file)
    title = str(rules.rules[0].title)
    for expected, streams in (([title], case["hits"]), ([], case["misses"])):
        for number, events in enumerate(streams):
            log = tmp_path / f"{number}.json"
            log.write_text(json.dumps({"Records": records(events)}), encoding="utf-8")
            found = alerts_of_files([log], rules)
            assert [alert.rule.title for alert in found.alerts] == expected, events
            assert found.problems == []
    doubts = [each for each in check_rules([file]).findings if each.check in ("correlation", "reference")]
    assert doubts == []
