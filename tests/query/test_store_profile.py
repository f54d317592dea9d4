"""Store profiles: read from real indices, written as stable text, and read again."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch
from sigma.cli.convert import convert as sigma_cli

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.errors import StoreError
from sigma_stellar_aws.base.json_types import JsonObject
from sigma_stellar_aws.base.sigma_errors import InexactQueryWarning, StoreProfileError, UnsupportedConditionError
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.query import dsl, store_profile
from sigma_stellar_aws.query.by_field_type import field_query
from sigma_stellar_aws.query.questions import NoQueryError, Number, Present, Text
from sigma_stellar_aws.query.store_profile import (
    MappedField,
    StoreProfile,
    profile_from_json,
    profile_text,
    read_profile,
)
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.mapping import describe_store
from tests.query.test_by_field_type import Ask, convert
from tests.support.mappings import described

KEYWORD: JsonObject = {"type": "keyword"}
RULE = """\
title: A test rule
id: 00000000-0000-4000-8000-000000000001
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: DeleteRule}, condition: selection}
"""


def profile_json(**changes: Any) -> dict[str, Any]:
    """A profile as JSON, with some of its keys changed."""
    fields: JsonObject = {"eventName": {"type": "keyword"}}
    return {
        "store_profile": 1,
        "index": "logs",
        "engine": "opensearch",
        "version": "3.8.0",
        "fields": fields,
        **changes,
    }


def run(*arguments: str | Path) -> Result:
    """Run the command line; an exception that would be a traceback is one."""
    return CliRunner().invoke(main, list(map(str, arguments)))


@contextmanager
def indices(url: str, bodies: Mapping[str, JsonObject]) -> Iterator[OpenSearch]:
    """Indices of these bodies, for a while."""
    client: OpenSearch = connect(url, None, {})
    try:
        for name, body in bodies.items():
            client.indices.create(index=name, body=body)
        yield client
    finally:
        for name in bodies:
            client.indices.delete(index=name, params={"ignore_unavailable": "true"})


def mapped(properties: Mapping[str, Any], **more: Any) -> JsonObject:
    """The body of an index of these properties."""
    return {"mappings": {"properties": dict(properties)}, **more}


def fields_of(client: OpenSearch, pattern: str) -> Any:
    """The fields of the profile of some indices, as JSON."""
    return describe_store(client, pattern)["fields"]


# --- The profile in Python ---


def test_a_profile_knows_its_fields() -> None:
    """Each mapping is read with its names, limits and sub-fields."""
    text: JsonObject = {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 64}}}
    found = profile_from_json(profile_json(fields={"f": [{"type": "long", "index": False}, text]}))
    assert found[:3] == ("logs", "opensearch", "3.8.0")
    assert found.mappings("f") == (
        MappedField("f", "long", indexed=False),
        MappedField("f", "text", doc_values=False, subfields=(MappedField("f.raw", "keyword", 64),)),
    )
    assert found.mappings("g") == ()
    assert list(found.all_mappings()) == list(found.mappings("f"))


@pytest.mark.parametrize("kind", ["flattened", "flat_object", "nested"])
def test_what_is_inside_an_object_has_its_mapping(kind: str) -> None:
    """A field inside an object of keywords, or a nested one, is of the kind of the innermost that is mapped."""
    fields: JsonObject = {"o": {"type": kind, "ignore_above": 8}, "o.inner": {"type": "keyword"}}
    found = profile_from_json(profile_json(fields=fields))
    assert found.mappings("o.a.b") == (MappedField("o.a.b", kind, 8, inside=True),)
    assert found.mappings("o") == (MappedField("o", kind, 8),)
    assert found.mappings("o.inner") == (MappedField("o.inner", "keyword"),)
    assert found.mappings("o.inner.x") == ()
    assert found.mappings("other.o") == ()


def test_an_alias_stands_for_its_field() -> None:
    """A query names the alias, and what the engine tells of its field has the name of that."""
    fields: JsonObject = {"short": {"type": "alias", "path": "very.long"}, "very.long": {"type": "keyword"}}
    assert profile_from_json(profile_json(fields=fields)).mappings("short") == (
        MappedField("short", "keyword", stored_name="very.long"),
    )


def test_an_alias_of_a_sub_field_stands_for_it() -> None:
    """An alias may stand for a sub-field, which is a field like any other."""
    text: JsonObject = {"type": "text", "fields": {"raw": {"type": "keyword"}}}
    fields: JsonObject = {"short": {"type": "alias", "path": "f.raw"}, "f": text}
    assert profile_from_json(profile_json(fields=fields)).mappings("short") == (
        MappedField("short", "keyword", stored_name="f.raw"),
    )


def test_an_alias_of_what_differs_has_all_its_mappings() -> None:
    """Indices that disagree about a field disagree about its alias as well, which hinders no other field."""
    fields: JsonObject = {
        "short": {"type": "alias", "path": "f"},
        "f": [{"type": "keyword"}, {"type": "long"}],
        "other": {"type": "ip"},
    }
    found = profile_from_json(profile_json(fields=fields))
    assert found.mappings("other") == (MappedField("other", "ip"),)
    kinds = ("keyword", "long")
    assert set(found.mappings("short")) == {MappedField("short", kind, stored_name="f") for kind in kinds}


@pytest.mark.parametrize(
    ("names", "flattened"),
    [
        (["userIdentity_type"], True),
        (["userIdentity.type"], False),
        (["userIdentity_type", "userIdentity.type"], True),
        (["eventName"], True),
        ([], True),
    ],
    ids=str,
)
def test_records_as_cloudtrail_writes_them_are_known(names: list[str], flattened: bool) -> None:
    """Only a store that has the type of the caller by its dotted name, and no other, keeps records as they are."""
    assert profile_from_json(profile_json(fields={name: {"type": "keyword"} for name in names})).flattened is flattened


ECS = ["event.action", "event.provider", "aws.cloudtrail.event_type"]


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (ECS, "ecs"),
        (ECS[:2], "flattened"),
        ([*ECS, "userIdentity_type"], "flattened"),
        ([*ECS, "userIdentity.type"], "dotted"),
        (["userIdentity.type"], "dotted"),
        ([], "flattened"),
    ],
    ids=str,
)
def test_stores_that_elastic_fills_are_known(names: list[str], layout: str) -> None:
    """A store is Elastic's by the fields that its integration makes for CloudTrail, unless it has the records' own."""
    assert profile_from_json(profile_json(fields={name: {"type": "keyword"} for name in names})).layout == layout


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ({"type": "date"}, ""),
        ({"type": "date_nanos"}, ""),
        ({"type": "long"}, ""),
        ([{"type": "date"}, {"type": "long"}], ""),
        ({"type": "keyword"}, "the time field 'f' is not a date (keyword) in logs"),
        ([{"type": "date"}, {"type": "keyword"}], "the time field 'f' is not a date (date, keyword) in logs"),
        (None, "the time field 'f' does not exist in logs"),
    ],
    ids=str,
)
def test_what_is_no_time_is_told(mapping: Any, told: str) -> None:
    """A time is a date or whole milliseconds; for anything else it is told what to do."""
    found = profile_from_json(profile_json(fields={} if mapping is None else {"f": mapping}))
    assert found.no_time("f") == (f"{told}; name the one of this store: --time-field NAME" if told else "")


def test_an_error_says_where_the_profile_is_from() -> None:
    """Whoever reads a profile names its origin."""
    with pytest.raises(StoreProfileError, match=r"^logs-\*: it is not a store profile"):
        profile_from_json({}, "logs-*")
    with pytest.raises(StoreProfileError, match=r"^profile: it is not a store profile"):
        profile_from_json({})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("eventname", "eventName"),
        ("EVENT_NAME", "eventName"),
        ("eventNmae", "eventName"),
        ("userIdentity.type", "userIdentity_type"),
        ("useridentity.sessioncontext.mfa", "userIdentity.sessionContext.mfa"),
        ("somethingElse", None),
        ("name", None),
    ],
)
def test_the_nearest_name(name: str, expected: str | None) -> None:
    """A name in another case, with other separators or a slip, is found; what is not like any is not."""
    known = ("eventSource", "eventName", "userIdentity_type", "userIdentity.sessionContext.mfa")
    fields: JsonObject = {key: {"type": "keyword"} for key in known}
    assert profile_from_json(profile_json(fields=fields)).nearest(name) == expected


# --- Files ---


def field(mapping: Any) -> dict[str, Any]:
    """A profile whose field bad.field has this mapping."""
    return profile_json(fields={"good": {"type": "keyword"}, "bad.field": mapping})


BAD_FIELDS: list[tuple[Any, str]] = [
    ([], "has no mapping"),
    ("keyword", "a mapping is an object with a type"),
    ({}, "a mapping is an object with a type"),
    ({"type": 5}, "a mapping is an object with a type"),
    ([{"type": "keyword"}, None], "a mapping is an object with a type"),
    ({"type": "keyword", "analyzer": "x", "boost": 2}, "unknown key analyzer, boost"),
    ({"type": "keyword", "ignore_above": -1}, "ignore_above must be a whole number"),
    ({"type": "keyword", "ignore_above": True}, "ignore_above must be a whole number"),
    ({"type": "keyword", "ignore_above": "256"}, "ignore_above must be a whole number"),
    ({"type": "keyword", "normalizer": "upper"}, "normalizer must be lowercase or other"),
    ({"type": "text", "fields": [{"type": "keyword"}]}, "fields must be an object"),
    ({"type": "alias"}, "an alias needs a path, the name of the field"),
    ({"type": "alias", "path": 5}, "path must be the name of a field, not 5"),
    ({"type": "alias", "path": "gone"}, "there is no field 'gone', its path"),
    ({"type": "alias", "path": "bad.field"}, "there is no field 'bad.field', its path"),
    # What is not checked would be guessed.
    ({"type": "keyword", "index": "false"}, "index"),
    ({"type": "keyword", "doc_values": 1}, "doc_values"),
    ({"type": "keyword", "null_value": "none"}, "null_value"),
    ({"type": "keyword", "path": "good"}, "path"),
    ({"type": "keyword", "copied": "yes"}, "copied"),
    ({"type": "date", "plain_date": 0}, "plain_date"),
    ({"type": "nested", "inside": 1}, "inside"),
]


@pytest.mark.parametrize(("mapping", "told"), BAD_FIELDS, ids=str)
def test_a_bad_field_of_a_file_is_told(tmp_path: Path, mapping: Any, told: str) -> None:
    """What is wrong with a field is an error that names file and field."""
    file = tmp_path / "store.json"
    file.write_text(json.dumps(field(mapping)))
    with pytest.raises(StoreProfileError) as error:
        read_profile(file)
    assert str(error.value).startswith(f"{file}: field 'bad.field': ") or "field 'bad.field' has" in str(error.value)
    assert told in str(error.value)


def test_a_bad_sub_field_is_told_by_its_name(tmp_path: Path) -> None:
    """A sub-field is named in full."""
    file = tmp_path / "store.json"
    file.write_text(json.dumps(field({"type": "text", "fields": {"raw": {"type": "keyword", "x": 1}}})))
    with pytest.raises(StoreProfileError, match=r"store.json: field 'bad.field.raw': unknown key x"):
        read_profile(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[" * 100000, "it is not JSON"),
        ("[]", 'it is not a store profile: it has no "store_profile": 1'),
        ('{"eventName": "text"}', "it is not a store profile"),
        (json.dumps(profile_json(store_profile=2)), "it is not a store profile"),
        (json.dumps(profile_json(engine="solr")), "engine must be elasticsearch or opensearch, not 'solr'"),
        (json.dumps(profile_json(index=None)), "index must be a text, not None"),
        (json.dumps(profile_json(version=8)), "version must be a text, not 8"),
        (json.dumps(profile_json(fields=[])), "fields must be an object of fields, not []"),
        (json.dumps({"store_profile": 1}), "index must be a text, and is missing"),
    ],
    ids=lambda value: value[:30],
)
def test_a_file_that_is_no_profile_is_told(tmp_path: Path, text: str, told: str) -> None:
    """The error names the file and what is wrong with it."""
    file = tmp_path / "store.json"
    file.write_text(text)
    with pytest.raises(StoreProfileError) as error:
        read_profile(file)
    assert str(error.value).startswith(f"{file}: ")
    assert told in str(error.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """So are a file that is not there, a folder, and bytes that are no text."""
    (tmp_path / "bytes").write_bytes(b'{"\xff": 1}')
    for name, told in (("gone", "No such file"), ("", "Is a directory"), ("bytes", "it is not JSON")):
        with pytest.raises(StoreProfileError, match=told) as error:
            read_profile(tmp_path / name)
        assert str(error.value).startswith(str(tmp_path / name))


def test_the_text_of_a_profile_is_read_again() -> None:
    """What is written is JSON of the same meaning, a field a line."""
    fields: JsonObject = {'b"\\': {"type": "text", "fields": {"k": {"type": "keyword"}}}, "a": [{"type": "ip"}]}
    profile = store_profile.profile_as_json("logs-é", "elasticsearch", "8.19.0", fields)
    text = profile_text(profile)
    assert json.loads(text) == profile
    assert text.isascii()
    assert len(text.splitlines()) == 1 + 4 + 1 + len(fields) + 1
    assert text.index('"a"') < text.index('"b\\"')
    assert profile_text(store_profile.profile_as_json("i", "opensearch", "1", {})) == (
        '{\n"store_profile": 1,\n"index": "i",\n"engine": "opensearch",\n"version": "1",\n"fields": {\n\n}}\n'
    )


def test_the_text_does_not_hang_on_the_order_of_indices_and_fields() -> None:
    """The same mappings give the same bytes, in whatever order a store tells of them."""
    one: JsonObject = {"properties": {"a": {"type": "text", "fields": {"x": {"type": "ip"}, "k": {"type": "keyword"}}}}}
    two: JsonObject = {"properties": {"b": {"index": False, "type": "long"}, "a": {"type": "keyword"}}}
    turned: JsonObject = {"properties": {"a": {"type": "keyword"}, "b": {"type": "long", "index": False}}}
    texts = {
        profile_text(store_profile.profile_as_json("i", "opensearch", "1", described(*((m, {}) for m in order))))
        for order in ([one, two], [two, one], [turned, one])
    }
    assert len(texts) == 1


# --- Real stores ---


def test_indices_behind_a_pattern_and_an_alias(engine_url: str) -> None:
    """Name, pattern, list and alias give the fields of all their indices, and disagreements are recorded."""
    text: JsonObject = {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 64}}}
    bodies = {
        "profile-b": mapped({"f": {"type": "keyword"}, "g": {"type": "ip"}}, aliases={"profile-of-all": {}}),
        "profile-a": mapped({"f": text, "h": {"type": "date"}}, aliases={"profile-of-all": {}}),
    }
    both = {"f": [text, {"type": "keyword"}], "g": {"type": "ip"}, "h": {"type": "date"}}
    with indices(engine_url, bodies) as client:
        assert fields_of(client, "profile-b") == {"f": {"type": "keyword"}, "g": {"type": "ip"}}
        for name in ("profile-*", "profile-a,profile-b", "profile-of-all"):
            assert fields_of(client, name) == both
        found = describe_store(client, "profile-*")
        version = "3." if found["engine"] == "opensearch" else "8."
        assert str(found["version"]).startswith(version)
        assert profile_from_json(found).mappings("f") == (
            MappedField("f", "text", doc_values=False, subfields=(MappedField("f.raw", "keyword", 64),)),
            MappedField("f", "keyword"),
        )


def test_a_query_over_indices_that_differ_is_exact_or_refused(engine_url: str) -> None:
    """Behind one pattern, whatever is converted finds the events of each index, and no others."""
    bodies = {
        "differs-a": mapped({"f": {"type": "keyword"}, "n": {"type": "keyword"}, "w": {"type": "keyword"}}),
        "differs-b": mapped(
            {"f": {"type": "keyword", "ignore_above": 64}, "n": {"type": "long"}, "w": {"type": "text"}}
        ),
    }
    with indices(engine_url, bodies) as client:
        for index in bodies:
            for number, name in ((5, "DeleteRule"), (10, "CreateRule")):
                client.index(index=index, body={"f": name, "n": number, "w": name}, params={"refresh": "true"})
        profile = profile_from_json(describe_store(client, "differs-*"))

        def count(selection: Ask) -> int:
            body = dsl.search(convert(selection, profile))
            return int(client.count(index="differs-*", body=body)["count"])

        assert count({"f": "deleterule"}) == 2
        assert count({"n": 5}) == 2
        assert count({"n|exists": True, "w": "*"}) == 4
        unanswerable: list[Ask] = [{"n|gt": 5}, {"w|contains": "Rule"}, {"w": "DeleteRule"}, {"f|contains": "Rule"}]
        for unanswered in unanswerable:
            with pytest.raises(UnsupportedConditionError, match=r"differs|analysed|not indexed in f"):
                count(unanswered)


def test_an_index_that_does_not_map_a_field_is_part_of_the_profile(engine_url: str) -> None:
    """Beside an index that finds the values of a field, one that keeps or hides them is a doubt or a refusal."""
    bodies: dict[str, JsonObject] = {
        "closed-1": mapped({"o": {"properties": {"f": {"type": "keyword"}}}, "n": {"properties": {"f": KEYWORD}}}),
        "closed-2": {"mappings": {"dynamic": False, "properties": {"n": {"type": "nested"}}}},
    }
    with indices(engine_url, bodies) as client:
        for index in bodies:
            client.index(index=index, body={"o": {"f": "a"}, "n": {"f": "a"}}, params={"refresh": "true"})
        found = describe_store(client, "closed-*")
        assert found["fields"] == {
            "n": {"type": "nested"},
            "n.f": [{"type": "nested", "inside": True}, KEYWORD],
            "o.f": [KEYWORD, {"type": "unmapped"}],
        }
        profile = profile_from_json(found)
        with pytest.raises(UnsupportedConditionError, match="some keep it out of the mapping"):
            convert({"o.f": "a"}, profile)
        with pytest.raises(UnsupportedConditionError, match="inside a nested object"):
            convert({"n.f": "a"}, profile, inexact="warn")
        with pytest.warns(InexactQueryWarning, match="some keep it out of the mapping"):
            body = dsl.search(convert({"o.f": "a"}, profile, inexact="warn"))
        assert client.count(index="closed-*", body=body)["count"] == 1


def test_copied_values_are_a_doubt(engine_url: str) -> None:
    """A field that others are copied into finds what is not in the field of the event."""
    properties: JsonObject = {"a": {"type": "keyword", "copy_to": "b"}, "b": {"type": "keyword"}}
    with indices(engine_url, {"copying": mapped(properties)}) as client:
        client.index(index="copying", body={"a": "x"}, params={"refresh": "true"})
        profile = profile_from_json(describe_store(client, "copying"))
        assert client.count(index="copying", body=dsl.search(convert({"a": "x"}, profile)))["count"] == 1
        with pytest.warns(InexactQueryWarning, match="copy_to"):
            body = dsl.search(convert({"b": "x"}, profile, inexact="warn"))
        assert client.count(index="copying", body=body)["count"] == 1
        with pytest.raises(UnsupportedConditionError, match="copy_to"):
            convert({"b": "x"}, profile)


def test_presence_under_an_alias_counts_ignored_values(engine_url: str) -> None:
    """An alias is asked by its name, and Elasticsearch's account of ignored values by the name of its field."""
    properties: JsonObject = {"f": {"type": "keyword", "ignore_above": 4}, "g": {"type": "alias", "path": "f"}}
    with indices(engine_url, {"aliasing": mapped(properties)}) as client:
        for value in ("a", "x" * 5):
            client.index(index="aliasing", body={"f": value}, params={"refresh": "true"})
        client.index(index="aliasing", body={}, params={"refresh": "true"})
        profile = profile_from_json(describe_store(client, "aliasing"))
        assert client.count(index="aliasing", body=dsl.search(convert({"g": "a"}, profile)))["count"] == 1
        if profile.engine == "opensearch":
            with pytest.raises(UnsupportedConditionError, match="seems to have none"):
                convert({"g": "*"}, profile)
        else:
            assert client.count(index="aliasing", body=dsl.search(convert({"g": "*"}, profile)))["count"] == 2


