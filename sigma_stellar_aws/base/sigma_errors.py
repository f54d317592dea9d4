"""What this project refuses in rules, as errors and warnings that pySigma and sigma-cli know how to show."""

from typing import Any

from sigma.exceptions import SigmaConfigurationError, SigmaError, SigmaRuleLocation


class _CopyableError(Exception):
    """What is copied with the rules that it is about, though its constructor takes other than its arguments."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how a copy is made: by what it holds."""
        return _unmade, (type(self), self.args), self.__dict__


def _unmade(kind: type[Exception], arguments: tuple[Any, ...]) -> Exception:
    """Return an error that has not gone through its constructor."""
    return kind.__new__(kind, *arguments)


class UnsupportedRuleError(_CopyableError, SigmaError):
    """A whole rule that cannot be converted."""

    def __init__(self, rule: str, reason: str, source: SigmaRuleLocation | None = None, hint: str = "") -> None:
        """Name the rule (its title), the reason, and what to do in ``sigma convert``."""
        super().__init__(f"Rule {rule!r}: {reason}{hint}", source=source)
        self.reason = reason


class UnsupportedConditionError(UnsupportedRuleError):
    """A condition that cannot be converted exactly."""

    def __init__(self, rule: str, field: str | None, reason: str, source: SigmaRuleLocation | None = None) -> None:
        """Name the rule (its title), the field (None for a search without one) and the reason."""
        where = f"field {field!r}" if field is not None else "search without a field"
        super().__init__(rule, f"{where}: {reason}", source)


class CorrelationError(UnsupportedRuleError):
    """A correlation rule, or a filter of one, that is not as it should be."""

    def __init__(
        self,
        title: str,
        reason: str,
        source: SigmaRuleLocation | None = None,
        *,
        is_filter: bool = False,
        silenced: tuple[str, ...] = (),
    ) -> None:
        """Name the rule (its title), the reason, the place, and the rules that do not alert by themselves for it."""
        super().__init__(title, reason, source)
        self.silenced = silenced
        if is_filter:
            self.args = (f"Filter {title!r}: {reason}",)


class RuleBlockError(_CopyableError, SigmaConfigurationError):
    """The block ``stellar`` of a rule is not as it should be."""

    def __init__(self, rule: str, reason: str, source: SigmaRuleLocation | None = None) -> None:
        """Name the rule (its title), the reason and the file."""
        super().__init__(f"Rule {rule!r}: stellar: {reason}", source=source)
        self.reason = f"stellar: {reason}"


class StoreProfileError(_CopyableError, SigmaConfigurationError):
    """A store profile is not as it should be."""

    def __init__(self, where: str, reason: str) -> None:
        """Name the file and the reason."""
        super().__init__(f"{where}: {reason}")
        self.reason = reason


class InexactQueryWarning(UserWarning):
    """A condition was converted on request though the data store cannot answer it exactly."""

    def __init__(self, rule: str, field: str, kind: str, reason: str) -> None:
        """Name the rule (its title), the field, the kind of doubt (see ``field_queries.Doubt``) and the reason."""
        super().__init__(f"Rule {rule!r}: field {field!r}: {reason}")
        self.rule = rule
        self.field = field
        self.kind = kind
        self.reason = reason


class InexactCorrelationWarning(UserWarning):
    """A correlation was converted on request though its target counts otherwise; the text says which way it errs."""


class LeftOutWarning(UserWarning):
    """Something of a rule was left out that its target cannot hold; what the rule finds is not touched by it."""


class AssumptionWarning(UserWarning):
    """What was made of rules is right only if its target is set up as this warning assumes, which was not checked."""


def reason_of(error: Exception) -> str:
    """Return why a rule is refused, without its title and its file, for a text that has these.

    >>> reason_of(UnsupportedRuleError("Some Rule", "it has no id"))
    'it has no id'
    """
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, str) else str(error.args[0] if error.args else error)
