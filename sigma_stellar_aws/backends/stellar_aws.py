"""pySigma backend for native Query DSL of Elasticsearch (7.17+) and OpenSearch (2+)."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias, TypeVar, cast

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.conversion.base import Backend
from sigma.conversion.state import ConversionState
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations.base import PreprocessingTransformation
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExpansion,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import (
    InexactQueryWarning,
    StoreProfileError,
    UnsupportedConditionError,
    UnsupportedRuleError,
)
from sigma_stellar_aws.base.text import did_you_mean
from sigma_stellar_aws.formats import lucene_text
from sigma_stellar_aws.formats.converted_rule import ConvertedRule, merged
from sigma_stellar_aws.formats.elastic_rule import INVESTIGATED, QueryForm, elastic_rules, stack_version
from sigma_stellar_aws.formats.opensearch_detector import detector_rules
from sigma_stellar_aws.formats.opensearch_monitor import (
    SHOWN,
    MonitorKind,
    bucket_monitor,
    document_monitor,
    query_monitor,
)
from sigma_stellar_aws.formats.pipeline_names import names
from sigma_stellar_aws.pipelines.transformations import RefuseMisreadings, RefuseMisreadModifiers
from sigma_stellar_aws.query import dsl, lucene_regex
from sigma_stellar_aws.query.by_field_type import field_query
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.questions import (
    UNTYPED,
    Ask,
    Boolean,
    Comparison,
    Doubt,
    FieldQuery,
    Network,
    NoQueryError,
    Number,
    Pattern,
    Present,
    Text,
)
from sigma_stellar_aws.query.store_profile import Field, StoreProfile, read_profile
from sigma_stellar_aws.rule_files.stellar_block import rule_name, suppression

FieldCondition: TypeAlias = ConditionFieldEqualsValueExpression
AnyCondition: TypeAlias = ConditionItem | ConditionFieldEqualsValueExpression | ConditionValueExpression
AnyRule: TypeAlias = SigmaRule | SigmaCorrelationRule
NamedSearch: TypeAlias = tuple[int, JsonObject]
"""The number of a condition within its rule, and its search body."""
NumberedRule: TypeAlias = tuple[int, ConvertedRule]
"""The number of a condition within its rule, and the rule with that condition alone."""

Chosen = TypeVar("Chosen")
Made = TypeVar("Made", JsonObject, str)

# From here on not every whole number has a floating point number of its own, which is what pySigma keeps.
_FIRST_INEXACT = 2**53
_EXACT_DIGITS = 15
_RANGE_OPERATORS: dict[CompareOperators, Literal["gt", "gte", "lt", "lte"]] = {
    CompareOperators.GT: "gt",
    CompareOperators.GTE: "gte",
    CompareOperators.LT: "lt",
    CompareOperators.LTE: "lte",
}


@dataclass
class _RememberRule(PreprocessingTransformation):
    """Keeps the rule's title where the conversion of a condition can name it in an error."""

    def apply(self, rule: AnyRule) -> None:
        super().apply(rule)
        if self._pipeline is not None:
            self._pipeline.state["rule"] = rule.title or str(rule.id)
            self._pipeline.state["file"] = str(rule.source.path) if rule.source else "sigma"


