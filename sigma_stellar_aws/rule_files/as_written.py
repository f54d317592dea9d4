"""Find what YAML or pySigma would read otherwise than the author of a rule wrote it.

YAML 1.1 takes ``No`` for false, ``012345670123`` for an octal number, ``1.10`` for 1.1, ``12:30`` for 750 and
``2026-01-05`` for a date. pySigma takes an empty list for null and ``notmfa`` for ``not mfa``, and drops a selector
that selects nothing. All of that happens without a word, so each is reported here, with its line and the cure.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import yaml
from sigma.rule import SigmaRule

from sigma_stellar_aws.base.yaml_positions import Span, YamlPath, composed, double_keys, span_of_node
from sigma_stellar_aws.rule_files.condition_words import condition_faults
from sigma_stellar_aws.rule_files.filter_selections import is_of_filter
from sigma_stellar_aws.rule_files.plainly_written import is_plainly_written


class Misreading(NamedTuple):
    """A part of a rule that would be read otherwise than it is written."""

    document: int
    """Number of the YAML document in its file, from 0."""
    rule: tuple[str, str]
    """Title and id in the document."""
    path: YamlPath
    """Keys and indices down to the part, such as ``("detection", "selection", "eventName")``."""
    span: Span
    reason: str
    """What is wrong and what to write instead."""

    def __str__(self) -> str:
        """Show the line and the reason."""
        return f"Line {self.span.line}: {self.reason}"


_SECTIONS = (("detection",), ("filter",), ("stellar", "published", "detection"))
_NO_SELECTIONS = frozenset({"condition"})
_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.(?:[0-9]*[1-9]|0)")
_TEXT_MODIFIERS = frozenset(
    {
        *("contains", "startswith", "endswith", "re", "cidr", "cased", "base64", "base64offset", "fieldref", "expand"),
        *("wide", "utf16", "utf16le", "utf16be", "windash"),
    }
)
_NUMBER_MODIFIERS = frozenset({"gt", "gte", "lt", "lte"})
_VALUE_IN_COMMENT = re.compile(r" +(#[^\s#].*?)\s*$")


def misreadings(text: str) -> list[Misreading]:
    """Return what would be misread in the detections of a file with rules or filters, in the order of the file.

    A text that is not YAML has none: whoever loads it reports that.

    >>> [str(found) for found in misreadings("detection: {s: {mfaUsed: No}, condition: s}")]
    ["Line 1: field 'mfaUsed': YAML reads No as false; quote it ('No'), or write false"]
    """
    found: list[Misreading] = []
    documents = composed(text)
    lines = text.split("\n")
    # Of templates (key ``action``), selections and conditions may be in different documents.
    is_whole = not any(_inside(document, ("action",)) for document in documents)
    for number, document in enumerate(documents):
        rule = (_text_of(document, "title"), _text_of(document, "id").lower())
        for section in _SECTIONS:
            node = _inside(document, section)
            if isinstance(node, yaml.MappingNode):
                found += _Section(number, rule, is_whole, lines).faults(node, section)
    return found


def misreadings_of(rule: SigmaRule) -> list[str]:
    """Return what is misread in a rule that pySigma has loaded, as sentences.

    A rule knows the file that it is from, which is read once more, since what stood there is lost after loading.
    Conditions are looked at as they are now, so also those of a rule that is from no file.
    """
    names = tuple(map(str, rule.detection.detections))
    reasons = [f"condition {c!r}: {why}" for c in rule.detection.condition for why in condition_faults(str(c), names)]
    own: list[str] = []
    if rule.source is not None:
        found, doubles = _of_file(rule.source.path)
        own += [str(one) for one in found if "condition" not in one.path and _is_of(one.rule, rule)]
        own += [f"Line {line}: only the last of several keys {key!r} counts; join them" for line, key in doubles]
    for path in _filter_files(rule):
        found, _ = _of_file(path)
        own += [f"{path}: {one}" for one in found]
    return own + reasons


def _is_of(found: tuple[str, str], rule: SigmaRule) -> bool:
    """Tell whether a document with a title and an id may be that of a rule."""
    title, identity = found
    with suppress(ValueError):
        return str(UUID(identity)) == str(rule.id)
    return title in ("", rule.title)


def _filter_files(rule: SigmaRule) -> list[Path]:
    """List the files of the filters that pySigma has applied to a rule."""
    sources = [
        getattr(item, "source", None)
        for name, detection in rule.detection.detections.items()
        if is_of_filter(name)
        for item in (detection, *detection.detection_items)
    ]
    own = rule.source.path if rule.source else None
    paths = dict.fromkeys(source.path for source in sources if source is not None)
    return [path for path in paths if path != own]


def _of_file(path: Path) -> tuple[tuple[Misreading, ...], tuple[tuple[int, str], ...]]:
    """Return what is misread in a file, and the keys that are twice in a map of it, each with its line."""
    try:
        return _of_content(path.read_text("utf-8"))
    except (OSError, ValueError):
        return (), ()


# Not by the name of the file, which an author changes while it is watched.
@lru_cache(maxsize=64)
def _of_content(text: str) -> tuple[tuple[Misreading, ...], tuple[tuple[int, str], ...]]:
    # Of thousands of rules, parsing each once more takes half of a conversion.
    if is_plainly_written(text):
        return (), ()
    return tuple(misreadings(text)), tuple((span.line, key) for span, key in double_keys(text))


def _inside(node: yaml.Node, path: Sequence[str]) -> yaml.Node | None:
    for step in path:
        if not isinstance(node, yaml.MappingNode):
            return None
        inner = next((value for key, value in _pairs(node) if key.value == step), None)
        if inner is None:
            return None
        node = inner
    return node


def _pairs(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    """Return the keys and values of a map, those merged into it (``<<``) after its own."""
    own: list[tuple[yaml.Node, yaml.Node]] = []
    merged: list[tuple[yaml.Node, yaml.Node]] = []
    for key, value in node.value:
        if key.tag != f"{_TAG}merge":
            own.append((key, value))
            continue
        for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(other, yaml.MappingNode) and other is not node:
                merged += _pairs(other)
    names = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
    return own + [(key, value) for key, value in merged if key.value not in names]


def _text_of(document: yaml.Node, key: str) -> str:
    node = _inside(document, (key,))
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


class _Section:
    """The selections and conditions of one detection."""

    def __init__(self, document: int, rule: tuple[str, str], is_whole: bool, lines: Sequence[str]) -> None:
        self._document = document
        self._rule = rule
        self._is_whole = is_whole
        self._lines = lines
        # An alias stands for a part that is looked at where it is written.
        self._seen: set[int] = set()

    def faults(self, node: yaml.MappingNode, path: YamlPath) -> Iterator[Misreading]:
        pairs = _pairs(node)
        others = _NO_SELECTIONS | ({"rules"} if path[-1] == "filter" else set())
        names = [str(key.value) for key, value in pairs if _is_selection(key, value, others)]
        for key, value in pairs:
            here = (*path, str(key.value))
            if key.value == "condition":
                if self._is_whole:
                    yield from self._conditions(value, here, names)
            elif _is_selection(key, value, others):
                yield from self._key(key, here, "selection")
                yield from self._selection(value, here, key)

    def _fault(self, path: YamlPath, first: yaml.Node, reason: str, last: yaml.Node | None = None) -> Misreading:
        return Misreading(self._document, self._rule, path, span_of_node(first, last or first), reason)

    def _key(self, key: yaml.Node, path: YamlPath, what: str) -> Iterator[Misreading]:
        if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}str" and key.tag != f"{_TAG}merge":
            yield self._fault(path, key, f"YAML does not read the name of the {what} {key.value} as text; quote it")

    def _selection(self, node: yaml.Node, path: YamlPath, key: yaml.Node) -> Iterator[Misreading]:
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        if (isinstance(node, yaml.CollectionNode) and not node.value) or node.tag == f"{_TAG}null":
            reason = f"selection {path[-1]!r} is empty, and so asks nothing; write what it should ask, or remove it"
            yield self._fault(path, key, reason, node)
        elif isinstance(node, yaml.MappingNode):
            yield from self._fields(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                if isinstance(item, yaml.CollectionNode):
                    yield from self._selection(item, (*path, number), item)
                else:
                    yield from self._scalar(item, (*path, number), "", (), item)
        else:
            yield from self._scalar(node, path, "", (), key)

    def _fields(self, node: yaml.MappingNode, path: YamlPath) -> Iterator[Misreading]:
        for key, value in _pairs(node):
            here = (*path, str(key.value))
            yield from self._key(key, here, "field")
            field, *modifiers = str(key.value).split("|")
            yield from self._value(value, here, field, modifiers, key)

    def _value(
        self, node: yaml.Node, path: YamlPath, field: str, modifiers: Sequence[str], key: yaml.Node
    ) -> Iterator[Misreading]:
        about = _about(field)
        if isinstance(node, yaml.MappingNode):
            inner = str(node.value[0][0].value).partition("|")[0] if node.value else "NAME"
            reason = f"{about}a field holds values, not a map; name the inner field with a dot: {field}.{inner}"
            yield self._fault(path, key, reason)
        elif isinstance(node, yaml.SequenceNode):
            if not node.value:
                reason = (
                    f"{about}the list is empty, which pySigma reads as null; list the values, or remove the "
                    "condition, or write null"
                )
                yield self._fault(path, key, reason, node)
            for number, item in enumerate(node.value):
                yield from self._value(item, (*path, number), field, modifiers, item)
        else:
            yield from self._scalar(node, path, field, modifiers, key)

    def _scalar(
        self, node: yaml.Node, path: YamlPath, field: str, modifiers: Sequence[str], key: yaml.Node
    ) -> Iterator[Misreading]:
        if not isinstance(node, yaml.ScalarNode) or node.tag == f"{_TAG}str":
            return
        if comment := _comment_for_value(node, self._lines):
            reason = f"{comment} is a comment to YAML, and so there is no value; quote it ('{comment}'), or write null"
            yield self._fault(path, key, _about(field) + reason)
            return
        is_flag = "exists" in modifiers and node.tag == f"{_TAG}bool"
        if not is_flag and (reason := _no_text(node, field, modifiers) or _guess(node, modifiers)):
            yield self._fault(path, key, _about(field) + reason, node)

    def _conditions(self, node: yaml.Node, path: YamlPath, names: Sequence[str]) -> Iterator[Misreading]:
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                yield from self._conditions(item, (*path, number), names)
        elif isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}str":
            for reason in condition_faults(str(node.value), tuple(names)):
                yield self._fault(path, node, f"condition {str(node.value)!r}: {reason}")


def _comment_for_value(node: yaml.ScalarNode, lines: Sequence[str]) -> str:
    """Return the comment where a value is missing if it begins as a value may: # without a blank after it."""
    mark = node.start_mark
    found = _VALUE_IN_COMMENT.match(lines[mark.line][mark.column :]) if not node.value and lines[mark.line :] else None
    return found[1] if found else ""


