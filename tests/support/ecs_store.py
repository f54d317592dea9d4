"""Documents as Elastic's AWS integration makes them of CloudTrail records: a small model of ours.

Source: the table of the integration's fields (reference/data/ecs_aws_cloudtrail.csv), its ingest pipeline and its list
of fields (elastic/integrations, packages/aws/data_stream/cloudtrail), in the older form of 2024 and the newer of 2026.
"""

import json
import re
from contextlib import suppress
from ipaddress import ip_address

from sigma_stellar_aws.base.json_types import Json, JsonObject, as_object
from tests.support.records import record

USER, SESSION, ISSUER = "userIdentity", "userIdentity.sessionContext", "userIdentity.sessionContext.sessionIssuer"
CLOUDTRAIL = "aws.cloudtrail"
KEPT_USER, KEPT_ISSUER = f"{CLOUDTRAIL}.user_identity", f"{CLOUDTRAIL}.user_identity.session_context.session_issuer"

# What the integration does, in its order; a field whose new name is taken stays where it is, and is dropped.
RENAMED = (
    ("eventVersion", f"{CLOUDTRAIL}.event_version"),
    (f"{USER}.type", f"{KEPT_USER}.type"),
    (f"{USER}.userName", "user.name"),
    (f"{USER}.principalId", "user.id"),
    (f"{USER}.arn", f"{KEPT_USER}.arn"),
    (f"{USER}.accountId", "cloud.account.id"),
    (f"{USER}.accessKeyId", f"{KEPT_USER}.access_key_id"),
    (f"{SESSION}.attributes.mfaAuthenticated", f"{KEPT_USER}.session_context.mfa_authenticated"),
    (f"{SESSION}.attributes.creationDate", f"{KEPT_USER}.session_context.creation_date"),
    (f"{ISSUER}.type", f"{KEPT_ISSUER}.type"),
    (f"{ISSUER}.userName", "user.name"),
    (f"{ISSUER}.principalId", f"{KEPT_ISSUER}.principal_id"),
    (f"{ISSUER}.arn", f"{KEPT_ISSUER}.arn"),
    (f"{ISSUER}.accountId", f"{KEPT_ISSUER}.account_id"),
    (f"{USER}.invokedBy", f"{KEPT_USER}.invoked_by"),
    ("eventTime", "@timestamp"),
    ("eventSource", "event.provider"),
    ("eventName", "event.action"),
    ("eventCategory", f"{CLOUDTRAIL}.event_category"),
    ("eventType", f"{CLOUDTRAIL}.event_type"),
    ("eventID", "event.id"),
    ("requestID", f"{CLOUDTRAIL}.request_id"),
    ("apiVersion", f"{CLOUDTRAIL}.api_version"),
    ("awsRegion", "cloud.region"),
    ("sourceIPAddress", "source.address"),
    ("userAgent", "user_agent.original"),
    ("errorCode", f"{CLOUDTRAIL}.error_code"),
    ("errorMessage", f"{CLOUDTRAIL}.error_message"),
    ("managementEvent", f"{CLOUDTRAIL}.management_event"),
    ("readOnly", f"{CLOUDTRAIL}.read_only"),
    ("recipientAccountId", f"{CLOUDTRAIL}.recipient_account_id"),
    ("vpcEndpointId", f"{CLOUDTRAIL}.vpc_endpoint_id"),
    ("tlsDetails.cipherSuite", "tls.cipher"),
    ("tlsDetails.clientProvidedHostHeader", "tls.client.server_name"),
)
OBJECTS = {
    "requestParameters": "request_parameters",
    "responseElements": "response_elements",
    "additionalEventData": "additional_eventdata",
    "serviceEventDetails": "service_event_details",
}
COPIED = (
    ("requestParameters.userName", "user.target.name"),
    ("requestParameters.newUserName", "user.changes.name"),
    ("requestParameters.groupName", "group.name"),
    ("responseElements.group.groupId", "group.id"),
    ("responseElements.user.userId", "user.target.id"),
)


def ingested(original: JsonObject, *, newer: bool, keeps_original: bool = False) -> JsonObject:
    """The document that the integration makes of a record, in its older or its newer way; names with dots are whole.

    Where it is told to, the text of the record is kept (tag ``preserve_original_event``).
    """
    left = _without_empty(original)
    assert isinstance(left, dict)
    document: JsonObject = {"event.kind": "event", "event.dataset": "aws.cloudtrail"}
    recipient, kind = left.get("recipientAccountId"), at(left, f"{USER}.type")
    for raw, name in RENAMED:
        if raw == f"{ISSUER}.userName" and newer and kind not in ("AssumedRole", "FederatedUser"):
            continue
        value = at(left, raw)
        if value is not None and name not in document:
            document[name] = value
    if newer and "cloud.account.id" not in document and recipient is not None:
        document["cloud.account.id"] = recipient
    if newer and kind == "IdentityCenterUser" and "user.id" not in document:
        document["user.id"] = at(left, f"{USER}.onBehalfOf.userId")
    if newer:
        document[f"{CLOUDTRAIL}.session_credential_from_console"] = left.get("sessionCredentialFromConsole")
    more = left.get("additionalEventData")
    if newer and left["eventName"] == "UserAuthentication" and isinstance(more, dict) and "user.name" not in document:
        document["user.name"] = more.pop("UserName", None)
    for raw, name in OBJECTS.items():
        if (value := left.get(raw)) is not None:
            document[f"{CLOUDTRAIL}.{name}"] = str(value)
            if len(str(value)) < 32766:
                document[f"{CLOUDTRAIL}.flattened.{name}"] = value
    document.update({name: value for raw, name in COPIED if (value := at(left, raw)) is not None})
    if match := re.fullmatch(r"(.*?)v(.*)", str(at(left, "tlsDetails.tlsVersion"))):
        document["tls.version_protocol"], document["tls.version"] = match[1].lower(), match[2]
    names = {"ARN": "arn", "accountId": "account_id"}
    resources = left.get("resources", [])
    assert isinstance(resources, list)
    renamed = [{names.get(k, k): v for k, v in each.items()} for each in resources if isinstance(each, dict)]
    document[f"{CLOUDTRAIL}.resources"] = [*{str(each): each for each in renamed}.values()]
    with suppress(ValueError):
        document["source.ip"] = str(ip_address(str(left.get("sourceIPAddress"))))
    if left["eventName"] == "ConsoleLogin" and (used := at(left, "additionalEventData.MFAUsed")) is not None:
        document[f"{CLOUDTRAIL}.console_login.additional_eventdata.mfa_used"] = used != "No"
    if keeps_original:
        document["event.original"] = json.dumps(original)
    return document


