"""The table of parameters, what makes it, and the questions that are asked of it."""

from collections.abc import Iterator
from zipfile import ZipFile

import msgspec
import pytest

from sigma_stellar_aws.reference import aws_events
from sigma_stellar_aws.reference.aws_parameters import (
    Parameter,
    ParameterTable,
    has_parameters,
    nearest_parameter,
    parameter,
    parameters,
)
from sigma_stellar_aws.reference.data import make_aws_events
from sigma_stellar_aws.reference.data.make_aws_parameters import PARAMETERS, extra_parameters, parameter_tables
from sigma_stellar_aws.reference.data.service_models import BOTOCORE, installed_botocore, merged, service_models

TEXT, MANY = Parameter("text"), Parameter("text", many=True)


def aws(prefix: str) -> str:
    """The eventSource of a prefix."""
    return f"{prefix}.amazonaws.com"


@pytest.fixture(scope="module")
def archive() -> Iterator[ZipFile]:
    """The table that ships."""
    with ZipFile(PARAMETERS) as opened:
        yield opened


def test_shipped_table_is_the_one_that_the_generator_makes(archive: ZipFile) -> None:
    """With the botocore that the table was made of, making it again gives the same contents."""
    if installed_botocore() != BOTOCORE:
        pytest.skip(f"botocore {BOTOCORE} is not installed")
    made = parameter_tables(map(merged, service_models()), make_aws_events.extra(), extra_parameters())
    assert sorted(made) == archive.namelist()
    assert [source for source, table in made.items() if archive.read(source) != table] == []


def test_numbers_lead_to_shapes(archive: ZipFile) -> None:
    """Every number in the table is that of a shape, and a list or map says what it holds."""
    for source in archive.namelist():
        table = msgspec.json.decode(archive.read(source), type=ParameterTable)
        named = [number for each in table.operations.values() for number in (*each.request, *each.response)]
        for shape in table.shapes:
            named += [*shape.members.values(), *shape.also.values()]
            assert (shape.element is not None) == (shape.kind in ("list", "map"))
            named += [] if shape.element is None else [shape.element]
        assert set(named) == set(range(len(table.shapes)))


def test_events_of_the_table_are_known_events(archive: ZipFile) -> None:
    """Nothing is said of events that the table of names does not have."""
    unknown = []
    for source in archive.namelist():
        operations = msgspec.json.decode(archive.read(source), type=ParameterTable).operations
        unknown += [
            (source, name) for name in operations if has_parameters((source, name)) and not recorded(source, name)
        ]
    assert unknown == []


def recorded(source: str, name: str) -> bool:
    """Whether records have such events, or others in their place."""
    return aws_events.known(source, name) or aws_events.instead(source, name) is not None


def test_fields_of_a_request_have_their_kinds() -> None:
    """Names are those of the model with a small first letter; kinds and lists of values are the model's."""
    assert parameters(aws("iam"), "AttachUserPolicy") == {"policyArn": TEXT, "userName": TEXT}
    assert parameter("requestParameters.maxSessionDuration", [(aws("iam"), "CreateRole")]) == Parameter("number")
    assert parameter("requestParameters.isMultiRegionTrail", [(aws("cloudtrail"), "CreateTrail")]) == Parameter(
        "boolean"
    )
    status = parameter("requestParameters.status", [(aws("iam"), "UpdateAccessKey")])
    assert status is not None
    assert {"Active", "Inactive"} <= set(status.values)


def test_elements_of_lists_have_the_name_of_the_list() -> None:
    """A list of texts is many texts, and the parameters of objects in a list are many, too."""
    assert parameter("requestParameters.subnetIds", [(aws("rds"), "CreateDBSubnetGroup")]) == MANY
    assert parameter("requestParameters.tags", [(aws("iam"), "CreateUser")]) == Parameter("structure", many=True)
    assert parameter("requestParameters.tags.key", [(aws("iam"), "CreateUser")]) == MANY


def test_keys_of_maps_are_free() -> None:
    """Any name can be a key of a map, and what it leads to is as the model says."""
    create = (aws("lambda"), "CreateFunction20150331")
    assert parameter("requestParameters.environment.variables.PATH", [create]) == TEXT
    assert parameter("requestParameters.environment.PATH", [create]) is None


