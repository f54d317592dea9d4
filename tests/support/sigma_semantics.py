r"""What a Sigma detection means, said a second time: an evaluator that shares no code with the package or pySigma.

Written from the rules specification and the modifiers appendix, version 2.1.0. It converts nothing and is in no hurry:
a disagreement between a converted query and this module is a fault in one of them. What Sigma does not say is decided
here as follows, and refused with ValueError where no answer is better than another.

- Field: its values count one by one. A value of the rule holds if any value of the field satisfies it; `not` and `neq`
  negate the whole, so they hold for a missing field. A null or an empty list in the document is no value.
- Case: two letters are alike if one is the simple upper or lower case of the other. So é is É and ẞ is ß, but ß is not
  ss, and the Kelvin sign is k but not K. `*` and `?` stand for any characters, line ends too.
- Boolean in the rule: a boolean, or its JSON text ("true", not "True").
- Number in the rule: a number of the same value, or a text that JSON writes this value as without an exponent ("5" or
  "5.0", not "05"). Text in the rule: the JSON text of numbers and booleans (5.0 is "5.0", True is "true").
- `lt` and its kin: numbers, and texts that are plain decimals; never booleans.
- `re`: Python's `re`, found anywhere; `$` also before a final line end; `\w` and its kin mean ASCII, as in PCRE.
- `windash`: each of the five characters stands for all five, wherever it is.
- Time parts: those of an ISO 8601 text or of a number of milliseconds since 1970, in UTC; `week` is the ISO week.
- Keywords without a field: some value of the document, as text, contains the keyword.
- A field whose name ends in `_*`: the values of all fields whose names begin so.
"""

import base64
import itertools
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from ipaddress import ip_address, ip_network
from typing import TypeAlias


class Wildcard(Enum):
    """The two characters with a meaning of their own."""

    TEXT = "*"
    CHARACTER = "?"


Scalar: TypeAlias = str | int | float | bool
Document: TypeAlias = Mapping[str, object]
Placeholders: TypeAlias = Mapping[str, Sequence[str]]
Predicate: TypeAlias = Callable[[Document], bool]
# An element that is a text stands for one character: any one of those in it.
Pattern: TypeAlias = tuple[str | Wildcard, ...]
# `wide` and its kin make bytes, which may or may not be a text.
Value: TypeAlias = Pattern | bytes


def matches(detection: Mapping[str, object], document: Document, placeholders: Placeholders | None = None) -> bool:
    """Whether a flat document (field -> scalar or list of scalars) satisfies a rule's `detection`.

    `placeholders` gives the values of each name that `expand` may meet.
    Raises ValueError for a detection that has no meaning in Sigma, or none that is certain.
    """
    return compile_detection(detection, placeholders)(document)


def compile_detection(detection: Mapping[str, object], placeholders: Placeholders | None = None) -> Predicate:
    """The detection as a function of the document; for many documents. See `matches`."""
    selections = {
        name: _selection(definition, placeholders or {})
        for name, definition in detection.items()
        if name != "condition"
    }
    given = detection.get("condition")
    conditions = given if isinstance(given, list) else [given]
    return _joined(any, [_Condition(text, selections).parse() for text in conditions])


# --- conditions ---


