"""Names of fields that CloudTrail does not have, and what was probably meant by them."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache

from sigma_stellar_aws.reference import cloudtrail_fields
from sigma_stellar_aws.reference.ecs_fields import ecs_places
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import FieldCaseIssue, ListPositionIssue, UnknownFieldIssue

ELSEWHERE = {
    "@timestamp": "eventTime",
    "aws.cloudtrail.error_code": "errorCode",
    "cloud.account.id": "recipientAccountId",
    "cloud.region": "awsRegion",
    "error.code": "errorCode",
    "event.action": "eventName",
    "event.provider": "eventSource",
    "source.address": "sourceIPAddress",
    "source.ip": "sourceIPAddress",
    "src_ip": "sourceIPAddress",
    "user_agent": "userAgent",
    "user_agent.original": "userAgent",
    "user_type": "userIdentity.type",
}
"""Names of the Elastic Common Schema and of Splunk's add-on for AWS, and the names of the same fields in CloudTrail."""


@cache
def _elsewhere() -> Mapping[str, str]:
    """Return what CloudTrail calls the fields of other schemas, those of Elastic's integration included."""
    places = [(place.field, name) for name, place in ecs_places().items() if place.field and "." in place.field]
    times = Counter(field for field, _ in places)
    return {**{field: name for field, name in places if times[field] == 1}, **ELSEWHERE}


_POSITION = re.compile(r"\.\d+(?=\.|$)|\[(?:\d+|\*)?\]|\{\}")


def name_of_flattened(field: str) -> str | None:
    """Return the CloudTrail name of which a field is the flattened form."""
    meant = None if "_" not in field or cloudtrail_fields.is_known(field) else cloudtrail_fields.nearest_field(field)
    return meant if meant is not None and "." in meant and flat_name(meant) == field else None


def without_positions(field: str) -> str:
    """Return a field without the positions of elements in lists, however they are written.

    >>> without_positions("resources.0.ARN"), without_positions("requestParameters.tags[].key")
    ('resources.ARN', 'requestParameters.tags.key')
    """
    return _POSITION.sub("", field)


def position_fault(field: str) -> Fault | None:
    """Return what is wrong with a field that names an element of a list by its position; None for any other."""
    meant = without_positions(field)
    if meant == field or not meant:
        return None
    return Fault(
        ListPositionIssue, f"{field!r} has a position in a list, which no field has; write {meant}, for any element."
    )


def field_problem(field: str) -> str | None:
    """Return what is wrong with a field by which events are told apart or counted; None if events can have it."""
    if fault := position_fault(field):
        return fault.problem
    if holds_an_object(field):
        return f"{field!r} is an object; name the field inside it that tells events apart."
    if cloudtrail_fields.is_known(field):
        return None
    meant = name_of_flattened(field) or _elsewhere().get(field) or cloudtrail_fields.nearest_field(field)
    return f"CloudTrail has no field {field!r}{f'; write {meant}' if meant else ''}."


def unknown_field(field: str) -> Fault:
    """Return what is wrong with a name that no CloudTrail record has."""
    meant = _elsewhere().get(field) or cloudtrail_fields.nearest_field(field)
    if meant is None:
        problem = f"CloudTrail has no field {field!r}; copy the name from an event, with a dot for each level."
        return Fault(UnknownFieldIssue, problem)
    if meant.casefold() == field.casefold():
        return Fault(FieldCaseIssue, f"CloudTrail's field is {meant}, not {field!r}; the case of field names counts.")
    return Fault(UnknownFieldIssue, f"CloudTrail has no field {field!r}; write {meant}.")


def holds_an_object(field: str) -> bool:
    """Tell whether a field holds an object, and so has no value of its own."""
    return field in cloudtrail_fields.FIELDS and cloudtrail_fields.FIELDS[field].kind in ("object", "open object")
