"""What requests and responses hold in CloudTrail's records, from a table that ships with this project.

The table is made from the service models of the AWS SDK, in the forms in which CloudTrail writes them, and a sourced
list of what is beyond the models (data/README.md). Of events and sources that are not in it, nothing is known.

>>> sorted(parameters("iam.amazonaws.com", "AttachUserPolicy"))
['policyArn', 'userName']
>>> parameter("requestParameters.policyArn", [("iam.amazonaws.com", "AttachUserPolicy")])
Parameter(kind='text', many=False, values=())
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from zipfile import ZipFile

import msgspec

from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.reference.aws_events import undated

ParameterKind: TypeAlias = Literal["text", "number", "boolean", "time", "blob", "structure", "list", "map", "any"]
EventKind: TypeAlias = tuple[str, str]
"""An eventSource and an eventName."""
REQUEST, RESPONSE = "requestParameters", "responseElements"

# Texts that are often JSON, which tools take apart.
_DOCUMENT = re.compile(
    "(body|configuration|content|data|definition|document|event|input|json|parameters|payload|polic(y|ies)|template)s?$",
    re.IGNORECASE,
)
# Objects that stand for one another beyond which nothing deeper is looked for: those of all events of a source.
_MOST_LOOKED_THROUGH = 100
_ARCHIVE = Path(__file__).parent / "data" / "aws_parameters.zip"


class ParameterShape(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What can stand in one place; others are named by their number in the table."""

    kind: ParameterKind
    members: dict[str, int] = {}
    """Of a structure, by name."""
    element: int | None = None
    """What each element of a list is, or each value of a map."""
    values: tuple[str, ...] = ()
    """The values that a text can have, if the model lists them."""
    also: dict[str, int] = {}
    """Of a structure: names that may occur, but that nobody should be told to write."""


class EventShapes(msgspec.Struct, frozen=True, array_like=True):
    """The structures of one event by their numbers: several where APIs share a name, none where nothing is known."""

    request: tuple[int, ...]
    response: tuple[int, ...]


class ParameterTable(msgspec.Struct, frozen=True):
    """What is known of one eventSource."""

    operations: dict[str, EventShapes]
    shapes: tuple[ParameterShape, ...]


class Parameter(NamedTuple):
    """What a field of a request or a response holds."""

    kind: ParameterKind
    many: bool = False
    """Whether a record can have several: it is a list, or in one."""
    values: tuple[str, ...] = ()
    """The values that a text can have, if the model lists them; AWS adds some every year."""


class ShapeUse(NamedTuple):
    """A shape where it is used."""

    source: str
    number: int
    many: bool = False

    @property
    def shape(self) -> ParameterShape:
        """What can stand here."""
        return ParameterShape("any") if self is _ANYTHING else _shapes(self.source)[self.number]


# What is in texts that may be JSON, and in what may be anything.
_ANYTHING = ShapeUse("", 0)


def has_parameters(event: EventKind, side: str = REQUEST) -> bool:
    """Tell whether the table knows the parameters of an event, or else the elements of its response."""
    return any(True for _ in _roots(side, *event))


def parameters(source: str, name: str, parent: str = REQUEST) -> dict[str, Parameter]:
    """Return what usually stands in an object of an event, by its last name; nothing where that is not known.

    Args:
        source: an eventSource.
        name: an eventName, with a version of the API at its end or without.
        parent: the dotted name of the object, such as requestParameters.ipPermissions.items.
    """
    found = _uses_of(parent, frozenset({(source, name)}))
    inner = _inside_all(found)
    return {member: _parameter(inner.members[member]) for member in sorted(inner.usual)}


def parameter_names(parent: str, events: Iterable[EventKind]) -> frozenset[str]:
    """Return the last names of what usually stands in an object in any of some events.

    >>> sorted(parameter_names("requestParameters", [("iam.amazonaws.com", "AttachUserPolicy")]))
    ['policyArn', 'userName']
    """
    return _inside_all(_uses_of(parent, frozenset(events))).usual


def parameter(name: str, events: Iterable[EventKind]) -> Parameter | None:
    """Return what a field of requests or responses holds in any of some events; None if none of them has it.

    Args:
        name: a dotted name, such as requestParameters.policyArn; elements of lists have the name of the list.
        events: each with its source and name. Those of which the table knows nothing are passed over.
    """
    found = _uses_of(name, frozenset(events))
    return _parameter(found) if found else None


def nearest_parameter(name: str, events: Iterable[EventKind]) -> str | None:
    """Return the field that a wrong one probably means in some events; None if one has it, or if nothing is close.

    >>> attach = [("iam.amazonaws.com", "AttachUserPolicy")]
    >>> nearest_parameter("requestParameters.policyARN", attach)
    'requestParameters.policyArn'
    >>> authorize = [("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress")]
    >>> nearest_parameter("requestParameters.ipPermissions.cidrIpv6", authorize)
    'requestParameters.ipPermissions.items.ipv6Ranges.items.cidrIpv6'
    """
    events = frozenset(events)
    way = list(_way(name, events))
    parts = name.split(".")
    if len(way) == len(parts) or not way[0]:
        return None
    before, wrong, after = parts[: len(way)], parts[len(way)], parts[len(way) + 1 :]
    close = nearest(wrong, _inside_all(way[-1]).usual)
    deeper = None if close is not None and close.casefold() == wrong.casefold() else _deeper(way[-1]).get(wrong)
    meant = deeper or (close and (close,))
    if not meant:
        return None
    corrected = ".".join([*before, *meant, *after])
    # What is behind it may be wrong as well.
    return nearest_parameter(corrected, events) or corrected


