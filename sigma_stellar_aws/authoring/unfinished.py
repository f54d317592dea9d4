"""Find what an author still has to write: ``TODO`` in values and comments, as ``new`` leaves them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from sigma_stellar_aws.base.yaml_positions import Span, composed

_MARK = re.compile(r"\b(TODO|FIXME|TBD|XXX)\b")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
# Attackers' words, which may be anything.
_NOT_WRITTEN = frozenset({"detection", "filter"})


class Unfinished(NamedTuple):
    """A place that an author still has to write."""

    place: Span
    key: str | None
    """The key at the top whose value it is; None for a comment."""
    text: str


def unfinished_parts(text: str, document: int = 0) -> Iterator[Unfinished]:
    """Yield the values and, with those of the first document, the comments of a YAML text that are still to be written.

    >>> [(found.place.line, found.key) for found in unfinished_parts("title: TODO\\nlevel: low # TODO: which?")]
    [(1, 'title'), (2, None)]
    """
    nodes = composed(text)
    if document < len(nodes) and isinstance(nodes[document], yaml.MappingNode):
        for key, value in nodes[document].value:
            for scalar in _scalars(value) if key.value not in _NOT_WRITTEN else ():
                if _MARK.search(scalar.value):
                    yield Unfinished(_span(scalar.start_mark, scalar.end_mark), str(key.value), str(scalar.value))
    if document == 0:
        yield from _comments(text, [scalar for node in nodes for scalar in _scalars(node)])


def _comments(text: str, scalars: list[yaml.ScalarNode]) -> Iterator[Unfinished]:
    within = [(_position(scalar.start_mark), _position(scalar.end_mark)) for scalar in scalars]
    for number, line in enumerate(text.split("\n")):
        comment = _COMMENT.search(line)
        if comment is None or not _MARK.search(comment[0]):
            continue
        at = (number, comment.start())
        if not any(start <= at < end for start, end in within):
            yield Unfinished(Span(number + 1, at[1] + 1, len(line.rstrip()) + 1), None, comment[0].strip())


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _scalars(child)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(key)
            yield from _scalars(value)


def _position(mark: yaml.Mark) -> tuple[int, int]:
    return mark.line, mark.column


def _span(start: yaml.Mark, end: yaml.Mark) -> Span:
    last = end.column if end.line == start.line else start.column + 1
    return Span(start.line + 1, start.column + 1, last + 1)
