"""What can be written at a place of a rule."""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from sigma_stellar_aws.base.text import first_of
from sigma_stellar_aws.base.yaml_positions import YamlPath
from sigma_stellar_aws.editor.cursor import Cursor, cursor_at
from sigma_stellar_aws.editor.joined_lines import with_joined_lines
from sigma_stellar_aws.editor.surroundings import (
    detection_around,
    events_beside,
    field_of,
    keys_in,
    selections,
    sources_beside,
)
from sigma_stellar_aws.editor.text_positions import Place
from sigma_stellar_aws.reference.attack import attack, tactic_name
from sigma_stellar_aws.reference.aws_events import COMMON_SOURCES, IDENTITY_TYPES, all_names, names, sources, sources_of
from sigma_stellar_aws.reference.aws_parameters import (
    REQUEST,
    RESPONSE,
    EventKind,
    Parameter,
    parameter,
    parameter_names,
)
from sigma_stellar_aws.reference.cloudtrail_fields import FIELDS
from sigma_stellar_aws.reference.field_meanings import MEANINGS
from sigma_stellar_aws.rule_files.rule_keys import MODIFIERS, USUAL_MODIFIERS, RuleKey, keys_of_map
from sigma_stellar_aws.rule_files.suppression import DEFAULT_SUPPRESSION

ProposalKind: TypeAlias = Literal["key", "field", "value", "event", "modifier", "selection", "rule"]

MOST_PROPOSALS = 200
"""Most that are sent at once; an editor asks again when more of the word is written."""

_FEW_EVENTS = 20
_BYTE_ORDER_MARK = "\ufeff"


class Proposal(NamedTuple):
    """Something that can be written."""

    label: str
    kind: ProposalKind
    detail: str = ""
    """A few words shown beside it."""
    documentation: str = ""
    insert: str = ""
    """What is written, if not the label."""
    also: str = ""
    """Further words by which it is found."""


class Completions(NamedTuple):
    """What can be written in place of a part of a text."""

    place: Place
    proposals: list[Proposal]
    is_complete: bool
    """Whether these are all; else there may be others for a longer word."""


class KnownRule(NamedTuple):
    """A rule of the folder, as correlations and filters name it."""

    name: str
    """Its name, or else its id."""
    title: str


def complete(text: str, offset: int, rules: Iterable[KnownRule] = ()) -> Completions | None:
    """Return what can be written at an offset of a text; None where nothing is known of the place.

    Args:
        text: the rules of a file, as far as they are written.
        offset: of the cursor, in characters.
        rules: those that a correlation or filter may name.
    """
    if text.startswith(_BYTE_ORDER_MARK):
        found = complete(text[1:], max(offset - 1, 0), rules)
        return found and found._replace(place=Place(found.place.start + 1, found.place.end + 1))
    return _complete(with_joined_lines(text), offset, rules)


def _complete(text: str, offset: int, rules: Iterable[KnownRule]) -> Completions | None:
    cursor = cursor_at(text, offset)
    if cursor is None:
        return None
    if "|" in cursor.before and cursor.is_key:
        found: Iterable[Proposal] = _modifiers(cursor) if detection_around(cursor.path) else ()
    else:
        found = [
            *(_keys(text, cursor) if cursor.is_key else ()),
            *(_values(text, cursor, rules) if cursor.is_value else ()),
        ]
    word = text[cursor.word.start : offset].casefold()
    fitting = sorted(
        (each for each in found if _fits(each, word)), key=lambda each: not each.label.casefold().startswith(word)
    )
    return Completions(cursor.word, fitting[:MOST_PROPOSALS], len(fitting) <= MOST_PROPOSALS)


def _fits(proposal: Proposal, word: str) -> bool:
    # As editors do: the letters in their order, for shorter words; so a typing error later on loses nothing.
    wanted = f"{proposal.label} {proposal.also}".casefold()
    position = -1
    return all((position := wanted.find(letter, position + 1)) >= 0 for letter in word)


