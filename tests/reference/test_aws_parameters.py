"""The table of parameters, what makes it, and the questions that are asked of it."""

from collections.abc import Iterator
from zipfile import ZipFile

import msgspec
import pytest

from sigma_stellar_aws.reference import aws_events
from sigma_stellar_aws.reference.aws_parameters import Parameter, ParameterTable, has_parameters, parameter, parameters
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
            named += shape.members.values()
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
