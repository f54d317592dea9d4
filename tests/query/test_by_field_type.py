"""Queries by the type of their field: as data, and on real engines."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import pytest
from opensearchpy import OpenSearch, OpenSearchException
from sigma.collection import SigmaCollection

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import InexactQueryWarning, UnsupportedConditionError
from sigma_stellar_aws.query import dsl, store_profile
from sigma_stellar_aws.query.by_field_type import field_query
from sigma_stellar_aws.query.cut_values import cut_values
from sigma_stellar_aws.query.dsl import Clause
from sigma_stellar_aws.query.questions import Boolean, NoQueryError, Number, Present, Text
from sigma_stellar_aws.query.store_profile import Engine, MappedField, StoreProfile
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store
from tests.support.sigma_semantics import matches as satisfies
from tests.support.yaml_files import read_yaml

CASES: list[dict[str, Any]] = read_yaml(Path(__file__).parents[1] / "cases" / "field_queries.yml")
ID = "6d0b1f5e-57a6-4f0e-9a3b-0d2a1c7e9b42"
Ask: TypeAlias = dict[str, Any]
"""A selection of a rule."""


def cases(key: str) -> pytest.MarkDecorator:
    """The cases that have a key."""
    return pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in CASES if key in c])


def profile_of(case: dict[str, Any]) -> StoreProfile:
    """The store profile of a case."""
    fields = case.get("fields") or {"f": case["mapping"]}
    return store_profile.profile_from_json(
        store_profile.profile_as_json("some-*", case.get("engine", "opensearch"), "1", fields)
    )


def convert(selection: Ask, profile: StoreProfile, **options: Any) -> Clause:
    """The query of a selection, without its name."""
    detection: dict[str, Any] = {"selection": selection, "condition": "selection"}
    rule: dict[str, Any] = {"title": "Some Rule", "id": ID, "logsource": {"product": "aws", "service": "cloudtrail"}}
    backend = StellarAwsBackend(store=profile, **options)
    [body] = backend.convert(SigmaCollection.from_dicts([{**rule, "detection": detection}]))
    return dsl.unnamed(cast(Clause, body["query"]))


@cases("query")
def test_condition_becomes_the_query_of_its_field(case: dict[str, Any]) -> None:
    """Each condition becomes the query beside it: exactly and without a word, or with a warning of what is in doubt."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inexact = "warn" if "doubt" in case else "refuse"
        query = convert(case["selection"], profile_of(case), inexact=inexact, **case.get("options", {}))
    assert query == case["query"]
    doubts = [warning.message for warning in caught if isinstance(warning.message, InexactQueryWarning)]
    assert [doubt.kind for doubt in doubts] == ([case["doubt"]] if "doubt" in case else [])
    for doubt in doubts:
        assert case["reason"] in doubt.reason
        assert doubt.rule == "Some Rule"
        assert doubt.field == next(iter(case["selection"])).partition("|")[0]


@cases("doubt")
def test_an_inexact_query_is_refused_unless_asked_for(case: dict[str, Any]) -> None:
    """By default a doubt is an error that names rule, field and reason, and the option that converts all the same."""
    with pytest.raises(UnsupportedConditionError) as error:
        convert(case["selection"], profile_of(case), **case.get("options", {}))
    field = next(iter(case["selection"])).partition("|")[0]
    assert f"Rule 'Some Rule': field {field!r}: " in str(error.value)
    assert case["reason"] in str(error.value)
    assert str(error.value).endswith("(inexact=warn, or --inexact, converts it all the same)")


@cases("refused")
@pytest.mark.parametrize("inexact", ["refuse", "warn"])
def test_what_no_query_answers_is_refused(case: dict[str, Any], inexact: str) -> None:
    """A condition that the field cannot answer at all is an error with the reason, whatever is accepted."""
    with pytest.raises(UnsupportedConditionError) as error:
        convert(case["selection"], profile_of(case), inexact=inexact, **case.get("options", {}))
    assert case["refused"] in str(error.value)
    assert "inexact=warn" not in str(error.value)


