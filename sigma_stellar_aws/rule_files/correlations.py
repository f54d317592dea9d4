"""Correlation rules with the rules that they name: what they count, by which fields, and which of them cannot be exact.

A correlation names rules by id or name, wherever they stand. Everything that it names has to be there, once, and no
correlation may count itself. What cannot be decided from the events alone without ever withdrawing an alert is refused:
``lt``, ``lte``, ``eq``, ``neq`` and ``not`` hold for a part of a longer burst, and for events that are still to arrive.
"""

import copy
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, TypeVar
from uuid import UUID

from sigma.correlations import (
    CorrelationConditionNOT,
    SigmaCorrelationRule,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaRuleLocation
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import CorrelationError, UnsupportedRuleError
from sigma_stellar_aws.base.text import LOOSELY_ALIKE, did_you_mean, nearest
from sigma_stellar_aws.base.yaml_positions import YamlPath, line_of, load_yaml
from sigma_stellar_aws.rule_files.counted import Correlation as Correlation
from sigma_stellar_aws.rule_files.counted import Member as Member
from sigma_stellar_aws.rule_files.needed_members import needed_members
from sigma_stellar_aws.rule_files.stated_correlation import (
    TEMPORAL_KINDS,
    ConditionTree,
    CorrelationFaultError,
    CorrelationRefusedError,
    MissingMemberError,
    StatedCorrelation,
    silenced_by,
    stated_correlation,
)
from sigma_stellar_aws.rule_files.stellar_block import rule_name

NamedRule: TypeAlias = SigmaRule | SigmaCorrelationRule
RuleOfAKind = TypeVar("RuleOfAKind", SigmaRule, SigmaCorrelationRule, NamedRule)

_DEEPEST = 10
"""How many correlations may be nested in each other; two are usual."""
# In no file: keys of YAML have no spaces in them unasked.
_ONLY_COUNTED = "only counted"
_SILENCED = "counted by a faulty correlation"
_WITHIN_LONGER = "a part of a longer burst holds it, too, and an event that arrives late would withdraw the alert"
_REFUSED_OPERATORS = ("lt", "lte", "eq", "neq")
_REFUSED_KINDS = {
    "value_sum": "a sum has no bounded state that is exact, since one event may lower it",
    "value_avg": "an event that arrives late can lower an average, and would withdraw the alert",
    "value_percentile": "an event that arrives late can move a percentile, and would withdraw the alert",
    "value_median": "an event that arrives late can move a median, and would withdraw the alert",
}


@dataclass
class ResolvedCorrelations:
    """The correlations among rules."""

    correlations: list[Correlation]
    """Each after those that it counts."""
    errors: list[UnsupportedRuleError]
    """Why others are left out."""
    faults: list[tuple[SigmaCorrelationRule, CorrelationFaultError]]
    """The same, with the rules and the parts of them."""
    silent: set[str]
    """Names of the rules that do not alert by themselves, since a correlation names them and none says generate."""


def resolve_correlations(rules: Iterable[NamedRule], refused: Mapping[str, str] | None = None) -> ResolvedCorrelations:
    """Find what correlations count.

    Args:
        rules: all rules, in any order.
        refused: reasons why rules are left out, by their names.
    """
    return _Resolver(list(rules), refused or {}).resolved()


def only_counted(rule: NamedRule) -> NamedRule:
    """Return a rule that is there for correlations alone, and does not alert by itself."""
    return _marked(rule, _ONLY_COUNTED)


def converted_all_the_same(rule: SigmaRule) -> SigmaRule:
    """Return a rule that is converted even if it is there for correlations alone, since events have to be found."""
    return _unmarked(rule, _ONLY_COUNTED)


def silenced(rules: Sequence[NamedRule], references: Iterable[str]) -> list[NamedRule]:
    """Return rules of which those that are named do not alert by themselves, unless a correlation generates them."""
    names = _Names(rules)
    unheard = {id(rule) for reference in references for rule in names.find(reference)}
    return [_marked(rule, _SILENCED) if id(rule) in unheard else rule for rule in rules]


def not_silenced(rule: NamedRule) -> NamedRule:
    """Return a rule that alerts by itself though a correlation that is left out counts it."""
    return _unmarked(rule, _SILENCED)


def is_only_counted(rule: NamedRule) -> bool:
    """Tell whether a rule is there for correlations alone."""
    return _ONLY_COUNTED in rule.custom_attributes


def keep_generate(rule: SigmaCorrelationRule) -> None:
    """Let a rule that pySigma loaded keep ``generate`` of its top, by reading its file again: pySigma loses it."""
    block = rule.custom_attributes.get("correlation")
    if rule.source is None or not isinstance(block, dict) or "generate" in block:
        return
    with suppress(OSError, ValueError, RecursionError):
        for document in load_yaml(rule.source.path.read_text("utf-8")):
            if isinstance(document, dict) and "generate" in document and _is_of(document, rule):
                rule.custom_attributes["correlation"] = {**block, "generate": document["generate"]}


def counted_by(rules: Sequence[NamedRule], chosen: Iterable[NamedRule]) -> list[NamedRule]:
    """Return what correlations among some rules count, also through others, of all rules; without those rules."""
    names = _Names(rules)
    found = list(chosen)
    known = {id(rule) for rule in found}
    more: list[NamedRule] = []
    for rule in found:
        references: Iterable[str] = ()
        if isinstance(rule, SigmaCorrelationRule):
            with suppress(CorrelationFaultError):
                references = stated_correlation(rule).references
        for member in (member for reference in references for member in names.find(reference)):
            if id(member) not in known:
                known.add(id(member))
                # The loop goes on with it.
                found.append(member)
                more.append(member)
    return more


def filter_errors(filters: Iterable[SigmaFilter], rules: Sequence[NamedRule]) -> list[CorrelationError]:
    """Return an error for each filter that names a correlation: it would change nothing."""
    known = _Names([rule for rule in rules if isinstance(rule, SigmaCorrelationRule)])
    errors = []
    for each in filters:
        references = [] if isinstance(each.filter.rules, str) else each.filter.rules
        for number, reference in enumerate(references):
            if known.find(reference.reference):
                at = location(each, ("filter", "rules", number))
                reason = f"it names the correlation {reference.reference!r}; name the rules that this one counts"
                errors.append(CorrelationError(each.title, reason, at, is_filter=True))
    return errors


def location(rule: NamedRule | SigmaFilter, path: YamlPath) -> SigmaRuleLocation | None:
    """Return the file and the line of a part of a rule; the file is read once more, since loading loses the lines."""
    if rule.source is None:
        return None
    with suppress(OSError, ValueError, RecursionError):
        text = rule.source.path.read_text("utf-8")
        for number, document in enumerate(_loaded(text)):
            if isinstance(document, dict) and _is_of(document, rule):
                return SigmaRuleLocation(rule.source.path, line_of(text, path, number))
    return rule.source


# A file may have very many correlations with the same fault.
@lru_cache(maxsize=8)
def _loaded(text: str) -> list[Json]:
    return load_yaml(text)


def _error_of(rule: SigmaCorrelationRule, fault: CorrelationFaultError) -> UnsupportedRuleError:
    """Return an error that names the rule, its file and the line of a part of it."""
    kind = UnsupportedRuleError if isinstance(fault, CorrelationRefusedError) else CorrelationError
    return kind(rule.title or rule_name(rule), fault.reason, location(rule, fault.path))


def _is_of(document: JsonObject, rule: NamedRule | SigmaFilter) -> bool:
    identity = str(document.get("id") or "").lower()
    return (document.get("title"), document.get("name"), identity) == (rule.title, rule.name, str(rule.id or ""))


class _Names:
    """Rules by what others may name them."""

    def __init__(self, rules: Sequence[NamedRule]) -> None:
        self.rules = rules
        self._by_id: dict[UUID, NamedRule] = {}
        self._by_name: dict[str, list[NamedRule]] = {}
        for rule in rules:
            if rule.id is not None:
                # Of rules with the same id, a pack has the first.
                self._by_id.setdefault(rule.id, rule)
            if rule.name is not None:
                self._by_name.setdefault(_same_text(rule.name), []).append(rule)

    def find(self, reference: str) -> list[NamedRule]:
        named = self._by_name.get(_same_text(reference), [])
        with suppress(ValueError):
            if rule := self._by_id.get(UUID(reference)):
                return [rule, *(other for other in named if other is not rule)]
        return named

    def one(self, reference: str) -> NamedRule:
        """Return the rule of an id or name; raise ValueError with the reason where there is not just one."""
        found = self.find(reference)
        if len(found) == 1:
            return found[0]
        if found:
            files = ", ".join(sorted({str(rule.source.path) for rule in found if rule.source}))
            raise ValueError(f"{len(found)} rules are named {reference!r} ({files}); give each a name of its own")
        if meant := [rule.name or rule.id for rule in self.rules if rule.title == reference]:
            better = f"; write {meant[0]}" if len(meant) == 1 and meant[0] else ""
            raise ValueError(f"{reference!r} is the title of a rule; a correlation names its id or its name{better}")
        hint = did_you_mean(nearest(reference, self._by_name, LOOSELY_ALIKE))
        raise ValueError(f"there is no rule with the id or name {reference!r}{hint}")


def _same_text(name: str) -> str:
    """Return a text that is the same however its letters and their accents are put together."""
    return unicodedata.normalize("NFC", name)


class _Resolver:
    """What is known while correlations are resolved, each after those that it counts."""

    def __init__(self, rules: Sequence[NamedRule], refused: Mapping[str, str]) -> None:
        self._names = _Names(rules)
        self._refused = refused
        self._done: dict[int, Correlation | None] = {}
        self._depths: dict[str, int] = {}
        self._path: list[SigmaCorrelationRule] = []
        self._result = ResolvedCorrelations([], [], [], set())

    def resolved(self) -> ResolvedCorrelations:
        unheard = {id(rule) for rule in self._names.rules if _SILENCED in rule.custom_attributes}
        generated: set[int] = set()
        for rule in self._names.rules:
            if isinstance(rule, SigmaCorrelationRule):
                unheard |= {id(found) for name in silenced_by(rule) for found in self._names.find(name)}
                with suppress(CorrelationFaultError):
                    stated = stated_correlation(rule)
                    named = stated.references if stated.generate else ()
                    generated |= {id(found) for name in named for found in self._names.find(name)}
                self._resolve(rule)
        self._result.silent = {rule_name(rule) for rule in self._names.rules if id(rule) in unheard - generated}
        return self._result

    def _resolve(self, rule: SigmaCorrelationRule) -> Correlation | None:
        if id(rule) in self._done:
            return self._done[id(rule)]
        self._path.append(rule)
        correlation = None
        try:
            correlation = self._made(rule, stated_correlation(rule))
        except CorrelationFaultError as fault:
            self._result.faults.append((rule, fault))
            self._result.errors.append(_error_of(rule, fault))
        self._path.pop()
        self._done[id(rule)] = correlation
        if correlation is not None:
            self._depths.setdefault(correlation.name, 1)
            self._result.correlations.append(correlation)
        return correlation

    def _made(self, rule: SigmaCorrelationRule, stated: StatedCorrelation) -> Correlation:
        members = [self._found(reference, number) for number, reference in enumerate(stated.references)]
        if len({id(member) for member in members}) < len(members):
            raise CorrelationFaultError(("correlation", "rules"), "two references are to the same rule")
        aliases = self._aliases(stated, members)
        _refuse(stated)
        known = [self._member(stated, number, member, aliases) for number, member in enumerate(members)]
        count, alternatives = needed_members(stated)
        title = rule.title or rule_name(rule)
        return Correlation(
            rule_name(rule), title, stated.kind, tuple(known), stated.group_by, stated.timespan, count, alternatives
        )

    def _found(self, reference: str, number: int) -> NamedRule:
        try:
            return self._names.one(reference)
        except ValueError as error:
            raise MissingMemberError(("correlation", "rules", number), str(error)) from None

    def _aliases(self, stated: StatedCorrelation, members: Sequence[NamedRule]) -> dict[tuple[str, int], str]:
        """Return the field that an alias stands for in the events of a member, by the alias and the member's number."""
        fields: dict[tuple[str, int], str] = {}
        used = (*stated.group_by, *(stated.threshold.fields if stated.threshold else ()))
        for alias, of_rules in stated.aliases.items():
            at = ("correlation", "aliases", alias)
            if alias not in used:
                raise CorrelationFaultError(at, f"alias {alias!r} is used neither in group-by nor as a field")
            for reference, field in of_rules.items():
                numbers = [n for n, member in enumerate(members) if _has(self._names.find(reference), member)]
                if not numbers:
                    raise CorrelationFaultError(
                        (*at, reference), f"alias {alias!r} is about {reference!r}, which is none of the rules"
                    )
                fields[alias, numbers[0]] = field
            for number, member in enumerate(members):
                if (alias, number) not in fields:
                    raise CorrelationFaultError(at, f"alias {alias!r} names no field of the rule {member.title!r}")
        return fields

    def _member(
        self,
        stated: StatedCorrelation,
        number: int,
        member: NamedRule,
        aliases: Mapping[tuple[str, int], str],
    ) -> Member:
        at = ("correlation", "rules", number)
        key = tuple(aliases.get((field, number), field) for field in stated.group_by)
        name = rule_name(member)
        if isinstance(member, SigmaRule):
            if reason := self._refused.get(name):
                raise MissingMemberError(at, f"the rule {member.title!r} is left out: {reason}")
            fields = stated.threshold.fields if stated.threshold else ()
            values = tuple(aliases.get((field, number), field) for field in fields)
            return Member(name, member.title, False, key, values)
        if _has(self._path, member):
            start = next(place for place, each in enumerate(self._path) if each is member)
            names = " → ".join(repr(each.title) for each in (*self._path[start:], member))
            raise CorrelationFaultError(at, f"correlations count each other: {names}")
        if stated.kind not in TEMPORAL_KINDS:
            raise CorrelationRefusedError(at, f"{stated.kind} of a correlation: only temporal ones can count others")
        is_too_deep = id(member) not in self._done and len(self._path) >= _DEEPEST
        inner = None if is_too_deep else self._resolve(member)
        if inner is None and not is_too_deep:
            raise MissingMemberError(at, f"the correlation {member.title!r} is left out")
        if inner is None or self._depths[inner.name] >= _DEEPEST:
            raise CorrelationFaultError(at, f"more than {_DEEPEST} correlations are nested in each other")
        outer = rule_name(self._path[-1])
        self._depths[outer] = max(self._depths.get(outer, 1), self._depths[inner.name] + 1)
        if missing := [field for field in key if field not in inner.group_by]:
            raise CorrelationFaultError(at, f"the correlation {inner.title!r} does not group by {missing[0]!r}")
        return Member(name, inner.title, True, key)


def _marked(rule: RuleOfAKind, mark: str) -> RuleOfAKind:
    marked = copy.copy(rule)
    marked.custom_attributes = {**rule.custom_attributes, mark: True}
    return marked


def _unmarked(rule: RuleOfAKind, mark: str) -> RuleOfAKind:
    if mark not in rule.custom_attributes:
        return rule
    unmarked = copy.copy(rule)
    unmarked.custom_attributes = {key: value for key, value in rule.custom_attributes.items() if key != mark}
    return unmarked


def _has(rules: Iterable[NamedRule], rule: NamedRule) -> bool:
    # Rules are equal where what pySigma keeps of them is.
    return any(each is rule for each in rules)


def _refuse(stated: StatedCorrelation) -> None:
    """Raise an error with the reason where a correlation can be read, but not be exact."""
    if reason := _REFUSED_KINDS.get(stated.kind):
        raise CorrelationRefusedError(("correlation", "type"), f"{stated.kind} is not supported: {reason}")
    operator = stated.threshold.operator if stated.threshold else ""
    if operator in _REFUSED_OPERATORS:
        at = ("correlation", "condition", operator)
        raise CorrelationRefusedError(at, f"{operator} is not supported: {_WITHIN_LONGER}; use gte")
    if stated.condition is not None and _has_not(stated.condition):
        reason = "an event that arrives late would withdraw the alert; use and, or"
        raise CorrelationRefusedError(("correlation", "condition"), f"not is not supported: {reason}")


def _has_not(condition: ConditionTree) -> bool:
    if isinstance(condition, SigmaRuleReference):
        return False
    return isinstance(condition, CorrelationConditionNOT) or any(map(_has_not, condition.args))
