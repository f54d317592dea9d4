"""A converted rule with all that the formats say of it."""

import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaLevel

from sigma_stellar_aws.base.sigma_errors import InexactQueryWarning, UnsupportedRuleError
from sigma_stellar_aws.formats import lucene_text
from sigma_stellar_aws.formats.lucene_text import MOST_CONDITIONS, LuceneText
from sigma_stellar_aws.formats.pipeline_names import PipelineNames
from sigma_stellar_aws.pipelines.transformations import OBJECTS
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.index_template import IGNORE_ABOVE
from sigma_stellar_aws.query.store_profile import OBJECTS_OF_KEYWORDS, Engine, MappedField, StoreProfile
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS, is_known, nearest_field
from sigma_stellar_aws.rule_files.load import AnyRule
from sigma_stellar_aws.rule_files.stated_correlation import stated_correlation
from sigma_stellar_aws.rule_files.stellar_block import (
    SEVERITY_OF_LEVEL,
    Suppression,
    correlation_window,
    rule_name,
    severity,
    suppression,
)

MARK = "sigma-stellar-aws"
"""The tag that says that this project made an artefact."""

# A level reaches up to the severity of the next, as the validator of severities has it.
_LEVELS = sorted(SEVERITY_OF_LEVEL.items(), key=lambda pair: -pair[1])
_GROUPABLE = frozenset(
    {
        *("keyword", "constant_keyword", "wildcard", "flattened", "ip", "boolean"),
        *("byte", "short", "integer", "long", "unsigned_long", "half_float", "float", "scaled_float", "double"),
    }
)
_DATES = frozenset({"date", "date_nanos"})
# The table has no length of an ARN. That of an IAM user is the longest: its path has up to 512 characters, its name 64
# (IAM API reference, User).
_LONGEST = {**{name: field.longest for name, field in FIELDS.items()}, "userIdentity.arn": 640}


class _Grouping(NamedTuple):
    """What is reported about a field that a store cannot group by."""

    what: str
    cure: str
    cut: str
    """What becomes of events whose values are too long to be indexed."""


_SUPPRESSED = _Grouping(
    "alerts are suppressed by", "name others under stellar: suppression: fields", "are taken for the same"
)
_COUNTED = _Grouping("it groups or counts by", "name another field", "are not counted")


class ConvertedRule(NamedTuple):
    """A rule, or one condition of it, as its artefacts need it."""

    rule: AnyRule
    clause: Clause
    """The native query, without a name; ``query`` where it is sent to a server."""
    lucene: LuceneText
    indices: tuple[str, ...]
    time_field: str
    new_by: str
    """The field by which Kibana tells which events are new."""
    names: PipelineNames
    keyword_suffix: str
    store: StoreProfile | None
    accepts_inexact: bool
    """Whether what the store cannot do exactly is told (:class:`InexactQueryWarning`) instead of refused."""

    @property
    def severity(self) -> int:
        """From 0 to 100."""
        return severity(self.rule)

    @property
    def level(self) -> SigmaLevel:
        """The level that the severity stands for: the highest whose own severity (``SEVERITY_OF_LEVEL``) it reaches."""
        return next((level for level, least in _LEVELS if self.severity >= least), SigmaLevel.INFORMATIONAL)

    @property
    def id(self) -> str:
        """The rule's id.

        Raises:
            UnsupportedRuleError: it has none and could not be found again to be updated.
        """
        if self.rule.id is None:
            self.refuse("it has no id, by which what was made of it is found again; give it one (a UUID)")
        return str(self.rule.id)

    @property
    def title(self) -> str:
        """The rule's title.

        Raises:
            UnsupportedRuleError: it has none, which no target takes.
        """
        if not self.rule.title.strip():
            self.refuse("it has no title, which is the name of what is made of it")
        return self.rule.title

    @property
    def query(self) -> Clause:
        """The native query, as servers take it.

        Raises:
            UnsupportedRuleError: it has more conditions than they take.
        """
        conditions = sum(1 for _ in dsl.leaves(self.clause))
        if conditions > MOST_CONDITIONS:
            self.refuse(
                f"its query has {conditions} conditions, and engines take {MOST_CONDITIONS}; a list of texts is one "
                "condition where case matters (|cased, or case_sensitive=true)"
            )
        return self.clause

    @property
    def tags(self) -> list[str]:
        """Our own tag, and those of the rule as it has them."""
        return list(dict.fromkeys([MARK, *map(str, self.rule.tags)]))

    @property
    def suppression(self) -> Suppression:
        """How its alerts are suppressed: those of a correlation by what it groups by, as it is written there.

        Raises:
            RuleBlockError: the block says something that cannot be understood.
        """
        if isinstance(self.rule, SigmaCorrelationRule):
            return Suppression(correlation_window(self.rule), stated_correlation(self.rule).group_by)
        return suppression(self.rule)

    def refuse(self, reason: str) -> NoReturn:
        """Refuse the rule.

        Raises:
            UnsupportedRuleError: always.
        """
        raise refusal(self.rule, reason)

    def refuse_other_engine(self, engine: Engine) -> None:
        """Check that the store, where it is known, is of this engine.

        Raises:
            UnsupportedRuleError: it is of the other one.
        """
        if self.store is not None and self.store.engine != engine:
            self.refuse(
                f"this is for {engine}, and the store profile of {self.store.indices} is of {self.store.engine}"
            )

    def refuse_without_time(self) -> None:
        """Check that the time field is a date, where the store is known.

        Raises:
            UnsupportedRuleError: it is not a date, and a search limited to a time span would find nothing.
        """
        if self.is_date(self.time_field):
            return
        assert self.store is not None
        kinds = sorted({field.type for field in self.store.mappings(self.time_field)})
        what = f"is not a date ({', '.join(kinds)})" if kinds else "does not exist"
        self.refuse(
            f"the time field {self.time_field!r} {what} in {self.store.indices}; name the one of this store: "
            "--time-field NAME, or time_field in the state of a pipeline"
        )

    def is_date(self, name: str) -> bool:
        """Tell whether a field is a date in all indices; true where the store is not known."""
        if self.store is None:
            return True
        kinds = {field.type for field in self.store.mappings(name)}
        return bool(kinds) and kinds <= _DATES


