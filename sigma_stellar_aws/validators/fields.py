"""Names of fields that CloudTrail does not have, and what was probably meant by them."""

from sigma_stellar_aws.reference import cloudtrail_fields
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import FieldCaseIssue, SuppressionFieldIssue, UnknownFieldIssue

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


def name_of_flattened(field: str) -> str | None:
    """Return the CloudTrail name of which a field is the flattened form."""
    meant = None if "_" not in field or cloudtrail_fields.is_known(field) else cloudtrail_fields.nearest_field(field)
    return meant if meant is not None and "." in meant and flat_name(meant) == field else None


def unknown_field(field: str) -> Fault:
    """Return what is wrong with a name that no CloudTrail record has."""
    meant = ELSEWHERE.get(field) or cloudtrail_fields.nearest_field(field)
    if meant is None:
        return Fault(UnknownFieldIssue, f"CloudTrail has no field {field!r}.")
    if meant.casefold() == field.casefold():
        return Fault(FieldCaseIssue, f"CloudTrail's field is {meant}, not {field!r}; the case of field names counts.")
    return Fault(UnknownFieldIssue, f"CloudTrail has no field {field!r}; write {meant}.")


def holds_an_object(field: str) -> bool:
    """Tell whether a field holds an object, and so has no value of its own."""
    return field in cloudtrail_fields.FIELDS and cloudtrail_fields.FIELDS[field].kind in ("object", "open object")


def suppression_field(field: str) -> Fault:
    """Return what is wrong with a field of a suppression, which no event has."""
    if holds_an_object(field):
        return Fault(
            SuppressionFieldIssue, f"{field!r} is an object; name the field inside it that tells alerts apart."
        )
    meant = name_of_flattened(field) or ELSEWHERE.get(field) or cloudtrail_fields.nearest_field(field)
    return Fault(SuppressionFieldIssue, f"CloudTrail has no field {field!r}{f'; write {meant}' if meant else ''}.")
