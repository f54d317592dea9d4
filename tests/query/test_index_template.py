"""The index template."""

import json
from typing import Any

import pytest

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.query.index_template import IGNORE_ABOVE, index_mappings, index_template, too_long, utf16_units
from sigma_stellar_aws.reference.flat_schema import EVENT_FIELDS, TIME_FIELD, Document
from sigma_stellar_aws.rule_files.stellar_block import DEFAULT_SUPPRESSION

LUCENE_LIMIT = 32766
"""Bytes of UTF-8 that one indexed value may have."""


def template(*fields: str) -> Any:
    """The template as a store reads it."""
    return json.loads(json.dumps(index_template("aella-cloudtrail-*", fields)))


def test_the_template_is_for_its_pattern() -> None:
    """The template names the indices that it is for, and stands above the ones that a store brings along."""
    body = template()
    assert body["index_patterns"] == ["aella-cloudtrail-*"]
    assert body["priority"] >= 200
    assert set(body["template"]) == {"settings", "mappings"}


def test_every_field_of_the_rules_is_mapped() -> None:
    """Every field that a rule tests, published or corrected, or suppresses by, is mapped by name as a keyword."""
    fields = pack_fields()
    properties = template(*fields)["template"]["mappings"]["properties"]
    assert "requestParameters_layers" in fields
    assert {name.replace(".", "_") for name in DEFAULT_SUPPRESSION.fields} <= fields
    assert set(properties) == {*fields, *EVENT_FIELDS, TIME_FIELD}
    assert {properties[name]["type"] for name in set(properties) - {TIME_FIELD}} == {"keyword"}


def test_every_other_leaf_is_a_keyword() -> None:
    """One dynamic template maps what comes, of whatever JSON type, as a keyword; no type is guessed."""
    mappings: Any = index_mappings()
    [dynamic] = mappings["dynamic_templates"]
    [rule] = dynamic.values()
    assert rule == {"match_mapping_type": "*", "mapping": {"type": "keyword", "ignore_above": IGNORE_ABOVE}}
    assert mappings["date_detection"] is mappings["numeric_detection"] is False


def test_the_time_is_a_date() -> None:
    """The time is a date in milliseconds even if a rule names it, and a bad one does not reject its document."""
    time = template(TIME_FIELD)["template"]["mappings"]["properties"][TIME_FIELD]
    assert time["type"] == "date"
    assert time["format"].split("||")[0] == "epoch_millis"
    assert time["ignore_malformed"] is True


def test_there_is_room_for_the_fields_of_all_services() -> None:
    """The limit of fields is far above the 2,000 or so that the records of all services have."""
    assert template()["template"]["settings"]["index"]["mapping"]["total_fields"]["limit"] >= 10000


@pytest.mark.parametrize("character", ["a", "\u00e4", "\u6f22", "\U0001f600"])
def test_what_is_indexed_fits_lucene(character: str) -> None:
    """The longest text of any characters that is indexed is one that Lucene takes, and one more is too long."""
    units = len(character.encode("utf-16-le")) // 2
    longest = character * (IGNORE_ABOVE // units)
    assert len(longest.encode()) <= LUCENE_LIMIT
    assert too_long({"a": longest}) == []
    assert too_long({"a": longest + character}) == ["a"]


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({"a": ["b", "c" * (IGNORE_ABOVE + 1)], "b": 1, "c": [True]}, ["a"]),
        ({"a": ["b" * IGNORE_ABOVE, "c" * IGNORE_ABOVE]}, []),
        ({}, []),
    ],
)
def test_too_long_in_lists(document: Document, fields: list[str]) -> None:
    """A field is told once if any of its values is too long."""
    assert too_long(document) == fields


@pytest.mark.parametrize(
    ("text", "units"),
    [("", 0), ("abc", 3), ("\u00e4\u6f22", 2), ("\U0001f600", 2), ("a\U0001f600b", 4), ("\U0001f600" * 9000, 18000)],
    ids=["empty", "ASCII", "one unit each", "one of two units", "mixed", "long"],
)
def test_length_is_counted_in_utf16_units(text: str, units: int) -> None:
    """A character beyond the first 65,536 counts twice, in short texts as in long ones."""
    assert utf16_units(text) == units
    assert utf16_units(text) == len(text.encode("utf-16-le")) // 2