def test_several_events_have_the_fields_of_each() -> None:
    """A field has to be one of any of the events; those that the table does not know are passed over."""
    events = [(aws("iam"), "CreateUser"), (aws("iam"), "AttachUserPolicy"), (aws("signin"), "ConsoleLogin")]
    assert parameter("requestParameters.policyArn", events) == TEXT
    assert parameter("requestParameters.policyARN", events) is None
    assert not has_parameters((aws("signin"), "ConsoleLogin"))
    assert not has_parameters((aws("nothing"), "CreateUser"))
    assert parameters(aws("nothing"), "CreateUser") == {}


def test_reads_have_no_known_response() -> None:
    """Records of calls that only read have no response, so nothing is said of it; credentials of STS are one."""
    assert not has_parameters((aws("iam"), "GetUser"), "responseElements")
    assert has_parameters((aws("iam"), "GetUser"))
    assert parameters(aws("sts"), "GetSessionToken", "responseElements.credentials")["accessKeyId"] == TEXT


def test_extra_entries_have_a_place_to_read() -> None:
    """Every entry of the extra list says why it is there and where that can be read, and adds something."""
    parts = extra_parameters()
    for entry in [*parts.small_letter, *parts.capital_letter, *parts.ec2_lists, *parts.other, *parts.beyond]:
        assert entry.why.endswith(".")
        assert entry.url.startswith("https://")
    assert [entry for entry in parts.beyond if not (entry.request or entry.response)] == []


def test_extra_entries_are_of_known_events() -> None:
    """Sources and events of the extra list are those of the table of names."""
    parts = extra_parameters()
    for entry in parts.beyond:
        named = [source for source in entry.sources if source != "*"]
        assert set(named) <= aws_events.sources()
        assert [(one, name) for one in named for name in entry.events if not aws_events.known(one, name)] == []
    for letters in [*parts.small_letter, *parts.capital_letter, *parts.other]:
        assert set(letters.sources) <= aws_events.sources()
        assert letters.sources == sorted(set(letters.sources))


def test_no_source_has_two_ways_of_writing() -> None:
    """A source writes names with a small letter or a capital one, if that is known."""
    spelling = extra_parameters().spelling()
    assert spelling.small & spelling.capital == frozenset()


def test_rare_names_are_known_but_not_proposed() -> None:
    """What stands in place of a large request may be asked for, but is in no list of what to write."""
    create = (aws("iam"), "CreateUser")
    assert parameter("requestParameters.omitted", [create]) == Parameter("boolean")
    assert "omitted" not in parameters(*create)
    assert "ipPermissionsSet" not in parameters(aws("ec2"), "AuthorizeSecurityGroupIngress")


def test_sources_with_an_api_of_their_own_are_unknown() -> None:
    """Where records are not as in the model that shares the names, nothing is said of them."""
    assert not has_parameters((aws("sso-directory"), "CreateUser"))
    assert has_parameters((aws("identitystore"), "CreateUser"))
    assert has_parameters((aws("s3express"), "PutObject"))


def test_letters_are_those_of_the_source() -> None:
    """Names of sources whose records have small letters only; capital ones; and either where nobody knows."""
    assert parameter("requestParameters.UserName", [(aws("iam"), "CreateUser")]) is None
    assert parameter("requestParameters.InstanceId", [(aws("connect"), "CreateUser")]) == TEXT
    assert "TimePeriod" in parameters(aws("ce"), "GetCostForecast")
    unsure = (aws("wellarchitected"), "CreateWorkload")
    assert parameter("requestParameters.workloadName", [unsure]) == TEXT
    assert parameter("requestParameters.WorkloadName", [unsure]) == TEXT


def test_what_may_be_json_is_free() -> None:
    """A policy may have been taken apart, and so may have any field; a name is a text, and has none."""
    put = (aws("kms"), "PutKeyPolicy")
    assert parameter("requestParameters.policy.Statement.Effect", [put]) == Parameter("any")
    assert parameter("requestParameters.policyName.Statement", [put]) is None


def test_nothing_is_near_to_what_is_right_or_far() -> None:
    """A known field has no better name, one that is like no other has none, nor has one of an unknown event."""
    create = [(aws("iam"), "CreateUser")]
    assert nearest_parameter("requestParameters.userName", create) is None
    assert nearest_parameter("requestParameters.zebra", create) is None
    assert nearest_parameter("requestParameters.userNaem", [(aws("nothing"), "CreateUser")]) is None