def test_a_data_stream(opensearch_url: str) -> None:
    """A data stream has the fields of the indices behind it."""
    client = connect(opensearch_url, None, {})
    template: JsonObject = {
        "index_patterns": ["profile-stream"],
        "data_stream": {},
        "priority": 300,
        "template": {"mappings": {"properties": {"f": {"type": "keyword"}}}},
    }
    client.indices.put_index_template(name="profile-stream", body=template)
    try:
        client.indices.create_data_stream(name="profile-stream")
        assert fields_of(client, "profile-stream") == {"@timestamp": {"type": "date"}, "f": {"type": "keyword"}}
        client.indices.rollover(alias="profile-stream")
        assert fields_of(client, "profile-str*") == {"@timestamp": {"type": "date"}, "f": {"type": "keyword"}}
    finally:
        client.indices.delete_data_stream(name="profile-stream")
        client.indices.delete_index_template(name="profile-stream")


def test_normalizers_and_aliases_of_a_store(engine_url: str) -> None:
    """What a normalizer does is read from the settings, and an alias answers for its field."""
    normalizers: JsonObject = {"folding": {"filter": ["lowercase"]}, "nothing": {"filter": []}}
    properties: JsonObject = {
        "a": {"type": "keyword", "normalizer": "folding"},
        "b": {"type": "keyword", "normalizer": "nothing"},
        "c": {"type": "keyword", "normalizer": "lowercase"},
        "d": {"type": "alias", "path": "a"},
    }
    with indices(
        engine_url, {"normal": mapped(properties, settings={"analysis": {"normalizer": normalizers}})}
    ) as client:
        client.index(index="normal", body={"a": "DeleteRule"}, params={"refresh": "true"})
        profile = profile_from_json(describe_store(client, "normal"))
        kinds = {name: of_name[0].normalizer for name, of_name in profile.fields.items()}
        assert kinds == {"a": "lowercase", "b": "other", "c": "lowercase", "d": "lowercase"}
        body = dsl.search(convert({"d|endswith": "rule"}, profile))
        assert client.count(index="normal", body=body)["count"] == 1


