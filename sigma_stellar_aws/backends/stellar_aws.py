"""pySigma backend for native Query DSL of Elasticsearch (7.17+) and OpenSearch (2+): how conditions are converted.

What becomes of converted conditions is in ``backends.outputs``, and what options may be in ``backends.options``.

Three things here are due to pySigma. A condition is converted without its rule in sight, so the first item of the
pipeline leaves the rule's title in the state, where errors and warnings find it. pySigma declares one abstract method
for each kind of correlation, which are in ``backends.correlations``. And ``convert_condition`` may return None for a
part that the pipelines dropped, so parts are converted by pySigma's own method and the whole by ours.
"""

import warnings
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Literal, NoReturn, TypeAlias, TypeVar

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.conversion.state import ConversionState
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations.base import PreprocessingTransformation
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from sigma_stellar_aws.backends.asked_fields import ask_field, keyword_of
from sigma_stellar_aws.backends.correlations import Correlations
from sigma_stellar_aws.backends.options import read_options
from sigma_stellar_aws.backends.outputs import rule_of
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.regex_tree import UnsupportedRegexError
from sigma_stellar_aws.base.sigma_errors import InexactQueryWarning, UnsupportedConditionError, UnsupportedRuleError
from sigma_stellar_aws.pipelines.transformations import ASKS_SEVERAL_FIELDS, RefuseMisreadings, RefuseMisreadModifiers
from sigma_stellar_aws.query import dsl, lucene_regex
from sigma_stellar_aws.query.dsl import Clause, FieldRelation
from sigma_stellar_aws.query.questions import (
    Ask,
    Boolean,
    Comparison,
    FieldQuery,
    Network,
    NoQueryError,
    Number,
    Pattern,
    Present,
    Text,
)
from sigma_stellar_aws.query.store_profile import StoreProfile
from sigma_stellar_aws.reference.flat_schema import ANY_FIELD, object_around, stands_for_several
from sigma_stellar_aws.rule_files.filter_selections import own_filters
from sigma_stellar_aws.rule_files.load import AnyRule
from sigma_stellar_aws.rule_files.stellar_block import rule_name

FieldCondition: TypeAlias = ConditionFieldEqualsValueExpression
AnyCondition: TypeAlias = ConditionItem | ConditionFieldEqualsValueExpression | ConditionValueExpression

ValueType = TypeVar("ValueType")

# From here on not every whole number has a floating point number of its own, which is what pySigma keeps.
_FIRST_INEXACT = 2**53
_EXACT_DIGITS = 15
_RANGE_OPERATORS: dict[CompareOperators, Literal["gt", "gte", "lt", "lte"]] = {
    CompareOperators.GT: "gt",
    CompareOperators.GTE: "gte",
    CompareOperators.LT: "lt",
    CompareOperators.LTE: "lte",
}

# pySigma notes |startswith and |endswith of a reference, and |contains as both.
_RELATIONS: dict[tuple[bool, bool], FieldRelation] = {
    (False, False): "is",
    (True, False): "startswith",
    (False, True): "endswith",
    (True, True): "contains",
}


@dataclass
class _RememberRule(PreprocessingTransformation):
    """Keeps the rule's title where the conversion of a condition can name it in an error, and says what we can ask.

    Also gives each rule selections of its own: pySigma puts the same ones of a filter into every rule, and their fields
    would be renamed once for each.
    """

    def apply(self, rule: AnyRule) -> None:
        super().apply(rule)
        if isinstance(rule, SigmaRule):
            own_filters(rule.detection)
        if self._pipeline is not None:
            self._pipeline.state[ASKS_SEVERAL_FIELDS] = True
            self._pipeline.state["rule"] = rule.title or str(rule.id)
            self._pipeline.state["file"] = str(rule.source.path) if rule.source else "sigma"