def _is_selection(key: yaml.Node, value: yaml.Node, others: Collection[str]) -> bool:
    """Tell a selection from the other keys of a detection; ``timeframe`` is one only where it is not a plain value."""
    return key.value not in others and not (key.value == "timeframe" and isinstance(value, yaml.ScalarNode))


def _about(field: str) -> str:
    return f"field {field!r}: " if field else ""


def _guess(node: yaml.ScalarNode, modifiers: Sequence[str]) -> str:
    """Say what YAML makes of a plain scalar if its text is another than what stands there, else nothing."""
    text = str(node.value)
    quoted = f"quote it ('{text}')"
    if compares := [name for name in modifiers if name in _NUMBER_MODIFIERS]:
        cure = f"|{compares[0]} compares numbers; write one as usual"
    else:
        cure = f"{quoted}, or write the number"
    match node.tag.removeprefix(_TAG):
        case "bool" if text.lower() not in ("true", "false"):
            value = "true" if text.lower() in ("yes", "on", "y") else "false"
            return f"YAML reads {text} as {value}; {quoted}, or write {value}"
        case "int" if not _WHOLE.fullmatch(text):
            return f"YAML reads {text} as the number {_constructed(node)}; {cure}"
        case "float" if not _is_exact(text):
            return f"YAML reads {text} as the number {_constructed(node)}; {cure}"
        case "timestamp":
            return f"YAML reads {text} as a date; {cure if compares else quoted}"
    return ""


