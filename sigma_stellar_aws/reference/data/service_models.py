"""The service models of botocore: operations, and the shapes of what they take and give."""

import gzip
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Literal

import msgspec

BOTOCORE = "1.44.8"
"""The version of botocore from which the tables are made."""


class ServiceMetadata(msgspec.Struct, rename="camel"):
    """How a service is named."""

    endpoint_prefix: str
    protocol: str = "json"
    signing_name: str | None = None


class ModelMember(msgspec.Struct, rename="camel"):
    """A member of a structure, or what is in a list or map."""

    shape: str
    location: str | None = None
    """Where it stands in an HTTP request: uri, querystring, header, headers, or in the body."""
    location_name: str | None = None
    query_name: str | None = None
    flattened: bool = False
    jsonvalue: bool = False


class ModelShape(msgspec.Struct, rename="camel"):
    """What a parameter is."""

    type: Literal[
        "structure", "list", "map", "string", "integer", "long", "double", "float", "boolean", "timestamp", "blob"
    ]
    members: dict[str, ModelMember] = {}
    member: ModelMember | None = None
    value: ModelMember | None = None
    enum: list[str] = []
    document: bool = False
    flattened: bool = False
    payload: str | None = None
    wrapper: bool = False


class OperationHttp(msgspec.Struct, rename="camel"):
    """How a request is sent."""

    request_uri: str = "/"


class ModelOperation(msgspec.Struct):
    """An operation: its name, and the shapes of what it takes and gives, if anything."""

    name: str
    http: OperationHttp = msgspec.field(default_factory=OperationHttp)
    input: ModelMember | None = None
    output: ModelMember | None = None


class ServiceModel(msgspec.Struct):
    """What is read of a service model."""

    metadata: ServiceMetadata
    operations: dict[str, ModelOperation]
    shapes: dict[str, ModelShape] = {}

    def sources(self) -> set[str]:
        """Return the eventSources under which its operations may be recorded, in lower case."""
        prefixes = {self.metadata.endpoint_prefix, self.metadata.signing_name or self.metadata.endpoint_prefix}
        return {f"{prefix.lower()}.amazonaws.com" for prefix in prefixes}

    def outline(self, of: ModelMember | None) -> ModelShape:
        """Return the shape of what an operation takes or gives, which may be nothing."""
        return self.shapes[of.shape] if of else ModelShape("structure")


def installed_botocore() -> str | None:
    """Return the version of botocore that is installed, or None."""
    try:
        return version("botocore")
    except PackageNotFoundError:
        return None


def service_models() -> Iterator[list[ServiceModel]]:
    """Yield each service of the installed botocore: a model for every version of its API, the newest last.

    Raises:
        ModuleNotFoundError: botocore is not installed.
    """
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"The table is made from botocore's service models: pip install botocore=={BOTOCORE}")
    paths = sorted((Path(spec.origin).parent / "data").glob("*/*/service-2.json.gz"))
    for _, versions in groupby(paths, lambda path: path.parent.parent):
        yield [msgspec.json.decode(gzip.decompress(path.read_bytes()), type=ServiceModel) for path in versions]


def merged(versions: list[ServiceModel]) -> ServiceModel:
    """Return a model with all that some versions of it have; where they differ, the last one counts."""
    shapes: dict[str, ModelShape] = {}
    for model in versions:
        for name, shape in model.shapes.items():
            older = shapes.get(name)
            if older is not None and older.type == shape.type:
                shape.members = {**older.members, **shape.members}
                shape.enum = sorted({*older.enum, *shape.enum}) if older.enum and shape.enum else []
            shapes[name] = shape
    operations = {name: operation for model in versions for name, operation in model.operations.items()}
    return ServiceModel(versions[-1].metadata, operations, shapes)
