"""Random documents like flattened CloudTrail records, and random Sigma detections over them, for hypothesis."""

import re
from typing import Any, TypeAlias

from hypothesis import strategies as st

from sigma_stellar_aws.reference.flat_schema import Document

Detection: TypeAlias = dict[str, Any]

TEXT_FIELDS = ("eventName", "userAgent", "errorMessage", "requestParameters_policyDocument")
NUMBER_FIELDS = ("requestParameters_maxResults", "additionalEventData_bytesTransferredOut")
OBJECT = "requestParameters_*"
FLAG_FIELD = "readOnly"
ADDRESS_FIELD = "sourceIPAddress"

# Few enough that a random condition finds something, and with every character that some language takes for its own.
PIECES = (
    *("a", "A", "aB", "Ab", "b", "é", "É", "ß", "k", "10", "9", "2.5", "-", "/", " ", ".", ":"),
    *("*", "?", "\\", '"', "'", "(", ")", "[", "]", "{", "}", "+", "|", "^", "$", "#", "@", "&", "<", ">", "~", "\n"),
    *("true", "True", "\N{GRINNING FACE}", "DeleteRule", "arn:aws:iam::123456789012:user/", "curl", "Client."),
)
ADDRESSES = ("192.0.2.1", "192.0.2.77", "198.51.100.7", "203.0.113.255", "2001:db8::1", "2001:db8:4:7::1f")
NETWORKS = ("192.0.2.0/24", "192.0.2.64/26", "198.51.100.7/32", "192.0.0.0/12", "2001:db8::/32", "2001:db8:4:7::/64")
WHOLE_NUMBERS = (-20, -1, 0, 1, 5, 9, 10, 99, 100, 4096)
FRACTIONS = (-7.25, 0.5, 2.5, 9.5, 10.25, 1234.5)
REGEXES = (
    *(
        "^a",
        "b$",
        "[^ab]",
        "(a|b)+",
        r"\d{2}",
        r"\\",
        r"^\S+$",
        "a.c",
        "[é]",
        "^(true|10)$",
        r"\[",
        "[.-9]",
        "[+-:]1",
        "A",
        "k",
        "^$",
    ),
    *(r"[A-Z]", r"(?i)ab", r"(?i:a)B", r"^.{2,4}$", r"a*?b", r"\w+\.", r"[\w.]+:", "^DeleteRule$", r"\.$", "a|^b"),
)
ENCODED = ("curl", "ab", "DeleteRule")


def _texts(most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(PIECES), max_size=most).map("".join)


