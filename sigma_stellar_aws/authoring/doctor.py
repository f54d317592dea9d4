"""Whether rules can match in a data store: what its mapping and its data say of each. It reads, never writes."""

import sys
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Literal, NamedTuple

from opensearchpy import OpenSearch
from rich.text import Text
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.pack import Pack, convert_pack
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.terminal import print_table, table_of
from sigma_stellar_aws.base.text import printable
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.by_field_type import cut_values
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import StoreProfile
from sigma_stellar_aws.rule_files.stellar_block import rule_name
from sigma_stellar_aws.store.mapping import Counted, count_each

Verdict = Literal["can match", "no events", "may be wrong", "cannot match"]

_AHEAD = timedelta(minutes=5)
"""How far clocks may differ."""

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
    packs = [_accepted(client, profile, _converted(rule, profile, time_field)) for rule in rules.rules]
    # By number, since two rules may have the same id.
    questions = {
        f"{kind} {number}": clause
        for number, pack in enumerate(packs)
        if isinstance(pack, Pack)
        for kind, clause in _questions(pack.query, profile).items()
    }
    undated = profile.no_time(time_field)
    counted = count_each(client, profile.indices, questions, None if undated else time_field)
    return Diagnosis(
        counted.events,
        counted.newest,
        _problems(profile, time_field, undated, since, counted),
        [
            _diagnosis(rule, pack, counted.counts.get(f"cut {number}"), counted.counts.get(f"source {number}"))
            for number, (rule, pack) in enumerate(zip(rules.rules, packs, strict=True))
        ],
    )


def diagnosis_as_json(profile: StoreProfile, diagnosis: Diagnosis) -> JsonObject:
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
        pipeline = stellar_aws(profile.indices, time_field, flattened=profile.flattened)
        return convert_pack(SigmaCollection([rule]), pipeline, store=profile)
    except SigmaError as error:
        return error


def _accepted(client: OpenSearch, profile: StoreProfile, pack: Pack | SigmaError) -> Pack | SigmaError:
    """The same, or why the server takes no such query: a regular expression may be too much for it."""
    if isinstance(pack, SigmaError):
        return pack
    try:
        count_each(client, profile.indices, {"query": pack.query})
    except StoreError as error:
        return SigmaError(str(error))
    return pack


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


def _problems(profile: StoreProfile, time_field: str, undated: str, since: datetime, counted: Counted) -> list[str]:
    if not counted.events:
        return [f"{profile.indices} holds no events"]
    if undated:
        return [undated]
    if counted.newest is None:
        return [f"no event has a time in {time_field!r}"]
    if counted.newest < since:
        return [f"no event since {_minutes(since)}; the newest is of {_minutes(counted.newest)}"]
    if counted.newest > datetime.now(timezone.utc) + _AHEAD:
        return [f"the newest event is of {_minutes(counted.newest)}, which is still to come"]
    return []


def _diagnosis(
    rule: SigmaRule | SigmaCorrelationRule, pack: Pack | SigmaError, cut: int | None, of_service: int | None
) -> RuleDiagnosis:
    def diagnosis(verdict: Verdict, reasons: Iterable[str]) -> RuleDiagnosis:
        return RuleDiagnosis(rule_name(rule), rule.title, verdict, list(dict.fromkeys(reasons)))

    if isinstance(pack, SigmaError):
        return diagnosis("cannot match", [_without_rule(str(pack.args[0]), rule.title)])
    missing, too_long, wrong = (
        [f"field {doubt.field!r}: {doubt.reason}" for doubt in pack.doubts if doubt.kind == kind]
        for kind in ("missing", "cut", "loose")
    )
    if not dsl.can_match(pack.query, {doubt.field for doubt in pack.doubts if doubt.kind == "missing"}):
        return diagnosis("cannot match", missing)
    if cut:
        wrong.append(f"{cut} events have a value that is too long to be found, in a field of this rule")
    elif cut is None and too_long:
        wrong += [*too_long, "this store does not tell whether there are such values"]
    if wrong:
        return diagnosis("may be wrong", wrong)
    if of_service == 0:
        return diagnosis("no events", [*missing, *too_long, "no event of its service was ever seen"])
    return diagnosis("can match", [*missing, *too_long])


def _without_rule(message: str, title: str) -> str:
    return message.removeprefix(f"Rule {title!r}: ")


def _minutes(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
