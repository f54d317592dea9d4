"""Correlation rules: found with the rules that they count, and converted after those.

Not by pySigma's own means, which lose a part of what a correlation states (``rule_files.stated_correlation``), and
convert one that stands before its rules without them. What a correlation cannot be in a format, that format refuses.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sigma.collection import SigmaCollection
from sigma.conversion.state import ConversionState
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from sigma_stellar_aws.backends.outputs import AnyConverted, OneCondition, OutputFormats
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import UnsupportedRuleError, reason_of
from sigma_stellar_aws.formats.converted_correlation import ConvertedCorrelation, converted_correlation
from sigma_stellar_aws.formats.converted_rule import ConvertedRule, joined
from sigma_stellar_aws.formats.correlation_search import correlation_search
from sigma_stellar_aws.rule_files.correlations import (
    Correlation,
    Member,
    is_only_counted,
    keep_generate,
    resolve_correlations,
)
from sigma_stellar_aws.rule_files.load import AnyRule
from sigma_stellar_aws.rule_files.stellar_block import rule_name

_SEARCHES = ("default", "pack")
"""Formats whose output are search bodies, those of correlations among them."""

_Callback = Callable[[AnyRule, str | None, int, Any, Any], Any]


class Correlations(OutputFormats):
    """The correlations among the rules of a conversion."""

    def __init__(self, processing_pipeline: ProcessingPipeline, collect_errors: bool) -> None:
        """Set up a conversion by a pipeline."""
        super().__init__(processing_pipeline, collect_errors)
        self._correlations: dict[str, Correlation] = {}
        self._silent: set[str] = set()
        self._members: dict[str, SigmaRule] = {}
        """Rules that were converted, by their names."""
        self._asked: dict[int, list[tuple[JsonObject, int, ConversionState]]] = {}
        """What came of the conditions of rules that correlations count, by the rules."""

    def convert(
        self,
        rule_collection: SigmaCollection,
        output_format: str | None = None,
        correlation_method: str | None = None,
        callback: _Callback | None = None,
    ) -> Any:
        """Convert rules, correlations after the rules that they count.

        A rule that a correlation names is output only if one of these says ``generate``; its search body is, always.
        """
        # What a user's filters are about, pySigma looks for itself.
        rules = [rule for rule in rule_collection.rules if not isinstance(rule, SigmaFilter)]
        for rule in rules:
            if isinstance(rule, SigmaCorrelationRule):
                keep_generate(rule)
        resolved = resolve_correlations(rules)
        for (rule, _), error in zip(resolved.faults, resolved.errors, strict=True):
            self._collect(rule, error)
        self._members, self._asked = {}, {}
        self._correlations = {each.name: each for each in resolved.correlations}
        self._silent = {rule_name(rule) for rule in rules if is_only_counted(rule)}
        if (output_format or self.default_format) != self.default_format:
            self._silent |= resolved.silent
        self._counted_fields = _fields_of_members(resolved.correlations)
        places = {name: place for place, name in enumerate(self._correlations)}
        known = [rule for rule in rules if isinstance(rule, SigmaCorrelationRule) and not self._shares_id(rule, rules)]
        usable = sorted((rule for rule in known if rule_name(rule) in places), key=lambda rule: places[rule_name(rule)])
        others = [rule for rule in rule_collection.rules if not isinstance(rule, SigmaCorrelationRule)]
        ordered = SigmaCollection([*others, *usable], resolve_references=False)
        return super().convert(ordered, output_format, correlation_method, callback)

    def convert_rule(
        self, rule: SigmaRule, output_format: str | None = None, callback: _Callback | None = None
    ) -> list[Any]:
        """Convert a rule, and remember it for the correlations that count it."""
        errors = len(self.errors)
        super().convert_rule(rule, output_format, callback)
        if len(self.errors) > errors:
            return []
        name = rule_name(rule)
        self._members.setdefault(name, rule)
        found: list[Any] = rule.get_conversion_result()
        return [] if name in self._silent else found

    def finalize_query(
        self, rule: AnyRule, query: JsonObject, index: int, state: ConversionState, output_format: str
    ) -> Any:
        """Finalize what came of one condition, and keep it for the correlations that count its rule."""
        if self._counted_fields and rule_name(rule) in self._counted_fields:
            self._asked.setdefault(id(rule), []).append((query, index, state))
        return super().finalize_query(rule, query, index, state, output_format)

    def convert_correlation_rule(
        self,
        rule: SigmaCorrelationRule,
        output_format: str | None = None,
        method: str | None = None,
        callback: _Callback | None = None,
    ) -> list[OneCondition[AnyConverted] | JsonObject]:
        """Return a correlation with its rules, for the format, or a search body.

        Refused ones ``sigma convert -s`` can skip.
        """
        name = rule_name(rule)
        if name in self._silent:
            return []
        try:
            self.last_processing_pipeline.apply(rule)
            converted = self._with_members(rule, self._correlations[name])
            searched = correlation_search(converted) if output_format in _SEARCHES else None
        except SigmaError as error:
            self._collect(rule, error)
            return []
        made: Any = searched or OneCondition[AnyConverted](0, rule, converted)
        if callback is not None:
            made = callback(rule, output_format, 0, None, made)
        found = [] if made is None else [made]
        rule.set_conversion_result(found)
        return found

    def _shares_id(self, correlation: SigmaCorrelationRule, rules: Iterable[AnyRule]) -> bool:
        """Tell whether a correlation has the id of another rule, and if so refuse it: nothing tells them apart."""
        name = rule_name(correlation)
        if not any(rule_name(rule) == name for rule in rules if rule is not correlation):
            return False
        self._collect(correlation, _refused(correlation, f"another rule has the same id ({name})"))
        return True

    def _with_members(self, rule: SigmaCorrelationRule, correlation: Correlation) -> ConvertedCorrelation:
        members = [(member, self._member(rule, member)) for member in correlation.members]
        return converted_correlation(rule, correlation, members)

    def _member(self, rule: SigmaCorrelationRule, member: Member) -> ConvertedRule:
        if member.is_correlation:
            reason = f"it counts the correlation {member.title!r}, and a data store holds events, not correlations"
            raise _refused(rule, f"{reason}; sigma-stellar-aws alerts can")
        if member.name not in self._members:
            failed = [error for failed, error in self.errors if rule_name(failed) == member.name]
            reasons = [reason_of(error) for error in failed]
            raise _refused(rule, f"the rule {member.title!r}, which it counts, is left out: {'; '.join(reasons)}")
        counted = self._members[member.name]
        return joined([self._converted(counted, *asked) for asked in self._asked[id(counted)]])

    def _no_correlation(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[JsonObject]:
        # pySigma declares one abstract method for each kind; none of them is called.
        raise NotImplementedError

    convert_correlation_event_count_rule = _no_correlation
    convert_correlation_value_count_rule = _no_correlation
    convert_correlation_value_sum_rule = _no_correlation
    convert_correlation_value_avg_rule = _no_correlation
    convert_correlation_value_percentile_rule = _no_correlation
    convert_correlation_value_median_rule = _no_correlation
    convert_correlation_temporal_rule = _no_correlation
    convert_correlation_temporal_ordered_rule = _no_correlation
    convert_correlation_extended_temporal_rule = _no_correlation
    convert_correlation_extended_temporal_ordered_rule = _no_correlation


def _fields_of_members(correlations: list[Correlation]) -> dict[str, tuple[str, ...]]:
    fields: dict[str, dict[str, None]] = {}
    for member in (member for correlation in correlations for member in correlation.members):
        fields.setdefault(member.name, {}).update(dict.fromkeys((*member.key, *member.values)))
    return {name: tuple(names) for name, names in fields.items()}


def _refused(rule: SigmaCorrelationRule, reason: str) -> UnsupportedRuleError:
    return UnsupportedRuleError(rule.title or rule_name(rule), reason, rule.source)