def test_names_of_cases_are_unique() -> None:
    """Every case can be told from the others, and says exactly one thing."""
    names = [case["name"] for case in CASES]
    assert sorted(set(names)) == sorted(names)
    assert all(("query" in case) != ("refused" in case) and ("mapping" in case) != ("fields" in case) for case in CASES)


def test_a_field_without_a_profile_has_an_untyped_query() -> None:
    """A field of an unknown type with a sub-field asks for texts in it, and for all else in the field itself."""
    backend = StellarAwsBackend(keyword_suffix=".keyword")
    rule: dict[str, Any] = {"title": "Some Rule", "id": ID, "logsource": {"product": "aws", "service": "cloudtrail"}}
    detection: dict[str, Any] = {"selection": {"f": "a", "g": 5, "h|gt": 5}, "condition": "selection"}
    [body] = backend.convert(SigmaCollection.from_dicts([{**rule, "detection": detection}]))
    assert dsl.fields(body["query"]) == ["f.keyword", "g", "h"]


@pytest.mark.parametrize(
    ("mappings", "message"),
    [
        ([MappedField("f", "long")], "it holds numbers (long), for which this cannot be asked"),
        (
            [MappedField("f", "long"), MappedField("f", "ip")],
            "its mapping differs between the indices: as long, it holds numbers (long), for which this cannot be "
            "asked; as ip, it holds addresses (ip), of which only a whole one or a network (|cidr) can be asked",
        ),
        (
            [MappedField("f", "text", subfields=(MappedField("f.k", "keyword", normalizer="other"),))],
            "it is analysed text (text), which only keeps the words of a value; f.k: its normalizer changes more than "
            "case, so exact values cannot be found",
        ),
    ],
)
def test_every_mapping_that_cannot_answer_is_told(mappings: list[MappedField], message: str) -> None:
    """The reason speaks of every mapping of the field, and of every sub-field."""
    with pytest.raises(NoQueryError) as error:
        field_query(Text(("a", None), ignore_case=True), mappings)
    assert str(error.value) == message


def test_a_doubt_of_several_mappings_is_told_once() -> None:
    """Indices that disagree in what does not matter share a query, and each of their doubts once."""
    limited = [MappedField("f", "keyword", ignore_above=limit) for limit in (64, 128, 64)]
    query = field_query(Text((None, "a"), ignore_case=False), limited)
    assert query.clause == dsl.wildcard("f", "*a")
    assert [doubt.kind for doubt in query.doubts] == ["cut", "cut"]
    assert [reason.split()[2] for _, reason in query.doubts] == ["64", "128"]


@pytest.mark.parametrize(
    ("field", "engine", "expected"),
    [
        (MappedField("f", "keyword", 256), "elasticsearch", dsl.term("_ignored", "f")),
        (MappedField("f", "keyword", 256), "opensearch", None),
        (MappedField("f", "keyword"), "elasticsearch", None),
        (MappedField("f", "long"), "elasticsearch", None),
        (MappedField("f", "text", subfields=(MappedField("f.k", "keyword"),)), "elasticsearch", None),
        (
            MappedField("f", "text", subfields=(MappedField("f.k", "keyword", 256),)),
            "elasticsearch",
            dsl.term("_ignored", "f.k"),
        ),
        (
            MappedField("f", "text", subfields=(MappedField("f.k", "keyword", 256),)),
            "opensearch",
            dsl.all_of([dsl.exists("f"), dsl.none_of(dsl.exists("f.k"))]),
        ),
        (MappedField("f", "keyword", subfields=(MappedField("f.k", "keyword", 256),)), "opensearch", None),
    ],
    ids=str,
)
def test_events_with_values_that_are_not_indexed(field: MappedField, engine: Engine, expected: Clause | None) -> None:
    """They are those that Elasticsearch keeps account of, or whose text is indexed and exact text is not."""
    assert cut_values([field], {"f", "f.k"}, engine) == expected
    assert cut_values([field], {"g"}, engine) is None


