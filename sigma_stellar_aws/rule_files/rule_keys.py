"""The keys of rules, correlations and filters, with what they mean: for checks, completion, hover and the JSON schema.

Sources: the specification of Sigma (https://github.com/SigmaHQ/sigma-specification) for its own keys and modifiers, and
``sigma_stellar_aws.rule_files`` for the block ``stellar``.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from sigma.correlations import SigmaCorrelationType
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaLevel, SigmaStatus

from sigma_stellar_aws.rule_files.stellar_block import SEVERITY_OF_LEVEL

KeyKind: TypeAlias = Literal["text", "texts", "map", "maps", "whole number", "date", "uuid", "time span", "boolean"]


class RuleKey(NamedTuple):
    """What stands under a key."""

    kind: KeyKind
    meaning: str
    values: tuple[str, ...] = ()
    """All that it can be; empty where it can be anything of its kind."""
    usual: tuple[str, ...] = ()
    """Some of what it can be."""


LEVELS = tuple(level.name.lower() for level in SigmaLevel)
STATUSES = tuple(status.name.lower() for status in reversed(SigmaStatus))
CORRELATION_TYPES = tuple(kind.name.lower() for kind in SigmaCorrelationType)

_LEVEL_MEANING = "How bad a match is. Without stellar.severity it is the severity, too: " + ", ".join(
    f"{level.name.lower()} {severity}" for level, severity in SEVERITY_OF_LEVEL.items()
)

COMMON_KEYS: Mapping[str, RuleKey] = {
    "title": RuleKey("text", "What the rule detects, in a few words; alerts are headed by it."),
    "id": RuleKey("uuid", "What tells the rule from all others, a random UUID; it stays when the rule changes."),
    "name": RuleKey("text", "A short name by which correlations and filters may refer to the rule."),
    "related": RuleKey("maps", "Rules that this one replaces, is derived from or belongs with."),
    "status": RuleKey("text", "How far the rule has been tried.", STATUSES),
    "description": RuleKey("text", "What the rule detects and why that matters, in a few sentences."),
    "references": RuleKey("texts", "Addresses of pages that explain what is detected."),
    "author": RuleKey("text", "Who wrote the rule; several are separated by commas."),
    "date": RuleKey("date", "The day on which the rule was written, such as 2026-11-24."),
    "modified": RuleKey("date", "The day of the last change to what the rule detects."),
    "tags": RuleKey(
        "texts", "What the rule is about, as NAMESPACE.NAME: ATT&CK tactics and techniques, CVEs and others."
    ),
    "falsepositives": RuleKey("texts", "Harmless causes of a match, for whoever looks at an alert."),
    "level": RuleKey("text", _LEVEL_MEANING + ".", LEVELS),
    "fields": RuleKey("texts", "Fields of an event that whoever looks at an alert wants to see."),
    "license": RuleKey("text", "The licence of the rule, as an SPDX identifier such as Apache-2.0."),
    "taxonomy": RuleKey("text", "The names of fields that the rule uses, if they are not Sigma's.", usual=("sigma",)),
    "scope": RuleKey("texts", "To which systems the rule applies."),
    "stellar": RuleKey("map", "How alerts of the rule are raised: severity, suppression, triage."),
}
"""Keys at the top of a rule, a correlation or a filter."""

RULE_KEYS: Mapping[str, RuleKey] = {
    "logsource": RuleKey("map", "Which log the rule is about; CloudTrail is product aws, service cloudtrail."),
    "detection": RuleKey("map", "Selections, and a condition that says which of them have to match."),
    "correlation": RuleKey("map", "What several events have to have in common, in place of a detection."),
    "filter": RuleKey("map", "What other rules leave out, in place of a detection."),
}
"""Keys of which a document has some, by what it is."""

LOGSOURCE_KEYS: Mapping[str, RuleKey] = {
    "product": RuleKey("text", "Who makes the log.", usual=("aws",)),
    "service": RuleKey("text", "The log of the product.", usual=("cloudtrail",)),
    "category": RuleKey("text", "A kind of log that several products have, such as process_creation."),
    "definition": RuleKey("text", "What has to be set up for the log to be written."),
}

DETECTION_KEYS: Mapping[str, RuleKey] = {
    "condition": RuleKey("text", "Which selections have to match, joined by and, or, not, 1 of and all of."),
}
"""Keys of a detection that are no selections."""

FILTER_KEYS: Mapping[str, RuleKey] = {
    "rules": RuleKey("texts", "Ids or names of the rules that are filtered, or any."),
    "condition": RuleKey("text", "What a rule has to meet besides; mostly not selection."),
}
"""Keys of a filter that are no selections."""

CORRELATION_KEYS: Mapping[str, RuleKey] = {
    "type": RuleKey("text", "What is counted or followed.", CORRELATION_TYPES),
    "rules": RuleKey("texts", "Ids or names of the rules whose matches count."),
    "group-by": RuleKey("texts", "Fields that have the same value in all events that count together."),
    "timespan": RuleKey("time span", "Within which time the events happen, such as 10m or 1h."),
    "condition": RuleKey("map", "How many there have to be; for temporal types, which rules (a text)."),
    "aliases": RuleKey("map", "Names for fields that are called otherwise in the events of each rule."),
    "generate": RuleKey("boolean", "Whether the rules that it names also alert by themselves."),
}

CORRELATION_CONDITION_KEYS: Mapping[str, RuleKey] = {
    "gte": RuleKey("whole number", "At least so many."),
    "gt": RuleKey("whole number", "More than so many."),
    "lte": RuleKey("whole number", "At most so many."),
    "lt": RuleKey("whole number", "Fewer than so many."),
    "eq": RuleKey("whole number", "Just so many."),
    "neq": RuleKey("whole number", "Any other number."),
    "field": RuleKey("text", "The field whose values are counted, for value_count and its kin."),
    "percentile": RuleKey("whole number", "Which percentile, for value_percentile."),
}

RELATED_KEYS: Mapping[str, RuleKey] = {
    "id": RuleKey("uuid", "The id of the other rule."),
    "type": RuleKey(
        "text",
        "What the other rule is to this one.",
        ("correlation", "derived", "merged", "obsolete", "renamed", "similar"),
    ),
}

STELLAR_KEYS: Mapping[str, RuleKey] = {
    "severity": RuleKey("whole number", "How bad a match is, from 0 to 100; without it, the level says so."),
    "suppression": RuleKey("map", "When further events raise no alert of their own."),
    "triage": RuleKey("texts", "What to do about an alert: short steps, in order."),
    "published": RuleKey("map", "The published query, where the rule corrects it."),
}

SUPPRESSION_KEYS: Mapping[str, RuleKey] = {
    "window": RuleKey(
        "time span", "One alert in this time for the same values of the fields, such as 24h.", usual=("24h",)
    ),
    "fields": RuleKey("texts", "Fields that make two events the same; [] stands for all events of the rule."),
}

CORRELATION_STELLAR_KEYS = {name: key for name, key in STELLAR_KEYS.items() if name != "published"}
"""Those of a correlation, which corrects no published query."""

CORRELATION_SUPPRESSION_KEYS = {name: key for name, key in SUPPRESSION_KEYS.items() if name != "fields"}
"""Those of a correlation, which suppresses by what it groups by."""

PUBLISHED_KEYS: Mapping[str, RuleKey] = {
    "detection": RuleKey("map", "The detection as it was published, word by word."),
    "reason": RuleKey("text", "Why the rule corrects it."),
}

_MODIFIER_MEANINGS: Mapping[str, str] = {
    "all": "All values of the list have to match, not one of them.",
    "base64": "The value is encoded in Base64 before it is looked for.",
    "base64offset": "As base64, wherever in the encoded text the value begins.",
    "cased": "Case counts.",
    "cidr": "An IP address of this network.",
    "contains": "The value stands anywhere in the field.",
    "day": "The day of the time in the field.",
    "dotall": "After re: the dot stands for line breaks, too.",
    "endswith": "The field ends with the value.",
    "exists": "Whether the event has the field: true or false.",
    "expand": "The value holds a %placeholder% that a pipeline fills in.",
    "fieldref": "The value is the name of another field, which has to be equal.",
    "gt": "Greater than the number.",
    "gte": "Greater than the number, or equal.",
    "hour": "The hour of the time in the field.",
    "i": "After re: case does not count.",
    "ignorecase": "After re: case does not count.",
    "lt": "Less than the number.",
    "lte": "Less than the number, or equal.",
    "m": "After re: ^ and $ stand for the ends of lines.",
    "minute": "The minute of the time in the field.",
    "month": "The month of the time in the field.",
    "multiline": "After re: ^ and $ stand for the ends of lines.",
    "neq": "The field is not equal to the value.",
    "re": "A regular expression.",
    "s": "After re: the dot stands for line breaks, too.",
    "startswith": "The field begins with the value.",
    "utf16": "The value is encoded in UTF-16 with a byte order mark.",
    "utf16be": "The value is encoded in UTF-16, big end first.",
    "utf16le": "The value is encoded in UTF-16, little end first.",
    "week": "The week of the time in the field.",
    "wide": "The value is encoded in UTF-16, little end first.",
    "windash": "A dash in the value also stands for a slash and other dashes.",
    "year": "The year of the time in the field.",
}

MODIFIERS: Mapping[str, str] = {name: _MODIFIER_MEANINGS.get(name, "") for name in sorted(modifier_mapping)}
"""What pySigma knows behind the name of a field, and what each asks."""

USUAL_MODIFIERS = ("contains", "startswith", "endswith", "re", "cidr", "exists", "all", "cased")
"""Those that rules for CloudTrail use, most of them first."""


def keys_of_map(path: tuple[str | int, ...], *, of_correlation: bool = False) -> Mapping[str, RuleKey]:
    """Return the keys that a map of a rule can have, by where it stands; none where names are the author's.

    Args:
        path: of the map.
        of_correlation: whether it is in a correlation rule.

    >>> list(keys_of_map(("stellar", "suppression")))
    ['window', 'fields']
    >>> keys_of_map(("detection", "selection"))
    {}
    """
    place = tuple("*" if isinstance(step, int) else step for step in path)
    return (_MAPS_OF_CORRELATION.get(place) if of_correlation else None) or _MAPS.get(place, {})


_MAPS: Mapping[tuple[str, ...], Mapping[str, RuleKey]] = {
    (): {**COMMON_KEYS, **RULE_KEYS},
    ("logsource",): LOGSOURCE_KEYS,
    ("detection",): DETECTION_KEYS,
    ("filter",): FILTER_KEYS,
    ("correlation",): CORRELATION_KEYS,
    ("correlation", "condition"): CORRELATION_CONDITION_KEYS,
    ("related", "*"): RELATED_KEYS,
    ("stellar",): STELLAR_KEYS,
    ("stellar", "suppression"): SUPPRESSION_KEYS,
    ("stellar", "published"): PUBLISHED_KEYS,
    ("stellar", "published", "detection"): DETECTION_KEYS,
}

_MAPS_OF_CORRELATION: Mapping[tuple[str, ...], Mapping[str, RuleKey]] = {
    ("stellar",): CORRELATION_STELLAR_KEYS,
    ("stellar", "suppression"): CORRELATION_SUPPRESSION_KEYS,
}
"""Where it has others than a rule."""
