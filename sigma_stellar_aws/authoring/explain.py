"""Explain which parts of a rule's condition hold for an event, and what the event has where one does not.

Every part is converted and evaluated by the same code that decides whether the rule matches, and so the two cannot
disagree. Fields are shown by the names that the rule gives them.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree
from sigma.collection import SigmaCollection
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionIdentifier,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    ConditionValueExpression,
)
from sigma.conversion.base import Backend
from sigma.conversion.state import ConversionState
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaRule
from sigma.types import SigmaType

from sigma_stellar_aws.backends.stellar_aws import AnyCondition, StellarAwsBackend
from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar
from sigma_stellar_aws.base.text import nearest, printable
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.pipelines.transformations import UsePublishedDetection
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.reference.flat_schema import ANY_FIELD, Document, flat_name, object_around, stands_for_several

PartKind: TypeAlias = Literal["all", "any", "not", "value"]
"""How the children of a part decide whether it holds; a value has no children."""

_BY_FLAT_NAME = {flat_name(name): name for name in FIELDS}
_SHOWN_VALUES = 5
_SHOWN_LENGTH = 120
_MARKS = {
    True: ("\N{CHECK MARK} yes  ", "green"),
    False: ("\N{BALLOT X} no   ", "red"),
    None: ("- ignored  ", "dim"),
}


class ConditionPart(NamedTuple):
    """A part of a condition: an operator, a selection, an item of it or one of the item's values."""

    text: str
    kind: PartKind
    holds: bool | None
    """None for a part that is ignored, such as ``1 of filter_*`` in a rule without such a selection."""
    found: str
    """What the event has instead, for a condition on a field that does not hold; otherwise empty."""
    children: tuple["ConditionPart", ...]


class Explanation(NamedTuple):
    """Whether a rule matches an event, and why: one of its conditions, usually the only one, has to hold."""

    matches: bool
    conditions: tuple[ConditionPart, ...]


class _View(NamedTuple):
    """What the parts of one condition are made from."""

    backend: StellarAwsBackend
    used: SigmaDetections
    written: SigmaDetections
    document: Document
    names: Mapping[str, str]
    """The event's fields as CloudTrail writes them, by their flattened names."""


def explain(
    rule: SigmaRule, event: Mapping[str, Json], *, published: bool = False, case_sensitive: bool = False
) -> Explanation:
    """Tell which parts of a rule's condition hold for an event. The rule is left unchanged.

    Args:
        rule: the rule as it was read.
        event: a CloudTrail record or a part of one.
        published: explain the published query, if the rule corrects it.
        case_sensitive: compare strings exactly.

    Raises:
        SigmaError: the rule cannot be converted.
    """
    written = by_itself(rule)
    if published:
        UsePublishedDetection().apply(written)
    used = copy.deepcopy(written)
    pipeline = stellar_aws_published() if published else stellar_aws()
    backend = StellarAwsBackend(pipeline, case_sensitive=case_sensitive)
    backend.searches_files = True
    bodies: list[dict[str, Clause]] = backend.convert(SigmaCollection([used]))
    document = flatten(event)
    view = _View(backend, used.detection, written.detection, document, _dotted_names(event))
    conditions = []
    for body, condition in zip(bodies, used.detection.parsed_condition, strict=True):
        root = condition.parse(postprocess=False)
        # Only postprocessing makes anything else of it.
        assert isinstance(root, ConditionItem)
        part = _of_condition(view, root)
        holds = compile_query(body["query"])(document)
        conditions.append(part._replace(text=f"condition: {condition.condition}", holds=holds))
    return Explanation(any(part.holds for part in conditions), tuple(conditions))


def by_itself(rule: SigmaRule) -> SigmaRule:
    """Copy a rule in order to convert it, which changes it. One that only serves a correlation is converted as well."""
    copied = copy.deepcopy(rule)
    copied._output = True
    return copied


def decisive(part: ConditionPart) -> ConditionPart:
    """Return the part with only those children, at every level, that decide whether it holds."""
    if part.kind == "not":
        children = part.children
    else:
        children = tuple(child for child in part.children if child.holds == part.holds)
    return part._replace(children=tuple(map(decisive, children)))


def explanation_as_json(explanation: Explanation) -> JsonObject:
    """Return an explanation as a JSON object. A part without children is a value; one with ``holds`` null is ignored.

    >>> part = ConditionPart("selection", "all", True, "", ())
    >>> explanation_as_json(Explanation(True, (part,)))
    {'matches': True, 'conditions': [{'text': 'selection', 'kind': 'all', 'holds': True}]}
    """
    return {"matches": explanation.matches, "conditions": [_part_as_json(part) for part in explanation.conditions]}


def print_explanation(rule: SigmaRule, event: Mapping[str, Json], explanation: Explanation, console: Console) -> None:
    """Print whether a rule matches an event, and why."""
    verdict, style = ("matches", "bold green") if explanation.matches else ("does not match", "bold red")
    named = " ".join(str(event.get(key)) for key in ("eventID", "eventName") if event.get(key)) or "the event"
    console.print(Text.assemble(printable(f"{rule.title} "), (verdict, style), printable(f" {named}")))
    print_trees(explanation.conditions, console)


