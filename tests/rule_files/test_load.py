"""Loading of rules, and their block ``stellar``."""

from datetime import timedelta
from pathlib import Path

import pytest
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.base.sigma_errors import RuleBlockError
from sigma_stellar_aws.rule_files.load import (
    filters_path,
    find_rule_files,
    find_rules,
    find_unread_files,
    load_rules,
    pack_path,
)
from sigma_stellar_aws.rule_files.stellar_block import (
    DEFAULT_SUPPRESSION,
    SEVERITY_OF_LEVEL,
    Suppression,
    published_detection,
    published_reason,
    rule_name,
    severity,
    suppression,
)

RULE = """\
title: A test rule
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: A}, condition: selection}
"""
FILTER = """\
title: A filter
logsource: {product: aws, service: cloudtrail}
filter: {rules: any, selection: {errorCode: A}, condition: not selection}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where to write a rule."""
    return tmp_path / "rule.yml"


def rule(file: Path, more: str = "") -> SigmaRule:
    """A rule with these lines added, out of a file."""
    file.write_text(RULE + more, encoding="utf-8")
    [loaded] = load_rules(file).rules
    assert isinstance(loaded, SigmaRule)
    return loaded


def test_the_pack_is_the_default() -> None:
    """Without a path the 29 rules of the pack are loaded, and none of its filters."""
    rules = load_rules()
    assert len(rules.rules) == 29
    assert {loaded.source.path for loaded in rules.rules if loaded.source} == set(pack_path().glob("*.yml"))
    assert rules.filters == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", 50),
        *((f"level: {level}\n", number) for level, number in SEVERITY_OF_LEVEL.items()),
        ("level: low\nstellar: {severity: 80}\n", 80),
        ("level: low\nstellar: {}\n", 25),
        ("stellar: {severity: 0}\n", 0),
        ("stellar: {severity: 100}\n", 100),
    ],
)
def test_severity(file: Path, more: str, expected: int) -> None:
    """Severity is what the block says, else what the level stands for, else 50."""
    assert severity(rule(file, more)) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", DEFAULT_SUPPRESSION),
        ("stellar: {suppression: {}}\n", DEFAULT_SUPPRESSION),
        ("stellar: {suppression: {window: 90m}}\n", Suppression(timedelta(minutes=90), DEFAULT_SUPPRESSION.fields)),
        ("stellar: {suppression: {window: 2d, fields: [a.b]}}\n", Suppression(timedelta(days=2), ("a.b",))),
        ("stellar: {suppression: {fields: [a, b]}}\n", Suppression(timedelta(hours=24), ("a", "b"))),
    ],
)
def test_suppression(file: Path, more: str, expected: Suppression) -> None:
    """A rule overrides window and fields of the default suppression, each by itself."""
    assert suppression(rule(file, more)) == expected


def test_published_query(file: Path) -> None:
    """The published detection is kept as it stands, with the reason why it is not used."""
    corrected = rule(file, "stellar: {published: {detection: {s: {a|re: b}, condition: s}, reason: why}}\n")
    assert published_detection(corrected) == {"s": {"a|re": "b"}, "condition": "s"}
    assert published_reason(corrected) == "why"
    plain = rule(file, "stellar: {severity: 1}\n")
    assert published_detection(plain) is None
    assert published_reason(plain) is None


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("[1]", "must be a map"),
        ("text", "must be a map"),
        ("{severity: 101}", "severity must be a whole number from 0 to 100, not 101"),
        ("{severity: -1}", "severity must be"),
        ("{severity: '50'}", "severity must be"),
        ("{severity: 50.0}", "severity must be"),
        ("{severity: true}", "severity must be"),
        ("{severity: null}", "severity must be"),
        ("{suppression: [a]}", "suppression must have the keys window and fields"),
        ("{suppression: {windows: 1h}}", "suppression must have the keys window and fields"),
        ("{suppression: {fields: a}}", "suppression.fields must be a list of field names"),
        ("{suppression: {fields: []}}", "suppression.fields must be"),
        ("{suppression: {fields: [1]}}", "suppression.fields must be"),
        ("{suppression: {window: 24}}", "suppression.window must be a number with m, h or d, such as 24h, not 24"),
        ("{suppression: {window: 0h}}", "suppression.window must be"),
        ("{suppression: {window: 1w}}", "suppression.window must be"),
        ("{suppression: {window: [1h]}}", "suppression.window must be"),
        ("{published: text}", "published must have a detection"),
        ("{published: {reason: why}}", "published must have a detection"),
        ("{published: {detection: [a]}}", "published must have a detection"),
        ("{published: {detection: {s: {a: b}}}}", "published.detection must have a condition"),
        ("{published: {detection: {s: {a: b}, condition: 3}}}", "published.detection must have a condition"),
    ],
)
def test_a_wrong_block_is_an_error(file: Path, block: str, reason: str) -> None:
    """An error in the block names the rule, what is wrong and the file."""
    wrong = rule(file, f"stellar: {block}\n")

    def use_all() -> None:
        severity(wrong)
        suppression(wrong)
        published_detection(wrong)

    with pytest.raises(RuleBlockError) as error:
        use_all()
    assert str(error.value).startswith(f"Rule 'A test rule': stellar: {reason}")
    assert str(error.value).endswith(f" in {file}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"title: [broken", "not valid YAML"),
        (b"title: \xff", "not valid YAML"),
        (RULE.encode() + b"date: 2026-13-45", "Rule date '2026-13-45' is invalid"),
        (b"[" * 1500, "not valid YAML"),
        (b"a: &a [*a]", "not valid YAML: with its aliases written out"),
        (RULE.encode() + b"level: low\nlevel: high", "Line 5 has the key 'level' a second time"),
        (b"- a", "not a Sigma rule"),
        (b"text", "not a Sigma rule"),
        (b"title: A", "must have a log source"),
        (RULE.replace("A test rule", "[1]").encode(), "title must be a string"),
        (RULE.encode() + b"id: 5", "cannot be read as a Sigma rule"),
        (RULE.encode() + b"id: 5-5", "must be an UUID"),
        (RULE.encode() + b"level: grave", "not a valid Sigma rule level"),
        (RULE.replace("eventName", "eventName|like").encode(), "Unknown modifier 'like'"),
        (RULE.replace("{eventName: A}", "{1: A}").encode(), "the name of the field 1 as text; quote it"),
        (RULE.replace("condition: selection", "condition: 3").encode(), "a condition must be a text"),
    ],
)
def test_a_wrong_file_is_an_error(file: Path, text: bytes, reason: str) -> None:
    """A file that holds no rule is an error that names the file, whatever it holds instead."""
    file.write_bytes(text)
    with pytest.raises(SigmaError, match=reason) as error:
        load_rules(pack_path(), file)
    assert str(file) in str(error.value)


