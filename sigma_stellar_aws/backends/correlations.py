"""Correlation rules, which the backend refuses: one search does not count events."""

from collections.abc import Callable
from typing import Any, cast

from sigma.conversion.base import Backend
from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import UnsupportedRuleError
from sigma_stellar_aws.rule_files.load import AnyRule


class RefusedCorrelations(Backend):
    """The one refusal of correlations under the many names that pySigma has for it."""

    def convert_correlation_rule(
        self,
        rule: SigmaCorrelationRule,
        output_format: str | None = None,
        method: str | None = None,
        callback: Callable[[AnyRule, str | None, int, Any, Any], Any] | None = None,
    ) -> list[JsonObject]:
        """Refuse correlations, in a way that ``sigma convert --skip-unsupported`` can skip."""
        error = UnsupportedRuleError(
            rule.title or str(rule.id),
            "a correlation counts events, which one search cannot; sigma-stellar-aws alerts does",
            rule.source,
        )
        if not self.collect_errors:
            raise error
        self.errors.append((cast(SigmaRule, rule), error))
        return []

    def _no_correlation(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[JsonObject]:
        return self.convert_correlation_rule(rule)

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