def tree(part: ConditionPart) -> Tree:
    """Return a part as a tree for the terminal, which can be read without colours."""
    mark, style = _MARKS[part.holds]
    found = Text(f" \N{EM DASH} {printable(part.found)}", "bold") if part.found else ""
    root = Tree(Text.assemble((mark, style), printable(part.text), found), guide_style="dim")
    root.children += [tree(child) for child in part.children]
    return root


def print_trees(parts: Iterable[ConditionPart], console: Console) -> None:
    """Print parts as trees."""
    for part in parts:
        console.print(tree(part))


def _part_as_json(part: ConditionPart) -> JsonObject:
    known: JsonObject = {"text": part.text, "kind": part.kind, "holds": part.holds}
    if part.found:
        known["found"] = part.found
    if part.children:
        known["children"] = [_part_as_json(child) for child in part.children]
    return known


def _of_condition(view: _View, node: ConditionItem) -> ConditionPart:
    """Return the part for a node of the condition as written, in which selections are still names."""
    # Looking up the selections changes a node.
    holds = _holds(view, copy.deepcopy(node).postprocess(view.used))
    if isinstance(node, ConditionIdentifier):
        name = node.identifier
        of_selection = _of_detection(view, name, view.used[name], view.written[name])
        return of_selection._replace(holds=holds)
    if isinstance(node, ConditionSelector):
        nodes: list[ConditionItem] = [*node.resolve_referenced_detections(view.used)]
        kind: PartKind = "all" if node.cond_class is ConditionAND else "any"
    else:
        nodes = _operands(node)
        kind = "not" if isinstance(node, ConditionNOT) else "all" if isinstance(node, ConditionAND) else "any"
    return ConditionPart(_condition_text(node), kind, holds, "", tuple(_of_condition(view, child) for child in nodes))


def _operands(node: ConditionItem) -> list[ConditionItem]:
    return [child for child in node.args if isinstance(child, ConditionItem)]


def _of_detection(view: _View, text: str, used: SigmaDetection, written: SigmaDetection) -> ConditionPart:
    children: list[ConditionPart] = []
    for number, pair in enumerate(zip(used.detection_items, written.detection_items, strict=True), 1):
        match pair:
            case SigmaDetectionItem() as one, SigmaDetectionItem() as other:
                children.append(_of_item(view, one, other))
            case SigmaDetection() as one, SigmaDetection() as other:
                children.append(_of_detection(view, f"{text}, entry {number}", one, other))
    kind: PartKind = "all" if used.item_linking is ConditionAND else "any"
    return ConditionPart(text, kind, _holds(view, used.postprocess(view.used)), "", tuple(children))


def _of_item(view: _View, used: SigmaDetectionItem, written: SigmaDetectionItem) -> ConditionPart:
    condition = used.postprocess(view.used)
    holds = _holds(view, condition)
    key, texts = _written_item(written)
    field, written_field = used.field or ANY_FIELD, written.field or ""
    if len(used.value) < 2:
        found = "" if holds else _instead(view, field, written_field, condition)
        return ConditionPart(f"{key}: {texts[0]}", "value", holds, found, ())
    kind: PartKind = "all" if used.value_linking is ConditionAND else "any"
    text = f"{kind} of {len(texts)} values"
    children = tuple(
        _of_value(view, text, _condition_on(used.field, value)) for text, value in zip(texts, used.value, strict=True)
    )
    joined = used.value_linking([_condition_on(used.field, value) for value in used.value])
    hold = _holds(view, joined)
    found = "" if hold else _instead(view, field, written_field, joined)
    if used.negated:
        inner = ConditionPart(f"{written_field}: {text}", kind, hold, found, children)
        return ConditionPart(f"{key}: not {text}", "not", holds, "", (inner,))
    return ConditionPart(f"{key}: {text}", kind, holds, found, children)


def _condition_on(
    field: str | None, value: SigmaType
) -> ConditionFieldEqualsValueExpression | ConditionValueExpression:
    return ConditionValueExpression(value) if field is None else ConditionFieldEqualsValueExpression(field, value)


def _of_value(
    view: _View, text: str, condition: ConditionFieldEqualsValueExpression | ConditionValueExpression
) -> ConditionPart:
    holds = _holds(view, condition)
    found = "differs only in case" if not holds and _differs_in_case(view, condition) else ""
    return ConditionPart(text, "value", holds, found, ())


def _written_item(item: SigmaDetectionItem) -> tuple[str, list[str]]:
    """Return the field with its modifiers, and the values, as in the rule."""
    if not item.value:
        return item.field or "", ["[]"]
    # An item with a field or a modifier is always a map with one key.
    plain = item.to_plain()
    key = "any field"
    if isinstance(plain, dict):
        [(key, plain)] = msgspec.convert(plain, dict[str, Any]).items()
        key = key if item.field else f"any field{key}"
    return key, [_quoted(value) for value in (plain if isinstance(plain, list) else [plain])]


