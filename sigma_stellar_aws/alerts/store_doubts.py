"""What a data store cannot answer for rules, or not exactly."""

from collections.abc import Sequence
from typing import NamedTuple

from opensearchpy import OpenSearch

from sigma_stellar_aws.alerts.pack_rule import Pack
from sigma_stellar_aws.alerts.stored_documents import key_fields, told_apart_otherwise
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.cut_values import cut_values
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Layout, StoreProfile
from sigma_stellar_aws.store.mapping import closed_indices, count_each

# Each record has the field; and how such names are called.
_LAYOUTS: dict[Layout, tuple[str, str]] = {
    "flattened": ("userIdentity_type", "flattened names"),
    "dotted": ("userIdentity.type", "CloudTrail's own names"),
    "ecs": ("aws.cloudtrail.event_type", "the names of Elastic's AWS integration"),
}


class StoreDoubts(NamedTuple):
    """What is to be said before a search."""

    problems: Sequence[str]
    """Events that match may be missed."""
    notes: Sequence[str]
    """What is worth knowing, but not a problem."""


def check_that_rules_can_match(profile: StoreProfile, pack: Pack) -> None:
    """Refuse a search that can find nothing.

    Raises:
        StoreError: the store lacks fields without which no rule can match.
    """
    missing = _missing_fields(pack)
    if not dsl.can_match(pack.query, missing):
        raise StoreError(f"no rule can match in {profile.indices}: it has no field {', '.join(missing)}")


def store_doubts(client: OpenSearch, profile: StoreProfile, pack: Pack) -> StoreDoubts:
    """Find out what a store cannot answer for the rules, or not exactly.

    Raises:
        StoreError: the store cannot be asked.
    """
    problems = [str(doubt) for doubt in pack.doubts if doubt.kind == "loose"] + kept_otherwise(client, profile)
    notes = [*_missing_notes(profile, pack), *_key_notes(profile, pack)]
    for found in (_cut_values(client, profile, pack), _closed(client, profile)):
        problems += found.problems
        notes += found.notes
    return StoreDoubts(problems, notes)


def kept_otherwise(client: OpenSearch, profile: StoreProfile) -> list[str]:
    """Say how many events of a store rules may miss, since they are kept under other names than the rest.

    The mapping alone does not tell: that of Filebeat has the names of all its modules, whether they are used or not.

    Raises:
        StoreError: the store cannot be asked.
    """
    others = profile.other_layouts
    if not others:
        return []
    here, names_here = _LAYOUTS[profile.layout]
    asked: dict[str, Clause] = {
        other: dsl.all_of([dsl.exists(_LAYOUTS[other][0]), dsl.none_of(dsl.exists(here))]) for other in others
    }
    counts = count_each(client, profile.indices, asked).counts
    return [
        f"rules may miss {plural(counts[other], 'event')} of {profile.indices}, kept under {_LAYOUTS[other][1]} and "
        f"searched by {names_here}, as others are kept; name indices of one kind at a time"
        for other in others
        if counts[other]
    ]


def _missing_fields(pack: Pack) -> list[str]:
    return sorted({doubt.field for doubt in pack.doubts if doubt.kind == "missing"})


def _missing_notes(profile: StoreProfile, pack: Pack) -> list[str]:
    missing = _missing_fields(pack)
    if not missing:
        return []
    clauses = [clause for _, clause in dsl.named_clauses(pack.query)]
    dead = sum(not dsl.can_match(clause, missing) for clause in clauses)
    return [f"{profile.indices} has no field {', '.join(missing)}; {dead} of {len(clauses)} rules cannot match there"]


def _key_notes(profile: StoreProfile, pack: Pack) -> list[str]:
    """Say which alerts may hold other events than those of CloudTrail's own records."""
    if profile.layout != "ecs":
        return []
    return [
        f"alerts are told apart by {field}, which Elastic's AWS integration does not keep as it was ({why}); exact are "
        "events that have event.original"
        for field, why in told_apart_otherwise(key_fields(pack)).items()
    ]


def _cut_values(client: OpenSearch, profile: StoreProfile, pack: Pack) -> StoreDoubts:
    """Count the events with values that are too long to be found, where the engine keeps count."""
    problems: list[str] = []
    notes: list[str] = []
    cut = cut_values(profile.all_mappings(), dsl.fields(pack.query), profile.engine)
    if cut is not None and (events := count_each(client, profile.indices, {"cut": cut}).counts["cut"]):
        problems.append(
            f"values too long to be found, in a field of the rules, in {plural(events, 'event')} of {profile.indices}"
        )
    for reason in dict.fromkeys(doubt.reason for doubt in pack.doubts if doubt.kind == "cut"):
        if cut is None:
            problems.append(f"{reason}; this store does not say whether there are any")
        elif profile.engine != "elasticsearch":
            notes.append(f"{reason}; OpenSearch does not report all such values")
    return StoreDoubts(problems, notes)


def _closed(client: OpenSearch, profile: StoreProfile) -> StoreDoubts:
    closed = closed_indices(client, profile.indices)
    if not closed:
        return StoreDoubts([], [])
    indices = plural(len(closed), "index", "indices")
    return StoreDoubts([f"not searched, since closed: {indices}, {', '.join(closed)}"], [])
