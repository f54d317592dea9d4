"""Detection rules of Elastic Security, as lines that Kibana imports.

Facts: the import schema of Kibana's detection engine and the schemas of its rules from 7.8 to 9.5. Nothing that a user
decides is in a line: actions, exceptions. A rule is found again by its ``rule_id``, which is the id of the Sigma rule.

The query is Lucene text where that says exactly what the rule does (``formats.lucene``). Else it is a filter of Query
DSL beside an empty query, which stands for every event (``luceneStringToDsl`` in Kibana's es-query), so that the filter
alone decides. Kibana joins both for rules as for searches, and drops no filter for a field that an index does not have.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.sigma_errors import LeftOutWarning
from sigma_stellar_aws.formats import elastic_labels as labels
from sigma_stellar_aws.formats.converted_rule import ConvertedRule, group_fields, tell
from sigma_stellar_aws.formats.elastic_threat import threat

QueryForm = Literal["auto", "lucene", "dsl"]
"""Which of the two a query is to be: the text where it is exact, always the text (or a refusal), always a filter."""


class Stack(NamedTuple):
    """Version of Kibana."""

    major: int
    minor: int

    def __str__(self) -> str:
        """Write it as people do."""
        return f"{self.major}.{self.minor}"


NEWEST_MINOR: Mapping[int, int] = MappingProxyType({7: 17, 8: 19, 9: 5})
"""The newest minor version of each major one; 7.17 is also the oldest version that these rules are for."""

DEFAULT_STACK = "9.x"

SINCE: Mapping[str, Stack] = MappingProxyType(
    {
        # 8.6, but without a window of time.
        "alert_suppression": Stack(8, 7),
        "alert_suppression.missing_fields_strategy": Stack(8, 13),
        "investigation_fields": Stack(8, 11),
        "related_integrations": Stack(8, 15),
        "required_fields": Stack(8, 15),
        "version": Stack(8, 16),
    }
)
"""Keys that not every version knows, and the first that does."""

ATTACK_19 = Stack(9, 5)
"""The first version that goes by ATT&CK 19; those before it have Defense Evasion."""

BANDS: Sequence[tuple[int, str]] = ((74, "critical"), (48, "high"), (22, "medium"), (0, "low"))
"""Elastic's names for a ``risk_score``, each from a least value on; a risk of 50 is high there, and medium in Sigma."""

RULE_INTERVAL = "5m"
LOOK_BACK = timedelta(minutes=30)
"""CloudTrail delivers within 15 minutes as a rule. What a rule has seen before makes no second alert."""

INVESTIGATED = ("eventName", "eventSource", "userIdentity.arn", "sourceIPAddress", "recipientAccountId", "awsRegion")
"""CloudTrail fields that an analyst sees first."""

MOST_GROUP_FIELDS = 3
"""By which alerts can be suppressed."""

MOST_NAMES = 20
"""Names that may be inside each other in the parameters of a rule: they are one ``flattened`` field."""

_WITH_NEWEST = 9
_LEFT_OUT_IF_EMPTY = ("related_integrations", "required_fields", "alert_suppression")
_VERSION = re.compile(r"(?P<major>\d+)(?:\.(?P<minor>\d+|x)(?:\.\d+)?)?")


def stack_version(text: str | int) -> Stack:
    """Read a version such as 7.17, 8.x or 9.1.3; ``8.x`` and ``8`` are the newest of the eighth.

    Args:
        text: the version; also as a whole number, since sigma-cli turns options into such numbers where it can.

    Raises:
        ValueError: rules cannot be made for such a version; the message says why.
    """
    match = _VERSION.fullmatch(str(text))
    if match is None or int(match["major"]) not in NEWEST_MINOR:
        raise ValueError("write 7.17, 8.x, 9.x or a version such as 8.19")
    major, minor = int(match["major"]), match["minor"]
    stack = Stack(major, NEWEST_MINOR[major] if minor in (None, "x") else int(minor))
    if stack < Stack(7, 17):
        raise ValueError("7.17 is the oldest version")
    return stack