def _clause(view: _View, condition: AnyCondition | None) -> Clause | None:
    state = ConversionState(processing_state=dict(view.backend.last_processing_pipeline.state))
    # Not the backend's own method, which takes a part for the whole rule and refuses it if nothing is left of it.
    clause: Clause | None = Backend.convert_condition(view.backend, condition, state)
    return clause


def _holds(view: _View, condition: AnyCondition | None) -> bool | None:
    clause = _clause(view, condition)
    return None if clause is None else compile_query(clause)(view.document)


def _differs_in_case(view: _View, condition: AnyCondition | None) -> bool:
    clause = _clause(view, condition)
    return clause is not None and compile_query(_ignoring_case(clause))(view.document)


def _ignoring_case(clause: Clause) -> Clause:
    """Return a clause that compares strings regardless of case.

    >>> _ignoring_case({"term": {"eventName": {"value": "A"}}})
    {'term': {'eventName': {'value': 'A', 'case_insensitive': True}}}
    """
    [(kind, body)] = clause.items()
    if not isinstance(body, dict):
        return clause
    if kind == "terms":
        [(field, values)] = body.items()
        scalars = [value for value in values if isinstance(value, Scalar)] if isinstance(values, list) else []
        return dsl.any_of(dsl.term(field, value, case_insensitive=True) for value in scalars)
    if kind in ("term", "prefix", "wildcard", "regexp"):
        return {
            kind: {
                field: {**options, "case_insensitive": True} if isinstance(options, dict) else options
                for field, options in body.items()
            }
        }
    if kind == "bool":
        return {
            kind: {
                key: [_ignoring_case(child) for child in value if isinstance(child, dict)]
                if isinstance(value, list)
                else value
                for key, value in body.items()
            }
        }
    return clause


def _instead(view: _View, field: str, written: str, condition: AnyCondition | None) -> str:
    """Say what the event has in a field on which a condition does not hold."""
    if stands_for_several(field):
        case = "; one fits but for its case" if _differs_in_case(view, condition) else ""
        return f"no value {f'below {written}' if object_around(field) else 'of the event'} fits{case}"
    value = view.document.get(field)
    if value is None:
        inner = min((name for flat, name in view.names.items() if flat.startswith(f"{field}_")), default=None)
        if inner:
            return f"the event has an object there; name the field in it, such as {inner}"
        other = _field_meant(written, view.names.values())
        return "the event has no such field" + (f"; it has {other}" if other else "")
    values = value if isinstance(value, list) else [value]
    shown = ", ".join(_shortened(_quoted(each)) for each in values[:_SHOWN_VALUES])
    more = f" and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    case = ", which differs only in case" if _differs_in_case(view, condition) else ""
    return f"the event has {shown}{more}{case}"


def _field_meant(field: str, names: Iterable[str]) -> str | None:
    """Return the field that was probably meant: with another case or separator, or a slip in the last part of its name.

    >>> _field_meant("requestparameters_userName", ["requestParameters.userName", "eventName"])
    'requestParameters.userName'
    """
    known = {flat_name(name).lower(): name for name in names}
    wanted = flat_name(field).lower()
    if wanted in known:
        return known[wanted]
    folder, _, last = field.rpartition(".")
    siblings = {
        name.rpartition(".")[2]: name for name in known.values() if name.rpartition(".")[0].lower() == folder.lower()
    }
    meant = nearest(last, siblings)
    return siblings[meant] if meant else None


def _dotted_names(event: Mapping[str, Json]) -> dict[str, str]:
    """Return the names of all fields with a value, by their flattened names.

    >>> _dotted_names({"a": {"b": [1]}, "c": None})
    {'a_b': 'a.b'}
    """
    names: dict[str, str] = {}
    waiting: list[tuple[str, Json | Mapping[str, Json]]] = [("", event)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{key}" if path else key, child) for key, child in value.items()]
        elif isinstance(value, list):
            waiting += [(path, child) for child in value]
        elif value is not None:
            # A data store may keep records flattened.
            names[flat_name(path)] = _BY_FLAT_NAME.get(path, path)
    return names


def _condition_text(node: ConditionItem) -> str:
    if isinstance(node, ConditionIdentifier):
        return node.identifier
    if isinstance(node, ConditionSelector):
        return f"{node.args[0]} of {node.pattern}"
    texts = [
        f"({_condition_text(child)})" if isinstance(child, (ConditionAND, ConditionOR)) else _condition_text(child)
        for child in _operands(node)
    ]
    return f"not {texts[0]}" if isinstance(node, ConditionNOT) else _joiner(node).join(texts)


def _joiner(node: ConditionItem) -> str:
    return " and " if isinstance(node, ConditionAND) else " or "


def _quoted(value: Json) -> str:
    """Write a value, with quotes around a string to show blanks at its ends."""
    return f"'{value}'" if isinstance(value, str) else "null" if value is None else str(value).lower()


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 2]}\N{HORIZONTAL ELLIPSIS}'"
