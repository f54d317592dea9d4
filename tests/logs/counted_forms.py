"""Every form in which people keep records, as functions that write them: the name of a file, and its content."""

import base64
import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.logs.test_reader import FORMS

Write = Callable[[list[JsonObject]], bytes]


def text(value: Json) -> str:
    """JSON as most programs write it."""
    return json.dumps(value)


def compact(value: Json) -> str:
    """JSON without blanks or escapes, as AWS writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def lines(wrap: Callable[[JsonObject], Json]) -> Write:
    """A wrapper a line."""
    return lambda records: "".join(text(wrap(each)) + "\n" for each in records).encode()


def whole(wrap: Callable[[list[JsonObject]], Json]) -> Write:
    """One document."""
    return lambda records: text(wrap(records)).encode()


def written(template: str) -> Write:
    """A text around each record; {} is the record, %s a number."""
    return lambda records: "".join(
        template.replace("{}", compact(each)).replace("%s", str(number)) for number, each in enumerate(records)
    ).encode()


def table(
    header: list[str],
    row: Callable[[JsonObject], Iterable[str]],
    delimiter: str = ",",
    *,
    end: str = "\n",
    encoding: str = "utf-8",
) -> Write:
    """A table with a row a record."""

    def write(records: list[JsonObject]) -> bytes:
        content = io.StringIO()
        csv.writer(content, delimiter=delimiter, lineterminator=end).writerows([header, *map(row, records)])
        return content.getvalue().encode(encoding)

    return write


def packed(value: Json) -> str:
    """Compressed, and in base64."""
    return base64.b64encode(gzip.compress(text(value).encode())).decode()


def base64_of(value: Json) -> str:
    """JSON in base64."""
    return base64.b64encode(text(value).encode()).decode()


def as_texts(record: JsonObject) -> JsonObject:
    """A record with its objects as JSON texts, as tables export them."""
    return {key: value if isinstance(value, str) else text(value) for key, value in record.items()}


def log_file(records: list[JsonObject]) -> bytes:
    """A log file as CloudTrail delivers it."""
    return compact({"Records": [*records]}).encode()


def subscription(records: list[JsonObject]) -> JsonObject:
    """What CloudWatch Logs sends to who subscribes."""
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": "trail",
        "logEvents": [{"id": "1", "timestamp": 1767607200000, "message": compact(each)} for each in records],
    }


def bridged(record: JsonObject) -> JsonObject:
    """What EventBridge sends."""
    return {
        "version": "0",
        "id": "1",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.sts",
        "detail": record,
    }


def zipped(records: list[JsonObject]) -> bytes:
    """A zip archive with a file a record."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, each in enumerate(records):
            archive.writestr(f"logs/{number}.json.gz", gzip.compress(log_file([each])))
    return content.getvalue()


def tarred(records: list[JsonObject]) -> bytes:
    """A compressed tar archive with a file a record."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for number, each in enumerate(records):
            entry = tarfile.TarInfo(f"logs/{number}.json")
            data = log_file([each])
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def parquet(row: Callable[[JsonObject], dict[str, object]]) -> Write:
    """Parquet with a row a record."""

    def write(records: list[JsonObject]) -> bytes:
        content = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([row(each) for each in records]), content)
        return content.getvalue()

    return write


def in_parts(wrap: Callable[[str, int, bool], str], length: int = 50) -> Write:
    """Lines with a part of a record each; a wrapper gets its text, the number of its record, and whether it ends."""

    def write(records: list[JsonObject]) -> bytes:
        # Only what is longer than any usual message is split.
        texts = [compact({**each, "requestParameters": {"text": '\u00e9"{' * 600}}) for each in records]
        lines = [
            wrap(each[at : at + length * 40], number, at + length * 40 >= len(each))
            for number, each in enumerate(texts)
            for at in range(0, len(each), length * 40)
        ]
        return "".join(line + "\n" for line in lines).encode()

    return write


def sentinel(record: JsonObject) -> JsonObject:
    """A row of Microsoft Sentinel's table."""
    held = record.get("userIdentity")
    caller = held if isinstance(held, dict) else {}
    return {
        "TenantId": "x",
        "TimeGenerated": "2026-01-05T10:00:00.0000000Z",
        "AwsEventId": record["eventID"],
        "EventVersion": record["eventVersion"],
        "EventSource": record["eventSource"],
        "EventName": record["eventName"],
        "UserIdentityType": caller.get("type"),
        "UserIdentityArn": caller.get("arn"),
        "SourceIpAddress": record["sourceIPAddress"],
        "RecipientAccountId": record["recipientAccountId"],
        "ErrorCode": "",
        "RequestParameters": "{}",
        "Type": "AWSCloudTrail",
    }


