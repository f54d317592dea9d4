"""Rules converted to the one query that asks for all of them."""

from collections.abc import Mapping
from typing import NamedTuple, cast

from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from sigma_stellar_aws import dsl
from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.dsl import Clause
from sigma_stellar_aws.flatten import flat_name
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.rulepack import load_rules, rule_name, severity, suppression


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


def convert_pack(
    rules: SigmaCollection,
    pipeline: ProcessingPipeline,
    *,
    case_sensitive: bool = False,
    keyword_suffix: str = "",
) -> Pack:
    """Convert rules to a pack; the rules are changed by that, so load them anew to convert them again.

    Raises:
        SigmaError: a rule cannot be converted, or there is none.
    """
    backend = StellarAwsBackend(pipeline, case_sensitive=case_sensitive, keyword_suffix=keyword_suffix)
    known = {
        rule_name(rule): PackRule(rule_name(rule), rule.title, severity(rule), rule.author or "")
        for rule in rules.rules
        if isinstance(rule, SigmaRule)
    }
    bodies = backend.convert(rules, "pack")
    if not bodies:
        raise SigmaError("there are no rules to convert")
    return Pack(cast(Clause, bodies[0]["query"]), known)


def pack_fields() -> set[str]:
    """Flattened names of all fields that the rules of this project test, published or corrected, or suppress by."""
    names: set[str] = set()
    for pipeline in (stellar_aws(), stellar_aws_published()):
        rules = load_rules()
        names.update(flat_name(field) for rule in rules.rules for field in suppression(cast(SigmaRule, rule)).fields)
        names.update(dsl.fields(convert_pack(rules, pipeline).query))
    return names
