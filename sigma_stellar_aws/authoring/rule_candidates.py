"""Which conditions could matter to a rule that is made from an event, the most telling ones first."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sigma_stellar_aws.base.json_types import Json, JsonObject, Scalar
from sigma_stellar_aws.reference.aws_parameters import REQUEST, parameter
from sigma_stellar_aws.reference.flat_schema import Document, flat_name

_PRODUCT = re.compile(r"[A-Za-z][\w.+-]*")
_LONGEST_VALUE = 100
_HIDDEN = ("HIDDEN_DUE_TO_SECURITY_REASONS", "***")
# Of a login, and of the session that made a call: CloudTrail user guide, "AWS Management Console sign-in events".
_OUTCOMES = (
    "responseElements.ConsoleLogin",
    "additionalEventData.MFAUsed",
    "userIdentity.sessionContext.attributes.mfaAuthenticated",
)
_OF_ONE_EVENT = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # a UUID
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d"  # a time
    r"|(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d./])"  # an address, not a range of them
    r"|(?<!\d)\d{10,}(?!\d)"  # an account, or a time in seconds
    r"|(?<![0-9a-z])(?=[0-9a-f]*\d)[0-9a-f]{8,}(?![0-9a-z])"  # the id of an EC2 resource, a hash
    r"|\b(?:ABIA|ACCA|AGPA|AIDA|AIPA|AKIA|ANPA|ANVA|APKA|AROA|ASCA|ASIA)[A-Z0-9]{12,}\b",
    re.IGNORECASE,
)
_NAMES_OF_ONE_EVENT = re.compile(r"(?:sessionname|token|requestid|callerreference|idempotency\w*)$", re.IGNORECASE)


class Candidate(NamedTuple):
    """A condition that holds for the event."""

    field: str
    """With a modifier, if there is one."""
    value: Scalar | None
    """As it is in the event; None where the field is missing."""
    seen: tuple[int, int] | None = None
    """In how many of other events of this kind it holds, and how many there are."""


def candidates(event: JsonObject, others: Sequence[Document] | None = None) -> list[Candidate]:
    """Return conditions that hold for an event and could matter to a rule, and never what only this event has.

    Args:
        event: a CloudTrail record.
        others: further events of this kind, flattened: what is rare among them comes first.
    """
    found = list(dict.fromkeys([*_of_caller(event), *_of_request(event), *_of_outcome(event)]))
    if not others:
        return found
    counted = [one._replace(seen=(sum(_holds(one, other) for other in others), len(others))) for one in found]
    return sorted(counted, key=lambda one: one.seen or (0, 0))


def _of_caller(event: JsonObject) -> Iterator[Candidate]:
    identity = event.get("userIdentity")
    if isinstance(identity, dict) and isinstance(identity.get("type"), str):
        yield Candidate("userIdentity.type", str(identity["type"]))


def _of_request(event: JsonObject) -> Iterator[Candidate]:
    """Yield the parameters: those with one of few values, then others that requests have, then the rest."""
    kind = (str(event.get("eventSource")), str(event.get("eventName")))
    parameters = event.get(REQUEST)
    found = list(dict(_parameters(REQUEST, parameters)).items()) if isinstance(parameters, dict) else []

    def rank(item: tuple[str, Scalar]) -> int:
        known = parameter(item[0], [kind])
        return 2 if known is None else 0 if known.values or known.kind == "boolean" else 1

    yield from (Candidate(field, value) for field, value in sorted(found, key=rank))


def _of_outcome(event: JsonObject) -> Iterator[Candidate]:
    for field in _OUTCOMES:
        value: Json = event
        for step in field.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, str) and value.isalpha():
            yield Candidate(field, value)
    code = event.get("errorCode")
    if code is None or isinstance(code, str):
        yield Candidate("errorCode", code)
    agent = event.get("userAgent")
    if isinstance(agent, str) and (product := _PRODUCT.search(agent)):
        yield Candidate("userAgent|contains", product[0])


def _parameters(path: str, parameters: JsonObject) -> Iterator[tuple[str, Scalar]]:
    for key, value in parameters.items():
        if not re.fullmatch(r"[\w:@/-]+", key) or _NAMES_OF_ONE_EVENT.search(key):
            # This cannot be part of a field's name, or differs from event to event.
            continue
        field = f"{path}.{key}"
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _parameters(field, one)
            elif isinstance(one, str):
                if _is_telling(one):
                    yield field, one
            elif isinstance(one, int | float):
                yield field, one


def _is_telling(text: str) -> bool:
    is_short = 0 < len(text) <= _LONGEST_VALUE and text.isprintable() and not text.startswith(_HIDDEN)
    return is_short and not _OF_ONE_EVENT.search(text)


def _holds(candidate: Candidate, document: Mapping[str, object]) -> bool:
    field, _, modifier = candidate.field.partition("|")
    found = document.get(flat_name(field))
    if candidate.value is None:
        return found is None
    texts = [str(one).lower() for one in (found if isinstance(found, list) else [found]) if one is not None]
    wanted = str(candidate.value).lower()
    return any(wanted in text if modifier else wanted == text for text in texts)
