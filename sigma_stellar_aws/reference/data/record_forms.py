"""How CloudTrail writes the parameters of a request: names and shapes of its records, made from a service model.

Each protocol has its own way. Where records have several ways at different times, all of them are kept: a table like
this has to have what is real, and loses little by a name too many.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from sigma_stellar_aws.reference.aws_parameters import EventShapes, ParameterKind, ParameterShape, ParameterTable
from sigma_stellar_aws.reference.data.service_models import ModelMember, ModelOperation, ModelShape, ServiceModel

RecordForm: TypeAlias = Literal["plain", "ec2", "ec2 wire", "xml"]

_KINDS: Mapping[str, ParameterKind] = {
    "string": "text",
    "integer": "number",
    "long": "number",
    "double": "number",
    "float": "number",
    "boolean": "boolean",
    "timestamp": "time",
    "blob": "blob",
}
# Records have no response of calls that only read, for its size, but for the credentials that STS gives.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
_READS = re.compile("BatchGet|Describe|Get|Head|List|Lookup|Query|Scan|Search|Select")
_S3_NAMES = {"Bucket": ("bucketName", "bucket"), "Key": ("key",), "x-amz-account-id": ("accountId",)}
_XML_ATTRIBUTES = ("xmlns", "xmlns:xsi", "xsi:type")


class TableBuilder:
    """The table of one eventSource as it grows."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.shapes: list[ParameterShape] = []
        self.operations: dict[str, tuple[set[int], set[int]]] = {}
        self._numbers: dict[tuple[int, str, RecordForm, tuple[str, ...]], int] = {}
        self._models: list[ServiceModel] = []

    def add_model(self, model: ServiceModel) -> None:
        """Add the operations of a service."""
        self._models.append(model)
        for name, operation in model.operations.items():
            requests, responses = self.operations.setdefault(name, (set(), set()))
            requests.add(self._request(model, name, operation))
            if model.metadata.endpoint_prefix == "sts" or not _READS.match(name):
                responses.update(self._responses(model, name, operation))

    def add_name(self, name: str, of: str) -> None:
        """Give an event the parameters of an operation, beside those that it has."""
        for mine, theirs in zip(self.operations.setdefault(name, (set(), set())), self.operations[of], strict=True):
            mine |= theirs

    def add_trees(self, name: str, request: object, response: object) -> None:
        """Give an event more parameters."""
        sides = self.operations.setdefault(name, (set(), set()))
        for side, tree in zip(sides, (request, response), strict=True):
            side.add(self._tree(tree))

    def table(self) -> ParameterTable:
        """Return what was added."""
        operations = {
            name: EventShapes(tuple(sorted(requests)), tuple(sorted(responses)))
            for name, (requests, responses) in sorted(self.operations.items())
        }
        return ParameterTable(operations, tuple(self.shapes))

    def _request(self, model: ServiceModel, name: str, operation: ModelOperation) -> int:
        request = model.outline(operation.input)
        if model.metadata.protocol == "ec2":
            soap = self._members(model, request, "ec2")
            wire = self._add(ParameterShape("structure", self._members(model, request, "ec2 wire")))
            return self._add(ParameterShape("structure", {**soap, f"{name}Request": wire}))
        if is_s3(model):
            return self._add(ParameterShape("structure", self._s3_members(model, operation)))
        return self._add(ParameterShape("structure", self._members(model, request, "plain")))

    def _responses(self, model: ServiceModel, name: str, operation: ModelOperation) -> Iterator[int]:
        response = model.outline(operation.output)
        if model.metadata.protocol == "ec2":
            members = self._members(model, response, "ec2")
            text = self._scalar("text")
            members |= {"requestId": text, "requestID": text, "_return": self._scalar("boolean")}
            wire = self._add(ParameterShape("structure", {**members, "xmlns": text}))
            yield self._add(ParameterShape("structure", {**members, f"{name}Response": wire}))
        elif is_s3(model):
            yield self._add(ParameterShape("structure", self._s3_members(model, operation, response=True)))
        else:
            yield self._add(ParameterShape("structure", self._members(model, response, "plain")))
            # RDS and its kin give the one thing that the answer is about, without a name around it.
            for member in response.members.values():
                if model.shapes[member.shape].wrapper:
                    yield self._shape(model, member.shape, "plain")

    def _members(self, model: ServiceModel, shape: ModelShape, form: RecordForm) -> dict[str, int]:
        members: dict[str, int] = {}
        for key, member in shape.members.items():
            names = record_names(key, member, model.shapes[member.shape], form)
            number = self._scalar("any") if member.jsonvalue else self._shape(model, member.shape, form, names)
            members.update(dict.fromkeys(names, number))
        return members

    def _s3_members(self, model: ServiceModel, operation: ModelOperation, *, response: bool = False) -> dict[str, int]:
        """Return what a request to S3 holds: parts of its path, query and headers, and its body as it is sent."""
        text = self._scalar("text")
        shape = model.outline(operation.output if response else operation.input)
        members = {} if response else {"Host": text, "host": text}
        if not response:
            members |= dict.fromkeys(re.findall(r"[?&]([^=&{}]+)", operation.http.request_uri), text)
        for key, member in shape.members.items():
            name = member.location_name or key
            names = _S3_NAMES.get(name, ())
            number = self._shape(model, member.shape, "xml", (name,)) if member.location is None else text
            members.update(dict.fromkeys((*names, name), number))
        return members

    def _shape(self, model: ServiceModel, name: str, form: RecordForm, names: tuple[str, ...] = ()) -> int:
        """Return the number of a shape, which is made where it is not yet there."""
        shape = model.shapes[name]
        listed = shape.type == "list"
        key = (id(model), name, form, names if listed else ())
        if key not in self._numbers:
            # Its number comes before what is in it, which may be the same shape again.
            self._numbers[key] = self._add(ParameterShape("any"))
            self.shapes[self._numbers[key]] = self._made(model, shape, form, names)
        return self._numbers[key]

    def _made(self, model: ServiceModel, shape: ModelShape, form: RecordForm, names: tuple[str, ...]) -> ParameterShape:
        if shape.document:
            return ParameterShape("any")
        if shape.type == "structure":
            members = self._members(model, shape, form)
            if form == "xml":
                members |= dict.fromkeys(_XML_ATTRIBUTES, self._scalar("text"))
            return ParameterShape("structure", members)
        if shape.type == "list" and shape.member is not None:
            return self._list(model, shape, shape.member, form, names)
        if shape.type == "map" and shape.value is not None:
            return ParameterShape("map", element=self._shape(model, shape.value.shape, form))
        return ParameterShape(_KINDS[shape.type], values=tuple(sorted(set(shape.enum))))

    def _list(
        self, model: ServiceModel, shape: ModelShape, member: ModelMember, form: RecordForm, names: tuple[str, ...]
    ) -> ParameterShape:
        element = self._shape(model, member.shape, form)
        kind = model.shapes[member.shape].type
        if form == "plain":
            return ParameterShape("list", element=element)
        if form == "xml":
            if shape.flattened:
                return ParameterShape("list", element=element)
            inner = self._add(ParameterShape("list", element=element))
            return ParameterShape("structure", {member.location_name or "member": inner})
        if form == "ec2 wire":
            members = dict(self.shapes[element].members) if kind == "structure" else {"content": element}
            members["tag"] = self._scalar("number")
            return ParameterShape("list", element=self._add(ParameterShape("structure", members)))
        # Of the old SOAP API: an object with items, in which a text has a name, too.
        members = self.shapes[element].members if kind == "structure" else dict.fromkeys(names, element)
        inner = self._add(ParameterShape("list", element=self._add(ParameterShape("structure", dict(members)))))
        outer = ParameterShape("structure", {**members, "items": inner, "item": inner})
        return ParameterShape("list", element=self._add(outer))

    def _tree(self, tree: object) -> int:
        """Return the number of a shape as the extra list writes it: a kind, a list with what is in it, or names."""
        if isinstance(tree, list):
            return self._add(ParameterShape("list", element=self._tree(tree[0])))
        if isinstance(tree, dict):
            return self._add(ParameterShape("structure", {name: self._tree(inner) for name, inner in tree.items()}))
        return self._add(ParameterShape(msgspec.convert(tree, ParameterKind)))

    def _scalar(self, kind: ParameterKind) -> int:
        return self._add(ParameterShape(kind))

    def _add(self, shape: ParameterShape) -> int:
        self.shapes.append(shape)
        return len(self.shapes) - 1