def test_every_wrong_rule_is_told(tmp_path: Path) -> None:
    """Wrong rules are told together, each with its file."""
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text("title: A", encoding="utf-8")
    with pytest.raises(SigmaError) as error:
        load_rules(tmp_path)
    assert all(str(tmp_path / name) in str(error.value) for name in ("a.yml", "b.yml"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be opened is the operating system's own error, with its name."""
    with pytest.raises(FileNotFoundError, match=r"gone\.yml"):
        load_rules(tmp_path / "gone.yml")


def test_rule_files(tmp_path: Path) -> None:
    """Rules are in YAML files at any depth of a folder, in order and each once, and in any file that is named."""
    for folder in ("b", ".git", "g.yml"):
        (tmp_path / folder).mkdir()
    tests = ("a.test.yaml", "a.test.yml", "b/C.TEST.YML")
    others = ("README.md", "notes.txt", "b/events.json", ".git/x.yml", ".hidden.yml", "f.yml.bak")
    for name in ("b/C.YML", "a.yml", "d.yaml", "e.Yaml", *tests, *others):
        (tmp_path / name).touch()
    (tmp_path / "link.yml").symlink_to(tmp_path / "a.yml")
    below = [tmp_path / name for name in ("a.yml", "b/C.YML", "e.Yaml")]
    assert find_rule_files([tmp_path]) == [*below[:2], tmp_path / "d.yaml", below[2]]
    assert find_rule_files([tmp_path / "d.yaml", tmp_path]) == [tmp_path / "d.yaml", *below]
    assert find_rule_files([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"]
    unread = [tmp_path / name for name in ("b/events.json", "f.yml.bak", "notes.txt")]
    assert find_unread_files([tmp_path, tmp_path / "notes.txt"]) == unread
    assert find_rule_files() == sorted(pack_path().glob("*.yml"))


def test_folders_and_documents(tmp_path: Path) -> None:
    """All documents of all YAML files below a folder are loaded, and a filter among them is applied as by sigma-cli."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b/c.yml").write_text(f"{RULE}---\n{RULE}---\n", encoding="utf-8")
    (tmp_path / "a.yml").write_text(RULE, encoding="utf-8")
    assert len(load_rules(tmp_path).rules) == 3
    assert load_rules(tmp_path).filters == []
    (tmp_path / "d.yaml").write_text(FILTER, encoding="utf-8")
    filtered = load_rules(tmp_path).rules
    assert len(filtered) == 3
    assert all(len(loaded.detection.detections) == 2 for loaded in filtered if isinstance(loaded, SigmaRule))


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("", "A test rule"),
        ("name: short\n", "short"),
        (
            "name: short\nid: 00000000-0000-4000-8000-00000000000A\n",
            "00000000-0000-4000-8000-00000000000a",
        ),
    ],
)
def test_name_of_a_query(file: Path, more: str, name: str) -> None:
    """A query is named by its rule's id, or name, or title."""
    assert rule_name(rule(file, more)) == name


def test_rule_by_file_title_or_id() -> None:
    """A rule is named by its file, or one of the 29 by title, id or file name; a slip is answered with the nearest."""
    file = pack_path() / "aws_kms_key_created.yml"
    titles = {
        tuple(rule.title for rule in find_rules(name))
        for name in (
            str(file),
            file.name,
            "aws_kms_key_created",
            "KMS Keys Creation",
            "6361c733-c533-4e80-b56e-b3133c88e733",
        )
    }
    assert titles == {("KMS Keys Creation",)}
    with pytest.raises(NotFoundError, match="did you mean 'KMS Keys Creation'"):
        find_rules("KMS Key Creation")
    with pytest.raises(NotFoundError, match="no rule about single events"):
        find_rules(str(next(filters_path().glob("*.yml"))))