def test_an_alias_of_a_sub_field_in_a_store(engine_url: str) -> None:
    """A store with such an alias is profiled like any other."""
    text: JsonObject = {"type": "text", "fields": {"raw": {"type": "keyword"}}}
    with indices(engine_url, {"aliased": mapped({"f": text, "g": {"type": "alias", "path": "f.raw"}})}) as client:
        client.index(index="aliased", body={"f": "DeleteRule"}, params={"refresh": "true"})
        profile = profile_from_json(describe_store(client, "aliased"))
        body = dsl.search(convert({"g|endswith": "rule"}, profile))
        assert client.count(index="aliased", body=body)["count"] == 1


def test_an_index_wide_limit_is_part_of_every_keyword(elasticsearch_url: str) -> None:
    """Elasticsearch can limit all keyword fields of an index, which then do not say so themselves."""
    settings: JsonObject = {"index.mapping.ignore_above": 100}
    properties: JsonObject = {"f": {"type": "keyword"}, "g": {"type": "keyword", "ignore_above": 50}}
    with indices(elasticsearch_url, {"limited": mapped(properties, settings=settings)}) as client:
        profile = profile_from_json(describe_store(client, "limited"))
        limits = {name: of_name[0].ignore_above for name, of_name in profile.fields.items()}
        assert limits == {"f": 100, "g": 50}