def test_cut_values_of_an_object_and_of_an_alias_are_found_by_what_is_stored() -> None:
    """Inside an object of keywords the engine tells of the object, and of an alias of its field."""
    flattened = MappedField("o", "flattened", 256)
    assert cut_values([flattened], {"o.a.b"}, "elasticsearch") == dsl.term("_ignored", "o")
    assert cut_values([flattened], {"other"}, "elasticsearch") is None
    alias = MappedField("f", "keyword", 256, stored_name="real")
    assert cut_values([alias], {"f"}, "elasticsearch") == dsl.term("_ignored", "real")
    assert cut_values([alias], {"real"}, "elasticsearch") is None


def test_cut_values_of_several_fields_are_any_of_them() -> None:
    """Only the named fields count, and one of them is enough."""
    fields = [MappedField(name, "keyword", 256) for name in "fgh"]
    assert cut_values(fields, {"f", "g"}, "elasticsearch") == dsl.terms("_ignored", ["f", "g"])


# --- On real engines ---

LOWER: JsonObject = {"analysis": {"normalizer": {"lower": {"type": "custom", "filter": ["lowercase"]}}}}
BOTH = ("opensearch", "elasticsearch")

TEXTS: tuple[Any, ...] = (
    *("DeleteRule", "deleterule", "DELETERULE", "Delete Rule", "DeleteRuleGroup", "xDeleteRule", "", " ", "!!!"),
    *("5", "05", "-3", "10", "9", "2.5", "2.50", "true", "false", "trueish", "a*b", "axb", "a?b", "a\\b", "a\nb"),
    *("É", "é", "É-Rule", "é-rule", "日本", "_", "Z", "z", "[x]", "`", "192.0.2.7", "192.0.2.70", "2001:db8::1"),
    *("x" * 300, "x" * 300 + "DeleteRule", "\N{GRINNING FACE}" * 200, ["DeleteRule", "Other"], ["x" * 300, "5"]),
)
TEXT_ASKS: tuple[Ask, ...] = (
    *({"f": text} for text in ("DeleteRule", "deleterule", "", " ", "!!!", "5", "-3", "2.5", "true", "É", "é-rule")),
    *({"f": text} for text in ("a\\*b", "a\\?b", "a\\b", "a\nb", "日本", "x" * 300, "\N{GRINNING FACE}" * 200)),
    *({"f": text} for text in ("Delete*", "*Rule", "*rule*", "*", "?", "??", "a?b", "d?lete*", "*\\**", "a\\*b*")),
    *({"f": text} for text in ("é*", "*é*", "?-Rule", "x*", "192.0.2.7", "192.0.2.*", "*\\\\*", "*\n*", "?*")),
    *({"f|cased": text} for text in ("DeleteRule", "deleterule", "5", "É", "Delete*", "*Rule", "d?lete*", "true")),
    {"f": ["5", "DeleteRule", "é", "10"]},
    {"f|contains|all": ["delete", "group"]},
    {"f|neq": "DeleteRule"},
    *({"f|re": text} for text in ("^Delete", "Rule$", "[A-Z]", r"\d+", "^.{2,4}$", "^x{300}$", "é", r"^a.b$", "^$")),
    *({"f|re|i": text} for text in ("^delete", "rule$", "é", r"^[a-z]+$")),
    {"f|re|s": "^a.b$"},
)
PRESENCE: tuple[Ask, ...] = ({"f": None}, {"f|exists": True}, {"f|exists": False}, {"f": "*"})
TYPED_ASKS: tuple[Ask, ...] = (
    *({"f": value} for value in (5, -3, 2.5, 10, 0, 300, True, False)),
    *({f"f|{operator}": bound} for operator in ("gt", "gte", "lt", "lte") for bound in (5, 2.5, 0, -3, 9)),
    *({"f|cidr": network} for network in ("192.0.2.0/24", "192.0.2.7/32", "192.0.2.64/26", "2001:db8::/32")),
)
ASKS = (*TEXT_ASKS, *PRESENCE, *TYPED_ASKS)
WHOLE: tuple[Any, ...] = (0, 5, -3, 10, 9, 100, -128, 127, [1, 9])
FRACTIONS: tuple[Any, ...] = (*WHOLE, 2.5, 2.25, -2.5, 9.5, 0.125)
TIMES: tuple[Any, ...] = (0, 5, 9, 1735689599999, 1735689600000, 1735689600001, [5, 1735689600000])
TIME_ASKS: tuple[Ask, ...] = (
    *({f"f|{operator}": bound} for operator in ("gt", "gte", "lt", "lte") for bound in (0, 5, 1735689600000)),
    *({"f": instant} for instant in (0, 5, 1735689600000, 1735689600002)),
)
ADDRESSES: tuple[Any, ...] = (
    *("192.0.2.7", "192.0.2.70", "192.0.3.7", "198.51.100.1", "2001:db8::1", "2001:db8:1::1", "2001:db9::1", "::1"),
    ["192.0.2.9", "2001:db8::2"],
)
ADDRESS_ASKS: tuple[Ask, ...] = (
    *({"f": text} for text in ("192.0.2.7", "2001:db8::1", "2001:DB8::1", "203.0.113.1", "::1")),
    *({"f|cidr": network} for network in ("2001:db8::/64", "2001:db8:1::/48", "198.51.100.0/30", "::1/128")),
    {"f|cidr": ["192.0.2.0/28", "2001:db8::/127"]},
)


