"""What records are wrapped in."""

import base64
import gzip
import json

import pytest

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.logs.envelopes import NotARecord, Unwrapped, unwrap
from sigma_stellar_aws.logs.json_repair import mend

A: JsonObject = {"eventVersion": "1.11", "eventSource": "a.amazonaws.com", "eventName": "A"}
B: JsonObject = {"eventVersion": "1.11", "eventSource": "b.amazonaws.com", "eventName": "B", "x": "\u00e9"}
TEXT = json.dumps(B)
LOGS: JsonObject = {
    "messageType": "DATA_MESSAGE",
    "owner": "123456789012",
    "logGroup": "trail",
    "logStream": "123456789012_CloudTrail_eu-west-1",
    "subscriptionFilters": ["all"],
    "logEvents": [{"id": "1", "timestamp": 1, "message": json.dumps(A)}, {"id": "2", "timestamp": 2, "message": TEXT}],
}
EVENT: JsonObject = {
    "version": "0",
    "id": "6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60",
    "detail-type": "AWS API Call via CloudTrail",
    "source": "aws.b",
    "account": "123456789012",
    "resources": [],
    "detail": B,
}


def packed(value: Json, *, compress: bool = True) -> str:
    """JSON in base64, compressed as CloudWatch Logs does or not."""
    text = json.dumps(value).encode()
    return base64.b64encode(gzip.compress(text) if compress else text).decode()


def records(value: Json) -> tuple[list[Json], list[str]]:
    """The records in a value, and what is said of the rest."""
    found = list(unwrap(json.dumps(value).encode()))
    return (
        [json.loads(bytes(each.text)) for each in found if isinstance(each, Unwrapped)],
        [each.reason for each in found if isinstance(each, NotARecord)],
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (A, [A]),
        ({"Records": [A, B]}, [A, B]),
        ([A, B], [A, B]),
        (EVENT, [B]),
        (LOGS, [A, B]),
        ({"awslogs": {"data": packed(LOGS)}}, [A, B]),
        (
            {
                "Records": [
                    {
                        "kinesis": {"partitionKey": "1", "data": packed(LOGS)},
                        "eventSource": "aws:kinesis",
                        "eventName": "aws:kinesis:record",
                        "eventVersion": "1.0",
                    }
                ]
            },
            [A, B],
        ),
        ({"records": [{"recordId": "1", "data": packed(LOGS)}, {"recordId": "2", "data": packed(A)}]}, [A, B, A]),
        ({"Records": [{"kinesis": {"data": packed(EVENT, compress=False)}, "eventSource": "aws:kinesis"}]}, [B]),
        ({"events": [{"timestamp": 1, "message": TEXT, "ingestionTime": 2}], "nextForwardToken": "f/1"}, [B]),
        ({"Events": [{"EventId": "1", "EventName": "B", "Resources": [], "CloudTrailEvent": TEXT}]}, [B]),
        ({"QueryResultRows": [[{"eventjson": TEXT}]]}, [B]),
        ({"_index": "trail", "_id": "1", "_source": B}, [B]),
        ({"took": 1, "hits": {"total": {"value": 1}, "hits": [{"_id": "1", "_source": B}]}}, [B]),
        ({"_source": {"event": {"original": TEXT, "action": "B"}, "message": "words"}}, [B]),
        ({"preview": False, "offset": 0, "result": {"_raw": TEXT, "_time": "1"}}, [B]),
        ({"time": 1, "sourcetype": "aws:cloudtrail", "event": B}, [B]),
        ({"Type": "Notification", "Message": json.dumps(EVENT)}, [B]),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(EVENT)}}]}, [B]),
        ({"Messages": [{"MessageId": "1", "Body": json.dumps({"Message": json.dumps(EVENT)})}]}, [B]),
        ({"Records": [{"messageId": "1", "body": json.dumps(EVENT), "eventSource": "aws:sqs"}]}, [B]),
        # Of a member that is null there is nothing to be had.
        ({"detail": None, "message": TEXT}, [B]),
        # Records in several members of a wrapper, and beside empty ones.
        ({"Records": [], "detail": B}, [B]),
        ({"events": [], "logEvents": [{"message": TEXT}], "Records": [A]}, [A, B]),
        ({"Records": [A], "detail": B}, [A, B]),
        ({"data": [], "detail": B}, [B]),
        ({"detail": {"finding": 1}, "message": TEXT}, [B]),
        ({"message": "words", "event": {"original": TEXT}}, [B]),
        ({"message": "{}", "event": {"original": TEXT}}, [B]),
        ({"message": "[]", "event": {"original": TEXT}}, [B]),
        # What holds records is no digest and no trial, whatever it says.
        ({"digestStartTime": "2026-11-24T12:00:00Z", "Records": [A]}, [A]),
        ({"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": TEXT}]}, [B]),
        ({"results": [{"_raw": TEXT}, {"_raw": json.dumps(A)}]}, [B, A]),
        (
            {
                "results": [
                    [{"field": "@timestamp", "value": "1"}, {"field": "@message", "value": TEXT}],
                    [{"field": "eventName", "value": "A"}, {"field": "@message", "value": json.dumps(A)}],
                ],
                "status": "Complete",
            },
            [B, A],
        ),
        ([TEXT, json.dumps(A)], [B, A]),
        # What has no API call is a record all the same.
        ({"eventType": "AwsCloudTrailInsight", "insightDetails": {"state": "Start"}},
         [{"eventType": "AwsCloudTrailInsight", "insightDetails": {"state": "Start"}}]),
    ],
)  # fmt: skip
def test_wrappers_are_opened(value: Json, expected: list[Json]) -> None:
    """The records come out of each wrapper as they were put in, in their order, and nothing else is said."""
    assert records(value) == (expected, [])


