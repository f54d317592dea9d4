"""Write the skeleton of a rule, and its file of sample events, from an example event."""

import ipaddress
import re
import uuid
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import yaml

from sigma_stellar_aws.authoring.rule_candidates import Candidate, candidates
from sigma_stellar_aws.authoring.sample_events import TEST_SUFFIX
from sigma_stellar_aws.base.errors import EventError
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.reference import aws_events
from sigma_stellar_aws.reference.flat_schema import Document

PLACEHOLDER = "TODO"
"""Marks what the author of a rule has to write."""

_ACCOUNTS = ("123456789012", "111122223333", "444455556666")
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
_UNIQUE_ID = re.compile(r"\b(ABIA|ACCA|AGPA|AIDA|AIPA|AKIA|ANPA|ANVA|APKA|AROA|ASCA|ASIA)[A-Z0-9]{12,}\b")
# But not the versions of programs, as in Chrome/142.0.0.0.
_IPV4 = re.compile(r"(?<![\w.#])(?<!\w/)(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f:]*:[0-9A-Fa-f:]+(?![\w:]|\.\d)")
_API_VERSION = re.compile(r"\d{4}_?\d{2}_?\d{2}(v\d+)?$")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.|-]*")
_UNBROKEN = 2**31

_RULE = """\
# {to_do} marks what is yours to write. The conditions in comments hold for the example event: choose those that matter.
{title}
id: {id}
status: experimental
description: >-
    {to_do}: Detects ... Say what was done, what an attacker gains by it, and how to judge it.
references:
    - https://docs.aws.amazon.com/ # {to_do}
{author}
date: {date}
# tags: # {to_do}
#     - attack.persistence
#     - attack.t1136.003
logsource:
    product: aws
    service: cloudtrail
detection:
    selection:
{selection}
{candidates}
    condition: selection
falsepositives:
    - Unknown # {to_do}
level: medium # {to_do}: informational, low, medium, high or critical
# stellar: # severity from 0 to 100, where it is to be finer than the level
#     severity: 50
"""

_CASES = """\
# Sample events of {rule}, for `sigma-stellar-aws test`.
{note}
hits:
- name: the event that the rule was made from
  event: &example
{event}
misses:
- name: another call to the same service
  event:
    <<: *example
    {other_name}
"""
_OTHER_SOURCE = """\
- name: a call of the same name to another service
  event:
    <<: *example
    {}
"""
_OTHER_OUTCOME = """\
# Together with errorCode in the rule:
# - name: {}
#   event:
#     <<: *example
#     errorCode: {}
"""
_WORKED = ("the same call, which worked", "null")
_REFUSED = ("the same call, refused", "AccessDenied")
_REPLACED = """\
# Account numbers, ids of keys and identities, session tokens and public addresses are replaced by examples; look for
# names yourself."""
_KEPT = "# The event is as it was recorded, with account numbers, ids and addresses."


def write_rule(
    event: JsonObject,
    folder: Path,
    *,
    author: str = PLACEHOLDER,
    keep_ids: bool = False,
    others: Sequence[Document] | None = None,
) -> tuple[Path, Path]:
    """Write a rule that matches an event, and the rule's sample events. No file is ever replaced.

    Args:
        event: a CloudTrail record.
        folder: where to write; it is created if it does not exist.
        author: who writes the rule.
        keep_ids: leave account numbers, ids and addresses as they are.
        others: further events of this kind, flattened; conditions that are rare among them come first.

    Returns:
        The files of the rule and of its sample events.

    Raises:
        EventError: the event does not say its source and name.
        OSError: a file exists already, or cannot be written.
    """
    try:
        shown = event if keep_ids else redacted(event)
        stem = file_stem(shown)
        rule, cases = folder / f"{stem}.yml", folder / f"{stem}{TEST_SUFFIX}"
        texts = {
            rule: rule_text(shown, author, others),
            cases: cases_text(shown, rule.name, _KEPT if keep_ids else _REPLACED),
        }
    except RecursionError:
        raise EventError("the event is nested too deeply") from None
    folder.mkdir(parents=True, exist_ok=True)
    for file in texts:
        if file.exists():
            raise FileExistsError(f"{file} exists already; nothing was written")
    for file, text in texts.items():
        with file.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    return rule, cases


def redacted(event: JsonObject) -> JsonObject:
    """Replace account numbers, ids of keys and identities, session tokens and public addresses by examples.

    The same value gets the same example everywhere in the event.

    >>> redacted({"recipientAccountId": "999988887777", "sourceIPAddress": "8.8.8.8"})
    {'recipientAccountId': '123456789012', 'sourceIPAddress': '203.0.113.1'}
    """
    return _Redaction().of_object(event)