def test_metadata_fields_are_no_fields(engine_url: str) -> None:
    """An index without mappings has no fields, though engines have some of their own."""
    with indices(engine_url, {"empty": {}}) as client:
        assert fields_of(client, "empty") == {}


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("not-there", "there is no index 'not-there'"),
        ("not-there-*", "there is no index 'not-there-*'"),
        ("other:logs", "'other:logs' is in another cluster"),
    ],
)
def test_a_store_without_such_indices_is_told(engine_url: str, pattern: str, told: str) -> None:
    """What is not there has no profile."""
    with pytest.raises(StoreError) as error:
        describe_store(connect(engine_url, None, {}), pattern)
    assert told in str(error.value)


def test_profile_writes_the_same_bytes_again(engine_url: str, tmp_path: Path) -> None:
    """The command writes to standard output or a file; read twice, and from indices made in another order, the same."""
    bodies = {
        "stable-1": mapped({"z": {"type": "keyword"}, "a": {"type": "text", "fields": {"k": {"type": "keyword"}}}}),
        "stable-2": mapped({"a": {"type": "keyword"}, "m": {"type": "long"}}),
    }
    texts: list[str] = []
    for order in (list(bodies), list(reversed(bodies))):
        with indices(engine_url, {name: bodies[name] for name in order}):
            for number in range(2):
                file = tmp_path / f"store-{number}.json"
                arguments = ("profile", "--url", engine_url, "--index", "stable-*")
                written = run(*arguments, "-o", file)
                assert (written.exit_code, written.stdout) == (0, ""), written.output
                assert written.stderr == "note: the indices differ in their mapping of a: text, keyword\n"
                shown = run(*arguments)
                texts += [file.read_text("utf-8"), shown.stdout]
    assert len(set(texts)) == 1
    assert isinstance(read_profile(tmp_path / "store-0.json"), StoreProfile)


