"""Detection rules for Elastic Security."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator
from sigma.cli.convert import convert as sigma_convert
from sigma.exceptions import SigmaError

from sigma_stellar_aws.backends.stellar_aws import StellarAwsBackend
from sigma_stellar_aws.base.sigma_errors import LeftOutWarning, UnsupportedRuleError
from sigma_stellar_aws.formats.elastic_rule import SINCE, stack_version
from sigma_stellar_aws.pipelines.ecs_aws_cloudtrail import stellar_aws_ecs
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.query.store_profile import StoreProfile
from sigma_stellar_aws.rule_files.load import load_rules, pack_path
from tests.support.formats import ID, LUCENE, OTHER_ID, convert, profile, rule, schema

VALIDATOR = Draft7Validator(schema("elastic-detection-rule.schema.json"))
FIELDS = {"related_integrations", "required_fields"}
PLATFORM_FIELDS = ["recipientAccountId", "userIdentity_arn", "sourceIPAddress"]


def line(*rules: dict[str, Any], **options: Any) -> Any:
    """The one line of rules, which keeps the import schema."""
    [found] = convert("elastic_rule", *(rules or (rule(),)), **options)
    VALIDATOR.validate(found)
    return found


@pytest.mark.parametrize("stack", ["7.17", "8.x", "8.19", "9.4", "9.x"])
@pytest.mark.parametrize("form", ["auto", "dsl"])
@pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.LeftOutWarning")
def test_all_rules_keep_the_import_schema(stack: str, form: str) -> None:
    """Each of the 29 is a line of its own that Kibana's schema takes, off, found again by its id, with our tag."""
    rules = load_rules()
    lines = StellarAwsBackend(stellar_aws(), stack=stack, query=form).convert(rules, "elastic_rule")
    for each in lines:
        VALIDATOR.validate(each)
    assert [each["rule_id"] for each in lines] == [str(each.id) for each in rules.rules]
    assert {each["enabled"] for each in lines} == {False}
    assert all("sigma-stellar-aws" in each["tags"] for each in lines)


def test_a_line_tells_what_the_rule_does() -> None:
    """Everything that a rule says of itself has its place, and the platform's severity is the risk score."""
    stated = rule(
        description="What it finds.",
        author="A Person, Another (of a team)",
        license="DRL-1.1",
        references=["https://example.com/a"],
        falsepositives=["Planned work"],
        date="2026-11-09",
        modified="2026-11-24",
        level="high",
        fields=["requestParameters.name"],
        tags=["attack.impact", "attack.t1489", "cve.2026-1"],
        stellar={"severity": 60},
    )
    assert line(stated) == {
        "rule_id": ID,
        "type": "query",
        "name": "Some Rule",
        "description": "What it finds.",
        "author": ["A Person", "Another (of a team)"],
        "license": "DRL-1.1",
        "risk_score": 60,
        "severity": "high",
        "enabled": False,
        "language": "lucene",
        "query": LUCENE,
        "filters": [],
        "index": ["aella-cloudtrail-*"],
        "interval": "5m",
        "from": "now-30m",
        "to": "now",
        "timestamp_override": "timestamp",
        "max_signals": 100,
        "tags": [
            "sigma-stellar-aws",
            "Domain: Cloud",
            "Data Source: AWS",
            "Data Source: Amazon Web Services",
            "Use Case: Threat Detection",
            "Data Source: AWS EventBridge",
            "Tactic: Impact",
            "attack.impact",
            "attack.t1489",
            "cve.2026-1",
        ],
        "references": ["https://example.com/a"],
        "false_positives": ["Planned work"],
        "threat": [
            {
                "framework": "MITRE ATT&CK",
                "tactic": {"id": "TA0040", "name": "Impact", "reference": "https://attack.mitre.org/tactics/TA0040/"},
                "technique": [
                    {
                        "id": "T1489",
                        "name": "Service Stop",
                        "reference": "https://attack.mitre.org/techniques/T1489/",
                        "subtechnique": [],
                    }
                ],
            }
        ],
        "version": 20261124,
        "alert_suppression": {
            "group_by": PLATFORM_FIELDS,
            "duration": {"value": 24, "unit": "h"},
            "missing_fields_strategy": "suppress",
        },
        "investigation_fields": {
            "field_names": [
                "requestParameters_name",
                *("eventName", "eventSource", "userIdentity_arn", "sourceIPAddress", "recipientAccountId", "awsRegion"),
            ]
        },
    }


