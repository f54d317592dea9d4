"""Flattening of records."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar
from sigma_stellar_aws.logs.event_times import event_millis
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.reference.flat_schema import TIME_FIELD, Document, flat_name

KEYS = st.text(max_size=4) | st.sampled_from(["a", "b", "a_b", "a.b", "aws:s3:arn", "x-amz-acl", "_return", "A"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
VALUES: st.SearchStrategy[Json] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=6)


def scalars(value: Json) -> Iterator[Scalar]:
    """Every value in a record that is neither a container nor null."""
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from scalars(child)
    elif value is not None:
        yield value


def typed(values: Iterator[Scalar]) -> Counter[tuple[type, Scalar]]:
    """How often each value occurs, true and 1 and 1.0 told apart."""
    return Counter((type(value), value) for value in values)


@pytest.mark.parametrize(
    ("record", "document"),
    [
        ({"userIdentity": {"sessionContext": {"x": {"y": "z"}}}}, {"userIdentity_sessionContext_x_y": "z"}),
        ({"a": {"b": "1"}, "a_b": "2"}, {"a_b": ["1", "2"]}),
        ({"a": {"b": ["1", "2"]}, "a_b": "3"}, {"a_b": ["1", "2", "3"]}),
        ({"tags": {"cost.center": "x"}}, {"tags_cost_center": "x"}),
        ({"bucketName": "a", "BucketName": "b"}, {"bucketName": "a", "BucketName": "b"}),
        ({"layers": ["a", "b"]}, {"layers": ["a", "b"]}),
        ({"layers": ["a"]}, {"layers": ["a"]}),
        ({"x": [{"ARN": "a"}, {"ARN": "b", "type": "t"}]}, {"x_ARN": ["a", "b"], "x_type": ["t"]}),
        ({"a": [["b"], [["c"]]]}, {"a": ["b", "c"]}),
        ({"a": [{"b": ["c", {"d": "e"}]}]}, {"a_b": ["c"], "a_b_d": ["e"]}),
        ({"a": None, "b": {}, "c": [], "d": [None, {}], "e": {"f": None}}, {}),
        ({"acl": ""}, {"acl": ""}),
        ({"readOnly": False, "port": 0, "size": 1.5}, {"readOnly": False, "port": 0, "size": 1.5}),
        ({"": "a", "b": {"": "c"}}, {"_": "a", "b__": "c"}),
    ],
)
def test_shapes(record: JsonObject, document: Document) -> None:
    """Nesting is joined by underscores, lists are fields with several values, and nulls leave nothing."""
    assert flatten(record) == document


@given(RECORDS)
def test_no_value_is_lost(record: JsonObject) -> None:
    """A document is flat, without nulls, and holds every scalar of its record as often and with the same type."""
    document = flatten(record)
    values = [value for held in document.values() for value in (held if isinstance(held, list) else [held])]
    assert all(isinstance(value, str | int | float) for value in values)
    assert typed(iter(values)) == typed(scalars(record))
    assert not any("." in name for name in document)


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=5))
def test_names_are_those_of_the_pipeline(path: list[str]) -> None:
    """The value under nested keys is found under the flattened name of the dotted field that a rule names."""
    record: Json = "value"
    for key in reversed(path):
        record = {key: record}
    assert isinstance(record, dict)
    assert flatten(record) == {flat_name(".".join(path)): "value"}


def test_deep_nesting() -> None:
    """A record that is nested deeper than Python's own stack is flattened like any other."""
    record: JsonObject = {"a": "value"}
    for _ in range(5000):
        record = {"a": record}
    assert flatten(record) == {"_".join(["a"] * 5001): "value"}


@pytest.mark.parametrize(
    ("time", "millis"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("2026-11-24T12:00:00Z", 1795521600000),
        ("2026-11-24T12:00:00", 1795521600000),
        ("2026-11-24T13:00:00+01:00", 1795521600000),
        ("2026-11-24T12:00:00.250Z", 1795521600250),
        ("1969-12-31T23:59:59Z", -1000),
    ],
)
def test_time(time: str, millis: int) -> None:
    """A record gets the milliseconds of its eventTime, which is in UTC unless it says otherwise."""
    assert flatten({"eventTime": time}) == {"eventTime": time, TIME_FIELD: millis}


@pytest.mark.parametrize(
    "time",
    [
        1795521600,
        1795521600.0,
        1795521600000,
        1795521600000000,
        1795521600000000000,
        "1795521600",
        "1795521600.000",
        "1795521600000",
        {"$date": "2026-11-24T12:00:00Z"},
        {"$date": 1795521600000},
        {"$date": {"$numberLong": "1795521600000"}},
        "Nov 24, 2026 @ 12:00:00.000",
        "November 24, 2026, 13:00:00 (UTC+01:00)",
        "2026-11-24 12:00:00.000",
    ],
)
def test_times_as_exports_write_them(time: Json) -> None:
    """A time is the same in whatever form an export has it."""
    assert flatten({"eventTime": time})[TIME_FIELD] == 1795521600000


@pytest.mark.parametrize(
    "time",
    [None, "", "May 1, 2024 12:34:56 PM", 2026, 20260105, True, 1e300, ["2026-11-24T12:00:00Z"], {}, {"$date": None}],
)
def test_what_is_no_time(time: Json) -> None:
    """A record whose eventTime cannot be read gets no timestamp."""
    assert TIME_FIELD not in flatten({"eventTime": time})


@given(VALUES)
def test_any_value_may_stand_for_a_time(value: Json) -> None:
    """Whatever stands in eventTime is no error."""
    time = event_millis(value)
    assert time is None or isinstance(time, int)
