"""Tell rules that almost every event may match from those that ask for something in particular."""

import copy
import re

from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.authoring.explain import by_itself
from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.evaluate import bool_parts

# A great part of all events share their values.
_COMMON = frozenset(
    (
        *("eventSource", "eventVersion", "eventType", "eventCategory", "awsRegion", "apiVersion"),
        *("recipientAccountId", "managementEvent", "readOnly"),
        *("userIdentity_type", "userIdentity_accountId", "userIdentity_invokedBy"),
    )
)
FEW_VALUES = frozenset((*_COMMON, "eventName", "errorCode"))
"""Flattened names of fields with so few values that a key for each is no burden."""

_NAME = "eventName"
_PARTICULAR = ("requestParameters_", "responseElements_", "additionalEventData_", "serviceEventDetails_")
"""Fields that only some events have."""
# As names of events begin with them.
_VERBS = frozenset(
    (
        *("add", "attach", "batch", "create", "delete", "describe", "detach", "list", "lookup", "modify", "register"),
        *("remove", "send", "start", "stop", "update"),
    )
)
_SHORT = 4
_LETTERS = re.compile(r"[A-Za-z0-9]+")


def is_wide(rule: SigmaRule) -> bool:
    """Tell whether a rule asks for nothing that most events do not have.

    It names no event, or only the verb of one, and of other fields only such as a great part of all events share.
    A rule that cannot be converted is reported elsewhere, and is not wide.
    """
    try:
        alone = SigmaCollection([by_itself(copy.deepcopy(rule))], resolve_references=False)
        query = convert_pack(alone, stellar_aws()).query
    except (SigmaError, RecursionError):
        return False
    return not _is_narrow(query)


def _is_narrow(clause: Clause) -> bool:
    body = clause.get("bool")
    if isinstance(body, dict):
        required, _, alternatives = bool_parts(body)
        return any(map(_is_narrow, required)) or (bool(alternatives) and all(map(_is_narrow, alternatives)))
    return all(_asks_for_particular(*leaf) for leaf in dsl.leaves(clause))


def _asks_for_particular(kind: str, field: str, options: Json) -> bool:
    if kind == "exists":
        return field.startswith(_PARTICULAR)
    if field == _NAME and kind not in ("term", "terms"):
        return _names_more_than_a_verb(str(options["value"] if isinstance(options, dict) else options))
    return field not in _COMMON


def _names_more_than_a_verb(pattern: str) -> bool:
    return any(len(word) >= _SHORT and word.lower() not in _VERBS for word in _LETTERS.findall(pattern))