def test_a_bare_rule_is_a_line_too() -> None:
    """Only a title, an id and a detection are needed; the description, which Kibana demands, is then the title."""
    found = line()
    assert found["description"] == "Some Rule"
    assert (found["risk_score"], found["severity"], found["version"]) == (50, "high", 1)
    assert found["author"] == found["references"] == found["threat"] == []
    assert "license" not in found
    assert line(enabled=True)["enabled"] is True


@pytest.mark.parametrize(
    ("severity", "band"),
    [
        *((0, "low"), (21, "low")),
        *((22, "medium"), (25, "medium"), (47, "medium")),
        *((48, "high"), (50, "high"), (73, "high")),
        *((74, "critical"), (100, "critical")),
    ],
)
def test_severity_has_elastics_band(severity: int, band: str) -> None:
    """Elastic calls a risk score otherwise than Sigma; the score itself is ours."""
    found = line(rule(stellar={"severity": severity}))
    assert (found["risk_score"], found["severity"]) == (severity, band)


def test_an_investigation_guide_is_made_of_what_a_rule_says() -> None:
    """Description, steps and what is harmless, in this order; without steps there is no guide and no tag for it."""
    steps = {"triage": ["Look at the caller.", "Ask them."]}
    found = line(rule(description="What it finds.", falsepositives=["Planned work"], stellar=steps))
    assert found["note"] == (
        "## What it means\n\nWhat it finds.\n\n"
        "## Triage and response\n\n1. Look at the caller.\n2. Ask them.\n\n"
        "## Usually harmless\n\n- Planned work"
    )
    assert "Resources: Investigation Guide" in found["tags"]
    bare = line(rule(description="What it finds.", falsepositives=["Planned work"]))
    assert "note" not in bare
    assert "Resources: Investigation Guide" not in bare["tags"]


def test_every_rule_of_the_pack_has_a_guide() -> None:
    """Each of the 29 says what to look at, what is harmless and what to do."""
    for each in StellarAwsBackend(stellar_aws()).convert(load_rules(), "elastic_rule"):
        assert each["note"].count("\n1. ") == 1
        assert "\n3. " in each["note"]
        assert "Harmless" in each["note"]


def test_integration_and_fields_are_named_where_they_are_elastics() -> None:
    """In the fields of Elastic's AWS integration, from the version on that takes them; nowhere else."""
    [found] = StellarAwsBackend(stellar_aws_ecs(), stack="9.5").convert(
        load_rules(pack_path() / "aws_kms_key_created.yml"), "elastic_rule"
    )
    assert [(one["package"], one["integration"]) for one in found["related_integrations"]] == [("aws", "cloudtrail")]
    assert {"name": "event.action", "type": "keyword"} in found["required_fields"]
    assert {"name": "event.provider", "type": "keyword"} in found["required_fields"]
    VALIDATOR.validate(found)
    for pipeline, stack in ((stellar_aws_ecs(), "8.14"), (stellar_aws(), "9.5")):
        [older] = StellarAwsBackend(pipeline, stack=stack).convert(
            load_rules(pack_path() / "aws_kms_key_created.yml"), "elastic_rule"
        )
        assert not {"related_integrations", "required_fields"} & set(older)


def test_a_condition_that_is_too_deep_is_refused() -> None:
    """Kibana keeps a rule in a flattened field, which has at most 20 names inside each other."""

    def nested(levels: int) -> dict[str, Any]:
        condition = "a0"
        for number in range(1, levels + 1):
            condition = f"a{number} {'and' if number % 2 else 'or'} ({condition})"
        selections = {f"a{number}": {"userAgent|contains": f"x{number}"} for number in range(levels + 1)}
        return {**rule(), "detection": {**selections, "condition": condition}}

    assert line(nested(7))["filters"]
    with pytest.raises(
        UnsupportedRuleError, match="its query has 21 names inside each other, and Elasticsearch keeps 20"
    ):
        line(nested(8))


def test_what_only_dsl_says_is_a_filter_beside_a_query_for_all_events() -> None:
    """A free text whose case does not matter is asked by the native query, which Kibana joins to the empty query."""
    clause = {"wildcard": {"userAgent": {"value": "*curl*", "case_insensitive": True}}}
    found = line(rule({"userAgent|contains": "curl"}))
    [only] = found["filters"]
    assert (found["language"], found["query"]) == ("lucene", "")
    assert only["query"] == clause
    assert only["meta"] == {"alias": "Some Rule", "type": "custom", "key": "query", "disabled": False, "negate": False}