def test_profile_of_aliases_that_differ(engine_url: str) -> None:
    """An alias of a field that differs between indices is no traceback and no reason to have no profile."""
    bodies = {
        "mixed-1": mapped({"f": {"type": "keyword"}, "g": {"type": "alias", "path": "f"}}),
        "mixed-2": mapped({"f": {"type": "text"}}),
    }
    with indices(engine_url, bodies):
        result = run("profile", "--url", engine_url, "--index", "mixed-*")
        assert result.exit_code == 0, (result.exception, result.output)


def test_profile_tells_what_is_wrong(engine_url: str, tmp_path: Path) -> None:
    """No such index, and a file that cannot be written, are errors for people."""
    gone = run("profile", "--url", engine_url, "--index", "not-there")
    assert (gone.exit_code, gone.stdout) == (1, "")
    assert "there is no index 'not-there'" in gone.stderr
    with indices(engine_url, {"writing": {}}):
        unwritable = run("profile", "--url", engine_url, "--index", "writing", "-o", tmp_path / "no" / "store.json")
        assert unwritable.exit_code == 1
        assert "there is no folder" in unwritable.stderr


# --- sigma-cli ---


def sigma_convert(folder: Path, *options: str) -> Result:
    """Convert the rule of this module with sigma-cli."""
    rule = folder / "rule.yml"
    rule.write_text(RULE)
    flags = [word for option in options for word in ("-O", option)]
    return CliRunner().invoke(sigma_cli, ["-t", "stellar_aws", "-p", "stellar_aws", *flags, str(rule)])


