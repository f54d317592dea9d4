"""The index template for flattened CloudTrail records.

Real records have mixed types under one name, dates that are none, and thousands of names, so under default dynamic
mapping a store rejects some of them. Here every leaf is a keyword whatever its JSON type, except the time.
"""

import re
from collections.abc import Iterable

from sigma_stellar_aws.flatten import TIME_FIELD
from sigma_stellar_aws.jsontypes import JsonObject

IGNORE_ABOVE = 8191
"""Longest value, in UTF-16 units, that a keyword field indexes; Lucene's limit is 32,766 bytes, 4 a character."""

LONG_VALUES = re.compile(
    r".*([Aa]ssertion|[Bb]ody|[Cc]ommands?|[Cc]ontent|[Dd]efinition|[Dd]ocument|[Mm]essage|[Pp]olic(y|ies)|"
    r"[Qq]uery|[Ss]cript|[Tt]emplate|[Uu]serAgent|[Uu]serData)"
)
"""Names of fields known to hold values longer than that; they are of the type ``wildcard``, which has no limit."""

# Alerts are told apart and read by these, and the filters beside the rules test them.
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


def index_template(pattern: str, fields: Iterable[str] = (), *, wildcard: bool = True) -> JsonObject:
    """Body for ``PUT /_index_template/<name>`` (Elasticsearch 7.8+, OpenSearch).

    Args:
        pattern: names of the indices it is for.
        fields: flattened names to map explicitly, since ES|QL refuses a query that names an unmapped column.
        wildcard: use the type ``wildcard`` (Elasticsearch's default distribution 7.9+, OpenSearch 2.15+) for long
            values; without it they are keywords, and values over ``IGNORE_ABOVE`` are stored but cannot be found.
    """
    return {
        "index_patterns": [pattern],
        "priority": 200,
        "template": {"settings": index_settings(), "mappings": index_mappings(fields, wildcard=wildcard)},
    }


def index_settings() -> JsonObject:
    """Settings of an index for flattened records."""
    return {"index": {"mapping": {"total_fields": {"limit": 20000}}}}


def index_mappings(fields: Iterable[str] = (), *, wildcard: bool = True) -> JsonObject:
    """Mappings of an index for flattened records (arguments as in :func:`index_template`)."""
    keyword: JsonObject = {"type": "keyword", "ignore_above": IGNORE_ABOVE}
    long_value: JsonObject = {"type": "wildcard"} if wildcard else keyword
    names = sorted({*EVENT_FIELDS, *fields} - {TIME_FIELD})
    return {
        "date_detection": False,
        "numeric_detection": False,
        "dynamic_templates": [
            {
                "long_values": {
                    "match_mapping_type": "*",
                    "match_pattern": "regex",
                    "match": LONG_VALUES.pattern,
                    "mapping": long_value,
                }
            },
            {"values": {"match_mapping_type": "*", "mapping": keyword}},
        ],
        "properties": {
            TIME_FIELD: {"type": "date", "format": "epoch_millis||strict_date_optional_time", "ignore_malformed": True},
            **{name: long_value if LONG_VALUES.fullmatch(name) else keyword for name in names},
        },
    }


def is_indexed(field: str, value: str) -> bool:
    """Whether a value can be found in an index made from the template."""
    if len(value) <= IGNORE_ABOVE // 2 or LONG_VALUES.fullmatch(field):
        return True
    return len(value.encode("utf-16-le", "surrogatepass")) // 2 <= IGNORE_ABOVE
