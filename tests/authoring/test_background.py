"""How often rules would have fired on logs."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sigma_stellar_aws.alerts.run import Messages
from sigma_stellar_aws.authoring.background import Background, background_of, noise_as_json, summary_of_background
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.logs.portions import Portion
from sigma_stellar_aws.rule_files.load import load_rules

RULE = """\
title: {title}
name: {name}
logsource: {{product: aws, service: cloudtrail}}
detection:
    selection:
        eventName: {event}
    condition: selection
level: low
stellar: {{suppression: {{window: 1h, fields: [userIdentity.arn]}}}}
"""
ALICE, BOB = (f"arn:aws:iam::111122223333:user/{name}" for name in ("alice", "bob"))


def record(number: int, time: str, name: str, arn: str = ALICE) -> dict[str, Any]:
    """A CloudTrail record."""
    return {
        "eventID": f"00000000-0000-4000-8000-{number:012d}",
        "eventTime": f"2026-11-{time}:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "userIdentity": {"type": "IAMUser", "arn": arn},
        "recipientAccountId": "111122223333",
    }


RECORDS = [
    # The first event of the first day, and the last of the fourth, match nothing.
    record(1, "01T00:00", "ListUsers"),
    record(2, "01T10:00", "CreateUser"),
    record(3, "01T10:30", "CreateUser"),
    # The window of the first is over.
    record(4, "01T11:30", "CreateUser"),
    record(5, "01T12:00", "CreateUser", BOB),
    record(6, "03T09:00", "CreateUser", BOB),
    record(7, "03T09:10", "DeleteUser", BOB),
    record(8, "05T00:00", "ListUsers"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rules, and logs as S3 has them: a file a day, with a copy of an event in two of them."""
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, event in (("created", "CreateUser"), ("deleted", "DeleteUser"), ("renamed", "UpdateUser")):
        (rules / f"aws_{name}.yml").write_text(RULE.format(title=f"User {name}", name=name, event=event))
    logs = tmp_path / "logs"
    logs.mkdir()
    for day in ("01", "03", "05"):
        records = [one for one in RECORDS if one["eventTime"].startswith(f"2026-11-{day}")]
        text = json.dumps({"Records": [*records, RECORDS[1]] if day == "03" else records})
        (logs / f"day{day}.json.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def background(folder: Path) -> Background:
    """What the rules make of the logs."""
    messages = Messages()
    portions = [Portion(sorted((folder / "logs").iterdir()), {})]
    found = background_of(portions, load_rules(folder / "rules"), messages)
    assert messages.problem_count == 0
    return found


def run(folder: Path, *options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["test", str(folder / "rules"), "--background", str(folder / "logs"), *options])


def test_events_and_alerts_are_counted(folder: Path) -> None:
    """Copies count once, and alerts are those that are left by the suppression of the rule; the loudest comes first."""
    found = background(folder)
    assert [(noise.rule.title, *noise.total) for noise in found.rules] == [
        ("User created", 5, 4),
        ("User deleted", 1, 1),
        ("User renamed", 0, 0),
    ]
    created = found.rules[0]
    assert created.by_day == {"2026-11-01": (4, 3), "2026-11-03": (1, 1)}
    assert created.by_actor == {ALICE: (3, 2), BOB: (2, 2)}
    assert list(created.by_actor) == [ALICE, BOB]
    assert created.by_key == {(ALICE,): (3, 2), (BOB,): (2, 2)}


def test_the_time_of_the_logs_counts_and_not_that_of_the_hits(folder: Path) -> None:
    """Days without any match make a rule quieter."""
    found = background(folder)
    assert (found.records, found.days) == (9, 4.0)
    assert summary_of_background(found) == "9 records in 4.0 days: 5 alerts of 2 of 3 rules"
    noise = noise_as_json(found.rules[0], found)
    assert (noise["events_per_day"], noise["alerts_per_day"]) == (1.25, 1.0)
    assert (noise["from"], noise["to"]) == ("2026-11-01T00:00:00Z", "2026-11-05T00:00:00Z")


def test_hours_are_not_made_a_day_of(folder: Path) -> None:
    """Nothing is said of a day that the logs do not have."""
    for day in ("03", "05"):
        (folder / "logs" / f"day{day}.json.gz").unlink()
    found = background(folder)
    assert noise_as_json(found.rules[0], found)["alerts_per_day"] is None
    assert "5 records in 12.0 hours" in summary_of_background(found)


def test_logs_of_a_moment_have_no_rate(folder: Path) -> None:
    """One record spans no time, which is not the same as no hours."""
    for file in (folder / "logs").iterdir():
        file.unlink()
    (folder / "logs" / "one.json").write_text(json.dumps({"Records": RECORDS[1:2]}))
    assert summary_of_background(background(folder)) == "1 record in less than an hour: 1 alert of 1 of 3 rules"


def test_correlations_are_counted_by_their_alerts(folder: Path) -> None:
    """What a correlation has of events is in its alerts; a rule that only serves it is not told of."""
    (folder / "rules" / "correlation_users.yml").write_text(
        "title: Users Come and Go\nlevel: high\ncorrelation:\n    type: temporal\n    rules: [created, deleted]\n"
        "    group-by: [userIdentity.arn]\n    timespan: 1h\n"
    )
    found = background(folder)
    assert [(noise.rule.title, *noise.total) for noise in found.rules] == [
        ("Users Come and Go", 2, 1),
        ("User renamed", 0, 0),
    ]
    assert found.rules[0].by_actor == {BOB: (1, 1)}


def test_many_records_are_sampled_for_their_times(tmp_path: Path, folder: Path) -> None:
    """Of a long file, the span is known but for the last few records."""
    many = [record(100 + n, f"{1 + n // 1440:02}T{n // 60 % 24:02}:{n % 60:02}", "ListUsers") for n in range(5000)]
    (folder / "logs" / "many.json").write_text(json.dumps({"Records": many}))
    found = background(folder)
    assert found.span is not None
    assert found.records == 5009
    # 3 days, 11 hours and 19 minutes are in it, and the fifth day is from elsewhere.
    assert found.days == 4.0


def test_the_command_tells_the_noise(folder: Path) -> None:
    """As lines for people, and as one object a rule; no cases are needed, and noise is no failure."""
    ended = run(folder)
    assert ended.exit_code == 0
    lines = ended.stdout.splitlines()
    assert lines[0] == "User created: 5 events, 4 alerts in 4.0 days: 1 a day"
    assert lines[1] == "    most on   2026-11-01 (4 events, 3 alerts)"
    assert lines[2] == "    most by   alice (3 events, 2 alerts); bob (2 events, 2 alerts)"
    assert lines[3] == f"    key       userIdentity.arn={ALICE} (3 events, 2 alerts)"
    assert "User renamed: nothing in 4.0 days" in lines
    objects = [json.loads(line) for line in run(folder, "--json").stdout.splitlines()]
    assert [one["rule"] for one in objects] == ["User created", "User deleted", "User renamed"]
    assert objects[0]["days"] == [
        {"day": "2026-11-01", "events": 4, "alerts": 3},
        {"day": "2026-11-03", "events": 1, "alerts": 1},
    ]
    assert objects[0]["keys"][0] == {"key": {"userIdentity.arn": ALICE}, "events": 3, "alerts": 2}
    assert objects[0]["actors"][1] == {"actor": BOB, "events": 2, "alerts": 2}


def test_what_cannot_be_read_is_told(folder: Path) -> None:
    """A file that is cut off is an exit code, and what was read is counted."""
    file = folder / "logs" / "day05.json.gz"
    file.write_bytes(file.read_bytes()[:-20])
    ended = run(folder)
    assert ended.exit_code == 3
    assert "day05.json.gz" in ended.stderr
    assert "User created: 5 events" in ended.stdout


def test_logs_that_are_not_there_are_an_error(folder: Path) -> None:
    """As for the command alerts."""
    ended = CliRunner().invoke(main, ["test", str(folder / "rules"), "--background", str(folder / "nowhere")])
    assert ended.exit_code == 2
    assert "nowhere" in ended.stderr
    assert CliRunner().invoke(main, ["test", "--watch", "--background", str(folder)]).exit_code == 2