class _Condition:
    """A recursive-descent parser: or binds least, then and, not, `x of`, parentheses."""

    def __init__(self, text: object, selections: Mapping[str, Predicate]) -> None:
        if not isinstance(text, str):
            raise ValueError(f"a condition is a text, not {text!r}")
        self.text = text
        self.selections = selections
        self.tokens: list[str] = re.findall(r"[()]|[^\s()]+", text)

    def parse(self) -> Predicate:
        parsed = self.disjunction()
        if self.tokens:
            raise self.malformed()
        return parsed

    def disjunction(self) -> Predicate:
        parts = [self.conjunction()]
        while self.skip("or"):
            parts.append(self.conjunction())
        return _joined(any, parts)

    def conjunction(self) -> Predicate:
        parts = [self.negation()]
        while self.skip("and"):
            parts.append(self.negation())
        return _joined(all, parts)

    def negation(self) -> Predicate:
        return _not(self.negation()) if self.skip("not") else self.operand()

    def operand(self) -> Predicate:
        if self.skip("("):
            inner = self.disjunction()
            if not self.skip(")"):
                raise self.malformed()
            return inner
        if self.tokens[1:2] == ["of"]:
            quantity, _, pattern = self.take(), self.take(), self.take()
            if quantity not in ("1", "any", "all"):
                raise ValueError(f"{quantity} of {pattern} has no meaning")
            return _joined(all if quantity == "all" else any, self.selected(pattern))
        name = self.take()
        if name not in self.selections:
            raise ValueError(f"no selection {name!r} for the condition {self.text!r}")
        return self.selections[name]

    def selected(self, pattern: str) -> list[Predicate]:
        if pattern == "them":
            names = [name for name in self.selections if not name.startswith("_")]
        else:
            expression = ".*".join(map(re.escape, pattern.split("*")))
            names = [name for name in self.selections if re.fullmatch(expression, name)]
            if any(name.startswith("_") for name in names):
                raise ValueError(f"{pattern} may or may not mean selections whose name starts with _")
        return [self.selections[name] for name in names]

    def skip(self, token: str) -> bool:
        found = self.tokens[:1] == [token]
        if found:
            del self.tokens[0]
        return found

    def take(self) -> str:
        if not self.tokens:
            raise self.malformed()
        return self.tokens.pop(0)

    def malformed(self) -> ValueError:
        return ValueError(f"malformed condition {self.text!r}, at {' '.join(self.tokens) or 'its end'!r}")


def _joined(link: Callable[[Iterable[bool]], bool], parts: Sequence[Predicate]) -> Predicate:
    """The OR (`any`) or AND (`all`) of the parts."""
    if not parts:
        raise ValueError("a list, map or condition that speaks of nothing")
    return lambda document: link(part(document) for part in parts)


def _not(part: Predicate) -> Predicate:
    return lambda document: not part(document)


# --- selections and their items ---


def _selection(definition: object, placeholders: Placeholders) -> Predicate:
    if isinstance(definition, Mapping):
        return _joined(all, [_item(key, value, placeholders) for key, value in definition.items()])
    if isinstance(definition, list):
        return _joined(
            any,
            [
                _selection(part, placeholders) if isinstance(part, Mapping) else _item("", [part], placeholders)
                for part in definition
            ],
        )
    raise ValueError(f"a selection is a map or a list, not {definition!r}")


def _item(key: object, value: object, placeholders: Placeholders) -> Predicate:
    """One line of a map, or a keyword (under the key "")."""
    if not isinstance(key, str):
        raise ValueError(f"a field name is a text, not {key!r}")
    field, *modifiers = key.split("|")
    values = value if isinstance(value, list) else [value]
    every, negated = "all" in modifiers, "neq" in modifiers
    if every and (negated or len(values) < 2):
        raise ValueError(f"{key}: all needs several values, and no neq")
    if "exists" in modifiers and len(values) != 1:
        raise ValueError(f"{key}: exists needs one value")
    if not field and (None in values or not {"re", "i", "m", "s", *KEYWORD_MODIFIERS}.issuperset(modifiers)):
        raise ValueError(f"{key or value!r}: not for a search without a field")
    meaning = _meaning(field, [name for name in modifiers if name not in ("all", "neq")], placeholders)
    found = _joined(all if every else any, [meaning(each) for each in values])
    return _not(found) if negated else found


def _meaning(field: str, modifiers: list[str], placeholders: Placeholders) -> Callable[[object], Predicate]:
    """What a value means under these modifiers."""
    head, rest = (modifiers or [""])[0], modifiers[1:]
    if head == "re" and {"i", "m", "s"}.issuperset(rest):
        return lambda value: _regular_expression(field, value, rest)
    if head == "cidr" and not rest:
        return lambda value: _network(field, value)
    if head == "exists" and not rest:
        return lambda value: _existence(field, value)
    if head in COMPARISONS and not rest:
        return lambda value: _comparison(field, value, COMPARISONS[head], _number)
    if head in TIME_PARTS and (not rest or (len(rest) == 1 and rest[0] in COMPARISONS)):
        compare = COMPARISONS[rest[0]] if rest else operator.eq
        return lambda value: _comparison(field, value, compare, lambda found: _time_part(found, head))
    if "fieldref" in modifiers and {"fieldref", "cased", *AFFIXES}.issuperset(modifiers):
        return lambda value: _reference(field, value, modifiers)
    if {"cased", "expand", *AFFIXES, *TEXT_CHANGES}.issuperset(modifiers):
        return lambda value: _plain_value(field, value, modifiers, placeholders)
    raise ValueError(f"{field}: no meaning for the modifiers {'|'.join(modifiers)}")


