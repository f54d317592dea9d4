"""The limits behind issues of pySigma's and SigmaHQ's validators, which say only that one is exceeded."""

from collections.abc import Callable, Mapping
from pathlib import Path

from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule
from sigma.validators.base import SigmaRuleValidator

from sigma_stellar_aws.base.text import plural

_AnyRule = SigmaRule | SigmaCorrelationRule


def limits_of(name: str, validator: SigmaRuleValidator, rule: _AnyRule) -> str:
    """Return what a validator demands, and what the rule has instead; empty where its issue says it, or for others."""
    return _LIMITS[name](validator, rule) if name in _LIMITS else ""


def _file(rule: _AnyRule) -> Path:
    return rule.source.path if rule.source else Path()


def _file_length(validator: SigmaRuleValidator, rule: _AnyRule) -> str:
    least, most = getattr(validator, "min_size", 10), getattr(validator, "max_size", 90)
    return f"{plural(len(_file(rule).name), 'character')}, where {least} to {most} are allowed, .yml included"


def _file_convention(_: SigmaRuleValidator, rule: _AnyRule) -> str:
    # Its pattern is within a function, so that it cannot be asked.
    return "10 to 90 small letters, digits and _, at least one _ among them, and .yml at the end"


def _title_length(validator: SigmaRuleValidator, rule: _AnyRule) -> str:
    most = getattr(validator, "max_length", 120)
    return f"{plural(len(rule.title), 'character')}, where at most {most} are allowed"


def _description_length(validator: SigmaRuleValidator, rule: _AnyRule) -> str:
    least = getattr(validator, "description_len", 16)
    return f"{plural(len(rule.description or ''), 'character')}, where at least {least} are wanted"


_LIMITS: Mapping[str, Callable[[SigmaRuleValidator, _AnyRule], str]] = {
    "filename_length": _file_length,
    "sigmahq_filename_convention": _file_convention,
    "sigmahq_title_length": _title_length,
    "sigmahq_description_length": _description_length,
}
