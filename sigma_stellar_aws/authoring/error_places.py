"""Find the place in a document that an error of pySigma is about, and say what to do about it."""

import re
from collections.abc import Mapping

from sigma.exceptions import SigmaError
from sigma.rule import SigmaLevel, SigmaStatus

from sigma_stellar_aws.authoring.error_hints import error_hint, plainer_text
from sigma_stellar_aws.authoring.issue_positions import find_text
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.text import LOOSELY_ALIKE, nearest
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.validators.unknown_keys import misspelt_condition

ENUMERATED: Mapping[YamlPath, type[SigmaLevel | SigmaStatus]] = {("level",): SigmaLevel, ("status",): SigmaStatus}
"""Keys that have one of a few values."""

# By the class of pySigma's error, without "Sigma" and "Error" in its name.
_PLACES_OF_ERRORS: Mapping[str, YamlPath] = {
    "Condition": ("detection", "condition"),
    "CorrelationCondition": ("correlation", "condition"),
    "CorrelationRule": ("correlation",),
    "CorrelationType": ("correlation", "type"),
    "FilterCondition": ("filter", "condition"),
    "FilterRuleReference": ("filter", "rules"),
    "Identifier": ("id",),
    "Modifier": ("detection",),
    "Recursion": ("detection", "condition"),
    "RegularExpression": ("detection",),
    "Timespan": ("correlation", "timespan"),
    "Type": ("detection",),
    "Value": ("detection",),
}
# What pySigma's messages quote, or name without quotes.
_NAMED = re.compile(r"'([^']+)'|CIDR expression: ([^\s']+) |^(\S+) is not a Sigma")
_LIST_WANTED = re.compile(r"Sigma (?:rule )?(\w+) (?:fields )?must be a list")


def place_of_error(document: JsonObject, error: Exception) -> YamlPath:
    """Return the path to what an error of pySigma names, or else to the section that it is about."""
    name = type(error).__name__.removeprefix("Sigma").removesuffix("Error")
    section = _PLACES_OF_ERRORS.get(name, (name.lower(),))
    if section[0] not in document and "filter" in document:
        section = ("filter", *section[1:])
    message = str(error)
    if (key := _LIST_WANTED.match(message)) and key[1] in document:
        return (key[1],)
    if message.startswith("Sigma tag must") and isinstance(tags := document.get("tags"), list):
        return next((("tags", number) for number, tag in enumerate(tags) if "." not in str(tag)), ("tags",))
    named = (find_text(document, section[:1], text) for found in _NAMED.findall(message) for text in found if text)
    return next(filter(None, named), section)


def sigma_error_text(error: Exception) -> str:
    """Return the message of an error without the path of the file, which a finding has already."""
    if isinstance(error, RecursionError):
        return plainer_text(str(error))
    if not isinstance(error, SigmaError):
        return f"pySigma cannot read this: {type(error).__name__}: {error}"
    return plainer_text(str(error).removesuffix(f" in {error.source}"))


def told(fault: Exception, at: YamlPath, document: JsonObject) -> tuple[YamlPath, str]:
    """Return where an error that is about a path is shown, and what is said of it."""
    misspelt = misspelt_condition(document.get(str(at[0]))) if at else None
    message = sigma_error_text(fault)
    hint = _choices(at, document) or error_hint(message, at, document)
    return (at[0], misspelt) if misspelt else at, message + hint


def _choices(at: YamlPath, document: JsonObject) -> str:
    """Say what to write where a key has one of a few values; empty for any other key."""
    choices = [choice.name.lower() for choice in ENUMERATED.get(at, ())]
    if not choices:
        return ""
    close = nearest(str(document.get(str(at[0]))), choices, LOOSELY_ALIKE)
    return f"; write {close or ' or '.join((', '.join(choices[:-1]), choices[-1]))}"
