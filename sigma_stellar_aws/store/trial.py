"""Spread rules over as few queries as a store takes, and find the rules that it refuses."""

from collections.abc import Sequence
from functools import partial
from threading import Event
from typing import NamedTuple

import msgspec
from opensearchpy import OpenSearch, exceptions

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.clause_count import BESIDE, MOST_CLAUSES, clause_count, spread
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.store_profile import Engine
from sigma_stellar_aws.store.answers import SearchAnswer, as_store_errors, read_answer, read_whole, reason
from sigma_stellar_aws.store.at_once import at_once
from sigma_stellar_aws.store.refusals import has_too_many_clauses, refuses_query, root_reason
from sigma_stellar_aws.store.retries import answered

_LONGEST_REASON = 300
_AT_ONCE = 3
_SETTING = "indices.query.bool.max_clause_count"
# Who is only just taken alone would be refused with the bounds of a search. No engine makes these simpler.
_ROOM = [dsl.none_of(dsl.term("_id", f"no event {number}")) for number in range(BESIDE)]


class AcceptedQueries(NamedTuple):
    """What a store takes of rules."""

    queries: list[Clause]
    """All rules that it takes, each in one of these."""
    refused: dict[str, str]
    """Why it does not take the others, by the names of their clauses."""


class _Bool(msgspec.Struct):
    max_clause_count: int | None = None


class _Query(msgspec.Struct):
    bool: _Bool = msgspec.field(default_factory=_Bool)


class _IndicesSettings(msgspec.Struct):
    query: _Query = msgspec.field(default_factory=_Query)


class _Settings(msgspec.Struct):
    indices: _IndicesSettings = msgspec.field(default_factory=_IndicesSettings)


class _ClusterSettings(msgspec.Struct):
    transient: _Settings = msgspec.field(default_factory=_Settings)
    persistent: _Settings = msgspec.field(default_factory=_Settings)
    defaults: _Settings = msgspec.field(default_factory=_Settings)


def accepted_queries(client: OpenSearch, index: str, engine: Engine, clauses: Sequence[Clause]) -> AcceptedQueries:
    """Find out which of some named clauses a store takes, and in how few queries.

    Nothing is searched for: the queries are only prepared, on each part of the data. Where one is refused, its halves
    are tried, down to the single clause.

    Args:
        client: the data store.
        index: name, alias or pattern.
        engine: that of the store.
        clauses: named, each by a name of its own.

    Raises:
        StoreError: the store cannot be asked.
    """
    with as_store_errors(index):
        return _Trial(client, index, most_clauses(client, engine)).run(clauses)


def most_clauses(client: OpenSearch, engine: Engine) -> int:
    """Return how many clauses the store takes in one query; the default where it does not say so.

    Elasticsearch 8 computes it from its memory, does not say it, and never takes fewer than the default.

    Raises:
        GaveUpError: the store did not answer.
    """
    if engine == "elasticsearch":
        return MOST_CLAUSES
    params = {"include_defaults": "true", "filter_path": f"*.{_SETTING}"}
    try:
        answer = answered(lambda: client.cluster.get_settings(params=dict(params)))
    except exceptions.TransportError:
        # Not everybody who may search may see the settings.
        return MOST_CLAUSES
    settings = read_answer(_ClusterSettings, answer, strict=False)
    stated = [each.indices.query.bool.max_clause_count for each in (settings.transient, settings.persistent)]
    stated.append(settings.defaults.indices.query.bool.max_clause_count)
    return next((most for most in stated if most is not None), MOST_CLAUSES)


class _Trial:
    """Tries clauses together, and apart where they are refused."""

    def __init__(self, client: OpenSearch, index: str, most: int) -> None:
        self._client = client
        self._index = index
        self._most = most
        self._refused: dict[str, str] = {}
        self._stopped = Event()

    def run(self, clauses: Sequence[Clause]) -> AcceptedQueries:
        """Try all clauses."""
        groups = spread(clauses, self._most)
        # Most rules are taken: what waits is asked at once.
        refusals = at_once([partial(self._refusal, group) for group in groups], _AT_ONCE, self._stopped)
        groups = [taken for tried in zip(groups, refusals, strict=True) for taken in self._taken(*tried)]
        return AcceptedQueries([dsl.pack(group) for group in groups], self._refused)

    def _taken(self, group: list[Clause], refusal: exceptions.TransportError | None) -> list[list[Clause]]:
        """Return the clauses of a group that are taken, in groups that are taken."""
        if refusal is None:
            return [group]
        if len(group) == 1:
            name, _ = next(iter(dsl.named_clauses(group[0])))
            self._refused[name] = self._words(refusal, group[0])
            return []
        apart = [taken for part in _parts(group) for taken in self._taken(part, self._refusal(part))]
        together = [clause for part in apart for clause in part]
        # Where it was for one of them, the others can still be asked together.
        if len(apart) > 1 and len(together) < len(group) and self._refusal(together) is None:
            return [together]
        return apart

    def _refusal(self, group: list[Clause]) -> exceptions.TransportError | None:
        # Without hits and their number, nothing has to be looked for.
        body: JsonObject = {"query": dsl.all_of([dsl.pack(group), *_ROOM]), "size": 0, "track_total_hits": False}
        params = {"allow_no_indices": "false", "allow_partial_search_results": "false"}
        try:
            answered(
                lambda: read_whole(
                    SearchAnswer, self._client.search(index=self._index, body=body, params=dict(params))
                ),
                stopped=self._stopped,
            )
        except exceptions.TransportError as error:
            if not refuses_query(error):
                raise
            return error
        return None

    def _words(self, refusal: exceptions.TransportError, clause: Clause) -> str:
        if has_too_many_clauses(refusal):
            return (
                f"it has {clause_count(clause):,} conditions, and the store takes {self._most - BESIDE:,} in one "
                f"query, beside {BESIDE} of the search; split it into several rules, or raise {_SETTING} there"
            )
        words = root_reason(refusal) or reason(refusal)
        shown = words if len(words) <= _LONGEST_REASON else f"{words[:_LONGEST_REASON]}..."
        return f"the store refuses its query: {shown}"


def _parts(group: list[Clause]) -> tuple[list[Clause], list[Clause]]:
    """Split clauses in two: those with patterns, the likely culprits, from the others; or else in halves."""
    with_patterns = [clause for clause in group if any(kind == "regexp" for kind, _, _ in dsl.leaves(clause))]
    if 0 < len(with_patterns) < len(group):
        return with_patterns, [clause for clause in group if clause not in with_patterns]
    middle = len(group) // 2
    return group[:middle], group[middle:]
