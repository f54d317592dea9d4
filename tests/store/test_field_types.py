"""The field types of indices, as their mappings and settings say them."""

import json
from typing import Any

import pytest

from sigma_stellar_aws.base.json_types import JsonObject
from tests.support.mappings import described


def test_a_field_is_described_by_what_changes_a_query() -> None:
    """Sub-fields and settings that matter are kept, and all others left out."""
    properties: JsonObject = {
        "plain": {"type": "keyword", "store": True, "eager_global_ordinals": True, "split_queries_on_whitespace": True},
        "limited": {"type": "keyword", "ignore_above": 256, "doc_values": False},
        "unlimited": {"type": "wildcard", "ignore_above": 2147483647},
        "hidden": {"type": "long", "index": False},
        "nulls": {"type": "boolean", "null_value": False},
        "words": {
            "type": "text",
            "analyzer": "standard",
            "fields": {"raw": {"type": "keyword"}, "a": {"type": "text"}},
        },
        "short": {"type": "alias", "path": "plain"},
    }
    assert described(({"properties": properties}, {})) == {
        "plain": {"type": "keyword"},
        "limited": {"type": "keyword", "ignore_above": 256, "doc_values": False},
        "unlimited": {"type": "wildcard"},
        "hidden": {"type": "long", "index": False},
        "nulls": {"type": "boolean", "null_value": True},
        "words": {"type": "text", "fields": {"a": {"type": "text"}, "raw": {"type": "keyword"}}},
        "short": {"type": "alias", "path": "plain"},
    }


def test_objects_are_names_of_their_fields() -> None:
    """Fields inside objects have dotted names; what holds a whole object is one field."""
    properties: JsonObject = {
        "user": {"properties": {"name": {"type": "keyword"}, "session": {"type": "object", "properties": {}}}},
        "rows": {"type": "nested", "properties": {"cell": {"type": "keyword"}}},
        "rest": {"type": "flattened"},
        "off": {"type": "object", "enabled": False},
    }
    assert described(({"properties": properties}, {})) == {
        "user.name": {"type": "keyword"},
        "rows": {"type": "nested"},
        "rest": {"type": "flattened"},
    }


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"type": "custom", "filter": ["lowercase"]}, "lowercase"),
        ({"type": "custom", "filter": "lowercase", "char_filter": []}, "lowercase"),
        ({"filter": ["lowercase", "asciifolding"]}, "other"),
        ({"filter": ["lowercase"], "char_filter": ["quotes"]}, "other"),
        ({"filter": ["uppercase"]}, "other"),
        ({"type": "custom"}, "other"),
        ("lowercase", "other"),
    ],
    ids=str,
)
def test_normalizers_are_known_by_what_they_do(definition: Any, expected: str) -> None:
    """Only one that lower-cases and does nothing else is known; any other changes values in some way."""
    properties: JsonObject = {"f": {"type": "keyword", "normalizer": "mine"}}
    assert described(({"properties": properties}, {"analysis": {"normalizer": {"mine": definition}}})) == {
        "f": {"type": "keyword", "normalizer": expected}
    }


@pytest.mark.parametrize(("name", "expected"), [("lowercase", "lowercase"), ("mine", "other")])
def test_a_normalizer_without_definition(name: str, expected: str) -> None:
    """The one that engines bring along is known; one that is not to be found does anything."""
    properties: JsonObject = {"f": {"type": "keyword", "normalizer": name}}
    found: Any = described(({"properties": properties}, {}))
    assert found["f"]["normalizer"] == expected


def test_a_runtime_field_hides_a_mapped_one() -> None:
    """A query sees the runtime field of a name."""
    mappings: JsonObject = {"properties": {"f": {"type": "long"}}, "runtime": {"f": {"type": "keyword"}}}
    assert described((mappings, {})) == {"f": {"type": "keyword", "runtime": True}}