class Proof(NamedTuple):
    """A mapping of the field f, values for it, and what is asked of it."""

    name: str
    mapping: JsonObject
    values: tuple[Any, ...] = TEXTS
    asks: tuple[Ask, ...] = ASKS
    least: int = len(ASKS)
    """How many of the asks it must answer; each answer must be exact."""
    engines: tuple[str, ...] = BOTH
    settings: JsonObject = {}  # noqa: RUF012
    inside: bool = False
    """Whether the mapping is of an object o that has f inside."""
    empty: bool = True
    """Whether there is a document without the field, too."""


def constant(value: str, **more: Any) -> Proof:
    """A field that has the same value in all documents."""
    mapping: JsonObject = {"type": "constant_keyword", "value": value}
    return Proof(f"constant_keyword {value}", mapping, (value,), engines=("opensearch",), empty=False, **more)


def number(kind: str, values: tuple[Any, ...] = WHOLE, **more: Any) -> Proof:
    """A field of a numeric type."""
    return Proof(kind, {"type": kind}, values, **more)


PROOFS = (
    Proof("keyword", {"type": "keyword"}),
    Proof("keyword without doc values", {"type": "keyword", "doc_values": False}),
    Proof("keyword of 256", {"type": "keyword", "ignore_above": 256}, least=60),
    Proof("keyword not indexed", {"type": "keyword", "index": False}, least=4),
    Proof("keyword neither", {"type": "keyword", "index": False, "doc_values": False}, least=0),
    Proof("keyword with null_value", {"type": "keyword", "null_value": "none"}, least=0),
    Proof("lower-cased", {"type": "keyword", "normalizer": "lower"}, settings=LOWER, least=80),
    Proof("lower-cased by name", {"type": "keyword", "normalizer": "lowercase"}, least=80),
    Proof("lower-cased beside", {"type": "keyword", "fields": {"l": {"type": "keyword", "normalizer": "lowercase"}}}),
    Proof("text", {"type": "text"}, least=4),
    Proof("text without norms", {"type": "text", "norms": False}, least=4),
    Proof("text with raw", {"type": "text", "fields": {"raw": {"type": "keyword"}}}),
    Proof("dynamic", {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}, least=60),
    Proof("text not indexed", {"type": "text", "index": False, "fields": {"k": {"type": "keyword"}}}),
    Proof("match_only_text", {"type": "match_only_text"}, least=4, engines=("opensearch",)),
    Proof("wildcard", {"type": "wildcard"}, engines=("opensearch",)),
    Proof("wildcard beside text", {"type": "text", "fields": {"w": {"type": "wildcard"}}}, engines=("opensearch",)),
    Proof("flat_object", {"type": "flat_object"}, inside=True, engines=("opensearch",)),
    Proof("flattened", {"type": "flattened"}, inside=True, engines=("elasticsearch",), least=40),
    Proof(
        "flattened of 256",
        {"type": "flattened", "ignore_above": 256},
        inside=True,
        engines=("elasticsearch",),
        least=30,
    ),
    *map(constant, ("DeleteRule", "É-Rule", "5", "2.5", "true", "192.0.2.7", "axb", "a*b", "a\\b", "")),
    Proof("boolean", {"type": "boolean"}, (True, False, "true", [True, False]), least=8),
    Proof("boolean without doc values", {"type": "boolean", "doc_values": False}, (True, False), least=8),
    *(number(kind, least=25) for kind in ("byte", "short", "integer", "long")),
    number("unsigned_long", (0, 5, 9, 10, 300), least=15, engines=("opensearch",)),
    number("double", FRACTIONS, least=25),
    number("float", FRACTIONS, least=0),
    number("half_float", FRACTIONS, least=0),
    Proof("scaled_float", {"type": "scaled_float", "scaling_factor": 100}, FRACTIONS, least=4, engines=("opensearch",)),
    Proof("long without doc values", {"type": "long", "doc_values": False}, WHOLE, least=25),
    Proof("long not indexed", {"type": "long", "index": False}, WHOLE, least=4),
    Proof("date", {"type": "date"}, TIMES, (*ASKS, *TIME_ASKS), least=len(TIME_ASKS) + 4),
    Proof("date_nanos", {"type": "date_nanos"}, TIMES, (*ASKS, *TIME_ASKS), least=4),
    Proof("date in seconds", {"type": "date", "format": "epoch_second"}, (0, 5, 9), (*PRESENCE, *TIME_ASKS), least=4),
    Proof("number beside its text", {"type": "long", "fields": {"k": {"type": "keyword"}}}, WHOLE, least=60),
    Proof(
        "text beside its number",
        {"type": "text", "fields": {"n": {"type": "long", "ignore_malformed": True}}},
        least=4,
    ),
    Proof("keyword of 3", {"type": "keyword", "ignore_above": 3}, least=19),
    Proof(
        "lower-cased, sets of one case",
        {"type": "keyword", "normalizer": "lowercase"},
        asks=tuple({"f|re": text} for text in ("[!-_]+", "^[a-z]+$", "^[^a-z]+$", "^[a-zA-Z]+$", "[^A-Za-z]")),
        least=1,
    ),
    Proof("ip", {"type": "ip"}, ADDRESSES, (*ASKS, *ADDRESS_ASKS), least=len(ADDRESS_ASKS) + 8),
    Proof("ip without doc values", {"type": "ip", "doc_values": False}, ADDRESSES, ADDRESS_ASKS, least=10),
    # What each type could get wrong at its limits: refused, or right.
    *(
        number(kind, WHOLE, asks=tuple({f"f|{o}": b} for o in ("gt", "lte") for b in bounds), least=0)
        for kind, bounds in (
            ("byte", (127, 128, -129, 2**31, -(2**31) - 1)),
            ("short", (2**15, 2**31, -(2**31) - 1)),
            ("integer", (2**31 - 1, 2**31, -(2**31) - 1, 2**52)),
            ("long", (2**52, -(2**52))),
            ("half_float", (65504, 65536, 70000, 0.1)),
            ("float", (2**52,)),
        )
    ),
    Proof(
        "unsigned_long and below",
        {"type": "unsigned_long"},
        (0, 5),
        tuple({f"f|{o}": b} for o in ("gt", "lte") for b in (-1, -2.5)),
        least=0,
        engines=("opensearch",),
    ),
    Proof(
        "half_float far away",
        {"type": "half_float"},
        (1, 2048),
        ({"f": 70000}, {"f": "70000"}),
        least=0,
        engines=BOTH,
    ),
    Proof(
        "float of numbers that it takes for one",
        {"type": "float"},
        (20000000, 20000001, 0.1, 0.1000000001),
        ({"f": 20000000}, {"f|gt": 20000000}, {"f|lte": 20000000}, {"f": 0.1}, {"f|gt": 0.1}, {"f|lte": 0.1}),
        least=0,
    ),
    Proof(
        "half_float of fractions",
        {"type": "half_float"},
        (0.1, 0.2, 2.7),
        tuple({f"f|{operator}": bound} for operator in ("gt", "gte", "lt", "lte") for bound in (0.1, 0.2, 2.7)),
        least=0,
    ),
    Proof(
        "date before 1970",
        {"type": "date"},
        (-2, -1, 0, 1),
        tuple({f"f|{operator}": -1} for operator in ("gt", "gte", "lt", "lte")),
        least=0,
    ),
    Proof(
        "date_nanos before 1970",
        {"type": "date_nanos"},
        (0, 1),
        tuple({f"f|{operator}": -1} for operator in ("gt", "gte", "lt", "lte")),
        least=0,
    ),
    Proof(
        "ip of IPv4 in IPv6",
        {"type": "ip"},
        ADDRESSES,
        ({"f|cidr": "::/0"}, {"f|cidr": "::/64"}, {"f|cidr": "::ffff:0:0/96"}, {"f|cidr": "::ffff:192.0.2.0/120"}),
        least=0,
    ),
    Proof(
        "ip, cased",
        {"type": "ip"},
        ("2001:db8::a",),
        ({"f|cased": "2001:DB8::A"}, {"f": "2001:db8:0::a"}),
        least=0,
    ),
    Proof(
        "lower-cased, ranges over both cases",
        {"type": "keyword", "normalizer": "lowercase"},
        asks=tuple({"f|re|i": text} for text in ("^[!-Z]$", "^[A-~]$", "^[Z-a]$", "^[^Z-a]$")),
        least=0,
    ),
    Proof(
        "keyword, ranges that start with what is escaped",
        {"type": "keyword"},
        asks=tuple({"f|re": text} for text in (r"^[\[-`]$", "^[.-9]+$", "^[#-/]", "^[^+-9]+$", r"^[\W_]$")),
        least=0,
    ),
    Proof(
        "keyword with a null_value that is asked for",
        {"type": "keyword", "null_value": "none"},
        (["a", None], "none", [None]),
        ({"f": "none"}, {"f": "n*"}, {"f|re": "^no"}, {"f|neq": "none"}),
        least=0,
    ),
    Proof(
        "long with a null_value that is asked for",
        {"type": "long", "null_value": -1},
        (1, [None], -1),
        ({"f": -1}, {"f|lt": 0}, {"f|gte": 0}),
        least=0,
    ),
    *(
        Proof(f"{kind} with malformed values", {"type": kind, "ignore_malformed": True}, values, PRESENCE, least=0)
        for kind, values in (
            ("ip", ("192.0.2.7", "cloudformation.amazonaws.com")),
            ("date", (5, "never")),
            ("long", (5, "many")),
        )
    ),
    Proof(
        "keyword of a limited index",
        {"type": "keyword"},
        settings={"index.mapping.ignore_above": 100},
        asks=(*PRESENCE, {"f": "x*"}, {"f": "x" * 300}, {"f": "*Rule"}),
        least=0,
        engines=("elasticsearch",),
    ),
)