def _values(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(one, one, st.lists(one, min_size=1, max_size=3))


def _long(length: int) -> st.SearchStrategy[str]:
    return _texts(2).map(lambda text: "x" * length + text)


_SHORT = st.one_of(
    *(_texts(3), _texts(3), _texts(3)),
    st.sampled_from(("Y3VybA==", "xjdXJs", "a\0b\0", "/a", "-a", "\N{EN DASH}a")),
)
# No field is longer than CloudTrail makes it.
_SEEN_TEXTS = {
    "eventName": _SHORT,
    "userAgent": st.one_of(_SHORT, _long(257)),
    "errorMessage": st.one_of(_SHORT, _long(257)),
    "requestParameters_policyDocument": st.one_of(_SHORT, _long(257), _long(1025)),
}

DOCUMENTS: st.SearchStrategy[Document] = st.fixed_dictionaries(
    {},
    optional={
        **{field: _values(texts) for field, texts in _SEEN_TEXTS.items()},
        NUMBER_FIELDS[0]: _values(st.sampled_from(WHOLE_NUMBERS)),
        NUMBER_FIELDS[1]: _values(st.sampled_from(FRACTIONS)),
        FLAG_FIELD: st.booleans(),
        ADDRESS_FIELD: _values(st.sampled_from((*ADDRESSES, "AWS Internal", "lambda.amazonaws.com"))),
    },
)

SEED_DOCUMENT: Document = {
    **dict.fromkeys(TEXT_FIELDS, "seed"),
    NUMBER_FIELDS[0]: 7,
    NUMBER_FIELDS[1]: 7.5,
    FLAG_FIELD: True,
    ADDRESS_FIELD: "192.0.2.9",
}
"""A document with every field, so that a dynamic mapping knows them all."""


@st.composite
def _sigma_texts(draw: st.DrawFn) -> str:
    """A text as a rule writes it: literal parts (escaped or not) and wildcards."""
    text = draw(_texts(3))
    if draw(st.booleans()):
        text = text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")
    wildcards = st.sampled_from(("", "", "", "*", "?"))
    return draw(wildcards) + text + draw(wildcards)


@st.composite
def _composed_regexes(draw: st.DrawFn) -> str:
    """A regular expression of parts in a row, or of alternatives, with or without anchors."""
    atoms = st.sampled_from(
        ("a", "b", "B", ".", "[ab]", "[^a]", r"\.", r"\d", r"\*", "(a|10)", "(?:b)", "[A-Z]", r"\w", "é")
    )
    repeated = st.tuples(atoms, st.sampled_from(("", "", "", "*", "+", "?", "{2}", "{1,3}", "*?"))).map("".join)
    parts = st.lists(repeated, min_size=1, max_size=3).map("".join)
    alternatives = draw(st.lists(parts, min_size=1, max_size=2))
    return draw(st.sampled_from(("", "^"))) + "|".join(alternatives) + draw(st.sampled_from(("", "$")))


def _listed(values: st.SearchStrategy[Any], modifiers: str) -> st.SearchStrategy[tuple[str, Any]]:
    lists = st.lists(values, min_size=1, max_size=3, unique=True)
    return st.one_of(
        st.tuples(st.just(modifiers), values),
        st.tuples(st.just(modifiers), lists),
        st.tuples(st.just(f"{modifiers}|all"), st.lists(values, min_size=2, max_size=3, unique=True)),
    )


_PLAIN = _sigma_texts()
_TEXT_ITEMS = st.one_of(
    *(
        _listed(_PLAIN, f"{kind}{cased}")
        for kind in ("", "|contains", "|startswith", "|endswith")
        for cased in ("", "|cased")
    ),
    *(_listed(st.sampled_from(REGEXES), f"|re{flags}") for flags in ("", "|s", "|m")),
    # What classes such as \\w mean beyond ASCII without regard to case is for each engine to say.
    *(
        _listed(st.sampled_from([r for r in REGEXES if not re.search(r"\\[dSw]", r)]), f"|re{flags}")
        for flags in ("|i", "|i|s")
    ),
    st.tuples(
        st.just(""), st.one_of(st.none(), st.just("*"), st.just(""), st.sampled_from(WHOLE_NUMBERS), st.booleans())
    ),
    st.tuples(st.just("|exists"), st.booleans()),
    st.tuples(st.just("|windash|contains"), st.sampled_from(("-a", " /a", " -a"))),
    st.tuples(st.just("|base64offset|contains"), st.sampled_from(ENCODED)),
    st.tuples(st.sampled_from(("|wide|base64", "|base64", "|base64|cased")), st.sampled_from(ENCODED)),
    st.tuples(st.sampled_from(("|lt", "|gte")), st.sampled_from(WHOLE_NUMBERS + FRACTIONS)),
    st.tuples(st.sampled_from(("|neq", "|contains|neq", "|startswith|cased|neq")), _PLAIN),
    st.tuples(st.just("|re"), _composed_regexes()),
)


def _number_items(numbers: tuple[float, ...]) -> st.SearchStrategy[tuple[str, Any]]:
    number = st.sampled_from(numbers)
    return st.one_of(
        _listed(number, ""),
        st.tuples(st.sampled_from(("|lt", "|lte", "|gt", "|gte", "|neq")), st.sampled_from(WHOLE_NUMBERS + FRACTIONS)),
        st.tuples(st.just(""), st.one_of(st.none(), st.just("*"), number.map(str))),
        st.tuples(st.just("|exists"), st.booleans()),
    )


_FLAG_ITEMS = st.one_of(
    st.tuples(st.just(""), st.one_of(st.booleans(), st.none(), st.sampled_from(("true", "False", "*", "t*", "?rue")))),
    st.tuples(st.just("|cased"), st.sampled_from(("true", "True"))),
    st.tuples(st.sampled_from(("|contains", "|startswith")), st.sampled_from(("t", "E", "fal"))),
    st.tuples(st.just("|re"), st.sampled_from(("^t", "E$", "s"))),
    st.tuples(st.just("|exists"), st.booleans()),
)
_ADDRESS_ITEMS = st.one_of(
    _listed(st.sampled_from(ADDRESSES), ""),
    _listed(st.sampled_from(NETWORKS), "|cidr").filter(lambda item: not item[0].endswith("all")),
    st.tuples(st.just("|startswith"), st.sampled_from(("192.0.2.", "2001:DB8:", "203."))),
    st.tuples(st.just(""), st.one_of(st.none(), st.just("192.0.2.*"))),
)


def _named(fields: tuple[str, ...], items: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.sampled_from(fields), items).map(lambda drawn: (drawn[0] + drawn[1][0], drawn[1][1]))


_REFERENCES = st.tuples(
    st.sampled_from(TEXT_FIELDS),
    st.sampled_from(("|fieldref", "|fieldref|contains", "|fieldref|startswith", "|fieldref|endswith", "|fieldref|neq")),
    st.sampled_from((*TEXT_FIELDS, ADDRESS_FIELD, NUMBER_FIELDS[0])),
).map(lambda drawn: (drawn[0] + drawn[1], drawn[2]))
_BELOW_OBJECT = st.one_of(
    _TEXT_ITEMS,
    _number_items(WHOLE_NUMBERS),
    _listed(st.sampled_from(NETWORKS), "|cidr").filter(lambda item: not item[0].endswith("all")),
).map(lambda drawn: (OBJECT + drawn[0], drawn[1]))
_OF_ONE_FIELD = (
    _named(TEXT_FIELDS, _TEXT_ITEMS),
    _named(TEXT_FIELDS, _TEXT_ITEMS),
    _named(NUMBER_FIELDS[:1], _number_items(WHOLE_NUMBERS)),
    _named(NUMBER_FIELDS[1:], _number_items(FRACTIONS)),
    _named((FLAG_FIELD,), _FLAG_ITEMS),
    _named((ADDRESS_FIELD,), _ADDRESS_ITEMS),
)
_KEYWORDS = st.one_of(
    st.lists(st.one_of(_PLAIN, st.sampled_from(WHOLE_NUMBERS + FRACTIONS), st.booleans()), min_size=1, max_size=3),
    st.tuples(st.just("|all"), st.lists(_PLAIN, min_size=2, max_size=3, unique=True)).map(lambda item: dict([item])),
    st.sampled_from(({"|windash": "-a"}, {"|cased": "aB"}, {"|contains|all": ["a", "B"]}, {"|base64offset": "curl"})),
    st.tuples(st.sampled_from(("|re", "|re|s")), st.sampled_from(REGEXES)).map(lambda item: dict([item])),
)


def _selections(items: st.SearchStrategy[tuple[str, Any]], *more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    maps = st.lists(items, min_size=1, max_size=3).map(dict)
    lists = st.lists(maps, min_size=1, max_size=3)
    return st.sampled_from((*[maps] * 9, *[lists] * 3, *more)).flatmap(lambda kind: kind)


_ANY_SELECTIONS = _selections(st.one_of(*_OF_ONE_FIELD, _REFERENCES, _BELOW_OBJECT), _KEYWORDS)
_SELECTIONS_OF_ONE_FIELD = _selections(st.one_of(*_OF_ONE_FIELD))
_CONDITIONS = (
    ("selection",),
    ("selection", "not selection"),
    ("selection", "filter_a", "selection and not filter_a"),
    ("selection", "filter_a", "filter_b", "selection and not 1 of filter_*"),
    ("selection", "filter_a", "filter_b", "selection or not all of filter_*"),
    ("selection_a", "selection_b", "1 of selection_*"),
    ("selection_a", "selection_b", "all of selection_*"),
    ("selection_a", "selection_b", "1 of them"),
    ("selection_a", "selection_b", "not (selection_a or not selection_b)"),
    ("selection_a", "selection_b", "selection_c", "(selection_a or selection_b) and not (selection_b and selection_c)"),
)


@st.composite
def _detections(draw: st.DrawFn, selections: st.SearchStrategy[Any]) -> Detection:
    *names, condition = draw(st.sampled_from(_CONDITIONS))
    if not names:
        names = [condition]
    return {**{name: draw(selections) for name in names}, "condition": condition}


DETECTIONS: st.SearchStrategy[Detection] = _detections(_ANY_SELECTIONS)
DETECTIONS_OF_FIELDS: st.SearchStrategy[Detection] = _detections(_SELECTIONS_OF_ONE_FIELD)
"""Without what asks many fields, or two: most stores refuse one of those, and with it the whole detection."""
