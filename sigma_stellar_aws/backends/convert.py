"""Convert rules to search bodies for Elasticsearch and OpenSearch."""

import copy

from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query.store_profile import StoreProfile


def convert_each(
    rules: SigmaCollection,
    pipeline: ProcessingPipeline | None = None,
    *,
    case_sensitive: bool = False,
    store: StoreProfile | None = None,
) -> list[JsonObject]:
    """Convert rules to search bodies, one for each rule.

    >>> from pathlib import Path
    >>> from sigma_stellar_aws import load_rules
    >>> [body] = convert_each(load_rules(Path("rules/aws_kms_key_created.yml")), case_sensitive=True)
    >>> for clause in body["query"]["bool"]["filter"]:
    ...     print(clause)
    {'term': {'eventSource': {'value': 'kms.amazonaws.com'}}}
    {'terms': {'eventName': ['CreateKey', 'PutKeyPolicy']}}

    Args:
        rules: see :func:`load_rules`. They are not changed.
        pipeline: what maps fields and names the index; the platform's flattened schema by default.
        case_sensitive: compare texts exactly; Sigma ignores case.
        store: the field types of the data store, as ``sigma-stellar-aws profile`` reads them.

    Raises:
        SigmaError: a rule cannot be converted exactly.
    """
    return _converted(rules, "default", pipeline, case_sensitive, store)


def convert_all(
    rules: SigmaCollection,
    pipeline: ProcessingPipeline | None = None,
    *,
    case_sensitive: bool = False,
    store: StoreProfile | None = None,
) -> JsonObject:
    """Convert rules to one search body that asks for all of them; every hit names the rules that it matches.

    >>> from sigma_stellar_aws import load_rules
    >>> body = convert_all(load_rules())
    >>> len(body["query"]["bool"]["should"])
    29

    The arguments and errors are those of :func:`convert_each`; to have no rules is an error, too, and so are
    correlations, each of which has a search body of its own. OpenSearch takes 1,024 clauses in one query; of more
    rules, the output format ``pack`` of the backend makes several search bodies.
    """
    if any(isinstance(rule, SigmaCorrelationRule) for rule in rules.rules):
        raise SigmaError("a correlation has a search body of its own; convert_each makes it")
    bodies = _converted(rules, "pack", pipeline, case_sensitive, store)
    if not bodies:
        raise SigmaError("there are no rules to convert")
    return bodies[0]


def _converted(
    rules: SigmaCollection,
    output_format: str,
    pipeline: ProcessingPipeline | None,
    case_sensitive: bool,
    store: StoreProfile | None,
) -> list[JsonObject]:
    backend = StellarAwsBackend(pipeline or stellar_aws(), case_sensitive=case_sensitive, store=store)
    backend.most_clauses = None
    # The conversion changes them.
    bodies: list[JsonObject] = backend.convert(copy.deepcopy(rules), output_format)
    return bodies