def test_sigma_converts_with_a_profile(tmp_path: Path) -> None:
    """The file of a profile is an option of sigma-cli, and needs no store."""
    file = tmp_path / "store.json"
    file.write_text(
        json.dumps(profile_json(fields={"eventName": {"type": "text", "fields": {"k": {"type": "keyword"}}}}))
    )
    result = sigma_convert(tmp_path, f"store={file}")
    assert result.exit_code == 0, result.output
    [line] = [line for line in result.stdout.splitlines() if line.startswith("{")]
    assert dsl.fields(json.loads(line)["query"]) == ["eventName.k"]


def test_sigma_tells_what_a_store_cannot_answer(tmp_path: Path) -> None:
    """By default a condition in doubt is an error; on request it is converted with a warning."""
    file = tmp_path / "store.json"
    file.write_text(json.dumps(profile_json(fields={"eventname": {"type": "keyword"}})))
    refused = sigma_convert(tmp_path, f"store={file}")
    assert refused.exit_code == 1
    assert "field 'eventName': logs has no such field; did you mean eventname?" in refused.stderr
    assert "inexact=warn" in refused.stderr
    with pytest.warns(UserWarning, match="logs has no such field"):
        converted = sigma_convert(tmp_path, f"store={file}", "inexact=warn")
    assert converted.exit_code == 0
    assert '"eventName"' in converted.stdout


