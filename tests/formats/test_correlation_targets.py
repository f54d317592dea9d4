"""What the reference says becomes of each kind of correlation, against what does."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sigma.exceptions import SigmaError

import sigma_stellar_aws
from tests.support.correlated import CORRELATION_ID, correlation, counted
from tests.support.formats import convert

PAGE = (Path(sigma_stellar_aws.__file__).parent / "REFERENCE.md").read_text("utf-8")
WHO = {"who": {"a": "userIdentity.arn", "b": "requestParameters.userName"}}
INNER = {**correlation("temporal", "a", "b", top={"name": "inner"}), "id": "00000000-0000-4000-8000-0000000000ff"}
RULES: dict[str, list[dict[str, Any]]] = {
    "`event_count` of 2 to 100": [correlation("event_count", "a", condition={"gte": 100})],
    "`event_count` of others": [correlation("event_count", "a", condition={"gt": 100})],
    "`value_count`": [correlation("value_count", "a", "b", condition={"gte": 3, "field": "eventName"})],
    "`temporal`": [correlation("temporal", "a", "b")],
    "`temporal_ordered`": [correlation("temporal_ordered", "a", "b")],
    "`temporal` with `and`, `or`": [correlation("temporal", "a", "b", "c", condition="a and (b or c)")],
    "`temporal_ordered` with `or`": [correlation("temporal_ordered", "a", "b", "c", condition="a and (b or c)")],
    "of correlations": [INNER, correlation("temporal", "inner", "c")],
    "an alias for other fields in each rule, in order": [
        correlation("temporal_ordered", "a", "b", by=("who",), aliases=WHO)
    ],
    "such an alias, counted": [correlation("event_count", "a", "b", by=("who",), aliases=WHO, condition={"gte": 3})],
}
TARGETS: dict[str, Sequence[tuple[str, dict[str, Any]]]] = {
    "`elastic_rule`": [("elastic_rule", {})],
    "`opensearch_monitor`": [("opensearch_monitor", {}), ("opensearch_monitor", {"monitor": "bucket"})],
    "monitors of documents, `opensearch_detector`": [
        ("opensearch_monitor", {"monitor": "document"}),
        ("opensearch_detector", {}),
    ],
    "`default`, `pack`": [("default", {}), ("pack", {})],
}


def table() -> dict[str, dict[str, str]]:
    """The table of the page, by the kind of correlation and the target."""
    text = PAGE[PAGE.index("| correlation | `alerts` |") :].partition("\n\n")[0]
    [head, _, *others] = [row.strip("| ").split(" | ") for row in text.splitlines()]
    return {name: dict(zip(head[1:], cells, strict=True)) for name, *cells in others}


def made(rules: list[dict[str, Any]], output_format: str, **options: Any) -> Any:
    """What becomes of a correlation alone; nothing if it is refused."""
    bases = [counted(letter) for letter in "abc"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = convert(output_format, *bases, *rules, **options)
        except SigmaError:
            return None
    return next((body for body in reversed(found) if CORRELATION_ID in str(body)), None)


def test_the_table_has_each_kind_and_target() -> None:
    """And no other."""
    assert [*table()] == [*RULES]
    assert {(*row,) for row in table().values()} == {("`alerts`", *TARGETS)}
    assert {row["`alerts`"] for row in table().values()} == {"exact"}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", RULES)
def test_what_the_reference_says_of_a_target(kind: str, target: str) -> None:
    """What is exact needs no option, what is inexact does, and what is refused is refused with it, too."""
    said, _, how = table()[kind][target].partition(": ")
    for output_format, options in TARGETS[target]:
        plainly = made(RULES[kind], output_format, **options)
        asked = made(RULES[kind], output_format, inexact="warn", **options)
        becomes = "exact" if plainly else "inexact" if asked else "refused"
        assert becomes.replace("exact", "superset") == said if said == "superset" else becomes == said
        assert {"a sequence": "eql", "a threshold": "threshold", "": ""}[how] in str(asked)
