"""Regular expressions that are written as plain values, and so are looked for letter by letter."""

import re
from collections.abc import Iterable, Iterator

from sigma.types import SigmaString

from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.validators.condition_tree import FieldComparison
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import PlainPatternIssue
from sigma_stellar_aws.validators.sigma_values import shown

# What nobody writes but for a regular expression: names and texts of AWS have no such signs side by side.
_EXPRESSION = re.compile(
    r"\^\w.*|\^?\.\*.+|.*\S(\.[*+]|\\[dws][*+]?|\[[^\]]+\][*+]?)\$|.*\(\w+(\|\w+)+\).*|.*\\[dws][*+].*"
)


def plain_patterns(comparisons: Iterable[FieldComparison]) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield values that were meant to be regular expressions."""
    for comparison in comparisons:
        for value in comparison.values:
            if isinstance(value.value, SigmaString) and not value.value.contains_placeholder():
                written = shown(value.value)
                if _EXPRESSION.fullmatch(written.strip("*") if _is_within(comparison.at) else written):
                    problem = f"{written!r} looks like a regular expression; write {comparison.field}|re for one."
                    yield Fault(PlainPatternIssue, problem), value.at


def _is_within(at: YamlPath) -> bool:
    """Tell whether a modifier has put stars around the values at a place."""
    return any("|" in str(part) for part in at)