@pytest.mark.parametrize(("mapping", "told"), BAD_FIELDS[:8], ids=str)
def test_sigma_tells_what_is_wrong_with_a_profile(tmp_path: Path, mapping: Any, told: str) -> None:
    """A bad profile is a sentence with file and field, and no traceback."""
    file = tmp_path / "store.json"
    file.write_text(json.dumps(field(mapping)))
    result = sigma_convert(tmp_path, f"store={file}")
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    words = " ".join(result.stderr.split())
    assert str(file) in words
    assert 'field "bad.field"' in words
    assert told in words


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["store=gone.json"], "store=gone.json (it cannot be read: No such file"),
        (["store=5"], "store=5 (it cannot be read: No such file"),
        (["store={file}", "inexact=maybe"], "write refuse or warn"),
        (["store={file}", "keyword_suffix=.keyword"], "a store profile knows the sub-fields"),
    ],
)
def test_sigma_tells_of_wrong_options(tmp_path: Path, options: list[str], told: str) -> None:
    """A file that is not there, a choice that is none, and options that exclude each other are told."""
    file = tmp_path / "store.json"
    file.write_text(json.dumps(profile_json()))
    result = sigma_convert(tmp_path, *(option.format(file=file) for option in options))
    assert result.exit_code == 2, result.exception
    assert told in " ".join(result.stderr.split())


def test_programs_give_a_profile_or_its_file(tmp_path: Path) -> None:
    """A profile in Python and its file are the same option."""
    file = tmp_path / "store.json"
    file.write_text(json.dumps(profile_json()))
    assert StellarAwsBackend(store=str(file)).options.store == read_profile(file)


def test_flat_object_of_opensearch_2_is_asked_nothing() -> None:
    """OpenSearch 2 finds next to nothing inside a flat_object, so that every condition on one is refused there."""
    fields: JsonObject = {"o": {"type": "flat_object"}}
    for version, answered in (("2.19.6", False), ("3.8.0", True)):
        profile = profile_from_json(store_profile.profile_as_json("some-*", "opensearch", version, fields))
        for ask in (Text(("a",), True), Present(), Number(5)):
            if answered:
                assert not field_query(ask, profile.mappings("o.f")).doubts
                continue
            with pytest.raises(NoQueryError, match="flat_object before OpenSearch 3"):
                field_query(ask, profile.mappings("o.f"))
