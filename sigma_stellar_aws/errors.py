"""What this project refuses, as errors that pySigma and sigma-cli know how to show."""

from sigma.exceptions import SigmaConfigurationError, SigmaError, SigmaRuleLocation


class UnsupportedRuleError(SigmaError):
    """A whole rule that cannot be converted."""

    def __init__(self, rule: str, reason: str, source: SigmaRuleLocation | None = None) -> None:
        """Name the rule (its title) and the reason."""
        super().__init__(f"Rule {rule!r}: {reason}", source=source)


class UnsupportedConditionError(UnsupportedRuleError):
    """A condition that cannot be converted exactly."""

    def __init__(self, rule: str, field: str | None, reason: str, source: SigmaRuleLocation | None = None) -> None:
        """Name the rule (its title), the field (None for a search without one) and the reason."""
        where = f"field {field!r}" if field is not None else "search without a field"
        super().__init__(rule, f"{where}: {reason}", source)


class StoreError(Exception):
    """The data store cannot be used, or did not do what it was asked; the message is for people."""


class RuleBlockError(SigmaConfigurationError):
    """The block ``stellar`` of a rule is not as it should be."""