def refusal(rule: AnyRule, reason: str) -> UnsupportedRuleError:
    """Return the error for a rule that a format cannot hold."""
    hint = " (sigma convert leaves such rules out with --skip-unsupported)"
    return UnsupportedRuleError(rule.title.strip() or rule_name(rule), reason, rule.source, hint)


def tell(warning: Warning, output_format: str) -> None:
    """Warn, shown as coming from the format, not from its module."""
    warnings.warn_explicit(warning, None, output_format, 1)


def joined(conditions: Sequence[ConvertedRule]) -> ConvertedRule:
    """Return one converted rule for all conditions of a rule, at least one, any of which makes it match."""
    if len(conditions) == 1:
        return conditions[0]
    return conditions[0]._replace(
        clause=dsl.any_of(part.clause for part in conditions),
        lucene=lucene_text.any_text_of([part.lucene for part in conditions]),
    )


def group_fields(converted: ConvertedRule, fields: Iterable[str]) -> list[str]:
    """Return the fields of the store by which alerts can be grouped, for CloudTrail fields.

    Raises:
        UnsupportedRuleError: there is no such field, the pipelines have no name for it, or the store cannot group by
            it. Events in which it is missing are alike, so that one alert would stand for all.
    """
    found = (name for field in fields for name in _grouped(converted, field, _SUPPRESSED))
    return list(dict.fromkeys(found))


def counted_fields(converted: ConvertedRule, fields: Iterable[str]) -> tuple[str, ...]:
    """Return, for each of the CloudTrail fields that a correlation groups or counts by, the one field of the store.

    Raises:
        UnsupportedRuleError: there is none, the store cannot group by it, or the pipelines make several of it.
    """
    found: list[str] = []
    for field in fields:
        names = _grouped(converted, field, _COUNTED)
        if len(names) > 1:
            converted.refuse(f"{_COUNTED.what} {field!r}, of which the pipelines make {', '.join(names)}")
        found += names
    return tuple(found)


def _grouped(converted: ConvertedRule, field: str, grouping: _Grouping) -> list[str]:
    if reason := _no_group(converted, field):
        converted.refuse(f"{grouping.what} {field!r}, {reason}; {grouping.cure}")
    return [_group_field(converted, field, name, grouping) for name in converted.names.by_field[field]]


def _no_group(converted: ConvertedRule, field: str) -> str:
    if not is_known(field):
        hint = f" (did you mean {name}?)" if (name := nearest_field(field)) else ""
        return f"which CloudTrail records do not have{hint}"
    if field in OBJECTS:
        return "which is an object; only a field inside it has values to tell events apart"
    return "" if converted.names.by_field.get(field) else "which the pipelines leave without a name"


def _group_field(converted: ConvertedRule, field: str, name: str, grouping: _Grouping) -> str:
    if converted.store is None:
        return name + converted.keyword_suffix
    mappings = [
        {exact.name: exact for exact in (mapped, *mapped.subfields) if _is_groupable(exact)}
        for mapped in converted.store.mappings(name)
    ]
    common = set.intersection(*map(set, mappings)) if mappings else set()
    if not common:
        reason = "cannot group by" if mappings else "does not have"
        converted.refuse(
            f"{grouping.what} the field {name!r}, which {converted.store.indices} {reason}; {grouping.cure}"
        )
    kept = {each: min(_longest_kept(mapping[each]) for mapping in mappings) for each in common}
    longest = min(_LONGEST.get(field) or IGNORE_ABOVE, IGNORE_ABOVE)
    best = min(common, key=lambda each: (kept[each] < longest, len(each)))
    if kept[best] < longest:
        reason = (
            f"{grouping.what} it, and values over {kept[best]} characters are not indexed in {best}, so "
            f"events with such values {grouping.cut}"
        )
        if not converted.accepts_inexact:
            converted.refuse(f"field {name!r}: {reason}; {grouping.cure}, or say inexact=warn, or --inexact")
        tell(InexactQueryWarning(converted.title, name, "cut", reason), "sigma")
    return best


def _is_groupable(field: MappedField) -> bool:
    if field.type in OBJECTS_OF_KEYWORDS and not field.inside:
        return False
    return field.type in _GROUPABLE and field.doc_values and not field.ignore_malformed


def _longest_kept(field: MappedField) -> int:
    return IGNORE_ABOVE if field.ignore_above is None else field.ignore_above