def test_a_network_is_a_filter() -> None:
    """The native query asks for the beginnings of addresses, the text would ask for a text with a slash."""
    [only] = line(rule({"sourceIPAddress|cidr": "192.0.2.0/24"}))["filters"]
    assert list(only["query"]) == ["prefix"]
    with pytest.raises(
        UnsupportedRuleError, match=r"'sourceIPAddress': Lucene text asks otherwise for a value of this kind"
    ):
        line(rule({"sourceIPAddress|cidr": "192.0.2.0/24"}), query="lucene")


def test_form_of_the_query_can_be_demanded() -> None:
    """A filter is always possible; the text is refused where it is not exact."""
    assert line(query="dsl")["query"] == ""
    assert line(query="lucene")["query"] == LUCENE
    with pytest.raises(UnsupportedRuleError, match=r"'Some Rule': field 'userAgent'.*'\*curl\*' with case.*query=dsl"):
        line(rule({"userAgent|contains": "curl"}), query="lucene")


def test_conditions_of_a_rule_are_one_line() -> None:
    """Any of several conditions makes the rule match, as text or as a filter."""
    detection = {"a": {"eventName": "DeleteRule"}, "b": {"errorCode": None}, "c": {"userAgent": "x"}}
    both = line(rule(detection={**detection, "condition": ["a", "b"]}))
    assert both["query"] == "(eventName:DeleteRule) OR (NOT _exists_:errorCode)"
    [only] = line(rule(detection={**detection, "condition": ["a", "c"]}))["filters"]
    assert [next(iter(each)) for each in only["query"]["bool"]["should"]] == ["term", "term"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("7.17", (7, 17)),
        ("7.17.29", (7, 17)),
        (7, (7, 17)),
        ("8.x", (8, 19)),
        (8, (8, 19)),
        ("8.1", (8, 1)),
        ("8.10", (8, 10)),
        ("9.x", (9, 5)),
        ("9.7", (9, 7)),
    ],
)
def test_version_of_the_stack(text: str | int, version: tuple[int, int]) -> None:
    """A version is read as people and command lines write it."""
    assert stack_version(text) == version


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("7.16", "oldest"),
        ("6.8", "write 7.17"),
        ("10.0", "write 7.17"),
        ("eight", "write 7.17"),
        ("8.", "write 7.17"),
        ("", "write 7.17"),
        (True, "write 7.17"),
    ],
)
def test_version_that_is_none_is_refused(text: str | int, reason: str) -> None:
    """What is no version, or too old, is an error that names the option."""
    with pytest.raises(TypeError, match=f"^'stack={text} .*{reason}"):
        StellarAwsBackend(stack=text)


@pytest.mark.parametrize(
    ("stack", "lacks"),
    [
        ("7.17", {"alert_suppression", "investigation_fields", "version"} | FIELDS),
        ("8.6", {"alert_suppression", "investigation_fields", "version"} | FIELDS),
        ("8.7", {"investigation_fields", "version"} | FIELDS),
        ("8.11", {"version"} | FIELDS),
        ("8.15", {"version"}),
        ("8.16", set()),
        ("9.5", set()),
    ],
)
@pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.LeftOutWarning")
def test_a_version_is_not_given_what_it_does_not_know(stack: str, lacks: set[str]) -> None:
    """A line has the keys of its version and no others."""
    [found] = StellarAwsBackend(stellar_aws_ecs(), stack=stack).convert(
        load_rules(pack_path() / "aws_kms_key_created.yml"), "elastic_rule"
    )
    assert {key for key in SINCE if "." not in key and key not in found} == lacks


def test_strategy_for_missing_fields_is_younger_than_suppression() -> None:
    """From 8.7 to 8.12 suppression has no word on missing fields."""
    assert set(line(stack="8.12")["alert_suppression"]) == {"group_by", "duration"}
    assert line(stack="8.13")["alert_suppression"]["missing_fields_strategy"] == "suppress"


def test_a_version_without_suppression_is_told_once() -> None:
    """That every event makes an alert in Kibana 7.17 is told once for all rules; later versions lack nothing."""
    rules = [rule(), rule(id=OTHER_ID, title="Another")]
    with pytest.warns(LeftOutWarning, match=r"7\.17 knows no alert suppression \(since 8\.7\)") as caught:
        convert("elastic_rule", *rules, stack="7.17")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert("elastic_rule", *rules, stack="8.7")