def _keys(text: str, cursor: Cursor) -> Iterator[Proposal]:
    around = detection_around(cursor.path)
    if around is not None and around.selection is not None:
        # In a list of values there are no keys.
        if field_of(cursor.path) is None:
            yield from _fields(text, cursor)
        return
    of_correlation = "correlation" in keys_in(text, cursor.document, ())
    known = keys_of_map(cursor.path, of_correlation=of_correlation)
    present = keys_in(text, cursor.document, cursor.path)
    for name, key in known.items():
        if name not in present or name == cursor.before:
            yield Proposal(name, "key", key.kind, key.meaning, f"{name}: " if cursor.ends_line else "")


def _fields(text: str, cursor: Cursor) -> Iterator[Proposal]:
    for name, field in FIELDS.items():
        if field.kind not in ("object", "open object"):
            yield Proposal(name, "field", field.kind, MEANINGS[name])
    for name in (REQUEST, RESPONSE, "additionalEventData"):
        yield Proposal(f"{name}.", "field", "open object", MEANINGS[name])
    parent = cursor.before.rpartition(".")[0]
    if parent.partition(".")[0] in (REQUEST, RESPONSE):
        events = events_beside(text, cursor.document, cursor.path)
        for name in _members(parent, tuple(events)):
            # Of all events of a source, what each of its parameters holds would take too long to find out.
            known = parameter(name, events) if len(events) <= _FEW_EVENTS else None
            values = f"One of: {first_of(known.values, 20)}" if known and known.values else ""
            yield Proposal(name, "field", parameter_kind(known) if known else "parameter", values)


@lru_cache(maxsize=64)
def _members(parent: str, events: tuple[EventKind, ...]) -> list[str]:
    """Return the names of what stands directly in an object of requests or responses of some events."""
    return sorted(f"{parent}.{name}" for name in parameter_names(parent, events))


def parameter_kind(known: Parameter) -> str:
    """Return in a word or two what a parameter of a request holds.

    >>> parameter_kind(Parameter("text", many=True))
    'text, several'
    """
    return f"{known.kind}{', several' if known.many else ''}"


def _modifiers(cursor: Cursor) -> Iterator[Proposal]:
    used = cursor.before.split("|")[1:-1]
    for name in dict.fromkeys((*USUAL_MODIFIERS, *MODIFIERS)):
        if name not in used:
            yield Proposal(name, "modifier", "modifier", MODIFIERS[name])


def _values(text: str, cursor: Cursor, rules: Iterable[KnownRule]) -> Iterable[Proposal]:
    path = tuple("*" if isinstance(step, int) else step for step in cursor.path)
    around = detection_around(cursor.path)
    if around is not None and (field := field_of(cursor.path)) is not None:
        return _values_of_field(text, cursor, field)
    if len(path) > 1 and path[-1] == "condition" and detection_around((*path[:-1], "a")) is not None:
        return _words_of_condition(text, cursor)
    if path[:1] == ("stellar",) and path[:3] == ("stellar", "suppression", "fields"):
        return _field_names(DEFAULT_SUPPRESSION.fields)
    if path[:2] == ("correlation", "group-by") or path == ("correlation", "condition", "field"):
        return _field_names(("userIdentity.arn", "sourceIPAddress", "recipientAccountId"))
    if path[:2] in (("correlation", "rules"), ("filter", "rules")):
        return (Proposal(rule.name, "rule", rule.title, also=rule.title) for rule in rules)
    made = _MADE.get(path)
    return made() if made else _values_of_key(cursor.path)


def _values_of_key(path: YamlPath) -> Iterator[Proposal]:
    key: RuleKey | None = keys_of_map(path[:-1]).get(str(path[-1])) if path else None
    if key is not None:
        values = key.values or key.usual or (("true", "false") if key.kind == "boolean" else ())
        yield from (Proposal(value, "value", str(path[-1])) for value in values)