def made(client: OpenSearch, index: str, proof: Proof) -> dict[str, JsonObject]:
    """Make an index of the values of a proof; the flat documents by their ids."""
    properties: JsonObject = {"o" if proof.inside else "f": proof.mapping}
    client.indices.create(index=index, body={"settings": proof.settings, "mappings": {"properties": properties}})
    documents: dict[str, JsonObject] = {str(number): {"f": value} for number, value in enumerate(proof.values)}
    if proof.empty:
        documents["empty"] = {}
    operations: list[Any] = []
    for name, document in documents.items():
        operations += [{"index": {"_index": index, "_id": name}}, {"o": document} if proof.inside else document]
    answer = client.bulk(body=operations, refresh=True)
    assert not answer["errors"], [item for item in answer["items"] if item["index"]["status"] > 299]
    return documents


def ids(proofs: tuple[Proof, ...]) -> list[Any]:
    """Each proof on each engine that has its type."""
    found: list[Any] = []
    for place, proof in enumerate(proofs):
        found += [
            pytest.param(engine, place, id=f"{proof.name} ({place}), {engine}")
            for engine in BOTH
            if engine in proof.engines
        ]
    return found


@pytest.mark.parametrize(("engine", "place"), ids(PROOFS))
def test_every_answer_is_exact(engine: str, place: int, url_of_engine: Callable[[str], str]) -> None:
    """What is converted by the profile of a real index finds the documents that Sigma says, and no others."""
    proof = PROOFS[place]
    client = connect(url_of_engine(engine), None, {})
    index = f"proof-{place}"
    documents = made(client, index, proof)
    try:
        profile = store_profile.profile_from_json(describe_store(client, index))
        queries: list[tuple[Ask, Clause]] = []
        for ask in proof.asks:
            selection = {f"o.{key}": value for key, value in ask.items()} if proof.inside else ask
            try:
                queries.append((ask, convert(selection, profile)))
            except UnsupportedConditionError:
                continue
        lines: list[Any] = []
        for _, query in queries:
            lines += [{"index": index}, {**dsl.search(query), "size": 100, "_source": False}]
        answers = client.msearch(body=lines)["responses"] if lines else []
    finally:
        client.indices.delete(index=index)
    wrong: list[str] = []
    for (ask, query), answer in zip(queries, answers, strict=True):
        if "error" in answer:
            wrong.append(f"{_short(ask)} is no query: {_short(answer['error']['root_cause'])}")
            continue
        hits = {hit["_id"] for hit in answer["hits"]["hits"]}
        expected = {name for name in documents if satisfies({"s": ask, "condition": "s"}, documents[name])}
        if hits != expected:
            more, less = ([documents[name].get("f") for name in names] for names in (hits - expected, expected - hits))
            wrong.append(f"{_short(ask)} as {_short(query)} finds {_short(more)} and misses {_short(less)}")
    assert not wrong, "\n".join(wrong)
    assert len(queries) >= proof.least, f"only {len(queries)} of {len(proof.asks)} are answered"