def test_a_tactic_that_is_none_is_told() -> None:
    """A tag that names no tactic of ATT&CK has no place in the tree."""
    with pytest.warns(LeftOutWarning, match=r"'Some Rule': ATT&CK 19 has no exfil; only a tag"):
        assert [item["tactic"]["name"] for item in line(rule(tags=["attack.exfil", "attack.impact"]))["threat"]] == [
            "Impact"
        ]


def test_a_rule_without_a_title_is_refused() -> None:
    """Kibana demands a name."""
    with pytest.raises(UnsupportedRuleError, match=f"'{ID}': it has no title"):
        line(rule(title=" "))


def test_attack_goes_by_the_version_of_the_stack() -> None:
    """Up to 9.4 the tree is that of ATT&CK 18, from 9.5 on of 19; what a version lacks is told."""
    stated = rule(tags=["attack.defense-impairment", "attack.t1685.002", "attack.t1682"])
    with pytest.warns(LeftOutWarning, match=r"'Some Rule': ATT&CK 18 has no T1682"):
        [older] = line(stated, stack="9.4")["threat"]
    assert older["tactic"]["name"] == "Defense Evasion"
    assert older["technique"][0]["subtechnique"][0]["id"] == "T1562.008"
    newer = line(rule(tags=stated["tags"][:2]), stack="9.5")["threat"]
    assert [item["tactic"]["name"] for item in newer] == ["Defense Impairment"]


def test_fields_are_named_as_the_pipelines_name_them() -> None:
    """With the pipeline for Elastic's integration everything has ECS names, and late events show in event.ingested."""
    found = line(pipeline=stellar_aws_ecs())
    assert found["query"] == LUCENE.replace("eventSource", "event.provider").replace("eventName", "event.action")
    assert found["index"] == ["logs-aws.cloudtrail-*"]
    assert found["timestamp_override"] == "event.ingested"
    group_by = ["aws.cloudtrail.recipient_account_id", "aws.cloudtrail.user_identity.arn", "source.address"]
    assert found["alert_suppression"]["group_by"] == group_by
    assert "event.action" in found["investigation_fields"]["field_names"]


def test_suppression_is_that_of_the_rule() -> None:
    """Window and fields that a rule states are taken; a window that is no whole hours is in minutes."""
    stated = {"suppression": {"window": "90m", "fields": ["userIdentity.arn"]}}
    found = line(rule(stellar=stated))["alert_suppression"]
    assert (found["group_by"], found["duration"]) == (["userIdentity_arn"], {"value": 90, "unit": "m"})
    stated["suppression"]["window"] = "7d"
    assert line(rule(stellar=stated))["alert_suppression"]["duration"] == {"value": 168, "unit": "h"}


def test_more_fields_than_elastic_takes_are_refused() -> None:
    """Four fields are too many to suppress by, and the message says where to name fewer; 7.17 does not suppress."""
    fields = ["recipientAccountId", "userIdentity.arn", "sourceIPAddress", "awsRegion"]
    stated = rule(stellar={"suppression": {"fields": fields}})
    with pytest.raises(UnsupportedRuleError, match=r"4 fields .*awsRegion.* takes 3; name fewer under stellar"):
        line(stated)
    with pytest.warns(LeftOutWarning):
        assert line(stated, stack="7.17")


def store(version: str = "8.19.0", **fields: Any) -> StoreProfile:
    """An Elasticsearch."""
    return profile("elasticsearch", version, **fields)


@pytest.mark.parametrize(("version", "lacks"), [("8.9.1", {"version"}), ("9.4.0", set())])
def test_kibana_is_taken_for_as_old_as_the_store(version: str, lacks: set[str]) -> None:
    """Without a version of Kibana that of the store is taken, which it has to have; one that is stated wins."""
    assert {"version", "alert_suppression"} - set(line(store=store(version))) == lacks
    assert "version" in line(store=store(version), stack="9.x")


@pytest.mark.parametrize("version", ["7.10.2", "serverless"])
@pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.LeftOutWarning")
def test_a_store_of_no_known_version_needs_one_of_kibana(version: str) -> None:
    """A version that no rule can be made for is refused with what to write; it is no matter to other formats."""
    with pytest.raises(UnsupportedRuleError, match=rf"'Some Rule': its store is Elasticsearch {version} .*stack="):
        line(store=store(version))
    assert line(store=store(version), stack="7.17" if version < "8" else "9.x", query="dsl")
    assert convert("default", rule(), store=store(version))


