"""Output formats of the backend: from the search bodies of conditions to packs, rules, monitors and custom rules.

pySigma calls ``finalize_query_<format>`` once for each condition of a rule, and ``finalize_output_<format>`` once with
all that came of it. A rule that cannot be output is handled as one that cannot be converted: with ``collect_errors``
(sigma-cli's ``--skip-unsupported``) it is left out and its error kept, and the others are output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar, cast

from sigma.conversion.base import Backend
from sigma.conversion.state import ConversionState
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from sigma_stellar_aws.backends.options import Options
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import AssumptionWarning, UnsupportedRuleError
from sigma_stellar_aws.formats import lucene_text
from sigma_stellar_aws.formats.converted_correlation import ConvertedCorrelation
from sigma_stellar_aws.formats.converted_rule import ConvertedRule, joined, refusal, tell
from sigma_stellar_aws.formats.correlation_monitor import correlation_monitor
from sigma_stellar_aws.formats.document_monitor import document_monitors, document_query, refuse_other_indices
from sigma_stellar_aws.formats.elastic_correlation import TIEBREAKER, elastic_correlation
from sigma_stellar_aws.formats.elastic_rule import INVESTIGATED, elastic_rule, tell_of_no_suppression
from sigma_stellar_aws.formats.opensearch_detector import detector_rule, tell_of_mapped_fields
from sigma_stellar_aws.formats.opensearch_monitor import SHOWN, bucket_monitor, query_monitor
from sigma_stellar_aws.formats.pipeline_names import PipelineNames, pipeline_names
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.clause_count import MOST_CLAUSES, clause_count, spread
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.rule_files.load import AnyRule
from sigma_stellar_aws.rule_files.stellar_block import rule_name, suppression

AnyConverted: TypeAlias = ConvertedRule | ConvertedCorrelation

Output = TypeVar("Output")
Part = TypeVar("Part")


@dataclass(frozen=True)
class OneCondition(Generic[Part]):
    """What came of one condition of a rule, or of a correlation."""

    number: int
    """Of the condition within its rule, from 0."""
    rule: AnyRule
    part: Part


class OutputFormats(Backend):
    """The output formats, for a backend whose ``finish_query`` makes search bodies."""

    options: Options
    most_clauses: int | None = MOST_CLAUSES
    """Most clauses of one search body of a pack; None for any number."""

    def __init__(self, processing_pipeline: ProcessingPipeline, collect_errors: bool) -> None:
        """Set up a conversion by a pipeline."""
        super().__init__(processing_pipeline, collect_errors)
        self._names: tuple[SigmaRule, PipelineNames] | None = None
        self._counted_fields: dict[str, tuple[str, ...]] = {}
        """The fields that correlations need of a rule's events, by the rule's name."""

    def finalize_query_pack(
        self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState
    ) -> OneCondition[Clause]:
        """Return the clause of a condition, for :meth:`finalize_output_pack`."""
        return OneCondition(index, rule, query_of(query))

    def finalize_output_pack(self, queries: Sequence[OneCondition[Clause] | JsonObject]) -> list[JsonObject]:
        """Return one search body for all rules, several where they have too many clauses for one, none without rules.

        Those of correlations follow. sigma-cli writes each of a list of objects as one line.

        Raises:
            UnsupportedRuleError: two rules have the same name, so that nothing tells which of them a hit belongs to.
        """
        conditions = [query for query in queries if isinstance(query, OneCondition)]
        clauses = [
            same[0] if len(same) == 1 else dsl.named(dsl.any_of(map(dsl.unnamed, same)), name)
            for name, same in self._by_rule(conditions, _same_in_pack).items()
        ]
        packs = [clauses] if self.most_clauses is None else spread(clauses, self.most_clauses)
        if len(packs) > 1:
            tell(_several_bodies(packs), "pack")
        searches = [query for query in queries if not isinstance(query, OneCondition)]
        return [*(dsl.search(dsl.pack(each)) for each in packs if each), *searches]

    def finalize_query_elastic_rule(
        self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState
    ) -> OneCondition[AnyConverted]:
        """Return the rule with one of its conditions, for :meth:`finalize_output_elastic_rule`."""
        return OneCondition(index, rule, self._converted(rule, query, index, state))

    def finalize_output_elastic_rule(self, queries: Sequence[OneCondition[AnyConverted]]) -> list[JsonObject]:
        """Return a line for each rule; sigma-cli writes each of a list of objects as one line."""
        stack, form, enabled = self.options.stack, self.options.query_form, self.options.enabled
        made = self._made(
            queries,
            lambda rule: elastic_rule(rule, stack, form, enabled=enabled),
            lambda correlation: elastic_correlation(correlation, stack, form, enabled=enabled),
        )
        tell_of_no_suppression([rule for rule, _ in made if isinstance(rule.rule, SigmaRule)], stack)
        return [line for _, line in made]

    def finalize_query_opensearch_monitor(
        self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState
    ) -> OneCondition[AnyConverted]:
        """Return the rule with one of its conditions, for :meth:`finalize_output_opensearch_monitor`."""
        return OneCondition(index, rule, self._converted(rule, query, index, state))

    def finalize_output_opensearch_monitor(self, queries: Sequence[OneCondition[AnyConverted]]) -> list[JsonObject]:
        """Return a monitor for each rule, or one for the rules of each severity."""
        channel, enabled = self.options.channel, self.options.enabled
        if self.options.monitor == "document":
            return document_monitors(self._document_queries(queries), channel, enabled=enabled)
        monitor = bucket_monitor if self.options.monitor == "bucket" else query_monitor
        made = self._made(
            queries,
            lambda rule: monitor(rule, channel, enabled=enabled),
            lambda correlation: correlation_monitor(correlation, channel, enabled=enabled),
        )
        return [body for _, body in made]

    def _document_queries(
        self, queries: Sequence[OneCondition[AnyConverted]]
    ) -> list[tuple[ConvertedRule, JsonObject]]:
        """Return the queries of the monitors, whose indices are those of the first rule that can be part of one."""
        indices: list[tuple[str, ...]] = []

        def query(rule: ConvertedRule) -> JsonObject:
            body = document_query(rule)
            if indices:
                refuse_other_indices(rule, indices[0])
            indices.append(rule.indices)
            return body

        return self._made(queries, query, partial(_of_single_events, "a document-level monitor"))

    def finalize_query_opensearch_detector(
        self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState
    ) -> OneCondition[AnyConverted]:
        """Return the rule with one of its conditions, for :meth:`finalize_output_opensearch_detector`."""
        return OneCondition(index, rule, self._converted(rule, query, index, state))

    def finalize_output_opensearch_detector(self, queries: Sequence[OneCondition[AnyConverted]]) -> list[str]:
        """Return a text for each rule."""
        made = self._made(queries, detector_rule, partial(_of_single_events, "a custom rule of Security Analytics"))
        tell_of_mapped_fields([rule for rule, _ in made])
        return [text for _, text in made]

    def _made(
        self,
        queries: Sequence[OneCondition[AnyConverted]],
        make: Callable[[ConvertedRule], Output],
        correlate: Callable[[ConvertedCorrelation], Output],
    ) -> list[tuple[ConvertedRule, Output]]:
        """Make something of each rule and correlation, and leave out those of which nothing can be made."""
        made: list[tuple[ConvertedRule, Output]] = []
        for parts in self._by_rule(queries, _same_elsewhere).values():
            conditions = [part for part in parts if isinstance(part, ConvertedRule)]
            correlations = [part for part in parts if isinstance(part, ConvertedCorrelation)]
            rule = joined(conditions) if conditions else correlations[0].whole
            try:
                made.append((rule, make(rule) if conditions else correlate(correlations[0])))
            except SigmaError as error:
                self._collect(rule.rule, error)
        return made

    def _by_rule(
        self, queries: Sequence[OneCondition[Part]], same_id: Callable[[AnyRule], UnsupportedRuleError]
    ) -> dict[str, list[Part]]:
        """Group what came of the conditions by the rule's name; of rules with the same name, the first counts."""
        by_name: dict[str, tuple[AnyRule, list[Part]]] = {}
        for query in queries:
            first, parts = by_name.setdefault(rule_name(query.rule), (query.rule, []))
            if first is query.rule:
                parts.append(query.part)
            elif query.number == 0:
                self._collect(query.rule, same_id(query.rule))
        return {name: parts for name, (_, parts) in by_name.items()}

    def _collect(self, rule: AnyRule, error: SigmaError) -> None:
        """Keep an error, or raise it, as pySigma does with those of a conversion."""
        if not self.collect_errors:
            raise error
        # pySigma names the type of rules alone; all that is done with the rule is to name it.
        self.errors.append((cast(SigmaRule, rule), error))

    def _converted(self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState) -> ConvertedRule:
        """Return what the formats need of a rule.

        Raises:
            UnsupportedRuleError: the pipelines do not say which index and time field it is for.
        """
        indices, time_field = (state.processing_state.get(key) for key in ("index", "time_field"))
        if not indices or not time_field:
            missing = "time_field" if indices else "index"
            reason = f"no pipeline sets {missing}; use stellar_aws, or one of your own with set_state"
            raise UnsupportedRuleError(rule_of(state), reason, rule.source)
        options, clause, names = self.options, dsl.unnamed(query_of(query)), self._names_for(rule)
        spelled = {name: field for field in lucene_text.SPELLED for name in names.all([field])}
        condition = rule.detection.parsed_condition[index].parsed
        return ConvertedRule(
            rule,
            clause,
            lucene_text.lucene_text(condition, clause, spelled, options.keyword_suffix, options.store),
            (indices,) if isinstance(indices, str) else tuple(indices),
            time_field,
            state.processing_state.get("timestamp_override", time_field),
            names,
            options.keyword_suffix,
            options.store,
            options.accepts_inexact,
        )

    def _names_for(self, rule: SigmaRule) -> PipelineNames:
        """Return the names of fields in the store, once for all conditions of a rule, since this runs its pipelines."""
        if self._names is None or self._names[0] is not rule:
            counted = self._counted_fields.get(rule_name(rule), ())
            asked = [*suppression(rule).fields, *INVESTIGATED, *SHOWN, *lucene_text.SPELLED, TIEBREAKER, *counted]
            self._names = rule, pipeline_names(rule, self.last_processing_pipeline, asked)
        return self._names[1]


