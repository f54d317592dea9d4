"""Fields inside requests and responses that the events of a rule do not have, and values that they never hold."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from sigma.types import SigmaFieldReference, SigmaType

from sigma_stellar_aws.base.text import did_you_mean, first_of, nearest
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.reference.aws_parameters import (
    REQUEST,
    RESPONSE,
    EventKind,
    Parameter,
    nearest_parameter,
    parameter,
    parameter_names,
    parameters,
)
from sigma_stellar_aws.validators.asked_events import AskedEvents, asked_events, events_key
from sigma_stellar_aws.validators.condition_tree import FieldComparison, Tree, ways
from sigma_stellar_aws.validators.event_names import Fault
from sigma_stellar_aws.validators.issues import (
    MisspeltParameterIssue,
    ParameterKindIssue,
    UnlistedParameterIssue,
    UnlistedParameterValueIssue,
    WholeObjectIssue,
)
from sigma_stellar_aws.validators.sigma_values import (
    any_matches,
    is_comparable,
    is_missing,
    shown,
    text,
    wrong_comparison,
)

_FEW_EVENTS = 3
_SIDES = {REQUEST: "request", RESPONSE: "response"}


class AskedField(NamedTuple):
    """A field inside a request or response, with all events that it is asked of."""

    comparison: FieldComparison
    name: str
    events: AskedEvents

    @property
    def described(self) -> frozenset[EventKind]:
        """The events of which it is known what they have where the field is."""
        return self.events.described(self.name.partition(".")[0])


def asked_fields(trees: list[Tree]) -> list[AskedField]:
    """Return every field inside a request or response that is compared, if it is known what events it is asked of."""
    found: dict[tuple[YamlPath, str], tuple[FieldComparison, list[AskedEvents | None]]] = {}
    for tree in trees:
        events: dict[tuple[int, ...], AskedEvents | None] = {}
        for way in ways(tree):
            asked = [(name, one) for one in way for name in _parameters_in(one)]
            if asked:
                key = events_key(way)
                if key not in events:
                    events[key] = asked_events(way)
                for name, comparison in asked:
                    found.setdefault((comparison.at, name), (comparison, []))[1].append(events[key])
    return [
        AskedField(comparison, name, _together(each))
        for (_, name), (comparison, each) in found.items()
        if None not in each
    ]


def _parameters_in(comparison: FieldComparison) -> list[str]:
    """Return the fields inside requests and responses that a comparison names: its own, and those behind |fieldref."""
    values = (value.value for value in comparison.values)
    named = [comparison.field or "", *(value.field for value in values if isinstance(value, SigmaFieldReference))]
    return [name for name in dict.fromkeys(named) if name.partition(".")[0] in _SIDES and "." in name]


def _together(each: list[AskedEvents | None]) -> AskedEvents:
    known = list(dict.fromkeys(one for one in each if one is not None))
    if len(known) == 1:
        return known[0]
    kinds = frozenset().union(*(one.kinds for one in known))
    return AskedEvents(kinds, all(one.named for one in known), " or ".join(one.said for one in known))


def parameter_fault(asked: AskedField) -> Fault | None:
    """Return what is wrong with the name of a field: that none of the events has it, as far as that is known."""
    described = asked.described
    if asked.name.startswith(RESPONSE) and asked.events.named and all(map(_only_lists, asked.events.kinds)):
        problem = (
            f"{asked.events.said} only reads, and CloudTrail records no response of such calls; leave the field out."
        )
        return Fault(UnlistedParameterIssue, problem)
    if not described or parameter(asked.name, described) is not None:
        return None
    meant = nearest_parameter(asked.name, described)
    side = _SIDES[asked.name.partition(".")[0]]
    problem = f"No {side} of {asked.events.said} has {asked.name!r}"
    if meant is not None:
        return Fault(MisspeltParameterIssue, f"{problem}{did_you_mean(meant)}")
    # Of an event whose parameters are not known, any name may be one.
    if len(described) < len(asked.events.kinds):
        return None
    there = _like(asked.name, described)
    hint = f"; it has {first_of(there)}" if there else ""
    return Fault(UnlistedParameterIssue, f"{problem}{hint}; AWS may have added it lately.")


def _only_lists(event: EventKind) -> bool:
    # The user guide says so of all calls that read, but of others there are records with a response.
    return event[1].startswith(("Describe", "List"))


def _like(name: str, events: frozenset[EventKind]) -> list[str]:
    """Return what there is where a wrong name is, what is most like it first; nothing for that of many events."""
    if len(events) > _FEW_EVENTS:
        return []
    parent, _, last = name.rpartition(".")
    there = parameter_names(parent, events)
    return sorted(there, key=lambda one: (-SequenceMatcher(None, last.casefold(), one.casefold()).ratio(), one))


def value_faults(asked: AskedField) -> Iterator[tuple[Fault, YamlPath]]:
    """Yield what is wrong with the values that a field is compared with, by what it holds."""
    described = asked.described
    held = parameter(asked.name, described) if described else None
    if held is not None:
        for value in asked.comparison.values:
            fault = _value_fault(asked.name, held, value.value)
            if fault is not None:
                yield fault, value.at


def object_fault(asked: AskedField) -> Fault | None:
    """Return a fault if a field holds an object in every event, and so never has a value itself."""
    described = asked.described
    held = parameter(asked.name, described) if described else None
    if held is None or held.kind != "structure":
        return None
    if not any(is_comparable(value.value) and not is_missing(value.value) for value in asked.comparison.values):
        return None
    inside = sorted({name for kind in described for name in parameters(*kind, asked.name)})
    hint = f"; name the field inside it: {first_of(inside)}." if inside else "."
    return Fault(WholeObjectIssue, f"{asked.name} is an object, which has no value of its own{hint}")


def _value_fault(name: str, held: Parameter, value: SigmaType) -> Fault | None:
    exact = text(value)
    if reason := wrong_comparison(name, held.kind, value):
        return Fault(ParameterKindIssue, reason)
    if held.kind == "boolean" and exact is not None and exact.lower() not in ("true", "false"):
        return Fault(ParameterKindIssue, f"{name} is true or false, never {exact!r}; write one of these.")
    if held.kind == "number" and exact is not None and not _is_number(exact):
        return Fault(ParameterKindIssue, f"{name} is a number, never {exact!r}; write digits.")
    if held.values and not is_missing(value) and not any_matches(value, held.values):
        written = shown(value)
        close = nearest(written.strip("*"), held.values)
        hint = did_you_mean(close) if close else f"; it is one of {first_of(held.values)}."
        return Fault(UnlistedParameterValueIssue, f"No value {written!r} of {name} is known{hint}")
    return None


def _is_number(exact: str) -> bool:
    try:
        float(exact)
    except ValueError:
        return False
    return True