@pytest.mark.parametrize("key", ["detail", "message", "Records", "event", "data", "messageType", "digestStartTime"])
@pytest.mark.parametrize("inner", [{"eventName": "A"}, json.dumps({"eventName": "A"}), [7], "CONTROL_MESSAGE"])
def test_a_record_is_no_wrapper(key: str, inner: Json) -> None:
    """What has a source of AWS, or no member but CloudTrail's, is a record though a member is named as in a wrapper."""
    head: JsonObject = {"eventSource": "a.amazonaws.com"}
    assert records({**head, key: inner}) == ([{**head, key: inner}], [])
    assert records({"eventName": "A", "errorCode": "B"}) == ([{"eventName": "A", "errorCode": "B"}], [])


WHOLE: JsonObject = {**B, "userIdentity": {"type": "Root"}}


@pytest.mark.parametrize(
    "extracted",
    [
        {"eventSource": "b.amazonaws.com", "eventName": "B", "@message": json.dumps(WHOLE)},
        {"eventName": "B", "eventVersion": "1.11", "_raw": json.dumps(WHOLE)},
        {"eventSource": "B.AMAZONAWS.COM", "original": f" {json.dumps(WHOLE)}\n"},
        {"eventName": "B", "CloudTrailEvent": json.dumps(WHOLE)},
        {"eventName": "B", "eventJson": json.dumps(WHOLE)},
        {"eventName": "B", "eventjson": json.dumps(WHOLE)},
        {"eventSource": "b.amazonaws.com", "eventName": "B", "message": json.dumps(WHOLE)},
    ],
)
def test_the_whole_record_is_preferred_to_fields_of_it(extracted: JsonObject) -> None:
    """Where a store put fields of a record beside its text, the record is the text, which has all fields."""
    assert records({"result": extracted}) == ([WHOLE], [])


@pytest.mark.parametrize("text", ["words", "{", '{"eventName": "A"}', '{"eventSource": "aws:s3", "eventName": "A"}', 7])
def test_only_the_text_of_a_record_is_preferred(text: Json) -> None:
    """A member beside source and name that is not the text of a record takes nothing from the record around it."""
    for key in ("_raw", "@message", "message", "original"):
        assert records({**A, key: text}) == ([{**A, key: text}], [])


def test_a_message_of_a_record_is_its_own() -> None:
    """What has all that a record has is one, even if there is another one in it."""
    whole: JsonObject = {**A, "userIdentity": {"type": "Root"}}
    inners: list[JsonObject] = [{"message": TEXT}, {"original": TEXT}, {"requestParameters": {"items": [B, TEXT]}}]
    for inner in inners:
        assert records({**whole, **inner}) == ([{**whole, **inner}], [])