def _is_exact(text: str) -> bool:
    is_decimal = _DECIMAL.fullmatch(text) is not None
    return _WHOLE.fullmatch(text) is not None or (is_decimal and Decimal(text) == Decimal(repr(float(text))))


def _constructed(node: yaml.ScalarNode) -> object:
    return yaml.safe_load(str(node.value))


def _no_text(node: yaml.ScalarNode, field: str, modifiers: Sequence[str]) -> str:
    """Say why a value does not go with its modifiers, else nothing."""
    kind = {"int": "a number", "float": "a number", "bool": "a boolean", "null": "null"}.get(
        node.tag.removeprefix(_TAG)
    )
    if kind is None:
        return ""
    if "exists" in modifiers:
        return f"|exists asks true or false, and {node.value or 'an empty value'} is {kind}"
    if not field and node.tag == f"{_TAG}float":
        return f"a search without a field is for text, and {node.value} is {kind}; quote it ('{node.value}')"
    if needs_text := [name for name in modifiers if name in _TEXT_MODIFIERS]:
        cure = "remove the modifier" if kind == "null" else f"quote it ('{node.value}')"
        return f"|{needs_text[0]} compares texts, and {node.value or 'an empty value'} is {kind}; {cure}"
    if kind in ("null", "a boolean") and (compares := [name for name in modifiers if name in _NUMBER_MODIFIERS]):
        return f"|{compares[0]} compares numbers, and {node.value or 'an empty value'} is {kind}; write a number"
    return ""