def _short(value: object) -> str:
    return re.sub(r"(.)\1{20,}", r"\1...", str(value))[:160]


def test_long_repetitions_are_taken_by_servers(engine_url: str) -> None:
    """A pattern that needs more states than OpenSearch allows by default is asked with as many as it needs."""
    client = connect(engine_url, None, {})
    client.indices.create(index="states", body={"mappings": {"properties": {"f": {"type": "keyword"}}}})
    try:
        for text in ("curl x | bash", "wget -q x|sh -x", "curl " + "x" * 30 + "bash", "curl"):
            client.index(index="states", body={"f": text}, params={"refresh": "true"})
        profile = store_profile.profile_from_json(describe_store(client, "states"))
        query: Any = convert({"f|re": "(curl|wget).{0,20}(sh|bash)"}, profile)
        assert client.count(index="states", body=dsl.search(query))["count"] == 2
        del query["regexp"]["f"]["max_determinized_states"]
        if profile.engine == "opensearch":
            with pytest.raises(OpenSearchException, match="Determinizing"):
                client.count(index="states", body=dsl.search(query))
    finally:
        client.indices.delete(index="states")


@pytest.mark.filterwarnings("ignore::opensearchpy.exceptions.OpenSearchWarning")
def test_runtime_fields_are_answered_as_their_type(elasticsearch_url: str) -> None:
    """A field that Elasticsearch computes as a keyword is asked as one, or refused."""
    client = connect(elasticsearch_url, None, {})
    mappings: JsonObject = {"dynamic": False, "runtime": {"f": {"type": "keyword"}}}
    client.indices.create(index="runtime-fields", body={"mappings": mappings})
    try:
        values = [value for value in TEXTS if not isinstance(value, list)]
        for number, value in enumerate(values):
            client.index(index="runtime-fields", id=str(number), body={"f": value})
        client.indices.refresh(index="runtime-fields")
        profile = store_profile.profile_from_json(describe_store(client, "runtime-fields"))
        assert [field.type for field in profile.mappings("f")] == ["keyword"]
        for ask in ASKS:
            try:
                query = convert(ask, profile)
            except UnsupportedConditionError:
                continue
            answer = client.search(index="runtime-fields", body={**dsl.search(query), "size": 100, "_source": False})
            hits = {values[int(hit["_id"])] for hit in answer["hits"]["hits"]}
            assert hits == {value for value in values if satisfies({"s": ask, "condition": "s"}, {"f": value})}, ask
    finally:
        client.indices.delete(index="runtime-fields")


