"""Events of a data store as flattened documents, however it keeps them.

A store that Elastic's AWS integration fills has other names, and where it was told to, the whole record in
``event.original``, which then counts. Where it was not, a document has what alerts are made of, from the fields of the
table ``reference.ecs_fields``. Two of these hold one thing or another, which the type of the caller tells.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from sigma_stellar_aws.alerts.pack_rule import Pack
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.logs.event_times import event_millis
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.query.store_profile import Layout
from sigma_stellar_aws.reference.ecs_fields import ecs_field, ecs_places
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS, TIME_FIELD, Document, flat_name

_ORIGINAL = "event.original"
# Whose user.name is that of what issued the session; that of others is their own.
_ISSUED = frozenset({"AssumedRole", "FederatedUser"})
_ISSUER_NAME = "userIdentity_sessionContext_sessionIssuer_userName"
# Whose user.id is the one under which the Identity Center knows them; CloudTrail gives them no principalId.
_IDENTITY_CENTER = "IdentityCenterUser"


class StoredDocuments(NamedTuple):
    """How to read the events of a store."""

    fields: list[str]
    """What to ask of each event."""
    read: Callable[[JsonObject], Document]
    """Makes a flattened document of it."""


def stored_documents(layout: Layout, fields: Iterable[str]) -> StoredDocuments:
    """Return how to read the events of a store, for what every alert needs and some more fields.

    Args:
        layout: how the store keeps events.
        fields: dotted names of further fields.
    """
    # No name of an event field has an underscore of its own.
    wanted = sorted({*fields, *(name.replace("_", ".") for name in EVENT_FIELDS)})
    if layout != "ecs":
        return StoredDocuments(sorted({*wanted, *map(flat_name, wanted)}), flatten)
    places = {name: place for name in wanted if (place := ecs_field(name).read_from)}
    flat_places = {flat_name(name): flat_name(place) for name, place in places.items()}

    def read(source: JsonObject) -> Document:
        return _original(source) or _renamed(flatten(source), flat_places)

    return StoredDocuments(sorted({_ORIGINAL, *places.values()}), read)


def whole_document(layout: Layout) -> Callable[[JsonObject], Document]:
    """Return what makes a flattened document of all that a store has of an event."""
    if layout != "ecs":
        return flatten
    places = {flat_name(name): flat_name(kept.read_from) for name, kept in ecs_places().items() if kept.read_from}
    objects = {f"{places[name]}_": f"{name}_" for name, kept in ecs_places().items() if kept.asked == "beginnings"}

    def read(source: JsonObject) -> Document:
        if original := _original(source):
            return original
        document = flatten(source)
        inside = {
            name.replace(place, around, 1): value
            for name, value in document.items()
            for place, around in objects.items()
            if name.startswith(place)
        }
        return _renamed(document, places) | inside

    return read


def key_fields(pack: Pack) -> list[str]:
    """Return the dotted names of the fields that alerts are told apart by, or that correlations count or group by."""
    suppressed_by = [field for rule in pack.rules.values() for field in rule.suppression.fields]
    members = [member for correlation in pack.correlations for member in correlation.members]
    return [*dict.fromkeys([*suppressed_by, *(field for each in members for field in (*each.key, *each.values))])]


def told_apart_otherwise(fields: Iterable[str]) -> dict[str, str]:
    """Return of which fields Elastic's integration keeps another value than CloudTrail, or none, and why.

    >>> [*told_apart_otherwise(["userIdentity.arn", "userIdentity.accountId", "vpcEndpointAccountId"])]
    ['userIdentity.accountId', 'vpcEndpointAccountId']
    """
    kept = {name: ecs_field(name) for name in fields}
    return {name: field.why for name, field in kept.items() if not field.field or field.asked == "versions"}


def _original(source: Mapping[str, Json]) -> Document | None:
    """Return the record that an event was made of, if it is there."""
    event = source.get("event")
    text = source.get(_ORIGINAL) or (event.get("original") if isinstance(event, dict) else None)
    if not isinstance(text, str):
        return None
    try:
        record: Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return flatten(record) if isinstance(record, dict) and "eventName" in record else None


def _renamed(document: Document, places: Mapping[str, str]) -> Document:
    """Return a document with CloudTrail's names, flattened."""
    renamed = {name: document[place] for name, place in places.items() if place in document}
    protocol, version = document.get("tls_version_protocol"), document.get("tls_version")
    if isinstance(protocol, str) and isinstance(version, str):
        renamed["tlsDetails_tlsVersion"] = f"{protocol.upper()}v{version}"
    kind = renamed.get("userIdentity_type")
    renamed.pop("userIdentity_userName" if kind in _ISSUED else _ISSUER_NAME, None)
    renamed.pop("userIdentity_principalId" if kind == _IDENTITY_CENTER else "userIdentity_onBehalfOf_userId", None)
    stated = renamed.get("eventTime")
    time = None if isinstance(stated, list) else event_millis(stated)
    return renamed if time is None else {**renamed, TIME_FIELD: time}