def _uses_of(name: str, events: frozenset[EventKind]) -> frozenset[ShapeUse]:
    """Return every shape that a field can have in some events, without lists: what is in them stands in their place."""
    way = list(_way(name, events))
    return way[-1] if len(way) == name.count(".") + 1 else frozenset()


def _way(name: str, events: frozenset[EventKind]) -> Iterator[frozenset[ShapeUse]]:
    """Yield the shapes of the first part of a name, of the first two and so on, as long as there are any."""
    side, *path = name.split(".")
    found = _all_roots(side, events)
    yield found
    for before, part in zip([side, *path], path, strict=False):
        inner = _inside_all(found)
        found = inner.members.get(part, frozenset()) | inner.free
        if not found and inner.texts and _DOCUMENT.search(before):
            found = frozenset({_ANYTHING})
        if not found:
            return
        yield found


class _Inside(NamedTuple):
    """What is in objects that stand for one another."""

    members: dict[str, frozenset[ShapeUse]]
    usual: frozenset[str]
    """Names of members that are not rare."""
    free: frozenset[ShapeUse]
    """What a name that is not among them leads to, where names are free."""
    texts: bool
    """Whether it may be a text instead."""


# Sets of shapes are asked for again and again, and those of all events of a source are large.
@lru_cache(maxsize=1024)
def _inside_all(uses: frozenset[ShapeUse]) -> _Inside:
    members: defaultdict[str, set[ShapeUse]] = defaultdict(set)
    usual: set[str] = set()
    free: set[ShapeUse] = set()
    texts = False
    for use in uses:
        shape = use.shape
        usual.update(shape.members)
        for name, number in chain(shape.members.items(), shape.also.items()):
            members[name].add(_element(use._replace(number=number)))
        if shape.kind == "map" and shape.element is not None:
            free.add(_element(use._replace(number=shape.element)))
        elif shape.kind in ("any", "blob"):
            free.add(_ANYTHING)
        texts = texts or shape.kind == "text"
    return _Inside({name: frozenset(each) for name, each in members.items()}, frozenset(usual), frozenset(free), texts)


@lru_cache(maxsize=64)
def _deeper(uses: frozenset[ShapeUse]) -> dict[str, tuple[str, ...]]:
    """Return the shortest way down to a member by its name; nothing where there are too many to look through."""
    found: dict[str, tuple[str, ...]] = {}
    seen = set(uses)
    level: list[tuple[tuple[str, ...], frozenset[ShapeUse]]] = [((), uses)]
    if len(uses) > _MOST_LOOKED_THROUGH:
        return found
    while level:
        below = []
        for way, each in level:
            inner = _inside_all(each)
            for name in sorted(inner.usual):
                found.setdefault(name, (*way, name))
                if new := inner.members[name] - seen:
                    seen |= new
                    below.append(((*way, name), new))
        level = below
    return found


def _parameter(found: Iterable[ShapeUse]) -> Parameter:
    """Return what uses have in common; "any" if they differ in kind."""
    shapes = [use.shape for use in found]
    kinds = {shape.kind for shape in shapes}
    listed = all(shape.values for shape in shapes)
    values = sorted({value for shape in shapes for value in shape.values}) if listed else []
    return Parameter(kinds.pop() if len(kinds) == 1 else "any", any(use.many for use in found), tuple(values))


@lru_cache(maxsize=256)
def _all_roots(side: str, events: frozenset[EventKind]) -> frozenset[ShapeUse]:
    return frozenset(use for event in events for use in _roots(side, *event))


def _roots(side: str, source: str, name: str) -> Iterator[ShapeUse]:
    operation = _operation(source, name)
    if operation is not None and side in (REQUEST, RESPONSE):
        for number in operation.request if side == REQUEST else operation.response:
            yield ShapeUse(source.lower(), number)


def _element(use: ShapeUse) -> ShapeUse:
    """Return what each element is where there is a list, and else the same."""
    while use.shape.kind == "list" and use.shape.element is not None:
        use = use._replace(number=use.shape.element, many=True)
    return use


def _operation(source: str, name: str) -> EventShapes | None:
    table = _table(source.lower())
    return None if table is None else table.operations.get(name) or table.operations.get(undated(source, name))


def _shapes(source: str) -> tuple[ParameterShape, ...]:
    table = _table(source)
    return table.shapes if table else ()


@cache
def _table(source: str) -> ParameterTable | None:
    archive = _archive()
    try:
        return msgspec.json.decode(archive.read(source), type=ParameterTable)
    except KeyError:
        return None


@cache
def _archive() -> ZipFile:
    return ZipFile(_ARCHIVE)


def described_sources() -> Mapping[str, int]:
    """Return the sources whose parameters are known, and the size of each table in bytes."""
    return {info.filename: info.file_size for info in _archive().infolist()}
