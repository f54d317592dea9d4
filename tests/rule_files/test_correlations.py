"""Reading of correlation rules, of what they name, and what is refused of them."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sigma.backends.elasticsearch.elasticsearch_esql import ESQLBackend
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError

from sigma_stellar_aws.rule_files.correlations import Member, ResolvedCorrelations, resolve_correlations
from sigma_stellar_aws.rule_files.load import load_rules

CREATE_ID = "11111111-8f0e-4a3f-9a53-0d3a4a0c9f01"
BASES = f"""\
title: Create User
id: {CREATE_ID}
name: create
logsource: {{product: aws, service: cloudtrail}}
detection: {{selection: {{eventName: CreateUser}}, condition: selection}}
---
title: Create Key
name: key
logsource: {{product: aws, service: cloudtrail}}
detection: {{selection: {{eventName: CreateAccessKey}}, condition: selection}}
"""
CORRELATION = """\
title: Many
name: many
correlation:
    type: event_count
    rules:
        - create
    group-by:
        - userIdentity.arn
    timespan: 5m
    condition:
        gte: 3
"""
CHAIN = """\
title: Chain
name: chain
correlation:
    type: temporal_ordered
    rules: [create, key]
    timespan: 1h
"""


def resolved(folder: Path, **texts: str) -> ResolvedCorrelations:
    """The correlations of files with these texts, in the order of their names."""
    for name, text in texts.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return resolve_correlations(load_rules(folder).rules)


def errors(folder: Path, **texts: str) -> list[str]:
    """What is wrong with files or refused, without the folder."""
    for name, text in texts.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    rules = load_rules(folder, collect_errors=True)
    found = [*rules.errors, *resolve_correlations(rules.rules).errors]
    return [str(error).replace(f"{folder.resolve()}/", "") for error in found]


def test_what_a_correlation_counts(tmp_path: Path) -> None:
    """A correlation names its rule, in whatever file and order, and says by what fields how many are too many."""
    found = resolved(tmp_path, a=CORRELATION, b=BASES)
    [many] = found.correlations
    assert (many.name, many.title, many.kind, many.count) == ("many", "Many", "event_count", 3)
    assert many.timespan == timedelta(minutes=5)
    assert many.members == (Member(CREATE_ID, "Create User", False, ("userIdentity.arn",)),)
    assert found.errors == []
    assert found.silent == {CREATE_ID}


@pytest.mark.parametrize("reference", [CREATE_ID, CREATE_ID.upper(), "create"])
def test_a_rule_is_named_by_id_or_name(tmp_path: Path, reference: str) -> None:
    """Both name the same rule."""
    [many] = resolved(tmp_path, a=CORRELATION.replace("- create", f"- {reference}"), b=BASES).correlations
    assert many.members[0].name == CREATE_ID


@pytest.mark.parametrize(
    ("condition", "count"),
    [("gte: 2.5", 3), ("gt: 2.5", 3), ("gt: 2", 3), ("gte: '3'", 3), ("gt: 0", 1), ("{gte: 2, gt: 4}", 5)],
)
def test_numbers_are_taken_as_they_are(tmp_path: Path, condition: str, count: int) -> None:
    """At least 2.5 events are 3, which is also what conversions by other backends are told."""
    text = CORRELATION.replace("    condition:\n        gte: 3", f"    condition:\n        {condition}")
    [many] = resolved(tmp_path, a=text, b=BASES).correlations
    assert many.count == count
    rule = next(rule for rule in load_rules(tmp_path).rules if isinstance(rule, SigmaCorrelationRule))
    condition_of_pysigma = rule.condition.to_dict()
    assert isinstance(condition_of_pysigma, dict)
    assert condition_of_pysigma.get("gte", condition_of_pysigma.get("gt", 0) + 1) == count


@pytest.mark.parametrize("where", ["generate: true\ncorrelation:", "correlation:\n    generate: true"])
def test_generate_stands_at_either_place(tmp_path: Path, where: str) -> None:
    """The specification has it at the top, pySigma in the block; either lets the rules that are counted alert, too."""
    text = CORRELATION.replace("correlation:", where)
    found = resolved(tmp_path, a=text, b=BASES)
    assert found.errors == []
    assert found.silent == set()


@pytest.mark.parametrize(
    ("at_top", "inside"), [("true", "true"), ("false", "false"), ("true", "false"), ("false", "true")]
)
def test_generate_at_both_places(tmp_path: Path, at_top: str, inside: str) -> None:
    """Both may say it, as long as they say the same."""
    text = CORRELATION.replace("correlation:", f"generate: {at_top}\ncorrelation:\n    generate: {inside}")
    if at_top == inside:
        assert resolved(tmp_path, a=text, b=BASES).silent == ({CREATE_ID} if at_top == "false" else set())
    else:
        reason = "generate is stated twice, once as true and once as false"
        assert errors(tmp_path, a=text, b=BASES) == [f"Rule 'Many': {reason} in a.yml:3"]


def test_one_that_generates_is_enough(tmp_path: Path) -> None:
    """A rule that two correlations name alerts by itself if one of them says so."""
    found = resolved(tmp_path, a=CHAIN.replace("correlation:", "generate: true\ncorrelation:"), b=BASES, c=CORRELATION)
    assert found.silent == set()
    found = resolved(tmp_path, a=CHAIN, c=CORRELATION.replace("correlation:", "generate: true\ncorrelation:"))
    assert found.silent == {"key"}


def test_inner_ones_come_first(tmp_path: Path) -> None:
    """A correlation of a correlation follows it, wherever it stands."""
    outer = (
        "title: Outer\nname: outer\ncorrelation: {type: temporal, rules: [many, key], timespan: 1h, "
        "group-by: [who], aliases: {who: {many: userIdentity.arn, key: userIdentity.userName}}}\n"
    )
    found = resolved(tmp_path, a=outer, b=CORRELATION, c=BASES)
    assert [each.name for each in found.correlations] == ["many", "outer"]
    assert [member.key for member in found.correlations[1].members] == [
        ("userIdentity.arn",),
        ("userIdentity.userName",),
    ]
    assert found.silent == {CREATE_ID, "many", "key"}


@pytest.mark.parametrize(
    ("listed", "aliased"), [("create", CREATE_ID), (CREATE_ID, "create"), (CREATE_ID, CREATE_ID.upper())]
)
def test_an_alias_names_rules_in_any_way(tmp_path: Path, listed: str, aliased: str) -> None:
    """An alias that names by id a rule which the list names by name, or the other way round, is about that rule."""
    text = CHAIN.replace("[create,", f"[{listed},")
    text = text.replace("rules:", f"group-by: w\n    aliases: {{w: {{{aliased}: a.b, key: c.d}}}}\n    rules:")
    [chain] = resolved(tmp_path, a=text, b=BASES).correlations
    assert [member.key for member in chain.members] == [("a.b",), ("c.d",)]


@pytest.mark.parametrize(
    ("kind", "condition", "alternatives"),
    [
        ("temporal", "create and key", ((0, 1),)),
        ("temporal", "create or key", ((0,), (1,))),
        ("temporal", "create or create and key", ((0,),)),
        ("temporal_ordered", "key and create", ((0, 1),)),
        ("temporal_ordered", "{gte: 1}", ((0,), (1,))),
        ("temporal", "{gte: 1}", ()),
    ],
)
def test_conditions_of_rules(
    tmp_path: Path, kind: str, condition: str, alternatives: tuple[tuple[int, ...], ...]
) -> None:
    """Of a condition the smallest sets of rules are kept that are enough for it; of a plain number, the number."""
    text = CHAIN.replace("temporal_ordered", kind) + f"    condition: {condition}\n"
    [chain] = resolved(tmp_path, a=text, b=BASES).correlations
    assert chain.alternatives == alternatives
    if not alternatives:
        assert chain.count == 1


def test_the_condition_alone_names_the_rules(tmp_path: Path) -> None:
    """Without a list of rules, their order is that of the condition."""
    text = CHAIN.replace("    rules: [create, key]\n", "") + "    condition: key and create\n"
    [chain] = resolved(tmp_path, a=text, b=BASES).correlations
    assert [member.title for member in chain.members] == ["Create Key", "Create User"]


FAULTS = {
    "unknown rule": ("- create", "- creat", 6, "there is no rule with the id or name 'creat'; did you mean create?"),
    "title": ("- create", "- Create User", 6, "'Create User' is the title of a rule; a correlation names its id"),
    "number": ("- create", "- 1", 6, "a rule is named by its id or name, not by 1"),
    "twice": ("- create", f"- create\n        - {CREATE_ID}", 5, "two references are to the same rule"),
    "same text": ("- create", "- create\n        - create", 7, "'create' is named twice"),
    "unknown key": ("group-by:", "group_by:", 7, "a correlation has no key 'group_by'; did you mean group-by?"),
    "unknown type": ("event_count", "event_counts", 4, "type must be one of event_count"),
    "unit": ("5m", "5M", 9, "timespan must be a number with s, m, h or d"),
    "no time": ("5m", "0m", 9, "timespan must be a number"),
    "zero": ("gte: 3", "gte: 0", 11, "gte: 0 holds without any event"),
    "negative": ("gte: 3", "gt: -1", 11, "gt: -1 holds without any event"),
    "true": ("gte: 3", "gte: true", 11, "gte needs a number, not True"),
    "several fields": ("userIdentity.arn", "userIdentity.*", 7, "'userIdentity.*' stands for several fields; name one"),
    "operator": ("gte: 3", "get: 3", 11, "the condition of event_count has no key 'get'; did you mean"),
    "range": ("gte: 3", "gte: 3\n        lt: 5", 10, "a range has an upper limit"),
    "field": ("gte: 3", "gte: 3\n        field: a", 12, "event_count has no field"),
    "no field": ("event_count", "value_count", 10, "value_count counts the values of a field; name it"),
    "generate": ("timespan", "generate: maybe\n    timespan", 9, "generate must be true or false"),
    "unused alias": ("timespan", "aliases: {a: {create: b}}\n    timespan", 9, "alias 'a' is used neither in"),
    "lt": ("gte: 3", "lt: 3", 11, "lt is not supported: a part of a longer burst"),
    "neq": ("gte: 3", "neq: 3", 11, "neq is not supported"),
    "average": ("event_count", "value_avg", 10, "value_avg counts the values of a field"),
}


@pytest.mark.parametrize(("old", "new", "line", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_are_told_with_their_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    """Whatever is wrong or refused is told once, with the rule, the file and the line."""
    assert old in CORRELATION
    [error] = errors(tmp_path, a=CORRELATION.replace(old, new), b=BASES)
    assert error.startswith(f"Rule 'Many': {message}")
    assert error.endswith(f" in a.yml:{line}")


@pytest.mark.parametrize("kind", ["value_sum", "value_avg", "value_percentile", "value_median"])
def test_kinds_that_cannot_be_exact_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    """Their rules are read, since other backends may convert them, and refused with the reason."""
    text = CORRELATION.replace("event_count", kind).replace("gte: 3", "gte: 3\n        field: a")
    found = resolved(tmp_path, a=text, b=BASES)
    assert found.correlations == []
    [error] = found.errors
    assert f"{kind} is not supported: " in str(error)
    assert str(error).endswith("a.yml:4")


def test_not_is_refused(tmp_path: Path) -> None:
    """The absence of an event is not certain before the last one has arrived."""
    [error] = errors(tmp_path, a=CHAIN + "    condition: create and not key\n", b=BASES)
    reason = "an event that arrives late would withdraw the alert; use and, or"
    assert error == f"Rule 'Chain': not is not supported: {reason} in a.yml:7"


def test_equal_names_are_an_error(tmp_path: Path) -> None:
    """A name that two rules have names neither."""
    [error] = errors(tmp_path, a=CORRELATION, b=BASES, c=BASES.partition("---")[2].replace("name: key", "name: create"))
    assert error.startswith("Rule 'Many': 2 rules are named 'create' (")
    assert "b.yml" in error
    assert "c.yml" in error
    assert error.endswith("a.yml:6")


def test_cycles_are_an_error(tmp_path: Path) -> None:
    """Correlations that count each other are all left out, and the first error shows the way round."""
    one = CHAIN.replace("create", "two")
    two = CHAIN.replace("name: chain", "name: two").replace("create", "chain").replace("title: Chain", "title: Two")
    found = errors(tmp_path, a=one, b=BASES, c=two)
    assert found == [
        "Rule 'Two': correlations count each other: 'Chain' → 'Two' → 'Chain' in c.yml:5",
        "Rule 'Chain': the correlation 'Two' is left out in a.yml:5",
    ]
    with pytest.raises(SigmaError, match="count each other"):
        load_rules(tmp_path)


def test_cycles_through_three_files(tmp_path: Path) -> None:
    """However long the way round, it is shown, and none of those on it is followed."""
    texts = {
        name: CHAIN.replace("create", after).replace("name: chain", f"name: {name}").replace("Chain", name.upper())
        for name, after in (("x", "y"), ("y", "z"), ("z", "x"))
    }
    found = errors(tmp_path, bases=BASES, **texts)
    assert found == [
        "Rule 'Z': correlations count each other: 'X' → 'Y' → 'Z' → 'X' in z.yml:5",
        "Rule 'Y': the correlation 'Z' is left out in y.yml:5",
        "Rule 'X': the correlation 'Y' is left out in x.yml:5",
    ]


@pytest.mark.parametrize("inner_first", [True, False])
def test_nesting_has_a_bound(tmp_path: Path, inner_first: bool) -> None:
    """Ten correlations may be nested in each other; hundreds are an error with the place, and no traceback."""

    def nested(number: int) -> str:
        texts = [
            f"title: C{each}\nname: c{each}\ncorrelation: "
            f"{{type: temporal, rules: [{f'c{each - 1}' if each else 'create'}], timespan: 5m}}\n"
            for each in range(number)
        ]
        return "---\n".join(texts if inner_first else reversed(texts))

    found = resolved(tmp_path, a=nested(10), b=BASES)
    assert [each.name for each in found.correlations] == [f"c{number}" for number in range(10)]
    told = errors(tmp_path, a=nested(400), b=BASES)
    assert len(told) == 390
    assert "more than 10 correlations are nested in each other in a.yml:" in told[0]
    left_out = {re.match("Rule '(C[0-9]+)'", error)[1] for error in told}  # type: ignore[index]
    assert left_out == {f"C{number}" for number in range(10, 400)}


@pytest.mark.parametrize("name", ["my rule", "a-b.c", "réseau"])
def test_names_that_a_condition_cannot_have(tmp_path: Path, name: str) -> None:
    """In a list, rules may have any names; in a condition only such as the specification has, which is told."""
    bases = BASES.replace("name: create", f"name: {name}")
    text = CHAIN.replace("create", name)
    assert errors(tmp_path, a=text, b=bases) == []
    [error] = errors(tmp_path, a=text + f"    condition: {name} and key\n", b=bases)
    assert error.startswith(f"Rule 'Chain': the condition '{name} and key' cannot be read; write and, or, not, ")
    assert error.endswith("may have no other characters than A-Z, a-z, 0-9 and _ in a.yml:7")


def test_names_are_the_same_however_accents_are_written(tmp_path: Path) -> None:
    """An accented letter is one character or two, which nobody sees."""
    one, two = "r\u00e9seau", "re\u0301seau"
    found = resolved(tmp_path, a=CORRELATION.replace("- create", f"- {two}"), b=BASES.replace("create", one))
    assert [each.name for each in found.correlations] == ["many"]


def test_a_name_may_not_be_the_id_of_another_rule(tmp_path: Path) -> None:
    """What may be meant as an id and as a name, of two rules, is an error."""
    [error] = errors(
        tmp_path,
        a=CORRELATION.replace("- create", f"- {CREATE_ID}"),
        b=BASES.replace("name: key", f"name: {CREATE_ID}"),
    )
    assert error.startswith(f"Rule 'Many': 2 rules are named '{CREATE_ID}'")


def test_a_rule_that_is_left_out_is_missed(tmp_path: Path) -> None:
    """A correlation of a rule that cannot be converted is left out, too, with that reason."""
    resolved(tmp_path, a=CORRELATION, b=BASES)
    [error] = resolve_correlations(load_rules(tmp_path).rules, {CREATE_ID: "another log source"}).errors
    assert "Rule 'Many': the rule 'Create User' is left out: another log source in " in str(error)
    assert str(error).endswith("a.yml:6")


def test_inner_ones_must_group_by_what_outer_ones_do(tmp_path: Path) -> None:
    """What an inner correlation does not group by is not known of what it finds."""
    outer = CHAIN.replace("create", "many").replace("timespan", "group-by: [sourceIPAddress]\n    timespan")
    assert errors(tmp_path, a=outer, b=BASES, c=CORRELATION) == [
        "Rule 'Chain': the correlation 'Many' does not group by 'sourceIPAddress' in a.yml:5"
    ]
    assert errors(tmp_path, a=CORRELATION.replace("- create", "- chain"), b=BASES, c=CHAIN) == [
        "Rule 'Many': event_count of a correlation: only temporal ones can count others in a.yml:6"
    ]


@pytest.mark.parametrize("given", [True, False])
def test_a_filter_of_a_correlation_is_an_error(tmp_path: Path, given: bool) -> None:
    """A filter that names a correlation would change nothing, among the rules as well as beside them."""
    text = (
        "title: Known\nlogsource: {product: aws, service: cloudtrail}\nfilter:\n    rules:\n        - create\n"
        "        - many\n    selection: {errorCode: A}\n    condition: not selection\n"
    )
    (tmp_path / "a.yml").write_text(BASES + "---\n" + CORRELATION)
    (tmp_path / ("f.txt" if given else "f.yml")).write_text(text)
    with pytest.raises(SigmaError, match=r"Filter 'Known': it names the correlation 'many'; .*f\.(yml|txt):6$"):
        load_rules(tmp_path, filters=[tmp_path / "f.txt"] if given else [])


def test_correlations_made_in_python(tmp_path: Path) -> None:
    """A collection that was not loaded here is read as pySigma has kept it."""
    block: dict[str, Any] = {"type": "temporal", "rules": ["a", "b"], "timespan": "5m"}
    base: dict[str, Any] = {
        "logsource": {"product": "aws", "service": "cloudtrail"},
        "detection": {"selection": {"eventName": "A"}, "condition": "selection"},
    }
    rules = SigmaCollection.from_dicts(
        [{"title": "A", "name": "a", **base}, {"title": "B", "name": "b", **base}, {"title": "C", "correlation": block}]
    )
    [found] = resolve_correlations(rules.rules).correlations
    assert (found.name, found.count) == ("C", 2)


def test_stock_backends_convert_what_was_loaded(tmp_path: Path) -> None:
    """What is loaded is still for any backend of pySigma: a correlation after its rules, with its own number."""
    resolved(tmp_path, a=CORRELATION.replace("gte: 3", "gte: 2.5"), b=BASES)
    rules = load_rules(tmp_path)
    [query] = [query for query in ESQLBackend().convert(rules) if "event_count" in query]
    assert "event_count >= 3" in query
