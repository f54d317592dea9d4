"""Whether rules can match in a data store: what its mapping and its data say of each. It reads, never writes."""

import sys
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Literal, NamedTuple

from opensearchpy import OpenSearch
from rich.text import Text
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws import dsl, store
from sigma_stellar_aws.dsl import Clause
from sigma_stellar_aws.field_queries import cut_values
from sigma_stellar_aws.jsontypes import JsonObject
from sigma_stellar_aws.output import print_table, printable, table_of
from sigma_stellar_aws.pack import Pack, convert_pack
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.rulepack import rule_name
from sigma_stellar_aws.store_profile import StoreProfile

Verdict = Literal["can match", "no events", "may be wrong", "cannot match"]

SOURCE_FIELD = "eventSource"
"""The field that says which service an event is of."""


_STYLES: dict[Verdict, str] = {
    "can match": "green",
    "no events": "dim",
    "may be wrong": "yellow",
    "cannot match": "bold red",
}


class RuleDiagnosis(NamedTuple):
    """What is to be said of a rule."""

    id: str
    title: str
    verdict: Verdict
    reasons: list[str]


class Diagnosis(NamedTuple):
    """What is to be said of a data store and the rules."""

    events: int
    newest: datetime | None
    """Time of the newest event, if any has one."""
    problems: list[str]
    """What is wrong for all rules."""
    rules: list[RuleDiagnosis]

    @property
    def healthy(self) -> bool:
        """Whether every rule can match, as exactly as it should; a service that nobody uses is no illness."""
        return not self.problems and all(rule.verdict in ("can match", "no events") for rule in self.rules)


def diagnose(
    client: OpenSearch, profile: StoreProfile, rules: SigmaCollection, time_field: str, since: datetime
) -> Diagnosis:
    """Look at a data store with the eyes of each rule.

    Args:
        client: the data store.
        profile: its fields.
        rules: the rules; they are changed by that.
        time_field: the field with the time of an event.
        since: the time from which on there should be events.

    Raises:
        StoreError: the store cannot be asked.
    """
    packs = [(rule, _converted(rule, profile, time_field)) for rule in rules.rules]
    questions: dict[str, Clause] = {}
    for rule, pack in packs:
        if isinstance(pack, Pack):
            questions |= {
                f"{kind} {rule_name(rule)}": clause for kind, clause in _questions(pack.query, profile).items()
            }
    kinds = {field.type for field in profile.mappings(time_field)}
    dated = bool(kinds) and kinds <= {"date", "date_nanos"}
    counted = store.count_each(client, profile.indices, questions, time_field if dated else None)
    return Diagnosis(
        counted.events,
        counted.newest,
        _problems(profile, time_field, dated, since, counted),
        [_diagnosis(rule, pack, counted.counts) for rule, pack in packs],
    )


def as_json(profile: StoreProfile, diagnosis: Diagnosis) -> JsonObject:
    """A diagnosis as a JSON value."""
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
    print(f"{printable(profile.indices)} on {profile.engine} {profile.version}: {diagnosis.events} events{newest}")
    counts = Counter(rule.verdict for rule in diagnosis.rules)
    print(", ".join(f"{verdict}: {counts[verdict]}" for verdict in _STYLES if counts[verdict]) or "no rules")
    for problem in diagnosis.problems:
        print(f"problem: {printable(problem)}")


def _converted(rule: SigmaRule | SigmaCorrelationRule, profile: StoreProfile, time_field: str) -> Pack | SigmaError:
    try:
        return convert_pack(SigmaCollection([rule]), stellar_aws(profile.indices, time_field), store=profile)
    except SigmaError as error:
        return error


def _questions(query: Clause, profile: StoreProfile) -> dict[str, Clause]:
    """The events of the services that a rule is about, and those with a value too long for it."""
    names = dsl.fields(query)
    cut = cut_values(profile.all_mappings(), names, profile.engine)
    of_source = {sub.name for field in profile.mappings(SOURCE_FIELD) for sub in (field, *field.subfields)}
    sources = [clause for field, clause in dsl.demands(query) if field in of_source]
    return {
        **({"cut": cut} if cut is not None else {}),
        **({"source": dsl.any_of(sources)} if sources else {}),
    }


def _problems(
    profile: StoreProfile, time_field: str, dated: bool, since: datetime, counted: store.Counted
) -> list[str]:
    if not counted.events:
        return [f"{profile.indices} holds no events"]
    if not dated:
        kinds = ", ".join(field.type for field in profile.mappings(time_field))
        what = f"is no date ({kinds})" if kinds else "does not exist"
        return [f"the time field {time_field!r} {what}; name the one of this store: --time-field NAME"]
    if counted.newest is None:
        return [f"no event has a time in {time_field!r}"]
    if counted.newest < since:
        return [f"no event since {_minutes(since)}; the newest is of {_minutes(counted.newest)}"]
    if counted.newest > (now := datetime.now(timezone.utc)):
        return [f"the newest event is of {_minutes(counted.newest)}, which is after now ({_minutes(now)})"]
    return []


def _diagnosis(
    rule: SigmaRule | SigmaCorrelationRule, pack: Pack | SigmaError, counts: Mapping[str, int]
) -> RuleDiagnosis:
    name, title = rule_name(rule), rule.title
    if isinstance(pack, SigmaError):
        return RuleDiagnosis(name, title, "cannot match", [_without_rule(str(pack), title)])
    missing = {doubt.field for doubt in pack.doubts if doubt.kind == "missing"}
    reasons = [_without_rule(str(doubt), title) for doubt in pack.doubts]
    if not dsl.can_match(pack.query, missing):
        return RuleDiagnosis(name, title, "cannot match", reasons)
    loose = [_without_rule(str(doubt), title) for doubt in pack.doubts if doubt.kind == "loose"]
    if too_long := counts.get(f"cut {name}", 0):
        loose.append(f"{too_long} events have a value that is too long to be found, in a field of this rule")
    if loose:
        return RuleDiagnosis(name, title, "may be wrong", loose)
    if counts.get(f"source {name}") == 0:
        reasons.append("no event of its service was ever seen")
        return RuleDiagnosis(name, title, "no events", reasons)
    return RuleDiagnosis(name, title, "can match", reasons)


def _without_rule(message: str, title: str) -> str:
    return message.removeprefix(f"Rule {title!r}: ")


def _minutes(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