def _values(document: Document, field: str) -> list[Scalar]:
    """The values of a field; those of all fields without one."""
    held: Iterable[object] = [document.get(field)]
    if not field or field.endswith("_*"):
        held = [value for name, value in document.items() if name.startswith(field[:-1])]
    found = []
    for value in held:
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, (str, int, float)):
                found.append(each)
            elif each is not None:
                raise ValueError(f"{field}: a document holds texts, numbers and booleans, not {each!r}")
    return found


def _some(field: str, test: Callable[[Scalar], bool]) -> Predicate:
    return lambda document: any(map(test, _values(document, field)))


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# --- the kinds of values ---


def _plain_value(field: str, value: object, modifiers: list[str], placeholders: Placeholders) -> Predicate:
    if value is None and not modifiers:
        return lambda document: not _values(document, field)
    if isinstance(value, (bool, int, float)):
        if {"cased", *AFFIXES}.issuperset(modifiers) and (modifiers or not field):
            return _text_value(field, [tuple(json.dumps(value))], modifiers, placeholders)
        if field and not modifiers:
            return _some(field, _equal_to(value))
    if not isinstance(value, str):
        raise ValueError(f"{field}: {value!r} is no value for the modifiers {'|'.join(modifiers) or '(none)'}")
    return _text_value(field, [_parse(value)], modifiers, placeholders)


def _text_value(field: str, found: Sequence[Value], modifiers: list[str], placeholders: Placeholders) -> Predicate:
    for name in modifiers if field else [*modifiers, "contains"]:
        if name == "expand":
            found = [new for old in found for new in _expand(_pattern(old), placeholders)]
        elif name in AFFIXES:
            before, after = AFFIXES[name]
            found = [(*before, *_pattern(old), *after) for old in found]
        elif name != "cased":
            found = [new for old in found for new in TEXT_CHANGES[name](old)]
    same = operator.eq if "cased" in modifiers else _alike
    patterns = [_pattern(each) for each in found]
    return _some(field, lambda value: any(_fits(each, _text(value), same) for each in patterns))


def _equal_to(wanted: bool | int | float) -> Callable[[Scalar], bool]:
    if isinstance(wanted, bool):
        return lambda value: _text(value) == json.dumps(wanted)
    number = _rule_number(wanted)
    decimal = f"{number:f}"
    decimal = decimal.rstrip("0").rstrip(".") if "." in decimal else decimal
    texts = (decimal, decimal if "." in decimal else f"{decimal}.0")
    return lambda value: value in texts if isinstance(value, str) else _number(value) == number


def _regular_expression(field: str, value: object, flags: Sequence[str]) -> Predicate:
    if not isinstance(value, str):
        raise ValueError(f"{field}|re: a regular expression is a text, not {value!r}")
    names = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
    try:
        expression = re.compile(value, sum(names[flag] for flag in set(flags)) | (0 if "i" in flags else re.ASCII))
    except re.error as error:
        raise ValueError(f"{field}|re: {value!r}: {error}") from None
    # Python has either ASCII classes or the case of all letters, but not both.
    classes = "i" in flags and re.search(r"\\[bdswBDSW]", value)

    def found(held: Scalar) -> bool:
        if classes and not _text(held).isascii():
            raise ValueError(f"{field}|re|i: {classes[0]} cannot be tried on {held!r}")
        return expression.search(_text(held)) is not None

    return _some(field, found)


