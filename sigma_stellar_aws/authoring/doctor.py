"""Tell whether rules can match in a data store, by its mapping and its data. This reads, and never writes."""

import copy
import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Literal, NamedTuple

from opensearchpy import OpenSearch
from rich.text import Text
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.pack import Pack, convert_pack
from sigma_stellar_aws.alerts.store_doubts import kept_otherwise
from sigma_stellar_aws.alerts.stored_documents import told_apart_otherwise
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.terminal import print_table, table_of
from sigma_stellar_aws.base.text import plural, printable
from sigma_stellar_aws.pipelines.of_store import pipeline_for
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.cut_values import cut_values
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Layout, StoreProfile
from sigma_stellar_aws.reference.ecs_fields import ecs_field
from sigma_stellar_aws.reference.flat_schema import flat_name
from sigma_stellar_aws.rule_files.correlations import counted_by
from sigma_stellar_aws.rule_files.counted import TEMPORAL_KINDS
from sigma_stellar_aws.rule_files.stellar_block import rule_name
from sigma_stellar_aws.store.mapping import Counted, count_each
from sigma_stellar_aws.store.trial import accepted_queries

Verdict = Literal["can match", "no events", "may be wrong", "cannot match"]

_AHEAD = timedelta(minutes=5)
"""By how much the clocks of two machines may differ."""

SOURCE_FIELD = "eventSource"
"""The field that names the service of an event."""

_STYLES: dict[Verdict, str] = {
    "can match": "green",
    "no events": "dim",
    "may be wrong": "yellow",
    "cannot match": "bold red",
}


class RuleDiagnosis(NamedTuple):
    """The verdict on one rule, and the reasons."""

    id: str
    title: str
    verdict: Verdict
    reasons: list[str]


class _Questions(NamedTuple):
    """What to count for a rule; None where there is nothing to ask."""

    too_long: Clause | None = None
    """Events with a value that is too long to be found, in a field of the rule."""
    of_service: Clause | None = None
    """Events of the services that the rule is about."""


class Diagnosis(NamedTuple):
    """The verdict on a data store and on each rule."""

    events: int
    newest: datetime | None
    """Time of the newest event, if any has one."""
    problems: list[str]
    """What is wrong regardless of the rule, and with rules that could not be loaded."""
    rules: list[RuleDiagnosis]

    @property
    def healthy(self) -> bool:
        """Tell whether every rule can match, and exactly so. A service without events is not a problem."""
        return not self.problems and all(rule.verdict in ("can match", "no events") for rule in self.rules)


def diagnose(
    client: OpenSearch, profile: StoreProfile, rules: SigmaCollection, time_field: str, since: datetime
) -> Diagnosis:
    """Examine whether each rule can match in a data store.

    Args:
        client: the data store.
        profile: its fields.
        rules: the rules; converting them changes them.
        time_field: the field with the time of an event.
        since: when there should have been events since.

    Raises:
        StoreError: the store cannot be asked.
    """
    packs = _accepted(client, profile, [_converted(rule, rules.rules, profile, time_field) for rule in rules.rules])
    asked = [_questions(pack.query, profile) if isinstance(pack, Pack) else _Questions() for pack in packs]
    # Many rules ask the same.
    clauses = {_name(clause): clause for each in asked for clause in each if clause is not None}
    undated = profile.no_time(time_field)
    counted = count_each(client, profile.indices, clauses, None if undated else time_field)
    counts = [[counted.counts.get(_name(clause)) for clause in each] for each in asked]
    return Diagnosis(
        counted.events,
        counted.newest,
        [
            *_problems(profile, time_field, undated, since, counted),
            *kept_otherwise(client, profile),
            *map(str, rules.errors),
        ],
        [
            _diagnosis(rule, pack, profile, *of_rule)
            for rule, pack, of_rule in zip(rules.rules, packs, counts, strict=True)
        ],
    )


def diagnosis_as_json(profile: StoreProfile, diagnosis: Diagnosis) -> JsonObject:
    """Return a diagnosis as a JSON object."""
    return {
        "index": profile.indices,
        "engine": profile.engine,
        "version": profile.version,
        "events": diagnosis.events,
        "newest": diagnosis.newest.isoformat() if diagnosis.newest else None,
        "healthy": diagnosis.healthy,
        "problems": [*diagnosis.problems],
        "rules": [
            {"id": rule.id, "title": rule.title, "verdict": rule.verdict, "reasons": [*rule.reasons]}
            for rule in diagnosis.rules
        ],
    }


def print_diagnosis(profile: StoreProfile, diagnosis: Diagnosis) -> None:
    """Print a diagnosis for people."""
    table = table_of("rule", "verdict", "why")
    for rule in diagnosis.rules:
        reasons = Text("\n".join(printable(reason) for reason in rule.reasons))
        table.add_row(Text(printable(rule.title)), Text(rule.verdict, _STYLES[rule.verdict]), reasons)
    print_table(table, sys.stdout)
    newest = f", the newest of {_minutes(diagnosis.newest)}" if diagnosis.newest else ""
    events = plural(diagnosis.events, "event")
    print(f"{printable(profile.indices)} on {profile.engine} {profile.version}: {events}{newest}")
    counts = Counter(rule.verdict for rule in diagnosis.rules)
    print(", ".join(f"{verdict}: {counts[verdict]}" for verdict in _STYLES if counts[verdict]) or "no rules")
    for problem in diagnosis.problems:
        print(f"problem: {printable(problem)}")


