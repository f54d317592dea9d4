"""The names and values of flattened CloudTrail records."""

from collections.abc import Callable
from typing import TypeAlias

from sigma_stellar_aws.base.json_types import Scalar

Document: TypeAlias = dict[str, Scalar | list[Scalar]]
"""A flattened record: no nesting, no nulls; a list is a field with several values."""

STELLAR_INDEX = "aella-cloudtrail-*"
"""Indices in which the platform keeps CloudTrail records."""

TIME_FIELD = "timestamp"
"""Field with the time of an event, in milliseconds since 1970-01-01 UTC, as the platform has it."""


def flat_name(field: str | None) -> str:
    """Return the flattened name of a dotted field name.

    ``userIdentity.type`` becomes ``userIdentity_type``; the case stays (seen in the platform's own rules).
    """
    return (field or "").replace(".", "_")


def text_of(value: Scalar) -> str:
    """Return the text of a value as an index sees it: a number as it is written in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# Alerts are told apart and read by these, and our filters test them.
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


ANY_FIELD = "*"
"""The name that stands for all fields of an event but the time that flattening adds."""


def stands_for_several(name: str) -> bool:
    """Tell whether a name stands for all fields, or for all below an object.

    >>> stands_for_several("requestParameters_*"), stands_for_several("requestParameters")
    (True, False)
    """
    return name == ANY_FIELD or name.endswith(("_*", ".*"))


def object_around(name: str) -> str:
    """Return the object that a name of several fields is about, or nothing for all fields.

    >>> object_around("requestParameters_*"), object_around("*")
    ('requestParameters', '')
    """
    return "" if name == ANY_FIELD else name[:-2]


def name_test(name: str) -> Callable[[str], bool]:
    """Return a function that tells whether a field is one of several.

    >>> is_meant = name_test("requestParameters_*")
    >>> is_meant("requestParameters_bucketName"), is_meant("requestParameters"), is_meant("requestParametersX")
    (True, True, False)
    """
    around = object_around(name)
    below = around + name[-2:-1]
    return lambda field: not around or field == around or field.startswith(below)