def nested(document: JsonObject) -> JsonObject:
    """The same document with its dotted names as objects, as the integration's documents are."""
    result: JsonObject = {}
    for name, value in document.items():
        *around, last = name.split(".")
        inner = result
        for key in around:
            inner = as_object(inner.setdefault(key, {}))
        inner[last] = value
    return result


def ecs_mappings(objects: str = "flattened") -> JsonObject:
    """The mappings of the integration's index: keywords of 1024 characters, and what is not one.

    Args:
        objects: the type of objects with any fields, which OpenSearch calls flat_object.
    """
    names = [name for _, name in (*RENAMED, *COPIED)]
    names += [f"{CLOUDTRAIL}.resources.{name}" for name in ("arn", "account_id", "type")]
    names += ["event.kind", "event.dataset", "tls.version", "tls.version_protocol"]
    keyword: JsonObject = {"type": "keyword", "ignore_above": 1024}
    properties: dict[str, Json] = dict.fromkeys(names, keyword)
    for name in OBJECTS.values():
        properties[f"{CLOUDTRAIL}.{name}"] = {"type": "keyword", "ignore_above": 8191}
        properties[f"{CLOUDTRAIL}.flattened.{name}"] = {"type": objects}
    properties |= {name: {"type": "date"} for name in ("@timestamp", f"{KEPT_USER}.session_context.creation_date")}
    for name in ("read_only", "console_login.additional_eventdata.mfa_used"):
        properties[f"{CLOUDTRAIL}.{name}"] = {"type": "boolean"}
    properties["event.original"] = {"type": "keyword", "index": False, "doc_values": False}
    properties["source.ip"] = {"type": "ip"}
    properties[f"{CLOUDTRAIL}.session_credential_from_console"] = keyword
    return {"dynamic": False, "properties": properties}


def _without_empty(value: Json) -> Json:
    if isinstance(value, dict):
        inner = {key: _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each is not None} or None
    if isinstance(value, list):
        return [each for each in map(_without_empty, value) if each is not None] or None
    return None if value == "" else value


def at(value: Json, path: str) -> Json:
    """The value at a path in a record."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def traps() -> list[JsonObject]:
    """Events in which the integration's fields hold something else than one may think."""
    call: JsonObject = {"eventSource": "iam.amazonaws.com", "eventName": "CreateUser"}
    user = {"type": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "accountId": "<account>"}
    sign_in: JsonObject = {"eventSource": "signin.amazonaws.com", "eventName": "UserAuthentication"}
    key = "k" * 1000
    events: list[JsonObject] = [
        {**call, "userIdentity": {**user, "userName": "Deploy"}},
        {**call, "userIdentity": {**user, "userName": "alice"}},
        {**call, "identity": "identity_center_user"},
        {**call, "identity": "saml_user", "recipientAccountId": "<other account>"},
        {**call, "identity": "web_identity"},
        {**call, "requestParameters": {"userName": "Deploy", "UserName": "alice"}},
        {**call, "requestParameters": {"USERNAME": "Deploy"}},
        {**call, "requestParameters": {"userName": "deploy", "path": "/Österreich/", "count": 22, "force": False}},
        {**call, "requestParameters": {"path": "/österreich/", "count": 5, "force": True}, "readOnly": None},
        {**call, "requestParameters": {"count": "22", "force": "false", "nested": {"userName": "Deploy"}}},
        {**sign_in, "userIdentity": {"type": "Unknown"}, "additionalEventData": {"UserName": "alice"}},
        {**sign_in, "userIdentity": {"type": "Unknown", "userName": "bob"}, "additionalEventData": {"UserName": "eve"}},
        {**call, "tlsDetails": {"tlsVersion": "TLSv1"}},
        {**call, "tlsDetails": {"tlsVersion": "TLSv1.1"}},
        {**call, "tlsDetails": {"tlsVersion": "SSLv3"}},
        {**call, "resources": [{"ARN": f"arn:aws:s3:::bucket/{key}{key}", "type": "AWS::S3::Object"}]},
        {**call, "resources": [{"ARN": "arn:aws:s3:::bucket/short", "type": "AWS::S3::Object"}] * 2},
        {**call, "errorCode": "AccessDenied", "errorMessage": None, "managementEvent": False},
    ]
    return [record(event, number=100 + number) for number, event in enumerate(events)]
