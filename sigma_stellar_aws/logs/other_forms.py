"""Recognise formats that hold no complete CloudTrail records, and say what to read instead."""

import re
from collections.abc import Collection, Mapping

import msgspec

from sigma_stellar_aws.logs import sentinel_rows

OCSF = (
    "this is OCSF, the schema of Security Lake, which has not all of a CloudTrail record, and it has no raw_data with "
    "the record; read CloudTrail's own log files, of which Security Lake has made this, in S3"
)
ATHENA = (
    "this table has only parts of the records: it is the result of a query in Athena, or in CloudTrail Lake; read the "
    "log files in S3 that Athena reads, or in CloudTrail Lake SELECT eventJson FROM the event data store"
)
ELASTIC = (
    "this is an event as Elastic's AWS integration keeps it, which has not all of a CloudTrail record; search it in "
    "the store (alerts --url), or have the integration preserve original events and export event.original"
)
CONSOLE = (
    "this table has only parts of the records: it is the event history of CloudTrail's console; download it as JSON "
    "there, or run aws cloudtrail lookup-events"
)
JOURNAL = (
    "its MESSAGE is not a text, because journalctl leaves out what is long, and writes what is not plain text as "
    "numbers; export it with journalctl --output cat --all"
)
UDM = "this is UDM, the schema of Google SecOps, which has not all of a CloudTrail record; export the raw logs"
_NOT_UNPACKED = "this is compressed with {}, which is not read; unpack it"
_NO_TEXT = "this is {}, which is not read; export JSON, CSV or Parquet"
_ANOTHER = "this is {} and not of CloudTrail"

# By how a file begins.
_TEXTS = (
    (rb"Obj\x01", _NO_TEXT.format("Avro")),
    (rb"ORC(?=[\x00-\x1f\x80-\xff])", _NO_TEXT.format("ORC")),
    (rb"SQLite format 3\x00", _NO_TEXT.format("a database of SQLite")),
    (rb"%PDF-", _NO_TEXT.format("PDF")),
    (rb"7z\xbc\xaf\x27\x1c", _NOT_UNPACKED.format("7-Zip")),
    (rb"Rar!\x1a\x07", _NOT_UNPACKED.format("RAR")),
    (rb"\xff\x06\x00\x00sNaPpY", _NOT_UNPACKED.format("Snappy")),
    (rb"\x04\x22\x4d\x18", _NOT_UNPACKED.format("LZ4")),
    (rb"\x1f[\x9d\xa0]", _NOT_UNPACKED.format("compress (.Z)")),
    (
        rb"\s*<(?:\?xml|!DOCTYPE|html|results|Error)\b",
        "this is XML or HTML, which is not read; export JSON, CSV or, from Splunk, the raw events. If it should be a "
        "file of S3, see whether it is an error message",
    ),
    (
        rb"(?:---\s+)?(?:- )?(?:Records|Events|events|detail|event[A-Z]\w*|awsRegion|userIdentity|AccessKeyId|"
        rb"CloudTrailEvent):(?: [^\n{\[]{0,200})?\r?\n",
        "this is YAML, which is not read; run the command with --output json",
    ),
    (rb"\s*[-+]{20,}\r?\n[|+]", "this is a table for people, which is not read; run the command with --output json"),
    (
        rb"\s*(?:\[\s*)?\{\s*'\w+'\s*:",
        "this is how Python prints a dict, and not JSON; write it with json.dumps",
    ),
    (
        rb"\s*(?:\[\s*)?\{\s*(?:\\+\"|\\x22|&quot;|&#34;)",
        "this is JSON whose quotes are escaped once more, which is not read; export it without, or undo that",
    ),
)
_OF_LOGS = (b'{"', b'[{"')
"""How most logs begin, which need no closer look."""

# By the keys that an object has, and text inside the value of the first one.
_OBJECTS = (
    (("metadata", "class_uid"), b"", OCSF),
    (("ResultSet",), b"VarCharValue", ATHENA),
    (("aws",), b'"cloudtrail"', ELASTIC),
    (("udm",), b"", UDM),
    (("metadata", "principal"), b"product", UDM),
    (("service", "severity", "schemaVersion"), b"", _ANOTHER.format("a finding of GuardDuty")),
    (("ProductArn", "GeneratorId"), b"", _ANOTHER.format("a finding of Security Hub")),
    (("configurationItems",), b"", _ANOTHER.format("of AWS Config")),
    (("configurationItem",), b"", _ANOTHER.format("of AWS Config")),
    (("webaclId", "httpRequest"), b"", _ANOTHER.format("a log of AWS WAF")),
    (("protoPayload",), b"", _ANOTHER.format("an audit log of Google Cloud")),
    (("MESSAGE", "__CURSOR"), b"null", JOURNAL),
    (("MESSAGE", "__CURSOR"), b"[", JOURNAL),
    (("fields", "_id"), b"eventName", "these are fields that a search picked out of a record; export _source"),
    (
        ("event_name", "event_source"),
        b"",
        "this has only parts of a record, under other names than CloudTrail's; export the original message",
    ),
)
_ELASTIC_FIELD = "aws.cloudtrail."


def reason_by_beginning(start: bytes) -> str:
    """Return why a file that begins so is not read; empty for any other.

    >>> reason_by_beginning(b"{'eventVersion': '1.08'}")
    'this is how Python prints a dict, and not JSON; write it with json.dumps'
    """
    if start.startswith(_OF_LOGS):
        return ""
    return next((reason for pattern, reason in _TEXTS if re.match(pattern, start)), "")


def reason_by_members(members: Mapping[str, msgspec.Raw]) -> str:
    """Return why an object without a record has none, if its form is known; else nothing."""
    for keys, text, reason in _OBJECTS:
        if members.keys() >= set(keys) and text in bytes(memoryview(members[keys[0]])):
            return reason
    return reason_by_columns(members.keys())


def reason_by_columns(names: Collection[str]) -> str:
    """Return why objects or rows with these names have no whole records, if their form is known; else nothing."""
    if any(name.startswith(_ELASTIC_FIELD) for name in names):
        return ELASTIC
    return sentinel_rows.PARTS if sentinel_rows.is_part_of_row(names) else ""
