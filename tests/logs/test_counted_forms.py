"""Records are counted in every form that people keep them in: none is lost, none is found twice, none hides another."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.logs.reader import read_parts
from tests.logs.counted_forms import COUNTED
from tests.logs.test_forms import record
from tests.logs.test_reader import VALUES

NUMBER = 7
NAMES = ("GetSessionToken", "CreateUser", "Ein\u00e4", "\U0001f512", "")
# What may stand in a record beside what AWS writes, or instead of it.
ODD: st.SearchStrategy[JsonObject] = st.fixed_dictionaries(
    {},
    optional={
        "eventVersion": st.sampled_from([None, 1.08]),
        "userIdentity": st.sampled_from([None, "alice", '{"type": "Root"}', []]),
        "eventSource": st.sampled_from([None, 7, "aws:x", "azure"]),
        "requestParameters": st.sampled_from(['{"a": [1]}', [], {"Records": [record(9)]}, {"message": "{}"}]),
        "_raw": st.sampled_from([None, "", "words", "{}"]),
        "message": st.sampled_from([None, "words", "{", 7]),
        "detail": st.sampled_from([None, {}, [], "words"]),
        "x\u00e9": st.just("\u2028\x00"),
    },
)
VARIED: st.SearchStrategy[list[JsonObject]] = st.lists(
    st.builds(
        lambda name, arn, more, odd: {
            **record(0),
            "eventName": name,
            "userIdentity": {"type": "IAMUser", "arn": arn},
            "requestParameters": more,
            **odd,
        },
        st.sampled_from(NAMES),
        st.text(max_size=5),
        st.none() | st.dictionaries(st.text(max_size=5), VALUES, max_size=3),
        st.just({}) | ODD,
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files are written."""
    return tmp_path_factory.mktemp("counted")


def read(file: Path, wanted: set[Json]) -> tuple[int, list[JsonObject], list[str]]:
    """How many records are read, those with a wanted name, and what is told, but for notes."""
    told: list[Problem] = []
    parts = list(read_parts(file, told.append, lambda source, name: name in wanted))
    return (
        sum(part.records for part in parts),
        [found for part in parts for _, found in part.passing],
        [problem.reason for problem in told if not problem.is_note],
    )


def test_there_are_many_forms() -> None:
    """So many that a form which somebody has is most probably among them."""
    assert len(COUNTED) >= 60


@pytest.mark.parametrize("form", COUNTED)
def test_records_of_every_form_are_counted(folder: Path, form: str) -> None:
    """As many records are read as were written, each once, whether they are wanted or not, and nothing is wrong."""
    records = [record(number) for number in range(NUMBER)]
    name, write = COUNTED[form]
    file = folder / name
    file.write_bytes(write(records))
    count, found, told = read(file, {"GetSessionToken"})
    assert [each["eventID"] for each in found] == [each["eventID"] for each in records]
    assert (count, told) == (NUMBER, [])
    assert all(isinstance(each["userIdentity"], dict) for each in found)
    assert read(file, set()) == (NUMBER, [], [])


@example(form="Sentinel, API", records=[{**record(0), "eventSource": "aws:x"}], wanted=set())
@settings(max_examples=150)
@given(form=st.sampled_from(sorted(COUNTED)), records=VARIED, wanted=st.sets(st.sampled_from(NAMES)))
def test_screening_loses_nothing(folder: Path, form: str, records: list[JsonObject], wanted: set[Json]) -> None:
    """What passes the screen is what would have been found without one, in every form, and all else is counted."""
    name, write = COUNTED[form]
    file = folder / name
    file.write_bytes(write(records))
    everything = read(file, set(NAMES))
    screened = read(file, wanted)
    assert screened[1] == [each for each in everything[1] if each.get("eventName") in wanted]
    assert (screened[0], screened[2]) == (everything[0], everything[2])
