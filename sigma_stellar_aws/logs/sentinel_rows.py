"""Make records of rows of the table AWSCloudTrail in Microsoft Sentinel, which has its own names for most members.

https://learn.microsoft.com/azure/azure-monitor/reference/tables/awscloudtrail
"""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime

from sigma_stellar_aws.base.json_types import Json, JsonObject

NOTE = (
    "records made of the columns of Microsoft Sentinel, which has none for some members of userIdentity, such as "
    "identityProvider and onBehalfOf"
)
PARTS = (
    "this has only some columns of Microsoft Sentinel's table AWSCloudTrail; export the whole rows, without project or "
    "summarize"
)
_MARKS = frozenset(("EventName", "EventSource", "EventVersion", "AwsEventId"))
_SESSION = "userIdentity.sessionContext"
_MEMBERS = {
    "TimeGenerated": "eventTime",
    "AwsEventId": "eventID",
    "AwsRequestId": "requestID",
    "AwsRequestId_": "requestID",
    "EventVersion": "eventVersion",
    "EventSource": "eventSource",
    "EventName": "eventName",
    "EventTypeName": "eventType",
    "Category": "eventCategory",
    "AWSRegion": "awsRegion",
    "APIVersion": "apiVersion",
    "SourceIpAddress": "sourceIPAddress",
    "UserAgent": "userAgent",
    "ErrorCode": "errorCode",
    "ErrorMessage": "errorMessage",
    "RequestParameters": "requestParameters",
    "ResponseElements": "responseElements",
    "AdditionalEventData": "additionalEventData",
    "ServiceEventDetails": "serviceEventDetails",
    "Resources": "resources",
    "ReadOnly": "readOnly",
    "ManagementEvent": "managementEvent",
    "RecipientAccountId": "recipientAccountId",
    "SharedEventId": "sharedEventID",
    "VpcEndpointId": "vpcEndpointId",
    "TlsVersion": "tlsDetails.tlsVersion",
    "CipherSuite": "tlsDetails.cipherSuite",
    "ClientProvidedHostHeader": "tlsDetails.clientProvidedHostHeader",
    "UserIdentityType": "userIdentity.type",
    "UserIdentityPrincipalid": "userIdentity.principalId",
    "UserIdentityArn": "userIdentity.arn",
    "UserIdentityAccountId": "userIdentity.accountId",
    "UserIdentityAccessKeyId": "userIdentity.accessKeyId",
    "UserIdentityUserName": "userIdentity.userName",
    "UserIdentityInvokedBy": "userIdentity.invokedBy",
    "SessionCreationDate": f"{_SESSION}.attributes.creationDate",
    "SessionMfaAuthenticated": f"{_SESSION}.attributes.mfaAuthenticated",
    "SessionIssuerType": f"{_SESSION}.sessionIssuer.type",
    "SessionIssuerPrincipalId": f"{_SESSION}.sessionIssuer.principalId",
    "SessionIssuerArn": f"{_SESSION}.sessionIssuer.arn",
    "SessionIssuerAccountId": f"{_SESSION}.sessionIssuer.accountId",
    "SessionIssuerUserName": f"{_SESSION}.sessionIssuer.userName",
    "EC2RoleDelivery": f"{_SESSION}.ec2RoleDelivery",
}
_BOOLEANS = frozenset(("ReadOnly", "ManagementEvent"))
_TIMES = frozenset(("TimeGenerated", "SessionCreationDate"))
_ZONE = " [UTC]"
"""What the portal adds to the names of columns with times."""
_SHOWN = "%m/%d/%Y, %I:%M:%S.%f %p"


def is_row(columns: Mapping[str, object]) -> bool:
    """Tell by the names of its columns whether this is a whole row."""
    return columns.keys() >= _MARKS


def is_part_of_row(columns: Collection[str]) -> bool:
    """Tell by the names of its columns whether this is a row with columns left out."""
    return "EventName" in columns and any(name.startswith("UserIdentity") for name in columns)


def record_of_row(row: Mapping[str, Json]) -> JsonObject:
    """Return the record that a row was made of, as far as there are columns for it.

    >>> record_of_row({"EventName": "CreateUser", "UserIdentityType": "Root", "ErrorCode": ""})
    {'eventName': 'CreateUser', 'userIdentity': {'type': 'Root'}}
    """
    record: JsonObject = {}
    for name, value in row.items():
        column = name.removesuffix(_ZONE)
        if column not in _MEMBERS or value is None or value == "":
            continue
        *path, last = _MEMBERS[column].split(".")
        parent = record
        for key in path:
            below = parent.setdefault(key, {})
            if isinstance(below, dict):
                parent = below
        parent[last] = _value(column, value)
    return record


def _value(column: str, value: Json) -> Json:
    """Return a value as CloudTrail writes it."""
    if column in _BOOLEANS:
        return {"true": True, "false": False}.get(str(value).lower(), value)
    if column == "SessionMfaAuthenticated":
        return str(value).lower()
    return _time(value) if column in _TIMES and isinstance(value, str) else value


def _time(text: str) -> str:
    """Return a time in ISO 8601, without a fraction of zeros; what cannot be read stays."""
    with suppress(ValueError):
        text = datetime.strptime(text, _SHOWN).isoformat() + "Z"
    return re.sub(r"\.0+(?=Z\Z)", "", text)