def _converted(
    rule: SigmaRule | SigmaCorrelationRule,
    rules: Sequence[SigmaRule | SigmaCorrelationRule],
    profile: StoreProfile,
    time_field: str,
) -> Pack | SigmaError:
    """Convert a rule, a correlation with what it counts."""
    # The conversion changes them, and another correlation may count them, too.
    alone = SigmaCollection([*copy.deepcopy([rule, *counted_by(rules, [rule])])], resolve_references=False)
    try:
        pack = convert_pack(alone, pipeline_for(profile, profile.indices, time_field), store=profile)
    except SigmaError as error:
        return error
    return pack if rule_name(rule) in pack.rules else SigmaError("; ".join(pack.refused))


def _name(clause: Clause | None) -> str:
    return json.dumps(clause)


def _accepted(client: OpenSearch, profile: StoreProfile, packs: list[Pack | SigmaError]) -> list[Pack | SigmaError]:
    """Return each pack if the server accepts its query, or why not: a regular expression may be too complex for it."""
    # Named by number, since two rules may have the same id.
    clauses = [dsl.named(pack.query, str(number)) for number, pack in enumerate(packs) if isinstance(pack, Pack)]
    refused = accepted_queries(client, profile.indices, profile.engine, clauses).refused
    return [SigmaError(refused[str(number)]) if str(number) in refused else pack for number, pack in enumerate(packs)]


def _questions(query: Clause, profile: StoreProfile) -> _Questions:
    names = dsl.fields(query)
    source_field = ecs_field(SOURCE_FIELD).field if profile.layout == "ecs" else SOURCE_FIELD
    cut = cut_values(profile.all_mappings(), names, profile.engine)
    of_source = {sub.name for field in profile.mappings(source_field) for sub in (field, *field.subfields)}
    sources = [clause for field, clause in dsl.demands(query) if field in of_source]
    return _Questions(cut, dsl.any_of(sources) if sources else None)


def _problems(profile: StoreProfile, time_field: str, undated: str, since: datetime, counted: Counted) -> list[str]:
    if not counted.events:
        return [f"{profile.indices} holds no events"]
    if undated:
        return [undated]
    if counted.newest is None:
        return [f"no event has a time in {time_field!r}"]
    if counted.newest < since:
        return [f"no event since {_minutes(since)}; the newest is from {_minutes(counted.newest)}"]
    if counted.newest > datetime.now(timezone.utc) + _AHEAD:
        return [f"the newest event is from {_minutes(counted.newest)}, which is still to come"]
    return []


def _diagnosis(
    rule: SigmaRule | SigmaCorrelationRule,
    pack: Pack | SigmaError,
    profile: StoreProfile,
    cut: int | None,
    of_service: int | None,
) -> RuleDiagnosis:
    def diagnosis(verdict: Verdict, reasons: Iterable[str]) -> RuleDiagnosis:
        return RuleDiagnosis(rule_name(rule), rule.title, verdict, list(dict.fromkeys(reasons)))

    if isinstance(pack, SigmaError):
        return diagnosis("cannot match", [_without_rule(str(pack.args[0]), rule.title)])
    missing, too_long, wrong = (
        [f"field {doubt.field!r}: {doubt.reason}" for doubt in pack.doubts if doubt.kind == kind]
        for kind in ("missing", "cut", "loose")
    )
    if not _can_match(rule_name(rule), pack, {doubt.field for doubt in pack.doubts if doubt.kind == "missing"}):
        return diagnosis("cannot match", missing)
    wrong += _without_part(rule_name(rule), pack, profile)
    if cut:
        wrong.append(f"values too long to be found, in a field of this rule, in {plural(cut, 'event')}")
    elif cut is None and too_long:
        wrong += [*too_long, "this store cannot tell whether there are such values"]
    if wrong:
        return diagnosis("may be wrong", wrong)
    if of_service == 0:
        return diagnosis("no events", [*missing, *too_long, "no event of its service was ever seen"])
    return diagnosis("can match", [*missing, *too_long])


def _can_match(name: str, pack: Pack, missing: Collection[str]) -> bool:
    """Tell whether a rule can match, or a correlation be complete, where events lack some fields."""
    correlation = next((each for each in pack.correlations if each.name == name), None)
    if correlation is None:
        return dsl.can_match(dict(dsl.named_clauses(pack.query))[name], missing)
    possible = [_can_match(member.name, pack, missing) for member in correlation.members]
    if correlation.alternatives:
        return any(all(possible[number] for number in numbers) for numbers in correlation.alternatives)
    return sum(possible) >= (correlation.count if correlation.kind in TEMPORAL_KINDS else 1)


def _without_part(name: str, pack: Pack, profile: StoreProfile) -> Iterator[str]:
    """Say which fields that a correlation groups or counts by are missing in the store, or differ from CloudTrail's."""
    members = [member for each in pack.correlations if each.name == name for member in each.members]
    fields = list(dict.fromkeys(field for member in members for field in (*member.key, *member.values)))
    otherwise = told_apart_otherwise(fields) if profile.layout == "ecs" else {}
    for field in fields:
        stored = _stored_name(field, profile.layout)
        if field in otherwise:
            yield f"field {field!r}: {otherwise[field]}; exact are events that have event.original"
        elif not profile.mappings(stored):
            yield f"field {stored!r}: {profile.indices} has no such field, and events without it take no part"


def _stored_name(field: str, layout: Layout) -> str:
    if layout == "ecs":
        return ecs_field(field).read_from
    return flat_name(field) if layout == "flattened" else field


def _without_rule(message: str, title: str) -> str:
    return message.removeprefix(f"Rule {title!r}: ")


def _minutes(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