def _network(field: str, value: object) -> Predicate:
    if not isinstance(value, str):
        raise ValueError(f"{field}|cidr: a network is a text, not {value!r}")
    network = ip_network(value)

    def inside(held: Scalar) -> bool:
        try:
            return isinstance(held, str) and ip_address(held) in network
        except ValueError:
            return False

    return _some(field, inside)


def _existence(field: str, value: object) -> Predicate:
    if not isinstance(value, bool):
        raise ValueError(f"{field}|exists: needs true or false, not {value!r}")
    return lambda document: bool(_values(document, field)) == value


def _comparison(
    field: str,
    value: object,
    compare: Callable[[Decimal, Decimal], bool],
    measure: Callable[[Scalar], Decimal | None],
) -> Predicate:
    limit = _rule_number(value)

    def holds(held: Scalar) -> bool:
        number = measure(held)
        return number is not None and compare(number, limit)

    return _some(field, holds)


def _reference(field: str, value: object, modifiers: Sequence[str]) -> Predicate:
    affixes = [name for name in modifiers if name in AFFIXES]
    if not isinstance(value, str) or len(affixes) > 1:
        raise ValueError(f"{field}|fieldref: needs the name of a field and one way to compare")
    before, after = AFFIXES[affixes[0]] if affixes else ((), ())
    same = operator.eq if "cased" in modifiers else _alike

    def related(mine: Scalar, other: Scalar) -> bool:
        if not affixes and _is_number(mine) and _is_number(other):
            return _number(mine) == _number(other)
        return _fits((*before, *_text(other), *after), _text(mine), same)

    return lambda document: any(
        itertools.starmap(related, itertools.product(_values(document, field), _values(document, value)))
    )


# --- texts ---


def _parse(text: str) -> Pattern:
    r"""A text of a rule: `\*`, `\?` and `\\` stand for the second character, any other backslash for itself."""
    wildcards = {wildcard.value: wildcard for wildcard in Wildcard}
    return tuple(
        part[1] if len(part) == 2 else wildcards.get(part, part) for part in re.findall(r"(?s)\\[\\*?]|.", text)
    )


def _alike(one: str, other: str) -> bool:
    """Whether two characters differ at most in case."""
    # Python has the full mappings. Where these are longer than a character and so never hold, a simple mapping, if
    # there is one, is also the way back from the other letter; only not from i to İ.
    return one == other or one in _cases(other) or other in _cases(one)


def _cases(character: str) -> tuple[str, str]:
    return ("i" if character == "İ" else character.lower()), character.upper()


def _fits(pattern: Pattern, text: str, same: Callable[[str, str], bool]) -> bool:
    """Whether a pattern matches a whole text. Only the last `*` ever needs to take in one character more."""
    at = place = 0
    retry: tuple[int, int] | None = None
    while place < len(text):
        token = pattern[at] if at < len(pattern) else ""
        if token is Wildcard.TEXT:
            at += 1
            retry = at, place
        elif token is Wildcard.CHARACTER or any(same(each, text[place]) for each in token):
            at += 1
            place += 1
        elif retry:
            at, place = retry[0], retry[1] + 1
            retry = at, place
        else:
            return False
    return all(token is Wildcard.TEXT for token in pattern[at:])


def _pattern(value: Value) -> Pattern:
    try:
        return tuple(value.decode()) if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        raise ValueError(f"{value!r} is no text: only base64 or base64offset can follow") from None


def _plain_bytes(value: Value) -> list[bytes]:
    """The value to encode; several where a character of it has alternatives."""
    if isinstance(value, bytes):
        return [value]
    texts = [token for token in value if isinstance(token, str)]
    if len(texts) < len(value):
        raise ValueError("a text with wildcards cannot be encoded")
    return ["".join(characters).encode() for characters in itertools.product(*texts)]


def _windash(value: Value) -> list[Value]:
    return [tuple(DASHES if isinstance(token, str) and token in DASHES else token for token in _pattern(value))]


def _utf16(codec: str, mark: bytes = b"") -> Callable[[Value], list[Value]]:
    return lambda value: [mark + plain.decode().encode(codec) for plain in _plain_bytes(_pattern(value))]


