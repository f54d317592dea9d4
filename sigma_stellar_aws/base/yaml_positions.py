"""YAML texts: what they hold, where in them something stands, and what a loader would lose."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias, cast

import yaml

from sigma_stellar_aws.base.json_types import Json

MOST_VALUES = 100_000
"""Most values that a document may hold, aliases written out; a few lines of aliases can stand for billions."""


YamlPath: TypeAlias = tuple[str | int, ...]
"""Keys of maps and indices of lists, the outermost first: ``("detection", "selection", "eventName|contains", 1)``."""


class Span(NamedTuple):
    """A part of a line; all numbers count characters from 1, and the end is the first one after the part."""

    line: int
    column: int
    end_column: int


def line_of(text: str, at: Sequence[str | int], document: int = 0) -> int | None:
    """Return the line, counted from 1, of the deepest part of a path that a YAML text has.

    Args:
        text: the YAML text.
        at: keys of maps and indices of lists, from the outermost on, such as ``("detection", "selection", 0)``.
        document: number of the document in the text, from 0.

    Returns:
        The line, or None if the text has no such document, or is no YAML up to there.
    """
    place = place_of(text, at, document)
    return place.line if place else None


def place_of(text: str, at: Sequence[str | int], document: int = 0) -> Span | None:
    """Return the place of the deepest part of a path that a YAML text has (see :func:`line_of`).

    For an entry of a map it is the key, with the value if that is a plain one on the same line.
    """
    nodes = composed(text)
    if document >= len(nodes):
        return None
    first = last = node = nodes[document]
    for step in at:
        if isinstance(node, yaml.MappingNode):
            # Of a key that is there twice, the last one counts.
            found = next(((key, value) for key, value in reversed(node.value) if key.value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
            found = (node.value[step],) * 2
        else:
            found = None
        if found is None:
            break
        first, last = found
        node = last
    return span_of_node(first, last)


def load_yaml(text: str) -> list[Json]:
    """Return the documents of a YAML text.

    Raises:
        yaml.YAMLError: it is not YAML.
        ValueError: a value does not fit its type, or aliases stand for too many values.
        RecursionError: it is nested too deeply.
    """
    check_size(text)
    return list(yaml.load_all(text, _Loader))


class _Loader(yaml.CSafeLoader):
    """Loads a date that does not exist, such as one in month 13, as the text that it is: its key says what is wrong."""

    def date_or_text(self, node: yaml.ScalarNode) -> object:
        """Return a date or time; its text where there is none such."""
        try:
            return self.construct_yaml_timestamp(node)
        except ValueError:
            return node.value


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.date_or_text)


def check_size(text: str) -> None:
    """Refuse a YAML text whose aliases stand for more than anybody can read, or for themselves.

    Raises:
        ValueError: a document of it has more than MOST_VALUES values.
    """
    if any(_size(node, {}) > MOST_VALUES for node in composed(text)):
        raise ValueError(f"with its aliases written out, a document has more than {MOST_VALUES:,} values")


def double_keys(text: str) -> list[tuple[Span, str]]:
    """Return the keys that a YAML map has more than once, with their places; loaders keep only the last one."""
    return [found for node in composed(text) for found in _double_keys(node, set())]


@lru_cache(maxsize=8)
def composed(text: str) -> tuple[yaml.Node, ...]:
    """Return the nodes of the documents of a text, up to the first that is not YAML."""
    nodes: list[yaml.Node] = []
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_node():
            nodes.append(cast(yaml.Node, loader.get_node()))
    except yaml.YAMLError:
        # Whoever loads the text reports it.
        pass
    return tuple(nodes)


def span_of_node(first: yaml.Node, last: yaml.Node) -> Span:
    """Return the part of a line that a node takes; for an entry of a map name its key and its value."""
    start = first.start_mark
    inner = first
    while isinstance(inner, yaml.CollectionNode) and inner.value:
        # The end of a block is where the next one begins, so mark what it begins with.
        child = inner.value[0][0] if isinstance(inner, yaml.MappingNode) else inner.value[0]
        if child is inner or child.start_mark.index < inner.start_mark.index:
            # An alias of something before it, or of what it is in.
            break
        inner = child
    ends = [node.end_mark for node in (last, inner) if not isinstance(node, yaml.CollectionNode)]
    end = next((mark.column for mark in ends if mark.line == start.line), start.column + 1)
    return Span(start.line + 1, start.column + 1, max(end, start.column + 1) + 1)


def _double_keys(node: yaml.Node, seen: set[int]) -> Iterator[tuple[Span, str]]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    yield span_of_node(key, key), key.value
                keys.add(key.value)
    for child in _children(node):
        yield from _double_keys(child, seen)


def _size(node: yaml.Node, sizes: dict[int, float]) -> float:
    """Count the values of a node with its aliases written out; infinite for one that contains itself."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in _children(node))
    return sizes[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
