"""The fields that a CloudTrail record has, and which of them a wrong name probably means.

Sources, in the AWS CloudTrail user guide (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/):
cloudtrail-event-reference-record-contents.html, cloudtrail-event-reference-user-identity.html and, for insightDetails,
cloudtrail-insights-fields-trails.html. Aggregated events, and Insights events of event data stores, are other kinds of
records with names of their own; they are not in the table.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from sigma_stellar_aws.base.text import nearest

_KB = 1024


class Field(NamedTuple):
    """What stands in a field.

    An "open object" holds what the service or the event brings, beside the names in the table, if any. The texts "true"
    and "false", as in mfaAuthenticated, are of kind "text".
    """

    kind: Literal["text", "boolean", "time", "object", "open object"]
    longest: int | None = None
    """Most characters of a text, or of all texts in an object together; None where no limit is known.

    AWS states bytes, never fewer than characters. CloudTrail cuts or leaves out what is longer, except in event data
    stores that take events of up to 1 MB.
    """


# Lengths that follow from what the values are: a number of an account, a word out of a short list, an operation (the
# longest of AWS's service models has 63 letters), a host name (RFC 1035) or address, a key (IAM API reference), a UUID.
_ACCOUNT, _WORD, _OPERATION, _HOST, _KEY, _UUID = 12, 64, 128, 255, 128, 36

FIELDS: Mapping[str, Field] = {
    **dict.fromkeys(
        (
            "recipientAccountId",
            "resources.accountId",
            "userIdentity.accountId",
            "userIdentity.sessionContext.sessionIssuer.accountId",
            "vpcEndpointAccountId",
            "userIdentity.invokedByDelegate.accountId",
        ),
        Field("text", _ACCOUNT),
    ),
    **dict.fromkeys(
        (
            "awsRegion",
            "apiVersion",
            "eventCategory",
            "eventType",
            "eventVersion",
            "userIdentity.type",
            "userIdentity.sessionContext.sessionIssuer.type",
        ),
        Field("text", _WORD),
    ),
    **dict.fromkeys(("eventName",), Field("text", _OPERATION)),
    **dict.fromkeys(
        (
            "eventSource",
            "sourceIPAddress",
            "userIdentity.invokedBy",
        ),
        Field("text", _HOST),
    ),
    **dict.fromkeys(("userIdentity.accessKeyId",), Field("text", _KEY)),
    **dict.fromkeys(
        (
            "eventID",
            "sharedEventID",
        ),
        Field("text", _UUID),
    ),
    **dict.fromkeys(("errorCode", "errorMessage", "requestID", "userAgent"), Field("text", 1 * _KB)),
    **dict.fromkeys(
        (
            "addendum.originalEventID",
            "addendum.originalRequestID",
            "addendum.reason",
            "addendum.updatedFields",
            "annotation",
            "resources.ARN",
            "resources.ARNPrefix",
            "resources.type",
            "sessionCredentialFromConsole",
            "tlsDetails.cipherSuite",
            "tlsDetails.clientProvidedHostHeader",
            "tlsDetails.keyExchange",
            "tlsDetails.tlsVersion",
            "userIdentity.arn",
            "userIdentity.credentialId",
            "userIdentity.identityProvider",
            "userIdentity.inScopeOf.credentialsIssuedTo",
            "userIdentity.inScopeOf.issuerType",
            "userIdentity.inScopeOf.sourceAccount",
            "userIdentity.inScopeOf.sourceArn",
            "userIdentity.onBehalfOf.identityStoreArn",
            "userIdentity.onBehalfOf.userId",
            "userIdentity.principalId",
            "userIdentity.sessionContext.assumedRoot",
            "userIdentity.sessionContext.attributes.mfaAuthenticated",
            # Only AWS's SQL schema of event data stores has it, in lower case.
            "userIdentity.sessionContext.ec2IssuedInVpc",
            "userIdentity.sessionContext.ec2RoleDelivery",
            "userIdentity.sessionContext.sessionIssuer.arn",
            "userIdentity.sessionContext.sessionIssuer.principalId",
            "userIdentity.sessionContext.sessionIssuer.userName",
            "userIdentity.sessionContext.signInSessionArn",
            "userIdentity.sessionContext.sourceIdentity",
            "userIdentity.sessionContext.webIdFederationData.federatedProvider",
            "userIdentity.userName",
            "vpcEndpointId",
        ),
        Field("text"),
    ),
    **dict.fromkeys(("managementEvent", "readOnly"), Field("boolean")),
    **dict.fromkeys(("eventTime", "userIdentity.sessionContext.attributes.creationDate"), Field("time")),
    **dict.fromkeys(
        (
            "eventContext",
            "tlsDetails",
            "userIdentity",
            "userIdentity.inScopeOf",
            "userIdentity.invokedByDelegate",
            "userIdentity.onBehalfOf",
            "userIdentity.sessionContext",
            "userIdentity.sessionContext.attributes",
            "userIdentity.sessionContext.sessionIssuer",
            "userIdentity.sessionContext.webIdFederationData",
        ),
        Field("object"),
    ),
    **dict.fromkeys(
        (
            "addendum",
            "eventContext.requestContext",
            "eventContext.tagContext",
            "insightDetails",
            "resources",
            "userIdentity.sessionContext.webIdFederationData.attributes",
        ),
        Field("open object"),
    ),
    **dict.fromkeys(("additionalEventData", "edgeDeviceDetails"), Field("open object", 28 * _KB)),
    **dict.fromkeys(("requestParameters", "responseElements", "serviceEventDetails"), Field("open object", 100 * _KB)),
}
"""Every field with a name of its own in the documentation, by its dotted name; lists count as what is in them."""

# From 0 to 1: eventNmae is like eventName (0.89), but event is not like eventID (0.83).
_ALIKE = 0.84

# Of a name at the top, such as region for awsRegion.
_SHORTEST_END = 6


def is_known(field: str) -> bool:
    """Tell whether a CloudTrail record can have a field of this dotted name: one of the table, or in an open object.

    A name of the table in another case, such as resources.arn, is not known.
    """
    return field in FIELDS or (_is_in_open_object(field) and field.casefold() not in _FOLDED)


def nearest_field(field: str) -> str | None:
    """Return the CloudTrail name that a wrong one probably means; None if it is known, or if nothing is close.

    It looks past case, underscores in place of dots (userIdentity_type), and small typing errors in each part.
    """
    if is_known(field):
        return None
    if found := _BY_SQUASHED.get(_squash(field)):
        return found
    # A second underscore in a row belongs to the name, as in responseElements__return.
    dotted = re.sub(r"(?<=[^_.])_", ".", field)
    parts = [part for part in dotted.split(".") if part]
    return _closest_path(parts) or _only_with_parts(parts)


def _is_in_open_object(field: str) -> bool:
    parts = field.split(".")
    heads = [".".join(parts[:length]) for length in range(1, len(parts))]
    return all(parts) and any(head in FIELDS and FIELDS[head].kind == "open object" for head in heads)


def _squash(field: str) -> str:
    return field.replace(".", "").replace("_", "").casefold()


def _closest_path(parts: list[str]) -> str | None:
    """Return the name that is closest part by part; what is in an open object stays as it is."""
    name = ""
    for depth, part in enumerate(parts):
        child = nearest(part, _names_in(name), _ALIKE)
        if child is None:
            return None
        name = f"{name}.{child}" if name else child
        if FIELDS[name].kind == "open object":
            path = ".".join([name, *parts[depth + 1 :]])
            return _BY_SQUASHED.get(_squash(path), path)
    return name or None


def _only_with_parts(parts: list[str]) -> str | None:
    """Return the one name that has these parts in this order, and others between them; None if several have."""
    wanted = [part.casefold() for part in parts]
    found = [name for name, split in _SPLIT.items() if wanted[-1:] == split[-1:] and _in_order(wanted, split)]
    if not found and len(wanted) == 1 and len(wanted[0]) >= _SHORTEST_END:
        found = [name for name, split in _SPLIT.items() if len(split) == 1 and split[0].endswith(wanted[0])]
    return found[0] if len(found) == 1 else None


def _in_order(wanted: list[str], split: list[str]) -> bool:
    rest = iter(split)
    return all(part in rest for part in wanted)


def _names_in(parent: str) -> list[str]:
    """Return the last parts of the names in an object, or the first level of the table for ""."""
    split = [name.rpartition(".") for name in FIELDS]
    return [last for before, _, last in split if before == parent]


_BY_SQUASHED = {_squash(name): name for name in FIELDS}
_SPLIT = {name: name.casefold().split(".") for name in FIELDS}
_FOLDED = {name.casefold() for name in FIELDS}
