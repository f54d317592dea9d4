"""Rules converted to the one query that asks for all of them."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from sigma_stellar_aws import dsl
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.dsl import Clause
from sigma_stellar_aws.errors import InexactQueryWarning
from sigma_stellar_aws.flatten import flat_name
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.rulepack import load_rules, rule_name, severity, suppression
from sigma_stellar_aws.store_profile import StoreProfile


class PackRule(NamedTuple):
    """What is told of a rule when it matches."""

    id: str
    title: str
    severity: int
    author: str


class Pack(NamedTuple):
    """One query in which every rule is a clause, named by the rule's id, and the rules by these names."""

    query: Clause
    rules: Mapping[str, PackRule]
    refused: Sequence[str] = ()
    """Why rules are not part of the query."""
    doubts: Sequence[InexactQueryWarning] = ()
    """In what the query may be wrong."""


def convert_pack(
    rules: SigmaCollection,
    pipeline: ProcessingPipeline,
    *,
    case_sensitive: bool = False,
    store: StoreProfile | None = None,
) -> Pack:
    """Convert rules to a pack; the rules are changed by that, so load them anew to convert them again.

    With a store profile, what the store can answer is converted as well as can be, and the rest is told of.

    Raises:
        SigmaError: a rule cannot be converted, or, with a store profile, no rule can be; or there is none.
    """
    backend = StellarAwsBackend(
        pipeline,
        collect_errors=store is not None,
        case_sensitive=case_sensitive,
        store=store,
        inexact="refuse" if store is None else "warn",
    )
    known = {
        rule_name(rule): PackRule(rule_name(rule), rule.title, severity(rule), rule.author or "")
        for rule in rules.rules
        if isinstance(rule, SigmaRule)
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bodies = backend.convert(rules, "pack")
    refused = [str(error) for _, error in backend.errors]
    if not bodies:
        raise SigmaError("; ".join(refused) or "there are no rules to convert")
    doubts = [warning.message for warning in caught if isinstance(warning.message, InexactQueryWarning)]
    return Pack(cast(Clause, bodies[0]["query"]), known, refused, doubts)


def pack_fields() -> set[str]:
    """Flattened names of all fields that the rules of this project test, published or corrected, or suppress by."""
    names: set[str] = set()
    for pipeline in (stellar_aws(), stellar_aws_published()):
        rules = load_rules()
        names.update(flat_name(field) for rule in rules.rules for field in suppression(cast(SigmaRule, rule)).fields)
        names.update(dsl.fields(convert_pack(rules, pipeline).query))
    return names