def snowflake(record: JsonObject) -> str:
    """A row as Snowflake unloads it when nothing else is said."""
    return "x," + compact(record).replace("\\", "\\\\").replace(",", "\\,") + "\n"


def of_reader(parts: Callable[[list[JsonObject]], list[bytes]]) -> Write:
    """One of the forms that the tests of the reader damage."""
    return lambda records: b"".join(parts(records))


COUNTED: dict[str, tuple[str, Write]] = {
    **{name: ("a.json", of_reader(parts)) for name, parts in FORMS.items()},
    # Files, compressed and in archives
    "bzip2": ("a.json.bz2", lambda records: bz2.compress(log_file(records))),
    "xz": ("a.json.xz", lambda records: lzma.compress(log_file(records))),
    "zstd": ("a.json.zst", lambda records: zstandard.compress(log_file(records))),
    "gzip members with zeros between": (
        "a.json.gz",
        lambda records: b"".join(gzip.compress(log_file([each])) + bytes(1000) for each in records),
    ),
    "zip": ("a.zip", zipped),
    "tar.gz": ("a.tar.gz", tarred),
    # What AWS's services and its command line write
    "CloudWatch Logs export": (
        "000000.gz",
        lambda records: gzip.compress(
            "".join(f"2026-01-05T10:00:00.000Z {compact(each)}\n" for each in records).encode()
        ),
    ),
    "aws logs tail": ("a.log", written("2026-01-05T10:00:00.123456+00:00 111122223333_CloudTrail_eu-west-1 {}\n")),
    "aws logs filter-log-events": (
        "a.json",
        whole(
            lambda records: {
                "searchedLogStreams": [],
                "events": [{"logStreamName": "a", "timestamp": 1, "message": compact(each)} for each in records],
            }
        ),
    ),
    "aws logs --output text": ("a.txt", written("EVENTS\t%s\t1767607200000\t{}\tstream\t1767607200000\n")),
    "CloudWatch Logs Insights": (
        "a.json",
        whole(
            lambda records: {
                "status": "Complete",
                "results": [
                    [
                        {"field": "@timestamp", "value": "2026-01-05 10:00:00.000"},
                        {"field": "@message", "value": compact(each)},
                        {"field": "@ptr", "value": "x"},
                    ]
                    for each in records
                ],
            }
        ),
    ),
    "CloudWatch Logs Insights, fields": (
        "a.json",
        whole(
            lambda records: {
                "results": [
                    [{"field": key, "value": value} for key, value in as_texts(each).items()] for each in records
                ]
            }
        ),
    ),
    "CloudWatch Logs Insights, CSV": ("a.csv", table(["@timestamp", "@message"], lambda each: ["x", compact(each)])),
    "subscription": ("a.json", whole(subscription)),
    "subscription to Lambda": ("a.json", whole(lambda records: {"awslogs": {"data": packed(subscription(records))}})),
    "Firehose": (
        "delivery-1-2026-01-05-10-00-00-x",
        lambda records: b"".join(gzip.compress(text(subscription([each])).encode()) for each in records),
    ),
    "EventBridge": ("a.json", lines(bridged)),
    "EventBridge to SQS": (
        "a.json",
        whole(lambda records: {"Messages": [{"MessageId": "1", "Body": text(bridged(each))} for each in records]}),
    ),
    "SQS to Lambda": (
        "a.json",
        whole(
            lambda records: {
                "Records": [
                    {"messageId": "1", "eventSource": "aws:sqs", "body": text(bridged(each))} for each in records
                ]
            }
        ),
    ),
    "SNS": ("a.json", lines(lambda each: {"Type": "Notification", "MessageId": "1", "Message": text(bridged(each))})),
    "SNS to Lambda": (
        "a.json",
        whole(
            lambda records: {
                "Records": [{"EventSource": "aws:sns", "Sns": {"Message": text(bridged(each))}} for each in records]
            }
        ),
    ),
    "SNS to SQS": (
        "a.json",
        whole(
            lambda records: {
                "Messages": [
                    {"Body": text({"Type": "Notification", "Message": text(bridged(each))})} for each in records
                ]
            }
        ),
    ),
    "Kinesis to Lambda": (
        "a.json",
        whole(
            lambda records: {
                "Records": [
                    {
                        "eventSource": "aws:kinesis",
                        "eventName": "aws:kinesis:record",
                        "kinesis": {"data": base64_of(each)},
                    }
                    for each in records
                ]
            }
        ),
    ),
    "Kinesis to Lambda, subscription": (
        "a.json",
        whole(
            lambda records: {
                "Records": [
                    {"eventSource": "aws:kinesis", "kinesis": {"data": packed(subscription([each]))}}
                    for each in records
                ]
            }
        ),
    ),
    "aws kinesis get-records": (
        "a.json",
        whole(lambda records: {"Records": [{"SequenceNumber": "1", "Data": base64_of(each)} for each in records]}),
    ),
    "lookup-events of one page a line": (
        "a.json",
        lines(lambda each: {"Events": [{"EventId": "1", "EventName": "x", "CloudTrailEvent": compact(each)}]}),
    ),
    "Lake, whole records": (
        "a.json",
        whole(
            lambda records: {
                "QueryResultRows": [[{"eventTime": "x"}, {"eventJson": compact(each)}] for each in records]
            }
        ),
    ),
    "Lake, columns": (
        "a.json",
        whole(
            lambda records: {
                "QueryResultRows": [[{key: value} for key, value in as_texts(each).items()] for each in records]
            }
        ),
    ),
    "Lake, CSV": (
        "a.csv.gz",
        lambda records: gzip.compress(table(["eventid", "eventjson"], lambda each: ["1", compact(each)])(records)),
    ),
    "Parquet, whole records": ("a.parquet", parquet(lambda each: {"n": 1, "eventjson": compact(each)})),
    "Parquet, objects as texts": ("a.parquet", parquet(lambda each: {**as_texts(each)})),
    # Search engines and collectors
    "bulk request": ("a.ndjson", written('{"index":{"_index":"trail","_id":"%s"}}\n{}\n')),
    "elasticdump": ("a.json", lines(lambda each: {"_index": "a", "_id": "1", "_score": 1, "_source": each})),
    "Elastic, event.original": (
        "a.json",
        lines(
            lambda each: {
                "@timestamp": "x",
                "event": {"action": "GetSessionToken", "original": compact(each)},
                "cloud": {"region": "x"},
            }
        ),
    ),
    "Elastic, flat event.original": ("a.json", lines(lambda each: {"event.original": compact(each), "tags": ["x"]})),
    "Elastic, fields": (
        "a.json",
        whole(
            lambda records: {
                "hits": {"hits": [{"_id": "1", "fields": {"event.original": [compact(each)]}} for each in records]}
            }
        ),
    ),
    "Kibana, CSV": ("a.csv", table(["@timestamp", "event.original"], lambda each: ["x", compact(each)])),
    "OpenSearch integration": ("a.json", lines(lambda each: {"aws": {"cloudtrail": each}, "@timestamp": "x"})),
    "Logstash": ("a.json", lines(lambda each: {"@version": "1", "@timestamp": "x", "message": compact(each)})),
    "Filebeat": (
        "a.json",
        lines(lambda each: {"agent": {"type": "filebeat"}, "message": compact(each), "log": {"offset": 1}}),
    ),
    "Fluent Bit": ("a.json", lines(lambda each: {"date": 1767607200.5, "log": compact(each)})),
    "Vector": ("a.json", lines(lambda each: {"source_type": "aws_s3", "message": compact(each), "timestamp": "x"})),
    "Splunk, _raw": (
        "a.json",
        lines(lambda each: {"_raw": compact(each), "_time": "x", "host": "y", "eventName": "z"}),
    ),
    "Splunk, results": (
        "a.json",
        lines(lambda each: {"preview": False, "offset": 1, "result": {"_raw": compact(each)}}),
    ),
    "Splunk, CSV": ("a.csv", table(["_serial", "_raw", "_time"], lambda each: ["1", compact(each), "x"])),
    "Splunk, HTTP collector": (
        "a.json",
        lines(lambda each: {"time": 1, "sourcetype": "aws:cloudtrail", "event": each}),
    ),
    "Wazuh": ("a.json", lines(lambda each: {"rule": {"id": "1"}, "data": {"integration": "aws", "aws": each}})),
    "Loki, query": (
        "a.json",
        whole(
            lambda records: {
                "status": "success",
                "data": {
                    "resultType": "streams",
                    "result": [
                        {"stream": {"job": "x"}, "values": [["1767607200000000000", compact(each)] for each in records]}
                    ],
                },
            }
        ),
    ),
    "Loki, lines": ("a.json", lines(lambda each: {"line": compact(each), "timestamp": "x", "fields": {}})),
    "Graylog": ("a.json", lines(lambda each: {"index": "a", "message": {"full_message": compact(each)}})),
    "Datadog": (
        "a.json",
        whole(
            lambda records: {
                "data": [{"id": "1", "type": "log", "attributes": {"attributes": each}} for each in records]
            }
        ),
    ),
    "OTLP": (
        "a.json",
        whole(
            lambda records: {
                "resourceLogs": [
                    {
                        "scopeLogs": [
                            {
                                "logRecords": [
                                    {"timeUnixNano": "1", "body": {"stringValue": compact(each)}} for each in records
                                ]
                            }
                        ]
                    }
                ]
            }
        ),
    ),
    "Kafka, text": ("a.json", lines(lambda each: {"topic": "a", "partition": 0, "key": None, "value": compact(each)})),
    "Kafka, object": ("a.json", lines(lambda each: {"topic": "a", "value": each})),
    "Snowflake": ("a.json", lines(lambda each: {"FILENAME": "x", "SRC": each})),
    "Panther": ("a.json", lines(lambda each: {**each, "p_log_type": "AWS.CloudTrail", "p_any_ip_addresses": ["x"]})),
    "MongoDB": (
        "a.json",
        lines(lambda each: {"_id": {"$oid": "1"}, **each, "eventTime": {"$date": each["eventTime"]}}),
    ),
    "Athena, JSON": ("a.json", lines(as_texts)),
    "columns, CSV": (
        "a.csv",
        lambda records: table([*records[0]], lambda each: [str(v) for v in as_texts(each).values()])(records),
    ),
    "semicolons": ("a.csv", table(["eventID", "eventJson"], lambda each: ["1", compact(each)], ";")),
    "semicolons, for Excel": (
        "a.csv",
        lambda records: (
            b"sep=;\r\n" + table(["eventID", "eventJson"], lambda each: ["1", compact(each)], ";", end="\r\n")(records)
        ),
    ),
    "tabs": ("a.tsv", table(["eventID", "x"], lambda each: ["1", compact(each)], "\t")),
    "tabs, UTF-16": (
        "a.txt",
        table(["eventID", "eventJson"], lambda each: ["1", compact(each)], "\t", end="\r\n", encoding="utf-16"),
    ),
    "carriage returns": ("a.csv", table(["eventID", "eventJson"], lambda each: ["1", compact(each)], end="\r")),
    "bars, no header": (
        "a.csv",
        lambda records: table(["1", compact(records[0])], lambda each: ["1", compact(each)], "|")(records[1:]),
    ),
    "Snowflake, unloaded": (
        "data_0_0_0.csv.gz",
        lambda records: gzip.compress("".join(map(snowflake, records)).encode()),
    ),
    "Snowflake, one column": (
        "data_0_0_0.csv.gz",
        lambda records: gzip.compress("".join(snowflake(each)[2:] for each in records).encode()),
    ),
    "OCSF with raw data": (
        "a.json",
        lines(lambda each: {"class_uid": 6003, "metadata": {"uid": "x"}, "raw_data": compact(each)}),
    ),
    "OCSF with raw data, CSV": (
        "a.csv",
        table(["class_uid", "activity_id", "raw_data"], lambda each: ["6003", "1", compact(each)]),
    ),
    "OCSF with raw data, Parquet": (
        "a.parquet",
        parquet(lambda each: {"class_uid": 6003, "metadata": {"uid": "x"}, "raw_data": compact(each)}),
    ),
    "Sentinel, CSV": (
        "query_data.csv",
        lambda records: table(
            ["TimeGenerated [UTC]" if name == "TimeGenerated" else name for name in sentinel(records[0])],
            lambda each: [str(value) for value in sentinel(each).values()],
        )(records),
    ),
    "Sentinel, exported": ("PT05M.json", lines(lambda each: sentinel(each))),
    "Sentinel, az": ("a.json", whole(lambda records: [{**sentinel(each), "TableName": "x"} for each in records])),
    "Sentinel, API": (
        "a.json",
        whole(
            lambda records: {
                "tables": [
                    {
                        "name": "PrimaryResult",
                        "columns": [{"name": name, "type": "string"} for name in sentinel(records[0])],
                        "rows": [[*sentinel(each).values()] for each in records],
                    }
                ]
            }
        ),
    ),
    "Sumo Logic, CSV": ("a.csv", table(["_messagetime", "_raw"], lambda each: ["1", compact(each)])),
    "Datadog, archive": (
        "a.json.gz",
        lambda records: gzip.compress(
            lines(lambda each: {"_id": "1", "service": "cloudtrail", "attributes": {**each, "evt": {"name": "x"}}})(
                records
            )
        ),
    ),
    "Datadog, CSV": ("a.csv", table(["Date", "Host", "Content"], lambda each: ["1", "x", compact(each)])),
    "Google SecOps, raw logs": ("a.json", lines(lambda each: {"logType": "AWS_CLOUDTRAIL", "rawLog": base64_of(each)})),
    "BigQuery": ("a.json", lines(lambda each: {"insertId": "x", "jsonPayload": each})),
    "Splunk, rows": (
        "a.json",
        whole(lambda records: {"fields": ["_time", "_raw"], "rows": [["x", compact(each)] for each in records]}),
    ),
    "GELF": ("a.json", lines(lambda each: {"version": "1.1", "host": "x", "short_message": compact(each)})),
    "QRadar, CSV": ("a.csv", table(["startTime", "utf8 payload"], lambda each: ["1", compact(each)])),
    "Loki, text": ("a.log", written('2026-01-05T10:00:00Z {app="x", job="y"} {}\n')),
    # Logs of containers
    "Docker": ("a.log", lines(lambda each: {"log": compact(each) + "\n", "stream": "stdout", "time": "x"})),
    "Docker, in parts": (
        "a-json.log",
        in_parts(lambda part, number, ends: text({"log": part + "\n" * ends, "stream": "stdout", "time": "x"})),
    ),
    "Fluentd, in parts": (
        "a.json",
        in_parts(lambda part, number, ends: text({"log": part, "partial_message": "true", "partial_id": str(number)})),
    ),
    "journald, in parts": (
        "a.json",
        in_parts(lambda part, number, ends: text({"MESSAGE": part, "CONTAINER_PARTIAL_ID": str(number)})),
    ),
    "Kubernetes": ("a.log", written("2026-01-05T10:00:00.123456789Z stdout F {}\n")),
    "Kubernetes, in parts": (
        "a.log",
        in_parts(lambda part, number, ends: f"2026-01-05T10:00:00.123456789Z stdout {'F' if ends else 'P'} {part}"),
    ),
    # Lines of text
    "syslog, BSD": ("messages", written("<134>Jan  5 10:00:00 host cloudtrail[123]: {}\n")),
    "syslog": ("a.log", written('<134>1 2026-01-05T10:00:00Z host app - ID47 [x@1 a="b"] {}\n')),
    "CRLF": ("a.json", written("{}\r\n")),
    "empty lines": ("a.json", written("\n{}\n\n")),
    "commas": ("a.json", written("{},\n")),
    "byte order marks": ("a.json", written("\ufeff{}\n")),
    "texts": ("a.json", lines(text)),
    "texts of texts": ("a.json", lines(lambda each: text(text(each)))),
    # Lists and maps
    "list of texts": ("a.json", whole(lambda records: [text(each) for each in records])),
    "lists in a list": ("a.json", whole(lambda records: [[each] for each in records])),
    "map": ("a.json", whole(lambda records: {f"id-{number}": each for number, each in enumerate(records)})),
    "list under another key": ("a.json", whole(lambda records: {"value": [*records], "nextLink": "x"})),
    "several lists": (
        "a.json",
        whole(lambda records: {"Records": [*records[:1]], "more": {"Records": [*records[1:]]}}),
    ),
    "sample pairs": (
        "a.json",
        lines(lambda each: {"input": {"message": compact(each)}, "expected": {"event": {"action": "x"}}}),
    ),
}