@pytest.mark.parametrize(
    ("damage", "expected"), [(rb'"\ud800x"', "?x"), (b'"\xffx"', "\ufffdx"), (b"NaN", None), (b"[-Infinity]", [None])]
)
@pytest.mark.parametrize("around", [b"%b", b'{"detail":%b}', b"[%b]"])
def test_what_no_text_may_hold_costs_no_record(damage: bytes, expected: Json, around: bytes) -> None:
    """A half of a character, a byte of none or a number that is none is replaced, and all else is as it was."""
    record = b'{"eventSource":"a.amazonaws.com","eventName":%b,"n":[1.5,"\xc3\xa9"]}' % damage
    [found] = unwrap(around % record)
    assert isinstance(found, Unwrapped)
    text = mend(found.text)
    assert text is not None
    assert json.loads(text) == {"eventSource": "a.amazonaws.com", "eventName": expected, "n": [1.5, "\u00e9"]}


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":}', b"[" * 100_000, b'"\x01"', b"9" * 5000 + b"}"])
def test_what_is_no_json_is_not_mended(text: bytes) -> None:
    """Only characters and numbers are replaced; what else is damaged stays damaged."""
    assert mend(text) is None


@pytest.mark.parametrize(
    "value",
    [
        {"awsAccountId": "123456789012", "digestStartTime": "2026-11-24T12:00:00Z", "logFiles": []},
        {"version": "1.0", "files": [{"fileName": "result_1.csv.gz"}], "queryCompleteTime": "2026-11-24T12:00:00Z"},
        {"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE"}]},
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "example"},
        {"Records": []},
        [],
    ],
)
def test_what_never_has_records_is_passed_over(value: Json) -> None:
    """Digests, signatures, trial messages and empty lists hold nothing that could be missed."""
    assert records(value) == ([], [])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, "neither eventSource nor eventName"),
        ({"some": "thing"}, "neither eventSource nor eventName"),
        ({"Records": None}, "neither eventSource nor eventName"),
        ({"detail": {"finding": 1}}, "neither eventSource nor eventName"),
        ({"detail": "words"}, "its 'detail' is not JSON"),
        ({"message": "2 123456789012 eni-1 ACCEPT OK"}, "its 'message' is not JSON"),
        ({"message": "2"}, "its 'message' is not JSON"),
        ({"message": '{"eventSource":'}, "damaged record"),
        ({"awslogs": {"data": "H4sIAAAA"}}, "its 'data' is not JSON"),
        ({"awslogs": {"data": packed(LOGS)[:-40]}}, "its 'data' is not JSON"),
        ({"awslogs": {"data": "=words="}}, "its 'data' is not JSON"),
        ({"s3Bucket": "example", "s3ObjectKey": ["a.json.gz"]}, "pointers to log files instead of records"),
        ({"Message": json.dumps({"s3Bucket": "example", "s3ObjectKey": ["a.json.gz"]})}, "pointers to log files"),
        ({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"object": {}}}, "pointers to log files"),
        ({"eventSource": "aws:dynamodb", "eventName": "INSERT"}, "neither eventSource nor eventName of an AWS call"),
        (7, "damaged record"),
        ("words", "damaged record"),
    ],
)
def test_a_wrapper_without_a_record_is_told(value: Json, reason: str) -> None:
    """What should hold a record and does not is told, with the reason; so nothing is lost in silence."""
    found, [told] = records(value)
    assert found == []
    assert reason in told


def test_one_bad_element_costs_no_other() -> None:
    """Of the messages in a wrapper, those that are records are read and each other is told."""
    found, told = records({"logEvents": [{"message": "words"}, {"message": TEXT}, 7, {"message": json.dumps(A)}]})
    assert found == [B, A]
    assert len(told) == 2


@pytest.mark.parametrize("key", ["messageType", "Event", "detail", "message", "data", "s3", "digestStartTime"])
def test_bytes_that_are_no_text_stop_nothing(key: str) -> None:
    """A member that is damaged inside is told like any other that holds no record, or passed over like any other."""
    found = list(unwrap(b'{"' + key.encode() + b'":"\xff"}'))
    assert len(found) == (key != "digestStartTime")
    assert all(isinstance(each, NotARecord) for each in found)


def test_wrappers_without_end() -> None:
    """Wrappers in wrappers are opened as deep as they are in practice, and then told."""
    value: Json = B
    for _ in range(6):
        value = {"detail": value}
    assert records(value) == ([B], [])
    for _ in range(6):
        value = {"message": json.dumps(value)}
    found, [told] = records(value)
    assert (found, "wrappers in one another" in told) == ([], True)


def test_what_expands_too_far_is_told() -> None:
    """A few bytes that stand for a great many are told, not unpacked."""
    bomb = base64.b64encode(gzip.compress(b"[" + b" " * (64 << 20) + b"]")).decode()
    found, [told] = records({"awslogs": {"data": bomb}})
    assert found == []
    assert "not JSON" in told
