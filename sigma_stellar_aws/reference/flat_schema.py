"""The names and values of flattened CloudTrail records."""

from typing import TypeAlias

from sigma_stellar_aws.base.json_types import Scalar

Document: TypeAlias = dict[str, Scalar | list[Scalar]]
"""A flattened record: no nesting, no nulls; a list is a field with several values."""

TIME_FIELD = "timestamp"
"""Field with the time of an event, in milliseconds since 1970-01-01 UTC, as the platform has it."""


def flat_name(field: str | None) -> str:
    """The flattened name of a dotted field name.

    ``userIdentity.type`` becomes ``userIdentity_type``; the case stays (seen in the platform's own rules).
    """
    return (field or "").replace(".", "_")


def text_of(value: Scalar) -> str:
    """The text of a value as an index sees it, which reads a number as it is written in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# Alerts are told apart and read by these, and the filters beside the rules test them.
EVENT_FIELDS = (
    "awsRegion",
    "errorCode",
    "eventID",
    "eventName",
    "eventSource",
    "eventTime",
    "recipientAccountId",
    "responseElements_ConsoleLogin",
    "sourceIPAddress",
    "userIdentity_accountId",
    "userIdentity_arn",
    "userIdentity_invokedBy",
    "userIdentity_principalId",
    "userIdentity_type",
    "userIdentity_userName",
)