class StellarAwsBackend(Correlations):
    """Converts Sigma rules to Query DSL.

    With a store profile, every condition is asked as the type of its field demands. Without, every field is taken for a
    keyword field, as the index template of this project makes them. Every condition is converted exactly or refused
    with :class:`UnsupportedConditionError`.
    """

    name: ClassVar[str] = "Elasticsearch/OpenSearch Query DSL for CloudTrail (Stellar Cyber AWS rules)"
    identifier: ClassVar[str] = "stellar_aws"
    formats: ClassVar[dict[str, str]] = {
        "default": "One search body a rule, the rule's id as the name of its query",
        "pack": "One search body for all rules, or a few if they are very many; every rule a named clause",
        "elastic_rule": "Detection rules for Elastic Security, NDJSON for Kibana's import",
        "opensearch_monitor": "Monitors of OpenSearch Alerting",
        "opensearch_detector": "Custom rules of OpenSearch Security Analytics, category cloudtrail",
    }
    requires_pipeline: ClassVar[bool] = False
    searches_files: bool = False
    """Whether the query is evaluated in process, which can look at any field and compare fields without a script."""
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
        scripts: bool | str = False,
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
                one for the rules of each severity.
            channel: of ``opensearch_monitor``, the id of a notification channel that gets a message for each alert.
            enabled: of rules and monitors, whether they run once they are there.
            scripts: compare two fields (``|fieldref``) by a script, which many clusters forbid.

        Raises:
            TypeError: an option has a value that it cannot have, or the file is not a store profile.
        """
        super().__init__(_first() + (processing_pipeline or ProcessingPipeline()), collect_errors)
        self.options = read_options(
            case_sensitive, keyword_suffix, store, inexact, stack, query, monitor, channel, enabled, scripts
        )

    def convert_condition(self, cond: AnyCondition | None, state: ConversionState) -> Clause:
        """Convert the whole condition of a rule.

        Raises:
            UnsupportedConditionError: a part cannot be converted exactly.
            UnsupportedRuleError: the pipelines dropped all of it.
        """
        clause: Clause | None = super().convert_condition(cond, state)
        if clause is None:
            raise UnsupportedRuleError(rule_of(state), "its pipelines dropped every condition")
        return clause

    def convert_condition_field_eq_val(self, cond: FieldCondition, state: ConversionState) -> Clause | None:
        """Convert a condition on one field, by the type of its value."""
        if "*" in cond.field and not stands_for_several(cond.field):
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
        """Convert a list like an OR: ``any_of`` joins exact values to ``terms``."""
        return dsl.any_of(self._arguments(cond, state))

    def convert_condition_field_eq_val_str(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare text without regard to case, unless the backend is case-sensitive."""
        return self._text(cond, state, case_insensitive=not self.options.case_sensitive)

    def convert_condition_field_eq_val_str_case_sensitive(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare text exactly (modifier cased)."""
        return self._text(cond, state, case_insensitive=False)

    def convert_condition_field_eq_val_num(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare with a number."""
        return self._clause(cond, state, Number(self._number(cond, state, _value(cond, SigmaNumber))))

    def convert_condition_field_eq_val_bool(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare with a typed boolean."""
        return self._clause(cond, state, Boolean(_value(cond, SigmaBool).boolean))

    def convert_condition_field_eq_val_re(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Search for a regular expression."""
        value = _value(cond, SigmaRegularExpression)
        if value.contains_placeholder():
            self._refuse(cond, state, _unresolved(value.regexp))
        try:
            pattern, ignore_case = lucene_regex.translate(
                str(value.regexp),
                ignore_case=SigmaRegularExpressionFlag.IGNORECASE in value.flags,
                multiline=SigmaRegularExpressionFlag.MULTILINE in value.flags,
                dot_all=SigmaRegularExpressionFlag.DOTALL in value.flags,
            )
        except UnsupportedRegexError as error:
            self._refuse(cond, state, f"the regular expression {str(value.regexp)!r} {error}")
        return self._clause(cond, state, Pattern(pattern, ignore_case))

    def convert_condition_field_eq_val_cidr(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Match the addresses of a network."""
        return self._clause(cond, state, Network(_value(cond, SigmaCIDRExpression).network))

    def convert_condition_field_compare_op_val(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare numbers."""
        value = _value(cond, SigmaCompareExpression)
        number = self._number(cond, state, value.number)
        if value.op == CompareOperators.NEQ:
            return dsl.none_of(self._clause(cond, state, Number(number)))
        return self._clause(cond, state, Comparison(_RANGE_OPERATORS[value.op], number))

    def convert_condition_field_eq_val_null(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Match documents without a value in the field."""
        return dsl.none_of(self._clause(cond, state, Present()))

    def convert_condition_field_exists(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Match documents with a value in the field."""
        return self._clause(cond, state, Present())

    convert_condition_field_not_exists = convert_condition_field_eq_val_null

    def convert_condition_field_eq_val_timestamp_part(self, cond: FieldCondition, state: ConversionState) -> NoReturn:
        """Refuse parts of a time."""
        part = _value(cond, SigmaTimestampPart).timestamp_part.name.lower()
        self._refuse(cond, state, f"the {part} of a time can only be asked for with a script")

    def convert_condition_field_eq_field(self, cond: FieldCondition, state: ConversionState) -> Clause:
        """Compare with the values of another field, by a script."""
        if not self.options.scripts and not self.searches_files:
            reason = "two fields can only be compared with a script, which many clusters forbid"
            self._refuse(cond, state, f"{reason}: scripts=true, or --scripts")
        reference = _value(cond, SigmaFieldReference)
        how = _RELATIONS[reference.starts_with, reference.ends_with]
        try:
            (one, doubts), (other, more) = (keyword_of(name, self.options) for name in (cond.field, reference.field))
        except NoQueryError as error:
            self._refuse(cond, state, str(error))
        clause = dsl.compare_fields(one, other, how, ignore_case=not self.options.case_sensitive)
        return self._accepted(cond, state, FieldQuery(clause, (*doubts, *more)))

    def convert_condition_field_eq_expansion(self, cond: FieldCondition, state: ConversionState) -> Clause | None:
        """Match any of the values that a modifier made of one, which pySigma cannot do where two modifiers did so."""
        values = _value(cond, SigmaExpansion).values
        return self.convert_condition_or(ConditionOR([FieldCondition(cond.field, value) for value in values]), state)

    def convert_condition_field_eq_query_expr(self, cond: FieldCondition, state: ConversionState) -> NoReturn:
        """Refuse ready-made query texts."""
        self._refuse(cond, state, "a query expression of a pipeline is text, and Query DSL is not made of text")

    def convert_condition_val(self, cond: ConditionValueExpression, state: ConversionState) -> Clause:
        """Search for a keyword in all values of an event."""
        value = cond.value
        if isinstance(value, SigmaExpansion):
            return dsl.any_of(
                self.convert_condition_val(ConditionValueExpression(each), state) for each in value.values
            )
        anywhere = FieldCondition(ANY_FIELD, value)
        anywhere.source = getattr(cond, "source", None)
        if isinstance(value, SigmaRegularExpression):
            return self.convert_condition_field_eq_val_re(anywhere, state)
        if isinstance(value, SigmaNumber | SigmaBool) and not isinstance(value, SigmaTimestampPart):
            value = SigmaString(str(value).lower())
        if not isinstance(value, SigmaString):
            self._refuse(cond, state, "a search without a field takes texts, numbers and patterns; name the field")
        if value.contains_placeholder():
            self._refuse(cond, state, _unresolved(value))
        exactly = self.options.case_sensitive or isinstance(value, SigmaCasedString)
        parts = (None, *map(_text_part, value.s), None)
        return self._clause(anywhere, state, Text(parts, not exactly))

    convert_condition_val_str = convert_condition_val
    convert_condition_val_num = convert_condition_val
    convert_condition_val_re = convert_condition_val
    convert_condition_query_expr = convert_condition_val

    def finish_query(self, rule: AnyRule, query: Clause, state: ConversionState) -> JsonObject:
        """Return the search body of one condition, named after its rule."""
        return dsl.search(dsl.named(query, rule_name(rule)))

    def _arguments(self, cond: ConditionItem, state: ConversionState) -> list[Clause]:
        # Not by our own convert_condition, since a part may be dropped as long as something of the whole is left.
        clauses = (super(StellarAwsBackend, self).convert_condition(argument, state) for argument in cond.args)
        return [clause for clause in clauses if clause is not None]

    def _number(self, cond: FieldCondition, state: ConversionState, number: SigmaNumber) -> int | float:
        value = number.number
        digits = Decimal(str(value)).normalize().as_tuple().digits
        if abs(value) >= _FIRST_INEXACT or (isinstance(value, float) and len(digits) > _EXACT_DIGITS):
            self._refuse(cond, state, "pySigma rounds a number of so many digits; write it as a string, in quotes")
        return value

    def _text(self, cond: FieldCondition, state: ConversionState, *, case_insensitive: bool) -> Clause:
        value = _value(cond, SigmaString)
        if value.contains_placeholder():
            self._refuse(cond, state, _unresolved(value))
        text = Text(tuple(map(_text_part, value.s)), case_insensitive)
        anything = bool(text.parts) and all(part is None for part in text.parts)
        return self._clause(cond, state, Present() if anything else text)

    def _clause(self, cond: FieldCondition, state: ConversionState, ask: Ask) -> Clause:
        try:
            query = ask_field(cond.field, ask, self.options, state.processing_state, searches_files=self.searches_files)
        except NoQueryError as error:
            self._refuse(cond, state, str(error))
        return self._accepted(cond, state, query)

    def _accepted(self, cond: FieldCondition, state: ConversionState, query: FieldQuery) -> Clause:
        for kind, reason in query.doubts:
            if not self.options.accepts_inexact:
                self._refuse(cond, state, f"{reason} (inexact=warn, or --inexact, converts it all the same)")
            warning = InexactQueryWarning(rule_of(state), cond.field, kind, reason)
            # Shown as coming from the rule, not from here.
            warnings.warn_explicit(warning, None, state.processing_state.get("file", "sigma"), 1)
        return query.clause

    def _refuse(self, cond: FieldCondition | ConditionValueExpression, state: ConversionState, reason: str) -> NoReturn:
        field = cond.field if isinstance(cond, ConditionFieldEqualsValueExpression) else None
        if field is not None and stands_for_several(field):
            field = object_around(field) or None
        raise UnsupportedConditionError(rule_of(state), field, reason, getattr(cond, "source", None))


def _first() -> ProcessingPipeline:
    """Return the pipeline that runs before those of the user."""
    return ProcessingPipeline(
        [
            ProcessingItem(_RememberRule(), identifier="stellar_aws_remember_rule"),
            ProcessingItem(RefuseMisreadings(), identifier="stellar_aws_refuse_misreadings"),
            ProcessingItem(RefuseMisreadModifiers(), identifier="stellar_aws_refuse_misread_modifiers"),
        ]
    )


def _value(cond: FieldCondition, kind: type[ValueType]) -> ValueType:
    """Return the value of a condition, which pySigma passes to the method for its type."""
    assert isinstance(cond.value, kind)
    return cond.value


def _text_part(part: str | SpecialChars | Placeholder) -> str | Literal[1] | None:
    if isinstance(part, str):
        return part
    return None if part == SpecialChars.WILDCARD_MULTI else 1


def _unresolved(value: SigmaString) -> str:
    names = ", ".join(f"%{part.name}%" for part in value.s if isinstance(part, Placeholder))
    return f"the placeholder {names} has no values; add a pipeline that sets them (value_placeholders)"
