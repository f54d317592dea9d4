"""What authors write stays what they wrote, or is refused with its line and the cure."""

from pathlib import Path

import pytest
import yaml
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError, SigmaRuleLocation

from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import UnsupportedRuleError
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.rule_files.as_written import misreadings
from sigma_stellar_aws.rule_files.load import load_rules

RULE = """title: A rule
id: 5f0ee3d1-9f8c-4d2f-8a94-0b3f2d6c7a11
logsource: {{product: aws, service: cloudtrail}}
detection:
    selection:
        eventName: GetCallerIdentity
        {item}
    {other}: {{eventName: B}}
    condition: {condition}
"""


def rule(item: str = "eventSource: sts.amazonaws.com", other: str = "other", condition: str = "selection") -> str:
    """A rule of which one line is the test's."""
    return RULE.format(item=item, other=other, condition=condition)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (
            "additionalEventData.MFAUsed: No",
            "field 'additionalEventData.MFAUsed': YAML reads No as false; quote it",
        ),
        ("additionalEventData.MFAUsed: Yes", "YAML reads Yes as true; quote it ('Yes'), or write true"),
        ("a: OFF", "YAML reads OFF as false"),
        ("recipientAccountId: 012345670123", "YAML reads 012345670123 as the number 1402433619; quote it"),
        ("eventVersion: 1.10", "YAML reads 1.10 as the number 1.1; quote it"),
        ("a: 12:30", "YAML reads 12:30 as the number 750"),
        ("a: 2016_11_15", "YAML reads 2016_11_15 as the number 20161115"),
        ("a: 0x1F", "YAML reads 0x1F as the number 31"),
        ("a: 0b11", "YAML reads 0b11 as the number 3"),
        ("a: +5", "YAML reads +5 as the number 5"),
        ("a: .5", "YAML reads .5 as the number 0.5"),
        ("a: 1.5e+3", "YAML reads 1.5e+3 as the number 1500.0"),
        ("a: .inf", "YAML reads .inf as the number inf"),
        ("a: 0.1234567890123456789", "as the number 0.12345678901234568"),
        ("a: 2026-01-05", "YAML reads 2026-01-05 as a date; quote it ('2026-01-05')"),
        ("a: [x, 2026-01-05 10:00:00]", "YAML reads 2026-01-05 10:00:00 as a date"),
        ("012: x", "YAML does not read the name of the field 012 as text; quote it"),
        ("a: []", "field 'a': the list is empty, which pySigma reads as null"),
        ("a|contains: []", "field 'a': the list is empty"),
        ("a|re: []", "field 'a': the list is empty"),
        ("a|contains|all: []", "field 'a': the list is empty"),
        ("a|neq: []", "field 'a': the list is empty"),
        ("responseElements: {ConsoleLogin: Failure}", "name the inner field with a dot: responseElements.ConsoleLogin"),
        ("requestParameters: [{name: a}]", "name the inner field with a dot: requestParameters.name"),
        (
            "a|contains: 111122223333",
            "|contains compares texts, and 111122223333 is a number; quote it",
        ),
        ("a|startswith: true", "|startswith compares texts, and true is a boolean; quote it ('true')"),
        ("a|endswith: null", "|endswith compares texts, and null is null; remove the modifier"),
        ("a|cidr: 10", "|cidr compares texts, and 10 is a number"),
        ("a|gte: null", "|gte compares numbers, and null is null; write a number"),
        ("a|gt: 0x1F", "|gt compares numbers; write one as usual"),
        ("a|exists: null", "|exists asks true or false, and null is null"),
        ("a|exists: 1", "|exists asks true or false, and 1 is a number"),
        ('a: !!int "012345670123"', "YAML reads 012345670123 as the number"),
        ('a: !!bool "yes"', "YAML reads yes as true"),
    ],
)
def test_a_value_that_yaml_changes_is_refused(tmp_path: Path, item: str, reason: str) -> None:
    """The loader and ``sigma convert`` both refuse it, with its line."""
    file = tmp_path / "rule.yml"
    file.write_text(rule(item), encoding="utf-8")
    with pytest.raises(SigmaError) as loaded:
        load_rules(file)
    assert "Line 7: " in str(loaded.value)
    assert reason in str(loaded.value)


