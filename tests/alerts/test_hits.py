"""What is kept of an event that matches."""

import pytest

from sigma_stellar_aws.alerts.hits import Hit, to_hit
from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.records import cases, record

KEYS = {"r": ("userIdentity_arn", "requestParameters_none"), "s": ("eventName",)}


def hit(event: dict[str, Json], *names: str) -> Hit:
    """The hit of an event."""
    return to_hit(flatten(event), names, KEYS, time=7, identity="i", origin="a.json")


def test_a_hit_tells_of_its_event() -> None:
    """A hit has when, what, who, where from and where of the event, and for each rule its key."""
    event = record(
        {"eventSource": "kms.amazonaws.com", "eventName": "X", "identity": "iam_user", "errorCode": "AccessDenied"}
    )
    arn = "arn:aws:iam::123456789012:user/alice"
    assert hit(event, "r", "s") == Hit(
        time=7,
        identity="i",
        event_id=str(event["eventID"]),
        event_source="kms.amazonaws.com",
        event_name="X",
        error_code="AccessDenied",
        actor=arn,
        source_address="198.51.100.23",
        account="123456789012",
        region="eu-central-1",
        origin="a.json",
        matches=(("r", (arn, None)), ("s", ("X",))),
    )


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"type": "IAMUser", "arn": "arn", "userName": "name", "principalId": "id"}, "arn"),
        ({"type": "IAMUser", "userName": "name", "principalId": "id"}, "name"),
        ({"type": "AWSAccount", "principalId": "id"}, "id"),
        ({"type": "AWSService", "invokedBy": "service"}, "service"),
        ({"type": "Unknown", "arn": "", "userName": None}, "Unknown"),
        ({}, ""),
        (None, ""),
    ],
)
def test_actor(identity: Json, actor: str) -> None:
    """The actor is the most telling of what the record says about the caller."""
    assert hit({"userIdentity": identity}).actor == actor


def test_values_of_any_type_are_texts() -> None:
    """Numbers, booleans and lists are told as text; in a key an empty text is not a missing one."""
    told = hit({"eventID": 7, "eventName": ["A", True], "userIdentity": {"arn": ""}}, "r", "s")
    assert (told.event_id, told.event_name, told.region) == ("7", "A, true", "")
    assert told.matches == (("r", ("", None)), ("s", ('["A", true]',)))
    assert hit({"eventName": "A, true"}, "s").matches != told.matches[1:]


def test_a_hit_needs_its_source_fields_only() -> None:
    """The fields that are fetched from a data store are all that a hit is made of."""
    keys = convert_pack(load_rules(), stellar_aws()).keys()
    wanted = {*EVENT_FIELDS, *(field for fields in keys.values() for field in fields)}
    for case in cases():
        document = flatten(case.record)
        fetched = {field: value for field, value in document.items() if field in wanted}
        told = to_hit(document, keys, keys, time=None, identity="", origin="")
        assert to_hit(fetched, keys, keys, time=None, identity="", origin="") == told
