"""Error codes that a service writes with a prefix, such as ``Client.UnauthorizedOperation``."""

from sigma_stellar_aws.reference.event_data import PREFIXED_ERRORS
from sigma_stellar_aws.validators.asked_events import asked_events
from sigma_stellar_aws.validators.condition_tree import FieldComparison, Value, Way
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import ErrorCodePrefixIssue
from sigma_stellar_aws.validators.sigma_values import any_matches, text


def error_code_fault(value: Value, comparison: FieldComparison, way: Way) -> Fault | None:
    """Return a fault if a value is an error code without its prefix, and no value beside it matches the one with it."""
    exact = text(value.value)
    events = asked_events(way) if exact else None
    if exact is None or events is None:
        return None
    for source, codes in PREFIXED_ERRORS.items():
        written = next((code for code in codes if code.partition(".")[2].lower() == exact.lower()), None)
        is_of_source = {one for one, _ in events.kinds} == {source}
        if written and is_of_source and not any(any_matches(one.value, [written]) for one in comparison.values):
            problem = f"{source} mostly writes {written}, which this does not match; write errorCode|endswith: {exact}."
            return Fault(ErrorCodePrefixIssue, problem)
    return None