def test_a_store_of_the_other_engine_is_refused() -> None:
    """Kibana has no rules for OpenSearch."""
    with pytest.raises(
        UnsupportedRuleError, match=r"for elasticsearch, and the store profile of logs is of opensearch"
    ):
        line(store=profile("opensearch", "3.8.0"))


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        (None, "does not exist"),
        ({"type": "keyword"}, r"is not a date \(keyword\)"),
        ({"type": "long"}, r"is not a date \(long\)"),
        ([{"type": "date"}, {"type": "text"}], r"is not a date \(date, text\)"),
    ],
)
def test_a_time_field_that_is_no_date_is_refused(mapping: Any, reason: str) -> None:
    """Nothing would be found by it, or an error at every run."""
    with pytest.raises(UnsupportedRuleError, match=f"the time field 'timestamp' {reason} in logs; .*--time-field"):
        line(store=store(timestamp=mapping))
    assert line(store=store(timestamp=[{"type": "date"}, {"type": "date_nanos"}]))["timestamp_override"] == "timestamp"


def ecs_store(**fields: Any) -> StoreProfile:
    """A store that Elastic's integration fills."""
    names = ("aws.cloudtrail.user_identity.arn", "aws.cloudtrail.recipient_account_id", "source.address")
    keywords = (*names, "event.provider", "event.action")
    known: dict[str, Any] = {name: {"type": "keyword", "ignore_above": 1024} for name in keywords}
    known |= {"@timestamp": {"type": "date"}, **fields}
    return store(**known)


def test_late_events_show_in_the_time_of_their_arrival() -> None:
    """By it the integration tells which events are new; where it is missing, or another field is named, by that."""
    known: dict[str, Any] = {"event.ingested": {"type": "date"}}
    assert line(pipeline=stellar_aws_ecs(), store=ecs_store(**known))["timestamp_override"] == "event.ingested"
    assert line(pipeline=stellar_aws_ecs(), store=ecs_store())["timestamp_override"] == "@timestamp"
    assert line(pipeline=stellar_aws_ecs(time_field="event.created"))["timestamp_override"] == "event.created"
    assert line(pipeline=stellar_aws(time_field="@timestamp"))["timestamp_override"] == "@timestamp"


def test_fields_that_are_not_there_are_not_shown() -> None:
    """A field that the integration drops, or that the store does not have, is none to investigate."""
    fields = ["sharedEventID", "userIdentity", "errorCode"]
    shown = line(rule(fields=fields), pipeline=stellar_aws_ecs())["investigation_fields"]["field_names"]
    assert shown[:2] == ["aws.cloudtrail.error_code", "event.action"]
    stated = rule(fields=["userIdentity.Arn", "errorCode"])
    shown = line(stated, store=store())["investigation_fields"]["field_names"]
    assert shown == [
        "errorCode",
        *("eventName", "eventSource", "userIdentity_arn", "sourceIPAddress"),
        "recipientAccountId",
    ]


def many(count: int, length: int = 12) -> list[str]:
    """Different texts, whose case matters."""
    return [f"{number:0{length}}" for number in range(count)]


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ({"requestParameters.a": many(1001)}, "1001 conditions"),
        ({"requestParameters.a": many(600), "requestParameters.b|startswith": many(401)}, "1001 conditions"),
        ({"requestParameters.a": many(900, 40)}, "characters"),
    ],
)
def test_a_text_that_engines_refuse_is_a_filter(selection: dict[str, Any], reason: str) -> None:
    """More conditions or characters than they take are asked by the native query, in which a list is one condition."""
    assert line(rule(selection))["query"] == ""
    with pytest.raises(UnsupportedRuleError, match=f"'Some Rule': as Lucene text it has [0-9]+ {reason.split()[-1]}"):
        line(rule(selection), query="lucene")
    fewer = {field: values[:300] for field, values in selection.items()}
    assert line(rule(fewer))["filters"] == []


def test_conditions_that_are_too_long_together_are_a_filter() -> None:
    """Each of two conditions may be a text that engines take, and both no longer."""
    detection = {"a": {"eventID": many(600)}, "b": {"eventID": many(1200)[600:]}, "condition": ["a", "b"]}
    [only] = line(rule(detection=detection))["filters"]
    assert len(only["query"]["terms"]["eventID"]) == 1200


