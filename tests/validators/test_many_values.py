"""Rules with thousands of values and conditions: they take a little longer, not thousands of times as long."""

import time
from typing import Any

import pytest
from sigma.rule import SigmaRule

from sigma_stellar_aws.reference.aws_events import all_names
from sigma_stellar_aws.validators.issues import CloudTrailIssue, ImpossibleConditionIssue, MisspeltEventNameIssue
from sigma_stellar_aws.validators.stellar_aws import StellarAwsParameterValidator, validators

MOST_SECONDS = 4.0
"""Of this thread; ten times what is needed, and a third of what comparing each with each takes."""
SELECTION = {"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances"}
FIELD = "requestParameters.policyDocument"


def parsed(**detection: Any) -> SigmaRule:
    """A rule about CloudTrail."""
    document = {"title": "Many", "logsource": {"product": "aws", "service": "cloudtrail"}, "detection": detection}
    return SigmaRule.from_dict(document)


def issues(**detection: Any) -> list[CloudTrailIssue]:
    """What our validators report of a rule, in not too long a time."""
    rule = parsed(**detection)
    start = time.thread_time()
    found = [issue for validator in validators.values() for issue in validator().validate(rule)]
    assert time.thread_time() - start < MOST_SECONDS
    # Of other things that this rule lacks, nothing is asked here.
    return [issue for issue in found if isinstance(issue, (ImpossibleConditionIssue, MisspeltEventNameIssue))]


def test_ten_thousand_values() -> None:
    """One list of values."""
    values = [f"i-{number:08x}" for number in range(10_000)]
    assert issues(selection={**SELECTION, FIELD: values}, condition="selection") == []


@pytest.mark.parametrize("field", [FIELD, "userAgent"])
def test_three_thousand_parts(field: str) -> None:
    """Parts that one value has to contain, of a field with several values and of one with one."""
    parts = [f"part {number}" for number in range(3000)]
    assert issues(selection={**SELECTION, f"{field}|contains|all": parts}, condition="selection") == []


def test_what_parts_exclude_is_found_all_the_same() -> None:
    """A value beside them that lacks one of them."""
    parts = [f"part {number}" for number in range(1000)]
    selection = {"userAgent|contains|all": parts, "userAgent": " ".join(parts[1:])}
    assert len(issues(selection=SELECTION, more=[selection], condition="selection and more")) == 1


def test_three_thousand_conditions() -> None:
    """Each on a field of its own."""
    names = [f"s{number}" for number in range(3000)]
    selections = {name: {f"requestParameters.{name}": "v"} for name in names}
    assert issues(**selections, condition=" and ".join(names)) == []


def test_a_thousand_unknown_names() -> None:
    """Each gets its own proposal."""
    names = [f"{name[:-1]}zq" for name in sorted(all_names())[::17][:1000]]
    assert len(issues(selection={"eventName": names}, condition="selection")) > 800


@pytest.mark.parametrize("source", [{}, {"eventSource": "ec2.amazonaws.com"}], ids=["any source", "one source"])
@pytest.mark.parametrize("modifier", ["startswith", "contains"])
def test_a_thousand_unknown_patterns(source: dict[str, str], modifier: str) -> None:
    """None of them matches a name, which is known without trying each on each."""
    names = [f"{name[:-1]}zq" for name in sorted(all_names())[::17][:1000]]
    assert len(issues(selection={**source, f"eventName|{modifier}": names}, condition="selection")) > 800


@pytest.mark.parametrize("name", [{"eventName": "RunInstances"}, {}], ids=["one event", "all of a source"])
def test_a_thousand_unknown_parameters(name: dict[str, str]) -> None:
    """Each is looked for among all that the events have."""
    fields = {f"requestParameters.{name[:1].lower()}{name[1:-1]}zq": "v" for name in sorted(all_names())[::17][:1000]}
    selection = {"eventSource": "ec2.amazonaws.com", **name, **fields}
    assert issues(selection=selection, condition="selection") == []
    reported = StellarAwsParameterValidator().validate(parsed(selection=selection, condition="selection"))
    assert len(reported) > (800 if name else 0)