def elastic_rule(converted: ConvertedRule, stack: Stack | None, query: QueryForm, *, enabled: bool) -> JsonObject:
    """Return a rule as an import line.

    What a version of Kibana cannot hold of it is left out with a warning (:class:`LeftOutWarning`).

    Args:
        converted: the rule.
        stack: version of Kibana, which does not get keys that it does not know; None for that of the store, else the
            newest.
        query: form of the query.
        enabled: whether the rule runs once it is imported.

    Raises:
        UnsupportedRuleError: the rule cannot be such a rule; the message says why.
    """
    known = stack or stack_of(converted)
    asked: JsonObject = {"type": "query", **query_of_rule(converted, query)}
    return import_line(converted, known, asked, _suppression(converted, known), LOOK_BACK, enabled=enabled)


def tell_of_no_suppression(rules: Sequence[ConvertedRule], stack: Stack | None) -> None:
    """Warn (:class:`LeftOutWarning`) if a version of Kibana that rules are for has no alert suppression."""
    since = SINCE["alert_suppression"]
    for older in sorted({stack or stack_of(converted) for converted in rules}):
        if older < since:
            text = f"Kibana {older} knows no alert suppression (since {since}): there every event makes an alert"
            tell(LeftOutWarning(text), "elastic_rule")


def stack_of(converted: ConvertedRule) -> Stack:
    """Return the version of Kibana that goes with the store of a rule, where that is known, else the newest.

    Raises:
        UnsupportedRuleError: the store is of a version that rules cannot be made for.
    """
    if converted.store is None or converted.store.engine != "elasticsearch":
        return stack_version(DEFAULT_STACK)
    version = converted.store.version
    try:
        return stack_version(version)
    except ValueError as error:
        converted.refuse(f"its store is Elasticsearch {version} ({error}); name the version of Kibana: stack=VERSION")


def import_line(
    converted: ConvertedRule,
    stack: Stack,
    asked: JsonObject,
    suppressed: JsonObject | None,
    look_back: timedelta,
    *,
    enabled: bool,
) -> JsonObject:
    """Return the import line of a rule of any type.

    Args:
        converted: the rule, or a correlation.
        stack: version of Kibana.
        asked: the type of the rule, and what it asks for.
        suppressed: its ``alert_suppression``, if it has one.
        look_back: how far back each run looks.
        enabled: whether the rule runs once it is imported.

    Raises:
        UnsupportedRuleError: the rule has no id or title, or is not for this store.
    """
    converted.refuse_other_engine("elasticsearch")
    converted.refuse_without_time()
    rule, title = converted.rule, converted.title
    tree, guide = _threat(converted, stack), labels.investigation_guide(converted)
    line: JsonObject = {
        "rule_id": converted.id,
        "name": title,
        "description": rule.description or title,
        "author": [*_authors(rule.author or "")],
        "risk_score": converted.severity,
        "severity": severity_of_risk(converted.severity),
        "enabled": enabled,
        **asked,
        "index": [*converted.indices],
        "interval": RULE_INTERVAL,
        "from": f"now-{_seconds_or_minutes(look_back)}",
        "to": "now",
        "timestamp_override": _timestamp_override(converted),
        "max_signals": 100,
        "tags": [*labels.tags(converted, _tactics(tree), has_guide=bool(guide))],
        "references": [*rule.references],
        "false_positives": [*rule.falsepositives],
        "threat": [*tree],
        "version": _version(rule.modified or rule.date),
        "alert_suppression": suppressed,
        "related_integrations": [*labels.related_integrations(converted, newest=stack.major >= _WITH_NEWEST)],
        "required_fields": [*labels.required_fields(converted)],
    }
    if guide:
        line["note"] = guide
    if rule.license:
        line["license"] = rule.license
    if shown := _shown(converted):
        line["investigation_fields"] = {"field_names": [*shown]}
    kept = {key: value for key, value in line.items() if stack >= SINCE.get(key, stack)}
    return {key: value for key, value in kept.items() if value or key not in _LEFT_OUT_IF_EMPTY}


