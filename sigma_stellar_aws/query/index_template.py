"""The index template for flattened CloudTrail records.

Real records have mixed types under one name, invalid dates, and thousands of names, so under default dynamic
mapping a store rejects some of them. Here every leaf is a keyword whatever its JSON type, except the time.
"""

from collections.abc import Iterable

from sigma_stellar_aws.base.json_types import JsonObject, Scalar
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS, TIME_FIELD, Document

IGNORE_ABOVE = 10922
"""Longest value that can be found, in UTF-16 units of at most 3 bytes each: Lucene takes 32,766 bytes.

Longer ones are kept but not found; Elasticsearch lists their fields under ``_ignored``, OpenSearch does not. The type
``wildcard`` has no such limit, but OpenSearch 3.8 misses values in it: ``*curl*`` in a ``query_string``, or a prefix
without regard to case.
"""


def index_template(pattern: str, fields: Iterable[str] = ()) -> JsonObject:
    """Return the body for ``PUT /_index_template/<name>`` (Elasticsearch 7.8+, OpenSearch).

    Args:
        pattern: names of the indices it is for.
        fields: flattened names to map explicitly, since ES|QL refuses a query that names an unmapped column.
    """
    return {
        "index_patterns": [pattern],
        "priority": 200,
        "template": {"settings": index_settings(), "mappings": index_mappings(fields)},
    }


def index_settings() -> JsonObject:
    """Return the settings of an index for flattened records."""
    return {"index": {"mapping": {"total_fields": {"limit": 20000}}}}


def index_mappings(fields: Iterable[str] = ()) -> JsonObject:
    """Return the mappings of an index for flattened records, with the flattened names to map explicitly."""
    keyword: JsonObject = {"type": "keyword", "ignore_above": IGNORE_ABOVE}
    time: JsonObject = {"type": "date", "format": "epoch_millis||strict_date_optional_time", "ignore_malformed": True}
    names = sorted({*EVENT_FIELDS, *fields} - {TIME_FIELD})
    return {
        "date_detection": False,
        "numeric_detection": False,
        "dynamic_templates": [{"values": {"match_mapping_type": "*", "mapping": keyword}}],
        "properties": {TIME_FIELD: time, **dict.fromkeys(names, keyword)},
    }


def too_long(document: Document) -> list[str]:
    """Return the fields of a flattened document with a value that an index under the template keeps but cannot find."""
    return [
        field for field, value in document.items() if any(utf16_units(text) > IGNORE_ABOVE for text in _texts(value))
    ]


def _texts(value: Scalar | list[Scalar]) -> list[str]:
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]


def utf16_units(text: str) -> int:
    """Return the length of a string as ``ignore_above`` counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