def test_indices_that_agree_have_one_mapping_and_others_a_list() -> None:
    """Where indices disagree, all mappings of a field are listed in an order that does not hang on the indices."""
    first: JsonObject = {"properties": {"f": {"type": "long"}, "g": {"type": "keyword", "store": True}}}
    second: JsonObject = {"properties": {"g": {"type": "keyword"}, "f": {"type": "keyword"}, "h": {"type": "ip"}}}
    expected = {"f": [{"type": "keyword"}, {"type": "long"}], "g": {"type": "keyword"}, "h": {"type": "ip"}}
    for order in ([first, second], [second, first], [first, second, first]):
        assert described(*((mappings, {}) for mappings in order)) == expected


F: JsonObject = {"properties": {"o": {"properties": {"f": {"type": "keyword"}}}}}
UNMAPPED_FIELD: JsonObject = {"type": "unmapped"}


def str_of(mapping: JsonObject) -> str:
    """By what mappings are ordered."""
    return json.dumps(mapping, sort_keys=True)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, None),
        ({"dynamic": True}, None),
        ({"dynamic": "strict"}, None),
        ({"dynamic": False}, UNMAPPED_FIELD),
        ({"dynamic": "false"}, UNMAPPED_FIELD),
        ({"enabled": False}, UNMAPPED_FIELD),
        ({"properties": {"o": {"type": "object", "enabled": False}}}, UNMAPPED_FIELD),
        ({"properties": {"o": {"dynamic": "false", "properties": {"g": {"type": "keyword"}}}}}, UNMAPPED_FIELD),
        ({"dynamic": False, "properties": {"o": {"properties": {"g": {"type": "keyword"}}}}}, UNMAPPED_FIELD),
        ({"dynamic": False, "properties": {"o": {"type": "object", "dynamic": True}}}, None),
        ({"properties": {"p": {"dynamic": False}}}, None),
        ({"properties": {"o": {"type": "nested"}}}, {"type": "nested", "inside": True}),
        ({"properties": {"o": {"type": "flattened"}}}, {"type": "flattened", "inside": True}),
        (
            {"dynamic": False, "properties": {"o": {"type": "flat_object", "ignore_above": 8}}},
            {"type": "flat_object", "ignore_above": 8, "inside": True},
        ),
    ],
    ids=str,
)
def test_an_index_without_the_field_says_how_it_takes_its_values(
    other: JsonObject, expected: JsonObject | None
) -> None:
    """One that would map the field says nothing; one that keeps it out of its mapping, or in an object, counts."""
    mapping: JsonObject = {"type": "keyword"}
    for order in ([F, other], [other, F]):
        found = described(*((mappings, {}) for mappings in order))
        assert found["o.f"] == (mapping if expected is None else sorted([mapping, expected], key=str_of))
        assert not any("\0" in name for name in found)


def test_fields_that_others_are_copied_into_are_told() -> None:
    """Targets of copy_to hold values of other fields; a target that is not mapped is no field."""
    keyword: JsonObject = {"type": "keyword"}
    properties: JsonObject = {
        "a": {**keyword, "copy_to": "all"},
        "o": {"properties": {"b": {**keyword, "copy_to": ["all", "o.c", "gone"]}, "c": keyword}},
        "all": {"type": "text"},
    }
    assert described(({"properties": properties}, {})) == {
        "a": keyword,
        "o.b": keyword,
        "o.c": {**keyword, "copied": True},
        "all": {"type": "text", "copied": True},
    }


@pytest.mark.parametrize("kind", ["date", "date_nanos"])
@pytest.mark.parametrize(
    ("form", "plain"),
    [
        (None, True),
        ("epoch_millis", True),
        ("epoch_millis||strict_date_optional_time", True),
        ("strict_date_optional_time_nanos||date_time", True),
        ("epoch_second", False),
        ("strict_date_optional_time||epoch_second", False),
        ("yyyy", False),
        ("yyyy-MM-dd HH:mm:ss||epoch_millis", False),
    ],
)
def test_formats_of_dates_in_which_a_number_is_no_milliseconds(kind: str, form: str | None, plain: bool) -> None:
    """A date is told whose format may read a number as something other than milliseconds since 1970."""
    mapping: JsonObject = {"type": kind} if form is None else {"type": kind, "format": form}
    expected: JsonObject = {"type": kind} if plain else {"type": kind, "plain_date": False}
    assert described(({"properties": {"f": mapping}}, {})) == {"f": expected}