def test_values_cut_short_are_found_where_the_engine_knows(engine_url: str) -> None:
    """The events that `cut_values` names are those with a long value: on both engines where the text is indexed too."""
    client = connect(engine_url, None, {})
    limited: JsonObject = {"type": "keyword", "ignore_above": 256}
    properties: JsonObject = {"f": {"type": "text", "fields": {"k": limited}}, "g": limited}
    client.indices.create(index="cut-values", body={"mappings": {"properties": properties}})
    try:
        documents = {"short": {"f": "a", "g": "a"}, "f": {"f": "x" * 300}, "g": {"g": "x" * 300}, "none": {}}
        for name, document in documents.items():
            client.index(index="cut-values", id=name, body=document)
        client.indices.refresh(index="cut-values")
        profile = store_profile.profile_from_json(describe_store(client, "cut-values"))
        counts: dict[str, int] = {}
        for names in ("f.k", "g"):
            clause = cut_values(profile.all_mappings(), {names}, profile.engine)
            counts[names] = client.count(index="cut-values", body=dsl.search(clause))["count"] if clause else 0
        assert counts == {"f.k": 1, "g": 1 if profile.engine == "elasticsearch" else 0}
    finally:
        client.indices.delete(index="cut-values")


def test_a_name_inside_an_object_keeps_its_case(elasticsearch_url: str) -> None:
    """Where the case of a value does not matter, that of the name inside a flattened object still does."""
    client = connect(elasticsearch_url, None, {})
    client.indices.create(index="names-inside", body={"mappings": {"properties": {"o": {"type": "flattened"}}}})
    try:
        documents = {"same": {"name": "x1"}, "value": {"name": "X1"}, "name": {"NAME": "x1"}, "both": {"NAME": "X1"}}
        for name, document in documents.items():
            client.index(index="names-inside", id=name, body={"o": document})
        client.indices.refresh(index="names-inside")
        profile = store_profile.profile_from_json(describe_store(client, "names-inside"))
        for ask, expected in (
            ({"o.name": "x1"}, {"same", "value"}),
            ({"o.name|startswith": "x"}, {"same", "value"}),
            ({"o.name|neq": "x1"}, {"name", "both"}),
            ({"o.name|cased": "x1"}, {"same"}),
        ):
            answer = client.search(index="names-inside", body=dsl.search(convert(ask, profile)))
            assert {hit["_id"] for hit in answer["hits"]["hits"]} == expected, ask
        assert convert({"o.name": "11"}, profile) == dsl.term("o.name", "11")
    finally:
        client.indices.delete(index="names-inside")


@pytest.mark.parametrize(
    ("field", "limit", "is_exact"),
    [
        ("eventName", 256, True),
        ("event.action", 256, True),
        ("event.action", 100, False),
        ("source.address", 256, True),
        ("user_agent.original", 1024, True),
        ("user_agent.original", 256, False),
        ("aws.cloudtrail.user_identity.arn", 1024, False),
    ],
)
def test_what_cannot_be_longer_is_not_cut(field: str, limit: int, is_exact: bool) -> None:
    """A limit of CloudTrail is one of the field that Elastic's integration keeps the value in too."""
    found = field_query(Text(("x", None), True), [MappedField(field, "keyword", limit)])
    assert (found.doubts == ()) == is_exact


@pytest.mark.parametrize("kind", ["geo_point", "binary", "percolator"])
def test_a_type_that_is_not_known_answers_nothing_but_presence(kind: str) -> None:
    """No query is guessed for a type of which nothing is known."""
    for ask in (Text(("a",), True), Number(5), Boolean(True)):
        with pytest.raises(NoQueryError, match=f"known for its type \\({kind}\\)"):
            field_query(ask, [MappedField("f", kind)])
    assert field_query(Present(), [MappedField("f", kind)]).doubts == ()
