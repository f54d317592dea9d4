"""Records of each form in which CloudTrail writes requests and responses: what is in them is known, slips are not."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.reference.aws_parameters import has_parameters, nearest_parameter, parameter
from tests.samples.make import log_files
from tests.support.yaml_files import read_yaml

FORMS: list[dict[str, Any]] = read_yaml(Path(__file__).parents[1] / "cases" / "record_forms.yml")
SIDES = ("requestParameters", "responseElements")


def names_in(value: Json, name: str) -> Iterator[str]:
    """The dotted names of all that is in a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{name}.{key}"
            yield from names_in(inner, f"{name}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner, name)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["name"])
def test_what_is_in_a_record_is_known(form: dict[str, Any]) -> None:
    """Every name in the request and the response is one that such events have."""
    event = (form["source"], form["event"])
    assert has_parameters(event)
    names = chain.from_iterable(names_in(form.get(side), side) for side in SIDES)
    assert [name for name in names if parameter(name, [event]) is None] == []


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["name"])
def test_slips_are_not_known_and_corrected(form: dict[str, Any]) -> None:
    """Another case, a level left out or a letter too few is no name of the event, and leads to the right one."""
    event = (form["source"], form["event"])
    wrong = form["wrong"]
    assert [name for name in wrong if parameter(name, [event]) is not None] == []
    assert {name: nearest_parameter(name, [event]) for name in wrong} == wrong


def test_samples_hold_what_their_events_have() -> None:
    """Every parameter in the records of the samples is known, where those of its event are."""
    unknown = set()
    for record in chain(*log_files().values()):
        event = (str(record["eventSource"]), str(record["eventName"]))
        for side in (side for side in SIDES if has_parameters(event, side)):
            unknown |= {(event, name) for name in names_in(record.get(side), side) if parameter(name, [event]) is None}
    assert unknown == set()