def severity_of_risk(risk: int) -> str:
    """Return Elastic's name of a risk score.

    >>> [severity_of_risk(risk) for risk in (21, 22, 47, 48, 73, 74)]
    ['low', 'medium', 'medium', 'high', 'high', 'critical']
    """
    return next(name for least, name in BANDS if risk >= least)


def _seconds_or_minutes(span: timedelta) -> str:
    minutes, rest = divmod(span, timedelta(minutes=1))
    return f"{span // timedelta(seconds=1)}s" if rest else f"{minutes}m"


def _tactics(tree: Sequence[JsonObject]) -> list[str]:
    return [str(tactic["name"]) for item in tree if isinstance(tactic := item["tactic"], dict)]


def _authors(text: str) -> Sequence[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _shown(converted: ConvertedRule) -> Sequence[str]:
    store = converted.store
    named = dict.fromkeys([*converted.rule.fields, *converted.names.all(INVESTIGATED)])
    return [name for name in named if store is None or store.mappings(name)]


def query_of_rule(converted: ConvertedRule, form: QueryForm) -> JsonObject:
    """Return the query of a rule as Lucene text, or as a filter beside an empty one.

    Raises:
        UnsupportedRuleError: it cannot be had in this form.
    """
    if form == "lucene" and converted.lucene.obstacle:
        converted.refuse(f"{converted.lucene.obstacle} (query=dsl makes a filter of it)")
    if form == "lucene" or (form == "auto" and not converted.lucene.obstacle):
        return {"language": "lucene", "query": converted.lucene.text, "filters": []}
    meta: JsonObject = {
        "alias": converted.rule.title,
        "type": "custom",
        "key": "query",
        "disabled": False,
        "negate": False,
    }
    filters: list[Json] = [{"meta": meta, "query": converted.query}]
    if (names := 1 + _depth(filters)) > MOST_NAMES:
        converted.refuse(
            f"its query has {names} names inside each other, and Elasticsearch keeps {MOST_NAMES} of a Kibana rule; "
            "put fewer conditions of and, or, not inside each other"
        )
    return {"language": "lucene", "query": "", "filters": filters}


def _depth(value: Json) -> int:
    """Return how many names are inside each other; lists add none."""
    if isinstance(value, dict):
        return max((1 + _depth(part) for part in value.values()), default=0)
    return max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _timestamp_override(converted: ConvertedRule) -> str:
    """Return the field that tells which events are new; the time of events where the store does not have it."""
    return converted.new_by if converted.is_date(converted.new_by) else converted.time_field


def _version(changed: date | None) -> int:
    """Return the day of the rule's last change, such as 20261124: a later rule has a greater version."""
    return int(f"{changed:%Y%m%d}") if changed else 1


def _threat(converted: ConvertedRule, stack: Stack) -> Sequence[JsonObject]:
    version = 19 if stack >= ATTACK_19 else 18
    found = threat(converted.rule.tags, version=version)
    if found.left_out:
        lacks = f"ATT&CK {version} has no {', '.join(found.left_out)}; only a tag names it"
        tell(LeftOutWarning(f"Rule {converted.title!r}: {lacks}"), "elastic_rule")
    return found.tree


def _suppression(converted: ConvertedRule, stack: Stack) -> JsonObject | None:
    if stack < SINCE["alert_suppression"]:
        return None
    stated = converted.suppression
    fields = group_fields(converted, stated.fields)
    if len(fields) > MOST_GROUP_FIELDS:
        converted.refuse(
            f"alerts are suppressed by {len(fields)} fields ({', '.join(fields)}), and Elastic takes "
            f"{MOST_GROUP_FIELDS}; name fewer under stellar: suppression: fields"
        )
    found: JsonObject = {"group_by": [*fields], "duration": duration(stated.window)}
    if stack >= SINCE["alert_suppression.missing_fields_strategy"]:
        # As on the platform, events without a value are alike.
        found["missing_fields_strategy"] = "suppress"
    return found


def duration(window: timedelta) -> JsonObject:
    """Return a window as Kibana writes it, in hours or else minutes."""
    hours, rest = divmod(window, timedelta(hours=1))
    return {"value": window // timedelta(minutes=1), "unit": "m"} if rest else {"value": hours, "unit": "h"}