def test_a_query_that_engines_refuse_is_refused() -> None:
    """Texts without regard to case are a condition each, of which engines take so many; the message says what helps."""
    names = [f"user-{number}" for number in range(1001)]
    one, other = {"userIdentity.userName": names}, {"userIdentity.userName": names[:501]}
    detection = {"a": other, "b": {"userIdentity.principalId": names[:500]}, "condition": ["a", "b"]}
    for stated in (rule(one), rule(detection=detection)):
        with pytest.raises(UnsupportedRuleError, match=r"its query has 1001 conditions, .*case_sensitive=true"):
            line(stated)
        assert line(stated, case_sensitive=True)
        [found] = convert("elastic_rule", stated, rule(id=OTHER_ID), collect_errors=True)
        assert found["rule_id"] == OTHER_ID


def test_the_published_query_has_a_tag() -> None:
    """It can be told from the corrected one where it was installed."""
    published = {"detection": {"s": {"eventName": "DeleteRule"}, "condition": "s"}, "reason": "It is wrong."}
    stated = rule(stellar={"published": published})
    assert "stellar.published" in line(stated, pipeline=stellar_aws_published())["tags"]
    assert "stellar.published" not in line(stated)["tags"]
    assert "stellar.published" not in line(pipeline=stellar_aws_published())["tags"]


def test_a_field_that_is_no_keyword_is_asked_by_a_filter() -> None:
    """Text on a sub-field or another type would be compared otherwise than the native query does it."""
    number = {"type": "long"}
    selection = {"eventName": "DeleteRule", "requestParameters.n": "5"}
    assert line(rule(selection), store=store(requestParameters_n=number))["filters"]
    assert not line(rule(selection), store=store(requestParameters_n={"type": "keyword"}))["filters"]


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"id": None}, r"has no id.* \(sigma convert leaves such rules out with --skip-unsupported\)"),
        ({"stellar": {"suppression": {"fields": []}}}, "must be a list"),
        ({"detection": {"s": {"f|fieldref": "g"}, "condition": "s"}}, "field 'f'"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_and_the_others_are_there(stated: dict[str, Any], reason: str) -> None:
    """A rule that is refused is named, with the reason, and can be skipped."""
    bad = {key: value for key, value in rule(title="Bad", **stated).items() if value is not None}
    with pytest.raises(SigmaError, match=f"Rule 'Bad': .*{reason}"):
        convert("elastic_rule", bad)
    [found] = convert("elastic_rule", bad, rule(id=OTHER_ID), collect_errors=True)
    assert found["rule_id"] == OTHER_ID


def test_two_rules_of_one_id_are_refused() -> None:
    """One would take the place of the other in Kibana."""
    with pytest.raises(UnsupportedRuleError, match=f"'Another': another rule has the same id .{ID}"):
        convert("elastic_rule", rule(), rule(title="Another"))


def test_index_and_time_field_must_be_known() -> None:
    """Without a pipeline that sets them a rule would search some default of Kibana's."""
    with pytest.raises(UnsupportedRuleError, match="no pipeline sets index; use stellar_aws"):
        StellarAwsBackend().convert(load_rules(), "elastic_rule")


@pytest.mark.parametrize("stack", ["8", "8.19", "8.1"])
@pytest.mark.filterwarnings("ignore::sigma_stellar_aws.base.sigma_errors.LeftOutWarning")
def test_sigma_cli_writes_a_file_to_import(stack: str, tmp_path: Path) -> None:
    """What sigma convert writes has one rule a line, whatever is in its texts, and a line break after each."""
    (tmp_path / "rule.yml").write_text(
        json.dumps(rule(title='Quotes " and é', description="two\nlines\u2028")), "utf-8"
    )
    output = tmp_path / "rules.ndjson"
    inputs = [str(pack_path()), str(tmp_path / "rule.yml")]
    command = ["-t", "stellar_aws", "-p", "stellar_aws", "-f", "elastic_rule", "-O", f"stack={stack}"]
    ended = CliRunner().invoke(sigma_convert, [*command, "-o", str(output), *inputs])
    assert ended.exit_code == 0, ended.output
    lines = output.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == 30
    for each in lines:
        VALIDATOR.validate(json.loads(each))


def test_sigma_cli_tells_of_a_wrong_version() -> None:
    """The message names the option and what to write."""
    command = ["-t", "stellar_aws", "-p", "stellar_aws", "-f", "elastic_rule", "-O", "stack=7.16"]
    ended = CliRunner().invoke(sigma_convert, [*command, str(pack_path())])
    assert ended.exit_code == 2
    assert "stack=7.16 (7.17 is the oldest version)" in ended.output