def is_s3(model: ServiceModel) -> bool:
    """Tell whether requests are recorded as S3 does it."""
    return "s3.amazonaws.com" in model.sources()


def record_names(key: str, member: ModelMember, shape: ModelShape, form: RecordForm) -> tuple[str, ...]:
    """Return the names that a member can have in records."""
    sent = member.location_name or key
    if form == "xml":
        return (sent,)
    if form == "ec2 wire":
        return tuple(dict.fromkeys(_capital(name) for name in (member.query_name or sent, sent, key)))
    names = [_small(key), _small(sent)]
    if form == "ec2":
        names.append(_small(member.query_name or sent))
        if shape.type == "list":
            names += [f"{name}Set" for name in names] + [f"{name.removesuffix('s')}Set" for name in names]
    return tuple(dict.fromkeys(names))


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def smallest(table: ParameterTable) -> ParameterTable:
    """Return a table with one shape for all that are alike, whatever is around them, and none that is not used."""
    colors = _numbered([(shape.kind, shape.values, tuple(sorted(shape.members))) for shape in table.shapes])
    while True:
        seen = [(colors[number], _below(shape, colors)) for number, shape in enumerate(table.shapes)]
        finer = _numbered(seen)
        if max(finer, default=0) == max(colors, default=0):
            break
        colors = finer
    first = {color: number for number, color in reversed(list(enumerate(colors)))}
    order: dict[int, int] = {}
    waiting = [number for operation in table.operations.values() for number in operation.request + operation.response]
    for number in waiting:
        if colors[number] not in order:
            order[colors[number]] = len(order)
            shape = table.shapes[first[colors[number]]]
            waiting += [shape.members[name] for name in sorted(shape.members)]
            waiting += [shape.element] if shape.element is not None else []
    renumbered = {number: order[color] for number, color in enumerate(colors) if color in order}
    shapes = tuple(_renumbered(table.shapes[first[color]], renumbered) for color in order)
    operations = {
        name: EventShapes(_all(operation.request, renumbered), _all(operation.response, renumbered))
        for name, operation in table.operations.items()
    }
    return ParameterTable(operations, shapes)


def _numbered(keys: Iterable[object]) -> list[int]:
    numbers: dict[object, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _below(shape: ParameterShape, colors: list[int]) -> tuple[object, ...]:
    inner = tuple(colors[shape.members[name]] for name in sorted(shape.members))
    return (*inner, shape.element if shape.element is None else colors[shape.element])


def _renumbered(shape: ParameterShape, numbers: Mapping[int, int]) -> ParameterShape:
    members = {name: numbers[shape.members[name]] for name in sorted(shape.members)}
    return ParameterShape(shape.kind, members, None if shape.element is None else numbers[shape.element], shape.values)


def _all(old: tuple[int, ...], numbers: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(sorted({numbers[number] for number in old}))
