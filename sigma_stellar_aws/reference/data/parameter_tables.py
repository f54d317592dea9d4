"""Makes the table of parameters of an eventSource out of service models, and makes it small."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from sigma_stellar_aws.reference.aws_parameters import EventShapes, ParameterKind, ParameterShape, ParameterTable
from sigma_stellar_aws.reference.data.record_forms import (
    XML_ATTRIBUTES,
    RecordForm,
    RecordNames,
    Spelling,
    is_s3,
    small,
)
from sigma_stellar_aws.reference.data.service_models import ModelMember, ModelOperation, ModelShape, ServiceModel

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
_S3_NAMES = {"Bucket": "bucketName", "Key": "key", "x-amz-account-id": "accountId"}
_SOAP: tuple[RecordForm, ...] = ("ec2", "ec2 answer")
_NO_NAMES = RecordNames(())


class TableBuilder:
    """The table of one eventSource as it grows."""

    def __init__(self, spelling: Spelling) -> None:
        """Start with nothing."""
        self.operations: dict[str, tuple[set[int], set[int]]] = {}
        self._shapes: list[ParameterShape] = []
        self._spelling = spelling
        self._numbers: dict[tuple[int, str, RecordForm, RecordNames], int] = {}
        self._models: list[ServiceModel] = []

    def add_model(self, model: ServiceModel) -> None:
        """Add the operations of a service."""
        # Kept, for the numbers of its shapes go by its identity.
        self._models.append(model)
        for name, operation in model.operations.items():
            requests, responses = self.operations.setdefault(name, (set(), set()))
            requests.update(self._requests(model, name, operation))
            if model.metadata.endpoint_prefix == "sts" or not _READS.match(name):
                responses.update(self._responses(model, name, operation))

    def add_table(self, other: "TableBuilder") -> None:
        """Add all events of another source."""
        shift = len(self._shapes)
        moved = range(shift, shift + len(other._shapes))
        self._shapes += [_with_numbers(shape, moved) for shape in other._shapes]
        for name, theirs in other.operations.items():
            for mine, numbers in zip(self.operations.setdefault(name, (set(), set())), theirs, strict=True):
                mine.update(moved[number] for number in numbers)

    def add_name(self, name: str, of: str) -> None:
        """Give an event the parameters of an operation, beside those that it has."""
        for mine, theirs in zip(self.operations.setdefault(name, (set(), set())), self.operations[of], strict=True):
            mine |= theirs

    def add_beyond(
        self, name: str, request: Mapping[str, object], response: Mapping[str, object], *, rare: bool
    ) -> None:
        """Give an event more parameters than its models say; of what was unknown, they are all that is known."""
        sides = self.operations.setdefault(name, (set(), set()))
        new = not any(sides)
        for side, tree in zip(sides, (request, response), strict=True):
            # Of an operation whose response is not known, a few names of it must not be taken for all.
            if tree and (side or new):
                members = {inner: self._tree(kind) for inner, kind in tree.items()}
                side.add(self._add(ParameterShape("structure", {} if rare else members, also=members if rare else {})))

    def table(self) -> ParameterTable:
        """Return what was added."""
        operations = {
            name: EventShapes(tuple(sorted(requests)), tuple(sorted(responses)))
            for name, (requests, responses) in sorted(self.operations.items())
        }
        return ParameterTable(operations, tuple(self._shapes))

    def _requests(self, model: ServiceModel, name: str, operation: ModelOperation) -> Iterator[int]:
        outline = model.outline(operation.input)
        if is_s3(model):
            yield self._add(self._s3(model, outline, operation.http.request_uri))
            return
        shape = self._structure(model, outline, self._spelling.form(model))
        if model.metadata.protocol == "ec2":
            wire = self._add(self._structure(model, outline, "ec2 wire"))
            attributes = dict.fromkeys(map(str, _attributes(model, outline)), self._kind("any"))
            shape = msgspec.structs.replace(
                shape, members={**shape.members, f"{name}Request": wire}, also={**attributes, **shape.also}
            )
        number = self._add(shape)
        yield number
        yield from self._payload(model, outline)
        if model.metadata.endpoint_prefix == "apigateway":
            yield self._add(ParameterShape("structure", {f"{small(name)}Input": number}))

    def _responses(self, model: ServiceModel, name: str, operation: ModelOperation) -> Iterator[int]:
        outline = model.outline(operation.output)
        if is_s3(model):
            yield self._add(self._s3(model, outline))
            return
        form = self._spelling.form(model)
        shape = self._structure(model, outline, "ec2 answer" if form == "ec2" else form)
        if form == "ec2":
            more = {"requestId": self._kind("text"), "_return": self._kind("boolean")}
            inner = self._add(
                msgspec.structs.replace(
                    shape, members={**more, **shape.members}, also={"xmlns": self._kind("text"), **shape.also}
                )
            )
            outer = {**more, **shape.members, f"{name}Response": inner}
            shape = msgspec.structs.replace(shape, members=outer)
        yield self._add(shape)
        yield from self._payload(model, outline)
        # RDS and its kin give the one thing that the answer is about without a name around it.
        for member in outline.members.values():
            if model.shapes[member.shape].wrapper:
                yield self._number(model, member.shape, self._spelling.form(model))

    def _payload(self, model: ServiceModel, outline: ModelShape) -> Iterator[int]:
        """Yield the structure that is the whole body of a request or response: its members may stand by themselves."""
        name = outline.members[outline.payload].shape if outline.payload in outline.members else ""
        if name and model.shapes[name].type == "structure":
            yield self._number(model, name, self._spelling.form(model))

    def _s3(self, model: ServiceModel, outline: ModelShape, uri: str | None = None) -> ParameterShape:
        """Return what a request to S3 holds: parts of its path, query and headers, and its body as it is sent."""
        text = self._kind("text")
        members = {} if uri is None else {"Host": text}
        members |= dict.fromkeys(re.findall(r"[?&]([^=&{}]+)", uri or ""), text)
        for key, member in outline.members.items():
            name = _S3_NAMES.get(member.location_name or key, member.location_name or key)
            if member.location is None:
                members[name] = self._number(model, member.shape, "xml")
            else:
                # What a request line or a header holds is a text, also where it means a number.
                members[name] = text if model.shapes[member.shape].type == "string" else self._kind("any")
        return ParameterShape("structure", members, also={} if uri is None else {"host": text, "bucket": text})

    def _structure(self, model: ServiceModel, shape: ModelShape, form: RecordForm) -> ParameterShape:
        members: dict[str, int] = {}
        also: dict[str, int] = {}
        for key, member in shape.members.items():
            names = self._spelling.names(key, member, model.shapes[member.shape], form)
            number = self._kind("any") if member.jsonvalue else self._number(model, member.shape, form, names)
            members |= dict.fromkeys(names.usual, number)
            also |= dict.fromkeys(names.also, number)
        if form == "xml":
            also |= dict.fromkeys(XML_ATTRIBUTES, self._kind("text"))
        return ParameterShape("structure", members, also={name: also[name] for name in also if name not in members})

    def _number(self, model: ServiceModel, name: str, form: RecordForm, names: RecordNames = _NO_NAMES) -> int:
        """Return the number of a shape, which is made where it is not yet there."""
        shape = model.shapes[name]
        key = (id(model), name, form, names if form in _SOAP and shape.type == "list" else _NO_NAMES)
        if key not in self._numbers:
            # Its number comes before what is in it, which may be the same shape again.
            self._numbers[key] = self._add(ParameterShape("any"))
            self._shapes[self._numbers[key]] = self._made(model, shape, form, names)
        return self._numbers[key]

    def _made(self, model: ServiceModel, shape: ModelShape, form: RecordForm, names: RecordNames) -> ParameterShape:
        if shape.document:
            return ParameterShape("any")
        if shape.type == "structure":
            return self._structure(model, shape, form)
        if shape.type == "list" and shape.member is not None:
            return self._list(model, shape, shape.member, form, names)
        if shape.type == "map" and shape.value is not None:
            return ParameterShape("map", element=self._number(model, shape.value.shape, form))
        return ParameterShape(_KINDS[shape.type], values=tuple(sorted(set(shape.enum))))

    def _list(
        self, model: ServiceModel, shape: ModelShape, member: ModelMember, form: RecordForm, names: RecordNames
    ) -> ParameterShape:
        element = self._number(model, member.shape, form)
        within = self._shapes[element]
        if form == "xml" and not shape.flattened:
            inner = self._add(ParameterShape("list", element=element))
            return ParameterShape("structure", {member.location_name or "member": inner})
        if form == "ec2 wire":
            members = within.members if within.kind == "structure" else {"content": element}
            tag = {"tag": self._kind("number"), **within.also}
            return ParameterShape("list", element=self._add(ParameterShape("structure", members, also=tag)))
        if form in _SOAP:
            # Of the old SOAP API: an object with items, in which a text has a name, too.
            if within.kind != "structure" and form == "ec2":
                item = self._spelling.ec2_item_names(names)
                within = ParameterShape(
                    "structure", dict.fromkeys(item.usual, element), also=dict.fromkeys(item.also, element)
                )
            inner = self._add(ParameterShape("list", element=self._add(within)))
            # The tags of new resources are the one list that stands by itself.
            direct = {**within.also, **within.members} if "tags" in (*names.usual, *names.also) else {}
            return ParameterShape("structure", {"items": inner}, also={**direct, "item": inner})
        return ParameterShape("list", element=element)

    def _tree(self, tree: object) -> int:
        """Return the number of a shape as the extra list writes it: a kind, a list with what is in it, or names."""
        if isinstance(tree, list):
            return self._add(ParameterShape("list", element=self._tree(tree[0])))
        if isinstance(tree, dict):
            return self._add(ParameterShape("structure", {name: self._tree(inner) for name, inner in tree.items()}))
        return self._kind(msgspec.convert(tree, ParameterKind))

    def _kind(self, kind: ParameterKind) -> int:
        return self._add(ParameterShape(kind))

    def _add(self, shape: ParameterShape) -> int:
        self._shapes.append(shape)
        return len(self._shapes) - 1


def _attributes(model: ServiceModel, outline: ModelShape) -> Iterator[str]:
    """Yield the attributes that a request of EC2 can ask for: records name each in its own place."""
    for key, member in outline.members.items():
        if key == "Attribute":
            yield from model.shapes[member.shape].enum


def smallest(table: ParameterTable) -> ParameterTable:
    """Return a table with one shape for all that are alike, whatever is around them, and none that is not used."""
    shapes = table.shapes
    colors = _ranks(
        (shape.kind, shape.values, tuple(sorted(shape.members)), tuple(sorted(shape.also))) for shape in shapes
    )
    while True:
        finer = _ranks(
            (color, *(colors[inner] for inner in _below(shape))) for color, shape in zip(colors, shapes, strict=True)
        )
        if max(finer, default=0) == max(colors, default=0):
            break
        colors = finer
    first = {color: number for number, color in reversed(list(enumerate(colors)))}
    order: dict[int, int] = {}
    waiting = [number for events in table.operations.values() for number in chain(events.request, events.response)]
    for number in waiting:
        if colors[number] not in order:
            order[colors[number]] = len(order)
            waiting += _below(shapes[first[colors[number]]])
    numbers = {number: order[color] for number, color in enumerate(colors) if color in order}
    return ParameterTable(
        {
            name: EventShapes(_renumbered(events.request, numbers), _renumbered(events.response, numbers))
            for name, events in table.operations.items()
        },
        tuple(_with_numbers(shapes[first[color]], numbers) for color in order),
    )


def encoded(table: ParameterTable) -> bytes:
    """Return a table as JSON, without what is at the end of shapes and empty."""
    shapes = [list(msgspec.structs.astuple(shape)) for shape in table.shapes]
    for parts in shapes:
        while parts[-1] in ({}, (), None):
            parts.pop()
    return msgspec.json.encode({"operations": table.operations, "shapes": shapes})


def _ranks(keys: Iterable[object]) -> list[int]:
    """Return for each key how many others came before it, the same for the same."""
    ranks: dict[object, int] = {}
    return [ranks.setdefault(key, len(ranks)) for key in keys]


def _below(shape: ParameterShape) -> list[int]:
    members = [shape.members[name] for name in sorted(shape.members)]
    also = [shape.also[name] for name in sorted(shape.also)]
    return [*members, *also, *([] if shape.element is None else [shape.element])]


def _with_numbers(shape: ParameterShape, numbers: Mapping[int, int] | Sequence[int]) -> ParameterShape:
    return ParameterShape(
        shape.kind,
        {name: numbers[shape.members[name]] for name in sorted(shape.members)},
        None if shape.element is None else numbers[shape.element],
        shape.values,
        {name: numbers[shape.also[name]] for name in sorted(shape.also)},
    )


def _renumbered(old: tuple[int, ...], numbers: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(sorted({numbers[number] for number in old}))
