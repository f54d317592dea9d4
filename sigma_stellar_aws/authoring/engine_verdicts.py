"""Ask a real engine whether rules match their sample events. Needs the extra ``store``."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from opensearchpy import OpenSearch, OpenSearchException
from opensearchpy.helpers import bulk

from sigma_stellar_aws.authoring.rule_tests import Trial
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.text import plural
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.logs.problem import Problem
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.store.answers import answered_engine
from sigma_stellar_aws.store.load import create_index
from sigma_stellar_aws.store.new_fields import field_mapper
from sigma_stellar_aws.store.scan import scan
from sigma_stellar_aws.store.trial import accepted_queries

_CASE_FIELD = "sigma_stellar_aws_case"


class EngineVerdicts(NamedTuple):
    """What an engine says of trials."""

    matched: list[bool | None]
    """Whether each rule matches its event; None where the engine refuses the rule."""
    refused: list[Problem]
    """Why it does."""


def ask_engine(client: OpenSearch, trials: Sequence[Trial]) -> EngineVerdicts:
    """Ask a real engine whether each rule matches its event, in a temporary index.

    Raises:
        StoreError: the engine cannot be asked, or does not take an event.
    """
    index = f"sigma-stellar-aws-test-{uuid.uuid4().hex}"
    # A correlation is followed in process, whatever finds its events.
    rules = {str(id(trial.rule)): trial.rule for trial in trials if trial.rule.together is None}
    # Two rules may have the same id.
    clauses = [dsl.named(rule.query, key) for key, rule in rules.items()]
    create_index(client, index, [_CASE_FIELD, *(f for rule in rules.values() for f in dsl.fields(rule.query))])
    try:
        # Not by `load`, which keeps one event of each eventID: sample events are often edited copies.
        documents = [
            {**flatten(trial.case.event), _CASE_FIELD: str(number)}
            for number, trial in enumerate(trials)
            if trial.rule.together is None
        ]
        field_mapper(client, index)({name for document in documents for name in document})
        actions = [{"_index": index, "_source": document} for document in documents]
        _, rejected = bulk(client, actions, refresh=True, raise_on_error=False)
        if isinstance(rejected, list) and rejected:
            raise StoreError(f"the engine rejected {plural(len(rejected), 'event')}: {rejected}")
        accepted = accepted_queries(client, index, answered_engine(client)[0], clauses)
        found = {
            (key, str(hit.source[_CASE_FIELD]))
            for query in accepted.queries
            for hit in scan(client, index, query, [_CASE_FIELD], time_field=None)
            for key in hit.matched_queries
        }
    except OpenSearchException as error:
        raise StoreError(f"the engine rejected the events: {error}") from error
    finally:
        try:
            client.indices.delete(index=index, ignore=404)
        except OpenSearchException as error:
            raise StoreError(f"the index {index} could not be removed; please remove it yourself: {error}") from error
    refused = accepted.refused
    matched = [
        None if str(id(trial.rule)) in refused or trial.rule.together else (str(id(trial.rule)), str(number)) in found
        for number, trial in enumerate(trials)
    ]
    problems = [Problem(rules[key].file, 1, f"{rules[key].rule.title}: {reason}") for key, reason in refused.items()]
    return EngineVerdicts(matched, problems)
