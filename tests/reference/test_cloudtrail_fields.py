"""The fields that a CloudTrail record has."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS, Field, is_known, nearest_field
from sigma_stellar_aws.reference.flat_schema import flat_name
from tests.alerts.test_samples import committed
from tests.support.records import cases

NAMES = st.sampled_from(sorted(FIELDS))
OPEN = [name for name, field in FIELDS.items() if field.kind == "open object"]

# Parts of names as AWS services write them, like none of those that resources and addendum are known to hold.
SERVICE_NAMES = st.from_regex(r"[bcg-np][a-z]{2,6}([A-Z][a-z]{2,6}){0,2}", fullmatch=True)
SLIPS: list[Callable[[str], str]] = [str.upper, str.lower, str.title, str.swapcase, flat_name]


def leaves(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every value in a record that is no container, with its dotted name; lists add nothing to it."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for child in value:
            yield from leaves(child, path)
    else:
        yield path, value


def all_leaves() -> Iterator[tuple[str, Json]]:
    """The values of all records that this project has: the sample files and the test events of the rules."""
    for record in [*committed(), *(case.record for case in cases())]:
        yield from leaves(record)


def test_every_field_of_the_records_here_is_known() -> None:
    """No record of the samples or of the rules' test events has a field that CloudTrail does not have."""
    names = {name for name, _ in all_leaves()}
    assert len(names) > 100
    assert {name for name in names if not is_known(name)} == set()


def test_values_of_the_records_here_are_of_their_kind() -> None:
    """Booleans stand where the table says boolean and texts where it says text or time, and none is too long."""
    for name, value in all_leaves():
        if name not in FIELDS or value is None:
            continue
        kind, longest = FIELDS[name]
        assert isinstance(value, bool if kind == "boolean" else str), name
        assert longest is None or len(str(value)) <= longest, name


def test_parents_are_objects_with_names_of_their_own() -> None:
    """What is before the last dot of a name is in the table, as an object."""
    parents = {name.rpartition(".")[0] for name in FIELDS} - {""}
    assert {parent for parent in parents if parent not in FIELDS or "object" not in FIELDS[parent].kind} == set()


def test_objects_that_are_not_open_have_names_in_them() -> None:
    """A closed object without a name in it would refuse every rule."""
    closed = {name for name, field in FIELDS.items() if field.kind == "object"}
    assert closed <= {name.rpartition(".")[0] for name in FIELDS}


def test_no_two_names_differ_only_in_case_or_separators() -> None:
    """A slip of case or a flattened name means one field at most."""
    assert len({flat_name(name).replace("_", "").casefold() for name in FIELDS}) == len(FIELDS)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("userAgent", Field("text", 1024)),
        ("eventName", Field("text", 128)),
        ("userIdentity.sessionContext.attributes.mfaAuthenticated", Field("text", None)),
        ("readOnly", Field("boolean", None)),
        ("eventTime", Field("time", None)),
        ("userIdentity", Field("object", None)),
        ("additionalEventData", Field("open object", 28672)),
        ("requestParameters", Field("open object", 102400)),
    ],
)
def test_what_stands_in_a_field(name: str, field: Field) -> None:
    """The table says what kind of value a field holds and how long AWS lets it be."""
    assert FIELDS[name] == field


@pytest.mark.parametrize(
    "field",
    [
        "requestParameters",
        "requestParameters.ipPermissions.items.cidrIp",
        "responseElements._return",
        "serviceEventDetails.account_id",
        "insightDetails.insightContext.statistics.baseline.average",
        "eventContext.tagContext.resourceTags.arn",
        "userIdentity.sessionContext.webIdFederationData.attributes.www.amazon.com:app_id",
        "resources.ARN",
        "resources.ARNPrefix",
    ],
)
def test_known(field: str) -> None:
    """Names of the table are known, and everything in an open object is."""
    assert is_known(field)
    assert nearest_field(field) is None


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        # Case
        ("userIdentity.Type", "userIdentity.type"),
        ("useridentity.sessioncontext.sessionissuer.username", "userIdentity.sessionContext.sessionIssuer.userName"),
        ("useragent", "userAgent"),
        ("eventsource", "eventSource"),
        ("sourceIpAddress", "sourceIPAddress"),
        ("eventId", "eventID"),
        ("resources.arn", "resources.ARN"),
        ("RequestParameters.bucketName", "requestParameters.bucketName"),
        # Flattened
        ("userIdentity_type", "userIdentity.type"),
        ("userIdentity_sessionContext.sessionIssuer_arn", "userIdentity.sessionContext.sessionIssuer.arn"),
        ("requestParameters_bucketName", "requestParameters.bucketName"),
        ("requestparameters_ipPermissions_items_cidrIp", "requestParameters.ipPermissions.items.cidrIp"),
        ("responseElements__return", "responseElements._return"),
        ("event_source", "eventSource"),
        # Typing errors
        ("userIdentity.sessionContext.sessionIssuers.arn", "userIdentity.sessionContext.sessionIssuer.arn"),
        (
            "userIdentity.sesionContext.attribute.mfaAuthenticted",
            "userIdentity.sessionContext.attributes.mfaAuthenticated",
        ),
        ("eventNmae", "eventName"),
        ("requestParamters.bucketName", "requestParameters.bucketName"),
        ("requestParameter", "requestParameters"),
        ("requestParameters..bucketName", "requestParameters.bucketName"),
        ("resource.arn", "resources.ARN"),
    ],
)
def test_wrong_name_that_means_another(field: str, meant: str) -> None:
    """A wrong name is not known, and the hint is the name that somebody meant."""
    assert not is_known(field)
    assert nearest_field(field) == meant


@pytest.mark.parametrize(
    "field",
    [
        "",
        ".",
        "_",
        "event",
        "event.action",
        "user_agent.original",
        "Image",
        "CommandLine",
        "srcaddr",
        "timestamp",
        "eventName.text",
        "userIdentity.sessionContext.colour",
    ],
)
def test_wrong_name_that_means_nothing(field: str) -> None:
    """A name that is like no name of CloudTrail's is not known and gets no hint."""
    assert not is_known(field)
    assert nearest_field(field) is None


@given(NAMES, st.sampled_from(SLIPS))
def test_any_name_is_found_by_its_slips(name: str, slip: Callable[[str], str]) -> None:
    """A name of the table in any other case, or flattened, leads back to it."""
    assert nearest_field(slip(name)) == (None if slip(name) == name else name)


def test_any_name_is_found_without_one_letter() -> None:
    """A name that lost one letter of a long part is still known to mean itself, in open objects apart."""
    for name in FIELDS:
        start = name.rfind(".") + 1
        if len(name) - start < 6 or name.partition(".")[0] in OPEN:
            continue
        for lost in range(start, len(name)):
            assert nearest_field(name[:lost] + name[lost + 1 :]) == name


@given(st.sampled_from(OPEN), st.lists(SERVICE_NAMES, min_size=1, max_size=3))
def test_names_in_open_objects_survive_flattening(name: str, parts: list[str]) -> None:
    """A field in an open object is known, and its flattened name leads back to it."""
    field = ".".join([name, *parts])
    assert is_known(field)
    assert nearest_field(flat_name(field)) == field


@given(st.lists(st.sampled_from([*"._x", "requestParamters", "resource", "ARN", "arn", "user", "Identity", "typ"])))
def test_a_hint_is_always_a_known_name(pieces: list[str]) -> None:
    """Whatever somebody writes, a hint is a known name and never the same one."""
    field = "".join(pieces)
    hint = nearest_field(field)
    assert hint is None or (is_known(hint) and hint != field and not is_known(field))