def _base64(value: Value) -> list[Value]:
    return [tuple(base64.b64encode(plain).decode()) for plain in _plain_bytes(value)]


def _base64offset(value: Value) -> list[Value]:
    """For each place that the bytes can have in a group of three, the characters that no neighbour can change."""
    found: list[Value] = []
    for plain, shift in itertools.product(_plain_bytes(value), range(3)):
        encoded = base64.b64encode(bytes(shift) + plain).decode()
        first = math.ceil(shift * 8 / 6)
        stop = (shift + len(plain)) * 8 // 6
        if first >= stop:
            raise ValueError(f"{plain!r} is too short for base64offset")
        found.append(tuple(encoded[first:stop]))
    return found


def _expand(value: Pattern, placeholders: Placeholders) -> list[Pattern]:
    r"""The pattern with `%name%` replaced by each of the name's values; `\%` is a plain percent character."""
    parts: list[list[Pattern]] = []
    at = 0
    while at < len(value):
        if value[at : at + 2] == ("\\", "%"):
            parts.append([("%",)])
            at += 2
        elif value[at] == "%":
            end = value.index("%", at + 1) if "%" in value[at + 1 :] else len(value)
            name = "".join("*" if isinstance(token, Wildcard) else token for token in value[at + 1 : end])
            if end == len(value) or name not in placeholders:
                raise ValueError(f"no placeholder %{name}%")
            parts.append([_parse(text) for text in placeholders[name]])
            at = end + 1
        else:
            parts.append([(value[at],)])
            at += 1
    return [tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*parts)]


# --- numbers and times ---


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Scalar) -> Decimal | None:
    """The number that a value is, or that its text writes as a plain decimal."""
    if isinstance(value, str):
        return Decimal(value) if re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", value) else None
    return Decimal(repr(value)) if _is_number(value) and math.isfinite(value) else None


def _rule_number(value: object) -> Decimal:
    number = _number(value) if isinstance(value, (int, float)) else None
    if number is None:
        raise ValueError(f"needs a number, not {value!r}")
    return number


def _time_part(value: Scalar, part: str) -> Decimal | None:
    moment = _time(value)
    return None if moment is None else Decimal(TIME_PARTS[part](moment))


def _time(value: Scalar) -> datetime | None:
    try:
        if not isinstance(value, str):
            return EPOCH + timedelta(milliseconds=value) if _is_number(value) else None
        date, _, time = value.replace(" ", "T").partition("T")
        found = re.fullmatch(r"([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]+)?(Z|[+-][0-9:]+)?", time or "00:00")
        if not found or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", date):
            return None
        moment = datetime.fromisoformat(f"{date}T{found[1]}")
    except (ValueError, OverflowError):
        return None
    if found[2] not in (None, "Z", "+00:00", "-00:00"):
        raise ValueError(f"{value}: Sigma does not say what a time part is in another time zone")
    return moment


# --- the modifiers ---

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DASHES = "-/–—―"  # noqa: RUF001  # the characters that Sigma names
STAR = (Wildcard.TEXT,)
AFFIXES: Mapping[str, tuple[Pattern, Pattern]] = {
    "contains": (STAR, STAR),
    "startswith": ((), STAR),
    "endswith": (STAR, ()),
}
TEXT_CHANGES: Mapping[str, Callable[[Value], list[Value]]] = {
    "windash": _windash,
    "wide": _utf16("utf-16-le"),
    "utf16le": _utf16("utf-16-le"),
    "utf16be": _utf16("utf-16-be"),
    "utf16": _utf16("utf-16-le", b"\xff\xfe"),
    "base64": _base64,
    "base64offset": _base64offset,
}
KEYWORD_MODIFIERS = {"all", "cased", "contains", "expand", *TEXT_CHANGES}
COMPARISONS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
TIME_PARTS: Mapping[str, Callable[[datetime], int]] = {
    "minute": lambda time: time.minute,
    "hour": lambda time: time.hour,
    "day": lambda time: time.day,
    "week": lambda time: time.isocalendar()[1],
    "month": lambda time: time.month,
    "year": lambda time: time.year,
}