@pytest.mark.parametrize(
    "item",
    [
        *(
            "a: true",
            "a: false",
            "a: True",
            "a: FALSE",
            "a: 0",
            "a: -5",
            "a: 111122223333",
            "a: 1.0",
            "a: 100.0",
            "a: -0.5",
        ),
        *(
            "a: 0.0000001",
            "a: 'No'",
            'a: "012345670123"',
            "a: null",
            "a: ~",
            "a:",
            "a: !!str 0x1F",
            "a: 1e-07",
            "a: 08",
        ),
        *("a|exists: yes", "a|gte: 5", "a|all: [x, y]", "a: |-\n            No", "a: 10.0.0.0", "a: y", "a: ''"),
    ],
)
def test_what_is_read_as_it_stands_there_stays(item: str) -> None:
    """Canonical numbers, true and false, null, texts and what is quoted are not touched."""
    assert misreadings(rule(item)) == []


@pytest.mark.parametrize(
    ("other", "condition", "reason"),
    [
        ("notmfa", "selection and notmfa", "pySigma reads 'notmfa' as 'not mfa'; rename the selection"),
        ("not_mfa", "selection and not not_mfa", "pySigma reads 'not_mfa' as 'not _mfa'"),
        ("other", "selection and notother", "there is no selection 'notother'; for a negation write 'not other'"),
        ("other", "selection and 1 of selection_*", "'1 of selection_*' selects nothing"),
        ("other", "selection and not all of filter_*", "'all of filter_*' selects nothing"),
        ("other", "selection or all of nothing*", "'all of nothing*' selects nothing"),
        ("other", "2 of sel*", "Sigma knows '1 of', 'any of' and 'all of', in small letters, not '2 of'"),
        ("other", "1 OF sel*", "in small letters, not '1 OF'"),
        ("other", "selection AND other", "write 'and' in small letters, not 'AND'"),
        ("other.one", "selection and other.one", "the name 'other.one' may hold letters, digits, _ and - only"),
        ("other-one", "1 of other-*", "the pattern 'other-*' may hold letters, digits, _ and * only"),
        ("Other", "selection and other", "there is no selection 'other'; did you mean 'Other'?"),
        ("filter", "selection and filtr", "there is no selection 'filtr'; did you mean 'filter'?"),
        ("other", "selection and not (not 1 of nothing_*)", "'1 of nothing_*' selects nothing"),
        ("other", "selection or not 1 of nothing_*", "'1 of nothing_*' selects nothing"),
        ("other", "selection and not 1 of Other*", "case counts in names; did you mean 'other'?"),
        ("other", "1 of(other*)", "write '1 of PATTERN' without parentheses"),
    ],
)
def test_a_condition_that_is_misread_is_refused(tmp_path: Path, other: str, condition: str, reason: str) -> None:
    """Nothing in a condition is inverted or dropped; pySigma alone would do so, or refuse it without the cure."""
    file = tmp_path / "rule.yml"
    file.write_text(rule(other=other, condition=condition), encoding="utf-8")
    with pytest.raises(SigmaError, match="Line 9") as loaded:
        load_rules(file)
    assert reason in str(loaded.value)
    with pytest.raises(UnsupportedRuleError) as converted:
        StellarAwsBackend(stellar_aws()).convert(SigmaCollection.from_yaml(file.read_text(encoding="utf-8")))
    assert reason in str(converted.value)


@pytest.mark.parametrize(
    ("other", "condition"),
    [
        ("notroot_a", "selection and 1 of notroot*"),
        ("android", "selection and android"),
        ("oregon", "selection or oregon"),
        ("other", "selection and not 1 of filter_optional_*"),
        ("other", "selection and not any of filter_*"),
        ("other", "(selection and not 1 of filter_*) and (other)"),
        ("other", "(selection) and (not 1 of _filt_x_*)"),
        ("timeframe", "selection and timeframe"),
        ("other", "(selection or other) and not (1 of other*)"),
        ("other", "1 of them"),
        ("other", "all of them"),
    ],
)
def test_conditions_that_are_read_right_stay(other: str, condition: str) -> None:
    """A name may hold an operator, and a negation may exclude what only some rules have."""
    assert misreadings(rule(other=other, condition=condition)) == []


