"""Which parts of a rule's condition hold for an event, and what the event has where one does not.

Every part is converted and evaluated by the very code that decides whether the rule matches, so that the two cannot
disagree; fields are shown by the names that the rule gives them.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TextIO, TypeAlias, cast

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
)
from sigma.conversion.base import Backend
from sigma.conversion.state import ConversionState
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaRule

from sigma_stellar_aws.backends.stellar_aws import AnyCondition, StellarAwsBackend
from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar
from sigma_stellar_aws.base.text import nearest, printable
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.pipelines.transformations import UsePublishedDetection
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import compile_query
from sigma_stellar_aws.reference.flat_schema import Document, flat_name

PartKind: TypeAlias = Literal["all", "any", "not", "value"]
"""How the children of a part make it hold; a value has none."""

_SHOWN_VALUES = 5
_SHOWN_LENGTH = 120
_WIDTH_WITHOUT_TERMINAL = 10_000
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
    """None for a part that counts for nothing, such as ``1 of filter_*`` in a rule without such a selection."""
    found: str
    """Of a condition on a field that does not hold: what the event has; else empty."""
    children: tuple["ConditionPart", ...]


class Explanation(NamedTuple):
    """What a rule makes of an event: it matches if one of its conditions, mostly there is only one, holds."""

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
    """Look which parts of a rule's condition hold for an event; the rule stays as it is.

    Args:
        rule: the rule as it was read.
        event: a CloudTrail record or a part of one.
        published: take the published query instead, where the rule corrects it.
        case_sensitive: compare texts exactly.

    Raises:
        SigmaError: the rule cannot be converted.
    """
    written = by_itself(rule)
    if published:
        UsePublishedDetection().apply(written)
    used = copy.deepcopy(written)
    pipeline = stellar_aws_published() if published else stellar_aws()
    backend = StellarAwsBackend(pipeline, case_sensitive=case_sensitive)
    queries = cast("list[JsonObject]", backend.convert(SigmaCollection([used])))
    document = flatten(event)
    view = _View(backend, used.detection, written.detection, document, _dotted_names(event))
    conditions = []
    for query, condition in zip(queries, used.detection.parsed_condition, strict=True):
        part = _of_condition(view, cast(ConditionItem, condition.parse(postprocess=False)))
        holds = compile_query(cast(Clause, query["query"]))(document)
        conditions.append(part._replace(text=f"condition: {condition.condition}", holds=holds))
    return Explanation(any(part.holds for part in conditions), tuple(conditions))


def by_itself(rule: SigmaRule) -> SigmaRule:
    """A copy of a rule to convert, which changes it; one that only serves a correlation is as good as any other."""
    copied = copy.deepcopy(rule)
    copied._output = True
    return copied


def decisive(part: ConditionPart) -> ConditionPart:
    """The part with only those children, all the way down, that make it hold or not hold."""
    if part.kind == "not":
        children = part.children
    else:
        children = tuple(child for child in part.children if child.holds == part.holds)
    return part._replace(children=tuple(map(decisive, children)))


def explanation_as_json(explanation: Explanation) -> JsonObject:
    """An explanation as a JSON object; a part without children is a value, one with ``holds`` null is ignored."""
    return {"matches": explanation.matches, "conditions": [_part_as_json(part) for part in explanation.conditions]}


def print_explanation(rule: SigmaRule, event: Mapping[str, Json], explanation: Explanation, console: Console) -> None:
    """Print what a rule makes of an event."""
    verdict, style = ("matches", "bold green") if explanation.matches else ("does not match", "bold red")
    named = " ".join(str(event.get(key)) for key in ("eventID", "eventName") if event.get(key)) or "the event"
    console.print(Text.assemble(printable(f"{rule.title} "), (verdict, style), printable(f" {named}")))
    print_trees(explanation.conditions, console)


def tree(part: ConditionPart) -> Tree:
    """A part as a tree for the terminal; it can be read without colours."""
    mark, style = _MARKS[part.holds]
    found = Text(f" \N{EM DASH} {printable(part.found)}", "bold") if part.found else ""
    root = Tree(Text.assemble((mark, style), printable(part.text), found), guide_style="dim")
    root.children += [tree(child) for child in part.children]
    return root


def console_of(stream: TextIO) -> Console:
    """A console in the width of the terminal; where there is none, nothing is broken into lines."""
    console = Console(file=stream, highlight=False)
    console.width = console.width if console.is_terminal else _WIDTH_WITHOUT_TERMINAL
    return console


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
    """The part for a node of a condition as it is written, in which selections are still names."""
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
        nodes = cast("list[ConditionItem]", node.args)
        kind = "not" if isinstance(node, ConditionNOT) else "all" if isinstance(node, ConditionAND) else "any"
    return ConditionPart(_condition_text(node), kind, holds, "", tuple(_of_condition(view, child) for child in nodes))


def _of_detection(view: _View, text: str, used: SigmaDetection, written: SigmaDetection) -> ConditionPart:
    pairs = list(zip(used.detection_items, written.detection_items, strict=True))
    children = [
        _of_item(view, one, cast(SigmaDetectionItem, other))
        if isinstance(one, SigmaDetectionItem)
        else _of_detection(view, f"{text}, entry {number}", one, cast(SigmaDetection, other))
        for number, (one, other) in enumerate(pairs, 1)
    ]
    kind: PartKind = "all" if used.item_linking is ConditionAND else "any"
    return ConditionPart(text, kind, _holds(view, used.postprocess(view.used)), "", tuple(children))


def _of_item(view: _View, used: SigmaDetectionItem, written: SigmaDetectionItem) -> ConditionPart:
    condition = used.postprocess(view.used)
    holds = _holds(view, condition)
    key, texts = _written_item(written)
    # A search without a field does not come as far as this: it is refused.
    field = cast(str, used.field)
    if len(used.value) < 2:
        found = "" if holds else _found(view, field, cast(str, written.field), condition)
        return ConditionPart(f"{key}: {texts[0]}", "value", holds, found, ())
    kind: PartKind = "all" if used.value_linking is ConditionAND else "any"
    text = f"{kind} of {len(texts)} values"
    children = tuple(
        _of_value(view, text, ConditionFieldEqualsValueExpression(field, value))
        for text, value in zip(texts, used.value, strict=True)
    )
    joined = used.value_linking([ConditionFieldEqualsValueExpression(field, value) for value in used.value])
    hold = _holds(view, joined)
    found = "" if hold else _found(view, field, cast(str, written.field), joined)
    if used.negated:
        inner = ConditionPart(f"{written.field}: {text}", kind, hold, found, children)
        return ConditionPart(f"{key}: not {text}", "not", holds, "", (inner,))
    return ConditionPart(f"{key}: {text}", kind, holds, found, children)


def _of_value(view: _View, text: str, condition: ConditionFieldEqualsValueExpression) -> ConditionPart:
    holds = _holds(view, condition)
    found = "differs only in case" if not holds and _differs_in_case(view, condition) else ""
    return ConditionPart(text, "value", holds, found, ())


def _written_item(item: SigmaDetectionItem) -> tuple[str, list[str]]:
    """Field with modifiers, and values, as in the rule."""
    if not item.value:
        return cast(str, item.field), ["[]"]
    [(key, plain)] = cast("dict[str, Json]", item.to_plain()).items()
    return key, [_quoted(value) for value in (plain if isinstance(plain, list) else [plain])]


def _clause(view: _View, condition: AnyCondition | None) -> Clause | None:
    state = ConversionState(processing_state=dict(view.backend.last_processing_pipeline.state))
    # Not the backend's own, which takes a part for the whole rule and refuses it where nothing is left of it.
    clause: Clause | None = Backend.convert_condition(view.backend, condition, state)
    return clause


def _holds(view: _View, condition: AnyCondition | None) -> bool | None:
    clause = _clause(view, condition)
    return None if clause is None else compile_query(clause)(view.document)


def _differs_in_case(view: _View, condition: AnyCondition | None) -> bool:
    clause = _clause(view, condition)
    return clause is not None and compile_query(_ignoring_case(clause))(view.document)


def _ignoring_case(clause: Clause) -> Clause:
    [(kind, body)] = cast("dict[str, JsonObject]", clause).items()
    if kind == "terms":
        [(field, values)] = body.items()
        return dsl.any_of(dsl.term(field, value, case_insensitive=True) for value in cast("list[Scalar]", values))
    if kind in ("term", "prefix", "wildcard", "regexp"):
        return {
            kind: {field: {**cast(JsonObject, options), "case_insensitive": True} for field, options in body.items()}
        }
    if kind == "bool":
        folded = {
            key: [_ignoring_case(child) for child in cast("list[Clause]", value)] if isinstance(value, list) else value
            for key, value in body.items()
        }
        return {kind: cast(JsonObject, folded)}
    return clause


def _found(view: _View, field: str, written: str, condition: AnyCondition | None) -> str:
    """What the event has in a field, on which a condition does not hold."""
    value = view.document.get(field)
    if value is None:
        inner = min((name for flat, name in view.names.items() if flat.startswith(f"{field}_")), default=None)
        if inner:
            return f"the event has an object there; name the field in it, such as {inner}"
        other = _nearest(written, view.names.values())
        return "the event has no such field" + (f"; it has {other}" if other else "")
    values = value if isinstance(value, list) else [value]
    shown = ", ".join(_shortened(_quoted(each)) for each in values[:_SHOWN_VALUES])
    more = f" and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    case = ", which differs only in case" if _differs_in_case(view, condition) else ""
    return f"the event has {shown}{more}{case}"


def _nearest(field: str, names: Iterable[str]) -> str | None:
    """The field that somebody meant: another case or separator, or a slip in the last part of the name."""
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
    """The names of all fields with a value, by their flattened names."""
    names: dict[str, str] = {}
    waiting: list[tuple[str, Json | Mapping[str, Json]]] = [("", event)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{key}" if path else key, child) for key, child in value.items()]
        elif isinstance(value, list):
            waiting += [(path, child) for child in value]
        elif value is not None:
            names[flat_name(path)] = path
    return names


def _condition_text(node: ConditionItem) -> str:
    if isinstance(node, ConditionIdentifier):
        return node.identifier
    if isinstance(node, ConditionSelector):
        return f"{node.args[0]} of {node.pattern}"
    texts = [
        f"({_condition_text(child)})" if isinstance(child, (ConditionAND, ConditionOR)) else _condition_text(child)
        for child in cast("list[ConditionItem]", node.args)
    ]
    return f"not {texts[0]}" if isinstance(node, ConditionNOT) else _joiner(node).join(texts)


def _joiner(node: ConditionItem) -> str:
    return " and " if isinstance(node, ConditionAND) else " or "


def _quoted(value: Json) -> str:
    """A value such that the blanks at its ends can be seen."""
    return f"'{value}'" if isinstance(value, str) else "null" if value is None else str(value).lower()


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 2]}\N{HORIZONTAL ELLIPSIS}'"