def _values_of_field(text: str, cursor: Cursor, field: str) -> Iterable[Proposal]:
    if field == "eventSource":
        ordered = sorted(sources(), key=lambda source: (source not in COMMON_SOURCES, source))
        return [Proposal(source, "value", f"{len(names(source))} events") for source in ordered]
    if field == "eventName":
        return _event_names(text, cursor)
    if field == "userIdentity.type":
        return [Proposal(name, "value", "kind of caller") for name in sorted(IDENTITY_TYPES)]
    known = parameter(field, events_beside(text, cursor.document, cursor.path))
    if known is not None:
        values = known.values or (("true", "false") if known.kind == "boolean" else ())
        return [Proposal(value, "value", parameter_kind(known)) for value in values]
    if field in FIELDS and FIELDS[field].kind == "boolean":
        return [Proposal(value, "value", field) for value in ("true", "false")]
    return [Proposal(value, "value", field) for value in _VALUES.get(field, ())]


def _event_names(text: str, cursor: Cursor) -> Iterator[Proposal]:
    beside = sources_beside(text, cursor.document, cursor.path)
    if beside:
        for source in beside:
            yield from (Proposal(name, "event", source) for name in sorted(names(source)))
        return
    # Of 15,000 names those that begin alike: each is looked up in all sources, which takes time.
    word = cursor.before.casefold()
    found = [name for name in sorted(all_names()) if name.casefold().startswith(word)][: MOST_PROPOSALS + 1]
    yield from (Proposal(name, "event", _some(sources_of(name))) for name in found)


def _some(found: list[str]) -> str:
    return f"{found[0]} and {len(found) - 1} more" if len(found) > 1 else "".join(found)


def _field_names(first: Iterable[str]) -> Iterator[Proposal]:
    fields = (name for name, field in FIELDS.items() if field.kind not in ("object", "open object"))
    return (Proposal(name, "field", FIELDS[name].kind, MEANINGS[name]) for name in dict.fromkeys((*first, *fields)))


def _words_of_condition(text: str, cursor: Cursor) -> Iterator[Proposal]:
    named = selections(text, cursor.document, _detection_of_condition(cursor.path))
    yield from (Proposal(name, "selection", "selection") for name in named)
    yield from (Proposal(word, "key", "operator") for word in ("and", "or", "not", "1 of", "all of"))
    for start in dict.fromkeys(found[0] for name in named if (found := re.match(r"[a-z]+_", name))):
        yield Proposal(f"1 of {start}*", "selection", "pattern of selections")


def _detection_of_condition(path: YamlPath) -> YamlPath:
    return path[: path.index("condition")]


def _tags() -> Iterator[Proposal]:
    table = attack()
    for name, tactic in table.tactics.items():
        yield Proposal(f"attack.{name}", "value", f"{tactic.id} {tactic.name}", "An ATT&CK tactic.", also=tactic.id)
    for identity, technique in table.techniques.items():
        tactics = ", ".join(map(tactic_name, technique.tactics))
        meaning = f"An ATT&CK technique of {tactics}."
        yield Proposal(f"attack.{identity.lower()}", "value", technique.name, meaning, also=technique.name)


def _new_id() -> Iterator[Proposal]:
    yield Proposal(str(uuid.uuid4()), "value", "a new id")


def _today() -> Iterator[Proposal]:
    yield Proposal(date.today().isoformat(), "value", "today")


_MADE: Mapping[YamlPath, Callable[[], Iterator[Proposal]]] = {
    ("tags", "*"): _tags,
    ("tags",): _tags,
    ("id",): _new_id,
    ("date",): _today,
    ("modified",): _today,
}

_VALUES: Mapping[str, tuple[str, ...]] = {
    # CloudTrail user guide, contents of records.
    "eventCategory": ("Management", "Data", "NetworkActivity", "Insight"),
    "eventType": (
        "AwsApiCall",
        "AwsServiceEvent",
        "AwsConsoleAction",
        "AwsConsoleSignIn",
        "AwsVpceEvent",
        "AwsCloudTrailInsight",
    ),
    "errorCode": ("null", "AccessDenied", "Client.UnauthorizedOperation"),
    "userIdentity.sessionContext.attributes.mfaAuthenticated": ("'true'", "'false'"),
    "userIdentity.sessionContext.sessionIssuer.type": ("Role", "IAMUser", "Root", "Directory"),
}
"""What some fields hold."""
