"""What the validators report."""

from dataclasses import dataclass
from typing import ClassVar

from sigma.validators.base import SigmaValidationIssue, SigmaValidationIssueSeverity

from sigma_stellar_aws.base.yaml_positions import YamlPath

_LOW, _MEDIUM, _HIGH = SigmaValidationIssueSeverity


@dataclass
class CloudTrailIssue(SigmaValidationIssue):
    """A fault of a rule about CloudTrail records."""

    severity: ClassVar[SigmaValidationIssueSeverity] = _MEDIUM
    problem: str
    """One sentence about this very fault: what is wrong, and what to write instead."""
    at: YamlPath
    """Keys into the YAML document of the rule; the last one may be missing there."""


class WrongEventNameIssue(CloudTrailIssue):
    """A text that can be no event name."""

    description: ClassVar[str] = "No event has this name"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class MisspeltEventNameIssue(CloudTrailIssue):
    """An unknown event name, or part of one, that is probably misspelt."""

    description: ClassVar[str] = "No such event is known"


class UnlistedEventNameIssue(CloudTrailIssue):
    """An unknown event name that is like no other."""

    description: ClassVar[str] = "The table of AWS events lacks this name"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class WrongEventSourceIssue(CloudTrailIssue):
    """A text that can be no eventSource, or that of another service."""

    description: ClassVar[str] = "No event has this source"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class UnlistedEventSourceIssue(CloudTrailIssue):
    """An unknown eventSource that is like no other."""

    description: ClassVar[str] = "The table of AWS events lacks this source"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class MisspeltEventSourceIssue(CloudTrailIssue):
    """An unknown eventSource, where another was probably meant."""

    description: ClassVar[str] = "The table of AWS events lacks this source"


class IdleEventSourceIssue(CloudTrailIssue):
    """One of several sources that has none of the events beside it."""

    description: ClassVar[str] = "None of the events has this source"


class CaseIssue(CloudTrailIssue):
    """A known name in another case, where the rule ignores case."""

    description: ClassVar[str] = "The name differs in case from that in events"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class ImpossibleConditionIssue(CloudTrailIssue):
    """A part of a condition that holds for no event."""

    description: ClassVar[str] = "No event can meet this condition"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class UnknownValueIssue(CloudTrailIssue):
    """A value that a field is documented not to have, such as a type of identity."""

    description: ClassVar[str] = "The field has no such value"


class FlattenedFieldIssue(CloudTrailIssue):
    """A field name of a flattened record."""

    description: ClassVar[str] = "The field name is a flattened one"


class FieldCaseIssue(CloudTrailIssue):
    """A field name that differs from CloudTrail's in case."""

    description: ClassVar[str] = "The field name differs in case from CloudTrail's"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class UnknownFieldIssue(CloudTrailIssue):
    """A field name that CloudTrail does not have."""

    description: ClassVar[str] = "CloudTrail does not have this field"


class MisspeltParameterIssue(CloudTrailIssue):
    """A field that the events do not have in their requests or responses, where another was probably meant."""

    description: ClassVar[str] = "None of the events has this field"


class UnlistedParameterIssue(CloudTrailIssue):
    """A field that the events are not known to have, and that is like no other."""

    description: ClassVar[str] = "The table of parameters lacks this field"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class ParameterKindIssue(CloudTrailIssue):
    """A comparison with what a field never holds, such as a word where it is true or false."""

    description: ClassVar[str] = "The field never holds such a value"


class UnlistedParameterValueIssue(CloudTrailIssue):
    """A value that is not in the list of those that a field can have."""

    description: ClassVar[str] = "The list of the field's values lacks this one"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class ErrorCodePrefixIssue(CloudTrailIssue):
    """An error code without the prefix that its service mostly writes."""

    description: ClassVar[str] = "The error code lacks its prefix"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class WholeObjectIssue(CloudTrailIssue):
    """A condition on an object as a whole."""

    description: ClassVar[str] = "The field is an object, which has no value of its own"


class SharedListIssue(CloudTrailIssue):
    """Two conditions on one list, which different elements of it can meet."""

    description: ClassVar[str] = "Two elements of a list can meet this together"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class LoneStarIssue(CloudTrailIssue):
    """A wildcard where the character is meant."""

    description: ClassVar[str] = "A lone * asks for any value"


class LogSourceIssue(CloudTrailIssue):
    """A log source that was meant to be CloudTrail's."""

    description: ClassVar[str] = "The log source is not that of CloudTrail"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class MisspeltKeyIssue(CloudTrailIssue):
    """A key of a rule that was meant to be another."""

    description: ClassVar[str] = "Nothing reads this key"


class UnknownKeyIssue(CloudTrailIssue):
    """A key of the block ``stellar`` that it cannot have."""

    description: ClassVar[str] = "The block stellar has no such key"


class ListPositionIssue(CloudTrailIssue):
    """A field with a position in a list."""

    description: ClassVar[str] = "Flattened records have no positions in lists"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class DeadPartIssue(CloudTrailIssue):
    """A part of a condition that decides nothing."""

    description: ClassVar[str] = "A part of the condition decides nothing"


class NeedlessPartIssue(CloudTrailIssue):
    """A part of a rule without which it would say the same."""

    description: ClassVar[str] = "A part of the rule changes nothing"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class WideConditionIssue(CloudTrailIssue):
    """A condition that almost every event meets."""

    description: ClassVar[str] = "Almost every event meets this condition"


class PlainPatternIssue(CloudTrailIssue):
    """A regular expression without the modifier for it."""

    description: ClassVar[str] = "A regular expression needs the modifier |re"


class UnversionedEventNameIssue(CloudTrailIssue):
    """An event name without the version that CloudTrail writes at its end."""

    description: ClassVar[str] = "The event name lacks its version"


class SeverityIssue(CloudTrailIssue):
    """A severity that is not a number from 0 to 100."""

    description: ClassVar[str] = "The severity is missing or wrong"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class SeverityOfLevelIssue(CloudTrailIssue):
    """Severity and level that do not agree."""

    description: ClassVar[str] = "Severity and level do not agree"


class SuppressionIssue(CloudTrailIssue):
    """A suppression that cannot be understood."""

    description: ClassVar[str] = "The suppression is malformed"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class SuppressionFieldIssue(CloudTrailIssue):
    """A field of a suppression that no alert has."""

    description: ClassVar[str] = "The suppression names a field that no event has"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class TriageIssue(CloudTrailIssue):
    """A triage that is not a list of texts."""

    description: ClassVar[str] = "The triage is malformed"
    severity: ClassVar[SigmaValidationIssueSeverity] = _HIGH


class UnknownAttackTagIssue(CloudTrailIssue):
    """A tag of no tactic or technique."""

    description: ClassVar[str] = "ATT&CK has no such tactic or technique"


class OutdatedAttackTagIssue(CloudTrailIssue):
    """A tag of an older version of ATT&CK, or an older way to write one."""

    description: ClassVar[str] = "The ATT&CK tag is outdated"
    severity: ClassVar[SigmaValidationIssueSeverity] = _LOW


class AttackTacticIssue(CloudTrailIssue):
    """A technique of a tactic that is not tagged."""

    description: ClassVar[str] = "The ATT&CK technique belongs to none of the tagged tactics"
