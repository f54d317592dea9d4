"""A correlation rule with the rules that it counts, each of them converted."""

from typing import NamedTuple

from sigma_stellar_aws.formats.converted_rule import ConvertedRule
from sigma_stellar_aws.rule_files.counted import Correlation


class ConvertedCorrelation(NamedTuple):
    """A correlation of rules about single events, as its artefacts need it."""

    whole: ConvertedRule
    """The correlation as if it were such a rule, whose query finds the events of any rule that it counts."""
    correlation: Correlation
    """Its fields are those of CloudTrail; ``names`` of a member has them in the store."""
    members: tuple[ConvertedRule, ...]
    """The rules that it counts, in its order."""