class _Redaction:
    """The examples that were given so far, by kind and original value."""

    def __init__(self) -> None:
        self._examples: dict[str, dict[str, str]] = {}

    def of_object(self, value: JsonObject) -> JsonObject:
        """Redact keys and values."""
        return {self._of_text(key): self._of_value(child, key) for key, child in value.items()}

    def _of_value(self, value: Json, key: str) -> Json:
        if isinstance(value, dict):
            return self.of_object(value)
        if isinstance(value, list):
            return [self._of_value(child, key) for child in value]
        if isinstance(value, str):
            return "EXAMPLE" if key == "sessionToken" else self._of_text(value)
        return value

    def _of_text(self, text: str) -> str:
        for pattern, replace in (
            (_ACCOUNT, self._account),
            (_UNIQUE_ID, self._unique_id),
            (_IPV4, self._address),
            (_IPV6, self._address),
        ):
            text = pattern.sub(replace, text)
        return text

    def _example(self, kind: str, value: str, make: Callable[[int], str]) -> str:
        known = self._examples.setdefault(kind, {})
        return known.setdefault(value, make(len(known)))

    def _account(self, match: re.Match[str]) -> str:
        return self._example("account", match[0], lambda n: _ACCOUNTS[n] if n < len(_ACCOUNTS) else f"{n:012d}")

    def _unique_id(self, match: re.Match[str]) -> str:
        return self._example(match[1], match[0], lambda n: f"{match[1]}EXAMPLE{n:09d}")

    def _address(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            return match[0]
        if not address.is_global:
            return match[0]
        if address.version == 4:
            return self._example("IPv4", match[0], lambda n: f"203.0.113.{n % 254 + 1}")
        return self._example("IPv6", address.compressed, lambda n: f"2001:db8::{n + 1:x}")


def file_stem(event: JsonObject) -> str:
    """Return the name of an event's files without the suffix.

    >>> file_stem({"eventSource": "iam.amazonaws.com", "eventName": "CreateUser"})
    'aws_iam_create_user'

    Raises:
        EventError: the event does not say its source and name.
    """
    source, name = source_and_name(event)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", _base_name(name))
    return re.sub(r"[^a-z0-9]+", "_", f"aws_{_service(source)}_{words}".lower()).strip("_")[:90]


def rule_text(event: JsonObject, author: str = PLACEHOLDER, others: Sequence[Document] | None = None) -> str:
    """Return the YAML of a rule that matches an event, with other possible conditions as comments.

    Args:
        event: a CloudTrail record.
        author: who writes the rule.
        others: further events of this kind, flattened; what is rare among them comes first.

    Raises:
        EventError: the event does not say its source and name.
    """
    source, name = source_and_name(event)
    service, base = _service(source), _base_name(name)
    selection = {
        "eventSource": literal(source),
        "eventName" if base == name else "eventName|startswith": literal(base),
    }
    return _RULE.format(
        to_do=PLACEHOLDER,
        title=_lines({"title": f"{PLACEHOLDER} AWS {service.upper() if len(service) < 4 else service.title()} {base}"}),
        id=uuid.uuid4(),
        author=_lines({"author": author}),
        date=date.today().isoformat(),
        selection=_lines(selection, " " * 8),
        candidates="\n".join(map(_written, candidates(event, others))),
    )


def cases_text(event: JsonObject, rule: str, note: str) -> str:
    """Return the YAML of the rule's sample events: the event itself, and others that differ a little.

    Raises:
        EventError: the event does not say its source and name.
    """
    source, name = source_and_name(event)
    base = _base_name(name)
    names = sorted(other for other in aws_events.names(source) if not other.casefold().startswith(base.casefold()))
    other_name = nearest(base, names, alike=0) or "AnotherEvent"
    text = _CASES.format(
        rule=rule, note=note, event=_lines(event, " " * 4), other_name=_lines({"eventName": other_name})
    )
    others = [other for other in aws_events.sources_of(name) if other != source]
    for other in aws_events.common(others)[:1]:
        text += _OTHER_SOURCE.format(_lines({"eventSource": other}))
    refused = event.get("errorCode") is not None
    return text + _OTHER_OUTCOME.format(*_WORKED if refused else _REFUSED)


def source_and_name(event: JsonObject) -> tuple[str, str]:
    """Return the eventSource and the eventName of an event.

    Raises:
        EventError: it does not say both.
    """
    source, name = event.get("eventSource"), event.get("eventName")
    if not isinstance(source, str) or not isinstance(name, str) or not source.strip() or not name.strip():
        raise EventError("the event must have an eventSource and an eventName, from which the rule is made")
    return source, name


def _service(source: str) -> str:
    return source.removesuffix(".amazonaws.com")


def _base_name(name: str) -> str:
    """Return the name of an event without the version of the API that Lambda and CloudFront add to it.

    >>> _base_name("CreateFunction20150331")
    'CreateFunction'
    """
    return _API_VERSION.sub("", name) or name


def _written(candidate: Candidate) -> str:
    """Return a candidate as a comment in a rule, with how rare it is where that is known."""
    value = literal(candidate.value) if isinstance(candidate.value, str) else candidate.value
    if "|" in candidate.field:
        value = _Quoted(candidate.value)
    rarity = f" # in {candidate.seen[0]:,} of {candidate.seen[1]:,} such events" if candidate.seen else ""
    return _lines({candidate.field: value}, " " * 8 + "# ") + rarity


class _Quoted(str):
    """A string to be written in quotes, as values in rules usually are."""


def literal(text: str) -> "_Quoted":
    """Escape wildcards: return a string as a value of a rule that stands for itself only."""
    return _Quoted(re.sub(r"[\\*?]", r"\\\g<0>", text))


def _lines(values: object, before: str = "") -> str:
    """Return the YAML of a map, with a prefix before each line."""
    dumped = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_UNBROKEN)
    return "\n".join(before + line for line in dumped.splitlines())


class _Dumper(yaml.SafeDumper):
    """Writes strings in a form that every YAML parser reads as strings, and writes out aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and not isinstance(text, _Quoted)
    # Only double quotes allow escapes, which line breaks and invisible characters need.
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", str(text), None if plain else "'" if text.isprintable() else '"'
    )


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(_Quoted, _text_node)