def _several_bodies(packs: Sequence[Sequence[Clause]]) -> AssumptionWarning:
    large = [
        name
        for pack in packs
        for clause in pack
        for name, _ in dsl.named_clauses(clause)
        if clause_count(clause) > MOST_CLAUSES
    ]
    alone = f"; more are in the rule {', '.join(large)} alone, which OpenSearch may refuse" if large else ""
    return AssumptionWarning(
        f"the rules are in {len(packs)} search bodies, a line each, all of which have to be asked: OpenSearch takes "
        f"{MOST_CLAUSES:,} clauses in one query{alone}"
    )


def _of_single_events(what: str, converted: ConvertedCorrelation) -> NoReturn:
    """Refuse a correlation where a target looks at one event at a time."""
    converted.whole.refuse(f"{what} looks at one event at a time, and cannot count; sigma-stellar-aws alerts can")


def query_of(body: JsonObject) -> Clause:
    """Return the query of a search body."""
    query = body["query"]
    assert isinstance(query, dict)
    return query


def rule_of(state: ConversionState) -> str:
    """Return the title of the rule that is being converted, which the backend's first pipeline item remembers."""
    title: Any = state.processing_state.get("rule", "?")
    return str(title)


def _same_in_pack(rule: AnyRule) -> UnsupportedRuleError:
    reason = "another rule has the same id; a pack could not tell their hits apart"
    return UnsupportedRuleError(rule_name(rule), reason, rule.source)


def _same_elsewhere(rule: AnyRule) -> UnsupportedRuleError:
    reason = f"another rule has the same id ({rule_name(rule)}), and one would take the place of the other"
    return refusal(rule, reason)
