"""A converted correlation with all that the formats say of it, and of the rules that it counts."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from sigma.correlations import SigmaCorrelationRule

from sigma_stellar_aws.formats import lucene_text
from sigma_stellar_aws.formats.converted_rule import ConvertedRule, counted_fields
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.rule_files.counted import Correlation, Member


class CountedRule(NamedTuple):
    """A rule that a correlation counts."""

    converted: ConvertedRule
    key: tuple[str, ...]
    """For each field that is grouped by, its name in the store."""
    values: tuple[str, ...]
    """Names in the store of the fields whose values are counted."""


class ConvertedCorrelation(NamedTuple):
    """A correlation of rules, none of which is a correlation itself."""

    whole: ConvertedRule
    """What it is beside that it counts, as of a rule that matches every event that it counts."""
    correlation: Correlation
    rules: tuple[CountedRule, ...]
    """In the order of its members."""

    @property
    def key(self) -> tuple[str, ...]:
        """The fields that it groups by, where they are the same in all its rules.

        Raises:
            UnsupportedRuleError: they are not.
        """
        return self._common("key", [rule.key for rule in self.rules])

    @property
    def values(self) -> tuple[str, ...]:
        """The fields whose values it counts, where they are the same in all its rules.

        Raises:
            UnsupportedRuleError: they are not.
        """
        return self._common("values", [rule.values for rule in self.rules])

    def refuse(self, reason: str) -> NoReturn:
        """Refuse the correlation.

        Raises:
            UnsupportedRuleError: always.
        """
        self.whole.refuse(reason)

    def _common(self, what: str, of_rules: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        for other in of_rules:
            if other != of_rules[0]:
                named = " and ".join(", ".join(names) for names in (of_rules[0], other))
                self.refuse(f"its rules have their {what} in different fields ({named}), which one query cannot join")
        return of_rules[0]


def converted_correlation(
    rule: SigmaCorrelationRule, correlation: Correlation, members: Iterable[tuple[Member, ConvertedRule]]
) -> ConvertedCorrelation:
    """Return a correlation with its rules, given each of these as it was converted.

    Raises:
        UnsupportedRuleError: its rules are for different indices, or the store cannot group by a field.
    """
    known = list(members)
    first = known[0][1]
    parts = [converted for _, converted in known]
    whole = first._replace(rule=rule, clause=dsl.any_of(part.clause for part in parts))
    if len(parts) > 1:
        whole = whole._replace(lucene=lucene_text.any_text_of([part.lucene for part in parts]))
    for part in parts:
        if (part.indices, part.time_field, part.new_by) != (first.indices, first.time_field, first.new_by):
            whole.refuse(
                f"its rules are for different indices or times: {first.title!r} for {', '.join(first.indices)} by "
                f"{first.time_field}, {part.title!r} for {', '.join(part.indices)} by {part.time_field}"
            )
    rules: list[CountedRule] = []
    for member, part in known:
        # What cannot be done is reported for the correlation, in whose rule the fields are.
        told = part._replace(rule=rule)
        rules.append(CountedRule(part, counted_fields(told, member.key), counted_fields(told, member.values)))
    return ConvertedCorrelation(whole, correlation, tuple(rules))