def test_sigma_convert_refuses_what_its_loader_has_lost(tmp_path: Path) -> None:
    """sigma-cli loads rules by itself; a rule knows its file, and only its own part of it counts."""
    file = tmp_path / "rules.yml"
    wrong = rule("additionalEventData.MFAUsed: No")
    right = rule().replace("A rule", "Another").replace("5f0ee3d1", "6f0ee3d1")
    file.write_text(f"{wrong}---\n{right}", encoding="utf-8")
    rules = SigmaCollection.load_ruleset([file])
    backend = StellarAwsBackend(stellar_aws(), collect_errors=True)
    assert len(backend.convert(rules)) == 1
    [(refused, error)] = backend.errors
    assert refused.title == "A rule"
    assert "YAML reads No as false" in str(error)


def test_published_detections_and_filters_are_read_too() -> None:
    """Wherever selections are written."""
    text = "filter: {rules: any, selection: {a: No}, condition: not selection}"
    assert [str(found) for found in misreadings(text)] == [
        "Line 1: field 'a': YAML reads No as false; quote it ('No'), or write false"
    ]
    text = "stellar: {published: {detection: {s: {a: []}, condition: s}}}"
    assert [found.path for found in misreadings(text)] == [("stellar", "published", "detection", "s", "a")]


def test_templates_and_merged_maps_are_read_as_yaml_reads_them() -> None:
    """Selections of a template may be in another document, and those of an anchor in another map."""
    parts = ("action: global\ndetection: {condition: s and not f}\n", "detection: {s: {a: b}, f: {c: d}}\n")
    assert misreadings("---\n".join(parts)) == []
    assert misreadings("x: &v {s: {a: b}}\ndetection: {<<: *v, condition: s}\n") == []
    hidden = "x: &v {detection: {s: {a: No}, condition: s}}\n<<: *v\n"
    assert [found.span.line for found in misreadings(hidden)] == [1]


def test_what_a_filter_says_is_read_by_sigma_convert_too(tmp_path: Path) -> None:
    """pySigma joins filters to rules after loading; their files are looked at as well."""
    (tmp_path / "rule.yml").write_text(rule(), encoding="utf-8")
    wrong = "title: F\nid: 7f0ee3d1-9f8c-4d2f-8a94-0b3f2d6c7a11\nlogsource: {product: aws, service: cloudtrail}\n"
    wrong += "filter: {rules: any, sel: {userIdentity.userName: []}, condition: not sel}\n"
    (tmp_path / "filter.yml").write_text(wrong, encoding="utf-8")
    rules = SigmaCollection.load_ruleset([tmp_path / "rule.yml"])
    source = SigmaRuleLocation(tmp_path / "filter.yml")
    filters = SigmaCollection.from_dicts([yaml.safe_load(wrong)], source=source, collect_filters=True)
    rules.apply_filters(filters.filters)
    with pytest.raises(UnsupportedRuleError, match="the list is empty"):
        StellarAwsBackend(stellar_aws()).convert(rules)


def test_a_key_that_is_there_twice_is_refused_by_sigma_convert(tmp_path: Path) -> None:
    """pySigma keeps the last of two equal keys, and says nothing."""
    file = tmp_path / "rule.yml"
    file.write_text(rule("eventName: Other"), encoding="utf-8")
    with pytest.raises(UnsupportedRuleError, match="only the last of several keys 'eventName' counts"):
        StellarAwsBackend(stellar_aws()).convert(SigmaCollection.load_ruleset([file]))


def test_what_pysigma_refuses_stops_no_other_rule(tmp_path: Path) -> None:
    """A rule with an error of its own is left out of a pack, whatever of it could not be read."""
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(rule(), encoding="utf-8")
    for text in ("eventName|Contains: x", "eventName|exists: 'true'", "eventName|cidr: 198.51.100.7/24"):
        bad.write_text(rule(text).replace("5f0ee3d1", "6f0ee3d1").replace("eventName: GetCallerIdentity", "a: b"))
        pack = convert_pack(load_rules(tmp_path, collect_errors=True), stellar_aws())
        assert (len(pack.rules), len(pack.refused)) == (1, 1)


def test_a_file_that_was_mended_is_read_again(tmp_path: Path) -> None:
    """Whoever watches a rule sees what it says now."""
    file = tmp_path / "rule.yml"
    file.write_text(rule("a: No"), encoding="utf-8")
    with pytest.raises(UnsupportedRuleError, match="YAML reads No as false"):
        StellarAwsBackend(stellar_aws()).convert(SigmaCollection.load_ruleset([file]))
    file.write_text(rule("a: 'No'"), encoding="utf-8")
    assert len(StellarAwsBackend(stellar_aws()).convert(SigmaCollection.load_ruleset([file]))) == 1
