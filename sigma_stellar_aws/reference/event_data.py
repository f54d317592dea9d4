"""Names in additionalEventData and serviceEventDetails, as far as they are published.

Services add names of their own, so one that is not here may exist all the same: the list tells slips from names.
Sources: the CloudTrail user guide (cloudtrail-event-reference-aws-console-sign-in-events.html), the guides of S3, KMS,
Lambda, Lake Formation, IAM Identity Center and Organizations, and published records
(Yamato-Security/suzaku-sample-data, adanalvarez/TrailDiscover).
"""

import re
from collections.abc import Mapping

from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.reference.aws_events import IDENTITY_TYPES

DETAILS: Mapping[str, frozenset[str]] = {
    "additionalEventData": frozenset(
        {
            # Sign-in
            *("AuthWorkflowID", "CredentialType", "LoginTo", "MFAIdentifier", "MFAUsed", "MfaType", "MobileVersion"),
            *("RedirectTo", "SamlProviderArn", "SwitchFrom", "UserName"),
            # S3
            *("AuthenticationMethod", "CipherSuite", "SSEApplied", "SignatureVersion", "bytesTransferredIn"),
            *("bytesTransferredOut", "objectRetentionInfo", "vpcEndpointId", "x-amz-id-2"),
            # STS, KMS, Secrets Manager, SES
            *("ExtendedRequestId", "RequestDetails", "explicitTrustGrant"),
            *("identityProviderConnectionVerificationMethod", "keyMaterialId", "ARN", "Name", "sesMessageId"),
            # Lambda, Glue and Lake Formation
            *("functionVersion", "insufficientLakeFormationPermissions", "lakeFormationPrincipal", "requesterService"),
        }
    ),
    "serviceEventDetails": frozenset(
        {
            *("CredentialChallenge", "CredentialVerification", "UserAuthentication"),
            *("backingKeyId", "createAccountStatus", "keyId", "keyOrigin", "rotationType", "snapshotId"),
            *("failureCodes", "jobArn", "jobEventId", "jobId", "status", "statusChangeReason"),
        }
    ),
}
"""Names directly in the objects, by the name of the object."""

VALUES: Mapping[str, frozenset[str]] = {
    "eventType": frozenset(
        {
            "AwsApiCall",
            "AwsCloudTrailInsight",
            "AwsConsoleAction",
            "AwsConsoleSignIn",
            "AwsServiceEvent",
            "AwsVpceEvent",
        }
    ),
    "eventCategory": frozenset({"Data", "Insight", "Management", "NetworkActivity"}),
    "userIdentity.type": IDENTITY_TYPES,
    "userIdentity.sessionContext.attributes.mfaAuthenticated": frozenset({"false", "true"}),
    "additionalEventData.MFAUsed": frozenset({"No", "Yes"}),
    "additionalEventData.MobileVersion": frozenset({"No", "Yes"}),
    "responseElements.ConsoleLogin": frozenset({"Failure", "Success"}),
    "responseElements.SwitchRole": frozenset({"Failure", "Success"}),
}
"""All values that some fields have, by the same guide (also cloudtrail-event-reference-record-contents.html)."""

PREFIXED_ERRORS: Mapping[str, frozenset[str]] = {
    "ec2.amazonaws.com": frozenset(
        {
            *("Client.AuthFailure", "Client.DryRunOperation", "Client.IncorrectInstanceState"),
            *("Client.InstanceLimitExceeded", "Client.InvalidParameterValue", "Client.UnauthorizedOperation"),
            *("Server.InsufficientInstanceCapacity", "Server.InternalError"),
        }
    )
}
"""Error codes that a service writes with a prefix, by source: only those that published records or rules show so.

Some published records have them without it, so neither form is wrong.
"""

# From 0 to 1: MFAUsd is like MFAUsed (0.92), but Status is not like state (0.73).
_ALIKE = 0.87
_ACCOUNT_DIGITS = 12


# General reference, "Regions and Availability Zones" and "Amazon Resource Names".
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")
_ARN = re.compile(r"arn:[^:]+:[^:]*:[^:]*:[^:]*:.+", re.DOTALL)


def malformed(field: str, value: str) -> str | None:
    """Return why a field never has a value, as a sentence, by the form that AWS gives to regions, accounts and ARNs.

    Args:
        field: a dotted name.
        value: as a whole, not a part of one.

    >>> malformed("awsRegion", "eu-west-1a")
    "'eu-west-1a' is an availability zone; awsRegion has the region, eu-west-1."
    """
    if field == "awsRegion" and not _REGION.fullmatch(value.lower()):
        if _REGION.fullmatch(value[:-1].lower()) and value[-1:].isalpha():
            return f"{value!r} is an availability zone; awsRegion has the region, {value[:-1]}."
        return f"{value!r} has not the form of a region, such as eu-west-1."
    if field.endswith(("ccountId", "ccountID")) and value.isdecimal() and len(value) != _ACCOUNT_DIGITS:
        return f"An account has {_ACCOUNT_DIGITS} digits, not {len(value)} as {value!r}."
    if value.lower().startswith("arn:") and not _ARN.fullmatch(value):
        return f"{value!r} is no whole ARN, which has five colons before the resource; a part needs |contains or a *."
    return None


def nearest_detail(field: str) -> str | None:
    """Return what a wrong name in additionalEventData or serviceEventDetails probably means; None if nothing is close.

    >>> nearest_detail("additionalEventData.MFAUsd"), nearest_detail("additionalEventData.MFAUsed")
    ('additionalEventData.MFAUsed', None)
    """
    parent, _, name = field.partition(".")
    first, *rest = name.split(".")
    known = DETAILS.get(parent, frozenset())
    meant = None if first in known else nearest(first, known, _ALIKE)
    return ".".join([parent, meant, *rest]) if meant else None