class StellarAwsBackend(Backend):
    """Converts Sigma rules to Query DSL.

    With a store profile, every condition is asked as the type of its field demands. Without, every field is taken for a
    keyword field, as the index template of this project makes them. Every condition is converted exactly or refused
    with :class:`UnsupportedConditionError`.
    """

    name: ClassVar[str] = "Elasticsearch/OpenSearch Query DSL for CloudTrail (Stellar Cyber AWS rules)"
    identifier: ClassVar[str] = "stellar_aws"
    formats: ClassVar[dict[str, str]] = {
        "default": "One search body a rule, the rule's id as the name of its query",
        "pack": "One search body for all rules, every rule a named clause",
        "elastic_rule": "Detection rules for Elastic Security, NDJSON for Kibana's import",
        "opensearch_monitor": "Monitors of OpenSearch Alerting",
        "opensearch_detector": "Custom rules of OpenSearch Security Analytics, category cloudtrail",
    }
    requires_pipeline: ClassVar[bool] = False
    # A rule that a correlation refers to is output like any other.
    finalize_correlation_subqueries = True

    def __init__(
        self,
        processing_pipeline: ProcessingPipeline | None = None,
        collect_errors: bool = False,
        case_sensitive: bool | str = False,
        keyword_suffix: str = "",
        store: StoreProfile | str | None = None,
        inexact: str = "refuse",
        stack: str | int | None = None,
        query: str = "auto",
        monitor: str = "query",
        channel: str = "",
        enabled: bool | str = False,
    ) -> None:
        """Set up a conversion.

        Args:
            processing_pipeline: the pipeline to apply to each rule.
            collect_errors: keep errors in ``errors`` instead of raising them.
            case_sensitive: compare texts exactly, as the platform does, instead of ignoring case, as Sigma does.
            keyword_suffix: name of the sub-field that holds the exact text of a field, such as ``.keyword`` under
                default dynamic mapping; numbers, booleans, ``exists`` and ranges then use the field itself.
            store: profile of the data store, or the path of a file that holds it.
            inexact: what becomes of a condition that the data store cannot answer exactly: ``refuse`` it, or ``warn``
                (:class:`InexactQueryWarning`) and convert it as well as can be.
            stack: of ``elastic_rule``, the version of Kibana, such as ``7.17``, ``8.x``, ``8.19``; by default that of
                the store, else the newest.
            query: of ``elastic_rule``, the form of the query: ``lucene`` text, a ``dsl`` filter, or ``auto``, the text
                where it is exact.
            monitor: of ``opensearch_monitor``, the kind: ``query`` or ``bucket``, one for each rule, or ``document``,
                one for all rules.
            channel: of ``opensearch_monitor``, the id of a notification channel that is told of alerts.
            enabled: of rules and monitors, whether they run once they are there.

        Raises:
            TypeError: an option has a value that it cannot have, or the file is no store profile.
        """
        super().__init__(_first() + (processing_pipeline or ProcessingPipeline()), collect_errors)
        self.case_sensitive = _flag("case_sensitive", case_sensitive)
        # sigma-cli turns an option's text into a number where it can.
        self.keyword_suffix = str(keyword_suffix)
        self.store = _profile(store)
        if self.store is not None and self.keyword_suffix:
            raise TypeError("'keyword_suffix (a store profile knows the sub-fields)' is not an option beside store")
        self.accepts_inexact = _choice("inexact", inexact, {"refuse": False, "warn": True})
        try:
            self.stack = None if stack is None else stack_version(stack)
        except ValueError as error:
            raise TypeError(f"'stack={stack} ({error})' is not an option of this backend") from error
        self.query: QueryForm = _choice("query", query, {"auto": "auto", "lucene": "lucene", "dsl": "dsl"})
        self.monitor: MonitorKind = _choice(
            "monitor", monitor, {"query": "query", "bucket": "bucket", "document": "document"}
        )
        self.channel = str(channel)
        self.enabled = _flag("enabled", enabled)

    def convert_condition(self, cond: AnyCondition | None, state: ConversionState) -> Clause:
        """Convert the whole condition of a rule.

        Raises:
            UnsupportedConditionError: a part cannot be converted exactly.
            UnsupportedRuleError: the pipelines dropped all of it.
        """
        clause: Clause | None = super().convert_condition(cond, state)
        if clause is None:
            raise UnsupportedRuleError(_rule(state), "its pipelines dropped every condition")
        return clause

    def convert_condition_field_eq_val(self, cond: FieldCondition, state: ConversionState) -> Clause | None:
        """Convert a condition on one field, by the type of its value."""
        if "*" in cond.field:
            self._refuse(cond, state, "a name with * stands for several fields; name each of them")
        clause: Clause | None = super().convert_condition_field_eq_val(cond, state)
        return clause

    def convert_condition_or(self, cond: ConditionOR, state: ConversionState) -> Clause | None:
        """Match what any argument matches."""
        clauses = self._arguments(cond, state)
        return dsl.any_of(clauses) if clauses else None

    def convert_condition_and(self, cond: ConditionAND, state: ConversionState) -> Clause | None:
        """Match what all arguments match."""
        clauses = self._arguments(cond, state)
        return dsl.all_of(clauses) if clauses else None

    def convert_condition_not(self, cond: ConditionNOT, state: ConversionState) -> Clause | None:
        """Match what the argument does not match."""
        clauses = self._arguments(cond, state)
        return dsl.none_of(clauses[0]) if clauses else None

    def convert_condition_as_in_expression(self, cond: ConditionOR | ConditionAND, state: ConversionState) -> Clause:
        """Lists need no form of their own: ``any_of`` joins exact values to ``terms``."""
        return dsl.any_of(self._arguments(cond, state))

    def convert_condition_field_eq_val_str(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare text without regard to case, unless the backend is case-sensitive."""
        return self._text(cond, state, case_insensitive=not self.case_sensitive)

    def convert_condition_field_eq_val_str_case_sensitive(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare text exactly (modifier cased)."""
        return self._text(cond, state, case_insensitive=False)

    def convert_condition_field_eq_val_num(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare with a number."""
        return self._query(cond, state, Number(self._number(cond, state, cast(SigmaNumber, cond.value))))

    def convert_condition_field_eq_val_bool(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare with a typed boolean."""
        return self._query(cond, state, Boolean(cast(SigmaBool, cond.value).boolean))

    def convert_condition_field_eq_val_re(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Search for a regular expression."""
        value = cast(SigmaRegularExpression, cond.value)
        if value.contains_placeholder():
            self._refuse(cond, state, _unresolved(value.regexp))
        try:
            pattern, ignore_case = lucene_regex.translate(
                str(value.regexp),
                ignore_case=SigmaRegularExpressionFlag.IGNORECASE in value.flags,
                multiline=SigmaRegularExpressionFlag.MULTILINE in value.flags,
                dot_all=SigmaRegularExpressionFlag.DOTALL in value.flags,
            )
        except lucene_regex.UnsupportedRegexError as error:
            self._refuse(cond, state, f"the regular expression {str(value.regexp)!r} {error}")
        return self._query(cond, state, Pattern(pattern, ignore_case))

    def convert_condition_field_eq_val_cidr(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Match the addresses of a network."""
        return self._query(cond, state, Network(cast(SigmaCIDRExpression, cond.value).network))

    def convert_condition_field_compare_op_val(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare numbers."""
        value = cast(SigmaCompareExpression, cond.value)
        number = self._number(cond, state, value.number)
        if value.op == CompareOperators.NEQ:
            return dsl.none_of(self._query(cond, state, Number(number)))
        return self._query(cond, state, Comparison(_RANGE_OPERATORS[value.op], number))

    def convert_condition_field_eq_val_null(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Match documents without a value in the field."""
        return dsl.none_of(self._query(cond, state, Present()))

    def convert_condition_field_exists(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Match documents with a value in the field."""
        return self._query(cond, state, Present())

    convert_condition_field_not_exists = convert_condition_field_eq_val_null

    def convert_condition_field_eq_val_timestamp_part(self, cond: FieldCondition, state: ConversionState) -> NoReturn:
        """Refuse parts of a time."""
        part = cast(SigmaTimestampPart, cond.value).timestamp_part.name.lower()
        self._refuse(cond, state, f"the {part} of a time can only be asked for with a script")

    def convert_condition_field_eq_field(self, cond: FieldCondition, state: ConversionState) -> NoReturn:
        """Refuse references to other fields."""
        self._refuse(cond, state, "two fields can only be compared with a script, which many clusters forbid")

    def convert_condition_field_eq_expansion(self, cond: FieldCondition, state: ConversionState) -> Clause | None:
        """Match any of the values that a modifier made of one, which pySigma cannot do where two modifiers did so."""
        values = cast(SigmaExpansion, cond.value).values
        return self.convert_condition_or(ConditionOR([FieldCondition(cond.field, value) for value in values]), state)

    def convert_condition_field_eq_query_expr(self, cond: FieldCondition, state: ConversionState) -> NoReturn:
        """Refuse ready-made query texts."""
        self._refuse(cond, state, "a query expression of a pipeline is text, and Query DSL is not made of text")

    def convert_condition_val(self, cond: ConditionValueExpression, state: ConversionState) -> NoReturn:
        """Refuse keywords, whatever the type of their value."""
        self._refuse(cond, state, "flattened documents have no text of the whole event; name the field to search in")

    convert_condition_val_str = convert_condition_val
    convert_condition_val_num = convert_condition_val
    convert_condition_val_re = convert_condition_val
    convert_condition_query_expr = convert_condition_val

    def convert_correlation_rule(
        self,
        rule: SigmaCorrelationRule,
        output_format: str | None = None,
        method: str | None = None,
        callback: Callable[[AnyRule, str | None, int, Any, Any], Any] | None = None,
    ) -> list[JsonObject]:
        """Refuse correlations, in a way that ``sigma convert --skip-unsupported`` can skip."""
        error = UnsupportedRuleError(
            rule.title or str(rule.id), "a correlation counts events, which one search cannot", rule.source
        )
        if not self.collect_errors:
            raise error
        self.errors.append((cast(SigmaRule, rule), error))
        return []

    def _no_correlation(
        self, rule: SigmaCorrelationRule, output_format: str | None = None, method: str = "default"
    ) -> list[JsonObject]:
        return self.convert_correlation_rule(rule)

    convert_correlation_event_count_rule = _no_correlation
    convert_correlation_value_count_rule = _no_correlation
    convert_correlation_value_sum_rule = _no_correlation
    convert_correlation_value_avg_rule = _no_correlation
    convert_correlation_value_percentile_rule = _no_correlation
    convert_correlation_value_median_rule = _no_correlation
    convert_correlation_temporal_rule = _no_correlation
    convert_correlation_temporal_ordered_rule = _no_correlation
    convert_correlation_extended_temporal_rule = _no_correlation
    convert_correlation_extended_temporal_ordered_rule = _no_correlation

    def finish_query(self, rule: AnyRule, query: Clause, state: ConversionState) -> JsonObject:
        """The search body of one condition, named after its rule."""
        return dsl.search(dsl.named(query, rule_name(rule)))

    def finalize_query_pack(
        self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState
    ) -> NamedSearch:
        """The search body with its number within the rule, for :meth:`finalize_output_pack`."""
        return index, query

    def finalize_output_pack(self, queries: Sequence[NamedSearch]) -> list[JsonObject]:
        """One search body for all rules, or none without rules.

        A list, since sigma-cli writes a single dict to standard output whatever ``-o`` says.

        Raises:
            UnsupportedRuleError: two rules have the same name, so that a hit could not be told to one of them.
        """
        conditions: dict[str, list[Clause]] = {}
        for index, body in queries:
            clause = cast(Clause, body["query"])
            name = cast(str, cast(JsonObject, clause["bool"])["_name"])
            if index == 0 and name in conditions:
                raise UnsupportedRuleError(name, "another rule has the same id; a pack could not tell their hits apart")
            conditions.setdefault(name, []).append(clause)
        clauses = [
            same[0] if len(same) == 1 else dsl.named(dsl.any_of(map(dsl.unnamed, same)), name)
            for name, same in conditions.items()
        ]
        return [dsl.search(dsl.pack(clauses))] if clauses else []

    def finalize_query_elastic_rule(
        self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState
    ) -> NumberedRule:
        """The rule with one of its conditions, for :meth:`finalize_output_elastic_rule`."""
        return index, self._converted(rule, query, index, state)

    def finalize_output_elastic_rule(self, rules: Sequence[NumberedRule]) -> list[JsonObject]:
        """A line for each rule; sigma-cli writes each of a list of objects as one line."""
        return self._made(rules, self._elastic_rules)

    def finalize_query_opensearch_monitor(
        self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState
    ) -> NumberedRule:
        """The rule with one of its conditions, for :meth:`finalize_output_opensearch_monitor`."""
        return index, self._converted(rule, query, index, state)

    def finalize_output_opensearch_monitor(self, rules: Sequence[NumberedRule]) -> list[JsonObject]:
        """A monitor for each rule, or one for all."""
        return self._made(rules, self._monitors)

    def finalize_query_opensearch_detector(
        self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState
    ) -> NumberedRule:
        """The rule with one of its conditions, for :meth:`finalize_output_opensearch_detector`."""
        return index, self._converted(rule, query, index, state)

    def finalize_output_opensearch_detector(self, rules: Sequence[NumberedRule]) -> list[str]:
        """A text for each rule."""
        return self._made(rules, detector_rules)

    def _elastic_rules(self, rules: Sequence[ConvertedRule]) -> list[JsonObject]:
        return elastic_rules(rules, self.stack, self.query, enabled=self.enabled)

    def _monitors(self, rules: Sequence[ConvertedRule]) -> list[JsonObject]:
        if self.monitor == "document":
            return [document_monitor(rules, self.channel, enabled=self.enabled)] if rules else []
        of_rule = bucket_monitor if self.monitor == "bucket" else query_monitor
        return [of_rule(rule, self.channel, enabled=self.enabled) for rule in rules]

    def _made(self, rules: Sequence[NumberedRule], make: Callable[[Sequence[ConvertedRule]], list[Made]]) -> list[Made]:
        """What is made of the rules that can be made."""
        return make([converted for converted in merged(rules) if self._can_be_made(converted, make)])

    def _can_be_made(
        self, converted: ConvertedRule, make: Callable[[Sequence[ConvertedRule]], Sequence[object]]
    ) -> bool:
        try:
            with warnings.catch_warnings():
                # They come when all rules are made.
                warnings.simplefilter("ignore")
                make([converted])
        except SigmaError as error:
            if not self.collect_errors:
                raise
            self.errors.append((converted.rule, error))
            return False
        return True

    def _converted(self, rule: SigmaRule, query: JsonObject, index: int, state: ConversionState) -> ConvertedRule:
        """What the formats need of a rule.

        Raises:
            UnsupportedRuleError: the pipelines do not say which index and time field it is for.
        """
        indices, time_field = (state.processing_state.get(key) for key in ("index", "time_field"))
        if not indices or not time_field:
            missing = "time_field" if indices else "index"
            reason = f"no pipeline sets {missing}; use stellar_aws, or one of your own with set_state"
            raise UnsupportedRuleError(_rule(state), reason, rule.source)
        clause = dsl.unnamed(cast(Clause, query["query"]))
        asked = [*suppression(rule).fields, *INVESTIGATED, *SHOWN, *lucene_text.SPELLED]
        named = names(rule, self.last_processing_pipeline, asked)
        spelled = {name: field for field in lucene_text.SPELLED for name in named.all([field])}
        condition = rule.detection.parsed_condition[index].parsed
        return ConvertedRule(
            rule,
            clause,
            lucene_text.lucene_text(condition, clause, spelled, self.keyword_suffix, self.store),
            (indices,) if isinstance(indices, str) else tuple(indices),
            time_field,
            state.processing_state.get("timestamp_override", time_field),
            named,
            self.keyword_suffix,
            self.store,
            self.accepts_inexact,
        )

    def _arguments(self, cond: ConditionItem, state: ConversionState) -> list[Clause]:
        # Not by our own convert_condition, since a part may be dropped as long as something of the whole is left.
        clauses = (super(StellarAwsBackend, self).convert_condition(argument, state) for argument in cond.args)
        return [clause for clause in clauses if clause is not None]

    def _number(self, cond: FieldCondition, state: ConversionState, number: SigmaNumber) -> int | float:
        value = number.number
        digits = Decimal(str(value)).normalize().as_tuple().digits
        if abs(value) >= _FIRST_INEXACT or (isinstance(value, float) and len(digits) > _EXACT_DIGITS):
            self._refuse(cond, state, "pySigma rounds a number of so many digits; write it as a text, in quotes")
        return value

    def _text(self, cond: FieldCondition, state: ConversionState, *, case_insensitive: bool) -> Clause:
        value = cast(SigmaString, cond.value)
        if value.contains_placeholder():
            self._refuse(cond, state, _unresolved(value))
        text = Text(tuple(map(_text_part, value.s)), case_insensitive)
        anything = bool(text.parts) and all(part is None for part in text.parts)
        return self._query(cond, state, Present() if anything else text)

    def _query(self, cond: FieldCondition, state: ConversionState, ask: Ask) -> Clause:
        try:
            query = self._field_query(cond.field, ask, state)
        except NoQueryError as error:
            self._refuse(cond, state, str(error))
        for kind, reason in query.doubts:
            if not self.accepts_inexact:
                self._refuse(cond, state, f"{reason} (inexact=warn converts it all the same)")
            warning = InexactQueryWarning(_rule(state), cond.field, kind, reason)
            # Shown as coming from the rule, not from here.
            warnings.warn_explicit(warning, None, state.processing_state.get("file", "sigma"), 1)
        return query.clause

    def _field_query(self, name: str, ask: Ask, state: ConversionState) -> FieldQuery:
        if self.store is None:
            return field_query(ask, [self._assumed(name, state)])
        if mappings := self.store.mappings(name):
            return field_query(ask, mappings, self.store.engine)
        reason = f"{self.store.indices} has no such field{did_you_mean(self.store.nearest(name))}"
        as_keyword = field_query(ask, [Field(name, "keyword")])
        return FieldQuery(as_keyword.clause, (Doubt("missing", reason),))

    def _assumed(self, name: str, state: ConversionState) -> Field:
        """How a field is mapped where no store profile tells."""
        if name == state.processing_state.get("time_field"):
            return Field(name, "date")
        if self.keyword_suffix:
            return Field(name, UNTYPED, subfields=(Field(name + self.keyword_suffix, "keyword"),))
        return Field(name, "keyword")

    def _refuse(self, cond: FieldCondition | ConditionValueExpression, state: ConversionState, reason: str) -> NoReturn:
        field = cond.field if isinstance(cond, ConditionFieldEqualsValueExpression) else None
        raise UnsupportedConditionError(_rule(state), field, reason, getattr(cond, "source", None))


def _first() -> ProcessingPipeline:
    """What comes before the pipelines of the user."""
    return ProcessingPipeline(
        [
            ProcessingItem(_RememberRule(), identifier="stellar_aws_remember_rule"),
            ProcessingItem(RefuseMisreadings(), identifier="stellar_aws_refuse_misreadings"),
            ProcessingItem(RefuseMisreadModifiers(), identifier="stellar_aws_refuse_misread_modifiers"),
        ]
    )


def _rule(state: ConversionState) -> str:
    return cast(str, state.processing_state.get("rule", "?"))


def _flag(option: str, value: bool | str) -> bool:
    return _choice(option, str(value).lower(), {"true": True, "false": False})


def _choice(option: str, value: str, choices: dict[str, Chosen]) -> Chosen:
    if value not in choices:
        # sigma-cli shows what stands in quotes as the option that is not supported.
        raise TypeError(f"'{option}={value} (write {' or '.join(choices)})' is not an option of this backend")
    return choices[value]


def _profile(store: StoreProfile | str | None) -> StoreProfile | None:
    if store is None or isinstance(store, StoreProfile):
        return store
    try:
        # sigma-cli turns the name of a file into a number where it can.
        return read_profile(Path(str(store)))
    except StoreProfileError as error:
        reason = str(error).replace("'", '"').replace("\n", " ")
        raise TypeError(f"'store ({reason})' is not an option of this backend") from error


def _text_part(part: str | SpecialChars | Placeholder) -> str | Literal[1] | None:
    if isinstance(part, str):
        return part
    return None if part == SpecialChars.WILDCARD_MULTI else 1


def _unresolved(value: SigmaString) -> str:
    names = ", ".join(f"%{part.name}%" for part in value.s if isinstance(part, Placeholder))
    return f"the placeholder {names} has no values; add a pipeline that sets them (value_placeholders)"
